"""Latencies as the ear has them: counted from the first sample that is no silence, on a clock of the test."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import pytest

from livews.analysis.percentile import percentile
from livews.audio.playback import PlaybackBuffer
from livews.cli.latency import Stopwatch

RATE = 24000
SILENCE = bytes(2 * RATE // 10)
SOUND = array("h", [3000] * (RATE // 10)).tobytes()
BLOCK = 480


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def play(buffer: PlaybackBuffer, clock: Clock, blocks: int, until: Callable[[], bool] = lambda: False) -> None:
    for _ in range(blocks):
        buffer.fill(bytearray(2 * BLOCK), 0.04)
        clock.now += BLOCK / RATE


def test_silence_at_the_start_is_no_sound(clock: Clock) -> None:
    watch = Stopwatch(clock)
    buffer = PlaybackBuffer(prebuffer=0.0, clock=clock)
    watch.requested()
    clock.now += 0.5
    reply = watch.received()
    for pcm in (SILENCE, SILENCE[: len(SILENCE) // 2] + SOUND):
        turn = buffer.push(pcm)
        assert turn is not None
        reply.add_audio(pcm, RATE, clock.now, (buffer, turn))
        if pcm is SILENCE:
            assert reply.first_sound_at is None
            clock.now += 0.2
    assert reply.latency() == {"firstByte": 0.5, "firstSound": 0.7, "firstPlayed": None}
    play(buffer, clock, 1)
    # it leaves the loudspeaker 40 ms after the block was asked for, behind 100 + 50 ms of silence
    assert reply.latency()["firstPlayed"] == pytest.approx(0.7 + 0.04 + 0.15)


def test_the_user_is_done_when_the_last_of_it_was(clock: Clock) -> None:
    watch = Stopwatch(clock)
    watch.requested(99.0)
    watch.requested(98.0)
    reply = watch.received()
    assert reply.latency()["firstByte"] == 1.0
    assert watch.received() is reply
    assert watch.end_reply() is reply
    assert watch.received().latency() == {"firstByte": None, "firstSound": None, "firstPlayed": None}, "nobody asked"


def test_a_reply_in_several_pieces_counts_as_one(clock: Clock) -> None:
    """A tool call in the middle ends a turn of the buffer, and not the reply."""
    watch = Stopwatch(clock)
    buffer = PlaybackBuffer(prebuffer=0.0, clock=clock)
    watch.requested()
    reply = watch.received()
    for _ in range(2):
        turn = buffer.push(SOUND)
        assert turn is not None
        reply.add_audio(SOUND, RATE, clock.now, (buffer, turn))
        buffer.end()
    assert reply.queued
    play(buffer, clock, 20)
    assert not reply.queued
    assert reply.playback() == {
        "receivedMs": 200.0,
        "heardMs": 200.0,
        "interrupted": False,
        "underruns": 0,
        "underrunMs": 0.0,
        "late": 0,
    }


def test_what_was_heard_of_a_cut_reply(clock: Clock) -> None:
    watch = Stopwatch(clock)
    buffer = PlaybackBuffer(prebuffer=0.0, clock=clock)
    reply = watch.received()
    turn = buffer.push(SOUND)
    assert turn is not None
    reply.add_audio(SOUND, RATE, clock.now, (buffer, turn))
    play(buffer, clock, 2)
    buffer.flush()
    play(buffer, clock, 5)
    assert reply.playback()["heardMs"] == 40.0
    assert not reply.queued


def test_the_summary_has_what_happened(clock: Clock) -> None:
    watch = Stopwatch(clock)
    assert watch.summary() == {}
    for seconds in (0.1, 0.2, 0.3):
        watch.requested()
        clock.now += seconds
        reply = watch.received()
        watch.end_reply()
        watch.count(reply)
    assert watch.summary() == {"firstByte": {"p50": 0.2, "p95": 0.3, "replies": 3}}


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([5.0], 50, 5.0),
        ([3.0, 1.0, 2.0, 4.0], 50, 2.0),
        ([*map(float, range(1, 101))], 95, 95.0),
        ([1.0, 9.0], 95, 9.0),
    ],
)
def test_percentiles_are_values_that_were_there(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected
