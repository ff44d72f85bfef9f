"""The system's players in PortAudio's place: paplay and aplay into a sound server, and scripts that misbehave.

- No sound library is faked: LIVEWS_PORTAUDIO names one that is not there, and PATH holds one player.
- What cannot be had from a real player (one that hangs, swallows, will not end) is a script of a line or two.
"""

import dataclasses
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from livews.audio import external_player
from livews.audio.external_player import ExternalPlayer, PlayerStream, open_player
from livews.audio.portaudio import AudioUnavailable
from tests.audio.pulse import RATE, ROOT, PulseServer
from tests.audio.test_sound import NO_PORTAUDIO, only


def start_speaker(device: str | None, **env: str) -> str:
    code = (
        "from livews.audio.speaker import Speaker\n"
        "from livews.audio.portaudio import AudioUnavailable\n"
        f"speaker = Speaker(device={device!r})\n"
        "try: speaker.start()\n"
        "except AudioUnavailable as error:\n"
        "    for problem in filter(None, (error, getattr(error, 'full', None))): print(problem.sentence())\n"
        "else: print('through', speaker.through, speaker.fallback)\n"
        "speaker.close()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, env={**os.environ, **env}, capture_output=True,
        text=True, timeout=30,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_speaker_says_what_plays(pulse: PulseServer, tmp_path: Path) -> None:
    alone = only(tmp_path / "bin", "paplay")
    assert start_speaker(None, **pulse.env).startswith("through PortAudio: ")
    losses = start_speaker(None, **pulse.env, **NO_PORTAUDIO, PATH=alone)
    assert losses.startswith("through paplay paplay plays the voice, without PortAudio: LIVEWS_PORTAUDIO names /no/")
    named = start_speaker("pulse", **pulse.env, **NO_PORTAUDIO, PATH=alone)
    assert named.startswith("no sound: LIVEWS_PORTAUDIO names /no/such.so")
    assert "paplay" not in named, "a device that was named is PortAudio's alone"


def test_all_that_was_tried_is_named(tmp_path: Path) -> None:
    nowhere = {"PULSE_SERVER": f"unix:{tmp_path}/no", **NO_PORTAUDIO}
    short, losses = start_speaker(None, **nowhere, PATH=only(tmp_path / "bin", "paplay", "aplay")).split("\n")
    assert short == (
        "no sound: LIVEWS_PORTAUDIO names /no/such.so, which is not a file, and paplay, aplay cannot play either. Start "
        "the sound server (PipeWire, PulseAudio), or keep the voice in a file with --wav PATH; `livews doctor` tells more."
    )
    assert losses.startswith("no sound: LIVEWS_PORTAUDIO names /no/such.so, which is not a file; paplay: ")
    assert "Connection refused; aplay: " in losses
    assert "--wav PATH" in losses
    short, losses = start_speaker(None, **nowhere, PATH=str(tmp_path / "empty")).split("\n")
    assert ", and none of paplay, pw-play, aplay is installed. " in short
    assert "; none of paplay, pw-play, aplay is installed. " in losses


# Players that misbehave


def script(folder: Path, *lines: str) -> ExternalPlayer:
    path = folder / "stand-in"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return ExternalPlayer(str(path), "", "none")


class Pulled:
    """What a stream asked for; every block of it is sound."""

    def __init__(self) -> None:
        self.blocks = 0
        self.delays: list[float] = []
        self.threads: set[int] = set()
        self.ended: list[int] = []
        self.end = threading.Event()

    def fill(self, block: memoryview, delay: float) -> None:
        block[:] = b"\1\0" * (len(block) // 2)
        self.blocks += 1
        self.delays.append(delay)
        self.threads.add(threading.get_ident())

    def finished(self) -> None:
        self.ended.append(threading.get_ident())
        self.end.set()

    def open(self, *players: ExternalPlayer) -> PlayerStream:
        return open_player(rate=RATE, fill=self.fill, finished=self.finished, players=players)


def test_a_killed_player_is_told_once_and_leaves_nothing(tmp_path: Path) -> None:
    pulled = Pulled()
    stream = pulled.open(script(tmp_path, "exec cat > /dev/null"))
    stream._process.kill()
    assert pulled.end.wait(2)
    assert stream.why == "it ended with exit code -9"
    stream.close()
    assert len(pulled.ended) == 1
    assert set(pulled.ended) == pulled.threads or not pulled.threads, "both are called in one thread"
    assert stream._process.returncode == -9


def test_a_player_that_swallows_gets_no_more_than_time_allows(tmp_path: Path) -> None:
    pulled = Pulled()
    began = time.monotonic()
    stream = pulled.open(script(tmp_path, "exec cat > /dev/null"))
    time.sleep(0.5)
    stream.close()
    took = time.monotonic() - began
    assert pulled.ended
    assert (
        10 <= pulled.blocks <= (took * external_player.FASTER + external_player.AHEAD) / external_player.BLOCK_SECONDS
    )
    assert all(0.06 <= delay < stream.latency for delay in pulled.delays)


def test_a_player_that_stops_taking_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_player, "PATIENCE", 0.3)
    pulled = Pulled()
    stream = pulled.open(script(tmp_path, "head -c 12000 > /dev/null", "exec sleep 30"))
    assert pulled.end.wait(5)
    assert stream.why == "it accepted no audio for 0.3 s"
    assert stream._process.returncode is not None, "it was ended"
    stream.close()


def test_a_player_that_takes_nothing_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_player, "PATIENCE", 0.3)
    (tmp_path / "good").mkdir()
    deaf = script(tmp_path, "exec sleep 30")
    good = script(tmp_path / "good", "exec cat > /dev/null")
    missing = ExternalPlayer(str(tmp_path / "no-such-player"), "", "none")
    stream = Pulled().open(missing, deaf, good)
    assert stream.name == good.name
    stream.close()
    with pytest.raises(AudioUnavailable) as caught:
        Pulled().open(missing, deaf)
    assert (
        caught.value.why == f"{missing.name}: No such file or directory; {deaf.name}: it accepted no audio for 0.3 s"
    )


def test_a_player_that_will_not_end_is_ended(tmp_path: Path) -> None:
    pulled = Pulled()
    stream = pulled.open(script(tmp_path, "trap '' TERM", "cat > /dev/null", "while :; do sleep 0.1; done"))
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < 2
    assert stream._process.returncode == -9
    assert len(pulled.ended) == 1


def test_its_last_words_move_no_cursor(tmp_path: Path) -> None:
    loud = script(tmp_path, r"printf 'first\n\033[2Jno \342\200\256server\033[0m\n\n' >&2", "exit 1")
    with pytest.raises(AudioUnavailable) as caught:
        Pulled().open(loud)
    assert caught.value.why == rf"{loud.name}: \x1b[2Jno \u202eserver\x1b[0m"


def test_a_talkative_player_is_not_held_up(tmp_path: Path) -> None:
    pulled = Pulled()
    stream = pulled.open(script(tmp_path, "head -c 200000 /dev/zero >&2", "echo ready >&2", "exec cat > /dev/null"))
    stream.close()
    assert pulled.ended
    assert stream.why == ""


def test_a_newer_pw_play_is_told_that_there_is_no_header(tmp_path: Path) -> None:
    help_text = script(tmp_path, "echo '  -a, --raw   RAW mode'")
    pw_play = next(one for one in external_player.PLAYERS if one.name == "pw-play")
    newer = dataclasses.replace(pw_play, name=help_text.name)
    assert external_player._command(newer, RATE, 0.06)[1:] == [
        "--raw", "--rate=24000", "--channels=1", "--format=s16", "--latency=60ms", "-",
    ]  # fmt: skip
    older = dataclasses.replace(pw_play, name="true")
    assert external_player._command(older, RATE, 0.06)[1] == "--rate=24000"
