"""When the user spoke and when the model was heard, from what a trace holds.

- Times are seconds on the trace's clock. A chunk's time is when its last sample was sent, or when it arrived.
- What is played is what a player would have played that starts with the first piece, plays on as long as there is sound, and
  drops what is queued at an interruption; or what a `heard` line says was played.
"""

from __future__ import annotations

from livews.audio.analysis.vad import VoiceActivityDetector
from livews.core import events
from livews.core.conversation import Step
from livews.trace.reader import TraceRecord
from livews.trace.view import number

SPEAKS = ("modelTurn", "outputTranscription", "toolCall")
"""Signals with which a reply begins."""


class UserSpeech:
    """Follows when the user spoke, and when the user was done."""

    def __init__(self) -> None:
        self._detector = VoiceActivityDetector()
        self._prompted: float | None = None
        """When a text or activityEnd was sent last."""

    def see(self, line: TraceRecord, step: Step, sounds: list[tuple[int, bytes]]) -> bool:
        """Take a frame of the client and its sounds (rate, PCM). True when it is a text, or speech begins in it."""
        began = self.began_at
        for rate, pcm in sounds:
            self._detector.push(pcm, rate, line.t)
        done = "prompt" in step.signals
        if done:
            self._prompted = line.t
        return (done and "activityEnd" not in step.signals) or self.began_at != began

    @property
    def began_at(self) -> float | None:
        """When the speech of now, or the last one, began."""
        return self._detector.began_at

    @property
    def ended_at(self) -> float | None:
        return self._detector.ended_at

    def asked_at(self, after: float | None) -> float | None:
        """When the user was done, later than `after`: the last loud sample, text or activityEnd. None: not at all."""
        ends = [end for end in (self._prompted, self.ended_at) if end is not None and (after is None or end > after)]
        return max(ends, default=None)


class PlayedTimeline:
    """Where on the time line the model's sound is heard."""

    def __init__(self) -> None:
        self.end = 0.0
        """When what has come so far will have been played."""
        self._pieces: list[list[float]] = []

    def put(self, t: float, seconds: float) -> float:
        """A piece arrives: when it begins to be heard."""
        at = max(t, self.end)
        if self._pieces and at <= self._pieces[-1][1]:
            self._pieces[-1][1] = at + seconds
        else:
            self._pieces.append([at, at + seconds])
        self.end = at + seconds
        return at

    def after(self, heard: float) -> float:
        """When so many seconds of the reply had been heard."""
        for start, end in self._pieces:
            if heard <= end - start:
                return start + heard
            heard -= end - start
        return self.end

    def cut(self, at: float) -> None:
        """What is queued behind `at` is dropped."""
        self.end = min(self.end, at)
        self._pieces = [[start, min(end, self.end)] for start, end in self._pieces if start < self.end]

    def over(self) -> None:
        """The reply is over: `after` counts from the next one."""
        self._pieces.clear()


def played(line: TraceRecord) -> float | None:
    """Seconds of an interrupted reply that were heard, from its `heard` line; None for any other line."""
    if line.control == "heard" and line.about.get("interrupted") is True and "heardMs" in line.about:
        return max(0.0, number(line.about, "heardMs") / 1000)
    return None


def interrupts(step: Step) -> bool:
    return "interrupted" in step.signals


def ends_reply(step: Step) -> bool:
    """Is the reply complete with this? Where the model has yet to speak about a tool's result it goes on, unless this turn
    was cut."""
    if not ("endTurn" in step.effects or "cutTurn" in step.effects):
        return False
    states = step.states
    return step.interrupted or (states["turn"] != "waitingForTool" and states["answer"] not in events.ANSWER_OWED)
