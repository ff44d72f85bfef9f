"""The command's whole way: words in, wire, PortAudio, sound server; what its monitor recorded is what was on the wire."""

import json
import os
import subprocess
import sys
from pathlib import Path

from livews.core.codec import decode_base64
from tests.audio.pulse import PulseServer

TRIES = 3  # a machine that stutters under the sound server loses a block now and then; livews may not


def pcm_of(trace: Path) -> bytes:
    """All sound of a trace, as it came over the wire."""
    pcm = b""
    for line in trace.read_text().splitlines()[1:]:
        content = json.loads(line).get("message", {}).get("serverContent", {})
        for part in content.get("modelTurn", {}).get("parts", []):
            pcm += decode_base64(part["inlineData"]["data"])
    return pcm


def test_a_turn_of_the_command_is_heard_to_the_last_sample(pulse: PulseServer, tmp_path: Path) -> None:
    heard = said = b""
    for attempt in range(TRIES):
        trace = tmp_path / f"t{attempt}.jsonl"
        with pulse.record() as recording:
            done = subprocess.run(
                [sys.executable, "-m", "livews", "--offline", "--trace", str(trace), "Hello"],
                env={**os.environ, **pulse.env},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            assert "no sound" not in done.stderr
        said, heard = pcm_of(trace), recording.pcm
        if said in heard:
            return
    at = heard.find(said[:960])
    same = next((i for i, (a, b) in enumerate(zip(said, heard[max(at, 0) :], strict=False)) if a != b), len(said))
    raise AssertionError(f"heard {same} of {len(said)} bytes in order, recorded {len(heard)}, started at {at}")
