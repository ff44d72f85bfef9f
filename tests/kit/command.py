"""The command as a user runs it: a process of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.kit.names import ROOT

Done = subprocess.CompletedProcess[str]
LIVEWS = (sys.executable, "-m", "livews")


def livews(*words: str | Path, stdin: str = "", env: dict[str, str] | None = None, timeout: float = 40) -> Done:
    """Run `livews WORDS` to its end; `env` is added to the environment."""
    return subprocess.run(
        [*LIVEWS, *words], cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=timeout,
        env={**os.environ, **(env or {})},
    )  # fmt: skip


@contextlib.contextmanager
def running(*words: str, **env: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`livews WORDS`: the first line it prints, which is a server's URL, and the process. It is stopped at the end."""
    with subprocess.Popen(
        [*LIVEWS, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **env},
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.communicate(timeout=10)
                finally:
                    process.kill()


def serving(*words: str, **env: str) -> contextlib.AbstractContextManager[tuple[str, subprocess.Popen[str]]]:
    """`livews serve WORDS` on a free port."""
    return running("serve", "--port", "0", *words, **env)
