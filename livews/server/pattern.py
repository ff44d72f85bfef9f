"""Compare messages with patterns, and messages with each other (protocol/README.md, "Scenarios").

- An object fits if each member of the pattern fits, a list if it is as long and fits item by item, anything else if it is
  equal; `true` is not `1`.
- The first place that does not fit is reported as a JSON pointer (RFC 6901).
"""

from __future__ import annotations

from typing import Any

from livews.trace.json_diff import NOTHING, json_differences, shown


def misfit(pattern: Any, value: Any) -> str:
    """Why `value` does not fit, in words; "" if it does."""
    for path, expected, actual in json_differences(pattern, value, subset=True):
        if actual is NOTHING:
            return f"{path}: {shown(expected)} is expected, nothing is there"
        what = f"a list of {len(expected)}" if isinstance(expected, list) else shown(expected)
        what = "an object" if isinstance(expected, dict) else what
        return f"{path or '/'}: {what} is expected, {shown(actual)} is there"
    return ""


def differences(before: Any, now: Any) -> list[str]:
    """Where two messages differ, both ways, each place once."""
    out = []
    for path, old, new in json_differences(before, now):
        if new is NOTHING:
            out.append(f"{path}: was {shown(old)}, now is left out")
        elif old is NOTHING:
            out.append(f"{path}: was left out, now is {shown(new)}")
        else:
            out.append(f"{path or '/'}: was {shown(old)}, now {shown(new)}")
    return out
