"""One row of the table: what was measured, against whom, and whether it reaches its target.

- Beside a peer the ratio is peer / livews (times cheaper), beside a limit livews / limit (times dearer).
- A ratio is taken round by round; the row's ratio is the median of them, its spread their smallest and largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

OK, SHORT, UNJUDGED = "ok", "SHORT", "-"


@dataclass(frozen=True)
class Target:
    """As in "at least 10 times cheaper"."""

    sense: Literal["at least", "at most"]
    bound: float
    words: str

    def __str__(self) -> str:
        return f"{self.sense} {self.bound:g} {self.words}"

    def met(self, value: float) -> bool:
        return value >= self.bound if self.sense == "at least" else value <= self.bound


@dataclass(frozen=True)
class Row:
    """`livews` and `other` are costs in `unit`, one a round; `other` is None when there was nothing to run.

    `kind` says what is judged: the ratio to a peer, the ratio to a limit, or livews's own cost.
    """

    measurement: str
    kind: Literal["peer", "limit", "cost"]
    unit: Literal["us", "ms", "kB"]
    livews: list[float]
    name: str = ""
    other: list[float] | None = None
    target: Target | None = None

    @property
    def values(self) -> list[float]:
        """What is judged, a round at a time; [] when there was nothing to compare with."""
        if self.kind == "cost":
            return self.livews
        pairs = zip(self.livews, self.other or [], strict=bool(self.other))
        return [theirs / ours if self.kind == "peer" else ours / theirs for ours, theirs in pairs]

    @property
    def verdict(self) -> str:
        if self.target is None or not self.values:
            return UNJUDGED
        return OK if self.target.met(median(self.values)) else SHORT

    def cells(self) -> list[str]:
        values = self.values
        return [
            self.measurement,
            f"{figure(median(self.livews))} {self.unit}",
            f"{figure(median(self.other))} {self.unit}" if self.other else "-",
            self.name if self.other else "",
            figure(median(values)) if values and self.kind != "cost" else "-",
            f"{figure(min(values))}..{figure(max(values))}" if values else "-",
            str(self.target) if self.target else "-",
            self.verdict,
        ]

    def as_json(self) -> dict[str, Any]:
        values = self.values
        return {
            "measurement": self.measurement,
            "kind": self.kind,
            "unit": self.unit,
            "livews": self.livews,
            "name": self.name,
            "other": self.other,
            "value": median(values) if values else None,
            "spread": [min(values), max(values)] if values else None,
            "target": str(self.target) if self.target else None,
            "verdict": self.verdict,
        }


HEADINGS = ["measurement", "livews", "peer", "", "ratio", "min..max", "target", "verdict"]
_RIGHT = {1, 2, 4, 5}


def figure(value: float) -> str:
    """Three figures or so: more would be noise."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(rows: list[Row]) -> str:
    """The rows under their headings, in columns."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])

    def put(i: int, cell: str) -> str:
        return cell.rjust(widths[i]) if i in _RIGHT else cell.ljust(widths[i])

    return "\n".join("  ".join(put(i, cell) for i, cell in enumerate(line)).rstrip() for line in lines)
