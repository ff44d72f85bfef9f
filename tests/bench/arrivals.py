"""What a reply's sound does on its way: turns that are told apart by content, and networks that delay their chunks.

- A turn is noise without a zero sample, made from its seed: the sender and who looks at the recording make the same.
- A network only delays. What was sent during a stall arrives together at its end, as TCP does it.
- Nothing is random but by seed: every player meets the same arrivals.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.children import child, script

RATE = 24_000
SAMPLE = 2
"""Bytes."""
PAUSE = 1.5
"""Seconds from the end of a turn to the next one: who plays late has not yet begun to be heard in the next."""
_PATIENCE = 30.0


@dataclass(frozen=True)
class Network:
    """`speed` is seconds of sound sent a second, 0 for all at once; `stalls` a second on average, in seconds long."""

    name: str
    speed: float
    chunk_ms: int
    stalls: float = 0.0
    shortest: float = 0.020
    longest: float = 0.300

    def arrivals(self, seconds: float, luck: random.Random) -> list[float]:
        """When each chunk of a turn of that length arrives, counted from the first one's sending."""
        stall_begins = luck.expovariate(self.stalls) if self.stalls else float("inf")
        stall_ends = stall_begins + luck.uniform(self.shortest, self.longest)
        found = []
        for i in range(round(seconds * 1000 / self.chunk_ms)):
            sent = i * self.chunk_ms / 1000 / self.speed if self.speed else 0.0
            while sent >= stall_ends:
                stall_begins = stall_ends + luck.expovariate(self.stalls)
                stall_ends = stall_begins + luck.uniform(self.shortest, self.longest)
            found.append(stall_ends if sent >= stall_begins else sent)
        return found


def _networks() -> Iterator[Network]:
    for chunk_ms in (40, 240):
        yield Network(f"steady-4x-{chunk_ms}", 4, chunk_ms)
    for speed in (4, 1.5, 1):
        for chunk_ms in (40, 240):
            yield Network(f"wifi-{speed:g}x-{chunk_ms}", speed, chunk_ms, stalls=1.0)


NETWORKS = {network.name: network for network in _networks()}


@dataclass(frozen=True)
class Turn:
    """One turn as it is sent. `interrupt` is when `interrupted` is sent, in seconds from the first chunk's sending."""

    seed: int
    chunk_ms: int
    at: list[float]
    interrupt: float | None = None
    pause: float = PAUSE

    @property
    def seconds(self) -> float:
        return len(self.at) * self.chunk_ms / 1000

    @property
    def chunk_bytes(self) -> int:
        return self.chunk_ms * RATE // 1000 * SAMPLE

    @property
    def sound(self) -> bytes:
        return noise(self.seed, len(self.at) * self.chunk_bytes)

    @property
    def over(self) -> float:
        """When all of it would have been heard, or was interrupted."""
        return max(self.at[-1], self.seconds) if self.interrupt is None else self.interrupt


def noise(seed: int, size: int) -> bytes:
    """`size` bytes of s16le in which every sample is odd, so none is silence, and no two places are alike."""
    anything = int.from_bytes(random.Random(seed).randbytes(size), "little")
    return (anything | int.from_bytes(b"\1\0" * (size // SAMPLE), "little")).to_bytes(size, "little")


def turns(network: Network, seconds: float, each: float, interrupts: int, seed: int = 1) -> list[Turn]:
    """`seconds` of speech in turns of `each` seconds or less, then turns of four that are interrupted."""
    luck = random.Random(f"{network.name} {seed}")
    whole = max(1, round(seconds / each))
    plan = [
        Turn(luck.randrange(1 << 30), network.chunk_ms, network.arrivals(min(each, seconds), luck))
        for _ in range(whole)
    ]
    for _ in range(interrupts):
        at = network.arrivals(4.08, luck)
        plan.append(Turn(luck.randrange(1 << 30), network.chunk_ms, at, luck.uniform(0.9, 1.7), 1.2))
    return plan


@dataclass
class Sender:
    """The server process. `log()` waits until it is through: what it sent of each turn, and when."""

    port: int
    _process: subprocess.Popen[str]

    def log(self, seconds: float = _PATIENCE) -> list[dict[str, Any]]:
        """`first` and `interrupted` (or None): time.monotonic(), which is one clock for all processes."""
        out, _ = self._process.communicate(timeout=seconds)
        if self._process.returncode:
            raise RuntimeError(f"the sender ended with {self._process.returncode}")
        report: list[dict[str, Any]] = json.loads(out)
        return report


@contextmanager
def sending(plan: list[Turn]) -> Iterator[Sender]:
    """A server in a process of its own that sends these turns to the first client that prompts it, then closes."""
    with child(script("send_arrivals"), stdin=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([asdict(turn) for turn in plan]) + "\n")
        process.stdin.flush()
        port = process.stdout.readline()
        if not port:
            raise RuntimeError(f"the sender did not start: it ended with {process.wait(_PATIENCE)}")
        yield Sender(int(port), process)
