"""One reply of the model, with the times from which latencies are computed, in a trace and in a live session.

- Times are seconds on the clock of the caller.
- The first sound is the first sample that is not silence: a service that begins with silence is not quick.
"""

from dataclasses import dataclass
from typing import Literal

from livews.audio.analysis import levels
from livews.audio.analysis.pcm import seconds_of


@dataclass(slots=True)
class Turn:
    """One reply of the model, from when the user was done to its end."""

    requested_at: float | None
    """When the user was done; None for a reply that was not requested."""
    first_byte_at: float
    requested_by: Literal["", "text", "voice"] = ""
    first_sound_at: float | None = None
    """When the chunk with the first sample that is not silence arrived."""
    lead: float = 0.0
    """Seconds of silence before that sample."""
    received: float = 0.0
    """Seconds of audio that arrived."""
    ended_at: float | None = None
    outcome: Literal["", "complete", "interrupted", "closed"] = ""
    largest_gap: float = 0.0
    """The most seconds between two chunks of audio."""
    ran_dry: int = 0
    """How often a player without a reserve would have had nothing to play, and for how many seconds together."""
    dry_seconds: float = 0
    _first_chunk: tuple[float, float] | None = None
    """When the first chunk arrived, and its seconds."""
    _last_at: float = 0.0
    _plays_until: float = 0.0

    def add_audio(self, pcm: bytes, rate: int, t: float) -> None:
        """A chunk of s16le mono at `rate` Hz arrived at `t`."""
        seconds = seconds_of(len(pcm), rate)
        if self._first_chunk is None:
            self._first_chunk, self._last_at = (t, seconds), t
        elif t > self._plays_until:
            self.ran_dry += 1
            self.dry_seconds += t - self._plays_until
        self.largest_gap = max(self.largest_gap, t - self._last_at)
        self._last_at = t
        self._plays_until = max(self._plays_until, t) + seconds
        self.received += seconds
        if self.first_sound_at is None:
            first = levels.first_sound(pcm)
            self.lead += seconds if first is None else first / rate
            self.first_sound_at = None if first is None else t

    @property
    def speed(self) -> float | None:
        """How much faster than real time the audio after the first chunk arrived; None if that is not known."""
        if self._first_chunk is None or self._last_at <= self._first_chunk[0]:
            return None
        return (self.received - self._first_chunk[1]) / (self._last_at - self._first_chunk[0])
