"""Frames of RFC 6455 as bytes, also such as no WebSocket library writes."""

import base64
import hashlib
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True, length: int | None = None) -> bytes:
    """One frame; the mask is all zeros, which is a mask all the same.

    Args:
        opcode: with 0x40, 0x20 and 0x10 for the reserved bits.
        payload: what follows the head.
        fin: the last frame of its message.
        masked: as a client's.
        length: what the head declares. Default: the length of the payload.
    """
    head = bytes([(0x80 if fin else 0) | opcode])
    declared, bit = len(payload) if length is None else length, 0x80 if masked else 0
    if declared < 126:
        head += bytes([bit | declared])
    elif declared < 65_536:
        head += struct.pack("!BH", bit | 126, declared)
    else:
        head += struct.pack("!BQ", bit | 127, declared)
    return head + (bytes(4) if masked else b"") + payload


def unmasked(payload: bytes, mask: bytes) -> bytes:
    """A payload without its mask."""
    size = len(payload)
    whole = int.from_bytes(payload, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return whole.to_bytes(size, "big")


def accept(key: str) -> str:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
