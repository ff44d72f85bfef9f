"""Profiles of models, from protocol/models.json.

- No model is named in code. An unknown id gets the `unknown` profile, which refuses nothing.
- A profile says what was seen until a date: readers warn by it, they do not refuse by it.
- The date is `as_of`, by default the revision of protocol/, never the clock. A row with `until` applies only to a reader
  that names a date.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from livews.core import protocol

Profile = dict[str, Any]


def bare_id(model: str) -> str:
    """The id without its prefix: `models/x`, `tunedModels/x`, `projects/p/.../publishers/google/models/x` -> `x`."""
    return model.rsplit("/", 1)[-1]


def surface_of(model: str) -> str:
    """The surface that a model's name is written for, "gemini" or "vertex"; "" for a bare id."""
    if not model.startswith("models/") and ("publishers/" in model or "/endpoints/" in model):
        return "vertex"
    return "gemini" if "/" in model else ""


_LONGEST = 200
"""Characters of the longest name whose profile is cached."""
_MERGED = ("wire", "vad", "life", "resumption", "seed", "tools")


def profile(model: str, surface: str = "") -> Profile:
    """The merged profile of a model.

    Args:
        model: its name, in any form that `bare_id` reads.
        surface: "gemini" or "vertex".
    """
    # names come from clients: few are cached, and no long one
    return (_profile if len(model) <= _LONGEST else _profile.__wrapped__)(model, surface)


@lru_cache(maxsize=256)
def _profile(model: str, surface: str) -> Profile:
    data, model_id = protocol.models(), bare_id(model)
    rows = {row["name"]: row for row in data["profiles"]}
    fitting = [(len(one), row) for row in rows.values() for one in row["ids"] if _fits(one, model_id)]
    is_listed = any(model_id in row["ids"] for _, row in fitting)
    row = max(fitting, key=lambda fit: fit[0])[1] if fitting else {"name": model_id}
    row = {**rows.get(row.get("like", ""), {}), **row}
    if not is_listed and "known" not in row:
        row |= data["unknown"]
    layers = [data["defaults"], row]
    if surface == "vertex":
        layers = [data["defaults"], data["defaults"]["onVertex"], row, row.get("onVertex", {})]
    merged: Profile = {"id": model_id}
    for layer in layers:
        merged |= {key: {**merged.get(key, {}), **value} if key in _MERGED else value for key, value in layer.items()}
    old = retired(model_id)
    merged["retired"] = old is not None
    if old:
        merged["replacedBy"] = old["replacedBy"]
    rows_about_members = list(_limits(merged)) if merged["known"] else []
    merged["refuses"] = [row for row in rows_about_members if not {"missing", "among"} & row.keys()]
    merged["limits"] = {}  # by rule and member at the top
    checks = [{**row, "among": data[row["among"]]} if "among" in row else row for row in protocol.checks()]
    for limit in (*rows_about_members, *checks):
        merged["limits"].setdefault((limit["rule"], limit["at"].split("/")[1]), []).append(limit)
    return merged


def _limits(merged: Profile) -> Iterator[dict[str, Any]]:
    """The rows about members that apply to a model: what it refuses, what it requires, and those of its fields."""
    yield from merged["refuses"]
    yield from ({**row, "missing": True} for row in merged.get("requires", ()))
    for row in protocol.models()["limits"]:
        name = row.get("field", "known")
        value = field(merged, name)
        if _applies(row, value):
            limit = {**row, "among": value} if "among" in row else dict(row)
            if name in merged["closes"] and "level" not in row:
                limit["close"] = merged["closes"][name]
            yield limit


def _applies(row: dict[str, Any], value: Any) -> bool:
    """Whether a row about a field is for a profile with this value."""
    if "in" in row:
        return value in row["in"]
    return row["lacks"] not in value if "lacks" in row else value is not None


def field(profile: Profile, path: str) -> Any:
    """A field of a profile by its name, `tools.behavior` for one inside another; None if it is not there."""
    value: Any = profile
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def retired(model: str) -> dict[str, Any] | None:
    """The row of a retired id, with `replacedBy` and, if it is known, the month `by` which it was gone; None for others."""
    return _row("retired", model)


def announced(model: str) -> dict[str, Any] | None:
    """The row of an id whose shutdown was announced, with `replacedBy` and the day `on` which it ends; None for others."""
    return _row("announced", model)


def _row(name: str, model: str) -> dict[str, Any] | None:
    return next((row for row in protocol.models()[name] if row["id"] == bare_id(model)), None)


def is_out(model: str, as_of: str = "") -> bool:
    """Whether an id was released by the end of `as_of`, a day or month; "" is the revision of protocol/."""
    row = profile(model)
    return has_come(protocol.models()["released"].get(row["id"], row.get("since", "")), as_of)


def is_unconfirmed(model: str) -> bool:
    """Whether an id is known from apps only."""
    return bare_id(model) in protocol.models()["unconfirmed"]


def is_gone(profile: Profile, as_of: str = "") -> bool:
    """Whether an id was retired by `as_of`, a day or month; "" is the revision of protocol/."""
    old = retired(profile["id"])
    return old is not None and has_come(old.get("by", ""), as_of)


def like(model: str, surface: str, as_of: str = "") -> list[str]:
    """The ids of "gemini" or "vertex" that may be meant by another one, two at most: the closest in spelling, but first its
    successor if it is superseded."""
    from difflib import get_close_matches  # not needed by a plain start

    rows = {one: row for row in _live(surface, as_of) for one in row["ids"] if not one.endswith("*")}
    near = get_close_matches(bare_id(model)[:_LONGEST].lower(), [one for one in rows if is_out(one, as_of)], 2, 0.7)
    near = list(dict.fromkeys(one for one in (*[successor(one, as_of) for one in near[:1]], *near) if one in rows))
    return sorted(near[:2], key=lambda one: _is_old(one, as_of))


def successor(model: str, as_of: str = "") -> str:
    """The id to use in place of another one: it is not superseded itself, as far as that is known."""
    seen = {model}
    while _is_old(model, as_of):
        by = profile(model).get("replacedBy", model)
        if by in seen or not is_out(by, as_of):
            break
        model = by
        seen.add(model)
    return model


def _is_old(model: str, as_of: str) -> bool:
    """Whether an id is superseded, or was announced to be gone by now."""
    row, leaving = profile(model), announced(model) or {}
    is_superseded = row["status"] in ("legacy", "retired") and is_out(row.get("replacedBy", ""), as_of)
    return is_superseded or (bool(leaving) and has_come(leaving["on"], as_of))


def default_model() -> str:
    """The id that is used if none is given."""
    return protocol.models()["default"]  # type: ignore[no-any-return]


def live_ids(surface: str) -> list[str]:
    """Ids that can be used today on "gemini" or "vertex", the newest first."""
    return [row["ids"][0] for row in _live(surface)]


def current_ids(surface: str, as_of: str = "") -> list[str]:
    """Those of the models that are not superseded and were released by `as_of`, a day or month."""
    ids = (row["ids"][0] for row in _live(surface, as_of))
    return [one for one in ids if is_out(one, as_of) and not _is_old(one, as_of)]


def status(model: str, as_of: str = "") -> str:
    """Of an id on a day or in a month: "current", "preview", "legacy", "retired", "unknown" or "not out yet"."""
    row = profile(model)
    if not is_out(model, as_of):
        return "not out yet"
    if is_gone(row, as_of):
        return "retired"
    is_early = row["status"] == "legacy" and not is_out(row["replacedBy"], as_of)
    return "current" if is_early or row["status"] == "retired" else str(row["status"])


def other_kind(model: str) -> str:
    """What an id is that is no Live model; "" for all others."""
    rows = (row for row in protocol.models()["others"] if re.search(row["matching"], bare_id(model)[:_LONGEST]))
    return next((row["is"] for row in rows), "")


def as_meant(name: str) -> tuple[str, list[str]]:
    """A model's name without what was typed into it by mistake, and what that was."""
    wrong = []
    for row in protocol.models()["typing"] if len(name) <= _LONGEST else ():
        head, slash, tail = name.rpartition("/") if "in" in row else ("", "", name)
        if head and not head.endswith("models"):
            continue
        after = tail.lower() if "lower" in row else re.sub(row["matching"], row["write"], tail)
        if after != tail and after:
            name = f"{head}{slash}{after}"
            wrong.append(row["is"])
    return name, wrong


def _live(surface: str, as_of: str = "") -> list[dict[str, Any]]:
    return [
        row
        for row in protocol.models()["profiles"]
        if surface in row.get("surfaces", protocol.models()["defaults"]["surfaces"])
        and row.get("evidence") != ["livews"]
        and (row.get("status") != "retired" or not is_gone(profile(row["ids"][0]), as_of))
    ]


def holds(row: dict[str, Any], surface: str = "", as_of: str = "") -> bool:
    """Whether a row applies.

    Args:
        row: a row that may name a `surface`, `since` and `until`, which are months.
        surface: "gemini" or "vertex".
        as_of: a day or month such as "2026-03"; "" is the revision of protocol/.
    """
    if "surface" in row and row["surface"] != surface:
        return False
    month = (as_of or protocol.models()["asOf"])[:7]
    return bool(row.get("since", month) <= month <= row.get("until", month))


def has_come(day: str, as_of: str = "") -> bool:
    """Whether a day or month has come by the end of `as_of`, a day or month; "" is the revision of protocol/."""
    return day <= f"{as_of or protocol.models()['asOf']}-99"


def voices() -> list[str]:
    """Names of prebuilt voices."""
    return protocol.models()["voices"]  # type: ignore[no-any-return]


def _fits(pattern: str, model_id: str) -> bool:
    return model_id.startswith(pattern[:-1]) if pattern.endswith("*") else model_id == pattern
