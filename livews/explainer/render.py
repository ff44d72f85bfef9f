"""What protocol/ says of a name, laid out for a person.

- The facts are those of `core.words`; here they get their labels, their order and their line breaks.
- Every line comes out safe to show and unpainted, as (label, text) or as a list under a label.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from livews.terminal_text import columns, escape_unsafe, one_line, paragraph

if TYPE_CHECKING:
    from livews.explainer.index import Entry, MemberLocation

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
_MODELS = {
    "takenBy": "taken by",
    "refusedBy": "refused by",
    "sentBy": "sent by",
    "requiredBy": "required by",
}
_MOST_PATHS = 6


def head(entry: Entry) -> tuple[str, str]:
    """The first line of an entry: its name, and what it is."""
    facts = entry.facts
    senders = " and ".join(facts.get("sender", ()))
    match entry.kind:
        case "member":
            what = f"a member of {facts['in']}, from the {senders}"
        case "message":
            what = f"a message of the {senders}"
        case "type":
            what = f"a type, from the {senders}" if senders else "a type that stands in no message"
        case "value":
            what = f"a value of {facts['type']}"
        case "signal":
            what = f"a signal of the machine, from the {senders}"
        case "state":
            what = f"a state the {facts['region']} can be in{', and begins in' * facts['initial']}"
        case "region":
            what = "a part of a conversation that is followed: in one of these states at a time"
        case "effect":
            what = "an effect of the machine"
        case "trait":
            what = "a trait that rows of the machine ask for"
        case "model":
            what = "a model that is retired" if facts["retired"] else f"a model, {facts['status']}"
        case "close":
            what = f"a close with {facts['code']}" if facts["code"] else "a refused upgrade"
        case "evidence":
            what = "a word of `evidence`: where something is known from"
        case _:
            what = f"a {entry.kind}"
    return entry.name.removeprefix("/") if entry.kind == "message" else entry.name, what


def body(entry: Entry) -> Iterator[str]:
    """Its lines below the first."""
    facts = entry.facts
    for label, text in _texts(entry):
        if text:
            yield paragraph(label, escape_unsafe(text))
    if facts.get("values"):
        yield listing("states" if entry.kind == "region" else "values", facts["values"].items())
    if "members" in facts:
        rows = ((name, f"({about['type']}) {about['says']}") for name, about in facts["members"].items())
        yield listing("has", rows, cut=True)
    for signal in facts.get("signals", ()):
        moves = "; ".join(_move(row) for row in signal["rows"]) or "moves nothing"
        yield paragraph("signal", f"{signal['name']}: {moves}")
    if entry.kind in ("signal", "effect"):
        for i, row in enumerate(facts["rows"]):
            on = f" on {_any(_list(row['on']))}" if entry.kind == "effect" else ""
            yield paragraph("moves" * (i == 0), _move(row, told=entry.name) + on)
    if facts.get("rules"):
        yield listing("rules", facts["rules"].items())
    if "example" in facts:
        yield example(facts["example"])
        for words in facts.get("against", ()):
            yield paragraph("but", words)


def _texts(entry: Entry) -> Iterator[tuple[str, str]]:
    facts = entry.facts
    says = entry.says
    for moved in ("deprecated", "default"):  # told under a label of its own
        if facts.get(moved):
            says = says.replace(facts[moved], "").replace("  ", " ").strip()
    if entry.kind == "message":
        yield "what", facts["title"]
    yield "what" if entry.kind != "message" else "", says
    yield "old", facts.get("deprecated", "")
    if entry.kind in ("member", "message"):
        yield from _member(facts)
    elif entry.kind == "model":
        yield from _model(facts)
    elif entry.kind == "close":
        yield "why", facts["cause"]
        yield "do", facts["do"]
        yield "again", RETRY[facts["retry"]]
        yield "reason", facts.get("reason", "")
    elif entry.kind == "state":
        yield from _of_state(facts)
    elif entry.kind == "signal":
        for way in facts["ways"]:
            yield "is", _way(way)
    elif entry.kind == "trait":
        yield (
            "from",
            " ".join(f"{key} {facts[key]}" for key in ("profile", "setup", "session", "endpoint") if key in facts),
        )
        yield "unset", str(facts["default"]).lower() if isinstance(facts["default"], bool) else facts["default"]
        asked = (f"{' '.join(_list(row.get('on', row.get('name'))))}{_if(row)}" for row in facts["askedBy"])
        yield "asked", "; ".join(dict.fromkeys(asked))
    elif entry.kind == "voice":
        yield "at", ", ".join(facts["at"])
        yield "others", ", ".join(facts["voices"])
    elif entry.kind == "scenario":
        yield "play", f"livews serve {facts['file']}"
    else:
        yield "type", facts.get("typeSays", "")
        yield "used", _some(facts.get("usedBy", ()))
        yield "at", _some(facts.get("paths", ()))
        named = [f"{name} in {where}" for where, name in facts.get("elsewhere", {}).items()]
        yield "called", "; ".join(named)
    if "evidence" in facts and entry.kind != "close":
        yield "known", _known(facts)


def _known(facts: dict[str, Any]) -> str:
    """How sure it is, by which words of evidence.json, and which others have it."""
    if not facts["evidence"]:
        return ""
    others = [word for word in facts["evidence"] if word not in facts["by"]]
    also = f"; also in {', '.join(others)}" if others else ""
    word = facts["evidence"][0].split()[0]
    return f"{_SURE[facts['sure']]} ({', '.join(facts['by'])}){also}. What such a word means: `livews explain {word}`"


def _member(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    shape = {"one": "", "list": "list of ", "map": "map, by names of your own, of "}[facts["shape"]]
    presence = {"optional": "", "required": ", required"}.get(facts["presence"], "")
    about = facts.get("typeSays", "")
    yield "type", f"{shape}{facts['type']}{presence}{': ' * bool(about)}{about}"
    yield "not", f"beside {', '.join(facts['excludes'])}" if facts["excludes"] else ""
    if facts["spelling"][0] != facts["spelling"][1]:
        yield (
            "wire",
            f"{facts['spelling'][0]}; {facts['spelling'][1]} is taken from clients too"
            * ("client" in facts["sender"]),
        )
    if len(facts["paths"]) > 1:
        yield "at", _some(facts["paths"])
    yield "on", _where(facts["on"])
    names = (
        (_MODELS.get(key, key), ["every model known here" if n == "*" else n for n in found])
        for key, found in facts["models"].items()
    )
    yield "models", "; ".join(f"{how} {', '.join(found)}" for how, found in names)
    yield "unset", facts["default"]
    if "within" in facts:
        yield "takes", "{} to {}".format(*facts["within"])
    if "among" in facts:
        yield "takes", ", ".join(facts["among"])
    when = facts.get("when")
    if when:
        parts = [f"the session is {_any(when['free'])}"] if when["free"] else []
        parts += [f"{rule} is noted while {_any(states)}" for rule, states in _turned(when["note"]).items()]
        parts += [f"{rule} is broken while {_any(states)}" for rule, states in _turned(when["fault"]).items()]
        yield "when", "; ".join(parts)


def _model(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    gone = f", gone by {facts['goneBy']}" if facts.get("goneBy") else ""
    if facts["retired"]:
        yield "old", f"retired{gone}: {facts['note']}. Use {facts['replacedBy']}."
    elif facts.get("replacedBy"):
        yield "old", f"superseded by {facts['replacedBy']}"
    yield "ids", ", ".join(facts.get("ids", ()))
    yield (
        "on",
        ", ".join({"gemini": "Gemini API", "vertex": "Vertex AI"}.get(one, one) for one in facts["surfaces"]),
    )
    yield "since", facts.get("since", "")
    yield (
        "takes",
        f"{', '.join(facts['input'])}; text by {facts['textInput']}; clientContent {facts['clientContent']}",
    )
    yield "gives", ", ".join(facts["output"])
    if "context" in facts:
        yield "room", ", ".join(f"{count:,} tokens of {side}" for side, count in facts["context"].items())
    levels = f": {', '.join(facts['thinkingLevels'])}" if "thinkingLevels" in facts else ""
    yield "thinks", f"by {facts['thinking']}{levels}" if facts["thinking"] != "none" else "no thinkingConfig"
    tools = facts["tools"]
    yield "tools", ", ".join([*tools["behavior"], *(name for name, on in tools.items() if on is True)])
    yield "ends", f"a turn ends at {facts['turnEndsAt']}"
    for label, rows in (("no", facts["refuses"]), ("needs", facts["requires"])):
        yield label, ", ".join(f"{at} ({rule})" for at, rule in rows.items())
    yield "notes", facts["notes"]


def places(name: str, found: Sequence[MemberLocation], also: bool) -> Iterator[str]:
    """The places of a member's name that stands in several types, and how to ask for one."""
    if not found:
        return
    what = f"{name} also stands elsewhere;" if also else f"{name} stands in {len(found)} types;"
    ask = f"ask for one: `livews explain {found[0].ask}`"
    yield f"{what} {ask}" if len(what) + len(ask) < columns() else f"{what}\n  {ask}"
    for place in found:
        start = f"  {place.ask}  "
        yield start + one_line(place.says, max(columns() - len(start), 20))
        more = len({path for _, path in place.paths}) - 1
        path = place.paths[0][1] if place.paths else "in no message"
        yield f"      {path}{f' and {more} more' if more > 0 else ''}"


def listing(label: str, rows: Iterable[tuple[str, str]], cut: bool = False) -> str:
    """Names with their words beside them; `cut` leaves one line for each."""
    rows = [(escape_unsafe(name), escape_unsafe(words)) for name, words in rows]
    wide = min(max(len(name) for name, _ in rows), 30)
    lines = []
    for i, (name, words) in enumerate(rows):
        first = f"  {label if i == 0 else '':<6} {name:<{wide}}  "
        indent = " " * (9 + wide + 2)
        room = max(columns() - len(first), 20)
        text = one_line(words, room) if cut else words
        wrapped = textwrap.wrap(
            text, max(columns() - len(indent), 20), break_long_words=False, break_on_hyphens=False
        )
        if wrapped and len(first) > len(indent):  # a long name has its line to itself
            lines += [first.rstrip(), *(indent + line for line in wrapped)]
        else:
            lines += [(first + "".join(wrapped[:1])).rstrip(), *(indent + line for line in wrapped[1:])]
    return "\n".join(lines)


def example(message: Any) -> str:
    """A message that can be copied: a line break between its words leaves it the same JSON."""
    return paragraph("e.g.", escape_unsafe(json.dumps(message, ensure_ascii=False)))


def _move(row: dict[str, Any], told: str = "") -> str:
    """A row of the machine in words: `turn idle → generating`; `told` is an effect that needs no telling."""
    to = f" → {row['to']}" if "to" in row else ""
    return f"{row['region']} {_any(_list(row['from']))}{to}{_does(row, ', ' if to else ': ', told)}{_if(row)}"


def _of_state(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for i, row in enumerate(facts["rows"]):
        to = f" → {row['to']}" if "to" in row else ""
        yield "out" * (i == 0), f"{_any(_list(row['on']))}{to}{_does(row, ', ' if to else ': ')}{_if(row)}"
    for i, row in enumerate(facts["into"]):
        yield "in" * (i == 0), f"{_any(_list(row['on']))} while {_any(_list(row['from']))}{_if(row)}"


def _does(row: dict[str, Any], before: str, told: str = "") -> str:
    does = [row["effect"]] if row.get("effect", told) != told else []
    does += [f"{row['fault']} is broken"] if "fault" in row else []
    does += [f"{row['note']} is noted"] if "note" in row else []
    return before + ", ".join(does) if does else ""


def _way(way: dict[str, Any]) -> str:
    wanted = f" is {_any([json.dumps(one) for one in _list(way['is'])])}" if "is" in way else " is there"
    if "startsWith" in way:
        wanted = f" starts with {way['startsWith']}"
    return f"in a message where {_any(way['at'])}{wanted}{_if(way)}"


def _if(row: dict[str, Any]) -> str:
    asked = [f"{name} is {json.dumps(value)}" for name, value in row.get("if", {}).items()]
    return f" if {' and '.join(asked)}" if asked else ""


def _where(on: dict[str, bool | None]) -> str:
    said = {True: "", False: "not on ", None: "not known of "}
    found = {words: [_ON[name] for name in _ON if on.get(name) is verdict] for verdict, words in said.items()}
    return "; ".join(words + ", ".join(names) for words, names in found.items() if names)


def _turned(rules: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for state, rule in rules.items():
        found.setdefault(rule, []).append(state)
    return found


def _any(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else str(last)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _MOST_PATHS} more" if len(names) > _MOST_PATHS else ""
    return ", ".join(names[:_MOST_PATHS]) + more


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
