"""Transcript of a session: who said what, when it was heard, and what else happened. Captions and pages are made from it.

- Times are seconds of the trace, as a listener has them: words of the model stand where their audio is played, which is
  later than they came; words of the user where they were spoken.
- What was cut off before it was heard is kept, and marked.
- It grows with the words of a session, never with its audio.
"""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from livews.advice import judge
from livews.analysis.audio_tracks import AudioTracks
from livews.analysis.timeline import Timeline, user_texts
from livews.core import events, machine
from livews.core.conversation import Step
from livews.redactor import hide
from livews.trace.ending import SessionEnding
from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession
from livews.trace.view import number

_CAPTION = 84
"""Characters of a caption: two lines of 42, as in subtitles."""
_CAPTION_SECONDS = 6.0
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")
_READ_SPEED = 15
"""Characters a reader takes in per second."""
_MAX_JSON = 300


@dataclass(slots=True)
class Utterance:
    """Words of one side, and when they are heard.

    Attributes:
        start, end: seconds of the trace.
        turn: its number, from 1.
        typed: sent as text, not spoken.
        heard: False if it was cut off before it was played.
    """

    who: Literal["user", "model"]
    start: float
    end: float
    text: str
    turn: int
    typed: bool = False
    heard: bool = True


@dataclass(slots=True)
class TimelineEvent:
    """Another event. `kind`: call, answer, cancelled, interrupted, latency, close, goAway or unanswered."""

    kind: str
    t: float
    text: str
    turn: int


@dataclass(slots=True)
class SessionTranscript:
    """The whole session, in the order of the trace. `length`: seconds until the last sound or line."""

    entries: list[Utterance | TimelineEvent] = field(default_factory=list)
    length: float = 0.0
    turns: int = 0

    def captions(self) -> list[Utterance]:
        """What was heard, in order of time, in pieces of at most two lines."""
        heard = [e for e in self.entries if isinstance(e, Utterance) and e.heard and e.text.strip()]
        return [piece for utterance in sorted(heard, key=lambda u: u.start) for piece in _pieces(utterance)]


class _TranscriptBuilder:
    def __init__(self, session: RecordedSession) -> None:
        self.transcript = SessionTranscript()
        self._session = session
        self._tracks = AudioTracks(limit=0)
        self._timeline = Timeline(self._tracks)
        self._turn = 1
        self._model_words: Utterance | None = None
        """The words of the model that grow."""
        self._user_words: Utterance | None = None
        """The transcribed words of the user that grow."""
        self._reply: list[Utterance] = []
        """What the model has said in this reply."""
        self._cut_at: float | None = None
        """Nothing of the reply was heard after this."""
        self._calls: dict[str, float] = {}
        self._ending = SessionEnding()

    def take(self, record: TraceRecord, step: Step | None) -> None:
        transcript, t = self.transcript, record.t
        transcript.length = max(transcript.length, t)
        self._turn = self._session.turn
        if record.control == "heard":
            self._heard(record.about)
        if step is None:
            return
        close = self._ending.take(record, step)
        change = self._timeline.take(t, step, elided=True)
        if change.began:
            self._user_words = self._cut_at = None
            self._reply = []
            if change.turn is not None and change.turn.requested_at is not None:
                self._add("latency", t, f"first byte after {t - change.turn.requested_at:.2f} s")
        if record.control == "close":
            self._end_reply()
            if close is not None:
                text = f"closed {close.code} by the {close.by}"
                if not close.is_fine:
                    text += f' "{close.reason}": {close.about}'
                self._add("close", t, text)
        elif step.sender == "client":
            self._client(t, step)
        else:
            for event in events.events(step):
                self._event(t, event)
            if change.interrupted:
                self._finish_words()
                self._add("interrupted", t, "interrupted")
                self._cut(t)
            if change.ended:
                self._end_reply()

    def _client(self, t: float, step: Step) -> None:
        if text := " ".join(user_texts(step)):
            end = t + max(1.5, len(text) / _READ_SPEED)
            self.transcript.entries.append(Utterance("user", t, end, text, self._turn, typed=True))
        for answer in machine.values(step.body, ("toolResponse", "functionResponses", "*")):
            if isinstance(answer, dict):
                called_at = self._calls.pop(str(answer.get("id") or answer.get("name")), None)
                after = f" after {t - called_at:.2f} s" if called_at is not None else ""
                name = answer.get("name") or answer.get("id")
                self._add("answer", t, f"{name} answered {_json(answer.get('response'))}{after}")

    def _event(self, t: float, event: events.Event) -> None:
        match event:
            case events.Transcript(of="user", interim=False, text=text):
                self._user_said(text, t)
            case events.Transcript(of="model", text=text) | events.Text(thought=False, text=text):
                self._model_said(text, t)
            case events.Audio():
                self.transcript.length = max(self.transcript.length, self._tracks.model.queued_until)
            case events.ToolCall(id=call_id, name=name, args=args):
                self._calls[call_id or name] = t
                self._add("call", t, f"{name}({_json(args)})")
            case events.ToolCancelled(ids=ids):
                self._add("cancelled", t, f"no longer wanted: {', '.join(ids)}")
            case events.GoAway(seconds=seconds):
                self._add("goAway", t, f"the service goes away in {seconds} s")

    def _user_said(self, text: str, t: float) -> None:
        speech = self._timeline.user.speech
        began_at, ended_at = speech.began_at, speech.ended_at
        if self._user_words is None:
            start = max(0.0, min(t - 1.0 if began_at is None else began_at, t))
            end = max(t if ended_at is None else min(ended_at, t), start + 0.5)
            self._user_words = Utterance("user", start, end, "", self._turn)
            self.transcript.entries.append(self._user_words)
        self._user_words.text += text
        if ended_at is not None:
            self._user_words.end = max(self._user_words.end, min(ended_at, t))

    def _model_said(self, text: str, t: float) -> None:
        if not text:
            return
        start = max(t, self._tracks.model.queued_until)
        words = self._model_words
        if words is not None and (
            start - words.start > _CAPTION_SECONDS
            or len(words.text) + len(text) > _CAPTION
            or words.text.rstrip().endswith(_SENTENCE_ENDS)
        ):
            words.end = max(words.start, start)
            words = None
        if words is None:
            words = self._model_words = Utterance("model", start, start, "", self._turn)
            words.heard = self._cut_at is None or start < self._cut_at
            self._reply.append(words)
            self.transcript.entries.append(words)
        words.text += text

    def _finish_words(self) -> None:
        words, self._model_words = self._model_words, None
        if words is not None:
            words.end = max(self._tracks.model.queued_until, words.start)
            if words.end - words.start < 0.2:  # words without audio
                words.end = words.start + max(1.0, len(words.text) / _READ_SPEED)

    def _cut(self, at: float) -> None:
        """Nothing of this reply was heard after `at`."""
        for utterance in self._reply:
            utterance.heard = utterance.start < at
            utterance.end = min(utterance.end, at) if utterance.heard else utterance.end
        self._cut_at = at

    def _heard(self, about: dict[str, Any]) -> None:
        runs = self._tracks.model.heard(about)
        marks = (e for e in reversed(self.transcript.entries) if isinstance(e, TimelineEvent))
        interruption = next((e for e in marks if e.kind == "interrupted"), None)
        if about.get("interrupted") is not True or "heardMs" not in about or interruption is None:
            return
        interruption.text = f"interrupted after {max(0.0, number(about, 'heardMs') / 1000):.1f} s were heard"
        if self._cut_at is not None and runs:
            self._cut(max((run.end for run in runs if run.heard_samples), default=runs[0].t))

    def _end_reply(self) -> None:
        self._finish_words()
        self._user_words = None

    def finish(self) -> SessionTranscript:
        self._finish_words()
        if self._ending.unanswered is not None:
            self._add("unanswered", self.transcript.length, str(judge.unanswered_setup()))
        for entry in self.transcript.entries:
            entry.text = hide(entry.text)
        self.transcript.turns = self._session.conversation.turns
        return self.transcript

    def _add(self, kind: str, t: float, text: str) -> None:
        self.transcript.entries.append(TimelineEvent(kind, t, text, self._turn))


def transcript_of(session: RecordedSession) -> SessionTranscript:
    """The transcript of a session, which is read to its end."""
    builder = _TranscriptBuilder(session)
    for record, step in session:
        builder.take(record, step)
    return builder.finish()


def _pieces(utterance: Utterance) -> Iterator[Utterance]:
    """The utterance as captions, each with its share of the time."""
    text = " ".join(utterance.text.split())
    lines = textwrap.wrap(text, _CAPTION, break_long_words=False, break_on_hyphens=False)
    size = sum(map(len, lines)) + len(lines) - 1
    each = max(utterance.end - utterance.start, 0.2 * len(lines)) / size
    start = utterance.start
    for line in lines:
        end = start + each * (len(line) + (len(lines) > 1))
        yield Utterance(utterance.who, start, end, line, utterance.turn, utterance.typed)
        start = end


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_JSON else text[: _MAX_JSON - 1] + "…"
