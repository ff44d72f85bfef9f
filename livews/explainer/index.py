"""What protocol/ says of a name: a member, a message, a type, a value, a signal, a state, a model ...

- Every word comes from protocol/; what is made here is the choice and the order. Nothing is fetched.
- A name is taken exactly first; only where nothing has it, case, dashes and underscores are forgotten.
- An entry is plain JSON: what a person reads and what `--json` gives are the same facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from livews.core import models, protocol, schema
from livews.core.schema import Member, Sender
from livews.explainer import sample_message

LONGEST = 300
"""Characters of a name that is looked up; none has more."""
_ENVELOPES: dict[Sender, str] = {"client": schema.ENVELOPE["client"], "server": schema.ENVELOPE["server"]}
_DEEPEST = 20
"""Steps of a path that is compared with those there are; hardly one is half as long."""
_TRIED = 8
"""Places of a member that are tried for an example."""
_SURE = {"seen": ("recorded", "recorded-vertex", "capture"), "reported": ("field-report",)}
"""The words of evidence.json that say more than that it is written somewhere, the surest first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing a name stands for. `facts` are JSON values by their names."""

    kind: str
    """member, message, type, value, signal, state, effect, trait, model, voice, rule, close, evidence, region or scenario"""
    name: str
    says: str
    facts: dict[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "says": self.says, **self.facts}


@dataclass(frozen=True, slots=True)
class MemberLocation:
    """A member of a type and every path at which it stands, as a JSON pointer with `*` for each item of a list.

    A type that client and server both use is one place.
    """

    type_id: str
    member: Member
    paths: tuple[tuple[Sender, str], ...]

    @property
    def ask(self) -> str:
        """What to ask for, to be told of this one."""
        return f"{schema.table(self.type_id).name}.{self.member.name}"

    @property
    def says(self) -> str:
        return says_of(self.type_id, self.member)

    @property
    def senders(self) -> list[str]:
        return list(dict.fromkeys(sender for sender, _ in self.paths))

    def told(self) -> dict[str, Any]:
        paths = list(dict.fromkeys(path for _, path in self.paths))
        return {"ask": self.ask, "sender": self.senders, "paths": paths, "says": self.says}


@dataclass(frozen=True, slots=True)
class LookupResult:
    """All that a name stands for; `places` are those of a member's name that are told by asking for one of them."""

    entries: tuple[Entry, ...] = ()
    places: tuple[MemberLocation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries or self.places)


def says_of(type_id: str, member: Member) -> str:
    """What the schema says of a member, or else of its type."""
    prop = protocol.schemas()[type_id]["properties"][member.name]
    return prop.get("description") or (
        protocol.schemas()[member.target].get("description", "") if member.target else ""
    )


def look_up(name: str) -> LookupResult:
    """Everything `name` stands for: one name, or a path as a pointer or with dots, in either spelling."""
    name = name.strip()
    if not name or len(name) > LONGEST:
        return LookupResult()
    for spelt in (name, *_alike(name)):
        members, entries = _by_member().get(spelt, ()), tuple(_other(spelt))
        if members or entries:
            return _sorted_out(members, entries)
    return _at_path(name)


def _sorted_out(members: tuple[MemberLocation, ...], entries: tuple[Entry, ...]) -> LookupResult:
    """A message, or what is better known right inside one, comes before other members of its name. What it tells of
    its signals is not told again."""
    high = [place for place in members if place.paths and place.paths[0][1].count("/") <= 2]
    is_top = any(place.type_id in _ENVELOPES.values() for place in high)
    chosen = [max(high, key=_evidence)] if is_top else members if len(members) == 1 else ()
    told = [_member(place) for place in chosen]
    moves = {signal["name"] for entry in told for signal in entry.facts.get("signals", ())}
    entries = tuple(entry for entry in entries if entry.kind != "signal" or entry.name not in moves)
    return LookupResult((*told, *entries), tuple(place for place in members if place not in chosen))


def _evidence(place: MemberLocation) -> int:
    """How many sources know a member."""
    return len(protocol.schemas()[place.type_id]["properties"][place.member.name]["x-livews"]["evidence"])


def nearest(name: str, most: int = 4) -> list[str]:
    """What may have been meant: the places of a path's last member, else the names that come close."""
    from difflib import get_close_matches

    name = name.strip()[:LONGEST]
    steps = [step for step in _steps(name) if not _is_index(step)]
    if found := _paths_like(steps):
        return found[:most]
    asked = [name, *steps[-1:]]
    if places := _by_member().get(asked[-1], ()):
        return [place.paths[0][1] if place.paths else place.ask for place in places][:most]
    known = _folded_names()
    close = [known[key] for one in asked for key in get_close_matches(_fold(one), known, n=most, cutoff=0.7)]
    return list(dict.fromkeys(close))[:most]


def _paths_like(steps: list[str]) -> list[str]:
    """Paths that end in these steps but for the spelling, of the last step that comes nearest."""
    from difflib import get_close_matches

    if not 2 <= len(steps) <= _DEEPEST:
        return []
    wanted = [_fold(step) for step in steps]
    members = {_fold(name): places for name, places in _by_member().items()}
    for key in get_close_matches(wanted[-1], members, n=4, cutoff=0.7):
        paths = dict.fromkeys(path for place in members[key] for _, path in place.paths)
        ends = {path: [_fold(step) for step in _steps(path) if step != "*"][-len(steps) :] for path in paths}
        alike = (
            path
            for path, end in ends.items()
            if len(end) == len(wanted)
            and all(get_close_matches(a, [b], cutoff=0.7) for a, b in zip(wanted, end, strict=True))
        )
        if found := sorted(alike, key=lambda path: path.count("/")):
            return found
    return []


def models_like(name: str) -> list[str]:
    """The models there are, for what is built like the id of one and is none."""
    ids = list(dict.fromkeys([*models.live_ids("gemini"), *models.live_ids("vertex")]))
    family, dash, _ = models.bare_id(name.strip()[:LONGEST]).lower().partition("-")
    return ids if dash and family in {one.partition("-")[0] for one in ids} else []


def _fold(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


@cache
def _folded_names() -> dict[str, str]:
    """Every name by its folded form; the first of several alike."""
    names = [*_by_member(), *_by_type(), *_by_value(), *_named()]
    return {_fold(name): name for name in reversed(names)}


def _alike(name: str) -> tuple[str, ...]:
    known = _folded_names().get(_fold(name))
    return (known,) if known else ()


# Where members stand


@cache
def _places() -> dict[tuple[str, str], MemberLocation]:
    """Every member by the title of its type and its name."""
    paths: dict[tuple[str, str], list[tuple[Sender, str]]] = {}
    for sender, top in _ENVELOPES.items():
        for key, path in _below(top, "", frozenset({top})):
            paths.setdefault(key, []).append((sender, path))
    found: dict[tuple[str, str], MemberLocation] = {}
    for type_id, of in protocol.schemas().items():
        for name in of.get("properties", {}):
            key = (of["title"], name)
            at = sorted(paths.get(key, ()), key=lambda one: (one[1].count("/"), one[0]))
            found.setdefault(key, MemberLocation(type_id, schema.table(type_id).members[name], tuple(at)))
    return found


def _below(type_id: str, path: str, above: frozenset[str]) -> Iterator[tuple[tuple[str, str], str]]:
    of = schema.table(type_id)
    for name, member in of.members.items():
        if name != member.name:
            continue  # its other spelling
        here = f"{path}/{name}"
        yield (of.name, name), here
        if member.target and member.target not in above and schema.table(member.target).is_message:
            inner = here if member.shape == "one" else f"{here}/*"
            yield from _below(member.target, inner, above | {member.target})


@cache
def _by_member() -> dict[str, tuple[MemberLocation, ...]]:
    """Places by the name of the member, in both spellings; those nearest to the top first."""
    found: dict[str, list[MemberLocation]] = {}
    for place in sorted(_places().values(), key=lambda one: one.paths[0][1].count("/") if one.paths else 99):
        for name in dict.fromkeys((place.member.name, place.member.snake)):
            found.setdefault(name, []).append(place)
    return {name: tuple(places) for name, places in found.items()}


@cache
def _by_type() -> dict[str, list[str]]:
    """Ids of types by title, and by the names the official library and protobuf have for them."""
    found: dict[str, list[str]] = {}
    titles: set[str] = set()
    for type_id, of in protocol.schemas().items():
        if of["title"] in titles:
            continue  # the other side's
        titles.add(of["title"])
        note = of.get("x-livews", {})
        names = [of["title"], note.get("sdk", "")]
        names += [note.get("proto", ""), note.get("proto", "").rsplit(".", 1)[-1]]
        for name in dict.fromkeys(filter(None, names)):
            found.setdefault(name, []).append(type_id)
    return found


@cache
def _by_value() -> dict[str, list[str]]:
    """Ids of enums by the names of their values."""
    found: dict[str, dict[str, str]] = {}
    for type_id, of in protocol.schemas().items():
        for name in of.get("x-livews", {}).get("values", {}):
            found.setdefault(name, {}).setdefault(of["title"], type_id)
    return {name: list(ids.values()) for name, ids in found.items()}


# Paths


def _steps(name: str) -> list[str]:
    if name.startswith("/"):
        steps = [step.replace("~1", "/").replace("~0", "~") for step in name.split("/")]
    else:
        steps = re.split(r"[./\[\]]", name)
    return [step for step in steps if step]


def _is_index(step: str) -> bool:
    return step == "*" or (step.isascii() and step.isdigit())


def _at_path(name: str) -> LookupResult:
    """From the top of a message, else from a type, else from any member of that name."""
    steps = _steps(name)
    if not steps:
        return LookupResult()
    ends = [end for top in _ENVELOPES.values() if (end := _walk(top, steps))]
    whole = bool(ends)
    if not ends and not name.startswith("/"):
        starts = [(type_id, steps[1:]) for type_id in _by_type().get(steps[0], ())]
        starts += [(place.type_id, steps) for place in _by_member().get(steps[0], ())]
        ends = [end for start, rest in starts if (end := _walk(start, rest))]
    values = {(end.member.target, end.value) for end in ends if end.value and end.member}
    told = [_value(type_id, value) for type_id, value in sorted(values) if type_id]
    keys = {(schema.table(end.owner).name, end.member.name) for end in ends if end.member and not end.value}
    if len(keys) == 1 and not told:
        return LookupResult((_member(_places()[keys.pop()], ends[0].path if whole else ""),))
    told += [_value(end.owner, end.value) for end in ends if end.value and not end.member]
    return LookupResult(tuple(told), tuple(_places()[key] for key in sorted(keys)))


@dataclass(frozen=True, slots=True)
class _End:
    """What is at the end of a path: a member of a type, or a value of an enum (of the type itself, or the member's)."""

    owner: str
    member: Member | None
    path: str
    value: str = ""


def _walk(type_id: str, steps: list[str]) -> _End | None:
    end = _End(type_id, None, "")
    inside: str | None = type_id
    """The type of the object we are in; None in a list or map whose item was not chosen yet, and in a plain value."""
    for i, step in enumerate(steps):
        member = end.member
        if member and inside is None:
            if member.shape == "one" or (member.shape == "list" and not _is_index(step)):
                inside = member.target
            if member.shape != "one" and (member.shape == "map" or _is_index(step)):
                inside = member.target
                continue
        if inside is None:
            return None
        of = schema.table(inside)
        if of.values is not None:
            last = i == len(steps) - 1 and step.upper() in of.values
            return _End(end.owner, end.member, end.path, step.upper()) if last else None
        if of.is_struct:
            return end if end.member else None  # the rest is the application's own
        found = of.members.get(step)
        if found is None:
            return None
        star = "/*" if end.member and end.member.shape != "one" else ""
        end, inside = _End(inside, found, f"{end.path}{star}/{found.name}"), None
    return end if end.member else None


# What is told of each


def _member(place: MemberLocation, at: str = "") -> Entry:
    """A member, or a whole message where it stands at the top; `at` is the path that was asked for."""
    member, owner = place.member, protocol.schemas()[place.type_id]
    note = owner["properties"][member.name]["x-livews"]
    is_message = place.type_id in _ENVELOPES.values()
    paths = list(dict.fromkeys(path for _, path in place.paths))
    path, made = _best([(sender, one) for sender, one in place.paths if at in ("", one)] or _asked(at))
    rivals = owner.get("dependentSchemas", {}).get(member.name, {}).get("properties", {})
    facts: dict[str, Any] = {}
    if is_message:
        facts["title"] = (
            protocol.load("asyncapi.json")["components"]["messages"].get(member.name, {}).get("title", "")
        )
    facts |= {
        "type": schema.table(member.target).name if member.target else member.plain,
        "shape": member.shape,
        "spelling": [member.name, member.snake],
        "presence": "optional" if note["presence"].startswith("oneof") else note["presence"],
        "excludes": list(rivals),
        "sender": [sender for sender, one in place.paths if one == at] or place.senders or ["client"],
        "in": owner["title"],
        "paths": paths,
        "on": member.on,
        "models": _models_of(note, paths),
        "default": _default(member, paths) or sample_message.pick(place.says, r"(?i)\b(default|unset|unspecified)"),
        "deprecated": sample_message.deprecated(place.says),
        **(_inside(member.target) if member.target else {}),
        **_limits(paths),
        **_known(note["evidence"]),
        "signals": _signals_at(paths, is_message),
    }
    facts["rules"] = _rules_about(path or member.name, paths, facts["signals"])
    for sender, one in place.paths[:1]:
        facts["rules"] |= _titles(rule for rule in sample_message.broken(sender, one) if rule not in facts["rules"])
    if is_message:
        facts["when"] = _when(paths)
    facts |= made or {"example": sample_message.alone(place.type_id, member.name)}
    return Entry("message" if is_message else "member", path or place.ask, place.says, facts)


def _inside(type_id: str) -> dict[str, Any]:
    """What a type is and holds: its members, or its values."""
    of, table = protocol.schemas()[type_id], schema.table(type_id)
    facts: dict[str, Any] = {"typeSays": of.get("description", "")}
    if table.values is not None:
        told = of["x-livews"]["values"]
        facts["values"] = {name: about.get("description", "") for name, about in told.items()}
    elif table.members:
        facts["members"] = {
            name: {"type": shape_of(table.members[name]), "says": says_of(type_id, table.members[name])}
            for name in of["properties"]
        }
    return facts


def shape_of(member: Member) -> str:
    """A member's type in words: `list of Content`."""
    name = schema.table(member.target).name if member.target else member.plain
    return {"one": name, "list": f"list of {name}", "map": f"map of {name}"}[member.shape]


def _best(paths: list[tuple[Sender, str]], value: str = "") -> tuple[str, dict[str, Any]]:
    """The first of the paths whose example nobody refuses, or the first of all, and that example."""
    first: tuple[str, dict[str, Any]] = "", {}
    for sender, path in paths[:_TRIED]:
        made = sample_message.of(sender, path, value)
        told = path, {"example": made.message, "against": [str(finding) for finding in made.findings]}
        if not made.findings:
            return told
        first = first if first[0] else told
    return first


def _asked(path: str) -> list[tuple[Sender, str]]:
    """A path that goes round in a circle of types is in no list of paths."""
    first = path.split("/")[1] if path else ""
    return [(sender, path) for sender, top in _ENVELOPES.items() if first in schema.table(top).members]


def _models_of(note: dict[str, Any], paths: list[str]) -> dict[str, list[str]]:
    """Models by what they do with a member: takenBy, refusedBy, sentBy, requiredBy; `*` is all that are known."""
    found = {key: list(names) for key, names in note.get("models", {}).items()}
    data = protocol.models()
    for profile in ({"name": "*", **data["defaults"]}, *data["profiles"]):
        for key, rows in (("refusedBy", profile.get("refuses", ())), ("requiredBy", profile.get("requires", ()))):
            if any(row["at"] in paths and "until" not in row and "unless" not in row for row in rows):
                found.setdefault(key, []).append(profile["name"])
    return {key: ["*"] if "*" in names else list(dict.fromkeys(names)) for key, names in found.items()}


def _default(member: Member, paths: list[str]) -> str:
    """What holds where the member is left out, as far as machine.json and models.json know."""
    for trait in protocol.machine()["traits"].values():
        if "setup" in trait and f"/setup{trait['setup']}" in paths:
            return str(trait["default"]).lower()
    data = protocol.models()
    default = data["defaults"].get(member.name)
    if not (isinstance(default, str) and member.target and default in (schema.table(member.target).values or ())):
        return ""
    other: dict[str, list[str]] = {}
    for profile in data["profiles"]:
        if profile.get(member.name, default) != default:
            other.setdefault(profile[member.name], []).append(profile["name"])
    return "; ".join([default, *(f"{value} on {', '.join(names)}" for value, names in other.items())])


def _limits(paths: list[str]) -> dict[str, Any]:
    for row in protocol.load("rules.json")["checks"]:
        if row["at"] in paths:
            return {"within": row["within"]} if "within" in row else {"among": protocol.models()[row["among"]]}
    return {}


def _known(evidence: Iterable[str]) -> dict[str, Any]:
    """How sure something is, and by which of its words."""
    words = list(evidence)
    for sure, kinds in _SURE.items():
        if by := [word for word in words if word.split()[0] in kinds]:
            return {"evidence": words, "sure": sure, "by": by}
    return {"evidence": words, "sure": "written", "by": words}


def _signals_at(paths: list[str], below: bool) -> list[dict[str, Any]]:
    """The signals that are in a message by this member, with the rows they fire."""
    found: dict[str, dict[str, Any]] = {}
    for signal in protocol.machine()["signals"]:
        at = _list(signal["at"])
        if any(one in paths or (below and one.startswith(f"{path}/")) for one in at for path in paths):
            found.setdefault(signal["name"], _signal(signal["name"]).told())
    return list(found.values())


def _rows(wanted: str, key: str) -> list[dict[str, Any]]:
    """The rows of the machine that have this name as `from`, `on`, `to`, `effect`, each with its region."""
    regions = protocol.machine()["regions"].items()
    rows = [{"region": name, **row} for name, region in regions for row in region["rows"]]
    return [row for row in rows if wanted in _list(row.get(key, []))]


def _when(paths: list[str]) -> dict[str, dict[str, str]]:
    """States of the session in which a message breaks a rule (`fault`), or has one noted, by the state."""
    names = [signal["name"] for signal in protocol.machine()["signals"] if set(_list(signal["at"])) & set(paths)]
    region = protocol.machine()["end"]["region"]
    found: dict[str, dict[str, str]] = {"fault": {}, "note": {}}
    for row in (row for name in names for row in _rows(name, "on") if row["region"] == region):
        for level, states in found.items():
            if level in row:
                states |= dict.fromkeys(_list(row["from"]), row[level])
    end = protocol.machine()["end"]["state"]
    free = [
        s
        for s in protocol.machine()["regions"][region]["states"]
        if s not in {**found["fault"], **found["note"], end: ""}
    ]
    return {**found, "free": dict.fromkeys(free, "")} if found["fault"] or found["note"] else {}


def _rules_about(path: str, paths: list[str], signals: list[dict[str, Any]]) -> dict[str, str]:
    """Rules that name a member, check it, or are broken by it, with their titles."""
    steps = [step for step in path.split("/") if step and step != "*"]
    name, inner = steps[-1], ".".join(steps[-2:])
    plain = name.islower() and len(steps) > 1 and name not in {signal["name"] for signal in signals}
    named = re.compile(rf"(?<!\w){re.escape(inner if plain else name)}(?!\w)")
    data = protocol.load("rules.json")
    rows = [
        *data["checks"],
        *(row for profile in protocol.models()["profiles"] for row in profile.get("refuses", ())),
    ]
    wanted = {row["rule"] for row in rows if row["at"] in paths}
    for signal in signals:
        wanted |= {row[level] for row in signal["rows"] for level in ("fault", "note") if level in row}
    found = {}
    for row in data["rules"]:
        text = " ".join(row.get(key, "") for key in ("title", "says", "do", "broken"))
        if row["id"] in wanted or named.search(text):
            found[row["id"]] = row["title"]
    return found


def _type(type_id: str) -> Entry:
    of, table = protocol.schemas()[type_id], schema.table(type_id)
    users = _users(table.name)
    paths = [path for user in users for _, path in user.paths]
    senders = list(dict.fromkeys(sender for user in users for sender in user.senders))
    note = of.get("x-livews", {})
    facts: dict[str, Any] = {"sender": senders, "usedBy": [user.ask for user in users]}
    facts["paths"] = sorted(dict.fromkeys(paths), key=lambda one: (one.count("/"), one))
    facts |= {"deprecated": sample_message.deprecated(of.get("description", "")), **_inside(type_id)}
    del facts["typeSays"]
    facts |= {"elsewhere": {key: note[key] for key in ("proto", "sdk") if key in note}}
    facts["rules"] = _rules_about(table.name, [], [])
    facts |= _best([one for user in users for one in user.paths])[1]
    return Entry("type", table.name, of.get("description", ""), facts)


def _users(title: str) -> list[MemberLocation]:
    """The members that are of this type, those nearest to the top first."""
    users = [p for p in _places().values() if p.member.target and schema.table(p.member.target).name == title]
    return sorted(users, key=lambda one: one.paths[0][1].count("/") if one.paths else 99)


def _value(type_id: str, name: str) -> Entry:
    of = protocol.schemas()[type_id]
    about, users = of["x-livews"]["values"][name], _users(of["title"])
    facts: dict[str, Any] = {"type": of["title"], "typeSays": of.get("description", "")}
    facts |= {"number": about["number"]} if "number" in about else {}
    facts |= {"usedBy": [user.ask for user in users], "values": _inside(type_id)["values"]}
    facts |= {
        "deprecated": sample_message.deprecated(about.get("description", "")),
        **_known(about.get("evidence", ())),
    }
    facts["rules"] = _rules_about(name, [], []) if "_" in name else {}
    facts |= _best([one for user in users for one in user.paths], name)[1]
    return Entry("value", name, about.get("description", ""), facts)


def _signal(name: str) -> Entry:
    ways = [
        {"at": _list(row["at"]), **{key: row[key] for key in ("is", "startsWith", "if") if key in row}}
        for row in protocol.machine()["signals"]
        if row["name"] == name
    ]
    sender = next(row["from"] for row in protocol.machine()["signals"] if row["name"] == name)
    senders = ["client", "server"] if sender == "both" else [sender]
    return Entry("signal", name, "", {"sender": senders, "ways": ways, "rows": _rows(name, "on")})


def _state(name: str) -> Iterator[Entry]:
    for region, about in protocol.machine()["regions"].items():
        if name in about["states"]:
            rows = [row for row in _rows(name, "from") if row["region"] == region]
            others = ({**row, "from": [s for s in _list(row["from"]) if s != name]} for row in _rows(name, "to"))
            into = [row for row in others if row["region"] == region and row["from"]]
            facts = {"region": region, "initial": about["initial"] == name, "rows": rows, "into": into}
            yield Entry("state", name, about["states"][name], facts)


def _model(name: str) -> Entry:
    about = models.profile(name)
    old = models.retired(name)
    told: tuple[str, ...] = (
        "name",
        "status",
        "retired",
        "replacedBy",
        "ids",
        "surfaces",
        "since",
        "input",
        "output",
        "context",
    )
    told += (
        "thinking",
        "thinkingLevels",
        "textInput",
        "clientContent",
        "turnEndsAt",
        "turnCoverage",
        "tools",
        "life",
    )
    facts: dict[str, Any] = {key: about[key] for key in told if key in about}
    if old:
        facts |= {"goneBy": old.get("by", ""), "note": old.get("note", "")}
    rows = [row for row in about["refuses"] if "until" not in row]
    facts["refuses"] = {row["at"]: row["rule"] for row in rows}
    facts["requires"] = {row["at"]: row["rule"] for row in about.get("requires", ())}
    facts |= {"notes": about.get("notes", ""), **_known(about.get("evidence", ()))}
    return Entry("model", about["id"], about.get("title", ""), facts)


# Names of all else


@cache
def _named() -> dict[str, tuple[str, ...]]:
    """The kinds of thing that a name is, but for members, types and values."""
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
    found: dict[str, dict[str, None]] = {}
    for kind, names in kinds:
        for name in names:
            found.setdefault(name, {})[kind] = None
    return {name: tuple(kinds) for name, kinds in found.items()}


def _other(name: str) -> Iterator[Entry]:
    """What a name is beside a member."""
    for type_id in _by_type().get(name, ()):
        top = [p for p in _users(schema.table(type_id).name) if p.type_id in _ENVELOPES.values()]
        if not top:
            yield _type(type_id)
        elif name != top[0].member.name:
            yield _member(top[0])
    for type_id in _by_value().get(name, ()):
        yield _value(type_id, name)
    kinds = _named().get(name, ())
    if not kinds and len(models.bare_id(name)) <= LONGEST and models.profile(name)["known"]:
        kinds = ("model",)
    for kind in kinds:
        yield from _of_kind(kind, name)


def _of_kind(kind: str, name: str) -> Iterator[Entry]:
    machine = protocol.machine()
    match kind:
        case "signal":
            yield _signal(name)
        case "state":
            yield from _state(name)
        case "region":
            yield Entry(kind, name, "", {"values": machine["regions"][name]["states"]})
        case "effect":
            yield Entry(kind, name, machine["effects"][name], {"rows": _rows(name, "effect")})
        case "trait":
            asked = [
                row for region in machine["regions"].values() for row in region["rows"] if name in row.get("if", {})
            ]
            asked += [row for row in machine["signals"] if name in row.get("if", {})]
            yield Entry(kind, name, "", {**machine["traits"][name], "askedBy": asked})
        case "model":
            yield _model(name)
        case "voice":
            checks = [row for row in protocol.load("rules.json")["checks"] if row.get("among") == "voices"]
            facts = {"at": [row["at"] for row in checks], "rules": _titles(row["rule"] for row in checks)}
            yield Entry(kind, name, "a prebuilt voice", {**facts, "voices": protocol.models()["voices"]})
        case "rule":
            yield Entry(kind, name, protocol.rules()[name]["says"], protocol.rules()[name])
        case "close":
            yield Entry(kind, name, protocol.close_row(name)["meaning"], protocol.close_row(name))
        case "evidence":
            yield Entry(kind, name, protocol.load("evidence.json")["evidence"][name])
        case "scenario":
            about = protocol.load(f"scenarios/{name}.json")
            facts = {"file": f"protocol/scenarios/{name}.json", "rules": _titles(about["proves"])}
            yield Entry(kind, name, about["title"], facts)


def _titles(rules: Iterable[str]) -> dict[str, str]:
    return {rule: protocol.rules()[rule]["title"] for rule in rules}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
