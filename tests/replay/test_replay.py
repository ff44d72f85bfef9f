"""`livews trace replay`: recorded clients played again to real servers, good ones and bad ones."""

import asyncio
import contextlib
import json
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

import livews
from livews.cli import main
from livews.core import codec
from livews.server.script import load_all
from livews.server.server import serve_stand_in
from livews.trace.compare import differences
from livews.trace.json_diff import NOTHING, json_differences
from livews.trace.normalize import NormalizedItem, NormalizedSession, outline
from tests.kit.command import LIVEWS
from tests.kit.names import GEMINI, KEY, VERTEX
from tests.kit.servers import SETUP_COMPLETE, frames, scripted
from tests.kit.sound import speech
from tests.kit.talk import config
from tests.kit.traces import Row, asked, got, sent
from tests.replay.kit import (
    ANSWERS,
    BARGE_IN,
    BYE,
    DECLARED,
    HEAD,
    OVER,
    READY,
    TOOL,
    TURN,
    WHOLE,
    Run,
    call,
    close,
    messages,
    record,
    turn,
    two_turns,
    write,
)  # fmt: skip

# The same again


@pytest.mark.parametrize(("words", "timed"), [([], False), ([], True), (["--speed", "4"], True)])
async def test_a_session_replays_without_a_difference(
    words: list[str], timed: bool, replay: Run, tmp_path: Path
) -> None:
    done = await replay(await record(tmp_path / "a.jsonl", two_turns), *words, timed=timed)
    assert done.result == (0, "")
    assert "3 of 3 messages sent" in done.err and "no difference" in done.err


async def test_words_and_sound_count_when_they_are_to(replay: Run, tmp_path: Path) -> None:
    path = await record(tmp_path / "a.jsonl", two_turns)
    assert (await replay(path, "--exact")).code == 0
    path.write_text(path.read_text().replace("And goodbye", "And be gone"))
    assert (await replay(path)).code == 0
    path.write_text(path.read_text().replace("livews stand-in:", "livews stand-by:", 1))
    done = await replay(path, "--exact")
    assert done.code == 1 and "/outputTranscription" in done.out
    assert "in the recording" in done.out and "in the replay" in done.out


@pytest.mark.parametrize(
    ("path", "words", "pace"), [(TOOL, [], 0.02), (BARGE_IN, [], 0.5), (BARGE_IN, ["--speed", "2"], 0.5)]
)
async def test_the_kept_traces_replay(path: Path, words: list[str], pace: float, replay: Run) -> None:
    """Made by an older livews, with a function call in one and an interruption in the other."""
    done = await replay(path, *words, timed=bool(words), heard=["What is that?"], calls="always", pace=pace)
    assert done.result == (0, "")


@pytest.mark.parametrize("path", [TOOL, BARGE_IN], ids=lambda path: path.stem)
async def test_a_trace_played_by_both_sides_has_no_difference(path: Path, replay: Run) -> None:
    done = await replay(path, "--exact", scripts=load_all([str(path)]), fast=True, patience=10.0)
    assert done.result == (0, "") and done.house.differences == 0


async def test_calls_are_answered_by_the_ids_of_this_run(replay: Run, tmp_path: Path) -> None:
    path = await record(tmp_path / "a.jsonl", call, setup=DECLARED, seed="one")
    done = await replay(path, seed="two")
    assert done.result == (0, "")

    def ids(trace: Path, side: str, *way: str) -> list[tuple[str, str]]:
        found = [message[way[0]][way[1]] for message in messages(trace, side) if way[0] in message]
        return [(one["name"], one["id"]) for calls in found for one in calls]

    answered = ids(done.trace, "send", "toolResponse", "functionResponses")
    assert answered == ids(done.trace, "recv", "toolCall", "functionCalls") and len(answered) == 2
    assert answered != ids(path, "send", "toolResponse", "functionResponses")


async def test_a_call_that_is_not_made_is_not_answered(replay: Run) -> None:
    ids = (("1", "f"), ("2", "g"), ("3", "f"))
    calls = {"toolCall": {"functionCalls": [{"name": name, "id": n} for n, name in ids]}}
    answers = [{"id": n, "name": name, "response": {}} for n, name in ids]
    answer = sent(0.04, {"tool_response": {"function_responses": answers}})
    rows = [*READY, asked(0.02, "x"), got(0.03, calls), answer, *BYE]
    fewer = {"toolCall": {"functionCalls": [{"name": "g", "id": "x"}, {"name": "f"}]}}
    done = await replay(rows, "--patience", "0.2", server=frames(fewer))
    assert done.code == 1
    assert "waited 0.2 s for the call of f before toolResponse" in done.out
    assert "client /toolResponse/functionResponses/2: not sent: this server has not called f 2 times" in done.out
    left = [{"name": "f", "response": {}}, {"id": "x", "name": "g", "response": {}}]
    assert done.sent[-1] == {"tool_response": {"function_responses": left}}
    done = await replay(rows, "--patience", "0.2", server=frames(OVER))
    assert "server /toolCall: is only in the recording" in done.out
    assert len(done.sent) == 2


async def test_an_id_that_nobody_gave_is_sent_as_it_was(replay: Run) -> None:
    answer = {"toolResponse": {"functionResponses": [{"id": "made-up", "name": "f", "response": {}}]}}
    done = await replay([*READY, *TURN, sent(0.05, answer), *BYE], server=frames(*ANSWERS))
    assert done.sent[-1] == answer


async def test_what_was_put_in_is_none_of_the_server_s(replay: Run) -> None:
    """Messages of the inspector: one to the client is not waited for and makes no difference, one to the server is sent."""
    by_hand = [
        {**got(0.015, {"toolCall": {"functionCalls": [{"name": "get_time", "id": "by-hand"}]}}), "inserted": True},
        {**got(0.015, {"sessionResumptionUpdate": {"newHandle": "h", "resumable": True}}), "inserted": True},
    ]
    said_too = {**asked(0.045, "by hand"), "inserted": True}
    rows = [*READY, *by_hand, *TURN, said_too, *TURN[1:], *BYE]
    done = await replay(rows, "--patience", "3", server=frames(*ANSWERS * 2))
    assert done.result == (0, "")
    assert "3 of 3 messages sent, 5 received (5 when recorded)" in done.err
    assert done.sent[2] == said_too["message"]


async def test_bytes_and_opcodes_are_the_recorded_ones(replay: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    frames = [
        ("text", b'{ "setup": {"model": "models/x",  "model": "models/y", "n": 1.0} }'),
        ("binary", b'{"client_content":{"turn_complete":true}}'),
        ("text", b"\xff not JSON"),
    ]
    lines = [json.dumps(HEAD).encode()]
    for opcode, raw in frames:
        body = b'"raw":"' + codec.encode_base64(raw).encode() + b'"' if raw[0] == 255 else b'"message":' + raw
        lines.append(b'{"t":0.1,"dir":"send","opcode":"%s","size":%d,%s}' % (opcode.encode(), len(raw), body))
    path.write_bytes(b"\n".join([*lines, json.dumps(close(0.2, "send", 4001, "enough")).encode(), b""]))
    heard: list[tuple[str, bytes]] = []
    closed: list[tuple[int | None, str | None]] = []

    async def script(socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame = await socket.recv(decode=False)
                heard.append(("text" if len(heard) != 1 else "binary", bytes(frame)))
        closed.append((socket.close_code, socket.close_reason))

    assert (await replay(path, "--patience", "0.2", server=script)).code == 0
    assert heard == frames
    assert closed == [(4001, "enough")]


async def test_time_is_kept_and_causes_come_before_it(replay: Run) -> None:
    rows = [*READY, asked(0.3, "one"), close(0.4, "send", 1000)]
    at: list[float] = []

    async def script(socket: ServerConnection) -> None:
        now = asyncio.get_running_loop().time
        await socket.recv()
        await asyncio.sleep(0.3)  # 0.01 s when it was recorded
        await socket.send(SETUP_COMPLETE)
        at.append(now())
        await socket.recv()
        at.append(now())
        await socket.wait_closed()

    for timed in (True, False):
        assert (await replay(rows, timed=timed, server=script)).code == 0
    assert at[1] - at[0] > 0.25, "as long after setupComplete as it was"
    assert at[3] - at[2] < 0.25


async def test_what_was_cut_out_is_not_waited_for(replay: Run, tmp_path: Path) -> None:
    late = [{**row, "t": row["t"] + 3000} for row in (*TURN, *BYE)]
    path = write(tmp_path / "a.jsonl", *READY, *late, head={**HEAD, "cut": {"turn": 7}})
    assert (await replay(path, timed=True, server=frames(*ANSWERS))).code == 0


# What belongs to one run


async def test_a_trace_that_a_crash_cut_off(replay: Run, tmp_path: Path) -> None:
    path = await record(tmp_path / "a.jsonl", two_turns)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]) + lines[-3][:20])
    done = await replay(path, "--patience", "2")
    assert "is incomplete and left out" in done.err
    assert "the recording ends without a close: this run closes with 1000" in done.err
    assert done.result == (0, ""), "it closes where the recording ends"


async def test_elided_sound_is_silence_of_its_length(replay: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert main(["trace", "redact", str(BARGE_IN), "--audio", "-o", str(path)]) == 0
    done = await replay(path, "--patience", "0.2")
    assert done.err.count("sent as silence") == 1
    blobs, was = ([message["realtimeInput"]["audio"]["data"] for message in messages(trace) if "realtimeInput" in message]
                  for trace in (done.trace, BARGE_IN))  # fmt: skip
    assert len(blobs) > 20
    assert [len(blob) for blob in blobs] == [len(blob) for blob in was[: len(blobs)]]
    assert not any(any(codec.decode_base64(blob)) for blob in blobs)
    assert done.code == 1 and "the server does not answer: the rest is not played" in done.err, "silence is no speech"


async def one_turn(session: livews.Session) -> None:
    await session.say("Hello")
    await turn(session)


def handles(trace: Path) -> list[str | None]:
    """The handles that the setups of a trace resume by."""
    return [message["setup"]["sessionResumption"].get("handle") for message in messages(trace) if "setup" in message]


async def test_two_sessions_and_their_handles(replay: Run, tmp_path: Path) -> None:
    """The second resumes the first."""
    path = tmp_path / "a.jsonl"
    async with serve_stand_in(config=config(seed="old")) as house:
        setup: Row = {"sessionResumption": {}}
        for _ in range(2):
            async with livews.connect(url=house.url, trace=path, setup=setup) as session:
                await one_turn(session)
                setup = {"sessionResumption": {"handle": session.conversation.handle}}
            assert setup["sessionResumption"]["handle"]
    old = handles(path)
    done = await replay(path, seed="new")
    assert done.result == (0, "")
    assert "session 2: 2 of 2 messages sent" in done.err
    given = [message for message in messages(done.trace, "recv") if "sessionResumptionUpdate" in message]
    new = given[0]["sessionResumptionUpdate"]["newHandle"]
    assert handles(done.trace) == [None, new] and new != old[1]
    done = await replay(path, "--session", 2, seed="new")
    assert done.code == 0 and "left out; --keep-handles sends it" in done.err
    assert handles(done.trace) == [None]
    done = await replay(path, "--session", 2, "--keep-handles", seed="new")
    assert done.code == 5, "nobody here knows the old session"
    assert handles(done.trace) == [old[1]]
    assert (await replay(path, "--session", 3)).code == 2


async def test_another_model(replay: Run, tmp_path: Path) -> None:
    done = await replay(await record(tmp_path / "a.jsonl", one_turn), "--model", "gemini-3.1-flash-live-preview")
    assert done.sent[0]["setup"]["model"] == "models/gemini-3.1-flash-live-preview"
    assert "instead of models/" in done.err


@pytest.mark.parametrize("way", [VERTEX, GEMINI.replace("v1beta", "v1alpha")])
async def test_the_surface_is_the_recorded_one(way: str, replay: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *READY, *BYE, head={**HEAD, "url": f"wss://example.com{way}"})
    dialled: list[str] = []

    async def script(socket: ServerConnection) -> None:
        assert socket.request is not None
        dialled.append(socket.request.path)
        await frames()(socket)

    assert (await replay(path, server=script)).code == 0
    assert dialled == [way]


async def test_a_key_is_shown_nowhere(replay: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    seen: list[str | None] = []

    async def script(socket: ServerConnection) -> None:
        assert socket.request is not None
        seen.append(socket.request.headers.get("x-goog-api-key"))
        await frames({"toolCall": {"functionCalls": [{"name": KEY}]}}, close=(1008, f"bad {KEY}"))(socket)

    for form in ([], ["--json"]):
        done = await replay(WHOLE, "--show", *form, server=script)
        assert done.code == 5
        assert KEY not in done.out + done.err + done.trace.read_text()
    assert seen == [KEY, KEY]


# The command


def test_without_a_place_the_stand_in_answers(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *READY, *BYE)
    assert main(["trace", "replay", str(path), "--fast"]) == 0
    assert "no key is set and no --to given, so playing to the built-in stand-in" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
async def test_a_signal_tells_what_is_known(number: signal.Signals, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *READY, *TURN, asked(0.05, "again"), *TURN[1:], *BYE)
    half = {"serverContent": {"modelTurn": {"parts": [{"text": "never recorded"}]}}}
    reached = asyncio.Event()

    async def script(socket: ServerConnection) -> None:
        await frames(*ANSWERS, hold=False)(socket)
        await socket.recv()
        await socket.send(codec.dump(half))
        reached.set()
        await socket.wait_closed()

    async with scripted(script) as url:
        process = await asyncio.create_subprocess_exec(
            *LIVEWS, "trace", "replay", str(path), "--fast", "--to", url, stdout=PIPE, stderr=PIPE
        )
        try:
            await asyncio.wait_for(reached.wait(), 20)
            await asyncio.sleep(0.3)
            process.send_signal(number)
            out, err = (text.decode() for text in await asyncio.wait_for(process.communicate(), 20))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    assert process.returncode == 128 + number
    assert "3 of 3 messages sent" in err and "so far, stopped" in err
    assert "Traceback" not in err
    assert "/text: is only in the replay" in out
    assert "only in the recording" not in out, "it may have been under way"


# The parts


def test_places() -> None:
    one = {"a/b": {"~": 1}, "l": [1, 2], "gone": 0, "same": [{"x": 1.0}]}
    other = {"a/b": {"~": True}, "l": [1], "new": None, "same": [{"x": 1}]}
    assert list(json_differences(one, other)) == [
        ("/a~1b/~0", 1, True),
        ("/l", [1, 2], [1]),
        ("/gone", 0, NOTHING),
        ("/new", NOTHING, None),
    ]


def test_an_outline_leaves_out_what_a_model_says() -> None:
    def meaning(*items: tuple[str, Any]) -> NormalizedSession:
        return NormalizedSession(
            {"client": [], "server": [NormalizedItem(kind, 1, value) for kind, value in items], "beside": []}
        )

    one = meaning(("text", "a"), ("usageMetadata", {"n": 1}), ("text", "b"), ("interrupted", True), ("text", "more"))
    other = meaning(("text", "c"), ("usageMetadata", {"n": 2}), ("interrupted", True))
    assert list(differences(outline(one), outline(other))) == []
    assert [found.path for found in differences(outline(one), outline(meaning(("interrupted", True))))] == [
        "/text",
        "/usageMetadata",
    ]


async def test_speech_replays_at_full_speed(replay: Run, tmp_path: Path) -> None:
    async def speak(session: livews.Session) -> None:
        for _ in range(2):
            pcm = speech(0.4) + bytes(32_000 * 2)
            for at in range(0, len(pcm), 3200):
                await session.send_audio(pcm[at : at + 3200])
            await turn(session)

    path = await record(tmp_path / "a.jsonl", speak, heard=["one", "two"])
    done = await replay(path, heard=["one", "two"])
    assert done.result == (0, "")
