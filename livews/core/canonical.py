"""Canonical form of messages: what a JSON Schema cannot do, done before validation.

- `fold()` turns both spellings into camelCase, drops null, wraps a bare value where real clients send one in place of
  a list, and turns enum numbers and lower-case enum names into names. protocol/README.md lists the steps.
- The inside of a Struct or Value is the application's own and stays as it is.
- The message that was passed in is not changed.
"""

from dataclasses import dataclass, field
from typing import Any

from livews.core.schema import ENVELOPE, MOST, Json, Member, Sender, Table, cut, pointer, table

_NULL_TYPES = ("/Value.json", "/NullValue.json")
_Place = tuple[Any, str | int, Member | None] | None
"""A value in a message: the place it stands in, its key as sent or its index, and the member; None for the message. Only
what is noted needs its path."""


@dataclass(slots=True)
class Canonical:
    """A message in canonical form, and what was noticed on the way, `MOST` of a kind. Paths are JSON pointers in the message
    as sent."""

    message: Json
    unknown: list[tuple[str, str, str]] = field(default_factory=list)
    """Members that the schemas do not have: (path, key as sent, snake_case path of the parent)."""
    unknown_values: list[tuple[str, str, str]] = field(default_factory=list)
    """Names that an enum does not have: (path, value, name of the enum)."""
    remarks: list[tuple[str, str, str]] = field(default_factory=list)
    """What is accepted and should be written otherwise: (rule id, path, words)."""
    elsewhere: list[tuple[str, str, str]] = field(default_factory=list)
    """Known members that the surface does not take: (path, key, snake_case path of the parent)."""

    def remark(self, rule: str, at: _Place, words: str) -> None:
        """Note what is accepted and should be written otherwise."""
        if len(self.remarks) < MOST:
            self.remarks.append((rule, _path(at), words))

    @property
    def has_remarks(self) -> bool:
        """Whether anything was noticed."""
        return bool(self.unknown or self.unknown_values or self.remarks or self.elsewhere)


def fold(sender: Sender, message: Json, surface: str | None = None) -> Canonical:
    """The canonical form of a message.

    Args:
        sender: who sends such messages, "client" or "server".
        message: the parsed message. What is no object stays as it is.
        surface: "v1alpha", "v1beta", "gemini" or "vertex", as in `Member.taken`, to note the members it does not take.
    """
    result = Canonical(message)
    if isinstance(message, dict):
        result.message = _object(message, table(ENVELOPE[sender]), None, result, surface)
    return result


def _object(value: dict[str, Json], of: Table, at: _Place, result: Canonical, surface: str | None) -> dict[str, Json]:
    out: dict[str, Json] = {}
    for key, child in value.items():
        member = of.members.get(key)
        if member is None:
            if len(result.unknown) < MOST:
                result.unknown.append((_path((at, key, None)), key, _snake(at)))
            out[key] = child
            continue
        target = member.target
        here = (at, key, member)
        if child is None and not (target and target.endswith(_NULL_TYPES)):
            result.remark("WIRE-11", here, "null means that the member is not set; leave it out")
            continue
        if member.name in out:
            result.remark("WIRE-4", here, f"{member.name} is given in both spellings; the last one wins")
        if surface is not None and member.taken(surface) is False and len(result.elsewhere) < MOST:
            result.elsewhere.append((_path(here), key, _snake(at)))
        if member.bare and not isinstance(child, list):
            result.remark("WIRE-4", here, "a list is meant; the service takes the bare value too")
            child = [child]
        if target:
            inner = table(target)
            if member.shape == "one":
                child = _value(child, inner, here, result, surface)
            elif member.shape == "list" and isinstance(child, list):
                child = [_value(item, inner, (here, i, None), result, surface) for i, item in enumerate(child)]
            elif member.shape == "map" and isinstance(child, dict):
                child = {
                    name: _value(item, inner, (here, name, None), result, surface) for name, item in child.items()
                }
        out[member.name] = child
    return out


def _value(value: Json, of: Table, at: _Place, result: Canonical, surface: str | None) -> Json:
    if of.values is not None:
        return _enum(value, of, at, result)
    if isinstance(value, dict) and of.is_message:
        return _object(value, of, at, result, surface)
    return value


def _enum(value: Json, of: Table, at: _Place, result: Canonical) -> Json:
    assert of.values is not None
    if isinstance(value, str):
        if value in of.values:
            return value
        if (upper := value.upper()) in of.values:
            result.remark("WIRE-12", at, f"{value} is written {upper}")
            return upper
        if len(result.unknown_values) < MOST:
            result.unknown_values.append((_path(at), value, of.name))
    elif isinstance(value, int) and not isinstance(value, bool):
        return next((name for name, number in of.values.items() if number == value), value)
    return value


def _path(place: _Place) -> str:
    return f"{_path(place[0])}/{pointer(str(place[1]))}" if place else ""


def _snake(place: _Place) -> str:
    if place is None:
        return ""
    outer, step, member = place
    return f"{_snake(outer)}.{member.snake}".removeprefix(".") if member else f"{_snake(outer)}[{cut(str(step))}]"
