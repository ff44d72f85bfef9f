"""Voice activity detection (VAD): when speech starts and ends in PCM, by energy above a learned noise floor.

- Pure: time is the audio pushed, never a clock. The same samples give the same result however they are cut up.
- Audio is judged in frames of 20 ms, from the first sample (levels.py). A start or an end is stated at the end of a
  frame, so all times are exact to 20 ms.
- Energy decides and nothing else: what stands out for long enough is speech, whether a voice, a tone or a door.
- Audio below the threshold starts nothing, however long. A sound that stays the same for five seconds is noise.
- The stand-in server detects the user's turns with it, the client and the trace tools measure latency with it, so
  all mean the same by speech.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from livews.audio.analysis.levels import LOUD, THRESHOLD_DB, AnalysisFrames, NoiseFloor, decibels
from livews.core import codec, machine
from livews.core.codec import INPUT_RATE

START_MS = 80
SILENCE_MS = 400
_LOW_START_DB = 12.0
"""How much louder speech must be for START_SENSITIVITY_LOW."""
_LOW_END_FACTOR = 2
"""How many times the silence of the profile END_SENSITIVITY_LOW waits for."""
_LONGEST_START_MS = 10_000
_LONGEST_SILENCE_MS = 60_000
SILENCE_DB = -100.0
"""The level of silence in a `SpeechLevel`, and the lowest level there is: JSON has no infinity."""


@dataclass(frozen=True, slots=True)
class SpeechMark:
    """Speech started or ended. `offset`: seconds, the end of the frame that made it certain, not where it was."""

    kind: Literal["start", "end"]
    offset: float


@dataclass(frozen=True, slots=True)
class SpeechLevel:
    """Length and loudness of speech.

    `seconds` lie between the first frame of speech and the end of the last; `db` is the dBFS of the RMS of those
    frames.
    """

    seconds: float = 0.0
    db: float = SILENCE_DB


class _SpeechFrames:
    """The frames of speech in one activity, added up."""

    __slots__ = ("_power", "begin", "count", "end")

    def __init__(self) -> None:
        self.begin = self.end = self._power = 0.0
        self.count = 0

    def add(self, power: float, begin: float, end: float) -> None:
        if not self.count:
            self.begin = begin
        self.count += 1
        self._power += power
        self.end = end

    def level(self) -> SpeechLevel:
        return SpeechLevel(self.end - self.begin, decibels(self._power / self.count, SILENCE_DB))


class VoiceActivityDetector:
    """Detects speech in a stream of s16le mono, and measures it.

    `start_ms`: milliseconds of speech that make a start. `silence_ms`: milliseconds of silence that make an end; no
    shorter silence does. Both are counted in whole frames, of which there is at least one. `threshold_db`: dBFS (RMS
    of 20 ms) from which audio can be speech; in a noisy room it has to stand out from the noise as well.
    """

    __slots__ = ("_count", "_current", "_frames", "_last", "_noise", "_quiet", "_spare", "silence_ms", "start_ms",
                 "talking", "threshold_db")  # fmt: skip

    def __init__(
        self, *, start_ms: int = START_MS, silence_ms: int = SILENCE_MS, threshold_db: float = THRESHOLD_DB
    ) -> None:
        self.start_ms, self.silence_ms, self.threshold_db = start_ms, silence_ms, threshold_db
        self.talking = False
        """Whether speech has started and not ended."""
        self._noise = NoiseFloor(threshold_db)
        self._frames = AnalysisFrames()
        self._current = _SpeechFrames()
        """The activity that is open, or on the way to a start."""
        self._last: _SpeechFrames | None = None
        """The last activity that started, open or not."""
        self._count = 0
        """Frames of speech on the way to a start, less the quiet ones between them."""
        self._spare = 0
        """Loud frames among them that no soft frame was counted with yet."""
        self._quiet = 0
        """Quiet frames since the last of speech, on the way to an end."""

    @property
    def offset(self) -> float:
        """Seconds of audio pushed in all, whether judged already or not."""
        return self._frames.offset

    @property
    def speech(self) -> SpeechLevel:
        """The activity that is open, up to now, or the last one; zero seconds before the first."""
        return SpeechLevel() if self._last is None else self._last.level()

    @property
    def began_at(self) -> float | None:
        """Where the first frame of that activity began, in seconds; None before the first activity."""
        return None if self._last is None else self._last.begin

    @property
    def ended_at(self) -> float | None:
        """Where its last frame of speech ended. Moves while somebody talks: it is known before `talking` is False."""
        return None if self._last is None else self._last.end

    def push(self, pcm: bytes, rate: int = INPUT_RATE, at: float | None = None) -> list[SpeechMark]:
        """Judge the next piece of audio.

        `pcm`: s16le mono of any size; half a sample waits for the next piece. `rate`: Hz, may change. `at`: the time
        of the last sample by any clock; all times are then by that clock, and a piece that comes late changes
        nothing. Without it times count from the first sample. Returns the starts and ends that became certain.
        """
        frames = self._frames.cut(pcm, rate)
        zero = 0.0 if at is None else at - self._frames.offset  # the time of the first sample, as this piece has it
        marks: list[SpeechMark] = []
        for power, begin, end in frames:
            judgement = self._noise.judge(power)
            if self.talking:
                if judgement:
                    self._quiet = 0
                    self._current.add(power, zero + begin, zero + end)
                else:
                    self._quiet += 1
                    if self._quiet >= self._frames.count(self.silence_ms):
                        marks.append(self._end(zero + end))
            elif judgement == LOUD or (judgement and self._spare):
                # A soft frame counts once for each loud one: so do the edges of a syllable, but a click and the
                # noise of a room never get far.
                self._spare += 1 if judgement == LOUD else -1
                self._count += 1
                self._current.add(power, zero + begin, zero + end)
                if self._count >= self._frames.count(self.start_ms):
                    self.talking, self._quiet = True, 0
                    self._last = self._current
                    marks.append(SpeechMark("start", zero + end))
            elif self._count:
                # One step back and not to zero: the closure of a stop delays a start, the gaps between key presses
                # prevent one.
                self._count -= 1
                if not self._count:
                    self._forget()
        return marks

    def flush(self) -> list[SpeechMark]:
        """The stream ends here (audioStreamEnd): an open activity ends with it, and what follows is new."""
        self._frames.drop()
        if self.talking:
            return [self._end(self.offset)]
        self._forget()
        return []

    def reset(self) -> None:
        """Forget the speech so far. What is known of the noise is kept."""
        self.flush()
        self._last = None

    def _end(self, offset: float) -> SpeechMark:
        self.talking = False
        self._forget()
        return SpeechMark("end", offset)

    def _forget(self) -> None:
        self._current = _SpeechFrames()
        self._count = self._spare = 0


def turn_detector(setup: Mapping[str, Any], profile_vad: Mapping[str, Any]) -> VoiceActivityDetector:
    """The detector a canonical `setup` asks for, of a model whose profile has this `vad`.

    A number the client gives takes precedence over the profile, and over the sensitivity that would have changed it.
    Numbers that no client can mean are brought within limits: refusing is for the schemas.
    """
    configs = machine.values(setup, ("realtimeInputConfig", "automaticActivityDetection"))
    config = configs[0] if configs and isinstance(configs[0], dict) else {}
    start_ms, silence_ms = profile_vad["startMs"], profile_vad["silenceMs"]
    threshold_db = float(profile_vad.get("thresholdDb", THRESHOLD_DB))
    if config.get("startOfSpeechSensitivity") == "START_SENSITIVITY_LOW":
        threshold_db += _LOW_START_DB
    if config.get("endOfSpeechSensitivity") == "END_SENSITIVITY_LOW":
        silence_ms *= _LOW_END_FACTOR
    given_start, given_silence = (codec.whole(config.get(key)) for key in ("prefixPaddingMs", "silenceDurationMs"))
    start_ms = start_ms if given_start is None else given_start
    silence_ms = silence_ms if given_silence is None else given_silence
    return VoiceActivityDetector(
        start_ms=min(max(start_ms, 0), _LONGEST_START_MS),
        silence_ms=min(max(silence_ms, 0), _LONGEST_SILENCE_MS),
        threshold_db=min(max(threshold_db, -90.0), -6.0),
    )
