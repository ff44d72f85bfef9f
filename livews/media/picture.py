"""What a picture is, why there is none, and the slot in which the newest one waits.

- The slot holds one picture, whatever its writer and its reader do; what is replaced is counted.
- Nothing here waits but `frames`, and that ends when the slot does.
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
LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture, as realtimeInput.video takes it (without base64); `note` is for people, "" mostly."""

    data: bytes
    mime_type: str  # image/jpeg mostly
    width: int  # pixels; 0 when the format does not tell simply
    height: int
    note: str = ""


class ImageUnavailable(LivewsError):
    """The screen or the camera cannot be captured, or was lost."""

    exit_code = Exit.NO_SOUND

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(what, why=why, fix=fix)


class LatestPicture:
    """One slot between the thread that makes pictures and the one reader that takes them.

    `put`, `end` and `drop` may be called in any thread; `frames` belongs to an event loop.
    """

    def __init__(self, every: float) -> None:
        self.every = max(LEAST_SECONDS, every)
        self.skipped = 0  # made, and replaced before anybody took them
        self._picture: Picture | None = None
        self._ended = False
        self._due = 0.0
        self._lock = threading.Lock()
        self._wake: Callable[[], object] = lambda: None

    def put(self, picture: Picture) -> None:
        with self._lock:
            if self._ended:
                return
            self.skipped += self._picture is not None
            self._picture = picture
        self._wake()

    def end(self) -> None:
        """No more will come; the one that waits is still yielded."""
        with self._lock:
            self._ended = True
        self._wake()

    def drop(self) -> None:
        """Nobody wants more, not even the one that waits."""
        with self._lock:
            self._ended, self._picture = True, None
        self._wake()

    async def frames(self) -> AsyncIterator[Picture]:
        """The newest picture, at most every `every` seconds, until the end."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody reads
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


def escaped(text: str) -> str:
    """A foreign text on one line of at most 200 characters, with nothing in it that a terminal would obey."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text.strip())
    return line if len(line) <= 200 else line[:199] + "…"
