"""One client's connection as a session: what is sent, how it ends, and where faults happen.

- Frames are binary, in the service's form (WIRE-1), unless a fault says otherwise.
- Each frame passes the conversation and the recorder before it is sent, so both see exactly what goes out.
- A client that does not read stops its own session (the connection's buffer is the only one) and no other.
- `ConnectionEnded` ends a session: the connection is closed or cut, and nothing more may be sent.
- A session ends in one place, `run`, and leaves no task running.
"""

import abc
import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from websockets.exceptions import ConnectionClosed

from livews.audio.analysis.input_check import InputAudioCheck
from livews.conversation import Conversation
from livews.core import close_rows, codec
from livews.core.conversation import Step
from livews.core.schema import Sender
from livews.recorder import Clock, Direction, Recorder
from livews.redactor import remember_handles
from livews.server import faults, service_format
from livews.server.connection import StandInConnection
from livews.server.context import ServerContext, parse_request_target
from livews.server.faults import Fault
from livews.trace.waiting import Waiting

_SLICE = 0.005
"""Seconds of taking messages after which other sessions get a turn."""
_FINISH_SECONDS = 5.0
"""Time for a fragmented message to be finished before a close."""
_MIDDLE = 2
"""Messages of a turn after which faults happen that happen in its middle."""


class ConnectionEnded(Exception):
    """The connection is closed or cut, and its session over."""


class ServerSession(abc.ABC):
    """One connection, from its upgrade to its close. A session answers freely, or plays a script.

    `number`: the session's, from 1. `as_of`: the month whose rules count, "" for today's.
    """

    def __init__(
        self, connection: StandInConnection, context: ServerContext, number: int, *, as_of: str = ""
    ) -> None:
        assert connection.request is not None
        self.number = number
        self.connection = connection
        self.context = context
        self.config = context.config
        self.target = parse_request_target(connection.request)
        self.conversation = Conversation(surface=self.target.surface, version=self.target.version, as_of=as_of)
        self.input_check = InputAudioCheck()
        self.received = 0
        """Messages that came."""
        self.sent = 0
        """Messages that went out."""
        self.ended = ""
        """How it ended, in words; "" while it goes on."""
        self.close_cause = ""
        """What led to the close, in words."""
        self.differences: list[str] = []
        """What the client did otherwise than the script."""
        self.lasting_faults: dict[str, Fault] = {}
        """The faults that are active now, by name."""
        self.stalled = False
        """Nothing is sent or closed any more: only the client can end the session."""
        self.reason_values: dict[str, str] = {}
        """Values for the placeholders of a close reason."""
        self.turn_ends_at = "turnComplete"
        """The member that ends a turn, for the fault that bundles one."""
        self._muted = False
        self._in_turn = 0
        """Messages of the turn that runs, from its first output on."""
        self.cut_turn = False
        """The connection ended while a turn was running."""
        self._failure: Exception | None = None
        """What a task failed with: a bug, or a recorder that cannot write."""
        self._recorder: Recorder | None = None
        self.clock = Clock()
        """Seconds since the connection was opened."""
        self.waiting = Waiting(self.conversation)
        self._waiting_faults: list[Fault] = []
        """Faults that happen once."""
        self._bundle = faults.FrameBundle()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: asyncio.Task[None] | None = None
        """The last message that was sent in fragments."""
        for fault in self.config.faults:
            self.add_fault(fault)

    @property
    def model(self) -> str:
        """The model that setup names."""
        return str(self.conversation.setup.get("model", ""))

    @abc.abstractmethod
    async def serve(self) -> None:
        """Talk to the client until its connection ends."""

    @abc.abstractmethod
    async def take(self, raw: bytes, *, text: bool) -> None:
        """Take a message of the client."""

    @abc.abstractmethod
    def summary(self, seconds: float) -> str:
        """The session in a line or more for the log; it took so many seconds."""

    def status(self) -> dict[str, Any]:
        """The session's part of GET /livews/status."""
        return {
            "session": self.number,
            "model": self.model,
            "states": self.conversation.states,
            "received": self.received,
            "sent": self.sent,
            "ended": self.ended,
        }

    async def turn_ended(self) -> None:  # noqa: B027
        """Do what follows the turnComplete of a whole turn."""

    async def run(self) -> None:
        """Serve the client until its connection ends. TraceFailed if it cannot be recorded."""
        try:
            if self.config.record:
                url = self.context.url + self.target.path
                self._recorder = self.config.record(self.number, url, self.target.credential)
            await self.serve()
        finally:
            received = self.connection.protocol.close_rcvd
            self.ended = self.ended or (f"closed by the client, {received.code}" if received else "lost")
            await cancel(*self._tasks)
            if self._recorder is not None:
                self._recorder.close()
        if self._failure is not None:
            raise self._failure

    async def read(self) -> None:
        """Take the client's messages until it leaves."""
        loop, pause_at = asyncio.get_running_loop(), 0.0
        try:
            while True:
                if loop.time() > pause_at:  # receiving does not pause while messages wait
                    await asyncio.sleep(0)
                    pause_at = loop.time() + _SLICE
                raw, text = await self.connection.receive()
                self.received += 1
                await self.take(raw, text=text)
        except ConnectionClosed:
            pass
        finally:
            self._note_other_close()

    def record_received(self, raw: bytes, text: bool, step: Step) -> None:
        """Record a message of the client: the bytes that came, even where a token replaced its setup."""
        remember_handles(step)
        self.waiting.take(self.clock(), step)
        if self._recorder is not None:
            step = step if step.raw is raw else replace(step, raw=raw)
            self._recorder.frame(self.clock(), "send", "text" if text else "binary", step)

    def log(self, line: str) -> None:
        """Write a line about this session to the log."""
        self.config.log(f"session {self.number}: {line}")

    def start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task of this session. ConnectionEnded ends it quietly; another exception ends the session."""

        async def run() -> None:
            try:
                with contextlib.suppress(ConnectionEnded):
                    await work
            except Exception as problem:
                self._failure = problem
                self.connection.transport.abort()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # a task cancelled before its start never awaits its work
        return task

    # Sending

    async def send(self, message: dict[str, Any] | bytes) -> None:
        """Send a message, or the bytes of one in the service's form. ConnectionEnded when the client is gone."""
        if self._muted:
            return
        parts = [message]
        if (names := self.lasting_faults.keys()) and names & faults.CONTENT:
            message = codec.parse(message) if isinstance(message, bytes) else message
            parts = faults.altered(message, names, self._bundle, self.turn_ends_at)
        for part in parts:
            await self._send_one(part)

    async def _send_one(self, message: dict[str, Any] | bytes) -> None:
        names = self.lasting_faults.keys()
        # <=: messages that a fault inserts are counted too, and may pass the number that was meant
        due = [fault for fault in self._waiting_faults if fault.at <= self.sent + 1]
        for fault in due:
            self._waiting_faults = [waiting for waiting in self._waiting_faults if waiting not in due]
            await self._trigger(fault)
        if self._in_turn >= _MIDDLE:
            await self._trigger_every("drop-every", "close-every")
        if self._muted:
            return
        if "empty-message" in names:
            await self.send_raw(service_format.dump_as_service({}))
        if names and isinstance(message, bytes) and names & faults.RESHAPING:
            message = codec.parse(message)
        raw = message if isinstance(message, bytes) else faults.serialised(message, names)
        if any(fault.name == "truncated" for fault in due):
            raw = raw[: len(raw) // 2]
        if any(fault.name == "drop-in-message" for fault in due):
            await self.connection.send_half(raw)
            self.drop()
        turns, is_setup = self.conversation.turns, self.conversation.state("session") == "opening"
        await self.send_raw(raw)
        if self.conversation.turns > turns:
            await self._trigger_every("go-away-every")
        if is_setup and self.conversation.state("session") == "ready":
            await self._trigger_accepted()
        if "silent-after-goaway" in names and isinstance(message, dict) and "goAway" in message:
            self._muted = True

    async def send_raw(self, raw: bytes, *, text: bool | None = None) -> None:
        """Send bytes as they are; `text` chooses the kind of frame, None the active faults."""
        text = "text-frames" in self.lasting_faults if text is None else text
        step = self.conversation.step("server", raw)
        remember_handles(step)
        self._in_turn += bool(self._in_turn or "output" in step.signals)
        self._in_turn *= "turnEnd" not in step.signals
        self.waiting.take(self.clock(), step)
        if self._recorder is not None:
            self._recorder.frame(self.clock(), "recv", "text" if text else "binary", step)
        self.sent += 1
        try:
            if fault := self.lasting_faults.get("fragments"):
                size = max(1, int(fault.number))
                # all of them, even if its turn is cut, since a message must be finished
                self._sending = self.start_task(self._send_fragments(raw, size, text))
                await asyncio.shield(self._sending)
            else:
                await self.connection.send(raw, text=text)  # bytes: a binary frame (WIRE-1)
        except ConnectionClosed:
            raise ConnectionEnded from None

    async def _send_fragments(self, raw: bytes, size: int, text: bool) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.connection.send([raw[at : at + size] for at in range(0, len(raw), size)], text=text)

    # Faults

    def add_fault(self, fault: Fault) -> None:
        """Activate a fault from now on."""
        if fault.at:
            self._waiting_faults.append(fault)
            return
        self.lasting_faults[fault.name] = fault
        if fault.name == "late-pong":
            self.connection.delay_pongs(fault.number)

    async def _trigger(self, fault: Fault) -> None:
        """Let a fault happen that happens once, before a message or instead of it."""
        if inserted := faults.INSERTED.get(fault.name):
            await self.send_raw(faults.serialised(inserted, self.lasting_faults.keys()))
        elif fault.name in ("drop", "drop-every"):
            self.drop()
        elif fault.name == "reset":
            self.drop(reset=True)
        elif fault.name in ("close", "close-every", "accept-and-close"):
            await self.close(*faults.close_of(fault.value, **self.reason_values))
        elif fault.name == "stall":
            self._muted = self.stalled = True
        elif fault.name in ("go-away", "go-away-every"):
            await self.go_away(fault.number)

    async def _trigger_every(self, *names: str) -> None:
        """Let faults of every N-th turn happen, if the turn that runs, or has just ended, is one."""
        turn = self.conversation.turns + (self._in_turn > 0)
        for name in names:
            if (fault := self.lasting_faults.get(name)) and turn % fault.every == 0:
                await self._trigger(fault)

    async def _trigger_accepted(self) -> None:
        """Let faults happen that follow setupComplete."""
        if fault := self.lasting_faults.get("accept-and-close"):
            await self._trigger(fault)
        if "accept-and-silent" in self.lasting_faults:
            self._muted = self.stalled = True
            self.connection.delay_pongs(None)

    # The end

    async def go_away(self, seconds: float) -> None:
        """Send goAway with so many seconds left, and close when they are over (GOAWAY-1)."""
        await self.send({"goAway": {"timeLeft": service_format.format_duration(seconds)}})
        self.start_task(self._leave(seconds))

    async def _leave(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.close(*close_rows.frame_for("goaway-ignored"))

    async def close(self, code: int, reason: str) -> None:
        """Close as the service would, and end the session: always raises ConnectionEnded.

        A code without a close frame (0, 1005, 1006) cuts the connection.
        """
        if self.stalled:
            await self.connection.wait_closed()
            raise ConnectionEnded
        if code in (0, 1005, 1006):
            self.drop()
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=_FINISH_SECONDS)
        self._note_close("server", code, reason)
        with contextlib.suppress(ConnectionClosed):
            await self.connection.close(code, close_rows.cut(reason))
        raise ConnectionEnded

    def drop(self, *, reset: bool = False) -> None:
        """Cut the connection without a close frame, or `reset` it. Always raises ConnectionEnded."""
        self.ended = "dropped"
        self._take_end("server", 1006)
        if reset:
            self.connection.reset()
        self.connection.transport.abort()
        raise ConnectionEnded

    def _note_other_close(self) -> None:
        """Report a close that this class did not make: the client's, or one by websockets itself."""
        if self.ended:
            return
        protocol = self.connection.protocol
        sent, received = protocol.close_sent, protocol.close_rcvd
        if sent is not None and not protocol.close_rcvd_then_sent:  # the server stops, or a frame was malformed
            self._note_close("server", sent.code, sent.reason)
        else:
            self._note_close("client", *((received.code, received.reason) if received else (1006, "")))

    def _note_close(self, sender: Sender, code: int, reason: str) -> None:
        if sender == "server":
            self.ended = f"closed {code} {reason}".strip()
        self._take_end(sender, code, reason)
        if self._recorder is not None:
            direction: Direction = "recv" if sender == "server" else "send"
            self._recorder.control(self.clock(), direction, "close", {"code": code, "reason": reason})

    def _take_end(self, sender: Sender, code: int, reason: str = "") -> None:
        step = self.conversation.close(sender, code, reason)
        self.cut_turn = self.cut_turn or "cutTurn" in step.effects
        self.waiting.take(self.clock(), step)


async def cancel(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel tasks and wait until they have ended."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
