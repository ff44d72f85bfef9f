"""Parse a close from a line of a log: who closed, with which code and reason.

- `_FORMS` are the forms in which libraries write it, the most specific first; a new one is a row there.
- A line in none of these forms is a reason without a code: nothing is guessed.
- A number is a code only in the place of one: a date, a size or a duration is none.
"""

import re
from dataclasses import dataclass

from livews.core.schema import Sender


@dataclass(frozen=True, slots=True)
class LoggedClose:
    """The close in a line of a log."""

    code: int
    """A close code, an HTTP status (below 1000), or 0 if there is none."""
    reason: str
    by: Sender = "server"


_CODE = r"(?P<code>10(?:0\d|1[0-5])|[34]\d{3})(?![\d-])"
_HTTP = r"(?P<code>[2-5]\d\d)\b"
_NAMED = r"\((?:[^()]*)\)"
"""A library's name of the code: `(internal error)`."""
_REASON = r"(?P<reason>.*)"
_KEY = r"""["']?\s*[=:]\s*"""

_FORMS = tuple(
    re.compile(form, re.DOTALL)
    for form in (
        # websockets, str() of ConnectionClosed: the side named first closed first
        rf"\b(?P<by>received|sent) {_CODE} {_NAMED}(?: (?P<reason>.*?))?(?:; (?:then|no close frame) .*)?$",
        # websockets at DEBUG: `< CLOSE 1011 (internal error) Internal error encountered. [30 bytes]`
        rf"(?P<by>[<>]) CLOSE {_CODE} {_NAMED}(?: (?P<reason>.*?))??(?: \[\d+ bytes\])?$",
        r"\b(?P<none>no close frame received or sent)\b",
        # an upgrade that was refused: websockets, aiohttp, ws, Chrome, websocket-client; a status line, an access log
        rf"\bHTTP(?:/\d(?:\.\d)?)?\"? {_HTTP}",
        rf"\bWSServerHandshakeError: {_HTTP}",
        rf"\b[Uu]nexpected (?:server response|response code): {_HTTP}",
        rf"\bHandshake status {_HTTP}",
        # google-genai: APIError, whose status is None
        rf"\b{_CODE} None\.(?: {_REASON})?$",
        # aiohttp: WSMessage
        rf"\bWSMsgType\.CLOSE\b.*?\bdata={_CODE}(?:, extra=(?P<reason>.*?)\)?)?$",
        # CloseEvent of a browser, of Node and of ws, and what people print themselves, with the reason after or before
        rf"(?<![\w.])[\"']?code{_KEY}{_CODE}(?: {_NAMED})?.*?\breason{_KEY}{_REASON}",
        rf"(?<![\w.])[\"']?reason{_KEY}(?P<reason>.*?),\s*[\"']?code{_KEY}{_CODE}",
        rf"(?<![\w.])[\"']?code{_KEY}{_CODE}(?: {_NAMED})?(?P<reason>[\s:,].*)?",
        # gorilla/websocket, `closed with code 1011: ...`
        rf"\b[Cc]lose[d]?(?: (?:with|code|status|by (?:the )?(?:server|peer|remote)))*:? {_CODE}(?: {_NAMED})?{_REASON}",
        # the code first, as in an argument of `livews explain`: `1007: Request contains ...`, `1011 (internal error) Internal ...`
        rf"^(?P<code>\d+$|\d{{3,4}}\b(?![-/:.]\d))[\s:,.]*(?:(?<=\s){_NAMED})?{_REASON}",
    )
)
_QUOTED = re.compile(r"""b?(?P<quote>["'])(?P<text>.*?)(?<!\\)(?P=quote)\s*(?=[,;})\]]|$)""", re.DOTALL)
_NO_REASON = re.compile(
    r"(?:no reason\b|None\b|null\b|undefined\b|<none>|wasClean\b|type\b|\w+=|[})\]]).*", re.DOTALL
)
"""A missing reason, or the next member in its place."""


def parse_close(line: str) -> LoggedClose:
    """The close in a line; if the line has none of the known forms, all of it is the reason."""
    line = line.strip()
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
