"""Explain closes: from a close code and a reason to advice. Which row of protocol/closes.json fits is for the core.

- For a reason without a row, the code still gives its class.
- What the rows say holds for closes that the service sends, not for those of a client.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from livews.advice import model_advice, names
from livews.core import close_rows, models, protocol
from livews.core.schema import SURFACES, Sender, locate


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
        return replace(advice, **protocol.load("closes.json")["announced"])
    return advice


def _by_client(advice: Advice) -> Advice:
    """The advice for a client's close, to which only the rows of clients apply."""
    if advice.code == 1006:
        meaning = "The client went away without a close frame."
        cause = "It was ended, it crashed, or it gives up a socket without closing it."
        do = "Nothing, if you ended it; otherwise let it close with 1000 before it leaves."
    elif is_fine(advice.code, "client") or (advice.known and protocol.close_row(advice.id)["surface"] == "client"):
        return replace(advice, **protocol.load("closes.json")["byClient"].get(str(advice.code), {}))
    elif row := next((row for row in close_rows.without_reason(advice.code) if row["surface"] == "client"), None):
        return _advice(advice.code, advice.reason, row, {}, "")
    elif texts := protocol.load("closes.json")["byClient"].get(str(advice.code)):
        meaning, cause, do = texts["meaning"], texts["cause"], texts["do"]
    else:
        meaning = f"The client closed with {advice.code}; the service did not."
        cause = "Its program ended with an error, or its WebSocket library gave up."
        do = "Look at the client's own log: the code is the client's, and says nothing of the service."
    return Advice(advice.code, advice.reason, "unknown", meaning, cause, do, "yes", "network", "none")


def _explain(code: int, reason: str, model: str) -> Advice:
    reason = reason.strip().removeprefix("None. ")  # as google-genai puts it before the reason
    match = close_rows.match(code, reason)
    return _advice(code, reason, *match, model) if match else of_code(code, reason)


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
        return f"{hint} Ids known here: {', '.join(model_advice.live_ids(surface))}."
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
    has = [SURFACES[surface] for surface in SURFACES if on.get(surface)]
    known = f" Known to have it: {', '.join(has)}." if has else ""
    return f"{of.name} does not have {name} on the surface and API version you reached.{known} {instead}".rstrip()


def of_code(code: int, reason: str = "") -> Advice:
    """The advice without a row: what the code means, and what to do about it."""
    texts = protocol.load("closes.json")["codes"]
    keys = (key for key in texts if key != "other" and _covers(key, code))
    row = texts[next(keys, "other")]
    meaning, cause, do = f"Closed with {code}: {row['means']}.", row["cause"], row["do"]
    if not code and reason.startswith("HTTP "):
        meaning = f"The upgrade to a WebSocket was answered with {reason}."
    elif not code:
        meaning, cause, do = protocol.load("closes.json")["unmatched"].values()
    elif reason:
        cause = f"This reason is not in protocol/closes.json. {cause}"
    return Advice(code, reason, "unknown", meaning, cause, do, row["retry"], row["kind"], "none")


def _covers(key: str, code: int) -> bool:
    """Whether a key of `codes` is this code, or a range with it."""
    low, _, high = key.partition("-")
    return int(low) <= code <= int(high or low)
