"""The processes that are measured: the same interpreter, the same environment, nothing of the user's in it.

- A process that was started is ended with the block it was started in, whatever happens there.
- What a server says on stderr is kept in a file, so that no pipe can fill up and hold it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SCRIPTS = Path(__file__).with_name("scripts")
_ROOT = Path(__file__).resolve().parents[2]
_PREFIXES = ("GOOGLE_", "GEMINI_", "LIVEWS_", "CLOUDSDK_")
_NAMES = ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME", "PYTHONVERBOSE", "PYTHONWARNINGS", "PYTHONDEVMODE")
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def environment(**more: str) -> dict[str, str]:
    """This process's environment without keys, proxies and what makes Python slow; livews is this checkout's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_PREFIXES) and name not in _NAMES and not name.lower().endswith("_proxy")
    }
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, **more}


def script(name: str, *words: str) -> list[str]:
    """The command of one of our scripts; -P keeps its folder out of where modules are looked for."""
    return [sys.executable, "-P", str(SCRIPTS / f"{name}.py"), *words]


def livews(*words: str) -> list[str]:
    """The command `python -m livews`."""
    return [sys.executable, "-P", "-m", "livews", *words]


@contextmanager
def child(
    command: list[str], core: int | None = None, patience: float = 10.0, **more: Any
) -> Iterator[subprocess.Popen[str]]:
    """A process, on that core where one is named; at the end of the block it has `patience` seconds to leave.

    `env` adds to the environment of all children, the rest is for Popen.
    """
    env = environment(**more.pop("env", {}))
    process = subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, **more)
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield process
    finally:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@dataclass
class Server:
    """A process that listens; `url` is the first line it said."""

    process: subprocess.Popen[str]
    url: str
    errors: Path
    last: str | None = None

    @property
    def said(self) -> str:
        """Its stderr: what there is of it, or all once the process has ended."""
        return self.errors.read_text(errors="replace") if self.last is None else self.last

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    @property
    def cpu(self) -> float:
        return cpu(self.process.pid)

    @property
    def rss(self) -> int:
        return rss(self.process.pid)


@contextmanager
def serving(command: list[str], core: int | None = None, patience: float = 10.0) -> Iterator[Server]:
    """A process that says its URL first; RuntimeError when it does not. See `child`."""
    with tempfile.TemporaryDirectory(prefix="livews-") as folder:
        errors = Path(folder, "stderr")
        with errors.open("w") as file, child(command, core, patience, stderr=file) as process:
            assert process.stdout is not None
            server = Server(process, process.stdout.readline().strip(), errors)
            if not server.url:
                raise RuntimeError(f"{' '.join(command[1:])} did not start: {server.said[-500:]}")
            yield server
        server.last = server.said


def cpu(pid: int) -> float:
    """Seconds a process has run. OSError where nothing tells."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss(pid: int) -> int:
    """Memory a process holds, in KiB. OSError where nothing tells."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(row.split()[1] for row in text.splitlines() if row.startswith("VmRSS:")))
