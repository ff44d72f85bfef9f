"""How a command that listens is stopped: Ctrl-C and SIGTERM.

- Stopping is no failure: the exit code is that of what happened until then.
- Once it has stopped, a signal more changes nothing: not the exit code, and nothing that is being put in order.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


@contextlib.contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Inside, both signals set `stop`; behind, until the process ends, they do nothing, but after an exception what they
    did before."""
    import asyncio

    if sys.platform == "win32":
        yield
        return
    loop = asyncio.get_running_loop()

    def told(*_: Any) -> None:
        loop.call_soon_threadsafe(stop.set)

    # not by the loop, which puts the defaults back when it closes: a moment later the signal would kill us
    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except BaseException:
        for number, handler in before.items():
            signal.signal(number, handler)
        raise
    for number in before:
        signal.signal(number, signal.SIG_IGN)
