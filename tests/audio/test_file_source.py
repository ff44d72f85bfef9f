"""A WAV file as a microphone: real files of every kind, real time."""

from __future__ import annotations

import asyncio
import os
import random
import struct
import sys
import time
from array import array
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from math import pi, sin
from pathlib import Path

import pytest

from livews.audio.analysis.levels import first_sound, last_sound
from livews.audio.file_source import FileSource
from livews.audio.microphone import AudioChunk
from livews.audio.wav import WavReader
from livews.errors import BadRequest
from livews.exit_codes import Exit
from tests.kit.sound import RATE, write_wav


def samples(seconds: float, rate: int = RATE) -> array[int]:
    luck = random.Random(3)
    return array("h", (luck.choice((-1, 1)) * luck.randint(300, 9000) for _ in range(round(rate * seconds))))


def chunk(name: bytes, data: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2)


def fmt(kind: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16) -> bytes:
    frame = channels * bits // 8
    return struct.pack("<HHIIHH", kind, channels, rate, rate * frame, frame, bits)


def extensible(kind: int, channels: int = 1, rate: int = RATE, bits: int = 16) -> bytes:
    guid = struct.pack("<H", kind) + bytes.fromhex("000000001000800000aa00389b71")
    return fmt(0xFFFE, channels, rate, bits) + struct.pack("<HHI", 22, bits, 0) + guid


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


async def listen(
    microphone: FileSource, each: Callable[[AudioChunk], None] = lambda _: None
) -> list[tuple[AudioChunk, float]]:
    """Every chunk and when it came."""
    microphone.start()
    heard = []
    async for piece in microphone.chunks():
        heard.append((piece, time.monotonic()))
        each(piece)
    microphone.close()
    return heard


async def test_all_samples_come_in_real_time_and_then_silence(tmp_path: Path) -> None:
    pcm = samples(0.61).tobytes() + bytes(32 * 50)
    microphone = FileSource(write_wav(tmp_path / "a.wav", pcm), silence=0.3)
    began = time.monotonic()
    heard = await listen(microphone)
    assert b"".join(piece.pcm for piece, _ in heard) == pcm + bytes(32 * 300)
    assert {len(piece.pcm) for piece, _ in heard} == {1280}
    assert all(piece.at <= came for piece, came in heard), "no chunk comes before it could have been said"
    assert 0.96 <= heard[-1][1] - began < 3
    assert all(b[0].at - a[0].at == pytest.approx(0.040) for a, b in pairwise(heard))
    assert heard[-1][0].at - heard[0][0].at == pytest.approx(0.920), "no sum of sleeps"
    assert microphone.speech_ends_at == pytest.approx(heard[0][0].at - 0.040 + 0.61)
    assert (microphone.heard, microphone.dropped_ms) == (True, 0)


async def test_a_slow_reader_gets_what_is_overdue_at_once(tmp_path: Path) -> None:
    pcm = samples(0.6).tobytes()
    rests = [0.3]
    microphone = FileSource(write_wav(tmp_path / "a.wav", pcm), silence=0)
    heard = await listen(microphone, lambda _: time.sleep(rests.pop()) if rests else None)
    assert b"".join(piece.pcm for piece, _ in heard) == pcm
    assert heard[-1][0].at - heard[0][0].at == pytest.approx(0.56), "the time that was lost is made up for"


async def test_time_begins_with_the_first_reader_and_not_before(tmp_path: Path) -> None:
    microphone = FileSource(write_wav(tmp_path / "a.wav", samples(0.1).tobytes()), silence=0)
    microphone.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert (await listen(microphone))[0][0].at >= began + 0.040


async def test_what_is_said_while_muted_is_not_heard(tmp_path: Path) -> None:
    pcm = samples(0.4).tobytes()
    microphone = FileSource(write_wav(tmp_path / "a.wav", pcm), silence=0)
    microphone.start()
    heard = b""
    async for piece in microphone.chunks():
        heard += piece.pcm
        if len(heard) == 1280:
            microphone.muted = True
            asyncio.get_running_loop().call_later(0.14, setattr, microphone, "muted", False)
    assert heard[:1280] == pcm[:1280]
    assert pcm.endswith(heard[1280:])
    assert len(heard) <= len(pcm) - 3 * 1280
    microphone.close()


async def test_closing_ends_it(tmp_path: Path) -> None:
    microphone = FileSource(write_wav(tmp_path / "a.wav", samples(5).tobytes()))
    heard = await listen(microphone, lambda _: microphone.close())
    assert len(heard) == 1
    microphone.start()
    assert await listen(microphone) == []


async def test_another_rate_is_converted(tmp_path: Path) -> None:
    tone = array("h", (round(9000 * sin(2 * pi * 440 * n / 44100)) for n in range(22050)))
    microphone = FileSource(write_wav(tmp_path / "a.wav", tone.tobytes(), rate=44100), silence=0.1)
    heard = await listen(microphone)
    assert microphone.rate == RATE
    pcm = array("h", b"".join(piece.pcm for piece, _ in heard))
    assert len(pcm) == pytest.approx(9600, abs=2)
    assert max(abs(s - 9000 * sin(2 * pi * 440 * n / RATE)) for n, s in enumerate(pcm[200:7800], 200)) < 20
    began = heard[0][0].at - len(heard[0][0].pcm) / 32000
    assert microphone.speech_ends_at == pytest.approx(began + 0.5, abs=0.002)
    assert heard[-1][0].at == pytest.approx(began + 0.6, abs=0.002)


async def test_without_soxr_the_file_s_own_rate_is_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    pcm = samples(0.1, 48000).tobytes()
    microphone = FileSource(write_wav(tmp_path / "a.wav", pcm, rate=48000), silence=0.05)
    heard = await listen(microphone)
    assert microphone.rate == 48000
    assert b"".join(piece.pcm for piece, _ in heard) == pcm + bytes(4800)
    assert [len(piece.pcm) for piece, _ in heard] == [3840, 3840, 3840, 2880]


# kinds of files


def wav(head: bytes, data: bytes = b"12") -> bytes:
    return riff(chunk(b"LIST", b"odd"), chunk(b"fmt ", head), chunk(b"fact", b"1234"), chunk(b"data", data))


def floats(code: str) -> bytes:
    return array(code, (s / 32768 for s in SIXTEEN)).tobytes()


SIXTEEN = samples(0.02)
SOUND = SIXTEEN.tobytes()
LOW = array("h", (s >> 8 << 8 for s in SIXTEEN))
STEREO = array("h", (s + d for s in SIXTEEN for d in (100, -100)))
SOUNDS: dict[str, tuple[array[int], bytes]] = {
    "u8": (LOW, wav(fmt(bits=8), bytes((s >> 8) + 128 for s in SIXTEEN))),
    "s16": (SIXTEEN, wav(fmt(), SOUND)),
    "s24": (SIXTEEN, wav(fmt(bits=24), b"".join(struct.pack("<i", s << 16 | 0x7FFF)[1:] for s in SIXTEEN))),
    "s32": (SIXTEEN, wav(fmt(bits=32), array("i", (s << 16 | 0x7FFF for s in SIXTEEN)).tobytes())),
    "f32": (SIXTEEN, wav(fmt(3, bits=32), floats("f"))),
    "f64": (SIXTEEN, wav(fmt(3, bits=64), floats("d"))),
    "s16 extensible": (SIXTEEN, wav(extensible(1), SOUND)),
    "f32 extensible": (SIXTEEN, wav(extensible(3, bits=32), floats("f"))),
    "s16 stereo": (SIXTEEN, wav(fmt(channels=2), STEREO.tobytes())),
    "s24 of 4 channels": (LOW, wav(extensible(1, 4, bits=24), b"".join(struct.pack("<xh", s) * 4 for s in LOW))),
    "floats too loud or no numbers": (
        array("h", [32767, -32768, 32767, -32768, 0, 16384]),
        wav(fmt(3, bits=32), struct.pack("<6f", 1.0, -1.0, 7.0, float("-inf"), float("nan"), 0.5)),
    ),
    "no size": (SIXTEEN, riff(chunk(b"fmt ", fmt()), chunk(b"data", SOUND, 0xFFFFFFFF))),
    "too large a size": (SIXTEEN, riff(chunk(b"fmt ", fmt()), chunk(b"data", SOUND + b"\1", 50_000))[:-1]),
    "more after the sound": (SIXTEEN, wav(fmt(), SOUND) + chunk(b"LIST", b"a name")),
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_every_kind_of_sound_is_read(kind: str, tmp_path: Path) -> None:
    wanted, content = SOUNDS[kind]
    (tmp_path / "a.wav").write_bytes(content)
    with closing(WavReader(tmp_path / "a.wav")) as reader:
        pcm = b"".join(iter(lambda: reader.read(77), b""))
    assert array("h", pcm) == wanted


GOOD = riff(chunk(b"fmt ", fmt()), chunk(b"data", SIXTEEN.tobytes()))


@pytest.mark.parametrize(
    ("content", "why", "where"),
    [
        (b"", "it is empty", ""),
        (b"ID3\4 an MP3 of some length", "it is not a WAV file", "byte 0"),
        (b"RIFF\0\0\0\0AVI LIST", "it is not a WAV file", "byte 0"),
        (b"RIFX" + GOOD[4:], "it is not a WAV file", "byte 0"),
        (GOOD[:7], "its header is cut off", "byte 7"),
        (GOOD[:20], "its header is cut off", "byte 20"),
        (GOOD[:40], "its header is cut off", "byte 36"),
        (riff(chunk(b"fmt ", fmt())), "its header is cut off: there is no data chunk", "byte 36"),
        (riff(chunk(b"fmt ", fmt()), chunk(b"data", b"")), "there is no sound in it", "byte 36"),
        (riff(chunk(b"data", b"12")), "there is no fmt chunk", "byte 12"),
        (riff(chunk(b"fmt ", fmt()[:14]), chunk(b"data", b"12")), "its fmt chunk has 14 bytes", ""),
        (wav(fmt(2, bits=4)), "ADPCM of 4 bits", ""),
        (wav(fmt(7, bits=8)), "mu-law of 8 bits", ""),
        (wav(fmt(0x4321)), "format 17185 of 16 bits", ""),
        (wav(fmt(channels=0)), "its header contradicts itself", ""),
        (wav(fmt(rate=0)), "its header says 0 Hz", ""),
        (b"RIFF\0\0\0\0WAVE" + bytes(100_000), "no data chunk among the first 1000", "byte 8004"),
    ],
)
def test_what_is_no_wav_is_refused_with_place_and_cure(content: bytes, why: str, where: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(BadRequest) as caught:
        FileSource(path).start()
    error = caught.value
    assert error.what == f"cannot read {path}"
    assert why in error.why
    assert error.where == where
    assert error.fix.startswith(f"Convert it: ffmpeg -i {path} ")
    assert error.exit_code == Exit.USAGE


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("none.wav", "No such file or directory"), ("", "not a regular file"),
                      ("pipe", "not a regular file"), ("a\0b", "null")):  # fmt: skip
        with pytest.raises(BadRequest) as caught:
            FileSource(str(tmp_path / name)).start()
        assert why in caught.value.why
        assert caught.value.fix.startswith("Name a WAV file")


# sound in numbers


def test_where_sound_begins_and_ends() -> None:
    pcm = array("h", [0, 32, -32, 33, 0, -33, 32, 0]).tobytes()
    assert (first_sound(pcm), last_sound(pcm)) == (3, 5)
    assert (first_sound(pcm + b"\x7f"), last_sound(b"")) == (3, None)
    assert (first_sound(bytes(640)), last_sound(bytes(640))) == (None, None)
