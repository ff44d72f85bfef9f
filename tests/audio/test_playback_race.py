"""Flush against fill with the threads switching as often as Python can: no stale sample, ever.

- Every generation speaks one value of its own, so each sample says which generation it is from.
- Fades would blur those values, so here they are marks; what they really are, the model test compares.
"""

from __future__ import annotations

import sys
import threading
import time
from array import array
from collections.abc import Iterator

import pytest

from livews.audio import playback
from livews.audio.playback import PlaybackBuffer

FRAMES = 480
MEETINGS = 50  # generations that were cut while they were heard
RING = -1  # a sample of a fade out


@pytest.fixture
def switching_wildly() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def marked_fades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "falling", lambda level, n: memoryview(array("h", [RING] * n)).cast("B"))
    monkeypatch.setattr(playback, "raise_in_place", lambda pcm, done, n: n)


@pytest.mark.usefixtures("switching_wildly", "marked_fades")
@pytest.mark.parametrize("chunk_frames", [1, 47, 2000])
def test_nothing_of_a_flushed_turn_is_played(chunk_frames: int) -> None:
    buffer = PlaybackBuffer(prebuffer=0.0)
    flushed = 0  # the newest generation whose flush has returned
    done = False
    faults: list[str] = []
    met: set[int] = set()

    def listen() -> None:
        block = bytearray(2 * FRAMES)
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


@pytest.mark.usefixtures("switching_wildly", "marked_fades")
def test_no_sample_is_lost_or_doubled_between_the_threads() -> None:
    pcm = array("h", [1 + i % 30000 for i in range(200_000)]).tobytes()
    buffer = PlaybackBuffer(prebuffer=0.0)
    heard = bytearray()
    done = False

    def listen() -> None:
        block = bytearray(2 * FRAMES)
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
    assert all(turn.played_ms == turn.received_ms for turn in buffer.turns)
