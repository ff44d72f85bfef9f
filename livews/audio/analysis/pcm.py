"""PCM audio as s16le mono bytes: durations, sample rates, sample alignment, fades, mixing down to one channel.

- Two bytes that do not belong together never become one sample: that is full-scale noise, not a click.
- Sizes are in bytes and always even once they have passed an `Aligner`.
- The fades use the machine's byte order, which is little-endian wherever there is a sound card.
"""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING, Any

from livews.core import codec

if TYPE_CHECKING:
    from livews.core.conversation import Step
    from livews.core.schema import Sender

SAMPLE_BYTES = 2
FADE_SECONDS = 0.005
RATES = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""The usual sample rates, in Hz."""
_NEAR = 0.12
"""How far a stream may be from the pace of its rate: programs that sleep between chunks are late."""


def seconds_of(size: int, rate: int) -> float:
    """Duration in seconds of `size` bytes at `rate` Hz."""
    return size / (SAMPLE_BYTES * rate)


def ms_of(size: int, rate: int) -> float:
    """Duration in milliseconds of `size` bytes at `rate` Hz."""
    return 1000 * seconds_of(size, rate)


def rate_of(mime_type: str, sender: Sender) -> int:
    """The sample rate in Hz of audio from `sender`: the one in the MIME type, else what the API uses that way."""
    return codec.rate_of(mime_type, codec.OUTPUT_RATE if sender == "server" else codec.INPUT_RATE)


def audio_seconds(step: Step) -> float:
    """Duration in seconds of all audio in a frame."""
    return sum(seconds_of(len(pcm), rate_of(mime_type, step.sender)) for mime_type, pcm in step.audio)


def likely_rate(declared: int, seconds: float, took: float) -> int | None:
    """The rate in Hz that audio has which came too slowly for the rate that it declares; None if it did not.

    Args:
        declared: the rate in its MIME type, in Hz.
        seconds: how long the audio lasts at that rate.
        took: the seconds in which it came, without pauses.
    """
    if took < 1.0:
        return None
    pace = declared * seconds / took
    return next((rate for rate in RATES if rate < declared and abs(pace / rate - 1) < _NEAR), None)


def samples_of(pcm: bytes) -> array[int]:
    """The samples of s16le `pcm` as numbers; half a sample at the end is left out."""
    return native(array("h", pcm[: len(pcm) & ~1]))


def bytes_of(samples: array[int]) -> bytes:
    """`samples` as s16le. Not to be used afterwards: it may be changed in place."""
    return native(samples).tobytes()


def native(values: array[Any]) -> array[Any]:
    """`values` from little-endian to this machine's byte order, or back; changed in place."""
    if sys.byteorder == "big":
        values.byteswap()
    return values


def mono(pcm: bytes, channels: int) -> bytes:
    """The mean of `channels` interleaved channels of s16le; an incomplete frame at the end is left out."""
    if channels == 1:
        return pcm
    samples = iter(samples_of(pcm))
    return bytes_of(array("h", (sum(frame) // channels for frame in zip(*[samples] * channels, strict=False))))


def check_whole(pcm: bytes) -> None:
    """ValueError when `pcm` ends with half a sample."""
    if len(pcm) % SAMPLE_BYTES:
        raise ValueError(f"{len(pcm)} bytes are not whole s16le samples: pass them through pcm.Aligner first")


class Aligner:
    """Passes on whole samples; an odd byte waits for the next piece."""

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
        """Drop a waiting byte: half a sample at the end of a turn belongs to no other turn."""
        self._odd = b""


def last_sample(pcm: memoryview) -> int:
    """The value of the last sample of `pcm`, which is not empty."""
    return int.from_bytes(pcm[-SAMPLE_BYTES:], "little", signed=True)


def falling(level: int, frames: int) -> memoryview:
    """A fade out: `frames` samples from just below `level` down to 0, to follow a voice that stops mid-wave."""
    samples = array("h", (int(level * left / frames) for left in range(frames - 1, -1, -1)))
    return memoryview(samples).cast("B")


def raise_in_place(pcm: memoryview, done: int, frames: int) -> int:
    """Fade in: scale the samples of `pcm` as numbers `done`, `done + 1` ... of a rise that lasts `frames` samples.

    Returns how many samples of the rise are done now.
    """
    samples = pcm.cast("h")
    count = min(len(samples), frames - done)
    for i in range(count):
        samples[i] = samples[i] * (done + i + 1) // frames
    return done + count
