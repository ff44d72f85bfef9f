"""An append-only temporary file, for data too long for memory.

- It is created with the first byte, readable only by its owner, and removed when it is closed.
- Reading does not disturb appending.
"""

import tempfile
from typing import IO


class Spool:
    """Bytes that are appended, and read at any offset. `size`: how many there are."""

    def __init__(self) -> None:
        self.size = 0
        self._file: IO[bytes] | None = None

    def add(self, data: bytes) -> int:
        """Append `data`; the offset of its first byte."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        offset = self.size
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
