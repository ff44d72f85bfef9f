"""What the rules work with: findings, and the session that a message is judged in.

- A finding has a level: "error" (the service does not accept it), "refused" (a model or surface refused it when last
  seen), "note". Level, fix and close come from the rule's row in rules.json.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from livews.core import close_rows, models, protocol
from livews.core.reading import Reading
from livews.core.schema import Sender

Level = Literal["error", "refused", "note"]
_LEVELS: dict[str, Level] = {"must": "error", "model": "refused", "should": "note", "server": "note"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule has to say about one frame."""

    level: Level
    rule: str
    """Its id in rules.json."""
    path: str
    """JSON pointer in the message, "" for all of it."""
    complaint: str
    fix: str = ""
    sender: Sender = "client"
    close: tuple[int, str] | None = None
    """Code and reason of the close that the service answers with, where that is known."""

    def __str__(self) -> str:
        return f"{self.complaint} ({self.rule})"

    @property
    def cure(self) -> str:
        """Deprecated name of `fix`."""
        return self.fix


class ApiTarget(NamedTuple):
    """Where and when a message is judged."""

    surface: str = "gemini"
    """"gemini" or "vertex"; for `advice.judge.check` also "", the one that the model's name is for."""
    version: str = "v1beta"
    """API version."""
    as_of: str = ""
    """A day or month such as "2026-03"; "" is the revision of protocol/."""


@dataclass(eq=False, repr=False)
class Context:
    """The session that a message belongs to, as it was before the message: a `Conversation`. By default that of a
    message on its own, in which rules that need a session find nothing."""

    target: ApiTarget = field(default_factory=ApiTarget)
    setup: dict[str, Any] = field(default_factory=dict)
    """The setup that was accepted, canonical."""
    profile: models.Profile = field(default_factory=lambda: models.profile(""))
    """Of its model."""
    traits: dict[str, Any] = field(default_factory=dict)
    """Traits of the session, as in machine.json."""
    pending: dict[str, str] = field(default_factory=dict)
    """The open calls, id to name."""
    answered: set[str] = field(default_factory=set)
    """Ids of calls that are answered."""
    input_rate: int = 0
    """Samples per second of the client's audio, 0 before any came."""


Check = Callable[[str, Reading, Context], Iterable[Finding]]


def finding(
    rule: str,
    path: str = "",
    complaint: str = "",
    sender: Sender = "client",
    *,
    level: Level | None = None,
    close: tuple[int, str] | None = None,
    fix: str = "",
) -> Finding:
    """A finding of a rule. What is left out comes from the rule's row in rules.json.

    Args:
        rule: id of the rule.
        path: JSON pointer of the place in the message.
        complaint: what is wrong.
        sender: who sent the message.
        level: "error", "refused" or "note".
        close: code and reason that the service closes with.
        fix: what to do.
    """
    row = protocol.rules()[rule]
    level = level or _LEVELS[row["level"]]
    if close is None and "close" in row and sender == "client" and level != "note":
        close = close_rows.frame_for(row["close"])
    return Finding(level, rule, path, complaint or row.get("broken", row["title"]), fix or row["do"], sender, close)
