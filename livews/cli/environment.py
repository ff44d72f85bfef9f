"""The process around a command: its streams, its variables and its terminal.

- Commands read streams and variables here, so that a test can pass its own.
- A stream that was closed before the start counts as one that takes everything and gives nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

TYPE_CHECKING = False  # typing would be a tenth of the start-up
if TYPE_CHECKING:
    from typing import Any, TextIO


class Environment:
    """Where a command reads and writes. What is not given is that of this process."""

    def __init__(
        self,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        variables: Mapping[str, str] = os.environ,
    ) -> None:
        self.stdin = stdin or _stream("stdin", "r")
        self.stdout = stdout or _stream("stdout", "w")
        self.stderr = stderr or _stream("stderr", "w")
        self.variables = variables
        self.stdin_is_terminal = _is_terminal(self.stdin)
        """Whether somebody is there to type."""
        self.stdout_is_terminal = _is_terminal(self.stdout)
        self.stderr_is_terminal = _is_terminal(self.stderr)
        for stream in (self.stdout, self.stderr):
            if hasattr(stream, "reconfigure"):  # a terminal of another encoding is no reason to fail
                stream.reconfigure(errors="backslashreplace")

    @property
    def is_dumb(self) -> bool:
        """Whether the terminal can only print lines."""
        return self.variables.get("TERM", "").lower() in ("", "dumb", "unknown") and os.name == "posix"

    @property
    def can_draw(self) -> bool:
        """Whether the live view can be shown: a terminal to type at (stdin) and to draw on (stderr)."""
        return self.stdin_is_terminal and self.stderr_is_terminal and not self.is_dumb

    @property
    def shares_output(self) -> bool:
        """Whether stdout and stderr end in the same place: a terminal, or a file of `2>&1`."""
        try:
            return self.stdout.isatty() or os.path.sameopenfile(self.stdout.fileno(), self.stderr.fileno())
        except (OSError, ValueError):
            return False

    def colors(self, choice: str) -> bool:
        """Whether to write colours; `choice` is the value of --color."""
        if choice != "auto":
            return choice == "always"
        no_color = self.variables.get("NO_COLOR") or self.variables.get("TERM") == "dumb"
        return self.stderr_is_terminal and not no_color

    def abandon_stdout(self) -> None:
        """Keep the interpreter from complaining at exit about a stdout that takes no more."""
        self.stdout.flush = lambda: None  # type: ignore[method-assign]
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())


def _stream(name: str, mode: str) -> TextIO:
    stream: Any = getattr(sys, name)
    if stream is None:
        stream = open(os.devnull, mode)  # noqa: SIM115
        setattr(sys, name, stream)
    return stream  # type: ignore[no-any-return]


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it was closed
        return False
