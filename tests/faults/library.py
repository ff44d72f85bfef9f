"""A fault in a session of `livews.connect`, in the process of the server: one of several workers.

Where the peer only falls silent, pings are made more frequent, so that it is given up in seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from pathlib import Path
from unittest import mock

import livews
from tests.faults.catalogue import FAULTS, Fault
from tests.faults.outcome import STARTING, Outcome
from tests.faults.server import Session, serving
from tests.faults.states import STATES, TURN, State
from tests.kit.names import KEY
from tests.kit.sound import speech

OPENING = 5.0
"""Seconds to open a session; a pong may take no less, so that a setup which is never answered ends by this."""


def run(fault: str, state: str) -> Outcome:
    """One cell, in a worker."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the server's own writes to a client that has left
    chosen = FAULTS[fault]
    with contextlib.ExitStack() as stack:
        if chosen.slow:
            stack.enter_context(mock.patch("livews.transport.PING_EVERY", 1.0))
            stack.enter_context(mock.patch("livews.transport.PONG_TIMEOUT", OPENING))
        return asyncio.run(_library(chosen, state))


async def _library(fault: Fault, name: str) -> Outcome:
    """What a program gets: no error, or a LivewsError with the exit code that the fault is to have."""
    state, clock = STATES[name], asyncio.get_running_loop().time
    outcome = Outcome("library", fault.name, name, fault.expected("library", name))
    session = Session(fault.acts, state.script)
    code, caught = 0, None
    with tempfile.TemporaryDirectory(prefix="livews-") as folder:
        trace = Path(folder, "trace.jsonl")
        async with serving(session, TURN) as url:
            try:
                async with asyncio.timeout(STARTING + fault.limit):
                    await _talk(url, state, session, trace, outcome.expected)
            except livews.LivewsError as problem:
                code, caught = int(problem.exit_code), problem
            except TimeoutError:
                outcome.ended(None, session.written, clock(), fault.limit)
                return outcome
            except Exception as problem:
                outcome.wrong(f"{type(problem).__module__}.{type(problem).__name__}: {problem}"[:300], "X")
            outcome.ended(code, session.written, clock(), fault.limit)
        if caught is not None:
            outcome.look_at(str(caught).encode())
            if fault.says and outcome.expected:
                outcome.reported(clock(), session.written)
        outcome.look_at_files(Path(folder, "none"), trace)
    return outcome


async def _talk(url: str, state: State, session: Session, trace: Path, expected: int) -> None:
    async def slow() -> str:
        await asyncio.sleep(0.3)
        return "done"

    opening = livews.connect(
        reconnect=None, url=url, api_key=KEY, trace=trace, tools=[slow] if state.tool else (), open_timeout=OPENING
    )
    async with opening as talk:
        if state.speaks:
            for _ in range(10):
                await talk.send_audio(speech(0.1))
                await asyncio.sleep(0.02)
        elif state.says:
            await talk.say("Hello")
        else:
            await session.finished.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3.0 if expected else 0.3):
                    async for _ in talk.events():
                        pass
            return
        async with asyncio.timeout(100):
            async for _ in talk.turn():
                pass
