"""Base64 media in messages of a trace: left out (`elided:<bytes>:<sha256>`), filled in with silence, or blanked.

- Media stand in members named `data`; other members stay as they are.
- Messages are copied, never changed.
"""

from collections.abc import Callable
from typing import Any

from livews.core import codec

_MAX_SILENCE = 1 << 24
"""Bytes of silence for one elided blob: no frame holds more."""
_SHORT = 64
"""Base64 of so many characters is not worth eliding."""


def replace_data(value: Any, replace: Callable[[str, dict[str, Any]], str]) -> Any:
    """A copy of a message with each string `data` replaced by `replace(data, the object it stands in)`."""
    if isinstance(value, list):
        return [replace_data(item, replace) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: replace(child, value) if key == "data" and isinstance(child, str) else replace_data(child, replace)
        for key, child in value.items()
    }


def elided(message: Any) -> Any:
    """A copy with every long base64 replaced by its length in bytes and its hash."""
    import hashlib  # loads OpenSSL, which readers of traces do not need

    def replace(data: str, owner: dict[str, Any]) -> str:
        if len(data) <= _SHORT:
            return data
        try:
            raw = codec.decode_base64(data)
        except codec.WireError:
            return f"elided:{len(data)}:not-base64"
        return f"elided:{len(raw)}:{hashlib.sha256(raw).hexdigest()}"

    return replace_data(message, replace)


def emptied(message: Any) -> Any:
    """A copy with empty strings where base64 was elided."""
    return replace_data(message, lambda data, owner: "" if data.startswith("elided:") else data)


def refilled(raw: bytes, dump: Callable[[Any], bytes] = codec.dump) -> bytes:
    """A recorded frame with silence of the same length where media were elided, serialised by `dump` in that case."""
    if b'"elided:' not in raw:
        return raw
    try:
        return dump(replace_data(codec.parse(raw), lambda data, owner: _silence(data)))
    except codec.WireError:  # whatever judges the frame reports it
        return raw


def _silence(data: str) -> str:
    if not data.startswith("elided:"):
        return data
    length = data.split(":")[1]
    if not length.isascii() or not length.isdecimal() or len(length) > 12 or data.endswith(":not-base64"):
        return ""
    size = min(int(length), _MAX_SILENCE)
    return "A" * -(-size * 4 // 3) + "=" * (-size % 3)
