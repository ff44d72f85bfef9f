"""Read WebSocket frames (RFC 6455) out of bytes that somebody else sends.

- Passive: it is given bytes that are on their way already, answers nothing and is in nobody's way.
- Bytes come in any pieces; a message is told when its last byte was seen, whatever fragments it came in.
- It keeps LIMIT bytes of a message at most, also of one that inflates: a longer one is told by its length alone.
- `boundary` looks ahead for the end of what has been begun, and moves nothing.
- It never raises for what comes. What cannot be followed any further is `lost`, in words, and then nothing is told.
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
"""Bytes of one message that are kept to be looked at."""
_CONTROLS: dict[int, Literal["close", "ping", "pong"]] = {8: "close", 9: "ping", 10: "pong"}
_END_OF_BLOCK = b"\x00\x00\xff\xff"


@dataclass(frozen=True, slots=True)
class FramedMessage:
    """A whole message. `payload` is None when it was longer than what is kept; `size` is bytes, inflated."""

    opcode: Literal["text", "binary"]
    payload: bytes | None
    size: int


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """A ping, a pong or a close, with its payload of at most 125 bytes."""

    kind: Literal["close", "ping", "pong"]
    payload: bytes

    @property
    def code(self) -> int:
        """Of a close: its code, 1005 when it has none."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else 1005

    @property
    def reason(self) -> str:
        return self.payload[2:].decode(errors="replace")


class Inflate:
    """One direction of permessage-deflate (RFC 7692); `takeover`: a message may refer to the ones before."""

    def __init__(self, takeover: bool) -> None:
        self._takeover = takeover
        self._zlib = zlib.decompressobj(-15)

    def message(self, data: bytes, limit: int) -> bytes | None:
        """The message; None when it inflates to more than `limit` bytes. zlib.error when it is broken."""
        out = self._zlib.decompress(data + _END_OF_BLOCK, limit + 1)
        if len(out) > limit:
            return None
        if not self._takeover or self._zlib.eof:
            self._zlib = zlib.decompressobj(-15)
        return out


def extensions(answer: str) -> tuple[Inflate | None, Inflate | None, str]:
    """Of Sec-WebSocket-Extensions in the 101: how the client's messages inflate, how the server's do, and an extension
    that nobody here can read, "" for none."""
    up = down = None
    for one in filter(None, (part.strip() for part in answer.split(","))):
        name, *given = (word.strip().lower() for word in one.split(";"))
        if name != "permessage-deflate" or up is not None:
            return None, None, name
        up = Inflate("client_no_context_takeover" not in given)
        down = Inflate("server_no_context_takeover" not in given)
    return up, down, ""


class FrameParser:
    """One direction of a socket. `masked`: its frames have to be masked, as a client's have."""

    def __init__(self, *, masked: bool, inflate: Inflate | None = None, limit: int = LIMIT) -> None:
        self.lost = ""
        """Why nothing can be told any more; "" while it can."""
        self.odd = ""
        """What the other side will close 1002 for, though it can be read."""
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
        self._pieces = bytearray()  # of a frame that did not come at once
        # the message that is being read
        self._kind = 0
        self._packed = False
        self._parts = bytearray()  # not a list: a million empty fragments take no room
        self._size = 0
        self._dropped = False

    @property
    def between(self) -> bool:
        """Has nothing been begun that is not finished?"""
        return not (self._head or self._inside or self._kind)

    def feed(self, data: bytes) -> list[FramedMessage | ControlFrame]:
        """The messages and controls that these bytes finish."""
        out: list[FramedMessage | ControlFrame] = []
        at, end = 0, len(data)
        while at < end and not self.lost:
            if not self._inside:
                piece = data[at : at + _missing(self._head)]
                self._head += piece
                at += len(piece)
                if not _missing(self._head):
                    self._begin(out)
                continue
            piece = data[at : at + self._left] if at or end > self._left else data
            at += len(piece)
            self._left -= len(piece)
            if not self._dropped or self._opcode >= 8:
                if self._left or self._pieces:
                    self._pieces += piece
                else:
                    self._payload = piece
            if not self._left:
                self._finish(out)
        return out

    def boundary(self, data: bytes) -> int | None:
        """After how many of these bytes, which come next, nothing is unfinished; None when that is in none of them."""
        head, at, left = bytearray(self._head), 0, self._left if self._inside else -1
        opcode, final, begun = self._opcode, self._final, bool(self._kind)
        while not self.lost:
            if left < 0:
                while (missing := _missing(head)) and at < len(data):
                    head += data[at : at + missing]
                    at += missing
                if missing:
                    return None
                opcode, final, (length, _) = head[0] & 0x0F, bool(head[0] & 0x80), _length(head)
                begun = begun or opcode < 8
                left = length
                head.clear()
            piece = min(left, len(data) - at)
            at += piece
            left -= piece
            if left:
                return None
            left = -1
            begun = begun and (opcode >= 8 or not final)
            if not begun:
                return at
        return None

    def _begin(self, out: list[FramedMessage | ControlFrame]) -> None:
        head = self._head
        first, second = head[0], head[1]
        self._final, self._opcode = bool(first & 0x80), first & 0x0F
        length, at = _length(head)
        self._mask = bytes(head[at : at + 4]) if second & 0x80 else b""
        self.lost = self._wrong(first, length)
        if self.lost:
            return
        if bool(self._mask) != self._masked and not self.odd:
            self.odd = "its frames are not masked" if self._masked else "its frames are masked"
        head.clear()
        if self._opcode < 8:
            if self._opcode:
                self._kind, self._packed = self._opcode, bool(first & 0x40)
            self._size += length
            if self._size > self._limit:
                self._dropped = True
                self._parts.clear()
        self._inside, self._left = True, length
        if not length:
            self._finish(out)

    def _wrong(self, first: int, length: int) -> str:
        """Why this frame cannot be read, "" when it can."""
        opcode, packed = self._opcode, first & 0x40
        if opcode not in (0, 1, 2, 8, 9, 10):
            return f"a frame of the unknown kind {opcode}"
        if first & 0x30 or (packed and (self._inflate is None or opcode not in (1, 2))):
            return "a frame with reserved bits that no extension explains"
        if opcode >= 8 and (not self._final or length > 125):
            return f"a {_CONTROLS[opcode]} that is {'longer than 125 bytes' if self._final else 'in fragments'}"
        if opcode == 0 and not self._kind:
            return "a fragment of no message"
        if opcode in (1, 2) and self._kind:
            return "a message inside another one"
        return "a frame of more than 2**63 bytes" if length >> 63 else ""

    def _finish(self, out: list[FramedMessage | ControlFrame]) -> None:
        self._inside = False
        payload, self._payload = bytes(self._pieces) or self._payload, b""
        self._pieces.clear()
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
        if self._packed and self._inflate is not None:
            try:
                whole = self._inflate.message(whole, self._limit) if whole is not None else None
            except zlib.error:
                self.lost = "a compressed message that does not inflate"
                return
            if whole is None:
                self.lost = f"a compressed message of more than {self._limit:,} bytes: what follows refers to it"
            else:
                size = len(whole)
        self._parts = bytearray()
        self._size, self._kind, self._dropped = 0, 0, False
        out.append(FramedMessage("text" if opcode == 1 else "binary", whole, size))


def _missing(head: bytearray) -> int:
    """Bytes of a frame's head that are not here yet, as far as those that are tell."""
    if len(head) < 2:
        return 2 - len(head)
    length = head[1] & 0x7F
    whole = 2 + (2 if length == 126 else 8 if length == 127 else 0) + (4 if head[1] & 0x80 else 0)
    return whole - len(head)


def _length(head: bytearray) -> tuple[int, int]:
    """Of a whole head: the bytes of its payload, and where in it they are not told any more."""
    length = head[1] & 0x7F
    if length == 126:
        return int.from_bytes(head[2:4], "big"), 4
    if length == 127:
        return int.from_bytes(head[2:10], "big"), 10
    return length, 2
