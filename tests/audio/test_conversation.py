"""A conversation through real parts: a virtual microphone, PortAudio, a socket, the stand-in, PortAudio, a null sink.

- livews is a process of its own; here its trace, and what its sound server recorded, are compared sample for sample.
- A run in which the machine itself stuttered is repeated, as the player's own count (`late`) or a hole in what the
  sound server played into the microphone says; livews gets no such excuse.
"""

import importlib.util
import json
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from livews.audio.microphone import STALLED
from livews.core.codec import decode_base64
from tests.audio.conftest import no_sound
from tests.audio.pulse import RATE, ROOT, PulseServer
from tests.audio.test_sound import sound_of
from tests.kit.sound import noise

TRIES = 4
FADE_MS = 5


class Session:
    """`livews --mic` and what came of it; `say` plays into the microphone."""

    def __init__(self, pulse: PulseServer, trace: Path, *words: str, mic: bool = True) -> None:
        self._env = pulse.environ
        self.trace = trace
        command = [sys.executable, "-m", "livews", "--offline", *["--mic"] * mic, f"--trace={trace}", *words]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        if not self.trace.exists():
            return []
        text = self.trace.read_bytes()
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()[1:]]

    def wait(self, what: Callable[[list[dict[str, Any]]], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not what(self.rows()):
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, f"waited {seconds:g} s in vain"
            time.sleep(0.02)

    def say(self, pcm: bytes) -> subprocess.Popen[bytes]:
        playing = subprocess.Popen(
            ["pacat", "--device=micin", "--raw", "--format=s16le", "--rate=16000", "--channels=1"],
            env=self._env, stdin=subprocess.PIPE,
        )  # fmt: skip
        assert playing.stdin is not None
        playing.stdin.write(pcm + bytes(3200))
        playing.stdin.close()
        return playing

    def leave(self) -> tuple[str, str]:
        """Ctrl-C, twice where a reply is running."""
        for _ in range(2):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
                time.sleep(0.2)
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 130, err
        return out, err


def content(row: dict[str, Any]) -> dict[str, Any]:
    found = row.get("message", {}).get("serverContent", {})
    return found if isinstance(found, dict) else {}


def received(rows: list[dict[str, Any]]) -> bytes:
    """The model's sound as it came over the wire."""
    parts = [part for row in rows for part in content(row).get("modelTurn", {}).get("parts", [])]
    return b"".join(decode_base64(part["inlineData"]["data"]) for part in parts if "inlineData" in part)


def blobs(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sent = [row.get("message", {}).get("realtimeInput", {}).get("audio") for row in rows if row["dir"] == "send"]
    return [blob for blob in sent if blob]


def sent(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(decode_base64(blob["data"]) for blob in blobs(rows))


def has(name: str, count: int = 1) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda rows: sum(name in content(row) for row in rows) >= count


def test_a_turn_without_a_microphone_is_heard_to_the_last_sample(pulse: PulseServer, tmp_path: Path) -> None:
    for attempt in range(TRIES):
        with pulse.record() as recording:
            session = Session(pulse, tmp_path / f"t{attempt}.jsonl", "Hello", mic=False)
            _, err = session.process.communicate(timeout=60)
            assert session.process.returncode == 0, err
            assert "no sound" not in err
        voice = received(session.rows())
        if voice in recording.pcm:
            return
    pytest.fail(f"{TRIES} times not all of the voice was heard")


def test_spoken_and_answered_sample_for_sample(pulse: PulseServer, tmp_path: Path) -> None:
    """What is said is on the wire, what came over the wire is heard, and the latency is told."""
    said = noise(1.0, seed=1, level=6000)
    for attempt in range(TRIES):
        with pulse.record() as recording:
            session = Session(pulse, tmp_path / f"t{attempt}.jsonl")
            session.wait(lambda rows: len(sent(rows)) > 6400)
            session.say(said).wait(10)
            session.wait(lambda rows: any("heard" in row for row in rows))
            _, err = session.leave()
        rows = session.rows()
        heard = next(row["heard"] for row in rows if "heard" in row)
        if heard["late"] or said not in sent(rows):
            continue  # the machine stuttered, under the sound thread or under the server that plays into the microphone
        voice = received(rows)
        assert voice in recording.pcm
        assert sound_of(recording.pcm) == sound_of(voice), "and nothing else was"
        chunks = {len(decode_base64(blob["data"])) for blob in blobs(rows)}
        assert chunks == {2 * 40 * 16}, "40 ms each"
        assert (heard["underruns"], heard["interrupted"]) == (0, False)
        assert heard["heardMs"] == pytest.approx(len(voice) / 2 * 1000 / RATE, abs=1)
        assert "you: [1" in err
        assert "1 reply, from the end of your words" in err
        return
    pytest.fail(f"{TRIES} times the machine itself stuttered")


def test_an_interruption_falls_silent_and_nothing_stale_is_heard(pulse: PulseServer, tmp_path: Path) -> None:
    for attempt in range(TRIES):
        with pulse.record() as recording:
            session = Session(pulse, tmp_path / f"t{attempt}.jsonl", "Tell me a story, as long as you like, please")
            session.wait(lambda rows: len(received(rows)) > 2 * RATE)
            time.sleep(0.5 + 0.2 * attempt)
            session.say(noise(1.2, seed=2, level=9000)).wait(10)
            session.wait(has("interrupted"))
            session.wait(lambda rows: any("heard" in row for row in rows))
            time.sleep(0.3)  # and no reply to the noise has begun: its silence is not long enough yet
            first = session.rows()
            session.leave()
        heard = next(row["heard"] for row in first if "heard" in row)
        at = next(i for i, row in enumerate(first) if "interrupted" in content(row))
        if heard["late"]:
            continue
        voice = received(first[:at])
        sound = recording.pcm[recording.pcm.find(voice[:480]) :]
        whole = round(heard["heardMs"] * RATE / 1000) * 2
        assert 0 < whole < len(voice), "it was cut in the middle"
        assert sound[:whole] == voice[:whole], "up to the cut nothing is changed"
        rest = sound_of(sound[whole:] + bytes(2))
        after = next(
            (i for i, sample in enumerate(array("h", sound[whole:])) if i > FADE_MS * RATE // 1000 and sample), None
        )
        silent = (after if after is not None else len(sound) // 2) / RATE
        assert silent > 0.25, f"after the ring-out of {FADE_MS} ms there was sound again after {silent:.3f} s"
        assert rest is not None
        late = heard["heardMs"] - heard["heardAtInterruptionMs"]
        assert 0 <= late <= 60 + 50 + FADE_MS, "the latency that was granted, and 50 ms"
        return
    pytest.fail(f"{TRIES} times the machine itself stuttered")


def test_half_duplex_sends_silence_while_it_speaks(pulse: PulseServer, tmp_path: Path) -> None:
    session = Session(pulse, tmp_path / "t.jsonl", "--half-duplex", "Hello there")
    session.wait(lambda rows: len(received(rows)) > RATE // 2)
    session.wait(lambda rows: len(sent(rows)) > 0)
    before = len(sent(session.rows()))
    session.say(noise(0.6, seed=3, level=6000)).wait(10)
    during = sent(session.rows())[before:]
    session.leave()
    assert len(during) > 6400
    assert not any(during), "the microphone is closed, and the stream goes on"
    assert not any("interrupted" in content(row) for row in session.rows())


def test_the_microphone_goes_away_and_the_session_goes_on(pulse: PulseServer, tmp_path: Path) -> None:
    session = Session(pulse, tmp_path / "t.jsonl")
    session.wait(lambda rows: len(sent(rows)) > 6400)
    pulse.kill()
    time.sleep(1.0)
    assert session.process.poll() is None, "a lost microphone is told, not fatal"
    _, err = session.leave()
    assert err.count("no more microphone: the device went away") == 1
    assert "Traceback" not in err
    assert not any("close" in row and row["close"]["code"] != 1000 for row in session.rows())


def test_a_sound_server_that_hangs_is_told_and_keeps_nobody(pulse: PulseServer, tmp_path: Path) -> None:
    """Neither the session nor the way out waits for it: closing such a device would last for ever."""
    session = Session(pulse, tmp_path / "t.jsonl", "--json", "Hello")
    session.wait(lambda rows: len(received(rows)) > RATE)
    with pulse.hanging():
        session.wait(has("turnComplete"))
        time.sleep(STALLED + 1)  # by then both devices are given up
        out, err = session.leave()
    assert "the loudspeaker has requested no audio for 3 s" in err
    assert "no more microphone" in err
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert "turnEnd" in events
    assert "Traceback" not in err


def test_a_loudspeaker_that_interrupts_the_model_is_noticed(pulse: PulseServer, tmp_path: Path) -> None:
    pulse.loop_back()
    session = Session(pulse, tmp_path / "t.jsonl", "Tell me a story")
    session.wait(has("interrupted", 3))
    time.sleep(0.3)
    _, err = session.leave()
    assert err.count("most likely the microphone hears the loudspeaker") == 1
    assert "--half-duplex" in err


@pytest.mark.parametrize("fix", ["--half-duplex", "--echo-cancel"])
def test_each_cure_keeps_the_loudspeaker_from_interrupting(fix: str, pulse: PulseServer, tmp_path: Path) -> None:
    if fix == "--echo-cancel" and importlib.util.find_spec("pywebrtc_audio") is None:
        no_sound("the extra aec is not installed")
    pulse.loop_back()
    session = Session(pulse, tmp_path / "t.jsonl", fix, "Tell me a story")
    session.wait(has("turnComplete"))
    rows = session.rows()
    session.leave()
    assert not has("interrupted")(rows)
    assert len(received(rows)) > 2 * RATE * 2
