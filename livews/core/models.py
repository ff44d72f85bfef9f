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
    checks = [
        {**row, "among": data[row["among"]]} if "among" in row else row
        for row in protocol.load("rules.json")["checks"]
    ]
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


def is_gone(profile: Profile, as_of: str = "") -> bool:
    """Whether an id was retired by `as_of`, a day or month; "" is the revision of protocol/."""
    old = retired(profile["id"])
    return old is not None and has_come(old.get("by", ""), as_of)


def default_model() -> str:
    """The id that is used if none is given."""
    return protocol.models()["default"]  # type: ignore[no-any-return]


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
