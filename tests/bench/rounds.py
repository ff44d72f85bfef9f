"""Take turns: a round of each way, then the next round in another order.

- Costs are CPU time of this process a unit of work; what a sleeping or pre-empted process waits for is not counted.
- Each way is run long enough that the clock's own steps do not matter, after a warm-up that is thrown away.
- The garbage collector runs, as it does in an application, but does not walk what was there before the first round.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """How much is done: `rounds` rounds, each way `seconds` of CPU in each."""

    rounds: int
    seconds: float
    frames: int
    """Of a received turn, and of a traced round."""
    starts: int
    """Processes of each kind."""


FULL = Effort(rounds=15, seconds=0.15, frames=1500, starts=15)
QUICK = Effort(rounds=5, seconds=0.03, frames=300, starts=3)
TINY = Effort(rounds=1, seconds=0.001, frames=8, starts=1)
"""Enough to prove that a measurement works, too little to believe its figures."""

Way = Callable[[int], None]
"""Does its work that many times over."""


def orders(names: Sequence[str], rounds: int) -> Iterator[list[str]]:
    """Every round in another order, so that no way always follows the same one."""
    for i in range(rounds):
        turned = list(names[i % len(names) :]) + list(names[: i % len(names)])
        yield turned if i % 2 else turned[::-1]


def cpu_costs(ways: Mapping[str, Way], effort: Effort) -> dict[str, list[float]]:
    """Microseconds of CPU of one unit of work, a round at a time."""
    times = {name: _times(way, effort.seconds) for name, way in ways.items()}
    costs: dict[str, list[float]] = {name: [] for name in ways}
    gc.collect()
    gc.freeze()
    try:
        for order in orders(list(ways), effort.rounds):
            for name in order:
                started = time.process_time()
                ways[name](times[name])
                costs[name].append((time.process_time() - started) / times[name] * 1e6)
    finally:
        gc.unfreeze()
    return costs


def _times(way: Way, seconds: float) -> int:
    """How often to do it so that it takes about `seconds`; doing so warms it up."""
    times = 1
    while True:
        started = time.process_time()
        way(times)
        spent = time.process_time() - started
        if spent >= seconds / 2:
            return max(1, round(times * seconds / spent))
        times *= 2
