"""The part of a setup that an ephemeral token fixes (AUTH-2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LockedSetup:
    """A setup in canonical form, and the members of it that are fixed, as paths with dots; none means all of it."""

    setup: dict[str, Any]
    mask: list[str]

    def applied(self, setup: dict[str, Any]) -> dict[str, Any]:
        """The setup that counts when a client sends this one. The handle of a session is always the client's."""
        result = dict(setup if self.mask else self.setup)
        for path in self.mask:
            _copy(self.setup, result, path.split("."))
        if "sessionResumption" in setup:
            result["sessionResumption"] = setup["sessionResumption"]
        return result


def _copy(source: Any, target: dict[str, Any], path: list[str]) -> None:
    """Copy one member from the token's setup into the client's; a member that is absent there is removed here."""
    name, *rest = path
    if not rest or not isinstance(source, dict) or not isinstance(source.get(name), dict):
        target.pop(name, None)
        if isinstance(source, dict) and name in source:
            target[name] = source[name]
        return
    inner = target.get(name)
    target[name] = dict(inner) if isinstance(inner, dict) else {}
    _copy(source[name], target[name], rest)
