"""The interface of recorders, which receive every frame of a connection, and the clock of their times.

- A recorder is called in wire order, once per frame or control, and must not block.
- Times are seconds since the start of the session on a monotonic clock.
"""

import time
from typing import Any, Literal, Protocol

from livews.core.conversation import Step

Direction = Literal["send", "recv"]
"""As the client sees it."""
Opcode = Literal["text", "binary"]


class Recorder(Protocol):
    """Receives every frame of a connection: a trace file, a view on a terminal."""

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        """A message.

        Args:
            t: seconds since the start of the session.
            direction: who sent it.
            opcode: of its frame.
            step: what it is, and what it did to the conversation; `step.raw` is its payload.
        """

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        """A control frame ("ping", "pong", "close"), or a line of the caller's own.

        Args:
            t: seconds since the start of the session.
            direction: who sent it.
            kind: its name.
            about: its members in the trace.
        """
        return  # a recorder of messages only inherits this

    def continued(self, t: float, connections: int) -> None:
        """What follows is of another connection of the session.

        Args:
            t: seconds since the start of the session.
            connections: how many there were before.
        """
        return

    def close(self) -> None:
        """The session is over."""
        return


class Clock:
    """Seconds since the start of a session, on the monotonic clock."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._start
