"""How a session of the client fails and ends: refusals, closes, broken connections, recorders that fail.

Why a connection fails is in tests/test_connect_errors.py.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

import livews
from livews.exit_codes import Exit
from livews.server.server import StandInConfig, serve_stand_in
from livews.transport import within
from tests.kit.names import KEY
from tests.kit.servers import Recorder, Script, acts, deaf, scripted
from tests.test_client import END, FAST, at_standin, sound, talk

CLOSED, CREDENTIALS = Exit.CLOSED, Exit.CREDENTIALS
RESUMABLE = '{"sessionResumptionUpdate": {"newHandle": "h", "resumable": true}}'


async def failure(script: Script, kind: type[livews.LivewsError], **options: Any) -> Any:
    """What connecting to a server that does this raises."""
    async with scripted(script) as url, asyncio.timeout(10):
        with pytest.raises(kind) as caught:
            await livews.connect(url=url, **options)
        assert caught.value.where.startswith(url) and caught.value.why and caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        (1007, "API key not valid. Please pass a valid API key.", CREDENTIALS),
        (1008, "Method doesn't allow unregistered callers (callers without established identity).", CREDENTIALS),
        (1011, "You exceeded your current quota, please check your plan and billing details.", CREDENTIALS),
        (1007, "Request contains an invalid argument.", CLOSED),
        (1008, "models/gemini-2.0-flash-exp is not found for API version v1beta, or is", CLOSED),
        (1011, "Internal error encountered.", CLOSED),
        (1011, "something nobody has seen", CLOSED),
    ],
)
async def test_a_refused_setup_says_why(code: int, reason: str, exit_code: Exit) -> None:
    problem = await failure(acts((code, reason), setup=False), livews.Refused)
    assert (problem.code, problem.reason, problem.exit_code) == (code, reason, exit_code)
    assert reason in str(problem)


async def test_a_dead_model_is_told_with_its_successor() -> None:
    async with serve_stand_in(config=StandInConfig(pace=0, as_of="2026-11")) as server:
        with pytest.raises(livews.Refused) as caught:
            await livews.connect("gemini-2.0-flash-exp", url=server.url)
    assert caught.value.advice.id == "model-not-found"
    assert "use gemini-3.8-live" in caught.value.fix.lower()


@pytest.mark.parametrize(
    ("script", "options", "seconds", "why"),
    [
        ([1], {"setup_timeout": 0.1}, "0.1 s", "nothing came back"),
        ([RESUMABLE, 0.02] * 500, {"open_timeout": 1.0}, "1 s", 'the server sent "sessionResumptionUpdate"'),
    ],
)
async def test_the_wait_for_setup_complete_has_an_end(
    script: list[Any], options: dict[str, float], seconds: str, why: str
) -> None:
    problem = await failure(acts(*script, setup=False), livews.RemoteProtocolError, **options)
    assert f"no setupComplete within {seconds}" in problem.what and why in problem.why


@pytest.mark.parametrize(
    ("payloads", "close", "kind", "what", "count"),
    [
        ([sound()], (1011, "Internal error encountered."), livews.Closed, "Internal error encountered", 1),
        ([sound()], (1000, ""), livews.Closed, "1000", 1),
        ([sound(bytes(200_000)), END], None, livews.RemoteProtocolError, "1009", 0),
    ],
)
async def test_an_end_in_mid_turn_keeps_what_came_before(
    payloads: list[bytes],
    close: tuple[int, str] | None,
    kind: type[livews.LivewsError],
    what: str,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("livews.transport.MAX_SIZE", 100_000)
    seen, problem = await talk(*payloads, close=close)
    assert [type(event) for event in seen] == [livews.Audio] * count
    assert isinstance(problem, kind) and what in problem.what and problem.exit_code == CLOSED
    assert getattr(problem, "during", "") == ("in the middle of a turn" if close else "")


async def test_a_socket_that_just_dies() -> None:
    async with (
        scripted(acts(None, sound(), lambda socket: socket.transport.abort())) as url,
        livews.connect(url=url, reconnect=None) as session,
    ):
        await session.say("hello")
        with pytest.raises(livews.Lost) as caught:
            async with asyncio.timeout(5):
                async for _ in session.turn():
                    pass
        with pytest.raises(livews.Lost):
            await session.say("still there?")
    assert caught.value.exit_code == Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("options", "kind", "where", "words"),
    [
        ({"setup": {"generationConfig": {"temprature": 1}}}, livews.LocalProtocolError,
         "/setup/generationConfig/temprature", "temperature"),
        ({"setup": {"labels": {1: b"x"}}}, livews.LocalProtocolError, "", "not JSON: Dict key"),
        ({"trace": "/dev/full"}, livews.TraceFailed, "/dev/full", "No space left"),
    ],
)  # fmt: skip
async def test_what_is_refused_before_dialling(
    options: dict[str, Any], kind: type[livews.LivewsError], where: str, words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        await livews.connect(url="ws://127.0.0.1:1", **options)
    assert caught.value.where.startswith(where)


async def test_a_disk_that_fills_up_in_mid_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, room = os.write, [8]

    def write(file: int, data: bytes) -> int:  # the one thing that cannot be had for real without a full disk
        if data.startswith(b'{"t"'):
            room[0] -= 1
            if room[0] < 0:
                raise OSError(28, "No space left on device")
        return real(file, data)

    monkeypatch.setattr("livews.trace.writer.os.write", write)
    seen, problem = await talk(*[sound()] * 20, END, trace=tmp_path / "t.jsonl")
    assert isinstance(problem, livews.TraceFailed)
    assert len(seen) < 20


async def test_a_redirect_does_not_carry_the_key_away() -> None:
    other = Recorder()
    async with other.listening() as there:
        answer = f"HTTP/1.1 307 Elsewhere\r\nLocation: ws://localhost:{there}/\r\nContent-Length: 0\r\n\r\n"
        async with Recorder(answer.encode()).listening() as here:
            with pytest.raises(livews.Refused, match="HTTP 307"):
                await livews.connect(url=f"ws://127.0.0.1:{here}", api_key=KEY)
    assert other.requests == []


class Failing:
    """A recorder that fails at its nth frame or control line."""

    def __init__(self, frames: int = 1000, controls: int = 1000) -> None:
        self.frames, self.controls = frames, controls

    def frame(self, *about: object) -> None:
        self.frames -= 1
        if self.frames < 0:
            raise ZeroDivisionError("a recorder of the caller's")

    def control(self, *about: object) -> None:
        self.controls -= 1
        if self.controls < 0:
            raise livews.TraceFailed("no room")

    def close(self) -> None:
        pass


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
async def test_a_recorder_that_fails_ends_the_session_and_is_told(frames: int) -> None:
    with pytest.raises(ZeroDivisionError):
        async with at_standin(recorders=[lambda where: Failing(frames)]) as session:
            await session.say("hi")
            async for _ in session.turn():
                pass


async def test_a_ping_that_cannot_be_recorded_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.transport.PING_EVERY", 0.3)
    async with serve_stand_in(config=FAST) as server, asyncio.timeout(10):
        with pytest.raises(livews.TraceFailed):
            async with livews.connect(
                url=server.url, reconnect=None, recorders=[lambda where: Failing(controls=0)]
            ) as session:
                await session.wait_closed()
        assert session.connection.transport.socket is not None
        assert session.connection.transport.socket.state is State.CLOSED, "the socket is not left to the server"


async def test_a_ping_into_a_close_tells_why_and_loses_nothing() -> None:
    script = acts('{"goAway":{"timeLeft":"5s"}}', (1011, "Internal error encountered."))
    async with scripted(script) as url, asyncio.timeout(10):
        session = await livews.connect(url=url, reconnect=None)
        with pytest.raises(livews.Closed, match="Internal error"):
            while True:
                await session.ping()
        with pytest.raises(livews.Closed, match="Internal error"):
            async for event in session.events():
                assert isinstance(event, livews.GoAway), "what came before the close is still there"


async def test_a_pong_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.transport.PING_EVERY", 0.02)
    monkeypatch.setattr("livews.transport.PONG_TIMEOUT", 0.1)
    async with scripted(acts(deaf, 1, hold=False)) as url, asyncio.timeout(5):
        session = await livews.connect(url=url, reconnect=None)
        with pytest.raises(livews.Lost, match="keepalive ping timeout"):
            async for _ in session.events():
                pass


def wire(opcode: int, payload: bytes = b"", fin: int = 0x80) -> Any:
    """An act: these bytes, and nothing is read any more, so that TCP stays open."""

    def write(socket: Any) -> None:
        deaf(socket)
        socket.transport.write(bytes([fin | opcode, len(payload)]) + payload)

    return write


@contextlib.asynccontextmanager
async def held(*what: Any, setup: bool) -> AsyncIterator[str]:
    """A server that acts, and keeps TCP open until the block ends."""
    over = asyncio.Event()

    async def script(socket: ServerConnection) -> None:
        await acts(*what, setup=setup, hold=False)(socket)
        await over.wait()
        socket.transport.abort()

    async with scripted(script) as url:
        try:
            yield url
        finally:
            over.set()


CLOSES = {
    "closed": (wire(8, b"\x03\xf3Internal error encountered."), livews.Closed, "closed: 1011", "inside the service"),
    "no reason": (wire(8, b"\x03\xe9"), livews.Closed, "closed: 1001", "going away"),
    "invalid": (wire(3), livews.RemoteProtocolError, "given up: 1002", "violates the WebSocket protocol"),
    "compressed": (wire(1, b"x", 0xC0), livews.RemoteProtocolError, "given up: 1002", "Nothing that the client sent"),
    "too large": (wire(2, bytes(100)), livews.RemoteProtocolError, "given up: 1009", "larger than your client"),
    "not UTF-8": (wire(1, b"\xff"), livews.RemoteProtocolError, "given up: 1007", "not UTF-8"),
}
"""What the server does, and the error; TCP stays open in all of them."""


@pytest.mark.parametrize("name", CLOSES)
@pytest.mark.parametrize("setup", [False, True], ids=["at setup", "in a turn"])
async def test_an_end_is_told_while_tcp_stays_open(name: str, setup: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    act, kind, what, why = CLOSES[name]
    monkeypatch.setattr("livews.transport.MAX_SIZE", 99)
    async with held(*[None] * setup, act, setup=setup) as url, asyncio.timeout(4):
        with pytest.raises(kind if setup or kind is not livews.Closed else livews.Refused) as caught:
            async with livews.connect(url=url, reconnect=None) as session:
                await session.say("hello")
                async for _ in session.turn():
                    pass
    assert (what if setup else what.replace("closed", "refused")) in caught.value.what and why in caught.value.why
    assert "last frame sent" not in caught.value.fix


@pytest.mark.parametrize(
    ("acts_", "what", "exit_code"),
    [
        ((1001, ""), "closed: 1001, no reason given, as announced 0 s before", Exit.UNREACHABLE),
        ((1001, "bye"), 'closed: 1001 "bye", as announced 0 s before', Exit.UNREACHABLE),
        ((1008, "The session has lasted too long."), "as announced 0 s before", Exit.CLOSED),
        (lambda socket: socket.transport.abort(), "lost: 1006, no reason given, as announced", Exit.UNREACHABLE),
    ],
)
@pytest.mark.parametrize("more", [{}, {"usageMetadata": {}}])
async def test_an_end_that_was_announced_says_so(
    acts_: Any, what: str, exit_code: Exit, more: dict[str, Any]
) -> None:
    async with scripted(acts({"goAway": {"timeLeft": "50s"}, **more}, 0.05, acts_)) as url, asyncio.timeout(10):
        with pytest.raises(livews.Closed) as caught:
            async with livews.connect(url=url, reconnect=None) as session:
                await session.wait_closed()
    problem = caught.value
    assert what in problem.what and "announced that with goAway" in problem.why and "handle" in problem.fix
    assert "last frame sent" not in problem.fix and problem.exit_code == exit_code


@pytest.mark.parametrize("reason", ["", "going away"])
async def test_a_reason_does_not_change_what_1001_is(reason: str) -> None:
    async with scripted(acts((1001, reason))) as url, asyncio.timeout(10):
        with pytest.raises(livews.Closed) as caught:
            async with livews.connect(url=url, reconnect=None) as session:
                await session.wait_closed()
    assert caught.value.exit_code == Exit.UNREACHABLE and caught.value.advice.id == "going-away"


async def test_a_setup_that_failed_does_not_wait_for_the_answer_to_the_close() -> None:
    async with held(deaf, setup=False) as url, asyncio.timeout(4):
        with pytest.raises(livews.RemoteProtocolError, match="no setupComplete within"):
            await livews.connect(url=url, setup_timeout=0.1)


@pytest.mark.parametrize("begin", [0.0, 0.285])
async def test_what_comes_while_the_process_is_stopped_is_in_time(begin: float) -> None:
    """The deadline has passed when the process runs again, and what came meanwhile is read only then."""
    loop, came = asyncio.get_running_loop(), asyncio.Event()

    async def stopped() -> str:
        await asyncio.sleep(begin)
        time.sleep(1.5)  # as SIGSTOP does
        loop.call_soon(loop.call_soon, loop.call_soon, came.set)  # what the socket holds
        await came.wait()
        return "pong"

    assert await within(0.3, stopped()) == "pong"
    with pytest.raises(TimeoutError):
        await within(0.05, asyncio.Event().wait())
