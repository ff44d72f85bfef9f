"""Profiles of models, from protocol/models.json.

- No model is named in code. An unknown id gets the `unknown` profile, which refuses nothing.
- A profile says what was seen until a date: readers warn by it, they do not refuse by it.
- A row with `since` or `until` applies only to a reader that names a month (`as_of`) between them.
"""

from functools import lru_cache
from typing import Any

from livews.core import protocol

Profile = dict[str, Any]


def bare_id(model: str) -> str:
    """The id without its prefix: `models/x`, `tunedModels/x`, `projects/p/.../publishers/google/models/x` -> `x`."""
    return model.rsplit("/", 1)[-1]


def surface_of(model: str) -> str:
    """The surface that a model's name is written for, "gemini" or "vertex"; "" for a bare id."""
    if "publishers/" in model or model.startswith("projects/"):
        return "vertex"
    return "gemini" if "/" in model else ""


_LONGEST = 200
"""Characters of the longest name whose profile is cached."""
_MERGED = ("wire", "vad", "life", "resumption")


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
    data = protocol.models()
    model_id = bare_id(model)
    best: tuple[int, Profile] | None = None
    for row in data["profiles"]:
        for pattern in row["ids"]:
            if _fits(pattern, model_id):
                weight = len(pattern) + (not pattern.endswith("*"))
                if best is None or weight > best[0]:
                    best = (weight, row)
    row = best[1] if best else {"name": model_id, **data["unknown"]}
    merged: Profile = {**data["defaults"], **row, "id": model_id}
    overlay = data["defaults"]["onVertex"] if surface == "vertex" else {}
    for name in _MERGED:
        merged[name] = {**data["defaults"][name], **overlay.get(name, {}), **row.get(name, {})}
    if row.get("known", True):
        merged["refuses"] = [*data["defaults"]["refuses"], *row.get("refuses", [])]
    merged["refusals"] = {}  # by rule and member at the top
    for refusal in merged["refuses"]:
        merged["refusals"].setdefault((refusal["rule"], refusal["at"].split("/")[1]), []).append(refusal)
    old = retired(model_id)
    merged["retired"] = old is not None
    if old:
        merged["replacedBy"] = old["replacedBy"]
    return merged


def retired(model: str) -> dict[str, Any] | None:
    """The row of a retired id, with `replacedBy` and, if it is known, the month `by` which it was gone; None for others."""
    model_id = bare_id(model)
    return next((row for row in protocol.models()["retired"] if row["id"] == model_id), None)


def default_model() -> str:
    """The id that is used if none is given."""
    return protocol.models()["default"]  # type: ignore[no-any-return]


def live_ids(surface: str) -> list[str]:
    """Ids that can be used today on "gemini" or "vertex", the newest first."""
    return [
        row["ids"][0]
        for row in protocol.models()["profiles"]
        if surface in row.get("surfaces", protocol.models()["defaults"]["surfaces"])
        and row.get("evidence") != ["livews"]
        and row.get("status") != "retired"
    ]


def holds(row: dict[str, Any], surface: str = "", as_of: str = "") -> bool:
    """Whether a row applies.

    Args:
        row: a row that may name a `surface`, `since` and `until`.
        surface: "gemini" or "vertex".
        as_of: a month such as "2026-03"; "" is today.
    """
    if "surface" in row and row["surface"] != surface:
        return False
    if not as_of:
        return "until" not in row
    month = as_of[:7]
    return bool(row.get("since", month) <= month <= row.get("until", month))


def voices() -> list[str]:
    """Names of prebuilt voices."""
    return protocol.models()["voices"]  # type: ignore[no-any-return]


def _fits(pattern: str, model_id: str) -> bool:
    return model_id.startswith(pattern[:-1]) if pattern.endswith("*") else model_id == pattern
