"""google-genai, the peer: whether it is there, and its own session beside a socket that is none.

- Its code is called, never copied: `_receive` and `send_realtime_input` of a real AsyncSession.
- Nothing of it is imported before `session()` is called.
"""

from __future__ import annotations

import itertools
from collections.abc import Coroutine, Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from websockets.protocol import State

NAME = "google-genai"
INSTALL = "pip install google-genai==3.6.1"


def installed() -> str:
    """Its version, "" when it is not installed."""
    try:
        return version(NAME) if find_spec("google.genai") else ""
    except (PackageNotFoundError, ModuleNotFoundError):
        return ""


class Socket:
    """Gives the same frames over and over, and keeps the last one sent."""

    def __init__(self, frames: list[bytes]) -> None:
        self._frames: Iterator[bytes] = itertools.cycle(frames)
        self.sent: str | bytes = b""
        self.state = State.OPEN

    async def recv(self, decode: bool = True) -> bytes:
        return next(self._frames)

    async def send(self, frame: str | bytes, text: bool | None = None) -> None:
        self.sent = frame


def session(socket: Socket) -> Any:
    """An AsyncSession of google-genai with this socket."""
    from google import genai
    from google.genai.live import AsyncSession

    return AsyncSession(genai.Client(api_key="no-key", vertexai=False)._api_client, socket)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits, without an event loop around it."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise RuntimeError("the work waited for something")
