"""What receives every frame of a connection (a trace file, a terminal view), and the clock their times are on.

- A recorder is called in wire order, once per frame or control, and must not block.
- Times are seconds since the start of the session on a monotonic clock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from livews.core.conversation import Step

Direction = Literal["send", "recv"]


Opcode = Literal["text", "binary"]


class Recorder(Protocol):
    """Whoever is told of every frame: the trace file, the view on a terminal.

    `t` is seconds since the session's start on a monotonic clock, `direction` as the client sees it.
    """

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None: ...

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class Clock:
    """Seconds since the start of a session, on the monotonic clock."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._start
