"""Pictures from files, and the one module that imports Pillow.

- The kind of a file is decided by its first bytes, never by its name.
- What is small enough is sent unchanged, byte for byte. What is scaled loses its metadata, and with it the place.
- Pillow is imported late and is optional: without it a large picture is sent as it is, and a note says so.
- Every call may block and may run in any thread.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import warnings
from importlib import import_module
from typing import Any

from livews.errors import BadRequest
from livews.media.picture import MOST_PIXELS, QUALITY, Picture
from livews.terminal_text import one_line

MOST_BYTES = 10_000_000
"""Of one picture. The limit of the service was never measured; in base64 this is 13.4 MB, the stand-in takes 16 MiB."""
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

# Files that are mistaken for pictures: first bytes, name for people
_OTHERS = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"ID3", "an MP3 sound"),
    (b"OggS", "an Ogg sound"),
    (b"fLaC", "a FLAC sound"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"8BPS", "a Photoshop document"),
    (b"\x7fELF", "a program"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture, which the service does not take"),
    (b"\xff\x0a", "a JPEG XL picture, which the service does not take"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture, which the service does not take"),
)


def load_image(path: str | os.PathLike[str], *, most_pixels: int = MOST_PIXELS) -> Picture:
    """Read a picture, to be sent.

    `path`: a file, "-" for stdin. `most_pixels`: of the longer side; a larger picture is scaled and becomes a JPEG.
    Raises `BadRequest`: no such file, empty, not a picture, broken, too large.
    """
    name = os.fspath(path)
    shown = "stdin" if name == "-" else name
    data = _read(name, shown)
    if not data:
        raise BadRequest("an empty picture", where=shown, fix="name a JPEG or PNG file with content")
    kind = kind_of(data)
    if kind in NAMES:
        return _taken(data, kind, shown, most_pixels)
    if kind not in _CONVERTED:
        why = f"it seems to be {kind or 'data of no known kind'}"
        raise BadRequest("not a picture", where=shown, why=why, fix="name a JPEG or PNG file")
    image = _opened(data, shown)
    if image is None:
        why = f"it is a {kind} file, which the service does not take"
        raise BadRequest("cannot send this picture", where=shown, why=why, fix=f"make it a JPEG or PNG, or {EXTRA}")
    return _scaled(image, shown, most_pixels, f"{kind} is not taken by the service: sent as JPEG")


def kind_of(data: bytes) -> str:
    """What `data` begins like: a MIME type of `NAMES`, BMP, TIFF or AVIF, a name for people, "" when unknown."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if data.startswith(b"RIFF"):
        return {b"WEBP": "image/webp", b"WAVE": "a WAV sound", b"AVI ": "an AVI video"}.get(data[8:12], "RIFF data")
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    if data[:4] in (b"II*\x00", b"MM\x00*"):
        return "TIFF"
    if data.startswith(b"BM") and data[6:10] == bytes(4):
        return "BMP"
    return next((kind for start, kind in _OTHERS if data.startswith(start)), "") or _text(data[:1024])


def size_of(data: bytes, mime_type: str) -> tuple[int, int]:
    """Width and height in pixels in the header, before any EXIF rotation; zeros when they cannot be read."""
    try:
        if mime_type == "image/png" and data[12:16] == b"IHDR":
            return struct.unpack_from(">II", data, 16)
        if mime_type == "image/gif":
            return struct.unpack_from("<HH", data, 6)
        if mime_type == "image/webp":
            return _webp_size(data)
        if mime_type == "image/jpeg":
            return _jpeg_header(data)[:2]
    except (struct.error, IndexError):
        pass  # it is cut short
    return 0, 0


def pillow() -> Any:
    """The module PIL.Image; ImportError without it."""
    image = import_module("PIL.Image")
    import_module("PIL.ImageOps")
    return image


def encode(image: Any, *, most_pixels: int, quality: int) -> Picture:
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
    image.convert("RGB").save(out, "JPEG", quality=quality)
    return Picture(out.getvalue(), "image/jpeg", image.width, image.height)


def _read(name: str, shown: str) -> bytes:
    fix = "name a picture that can be read, or - for stdin"
    try:
        if name == "-":
            if sys.stdin is None or sys.stdin.isatty():
                fix = "pipe one in, as in: livews --image - < photo.jpg"
                raise BadRequest("no picture on stdin", where=shown, why="it is a terminal", fix=fix)
            data = sys.stdin.buffer.read(_MOST_READ + 1)
        else:
            with open(name, "rb") as file:
                data = file.read(_MOST_READ + 1)
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        why = getattr(problem, "strerror", None) or one_line(str(problem).strip(), 200)
        raise BadRequest("cannot read the picture", where=shown, why=why, fix=fix) from None
    if len(data) > _MOST_READ:
        why = f"it has more than {_MOST_READ // 1_000_000} MB"
        raise BadRequest("the picture is too large", where=shown, why=why, fix="make it smaller")
    return data


def _taken(data: bytes, kind: str, shown: str, most_pixels: int) -> Picture:
    """A picture of a kind that the service takes."""
    if _cut_short(data, kind):
        why = f"the {NAMES[kind]} data end too early"
        raise BadRequest("a broken picture", where=shown, why=why, fix="get the whole file")
    width, height = size_of(data, kind)
    image = None
    if not width or max(width, height) > most_pixels or len(data) > MOST_BYTES:
        image = _opened(data, shown)
    if image is not None:
        width, height = image.size
    small = 0 < max(width, height) <= most_pixels
    if image is not None and not (small and len(data) <= MOST_BYTES):
        return _scaled(image, shown, most_pixels)
    if len(data) > MOST_BYTES:
        why = f"it has {len(data):,} bytes, more than {MOST_BYTES:,}"
        raise BadRequest("the picture is too large", where=shown, why=why, fix=f"make it smaller, or {EXTRA}")
    notes = []
    if not small:
        size = f"{width}x{height} pixels" if width else f"{NAMES[kind]} of unknown size"
        why = (
            "Pillow cannot read it" if sys.modules.get("PIL.Image") else f"{EXTRA} to have it scaled to {most_pixels}"
        )
        notes.append(f"{size}, sent as it is: {why}")
    if kind not in ("image/jpeg", "image/png"):
        notes.append(f"the service names JPEG and PNG for Live; {NAMES[kind]} may be refused")
    return Picture(data, kind, width, height, "; ".join(notes))


def _opened(data: bytes, shown: str) -> Any:
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
        why = f"it has more than {most} million pixels"
        raise BadRequest("the picture is too large", where=shown, why=why, fix="make it smaller") from None
    except Exception as problem:
        raise _broken(problem, shown) from None


def _scaled(image: Any, shown: str, most_pixels: int, note: str = "") -> Picture:
    try:
        picture = encode(image, most_pixels=most_pixels, quality=QUALITY)
    except Exception as problem:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others
        raise _broken(problem, shown) from None
    return Picture(picture.data, picture.mime_type, picture.width, picture.height, note)


def _broken(problem: Exception, shown: str) -> BadRequest:
    why = f"Pillow says: {one_line(str(problem).strip(), 200)}"
    return BadRequest("a broken picture", where=shown, why=why, fix="open it in a viewer and save it anew")


def _by_brand(data: bytes) -> str:
    """ISO media files name what they are made for in their first box: one brand, and others that fit too."""
    length = min(max(16, int.from_bytes(data[:4], "big")), 256)
    brands = [data[8:12], *(data[i : i + 4] for i in range(16, length, 4))]
    if {b"avif", b"avis"}.intersection(brands):
        return "AVIF"
    if {b"heic", b"heix", b"heim", b"heis"}.intersection(brands):
        return "image/heic"
    if b"mif1" in brands or b"msf1" in brands:
        return "image/heif"
    if brands[0] == b"M4A ":
        return "an M4A sound"
    return "an MP4 or QuickTime video"


def _text(head: bytes) -> str:
    text = head.decode("utf-8", "replace").lower()
    if "\x00" in text or "\ufffd" in text[:-3]:  # a character may be cut in two at the end
        return ""
    text = text.lstrip("\ufeff \t\r\n")
    if text.startswith(("<svg", "<?xml")) and "<svg" in text:
        return "an SVG drawing, which the service does not take"
    return "a web page" if text.startswith(("<!doctype html", "<html")) else "a text"


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


def _webp_size(data: bytes) -> tuple[int, int]:
    form = data[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if form == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0
