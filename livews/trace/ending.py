"""Summarise how a recorded session ended: its closes, and a setup without an answer. All findings about a session.

- The first close ends the session. What the other side sends after it is the answer, and reported only if it says
  something else.
- A close is attributed to the side that sent it: that of a client says nothing about the service.
- A close of the service after goAway was announced, and is explained as such.
- A close of the service is brought together with the finding that is its cause (`livews.advice.suspects`).
- A setup without an answer is reported, unless the service closed with an error and so said why.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from livews.advice import closes
from livews.advice.closes import Advice
from livews.advice.judge import unanswered_setup
from livews.advice.suspects import NOTHING, Suspect, Suspects
from livews.core import protocol
from livews.core.conversation import Step
from livews.core.rules import Finding, finding
from livews.core.schema import Sender, short
from livews.trace.outcome import TurnOutcomes
from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession
from livews.trace.waiting import Waiting

_HELD = 5_000
"""Lines that are held back at most."""
_NO_FRAME = 1006
"""The code of an end without a close frame, or with one that cannot be read."""


@dataclass(frozen=True, slots=True)
class SessionClose:
    """A close to report.

    is_fine: it needs no explanation.
    cause: the finding about an earlier message that led to it.
    because: the cause in one sentence, or that there is none; "" where none is to be expected.
    """

    by: Sender
    code: int
    reason: str
    advice: Advice
    cause: Suspect | None = None
    because: str = ""

    @property
    def is_fine(self) -> bool:
        return closes.is_fine(self.code, self.by)

    @property
    def about(self) -> str:
        """Its meaning, after its cause, or before that nothing explains it."""
        if self.cause:
            return f"{self.because}. {self.advice.meaning}"
        return f"{self.advice.meaning} {self.because.capitalize()}." if self.because else self.advice.meaning

    @property
    def do(self) -> str:
        """What to do about the cause, or else about such a close."""
        return self.cause.finding.fix if self.cause else self.advice.do

    def texts(self, redact: Callable[[str], str] = str) -> dict[str, str]:
        """What there is to say of it by labels, the particular first. `redact` is for what the client sent."""
        advice = self.advice
        if self.cause is None:
            return {"what": advice.meaning, "why": advice.cause, "before": self.because, "do": advice.do}
        start = protocol.close_row(advice.id)["match"].partition("{")[0].rstrip(' "') if advice.known else ""
        more = f"livews explain {self.code}" + (f' "{start}"' if start else "")
        words = {self.cause.label: redact(self.cause.words), "do": redact(self.cause.finding.fix)}
        return {**words, "what": advice.meaning, "more": more if advice.known else ""}


class SessionEnding:
    """Follows one session, message by message. `unanswered`: the number of the setup that has no answer so far.

    `redact` takes the credentials of the session out of what a close is explained with.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self.unanswered: int | None = None
        self._redact = redact
        self._suspects = Suspects()
        self._first: SessionClose | None = None
        self._model = ""
        self._announced = False

    def take(self, record: TraceRecord, step: Step | None, number: int | None = None) -> SessionClose | None:
        """Take the next record, by a number or that of its line; its close, if it is one and not the answer to one."""
        if record.control == "close":
            return self.close(record.sender, *record.close)
        if step is not None:
            self.frame(step, record.number if number is None else number, t=record.t, line=record.number)
        return None

    def frame(self, step: Step, number: int = 0, *, t: float = 0.0, line: int = 0) -> None:
        """Take the next message, by its number; it came after `t` seconds, and is in this line of the trace."""
        self._suspects.take(step, t, line)
        if "setup" in step.signals and self.unanswered is None:
            self.unanswered = number
            setup = step.body.get("setup")
            self._model = self._model or str(setup.get("model", "") if isinstance(setup, dict) else "")
        if "setupComplete" in step.signals:
            self.unanswered = None
        self._announced = self._announced or "goAway" in step.signals

    def close(self, sender: Sender, code: int, reason: str) -> SessionClose | None:
        """Take a close; None for the answer to one."""
        first = self._first
        if first is not None and (
            sender == first.by
            or code == _NO_FRAME
            or closes.is_fine(code, sender)
            or (code == first.code and reason in ("", first.reason))
        ):
            return None
        texts = self._redact(reason), self._redact(self._model)
        advice = closes.explain(code, texts[0], model=texts[1], by=sender, announced=self._announced)
        cause, because = None, ""
        if sender == "server":
            cause = self._suspects.cause_of(advice)
            because = NOTHING if cause is None and self._suspects.explains_nothing(advice) else str(cause or "")
        close = SessionClose(sender, code, reason, advice, cause, self._redact(because))
        self._first = first or close
        if closes.says_why(code, sender):
            self.unanswered = None
        return close


Judged = tuple[int, list[Finding], bool]
"""A line's number, the findings about it, and whether it is a message: closes and broken lines are not."""


def read_to_end(
    session: RecordedSession, see: Callable[[TraceRecord, Step | None], None] = lambda record, step: None
) -> Iterator[Judged]:
    """All findings about a session, which is read to its end. `see` gets each record first."""
    ending, waiting = SessionEnding(), Waiting(session.conversation, is_timed=session.is_timed)
    outcomes = TurnOutcomes(session.conversation)
    for record, step in session:
        see(record, step)
        if (stall := waiting.follow(record, step)) and not stall.is_known:
            yield stall.number, [stall.finding], False
        close = ending.take(record, step)
        if close is not None and not close.is_fine:
            yield record.number, [_closed(close)], False
        elif step is not None and record.control != "close":
            yield record.number, [*step.findings, *outcomes.take(step, elided=record.elided)], True
        elif step is not None and step.findings:
            yield record.number, step.findings, False
        elif record.control == "broken":
            words = f"this line of the file is damaged: {record.about['why']}"
            fix = "Restore the line or remove it; what follows is judged without it."
            yield record.number, [finding("WIRE-2", "", words, fix=fix)], False
    if ending.unanswered is not None:
        yield ending.unanswered, [unanswered_setup()], False
    if (stall := waiting.at_end(one_sided=session.is_one_sided)) and not stall.is_known:
        yield stall.number, [stall.finding], False
    if session.cut_at is not None:
        words = "the trace is cut off in the middle of this line"
        yield session.cut_at, [finding("WIRE-2", "", words, level="note", fix="nothing after it was recorded")], False


def settled(judged: Iterator[Judged], session: RecordedSession) -> Iterator[Judged]:
    """The same, with a note where the session itself shows that the service took what it was seen to refuse.

    Such a line and those after it are held back until it shows: by the end of another turn, or by the end of a session
    that the service answered after it, and did not close with an error.
    """
    held: deque[Judged] = deque()
    turns = answers = 0
    for row in judged:
        is_refused = any(finding.level == "refused" for finding in row[1])
        if is_refused:
            turns, answers = session.conversation.turns, session.answers
        elif held and (session.conversation.turns > turns or len(held) > _HELD):
            yield from map(_taken, held)
            held.clear()
        if held or is_refused:
            held.append(row)
        else:
            yield row
    failed = any(one.rule == "CLOSE-3" and one.sender == "server" for _, found, _ in held for one in found)
    yield from map(_taken, held) if session.answers > answers and not failed else held


def _taken(judged: Judged) -> Judged:
    line, found, is_message = judged
    return line, [replace(one, level="note") if one.level == "refused" else one for one in found], is_message


def _closed(close: SessionClose) -> Finding:
    advice = close.advice
    by = f" by the {close.by}" if close.code != _NO_FRAME else ""
    words = f"closed {close.code} {short(close.reason, 130)}{by}: {close.about}"
    if advice.known or close.by == "server":
        words += " See `livews explain`"
    return finding("CLOSE-3", "", words, close.by, level="note", fix=close.do)
