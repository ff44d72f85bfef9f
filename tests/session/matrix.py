"""What becomes of a conversation whose connection ends: `python -m tests.session.matrix` prints state x fault.

Each cell is a conversation of four turns with a service on a socket; at the second turn the fault happens once. Asserted
is what the service counted: turns that were never answered, turns whose answer was sent twice, connections at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import livews
from tests.session.service import Link, Service

SCALE = 20.0
"""By which the client's times are divided."""
STATES = ("idle", "asked", "speaking", "generated", "over", "called", "resulted")


async def _half(link: Link) -> None:
    await link.half({"serverContent": {"modelTurn": {"parts": [{"text": "never complete " * 20}]}}})


async def _reset(link: Link) -> None:
    link.reset()


async def _end(link: Link) -> None:
    link.end()


async def _silent(link: Link) -> None:
    link.socket.transport.pause_reading()
    await link.service.over.wait()


def _closes(code: int, reason: str = "") -> Callable[[Link], Awaitable[None]]:
    async def close(link: Link) -> None:
        await link.close(code, reason)

    return close


def _away(left: float) -> Callable[[Link], Awaitable[None]]:
    async def away(link: Link) -> None:
        await link.away(left / SCALE)

        async def late() -> None:
            await asyncio.sleep(left / SCALE)
            await link.close(
                1008, "Connection aborted because the client failed to close the connection after receiving GoAway"
            )

        task = asyncio.ensure_future(late())
        link.service.tasks.append(task)

    return away


async def _away_and_silent(link: Link) -> None:
    await link.away(8 / SCALE)
    await link.service.over.wait()


FAULTS: dict[str, Callable[[Link], Awaitable[None]]] = {
    "reset": _reset,
    "end of TCP": _end,
    "half a frame": _half,
    "1011 internal": _closes(1011, "Internal error encountered."),
    "1011 deadline": _closes(1011, "Deadline expired before operation could complete."),
    "1008 aborted": _closes(1008, "The operation was aborted."),
    "1008 not implemented": _closes(1008, "Operation is not implemented, or supported, or enabled."),
    "1001 going away": _closes(1001),
    "1000": _closes(1000),
    "1007": _closes(1007, "Request contains an invalid argument."),
    "quota": _closes(1011, "You exceeded your current quota, please check your plan and billing details."),
    "goAway": _away(50),
    "goAway, soon": _away(2),
    "goAway and silence": _away_and_silent,
    "silence": _silent,
}
HANDLES: dict[str, Callable[[str], tuple[int, str] | None]] = {
    "kept": lambda handle: None,
    "invalid": lambda handle: (1007, "Invalid session handle"),
    "not found": lambda handle: (1008, "BidiGenerateContent session not found"),
    "held for ever": lambda handle: (1011, "Internal error encountered."),
}


@dataclass
class Cell:
    """What came of one conversation."""

    state: str
    fault: str
    handles: str
    lost: int = 0
    doubled: int = 0
    most_open: int = 0
    connections: int = 0
    fresh: int = 0
    tools: int = 0
    """Times that the function ran."""
    seconds: float = 0.0
    """From the fault to the end of the turn, or of the next one, in the client's time."""
    error: str = ""

    def __str__(self) -> str:
        about = f"{self.state:<10} {self.fault:<20} {self.handles:<14}"
        figures = f"{self.lost:>4} {self.doubled:>7} {self.connections:>7} {self.fresh:>5} {self.tools:>5} {self.seconds:>8.1f}"
        return f"{about}{figures}  {self.error}"


async def converse(state: str, fault: str, handles: str = "kept", *, updates: bool = True) -> Cell:
    """A conversation with one fault."""
    cell = Cell(state, fault, handles)
    happened = 0.0

    async def at(link: Link, moment: str, about: str) -> None:
        nonlocal happened
        is_it = moment == state and ("two" in about or (moment == "idle" and link.number == 1))
        if is_it and not happened:
            happened = time.monotonic()
            await FAULTS[fault](link)

    async with Service(at, updates=updates).running() as service:
        service.refused = HANDLES[handles]
        prompts = ["one", "two of the weather" if state in ("called", "resulted") else "two", "three", "four"]

        def look_up(of: str) -> dict[str, str]:
            """Look something up."""
            cell.tools += 1
            return {"result": of.upper()}

        policy = livews.ReconnectPolicy(time_scale=SCALE)
        try:
            async with (
                asyncio.timeout(12),
                livews.connect(url=service.url, api_key="k", tools=[look_up], reconnect=policy) as session,
            ):
                for prompt in prompts:
                    await session.say(prompt)
                    async for event in session.turn():
                        cell.fresh += isinstance(event, livews.Resumed) and event.fresh
                    if happened and not cell.seconds and prompt != "one":
                        cell.seconds = (time.monotonic() - happened) * SCALE
                cell.connections = session.connections
        except (livews.LivewsError, TimeoutError) as problem:
            cell.error = f"{type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else ''}"
        cell.lost = sum(not service.answered[prompt] for prompt in prompts)
        cell.doubled = sum(service.answered[prompt] > 1 for prompt in prompts)
        cell.most_open = service.most_open
        assert happened, "the fault never happened"
        for task in service.tasks:
            task.cancel()
    return cell


def cells(states: Any = STATES, faults: Any = tuple(FAULTS), handles: Any = ("kept",)) -> list[tuple[str, str, str]]:
    """All cells, without those that make no sense."""
    return [(state, fault, handle) for state in states for fault in faults for handle in handles]


async def _main(chosen: list[tuple[str, str, str]], at_once: int) -> list[Cell]:
    gate = asyncio.Semaphore(at_once)

    async def one(cell: tuple[str, str, str]) -> Cell:
        async with gate:
            found = await converse(*cell)
            print(found, flush=True)
            return found

    return await asyncio.gather(*(one(cell) for cell in chosen))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.session.matrix", description=__doc__)
    parser.add_argument("--state", action="append", choices=STATES)
    parser.add_argument("--fault", action="append", choices=tuple(FAULTS))
    parser.add_argument("--handles", action="append", choices=tuple(HANDLES))
    parser.add_argument("--jobs", type=int, default=4)
    options = parser.parse_args()
    chosen = cells(options.state or STATES, options.fault or tuple(FAULTS), options.handles or ("kept",))
    print(
        f"{'state':<10} {'fault':<20} {'handles':<14}{'lost':>4} {'doubled':>7} {'sockets':>7} {'fresh':>5} {'tools':>5} {'seconds':>8}"
    )
    found = asyncio.run(_main(chosen, options.jobs))
    # what was sent last is not sent again after a 1007, which it may have caused
    lost, doubled = sum(cell.lost for cell in found if cell.fault != "1007"), sum(cell.doubled for cell in found)
    # a service that reads nothing does not notice that its client has gone
    overlapping = sum(cell.most_open > 1 for cell in found if "silence" not in cell.fault)
    twice = sum(cell.tools > 1 for cell in found)
    failed = sum(bool(cell.error) for cell in found)
    print(
        f"{len(found)} conversations of 4 turns: {lost} turns lost, {doubled} answered twice, {failed} sessions lost, {overlapping} with two sockets at once, {twice} in which a function ran twice"
    )
    return int(bool(lost or overlapping or failed or twice))


if __name__ == "__main__":
    sys.exit(main())
