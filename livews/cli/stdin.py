"""Lines of stdin as they are typed.

- A thread reads them, so the session goes on meanwhile; it is a daemon, since a read cannot be ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable


async def typed_lines(prompt: Callable[[], None] | None) -> AsyncIterator[str]:
    """Each line, without its line break; `prompt` is called before each is read."""
    import threading

    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    wanted = threading.Semaphore(0)

    def put(line: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody listens any more
            loop.call_soon_threadsafe(queue.put_nowait, line)

    def read() -> None:
        # os.read and not sys.stdin: a thread inside sys.stdin keeps the interpreter from ending
        held = b""
        while True:
            wanted.acquire()
            while b"\n" not in held:
                try:
                    piece = os.read(sys.stdin.fileno(), 65536)
                except OSError:
                    piece = b""
                if not piece:
                    if held:
                        put(held.decode(errors="replace"))
                        held = b""
                        wanted.acquire()
                    put(None)
                    return
                held += piece
            raw, held = held.split(b"\n", 1)
            put(raw.decode(errors="replace").rstrip("\r"))

    threading.Thread(target=read, name="livews-stdin", daemon=True).start()
    while True:
        if prompt is not None:
            prompt()
        wanted.release()
        line = await queue.get()
        if line is None:
            return
        yield line
