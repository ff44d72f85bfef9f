"""Parse a close, or a connection that failed, from lines of a log, whatever client library wrote them.

- The text of a row of closes.json is the reason wherever it stands in a line.
- close_forms.txt has the forms in which libraries write a code and a reason, close_codes.txt their names of codes,
  connect_forms.txt what they write of a connection that failed, library_errors.json of errors of their own; a new one
  is a row there.
- A reason in bytes, as Node prints a Buffer, is read as its text.
- A line in none of these forms is a reason without a code: nothing is guessed.
- A number is a code only in the place of one: a date, a size or a duration is none.
- 4 kB of a line are read, and of a text the first 256 kB and the last 128 kB; the time is linear in both.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from livews.advice import closes
from livews.core import close_rows, protocol
from livews.core.codec import WireError, parse_any
from livews.core.schema import Sender
from livews.explainer import library_errors
from livews.terminal_text import one_line


@dataclass(frozen=True, slots=True)
class LoggedClose:
    """The close in a line of a log, or why there was no connection."""

    code: int
    """A close code, an HTTP status (below 1000), or 0 if there is none."""
    reason: str
    by: Sender = "server"
    cause: str = ""
    """Why there was no connection, the name of a cause in connect_errors.py; or the rule that the client broke, or an
    error of its library (library_errors.py)."""
    line: str = field(default="", compare=False)
    """The line it is in."""
    number: int = field(default=0, compare=False)
    """That of the line, from 1; 0 for a text of one line."""
    is_known: bool = field(default=False, compare=False)
    """Whether the reason is that of a row of closes.json."""

    @property
    def found(self) -> bool:
        """Whether the line has more than a reason that is not known."""
        return bool(self.code or self.cause or self.is_known)


_NOT_A_COUNT = r"(?!\s*(?:m?s|[kM]?B|%|of|(?:byte|(?:milli|micro)?sec(?:ond)?|minute|message|frame|chunk|sample|time|connection|session|client)s?)\b)"
"""What follows a number that is a size, a duration or a count."""
_PARTS = {
    "<CODE>": r"(?P<code>10(?:0\d|1[0-5])|[34]\d{3})(?![\w-])",
    "<WIRE>": r"(?<![\w.:-])(?P<code>10(?:0\d|1[0-5]))(?![\w-]|[.:]\d)" + _NOT_A_COUNT,
    # `1007`, `Invalid`, `CloseCode::Invalid`, `Some(Invalid)`, `<CloseCode.INVALID_DATA: 1007>`, `CloseCode(rawValue: 1007)`
    "<ANY>": r"""[<(\[{"']?(?:[A-Za-z]\w{0,39}(?:\.|::|\((?:rawValue: )?)){0,3}\.?(?P<code>\d{4}(?![\w-])|[A-Za-z]\w{1,49}+)"""
    r"""(?:: \d{4}>)?[)>\]]?""",
    "<NOT A COUNT>": _NOT_A_COUNT,
    "<HTTP>": r"(?P<code>[2-5]\d\d)\b",
    "<NAMED>": r"\((?:[^()]*)\)",  # a library's name of the code: `(internal error)`
    "<REASON>": r"(?P<reason>.*)",
    "<KEY>": r"""["']?\s*(?:=>|[=:]|\[)\s*""",
}
_BYTE = r"(?:0x[0-9a-fA-F]{1,2}|\d{1,3})"
_BYTES = re.compile(
    r"""<Buffer (?P<hex>[0-9a-f]{2}(?: [0-9a-f]{2})*)(?P<more> ?\.\.\. \d+ more bytes?)?>"""
    r"""|Buffer\.from\(["'](?P<base64>[\w+/]{4,}={0,2})["'], ?["']base64["']\)"""
    r"""|(?<!\w)(?:Buffer(?:\.from)?|Uint8Array|Int8Array|Uint8List|bytearray|bytes|byte\[\]|\[\]byte|\[\]uint8|data|[Rr]eason)["']?"""
    rf"""(?:\(\d+\))?[\s:=({{]{{0,3}}[\[{{]\s?(?P<list>{_BYTE}(?:(?:,\s?|\s){_BYTE}){{3,}})\s?[\]}}]\)?"""
)
"""Bytes as Node, browsers and others print them: `<Buffer 41 50>`, `Uint8Array(2) [ 65, 80 ]`, `[]byte{0x41, 0x50}`."""
_FOLDER = Path(__file__).parent
_LONGEST, _MOST = 4096, 3 << 17
_MOST_CAUSES, _NEAR = 8, 3
"""Causes that are looked for in a log; lines between a code and its reason."""
_QUIET = re.compile(r"\b(?:INFO|DEBUG|TRACE|info|debug|trace)\b")
"""In a line that only reports what is done, words about a connection are no error."""
_UPGRADE = re.compile(r"(?i)web ?socket|\bwss?\b|upgrade|handshake|101|unexpected (?:server )?response|bidi")
"""What tells that an HTTP status is that of a WebSocket's upgrade."""
_ANSI = re.compile(r"(?:\x1b|\\x1b|\\u001b|\\033|\\e|\^\[|\u241b)\[[\d;?]*[A-Za-z]")
_QUOTED = re.compile(r"""b?(?P<quote>["'`])(?P<text>.*?)(?<!\\)(?P=quote)\s*(?=[,;})\]>]|- |and |$)""", re.DOTALL)
_NO_REASON = re.compile(
    r"(?:no reason\b|None\b|null\b|nil\b|undefined\b|<none>|wasClean\b|type\b|\w+=|[})\]]).*", re.DOTALL
)
"""A missing reason, or the next member in its place."""
_NEXT_MEMBER = re.compile(
    r"""["'`]?(?<!\s)\s*(?:[,;|]\s*["']?\w+["']?\s*(?:=>|[=:])|; (?:then|no close frame)\b|\s\(\w*\W{0,3}\d{4}\)|\s\(?(?:with\s)?\w{0,12}(?:[Cc]ode|[Ss]tatus)["']?[:=\s]+\d|>>|\s-\s*\w+=)""",
    re.ASCII,
)
"""What follows a reason that has no quotes around it."""
_BEFORE_VALUE = re.compile(r"""[:=|>\]]\s|["'`\u201c\[{]|\s[-/]\s|,\s|\b\d{4}\b[:)]?\s""")
"""What stands before a reason whose first word is not known."""


def _rows(name: str) -> Iterator[str]:
    lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
    return (line for line in lines if line and not line.startswith("#"))


def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(re.sub("<[A-Z ]+>", lambda part: _PARTS[part[0]], form), re.DOTALL)


_FORMS = [_pattern(form) for form in _rows("close_forms.txt")]
_KEYED_CODE = _pattern("(?:[Cc]ode|[Ss]tatus|[Rr]eason)<KEY><ANY>")
_CODE_KEY = re.compile(r"[Cc]ode\b|data=")


def _fold(name: str) -> str:
    """A name of a code without what libraries put around it: `StatusPolicyViolation` -> `policyviolation`."""
    folded = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"^(?:ws)?(?:close)?(?:code|status)?(?=.)", "", folded)


@cache
def _names() -> dict[str, tuple[int, bool]]:
    """Names of codes, folded, each with whether it is a word that can be anything else."""
    rows = (row.partition(": ") for row in _rows("close_codes.txt"))
    return {_fold(name): (int(code), " " not in name) for code, _, names in rows for name in names.split(", ")}


@cache
def _causes() -> dict[str, list[str]]:
    """The causes of a connection that failed, each with what is written of it, in lower case."""
    causes: dict[str, list[str]] = {}
    for row in _rows("connect_forms.txt"):
        if row.startswith("["):
            parts = causes.setdefault(row[1:-1], [])
        else:
            parts.append(row)
    return causes


@cache
def _texts() -> list[tuple[dict[str, Any], str, str, int]]:
    """The rows that a reason can have, each with its longest literal text, what stands before that, and its length."""
    found = []
    for row in protocol.closes():
        pieces = re.split(r"\{\w+\}", row["match"])
        literal = max(pieces, key=len)
        if row["code"] and len(literal) >= 12:
            found.append((row, literal, row["match"].partition(literal)[0], len("".join(pieces))))
    return sorted(found, key=lambda text: -text[3])


def parse_close(text: str) -> LoggedClose:
    """The close in a text of one or more lines, of several the first cause; without one all of it is the reason."""
    found = parse_log(text)
    return found[0] if found else LoggedClose(0, text.strip()[:_LONGEST])


def parse_log(text: str) -> list[LoggedClose]:
    """The closes and failed connections in a text of one or more lines, in their order: the first is the cause.

    A line that is only a consequence, or may be of another connection, counts where there is no other: a normal close, a
    status of a request, a send after the close. A code and its reason may be in two lines near each other. The beginning
    and the end of a long text are read.
    """
    lines = text.splitlines()
    if len(lines) < 2:
        return [_parse_line(text.strip())]
    found: list[LoggedClose] = []
    weak: list[LoggedClose] = []
    for number, line in _read(lines):
        logged = _parse_line(line)
        if not logged.found:
            continue
        logged = replace(logged, number=number)
        if not _is_cause(logged):
            weak.append(logged)
        elif joined := _joined(found[-1], logged) if found else None:
            found[-1] = joined
        elif not any(_is_same(other, logged) for other in found):
            found.append(logged)
        if len(found) > _MOST_CAUSES:
            break
    whole = [] if found or len(text) > _LONGEST else [_parse_line(" ".join(lines))]
    found = found or [logged for logged in whole if logged.found and _is_cause(logged)]
    return found or sorted(weak, key=lambda logged: 200 <= logged.code < 300)[:1]


def is_read_whole(text: str) -> bool:
    """Whether `parse_log` reads every line of a text."""
    return sum(map(_cost, text.splitlines())) <= _MOST


def _cost(line: str) -> int:
    """What a line counts: reading a short one takes some time, too."""
    return max(len(line), 60) + 1


def _read(lines: list[str]) -> Iterator[tuple[int, str]]:
    """The lines at the beginning and at the end, each with its number from 1."""
    first, last, end = 0, len(lines), _MOST // 3
    room = _MOST - end
    while first < last and room > 0:
        room -= _cost(lines[first])
        first += 1
    while last > first and end > 0:
        end -= _cost(lines[last - 1])
        last -= 1
    numbers = (*range(first), *range(last, len(lines)))
    return ((number + 1, lines[number]) for number in numbers)


def _is_cause(logged: LoggedClose) -> bool:
    """Whether a line may be the cause of what follows it."""
    if logged.is_known:
        return True
    if error := library_errors.errors().get(logged.cause):
        return (not error.is_last and error.code > 0) or error.id == "sent-before-open"
    if logged.cause:
        return not _QUIET.search(logged.line)
    return logged.code > 1000 or (logged.code >= 300 and bool(_UPGRADE.search(logged.line)))


def _is_same(one: LoggedClose, other: LoggedClose) -> bool:
    """Whether two lines have the same close, as the lines of a traceback do, or the same failure again."""
    if one.cause or other.cause:
        return one.cause == other.cause
    return one.reason == other.reason and (one.code == other.code or 0 in (one.code, other.code))


def _joined(before: LoggedClose, after: LoggedClose) -> LoggedClose | None:
    """A code and its reason that are in two lines near each other, as one close; None if they are not."""
    if after.number - before.number > _NEAR or before.cause or after.cause:
        return None
    if before.code >= 1000 and not before.reason and after.is_known and after.code in (0, before.code):
        return replace(after, code=before.code, number=before.number, by=before.by)
    if before.is_known and not before.code and after.code >= 1000 and not after.reason:
        return replace(before, code=after.code, by=after.by)
    return None


def _parse_line(line: str) -> LoggedClose:
    as_given = _ANSI.sub("", line[: 2 * _LONGEST]).strip()[:_LONGEST]
    members = _members(as_given)
    line = _BYTES.sub(_decoded, members)
    logged = _close_in(line)
    return replace(logged, line=line) if logged.found or line != members else LoggedClose(0, as_given)


def _close_in(line: str) -> LoggedClose:
    logged = _in_a_form(line)
    unescaped = line.replace('\\"', '"').replace("\\'", "'")
    for text in dict.fromkeys((logged.reason if logged else "", line, unescaped)):
        if place := _known_text(text):
            start, end, row = place
            code = logged.code if logged and logged.code >= 1000 else _code_beside(line, row["code"])
            return LoggedClose(code, text[start:end], logged.by if logged else "server", is_known=True)
    lowered = line.lower()
    error = library_errors.find(lowered, is_last=False, has_close=logged is not None)
    if error and (logged is None or logged.code == library_errors.errors()[error].code):
        code = library_errors.errors()[error].code
        return replace(logged, cause=error) if logged else LoggedClose(code, line, "client", cause=error)
    if logged:
        advice = closes.explain(logged.code, logged.reason)
        return replace(logged, is_known=advice.known and bool(protocol.close_row(advice.id)["match"]))
    for cause, parts in _causes().items():
        if any(part in lowered for part in parts):
            return LoggedClose(1006, "") if cause == "lost" else LoggedClose(0, line, cause=cause)
    return LoggedClose(0, line, cause=library_errors.find(lowered, is_last=True))


def _decoded(match: re.Match[str]) -> str:
    """The text of bytes as a program prints them, in quotes. A whole close frame has its code before that."""
    try:
        if text := match["base64"]:
            raw = base64.b64decode(text)
        elif text := match["hex"]:
            raw = bytes.fromhex(text)
        else:
            raw = bytes(int(number, 0) for number in re.findall(r"0x[0-9a-fA-F]+|\d+", match["list"]))
    except ValueError:  # not bytes
        return match[0]
    code, text = "", raw.decode(errors="replace")
    if 1000 <= int.from_bytes(raw[:2]) < 5000:
        code, text = f"code: {int.from_bytes(raw[:2])}, reason: ", raw[2:].decode(errors="replace")
    text = _completed(text) if match["more"] else text
    return code + json.dumps(one_line(text), ensure_ascii=False)


def _completed(text: str) -> str:
    """The beginning of a reason with the rest of the words in which it was cut, as the row that it fits has them."""
    for row in protocol.closes():
        head, pieces = "", re.split(r"(\{\w+\})", row["match"])
        for i, piece in enumerate(pieces):
            for length in () if piece.startswith("{") else range(len(piece), 7, -1):
                if text.endswith(piece[:length]) and close_rows.pattern_of(head + piece[:length]).match(text):
                    rest = piece[length:] + "".join("…" if more.startswith("{") else more for more in pieces[i + 1 :])
                    return f"{text}{rest.rstrip('…')}…"
            head += piece
    return text


def _members(line: str) -> str:
    """A line that is JSON, as its members one after another."""
    if not line.startswith(("{", "[")):
        return line
    try:
        value = parse_any(line.encode(errors="replace"))
    except WireError:
        return line
    members: list[str] = []

    def collect(name: str, value: Any) -> None:
        if is_buffer(value):
            members.append(f"{name or 'reason'}: Buffer {value['data']}")
        elif isinstance(value, dict):
            for key, inner in value.items():
                collect(key, inner)
        elif isinstance(value, list):
            for inner in value:
                collect(name, inner)
        elif value is not None:
            words = " ".join(value.split()) if isinstance(value, str) else str(value)
            members.append(f'{name}: "{words}"' if isinstance(value, str) else f"{name}: {words}")

    collect("", value)
    return ", ".join(members)


def is_buffer(value: Any) -> bool:
    """Whether a JSON value is bytes, as Node writes them."""
    return isinstance(value, dict) and value.get("type") == "Buffer" and isinstance(value.get("data"), list)


def _in_a_form(line: str) -> LoggedClose | None:
    """The close in one of the forms of close_forms.txt."""
    for form in _FORMS:
        for match in form.finditer(line):
            groups = match.groupdict()
            if groups.get("none"):
                return LoggedClose(1006, "")
            by: Sender = "client" if groups.get("by") in ("sent", ">", "++Sent") else "server"
            code = 0x300 + int(groups["hex"], 16) if groups.get("hex") else _code(match)
            if code:
                starts_line = form is _FORMS[-1]
                # 1005 and 1006 are the library's own, and so are the words after them: no frame had a reason
                has_reason = starts_line or code not in (1005, 1006)
                reason = _bare(groups.get("reason") or "", not starts_line) if has_reason else ""
                return LoggedClose(code, reason, by)
    return None


def _code(match: re.Match[str]) -> int:
    """The code of a match, from its digits or its name; 0 for another name, or a word that no "code" precedes."""
    text = match["code"]
    if text[0].isdigit():
        return int(text[:9])  # a number of more digits than a code has stays out of range
    code, is_word = _names().get(_fold(text), (0, False))
    return code if not is_word or _CODE_KEY.search(match.string, match.start(), match.start("code")) else 0


def _code_beside(line: str, code: int) -> int:
    """The code in a line that has a known reason: after a key, else that of the row if its number or name is there."""
    for match in _KEYED_CODE.finditer(line):
        keyed = _code(match)
        if 1000 <= keyed < 5000:
            return keyed
    named = (_names().get(_fold(word), (0, True)) for word in re.findall(r"[A-Za-z]\w{3,49}", line))
    is_there = re.search(rf"(?<![\w.:-]){code}(?![\w-]|[.:]\d)", line) or (code, False) in named
    return code if is_there else 0


def _known_text(line: str) -> tuple[int, int, dict[str, Any]] | None:
    """Where the text of a row begins and ends in a line, and the row: the one with the most literal characters."""
    for row, literal, before, _ in _texts():
        at = line.find(literal)
        start = _start(line, at, before) if at >= 0 else -1
        text = line[start : start + 3 * close_rows.REASON_LIMIT]
        if start >= 0 and close_rows.pattern_of(row["match"]).match(text):
            return start, start + _length(line[start:], row["reason"], line[max(start - 1, 0) : start]), row
    return None


def _start(line: str, at: int, before: str) -> int:
    """Where a reason begins whose literal text is `at`; -1 if what stands before that in its row is not there."""
    if not before:
        return at
    if first := before.partition("{")[0]:
        return line.rfind(first, 0, at)
    floor = max(at - close_rows.REASON_LIMIT, 0)
    if before == "{what}":  # of several words
        return max((match.end() for match in _BEFORE_VALUE.finditer(line, floor, at)), default=floor)
    word = re.search(r"""[^\s"'(\[{=]+$""", line[floor:at])
    return floor + word.start() if word else -1


def _length(rest: str, reason: str, before: str) -> int:
    """How much of the rest of a line is the reason.

    Args:
        rest: the line from where the reason begins.
        reason: the whole reason as it is known.
        before: the character before it.
    """
    if before and before in "\"'`" and (quoted := _QUOTED.match(before + rest)):
        return len(quoted["text"])
    whole = reason.strip().rstrip(".")
    if rest.startswith(whole) and not re.match(r"\.?\s*\w", rest[len(whole) :]):
        return len(whole) + rest[len(whole) :].startswith(".")
    member = _NEXT_MEMBER.search(rest)
    text = rest[: member.start()] if member else rest
    extra = {last: text.count(last) - text.count(first) for first, last in ("()", "[]", "{}", "<>")}
    size = len(text)
    for char in reversed(text):
        if not (char.isspace() or char in "\"'`" or extra.get(char, 0) > 0):
            break
        if char in extra:  # a bracket that the text does not open
            extra[char] -= 1
        size -= 1
    return size


def _bare(text: str, may_be_member: bool) -> str:
    """A reason without the quotes and the members around it."""
    text = text.strip(" \t\r\n") if not may_be_member else text.strip(" \t\r\n:,-/")
    if quoted := _QUOTED.match(text):
        return re.sub(r"""\\(["'\\])""", r"\1", quoted["text"])
    return "" if may_be_member and (text == "." or _NO_REASON.fullmatch(text)) else text
