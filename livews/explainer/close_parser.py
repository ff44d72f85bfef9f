"""Parse a close from a line of a log: who closed, with which code and reason.

- close_forms.txt has the forms in which libraries write it, the most specific first; a new one is a row there.
- A line in none of these forms is a reason without a code: nothing is guessed.
- A number is a code only in the place of one: a date, a size or a duration is none.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from livews.core.schema import Sender


@dataclass(frozen=True, slots=True)
class LoggedClose:
    """The close in a line of a log."""

    code: int
    """A close code, an HTTP status (below 1000), or 0 if there is none."""
    reason: str
    by: Sender = "server"


_PARTS = {
    "<CODE>": r"(?P<code>10(?:0\d|1[0-5])|[34]\d{3})(?![\d-])",
    "<HTTP>": r"(?P<code>[2-5]\d\d)\b",
    "<NAMED>": r"\((?:[^()]*)\)",  # a library's name of the code: `(internal error)`
    "<REASON>": r"(?P<reason>.*)",
    "<KEY>": r"""["']?\s*[=:]\s*""",
}


_LINES = Path(__file__).with_name("close_forms.txt").read_text(encoding="utf-8").splitlines()
_FORMS = [
    re.compile(re.sub("<[A-Z]+>", lambda part: _PARTS[part[0]], line), re.DOTALL)
    for line in _LINES
    if line and not line.startswith("#")
]
_LONGEST = 4096
_QUOTED = re.compile(r"""b?(?P<quote>["'])(?P<text>.*?)(?<!\\)(?P=quote)\s*(?=[,;})\]]|$)""", re.DOTALL)
_NO_REASON = re.compile(
    r"(?:no reason\b|None\b|null\b|undefined\b|<none>|wasClean\b|type\b|\w+=|[})\]]).*", re.DOTALL
)
"""A missing reason, or the next member in its place."""


def parse_close(line: str) -> LoggedClose:
    """The close in a line, of which 4 kB are read; if it has none of the known forms, all of it is the reason."""
    line = line.strip()[:_LONGEST]
    for form in _FORMS:
        if match := form.search(line):
            groups = match.groupdict()
            if groups.get("none"):
                return LoggedClose(1006, "")
            by: Sender = "client" if groups.get("by") in ("sent", ">") else "server"
            code = int(groups["code"][:9])  # a number of more digits than a code has stays out of range
            starts_line = form is _FORMS[-1]
            # 1005 and 1006 are the library's own, and so are the words after them: no frame had a reason
            has_reason = starts_line or code not in (1005, 1006)
            return LoggedClose(code, _bare(groups.get("reason") or "", not starts_line) if has_reason else "", by)
    return LoggedClose(0, line)


def _bare(text: str, may_be_member: bool) -> str:
    """A reason without the quotes and the members around it."""
    text = text.strip(" \t\r\n") if not may_be_member else text.strip(" \t\r\n:,-")
    if quoted := _QUOTED.match(text):
        return re.sub(r"""\\(["'\\])""", r"\1", quoted["text"])
    return "" if may_be_member and _NO_REASON.fullmatch(text) else text
