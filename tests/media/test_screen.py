"""The screen as pictures, of a real X server."""

import asyncio
import sys
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from livews.media import ImageUnavailable, Screen, picture
from tests.media.conftest import BLUE, RED, Display, decoded, near, some


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


async def test_closing_the_screen_ends_its_frames(display: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "LEAST_SECONDS", 60)
    screen = Screen()
    screen.start()
    frames = screen.frames()
    first = await some(frames, 1)
    asyncio.get_running_loop().call_later(0.05, screen.close)
    assert len(first + await some(frames, 5)) == 1
    assert screen.lost is None


async def test_a_lost_screen_is_told_once(display: Display) -> None:
    with closing(Screen()) as screen:
        screen.start()
        display.kill()
        got = await some(screen.frames(), 5)
    assert len(got) <= 2  # the first, and one that was being made
    assert screen.lost is not None
    assert screen.lost.what == "no more pictures of the screen"
    assert display.name in screen.lost.fix


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
