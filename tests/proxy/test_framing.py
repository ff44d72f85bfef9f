"""The frame parser: any chunks, any fragments, and frames an endpoint would close for."""

import zlib

import pytest
from websockets.frames import Opcode

from livews.proxy.framing import ControlFrame, FramedMessage, FrameParser, Inflate
from tests.proxy.kit import CASES, framed


def fed(frames: FrameParser, wire: bytes) -> list[FramedMessage | ControlFrame]:
    return [event for event in frames.feed(wire) if event is not None]


def in_pieces(frames: FrameParser, wire: bytes, size: int) -> list[FramedMessage | ControlFrame]:
    return [event for at in range(0, len(wire), size) for event in fed(frames, wire[at : at + size])]


def test_frames_are_read_in_pieces_of_any_size() -> None:
    messages = [CASES.randbytes(size) for size in (0, 1, 125, 126, 127, 65_535, 65_536, 200_000)]
    for masked in (True, False):
        wire = b"".join(
            framed(Opcode.BINARY, message[:5], mask=masked, fin=False)
            + framed(Opcode.PING, b"between", mask=masked)
            + framed(Opcode.CONT, message[5:], mask=masked)
            for message in messages
        )
        for size in (1, 3, 1000, len(wire)):
            frames = FrameParser(masked=masked)
            expected = [event for message in messages for event in (
                ControlFrame("ping", b"between"), FramedMessage("binary", message, len(message)))]  # fmt: skip
            assert in_pieces(frames, wire, size) == expected
            assert frames.at_boundary and not frames.lost and not frames.violation


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"\x83\x00", "unknown opcode 3"),
        (b"\xc1\x00", "reserved bits"),
        (b"\x80\x00", "continuation frame without"),
        (b"\x01\x00\x01\x00", "new message inside"),
        (b"\x09\x00", "fragmented"),
        (b"\x89\x7e\x00\x80", "longer than 125"),
        (b"\x82\x7f" + b"\xff" * 8, "more than 2"),
    ],
)
def test_what_is_no_frame_is_told(wire: bytes, why: str) -> None:
    frames = FrameParser(masked=False)
    assert in_pieces(frames, wire + framed(Opcode.PING, b"", mask=False), 1) == []
    assert why in frames.lost


def test_a_message_that_is_too_long_is_told_and_not_kept() -> None:
    frames = FrameParser(masked=False, limit=1000)
    parts = [framed(Opcode.TEXT, b"x" * 600, mask=False, fin=False), framed(Opcode.CONT, b"x" * 600, mask=False)]
    assert fed(frames, b"".join(parts)) == [FramedMessage("text", None, 1200)]
    assert fed(frames, framed(Opcode.TEXT, b"{}", mask=False)) == [FramedMessage("text", b"{}", 2)]


def test_a_compressed_message_that_is_too_long_is_inflated_in_pieces_and_read_on_after() -> None:
    packer = zlib.compressobj(1, wbits=-15)

    def deflated(data: bytes) -> bytes:
        wire = framed(Opcode.BINARY, (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4], mask=False)
        return bytes([wire[0] | 0x40]) + wire[1:]

    bomb = FrameParser(masked=False, inflate=Inflate(True), limit=1_000_000)
    events = list(bomb.feed(deflated(bytes(5_000_000)) + deflated(b"\0next")))
    assert events.count(None) >= 5, "the caller can pause between the pieces"
    assert [event for event in events if event] == [
        FramedMessage("binary", None, 5_000_000),
        FramedMessage("binary", b"\0next", 5),
    ]
    assert not bomb.lost
    (event,) = fed(bomb, deflated(bytes(70_000_000)))
    assert isinstance(event, FramedMessage) and event.payload is None
    assert "more than 67,108,864 bytes" in bomb.lost


BAD = {
    "a wrong mask": framed(Opcode.TEXT, b"{}", mask=True),
    "a close code that is not valid": framed(Opcode.CLOSE, b"\x03\xe7", mask=False),
    "half a close code": framed(Opcode.CLOSE, b"\x03", mask=False),
    "a close reason that is not UTF-8": framed(Opcode.CLOSE, b"\x03\xe8\xff", mask=False),
    "a text that is not UTF-8": framed(Opcode.TEXT, b"\xff", mask=False),
    "an oversized frame": framed(Opcode.TEXT, b"x" * 2000, mask=False),
    "an oversized message": framed(Opcode.TEXT, b"x" * 900, mask=False, fin=False)
    + framed(Opcode.CONT, b"x" * 900, mask=False, fin=False)
    + framed(Opcode.CONT, b"", mask=False),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_what_an_endpoint_closes_for_is_read_on(bad: str, size: int) -> None:
    frames = FrameParser(masked=False, limit=1000)
    wire = BAD[bad] + framed(Opcode.TEXT, b"next", mask=False)
    events = in_pieces(frames, wire, size)
    assert len(events) == 2 and events[1] == FramedMessage("text", b"next", 4)
    assert frames.at_boundary and not frames.lost
    assert bool(frames.violation) == (bad == "a wrong mask")


def test_a_deflate_block_marked_final_is_read_on() -> None:
    frames = FrameParser(masked=False, inflate=Inflate(True))
    last, next_one = zlib.compressobj(wbits=-15), zlib.compressobj(wbits=-15)
    packed = [last.compress(b"last") + last.flush(zlib.Z_FINISH)]
    packed.append((next_one.compress(b"next") + next_one.flush(zlib.Z_SYNC_FLUSH))[:-4])
    wire = b"".join(bytes([0xC1, len(data)]) + data for data in packed)
    assert fed(frames, wire) == [FramedMessage("text", b"last", 4), FramedMessage("text", b"next", 4)]
