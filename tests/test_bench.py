"""The benchmarks run, and say what they found; no figure of theirs is judged here."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from tests.bench.rows import Row, Target, table
from tests.kit.names import ROOT

ROWS = {"decode": 4, "microphone": 4, "receive": 2, "startup": 4, "tracing": 2}


def python(*words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "tests.bench", "--tiny", *words)


def has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("name", ROWS)
def test_a_measurement_runs(name: str) -> None:
    if name == "startup" and not hasattr(os, "wait4"):
        pytest.skip("no wait4() on this system")
    ran = bench("--json", "--only", name)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    assert report["failures"] == []
    rows = report["rows"]
    assert len(rows) == ROWS[name] * (2 if name == "startup" and has("trustme") else 1)
    for row in rows:
        assert row["livews"]
        assert name == "tracing" or min(row["livews"]) > 0
        if row["kind"] == "peer":
            assert (row["other"] is not None) == has("google.genai")
            assert (row["value"] is not None) == has("google.genai")
        assert row["verdict"] in ("ok", "SHORT", "-")
    assert any("google-genai" in words for words in report["missing"]) != has("google.genai")


def test_the_table_and_its_last_line() -> None:
    ran = bench("--only", "tracing")
    assert ran.returncode == 0, ran.stderr
    assert "Python: 3." in ran.stdout
    assert "verdict" in ran.stdout
    last = ran.stdout.strip().splitlines()[-1]
    assert last == "all 1 targets are met" or last.startswith("1 of 1 targets fall short: a trace file")


def test_what_could_not_run_is_told_and_the_rest_goes_on() -> None:
    breaking = (
        "import sys; from tests.bench import __main__ as bench\n"
        "bench.MEASUREMENTS.update(decode=lambda effort: 1 / 0)\n"
        "sys.argv[1:] = ['--tiny', '--only', 'decode', '--only', 'tracing']; sys.exit(bench.main())"
    )
    ran = python("-c", breaking)
    assert ran.returncode == 1
    assert "could not run: decode: ZeroDivisionError" in ran.stdout
    assert "a trace file" in ran.stdout


def test_a_ratio_is_taken_round_by_round() -> None:
    ten = Target("at least", 10, "times cheaper")
    row = Row("x", "peer", "us", [1.0, 2.0, 4.0], "other", [12.0, 22.0, 36.0], ten)
    assert row.values == [12.0, 11.0, 9.0]
    assert row.verdict == "ok"
    assert Row("x", "peer", "us", [1.0], "other", [9.9], ten).verdict == "SHORT"
    assert Row("x", "peer", "us", [1.0], "other", None, ten).verdict == "-"


def test_beside_a_limit_less_is_better() -> None:
    four = Target("at most", 4, "times the decode")
    assert Row("x", "limit", "us", [8.0], "limit", [2.0], four).verdict == "ok"
    assert Row("x", "limit", "us", [8.2], "limit", [2.0], four).verdict == "SHORT"
    assert Row("x", "cost", "us", [4.1], target=four).verdict == "SHORT"


def test_the_columns_are_straight() -> None:
    rows = [Row("short", "cost", "us", [1.0]), Row("a longer name", "peer", "ms", [100.0], "other", [250.0])]
    heading, line, first, second = table(rows).splitlines()
    assert len(line) >= len(heading)
    assert first.index("1.00 us") + len("1.00 us") == second.index("100 ms") + len("100 ms")


def test_what_the_proxy_adds_is_measured() -> None:
    words = ("proxy", "--sessions", "2", "--ms", "40", "--seconds", "0.2", "--rounds", "1", "--json")
    ran = python("-m", "tests.bench", *words)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["frames"] == 10 and report["proxied"]["p50"] > 0
