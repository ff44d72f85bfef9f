"""A raw server for one session: it plays the script of a state, does the fault's acts in its place, and then goes on.

- No WebSocket library: what is written are bytes.
- After its script it answers each further turn, each batch of tool results, pings and the close.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.kit.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, accept, frame, unmasked

Act = bytes | float | str | Callable[..., bytes]
"""Bytes to write, seconds to wait, bytes that are made when they are needed (of the client's key, if it takes one),
or a word:

- "rst", "fin": end the TCP connection
- "hold": read, and write nothing more
- "deaf": stop reading
- "drip": write a byte of a frame every half second, without end
- "ping flood, deaf": write pings, and read nothing
"""
Step = Act | tuple[str, ...]
"""An act, or what is awaited: one of these members in a message of the client, ("close",) the close frame, ("quiet", SECONDS) a pause, ("fault",) the place of the fault."""


def server_frame(payload: bytes, opcode: int = BINARY, **more: Any) -> bytes:
    return frame(opcode, payload, masked=False, **more)


def message(value: Any) -> bytes:
    return server_frame(json.dumps(value).encode())


class Gone(Exception):
    """The client has left, or the script has ended the connection."""


@dataclass
class Session:
    """What happened in one session, for the verdict.

    Attributes:
        acts, script: of the fault, and of the state it comes in.
        written: when the last byte of the fault was given to the socket, on the event loop's clock.
        finished: set when the fault was written.
    """

    acts: Sequence[Act]
    script: Sequence[Step]
    written: float | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)


class Peer:
    """The server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: Session) -> None:
        self.reader, self.writer, self.session = reader, writer, session
        self.key = ""
        """The client's API key."""
        self.closed = False
        """The client's close frame has come."""
        self.owed = False
        """Tool results came that nothing has answered."""
        self.mute = False
        """Nothing more is written but what a script says."""

    async def upgrade(self) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        header = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head.splitlines()[1:])
        }
        self.key = header.get("x-goog-api-key", "none")
        lines = (
            "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept(header['sec-websocket-key'])}", "", "",
        )  # fmt: skip
        self.writer.write("\r\n".join(lines).encode())

    async def read(self) -> tuple[int, bytes]:
        """The next frame of the client; pings are answered."""
        while True:
            first, second = await self.reader.readexactly(2)
            size = second & 127
            if size > 125:
                code, count = ("!H", 2) if size == 126 else ("!Q", 8)
                (size,) = struct.unpack(code, await self.reader.readexactly(count))
            mask = await self.reader.readexactly(4)
            payload = unmasked(await self.reader.readexactly(size), mask)
            if first & 15 == PING and not self.mute:
                self.writer.write(server_frame(payload, PONG))
            if first & 15 == CLOSE:
                self.closed = True
            if first & 15 not in (PING, PONG, CONTINUATION):
                return first & 15, payload

    async def until(self, *members: str) -> dict[str, Any]:
        """The next message with one of these members; of realtimeInput, in it."""
        while True:
            opcode, payload = await self.read()
            if opcode == CLOSE:
                if members == ("close",):
                    return {}
                raise Gone
            value = json.loads(payload)
            self.owed = "toolResponse" in value or self.owed
            if set(members) & ({*value} | {*value.get("realtimeInput", {})}):
                return value

    async def write(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def quiet(self, seconds: float) -> None:
        """Read until nothing has come for a while."""
        with contextlib.suppress(TimeoutError):
            while not self.closed:
                async with asyncio.timeout(seconds):
                    _, payload = await self.read()
                self.owed = self.owed or b'"toolResponse"' in payload

    async def fault(self) -> None:
        """Do the acts of the fault."""
        try:
            for act in self.session.acts:
                await self.act(act)
        finally:
            if self.session.written is None:
                self.session.written = asyncio.get_running_loop().time()
            self.session.finished.set()

    def fault_written(self) -> None:
        """All that says the fault was written."""
        self.session.written = asyncio.get_running_loop().time()
        self.session.finished.set()

    async def act(self, act: Act) -> None:
        match act:
            case float() | int():
                await asyncio.sleep(act)
            case bytes():
                await self.write(act)
            case "rst":
                self.fault_written()
                sock = self.writer.get_extra_info("socket")
                sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: close with a reset
                self.writer.transport.abort()
                raise Gone
            case "fin":
                self.fault_written()
                self.writer.close()
                raise Gone
            case "hold":
                self.fault_written()
                self.mute = True
                while await self.reader.read(65_536):
                    pass
                raise Gone
            case "deaf":
                self.fault_written()
                self.writer.transport.pause_reading()
                while not self.writer.transport.is_closing():
                    await asyncio.sleep(0.5)
                raise Gone
            case "drip":
                self.fault_written()
                self.mute = True
                reading = asyncio.create_task(self.reader.read())
                try:
                    await self.write(server_frame(b"", length=100_000))
                    while not reading.done():
                        await self.write(b" ")
                        await asyncio.sleep(0.5)
                finally:
                    reading.cancel()
                raise Gone
            case "ping flood, deaf":
                self.fault_written()
                self.writer.transport.pause_reading()
                while True:
                    await self.write(server_frame(bytes(125), PING) * 100)
                    await asyncio.sleep(0.01)
            case _:
                assert callable(act), f"no act: {act}"
                await self.write(act(self.key) if act.__code__.co_argcount else act())

    async def play(self) -> None:
        for step in self.session.script:
            match step:
                case ("fault",):
                    await self.fault()
                case ("quiet", seconds):
                    await self.quiet(float(seconds))
                case tuple():
                    # a call that the fault has cancelled is not answered
                    patience = 3.0 if step == ("toolResponse",) else None
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(patience):
                            await self.until(*step)
                    self.owed = False
                case _:
                    await self.act(step)

    async def go_on(self, turn: bytes) -> None:
        """Answer whatever comes, until the client closes."""
        with contextlib.suppress(Gone):
            while not self.closed:
                if not self.owed:
                    await self.until("text", "clientContent", "toolResponse")
                if self.owed:
                    await self.quiet(0.2)  # one turn answers all of them
                self.owed = False
                await self.write(turn)
        await self.write(server_frame((1000).to_bytes(2, "big"), CLOSE))
        self.writer.close()


@asynccontextmanager
async def serving(session: Session, turn: bytes) -> AsyncIterator[str]:
    """A server that plays one session for each client; gives its ws:// URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, session)
        try:
            await peer.upgrade()
            await peer.play()
            await peer.go_on(turn)
        except Gone:
            pass
        except (ConnectionError, asyncio.IncompleteReadError):
            session.finished.set()
        finally:
            if not writer.is_closing():
                writer.transport.abort()

    async with listening(handle) as url:
        yield url


@asynccontextmanager
async def listening(handle: Callable[..., Any], **options: Any) -> AsyncIterator[str]:
    """A TCP server; gives a ws:// URL. Its connections are cut at the end."""
    tasks: set[asyncio.Task[Any]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await handle(reader, writer)
        writer.transport.abort()
        tasks.discard(task)

    server = await asyncio.start_server(run, "127.0.0.1", 0, limit=2**24, **options)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in [*tasks]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
