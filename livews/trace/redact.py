"""A trace that can be shown to others.

- Always taken out: credentials by their shape and by the name of their member, resumption handles, session ids, the id of
  a Cloud project. Handles and ids get numbers, so that which belongs to which can still be told.
- On request: media, of which length and hash stay, and words, of which length and spaces stay. A word is any text that the
  protocol does not prescribe: what cannot be told from a word is taken for one.
- Times, sizes, kinds, the order and the close codes stay: the trace can still be judged and measured.
- What is written is made anew from what was understood; no line is copied.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import orjson

from livews.core import codec, protocol
from livews.redactor import HIDDEN, Redactor, redact_url
from livews.trace.reader import object_of
from livews.trace.writer import elided

_NUMBERED = {"handle": "handle", "newHandle": "handle", "sessionId": "session"}
_SECRET = re.compile(
    r"(api[_-]?key|private[_-]?key|access[_-]?key|goog-api-key|token|secret|password|passwd|passphrase|authorization|"
    r"cookie|credentials?)$",
    re.IGNORECASE,
)
_PROJECT = re.compile(r"\bprojects/[^/\s\"]+")
# Members whose text is the protocol's, or a name the two sides agreed on, and not what somebody said.
_KEPT = {
    "model", "mimeType", "role", "id", "ids", "name", "voiceName", "languageCode", "languageCodes", "sourceLanguageCode",
    "targetLanguageCode", "required", "propertyOrdering", "timeLeft", "audioOffset", "ttl", "expireTime", "startOffset",
    "endOffset", "lastConsumedClientMessageIndex", "size", "rule", "path",
}  # fmt: skip
_TIME = re.compile(r"\d+(\.\d+)?s|\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")
_FREE = ("args", "response", "output", "parameters", "parametersJsonSchema", "responseJsonSchema")
"""Members whose inside is the user's own: no text in them is prescribed."""
_SPOKEN = {"text", "title", "code", "description", "uri"}
_MEDIA = {"data"}


class Redaction:
    """Takes out of lines what must not be shown; one for a file, so that a handle has one number throughout."""

    def __init__(self, *, audio: bool = False, text: bool = False) -> None:
        self._audio = audio
        self._text = text
        self._secrets = Redactor()
        self._numbers: dict[str, dict[str, int]] = {}

    def header(self, header: dict[str, Any]) -> bytes:
        """The first line of a session."""
        row = {name: self._value(value, name, False) for name, value in header.items() if name != "url"}
        out = {"trace": row.pop("trace"), "version": row.pop("version"), "started": row.pop("started", "")}
        url = header.get("url")
        out["url"] = self._text_of(redact_url(url)) if isinstance(url, str) else ""
        out |= row | {"redacted": [*(["audio"] if self._audio else []), *(["text"] if self._text else [])]}
        # the header's own texts are no words of a conversation
        return orjson.dumps(out) + b"\n"

    def line(self, text: bytes) -> bytes:
        """Any other line; it must be one of a trace."""
        row = object_of(text)
        out: dict[str, Any] = {}
        for name, value in row.items():
            if name == "raw" and isinstance(value, str):
                raw = self._secrets.redact(codec.decode_base64(value))
                out[name] = codec.encode_base64(b"x" * len(raw) if self._text else raw)
            elif name == "message":
                if self._audio:
                    value = elided(value)
                out[name] = self._value(value, "", self._text)
            elif name in ("faults", "notes") and isinstance(value, list):
                out[name] = [self._finding(one) for one in value if isinstance(one, dict)]
            elif name == "close" and isinstance(value, dict):
                reason = self._text_of(str(value.get("reason", "")))
                if self._text:  # what it quotes may be what was said
                    reason = re.sub(r'"[^"]*"?', lambda found: _crossed(found[0], '"'), reason)
                out[name] = {**self._plain(value), "reason": reason}
            else:
                out[name] = self._value(value, name, self._text and name not in ("dir", "opcode"))
        return orjson.dumps(out) + b"\n"

    def _plain(self, value: dict[str, Any]) -> dict[str, Any]:
        return {name: one for name, one in value.items() if isinstance(one, (int, float, bool))}

    def _finding(self, finding: dict[str, Any]) -> dict[str, Any]:
        if self._text:  # complaints quote
            return {name: finding[name] for name in ("rule", "path") if name in finding} | {"complaint": ""}
        made: dict[str, Any] = self._value(finding, "", False)
        return made

    def _value(self, value: Any, name: str, words: bool, free: bool = False) -> Any:
        """`words`: text is crossed out; `free`: this is inside of something the user made up."""
        if isinstance(value, dict):
            free = free or name in _FREE
            return {self._text_of(key): self._member(key, child, words, free, value) for key, child in value.items()}
        if isinstance(value, list):
            return [self._value(item, name, words, free) for item in value]
        if isinstance(value, str):
            value = self._text_of(value)
            return _crossed(value) if words and not self._prescribed(name, value, free) else value
        if words and free and isinstance(value, (int, float)) and not isinstance(value, bool):
            return 0
        return value

    def _member(self, key: str, value: Any, words: bool, free: bool, owner: dict[str, Any]) -> Any:
        name = _camel(key)
        if isinstance(value, str):
            if value and not free and (kind := _NUMBERED.get(name)):
                known = self._numbers.setdefault(kind, {})
                return f"[{kind} {known.setdefault(value, len(known) + 1)}]"
            if value and _SECRET.search(key):
                return HIDDEN
            if name in _MEDIA and not free and ("mimeType" in owner or "mime_type" in owner):
                return value  # base64: a shape in it would be chance
        return self._value(value, name, words, free)

    def _text_of(self, text: str) -> str:
        return _PROJECT.sub(f"projects/{HIDDEN}", self._secrets.redact(text))

    def _prescribed(self, name: str, value: str, free: bool) -> bool:
        if free or name in _SPOKEN:
            return False
        return name in _KEPT or value == HIDDEN or value in _enums() or _TIME.fullmatch(value) is not None


@cache
def _enums() -> frozenset[str]:
    """The names of all enum values of the protocol."""
    schemas = protocol.schemas().values()
    return frozenset(name for one in schemas if "anyOf" in one for name in one.get("x-livews", {}).get("values", ()))


def _crossed(text: str, kept: str = "") -> str:
    return "".join(char if char.isspace() or char in kept else "x" for char in text)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)
