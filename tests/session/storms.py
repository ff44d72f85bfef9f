"""Services that misbehave: `python -m tests.session.storms` prints the connections of the busiest minute, and how it ends."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import livews
from tests.session.service import Link, Service

SCALE = 20.0
_INTERNAL = 1011, "Internal error encountered."


async def _away_at_once(link: Link, moment: str, about: str) -> None:
    if moment == "ready":
        await link.away(10 / SCALE)


async def _away_without_time(link: Link, moment: str, about: str) -> None:
    if moment == "ready":
        await link.send({"goAway": {}})


async def _accept_and_close(link: Link, moment: str, about: str) -> None:
    if moment == "ready" and link.number > 1:
        await link.close(*_INTERNAL)
    elif moment == "speaking" and link.number == 1:
        link.reset()


async def _refuse_all_setups(link: Link, moment: str, about: str) -> None:
    if moment == "setup" and link.number > 1:
        await link.close(*_INTERNAL)
    elif moment == "speaking" and link.number == 1:
        link.reset()


async def _refuse_handles(link: Link, moment: str, about: str) -> None:
    if moment == "speaking":
        link.reset()


async def _silent_after_setup(link: Link, moment: str, about: str) -> None:
    if moment == "speaking" and link.number == 1:
        link.reset()
    elif moment == "setup" and link.number > 1:
        await link.service.over.wait()


async def _refuses_what_is_asked(link: Link, moment: str, about: str) -> None:
    if moment == "asked":
        await link.close(1007, "Request contains an invalid argument.")


STORMS: dict[str, Callable[[Link, str, str], Awaitable[None]]] = {
    "goAway after every setupComplete": _away_at_once,
    "goAway without a time, after every setupComplete": _away_without_time,
    "accept, set up and close": _accept_and_close,
    "accept and refuse the setup": _refuse_all_setups,
    "every handle refused, every answer cut": _refuse_handles,
    "accept and stay silent": _silent_after_setup,
    "every prompt refused": _refuses_what_is_asked,
}


@dataclass
class Storm:
    """What came of one."""

    name: str
    opened: list[float] = field(default_factory=list)
    """When connections were opened, in the client's seconds."""
    turns: int = 0
    answered: int = 0
    seconds: float = 0.0
    error: str = ""

    @property
    def busiest(self) -> int:
        """Connections of the busiest minute."""
        return max((sum(at <= other < at + 60 for other in self.opened) for at in self.opened), default=0)

    def __str__(self) -> str:
        how = self.error or "the conversation went on"
        figures = f"{self.busiest:>3} a minute, {len(self.opened):>3} in {self.seconds:>5.0f} s"
        return f"{self.name:<50} {figures}, {self.answered} of {self.turns} answered: {how}"


async def storm(name: str, turns: int = 6) -> Storm:
    """Hold a conversation of so many turns, ten seconds apart."""
    about, started = Storm(name), time.monotonic()

    async def fault(link: Link, moment: str, what: str) -> None:
        if moment == "setup":
            about.opened.append((time.monotonic() - started) * SCALE)
        await STORMS[name](link, moment, what)

    async with Service(fault).running() as service:
        if "handle" in name:
            service.refused = lambda handle: (1007, "Invalid session handle")
        try:
            policy = livews.ReconnectPolicy(time_scale=SCALE)
            async with asyncio.timeout(25), livews.connect(url=service.url, api_key="k", reconnect=policy) as session:
                for i in range(turns):
                    about.turns += 1
                    await session.say(f"turn {i}")
                    async for _ in session.turn():
                        pass
                    await asyncio.sleep(10 / SCALE)
        except (livews.LivewsError, TimeoutError) as problem:
            about.error = f"{type(problem).__name__}: {problem}".splitlines()[0]
        about.seconds = (time.monotonic() - started) * SCALE
        about.answered = len(service.answered)
    return about


async def _all() -> list[Storm]:
    return list(await asyncio.gather(*(storm(name) for name in STORMS)))


def main() -> int:
    found = asyncio.run(_all())
    for one in found:
        print(one)
    return int(any(one.busiest > 13 for one in found))


if __name__ == "__main__":
    sys.exit(main())
