"""Child processes and calls in threads: always stopped, never waited for without a bound."""

import asyncio
import io
import os
import subprocess
import sys
import threading
import time

import pytest

from livews import process

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


@pytest.mark.parametrize(
    ("code", "patience", "returncode"),
    [
        ("print(flush=True); import time; time.sleep(60)", 5.0, -15),
        (DEAF, 0.1, -9),
        ("print(flush=True); import time; time.sleep(60)", 0.0, -9),
        ("print(flush=True)", 5.0, 0),
    ],
)
def test_a_child_is_stopped(code: str, patience: float, returncode: int) -> None:
    child = process.start([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    if returncode == 0:
        child.wait(5)
    began = time.monotonic()
    process.stop(child, patience)
    process.stop(child, patience)
    assert child.returncode == returncode
    assert time.monotonic() - began < 2
    child.stdout.close()


def test_a_child_has_a_group_of_its_own_and_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "1")
    code = "import os; print(os.getpgid(0), os.environ['ONE'], os.environ['TWO'])"
    child = process.start([sys.executable, "-c", code], stdout=subprocess.PIPE, env={"TWO": "2"})
    out, _ = child.communicate(timeout=10)
    assert out.split() == [str(child.pid).encode(), b"1", b"2"]
    assert child.pid != os.getpgid(0)
    process.kill_group(child.pid)  # it has ended: nothing happens


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (b"first\n\x1b[2Jno \xe2\x80\xaeserver\n\n \n", r"\x1b[2Jno \u202eserver"),
        (b"\n", ""),
        (b"", ""),
        (b"x" * 9999, "x" * 199 + "\u2026"),
    ],
)
def test_the_last_line_is_safe_to_show(output: bytes, line: str) -> None:
    assert process.last_line(io.BytesIO(output)) == line


async def test_a_call_in_a_thread_gives_its_result_or_its_error() -> None:
    assert await asyncio.wrap_future(process.in_thread(threading.get_ident, "test")) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        process.in_thread(lambda: 1 // 0, "test").result(5)


async def test_a_call_that_hangs_is_left_alone() -> None:
    release = threading.Event()
    hung = process.in_thread(lambda: release.wait(30), "test-hung")
    with pytest.raises(TimeoutError):
        hung.result(0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.wrap_future(hung)
    release.set()
    for thread in threading.enumerate():
        if thread.name == "test-hung":
            assert thread.daemon
            thread.join(5)
