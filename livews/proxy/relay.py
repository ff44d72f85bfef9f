"""Carry bytes between two sockets, both ways, as they are.

- What came is written on before anybody looks at it; nothing is left out, joined up or held back.
- Nothing is added either, but for one case: who hands in `pieces` (`seam`) may put whole frames of its own between those
  of a direction. What came stays as it is, in its order; without `pieces` not a byte is added.
- An end is passed on as the end it was: a half-close as a half-close, a reset as a reset. TLS knows no half-close; there
  the whole connection is closed.
- A side that does not read stops the other from being read: at most some 200 kB of a direction wait here.
- Both sockets send at once (asyncio sets TCP_NODELAY).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from typing import Literal

Side = Literal["client", "server"]
How = Literal["end", "reset"]
Pieces = Callable[[Side, bytes], Iterable[bytes]]
PIECE = 256 * 1024
_LET_GO = 10.0
"""Seconds for what is still to be sent when a connection ends."""
_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""For SO_LINGER: closing resets."""


class Peer:
    """One of the two sockets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.ended = False
        """Nothing can be written to it any more."""

    def write_eof(self) -> None:
        """Say that nothing more comes; over TLS that is the end of both directions."""
        self.ended = True
        if self.writer.is_closing():
            return
        if self.writer.can_write_eof():
            with contextlib.suppress(OSError):
                self.writer.write_eof()
        else:
            self.writer.close()

    def reset(self) -> None:
        """End it with a TCP reset, as the other side did."""
        sock = self.writer.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self.writer.transport.abort()

    async def let_go(self) -> None:
        """Close it when all is sent; at once when that takes too long, or nobody can wait."""
        self.writer.close()
        try:
            async with asyncio.timeout(_LET_GO):
                await self.writer.wait_closed()
        except OSError:  # TimeoutError is one
            pass
        finally:
            self.writer.transport.abort()

    async def answer(self, raw: bytes) -> None:
        """Last words. Whatever it still says is read for a moment: closing over unread bytes would lose them."""
        with contextlib.suppress(OSError):
            self.writer.write(raw)
            async with asyncio.timeout(2):
                await self.writer.drain()
                if self.writer.can_write_eof():
                    self.writer.write_eof()
                    while await self.reader.read(PIECE):
                        pass
        await self.let_go()


def as_it_came(side: Side, data: bytes) -> Iterable[bytes]:
    return (data,)


async def relay(
    client: Peer,
    server: Peer,
    first: tuple[bytes, bytes],
    saw: Callable[[Side, bytes], None],
    ended: Callable[[Side, How], None] = lambda side, how: None,
    pieces: Pieces = as_it_came,
) -> None:
    """Carry until both directions have ended. Closes neither.

    `first` is what was read of the client and of the server already. `saw` is told of all bytes after they were passed
    on, `ended` of who ended first, and how, when that happens; they must not raise. `pieces` gives what came of a side
    in pieces, each of which is passed on, and told to `saw`, before the next is asked for.
    """
    up = asyncio.create_task(_carry(client, server, "client", first[0], saw, pieces))
    down = asyncio.create_task(_carry(server, client, "server", first[1], saw, pieces))
    try:
        done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        task = up if up in done else down
        side, how = task.result()
        ended(side, how)
        if how == "end":
            side, how = await (down if task is up else up)
        if how == "reset":
            (client if side == "server" else server).reset()
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _carry(
    source: Peer,
    sink: Peer,
    side: Side,
    first: bytes,
    saw: Callable[[Side, bytes], None],
    pieces: Pieces,
) -> tuple[Side, How]:
    other: Side = "server" if side == "client" else "client"
    data = first
    while True:
        if data:
            if sink.writer.is_closing():
                return other, "end"
            for piece in pieces(side, data):
                sink.writer.write(piece)
                saw(side, piece)
            try:
                await sink.writer.drain()
            except OSError:
                return other, "reset"
        try:
            data = await source.reader.read(PIECE)
        except OSError:
            return side, "reset"
        if not data:
            sink.write_eof()
            return side, "end"
