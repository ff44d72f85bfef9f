"""Checks the audio of a client as a stream: whether its samples are what they should be, how loud, and how fast they come.

- Pure: the time of a message is the caller's, and None where there is none. Each finding is made once a session.
- Sound that could be meant so is left in peace: noise, music, tones, quiet speech, a microphone that is off. A finding needs
  another reading of the same bytes that makes far more sense.
- Cheap: of most chunks only the length is looked at. Samples are compared in a few short windows, rarer and rarer.
- What one chunk shows by itself (a file, half a sample) is found by the core.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from functools import cache
from math import dist, hypot, inf
from struct import unpack

from livews.advice.input_format import is_plain
from livews.audio.analysis.heard_rate import WINDOW, HeardRate
from livews.audio.analysis.levels import FIRST_SOUND_DB, peak_db
from livews.audio.analysis.pcm import SAMPLE_BYTES, rate_of, samples_of
from livews.core.codec import INPUT_RATE
from livews.core.conversation import Step
from livews.core.rules import Finding, finding

_WINDOW = 4_000
"""Bytes of sound that are compared: an eighth of a second at 16 kHz."""
_FIRST = 6
"""Windows of sound that are compared one after the other; between later ones the time doubles."""
_LEAST = 200.0
"""RMS of a window in steps of a sample from which it is compared; below, rounding is most of it."""
_LOUD = 1_500.0
"""RMS that samples of one byte have when they are read as 16 bits, at least."""
_OFFSETS = 6
"""Windows, all those from the start, that do not lie around 0 where the audio has an offset; noise wanders for a moment."""
_SMOOTH = 0.8
"""Correlation of neighbouring samples from which a reading of the bytes makes sense."""
_BETTER = 0.35
"""How much more correlated another reading has to be."""
_VALUES = 16
"""How many different values a window of floats has at least: square waves look like floats, and have few."""
_ALIKE = 24
"""How far a byte is from the one before on average, at most, where a sample is a byte; unrelated bytes are 64 apart."""
_CLIPPED = 0.05
"""Share of samples in runs at full scale from which sound is clipped: a full-scale tone has none."""
_OFFSET = 4_000
"""Mean of a window from which samples do not lie around zero."""
_SILENT, _ZEROS = 30.0, 5.0
"""Seconds of silence from the start of the audio, after which it is mentioned; and of zeros, which no open microphone gives,
while nothing is asked otherwise."""
_SILENT_TURN, _SILENT_SESSION = 0.3, 5.0
"""Seconds of audio from which silence is mentioned where the user's turn ends, and where the session does."""
_TRUSTED = 8
"""Windows one after the other without another reading, after which samples are trusted that had one."""
_PACE = 1.5
"""Seconds in which the pace is measured; two measurements in a row have to agree."""
_PAUSE = 0.5
"""Seconds without audio that are a pause, and no slow stream."""
_AHEAD = 5.0
"""Seconds of audio that may be sent ahead of real time."""
_SHORT, _MANY = 0.005, 200
"""Seconds below which a chunk is short, and how many of them are mentioned: 375 a second were accepted."""
_HIGHEST = 24_000
"""Hz up to which a stated rate may be too low for the voice."""
_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
ENCODING = "encoding: "
"""What the kind of a complaint begins with when the samples are of another encoding: nothing of them is heard."""
_PATH = "/realtimeInput/audio/data"


class InputAudioCheck:
    """Follows the audio of the client in one session."""

    def __init__(self) -> None:
        self._stated: set[str] = set()
        self._seconds = 0.0
        """Of audio that came so far."""
        self._first: float | None = None
        """When the first audio came."""
        self._window = bytearray()
        self._windows = 0
        """How many were compared."""
        self._offsets = 0
        """How many of them did not lie around 0, if all did not."""
        self._next = 0.0
        """Seconds of audio from which the next window is taken."""
        self._mime_type = ""
        self._bytes_a_second = SAMPLE_BYTES * INPUT_RATE
        self._is_heard = False
        """Something was audible in this turn."""
        self._turn_at = 0.0
        """Seconds of audio at which the turn began."""
        self._ever_heard = False
        self._only_zeros = True
        self._short = 0
        """Short chunks one after the other."""
        self._rate_heard: HeardRate | None = None
        """Listens to the start of the stream; None before it and after."""
        self._unheard = bytearray()
        """What it has not listened to yet."""
        self._is_asked = False
        """A turn was asked for without audio, or came."""
        self._pace = _Pace()
        self._distrusted = 0
        """Windows that have to make sense before the samples are trusted again."""

    @property
    def is_sound(self) -> bool:
        """Whether the samples are s16le, as far as it is known."""
        return not self._distrusted

    def take(self, step: Step, t: float | None = None, *, elided: bool = False) -> None:
        """Add what is new about the audio of a message, or of a close, to its findings.

        Args:
            step: the message of either side.
            t: its time in seconds; None if it is not known.
            elided: its audio was left out of the trace, so that only its length counts.
        """
        if step.sender == "server":
            self._is_asked = self._is_asked or "modelTurn" in step.signals or "endTurn" in step.effects
            if "endTurn" in step.effects:
                self._new_turn()
            if "close" not in step.signals:
                return
        if step.template is None:
            self._is_asked = self._is_asked or "prompt" in step.signals
            if step.audio and any(about.rule == "AUDIO-7" for about in step.findings):
                self._stated.add("pace")  # it is no PCM, and has no rate
        found = []
        for kind, about in self._findings(step, t, elided):
            if self._is_new(kind.split(":")[0]):
                found.append(about)
        if found:
            step.judgement = (*step.findings, *found)

    def take_alone(self, audio: tuple[tuple[str, bytes], ...]) -> list[Finding]:
        """The findings about the audio of a message without a session. A long chunk is looked at by itself, short ones as one
        stream."""
        check = InputAudioCheck() if any(len(pcm) >= _WINDOW for _, pcm in audio) else self
        found = check._findings(Step("client", "", b"", audio=audio), None, False)
        return [about for kind, about in found if self._is_new(kind)][:1]

    def _is_new(self, kind: str) -> bool:
        """Whether this was not stated before; it is from now on."""
        is_new = kind not in self._stated
        self._stated.add(kind)
        return is_new

    def _findings(self, step: Step, t: float | None, elided: bool) -> Iterator[tuple[str, Finding]]:
        for mime_type, pcm in step.audio:
            if mime_type != self._mime_type:
                self._begin_stream(mime_type)
            seconds = len(pcm) / self._bytes_a_second
            self._seconds += seconds
            if words := self._size_words(seconds):
                yield "size", self._found("AUDIO-12", *words)
            if t is not None:
                self._first = t if self._first is None else self._first
                if words := self._pace.take(t, seconds, self._bytes_a_second // SAMPLE_BYTES):
                    yield "pace", self._found("AUDIO-12", *words)
            if not self._is_heard:
                self._is_heard = elided or peak_db(pcm) >= FIRST_SOUND_DB
                self._ever_heard = self._ever_heard or self._is_heard
                self._only_zeros = self._only_zeros and not (elided or any(pcm))
            if self._is_heard and self._seconds >= self._next and not elided:
                yield from self._look(mime_type, pcm, t)
            if self._rate_heard is not None and self._ever_heard and not elided:
                yield from self._listen(pcm)
        if step.template is None:
            yield from self._silence(step)
        limit = _ZEROS if self._only_zeros and not self._is_asked else _SILENT
        if not self._ever_heard and self._seconds > limit:
            what = "zeros, as of a muted microphone," if self._only_zeros else "silence"
            yield "silence", self._found("AUDIO-11", f"nothing but {what} in the first {limit:.0f} s of audio")

    def _size_words(self, seconds: float) -> tuple[str, str] | None:
        """The words and the fix for a chunk that is far too long, or the last of many that are far too short."""
        self._short = self._short + 1 if seconds < _SHORT else 0
        fix = "Send chunks of 20 to 100 ms, each as soon as it is recorded."
        if seconds > _AHEAD:
            return f"{seconds:.1f} s of audio in one message: what is said is heard only when all of it has come", fix
        if self._short == _MANY:
            return (
                f"{_MANY} chunks of less than {1000 * _SHORT:.0f} ms: the messages are many times longer than the audio",
                fix,
            )
        return None

    def _listen(self, pcm: bytes) -> Iterator[tuple[str, Finding]]:
        """Whether the voice fits the rate that is stated."""
        assert self._rate_heard is not None
        self._unheard += pcm
        while len(self._unheard) >= WINDOW and self._rate_heard is not None:
            words = self._rate_heard.take(bytes(self._unheard[:WINDOW]))
            del self._unheard[:WINDOW]
            yield from self._deep(words)

    def _deep(self, words: str) -> Iterator[tuple[str, Finding]]:
        """What is said of the rate by ear, if it is; and no more of it when enough was heard, or its cause is known."""
        if words and "pace" not in self._stated:
            fix = "State the rate that the samples have in the mime type, as in rate=48000, or resample them to 16,000 Hz."
            yield "pace", self._found("AUDIO-12", words, fix)
        if self._rate_heard is not None and (self._rate_heard.is_done or "pace" in self._stated):
            self._rate_heard = None
            self._unheard.clear()

    def _begin_stream(self, mime_type: str) -> None:
        self._mime_type, self._pace = mime_type, _Pace()
        rate = rate_of(mime_type, "client")
        self._bytes_a_second = SAMPLE_BYTES * rate
        self._window.clear()
        self._rate_heard = HeardRate(rate) if rate <= _HIGHEST else None
        self._unheard.clear()

    def _look(self, mime_type: str, pcm: bytes, t: float | None) -> Iterator[tuple[str, Finding]]:
        """Compare a window of samples, once it is full; several of a long chunk."""
        if not mime_type.startswith("audio/pcm") or not is_plain(pcm):
            return  # the core has said what it is
        self._window += pcm
        if len(self._window) < _WINDOW:
            return
        sound, step = bytes(self._window), max(_WINDOW, len(self._window) // _FIRST & ~1)
        self._window.clear()
        for start in range(0, len(sound) - _WINDOW + 1, step):
            yield from self._compare(sound[start : start + _WINDOW], t)
        if self._windows >= _FIRST:
            self._next = self._seconds + min(0.25 * 2.0 ** (self._windows - _FIRST), 60.0)

    def _compare(self, window: bytes, t: float | None) -> Iterator[tuple[str, Finding]]:
        kinds = set()
        for kind, rule, words, fix in complaints(window):
            if kind == "pairs" and t is not None and self._seconds < 1.5 * (t - (self._first or 0.0)):
                continue  # it comes as fast as it plays: a lower rate was doubled by repeating each sample
            kinds.add(kind)
            if kind != "offset" or self._offsets + 1 >= _OFFSETS:
                yield kind, self._found(rule, words, fix)
        self._offsets = self._offsets + 1 if "offset" in kinds and self._offsets == self._windows else 0
        if {"pairs", "channels"} & kinds or any(kind.startswith(ENCODING) for kind in kinds):
            self._stated.add("pace")  # its cause is known
        is_loud = bool(kinds) or power(samples_of(window))[0] >= _LEAST
        if any(kind.startswith(ENCODING) for kind in kinds):
            self._distrusted = _TRUSTED
        elif is_loud and self._distrusted:
            self._distrusted -= 1
        self._windows += is_loud

    def _silence(self, step: Step) -> Iterator[tuple[str, Finding]]:
        """At the end of what the user says, or of the session: whether anything was audible."""
        heard = {"activityEnd": self._is_heard, "audioStreamEnd": self._ever_heard, "close": self._ever_heard}
        ends = [name for name in heard if name in step.signals]
        seconds = self._seconds - (self._turn_at if "activityEnd" in ends else 0.0)
        if ends and not heard[ends[0]] and seconds >= (_SILENT_SESSION if "close" in ends else _SILENT_TURN):
            yield "silence", self._found("AUDIO-11", f"nothing but silence in {seconds:.1f} s of audio")
        if ends and self._rate_heard is not None:
            yield from self._deep(self._rate_heard.result())
        if ends or "activityStart" in step.signals:
            self._new_turn()

    def _new_turn(self) -> None:
        self._is_heard, self._turn_at = False, self._seconds

    def _found(self, rule: str, words: str, fix: str = "") -> Finding:
        at = f", {self._seconds:.1f} s into the audio" if rule != "AUDIO-11" else ""
        return finding(rule, _PATH, f"{words}{at} at {_PATH}", level="note", fix=fix)


class _Pace:
    """How fast audio comes, against how fast it plays."""

    def __init__(self) -> None:
        self._last = self._began = self._due = self._since = -inf
        """When the last chunk came, and this measurement began and will be over; the first chunk after the last pause."""
        self._audio = self._all = 0.0
        """Seconds of audio in this measurement, and since the last pause."""
        self._gap = self._before = 0.0
        """The longest time between two chunks of it; and what was measured before, as seconds of audio a second."""
        self._chunks = 0

    def take(self, t: float, seconds: float, rate: int) -> tuple[str, str] | None:
        """A chunk of so many seconds came at `t`; the words and the fix, if audio comes too fast or too slowly."""
        gap, self._last = t - self._last, t
        if gap > _PAUSE and gap > 3 * seconds:
            self._since, self._all, self._before = t, 0.0, 0.0
            self._measure_from(t)
        elif gap > self._gap:
            self._gap = gap
        result = None
        if t >= self._due and gap:
            passed = t - self._began
            pace, before, self._before = self._audio / passed, self._before, self._audio / passed
            is_even = self._gap * self._chunks <= 3 * passed
            self._measure_from(t)
            if abs(pace - before) < 0.1 * pace and (pace > 1.25 or (pace < 0.8 and is_even)):
                result = _pace_words(pace, passed, rate)
        elif self._all > _AHEAD and self._all - (t - self._since) > _AHEAD and t - self._since < _PACE:
            result = f"{self._all:.0f} s of audio came in {t - self._since:.1f} s", ""
        self._audio += seconds
        self._all += seconds
        self._chunks += 1
        return result

    def _measure_from(self, t: float) -> None:
        self._began, self._due, self._audio, self._gap, self._chunks = t, t + _PACE, 0.0, 0.0, 0


def _pace_words(pace: float, passed: float, rate: int) -> tuple[str, str]:
    words = f"{pace * passed:.1f} s of audio came in {passed:.1f} s"
    true = min(_RATES, key=lambda known: abs(known - rate * pace))
    if abs(true - rate * pace) > 0.08 * true:
        return words, ""
    words += f": the samples seem to have {true:,} Hz, and {rate:,} is stated"
    also = " Or they are two channels: mix these down to one." if abs(pace - 2) < 0.15 else ""
    return words, f"State rate={true} if that is the rate of the samples, or resample them.{also}"


def complaints(window: bytes) -> Iterator[tuple[str, str, str, str]]:
    """What is wrong with the samples of a window: kind, rule, words and fix.

    Args:
        window: bytes that should be s16le, of sound and not of silence.
    """
    samples = samples_of(window)
    rms, mean = power(samples)
    if rms < _LEAST and abs(mean) < _OFFSET:
        return
    samples, window = samples[: len(samples) & ~1], window[: len(window) & ~3]
    close = correlation(samples, 1)
    if other := _other_reading(window, close, rms):
        yield (f"{ENCODING}{other[0]}", "AUDIO-10", *other)
    elif channels := _channels(samples, close):
        yield channels
    elif abs(mean) > max(_OFFSET, rms):
        yield "offset", "AUDIO-11", f"the samples lie around {mean:,.0f} and not around 0", ""
    elif _in_runs_at_full_scale(samples) > _CLIPPED * len(samples):
        yield (
            "clipping",
            "AUDIO-11",
            "the audio is clipped: samples stay at full scale",
            "Lower the gain of the microphone.",
        )


def power(samples: Sequence[int]) -> tuple[float, float]:
    """RMS without the DC part, and the mean, of samples."""
    count = len(samples) or 1
    mean = sum(samples) / count
    return max(hypot(*samples) ** 2 / count - mean * mean, 0.0) ** 0.5, mean


def correlation(samples: Sequence[int], lag: int) -> float:
    """How much each sample is like the one `lag` before it, from -1 to 1; 0 for a constant."""
    count, rms = len(samples) - lag, power(samples)[0]
    if count < 1 or not rms:
        return 0.0
    return 1 - dist(samples[lag:], samples[:count]) ** 2 / (2 * count * rms * rms)


def _other_reading(window: bytes, close: float, rms: float) -> tuple[str, str] | None:
    """Words and fix, if the bytes make sense in another encoding only."""
    for size, code in ((4, "<f"), (4, ">f"), (8, "<d")) if close < 0.5 else ():
        count = len(window) // size
        values = unpack(f"{code[0]}{count}{code[1]}", window[: count * size])
        loud = [abs(value) for value in values if 1e-9 < abs(value) < 70_000]
        if len(loud) > count // 2 and len(loud) + values.count(0.0) > 0.98 * count and len({*values}) > _VALUES:
            scaled = "int(32767 * x)" if max(loud) <= 8 else "int(x)"
            return f"the samples are floats of {8 * size} bits", f"Convert each to 16 bits, as with {scaled}."
    if rms > _LOUD and _is_of_bytes(window):
        readings, least = _byte_readings(window), _SMOOTH
    elif close < 1 - _BETTER:
        readings, least = _readings(window), max(_SMOOTH, close + _BETTER)
    else:
        return None
    best, name = max((correlation(reading, 1), name) for name, reading in readings)
    if best < least:
        return None
    return f"the bytes make sense as {name}, and not as 16-bit little-endian samples", _FIXES[name]


_FIXES = {
    "16-bit big-endian samples": "Swap the two bytes of each sample.",
    "16-bit samples that are shifted by one byte": "Cut the audio at an even number of bytes: one was lost or added before.",
    "8-bit unsigned samples": "Convert each byte to 16 bits: (x - 128) * 256.",
    "8-bit signed samples": "Convert each byte to 16 bits: x * 256.",
    "mu-law": "Decode it to 16-bit PCM first: one byte becomes one sample of two bytes.",
    "A-law": "Decode it to 16-bit PCM first: one byte becomes one sample of two bytes.",
    "24-bit samples": "Convert each to 16 bits: leave out its first byte.",
    "32-bit samples": "Convert each to 16 bits: leave out its first two bytes.",
}


def _is_of_bytes(window: bytes) -> bool:
    """Whether each byte is close to the one before, as where a sample is a byte; the low byte of a 16-bit sample is close
    to nothing."""
    pairs = zip(window[0:1000:2], window[1:1000:2], strict=False)
    apart = sum(min((a - b) & 255, (b - a) & 255) for a, b in pairs) / 500
    return apart < _ALIKE and len({*window}) > _VALUES


def _byte_readings(window: bytes) -> Iterator[tuple[str, Sequence[int]]]:
    if all(64 <= byte < 192 for byte in window):  # of 16-bit samples, all would be louder than half of full scale
        return iter([("8-bit unsigned samples", range(100))])
    half = window[: len(window) // 2]
    logarithmic = ((name, [table[byte] for byte in half]) for name, table in _logarithmic().items())
    return iter([("8-bit unsigned samples", half), ("8-bit signed samples", array("b", half)), *logarithmic])


def _readings(window: bytes) -> Iterator[tuple[str, Sequence[int]]]:
    swapped = samples_of(window)
    swapped.byteswap()
    yield "16-bit big-endian samples", swapped
    yield "16-bit samples that are shifted by one byte", samples_of(window[1:-1])
    yield from _byte_readings(window)
    signed = array("b", window)
    for first in range(3):
        yield "24-bit samples", signed[first::3]
    pairs = samples_of(window)
    for first in range(2):
        if any(pairs[1 - first :: 2]) and abs(correlation(pairs[1 - first :: 2], 1)) < 0.3:
            yield "32-bit samples", pairs[first::2]


@cache
def _logarithmic() -> dict[str, list[int]]:
    """mu-law and A-law (ITU-T G.711): the sample of each byte."""
    mu_law, a_law = [], []
    for byte in range(256):
        code = ~byte & 0xFF
        size = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
        mu_law.append(-size if code & 128 else size)
        code = byte ^ 0x55
        exponent, size = code >> 4 & 7, ((code & 15) << 4) + 8
        size = size if not exponent else size + 256 << exponent - 1
        a_law.append(size if code & 128 else -size)
    return {"mu-law": mu_law, "A-law": a_law}


def _channels(samples: array[int], close: float) -> tuple[str, str, str, str] | None:
    """The complaint, if every second sample belongs to another channel, or is the one before again."""
    left, right = samples[::2], samples[1::2]
    apart = zip(left[:300], right, left[1:], strict=False)
    is_pairs = sum(abs(b - after) > 4 * abs(a - b) for a, b, after in apart) > 0.6 * min(300, len(left))
    soft, loud = sorted((power(left)[0], power(right)[0]))
    is_two = loud > 1.3 * soft or (abs(close) < 0.6 and correlation(samples, 2) > 0.85)
    if not (is_pairs or is_two) or max(correlation(left, 1), correlation(right, 1)) < 0.5:
        return None
    fix = "Mix the channels down to one, and send each sample once."
    if is_pairs:
        return "pairs", "AUDIO-10", "each sample comes twice, as if the audio had two channels", fix
    words = (
        "two channels are interleaved" if soft else "every second sample is 0, as of two channels or 32-bit samples"
    )
    return "channels", "AUDIO-10", words, fix


def _in_runs_at_full_scale(samples: array[int]) -> int:
    if max(samples) < 32_767 and min(samples) > -32_767:
        return 0
    return sum(
        1 for a, b, c in zip(samples, samples[1:], samples[2:], strict=False) if a == b == c and abs(a) >= 32_767
    )
