"""`Session`: what is said and heard in a session, over any number of connections.

- The socket is read all the time, whatever the caller does: `interrupted` never waits for unread audio to be consumed.
- A message that the service would refuse is not sent: LocalProtocolError.
- While there is no connection, audio is kept, and everything else that is sent waits.
- Errors are LivewsErrors, and contain no credentials.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from livews import transport
from livews.advice import closes
from livews.conversation import Conversation
from livews.core import codec, models
from livews.core.conversation import Step
from livews.core.events import Event, Ready, ToolCall, TurnEnd, events
from livews.core.rules import Finding
from livews.endpoint import Endpoint
from livews.errors import BadRequest, Closed, LocalProtocolError
from livews.loopback import is_local_url
from livews.recorder import Clock, Recorder
from livews.session.connection import Connection
from livews.session.event_queue import EventQueue
from livews.session.lifetime import Lifetime
from livews.usage import SessionUsage, UsageMeter

if TYPE_CHECKING:
    from livews.audio.analysis.input_check import InputAudioCheck
    from livews.session.policy import ReconnectPolicy
    from livews.session.reconnecting import Reconnector
    from livews.tools.runner import Toolbox

_REMARKS = 100
"""Findings that a session keeps."""
_REMARKABLE = ("MODEL-", "TOOL-", "AUDIO-", "ACTIVITY-4")
"""What the rules of those begin with that are no errors, and remarks all the same."""


class Session:
    """A session that is set up; `connect` makes it.

    Attributes:
        endpoint: where it is connected.
        conversation: the state of both directions of the connection that it has, or had last.
        remarks: findings that are no errors: about the caller's setup, about answers to calls, and about the user's
            audio (another encoding, two channels, silence, clipping, a wrong rate), each once.
        session_id: the ID from the last setupComplete, "" if it has none.
        clock: seconds since the session was made; the times of the trace.
        connection: the one that it has, or had last.
        connections: how many it has had.
    """

    def __init__(
        self,
        where: Endpoint,
        recorders: list[Recorder],
        *,
        unchecked: bool,
        remarks: list[Finding],
        tools: Toolbox | None = None,
        remark: Callable[[Finding], object] | None = None,
    ) -> None:
        self.endpoint = where
        self.remarks = remarks
        self.session_id = ""
        self.clock = Clock()
        self.connections = 0
        self._recorders = recorders
        self._remark = remark
        self._unchecked = unchecked
        self._queue = EventQueue()
        self._more = asyncio.Event()
        self._done = asyncio.Event()
        self._error: Exception | None = None
        self._closing = False
        self._tools = tools
        self._is_sending_audio = False
        self._input: InputAudioCheck | None = None
        """Follows the user's audio, once there is any."""
        self._meter = UsageMeter(models.profile(where.model, where.surface), free=is_local_url(where.url))
        self._lifetime: Lifetime | None = None
        self.connection = self.new_connection()
        self._reconnector: Reconnector | None = None
        """Opens other connections; None where the session ends with its first."""
        if tools is not None:
            tools.open(self._respond, where.secrets.redact, lambda: self.conversation.pending)

    @property
    def conversation(self) -> Conversation:
        return self.connection.conversation

    @property
    def handle(self) -> str:
        """The newest handle to resume the session with, also in another process: `connect(handle=...)`. It is as good
        as a credential for what was said. "" while there is none."""
        return self.conversation.handle or (self._reconnector.handle if self._reconnector is not None else "")

    @property
    def usage(self) -> SessionUsage:
        """Tokens so far by modality, and what they cost by the list of protocol/prices.json."""
        return self._meter.usage()

    @property
    def ping_seconds(self) -> float | None:
        """Round trip of the last ping in seconds, None before the first."""
        return self.connection.transport.round_trip

    @property
    def dropped_audio(self) -> float:
        """Seconds of the user's audio that could be neither sent nor kept."""
        return self._reconnector.backlog.dropped if self._reconnector is not None else 0.0

    # Sending

    async def say(self, text: str) -> None:
        """Send a user turn of text that asks for a reply, in the form the model's profile wants.

        Args:
            text: what the user says.

        Raises:
            LocalProtocolError: the service would refuse it; it was not sent. This and what follows holds for every
                method that sends.
            BadRequest: it contains what JSON cannot hold.
            Closed: the session is over.
        """
        if self.conversation.profile["textInput"] == "realtimeInput":
            await self.send_text(text)
        else:
            turns = [{"role": "user", "parts": [{"text": text}]}]
            await self._send({"clientContent": {"turns": turns, "turnComplete": True}}, composed=True)

    async def send_turns(self, turns: list[dict[str, Any]], *, turn_complete: bool = True) -> None:
        """Send clientContent: turns of the history.

        Args:
            turns: Content objects, as in {"role": "user", "parts": [{"text": "Hello"}]}.
            turn_complete: the model answers now.

        Raises:
            LocalProtocolError, BadRequest, Closed: as `say`.
        """
        await self._send({"clientContent": {"turns": turns, "turnComplete": turn_complete}})

    async def send_text(self, text: str) -> None:
        """Send realtimeInput.text, which counts as activity: it interrupts the model and asks for a reply.

        Args:
            text: what the user says.

        Raises:
            LocalProtocolError, BadRequest, Closed: as `say`.
        """
        await self._send({"realtimeInput": {"text": text}}, composed=True)

    async def send_audio(self, pcm: bytes, rate: int = codec.INPUT_RATE) -> None:
        """Send a chunk of the user's voice.

        Args:
            pcm: mono samples, signed 16 bits, little-endian; 20 to 100 ms of them.
            rate: samples a second (Hz). Default: 16,000.

        Raises:
            LocalProtocolError, Closed: as `say`.
        """
        raw = codec.audio_frame(pcm, rate)
        reconnector = self._reconnector
        if reconnector is None:
            await self._deliver(lambda conversation: conversation.step("client", raw, composed=True))
            return
        if self._done.is_set():
            raise self._ended()
        reconnector.backlog.add(raw, len(pcm) / 2 / rate if rate > 0 else 0.0)
        await self.send_backlog()

    async def send_backlog(self) -> None:
        """Send the audio that waits, as far as there is a connection; it goes on in the background of another call that
        does the same."""
        reconnector = self._reconnector
        if reconnector is None or self._is_sending_audio:  # the socket takes no more now, or another task is at it
            return
        self._is_sending_audio = True
        try:
            while reconnector.backlog and reconnector.is_open(wanted=True):
                await self._deliver(partial(_step_of, reconnector.backlog.take()))
        finally:
            self._is_sending_audio = False

    async def send_image(self, data: bytes, mime_type: str = "image/jpeg") -> None:
        """Send a picture; the service uses one a second at most.

        Args:
            data: the encoded picture.
            mime_type: its type, image/jpeg or image/png.

        Raises:
            LocalProtocolError, Closed: as `say`.
        """
        video = {"mimeType": mime_type, "data": codec.encode_base64(data)}
        await self._send({"realtimeInput": {"video": video}}, composed=True)

    async def activity_start(self) -> None:
        """The user begins to speak; only with automaticActivityDetection.disabled (ACTIVITY-1).

        Raises:
            LocalProtocolError, Closed: as `say`.
        """
        await self._send({"realtimeInput": {"activityStart": {}}}, composed=True)

    async def activity_end(self) -> None:
        """The user has finished; some input must have been sent since the start (ACTIVITY-2).

        Raises:
            LocalProtocolError, Closed: as `say`.
        """
        await self._send({"realtimeInput": {"activityEnd": {}}}, composed=True)

    async def audio_end(self) -> None:
        """Send audioStreamEnd: the microphone is off for a while. Sending audio again restarts the stream.

        Raises:
            LocalProtocolError, Closed: as `say`.
        """
        await self._send({"realtimeInput": {"audioStreamEnd": True}}, composed=True)

    async def respond(
        self, call_id: str, name: str, response: dict[str, Any], *, scheduling: str | None = None
    ) -> None:
        """Answer a ToolCall.

        Args:
            call_id: ID of the call; "" where it has none.
            name: name of the function.
            response: the result.
            scheduling: SILENT, WHEN_IDLE or INTERRUPT, for NON_BLOCKING functions.

        Raises:
            LocalProtocolError, BadRequest, Closed: as `say`.
        """
        await self._respond([(call_id, name, response, scheduling)])

    async def _respond(self, answers: Sequence[tuple[str, str, dict[str, Any], str | None]]) -> None:
        """Answer calls in one message: of each ID, name, response and scheduling, as `respond` has them."""
        responses = [
            {"id": call_id, "name": name, "response": response, "scheduling": scheduling}
            for call_id, name, response, scheduling in answers
        ]
        rows = [
            {key: value for key, value in row.items() if value or key in ("name", "response")} for row in responses
        ]
        await self._send({"toolResponse": {"functionResponses": rows}})

    async def update_context(self, *, system: str = "", tools: list[dict[str, Any]] | None = None) -> None:
        """Send contextUpdate: another system instruction, or other tools.

        Args:
            system: text of the new system instruction; "" leaves it as it is.
            tools: Tool objects that replace all there were; [] removes all, None leaves them as they are. Calls of
                functions declared here are the caller's to answer.

        Raises:
            LocalProtocolError, BadRequest, Closed: as `say`.
        """
        update: dict[str, Any] = {}
        if system:
            update["systemInstruction"] = {"parts": [{"text": system}]}
        if tools is not None:
            update["tools"] = {"tools": tools}
            if self._tools is not None:
                self._tools.left_to_caller(tools)
        await self._send({"contextUpdate": update})

    async def send_raw(self, message: dict[str, Any]) -> None:
        """Send a message of the caller's own, validated like any other.

        Args:
            message: one client message, as in {"realtimeInput": {...}}.

        Raises:
            LocalProtocolError, BadRequest, Closed: as `say`.
        """
        await self._send(message)

    def stop_tools(self, why: str) -> bool:
        """Stop the functions that run now.

        Args:
            why: what the model gets in the place of their results.

        Returns:
            whether any was running.
        """
        return self._tools is not None and self._tools.interrupt(why)

    def note(self, kind: str, about: dict[str, Any]) -> None:
        """Give the recorders a line of the caller's own, such as how much of a reply was `heard`.

        Args:
            kind: its name in the trace.
            about: its members.
        """
        self.connection.transport.note(kind, about)

    # Receiving

    async def events(self) -> AsyncIterator[Event]:
        """Iterate over all events until the session is over.

        Raises:
            Closed: the service closed the connection with an error, or in the middle of a turn.
            RemoteProtocolError: the service sent an invalid or oversized frame.
            TraceFailed: the trace cannot be written.
        """
        while True:
            while self._queue:
                yield self._queue.take()
            if self._done.is_set():
                if self._error is not None:
                    raise self._error
                return
            self._more.clear()
            await self._more.wait()

    async def turn(self) -> AsyncIterator[Event]:
        """Iterate over the events of one turn, TurnEnd last. What comes after it waits for the next `turn()`.

        Where TurnEnd says `waiting`, another turn comes without another prompt, such as the spoken answer to a tool's
        result. There is no time limit: put `asyncio.timeout` around it where the service may never answer.

        Raises:
            Closed: the connection ended before the turn did. Others as `events`.
        """
        async for event in self.events():
            yield event
            if isinstance(event, TurnEnd):
                return
        if not self._closing:
            raise Closed(closes.explain(1000), where=self.endpoint.shown, during="in the middle of a turn")

    async def ping(self) -> float:
        """Send a WebSocket ping and wait for its pong, as long as the session lasts; limit it with `asyncio.timeout`.

        Returns:
            seconds of the round trip.

        Raises:
            Closed: the session is over; or the error it ended with.
        """
        if self._reconnector is not None:
            await self._reconnector.wait_open()
        seconds = None if self._done.is_set() else await self.connection.transport.ping()
        if seconds is None:
            raise self._ended()
        return seconds

    async def wait_closed(self) -> None:
        """Wait until the session is over.

        Raises:
            Closed, RemoteProtocolError, TraceFailed: as `events`.
        """
        await self._done.wait()
        if self._error is not None:
            raise self._error

    async def close(self, *, patience: float | None = None) -> None:
        """Close with 1000 and wait for the server's close frame. Events that arrive until then can still be read.

        Args:
            patience: seconds to wait. Default: 5; 0.5 after an error.

        Raises:
            TraceFailed: the trace cannot be written.
        """
        await self._close(patience if self._error is None else transport.LINGER)

    async def _close(self, patience: float | None) -> None:
        self._closing = True
        try:
            if self._tools is not None:
                await self._tools.close()
            if self._reconnector is not None:
                await self._reconnector.stop()
        finally:
            try:
                await self.connection.transport.close(patience=patience)
            finally:
                self.finish(None)

    # The connection

    def new_connection(self, handle: str = "") -> Connection:
        """Another connection, not opened yet."""
        for recorder in self._recorders if self.connections else ():
            recorder.continued(self.clock(), self.connections)
        return Connection(
            self.endpoint, self._recorders, self.clock, on_message=self._on_message, on_end=self._on_end, handle=handle,
        )  # fmt: skip

    async def _start(
        self,
        message: dict[str, Any],
        timeouts: tuple[float, float],
        policy: ReconnectPolicy | None,
        refresh: Callable[[], Awaitable[Endpoint]],
    ) -> None:
        self.connections = 1
        self._meter.set_up(message["setup"])
        if policy is not None:
            from livews.session.reconnecting import Reconnector

            self._reconnector = Reconnector(self, policy, message, timeouts, refresh)
        await self.connection.open(message, *timeouts)
        scale = 1.0 if policy is None else policy.time_scale
        self._lifetime = Lifetime(self.conversation.profile, self.clock, self.put, scale)
        self._lifetime.begin(self.conversation.setup, self.connection.setup_step)
        if self._reconnector is not None and not self._done.is_set():
            self._reconnector.begin()

    def _on_message(self, connection: Connection, step: Step) -> None:
        reconnector = self._reconnector
        if "setupComplete" in step.signals and connection is not self.connection:
            if connection.handle:
                connection.conversation.resume(self.conversation)
            else:
                self._meter.begin_again()
                if self._lifetime is not None:
                    self._lifetime.begin(connection.conversation.setup, step)
            self.connection = connection
        if reconnector is not None:
            reconnector.received(connection, step)
        if self._input is not None:
            self._input.take(step)
        for event in events(step):
            if isinstance(event, Ready):
                self.session_id = event.session_id
                continue
            is_known = reconnector is not None and isinstance(event, ToolCall) and reconnector.answer_again(event)
            if self._tools is not None and not is_known:
                self._tools.take(event)
            self.put(event)

    def put(self, event: Event) -> None:
        """Add an event for the application."""
        self._meter.take(event)
        self._queue.put(event)
        self._more.set()

    def _on_end(self, connection: Connection) -> None:
        goes_on = connection.is_set_up and connection.transport.failure is None and not self._closing
        if self._reconnector is not None and goes_on:
            self._reconnector.hold()
        elif connection is self.connection:
            self.finish(None if self._closing else connection.error)

    def finish(self, error: Exception | None) -> None:
        """The session is over; `error` is what its readers get."""
        if not self._done.is_set():
            self._error = error
        if self._lifetime is not None:
            self._lifetime.stop()
        if self._tools is not None:
            self._tools.stop()
        self._more.set()
        self._done.set()
        if self._reconnector is not None:
            self._reconnector.release()

    def _ended(self) -> Exception:
        """What to raise where the session is over already."""
        return self._error or Closed(closes.explain(1000), where=self.endpoint.shown)

    async def _send(self, message: dict[str, Any], *, composed: bool = False) -> None:
        """Validate a message and send it. `composed`: the caller wrote nothing of it but plain strings and bytes, so that
        it fits the schemas and they are not loaded."""

        def step(conversation: Conversation) -> Step | None:
            current = message
            if self._reconnector is not None and "toolResponse" in message:
                current = self._reconnector.current_answers(message)
                if not current:
                    return None
            try:
                return conversation.step_message("client", current, composed=composed)
            except codec.WireError as problem:
                fix = "send strings, numbers, bools, lists and dicts with string keys"
                raise BadRequest("not sent: the message cannot be encoded", why=str(problem), fix=fix) from None

        await self._deliver(step)

    async def _deliver(self, make: Callable[[Conversation], Step | None]) -> None:
        """Make a message for the connection that there is, and send it; while there is none, wait for one."""
        reconnector = self._reconnector
        while True:
            if reconnector is not None:
                await reconnector.wait_open()
            connection = self.connection
            made = make(connection.conversation)
            if made is None:
                return
            step = self._checked(made)
            if reconnector is not None:
                reconnector.sent(step)
            if await connection.transport.send(step):
                return
            if reconnector is None or self._done.is_set():
                raise self._ended()
            if reconnector.is_kept(step):
                return  # it is sent again

    def _checked(self, step: Step) -> Step:
        """The step, if it may be sent."""
        if self._done.is_set():
            raise self._ended()
        if step.faults and not self._unchecked:
            errors = [fault for fault in step.faults if fault.level == "error"]
            if errors:
                raise LocalProtocolError(errors)
        if step.audio or self._input is not None:
            self._hear(step)
        for finding in step.findings if step.judgement else ():
            is_new = len(self.remarks) < _REMARKS and finding not in self.remarks
            if is_new and finding.rule.startswith(_REMARKABLE):
                self.remarks.append(finding)
                if self._remark is not None:
                    self._remark(finding)
        self.connection.suspects.take(step, self.clock())
        self._meter.sent(step)
        if self._lifetime is not None:
            self._lifetime.sent(step)
        return step

    def _hear(self, step: Step) -> None:
        """Add what is to be said about the user's audio as a stream to the findings of a message."""
        if self._input is None:
            from livews.audio.analysis.input_check import InputAudioCheck

            self._input = InputAudioCheck()
        is_late = self._reconnector is not None and len(self._reconnector.backlog) > 0
        self._input.take(step, None if is_late else self.clock())


def _step_of(raw: bytes, conversation: Conversation) -> Step:
    return conversation.step("client", raw, composed=True)
