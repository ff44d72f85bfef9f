"""Who closed, with what code and what reason, out of a line as a log has it.

- `_FORMS` are how libraries write it, the most particular first; a new one is a row there.
- What is in none of these forms is a reason, whole, without a code: nothing is guessed.
- A number counts as a code only in the place of one: a date, a size or a duration is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from livews.core.schema import Sender


@dataclass(frozen=True, slots=True)
class LoggedClose:
    """What a line says of an end. `code` is a close code, an HTTP status below 1000, or 0 where it has none."""

    code: int
    reason: str
    by: Sender = "server"


_CODE = r"(?P<code>10(?:0\d|1[0-5])|[34]\d{3})(?![\d-])"
_HTTP = r"(?P<code>[2-5]\d\d)\b"
_NAMED = r"\((?:[^()]*)\)"
"""What a library calls the code: `(internal error)`."""
_REASON = r"(?P<reason>.*)"
_KEY = r"""["']?\s*[=:]\s*"""

_FORMS = tuple(
    re.compile(form, re.DOTALL)
    for form in (
        # websockets, str() of ConnectionClosed: who is named first closed first
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
        # CloseEvent of a browser, of Node and of ws, and what people print themselves, with the reason behind or before
        rf"(?<![\w.])[\"']?code{_KEY}{_CODE}(?: {_NAMED})?.*?\breason{_KEY}{_REASON}",
        rf"(?<![\w.])[\"']?reason{_KEY}(?P<reason>.*?),\s*[\"']?code{_KEY}{_CODE}",
        rf"(?<![\w.])[\"']?code{_KEY}{_CODE}(?: {_NAMED})?(?P<reason>[\s:,].*)?",
        # gorilla/websocket, `closed with code 1011: ...`
        rf"\b[Cc]lose[d]?(?: (?:with|code|status|by (?:the )?(?:server|peer|remote)))*:? {_CODE}(?: {_NAMED})?{_REASON}",
        # the code first, as it is asked here: `1007: Request contains ...`, `1011 (internal error) Internal ...`
        rf"^(?P<code>\d+$|\d{{3,4}}\b(?![-/:.]\d))[\s:,.]*(?:(?<=\s){_NAMED})?{_REASON}",
    )
)
_QUOTED = re.compile(r"""b?(?P<quote>["'])(?P<text>.*?)(?<!\\)(?P=quote)\s*(?=[,;})\]]|$)""", re.DOTALL)
_NO_REASON = re.compile(
    r"(?:no reason\b|None\b|null\b|undefined\b|<none>|wasClean\b|type\b|\w+=|[})\]]).*", re.DOTALL
)
"""No reason, or none but the next member."""


def parse_close(line: str) -> LoggedClose:
    """The end that a line tells of; the line itself as the reason where it is in no form known here."""
    line = line.strip()
    for form in _FORMS:
        if found := form.search(line):
            said = found.groupdict()
            if said.get("none"):
                return LoggedClose(1006, "")
            by: Sender = "client" if said.get("by") in ("sent", ">") else "server"
            code, first = int(said["code"][:9]), form is _FORMS[-1]  # more digits than a code has stay out of range
            # 1005 and 1006 are the library's own, and so are the words behind them: no frame had a reason
            reason = "" if code in (1005, 1006) and not first else _bare(said.get("reason") or "", not first)
            return LoggedClose(code, reason, by)
    return LoggedClose(0, line)


def _bare(text: str, may_be_member: bool) -> str:
    """A reason without the quotes and the members around it."""
    text = text.strip(" \t\r\n") if not may_be_member else text.strip(" \t\r\n:,-")
    if quoted := _QUOTED.match(text):
        return re.sub(r"""\\(["'\\])""", r"\1", quoted["text"])
    return "" if may_be_member and _NO_REASON.fullmatch(text) else text
