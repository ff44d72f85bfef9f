"""Scripts: every scenario of protocol/ played to a client that keeps to it, and recorded sessions replayed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import livews
from livews.core import codec
from livews.errors import BadRequest
from livews.server.config import StandInConfig
from livews.server.script import Script, load
from livews.server.script import load_all as scripts
from livews.server.script_player import differences, misfit
from livews.server.server import StandInServer, serve_stand_in
from livews.trace.media import elided
from livews.trace.session import follow
from tests.kit import command
from tests.kit.names import ROOT
from tests.kit.waiting import until

SCENARIOS = sorted((ROOT / "protocol" / "scenarios").glob("*.json"))
SETUP = {"setup": {"model": "models/test"}}
HELLO = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "hello"}]}], "turnComplete": True}}
COMPLETE = {"server": {"setupComplete": {}}}


@contextlib.asynccontextmanager
async def playing(
    script: list[Script], **changes: Any
) -> AsyncIterator[tuple[ClientConnection, StandInServer, list[str]]]:
    """A client of a stand-in that plays, the stand-in, and what it says; the session is over at the end."""
    async with stand_in(script, **changes) as (server, log):
        async with dialled(server) as socket:
            yield socket, server, log
        await until(lambda: not server.sessions)


@contextlib.asynccontextmanager
async def stand_in(script: list[Script], **changes: Any) -> AsyncIterator[tuple[StandInServer, list[str]]]:
    """A stand-in that plays, and what it says; its sessions are over at the end."""
    log: list[str] = []
    given = StandInConfig(pace=0, voice="tones", scripts=script, **{"patience": 5.0, "log": log.append, **changes})
    async with serve_stand_in(config=given) as server, asyncio.timeout(20):
        yield server, log
        await until(lambda: not server.sessions)


def dialled(server: StandInServer) -> connect:
    return connect(f"{server.url}/ws", compression=None, max_size=None)


def scenario(tmp_path: Path, *steps: dict[str, Any]) -> list[Script]:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"id": "mine", "steps": steps}))
    return scripts([str(path)])


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
async def test_a_scenario_is_played_as_it_is_written(path: Path) -> None:
    connections: list[list[dict[str, Any]]] = [[]]
    for step in json.loads(path.read_text())["steps"]:
        if "connect" in step:
            connections.append([])
        connections[-1].append(step)
    async with stand_in(scripts([str(path)])) as (server, log):
        for steps in connections:
            async with dialled(server) as socket:
                await keep_to(socket, steps)
    assert server.differences == 0, log
    assert server.played == len(connections)


async def keep_to(socket: ClientConnection, steps: list[dict[str, Any]]) -> None:
    """Be the client of these steps of one connection."""
    for step in steps:
        if "client" in step:
            await socket.send(json.dumps(step["client"]))
        elif "server" in step:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            assert json.loads(frame) == step["server"]
        elif "close" in step and step["close"].get("from") == "client":
            await socket.close(step["close"]["code"])
        elif "close" in step:
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == step["close"]["code"]
            assert socket.close_reason == step["close"].get("reason", "")


# Scenarios of several connections

TWO: list[dict[str, Any]] = [{"client": SETUP}, COMPLETE, {"connect": 2}, {"client": SETUP}, COMPLETE]


async def set_up(socket: ClientConnection) -> None:
    await socket.send(json.dumps(SETUP))
    await socket.recv()


async def test_a_connection_that_is_opened_too_early_is_a_difference(tmp_path: Path) -> None:
    async with stand_in(scenario(tmp_path, *TWO)) as (server, log):
        async with dialled(server) as first:
            await set_up(first)
            async with dialled(server) as second:
                await set_up(second)
    assert server.differences == 1
    assert "session 2: mine#2," in "\n".join(log)
    assert "opened while session 1, the connection before, is open" in "\n".join(log)


@pytest.mark.parametrize("how", ["closed", "cut"])
async def test_one_after_the_other_needs_no_pause(how: str, tmp_path: Path) -> None:
    async with stand_in(scenario(tmp_path, *TWO)) as (server, log):
        for _ in range(6):  # scripts are repeated: three conversations
            async with dialled(server) as socket:
                await set_up(socket)
                if how == "cut":
                    socket.transport.abort()
    assert server.differences == 0, log


async def test_a_connection_that_does_not_come_is_a_difference(tmp_path: Path) -> None:
    three = [*TWO, {"connect": 3}, {"client": SETUP}]
    async with stand_in(scenario(tmp_path, *three), patience=0.2) as (server, log):
        async with dialled(server) as socket:
            await set_up(socket)
        await until(lambda: server.played == 3)
        assert server.differences == 2
        assert "mine#2: this connection was not opened within 0.2 s" in log
        async with dialled(server) as socket:  # the scenario from its start
            await set_up(socket)
    assert any(line.startswith("session 2: mine, 0.") for line in log)


async def test_a_client_that_leaves_before_its_time_is_a_difference(tmp_path: Path) -> None:
    longer = [*TWO[:2], {"client": HELLO}, *TWO[2:]]
    async with stand_in(scenario(tmp_path, *longer)) as (server, log):
        for _ in range(2):
            async with dialled(server) as socket:
                await set_up(socket)
    assert "step 3 waits for clientContent, and the client is gone" in "\n".join(log)


BAD = [
    ("{}", "neither a scenario nor a trace"),
    ("not json", "cannot read"),
    ('{"steps": []}', "a connection without steps"),
    ('{"steps": [{}]}', "one of client"),
    ('{"steps": [{"client": {}, "server": {}}]}', "one of client"),
    ('{"steps": [{"client": 5}]}', "client holds an object"),
    ('{"steps": [{"close": {"code": "x"}}]}', "a number"),
    ('{"steps": [{"wait": -1}]}', "wait holds seconds"),
    ('{"steps": [{"fault": "nonsense"}]}', "unknown fault"),
    ('{"steps": [{"client": {}}, {"connect": 3}, {"client": {}}]}', "connect counts the connections: 2 is expected"),
    ('{"steps": [{"connect": 2}, {"client": {}}]}', "a connection without steps"),
    ('{"steps": [{"client": {}}, {"connect": 2}]}', "a connection without steps"),
    ('{"steps": [{"client": {}}, {"connect": "2"}]}', "2 is expected"),
    ('{"trace":"livews","version":2}\n', "version 2"),
    ('{"trace":"livews","version":1}\n', "no session of this trace has a message"),
    ('{"trace":"livews","version":1}\n{"t":1,"dir":"recv","message":5}\n', "its message is not a JSON object"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_a_bad_script_is_refused_before_anything_runs(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(BadRequest) as caught:
        load(str(path))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_script_is_exit_2() -> None:
    done = command.livews("serve", "--port", "0", "nowhere.json")
    assert done.returncode == 2
    assert "nowhere.json" in done.stderr
    assert done.stdout == ""


# Recorded sessions


async def recorded(tmp_path: Path, **options: Any) -> Path:
    """A trace of a session with the stand-in: two text turns and a second of sound."""
    path = tmp_path / "session.jsonl"
    async with serve_stand_in(config=StandInConfig(pace=0.02, voice="tones")) as server:
        async with livews.connect("test-model", url=server.url, trace=str(path), **options) as session:
            for words in ("one", "two"):
                await session.say(words)
                async for _ in session.turn():
                    pass
            for _ in range(10):
                await session.send_audio(bytes(3200))
    return path


def frames(path: Path, sender: str) -> list[bytes]:
    with path.open("rb") as file:
        return [
            line.raw
            for session in follow(file, "x")
            for line in session.lines()
            if line.sender == sender and line.raw
        ]


async def again(
    socket: ClientConnection, path: Path, chunk: int = 3200, chunks: int = 10, second: str = "two"
) -> None:
    """Say what was recorded, with its sound in other chunks and another second text."""
    texts = [json.loads(raw) for raw in frames(path, "client") if b"realtimeInput" not in raw]
    texts[2]["clientContent"]["turns"][0]["parts"][0]["text"] = second
    said = [json.loads(raw) for raw in frames(path, "server")]
    await socket.send(json.dumps(texts.pop(0)))
    for message in said:
        assert json.loads(await socket.recv()) == message
        over = "turnComplete" in message.get("serverContent", {})
        if texts and (over or "setupComplete" in message):
            await socket.send(json.dumps(texts.pop(0)))
    for _ in range(chunks):
        await socket.send(codec.audio_frame(bytes(chunk)).decode())


@pytest.mark.parametrize("fast", [True, False])
async def test_a_trace_replays_frame_by_frame(fast: bool, tmp_path: Path) -> None:
    path = await recorded(tmp_path)
    async with playing(scripts([str(path)]), fast=fast) as (socket, _, log):
        await again(socket, path)
    assert "as written" in "\n".join(log)


async def test_a_replay_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "slow.jsonl"
    lines = [
        {"trace": "livews", "version": 1},
        {"t": 0.0, "dir": "send", "opcode": "text", "message": SETUP},
        {"t": 0.4, "dir": "recv", "opcode": "binary", "message": {"setupComplete": {}}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    waited: list[float] = []

    now = asyncio.get_running_loop().time
    for fast in (False, True):
        async with playing(scripts([str(path)]), fast=fast) as (socket, _, _):
            await asyncio.sleep(0.3)  # what the client takes longer is not taken off the service's time
            await socket.send(json.dumps(SETUP))
            began = now()
            await socket.recv()
            waited.append(now() - began)
    assert waited[0] > 0.35 > waited[1]


async def test_other_chunks_of_the_same_sound_are_no_difference(tmp_path: Path) -> None:
    path = await recorded(tmp_path)
    async with playing(scripts([str(path)]), fast=True) as (socket, _, log):
        await again(socket, path, chunk=640, chunks=50)
    assert "as written" in "\n".join(log)


async def test_less_sound_and_other_words_are_differences(tmp_path: Path) -> None:
    path = await recorded(tmp_path)
    async with playing(scripts([str(path)]), fast=True, patience=0.3) as (socket, _, log):
        await again(socket, path, chunks=2, second="three")
    said = "\n".join(log)
    assert 'client message 3: /clientContent/turns/0/parts/0/text: was "two", now "three"' in said
    assert "the client sent 0.2 s of audio, the recording has 1.0 s" in said


async def test_an_elided_trace_replays_with_silence(tmp_path: Path) -> None:
    path = await recorded(tmp_path)
    lines = [json.dumps(elided(json.loads(line))) for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")
    assert '"data": "elided:' in path.read_text()
    async with playing(scripts([str(path)]), fast=True, patience=0.3) as (socket, _, _):
        for raw in frames(path, "client")[:2]:
            await socket.send(raw.decode())
        message: dict[str, Any] = {}
        while "modelTurn" not in message.get("serverContent", {}):
            message = json.loads(await socket.recv())
        pcm = codec.decode_base64(message["serverContent"]["modelTurn"]["parts"][0]["inlineData"]["data"])
        assert len(pcm) > 1000
        assert not any(pcm)


async def test_a_recorded_close_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "closed.jsonl"
    lines = [
        {"trace": "livews", "version": 1},
        {"t": 0.0, "dir": "send", "opcode": "text", "message": SETUP},
        {"t": 0.1, "dir": "recv", "opcode": "binary", "message": {"setupComplete": {}}},
        {"t": 0.2, "dir": "recv", "close": {"code": 1008, "reason": "The operation was aborted."}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    async with playing(scripts([str(path)])) as (socket, server, _):
        await socket.send(json.dumps(SETUP))
        await socket.recv()
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (1008, "The operation was aborted.")
    assert server.differences == 0


async def test_a_trace_that_a_crash_cut_off_replays_to_its_last_line(tmp_path: Path) -> None:
    path = await recorded(tmp_path)
    whole = path.read_bytes()
    (script,) = scripts([str(path)])
    path.write_bytes(whole[:-30])
    (cut,) = scripts([str(path)])
    assert len(cut.records) == len(script.records) - 1


async def test_each_session_of_a_trace_is_a_script(tmp_path: Path) -> None:
    path = await recorded(tmp_path)
    path.write_bytes(path.read_bytes() * 2)
    assert [script.name for script in scripts([str(path)])] == ["session.jsonl#1", "session.jsonl#2"]


async def test_once_ends_with_the_verdict(tmp_path: Path) -> None:
    scenario(tmp_path, {"client": SETUP}, COMPLETE)

    async def served(model: str) -> tuple[int, str]:
        with command.serving("--once", "--patience", "1", f"{tmp_path}/mine.json") as (url, process):
            async with connect(url + "/ws") as socket:
                await socket.send(json.dumps({"setup": {"model": model}}))
                with contextlib.suppress(ConnectionClosed):
                    await socket.recv()
            _, err = process.communicate(timeout=10)
        return process.returncode, err

    assert (await served("models/test"))[0] == 0
    code, err = await served("models/other")
    assert code == 1
    assert "2 differences" in err


# Patterns


@pytest.mark.parametrize(
    ("pattern", "value", "place"),
    [
        ({}, {"a": 1}, ""),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, ""),
        ({"a": 1}, {"a": True}, "/a"),
        ({"a": 1}, {"a": 1.0}, ""),
        ({"a": [1, 2]}, {"a": [1]}, "/a"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, "/a/0/b"),
        ({"a": {}}, {"a": 5}, "/a"),
        ({"a": None}, {}, "/a"),
        ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}, "/a~1b/~0"),
    ],
)
def test_patterns(pattern: Any, value: Any, place: str) -> None:
    assert misfit(pattern, value).split(":")[0] == place


def test_differences_go_both_ways() -> None:
    assert differences({"a": 1, "b": [1, {"c": 2}]}, {"b": [1, {"c": 3}], "d": 4}) == [
        "/a: was 1, now is left out",
        "/b/1/c: was 2, now 3",
        "/d: was left out, now is 4",
    ]
    assert differences({"a": True}, {"a": 1}) == ["/a: was true, now 1"]
    assert differences({"a/b": 1}, {"~": 1}) == ["/a~1b: was 1, now is left out", "/~0: was left out, now is 1"]
    assert differences(1, 2) == ["/: was 1, now 2"]
