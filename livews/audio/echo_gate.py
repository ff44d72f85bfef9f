"""Acoustic echo handling, half-duplex: a gate that silences the microphone while the loudspeaker plays.

- As many bytes come out as went in: the service's voice detection counts on a stream without gaps.
- Pure: no clock. Times are seconds of one monotonic clock; audio is s16le mono in whole samples.
"""

from __future__ import annotations

from livews.audio.analysis.pcm import (
    FADE_SECONDS,
    SAMPLE_BYTES,
    check_whole,
    falling,
    last_sample,
    ms_of,
    raise_in_place,
)
from livews.core.codec import INPUT_RATE

HOLD = 0.2  # the device and the room still sound after the last block was played


class EchoGate:
    """Silence instead of the microphone while the loudspeaker plays and for `hold` seconds after.

    There is no barge-in by voice then. Both edges are faded for 5 ms. `rate`: of the microphone, in Hz.
    """

    def __init__(self, hold: float = HOLD, *, rate: int = INPUT_RATE) -> None:
        self.muted_ms = 0.0
        """Milliseconds of the microphone that were replaced by silence."""
        self._hold = max(hold, FADE_SECONDS)  # the fade out has to end before it opens
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
        """The last sample of the microphone fades to 0; nothing it captures from now on is passed on."""
        self._open = False
        self._risen = 0
        self._tail = falling(self._level, self._fade) if self._level else memoryview(b"")
