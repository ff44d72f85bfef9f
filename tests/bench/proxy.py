"""What `livews proxy` adds to a round trip at the rates of speech, and what a session costs it.

- A client sends microphone frames in real time; a server in a process of its own answers each with a piece of voice as
  long as it, at once. The time between is a round trip; directly and through the proxy take turns, in one run.
- What is added is of both ways together, out and back: more than a listener would notice of either.
- The proxy shows every message (into a file) and keeps a trace, as somebody at work with it would have it.
- CPU is the proxy's own, from /proc, so that column wants Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from livews.core import codec
from livews.server import service_format
from tests.bench.children import cpu, livews, serving

TARGET_MS = 1.0
"""At most, of the median round trip."""
_PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
_SETUP = '{"setup":{"model":"models/gemini-3.8-live","generationConfig":{"responseModalities":["AUDIO"]}}}'
_PLAIN: dict[str, Any] = {"compression": None, "ping_interval": None, "max_size": None}


@dataclass
class Rounds:
    """Round trips in ms, a list a round, and the proxy's CPU as a share of a core for each session."""

    sessions: int
    ms: int
    direct: list[list[float]] = field(default_factory=list)
    proxied: list[list[float]] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        direct, proxied = [one for got in self.direct for one in got], [one for got in self.proxied for one in got]
        added = [median(b) - median(a) for a, b in zip(self.direct, self.proxied, strict=True)]
        return {
            "sessions": self.sessions,
            "ms": self.ms,
            "frames": len(proxied),
            "direct": _percentiles(direct),
            "proxied": _percentiles(proxied),
            "added": {"p50": median(added), "min": min(added), "max": max(added),
                      "p99": _percentiles(proxied)["p99"] - _percentiles(direct)["p99"]},
            "cpu": median(self.cpu) if self.cpu else None,
        }  # fmt: skip


def _percentiles(values: list[float]) -> dict[str, float]:
    return {"p50": median(values), "p99": quantiles(values, n=100)[98]}


HEADING = (
    "sessions  frame  round trips   direct ms       proxied ms      added ms                   CPU a session\n"
    "                                p50    p99      p50    p99      p50 (min..max)     p99"
)


def line(figures: dict[str, Any]) -> str:
    direct, proxied, added = figures["direct"], figures["proxied"], figures["added"]
    cpu = f"{figures['cpu'] * 100:5.2f} % of a core" if figures["cpu"] is not None else "    -"
    return (
        f"{figures['sessions']:8}  {figures['ms']:2} ms  {figures['frames']:11}  {direct['p50']:6.2f} {direct['p99']:6.2f}   "
        f"{proxied['p50']:6.2f} {proxied['p99']:6.2f}   {added['p50']:6.2f} ({added['min']:.2f}..{added['max']:.2f}) "
        f"{added['p99']:6.2f}   {cpu}"
    )


def main(argv: list[str]) -> int:
    """`python -m tests.bench proxy`: a line for each number of sessions and length of frames."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench proxy", description="What livews proxy adds.")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 20], help="how many at once (default 1 20)")
    parser.add_argument("--ms", type=int, nargs="+", default=[20, 40], help="of sound a frame (default 20 40)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each way in a round (default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="directly and through the proxy in turn (default 5)")
    parser.add_argument("--json", action="store_true", help="a line of JSON instead of a row")
    options = parser.parse_args(argv)
    if not options.json:
        print(HEADING)
    short = []
    with (
        tempfile.TemporaryDirectory(prefix="livews-bench-") as folder,
        serving([sys.executable, "-m", "tests.bench.proxy"]) as direct,
    ):
        flags = ("--port", "0", "--upstream", direct.url, "--trace", f"{folder}/")
        with serving(livews("proxy", *flags)) as proxied:
            for ms in options.ms:
                for sessions in options.sessions:
                    rounds = Rounds(sessions, ms)
                    asyncio.run(
                        _measure(
                            rounds, direct.url, proxied.url, proxied.process.pid, options.rounds, options.seconds
                        )
                    )
                    figures = rounds.figures()
                    print(json.dumps(figures) if options.json else line(figures), flush=True)
                    if figures["added"]["p50"] > TARGET_MS:
                        short.append(f"{sessions} sessions, {ms} ms")
    if not options.json:
        print(f"SHORT of at most {TARGET_MS:g} ms: {'; '.join(short)}" if short else f"all within {TARGET_MS:g} ms")
    return 0


async def _measure(rounds: Rounds, direct: str, proxied: str, pid: int, count: int, seconds: float) -> None:
    await _talk(proxied, rounds, 0.3)  # what is loaded once is nobody's round trip
    for i in range(count):
        for way in ("direct", "proxied") if i % 2 else ("proxied", "direct"):
            began, before = time.monotonic(), _cpu(pid)
            got = await _talk(direct if way == "direct" else proxied, rounds, seconds)
            getattr(rounds, way).append(got)
            if way == "proxied" and before is not None:
                spent = (_cpu(pid) or 0.0) - before
                rounds.cpu.append(spent / (time.monotonic() - began) / rounds.sessions)


async def _talk(url: str, rounds: Rounds, seconds: float) -> list[float]:
    """Round trips in ms of so many sessions at once."""
    each = await asyncio.gather(*(_session(url, rounds, i, seconds) for i in range(rounds.sessions)))
    return [one for got in each for one in got]


async def _session(url: str, rounds: Rounds, number: int, seconds: float) -> list[float]:
    frame = codec.audio_frame(os.urandom(rounds.ms * 32)).decode()
    sent: deque[float] = deque()
    took: list[float] = []
    async with connect(url + _PATH, proxy=None, **_PLAIN) as socket:
        await socket.send(_SETUP)
        await socket.recv()

        async def listen() -> None:
            async for _ in socket:
                took.append((time.perf_counter() - sent.popleft()) * 1000)

        listening = asyncio.create_task(listen())
        step = rounds.ms / 1000
        due = time.perf_counter() + step * number / rounds.sessions  # not all at once
        for _ in range(max(3, round(seconds / step))):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sent.append(time.perf_counter())
            await socket.send(frame)
            due += step
        while sent:
            await asyncio.sleep(0.01)
        await socket.close()
        await listening
    return took


def _cpu(pid: int) -> float | None:
    """Seconds the process has run, None where nothing tells."""
    with contextlib.suppress(OSError):
        return cpu(pid)
    return None


# The server


async def _answer(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send(service_format.dump_as_service({"setupComplete": {}}))
    voice = b""
    async for message in socket:
        if not voice:  # as many ms at 24 kHz as the first frame has at 16 kHz
            pcm = os.urandom(int(len(message) * 3 / 4 * 1.5) // 2 * 2)
            voice = service_format.audio_as_service(codec.encode_base64(pcm), "audio/pcm;rate=24000")
        await socket.send(voice)


async def _echo() -> None:
    async with serve(_answer, "127.0.0.1", 0, **_PLAIN) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_echo())
