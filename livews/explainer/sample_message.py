"""Make a small message with a given member in it, from the schemas.

- It has what its types require, and what would mean nothing without it; nothing else.
- A setup names the first model for which `livews check` finds no error. If there is none, the findings say so.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from livews.advice import judge, model_advice
from livews.core import models, protocol, rules, schema
from livews.core.schema import Member, Sender
from livews.explainer.locations import note_of

_TRIED = 8
"""Paths of a member that are tried."""
_DEPTH = 4
"""Levels of objects that are filled for a member that would be empty otherwise."""
_SCALARS: dict[str, Any] = {
    "int32": 1, "int64": 1, "double": 0.5, "bytes": "AAABAA==", "Duration": "1.5s", "Timestamp": "2026-11-22T10:00:00Z",
    "Struct": {}, "Value": {},
}  # fmt: skip
_STRINGS = {
    "text": "Hello", "id": "call-1", "name": "get_weather", "role": "user", "mimeType": "audio/pcm;rate=16000",
}  # fmt: skip
_COMPANIONS = {
    "mimeType": "data", "data": "mimeType", "turns": "turnComplete", "turnComplete": "turns", "name": "id", "id": "name",
}  # fmt: skip
"""Members of a type that mean little without each other, though nothing requires both."""
_ON_VERTEX = "projects/PROJECT/locations/us-central1/publishers/google/models/"

Example = tuple[str, dict[str, Any], list[rules.Finding]]
"""The path of a member, a message that has it, and the findings of `livews check` about it."""


def best(paths: Iterable[tuple[Sender, str]], value: str = "") -> Example | None:
    """The first example that no model refuses, or else the first of all, without notes; None if there are no paths.

    Args:
        paths: who sends the member, and a JSON pointer with `*` for items; not all of many are tried.
        value: the enum value that the member is to have, "" for any.
    """
    first: Example | None = None
    for sender, path in islice(paths, _TRIED):
        for model in _models(sender, path):
            for _, message, findings in _examples(sender, path, model, value):
                example = path, message, [finding for finding in findings if finding.level != "note"]
                if not example[2]:
                    return example
                first = first or example
    return first


def broken(sender: Sender, path: str) -> list[str]:
    """Rules that one of the values of a member in the schemas breaks, on the default model."""
    findings = [
        finding for *_, found in _examples(sender, path, f"models/{models.default_model()}") for finding in found
    ]
    return [finding.rule for finding in findings if re.sub(r"/\d+(?=/|$)", "/*", finding.path) == path]


def alone(type_id: str, name: str) -> dict[str, Any]:
    """An object of a type that stands in no message, with one of its members."""
    return _around(type_id, [name], None)


def _steps(path: str) -> list[str]:
    return [step for step in path.split("/")[1:] if step != "*"]


def _along(sender: Sender, path: str) -> Iterator[tuple[str, Member]]:
    """The members on a path, each with the $id of the type that has it."""
    type_id = schema.ENVELOPE[sender]
    for step in _steps(path):
        member = schema.table(type_id).members[step]
        yield type_id, member
        type_id = member.target or ""


def _models(sender: Sender, path: str) -> list[str]:
    """Names of models to try, first those that are known to accept a member on the path; those of Vertex last."""
    default = models.default_model()
    if not path.startswith("/setup"):
        return [f"models/{default}"]
    notes = (note_of(type_id, member) for type_id, member in _along(sender, path))
    names = [name for note in notes for name in note.get("models", {}).get("takenBy", ())]
    ids = [row["ids"][0] for row in protocol.models()["profiles"] if row["name"] in names]
    on_gemini = (f"models/{model}" for model in [*ids, default, *model_advice.live_ids("gemini")])
    return list(dict.fromkeys([*on_gemini, *(f"{_ON_VERTEX}{model}" for model in model_advice.live_ids("vertex"))]))


def _examples(sender: Sender, path: str, model: str, value: str = "") -> Iterator[Example]:
    """A message for each value that is worth a try, with all its findings."""
    *_, (_, member) = _along(sender, path)
    values = schema.table(member.target).values if member.target else None
    listed = models.profile(model).get(f"{member.name}s")  # thinkingLevels
    for leaf in [value] if value else listed or (_specified(values) if values else [None]):
        message = _around(schema.ENVELOPE[sender], _steps(path), leaf)
        if "setup" in message:
            message["setup"]["model"] = model
        yield path, message, judge.check(sender, message)


def _specified(values: dict[str, int | None]) -> list[str]:
    return [name for name in values if not name.endswith("_UNSPECIFIED")] or list(values)


def _around(type_id: str, steps: list[str], leaf: Any) -> dict[str, Any]:
    """An object of a type with the member at the end of the steps, and what is required on the way there.

    `leaf`: the member's value; None for one of its type.
    """
    table = schema.table(type_id)
    member = table.members[steps[0]]
    if steps[1:]:
        leaf = _around(member.target or "", steps[1:], leaf)
    elif leaf is None:
        leaf = _value(member, {type_id})
    rivals = {name for group in table.oneofs if member.name in group for name in group}
    required = _required(type_id, {type_id}, but=rivals | {member.name})
    return _completed(type_id, {**required, member.name: _shaped(member, leaf)})


def _required(type_id: str, above: set[str], but: set[str]) -> dict[str, Any]:
    members = (member for member in _members(type_id) if member.name not in but)
    required = (member for member in members if note_of(type_id, member)["presence"] == "required")
    return {member.name: _shaped(member, _value(member, above)) for member in required}


def _value(member: Member, above: set[str]) -> Any:
    """A value of the member's type, without its list or map. `above`: the types that it is inside of."""
    checks: list[dict[str, Any]] = protocol.load("rules.json")["checks"]
    check = next((row for row in checks if row["at"].endswith(f"/{member.name}")), {})
    if "within" in check:
        return check["within"][0]
    if "among" in check:
        return protocol.models()[check["among"]][0]
    if member.target is None and member.name == "model":
        return f"models/{models.default_model()}"
    if member.target is None:
        return True if member.plain == "boolean" else _STRINGS.get(member.name, "...")
    of = schema.table(member.target)
    if of.values is not None:
        return "OBJECT" if "OBJECT" in of.values else _specified(of.values)[0]  # what parameters have to be
    return _object(member.target, above | {member.target}) if of.is_message else _SCALARS[of.name]


def _object(type_id: str, above: set[str]) -> dict[str, Any]:
    """An object with its required members, or else with its first useful one."""
    row, members = protocol.schema(type_id), _required(type_id, above, but=set())
    if not members and len(above) <= _DEPTH and "{}" not in row["description"]:
        useful = [
            member
            for member in _members(type_id)
            if member.target not in above and not deprecated(row["properties"][member.name]["description"])
        ]
        for member in sorted(useful, key=lambda member: member.on["v1beta"] is not True)[:1]:
            members[member.name] = _shaped(member, _value(member, above))
    return _completed(type_id, members)


def _completed(type_id: str, members: dict[str, Any]) -> dict[str, Any]:
    """An object with the members that belong to those it has."""
    table = schema.table(type_id).members
    for name in list(members):
        other = _COMPANIONS.get(name)
        if other in table and other not in members:
            members[other] = _shaped(table[other], _value(table[other], {type_id}))
    return members


def _members(type_id: str) -> list[Member]:
    """The members of a type, each once."""
    return [member for name, member in schema.table(type_id).members.items() if name == member.name]


def _shaped(member: Member, value: Any) -> Any:
    return {"one": value, "list": [value], "map": {"key": value}}[member.shape]


def deprecated(says: str) -> str:
    """The sentences of a description that call something deprecated, and say what to use instead."""
    return pick(says, "eprecated")


def pick(says: str, pattern: str) -> str:
    """The sentences of a text in which a regular expression matches."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z0-9{])", says)
    return " ".join(sentence for sentence in sentences if re.search(pattern, sentence))
