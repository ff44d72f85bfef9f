"""Child processes and calls that may hang, waited for within bounds.

- A child is signalled by its own process id, or its own process group, never by a name.
- A child gets no Ctrl-C of the terminal: when it ends is for livews to decide.
- A call that hangs stays in its thread, which does not keep the program from ending.
"""

import contextlib
import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import IO, Any, TypeVar

from livews.terminal_text import one_line

T = TypeVar("T")

_LAST_LINE = 200
_TAIL = 4096  # bytes of a child's output that are looked at


def start(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, **pipes: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program, without a shell and with unbuffered pipes. Raises OSError.

    `env` is added to our environment. `pipes`: stdin, stdout and stderr as in Popen; those not given are /dev/null.
    """
    streams: dict[str, Any] = {**dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL), **pipes}
    return subprocess.Popen(
        argv,
        **streams,
        bufsize=0,
        env={**os.environ, **(env or {})},
        start_new_session=sys.platform != "win32",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def start_logged(argv: Sequence[str], **options: Any) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """`start`, and a file without a name that gets stderr, so that the child never waits for somebody to read it."""
    import tempfile

    log = tempfile.TemporaryFile()  # noqa: SIM115  for the caller to close
    try:
        return start(argv, stderr=log, **options), log
    except BaseException:
        log.close()
        raise


def stop(process: subprocess.Popen[bytes], patience: float = 0.0) -> None:
    """Terminate a child, and kill it when it still runs after `patience` seconds; 0 kills at once. Raises nothing.

    Blocks until it has ended, one second more than `patience` at most.
    """
    for end, seconds in ((process.terminate, patience), (process.kill, 1.0)):
        if seconds and process.poll() is None:
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)


def kill_group(pid: int) -> None:
    """Kill the child with process id `pid` and all children of its own that are in its process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)


def last_line(log: IO[bytes]) -> str:
    """The last line of a child's output that is not blank, safe to show; "" when there is none."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return one_line(lines[-1].strip(), _LAST_LINE) if lines else ""


def in_thread(call: Callable[[], T], name: str) -> Future[T]:
    """Run `call` in a daemon thread of its own, in our context. Nobody has to wait for the result.

    `in_thread(...).result(seconds)` waits for at most so long, `await asyncio.wrap_future(in_thread(...))` until the
    task is cancelled.
    """
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        with contextlib.suppress(InvalidStateError):  # cancelled: nobody waits any more
            try:
                result = context.run(call)
            except BaseException as problem:
                future.set_exception(problem)
            else:
                future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
