"""Follow a trace while it is being written, as `tail -F` does.

- It is polled and never waits. A file that does not exist yet has no lines yet.
- Only complete lines count: the end of the file may be half a line that is being written.
- A file that was begun anew (shorter than before, or another file of that name) is read from its start.
- A line that cannot be read is reported in its place (control "broken"); a file that is not a trace, and a line without
  end, is a BadRequest.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from livews.core.conversation import Step
from livews.trace.reader import TraceParser, TraceRecord, check_partial_line
from livews.trace.session import RecordedSession, unreadable

_PIECE = 256 * 1024
"""Bytes read in one call."""


class Tail:
    """The sessions of the trace at `path`, as they are written.

    Attributes:
        session: the one that is being written.
        behind: there is more to read at once.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.session: RecordedSession | None = None
        self.behind = False
        self._offset = 0
        self._file_id: tuple[int, int] | None = None
        self._partial = bytearray()
        self._parser = TraceParser(str(path), lenient=True)
        self._session_count = 0

    def take(self) -> Iterator[tuple[RecordedSession, TraceRecord | None, Step | None]]:
        """What was written since the last call, up to a limit.

        A new session comes as (session, None, None), then its records with what each was and did.

        Raises:
            BadRequest: the file cannot be read, or is not a trace.
        """
        piece = self._read()  # which may begin anew
        self.behind = len(piece) == _PIECE
        self._partial += piece
        if b"\n" not in piece:  # each piece of a line of megabytes is looked at once
            check_partial_line(
                self._partial, str(self.path), self._parser.number + 1, headed=not self._parser.in_session
            )
            return
        *lines, partial = bytes(self._partial).split(b"\n")
        self._partial = bytearray(partial)
        for item in self._parser.take_all(line + b"\n" for line in lines):
            if isinstance(item, dict):
                self._session_count += 1
                self.session = RecordedSession(item, iter(()), self._session_count, str(self.path))
                yield self.session, None, None
                continue
            session = self.session
            assert session is not None
            if item.control == "cut":
                session.cut_at = item.number
            else:
                yield session, item, session.step(item)

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                file_id = stat.st_dev, stat.st_ino
                if self._file_id != file_id or stat.st_size < self._offset:
                    self._file_id, self._offset, self._partial = file_id, 0, bytearray()
                    self._parser = TraceParser(str(self.path), lenient=True)
                file.seek(self._offset)
                piece = file.read(_PIECE)
        except FileNotFoundError:
            return b""
        except OSError as problem:
            raise unreadable(str(self.path), problem) from None
        self._offset += len(piece)
        return piece
