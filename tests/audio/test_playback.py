"""When `fill` begins, what is counted and how much was heard, with a clock that moves when told.

What it writes, whatever the order of calls and sizes, is compared with a model in test_playback_model.py.
"""

from __future__ import annotations

import time
import tracemalloc
from array import array
from typing import Any

import pytest

from livews.audio.playback import FIRST_START, LEAST_START, RESUME_AFTER, PlaybackBuffer, PlayedTurn

RATE = 24000
MS = 2 * RATE // 1000
"""Bytes of a millisecond."""


def delay_of(turn: PlayedTurn) -> float:
    assert turn.started_at is not None
    return turn.started_at - turn.first_at


class Listener:
    """A device in virtual time: asks for blocks and keeps what it got."""

    def __init__(self, prebuffer: float | None = 0.0, **options: Any) -> None:
        self.now = 0.0
        self.buffer = PlaybackBuffer(RATE, prebuffer=prebuffer, clock=lambda: self.now, **options)

    def fill(self, frames: int = 480, delay: float = 0.0) -> list[int]:
        """One block; the clock then moves on by its length."""
        block = bytearray(b"\x55" * (2 * frames))
        self.buffer.fill(block, delay)
        self.now = round(self.now + frames / RATE, 9)
        return array("h", bytes(block)).tolist()

    def push(self, *samples: int) -> None:
        self.buffer.push(array("h", samples).tobytes())

    def push_level(self, level: int, ms: float, *, last: bool = False) -> None:
        self.push(*([level] * round(RATE * ms / 1000)))
        if last:
            self.buffer.end()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 961])
def test_any_buffer_is_filled_to_its_last_byte(size: int) -> None:
    listener = Listener()
    listener.push_level(0x1111, 100)
    out = bytearray(b"\x55" * size)
    listener.buffer.fill(memoryview(out))
    assert out == b"\x11" * (size & ~1) + b"\0" * (size & 1)


def test_a_turn_starts_when_its_delay_has_passed() -> None:
    listener = Listener(prebuffer=0.100)
    listener.push_level(7, 240)
    for _ in range(5):
        assert not any(listener.fill())
    assert listener.fill() == [7] * 480
    assert delay_of(listener.buffer.turns[0]) == pytest.approx(0.100)


def test_a_turn_starts_early_when_enough_has_arrived_behind_its_first_chunk() -> None:
    listener = Listener(prebuffer=0.100)
    listener.push_level(7, 1000)
    assert not any(listener.fill()), "one long chunk says nothing about the next"
    listener.push_level(7, 140)
    assert not any(listener.fill())
    listener.push_level(7, 11)
    assert listener.fill() == [7] * 480


def test_the_end_starts_a_short_turn_at_once() -> None:
    listener = Listener(prebuffer=0.100)
    listener.push_level(7, 20, last=True)
    assert listener.fill() == [7] * 480
    assert listener.buffer.idle


def test_the_start_delay_follows_what_was_needed() -> None:
    listener = Listener(prebuffer=None)

    def start_delay(stall: float) -> float:
        """Play a turn whose second chunk is late by `stall` seconds, in steps of 1 ms."""
        listener.push_level(7, 20)
        arrives = listener.now + 0.020 + stall
        while listener.now < arrives - 1e-9:
            listener.fill(24)
        listener.push_level(7, 1000, last=True)
        while not listener.buffer.idle:
            listener.fill(24)
        return delay_of(listener.buffer.turns[-1])

    assert start_delay(0.190) == pytest.approx(FIRST_START, abs=0.002)
    assert listener.buffer.turns[-1].need == pytest.approx(0.190, abs=0.001)
    assert listener.buffer.turns[-1].underruns == 1
    assert start_delay(0.300) == pytest.approx(FIRST_START * 1.5, abs=0.002), "longer after an underrun"
    assert start_delay(0.000) == pytest.approx(0.020, abs=0.002), "the end came first"


@pytest.mark.parametrize(("worst", "delay"), [(0.300, 0.320), (0.900, 0.400)])
def test_twenty_good_turns_forget_a_bad_one(worst: float, delay: float) -> None:
    listener = Listener(prebuffer=None)

    def turn(stall: float) -> None:
        listener.push(7)
        listener.now += stall
        listener.push(7)
        listener.buffer.end()
        listener.fill()

    delays = []
    for stall in (worst, *[0.0] * 20):
        turn(stall)
        delays.append(listener.buffer.turns[-1].start_after)
    turn(0.0)
    assert delays[0] == FIRST_START
    assert delays[1:] == [pytest.approx(delay, abs=0.001)] * 20
    assert listener.buffer.turns[-1].start_after == LEAST_START


def test_an_underrun_is_counted_when_the_turn_goes_on() -> None:
    listener = Listener()
    listener.push_level(12000, 30)
    for _ in range(3):
        listener.fill()
        assert listener.buffer.turns[0].underruns == 0, "it may yet have been the end"
    listener.push_level(12000, 100)
    listener.fill()
    turn = listener.buffer.turns[0]
    assert (turn.underruns, turn.underrun) == (1, 30 * MS)


def test_after_an_underrun_a_little_is_gathered_first() -> None:
    listener = Listener(prebuffer=0.200)
    listener.push_level(7, 200)
    while listener.now < 0.5:
        listener.fill(24)
    listener.push_level(7, 100)
    while listener.buffer.turns[0].played == 200 * MS:
        listener.fill(24)
    assert listener.now == pytest.approx(0.5 + RESUME_AFTER, abs=0.002)


def test_flush_takes_no_longer_with_ten_minutes_queued() -> None:
    listener = Listener()
    chunk = bytes(11520)
    took = []
    for _ in range(5):
        for _ in range(2500):
            listener.buffer.push(chunk)
        listener.fill()
        before = time.perf_counter()
        listener.buffer.flush()
        took.append(time.perf_counter() - before)
        listener.fill()
    assert min(took) < 0.0002
    listener.buffer.push(chunk)
    listener.fill()
    assert len(listener.buffer._seen.chunks) == 1, "what was flushed is freed"


def test_what_is_beyond_the_cap_is_dropped_and_counted() -> None:
    listener = Listener(cap_bytes=960)
    listener.push_level(1, 20)
    listener.push_level(2, 20)
    assert listener.buffer.turns[0].dropped == 20 * MS
    listener.fill()
    listener.push_level(3, 20)
    assert listener.fill() == [3] * 480
    assert listener.buffer.turns[0].received == 40 * MS


def test_a_turn_of_which_all_was_dropped_blocks_nothing() -> None:
    listener = Listener(cap_bytes=960)
    listener.push_level(1, 20, last=True)
    listener.push_level(2, 20, last=True)
    listener.fill()
    listener.push_level(3, 20)
    assert listener.fill() == [3] * 480


def test_heard_is_what_has_left_the_loudspeaker() -> None:
    listener = Listener()
    buffer, start = listener.buffer, listener.now
    listener.push_level(1, 100)
    for _ in range(3):
        listener.fill(delay=0.060)
    assert buffer.turns[0].played == 60 * MS
    for at, heard in ((0.050, 0), (0.070, 10), (0.105, 45), (9, 60)):  # not more than was played
        listener.now = start + at
        assert buffer.heard_ms() == pytest.approx(heard)
    listener.now = start + 0.090
    assert buffer.remaining == pytest.approx(0.040 + 0.030)
    assert buffer.flush() == pytest.approx(30)
    listener.now = start + 9
    assert buffer.heard_ms() == pytest.approx(60), "the device played what it held"


def test_heard_of_an_old_turn_stays_known() -> None:
    listener = Listener()
    listener.push_level(1, 20, last=True)
    listener.fill()
    listener.push_level(2, 4000)
    for _ in range(100):
        listener.fill(delay=0.060)
    assert listener.buffer.heard_ms(listener.buffer.turns[0]) == 20
    assert listener.buffer.heard_ms() == pytest.approx(1940, abs=0.001)


def test_late_callbacks_are_counted_while_something_plays() -> None:
    listener = Listener(latency=0.060)
    listener.now += 1
    listener.fill()
    listener.now += 1  # silent: nobody heard it
    listener.push_level(1, 200)
    listener.fill()
    listener.now += 0.059
    listener.fill()
    assert listener.buffer.turns[0].late == 0
    listener.now += 0.061
    listener.fill()
    assert listener.buffer.turns[0].late == 1


def test_filling_keeps_no_memory() -> None:
    listener = Listener()
    block = bytearray(960)
    for _ in range(100):
        listener.buffer.push(bytes(9600))
    for _ in range(100):
        listener.buffer.fill(block)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(900):
            listener.buffer.fill(block)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept - before < 16_000  # the ring of the last 64 blocks
    assert most - before < 20_000
