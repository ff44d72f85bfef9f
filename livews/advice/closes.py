"""Explain closes: from a close code and a reason to a row of protocol/closes.json and to advice.

- The reason says more than the code (CLOSE-3) and is cut at 123 bytes (CLOSE-2), so rows are matched on the start of
  the reason first; the code only breaks ties and decides when there is no reason.
- The most literal row wins: a row for `Unknown name "proactivity"` before the row for any unknown name.
- For a reason without a row, the code still gives its class.
- What the rows say holds for closes that the service sends, not for those of a client.
"""

import re
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from livews.advice import names
from livews.core import models, protocol
from livews.core.schema import Sender
from livews.core.walk import locate

REASON_LIMIT = 123
"""Bytes of a reason in a close frame (RFC 6455: 125 less the two of the code)."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What is known about one close."""

    code: int
    """The close code; 0 for an upgrade that was answered with an HTTP status."""
    reason: str
    id: str
    """The row in closes.json, "unknown" for none."""
    meaning: str
    cause: str
    do: str
    """What to do about it."""
    retry: str
    """Whether to try again: no, yes, backoff, resume (with the newest handle) or fresh (without a handle)."""
    kind: str
    """arguments, credentials, quota, model, session, server, network or normal."""
    confidence: str
    """How sure the row is, as in evidence.json; "none" without a row."""
    values: dict[str, str] = field(default_factory=dict)
    """What the reason has in the places of the row's `{name}`."""
    also: tuple[str, ...] = ()
    """Other causes of the same close."""

    @property
    def known(self) -> bool:
        """Whether closes.json has a row for it."""
        return self.id != "unknown"


@cache
def _patterns() -> list[tuple[dict[str, Any], re.Pattern[str], int]]:
    """The rows that match a reason, each as a pattern, with the number of literal characters in it."""
    rows = [row for row in protocol.closes() if row["match"]]
    return [(row, _regex(row["match"]), len(re.sub(r"\{\w+\}", "", row["match"]))) for row in rows]


def _regex(template: str) -> re.Pattern[str]:
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


def fits(row: dict[str, Any], reason: str) -> bool:
    """Whether a reason begins as a row says."""
    return _regex(row["match"]).match(reason) is not None


def _is_cut(template: str, reason: str) -> bool:
    """Whether a reason is the start of a template's literal text."""
    return len(reason) >= 12 and template.split("{", 1)[0].startswith(reason)


def _cut_inside(template: str, reason: str) -> dict[str, str] | None:
    """The values of a reason that was cut within one of them: a name so long that it left no room for the rest."""
    if len(reason.encode()) <= REASON_LIMIT - 4:  # the last character may have been one of four bytes
        return None
    ends = [value.end() for value in re.finditer(r"\{\w+\}", template)]
    matches = (_regex(template[:end]).fullmatch(reason) for end in reversed(ends))
    return next((match.groupdict() for match in matches if match), None)


def is_fine(code: int, by: Sender = "server") -> bool:
    """Whether a close by this side needs no explanation: that of a client that leaves. The service has no reason to."""
    return by == "client" and code in (1000, 1001, 1005)


def says_why(code: int, by: Sender = "server") -> bool:
    """Whether a close by this side is the service's answer to what was sent, and not only an end."""
    return by == "server" and code not in (1000, 1005, 1006)


def explain(
    code: int, reason: str = "", *, model: str = "", by: Sender = "server", announced: bool = False
) -> Advice:
    """The advice for a close.

    Args:
        code: the close code; 1006 for a connection that ended without a close frame.
        reason: the reason in the close frame.
        model: the model of the session, if it is known.
        by: who sent the close frame; for 1006, whose end of the connection went away.
        announced: the service had sent goAway before.
    """
    advice = _explain(code, reason, model)
    if by == "client":
        return _by_client(advice)
    if announced and not (advice.known and protocol.close_row(advice.id)["match"]):
        return replace(advice, **protocol.close_texts("announced"))
    return advice


def _by_client(advice: Advice) -> Advice:
    """The advice for a client's close, to which only the rows of clients apply."""
    if advice.code == 1006:
        meaning = "The client went away without a close frame."
        cause = "It was ended, it crashed, or it gives up a socket without closing it."
        do = "Nothing, if you ended it; otherwise let it close with 1000 before it leaves."
    elif is_fine(advice.code, "client") or (advice.known and protocol.close_row(advice.id)["surface"] == "client"):
        return replace(advice, **protocol.close_texts("byClient").get(str(advice.code), {}))
    elif row := next((row for row in _without_reason(advice.code) if row["surface"] == "client"), None):
        return _advice(advice.code, advice.reason, row, {}, "")
    elif texts := protocol.close_texts("byClient").get(str(advice.code)):
        meaning, cause, do = texts["meaning"], texts["cause"], texts["do"]
    else:
        meaning = f"The client closed with {advice.code}; the service did not."
        cause = "Its program ended with an error, or its WebSocket library gave up."
        do = "Look at the client's own log: the code is the client's, and says nothing of the service."
    return Advice(advice.code, advice.reason, "unknown", meaning, cause, do, "yes", "network", "none")


def _explain(code: int, reason: str, model: str) -> Advice:
    reason = reason.strip().removeprefix("None. ")  # as google-genai puts it before the reason
    whole, reason = reason, reason.encode(errors="replace")[:REASON_LIMIT].decode(errors="ignore")
    best: tuple[tuple[int, int], dict[str, Any], dict[str, str]] | None = None
    for row, pattern, literal in _patterns():
        match = pattern.match(reason) if reason else None
        values = match.groupdict() if match else {}
        if match is None and row["code"] == code and (cut_values := _cut_inside(row["match"], reason)):
            values = cut_values
        elif match is None and not (reason and _is_cut(row["match"], reason)):
            continue
        rank = (literal if match else 0, int(row["code"] == code))
        if best is None or rank > best[0]:
            best = (rank, row, values)
    if best is not None:
        return _advice(code, whole, best[1], best[2], model)
    rows = [row for row in _without_reason(code) if not reason or row.get("anyReason")]
    return _advice(code, whole, rows[0], {}, model) if rows else of_code(code, whole)


def _without_reason(code: int) -> list[dict[str, Any]]:
    """The rows that a code has without a reason."""
    return [row for row in protocol.closes() if row["code"] == code and not row["match"]]


def explain_http(status: int, *, model: str = "", host: str = "") -> Advice:
    """The advice for an upgrade that was answered with an HTTP status instead of 101.

    Args:
        status: the HTTP status.
        model: the model of the session, if it is known.
        host: the host that was dialled, if it is known: what a status means at Google need not hold for another server.
    """
    advice = _explain(0, f"HTTP {status}", model)
    if not host or not advice.known or f".{host}".lower().rstrip(".").endswith(".googleapis.com"):
        return advice
    return replace(advice, **protocol.close_row(advice.id).get("elsewhere", {}))


def _advice(code: int, reason: str, row: dict[str, Any], values: dict[str, str], model: str) -> Advice:
    if "say" in row and (match := _regex(row["say"].split(":", 1)[0]).match(reason[:REASON_LIMIT])):
        values = {**values, **match.groupdict()}
    alike = (r for r in protocol.closes() if row["match"] and (r["match"], r["code"]) == (row["match"], row["code"]))
    also = tuple(other["cause"] for other in alike if other is not row)
    words = {name: row[name] for name in ("id", "meaning", "cause", "retry", "kind", "confidence")}
    do = (
        f"{_place_of(reason)} {row['do']}".lstrip()
        if row["id"] == "unknown-name"
        else row["do"] + _hint(row, values, model)
    )
    return Advice(code, reason, do=do, values=values, also=also, **words)


def _hint(row: dict[str, Any], values: dict[str, str], model: str) -> str:
    """What the row's values add: the successor of a retired model."""
    if row["kind"] == "model":
        model = values.get("model", model)
        if old := models.retired(model):
            when = f" (gone by {old['by']})" if "by" in old else ""
            return f" {models.bare_id(model)} is retired{when}: use {old['replacedBy']}."
        successor = models.profile(model).get("replacedBy") if model else None
        surface = "vertex" if "publishers/" in model or row["surface"] == "vertex" else "gemini"
        hint = f" {models.bare_id(model)} is superseded by {successor}." if successor else ""
        return f"{hint} Ids known here: {', '.join(models.live_ids(surface))}."
    return ""


_UNKNOWN_NAME = re.compile(r"""Unknown name "([^"]{1,100})"(?: at '([^']*)('?))?""")


def _place_of(reason: str) -> str:
    """What is known of the unknown name in a reason: the object that has it, or what to send instead."""
    if not (match := _UNKNOWN_NAME.search(reason)):
        return ""
    name, path, end = match[1], match[2] or "", match[3]
    if path and not end:
        path = path.rpartition(".")[0]  # the reason was cut in the middle of a step
    path = re.sub(r"(\[\d+\])\.value\b", r"\1", path)  # as the service writes the items of a map
    steps = [int(index) if index else step for index, step in re.findall(r"\[(\d+)\]|([^.\[\]]+)", path)]
    of = locate("client", steps).type
    if of is None or name not in of.members:
        return names.correct(name, steps).fix
    instead = names.json_schema(steps)[1]
    on = of.members[name].on
    has = [names.SURFACES[surface] for surface in names.SURFACES if on.get(surface)]
    known = f" Known to have it: {', '.join(has)}." if has else ""
    return f"{of.name} does not have {name} on the surface and API version you reached.{known} {instead}".rstrip()


def of_code(code: int, reason: str = "") -> Advice:
    """The advice without a row: what the code means, and what to do about it."""
    texts = protocol.close_texts("codes")
    keys = (key for key in texts if key != "other" and _covers(key, code))
    row = texts[next(keys, "other")]
    meaning, cause, do = f"Closed with {code}: {row['means']}.", row["cause"], row["do"]
    if not code and reason.startswith("HTTP "):
        meaning = f"The upgrade to a WebSocket was answered with {reason}."
    elif not code:
        meaning, cause, do = protocol.close_texts("unmatched").values()
    elif reason:
        cause = f"This reason is not in protocol/closes.json. {cause}"
    return Advice(code, reason, "unknown", meaning, cause, do, row["retry"], row["kind"], "none")


def _covers(key: str, code: int) -> bool:
    """Whether a key of `codes` is this code, or a range with it."""
    low, _, high = key.partition("-")
    return int(low) <= code <= int(high or low)


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
