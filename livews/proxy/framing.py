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
        # the frame that is being read
        self._head = bytearray()
        self._inside = False
        self._left = 0
        self._opcode = 0
        self._final = True
        self._mask = b""
        self._payload = b""
        self._chunks = bytearray()  # of a frame that did not come at once
        # the message that is being read
        self._kind = 0
        self._compressed = False
        self._parts = bytearray()  # not a list: a million empty fragments take no room
        self._size = 0
        self._dropped = False

    @property
    def at_boundary(self) -> bool:
        """Whether no message and no frame is incomplete."""
        return not (self._head or self._inside or self._kind)

    def feed(self, data: bytes) -> list[FramedMessage | ControlFrame]:
        """The messages and control frames that these bytes complete."""
        out: list[FramedMessage | ControlFrame] = []
        at, end = 0, len(data)
        while at < end and not self.lost:
            if not self._inside:
                chunk = data[at : at + _missing_head(self._head)]
                self._head += chunk
                at += len(chunk)
                if not _missing_head(self._head):
                    self._begin(out)
                continue
            chunk = data[at : at + self._left] if at or end > self._left else data
            at += len(chunk)
            self._left -= len(chunk)
            if not self._dropped or self._opcode >= 8:
                if self._left or self._chunks:
                    self._chunks += chunk
                else:
                    self._payload = chunk
            if not self._left:
                self._finish(out)
        return out

    def _begin(self, out: list[FramedMessage | ControlFrame]) -> None:
        head = self._head
        first, second = head[0], head[1]
        self._final, self._opcode = bool(first & 0x80), first & 0x0F
        length, at = _length(head)
        self._mask = bytes(head[at : at + 4]) if second & 0x80 else b""
        self.lost = self._error(first, length)
        if self.lost:
            return
        if bool(self._mask) != self._masked and not self.violation:
            self.violation = "its frames are not masked" if self._masked else "its frames are masked"
        head.clear()
        if self._opcode < 8:
            if self._opcode:
                self._kind, self._compressed = self._opcode, bool(first & 0x40)
            self._size += length
            if self._size > self._limit:
                self._dropped = True
                self._parts.clear()
        self._inside, self._left = True, length
        if not length:
            self._finish(out)

    def _error(self, first: int, length: int) -> str:
        """Why this frame cannot be read, "" when it can be."""
        opcode, compressed = self._opcode, first & 0x40
        if opcode not in (0, 1, 2, 8, 9, 10):
            return f"a frame with the unknown opcode {opcode}"
        if first & 0x30 or (compressed and (self._inflate is None or opcode not in (1, 2))):
            return "a frame with reserved bits that no extension defines"
        if opcode >= 8 and (not self._final or length > 125):
            return f"a {_CONTROLS[opcode]} frame that is {'longer than 125 bytes' if self._final else 'fragmented'}"
        if opcode == 0 and not self._kind:
            return "a continuation frame without a message"
        if opcode in (1, 2) and self._kind:
            return "a new message inside a fragmented one"
        return "a frame of more than 2**63 bytes" if length >> 63 else ""

    def _finish(self, out: list[FramedMessage | ControlFrame]) -> None:
        self._inside = False
        payload, self._payload = bytes(self._chunks) or self._payload, b""
        self._chunks.clear()
        if self._mask and payload:
            payload = apply_mask(payload, self._mask)
        if self._opcode >= 8:
            out.append(ControlFrame(_CONTROLS[self._opcode], payload))
            return
        if self._final:
            whole = bytes(self._parts + payload) if self._parts else payload
            self._finish_message(None if self._dropped else whole, out)
        elif not self._dropped:
            self._parts += payload

    def _finish_message(self, whole: bytes | None, out: list[FramedMessage | ControlFrame]) -> None:
        size, opcode = self._size, self._kind
        if self._compressed and self._inflate is not None:
            try:
                whole = self._inflate.message(whole, self._limit) if whole is not None else None
            except zlib.error:
                self.lost = "a compressed message that does not inflate"
                return
            if whole is None:
                self.lost = f"a compressed message of more than {self._limit:,} bytes, which later messages refer to"
            else:
                size = len(whole)
        self._parts = bytearray()
        self._size, self._kind, self._dropped = 0, 0, False
        out.append(FramedMessage("text" if opcode == 1 else "binary", whole, size))


def _missing_head(head: bytearray) -> int:
    """How many bytes of a frame's head are missing, as far as the bytes that are there tell."""
    if len(head) < 2:
        return 2 - len(head)
    length = head[1] & 0x7F
    size = 2 + (2 if length == 126 else 8 if length == 127 else 0) + (4 if head[1] & 0x80 else 0)
    return size - len(head)


def _length(head: bytearray) -> tuple[int, int]:
    """Of a whole head: the length of the payload in bytes, and the offset of what follows the length."""
    length = head[1] & 0x7F
    if length == 126:
        return int.from_bytes(head[2:4], "big"), 4
    if length == 127:
        return int.from_bytes(head[2:10], "big"), 10
    return length, 2
