"""What keeps the model from hearing itself: a gate, a canceller, and an eye on whether either is needed.

- As many bytes come out as went in: the service's voice detection counts on a stream without holes.
- All is s16le mono in whole samples; the microphone's side is at 16 kHz unless told. Times are seconds of one
  monotonic clock.
- `Gate` and `SelfInterruption` are pure: no clock, no package. `Canceller` alone needs the extra `aec`, which it
  imports when it is made, and NumPy and soxr, which come with that extra, are used inside it only.
- No exception of the package leaves this module: all become `NoSound`.
- The canceller is told what the loudspeaker was really given, never what arrived: what is flushed makes no echo.
- Nothing here is thread-safe: the tap brings what was played from the sound thread to the one that calls.
"""

from __future__ import annotations

import importlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from livews.audio.analysis.pcm import FADE_SECONDS, SAMPLE_BYTES, falling, last_sample, ms_of, raise_in_place
from livews.audio.portaudio import AudioUnavailable
from livews.audio.resample import Resampler

MICROPHONE_RATE = 16000
VOICE_RATE = 24000
AEC_CURE = "pip install pywebrtc-audio soxr"

HOLD = 0.2  # the device and the room still sound after the last block was given away


class EchoGate:
    """Half-duplex: while the loudspeaker plays, and `hold` seconds after, silence instead of the microphone.

    There is no barge-in by voice then. Both edges are faded for 5 ms.
    """

    def __init__(self, hold: float = HOLD, *, rate: int = MICROPHONE_RATE) -> None:
        self.muted_ms = 0.0
        self._hold = max(hold, FADE_SECONDS)  # the fade out has to end before it opens
        self._rate = rate
        self._fade = int(FADE_SECONDS * rate)
        self._opens_at = float("-inf")
        self._open = True
        self._level = 0  # the last sample handed on
        self._tail = memoryview(b"")  # what is left of the fade out
        self._risen = self._fade  # samples of the fade in that are done

    def pass_on(self, pcm: bytes, *, playing: bool, at: float) -> bytes:
        """`pcm`, or silence of its length. `at` is the time of its first sample; ValueError for half a sample."""
        _check_whole(pcm)
        samples = len(pcm) // SAMPLE_BYTES
        if playing:
            self._opens_at = at + samples / self._rate + self._hold
            muted = samples
        elif self._open:
            muted = 0  # once open it stays open: chunks that come unevenly must not make it flap
        else:
            muted = min(max(round((self._opens_at - at) * self._rate), 0), samples)
        if self._open and muted:
            self._close()
        if not muted and self._risen >= self._fade:
            self._open = True
            if pcm:
                self._level = last_sample(memoryview(pcm))
            return pcm

        out = bytearray(pcm)
        edge = muted * SAMPLE_BYTES
        tail = self._tail[:edge]
        self._tail = self._tail[edge:]
        out[:edge] = bytes(tail) + bytes(edge - len(tail))
        self.muted_ms += ms_of(edge, self._rate)
        if muted < samples:
            self._open = True
            self._tail = memoryview(b"")
            self._risen = raise_in_place(memoryview(out)[edge:], self._risen, self._fade)
        if out:
            self._level = last_sample(memoryview(out))
        return bytes(out)

    def _close(self) -> None:
        """The microphone's last sample falls to 0; nothing it hears from now on is handed on."""
        self._open = False
        self._risen = 0
        self._tail = falling(self._level, self._fade) if self._level else memoryview(b"")


class EchoCancellerLike(Protocol):
    """What takes the loudspeaker's sound out of the microphone's.

    for pcm, rate, at in speaker.played():  # of Speaker(listened=True)
        canceller.far(pcm, rate, at)
    pcm = canceller.near(microphone)
    """

    def far(self, pcm: bytes, rate: int, at: float) -> None:
        """This is played at `rate` Hz; its first sample leaves the loudspeaker at `at` (clock of the tap)."""

    def near(self, pcm: bytes) -> bytes:
        """Sound of the microphone, as it comes; as many bytes without the echo."""


FRAMES = 100  # a second: the package works on 10 ms
RATES = (16000, 32000, 48000)  # of the microphone; the package converts no others
LEAD = 0.020  # seconds the reference is placed too early: an echo before its cause cannot be cancelled
SLACK = 0.030  # the device's times jitter by 12 ms; less than this is no reason to move the reference
SETTLE = 1.0  # seconds of microphone after which its timing is judged anew
MOST_AHEAD = 2.0  # seconds of reference kept; who asks for no microphone meanwhile loses the rest


class EchoCanceller:
    """Echo cancellation by WebRTC's AEC3 (package pywebrtc-audio, extra `aec`); NoSound when it is missing.

    The package delays by 8 ms. `near` adds nothing when it is given multiples of 10 ms, else a sample less than 10 ms
    from the first time it is short on. It costs 0.2 to 0.3 ms for every 10 ms of sound (one core of a server). An
    echo is 26 dB weaker after a second, 30 dB after three. A voice at the same time, 3 to 9 dB above the echo, loses
    2 to 4 dB; one that speaks alone loses 1 dB, the lowest tones. (Made-up rooms of 150 ms, delays of 60 to 350 ms.)

    The reference is put on the microphone's time line by the clock, once, and then follows sample by sample:
    the package finds the delay itself and keeps up with it, but not with one that jumps.
    """

    def __init__(self, rate: int = MICROPHONE_RATE, *, clock: Callable[[], float] = time.monotonic) -> None:
        if rate not in RATES:
            why = f"it works on {', '.join(map(str, RATES))} Hz"
            fix = "pip install soxr, or take a device or a file at 16000 Hz, or headphones or --half-duplex"
            raise AudioUnavailable(f"no echo cancellation at {rate} Hz", why, fix)
        self._np, aec = _load()
        try:
            self._aec = aec.EchoCanceller(rate, 1, 0)
        except Exception as error:
            raise _failed(error) from error
        self._rate = rate
        self._frame = rate // FRAMES  # samples
        self._clock = clock
        self._voice_rate = VOICE_RATE
        self._converter = self._from(VOICE_RATE)  # of the reference; None where nothing has to be changed

        # The microphone. Positions on its time line are counted in its samples.
        self._came = 0
        self._done = 0  # cancelled
        self._waiting = bytearray()  # less than a frame
        self._ready = bytearray()  # cancelled, not yet handed out
        # Clock time of position 0, for the piece that came soonest: others were held up on their way.
        self._zero = float("inf")
        self._zero_before = float("inf")  # the same, of the second before
        self._judged = 0

        # The reference, which ends at `_end` on that line.
        self._played = bytearray()
        self._end = 0

    def far(self, pcm: bytes, rate: int, at: float) -> None:
        """See `EchoCancel`. Nothing is kept before the first `near`."""
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
        # What is told too late is put where it is still of use: an echo that is later yet can be cancelled.
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
        """See `EchoCancel`. ValueError for half a sample, `NoSound` when the package fails."""
        _check_whole(pcm)
        self._came += len(pcm) // SAMPLE_BYTES
        self._judge_time(self._clock() - self._came / self._rate)
        self._waiting += pcm
        count = len(self._waiting) // SAMPLE_BYTES // self._frame * self._frame
        if count:
            frames = bytes(self._waiting[: count * SAMPLE_BYTES])
            del self._waiting[: count * SAMPLE_BYTES]
            self._ready += self._cancel(frames, self._reference(count))
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

    def _cancel(self, near: bytes, far: bytes) -> bytes:
        np = self._np
        try:
            clean = self._aec.process(np.frombuffer(near, np.int16), np.frombuffer(far, np.int16))
        except Exception as error:
            raise _failed(error) from error
        return bytes(clean.tobytes())

    def _judge_time(self, zero: float) -> None:
        if zero - min(self._zero, self._zero_before) > SETTLE:  # the microphone had been stopped
            self._zero_before = self._zero = zero
        elif self._came - self._judged >= SETTLE * self._rate:
            # Only the last two seconds count, so that lost samples and a clock that drifts are followed.
            self._judged = self._came
            self._zero_before, self._zero = self._zero, zero
        else:
            self._zero = min(self._zero, zero)

    def _reference(self, count: int) -> bytes:
        """What was played at the next `count` samples of the microphone; silence where nothing is known."""
        start = self._end - len(self._played) // SAMPLE_BYTES
        if start < self._done:
            del self._played[: (self._done - start) * SAMPLE_BYTES]
            start = self._done
        silence = bytes(min(count, start - self._done) * SAMPLE_BYTES)
        known = self._played[: count * SAMPLE_BYTES - len(silence)]
        del self._played[: len(known)]
        return (silence + known).ljust(count * SAMPLE_BYTES, b"\0")


# A loudspeaker is heard as soon as it plays and takes the service some 0.2 s to notice; people who barge in
# mostly hear the answer's beginning first. Once or twice it may still have been they.
SOON = 2.5  # seconds from the first sound to `interrupted`
TIMES, OF_TURNS = 3, 4
LOUD_DB = -50.0  # dBFS; quiet rooms are below, an echo that counts as speech is above
JUST_BEFORE = 0.3  # seconds; who speaks when the voice begins was not started by it
TOLD_AGAIN_AFTER = 300.0  # seconds


class SelfInterruption:
    """Notices that the loudspeaker interrupts the model: its turns are cut again and again as soon as they sound.

    Not to be asked where headphones, half-duplex or echo cancellation are on. Levels are optional: without them
    interruptions by typed text and by somebody already speaking are taken for echo too.
    """

    ADVICE = (
        "the model keeps being interrupted as soon as it speaks: most likely the microphone hears the loudspeaker. "
        "Use headphones, or --half-duplex (the microphone is silent while the model speaks), "
        f"or --echo-cancel ({AEC_CURE}); "
        "on Linux also PulseAudio's module-echo-cancel (pactl load-module module-echo-cancel aec_method=webrtc) or "
        "PipeWire's libpipewire-module-echo-cancel"
    )

    def __init__(self) -> None:
        self._turns: deque[bool] = deque(maxlen=OF_TURNS)  # was it cut by its own echo?
        self._started: float | None = None  # of the turn that sounds, until it is interrupted
        self._loud_at = float("-inf")
        self._busy = False  # somebody was speaking when the turn began
        self._levels = False  # some were told since the turn began
        self._loud = False  # and one was loud
        self._told_at = float("-inf")

    def playback_started(self, at: float) -> None:
        """The first sound of a turn leaves the loudspeaker."""
        self._turns.append(False)
        self._started = at
        self._busy = at - self._loud_at < JUST_BEFORE
        self._levels = self._loud = False

    def user_level(self, db: float, at: float) -> None:
        """How loud the microphone was, in dBFS (0 is full scale), at any steps below `JUST_BEFORE`."""
        self._levels = True
        if db >= LOUD_DB:
            self._loud = True
            self._loud_at = at

    def interrupted(self, at: float) -> str | None:
        """The service said `interrupted`. The advice when it is time to give it, else None."""
        started, self._started = self._started, None
        if started is None:
            return None
        heard_something = self._loud or not self._levels
        self._turns[-1] = at - started <= SOON and heard_something and not self._busy
        if sum(self._turns) < TIMES or at - self._told_at < TOLD_AGAIN_AFTER:
            return None
        self._told_at = at
        self._turns.clear()
        return self.ADVICE


def _check_whole(pcm: bytes) -> None:
    if len(pcm) % SAMPLE_BYTES:
        raise ValueError(f"{len(pcm)} bytes are not whole s16le samples: pass them through pcm.Aligner first")


def _load() -> tuple[Any, Any]:
    """NumPy and the package. By name: neither is there for type checks in a base install."""
    try:
        return importlib.import_module("numpy"), importlib.import_module("pywebrtc_audio")
    except Exception as error:  # a compiled package may fail to start with anything
        raise _missing("pywebrtc-audio", error) from error


def _missing(package: str, error: Exception) -> AudioUnavailable:
    why = f"the Python package {package} cannot be imported ({error})"
    return AudioUnavailable("no echo cancellation", why, f"{AEC_CURE}, or use headphones or --half-duplex")


def _failed(error: Exception) -> AudioUnavailable:
    fix = f"Update it ({AEC_CURE} --upgrade), or use headphones or --half-duplex"
    return AudioUnavailable("no echo cancellation", f"the package pywebrtc-audio failed ({error})", fix)
