"""Where two JSON values differ.

- Each place once, as a JSON pointer (RFC 6901): in the order of the first value's members, then what the second adds.
- Lists of different lengths differ as a whole; true is not 1.
- Only finds: which places matter, and how they are told, is up to who asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from livews.core.schema import pointer

NOTHING: Final = object()
"""Stands for a member that one of the two has not."""


def places(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(pointer, value of the one, value of the other) of each place; `path` is the pointer of the two themselves."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            inner = f"{path}/{pointer(name)}"
            if name in one and name in other:
                yield from places(one[name], other[name], inner)
            else:
                yield inner, one.get(name, NOTHING), other.get(name, NOTHING)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, pair in enumerate(zip(one, other, strict=True)):
            yield from places(*pair, f"{path}/{i}")
    elif one != other or isinstance(one, bool) is not isinstance(other, bool):
        yield path, one, other
