"""Explain errors that a client library raises by itself: limits, wrong frames, a send before the open, a handshake.

- The texts and the words of each library are data: library_errors.json.
- An error is found by the longest of its words in a line, whatever their case; so is the library, whose fix comes first.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from livews.advice.closes import Advice


@dataclass(frozen=True, slots=True)
class LibraryError:
    """An error that is the client's own."""

    id: str
    code: int
    """The close code that the library then sends; 0 for none."""
    whose: str
    """Whose fault or limit it is."""
    has_status: bool
    """Whether the HTTP status of the upgrade says more."""
    is_last: bool
    """Whether a cause in connect_forms.txt counts more."""


@cache
def _data() -> dict[str, dict[str, Any]]:
    text = (Path(__file__).parent / "library_errors.json").read_text(encoding="utf-8")
    return {row["id"]: row for row in json.loads(text)["errors"]}


@cache
def errors() -> dict[str, LibraryError]:
    """All of them, by their ids."""
    return {
        name: LibraryError(name, row["code"], row["whose"], bool(row.get("statuses")), bool(row.get("last")))
        for name, row in _data().items()
    }


def find(line: str, *, is_last: bool, has_close: bool = False) -> str:
    """The id of the error that a line of a log has; "" for none.

    Args:
        line: the line, in lower case.
        is_last: look for the errors that count less than a cause of the network; else for the others.
        has_close: the line has a code of a close, which may be the other side's.
    """
    rows = [row for name, row in _data().items() if errors()[name].is_last == is_last]
    found = ((part, row["id"]) for row in rows for part in _parts(row, has_close) if part in line)
    return max(found, key=lambda pair: len(pair[0]), default=("", ""))[1]


def _parts(row: dict[str, Any], has_close: bool) -> Iterator[str]:
    yield from row["match"]
    yield from () if has_close else row.get("alone", ())
    for library in row.get("libraries", ()):
        yield from library["match"]


def explain(error_id: str, code: int, line: str, reason: str) -> Advice:
    """The advice about an error.

    Args:
        error_id: from `find`.
        code: the close code in the line, 0 for that of the error.
        line: the line it was found in.
        reason: what to show as the reason.
    """
    row = _data()[error_id]
    lowered = line.lower()
    libraries = row.get("libraries", ())
    named = (
        (part, way["do"]) for way in libraries for part in (*way["match"], *way.get("named", ())) if part in lowered
    )
    first = max(named, key=lambda pair: len(pair[0]), default=("", row.get("otherwise", "")))[1]
    texts = {name: row[name] for name in ("meaning", "cause", "retry", "kind")}
    return Advice(
        code or row["code"], reason, error_id, do=f"{first} {row['do']}".strip(), confidence="reported", **texts
    )
