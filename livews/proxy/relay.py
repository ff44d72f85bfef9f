"""Relay bytes between two sockets, in both directions, unchanged.

- What arrives is written on before anything else looks at it; nothing is dropped, merged or held back.
- The end of a stream is relayed as it is: a half-close as a half-close, a reset as a reset. TLS has no half-close, so
  there the whole connection is closed.
- A side that does not read stops the other one from being read: at most about 200 kB per direction are buffered here.
- Both sockets send immediately (asyncio sets TCP_NODELAY).
"""

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from typing import Literal

Side = Literal["client", "server"]
StreamEnd = Literal["end", "reset"]
OnBytes = Callable[[Side, bytes], asyncio.Task[None] | None]
READ_SIZE = 256 * 1024
"""Bytes of one read at most."""
_CLOSE_SECONDS = 10.0
"""Seconds for buffered bytes to be sent when a connection is closed."""
_ANSWER_SECONDS = 2.0
"""Seconds in which a client can read a last answer."""
_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""The value of SO_LINGER with which closing resets the connection."""


class Peer:
    """One of the two connections of a session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.ended = False
        """No more bytes can be written to it."""

    def write_eof(self) -> None:
        """End the stream to it; over TLS that closes both directions."""
        self.ended = True
        if self.writer.is_closing():
            return
        if self.writer.can_write_eof():
            with contextlib.suppress(OSError):
                self.writer.write_eof()
        else:
            self.writer.close()

    def reset(self) -> None:
        """Close it with a TCP reset, as the other side did."""
        sock = self.writer.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self.writer.transport.abort()

    async def close(self) -> None:
        """Close it after buffered bytes were sent, or when that takes too long."""
        self.writer.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.writer.wait_closed()
        except OSError:  # TimeoutError is one
            pass
        finally:
            self.writer.transport.abort()

    async def answer(self, raw: bytes) -> None:
        """Send a last answer and close. Bytes still arriving are read for a moment: closing over unread bytes resets
        the connection, and the client would lose the answer."""
        with contextlib.suppress(OSError):
            self.writer.write(raw)
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self.writer.drain()
                if self.writer.can_write_eof():
                    self.writer.write_eof()
                    while await self.reader.read(READ_SIZE):
                        pass
        await self.close()


async def relay(
    client: Peer,
    server: Peer,
    early: tuple[bytes, bytes],
    on_bytes: OnBytes,
    on_end: Callable[[Side, StreamEnd], None] = lambda side, how: None,
) -> None:
    """Relay until both directions have ended. Closes neither connection.

    Args:
        early: bytes already read from the client and from the server.
        on_bytes: called with the side that sent them and the bytes, after they were written on. Must not raise. It gives
            the task that has to end before more bytes are read, which goes on if the relay ends; or None.
        on_end: called once, with the side that ended its stream first, and how. Must not raise.
    """
    up = asyncio.create_task(_copy(client, server, "client", early[0], on_bytes))
    down = asyncio.create_task(_copy(server, client, "server", early[1], on_bytes))
    try:
        done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        first = up if up in done else down
        side, how = first.result()
        on_end(side, how)
        if how == "end":
            side, how = await (down if first is up else up)
        if how == "reset":
            (client if side == "server" else server).reset()
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _copy(source: Peer, sink: Peer, side: Side, data: bytes, on_bytes: OnBytes) -> tuple[Side, StreamEnd]:
    """Copy until the stream ends; the side that ended it, and how."""
    other: Side = "server" if side == "client" else "client"
    while True:
        if data:
            if sink.writer.is_closing():
                return other, "end"
            sink.writer.write(data)
            working = on_bytes(side, data)
            try:
                await sink.writer.drain()
            except OSError:
                return other, "reset"
            if working is not None:
                await asyncio.wait({working})
        try:
            data = await source.reader.read(READ_SIZE)
        except OSError:
            return side, "reset"
        if not data:
            sink.write_eof()
            return side, "end"
