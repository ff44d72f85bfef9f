"""What protocol/ says of one thing: a member, message, type, value, signal, state, effect, trait, model, rule ...

- Every word comes from protocol/; the code chooses and orders.
- A fact stands in one place: `Entry.add` gets it as JSON, and as the text that a person reads under a label.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from livews.advice import model_advice
from livews.core import models, protocol, schema
from livews.core.schema import Member
from livews.explainer import RETRY, sample_message
from livews.explainer.locations import MemberLocation, note_of, says_of, shape_of, users

_MOST_PATHS = 6
"""Paths that are shown to a person."""
_CERTAINTY = {"seen": ("recorded", "recorded-vertex", "capture"), "reported": ("field-report",)}
"""The words of evidence.json that are more than documentation, the surest first."""
_SURE = {"seen": "seen on the wire", "reported": "reported, without a log", "written": "written down, not seen"}
_ON = {"v1beta": "Gemini API v1beta", "v1alpha": "Gemini API v1alpha", "vertex": "Vertex AI"}
_MODELS = {"takenBy": "taken by", "refusedBy": "refused by", "sentBy": "sent by", "requiredBy": "required by",
           "ignoredBy": "ignored, without enough silence before it (ACTIVITY-6), by"}  # fmt: skip
_SHAPES = {"one": "", "list": "list of ", "map": "map, by names of your own, of "}
_PROFILE = (
    "name", "status", "retired", "replacedBy", "ids", "surfaces", "since", "input", "output", "context", "thinking",
    "thinkingLevels", "textInput", "clientContent", "turnEndsAt", "turnCoverage", "tools", "life",
)  # fmt: skip
"""Members of a model's profile that are in its JSON."""

Text = str | list[str] | dict[str, str]
"""A paragraph, several of them, or names with a text beside each."""


@dataclass(slots=True)
class Entry:
    """One thing that a name stands for."""

    kind: str
    """member, message, type, value, signal, state, effect, trait, model, voice, rule, close, evidence, region or scenario"""
    name: str
    says: str
    """Its description."""
    about: str
    """What it is, in a few words."""
    facts: dict[str, Any] = field(default_factory=dict)
    """JSON values by name."""
    parts: list[tuple[str, Text]] = field(default_factory=list)
    """What a person reads, by label."""

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "says": self.says, **self.facts}

    def add(self, label: str, text: Text | None = None, /, **facts: Any) -> None:
        """Add facts, and their text unless it is empty; without a text, the only fact is the text or a list of words."""
        self.facts |= facts
        if text is None:
            (fact,) = facts.values()
            text = ", ".join(fact) if isinstance(fact, list) else fact
        if text:
            self.parts.append((label, text))

    def add_description(self, label: str, default: str = "") -> None:
        """The description without the sentences about the default and the deprecation, which have labels of their own."""
        old, says = sample_message.deprecated(self.says), self.says
        for sentences in filter(None, (old, default)):
            says = says.replace(sentences, "").replace("  ", " ").strip()
        self.add(label, says)
        self.add("old", deprecated=old)

    def add_evidence(self, evidence: Iterable[str]) -> None:
        """How sure something is, and by which words of its evidence."""
        words = list(evidence)
        sure, by = "written", words
        for level, kinds in reversed(_CERTAINTY.items()):
            if better := [word for word in words if word.split()[0] in kinds]:
                sure, by = level, better
        others = ", ".join(word for word in words if word not in by)
        text = f"{_SURE[sure]} ({', '.join(by)}){f'; also in {others}' if others else ''}."
        ask = f" What such a word means: `livews explain {words[0].split()[0]}`" if words else ""
        self.add("known", f"{text}{ask}" if words else "", evidence=words, sure=sure, by=by)

    def add_inside(self, type_id: str) -> None:
        """The members of a type, or its values."""
        row, table = protocol.schema(type_id), schema.table(type_id)
        if table.values is not None:
            notes = row["x-livews"]["values"].items()
            self.add("values", values={name: note.get("description", "") for name, note in notes})
        elif table.members:
            typed = ((name, table.members[name]) for name in row["properties"])
            members = {name: {"type": shape_of(m), "says": says_of(type_id, m)} for name, m in typed}
            texts = {name: f"({member['type']}) {member['says']}" for name, member in members.items()}
            self.add("has", texts, members=members)

    def add_rules(self, rules: Iterable[str]) -> None:
        self.add("rules", rules={rule: protocol.rules()[rule]["title"] for rule in rules})

    def add_example(self, sample: sample_message.Example | None) -> None:
        """An example, and the findings about it."""
        if sample:
            _, message, findings = sample
            against = [str(finding) for finding in findings]
            self.add("e.g.", json.dumps(message, ensure_ascii=False), example=message, against=against)
            self.parts += (("but", words) for words in against)


# Entries from the schemas


def member_entry(place: MemberLocation, at: str = "") -> Entry:
    """A member, or a whole message if it stands at the top.

    Args:
        place: the member.
        at: the path that was asked for, "" for all of them.
    """
    member, owner = place.member, protocol.schema(place.type_id)
    note = note_of(place.type_id, member)
    is_message = place.type_id in schema.ENVELOPE.values()
    paths = list(dict.fromkeys(path for _, path in place.paths))
    senders = [sender for sender, path in place.paths if path == at] or place.senders or ["client"]
    tried = [pair for pair in place.paths if at in ("", pair[1])]
    if at and not tried:  # it goes round a circle of types, so it is in no list of paths
        tops = {sender: schema.top(sender) for sender in schema.ENVELOPE}
        tried = [(sender, at) for sender, members in tops.items() if at.split("/")[1] in members]
    sample = sample_message.best(tried)
    path = sample[0] if sample else ""
    kind, about = ("message", "message of") if is_message else ("member", f"member of {owner['title']}, from")
    entry = Entry(kind, path or place.ask, place.says, f"a {about} the {' and '.join(senders)}")
    entry.facts |= {"in": owner["title"], "sender": senders, "shape": member.shape}
    if is_message:
        messages = protocol.load("asyncapi.json")["components"]["messages"]
        entry.add("what", title=messages.get(member.name, {}).get("title", ""))
    default = _default(member, paths) or sample_message.pick(place.says, r"(?i)\b(default|unset|unspecified)")
    entry.add_description("" if is_message else "what", default)

    type_name = schema.table(member.target).name if member.target else member.plain
    presence = "optional" if note["presence"].startswith("oneof") else note["presence"]
    text = f"{_SHAPES[member.shape]}{type_name}{', required' * (presence == 'required')}"
    if member.target:
        entry.facts["typeSays"] = type_says = protocol.schema(member.target).get("description", "")
        text += f": {type_says}" if type_says else ""
    entry.add("type", text, type=type_name, presence=presence)
    excludes = list(owner.get("dependentSchemas", {}).get(member.name, {}).get("properties", {}))
    entry.add("not", f"beside {', '.join(excludes)}" if excludes else "", excludes=excludes)
    takes_both = member.name != member.snake and "client" in senders
    text = f"{member.name}; {member.snake} is taken from clients too" if takes_both else ""
    entry.add("wire", text, spelling=[member.name, member.snake])
    entry.add("at", _some(paths) if len(paths) > 1 else "", paths=paths)
    entry.add("on", _where(member.on), on=member.on)
    by_models = _models_of(note, paths)
    words = (f"{_MODELS.get(key, key)} {', '.join(names)}" for key, names in by_models.items())
    entry.add("models", "; ".join(words).replace("*", "every model known here"), models=by_models)
    entry.add("unset", default=default)
    checks: list[dict[str, Any]] = protocol.load("rules.json")["checks"]
    limits = next((row for row in checks if row["at"] in paths), {})
    if "within" in limits:
        entry.add("takes", "{} to {}".format(*limits["within"]), within=limits["within"])
    elif "among" in limits:
        entry.add("takes", among=protocol.models()[limits["among"]])
    elif limits:
        entry.add("takes", limits["form"], form=limits["form"])
    if is_message:
        _add_when(entry, paths)
    entry.add_evidence(note["evidence"])
    if member.target:
        entry.add_inside(member.target)
    signals = _signals_at(paths, is_message)
    entry.facts["signals"] = [signal.to_dict() for signal in signals]
    for signal in signals:
        moves = "; ".join(_move(row) for row in signal.facts["rows"]) or "moves nothing"
        entry.add("signal", f"{signal.name}: {moves}")
    broken = [rule for sender, first in place.paths[:1] for rule in sample_message.broken(sender, first)]
    entry.add_rules(dict.fromkeys([*_rules_about(path or member.name, paths, signals), *broken]))
    entry.add_example(sample)
    if not sample:
        alone = sample_message.alone(place.type_id, member.name)
        entry.add("e.g.", json.dumps(alone, ensure_ascii=False), example=alone)
    return entry


def type_entry(type_id: str) -> Entry:
    """A type."""
    row = protocol.schema(type_id)
    title, note, places = row["title"], row.get("x-livews", {}), users(row["title"])
    pairs = [pair for place in places for pair in place.paths]
    senders = list(dict.fromkeys(sender for place in places for sender in place.senders))
    about = f"a type, from the {' and '.join(senders)}" if senders else "a type that stands in no message"
    entry = Entry("type", title, row.get("description", ""), about, {"sender": senders})
    entry.add_description("what")
    used_by = [place.ask for place in places]
    entry.add("used", _some(used_by), usedBy=used_by)
    paths = sorted({path for _, path in pairs}, key=lambda path: (path.count("/"), path))
    entry.add("at", _some(paths), paths=paths)
    called = {key: note[key] for key in ("proto", "sdk") if key in note}
    entry.add("called", "; ".join(f"{name} in {where}" for where, name in called.items()), elsewhere=called)
    entry.add_inside(type_id)
    entry.add_rules(_rules_about(title, [], []))
    entry.add_example(sample_message.best(pairs))
    return entry


def value_entry(type_id: str, name: str) -> Entry:
    """A value of an enum."""
    row = protocol.schema(type_id)
    note, places = row["x-livews"]["values"][name], users(row["title"])
    entry = Entry("value", name, note.get("description", ""), f"a value of {row['title']}")
    entry.facts |= {key: note[key] for key in ("number",) if key in note}
    entry.add_description("what")
    type_says = row.get("description", "")
    entry.add("type", type_says, type=row["title"], typeSays=type_says)
    used_by = [place.ask for place in places]
    entry.add("used", _some(used_by), usedBy=used_by)
    entry.add_evidence(note.get("evidence", ()))
    entry.add_inside(type_id)
    entry.add_rules(_rules_about(name, [], []) if "_" in name else ())
    entry.add_example(sample_message.best((pair for place in places for pair in place.paths), name))
    return entry


def _models_of(note: dict[str, Any], paths: list[str]) -> dict[str, list[str]]:
    """Models by what they do with a member: takenBy, refusedBy, sentBy, requiredBy, ignoredBy; `*` is every known model."""
    models_by = {key: list(names) for key, names in note.get("models", {}).items()}
    data = protocol.models()
    for profile in (
        {"name": "*", "refuses": [row for row in data["limits"] if "field" not in row]},
        *data["profiles"],
    ):
        for key, rows in (("refusedBy", profile.get("refuses", ())), ("requiredBy", profile.get("requires", ()))):
            if any(row["at"] in paths and not {"until", "unless", "matching", "with"} & row.keys() for row in rows):
                models_by.setdefault(key, []).append(profile["name"])
        if any(profile.get("wire", {}).get(path.rpartition("/")[2]) == "ignore" for path in paths):
            models_by.setdefault("ignoredBy", []).append(profile["name"])
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


def _rules_about(path: str, paths: list[str], signals: list[Entry]) -> list[str]:
    """Rules that name a member, check it, or are broken by it."""
    steps = [step for step in path.split("/") if step and step != "*"]
    name = steps[-1]
    is_common_word = name.islower() and len(steps) > 1 and name not in {signal.name for signal in signals}
    named = re.compile(rf"(?<!\w){re.escape('.'.join(steps[-2:]) if is_common_word else name)}(?!\w)")
    data = protocol.models()
    rows = [
        *protocol.load("rules.json")["checks"],
        *data["limits"],
        *(row for p in data["profiles"] for row in p.get("refuses", ())),
    ]
    ids = {row["rule"] for row in rows if row["at"] in paths}
    moves = [row for signal in signals for row in signal.facts["rows"]]
    ids |= {row[level] for row in moves for level in ("fault", "note") if level in row}
    texts = {
        rule: " ".join(row.get(key, "") for key in ("title", "says", "do", "broken"))
        for rule, row in protocol.rules().items()
    }
    return [rule for rule, text in texts.items() if rule in ids or named.search(text)]


# Entries from machine.json


def _states(name: str) -> Iterator[Entry]:
    for region, data in protocol.machine()["regions"].items():
        if name not in data["states"]:
            continue
        initial = data["initial"] == name
        about = f"a state the {region} can be in{', and begins in' * initial}"
        entry = Entry("state", name, data["states"][name], about, {"region": region, "initial": initial})
        entry.add("what", entry.says)
        rows = [row for row in _rows(name, "from") if row["region"] == region]
        others = ({**row, "from": [s for s in as_list(row["from"]) if s != name]} for row in _rows(name, "to"))
        into = [row for row in others if row["region"] == region and row["from"]]
        entry.add("out", [f"{_any(row['on'])}{_to(row)}{_if(row)}" for row in rows], rows=rows)
        entry.add("in", [f"{_any(row['on'])} while {_any(row['from'])}{_if(row)}" for row in into], into=into)
        yield entry


def _signal(name: str) -> Entry:
    signals = [row for row in protocol.machine()["signals"] if row["name"] == name]
    senders = ["client", "server"] if signals[0]["from"] == "both" else [signals[0]["from"]]
    about = f"a signal of the machine, from the {' and '.join(senders)}"
    entry = Entry("signal", name, "", about, {"sender": senders, "ways": []})
    for row in signals:
        way = {"at": as_list(row["at"]), **{key: row[key] for key in ("is", "startsWith", "if") if key in row}}
        entry.facts["ways"].append(way)
        wanted = f" is {_any([json.dumps(value) for value in as_list(way['is'])])}" if "is" in way else " is there"
        wanted = f" starts with {way['startsWith']}" if "startsWith" in way else wanted
        is_message = f"in a message where {_any(way['at'])}{wanted}{_if(way)}" if way["at"] else ""
        entry.add("is", is_message or "a close frame, or the loss of the connection; no message has it")
    rows = _rows(name, "on")
    entry.add("moves", [_move(row) for row in rows], rows=rows)
    return entry


def _effect(name: str) -> Entry:
    entry = Entry("effect", name, protocol.machine()["effects"][name], "an effect of the machine")
    entry.add("what", entry.says)
    rows = _rows(name, "effect")
    entry.add("moves", [f"{_move(row, name)} on {_any(row['on'])}" for row in rows], rows=rows)
    return entry


def _region(name: str) -> Entry:
    about = "a part of a conversation that is followed: in one of these states at a time"
    entry = Entry("region", name, "", about)
    entry.add("states", values=protocol.machine()["regions"][name]["states"])
    return entry


def _trait(name: str) -> Entry:
    machine = protocol.machine()
    trait, default = machine["traits"][name], machine["traits"][name]["default"]
    rows = [*(row for region in machine["regions"].values() for row in region["rows"]), *machine["signals"]]
    asked_by = [row for row in rows if name in row.get("if", {})]
    entry = Entry("trait", name, "", "a trait that rows of the machine ask for", {**trait, "askedBy": asked_by})
    sources = ("profile", "setup", "session", "endpoint")
    entry.add("from", " ".join(f"{key} {trait[key]}" for key in sources if key in trait))
    entry.add("unset", str(default).lower() if isinstance(default, bool) else default)
    asked = (f"{' '.join(as_list(row.get('on', row.get('name'))))}{_if(row)}" for row in asked_by)
    entry.add("asked", "; ".join(dict.fromkeys(asked)))
    return entry


def _rows(name: str, key: str) -> list[dict[str, Any]]:
    """The rows of the machine that have a name as `from`, `on`, `to` or `effect`, each with its region."""
    regions = protocol.machine()["regions"].items()
    rows = [{"region": region, **row} for region, data in regions for row in data["rows"]]
    return [row for row in rows if name in as_list(row.get(key, []))]


def _signals_at(paths: list[str], is_message: bool) -> list[Entry]:
    """The signals that a member at these paths gives; of a message also those inside it."""
    names = {
        signal["name"]: None
        for signal in protocol.machine()["signals"]
        for at in as_list(signal["at"])
        if any(at == path or (is_message and at.startswith(f"{path}/")) for path in paths)
    }
    return [_signal(name) for name in names]


def _add_when(entry: Entry, paths: list[str]) -> None:
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
    free = [state for state in machine["regions"][region]["states"] if state not in judged | {end}] if judged else []
    parts = [f"the session is {_any(free)}"] if free else []
    for level, verb in (("note", "noted"), ("fault", "broken")):
        for rule in dict.fromkeys(rules[level].values()):
            names = [state for state, broken in rules[level].items() if broken == rule]
            parts.append(f"{rule} is {verb} while {_any(names)}")
    entry.add("when", "; ".join(parts), when={**rules, "free": dict.fromkeys(free, "")} if judged else {})


# Entries from the other files


def _model(name: str) -> Entry:
    profile, old, leaving = models.profile(name), models.retired(name), models.announced(name) or {}
    about = "a model that is retired" if profile["retired"] else f"a model, {profile['status']}"
    facts = {key: profile[key] for key in _PROFILE if key in profile}
    entry = Entry("model", profile["id"], profile.get("title", ""), about, facts)
    entry.add("what", entry.says)
    if old:
        gone = f", gone by {old['by']}" if old.get("by") else ""
        text = f"retired{gone}: {old.get('note', '')}. Use {profile['replacedBy']}."
        entry.add("old", text, goneBy=old.get("by", ""), note=old.get("note", ""))
    elif profile.get("replacedBy") or leaving:
        text = f", its shutdown is announced for {leaving['on']}" if leaving else ""
        entry.add("old", f"superseded by {profile.get('replacedBy') or leaving['replacedBy']}{text}")
    if not profile["known"]:
        near = " or ".join(model_advice.like(name, "gemini")) or models.default_model()
        entry.add("mean", f"no list of models has this id; did you mean {near}?")
    entry.add("ids", ", ".join(profile.get("ids", ())))
    surfaces = {"gemini": "Gemini API", "vertex": "Vertex AI"}
    entry.add("on", ", ".join(surfaces.get(name, name) for name in profile["surfaces"]))
    entry.add("since", profile.get("since", ""))
    text = f"text by {profile['textInput']}; clientContent {profile['clientContent']}"
    entry.add("takes", f"{', '.join(profile['input'])}; {text}")
    entry.add("gives", ", ".join(profile["output"]))
    entry.add("room", ", ".join(f"{count:,} tokens of {side}" for side, count in profile.get("context", {}).items()))
    levels = f": {', '.join(profile['thinkingLevels'])}" if "thinkingLevels" in profile else ""
    entry.add("thinks", "no thinkingConfig" if profile["thinking"] == "none" else f"by {profile['thinking']}{levels}")
    tools = profile["tools"]
    entry.add("tools", ", ".join([*tools["behavior"], *(name for name, on in tools.items() if on is True)]))
    entry.add("ends", f"a turn ends at {profile['turnEndsAt']}")
    entry.add("costs", _price(profile["price"]))
    for label, key in (("no", "refuses"), ("needs", "requires")):
        rules: dict[str, str] = {}
        for row in profile.get(key, ()):
            if key == "requires" or not {"until", "with"} & row.keys():
                rules.setdefault(row["at"], row["rule"])
        entry.add(label, ", ".join(f"{at} ({rule})" for at, rule in rules.items()), **{key: rules})
    entry.add("notes", notes=profile.get("notes", ""))
    entry.add_evidence(profile.get("evidence", ()))
    return entry


def _price(name: str | None) -> str:
    """The row of a model in prices.json, in words; "" if it has none."""
    prices = protocol.prices()
    row = next((row for row in prices["rows"] if row["id"] == name), None)
    if row is None:
        return ""
    sides = [
        f"{', '.join(f'{kind.lower()} {price:g}' for kind, price in row[side].items())} {side}"
        for side in ("in", "out")
    ]
    search = f"; a search {row['search']:g} USD" if row["search"] else ""
    return f"{'; '.join(sides)}, in USD a million tokens{search}; by the list of {prices['asOf']}"


def _voice(name: str) -> Entry:
    checks = [row for row in protocol.load("rules.json")["checks"] if row.get("among") == "voices"]
    entry = Entry("voice", name, "a prebuilt voice", "a voice")
    entry.add("what", entry.says)
    entry.add("at", at=[row["at"] for row in checks])
    entry.add("others", voices=protocol.models()["voices"])
    entry.add_rules(row["rule"] for row in checks)
    return entry


def _rule(name: str) -> Entry:
    row = protocol.rules()[name]
    return Entry("rule", name, row["says"], "a rule", row, [("says", row["says"]), ("do", row["do"])])


def _close(name: str) -> Entry:
    row = protocol.close_row(name)
    about = f"a close with {row['code']}" if row["code"] else "a refused upgrade"
    parts = [("what", row["meaning"]), ("why", row["cause"]), ("do", row["do"]), ("again", RETRY[row["retry"]])]
    parts += [("reason", row["reason"])] if row["reason"] else []
    return Entry("close", name, row["meaning"], about, row, parts)


def _evidence(name: str) -> Entry:
    says = protocol.load("evidence.json")["evidence"][name]
    about = "a word of `evidence`: where something is known from"
    return Entry("evidence", name, says, about, {}, [("what", says)])


def _scenario(name: str) -> Entry:
    scenario, file = protocol.load(f"scenarios/{name}.json"), f"protocol/scenarios/{name}.json"
    entry = Entry("scenario", name, scenario["title"], "a scenario")
    entry.add("what", entry.says)
    entry.add("play", f"livews serve {file}", file=file)
    entry.add_rules(scenario["proves"])
    return entry


_BY_KIND = {
    "signal": _signal, "effect": _effect, "region": _region, "trait": _trait, "model": _model, "voice": _voice,
    "rule": _rule, "close": _close, "evidence": _evidence, "scenario": _scenario,
}  # fmt: skip


def entries_of_kind(kind: str, name: str) -> Iterator[Entry]:
    """The entries of a name that is no member, type or value, by its kind."""
    if kind == "state":
        yield from _states(name)
    else:
        yield _BY_KIND[kind](name)


# Words


def _move(row: dict[str, Any], effect: str = "") -> str:
    """A row of the machine in words: `turn idle → generating`. `effect` is one that is not mentioned."""
    return f"{row['region']} {_any(row['from'])}{_to(row, effect)}{_if(row)}"


def _to(row: dict[str, Any], effect: str = "") -> str:
    """What a row does: the state it leads to, its effect and its rules."""
    to = f" → {row['to']}" if "to" in row else ""
    does = [row["effect"]] if row.get("effect", effect) != effect else []
    does += [f"{row['fault']} is broken"] if "fault" in row else []
    does += [f"{row['note']} is noted"] if "note" in row else []
    return to + ((", " if to else ": ") + ", ".join(does) if does else "")


def _if(row: dict[str, Any]) -> str:
    conditions = [f"{name} is {json.dumps(value)}" for name, value in row.get("if", {}).items()]
    return f" if {' and '.join(conditions)}" if conditions else ""


def _where(on: dict[str, bool | None]) -> str:
    groups = ((True, ""), (False, "not on "), (None, "not known of "))
    names = ((words, [_ON[name] for name in _ON if on.get(name) is verdict]) for verdict, words in groups)
    return "; ".join(words + ", ".join(surfaces) for words, surfaces in names if surfaces)


def _any(names: str | list[str]) -> str:
    *most, last = as_list(names)
    return f"{', '.join(most)} or {last}" if most else str(last)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_PATHS} more" if len(names) > _MOST_PATHS else ""
    return ", ".join(names[:_MOST_PATHS]) + more


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
