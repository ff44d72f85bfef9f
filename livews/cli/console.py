"""stdout for the reply, stderr for people.

- Colour and the live line only on a terminal; NO_COLOR and --color decide otherwise.
- Text from the wire passes `printable` before it is shown, and nothing here can be made to move the cursor by it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from livews.terminal_text import escape_unsafe, json_line

if TYPE_CHECKING:
    from livews.errors import LivewsError

_STYLES = {"send": "36", "recv": "32", "dim": "2", "warn": "33", "tool": "35", "error": "31;1", "bold": "1"}
COLOR_HELP = "colour: auto (on a terminal), always or never"


class Console:
    """Where a command prints."""

    def __init__(self, color: str = "auto", quiet: bool = False) -> None:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed by whoever started us
                setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        self.quiet = quiet
        self.live = sys.stderr.isatty() and not quiet
        """Whether progress may be drawn."""
        wanted = {"always": True, "never": False}.get(color)
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self._color = sys.stderr.isatty() and not plain if wanted is None else wanted
        self._forced = wanted is True
        self._status = ""
        self._one_place = _same_file(sys.stdout, sys.stderr)
        self.above: Callable[[str, str], None] | None = None
        """Prints a text in a style above the live view, while that is up."""
        self.mid_line = False
        """A part of the reply was written without its line break."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")  # a terminal of another encoding is no reason to fail

    @property
    def paints_stdout(self) -> bool:
        """Whether colour belongs on stdout, which may go elsewhere while stderr is a terminal."""
        return self._color and (self._forced or sys.stdout.isatty())

    @property
    def colored(self) -> bool:
        return self._color

    def paint(self, style: str, text: str) -> str:
        plain = not self._color or self.above is not None or not text
        return text if plain else f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def say(self, text: str, end: str = "\n") -> None:
        """The reply, on stdout."""
        self.write(escape_unsafe(text) + end)
        self.mid_line = not end

    def end_line(self) -> None:
        """Finish the line of the reply that is being written, if one is."""
        if self.mid_line:
            self.mid_line = False
            self.write("\n")

    def write(self, text: str) -> None:
        """What is safe to show already, painted or not, on stdout as it is; BadRequest when stdout takes nothing."""
        self.clear()
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as problem:
            from livews.errors import BadRequest

            self.abandon_stdout()
            fix = "free the disk, or send stdout elsewhere"
            raise BadRequest(
                "the reply cannot be written", where="stdout", why=str(problem.strerror), fix=fix
            ) from None

    def data(self, line: str) -> None:
        """A line of JSON, on stdout."""
        self.write(json_line(line) + "\n")

    def note(self, text: str, style: str = "dim") -> None:
        """A line for the person at the terminal; --quiet silences it."""
        if not self.quiet:
            self.line(self.paint(style, escape_unsafe(text)), style)

    def warn(self, text: str) -> None:
        self.note(f"livews: {text}", "warn")

    def error(self, problem: LivewsError) -> None:
        """A failure: what in a line of its own, then where, why and what to do."""
        self.line(self.paint("error", "livews: ") + self.paint("bold", escape_unsafe(problem.what)))
        for name, text in problem.details():
            if text:
                self.line(paragraph(name, escape_unsafe(text)))

    def status(self, text: str) -> None:
        """The live line, on a terminal only; the next line of anything replaces it."""
        if self.live and self.above is None and text != self._status:
            self._status = text
            sys.stderr.write(f"\r\x1b[K{self.paint('dim', escape_unsafe(text))}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._status:
            self._status = ""
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def progress(self, text: str) -> None:
        """A piece of a line that grows, on a terminal only."""
        if self.live and self.above is None:
            self.clear()
            sys.stderr.write(escape_unsafe(text))
            sys.stderr.flush()

    def abandon_stdout(self) -> None:
        """Nobody reads stdout any more: keep the interpreter from complaining about it at exit."""
        sys.stdout.flush = lambda: None  # type: ignore[method-assign]
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def line(self, text: str, style: str = "") -> None:
        """A line on stderr; on a terminal never behind a half-written reply. `style` is for the live view."""
        if self.above is not None:
            self.above(text, style)
            return
        self.clear()
        if self.mid_line and self._one_place:
            self.end_line()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def ignore_interrupts() -> None:
    """We are leaving, which takes seconds at most: one Ctrl-C more would only cut off what is being put in order."""
    import signal

    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _same_file(one: TextIO, other: TextIO) -> bool:
    """Do both streams end in the same place, a terminal or a file of 2>&1?"""
    try:
        return one.isatty() or os.path.sameopenfile(one.fileno(), other.fileno())
    except (OSError, ValueError):
        return False


def columns() -> int:
    """Characters of a line: those of the terminal, as far as lines of that length are read with ease."""
    import shutil

    return min(max(shutil.get_terminal_size((100, 24)).columns, 40), 110)


def paragraph(name: str, text: str, width: int = 0) -> str:
    """`  name  text`, wrapped and indented under itself."""
    import textwrap

    width = width or columns()
    head = f"  {name:<6} "
    return "\n".join(
        textwrap.fill(
            part, width, initial_indent=head if i == 0 else " " * len(head), subsequent_indent=" " * len(head),
            break_long_words=False, break_on_hyphens=False,
        )
        for i, part in enumerate(text.split("\n"))
    )  # fmt: skip
