"""Play the client of a recorded session to a server again, and tell what the server does otherwise.

- What is sent is what was recorded: its bytes, its opcode, its close. Only what belongs to one run alone is put in anew
  (ids of calls, handles, media that was left out), and what the caller asks for (the model); each is told. Pings are not
  played.
- Causality before time: a message goes out when the server has come as far in its turns as it had before that message.
  Each wait is bounded, and one in vain is a difference.
- The recording is read once, as a stream. Of both sessions only what they mean is kept (trace/diff), and a server that
  says without end is left.
- A recorder that cannot write ends the session. No exception of websockets leaves this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as dial
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
    WebSocketException,
)
from websockets.protocol import State

from livews.core import closes, judge, machine, wire
from livews.core.conversation import Conversation, Step
from livews.core.errors import (
    BadRequest,
    Closed,
    LivewsError,
    Lost,
    Refused,
    RemoteProtocolError,
    Unreachable,
)
from livews.core.judge import Finding
from livews.printable import one_line
from livews.trace import diff
from livews.trace.diff import Difference
from livews.trace.follow import Session, seconds_of
from livews.trace.read import Line, refilled
from livews.trace.writer import Clock, Recorder

NAMES = ("the recording", "the replay")
_MAX_SIZE = 64 * 1024 * 1024
"""Bytes of one message of the server: as the client takes them (WIRE-13)."""
_SETTLE = 2.0
"""Seconds that what came behind the last turn may still take before the client closes."""
_LATE = 0.05
"""Seconds a message may be late and the next one still keep its time."""
_FRAME, _SPARE, _SPARE_SOUND = 200, 16 * 1024 * 1024, 600.0
"""What a frame weighs besides its bytes; bytes without sound, and seconds of it, that a server may say beyond four times
the recording."""
_TOLD = 20
"""Differences of one kind that are told; the rest is counted."""
_LOGGER = logging.getLogger("livews.websockets")
_LOGGER.setLevel(logging.INFO)  # at DEBUG every header is written, the key among them


class _Dial(dial):
    """A redirect is not followed: the key would go along to the other host."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


@dataclass(frozen=True)
class Place:
    """Where to dial: `url` and `headers` may hold secrets, `shown` and what passes `hide` never do."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    shown: str
    hide: Callable[[str], str] = field(repr=False)
    agent: str


@dataclass(frozen=True)
class Manner:
    """How to play."""

    speed: float = 1.0
    """Times the recording's own; 0: as fast as causality allows."""
    patience: float = 10.0
    """Seconds to wait for what the server had said before a message, beyond the time it took then and what its sound
    plays."""
    timeout: float = 10.0
    """Seconds to connect."""
    model: str = ""
    """The model to ask for, as the place calls it; "" is the recorded one."""
    keep_handles: bool = False
    exact: bool = False
    """Compare words, sound and token counts, too."""


@dataclass
class Outcome:
    """What became of one session. `said` and `heard` are messages, each as (in this run, in the recording)."""

    said: tuple[int, int] = (0, 0)
    heard: tuple[int, int] = (0, 0)
    seconds: tuple[float, float] = (0.0, 0.0)
    differences: list[Difference] = field(default_factory=list)
    """In the order of the recording. Of many alike the first are told, and one more says how many there are."""
    count: int = 0
    """How many there are."""
    failure: LivewsError | None = None
    """Why the server closed, when that was an error."""
    was_closed: bool = False
    """The recording was closed by an error of the server, too."""
    interrupted: bool = False


class _Over(Exception):
    """Nothing more can be played."""


class _Progress:
    """How far a server has come: turns that ended, and in the current one the events a client may act upon."""

    def __init__(self) -> None:
        self.turns = 0
        self.events: Counter[str] = Counter()
        self.signals: set[str] = set()
        """All since the last turn ended."""
        self.ever: set[str] = set()
        self.last: _Milestone = (0, "", 0)
        self.times: dict[_Milestone, float] = {}

    def take(self, step: Step, t: float) -> None:
        self.ever.update(step.signals)
        if "endTurn" in step.effects:
            self.turns += 1
            self.events.clear()
            self.signals.clear()
            self._reach("", t)
            return
        self.signals.update(step.signals)
        for signal in step.signals:
            event = _EVENTS.get(signal)
            if event is not None and not (event == _ANSWER and self.events[event]):
                self.events[event] += 1
                self._reach(event, t)

    def _reach(self, event: str, t: float) -> None:
        self.last = (self.turns, event, self.events[event])
        self.times[self.last] = t

    def lacks(self, other: _Progress) -> str:
        """What the other has and this has not, in words. What a turn that is over lacks will not come any more."""
        if self.turns != other.turns:
            return "" if self.turns > other.turns else f"the end of turn {self.turns + 1}"
        return next((event for event, n in other.events.items() if self.events[event] < n), "")

    def catch_up(self, other: _Progress, t: float) -> None:
        """Count what was waited for in vain as come."""
        if self.turns < other.turns:
            self.turns = other.turns
            self.events.clear()
        self.events |= other.events
        self.times[other.last] = t

    def settled(self, other: _Progress) -> bool:
        """Has all come that the other has, at least once?"""
        return self.ever >= other.ever and (self.turns > other.turns or self.signals >= other.signals)


_ANSWER = "the answer"
_EVENTS = {
    "setupComplete": "setupComplete",
    "modelTurn": _ANSWER,
    "outputTranscription": _ANSWER,
    "toolCall": "toolCall",
    "toolCallCancellation": "toolCallCancellation",
    "interrupted": "interrupted",
    "generationComplete": "generationComplete",
}
"""Signals that a client's next message may depend on. Of the pieces of an answer the first counts."""

_Milestone = tuple[int, str, int]
"""Turns that had ended, an event of the current one ("" is the end of the last), and which one of its kind."""
_Call = tuple[str, int]
"""A call: the name of its function, and how many of that name were before it."""


class _Calls:
    """The calls of one session, by id and by order."""

    def __init__(self) -> None:
        self.ids: dict[_Call, str] = {}
        self.of: dict[str, _Call] = {}
        self._count: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()

    def take(self, step: Step) -> None:
        if step.sender != "server" or "toolCall" not in step.signals:
            return
        asked = step.body["toolCall"]
        calls = asked.get("functionCalls") if isinstance(asked, dict) else None
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict):
                name, call_id = str(call.get("name", "")), call.get("id")
                key = (name, self._count[name])
                self._count[name] += 1
                self.ids[key] = call_id if isinstance(call_id, str) else ""
                if self.ids[key]:
                    self.of[self.ids[key]] = key

    def answered(self, answer: dict[str, Any]) -> _Call | None:
        """The call that is answered; None when it was none of this session."""
        if "id" in answer:
            return self.of.get(str(answer["id"]))
        name = str(answer.get("name", ""))
        key = (name, self._answered[name])
        self._answered[name] += 1
        return key if key in self.ids else None


class Replay:
    """One session of a trace, followed with `texts`, to be played once.

    `handles` takes a handle of the recording to the one this run has in its place, and learns the session's own. `tell` is
    told what a person should know.
    """

    def __init__(
        self,
        session: Session,
        place: Place,
        manner: Manner,
        *,
        recorders: Sequence[Recorder] = (),
        handles: MutableMapping[str, str] | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._session = session
        self._place = place
        self._manner = manner
        self._recorders = recorders
        self._handles = {} if handles is None else handles
        self._tell = tell
        # followed as the recording is, so that the same is found in both
        self._talk = Conversation(inspect=True, surface="vertex" if "LlmBidiService" in place.url else "")
        self._clock = Clock()
        self._socket: ClientConnection | None = None
        self._news = asyncio.Event()
        self._gone = False
        """Nothing more is heard: the socket is closed, or we leave."""
        self._left = False
        self._broken: Exception | None = None

        self._meant, self._came = diff.Reader(), diff.Reader()
        self._then, self._now = _Progress(), _Progress()
        self._calls_then, self._calls_now = _Calls(), _Calls()
        self._said_then = self._said = self._heard_then = self._heard = 0
        self._weight_then = self._weight = 0
        self._sound_then = self._sound = 0.0
        self._faults_then: set[tuple[str, str]] = set()
        self._faults: dict[tuple[str, str], Difference] = {}
        self._own: list[Difference] = []
        """Differences that no comparison of messages finds."""
        self._outcome = Outcome()

        self._at = 1
        """The line of the recording that was played last."""
        self._pending = 0
        """The line that is to be said, and waits."""
        self._last_t = 0.0
        self._skipped = 0.0
        """Recorded seconds that are not played: what was cut out."""
        self._anchor: tuple[float, float] | None = None
        """A recorded time, and when it was in this run."""
        self._cut_off = False
        """The recording ends in the middle of a turn."""
        self._plays_until = 0.0
        """When what was heard would be played, were it played as it comes."""
        self._heard_in_vain = -1
        self._told: set[str] = set()

    async def run(self) -> Outcome:
        """Play it. Raises BadRequest, Unreachable, Refused (when the upgrade is) and TraceFailed; being cancelled once it is
        connected ends it, with what is known so far in the outcome."""
        outcome = self._outcome
        try:
            self._socket = await self._dial()
            reading = asyncio.create_task(self._read(), name="livews-replay")
            try:
                await self._play()
            except _Over:
                pass
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None:
                    task.uncancel()
                outcome.interrupted = True
            finally:
                seconds = self._clock()
                await self._leave()
                await asyncio.wait({reading}, timeout=_SETTLE)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        finally:
            for recorder in self._recorders:
                recorder.close()
        if self._broken is not None:
            raise self._broken
        self._read_on()
        outcome.said, outcome.heard = (self._said, self._said_then), (self._heard, self._heard_then)
        outcome.seconds = (seconds, self._last_t - self._skipped)
        self._compare()
        if self._session.talk.handle and self._talk.handle:
            self._handles[self._session.talk.handle] = self._talk.handle
        return outcome

    # The recording

    async def _play(self) -> None:
        cut, is_open = "cut" in self._session.header, False
        for line, step in self._session:
            if cut and is_open:  # the first line behind those that a cut always keeps
                cut, self._skipped = False, max(0.0, line.t - self._last_t)
            is_open = self._session.talk.state("session") not in ("new", "opening")
            self._last_t = line.t
            if step is None:
                continue
            if line.sender == "server":
                self._expect(line, step)
            if line.control == "close":
                self._cut_off = "cutTurn" in step.effects
                await self._recorded_close(line)
                return
            if line.sender == "client":
                self._said_then += 1
                await self._say(line, step)
        self._cut_off = self._session.talk.state("turn") != "idle"
        await self._causes(self._at, "its close")
        await self._settle()
        self._tell("the recording ends without a close: this run closes with 1000")
        await self._leave()

    def _expect(self, line: Line, step: Step) -> None:
        """The server had said this."""
        if line.raw is not None:
            self._heard_then += 1
            self._then.take(step, line.t - self._skipped)
            self._calls_then.take(step)
            self._weight_then += _weight(step)
            self._sound_then += seconds_of(step)
            self._faults_then.update(_key(fault) for fault in step.faults)
        if step.kind != "unreadable" or self._manner.exact:
            self._meant.take(line, step)

    def _read_on(self) -> None:
        """What of the recording was not played: counted, and looked through for how it was closed."""
        first, rest = self._pending, int(self._pending > 0)
        for line in self._session.lines():
            self._last_t = line.t
            if line.control == "close":
                self._closed_then(line)
            elif line.raw is not None and line.sender == "client":
                first, rest = first or line.number, rest + 1
                self._said_then += 1
            elif line.raw is not None:
                self._heard_then += 1
        if rest and not self._outcome.interrupted:
            words = f"{rest} {'is' if rest == 1 else 'are'} only in {NAMES[0]}: not played"
            self._own.append(Difference("client", "/messages", words, (first, None)))

    def _closed_then(self, line: Line) -> None:
        if line.sender == "server":
            code, reason = _close_of(line)
            self._outcome.was_closed |= closes.explain(code, reason).kind != "normal"

    async def _recorded_close(self, line: Line) -> None:
        self._closed_then(line)
        code, reason = _close_of(line)
        if line.sender == "client":
            await self._causes(line.number, "its close")
            await self._settle()
            await self._pace(line.t)
            await self._leave(code, reason)
            return
        begun = self._clock()
        took = begun + max(0.0, line.t - self._skipped - self._anchor[0]) if self._anchor is not None else begun
        await self._until(lambda: False, lambda: max(took, self._plays_until) + self._manner.patience)
        self._in_vain(line.number, f"the server to close with {code}", begun)

    # What the client says

    async def _say(self, line: Line, step: Step) -> None:
        self._pending = line.number
        answers = [
            (answer, self._calls_then.answered(answer))
            for answer in machine.values(step.body, ("toolResponse", "functionResponses", "*"))
            if isinstance(answer, dict)
        ]
        await self._causes(line.number, one_line(step.kind, 40), [call for _, call in answers if call is not None])
        await self._pace(line.t)
        raw = self._made(line, step, [call for _, call in answers])
        if raw is not None:
            await self._send(raw, "text" if line.opcode == "text" else "binary")
        self._at, self._pending = line.number, 0

    async def _send(self, raw: bytes, opcode: Literal["text", "binary"]) -> None:
        assert self._socket is not None
        if self._gone:
            raise _Over
        step = self._talk.step("client", raw)
        for recorder in self._recorders:
            recorder.frame(self._clock(), "send", opcode, step)
        try:
            await self._socket.send(raw, text=opcode == "text")
        except ConnectionClosed:
            raise _Over from None
        self._said += 1
        await asyncio.sleep(0)  # at full speed too, what comes is read

    def _made(self, line: Line, step: Step, calls: list[_Call | None]) -> bytes | None:
        """The bytes to send; None when there is nothing left of the message."""
        raw = _as_recorded(line)
        if line.elided:
            self._once("sound and pictures that were left out of the recording are played as silence")
            raw = refilled(raw)
        change = {"setup": self._set_up, "toolResponse": self._answer}
        names = [name for name in change if name in step.body]
        if not names:
            return raw
        message = wire.parse(raw)
        changed = [change[name](message, line.number, calls) for name in names]
        if None in changed:
            return None
        return wire.dump(message) if any(changed) else raw

    def _set_up(self, message: dict[str, Any], number: int, calls: list[_Call | None]) -> bool:
        """Put this run's model and handle into a setup; was anything changed?"""
        setup, changed = message.get("setup"), False
        if not isinstance(setup, dict):
            return False
        if self._manner.model and setup.get("model") != self._manner.model:
            self._tell(f"model {self._manner.model} in the place of {one_line(str(setup.get('model')), 80)}")
            setup["model"], changed = self._manner.model, True
        resumption = _member(setup, "sessionResumption", "session_resumption")
        handle = resumption.get("handle") if isinstance(resumption, dict) else None
        if not isinstance(resumption, dict) or not handle or self._manner.keep_handles:
            return changed
        mine = self._handles.get(str(handle))
        if mine is not None:
            resumption["handle"] = mine
            self._tell("resumed with the handle that the session before it was given in this run")
        else:
            del resumption["handle"]
            self._tell("its resumption handle is of the recorded session and is left out; --keep-handles sends it")
        return True

    def _answer(self, message: dict[str, Any], number: int, calls: list[_Call | None]) -> bool | None:
        """Answer this run's calls in the place of the recorded ones; None when no answer is left."""
        given = _member(message, "toolResponse", "tool_response")
        responses = _member(given, "functionResponses", "function_responses") if isinstance(given, dict) else None
        rows = responses if isinstance(responses, list) else [responses]
        found = [row for row in rows if isinstance(row, dict)]
        changed, left = False, len(found)
        for i, (row, call) in enumerate(zip(found, calls, strict=False)):
            if call is None:  # an id nobody gave: that is what was recorded
                continue
            mine = self._calls_now.ids.get(call)
            if mine is None:
                words = f"not sent: this server has not called {call[0]}{f' {call[1] + 1} times' if call[1] else ''}"
                path = f"/toolResponse/functionResponses/{i}"
                self._own.append(Difference("client", path, words, (number, None)))
                left -= 1
                if isinstance(responses, list):
                    responses.remove(row)
            elif mine != row.get("id", ""):
                if mine:
                    row["id"] = mine
                else:
                    del row["id"]
            else:
                continue
            changed = True
        return changed if left or not found else None

    # Causes and time

    async def _until(self, fits: Callable[[], bool], deadline: Callable[[], float]) -> bool:
        """Wait until it fits, or the deadline, which may move, is over. _Over when the session is."""
        while not fits():
            if self._gone:
                raise _Over
            left = deadline() - self._clock()
            if left <= 0:
                return False
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._news.wait()
        return True

    async def _causes(self, number: int, what: str, calls: Sequence[_Call] = ()) -> None:
        """Wait until the server has come as far as it had, and has made the calls that are answered."""
        begun = took = self._clock()
        then, _ = self._last_cause()
        if self._anchor is not None and then is not None:
            took = self._anchor[1] + then - self._anchor[0]

        def lacking() -> str:
            call = next((call for call in calls if call not in self._calls_now.ids), None)
            return self._now.lacks(self._then) or (f"the call of {call[0]}" if call else "")

        if await self._until(
            lambda: not lacking(), lambda: max(begun, took, self._plays_until) + self._manner.patience
        ):
            return
        missing = lacking()
        self._in_vain(number, f"{missing} before {what}", begun)
        if missing == "setupComplete" or self._heard == self._heard_in_vain:
            self._tell("nobody answers: the rest is not played")
            raise _Over
        self._heard_in_vain = self._heard
        self._now.catch_up(self._then, self._clock())
        for reader in (self._meant, self._came):
            reader.mark(number)

    def _in_vain(self, number: int, what: str, begun: float) -> None:
        words = f"waited {round(self._clock() - begun, 1):g} s for {what}"
        self._own.append(Difference("server", "/wait", words, (number, None)))
        self._tell(words)

    def _last_cause(self) -> tuple[float | None, float | None]:
        """When the server had come as far as it had, in recorded time and in this run's."""
        last = self._then.last
        return self._then.times.get(last), self._now.times.get(last)

    async def _settle(self) -> None:
        """Before we close: what comes behind a turn may still be under way."""
        until = self._clock() + min(_SETTLE, self._manner.patience)
        await self._until(lambda: self._now.settled(self._then), lambda: until)

    async def _pace(self, t: float) -> None:
        """Wait for the time of a recorded line: as long after the one before, and after what it answers, as it was."""
        t -= self._skipped
        due = now = self._clock()
        if self._manner.speed and self._anchor is not None:
            due = self._anchor[1] + (t - self._anchor[0]) / self._manner.speed
            then, came = self._last_cause()
            if then is not None and came is not None:
                due = max(due, came + (t - then) / self._manner.speed)
            await self._until(lambda: False, lambda: due)
            now = self._clock()
        # a little late is no reason for all that follows to be
        self._anchor = (t, due if now - due < _LATE else now)

    # The socket

    async def _dial(self) -> ClientConnection:
        place = self._place
        try:
            return await _Dial(
                place.url,
                additional_headers=dict(place.headers),
                user_agent_header=place.agent,
                compression=None,
                max_size=_MAX_SIZE,
                open_timeout=self._manner.timeout,
                ping_interval=20,
                ping_timeout=60,  # pongs of 8 to 30 s were measured (CLOSE-4)
                close_timeout=_SETTLE,
                logger=_LOGGER,
            )
        except Exception as problem:
            raise _named(problem, place, self._manner.timeout) from None

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            while True:
                frame = await self._socket.recv()
                text = isinstance(frame, str)
                raw = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
                step = self._talk.step("server", raw)
                t = self._clock()
                for recorder in self._recorders:
                    recorder.frame(t, "recv", "text" if text else "binary", step)
                if not self._gone:  # else it is read to the end, for the close that comes behind it
                    self._hear(step, t, "text" if text else "binary")
        except ConnectionClosed as closed:
            self._was_closed(closed)
        except Exception as failed:  # a recorder that cannot write
            self._broken = failed
        finally:
            self._gone = True
            self._news.set()

    def _hear(self, step: Step, t: float, opcode: str) -> None:
        self._heard += 1
        self._now.take(step, t)
        self._calls_now.take(step)
        seconds = seconds_of(step)
        self._plays_until = (
            t if step.interrupted else max(t, self._plays_until) + seconds if seconds else self._plays_until
        )
        line = Line(self._at, t, "server", opcode, step.raw, size=len(step.raw))
        if step.kind != "unreadable" or self._manner.exact:
            self._came.take(line, step)
        for fault in step.faults:
            words = f"{fault.complaint} ({fault.rule}): only in {NAMES[1]}"
            self._faults.setdefault(_key(fault), Difference("server", fault.path or "/", words, (None, self._at)))
        self._weight += _weight(step)
        self._sound += seconds
        if (
            self._weight > 4 * self._weight_then + _SPARE or self._sound > 4 * self._sound_then + _SPARE_SOUND
        ):  # a recording says less before the same message
            words = f"given up: {self._heard:,} messages came, {self._heard_then:,} had come so far"
            self._own.append(Difference("server", "/messages", words, (self._at, None)))
            self._gone = True
        self._news.set()

    def _was_closed(self, closed: ConnectionClosed) -> None:
        # websockets gives up first, with a close of its own, on frames that are too large or no WebSocket
        ours = closed.sent is not None and not closed.rcvd_then_sent and not self._gone
        frame = closed.sent if ours else closed.rcvd
        code, reason = (frame.code, frame.reason) if frame is not None else (1006, "")
        self._control("send" if ours else "recv", code, reason)
        if self._gone:
            return
        step = self._talk.close("client" if ours else "server", code, reason)
        where, reason = self._place.shown, self._place.hide(reason)
        advice = closes.explain(code, reason, model=str(self._talk.setup.get("model", "")))
        during = "in the middle of a turn" if "cutTurn" in step.effects else ""
        if ours:
            words = f"given up: {code} {reason}".strip()
            self._own.append(Difference("server", "/close", f"{words}; only in {NAMES[1]}", (None, self._at)))
            self._outcome.failure = RemoteProtocolError(words, where=where, why=advice.meaning, cure=advice.do)
            return
        about = {"code": code, "reason": reason}
        self._came.take(Line(self._at, self._clock(), "server", "text", None, "close", about), step)
        if code == 1006:
            self._outcome.failure = Lost(advice, where=where, during=during)
        elif self._now.ever & {"setupComplete"}:
            self._outcome.failure = Closed(advice, where=where, during=during) if advice.kind != "normal" else None
        else:
            self._outcome.failure = Refused(advice, where=where)

    async def _leave(self, code: int = 1000, reason: str = "") -> None:
        if self._left or self._socket is None:
            return
        self._left = self._gone = True
        if self._socket.state is not State.OPEN:
            return
        if code == 1006:  # it was gone without a word
            self._control("send", code, reason)
            self._socket.transport.abort()
            return
        if not (code in range(1000, 1004) or code in range(1007, 1015) or code in range(3000, 5000)):
            self._tell(f"the client closed with {code}, which no close frame can have: this run closes with 1000")
            code = 1000
        self._control("send", code, reason)
        await self._socket.close(code, closes.cut(reason))

    def _control(self, direction: Literal["send", "recv"], code: int, reason: str) -> None:
        try:
            for recorder in self._recorders:
                recorder.control(self._clock(), direction, "close", {"code": code, "reason": reason})
        except LivewsError as failed:
            self._broken = self._broken or failed

    # What differs

    def _compare(self) -> None:
        outcome, manner = self._outcome, self._manner
        one, other = self._meant.done(), self._came.done()
        if not manner.exact:
            one, other = diff.outline(one), diff.outline(other)
        for side in ("server", "beside"):
            if manner.speed != 1:  # it is the time that makes the server leave
                for meaning in (one, other):
                    meaning.sides[side] = [item for item in meaning.sides[side] if item.kind != "goAway"]
        found = [*self._own, *(self._faults[key] for key in self._faults if key not in self._faults_then)]
        found += diff.differences(one, other, "bytes" if manner.exact else "nothing", NAMES)
        if self._cut_off:  # how much of a turn comes before the client leaves is a matter of time
            found = [one for one in found if one.path == "/close" or one.lines[0] or (one.lines[1] or 0) < self._at]
        if outcome.interrupted:  # what is missing behind the last message may have been under way
            found = [one for one in found if (one.lines[0] or 0) <= self._at]
        found.sort(key=lambda one: one.lines[0] or one.lines[1] or 0)
        outcome.count = len(found)
        kinds = Counter((one.side, one.path) for one in found)
        told: Counter[tuple[str, str]] = Counter()
        for one_found in found:
            key = (one_found.side, one_found.path)
            told[key] += 1
            if told[key] <= _TOLD:
                hidden = replace(one_found, words=self._place.hide(one_found.words))
                outcome.differences.append(hidden)
            elif told[key] == kinds[key]:
                outcome.differences.append(replace(one_found, words=f"and {told[key] - _TOLD:,} more of these"))

    def _once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)


def _as_recorded(line: Line) -> bytes:
    """The bytes of a frame as they were: a reader has them without white space, with the last of two equal members."""
    assert line.raw is not None
    start = line.text.find(b'"message":') + len(b'"message":')
    raw = line.text[start : start + line.size]
    try:
        same = len(raw) == line.size and wire.dump(wire.parse(raw)) == line.raw
    except wire.WireError:
        same = False
    return raw if same else line.raw


def _member(value: dict[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if name in value), None)


def _close_of(line: Line) -> tuple[int, str]:
    code = line.about.get("code")
    return (code if type(code) is int else 1006), str(line.about.get("reason", ""))


def _weight(step: Step) -> int:
    return _FRAME + (0 if step.audio else len(step.raw))


def _key(fault: Finding) -> tuple[str, str]:
    return fault.rule, judge.plain_path(fault.path)


def _named(problem: Exception, place: Place, timeout: float) -> Exception:
    """A failure to connect in livews's own words."""
    said, where = place.hide(str(problem)), place.shown
    what, why, cure = "no connection", said, "check host, port and path: something else than this API is listening"
    if isinstance(problem, InvalidStatus):
        return Refused(closes.explain_http(problem.response.status_code), where=where)
    if isinstance(problem, (InvalidURI, UnicodeError)):
        return BadRequest("not a URL to dial", where="--to", why=said, cure="write it as in ws://127.0.0.1:8765")
    if isinstance(problem, TimeoutError):
        what, why = f"no answer within {timeout:g} s", "nobody finished the handshake"
        cure = "check the network, a firewall or a proxy (HTTPS_PROXY)"
    elif isinstance(problem, ssl.SSLCertVerificationError):
        what, why = "the server's certificate is not trusted", problem.verify_message or said
        cure = "for a server of your own set SSL_CERT_FILE to its CA file; else check the clock and the proxy"
    elif isinstance(problem, (ssl.SSLError, ConnectionResetError)) and place.url.startswith("wss:"):
        what, cure = "the server does not speak TLS", "a plain server is dialled with ws://, not wss://"
    elif isinstance(problem, (ProxyError, InvalidProxy, ImportError, ValueError)):
        what, cure = "the proxy did not let the connection through", "check HTTPS_PROXY, or unset it"
        # the text of the others may quote the proxy's password
        why = said if isinstance(problem, ProxyError) else type(problem).__name__
    elif isinstance(problem, socket.gaierror):
        what, cure = "the host name does not resolve", "check the name, the network and DNS"
    elif isinstance(problem, ConnectionRefusedError):
        what, why = "nobody listens there", "connection refused"
        cure = "start the server there (for the stand-in: livews serve), or correct the port"
    elif isinstance(problem, (InvalidHandshake, EOFError)):
        what = "the server does not speak WebSocket"
    elif isinstance(problem, OSError):
        why, cure = problem.strerror or said, "check the network"
    elif not isinstance(problem, WebSocketException):
        return problem
    return Unreachable(what, where=where, why=why, cure=cure)
