"""Acoustic echo without a canceller: a gate that silences the microphone, and the detection of self-interruption.

- As many bytes come out as went in: the service's voice detection counts on a stream without gaps.
- Pure: no clock. Times are seconds of one monotonic clock; audio is s16le mono in whole samples.
"""

from collections import deque

from livews.audio.analysis.pcm import (
    FADE_SECONDS,
    SAMPLE_BYTES,
    check_whole,
    falling,
    last_sample,
    raise_in_place,
)
from livews.audio.echo_canceller import AEC_FIX
from livews.core.codec import INPUT_RATE

HOLD = 0.2  # the device and the room still sound after the last block; longer than a fade, which ends before it opens

# An echo is there as soon as the loudspeaker plays, and the service notices it after some 0.2 s; people who barge in
# mostly hear the answer's beginning first. Once or twice it may still have been a person.
SOON = 2.5  # seconds from the first sound to `interrupted`
TIMES, OF_TURNS = 3, 4
LOUD_DB = -50.0  # dBFS; quiet rooms are below, an echo that counts as speech is above
JUST_BEFORE = 0.3  # seconds; speech that began before the voice is no echo of it
REPEAT_AFTER = 300.0  # seconds


class EchoGate:
    """Silence instead of the microphone while the loudspeaker plays and for `HOLD` seconds after.

    There is no barge-in by voice then. Both edges are faded for 5 ms. `rate`: of the microphone, in Hz.
    """

    def __init__(self, *, rate: int = INPUT_RATE) -> None:
        self._rate = rate
        self._fade = int(FADE_SECONDS * rate)
        self._opens_at = float("-inf")
        self._open = True
        self._level = 0  # the last sample passed on
        self._tail = memoryview(b"")  # what is left of the fade out
        self._risen = self._fade  # samples of the fade in that are done

    def pass_on(self, pcm: bytes, *, playing: bool, at: float) -> bytes:
        """`pcm`, or silence of its length.

        `playing`: whether the loudspeaker plays now. `at`: the time of the first sample of `pcm`. ValueError for half
        a sample.
        """
        check_whole(pcm)
        samples = len(pcm) // SAMPLE_BYTES
        if playing:
            self._opens_at = at + samples / self._rate + HOLD
            muted = samples
        elif self._open:
            muted = 0  # once open it stays open: chunks that come unevenly must not make it flap
        else:
            muted = min(max(round((self._opens_at - at) * self._rate), 0), samples)
        if self._open and (playing or muted):
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
        if muted < samples:
            self._open = True
            self._tail = memoryview(b"")
            self._risen = raise_in_place(memoryview(out)[edge:], self._risen, self._fade)
        if out:
            self._level = last_sample(memoryview(out))
        return bytes(out)

    def _close(self) -> None:
        """The last sample of the microphone fades to 0; nothing it captures from now on is passed on."""
        self._open = False
        self._risen = 0
        self._tail = falling(self._level, self._fade) if self._level else memoryview(b"")


class SelfInterruption:
    """Detects turns of the model that are interrupted again and again as soon as they are heard.

    Not for use with half-duplex or echo cancellation. Levels are optional: without them interruptions by typed text
    and by somebody who already speaks count as echo too.
    """

    ADVICE = (
        "the model keeps being interrupted as soon as it speaks: most likely the microphone hears the loudspeaker. "
        "Use headphones, or --half-duplex (the microphone is silent while the model speaks), "
        f"or --echo-cancel ({AEC_FIX}); "
        "on Linux also PulseAudio's module-echo-cancel (pactl load-module module-echo-cancel aec_method=webrtc) or "
        "PipeWire's libpipewire-module-echo-cancel"
    )

    def __init__(self) -> None:
        self._turns: deque[bool] = deque(maxlen=OF_TURNS)  # was it cut by its own echo?
        self._started: float | None = None  # of the turn that is heard, until it is interrupted
        self._loud_at = float("-inf")
        self._busy = False  # somebody was speaking when the turn began
        self._levels = False  # some came since the turn began
        self._loud = False  # and one was loud
        self._advised_at = float("-inf")

    def playback_started(self, at: float) -> None:
        """The first sound of a turn leaves the loudspeaker."""
        self._turns.append(False)
        self._started = at
        self._busy = at - self._loud_at < JUST_BEFORE
        self._levels = self._loud = False

    def user_level(self, db: float, at: float) -> None:
        """The level of the microphone in dBFS, at any interval shorter than `JUST_BEFORE`."""
        self._levels = True
        if db >= LOUD_DB:
            self._loud = True
            self._loud_at = at

    def interrupted(self, at: float) -> str | None:
        """The service sent `interrupted`. Returns the advice when it is time to show it, else None."""
        started, self._started = self._started, None
        if started is None:
            return None
        sound = self._loud or not self._levels
        self._turns[-1] = at - started <= SOON and sound and not self._busy
        if sum(self._turns) < TIMES or at - self._advised_at < REPEAT_AFTER:
            return None
        self._advised_at = at
        self._turns.clear()
        return self.ADVICE
