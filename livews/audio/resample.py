"""Sample rate conversion, by soxr.

- soxr is the extra `resample`, and comes with NumPy; imported late, here and nowhere else.
- Without it nothing fails: audio keeps its rate, and the service takes other rates when they are named.
- Pieces of any size give the same samples as the whole; none is lost and none is added.
- s16le in, s16le out.
"""

from importlib import import_module
from typing import Any

from livews.audio.analysis.pcm import Aligner

# The shortest look-ahead of soxr: 2 to 20 ms at 40 ms a piece, where its best takes up to 75; aliases are 87 dB down.
_QUALITY = "LQ"


class Resampler:
    """Converts s16le mono from `rate` to `target` Hz. Raises `ImportError` without soxr or NumPy."""

    def __init__(self, rate: int, target: int) -> None:
        # by name: type checks run without the extra
        self._numpy: Any = import_module("numpy")
        self._stream: Any = import_module("soxr").ResampleStream(rate, target, 1, dtype="int16", quality=_QUALITY)
        self._aligner = Aligner()
        self._target = target

    def push(self, pcm: bytes) -> bytes:
        """The samples that are ready now, perhaps none; the rest comes with later pieces."""
        return self._convert(self._aligner.whole(pcm), last=False)

    def end(self) -> bytes:
        """The remaining samples. Nothing can be pushed afterwards."""
        return self._convert(b"", last=True)

    @property
    def delay(self) -> float:
        """Seconds of audio that were pushed and are not yet returned."""
        return float(self._stream.delay()) / self._target

    def _convert(self, pcm: bytes, *, last: bool) -> bytes:
        samples = self._numpy.frombuffer(pcm, dtype="<i2").astype("int16", copy=False)
        converted: bytes = self._stream.resample_chunk(samples, last=last).astype("<i2", copy=False).tobytes()
        return converted


def resampler(rate: int, target: int) -> Resampler | None:
    """A Resampler, or None when the rates are the same or soxr is missing: audio then keeps its rate."""
    if rate == target:
        return None
    try:
        return Resampler(rate, target)
    except ImportError:  # also a NumPy that does not fit this machine
        return None
