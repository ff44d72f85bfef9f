"""Names of the trace files of a command that serves several sessions.

- In a folder each session has a file of its own, numbered after those that are there already.
- One file holds sessions one after the other; a session that runs at the same time gets a file beside it.
"""

import os
import re
from pathlib import Path


class SessionFiles:
    """The files of --trace. A path that is a folder, or ends in a slash, is a folder."""

    def __init__(self, path: str, *, folder: bool = False) -> None:
        self._path = Path(path)
        self._is_folder = folder or self._path.is_dir() or path.endswith(("/", os.sep))
        self._open: set[Path] = set()
        matches = [re.fullmatch(r"session-(\d+)\.jsonl", file.name) for file in self._path.glob("session-*.jsonl")]
        self._before = max((int(match[1]) for match in matches if match), default=0)

    @property
    def first(self) -> Path:
        """The file of the first session."""
        return self._in_folder(1) if self._is_folder else self._path

    def take(self, number: int) -> Path:
        """The file of session `number`, which is in use until `free`."""
        if self._is_folder:
            return self._in_folder(number)
        path, n = self._path, 1
        while path in self._open:
            n += 1
            path = self._path.with_name(f"{self._path.stem}-{n}{self._path.suffix}")
        self._open.add(path)
        return path

    def free(self, path: Path) -> None:
        self._open.discard(path)

    def is_beside(self, path: Path) -> bool:
        """Whether `path` is another file than the one that was named."""
        return not self._is_folder and path != self._path

    def _in_folder(self, number: int) -> Path:
        return self._path / f"session-{self._before + number}.jsonl"
