"""The server's end of one connection: sends every frame, and is where faults happen.

- Frames are binary, in the service's form (WIRE-1), unless a fault says otherwise.
- Each frame passes the conversation and the recorder before it is sent, so both see exactly what goes out.
- A client that does not read stops its own session (the connection's buffer is the only one) and no other.
- `ConnectionEnded` ends a session: the connection is closed or cut, and nothing more may be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from livews.core import closes, codec
from livews.core.conversation import Conversation, Step
from livews.recorder import Clock, Recorder
from livews.server import faults
from livews.server.faults import Fault

_FINISH_SECONDS = 5.0
"""Time for a fragmented message to be finished before a close."""


class ConnectionEnded(Exception):
    """The connection is closed or cut, and its session over."""


class ServerChannel:
    """Sends the frames of one session.

    - `conversation` follows every frame; `recorder`, if any, records it.
    - `fault_list`: faults that are active from the start.
    - `go_away`: sends goAway with so many seconds left, and closes when they are over; for the fault of that name.
    """

    def __init__(
        self,
        connection: ServerConnection,
        conversation: Conversation,
        fault_list: Iterable[Fault] = (),
        recorder: Recorder | None = None,
        go_away: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self.sent = 0
        """Messages that went out."""
        self.reason_values: dict[str, str] = {}
        """Values for the placeholders of a close reason."""
        self.muted = False
        self.stalled = False
        """Nothing is sent or closed any more: only the client can end the session."""
        self.turn_ends_at = "turnComplete"
        """The member that ends a turn, for the fault that bundles one."""
        self.ended = ""
        """How the connection ended, when this side ended it."""
        self.failure: Exception | None = None
        """What a task of this session failed with: a bug, or a recorder that cannot write."""
        self._connection = connection
        self._conversation = conversation
        self._recorder = recorder
        self._clock = Clock()
        self._go_away = go_away
        self._once: list[Fault] = []
        self._lasting: dict[str, Fault] = {}
        self._bundle: faults.FrameBundle | None = None
        self._sending: set[asyncio.Task[None]] = set()
        for fault in fault_list:
            self.add_fault(fault)

    def add_fault(self, fault: Fault) -> None:
        """Activate a fault from now on."""
        if fault.at:
            self._once.append(fault)
            return
        self._lasting[fault.name] = fault
        if fault.name == "late-pong":
            self._delay_pongs(fault.number)
        elif fault.name == "bundled":
            self._bundle = faults.FrameBundle()

    def lasting_fault(self, name: str) -> Fault | None:
        """The active fault of this name, if it is one that lasts."""
        return self._lasting.get(name)

    def record_received(self, raw: bytes, text: bool, step: Step) -> None:
        """Record a message of the client: the bytes that came, even where a token replaced its setup."""
        if self._recorder is not None:
            step = step if step.raw is raw else replace(step, raw=raw)
            self._recorder.frame(self._clock(), "send", "text" if text else "binary", step)

    # Sending

    async def send(self, message: dict[str, Any] | bytes) -> None:
        """Send a message, or the bytes of one in the service's form. ConnectionEnded when the client is gone."""
        if self.muted:
            return
        if self._lasting and self._lasting.keys() & faults.CONTENT:
            for part in self._altered(codec.parse(message) if isinstance(message, bytes) else message):
                await self._send_one(part)
        else:
            await self._send_one(message)

    def _altered(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """The messages to send instead of one, after the faults that change whole messages."""
        if "no-setup-complete" in self._lasting and "setupComplete" in message:
            return []
        if self._bundle is not None:
            whole = self._bundle.add(message, self.turn_ends_at)
            if whole is None:
                return []
            message = whole
        return faults.without_members(message, self._lasting.keys())

    async def _send_one(self, message: dict[str, Any] | bytes) -> None:
        # <=: messages that a fault inserts are counted too, and may pass the number that was meant
        due = [fault for fault in self._once if fault.at <= self.sent + 1] if self._once else []
        for fault in due:
            self._once = [waiting for waiting in self._once if waiting not in due]
            await self._trigger(fault)
        if self.muted:
            return
        if "empty-message" in self._lasting:
            await self.send_raw(codec.dump_as_service({}))
        names = self._lasting.keys()
        if names and isinstance(message, bytes) and names & faults.RESHAPING:
            message = codec.parse(message)
        raw = message if isinstance(message, bytes) else faults.serialised(message, names)
        if any(fault.name == "truncated" for fault in due):
            raw = raw[: len(raw) // 2]
        await self.send_raw(raw)
        if "silent-after-goaway" in names and isinstance(message, dict) and "goAway" in message:
            self.muted = True

    async def _trigger(self, fault: Fault) -> None:
        """Let a fault happen that happens once, before a message or instead of it."""
        message = faults.inserted_message(fault)
        if message is not None:
            await self.send_raw(faults.serialised(message, self._lasting.keys()))
        elif fault.name == "drop":
            self.drop()
        elif fault.name == "close":
            await self.close(*faults.close_of(fault.value, **self.reason_values))
        elif fault.name == "stall":
            self.muted = self.stalled = True
        elif fault.name == "go-away" and self._go_away is not None:
            await self._go_away(fault.number)

    async def send_raw(self, raw: bytes, *, text: bool | None = None) -> None:
        """Send bytes as they are; `text` chooses the kind of frame, None the active faults."""
        text = "text-frames" in self._lasting if text is None else text
        step = self._conversation.step("server", raw)
        if self._recorder is not None:
            self._recorder.frame(self._clock(), "recv", "text" if text else "binary", step)
        self.sent += 1
        try:
            fragments = self._lasting.get("fragments")
            if fragments is not None:
                await self._send_fragments(raw, max(1, int(fragments.number)), text)
            else:
                await self._connection.send(raw, text=text)  # bytes: a binary frame (WIRE-1)
        except ConnectionClosed:
            raise ConnectionEnded from None

    async def _send_fragments(self, raw: bytes, size: int, text: bool) -> None:
        """Send a message in fragments: all of them, even if its turn is cut, since a message must be finished."""
        fragments = [raw[at : at + size] for at in range(0, len(raw), size)]
        sending = asyncio.create_task(self._connection.send(fragments, text=text))
        self._sending.add(sending)
        sending.add_done_callback(self._fragments_sent)
        await asyncio.shield(sending)

    def _fragments_sent(self, sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        if not sending.cancelled():
            sending.exception()  # a lost connection is reported to the caller, if one still waits

    # The end

    async def close(self, code: int, reason: str) -> None:
        """Close as the service would, and end the session: always raises ConnectionEnded.

        A code without a close frame (0, 1005, 1006) cuts the connection.
        """
        if self.stalled:
            await self._connection.wait_closed()
            raise ConnectionEnded
        if code in (0, 1005, 1006):
            self.drop()
        if self._sending:
            await asyncio.wait(self._sending, timeout=_FINISH_SECONDS)
        self._note_own_close(code, reason)
        with contextlib.suppress(ConnectionClosed):
            await self._connection.close(code, closes.cut(reason))
        raise ConnectionEnded

    def drop(self) -> None:
        """Cut the connection without a close frame. Always raises ConnectionEnded."""
        self.ended = "dropped"
        self._conversation.close("server", 1006)
        self._connection.transport.abort()
        raise ConnectionEnded

    def note_close(self) -> None:
        """Report a close that this class did not make: the client's, or one by websockets itself."""
        if self.ended:
            return
        protocol = self._connection.protocol
        sent, received = protocol.close_sent, protocol.close_rcvd
        if sent is not None and not protocol.close_rcvd_then_sent:  # the server stops, or a frame was malformed
            self._note_own_close(sent.code, sent.reason)
            return
        code, reason = (received.code, received.reason) if received else (1006, "")
        self._conversation.close("client", code, reason)
        self._record_close("send", code, reason)

    def _note_own_close(self, code: int, reason: str) -> None:
        self.ended = f"closed {code} {reason}".strip()
        self._conversation.close("server", code, reason)
        self._record_close("recv", code, reason)

    def _record_close(self, direction: Any, code: int, reason: str) -> None:
        if self._recorder is not None:
            self._recorder.control(self._clock(), direction, "close", {"code": code, "reason": reason})

    def description_of_end(self) -> str:
        """How the connection ended, in words."""
        received = self._connection.protocol.close_rcvd
        return self.ended or (f"closed by the client, {received.code}" if received else "lost")

    def finish(self) -> None:
        """Release what the session holds. After its end."""
        for sending in self._sending:
            sending.cancel()
        if self._recorder is not None:
            self._recorder.close()

    # Tasks

    def start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task of this session. ConnectionEnded ends it quietly; another exception ends the session."""

        async def run() -> None:
            try:
                with contextlib.suppress(ConnectionEnded):
                    await work
            except Exception as problem:
                self.failure = problem
                self._connection.transport.abort()

        task = asyncio.create_task(run())
        task.add_done_callback(lambda _: work.close())  # a task cancelled before its start never awaits its work
        return task

    def _delay_pongs(self, seconds: float) -> None:
        # websockets answers pings inside its protocol object; holding back that one frame is the least intrusion
        protocol = self._connection.protocol
        send_now = protocol.send_frame

        def send_frame(frame: Frame) -> None:
            if frame.opcode is Opcode.PONG:
                self._connection.loop.call_later(seconds, send_pong, frame)
            else:
                send_now(frame)

        def send_pong(frame: Frame) -> None:
            with contextlib.suppress(Exception):  # the connection may be gone by now
                send_now(frame)
                self._connection.send_data()

        protocol.send_frame = send_frame  # type: ignore[method-assign]


async def cancel(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
