"""A terminal for tests: a program under a pty of its own, and what its screen shows.

    with Terminal([sys.executable, "-m", "livews"], rows=10, columns=40) as terminal:
        terminal.wait_for("message >")
        terminal.type("hello\\r")
        assert "hello" in terminal.text

- The program has the pty as its controlling terminal, so that a resize and a hang-up reach it as they would.
- Only what pyte makes of the bytes is judged; `raw` keeps them for what no screen shows.
- Every wait is bounded, and the process that was started is stopped by its own id.
- `save` is for looking at a screen, never for judging it.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import pyte

from tests.kit.names import ROOT

BRACKETED_PASTE = 2004 << 5  # as pyte keeps private modes
CURSOR_VISIBLE = pyte.modes.DECTCEM
# In the child and not as preexec_fn, which no process with threads should use.
_LAUNCH = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class _Screen(pyte.HistoryScreen):
    """pyte knows no dim text; it is kept as blinking, which nothing here does."""

    def select_graphic_rendition(self, *attrs: int, **more: Any) -> None:
        super().select_graphic_rendition(*(5 if a == 2 else a for a in attrs), **more)


class Terminal:
    """Runs `command` on a screen of its own. stdout may be sent elsewhere; stdin and stderr are the terminal."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        rows: int = 24,
        columns: int = 80,
        env: dict[str, str] | None = None,
        stdout: int | None = None,
    ) -> None:
        self.raw = bytearray()
        self.screen = _Screen(columns, rows, history=5000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self.end, ours = pty.openpty()
        self._size(rows, columns)
        self.modes_before = termios.tcgetattr(ours)
        self._ours = ours  # held open, so that the modes can be read when the program has ended
        self.process = subprocess.Popen(
            [sys.executable, "-ISc", _LAUNCH, *command],
            stdin=ours, stdout=ours if stdout is None else stdout, stderr=ours, cwd=ROOT,
            env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **(env or {})},
            start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self.hang_up()
        os.close(self._ours)

    @property
    def lines(self) -> list[str]:
        """The screen, without the space at the end of each line."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip("\n")

    @property
    def scrolled(self) -> list[str]:
        """What has left the screen at its top."""
        out = []
        for row in self.screen.history.top:
            out.append("".join(row[n].data for n in range(self.screen.columns)).rstrip())
        return out

    def type(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(self.end, data[:512]) :]
            self.read(0.01)

    def paste(self, text: str) -> None:
        """As a terminal does that was asked for bracketed paste."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    def resize(self, rows: int, columns: int) -> None:
        self.read(0.05)
        self.screen.resize(rows, columns)
        self._size(rows, columns)

    def hang_up(self) -> None:
        """Close the window."""
        if self.end >= 0:
            os.close(self.end)
            self.end = -1

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def read(self, seconds: float) -> bool:
        """Take what comes within `seconds`; whether anything came."""
        if not select.select([self.end], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.end, 65536)
        except OSError:  # the program has left
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def wait_for(self, what: str | Callable[[], object], seconds: float = 15) -> None:
        """Until the text is on the screen, or the condition holds."""
        holds = (lambda: what in self.text) if isinstance(what, str) else what
        until = time.monotonic() + seconds
        while not holds() or self.read(0.02):  # not in the middle of a drawing
            if not self.read(0.05) and time.monotonic() > until:
                raise AssertionError(f"never came: {what}; the screen:\n{self.text}")

    def settle(self, quiet: float = 0.2) -> None:
        """Until nothing has come for a while."""
        until = time.monotonic() + 10
        while self.read(quiet) and time.monotonic() < until:
            pass

    def wait(self, seconds: float = 15) -> int:
        """The exit code, when the program has ended by itself."""
        until = time.monotonic() + seconds
        while self.process.poll() is None:
            self.read(0.05)
            if time.monotonic() > until:
                raise AssertionError(f"does not end; the screen:\n{self.text}")
        while self.read(0.05):
            pass
        return self.process.returncode

    def restored(self) -> bool:
        """The terminal is as it was found: cooked, with its cursor, nothing left switched on."""
        modes = self.screen.mode
        return (
            termios.tcgetattr(self._ours) == self.modes_before
            and CURSOR_VISIBLE in modes
            and BRACKETED_PASTE not in modes
        )

    def _size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
