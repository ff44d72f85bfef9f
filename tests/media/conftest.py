"""Fixtures and helpers: real pictures, a real X server (Xvfb) and a real ffmpeg.

- What is missing is a skip that says so; LIVEWS_REQUIRE_PICTURES=1 makes it a failure.
"""

import asyncio
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import pytest

from livews.media import Picture

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
