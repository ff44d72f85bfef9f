"""Fold findings: one that was made already is counted, and one that another explains is counted with that one.

- Which rule explains which other is in `consequences` of protocol/rules.json.
- A finding is not folded into one of a lower level, so that the levels of what is left decide what all decided.
- Bounded: of many different findings the oldest are given up, and what follows them is reported again.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from livews.core import protocol
from livews.core.findings import Finding

_MOST = 1_000
"""Different findings that are kept."""
_LEVELS = ("note", "refused", "error")
_ANY = "error"
"""In `of`: any finding of this level."""


@dataclass(eq=False, slots=True)
class FoldedFinding:
    """A finding with what was folded into it."""

    finding: Finding
    first: int
    """The number of the message or line where it was first made."""
    last: int
    count: int = 1
    consequences: Counter[str] = field(default_factory=Counter)
    """Rules of the findings that it explains, each with how many there are."""
    messages: int = 0
    """Other messages that have such findings."""
    last_consequence: int = 0
    """The number of the last of them."""

    def explain(self, finding: Finding, number: int) -> None:
        """Count a finding with it, about this message: as the same again if the rule is the same."""
        if finding.rule == self.finding.rule:
            self.count += number != self.last
            self.last = number
            return
        self.messages += number not in (self.first, self.last, self.last_consequence)
        self.consequences[finding.rule] += 1
        self.last_consequence = number

    @property
    def more(self) -> int:
        """How many findings were folded into it."""
        return self.count - 1 + self.consequences.total()

    def words(self, what: str = "message") -> str:
        """What was folded into it, such as ", 12 times, the last in message 40, and 3 more messages because of it".

        Args:
            what: what is counted by its numbers, "message" or "line"; "" for nothing.
        """
        words = ""
        if self.count > 1:
            words += f", {self.count:,} times" + (
                f", the last in {what} {self.last}" if what and self.last != self.first else ""
            )
        if self.consequences:
            rules = ", ".join(self.consequences)
            more = (
                f"{self.messages:,} more message{'s' if self.messages > 1 else ''} because of it"
                if self.messages
                else "more because of it"
            )
            words += f", and {more} ({rules})"
        return words

    def to_dict(self, last: str) -> dict[str, Any]:
        """What was folded into it as JSON values; {} if nothing was. `last`: the name for the number of the last one."""
        row: dict[str, Any] = {"count": self.count, last: self.last} if self.count > 1 else {}
        if self.consequences:
            row["consequences"] = {
                "messages": self.messages,
                last: self.last_consequence,
                "rules": dict(self.consequences),
            }
        return row


class FindingDigest:
    """Follows the findings of a file or of a session.

    Args:
        release: called with a finding that is given up because there are too many.
    """

    def __init__(self, release: Callable[[FoldedFinding], object] = lambda folded: None) -> None:
        self._release = release
        self._folded: dict[tuple[str, str, str, str], FoldedFinding] = {}
        self._causes: dict[str, tuple[FoldedFinding, int]] = {}
        """What a row names in `of`, to the finding that explains its consequences and the number of its message."""

    def begin(self) -> None:
        """Begin another session: what follows has no cause in the one before."""
        self._causes.clear()

    def take(self, findings: Iterable[Finding], number: int = 0, *, each: bool = False) -> list[Finding]:
        """Take the findings about the next message; those of them that are new and have no cause.

        Args:
            findings: in any order.
            number: of the message or the line.
            each: they are about this line of the file, and not the same as those about another.
        """
        given = list(findings)
        if each:
            for finding in given:
                self._keep((finding.level, finding.rule, f"{number}", finding.complaint), finding, number)
            return given
        names = {name for finding in given for name in _names(finding)}
        fresh: list[Finding] = []
        # of one message the causes come first
        for finding in sorted(given, key=lambda one: any(names & row["of"] for row in _rows().get(one.rule, ()))):
            if self._is_fresh(finding, number):
                fresh.append(finding)
        kept = {id(finding) for finding in fresh}
        return [finding for finding in given if id(finding) in kept]

    def cause(self, finding: Finding, number: int) -> Finding | None:
        """What explains a finding that was taken, about the message `number`; None for one that stands for itself."""
        cause = self._cause(finding, number)
        own = self._folded.get((finding.level, finding.rule, finding.path, finding.complaint))
        return None if cause is None or cause is own else cause.finding

    def all(self) -> list[FoldedFinding]:
        """The findings that are kept, in the order in which they were first made."""
        return list(self._folded.values())

    def close(self) -> None:
        """Give all findings up."""
        for folded in self.all():
            self._release(folded)
        self._folded.clear()
        self.begin()

    def _is_fresh(self, finding: Finding, number: int) -> bool:
        key = (finding.level, finding.rule, finding.path, finding.complaint)
        folded, cause = self._folded.get(key), self._cause(finding, number)
        if cause is not None and cause is not folded:
            cause.explain(finding, number)
            self._remember(finding, cause, number)
            return False
        if folded is not None:
            folded.count += 1
            folded.last = number
        else:
            folded = self._keep(key, finding, number)
        self._remember(finding, folded, number)
        return folded.count == 1

    def _keep(self, key: tuple[str, str, str, str], finding: Finding, number: int) -> FoldedFinding:
        folded = self._folded[key] = FoldedFinding(finding, number, number)
        if len(self._folded) > _MOST:
            self._give_up(next(iter(self._folded)))
        return folded

    def _cause(self, finding: Finding, number: int) -> FoldedFinding | None:
        for row in _rows().get(finding.rule, ()):
            for name in row["of"]:
                if name not in self._causes:
                    continue
                folded, at = self._causes[name]
                is_near = at == number or row.get("within") != "message"
                if is_near and _LEVELS.index(folded.finding.level) >= _LEVELS.index(finding.level):
                    return folded
        return None

    def _remember(self, finding: Finding, folded: FoldedFinding, number: int) -> None:
        for name in _names(finding):
            self._causes[name] = folded, number

    def _give_up(self, key: tuple[str, str, str, str]) -> None:
        folded = self._folded.pop(key)
        self._causes = {name: cause for name, cause in self._causes.items() if cause[0] is not folded}
        self._release(folded)


@cache
def _rows() -> dict[str, list[dict[str, Any]]]:
    """Rule to the rows by which something explains its findings."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in protocol.load("rules.json")["consequences"]:
        for rule in row["are"]:
            rows.setdefault(rule, []).append(
                {**row, "of": {f"{name} {row.get('at', '')}".strip() for name in row["of"]}}
            )
    return rows


@cache
def _known() -> frozenset[str]:
    return frozenset(name for rows in _rows().values() for row in rows for name in row["of"])


def _names(finding: Finding) -> set[str]:
    """What the rows may call a finding: its rule or level, with the member at the top that it is about or without."""
    at = "/" + finding.path.partition("/")[2].partition("/")[0]
    names = {finding.rule, f"{finding.rule} {at}"}
    if finding.level == "error" and finding.sender == "client":
        names |= {_ANY, f"{_ANY} {at}"}
    return names & _known()
