"""The playing side of the sound tests, in a process of its own: `python -m tests.audio.player PLAN`.

PLAN is JSON: a list of [verb, ...] performed in order. One line of JSON on stdout for each verb that answers.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from livews.audio.speaker import Speaker


def tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


async def perform(plan: list[list[Any]], files: dict[str, bytes], latency: float) -> None:
    speaker = Speaker(latency=latency, on_lost=lambda why: tell(lost=why.sentence()))
    await asyncio.to_thread(speaker.start)
    for verb, *values in plan:
        match verb:
            case "play":  # file, rate, bytes a piece
                pcm = files[values[0]]
                for at in range(0, len(pcm), values[2]):
                    speaker.play(pcm[at : at + values[2]], values[1])
            case "end":
                speaker.turn_ended()
            case "wait":
                await asyncio.sleep(values[0])
            case "flush":
                tell(heard_ms=speaker.flush(), at=time.monotonic())
            case "drain":
                began = time.monotonic()
                tell(drained=await speaker.drain(), took=time.monotonic() - began)
            case "close":
                await asyncio.to_thread(speaker.close)
    report = speaker.report()
    turns = [
        {name: getattr(turn, name) for name in ("received_ms", "played_ms", "heard_ms", "underruns", "late")}
        for turn in report.turns
    ]
    tell(rate=report.rate, latency_ms=report.latency_ms, turns=turns)


if __name__ == "__main__":
    steps = json.loads(sys.argv[1])
    sound = {step[1]: Path(step[1]).read_bytes() for step in steps if step[0] == "play"}
    asyncio.run(perform(steps, sound, float(sys.argv[2])))
