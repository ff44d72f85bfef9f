"""The screen as pictures, and the one module that imports mss.

- mss and Pillow are imported late, in `start()`; each picture is made in a thread of our own, never on a loop.
- The display is opened anew for every picture: monitors come and go, change size, and none is held meanwhile.
- `start` and `close` block, for at most some seconds even when the display does not answer.
- A lost screen is told once and is final.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Any

from livews.media.image_file import EXTRA, encode, pillow
from livews.media.picture import MOST_PIXELS, QUALITY, ImageUnavailable, LatestPicture, Picture, escaped

SEND_A_FILE = "or send a picture of it with --image FILE"
LIBRARIES = "libxcb1 libxcb-randr0 libxcb-render0 libxcb-shm0 libxcb-xfixes0"
_WAIT = 10.0  # seconds the first picture may take
_AGAIN = 0.2  # seconds after a picture that failed
_WHAT = "no picture of the screen"


class Screen:
    """The whole of one monitor as JPEG, at most every `every` seconds (1 at least), scaled to `most_pixels`.

    `monitor` counts from 1, 0 is all of them side by side. `on_lost(why)` is called once when the screen goes
    away, from another thread: use `loop.call_soon_threadsafe` in it.
    """

    def __init__(
        self,
        *,
        every: float = 1.0,
        most_pixels: int = MOST_PIXELS,
        quality: int = QUALITY,
        monitor: int = 1,
        on_lost: Callable[[ImageUnavailable], None] | None = None,
    ) -> None:
        self.lost: ImageUnavailable | None = None
        self._most_pixels = most_pixels
        self._quality = quality
        self._monitor = monitor
        self._on_lost = on_lost
        self._newest = LatestPicture(every)
        self._stop = threading.Event()
        self._first = threading.Event()  # the first picture is there, or will not come
        self._refused: ImageUnavailable | None = None
        self._thread: threading.Thread | None = None

    @property
    def skipped(self) -> int:
        """Pictures that were made and that nobody took."""
        return self._newest.skipped

    def start(self) -> None:
        """Make the first picture. Blocks; raises `NoPicture`."""
        if self._thread is not None or self._stop.is_set():
            return
        # A daemon: a display that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="livews-screen", daemon=True)
        self._thread.start()
        if not self._first.wait(_WAIT):
            self._refused = ImageUnavailable(
                _WHAT, f"the display does not answer for {_WAIT:.0f} s", f"Look whether it hangs, {SEND_A_FILE}"
            )
        if self._refused is not None:
            self.close()
            raise self._refused

    async def frames(self) -> AsyncIterator[Picture]:
        """The newest picture, at most every second, until `close()` or until the screen is lost. One reader."""
        async for picture in self._newest.frames():
            yield picture

    def close(self) -> None:
        """No more pictures. Blocks until the present one is made, two seconds at most; may be called again."""
        self._stop.set()
        self._newest.drop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2)

    def _run(self) -> None:
        due = time.monotonic()
        failed = False
        while not self._stop.wait(due - time.monotonic()):
            try:
                self._newest.put(capture(self._monitor, self._most_pixels, self._quality))
            except ImageUnavailable as why:
                if not self._first.is_set():
                    self._refused = why
                    self._first.set()
                    return
                if failed:
                    self._lose(why)
                    return
                failed = True  # once may be a monitor that changes its size just now
                due = time.monotonic() + _AGAIN
                continue
            failed = False
            self._first.set()
            due = max(due + self._newest.every, time.monotonic())

    def _lose(self, why: ImageUnavailable) -> None:
        if self._stop.is_set():
            return
        self.lost = ImageUnavailable("no more pictures of the screen", why.why, why.fix)
        self._newest.end()
        if self._on_lost is not None:
            self._on_lost(self.lost)


def capture(monitor: int, most_pixels: int, quality: int) -> Picture:
    """One picture of one monitor, now. Blocks for some 20 ms; raises `NoPicture`."""
    mss, image = _load()
    _check_session()
    try:
        with mss.MSS() as display:
            monitors = display.monitors
            shot = display.grab(monitors[monitor]) if 0 <= monitor < len(monitors) else None
    except Exception as problem:  # ScreenShotError mostly; OSError and others of ctypes
        raise _refused(problem) from problem
    if shot is None:
        have = ", ".join(f"{i}: {m['width']}x{m['height']}" for i, m in enumerate(monitors))
        raise ImageUnavailable(_WHAT, f"there is no monitor {monitor}", f"Choose one of {have} (0 is all of them)")
    try:
        pixels = image.frombytes("RGB", (shot.width, shot.height), bytes(shot.raw), "raw", "BGRX")
        if _on_wayland() and not pixels.getbbox():
            # Xwayland lets X programs see each other, and nothing else.
            raise ImageUnavailable(_WHAT, "under Wayland an X program sees only black", _wayland_fix())
        return encode(pixels, most_pixels=most_pixels, quality=quality)
    except ImageUnavailable:
        raise
    except Exception as problem:
        raise ImageUnavailable(
            _WHAT, f"it cannot be encoded: {escaped(str(problem))}", f"Try again, {SEND_A_FILE}"
        ) from problem


def _load() -> tuple[Any, Any]:
    """mss and PIL.Image."""
    try:
        return import_module("mss"), pillow()
    except Exception as problem:  # ImportError; what a half installed one raises
        why = f"a Python package is missing ({escaped(str(problem))})"
        raise ImageUnavailable(_WHAT, why, f"{EXTRA}, {SEND_A_FILE}") from problem


def _check_session() -> None:
    """What mss would not tell, or not tell clearly."""
    if sys.platform == "darwin":
        _check_permission()
    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY"):
        return
    if _on_wayland():
        why = "DISPLAY is not set, and Wayland shows the screen through a portal only, which livews does not speak"
        raise ImageUnavailable(_WHAT, why, _wayland_fix())
    why = "DISPLAY is not set: there is no graphical session"
    raise ImageUnavailable(_WHAT, why, f"Run it inside of one, or name its display as in DISPLAY=:0, {SEND_A_FILE}")


def _check_permission() -> None:
    """macOS gives a picture of the bare desktop, and no error, to whom it does not trust. (Not tried here.)"""
    try:
        graphics = ctypes.CDLL("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics")
        graphics.CGPreflightScreenCaptureAccess.restype = ctypes.c_bool
        if graphics.CGPreflightScreenCaptureAccess():
            return
        graphics.CGRequestScreenCaptureAccess()  # asks the user, once
    except (OSError, AttributeError):  # before macOS 10.15 all may look
        return
    fix = "Allow your terminal in System Settings, Privacy & Security, Screen Recording, and start it again"
    raise ImageUnavailable(_WHAT, "macOS does not allow it", f"{fix}, {SEND_A_FILE}")


def _on_wayland() -> bool:
    return bool(os.environ.get("WAYLAND_DISPLAY")) or os.environ.get("XDG_SESSION_TYPE") == "wayland"


def _wayland_fix() -> str:
    return f"Log in to an X11 session, {SEND_A_FILE}"


def _refused(problem: Exception) -> ImageUnavailable:
    said = escaped(str(problem))
    if "not found" in said and "Library" in said:
        fix = f"apt-get install {LIBRARIES} (Debian/Ubuntu; libxcb elsewhere)"
    elif sys.platform not in ("darwin", "win32"):
        display = escaped(os.environ.get("DISPLAY", ""))
        fix = f"Look whether DISPLAY={display} is the display that runs, and is yours"
    else:
        fix = "Unlock the screen and try again"
    return ImageUnavailable(_WHAT, said, f"{fix}, {SEND_A_FILE}")
