"""The fault matrix: every fault in every state, for `livews talk`, its live view and `livews.connect`.

    python -m tests.faults                       all of it, in about fifteen minutes
    python -m tests.faults --short --jobs 2      what the tests run, in half a minute
    python -m tests.faults --only rst --state idle

A cell is the exit code; seconds from the fault to the exit where they are many; and a letter for what is wrong:
T traceback, X an exception that is no LivewsError, L reported late, N never reported, W WAV, R trace, K a key is shown,
E an escape is shown, O too much is printed, S the terminal is left in another state. A cell with ! fails the run.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext

from tests.faults import library
from tests.faults.catalogue import FAULTS, HEAVY, QUICK, VIEWED, Fault
from tests.faults.connecting import CONNECTING, connecting
from tests.faults.outcome import Outcome
from tests.faults.states import STATES
from tests.faults.talk import plain, view

VIEW_STATES = ("idle", "generating", "speaking")
PROCESSES: dict[str, Callable[[Fault, str], Awaitable[Outcome]]] = {"talk": plain, "view": view}
WAYS = (*PROCESSES, "library", "connect")
SLOW_AT_ONCE = 16
"""Cells that only wait, at once."""

Cell = tuple[str, str, str]
"""A way, a fault and a state."""


def cells(short: bool) -> list[Cell]:
    """All cells, or those of the short form."""
    states = (*STATES, *STATES)
    if short:
        made = [("talk", name, states[i % len(STATES)]) for i, name in enumerate(QUICK)]
        light = [name for name in FAULTS if name not in HEAVY]
        made += [("library", name, state) for i, name in enumerate(light) for state in states[i % 8 : i % 8 + 6 : 2]]
        made += [("view", name, "generating") for name in ("goaway-odd-times", "rate-1", "close-no-fin-after")]
        return made + [("connect", name, "connect") for name in [*CONNECTING][1::6]]
    made = [(way, name, state) for way in ("talk", "library") for name in FAULTS for state in STATES]
    made += [("view", name, state) for name in FAULTS if name in VIEWED for state in VIEW_STATES]
    return made + [("connect", name, "connect") for name in CONNECTING]


async def run(chosen: Sequence[Cell], jobs: int, show: Callable[[Outcome], None]) -> list[Outcome]:
    """Run these cells; one that was late or silent once more, since the machine may have been busy."""
    busy, slow = asyncio.Semaphore(jobs), asyncio.Semaphore(SLOW_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def tried(way: str, name: str, state: str) -> Outcome:
        if way == "library":
            return await loop.run_in_executor(pool, library.run, name, state)
        if way == "connect":
            async with busy:
                return await connecting(name)
        fault = FAULTS[name]
        async with slow if fault.waits else busy:
            return await PROCESSES[way](fault, state)

    async def one(cell: Cell) -> Outcome:
        outcome = await tried(*cell)
        if outcome.marks and not outcome.marks.strip("LN"):
            outcome = await tried(*cell)
        show(outcome)
        return outcome

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) if any(way == "library" for way, *_ in chosen) else nullcontext() as pool:
        return list(await asyncio.gather(*map(one, chosen)))


def table(outcomes: Sequence[Outcome]) -> str:
    """A row for all faults with the same cells."""
    found = {(outcome.fault, outcome.state): outcome.cell for outcome in outcomes}
    states = [state for state in (*STATES, "connect") if any(outcome.state == state for outcome in outcomes)]
    rows: dict[tuple[str, ...], list[str]] = {}
    for fault in dict.fromkeys(outcome.fault for outcome in outcomes):
        rows.setdefault(tuple(found.get((fault, state), "") for state in states), []).append(fault)
    lines = [("fault", *states), ("---",) * (len(states) + 1)]
    lines += [(", ".join(names), *row) for row, names in sorted(rows.items(), key=lambda item: -len(item[1]))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Faults of a server, in every state.")
    parser.add_argument(
        "--only", action="append", metavar="FAULT", help="this fault, or all whose names begin so; repeatable"
    )
    parser.add_argument("--state", action="append", choices=[*STATES, "connect"], help="this state only; repeatable")
    parser.add_argument("--by", action="append", choices=WAYS, help="what is tried; repeatable")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cells at once (default 2)")
    parser.add_argument("--short", action="store_true", help="the part that the tests run")
    parser.add_argument("--json", action="store_true", help="print a JSON line a cell instead of tables")
    options = parser.parse_args(arguments)
    chosen = [
        (way, name, state)
        for way, name, state in cells(options.short)
        if (not options.only or name.startswith(tuple(options.only)))
        and (not options.state or state in options.state)
        and (not options.by or way in options.by)
    ]
    if not chosen:
        parser.error("no such cell")

    def show(outcome: Outcome) -> None:
        if options.json:
            print(outcome.to_json(), flush=True)
        elif outcome.problems:
            print(f"- {outcome.by}, {outcome.fault}, {outcome.state}: {'; '.join(outcome.problems)}", flush=True)

    outcomes = asyncio.run(run(chosen, options.jobs, show))
    failed = [outcome for outcome in outcomes if outcome.problems]
    if not options.json:
        for way in WAYS:
            if some := [outcome for outcome in outcomes if outcome.by == way]:
                print(f"\n{way}\n\n{table(some)}")
        delays = [outcome.reported_after for outcome in outcomes if outcome.reported_after is not None]
        print(f"\n{len(outcomes)} cells, {len(failed)} failed; reported after at most {max(delays, default=0):.2f} s")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
