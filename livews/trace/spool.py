"""A temporary file that only grows: what is too long for memory waits in it.

- Made when the first byte is put in, readable for its owner alone, gone when it is closed.
- Reading anywhere does not disturb what is put behind it.
"""

from __future__ import annotations

import tempfile
from typing import IO


class Spool:
    """Bytes put away one behind the other. `size` is how many there are."""

    def __init__(self) -> None:
        self.size = 0
        self._file: IO[bytes] | None = None

    def add(self, data: bytes) -> int:
        """Put `data` behind all else; the offset of its first byte."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        at = self.size
        self._file.seek(at)
        self._file.write(data)
        self.size += len(data)
        return at

    def read(self, at: int, size: int) -> bytes:
        """`size` bytes from the offset `at` on, fewer at the end."""
        if self._file is None:
            return b""
        self._file.seek(at)
        return self._file.read(size)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
