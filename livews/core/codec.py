"""Encode and decode frames: JSON, base64, numbers and mime types.

- A frame is a JSON object in UTF-8, in a text or binary WebSocket frame.
- `parse()` never guesses: what is no JSON object is a WireError that says what it is and where it breaks.
- A message that would take long to read is a WireError before it is parsed: its cost is estimated from its bytes.
- base64 is read in the standard or URL-safe alphabet, padded or not, and written standard and padded.
- livews sends compact JSON. An audio frame is a constant head, the base64 and a constant tail.
"""

import re
from functools import lru_cache
from typing import Any

import orjson
import pybase64

OUTPUT_RATE = 24_000
"""Sample rate in Hz of the model's audio if the mime type has none (AUDIO-3)."""
INPUT_RATE = 16_000
"""Sample rate in Hz that the service assumes for input if the mime type has none (AUDIO-1)."""

DEPTH = 100
"""Levels of lists and objects a message may have; the reference protobuf parser takes no more (WIRE-2)."""

BUDGET = 45_000
"""What a message may cost to read, as `is_too_complex` counts it: some 50 ms (WIRE-15)."""
_BYTES_A_VALUE = 320
"""Bytes of text or base64 that take about as long to read as one more value in a list."""
LONGEST = BUDGET * _BYTES_A_VALUE
"""Bytes of a message that is over the budget whatever is in it."""
_SMALL, _SLICE = 30_000, 1 << 16
RATES = range(4_000, 192_001)
"""Sample rates in Hz that audio can have. Another one in a mime type counts as none (AUDIO-3)."""

_LONG = 1_000
"""Characters of a mime type in which its rate is looked for."""
_RATE = re.compile(r";\s*rate=(?:([0-9]{1,7})(?![0-9]))?")
_WHOLE = re.compile(r"([+-]?[0-9]{1,30})(\.0+)?")
_URL_SAFE = str.maketrans("-_", "+/")


class WireError(ValueError):
    """A frame is no message, or a value has no JSON form or is no base64. The text says what was found instead."""

    rule = "WIRE-2"
    """The rule of rules.json that such a frame breaks."""


class TooComplex(WireError):
    """A frame would take too long to read: see `is_too_complex`."""

    rule = "WIRE-15"


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object of a frame.

    Raises:
        TooComplex: it is over the budget.
        WireError: it is no JSON object, or nested deeper than `DEPTH` levels.
    """
    if is_too_complex(raw):
        raise TooComplex(f"the message of {len(raw):,} bytes has more text or values than are read")
    message = parse_any(raw)
    if not isinstance(message, dict):
        kind = {list: "a list", str: "a string", bool: "a bool", type(None): "null"}.get(type(message), "a number")
        raise WireError(f"expected a JSON object, got {kind}")
    return message


def is_too_complex(raw: bytes) -> bool:
    """Whether a frame would take longer to read than a program with other sessions may wait (WIRE-15).

    The cost is the number of `{`, `[` and `,` in it, also inside strings, where a `{` counts twice, and one for every 320
    bytes. A frame of less than 30 kB costs nothing to check; of a larger one only as much is looked at as it takes.
    """
    if len(raw) <= _SMALL:
        return False
    left = BUDGET - len(raw) // _BYTES_A_VALUE
    for start in range(0, len(raw), _SLICE):
        if left < 0:
            break
        marks = (mark for mark in (b"{", b"{", b"[", b",") if raw.find(mark, start, start + _SLICE) >= 0)
        left -= sum(raw.count(mark, start, start + _SLICE) for mark in marks)  # find is ten times as fast as count
    return left < 0


def parse_any(raw: bytes, depth: int = DEPTH) -> Any:
    """The JSON value of some bytes, of any type and of `depth` levels at most. Raises WireError as `parse`."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        raise WireError(_not_json(raw, problem)) from None
    if (len(raw) > _SMALL or raw.count(b"{") + raw.count(b"[") > depth) and levels(value) > depth:
        raise WireError(f"the JSON is nested deeper than {depth} levels")
    return value


def levels(value: Any) -> int:
    """How deep lists and objects are nested in a value, counted without recursion; 0 for a string or a number."""
    count, level = 0, [value] if isinstance(value, (dict, list)) else []
    while level:
        count += 1
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, (dict, list))
        ]
    return count


def _not_json(raw: bytes, problem: orjson.JSONDecodeError) -> str:
    if not raw.strip():
        return "expected a JSON object, got an empty frame"
    try:
        raw.decode()
    except UnicodeDecodeError as bad:
        return f"expected UTF-8 JSON, got byte 0x{raw[bad.start]:02x} at offset {bad.start}"
    return f"expected JSON: {str(problem).split(':')[0]} (line {problem.lineno}, column {problem.colno})"


def dump(message: Any) -> bytes:
    """A message as compact JSON in UTF-8, as livews sends it. Raises WireError if a value in it has no JSON form."""
    try:
        return orjson.dumps(message)
    except orjson.JSONEncodeError as problem:
        raise WireError(f"not JSON: {problem}") from None


def decode_base64(text: str | bytes) -> bytes:
    """The bytes of a base64 member: standard or URL-safe, padded or not (WIRE-3). Raises WireError for anything else."""
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
        raise WireError(f"expected base64, got {_not_base64(text)}") from None


def _not_base64(text: str) -> str:
    if text.startswith("data:"):
        return "a data: URL; only what follows its comma is base64"
    if len("".join(text.split())) < len(text):
        return "line breaks or spaces in it"
    return "something else"


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return pybase64.b64encode_as_string(data)


def whole(value: Any) -> int | None:
    """The value of an int32 or int64 member, a number or a string (WIRE-14); None for anything else, also out of range."""
    if isinstance(value, str):
        value = int(match[1]) if (match := _WHOLE.fullmatch(value)) else None
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def rate_of(mime_type: str, default: int) -> int:
    """The sample rate in Hz of a mime type such as `audio/pcm;rate=24000`; `default` if it has none of `RATES`."""
    return _stated_rate(mime_type[:_LONG]) or default


def has_odd_rate(mime_type: str) -> bool:
    """Whether a mime type states a rate that is not taken: no number, or outside `RATES`."""
    return _stated_rate(mime_type[:_LONG]) == 0


@lru_cache(maxsize=64)
def _stated_rate(mime_type: str) -> int | None:
    """The rate in a mime type, 0 for one that is not taken, None if there is none."""
    match = _RATE.search(mime_type)
    rate = int(match[1] or 0) if match else None
    return rate if rate is None or rate in RATES else 0


@lru_cache(maxsize=16)
def _audio_head(mime_type: str) -> bytes:
    return b'{"realtimeInput":{"audio":{"mimeType":' + orjson.dumps(mime_type) + b',"data":"'


def audio_frame(pcm: bytes, rate: int = INPUT_RATE) -> bytes:
    """A realtimeInput.audio frame, ready to send.

    Args:
        pcm: signed 16-bit little-endian mono samples.
        rate: sample rate in Hz.
    """
    return b"".join((_audio_head(f"audio/pcm;rate={rate}"), pybase64.b64encode(pcm), b'"}}}'))
