"""Render what protocol/ says of a name for a person.

- The facts are those of `explainer.entries`; here they get labels, an order and line breaks.
- Every line is escaped for a terminal and has no colours.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from livews.explainer.entries import Entry, as_list
from livews.explainer.locations import MemberLocation
from livews.terminal_text import columns, escape_unsafe, one_line, paragraph

CONFIDENCE = {
    "seen": "seen in a real log",
    "quoted": "quoted from a live run",
    "reported": "reported, the wording may be partial",
    "inferred": "inferred",
    "none": "not found in any log",
}
RETRY = {
    "no": "no: the same input fails again",
    "yes": "yes: connect again",
    "backoff": "after a pause, longer each time",
    "resume": "connect again with the newest resumption handle, after the old socket is closed",
    "fresh": "connect again without the resumption handle",
}
_SURE = {"seen": "seen on the wire", "reported": "reported, without a log", "written": "written down, not seen"}
_ON = {"v1beta": "Gemini API v1beta", "v1alpha": "Gemini API v1alpha", "vertex": "Vertex AI"}
_MODELS = {"takenBy": "taken by", "refusedBy": "refused by", "sentBy": "sent by", "requiredBy": "required by"}
_HEADS = {
    "member": "a member of {in}, from the {senders}",
    "message": "a message of the {senders}",
    "value": "a value of {type}",
    "signal": "a signal of the machine, from the {senders}",
    "region": "a part of a conversation that is followed: in one of these states at a time",
    "effect": "an effect of the machine",
    "trait": "a trait that rows of the machine ask for",
    "evidence": "a word of `evidence`: where something is known from",
}
_MOST_PATHS = 6


def head(entry: Entry) -> tuple[str, str]:
    """The first line of an entry: its name, and what it is."""
    facts = entry.facts
    senders = " and ".join(facts.get("sender", ()))
    match entry.kind:
        case "type":
            what = f"a type, from the {senders}" if senders else "a type that stands in no message"
        case "state":
            what = f"a state the {facts['region']} can be in{', and begins in' * facts['initial']}"
        case "model":
            what = "a model that is retired" if facts["retired"] else f"a model, {facts['status']}"
        case "close":
            what = f"a close with {facts['code']}" if facts["code"] else "a refused upgrade"
        case kind:
            what = _HEADS.get(kind, f"a {kind}").format_map({**facts, "senders": senders})
    return entry.name.removeprefix("/") if entry.kind == "message" else entry.name, what


def body(entry: Entry) -> Iterator[str]:
    """The lines below the first."""
    facts = entry.facts
    for label, text in _texts(entry):
        if text:
            yield paragraph(label, escape_unsafe(text))
    if facts.get("values"):
        yield listing("states" if entry.kind == "region" else "values", facts["values"].items())
    if "members" in facts:
        rows = ((name, f"({member['type']}) {member['says']}") for name, member in facts["members"].items())
        yield listing("has", rows, cut=True)
    for signal in facts.get("signals", ()):
        moves = "; ".join(_move(row) for row in signal["rows"]) or "moves nothing"
        yield paragraph("signal", f"{signal['name']}: {moves}")
    if entry.kind in ("signal", "effect"):
        for i, row in enumerate(facts["rows"]):
            on = f" on {_any(row['on'])}" if entry.kind == "effect" else ""
            yield paragraph("moves" * (i == 0), _move(row, entry.name) + on)
    if facts.get("rules"):
        yield listing("rules", facts["rules"].items())
    if "example" in facts:  # a line break between its words leaves it the same JSON
        yield paragraph("e.g.", escape_unsafe(json.dumps(facts["example"], ensure_ascii=False)))
        for words in facts.get("against", ()):
            yield paragraph("but", words)


def _texts(entry: Entry) -> Iterator[tuple[str, str]]:
    """The paragraphs of an entry, as (label, text); those without text are not shown."""
    facts, says = entry.facts, entry.says
    for name in ("deprecated", "default"):  # under a label of its own
        if facts.get(name):
            says = says.replace(facts[name], "").replace("  ", " ").strip()
    if entry.kind == "message":
        yield "what", facts["title"]
    yield "what" if entry.kind != "message" else "", says
    yield "old", facts.get("deprecated", "")
    yield from _TEXTS.get(entry.kind, _other)(facts)
    if facts.get("evidence") and entry.kind != "close":
        others = [word for word in facts["evidence"] if word not in facts["by"]]
        also = f"; also in {', '.join(others)}" if others else ""
        ask = f"What such a word means: `livews explain {facts['evidence'][0].split()[0]}`"
        yield "known", f"{_SURE[facts['sure']]} ({', '.join(facts['by'])}){also}. {ask}"


def _member(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    shape = {"one": "", "list": "list of ", "map": "map, by names of your own, of "}[facts["shape"]]
    required = ", required" if facts["presence"] == "required" else ""
    says = facts.get("typeSays", "")
    yield "type", f"{shape}{facts['type']}{required}{': ' * bool(says)}{says}"
    yield "not", f"beside {', '.join(facts['excludes'])}" if facts["excludes"] else ""
    name, snake = facts["spelling"]
    if name != snake:
        yield "wire", f"{name}; {snake} is taken from clients too" * ("client" in facts["sender"])
    yield "at", _some(facts["paths"]) if len(facts["paths"]) > 1 else ""
    yield "on", _where(facts["on"])
    models = (
        f"{_MODELS.get(key, key)} {', '.join('every model known here' if name == '*' else name for name in names)}"
        for key, names in facts["models"].items()
    )
    yield "models", "; ".join(models)
    yield "unset", facts["default"]
    yield "takes", "{} to {}".format(*facts["within"]) if "within" in facts else ", ".join(facts.get("among", ()))
    if when := facts.get("when"):
        parts = [f"the session is {_any(when['free'])}"] if when["free"] else []
        for level, verb in (("note", "noted"), ("fault", "broken")):
            rules = dict.fromkeys(when[level].values())
            states = {r: _any([state for state, rule in when[level].items() if rule == r]) for r in rules}
            parts += [f"{rule} is {verb} while {names}" for rule, names in states.items()]
        yield "when", "; ".join(parts)


def _model(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if facts["retired"]:
        gone = f", gone by {facts['goneBy']}" if facts.get("goneBy") else ""
        yield "old", f"retired{gone}: {facts['note']}. Use {facts['replacedBy']}."
    elif facts.get("replacedBy"):
        yield "old", f"superseded by {facts['replacedBy']}"
    yield "ids", ", ".join(facts.get("ids", ()))
    surfaces = {"gemini": "Gemini API", "vertex": "Vertex AI"}
    yield "on", ", ".join(surfaces.get(name, name) for name in facts["surfaces"])
    yield "since", facts.get("since", "")
    text = f"text by {facts['textInput']}; clientContent {facts['clientContent']}"
    yield "takes", f"{', '.join(facts['input'])}; {text}"
    yield "gives", ", ".join(facts["output"])
    yield "room", ", ".join(f"{count:,} tokens of {side}" for side, count in facts.get("context", {}).items())
    levels = f": {', '.join(facts['thinkingLevels'])}" if "thinkingLevels" in facts else ""
    yield "thinks", f"by {facts['thinking']}{levels}" if facts["thinking"] != "none" else "no thinkingConfig"
    tools = facts["tools"]
    yield "tools", ", ".join([*tools["behavior"], *(name for name, on in tools.items() if on is True)])
    yield "ends", f"a turn ends at {facts['turnEndsAt']}"
    for label, rows in (("no", facts["refuses"]), ("needs", facts["requires"])):
        yield label, ", ".join(f"{at} ({rule})" for at, rule in rows.items())
    yield "notes", facts["notes"]


def _close(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from (("why", facts["cause"]), ("do", facts["do"]), ("again", RETRY[facts["retry"]]))
    yield "reason", facts.get("reason", "")


def _trait(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    sources = ("profile", "setup", "session", "endpoint")
    yield "from", " ".join(f"{key} {facts[key]}" for key in sources if key in facts)
    default = facts["default"]
    yield "unset", str(default).lower() if isinstance(default, bool) else default
    rows = (f"{' '.join(as_list(row.get('on', row.get('name'))))}{_if(row)}" for row in facts["askedBy"])
    yield "asked", "; ".join(dict.fromkeys(rows))


def _state(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for i, row in enumerate(facts["rows"]):
        yield "out" * (i == 0), f"{_any(row['on'])}{_to(row)}{_if(row)}"
    for i, row in enumerate(facts["into"]):
        yield "in" * (i == 0), f"{_any(row['on'])} while {_any(row['from'])}{_if(row)}"


def _signal(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for way in facts["ways"]:
        wanted = f" is {_any(json.dumps(value) for value in as_list(way['is']))}" if "is" in way else " is there"
        if "startsWith" in way:
            wanted = f" starts with {way['startsWith']}"
        yield "is", f"in a message where {_any(way['at'])}{wanted}{_if(way)}"


def _other(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "type", facts.get("typeSays", "")
    yield "used", _some(facts.get("usedBy", ()))
    yield "at", _some(facts.get("paths", ()))
    yield "called", "; ".join(f"{name} in {where}" for where, name in facts.get("elsewhere", {}).items())


_TEXTS: dict[str, Callable[[dict[str, Any]], Iterable[tuple[str, str]]]] = {
    "member": _member,
    "message": _member,
    "model": _model,
    "close": _close,
    "state": _state,
    "signal": _signal,
    "trait": _trait,
    "voice": lambda facts: (("at", ", ".join(facts["at"])), ("others", ", ".join(facts["voices"]))),
    "scenario": lambda facts: (("play", f"livews serve {facts['file']}"),),
}


def places(name: str, locations: Sequence[MemberLocation], also: bool) -> Iterator[str]:
    """The locations of a member's name that stands in several types, and how to ask for one.

    Args:
        name: the name, escaped.
        locations: where it stands.
        also: whether entries of the name were shown before.
    """
    if not locations:
        return
    what = f"{name} also stands elsewhere;" if also else f"{name} stands in {len(locations)} types;"
    ask = f"ask for one: `livews explain {locations[0].ask}`"
    yield f"{what} {ask}" if len(what) + len(ask) < columns() else f"{what}\n  {ask}"
    for place in locations:
        start = f"  {place.ask}  "
        yield start + one_line(place.says, max(columns() - len(start), 20))
        more = len({path for _, path in place.paths}) - 1
        path = place.paths[0][1] if place.paths else "in no message"
        yield f"      {path}{f' and {more} more' if more > 0 else ''}"


def listing(label: str, rows: Iterable[tuple[str, str]], cut: bool = False) -> str:
    """Names with their texts beside them; `cut` gives each one line only."""
    rows = [(escape_unsafe(name), escape_unsafe(text)) for name, text in rows]
    wide = min(max(len(name) for name, _ in rows), 30)
    indent = " " * (9 + wide + 2)
    lines = []
    for i, (name, text) in enumerate(rows):
        first = f"  {label if i == 0 else '':<6} {name:<{wide}}  "
        if cut:
            text = one_line(text, max(columns() - len(first), 20))
        room = max(columns() - len(indent), 20)
        wrapped = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
        if wrapped and len(first) > len(indent):  # a long name has its line to itself
            lines += [first.rstrip(), *(indent + line for line in wrapped)]
        else:
            lines += [(first + "".join(wrapped[:1])).rstrip(), *(indent + line for line in wrapped[1:])]
    return "\n".join(lines)


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


def _any(names: Any) -> str:
    *most, last = [names] if isinstance(names, str) else names
    return f"{', '.join(most)} or {last}" if most else str(last)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _MOST_PATHS} more" if len(names) > _MOST_PATHS else ""
    return ", ".join(names[:_MOST_PATHS]) + more
