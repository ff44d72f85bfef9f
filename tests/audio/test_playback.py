"""What `fill` writes and what is counted, with a clock that moves when told."""

from __future__ import annotations

import math
import time
import tracemalloc
from array import array
from itertools import pairwise
from typing import Any

import pytest

from livews.audio.playback import FIRST_START, LEAST_START, RESUME_AFTER, PlaybackBuffer

RATE = 24000
FADE = 120  # samples: 5 ms


class Listener:
    """A device in virtual time: asks for blocks and keeps what it got."""

    def __init__(self, prebuffer: float | None = 0.0, **options: Any) -> None:
        self.now = 0.0
        self.buffer = PlaybackBuffer(RATE, prebuffer=prebuffer, clock=lambda: self.now, **options)
        self.heard = array("h")

    def fill(self, frames: int = 480, delay: float = 0.0) -> list[int]:
        """One block; the clock then moves on by its length."""
        block = bytearray(b"\x55" * (2 * frames))
        self.buffer.fill(block, delay)
        samples = array("h", bytes(block))
        self.heard.extend(samples)
        self.now = round(self.now + frames / RATE, 9)
        return samples.tolist()

    def push(self, *samples: int) -> None:
        self.buffer.push(array("h", samples).tobytes())

    def push_level(self, level: int, ms: float, *, last: bool = False) -> None:
        self.push(*([level] * round(RATE * ms / 1000)))
        if last:
            self.buffer.end()


def voice(frames: int, start: int = 0) -> list[int]:
    """440 Hz at amplitude 12000."""
    return [round(12000 * math.sin(2 * math.pi * 440 * i / RATE)) for i in range(start, start + frames)]


def largest_step(samples: array[int]) -> int:
    return max(abs(b - a) for a, b in pairwise(samples))


def test_silence_fills_the_whole_block() -> None:
    listener = Listener()
    assert listener.fill() == [0] * 480
    assert listener.buffer.idle


@pytest.mark.parametrize("size", [0, 1, 2, 3, 961])
def test_any_buffer_is_filled_to_its_last_byte(size: int) -> None:
    listener = Listener()
    listener.push_level(0x1111, 100)
    out = bytearray(b"\x55" * size)
    listener.buffer.fill(memoryview(out))
    assert out == b"\x11" * (size & ~1) + b"\0" * (size & 1)


def test_samples_come_out_as_they_went_in_whatever_the_sizes() -> None:
    listener = Listener()
    pcm = array("h", voice(5000)).tobytes()
    for at in range(0, len(pcm), 777):  # odd: every other piece splits a sample
        listener.buffer.push(pcm[at : at + 777])
    listener.buffer.end()
    for frames in (1, 479, 480, 481, 1000, 3000):
        listener.fill(frames)
    assert listener.heard.tobytes() == pcm + b"\0\0" * 441


def test_half_a_sample_at_the_end_of_a_turn_does_not_shift_the_next() -> None:
    for finish in (PlaybackBuffer.end, PlaybackBuffer.flush):
        listener = Listener()
        listener.buffer.push(b"\x01")
        finish(listener.buffer)
        listener.push(0x1234)
        listener.buffer.end()
        assert listener.fill(2) == [0x1234, 0]


def test_a_turn_starts_when_its_delay_has_passed() -> None:
    listener = Listener(prebuffer=0.100)
    listener.push_level(7, 240)
    for _ in range(5):
        assert not any(listener.fill())
    assert listener.fill() == [7] * 480
    assert listener.buffer.turns[0].start_delay_ms == pytest.approx(100)


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
        delay = listener.buffer.turns[-1].start_delay_ms
        assert delay is not None
        return delay / 1000

    assert start_delay(0.190) == pytest.approx(FIRST_START, abs=0.002)
    assert listener.buffer.turns[-1].need_ms == pytest.approx(190, abs=1)
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
        delays.append(listener.buffer._turns[-1].start_after)
    turn(0.0)
    assert delays[0] == FIRST_START
    assert delays[1:] == [pytest.approx(delay, abs=0.001)] * 20
    assert listener.buffer._turns[-1].start_after == LEAST_START


def test_an_underrun_is_counted_when_the_turn_goes_on_and_both_its_edges_are_soft() -> None:
    listener = Listener()
    listener.push_level(12000, 30)
    listener.fill()
    edge = listener.fill()
    assert edge[239] == 12000
    assert edge[240:360] == sorted(edge[240:360], reverse=True)
    assert edge[360:] == [0] * 120
    assert listener.buffer.turns[0].underruns == 0, "it may yet have been the end"
    listener.fill()
    listener.push_level(12000, 100)
    resumed = listener.fill()
    assert resumed[:120] == sorted(resumed[:120])
    assert resumed[119:] == [12000] * 361
    turn = listener.buffer.turns[0]
    assert (turn.underruns, turn.underrun_ms) == (1, 30)
    assert largest_step(listener.heard[1:]) <= 100


def test_after_an_underrun_a_little_is_gathered_first() -> None:
    listener = Listener(prebuffer=0.200)
    listener.push_level(7, 200)
    while listener.now < 0.5:
        listener.fill(24)
    listener.push_level(7, 100)
    while listener.buffer.turns[0].played_ms == 200:
        listener.fill(24)
    assert listener.now == pytest.approx(0.5 + RESUME_AFTER, abs=0.002)


def test_the_end_of_a_turn_is_no_underrun() -> None:
    for early in (True, False):
        listener = Listener()
        listener.push_level(7, 30)
        if early:
            listener.buffer.end()
        listener.fill()
        listener.fill()
        listener.buffer.end()
        listener.fill()
        listener.push_level(7, 30)
        listener.fill()
        assert [turn.underruns for turn in listener.buffer.turns] == [0, 0]


def test_an_ended_turn_has_no_fade_behind_it() -> None:
    listener = Listener()
    listener.push_level(12000, 30, last=True)
    listener.fill()
    assert listener.fill() == [12000] * 240 + [0] * 240


def test_flush_rings_out_and_falls_silent() -> None:
    listener = Listener()
    listener.push(*voice(48000))
    listener.fill(505)  # near a peak
    level = listener.heard[-1]
    assert level > 11000
    listener.buffer.flush()
    after = listener.fill()
    assert after[:FADE] == sorted(after[:FADE], reverse=True)
    assert after[0] < level
    assert after[FADE - 1 :] == [0] * (480 - FADE + 1)
    assert not any(listener.fill())
    assert largest_step(listener.heard) <= 1400
    assert listener.buffer.idle
    assert listener.buffer.turns[0].cut


def cut_off() -> Listener:
    """A turn was flushed when 10 samples of it had been played."""
    listener = Listener()
    listener.push_level(12000, 30)
    listener.fill(10)
    listener.buffer.flush()
    return listener


def test_a_fade_goes_on_over_short_blocks() -> None:
    listener = cut_off()
    faded = []
    for _ in range(FADE // 10):
        assert not listener.buffer.idle
        faded += listener.fill(10)
    assert listener.buffer.idle
    faded += listener.fill(80)
    assert faded == sorted(faded, reverse=True)
    assert faded[FADE - 2] > 0 == faded[FADE - 1]


def test_a_turn_right_after_a_flush_is_played_whole() -> None:
    listener = cut_off()
    listener.push_level(-9, 10, last=True)
    assert listener.fill()[FADE:] == [-9] * 240 + [0] * 120


def test_flush_of_nothing_is_silent() -> None:
    listener = Listener()
    assert listener.buffer.flush() == 0
    assert not any(listener.fill())
    assert listener.buffer.turns == ()


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


def test_two_queued_turns_keep_their_counts() -> None:
    listener = Listener()
    listener.push_level(1, 30, last=True)
    listener.push_level(2, 50, last=True)
    assert listener.fill() == [1] * 480
    assert listener.fill() == [1] * 240 + [2] * 240
    assert [turn.played_ms for turn in listener.buffer.turns] == [30, 10]
    assert [turn.received_ms for turn in listener.buffer.turns] == [30, 50]
    assert not listener.buffer.idle
    listener.fill(), listener.fill()
    assert [turn.played_ms for turn in listener.buffer.turns] == [30, 50]
    assert listener.buffer.idle


def test_a_flush_cuts_every_queued_turn_and_no_finished_one() -> None:
    listener = Listener()
    for _ in range(3):
        listener.push_level(1, 20, last=True)
    listener.fill()
    listener.fill(240)
    listener.buffer.flush()
    assert [turn.cut for turn in listener.buffer.turns] == [False, True, True]
    assert [turn.played_ms for turn in listener.buffer.turns] == [20, 10, 0]


def test_what_is_beyond_the_cap_is_dropped_and_counted() -> None:
    listener = Listener(cap_bytes=960)
    listener.push_level(1, 20)
    listener.push_level(2, 20)
    assert listener.buffer.turns[0].dropped_ms == 20
    listener.fill()
    listener.push_level(3, 20)
    assert listener.fill() == [3] * 480
    assert listener.buffer.turns[0].received_ms == 40


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
    assert buffer.turns[0].played_ms == 60
    for at, heard in ((0.050, 0), (0.070, 10), (0.105, 45), (9, 60)):  # not more than was played
        listener.now = start + at
        assert buffer.heard_ms() == pytest.approx(heard)
    listener.now = start + 0.090
    assert buffer.remaining == pytest.approx(0.040 + 0.030)
    assert buffer.flush() == pytest.approx(30)
    listener.now = start + 9
    assert buffer.turns[0].heard_ms == pytest.approx(60), "the device played what it held"


def test_heard_of_an_old_turn_stays_known() -> None:
    listener = Listener()
    listener.push_level(1, 20, last=True)
    listener.fill()
    listener.push_level(2, 4000)
    for _ in range(100):
        listener.fill(delay=0.060)
    assert listener.buffer.turns[0].heard_ms == 20
    assert listener.buffer.turns[1].heard_ms == pytest.approx(1940, abs=0.001)


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
