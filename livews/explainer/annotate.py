"""One message, member by member, with what the schemas say of each and what there is to say against it.

- Bounded, however large the message: so many members, so much of a text, of base64 its length alone.
- Nothing here is made safe to show: names and values come over the wire.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from livews.core import rules, schema
from livews.core.schema import Sender
from livews.explainer import index

MOST = 200
"""Members that are read; how many there are beyond is counted no further."""
_ITEMS = 3
"""Items of a list that are read."""
_LONGEST = 60
_BASE64 = 64


@dataclass(slots=True)
class AnnotatedMember:
    """A member as it was sent. `value` is a short form of it, empty where its own members follow."""

    path: str
    depth: int
    name: str
    value: str
    type: str
    says: str
    known: bool = True
    findings: list[rules.Finding] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        found = [finding(one) for one in self.findings]
        told = {"path": self.path, "value": self.value, "type": self.type, "says": self.says, "known": self.known}
        return {**told, "findings": found}


def finding(one: rules.Finding) -> dict[str, Any]:
    """A finding as JSON."""
    told = asdict(one)
    del told["sender"]
    return told


def annotate(sender: Sender, message: dict[str, Any]) -> tuple[list[AnnotatedMember], list[rules.Finding], bool]:
    """The lines of a message, the findings that belong to none of them, and whether all of it was read."""
    reader = _Reader()
    reader.members(message, schema.ENVELOPE[sender], "", "", 0)
    rest = []
    for one in rules.check(sender, message):
        path = one.path
        while path and path not in reader.at:
            path = path.rpartition("/")[0]
        if path:
            reader.at[path].findings.append(one)
        else:
            rest.append(one)
    return reader.lines, rest, reader.whole


class _Reader:
    def __init__(self) -> None:
        self.lines: list[AnnotatedMember] = []
        self.at: dict[str, AnnotatedMember] = {}
        """Lines by path, as sent and in canonical form: findings come with either."""
        self.whole = True

    def members(self, value: dict[str, Any], type_id: str | None, sent: str, canonical: str, depth: int) -> None:
        """`type_id` None is the inside of what the schemas do not have, or leave to the application."""
        table = schema.table(type_id) if type_id else None
        for key, inner in value.items():
            if len(self.lines) >= MOST:
                self.whole = False
                return
            member = table.members.get(key) if table else None
            here = f"{sent}/{schema.pointer(key)}"
            there = f"{canonical}/{schema.pointer(member.name if member else key)}"
            says = index.says_of(type_id, member) if member and type_id else ""
            line = AnnotatedMember(
                here, depth, _cut(key), "", index.shape_of(member) if member else "", says, bool(member)
            )
            self._add(line, there)
            if member is None:
                line.value = _short(inner)
            elif member.target is None or not schema.table(member.target).is_message:
                data = bool(member.target) and schema.table(member.target or "").name == "bytes"
                line.value = _base64(inner) if data and isinstance(inner, str) else _short(inner)
            elif schema.table(member.target).is_struct:
                line.value = _short(inner)
            elif member.shape == "one" and isinstance(inner, dict):
                line.value = "" if inner else "{}"
                self.members(inner, member.target, here, there, depth + 1)
            elif member.shape == "map" and isinstance(inner, dict):
                line.value = "" if inner else "{}"
                self._items(list(inner.items()), member.target, line, there)
            elif isinstance(inner, list):
                line.value = "" if inner else "[]"
                self._items([(str(i), item) for i, item in enumerate(inner)], member.target, line, there)
            else:
                line.value = _short(inner)

    def _items(self, items: list[tuple[str, Any]], type_id: str, line: AnnotatedMember, canonical: str) -> None:
        for i, (key, item) in enumerate(items):
            if i == _ITEMS or len(self.lines) >= MOST:
                self.whole = self.whole and len(self.lines) < MOST
                line.value = f"{len(items):,} of them, the first {i} read"
                return
            here, there = (f"{path}/{schema.pointer(key)}" for path in (line.path, canonical))
            inner = AnnotatedMember(here, line.depth + 1, f"[{_cut(key)}]", "", schema.table(type_id).name, "")
            self._add(inner, there)
            if isinstance(item, dict):
                inner.value = "" if item else "{}"
                self.members(item, type_id, here, there, line.depth + 2)
            else:
                inner.value = _short(item)

    def _add(self, line: AnnotatedMember, canonical: str) -> None:
        self.lines.append(line)
        self.at.setdefault(line.path, line)
        self.at.setdefault(canonical, line)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _base64(value: str) -> str:
    if len(value) <= _BASE64 or value.startswith("elided:"):
        return schema.short(value)
    return f"{len(value) * 3 // 4:,} bytes in base64"


def _short(value: Any) -> str:
    """A value in few characters; of what is large its size."""
    if isinstance(value, str):
        return (
            schema.short(value) if len(value) <= 4 * _LONGEST else f"{schema.short(value)}, {len(value):,} characters"
        )
    if isinstance(value, (list, dict)):
        inner = [*value, *(value.values() if isinstance(value, dict) else ())]
        flat = len(inner) <= 10 and not any(isinstance(one, (list, dict)) for one in inner)
        if flat and sum(len(one) if isinstance(one, str) else 8 for one in inner) <= _LONGEST:
            return json.dumps(value, ensure_ascii=False)
        return f"{len(value):,} {'item' if isinstance(value, list) else 'member'}{'' if len(value) == 1 else 's'}"
    return json.dumps(value)
