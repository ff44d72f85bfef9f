"""The playing side of the sound tests, in a process of its own: `python -m tests.audio.player PLAN`.

PLAN is JSON: a list of [verb, ...] performed in order. One line of JSON on stdout for each verb that answers.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from livews.audio.analysis.pcm import ms_of
from livews.audio.playback import PlaybackBuffer, PlayedTurn
from livews.audio.speaker import Speaker


def tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def in_numbers(buffer: PlaybackBuffer, turn: PlayedTurn) -> dict[str, float]:
    sizes = {name: ms_of(getattr(turn, name), buffer.rate) for name in ("received", "played", "dropped", "underrun")}
    times = {f"{name}_ms": value for name, value in sizes.items()} | {"heard_ms": buffer.heard_ms(turn)}
    return {**times, "underruns": turn.underruns, "late": turn.late, "cut": turn.cut}


async def perform(plan: list[list[Any]], files: dict[str, bytes], latency: float) -> None:
    speaker = Speaker(latency=latency, on_lost=lambda why: tell(lost=why.sentence()))
    await asyncio.to_thread(speaker.start)
    played: dict[int, tuple[PlaybackBuffer, PlayedTurn]] = {}
    for verb, *values in plan:
        match verb:
            case "play":  # file, rate, bytes a piece
                pcm = files[values[0]]
                for at in range(0, len(pcm), values[2]):
                    if turn := speaker.play(pcm[at : at + values[2]], values[1]):
                        played[id(turn)] = speaker.buffer, turn
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
    buffer = speaker.buffer
    tell(rate=buffer.rate, latency_ms=1000 * buffer.latency, turns=[in_numbers(*turn) for turn in played.values()])


if __name__ == "__main__":
    steps = json.loads(sys.argv[1])
    sound = {step[1]: Path(step[1]).read_bytes() for step in steps if step[0] == "play"}
    asyncio.run(perform(steps, sound, float(sys.argv[2])))
