"""The stand-in's speech: tones, espeak-ng, and programs of that name that do not speak. Each is a real process.

- Scripts stand on a PATH of their own; the real espeak-ng is tried where it is installed.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import struct
import subprocess
import wave
from array import array
from functools import partial
from pathlib import Path

import pytest

from livews.server import synth
from livews.server.speech import SpeechSynthesizer, SynthesizedSpeech
from tests.kit import sound
from tests.kit.waiting import until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands of these tests are shell scripts")
needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
RATE = 24_000
THREE = ["one", "two", "three"]


async def say(speech: SpeechSynthesizer, *texts: str) -> list[SynthesizedSpeech]:
    return [await speech.synthesize(text) for text in texts]


def samples(pcm: bytes) -> array[int]:
    return array("h", struct.unpack(f"<{len(pcm) // 2}h", pcm))


tone = partial(sound.tone, rate=22_050)


def wav(pcm: bytes, rate: int = 22_050, channels: int = 1, bits: int = 16, length: int | None = None) -> bytes:
    """A WAV; `length` is what its header claims."""
    length = len(pcm) if length is None else length
    size = bits // 8 * channels
    head = b"RIFF" + struct.pack("<I", (length + 36) & 0xFFFFFFFF)
    form = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * size, size, bits)
    return head + form + b"data" + struct.pack("<I", length) + pcm


class Espeak:
    """An espeak-ng on the PATH that does what a test wants. In a script `sound.wav` is the WAV it was given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def does(self, body: str, sound: bytes = b"") -> None:
        (self.folder / "sound.wav").write_bytes(sound)
        script = self.folder / "espeak-ng"
        script.write_text(f'#!/bin/sh\ncd "{self.folder}"\necho x >> calls\n{body}\n')
        script.chmod(0o755)

    async def spoken(self, sound: bytes) -> SynthesizedSpeech:
        """What becomes of this WAV."""
        self.does(SPEAK, sound)
        return await SpeechSynthesizer("espeak-ng").synthesize("hello")

    @property
    def calls(self) -> int:
        calls = self.folder / "calls"
        return len(calls.read_text().split()) if calls.exists() else 0


SPEAK = "cat > /dev/null; cat sound.wav"


@pytest.fixture
def espeak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Espeak:
    for name in ("sh", "cat", "sleep"):  # nothing else, above all not the real one
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(tmp_path))
    return Espeak(tmp_path)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# Tones


async def test_tones_are_the_voice() -> None:
    speech = SpeechSynthesizer("tones")
    (made,) = await say(speech, "Hello there, Paris?")
    assert speech.name == "tones"
    assert made.pcm == synth.render("Hello there, Paris?")
    assert made.seconds == len(made.pcm) / 48_000 > 0.5


def test_once_prepared_no_note_is_made_while_speaking() -> None:
    SpeechSynthesizer("tones")
    before = synth._note.cache_info().misses
    for text in ("Is it? Was it? Will it? Shall it?", "a. e. i. o. u. a. e. i. o. u.", "x y z " * 30, "aeiou " * 30):
        synth.render(text)
    assert synth._note.cache_info().misses == before


def test_a_note_ends_softly_and_its_short_form_is_its_beginning() -> None:
    short, long = synth._note(440.0, 1.0), synth._note(440.0, 1.5)
    assert (len(short), len(long)) == (2_880, 4_320)
    assert short[:2_500] == long[:2_500]
    assert short[0] == short[-1] == long[-1] == 0
    assert max(map(abs, short[:48])) < max(short) / 3
    assert max(map(abs, short[-24:])) < max(map(abs, short[-480:-360])) / 3
    assert 5_000 < max(long) < 32_767 / 3


@pytest.mark.parametrize("how", ["tones", "espeak-ng"])
@pytest.mark.parametrize("text", ["", "...", "🎉", " \n", "[[]]", "-", "\x01"])
async def test_what_cannot_be_pronounced_asks_no_command(espeak: Espeak, how: str, text: str) -> None:
    espeak.does(SPEAK, wav(tone(0.5)))
    (made,) = await say(SpeechSynthesizer(how), text)
    assert made.pcm == synth.render(text)
    assert not any(made.pcm)
    assert espeak.calls == 0
    assert b"".join(map(base64.b64decode, made.chunks(40))) == made.pcm


# Voice


def test_chunks_are_the_sound_and_made_once() -> None:
    made = SynthesizedSpeech(bytes(range(256)) * 40)  # 10,240 bytes: 2 chunks of 100 ms and some
    pieces = made.chunks(100)
    assert [len(base64.b64decode(piece)) for piece in pieces] == [4_800, 4_800, 640]
    assert b"".join(map(base64.b64decode, pieces)) == made.pcm
    assert made.chunks(100) is pieces
    assert len(made.chunks(40)) == 6
    assert made.chunks(100) is pieces
    assert SynthesizedSpeech(b"").chunks(40) == []
    assert SynthesizedSpeech(b"").seconds == 0


async def test_the_same_words_are_one_voice() -> None:
    speech = SpeechSynthesizer("tones")
    first, other, again, spaced = await say(speech, "hello", "hullo", "hello", "  hello\n")
    assert first is again is spaced
    assert other is not first


async def test_the_voices_said_last_are_remembered() -> None:
    speech = SpeechSynthesizer("tones")
    one, two = await say(speech, "one", "two")
    for n in range(30):
        await say(speech, f"number {n}")
    assert (await say(speech, "one"))[0] is one
    await say(speech, "one more")  # the second is forgotten: it was said longest ago
    assert (await say(speech, "one"))[0] is one
    (again,) = await say(speech, "two")
    assert again is not two
    assert again.pcm == two.pcm == synth.render("two")


# What espeak-ng is given


def test_espeak_that_is_not_there(espeak: Espeak) -> None:
    assert SpeechSynthesizer().name == "tones"
    with pytest.raises(ValueError, match=r'"espeak-ng" is not on the PATH: install it, or choose "tones"'):
        SpeechSynthesizer("espeak-ng")


@pytest.mark.parametrize("how", ["festival", "", "/bin/sh", "espeak", "espeak-ng --help"])
def test_an_unknown_name(how: str) -> None:
    with pytest.raises(ValueError, match="choose tones or espeak-ng"):
        SpeechSynthesizer(how)


async def test_words_come_on_stdin_only(espeak: Espeak) -> None:
    espeak.does('printf "%s\\n" "$@" > args; cat > heard; cat sound.wav', wav(tone(0.3)))
    made = (await say(SpeechSynthesizer("espeak-ng"), "--help -w evil.wav; $(touch evil) `touch evil`"))[0]
    assert len(made.pcm) > 10_000
    assert (espeak.folder / "heard").read_text() == "--help -w evil.wav; $(touch evil) `touch evil`"
    args = (espeak.folder / "args").read_text()
    assert "evil" not in args and "help" not in args
    assert not list(espeak.folder.glob("evil*"))


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("a" * 5_000, "a" * 200),
        ("日" * 300, "日" * 200),
        ("[[h@l'oU]] you [[[x]]]", "h@l'oU you x"),
        ("one\x01+90S two\x001\x9b2\x1b", "one +90S two 1 2"),
        ("a\ud800b", "a b"),
        ("two\nlines\r\n\tand a tab\u2028end", "two lines and a tab end"),
        ("naïve 🎉 «ça»", "naïve 🎉 «ça»"),
    ],
)
async def test_nothing_in_the_words_steers_the_command(espeak: Espeak, text: str, heard: str) -> None:
    espeak.does("cat > heard; cat sound.wav", wav(tone(0.3)))
    await say(SpeechSynthesizer("espeak-ng"), text)
    assert (espeak.folder / "heard").read_text() == heard


async def test_a_sound_server_that_hangs_is_not_asked(espeak: Espeak, monkeypatch: pytest.MonkeyPatch) -> None:
    """espeak-ng connects to it even when it writes no sound, and waits for ever for one that hangs."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/somewhere/that/hangs")
    espeak.does(f'echo "$PULSE_SERVER" > asked; {SPEAK}', wav(tone(0.3)))
    await say(SpeechSynthesizer("espeak-ng"), "hello")
    assert (espeak.folder / "asked").read_text() == "unix:/dev/null\n"


# What espeak-ng gives


@pytest.mark.parametrize(
    ("sound", "seconds"),
    [
        (wav(tone(0.5)), 0.459),  # the samples of 22,050 Hz are those of 24,000
        (wav(tone(0.5), length=0x7FFFF000), 0.459),
        (wav(tone(0.5)) + b"LIST\4\0\0\0abcd", 0.459),
        (wav(b"\3\0\xfd\xff" * 5_000 + tone(0.5, rate=RATE) + b"\3\0\xfd\xff" * 5_000), 0.55),
        (wav(tone(0.2, rate=RATE) + bytes(48_000) + tone(0.2, rate=RATE)), 1.4),
        (wav(tone(1) * 40), 30),
    ],
    ids=[
        "plain",
        "streamed",
        "chunk-after",
        "silence-around",
        "silence-within",
        "endless",
    ],
)
async def test_what_becomes_of_a_wav(espeak: Espeak, sound: bytes, seconds: float) -> None:
    made = await espeak.spoken(sound)
    assert made.seconds == pytest.approx(seconds, abs=0.005)
    assert made.pcm.strip(b"\0") in sound


async def test_silence_around_the_speech_is_cut(espeak: Espeak) -> None:
    hiss = struct.pack("<2h", 3, -3) * 10_000
    made = await espeak.spoken(wav(hiss + tone(0.5, rate=RATE) + hiss))
    loud = [n for n, sample in enumerate(samples(made.pcm)) if abs(sample) > 256]
    assert 0.005 <= loud[0] / RATE <= 0.015
    assert 0.030 <= made.seconds - loud[-1] / RATE <= 0.050


@pytest.mark.parametrize(
    "sound",
    [wav(b""), wav(bytes(600)), wav(bytes(20_000)), wav(b"\3\0\xfd\xff" * 5_000)],
    ids=["empty", "short", "zero", "hiss"],
)
async def test_nothing_to_say_is_no_failure(espeak: Espeak, sound: bytes) -> None:
    lines: list[str] = []
    espeak.does(SPEAK, sound)
    speech = SpeechSynthesizer("espeak-ng", log=lines.append)
    texts = ["one", "two", "three", "four"]
    assert [made.pcm for made in await say(speech, *texts)] == [synth.render(text) for text in texts]
    assert (speech.name, lines) == ("espeak-ng", [])


# Failures

FAILURES = {
    "exit code": (f"{SPEAK}; exit 3", wav(tone(0.5)), "returned non-zero exit status 3"),
    "killed": ("cat sound.wav; kill -9 $$", wav(tone(0.5)), "died with <Signals.SIGKILL"),
    "reads nothing": ("exec 0<&-; exit 1", b"", "returned non-zero exit status 1"),
    "writes nothing": ("cat > /dev/null", b"", ""),
    "garbage": (SPEAK, bytes(range(256)) * 99, "file does not start with RIFF id"),
    "cut": (SPEAK, wav(tone(0.5))[:30], ""),
    "rate": (SPEAK, wav(tone(0.5), 16_000), "not 16-bit mono at 22050 Hz"),
    "stereo": (SPEAK, wav(tone(0.5), channels=2), "not 16-bit mono at 22050 Hz"),
    "8 bit": (SPEAK, wav(tone(0.5), bits=8), "not 16-bit mono at 22050 Hz"),
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_espeak_is_given_up_at_the_third_failure(espeak: Espeak, kind: str) -> None:
    body, sound, why = FAILURES[kind]
    lines: list[str] = []
    espeak.does(body, sound)
    speech = SpeechSynthesizer("espeak-ng", log=lines.append)
    texts = ["one", "two", "one", "two"]  # the failed are not tried again
    assert [made.pcm for made in await say(speech, *texts)] == [synth.render(text) for text in texts]
    assert (speech.name, lines, espeak.calls) == ("espeak-ng", [], 2)
    await say(speech, "three", "four")
    assert (speech.name, espeak.calls) == ("tones", 3)
    assert len(lines) == 1
    assert lines[0].startswith("espeak-ng failed 3 times in a row, tones from now on: ") and why in lines[0]


async def test_espeak_that_disappears(espeak: Espeak) -> None:
    lines: list[str] = []
    espeak.does(SPEAK, wav(tone(0.5)))
    speech = SpeechSynthesizer("espeak-ng", log=lines.append)
    (espeak.folder / "espeak-ng").unlink()
    assert [made.pcm for made in await say(speech, *THREE)] == [synth.render(text) for text in THREE]
    assert speech.name == "tones"
    assert len(lines) == 1 and "espeak-ng" in lines[0]


async def test_a_success_between_failures_starts_the_count_anew(espeak: Espeak) -> None:
    espeak.does('read -r word; [ "$word" = fine ] || exit 1; cat sound.wav', wav(tone(0.5)))
    speech = SpeechSynthesizer("espeak-ng")
    await say(speech, "one", "two", "fine", "three", "four")
    assert speech.name == "espeak-ng"
    await say(speech, "five")
    assert speech.name == "tones"


async def test_failures_at_the_same_time_are_told_once(espeak: Espeak) -> None:
    lines: list[str] = []
    espeak.does("exit 1")
    speech = SpeechSynthesizer("espeak-ng", log=lines.append)
    got = await asyncio.gather(*(speech.synthesize(f"number {n}") for n in range(12)))
    assert [made.pcm for made in got] == [synth.render(f"number {n}") for n in range(12)]
    assert (len(lines), espeak.calls) == (1, 3)


async def test_espeak_that_hangs_is_killed_and_the_loop_runs_on(espeak: Espeak) -> None:
    espeak.does("echo $$ > pid; exec sleep 60")
    speech = SpeechSynthesizer("espeak-ng", patience=1.5)
    pid = espeak.folder / "pid"

    async def sees_it_run() -> bool:
        await until(lambda: pid.exists() and pid.read_text())
        return not gone(int(pid.read_text()))

    seen = asyncio.create_task(sees_it_run())
    assert (await speech.synthesize("one")).pcm == synth.render("one")
    assert gone(int(pid.read_text()))
    assert await seen  # a loop that waited for the command would have looked too late


# Many at once


async def test_the_same_words_are_rendered_once_for_all(espeak: Espeak) -> None:
    espeak.does(f"sleep 0.1; {SPEAK}", wav(tone(0.5)))
    speech = SpeechSynthesizer("espeak-ng")
    voices = await asyncio.gather(*(speech.synthesize("hello") for _ in range(50)))
    assert {id(made) for made in voices} == {id(voices[0])}
    assert await speech.synthesize("hello") is voices[0]
    assert espeak.calls == 1


async def test_callers_that_leave_take_nothing_from_the_others(espeak: Espeak) -> None:
    espeak.does(f"while [ ! -e go ]; do sleep 0.01; done; {SPEAK}", wav(tone(0.5)))
    speech = SpeechSynthesizer("espeak-ng")
    first, second, third = (asyncio.create_task(speech.synthesize("hello")) for _ in range(3))
    await until(lambda: espeak.calls)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    assert first.cancelled() and second.cancelled()
    (espeak.folder / "go").touch()
    assert (await third).seconds == pytest.approx(0.459, abs=0.005)


# The real command


def pitch(pcm: bytes, rate: int) -> float:
    """The median pitch in Hz of the voiced pieces of 40 ms, by autocorrelation between 60 and 200 Hz."""
    step = 3
    all_samples = samples(pcm)[::step]
    rate //= step
    size, found = rate // 25, []
    for at in range(0, len(all_samples) - 2 * size, size):
        piece = all_samples[at : at + 2 * size]
        power = sum(x * x for x in piece[:size])
        if power < size * 600 * 600:
            continue
        lags = range(rate // 200, rate // 60)
        best = max(
            lags, key=lambda lag: sum(x * y for x, y in zip(piece[:size], piece[lag : lag + size], strict=True))
        )
        found.append(rate / best)
    return sorted(found)[len(found) // 2]


SENTENCE = "The capital of France is Paris. It has about two million people, and it lies on the river Seine."


@needs_espeak
async def test_espeak_speaks_at_its_natural_pace_and_pitch(tmp_path: Path) -> None:
    plain = tmp_path / "plain.wav"
    subprocess.run(["espeak-ng", "-v", "en", "-w", plain, SENTENCE], check=True, timeout=20)
    with wave.open(str(plain)) as file:
        assert file.getframerate() == 22_050
        natural = file.readframes(file.getnframes())
    (made,) = await say(SpeechSynthesizer("espeak-ng"), SENTENCE)
    loud = [n for n, sample in enumerate(samples(natural)) if abs(sample) > 512]
    assert made.seconds == pytest.approx((loud[-1] - loud[0]) / 22_050, rel=0.04)
    assert pitch(made.pcm, RATE) == pytest.approx(pitch(natural, 22_050), rel=0.04)
    assert 8_000 < max(map(abs, samples(made.pcm))) < 16_384


@needs_espeak
async def test_espeak_says_the_same_again() -> None:
    first, second = [(await say(SpeechSynthesizer("espeak-ng"), SENTENCE))[0] for _ in range(2)]
    assert first is not second
    assert first.pcm == second.pcm != synth.render(SENTENCE)


@needs_espeak
async def test_espeak_is_not_steered() -> None:
    speech = SpeechSynthesizer("espeak-ng")
    texts = ["h@l'oU", "[[h@l'oU]]", "\x01+90S hello there", "+90S hello there", "\x019000B hello", "-w x.wav hello"]
    plain, phonemes, fast, spaced, slow, marked = await say(speech, *texts)
    assert phonemes is plain
    assert fast is spaced
    assert slow.seconds < 5
    assert 0.5 < marked.seconds < 5
    assert speech.name == "espeak-ng"


@needs_espeak
@pytest.mark.parametrize(
    "text", ["日" * 300, "9" * 300, "👩 ok " * 70, "a. " * 100, "\u0301a" * 200, "𐪝", "ʰ", "<x a='"]
)
async def test_espeak_takes_whatever_comes(text: str) -> None:
    lines: list[str] = []
    speech = SpeechSynthesizer("espeak-ng", log=lines.append)
    (made,) = await say(speech, text)
    assert 0 < made.seconds <= 30
    assert max(map(abs, samples(made.pcm))) <= 16_384
    assert speech._failures == 0
