"""Feeds inputs of one kind to their readers, and judges each by what it raises, its time and its memory."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from livews.errors import LivewsError
from tests.fuzz import readers
from tests.fuzz.mutation import mutation

EACH_KB = 0.001
"""Seconds of CPU time that an input may take for each of its kB, beside those of its reader."""
EACH_BYTE = 200
"""Bytes by which an input may raise the peak of memory for each of its own, beside those of its reader."""
ADDRESSES = 1 << 30
"""Bytes of address space beyond what the process has at the start."""
HANG = 20.0
MOST_FINDINGS = 20
"""Of one kind; it is given up after them."""


@dataclass
class Finding:
    why: str
    path: str


@dataclass
class Result:
    """What came of one kind."""

    kind: str
    inputs: int = 0
    slowest: float = 0.0
    """The largest share of its time that an input took: 1.0 is the limit."""
    findings: list[Finding] = field(default_factory=list)


class Hang(BaseException):
    """An input took too long. Not a LivewsError, so that it is not taken for one."""


class Run:
    """Feeds one kind of input to its readers, and judges each."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.result = Result(kind)
        self.reader = readers.READERS[kind]()
        self.seeds = self.reader.seeds()
        self.folder = folder
        self.current = folder / f"{kind}-current"
        """What is being read, for a crash."""
        self._known: set[str] = set()
        self._usual: dict[str, float] = {}
        for name, read in self.reader.reads.items():
            times = []
            for data in [*self.seeds[:40], *self.seeds[:40]]:  # twice: what is loaded late is loaded then
                with contextlib.suppress(LivewsError, *self.reader.refuses):
                    begun = time.process_time()
                    read(data)
                    times.append(time.process_time() - begun)
            self._usual[name] = sorted(times)[len(times) // 2] if times else 0.0
        _limit_memory()

    def feed(self, data: bytes) -> None:
        """Give an input to every reader of the kind."""
        self.current.write_bytes(data)
        self.result.inputs += 1
        for name, read in self.reader.reads.items():
            peak = _peak()
            with _bounded():
                try:
                    spent = self.timed(read, data)
                    allowed = self._usual[name] + self.reader.seconds + EACH_KB * len(data) / 1000
                    for _ in range(3):
                        if spent > allowed:
                            spent = min(spent, self.timed(read, data))
                    self.result.slowest = max(self.result.slowest, spent / allowed)
                    if spent > allowed:
                        self._found(
                            name,
                            f"slow: {spent * 1000:.0f} ms for {len(data):,} bytes, {allowed * 1000:.0f} allowed",
                            data,
                            "slow",
                        )
                except BaseException as problem:
                    if isinstance(problem, KeyboardInterrupt):
                        raise
                    where = [
                        frame for frame in traceback.extract_tb(problem.__traceback__) if "/livews/" in frame.filename
                    ]
                    place = f"{Path(where[-1].filename).name}:{where[-1].lineno}" if where else "?"
                    self._found(
                        name,
                        f"{type(problem).__name__} in {place}: {str(problem)[:200]}",
                        data,
                        f"{type(problem)}{place}",
                    )
            if (grown := _peak() - peak) > self.reader.memory + EACH_BYTE * len(data):
                self._found(name, f"memory: {grown >> 20} MB more for {len(data):,} bytes", data, "memory")

    def timed(self, read: readers.Read, data: bytes) -> float:
        """Seconds of CPU time."""
        begun = time.process_time()
        with contextlib.suppress(LivewsError, *self.reader.refuses):
            read(data)
        return time.process_time() - begun

    def _found(self, name: str, why: str, data: bytes, same: str) -> None:
        if f"{name}{same}" in self._known:
            return
        self._known.add(f"{name}{same}")
        path = self.folder / f"{self.result.kind}-{len(self.result.findings)}"
        path.write_bytes(data)
        self.result.findings.append(Finding(f"{self.result.kind}, {name}: {why}", str(path)))

    @property
    def is_over(self) -> bool:
        return len(self.result.findings) >= MOST_FINDINGS


def _peak() -> int:
    """Bytes of the process's highest memory so far; 0 where nothing tells."""
    with contextlib.suppress(ImportError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 0


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Raise Hang inside after HANG seconds of CPU time, where the system can."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang(f"still running after {HANG:g} s")

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def work(kind: str, seed: int, seconds: float, folder: Path, guided: bool, connection: Any) -> None:
    """One kind for so long, in a process of its own."""
    logging.disable()  # Pillow reports broken files in its log and as warnings, too
    warnings.filterwarnings("ignore", module=r"PIL\b")
    run = Run(kind, folder)
    if guided:
        _guided(run, seed, seconds)
    begun = time.monotonic()
    number = 0
    while not guided and time.monotonic() - begun < seconds and not run.is_over:
        run.feed(mutation(seed, number, run.seeds, run.reader.tokens))
        number += 1
    readers.clean()
    run.current.unlink(missing_ok=True)
    connection.send(run.result)


def _guided(run: Run, seed: int, seconds: float) -> None:
    """The same with atheris, which looks for inputs that reach new code."""
    import atheris

    class Over(BaseException):
        pass

    begun = time.monotonic()

    def feed(data: bytes) -> None:
        if time.monotonic() - begun > seconds or run.is_over:
            raise Over
        run.feed(data)

    corpus = run.folder / f"{run.result.kind}-corpus"
    corpus.mkdir()
    for i, data in enumerate(run.seeds):
        (corpus / f"{i}").write_bytes(data)
    atheris.instrument_all()
    atheris.Setup(["fuzz", f"-seed={seed}", "-max_len=65536", "-verbosity=0", "-rss_limit_mb=0", str(corpus)], feed)
    with contextlib.suppress(Over, SystemExit):
        atheris.Fuzz()
