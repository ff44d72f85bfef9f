"""Sound made fit for the service: one channel, one rate.

- The rates are changed by soxr, the extra `resample`, which brings NumPy; imported late, here and nowhere else.
- Without it nothing fails: there is no `Resampler`, and the service takes other rates when they are named.
- Pieces of any size give the samples that the whole would have given; none is lost and none is added.
- s16le in, s16le out.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from livews.audio.analysis.pcm import Aligner

# The least look-ahead soxr has: 2 to 20 ms at 40 ms a piece where its best takes up to 75, and what would fold back
# into the band is 87 dB down.
_QUALITY = "LQ"


class Resampler:
    """From `rate` to `wanted` Hz, s16le mono. Raises `ImportError` when soxr or NumPy is not there."""

    def __init__(self, rate: int, wanted: int) -> None:
        # by name: the types of an extra are not there for those who have not installed it
        self._numpy: Any = import_module("numpy")
        self._stream: Any = import_module("soxr").ResampleStream(rate, wanted, 1, dtype="int16", quality=_QUALITY)
        self._aligner = Aligner()
        self._wanted = wanted

    def push(self, pcm: bytes) -> bytes:
        """What is ready now, which may be nothing; the rest comes with later pieces."""
        return self._convert(self._aligner.whole(pcm), last=False)

    def end(self) -> bytes:
        """The rest. Nothing can be pushed afterwards."""
        return self._convert(b"", last=True)

    @property
    def delay(self) -> float:
        """Seconds of sound that were pushed and are not yet out."""
        return float(self._stream.delay()) / self._wanted

    def _convert(self, pcm: bytes, *, last: bool) -> bytes:
        samples = self._numpy.frombuffer(pcm, dtype="<i2").astype("int16", copy=False)
        converted: bytes = self._stream.resample_chunk(samples, last=last).astype("<i2", copy=False).tobytes()
        return converted


def resampler(rate: int, wanted: int) -> Resampler | None:
    """None when there is nothing to change, or nothing to change it with: sound then stays at `rate`."""
    if rate == wanted:
        return None
    try:
        return Resampler(rate, wanted)
    except ImportError:  # a NumPy that does not fit this machine is one, too
        return None
