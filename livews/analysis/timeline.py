"""A recorded session as people tell it: who said what, when, and what else happened.

- Times are seconds on the session's time line, as the ear has them: a word of the model stands where its sound is played, which
  is later than it came; a word of the user where it was spoken.
- What was cut off before it was heard is kept, and marked.
- Grows with the words of a session, never with its sound.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from livews.analysis.turn_times import (
    SPEAKS,
    PlayedTimeline,
    UserSpeech,
    ends_reply,
    interrupts,
    played,
)
from livews.audio.analysis.pcm import rate_of, seconds_of
from livews.core import events, machine, rules
from livews.core.conversation import Step
from livews.trace.ending import SessionEnding
from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession

_LONG = 84
"""Characters of a caption: two lines of 42, as subtitles have them."""
_STOPS = (".", "!", "?", "…", "。", "！", "？")
_TYPED = 15
"""Characters a second that are read."""


@dataclass(slots=True)
class Utterance:
    """Words of one side, and when they are heard. `typed` words are text; `heard` is False for what was cut off."""

    who: Literal["user", "model"]
    start: float
    end: float
    text: str
    turn: int
    typed: bool = False
    heard: bool = True


@dataclass(slots=True)
class TimelineEvent:
    """Something else: what is one of call, answer, cancelled, interrupted, latency, close, goAway,
    unanswered."""

    what: str
    t: float
    text: str
    turn: int


@dataclass(slots=True)
class Timeline:
    """All of a session. `cuts` are, for each interruption, the seconds of its reply that were heard, None: unknown."""

    told: list[Utterance | TimelineEvent] = field(default_factory=list)
    cuts: list[float | None] = field(default_factory=list)
    length: float = 0.0
    """Seconds from the start to the last sound or line."""
    turns: int = 0

    def captions(self) -> list[Utterance]:
        """What was heard, in the order of time, none longer than two lines."""
        said = [one for one in self.told if isinstance(one, Utterance) and one.heard and one.text.strip()]
        return [piece for one in sorted(said, key=lambda one: one.start) for piece in _pieces(one)]


class _TimelineBuilder:
    def __init__(self, session: RecordedSession) -> None:
        self.story = Timeline()
        self._session = session
        self._user = UserSpeech()
        self._lane = PlayedTimeline()
        self._turn = 1
        self._asked: float | None = None
        self._replying = False
        self._now: Utterance | None = None
        """The words of the model that grow."""
        self._spoken: Utterance | None = None
        """The words of the user that grow."""
        self._reply: list[Utterance] = []
        self._calls: dict[str, float] = {}
        self._ending = SessionEnding()
        self._cut_at: float | None = None
        """Nothing of the reply was heard behind this."""

    def take(self, line: TraceRecord, step: Step | None) -> None:
        story = self.story
        story.length = max(story.length, line.t)
        self._turn = self._session.turn
        if line.control == "heard":
            self._heard(line)
        if step is None:
            return
        close = self._ending.take(line, step)
        if line.control == "close":
            self._end_reply()
            if close is not None:
                text = f"closed {close.code} by the {close.by}"
                if not close.is_fine:
                    text += f' "{close.reason}": {close.advice.meaning}'
                self._note("close", line.t, text)
        elif line.sender == "client":
            self._client(line, step)
        else:
            self._server(line, step)

    def _client(self, line: TraceRecord, step: Step) -> None:
        sounds = [(rate_of(mime_type, "client"), pcm) for mime_type, pcm in step.audio]
        if sounds or "prompt" in step.signals:
            self._user.see(line, step, sounds)
        if "clientContent" in step.signals or "textIn" in step.signals:
            turns = machine.values(step.body, ("clientContent", "turns", "*"))
            texts = [
                text
                for turn in turns
                if not isinstance(turn, dict) or turn.get("role") != "model"
                for text in machine.values(turn, ("parts", "*", "text"))
            ]
            texts += machine.values(step.body, ("realtimeInput", "text"))
            text = " ".join(text for text in texts if isinstance(text, str))
            if text:
                end = line.t + max(1.5, len(text) / _TYPED)
                self.story.told.append(Utterance("user", line.t, end, text, self._turn, typed=True))
        for answer in machine.values(step.body, ("toolResponse", "functionResponses", "*")):
            if isinstance(answer, dict):
                called = self._calls.pop(str(answer.get("id") or answer.get("name")), None)
                after = f" after {line.t - called:.2f} s" if called is not None else ""
                text = f"{answer.get('name') or answer.get('id')} answered {_json(answer.get('response'))}{after}"
                self._note("answer", line.t, text)

    def _server(self, line: TraceRecord, step: Step) -> None:
        if any(signal in SPEAKS for signal in step.signals) and not self._replying:
            self._begin(line)
        for event in events.events(step):
            match event:
                case events.Transcript(of="user", interim=False):
                    self._user_said(event.text, line)
                case events.Transcript(of="model"):
                    self._model_said(event.text, line)
                case events.Text(thought=False):
                    self._model_said(event.text, line)
                case events.Audio():
                    self._sound(event, line)
                case events.ToolCall():
                    self._calls[event.id or event.name] = line.t
                    self._note("call", line.t, f"{event.name}({_json(event.args)})")
                case events.ToolCancelled():
                    self._note("cancelled", line.t, f"no longer wanted: {', '.join(event.ids)}")
                case events.GoAway():
                    self._note("goAway", line.t, f"the service goes away in {event.seconds} s")
                case _:
                    pass
        if interrupts(step):
            self._interrupted(line)
        if ends_reply(step):
            self._end_reply()

    def _begin(self, line: TraceRecord) -> None:
        self._replying = True
        self._spoken = None
        if self._cut_at is not None:
            self._lane.cut(self._cut_at)
        self._cut_at = None
        self._lane.over()
        self._reply = []
        asked = self._user.asked_at(self._asked)
        if asked is not None:
            self._asked = min(asked, line.t)
            self._note("latency", line.t, f"first byte after {line.t - self._asked:.2f} s")

    def _sound(self, event: events.Audio, line: TraceRecord) -> None:
        self._lane.put(line.t, seconds_of(len(event.pcm), event.rate))
        self.story.length = max(self.story.length, self._lane.end)

    def _user_said(self, text: str, line: TraceRecord) -> None:
        if self._spoken is None:
            began, ended = self._user.began_at, self._user.ended_at
            start = began if began is not None else line.t - 1.0
            end = ended if ended is not None else line.t
            start = max(0.0, min(start, line.t))
            self._spoken = Utterance("user", start, max(min(end, line.t), start + 0.5), "", self._turn)
            self.story.told.append(self._spoken)
        self._spoken.text += text
        if self._user.ended_at is not None:
            self._spoken.end = max(self._spoken.end, min(self._user.ended_at, line.t))

    def _model_said(self, text: str, line: TraceRecord) -> None:
        if not text:
            return
        if not self._replying:
            self._begin(line)
        start = max(line.t, self._lane.end)
        now = self._now
        if now is not None and (
            start - now.start > 6.0 or len(now.text) + len(text) > _LONG or now.text.rstrip().endswith(_STOPS)
        ):
            now.end = max(now.start, start)
            now = None
        if now is None:
            now = self._now = Utterance("model", start, start, "", self._turn)
            now.heard = self._cut_at is None or start < self._cut_at
            self._reply.append(now)
            self.story.told.append(now)
        now.text += text

    def _finish_words(self) -> None:
        if self._now is not None:
            self._now.end = max(self._lane.end, self._now.start)
            if self._now.end - self._now.start < 0.2:  # words without sound
                self._now.end = self._now.start + max(1.0, len(self._now.text) / _TYPED)
            self._now = None

    def _interrupted(self, line: TraceRecord) -> None:
        self._finish_words()
        self.story.cuts.append(None)
        self._note("interrupted", line.t, "interrupted")
        self._cut(line.t)

    def _cut(self, at: float) -> None:
        """Nothing of this reply was heard behind `at`."""
        for said in self._reply:
            said.heard = said.start < at
            said.end = min(said.end, at) if said.heard else said.end
        self._cut_at = at

    def _heard(self, line: TraceRecord) -> None:
        seconds = played(line)
        if seconds is None or not self.story.cuts:
            return
        self.story.cuts[-1] = seconds
        if self._cut_at is not None:
            self._cut(self._lane.after(seconds))
        for one in reversed(self.story.told):
            if isinstance(one, TimelineEvent) and one.what == "interrupted":
                one.text = f"interrupted after {seconds:.1f} s were heard"
                break

    def _end_reply(self) -> None:
        self._finish_words()
        self._replying = False
        self._spoken = None

    def finish(self) -> Timeline:
        self._finish_words()
        if self._ending.unanswered is not None:
            self._note("unanswered", self.story.length, str(rules.unanswered_setup()))
        self.story.turns = self._session.talk.turns
        return self.story

    def _note(self, what: str, t: float, text: str) -> None:
        self.story.told.append(TimelineEvent(what, t, text, self._turn))


def timeline_of(session: RecordedSession) -> Timeline:
    """The story of a session; it is read to its end."""
    teller = _TimelineBuilder(session)
    for line, step in session:
        teller.take(line, step)
    return teller.finish()


def _pieces(said: Utterance) -> list[Utterance]:
    """One caption, or as many as its text needs, each with its share of the time."""
    text = " ".join(said.text.split())
    if len(text) <= _LONG:
        return [Utterance(said.who, said.start, max(said.end, said.start + 0.2), text, said.turn, said.typed)]
    lines: list[str] = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _LONG:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    each = max(said.end - said.start, 0.2 * len(lines)) / len(text)
    out, at = [], said.start
    for line in lines:
        end = at + each * (len(line) + 1)
        out.append(Utterance(said.who, at, end, line, said.turn, said.typed))
        at = end
    return out


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:299] + "…"
