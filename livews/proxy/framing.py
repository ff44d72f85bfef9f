"""Parse WebSocket frames (RFC 6455) of one direction, passively.

- It is fed bytes that are relayed already, in chunks of any size, and answers nothing.
- A message is reported when its last byte was seen, whatever fragments it came in.
- At most LIMIT bytes of a message are kept, also of an inflated one: of a longer one only the length is reported.
- Bytes are parsed as events are taken, one frame or one piece of a large one at a time, so that the caller can pause.
- It never raises for what it is fed. It reads on where an endpoint has to close (wrong masks, close frames with invalid
  content, oversized messages, final deflate blocks); where it cannot, `lost` says why, and nothing more is reported.
  `websockets.protocol.Protocol` stops at each of these, so it cannot do this job.
"""

import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # in C where that is built

from livews.core import codec

LIMIT = codec.LONGEST
"""Bytes of one message that are kept: a longer one is not read (WIRE-15)."""
_LARGEST = 64 * 1024 * 1024
"""Bytes up to which a compressed message is inflated, since later ones may refer to it."""
_PIECE = 1024 * 1024
"""Bytes that are inflated at a time."""
_CONTROLS: dict[int, Literal["close", "ping", "pong"]] = {8: "close", 9: "ping", 10: "pong"}
_SKIP = 64 * 1024
"""Bytes of an oversized message that are skipped at a time."""
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


_Event = FramedMessage | ControlFrame | Literal["more"] | None
"""What parsing yields: "more" waits for bytes, None has completed nothing."""


class Inflate:
    """Inflate one direction of permessage-deflate (RFC 7692).

    Args:
        takeover: a message may refer to the ones before it (context takeover).
    """

    def __init__(self, takeover: bool) -> None:
        self._takeover = takeover
        self._zlib = zlib.decompressobj(-15)

    def message(self, data: bytes, limit: int) -> Generator[None, None, tuple[bytes | None, int]]:
        """The inflated message and its size, with a `yield` after each piece. Of one longer than `limit` bytes only the
        size, which is above `_LARGEST` if it was not inflated to its end.

        Raises:
            zlib.error: the data is not valid.
        """
        out, size, data, piece = bytearray(), 0, data + _END_OF_BLOCK, b""
        while (data or len(piece) == _PIECE) and size <= _LARGEST:
            piece = self._zlib.decompress(data, _PIECE)
            data = self._zlib.unconsumed_tail
            size += len(piece)
            out += piece if size <= limit else b""
            yield
        if not self._takeover or self._zlib.eof:
            self._zlib = zlib.decompressobj(-15)
        return (bytes(out) if size <= limit else None), size


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
        self._buffer = bytearray()
        self._inside = False
        """Within a frame, or between those of a message."""
        self._parsing = self._parse()

    @property
    def at_boundary(self) -> bool:
        """Whether no message and no frame is incomplete."""
        return not (self._buffer or self._inside)

    def feed(self, data: bytes) -> Iterator[FramedMessage | ControlFrame | None]:
        """Add bytes, and parse them as the result is taken: the messages and control frames that they complete, and None
        after each piece that completes nothing. All of it has to be taken."""
        self._buffer += b"" if self.lost else data
        return self._take()

    def _take(self) -> Iterator[FramedMessage | ControlFrame | None]:
        for event in self._parsing:
            if event == "more":
                return
            yield event

    def _parse(self) -> Iterator[_Event]:
        """Parse frame after frame; it returns when the direction is lost."""
        buffer = self._buffer
        opcode, size, compressed, payload = 0, 0, False, bytearray()  # of the message that is being read
        while not self.lost:
            self._inside = opcode != 0
            while len(buffer) < 2:
                yield "more"
            first, second = buffer[0], buffer[1]
            del buffer[:2]
            self._inside = True
            kind, length = first & 0x0F, second & 0x7F
            if length > 125:
                length = int.from_bytes((yield from self._read(2 if length == 126 else 8)), "big")
            if error := self._error(first, length, opcode):
                self.lost = error
                return
            masked = second > 0x7F
            if masked != self._masked:
                self.violation = "its frames are not masked" if self._masked else "its frames are masked"
            if kind >= 8:
                yield ControlFrame(_CONTROLS[kind], (yield from self._read(length, masked)))
                continue
            if kind:
                opcode, compressed = kind, bool(first & 0x40)
            size += length
            if size <= self._limit:
                payload += yield from self._read(length, masked)
            else:
                payload.clear()
                length += 4 * masked
                while length:
                    length -= len((yield from self._read(min(length, _SKIP))))
            if first & 0x80:
                yield (yield from self._message(opcode, size, compressed, payload))
                opcode, size, payload = 0, 0, bytearray()
            else:
                yield None

    def _read(self, size: int, masked: bool = False) -> Generator[_Event, None, bytes]:
        """The next `size` bytes; if `masked` those after the next mask, unmasked."""
        buffer, size = self._buffer, size + 4 * masked
        while len(buffer) < size:
            yield "more"
        data = apply_mask(buffer[4:size], buffer[:4]) if masked else bytes(buffer[:size])
        del buffer[:size]
        return data

    def _error(self, first: int, length: int, open_message: int) -> str:
        """Why this frame cannot be read, "" when it can be."""
        opcode, compressed = first & 0x0F, first & 0x40
        if opcode not in (0, 1, 2, 8, 9, 10):
            return f"a frame with the unknown opcode {opcode}"
        if first & 0x30 or (compressed and (self._inflate is None or opcode not in (1, 2))):
            return "a frame with reserved bits that no extension defines"
        if opcode >= 8 and (not first & 0x80 or length > 125):
            return f"a {_CONTROLS[opcode]} frame that is {'longer than 125 bytes' if first & 0x80 else 'fragmented'}"
        if opcode == 0 and not open_message:
            return "a continuation frame without a message"
        if opcode in (1, 2) and open_message:
            return "a new message inside a fragmented one"
        return "a frame of more than 2**63 bytes" if length >> 63 else ""

    def _message(
        self, opcode: int, size: int, compressed: bool, parts: bytearray
    ) -> Generator[_Event, None, FramedMessage | None]:
        """The message that is complete; None if it does not inflate."""
        payload = bytes(parts) if size <= self._limit else None
        if compressed and self._inflate is not None:
            largest = f"a compressed message of more than {_LARGEST:,} bytes, which later messages refer to"
            if payload is None:
                self.lost = f"a compressed message of {size:,} bytes, which later messages refer to"
            else:
                try:
                    payload, size = yield from self._inflate.message(payload, self._limit)
                except zlib.error:
                    self.lost = "a compressed message that does not inflate"
                    return None
                self.lost = largest if size > _LARGEST else ""
        return FramedMessage("text" if opcode == 1 else "binary", payload, size)
