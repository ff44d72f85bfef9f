"""Write an output file atomically: the whole file or none.

- Never over the input, also under another name of it.
- Under a temporary name in the same folder, and renamed when it is complete: the real name never holds half a file.
- A new file can be read by its owner only; one that exists keeps its mode.
- A pipe or a device receives the output as it is written.
"""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from livews.errors import BadRequest
from livews.output_file import is_stream, open_output


@contextmanager
def atomic_output(path: str, *, source: str = "") -> Iterator[BinaryIO]:
    """A file to write to, which appears at `path` at the end of the block; "-" is stdout.

    `source` is the path of the input. Raises BadRequest if the file cannot be written.
    """
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    fix = "name another file after -o"
    with suppress(OSError):
        if source not in ("", "-") and target.samefile(source):
            why = "the output is written while the input is read"
            raise BadRequest("the output is the input", where=path, why=why, fix=fix)
    if target.is_dir():
        raise BadRequest("the output is a folder", where=path, fix="name a file after -o")
    try:
        if is_stream(target):
            with os.fdopen(open_output(target, os.O_WRONLY), "wb") as device:
                yield device
            return
        # in the same folder, so that the rename is atomic; O_EXCL, so that no link of somebody else is followed
        temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
        number = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with suppress(FileNotFoundError):
                before = target.lstat().st_mode
                os.chmod(temporary, stat.S_IMODE(before) if stat.S_ISREG(before) else 0o600)
            with os.fdopen(number, "w+b") as file:
                yield file
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise BadRequest(f"cannot write {path}: {problem.strerror or problem}", where=path, fix=fix) from None
