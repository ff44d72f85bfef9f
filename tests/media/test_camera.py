"""A camera as pictures, by a real ffmpeg."""

import io
import os
import signal
import stat
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from livews.media import Camera, ImageUnavailable, Screen, camera, picture
from tests.media.conftest import BLUE, decoded, near, some, wait_until


def lavfi(text: str, *, real_time: bool = True) -> list[str]:
    return [*(["-re"] if real_time else []), "-f", "lavfi", "-i", text]


def pid_of(camera: Camera) -> int:
    assert camera._process is not None
    return camera._process.pid


async def test_a_camera_is_seen(ffmpeg: str, pil: Any) -> None:
    with closing(Camera(source=lavfi("color=c=0x2060c0:size=1280x720:rate=10"))) as camera:
        camera.start()
        pid = pid_of(camera)
        frames = camera.frames()
        first = await some(frames, 1)
        began = time.monotonic()
        pictures, took = first + await some(frames, 1), time.monotonic() - began
    for seen in pictures:
        assert (seen.mime_type, seen.width, seen.height) == ("image/jpeg", 768, 432)
        assert near(decoded(pil, seen).convert("RGB").getpixel((300, 200)), BLUE)
    assert took >= 0.99
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert camera.lost is None


async def test_a_small_camera_is_not_enlarged(ffmpeg: str, pil: Any) -> None:
    with closing(Camera(source=lavfi("testsrc=size=161x121:rate=10:duration=1", real_time=False))) as camera:
        camera.start()
        (seen,) = await some(camera.frames(), 1)
    assert decoded(pil, seen).size == (161, 121)


async def test_a_slow_reader_skips_pictures_of_the_camera_until_its_end(ffmpeg: str) -> None:
    source = lavfi("testsrc=size=64x48:rate=10:duration=20", real_time=False)
    with closing(Camera(source=source)) as camera:
        camera.start()
        wait_until(lambda: camera.lost)
        assert len(await some(camera.frames(), 100)) == 1
        assert camera.lost is not None
        assert camera.lost.why == "ffmpeg came to the end of its input"


async def test_a_lost_camera_is_told_once(ffmpeg: str) -> None:
    with closing(Camera(source=lavfi("testsrc=size=64x48:rate=10"))) as camera:
        camera.start()
        os.kill(pid_of(camera), signal.SIGKILL)
        await some(camera.frames(), 5)
        wait_until(lambda: camera.lost)
    assert camera.lost is not None
    assert (camera.lost.what, camera.lost.why) == ("no more pictures of the camera", "ffmpeg ended with -9")


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
    monkeypatch.setattr(picture, "WAIT", 0.5)
    hung = Camera(source=[])
    pids = []

    def note_pid() -> None:
        wait_until((tmp_path / "ready").exists)
        pids.append(pid_of(hung))

    watching = threading.Thread(target=note_pid)
    watching.start()
    with pytest.raises(ImageUnavailable, match="none came for"):
        hung.start()
    watching.join()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert not [t for t in threading.enumerate() if t.name.startswith("livews-camera")]


async def test_closed_before_it_starts() -> None:
    for source in (Camera(source=[]), Screen()):
        source.close()
        source.start()
        assert await some(source.frames(), 1) == []


def parts(*pictures: bytes) -> bytes:
    head = b"--ffmpeg\r\nContent-type: image/jpeg\r\nContent-length: %d\r\n\r\n"
    return b"".join(head % len(picture) + picture + b"\r\n" for picture in pictures)


def test_a_stream_is_cut_into_the_pictures_it_was_made_of() -> None:
    pictures = [b"\xff\xd8 one", b"\r\n--ffmpeg\r\n\r\n", bytes(range(256)) * 200]
    assert list(camera._pictures(io.BytesIO(parts(*pictures)))) == pictures


def test_a_picture_that_is_too_large_is_skipped_and_one_cut_short_is_none() -> None:
    stream = io.BytesIO(parts(b"small", bytes(5_001), bytes(5_000), b"also small") + parts(b"cut off")[:-4])
    assert [len(picture) for picture in camera._pictures(stream, most=5_000)] == [5, 5_000, 10]
