"""Latencies as the ear has them: counted from the first sample that is no silence, on a clock of the test."""

from array import array

import pytest

from livews.analysis.percentile import percentile
from livews.audio.playback import PlaybackBuffer
from livews.cli.latency import ReplyLatency, Stopwatch

RATE = 24000
SILENCE = bytes(2 * RATE // 10)
SOUND = array("h", [3000] * (RATE // 10)).tobytes()
BLOCK = 480


class Listener:
    """A stopwatch and a loudspeaker with the same clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.watch = Stopwatch(lambda: self.now)
        self.buffer = PlaybackBuffer(prebuffer=0.0, clock=lambda: self.now)

    def receive(self, pcm: bytes) -> ReplyLatency:
        turn = self.buffer.push(pcm)
        assert turn is not None
        reply = self.watch.received()
        reply.add_audio(pcm, RATE, self.now, (self.buffer, turn))
        return reply

    def play(self, blocks: int) -> None:
        for _ in range(blocks):
            self.buffer.fill(bytearray(2 * BLOCK), 0.04)
            self.now += BLOCK / RATE


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_silence_at_the_start_is_no_sound(listener: Listener) -> None:
    listener.watch.requested()
    listener.now += 0.5
    assert listener.receive(SILENCE).first_sound_at is None
    listener.now += 0.2
    reply = listener.receive(SILENCE[: len(SILENCE) // 2] + SOUND)
    assert reply.latency() == {"firstByte": 0.5, "firstSound": 0.7, "firstPlayed": None}
    listener.play(1)
    # it leaves the loudspeaker 40 ms after the block was asked for, behind 100 + 50 ms of silence
    assert reply.latency()["firstPlayed"] == pytest.approx(0.7 + 0.04 + 0.15)


def test_the_user_is_done_when_the_last_of_it_was(listener: Listener) -> None:
    watch = listener.watch
    watch.requested(99.0)
    watch.requested(98.0)
    reply = watch.received()
    assert reply.latency()["firstByte"] == 1.0
    assert watch.received() is reply
    assert watch.end_reply() is reply
    assert watch.received().latency() == {"firstByte": None, "firstSound": None, "firstPlayed": None}, "nobody asked"


def test_a_reply_in_several_pieces_counts_as_one(listener: Listener) -> None:
    """A tool call in the middle ends a turn of the buffer, and not the reply."""
    for _ in range(2):
        reply = listener.receive(SOUND)
        listener.buffer.end()
    assert reply.queued
    listener.play(20)
    assert not reply.queued
    nothing = {"interrupted": False, "underruns": 0, "underrunMs": 0.0, "late": 0}
    assert reply.playback() == {"receivedMs": 200.0, "heardMs": 200.0, **nothing}


def test_what_was_heard_of_a_cut_reply(listener: Listener) -> None:
    reply = listener.receive(SOUND)
    listener.play(2)
    listener.buffer.flush()
    listener.play(5)
    assert reply.playback()["heardMs"] == 40.0
    assert not reply.queued


def test_the_summary_has_what_happened(listener: Listener) -> None:
    assert listener.watch.summary() == {}
    for seconds in (0.1, 0.2, 0.3):
        listener.watch.requested()
        listener.now += seconds
        reply = listener.watch.received()
        listener.watch.end_reply()
        listener.watch.count(reply)
    assert listener.watch.summary() == {"firstByte": {"p50": 0.2, "p95": 0.3, "replies": 3}}


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
