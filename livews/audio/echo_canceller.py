"""Acoustic echo cancellation: takes the loudspeaker's sound out of the microphone's.

- As many bytes come out as went in: the service's voice detection counts on a stream without gaps.
- The reference is what the device was really given, never what arrived: what was flushed makes no echo.
- The package, NumPy and soxr come with the extra `aec`. They are imported when a canceller is made, and only here.
- No exception of the package leaves this module: all become `AudioUnavailable`.
- Not thread-safe: the tap of the playback buffer brings what was played from the sound thread to the caller.
- s16le mono in whole samples. Times are seconds of one monotonic clock.
"""

import importlib
import time
from collections.abc import Callable
from typing import Any

from livews.audio.analysis.pcm import SAMPLE_BYTES, check_whole
from livews.audio.portaudio import AudioUnavailable
from livews.audio.resample import Resampler
from livews.core.codec import INPUT_RATE, OUTPUT_RATE

AEC_FIX = "pip install pywebrtc-audio soxr"

FRAMES = 100  # a second: the package works on 10 ms
RATES = (16000, 32000, 48000)  # of the microphone; the package converts no others
LEAD = 0.020  # seconds the reference is placed too early: an echo before its cause cannot be cancelled
SLACK = 0.030  # the device's times jitter by 12 ms; less than this is no reason to move the reference
SETTLE = 1.0  # seconds of microphone after which its timing is measured anew
MOST_AHEAD = 2.0  # seconds of reference kept; without calls of `near` meanwhile the rest is lost


class EchoCanceller:
    """Echo cancellation by WebRTC's AEC3 (package pywebrtc-audio, extra `aec`).

        for pcm, rate, at in speaker.played():  # of Speaker(listened=True)
            canceller.far(pcm, rate, at)
        pcm = canceller.near(microphone)

    `rate`: of the microphone, 16, 32 or 48 kHz. Raises AudioUnavailable when the package is missing.

    The package delays by 8 ms. `near` adds nothing when it is given multiples of 10 ms, else a sample less than 10 ms
    from the first time it is short on. It costs 0.2 to 0.3 ms for every 10 ms of sound (one core of a server). An
    echo is 26 dB weaker after a second, 30 dB after three. A voice at the same time, 3 to 9 dB above the echo, loses
    2 to 4 dB; a voice without echo loses 1 dB, the lowest tones. (Simulated rooms of 150 ms, delays of 60 to 350 ms.)

    The reference is put on the microphone's time line by the clock, once, and then follows sample by sample:
    the package finds the delay itself and follows it, but not one that jumps.
    """

    def __init__(self, rate: int = INPUT_RATE, *, clock: Callable[[], float] = time.monotonic) -> None:
        if rate not in RATES:
            why = f"it works on {', '.join(map(str, RATES))} Hz"
            fix = "pip install soxr, or use a device or a file at 16000 Hz, or headphones or --half-duplex"
            raise AudioUnavailable(f"no echo cancellation at {rate} Hz", why, fix)
        self._np, aec = _load()
        try:
            self._aec = aec.EchoCanceller(rate, 1, 0)
        except Exception as error:
            raise _failed(error) from error
        self._rate = rate
        self._frame = rate // FRAMES  # samples
        self._clock = clock
        self._voice_rate = OUTPUT_RATE
        self._converter = self._from(OUTPUT_RATE)  # of the reference; None where nothing has to be changed

        # The microphone. Positions on its time line are counted in its samples.
        self._came = 0
        self._done = 0  # cancelled
        self._waiting = bytearray()  # less than a frame
        self._ready = bytearray()  # cancelled, not yet returned
        # Clock time of position 0, for the piece that came soonest: others were held up on their way.
        self._zero = float("inf")
        self._zero_before = float("inf")  # the same, of the second before
        self._settled_at = 0

        # The reference, which ends at `_end` on that line.
        self._played = bytearray()
        self._end = 0

    def far(self, pcm: bytes, rate: int, at: float) -> None:
        """The loudspeaker plays s16le `pcm` at `rate` Hz; its first sample is heard at `at`.

        Nothing is kept before the first `near`.
        """
        zero = min(self._zero, self._zero_before)
        if zero == float("inf"):
            return
        if rate != self._voice_rate:
            self._voice_rate, self._converter = rate, self._from(rate)
        reference = pcm
        if self._converter is not None:
            at -= self._converter.delay  # what comes out first
            reference = self._converter.push(pcm)
        at_sample = round((at - LEAD - zero) * self._rate)
        if at_sample > self._done + MOST_AHEAD * self._rate:
            return
        # What is reported too late is put where it is still useful: an echo that is even later can be cancelled.
        at_sample = max(at_sample, self._done)
        self._end = max(self._end, self._done)
        off = at_sample - self._end
        if abs(off) > SLACK * self._rate:
            if off > 0 and self._played:
                self._played += bytes(off * SAMPLE_BYTES)
            elif off < 0:
                del self._played[max(0, len(self._played) + off * SAMPLE_BYTES) :]
            self._end = at_sample
        self._played += reference
        self._end += len(reference) // SAMPLE_BYTES

    def near(self, pcm: bytes) -> bytes:
        """The microphone's `pcm`, as it comes, without the echo; as many bytes.

        ValueError for half a sample, `AudioUnavailable` when the package fails.
        """
        check_whole(pcm)
        self._came += len(pcm) // SAMPLE_BYTES
        self._follow_clock(self._clock() - self._came / self._rate)
        self._waiting += pcm
        count = len(self._waiting) // SAMPLE_BYTES // self._frame * self._frame
        if count:
            frames = bytes(self._waiting[: count * SAMPLE_BYTES])
            del self._waiting[: count * SAMPLE_BYTES]
            self._ready += self._process(frames, self._reference(count))
            self._done += count
        if len(self._ready) < len(pcm):
            # Once at most: a frame less a sample is the most that can wait, and from now on so much lies ready.
            self._ready[:0] = bytes((self._frame - 1) * SAMPLE_BYTES)
        out = bytes(self._ready[: len(pcm)])
        del self._ready[: len(pcm)]
        return out

    def _from(self, rate: int) -> Resampler | None:
        try:
            return None if rate == self._rate else Resampler(rate, self._rate)
        except ImportError as error:
            raise _missing("soxr", error) from error

    def _process(self, near: bytes, far: bytes) -> bytes:
        np = self._np
        try:
            clean = self._aec.process(np.frombuffer(near, np.int16), np.frombuffer(far, np.int16))
        except Exception as error:
            raise _failed(error) from error
        return bytes(clean.tobytes())

    def _follow_clock(self, zero: float) -> None:
        if zero - min(self._zero, self._zero_before) > SETTLE:  # the microphone had been stopped
            self._zero_before = self._zero = zero
        elif self._came - self._settled_at >= SETTLE * self._rate:
            # Only the last two seconds count, so that lost samples and a clock that drifts are followed.
            self._settled_at = self._came
            self._zero_before, self._zero = self._zero, zero
        else:
            self._zero = min(self._zero, zero)

    def _reference(self, count: int) -> bytes:
        """What was played during the next `count` samples of the microphone; silence where nothing is known."""
        start = self._end - len(self._played) // SAMPLE_BYTES
        if start < self._done:
            del self._played[: (self._done - start) * SAMPLE_BYTES]
            start = self._done
        silence = bytes(min(count, start - self._done) * SAMPLE_BYTES)
        known = self._played[: count * SAMPLE_BYTES - len(silence)]
        del self._played[: len(known)]
        return (silence + known).ljust(count * SAMPLE_BYTES, b"\0")


def _load() -> tuple[Any, Any]:
    """NumPy and the package, by name: type checks run without them."""
    try:
        return importlib.import_module("numpy"), importlib.import_module("pywebrtc_audio")
    except Exception as error:  # a compiled package may fail to start with anything
        raise _missing("pywebrtc-audio", error) from error


def _missing(package: str, error: Exception) -> AudioUnavailable:
    why = f"the Python package {package} cannot be imported ({error})"
    return AudioUnavailable("no echo cancellation", why, f"{AEC_FIX}, or use headphones or --half-duplex")


def _failed(error: Exception) -> AudioUnavailable:
    fix = f"Update it ({AEC_FIX} --upgrade), or use headphones or --half-duplex"
    return AudioUnavailable("no echo cancellation", f"the package pywebrtc-audio failed ({error})", fix)
