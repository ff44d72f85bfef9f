"""The socket of a replay, its conversation and its recorders.

- Every frame, both ways, goes through `Conversation.step` and to the recorders, in the order it met the socket.
- It is read to the end, also when nobody listens any more: the trace wants the close that comes behind.
- A recorder that cannot write ends the session, and `close` raises it. No exception of websockets leaves this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from livews.connect_errors import PONG_WITHIN, DialTarget, dial
from livews.core import closes
from livews.core.conversation import Conversation, Step
from livews.core.endpoint_paths import parse_endpoint_path
from livews.errors import LivewsError
from livews.recorder import Clock, Direction, Opcode, Recorder

_CLOSING = 2.0
"""Seconds for a close, and for what comes before its echo."""


class ReplayEnded(Exception):
    """Nothing more can be said or heard."""


class ReplayConnection:
    """One socket. `heard` is given each message with its time and opcode; `closed` the close that ended it, unless we
    left: its step, code and reason, and whether websockets gave up by itself."""

    def __init__(
        self,
        place: DialTarget,
        recorders: Sequence[Recorder],
        heard: Callable[[Step, float, Opcode], None],
        closed: Callable[[Step, int, str, bool], None],
    ) -> None:
        # followed as a recording is, so that the same is found in both
        surface, version = parse_endpoint_path(place.url)
        self.talk = Conversation(inspect=True, surface=surface, version=version)
        self.clock = Clock()
        self.news = asyncio.Event()
        """Set by each message and by the end; whoever waits clears it."""
        self.over = False
        """Nothing more is heard: the socket is closed, or we leave."""
        self._place = place
        self._recorders = recorders
        self._heard = heard
        self._closed = closed
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._left = False
        self._broken: Exception | None = None

    async def open(self, timeout: float) -> None:
        """Raises as `reach.dial` does."""
        self._socket = await dial(
            self._place, timeout, ping_interval=20, ping_timeout=PONG_WITHIN, close_timeout=_CLOSING
        )
        self._reading = asyncio.create_task(self._read(self._socket), name="livews-replay")

    async def send(self, raw: bytes, opcode: Opcode) -> None:
        if self.over or self._socket is None:
            raise ReplayEnded
        step = self.talk.step("client", raw)
        for recorder in self._recorders:
            recorder.frame(self.clock(), "send", opcode, step)
        try:
            async with asyncio.timeout(PONG_WITHIN):
                await self._socket.send(raw, text=opcode == "text")
        except TimeoutError:  # who does not read sees no close either
            self._socket.transport.abort()
            if self._reading is not None:
                await asyncio.wait({self._reading}, timeout=_CLOSING)  # it tells that the session is lost
            raise ReplayEnded from None
        except ConnectionClosed:
            raise ReplayEnded from None

    def give_up(self) -> None:
        """Hear nothing more."""
        self.over = True
        self.news.set()

    async def leave(self, code: int = 1000, reason: str = "") -> None:
        """Close; with 1006 go without a word."""
        if self._left or self._socket is None:
            return
        self._left = self.over = True
        if self._socket.state is not State.OPEN:
            return
        self._control("send", code, reason)
        if code == 1006:
            self._socket.transport.abort()
            return
        try:
            async with asyncio.timeout(2 * _CLOSING):
                await self._socket.close(code, closes.cut(reason))
        except TimeoutError:  # it does not read
            self._socket.transport.abort()

    async def close(self) -> None:
        """Leave, read what is still on its way, and end the recorders. Raises what one of them failed with."""
        try:
            await self.leave()
            if self._reading is not None:
                await asyncio.wait({self._reading}, timeout=_CLOSING)
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)
        finally:
            for recorder in self._recorders:
                recorder.close()
        if self._broken is not None:
            raise self._broken

    async def _read(self, socket: ClientConnection) -> None:
        try:
            while True:
                frame = await socket.recv()
                opcode: Opcode = "text" if isinstance(frame, str) else "binary"
                raw = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
                step = self.talk.step("server", raw)
                t = self.clock()
                for recorder in self._recorders:
                    recorder.frame(t, "recv", opcode, step)
                if not self.over:
                    self._heard(step, t, opcode)
                    self.news.set()
        except ConnectionClosed as closed:
            self._was_closed(closed)
        except Exception as failed:  # a recorder that cannot write
            self._broken = failed
        finally:
            self.give_up()

    def _was_closed(self, closed: ConnectionClosed) -> None:
        # websockets gives up first, with a close of its own, on frames that are too large or no WebSocket
        ours = closed.sent is not None and not closed.rcvd_then_sent and not self.over
        frame = closed.sent if ours else closed.rcvd
        code, reason = (frame.code, frame.reason) if frame is not None else (1006, "")
        self._control("send" if ours else "recv", code, reason)
        if not self.over:
            self._closed(self.talk.close("client" if ours else "server", code, reason), code, reason, ours)

    def _control(self, direction: Direction, code: int, reason: str) -> None:
        try:
            for recorder in self._recorders:
                recorder.control(self.clock(), direction, "close", {"code": code, "reason": reason})
        except LivewsError as failed:
            self._broken = self._broken or failed
