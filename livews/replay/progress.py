"""How far a session has come, and what it means, for a recording and for its replay.

- No messages are kept, only events, calls, sizes and meanings (`trace.normalize`).
- Of the chunks of an answer the first counts; what a finished turn lacks will not come any more.
- Nothing here waits, sends or reads the clock.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from livews.audio.analysis.pcm import audio_seconds
from livews.core import rules
from livews.core.conversation import Step, function_calls
from livews.core.rules import Finding
from livews.trace.normalize import Normalizer
from livews.trace.reader import TraceRecord

_FRAME = 200
"""The weight of a frame besides its bytes."""
_ANSWER = "the answer"
_EVENTS = {"modelTurn": _ANSWER, "outputTranscription": _ANSWER} | {
    name: name for name in ("setupComplete", "toolCall", "toolCallCancellation", "interrupted", "generationComplete")
}
"""Signals that a client's next message may depend on, and how they are called in reports."""
_Milestone = tuple[int, str, int]
"""Turns that had ended, an event of the current one ("" is the end of the last), and its number among its kind."""
Call = tuple[str, int]
"""A call: the name of its function, and how many calls of that name were before it."""


class CallIds:
    """The calls of one session, by id and by order."""

    def __init__(self) -> None:
        self.ids: dict[Call, str] = {}
        """Their IDs; "" for a call without one."""
        self._by_id: dict[str, Call] = {}
        self._count: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()

    def take(self, step: Step) -> None:
        """Add the calls of a message."""
        for call in function_calls(step.body):
            key = (call.name, self._count[call.name])
            self._count[call.name] += 1
            self.ids[key] = call.id
            if call.id:
                self._by_id[call.id] = key

    def answered(self, answer: dict[str, Any]) -> Call | None:
        """The call that a FunctionResponse answers; None if it is none of this session."""
        if "id" in answer:
            return self._by_id.get(str(answer["id"]))
        name = str(answer.get("name", ""))
        key = (name, self._answered[name])
        self._answered[name] += 1
        return key if key in self.ids else None


class SideProgress:
    """One of the two sessions, and how far its server has come: finished turns, and in the current one the events a
    client may react to.

    Args:
        exact: unreadable messages are compared, too.
    """

    def __init__(self, exact: bool) -> None:
        self.sent = self.received = 0
        """Messages of the client and of the server."""
        self.weight = 0
        self.audio_seconds = 0.0
        """What the server sent: bytes besides those of audio, and seconds of audio."""
        self.signals: set[str] = set()
        """All signals of the server so far."""
        self.calls = CallIds()
        self.normalizer = Normalizer()
        self.faults: dict[tuple[str, str], tuple[Finding, int]] = {}
        """Findings about the server, each kind once, with the line of the first."""
        self._exact = exact
        self._turns = 0
        self._events: Counter[str] = Counter()
        self._signals: set[str] = set()
        """Those since the last turn ended."""
        self._last: _Milestone = (0, "", 0)
        self._times: dict[_Milestone, float] = {}

    def receive(self, line: TraceRecord, step: Step, t: float) -> None:
        """Add a message or a control line of the server at `t` seconds."""
        if line.raw is not None:
            self.received += 1
            self._advance(step, t)
            self.calls.take(step)
            self.weight += _FRAME + (0 if step.audio else len(step.raw))
            self.audio_seconds += audio_seconds(step)
            for fault in step.faults:
                self.faults.setdefault((fault.rule, rules.plain_path(fault.path)), (fault, line.number))
        if step.kind != "unreadable" or self._exact:
            self.normalizer.take(line, step)

    def _advance(self, step: Step, t: float) -> None:
        self.signals.update(step.signals)
        if "endTurn" in step.effects:
            self._turns += 1
            self._events.clear()
            self._signals.clear()
            self._reach("", t)
            return
        self._signals.update(step.signals)
        for signal in step.signals:
            event = _EVENTS.get(signal)
            if event is not None and not (event == _ANSWER and self._events[event]):
                self._events[event] += 1
                self._reach(event, t)

    def _reach(self, event: str, t: float) -> None:
        self._last = (self._turns, event, self._events[event])
        self._times[self._last] = t

    def lacks(self, other: SideProgress) -> str:
        """The first event of `other` that is missing here, in words; "" when this is as far."""
        if self._turns != other._turns:
            return "" if self._turns > other._turns else f"the end of turn {self._turns + 1}"
        return next((event for event, n in other._events.items() if self._events[event] < n), "")

    def catch_up(self, other: SideProgress, t: float) -> None:
        """Count what was waited for in vain as reached at `t` seconds."""
        if self._turns < other._turns:
            self._turns = other._turns
            self._events.clear()
        self._events |= other._events
        self._times[other._last] = t

    def settled(self, other: SideProgress) -> bool:
        """Whether each signal of `other` has come at least once."""
        return self.signals >= other.signals and (self._turns > other._turns or self._signals >= other._signals)

    def reached(self, other: SideProgress) -> float | None:
        """When this reached the last event of `other`, which may be itself; None if it has not."""
        return self._times.get(other._last)
