"""Why a socket closed: a code and a reason to a row of protocol/closes.json, and to advice.

- The reason says more than the code (CLOSE-3) and is cut at 123 bytes (CLOSE-2), so rows are matched on the start of
  the reason first; the code only breaks ties and decides when there is no reason.
- The most literal row wins: a row for `Unknown name "proactivity"` before the row for any unknown name.
- A reason nobody has written down is said to be that; the code still tells its class.
- A close is the doing of whoever sent it: a client's own is not laid on the service.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from livews.core import models, protocol, schema
from livews.core.schema import Sender

REASON_LIMIT = 123
"""Bytes of reason text a close frame has room for (RFC 6455: 125 less the code)."""

# What the code alone tells: the service maps its status codes onto four close codes (facts of CLOSE-3).
_CLASSES = {
    1000: "a normal end",
    1001: "the other side is going away",
    1002: "a WebSocket protocol error",
    1003: "a kind of data the other side does not take",
    1005: "a close frame without a code",
    1006: "the connection ended without a close frame",
    1007: "an invalid argument, a failed precondition or a bad key",
    1008: "not found, not permitted, not implemented or aborted",
    1009: "a message larger than the receiver takes",
    1011: "an internal error, a deadline, a quota or an unavailable backend",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What is known about one close.

    `kind` is one of arguments, credentials, quota, model, session, server, network, normal.
    `retry` is one of no, yes, backoff, resume, fresh.
    """

    code: int
    reason: str
    id: str
    meaning: str
    cause: str
    do: str
    retry: str
    kind: str
    confidence: str
    values: dict[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        return self.id != "unknown"


@dataclass(frozen=True, slots=True)
class _Pattern:
    row: dict[str, Any]
    regex: re.Pattern[str]
    literal: int


@cache
def _patterns() -> tuple[_Pattern, ...]:
    return tuple(
        _Pattern(row, _regex(row["match"]), _weight(row["match"])) for row in protocol.closes() if row["match"]
    )


def _regex(template: str) -> re.Pattern[str]:
    """A template as a pattern: literal text from the start, `{name}` for one or more characters.

    A value at the end takes the rest of its word, so that `{to}` in `... to {to}` is the number alone.
    """
    pieces = re.split(r"\{(\w+)\}", template)
    out = ""
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            out += re.escape(piece)
        else:
            last = i == len(pieces) - 2 and not pieces[-1]
            out += f"(?P<{piece}>" + (r"[^\s,;]+" if last else ".+?") + ")"
    return re.compile(out, re.DOTALL)


def _weight(template: str) -> int:
    return len(re.sub(r"\{\w+\}", "", template))


def _cut_short(template: str, reason: str) -> bool:
    """Is the reason the start of what this template says, cut off before the template ends?"""
    return len(reason) >= 12 and template.split("{", 1)[0].startswith(reason)


def _cut_inside(template: str, reason: str) -> dict[str, str] | None:
    """The values of a reason that was cut within one of them: a name so long that it left no room for the rest."""
    if len(reason.encode()) <= REASON_LIMIT - 4:  # the last character may have been one of four bytes
        return None
    ends = [value.end() for value in re.finditer(r"\{\w+\}", template)]
    found = (_regex(template[:end]).fullmatch(reason) for end in reversed(ends))
    return next((match.groupdict() for match in found if match), None)


def is_fine(code: int, by: Sender = "server") -> bool:
    """Does a close by this side want no explanation? A client may leave; a server that goes away is told."""
    return code in (1000, 1005) or (code == 1001 and by == "client")


def explain(code: int, reason: str = "", *, model: str = "", by: Sender = "server") -> Advice:
    """The advice for a close with this code and reason; `model` is the id the session asked for, when known.

    `by` is who sent it; for 1006, which nobody sends, whose end of the connection went away.
    """
    advice = _explain(code, reason, model)
    return advice if by == "server" else _of_client(advice)


def _of_client(advice: Advice) -> Advice:
    """A client's close: what the rows say of the service's does not hold for it."""
    if advice.code == 1006:
        return replace(
            advice,
            id="unknown",
            meaning="The client went away without a close frame.",
            cause="It was ended, it crashed, or it gives up a socket without closing it.",
            do="Nothing, if you ended it; else let it close with 1000 before it leaves.",
            retry="yes",
            confidence="none",
        )
    if is_fine(advice.code, "client") or (advice.known and protocol.close_row(advice.id)["surface"] == "client"):
        return advice
    return replace(
        advice,
        id="unknown",
        meaning=f"The client closed with {advice.code}; the service did not.",
        cause="Its program ended with an error, or its WebSocket library gave up.",
        do="Look at the client's own log: the code is the client's, and says nothing of the service.",
        retry="yes",
        kind="network",
        confidence="none",
        values={},
        also=(),
    )


def _explain(code: int, reason: str, model: str) -> Advice:
    reason = reason.strip().removeprefix("None. ")  # as google-genai puts it before the reason
    best: tuple[tuple[int, int], _Pattern, dict[str, str]] | None = None
    also: list[str] = []
    for pattern in _patterns():
        template = pattern.row["match"]
        found = pattern.regex.match(reason) if reason else None
        values = found.groupdict() if found else {}
        if found is None and pattern.row["code"] == code and (cut_values := _cut_inside(template, reason)):
            values = cut_values
        elif found is None and not (reason and _cut_short(template, reason)):
            continue
        rank = (pattern.literal if found else 0, int(pattern.row["code"] == code))
        if best is None or rank > best[0]:
            best = (rank, pattern, values)
    if best is not None:
        row, values = best[1].row, best[2]
        alike = [r for r in protocol.closes() if r["match"] == row["match"] and r["code"] == row["code"]]
        also = [r["cause"] for r in alike if r is not row]
        return _advice(code, reason, row, values, tuple(also), model)
    if not reason:
        for row in protocol.closes():
            if row["code"] == code and not row["match"]:
                return _advice(code, reason, row, {}, (), model)
    return _unknown(code, reason)


def explain_http(status: int, *, model: str = "", host: str = "") -> Advice:
    """The advice for an upgrade that was answered with an HTTP status instead of 101; `host` is the name or address that
    was dialled, when known: what a status means at Google need not hold for another server."""
    advice = _explain(0, f"HTTP {status}", model)
    if not host or not advice.known or f".{host}".lower().rstrip(".").endswith(".googleapis.com"):
        return advice
    return replace(advice, **protocol.close_row(advice.id).get("elsewhere", {}))


def _advice(
    code: int, reason: str, row: dict[str, Any], values: dict[str, str], also: tuple[str, ...], model: str
) -> Advice:
    if "say" in row and (whole := _regex(row["say"].split(":", 1)[0]).match(reason)):
        values = {**values, **whole.groupdict()}
    do = row["do"] + _hint(row, values, model)
    return Advice(
        code,
        reason,
        row["id"],
        row["meaning"],
        row["cause"],
        do,
        row["retry"],
        row["kind"],
        row["confidence"],
        values,
        also,
    )


def _hint(row: dict[str, Any], values: dict[str, str], model: str) -> str:
    """What the row's values add: the successor of a dead model, the place where an unknown name belongs."""
    if row["kind"] == "model":
        model = values.get("model", model)
        old = models.retired(model)
        if old:
            when = f" (gone by {old['by']})" if "by" in old else ""
            return f" {models.bare_id(model)} is retired{when}: use {old['replacedBy']}."
        successor = models.profile(model).get("replacedBy") if model else None
        surface = "vertex" if "publishers/" in model or row["surface"] == "vertex" else "gemini"
        hint = f" {models.bare_id(model)} is superseded by {successor}." if successor else ""
        return f"{hint} Ids known here: {', '.join(models.live_ids(surface))}."
    if row["id"].startswith("unknown-name") and "name" in values:
        homes = schema.homes(values["name"])
        if homes and row["id"] == "unknown-name":
            return f" {values['name']} is a member of {' and of '.join(homes[:3])}."
    return ""


def _unknown(code: int, reason: str) -> Advice:
    if not code and reason.startswith("HTTP "):
        return Advice(
            code,
            reason,
            "unknown",
            f"The upgrade to a WebSocket was answered with {reason}.",
            "The service itself upgrades even with a wrong key (CLOSE-3), so this is most likely a proxy, a gateway or "
            "another server.",
            "Check the URL and the proxy (HTTPS_PROXY).",
            "no",
            _KINDS[0],
            "none",
        )
    known = [row["match"] for row in protocol.closes() if row["code"] == code and row["match"]]
    cause = "This reason is not in protocol/closes.json: it is new, or it was never written down."
    if not reason and known:
        cause = f"No reason was given, and the code alone has many: {'; '.join(known[:12])} ..."
    meaning = f"Closed with {code}: {_CLASSES.get(code, 'a code livews has no record of')}."
    return Advice(
        code,
        reason,
        "unknown",
        meaning if code else "A reason without a code, and not one that was written down.",
        cause,
        "Run again with --trace FILE and look at the last frame sent before the close: it is the likeliest cause.",
        "backoff" if code == 1011 else "no",
        _KINDS.get(code, "server"),
        "none",
    )


_KINDS = {0: "network", 1000: "normal", 1006: "network", 1007: "arguments", 1008: "arguments"}


def frame_for(close_id: str, **values: str) -> tuple[int, str]:
    """The close the service would send: its code, and its reason cut at 123 bytes as the service cuts it."""
    row = protocol.close_row(close_id)
    text: str = row.get("say", row["reason"])
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    text = text.replace(" at ''", "")
    return row["code"], cut(text)


def cut(reason: str) -> str:
    """A reason as a close frame can carry it: at most 123 bytes, never half a character (CLOSE-2)."""
    return reason.encode()[:REASON_LIMIT].decode(errors="ignore")
