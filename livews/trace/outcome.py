"""How each turn of the model ended: with a reason, in near-silence, without any audio, or cut before it was heard.

- Pure: the frames of a session go in; findings about a turn come out with the frame that ends it.
- Of audio only the loudest sample is looked for, until one is loud enough to be heard.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from livews.audio.analysis.levels import FIRST_SOUND_DB, peak_db
from livews.audio.analysis.pcm import rate_of, seconds_of
from livews.conversation import Conversation
from livews.core import machine, protocol, rules
from livews.core.conversation import Step
from livews.core.rules import Finding
from livews.terminal_text import one_line

_REASON = ("serverContent", "turnCompleteReason")
_REASONS = f"{protocol.SCHEMAS}server/TurnCompleteReason.json"
_LEAST_SECONDS = 0.2
"""Seconds of audio from which a turn is long enough to be heard."""
_MOST_REASONS = 50
"""Different reasons that are counted one by one: a hostile service has any number of them."""


@dataclass(slots=True)
class _Turn:
    """What has come of a turn, and what it answers."""

    asked: bool = False
    began: bool = False
    has_audio: bool = False
    seconds: float = 0.0
    db: float = -120.0
    """dBFS of the loudest sample so far."""
    audible: bool = False
    """A sample can be heard, or the samples are not known."""
    transcripts: int = 0
    has_words: bool = False
    thought: bool = False
    called: bool = False
    interrupted: bool = False
    reason: str = ""


class TurnOutcomes:
    """Follows the turns of one session. `conversation` is the one that its frames pass first."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._turn = _Turn()
        self.ended = 0
        """Turns that have ended."""
        self.reasons = Counter[str]()
        """Turns by turnCompleteReason; those without one are not in it."""
        self.counts = Counter[str]()
        """Turns by what was wrong: silent, withoutAudio, cutBeforeSound, emptyTranscript."""
        self.silent_seconds = 0.0
        self.last = ""
        """What was wrong with the turn that ended last, in a few words."""

    def take(self, step: Step, *, elided: bool = False) -> list[Finding]:
        """Take the next frame; the findings about the turn that it ends. `elided`: its samples are not known."""
        turn = self._turn
        if step.sender == "client":
            if not turn.asked:
                turn.asked = bool(step.audio) or not {"prompt", "toolResponse"}.isdisjoint(step.signals)
            return []
        if "audio" in step.signals and "ignoreAudio" not in step.effects:
            turn.has_audio = turn.began = True
            turn.audible = turn.audible or elided or not step.audio
            for mime_type, pcm in step.audio:
                turn.seconds += seconds_of(len(pcm), rate_of(mime_type, "server"))
                if not turn.audible:
                    is_pcm = mime_type.lower().startswith(("audio/pcm", "audio/l16"))
                    turn.db = max(turn.db, peak_db(pcm))
                    turn.audible = not is_pcm or turn.db >= FIRST_SOUND_DB
            if step.template is not None:
                return []
        self._read(turn, step)
        if "endTurn" not in step.effects or step.kind == "close":
            return []
        self._turn = _Turn()
        self.ended += 1
        return self._judge(turn)

    def _read(self, turn: _Turn, step: Step) -> None:
        body = step.body
        if "outputTranscription" in step.signals:
            turn.transcripts += 1
            texts = machine.values(body, ("serverContent", "outputTranscription", "text"))
            turn.has_words = turn.has_words or any(isinstance(text, str) and text.strip() for text in texts)
        for part in machine.values(body, ("serverContent", "modelTurn", "parts", "*")):
            turn.thought = turn.thought or (isinstance(part, dict) and part.get("thought") is True)
        if thoughts := machine.values(body, ("usageMetadata", "thoughtsTokenCount")):
            turn.thought = turn.thought or bool(thoughts[0])
        for reason in machine.values(body, _REASON):
            turn.reason = reason if isinstance(reason, str) else str(reason)
        turn.began = turn.began or not {"outputTranscription", "modelTurn", "generationComplete"}.isdisjoint(
            step.signals
        )
        turn.called = turn.called or "toolCall" in step.signals
        turn.interrupted = turn.interrupted or "interrupted" in step.signals

    @property
    def _speaks(self) -> bool:
        """Whether the session asked for audio."""
        profile, setup = self._conversation.profile, self._conversation.setup
        asked = machine.values(setup, ("generationConfig", "responseModalities", "*"))
        return bool(profile["wire"]["speaks"]) and "AUDIO" in (asked or profile["output"][:1])

    def _judge(self, turn: _Turn) -> list[Finding]:
        n = self.ended
        self.last = ""
        found: list[Finding] = []
        has_reason = bool(turn.reason) and not turn.reason.endswith("_UNSPECIFIED")
        is_without = (
            self._speaks and not turn.has_audio and not turn.called and (turn.asked or turn.began or has_reason)
        )
        if has_reason:
            name = turn.reason if turn.reason in self.reasons or len(self.reasons) < _MOST_REASONS else "other"
            self.reasons[name] += 1
            about, self.last = _meaning(turn.reason), one_line(turn.reason, 80)
            how = " without audio" if is_without else ""
            found.append(_note("TURN-12", f"turn {n} ended{how} with {one_line(turn.reason, 80)}: {about}", _REASON))
        if is_without and turn.interrupted:
            self.counts["cutBeforeSound"] += 1
            self.last = self.last or "interrupted before any sound"
            found.append(_note("TURN-5", f"turn {n} was interrupted before any sound"))
        elif is_without:
            self.counts["withoutAudio"] += 1
            self.last = self.last or "without audio"
            if not has_reason:
                found.append(_note("TURN-5", f"turn {n} has no audio{_why_none(turn)}"))
        if turn.seconds >= _LEAST_SECONDS and not turn.audible:
            self.counts["silent"] += 1
            self.last = self.last or "silent"
            self.silent_seconds += turn.seconds
            loudest = f"no sample is louder than {turn.db:.0f} dBFS" if turn.db > -120 else "every sample is zero"
            found.append(_note("TURN-13", f"turn {n} is silent: of {turn.seconds:.1f} s of audio {loudest}"))
        if turn.has_audio and turn.transcripts and not turn.has_words and not turn.interrupted:
            self.counts["emptyTranscript"] += 1
            self.last = self.last or "empty transcript"
            found.append(_note("TURN-5", f"turn {n} has audio, and an empty transcript"))
        return found

    def row(self) -> dict[str, Any]:
        """The counts as JSON values."""
        names = ("silent", "withoutAudio", "cutBeforeSound", "emptyTranscript")
        return {
            "ended": self.ended,
            "reasons": dict(self.reasons.most_common()),
            **{name: self.counts[name] for name in names},
            "silentSeconds": round(self.silent_seconds, 3),
        }


def words(row: dict[str, Any]) -> str:
    """The counts of `TurnOutcomes.row` in words; "" if every turn ended well."""
    parts = [f"{count} {one_line(reason, 80)}" for reason, count in row["reasons"].items()]
    if row["silent"]:
        parts.append(f"{row['silent']} silent ({row['silentSeconds']:.1f} s)")
    names = {"withoutAudio": "without audio", "cutBeforeSound": "interrupted before any sound",
             "emptyTranscript": "with an empty transcript"}  # fmt: skip
    parts += [f"{row[name]} {text}" for name, text in names.items() if row[name]]
    return f"of {row['ended']} turns {', '.join(parts)}" if parts else ""


def _why_none(turn: _Turn) -> str:
    if turn.has_words:
        return ", although it has a transcript"
    if turn.thought:
        return ": the model only thought"
    return ", and its transcript is empty" if turn.transcripts else ""


def _meaning(reason: str) -> str:
    values = protocol.schema(_REASONS)["x-livews"]["values"]
    return str(values.get(reason, {}).get("description") or "livews does not know this reason.").rstrip(".")


def _note(rule: str, words: str, path: tuple[str, ...] = ("serverContent",)) -> Finding:
    return rules.finding(rule, "/" + "/".join(path), words, "server", level="note")
