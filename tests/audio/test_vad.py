"""The stand-in's detector: what is speech and what is not, to the frame, however the audio is cut up."""

import random
from array import array
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from math import cos, log10, pi, sin
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livews.audio.analysis.levels import FLOOR_DB, loudness
from livews.audio.analysis.vad import SILENCE_DB, SpeechLevel, SpeechMark, VoiceActivityDetector
from livews.server import synth

RATES = (8000, 11025, 16000, 22050, 24000, 44100, 48000)
FRAME = 0.0201
"""Seconds of an analysis frame, at the longest."""
LONG = hypothesis.settings(max_examples=40, deadline=None)
Samples = list[float]


def amplitude(db: float) -> float:
    """The RMS of this many dBFS."""
    return 32768 * 10.0 ** (db / 20)


def silence(seconds: float, rate: int = 16000) -> Samples:
    return [0.0] * round(seconds * rate)


def tone(seconds: float, db: float, frequency: float = 440.0, rate: int = 16000, phase: float = 0.0) -> Samples:
    """A sine with an RMS of `db`."""
    peak, turn = amplitude(db) * 2**0.5, 2 * pi * frequency / rate
    return [peak * sin(turn * n + phase) for n in range(round(seconds * rate))]


def noise(seconds: float, db: float, rate: int = 16000, seed: int = 1) -> Samples:
    """White noise with an RMS of `db`."""
    gauss, width = random.Random(seed).gauss, amplitude(db)
    return [gauss(0.0, width) for _ in range(round(seconds * rate))]


def speech(seconds: float, peak_db: float, rate: int = 16000) -> Samples:
    """Four syllables a second that peak at `peak_db`: a buzz of 120 Hz, a hiss before it and 60 ms of nothing."""
    peak, hiss, out = amplitude(peak_db), random.Random(7).uniform, []
    buzz = [sum(cos(2 * pi * 120 * k * n / rate) / k for k in range(1, 12)) / 3.1 for n in range(-(-rate // 120))]
    for n in range(round(seconds * rate)):
        at = n / rate % 0.25
        voiced = peak * sin(pi * (at + 0.02) / 0.19) * buzz[n % len(buzz)]
        out.append(voiced if at < 0.15 else 0.0 if at < 0.21 else 0.2 * peak * hiss(-1, 1))
    return out


def over(*sounds: Samples) -> Samples:
    """Sounds at the same time; the shorter ones end in silence."""
    longest = max(map(len, sounds))
    return [sum(values) for values in zip(*(s + [0.0] * (longest - len(s)) for s in sounds), strict=True)]


def pcm(*sounds: Samples) -> bytes:
    """Sounds one after another, as s16le."""
    return array("h", (min(max(round(value), -32768), 32767) for sound in sounds for value in sound)).tobytes()


def kinds(marks: Iterable[SpeechMark]) -> str:
    return " ".join(mark.kind for mark in marks)


def service(**options: Any) -> VoiceActivityDetector:
    """A detector as the models' profiles set it, unless `options` say otherwise."""
    return VoiceActivityDetector(**{"start_ms": 160, "silence_ms": 800} | options)


def meter_of_speech() -> VoiceActivityDetector:
    """A detector that measures speech whose start and end others mark: it starts with a loud frame and never ends."""
    return service(start_ms=0, silence_ms=10**9)


def hear(audio: bytes, rate: int = 16000, **options: Any) -> list[SpeechMark]:
    return service(**options).push(audio, rate)


# what is speech


@pytest.mark.parametrize("rate", RATES)
def test_a_phrase_is_one_activity(rate: int) -> None:
    audio = pcm(silence(0.5, rate), speech(2.0, -12, rate), silence(1.0, rate))
    start, end = hear(audio, rate)
    assert (start.kind, end.kind) == ("start", "end")
    # the first frame may be loud for a part only; 60 ms of each syllable are no sound and cost as much again
    assert 0.5 + 0.16 - FRAME <= start.offset <= 0.5 + 0.16 + 2 * 0.06 + FRAME
    assert 2.5 + 0.8 <= end.offset <= 2.5 + 0.8 + FRAME


@pytest.mark.parametrize("peak", [-30, -20, -3])
def test_soft_and_loud_speech_are_heard(peak: int) -> None:
    room = noise(5.0, -60)
    start, end = hear(pcm(over(room, silence(1.0) + speech(2.0, peak))))
    assert (start.kind, end.kind) == ("start", "end")
    assert start.offset < 1.5
    assert 3.8 - 0.06 <= end.offset <= 3.8 + 2 * FRAME


@pytest.mark.parametrize("text", ["Hello.", "What time is it?", "Six thick thistle sticks, set apart; and no more!"])
def test_the_stand_ins_own_voice_is_speech(text: str) -> None:
    said = synth.render(text).rstrip(b"\0")
    said += b"\0" * (len(said) % 2)
    gap = bytes(2 * synth.RATE)
    detector = service()
    marks = detector.push(gap + said + gap + said + gap, synth.RATE)
    assert kinds(marks) == "start end start end"
    assert detector.speech.seconds == pytest.approx(len(said) / 2 / synth.RATE, abs=0.05)


def test_speech_in_noise_and_noise_alone() -> None:
    room = noise(9.0, -45)
    words = silence(7.5) + speech(1.0, -12)
    # a fan over the threshold is speech for as long as it may be news, and the room after five seconds
    detector = service()
    marks = detector.push(pcm(over(room, words), noise(1.5, -45, seed=2)), 16000)
    assert kinds(marks) == "start end start end"
    assert 5.0 < marks[1].offset < 7.0
    assert 7.5 < marks[2].offset < 8.0
    assert 8.5 + 0.7 < marks[3].offset < 9.5


def clicks(each: float, every: float, count: int) -> Samples:
    return [value for i in range(count) for value in noise(each, -10, seed=i) + silence(every - each)]


def drone(seconds: float) -> Samples:
    return over(tone(seconds, -52, 50.0), tone(seconds, -58, 100.0), tone(seconds, -62, 150.0))


QUIET_ROOM = noise(1.0, -70)
SOUNDS: dict[str, tuple[Callable[[], Samples], str]] = {
    "digital silence": (lambda: silence(5.0), ""),
    "a quiet room": (lambda: noise(10.0, -55), ""),
    "a microphone with DC": (lambda: silence(0.5) + [800.0] * 48000, ""),
    "a room with DC": (lambda: [value - 5000 for value in noise(5.0, -55)], ""),
    "mains hum": (lambda: drone(8.0), ""),
    "hum that is switched on": (lambda: silence(3.0) + drone(5.0), ""),
    "noise just below the threshold": (lambda: noise(8.0, -51), ""),
    "a click": (lambda: silence(0.51) + clicks(0.02, 1.0, 1), ""),
    "clicks where they straddle frames": (lambda: (silence(0.991) + clicks(0.02, 0.1, 1)) * 20, ""),
    "typing, eight keys a second": (lambda: clicks(0.04, 0.125, 40), ""),
    "a click in a room not known yet": (lambda: over(noise(3.0, -53), silence(0.1) + clicks(0.02, 1.0, 1)), ""),
    "a click as the microphone comes on": (lambda: silence(4.0) + clicks(0.02, 0.02, 1) + noise(4.0, -53), ""),
    "110 ms": (lambda: silence(0.5) + tone(0.11, -10) + silence(0.5), ""),
    "soft sound too far below the threshold": (lambda: QUIET_ROOM + tone(0.1, -30) + tone(0.1, -59), ""),
    "more soft frames than loud ones": (lambda: QUIET_ROOM + tone(0.06, -30) + tone(1.0, -53), ""),
    "soft sound helps loud sound to a start": (lambda: QUIET_ROOM + tone(0.1, -30) + tone(0.1, -53), "start"),
    "a long speech is not the room": (lambda: speech(20.0, -12) + silence(1.0), "start end"),
    "after an end everything begins anew": (
        lambda: tone(0.5, -20) + silence(0.8) + tone(0.04, -20) + silence(1.0),
        "start end",
    ),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_what_is_speech_and_what_is_not(name: str) -> None:
    sound, expected = SOUNDS[name]
    detector = service()
    assert kinds(detector.push(pcm(sound()), 16000)) == expected
    assert detector.talking == (expected == "start")
    if not expected:
        assert detector.speech == SpeechLevel(0.0, SILENCE_DB)


@pytest.mark.parametrize("hum", [-51, -54, -57])
@pytest.mark.parametrize("before", [0.0, 3.0])
def test_noise_between_the_thresholds_does_not_hold_an_activity_open(hum: int, before: float) -> None:
    # known before the speech or not: a microphone that is switched on with the first word
    room = silence(4.0) + noise(before + 6.0, hum)
    marks = hear(pcm(over(room, silence(4.0 + before) + speech(2.0, -12))))
    assert kinds(marks) == "start end"
    assert marks[1].offset < 4.0 + before + 2.0 + 0.8 + 1.0


def test_a_dip_delays_a_start_and_does_not_undo_it() -> None:
    start, *_ = hear(pcm(silence(0.5), tone(0.1, -20), silence(0.04), tone(0.3, -20), silence(0.2)))
    # 160 ms, the dip, and one frame back for each of the two quiet ones
    assert start.offset == pytest.approx(0.5 + 0.16 + 2 * 0.04, abs=0.021)


@pytest.mark.parametrize("rate", RATES)
def test_no_tone_hides_between_the_samples_that_are_looked_at(rate: int) -> None:
    # 4 dB is what the detector may lose; the whole of each frame of 20 ms is heard at each phase
    awkward = {rate * k / n for n in range(2, 26) for k in range(1, n) if 50 < rate * k / n < rate * 0.49}
    plain = {50 + (rate * 0.49 - 50) * i / 40 for i in range(41)}
    for frequency in sorted(awkward | plain):
        for phase in (0.0, pi / 4, pi / 2):
            audio = pcm(tone(0.0201, -43.8, frequency, rate, phase))
            assert kinds(hear(audio, rate, start_ms=0)) == "start", f"{frequency} Hz at {rate}, phase {phase}"
            assert kinds(hear(pcm(tone(0.0201, -51.8, frequency, rate, phase)), rate, start_ms=0)) == ""


# to the frame


@LONG
@given(rate=st.sampled_from((8000, 11025, 16000, 48000)), ms=st.integers(0, 1200), dip=st.floats(-0.2, 0.2))
def test_no_shorter_silence_is_an_end_and_every_longer_one_is(rate: int, ms: int, dip: float) -> None:
    quiet = max(ms / 1000 + dip, 0.001)
    phrase = tone(0.2, -20, rate=rate)
    marks = hear(pcm(phrase, silence(quiet, rate), phrase), rate, start_ms=0, silence_ms=ms)
    if quiet < ms / 1000 - 0.001:
        assert kinds(marks) == "start"
    if quiet >= max(ms / 1000, 0.02) + 2 * FRAME:
        assert kinds(marks) == "start end start"
        assert max(ms / 1000, 0.02) - 0.001 <= marks[1].offset - 0.2 <= max(ms / 1000, 0.02) + 2 * FRAME


@LONG
@given(rate=st.sampled_from((8000, 11025, 16000, 48000)), ms=st.integers(0, 600), lead=st.floats(0.0, 0.1))
def test_a_start_takes_as_much_speech_as_was_asked_for(rate: int, ms: int, lead: float) -> None:
    start, *_ = hear(pcm(silence(lead, rate), tone(1.0, -20, rate=rate)), rate, start_ms=ms)
    assert ms / 1000 - FRAME <= start.offset - lead <= ms / 1000 + 2 * FRAME


def test_zero_is_one_frame() -> None:
    marks = hear(pcm(silence(0.1), tone(0.02, -20), silence(0.1)), start_ms=0, silence_ms=0)
    assert marks == [SpeechMark("start", 0.12), SpeechMark("end", 0.14)]


# pieces


@cache
def scene(rate: int) -> bytes:
    """Three phrases, a click and a room: 6 seconds with something at each edge."""
    room = noise(6.0, -58, rate)
    said = silence(0.313, rate) + speech(1.1, -12, rate) + silence(0.4, rate) + speech(0.5, -20, rate)
    said += silence(1.1, rate) + noise(0.02, -10, rate) + silence(0.3, rate) + speech(0.777, -25, rate)
    return pcm(over(room, said))


@LONG
@given(
    rate=st.sampled_from((8000, 11025, 16000, 24000)),
    sizes=st.lists(st.one_of(st.sampled_from((0, 1, 84, 640)), st.integers(0, 9000)), min_size=1, max_size=40),
    stop=st.integers(1, 120_000),
)
def test_the_pieces_do_not_matter(rate: int, sizes: list[int], stop: int) -> None:
    audio = scene(rate)
    before, after = audio[: stop & ~1], audio[stop & ~1 :]

    def listen(cut: Callable[[bytes], Iterable[bytes]]) -> tuple[Any, ...]:
        detector, meter = service(), meter_of_speech()
        marks = []
        for half in (before, after):
            for piece in cut(half):
                marks += detector.push(piece, rate)
                meter.push(piece, rate)
            marks += detector.flush()
        return marks, detector.offset, detector.talking, detector.speech, meter.speech

    def pieces(half: bytes) -> Iterable[bytes]:
        at = 0
        while at < len(half):
            for size in [*sizes, 641]:
                yield half[at : at + size]
                at += size

    whole = listen(lambda half: [half])
    assert listen(pieces) == whole
    assert len(whole[0]) >= 4


def test_marks_come_when_their_audio_is_in() -> None:
    detector = service()
    for at in range(0, len(scene(16000)), 640):
        for mark in detector.push(scene(16000)[at : at + 640], 16000):
            assert mark.offset == detector.offset
            assert detector.talking == (mark.kind == "start")


def test_half_a_sample_and_nothing_at_all() -> None:
    detector = service()
    assert detector.push(b"", 16000) == []
    assert detector.push(b"\x01", 16000) == []
    assert detector.offset == 0.0
    assert detector.push(b"\x00\x01", 16000) == []
    assert detector.offset == 1 / 16000


@LONG
@given(
    st.lists(
        st.tuples(
            st.sampled_from((b"", b"\x00", b"\xff\x7f\x00\x80" * 90, bytes(5001), random.Random(3).randbytes(999))),
            st.sampled_from((-1, 0, 1, 42, 8000, 8001, 11025, 16000, 48000, 9_999_999)),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_nothing_breaks_it(pieces: list[tuple[bytes, int, bool]]) -> None:
    detector, offset = service(start_ms=0, silence_ms=0), 0.0
    meter = meter_of_speech()
    marks = []
    for data, rate, stop in pieces:
        marks += detector.push(data, rate)
        meter.push(data, rate)
        if stop:
            marks += detector.flush()
            meter.reset()
        assert detector.offset >= offset
        offset = detector.offset
        assert detector.talking == (kinds(marks).endswith("start"))
    assert all(a.kind != b.kind and a.offset <= b.offset for a, b in pairwise(marks))


def test_time_goes_on_at_another_rate() -> None:
    detector = service()
    (start,) = detector.push(pcm(tone(1.005, -20)) + b"\0", 16000)
    (end,) = detector.push(pcm(tone(1.0, -20, rate=8000), silence(1.0, 8000)), 8000)
    assert detector.offset == 3.005
    assert (start.offset, end.offset) == (0.16, pytest.approx(2.805))
    assert detector.speech.seconds == pytest.approx(2.005)


# the end of the stream


def test_the_end_of_the_stream_ends_an_activity() -> None:
    detector = service()
    assert kinds(detector.push(pcm(silence(0.5), tone(1.0, -20), silence(0.305)), 16000)) == "start"
    assert detector.flush() == [SpeechMark("end", detector.offset)] == [SpeechMark("end", 1.805)]
    assert not detector.talking
    assert detector.speech.seconds == pytest.approx(1.0, abs=0.02)
    assert detector.flush() == []


def test_speech_before_the_end_of_the_stream_is_no_part_of_what_follows() -> None:
    detector = service()
    for _ in range(5):
        assert detector.push(pcm(tone(0.1, -20)), 16000) == []
        assert detector.flush() == []
    assert detector.push(pcm(tone(0.1, -20), tone(0.1, -20)), 16000) != []
    # nor is half a frame of it: the rest of the stream is cut from its own first sample
    parted = service(start_ms=0)
    parted.push(pcm(silence(0.013)) + b"\x7f", 16000)
    parted.flush()
    assert parted.push(pcm(tone(0.02, -20)), 16000) == [SpeechMark("start", pytest.approx(0.033))]


# what was said


def test_length_and_loudness_of_what_was_said() -> None:
    detector = service()
    detector.push(pcm(silence(0.5), tone(1.0, -20), silence(0.3), tone(0.5, -20), silence(0.4)), 16000)
    assert detector.talking
    assert detector.speech == SpeechLevel(pytest.approx(1.8), pytest.approx(-20, abs=0.2))
    detector.push(pcm(silence(1.0)), 16000)
    assert not detector.talking
    assert detector.speech == SpeechLevel(pytest.approx(1.8), pytest.approx(-20, abs=0.2))
    # a click that starts nothing is not the last activity
    detector.push(pcm(tone(0.04, -3), silence(0.5)), 16000)
    assert detector.speech.seconds == pytest.approx(1.8)
    detector.push(pcm(tone(0.5, -40), silence(2.0)), 16000)
    assert detector.speech == SpeechLevel(pytest.approx(0.5), pytest.approx(-40, abs=0.2))


def test_noise_that_is_not_known_yet_is_not_taken_for_soft_speech() -> None:
    start, end = hear(pcm(tone(0.2, -20), noise(1.0, -53)))
    assert (start.offset, end.offset) == (0.16, 1.0)


def test_a_click_long_before_is_no_part_of_the_speech() -> None:
    detector = service()
    detector.push(pcm(silence(0.5), tone(0.02, -3), silence(0.5), tone(1.0, -20), silence(1.0)), 16000)
    assert detector.speech == SpeechLevel(pytest.approx(1.0), pytest.approx(-20, abs=0.2))


@pytest.mark.parametrize("rate", RATES)
def test_the_meter_tells_the_same_as_the_ear(rate: int) -> None:
    audio = pcm(over(noise(4.0, -58, rate), silence(1.0, rate) + speech(1.5, -15, rate)))
    detector, meter = service(), meter_of_speech()
    detector.push(audio, rate)
    meter.push(audio, rate)
    assert meter.speech == detector.speech
    assert meter.speech.seconds == pytest.approx(1.5, abs=0.1)


def test_the_meter_hears_what_is_too_short_for_a_start_and_forgets_it() -> None:
    meter = meter_of_speech()
    assert meter.speech == SpeechLevel()
    meter.push(pcm(silence(0.1), tone(0.06, -20), noise(1.0, -60)), 16000)
    assert meter.speech.seconds == pytest.approx(0.06)
    assert meter.speech.db == pytest.approx(-20, abs=0.2)
    meter.reset()
    assert meter.speech == SpeechLevel()
    meter.push(pcm(noise(1.0, -60)), 16000)
    assert meter.speech == SpeechLevel()
    # soft sound belongs to what was said, but does not begin it
    meter.push(pcm(noise(1.0, -70), tone(0.5, -53), tone(0.2, -30), tone(0.2, -53)), 16000)
    assert meter.speech.seconds == pytest.approx(0.4)


def test_loudness() -> None:
    def level(audio: bytes) -> float:
        return loudness(audio, SILENCE_DB)

    assert level(pcm(tone(1.0, -3.02))) == pytest.approx(-3.02, abs=0.01), "a full-scale sine"
    assert level(b"\xff\x7f\x01\x80" * 100) == pytest.approx(0.0, abs=0.01), "a full-scale square"
    assert level(pcm(noise(2.0, -40))) == pytest.approx(-40, abs=0.1)
    assert level(pcm([v + 9000 for v in tone(1.0, -40)])) == pytest.approx(-40, abs=0.01), "DC is no sound"
    assert level(bytes(999)) == level(b"") == level(b"\x01") == level(pcm([500.0] * 100)) == SILENCE_DB
    assert level(b"\x00\x01\x00\x00" * 50) == pytest.approx(20 * log10(128 / 32768), abs=0.01), "little-endian"
    assert level(b"\xff\x7f\x01\x80" * 100 + b"\x55") == level(b"\xff\x7f\x01\x80" * 100), "half a sample"
    assert level(array("h", [1] + [0] * 9999).tobytes()) == SILENCE_DB, "there is nothing below"
    assert level(array("h", [1, -1] * 320).tobytes()) == pytest.approx(-90.3, abs=0.1)
    assert loudness(bytes(1280)) == loudness(b"") == loudness(b"\1") == FLOOR_DB


# when it was, by the clock of the microphone


NONE = -200.0


def room(*parts: tuple[float, float]) -> bytes:
    """(seconds, dBFS) of a tone each; the room is never quite silent."""
    return pcm(over([v for seconds, db in parts for v in tone(seconds, db)], noise(sum(s for s, _ in parts), -70)))


def follow(detector: VoiceActivityDetector, audio: bytes, ms: int = 40, start: float = 100.0) -> list[bool]:
    """What it changes its mind to, given chunks of `ms` whose first sample was captured at `start`."""
    changes, size = [], 32 * ms
    for at in range(0, len(audio), size):
        before = detector.talking
        piece = audio[at : at + size]
        detector.push(piece, 16000, start + (at + len(piece)) / 32000)
        if detector.talking != before:
            changes.append(detector.talking)
    return changes


@pytest.mark.parametrize("ms", [20, 40, 100])
def test_talk_ends_where_its_last_loud_sample_was(ms: int) -> None:
    detector = VoiceActivityDetector()
    assert detector.ended_at is None
    changes = follow(detector, room((1.0, NONE), (0.8, -15), (0.2, NONE), (0.5, -15), (1.0, NONE)), ms)
    assert changes == [True, False], "a short pause is none"
    assert detector.began_at == pytest.approx(101.0, abs=0.021)
    assert detector.ended_at == pytest.approx(102.5, abs=0.021)


def test_the_end_is_known_before_it_is_certain() -> None:
    detector = VoiceActivityDetector()
    follow(detector, room((1.0, NONE), (0.8, -15), (0.1, NONE)))
    assert detector.talking
    assert detector.ended_at == pytest.approx(101.8, abs=0.021)


def test_times_are_those_of_the_chunks_when_some_are_missing() -> None:
    detector = VoiceActivityDetector()
    follow(detector, room((0.5, NONE)), start=10.0)
    follow(detector, room((0.4, -15), (0.6, NONE)), start=50.0)
    assert detector.began_at == pytest.approx(50.0, abs=0.021)
    assert detector.ended_at == pytest.approx(50.4, abs=0.021)
