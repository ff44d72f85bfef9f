"""The event loop's calls put between any two instructions of a fill: every interleaving there is, one by one.

- The sound thread stops at each bytecode in turn, what the loop might do then is done, and the fill goes on.
- Turn 1 speaks 1s, turn 2 speaks 2s, so each sample says where it is from; fades are marks.
- Then the same with real threads that switch as often as Python can, where the rare places are met by luck: every
  generation speaks one value of its own, so each sample says which generation it is from.
"""

import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest

from livews.audio import playback
from livews.audio.playback import PlaybackBuffer

FRAMES = 100
RING = -1  # a sample of a fade out

ONES = b"\1\0" * 30
TWOS = b"\2\0" * 30


@pytest.fixture(autouse=True)
def marked_fades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "falling", lambda level, n: memoryview(array("h", [RING] * n)).cast("B"))
    monkeypatch.setattr(playback, "raise_in_place", lambda pcm, done, n: n)


def fill(buffer: PlaybackBuffer) -> list[int]:
    block = bytearray(2 * FRAMES)
    buffer.fill(block)
    return array("h", bytes(block)).tolist()


def fill_interrupted(buffer: PlaybackBuffer, interrupt: Callable[[], None], at: int) -> tuple[list[int], bool]:
    """One block; `interrupt` runs before instruction number `at`. False: the fill has fewer."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename != playback.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if count == at:
                interrupt()
            count += 1
        return trace

    usual = sys.gettrace()
    sys.settrace(trace)
    try:
        block = fill(buffer)
    finally:
        sys.settrace(usual)
    return block, count > at


def turn_one(chunks: int) -> PlaybackBuffer:
    """Turn 1 is being played and has some chunks left: more than a block, a part of one, or none."""
    buffer = PlaybackBuffer(prebuffer=0.0, clock=lambda: 0.0)
    for _ in range(chunks + 4):
        buffer.push(ONES)
    fill(buffer)
    return buffer


def interrupted_everywhere(
    chunks: int, interrupt: Callable[[PlaybackBuffer], None]
) -> Iterator[tuple[PlaybackBuffer, list[int]]]:
    """The buffer and the block for each place of a fill, and for one where it came after the fill."""
    at, reached = 0, True
    while reached:
        buffer = turn_one(chunks)
        block, reached = fill_interrupted(buffer, partial(interrupt, buffer), at)
        if not reached:
            interrupt(buffer)
        yield buffer, block
        at += 1
    assert at > 100, "it was not traced"


@pytest.mark.parametrize("chunks", [0, 1, 2, 9])
def test_a_flush_anywhere_cuts_turn_one_and_keeps_turn_two(chunks: int) -> None:
    def flush_and_go_on(buffer: PlaybackBuffer) -> None:
        buffer.flush()
        for _ in range(5):
            buffer.push(TWOS)

    for buffer, block in interrupted_everywhere(chunks, flush_and_go_on):
        later = [sample for _ in range(5) for sample in fill(buffer)]
        assert 1 not in later
        assert [*block, *later].count(2) == 150
        one, two = buffer.turns
        assert (one.played, two.played) == (2 * (FRAMES + block.count(1)), 300)
        assert one.cut
        assert buffer.idle


@pytest.mark.parametrize("chunks", [0, 1, 2, 9])
@pytest.mark.parametrize("ended", [False, True])
def test_a_push_anywhere_is_played_once_and_in_order(chunks: int, ended: bool) -> None:
    def go_on(buffer: PlaybackBuffer) -> None:
        buffer.push(ONES)
        if ended:
            buffer.end()
            buffer.push(TWOS)
            buffer.end()

    for buffer, block in interrupted_everywhere(chunks, go_on):
        heard = [*block, *(sample for _ in range(8) for sample in fill(buffer))]
        assert [sample for sample in heard if sample > 0] == [1] * (30 * (chunks + 5) - FRAMES) + [2] * (30 * ended)
        assert buffer.idle


FILL = 480
MEETINGS = 25  # generations that were cut while they were heard


@pytest.fixture
def switching_wildly() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("switching_wildly")
@pytest.mark.parametrize("chunk_frames", [1, 47, 2000])
def test_nothing_of_a_flushed_turn_is_played(chunk_frames: int) -> None:
    buffer = PlaybackBuffer(prebuffer=0.0)
    flushed = 0  # the newest generation whose flush has returned
    done = False
    faults: list[str] = []
    met: set[int] = set()

    def listen() -> None:
        block = bytearray(2 * FILL)
        try:
            while not done:
                stale = flushed
                buffer.fill(block)
                values = set(array("h", bytes(block)))
                met.update(values)
                faults.extend(f"{v} after {stale} was flushed" for v in values if 0 < v <= stale)
        except BaseException as error:
            faults.append(repr(error))

    thread = threading.Thread(target=listen)
    thread.start()
    deadline = time.monotonic() + 20
    generation = 0
    while len(met) < MEETINGS and generation < 32767 and time.monotonic() < deadline:
        generation += 1
        chunk = array("h", [generation] * chunk_frames).tobytes()
        for _ in range(3):
            buffer.push(chunk)
        buffer.flush()
        flushed = generation
    done = True
    thread.join(20)
    assert not thread.is_alive()
    assert not faults
    assert len(met) >= MEETINGS, "the two threads must have met"


@pytest.mark.usefixtures("switching_wildly")
def test_no_sample_is_lost_or_doubled_between_the_threads() -> None:
    pcm = array("h", [1 + i % 30000 for i in range(200_000)]).tobytes()
    buffer = PlaybackBuffer(prebuffer=0.0)
    heard = bytearray()
    done = False

    def listen() -> None:
        block = bytearray(2 * FILL)
        while not (done and buffer.idle):
            buffer.fill(block)
            heard.extend(block)

    thread = threading.Thread(target=listen)
    thread.start()
    for at in range(0, len(pcm), 6002):
        piece = pcm[at : at + 6002]
        buffer.push(piece[:2001])
        buffer.push(piece[2001:])
        buffer.end()
    done = True
    thread.join(20)
    assert not thread.is_alive()
    assert [sample for sample in array("h", bytes(heard)) if sample not in (0, RING)] == list(array("h", pcm))
    assert all(turn.played == turn.received for turn in buffer.turns)
