"""The client of the Live API: `connect` and `Session`.

- The socket is read all the time, whatever the caller does: `interrupted` never waits for unread audio to be consumed.
- A message that the service would refuse is not sent: LocalProtocolError.
- Errors are LivewsErrors, and contain no credentials.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livews import endpoint, google_credentials, setup_message, transport
from livews.advice import closes
from livews.advice.suspects import Suspects
from livews.core import codec, models, schema
from livews.core.conversation import Conversation, Step
from livews.core.events import Event, Ready, TurnEnd, events
from livews.core.rules import Finding
from livews.endpoint import Endpoint
from livews.errors import BadRequest, Closed, LocalProtocolError, Refused, RemoteProtocolError
from livews.recorder import Opcode, Recorder
from livews.trace.writer import TraceFile
from livews.transport import Transport

if TYPE_CHECKING:
    from livews.tools.function import Tool
    from livews.tools.runner import Toolbox, ToolRun

_REMARKS = 100
"""Findings that a session keeps."""


def connect(
    model: str = "",
    *,
    voice: str = "",
    system: str = "",
    text: bool = False,
    setup: dict[str, Any] | None = None,
    tools: Sequence[Callable[..., Any] | Tool] = (),
    on_tool: Callable[[ToolRun], None] | None = None,
    url: str = "",
    api_key: str = "",
    token: str = "",
    vertex: bool | None = None,
    project: str = "",
    location: str = "",
    api_version: str = "",
    insecure: bool = False,
    trace: str | Path | None = None,
    recorders: Sequence[Callable[[Endpoint], Recorder]] = (),
    unchecked: bool = False,
    settings: endpoint.Settings | None = None,
    remark: Callable[[Finding], None] | None = None,
    open_timeout: float = 10.0,
    setup_timeout: float | None = None,
) -> Opening:
    """Connect to the Live API and set up a session.

    Use it as a context manager, `async with livews.connect() as session:`, or with `session = await livews.connect()`
    and close the session yourself. Without arguments it uses the default model of protocol/models.json and the key of
    GOOGLE_API_KEY or else GEMINI_API_KEY.

    Args:
        model: an ID, or a name with a prefix (models/ID, publishers/P/models/ID). Default: the newest Live model.
        voice: name of a prebuilt voice, as in "Puck". Default: the model's own.
        system: text of the system instruction. Default: none.
        text: ask for text only: the TEXT modality where the model has it, else the transcript of its speech.
        setup: members of the setup message, in camelCase or snake_case, merged into what livews composes; None as a
            value removes what livews would add.
        tools: functions the model may call, plain or async, with type hints; `livews.tool` gives them options. The
            session declares, runs and answers them; their ToolCall events still arrive. With tools, a call of an
            undeclared function is answered with an error; what `setup` or `update_context` declare is the caller's to
            answer.
        on_tool: called with each ToolRun when it starts and when it is over.
        url: base URL, ws, wss, http or https; a path prefix is kept. Default: the service, or GOOGLE_GEMINI_BASE_URL
            (GOOGLE_VERTEX_BASE_URL).
        api_key: API key. Default: the environment.
        token: ephemeral token (auth_tokens/...), or with `vertex` an OAuth bearer token. Default: for Vertex, the
            environment or Application Default Credentials.
        vertex: use Vertex AI. Default: GOOGLE_GENAI_USE_VERTEXAI or GOOGLE_GENAI_USE_ENTERPRISE.
        project: Google Cloud project, for Vertex. Default: GOOGLE_CLOUD_PROJECT.
        location: region, "us", "eu" or "global", for Vertex. Default: GOOGLE_CLOUD_LOCATION, or us-central1.
        api_version: as in "v1alpha". Default: v1beta; v1alpha with an ephemeral token; v1beta1 on Vertex.
        insecure: allow a credential to go without TLS to a host that is not loopback. Default: LIVEWS_INSECURE.
        trace: file to which the session's trace is appended. Default: none.
        recorders: each makes a recorder of all frames for an endpoint. Default: none.
        unchecked: skip client-side validation of what is sent.
        settings: where to connect, in the place of `url` to `insecure`.
        remark: called before dialling with each finding that is no error, but likely to be refused. They are in
            `Session.remarks` too.
        open_timeout: seconds for the connection and the upgrade. Default: 10.
        setup_timeout: seconds for setupComplete. Default: the same as `open_timeout`.

    Raises:
        BadRequest: an argument cannot work, there are no credentials, or they would go to another host without TLS.
        LocalProtocolError: the service would refuse the setup message.
        Unreachable: the connection failed.
        Refused: the service refused the upgrade, or closed instead of sending setupComplete.
        Lost: the connection broke during the setup.
        RemoteProtocolError: no setupComplete in time, or an invalid frame.
        TraceFailed: the trace cannot be written.
    """
    if setup is not None and not isinstance(setup, dict):
        fix = 'pass members of the setup message, as in {"tools": [...]}'
        raise BadRequest("setup is not a dict", fix=fix)
    functions: list[Tool] = []
    if tools:
        from livews.tools.runner import as_tools

        functions = as_tools(tools)
    arguments = endpoint.Settings(
        url, api_key, token, vertex, project, location, version=api_version, insecure=insecure, url_from="url"
    )
    given = settings or endpoint.from_environment(os.environ, arguments)

    def checked(findings: list[Finding]) -> list[Finding]:
        errors = [finding for finding in findings if finding.level == "error"]
        if errors and not unchecked:
            raise LocalProtocolError(errors)
        return [finding for finding in findings if finding.level != "error"]

    async def start() -> Session:
        settings = await google_credentials.with_bearer(given)
        name = model or str(setup_message.bare(setup or {}).get("model") or "") or models.default_model()
        where = endpoint.resolve(settings, name)
        remarks = checked(setup_message.wire_findings(setup)) if setup else []
        toolbox: Toolbox | None = None
        if functions:
            from livews.tools.runner import Toolbox

            toolbox = Toolbox(functions, models.profile(where.model, where.surface), on_tool)
        declarations = toolbox.declarations if toolbox is not None else ()
        message = setup_message.compose(
            where.model, voice=voice, system=system, text=text, setup=setup, functions=declarations
        )
        composed = not setup and toolbox is None
        remarks += checked(setup_message.message_findings(message, where.surface, where.version, composed=composed))
        if toolbox is not None:
            toolbox.declared(message["setup"])
            remarks += toolbox.remarks
        if remark is not None:
            for finding in remarks:
                remark(finding)
        kept = [make(where) for make in recorders]
        if trace is not None:
            kept.append(TraceFile.of(trace, where))
        session = Session(where, kept, unchecked=unchecked, remarks=remarks, tools=toolbox, remark=remark)
        try:
            await session._start(message, open_timeout, open_timeout if setup_timeout is None else setup_timeout)
        except BaseException:
            await session._close(transport.LINGER)  # the caller waits for the reason
            raise
        return session

    return Opening(start)


class Opening:
    """What `connect` returns: a context manager of the session, and an awaitable that gives it."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, Session]]) -> None:
        self._start = start
        self._session: Session | None = None

    async def __aenter__(self) -> Session:
        self._session = await self._start()
        return self._session

    async def __aexit__(self, *error: object) -> None:
        if self._session is not None:
            await self._session.close()

    def __await__(self) -> Generator[Any, None, Session]:
        return self._start().__await__()


class Session:
    """A session that is set up; `connect` makes it.

    Attributes:
        endpoint: where it is connected.
        conversation: the state of both directions.
        remarks: findings that are no errors, about the caller's setup and about answers to calls.
        session_id: the ID from setupComplete, "" if it has none.
        clock: seconds since the session was made; the times of the trace.
        ping_seconds: round trip of the last ping in seconds, None before the first.
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
        self.conversation = Conversation(surface=where.surface, version=where.version)
        self.remarks = remarks
        self._remark = remark
        self.session_id = ""
        self._transport = Transport(
            where, self.conversation, recorders, on_message=self._on_message, on_end=self._on_end
        )
        self.clock = self._transport.clock
        self._unchecked = unchecked
        self._queue: deque[Event] = deque()
        self._more = asyncio.Event()
        self._is_set_up = False
        self._suspects = Suspects()
        self._ready = asyncio.Event()
        """It is set up, or has ended."""
        self._first_kind = ""
        """The kind of the server's first message, if that is not setupComplete."""
        self._done = asyncio.Event()
        self._error: Exception | None = None
        self._closing = False
        self._tools = tools
        if tools is not None:
            tools.open(self._respond, where.secrets.redact, lambda: self.conversation.pending)

    @property
    def ping_seconds(self) -> float | None:
        return self._transport.round_trip

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
        step = self._checked(self.conversation.step("client", codec.audio_frame(pcm, rate), composed=True))
        if not await self._transport.send(step):
            raise self._ended()

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
        self._transport.note(kind, about)

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
                yield self._queue.popleft()
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
        seconds = None if self._done.is_set() else await self._transport.ping()
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
            await self._transport.close(patience=patience)
        finally:
            self._finish(None)

    # The connection

    async def _start(self, message: dict[str, Any], open_timeout: float, setup_timeout: float) -> None:
        await self._transport.open(open_timeout)

        async def set_up() -> None:
            await self._send(message, composed=True)  # validated before the connection was opened
            await self._ready.wait()

        try:
            await transport.within(setup_timeout, set_up())
        except TimeoutError:
            answer = f"the server sent {schema.short(self._first_kind)}" if self._first_kind else "nothing came back"
            raise RemoteProtocolError(
                f"no setupComplete within {setup_timeout:g} s (SETUP-3)",
                where=self.endpoint.shown,
                why=f"the connection is open, setup was sent, and {answer}",
                fix="run livews with --trace and the same URL to see what came instead; a proxy or another server may be answering",
            ) from None
        if self._is_set_up:
            return  # an end that came with it is for `events`, after what came before it
        if self._error is not None:
            raise self._error
        if self._done.is_set():
            raise Refused(closes.explain(1000), where=self.endpoint.shown)

    def _on_message(self, step: Step, t: float, opcode: Opcode) -> None:
        self._suspects.messages += 1
        if not self._first_kind and not self._ready.is_set():
            self._first_kind = step.kind
        for event in events(step):
            if isinstance(event, Ready):
                self.session_id = event.session_id
                self._is_set_up = True
                self._ready.set()
            else:
                if self._tools is not None:
                    self._tools.take(event)
                self._queue.append(event)
        self._more.set()

    def _on_end(self) -> None:
        close, error = self._transport.closed, self._transport.failure
        if error is None and close is not None and not self._closing:
            ready = self._is_set_up
            if close.cause != "server" or close.code != 1000 or close.during or not ready:
                error = self._transport.error(close, ready=ready)
                if isinstance(error, Closed) and (cause := self._suspects.cause_of(error.advice)):
                    error.blame(cause, self.endpoint.secrets.redact)
        self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        if not self._done.is_set():
            self._error = error
        if self._tools is not None:
            self._tools.stop()
        self._more.set()
        self._ready.set()
        self._done.set()

    def _ended(self) -> Exception:
        """What to raise where the session is over already."""
        return self._error or Closed(closes.explain(1000), where=self.endpoint.shown)

    async def _send(self, message: dict[str, Any], *, composed: bool = False) -> None:
        """Validate a message and send it. `composed`: the caller wrote nothing of it but plain strings and bytes, so that
        it fits the schemas and they are not loaded."""
        try:
            step = self.conversation.step_message("client", message, composed=composed)
        except codec.WireError as problem:
            fix = "send strings, numbers, bools, lists and dicts with string keys"
            raise BadRequest("not sent: the message cannot be encoded", why=str(problem), fix=fix) from None
        if not await self._transport.send(self._checked(step)):
            raise self._ended()

    def _checked(self, step: Step) -> Step:
        """The step, if it may be sent."""
        if self._done.is_set():
            raise self._ended()
        if step.faults and not self._unchecked:
            errors = [fault for fault in step.faults if fault.level == "error"]
            if errors:
                raise LocalProtocolError(errors)
        for finding in step.findings if step.judgement and self._is_set_up else ():
            is_new = len(self.remarks) < _REMARKS and finding not in self.remarks
            if is_new and finding.rule.startswith(("MODEL-", "TOOL-")):
                self.remarks.append(finding)
                if self._remark is not None:
                    self._remark(finding)
        self._suspects.take(step, self.clock())
        return step
