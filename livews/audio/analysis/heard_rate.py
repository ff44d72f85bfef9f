"""Recognise speech of 44.1 or 48 kHz that is declared as 16 kHz, by what is heard: it is deep and slow.

- Three marks have to agree, since each of them fits somebody: a pitch below that of voices, a spectrum that is too low for
  it, and too few syllables a second. What is no speech (a tone, hum, music, noise) lacks the changes of one.
- Speech of 24 kHz is not recognised: high voices sound like low ones, and low ones like those of a few people.
- Some seconds at the start of the sound are listened to, once; the pitch is looked for only where the spectrum is low.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import acos, dist, hypot, pi
from operator import mul, sub
from statistics import median, quantiles

from livews.audio.analysis.pcm import samples_of

WINDOW = 4_000
"""Bytes of a window: an eighth of a second at 16 kHz."""
_MOST, _LEAST = 48, 24
"""Windows that are listened to, and from how many on there is a result."""
_GLANCE = 12
"""After so many windows of sound it is clear that most voices are not slow."""
_QUIET = 200.0
"""RMS from which a window is sound."""
_PER_WINDOW = 5
"""Levels in a window, to count syllables."""
_DOWN = 8
"""Samples of which one is made to find the pitch."""
_PITCHES = 20.0, 400.0
"""Hz between which it is looked for."""
_PERIODIC = 0.6
_VOICED = 8
"""Windows with a pitch that speech has at least."""
_MOST_VOICED, _LEAST_BRIGHT = 0.92, 8.0
"""The share of windows with a pitch that speech has at most, and how many times brighter than its pitch it is at least."""
_SPREAD = 0.04, 0.6
"""How much the pitch of speech moves: the range of its middle half, as a share of the median."""
_DIP = 4.0
"""How much softer it is between two syllables, as a ratio of powers."""
_MARKS = ((50.0, 1_500.0, 2.6), (76.0, 1_200.0, 1.8))
"""Below which pitch (Hz), brightness (Hz) and syllables a second, at 16 kHz, speech is three times too slow: voices of men, and
of women. Of 131 recordings of 35 voices at the right rate none has all three marks."""


class HeardRate:
    """Listens to the start of a stream that declares `rate`."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._brightness: list[float] = []
        self._powers: list[float] = []
        self._sound: list[bytes] = []
        """The windows of sound."""
        self.is_done = False

    def take(self, window: bytes) -> str:
        """Listen to the next window; words when it is certain, else ""."""
        samples = samples_of(window)
        size = len(samples) // _PER_WINDOW
        powers = [_power(samples[at : at + size]) for at in range(0, size * _PER_WINDOW, size)]
        if not self._powers and max(powers) < _QUIET**2:
            return ""
        self._powers += powers
        if sum(powers) >= _PER_WINDOW * _QUIET**2:
            self._brightness.append(_brightness(samples, self._rate))
            self._sound.append(window)
            if len(self._sound) % _GLANCE == 0 and not self._may_be_slow():
                self.is_done = True
                return ""
        return self.result() if len(self._powers) >= _MOST * _PER_WINDOW else ""

    def result(self) -> str:
        """Words about the rate that the samples seem to have; "" if it is the declared one, as far as is known."""
        if self.is_done or len(self._powers) < _LEAST * _PER_WINDOW:
            return ""
        self.is_done = True
        if len(self._sound) < _VOICED or not self._may_be_slow():
            return ""
        scale = self._rate / 16_000
        found = [_pitch(_slower(samples_of(window)), self._rate / _DOWN) for window in self._sound]
        voiced = [n for n, (_, strength) in enumerate(found) if strength >= _PERIODIC]
        if len(voiced) < _VOICED:
            return ""
        pitches, bright = [found[n][0] for n in voiced], median(self._brightness[n] for n in voiced)
        pitch, (low, _, high) = median(pitches), quantiles(pitches, n=4)
        if not _SPREAD[0] < (high - low) / pitch < _SPREAD[1]:
            return ""
        syllables = _syllables(self._powers) * self._rate / (WINDOW // 2) * _PER_WINDOW / len(self._powers)
        if len(voiced) > _MOST_VOICED * len(found) or bright < _LEAST_BRIGHT * pitch:
            return ""  # an instrument
        measured = (pitch, bright, syllables)
        if not any(all(x < limit * scale for x, limit in zip(measured, mark, strict=True)) for mark in _MARKS):
            return ""
        return (
            f"the voice is too deep and too slow for {self._rate:,} Hz (a pitch of {pitch:.0f} Hz, {syllables:.1f} syllables "
            f"a second): it seems to be recorded at a rate about three times as high, as 48,000 is to 16,000"
        )

    def _may_be_slow(self) -> bool:
        """Whether the spectrum is low enough to look for the pitch."""
        return quantiles(self._brightness, n=4)[0] < max(bright for _, bright, _ in _MARKS) * self._rate / 16_000


def _power(samples: Sequence[int]) -> float:
    return hypot(*samples) ** 2 / len(samples)


def _brightness(samples: array[int], rate: int) -> float:
    """The mean frequency of the differences of samples, in Hz: that of the upper half of a spectrum."""
    steps = [*map(sub, samples[1:], samples)]
    turn, whole = dist(steps[1:], steps[:-1]), hypot(*steps) or 1.0
    return acos(max(-1.0, min(1.0, 1 - (turn / whole) ** 2 / 2))) * rate / (2 * pi)


def _slower(samples: array[int]) -> array[int]:
    columns = [samples[first::_DOWN] for first in range(_DOWN)]
    values = [sum(column) // _DOWN for column in zip(*columns, strict=False)]
    mean = sum(values) // len(values)
    return array("h", [max(-32_768, min(32_767, value - mean)) for value in values])


def _pitch(slow: array[int], rate: float) -> tuple[float, float]:
    """The pitch of a window in Hz, and how periodic it is, up to 1."""
    count = len(slow)
    whole = sum(x * x for x in slow) / count or 1.0
    first = int(rate / _PITCHES[1])
    lags = range(first, min(int(rate / _PITCHES[0]), count * 2 // 3))
    likes = [sum(map(mul, slow, slow[lag:])) / (count - lag) / whole for lag in lags]
    best = max(likes)
    for n in range(1, len(likes) - 1):  # the first of the peaks that are as good
        if likes[n] > 0.85 * best and likes[n - 1] <= likes[n] >= likes[n + 1]:
            return rate / (first + n), likes[n]
    return rate / (first + likes.index(best)), best


def _syllables(powers: Sequence[float]) -> int:
    """How often it grows loud after it was soft."""
    smooth = [sum(powers[max(0, n - 1) : n + 2]) for n in range(len(powers))]
    least, most, count, is_rising = smooth[0], smooth[0], 0, False
    for power in smooth:
        least, most = min(least, power), max(most, power)
        if not is_rising and power > _DIP * least:
            is_rising, most, count = True, power, count + 1
        elif is_rising and power < most / _DIP:
            is_rising, least = False, power
    return count
