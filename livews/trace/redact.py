"""Redact a trace, so that it can be shown to others.

- Always removed: credentials, by their shape and by the name of their member; resumption handles, session ids, the id of
  a Cloud project. A handle becomes its pseudonym, also where a text repeats it, and an id a number: which
  belong together stays visible.
- On request: media, of which length and hash stay, and words, of which length and spaces stay. A word is any text that
  the protocol does not prescribe; in doubt, a text is a word.
- Times, sizes, kinds, the order and close codes stay: the trace can still be judged and measured.
- Every line is written anew from what was understood; none is copied.
"""

import re
from functools import cache
from typing import Any

import orjson

from livews import walk
from livews.core import codec
from livews.redactor import HIDDEN, Pieces, hide_named, is_secret_name, pseudonym, redact_url, valid_url
from livews.trace.media import elided
from livews.trace.reader import object_of

_HANDLES = {"handle", "newHandle"}
_PROJECT = re.compile(r"\bprojects/[^/\s\"]+")
_PRESCRIBED = {
    "model", "mimeType", "role", "id", "ids", "name", "voiceName", "languageCode", "languageCodes", "sourceLanguageCode",
    "targetLanguageCode", "required", "propertyOrdering", "timeLeft", "audioOffset", "ttl", "expireTime", "startOffset",
    "endOffset", "lastConsumedClientMessageIndex", "size", "rule", "path",
}  # fmt: skip
"""Members whose text is the protocol's, or a name the two sides agreed on, not what somebody said."""
_SPOKEN = {"text", "title", "code", "description", "uri"}
_FREE = ("args", "response", "output", "parameters", "parametersJsonSchema", "responseJsonSchema")
"""Members whose content is the user's own: no text in them is prescribed."""
_TIME = re.compile(r"\d+(\.\d+)?s|\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")


class Redaction:
    """Redacts the lines of a file. Use one per file, so that an id has the same number throughout.

    Args:
        audio: remove media.
        text: remove words.
    """

    def __init__(self, *, audio: bool = False, text: bool = False) -> None:
        self._audio = audio
        self._text = text
        self._pieces = Pieces()
        self._ids: dict[str, int] = {}

    def header(self, header: dict[str, Any]) -> bytes:
        """The first line of a session. Its own texts are no words of a conversation."""
        row = {name: self._value(value, name, False) for name, value in header.items() if name != "url"}
        out = {"trace": row.pop("trace"), "version": row.pop("version"), "started": row.pop("started", "")}
        url = header.get("url")
        out["url"] = valid_url(self._redacted(redact_url(url))) if isinstance(url, str) else ""
        out |= row | {"redacted": [*(["audio"] if self._audio else []), *(["text"] if self._text else [])]}
        return orjson.dumps(out) + b"\n"

    def line(self, text: bytes) -> bytes:
        """Any other line of a trace."""
        row = object_of(text)
        if "message" in row and not self._pieces.are_none_in(text):
            row["message"] = self._pieces.hide_in(row["message"], str(row.get("dir")))
        return orjson.dumps({name: self._column(name, value) for name, value in row.items()}) + b"\n"

    def _column(self, name: str, value: Any) -> Any:
        if name == "raw" and isinstance(value, str):
            raw = hide_named(codec.decode_base64(value).decode(errors="surrogateescape")).encode(
                errors="surrogateescape"
            )
            return codec.encode_base64(b"x" * len(raw) if self._text else raw)
        if name == "message":
            return self._value(elided(value) if self._audio else value, "", self._text)
        if name in ("faults", "notes") and isinstance(value, list):
            return [self._finding(finding) for finding in value if isinstance(finding, dict)]
        if name == "close" and isinstance(value, dict):
            reason = self._redacted(str(value.get("reason", "")))
            if self._text:  # a quotation may be what was said
                reason = re.sub(r'"[^"]*"?', lambda quotation: _crossed_out(quotation[0], '"'), reason)
            numbers = {key: item for key, item in value.items() if isinstance(item, (int, float, bool))}
            return {**numbers, "reason": reason}
        return self._value(value, name, self._text and name not in ("dir", "opcode"))

    def _finding(self, finding: dict[str, Any]) -> Any:
        if self._text:  # complaints quote
            return {name: finding[name] for name in ("rule", "path") if name in finding} | {"complaint": ""}
        return self._value(finding, "", False)

    def _value(self, value: Any, name: str, words: bool, free: bool = False) -> Any:
        """`words`: cross out words; `free`: it is inside content of the user's own."""
        if isinstance(value, dict):
            free = free or name in _FREE
            return {self._redacted(key): self._member(key, child, words, free, value) for key, child in value.items()}
        if isinstance(value, list):
            return [self._value(item, name, words, free) for item in value]
        if isinstance(value, str):
            value = self._redacted(value)
            return _crossed_out(value) if words and not self._is_prescribed(name, value, free) else value
        if words and free and isinstance(value, (int, float)) and not isinstance(value, bool):
            return 0
        return value

    def _member(self, key: str, value: Any, words: bool, free: bool, owner: dict[str, Any]) -> Any:
        name = _camel(key)
        if isinstance(value, str) and value:
            if not free and name in _HANDLES:
                return pseudonym(value)
            if not free and name == "sessionId":
                return f"[session {self._ids.setdefault(value, len(self._ids) + 1)}]"
            if is_secret_name(key, is_member=True):
                return HIDDEN
            if name == "data" and not free and ("mimeType" in owner or "mime_type" in owner):
                return value  # base64: the shape of a credential in it would be chance
        return self._value(value, name, words, free)

    def _redacted(self, text: str) -> str:
        return _PROJECT.sub(f"projects/{HIDDEN}", hide_named(text))

    def _is_prescribed(self, name: str, value: str, free: bool) -> bool:
        if free or name in _SPOKEN:
            return False
        return name in _PRESCRIBED or value == HIDDEN or value in _enums() or _TIME.fullmatch(value) is not None


@cache
def _enums() -> frozenset[str]:
    """The names of all enum values of the protocol."""
    schemas = (schema for schema in walk.schemas().values() if "anyOf" in schema)
    return frozenset(name for schema in schemas for name in schema.get("x-livews", {}).get("values", ()))


def _crossed_out(text: str, kept: str = "") -> str:
    return "".join(char if char.isspace() or char in kept else "x" for char in text)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)
