"""Does a message fit a pattern? The one comparison of scenarios (protocol/README.md, "Scenarios").

- An object fits when each of its members fits, a list when it is as long and fits item by item, anything else when it
  is equal; `true` is not `1`.
- What does not fit is told by its first place, as a JSON pointer (RFC 6901).
"""

from __future__ import annotations

from typing import Any

from livews.core import codec
from livews.core.schema import pointer
from livews.trace.json_diff import NOTHING, places


def misfit(pattern: Any, value: Any, path: str = "") -> str:
    """Why `value` does not fit, in words; "" when it does."""
    if isinstance(pattern, dict):
        if not isinstance(value, dict):
            return f"{path or '/'}: an object is expected, {shown(value)} is there"
        for name, inner in pattern.items():
            here = f"{path}/{pointer(name)}"
            if name not in value:
                return f"{here}: {shown(inner)} is expected, nothing is there"
            if words := misfit(inner, value[name], here):
                return words
        return ""
    if isinstance(pattern, list):
        if not isinstance(value, list) or len(value) != len(pattern):
            return f"{path or '/'}: a list of {len(pattern)} is expected, {shown(value)} is there"
        for i, inner in enumerate(pattern):
            if words := misfit(inner, value[i], f"{path}/{i}"):
                return words
        return ""
    if value == pattern and isinstance(value, bool) is isinstance(pattern, bool):
        return ""
    return f"{path or '/'}: {shown(pattern)} is expected, {shown(value)} is there"


def differences(before: Any, now: Any) -> list[str]:
    """Where two messages differ, both ways, each place once."""
    found = []
    for path, was, is_now in places(before, now):
        if is_now is NOTHING:
            found.append(f"{path}: was {shown(was)}, now is left out")
        elif was is NOTHING:
            found.append(f"{path}: was left out, now is {shown(is_now)}")
        else:
            found.append(f"{path or '/'}: was {shown(was)}, now {shown(is_now)}")
    return found


def shown(value: Any) -> str:
    """A value as JSON, cut when it is long."""
    text = codec.dump(value).decode(errors="replace")
    return text if len(text) <= 80 else text[:79] + "…"
