"""The microphone over devices of our own, whose blocks the test gives.

Real sound, through PortAudio from a sound server, is sent and lost in test_conversation.py.
"""

import asyncio
import sys
import time
from array import array
from math import pi, sin

import pytest

from livews.audio import microphone as module
from livews.audio.microphone import AudioChunk, Microphone
from livews.audio.portaudio import RateRefused
from tests.audio.devices import FakeDevices
from tests.kit.sound import RATE


def started(devices: FakeDevices, channels: int = 2) -> Microphone:
    devices.put("mic", inputs=channels)
    return devices.started(Microphone)  # type: ignore[no-any-return]


def block(value: int, ms: int = 40, rate: int = RATE, channels: int = 1) -> bytes:
    return value.to_bytes(2, "little", signed=True) * (rate * ms // 1000 * channels)


async def read(microphone: Microphone, count: int) -> list[AudioChunk]:
    chunks = microphone.chunks()
    try:
        async with asyncio.timeout(5):
            return [await anext(chunks) for _ in range(count)]
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]


def values(chunks: list[AudioChunk]) -> list[int]:
    return [int.from_bytes(chunk.pcm[:2], "little", signed=True) for chunk in chunks]


async def test_blocks_come_in_order_with_the_time_of_their_last_sample(devices: FakeDevices) -> None:
    microphone = started(devices)
    began = time.monotonic()
    devices.streams[-1].give(block(1), block(2), age=0.5)
    first, second = await read(microphone, 2)
    assert (first.pcm, second.pcm) == (block(1), block(2))
    assert began - 0.5 <= first.at <= second.at <= time.monotonic() - 0.5


async def test_nothing_from_a_mute_is_delivered_and_nothing_from_before_it_comes_after(devices: FakeDevices) -> None:
    microphone = started(devices)
    devices.streams[-1].give(block(1), block(2))
    assert values(await read(microphone, 1)) == [1]
    microphone.muted = True
    devices.streams[-1].give(block(3))
    microphone.muted = False
    devices.streams[-1].give(block(4))
    microphone.muted = False
    devices.streams[-1].give(block(5))
    assert values(await read(microphone, 2)) == [4, 5]
    assert microphone.dropped_ms == 0


async def test_muted_before_the_start(devices: FakeDevices) -> None:
    devices.put("mic", inputs=2)
    microphone = Microphone()
    microphone.muted = True
    microphone.start()
    devices.streams[-1].give(block(1))
    microphone.muted = False
    devices.streams[-1].give(block(2))
    assert values(await read(microphone, 1)) == [2]


async def test_what_is_over_the_hold_goes_oldest_first(devices: FakeDevices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HOLD", 0.2)
    microphone = started(devices)
    devices.streams[-1].give(*map(block, range(1, 13)))
    assert microphone.dropped_ms == 7 * 40, "counted before anybody reads"
    assert values(await read(microphone, 5)) == [8, 9, 10, 11, 12]
    devices.streams[-1].give(*map(block, range(13, 20)))
    assert values(await read(microphone, 1)) == [15]
    assert microphone.dropped_ms == 9 * 40
    microphone.muted = True
    assert microphone.dropped_ms == 9 * 40, "a mute forgets sound, not counts, and is none"


async def test_a_reader_that_waits_is_woken(devices: FakeDevices) -> None:
    microphone = started(devices)
    asyncio.get_running_loop().call_later(0.05, devices.streams[-1].give, block(7))
    async with asyncio.timeout(3):
        chunk = await anext(microphone.chunks())
        await asyncio.to_thread(microphone.close)
    assert values([chunk]) == [7]


@pytest.mark.parametrize("lost", [False, True])
async def test_closing_and_losing_end_the_chunks_of_a_reader_that_waits(devices: FakeDevices, lost: bool) -> None:
    microphone = started(devices)
    asyncio.get_running_loop().call_later(0.05, devices.streams[0].close if lost else microphone.close)
    async with asyncio.timeout(3):
        assert [chunk async for chunk in microphone.chunks()] == []
    assert (devices.streams[0].running, microphone.lost is not None) == (False, lost)


async def test_what_was_captured_before_the_loss_is_delivered(devices: FakeDevices) -> None:
    microphone = started(devices)
    devices.streams[-1].give(block(1), block(2))
    devices.streams[0].close()
    async with asyncio.timeout(3):
        assert values([chunk async for chunk in microphone.chunks()]) == [1, 2]
    assert microphone.lost is not None
    assert microphone.lost.sentence() == "no more microphone: the device went away. Connect it and start again."


def test_closing_is_no_loss_and_nothing_opens_afterwards(devices: FakeDevices) -> None:
    microphone = started(devices)
    microphone.close()
    microphone.close()
    microphone.start()
    assert (microphone.lost, devices.rates) == (None, [RATE])


async def test_a_device_that_gives_nothing_any_more_is_lost(
    devices: FakeDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALLED", 0.1)
    microphone = started(devices)
    devices.streams[-1].give(block(1))
    async with asyncio.timeout(3):
        assert values([chunk async for chunk in microphone.chunks()]) == [1]
    assert microphone.lost is not None
    assert microphone.lost.why == "the device has given nothing for 0.1 seconds"


async def test_a_rate_that_is_refused_is_converted(devices: FakeDevices) -> None:
    devices.refused, devices.no_mono = (RATE,), True
    microphone = started(devices)
    assert (devices.rates, microphone.rate) == ([RATE, 48000], RATE)
    frames = range(48000)
    tone = array("h", (round(9000 * sin(2 * pi * 440 * n / 48000)) for n in frames))
    stereo = array("h", (sample for value in tone for sample in (value + 500, value - 500))).tobytes()
    began = time.monotonic()
    devices.streams[-1].give(*(stereo[at : at + 7680] for at in range(0, len(stereo), 7680)))
    chunks = await read(microphone, 24)
    assert {len(chunk.pcm) for chunk in chunks} == {1280}
    heard = array("h", b"".join(chunk.pcm for chunk in chunks))
    wanted = [9000 * sin(2 * pi * 440 * n / RATE) for n in range(len(heard))]
    assert max(abs(a - b) for a, b in zip(heard[200:-200], wanted[200:-200], strict=True)) < 20
    # what soxr still holds when it gives the last of a chunk was captured after it: never a whole block
    assert all(began - 0.1 < chunk.at <= time.monotonic() for chunk in chunks)


async def test_without_soxr_the_device_s_own_rate_is_delivered(
    devices: FakeDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    devices.refused = (RATE,)
    microphone = started(devices)
    assert microphone.rate == 48000
    devices.streams[-1].give(block(5, rate=48000))
    assert [chunk.pcm for chunk in await read(microphone, 1)] == [block(5, rate=48000)]


def test_a_device_that_refuses_its_own_rate_too_is_refused(devices: FakeDevices) -> None:
    devices.refused = (RATE, 48000)
    with pytest.raises(RateRefused):
        started(devices)


async def test_many_channels_become_their_mean(devices: FakeDevices) -> None:
    devices.no_mono = True
    microphone = started(devices, channels=4)
    devices.streams[-1].give(array("h", [32767, 32767, 32767, 32763, -4, -4, 0, 0] * 320).tobytes())
    (chunk,) = await read(microphone, 1)
    assert chunk.pcm == array("h", [32766, -2] * 320).tobytes()


async def test_heard_tells_a_microphone_from_one_that_is_switched_off(devices: FakeDevices) -> None:
    microphone = started(devices)
    devices.streams[-1].give(block(0))
    await read(microphone, 1)
    assert not microphone.heard
    devices.streams[-1].give(block(0)[:-2] + b"\1\0")
    await read(microphone, 1)
    assert microphone.heard
