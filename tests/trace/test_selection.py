"""Sessions, turns and kinds that a trace has or not, and counts."""

import json
from pathlib import Path

import pytest

from tests.kit.traces import control, got
from tests.trace.kit import READY, Run, talk, write


@pytest.mark.parametrize("tool", ["show", "stats", "cut", "replay", "md", "har", "wav"])
def test_a_session_that_is_not_there(tool: str, trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    path.write_bytes(2 * path.read_bytes())
    words = {"cut": ["--turn", "1", "-o", "-"], "replay": ["--offline"]}.get(tool, [])
    if tool in ("md", "har", "wav"):
        tool, words = "export", ["-o", str(tmp_path / f"o.{tool}")]
    done = trace(tool, path, "--session", "3", *words)
    assert done.code == 2 and done.out == ""
    assert "there is no session 3" in done.err and "--session 1 to 2" in done.err and "stand-in" not in done.err
    path.write_text("")
    done = trace(tool, path, *words)
    assert done.code == 2 and "no session in" in done.err and "stand-in" not in done.err
    assert list(tmp_path.iterdir()) == [path]


def test_a_turn_or_kind_that_is_not_there(trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk(), got(9.0, {"brandNew": {}}))
    done = trace("show", path, "--turn", "9")
    assert done.code == 2 and "there is no turn 9" in done.err and "--turn 1 to" in done.err
    for kind, meant in (("servercontent", "serverContent"), ("server_content", "serverContent"), ("Close", "close")):
        done = trace("show", path, "--kind", f"setup,{kind}")
        assert done.code == 2 and f"did you mean {meant}?" in done.err and done.out == ""
    done = trace("show", path, "--kind", "serverContnt")
    assert done.code == 2 and "did you mean serverContent?" in done.err
    done = trace("show", path, "--kind", "setup,nope")
    assert done.code == 2 and "there is no kind nope" in done.err and len(done.out.splitlines()) == 1
    done = trace("show", path, "--kind", "brandNew")
    assert done.code == 0 and done.err == "" and "brandNew" in done.out
    done = trace("show", path, "--kind", "toolCallCancellation")
    assert done.code == 0 and "livews:" not in done.err, "the protocol has it, this trace has none"


def test_what_was_put_in_is_marked(trace: Run, tmp_path: Path) -> None:
    rows = talk()
    rows[3]["inserted"] = True
    path = write(tmp_path / "t.jsonl", *rows)
    marked = [line for line in trace("show", path).out.splitlines() if "written by hand" in line]
    assert len(marked) == 1 and marked[0].lstrip().startswith(f"{rows[3]['t']:.3f}")
    report = [json.loads(line) for line in trace("show", path, "--json").out.splitlines()]
    assert [row["line"] for row in report if row.get("inserted")] == [5]


def test_all_tools_count_alike(trace: Run, tmp_path: Path) -> None:
    rows = [*READY, got(0.2, {"toolCall": 5}), got(0.3, {"brandNew": {}})]
    path = write(tmp_path / "t.jsonl", *rows, control(1.0, "recv", "close", code=1011, reason="Internal error."))
    checked = trace("check", path).err.splitlines()[-1]
    made = trace("html", path, "-o", tmp_path / "o.html").err
    count, errors, notes = (int(word) for word in checked.split() if word.isdecimal())
    assert count == len(rows) and errors + notes > 1
    assert f"1 session, {count} messages, {errors + notes} findings, " in made
    write(path, *READY, got(0.3, {"brandNew": {}}))
    assert "3 messages, 1 finding, " in trace("html", path, "-o", tmp_path / "o.html").err
