"""The stand-in's voice: one soft note a syllable, a short phrase a sentence. Never noise, always the same.

- Pure: the same words give the same samples on every machine.
- A question ends on a rising note, anything else on a falling one; a comma is a breath.
- 24 kHz, s16le, mono; peaks stay below a third of full scale.
"""

from __future__ import annotations

import re
from array import array
from functools import cache
from math import cos, exp, pi, sin

RATE = 24_000
_SYLLABLE = 0.12
"""Seconds a syllable lasts: about the pace of calm speech."""
_PAUSE = 0.05
_BREATH = 0.15
# C major pentatonic from G3: any order of these notes sounds like a tune.
_SCALE = (196.00, 220.00, 261.63, 293.66, 329.63, 392.00, 440.00, 523.25)
_PARTIALS = ((1.0, 1.0), (2.0, 0.28), (3.0, 0.09))
_PEAK = 7_000


def render(text: str) -> bytes:
    """The voice saying `text`: s16le mono at 24 kHz."""
    out = array("h")
    degree = 4
    words = re.findall(r"[^\W_]+(?:['’][^\W_]+)*|[.,;:!?…]", text)
    for i, word in enumerate(words):
        if not word[0].isalnum():
            out.extend(_silence(_BREATH))
            continue
        ends = words[i + 1] if i + 1 < len(words) else "."
        beats = syllables(word)
        for beat in range(beats):
            last = beat == beats - 1
            if last and ends == "?":
                degree = min(degree + 2, len(_SCALE) - 1)
            elif last and ends in ".!:;…":
                degree = max(degree - 2, 1)
            else:
                degree = _next(degree, word, beat)
            out.extend(_note(_SCALE[degree], _SYLLABLE * (1.5 if last and not ends[0].isalnum() else 1.0)))
        out.extend(_silence(_PAUSE))
    return out.tobytes() if _LITTLE else _swapped(out)


def syllables(word: str) -> int:
    """About how many syllables a word has: its groups of vowels, one at least."""
    return max(1, len(re.findall(r"[aeiouyàâäáæéèêëíìîïóòôöœúùûüāēīōū]+", word.lower().removesuffix("e"))))


def _next(degree: int, word: str, beat: int) -> int:
    """The next note: a small step up or down the scale, chosen by the letters of the word."""
    step = (-1, 1, 2, -2, 1, -1, 0)[sum(word.lower().encode()[beat::2]) % 7]
    return min(max(degree + step, 1), len(_SCALE) - 2)


@cache
def _silence(seconds: float) -> array[int]:
    return array("h", bytes(2 * int(seconds * RATE)))


@cache
def _note(frequency: float, seconds: float) -> array[int]:
    """A struck note: three partials that decay, 8 ms of attack, 15 ms of release."""
    count = int(seconds * RATE)
    wave = [0.0] * count
    for multiple, level in _PARTIALS:
        # x[n] = 2 r cos(w) x[n-1] - r^2 x[n-2]: a decaying sine without calling sin for every sample
        omega, decay = 2 * pi * frequency * multiple / RATE, exp(-(3.2 + multiple) / RATE)
        turn, shrink = 2 * decay * cos(omega), decay * decay
        before, now = 0.0, level * sin(omega)
        for n in range(count):
            wave[n] += before
            before, now = now, turn * now - shrink * before
    attack, release = int(0.008 * RATE), int(0.015 * RATE)
    for n in range(attack):
        wave[n] *= n / attack
        if n < release:
            wave[count - 1 - n] *= n / release
    for n in range(attack, release):
        wave[count - 1 - n] *= n / release
    return array("h", [int(_PEAK * value) for value in wave])


_LITTLE = array("h", [1]).tobytes()[0] == 1


def _swapped(samples: array[int]) -> bytes:
    samples = array("h", samples)
    samples.byteswap()
    return samples.tobytes()
