"""Bytes to message and back.

- A frame is a JSON object in UTF-8, in a text or a binary WebSocket frame; both are taken from either side.
- `parse()` never guesses: what is not a JSON object is a WireError that says what it is and where it broke.
- base64 in may be standard or URL-safe, padded or not; base64 out is standard and padded.
- Frames livews writes are compact JSON. Audio frames are a constant head, the base64 and a constant tail.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import orjson
import pybase64

OUTPUT_RATE = 24_000
"""Samples a second of the model's voice when the mime type names no rate (AUDIO-3)."""
INPUT_RATE = 16_000
"""Samples a second the service assumes for input when the mime type names no rate (AUDIO-1)."""

DEPTH = 100
"""Levels of lists and objects a message may have; the reference protobuf parser takes no more (WIRE-2)."""

_LONG = 1_000
"""Bytes beside the base64 of a frame, and characters of a mime type: what is longer is not kept to be known again."""
_RATE = re.compile(r";\s*rate=([0-9]{1,7})(?![0-9])")
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}(\.0+)?")
_URL_SAFE = str.maketrans("-_", "+/")


class WireError(ValueError):
    """A frame that is not a message. The text says what it is instead."""


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object of a frame; WireError when it is none."""
    message = parse_any(raw)
    if not isinstance(message, dict):
        kind = {list: "a list", str: "a string", bool: "a bool", type(None): "null"}.get(type(message), "a number")
        raise WireError(f"expected a JSON object, got {kind}")
    return message


def parse_any(raw: bytes) -> Any:
    """Any JSON value that is not nested deeper than DEPTH; WireError when it is none."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        raise WireError(_not_json(raw, problem)) from None
    if raw.count(b"{") + raw.count(b"[") > DEPTH and isinstance(value, (dict, list)) and _depth(value) > DEPTH:
        raise WireError(f"the JSON is nested deeper than {DEPTH} levels")
    return value


def _depth(message: Any) -> int:
    """Levels of lists and objects, counted without recursion."""
    levels, level = 0, [message]
    while level:
        levels += 1
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, (dict, list))
        ]
    return levels


def _not_json(raw: bytes, problem: orjson.JSONDecodeError) -> str:
    if not raw.strip():
        return "expected a JSON object, got an empty frame"
    try:
        raw.decode()
    except UnicodeDecodeError as bad:
        return f"expected UTF-8 JSON, got byte 0x{raw[bad.start]:02x} at offset {bad.start}"
    return f"expected JSON: {str(problem).split(':')[0]} (line {problem.lineno}, column {problem.colno})"


def dump(message: Any) -> bytes:
    """Compact UTF-8 JSON, the form livews sends. WireError when a value in it has no JSON form."""
    try:
        return orjson.dumps(message)
    except orjson.JSONEncodeError as problem:
        raise WireError(f"not JSON: {problem}") from None


def dump_as_service(message: Any) -> bytes:
    """The service's own form: two spaces of indent, one trailing newline, nothing but ASCII (WIRE-1)."""
    try:
        raw = orjson.dumps(message, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a number of more than 64 bits, half a surrogate pair
        raw = b"\x7f"
    if raw.isascii() and b"\x7f" not in raw:
        return raw
    import json

    # orjson has no ASCII mode, and clients exist that decode frames as ASCII
    return json.dumps(message, indent=2, ensure_ascii=True).encode() + b"\n"


def audio_as_service(data: str, mime_type: str, role: str | None) -> bytes:
    """One audio part in the service's form, without walking 15 kB of base64 character by character."""
    head, tail = _service_ends(mime_type, role)
    return b"".join((head, data.encode(), tail))


@lru_cache(maxsize=16)
def _service_ends(mime_type: str, role: str | None) -> tuple[bytes, bytes]:
    head, _, tail = dump_as_service(_audio_message("?", mime_type, role)).rpartition(b"?")
    return head, tail


def _audio_message(data: str, mime_type: str, role: str | None) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": role} if role else {}
    turn["parts"] = [{"inlineData": {"mimeType": mime_type, "data": data}}]
    return {"serverContent": {"modelTurn": turn}}


def decode_base64(text: str | bytes) -> bytes:
    """The bytes of a base64 member: standard or URL-safe, padded or not. WireError when it is neither (WIRE-3)."""
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        pass
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    plain = text.translate(_URL_SAFE)
    try:
        return pybase64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise WireError("expected base64, got something else") from None


def encode_base64(data: bytes) -> str:
    return pybase64.b64encode_as_string(data)


def whole(value: Any) -> int | None:
    """The number in an int32 or int64 member, which comes as a number or in a string (WIRE-14); None for another."""
    if isinstance(value, str):
        return int(value.split(".")[0]) if _WHOLE.fullmatch(value) else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def rate_of(mime_type: str, default: int) -> int:
    """Samples a second from a mime type such as `audio/pcm;rate=24000`; `default` when it names none."""
    return (_rate_of if len(mime_type) <= _LONG else _rate_of.__wrapped__)(mime_type, default)


@lru_cache(maxsize=64)
def _rate_of(mime_type: str, default: int) -> int:
    found = _RATE.search(mime_type)
    return int(found[1]) if found and int(found[1]) else default


@lru_cache(maxsize=16)
def _audio_head(mime_type: str) -> bytes:
    return b'{"realtimeInput":{"audio":{"mimeType":' + orjson.dumps(mime_type) + b',"data":"'


def audio_frame(pcm: bytes, rate: int = INPUT_RATE) -> bytes:
    """A realtimeInput.audio frame, ready to send: `pcm` is s16le mono at `rate` samples a second."""
    return b"".join((_audio_head(f"audio/pcm;rate={rate}"), pybase64.b64encode(pcm), b'"}}}'))
