"""Where members stand in the schemas, and where a path leads."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from livews import walk
from livews.core import protocol, schema
from livews.core.schema import Member, Sender


@dataclass(frozen=True, slots=True)
class MemberLocation:
    """A member of a type, and every path at which it stands. A type that both senders use is one location."""

    type_id: str
    member: Member
    paths: list[tuple[Sender, str]]
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


def note_of(type_id: str, member: Member) -> dict[str, Any]:
    """x-livews of a member."""
    return protocol.schema(type_id)["properties"][member.name]["x-livews"]  # type: ignore[no-any-return]


def says_of(type_id: str, member: Member) -> str:
    """The description of a member, or else of its type."""
    own: str = protocol.schema(type_id)["properties"][member.name].get("description", "")
    return own or (protocol.schema(member.target).get("description", "") if member.target else "")


def shape_of(member: Member) -> str:
    """A member's type in words: `list of Content`."""
    name = schema.table(member.target).name if member.target else member.plain
    return {"one": name, "list": f"list of {name}", "map": f"map of {name}"}[member.shape]


@cache
def all_members() -> dict[str, MemberLocation]:
    """Every member by its `ask`, the nearest to the top first."""
    locations: dict[str, MemberLocation] = {}
    for type_id, row in walk.schemas().items():
        for name in row.get("properties", {}):
            locations.setdefault(
                f"{row['title']}.{name}", MemberLocation(type_id, schema.table(type_id).members[name], [])
            )
    for sender, envelope in schema.ENVELOPE.items():
        for ask, path in _paths(envelope, "", frozenset({envelope})):
            locations[ask].paths.append((sender, path))
    for location in locations.values():
        location.paths.sort(key=lambda pair: (pair[1].count("/"), pair[0]))
    return dict(sorted(locations.items(), key=lambda item: item[1].depth))


def _paths(type_id: str, path: str, above: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The `ask` of every member below a type with its path, without going round in circles of types."""
    of = schema.table(type_id)
    for name, member in of.members.items():
        if name != member.name:
            continue  # its other spelling
        here = f"{path}/{name}"
        yield f"{of.name}.{name}", here
        if member.target and member.target not in above and schema.table(member.target).is_message:
            inner = here if member.shape == "one" else f"{here}/*"
            yield from _paths(member.target, inner, above | {member.target})


def users(title: str) -> list[MemberLocation]:
    """The members that are of a type, the nearest to the top first."""
    rows = all_members().values()
    return [row for row in rows if row.member.target and schema.table(row.member.target).name == title]


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
    """Go from a type along a path, in which indices may be left out; None if it leads nowhere."""
    end, inside, shape = PathEnd(type_id, None, ""), type_id, "one"
    for i, step in enumerate(steps):
        if shape == "map" or (shape == "list" and is_index(step)):
            shape = "one"  # the step chose an item
            continue
        if not inside:
            return None
        of = schema.table(inside)
        if of.values is not None:
            is_last = i == len(steps) - 1 and step.upper() in of.values
            return PathEnd(end.owner, end.member, end.path, step.upper()) if is_last else None
        if of.name in schema.STRUCTS:
            return end if end.member else None  # the rest is the application's own
        member = of.members.get(step)
        if member is None:
            return None
        star = "/*" if end.member and end.member.shape != "one" else ""
        end = PathEnd(inside, member, f"{end.path}{star}/{member.name}")
        inside, shape = member.target or "", member.shape
    return end if end.member else None
