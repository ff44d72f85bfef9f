"""What a trace file adds to a received frame.

- The file is a real one, a new one each round, in the folder where temporary files go; it is not synced.
- With and without take turns; a round's cost is their difference. The limit: write() of the same frames as they are,
  one call a frame, which is the system's own share.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from livews import endpoint
from livews.core.events import events
from livews.recorder import Clock
from livews.trace.writer import TraceFile
from tests.bench import frames
from tests.bench.decode import speaking
from tests.bench.rounds import Effort, orders
from tests.bench.rows import Row, Target

SIZE = 11_520
CHEAP = Target("at most", 10, "us")


def measure(effort: Effort) -> list[Row]:
    received = frames.audio_frames(SIZE) * max(1, effort.frames // frames.DIFFERENT)
    where = endpoint.resolve(endpoint.Settings(url="ws://127.0.0.1:1", api_key="benchmark-" + "0" * 29), "any")
    costs: dict[str, list[float]] = {"with": [], "without": [], "write": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.jsonl")
        for round_number, order in enumerate(orders(list(costs), effort.rounds + 1)):
            for name in order:
                if name == "write":
                    cost = _written(received, path)
                elif name == "without":
                    cost = _stepped(received, [])
                else:
                    trace = TraceFile(path, url=where.shown, side="client", secrets=where.secrets)
                    cost = _stepped(received, [trace])
                    trace.close()
                    if len(path.read_bytes().splitlines()) != len(received) + 1:
                        raise RuntimeError("the trace does not hold every frame")
                path.unlink(missing_ok=True)
                if round_number:  # the first one warms up
                    costs[name].append(cost)
    added = [more - less for more, less in zip(costs["with"], costs["without"], strict=True)]
    return [
        Row(f"a trace file, more a frame, {SIZE:,} B", "cost", "us", added, target=CHEAP),
        Row(f"the same, and write() alone, {SIZE:,} B", "limit", "us", added, "write()", costs["write"]),
    ]


def _stepped(received: list[bytes], recorders: list[TraceFile]) -> float:
    """Microseconds a frame of what the client does with it once it is there."""
    conversation, clock = speaking(), Clock()
    step_of = conversation.step
    started = time.process_time()
    for frame in received:
        step = step_of("server", frame)
        for recorder in recorders:
            recorder.frame(clock(), "recv", "binary", step)
        for _event in events(step):
            pass
    return (time.process_time() - started) / len(received) * 1e6


def _written(received: list[bytes], path: Path) -> float:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        started = time.process_time()
        for frame in received:
            os.write(file, frame)
        return (time.process_time() - started) / len(received) * 1e6
    finally:
        os.close(file)
