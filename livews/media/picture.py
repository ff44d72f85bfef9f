"""Pictures, why there are none, and the source of the latest picture that screen and camera are.

- The slot holds one picture, whatever its writer and its reader do; those that are replaced are counted.
- Only `frames` waits, and it ends when the slot does.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from livews.errors import LivewsError
from livews.exit_codes import Exit

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


class ImageUnavailable(LivewsError):
    """The screen or the camera cannot be captured, or was lost."""

    exit_code = Exit.NO_SOUND

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(what, why=why, fix=fix)


class PictureSource:
    """A source of pictures with one slot between the thread that makes them and the one reader that takes them.

    `put`, `end` and `drop` may be called in any thread; `frames` belongs to an event loop. `every`: least seconds
    between two pictures, 1 at least. `on_lost(why)` is called once when the source is lost, in another thread: use
    `loop.call_soon_threadsafe` in it.
    """

    def __init__(self, every: float, on_lost: Callable[[ImageUnavailable], None] | None = None) -> None:
        self.every = max(LEAST_SECONDS, every)
        self.skipped = 0
        """Number of pictures that were replaced before they were taken."""
        self.lost: ImageUnavailable | None = None
        """Why there are no more pictures; None while there are, and after `close`."""
        self._on_lost = on_lost
        self._ready = threading.Event()
        """Set when the first picture is there, or will not come."""
        self._picture: Picture | None = None
        self._ended = False
        self._due = 0.0
        self._lock = threading.Lock()
        self._wake: Callable[[], object] = lambda: None

    def put(self, picture: Picture) -> None:
        """Replace the picture that waits."""
        with self._lock:
            if self._ended:
                return
            self.skipped += self._picture is not None
            self._picture = picture
        self._wake()

    def end(self) -> None:
        """No more pictures will come; the one that waits is still yielded."""
        with self._lock:
            self._ended = True
        self._wake()

    def drop(self) -> None:
        """No more pictures are wanted, not even the one that waits."""
        with self._lock:
            self._ended, self._picture = True, None
        self._wake()

    def _lose(self, why: ImageUnavailable) -> None:
        self.lost = why
        self.end()
        if self._on_lost is not None:
            self._on_lost(why)

    async def frames(self) -> AsyncIterator[Picture]:
        """The newest picture, at most one every `every` seconds, until `close()` or the loss. For one reader."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed, and its reader gone
                loop.call_soon_threadsafe(changed.set)

        self._wake = wake
        while True:
            changed.clear()
            wait = self._due - time.monotonic()
            picture = None
            with self._lock:
                if wait <= 0:
                    picture, self._picture = self._picture, None
                elif self._picture is None and self._ended:
                    return
                ended = self._ended
            if picture is not None:
                self._due = time.monotonic() + self.every
                yield picture
                continue
            if ended and wait <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(wait if wait > 0 else None):
                    await changed.wait()
