"""Base64 media in messages of a trace: left out (`elided:<bytes>:<sha256>`), filled in with silence, or blanked.

- Media stand in members named `data`; other members stay as they are.
- Messages are copied, never changed.
"""

from collections.abc import Callable
from typing import Any

from livews import redactor
from livews.core import codec

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


def without_credentials(raw: bytes, hide: Callable[[bytes], bytes] = redactor.without_credentials) -> bytes:
    """A message or a line of a trace without what `hide` hides in its texts; what has none stays byte for byte.

    In media the shape of a credential is chance.
    """
    if (hidden := hide(raw)) == raw:
        return raw

    def value_of(value: Any) -> Any:
        if isinstance(value, list):
            return [value_of(item) for item in value]
        if isinstance(value, dict):
            has_media = "mimeType" in value or "mime_type" in value
            return {
                text_of(key): item if has_media and key == "data" else value_of(item) for key, item in value.items()
            }
        return text_of(value) if isinstance(value, str) else value

    def text_of(text: str) -> str:
        return hide(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    try:
        return codec.dump(value_of(codec.parse_any(raw)))
    except codec.WireError:
        return hidden


def emptied(message: Any) -> Any:
    """A copy with empty strings where base64 was elided."""
    return replace_data(message, lambda data, owner: "" if data.startswith("elided:") else data)


def refilled(raw: bytes, dump: Callable[[Any], bytes] = codec.dump) -> bytes:
    """A recorded frame with silence of the same length where media were elided, serialised by `dump` in that case.

    What would make the frame longer than can be read (`codec.LONGEST`) stays elided, and is no base64.
    """
    if b'"elided:' not in raw:
        return raw
    left = codec.LONGEST

    def silence(data: str, owner: dict[str, Any]) -> str:
        nonlocal left
        size = _elided_size(data)
        length = -(-size * 4 // 3)
        if size < 0 or length > left:
            return data
        left -= length
        return "A" * length + "=" * (-size % 3)

    try:
        return dump(replace_data(codec.parse(raw), silence))
    except codec.WireError:  # whatever judges the frame reports it
        return raw


def _elided_size(data: str) -> int:
    """Bytes that were elided: 0 for what does not say how many, -1 for what was not elided."""
    if not data.startswith("elided:"):
        return -1
    length = data.split(":")[1]
    is_known = length.isascii() and length.isdecimal() and len(length) <= 12 and not data.endswith(":not-base64")
    return int(length) if is_known else 0
