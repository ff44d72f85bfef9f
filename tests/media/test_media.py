"""Pictures in: real files, a real X server (Xvfb), a real ffmpeg.

- What is missing is a skip that says so; LIVEWS_REQUIRE_PICTURES=1 makes it a failure.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from livews.errors import BadRequest
from livews.media import Camera, ImageUnavailable, Picture, Screen, camera, load_image
from livews.media.image_file import MOST_BYTES, size_of
from livews.media.picture import LatestPicture
from tests.kit.names import ROOT

BLUE, RED = (32, 96, 192), (200, 30, 30)


def no_pictures(why: str) -> None:
    if os.environ.get("LIVEWS_REQUIRE_PICTURES") == "1":
        pytest.fail(f"LIVEWS_REQUIRE_PICTURES=1, but {why}")
    pytest.skip(why)


@pytest.fixture(scope="module")
def pil() -> Any:
    try:
        import PIL.Image
    except ImportError:
        no_pictures("Pillow is not installed (pip install mss pillow)")
    return PIL.Image


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)


@pytest.fixture
def ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if found is None:
        no_pictures("ffmpeg is not installed (apt-get install ffmpeg)")
    return str(found)


class Display:
    """An X server of our own; killing it is what a lost screen looks like."""

    def __init__(self) -> None:
        read, write = os.pipe()
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x600x24", "-nolisten", "tcp", "-noreset"]
        self.process = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with open(read) as said:  # ends when Xvfb does
            self.name = f":{said.readline().strip()}"
        assert self.name != ":", "Xvfb does not start"

    def paint(self, colour: tuple[int, int, int]) -> None:
        command = ["xsetroot", "-display", self.name, "-solid", "#{:02x}{:02x}{:02x}".format(*colour)]
        subprocess.run(command, check=True, timeout=10)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def display(pil: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Display]:
    missing = [name for name in ("Xvfb", "xsetroot") if shutil.which(name) is None]
    if missing:
        no_pictures(f"{', '.join(missing)} not installed (apt-get install xvfb x11-xserver-utils)")
    try:
        import mss  # noqa: F401
    except ImportError:
        no_pictures("mss is not installed (pip install mss pillow)")
    with closing(Display()) as display:
        monkeypatch.setenv("DISPLAY", display.name)
        for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
            monkeypatch.delenv(name, raising=False)
        display.paint(BLUE)
        yield display


def encoded(pil: Any, form: str, size: tuple[int, int] = (200, 120), **options: Any) -> bytes:
    out = io.BytesIO()
    pil.new("RGB", size, RED).save(out, form, **options)
    return out.getvalue()


def decoded(pil: Any, picture: Picture) -> Any:
    image = pil.open(io.BytesIO(picture.data))
    image.load()
    assert image.format == "JPEG"
    assert image.size == (picture.width, picture.height)
    return image


def near(seen: Any, colour: tuple[int, int, int]) -> bool:
    """JPEG keeps a colour but for some steps of 255."""
    return all(abs(a - b) < 12 for a, b in zip(seen, colour, strict=True))


async def some(frames: AsyncIterator[Picture], count: int) -> list[Picture]:
    """The next pictures; all there are when they end earlier."""
    got: list[Picture] = []
    async with asyncio.timeout(20):
        while len(got) < count:
            try:
                got.append(await anext(frames))
            except StopAsyncIteration:
                break
    return got


def wait_until(ready: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


# A file


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
    file = tmp_path / "named.txt"
    file.write_bytes(data)
    picture = load_image(file)
    assert picture.data == data
    assert (picture.mime_type, picture.width, picture.height) == (mime_type, 200, 120)
    assert ("may be refused" in picture.note) == (form in ("GIF", "WEBP"))


def test_a_large_picture_is_scaled_without_its_metadata(pil: Any, tmp_path: Path) -> None:
    exif = pil.Exif()
    exif[0x010E] = "at home"
    file = tmp_path / "photo.jpg"
    file.write_bytes(encoded(pil, "JPEG", (1600, 900), exif=exif))
    picture = load_image(file)
    assert (picture.mime_type, picture.width, picture.height, picture.note) == ("image/jpeg", 768, 432, "")
    assert b"at home" not in picture.data
    assert near(decoded(pil, picture).getpixel((400, 200)), RED)
    assert load_image(file, most_pixels=100).width == 100
    assert load_image(file, most_pixels=1600).data == file.read_bytes()


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
    file = tmp_path / "a.png"
    file.write_bytes(encoded(pil, form))
    picture = load_image(file)
    assert near(decoded(pil, picture).getpixel((9, 9)), RED)
    assert picture.note == f"{form} is not taken by the service: sent as JPEG"


def test_without_pillow_a_large_picture_goes_as_it_is_and_says_so(
    pil: Any, tmp_path: Path, without_pillow: None
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(encoded(pil, "PNG", (1600, 900)))
    picture = load_image(file)
    assert picture.data == file.read_bytes()
    assert picture.note == "1600x900 pixels, sent as it is: pip install mss pillow to have it scaled to 768"
    file.write_bytes(encoded(pil, "BMP"))
    with pytest.raises(BadRequest, match="does not take") as refused:
        load_image(file)
    assert "pip install mss pillow" in refused.value.fix


def test_a_heic_photo_goes_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(100))
    picture = load_image(file)
    assert (picture.mime_type, picture.width, picture.data) == ("image/heic", 0, file.read_bytes())
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
        (JPEG_HEAD, "a broken picture", "the JPEG data end too early"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "a broken picture", "the PNG data end too early"),
        (b"RIFF\xff\0\0\0WEBPVP8 ", "a broken picture", "the WebP data end too early"),
    ],
)
def test_what_is_no_picture(tmp_path: Path, data: bytes, what: str, why: str) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(data)
    with pytest.raises(BadRequest) as refused:
        load_image(file)
    assert refused.value.what == what
    assert refused.value.where == str(file)
    assert refused.value.why.startswith(why)
    assert refused.value.fix


def test_a_picture_with_a_whole_thumbnail_may_still_be_cut_short(pil: Any, tmp_path: Path) -> None:
    whole = encoded(pil, "JPEG", comment=encoded(pil, "JPEG", (8, 8)))
    file = tmp_path / "a.jpg"
    file.write_bytes(whole[:-2])
    with pytest.raises(BadRequest, match="a broken picture"):
        load_image(file)


def test_broken_data_inside_of_a_large_picture(pil: Any, tmp_path: Path) -> None:
    data = bytearray(encoded(pil, "PNG", (1600, 900)))
    at = data.index(b"IDAT") + 10
    data[at : at + 200] = bytes(200)
    file = tmp_path / "a.png"
    file.write_bytes(data)
    with pytest.raises(BadRequest, match="a broken picture") as refused:
        load_image(file)
    assert refused.value.why.startswith("Pillow says: ")


def test_a_picture_of_too_many_bytes(pil: Any, tmp_path: Path, without_pillow: None) -> None:
    file = tmp_path / "a.png"
    data = encoded(pil, "PNG")
    file.write_bytes(data + bytes(MOST_BYTES - len(data)))
    assert len(load_image(file).data) == MOST_BYTES
    file.write_bytes(data + bytes(MOST_BYTES))
    with pytest.raises(BadRequest, match="too large") as refused:
        load_image(file)
    assert "10,000,000" in refused.value.why


def test_a_picture_of_too_many_pixels(pil: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    data = encoded(pil, "PNG")
    header = b"IHDR" + struct.pack(">II", 40_000, 20_000) + data[24:29]
    file.write_bytes(data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:])
    with pytest.raises(BadRequest, match="too large") as refused:
        load_image(file)
    assert "million pixels" in refused.value.why


@pytest.mark.parametrize(
    ("name", "why"), [("none.jpg", "No such file"), ("", "Is a directory"), ("a\0b", "embedded null byte")]
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(BadRequest, match="cannot read the picture") as refused:
        load_image(f"{tmp_path}/{name}")
    assert why in refused.value.why


def test_a_picture_on_stdin(pil: Any) -> None:
    code = (
        "from livews.media import load_image; p = load_image('-'); print(p.mime_type, p.width, p.height, len(p.data))"
    )
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


def test_importing_pictures_imports_no_pillow_and_no_mss() -> None:
    code = "import sys, livews.media; print([n for n in ('PIL', 'mss') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=20)
    assert done.stdout == "[]\n", done.stderr


# The newest one


def picture(number: int) -> Picture:
    return Picture(bytes([number]), "image/jpeg", 1, 1)


async def test_a_slow_reader_gets_the_newest_at_most_every_second() -> None:
    newest = LatestPicture(every=0.1)
    for number in range(3):
        newest.put(picture(number))
    frames = newest.frames()
    first = await some(frames, 1)
    began = time.monotonic()
    writer = threading.Thread(target=lambda: [newest.put(picture(n)) for n in (3, 4)])
    writer.start()
    second = await some(frames, 1)
    writer.join()
    assert time.monotonic() - began >= 0.99
    assert [p.data for p in first + second] == [b"\2", b"\4"]
    assert newest.skipped == 3


async def test_the_last_picture_is_read_after_the_end_and_none_after_a_drop() -> None:
    ended, dropped = LatestPicture(1), LatestPicture(1)
    for newest in (ended, dropped):
        newest.put(picture(1))
    ended.end()
    dropped.drop()
    ended.put(picture(2))
    assert [p.data for p in await some(ended.frames(), 5)] == [b"\1"]
    assert await some(dropped.frames(), 5) == []


async def test_a_reader_that_waits_hears_of_a_drop() -> None:
    newest = LatestPicture(1)
    waiting = asyncio.create_task(some(newest.frames(), 1))
    await asyncio.sleep(0.05)
    newest.drop()
    assert await waiting == []


# The screen


async def test_the_screen_is_seen_as_it_is_now(display: Display, pil: Any) -> None:
    with closing(Screen()) as screen:
        assert not [t for t in threading.enumerate() if t.name == "livews-screen"], "captured before start()"
        screen.start()
        frames = screen.frames()
        first = await some(frames, 1)
        began = time.monotonic()
        display.paint(RED)
        pictures, took = first + await some(frames, 1), time.monotonic() - began
    for seen, colour in zip(pictures, (BLUE, RED), strict=True):
        assert (seen.mime_type, seen.width, seen.height) == ("image/jpeg", 768, 450)
        assert near(decoded(pil, seen).getpixel((300, 200)), colour)
    assert took >= 0.99
    assert not [t for t in threading.enumerate() if t.name == "livews-screen"]


async def test_closing_the_screen_ends_its_frames(display: Display) -> None:
    lost: list[ImageUnavailable] = []
    screen = Screen(every=60, on_lost=lost.append)
    screen.start()
    frames = screen.frames()
    first = await some(frames, 1)
    asyncio.get_running_loop().call_later(0.05, screen.close)
    assert len(first + await some(frames, 5)) == 1
    assert lost == []


async def test_a_lost_screen_is_told_once(display: Display) -> None:
    lost: list[ImageUnavailable] = []
    with closing(Screen(on_lost=lost.append)) as screen:
        screen.start()
        display.kill()
        got = await some(screen.frames(), 5)
    assert len(got) <= 2  # the first, and one that was being made
    assert lost == [screen.lost]
    assert lost[0].what == "no more pictures of the screen"
    assert display.name in lost[0].fix


def test_a_monitor_that_is_not_there(display: Display) -> None:
    with pytest.raises(ImageUnavailable) as refused:
        Screen(monitor=7).start()
    assert refused.value.why == "there is no monitor 7"
    assert "1: 1024x600" in refused.value.fix


def test_no_display(display: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY")
    with pytest.raises(ImageUnavailable, match="no picture of the screen") as refused:
        Screen().start()
    assert refused.value.why.startswith("DISPLAY is not set: ")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(ImageUnavailable) as refused:
        Screen().start()
    assert "portal" in refused.value.why
    monkeypatch.setenv("DISPLAY", ":4321")
    with pytest.raises(ImageUnavailable) as refused:
        Screen().start()
    assert "DISPLAY=:4321" in refused.value.fix


def test_black_under_wayland_is_no_picture(display: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    display.paint((0, 0, 0))
    with closing(Screen()) as screen:
        screen.start()  # black alone is no reason
    monkeypatch.setenv("XDG_SESSION_TYPE", "wayland")
    with pytest.raises(ImageUnavailable, match="Wayland"):
        Screen().start()


@pytest.mark.parametrize("module", ["mss", "PIL.Image"])
def test_the_screen_without_its_packages(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImageUnavailable) as refused:
        Screen().start()
    assert "pip install mss pillow" in refused.value.fix


# A camera


def lavfi(text: str, *, real_time: bool = True) -> list[str]:
    return [*(["-re"] if real_time else []), "-f", "lavfi", "-i", text]


async def test_a_camera_is_seen(ffmpeg: str, pil: Any) -> None:
    lost: list[ImageUnavailable] = []
    camera = Camera(source=lavfi("color=c=0x2060c0:size=1280x720:rate=10"), on_lost=lost.append)
    with closing(camera):
        camera.start()
        pid = camera.pid
        frames = camera.frames()
        first = await some(frames, 1)
        began = time.monotonic()
        pictures, took = first + await some(frames, 1), time.monotonic() - began
    for seen in pictures:
        assert (seen.mime_type, seen.width, seen.height) == ("image/jpeg", 768, 432)
        assert near(decoded(pil, seen).convert("RGB").getpixel((300, 200)), BLUE)
    assert took >= 0.99
    assert pid is not None
    assert camera.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert lost == []
    assert camera.lost is None


async def test_a_small_camera_is_not_enlarged(ffmpeg: str, pil: Any) -> None:
    with closing(Camera(source=lavfi("testsrc=size=161x121:rate=10:duration=1", real_time=False))) as camera:
        camera.start()
        (seen,) = await some(camera.frames(), 1)
    assert decoded(pil, seen).size == (161, 121)


async def test_a_slow_reader_skips_pictures_of_the_camera_until_its_end(ffmpeg: str) -> None:
    lost: list[ImageUnavailable] = []
    source = lavfi("testsrc=size=64x48:rate=10:duration=20", real_time=False)
    with closing(Camera(source=source, on_lost=lost.append)) as camera:
        camera.start()
        wait_until(lambda: lost)
        got = await some(camera.frames(), 100)
        assert len(got) == 1
        assert camera.skipped == 19
        assert lost == [camera.lost]
        assert lost[0].why == "ffmpeg came to the end of its input"


async def test_a_lost_camera_is_told_once(ffmpeg: str) -> None:
    lost: list[ImageUnavailable] = []
    with closing(Camera(source=lavfi("testsrc=size=64x48:rate=10"), on_lost=lost.append)) as camera:
        camera.start()
        assert camera.pid is not None
        os.kill(camera.pid, signal.SIGKILL)
        await some(camera.frames(), 5)
        wait_until(lambda: lost)
    assert lost == [camera.lost]
    assert lost[0].what == "no more pictures of the camera"
    assert lost[0].why == "ffmpeg ended with -9"


def test_a_camera_that_is_not_there(ffmpeg: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for spec, device in (("77", "/dev/video77"), ("/dev/no\x1bne", r"/dev/no\x1bne")):
        with pytest.raises(ImageUnavailable) as refused:
            Camera(spec).start()
        assert refused.value.why == f"there is no {device}"
        assert "--image FILE" in refused.value.fix


def test_what_ffmpeg_complains_of_is_told_in_one_safe_line(ffmpeg: str) -> None:
    with pytest.raises(ImageUnavailable) as refused:
        Camera(source=["-f", "v4l2", "-i", "/dev/null"]).start()
    assert refused.value.why == "/dev/null: Inappropriate ioctl for device"
    with pytest.raises(ImageUnavailable) as refused:
        Camera(source=["-i", "/none/\u202e.mp4"]).start()
    assert refused.value.why == r"/none/\u202e.mp4: No such file or directory"


def test_no_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ImageUnavailable, match="ffmpeg") as refused:
        Camera().start()
    assert "apt-get install ffmpeg" in refused.value.fix


def deaf(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ffmpeg that gives nothing and does not obey, as over a driver that hangs."""
    program = folder / "ffmpeg"
    program.write_text(
        f"#!{sys.executable}\nimport signal, time, pathlib\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path(__file__).with_name('ready').touch()\ntime.sleep(60)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


def test_a_camera_that_hangs_is_stopped_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deaf(tmp_path, monkeypatch)
    monkeypatch.setattr(camera, "WAIT", 0.5)
    hung = Camera(source=[])
    pids = []

    def note_pid() -> None:
        wait_until((tmp_path / "ready").exists)
        pids.append(hung.pid)

    watching = threading.Thread(target=note_pid)
    watching.start()
    with pytest.raises(ImageUnavailable, match="none came for"):
        hung.start()
    watching.join()
    assert pids[0] is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert not [t for t in threading.enumerate() if t.name.startswith("livews-camera")]


async def test_closed_before_it_starts() -> None:
    for source in (Camera(source=[]), Screen()):
        source.close()
        source.start()
        assert await some(source.frames(), 1) == []


# ffmpeg's multipart stream


class Pieces(io.RawIOBase):
    """A pipe that gives at most `size` bytes at once."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = io.BytesIO(data), size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(memoryview(buffer)[: self._size])


def parts(*pictures: bytes) -> bytes:
    head = b"--ffmpeg\r\nContent-type: image/jpeg\r\nContent-length: %d\r\n\r\n"
    return b"".join(head % len(picture) + picture + b"\r\n" for picture in pictures)


@pytest.mark.parametrize("piece", [1, 7, 1000, 1_000_000])
def test_a_stream_is_cut_into_the_pictures_it_was_made_of(piece: int) -> None:
    pictures = [b"\xff\xd8 one", b"\r\n--ffmpeg\r\n\r\n", bytes(range(256)) * 200]
    stream = io.BufferedReader(Pieces(parts(*pictures), piece))
    assert list(camera._pictures(stream)) == pictures


def test_a_picture_that_is_too_large_is_skipped_and_one_cut_short_is_none() -> None:
    stream = io.BytesIO(parts(b"small", bytes(5_001), bytes(5_000), b"also small") + parts(b"cut off")[:-4])
    assert [len(picture) for picture in camera._pictures(stream, most=5_000)] == [5, 5_000, 10]
