"""The signals that end a command: Ctrl-C (SIGINT), Ctrl-\\ (SIGQUIT), SIGTERM, and SIGHUP, of a closed terminal.

- They end it in the same way: what it started is stopped, and what it writes is complete.
- One that was ignored at the start (nohup) stays ignored, and a further one changes nothing.
- The exit code is 128 and the number of the signal, as a shell has it; that of a server that is stopped is 0.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any


def _others() -> list[signal.Signals]:
    """Those besides SIGINT that this system has, and that are not ignored."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def run(work: Coroutine[Any, Any, int]) -> int:
    """`asyncio.run`, where SIGTERM, SIGHUP and SIGQUIT cancel the work as Ctrl-C does.

    Returns:
        the result of the work, or the exit code of the signal.

    Raises:
        KeyboardInterrupt: at Ctrl-C, as `asyncio.run`.
    """

    async def main() -> int:
        task, ended_by = asyncio.current_task(), 0

        def end(number: int) -> None:
            nonlocal ended_by
            if not ended_by and task is not None:
                ended_by = number
                task.cancel()

        with contextlib.ExitStack() as stack:
            for number in _others():
                stack.enter_context(on_signal(number, lambda number=number: end(number)))  # type: ignore[misc]
            try:
                code = await work
            except asyncio.CancelledError:
                if not ended_by:
                    raise
            return 128 + ended_by if ended_by else code

    return asyncio.run(main())


@contextlib.contextmanager
def on_signal(number: int, callback: Callable[[], None]) -> Iterator[None]:
    """Call `callback` on the event loop at a signal, where the system and the thread allow that."""
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(number, callback)
    except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(number)


@contextlib.contextmanager
def stop_at_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` at any of the signals. Afterwards they are ignored until the process ends, or, after an exception,
    handled as before."""
    if sys.platform == "win32":
        yield
        return
    loop = asyncio.get_running_loop()

    def on_signal(*_: Any) -> None:
        loop.call_soon_threadsafe(stop.set)

    # not by the loop, which restores the defaults when it closes: a moment later the signal would kill us
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, *_others())}
    try:
        yield
    except BaseException:
        for number, handler in before.items():
            signal.signal(number, handler)
        raise
    for number in before:
        signal.signal(number, signal.SIG_IGN)


def ignore_interrupts() -> None:
    """Ignore Ctrl-C while the command leaves, which takes seconds at most: it would only cut off the cleaning up."""
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
