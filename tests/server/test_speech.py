"""The stand-in's speech: tones, commands that speak, and commands that do not. Each command is a real process.

- Scripts named like the commands stand on a PATH of their own; the real espeak-ng is tried where it is installed.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import shutil
import struct
import subprocess
import sys
import textwrap
import wave
from array import array
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from livews.server import synth
from livews.server.speech import SpeechSynthesizer, SynthesizedSpeech
from tests.kit import sound
from tests.kit.waiting import until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands of these tests are shell scripts")
REAL = [name for name in ("espeak-ng", "espeak") if shutil.which(name)]
needs_espeak = pytest.mark.skipif("espeak-ng" not in REAL, reason="espeak-ng is not installed")
RATE = 24_000
THREE = ["one", "two", "three"]


async def say(speech: SpeechSynthesizer, *texts: str) -> list[SynthesizedSpeech]:
    return [await speech.synthesize(text) for text in texts]


def samples(pcm: bytes) -> array[int]:
    return array("h", struct.unpack(f"<{len(pcm) // 2}h", pcm))


tone = partial(sound.tone, rate=22_050)


def wav(
    pcm: bytes, rate: int = 22_050, channels: int = 1, bits: int = 16, length: int | None = None, pad: int = 0
) -> bytes:
    """A WAV; `length` is what its header claims, `pad` the bytes of a chunk before the samples."""
    length = len(pcm) if length is None else length
    size = bits // 8 * channels
    head = b"RIFF" + struct.pack("<I", (length + 36) & 0xFFFFFFFF)
    form = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * size, size, bits)
    filler = b"FLLR" + struct.pack("<I", pad) + bytes(pad + pad % 2) if pad else b""
    return head + form + filler + b"data" + struct.pack("<I", length) + pcm


class Commands:
    """A folder on the PATH with the commands a test wants. In a script `$last` is the file the WAV goes to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, body: str, name: str = "espeak-ng", sound: bytes = b"") -> None:
        (self.folder / "sound.wav").write_bytes(sound)
        script = self.folder / name
        script.write_text(f'#!/bin/sh\ncd "{self.folder}"\nfor last; do :; done\necho x >> calls\n{body}\n')
        script.chmod(0o755)

    def speaks(self, sound: bytes, name: str = "espeak-ng") -> None:
        self.add('cat > /dev/null; cp sound.wav "$last"', name, sound)

    async def spoken(self, sound: bytes) -> SynthesizedSpeech:
        """What becomes of this WAV."""
        self.speaks(sound)
        return await SpeechSynthesizer("espeak-ng").synthesize("hello")

    @property
    def calls(self) -> int:
        calls = self.folder / "calls"
        return len(calls.read_text().split()) if calls.exists() else 0


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cat", "cp", "sleep"):  # nothing else, above all no real command of speech
        (folder / name).symlink_to(shutil.which(name) or name)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)  # read TMPDIR anew
    yield Commands(folder)
    gc.collect()  # a process or a file left open warns here, and a warning fails the test
    assert list(scratch.iterdir()) == []


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
async def test_what_cannot_be_pronounced_asks_no_command(commands: Commands, how: str, text: str) -> None:
    commands.speaks(wav(tone(0.5)))
    speech = SpeechSynthesizer(how)
    (made,) = await say(speech, text)
    assert made.pcm == synth.render(text)
    assert not any(made.pcm)
    assert commands.calls == 0
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


@pytest.mark.parametrize("ms", [0, -40])
def test_chunks_of_no_length_are_refused(ms: int) -> None:
    with pytest.raises(ValueError, match="ms"):
        SynthesizedSpeech(b"\0\0").chunks(ms)


async def test_the_same_words_are_one_voice() -> None:
    speech = SpeechSynthesizer("tones")
    first, other, again, spaced = await say(speech, "hello", "hullo", "hello", "  hello\n")
    assert first is again is spaced
    assert other is not first


async def test_the_voices_said_last_are_remembered() -> None:
    size = len(synth.render("hello"))
    speech = SpeechSynthesizer("tones", cache_bytes=3 * size)
    one, _two, _three, again, _four = await say(speech, "hello", "jello", "cello", "hello", "mello")
    assert again is one
    assert (await say(speech, "hello"))[0] is one  # the second was forgotten: it was said longest ago
    (two,) = await say(speech, "jello")
    assert two is not _two
    assert (await say(speech, "jello"))[0] is two


async def test_chunks_count_as_memory() -> None:
    size = len(synth.render("hello"))
    speech = SpeechSynthesizer("tones", cache_bytes=3 * size)
    one, two = await say(speech, "hello", "jello")
    two.chunks(40)
    assert two.size == size + sum(map(len, two.chunks(40))) > 2 * size
    await say(speech, "jello")
    assert (await say(speech, "hello"))[0] is not one


async def test_voices_without_sound_are_forgotten_too() -> None:
    speech = SpeechSynthesizer("tones")
    first, *_ = await say(speech, *(chr(0x2190 + n) for n in range(700)))
    assert first.pcm == b""
    assert (await say(speech, chr(0x2190)))[0] is not first


async def test_a_voice_too_large_to_remember_is_still_said() -> None:
    speech = SpeechSynthesizer("tones", cache_bytes=0)
    one, two = await say(speech, "hello", "hello")
    assert one is not two
    assert one.pcm == two.pcm == synth.render("hello")


# Which command


def test_tones_are_the_default_and_auto_is_tones_where_no_command_is(commands: Commands) -> None:
    assert SpeechSynthesizer("auto").name == "tones"
    commands.add("", "espeak-ng")
    assert SpeechSynthesizer().name == "tones"


def test_auto_takes_the_better_command(commands: Commands) -> None:
    commands.add("", "espeak")
    assert SpeechSynthesizer("auto").name == "espeak"
    commands.add("", "espeak-ng")
    assert SpeechSynthesizer("auto").name == "espeak-ng"
    assert SpeechSynthesizer("espeak").name == "espeak"
    assert SpeechSynthesizer("tones").name == "tones"


@pytest.mark.skipif(sys.platform == "darwin", reason="say is a command of speech on macOS")
def test_auto_leaves_another_systems_say_alone(commands: Commands) -> None:
    commands.add("", "say")
    assert SpeechSynthesizer("auto").name == "tones"


def test_a_command_that_is_not_there(commands: Commands) -> None:
    with pytest.raises(ValueError, match=r'"espeak-ng" is not on the PATH: install it, or choose "tones"'):
        SpeechSynthesizer("espeak-ng")


@pytest.mark.parametrize("how", ["festival", "", "/bin/sh", "sh", "espeak-ng --help"])
def test_an_unknown_name(commands: Commands, how: str) -> None:
    with pytest.raises(ValueError, match="choose one of tones, auto, espeak-ng, espeak, say"):
        SpeechSynthesizer(how)


# What a command is given


@pytest.mark.parametrize("name", ["espeak-ng", "espeak", "say"])
async def test_words_come_on_stdin_only(commands: Commands, name: str) -> None:
    sound = wav(tone(0.3, rate=RATE), RATE if name == "say" else 22_050)
    commands.add('printf "%s\\n" "$@" > args; cat > heard; cp sound.wav "$last"', name, sound)
    made = (await say(SpeechSynthesizer(name), "--help -w evil.wav; $(touch evil) `touch evil`"))[0]
    assert len(made.pcm) > 10_000
    assert (commands.folder / "heard").read_text() == "--help -w evil.wav; $(touch evil) `touch evil`"
    args = (commands.folder / "args").read_text()
    assert "evil" not in args and "help" not in args
    assert args.startswith("-f\n-\n" if name == "say" else "--stdin\n")
    assert not list(commands.folder.glob("evil*"))


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
async def test_nothing_in_the_words_steers_the_command(commands: Commands, text: str, heard: str) -> None:
    commands.add('cat > heard; cp sound.wav "$last"', sound=wav(tone(0.3)))
    await say(SpeechSynthesizer("espeak-ng"), text)
    assert (commands.folder / "heard").read_text() == heard


async def test_a_sound_server_that_hangs_is_not_asked(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """espeak-ng connects to it even when it writes a file, and waits for ever for one that hangs."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/somewhere/that/hangs")
    commands.add('echo "$PULSE_SERVER" > asked; cat > /dev/null; cp sound.wav "$last"', sound=wav(tone(0.3), 22_050))
    await say(SpeechSynthesizer("espeak-ng"), "hello")
    assert (commands.folder / "asked").read_text() == "unix:/dev/null\n"


async def test_say_writes_its_file_at_24_khz(commands: Commands) -> None:
    sound = wav(tone(0.5, rate=RATE), RATE, pad=4_044)
    commands.add('printf "%s\\n" "$@" > args; cat > /dev/null; cp sound.wav "$last"', "say", sound)
    speech = SpeechSynthesizer("say")
    (made,) = await say(speech, "hello")
    *args, file = (commands.folder / "args").read_text().split()
    assert args == ["-f", "-", "--data-format=LEI16@24000", "-o"]
    assert file.endswith(".wav")
    assert made.seconds == pytest.approx(0.5, abs=0.01)


# What a command gives


async def test_the_samples_of_22_050_hz_are_those_of_24_000(commands: Commands) -> None:
    sound = tone(0.5)
    made = await commands.spoken(wav(sound))
    assert made.pcm[:-480] == sound[:-480]
    assert made.seconds == pytest.approx(0.5 * 22_050 / 24_000, abs=0.001)


@pytest.mark.parametrize(
    "sound",
    [
        wav(tone(0.5), length=0x7FFFF000),
        wav(tone(0.5), length=0xFFFFFFFF),
        wav(tone(0.5)) + b"LIST\4\0\0\0abcd",
        wav(tone(0.5), pad=4_044),
        wav(tone(0.5), pad=31),
        wav(tone(0.5) + b"\1"),
    ],
    ids=["streamed", "streamed-max", "chunk-after", "chunk-before", "odd-chunk-before", "odd"],
)
async def test_wavs_as_they_come(commands: Commands, sound: bytes) -> None:
    made = await commands.spoken(sound)
    assert made.pcm[:-480] == tone(0.5)[:-480]


async def test_silence_around_the_speech_is_cut(commands: Commands) -> None:
    hiss = struct.pack("<2h", 3, -3) * 10_000
    made = await commands.spoken(wav(hiss + tone(0.5, rate=RATE) + hiss))
    loud = [n for n, sample in enumerate(samples(made.pcm)) if abs(sample) > 256]
    assert 0.005 <= loud[0] / RATE <= 0.015
    assert 0.030 <= made.seconds - loud[-1] / RATE <= 0.050
    assert made.seconds == pytest.approx(0.55, abs=0.005)


async def test_silence_within_stays(commands: Commands) -> None:
    made = await commands.spoken(wav(tone(0.2, rate=RATE) + bytes(48_000) + tone(0.2, rate=RATE)))
    assert made.seconds == pytest.approx(1.4, abs=0.01)


@pytest.mark.parametrize("level", [32_767, 20_000])
async def test_a_loud_voice_is_halved(commands: Commands, level: int) -> None:
    sound = samples(
        tone(0.3, level=level) + struct.pack("<6h", 32_767, -32_768, -1, 1, -2, 0) + tone(0.1, level=level)
    )
    commands.speaks(wav(sound.tobytes() if sys.byteorder == "little" else b""))
    made = samples((await say(SpeechSynthesizer("espeak-ng"), "hello"))[0].pcm)
    assert list(made[:-240]) == [sample >> 1 for sample in sound[:-240]]
    assert max(map(abs, made)) == 16_384


async def test_a_voice_that_is_not_loud_is_left_alone(commands: Commands) -> None:
    sound = tone(0.3) + struct.pack("<2h", 16_383, -16_384) + tone(0.1)
    assert (await commands.spoken(wav(sound))).pcm[:-480] == sound[:-480]


async def test_a_voice_without_end_is_cut_without_a_click(commands: Commands) -> None:
    made = await commands.spoken(wav(tone(1) * 40))
    assert made.seconds == 30
    assert samples(made.pcm)[-1] == 0
    assert max(map(abs, samples(made.pcm[-96:]))) < 2_000


@pytest.mark.parametrize(
    "sound",
    [wav(b""), wav(bytes(600)), wav(bytes(20_000)), wav(b"\3\0\xfd\xff" * 5_000)],
    ids=["empty", "short", "zero", "hiss"],
)
async def test_a_command_with_nothing_to_say_has_not_failed(commands: Commands, sound: bytes) -> None:
    lines: list[str] = []
    commands.speaks(sound)
    speech = SpeechSynthesizer("espeak-ng", log=lines.append)
    texts = ["one", "two", "three", "four"]
    assert [made.pcm for made in await say(speech, *texts)] == [synth.render(text) for text in texts]
    assert (speech.name, lines) == ("espeak-ng", [])


# Commands that fail

FAILURES = {
    "exit code": ('cat > /dev/null; cp sound.wav "$last"; exit 3', wav(tone(0.5)), "exit code 3"),
    "killed": ('cp sound.wav "$last"; kill -9 $$', wav(tone(0.5)), "exit code -9"),
    "reads nothing": ("exec 0<&-; exit 1", b"", "exit code 1"),
    "writes nothing": ("cat > /dev/null", b"", "no sound came"),
    "speaks elsewhere": ("cat > /dev/null; cat sound.wav", wav(tone(0.5)), "no sound came"),
    "empty": ('cp sound.wav "$last"', b"", "it is empty"),
    "garbage": ('cp sound.wav "$last"', bytes(range(256)) * 99, "it is not a WAV file"),
    "cut": ('cp sound.wav "$last"', wav(tone(0.5))[:30], "its header is cut off"),
    "no samples": ('cp sound.wav "$last"', wav(b"")[:36], "there is no data chunk"),
    "samples first": ('cp sound.wav "$last"', b"RIFF\0\0\0\0WAVEdata\4\0\0\0\1\2\3\4", "there is no fmt chunk"),
    "rate": ('cp sound.wav "$last"', wav(tone(0.5), 16_000), "not mono at 22050 Hz"),
    "stereo": ('cp sound.wav "$last"', wav(tone(0.5), channels=2), "not mono at 22050 Hz"),
    "12 bit": ('cp sound.wav "$last"', wav(tone(0.5), bits=12), "its sound is PCM of 12 bits"),
    "a folder": ('/bin/mkdir "$last"', b"", "not a regular file"),
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_a_command_that_fails_is_given_up_at_the_third_time(commands: Commands, kind: str) -> None:
    body, sound, why = FAILURES[kind]
    lines: list[str] = []
    commands.add(body, sound=sound)
    speech = SpeechSynthesizer("espeak-ng", log=lines.append)
    texts = ["one", "two", "one", "two"]  # the failed are not tried again
    assert [made.pcm for made in await say(speech, *texts)] == [synth.render(text) for text in texts]
    assert (speech.name, lines, commands.calls) == ("espeak-ng", [], 2)
    await say(speech, "three")
    assert (speech.name, commands.calls) == ("tones", 3)
    assert (await say(speech, "four"))[0].pcm == synth.render("four")
    assert commands.calls == 3
    assert len(lines) == 1
    assert lines[0].startswith("espeak-ng failed 3 times in a row, tones from now on: ") and why in lines[0]


async def test_a_command_that_disappears(commands: Commands) -> None:
    lines: list[str] = []
    commands.speaks(wav(tone(0.5)))
    speech = SpeechSynthesizer("espeak-ng", log=lines.append)
    (commands.folder / "espeak-ng").unlink()
    assert [made.pcm for made in await say(speech, *THREE)] == [synth.render(text) for text in THREE]
    assert speech.name == "tones"
    assert len(lines) == 1 and "espeak-ng" in lines[0]


async def test_no_folder_for_the_file(commands: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands.speaks(wav(tone(0.5)))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    speech = SpeechSynthesizer("espeak-ng")
    assert [made.pcm for made in await say(speech, *THREE)] == [synth.render(text) for text in THREE]
    assert (speech.name, commands.calls) == ("tones", 0)


async def test_a_success_between_failures_starts_the_count_anew(commands: Commands) -> None:
    commands.add('read -r word; [ "$word" = fine ] || exit 1; cp sound.wav "$last"', sound=wav(tone(0.5)))
    speech = SpeechSynthesizer("espeak-ng")
    await say(speech, "one", "two", "fine", "three", "four")
    assert speech.name == "espeak-ng"
    await say(speech, "five")
    assert speech.name == "tones"


async def test_failures_at_the_same_time_are_told_once(commands: Commands) -> None:
    lines: list[str] = []
    commands.add("sleep 0.1; exit 1")  # the third and the fourth run side by side
    speech = SpeechSynthesizer("espeak-ng", log=lines.append)
    got = await asyncio.gather(*(speech.synthesize(f"number {n}") for n in range(12)))
    assert [made.pcm for made in got] == [synth.render(f"number {n}") for n in range(12)]
    assert len(lines) == 1
    assert commands.calls <= 4


async def test_a_command_that_hangs_is_killed_and_the_loop_runs_on(commands: Commands) -> None:
    commands.add("echo $$ > pid; exec sleep 60")
    speech = SpeechSynthesizer("espeak-ng", patience=1.5)
    pid = commands.folder / "pid"

    async def sees_it_run() -> bool:
        await until(lambda: pid.exists() and pid.read_text())
        return not gone(int(pid.read_text()))

    seen = asyncio.create_task(sees_it_run())
    assert (await speech.synthesize("one")).pcm == synth.render("one")
    assert gone(int(pid.read_text()))
    assert await seen  # a loop that waited for the command would have looked too late


async def test_commands_that_hang_are_given_up(commands: Commands) -> None:
    commands.add("exec sleep 60")
    lines: list[str] = []
    speech = SpeechSynthesizer("espeak-ng", log=lines.append, patience=0.1)
    await say(speech, "one", "two", "three", "four")
    assert speech.name == "tones"
    assert lines == ["espeak-ng failed 3 times in a row, tones from now on: no answer in 0.1 s"]


async def test_a_command_that_speaks_too_late(commands: Commands) -> None:
    commands.add('sleep 1; cp sound.wav "$last"', sound=wav(tone(0.5)))
    assert (await say(SpeechSynthesizer("espeak-ng", patience=0.2), "one"))[0].pcm == synth.render("one")


async def test_a_command_that_never_reads_takes_the_longest_words(commands: Commands) -> None:
    commands.add('cp sound.wav "$last"', sound=wav(tone(0.5)))
    assert (await say(SpeechSynthesizer("espeak-ng"), "𝕒" * 300))[0].pcm[:-480] == tone(0.5)[:-480]


# Many at once


async def test_the_same_words_are_rendered_once_for_all(commands: Commands) -> None:
    commands.add('cat > /dev/null; sleep 0.1; cp sound.wav "$last"', sound=wav(tone(0.5)))
    speech = SpeechSynthesizer("espeak-ng")
    voices = await asyncio.gather(*(speech.synthesize("hello") for _ in range(50)))
    assert {id(made) for made in voices} == {id(voices[0])}
    assert await speech.synthesize("hello") is voices[0]
    assert commands.calls == 1


async def test_two_commands_run_at_once(commands: Commands) -> None:
    second = "while set -- $(cat log); [ $# -lt 2 ]; do sleep 0.01; done"  # the first waits for it
    commands.add(f'echo + >> log; {second}; sleep 0.1; echo - >> log; cp sound.wav "$last"', sound=wav(tone(0.5)))
    speech = SpeechSynthesizer("espeak-ng")
    await asyncio.gather(*(speech.synthesize(f"number {n}") for n in range(6)))
    running = most = 0
    for sign in (commands.folder / "log").read_text().split():
        running += 1 if sign == "+" else -1
        most = max(most, running)
    assert (commands.calls, most) == (6, 2)


async def test_one_caller_that_leaves_takes_nothing_from_the_others(commands: Commands) -> None:
    commands.add('while [ ! -e go ]; do sleep 0.01; done; cp sound.wav "$last"', sound=wav(tone(0.5)))
    speech = SpeechSynthesizer("espeak-ng")
    first, second = (asyncio.create_task(speech.synthesize("hello")) for _ in range(2))
    await until(lambda: commands.calls)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    (commands.folder / "go").touch()
    made = await second
    assert made.pcm[:-480] == tone(0.5)[:-480]
    assert commands.calls == 1


async def test_when_all_callers_leave_the_command_ends(commands: Commands) -> None:
    commands.add("echo $$ >> pids; exec sleep 60")
    lines: list[str] = []
    speech = SpeechSynthesizer("espeak-ng", log=lines.append)
    pids = commands.folder / "pids"
    running = [asyncio.create_task(speech.synthesize("hello")) for _ in range(3)]
    waiting = [asyncio.create_task(speech.synthesize(f"number {n}")) for n in range(5)]
    await until(lambda: pids.exists() and len(pids.read_text().split()) >= 2)
    for task in running + waiting:
        task.cancel()
    await asyncio.gather(*running, *waiting, return_exceptions=True)
    await until(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))
    commands.speaks(wav(tone(0.5)))
    made = await speech.synthesize("hello")  # what was given up is not remembered, nor counted as a failure
    assert made.pcm[:-480] == tone(0.5)[:-480]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert lines == []
    assert commands.calls == 3  # what only waited for its turn never started


def test_a_loop_that_ends_while_a_command_runs(commands: Commands) -> None:
    commands.add("echo $$ >> pids; exec sleep 60")
    code = """
        import asyncio, gc
        from livews.server.speech import SpeechSynthesizer

        async def main(steps):
            speech = SpeechSynthesizer("espeak-ng")
            told = [asyncio.create_task(speech.synthesize(f"number {n}")) for n in range(3)]
            for _ in range(steps):
                await asyncio.sleep(0)
            if steps == 9:
                await asyncio.sleep(0.5)  # the commands run now

        for steps in range(10):
            asyncio.run(main(steps))
            gc.collect()
        print("ended")
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=50, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    slow = [line for line in done.stderr.splitlines() if "Executing <" not in line]  # the debug mode's stop-watch
    assert (done.stdout, slow, done.returncode) == ("ended\n", [], 0)
    pids = (commands.folder / "pids").read_text().split()
    assert pids and all(gone(int(pid)) for pid in pids)


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
@pytest.mark.parametrize("name", REAL)
async def test_espeak_speaks_at_its_natural_pace_and_pitch(name: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain.wav"
    subprocess.run([name, "-v", "en", "-w", plain, SENTENCE], check=True, timeout=20)
    with wave.open(str(plain)) as file:
        assert file.getframerate() == 22_050
        natural = file.readframes(file.getnframes())
    (made,) = await say(SpeechSynthesizer(name), SENTENCE)
    loud = [n for n, sample in enumerate(samples(natural)) if abs(sample) > 512]
    assert made.seconds == pytest.approx((loud[-1] - loud[0]) / 22_050, rel=0.04)
    assert pitch(made.pcm, RATE) == pytest.approx(pitch(natural, 22_050), rel=0.04)
    assert 8_000 < max(map(abs, samples(made.pcm))) < 16_384


@needs_espeak
@pytest.mark.parametrize("name", REAL)
async def test_espeak_says_the_same_again(name: str) -> None:
    first, second = [(await say(SpeechSynthesizer(name), SENTENCE))[0] for _ in range(2)]
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
