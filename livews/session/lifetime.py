"""Say in time that the service ends a session whose context is not compressed: `Lifetime`.

- The limit is that of the session, over all of its connections: `life.audioSeconds` of the profile, `life.videoSeconds`
  from the first picture on. A session that begins anew, without a handle, gets its time again.
- A session that was begun elsewhere, `connect(handle=...)`, is older than is known here, so its end may come earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from livews.core import machine
from livews.core.conversation import Step
from livews.core.models import Profile
from livews.session.events import SessionLimit

NOTICE = 60.0
"""Seconds before the end at which it is said."""


class Lifetime:
    """Follows the age of one session.

    Args:
        profile: of the model.
        clock: of the session.
        put: called with the event.
        scale: all times are divided by it.
    """

    def __init__(
        self, profile: Profile, clock: Callable[[], float], put: Callable[[SessionLimit], None], scale: float
    ) -> None:
        self._life = profile["life"]
        self._clock, self._put, self._scale = clock, put, scale
        self._medium = "audio"
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, setup: dict[str, Any], step: Step) -> None:
        """A session has begun: setupComplete, the step, came on a connection without a handle."""
        self.stop()
        self._began, self._medium = self._clock(), "audio"
        if "contextWindowCompression" not in setup:
            self._start(step)

    def sent(self, step: Step) -> None:
        """Take a message of the client: pictures shorten the time."""
        if self._medium == "audio" and self._timer is not None and _has_picture(step):
            self.stop()
            self._medium = "video"
            self._start(step)

    def stop(self) -> None:
        """Say nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    def _start(self, step: Step) -> None:
        limit = float(self._life[f"{self._medium}Seconds"])
        ends_at = self._began + limit / self._scale

        def say() -> None:
            left = max(0.0, ends_at - self._clock())
            self._put(SessionLimit(left, limit, self._medium == "video", step=step))

        wait = ends_at - NOTICE / self._scale - self._clock()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, wait), say)


def _has_picture(step: Step) -> bool:
    if step.template is not None:
        return False
    chunks = machine.values(step.body, ("realtimeInput", "mediaChunks", "*", "mimeType"))
    return "videoIn" in step.signals or any(str(mime_type).startswith(("image/", "video/")) for mime_type in chunks)
