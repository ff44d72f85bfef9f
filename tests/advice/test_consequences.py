"""What a finding explains is counted with it: `advice.consequences`, and where its words are printed."""

import json
from pathlib import Path
from typing import Any

import pytest

from livews.advice.consequences import FindingDigest, FoldedFinding
from livews.cli import main
from livews.conversation import Conversation
from livews.core import protocol, rules
from livews.core.findings import Finding
from livews.trace.view import TraceView
from tests.kit.names import DATA
from tests.kit.traces import got, sent
from tests.trace.kit import write

CASES = json.loads((DATA / "consequences.json").read_text())


def rows_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for message in case["messages"]:
        t = len(rows) / 10
        is_server = not message.keys().isdisjoint({"setupComplete", "serverContent", "toolCall"})
        rows += [got(t, message) if is_server else sent(t, message)] * message.pop("times", 1)
    return rows


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_consequence_is_counted_with_its_cause(
    case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "t.jsonl", *rows_of(json.loads(json.dumps(case))))
    for command in (["check"], ["trace", "check"]):
        code = main([*command, "--json", str(path)])
        out, err = capsys.readouterr()
        found = [json.loads(line) for line in out.splitlines()]
        assert [
            [row["line"], row["rule"], row.get("count", 1), row.get("consequences", {}).get("rules", {})]
            for row in found
        ] == case["found"]
        assert code == any(row["level"] == "error" for row in found)
        more = sum(row[2] - 1 + sum(row[3].values()) for row in case["found"])
        assert (f"; {more} more repeat or follow from them" in err) is bool(more)
    assert main(["check", "--strict", str(path)]) == bool(found)
    for text in case["says"]:
        assert text in capsys.readouterr().out.replace("\n", " ")


def test_the_rows_name_rules() -> None:
    known = protocol.rules().keys() | {"error"}
    rows = protocol.load("rules.json")["consequences"]
    assert all({*row["of"], *row["are"]} <= known and row.keys() <= {"of", "at", "are", "within"} for row in rows)
    of = [name for row in rows for name in row["of"]]
    assert {"SETUP-1", "WIRE-8", "ACTIVITY-1", "AUDIO-7", "AUDIO-12"} <= set(of)


def note(rule: str, path: str = "", **more: Any) -> Finding:
    return rules.finding(rule, path, level="note", **more)


def test_an_error_is_not_folded_into_a_note() -> None:
    digest = FindingDigest()
    assert digest.take([note("SETUP-1")], 1) and digest.take([rules.finding("SETUP-3", level="error")], 2)


def test_another_session_has_causes_of_its_own() -> None:
    digest = FindingDigest()
    digest.take([rules.finding("SETUP-1")], 1)
    assert digest.take([note("SETUP-3")], 2) == []
    digest.begin()
    assert digest.take([note("SETUP-3")], 3) and not digest.take([rules.finding("SETUP-1")], 4)


def test_a_cause_may_stand_after_its_consequence_in_a_message() -> None:
    found = [note("SETUP-2"), rules.finding("WIRE-8")]
    assert FindingDigest().take(found, 1) == found[1:]


def test_of_many_findings_the_oldest_are_given_up() -> None:
    gone: list[FoldedFinding] = []
    digest = FindingDigest(gone.append)
    for i in range(3_000):
        digest.take([note("WIRE-11", f"/{i}")], i)
    assert len(gone) == 2_000 and len(digest.all()) == 1_000
    digest.close()
    assert [one.finding.path for one in gone] == [f"/{i}" for i in range(3_000)]


def test_the_trace_on_a_terminal_says_at_the_end_what_came_again() -> None:
    lines: list[str] = []
    view, conversation = TraceView(lines.append, lambda style, text: text, str), Conversation()
    for sender, message in (("client", {"setup": {"model": "models/test"}}), ("server", {"setupComplete": {}})) * 3:
        step = conversation.step_message(sender, message)
        view.frame(0.0, "send" if sender == "client" else "recv", "text", step)
    view.close()
    said = [line.strip() for line in lines if "!" in line]
    assert said[0].startswith("!  setup must come first, and only once (SETUP-1)")
    assert said[1:] == ["!  SETUP-1, 2 times, the last in message 5, and 2 more messages because of it (SETUP-3)"]
