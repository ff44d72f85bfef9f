"""Bytes of s16le mono sound: how long they last, where samples begin, how an edge is softened.

- Two bytes that do not belong together never become one sample: that is full-scale noise, not a click.
- Sizes are in bytes and always even once they have passed an `Aligner`.
- The fades use the machine's byte order, which is little-endian wherever there is a sound card.
"""

from __future__ import annotations

from array import array

SAMPLE_BYTES = 2
FADE_SECONDS = 0.005


def seconds_of(size: int, rate: int) -> float:
    """How long `size` bytes last at `rate`."""
    return size / (SAMPLE_BYTES * rate)


def ms_of(size: int, rate: int) -> float:
    return 1000 * seconds_of(size, rate)


class Aligner:
    """Hands on whole samples; an odd byte waits for the next piece."""

    __slots__ = ("_odd",)

    def __init__(self) -> None:
        self._odd = b""

    def whole(self, pcm: bytes) -> bytes:
        if self._odd:
            pcm, self._odd = self._odd + pcm, b""
        if len(pcm) % SAMPLE_BYTES:
            pcm, self._odd = pcm[:-1], pcm[-1:]
        return pcm

    def forget(self) -> None:
        """Nothing follows: half a sample at the end of a turn belongs to no other turn."""
        self._odd = b""


def last_sample(pcm: memoryview) -> int:
    return int.from_bytes(pcm[-SAMPLE_BYTES:], "little", signed=True)


def falling(level: int, frames: int) -> memoryview:
    """`frames` samples from just below `level` down to 0: what follows a voice that stops mid-wave."""
    samples = array("h", (int(level * left / frames) for left in range(frames - 1, -1, -1)))
    return memoryview(samples).cast("B")


def raise_in_place(pcm: memoryview, done: int, frames: int) -> int:
    """Fade in: scale the samples of `pcm` as numbers `done`, `done + 1` ... of a rise of `frames`.

    Returns how many samples of the rise are now done.
    """
    samples = pcm.cast("h")
    count = min(len(samples), frames - done)
    for i in range(count):
        samples[i] = samples[i] * (done + i + 1) // frames
    return done + count
