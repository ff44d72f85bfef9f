"""The whole way, through PortAudio into a sound server, compared with what was recorded there.

- The player is another process; here only bytes are compared.
- Sound is compared exactly. A run in which the machine stuttered is repeated, three times at most: the player's own count
  says so, and where the system's player has none, a hole in the noise that was recorded.
"""

import json
import re
import shutil
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

from tests.audio.conftest import no_sound
from tests.audio.pulse import RATE, ROOT, PulseServer
from tests.kit import sound

FADE_MS = 5
_HOLE = re.compile(bytes(2 * RATE // 1000))  # a millisecond of silence


def player(pulse: PulseServer, plan: list[list[Any]], latency: float = 0.1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.audio.player", json.dumps(plan), str(latency)],
        cwd=ROOT, env=pulse.environ, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def play(
    pulse: PulseServer, plan: list[list[Any]], latency: float = 0.1, *, holes: bool = True
) -> tuple[bytes, list[dict[str, Any]]]:
    """Perform the plan; what the sink got, and what the player told. Without `holes` one noise is played in one go."""
    for _ in range(3):
        with pulse.record() as recording, player(pulse, plan, latency) as process:
            out, _ = process.communicate(timeout=30)
            assert process.returncode == 0
        output = [json.loads(line) for line in out.splitlines()]
        if not any(turn["late"] for turn in output[-1]["turns"]) and (
            holes or not _HOLE.search(sound_of(recording.pcm))
        ):
            return recording.pcm, output
    pytest.fail("three times the sound was broken: by a machine that is too busy, or by livews each time")


def noise(path: Path, ms: int, seed: int = 1) -> bytes:
    pcm = sound.noise(ms / 1000, seed, rate=RATE)
    path.write_bytes(pcm)
    return pcm


def sound_of(pcm: bytes) -> bytes:
    """Without the silence before and after."""
    samples = array("h", pcm)
    first = next((i for i, sample in enumerate(samples) if sample), len(samples))
    last = next((i for i in range(len(samples) - 1, -1, -1) if samples[i]), -1)
    return samples[first : last + 1].tobytes()


NO_PORTAUDIO = {"LIVEWS_PORTAUDIO": "/no/such.so"}
"""What makes the speaker use a player of the system."""


def only(folder: Path, *names: str) -> str:
    """A PATH with these programs and no other. Skips where one of them is not installed."""
    folder.mkdir()
    for name in names:
        where = shutil.which(name)
        if where is None:
            no_sound(f"{name} is not installed (pulseaudio-utils, alsa-utils)")
        (folder / name).symlink_to(str(where))
    return str(folder)


@pytest.mark.parametrize("name", ["PortAudio", "paplay", "aplay"])
def test_a_turn_is_heard_sample_for_sample_and_a_barge_in_falls_silent(
    pulse: PulseServer, tmp_path: Path, name: str
) -> None:
    own = name == "PortAudio"
    if not own:
        pulse.env |= {**NO_PORTAUDIO, "PATH": only(tmp_path / "bin", name, "parec")}
    said, turn = noise(tmp_path / "turn", 5000), str(tmp_path / "turn")
    plan = [["play", turn, RATE, 1921], ["end"], ["drain"], ["close"]]
    heard, (drained, report) = play(pulse, plan, holes=own)
    assert drained["drained"] is True
    assert 4.9 < drained["took"] < 6
    whole = {"received_ms": 5000, "played_ms": 5000, "heard_ms": 5000}
    assert report["turns"] == [{**whole, "dropped_ms": 0, "underrun_ms": 0, "underruns": 0, "late": 0, "cut": False}]
    assert sound_of(heard) == said

    plan = [["play", turn, RATE, 11520], ["wait", 0.9], ["flush"], ["wait", 0.4], ["close"]]
    recorded, (flush, report) = play(pulse, plan, latency=0.06, holes=own)
    heard = sound_of(recorded)
    whole = round(report["turns"][0]["played_ms"] * RATE / 1000) * 2
    assert heard[:whole] == said[:whole], "up to the flush nothing is changed"
    assert len(heard) - whole <= 2 * FADE_MS * RATE // 1000, "behind it there is only the ring-out"
    after_flush_ms = len(heard) / 2 * 1000 / RATE - flush["heard_ms"]
    assert 0 <= after_flush_ms <= report["latency_ms"] + (50 + FADE_MS if own else 150)
    assert flush["heard_ms"] == pytest.approx(800 if own else 750, abs=150)
    if not own:
        assert report["latency_ms"] == pytest.approx(100)


def test_a_turn_at_another_rate_waits_for_the_first(pulse: PulseServer, tmp_path: Path) -> None:
    said = noise(tmp_path / "24k", 500)
    (tmp_path / "16k").write_bytes(b"\x88\x13" * 8000)  # 0.5 s of 5000, a level that resampling keeps
    heard, output = play(
        pulse,
        [
            ["play", str(tmp_path / "24k"), 24000, 1921], ["play", str(tmp_path / "16k"), 16000, 1921], ["end"],
            ["drain"], ["close"],
        ],
    )  # fmt: skip
    drained, report = output
    assert drained["drained"] is True
    assert report["rate"] == 16000
    assert [turn["heard_ms"] for turn in report["turns"]] == [500, 500]
    sound = sound_of(heard)
    assert sound.startswith(said)
    levels = [sample for sample in array("h", sound[len(said) :]) if abs(sample - 5000) <= 5]
    assert len(levels) == pytest.approx(12000, abs=300)


@pytest.mark.parametrize(
    ("name", "why"), [("PortAudio", "the device went away"), ("paplay", "paplay ended: .*Connection terminated")]
)
def test_a_server_that_goes_away_is_told(pulse: PulseServer, tmp_path: Path, name: str, why: str) -> None:
    """While something plays. Nothing waits for it."""
    if name != "PortAudio":
        pulse.env |= {**NO_PORTAUDIO, "PATH": only(tmp_path / "bin", name)}
    noise(tmp_path / "turn", 20000)
    plan = [["flush"], ["play", str(tmp_path / "turn"), RATE, 11520], ["wait", 2], ["drain"], ["close"]]
    with player(pulse, plan) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it plays
        pulse.kill()
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0
    lost, drained, _ = [json.loads(line) for line in out.splitlines()]
    assert drained["drained"] is False
    assert drained["took"] < 0.5
    assert re.match(f"no more sound: {why}", lost["lost"])
