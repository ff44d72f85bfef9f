"""Lines of stdin as they are typed, read by threads so that the session goes on meanwhile."""

import asyncio
import contextlib
import os
import select
from collections.abc import AsyncIterator, Callable
from typing import TextIO

from livews import process
from livews.errors import BadRequest

MAX_LINE = 4 << 20
"""Bytes of a line, far more than a turn may have."""


class TypedLines:
    """Each line without its line break; `prompt` is called before each is read.

    Iterating raises BadRequest when a line is longer than `MAX_LINE`.
    """

    def __init__(self, stdin: TextIO, prompt: Callable[[], None] = lambda: None) -> None:
        self._stdin = stdin
        self._prompt = prompt
        self._buffer = b""
        self._at_end = False

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            self._prompt()
            while b"\n" not in self._buffer and not self._at_end:
                if len(self._buffer) > MAX_LINE:
                    why, fix = f"it has no end within {MAX_LINE >> 20} MiB", "send lines of text: each is a turn"
                    raise BadRequest("a line of stdin is too long", where="stdin", why=why, fix=fix)
                self._take(await asyncio.wrap_future(process.in_thread(self._read, "livews-stdin")))
            if not self._buffer:
                return
            line, _, self._buffer = self._buffer.partition(b"\n")
            yield _text(line)

    def rest(self) -> list[str]:
        """The lines that are there and were not read yet, without waiting for more: those that are not blank."""
        with contextlib.suppress(OSError, ValueError):  # Windows has no select for it
            while not self._at_end and len(self._buffer) < MAX_LINE and select.select([self._stdin], [], [], 0)[0]:
                self._take(self._read())
        return [_text(line) for line in self._buffer.split(b"\n") if line.strip()]

    def _read(self) -> bytes:
        # os.read and not the stream: a thread inside the stream keeps the interpreter from ending
        try:
            return os.read(self._stdin.fileno(), 65536)
        except OSError:
            return b""

    def _take(self, piece: bytes) -> None:
        self._at_end = not piece
        self._buffer += piece


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
