"""The short form of the fault matrix: tests.faults."""

import json
import subprocess
import sys

from tests.faults.outcome import Outcome
from tests.kit.names import ROOT


def test_faults_end_a_session_as_they_should() -> None:
    command = [sys.executable, "-m", "tests.faults", "--short", "--jobs", "2", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    outcomes = [json.loads(line) for line in ran.stdout.splitlines()]
    failed = [
        f"{one['by']}, {one['fault']}, {one['state']}: {one['problems']}" for one in outcomes if one["problems"]
    ]
    assert not failed, "\n".join(failed)
    assert ran.returncode == 0, ran.stderr
    assert {one["by"] for one in outcomes} == {"talk", "view", "library", "connect"}
    assert len({one["fault"] for one in outcomes if one["by"] == "library"}) > 70


def test_the_matrix_finds_what_it_looks_for() -> None:
    outcome = Outcome("talk", "rst", "idle", expected=4)
    outcome.ended(5, 10.0, 11.5, 15)
    outcome.reported(12.5, 10.0)
    outcome.look_at(b"Traceback (most recent call last):\n  ...\nKeyError: 'AIza'\n\x1b[31m" + bytes(70_000))
    assert outcome.marks == "LTOE"
    assert outcome.problems[:2] == ["exit 5, not 4", "reported 2.5 s after its last byte"]
    assert outcome.cell == "5LTOE!"
