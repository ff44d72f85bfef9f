"""How a session of the client fails and ends: refusals, closes, broken connections, recorders that fail."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

import livews
from livews.exit_codes import Exit
from livews.server.server import StandInConfig, stand_in
from tests.kit.names import KEY
from tests.kit.servers import SETUP_COMPLETE, Recorder, scripted
from tests.test_client import END, FAST, sound, talk

CLOSES = [
    ((1007, "API key not valid. Please pass a valid API key."), Exit.CREDENTIALS),
    ((1008, "Method doesn't allow unregistered callers (callers without established identity)."), Exit.CREDENTIALS),
    ((1011, "You exceeded your current quota, please check your plan and billing details."), Exit.CREDENTIALS),
    ((1007, "Request contains an invalid argument."), Exit.CLOSED),
    ((1008, "models/gemini-2.0-flash-exp is not found for API version v1beta, or is"), Exit.CLOSED),
    ((1011, "Internal error encountered."), Exit.CLOSED),
    ((1011, "something nobody has seen"), Exit.CLOSED),
]


@pytest.mark.parametrize(("close", "exit_code"), CLOSES)
async def test_a_refused_setup_says_why(close: tuple[int, str], exit_code: Exit) -> None:
    async def refuse(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(*close)

    async with scripted(refuse) as url:
        with pytest.raises(livews.Refused) as caught:
            await livews.connect(url=url)
        problem = caught.value
    assert (problem.code, problem.reason) == close
    assert problem.exit_code == exit_code
    assert problem.why
    assert problem.fix
    assert close[1] in str(problem)


async def test_a_dead_model_is_told_with_its_successor() -> None:
    async with stand_in(config=StandInConfig(pace=0, as_of="2026-11")) as url:
        with pytest.raises(livews.Refused) as caught:
            await livews.connect("gemini-2.0-flash-exp", url=url)
        problem = caught.value
    assert problem.advice.id == "model-not-found"
    assert "use gemini-3.8-live" in problem.fix


async def test_a_close_in_mid_turn_keeps_what_came_before() -> None:
    seen, problem = await talk(sound(), close=(1011, "Internal error encountered."))
    assert [type(event) for event in seen] == [livews.Audio]
    assert isinstance(problem, livews.Closed)
    assert problem.during == "in the middle of a turn"
    assert problem.advice.retry == "backoff"


async def test_a_normal_close_in_mid_turn_is_told_too() -> None:
    seen, problem = await talk(sound(), close=(1000, ""))
    assert [type(event) for event in seen] == [livews.Audio]
    assert isinstance(problem, livews.Closed)


async def test_a_socket_that_just_dies() -> None:
    async def die(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        await socket.recv()
        await socket.send(sound())
        socket.transport.abort()

    async with scripted(die) as url, livews.connect(url=url) as session:
        await session.say("hello")
        with pytest.raises(livews.Lost) as caught:
            async with asyncio.timeout(5):
                async for _ in session.turn():
                    pass
        with pytest.raises(livews.Lost):
            await session.say("still there?")
        problem = caught.value
    assert problem.exit_code == Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("answer", "kind", "word"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            livews.Refused,
            "why: .* another web server answered",
        ),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", livews.Refused, "HTTP 401"),
        (b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n", livews.Refused, "HTTP 418"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", livews.Refused, "why: A web server answered with a page"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", livews.Refused, "why: .* captive portal"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", livews.Refused, "why: The server is up"),
        (b"HTTP/1.0 404 File not found\r\n\r\n", livews.Unreachable, "not a WebSocket server answered"),
        (b"SSH-2.0-OpenSSH_9\r\n", livews.Unreachable, "WebSocket"),
        (b"", livews.Unreachable, "WebSocket"),
    ],
)
async def test_what_is_no_such_server(answer: bytes, kind: type[livews.LivewsError], word: str) -> None:
    async with Recorder(answer).listening() as port:
        with pytest.raises(kind, match=word) as caught:
            await livews.connect(url=f"ws://127.0.0.1:{port}")
        assert caught.value.fix


async def test_nobody_listens_and_no_such_host() -> None:
    for url, word in (
        ("ws://127.0.0.1:1", "nothing is listening"),
        ("ws://no-such-host.invalid", "does not resolve"),
    ):
        with pytest.raises(livews.Unreachable, match=word) as caught:
            await livews.connect(url=url)
        assert caught.value.exit_code == Exit.UNREACHABLE
        assert caught.value.where.startswith(url)


async def test_tls_against_a_plain_server() -> None:
    async with stand_in(config=FAST) as url:
        with pytest.raises(livews.Unreachable) as caught:
            await livews.connect(url=url.replace("ws:", "wss:"))
        assert "ws://" in caught.value.fix


async def test_no_setup_complete() -> None:
    async def silent(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with scripted(silent) as url:
        with pytest.raises(livews.RemoteProtocolError, match="no setupComplete within"):
            await livews.connect(url=url, setup_timeout=0.1)


async def test_the_wait_for_setup_complete_has_an_end_whatever_else_comes() -> None:
    async def chatter(socket: ServerConnection) -> None:
        await socket.recv()
        with contextlib.suppress(Exception):
            while True:
                await socket.send('{"sessionResumptionUpdate": {"newHandle": "h", "resumable": true}}')
                await asyncio.sleep(0.02)

    async with scripted(chatter) as url, asyncio.timeout(10):
        with pytest.raises(livews.RemoteProtocolError, match="no setupComplete within 1 s") as caught:
            await livews.connect(url=url, open_timeout=1.0)
        assert caught.value.where.startswith(url) and caught.value.fix
        assert 'the server sent "sessionResumptionUpdate"' in caught.value.why


async def test_a_wrong_setup_is_refused_before_dialling() -> None:
    with pytest.raises(livews.LocalProtocolError) as caught:
        await _connect(url="ws://127.0.0.1:1", setup={"generationConfig": {"temprature": 1}})
    assert caught.value.where == "/setup/generationConfig/temprature"
    assert "temperature" in str(caught.value)


async def _connect(**options: Any) -> None:
    await livews.connect(**options)


async def test_no_key_says_how_to_get_one() -> None:
    with pytest.raises(livews.BadRequest, match="no credentials") as caught:
        await _connect()
    assert "livews serve" in caught.value.fix


async def test_a_full_disk_ends_the_session() -> None:
    with pytest.raises(livews.TraceFailed, match="No space left"):
        await _connect(url="ws://127.0.0.1:1", trace="/dev/full")


async def test_a_disk_that_fills_up_in_mid_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

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
    async with stand_in(config=FAST) as url:
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(10):
                async with livews.connect(url=url, recorders=[lambda where: Failing(frames)]) as session:
                    await session.say("hi")
                    async for _ in session.turn():
                        pass


async def test_a_ping_that_cannot_be_recorded_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.client.PING_EVERY", 0.3)
    async with stand_in(config=FAST) as url, asyncio.timeout(10):
        with pytest.raises(livews.TraceFailed):
            async with livews.connect(url=url, recorders=[lambda where: Failing(controls=0)]) as session:
                await session.wait_closed()
        assert session._transport.socket is not None
        assert session._transport.socket.state is State.CLOSED, "the socket is not left to the server"


async def test_a_frame_too_large_is_our_own_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.transport.MAX_SIZE", 100_000)
    _, problem = await talk(sound(bytes(200_000)), END)
    assert isinstance(problem, livews.RemoteProtocolError)
    assert "1009" in problem.what
    assert problem.exit_code == Exit.CLOSED


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"url": "ws://["}, livews.BadRequest),
        ({"url": f"ws://{'x' * 70}.example"}, livews.BadRequest),
        ({"url": "ws://é..com"}, livews.BadRequest),
        ({"url": "ws://127.0.0.1:1", "api_key": "“quoted”"}, livews.BadRequest),
        ({"url": "ws://127.0.0.1:1", "api_key": "two words"}, livews.BadRequest),
        ({"url": "ws://127.0.0.1:1", "setup": {"labels": {1: b"x"}}}, livews.LocalProtocolError),
    ],
)
async def test_what_cannot_be_dialled(options: dict[str, Any], kind: type[livews.LivewsError]) -> None:
    with pytest.raises(kind):
        await _connect(**options)


@pytest.mark.parametrize("proxy", ["foo", "socks5://127.0.0.1:1"])
async def test_a_proxy_that_is_none(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(livews.Unreachable, match="proxy") as caught:
        await _connect(api_key=KEY)
    assert "HTTPS_PROXY" in caught.value.fix


async def test_a_ping_into_a_close_tells_why_and_loses_nothing() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        await socket.send('{"goAway":{"timeLeft":"5s"}}')
        await socket.close(1011, "Internal error encountered.")

    async with scripted(server) as url, asyncio.timeout(10):
        session = await livews.connect(url=url)
        with pytest.raises(livews.Closed, match="Internal error"):
            while True:
                await session.ping()
        with pytest.raises(livews.Closed, match="Internal error"):
            async for event in session.events():
                assert isinstance(event, livews.GoAway), "what came before the close is still there"


async def test_a_pong_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.client.PING_EVERY", 0.02)
    monkeypatch.setattr("livews.transport.PONG_TIMEOUT", 0.1)

    async def deaf(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        socket.transport.pause_reading()
        await asyncio.sleep(1)

    async with scripted(deaf) as url:
        session = await livews.connect(url=url)
        with pytest.raises(livews.Lost, match="keepalive ping timeout"):
            async with asyncio.timeout(5):
                async for _ in session.events():
                    pass
