"""The microphone: through PortAudio from a sound server, and beside a device whose blocks the test gives.

- A device that refuses a rate, or has no mono, cannot be had from a sound server, and a block at a given instant
  neither: these are fakes at the place of `device.open_input`. All else is real.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from math import pi, sin
from pathlib import Path
from typing import Any

import pytest

from livews.audio import microphone as module
from livews.audio import portaudio as sound
from livews.audio.microphone import AudioChunk, Microphone
from livews.audio.portaudio import AudioUnavailable, Device, RateRefused
from livews.errors import BadRequest
from tests.audio.pulse import ROOT, PulseServer
from tests.kit.sound import RATE, noise

# with a sound server


def listener(pulse: PulseServer, **plan: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.audio.listener", json.dumps(plan)],
        cwd=ROOT, env={**os.environ, **pulse.env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the listener has ended"
    return json.loads(line)  # type: ignore[no-any-return]


def speak(pulse: PulseServer, pcm: bytes) -> None:
    """Into the microphone; returns when it has been said."""
    done = subprocess.run(
        ["pacat", "--playback", "--device=micin", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1",
         "--latency-msec=200"],
        env={**os.environ, **pulse.env}, input=pcm, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 0


def report(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])  # type: ignore[no-any-return]


def test_what_is_said_arrives_sample_for_sample(pulse: PulseServer, tmp_path: Path) -> None:
    spoken = noise(1.0)
    for _ in range(3):  # a busy machine may tear what pacat plays
        with listener(pulse, file=str(tmp_path / "heard")) as process:
            assert said(process) == {"listening": True}
            speak(pulse, spoken)
            told = report(process)
        heard = (tmp_path / "heard").read_bytes()
        if spoken in heard:
            break
    assert spoken in heard
    assert (told["rate"], told["dropped_ms"], told["heard"]) == (RATE, 0, True)
    assert {size for size, _, _ in told["chunks"]} == {1280}
    assert all(at <= seen for _, at, seen in told["chunks"]), "nothing is heard before it is said"
    (_, first, _), *_, (_, last, _) = told["chunks"]
    assert last - first == pytest.approx(0.040 * (len(told["chunks"]) - 1), abs=0.5)


def test_a_slow_reader_misses_the_oldest_and_is_told_how_much(pulse: PulseServer, tmp_path: Path) -> None:
    spoken = noise(2.0)
    for _ in range(3):
        with listener(pulse, file=str(tmp_path / "heard"), hold=0.4, rest=1.2) as process:
            assert said(process) == {"listening": True}
            speak(pulse, spoken)
            rested = said(process)["rested"]
            told = report(process)
        heard = (tmp_path / "heard").read_bytes()
        before = array("h", heard[:rested])
        before = before[next(i for i, sample in enumerate(before) if sample) :]
        after = heard[rested : rested + 200]
        if spoken.startswith(before.tobytes()) and after in spoken:
            break
    missed = spoken.index(after) - len(before.tobytes())
    assert missed / 32 == told["dropped_ms"] >= 400, "the gap in what was said is what was counted"
    assert missed % 1280 == 0


def test_a_lost_microphone_ends_and_is_told_once(pulse: PulseServer, tmp_path: Path) -> None:
    with listener(pulse, file=str(tmp_path / "heard")) as process:
        assert said(process) == {"listening": True}
        pulse.kill()
        assert said(process)["lost"].startswith("no more microphone: the device went away")
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())  # without being asked: its stdin is open
        assert told["ended"] is True
        process.communicate(timeout=5)
        assert process.returncode == 0


# with blocks of our own


class Inputs:
    """Stands where PortAudio is. `give` is the sound thread."""

    def __init__(self) -> None:
        self.device = Device(0, "test", "test", 2, 48000)
        self.refused: tuple[int, ...] = ()
        self.channels = 1
        self.rates: list[int] = []
        self.closed = 0
        self.microphones: list[Microphone] = []
        self.latency = 0.06
        self.take: Callable[[bytes, float], None]
        self.finished: Callable[[], None]

    def open(self, device: Device, *, rate: int, take: Any, finished: Any, **options: Any) -> Inputs:
        self.rates.append(rate)
        if rate in self.refused:
            raise RateRefused("no microphone", "this rate", "another")
        self.take, self.finished = take, finished
        return self

    def give(self, *blocks: bytes, age: float = 0.0) -> None:
        def run() -> None:
            for block in blocks:
                self.take(block, age)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(5)

    def close(self) -> None:
        self.closed += 1

    def started(self, **options: Any) -> Microphone:
        self.microphones.append(Microphone(**options))
        self.microphones[-1].start()
        return self.microphones[-1]


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inputs]:
    opened = Inputs()
    monkeypatch.setattr(sound.AudioSide, "device", lambda side, spec: opened.device)
    monkeypatch.setattr(sound, "open_input", opened.open)
    yield opened
    for microphone in opened.microphones:
        microphone.close()


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


async def test_blocks_come_in_order_with_the_time_of_their_last_sample(inputs: Inputs) -> None:
    microphone = inputs.started()
    began = time.monotonic()
    inputs.give(block(1), block(2), age=0.5)
    first, second = await read(microphone, 2)
    assert (first.pcm, second.pcm) == (block(1), block(2))
    assert began - 0.5 <= first.at <= second.at <= time.monotonic() - 0.5


async def test_nothing_from_a_mute_is_delivered_and_nothing_from_before_it_comes_after(inputs: Inputs) -> None:
    microphone = inputs.started()
    inputs.give(block(1), block(2))
    assert values(await read(microphone, 1)) == [1]
    microphone.muted = True
    inputs.give(block(3))
    microphone.muted = False
    inputs.give(block(4))
    microphone.muted = False
    inputs.give(block(5))
    assert values(await read(microphone, 2)) == [4, 5]
    assert microphone.dropped_ms == 0


async def test_muted_before_the_start(inputs: Inputs) -> None:
    microphone = Microphone()
    microphone.muted = True
    microphone.start()
    inputs.give(block(1))
    microphone.muted = False
    inputs.give(block(2))
    assert values(await read(microphone, 1)) == [2]


async def test_what_is_over_the_hold_goes_oldest_first(inputs: Inputs) -> None:
    microphone = inputs.started(hold=0.2)
    inputs.give(*map(block, range(1, 13)))
    assert microphone.dropped_ms == 7 * 40, "counted before anybody reads"
    assert values(await read(microphone, 5)) == [8, 9, 10, 11, 12]
    inputs.give(*map(block, range(13, 20)))
    assert values(await read(microphone, 1)) == [15]
    assert microphone.dropped_ms == 9 * 40
    microphone.muted = True
    assert microphone.dropped_ms == 9 * 40, "a mute forgets sound, not counts, and is none"


async def test_a_reader_that_waits_is_woken(inputs: Inputs) -> None:
    microphone = inputs.started()
    asyncio.get_running_loop().call_later(0.05, inputs.give, block(7))
    async with asyncio.timeout(3):
        chunk = await anext(microphone.chunks())
        await asyncio.to_thread(microphone.close)
    assert values([chunk]) == [7]


async def test_closing_ends_the_chunks_of_a_reader_that_waits(inputs: Inputs) -> None:
    microphone = inputs.started()
    asyncio.get_running_loop().call_later(0.05, microphone.close)
    async with asyncio.timeout(3):
        assert [chunk async for chunk in microphone.chunks()] == []
    assert inputs.closed == 1


async def test_what_was_captured_before_the_loss_is_delivered(inputs: Inputs) -> None:
    told: list[AudioUnavailable] = []
    microphone = inputs.started(on_lost=told.append)
    inputs.give(block(1), block(2))
    inputs.finished()
    inputs.finished()
    async with asyncio.timeout(3):
        assert values([chunk async for chunk in microphone.chunks()]) == [1, 2]
    assert told == [microphone.lost]
    microphone.close()
    inputs.finished()
    assert len(told) == 1


def test_closing_is_no_loss_and_nothing_opens_afterwards(inputs: Inputs) -> None:
    told: list[AudioUnavailable] = []
    microphone = inputs.started(on_lost=told.append)
    microphone.close()
    inputs.finished()
    microphone.close()
    microphone.start()
    assert (told, microphone.lost, inputs.closed, inputs.rates) == ([], None, 1, [RATE])


async def test_a_device_that_gives_nothing_any_more_is_lost(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALLED", 0.1)
    told: list[AudioUnavailable] = []
    microphone = inputs.started(on_lost=told.append)
    inputs.give(block(1))
    async with asyncio.timeout(3):
        assert values([chunk async for chunk in microphone.chunks()]) == [1]
    (why,) = told
    assert why.why == "the device has given nothing for 0.1 seconds"


async def test_a_rate_that_is_refused_is_converted(inputs: Inputs) -> None:
    inputs.refused, inputs.channels = (RATE,), 2
    microphone = inputs.started()
    assert (inputs.rates, microphone.rate) == ([RATE, 48000], RATE)
    frames = range(48000)
    tone = array("h", (round(9000 * sin(2 * pi * 440 * n / 48000)) for n in frames))
    stereo = array("h", (sample for value in tone for sample in (value + 500, value - 500))).tobytes()
    began = time.monotonic()
    inputs.give(*(stereo[at : at + 7680] for at in range(0, len(stereo), 7680)))
    chunks = await read(microphone, 24)
    assert {len(chunk.pcm) for chunk in chunks} == {1280}
    heard = array("h", b"".join(chunk.pcm for chunk in chunks))
    wanted = [9000 * sin(2 * pi * 440 * n / RATE) for n in range(len(heard))]
    assert max(abs(a - b) for a, b in zip(heard[200:-200], wanted[200:-200], strict=True)) < 20
    # what soxr still holds when it gives the last of a chunk was captured after it: never a whole block
    assert all(began - 0.1 < chunk.at <= time.monotonic() for chunk in chunks)


async def test_without_soxr_the_device_s_own_rate_is_delivered(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    inputs.refused = (RATE,)
    microphone = inputs.started()
    assert microphone.rate == 48000
    inputs.give(block(5, rate=48000))
    assert [chunk.pcm for chunk in await read(microphone, 1)] == [block(5, rate=48000)]


def test_a_device_that_refuses_its_own_rate_too_is_refused(inputs: Inputs) -> None:
    inputs.refused = (RATE, 48000)
    with pytest.raises(AudioUnavailable, match="this rate"):
        inputs.started()


async def test_many_channels_become_their_mean(inputs: Inputs) -> None:
    inputs.channels = 4
    microphone = inputs.started(chunk_ms=20)
    inputs.give(array("h", [32767, 32767, 32767, 32763, -4, -4, 0, 0] * 160).tobytes())
    (chunk,) = await read(microphone, 1)
    assert chunk.pcm == array("h", [32766, -2] * 160).tobytes()


async def test_heard_tells_a_microphone_from_one_that_is_switched_off(inputs: Inputs) -> None:
    microphone = inputs.started()
    inputs.give(block(0))
    await read(microphone, 1)
    assert not microphone.heard
    inputs.give(block(0)[:-2] + b"\1\0")
    await read(microphone, 1)
    assert microphone.heard


@pytest.mark.parametrize("chunk_ms", [19, 101, 0, -40])
def test_chunks_have_limits(chunk_ms: int) -> None:
    with pytest.raises(BadRequest, match="20 to 100"):
        Microphone(chunk_ms=chunk_ms)
