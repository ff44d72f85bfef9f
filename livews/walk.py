"""Walk a message together with the schemas: every value with the member and the type it belongs to.

- `walk()` visits a message as sent (both spellings, unknown members) or in canonical form, parents before children.
- It looks into what the schemas describe. A `Struct`, a `Value` and an unknown member are visited, but not their insides.
- Nothing is changed or judged, and a value that does not fit its type is visited like any other.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from livews.core import protocol
from livews.core.schema import ENVELOPE, Member, Sender, Table, pointer, table


class Visit(NamedTuple):
    """One value of a message."""

    path: str
    """JSON pointer of the value in the message as it was given."""
    canonical_path: str
    """The same with the member names of the canonical form."""
    key: str
    """The last step of `path`, not escaped: the name as sent, the index of a list item, or the key of a map item."""
    value: Any
    owner: str | None
    """$id of the type whose member this is."""
    member: Member | None
    """None if the schemas do not have this member. An item of a list or map has the member that holds the list."""
    type: Table | None
    """The type of the value, or of each item if the value is a list or map; None for a string, a bool and the unknown."""
    is_item: bool
    """Whether this is an item of a list or map."""
    depth: int
    """Levels above it: 0 for the members at the top."""


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by its $id."""
    by_id = {}
    for path in sorted((protocol.root() / "schemas").rglob("*.json")):
        schema = protocol.load(path.relative_to(protocol.root()).as_posix())
        by_id[schema["$id"]] = schema
    return by_id


def walk(sender: Sender, message: Any, items: int | None = None) -> Iterator[Visit]:
    """Every value of a message, without the message itself.

    Args:
        sender: who sends such messages, "client" or "server".
        message: a parsed message. If it is no object, there is nothing to visit.
        items: how many items of each list and map to visit; None for all.
    """
    if isinstance(message, dict):
        yield from _members(message, ENVELOPE[sender], "", "", 0, items)


def _members(
    value: dict[str, Any], type_id: str, path: str, canonical: str, depth: int, items: int | None
) -> Iterator[Visit]:
    members = table(type_id).members
    for key, child in value.items():
        member = members.get(key)
        here, there = f"{path}/{pointer(key)}", f"{canonical}/{pointer(member.name if member else key)}"
        of = table(member.target) if member and member.target else None
        yield Visit(here, there, key, child, type_id, member, of, False, depth)
        if member is None or member.target is None or of is None:
            continue
        if member.shape == "one":
            if isinstance(child, dict) and of.is_message:
                yield from _members(child, member.target, here, there, depth + 1, items)
            continue
        entries = child.items() if isinstance(child, dict) else enumerate(child) if isinstance(child, list) else ()
        for i, (item_key, item) in enumerate(entries):
            if i == items:
                break
            step = f"/{pointer(str(item_key))}"
            yield Visit(here + step, there + step, str(item_key), item, type_id, member, of, True, depth + 1)
            if isinstance(item, dict) and of.is_message:
                yield from _members(item, member.target, here + step, there + step, depth + 2, items)


def steps(path: str) -> list[str | int]:
    """The steps of a JSON pointer; digits are an index."""
    parts = (part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])
    return [int(part) if part.isascii() and part.isdigit() else part for part in parts]
