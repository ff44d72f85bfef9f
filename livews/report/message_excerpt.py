"""What a page has of a message: the message, shortened, and what the schemas say about its members.

- Everything that is left out is noted, by JSON pointer.
- All words are those of the schemas.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from livews.core import codec, protocol
from livews.core.schema import Sender, pointer
from livews.explainer.locations import says_of
from livews.redactor import hide
from livews.walk import schemas, walk

MAX_TEXT = 4_000
"""Characters kept of one string of a message."""
LONGEST_KEY = 200
"""Characters after a cut that are read to recognise a credential that it would cut."""
MAX_VALUES = 2_000
"""Values kept of one message."""
MAX_DATA = 48
"""Characters kept of base64: the audio is stored once, next to the messages."""


def excerpt(message: Any, sender: Sender) -> tuple[Any, dict[str, str]]:
    """A message, shortened, and what was left out of it: JSON pointer to words."""
    shortener = _Shortener(codec.INPUT_RATE if sender == "client" else codec.OUTPUT_RATE)
    return shortener.value(message, ""), shortener.left_out


class _Shortener:
    """`rate`: Hz of audio whose MIME type has none."""

    def __init__(self, rate: int) -> None:
        self.left_out: dict[str, str] = {}
        self._rate = rate
        self._values = MAX_VALUES
        """How many more values fit."""

    def value(self, value: Any, path: str) -> Any:
        self._values -= 1
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, list):
            first = self._first(value, enumerate(value), "items", path)
            return [self.value(item, f"{path}/{i}") for i, item in first]
        if not isinstance(value, dict):
            return value
        out: dict[str, Any] = {}
        for key, item in self._first(value, value.items(), "members", path):
            name = key if len(key) <= MAX_TEXT else key[:MAX_TEXT] + "…"
            inner = f"{path}/{pointer(name)}"
            if key == "data" and isinstance(item, str) and len(item) > MAX_DATA:
                out[name] = self._data(item, inner, value.get("mimeType", value.get("mime_type")))
            else:
                out[name] = self.value(item, inner)
        return out

    def _first(self, owner: Any, pairs: Iterable[tuple[Any, Any]], noun: str, path: str) -> Iterator[tuple[Any, Any]]:
        for i, pair in enumerate(pairs):
            if self._values <= 0:
                self.left_out[path] = f"{len(owner):,} {noun}, the first {i:,} shown"
                return
            yield pair

    def _text(self, value: str, path: str) -> str:
        if len(value) <= MAX_TEXT:
            return value
        self.left_out[path] = f"{len(value):,} characters, the first {MAX_TEXT:,} shown"
        return hide(value[: MAX_TEXT + LONGEST_KEY])[:MAX_TEXT]  # a credential that is cut could not be recognised

    def _data(self, value: str, path: str, mime_type: Any) -> str:
        self._values -= 1
        if value.startswith("elided:"):
            return self._text(value, path)
        words = f"{len(value):,} characters of base64, {len(value) * 3 // 4:,} bytes"
        if isinstance(mime_type, str) and mime_type.startswith("audio/pcm"):
            words += f", {len(value) * 3000 // 8 // codec.rate_of(mime_type, self._rate):,} ms of sound"
        self.left_out[path] = words
        return value[:MAX_DATA]


class MemberDocs:
    """What the schemas say about the members that occur in messages.

    Attributes:
        types: {type: {"is": title, "members": {name: [words, type, shape]}, "values": {name: words}}}.
        changes: the types, in the order in which something was added to them.
    """

    def __init__(self) -> None:
        self.types: dict[str, dict[str, Any]] = {}
        self.changes: list[str] = []

    def add(self, sender: Sender, message: Any) -> None:
        """Add what the schemas say about the members of a message."""
        for visit in islice(walk(sender, message), MAX_VALUES):
            member = visit.member
            if member is None or visit.owner is None:
                continue
            if not visit.is_item and visit.key not in (members := self._type(visit.owner)["members"]):
                target = short_type(member.target) if member.target else ""
                members[visit.key] = [says_of(visit.owner, member), target, member.shape]
                self.changes.append(short_type(visit.owner))
            if isinstance(visit.value, str) and member.target and visit.type and visit.type.values is not None:
                self._add_value(member.target, visit.value)

    def since(self, changes: int) -> dict[str, Any]:
        """The types to which something was added after the first `changes` additions."""
        return {name: self.types[name] for name in dict.fromkeys(self.changes[changes:])}

    def _add_value(self, type_id: str, value: str) -> None:
        about = schemas()[type_id].get("x-livews", {}).get("values", {}).get(value)
        if about and about.get("description") and value not in (values := self._type(type_id)["values"]):
            values[value] = about["description"]
            self.changes.append(short_type(type_id))

    def _type(self, type_id: str) -> dict[str, Any]:
        name = short_type(type_id)
        if name not in self.types:
            title = schemas()[type_id].get("title", "")
            self.types[name] = {"is": title, "members": {}, "values": {}}
        return self.types[name]


def short_type(schema_id: str) -> str:
    """A schema's $id without what all have in common, such as client/Content."""
    return schema_id.removeprefix(protocol.SCHEMAS).removesuffix(".json")
