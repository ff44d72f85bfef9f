"""A client's connection: a WebSocket as `websockets` serves it, plus what that library leaves out.

- POST requests are answered on the same port (the SDKs make their tokens there); websockets parses GET only.
- Messages stay bytes with their opcode: invalid UTF-8 is judged as invalid JSON, which is what the service does.
- A client that reads nothing cannot fill the server's memory with unsent pongs, and clients together cannot with messages
  that they do not finish: before its setup a client may send little, and afterwards it may have to wait for others.
- Little is read at a time, so that a client with many small frames does not hold up the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from typing import Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import Event

from livews.backpressure import BoundedPongs
from livews.core import codec
from livews.server import token_endpoint
from livews.server.context import ServerContext

MAX_SIZE = codec.LONGEST
"""Bytes of one client message: a longer one could not be read (WIRE-15)."""
_MAX_SETUP = 1024 * 1024
"""Bytes of the first one, which is setup. The service's own limits are not known."""
_FREE = 1024 * 1024
"""Bytes that a connection may hold, of messages that are not complete or not taken, whatever the others hold."""
_TOTAL = 64 * 1024 * 1024
"""Bytes that all connections may hold; above, of those with more than `_FREE` only the oldest is read on."""
_HALF_SECONDS = 0.02
"""Time for half a frame to go out, before the connection is cut."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER without a time: closing sends RST."""
_READ_SIZE = 8 * 1024
"""Bytes of one read."""


class StandInConnection(BoundedPongs, ServerConnection):
    """A connection to the stand-in with this `context`. Other arguments are those of ServerConnection."""

    def __init__(self, *args: Any, context: ServerContext, **options: Any) -> None:
        super().__init__(*args, **options)
        self._context = context
        self.opened_at = self.last_received_at = self.loop.time()
        self._unparsed = b""
        """The start of a request whose method is not known yet, or all of a request that websockets cannot parse."""
        self._is_get: bool | None = None
        self._answered = False
        self._opcodes: deque[Opcode] = deque()
        """Opcodes of the messages that wait in websockets' queue."""
        self._queued = 0
        """Bytes of these messages."""
        self._waits = False
        """It is not read since all connections hold too much."""
        self._discarding = False

    async def receive(self) -> tuple[bytes, bool]:
        """The next message and whether it is a text message. ConnectionClosed when there is none any more."""
        raw = await self.recv(decode=False)
        self._queued -= len(raw)
        self._let_others_read()
        return raw, self._opcodes.popleft() is Opcode.TEXT

    @property
    def held(self) -> int:
        """Bytes of messages that are not complete, or not taken."""
        return self._queued + len(self.protocol.reader.buffer)

    @property
    def _all(self) -> set[StandInConnection]:
        return cast("set[StandInConnection]", self._context.connections)

    def _must_wait(self) -> bool:
        """Whether other connections have to be done first."""
        if self.held <= _FREE or sum(connection.held for connection in self._all) <= _TOTAL:
            return False
        large = (connection for connection in self._all if connection.held > _FREE)
        return self is not min(large, key=lambda connection: connection.opened_at)

    def _let_others_read(self) -> None:
        for other in self._all:
            if other._waits and not other._must_wait():
                other._waits = False
                if other.may_read():
                    other.transport.resume_reading()

    # Hook: the server ends connections that websockets would wait for.
    def connection_made(self, transport: Any) -> None:
        transport.max_size = _READ_SIZE  # of asyncio's transports, where they have it
        super().connection_made(transport)
        self._context.connections.add(self)
        self._limit_setup()

    def connection_lost(self, exc: Exception | None) -> None:
        self._context.connections.discard(self)
        self._let_others_read()
        super().connection_lost(exc)

    # Hook: websockets has one limit for all messages of a connection.
    def _limit_setup(self) -> None:
        protocol, receive = self.protocol, self.protocol.recv_frame
        protocol.max_message_size = _MAX_SETUP

        def recv_frame(frame: Frame) -> None:
            receive(frame)
            if frame.opcode in DATA_OPCODES and frame.fin:
                protocol.max_message_size = MAX_SIZE
                protocol.recv_frame = receive  # type: ignore[method-assign]

        protocol.recv_frame = recv_frame  # type: ignore[method-assign]

    # Hook: websockets stops reading when its queue is full, and would never see the client's answer to our close.
    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        self._discarding = True
        self.transport.resume_reading()
        await super().close(code, reason)

    # Hook: recv() returns bytes without their opcode.
    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            if self._discarding:
                return
            self._queued += len(event.data)
            if event.opcode is not Opcode.CONT:
                self._opcodes.append(event.opcode)
        super().process_event(event)

    def may_read(self) -> bool:
        return super().may_read() and not self._waits

    # Hook: idle time, requests other than GET, and the limit of what is held.
    def data_received(self, data: bytes) -> None:
        self.last_received_at = self.loop.time()
        if self._is_get is None:
            self._unparsed += data
            if not self._unparsed[:1].isalpha():  # not HTTP, most likely a TLS handshake
                self.transport.close()
                return
            if len(self._unparsed) < 4:
                return
            self._is_get = self._unparsed.startswith(b"GET ")
            data, self._unparsed = self._unparsed, b""
        if not self._is_get:
            self._answer_request(data)
            return
        super().data_received(data)
        if self.protocol.close_expected():
            self.transport.resume_reading()  # what is left to read is the end of the connection
        elif self._must_wait():
            self._waits = True
            self.transport.pause_reading()

    async def send_half(self, raw: bytes) -> None:
        """Write the first half of a frame, or whatever the socket takes of it; nothing may be sent after it."""
        frame = Frame(Opcode.BINARY, raw).serialize(mask=False, extensions=[])
        self.transport.write(frame[: len(frame) - len(raw) // 2])
        await asyncio.sleep(_HALF_SECONDS)

    def reset(self) -> None:
        """Make the end of the connection a reset, where it is a TCP socket."""
        with contextlib.suppress(OSError, AttributeError):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def delay_pongs(self, seconds: float | None) -> None:
        """Answer pings so many seconds late; None: never."""
        # websockets answers pings inside its protocol object; holding back that one frame is the least intrusion
        send_now = self.protocol.send_frame

        def send_frame(frame: Frame) -> None:
            if frame.opcode is not Opcode.PONG:
                send_now(frame)
            elif seconds is not None:
                self.loop.call_later(seconds, send_pong, frame)

        def send_pong(frame: Frame) -> None:
            with contextlib.suppress(Exception):  # the connection may be gone by now
                send_now(frame)
                self.send_data()

        self.protocol.send_frame = send_frame  # type: ignore[method-assign]

    def _answer_request(self, data: bytes) -> None:
        if self._answered:
            return
        self._unparsed += data
        answer = token_endpoint.answer_request(self._unparsed, self._context)
        if answer is None:
            return
        self._unparsed, self._answered = b"", True
        self.transport.write(answer)
        # The client closes: closing here, with unread bytes of a large body, would reset the connection and lose the
        # answer. A client that stays is cut off by websockets' opening timeout.
        if self.transport.can_write_eof():  # not with TLS
            self.transport.write_eof()
