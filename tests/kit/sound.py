"""Sound for tests, as s16le mono bytes; times in seconds, rates in Hz."""

import random
import wave
from array import array
from functools import lru_cache
from math import pi, sin
from pathlib import Path

RATE = 16_000


def silence(seconds: float = 1.5, rate: int = RATE) -> bytes:
    return bytes(2 * round(seconds * rate))


def tone(seconds: float, rate: int = RATE, level: int = 9_000, frequency: float = 440.0) -> bytes:
    """A sine that peaks at `level`."""
    return array(
        "h", (int(level * sin(2 * pi * frequency * n / rate)) for n in range(round(seconds * rate)))
    ).tobytes()


def noise(seconds: float, seed: int = 1, level: int = 9_000, rate: int = RATE) -> bytes:
    """No sample is 0, so that silence is told from sound, and no two places are alike."""
    luck = random.Random(seed)
    samples = (luck.choice((-1, 1)) * luck.randint(1, level) for _ in range(round(seconds * rate)))
    return array("h", samples).tobytes()


@lru_cache(maxsize=64)
def speech(seconds: float = 1.0, rate: int = RATE, peak: int = 6000) -> bytes:
    """Something that sounds like a voice to a detector of energy: a hum that swells four times a second."""
    hum, swell = 2 * pi * 220 / rate, 2 * pi * 4 / rate
    return array("h", [int(peak * sin(hum * n) * (0.6 + 0.4 * sin(swell * n))) for n in range(int(seconds * rate))]
                 ).tobytes()  # fmt: skip


def utterance(seconds: float = 1.0, quiet: float = 1.5, rate: int = RATE) -> bytes:
    """Speech, and as much silence after it as any profile wants."""
    return speech(seconds, rate) + silence(quiet, rate)


def write_wav(path: Path, *pcm: bytes, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(pcm))
    return path
