"""Valid JSON with values of other types, sizes and depths in any place of it."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

Place = tuple[str | int, ...]


def nested(levels: int, kind: type = list) -> Any:
    """A number inside so many lists or objects."""
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind is list else {"a": value}
    return value


VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e308, 2**31, 2**63, 2**64, 10**30, "", "1", "1e999", "9" * 20, "infs", "-1s", "\ud800",
    "\0\x1b[2J", "elided:", "elided:99:x", "audio/pcm;rate=1", "wss://[::1", "wss://[::1]:99999/", [], {}, [1], [{}],
    {"x": 1}, [None], nested(60), nested(120), nested(300), nested(300, dict),
)  # fmt: skip
"""What a writer with a fault, or an enemy, could put anywhere."""


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """The path of each value below `value`; of the items of a list the first two."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


def replaced(value: Any, place: Place, new: Any) -> Any:
    """A copy of `value` with `new` at a place."""
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = replaced(value[place[0]], place[1:], new)
    return copy


def mutated(value: Any, random: Random) -> bytes:
    """The JSON of `value` with one to three values replaced; sometimes with broken bytes."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if all_places := list(places(value)):
            value = replaced(value, random.choice(all_places), random.choice(VALUES))
    text = json.dumps(value).encode()
    if random.random() < 0.1:
        at = random.randrange(len(text))
        odd = random.choice((b"", b"\xff", b"\0", b"[" * 100_000, b"9" * 5_000, b'{"a":1,"a":', b"\r\n"))
        text = text[:at] + odd + text[at + random.randrange(3) :]
    return text
