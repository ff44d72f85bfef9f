"""Read a file whole, up to a limit: setups, schemas, scripts, pictures and HARs.

- It is read in pieces, so that a device or a pipe without end takes bounded memory, and Ctrl-C works.
- A file that cannot be read, or is too large, is a BadRequest with its name.
"""

import os
from contextlib import nullcontext
from typing import BinaryIO

from livews.document import BEGIN, other_format
from livews.errors import BadRequest

MOST_JSON = 16 << 20
"""Bytes of a file whose content goes into one message: no server takes a larger one."""
_PIECE = 1 << 20
_BOM = b"\xef\xbb\xbf"


def read_whole(
    name: str | os.PathLike[str], what: str, *, fix: str, stdin: BinaryIO | None = None, most: int = MOST_JSON,
    json_object: bool = False,
) -> bytes:  # fmt: skip
    """The bytes of a file.

    Args:
        name: its path, or how to call stdin.
        what: what it is, in errors, as in "the setup".
        fix: what to do where it cannot be read.
        stdin: read this instead.
        most: how many bytes it may have.
        json_object: what does not begin as a JSON object is refused before all of it is read.

    Raises:
        BadRequest: it cannot be read, is too large, or is no JSON object.
    """
    whole = bytearray()
    try:
        with nullcontext(stdin) if stdin is not None else open(name, "rb") as file:
            read = getattr(file, "read1", file.read)  # read would wait for the whole piece
            while piece := read(_PIECE):
                whole += piece
                start = bytes(whole[:64]).removeprefix(_BOM).lstrip()
                if json_object and len(whole) > 3 and (other := other_format(bytes(whole[:BEGIN]))):
                    raise BadRequest(
                        f"cannot read {what}",
                        where=str(name),
                        why=f"it is {other.name}, not a JSON object in UTF-8",
                        fix=other.fix,
                    )
                if json_object and start[:1] not in (b"", b"{"):
                    why = "it is not a JSON object"
                elif len(whole) > most:
                    why = f"it has more than {most:,} bytes"
                else:
                    continue
                raise BadRequest(f"cannot read {what}", where=str(name), why=why, fix=fix)
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        why = getattr(problem, "strerror", None) or str(problem)
        raise BadRequest(f"cannot read {what}", where=str(name), why=why, fix=fix) from None
    return bytes(whole)
