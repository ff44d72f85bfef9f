"""`livews trace replay` against servers that differ, misbehave or are not there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from livews.cli import main
from livews.core import codec
from livews.server import faults
from tests.kit.names import KEY
from tests.kit.servers import SETUP_COMPLETE, Recorder
from tests.kit.traces import Row, asked, got
from tests.replay.kit import BYE, OVER, READY, TOOL, TURN, Run, answering, close, record, two_turns, write

# Differences


async def test_a_server_that_closes_early_is_explained(replay: Run, tmp_path: Path) -> None:
    path = await record(tmp_path / "a.jsonl", two_turns)
    done = await replay(path, "--fast", faults=[faults.parse("close=internal-error@4")])
    assert done.code == 5
    assert 'server /close: is only in the replay: {"code":1011,' in done.out
    assert "client /messages: 1 is only in the recording: not played" in done.out
    assert "livews: closed: 1011" in done.err and "  do " in done.err
    assert (await replay(path, "--fast", faults=[faults.parse("close=quota@1")])).code == 3


async def test_a_refused_setup(replay: Run, tmp_path: Path) -> None:
    path = await record(tmp_path / "a.jsonl", two_turns)
    done = await replay(path, "--fast", as_of="2026-11", wire={}, faults=[faults.parse("close=voice-not-found@1")])
    assert done.code == 5
    assert "refused: 1007" in done.err
    assert "1 of 3 messages sent" in done.err


async def test_a_turn_that_does_not_end(replay: Run, tmp_path: Path) -> None:
    again = [{**row, "t": row["t"] + 1} for row in TURN]
    path = write(tmp_path / "a.jsonl", *READY, *TURN, *again, *BYE)

    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
                await socket.send(codec.dump(TURN[1]["message"]))

    done = await replay(path, "--fast", "--patience", "0.3", "--json", server=script)
    assert done.code == 1
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [(row["line"], row["path"]) for row in rows[:-1]] == [
        (6, "/turnComplete"), (7, "/wait"), (9, "/turnComplete"), (10, "/wait"),
    ]  # fmt: skip
    waits = [row["words"].split(" s for ")[1] for row in rows[:-1] if row["path"] == "/wait"]
    assert waits == ["the end of turn 1 before clientContent", "the end of turn 2 before its close"]
    assert rows[-1]["differences"] == 4 and rows[-1]["sent"] == {"replayed": 3, "recorded": 3}


@pytest.mark.parametrize(
    ("answers", "path"),
    [
        ([{"serverContent": {"outputTranscription": {"text": "other words"}}}, OVER], ""),
        ([{"serverContent": {"outputTranscription": {"text": "Hi"}}}, {}, {"usageMetadata": {}}, OVER], ""),
        ([{"serverContent": {"modelTurn": {"parts": [{"text": "Hi"}]}}}, OVER], "/text"),
        ([{"newThing": {"a": 1}}, *(row["message"] for row in TURN[1:])], "/newThing"),
        ([*(row["message"] for row in TURN[1:-1]), {"serverContent": {"interrupted": True}}, OVER], "/interrupted"),
        ([TURN[1]["message"], {"serverContent": {"turnComplete": True, "turnCompleteReason": "X"}}], "/turnComplete"),
        ([OVER], "/outputTranscription"),
        ([{"serverContent": 5}, *(row["message"] for row in TURN[1:])], "/serverContent"),
    ],
)
async def test_what_is_a_difference(answers: list[Row], path: str, replay: Run, tmp_path: Path) -> None:
    trace = write(tmp_path / "a.jsonl", *READY, *TURN, *BYE)
    done = await replay(trace, "--fast", "--patience", "0.5", server=answering(*answers))
    assert done.code == (1 if path else 0), done.out
    assert path in done.out


async def test_a_fault_of_both_is_no_difference(replay: Run, tmp_path: Path) -> None:
    answers = [{"serverContent": 5}, *(row["message"] for row in TURN[1:])]
    wrong = got(0.025, answers[0])
    done = await replay(write(tmp_path / "a.jsonl", *READY, *TURN, *BYE), "--fast", server=answering(*answers))
    assert "/serverContent: expected" in done.out and "only in the replay" in done.out
    path = write(tmp_path / "b.jsonl", *READY, TURN[0], wrong, *TURN[1:], *BYE)
    done = await replay(path, "--fast", server=answering(*answers))
    assert (done.code, done.out) == (0, "")


async def test_a_recorded_error_is_reproduced_or_not(replay: Run, tmp_path: Path) -> None:
    gone = close(0.05, "recv", 1008, "The operation was aborted.")
    path = write(tmp_path / "a.jsonl", *READY, asked(0.02, "Hello"), gone)
    done = await replay(path, "--fast", server=answering(close=(1008, "The operation was aborted.")))
    assert (done.code, done.out) == (0, "")
    done = await replay(path, "--fast", server=answering(close=(1011, "Internal error encountered.")))
    assert done.code == 1
    assert "/close/code: 1008 in the recording, 1011 in the replay" in done.out
    done = await replay(path, "--fast", "--patience", "0.2", server=answering())
    assert done.code == 1
    assert "/close: is only in the recording" in done.out
    assert "waited 0.2 s for the server to close with 1008" in done.out


async def test_how_much_of_a_cut_turn_came_is_a_matter_of_time(replay: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *READY, *TURN[:2], *BYE)
    answers = [TURN[1]["message"], {"serverContent": {"generationComplete": True}}, OVER]
    assert (await replay(path, "--fast", server=answering(*answers))).code == 0
    assert (await replay(path, "--fast", "--patience", "0.2", server=answering())).code == 1


# Servers that are none


async def test_garbage(replay: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *READY, *TURN, *BYE)
    mess = [b"\x00\xff\x1b[2J", "\x1b]0;title\x07", b"[1,2]", b"", b'{"serverContent":[]}', b"{" * 500]
    done = await replay(path, "--fast", "--show", server=answering(*mess, *(row["message"] for row in TURN[1:])))
    assert done.code == 1
    assert "WIRE-2" in done.out
    assert "\x1b" not in done.out + done.err and "\x07" not in done.out + done.err


async def test_a_server_that_never_answers(replay: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *READY, *TURN, asked(0.05, "again"), *BYE)

    async def deaf(socket: ServerConnection) -> None:
        await socket.wait_closed()

    done = await replay(path, "--patience", "0.2", server=deaf)
    assert done.code == 1
    assert "waited 0.2 s for setupComplete before clientContent" in done.out
    assert "2 are only in the recording: not played" in done.out
    done = await replay(path, "--fast", "--patience", "0.2", server=answering())
    assert "the answer before clientContent" in done.out or "the end of turn 1 before clientContent" in done.out


async def test_a_server_that_does_not_read(replay: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.replay.player.PONG_TIMEOUT", 0.5)
    path = write(tmp_path / "a.jsonl", *READY, asked(0.02, "x" * 16_000_000), *BYE)

    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        socket.transport.pause_reading()
        await socket.wait_closed()

    done = await replay(path, "--fast", server=script)
    assert done.code == 4 and "lost: 1006" in done.err
    assert "1 of 2 messages sent" in done.err


FLOODS = {
    "text": codec.dump({"serverContent": {"outputTranscription": {"text": "x" * 60_000}}}),
    "small": b'{"a":{}}',
    "sound": codec.dump(
        {
            "serverContent": {
                "modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "A" * 640_000}}]}
            }
        }
    ),
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_is_left(kind: str, replay: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.replay.player._SPARE_BYTES", 256 * 1024)
    path = write(tmp_path / "a.jsonl", *READY, *TURN, *BYE)

    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.send(FLOODS[kind])
                await asyncio.sleep(0)

    done = await replay(path, "--fast", server=script)
    assert done.code == 1
    assert "server /messages: given up: " in done.out
    assert len(done.differences) < 40, "many alike are counted"


async def test_a_frame_that_is_too_large(replay: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.transport.MAX_SIZE", 1000)
    path = write(tmp_path / "a.jsonl", *READY, *TURN, *BYE)
    done = await replay(path, "--fast", server=answering(b"x" * 2000))
    assert done.code == 5
    assert "given up: 1009" in done.out and "only in the replay" in done.out


async def test_a_connection_that_is_cut(replay: Run, tmp_path: Path) -> None:
    path = await record(tmp_path / "a.jsonl", two_turns)
    done = await replay(path, "--fast", faults=[faults.parse("drop@3")])
    assert done.code == 4
    assert "lost: 1006" in done.err


async def test_nobody_there(replay: Run, capfd: pytest.CaptureFixture[str]) -> None:
    async def replayed(to: str) -> int:
        return await asyncio.to_thread(main, ["trace", "replay", str(TOOL), "--to", to])

    assert await replayed("ws://127.0.0.1:9") == 4
    assert "livews serve" in capfd.readouterr().err
    assert await replayed("gopher://x") == 2
    async with Recorder().listening() as port:
        assert await replayed(f"http://127.0.0.1:{port}/a?key={KEY}") == 4
    out, err = capfd.readouterr()
    assert "HTTP 503" in err and KEY not in out + err
