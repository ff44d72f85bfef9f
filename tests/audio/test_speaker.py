"""The speaker over devices of our own, which ask for a block every 20 ms."""

import asyncio
import time
from typing import Any

import pytest

from livews.audio.portaudio import AudioUnavailable, RateRefused
from livews.audio.speaker import Speaker
from tests.audio.devices import LATENCY, FakeDevices

BLOCK = 0.020
SECOND = b"\1\0" * 24000


def started(devices: FakeDevices, **options: Any) -> Speaker:
    devices.put("HDMI", outputs=2)
    return devices.started(Speaker, **options)  # type: ignore[no-any-return]


async def test_drain_waits_for_the_sound_and_not_much_longer(devices: FakeDevices) -> None:
    speaker = started(devices, prebuffer=0.0)
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


async def test_audio_may_come_before_the_device(devices: FakeDevices) -> None:
    devices.put("HDMI", outputs=2)
    speaker = Speaker()
    speaker.play(SECOND[:4800])
    speaker.turn_ended()
    speaker.start()
    assert await speaker.drain()
    speaker.close()
    assert bytes(devices.streams[0].heard).strip(b"\0") == SECOND[:4800].strip(b"\0")


async def test_drain_gives_up_on_a_device_that_asks_for_nothing(devices: FakeDevices) -> None:
    devices.stuck = True
    speaker = started(devices)
    speaker.play(SECOND[:4800])
    speaker.turn_ended()
    began = time.monotonic()
    assert not await speaker.drain()
    assert time.monotonic() - began == pytest.approx(2.1, abs=0.25)


async def test_a_flush_ends_a_drain(devices: FakeDevices) -> None:
    speaker = started(devices)
    speaker.play(SECOND * 60)
    began = time.monotonic()
    asyncio.get_running_loop().call_later(0.3, speaker.flush)
    assert await speaker.drain()
    speaker.close()
    assert (time.monotonic() - began) < 1


def test_close_feeds_silence_until_the_last_sample_is_out(devices: FakeDevices) -> None:
    speaker = started(devices, prebuffer=0.0)
    speaker.play(SECOND)
    time.sleep(0.2)
    speaker.close()
    speaker.close()
    heard = bytes(devices.streams[0].heard)
    assert len(heard.rstrip(b"\0")) < len(SECOND) / 2, "what is queued is dropped"
    silence = (len(heard) - len(heard.rstrip(b"\0"))) / 48000
    assert silence >= LATENCY + BLOCK
    speaker.play(SECOND)
    assert speaker.buffer.idle, "a closed speaker takes nothing"


def test_closing_an_unused_speaker_takes_no_time(devices: FakeDevices) -> None:
    Speaker().close()
    speaker = started(devices)
    began = time.monotonic()
    speaker.close()
    assert time.monotonic() - began < 0.040


async def test_a_lost_device_is_told_once_and_takes_nothing_more(devices: FakeDevices) -> None:
    losses: list[AudioUnavailable] = []
    speaker = started(devices, on_lost=losses.append)
    speaker.play(SECOND * 10)
    devices.streams[0].close()
    devices.streams[0].options["finished_callback"]()
    assert losses == [speaker.lost]
    began = time.monotonic()
    assert not await speaker.drain()
    speaker.play(SECOND)
    assert speaker.buffer.turns[0].received == len(SECOND * 10)
    speaker.close()
    assert time.monotonic() - began < 0.1
    assert len(losses) == 1


def test_closing_is_not_losing(devices: FakeDevices) -> None:
    losses: list[AudioUnavailable] = []
    speaker = started(devices, on_lost=losses.append)
    speaker.close()
    assert (losses, speaker.lost) == ([], None)


async def test_each_rate_gets_its_own_stream_in_order(devices: FakeDevices) -> None:
    speaker = started(devices, prebuffer=0.0)
    played = [speaker.play(b"\1\0" * 4800), speaker.play(b"\2\0" * 1600, rate=16000), speaker.play(b"\3\0" * 2400)]
    assert len(devices.streams) == 1
    assert not speaker.idle
    speaker.turn_ended()
    assert await speaker.drain()
    assert [turn and turn.played for turn in played] == [9600, 3200, 4800]
    assert speaker.buffer.rate == 24000
    speaker.close()
    assert devices.rates == [24000, 16000, 24000]
    heard = [bytes(stream.heard).replace(b"\0", b"") for stream in devices.streams]
    assert heard == [b"\1" * 4800, b"\2" * 1600, b"\3" * 2400]


async def test_a_flush_empties_the_rates_that_wait(devices: FakeDevices) -> None:
    speaker = started(devices, prebuffer=0.0)
    speaker.play(SECOND * 5)
    speaker.play(SECOND, rate=16000)
    speaker.flush()
    speaker.play(b"\2\0" * 1600, rate=16000)
    speaker.turn_ended()
    began = time.monotonic()
    assert await speaker.drain()
    assert time.monotonic() - began < 1
    speaker.close()
    assert bytes(devices.streams[1].heard).replace(b"\0", b"") == b"\2" * 1600


async def test_a_rate_the_device_refuses_loses_it(devices: FakeDevices) -> None:
    devices.refused = (16000,)
    losses: list[AudioUnavailable] = []
    speaker = started(devices, on_lost=losses.append)
    speaker.play(SECOND[:96], rate=16000)
    assert not await speaker.drain()
    speaker.close()
    assert [type(error) for error in losses] == [RateRefused]


def test_a_device_that_cannot_be_opened_says_so_at_the_start(devices: FakeDevices) -> None:
    devices.refused = (24000,)
    with pytest.raises(RateRefused):
        started(devices)


async def test_a_device_that_hangs_is_not_waited_for(devices: FakeDevices) -> None:
    """It played, and asks for nothing any more: a minute is queued, and nobody waits a minute for it."""
    speaker = started(devices, prebuffer=0.0)
    for _ in range(60):
        speaker.play(SECOND)
    speaker.turn_ended()
    await asyncio.sleep(0.1)
    assert speaker.buffer.overdue == 0
    devices.streams[0].stuck = True
    began = time.monotonic()
    assert not await speaker.drain()
    assert time.monotonic() - began < 20
    assert speaker.buffer.overdue >= 2
