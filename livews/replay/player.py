"""Play the client of a recorded session to a server again, and tell what the server does otherwise.

- What is sent is what was recorded: its bytes, its opcode, its close. Only what belongs to one run alone is put in anew
  (ids of calls, handles, media that was left out), and what the caller asks for (the model); each is told. Pings are not
  played.
- Causality before time: a message goes out when the server has come as far in its turns as it had before that message.
  Each wait is bounded, and one in vain is a difference.
- What was put in between on its way to the client is no message of the recorded server: it is as if it were not there.
  What was put in towards the server is sent as recorded.
- The recording is read once, as a stream. Of both sessions only what they mean is kept (`replay_side`), and a server that
  says without end is left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from livews.audio.analysis.pcm import audio_seconds
from livews.connect_errors import DialTarget
from livews.core import closes, codec, machine
from livews.core.conversation import Step
from livews.errors import Closed, LivewsError, Lost, Refused, RemoteProtocolError
from livews.recorder import Opcode, Recorder
from livews.replay.connection import ReplayConnection, ReplayEnded
from livews.replay.progress import Call, SideProgress
from livews.terminal_text import one_line
from livews.trace import compare
from livews.trace.compare import Difference
from livews.trace.reader import TraceRecord, refilled
from livews.trace.session import RecordedSession

NAMES = ("the recording", "the replay")
_SETTLE = 2.0
"""Seconds that what comes behind the last turn may still take before the client closes."""
_LATE = 0.05
"""Seconds a message may be late and the next one still keep its time."""
_SPARE, _SPARE_SOUND = 16 * 1024 * 1024, 600.0
"""Bytes without sound, and seconds of it, that a server may say beyond four times the recording."""
_TOLD = 20
"""Differences of one kind that are told; the rest is counted."""


@dataclass(frozen=True)
class ReplayOptions:
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
class ReplayResult:
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


class Replay:
    """One session of a trace, followed with `texts`, to be played once.

    `handles` takes a handle of the recording to the one this run has in its place, and learns the session's own. `tell` is
    told what a person should know.
    """

    def __init__(
        self,
        session: RecordedSession,
        place: DialTarget,
        manner: ReplayOptions,
        *,
        recorders: Sequence[Recorder] = (),
        handles: MutableMapping[str, str] | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._session = session
        self._place = place
        self._manner = manner
        self._handles = {} if handles is None else handles
        self._tell = tell
        self._wire = ReplayConnection(place, recorders, self._heard, self._closed)
        self._then, self._now = SideProgress(manner.exact), SideProgress(manner.exact)
        self._own: list[Difference] = []
        """Differences that no comparison of messages finds."""
        self._outcome = ReplayResult()

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
        """How much had been heard when something was waited for in vain."""
        self._silenced = False
        """It was told that media are played as silence."""

    async def run(self) -> ReplayResult:
        """Play it. Raises BadRequest, Unreachable, Refused (when the upgrade is) and TraceFailed; being cancelled once it is
        connected ends it, with what is known so far in the outcome."""
        outcome, socket = self._outcome, self._wire
        try:
            await socket.open(self._manner.timeout)
            try:
                await self._play()
            except ReplayEnded:
                pass
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None:
                    task.uncancel()
                outcome.interrupted = True
            seconds = socket.clock()
        finally:
            await socket.close()
        self._read_on()
        outcome.said = self._now.said, self._then.said
        outcome.heard = self._now.heard, self._then.heard
        outcome.seconds = seconds, self._last_t - self._skipped
        self._compare()
        if self._session.talk.handle and socket.talk.handle:
            self._handles[self._session.talk.handle] = socket.talk.handle
        return outcome

    # The recording

    async def _play(self) -> None:
        cut, is_open = "cut" in self._session.header, False
        for line in self._session.lines():
            if _put_in(line):
                continue
            step = self._session.step(line)
            if cut and is_open:  # the first line behind those that a cut always keeps
                cut, self._skipped = False, max(0.0, line.t - self._last_t)
            is_open = self._session.talk.state("session") not in ("new", "opening")
            self._last_t = line.t
            if step is None:
                continue
            if line.sender == "server":
                self._then.hear(line, step, line.t - self._skipped)
            if line.control == "close":
                self._cut_off = "cutTurn" in step.effects
                await self._recorded_close(line)
                return
            if line.sender == "client":
                self._then.said += 1
                await self._say(line, step)
        self._cut_off = self._session.talk.state("turn") != "idle"
        await self._causes(self._at, "its close")
        await self._settle()
        self._tell("the recording ends without a close: this run closes with 1000")
        await self._wire.leave()

    def _read_on(self) -> None:
        """What of the recording was not played: counted, and looked through for how it was closed."""
        first, rest = self._pending, int(self._pending > 0)
        for line in self._session.lines():
            if _put_in(line):
                continue
            self._last_t = line.t
            if line.control == "close":
                self._closed_then(line)
            elif line.raw is not None and line.sender == "client":
                first, rest = first or line.number, rest + 1
                self._then.said += 1
            elif line.raw is not None:
                self._then.heard += 1
        if rest and not self._outcome.interrupted:
            words = f"{rest} {'is' if rest == 1 else 'are'} only in {NAMES[0]}: not played"
            self._own.append(Difference("client", "/messages", words, (first, None)))

    def _closed_then(self, line: TraceRecord) -> None:
        if line.sender == "server":
            self._outcome.was_closed |= closes.explain(*_close_of(line)).kind != "normal"

    async def _recorded_close(self, line: TraceRecord) -> None:
        self._closed_then(line)
        code, reason = _close_of(line)
        if line.sender == "client":
            await self._causes(line.number, "its close")
            await self._settle()
            await self._pace(line.t)
            if not _sendable(code) and not self._wire.over:
                self._tell(f"the client closed with {code}, which no close frame can have: this run closes with 1000")
                code = 1000
            await self._wire.leave(code, reason)
            return
        begun = self._wire.clock()
        took = begun + max(0.0, line.t - self._skipped - self._anchor[0]) if self._anchor is not None else begun
        await self._until(lambda: False, lambda: max(took, self._plays_until) + self._manner.patience)
        self._in_vain(line.number, f"the server to close with {code}", begun)

    # What the client says

    async def _say(self, line: TraceRecord, step: Step) -> None:
        self._pending = line.number
        answers = [
            self._then.calls.answered(answer)
            for answer in machine.values(step.body, ("toolResponse", "functionResponses", "*"))
            if isinstance(answer, dict)
        ]
        await self._causes(line.number, one_line(step.kind, 40), [call for call in answers if call is not None])
        await self._pace(line.t)
        raw = self._made(line, step, answers)
        if raw is not None:
            await self._wire.send(raw, "text" if line.opcode == "text" else "binary")
            self._now.said += 1
            await asyncio.sleep(0)  # at full speed too, what comes is read
        self._at, self._pending = line.number, 0

    def _made(self, line: TraceRecord, step: Step, answers: list[Call | None]) -> bytes | None:
        """The bytes to send; None when there is nothing left of the message."""
        raw = _as_recorded(line)
        if line.elided:
            if not self._silenced:
                self._silenced = True
                self._tell("sound and pictures that were left out of the recording are played as silence")
            raw = refilled(raw)
        if "setup" not in step.body and "toolResponse" not in step.body:
            return raw
        message = codec.parse(raw)
        changed = "setup" in step.body and self._set_up(message)
        if "toolResponse" in step.body:
            answered = self._answer(message, line.number, answers)
            if answered is None:
                return None
            changed |= answered
        return codec.dump(message) if changed else raw

    def _set_up(self, message: dict[str, Any]) -> bool:
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

    def _answer(self, message: dict[str, Any], number: int, answers: list[Call | None]) -> bool | None:
        """Answer this run's calls in the place of the recorded ones; was anything changed? None when no answer is left."""
        given = _member(message, "toolResponse", "tool_response")
        responses = _member(given, "functionResponses", "function_responses") if isinstance(given, dict) else None
        rows = responses if isinstance(responses, list) else [responses]
        found = [row for row in rows if isinstance(row, dict)]
        changed, left = False, len(found)
        for i, (row, call) in enumerate(zip(found, answers, strict=False)):
            if call is None:  # an id nobody gave: that is what was recorded
                continue
            mine = self._now.calls.ids.get(call)
            if mine is None:
                words = f"not sent: this server has not called {call[0]}{f' {call[1] + 1} times' if call[1] else ''}"
                path = f"/toolResponse/functionResponses/{i}"
                self._own.append(Difference("client", path, words, (number, None)))
                left -= 1
                if isinstance(responses, list):
                    responses.remove(row)
            elif mine == row.get("id", ""):
                continue
            elif mine:
                row["id"] = mine
            else:
                del row["id"]
            changed = True
        return changed if left or not found else None

    # Causes and time

    async def _until(self, fits: Callable[[], bool], deadline: Callable[[], float]) -> bool:
        """Wait until it fits, or the deadline, which may move, is over. Over when the session is."""
        while not fits():
            if self._wire.over:
                raise ReplayEnded
            left = deadline() - self._wire.clock()
            if left <= 0:
                return False
            self._wire.news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wire.news.wait()
        return True

    async def _causes(self, number: int, what: str, calls: Sequence[Call] = ()) -> None:
        """Wait until the server has come as far as it had, and has made the calls that are answered."""
        then, now = self._then.progress, self._now.progress
        begun = took = self._wire.clock()
        cause = then.reached(then)
        if self._anchor is not None and cause is not None:
            took = self._anchor[1] + cause - self._anchor[0]

        def lacking() -> str:
            call = next((call for call in calls if call not in self._now.calls.ids), None)
            return now.lacks(then) or (f"the call of {call[0]}" if call else "")

        if await self._until(
            lambda: not lacking(), lambda: max(begun, took, self._plays_until) + self._manner.patience
        ):
            return
        missing = lacking()
        self._in_vain(number, f"{missing} before {what}", begun)
        if missing == "setupComplete" or self._now.heard == self._heard_in_vain:
            self._tell("nobody answers: the rest is not played")
            raise ReplayEnded
        self._heard_in_vain = self._now.heard
        now.catch_up(then, self._wire.clock())
        for side in (self._then, self._now):
            side.meant.mark(number)

    def _in_vain(self, number: int, what: str, begun: float) -> None:
        words = f"waited {round(self._wire.clock() - begun, 1):g} s for {what}"
        self._own.append(Difference("server", "/wait", words, (number, None)))
        self._tell(words)

    async def _settle(self) -> None:
        """Before we close: what comes behind the last turn may still be under way."""
        until = self._wire.clock() + min(_SETTLE, self._manner.patience)
        await self._until(lambda: self._now.progress.settled(self._then.progress), lambda: until)

    async def _pace(self, t: float) -> None:
        """Wait for the time of a recorded line: as long after the one before, and after what it answers, as it was."""
        t -= self._skipped
        due = now = self._wire.clock()
        if self._manner.speed and self._anchor is not None:
            due = self._anchor[1] + (t - self._anchor[0]) / self._manner.speed
            then = self._then.progress.reached(self._then.progress)
            came = self._now.progress.reached(self._then.progress)
            if then is not None and came is not None:
                due = max(due, came + (t - then) / self._manner.speed)
            await self._until(lambda: False, lambda: due)
            now = self._wire.clock()
        # a little late is no reason for all that follows to be
        self._anchor = (t, due if now - due < _LATE else now)

    # What the server does

    def _heard(self, step: Step, t: float, opcode: Opcode) -> None:
        now, then, seconds = self._now, self._then, audio_seconds(step)
        now.hear(TraceRecord(self._at, t, "server", opcode, step.raw, size=len(step.raw)), step, t)
        if step.interrupted:
            self._plays_until = t
        elif seconds:
            self._plays_until = max(t, self._plays_until) + seconds
        # a recording says less before the same message
        if now.weight > 4 * then.weight + _SPARE or now.sound > 4 * then.sound + _SPARE_SOUND:
            words = f"given up: {now.heard:,} messages came, {then.heard:,} had come so far"
            self._own.append(Difference("server", "/messages", words, (self._at, None)))
            self._wire.give_up()

    def _closed(self, step: Step, code: int, reason: str, ours: bool) -> None:
        where, hidden = self._place.shown, self._place.redact(reason)
        advice = closes.explain(code, hidden, model=str(self._wire.talk.setup.get("model", "")))
        during = "in the middle of a turn" if "cutTurn" in step.effects else ""
        if ours:
            words = f"given up: {code} {hidden}".strip()
            self._own.append(Difference("server", "/close", f"{words}; only in {NAMES[1]}", (None, self._at)))
            self._outcome.failure = RemoteProtocolError(words, where=where, why=advice.meaning, fix=advice.do)
            return
        about = {"code": code, "reason": hidden}
        t = self._wire.clock()
        self._now.hear(TraceRecord(self._at, t, "server", "text", None, "close", about), step, t)
        if code == 1006:
            self._outcome.failure = Lost(advice, where=where, during=during)
        elif "setupComplete" not in self._now.progress.ever:
            self._outcome.failure = Refused(advice, where=where)
        elif advice.kind != "normal":
            self._outcome.failure = Closed(advice, where=where, during=during)

    # What differs

    def _compare(self) -> None:
        outcome, manner = self._outcome, self._manner
        then, now = self._then.meant.done(), self._now.meant.done()
        if not manner.exact:
            then, now = compare.outline(then), compare.outline(now)
        if manner.speed != 1:  # it is the time that makes the server leave
            for meaning in (then, now):
                for side in ("server", "beside"):
                    meaning.sides[side] = [item for item in meaning.sides[side] if item.kind != "goAway"]
        found = [*self._own, *self._new_faults()]
        found += compare.differences(then, now, "bytes" if manner.exact else "nothing", NAMES)
        if self._cut_off:  # how much of a turn comes before the client leaves is a matter of time
            found = [one for one in found if one.path == "/close" or one.lines[0] or (one.lines[1] or 0) < self._at]
        if outcome.interrupted:  # what is missing behind the last message may have been under way
            found = [one for one in found if (one.lines[0] or 0) <= self._at]
        outcome.count = len(found)
        of_kind = Counter((one.side, one.path) for one in found)
        told: Counter[tuple[str, str]] = Counter()
        for one in sorted(found, key=lambda one: one.lines[0] or one.lines[1] or 0):
            kind = (one.side, one.path)
            told[kind] += 1
            if told[kind] <= _TOLD:
                outcome.differences.append(replace(one, words=self._place.redact(one.words)))
            elif told[kind] == of_kind[kind]:
                outcome.differences.append(replace(one, words=f"and {told[kind] - _TOLD:,} more of these"))

    def _new_faults(self) -> list[Difference]:
        return [
            Difference(
                "server", fault.path or "/", f"{fault.complaint} ({fault.rule}): only in {NAMES[1]}", (None, line)
            )
            for kind, (fault, line) in self._now.faults.items()
            if kind not in self._then.faults
        ]


def _put_in(line: TraceRecord) -> bool:
    return line.inserted and line.sender == "server"


def _as_recorded(line: TraceRecord) -> bytes:
    """The bytes of a frame as they were: a reader has them without white space, with the last of two equal members."""
    assert line.raw is not None
    start = line.text.find(b'"message":') + len(b'"message":')
    raw = line.text[start : start + line.size]
    try:
        same = len(raw) == line.size and codec.dump(codec.parse(raw)) == line.raw
    except codec.WireError:
        same = False
    return raw if same else line.raw


def _member(value: dict[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if name in value), None)


def _close_of(line: TraceRecord) -> tuple[int, str]:
    code = line.about.get("code")
    return (code if type(code) is int else 1006), str(line.about.get("reason", ""))


def _sendable(code: int) -> bool:
    """Can a close frame have it? 1006 is none at all, and played by going without a word."""
    return 1000 <= code <= 1003 or 1006 <= code <= 1014 or 3000 <= code <= 4999
