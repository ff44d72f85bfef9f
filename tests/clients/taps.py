"""Relays of the tests' own that write down what they carry.

- They know of TCP and TLS alone: nothing of livews and nothing of WebSockets is in them.
- TLS ends in a tap and is made anew behind it, so that what is written down is in the clear on both sides.
- What a side sent is written down as it came, before it is passed on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from livews.server import certificate as certificates
from tests.clients.running import NAMES, Servers


@dataclass
class Carried:
    """One connection: what the client's side sent, and the server's."""

    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)

    @property
    def key(self) -> bytes:
        """What tells a session from all others on both sides of a proxy: its Sec-WebSocket-Key; b"" for another."""
        lines = bytes(self.up).partition(b"\r\n\r\n")[0].split(b"\r\n")
        return next((line for line in lines if line.lower().startswith(b"sec-websocket-key:")), b"")

    def body(self, way: str) -> bytes:
        """All behind the head of that way."""
        return bytes(getattr(self, way)).partition(b"\r\n\r\n")[2]


@dataclass
class Taps:
    """`servers` is what to dial; `carried` fills as it is used."""

    servers: Servers
    carried: list[Carried]


@contextlib.contextmanager
def tapped(to: Servers, folder: Path, *, tls: bool) -> Iterator[Taps]:
    """A tap in front of each of three servers, in a thread of their own."""
    carried: list[Carried] = []
    servers: list[asyncio.Server] = []
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        context = certificates.context(folder / "taps.pem", name="tap") if tls else None
        trusting = ssl.create_default_context(cafile=str(to.trust)) if to.trust else None
        urls = {}
        for name in NAMES:
            opening = _open(getattr(to, name), context, trusting, carried)
            servers.append(asyncio.run_coroutine_threadsafe(opening, loop).result(10))
            port = servers[-1].sockets[0].getsockname()[1]
            urls[name] = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{port}"
        yield Taps(Servers(**urls, trust=folder / "taps.pem" if tls else None), carried)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.run_until_complete(_close(servers))
        loop.close()


async def _close(servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()
    for _ in range(20):  # an accepted connection becomes a task, and an aborted one is closed, only some steps later
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=1)
        await asyncio.sleep(0.01)


async def _open(
    url: str, context: ssl.SSLContext | None, trusting: ssl.SSLContext | None, to: list[Carried]
) -> asyncio.Server:
    place = urlsplit(url)

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        one = Carried()
        to.append(one)
        there = None
        try:
            if context:  # from here on, not in the server: what is still in its handshake is then a task, too
                await writer.start_tls(context)
            there = await asyncio.open_connection(place.hostname, place.port, ssl=trusting)
            await asyncio.gather(_carry(reader, there[1], one.up), _carry(there[0], writer, one.down))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            if there:
                there[1].transport.abort()

    return await asyncio.start_server(run, "127.0.0.1", 0)


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: bytearray) -> None:
    while data := await source.read(1 << 18):
        kept += data
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
    else:
        sink.close()
        await sink.wait_closed()
