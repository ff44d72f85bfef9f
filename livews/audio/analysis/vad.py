"""Whether somebody talks, judged on our side: to show it, and to know when the speech ended that a reply answers.

- Measured as the stand-in's ear measures (core/sound.py): what stands out from a room that is learned as it goes.
- Times are those of the chunks, not of the calls: a chunk that waited changes nothing. They are exact to 20 ms.
- A click is no talk: less than `start_ms` of sound moves `ended_at` by nothing.
- It decides nothing for the service, which has its own detection.
"""

from __future__ import annotations

from livews.audio.analysis.levels import LOUD, THRESHOLD_DB, AnalysisFrames, NoiseFloor
from livews.core.codec import INPUT_RATE

START_MS = 80
HANG_MS = 400


class VoiceActivityDetector:
    """Fed with all that the microphone gives, s16le mono at `rate` Hz.

    `start_ms`: milliseconds of sound that make talk. `hang_ms`: milliseconds of quiet that end it. `threshold_db`:
    dBFS (RMS of 20 ms) from which sound can be speech; in a noisy room it has to stand out from that as well.
    """

    def __init__(
        self,
        rate: int = INPUT_RATE,
        *,
        start_ms: int = START_MS,
        hang_ms: int = HANG_MS,
        threshold_db: float = THRESHOLD_DB,
    ) -> None:
        self.talking = False
        self.ended_at: float | None = None
        """When the last loud sample of the talk was captured, of the one that goes on or of the last one; None before
        the first. It moves while somebody talks: it is known when a reply comes, even before `talking` is False."""
        self.began_at: float | None = None
        """When the first loud sample of that talk was captured."""
        self._rate = rate
        self._start_ms, self._hang_ms = start_ms, hang_ms
        self._frames = AnalysisFrames()
        self._room = NoiseFloor(threshold_db)
        self._loud = 0  # frames of sound on the way to a start, less the quiet ones between them
        self._quiet = 0  # frames since the last of sound, on the way to an end
        self._from = 0.0  # where the sound on the way began

    def push(self, pcm: bytes, at: float) -> None:
        """Hear the next chunk; `at`: time.monotonic() when its last sample was captured."""
        frames = self._frames.cut(pcm, self._rate)
        zero = at - self._frames.offset  # the time of the first sample of all, as this chunk has it
        for power, begin, end in frames:
            heard = self._room.judge(power)
            if self.talking:
                if heard:
                    self._quiet, self.ended_at = 0, zero + end
                else:
                    self._quiet += 1
                    self.talking = self._quiet < self._frames.count(self._hang_ms)
            elif heard == LOUD or (heard and self._loud):
                if not self._loud:
                    self._from = zero + begin
                self._loud += 1
                if self._loud >= self._frames.count(self._start_ms):
                    self.talking, self._quiet, self._loud = True, 0, 0
                    self.began_at, self.ended_at = self._from, zero + end
            elif self._loud:
                self._loud -= 1
