"""A long reply that arrives at once, through livews.connect and Speaker into a sound card: what is heard, held, and told.

- Server and player are processes of their own; sound is compared sample for sample with what the sink got.
- A run in which the machine stuttered, as the player's own count says, is repeated, three times at most.
- Memory is what Python gave out (tracemalloc): what the process holds depends on the system's allocator.
"""

import json
import random
from typing import Any

import pytest

from tests.audio.pulse import PulseServer
from tests.bench.arrivals import RATE, SAMPLE, Turn, noise, sending
from tests.bench.monitor import Heard, Monitor, find
from tests.bench.playing import played

CHUNK_MS = 240
MINUTE = 60_000 // CHUNK_MS
SOON_MS = 500
"""Several times what the device holds, and a fraction of what is queued."""


def play(
    pulse: PulseServer, plan: list[Turn], *flags: str
) -> tuple[Monitor, dict[int, Heard], dict[str, Any], list[dict[str, Any]]]:
    """The recording, what of the turns is in it, what the player told, and the sender."""
    for _ in range(3):
        with Monitor(pulse) as monitor, sending(plan) as sender:
            report = played(pulse, "livews", sender.port, 30, *flags)
            log = sender.log()
        if not any(turn["late"] for turn in report["turns"]):
            return monitor, find(monitor.pcm, {i: turn.sound for i, turn in enumerate(plan)}), report, log
    pytest.fail("three times the sound thread was not called in time: this machine is too busy")


def test_a_minute_that_arrives_within_a_second(pulse: PulseServer) -> None:
    plan = [Turn(1, CHUNK_MS, [0.0] * MINUTE, interrupt=2.0, pause=0.5), Turn(2, CHUNK_MS, [0.0] * 4, pause=0.2)]
    monitor, heard, report, log = play(pulse, plan, "--memory=traced")
    minute, after = report["turns"]

    assert minute["received_ms"] == 60_000 and minute["dropped_ms"] == 0
    assert log[0]["sent"] < log[0]["interrupted"], "all of it came long before it could be heard"
    (piece,) = heard[0].pieces
    place, position, length = piece
    assert position == 0, "its first sample is heard, and then all in order without a gap"
    whole = plan[0].sound[: length * SAMPLE]
    assert monitor.pcm[place * SAMPLE : (place + length) * SAMPLE] == whole
    assert 1000 * length / RATE == minute["played_ms"], "all that was given to the device, and no more"
    assert minute["underruns"] == 0
    silent_ms = 1000 * (monitor.time_of(heard[0].ends) - log[0]["interrupted"])
    assert silent_ms < SOON_MS, "what was queued is not heard out"

    assert heard[1].pieces == [(heard[1].begins, 0, 4 * CHUNK_MS * RATE // 1000)], "the next turn is whole"
    assert after["underruns"] == 0

    size = len(plan[0].sound)
    before, received, _, end = report["memory"]
    assert received - before > 0.9 * size, "this measures: it is held"
    assert received - before < 1.25 * size, "once, and not as JSON or base64 beside"
    assert end - before < 0.25 * size, "and let go of"


def test_what_livews_says_was_heard_is_what_was_heard(pulse: PulseServer) -> None:
    seed = random.randrange(1 << 30)
    luck = random.Random(seed)
    for left in (2, 1, 0):  # a callback that waited for the processor tells a time that is late by as much
        plan = [Turn(luck.randrange(1 << 30), CHUNK_MS, [0.0] * 20, luck.uniform(0.3, 1.1), 0.35) for _ in range(4)]
        monitor, heard, report, _ = play(pulse, plan)
        off = [
            flush["heard_ms"] - 1000 * heard[i].position(monitor.frame_at(flush["at"])) / RATE
            for i, flush in enumerate(report["flushes"])
        ]
        assert len(off) == len(plan)
        if all(abs(error) <= 20 for error in off):
            break
        assert left, f"off by {[round(error, 1) for error in off]} ms, seed {seed}, {json.dumps(report['flushes'])}"
    for i, turn in enumerate(report["turns"]):
        assert turn["cut"]
        assert 1000 * heard[i].until / RATE == turn["played_ms"], "in the end all the device held was heard"


def test_gaps_are_found_by_content() -> None:
    """What the comparison above is worth: a recording with known faults."""
    said, other = noise(1, 4800), noise(2, 4800)
    pcm = bytes(1000) + said[:2002] + bytes(960) + said[2002:4000] + said[4100:] + bytes(300) + other[48:]
    found = find(pcm, {1: said, 2: other})
    assert found[1].pieces == [(500, 0, 1001), (500 + 1001 + 480, 1001, 999), (500 + 1001 + 480 + 999, 2050, 350)]
    assert found[1].gaps == [20.0]
    assert found[1].lost == pytest.approx(50 / 24)
    assert found[1].until == 2400
    assert found[1].position(500 + 1001 + 100) == 1001
    assert found[2].missing == 24
    assert find(bytes(5000), {1: said}) == {}
