"""Make a small message with a given member in it, from the schemas.

- It has what its types require, and what would mean nothing without it; nothing else.
- A setup names the first model for which `livews check` finds no error. If there is none, the findings say so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from livews.core import models, protocol, rules, schema
from livews.core.schema import Member, Sender

_DEPTH = 4
"""Levels of objects that are filled for a member that would be empty otherwise."""
_SCALARS: dict[str, Any] = {
    "int32": 1, "int64": 1, "double": 0.5, "bytes": "AAABAA==", "Duration": "1.5s", "Timestamp": "2026-11-22T10:00:00Z",
    "Struct": {}, "Value": {},
}  # fmt: skip
_TOGETHER = (("mimeType", "data"), ("turns", "turnComplete"), ("name", "id"))
"""Members of a type that mean little without each other, though nothing requires both."""
_STRINGS = {
    "text": "Hello", "id": "call-1", "name": "get_weather", "role": "user", "mimeType": "audio/pcm;rate=16000",
}  # fmt: skip


Example = tuple[dict[str, Any], list[rules.Finding]]
"""A message, and the findings of `livews check` about it that could not be avoided."""


def of(sender: Sender, path: str, value: str = "") -> Example:
    """An example with the member at a path.

    Args:
        sender: who sends it.
        path: a JSON pointer with `*` for items.
        value: the enum value that the member is to have, "" for any.
    """
    steps = [step for step in path.split("/")[1:] if step != "*"]
    first: Example | None = None
    for model in _models(sender, steps):
        for leaf in [value] if value else _leaves(sender, steps, model):
            message = _Maker(model).around(schema.ENVELOPE[sender], steps, leaf)
            findings = [finding for finding in rules.check(sender, message) if finding.level != "note"]
            if not findings:
                return message, []
            first = first or (message, findings)
    assert first is not None
    return first


def broken(sender: Sender, path: str) -> list[str]:
    """Rules that one of the values of a member in the schemas breaks, on the default model."""
    steps = [step for step in path.split("/")[1:] if step != "*"]
    maker = _Maker(models.default_model())
    findings = [
        finding
        for leaf in _leaves(sender, steps, maker.model)
        for finding in rules.check(sender, maker.around(schema.ENVELOPE[sender], steps, leaf))
    ]
    return [finding.rule for finding in findings if re.sub(r"/\d+(?=/|$)", "/*", finding.path) == path]


def alone(type_id: str, name: str) -> dict[str, Any]:
    """An object of a type that stands in no message, with one of its members."""
    sample: dict[str, Any] = _Maker(models.default_model()).around(type_id, [name], None)
    return sample


def _along(sender: Sender, steps: list[str]) -> list[tuple[str, Member]]:
    """The members on a path, each with the $id of the type that has it."""
    members, type_id = [], schema.ENVELOPE[sender]
    for step in steps:
        member = schema.table(type_id).members[step]
        members.append((type_id, member))
        type_id = member.target or ""
    return members


def _models(sender: Sender, steps: list[str]) -> list[str]:
    """Ids of models to try, first those that are known to accept a member on the path."""
    default = models.default_model()
    if steps[0] != "setup":
        return [default]
    notes = (_note(type_id, member) for type_id, member in _along(sender, steps))
    names = [name for note in notes for name in note.get("models", {}).get("takenBy", ())]
    ids = [row["ids"][0] for row in protocol.models()["profiles"] if row["name"] in names]
    return list(dict.fromkeys([*ids, default, *models.live_ids("gemini"), *models.live_ids("vertex")]))


def _leaves(sender: Sender, steps: list[str], model: str) -> list[Any]:
    """Values to try at the end of a path; None for the one that its type has."""
    if listed := models.profile(model).get(f"{steps[-1]}s"):  # thinkingLevels
        return list(listed)
    target = _along(sender, steps)[-1][1].target
    values = schema.table(target).values if target else None
    return _specified(values) if values else [None]


def _specified(values: dict[str, int | None]) -> list[str]:
    return [name for name in values if not name.endswith("_UNSPECIFIED")] or list(values)


def _note(type_id: str, member: Member) -> dict[str, Any]:
    """x-livews of a member."""
    return protocol.schema(type_id)["properties"][member.name]["x-livews"]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _Maker:
    model: str
    """The id that a setup names."""

    def around(self, type_id: str, steps: list[str], leaf: Any) -> Any:
        """An object of a type with the member at the end of the steps, and what is required on the way there."""
        table = schema.table(type_id)
        member = table.members[steps[0]]
        if steps[1:]:
            inner = self.around(member.target or "", steps[1:], leaf)
        else:
            inner = leaf if leaf is not None else self._one(member, {type_id})
        rivals = {name for group in table.oneofs if member.name in group for name in group}
        required = self._required(type_id, rivals | {member.name}, {type_id})
        return self._completed(type_id, {**required, member.name: _shaped(member, inner)})

    def _required(self, type_id: str, but: set[str], above: set[str]) -> dict[str, Any]:
        members = (member for member in _members(type_id) if member.name not in but)
        required = (member for member in members if _note(type_id, member)["presence"] == "required")
        return {member.name: _shaped(member, self._one(member, above)) for member in required}

    def _one(self, member: Member, above: set[str]) -> Any:
        """A value of the member's type, without its list or map."""
        if member.target is None:
            return True if member.plain == "boolean" else self._string(member.name)
        of = schema.table(member.target)
        if of.values is not None:
            return _specified(of.values)[0]
        if of.is_message:
            return self._object(member.target, above | {member.target})
        return next((row["within"][0] for row in _checks(member.name) if "within" in row), _SCALARS[of.name])

    def _object(self, type_id: str, above: set[str]) -> dict[str, Any]:
        """An object with its required members, or else with its first useful one."""
        row, members = protocol.schema(type_id), self._required(type_id, set(), above)
        if not members and len(above) <= _DEPTH and "{}" not in row["description"]:
            useful = [
                member
                for member in _members(type_id)
                if member.target not in above and not deprecated(row["properties"][member.name]["description"])
            ]
            for member in sorted(useful, key=lambda member: member.on["v1beta"] is not True)[:1]:
                members[member.name] = _shaped(member, self._one(member, above))
        return self._completed(type_id, members)

    def _completed(self, type_id: str, members: dict[str, Any]) -> dict[str, Any]:
        """An object with the members that belong to those it has."""
        table = schema.table(type_id).members
        for pair in _TOGETHER:
            for name, other in (pair, pair[::-1]):
                if name in members and other in table and other not in members:
                    members[other] = _shaped(table[other], self._one(table[other], {type_id}))
        return members

    def _string(self, name: str) -> str:
        if name == "model":
            return f"models/{self.model}"
        row = next((row for row in _checks(name) if "among" in row), None)
        return str(protocol.models()[row["among"]][0]) if row else _STRINGS.get(name, "...")


def _members(type_id: str) -> list[Member]:
    """The members of a type, each once."""
    return list({member.name: member for member in schema.table(type_id).members.values()}.values())


def _shaped(member: Member, value: Any) -> Any:
    return {"one": value, "list": [value], "map": {"key": value}}[member.shape]


def _checks(name: str) -> list[dict[str, Any]]:
    return [row for row in protocol.checks() if row["at"].endswith(f"/{name}")]


def deprecated(says: str) -> str:
    """The sentences of a description that call something deprecated, and say what to use instead."""
    return pick(says, "eprecated")


def pick(says: str, pattern: str) -> str:
    """The sentences of a text in which a regular expression matches."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z0-9{])", says)
    return " ".join(sentence for sentence in sentences if re.search(pattern, sentence))
