"""How long a connection lives: the idle timeout, goAway, and the close after it.

- The times are the profile's, divided by `time_scale`.
"""

from __future__ import annotations

import asyncio

from livews.core import closes
from livews.server import faults
from livews.server.server_session import ServerSession
from livews.server.store import ResumableSession


async def close_when_idle(session: ServerSession) -> None:
    """Close a connection if nothing came from the client for too long, not even a ping."""
    while True:
        life = session.conversation.profile["life"]
        idle = asyncio.get_running_loop().time() - session.connection.last_received_at
        left = life["idleSeconds"] / session.config.time_scale - idle
        if left <= 0:
            session.close_cause = "nothing came from the client, not even a ping"
            await session.close(*closes.frame_for(life["idleClose"]))
        await asyncio.sleep(left)


async def leave_in_time(session: ServerSession, resumable: ResumableSession) -> None:
    """Send goAway when its time has come after setup, or close where a model sends none (GOAWAY-1)."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    life, scale = session.conversation.profile["life"], session.config.time_scale
    if session.config.go_away:
        await asyncio.sleep(session.config.go_away)
    else:
        while (left := started + _seconds(session, resumable) / scale - loop.time()) > 0:  # noqa: ASYNC110
            # in short steps, since the first picture shortens the time
            await asyncio.sleep(min(left, max(0.01, 1.0 / scale)))
        if not life["goAwaySeconds"] and loop.time() >= started + life["closeSeconds"] / scale:
            session.context.store.expire(resumable)
            await session.close(*faults.close_of(life["close"]))
    await session.go_away(life["timeLeftSeconds"] / scale)


def _seconds(session: ServerSession, resumable: ResumableSession) -> float:
    """Seconds, before scaling, until goAway (until the close, if there is none): the connection's or the session's
    limit, whichever is shorter."""
    life = session.conversation.profile["life"]
    limit = float(life["goAwaySeconds"] or life["closeSeconds"])
    if "contextWindowCompression" in session.conversation.setup:
        return limit
    age = session.context.store.clock() - resumable.began
    connected = asyncio.get_running_loop().time() - session.connection.opened_at
    before = (age - connected) * session.config.time_scale
    session_limit = float(life["videoSeconds" if resumable.saw_video else "audioSeconds"])
    return min(limit, max(0.0, session_limit - before - float(life["timeLeftSeconds"])))
