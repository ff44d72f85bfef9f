"""The user's audio in one session: where speech starts and ends, how much came, and what is kept to play back.

- Speech is detected as setup and profile ask for, or marked by the client with activityStart and activityEnd.
- Time is the audio received, never a clock.
"""

from array import array
from math import gcd

from livews.advice.input_format import format_of, is_sound
from livews.audio.analysis.pcm import bytes_of, rate_of, samples_of, seconds_of
from livews.audio.analysis.vad import SpeechLevel, SpeechMark, VoiceActivityDetector, turn_detector
from livews.core import codec
from livews.server.server_session import ServerSession
from livews.server.synth import RATE

_NEVER_MS = 10**9
_ECHO_SECONDS = 30
"""Seconds of audio kept to be played back."""
_ECHO_RATE = 48_000
"""Samples per second of it that are kept; audio at a higher rate is kept for a shorter time."""


class AudioInput:
    """The audio of one session."""

    def __init__(self, session: ServerSession) -> None:
        conversation = session.conversation
        self._manual = conversation.traits["manualActivity"]
        """The client marks its speech."""
        self.offset = 0.0
        """Seconds received, which audioOffset counts."""
        self.since_turn = 0.0
        """Seconds received since the last turn."""
        self.marked = False
        """Between activityStart and activityEnd."""
        self._marked_at = 0.0
        self._detector = (
            VoiceActivityDetector(start_ms=0, silence_ms=_NEVER_MS)  # measures what is marked
            if self._manual
            else turn_detector(conversation.setup, conversation.profile["vad"])
        )
        self._check = session.input_check
        self._heard = True
        """The last audio was heard as sound."""
        self._compressed = ""
        """The mime type under which a compressed stream began."""
        self._echo = bytearray()
        self._echo_rate = codec.INPUT_RATE
        self._keeps_echo = session.config.reply == "echo"

    @property
    def speech_open(self) -> bool:
        """Speech was detected, and its end was not yet (ACTIVITY-6)."""
        return not self._manual and self._detector.talking

    @property
    def user_speaks(self) -> bool:
        """Speech is going on, detected or marked."""
        return self.marked or self.speech_open

    @property
    def speech(self) -> SpeechLevel:
        """Length and level of the speech that is going on, or of the last one."""
        speech = self._detector.speech
        return SpeechLevel(self.offset - self._marked_at, speech.db) if self._manual else speech

    def start_activity(self) -> None:
        """The client's activityStart."""
        self.marked, self._marked_at = True, self.offset
        self._detector.reset()

    def push(self, mime_type: str, pcm: bytes) -> list[SpeechMark]:
        """Add s16le mono audio; the starts and ends of speech that it makes certain."""
        rate = rate_of(mime_type, "client")
        seconds = seconds_of(len(pcm), rate)
        self.offset += seconds
        self.since_turn += seconds
        if not self._hears(mime_type, pcm):
            pcm = bytes(len(pcm))
        keeps = self._keeps_echo and self.user_speaks
        marks: list[SpeechMark] = []
        if not self._manual:
            marks = self._detector.push(pcm, rate)
        elif self.marked:  # ACTIVITY-4: outside of an activity audio is only counted
            self._detector.push(pcm, rate)
        if keeps or (self._keeps_echo and any(mark.kind == "start" for mark in marks)):
            self._echo += pcm[: max(0, _ECHO_SECONDS * min(rate, _ECHO_RATE) * 2 - len(self._echo))]
            self._echo_rate = rate
        return marks

    @property
    def trailing_silence(self) -> float:
        """Seconds of silence since the end of the last speech."""
        ended_at = self._detector.ended_at
        return 0.0 if ended_at is None else self._detector.offset - ended_at

    def _hears(self, mime_type: str, pcm: bytes) -> bool:
        """Whether this is heard as what it is; of anything else nothing is heard, nor of what follows a compressed start."""
        hears = mime_type != self._compressed and is_sound(mime_type, pcm) and self._check.is_sound
        if self._heard and not hears:
            self._detector.reset()  # what began as speech was none
        if not hears and (row := format_of(pcm)) and "picture" not in row:
            self._compressed = mime_type
        self._heard = hears
        return hears

    def flush(self) -> list[SpeechMark]:
        """audioStreamEnd: the end of speech that is going on."""
        return [] if self._manual else self._detector.flush()

    def take_echo(self) -> bytes:
        """The speech kept since the last call, s16le mono at 24 kHz."""
        pcm, self._echo = bytes(self._echo), bytearray()
        return resampled(pcm, self._echo_rate)


def resampled(pcm: bytes, rate: int) -> bytes:
    """s16le mono audio at `rate` as s16le mono at 24 kHz, by linear interpolation: enough to recognise a voice."""
    samples = samples_of(pcm)
    if rate == RATE or len(samples) < 2:
        return bytes_of(samples)
    common = gcd(rate, RATE)
    up, down = RATE // common, rate // common
    out = array("h", bytes((len(samples) - 1) * RATE // rate * 2))
    # every up-th sample lies equally far between two others: one pass for each such distance is five times faster
    for first in range(min(up, len(out))):
        left, share = first * down // up, first * down % up / up
        count = len(range(first, len(out), up))
        pairs = zip(samples[left::down][:count], samples[left + 1 :: down][:count], strict=True)
        out[first::up] = array("h", [int(a + (b - a) * share) for a, b in pairs])
    return bytes_of(out)
