"""The stand-in's ear: where speech starts and ends in what the client sends.

- Pure: time is the audio received, never a clock. The same samples give the same marks however they are cut up.
- Sound is judged in the frames of core/sound.py, from the first sample; a mark stands at a frame's end.
- Energy decides and nothing else: what stands out for long enough is speech, be it a voice, a tone or a door.
- Sound below the threshold starts nothing, however long. Sound that stays the same for five seconds is the room.
- s16le mono at any rate; dBFS is the RMS without its DC part against 32768, so a full-scale sine is at -3.
- Numbers no client can mean are brought within limits, never refused: refusing is for the schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from livews.audio.analysis.levels import LOUD, THRESHOLD_DB, AnalysisFrames, NoiseFloor, decibels, loudness
from livews.core import codec

START_MS = 160
SILENCE_MS = 800
SILENCE_DB = -100.0
"""What silence is said to be, and the lowest level there is: JSON knows no infinity."""

_LOW_START_DB = 12.0
"""How much louder speech must be for START_SENSITIVITY_LOW."""
_LOW_END_TIMES = 2
"""How many times the silence of the profile END_SENSITIVITY_LOW waits for."""
_LONGEST_START_MS = 10_000
_LONGEST_SILENCE_MS = 60_000


@dataclass(frozen=True, slots=True)
class SpeechMark:
    """Speech started or ended. `offset`: seconds of audio received up to where that was certain, not where it was."""

    kind: Literal["start", "end"]
    offset: float


@dataclass(frozen=True, slots=True)
class SpeechMeasure:
    """What was said: seconds from the first loud frame to the end of the last, dBFS of the RMS of the loud ones."""

    seconds: float = 0.0
    db: float = SILENCE_DB


class TurnDetector:
    """Automatic activity detection for one session.

    `start_ms`: milliseconds of speech that make a start. `silence_ms`: milliseconds of silence that make an end; no
    shorter one does. Both are counted in whole frames of 20 ms, of which there is one at least. `threshold_db`: dBFS
    from which sound is speech.
    """

    __slots__ = ("_count", "_frames", "_last", "_quiet", "_room", "_said", "_spare", "_talking", "silence_ms",
                 "start_ms", "threshold_db")  # fmt: skip

    def __init__(
        self, *, start_ms: int = START_MS, silence_ms: int = SILENCE_MS, threshold_db: float = THRESHOLD_DB
    ) -> None:
        self.start_ms = min(max(start_ms, 0), _LONGEST_START_MS)
        self.silence_ms = min(max(silence_ms, 0), _LONGEST_SILENCE_MS)
        self.threshold_db = min(max(threshold_db, -90.0), -6.0)
        self._room = NoiseFloor(self.threshold_db)
        self._frames = AnalysisFrames()
        self._said = _Said()
        self._last = SpeechMeasure()
        self._talking = False
        self._count = 0
        """Frames of speech on the way to a start, less the quiet ones between them."""
        self._spare = 0
        """Loud frames among them that no soft frame was counted with yet."""
        self._quiet = 0
        """Quiet frames since the last of speech, on the way to an end."""

    @property
    def offset(self) -> float:
        """Seconds of audio received in all, whether judged already or not."""
        return self._frames.offset

    @property
    def talking(self) -> bool:
        """Whether an activity is open."""
        return self._talking

    @property
    def sound(self) -> SpeechMeasure:
        """The activity that is open, up to now, or the last one; zero seconds before the first."""
        return self._said.sound() if self._talking else self._last

    def push(self, pcm: bytes, rate: int) -> list[SpeechMark]:
        """Hear s16le mono at `rate` samples a second, in pieces of any size; the marks it made certain."""
        marks: list[SpeechMark] = []
        for power, begin, end in self._frames.cut(pcm, rate):
            heard = self._room.judge(power)
            if self._talking:
                if heard:
                    self._quiet = 0
                    self._said.add(power, begin, end)
                else:
                    self._quiet += 1
                    if self._quiet >= self._frames.count(self.silence_ms):
                        marks.append(self._end(end))
            elif heard == LOUD or (heard and self._spare):
                # A soft frame counts once for each loud one: so do the edges of a syllable, but a click and the
                # noise of a room never get far.
                self._spare += 1 if heard == LOUD else -1
                self._count += 1
                self._said.add(power, begin, end)
                if self._count >= self._frames.count(self.start_ms):
                    self._talking, self._quiet = True, 0
                    marks.append(SpeechMark("start", end))
            elif self._count:
                # One step back and not to zero: the closure of a stop delays a start, the gaps between key presses
                # prevent one.
                self._count -= 1
                if not self._count:
                    self._forget()
        return marks

    def flush(self) -> list[SpeechMark]:
        """The client's stream ends here (audioStreamEnd): an open activity ends with it. What follows is new."""
        self._frames.drop()
        if self._talking:
            return [self._end(self.offset)]
        self._forget()
        return []

    def _end(self, offset: float) -> SpeechMark:
        self._last = self._said.sound()
        self._talking = False
        self._forget()
        return SpeechMark("end", offset)

    def _forget(self) -> None:
        self._said = _Said()
        self._count = self._spare = 0


class LevelMeter:
    """Length and loudness of speech whose start and end the client marks itself: what `Ear.sound` tells, without a
    start that must be long enough.

    `threshold_db`: dBFS from which sound is speech.
    """

    __slots__ = ("_frames", "_room", "_said")

    def __init__(self, *, threshold_db: float = THRESHOLD_DB) -> None:
        self._room = NoiseFloor(threshold_db)
        self._frames = AnalysisFrames()
        self._said = _Said()

    def reset(self) -> None:
        """A new activity. What the room sounds like is not forgotten."""
        self._frames.drop()
        self._said = _Said()

    def push(self, pcm: bytes, rate: int) -> None:
        """Hear s16le mono at `rate` samples a second, in pieces of any size."""
        for power, begin, end in self._frames.cut(pcm, rate):
            heard = self._room.judge(power)
            if heard == LOUD or (heard and self._said):
                self._said.add(power, begin, end)

    @property
    def seconds(self) -> float:
        """From the first loud frame to the end of the last; 0 when none was."""
        return self._said.sound().seconds

    @property
    def db(self) -> float:
        """dBFS of the RMS of the loud frames; SILENCE_DB when there was none."""
        return self._said.sound().db


def level(pcm: bytes) -> float:
    """dBFS of the RMS of s16le samples without their DC part; SILENCE_DB for silence and for nothing."""
    return max(loudness(pcm), SILENCE_DB)


def settings(setup: Mapping[str, Any], profile_vad: Mapping[str, Any]) -> TurnDetector:
    """The ear a canonical `setup` asks for, of a model whose profile has this `vad`.

    A number the client gives beats the profile, and the sensitivity that would have changed it.
    """
    asked = _member(_member(setup, "realtimeInputConfig"), "automaticActivityDetection")
    threshold = float(profile_vad.get("thresholdDb", THRESHOLD_DB))
    if asked.get("startOfSpeechSensitivity") == "START_SENSITIVITY_LOW":
        threshold += _LOW_START_DB
    start = codec.whole(asked.get("prefixPaddingMs"))
    if start is None:
        start = int(profile_vad.get("startMs", START_MS))
    silence = codec.whole(asked.get("silenceDurationMs"))
    if silence is None:
        silence = int(profile_vad.get("silenceMs", SILENCE_MS))
        if asked.get("endOfSpeechSensitivity") == "END_SENSITIVITY_LOW":
            silence *= _LOW_END_TIMES
    return TurnDetector(start_ms=start, silence_ms=silence, threshold_db=threshold)


def _member(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    member = value.get(name)
    return member if isinstance(member, Mapping) else {}


class _Said:
    """The frames of speech in one activity, added up."""

    __slots__ = ("_begin", "_count", "_end", "_power")

    def __init__(self) -> None:
        self._begin = self._end = self._power = 0.0
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, power: float, begin: float, end: float) -> None:
        if not self._count:
            self._begin = begin
        self._count += 1
        self._power += power
        self._end = end

    def sound(self) -> SpeechMeasure:
        if not self._count:
            return SpeechMeasure()
        return SpeechMeasure(self._end - self._begin, decibels(self._power / self._count, SILENCE_DB))
