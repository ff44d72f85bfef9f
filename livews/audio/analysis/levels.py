"""Audio levels: loudness, where sound begins and ends, power of 20 ms frames, the noise floor.

- Pure: time is the audio pushed, never a clock. The same samples give the same numbers however they are cut up.
- s16le mono at any rate. Loudness is the RMS without its DC part relative to 32768, so a full-scale sine is at
  -3 dBFS: the DC offset of a cheap microphone is no sound.
- Power is that RMS squared, in steps of a sample: it is compared, added and averaged. Decibels are for people.
"""

from collections import deque
from functools import lru_cache
from itertools import pairwise
from math import hypot, inf, log10, pow
from operator import mul
from struct import Struct, unpack

from livews.audio.analysis.pcm import samples_of
from livews.core import codec

FLOOR_DB = -120.0
"""The level of silence: below the rounding of 16 bits."""
THRESHOLD_DB = -48.0
"""Speech that peaks at -30 dBFS has its vowels above this, a quiet room is 7 to 20 dB below."""
FIRST_SOUND_DB = -60.0
"""The level from which a sample is sound: the dither of a recorder and the hiss of a quiet room are below."""
_FULL = 32768.0


def loudness(pcm: bytes, floor: float = FLOOR_DB) -> float:
    """dBFS of the RMS of s16le samples without their DC part; `floor` for silence and for an empty `pcm`."""
    count = len(pcm) // 2
    samples = unpack(f"<{count}h", pcm[: 2 * count])
    squares, total = sum(map(mul, samples, samples)), sum(samples)
    return decibels((count * squares - total * total) / (count * count or 1), floor)


def decibels(power: float, floor: float = FLOOR_DB) -> float:
    """Power in dBFS, `floor` at least: JSON has no infinity."""
    return max(10 * log10(power / (_FULL * _FULL)), floor) if power > 0 else floor


def peak_db(pcm: bytes) -> float:
    """dBFS of the loudest sample of s16le; `FLOOR_DB` for silence and for an empty `pcm`."""
    samples = samples_of(pcm)
    return decibels(float(max(max(samples), -min(samples)) ** 2)) if samples else FLOOR_DB


_BLOCK = 480
"""Samples of which the loudest is looked for at once: most audio begins and ends in silence."""


def first_sound(pcm: bytes) -> int | None:
    """Index of the first sample of at least `FIRST_SOUND_DB` dBFS, of either sign; None when all are below."""
    return _loud_sample(pcm, 1)


def last_sound(pcm: bytes) -> int | None:
    """Index of the last sample of at least `FIRST_SOUND_DB` dBFS; None when all are below."""
    return _loud_sample(pcm, -1)


def _loud_sample(pcm: bytes, step: int) -> int | None:
    samples = samples_of(pcm)
    least = _FULL * pow(10, FIRST_SOUND_DB / 20)
    for start in range(0, len(samples), _BLOCK)[::step]:
        block = samples[start : start + _BLOCK]
        if not -least < min(block) <= max(block) < least:
            places = range(start, start + len(block))[::step]
            return next(i for i in places if not -least < samples[i] < least)
    return None


QUIET, SOFT, LOUD = 0, 1, 2
"""What `NoiseFloor.judge` returns for a frame."""


class NoiseFloor:
    """Distinguishes speech from noise, frame by frame.

    Loud: above the threshold. Soft: up to 9 dB below it, as in the gaps between loud vowels. Either must be 7 dB above
    the noise, which is the softest frame of recent time: speech has gaps, noise has none. `threshold_db` is in dBFS.
    """

    __slots__ = ("_frames", "_least", "_loud", "_past", "_soft", "_threshold")

    _BELOW = 8.0
    _ABOVE = 5.0
    _BLOCK = 25
    """Frames in a block: half a second."""
    _RECENT = 3
    """Blocks that set the noise for soft speech. Few, else a microphone that is switched on holds an activity open."""
    _LONG = 10
    """Blocks that set the noise for loud speech. Many, since people do not speak so long without a gap."""

    def __init__(self, threshold_db: float) -> None:
        self._threshold = _FULL * _FULL * pow(10, threshold_db / 10)
        self._past: deque[float] = deque(maxlen=self._LONG)
        self._least = inf
        self._frames = 0
        # nothing is soft until the noise is known
        self._loud = self._soft = self._threshold

    def judge(self, power: float) -> int:
        """Whether the next frame is LOUD, SOFT or QUIET, by its power."""
        judgement = LOUD if power >= self._loud else SOFT if power >= self._soft else QUIET
        if power < self._least:
            self._least = power
        self._frames += 1
        if self._frames == self._BLOCK:
            self._past.append(self._least)
            self._least, self._frames = inf, 0
            past = self._past
            long = min(past) if len(past) == self._LONG else 0.0
            recent = min(past[i] for i in range(max(len(past) - self._RECENT, 0), len(past)))
            self._loud = max(self._threshold, self._ABOVE * long)
            self._soft = max(self._threshold / self._BELOW, self._ABOVE * recent)
        return judgement


class AnalysisFrames:
    """Cuts audio in pieces of any size into frames of 20 ms and measures their power."""

    __slots__ = ("_before", "_done", "_pick", "_rate", "_rest", "_size")

    def __init__(self) -> None:
        self._before = 0.0
        """Seconds received at other rates, before the present one."""
        self._done = 0
        """Samples at this rate that were measured or dropped."""
        self._rest = bytearray()
        """The bytes after them: less than a frame between two pieces, perhaps with half a sample."""
        self._rate = codec.INPUT_RATE
        self._size, self._pick = _pick(self._rate)

    @property
    def offset(self) -> float:
        """Seconds of audio received."""
        return self._before + (self._done + len(self._rest) // 2) / self._rate

    def count(self, ms: int) -> int:
        """The number of frames that last `ms` together, rounded up."""
        return -(-ms * self._rate // (1000 * self._size))

    def drop(self) -> None:
        """Begin a frame with the next piece; the samples of an incomplete one are only counted."""
        self._done += len(self._rest) // 2
        self._rest.clear()

    def cut(self, pcm: bytes, rate: int) -> list[tuple[float, float, float]]:
        """Each frame that is complete now: its power in squared steps, where it begins and ends in seconds."""
        rate = max(rate, 1)
        if rate != self._rate:
            self._before = self.offset
            self._done = 0
            self._rest.clear()
            self._rate = rate
            self._size, self._pick = _pick(rate)
        rest = self._rest
        rest += pcm
        size = self._size
        full = len(rest) // (2 * size)
        if not full:
            return []
        frames = []
        for at in range(0, full * 2 * size, 2 * size):
            picked = self._pick.unpack_from(rest, at)
            count, total, length = len(picked), sum(picked), hypot(*picked)
            # hypot is the fastest sum of squares; squared and rounded it is that whole number again. The variance is
            # the power without DC.
            power = (count * int(length * length + 0.5) - total * total) / (count * count)
            begin = self._done
            self._done += size
            frames.append((power, self._before + begin / rate, self._before + self._done / rate))
        del rest[: full * 2 * size]
        return frames


@lru_cache(maxsize=16)
def _pick(rate: int) -> tuple[int, Struct]:
    """The samples in a frame of 20 ms, rounded up, and what reads about a hundred of them.

    It reads one in `step` of the first half, one in `step + 1` of the second.

    A hundred give the power to one decibel in a third of the time, but every third sample of a tone at a third of the
    rate is the same number, and looks like DC. The steps have no common factor, so no tone looks like DC, or crosses
    zero at each sample, in both halves (except at half the rate, where all its samples do): with one mean for both,
    a tone loses 4 dB at most. Little-endian on every machine.
    """
    size, step = -(-rate // 50), max(1, rate // 5000)
    places = [*range(0, size // 2, step), *range(size // 2, size, step + 1), size]
    return size, Struct("<" + "".join(f"h{2 * (after - at - 1)}x" for at, after in pairwise(places)))
