"""Lines of stdin as they are typed, read by threads so that the session goes on meanwhile."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import TextIO

from livews import process


async def typed_lines(stdin: TextIO, prompt: Callable[[], None] = lambda: None) -> AsyncIterator[str]:
    """Each line without its line break; `prompt` is called before each is read."""

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
            piece = await asyncio.wrap_future(process.in_thread(read, "livews-stdin"))
            at_end = not piece
            buffer += piece
        if not buffer:
            return
        line, _, buffer = buffer.partition(b"\n")
        yield line.decode(errors="replace").rstrip("\r")
