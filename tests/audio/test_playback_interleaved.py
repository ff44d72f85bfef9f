"""The event loop's calls put between any two instructions of a fill: every interleaving there is, one by one.

- The sound thread stops at each bytecode in turn, what the loop might do then is done, and the fill goes on.
- Turn 1 speaks 1s, turn 2 speaks 2s, so each sample says where it is from; fades are marks.
- `test_playback_race.py` does the same with real threads, where the rare places are met by luck.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
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


@pytest.mark.parametrize("chunks", [0, 1, 2, 9])
def test_a_flush_anywhere_cuts_turn_one_and_keeps_turn_two(chunks: int) -> None:
    at, reached = 0, True
    while reached:
        buffer = turn_one(chunks)

        def flush_and_go_on(buffer: PlaybackBuffer = buffer) -> None:
            buffer.flush()
            for _ in range(5):
                buffer.push(TWOS)

        block, reached = fill_interrupted(buffer, flush_and_go_on, at)
        if not reached:
            flush_and_go_on()
        later = [*fill(buffer), *fill(buffer), *fill(buffer), *fill(buffer), *fill(buffer)]
        assert 1 not in later
        assert [*block, *later].count(2) == 150
        one, two = buffer.turns
        assert round(24 * one.played_ms) == FRAMES + block.count(1)
        assert round(24 * two.played_ms) == 150
        assert one.cut
        assert buffer.idle
        at += 1
    assert at > 100, "it was not traced"


@pytest.mark.parametrize("chunks", [0, 1, 2, 9])
@pytest.mark.parametrize("ended", [False, True])
def test_a_push_anywhere_is_played_once_and_in_order(chunks: int, ended: bool) -> None:
    at, reached = 0, True
    while reached:
        buffer = turn_one(chunks)

        def go_on(buffer: PlaybackBuffer = buffer) -> None:
            buffer.push(ONES)
            if ended:
                buffer.end()
                buffer.push(TWOS)
                buffer.end()

        block, reached = fill_interrupted(buffer, go_on, at)
        if not reached:
            go_on()
        heard = [*block, *(sample for _ in range(8) for sample in fill(buffer))]
        spoken = [sample for sample in heard if sample > 0]
        assert spoken == [1] * (30 * (chunks + 5) - FRAMES) + [2] * (30 * ended)
        assert buffer.idle
        at += 1
    assert at > 100, "it was not traced"
