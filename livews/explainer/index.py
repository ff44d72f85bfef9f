"""Look up a name in protocol/: a member, a message, a type, a value, a signal, a state, a model ...

- A name is matched exactly first; only if nothing has it, case, dashes and underscores are ignored.
- Nothing is fetched.
"""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

from livews import walk
from livews.advice import model_advice
from livews.core import models, protocol, schema
from livews.explainer import locations
from livews.explainer.entries import Entry, entries_of_kind, member_entry, type_entry, value_entry
from livews.explainer.locations import MemberLocation

LONGEST = 300
"""Characters of a name that is looked up; none has more."""
_DEEPEST = 20
"""Steps of a path that is compared with known ones; hardly one has half as many."""


class LookupResult(NamedTuple):
    """All that a name stands for."""

    entries: list[Entry]
    places: list[MemberLocation]
    """Other members of this name, which have names of their own to ask for."""


NOTHING = LookupResult([], [])


def look_up(name: str) -> LookupResult:
    """Everything a name stands for.

    Args:
        name: a name, or a path as a JSON pointer or with dots, in either spelling.
    """
    name = name.strip()
    if not name or len(name) > LONGEST:
        return NOTHING
    for spelling in dict.fromkeys((name, _folded_names().get(_fold(name), name))):
        if (result := _named(spelling)) != NOTHING:
            return result
    return _at_path(name)


def _named(name: str) -> LookupResult:
    """A message, or the best known member right inside one, comes before other members of its name. Signals that its
    entry describes have no entry of their own."""
    members = _members(name)
    high = [place for place in members if place.depth <= 2]
    if any(place.type_id in schema.ENVELOPE.values() for place in high):
        chosen = [max(high, key=lambda place: len(locations.note_of(place.type_id, place.member)["evidence"]))]
    else:
        chosen = members if len(members) == 1 else []
    entries = [member_entry(place) for place in chosen]
    signals = {signal["name"] for entry in entries for signal in entry.facts["signals"]}
    entries += (entry for entry in _others(name) if entry.kind != "signal" or entry.name not in signals)
    return LookupResult(entries, [place for place in members if place not in chosen])


def _others(name: str) -> Iterator[Entry]:
    """What a name stands for besides members."""
    things = [thing for thing in _names().get(name, ()) if thing[0] != "member"]
    if not things and len(models.bare_id(name)) <= LONGEST and models.profile(name)["known"]:
        things = [("model", name)]
    for kind, key in things:
        if kind == "value":
            yield value_entry(key, name)
        elif kind == "type":
            tops = [p for p in locations.users(schema.table(key).name) if p.type_id in schema.ENVELOPE.values()]
            if not tops:
                yield type_entry(key)
            elif name != tops[0].member.name:
                yield member_entry(tops[0])
        else:
            yield from entries_of_kind(kind, name)


def _at_path(name: str) -> LookupResult:
    """What is at a path from the top of a message, else from a type, else from any member of that name."""
    steps = locations.steps_of(name)
    if not steps:
        return NOTHING
    starts = [(envelope, steps) for envelope in schema.ENVELOPE.values()]
    ends = [end for start, rest in starts if (end := locations.follow(start, rest))]
    at = ends[0].path if ends else ""
    if not ends and not name.startswith("/"):
        starts = [(key, steps[1:]) for kind, key in _names().get(steps[0], ()) if kind == "type"]
        starts += [(place.type_id, steps) for place in _members(steps[0])]
        ends = [end for start, rest in starts if (end := locations.follow(start, rest))]
    of_members = {(end.member.target or end.owner, end.value) for end in ends if end.value and end.member}
    of_types = [(end.owner, end.value) for end in ends if end.value and not end.member]
    asks = sorted(
        {f"{schema.table(end.owner).name}.{end.member.name}" for end in ends if end.member and not end.value}
    )
    places = [locations.all_members()[ask] for ask in asks]
    entries = [value_entry(type_id, value) for type_id, value in (*sorted(of_members), *of_types)]
    if len(places) == 1 and not entries:
        return LookupResult([member_entry(places[0], at)], [])
    return LookupResult(entries, places)


# Names that are close


def nearest(name: str, most: int = 4) -> list[str]:
    """What may have been meant: the locations of a path's last member, else the names that are close."""
    name = name.strip()[:LONGEST]
    steps = [step for step in locations.steps_of(name) if not locations.is_index(step)]
    if paths := _paths_like(steps):
        return paths[:most]
    names = [name, *steps[-1:]]
    if places := _members(names[-1]):
        return [place.paths[0][1] if place.paths else place.ask for place in places][:most]
    known = _folded_names()
    close = [known[key] for one in names for key in get_close_matches(_fold(one), known, n=most, cutoff=0.7)]
    return list(dict.fromkeys(close))[:most]


def _paths_like(steps: list[str]) -> list[str]:
    """Paths whose last steps are spelled nearly like these, for the closest name of the last step."""
    if not 2 <= len(steps) <= _DEEPEST:
        return []
    folded = [_fold(step) for step in steps]
    members = {_fold(name): name for name in _names() if _members(name)}
    for key in get_close_matches(folded[-1], members, n=4, cutoff=0.7):
        paths = dict.fromkeys(path for place in _members(members[key]) for _, path in place.paths)
        if alike := [path for path in paths if _ends_like(path, folded)]:
            return sorted(alike, key=lambda path: path.count("/"))
    return []


def _ends_like(path: str, folded: list[str]) -> bool:
    end = [_fold(step) for step in locations.steps_of(path) if step != "*"][-len(folded) :]
    return len(end) == len(folded) and all(
        get_close_matches(known, [step], cutoff=0.7) for known, step in zip(end, folded, strict=True)
    )


def models_like(name: str) -> list[str]:
    """The current models, if a name is built like the id of one."""
    ids = list(dict.fromkeys([*model_advice.live_ids("gemini"), *model_advice.live_ids("vertex")]))
    family, dash, _ = models.bare_id(name.strip()[:LONGEST]).lower().partition("-")
    return ids if dash and family in {model.partition("-")[0] for model in ids} else []


# All names


def _fold(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


@cache
def _folded_names() -> dict[str, str]:
    """Every name by its folded form; the first of several that are alike."""
    return {_fold(name): name for name in reversed(_names())}


@cache
def _names() -> dict[str, list[tuple[str, str]]]:
    """All that a name stands for: kinds, each with the `ask` of a member, the $id of a type, or the name."""
    machine, about = protocol.machine(), protocol.models()
    by_name: dict[str, list[tuple[str, str]]] = {}

    def add(kind: str, names: Iterable[str], key: str = "") -> None:
        for name in filter(None, dict.fromkeys(names)):
            by_name.setdefault(name, []).append((kind, key or name))

    for ask, place in locations.all_members().items():
        add("member", (place.member.name, place.member.snake), ask)
    notes: dict[str, tuple[str, dict[str, Any]]] = {}  # of types with the same title, the first
    for type_id, row in walk.schemas().items():
        notes.setdefault(row["title"], (type_id, row.get("x-livews", {})))
    for title, (type_id, note) in notes.items():
        proto = note.get("proto", "")
        add("type", (title, note.get("sdk", ""), proto, proto.rpartition(".")[2]), type_id)
    for type_id, note in notes.values():
        add("value", note.get("values", ()), type_id)
    add("signal", (signal["name"] for signal in machine["signals"]))
    add("region", machine["regions"])
    add("state", (state for region in machine["regions"].values() for state in region["states"]))
    add("effect", machine["effects"])
    add("trait", machine["traits"])
    ids = (name for row in about["profiles"] for name in (row["name"], *row["ids"]) if not name.endswith("*"))
    add("model", (*ids, *(row["id"] for row in about["retired"])))
    add("voice", about["voices"])
    add("rule", protocol.rules())
    add("close", (row["id"] for row in protocol.closes()))
    add("evidence", protocol.load("evidence.json")["evidence"])
    add("scenario", (path.stem for path in sorted((protocol.root() / "scenarios").glob("*.json"))))
    return by_name


def _members(name: str) -> list[MemberLocation]:
    """The members of a name, the nearest to the top first."""
    return [locations.all_members()[key] for kind, key in _names().get(name, ()) if kind == "member"]
