"""Canonical form of messages: what a JSON Schema cannot do, done before validation.

- `fold()` turns both spellings into camelCase, drops null, wraps a bare value where real clients send one in place of
  a list, and turns enum numbers and lower-case enum names into names. protocol/README.md lists the steps.
- The inside of a Struct or Value is the application's own and stays as it is.
- The message that was passed in is not changed.
"""

from dataclasses import dataclass, field

from livews.core.schema import ENVELOPE, Json, Sender, Table, pointer, table

_NULL_TYPES = ("/Value.json", "/NullValue.json")


@dataclass(slots=True)
class Canonical:
    """A message in canonical form, and what was noticed on the way. Paths are JSON pointers in the message as sent."""

    message: Json
    unknown: list[tuple[str, str, str]] = field(default_factory=list)
    """Members that the schemas do not have: (path, key as sent, snake_case path of the parent)."""
    unknown_values: list[tuple[str, str, str]] = field(default_factory=list)
    """Names that an enum does not have: (path, value, name of the enum)."""
    remarks: list[tuple[str, str, str]] = field(default_factory=list)
    """What is accepted and should be written otherwise: (rule id, path, words)."""
    elsewhere: list[tuple[str, str, str]] = field(default_factory=list)
    """Known members that the surface does not take: (path, key, snake_case path of the parent)."""

    @property
    def has_remarks(self) -> bool:
        """Whether anything was noticed."""
        return bool(self.unknown or self.unknown_values or self.remarks or self.elsewhere)


def fold(sender: Sender, message: Json, surface: str | None = None) -> Canonical:
    """The canonical form of a message.

    Args:
        sender: who sends such messages, "client" or "server".
        message: the parsed message. What is no object stays as it is.
        surface: a column of `x-livews.on` ("v1alpha", "v1beta" or "vertex") to note the members it does not take.
    """
    result = Canonical(message)
    if isinstance(message, dict):
        result.message = _object(message, table(ENVELOPE[sender]), "", "", result, surface)
    return result


def fold_setup(setup: Json, surface: str | None = None) -> Canonical:
    """The same for the value of `setup`. Paths still start at /setup."""
    result = fold("client", {"setup": setup}, surface)
    result.message = result.message.get("setup")
    return result


def _object(
    value: dict[str, Json], of: Table, path: str, snake: str, result: Canonical, surface: str | None
) -> dict[str, Json]:
    out: dict[str, Json] = {}
    for key, child in value.items():
        member = of.members.get(key)
        if member is None:
            result.unknown.append((f"{path}/{pointer(key)}", key, snake))
            out[key] = child
            continue
        here = f"{path}/{key}"  # a known name has nothing to escape
        target = member.target
        if child is None and not (target and target.endswith(_NULL_TYPES)):
            result.remarks.append(("WIRE-11", here, "null means that the member is not set; leave it out"))
            continue
        if member.name in out:
            result.remarks.append(("WIRE-4", here, f"{member.name} is given in both spellings; the last one wins"))
        if surface is not None and member.on.get(surface) is False:
            result.elsewhere.append((here, key, snake))
        if member.bare and not isinstance(child, list):
            result.remarks.append(("WIRE-4", here, "a list is meant; the service takes the bare value too"))
            child = [child]
        if target:
            step = f"{snake}.{member.snake}" if snake else member.snake
            if member.shape == "one":
                child = _value(child, target, here, step, result, surface)
            elif member.shape == "list" and isinstance(child, list):
                child = [
                    _value(item, target, f"{here}/{i}", f"{step}[{i}]", result, surface)
                    for i, item in enumerate(child)
                ]
            elif member.shape == "map" and isinstance(child, dict):
                child = {
                    name: _value(item, target, f"{here}/{pointer(name)}", f"{step}[{name}]", result, surface)
                    for name, item in child.items()
                }
        out[member.name] = child
    return out


def _value(value: Json, target: str, path: str, snake: str, result: Canonical, surface: str | None) -> Json:
    of = table(target)
    if of.values is not None:
        return _enum(value, of.values, of.name, path, result)
    if isinstance(value, dict) and of.is_message:
        return _object(value, of, path, snake, result, surface)
    return value


def _enum(value: Json, values: dict[str, int | None], name: str, path: str, result: Canonical) -> Json:
    if isinstance(value, str):
        if value in values:
            return value
        if (upper := value.upper()) in values:
            result.remarks.append(("WIRE-12", path, f"{value} is written {upper}"))
            return upper
        result.unknown_values.append((path, value, name))
    elif isinstance(value, int) and not isinstance(value, bool):
        return next((name for name, number in values.items() if number == value), value)
    return value
