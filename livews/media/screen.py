"""Screen capture, and the one module that imports mss.

- mss and Pillow are imported late, in `start()`; pictures are taken in a thread of our own, never on an event loop.
- The display is opened anew for every picture: monitors come and go and change size, and none is held meanwhile.
- `start` and `close` block, for at most some seconds even when the display does not answer.
- A lost screen is reported once and is final.
"""

import ctypes
import os
import sys
import time
from importlib import import_module

from livews.media.image_file import EXTRA, encode, pillow
from livews.media.picture import LEAST_SECONDS, ImageUnavailable, Picture, PictureSource
from livews.terminal_text import one_line

LIBRARIES = "libxcb1 libxcb-randr0 libxcb-render0 libxcb-shm0 libxcb-xfixes0"
_AGAIN = 0.2  # seconds after a picture that failed
_WAYLAND_FIX = "Log in to an X11 session"


class Screen(PictureSource):
    """The whole of the first monitor as JPEG. `most_pixels`: of the longer side; larger pictures are scaled."""

    subject = "screen"
    instead = "or send a picture of it with --image FILE"
    late = "the display does not answer"

    def _capture(self) -> None:
        due = time.monotonic()
        failed = False
        while not self._closed.wait(due - time.monotonic()):
            try:
                self.put(self._take())
                failed = False
                due = max(due + LEAST_SECONDS, time.monotonic())
            except ImageUnavailable:
                if failed or not self._ready.is_set():
                    raise
                failed = True  # once may be a monitor that is changing its size
                due = time.monotonic() + _AGAIN

    def _take(self) -> Picture:
        """The monitor as it is now. Blocks for some 20 ms; raises `ImageUnavailable`."""
        try:
            mss, image = import_module("mss"), pillow()
        except Exception as problem:  # ImportError; what a half installed one raises
            raise self._refused(f"a Python package is missing ({_text(problem)})", EXTRA) from problem
        self._check_session()
        try:
            with mss.MSS() as display:
                shot = display.grab(display.monitors[1])  # 0 is all of them side by side
        except Exception as problem:  # ScreenShotError mostly; OSError and others of ctypes
            raise self._refused(_text(problem)) from problem
        try:
            pixels = image.frombytes("RGB", (shot.width, shot.height), bytes(shot.raw), "raw", "BGRX")
            black = _on_wayland() and not pixels.getbbox()
            picture = encode(pixels, self._most_pixels)
        except Exception as problem:
            raise self._refused(f"it cannot be encoded: {_text(problem)}", "Try again") from problem
        if black:  # Xwayland lets X programs see each other, and nothing else
            raise self._refused("under Wayland an X program sees only black", _WAYLAND_FIX)
        return picture

    def _check_session(self) -> None:
        """Problems that mss does not report, or not clearly."""
        if sys.platform == "darwin" and not _permitted():
            fix = "Allow your terminal in System Settings, Privacy & Security, Screen Recording, and start it again"
            raise self._refused("macOS does not allow it", fix)
        if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY"):
            return
        if _on_wayland():
            why = (
                "DISPLAY is not set, and Wayland shows the screen through a portal only, which livews does not speak"
            )
            raise self._refused(why, _WAYLAND_FIX)
        fix = "Run it in one, or name its display as in DISPLAY=:0"
        raise self._refused("DISPLAY is not set: there is no graphical session", fix)

    def _fix(self, why: str) -> str:
        if self.late in why:
            return "Check whether the display server is hung"
        if "not found" in why and "Library" in why:
            return f"apt-get install {LIBRARIES} (Debian/Ubuntu; libxcb elsewhere)"
        if sys.platform not in ("darwin", "win32"):
            display = one_line(os.environ.get("DISPLAY", ""))
            return f"Check that DISPLAY={display} is a running display of yours"
        return "Unlock the screen and try again"


def _permitted() -> bool:
    """Without permission macOS gives a picture of the bare desktop, and no error. (Not tried here.)"""
    try:
        graphics = ctypes.CDLL("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics")
        graphics.CGPreflightScreenCaptureAccess.restype = ctypes.c_bool
        if not graphics.CGPreflightScreenCaptureAccess():
            graphics.CGRequestScreenCaptureAccess()  # asks the user, once
            return False
    except (OSError, AttributeError):  # before macOS 10.15 there is no such permission
        pass
    return True


def _on_wayland() -> bool:
    return bool(os.environ.get("WAYLAND_DISPLAY")) or os.environ.get("XDG_SESSION_TYPE") == "wayland"


def _text(problem: Exception) -> str:
    return one_line(str(problem).strip(), 200)
