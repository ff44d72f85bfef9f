"""What each side said, laid out in time: runs of sound, and the part of each that was heard.

- Pure of waveforms in memory: samples go to a file as they come, only their peaks and the runs are kept.
- What was told of a run may change later: `moves` counts that, for those who tell only what is new.
- The model's sound plays from when it came, or behind what is still queued; `interrupted` empties the queue. What a
  `heard` line says beats that reckoning: it was there.
- The user's sound ends when its frame was sent, as a microphone's does; what is sent faster than it is spoken queues.
- Times are seconds of the trace, samples are s16le mono.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from typing import Any

from livews.audio.analysis.pcm import samples_of
from livews.trace.spool import Spool

KEPT, TOO_MUCH, ELIDED = 0, 1, 2
"""What there is of a run: its samples, its peaks alone (the report would grow too large), its length alone."""
MOST_SOUND = 48 * 1024 * 1024
"""Bytes of samples a side that are kept to be played: about 17 minutes of the model, 26 of a microphone."""
PEAKS = 100
"""Peaks a second, 0 to 255 each."""
_RATES = range(4_000, 192_001)
_GAP = 0.25
"""Seconds a frame of a microphone may be late and still belong to what came before it."""
_REPLIES = 64


@dataclass(slots=True)
class AudioRun:
    """Sound without a gap. `at` is the offset of its first byte, `peak` that of its first peak."""

    t: float
    rate: int
    have: int
    at: int
    peak: int
    samples: int = 0
    heard: int | None = None
    """Samples that were heard; None for all."""
    moved: int = 0
    """The last of its side's `moves` that changed it."""

    @property
    def end(self) -> float:
        return self.t + (self.samples if self.heard is None else self.heard) / self.rate

    def row(self) -> list[float | int]:
        heard = self.samples if self.heard is None else self.heard
        return [round(self.t, 4), self.rate, self.have, self.at, self.peak, self.samples, heard]


class AudioTrack:
    """The sound of one side."""

    def __init__(self, most: int = MOST_SOUND) -> None:
        self.store = Spool()
        self.runs: list[AudioRun] = []
        self.moves = 0
        """Counts what was changed in the runs."""
        self.seconds = 0.0
        """Of sound that came, heard or not."""
        self.skipped = 0
        """Pieces that no report can play: another format than PCM, an odd rate."""
        self._most = most
        self._peaks = bytearray()
        self._rest: array[int] = array("h")
        self._queued = 0.0
        """When all that came so far has been played."""
        self._fresh = True

    @property
    def end(self) -> float:
        return max((run.end for run in self.runs), default=0.0)

    def peaks(self, first: int = 0) -> bytes:
        """The peaks that are whole, from the `first` on."""
        return bytes(self._peaks[first:])

    @property
    def drawn(self) -> int:
        """How many peaks are whole."""
        return len(self._peaks)

    def finish(self) -> None:
        """No more sound comes: what is left is a peak, too."""
        if self._rest:
            self._peaks.append(min(255, max(max(self._rest), -min(self._rest)) >> 7))
            self._rest = array("h")

    def moved_since(self, moves: int) -> list[tuple[int, AudioRun]]:
        """The runs that were changed after the first `moves`, with their places."""
        return [(i, run) for i, run in enumerate(self.runs) if run.moved > moves] if moves < self.moves else []

    def close(self) -> None:
        self.store.close()

    def fits(self, mime_type: str, rate: int) -> bool:
        fit = mime_type.lower().startswith("audio/pcm") and rate in _RATES
        self.skipped += not fit
        return fit

    def _add(self, pcm: bytes | None, samples: int, rate: int, start: float) -> float:
        """Lay out a piece that begins at `start`; `pcm` is None where a trace kept only its length."""
        have = ELIDED if pcm is None else KEPT if self.store.size + len(pcm) <= self._most else TOO_MUCH
        run = self.runs[-1] if self.runs else None
        if run is None or self._fresh or run.rate != rate or run.have != have or abs(start - run.end) > 0.002:
            self.finish()
            run = AudioRun(start, rate, have, self.store.size if have == KEPT else -1, len(self._peaks))
            self.runs.append(run)
            self._fresh = False
        run.samples += samples
        self._move(run)
        self.seconds += samples / rate
        self._queued = run.end
        if pcm is not None:
            if have == KEPT:
                self.store.add(pcm)
            self._draw(pcm, rate)
        return start

    def _draw(self, pcm: bytes, rate: int) -> None:
        samples = samples_of(pcm)
        if self._rest:
            samples = self._rest + samples
        size = rate // PEAKS
        full = len(samples) // size * size
        for i in range(0, full, size):
            part = samples[i : i + size]
            self._peaks.append(min(255, max(max(part), -min(part)) >> 7))
        self._rest = samples[full:]

    def _move(self, run: AudioRun) -> None:
        self.moves += 1
        run.moved = self.moves


class UserTrack(AudioTrack):
    """What the user said."""

    def say(self, pcm: bytes | None, samples: int, rate: int, t: float) -> None:
        start = max(t - samples / rate, 0.0)
        if start < self._queued + _GAP and self.runs:
            start = self._queued
        self._add(pcm, samples, rate, start)


class ModelTrack(AudioTrack):
    """What the model said, and what of it was heard."""

    def __init__(self, most: int = MOST_SOUND) -> None:
        super().__init__(most)
        self._reply: list[AudioRun] = []
        self._replies: deque[list[AudioRun]] = deque(maxlen=_REPLIES)
        """Replies no `heard` line has told of yet, the last of which is still coming."""

    def play(self, pcm: bytes | None, samples: int, rate: int, t: float) -> float:
        """Queue a piece that came at `t`; when its first sample is heard."""
        start = max(t, self._queued)
        self._add(pcm, samples, rate, start)
        if not self._reply:
            self._replies.append(self._reply)
        if not self._reply or self._reply[-1] is not self.runs[-1]:
            self._reply.append(self.runs[-1])
        return start

    def flush(self, t: float) -> None:
        """`interrupted` came at `t`."""
        for run in reversed(self.runs):
            if run.end <= t:
                break
            run.heard = max(0, round((t - run.t) * run.rate))
            self._move(run)
        self._queued = min(self._queued, t)
        self._fresh = True

    def end_reply(self) -> None:
        """What comes now belongs to another reply."""
        self._reply = []
        self._fresh = True

    def heard(self, about: dict[str, Any]) -> None:
        """A `heard` line: the loudspeaker's word on one reply, or on several that were one to it."""
        heard, received = about.get("heardMs"), about.get("receivedMs")
        if not isinstance(heard, (int, float)) or isinstance(heard, bool) or not 0 <= heard < 1e9:
            return
        left = heard / 1000
        for run in self._told(received / 1000 if isinstance(received, (int, float)) else left):
            seconds = run.samples / run.rate
            run.heard = None if left >= seconds - 0.002 else round(max(left, 0.0) * run.rate)
            self._move(run)
            left -= seconds

    def _told(self, received: float) -> list[AudioRun]:
        """The replies that last so long together; the oldest when none do."""
        replies = list(self._replies)
        for first in range(len(replies)):
            total = 0.0
            for last in range(first, len(replies)):
                total += sum(run.samples / run.rate for run in replies[last])
                if abs(total - received) < 0.005:
                    for _ in range(last + 1):
                        self._replies.popleft()
                    return [run for reply in replies[first : last + 1] for run in reply]
        return self._replies.popleft() if replies else []
