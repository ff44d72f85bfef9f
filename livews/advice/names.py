"""Where a name belongs that its object does not have: in another object, or as another name.

- Where the schemas have the very name elsewhere, that place is named, and nothing that looks like it.
- Of several places the nearest in the tree of the message is named, and one that the surface takes before others.
- Names of other protocols and libraries are rows of protocol/names.json.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any, NamedTuple

from livews.core import protocol, schema
from livews.core.schema import SURFACES, Member, Sender
from livews.core.validation import Violation

Steps = tuple[str, ...]
"""The place of an object: names of members, and `*` for any item of a list or map."""
_ALIKE = 0.8
"""How much of two names has to be the same, from 0 to 1."""
_PART = 0.85
"""The same for a name that has all words of the other, or begins with it."""
_INSTRUCTION = ("parts", "role", "text")
"""What an instruction has of a Content: it is plain text."""
_MOST = 3
_SETUP = "BidiGenerateContentSetup"


class Placement(NamedTuple):
    """A member at one place of the tree of messages."""

    type_id: str
    member: Member
    parent: Steps
    """The object it stands in."""
    on: dict[str, bool | None]
    """Surface to whether it takes the member there: False where it does not take an object above it."""
    is_old: bool
    """Whether the member or one above it is deprecated."""


class Correction(NamedTuple):
    """What to do with a name that its object does not have."""

    complaint: str
    fix: str = ""
    names: tuple[str, ...] = ()
    """The names that the member may have; empty if nothing is known."""
    homes: tuple[Steps, ...] = ()
    """The objects that have it; empty if it is the one where the name stands."""
    is_wrapper: bool = False
    """Whether the members of its value belong where it stands."""


@cache
def placements(sender: Sender) -> tuple[Placement, ...]:
    """Every member of every type that this sender may send, without going round in circles of types."""
    return tuple(_placements(schema.ENVELOPE[sender], None, (), frozenset({schema.ENVELOPE[sender]})))


def _placements(type_id: str, above: Placement | None, parent: Steps, types: frozenset[str]) -> Iterable[Placement]:
    for name, member in schema.table(type_id).members.items():
        if name != member.name:
            continue  # its other spelling
        on, is_old = {surface: member.taken(surface) for surface in SURFACES}, "eprecated" in _says(type_id, name)
        if above:
            on = {surface: False if above.on[surface] is False else taken for surface, taken in on.items()}
            is_old |= above.is_old
        placement = Placement(type_id, member, parent, on, is_old)
        yield placement
        if member.target and member.target not in types and schema.table(member.target).is_message:
            inner = (*parent, name) if member.shape == "one" else (*parent, name, "*")
            yield from _placements(member.target, placement, inner, types | {member.target})


def _says(type_id: str, name: str) -> str:
    return protocol.schema(type_id)["properties"][name].get("description", "")  # type: ignore[no-any-return]


@cache
def _homes() -> dict[str, list[Placement]]:
    """The placements of a client's members, by their folded names."""
    homes: dict[str, list[Placement]] = {}
    for placement in placements("client"):
        homes.setdefault(_folded(placement.member.name), []).append(placement)
    return homes


@cache
def _taken(surface: str) -> tuple[str, ...]:
    """The names of a client's members that a surface takes somewhere."""
    return tuple(rows[0].member.name for rows in _homes().values() if any(row.on[surface] for row in rows))


def correct(key: str, steps: Iterable[Any], surface: str | None = None, *, guess: bool = True) -> Correction:
    """What is said of an unknown member of a client.

    Args:
        key: its name as sent.
        steps: the place of its object in the message: names in either spelling, keys of maps, indices as int.
        surface: as in `Member.taken`, or None if it is not known.
        guess: look for names that look alike, which takes some milliseconds.
    """
    place, type_id = _place(steps)
    of = schema.table(type_id) if type_id else None
    owner = f"in {of.name}" if of else "here"
    wrong = f"no member {schema.cut(key)} {owner}"
    if of is None or key != schema.cut(key):  # no member is so long
        return Correction(wrong)
    if not place and key in schema.top("server"):
        top = [name for name, member in of.members.items() if name == member.name and member.on["v1beta"]]
        fix = f"Do not send {key}: only the service sends it. Clients send {', '.join(top)}."
        return Correction(f"{wrong}; only the server sends it", fix)
    inside = {_folded(member.name): member.name for member in of.members.values()}
    if of.name == "Schema" and key in protocol.load("names.json")["jsonSchema"]:
        plain = inside.get(_folded(key.removeprefix("$")), "")
        if plain and surface == "vertex":
            return _renamed(wrong, key, [plain])
        hint, fix = json_schema(place)
        return Correction(wrong + hint, fix)
    aliases, plain = protocol.load("names.json")["aliases"], schema.snake(key).strip("_").replace("-", "_")
    if of.name == _SETUP and plain in protocol.load("names.json")["wrappers"]:
        return Correction(
            f"{wrong}: its members belong in setup itself", f"Move the members of {key} to setup.", is_wrapper=True
        )
    meant = aliases.get(f"{of.name}.{plain}", aliases.get(plain))
    if name := next((inside[one] for one in (_folded(key), *_plurals(key)) if one in inside), ""):
        return _renamed(wrong, key, [name])
    if meant is not None:
        if names := [name for name in meant if name in of.members]:
            return _renamed(wrong, key, names)
        return _moved(wrong, key, meant, place, surface) if meant else Correction(wrong, f"Leave {key} out.")
    here = _homes().get(_folded(key), [])
    if any(placement.on[surface or "gemini"] for placement in here):
        return _moved(wrong, key, [key], place, surface)
    if guess and (names := _alike(key, inside.values())):
        return _renamed(wrong, key, names)
    if names := [key] if here else _alike(key, _taken(surface or "gemini"))[:1] if guess else []:
        return _moved(wrong, key, names, place, surface)
    return Correction(wrong)


def other_protocol(message: dict[str, Any]) -> Correction | None:
    """What is said of a message of another protocol; None for all others."""
    if isinstance(message.get("events"), list):  # several in one frame
        message = next((event for event in message["events"] if isinstance(event, dict)), message)
    if not any(name in schema.top("client") or name in schema.top("server") for name in message):
        for row in protocol.load("names.json")["others"]:
            value = message.get(row["member"])
            if isinstance(value, str) and value.startswith(tuple(row["starts"])):
                return Correction(
                    f"{row['member']} {schema.short(value)} is {row['is']}", row["do"], (row["member"],)
                )
    return None


def protocol_at(path: str) -> str:
    """What is said of a path or URL whose WebSocket has another protocol; "" for all others."""
    path = path.partition("?")[0].rstrip("/")
    rows = (row for row in protocol.load("names.json")["others"] if "path" in row and path.endswith(row["path"]))
    return next((f"{row['path']} takes {row['is']}; livews knows BidiGenerateContent only" for row in rows), "")


def json_schema(steps: Iterable[Any]) -> tuple[str, str]:
    """A hint and a fix for what a Schema does not take but a JSON Schema has; "" for a place outside of a Schema."""
    place, _ = _place(steps)
    for depth, name in enumerate(place):
        _, owner = _place(place[:depth])
        members = schema.table(owner).members if owner else {}
        target, beside = members[name].target if name in members else None, f"{name.removesuffix('Schema')}JsonSchema"
        if target and schema.table(target).name == "Schema" and beside in members:
            return f"; {beside} takes any JSON Schema", f"Give the JSON Schema as {beside} in place of {name}."
    return "", ""


def value_like(value: str, of: str, values: Iterable[str]) -> str:
    """The valid value that is meant by another one; "" if none is near.

    Args:
        value: what was sent.
        of: the name of the enum, or of the member for a plain string.
        values: what is valid.
    """
    valid = list(values)
    meant = protocol.load("names.json")["values"].get(of, {}).get(value.upper())
    return meant or next(iter(_alike(value, valid)), "") if len(value) == len(schema.cut(value)) else ""


def made_by_mistake(value: Any) -> tuple[str, str]:
    """What makes such a string where an object, a number or base64 belongs, and what to do; "" for all others."""
    if isinstance(value, str):
        for row in protocol.load("names.json")["strings"]:
            if value.strip() == row.get("is") or ("starts" in row and value.lstrip().startswith(row["starts"])):
                return f"this is what {row['by']}", row["do"]
    return "", ""


def value_near(sender: Sender, violation: Violation) -> str:
    """The value of an enum that is meant by what breaks the schemas; "" for any other violation, or if none is near."""
    of = schema.locate(sender, [*violation.steps]).type
    return value_like(violation.value, of.name, of.names) if violation.kind == "enum" and of else ""


def path_of(steps: Steps) -> str:
    """A place as a person reads it: `setup.tools[].functionDeclarations[]`."""
    return ".".join(steps).replace(".*", "[]")


def _renamed(wrong: str, key: str, names: list[str]) -> Correction:
    meant = " or ".join(names)
    return Correction(f"{wrong}; did you mean {meant}?", f"Write {meant} in place of {key}.", tuple(names))


def _moved(wrong: str, key: str, names: list[str], place: Steps, surface: str | None) -> Correction:
    """`names`: folded or not, what the member is called elsewhere."""
    found = [placement for name in names for placement in _homes().get(_folded(name), ())]
    if not found:
        return Correction(wrong)
    ranks = [_rank(placement, place, surface or "gemini") for placement in found]
    nearest = [placement for placement, rank in zip(found, ranks, strict=True) if rank == min(ranks)][:_MOST]
    homes = tuple(dict.fromkeys(placement.parent for placement in nearest))
    member, on = nearest[0].member, nearest[0].on
    where = " or ".join(path_of(home) or "the top of the message" for home in homes)
    only = ""
    if on[surface or "gemini"] is False:
        only = f", on {' and '.join(words for column, words in SURFACES.items() if on[column])} only"
    if _folded(key) == _folded(member.name):
        return Correction(f"{key} belongs in {where}{only}", f"Move {key} to {where}{only}.", (member.name,), homes)
    meant = " or ".join(path_of((*home, member.name)) for home in homes)
    return Correction(
        f"{wrong}; did you mean {meant}?", f"Write {meant} in place of {key}{only}.", (member.name,), homes
    )


def _rank(placement: Placement, place: Steps, surface: str) -> int:
    """How far a placement is from a place: levels up and down the tree, and what the surface takes first."""
    here, there = (tuple(step for step in steps if step != "*") for steps in (place, placement.parent))
    shared = 0
    while shared < min(len(here), len(there)) and here[shared] == there[shared]:
        shared += 1
    taken = placement.on[surface]
    is_odd = "systemInstruction" in there[shared:] and placement.member.name not in _INSTRUCTION
    far = len(here) + len(there) - 2 * shared + 8 * (taken is False) + 4 * is_odd
    return 10 * far + 5 * (taken is None) + placement.is_old


def _place(steps: Iterable[Any]) -> tuple[Steps, str | None]:
    """The steps with the names of members in canonical form, and the $id of the type there."""
    type_id: str | None = schema.ENVELOPE["client"]
    shape, place = "one", []
    for step in steps:
        if shape != "one" and not (shape == "list" and not isinstance(step, int) and step != "*"):
            shape = "one"  # an index, or a key of a map
            place.append("*")
            continue
        member = schema.table(type_id).members.get(str(step)) if type_id else None
        place.append(member.name if member else str(step))
        type_id, shape = (member.target, member.shape) if member else (None, "one")
    return tuple(place), type_id


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _plurals(key: str) -> tuple[str, str]:
    folded = _folded(key)
    return folded + "s", folded.removesuffix("s")


@lru_cache(maxsize=1024)
def _words(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_-]+", " ", name)
    return {re.sub("ies$", "y", word).rstrip("s") for word in spaced.lower().split()}


def _alike(key: str, names: Iterable[str]) -> list[str]:
    """The names that look most like a key, at most three: nearly the same letters, or all of its words."""
    return list(_alike_of(key, tuple(names)))


@lru_cache(maxsize=256)
def _alike_of(key: str, names: tuple[str, ...]) -> list[str]:
    from difflib import SequenceMatcher

    bits, table = _letters(names)
    folded, words = _folded(key), _words(key)
    letters, size = _mask(folded, bits), len(folded)
    matcher, scores = SequenceMatcher(None, b=folded), {}
    for name, plain, length, parts, mask in table:
        if 2 * (letters & mask).bit_count() >= _ALIKE * (size + length):  # else the same letters cannot be that many
            matcher.set_seq1(plain)
            scores[name] = matcher.ratio()
        if (words and words <= parts) or (size > 3 and plain.startswith(folded)):
            scores[name] = max(scores.get(name, 0.0), _PART)
    best = max(scores.values(), default=0.0)
    close = [name for name, score in scores.items() if score >= max(_ALIKE, best - 0.02)]
    return close if len(close) <= _MOST else []


@lru_cache(maxsize=64)
def _letters(names: tuple[str, ...]) -> tuple[dict[tuple[str, int], int], list[tuple[str, str, int, set[str], int]]]:
    """A bit for each letter that a name has for the nth time; each name with its folded form, the length of that, its words
    and its bits."""
    folded = [_folded(name) for name in names]
    bits: dict[tuple[str, int], int] = {}
    for plain in folded:
        for letter in _counted(plain):
            bits.setdefault(letter, 1 << len(bits))
    rows = zip(names, folded, strict=True)
    return bits, [(name, plain, len(plain), _words(name), _mask(plain, bits)) for name, plain in rows]


def _mask(folded: str, bits: dict[tuple[str, int], int]) -> int:
    return sum(bits.get(letter, 0) for letter in _counted(folded))


def _counted(text: str) -> Iterator[tuple[str, int]]:
    """Each letter, and how many of it come before."""
    return ((letter, text.count(letter, 0, i)) for i, letter in enumerate(text))
