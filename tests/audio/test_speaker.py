"""The speaker beside a device of our own: a thread that asks for a block every 20 ms."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from livews.audio import portaudio as sound
from livews.audio.portaudio import AudioUnavailable, Device
from livews.audio.speaker import Speaker

BLOCK = 0.020
SECOND = b"\1\0" * 24000


class ClockedOutput:
    """Stands where PortAudio is: pulls in real time, keeps all it was given."""

    def __init__(self, rate: int, latency: float, blocksize: int, fill: Any, finished: Any) -> None:
        self.rate, self.latency = rate, latency
        self.heard = bytearray()
        self.finished: Callable[[], None] = finished
        self.stuck = False
        self._blocksize, self._fill = blocksize, fill
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        due = time.monotonic()
        while self._open:
            if not self.stuck:
                block = bytearray(2 * self._blocksize)
                self._fill(memoryview(block), self.latency)
                self.heard += block
            due += self._blocksize / self.rate
            time.sleep(max(0.0, due - time.monotonic()))
        self.finished()

    def go_away(self) -> None:
        self._open = False
        self._thread.join(1)

    def close(self) -> None:
        self.go_away()


class Outputs(list[ClockedOutput]):
    """Every stream that was opened. `refused` are rates that cannot be."""

    refused: tuple[int, ...] = ()
    stuck = False

    def started(self, **options: Any) -> Speaker:
        speaker = Speaker(**options)
        speaker.start()
        return speaker

    def open(self, device: Device, **options: Any) -> ClockedOutput:
        if options["rate"] in self.refused:
            raise AudioUnavailable("no sound", "this rate", "another")
        self.append(ClockedOutput(**options))
        self[-1].stuck = self.stuck
        return self[-1]


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Outputs]:
    opened = Outputs()
    monkeypatch.setattr(sound.AudioSide, "device", lambda side, spec: Device(0, "test", "test", 1, 24000))
    monkeypatch.setattr(sound, "open_output", opened.open)
    yield opened
    for output in opened:
        output.close()


async def test_drain_waits_for_the_sound_and_not_much_longer(outputs: Outputs) -> None:
    speaker = outputs.started(prebuffer=0.0)
    speaker.play(SECOND[:24000])
    speaker.turn_ended()
    began, beats = time.monotonic(), 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.010)
            beats += 1

    heart = asyncio.create_task(beat())
    drained = await speaker.drain()
    took = time.monotonic() - began
    heart.cancel()
    assert speaker.idle
    await asyncio.to_thread(speaker.close)
    assert drained
    assert 0.5 <= took <= 0.5 + 0.060 + 0.25
    assert beats > 20, "the loop goes on meanwhile"


async def test_audio_may_come_before_the_device(outputs: Outputs) -> None:
    speaker = Speaker()
    speaker.play(SECOND[:4800])
    speaker.turn_ended()
    speaker.start()
    assert await speaker.drain()
    speaker.close()
    assert bytes(outputs[0].heard).strip(b"\0") == SECOND[:4800].strip(b"\0")


async def test_drain_gives_up_on_a_device_that_asks_for_nothing(outputs: Outputs) -> None:
    outputs.stuck = True
    speaker = outputs.started()
    speaker.play(SECOND[:4800])
    speaker.turn_ended()
    began = time.monotonic()
    assert not await speaker.drain()
    assert time.monotonic() - began == pytest.approx(2.1, abs=0.25)


async def test_a_flush_ends_a_drain(outputs: Outputs) -> None:
    speaker = outputs.started()
    speaker.play(SECOND * 60)
    began = time.monotonic()
    asyncio.get_running_loop().call_later(0.3, speaker.flush)
    assert await speaker.drain()
    speaker.close()
    assert (time.monotonic() - began) < 1


def test_close_feeds_silence_until_the_last_sample_is_out(outputs: Outputs) -> None:
    speaker = outputs.started(prebuffer=0.0)
    speaker.play(SECOND)
    time.sleep(0.2)
    speaker.close()
    speaker.close()
    heard = bytes(outputs[0].heard)
    assert len(heard.rstrip(b"\0")) < len(SECOND) / 2, "what is queued is dropped"
    silence = (len(heard) - len(heard.rstrip(b"\0"))) / 48000
    assert silence >= 0.060 + BLOCK
    speaker.play(SECOND)
    assert speaker.buffer.idle, "a closed speaker takes nothing"


def test_closing_an_unused_speaker_takes_no_time(outputs: Outputs) -> None:
    Speaker().close()
    speaker = outputs.started()
    began = time.monotonic()
    speaker.close()
    assert time.monotonic() - began < 0.040


async def test_a_lost_device_is_told_once_and_takes_nothing_more(outputs: Outputs) -> None:
    told: list[AudioUnavailable] = []
    speaker = outputs.started(on_lost=told.append)
    speaker.play(SECOND * 10)
    outputs[0].go_away()
    assert told == [speaker.lost]
    began = time.monotonic()
    assert not await speaker.drain()
    speaker.play(SECOND)
    assert speaker.report().turns[0].received_ms == 10_000
    speaker.close()
    assert time.monotonic() - began < 0.1
    assert len(told) == 1


def test_closing_is_not_losing(outputs: Outputs) -> None:
    told: list[AudioUnavailable] = []
    speaker = outputs.started(on_lost=told.append)
    speaker.close()
    assert told == []
    assert speaker.lost is None


async def test_each_rate_gets_its_own_stream_in_order(outputs: Outputs) -> None:
    speaker = outputs.started(prebuffer=0.0)
    speaker.play(b"\1\0" * 4800)
    speaker.play(b"\2\0" * 1600, rate=16000)
    speaker.play(b"\3\0" * 2400, rate=24000)
    assert len(outputs) == 1
    assert not speaker.idle
    speaker.turn_ended()
    assert await speaker.drain()
    report = speaker.report()
    assert [turn.played_ms for turn in report.turns] == [200, 100, 100]
    assert report.rate == 24000
    speaker.close()
    assert [output.rate for output in outputs] == [24000, 16000, 24000]
    assert [bytes(output.heard).replace(b"\0", b"") for output in outputs] == [
        b"\1" * 4800,
        b"\2" * 1600,
        b"\3" * 2400,
    ]


async def test_a_flush_empties_the_rates_that_wait(outputs: Outputs) -> None:
    speaker = outputs.started(prebuffer=0.0)
    speaker.play(SECOND * 5)
    speaker.play(SECOND, rate=16000)
    speaker.flush()
    speaker.play(b"\2\0" * 1600, rate=16000)
    speaker.turn_ended()
    began = time.monotonic()
    assert await speaker.drain()
    assert time.monotonic() - began < 1
    speaker.close()
    assert bytes(outputs[1].heard).replace(b"\0", b"") == b"\2" * 1600


async def test_a_rate_the_device_refuses_loses_it(outputs: Outputs) -> None:
    outputs.refused = (16000,)
    told: list[AudioUnavailable] = []
    speaker = outputs.started(on_lost=told.append)
    speaker.play(SECOND[:96], rate=16000)
    assert not await speaker.drain()
    speaker.close()
    assert [error.why for error in told] == ["this rate"]


def test_a_device_that_cannot_be_opened_says_so_at_the_start(outputs: Outputs) -> None:
    outputs.refused = (24000,)
    speaker = Speaker()
    with pytest.raises(AudioUnavailable, match="this rate"):
        speaker.start()
    speaker.close()


async def test_a_device_that_hangs_is_not_waited_for(outputs: Outputs) -> None:
    """It played, and asks for nothing any more: a minute is queued, and nobody waits a minute for it."""
    speaker = outputs.started(prebuffer=0.0)
    for _ in range(60):
        speaker.play(SECOND)
    speaker.turn_ended()
    await asyncio.sleep(0.1)
    assert speaker.buffer.overdue == 0
    outputs[0].stuck = True
    began = time.monotonic()
    drained = await speaker.drain()
    drained, took, overdue = drained, time.monotonic() - began, speaker.buffer.overdue
    assert not drained
    assert took < 20
    assert overdue >= 2
