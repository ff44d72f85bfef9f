"""Look up a name in protocol/: a member, a message, a type, a value, a signal, a state, a model ...

- A name is matched exactly first; only if nothing has it, case, dashes and underscores are ignored.
- Nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from livews.core import models, protocol, schema
from livews.explainer import locations
from livews.explainer.entries import Entry, entries_of_kind, member_entry, type_entry, value_entry

__all__ = ["LONGEST", "Entry", "LookupResult", "look_up", "models_like", "nearest"]

LONGEST = 300
"""Characters of a name that is looked up; none has more."""
_DEEPEST = 20
"""Steps of a path that is compared with known ones; hardly one has half as many."""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """All that a name stands for."""

    entries: tuple[Entry, ...] = ()
    places: tuple[locations.MemberLocation, ...] = ()
    """Other members of this name, which have names of their own to ask for."""

    def __bool__(self) -> bool:
        return bool(self.entries or self.places)


def look_up(name: str) -> LookupResult:
    """Everything a name stands for.

    Args:
        name: a name, or a path as a JSON pointer or with dots, in either spelling.
    """
    name = name.strip()
    if not name or len(name) > LONGEST:
        return LookupResult()
    for spelling in dict.fromkeys((name, _folded_names().get(_fold(name), name))):
        members, entries = locations.by_member().get(spelling, ()), tuple(_others(spelling))
        if members or entries:
            return _chosen(members, entries)
    return _at_path(name)


def _chosen(members: tuple[locations.MemberLocation, ...], entries: tuple[Entry, ...]) -> LookupResult:
    """A message, or the best known member right inside one, comes before other members of its name. Signals that its
    entry describes have no entry of their own."""
    high = [place for place in members if place.paths and place.depth <= 2]
    is_top = any(place.type_id in locations.ENVELOPES.values() for place in high)
    chosen = [max(high, key=_evidence)] if is_top else members if len(members) == 1 else ()
    described = [member_entry(place) for place in chosen]
    signals = {signal["name"] for entry in described for signal in entry.facts.get("signals", ())}
    entries = tuple(entry for entry in entries if entry.kind != "signal" or entry.name not in signals)
    return LookupResult((*described, *entries), tuple(place for place in members if place not in chosen))


def _evidence(place: locations.MemberLocation) -> int:
    """How many sources have a member."""
    return len(protocol.schema(place.type_id)["properties"][place.member.name]["x-livews"]["evidence"])


def _at_path(name: str) -> LookupResult:
    """What is at a path from the top of a message, else from a type, else from any member of that name."""
    steps = locations.steps_of(name)
    if not steps:
        return LookupResult()
    ends = [end for envelope in locations.ENVELOPES.values() if (end := locations.follow(envelope, steps))]
    is_absolute = bool(ends)
    if not ends and not name.startswith("/"):
        starts = [(type_id, steps[1:]) for type_id in locations.by_type().get(steps[0], ())]
        starts += [(place.type_id, steps) for place in locations.by_member().get(steps[0], ())]
        ends = [end for start, rest in starts if (end := locations.follow(start, rest))]
    values = {(end.member.target or "", end.value) for end in ends if end.value and end.member}
    entries = [value_entry(type_id, value) for type_id, value in sorted(values) if type_id]
    keys = sorted({_key(end) for end in ends if end.member and not end.value})
    if len(keys) == 1 and not entries:
        return LookupResult((member_entry(locations.all_members()[keys[0]], ends[0].path if is_absolute else ""),))
    entries += [value_entry(end.owner, end.value) for end in ends if end.value and not end.member]
    return LookupResult(tuple(entries), tuple(locations.all_members()[key] for key in keys))


def _key(end: locations.PathEnd) -> tuple[str, str]:
    return schema.table(end.owner).name, end.member.name if end.member else ""


# Names that are close


def nearest(name: str, most: int = 4) -> list[str]:
    """What may have been meant: the locations of a path's last member, else the names that are close."""
    name = name.strip()[:LONGEST]
    steps = [step for step in locations.steps_of(name) if not locations.is_index(step)]
    if paths := _paths_like(steps):
        return paths[:most]
    names = [name, *steps[-1:]]
    if places := locations.by_member().get(names[-1], ()):
        return [place.paths[0][1] if place.paths else place.ask for place in places][:most]
    known = _folded_names()
    close = [known[key] for one in names for key in get_close_matches(_fold(one), known, n=most, cutoff=0.7)]
    return list(dict.fromkeys(close))[:most]


def _paths_like(steps: list[str]) -> list[str]:
    """Paths whose last steps are spelled nearly like these, for the closest name of the last step."""
    if not 2 <= len(steps) <= _DEEPEST:
        return []
    folded = [_fold(step) for step in steps]
    members = {_fold(name): places for name, places in locations.by_member().items()}
    for key in get_close_matches(folded[-1], members, n=4, cutoff=0.7):
        paths = dict.fromkeys(path for place in members[key] for _, path in place.paths)
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
    ids = list(dict.fromkeys([*models.live_ids("gemini"), *models.live_ids("vertex")]))
    family, dash, _ = models.bare_id(name.strip()[:LONGEST]).lower().partition("-")
    return ids if dash and family in {model.partition("-")[0] for model in ids} else []


def _fold(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


@cache
def _folded_names() -> dict[str, str]:
    """Every name by its folded form; the first of several that are alike."""
    return {
        _fold(name): name
        for name in reversed([*locations.by_member(), *locations.by_type(), *locations.by_value(), *_kinds()])
    }


# Names of everything else


@cache
def _kinds() -> dict[str, tuple[str, ...]]:
    """The kinds of thing a name stands for, besides members, types and values."""
    machine, about = protocol.machine(), protocol.models()
    kinds: list[tuple[str, Iterable[str]]] = [
        ("signal", (signal["name"] for signal in machine["signals"])),
        ("region", machine["regions"]),
        ("state", (state for region in machine["regions"].values() for state in region["states"])),
        ("effect", machine["effects"]),
        ("trait", machine["traits"]),
        ("model", (i for row in about["profiles"] for i in (row["name"], *row["ids"]) if not i.endswith("*"))),
        ("model", (row["id"] for row in about["retired"])),
        ("voice", about["voices"]),
        ("rule", protocol.rules()),
        ("close", (row["id"] for row in protocol.closes())),
        ("evidence", protocol.load("evidence.json")["evidence"]),
        ("scenario", (path.stem for path in sorted((protocol.root() / "scenarios").glob("*.json")))),
    ]
    kinds_of: dict[str, dict[str, None]] = {}
    for kind, names in kinds:
        for name in names:
            kinds_of.setdefault(name, {})[kind] = None
    return {name: tuple(kinds) for name, kinds in kinds_of.items()}


def _others(name: str) -> Iterator[Entry]:
    """What a name stands for besides members."""
    for type_id in locations.by_type().get(name, ()):
        top = [p for p in locations.users(schema.table(type_id).name) if p.type_id in locations.ENVELOPES.values()]
        if not top:
            yield type_entry(type_id)
        elif name != top[0].member.name:
            yield member_entry(top[0])
    for type_id in locations.by_value().get(name, ()):
        yield value_entry(type_id, name)
    kinds = _kinds().get(name, ())
    if not kinds and len(models.bare_id(name)) <= LONGEST and models.profile(name)["known"]:
        kinds = ("model",)
    for kind in kinds:
        yield from entries_of_kind(kind, name)
