"""Where members, types and values stand in the schemas, by their names and by paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from livews.core import protocol, schema
from livews.core.schema import Member, Sender

ENVELOPES: dict[Sender, str] = {"client": schema.ENVELOPE["client"], "server": schema.ENVELOPE["server"]}


@dataclass(frozen=True, slots=True)
class MemberLocation:
    """A member of a type, and every path at which it stands. A type that both senders use is one location."""

    type_id: str
    member: Member
    paths: tuple[tuple[Sender, str], ...]
    """JSON pointers with `*` for each item of a list, the shortest first."""

    @property
    def ask(self) -> str:
        """The name that stands for only this one, such as `Blob.mimeType`."""
        return f"{schema.table(self.type_id).name}.{self.member.name}"

    @property
    def says(self) -> str:
        """Its description."""
        return says_of(self.type_id, self.member)

    @property
    def senders(self) -> list[str]:
        return list(dict.fromkeys(sender for sender, _ in self.paths))

    @property
    def depth(self) -> int:
        """Levels of the shortest path; 99 if it stands in no message."""
        return self.paths[0][1].count("/") if self.paths else 99

    def to_dict(self) -> dict[str, Any]:
        paths = list(dict.fromkeys(path for _, path in self.paths))
        return {"ask": self.ask, "sender": self.senders, "paths": paths, "says": self.says}


def says_of(type_id: str, member: Member) -> str:
    """The description of a member, or else of its type."""
    own: str = protocol.schema(type_id)["properties"][member.name].get("description", "")
    return own or (protocol.schema(member.target).get("description", "") if member.target else "")


def shape_of(member: Member) -> str:
    """A member's type in words: `list of Content`."""
    name = schema.table(member.target).name if member.target else member.plain
    return {"one": name, "list": f"list of {name}", "map": f"map of {name}"}[member.shape]


@cache
def all_members() -> dict[tuple[str, str], MemberLocation]:
    """Every member by the title of its type and its name."""
    paths: dict[tuple[str, str], list[tuple[Sender, str]]] = {}
    for sender, envelope in ENVELOPES.items():
        for key, path in _paths(envelope, "", frozenset({envelope})):
            paths.setdefault(key, []).append((sender, path))
    result: dict[tuple[str, str], MemberLocation] = {}
    for type_id, row in protocol.schemas().items():
        for name in row.get("properties", {}):
            key = (row["title"], name)
            sorted_paths = sorted(paths.get(key, ()), key=lambda pair: (pair[1].count("/"), pair[0]))
            member = schema.table(type_id).members[name]
            result.setdefault(key, MemberLocation(type_id, member, tuple(sorted_paths)))
    return result


def _paths(type_id: str, path: str, above: frozenset[str]) -> Iterator[tuple[tuple[str, str], str]]:
    """Every (title, name) below a type with its path, without going round in circles of types."""
    of = schema.table(type_id)
    for name, member in of.members.items():
        if name != member.name:
            continue  # its other spelling
        here = f"{path}/{name}"
        yield (of.name, name), here
        if member.target and member.target not in above and schema.table(member.target).is_message:
            inner = here if member.shape == "one" else f"{here}/*"
            yield from _paths(member.target, inner, above | {member.target})


def _grouped(rows: Iterable[Any], names: Callable[[Any], Iterable[str]]) -> dict[str, tuple[Any, ...]]:
    """Rows by each of their names."""
    groups: dict[str, list[Any]] = {}
    for row in rows:
        for name in dict.fromkeys(filter(None, names(row))):
            groups.setdefault(name, []).append(row)
    return {name: tuple(group) for name, group in groups.items()}


@cache
def by_member() -> dict[str, tuple[MemberLocation, ...]]:
    """Locations by the name of the member in both spellings, the nearest to the top first."""
    rows = sorted(all_members().values(), key=lambda location: location.depth)
    return _grouped(rows, lambda location: (location.member.name, location.member.snake))


@cache
def _types() -> list[str]:
    """$ids of all types, each title once."""
    by_title: dict[str, str] = {}
    for type_id, row in protocol.schemas().items():
        by_title.setdefault(row["title"], type_id)
    return list(by_title.values())


@cache
def by_type() -> dict[str, tuple[str, ...]]:
    """$ids of types by title, and by their names in the official library and in protobuf."""

    def names(type_id: str) -> list[str]:
        note = protocol.schema(type_id).get("x-livews", {})
        proto = note.get("proto", "")
        return [protocol.schema(type_id)["title"], note.get("sdk", ""), proto, proto.rsplit(".", 1)[-1]]

    return _grouped(_types(), names)


@cache
def by_value() -> dict[str, tuple[str, ...]]:
    """$ids of enums by the names of their values."""
    return _grouped(_types(), lambda type_id: protocol.schema(type_id).get("x-livews", {}).get("values", ()))


def users(title: str) -> list[MemberLocation]:
    """The members that are of a type, the nearest to the top first."""
    rows = (
        row for row in all_members().values() if row.member.target and schema.table(row.member.target).name == title
    )
    return sorted(rows, key=lambda location: location.depth)


# Paths


def steps_of(name: str) -> list[str]:
    """The steps of a path, written as a JSON pointer or with dots."""
    if name.startswith("/"):
        steps = [step.replace("~1", "/").replace("~0", "~") for step in name.split("/")]
    else:
        steps = re.split(r"[./\[\]]", name)
    return [step for step in steps if step]


def is_index(step: str) -> bool:
    return step == "*" or (step.isascii() and step.isdigit())


@dataclass(frozen=True, slots=True)
class PathEnd:
    """What is at the end of a path: a member of a type, or a value of an enum."""

    owner: str
    """$id of the type."""
    member: Member | None
    """None for a value of the type itself."""
    path: str
    value: str = ""


def follow(type_id: str, steps: list[str]) -> PathEnd | None:
    """Go from a type along a path, in which indices and map keys may be left out; None if it leads nowhere."""
    end = PathEnd(type_id, None, "")
    inside: str | None = type_id
    """The type of the object we are in; None in a list or map whose item was not chosen yet, and in a plain value."""
    for i, step in enumerate(steps):
        member = end.member
        if member and inside is None:
            if member.shape == "one" or (member.shape == "list" and not is_index(step)):
                inside = member.target
            if member.shape != "one" and (member.shape == "map" or is_index(step)):
                inside = member.target
                continue
        if inside is None:
            return None
        of = schema.table(inside)
        if of.values is not None:
            is_last = i == len(steps) - 1 and step.upper() in of.values
            return PathEnd(end.owner, end.member, end.path, step.upper()) if is_last else None
        if of.is_struct:
            return end if end.member else None  # the rest is the application's own
        if step not in of.members:
            return None
        star = "/*" if end.member and end.member.shape != "one" else ""
        end, inside = PathEnd(inside, of.members[step], f"{end.path}{star}/{of.members[step].name}"), None
    return end if end.member else None
