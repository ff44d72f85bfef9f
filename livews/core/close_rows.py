"""The rows of protocol/closes.json: from a close code and a reason to a row, and from a row to a close frame.

- The reason says more than the code (CLOSE-3) and is cut at 123 bytes (CLOSE-2), so rows are matched on the start of
  the reason first; the code only breaks ties and decides when there is no reason.
- The most literal row wins: a row for `Unknown name "proactivity"` before the row for any unknown name.
"""

import re
from functools import cache
from typing import Any

from livews.core import protocol

REASON_LIMIT = 123
"""Bytes of a reason in a close frame (RFC 6455: 125 less the two of the code)."""
Row = dict[str, Any]


def match(code: int, reason: str) -> tuple[Row, dict[str, str]] | None:
    """The row that fits a close best, and what the reason has in the places of its `{name}`; None without a row.

    Args:
        code: the close code; 0 for an upgrade that was answered with an HTTP status, as in `HTTP 404`.
        reason: the reason in the close frame.
    """
    reason = reason.encode(errors="replace")[:REASON_LIMIT].decode(errors="ignore")
    best: tuple[tuple[int, int], Row, dict[str, str]] | None = None
    for row, pattern, literal in _patterns():
        found = pattern.match(reason) if reason else None
        values = found.groupdict() if found else {}
        if found is None and row["code"] == code and (cut_values := _cut_inside(row["match"], reason)):
            values = cut_values
        elif found is None and not (reason and _is_cut(row["match"], reason)):
            continue
        rank = (literal if found else 0, int(row["code"] == code))
        if best is None or rank > best[0]:
            best = (rank, row, values)
    if best is not None:
        return _with_say(best[1], best[2], reason)
    return next(((row, {}) for row in without_reason(code) if not reason or row.get("anyReason")), None)


def _with_say(row: Row, values: dict[str, str], reason: str) -> tuple[Row, dict[str, str]]:
    """A row with the values of its whole text too, of which `match` is the start."""
    whole = pattern_of(row["say"].split(":", 1)[0]).match(reason) if "say" in row else None
    return row, {**values, **whole.groupdict()} if whole else values


def without_reason(code: int) -> list[Row]:
    """The rows that a code has without a reason."""
    return [row for row in protocol.closes() if row["code"] == code and not row["match"]]


@cache
def _patterns() -> list[tuple[Row, re.Pattern[str], int]]:
    """The rows that match a reason, each as a pattern, with the number of literal characters in it."""
    rows = [row for row in protocol.closes() if row["match"]]
    return [(row, pattern_of(row["match"]), len(re.sub(r"\{\w+\}", "", row["match"]))) for row in rows]


def pattern_of(template: str) -> re.Pattern[str]:
    """A template as a pattern: literal text from the start, `{name}` for one or more characters.

    A value at the end takes the rest of its word, so that `{to}` in `... to {to}` is only the number.
    """
    pieces = re.split(r"\{(\w+)\}", template)
    out = ""
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            out += re.escape(piece)
        else:
            is_last = i == len(pieces) - 2 and not pieces[-1]
            out += f"(?P<{piece}>" + (r"[^\s,;]+" if is_last else ".+?") + ")"
    return re.compile(out, re.DOTALL)


def _is_cut(template: str, reason: str) -> bool:
    """Whether a reason is the start of a template's literal text."""
    return len(reason) >= 12 and template.split("{", 1)[0].startswith(reason)


def _cut_inside(template: str, reason: str) -> dict[str, str] | None:
    """The values of a reason that was cut within one of them: a name so long that it left no room for the rest."""
    if len(reason.encode()) <= REASON_LIMIT - 4:  # the last character may have been one of four bytes
        return None
    ends = [value.end() for value in re.finditer(r"\{\w+\}", template)]
    matches = (pattern_of(template[:end]).fullmatch(reason) for end in reversed(ends))
    return next((match.groupdict() for match in matches if match), None)


def frame_for(close_id: str, **values: str) -> tuple[int, str]:
    """Code and reason of the close that the service sends, the reason cut at 123 bytes.

    Args:
        close_id: a row of closes.json.
        values: what to write for each `{name}`.
    """
    row = protocol.close_row(close_id)
    text: str = row.get("say", row["reason"])
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    text = text.replace(" at ''", "")
    return row["code"], cut(text)


def cut(reason: str) -> str:
    """A reason cut to 123 bytes, never inside a character (CLOSE-2)."""
    return reason.encode()[:REASON_LIMIT].decode(errors="ignore")
