"""Screen capture, and the one module that imports mss.

- mss and Pillow are imported late, in `start()`; pictures are taken in a thread of our own, never on an event loop.
- The display is opened anew for every picture: monitors come and go and change size, and none is held meanwhile.
- `start` and `close` block, for at most some seconds even when the display does not answer.
- A lost screen is reported once and is final.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from livews.media.image_file import EXTRA, encode, pillow
from livews.media.picture import MOST_PIXELS, QUALITY, WAIT, ImageUnavailable, Picture, PictureSource
from livews.terminal_text import one_line

SEND_A_FILE = "or send a picture of it with --image FILE"
LIBRARIES = "libxcb1 libxcb-randr0 libxcb-render0 libxcb-shm0 libxcb-xfixes0"
_AGAIN = 0.2  # seconds after a picture that failed
_WHAT = "no picture of the screen"


class Screen(PictureSource):
    """The whole of one monitor as JPEG.

    `every`: least seconds between two pictures, 1 at least. `most_pixels`: of the longer side; larger pictures are
    scaled. `quality`: of JPEG, as Pillow counts. `monitor`: counts from 1, 0 is all of them side by side. `on_lost`:
    see `PictureSource`.
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
        super().__init__(every, on_lost)
        self._most_pixels = most_pixels
        self._quality = quality
        self._monitor = monitor
        self._stop = threading.Event()
        self._refusal: ImageUnavailable | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take the first picture. Blocks; raises `ImageUnavailable`."""
        if self._thread is not None or self._stop.is_set():
            return
        # A daemon: a display that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="livews-screen", daemon=True)
        self._thread.start()
        if not self._ready.wait(WAIT):
            why, fix = f"the display does not answer for {WAIT:.0f} s", "Check whether the display server is hung"
            self._refusal = ImageUnavailable(_WHAT, why, f"{fix}, {SEND_A_FILE}")
        if self._refusal is not None:
            self.close()
            raise self._refusal

    def close(self) -> None:
        """No more pictures. Blocks until the present one is finished, two seconds at most; may be called again."""
        self._stop.set()
        self.drop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2)

    def _run(self) -> None:
        due = time.monotonic()
        failed = False
        while not self._stop.wait(due - time.monotonic()):
            try:
                self.put(capture(self._monitor, self._most_pixels, self._quality))
            except ImageUnavailable as problem:
                if not self._ready.is_set():
                    self._refusal = problem
                    self._ready.set()
                    return
                if failed:
                    if not self._stop.is_set():
                        self._lose(ImageUnavailable("no more pictures of the screen", problem.why, problem.fix))
                    return
                failed = True  # once may be a monitor that is changing its size
                due = time.monotonic() + _AGAIN
                continue
            failed = False
            self._ready.set()
            due = max(due + self.every, time.monotonic())


def capture(monitor: int, most_pixels: int, quality: int) -> Picture:
    """One picture of one monitor, now. Blocks for some 20 ms; raises `ImageUnavailable`."""
    mss, image = _load()
    _check_session()
    try:
        with mss.MSS() as display:
            monitors = display.monitors
            shot = display.grab(monitors[monitor]) if 0 <= monitor < len(monitors) else None
    except Exception as problem:  # ScreenShotError mostly; OSError and others of ctypes
        raise _refused(problem) from problem
    if shot is None:
        monitor_list = ", ".join(f"{i}: {m['width']}x{m['height']}" for i, m in enumerate(monitors))
        raise ImageUnavailable(
            _WHAT, f"there is no monitor {monitor}", f"Choose one of {monitor_list} (0 is all of them)"
        )
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
            _WHAT, f"it cannot be encoded: {one_line(str(problem).strip(), 200)}", f"Try again, {SEND_A_FILE}"
        ) from problem


def _load() -> tuple[Any, Any]:
    """mss and PIL.Image."""
    try:
        return import_module("mss"), pillow()
    except Exception as problem:  # ImportError; what a half installed one raises
        why = f"a Python package is missing ({one_line(str(problem).strip(), 200)})"
        raise ImageUnavailable(_WHAT, why, f"{EXTRA}, {SEND_A_FILE}") from problem


def _check_session() -> None:
    """Problems that mss does not report, or not clearly."""
    if sys.platform == "darwin":
        _check_permission()
    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY"):
        return
    if _on_wayland():
        why = "DISPLAY is not set, and Wayland shows the screen through a portal only, which livews does not speak"
        raise ImageUnavailable(_WHAT, why, _wayland_fix())
    why = "DISPLAY is not set: there is no graphical session"
    raise ImageUnavailable(_WHAT, why, f"Run it in one, or name its display as in DISPLAY=:0, {SEND_A_FILE}")


def _check_permission() -> None:
    """Without permission macOS gives a picture of the bare desktop, and no error. (Not tried here.)"""
    try:
        graphics = ctypes.CDLL("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics")
        graphics.CGPreflightScreenCaptureAccess.restype = ctypes.c_bool
        if graphics.CGPreflightScreenCaptureAccess():
            return
        graphics.CGRequestScreenCaptureAccess()  # asks the user, once
    except (OSError, AttributeError):  # before macOS 10.15 there is no such permission
        return
    fix = "Allow your terminal in System Settings, Privacy & Security, Screen Recording, and start it again"
    raise ImageUnavailable(_WHAT, "macOS does not allow it", f"{fix}, {SEND_A_FILE}")


def _on_wayland() -> bool:
    return bool(os.environ.get("WAYLAND_DISPLAY")) or os.environ.get("XDG_SESSION_TYPE") == "wayland"


def _wayland_fix() -> str:
    return f"Log in to an X11 session, {SEND_A_FILE}"


def _refused(problem: Exception) -> ImageUnavailable:
    why = one_line(str(problem).strip(), 200)
    if "not found" in why and "Library" in why:
        fix = f"apt-get install {LIBRARIES} (Debian/Ubuntu; libxcb elsewhere)"
    elif sys.platform not in ("darwin", "win32"):
        display = one_line(os.environ.get("DISPLAY", ""))
        fix = f"Check that DISPLAY={display} is a running display of yours"
    else:
        fix = "Unlock the screen and try again"
    return ImageUnavailable(_WHAT, why, f"{fix}, {SEND_A_FILE}")
