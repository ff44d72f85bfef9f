"""Parse WebSocket frames (RFC 6455) of one direction, passively.

- It is fed bytes that are relayed already, in chunks of any size, and answers nothing.
- A message is reported when its last byte was seen, whatever fragments it came in.
- At most LIMIT bytes of a message are kept, also of an inflated one: of a longer one only the length is reported.
- It never raises for what it is fed. It reads on where an endpoint has to close (wrong masks, close frames with invalid
  content, oversized messages, final deflate blocks); where it cannot, `lost` says why, and nothing more is reported.
  `websockets.protocol.Protocol` stops at each of these, so it cannot do this job.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

try:
    from websockets.speedups import apply_mask
except ImportError:  # its C part is not built everywhere
    from websockets.utils import apply_mask

LIMIT = 64 * 1024 * 1024
"""Bytes of one message that are kept."""
_CONTROLS: dict[int, Literal["close", "ping", "pong"]] = {8: "close", 9: "ping", 10: "pong"}
_END_OF_BLOCK = b"\x00\x00\xff\xff"


@dataclass(frozen=True, slots=True)
class FramedMessage:
    """A whole message.

    Attributes:
        payload: its bytes, inflated; None when it was longer than the limit.
        size: its length in bytes, inflated where it could be.
    """

    opcode: Literal["text", "binary"]
    payload: bytes | None
    size: int


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """A ping, pong or close frame, with its payload of at most 125 bytes."""

    kind: Literal["close", "ping", "pong"]
    payload: bytes

    @property
    def code(self) -> int:
        """The code of a close frame, 1005 when it has none."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else 1005

    @property
    def reason(self) -> str:
        """The reason of a close frame."""
        return self.payload[2:].decode(errors="replace")


class Inflate:
    """Inflate one direction of permessage-deflate (RFC 7692).

    Args:
        takeover: a message may refer to the ones before it (context takeover).
    """

    def __init__(self, takeover: bool) -> None:
        self._takeover = takeover
        self._zlib = zlib.decompressobj(-15)

    def message(self, data: bytes, limit: int) -> bytes | None:
        """The inflated message; None when it is longer than `limit` bytes.

        Raises:
            zlib.error: the data is not valid.
        """
        out = self._zlib.decompress(data + _END_OF_BLOCK, limit + 1)
        if len(out) > limit:
            return None
        if not self._takeover or self._zlib.eof:
            self._zlib = zlib.decompressobj(-15)
        return out


def deflate_contexts(extensions: str) -> tuple[Inflate | None, Inflate | None, str]:
    """How to inflate the client's and the server's messages, and the first unknown extension ("" if there is none).

    Args:
        extensions: the value of Sec-WebSocket-Extensions in the 101 response.
    """
    up = down = None
    for extension in filter(None, (part.strip() for part in extensions.split(","))):
        name, *parameters = (word.strip().lower() for word in extension.split(";"))
        if name != "permessage-deflate" or up is not None:
            return None, None, name
        up = Inflate("client_no_context_takeover" not in parameters)
        down = Inflate("server_no_context_takeover" not in parameters)
    return up, down, ""


class FrameParser:
    """Parses the frames of one direction.

    Args:
        masked: whether RFC 6455 wants its frames masked, as those of a client.
        inflate: how its compressed messages inflate; None where compression was not negotiated.
        limit: bytes of one message that are kept.
    """

    def __init__(self, *, masked: bool, inflate: Inflate | None = None, limit: int = LIMIT) -> None:
        self.lost = ""
        """Why nothing more can be reported, "" while it can."""
        self.violation = ""
        """What violates RFC 6455 although it can be read, "" if nothing."""
        self._masked = masked
        self._inflate = inflate
        self._limit = limit
        self._buffer = bytearray()  # of a frame that is incomplete
        self._skip = 0  # bytes of an oversized frame that are still to come
        # the message that is being read
        self._opcode = 0
        self._final = self._compressed = False
        self._parts = bytearray()  # not a list: a million empty fragments take no memory
        self._size = 0

    @property
    def at_boundary(self) -> bool:
        """Whether no message and no frame is incomplete."""
        return not (self._buffer or self._skip or self._opcode)

    def feed(self, data: bytes) -> list[FramedMessage | ControlFrame]:
        """The messages and control frames that these bytes complete."""
        events: list[FramedMessage | ControlFrame] = []
        buffer = self._buffer
        buffer += data
        while buffer and not self.lost:
            if self._skip:
                skipped = min(self._skip, len(buffer))
                del buffer[:skipped]
                self._skip -= skipped
            elif not self._frame(events):
                break
            if self._final and self._opcode and not self._skip:
                self._finish(events)
        return events

    def _frame(self, events: list[FramedMessage | ControlFrame]) -> bool:
        """Take one frame out of the buffer, of an oversized one its head; False when it is incomplete or invalid."""
        buffer = self._buffer
        start = _head_size(buffer)
        if start > len(buffer):
            return False
        first, length = buffer[0], _payload_length(buffer)
        opcode, has_mask = first & 0x0F, bool(buffer[1] & 0x80)
        self.lost = self._error(first, length)
        if has_mask != self._masked and not self.violation and not self.lost:
            self.violation = "its frames are not masked" if self._masked else "its frames are masked"
        oversized = opcode < 8 and self._size + length > self._limit
        if self.lost or (not oversized and len(buffer) < start + length):
            return False
        payload = b"" if oversized else bytes(buffer[start : start + length])
        if has_mask and payload:
            payload = apply_mask(payload, buffer[start - 4 : start])
        del buffer[: start + len(payload)]
        if opcode >= 8:
            events.append(ControlFrame(_CONTROLS[opcode], payload))
            return True
        if opcode:
            self._opcode, self._compressed = opcode, bool(first & 0x40)
        self._final = bool(first & 0x80)
        self._size += length
        self._parts += payload
        if oversized:
            self._parts.clear()
            self._skip = length
        return True

    def _error(self, first: int, length: int) -> str:
        """Why this frame cannot be read, "" when it can be."""
        opcode, compressed = first & 0x0F, first & 0x40
        if opcode not in (0, 1, 2, 8, 9, 10):
            return f"a frame with the unknown opcode {opcode}"
        if first & 0x30 or (compressed and (self._inflate is None or opcode not in (1, 2))):
            return "a frame with reserved bits that no extension defines"
        if opcode >= 8 and (not first & 0x80 or length > 125):
            return f"a {_CONTROLS[opcode]} frame that is {'longer than 125 bytes' if first & 0x80 else 'fragmented'}"
        if opcode == 0 and not self._opcode:
            return "a continuation frame without a message"
        if opcode in (1, 2) and self._opcode:
            return "a new message inside a fragmented one"
        return "a frame of more than 2**63 bytes" if length >> 63 else ""

    def _finish(self, events: list[FramedMessage | ControlFrame]) -> None:
        """The message is complete."""
        size = self._size
        payload = bytes(self._parts) if size <= self._limit else None
        if self._compressed and self._inflate is not None:
            try:
                payload = self._inflate.message(payload, self._limit) if payload is not None else None
            except zlib.error:
                self.lost = "a compressed message that does not inflate"
                return
            if payload is None:
                self.lost = f"a compressed message of more than {self._limit:,} bytes, which later messages refer to"
            else:
                size = len(payload)
        events.append(FramedMessage("text" if self._opcode == 1 else "binary", payload, size))
        self._parts = bytearray()
        self._size = self._opcode = 0
        self._final = False


def _head_size(buffer: bytearray) -> int:
    """Bytes of the head of a frame, as far as the bytes that are there tell."""
    if len(buffer) < 2:
        return 2
    return 2 + {126: 2, 127: 8}.get(buffer[1] & 0x7F, 0) + (4 if buffer[1] & 0x80 else 0)


def _payload_length(buffer: bytearray) -> int:
    length = buffer[1] & 0x7F
    return int.from_bytes(buffer[2 : {126: 4, 127: 10}[length]], "big") if length > 125 else length
