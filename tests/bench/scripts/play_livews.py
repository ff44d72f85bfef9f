"""Play what a server says with livews, as its own command does: PORT [--memory] [--callbacks]. Prints what it counted as JSON.

--memory adds what the process holds before, when each turn has been received, and after; with =traced the bytes Python
itself gave out, as tracemalloc counts them. --callbacks adds the times of the sound thread's work.
"""

import asyncio
import json
import os
import sys
import time
import tracemalloc
from typing import Any

import livews
from livews.audio.playback import PlaybackBuffer, PlayedTurn
from livews.audio.speaker import Speaker
from tests.audio.player import in_numbers


def rss() -> int:
    """Bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Bytes it held at most."""
    with open("/proc/self/status") as file:
        return 1024 * int(next(row.split()[1] for row in file if row.startswith("VmHWM:")))


def held(how: str) -> int:
    return tracemalloc.get_traced_memory()[0] if how == "--memory=traced" else rss()


class Times:
    """Of every callback in milliseconds: by the clock and by the processor inside `fill`, and as PortAudio felt it.

    What PortAudio feels runs from its own stamp, just before it asks for the interpreter, to the end of the callback.
    """

    def __init__(self) -> None:
        self.wall: list[int] = []
        self.cpu: list[int] = []
        self.felt: list[float] = []

    def around(self, speaker: Speaker) -> None:
        import sounddevice

        fill, stream = speaker.buffer.fill, sounddevice.RawOutputStream

        def timed(out: Any, delay: float = 0.0) -> None:
            cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
            fill(out, delay)
            self.wall.append(time.perf_counter_ns() - wall)
            self.cpu.append(time.thread_time_ns() - cpu)

        def opened(*, callback: Any, **rest: Any) -> Any:
            def felt(out: Any, frames: int, times: Any, status: Any) -> None:
                callback(out, frames, times, status)
                self.felt.append(time.time() - times.currentTime)

            return stream(callback=felt, **rest)

        speaker.buffer.fill = timed  # type: ignore[assignment,method-assign]
        sounddevice.RawOutputStream = opened

    def figures(self) -> dict[str, Any]:
        values = {
            "wall": [value / 1e6 for value in self.wall],
            "cpu": [value / 1e6 for value in self.cpu],
            "felt": [value * 1e3 for value in self.felt],
        }
        return {name: spread(found) for name, found in values.items()}


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    found = {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 4) for name, share in places.items()
    }
    return {"n": len(values), **found}


async def main(port: str, *flags: str) -> None:
    sys.setswitchinterval(0.001)  # as the command line client does
    speaker = Speaker()
    times = Times() if "--callbacks" in flags else None
    if times is not None:
        times.around(speaker)
    await asyncio.to_thread(speaker.start)
    how = next((flag for flag in flags if flag.startswith("--memory")), "")
    if how == "--memory=traced":
        tracemalloc.start()
    memory: list[int] = []
    received: list[float] = []
    flushes: list[dict[str, float]] = []
    turns: dict[int, tuple[PlaybackBuffer, PlayedTurn]] = {}
    fresh = False
    async with livews.connect(url=f"ws://127.0.0.1:{port}", reconnect=None) as session:
        if how:
            memory.append(held(how))
        cpu, wall = time.process_time(), time.monotonic()
        await session.say("go on")
        async for event in session.events():
            match event:
                case livews.Audio():
                    if not fresh:
                        fresh = True
                        began = time.monotonic()
                    if turn := speaker.play(event.pcm, event.rate):
                        turns[id(turn)] = speaker.buffer, turn
                case livews.Interrupted():
                    at = time.monotonic()
                    heard = speaker.flush()
                    flushes.append({"at": at, "took": time.monotonic() - at, "heard_ms": heard})
                case livews.GenerationComplete():
                    received.append(time.monotonic() - began)
                    speaker.turn_ended()
                    if how:
                        memory.append(held(how))
                case livews.TurnEnd():
                    speaker.turn_ended()
                    fresh = False
        spent = (time.process_time() - cpu) / (time.monotonic() - wall)
        drained = await speaker.drain()
    if how:
        memory.append(held(how))
    figures = {
        "player": "livews",
        "version": livews.__version__,
        "latency_ms": 1000 * speaker.buffer.latency,
        "drained": drained,
        "cpu": spent,
        "received": received,
        "memory": memory,
        "peak": peak() if how else None,
        "flushes": flushes,
        "turns": [in_numbers(*turn) for turn in turns.values()],
        "callbacks": times.figures() if times else None,
    }
    await asyncio.to_thread(speaker.close)
    print(json.dumps(figures))


asyncio.run(main(*sys.argv[1:]))
