"""The listening side of the microphone tests, in a process of its own: `python -m tests.audio.listener PLAN`.

PLAN is JSON: {"file": where the sound goes, "hold": seconds, "rest": seconds the reader sleeps at the first sound}.
It says `listening` when chunks come, ends when its stdin does or the device goes away, and tells what it knows.
"""

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from livews.audio.microphone import Microphone


def tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


async def listen(plan: dict[str, Any]) -> bytes:
    microphone = Microphone(hold=plan.get("hold", 5.0), latency=0.1, on_lost=lambda why: tell(lost=why.sentence()))
    await asyncio.to_thread(microphone.start)
    pcm, rest = bytearray(), plan.get("rest", 0.0)
    chunks: list[tuple[int, float, float]] = []  # bytes, when captured, when seen

    async def read() -> None:
        nonlocal rest
        async for chunk in microphone.chunks():
            if not chunks:
                tell(listening=True)
            pcm.extend(chunk.pcm)
            chunks.append((len(chunk.pcm), chunk.at, time.monotonic()))
            if rest and any(chunk.pcm):
                await asyncio.sleep(rest)
                rest = 0.0
                tell(rested=len(pcm))

    reading = asyncio.create_task(read())
    asked = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait([reading, asked], return_when=asyncio.FIRST_COMPLETED)
    ended = reading.done()
    await asyncio.to_thread(microphone.close)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(reading, 5)
    tell(rate=microphone.rate, dropped_ms=microphone.dropped_ms, heard=microphone.heard, ended=ended, chunks=chunks)
    return bytes(pcm)


if __name__ == "__main__":
    steps = json.loads(sys.argv[1])
    Path(steps["file"]).write_bytes(asyncio.run(listen(steps)))
