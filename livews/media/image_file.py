"""Pictures from files, and the one module that imports Pillow.

- The kind of a file is decided by its first bytes, never by its name.
- What is small enough is sent unchanged, byte for byte. What is scaled loses its metadata, and with it the place.
- Pillow is imported late and is optional: without it a large picture is sent as it is, and a note says so.
- Every call may block and may run in any thread.
"""

import io
import json
import os
import re
import struct
import sys
import warnings
from importlib import import_module
from typing import Any

from livews.errors import BadRequest, located
from livews.media.picture import MOST_PIXELS, QUALITY, Picture
from livews.terminal_text import one_line
from livews.whole_file import read_whole

MOST_BYTES = 10_000_000
"""Of one picture. The limit of the service was never measured; in base64 this is 13.4 MB; the longest message that is read has 14.4 MB (WIRE-15)."""
_MOST_READ = 100_000_000  # of a file that Pillow makes smaller
EXTRA = "pip install mss pillow"

# What the service takes. Its reference names JPEG and PNG for Live, the others for pictures in general (GIF nowhere).
NAMES = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WebP",
    "image/heic": "HEIC",
    "image/heif": "HEIF",
    "image/gif": "GIF",
}
_CONVERTED = ("BMP", "TIFF", "AVIF")  # pictures it does not take; Pillow converts them to JPEG

with open(os.path.join(os.path.dirname(__file__), "file_kinds.json"), encoding="utf-8") as _file:
    _KINDS: list[tuple[bytes, str]] = [(pattern.encode(), kind) for pattern, kind in json.load(_file)]
"""How the first bytes of a file begin, and what it is then: a MIME type of `NAMES`, a picture of `_CONVERTED`, or a name
for people. The first that fits counts. ISO media files name what they are made for in their first box: one brand, a
version, and others that fit too."""


def load_image(path: str | os.PathLike[str], *, most_pixels: int = MOST_PIXELS) -> Picture:
    """Read a picture, to be sent.

    `path`: a file, "-" for stdin. `most_pixels`: of the longer side; a larger picture is scaled and becomes a JPEG.
    Raises `BadRequest`: no such file, empty, not a picture, broken, too large.
    """
    name = os.fspath(path)
    with located("stdin" if name == "-" else name):
        data = _read(name)
        if not data:
            raise BadRequest("an empty picture", fix="name a JPEG or PNG file with content")
        kind = kind_of(data)
        if kind in NAMES:
            return _taken(data, kind, most_pixels)
        if kind not in _CONVERTED:
            why = f"it seems to be {kind or 'data of no known kind'}"
            raise BadRequest("not a picture", why=why, fix="name a JPEG or PNG file")
        image = _opened(data)
        if image is None:
            why = f"it is a {kind} file, which the service does not take"
            raise BadRequest("cannot send this picture", why=why, fix=f"make it a JPEG or PNG, or {EXTRA}")
        return _scaled(image, most_pixels, f"{kind} is not taken by the service: sent as JPEG")


def kind_of(data: bytes) -> str:
    """What `data` begins like: a MIME type of `NAMES`, BMP, TIFF or AVIF, a name for people, "" when unknown."""
    head = data[:1024]
    for pattern, kind in _KINDS:
        if re.match(pattern, head, re.DOTALL):
            return kind
    text = head.decode("utf-8", "replace")
    # a character may be cut in two at the end
    return "" if "\x00" in text or "\ufffd" in text[:-3] else "a text"


def size_of(data: bytes, mime_type: str) -> tuple[int, int]:
    """Width and height in pixels in the header of a JPEG or PNG, before any EXIF rotation; zeros when unknown."""
    if mime_type == "image/png" and data[12:16] == b"IHDR" and len(data) >= 24:
        return struct.unpack_from(">II", data, 16)
    return _jpeg_header(data)[:2] if mime_type == "image/jpeg" else (0, 0)


def pillow() -> Any:
    """The module PIL.Image; ImportError without it."""
    image = import_module("PIL.Image")
    import_module("PIL.ImageOps")
    return image


def encode(image: Any, most_pixels: int, note: str = "") -> Picture:
    """A Pillow image as JPEG: upright, never enlarged, on white where it is transparent. Raises what Pillow does."""
    if image.mode.startswith("I"):  # 16 bits a sample; Pillow would clip it to white
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = pillow().new("RGB", clear.size, "white")
        image.paste(clear, mask=clear.getchannel("A"))
        image.info["exif"] = clear.info.get("exif", b"")
    elif image.mode not in ("RGB", "L", "CMYK", "YCbCr"):
        image = image.convert("RGB")
    # A JPEG is decoded at a fraction of its size: that saves most of the time and memory of a large photo.
    image.thumbnail((most_pixels, most_pixels), reducing_gap=2.0)
    image = import_module("PIL.ImageOps").exif_transpose(image)
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=QUALITY)
    return Picture(out.getvalue(), "image/jpeg", image.width, image.height, note)


def _read(name: str) -> bytes:
    fix = "name a picture that can be read, or - for stdin"
    if name != "-":
        return read_whole(name, "the picture", fix=fix, most=_MOST_READ)
    if sys.stdin is None or sys.stdin.isatty():
        fix = "pipe one in, as in: livews --image - < photo.jpg"
        raise BadRequest("no picture on stdin", why="it is a terminal", fix=fix)
    return read_whole("stdin", "the picture", fix=fix, stdin=sys.stdin.buffer, most=_MOST_READ)


def _taken(data: bytes, kind: str, most_pixels: int) -> Picture:
    """A picture of a kind that the service takes."""
    if _cut_short(data, kind):
        why = f"the {NAMES[kind]} data end too early"
        raise BadRequest("a broken picture", why=why, fix="get the whole file")
    width, height = size_of(data, kind)
    light = len(data) <= MOST_BYTES
    if not (light and 0 < max(width, height) <= most_pixels) and (image := _opened(data)) is not None:
        width, height = image.size
        if not light or max(width, height) > most_pixels:
            return _scaled(image, most_pixels)
    if not light:
        raise _too_large(f"it has {len(data):,} bytes, more than {MOST_BYTES:,}", f"make it smaller, or {EXTRA}")
    notes = []
    if not 0 < max(width, height) <= most_pixels:
        size = f"{width}x{height} pixels" if width else f"{NAMES[kind]} of unknown size"
        loaded = sys.modules.get("PIL.Image")
        why = "Pillow cannot read it" if loaded else f"{EXTRA} to have it scaled to {most_pixels}"
        notes.append(f"{size}, sent as it is: {why}")
    if kind not in ("image/jpeg", "image/png"):
        notes.append(f"the service names JPEG and PNG for Live; {NAMES[kind]} may be refused")
    return Picture(data, kind, width, height, "; ".join(notes))


def _opened(data: bytes) -> Any:
    """The picture in Pillow's hands, not decoded yet; None without Pillow, or when it does not know the format."""
    try:
        image = pillow()
    except ImportError:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # at half of the pixels that are an error: phones make such photos
            return image.open(io.BytesIO(data))
    except image.UnidentifiedImageError:
        return None
    except image.DecompressionBombError:
        most = 2 * image.MAX_IMAGE_PIXELS // 1_000_000
        raise _too_large(f"it has more than {most} million pixels") from None
    except Exception as problem:
        raise _broken(problem) from None


def _scaled(image: Any, most_pixels: int, note: str = "") -> Picture:
    try:
        return encode(image, most_pixels, note)
    except Exception as problem:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others
        raise _broken(problem) from None


def _broken(problem: Exception) -> BadRequest:
    why = f"Pillow says: {one_line(str(problem).strip(), 200)}"
    return BadRequest("a broken picture", why=why, fix="open it in a viewer and save it anew")


def _too_large(why: str, fix: str = "make it smaller") -> BadRequest:
    return BadRequest("the picture is too large", why=why, fix=fix)


def _cut_short(data: bytes, mime_type: str) -> bool:
    """The end of the picture is missing, as far as that is seen without decoding."""
    if mime_type == "image/png":
        return data.rfind(b"IEND") < 0
    if mime_type == "image/webp":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if mime_type == "image/jpeg":
        # Not anywhere: a thumbnail in the header has its own end.
        scan = _jpeg_header(data)[2]
        return not scan or data.find(b"\xff\xd9", scan) < 0
    return False


def _jpeg_header(data: bytes) -> tuple[int, int, int]:
    """Width, height, and the place of the first scan; zeros for what is not there."""
    width = height = 0
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker == 0xDA:
            return width, height, at
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 9 <= len(data):
            height, width = struct.unpack_from(">HH", data, at + 5)
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return width, height, 0
