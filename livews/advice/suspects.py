"""What may have caused a close of the service: the findings about the client's messages before it, ranked.

- Certain: the finding says with which close the service answers, and that close came.
- Likely: the row of the close names the finding's rule (`causedBy`), the finding's close is the same row in other words, or
  the reason says nothing and the message was one that the service does not accept.
- Of equal findings the newest. Where none fits, none is blamed: a close may have no cause that was sent.
- Bounded: of a session the newest findings are kept, each with how often it came.
"""

from dataclasses import dataclass, replace
from typing import Any

from livews.advice import closes
from livews.advice.closes import Advice
from livews.core import protocol
from livews.core.conversation import Step
from livews.core.rules import Finding, plain_path

_MOST = 100
"""Different findings that are kept of a session."""
_UNEXPLAINED_KINDS = ("arguments", "model", "server")
"""Kinds of closes for which it is said that nothing explains them."""
NOTHING = "nothing that was sent before explains it"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A finding about one message or several, which may be the cause of a close."""

    finding: Finding
    kind: str
    """Of the message, as `Step.kind`."""
    first: int
    """The number of the first such message in the session, of both sides, from 1."""
    last: int
    count: int
    t: float
    """Seconds from the start of the session to the last one."""
    line: int
    """Of the last one in the file of a trace; 0 without a file."""
    is_certain: bool = False

    @property
    def label(self) -> str:
        """ "cause" or "likely"."""
        return "cause" if self.is_certain else "likely"

    @property
    def words(self) -> str:
        """What was sent, and which message it was."""
        complaint = self.finding.complaint.removesuffix(f" at {self.finding.path}")
        subject = plain_path(self.finding.path) or self.kind
        missing, _, hint = complaint.partition("; ")
        is_misspelt = missing.startswith("no member ") and hint.startswith("did you mean ")
        what = f"you sent {subject}; {hint}" if is_misspelt else f"{subject}: {complaint}"
        return f"{what} ({self.place}, {self.finding.rule})"

    @property
    def place(self) -> str:
        """Which messages, and when the last one came."""
        place = (
            f"message {self.last}" if self.count == 1 else f"messages {self.first} to {self.last}, {self.count} times"
        )
        return f"{place}{(self.line and f', line {self.line}') or ''}, {self.t:.2f} s"

    def __str__(self) -> str:
        return f"the cause: {self.words}" if self.is_certain else f"this is the likely cause: {self.words}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        f = self.finding
        row: dict[str, Any] = {"message": self.last, "first": self.first, "count": self.count, "t": round(self.t, 3)}
        row |= {"line": self.line} if self.line else {}
        row |= {"path": f.path, "rule": f.rule, "level": f.level, "complaint": f.complaint, "do": f.fix}
        return {**row, "certain": self.is_certain}


class Suspects:
    """The findings about the client's messages of one session."""

    def __init__(self) -> None:
        self.messages = 0
        """How many came, of both sides."""
        self._has_sent = False
        self._found: dict[tuple[str, str, Any], Suspect] = {}
        """By rule, path and close, the newest last."""

    def take(self, step: Step, t: float = 0.0, line: int = 0) -> None:
        """Take the next message of either side, which came `t` seconds after the start."""
        self.messages += 1
        if step.sender == "server":
            return
        self._has_sent = True
        for finding in step.findings if step.judgement else ():
            key = finding.rule, finding.path, finding.close
            before = self._found.pop(key, None)
            first, count = (before.first, before.count) if before else (self.messages, 0)
            self._found[key] = Suspect(finding, step.kind, first, self.messages, count + 1, t, line)
            if len(self._found) > _MOST:
                del self._found[next(iter(self._found))]

    def cause_of(self, advice: Advice) -> Suspect | None:
        """The likeliest cause of a close of the service; None if it was announced, so that nothing sent is to blame."""
        if _is_announced(advice):
            return None
        ranked = ((_rank(suspect.finding, advice), suspect.last, suspect) for suspect in self._found.values())
        rank, _, suspect = max(ranked, key=lambda row: row[:2], default=(0, 0, None))
        return replace(suspect, is_certain=rank == _CERTAIN) if suspect and rank else None

    def explains_nothing(self, advice: Advice) -> bool:
        """Whether to say that nothing explains a close for which there is no cause."""
        return (
            self._has_sent
            and not _is_announced(advice)
            and advice.kind in _UNEXPLAINED_KINDS
            and advice.code not in (1000, 1006)
        )


_CERTAIN = 4


def _is_announced(advice: Advice) -> bool:
    return bool(advice.meaning == protocol.load("closes.json")["announced"]["meaning"])


def _rank(finding: Finding, advice: Advice) -> int:
    """How likely a finding is the cause of a close; 0 is no."""
    row = protocol.close_row(advice.id) if advice.known else {}
    is_vague = bool(advice.also) or advice.kind == "server"
    if finding.close and _is_same(finding.close, advice):
        return _CERTAIN if finding.level == "error" or not is_vague else _CERTAIN - 1
    if finding.rule in row.get("causedBy", ()):
        return _CERTAIN - 1
    if finding.close and advice.known and not is_vague and _fits(closes.explain(*finding.close), advice):
        return _CERTAIN - 2
    is_unsaid = bool(advice.also) if advice.known else advice.kind == "arguments" or advice.code == 1008
    return int(is_unsaid and finding.level != "note" and (not finding.close or finding.close[0] == advice.code))


def _is_same(close: tuple[int, str], advice: Advice) -> bool:
    """Whether a close came as it was foretold; either may be cut, or end without its full stop."""
    mine, other = close[1].rstrip("."), advice.reason.strip().rstrip(".")
    is_start = bool(mine and other) and (mine.startswith(other) or other.startswith(mine))
    return close[0] == advice.code and is_start and min(len(mine), len(other)) > 12


def _fits(mine: Advice, other: Advice) -> bool:
    """Whether two closes are the same row, and of the same thing."""
    return mine.id == other.id and all(
        value.startswith(theirs) or theirs.startswith(value)
        for name, value in mine.values.items()
        if (theirs := other.values.get(name, value))
    )
