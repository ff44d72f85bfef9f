"""Pictures, why there are none, and the source of the latest picture that screen and camera are.

- The slot holds one picture, whatever its writer and its reader do.
- Only `frames` waits, and it ends when the slot does.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from livews.errors import DeviceUnavailable

MOST_PIXELS = 768
"""Of the longer side. Google recommends 768x768 for Live; more costs time and is scaled down there."""
QUALITY = 75
"""Of JPEG, on Pillow's scale of 0 to 95."""
LEAST_SECONDS = 1.0
WAIT = 10.0
"""Seconds the first picture may take; a camera needs one to three."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture, as realtimeInput.video takes it (without base64); `note` is for people, mostly ""."""

    data: bytes
    mime_type: str  # mostly image/jpeg
    width: int  # pixels; 0 when it is not known
    height: int
    note: str = ""


class ImageUnavailable(DeviceUnavailable):
    """The screen or the camera cannot be captured, or was lost."""


class PictureSource:
    """A source of pictures with one slot between the thread that makes them and the one reader that takes them.

    `put` and `end` may be called in any thread; `frames` belongs to an event loop. `most_pixels`: of the longer
    side; larger pictures are scaled.
    """

    subject = ""  # in errors: "no picture of ..."
    instead = ""  # what to do without
    late = ""  # why there is no first picture in time

    def __init__(self, *, most_pixels: int = MOST_PIXELS) -> None:
        self._most_pixels = most_pixels
        self.lost: ImageUnavailable | None = None
        """Why there are no more pictures; None while there are, and after `close`."""
        self._starting = threading.Lock()  # one start or close at a time
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._ready = threading.Event()
        """Set when the first picture is there, or will not come."""
        self._refusal: ImageUnavailable | None = None  # why it will not come
        self._slot: deque[Picture] = deque(maxlen=1)
        self._ended = False
        self._due = 0.0
        self._wake: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Begin, and wait for the first picture. Blocks; raises `ImageUnavailable`."""
        with self._starting:
            if self._thread is not None or self._closed.is_set():
                return
            self._open()
            # A daemon: a display that hangs must not keep the program from ending.
            self._thread = threading.Thread(target=self._run, name=f"livews-{self.subject}", daemon=True)
            self._thread.start()
        try:
            if not self._ready.wait(WAIT):
                raise self._refused(f"{self.late} for {WAIT:.0f} s")
            if self._refusal is not None:
                raise self._refusal
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """No more pictures. Blocks until the present one is finished, for some seconds at most; may be called again."""
        with self._starting:
            self._closed.set()
            self.end()
            self._ready.set()
            self._interrupt()
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join(2)

    def _open(self) -> None:
        """What `start` does before there is a thread. Raises `ImageUnavailable`."""

    def _capture(self) -> None:
        """Put pictures, in a thread of its own, until `close` or until there are no more: raises `ImageUnavailable`."""

    def _interrupt(self) -> None:
        """End a `_capture` that waits for more than `_closed`."""

    def _refused(self, why: str, fix: str = "") -> ImageUnavailable:
        return ImageUnavailable(f"no picture of the {self.subject}", why, f"{fix or self._fix(why)}, {self.instead}")

    def _fix(self, why: str) -> str:
        """What to do about `why`."""
        return "Try again"

    def _run(self) -> None:
        try:
            self._capture()
        except ImageUnavailable as problem:
            if self._closed.is_set():
                return
            if self._ready.is_set():
                self.lost = ImageUnavailable(f"no more pictures of the {self.subject}", problem.why, problem.fix)
                self.end()
            self._refusal = problem
            self._ready.set()

    def put(self, picture: Picture) -> None:
        """Replace the picture that waits."""
        if not self._ended:
            self._slot.append(picture)
            self._ready.set()
            self._wake()

    def end(self) -> None:
        """No more pictures will come; the one that waits is still yielded, unless `close` follows."""
        self._ended = True
        self._wake()

    async def frames(self) -> AsyncIterator[Picture]:
        """The newest picture, at most one every `LEAST_SECONDS`, until `close()` or the loss. For one reader."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed, and its reader gone
                loop.call_soon_threadsafe(changed.set)

        self._wake = wake
        while True:
            changed.clear()
            wait = self._due - time.monotonic()
            if self._closed.is_set() or (self._ended and not self._slot):
                return
            if self._slot and wait <= 0:
                self._due = time.monotonic() + LEAST_SECONDS
                yield self._slot.popleft()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(wait if wait > 0 else None):
                    await changed.wait()
