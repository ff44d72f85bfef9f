"""What the loudspeaker got, from the monitor of the null sink of tests/audio/pulse.py: where each turn was heard, and when.

- Turns are found by content, sample for sample; silence, fades and what came before are never guessed at.
- A gap is what was put between two neighbouring samples of a turn: the samples keep their order and lose their distance.
- Sink and monitor run on the machine's own clock, so one number ties places in the recording to time.monotonic(). The
  sink makes a block of sound (some 20 ms) at the moment its first sample is due, and the monitor shows it at once: what
  counts is when a burst of data came and how much had come before it, half of the bursts sooner, half later.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Self

from tests.audio.pulse import NoPulse, PulseServer, stop, wait_until
from tests.bench.arrivals import RATE, SAMPLE

_MARK = 24
"""Frames from one place of a turn that is looked for to the next: a piece shorter than this may be missed."""
_KEY = 4 * SAMPLE
_BURST = 0.004
"""Seconds: what comes closer together than this is of one block."""


class Monitor:
    """Records while the `with` block runs; then `pcm` is the recording, and times and places can be converted."""

    def __init__(self, pulse: PulseServer) -> None:
        self.pcm = b""
        self._env = {**os.environ, **pulse.env}
        self._pieces: list[bytes] = []
        self._size = 0
        self._last = 0.0
        self._bursts: list[float] = []  # when the recording began, as each says
        self._began = 0.0

    def __enter__(self) -> Self:
        command = ["parec", "--device=spk.monitor", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1"]
        self._process = subprocess.Popen(
            [*command, "--latency-msec=20"], env=self._env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            wait_until(lambda: self._size > 0, 5, "parec records nothing")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        time.sleep(0.3)  # the monitor is behind the sink
        lost = self._process.poll() is not None
        self._end()
        self.pcm = b"".join(self._pieces)
        self._began = middle(self._bursts) or 0.0
        if lost and kind is None:
            raise NoPulse("parec ended before the recording did")

    def frame_at(self, moment: float) -> float:
        """The place in the recording at that time.monotonic()."""
        return (moment - self._began) * RATE

    def time_of(self, frame: float) -> float:
        return self._began + frame / RATE

    def _read(self) -> None:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while piece := os.read(fd, 1 << 16):
            now = time.monotonic()
            if now - self._last > _BURST:
                self._bursts.append(now - self._size / SAMPLE / RATE)
            self._last = now
            self._pieces.append(piece)
            self._size += len(piece)

    def _end(self) -> None:
        stop(self._process)
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass
class Heard:
    """One turn in the recording, in frames. Pieces are (place in the recording, place in the turn, length)."""

    pieces: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def begins(self) -> int:
        """Where in the recording."""
        return self.pieces[0][0]

    @property
    def ends(self) -> int:
        return self.pieces[-1][0] + self.pieces[-1][2]

    @property
    def until(self) -> int:
        """How much of the turn, from its start, has been heard at the end."""
        return self.pieces[-1][1] + self.pieces[-1][2]

    @property
    def missing(self) -> int:
        """Frames of its start that were not heard."""
        return self.pieces[0][1]

    @property
    def _shifts(self) -> list[int]:
        offsets = [place - position for place, position, _ in self.pieces]
        return [after - before for before, after in pairwise(offsets)]

    @property
    def gaps(self) -> list[float]:
        """Milliseconds that were put in, each time."""
        return [1000 * shift / RATE for shift in self._shifts if shift > 0]

    @property
    def lost(self) -> float:
        """Milliseconds that were left out."""
        return sum(-1000 * shift / RATE for shift in self._shifts if shift < 0)

    def position(self, frame: float) -> float:
        """How far into the turn the recording is at `frame`, in frames of the turn."""
        played = 0.0
        for place, position, length in self.pieces:
            if frame < place:
                break
            played = position + min(length, frame - place)
        return played


def find(pcm: bytes, turns: Mapping[int, bytes]) -> dict[int, Heard]:
    """Where each turn is in the recording; one that is nowhere is left out. Turns that overlap in it cannot be."""
    marks = {
        sound[at * SAMPLE : at * SAMPLE + _KEY]: (name, at)
        for name, sound in turns.items()
        for at in range(0, len(sound) // SAMPLE - 3, _MARK)
    }
    found: dict[int, Heard] = {}
    quiet = bytes(SAMPLE * 240)
    frame, end, last = 0, len(pcm) // SAMPLE, 0
    while frame < end:
        here = frame * SAMPLE
        mark = marks.get(pcm[here : here + _KEY])
        if mark is None:
            frame += 240 if pcm[here : here + len(quiet)] == quiet else 1
            continue
        name, at = mark
        sound = turns[name]
        back = _alike(pcm, last, frame, sound, at)
        length = _common(pcm, here, sound, at * SAMPLE)
        found.setdefault(name, Heard()).pieces.append((frame - back, at - back, back + length))
        frame = last = frame + length
    return found


def _common(pcm: bytes, a: int, sound: bytes, b: int) -> int:
    """Frames that are equal from there on."""
    begin, step = a, 1 << 16
    while step >= SAMPLE:
        while a < len(pcm) and b < len(sound) and pcm[a : a + step] == sound[b : b + step]:
            if len(pcm[a : a + step]) < step:
                return (len(pcm) - begin) // SAMPLE
            a, b = a + step, b + step
        step //= 2
    return (a - begin) // SAMPLE


def _alike(pcm: bytes, least: int, frame: int, sound: bytes, at: int) -> int:
    """Frames that are equal just before."""
    count = 0
    while count < min(frame - least, at):
        a, b = (frame - count - 1) * SAMPLE, (at - count - 1) * SAMPLE
        if pcm[a : a + SAMPLE] != sound[b : b + SAMPLE]:
            break
        count += 1
    return count


def silent_from(pcm: bytes, after: int, before: int) -> int:
    """The frame behind the last sample that is not silent, between two places of the recording."""
    sounding = len(pcm[after * SAMPLE : before * SAMPLE].rstrip(b"\0"))
    return after + -(-sounding // SAMPLE)


def middle(values: Sequence[float]) -> float | None:
    """The median, None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
