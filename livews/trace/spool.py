"""An append-only temporary file, for data too long for memory.

- It is created with the first byte, readable only by its owner, and removed when it is closed.
- Reading does not disturb appending.
- A disk without space is reported as that of the temporary files, whatever else is written at the time.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from livews.errors import BadRequest


@contextmanager
def temporary_errors() -> Iterator[None]:
    """Raise an OSError of a temporary file as BadRequest."""
    try:
        yield
    except OSError as problem:
        folder = tempfile.gettempdir()
        fix = "free disk space there, or set TMPDIR to another folder"
        why = problem.strerror or str(problem)
        raise BadRequest("a temporary file cannot be written", where=folder, why=why, fix=fix) from None


class Spool:
    """Bytes that are appended, and read at any offset. `size`: how many there are."""

    def __init__(self) -> None:
        self.size = 0
        self._file: IO[bytes] | None = None

    def add(self, data: bytes) -> int:
        """Append `data`; the offset of its first byte."""
        offset = self.size
        with temporary_errors():
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
            self._file.seek(offset)
            self._file.write(data)
        self.size += len(data)
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, fewer at the end."""
        if self._file is None:
            return b""
        self._file.seek(offset)
        return self._file.read(size)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
