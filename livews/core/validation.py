"""Validate canonical messages with the JSON Schemas of protocol/.

- Client messages are closed: an unknown member is an error. Server messages are open.
- A validator is compiled when the first message with its member at the top comes, from the files it refers to.
- Complaints have one form: `expected string, got number at /setup/model`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from livews.core import protocol
from livews.core.schema import (
    ENVELOPE,
    MOST,
    Json,
    Location,
    Sender,
    Table,
    cut,
    kind_of,
    locate,
    pointer,
    short,
    top,
)

if TYPE_CHECKING:
    import jsonschema_rs

_LARGE = 5_000
"""Values in a message from which only its first violation is reported."""


class Violation(NamedTuple):
    """One place where a canonical message breaks the schemas."""

    path: str
    """JSON pointer in canonical form; for "oneof" of the object with the members."""
    complaint: str
    kind: Literal["unknown", "type", "enum", "oneof"]
    key: str = ""
    """The unknown member."""
    snake_path: str = ""
    """The path that the service quotes: of the member, or of the object with an unknown member."""
    value: Json = None
    """What does not fit, for "type" and "enum"."""
    type: str = ""
    """Name of the type that was expected, where it has one."""
    steps: tuple[str | int, ...] = ()
    """The same path as steps; indices are int."""


def violations(sender: Sender, message: Json) -> list[Violation]:
    """Where a canonical message breaks the schemas, in the order of its members, one violation a place.

    At most `MOST`, and only the first for a message of 5,000 values and more.
    """
    name = next(iter(message)) if len(message) == 1 else ""
    validator = _validator(sender, name if name in top(sender) else "")
    if validator.is_valid(message):
        return []
    by_place: dict[str, Violation] = {}
    for error in _errors(validator, message):
        for violation in _violations(sender, message, error):
            by_place.setdefault(violation.path if violation.kind != "oneof" else violation.complaint, violation)
            if len(by_place) == MOST:
                return list(by_place.values())
    return list(by_place.values())


@lru_cache(maxsize=64)
def _validator(sender: Sender, name: str) -> jsonschema_rs.Draft202012Validator:
    """The validator of the messages of a sender; with `name` only of those that have no other member."""
    import jsonschema_rs

    schema, member = protocol.schema(ENVELOPE[sender]), top(sender).get(name)
    if member and member.name == name:
        schema = {**schema, "properties": {name: schema["properties"][name]}}
        schema.pop("dependentSchemas", None)
    return jsonschema_rs.Draft202012Validator(schema, retriever=protocol.schema)


def _errors(validator: jsonschema_rs.Draft202012Validator, message: Json) -> Iterable[Any]:
    """The errors of a message; of a large one only the first, since jsonschema-rs makes all before it gives one, and
    a megabyte can have half a million of them."""
    import jsonschema_rs

    if _has_fewer_values(message, _LARGE):
        return validator.iter_errors(message)
    try:
        validator.validate(message)
    except jsonschema_rs.ValidationError as error:
        return [error]
    return []


def _has_fewer_values(value: Json, limit: int) -> bool:
    """Whether there are fewer than `limit` values in this one, without counting further."""
    stack = [value]
    while stack:
        container = stack.pop()
        limit -= len(container)
        if limit < 0:
            return False
        children = container.values() if isinstance(container, dict) else container
        stack += [child for child in children if isinstance(child, (dict, list))]
    return True


def _violations(sender: Sender, message: Json, error: Any) -> Iterator[Violation]:
    """The violations that one error of the validator stands for."""
    steps = _steps(message, error.instance_path)
    keywords = [str(step) for step in error.schema_path]
    if keywords[-1:] == ["additionalProperties"]:
        of = locate(sender, steps).type
        for key in _at(message, steps):
            if of is None or key not in of.members:
                yield _unknown(sender, steps, key, of)
    elif "dependentSchemas" in keywords:
        parent = locate(sender, steps[:-1])
        rivals = next((group for group in parent.type.oneofs if steps[-1] in group), ()) if parent.type else ()
        present = [name for name in rivals if name in _at(message, steps[:-1])]
        path = _pointer(steps[:-1])
        words = f"send one of {', '.join(present)}, not all at {path or '/'}"
        yield Violation(path, words, "oneof", snake_path=parent.snake_path)
    else:
        yield _mistyped(steps, locate(sender, steps), _at(message, steps))


def _steps(message: Json, path: Iterable[Any]) -> list[Any]:
    """The path of an error, in which jsonschema-rs writes a key of digits as an index."""
    steps: list[Any] = []
    for step in path:
        steps.append(step if isinstance(message, list) else str(step))
        message = message[steps[-1]]
    return steps


def _unknown(sender: Sender, steps: list[Any], key: str, of: Table | None) -> Violation:
    path = _pointer([*steps, key])
    words = f"no member {cut(key)} {f'in {of.name}' if of else 'here'} at {path}"
    return Violation(path, words, "unknown", key=key, snake_path=locate(sender, steps).snake_path, steps=tuple(steps))


def _mistyped(steps: list[Any], place: Location, value: Json) -> Violation:
    path = _pointer(steps)
    of = place.type if place.shape == "one" and place.member else None
    name = of.name if of else ""
    if of is not None and of.values is not None and isinstance(value, str):
        names = of.names
        listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        words = f"expected one of {listed}, got {short(value)} at {path}"
        return Violation(path, words, "enum", "", place.snake_path, value, name, tuple(steps))
    words = f"expected {_expectation(path, place)}, got {kind_of(value)} at {path or '/'}"
    return Violation(path, words, "type", "", place.snake_path, value, name, tuple(steps))


def _expectation(path: str, place: Location) -> str:
    """What belongs at a place, in words."""
    if place.member is None:
        return "something else" if path else "an object"
    if place.shape != "one":
        return "a list" if place.shape == "list" else "an object"
    if place.type is None:
        return place.member.plain
    of = place.type
    default = of.name if of.values is not None else f"an object ({of.name})"
    return str(protocol.load("rules.json")["expected"].get(of.name, default))


def _at(message: Json, steps: list[Any]) -> Json:
    for step in steps:
        message = message[step]
    return message


def _pointer(steps: list[Any]) -> str:
    return "".join(f"/{pointer(str(step))}" for step in steps)
