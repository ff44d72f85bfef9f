"""Audio tracks: what each side of a session said, laid out in time, and the part of it that was heard.

- Samples go to a file as they come; only their peaks and the runs are kept in memory.
- The model's audio plays when it arrives or after what is still queued; `interrupted` empties the queue. A `heard` line
  of the trace corrects this estimate: it is what the loudspeaker measured.
- The user's audio ends when its frame was sent, as a microphone's does; what is sent faster than real time queues.
- A run may change after it was reported. `moves` counts the changes, for readers that want only those.
- Times are seconds of the trace; samples are s16le mono.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from typing import Any

from livews.audio.analysis.pcm import Aligner, rate_of, samples_of
from livews.core.conversation import Step
from livews.trace.spool import Spool

KEPT, TOO_MUCH, ELIDED = 0, 1, 2
"""What is known of a run: its samples, its peaks only (the limit was reached), its length only."""
MAX_AUDIO = 48 * 1024 * 1024
"""Bytes of samples kept for each side: about 17 minutes of the model, 26 of a microphone."""
PEAKS = 100
"""Peaks per second, each from 0 to 255."""
_GAP = 0.25
"""Seconds a frame of a microphone may be late and still follow the one before without a gap."""
_REPLIES = 64
_MIME_TYPES = 5


@dataclass(slots=True)
class AudioRun:
    """Audio without a gap. `at` is the offset of its first byte in the file, `peak` the index of its first peak."""

    t: float
    rate: int
    have: int
    at: int
    peak: int
    samples: int = 0
    heard: int | None = None
    """Samples that were heard; None: all."""
    moved: int = 0
    """The number of its last change, of the `moves` of its track."""

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    @property
    def heard_samples(self) -> int:
        return self.samples if self.heard is None else self.heard

    @property
    def end(self) -> float:
        return self.t + self.heard_samples / self.rate

    def row(self) -> list[float | int]:
        """The run as the page data has it."""
        return [round(self.t, 4), self.rate, self.have, self.at, self.peak, self.samples, self.heard_samples]


class AudioTrack:
    """The audio of one side. `limit`: bytes of samples to keep."""

    def __init__(self, limit: int = MAX_AUDIO) -> None:
        self.store = Spool()
        self.runs: list[AudioRun] = []
        self.moves = 0
        """Number of changes of the runs."""
        self.seconds = 0.0
        """Seconds of audio that came, heard or not."""
        self.queued_until = 0.0
        """When all that came so far will have been played."""
        self.skipped = 0
        """Chunks that cannot be played: not PCM."""
        self.skipped_types: list[str] = []
        """The first few of their MIME types."""
        self._limit = limit
        self.peaks = bytearray()
        """The complete peaks."""
        self._rest: array[int] = array("h")
        """Samples of the peak that is not complete."""
        self._aligner = Aligner()
        self._broken = True
        """The next chunk begins a new run."""

    @property
    def end(self) -> float:
        return max((run.end for run in self.runs), default=0.0)

    def finish(self) -> None:
        """No more audio comes: what is left over becomes a peak, too."""
        if self._rest:
            self.peaks.append(_peak(self._rest))
            self._rest = array("h")

    def moved_since(self, moves: int) -> list[tuple[int, AudioRun]]:
        """The runs that changed after the first `moves` changes, each with its index."""
        return [(i, run) for i, run in enumerate(self.runs) if run.moved > moves] if moves < self.moves else []

    def add(self, mime_type: str, rate: int, pcm: bytes, t: float, *, elided: bool) -> None:
        """A chunk of audio at `t`. `elided`: its samples are unknown, `pcm` only has their number."""
        if not pcm:
            return
        if not mime_type.lower().startswith(("audio/pcm", "audio/l16")):
            self.skipped += 1
            if mime_type not in self.skipped_types and len(self.skipped_types) < _MIME_TYPES:
                self.skipped_types.append(mime_type)
            return
        pcm = self._aligner.whole(pcm)
        samples = len(pcm) // 2
        start = self._start(t, samples / rate)
        have = ELIDED if elided else KEPT if self.store.size + len(pcm) <= self._limit else TOO_MUCH
        run = self.runs[-1] if self.runs else None
        if run is None or self._broken or run.rate != rate or run.have != have or abs(start - run.end) > 0.002:
            self.finish()
            run = AudioRun(start, rate, have, self.store.size if have == KEPT else -1, len(self.peaks))
            self.runs.append(run)
            self._broken = False
        run.samples += samples
        self._move(run)
        self.seconds += samples / rate
        self.queued_until = run.end
        if have == KEPT:
            self.store.add(pcm)
        if not elided:
            self._draw(pcm, rate)

    def _start(self, t: float, seconds: float) -> float:
        """When the first sample of a chunk of this length is heard."""
        raise NotImplementedError

    def _break(self) -> None:
        self._broken = True
        self._aligner.forget()

    def _draw(self, pcm: bytes, rate: int) -> None:
        samples = self._rest + samples_of(pcm) if self._rest else samples_of(pcm)
        size = rate // PEAKS
        full = len(samples) // size * size
        self.peaks += bytes(_peak(samples[i : i + size]) for i in range(0, full, size))
        self._rest = samples[full:]

    def _move(self, run: AudioRun) -> None:
        self.moves += 1
        run.moved = self.moves


def _peak(samples: array[int]) -> int:
    return min(255, max(max(samples), -min(samples)) >> 7)


class UserTrack(AudioTrack):
    """What the user said."""

    def _start(self, t: float, seconds: float) -> float:
        start = max(t - seconds, 0.0)
        return self.queued_until if self.runs and start < self.queued_until + _GAP else start


class ModelTrack(AudioTrack):
    """What the model said, and what of it was heard."""

    def __init__(self, limit: int = MAX_AUDIO) -> None:
        super().__init__(limit)
        self._reply: list[AudioRun] = []
        self._replies: deque[list[AudioRun]] = deque(maxlen=_REPLIES)
        """Replies that no `heard` line was about yet, the last of which is still coming."""

    def add(self, mime_type: str, rate: int, pcm: bytes, t: float, *, elided: bool) -> None:
        super().add(mime_type, rate, pcm, t, elided=elided)
        if not self.runs or self._broken:
            return
        if not self._reply:
            self._replies.append(self._reply)
        if not self._reply or self._reply[-1] is not self.runs[-1]:
            self._reply.append(self.runs[-1])

    def _start(self, t: float, seconds: float) -> float:
        return max(t, self.queued_until)

    def position(self, seconds: float) -> tuple[float, AudioRun] | None:
        """When the sample at `seconds` of the current reply is heard, and the run it is in."""
        for run in self._reply:
            if seconds < run.seconds:
                return run.t + seconds, run
            seconds -= run.seconds
        return None

    def flush(self, t: float) -> None:
        """`interrupted` came at `t`: what is queued is not heard."""
        for run in reversed(self.runs):
            if run.end <= t:
                break
            run.heard = max(0, round((t - run.t) * run.rate))
            self._move(run)
        self.queued_until = min(self.queued_until, t)
        self._break()

    def end_reply(self) -> None:
        """What comes next belongs to another reply."""
        self._reply = []
        self._break()

    def heard(self, about: dict[str, Any]) -> list[AudioRun]:
        """A `heard` line, which says how much was played of one reply or of several together; their runs."""
        heard, received = about.get("heardMs"), about.get("receivedMs")
        if not isinstance(heard, (int, float)) or isinstance(heard, bool) or not 0 <= heard < 1e9:
            return []
        left = heard / 1000
        runs = self._take_replies(received / 1000 if isinstance(received, (int, float)) else left)
        for run in runs:
            run.heard = None if left >= run.seconds - 0.002 else round(max(left, 0.0) * run.rate)
            self._move(run)
            left -= run.seconds
        return runs

    def _take_replies(self, received: float) -> list[AudioRun]:
        """The runs of the replies that last `received` seconds together; of the oldest reply if none do."""
        replies = list(self._replies)
        for first in range(len(replies)):
            total = 0.0
            for last in range(first, len(replies)):
                total += sum(run.seconds for run in replies[last])
                if abs(total - received) < 0.005:
                    for _ in range(last + 1):
                        self._replies.popleft()
                    return [run for reply in replies[first : last + 1] for run in reply]
        return self._replies.popleft() if replies else []


class AudioTracks:
    """The tracks of both sides of a session. `limit`: bytes of samples to keep for each."""

    def __init__(self, limit: int = MAX_AUDIO) -> None:
        self.user = UserTrack(limit)
        self.model = ModelTrack(limit)
        self.by_side: dict[str, AudioTrack] = {"user": self.user, "model": self.model}

    def take(self, t: float, step: Step, *, elided: bool = False) -> None:
        """Lay out the audio of a frame. `elided`: it was left out of the trace, and is silence of its length."""
        if "flushPlayback" in step.effects:
            self.model.flush(t)
        track = self.user if step.sender == "client" else self.model
        for mime_type, pcm in step.audio if "ignoreAudio" not in step.effects else ():
            track.add(mime_type, rate_of(mime_type, step.sender), pcm, t, elided=elided)
        if ends_reply(step):
            self.model.end_reply()

    def finish(self) -> None:
        """No more audio comes."""
        for track in self.by_side.values():
            track.finish()

    def close(self) -> None:
        for track in self.by_side.values():
            track.store.close()


def ends_reply(step: Step) -> bool:
    """Whether a reply is complete with this frame.

    It goes on where the model has yet to speak about a tool's result, unless the turn was cut.
    """
    return ("endTurn" in step.effects or "cutTurn" in step.effects) and (step.interrupted or not step.waiting)
