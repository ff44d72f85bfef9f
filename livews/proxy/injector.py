"""Put a message of one's own between two messages that pass by.

- A whole message in one frame, not compressed (RFC 7692 allows that between compressed ones), masked towards the service;
  text towards the service and binary towards the client, as the wire has it.
- Never inside a frame or a message of that direction: it waits until that ends. Never behind a close.
- What came is not touched, and nothing is held back for longer than it takes to write the frame.
- It passes the watch as any other message; `ours` says meanwhile that nobody of the two wrote it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from websockets.frames import Frame, Opcode

from livews.proxy.observer import ConnectionObserver
from livews.proxy.relay import Peer, Side

MOST = 16 * 1024 * 1024
"""Bytes of one message."""
_UNREAD = 1024 * 1024
"""Bytes that may wait for a side that does not read before nothing is put there."""
_PATIENCE = 10.0
"""Seconds for a message that is on its way to end."""


class MessageInjector:
    """The two streams of one session, between whose messages something may be put."""

    def __init__(self, client: Peer, server: Peer, watch: ConnectionObserver) -> None:
        self.ours = False
        """What the watch is told of now was put here."""
        name = client.writer.get_extra_info("peername")
        self.client_port = int(name[1]) if name else 0
        """The port the client dials from."""
        self._sinks: dict[Side, Peer] = {"client": server, "server": client}
        self._watch = watch
        self._waiting: dict[Side, list[tuple[bytes, asyncio.Future[bool]]]] = {"client": [], "server": []}
        self._over = False

    async def put(self, side: Side, text: str) -> str:
        """Say `text` as if `side` had said it. "" when it was written, else why it was not."""
        raw = text.encode()
        if why := self._refused(side, len(raw)):
            return why
        client = side == "client"
        frame = bytes(Frame(Opcode.TEXT if client else Opcode.BINARY, raw).serialize(mask=client))
        if self._watch.frames[side].between and not self._waiting[side]:
            self._sinks[side].writer.write(frame)
            self.ours = True
            try:
                self._watch.saw(side, frame)
            finally:
                self.ours = False
            return ""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        one = (frame, done)
        self._waiting[side].append(one)
        try:
            async with asyncio.timeout(_PATIENCE):
                return "" if await done else "the session ended before this could be sent"
        except TimeoutError:
            if not done.cancelled() and done.result():  # in the last moment
                return ""
            return f"a message that is on its way did not end within {_PATIENCE:g} s, so this one was not sent"
        finally:
            if one in self._waiting[side]:
                self._waiting[side].remove(one)

    def pieces(self, side: Side, data: bytes) -> Iterator[bytes]:
        """What came of `side`, and what waits to be put there behind the message that ends in it."""
        at = self._watch.frames[side].boundary(data) if self._waiting[side] else None
        if at is None:
            yield data
            return
        yield data[:at]
        if not self._refused(side, 0):
            self.ours = True
            while self._waiting[side]:
                frame, done = self._waiting[side].pop(0)
                yield frame
                if not done.done():
                    done.set_result(True)
            self.ours = False
        if at < len(data):
            yield data[at:]

    def over(self) -> None:
        """Nothing passes any more."""
        self._over = True
        for waiting in self._waiting.values():
            for _, done in waiting:
                if not done.done():
                    done.set_result(False)

    def _refused(self, side: Side, size: int) -> str:
        """Why nothing can be put there now, "" when it can."""
        sink, watch = self._sinks[side], self._watch
        if self._over or sink.ended or sink.writer.is_closing():
            return "the session has ended"
        if side in watch.closes:
            return f"the {'client' if side == 'client' else 'service'} has closed: nothing may come behind a close"
        if watch.frames[side].lost:
            return f"livews cannot see where a message ends there: {watch.frames[side].lost}"
        if size > MOST:
            return f"a message of more than {MOST:,} bytes is not sent from here"
        if sink.writer.transport.get_write_buffer_size() > _UNREAD:
            return f"the {'service' if side == 'client' else 'client'} does not read what it is sent"
        return ""
