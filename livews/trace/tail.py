"""Follow a trace while it is being written, as `tail -F` does.

- Asked again and again; it never waits. A file that is not there yet has no lines yet.
- Only whole lines count: the end of the file may be half a line that somebody is writing.
- A file that was begun anew (shorter than before, or another one of that name) is read from its start.
- A line that cannot be read is told in its place, with its number in the file (control "broken"); a file that is no trace,
  and a line without end, is a BadRequest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from livews.core.conversation import Step
from livews.trace.reader import TraceRecord, check_half, sessions
from livews.trace.session import RecordedSession, unreadable

_PIECE = 256 * 1024
"""Bytes read at once."""


class Tail:
    """The sessions of the trace at `path`, as they are written."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.session: RecordedSession | None = None
        """The one that is being written."""
        self.behind = False
        """There is more to read at once."""
        self._at = 0
        self._file: tuple[int, int] | None = None
        self._half = bytearray()
        self._head = b""
        """The header of that session, as a line."""
        self._number = 0
        self._lines = 0
        """Lines of the file that were read."""

    def take(self) -> Iterator[tuple[RecordedSession, TraceRecord | None, Step | None]]:
        """What was written since, _PIECE bytes at most: a new session as (session, None, None), then its lines with what each
        was and did. Nothing when nothing is new. BadRequest when the file cannot be read, or is no trace."""
        piece = self._more()  # which may begin anew
        self.behind = len(piece) == _PIECE
        self._half += piece
        if b"\n" not in piece:  # of a line of megabytes each piece is looked at once
            check_half(self._half, str(self.path), self._lines + 1, headed=not self._head)
            return
        *lines, half = bytes(self._half).split(b"\n")
        self._half = bytearray(half)
        start = self._lines + 1
        self._lines += len(lines)
        if not any(lines):
            return
        batch = [line + b"\n" for line in lines]
        goes_on = bool(self._head)
        if goes_on:
            start, batch = start - 1, [self._head, *batch]
        for header, rows in sessions(batch, str(self.path), broken="tell", start=start):
            if not goes_on:
                yield self._begin(header), None, None
            goes_on = False
            session = self.session
            assert session is not None
            for line in rows:
                if line.control == "cut":
                    session.cut_at = line.number
                else:
                    yield session, line, session.step(line)

    def _begin(self, header: dict[str, Any]) -> RecordedSession:
        self._number += 1
        self._head = orjson.dumps(header) + b"\n"
        self.session = RecordedSession(header, iter(()), self._number, str(self.path), True)
        return self.session

    def _more(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                about = os.fstat(file.fileno())
                if self._file != (about.st_dev, about.st_ino) or about.st_size < self._at:
                    self._file, self._at, self._half, self._head = (about.st_dev, about.st_ino), 0, bytearray(), b""
                    self._lines = 0
                file.seek(self._at)
                piece = file.read(_PIECE)
        except FileNotFoundError:
            return b""
        except OSError as problem:
            raise unreadable(str(self.path), problem) from None
        self._at += len(piece)
        return piece
