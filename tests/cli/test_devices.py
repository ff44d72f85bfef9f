"""`livews devices`: the real list of a real PortAudio, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path

from tests.audio.conftest import pulse
from tests.audio.pulse import PulseServer
from tests.kit.command import livews

__all__ = ["pulse"]


def test_the_list_and_its_json_say_the_same(pulse: PulseServer) -> None:
    done = livews("devices", "--json", env=pulse.env)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["index"] for row in rows] == sorted({row["index"] for row in rows})
    server = next(row for row in rows if row["name"] == "pulse")
    assert server["host"] == "ALSA" and server["in"] > 0 and server["out"] > 0
    assert sum(row["defaultIn"] for row in rows) == sum(row["defaultOut"] for row in rows) == 1

    people = livews("devices", env=pulse.env)
    lines = people.stdout.splitlines()
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        mark = {(True, True): "*", (True, False): ">", (False, True): "<"}.get((row["defaultIn"], row["defaultOut"]))
        assert line[0] == (mark or " ")
        assert line[2:].strip() == (
            f"{row['index']} {row['name']}, {row['host']} ({row['in']} in, {row['out']} out), {row['rate']} Hz"
        )
    assert "default output" in people.stderr
    assert livews("devices", "--quiet", env=pulse.env).stderr == ""


def test_without_portaudio_there_is_one_message_and_what_plays_instead(tmp_path: Path) -> None:
    (tmp_path / "paplay").write_text("#!/bin/sh\n")
    (tmp_path / "paplay").chmod(0o755)
    done = livews("devices", "--json", env={"LIVEWS_PORTAUDIO": "/no/such.so", "PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (6, "")
    said = " ".join(done.stderr.split())
    assert said.startswith("livews: no sound devices where PortAudio why LIVEWS_PORTAUDIO names /no/such.so")
    assert "do Correct or unset LIVEWS_PORTAUDIO=/no/such.so" in said
    assert said.endswith("without it livews tries paplay on the system's own default device")
    alone = livews("devices", env={"LIVEWS_PORTAUDIO": "/no/such.so", "PATH": ""})
    assert alone.returncode == 6
    assert "livews tries" not in alone.stderr
