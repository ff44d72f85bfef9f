"""Pictures from files."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from livews.errors import BadRequest
from livews.media import Picture, load_image
from livews.media.image_file import MOST_BYTES, size_of
from tests.kit.names import ROOT
from tests.media.conftest import BLUE, RED, decoded, encoded, near


def load(folder: Path, data: bytes, **options: Any) -> Picture:
    (folder / "named.txt").write_bytes(data)
    return load_image(folder / "named.txt", **options)


def refusal(folder: Path, data: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        load(folder, data)
    assert (refused.value.where, bool(refused.value.fix)) == (str(folder / "named.txt"), True)
    return refused.value


@pytest.mark.parametrize(
    ("form", "options", "mime_type"),
    [
        ("JPEG", {}, "image/jpeg"),
        ("JPEG", {"progressive": True, "comment": b"\xff\xd9\xff\xc0"}, "image/jpeg"),
        ("PNG", {}, "image/png"),
        ("GIF", {}, "image/gif"),
        ("WEBP", {}, "image/webp"),
        ("WEBP", {"lossless": True}, "image/webp"),
        ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}, "image/webp"),
    ],
)
def test_small_pictures_are_sent_as_they_are(
    pil: Any, tmp_path: Path, form: str, options: dict[str, Any], mime_type: str
) -> None:
    data = encoded(pil, form, **options)
    picture = load(tmp_path, data)
    assert picture.data == data
    assert (picture.mime_type, picture.width, picture.height) == (mime_type, 200, 120)
    assert ("may be refused" in picture.note) == (form in ("GIF", "WEBP"))


def test_a_large_picture_is_scaled_without_its_metadata(pil: Any, tmp_path: Path) -> None:
    exif = pil.Exif()
    exif[0x010E] = "at home"
    photo = encoded(pil, "JPEG", (1600, 900), exif=exif)
    picture = load(tmp_path, photo)
    assert (picture.mime_type, picture.width, picture.height, picture.note) == ("image/jpeg", 768, 432, "")
    assert b"at home" not in picture.data
    assert near(decoded(pil, picture).getpixel((400, 200)), RED)
    assert load(tmp_path, photo, most_pixels=100).width == 100
    assert load(tmp_path, photo, most_pixels=1600).data == photo


def test_a_scaled_picture_is_upright(pil: Any, tmp_path: Path) -> None:
    image = pil.new("RGB", (1600, 900), BLUE)
    image.paste(RED, (0, 0, 800, 900))
    exif = pil.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what is left comes to the top
    image.save(tmp_path / "phone.jpg", exif=exif)
    picture = load_image(tmp_path / "phone.jpg")
    shown = decoded(pil, picture)
    assert shown.size == (432, 768)
    assert near(shown.getpixel((216, 100)), RED)
    assert near(shown.getpixel((216, 700)), BLUE)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (0, 0, 0, 0), (255, 255, 255)),
        ("LA", (0, 0), (255, 255, 255)),
        ("P", 0, (0, 0, 0)),
        ("I;16", 30000, (117, 117, 117)),
        ("1", 1, (255, 255, 255)),
    ],
)
def test_a_scaled_picture_of_another_kind_looks_the_same(
    pil: Any, tmp_path: Path, mode: str, colour: Any, expected: tuple[int, int, int]
) -> None:
    pil.new(mode, (1000, 500), colour).save(tmp_path / "a.png")
    shown = decoded(pil, load_image(tmp_path / "a.png"))
    assert shown.size == (768, 384)
    assert near(shown.getpixel((300, 200)), expected)


@pytest.mark.parametrize("form", ["BMP", "TIFF"])
def test_a_picture_that_the_service_does_not_take_becomes_a_jpeg(pil: Any, tmp_path: Path, form: str) -> None:
    picture = load(tmp_path, encoded(pil, form))
    assert near(decoded(pil, picture).getpixel((9, 9)), RED)
    assert picture.note == f"{form} is not taken by the service: sent as JPEG"


def test_without_pillow_a_large_picture_goes_as_it_is_and_says_so(
    pil: Any, tmp_path: Path, without_pillow: None
) -> None:
    large = encoded(pil, "PNG", (1600, 900))
    picture = load(tmp_path, large)
    assert picture.data == large
    assert picture.note == "1600x900 pixels, sent as it is: pip install mss pillow to have it scaled to 768"
    error = refusal(tmp_path, encoded(pil, "BMP"))
    assert "does not take" in error.why
    assert "pip install mss pillow" in error.fix


def test_a_heic_photo_goes_as_it_is(tmp_path: Path) -> None:
    data = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(100)
    picture = load(tmp_path, data)
    assert (picture.mime_type, picture.width, picture.data) == ("image/heic", 0, data)
    assert picture.note.startswith("HEIC of unknown size, sent as it is")


JPEG_HEAD = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


@pytest.mark.parametrize(
    ("data", "what", "why"),
    [
        (b"", "an empty picture", ""),
        (b"hello, w\xc3\xb6rld\n" * 200, "not a picture", "it seems to be a text"),
        (b"\x00\x01\x02\xfe" * 20, "not a picture", "it seems to be data of no known kind"),
        (b"%PDF-1.7\n", "not a picture", "it seems to be a PDF document"),
        (b"<!DOCTYPE html><p>", "not a picture", "it seems to be a web page"),
        (b'<?xml version="1.0"?>\n<svg>', "not a picture", "it seems to be an SVG drawing, which"),
        (b"RIFF\0\0\0\0WAVEfmt ", "not a picture", "it seems to be a WAV sound"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isom", "not a picture", "it seems to be an MP4 or QuickTime video"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0isom", "not a picture", "it seems to be an M4A sound"),
        (b"\xef\xbb\xbf\n<SVG>", "not a picture", "it seems to be an SVG drawing, which"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0heicavif", "cannot send this picture", "it is a AVIF file, which"),
        (JPEG_HEAD, "a broken picture", "the JPEG data end too early"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "a broken picture", "the PNG data end too early"),
        (b"RIFF\xff\0\0\0WEBPVP8 ", "a broken picture", "the WebP data end too early"),
    ],
)
def test_what_is_no_picture(tmp_path: Path, data: bytes, what: str, why: str) -> None:
    error = refusal(tmp_path, data)
    assert error.what == what
    assert error.why.startswith(why)


def test_a_picture_with_a_whole_thumbnail_may_still_be_cut_short(pil: Any, tmp_path: Path) -> None:
    whole = encoded(pil, "JPEG", comment=encoded(pil, "JPEG", (8, 8)))
    assert refusal(tmp_path, whole[:-2]).what == "a broken picture"


def test_broken_data_inside_of_a_large_picture(pil: Any, tmp_path: Path) -> None:
    data = bytearray(encoded(pil, "PNG", (1600, 900)))
    at = data.index(b"IDAT") + 10
    data[at : at + 200] = bytes(200)
    error = refusal(tmp_path, data)
    assert (error.what, error.why[:13]) == ("a broken picture", "Pillow says: ")


def test_a_picture_of_too_many_bytes(pil: Any, tmp_path: Path, without_pillow: None) -> None:
    data = encoded(pil, "PNG")
    assert len(load(tmp_path, data.ljust(MOST_BYTES, b"\0")).data) == MOST_BYTES
    error = refusal(tmp_path, data.ljust(MOST_BYTES + 1, b"\0"))
    assert (error.what, error.why) == ("the picture is too large", "it has 10,000,001 bytes, more than 10,000,000")


def test_a_picture_of_too_many_pixels(pil: Any, tmp_path: Path) -> None:
    data = encoded(pil, "PNG")
    header = b"IHDR" + struct.pack(">II", 40_000, 20_000) + data[24:29]
    error = refusal(tmp_path, data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:])
    assert error.what == "the picture is too large"
    assert "million pixels" in error.why


@pytest.mark.parametrize(
    ("name", "why"), [("none.jpg", "No such file"), ("", "Is a directory"), ("a\0b", "embedded null byte")]
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(BadRequest, match="cannot read the picture") as refused:
        load_image(f"{tmp_path}/{name}")
    assert why in refused.value.why


def test_a_picture_on_stdin(pil: Any) -> None:
    code = "from livews.media import Picture, load_image; p = load_image('-'); print(p.mime_type, p.width, p.height, len(p.data))"
    data = encoded(pil, "PNG")
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, cwd=ROOT, timeout=20)
    assert done.stdout.decode().split() == ["image/png", "200", "120", str(len(data))], done.stderr
    ours, theirs = os.openpty()
    try:
        done = subprocess.run([sys.executable, "-c", code], stdin=theirs, capture_output=True, cwd=ROOT, timeout=20)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"no picture on stdin" in done.stderr
    assert b"it is a terminal" in done.stderr


def test_headers_cut_anywhere_raise_nothing(pil: Any) -> None:
    for form in ("JPEG", "PNG", "GIF", "WEBP"):
        data = encoded(pil, form)
        for end in range(64):
            assert size_of(data[:end], f"image/{form.lower()}") in ((0, 0), (200, 120))
