"""What there is to say about a recorded session, and how it ended: its closes, and a setup that nobody answered.

- The first close ends it. What the other side sends behind it is the answer, and told only when it says something else.
- A close is the doing of whoever sent it: that of a client says nothing of the service.
- A setup without an answer is told, but where the service closed with an error: then it has said why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from livews.core import closes
from livews.core.closes import Advice
from livews.core.conversation import Step
from livews.core.rules import Finding, finding, unanswered_setup
from livews.core.schema import Sender, short
from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession

_NOBODY = 1006
"""A close that nobody sent, and the code of one whose frame has none that can be read."""


@dataclass(frozen=True, slots=True)
class SessionClose:
    """A close that is told. `is_fine` wants no explanation."""

    by: Sender
    code: int
    reason: str
    advice: Advice

    @property
    def is_fine(self) -> bool:
        return closes.is_fine(self.code, self.by)


class SessionEnding:
    """Takes the lines of one session, one by one."""

    def __init__(self) -> None:
        self.unanswered: TraceRecord | None = None
        """The setup that nobody has answered so far."""
        self._first: SessionClose | None = None
        self._model = ""

    def take(self, line: TraceRecord, step: Step | None) -> SessionClose | None:
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

    def _close(self, line: TraceRecord) -> SessionClose | None:
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
        close = SessionClose(
            line.sender, code, reason, closes.explain(code, reason, model=self._model, by=line.sender)
        )
        self._first = first or close
        if line.sender == "server" and not close.is_fine and code != _NOBODY:
            self.unanswered = None
        return close


Judged = tuple[int, list[Finding], bool]
"""A line's number, what there is to say about it, and whether it is a message: closes and broken lines are none."""


def read_to_end(
    session: RecordedSession, see: Callable[[TraceRecord, Step | None], None] = lambda line, step: None
) -> Iterator[Judged]:
    """All there is to say about a session, which is read to its end; `see` is given each line before."""
    ending = SessionEnding()
    for line, step in session:
        see(line, step)
        close = ending.take(line, step)
        if close is not None and not close.is_fine:
            yield line.number, [_closed(close)], False
        elif step is not None and line.control != "close":
            yield line.number, step.findings, True
        elif line.control == "broken":
            words = f"this line of the file is damaged: {line.about['why']}"
            fix = "Restore the line or take it out; what follows is judged without what it held."
            yield line.number, [finding("WIRE-2", "", words, fix=fix)], False
    if ending.unanswered is not None:
        yield ending.unanswered.number, [unanswered_setup()], False
    if session.cut_at is not None:
        words = "the trace ends in mid-line: it was cut off here"
        cut = finding("WIRE-2", "", words, level="note", fix="nothing behind it was recorded")
        yield session.cut_at, [cut], False


def _closed(close: SessionClose) -> Finding:
    advice = close.advice
    who = f" by the {close.by}" if close.code != _NOBODY else ""
    words = f"closed {close.code} {short(close.reason, 130)}{who}: {advice.meaning}"
    if advice.known or close.by == "server":
        words += " `livews explain` tells more"
    return finding("CLOSE-3", "", words, close.by, level="note", fix=advice.do)
