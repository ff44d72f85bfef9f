"""Sound received over loopback: CPU of the receiving process a message.

- Each receiver is a process of its own: it takes one turn to warm up and then measures the next ones itself.
- The same server sends the same frames to both, as fast as they are taken.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.bench import frames, peer
from tests.bench.children import environment, script
from tests.bench.rounds import Effort, orders
from tests.bench.rows import Row, Target
from tests.bench.server import Service, serving

CHEAPER = Target("at least", 4, "times less CPU")
TURNS = 3
_PATIENCE = 120.0


def measure(effort: Effort) -> list[Row]:
    return asyncio.run(_measure(effort))


async def _measure(effort: Effort) -> list[Row]:
    service, rows = Service(), []
    async with serving(service) as port:
        for size in frames.SIZES:
            sound = frames.audio_frames(size)
            service.turn = [sound[i % len(sound)] for i in range(effort.frames)]
            service.turn += [frames.GENERATION_COMPLETE, frames.TURN_COMPLETE]
            names = ["livews", *(["google_genai"] if peer.installed() else [])]
            costs: dict[str, list[float]] = {name: [] for name in names}
            for order in orders(names, max(1, effort.rounds // 2)):
                for name in order:
                    costs[name].append(await _receive(name, port, effort.frames * size * TURNS))
            title = f"received over loopback, {size:,} B"
            rows.append(Row(title, "peer", "us", costs["livews"], peer.NAME, costs.get("google_genai"), CHEAPER))
    return rows


async def _receive(name: str, port: int, wanted: int) -> float:
    """Microseconds of CPU a message, as the receiver counted them."""
    process = await asyncio.create_subprocess_exec(
        *script(f"receive_{name}", str(port), str(TURNS)), stdout=asyncio.subprocess.PIPE, env=environment()
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RuntimeError(f"receive_{name} did not end within {_PATIENCE:g} s") from None
    if process.returncode:
        raise RuntimeError(f"receive_{name} ended with {process.returncode}")
    report: dict[str, Any] = json.loads(said)
    if report["bytes"] != wanted:
        raise RuntimeError(f"receive_{name} got {report['bytes']} bytes of sound, not {wanted}")
    return float(report["cpu"] / report["messages"] * 1e6)
