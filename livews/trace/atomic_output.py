"""Where a trace tool writes: the whole file or none.

- Never over its input, also by another name of it.
- Under a temporary name beside its place, and renamed when it is whole: what is there under the real name is never half.
- Readable for its owner alone, as traces are.
- A pipe or a device takes what is written as it comes.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from livews.errors import BadRequest


@contextmanager
def atomic_output(path: str, *, source: str = "") -> Iterator[BinaryIO]:
    """A file to write to, which stands at `path` once the block is done; "-" is stdout. `source` is what is read."""
    if path == "-":
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        return
    place = Path(path)
    if source not in ("", "-") and _same(place, Path(source)):
        raise BadRequest(
            "the output is the input",
            where=path,
            why="a trace is never written over",
            fix="name another file after -o",
        )
    if place.is_dir():
        raise BadRequest("the output is a folder", where=path, fix="name a file after -o")
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(place.stat().st_mode):
                with place.open("wb") as device:
                    yield device
                return
        # beside it, so that the rename is one; O_EXCL, so that no link of somebody else is followed
        beside = place.with_name(f".{place.name}.{os.getpid()}.part")
        number = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(number, "w+b") as file:
                yield file
            os.replace(beside, place)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise BadRequest(
            f"cannot write {path}: {problem.strerror or problem}", where=path, fix="name another file after -o"
        ) from None


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
