"""Advice about models: which one is meant by a name, and which one to use in place of another.

- Facts are in protocol/models.json; which model is known, retired or out is decided in the core.
"""

from typing import Any

from livews.core import model_rules, models, protocol
from livews.core.findings import ApiTarget, Context, Finding
from livews.core.reading import Reading

_LONGEST = 200
"""Characters of a name that are compared with others."""


def like(model: str, surface: str, as_of: str = "") -> list[str]:
    """The ids of "gemini" or "vertex" that may be meant by another one, two at most: the closest in spelling, but first its
    successor if it is superseded."""
    from difflib import get_close_matches  # not needed by a plain start

    rows = {one: row for row in _live(surface, as_of) for one in row["ids"] if not one.endswith("*")}
    near = get_close_matches(
        models.bare_id(model)[:_LONGEST].lower(), [one for one in rows if models.is_out(one, as_of)], 2, 0.7
    )
    near = list(dict.fromkeys(one for one in (*[successor(one, as_of) for one in near[:1]], *near) if one in rows))
    return sorted(near[:2], key=lambda one: _is_old(one, as_of))


def successor(model: str, as_of: str = "") -> str:
    """The id to use in place of another one: it is not superseded itself, as far as that is known."""
    seen = {model}
    while _is_old(model, as_of):
        by = models.profile(model).get("replacedBy", model)
        if by in seen or not models.is_out(by, as_of):
            break
        model = by
        seen.add(model)
    return model


def _is_old(model: str, as_of: str) -> bool:
    """Whether an id is superseded, or was announced to be gone by now."""
    row, leaving = models.profile(model), models.announced(model) or {}
    is_superseded = row["status"] in ("legacy", "retired") and models.is_out(row.get("replacedBy", ""), as_of)
    return is_superseded or (bool(leaving) and models.has_come(leaving["on"], as_of))


def live_ids(surface: str) -> list[str]:
    """Ids that can be used today on "gemini" or "vertex", the newest first."""
    return [row["ids"][0] for row in _live(surface)]


def current_ids(surface: str, as_of: str = "") -> list[str]:
    """Those of the models that are not superseded and were released by `as_of`, a day or month."""
    ids = (row["ids"][0] for row in _live(surface, as_of))
    return [one for one in ids if models.is_out(one, as_of) and not _is_old(one, as_of)]


def status(model: str, as_of: str = "") -> str:
    """Of an id on a day or in a month: "current", "preview", "legacy", "retired", "unknown" or "not out yet"."""
    row = models.profile(model)
    if not models.is_out(model, as_of):
        return "not out yet"
    if models.is_gone(row, as_of):
        return "retired"
    is_early = row["status"] == "legacy" and not models.is_out(row["replacedBy"], as_of)
    return "current" if is_early or row["status"] == "retired" else str(row["status"])


def _live(surface: str, as_of: str = "") -> list[dict[str, Any]]:
    return [
        row
        for row in protocol.models()["profiles"]
        if surface in row.get("surfaces", protocol.models()["defaults"]["surfaces"])
        and row.get("evidence") != ["livews"]
        and (row.get("status") != "retired" or not models.is_gone(models.profile(row["ids"][0]), as_of))
    ]


def right_name(name: str, target: ApiTarget) -> str:
    """How a name is written in the form of `target`, as far as that is certain: without the project, which is not known."""
    right, _ = models.as_meant(name)
    row, _ = model_rules.misnamed(right, target)
    return row["form"].replace("{model}", models.bare_id(right)) if row and "{project}" not in row["form"] else right


# Hints for the findings of the model rules: what is added to the complaint, and what to do


def unknown(result: Finding, reading: Reading, context: Context) -> tuple[str, str]:
    model, target = models.bare_id(reading.message["setup"]["model"]), context.target
    near = like(model, target.surface, target.as_of)
    is_unconfirmed = model in protocol.models()["unconfirmed"]
    seen = ", and apps that name it are the only trace of it" if is_unconfirmed else ""
    fix = f"Use {near[0]}, or another one: `livews models` lists the Live models." if near else ""
    return seen + _did_you_mean(near), fix


def other(result: Finding, reading: Reading, context: Context) -> tuple[str, str]:
    """A model that is no Live model, or was not out yet."""
    ids = current_ids(context.target.surface, context.target.as_of)
    is_known = models.profile(reading.message["setup"]["model"], context.target.surface)["known"]
    hint = "" if is_known else f"; the Live models are {', '.join(ids)}"
    return hint, f"Use {ids[0]}: `livews models` lists the Live models." if ids else ""


def retired(result: Finding, reading: Reading, context: Context) -> tuple[str, str]:
    return "", f"Use {successor(models.bare_id(reading.message['setup']['model']), context.target.as_of)}."


def misnamed(result: Finding, reading: Reading, context: Context) -> tuple[str, str]:
    """A name with something that was typed by mistake; nothing for one in another form."""
    name, (surface, _, as_of) = reading.message["setup"]["model"], context.target
    right, wrong = models.as_meant(name)
    if not wrong:
        return "", ""
    meant = models.profile(right, surface)
    near = [] if meant["known"] else like(right, surface, as_of)
    near = [successor(right, as_of)] if models.is_gone(meant, as_of) else near
    right = model_rules.without_project(right_name(name, context.target))
    return _did_you_mean(near), f"Use {near[0]}." if near else f"Write {right}."


def foreign(result: Finding, reading: Reading, context: Context) -> tuple[str, str]:
    """A model of another surface; nothing for one that another location serves."""
    model, (surface, _, as_of) = models.bare_id(reading.message["setup"]["model"]), context.target
    if not result.fix.startswith("Connect"):
        return "", ""
    return "", f"Use {' or '.join(like(model, surface, as_of)) or models.default_model()}, or c{result.fix[1:]}"


def _did_you_mean(near: list[str]) -> str:
    return f"; did you mean {' or '.join(near)}?" if near else ""
