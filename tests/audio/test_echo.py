"""Half-duplex, echo cancellation, and the detector that says when one of them is needed.

- The canceller is the real package, in a made-up room: a voice, 150 ms of reverberation, a delay. Without the
  package its tests are skipped and say why; LIVEWS_REQUIRE_SOUND=1 makes that a failure.
- Time is told, never waited for.
"""

from __future__ import annotations

import asyncio
import importlib.util
import random
import sys
from array import array
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise, zip_longest
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livews.audio import portaudio
from livews.audio.analysis.levels import loudness
from livews.audio.echo import JUST_BEFORE, REPEAT_AFTER, SOON, EchoGate, SelfInterruption
from livews.audio.echo_canceller import LEAD, EchoCanceller
from livews.audio.playback import TAP_BLOCKS, PlaybackBuffer, new_tap
from livews.audio.speaker import Speaker
from tests.audio.conftest import no_sound
from tests.kit import sound

RATE = 16000
FADE = RATE * 5 // 1000
HOLD = RATE // 5
FRAME = RATE // 100
LOUD = 12000


# The gate.


def steady(samples: int, level: int = LOUD) -> bytes:
    return array("h", [level] * samples).tobytes()


def passed(gate: EchoGate, pieces: list[tuple[bytes, bool]], jitter: Callable[[], float] = lambda: 0.0) -> array[int]:
    out, at = b"", 0
    for pcm, playing in pieces:
        clean = gate.pass_on(pcm, playing=playing, at=1000 + at / RATE + jitter())
        assert len(clean) == len(pcm)
        out += clean
        at += len(pcm) // 2
    return array("h", out)


def noise(samples: int, seed: int = 1) -> bytes:
    return sound.noise(samples / RATE, seed, 32767)


def steepest(out: array[int]) -> int:
    return max(abs(a - b) for a, b in pairwise(out))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 700), st.booleans()), min_size=1, max_size=40))
def test_silence_lasts_as_long_as_the_playing_and_the_hold_to_the_sample(steps: list[tuple[int, bool]]) -> None:
    pieces = [(noise(size, n), playing) for n, (size, playing) in enumerate(steps)]
    heard = array("h", b"".join(pcm for pcm, _ in pieces))
    out = passed(EchoGate(), pieces)
    muted, left = [], 0
    for size, playing in steps:
        left = size + HOLD if playing else left
        muted += [i < left for i in range(size)]
        left = max(0, left - size)
    since = FADE  # samples since the gate moved
    for i, (silent, before) in enumerate(zip(muted, [False, *muted], strict=False)):
        since = 0 if silent != before else since + 1
        if since >= FADE:
            assert out[i] == (0 if silent else heard[i])
        elif not silent:
            assert 0 <= out[i] / heard[i] <= 1


def test_what_the_microphone_hears_behind_the_edge_is_not_in_the_fade() -> None:
    """The fade out is made of the last sample before: not even 5 ms of the loudspeaker get through."""
    quiet = passed(EchoGate(), [(steady(320), False), (bytes(640), True)])
    loud = passed(EchoGate(), [(steady(320), False), (noise(320), True)])
    assert loud == quiet


@pytest.mark.parametrize("size", [7, 160, 320, 1000])
def test_no_edge_clicks(size: int) -> None:
    states = [False] * (2 * RATE // 10 // size) + [True] * (RATE // 2 // size) + [False] * (RATE // 2 // size)
    out = passed(EchoGate(), [(steady(size), playing) for playing in states])
    assert (min(out), out[-1]) == (0, LOUD)
    assert steepest(out) <= LOUD // FADE + 1
    assert sum(1 for sample in out if 0 < sample < LOUD) == 2 * (FADE - 1), "5 ms down, 5 ms up"


def test_it_falls_from_where_it_was_when_it_closes_while_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.audio.echo.HOLD", 0.01)
    out = passed(EchoGate(), [(steady(320), False), (steady(320), True), (steady(200), False), (steady(320), True)])
    assert 0 < out[839] < LOUD, "half open"
    assert steepest(out) <= LOUD // FADE + 1


def test_uneven_chunks_do_not_make_it_flap() -> None:
    luck = random.Random(4)
    pieces = [(steady(320), True)] * 5 + [(steady(320), False)] * 50
    out = passed(EchoGate(), pieces, lambda: luck.uniform(0, 0.03))
    opened = next(i for i in range(10 * 160 + FADE, len(out)) if out[i])
    assert set(out[opened + FADE :]) == {LOUD}


def test_lost_time_counts_for_the_hold() -> None:
    gate = EchoGate()
    gate.pass_on(steady(320), playing=True, at=1000.0)
    assert gate.pass_on(steady(320), playing=False, at=1000.3)[2 * FADE :] == steady(320 - FADE)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes are not whole"):
        EchoGate().pass_on(b"abc", playing=False, at=0.0)


# The tap.


def filled(buffer: PlaybackBuffer, size: int) -> bytes:
    block = bytearray(b"\x55" * size)
    buffer.fill(block, 0.05)
    return bytes(block)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 1000), max_size=12), st.lists(st.integers(1, 500), max_size=40), st.integers(0, 10**6))
def test_the_tap_is_what_is_played_and_changes_nothing(chunks: list[int], frames: list[int], seed: int) -> None:
    now = [50.0]
    tap, luck = new_tap(), random.Random(seed)
    buffers = [PlaybackBuffer(prebuffer=0, clock=lambda: now[0], tap=given) for given in (tap, None)]
    played = []
    for chunk, size in zip_longest(chunks, frames):
        flushes = luck.random() < 0.1
        for buffer in buffers:
            if chunk:
                buffer.push(noise(chunk))
            if flushes:
                buffer.flush()
        if size:
            out = filled(buffers[0], 2 * size)
            assert out == filled(buffers[1], 2 * size)
            played.append((out, 24000, now[0] + 0.05))
            now[0] += size / 24000
    assert list(tap) == played


def test_an_unread_tap_stays_bounded_and_keeps_the_newest() -> None:
    tap = new_tap()
    buffer = PlaybackBuffer(prebuffer=0, tap=tap)
    said = noise(480 * 3 * TAP_BLOCKS)
    buffer.push(said)
    assert b"".join(filled(buffer, 960) for _ in range(3 * TAP_BLOCKS)) == said
    assert b"".join(pcm for pcm, _, _ in tap) == said[-960 * TAP_BLOCKS :]


async def test_a_speaker_tells_once_what_it_played_across_a_change_of_rate() -> None:
    speaker = Speaker(prebuffer=0, listened=True)
    assert speaker.played() == []
    speaker.play(steady(480, 5), 24000)
    first = speaker.buffer
    first.fill(bytearray(960))
    speaker.play(steady(320, 6), 16000)
    assert speaker.buffer is not first
    speaker.buffer.fill(bytearray(640))
    assert [block[:2] for block in speaker.played()] == [(steady(480, 5), 24000), (steady(320, 6), 16000)]
    assert speaker.played() == []
    await asyncio.to_thread(speaker.close)


def test_a_speaker_nobody_listens_to_keeps_nothing() -> None:
    speaker = Speaker(prebuffer=0)
    speaker.play(steady(480))
    speaker.buffer.fill(bytearray(960))
    assert speaker.played() == []


# The canceller.


def need_the_extra() -> None:
    for package in ("numpy", "soxr", "pywebrtc_audio"):
        if importlib.util.find_spec(package) is None:
            no_sound(f"{package} is not installed (pip install pywebrtc-audio soxr)")


@pytest.fixture
def np() -> Any:
    need_the_extra()
    import numpy

    return numpy


@cache
def voice(seconds: int, rate: int, *, low: bool = False) -> Any:
    """A voice that never pauses for long: harmonics that swing and fade, and some breath, in syllables."""
    import numpy as np
    import soxr

    luck, time = np.random.default_rng(low), np.arange(seconds * 24000) / 24000
    pitch = (110 if low else 185) * (time + 0.02 * np.sin(3 * time))
    voiced = sum(np.sin(2 * np.pi * n * pitch + luck.uniform(0, 6)) / n for n in range(1, 28))
    voiced += 0.2 * luck.standard_normal(len(time))
    voiced *= np.maximum(0, np.sin(time * (11 if low else 17))) ** 0.5 + 0.05
    return soxr.resample(voiced * 10000 / np.abs(voiced).max(), 24000, rate)


class Spy:
    """In the place of the package: keeps the reference it is given and cancels nothing."""

    def __init__(self, canceller: EchoCanceller) -> None:
        self.far = b""
        canceller._aec = self

    def process(self, near: Any, far: Any) -> Any:
        self.far += far.tobytes()
        return near


def pcm_of(np: Any, sound: Any) -> bytes:
    return bytes(np.clip(sound, -32768, 32767).astype("<i2").tobytes())


def echo(np: Any, seconds: int, delay: float) -> Any:
    """How the microphone hears the voice: direct, 150 ms of room, and the hiss of the microphone."""
    luck = np.random.default_rng(6)
    size = RATE * 15 // 100
    room = luck.standard_normal(size) * np.exp(-6.9 * np.arange(size) / size)
    room /= np.sqrt((room**2).sum())
    room[0] += 1
    late = np.concatenate((np.zeros(round(delay * RATE)), voice(seconds, RATE)))
    length = len(late) + size
    heard = np.fft.irfft(np.fft.rfft(late, length) * np.fft.rfft(0.4 * room, length), length)[: seconds * RATE]
    return heard + 5 * luck.standard_normal(len(heard))


def cancelled(far: bytes, mic: bytes, sizes: Callable[[], int] = lambda: 320, late: float = 0.01) -> bytes:
    """As it goes in life: blocks of 20 ms are told 60 ms before they are heard, the microphone's come a bit late."""
    now = [100.0]
    canceller = EchoCanceller(clock=lambda: now[0])
    luck = random.Random(1)
    out, at, expected = b"", 0, 0
    while at < len(mic):
        pcm = mic[at : at + 2 * sizes()]
        at += len(pcm)
        now[0] = 100 + at / 2 / RATE + luck.uniform(0, late)
        while expected * 960 < len(far) and expected * 0.02 <= now[0] - 100 + 0.06:
            heard_at = 100 + expected * 0.02 + luck.uniform(-0.006, 0.006)
            canceller.far(far[960 * expected : 960 * expected + 960], 24000, heard_at)
            expected += 1
        clean = canceller.near(pcm)
        assert len(clean) == len(pcm)
        out += clean
    return out


def after(seconds: float, pcm: bytes) -> bytes:
    return pcm[int(seconds * RATE) * 2 :]


@pytest.mark.parametrize("delay", [0.06, 0.18])
def test_the_echo_is_gone_after_three_seconds(np: Any, delay: float) -> None:
    mic = pcm_of(np, echo(np, 6, delay))
    before, clean = (loudness(after(3, pcm)) for pcm in (mic, cancelled(pcm_of(np, voice(6, 24000)), mic)))
    assert before - clean >= 15
    assert before > -45, "there was an echo to cancel"
    # The package alone does not just turn everything down: without its reference the echo stays.
    assert before - loudness(after(3, cancelled(b"", mic))) < 3


def test_a_voice_that_speaks_at_the_same_time_survives(np: Any) -> None:
    near = 2 * voice(6, RATE, low=True)
    near[: 3 * RATE] = 0
    mic = echo(np, 6, 0.06) + near
    clean = np.frombuffer(cancelled(pcm_of(np, voice(6, 24000)), pcm_of(np, mic)), "<i2").astype(float)
    spoken = near[3 * RATE : -RATE]
    # How much of that very voice is in there, wherever the package's delay has put it (8 ms).
    part = max(
        clean[3 * RATE + late : len(clean) - RATE + late] @ spoken / (spoken @ spoken) for late in range(FRAME * 2)
    )
    assert 20 * np.log10(part) > -12
    assert -6 < loudness(pcm_of(np, clean[3 * RATE : -RATE])) - loudness(pcm_of(np, spoken)) < 1


@pytest.mark.parametrize("expected", [-0.06, 0.02])
def test_lost_microphone_sound_is_made_up_for(np: Any, expected: float) -> None:
    """Half a second of the microphone is missing: the reference finds its place again, told in time or late."""
    mic, played = pcm_of(np, echo(np, 9, 0.06)), pcm_of(np, voice(9, 24000))
    now = [100.0]
    canceller = EchoCanceller(clock=lambda: now[0])
    heard, clean, block = b"", b"", 0
    for n in range(len(mic) // 640):
        now[0] = 100.0 + 0.02 * (n + 1)
        while 100 + 0.02 * block + expected <= now[0]:
            canceller.far(played[960 * block : 960 * block + 960], 24000, 100 + 0.02 * block)
            block += 1
        if not 150 <= n < 175:
            heard += mic[640 * n : 640 * n + 640]
            clean += canceller.near(mic[640 * n : 640 * n + 640])
    for second in (2, 6, 7):
        one, other = (loudness(pcm[second * 32000 :][:32000]) for pcm in (heard, clean))
        assert one - other >= 15


def test_the_size_of_the_chunks_changes_nothing_but_a_delay_below_a_frame(np: Any) -> None:
    luck = random.Random(2)
    mic = pcm_of(np, voice(2, RATE, low=True))
    even = cancelled(b"", mic, lambda: FRAME, late=0)
    odd = cancelled(b"", mic, lambda: luck.randint(1, 700), late=0)
    late = 2 * (FRAME - 1)
    settled = 2 * 2000  # where the delay begins depends on the first chunk that is short
    assert odd[settled + late :] == even[settled:-late]


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 900), min_size=1, max_size=12))
def test_as_much_comes_out_as_goes_in(sizes: list[int]) -> None:
    need_the_extra()
    canceller = EchoCanceller(clock=lambda: 0.0)
    for size in sizes:
        canceller.far(steady(size), 24000, 0.0)
        assert len(canceller.near(steady(size))) == 2 * size


def test_a_reference_nobody_asks_for_does_not_grow(np: Any) -> None:
    now = [100.0]
    canceller = EchoCanceller(clock=lambda: now[0])
    canceller.near(steady(FRAME))
    for n in range(1000):
        canceller.far(steady(480), 24000, 100 + 0.02 * n)
    assert len(canceller._played) <= 2 * RATE * 2.1


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
def test_the_reference_lies_where_it_is_heard(np: Any, rate: int) -> None:
    """Whatever rate the voice has, and however it is cut: to the sample, but for the lead."""
    canceller, luck = EchoCanceller(clock=lambda: 100.0), random.Random(3)
    spy = Spy(canceller)
    canceller.near(bytes(640))  # position 0 is at 99.98
    tone = np.rint(np.sin(2 * np.pi * 1000 * np.arange(rate) / rate) * 20000)
    canceller.far(bytes(rate // 5), rate, 100.1)  # and nothing until 100.5: what the converter holds is older
    source, expected = pcm_of(np, tone), 0
    while expected < len(source):
        size = 2 * luck.randint(1, rate // 20)
        canceller.far(source[expected : expected + size], rate, 100.5 + expected / 2 / rate)
        expected += size
    canceller.near(bytes(2 * RATE))
    start = round((100.5 - 99.98 - LEAD) * RATE)
    assert max(map(abs, array("h", spy.far)[: start - 400])) <= 2, "silence, but for dither and what a filter rings"
    got = np.frombuffer(spy.far, "<i2").astype(float)[start : start + RATE // 4]
    want = np.sin(2 * np.pi * 1000 * np.arange(len(got)) / RATE) * 20000
    inside = slice(200, None)
    error = got[inside] - want[inside]
    assert 10 * np.log10((want[inside] ** 2).mean() / (error**2).mean()) > 30


def test_a_voice_that_changes_its_rate_is_followed(np: Any) -> None:
    now = [100.0]
    canceller = EchoCanceller(clock=lambda: now[0])
    spy = Spy(canceller)
    for n, rate in enumerate([24000] * 10 + [16000] * 10 + [24000] * 10):
        now[0] = 100 + 0.02 * n
        canceller.near(bytes(640))
        canceller.far(steady(rate // 50), rate, now[0] + 0.02)
    as_loud = [abs(sample - LOUD) < 500 for sample in array("h", spy.far)[RATE // 20 :]]
    assert sum(as_loud) > 0.9 * len(as_loud)


def test_a_rate_that_cannot_work_is_told() -> None:
    with pytest.raises(portaudio.AudioUnavailable, match="no echo cancellation at 24000 Hz"):
        EchoCanceller(24000)


@pytest.mark.parametrize("package", ["pywebrtc_audio", "soxr", "numpy"])
def test_a_missing_extra_names_its_cure(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(portaudio.AudioUnavailable, match="no echo cancellation") as caught:
        EchoCanceller()
    assert "pip install pywebrtc-audio soxr" in caught.value.fix


def test_no_exception_of_the_package_leaves(np: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    canceller = EchoCanceller(clock=lambda: 0.0)

    class Broken:
        def process(self, near: Any, far: Any) -> Any:
            raise RuntimeError("lost its state")

    monkeypatch.setattr(canceller, "_aec", Broken())
    with pytest.raises(portaudio.AudioUnavailable, match="lost its state"):
        canceller.near(steady(FRAME))


# The detector.


def turns(
    detector: SelfInterruption, plan: str, start: float = 0.0, mic: Iterable[tuple[float, float]] = ()
) -> list[int]:
    """A turn every ten seconds: "e" cut early, "l" late, "." not at all. `mic`: (dBFS, seconds after the start) each.

    Returns the turns at which advice was given.
    """
    expected = []
    for n, kind in enumerate(plan):
        at = start + 10 * n
        for db, after in sorted([*mic, (0.0, 0.0)], key=itemgetter(1)):
            if after:
                detector.user_level(db, at + after)
            else:
                detector.playback_started(at)
        if kind != "." and detector.interrupted(at + (0.4 if kind == "e" else SOON + 0.1)):
            expected.append(n)
    return expected


@pytest.mark.parametrize(
    ("expected", "plans"),
    [
        ([], ("ee", "e.e.e.e", "ee..ee..ee", "llllll", "......", "e..e..e")),
        ([2], ("eee", "e" * 20)),
        ([3], ("e.ee", "ee.e", "elee")),
        ([4], ("lleee",)),
    ],
)
def test_three_early_cuts_in_four_turns_are_told_once(expected: list[int], plans: tuple[str, ...]) -> None:
    for plan in plans:
        assert turns(SelfInterruption(), plan) == expected, plan


def test_it_is_told_again_when_it_goes_on_long_after() -> None:
    detector = SelfInterruption()
    assert turns(detector, "e" * 6) == [2]
    assert turns(detector, "e" * 4, start=60) == []
    assert turns(detector, "." * 4 + "eee", start=REPEAT_AFTER + 60) == [6]


def test_an_interruption_of_nothing_is_not_counted() -> None:
    detector = SelfInterruption()
    assert [detector.interrupted(n / 10) for n in range(10)] == [None] * 10
    detector.playback_started(1.0)
    assert [detector.interrupted(1 + n / 10) for n in range(10)] == [None] * 10, "one turn is cut once"


@pytest.mark.parametrize(
    ("mic", "expected"),
    [
        ([(-70.0, 0.2)], []),  # silent: typed text interrupted
        ([(-30.0, 0.2)], [2]),
        ([(-20.0, -JUST_BEFORE / 2)], []),  # somebody was speaking already
        ([(-20.0, -2 * JUST_BEFORE), (-30.0, 0.2)], [2]),  # the question before the answer is no excuse
    ],
)
def test_only_a_microphone_that_hears_the_voice_counts(mic: list[tuple[float, float]], expected: list[int]) -> None:
    assert turns(SelfInterruption(), "eee", mic=mic) == expected


def test_the_advice_names_every_cure() -> None:
    cures = ("headphones", "--half-duplex", "--echo-cancel", "pip install pywebrtc-audio soxr", "module-echo-cancel")
    for fix in (*cures, "PipeWire"):
        assert fix in SelfInterruption.ADVICE
