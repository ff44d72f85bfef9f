"""JSON as the service writes it: two spaces of indent, one trailing newline, only ASCII (WIRE-1)."""

import json
from functools import lru_cache
from typing import Any

import orjson


def dump_as_service(message: Any) -> bytes:
    """A message as the bytes of a frame of the service."""
    try:
        raw = orjson.dumps(message, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a number of more than 64 bits, half a surrogate pair
        raw = b"\x7f"
    if raw.isascii() and b"\x7f" not in raw:
        return raw
    # orjson has no ASCII mode, and some clients decode frames as ASCII
    return json.dumps(message, indent=2, ensure_ascii=True).encode() + b"\n"


def model_turn(parts: list[Any], role: str) -> dict[str, Any]:
    """A modelTurn. `role` is where its role stands: "first" is ahead of the parts, "last" after them, "none" nowhere."""
    turn = {"role": "model", "parts": parts} if role == "first" else {"parts": parts}
    return {**turn, "role": "model"} if role == "last" else turn


def audio_as_service(data: str, mime_type: str, role: str = "none") -> bytes:
    """One audio part as a frame of the service, without a walk through its base64.

    Args:
        data: the audio in base64.
        mime_type: its mime type.
        role: where the role of its modelTurn stands, as in `model_turn`.
    """
    head, tail = _around_audio(mime_type, role)
    return b"".join((head, data.encode(), tail))


@lru_cache(maxsize=16)
def _around_audio(mime_type: str, role: str) -> tuple[bytes, bytes]:
    turn = model_turn([{"inlineData": {"mimeType": mime_type, "data": "?"}}], role)
    head, _, tail = dump_as_service({"serverContent": {"modelTurn": turn}}).rpartition(b"?")
    return head, tail


def format_duration(seconds: float) -> str:
    """A protobuf Duration as the service writes it: "0s", "10s", "0.440s"."""
    return f"{seconds:.0f}s" if abs(seconds - round(seconds)) < 0.0005 else f"{seconds:.3f}s"
