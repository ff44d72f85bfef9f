"""A small message with one member in it, made from the schemas.

- What a type requires is there, and what would say nothing without it; nothing else is.
- A setup names the first model that takes the message as `livews check` judges it; where none does, the findings say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from livews.core import models, protocol, rules, schema
from livews.core.schema import Member, Sender

_DEPTH = 4
"""Objects within objects that are filled for the sake of a member that would be empty otherwise."""
_SCALARS: dict[str, Any] = {
    "int32": 1, "int64": 1, "double": 0.5, "bytes": "AAABAA==", "Duration": "1.5s", "Timestamp": "2026-11-22T10:00:00Z",
    "Struct": {}, "Value": {},
}  # fmt: skip
_TOGETHER = (("mimeType", "data"), ("turns", "turnComplete"), ("name", "id"))
"""Members of a type that say little without each other, though nothing requires both."""
_STRINGS = {
    "text": "Hello",
    "id": "call-1",
    "name": "get_weather",
    "role": "user",
    "mimeType": "audio/pcm;rate=16000",
}


@dataclass(frozen=True, slots=True)
class Example:
    """`findings` are what `livews check` has against it: empty, or a refusal nobody could avoid."""

    message: dict[str, Any]
    findings: tuple[rules.Finding, ...] = ()


def of(sender: Sender, path: str, value: str = "") -> Example:
    """An example with the member at `path`, a JSON pointer with `*` for items; `value` is the enum value it has."""
    steps = [step for step in path.split("/")[1:] if step != "*"]
    first: Example | None = None
    for model in _models(sender, steps):
        for leaf in [value] if value else _values(sender, steps, model):
            message = _Maker(model).around(schema.ENVELOPE[sender], steps, leaf)
            against = tuple(one for one in rules.check(sender, message) if one.level != "note")
            if not against:
                return Example(message)
            first = first or Example(message, against)
    assert first is not None
    return first


def broken(sender: Sender, path: str) -> list[str]:
    """Rules that one of the values the schema has for this member breaks, on the model to start with."""
    steps = [step for step in path.split("/")[1:] if step != "*"]
    model = models.default_model()
    made = [_Maker(model).around(schema.ENVELOPE[sender], steps, leaf) for leaf in _values(sender, steps, model)]
    found = [one for message in made for one in rules.check(sender, message)]
    return [one.rule for one in found if re.sub(r"/\d+(?=/|$)", "/*", one.path) == path]


def alone(type_id: str, name: str) -> dict[str, Any]:
    """The same for a type that stands in no message."""
    made: dict[str, Any] = _Maker(models.default_model()).around(type_id, [name], None)
    return made


def _models(sender: Sender, steps: list[str]) -> list[str]:
    """Ids to try, those first that are known to take a member on the way."""
    default = models.default_model()
    if steps[0] != "setup":
        return [default]
    taken = [name for note in _notes(sender, steps) for name in note.get("models", {}).get("takenBy", ())]
    ids = [row["ids"][0] for row in protocol.models()["profiles"] if row["name"] in taken]
    return list(dict.fromkeys([*ids, default, *models.live_ids("gemini"), *models.live_ids("vertex")]))


def _notes(sender: Sender, steps: list[str]) -> Iterator[dict[str, Any]]:
    """x-livews of each member on the way."""
    type_id = schema.ENVELOPE[sender]
    for step in steps:
        yield protocol.schemas()[type_id]["properties"][step]["x-livews"]
        type_id = schema.table(type_id).members[step].target or ""


def _values(sender: Sender, steps: list[str], model: str) -> list[Any]:
    """What may be tried at the end of the steps; None is whatever its type is made as."""
    if listed := models.profile(model).get(f"{steps[-1]}s"):  # thinkingLevels
        return list(listed)
    type_id, member = schema.ENVELOPE[sender], None
    for step in steps:
        type_id = member.target or "" if member else type_id
        member = schema.table(type_id).members[step]
    if member and member.target and (values := schema.table(member.target).values):
        return [name for name in values if not name.endswith("_UNSPECIFIED")] or list(values)
    return [None]


@dataclass(frozen=True, slots=True)
class _Maker:
    model: str

    def around(self, type_id: str, steps: list[str], leaf: Any) -> Any:
        """An object of this type with the member at the end of the steps, and what is required on the way there."""
        table = schema.table(type_id)
        member = table.members[steps[0]]
        if steps[1:]:
            inner = self.around(member.target or "", steps[1:], leaf)
        else:
            inner = leaf if leaf is not None else self._one(member, {type_id})
        rivals = {name for group in table.oneofs if member.name in group for name in group}
        made = self._required(type_id, rivals | {member.name}, {type_id})
        return self._whole(type_id, {**made, member.name: _shaped(member, inner)})

    def _required(self, type_id: str, but: set[str], above: set[str]) -> dict[str, Any]:
        required = (m for m, note in _members(type_id) if note["presence"] == "required" and m.name not in but)
        return {m.name: _shaped(m, self._one(m, above)) for m in required}

    def _one(self, member: Member, above: set[str]) -> Any:
        """A value of the member's type, without its list or map."""
        if member.target is None:
            return True if member.plain == "boolean" else self._string(member.name)
        of = schema.table(member.target)
        if of.values is not None:
            return next((name for name in of.values if not name.endswith("_UNSPECIFIED")), next(iter(of.values)))
        if not of.is_message:
            return next((row["within"][0] for row in _checks(member.name) if "within" in row), _SCALARS[of.name])
        return _SCALARS[of.name] if of.is_struct else self._object(member.target, above | {member.target})

    def _object(self, type_id: str, above: set[str]) -> dict[str, Any]:
        made = self._required(type_id, set(), above)
        if made:
            return self._whole(type_id, made)
        if len(above) > _DEPTH or "{}" in protocol.schemas()[type_id]["description"]:
            return made
        telling = [
            (note["on"]["v1beta"] is not True, i, m)
            for i, (m, note) in enumerate(_members(type_id))
            if m.target not in above
            and not deprecated(protocol.schemas()[type_id]["properties"][m.name]["description"])
        ]
        if not telling:
            return made
        member = min(telling, key=lambda one: one[:2])[2]
        return self._whole(type_id, {member.name: _shaped(member, self._one(member, above))})

    def _whole(self, type_id: str, made: dict[str, Any]) -> dict[str, Any]:
        """With the members that those there are are said together with."""
        table = schema.table(type_id)
        for pair in _TOGETHER:
            for name, other in (pair, pair[::-1]):
                if name in made and other in table.members and other not in made:
                    made[other] = _shaped(table.members[other], self._one(table.members[other], {type_id}))
        return made

    def _string(self, name: str) -> str:
        if name == "model":
            return f"models/{self.model}"
        row = next((row for row in _checks(name) if "among" in row), None)
        return str(protocol.models()[row["among"]][0]) if row else _STRINGS.get(name, "...")


def _members(type_id: str) -> Iterator[tuple[Member, dict[str, Any]]]:
    """The members of a type, each once, with their x-livews."""
    for name, prop in protocol.schemas()[type_id].get("properties", {}).items():
        yield schema.table(type_id).members[name], prop["x-livews"]


def _shaped(member: Member, value: Any) -> Any:
    return {"one": value, "list": [value], "map": {"key": value}}[member.shape]


def _checks(name: str) -> Iterator[dict[str, Any]]:
    return (row for row in protocol.load("rules.json")["checks"] if row["at"].endswith(f"/{name}"))


def deprecated(says: str) -> str:
    """The sentences that call something deprecated, and say what to use instead."""
    return pick(says, "eprecated")


def pick(says: str, word: str) -> str:
    """The sentences of a text that have this word, a regular expression, in them."""
    return " ".join(sentence for sentence in sentences(says) if re.search(word, sentence))


def sentences(says: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+(?=[A-Z0-9{])", says)
