"""`livews trace replay` against servers that differ, misbehave or are not there."""

import asyncio
import json
from pathlib import Path

import pytest

from livews.cli import main
from livews.core import codec
from tests.kit.names import KEY
from tests.kit.servers import Recorder, acts, deaf, endless, frames
from tests.kit.traces import Row, asked, got
from tests.replay.kit import ANSWERS, BYE, OVER, READY, TOOL, TURN, WHOLE, Run, close, record, two_turns

# Differences


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ("close=internal-error@4", 5, ["livews: closed: 1011", "  do ", "2 of 3 messages sent"]),
        ("close=quota@1", 3, []),
        ("close=voice-not-found@1", 5, ["refused: 1007", "1 of 3 messages sent"]),
        ("drop@3", 4, ["lost: 1006"]),
    ],
)
async def test_a_server_that_closes_early_is_explained(
    fault: str, code: int, says: list[str], replay: Run, tmp_path: Path
) -> None:
    done = await replay(await record(tmp_path / "a.jsonl", two_turns), faults=[fault])
    assert done.code == code
    assert [words for words in says if words not in done.err] == []
    if "internal-error" in fault:
        assert 'server /close: is only in the replay: {"code":1011,' in done.out
        assert "client /messages: 1 is only in the recording: not played" in done.out


async def test_a_turn_that_does_not_end(replay: Run) -> None:
    again = [{**row, "t": row["t"] + 1} for row in TURN]
    script = endless(codec.dump(ANSWERS[0]))
    done = await replay([*READY, *TURN, *again, *BYE], "--patience", "0.3", "--json", server=script)
    assert done.code == 1
    *rows, total = [json.loads(line) for line in done.out.splitlines()]
    assert [(row["line"], row["path"]) for row in rows] == [
        (6, "/turnComplete"), (7, "/wait"), (9, "/turnComplete"), (10, "/wait"),
    ]  # fmt: skip
    waits = [row["words"].split(" s for ")[1] for row in rows if row["path"] == "/wait"]
    assert waits == ["the end of turn 1 before clientContent", "the end of turn 2 before its close"]
    assert total["differences"] == 4 and total["sent"] == {"replayed": 3, "recorded": 3}


@pytest.mark.parametrize(
    ("answers", "path"),
    [
        ([{"serverContent": {"outputTranscription": {"text": "other words"}}}, OVER], ""),
        ([{"serverContent": {"outputTranscription": {"text": "Hi"}}}, {}, {"usageMetadata": {}}, OVER], ""),
        ([{"serverContent": {"modelTurn": {"parts": [{"text": "Hi"}]}}}, OVER], "/text"),
        ([{"newThing": {"a": 1}}, *ANSWERS], "/newThing"),
        ([*(row["message"] for row in TURN[1:-1]), {"serverContent": {"interrupted": True}}, OVER], "/interrupted"),
        ([TURN[1]["message"], {"serverContent": {"turnComplete": True, "turnCompleteReason": "X"}}], "/turnComplete"),
        ([OVER], "/outputTranscription"),
        ([{"serverContent": 5}, *ANSWERS], "/serverContent"),
    ],
)
async def test_what_is_a_difference(answers: list[Row], path: str, replay: Run) -> None:
    done = await replay(WHOLE, "--patience", "0.5", server=frames(*answers))
    assert done.code == (1 if path else 0), done.out
    assert path in done.out


async def test_a_fault_of_both_is_no_difference(replay: Run) -> None:
    answers = [{"serverContent": 5}, *ANSWERS]
    done = await replay(WHOLE, server=frames(*answers))
    assert "/serverContent: expected" in done.out and "only in the replay" in done.out
    done = await replay([*READY, TURN[0], got(0.025, answers[0]), *TURN[1:], *BYE], server=frames(*answers))
    assert done.result == (0, "")


@pytest.mark.parametrize(
    ("closes", "code", "says"),
    [
        ((1008, "The operation was aborted."), 0, []),
        ((1011, "Internal error encountered."), 1, ["/close/code: 1008 in the recording, 1011 in the replay"]),
        (None, 1, ["/close: is only in the recording", " s for the server to close with 1008"]),
    ],
)
async def test_a_recorded_error_is_reproduced_or_not(
    closes: tuple[int, str] | None, code: int, says: list[str], replay: Run
) -> None:
    rows = [*READY, asked(0.02, "Hello"), close(0.05, "recv", 1008, "The operation was aborted.")]
    done = await replay(rows, "--patience", "0.2", server=frames(close=closes))
    assert done.code == code
    assert [words for words in says if words not in done.out] == [] and bool(done.out) == bool(says)


async def test_how_much_of_a_cut_turn_came_is_a_matter_of_time(replay: Run) -> None:
    rows = [*READY, *TURN[:2], *BYE]
    answers = [ANSWERS[0], {"serverContent": {"generationComplete": True}}, OVER]
    assert (await replay(rows, server=frames(*answers))).code == 0
    assert (await replay(rows, "--patience", "0.2", server=frames())).code == 1


# Servers that are none


async def test_garbage(replay: Run) -> None:
    mess = [b"\x00\xff\x1b[2J", "\x1b]0;title\x07", b"[1,2]", b"", b'{"serverContent":[]}', b"{" * 500]
    done = await replay(WHOLE, "--show", server=frames(*mess, *ANSWERS))
    assert done.code == 1
    assert "WIRE-2" in done.out
    assert "\x1b" not in done.out + done.err and "\x07" not in done.out + done.err


async def test_a_server_that_never_answers(replay: Run) -> None:
    rows = [*READY, *TURN, asked(0.05, "again"), *BYE]
    done = await replay(rows, "--patience", "0.2", timed=True, server=lambda socket: socket.wait_closed())
    assert done.code == 1
    assert "waited 0.2 s for setupComplete before clientContent" in done.out
    assert "2 are only in the recording: not played" in done.out
    done = await replay(rows, "--patience", "0.2", server=frames())
    assert "the answer before clientContent" in done.out or "the end of turn 1 before clientContent" in done.out


async def test_a_server_that_does_not_read(replay: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.replay.player.PONG_TIMEOUT", 0.5)
    done = await replay([*READY, asked(0.02, "x" * 16_000_000), *BYE], server=acts(deaf))
    assert done.code == 4 and "lost: 1006" in done.err
    assert "1 of 2 messages sent" in done.err


BLOB = {"inlineData": {"mimeType": "audio/pcm", "data": "A" * 640_000}}
FLOODS = {
    "text": codec.dump({"serverContent": {"outputTranscription": {"text": "x" * 60_000}}}),
    "small": b'{"a":{}}',
    "sound": codec.dump({"serverContent": {"modelTurn": {"parts": [BLOB]}}}),
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_is_left(kind: str, replay: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.replay.player._SPARE_BYTES", 256 * 1024)
    done = await replay(WHOLE, server=endless(FLOODS[kind], pause=0))
    assert done.code == 1
    assert "server /messages: given up: " in done.out
    assert done.out.count("\n") < 40, "many alike are counted"


async def test_a_frame_that_is_too_large(replay: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.transport.MAX_SIZE", 1000)
    done = await replay(WHOLE, server=frames(b"x" * 2000))
    assert done.code == 5
    assert "given up: 1009" in done.out and "only in the replay" in done.out


@pytest.mark.parametrize(
    ("to", "code", "says"),
    [("ws://127.0.0.1:9", 4, "livews serve"), ("gopher://x", 2, "it must start with ws://"), ("", 4, "HTTP 503")],
)
async def test_nobody_there(to: str, code: int, says: str, capfd: pytest.CaptureFixture[str]) -> None:
    async with Recorder().listening() as port:
        given = ["trace", "replay", str(TOOL), "--to", to or f"http://127.0.0.1:{port}/a?key={KEY}"]
        assert await asyncio.to_thread(main, given) == code
    out, err = capfd.readouterr()
    assert says in err and KEY not in out + err
