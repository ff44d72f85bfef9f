"""How long a connection lives: the idle timeout, goAway, and the close after it.

- The times are the profile's, divided by `time_scale`.
- At any time one task decides about the end; starting another replaces it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from livews.core import closes
from livews.server import faults
from livews.server.channel import cancel
from livews.server.context import ServerSession
from livews.server.replies import format_duration
from livews.server.store import ResumableSession


class ConnectionLifetime:
    """Ends one connection in time. The idle timeout runs from the start, the rest from `begin`."""

    def __init__(self, session: ServerSession) -> None:
        self.idle = False
        """It was closed because nothing came from the client."""
        self._session = session
        self._channel = session.channel
        self._scale = session.config.time_scale
        self._went_away = False
        self._task = session.channel.start_task(self._wait_until(float("inf")))

    def begin(self, session: ResumableSession) -> None:
        """Start the lifetime of a session that is set up."""
        if not self._went_away:
            self._replace_task(self._live(session))

    async def stop(self) -> None:
        """End the task."""
        await cancel(self._task)

    async def go_away(self, seconds: float) -> None:
        """Send goAway with so many seconds left, and close when they are over. Only once (GOAWAY-1)."""
        if not self._went_away:
            self._went_away = True
            await self._channel.send({"goAway": {"timeLeft": format_duration(seconds)}})
            self._replace_task(self._leave(asyncio.get_running_loop().time() + seconds))

    async def _leave(self, until: float) -> None:
        await self._wait_until(until)
        await self._channel.close(*faults.close_of("goaway-ignored"))

    def _replace_task(self, work: Coroutine[Any, Any, None]) -> None:
        before, self._task = self._task, self._channel.start_task(work)
        before.cancel()

    async def _wait_until(self, until: float) -> None:
        """Wait until a time of the loop; close if nothing came from the client for too long, not even a ping."""
        loop = asyncio.get_running_loop()
        profile = self._session.conversation.profile["life"]
        timeout = profile["idleSeconds"] / self._scale
        while (now := loop.time()) < until:
            idle_at = self._session.connection.last_received_at + timeout
            if now >= idle_at:
                self.idle = True
                await self._channel.close(*closes.frame_for(profile["idleClose"]))
            await asyncio.sleep(min(until, idle_at) - now)

    async def _live(self, session: ResumableSession) -> None:
        """goAway when its time has come, and the close after it (GOAWAY-1)."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        profile = self._session.conversation.profile["life"]
        if self._session.config.go_away:
            await self._wait_until(started + self._session.config.go_away)
        else:
            while (at := started + self._seconds(session) / self._scale) > (now := loop.time()):
                # in short steps, since the first picture shortens the time
                await self._wait_until(min(at, now + max(0.01, 1.0 / self._scale)))
            if not profile["goAwaySeconds"] and now >= started + profile["closeSeconds"] / self._scale:
                self._session.context.store.expire(session)
                await self._channel.close(*faults.close_of(profile["close"]))
        await self.go_away(profile["timeLeftSeconds"] / self._scale)

    def _seconds(self, session: ResumableSession) -> float:
        """Seconds, before scaling, until goAway (until the close, if there is none): the connection's or the session's
        limit, whichever is shorter."""
        profile = self._session.conversation.profile["life"]
        limit = float(profile["goAwaySeconds"] or profile["closeSeconds"])
        if "contextWindowCompression" in self._session.conversation.setup:
            return limit
        session_limit = float(profile["videoSeconds" if session.saw_video else "audioSeconds"])
        age = self._session.context.store.clock() - session.began
        connected = asyncio.get_running_loop().time() - self._session.connection.opened_at
        spent = (age - connected) * self._scale
        return min(limit, max(0.0, session_limit - spent - float(profile["timeLeftSeconds"])))
