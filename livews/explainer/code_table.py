"""The reasons that a close code comes with, the most frequent first, for people who only have the code."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from livews.core import protocol
from livews.terminal_text import columns

_WIDEST = 46
"""Columns of the reasons."""


@dataclass(frozen=True, slots=True)
class CodeReason:
    """How a reason begins, with `<name>` for what varies, and what it means."""

    reason: str
    meaning: str
    id: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def reasons(code: int) -> list[CodeReason]:
    """The reasons of a close code in closes.json, the most frequent first, and the row without a reason last."""
    rows = [row for row in protocol.closes() if row["code"] == code] if code >= 1000 else []
    if not any(row["match"] for row in rows):
        return []
    frequent: list[str] = protocol.load("closes.json")["frequent"]
    places = {name: place for place, name in enumerate(frequent)}
    rows.sort(key=lambda row: (not row["match"], places.get(row["id"], len(frequent))))
    return [CodeReason(row["match"].replace("{", "<").replace("}", ">"), row["meaning"], row["id"]) for row in rows]


def statuses() -> list[CodeReason]:
    """The HTTP statuses of a failed upgrade in closes.json, in their order."""
    rows = sorted((row for row in protocol.closes() if "http" in row), key=lambda row: int(row["http"]))
    return [CodeReason(row["match"].replace("{digits}", "xx"), row["meaning"], row["id"]) for row in rows]


def lines(rows: Sequence[CodeReason], title: str = "reason begins with") -> Iterator[str]:
    """The table as lines for a terminal; `title` is that of the first column."""
    longest = max(len(row.reason) for row in rows)
    wide = min(_WIDEST, max(columns() // 2 - 4, 20), max(longest, len(title)))
    yield f"  {title:<{wide}}  meaning"
    for row in rows:
        left = textwrap.wrap(row.reason or "(no reason text)", wide, break_on_hyphens=False)
        right = textwrap.wrap(row.meaning, max(columns() - wide - 4, 20), break_on_hyphens=False)
        for i in range(max(len(left), len(right))):
            one, other = (part[i] if i < len(part) else "" for part in (left, right))
            yield f"  {one:<{wide}}  {other}".rstrip()


def ask(code: int, *, has_table: bool) -> str:
    """What to give besides the code."""
    start = "The reason text says which it is" if has_table else "If there was a reason text, it says more"
    return f'{start}: `livews explain {code} "REASON"`. Where a client hides it, `livews proxy` in between shows it.'
