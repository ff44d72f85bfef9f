"""Notices that the model interrupts itself: the microphone picks up the loudspeaker.

- Pure: no clock. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import deque

from livews.audio.echo_canceller import AEC_FIX

# An echo is there as soon as the loudspeaker plays, and the service notices it after some 0.2 s; people who barge in
# mostly hear the answer's beginning first. Once or twice it may still have been a person.
SOON = 2.5  # seconds from the first sound to `interrupted`
TIMES, OF_TURNS = 3, 4
LOUD_DB = -50.0  # dBFS; quiet rooms are below, an echo that counts as speech is above
JUST_BEFORE = 0.3  # seconds; speech that began before the voice is no echo of it
REPEAT_AFTER = 300.0  # seconds


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
