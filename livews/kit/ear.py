"""The stand-in's ear: where speech starts and ends in what the client sends.

- Pure: time is the audio received, never a clock. The same samples give the same marks however they are cut up.
- Sound is judged in frames of 20 ms that follow one another from the first sample; a mark stands at a frame's end.
- Energy decides and nothing else: what stands out for long enough is speech, be it a voice, a tone or a door.
- Sound below the threshold starts nothing, however long. Sound that stays the same for five seconds is the room.
- s16le mono at any rate; dBFS is the RMS without its DC part against 32768, so a full-scale sine is at -3.
- Numbers no client can mean are brought within limits, never refused: refusing is for the schemas.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import hypot, inf, log10, pow
from operator import mul
from struct import Struct, unpack
from typing import Any, Literal

from livews.core import wire

START_MS = 160
SILENCE_MS = 800
THRESHOLD_DB = -48.0
"""Speech that peaks at -30 dBFS has its vowels above, a quiet room lies 7 to 20 dB below."""
SILENCE_DB = -100.0
"""What silence is said to be, and the lowest level there is: JSON knows no infinity."""

_LOW_START_DB = 12.0
"""How much louder speech must be for START_SENSITIVITY_LOW."""
_LOW_END_TIMES = 2
"""How many times the silence of the profile END_SENSITIVITY_LOW waits for."""
_LONGEST_START_MS = 10_000
_LONGEST_SILENCE_MS = 60_000
_FULL = 32768.0


@dataclass(frozen=True, slots=True)
class Mark:
    """Speech started or ended. `offset`: seconds of audio received up to where that was certain, not where it was."""

    kind: Literal["start", "end"]
    offset: float


@dataclass(frozen=True, slots=True)
class Sound:
    """What was said: seconds from the first loud frame to the end of the last, dBFS of the RMS of the loud ones."""

    seconds: float = 0.0
    db: float = SILENCE_DB


class Ear:
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
        self._room = _Room(self.threshold_db)
        self._frames = _Frames()
        self._said = _Said()
        self._last = Sound()
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
    def sound(self) -> Sound:
        """The activity that is open, up to now, or the last one; zero seconds before the first."""
        return self._said.sound() if self._talking else self._last

    def push(self, pcm: bytes, rate: int) -> list[Mark]:
        """Hear s16le mono at `rate` samples a second, in pieces of any size; the marks it made certain."""
        marks: list[Mark] = []
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
            elif heard == _LOUD or (heard and self._spare):
                # A soft frame counts once for each loud one: so do the edges of a syllable, but a click and the
                # noise of a room never get far.
                self._spare += 1 if heard == _LOUD else -1
                self._count += 1
                self._said.add(power, begin, end)
                if self._count >= self._frames.count(self.start_ms):
                    self._talking, self._quiet = True, 0
                    marks.append(Mark("start", end))
            elif self._count:
                # One step back and not to zero: the closure of a stop delays a start, the gaps between key presses
                # prevent one.
                self._count -= 1
                if not self._count:
                    self._forget()
        return marks

    def flush(self) -> list[Mark]:
        """The client's stream ends here (audioStreamEnd): an open activity ends with it. What follows is new."""
        self._frames.drop()
        if self._talking:
            return [self._end(self.offset)]
        self._forget()
        return []

    def _end(self, offset: float) -> Mark:
        self._last = self._said.sound()
        self._talking = False
        self._forget()
        return Mark("end", offset)

    def _forget(self) -> None:
        self._said = _Said()
        self._count = self._spare = 0


class Meter:
    """Length and loudness of speech whose start and end the client marks itself: what `Ear.sound` tells, without a
    start that must be long enough.

    `threshold_db`: dBFS from which sound is speech.
    """

    __slots__ = ("_frames", "_room", "_said")

    def __init__(self, *, threshold_db: float = THRESHOLD_DB) -> None:
        self._room = _Room(threshold_db)
        self._frames = _Frames()
        self._said = _Said()

    def reset(self) -> None:
        """A new activity. What the room sounds like is not forgotten."""
        self._frames.drop()
        self._said = _Said()

    def push(self, pcm: bytes, rate: int) -> None:
        """Hear s16le mono at `rate` samples a second, in pieces of any size."""
        for power, begin, end in self._frames.cut(pcm, rate):
            heard = self._room.judge(power)
            if heard == _LOUD or (heard and self._said):
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
    count = len(pcm) // 2
    if not count:
        return SILENCE_DB
    samples = unpack(f"<{count}h", pcm[: 2 * count])
    return _db((count * sum(map(mul, samples, samples)) - sum(samples) ** 2) / count**2)


def settings(setup: Mapping[str, Any], profile_vad: Mapping[str, Any]) -> Ear:
    """The ear a canonical `setup` asks for, of a model whose profile has this `vad`.

    A number the client gives beats the profile, and the sensitivity that would have changed it.
    """
    asked = _member(_member(setup, "realtimeInputConfig"), "automaticActivityDetection")
    threshold = float(profile_vad.get("thresholdDb", THRESHOLD_DB))
    if asked.get("startOfSpeechSensitivity") == "START_SENSITIVITY_LOW":
        threshold += _LOW_START_DB
    start = wire.whole(asked.get("prefixPaddingMs"))
    if start is None:
        start = int(profile_vad.get("startMs", START_MS))
    silence = wire.whole(asked.get("silenceDurationMs"))
    if silence is None:
        silence = int(profile_vad.get("silenceMs", SILENCE_MS))
        if asked.get("endOfSpeechSensitivity") == "END_SENSITIVITY_LOW":
            silence *= _LOW_END_TIMES
    return Ear(start_ms=start, silence_ms=silence, threshold_db=threshold)


def _member(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    member = value.get(name)
    return member if isinstance(member, Mapping) else {}


_QUIET, _SOFT, _LOUD = 0, 1, 2


class _Room:
    """Tells speech from the room, frame by frame.

    Loud: over the threshold. Soft: up to 9 dB below it, what speech that is loud elsewhere has between its vowels.
    Either must be 7 dB over the noise, which is the softest frame of late: speech has gaps, a room has none.
    """

    __slots__ = ("_frames", "_least", "_loud", "_past", "_soft", "_threshold")

    _BELOW = 8.0
    _ABOVE = 5.0
    _BLOCK = 25
    """Frames to a block: half a second."""
    _LATE = 3
    """Blocks that tell noise from soft speech. Few, or a microphone that is switched on holds an activity open."""
    _LONG = 10
    """Blocks that tell noise from loud speech. Many, for nobody speaks so long without a gap."""

    def __init__(self, threshold_db: float) -> None:
        self._threshold = _FULL * _FULL * pow(10, threshold_db / 10)
        self._past: deque[float] = deque(maxlen=self._LONG)
        self._least = inf
        self._frames = 0
        # nothing is soft as long as the noise is not known
        self._loud = self._soft = self._threshold

    def judge(self, power: float) -> int:
        heard = _LOUD if power >= self._loud else _SOFT if power >= self._soft else _QUIET
        if power < self._least:
            self._least = power
        self._frames += 1
        if self._frames == self._BLOCK:
            self._past.append(self._least)
            self._least, self._frames = inf, 0
            self._listen()
        return heard

    def _listen(self) -> None:
        """Set the limits by the noise of the blocks so far."""
        past = self._past
        long = min(past) if len(past) == self._LONG else 0.0
        late = min(past[i] for i in range(max(len(past) - self._LATE, 0), len(past)))
        self._loud = max(self._threshold, self._ABOVE * long)
        self._soft = max(self._threshold / self._BELOW, self._ABOVE * late)


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

    def sound(self) -> Sound:
        return Sound(self._end - self._begin, _db(self._power / self._count)) if self._count else Sound()


class _Frames:
    """Pieces of any size in, the power of each 20 ms out."""

    __slots__ = ("_before", "_done", "_pick", "_rate", "_rest", "_size")

    def __init__(self) -> None:
        self._before = 0.0
        """Seconds received at other rates, before the one of now."""
        self._done = 0
        """Samples at this rate that were judged or dropped."""
        self._rest = bytearray()
        """What came after them: less than a frame between two pieces, with half a sample perhaps."""
        self._tune(wire.INPUT_RATE)

    def _tune(self, rate: int) -> None:
        self._rate = rate
        self._size = _size(rate)
        self._pick = _pick(rate)

    @property
    def offset(self) -> float:
        return self._before + (self._done + len(self._rest) // 2) / self._rate

    def count(self, ms: int) -> int:
        """Frames that last so long together."""
        return -(-ms * self._rate // (1000 * self._size))

    def drop(self) -> None:
        """Begin a frame with the next piece; what waits for one to fill is only counted."""
        self._done += len(self._rest) // 2
        self._rest.clear()

    def cut(self, pcm: bytes, rate: int) -> list[tuple[float, float, float]]:
        """Each frame that is full now: its power in squared steps, where it begins and ends in seconds."""
        rate = max(rate, 1)
        if rate != self._rate:
            self._before = self.offset
            self._done = 0
            self._rest.clear()
            self._tune(rate)
        rest = self._rest
        rest += pcm
        size = self._size
        full = len(rest) // (2 * size)
        if not full:
            return []
        frames = []
        for at in range(0, full * 2 * size, 2 * size):
            picked = self._pick.unpack_from(rest, at)
            count, total, length = len(picked), sum(picked), hypot(*picked)
            # hypot because it is the fastest sum of squares there is; squared and rounded it is that whole number
            # again. The variance is the power without DC.
            power = (count * int(length * length + 0.5) - total * total) / (count * count)
            begin = self._done
            self._done += size
            frames.append((power, self._before + begin / rate, self._before + self._done / rate))
        del rest[: full * 2 * size]
        return frames


def _size(rate: int) -> int:
    """Samples in a frame: 20 ms, rounded up where a rate has no whole number of them."""
    return -(-rate // 50)


@lru_cache(maxsize=16)
def _pick(rate: int) -> Struct:
    """Reads about a hundred samples of a frame: one in `step` of its first half, one in `step + 1` of its second.

    A hundred give the power to a decibel at a third of the time, but every third sample of a tone at a third of the
    rate is the same number, and looks like DC. The steps have no common factor, so no tone looks like DC, or crosses
    zero at each sample, in both halves (except at half the rate, where all its samples do): with one mean for both,
    a tone loses 4 dB at most. Little-endian on every machine.
    """
    size, step = _size(rate), max(1, rate // 5000)
    places = [*range(0, size // 2, step), *range(size // 2, size, step + 1), size]
    return Struct("<" + "".join(f"h{2 * (after - at - 1)}x" for at, after in pairwise(places)))


def _db(power: float) -> float:
    return max(10 * log10(power / (_FULL * _FULL)), SILENCE_DB) if power > 0 else SILENCE_DB
