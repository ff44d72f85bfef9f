"""One socket beside one conversation.

- Every frame, both ways, goes through `Conversation.step` and to the recorders, in the order it met the socket.
- The socket is read all the time, whatever the caller does: `interrupted` never waits behind unread audio.
- A frame of ours that the service would refuse is not sent: LocalProtocolError.
- No exception of websockets leaves this module, and no credential is in any text of it.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from livews import connect_errors, endpoint, setup_message
from livews.core import closes, codec, models, schema
from livews.core.conversation import Conversation, Step
from livews.core.events import Event, Ready, TurnEnd, events
from livews.core.rules import Finding
from livews.endpoint import Endpoint
from livews.errors import BadRequest, Closed, LocalProtocolError, Lost, Refused, RemoteProtocolError
from livews.recorder import Clock, Recorder
from livews.trace.writer import TraceFile
from livews.version import __version__

if TYPE_CHECKING:
    from livews.tools.function import Tool
    from livews.tools.runner import Toolbox, ToolRun

PING_EVERY = 20.0
"""Seconds. How long a pong is waited for is `reach.PONG_WITHIN`."""


class connect:
    """Dial and set up: `async with livews.connect() as session:`, or `session = await livews.connect()`.

    Without arguments the model is the default of protocol/models.json and the key comes from the environment
    (GOOGLE_API_KEY before GEMINI_API_KEY). `url` is any base URL, a path prefix is kept. `token` is an ephemeral
    token (auth_tokens/...), or with `vertex=True` an OAuth bearer. `setup` is a dict merged into the setup message,
    in either spelling. `text=True` asks for text alone. `trace` is a file for the trace. `unchecked=True` sends
    what livews thinks is wrong. `remark` is told, before dialling, of what is not wrong but likely
    to be refused; the same findings are in `session.remarks`. `recorders` make whoever else is to be told of every
    frame, given the endpoint. `open_timeout` is how long the connection may take, in seconds, and `setup_timeout` how
    long setupComplete may, whatever else comes; left out, it is the same.

    `tools` are functions the model may call, plain or async, with type hints; livews.tool gives them options. They
    are declared, run and answered by the session; their ToolCall events still come. With tools a call of a function
    nobody declared is answered with an error; what `setup` or `update_context` declare is the caller's to answer.
    `on_tool` is told of each call as it starts and when it is over.

    Raises BadRequest, LocalProtocolError, Unreachable, Refused, Lost, RemoteProtocolError.
    """

    def __init__(
        self,
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
        trace: str | Path | None = None,
        recorders: Sequence[Callable[[Endpoint], Recorder]] = (),
        unchecked: bool = False,
        settings: endpoint.Settings | None = None,
        remark: Callable[[Finding], None] | None = None,
        open_timeout: float = 10.0,
        setup_timeout: float | None = None,
    ) -> None:
        if setup is not None and not isinstance(setup, dict):
            raise BadRequest("setup is not a dict", fix='pass members of the setup message, as in {"tools": [...]}')
        self._asked_model = model
        self._voice, self._system, self._text, self._setup = voice, system, text, setup
        self._tools: list[Tool] = []
        self._on_tool = on_tool
        if tools:
            from livews.tools.runner import gathered

            self._tools = gathered(tools)
        self._settings = settings or endpoint.from_environment(
            os.environ,
            url=url,
            api_key=api_key,
            token=token,
            vertex=vertex,
            project=project,
            location=location,
            version=api_version,
        )
        self._trace = trace
        self._recorders = recorders
        self._unchecked = unchecked
        self._remark = remark
        self._open_timeout = open_timeout
        self._setup_timeout = open_timeout if setup_timeout is None else setup_timeout
        self._session: Session | None = None

    async def __aenter__(self) -> Session:
        self._session = await self._open()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def __await__(self) -> Generator[Any, None, Session]:
        return self._open().__await__()

    async def _open(self) -> Session:
        settings = await endpoint.with_bearer(self._settings)
        model = (
            self._asked_model
            or str(setup_message.bare(self._setup or {}).get("model") or "")
            or models.default_model()
        )
        where = endpoint.resolve(settings, model)
        given = setup_message.wire_findings(self._setup) if self._setup else []
        wrong = [finding for finding in given if finding.level == "error"]
        if wrong and not self._unchecked:
            raise LocalProtocolError(wrong)
        tools: Toolbox | None = None
        if self._tools:
            from livews.tools.runner import Toolbox

            tools = Toolbox(self._tools, models.profile(where.model, where.surface), self._on_tool)
        message = setup_message.compose(
            where.model,
            voice=self._voice,
            system=self._system,
            text=self._text,
            setup=self._setup,
            functions=tools.declarations if tools is not None else (),
        )
        remarks = [
            *(finding for finding in given if finding not in wrong),
            *setup_message.model_findings(message, where.surface, where.version),
        ]
        if tools is not None:
            tools.declared(message["setup"])
            remarks += tools.remarks
        if self._remark is not None:
            for finding in remarks:
                self._remark(finding)
        recorders = [make(where) for make in self._recorders]
        if self._trace is not None:
            recorders.append(TraceFile.of(self._trace, where))
        session = Session(where, recorders, unchecked=self._unchecked, remarks=remarks, tools=tools)
        try:
            await session._start(message, self._open_timeout, self._setup_timeout)
        except BaseException:
            await session.close()
            raise
        return session


class Session:
    """A conversation that is set up. Made by `connect`."""

    def __init__(
        self,
        where: Endpoint,
        recorders: list[Recorder],
        *,
        unchecked: bool,
        remarks: list[Finding],
        tools: Toolbox | None = None,
    ) -> None:
        self.endpoint = where
        self.conversation = Conversation(surface=where.surface, version=where.version)
        self.remarks = remarks
        """What livews had to say about the caller's setup, short of refusing it."""
        self.session_id = ""
        self.clock = Clock()
        self.ping_seconds: float | None = None
        """Round trip of the last ping."""
        self._recorders = recorders
        self._unchecked = unchecked
        self._socket: ClientConnection | None = None
        self._queue: deque[Event] = deque()
        self._more = asyncio.Event()
        self._ready = asyncio.Event()
        self._came = ""
        """The kind of the first message of the server."""
        self._done = asyncio.Event()
        self._ended: Exception | None = None
        self._over = False
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._tools = tools
        if tools is not None:
            tools.open(self.respond, where.secrets.redact, lambda: self.conversation.pending)

    # What the user says

    async def say(self, text: str) -> None:
        """One user turn of text, sent as the model's profile wants it, that asks for a reply."""
        if self.conversation.profile["textInput"] == "realtimeInput":
            await self.send_text(text)
        else:
            await self.send_turns([{"role": "user", "parts": [{"text": text}]}])

    async def send_turns(self, turns: list[dict[str, Any]], *, turn_complete: bool = True) -> None:
        """clientContent: turns for the history; with `turn_complete` the model answers now."""
        await self._send({"clientContent": {"turns": turns, "turnComplete": turn_complete}})

    async def send_text(self, text: str) -> None:
        """realtimeInput.text: counts as activity, so it interrupts and asks for a reply."""
        await self._send({"realtimeInput": {"text": text}})

    async def send_audio(self, pcm: bytes, rate: int = codec.INPUT_RATE) -> None:
        """A piece of the user's voice: s16le mono at `rate` samples a second, 20 to 100 ms of it."""
        raw = codec.audio_frame(pcm, rate)
        await self._send_raw(raw, self.conversation.step("client", raw))

    async def send_image(self, data: bytes, mime_type: str = "image/jpeg") -> None:
        """One still picture; at most one a second is of use to the service."""
        await self._send({"realtimeInput": {"video": {"mimeType": mime_type, "data": codec.encode_base64(data)}}})

    async def activity_start(self) -> None:
        """The user begins; only with automaticActivityDetection.disabled (ACTIVITY-1)."""
        await self._send({"realtimeInput": {"activityStart": {}}})

    async def activity_end(self) -> None:
        """The user is done; at least some input must have come since the start (ACTIVITY-2)."""
        await self._send({"realtimeInput": {"activityEnd": {}}})

    async def audio_end(self) -> None:
        """audioStreamEnd: the microphone is off for a while; sending audio again opens the stream anew."""
        await self._send({"realtimeInput": {"audioStreamEnd": True}})

    async def respond(
        self, call_id: str, name: str, response: dict[str, Any], *, scheduling: str | None = None
    ) -> None:
        """The answer to a ToolCall. `scheduling` is SILENT, WHEN_IDLE or INTERRUPT, for NON_BLOCKING functions."""
        answer: dict[str, Any] = {"id": call_id, "name": name, "response": response}
        if not call_id:
            del answer["id"]
        if scheduling:
            answer["scheduling"] = scheduling
        await self._send({"toolResponse": {"functionResponses": [answer]}})

    async def update_context(self, *, system: str = "", tools: list[dict[str, Any]] | None = None) -> None:
        """contextUpdate: another system instruction, other tools in the place of all there were; `tools=[]` takes all
        away. Calls of functions declared here are the caller's to answer."""
        update: dict[str, Any] = {}
        if system:
            update["systemInstruction"] = {"parts": [{"text": system}]}
        if tools is not None:
            update["tools"] = {"tools": tools}
            if self._tools is not None:
                self._tools.left_to_caller(tools)
        await self._send({"contextUpdate": update})

    async def send_raw(self, message: dict[str, Any]) -> None:
        """A message of the caller's own making; judged like any other before it is sent."""
        from livews.core import rules

        wrong = [finding for finding in rules.check("client", message) if finding.level == "error"]
        if wrong and not self._unchecked:
            raise LocalProtocolError(wrong)
        await self._send(message)

    def stop_tools(self, why: str) -> bool:
        """End the functions that run now; the model is told `why` in their place. False when none runs."""
        return self._tools is not None and self._tools.interrupt(why)

    def note(self, kind: str, about: dict[str, Any]) -> None:
        """A line of the caller's own for the recorders, such as how much of a reply was `heard`."""
        self._control(self.clock(), "recv", kind, about)

    # What the model says

    async def events(self) -> AsyncIterator[Event]:
        """Every event until the session is over. Raises Closed when the service closed it with an error."""
        while True:
            while self._queue:
                yield self._queue.popleft()
            if self._over:
                if self._ended is not None:
                    raise self._ended
                return
            self._more.clear()
            await self._more.wait()

    async def turn(self) -> AsyncIterator[Event]:
        """The events of one turn, TurnEnd last. What comes after it waits for the next `turn()`.

        Where TurnEnd says `waiting`, another turn comes without another prompt, such as the spoken answer to a tool's
        result. `turn()` sets no limit of time: put `asyncio.timeout` around it where the service may never answer.
        Raises Closed when the socket closes before the turn has ended.
        """
        async for event in self.events():
            yield event
            if isinstance(event, TurnEnd):
                return
        if not self._closing:
            raise Closed(closes.explain(1000), where=self.endpoint.shown, during="in the middle of a turn")

    async def ping(self) -> float:
        """Seconds of a round trip: a WebSocket ping and its pong, which is waited for as long as the session lasts;
        bound it with `asyncio.timeout`. Raises what the session ended with, `Closed` where it ended well."""
        if self._over or self._socket is None:
            raise self._ended or Closed(closes.explain(1000), where=self.endpoint.shown)
        sent = self.clock()
        try:
            pong = await self._socket.ping()
            self._control(sent, "send", "ping", {})
            await pong
        except ConnectionClosed:
            await self._done.wait()  # what came before the close is read first
            raise self._ended or Closed(closes.explain(1000), where=self.endpoint.shown) from None
        self.ping_seconds = self.clock() - sent
        self._control(self.clock(), "recv", "pong", {"seconds": round(self.ping_seconds, 6)})
        return self.ping_seconds

    async def wait_closed(self) -> None:
        """Wait until the session is over. Raises Closed when the service closed it with an error."""
        await self._done.wait()
        if self._ended is not None:
            raise self._ended

    async def close(self) -> None:
        """Close with 1000 and wait for the echo. What has arrived until then stays readable."""
        first, self._closing = not self._closing, True
        try:
            if self._tools is not None:
                await self._tools.close()
            if self._socket is not None:
                if first and not self._over:
                    self._record_close("send", "client", 1000, "")
                await self._socket.close()  # owed too when it was the trace or the pong that failed
                await asyncio.gather(*self._tasks[:1], return_exceptions=True)  # the echo, read to the end
        finally:
            for task in self._tasks:
                task.cancel()
            self._finish(None)
            recorders, self._recorders = self._recorders, []
            for recorder in recorders:
                recorder.close()

    # The socket

    async def _start(self, message: dict[str, Any], open_timeout: float, setup_timeout: float) -> None:
        self._socket = await self._dial(open_timeout)
        self._tasks = [
            asyncio.create_task(self._read(), name="livews-read"),
            asyncio.create_task(self._keep_alive(), name="livews-ping"),
        ]
        try:
            async with asyncio.timeout(setup_timeout):
                await self._send(message)
                await self._ready.wait()
        except TimeoutError:
            came = f"what came is {schema.short(self._came)}" if self._came else "nothing came back"
            raise RemoteProtocolError(
                f"no setupComplete within {setup_timeout:g} s (SETUP-3)",
                where=self.endpoint.shown,
                why=f"the socket is open, setup was sent, and {came}",
                fix="see with --trace what came instead; a proxy or another server may be answering",
            ) from None
        if self._ended is not None:
            raise self._ended
        if self._over:
            raise Refused(closes.explain(1000), where=self.endpoint.shown)

    async def _dial(self, timeout: float) -> ClientConnection:
        where = self.endpoint
        agent = f"livews/{__version__}"
        return await connect_errors.dial(
            connect_errors.DialTarget(
                where.url, where.headers, where.shown, where.secrets.redact, agent, model=where.model
            ),
            timeout,
            max_queue=None,  # reading never stops: back-pressure would hold `interrupted` back
            ping_interval=None,  # pings are ours: see _keep_alive
            close_timeout=5,
        )

    async def _read(self) -> None:
        assert self._socket is not None
        receive, step_of, queue, tools = self._socket.recv, self.conversation.step, self._queue, self._tools
        try:
            while True:
                frame = await receive()
                opcode: Literal["text", "binary"] = "binary"
                if isinstance(frame, str):
                    opcode, frame = "text", frame.encode(errors="surrogatepass")
                step = step_of("server", frame)
                for recorder in self._recorders:
                    recorder.frame(self.clock(), "recv", opcode, step)
                if not self._came and not self._ready.is_set():
                    self._came = step.kind
                for event in events(step):
                    if isinstance(event, Ready):
                        self.session_id = event.session_id
                        self._ready.set()
                    else:
                        if tools is not None:
                            tools.take(event)
                        queue.append(event)
                self._more.set()
        except ConnectionClosed as closed:
            self._was_closed(closed)
        except Exception as failed:  # the trace, or a recorder of the caller's: whoever waits is told
            self._finish(failed)
            await self._socket.close()

    def _was_closed(self, closed: ConnectionClosed) -> None:
        if self._over:
            return
        # websockets gives up first, with a close of its own, on frames that are too large or no WebSocket
        ours = closed.sent is not None and not closed.rcvd_then_sent and not self._closing
        frame = closed.sent if ours else closed.rcvd
        code, reason = (frame.code, frame.reason) if frame else (1006, "")
        step = self._record_close(*(("send", "client") if ours else ("recv", "server")), code, reason)
        if self._closing:
            self._finish(None)
            return
        reason = self.endpoint.secrets.redact(reason)
        advice = closes.explain(code, reason, model=str(self.conversation.setup.get("model", "")))
        during = _during(step)
        where = self.endpoint.shown
        if ours:
            what = f"given up: {code} {reason}".strip()
            self._finish(RemoteProtocolError(what, where=where, why=advice.meaning, fix=advice.do))
        elif code == 1006:
            self._finish(Lost(advice, where=where, during=during))
        elif not self._ready.is_set():
            self._finish(Refused(advice, where=where))
        elif code != 1000 or during:
            self._finish(Closed(advice, where=where, during=during))
        else:
            self._finish(None)

    def _finish(self, ended: Exception | None) -> None:
        if not self._over:
            self._over, self._ended = True, ended
        if self._tools is not None:
            self._tools.stop()
        self._more.set()
        self._ready.set()
        self._done.set()

    async def _keep_alive(self) -> None:
        """Ping, allow a minute for the pong, and say who gave up when none comes."""
        assert self._socket is not None
        while True:
            await asyncio.sleep(PING_EVERY)
            try:
                async with asyncio.timeout(connect_errors.PONG_WITHIN):
                    await self.ping()
            except TimeoutError:
                advice = replace(
                    closes.explain(1011, "keepalive ping timeout"),
                    cause=f"livews gave up: no pong came for {connect_errors.PONG_WITHIN:g} s.",
                    do="The network or the service has stalled: connect again, with the newest handle.",
                )
                step = self._record_close("send", "client", advice.code, advice.reason)
                self._finish(Lost(advice, where=self.endpoint.shown, during=_during(step)))
                await self._socket.close(advice.code, advice.reason)
                return
            except Exception:  # the session is over, and whoever waits for it is told
                return

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            step = self.conversation.step_message("client", message)
        except codec.WireError as problem:
            fix = "send strings, numbers, bools, lists and dicts with string keys"
            raise BadRequest("not sent: the message cannot be written", why=str(problem), fix=fix) from None
        await self._send_raw(step.raw, step)

    async def _send_raw(self, raw: bytes, step: Step) -> None:
        if self._over or self._socket is None:
            raise self._ended or Closed(closes.explain(1000), where=self.endpoint.shown)
        if not self._unchecked:
            wrong = [fault for fault in step.faults if fault.level == "error"]
            if wrong:
                raise LocalProtocolError(wrong)
        if self._socket.state is State.OPEN:
            # Before it is sent: the socket takes the whole frame at once, also when waiting for room is cancelled.
            try:
                for recorder in self._recorders:
                    recorder.frame(self.clock(), "send", "text", step)
            except Exception as failed:
                self._finish(failed)
                raise
        try:
            await self._socket.send(raw, text=True)
        except ConnectionClosed as closed:
            self._was_closed(closed)
            raise self._ended or Closed(closes.explain(1000), where=self.endpoint.shown) from None

    def _record_close(
        self, direction: Literal["send", "recv"], sender: Literal["client", "server"], code: int, reason: str
    ) -> Step:
        step = self.conversation.close(sender, code, reason)
        self._control(self.clock(), direction, "close", {"code": code, "reason": reason})
        return step

    def _control(self, t: float, direction: Literal["send", "recv"], kind: str, about: dict[str, Any]) -> None:
        try:
            for recorder in self._recorders:
                recorder.control(t, direction, kind, about)
        except Exception as failed:
            self._finish(failed)


def _during(step: Step) -> str:
    return "in the middle of a turn" if "cutTurn" in step.effects else ""
