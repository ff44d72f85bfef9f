"""What the schemas say: member names, and what is wrong with a message.

- `table()` reads one schema file when a frame first needs it, so a plain session never loads them all.
- `canonical()` does what a JSON Schema cannot: fold both spellings into camelCase, drop nulls, wrap a bare value
  where a list is meant and real clients send it so, turn enum numbers and lower-case enum names into names.
  It never touches the insides of a Struct: those keys are the application's.
- `violations()` runs the compiled schemas over a canonical message. Client messages are closed, server messages open.
- Complaints have one form: `expected string, got number at /setup/model`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from livews.core import protocol

if TYPE_CHECKING:
    import jsonschema_rs

Sender = Literal["client", "server"]
Json = Any

ENVELOPE: dict[str, str] = {
    "client": f"{protocol.SCHEMAS}client/BidiGenerateContentClientMessage.json",
    "server": f"{protocol.SCHEMAS}server/BidiGenerateContentServerMessage.json",
}
MOST = 100
"""Complaints of one kind that are made about one message: nobody reads more, and some messages have a million."""
_LARGE = 5_000
"""Values in a message from which one complaint is enough."""
_OPEN_INSIDE = frozenset({"Struct", "Value"})


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a type. `target` is the $id of its type, None for a plain string or bool."""

    name: str
    snake: str
    target: str | None
    shape: Literal["one", "list", "map"]
    plain: str
    bare: bool
    on: dict[str, bool | None]


@dataclass(frozen=True, slots=True)
class Table:
    """One type: its members by every spelling, or its enum values."""

    name: str
    members: dict[str, Member]
    values: dict[str, int | None] | None
    oneofs: tuple[tuple[str, ...], ...]

    @property
    def is_struct(self) -> bool:
        return self.name in _OPEN_INSIDE

    @property
    def is_message(self) -> bool:
        return bool(self.members) or (self.values is None and self.name not in SCALARS)


SCALARS = frozenset({"int32", "int64", "double", "bytes", "Duration", "Timestamp", "Struct", "Value"})


@cache
def table(schema_id: str) -> Table:
    """The table of one type, read from its file on first use."""
    schema = protocol.load(f"schemas/{schema_id.removeprefix(protocol.SCHEMAS)}")
    members: dict[str, Member] = {}
    groups: dict[str, list[str]] = {}
    for name, prop in schema.get("properties", {}).items():
        note = prop["x-livews"]
        shape: Literal["one", "list", "map"] = "one"
        inner = prop
        if prop.get("type") == "array":
            shape, inner = "list", prop["items"]
        elif prop.get("type") == "object":
            shape, inner = "map", prop["additionalProperties"]
        target = _resolve(schema_id, inner["$ref"]) if "$ref" in inner else None
        member = Member(
            name, note["snake"], target, shape, inner.get("type", ""), note.get("bare", False), note["on"]
        )
        members[name] = members[note["snake"]] = member
        if note["presence"].startswith("oneof:"):
            groups.setdefault(note["presence"], []).append(name)
    values = None
    if "anyOf" in schema and "x-livews" in schema:
        values = {name: value.get("number") for name, value in schema["x-livews"]["values"].items()}
    return Table(schema["title"], members, values, tuple(tuple(g) for g in groups.values() if len(g) > 1))


def _resolve(base: str, ref: str) -> str:
    folder = base.rsplit("/", 1)[0]
    while ref.startswith("../"):
        folder, ref = folder.rsplit("/", 1)[0], ref[3:]
    return f"{folder}/{ref}"


@dataclass(slots=True)
class Canonical:
    """A message in canonical form, and what was met on the way. Paths are JSON pointers in the message as sent."""

    message: Json
    unknown: list[tuple[str, str, str]] = field(default_factory=list)
    """(path of the member, key as sent, snake_case path of its parent as the service writes it)"""
    unknown_values: list[tuple[str, str, str]] = field(default_factory=list)
    """(path, value, enum type): server enums that are news"""
    remarks: list[tuple[str, str, str]] = field(default_factory=list)
    """(rule id, path, words): taken, but not the way to write it"""
    elsewhere: list[tuple[str, str, str]] = field(default_factory=list)
    """(path, key, parent's snake_case path): known members that the given surface does not take"""


def canonical(sender: Sender, message: Json, where: str | None = None) -> Canonical:
    """The canonical form of `message`. `where` is a column of x-livews.on (v1alpha, v1beta, vertex) or None."""
    found = Canonical(message)
    if isinstance(message, dict):
        found.message = _fold(message, table(ENVELOPE[sender]), "", "", found, where)
    return found


def canonical_setup(setup: Json, where: str | None = None) -> Canonical:
    """The same for the bare value of `setup`."""
    whole = canonical("client", {"setup": setup}, where)
    whole.message = whole.message["setup"]
    return whole


def _fold(value: dict[str, Json], of: Table, path: str, snake: str, found: Canonical, where: str | None) -> Json:
    out: dict[str, Json] = {}
    for key, child in value.items():
        here = f"{path}/{pointer(key)}"
        member = of.members.get(key)
        if member is None:
            found.unknown.append((here, key, snake))
            out[key] = child
            continue
        if child is None and not (member.target and member.target.endswith(("/Value.json", "/NullValue.json"))):
            found.remarks.append(("WIRE-11", here, "null means that the member is not set; leave it out"))
            continue
        if member.name in out:
            found.remarks.append(("WIRE-4", here, f"{member.name} is given in both spellings; the last one wins"))
        if where is not None and member.on.get(where) is False:
            found.elsewhere.append((here, key, snake))
        if member.shape == "list":
            if member.bare and not isinstance(child, list):
                found.remarks.append(("WIRE-4", here, "a list is meant; the service takes the bare value too"))
                child = [child]
            if isinstance(child, list) and member.target:
                step = f"{snake}.{member.snake}" if snake else member.snake
                child = [
                    _value(item, member.target, f"{here}/{i}", f"{step}[{i}]", found, where)
                    for i, item in enumerate(child)
                ]
        elif member.shape == "map":
            if isinstance(child, dict) and member.target:
                step = f"{snake}.{member.snake}" if snake else member.snake
                child = {
                    k: _value(item, member.target, f"{here}/{pointer(k)}", f"{step}[{k}]", found, where)
                    for k, item in child.items()
                }
        elif member.target:
            step = f"{snake}.{member.snake}" if snake else member.snake
            child = _value(child, member.target, here, step, found, where)
        out[member.name] = child
    return out


def _value(value: Json, target: str, path: str, snake: str, found: Canonical, where: str | None) -> Json:
    of = table(target)
    if of.values is not None:
        return _enum(value, of, path, found)
    if isinstance(value, dict) and of.is_message:
        return _fold(value, of, path, snake, found, where)
    return value


def _enum(value: Json, of: Table, path: str, found: Canonical) -> Json:
    assert of.values is not None
    if isinstance(value, str):
        if value in of.values:
            return value
        if value.upper() in of.values:
            found.remarks.append(("WIRE-12", path, f"{value} is written {value.upper()}"))
            return value.upper()
        found.unknown_values.append((path, value, of.name))
    elif isinstance(value, int) and not isinstance(value, bool):
        for name, number in of.values.items():
            if number == value:
                return name
    return value


@dataclass(frozen=True, slots=True)
class Violation:
    """One complaint of the schemas about one canonical message."""

    path: str
    complaint: str
    kind: Literal["unknown", "type", "enum", "oneof"]
    key: str = ""
    parent: str = ""
    """snake_case path of the parent, or of the member itself for a bad value: what the service quotes"""
    value: Json = None
    type: str = ""


@cache
def _validator(sender: Sender) -> jsonschema_rs.Draft202012Validator:
    import jsonschema_rs

    registry = jsonschema_rs.Registry(list(protocol.schemas().items()))
    return jsonschema_rs.Draft202012Validator(protocol.schemas()[ENVELOPE[sender]], registry=registry)


def is_valid(sender: Sender, message: Json) -> bool:
    """Does the schema take this canonical message? About 1 microsecond, whatever the size of the audio."""
    return _validator(sender).is_valid(message)


def violations(sender: Sender, message: Json) -> list[Violation]:
    """What the schemas have against a canonical message, in the order of its members, one complaint a place.

    At most `MOST` of them, and of a large message one.
    """
    validator = _validator(sender)
    if validator.is_valid(message):
        return []
    found: dict[str, Violation] = {}
    for error in _errors(validator, message):
        for violation in _complaints(sender, message, error):
            found.setdefault(violation.path if violation.kind != "oneof" else violation.complaint, violation)
            if len(found) == MOST:
                return list(found.values())
    return list(found.values())


def _errors(validator: jsonschema_rs.Draft202012Validator, message: Json) -> Iterable[Any]:
    """The errors of a message; of a large one the first alone, for all are made before the first is given, and a
    megabyte has half a million of them."""
    import jsonschema_rs

    if _counts_less(message, _LARGE):
        return validator.iter_errors(message)
    try:
        validator.validate(message)
    except jsonschema_rs.ValidationError as error:
        return [error]
    return []


def _counts_less(value: Json, limit: int) -> bool:
    """Has it fewer values in it than `limit`? No more of it is looked at than that takes."""
    stack = [value]
    while stack:
        inner = stack.pop()
        limit -= len(inner)
        if limit < 0:
            return False
        stack += [
            one for one in (inner.values() if isinstance(inner, dict) else inner) if isinstance(one, (dict, list))
        ]
    return True


def _complaints(sender: Sender, message: Json, error: Any) -> Iterator[Violation]:
    steps = list(error.instance_path)
    keyword = [str(s) for s in error.schema_path]
    value = at(message, steps)
    if keyword[-1:] == ["additionalProperties"]:
        of = table_at(sender, steps)
        for key in value:
            if of is None or key not in of.members:
                yield _unknown(sender, [*steps, key])
    elif "dependentSchemas" in keyword:
        of = table_at(sender, steps[:-1])
        owner = at(message, steps[:-1])
        group = next((g for g in of.oneofs if steps[-1] in g), ()) if of else ()
        given = [name for name in group if name in owner]
        words = f"send one of {', '.join(given)}, not all"
        path = as_pointer(steps[:-1])
        yield Violation(path, f"{words} at {path or '/'}", "oneof", parent=snake_path(sender, steps[:-1]))
    else:
        yield _mistyped(sender, steps, value)


def _unknown(sender: Sender, steps: list[Any]) -> Violation:
    path, key = as_pointer(steps), str(steps[-1])
    of = table_at(sender, steps[:-1])
    near = _nearest(key, of)
    owner = f"in {of.name}" if of else "here"
    hint = f"; did you mean {near}?" if near else ""
    if len(steps) == 1 and sender == "client" and key in top("server"):
        hint = "; only the server sends it"
    return Violation(
        path, f"no member {key} {owner}{hint} at {path}", "unknown", key=key, parent=snake_path(sender, steps[:-1])
    )


def top(sender: Sender) -> dict[str, Member]:
    """What messages of this side begin with, by every spelling."""
    return table(ENVELOPE[sender]).members


def _nearest(key: str, of: Table | None) -> str:
    if of is None:
        return ""
    from difflib import get_close_matches

    folded = {name.replace("_", "").lower(): member.name for name, member in of.members.items()}
    close = get_close_matches(key.replace("_", "").lower(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else ""


def homes(key: str) -> list[str]:
    """Client types that do have a member of this name: for "put it there instead"."""
    mine = [schema for schema_id, schema in protocol.schemas().items() if "/client/" in schema_id]
    return [schema["title"] for schema in mine if key in schema.get("properties", {})]


def _mistyped(sender: Sender, steps: list[Any], value: Json) -> Violation:
    path, parent = as_pointer(steps), snake_path(sender, steps)
    expected, of = expectation(sender, steps)
    name = of.name if of else ""
    if of is not None and of.values is not None and isinstance(value, str):
        values = [v for v in of.values if not v.endswith("UNSPECIFIED")]
        shown = ", ".join(values[:8]) + (", ..." if len(values) > 8 else "")
        words = f"expected one of {shown}, got {short(value)} at {path}"
        return Violation(path, words, "enum", parent=parent, value=value, type=name)
    words = f"expected {expected}, got {kind_of(value)} at {path or '/'}"
    return Violation(path, words, "type", parent=parent, value=value, type=name)


def expectation(sender: Sender, steps: list[Any]) -> tuple[str, Table | None]:
    """What belongs at a path, in words, and its type (None for string, bool, a list, a map)."""
    of: Table | None = table(ENVELOPE[sender])
    member: Member | None = None
    shape = "one"
    for step in steps:
        if isinstance(step, int) or shape == "map":
            shape = "one"
            continue
        of = table(member.target) if member and member.target else (of if member is None else None)
        member = of.members.get(str(step)) if of else None
        if member is None:
            return "something else", None
        shape = member.shape
    if member is None or shape == "map":
        return "an object", None
    if shape == "list":
        return "a list", None
    if member.target is None:
        return member.plain, None
    of = table(member.target)
    return _WORDS.get(of.name, of.name if of.values is not None else f"an object ({of.name})"), of


_WORDS = {
    "int32": "a whole number of 32 bits",
    "int64": "a whole number of 64 bits",
    "double": "a number",
    "bytes": "base64 in a string",
    "Duration": 'a Duration such as "1.5s"',
    "Timestamp": "an RFC 3339 time",
    "Struct": "an object",
}


def table_at(sender: Sender, steps: list[Any]) -> Table | None:
    """The type of the object at a path, None inside a Struct or an unknown member."""
    of = table(ENVELOPE[sender])
    shape = "one"
    for step in steps:
        if isinstance(step, int) or shape == "map":
            shape = "one"
            continue
        member = of.members.get(str(step))
        if member is None or member.target is None:
            return None
        of, shape = table(member.target), member.shape
    return None if of.is_struct else of


def snake_path(sender: Sender, steps: list[Any]) -> str:
    """A path as the service writes it: setup.tools[0].function_declarations[1]."""
    of: Table | None = table(ENVELOPE[sender])
    out = ""
    for step in steps:
        if isinstance(step, int):
            out += f"[{step}]"
            continue
        member = of.members.get(str(step)) if of else None
        out += ("." if out else "") + (member.snake if member else str(step))
        of = table(member.target) if member and member.target else None
    return out


def snake(name: str) -> str:
    """The snake_case form of a member's name."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def at(message: Json, steps: list[Any]) -> Json:
    for step in steps:
        message = message[step]
    return message


def as_pointer(steps: list[Any]) -> str:
    return "".join(f"/{pointer(str(step))}" for step in steps)


def pointer(key: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1") if "/" in key or "~" in key else key


def kind_of(value: Json) -> str:
    """What a JSON value is, in words: `number 12`, `a list`, `string "off"`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"number {value}"
        case str():
            return f"string {short(value)}"
        case list():
            return "a list"
        case _:
            return "an object"


def short(text: str, limit: int = 40) -> str:
    """A string in JSON quotes, cut in the middle of nowhere when it is long."""
    import json

    return json.dumps(text if len(text) <= limit else text[: limit - 1] + "…", ensure_ascii=False)
