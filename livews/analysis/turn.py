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

    def add_audio(self, pcm: bytes, rate: int, t: float) -> None:
        """A chunk of s16le mono at `rate` Hz arrived at `t`."""
        seconds = seconds_of(len(pcm), rate)
        self.received += seconds
        if self.first_sound_at is None:
            first = levels.first_sound(pcm)
            self.lead += seconds if first is None else first / rate
            self.first_sound_at = None if first is None else t
