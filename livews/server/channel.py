"""The server's end of one socket: every frame goes out here, and every fault happens here.

- Frames are binary, in the service's form (WIRE-1), unless a fault says otherwise.
- Each frame is followed by the conversation before it is sent, and told to the recorder: what is seen is what went out.
- A client that does not read stops its own session (the socket's buffer is the only one) and nobody else's.
- `Gone` ends a session: the socket is closed or cut, and nothing more may be sent.
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
from livews.server import faults, service_format
from livews.server.faults import Fault


class ConnectionEnded(Exception):
    """The socket is no more. `how` says what happened, in words for the log."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class ServerChannel:
    """Sends for one session. `values` fill the blanks of a close that a fault asks for.

    `go_away` says goAway with so many seconds left, and closes when they are over.
    """

    def __init__(
        self,
        socket: ServerConnection,
        talk: Conversation,
        given: Iterable[Fault] = (),
        recorder: Recorder | None = None,
        go_away: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self.sent = 0
        """Messages that went out."""
        self.values: dict[str, str] = {}
        self.muted = False
        self.stalled = False
        """Nothing is sent, and nothing closed: only the client can end it."""
        self.turn_ends_at = "turnComplete"
        """What ends a turn for the fault that bundles one."""
        self.ended = ""
        """How the socket ended, when this side ended it."""
        self.failure: Exception | None = None
        """What a task of this session failed with: a fault of ours, or a recorder that cannot write."""
        self._socket = socket
        self._talk = talk
        self._recorder = recorder
        self._clock = Clock()
        self._go_away = go_away
        self._once: list[Fault] = []
        self._always: dict[str, Fault] = {}
        self._bundle: faults.FrameBundle | None = None
        self._sending: set[asyncio.Task[None]] = set()
        for fault in given:
            self.arm(fault)

    @property
    def names(self) -> set[str]:
        """The faults that last."""
        return set(self._always)

    def arm(self, fault: Fault) -> None:
        """From now on."""
        if fault.at:
            self._once.append(fault)
            return
        self._always[fault.name] = fault
        if fault.name == "late-pong":
            self._answer_pings_late(fault.number)
        elif fault.name == "bundled":
            self._bundle = faults.FrameBundle()

    def always(self, name: str) -> Fault | None:
        return self._always.get(name)

    # What comes in is told to the recorder too

    def heard(self, raw: bytes, text: bool, step: Step) -> None:
        if self._recorder is not None:
            if step.raw is not raw:  # a token fixes the setup: what counts is not what came
                step = replace(step, raw=raw)
            self._recorder.frame(self._clock(), "send", "text" if text else "binary", step)

    # What goes out

    async def send(self, message: dict[str, Any] | bytes) -> None:
        """A message, or the bytes of one in the service's form. `Gone` when there is nobody to send to."""
        if self.muted:
            return
        if self._always and (self._bundle or self._always.keys() & _CONTENT):
            if isinstance(message, bytes):
                message = codec.parse(message)
            for one in self._altered(message):
                await self._send_one(one)
        else:
            await self._send_one(message)

    def _altered(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """What the faults that change whole messages make of one."""
        if "no-setup-complete" in self._always and "setupComplete" in message:
            return []
        if self._bundle is not None:
            whole = self._bundle.add(message, self.turn_ends_at)
            if whole is None:
                return []
            message = whole
        content = message.get("serverContent")
        if isinstance(content, dict):
            for fault, name in (
                ("no-generation-complete", "generationComplete"),
                ("no-turn-complete", "turnComplete"),
            ):
                if fault in self._always and name in content:
                    content = {key: value for key, value in content.items() if key != name}
                    message = {**message, "serverContent": content}
                    if not content and "usageMetadata" not in message:
                        return []
        if "usage-apart" in self._always and "usageMetadata" in message and len(message) > 1:
            usage = {"usageMetadata": message["usageMetadata"]}
            return [{key: value for key, value in message.items() if key != "usageMetadata"}, usage]
        return [message]

    async def _send_one(self, message: dict[str, Any] | bytes) -> None:
        # <=: what a fault puts in between is counted too, and may be the message that was meant
        due = [fault for fault in self._once if fault.at <= self.sent + 1] if self._once else []
        if due:
            self._once = [fault for fault in self._once if fault not in due]
        for fault in due:
            await self._happen(fault)
        if self.muted:
            return
        if "empty-message" in self._always:
            await self._put(service_format.dump_as_service({}))
        names = self.names
        if isinstance(message, dict):
            raw = faults.serialised(message, names)
        elif names & faults.RESHAPING:
            raw = faults.serialised(codec.parse(message), names)
        else:
            raw = message
        if any(fault.name == "truncated" for fault in due):
            raw = raw[: len(raw) // 2]
        await self._put(raw)
        if "silent-after-goaway" in names and isinstance(message, dict) and "goAway" in message:
            self.muted = True

    async def _happen(self, fault: Fault) -> None:
        """A fault that happens once, ahead of a message or instead of it."""
        message = faults.extra(fault)
        if message is not None:
            await self._put(faults.serialised(message, self.names))
        elif fault.name == "drop":
            self.drop()
        elif fault.name == "close":
            await self.close(*faults.close_of(fault.value, **self.values))
        elif fault.name == "stall":
            self.muted = self.stalled = True
        elif fault.name == "go-away" and self._go_away is not None:
            await self._go_away(fault.number)

    async def _put(self, raw: bytes, *, opcode_text: bool | None = None) -> None:
        step = self._talk.step("server", raw)
        text = "text-frames" in self._always if opcode_text is None else opcode_text
        if self._recorder is not None:
            self._recorder.frame(self._clock(), "recv", "text" if text else "binary", step)
        self.sent += 1
        try:
            fragments = self._always.get("fragments")
            if fragments is not None:
                await self._finish_sending(_cut(raw, max(1, int(fragments.number))), text)
            else:
                await self._socket.send(raw, text=text)  # bytes: a binary frame (WIRE-1)
        except ConnectionClosed:
            raise ConnectionEnded(self.ended) from None

    async def _finish_sending(self, fragments: list[bytes], text: bool) -> None:
        """Fragments go out to the last also when their turn is cut meanwhile: a message cannot be left half said."""
        sending = asyncio.create_task(self._socket.send(fragments, text=text))
        self._sending.add(sending)
        sending.add_done_callback(self._sent)
        await asyncio.shield(sending)

    def _sent(self, sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        if not sending.cancelled():
            sending.exception()  # that the socket is gone is told to whoever waits, if anybody does

    async def put(self, raw: bytes, *, text: bool) -> None:
        """Bytes as they are, as a frame of this kind."""
        await self._put(raw, opcode_text=text)

    # The end

    async def close(self, code: int, reason: str) -> None:
        """Close as the service would, and end the session: always raises `Gone`.

        A row without a code stands for a socket that dies without a close frame.
        """
        if self.stalled:
            await self._socket.wait_closed()
            raise ConnectionEnded(self.ended)
        if code in (0, 1005, 1006):
            self.drop()
        if self._sending:
            await asyncio.wait(self._sending, timeout=_FINISH_SECONDS)
        self.ended = f"closed {code} {reason}".strip()
        self._talk.close("server", code, reason)
        self.control("recv", "close", {"code": code, "reason": reason})
        with contextlib.suppress(ConnectionClosed):
            await self._socket.close(code, closes.cut(reason))
        raise ConnectionEnded(self.ended)

    def drop(self) -> None:
        """Cut the connection without a close frame. Always raises `Gone`."""
        self.ended = "dropped"
        self._talk.close("server", 1006)
        self._socket.transport.abort()
        raise ConnectionEnded(self.ended)

    def control(self, direction: Any, kind: str, about: dict[str, Any]) -> None:
        if self._recorder is not None:
            self._recorder.control(self._clock(), direction, kind, about)

    def note_close(self) -> None:
        """A close nobody here asked for, told to conversation and recorder: the client's, or the socket's own."""
        if self.ended:
            return
        protocol = self._socket.protocol
        sent, received = protocol.close_sent, protocol.close_rcvd
        if sent is not None and not protocol.close_rcvd_then_sent:  # the server stops, or what came was no frame
            self.ended = f"closed {sent.code} {sent.reason}".strip()
            self._talk.close("server", sent.code, sent.reason)
            self.control("recv", "close", {"code": sent.code, "reason": sent.reason})
            return
        code, reason = (received.code, received.reason) if received else (1006, "")
        self._talk.close("client", code, reason)
        self.control("send", "close", {"code": code, "reason": reason})

    def finish(self) -> None:
        for sending in self._sending:
            sending.cancel()
        if self._recorder is not None:
            self._recorder.close()

    def watch(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of this session. `Gone` ends it quietly; what it fails with ends the session, and is raised there."""

        async def watched() -> None:
            try:
                with contextlib.suppress(ConnectionEnded):
                    await work
            except Exception as problem:
                self.failure = problem
                self._socket.transport.abort()

        task = asyncio.create_task(watched())
        task.add_done_callback(lambda _: work.close())  # a task that is cancelled before it began awaits nothing
        return task

    def _answer_pings_late(self, seconds: float) -> None:
        # websockets answers pings inside its protocol object; holding back that one frame is the least intrusion
        protocol = self._socket.protocol
        at_once = protocol.send_frame
        loop = asyncio.get_running_loop()

        def later(frame: Frame) -> None:
            if frame.opcode is Opcode.PONG:
                loop.call_later(seconds, self._pong, at_once, frame)
            else:
                at_once(frame)

        protocol.send_frame = later  # type: ignore[method-assign]

    def _pong(self, send: Callable[[Frame], None], frame: Frame) -> None:
        with contextlib.suppress(Exception):  # the socket may be gone by now
            send(frame)
            self._socket.send_data()


_FINISH_SECONDS = 5.0
"""What a message in fragments is given to end in, ahead of a close."""
_CONTENT = {"no-setup-complete", "no-generation-complete", "no-turn-complete", "usage-apart", "bundled"}


def _cut(whole: bytes, size: int) -> list[bytes]:
    return [whole[i : i + size] for i in range(0, len(whole), size)]
