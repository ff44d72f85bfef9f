"""What is wrong with the audio and the pictures of a client, as far as one Blob shows it: its mime type and its bytes.

- The service takes raw PCM and says nothing of other data: it hears noise or silence, and no answer comes.
- Files and texts are recognised by their first bytes: the rows `formats` of rules.json.
- `is_plain` is asked of every chunk and has to be fast; the rest only of chunks that are read in full.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from livews.core import codec, protocol, schema
from livews.core.reading import Remark, is_audio
from livews.core.schema import Sender

_HEAD = 88
"""Characters of base64 in which the format of a picture is recognised."""
_VARIED = 8
"""How many different bytes the start of a text has at least; a tone that looks like one has fewer."""
_TEXT = 512
"""Bytes of it that are looked at: sound of one byte a sample is in the range of letters for a moment."""
_FRAMES = 3
"""Headers of MP3 or AAC frames that follow each other where the one before says: fewer are found in PCM by chance."""
_CHANNELS = re.compile(r";\s*channels=\s*\"?0*([2-9]|[1-9][0-9])")
_MP3_KBIT = (
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
"""Bit rates of MPEG-1 and MPEG-2 layer III, by their index less one."""


def is_plain(pcm: bytes) -> bool:
    """Whether a chunk has whole samples and does not begin as a file or a text does."""
    return bool(pcm) and not len(pcm) & 1 and _any_format().match(pcm) is None


def remarks(sender: Sender, path: str, blob: dict[str, Any], data: bytes | None) -> Iterator[Remark]:
    """What is wrong with a Blob, apart from its base64.

    Args:
        sender: who sent it. Of the service only the rate is looked at.
        path: where it is, as in /realtimeInput/audio.
        blob: the Blob.
        data: its bytes; None for a picture, and for audio that is no base64.
    """
    mime_type, is_picture = blob.get("mimeType"), False
    if sender == "server":
        if isinstance(mime_type, str) and mime_type.startswith("audio/") and codec.has_odd_rate(mime_type):
            yield Remark("AUDIO-3", f"{path}/mimeType", _odd_rate(mime_type, codec.OUTPUT_RATE))
        return
    is_picture = path.endswith("/video") or (isinstance(mime_type, str) and mime_type.startswith("image/"))
    if mime_type is None:
        yield Remark("AUDIO-1", path, "no mimeType")
    elif isinstance(mime_type, str) and (words := _mime_complaint(path, mime_type)):
        yield Remark("AUDIO-1", f"{path}/mimeType", *words)
    if data is None and not is_audio(blob):
        data = _first_bytes(blob.get("data"))
    if data is None:
        return
    if not data:
        yield Remark("AUDIO-9", f"{path}/data", f"empty, without {'a picture' if is_picture else 'a sample'}")
    elif row := format_of(data):
        if not (is_picture and row.get("picture")):
            yield Remark(
                "AUDIO-7",
                f"{path}/data",
                f"this is {row['is']}, not {'a picture' if is_picture else 'PCM'}",
                row.get("do", ""),
            )
    elif len(data) & 1 and not is_picture:
        yield Remark("AUDIO-8", f"{path}/data", "an odd number of bytes: half a sample is left over")


def _first_bytes(data: Any) -> bytes | None:
    """The first bytes of a picture, or of what has no mime type; None if they are no base64."""
    try:
        return codec.decode_base64(data[:_HEAD]) if isinstance(data, str) else None
    except codec.WireError:
        return None


def format_of(data: bytes) -> dict[str, Any] | None:
    """The row of `formats` that describes some bytes; None for PCM and for what is not recognised."""
    if _any_format().match(data):
        for pattern, row in _formats():
            if pattern.match(data) and not (row.get("varied") and not _is_text(pattern, data)):
                return row
    return next((row for _, row in _formats() if row["starts"] == "frames"), None) if _has_frames(data) else None


def _mime_complaint(path: str, mime_type: str) -> tuple[str, ...] | None:
    """What is wrong with a mime type of a client: the words and, if it is not the rule's, the fix."""
    name, shown = mime_type.split(";")[0].strip().lower(), schema.short(mime_type)
    kind = name.split("/")[0]
    if path.endswith("/video"):
        if kind == "audio":
            return f"{shown} is audio, and this is the place of pictures", "Send it as realtimeInput.audio."
        if kind != "image":
            return f"{shown} is not a picture", "Send single pictures, as image/jpeg."
    elif kind == "image" and path.endswith("/audio"):
        return f"{shown} is a picture, and this is the place of audio", "Send it as realtimeInput.video."
    elif kind == "image":
        return None
    elif name != "audio/pcm":
        row = _format_of_type(name)
        return f"{shown} is {row['is'] + ', ' if row else ''}not audio/pcm", (row or {}).get("do", "")
    elif codec.has_odd_rate(mime_type):
        return (_odd_rate(mime_type, codec.INPUT_RATE),)
    elif not codec.rate_of(mime_type, 0):
        return (f"{shown} has no rate: {codec.INPUT_RATE} is assumed",)
    elif _CHANNELS.search(mime_type):
        return f"{shown}: the service reads one channel", "Mix the channels down to one."
    return None


def _odd_rate(mime_type: str, default: int) -> str:
    low, high = codec.RATES[0], codec.RATES[-1]
    return f"{schema.short(mime_type)} has no rate from {low:,} to {high:,} Hz: {default} is assumed"


def is_sound(mime_type: str, data: bytes) -> bool:
    """Whether audio is heard as what it is: PCM, or a file with PCM inside."""
    row = _format_of_type(mime_type.split(";")[0].strip().lower()) or format_of(data)
    return row is None or "samples" in row


@lru_cache(maxsize=64)
def _format_of_type(name: str) -> dict[str, Any] | None:
    """The row of `formats` that a mime type other than audio/pcm names."""
    if name == "audio/pcm":
        return None
    return next(
        (row for row in protocol.load("rules.json")["formats"] if "type" in row and re.search(row["type"], name)),
        None,
    )


def _is_text(pattern: re.Pattern[bytes], data: bytes) -> bool:
    """Whether data goes on as it starts, and is no tone."""
    places = range(0, max(1, min(len(data), _TEXT) - 64), 16)
    return len({*data[:24]}) >= _VARIED and all(pattern.match(data, at) for at in places)


@cache
def _formats() -> list[tuple[re.Pattern[bytes], dict[str, Any]]]:
    return [
        (re.compile(row["starts"].encode("latin-1"), re.DOTALL), row)
        for row in protocol.load("rules.json")["formats"]
        if "starts" in row
    ]


@cache
def _any_format() -> re.Pattern[bytes]:
    return re.compile(b"|".join(pattern.pattern for pattern, _ in _formats()), re.DOTALL)


def _has_frames(data: bytes) -> bool:
    """Whether MP3 or AAC frames follow each other from the first byte on."""
    at = count = 0
    while size := _frame_size(data[at : at + 6]):
        at, count = at + size, count + 1
        if at == len(data) or count == _FRAMES:
            return True
    return False


def _frame_size(header: bytes) -> int:
    """Bytes of the MP3 or AAC (ADTS) frame that begins with this header; 0 if it is none."""
    if len(header) < 6 or header[0] != 0xFF:
        return 0
    if header[1] & 0xF6 == 0xF0:
        return (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    version, kbit, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if header[1] & 0xE6 != 0xE2 or version == 1 or kbit in (0, 15) or rate == 3:
        return 0
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    return (144 if version == 3 else 72) * 1000 * _MP3_KBIT[version != 3][kbit - 1] // hertz + (header[2] >> 1 & 1)
