"""Timeline of a session: when the user was done, and when each reply of the model began, sounded and ended.

- Times are seconds on the clock of the caller. The time of a chunk is when its last sample was sent, or when it arrived.
- The user is done with the last sample of speech, an activityEnd or a text, whichever was last. Latencies count from it.
- Statistics, transcripts and the report get their turns from here.
"""

from dataclasses import dataclass
from typing import Literal

from livews.analysis.audio_tracks import AudioTracks, ends_reply
from livews.analysis.turn import Turn
from livews.audio.analysis.pcm import rate_of
from livews.audio.analysis.vad import VoiceActivityDetector
from livews.core import machine
from livews.core.conversation import Step

REPLY_SIGNALS = frozenset(("modelTurn", "outputTranscription", "toolCall"))
"""Signals with which a reply begins."""


@dataclass(slots=True)
class TurnChange:
    """What one frame did to the turns."""

    turn: Turn | None = None
    """The reply it belongs to."""
    began: bool = False
    sounded: bool = False
    """Its first sound is in the frame."""
    interrupted: bool = False
    ended: bool = False
    barge_in: float | None = None
    """Seconds from the speech or text that interrupted the model to `interrupted`."""


class UserSpeech:
    """When the user spoke, and when the user was done."""

    def __init__(self) -> None:
        self.speech = VoiceActivityDetector()
        """When the current speech, or the last one, began and ended, as far as it is known."""
        self._prompted_at: float | None = None
        """When a text or activityEnd was sent last."""

    def take(self, t: float, step: Step) -> float | None:
        """Take a frame of the client; when speech began in it or a text was sent, which may interrupt the model."""
        began_at = self.speech.began_at
        for mime_type, pcm in step.audio:
            self.speech.push(pcm, rate_of(mime_type, "client"), t)
        if "prompt" in step.signals:
            self._prompted_at = t
            if "activityEnd" not in step.signals:
                return t
        return None if self.speech.began_at == began_at else self.speech.began_at

    def done_at(self, after: float | None) -> float | None:
        """When the user was done, if that was later than `after`."""
        ends = (self._prompted_at, self.speech.ended_at)
        return max((end for end in ends if end is not None and (after is None or end > after)), default=None)

    def done_by(self, t: float) -> Literal["text", "voice"]:
        """How the user was done at `t`."""
        return "text" if t == self._prompted_at else "voice"


class Timeline:
    """Follows the turns of one session and, if `tracks` are given, lays out its audio in them."""

    def __init__(self, tracks: AudioTracks | None = None) -> None:
        self.user = UserSpeech()
        self.turn: Turn | None = None
        """The reply that is being received."""
        self._tracks = tracks
        self._requested_at: float | None = None
        """The end of speech that the last reply answered."""
        self._cause_at: float | None = None
        """When the user began what may interrupt the model."""

    @property
    def unanswered_since(self) -> float | None:
        """When the user was done with what has no reply yet."""
        return self.user.done_at(self._requested_at)

    def take(self, t: float, step: Step, *, elided: bool = False) -> TurnChange:
        """Take the next frame or close. `elided`: its media were left out of the trace."""
        if self._tracks is not None:
            self._tracks.take(t, step, elided=elided)
        change = TurnChange(self.turn)
        if step.sender == "client" and step.signals != ("close",):
            self._cause_at = self.user.take(t, step) or self._cause_at
            return change
        begins = self.turn is None and not REPLY_SIGNALS.isdisjoint(step.signals)
        if begins and step.states["turn"] != "interrupted":
            self._begin(t)
            change.turn, change.began = self.turn, True
        turn = change.turn
        if turn is not None and "ignoreAudio" not in step.effects:
            silent = turn.first_sound_at is None
            for mime_type, pcm in step.audio:
                turn.add_audio(pcm, rate_of(mime_type, "server"), t)
            change.sounded = silent and turn.first_sound_at is not None
        if "interrupted" in step.signals:
            change.interrupted = True
            if self._cause_at is not None and self._cause_at <= t:
                change.barge_in = t - self._cause_at
            self._cause_at = None
            if turn is not None:
                turn.outcome = "interrupted"
        if ends_reply(step):
            change.ended, self.turn = True, None
            if turn is not None:
                turn.ended_at = t
                turn.outcome = "interrupted" if step.interrupted else "complete"
                if "close" in step.signals:
                    turn.outcome = "closed"
        return change

    def _begin(self, t: float) -> None:
        done_at = self.unanswered_since
        if done_at is None:
            self.turn = Turn(None, t)
            return
        self._requested_at = min(done_at, t)
        self.turn = Turn(self._requested_at, t, self.user.done_by(done_at))
        if self._cause_at is not None and self._cause_at <= self._requested_at:
            self._cause_at = None  # it is what is answered


def user_texts(step: Step) -> list[str]:
    """The texts that the user sent in a frame of the client."""
    turns = machine.values(step.body, ("clientContent", "turns", "*"))
    texts = [
        text
        for turn in turns
        if not isinstance(turn, dict) or turn.get("role") != "model"
        for text in machine.values(turn, ("parts", "*", "text"))
    ]
    texts += machine.values(step.body, ("realtimeInput", "text"))
    return [text for text in texts if isinstance(text, str)]
