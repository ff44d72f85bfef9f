"""Files that are wrong in one place: each tool reads them or refuses them with the place, and none fails.

`LIVEWS_MUTATIONS=20000 pytest tests/trace/test_mutations.py` tries more of them, `LIVEWS_SEED=7` others.
"""

import contextlib
import json
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from livews.errors import BadRequest
from livews.server import script
from tests.kit.mutation import mutated, nested
from tests.kit.names import DATA, GEMINI
from tests.kit.traces import Row
from tests.trace.kit import BARGE_IN, HEAD, READY, TOOL, Run, control, talk, write

COUNT = int(os.environ.get("LIVEWS_MUTATIONS", "40"))
SEED = os.environ.get("LIVEWS_SEED", "1")
TOOLS = (
    "show", "show --json", "stats", "stats --json", "check --strict --json", "html -o OUT", "cut --turn 1 -o OUT",
    "cut --from 0 -o OUT", "redact -o OUT", "redact --text --audio -o OUT", "export --har -o OUT", "export --wav -o OUT",
    "export --srt -o OUT", "export --vtt -o OUT", "export --md -o OUT", f"diff {TOOL}",
)  # fmt: skip
SETUP = json.dumps({"setup": {"model": "models/x"}})
ENTRY: Row = {
    "startedDateTime": "2026-11-30T20:00:00Z", "request": {"url": f"wss://example.com{GEMINI}", "headers": []},
    "_webSocketMessages": [
        {"type": "send", "time": 1.0, "opcode": 1, "data": SETUP},
        {"type": "receive", "time": 2.0, "opcode": 2, "data": "eyJzZXR1cENvbXBsZXRlIjp7fX0="},
    ],
    "_livews": {"header": HEAD, "controls": [control(3.0, "recv", "close", code=1000, reason="")]},
}  # fmt: skip


def _run_all(trace: Run, path: Path, tmp_path: Path) -> dict[str, str]:
    """What each tool says on stderr, and that none failed or wrote a character that moves a cursor."""
    said = {}
    for tool in TOOLS:
        name, *more = tool.replace("OUT", str(tmp_path / "out")).split()
        done = trace(name, path, *more)
        assert done.code in (0, 1, 2), tool
        assert "\x1b" not in done.out + done.err, tool
        assert done.code != 2 or ("livews: " in done.err and "  do " in done.err), tool
        said[name] = done.err
    return said


@pytest.mark.parametrize(
    "rest", [HEAD | {"x": nested(300)}, HEAD | {"url": "wss://[::1"}, HEAD | {"version": nested(50)}]
)
def test_a_header_that_cannot_be_used(rest: Row, trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *READY, head=rest)
    for name, err in _run_all(trace, path, tmp_path).items():
        assert f"{path}:1" in err and "cannot read the trace: " in err, name


@pytest.mark.parametrize("name", ["started", "url", "side", "livews", "protocol", "cut", "x"])
@pytest.mark.parametrize("value", [None, 5, 10**30, [1], {"x": 1}, nested(200)])
def test_a_header_of_other_types(name: str, value: Any, trace: Run, tmp_path: Path) -> None:
    said = _run_all(trace, write(tmp_path / "t.jsonl", *talk(), head=HEAD | {name: value}), tmp_path)
    assert not any("cannot read" in err for err in said.values())


@pytest.mark.parametrize(
    "row",
    [
        control(0.5, "recv", "heard", heardMs=nested(300)),
        control(0.5, "recv", "close", code=1000, reason=nested(300)),
        control(0.5, "recv", "ping", x=nested(300, dict)),
        {**READY[1], "x": nested(300)},
        {**READY[1], "t": 1e308},
        {**READY[1], "t": -1e300},
    ],
)
def test_a_line_that_cannot_be_used(row: Row, trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *READY, row, *talk()[2:])
    for name, err in _run_all(trace, path, tmp_path).items():
        assert f"{path}:4" in err or name == "check", name  # which goes on, and shows the line on stdout
    assert '"line": 4, "level": "error"' in trace("check", path, "--json").out


@pytest.mark.parametrize("size", [10**30, "9" * 20, -1, 1.5, "x"])
def test_a_size_that_is_none(size: Any, trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *({**row, "size": size} for row in READY))
    assert json.loads(trace("show", path, "--json").out.splitlines()[1])["size"] == len(b'{"setupComplete":{}}')


@pytest.mark.parametrize(
    "own",
    [
        {"controls": 5},
        {"controls": [5, {"t": 1, "dir": "recv", "close": {"x": nested(300)}}]},
        {"header": {"trace": "livews", "version": 1, "x": nested(300)}},
        {"header": HEAD | {"url": "wss://[::1"}},
        {"header": 5, "controls": {"t": 1}},
        [],
    ],
)
def test_a_har_with_what_others_call_livews(own: Any, trace: Run, tmp_path: Path) -> None:
    har, back = tmp_path / "t.har", tmp_path / "t.jsonl"
    har.write_text(json.dumps({"log": {"entries": [ENTRY | {"_livews": own}]}}))
    assert trace("import", har, "-o", back).code == 0
    assert trace("check", back).code == 0 and not any(
        "cannot read" in err for err in _run_all(trace, back, tmp_path).values()
    )


def test_a_har_with_a_url_that_is_none(trace: Run, tmp_path: Path) -> None:
    har = tmp_path / "t.har"
    har.write_text(json.dumps({"log": {"entries": [ENTRY, ENTRY | {"request": {"url": "wss://[::1/ws"}}]}}))
    done = trace("import", har, "--all", "-o", tmp_path / "t.jsonl")
    assert done.code == 2 and "/log/entries/1/request/url" in done.err


@pytest.mark.parametrize("time", ["nan", "inf", 1e308, -1e308, 10**400, None, [1]])
def test_a_har_with_a_time_that_is_none(time: Any, trace: Run, tmp_path: Path) -> None:
    har, back = tmp_path / "t.har", tmp_path / "t.jsonl"
    message = ENTRY["_webSocketMessages"][0]
    har.write_text(json.dumps({"log": {"entries": [ENTRY | {"_webSocketMessages": [message | {"time": time}]}]}}))
    trace("import", har, "-o", back)
    if back.exists():
        _run_all(trace, back, tmp_path)


@pytest.mark.parametrize("source", [BARGE_IN, TOOL, "talk"])
def test_traces(source: Path | str, trace: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = (
        [HEAD, *talk()] if source == "talk" else [json.loads(line) for line in Path(source).read_text().splitlines()]
    )
    random = Random(f"{SEED}/{source}")
    for _ in range(COUNT // 10):
        at = random.choice((0, random.randrange(len(rows))))
        lines = [json.dumps(row).encode() for row in rows]
        lines[at] = mutated(rows[at], random)
        path.write_bytes(b"\n".join([*lines, b""]))
        _run_all(trace, path, tmp_path)


def test_hars(trace: Run, tmp_path: Path) -> None:
    har, back, random = tmp_path / "t.har", tmp_path / "t.jsonl", Random(SEED)
    for _ in range(COUNT):
        har.write_bytes(mutated({"log": {"entries": [ENTRY]}}, random))
        code = trace("import", har, "--all", "-o", back).code
        assert code in (0, 2)
        if code == 0:
            said = trace("check", back)
            assert said.code in (0, 1) or "there is no message" in said.err
            assert trace("show", back).code == 0


def test_scripts(tmp_path: Path) -> None:
    path, random = tmp_path / "s.json", Random(SEED)
    scenarios = [
        json.loads(file.read_bytes()) for file in sorted((DATA.parents[1] / "protocol/scenarios").glob("*.json"))
    ]
    for _ in range(COUNT):
        path.write_bytes(mutated(random.choice(scenarios), random))
        with contextlib.suppress(BadRequest):
            script.load(str(path))
