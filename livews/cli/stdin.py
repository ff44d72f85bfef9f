"""Lines of stdin as they are typed, read by a thread so that the session goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from typing import TextIO


async def typed_lines(stdin: TextIO, prompt: Callable[[], None] | None = None) -> AsyncIterator[str]:
    """Each line without its line break; `prompt` is called before each is read."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    wanted = threading.Semaphore(0)

    def put(line: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(queue.put_nowait, line)

    def read() -> None:
        # os.read and not the stream: a thread inside the stream keeps the interpreter from ending
        buffer = b""
        while True:
            wanted.acquire()
            while b"\n" not in buffer:
                try:
                    piece = os.read(stdin.fileno(), 65536)
                except OSError:
                    piece = b""
                if not piece:
                    if buffer:
                        put(buffer.decode(errors="replace"))
                        wanted.acquire()
                    put(None)
                    return
                buffer += piece
            line, buffer = buffer.split(b"\n", 1)
            put(line.decode(errors="replace").rstrip("\r"))

    # a daemon, since a read cannot be cancelled
    threading.Thread(target=read, name="livews-stdin", daemon=True).start()
    while True:
        if prompt is not None:
            prompt()
        wanted.release()
        line = await queue.get()
        if line is None:
            return
        yield line
