"""Does a message fit a pattern? The one comparison of scenarios (protocol/README.md, "Scenarios").

- An object fits when each of its members fits, a list when it is as long and fits item by item, anything else when it
  is equal; `true` is not `1`.
- What does not fit is told by its first place, as a JSON pointer.
"""

from __future__ import annotations

from typing import Any

from livews.core import wire


def misfit(pattern: Any, value: Any, path: str = "") -> str:
    """Why `value` does not fit, in words; "" when it does."""
    if isinstance(pattern, dict):
        if not isinstance(value, dict):
            return f"{path or '/'}: an object is expected, {shown(value)} is there"
        for name, inner in pattern.items():
            if name not in value:
                return f"{path}/{name}: {shown(inner)} is expected, nothing is there"
            if words := misfit(inner, value[name], f"{path}/{name}"):
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


def differences(before: Any, now: Any, path: str = "") -> list[str]:
    """Where two messages differ, both ways, each place once."""
    if isinstance(before, dict) and isinstance(now, dict):
        found = []
        for name in dict.fromkeys([*before, *now]):
            if name not in now:
                found.append(f"{path}/{name}: was {shown(before[name])}, now is left out")
            elif name not in before:
                found.append(f"{path}/{name}: was left out, now is {shown(now[name])}")
            else:
                found += differences(before[name], now[name], f"{path}/{name}")
        return found
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [words for i, one in enumerate(before) for words in differences(one, now[i], f"{path}/{i}")]
    if before == now and isinstance(before, bool) is isinstance(now, bool):
        return []
    return [f"{path or '/'}: was {shown(before)}, now {shown(now)}"]


def shown(value: Any) -> str:
    """A value as JSON, cut when it is long."""
    text = wire.dump(value).decode(errors="replace")
    return text if len(text) <= 80 else text[:79] + "…"
