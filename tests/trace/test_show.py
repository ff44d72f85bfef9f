"""`livews trace show`, and what it has in common with the live view."""

import json
from pathlib import Path

from tests.kit.command import livews, serving
from tests.kit.names import KEY
from tests.kit.traces import got, sent
from tests.trace.kit import READY, TOOL, Run, piped, talk, write


def test_show_prints_what_the_live_view_printed(trace: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with serving("--pace", "0", "--quiet") as (url, _):
        live = livews("--url", url, "--mute", "--trace", f"--trace={path}", "Hi")
    shown = trace("show", path).out.splitlines()
    assert len(shown) > 10
    # each of the two has the time at which it was told
    printed = [line[8:] for line in live.stderr.splitlines() if "→" in line or "←" in line]
    assert [line[8:] for line in shown] == printed


def test_show_what_is_asked_for(trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    whole = trace("show", path).out.splitlines()
    assert len(whole) == len(talk())
    assert "heard" in whole[-3] and "480 of 2,000 ms · interrupted · 2 underruns" in whole[-3]

    def times(*flags: str) -> list[float]:
        return [float(line.split()[0]) for line in trace("show", path, *flags).out.splitlines()]

    assert times("--kind", "setup,setupComplete") == [0.0, 0.1]
    assert times("--kind", "interrupted,heard") == [3.72, 3.8]
    assert times("--side", "client", "--from", "1", "--to", "3") == [1.0, 3.0]
    assert times("--turn", "1")[-1] == 2.3 and times("--turn", "2")[0] == 3.0
    shown = trace("show", path, "--turn", "2", "--side", "client").out.splitlines()
    assert shown[0].endswith('"And now?" · generating'), "what changed before is not told"
    nothing = trace("show", path, "--kind", "goAway")
    assert nothing.out == "" and "no message matches" in nothing.err
    rows = [json.loads(line) for line in trace("show", path, "--json", "--turn", "2").out.splitlines()]
    assert rows[2]["signals"] == ["output", "modelTurn", "audio"] and rows[2]["states"]["turn"] == "speaking"
    (part,) = rows[2]["message"]["serverContent"]["modelTurn"]["parts"]
    assert part["inlineData"]["data"].startswith("elided:48000:")


def test_show_faults_sizes_and_hostile_text(trace: Run, tmp_path: Path) -> None:
    bad = sent(1.0, {"clientContent": {"turnComplete": "maybe"}})
    said = got(1.1, {"serverContent": {"outputTranscription": {"text": f"\x1b[2J{KEY}"}}}) | {"size": 99_999}
    path = write(tmp_path / "t.jsonl", *READY, bad, said)
    assert "99,999 B" in trace("show", path).out
    assert "\x1b" not in trace("show", path).out and KEY not in trace("show", path).out
    faults = trace("show", path, "--faults").out.splitlines()
    assert len(faults) == 2 and "clientContent" in faults[0] and "WIRE-7" in faults[1]
    assert "\x1b" not in trace("show", path, "--json").out
    assert "\x1b[" in trace("show", path, "--color", "always").out


def test_stdin_and_elided_media(trace: Run) -> None:
    shown = piped("show", "-", stdin=TOOL.read_bytes())
    assert shown.returncode == 0 and shown.stderr == b""
    assert "15,568 B   audio 240 ms" in shown.stdout.decode()
    assert shown.stdout.decode() == trace("show", TOOL).out
