"""The default voice: one soft note per syllable, the same samples on every machine.

- Pure: the same words give the same samples.
- A question ends on a rising note, anything else on a falling one; a comma is a pause.
- s16le mono at 24 kHz; peaks stay below a third of full scale.
"""

from __future__ import annotations

import re
from array import array
from functools import cache
from math import cos, exp, pi, sin

from livews.audio.analysis.pcm import bytes_of

RATE = 24_000
_SYLLABLE = 0.12
"""Seconds of a syllable: about the pace of calm speech."""
_LAST = 1.5
"""How much longer the last syllable before a stop is."""
_WORD_GAP = 0.05
_STOP_GAP = 0.15
# C major pentatonic from G3: any order of these notes sounds like a tune
_SCALE = (196.00, 220.00, 261.63, 293.66, 329.63, 392.00, 440.00, 523.25)
_PARTIALS = ((1.0, 1.0), (2.0, 0.28), (3.0, 0.09))
"""Multiple of the frequency, and level."""
_PEAK = 7_000


def render(text: str) -> bytes:
    """The text as tones: s16le mono at 24 kHz."""
    out = array("h")
    degree = 4
    tokens = re.findall(r"[^\W_]+(?:['’][^\W_]+)*|[.,;:!?…]", text)
    for token, following in zip(tokens, [*tokens[1:], "."], strict=False):
        if not token[0].isalnum():
            out.extend(_silence(_STOP_GAP))
            continue
        count = syllables(token)
        for i in range(count):
            is_last = i == count - 1
            if is_last and following == "?":
                degree = min(degree + 2, len(_SCALE) - 1)
            elif is_last and following in ".!:;…":
                degree = max(degree - 2, 1)
            else:
                degree = _next_degree(degree, token, i)
            out.extend(_note(_SCALE[degree], _LAST if is_last and not following[0].isalnum() else 1.0))
        out.extend(_silence(_WORD_GAP))
    return bytes_of(out)


def prepare() -> None:
    """Make every note, 15 ms of work done once: `render` then only copies, 1 ms for ten seconds of voice."""
    for frequency in _SCALE[1:]:  # the lowest is never reached
        _note(frequency, 1.0)
        _note(frequency, _LAST)


def syllables(word: str) -> int:
    """About how many syllables a word has: its groups of vowels, at least one."""
    return max(1, len(re.findall(r"[aeiouyàâäáæéèêëíìîïóòôöœúùûüāēīōū]+", word.lower().removesuffix("e"))))


def _next_degree(degree: int, word: str, syllable: int) -> int:
    """A small step up or down the scale, chosen by the letters of the word."""
    step = (-1, 1, 2, -2, 1, -1, 0)[sum(word.lower().encode()[syllable::2]) % 7]
    return min(max(degree + step, 1), len(_SCALE) - 2)


@cache
def _silence(seconds: float) -> array[int]:
    return array("h", bytes(2 * int(seconds * RATE)))


@cache
def _note(frequency: float, length: float) -> array[int]:
    """A struck note of so many syllables: three partials that decay, 8 ms of attack, 15 ms of release."""
    wave = _struck(frequency)
    count, release = int(length * _SYLLABLE * RATE), int(0.015 * RATE)
    ending = [wave[n] * ((count - 1 - n) / release) for n in range(count - release, count)]
    return array("h", map(int, wave[: count - release] + ending))


@cache
def _struck(frequency: float) -> list[float]:
    """The longest note before its release; the shorter one is its beginning."""
    # x[n] = 2 r cos(w) x[n-1] - r^2 x[n-2]: a decaying sine without calling sin for every sample
    start: list[float] = []
    for multiple, level in _PARTIALS:
        omega, decay = 2 * pi * frequency * multiple / RATE, exp(-(3.2 + multiple) / RATE)
        start += [level * sin(omega), 2 * decay * cos(omega), decay * decay]
    x, turn_x, shrink_x, y, turn_y, shrink_y, z, turn_z, shrink_z = start
    before_x = before_y = before_z = 0.0
    wave = []
    for _ in range(int(_SYLLABLE * _LAST * RATE)):
        wave.append(_PEAK * (before_x + before_y + before_z))
        before_x, x = x, turn_x * x - shrink_x * before_x
        before_y, y = y, turn_y * y - shrink_y * before_y
        before_z, z = z, turn_z * z - shrink_z * before_z
    attack = int(0.008 * RATE)
    wave[:attack] = [wave[n] * (n / attack) for n in range(attack)]
    return wave
