"""How a recorded session ended: its closes, and a setup that nobody answered.

- The first close ends it. What the other side sends behind it is the answer, and told only when it says something else.
- A close is the doing of whoever sent it: that of a client says nothing of the service.
- A setup without an answer is told, but where the service closed with an error: then it has said why.
"""

from __future__ import annotations

from dataclasses import dataclass

from livews.core import closes
from livews.core.closes import Advice
from livews.core.conversation import Step
from livews.core.schema import Sender
from livews.trace.read import Line

_NOBODY = 1006
"""A close that nobody sent, and the code of one whose frame has none that can be read."""


@dataclass(frozen=True, slots=True)
class Close:
    """A close that is told. `is_fine` wants no explanation."""

    by: Sender
    code: int
    reason: str
    advice: Advice

    @property
    def is_fine(self) -> bool:
        return closes.is_fine(self.code, self.by)


class Ending:
    """Takes the lines of one session, one by one."""

    def __init__(self) -> None:
        self.unanswered: Line | None = None
        """The setup that nobody has answered so far."""
        self._first: Close | None = None
        self._model = ""

    def take(self, line: Line, step: Step | None) -> Close | None:
        """The close in this line; None for any other, and for the answer to a close."""
        if step is None:
            return None
        if line.control == "close":
            return self._close(line)
        if "setup" in step.signals and self.unanswered is None:
            self.unanswered = line
            setup = step.body.get("setup")
            self._model = self._model or str(setup.get("model", "") if isinstance(setup, dict) else "")
        if "setupComplete" in step.signals:
            self.unanswered = None
        return None

    def _close(self, line: Line) -> Close | None:
        code, reason = line.about.get("code"), str(line.about.get("reason", ""))
        code = code if type(code) is int else _NOBODY
        first = self._first
        if first is not None and (
            line.sender == first.by
            or code == _NOBODY
            or closes.is_fine(code, line.sender)
            or (code == first.code and reason in ("", first.reason))
        ):
            return None
        close = Close(line.sender, code, reason, closes.explain(code, reason, model=self._model, by=line.sender))
        self._first = first or close
        if line.sender == "server" and not close.is_fine and code != _NOBODY:
            self.unanswered = None
        return close
