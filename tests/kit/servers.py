"""Servers for tests: real sockets on loopback that say what they are told and keep what they hear."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from livews.core import codec
from tests.kit.names import GEMINI

Script = Callable[[ServerConnection], Awaitable[None]]
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SETUP_COMPLETE = b'{\n  "setupComplete": {}\n}\n'


@contextlib.asynccontextmanager
async def scripted(script: Script, **options: Any) -> AsyncIterator[str]:
    """A WebSocket server that runs `script` for each client; gives its ws:// URL. `options` are those of serve().

    A client that does not read is waited for one second at the end, not ten."""
    given: dict[str, Any] = {
        "compression": None,
        "ping_interval": None,
        "max_size": None,
        "close_timeout": 1,
        **options,
    }
    async with serve(script, "127.0.0.1", 0, **given) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextlib.asynccontextmanager
async def tcp(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A TCP server that runs `handle` for each connection, and cuts it then; gives its http:// URL."""

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def dial(url: str, **options: Any) -> connect:
    """A plain client of the server at `url`: no limit, no pings, no compression, no proxy."""
    given: dict[str, Any] = {"compression": None, "ping_interval": None, "max_size": None, "proxy": None, **options}
    return connect(url + GEMINI, **given)


async def echo(socket: ServerConnection) -> None:
    """Send back what comes."""
    async for message in socket:
        await socket.send(message)


def acts(*acts: Any, setup: bool = True, hold: bool = True) -> Script:
    """Take the setup, answer it if `setup`, act, and if `hold` wait for the client's close.

    None takes a message, a number waits so many seconds, (code, reason) closes, a function is called with the socket;
    anything else is sent, a dict as JSON.
    """

    async def script(socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await socket.recv()
            for act in (SETUP_COMPLETE, *acts) if setup else acts:
                match act:
                    case None:
                        await socket.recv()
                    case int() | float():
                        await asyncio.sleep(act)
                    case tuple():
                        await socket.close(*act)
                    case bytes() | str() | dict():
                        await socket.send(codec.dump(act) if isinstance(act, dict) else act)
                    case _:
                        act(socket)
            if hold:
                await socket.wait_closed()

    return script


def deaf(socket: ServerConnection) -> None:
    """An act: read nothing more."""
    socket.transport.pause_reading()


def frames(*payloads: Any, close: tuple[int, str] | None = None, hold: bool = True) -> Script:
    """Take setup, answer it, take one message, send `payloads`, then close as told or wait for the client."""
    return acts(None, *payloads, *([close] if close is not None else []), hold=hold)


def endless(payload: bytes, pause: float | None = None) -> Script:
    """Take setup, answer it, then send `payload` for each message that comes, or with a pause without end."""

    async def script(socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await socket.recv()
            await socket.send(SETUP_COMPLETE)
            while True:
                await (socket.recv() if pause is None else asyncio.sleep(pause))
                await socket.send(payload)

    return script


class Recorder:
    """A TCP server that keeps the first HTTP request of each connection and answers it with `answer`."""

    def __init__(self, answer: bytes = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") -> None:
        self.requests: list[str] = []
        self._answer = answer

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await server.wait_closed()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
            writer.write(self._answer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
