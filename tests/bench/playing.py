"""How a reply sounds: livews beside the cookbook's blocking writer, on the same arrivals, as the sound card got it.

- `python -m tests.bench playing`. Wants PulseAudio (see tests/audio/pulse.py) and, for the peer as people run it, PyAudio.
- Each player is a process, the server another: noise is sent over a real WebSocket and played through PortAudio into a
  null sink. All figures are of the sink's recording; what livews counted itself stands beside it and must agree.
- Sending is arriving: server and player share the machine and its clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from tests.audio.pulse import NoPulse, PulseServer
from tests.bench.arrivals import NETWORKS, RATE, SAMPLE, Turn, sending, turns
from tests.bench.children import child, script
from tests.bench.monitor import Heard, Monitor, find, middle, silent_from
from tests.bench.rows import figure

PLAYERS = ("livews", "cookbook")
TURN = 6.0
_ALIKE = 1.0
"""Milliseconds by which two counts of one silence may differ."""
HOW_TO_READ = """\
gaps: silences put inside a turn, in the recording. own: those that livews itself counted: ran dry + called too late.
longest, total: of the gaps, ms. latency: first chunk sent to first sample recorded, ms; livews waits on purpose.
silent: `interrupted` sent to the last sample recorded, ms; who has nothing queued, at 1x, has nothing to drop.
The cookbook's player: blocking writes of whole chunks from an unbounded queue, 24 kHz mono int16, 1024 frames."""


@dataclass
class Cell:
    """One player on one network. Times are milliseconds unless it says seconds."""

    pattern: str
    player: str
    version: str
    turns: int
    speech: float
    """Seconds of speech in which gaps were looked for: what was heard of it."""
    gaps: int
    dry: int | None
    """Underruns as livews counted them; None for who does not count."""
    late: int | None
    """Callbacks that came after the device had run out, as livews counted them."""
    longest: float
    total: float
    own_total: float | None
    lost: float
    unheard: int
    """Turns of which nothing was recorded."""
    latency: float | None
    silent: float | None
    silent_most: float | None
    agrees: bool | None
    """livews counted what the recording shows; None for who does not count."""


def main(argv: list[str]) -> int:
    """One table, two lines for each pattern."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench playing", description="livews beside the cookbook's blocking writer, as recorded."
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of speech a pattern and player (default 30)")
    parser.add_argument("--patterns", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="default: all")
    parser.add_argument("--interrupts", type=int, default=8, help="turns that are interrupted, a pattern (default 8)")
    parser.add_argument("--players", nargs="+", choices=PLAYERS, default=list(PLAYERS), help="default: both")
    parser.add_argument("--json", action="store_true", help="every cell as JSON")
    options = parser.parse_args(argv)
    cells: list[Cell] = []
    failures: list[str] = []
    try:
        with sound_card() as pulse:
            for i, name in enumerate(options.patterns):
                plan = turns(NETWORKS[name], options.seconds, TURN, options.interrupts)
                for player in options.players[:: -1 if i % 2 else 1]:
                    print(f"{name}, {player} ...", file=sys.stderr, flush=True)
                    try:
                        cells.append(measure(pulse, name, player, plan))
                    except Exception as problem:
                        failures.append(f"{name}, {player}: {type(problem).__name__}: {problem}")
    except NoPulse as problem:
        failures.append(str(problem))
    cells.sort(key=lambda cell: (options.patterns.index(cell.pattern), options.players.index(cell.player)))
    if options.json:
        print(
            json.dumps(
                {"machine": machine(), "cells": [asdict(cell) for cell in cells], "failures": failures}, indent=2
            )
        )
    else:
        print("\n".join([machine(), *(f"{cell}" for cell in versions(cells)), "", HOW_TO_READ, "", table(cells)]))
        print("\n".join([*notes(cells), *(f"could not run: {failure}" for failure in failures)]))
    return 1 if failures else 0


@contextmanager
def sound_card() -> Iterator[PulseServer]:
    """A sound server that PortAudio can play on; NoPulse tells what is missing."""
    with PulseServer() as pulse:
        pulse.check_portaudio()
        yield pulse


def machine() -> str:
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores{load}"
    )


def versions(cells: list[Cell]) -> list[str]:
    return sorted({f"{cell.player}: {cell.version}" for cell in cells}, reverse=True)


def measure(pulse: PulseServer, pattern: str, player: str, plan: list[Turn]) -> Cell:
    """Let the player play the plan; what was recorded of it."""
    seconds = sum(turn.over + turn.pause for turn in plan) + 60
    with Monitor(pulse) as monitor, sending(plan) as sender:
        report = played(pulse, player, sender.port, seconds)
        log = sender.log()
    heard = find(monitor.pcm, {i: turn.sound for i, turn in enumerate(plan)})
    return _cell(pattern, player, plan, report, log, heard, monitor)


def played(pulse: PulseServer, player: str, port: int, seconds: float, *flags: str) -> dict[str, Any]:
    """What the player told when it was through."""
    with child(script(f"play_{player}", str(port), *flags), env=pulse.env, stderr=-1) as process:
        out, errors = process.communicate(timeout=seconds)
        if process.returncode:
            raise RuntimeError(f"play_{player} ended with {process.returncode}: {errors.strip()[-300:]}")
    report: dict[str, Any] = json.loads(out)
    return report


def _cell(
    pattern: str,
    player: str,
    plan: list[Turn],
    report: dict[str, Any],
    log: list[dict[str, Any]],
    heard: dict[int, Heard],
    monitor: Monitor,
) -> Cell:
    here = [(heard[i], log[i]) for i in sorted(heard)]
    gaps = [gap for turn, _ in here for gap in turn.gaps]
    silences = list(_silences(plan, log, heard, monitor))
    dry = late = own_total = agrees = None
    if "turns" in report:
        dry, late = (sum(turn[name] for turn in report["turns"]) for name in ("underruns", "late"))
        own_total = sum(turn["underrun_ms"] for turn in report["turns"])
        # How long the device had been out at a late callback is not for livews to know.
        agrees = dry + late == len(gaps) and (late > 0 or abs(own_total - sum(gaps)) < _ALIKE)
    return Cell(
        pattern=pattern,
        player=player,
        version=report["version"],
        turns=len(plan),
        speech=sum(turn.until for turn in heard.values()) / RATE,
        gaps=len(gaps),
        dry=dry,
        late=late,
        longest=max(gaps, default=0.0),
        total=sum(gaps),
        own_total=own_total,
        lost=sum(turn.lost for turn, _ in here) + sum(1000 * turn.missing / RATE for turn, _ in here),
        unheard=len(plan) - len(heard),
        latency=middle([1000 * (monitor.time_of(turn.begins) - sent["first"]) for turn, sent in here]),
        silent=middle(silences),
        silent_most=max(silences, default=None),
        agrees=agrees,
    )


def _silences(
    plan: list[Turn], log: list[dict[str, Any]], heard: dict[int, Heard], monitor: Monitor
) -> Iterator[float]:
    """Milliseconds from each `interrupted` to silence; 0 when it was silent already."""
    for i, turn in enumerate(plan):
        if turn.interrupt is None or i not in heard:
            continue
        following = heard[i + 1].begins if i + 1 in heard else len(monitor.pcm) // SAMPLE
        quiet = silent_from(monitor.pcm, heard[i].ends, following)
        yield max(0.0, 1000 * (monitor.time_of(quiet) - log[i]["interrupted"]))


def table(cells: list[Cell]) -> str:
    headings = ["pattern", "player", "gaps", "own", "longest ms", "total ms", "latency p50", "silent p50", "max"]
    lines = [headings]
    for cell in cells:
        pattern = cell.pattern if cell.player == PLAYERS[0] or len({c.player for c in cells}) == 1 else ""
        numbers = [cell.longest, cell.total, cell.latency, cell.silent, cell.silent_most]
        own = "" if cell.dry is None else f"{cell.dry}+{cell.late}"
        lines.append([pattern, cell.player, str(cell.gaps), own, *("-" if n is None else figure(n) for n in numbers)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            word.ljust(width) if i < 2 else word.rjust(width)
            for i, (word, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def notes(cells: list[Cell]) -> list[str]:
    """What must be read with the table."""
    found = []
    for cell in cells:
        where = f"{cell.pattern}, {cell.player}"
        if cell.agrees is False:
            total = cell.own_total or 0.0
            found.append(
                f"{where}: livews counted {cell.dry} dry and {cell.late} late ({total:.0f} ms), the recording shows {cell.gaps} ({cell.total:.0f} ms)"
            )
        if cell.lost:
            found.append(f"{where}: {cell.lost:.1f} ms of sound are not in the recording")
        if cell.unheard:
            found.append(f"{where}: {cell.unheard} of {cell.turns} turns are not in the recording")
    agreeing = [cell for cell in cells if cell.agrees]
    if agreeing:
        found.append(
            f"in {len(agreeing)} of {sum(c.agrees is not None for c in cells)} rows livews counted what the recording shows"
        )
    return found
