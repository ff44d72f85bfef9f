"""Audio and pictures of a client that are not what they should be: what is recognised, and what is left in peace."""

import base64
import gzip
import io
import json
import math
import random
import struct
import wave
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from livews.advice import input_format, judge
from livews.conversation import Conversation
from livews.core import protocol
from livews.core.rules import ApiTarget

PCM = "audio/pcm;rate=16000"


def tone(ms: int = 20, hertz: float = 220, peak: int = 9000) -> bytes:
    return b"".join(struct.pack("<h", int(peak * math.sin(2 * math.pi * hertz * i / 16000))) for i in range(16 * ms))


def wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        out.writeframes(tone())
    return file.getvalue()


def message(data: bytes | str | None, mime_type: str | None = PCM, member: str = "audio") -> dict[str, Any]:
    blob: dict[str, Any] = {} if mime_type is None else {"mimeType": mime_type}
    if data is not None:
        blob["data"] = data if isinstance(data, str) else base64.b64encode(data).decode()
    return {"realtimeInput": {member: [blob] if member == "mediaChunks" else blob}}


def box(name: bytes) -> bytes:
    return struct.pack(">I", 24) + name + b"isom" + bytes(12)


DATA = {
    "a WAV file": [wav(), b"RIFX" + wav()[4:], b"RF64\xff\xff\xff\xffWAVEds64"],
    "an AIFF file": [b"FORM\x00\x00\x10\x00AIFFCOMM", b"FORM\x00\x00\x10\x00AIFCFVER"],
    "a CAF file": [b"caff\x00\x01\x00\x00desc"],
    "an AU file": [b".snd\x00\x00\x00\x18" + bytes(16)],
    "an Ogg stream": [b"OggS\x00\x02" + bytes(8) + b"\x01\x02\x03\x04"],
    "Opus": [b"OpusHead\x01\x01"],
    "a WebM or Matroska stream": [b"\x1aE\xdf\xa3" + bytes(60), b"\x1fC\xb6u\x01\xff\xff\xff"],
    "an MP4 file": [box(b"ftyp"), box(b"moof"), b"\x00\x00\x10\x00mdat" + bytes(8)],
    "an MP3 file": [b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(8), b"ID3\x04\x00\x00\x00\x00\x00\x0a"],
    "MP3 or AAC": [
        (b"\xff\xfb\x90\x64" + bytes(413)) * 3,
        (b"\xff\xf3\x40\xc4" + bytes(100)) * 4,
        (b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)) * 4,
        b"\xff\xf9\x50\x80\x02\x1f\xfc" + bytes(9),
    ],
    "a FLAC file": [b"fLaC\x00\x00\x00\x22"],
    "an AMR file": [b"#!AMR\n\x3c\x08"],
    "a JPEG picture": [b"\xff\xd8\xff\xe0\x00\x10JFIF", b"\xff\xd8\xff\xe1\x00\x10Exif", b"\xff\xd8\xff\xdb\x00\x43"],
    "a PNG picture": [b"\x89PNG\r\n\x1a\n" + bytes(8)],
    "a picture": [b"RIFF\x24\x00\x00\x00WEBPVP8 ", b"GIF89a\x01\x00"],
    "gzip": [gzip.compress(tone())],
    "a ZIP file": [b"PK\x03\x04\x14\x00\x00\x00"],
    "base64 again": [
        base64.b64encode(tone()),
        base64.b64encode(bytes(640)),
        base64.urlsafe_b64encode(random.Random(1).randbytes(640)),
        base64.b64encode(wav()[:40]),
    ],
    "a data: URL": [b"data:audio/wav;base64," + base64.b64encode(tone())],
    "text": [json.dumps({"samples": [0, 4, 9, 15]}).encode(), b"[" + b"12, -34, 560, " * 20 + b"0]", b"hello, what is the weather?"],
}  # fmt: skip


@pytest.mark.parametrize(("what", "data"), [(what, data) for what, many in DATA.items() for data in many])
@pytest.mark.parametrize("member", ["audio", "mediaChunks"])
def test_data_that_is_no_pcm_is_named(what: str, data: bytes, member: str) -> None:
    findings = [f for f in judge.check("client", message(data, member=member)) if f.rule != "AUDIO-4"]
    path = f"/realtimeInput/{member}{'/0' if member == 'mediaChunks' else ''}/data"
    assert [(f.level, f.rule, f.path) for f in findings] == [("note", "AUDIO-7", path)]
    assert f"this is {what}, not PCM" in findings[0].complaint and findings[0].fix


def test_every_format_is_tried_above_or_known_by_its_mime_type() -> None:
    tried = {*DATA, "a WMA file", "a MIDI file", "a video", "compressed data", "a PDF file", "an AAC file"}
    assert {row["is"] for row in protocol.load("rules.json")["formats"] if "starts" in row} == tried


TYPES = {
    "audio/wav": "is a WAV file, not audio/pcm",
    "audio/mp3": "is an MP3 file, not",
    "audio/mpeg": "is an MP3 file, not",
    "audio/webm;codecs=opus": "is a WebM or Matroska stream, not",
    "audio/opus": "is Opus, not",
    "audio/ogg": "is an Ogg stream, not",
    "audio/mp4": "is an MP4 file, not",
    "audio/aac": "is an AAC file, not",
    "audio/flac": "is a FLAC file, not",
    "audio/mulaw;rate=8000": "is mu-law or A-law, not",
    "audio/x-alaw": "is mu-law or A-law, not",
    "audio/PCMU": "is mu-law or A-law, not",
    "audio/l16;rate=16000": "is not audio/pcm",
    "audio/pcm16": "is not audio/pcm",
    "application/octet-stream": "is not audio/pcm",
    "audio/pcm": "has no rate: 16000 is assumed",
    "audio/pcm;channels=1": "has no rate",
    "audio/pcm;rate=16k": "has no rate from 4,000",
    "audio/pcm;rate=16000;channels=2": "the service reads one channel",
    "image/jpeg": "is a picture, and this is the place of audio",
    "video/webm": "is a WebM or Matroska stream, not",
}


@pytest.mark.parametrize(("mime_type", "words"), TYPES.items())
def test_mime_types_that_are_not_pcm_with_a_rate(mime_type: str, words: str) -> None:
    findings = judge.check("client", message(tone(), mime_type))
    assert [(f.level, f.rule, f.path) for f in findings] == [("note", "AUDIO-1", "/realtimeInput/audio/mimeType")]
    assert words in findings[0].complaint and findings[0].fix


@pytest.mark.parametrize("mime_type", ["audio/pcm;rate=16000", "video/mp4", "application/json"])
def test_what_is_no_picture_in_the_place_of_pictures(mime_type: str) -> None:
    (found,) = judge.check("client", message(tone(), mime_type, "video"))
    assert (found.rule, found.path) == ("AUDIO-1", "/realtimeInput/video/mimeType")


@pytest.mark.parametrize(
    ("data", "rule"), [(box(b"ftyp"), "AUDIO-7"), (wav(), "AUDIO-7"), ("", "AUDIO-9")]
)  # fmt: skip
def test_pictures_that_are_none(data: bytes | str, rule: str) -> None:
    assert [f.rule for f in judge.check("client", message(data, "image/jpeg", "video"))] == [rule]


WHOLE: list[tuple[bytes, list[str]]] = [
    (tone()[:-1], ["AUDIO-8"]),
    (b"\x01", ["AUDIO-8"]),
    (bytes(639), ["AUDIO-8"]),
    (b"", ["AUDIO-9"]),
    (bytes(2), []),
    (tone(), []),
]


@pytest.mark.parametrize(("data", "expected"), WHOLE)
def test_half_samples_and_empty_chunks(data: bytes, expected: list[str]) -> None:
    assert [f.rule for f in judge.check("client", message(data))] == expected


def test_a_mime_type_that_is_missing() -> None:
    (found,) = judge.check("client", message(tone(), None))
    assert (found.rule, found.path) == ("AUDIO-1", "/realtimeInput/audio")


@pytest.mark.parametrize(
    ("data", "words"),
    [("data:audio/pcm;base64,AAAA", "a data: URL"), ("AAAA\nAAAA", "line breaks"), ("AAA AAAA", "spaces"), ("***", "something else")],
)  # fmt: skip
def test_what_is_not_base64_is_named(data: str, words: str) -> None:
    (found,) = judge.check("client", message(data))
    assert found.rule == "WIRE-3" and words in found.complaint


# Sound that is fine


def square(value: int, period: int) -> bytes:
    return b"".join(struct.pack("<h", value if i // period % 2 else -value) for i in range(320))


FINE: dict[str, Callable[[random.Random], bytes]] = {
    "silence": lambda _: bytes(640),
    "quiet noise": lambda rng: struct.pack("<320h", *[rng.randint(-3, 3) for _ in range(320)]),
    "loud noise": lambda rng: rng.randbytes(640),
    "a tone": lambda rng: tone(20, rng.uniform(50, 7000), rng.randint(30, 32767)),
    "a level": lambda rng: struct.pack("<h", rng.randint(-32768, 32767)) * 320,
    "a square wave": lambda rng: square(rng.randint(1, 32767), rng.randint(1, 40)),
    "one sample": lambda rng: rng.randbytes(2),
    "a few samples": lambda rng: rng.randbytes(2 * rng.randint(1, 8)),
}


@pytest.mark.parametrize("kind", FINE)
def test_sound_is_not_taken_for_a_file(kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(3000 if kind != "a tone" else 300):
        pcm = FINE[kind](rng)
        assert input_format.format_of(pcm) is None, pcm[:32].hex()
        assert list(input_format.remarks("client", "/realtimeInput/audio", {"mimeType": PCM}, pcm)) == []


# In a session


def opened(**about: Any) -> Conversation:
    conversation = Conversation(**about)
    conversation.step_message("client", {"setup": {"model": "models/test"}})
    conversation.step("server", b'{"setupComplete":{}}')
    return conversation


@pytest.mark.parametrize("bad", [tone()[:-1], wav(), b"", base64.b64encode(tone()), b"OggS" + bytes(20)])
def test_a_finding_is_made_once_and_later_chunks_are_looked_at(bad: bytes) -> None:
    conversation = opened(surface="gemini", version="v1beta")
    good = orjson.dumps(message(tone()))
    for _ in range(3):
        assert not conversation.step("client", good).findings
    assert conversation.step("client", good).template is not None, "the fast path"
    found = [[f.rule for f in conversation.step("client", orjson.dumps(message(bad))).findings] for _ in range(5)]
    assert len(found[0]) == 1 and found[1:] == [[]] * 4
    assert conversation.step("client", good).template is not None


@pytest.mark.parametrize(
    ("bad", "level"), [(tone()[:-1], "refused"), (wav(), "refused"), (b"", "note"), (tone(), "")]
)
def test_vertex_closes_for_what_is_no_pcm(bad: bytes, level: str) -> None:
    findings = opened(surface="vertex").step_message("client", message(bad)).findings
    assert [f.level for f in findings] == ([level] if level else [])
    assert [f.level for f in judge.check("client", message(bad), ApiTarget("vertex", "v1"))] == [
        f.level for f in findings
    ]
    if level == "refused":
        assert findings[0].close == (1007, protocol.close_row("input-audio-error")["reason"])
