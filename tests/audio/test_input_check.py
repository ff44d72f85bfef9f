"""The client's audio as a stream: encodings, channels, levels and pace; and sound that must be left in peace."""

import json
import random
import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from math import pi, sin
from typing import Any

import pytest

from livews.audio.analysis import input_check
from livews.audio.analysis.input_check import InputAudioCheck, complaints
from livews.cli import message_files
from livews.conversation import Conversation
from livews.core.codec import dump, encode_base64
from livews.trace.ending import read_to_end
from livews.trace.session import follow
from tests.kit import sound

Samples = list[float]
"""From -1 to 1."""


def voice(pitch: float, seconds: float = 1.0, rate: int = 16_000, peak: float = 0.3, seed: int = 1) -> Samples:
    """Harmonics that fall off, in syllables of a quarter of a second, with a little noise."""
    luck, wave = random.Random(seed), 2 * pi * pitch / rate
    harmonics = [1 / k**1.5 for k in range(1, 9) if k * pitch < rate / 2.2]
    return [
        peak * max(sin(2 * pi * 4 * n / rate), 0.05) / 2 * sum(a * sin(k * wave * n) for k, a in enumerate(harmonics, 1))
        + luck.uniform(-0.001, 0.001)
        for n in range(int(seconds * rate))
    ]  # fmt: skip


VOICES: dict[str, Samples] = {
    "a low voice": voice(95),
    "a high voice": voice(230, peak=0.6),
    "a quiet voice": voice(140, peak=0.08),
    "a tone": [0.27 * sin(2 * pi * 220 * n / 16_000) for n in range(16_000)],
    "a loud tone": [0.95 * sin(2 * pi * 330 * n / 16_000) for n in range(16_000)],
}


def s16(samples: Samples) -> bytes:
    return array("h", (int(32_767 * x) for x in samples)).tobytes()


def logarithmic(name: str) -> Callable[[Samples], bytes]:
    table = input_check._logarithmic()[name]
    codes = sorted(range(256), key=table.__getitem__)
    values = [table[code] for code in codes]
    return lambda samples: bytes(codes[min(bisect_left(values, 32_767 * x), 255)] for x in samples)


def packed(form: str, scale: float = 1.0) -> Callable[[Samples], bytes]:
    kind = float if form[-1] in "fd" else int
    return lambda samples: b"".join(struct.pack(form, kind(x * scale)) for x in samples)


ENCODINGS: dict[str, tuple[str, Callable[[Samples], bytes]]] = {
    "float 32": ("floats of 32 bits", packed("<f")),
    "float 32 of 16-bit samples": ("floats of 32 bits", lambda x: packed("<f")([int(32_767 * v) / 32_768 for v in x])),
    "float 32 that is not scaled": ("floats of 32 bits", packed("<f", 32_767.0)),
    "big-endian float 32": ("floats of 32 bits", packed(">f")),
    "float 64": ("floats of 64 bits", packed("<d")),
    "big-endian": ("16-bit big-endian samples", packed(">h", 32_767)),
    "a byte too many": ("shifted by one byte", lambda x: b"\x00" + s16(x)),
    "8 bits unsigned": ("8-bit unsigned samples", lambda x: bytes(int(128 + 127 * v) for v in x)),
    "8 bits signed": ("8-bit signed samples", lambda x: array("b", (int(127 * v) for v in x)).tobytes()),
    "mu-law": ("mu-law", logarithmic("mu-law")),
    "A-law": ("A-law", logarithmic("A-law")),
    "24 bits": ("24-bit samples", lambda x: b"".join(struct.pack("<i", int(2**31 * 0.99 * v))[1:] for v in x)),
    "32 bits": ("32-bit samples", packed("<i", 2**31 * 0.99)),
}  # fmt: skip
TOO_COARSE = {("8 bits signed", "a quiet voice"), ("8 bits unsigned", "a quiet voice")}


def client(pcm: bytes, mime_type: str = "audio/pcm;rate=16000") -> dict[str, Any]:
    return {"realtimeInput": {"audio": {"mimeType": mime_type, "data": encode_base64(pcm)}}}


class Talk:
    """A session whose audio is checked; the findings of the check, as (rule, complaint)."""

    def __init__(self, setup: dict[str, Any] | None = None) -> None:
        self.conversation, self.check = Conversation(), InputAudioCheck()
        self.conversation.step_message("client", {"setup": {"model": "models/test", **(setup or {})}})
        self.conversation.step("server", b'{"setupComplete":{}}')
        self.found: list[tuple[str, str]] = []

    def send(self, message: dict[str, Any], t: float | None = None) -> None:
        step = self.conversation.step("client", dump(message))
        self.check.take(step, t)
        self.found += [(f.rule, f.complaint) for f in step.findings]

    def speak(
        self, pcm: bytes, *, every: float | None = None, size: int = 640, start: float = 0.0, rate: int = 16_000
    ) -> list[tuple[str, str]]:
        for n, at in enumerate(range(0, len(pcm) - size + 1, size)):
            self.send(
                client(pcm[at : at + size], f"audio/pcm;rate={rate}"), None if every is None else start + n * every
            )
        return self.found


@pytest.mark.parametrize("of", VOICES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_samples_of_another_kind_are_named(encoding: str, of: str) -> None:
    words, encode = ENCODINGS[encoding]
    found = Talk().speak(encode(VOICES[of]))
    if (encoding, of) in TOO_COARSE and not found:
        return
    assert [rule for rule, _ in found] == ["AUDIO-10"], found
    assert words in found[0][1] and "s into the audio" in found[0][1]


@pytest.mark.parametrize("size", [1_280, 6_400])
def test_the_pace_of_other_samples_is_no_second_finding(size: int) -> None:
    """Floats come twice as fast as samples of 16 bits would, and so do two channels."""
    pcm = packed("<f")(VOICES["a low voice"]) * 5
    assert [rule for rule, _ in Talk().speak(pcm, every=size / 64_000, size=size)] == ["AUDIO-10"]
    talk = Talk()
    assert [rule for rule, _ in talk.speak(STEREO["two voices"] * 5, every=size / 64_000, size=size)] == ["AUDIO-10"]
    assert talk.check.is_sound


def test_the_pace_of_text_is_no_second_finding() -> None:
    talk, text = Talk(), encode_base64(s16(VOICES["a high voice"]) * 6).encode()
    assert [rule for rule, _ in talk.speak(text, every=0.02, size=854)] == ["AUDIO-7"]


def test_a_window_of_floats_that_looks_fine_does_not_make_the_rest_heard() -> None:
    talk = Talk()
    talk.speak(packed("<f")(VOICES["a low voice"]))
    talk.speak(noise(9_000)[:8_000])
    assert not talk.check.is_sound
    talk.speak(s16(VOICES["a high voice"]) * 300)
    assert talk.check.is_sound


@pytest.mark.parametrize("size", [640, 3_200, 64_000])
def test_the_size_of_chunks_does_not_matter(size: int) -> None:
    found = Talk().speak(packed("<f")(VOICES["a low voice"]), size=size)
    assert [rule for rule, _ in found] == ["AUDIO-10"]


def interleaved(left: Samples, right: Samples) -> bytes:
    return s16([x for pair in zip(left, right, strict=False) for x in pair])


OTHER = voice(310, seed=5)
STEREO: dict[str, bytes] = {
    "both the same": interleaved(VOICES["a low voice"], VOICES["a low voice"]),
    "the right one silent": interleaved(VOICES["a high voice"], [0.0] * 16_000),
    "the left one silent": interleaved([0.0] * 16_000, VOICES["a high voice"]),
    "two voices": interleaved(VOICES["a tone"], OTHER),
    "one softer": interleaved(VOICES["a low voice"], [x / 3 for x in VOICES["a low voice"]]),
}


@pytest.mark.parametrize("kind", STEREO)
def test_two_channels(kind: str) -> None:
    found = Talk().speak(STEREO[kind])
    assert [rule for rule, _ in found] == ["AUDIO-10"] and "channels" in found[0][1]


def test_samples_that_come_twice_are_fine_where_they_come_in_real_time() -> None:
    """A telephone line of 8 kHz that was brought to 16 kHz by repeating each sample."""
    assert Talk().speak(STEREO["both the same"], every=0.02) == []
    assert [rule for rule, _ in Talk().speak(STEREO["both the same"], every=0.01)] == ["AUDIO-10"]


# Fine


def noise(level: int, seed: int = 1) -> bytes:
    luck = random.Random(seed)
    return array("h", (luck.randint(-level, level) for _ in range(32_000))).tobytes()


def hum(*frequencies: float, peak: float = 0.6) -> bytes:
    each = peak / len(frequencies)
    return s16([sum(each * sin(2 * pi * f * n / 16_000) for f in frequencies) for n in range(32_000)])


FINE: dict[str, bytes] = {
    **{name: s16(samples) for name, samples in VOICES.items()},
    "silence and then speech": bytes(32_000) + s16(VOICES["a low voice"]),
    "a very quiet voice": s16(voice(120, peak=0.004)),
    "the speech of the tests": sound.speech(2.0),
    "the noise of the tests": sound.noise(2.0),
    "a quiet room": noise(40),
    "loud noise": noise(32_000),
    "soft noise": noise(900),
    "a chord": hum(262, 330, 392, 523),
    "a telephone's tones": hum(697, 1_209),
    "a whistle": hum(3_100),
    "a quarter of the rate": hum(4_000),
    "near half the rate": hum(7_900),
    "a full-scale tone": hum(200, peak=1.0),
    "the hum of the mains": hum(50, peak=0.02),
    "a square wave": b"".join(struct.pack("<h", 12_000 if n // 40 % 2 else -12_000) for n in range(32_000)),
    "a fast square wave": b"".join(struct.pack("<h", 16_000 if n // 2 % 2 else -16_000) for n in range(32_000)),
    "a sawtooth": b"".join(struct.pack("<h", n * 300 % 30_000 - 15_000) for n in range(32_000)),
    "a small offset": s16([x + 0.02 for x in VOICES["a low voice"]]),
    "clicks": b"".join(struct.pack("<h", 30_000 if n % 4_000 == 0 else 0) for n in range(32_000)),
}


@pytest.mark.parametrize("kind", FINE)
@pytest.mark.parametrize("every", [None, 0.02])
def test_sound_that_is_fine(kind: str, every: float | None) -> None:
    assert Talk().speak(FINE[kind], every=every) == []


def test_the_tables_of_mu_law_and_a_law() -> None:
    tables = input_check._logarithmic()
    assert [tables["mu-law"][byte] for byte in (0x00, 0x7F, 0x80, 0xFF)] == [-32_124, 0, 32_124, 0]
    assert [tables["A-law"][byte] for byte in (0x2A, 0x55, 0xAA, 0xD5)] == [-32_256, -8, 32_256, 8]


# Levels

MANUAL = {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}


def activity(pcm: bytes) -> Iterator[dict[str, Any]]:
    yield {"realtimeInput": {"activityStart": {}}}
    yield from (client(pcm[at : at + 640]) for at in range(0, len(pcm), 640))
    yield {"realtimeInput": {"activityEnd": {}}}


@pytest.mark.parametrize("pcm", [bytes(32_000), bytes(10_240), noise(3)[:32_000], noise(20)[:64_000], bytes(96_000)])
def test_silence_for_a_whole_turn(pcm: bytes) -> None:
    talk = Talk(MANUAL)
    for message in activity(pcm):
        talk.send(message)
    assert [rule for rule, _ in talk.found] == ["AUDIO-11"]
    assert f"nothing but silence in {len(pcm) / 32_000:.1f} s of audio" in talk.found[0][1]
    for message in activity(pcm):
        talk.send(message)
    assert len(talk.found) == 1, "once a session"


@pytest.mark.parametrize(
    "pcm", [sound.speech(1.0), bytes(32_000) + sound.speech(0.5), s16(voice(120, peak=0.02)), noise(60)]
)
def test_a_turn_with_a_sound_in_it(pcm: bytes) -> None:
    talk = Talk(MANUAL)
    for message in activity(pcm):
        talk.send(message)
    assert talk.found == []


def test_silence_from_the_start() -> None:
    talk = Talk()
    assert talk.speak(noise(20)[:32_000] * 29) == [], "the user may be listening"
    assert [rule for rule, _ in talk.speak(bytes(64_000))] == ["AUDIO-11"]


def test_a_muted_microphone_gives_zeros() -> None:
    talk = Talk()
    assert talk.speak(bytes(32_000 * 5)) == []
    assert [words[:50] for _, words in talk.speak(bytes(32_000))] == [
        "nothing but zeros, as of a muted microphone, in th"
    ]


@pytest.mark.parametrize("sender", ["client", "server"])
def test_a_microphone_that_waits_while_a_turn_runs(sender: str) -> None:
    talk = Talk()
    if sender == "client":
        talk.send({"realtimeInput": {"text": "Hello"}})
    else:
        talk.check.take(
            talk.conversation.step("server", b'{"serverContent":{"modelTurn":{"parts":[{"text":"Hi"}]}}}')
        )
    assert talk.speak(bytes(32_000 * 29)) == []


def test_zeros_with_one_click_are_no_muted_microphone() -> None:
    assert Talk().speak(b"\x01\x00" + bytes(32_000 * 10)) == []


def test_silence_up_to_the_end_of_the_stream() -> None:
    talk = Talk()
    talk.speak(bytes(48_000))
    talk.send({"realtimeInput": {"audioStreamEnd": True}})
    assert [rule for rule, _ in talk.found] == ["AUDIO-11"]
    talk = Talk()
    talk.speak(sound.utterance(1.0))
    talk.send({"realtimeInput": {"audioStreamEnd": True}})
    assert talk.found == []


BAD_LEVELS: dict[str, tuple[bytes, str]] = {
    "far too loud": (s16([max(-1.0, min(1.0, 20 * x)) for x in VOICES["a low voice"]]), "clipped"),
    "a voice that is clipped": (s16([max(-1.0, min(1.0, 6 * x)) for x in VOICES["a high voice"]]), "clipped"),
    "a tone that is clipped": (s16([max(-1.0, min(1.0, 3 * x)) for x in VOICES["a loud tone"]]), "clipped"),
    "around a value": (s16([0.1 * x + 0.5 for x in VOICES["a low voice"]]), "lie around 16,"),
    "around a negative value": (s16([0.1 * x - 0.4 for x in VOICES["a tone"]]), "lie around -13,"),
}


@pytest.mark.parametrize("kind", BAD_LEVELS)
def test_clipped_and_shifted_audio(kind: str) -> None:
    pcm, words = BAD_LEVELS[kind]
    found = Talk().speak(pcm)
    assert [rule for rule, _ in found] == ["AUDIO-11"] and words in found[0][1]


# Pace

PACES: list[tuple[int, int, float, str]] = [
    (16_000, 1_920, 0.02, "48,000 Hz, and 16,000 is stated"),
    (16_000, 1_764, 0.02, "44,100 Hz, and 16,000 is stated"),
    (16_000, 960, 0.02, "24,000 Hz, and 16,000 is stated"),
    (16_000, 320, 0.02, "8,000 Hz, and 16,000 is stated"),
    (48_000, 640, 0.02, "16,000 Hz, and 48,000 is stated"),
    (24_000, 640, 0.02, "16,000 Hz, and 24,000 is stated"),
    (16_000, 3_200, 0.05, "32,000 Hz, and 16,000 is stated"),
    (16_000, 640, 0.035, "s of audio came in"),
]


@pytest.mark.parametrize(("rate", "size", "every", "words"), PACES)
def test_audio_that_comes_too_fast_or_too_slowly(rate: int, size: int, every: float, words: str) -> None:
    pcm = sound.speech(1.0) * (1 + int(6 / every) * size // 32_000)
    found = Talk().speak(pcm, every=every, size=size, rate=rate)
    assert [rule for rule, _ in found] == ["AUDIO-12"], found
    assert words in found[0][1]


def test_a_long_recording_in_a_moment() -> None:
    found = Talk().speak(sound.speech(12.0), every=0.001)
    assert [rule for rule, _ in found] == ["AUDIO-12"] and "5 s of audio came in 0.3 s" in found[0][1]


def jittered(rng: random.Random) -> list[float]:
    """A network that holds chunks back and gives them at once."""
    times, late = [], 0.0
    for n in range(600):
        late = max(0.0, late - 0.02) if rng.random() < 0.98 else rng.uniform(0.05, 0.4)
        times.append(n * 0.02 + late)
    return sorted(times)


GOOD_TIMES: dict[str, list[float]] = {
    "in real time": [n * 0.02 for n in range(600)],
    "a little fast": [n * 0.0195 for n in range(600)],
    "what was held back first": [0.0] * 100 + [n * 0.02 for n in range(500)],
    "an utterance at once": [0.0] * 125,
    "pauses, as of a client that sends speech only": [n * 0.02 + n // 40 * 1.0 for n in range(600)],
    "a stall": [n * 0.02 + (3.0 if n > 300 else 0.0) for n in range(600)],
    **{f"jitter {seed}": jittered(random.Random(seed)) for seed in range(5)},
}


@pytest.mark.parametrize("kind", GOOD_TIMES)
def test_times_that_are_fine(kind: str) -> None:
    talk, pcm = Talk(), sound.speech(1.0)
    for n, t in enumerate(GOOD_TIMES[kind]):
        talk.send(client(pcm[n % 50 * 640 :][:640]), t)
    assert talk.found == []


# In a trace


def traced(lines: list[dict[str, Any]]) -> list[bytes]:
    head = {
        "trace": "livews",
        "version": 1,
        "started": "2026-11-30T10:00:00Z",
        "url": "wss://example.test/",
        "side": "client",
    }
    start = [
        {"t": 0, "dir": "send", "opcode": "text", "message": {"setup": {"model": "models/gemini-2.5-flash-native-audio-latest"}}},
        {"t": 0.1, "dir": "recv", "opcode": "binary", "message": {"setupComplete": {}}},
    ]  # fmt: skip
    return [json.dumps(line).encode() + b"\n" for line in [head, *start, *lines]]


def sent(t: float, message: dict[str, Any]) -> dict[str, Any]:
    return {"t": t, "dir": "send", "opcode": "text", "message": message}


TRACED: dict[str, tuple[str, bytes, float]] = {
    "float": ("AUDIO-10", packed("<f")(VOICES["a low voice"]), 0.02),
    "mu-law": ("AUDIO-10", logarithmic("mu-law")(VOICES["a tone"]), 0.02),
    "stereo": ("AUDIO-10", STEREO["two voices"], 0.01),
    "clipped": ("AUDIO-11", BAD_LEVELS["far too loud"][0], 0.02),
    "fast": ("AUDIO-12", sound.speech(12.0), 0.0067),
}


@pytest.mark.parametrize("kind", TRACED)
def test_a_trace_is_checked_with_its_line(kind: str) -> None:
    rule, pcm, every = TRACED[kind]
    chunks = [pcm[at : at + 640] for at in range(0, len(pcm), 640)]
    lines = traced([sent(1 + n * every, client(chunk)) for n, chunk in enumerate(chunks)])
    for session in follow(lines, "a trace"):
        found = [
            (line, f.rule)
            for line, findings, _ in read_to_end(session)
            for f in findings
            if f.rule.startswith("AUDIO")
        ]
    assert [name for _, name in found] == [rule] and found[0][0] > 4


def test_audio_that_was_left_out_of_a_trace_is_not_silence() -> None:
    left_out = {"mimeType": "audio/pcm;rate=16000", "data": "elided:640:00"}
    lines = [sent(1 + n * 0.02, {"realtimeInput": {"audio": left_out}}) for n in range(2_000)]
    lines += [
        sent(50, {"realtimeInput": {"audioStreamEnd": True}}),
        {"t": 51, "dir": "send", "close": {"code": 1000}},
    ]
    for session in follow(traced(lines), "a trace"):
        assert [
            f.rule for _, findings, _ in read_to_end(session) for f in findings if f.rule.startswith("AUDIO")
        ] == []


def test_a_session_of_silence_is_mentioned_at_its_end() -> None:
    lines = [sent(1 + n * 0.02, client(bytes(640))) for n in range(400)]
    lines.append({"t": 20, "dir": "send", "close": {"code": 1000}})
    for session in follow(traced(lines), "a trace"):
        assert [
            f.rule for _, findings, _ in read_to_end(session) for f in findings if f.rule.startswith("AUDIO")
        ] == ["AUDIO-11"]


def test_a_window_of_nothing_has_no_complaint() -> None:
    assert list(complaints(bytes(4_000))) == []


# Messages without times

BY_LINES: dict[str, tuple[bytes, int, str]] = {
    "float": (packed("<f")(VOICES["a low voice"]), 640, "floats of 32 bits"),
    "float in one message": (packed("<f")(VOICES["a low voice"]), 64_000, "floats of 32 bits"),
    "mu-law": (logarithmic("mu-law")(VOICES["a tone"]), 640, "mu-law"),
    "A-law in one message": (logarithmic("A-law")(VOICES["a tone"]), 12_000, "A-law"),
    "big-endian": (packed(">h", 32_767)(VOICES["a high voice"]), 3_200, "big-endian"),
    "stereo": (STEREO["both the same"], 1_280, "two channels"),
    "one channel silent": (STEREO["the right one silent"], 1_280, "two channels"),
    "clipped": (BAD_LEVELS["far too loud"][0], 640, "clipped"),
}


@pytest.mark.parametrize("kind", BY_LINES)
@pytest.mark.parametrize("begins_with_setup", [True, False])
def test_json_lines_are_checked(kind: str, begins_with_setup: bool) -> None:
    pcm, size, words = BY_LINES[kind]
    lines: list[dict[str, Any]] = [{"setup": {"model": "models/gemini-3.8-live"}}] if begins_with_setup else []
    lines += [client(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    rows = [json.dumps(line).encode() + b"\n" for line in lines]
    judged = message_files.findings(iter(rows), "messages", None)
    found = [f.complaint for _, findings, _ in judged for f in findings if f.rule.startswith("AUDIO")]
    assert len(found) == 1 and words in found[0], found


def test_lines_of_different_audio_are_judged_one_by_one() -> None:
    kinds = ["float in one message", "A-law in one message"]
    rows = [json.dumps(client(BY_LINES[kind][0])).encode() + b"\n" for kind in kinds]
    judged = message_files.findings(iter(rows), "messages", None)
    assert [[f.rule for f in findings] for _, findings, _ in judged] == [["AUDIO-10"], ["AUDIO-10"]]


# The rate by ear


def spoken(pitch: float, slower: float = 1.0, seconds: float = 3.0, seed: int = 1) -> bytes:
    """Syllables with a pitch that moves, vowels by their formants, and a hiss here and there; played `slower`."""
    luck, samples, phase = random.Random(seed), [], 0.0
    vowels = [(700, 1_200, 2_500), (400, 2_000, 2_600), (300, 900, 2_300), (550, 1_700, 2_450)]
    step = 1 / 16_000 / slower
    for n in range(int(seconds * 16_000 * slower)):
        t = n * step
        syllable, at = divmod(t * 4.5, 1.0)
        hertz = pitch * (1 + 0.15 * sin(2 * pi * 0.6 * t) + 0.05 * sin(2 * pi * 1.7 * t))
        phase = (phase + 2 * pi * hertz * step) % (2 * pi)
        if at > 0.85:
            samples.append(luck.uniform(-0.03, 0.03) if syllable % 3 == 0 else 0.0)
            continue
        level = sin(pi * at / 0.85)
        tones = [(k * hertz, sin(k * phase)) for k in range(1, min(int(3_500 / hertz), 24))]
        loud = [
            (sum(1 / (1 + ((f - centre) / 120) ** 2) for centre in vowels[int(syllable) % 4]) + 0.05, wave)
            for f, wave in tones
        ]
        samples.append(0.12 * level * sum(gain * wave for gain, wave in loud))
    return s16([max(-1.0, min(1.0, x)) for x in samples])


@pytest.mark.parametrize("pitch", [100, 130, 200])
def test_a_voice_of_48_khz_that_is_declared_as_16(pitch: int) -> None:
    found = Talk().speak(spoken(pitch, slower=3.0, seconds=2.2), size=3_200)
    assert [rule for rule, _ in found] == ["AUDIO-12"], found
    assert "too deep and too slow for 16,000 Hz" in found[0][1] and "syllables a second" in found[0][1]


@pytest.mark.parametrize("pitch", [62, 75, 90, 120, 180, 250])
@pytest.mark.parametrize("every", [None, 0.1])
def test_a_voice_at_the_right_rate(pitch: int, every: float | None) -> None:
    assert Talk().speak(spoken(pitch, seconds=7.0), size=3_200, every=every) == []


def test_a_wrong_rate_that_the_pace_shows_is_not_said_again_by_ear() -> None:
    found = Talk().speak(spoken(120, slower=3.0, seconds=4.0), size=9_600, every=0.1)
    assert [rule for rule, _ in found] == ["AUDIO-12"]


LOW: dict[str, bytes] = {
    "a bass line": b"".join(
        s16([0.4 * (1 - (n / 8_000)) * sin(2 * pi * f * n / 16_000) for n in range(8_000)]) for f in (41, 49, 55, 41, 62, 73, 49) * 2
    ),
    "a hum that swells": s16([0.3 * max(0.0, sin(2 * pi * 1.2 * n / 16_000)) * sin(2 * pi * 50 * n / 16_000) for n in range(112_000)]),
    "an engine": s16([0.2 * ((n % 320) / 160 - 1) for n in range(112_000)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", LOW)
def test_low_sounds_are_no_slow_voice(kind: str) -> None:
    assert Talk().speak(LOW[kind], size=3_200) == []


# The size of chunks


def test_a_whole_file_in_one_message() -> None:
    talk = Talk()
    talk.send(client(sound.speech(8.0)))
    assert [rule for rule, _ in talk.found] == ["AUDIO-12"] and "8.0 s of audio in one message" in talk.found[0][1]


def test_an_utterance_in_one_message_is_fine() -> None:
    """The longest that was seen to be accepted is 3 s."""
    talk = Talk()
    talk.send(client(sound.speech(3.0)))
    assert talk.found == []


@pytest.mark.parametrize(("size", "rules"), [(32, ["AUDIO-12"]), (84, ["AUDIO-12"]), (320, []), (640, [])])
def test_very_short_chunks(size: int, rules: list[str]) -> None:
    assert [rule for rule, _ in Talk().speak(sound.speech(4.0), size=size, every=size / 32_000)] == rules
