"""Decide when and how to connect again: `Reconnects` reads protocol/reconnect.json.

Pure, except for what it is given: times are seconds on any monotonic clock, the drawing of a delay is the caller's.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from livews.core import protocol

Action = Literal["resume", "fresh", "wait", "stop"]


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a connection, or of an attempt to get one.

    Attributes:
        phase: when it came, a key of `phases`.
        code: the close code; 1006 without a close frame, 0 where the upgrade failed.
        close: id of the row of closes.json, "unknown" for none.
        kind: its kind, as in closes.json.
        retry: its retry, as in closes.json.
        planned: the client closed it, or dials again after such a close.
    """

    phase: str
    code: int = 1006
    close: str = "unknown"
    kind: str = "network"
    retry: str = "resume"
    planned: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about an ending.

    Attributes:
        row: id of the row that decided.
        action: "resume", "fresh", "wait" or "stop", as reconnect.json describes them.
        attempt: number of this try, from 1; where it stops, of the tries of the row.
        shortest: seconds to wait at least.
        longest: seconds to wait at most; the delay is drawn evenly between the two.
        refresh: get new credentials first.
        resend: what was sent last may be sent again.
        shorter: leave out the older half of the history.
        says: why, as a sentence without its end.
    """

    row: str
    action: Action
    attempt: int = 1
    shortest: float = 0.0
    longest: float = 0.0
    refresh: bool = False
    resend: bool = True
    shorter: bool = False
    says: str = ""


class Reconnects:
    """The tries of one session.

    Args:
        limits: members of `limits` in reconnect.json with other values.
        back_off: members of `backOff` with other values.
        tries: tries of the rows that are `own`; None for those of reconnect.json.
        within: seconds of those rows; None for those of reconnect.json.
    """

    def __init__(
        self,
        *,
        limits: dict[str, float] | None = None,
        back_off: dict[str, float] | None = None,
        tries: int | None = None,
        within: float | None = None,
    ) -> None:
        data = protocol.load("reconnect.json")
        self.limits: dict[str, float] = data["limits"] | (limits or {})
        self._back_off: dict[str, float] = data["backOff"] | (back_off or {})
        self._rows: list[dict[str, Any]] = data["rows"]
        self._phases: dict[str, dict[str, Any]] = data["phases"]
        own = {"tries": tries, "within": within}
        self._own = {name: value for name, value in own.items() if value is not None}
        self._sockets: deque[float] = deque()
        """When connections were opened, those within `socketsWithin`."""
        self._tries: dict[str, int] = {}
        self._first: dict[str, float] = {}
        """When the first end of a row came, since a connection was settled."""
        self._opened: float | None = None
        """When the connection that there is was opened."""
        self._turns = 0

    def opened(self, now: float) -> None:
        """A connection is being opened."""
        self._sockets.append(now)
        self._opened, self._turns = now, 0

    def turn_ended(self, now: float) -> None:
        """A whole turn has ended on the connection."""
        self._turns += 1
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Count tries anew if the connection is settled."""
        age = 0.0 if self._opened is None else now - self._opened
        had_turns = self._turns >= self.limits["settledTurns"] and age >= self.limits["settledSeconds"]
        if had_turns or age >= self.limits["longSeconds"]:
            self._tries.clear()
            self._first.clear()

    @property
    def has_turn(self) -> bool:
        """Whether a whole turn has ended on the connection."""
        return self._turns > 0

    def phase(self, *, set_up_for: float | None, resumes: bool, has_content: bool, is_busy: bool) -> str:
        """The phase in which a connection of a session ended, after its first.

        Args:
            set_up_for: seconds since setupComplete; None if it did not come.
            resumes: its setup had a handle.
            has_content: something of the model came after setupComplete.
            is_busy: a turn was running, a call was open, or an answer was owed.
        """
        if set_up_for is None:
            return "resuming" if resumes else "starting"
        if resumes and not has_content and set_up_for < self.limits["lateRefusalSeconds"]:
            return "refused"
        return "busy" if is_busy else "idle"

    def hand_over_at(self, life: dict[str, Any]) -> float | None:
        """Age in seconds at which to act as if a goAway came that leaves `beforeEndSeconds`; None where the service
        sends one. `life`: of the model's profile."""
        return None if life["goAwaySeconds"] else max(0.0, life["closeSeconds"] - self.limits["beforeEndSeconds"])

    def give_up_after(self, left: float | None) -> float:
        """Seconds after a goAway that leaves so many seconds, or does not say how many, until the connection is given up
        whatever is running."""
        margin = self.limits["beforeGoAwaySeconds"]
        return margin if left is None else max(0.0, left - margin)

    def ended(self, ending: Ending, now: float) -> Decision:
        """What to do about the end of a connection, or of a try to get one."""
        if self._phases[ending.phase].get("lived"):
            self._settle(now)
        self._opened, self._turns = None, 0
        row = next(row for row in self._rows if _fits(row, ending))
        seen: set[str] = set()
        while self._is_used_up(row, now):
            seen.add(row["id"])
            name = row["then"]
            if name == "stop" or name in seen:
                return Decision(row["id"], "stop", self._tries.get(row["id"], 0), says=row["says"])
            row = next(other for other in self._rows if other["id"] == name)
        if row["action"] == "stop":
            return Decision(row["id"], "stop", says=row["says"])
        attempt = self._tries[row["id"]] = self._tries.get(row["id"], 0) + 1
        self._first.setdefault(row["id"], now)
        shortest, longest = self._delay(row, attempt, ending)
        pause = self._until_a_socket_is_free(now)
        return Decision(
            row["id"], row["action"], attempt, max(shortest, pause), max(longest, pause), row.get("refresh", False),
            row.get("resend", True), row.get("history") == "shorter", row["says"],
        )  # fmt: skip

    def _is_used_up(self, row: dict[str, Any], now: float) -> bool:
        own = self._own if row.get("own") else {}
        tries, within = (own.get(name, row[name]) if name in row else float("inf") for name in ("tries", "within"))
        return self._tries.get(row["id"], 0) >= tries or now - self._first.get(row["id"], now) >= within

    def _delay(self, row: dict[str, Any], attempt: int, ending: Ending) -> tuple[float, float]:
        after = row["after"]
        idle: float = row.get("idleSeconds", 0) if self._phases[ending.phase].get("idle") else 0.0
        if attempt <= len(after):
            return after[attempt - 1] + idle, after[attempt - 1] + idle
        first, factor, cap = (self._back_off[name] for name in ("first", "factor", "cap"))
        return idle, idle + min(cap, first * factor ** min(attempt - len(after) - 1, 60))

    def _until_a_socket_is_free(self, now: float) -> float:
        window = self.limits["socketsWithin"]
        while self._sockets and now - self._sockets[0] >= window:
            self._sockets.popleft()
        excess = len(self._sockets) - int(self.limits["sockets"])
        return self._sockets[excess] + window - now if excess >= 0 else 0.0


def _fits(row: dict[str, Any], ending: Ending) -> bool:
    """Whether an ending is what a row is about: each member that the row has must fit."""
    values = (
        ("phases", ending.phase), ("closes", ending.close), ("kinds", ending.kind), ("retry", ending.retry), ("codes", ending.code),
    )  # fmt: skip
    return all(value in row[name] for name, value in values if name in row) and (
        "planned" not in row or row["planned"] == ending.planned
    )
