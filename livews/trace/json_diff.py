"""Find where two JSON values differ.

- Each place once, as a JSON pointer (RFC 6901): in the order of the first value's members, then those only in the second.
- Lists of different lengths differ as a whole; true is not 1.
- It only finds places: which of them matter, and how they are reported, is up to the caller.
"""

from collections.abc import Iterator
from typing import Any, Final

from livews.core import codec
from livews.core.schema import pointer

NOTHING: Final = object()
"""Stands for a member that only the other value has."""


def json_differences(
    left: Any, right: Any, *, subset: bool = False, path: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """(pointer, left value, right value) of each difference.

    Args:
        subset: `left` is a pattern: members that only `right` has do not count.
        path: the pointer of the two values.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        for name in left if subset else dict.fromkeys([*left, *right]):
            inner = f"{path}/{pointer(name)}"
            if name in left and name in right:
                yield from json_differences(left[name], right[name], subset=subset, path=inner)
            else:
                yield inner, left.get(name, NOTHING), right.get(name, NOTHING)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for i, pair in enumerate(zip(left, right, strict=True)):
            yield from json_differences(*pair, subset=subset, path=f"{path}/{i}")
    elif left != right or isinstance(left, bool) is not isinstance(right, bool):
        yield path, left, right


def shown(value: Any, limit: int = 80) -> str:
    """A value as JSON, shortened to `limit` characters."""
    text = codec.dump(value).decode(errors="replace")
    return text if len(text) <= limit else text[: limit - 1] + "…"
