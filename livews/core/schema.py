"""The types of the schemas: their members, by every spelling, and the values of enums.

- `table()` reads one schema file when a message first needs it, so a plain session never loads them all.
- Paths are JSON pointers (RFC 6901), as in `/setup/tools/0`.
"""

from functools import cache
from typing import Any, Literal, NamedTuple

from livews.core import protocol

Sender = Literal["client", "server"]
Json = Any

ENVELOPE: dict[Sender, str] = {
    "client": f"{protocol.SCHEMAS}client/BidiGenerateContentClientMessage.json",
    "server": f"{protocol.SCHEMAS}server/BidiGenerateContentServerMessage.json",
}
"""$id of the type of whole messages, by sender."""
SCALARS = frozenset({"int32", "int64", "double", "bytes", "Duration", "Timestamp", "Struct", "Value"})
"""Types of a value without members in the schemas."""
SURFACES = {
    "vertex": "Vertex AI", "gemini": "the Gemini API", "v1beta": "v1beta of the Gemini API", "v1alpha": "v1alpha of the Gemini API",
}  # fmt: skip
"""The surfaces of `Member.taken` in words."""
MOST = 100
"""Findings of one kind about one message at most: some messages would have a million."""
_LONG_KEY = 100
STRUCTS = frozenset({"Struct", "Value"})
"""Types whose inside is the application's own JSON."""


class Member(NamedTuple):
    """One member of a type."""

    name: str
    """In camelCase, as in canonical form."""
    snake: str
    """In snake_case, the other spelling."""
    target: str | None
    """$id of its type, or of the items if `shape` is "list" or "map"; None for a plain string or bool."""
    shape: Literal["one", "list", "map"]
    plain: str
    """"string" or "boolean" if there is no `target`."""
    bare: bool
    """Whether the service takes a bare value in place of the list (WIRE-4)."""
    on: dict[str, bool | None]
    """Surface (v1alpha, v1beta, vertex) to whether it takes the member; None if that is not known."""

    def taken(self, surface: str) -> bool | None:
        """Whether a surface takes it; "gemini" is the Gemini API in any version."""
        if surface != "gemini":
            return self.on.get(surface)
        versions = self.on["v1alpha"], self.on["v1beta"]
        return True in versions or (None if None in versions else False)


class Table(NamedTuple):
    """One type: its members, or the values of an enum."""

    name: str
    """Its title, which is its name in protobuf."""
    members: dict[str, Member]
    """By both spellings."""
    values: dict[str, int | None] | None
    """Names of an enum with their numbers, as far as these are known; None for any other type."""
    oneofs: tuple[tuple[str, ...], ...]
    """Groups of members of which a message has one at most (WIRE-8)."""

    @property
    def names(self) -> list[str]:
        """The names of an enum that say something."""
        return [name for name in self.values or () if not name.endswith("UNSPECIFIED")]

    @property
    def is_message(self) -> bool:
        """Whether it is an object whose members the schemas list."""
        return bool(self.members) or (self.values is None and self.name not in SCALARS)


@cache
def table(schema_id: str) -> Table:
    """The type with this $id, read from its file on first use."""
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


class Location(NamedTuple):
    """What the schemas say of one place in canonical messages."""

    member: Member | None
    """The member there, or whose item is there; None at the top and for what the schemas do not have."""
    type: Table | None
    """The type there, or of each item if a list or map is there; None for a string, a bool and the unknown."""
    shape: str
    """"one", "list" or "map", as in `Member`."""
    snake_path: str
    """The path as the service writes it, such as `setup.tools[0].function_declarations[1]`."""


def locate(sender: Sender, steps: list[Any]) -> Location:
    """What belongs at a path: member names and map keys as str, indices of lists as int."""
    of: Table | None = table(ENVELOPE[sender])
    member: Member | None = None
    shape, snake = "one", ""
    for step in steps:
        if isinstance(step, int):
            snake, shape = f"{snake}[{step}]", "one"
            continue
        is_map_key = shape == "map"
        if not is_map_key:
            member = of.members.get(str(step)) if of else None
            of = table(member.target) if member and member.target else None
        name = cut(str(step)) if is_map_key or member is None else member.snake
        snake = f"{snake}.{name}" if snake else str(name)
        shape = "one" if is_map_key or member is None else member.shape
    return Location(member, of, shape, snake)


def top(sender: Sender) -> dict[str, Member]:
    """The members that a message of this sender can have at the top, by both spellings."""
    return table(ENVELOPE[sender]).members


def column(surface: str, version: str) -> str | None:
    """The surface of `Member.taken` for "gemini" or "vertex" and an API version; None if neither is known."""
    if surface == "vertex":
        return "vertex"
    return version if version in ("v1alpha", "v1beta") else surface or None


def snake(name: str) -> str:
    """The snake_case form of a member's name."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def pointer(key: str) -> str:
    """One step of a JSON pointer, escaped. A key of more than 100 characters is cut: a path is to be read."""
    key = cut(key)
    return key.replace("~", "~0").replace("/", "~1") if "/" in key or "~" in key else key


def cut(text: str, limit: int = _LONG_KEY) -> str:
    """A text of at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


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
    """A text in JSON quotes, cut to `limit` characters."""
    import json  # not needed by a plain start

    return json.dumps(cut(text, limit), ensure_ascii=False)
