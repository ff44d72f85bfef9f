"""What a command reads and writes: streams, variables and terminal; the result on stdout, words for people on stderr.

- Commands read streams and variables here, so that a test can pass its own.
- A stream that was closed before the start counts as one that takes everything and gives nothing.
- Colour and progress are shown on a terminal only; NO_COLOR and --color decide otherwise.
- Text from the wire passes `escape_unsafe` before it is shown, so none of it can move the cursor.
- No credential is shown: whatever leaves passes `hide` here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from livews.terminal_text import escape_unsafe, json_line, paragraph

TYPE_CHECKING = False  # typing would be a tenth of the start-up
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, TextIO

    from livews.errors import LivewsError

_STYLES = {"send": "36", "recv": "32", "dim": "2", "warn": "33", "tool": "35", "error": "31;1", "bold": "1"}


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

    def hide_credentials(self) -> None:
        """Hide the credentials of the variables in all output, also of a command that does not use them."""
        from livews.redactor import Redactor, environment_credentials

        self._secrets = Redactor(*environment_credentials(self.variables))

    def abandon(self, stream: TextIO) -> None:
        """Let what is written to a stream from now on disappear: it takes no more, and at exit Python would complain."""
        stream.flush = lambda: None  # type: ignore[method-assign]
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    def finish(self) -> None:
        """Write what is left in the streams; those that take nothing, as of a closed terminal, are abandoned."""
        for stream in (self.stdout, self.stderr):
            try:
                if not stream.closed:
                    stream.flush()
            except OSError:
                self.abandon(stream)


def _stream(name: str, mode: str) -> TextIO:
    stream: Any = getattr(sys, name)
    if stream is None:
        stream = open(os.devnull, mode)  # noqa: SIM115
        setattr(sys, name, stream)
    return stream  # type: ignore[no-any-return]


def _redactor() -> ModuleType:
    from livews import redactor  # it would slow down --help

    return redactor


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it was closed
        return False


class Console:
    """Where a command prints. `color` is the value of --color; `quiet` drops notes and progress."""

    as_json = False
    """Whether the rows of the result are JSON: --json."""

    def __init__(self, color: str = "auto", quiet: bool = False, environment: Environment | None = None) -> None:
        self.environment = env = environment or Environment()
        self.quiet = quiet
        self.live = env.stderr_is_terminal and not quiet
        """Whether progress may be drawn."""
        self.colored = env.colors(color)
        self.paints_stdout = self.colored and (color == "always" or env.stdout_is_terminal)
        """Whether colour belongs on stdout, which may be redirected while stderr is a terminal."""
        self.above: Callable[[str, str], None] | None = None
        """Prints a text in a style above the live view, while that is shown."""
        self.mid_line = False
        """A part of the reply was written without its line break."""
        self._held = ""
        """The end of a reply that is being written, which may be the beginning of a credential."""
        self._status = ""
        self._shares_output = env.shares_output

    def paint(self, style: str, text: str) -> str:
        plain = not self.colored or self.above is not None or not text
        return text if plain else f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def paint_result(self, style: str, text: str) -> str:
        """The same for text that goes to stdout."""
        return self.paint(style, text) if self.paints_stdout and style else text

    def say(self, text: str, end: str = "\n") -> None:
        """Write a line of the result to stdout, or without `end` a part of one."""
        text, self._held = self._held + escape_unsafe(text), ""
        if not end and (held := _redactor().unfinished(text)):
            text, self._held = text[:-held], text[-held:]
        self.write(text + end)
        self.mid_line = not end

    def data(self, line: str) -> None:
        """Write a line of JSON to stdout."""
        self.write_own(json_line(_redactor().hide_json(line)) + "\n")

    def row(self, row: dict[str, Any], text: str) -> None:
        """Write a row of the result to stdout: as JSON with --json, else the text."""
        if self.as_json:
            self.data(json.dumps(row, ensure_ascii=False))
        else:
            self.say(text)

    def end_line(self) -> None:
        """Finish the line of the reply that is being written, if there is one."""
        if self.mid_line:
            self.say("")

    def write(self, text: str) -> None:
        """Write text without control characters to stdout. BadRequest when stdout takes nothing."""
        self.write_own(_redactor().hide(text))

    def write_own(self, text: str) -> None:
        """The same for text of livews, which has no credential: it is not searched for any."""
        self.clear()
        with self.stdout_errors():
            self.environment.stdout.write(text)
            self.environment.stdout.flush()

    @contextmanager
    def stdout_errors(self) -> Iterator[None]:
        """Raise an OSError of stdout as BadRequest; one that names a file is about that file."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as problem:
            from livews.errors import BadRequest

            if problem.filename is not None:
                name = os.fsdecode(problem.filename) if isinstance(problem.filename, bytes) else str(problem.filename)
                why = problem.strerror or str(problem)
                raise BadRequest(
                    f"cannot use {name}", where=name, why=why, fix="check the path, and who may use it"
                ) from None
            self.environment.abandon(self.environment.stdout)
            what, why = "the output cannot be written", problem.strerror or str(problem)
            fix = "free disk space, or redirect stdout elsewhere"
            raise BadRequest(what, where="stdout", why=why, fix=fix) from None

    def note(self, text: str, style: str = "dim") -> None:
        """Write a line to stderr unless --quiet was given."""
        if not self.quiet:
            self.line(self.paint(style, escape_unsafe(text)), style)

    def warn(self, text: str) -> None:
        self.note(f"livews: {text}", "warn")

    def error(self, problem: LivewsError) -> None:
        """Write a failure: what happened, then where, why and what to do, a line each."""
        self.line(self.paint("error", "livews: ") + self.paint("bold", escape_unsafe(problem.what)))
        for name, text in problem.details():
            if text:
                self.line(paragraph(name, escape_unsafe(text)))

    def status(self, text: str) -> None:
        """Show a line of progress on a terminal; whatever is written next replaces it."""
        if self.live and self.above is None and text != self._status:
            self._status = text
            self._write_error(f"\r\x1b[K{self.paint('dim', escape_unsafe(text))}")

    def clear(self) -> None:
        """Remove the line of progress."""
        if self._status:
            self._status = ""
            self._write_error("\r\x1b[K")

    def progress(self, text: str) -> None:
        """Add to a line that grows, on a terminal only."""
        if self.live and self.above is None:
            self.clear()
            self._write_error(escape_unsafe(text))

    def line(self, text: str, style: str = "") -> None:
        """Write a line that is safe already to stderr; on a terminal never after a half-written reply.

        `style` is how the live view shows it.
        """
        if self.above is not None:
            self.above(text, style)
            return
        self.clear()
        if self.mid_line and self._shares_output:
            self.end_line()
        self._write_error(text + "\n")

    def _write_error(self, text: str) -> None:
        try:
            self.environment.stderr.write(_redactor().hide(text))
            self.environment.stderr.flush()
        except BrokenPipeError:
            raise
        except OSError:  # a terminal that was closed, a full disk: the work goes on, and the exit code tells
            self.environment.abandon(self.environment.stderr)
