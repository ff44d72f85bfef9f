"""Lines of stdin as they are typed, read by threads so that the session goes on meanwhile."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import TextIO

from livews import process
from livews.errors import BadRequest

MAX_LINE = 4 << 20
"""Bytes of a line, far more than a turn may have."""


async def typed_lines(stdin: TextIO, prompt: Callable[[], None] = lambda: None) -> AsyncIterator[str]:
    """Each line without its line break; `prompt` is called before each is read.

    BadRequest when a line is longer than `MAX_LINE`.
    """

    def read() -> bytes:
        # os.read and not the stream: a thread inside the stream keeps the interpreter from ending
        try:
            return os.read(stdin.fileno(), 65536)
        except OSError:
            return b""

    buffer, at_end = b"", False
    while True:
        prompt()
        while b"\n" not in buffer and not at_end:
            if len(buffer) > MAX_LINE:
                why, fix = f"it has no end within {MAX_LINE >> 20} MiB", "send lines of text: each is a turn"
                raise BadRequest("a line of stdin is too long", where="stdin", why=why, fix=fix)
            piece = await asyncio.wrap_future(process.in_thread(read, "livews-stdin"))
            at_end = not piece
            buffer += piece
        if not buffer:
            return
        line, _, buffer = buffer.partition(b"\n")
        yield line.decode(errors="replace").rstrip("\r")
