"""Annotate one message: each member with its type, its description and the findings about it.

- Bounded, however large the message is: so many members, so much of a text, of base64 only its length.
- Names and values come from the wire and are not escaped here.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from livews.advice import judge
from livews.core import rules, schema
from livews.core.schema import Sender
from livews.explainer.locations import says_of, shape_of
from livews.walk import Visit, walk

MOST = 200
"""Members that are read at most."""
_ITEMS = 3
"""Items of each list that are read."""
_LONGEST = 60
_BASE64 = 64


@dataclass(slots=True)
class AnnotatedMember:
    """A member as it was sent."""

    path: str
    """JSON pointer."""
    depth: int
    name: str
    """Its name as sent, or `[key]` for an item of a list or map."""
    value: str
    """A short form of its value; "" if its own members follow."""
    type: str
    says: str
    """Its description in the schemas."""
    known: bool = True
    """Whether the schemas have it."""
    findings: list[rules.Finding] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        row = {name: getattr(self, name) for name in ("path", "value", "type", "says", "known")}
        return {**row, "findings": [finding(row) for row in self.findings]}


def finding(row: rules.Finding) -> dict[str, Any]:
    """A finding as JSON; `fix` has the key `cure`, as it always had there."""
    return {"cure" if name == "fix" else name: value for name, value in asdict(row).items() if name != "sender"}


def annotate(sender: Sender, message: dict[str, Any]) -> tuple[list[AnnotatedMember], list[rules.Finding], bool]:
    """The members of a message, the findings that belong to none of them, and whether all of it was read."""
    members: list[AnnotatedMember] = []
    by_path: dict[str, AnnotatedMember] = {}
    is_whole = True
    for visit in walk(sender, message, _ITEMS):
        if visit.is_item and not (visit.type and visit.type.is_message):
            continue  # the list is shown in one line
        if len(members) == MOST:
            is_whole = False
            break
        members.append(_annotated(visit))
        for path in (visit.path, visit.canonical_path):  # findings have either
            by_path.setdefault(path, members[-1])
    rest: list[rules.Finding] = []
    for row in judge.check(sender, message):
        path = row.path
        while path and path not in by_path:
            path = path.rpartition("/")[0]
        (by_path[path].findings if path else rest).append(row)
    return members, rest, is_whole


def _annotated(visit: Visit) -> AnnotatedMember:
    name, member = _cut(visit.key), visit.member
    if visit.is_item:
        type_name = visit.type.name if visit.type else ""
        return AnnotatedMember(visit.path, visit.depth, f"[{name}]", _value(visit), type_name, "")
    says = says_of(visit.owner, member) if member and visit.owner else ""
    shape = shape_of(member) if member else ""
    return AnnotatedMember(visit.path, visit.depth, name, _value(visit), shape, says, bool(member))


def _value(visit: Visit) -> str:
    value, of = visit.value, visit.type
    is_base64 = of and of.name == "bytes" and isinstance(value, str) and not value.startswith("elided:")
    if is_base64 and len(value) > _BASE64:
        return f"{len(value) * 3 // 4:,} bytes in base64"
    shape = visit.member.shape if visit.member and not visit.is_item else "one"
    if not (value and visit.member and of and of.is_message and isinstance(value, list if shape == "list" else dict)):
        return _short(value)
    return f"{len(value):,} of them, the first {_ITEMS} read" if shape != "one" and len(value) > _ITEMS else ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _short(value: Any) -> str:
    """A value in few characters, or its size."""
    if isinstance(value, str):
        return schema.short(value) + (f", {len(value):,} characters" if len(value) > 4 * _LONGEST else "")
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (list, dict)) or len(text) <= _LONGEST:
        return text
    return f"{len(value):,} {'item' if isinstance(value, list) else 'member'}{'' if len(value) == 1 else 's'}"
