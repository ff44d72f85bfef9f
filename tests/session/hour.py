"""An hour of conversation, in scaled time, over connections that drop at random: `python -m tests.session.hour`.

For each seed a service of its own drops connections (reset, half a frame, closes), sends goAway at the age of the real
one, and sometimes refuses a handle. Counted on its side: turns that were never answered or answered twice, calls that ran
twice, numbered chunks of the user's voice that did not arrive and were not reported as dropped.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import random
import struct
import sys
import time
import tracemalloc
from collections import Counter
from dataclasses import dataclass

import livews
from tests.session.matrix import FAULTS
from tests.session.service import Link, Service

SCALE = 60.0
_DROPS = (
    "reset",
    "end of TCP",
    "half a frame",
    "1011 internal",
    "1011 deadline",
    "1008 aborted",
    "1001 going away",
    "1000",
)
_MOMENTS = ("asked", "speaking", "generated", "over", "called", "resulted", "spoken")
_LOUD = 2_000
"""What is added to the number of a chunk of voice, so that it is no silence."""
_VOICE_EVERY = 0.02
_CHUNK = 320


@dataclass
class Hour:
    """What came of one seed."""

    seed: int
    turns: int = 0
    connections: int = 0
    drops: int = 0
    fresh: int = 0
    lost: int = 0
    doubled: int = 0
    twice: int = 0
    """Calls that ran twice."""
    voice: int = 0
    """Chunks of voice that were sent."""
    missing: int = 0
    """Of these, the ones that neither arrived nor were reported as dropped."""
    grown: int = 0
    """kB of memory, from the middle to the end."""
    most_open: int = 0
    error: str = ""

    @property
    def is_fine(self) -> bool:
        return not (self.lost or self.doubled or self.twice or self.missing or self.error or self.most_open > 1)

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.turns} turns over {self.connections} connections ({self.drops} drops, {self.fresh} "
            f"fresh): {self.lost} lost, {self.doubled} answered twice, {self.twice} calls ran twice; {self.voice} chunks "
            f"of voice, {self.missing} unaccounted for; memory {self.grown:+} kB {self.error}"
        )


async def hour(seed: int, minutes: float = 60.0, *, every: float = 180.0, memory: bool = False) -> Hour:
    """Hold a conversation.

    Args:
        seed: of what goes wrong.
        minutes: how long, in the client's time.
        every: seconds between two drops, on average, in the client's time.
        memory: measure it.
    """
    about, chance = Hour(seed), random.Random(seed)
    loop = asyncio.get_running_loop()
    next_drop = loop.time() + chance.expovariate(1 / every) / SCALE
    moment = chance.choice(_MOMENTS)

    async def fault(link: Link, at: str, what: str) -> None:
        nonlocal next_drop, moment
        now = loop.time()
        if at == "over" and now - link.opened > 540 / SCALE and not link.went_away:
            link.went_away = True
            await link.away(50 / SCALE)
        elif at == moment and now >= next_drop:
            next_drop = now + chance.expovariate(1 / every) / SCALE
            moment = chance.choice(_MOMENTS)
            about.drops += 1
            await FAULTS[chance.choice(_DROPS)](link)

    runs: Counter[str] = Counter()

    def look_up(of: str) -> dict[str, str]:
        """Look something up."""
        runs[of] += 1
        return {"result": of.upper()}

    async with Service(fault, pause=0.002).running() as service:
        service.refused = lambda handle: (
            (1008, "BidiGenerateContent session not found") if chance.random() < 0.1 else None
        )
        policy = livews.ReconnectPolicy(time_scale=SCALE, audio_seconds=600.0)
        try:
            async with livews.connect(url=service.url, api_key="k", tools=[look_up], reconnect=policy) as session:
                started = time.monotonic()

                async def speak() -> None:
                    while True:
                        about.voice += 1
                        await session.send_audio(struct.pack("<h", _LOUD + about.voice % 30_000) * _CHUNK)
                        await asyncio.sleep(_VOICE_EVERY)

                speaking = asyncio.create_task(speak())
                middle = 0
                try:
                    while (elapsed := (time.monotonic() - started) * SCALE / 60) < minutes:
                        about.turns += 1
                        name = f"turn {about.turns}" + (" of the weather" if about.turns % 5 == 0 else "")
                        await session.say(name)
                        async with asyncio.timeout(20):
                            async for event in session.turn():
                                about.fresh += isinstance(event, livews.Resumed) and event.fresh
                        await asyncio.sleep(3 / SCALE)
                        if memory and not middle and elapsed > minutes / 2:
                            gc.collect()
                            middle = tracemalloc.get_traced_memory()[0]
                finally:
                    speaking.cancel()
                    (ended,) = await asyncio.gather(speaking, return_exceptions=True)
                    if not isinstance(ended, asyncio.CancelledError):
                        raise AssertionError(f"the microphone stopped: {ended!r}") from ended
                    with contextlib.suppress(livews.LivewsError):
                        await session.say("the end")
                        async with asyncio.timeout(20):
                            async for _ in session.turn():
                                pass
                    await asyncio.sleep(0.2)
                if memory:
                    gc.collect()
                    about.grown = (tracemalloc.get_traced_memory()[0] - middle) // 1024
                about.connections = session.connections
                dropped = session.dropped_audio
        except (livews.LivewsError, TimeoutError) as problem:
            about.error = f"{type(problem).__name__}: {problem}".splitlines()[0]
            dropped = 0.0
        answers = [service.answered[name] for name in service.asked]
        about.lost, about.doubled = answers.count(0), sum(count > 1 for count in answers)
        about.twice = sum(count > 1 for count in runs.values())
        about.most_open = service.most_open
        missing = about.voice - len(service.heard)
        about.missing = max(0, missing - round(dropped / (_CHUNK / 16_000)))
    return about


async def _all(seeds: list[int], minutes: float) -> list[Hour]:
    async def one(seed: int) -> Hour:
        found = await hour(seed, minutes)
        print(found, flush=True)
        return found

    return list(await asyncio.gather(*(one(seed) for seed in seeds)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.session.hour", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--memory", action="store_true", help="one seed after the other, with the growth of memory")
    options = parser.parse_args()
    seeds = list(range(options.first, options.first + options.seeds))
    if options.memory:
        tracemalloc.start()
        found = [asyncio.run(hour(seed, options.minutes, memory=True)) for seed in seeds]
        print(*found, sep="\n")
    else:
        found = asyncio.run(_all(seeds, options.minutes))
    return int(not all(one.is_fine for one in found))


if __name__ == "__main__":
    sys.exit(main())
