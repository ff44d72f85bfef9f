"""What protocol/ says of one thing: a member, message, type, value, signal, state, effect, trait, model, rule ...

- Every word comes from protocol/; the code chooses and orders.
- An entry is plain JSON: what a person reads and what `--json` gives are the same facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from livews.core import models, protocol, schema
from livews.core.schema import Member, Sender
from livews.explainer import sample_message
from livews.explainer.locations import ENVELOPES, MemberLocation, says_of, shape_of, users

_TRIED = 8
"""Paths of a member that are tried for an example."""
_CERTAINTY = {"seen": ("recorded", "recorded-vertex", "capture"), "reported": ("field-report",)}
"""The words of evidence.json that are more than documentation, the surest first."""


_PROFILE = (
    "name", "status", "retired", "replacedBy", "ids", "surfaces", "since", "input", "output", "context", "thinking",
    "thinkingLevels", "textInput", "clientContent", "turnEndsAt", "turnCoverage", "tools", "life",
)  # fmt: skip
"""Members of a model's profile that are shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a name stands for."""

    kind: str
    """member, message, type, value, signal, state, effect, trait, model, voice, rule, close, evidence, region or scenario"""
    name: str
    says: str
    """Its description."""
    facts: dict[str, Any] = field(default_factory=dict)
    """JSON values by name."""

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "says": self.says, **self.facts}


def member_entry(place: MemberLocation, at: str = "") -> Entry:
    """A member, or a whole message if it stands at the top.

    Args:
        place: the member.
        at: the path that was asked for, "" for all of them.
    """
    member, owner = place.member, protocol.schema(place.type_id)
    note = owner["properties"][member.name]["x-livews"]
    is_message = place.type_id in ENVELOPES.values()
    paths = list(dict.fromkeys(path for _, path in place.paths))
    path, sample = _sample([pair for pair in place.paths if at in ("", pair[1])] or _circular(at))
    facts: dict[str, Any] = {}
    if is_message:
        messages = protocol.load("asyncapi.json")["components"]["messages"]
        facts["title"] = messages.get(member.name, {}).get("title", "")
    facts |= {
        "type": schema.table(member.target).name if member.target else member.plain,
        "shape": member.shape,
        "spelling": [member.name, member.snake],
        "presence": "optional" if note["presence"].startswith("oneof") else note["presence"],
        "excludes": list(owner.get("dependentSchemas", {}).get(member.name, {}).get("properties", {})),
        "sender": [sender for sender, path in place.paths if path == at] or place.senders or ["client"],
        "in": owner["title"],
        "paths": paths,
        "on": member.on,
        "models": _models_of(note, paths),
        "default": _default(member, paths) or sample_message.pick(place.says, r"(?i)\b(default|unset|unspecified)"),
        "deprecated": sample_message.deprecated(place.says),
        **(_inside(member.target) if member.target else {}),
        **_limits(paths),
        **_certainty(note["evidence"]),
        "signals": _signals_at(paths, is_message),
    }
    facts["rules"] = _rules_about(path or member.name, paths, facts["signals"])
    for sender, first in place.paths[:1]:
        facts["rules"] |= _titles(rule for rule in sample_message.broken(sender, first) if rule not in facts["rules"])
    if is_message:
        facts["when"] = _when(paths)
    facts |= sample or {"example": sample_message.alone(place.type_id, member.name)}
    return Entry("message" if is_message else "member", path or place.ask, place.says, facts)


def type_entry(type_id: str) -> Entry:
    """A type."""
    row = protocol.schema(type_id)
    title, says, note = row["title"], row.get("description", ""), row.get("x-livews", {})
    places = users(title)
    pairs = [pair for place in places for pair in place.paths]
    facts: dict[str, Any] = {
        "sender": list(dict.fromkeys(sender for place in places for sender in place.senders)),
        "usedBy": [place.ask for place in places],
        "paths": sorted({path for _, path in pairs}, key=lambda path: (path.count("/"), path)),
        "deprecated": sample_message.deprecated(says),
        **_inside(type_id),
    }
    del facts["typeSays"]
    facts["elsewhere"] = {key: note[key] for key in ("proto", "sdk") if key in note}
    return Entry("type", title, says, {**facts, "rules": _rules_about(title, [], []), **_sample(pairs)[1]})


def value_entry(type_id: str, name: str) -> Entry:
    """A value of an enum."""
    row = protocol.schema(type_id)
    note, places = row["x-livews"]["values"][name], users(row["title"])
    says = note.get("description", "")
    facts: dict[str, Any] = {"type": row["title"], "typeSays": row.get("description", "")}
    facts |= {"number": note["number"]} if "number" in note else {}
    facts |= {"usedBy": [place.ask for place in places], "values": _inside(type_id)["values"]}
    facts |= {"deprecated": sample_message.deprecated(says), **_certainty(note.get("evidence", ()))}
    facts["rules"] = _rules_about(name, [], []) if "_" in name else {}
    facts |= _sample([pair for place in places for pair in place.paths], name)[1]
    return Entry("value", name, says, facts)


def entries_of_kind(kind: str, name: str) -> Iterator[Entry]:
    """The entries of a name that is no member, type or value, by its kind."""
    machine, says, facts = protocol.machine(), "", dict[str, Any]()
    match kind:
        case "state":
            yield from _states(name)
            return
        case "model":
            yield _model(name)
            return
        case "signal":
            facts = _signal(name)
        case "region":
            facts = {"values": machine["regions"][name]["states"]}
        case "effect":
            says, facts = machine["effects"][name], {"rows": _rows(name, "effect")}
        case "trait":
            rows = [row for region in machine["regions"].values() for row in region["rows"]]
            users_of = [row for row in (*rows, *machine["signals"]) if name in row.get("if", {})]
            facts = {**machine["traits"][name], "askedBy": users_of}
        case "voice":
            checks = [row for row in protocol.checks() if row.get("among") == "voices"]
            says, facts = "a prebuilt voice", {"at": [row["at"] for row in checks]}
            facts |= {"rules": _titles(row["rule"] for row in checks), "voices": protocol.models()["voices"]}
        case "rule":
            says, facts = protocol.rules()[name]["says"], protocol.rules()[name]
        case "close":
            says, facts = protocol.close_row(name)["meaning"], protocol.close_row(name)
        case "evidence":
            says = protocol.load("evidence.json")["evidence"][name]
        case "scenario":
            scenario = protocol.load(f"scenarios/{name}.json")
            says, facts = scenario["title"], {"file": f"protocol/scenarios/{name}.json"}
            facts["rules"] = _titles(scenario["proves"])
    yield Entry(kind, name, says, facts)


# Facts from the schemas


def _inside(type_id: str) -> dict[str, Any]:
    """What a type is and has: its members, or its values."""
    row, table = protocol.schema(type_id), schema.table(type_id)
    facts: dict[str, Any] = {"typeSays": row.get("description", "")}
    if table.values is not None:
        notes = row["x-livews"]["values"]
        facts["values"] = {name: note.get("description", "") for name, note in notes.items()}
    elif table.members:
        members = ((name, table.members[name]) for name in row["properties"])
        facts["members"] = {name: {"type": shape_of(m), "says": says_of(type_id, m)} for name, m in members}
    return facts


def _sample(paths: Iterable[tuple[Sender, str]], value: str = "") -> tuple[str, dict[str, Any]]:
    """The first of some paths with an example that no model refuses, or else the first of all, and its example."""
    first: tuple[str, dict[str, Any]] = "", {}
    for sender, path in islice(paths, _TRIED):
        message, findings = sample_message.of(sender, path, value)
        result = path, {"example": message, "against": [str(finding) for finding in findings]}
        if not findings:
            return result
        first = first if first[0] else result
    return first


def _circular(path: str) -> list[tuple[Sender, str]]:
    """A path that goes round a circle of types, which is in no list of paths, with those who send it."""
    top = path.split("/")[1] if path else ""
    return [(sender, path) for sender, envelope in ENVELOPES.items() if top in schema.table(envelope).members]


def _certainty(evidence: Iterable[str]) -> dict[str, Any]:
    """How sure something is, and by which words of its evidence."""
    words = list(evidence)
    for sure, kinds in _CERTAINTY.items():
        if by := [word for word in words if word.split()[0] in kinds]:
            return {"evidence": words, "sure": sure, "by": by}
    return {"evidence": words, "sure": "written", "by": words}


# Facts from models.json and rules.json


def _models_of(note: dict[str, Any], paths: list[str]) -> dict[str, list[str]]:
    """Models by what they do with a member: takenBy, refusedBy, sentBy, requiredBy; `*` is every known model."""
    models_by = {key: list(names) for key, names in note.get("models", {}).items()}
    data = protocol.models()
    for profile in ({"name": "*", **data["defaults"]}, *data["profiles"]):
        for key, rows in (("refusedBy", profile.get("refuses", ())), ("requiredBy", profile.get("requires", ()))):
            if any(row["at"] in paths and "until" not in row and "unless" not in row for row in rows):
                models_by.setdefault(key, []).append(profile["name"])
    return {key: ["*"] if "*" in names else list(dict.fromkeys(names)) for key, names in models_by.items()}


def _default(member: Member, paths: list[str]) -> str:
    """What applies if the member is left out, as far as machine.json and models.json say."""
    for trait in protocol.machine()["traits"].values():
        if "setup" in trait and f"/setup{trait['setup']}" in paths:
            return str(trait["default"]).lower()
    data = protocol.models()
    default = data["defaults"].get(member.name)
    if not (isinstance(default, str) and member.target and default in (schema.table(member.target).values or ())):
        return ""
    others: dict[str, list[str]] = {}
    for profile in data["profiles"]:
        if profile.get(member.name, default) != default:
            others.setdefault(profile[member.name], []).append(profile["name"])
    return "; ".join([default, *(f"{value} on {', '.join(names)}" for value, names in others.items())])


def _limits(paths: list[str]) -> dict[str, Any]:
    row = next((row for row in protocol.checks() if row["at"] in paths), {})
    if "within" in row:
        return {"within": row["within"]}
    return {"among": protocol.models()[row["among"]]} if row else {}


def _rules_about(path: str, paths: list[str], signals: list[dict[str, Any]]) -> dict[str, str]:
    """Rules that name a member, check it, or are broken by it, with their titles."""
    steps = [step for step in path.split("/") if step and step != "*"]
    name = steps[-1]
    is_common_word = name.islower() and len(steps) > 1 and name not in {signal["name"] for signal in signals}
    named = re.compile(rf"(?<!\w){re.escape('.'.join(steps[-2:]) if is_common_word else name)}(?!\w)")
    rows = [*protocol.checks(), *(row for p in protocol.models()["profiles"] for row in p.get("refuses", ()))]
    ids = {row["rule"] for row in rows if row["at"] in paths}
    ids |= {row[level] for signal in signals for row in signal["rows"] for level in ("fault", "note") if level in row}
    for rule, row in protocol.rules().items():
        if named.search(" ".join(row.get(key, "") for key in ("title", "says", "do", "broken"))):
            ids.add(rule)
    return _titles(rule for rule in protocol.rules() if rule in ids)


def _titles(rules: Iterable[str]) -> dict[str, str]:
    return {rule: protocol.rules()[rule]["title"] for rule in rules}


def _model(name: str) -> Entry:
    profile, old = models.profile(name), models.retired(name)
    facts: dict[str, Any] = {key: profile[key] for key in _PROFILE if key in profile}
    if old:
        facts |= {"goneBy": old.get("by", ""), "note": old.get("note", "")}
    facts["refuses"] = {row["at"]: row["rule"] for row in profile["refuses"] if "until" not in row}
    facts["requires"] = {row["at"]: row["rule"] for row in profile.get("requires", ())}
    facts |= {"notes": profile.get("notes", ""), **_certainty(profile.get("evidence", ()))}
    return Entry("model", profile["id"], profile.get("title", ""), facts)


# Facts from machine.json


def _rows(name: str, key: str) -> list[dict[str, Any]]:
    """The rows of the machine that have a name as `from`, `on`, `to` or `effect`, each with its region."""
    regions = protocol.machine()["regions"].items()
    rows = [{"region": region, **row} for region, data in regions for row in data["rows"]]
    return [row for row in rows if name in as_list(row.get(key, []))]


def _signal(name: str) -> dict[str, Any]:
    signals = [row for row in protocol.machine()["signals"] if row["name"] == name]
    shown = ("is", "startsWith", "if")
    ways = [{"at": as_list(row["at"]), **{key: row[key] for key in shown if key in row}} for row in signals]
    sender = signals[0]["from"]
    senders = ["client", "server"] if sender == "both" else [sender]
    return {"sender": senders, "ways": ways, "rows": _rows(name, "on")}


def _signals_at(paths: list[str], is_message: bool) -> list[dict[str, Any]]:
    """The signals that a member at these paths gives, with the rows they run; of a message also those inside it."""
    names = {
        signal["name"]: None
        for signal in protocol.machine()["signals"]
        for at in as_list(signal["at"])
        if any(at == path or (is_message and at.startswith(f"{path}/")) for path in paths)
    }
    return [Entry("signal", name, "", _signal(name)).to_dict() for name in names]


def _states(name: str) -> Iterator[Entry]:
    for region, data in protocol.machine()["regions"].items():
        if name in data["states"]:
            rows = [row for row in _rows(name, "from") if row["region"] == region]
            others = ({**row, "from": [s for s in as_list(row["from"]) if s != name]} for row in _rows(name, "to"))
            into = [row for row in others if row["region"] == region and row["from"]]
            facts = {"region": region, "initial": data["initial"] == name, "rows": rows, "into": into}
            yield Entry("state", name, data["states"][name], facts)


def _when(paths: list[str]) -> dict[str, dict[str, str]]:
    """States of the session by what a message does in them: break a rule (`fault`), have one noted, or neither."""
    machine = protocol.machine()
    names = [signal["name"] for signal in machine["signals"] if set(as_list(signal["at"])) & set(paths)]
    region, end = machine["end"]["region"], machine["end"]["state"]
    rules: dict[str, dict[str, str]] = {"fault": {}, "note": {}}
    for row in (row for name in names for row in _rows(name, "on") if row["region"] == region):
        for level, states in rules.items():
            if level in row:
                states |= dict.fromkeys(as_list(row["from"]), row[level])
    judged = {*rules["fault"], *rules["note"]}
    free = [state for state in machine["regions"][region]["states"] if state not in judged | {end}]
    return {**rules, "free": dict.fromkeys(free, "")} if judged else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
