"""Watch livews's own session: why nothing happens in it, and how its turns ended. A `Recorder`."""

import time

from livews.conversation import Conversation
from livews.core.conversation import Step
from livews.core.rules import Finding
from livews.recorder import Direction, Opcode, Recorder
from livews.trace.outcome import TurnOutcomes
from livews.trace.waiting import Waiting

_OWN = ("TOOL-3", "TOOL-5", "TURN-8", "TURN-9")
"""What livews itself takes care of, or the user of a prompt does on purpose."""


class SessionWatch(Recorder):
    """Sees nothing before `begin`."""

    def __init__(self) -> None:
        self._waiting: Waiting | None = None
        self._outcomes: TurnOutcomes | None = None
        self._endings: list[Finding] = []
        self._frame = 0.0, 0.0
        """When the last frame came, on the clock of the session and on the monotonic one."""

    def begin(self, conversation: Conversation) -> None:
        """Watch from now on; `conversation` is the one of the session."""
        self._waiting, self._outcomes = Waiting(conversation), TurnOutcomes(conversation)

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        if self._waiting is not None and self._outcomes is not None:
            self._frame = t, time.monotonic()
            self._waiting.take(t, step)
            found = self._outcomes.take(step)
            self._endings += found if self._outcomes.last != "interrupted before any sound" else []

    def stall(self) -> Finding | None:
        """Why nothing happens, once."""
        t, at = self._frame
        stall = self._waiting.stall(t + time.monotonic() - at) if self._waiting is not None else None
        return stall.finding if stall is not None and stall.finding.rule not in _OWN and not stall.is_known else None

    def take_endings(self) -> list[Finding]:
        """How the turns ended since the last call, as far as they ended badly."""
        endings, self._endings = self._endings, []
        return endings
