"""A finding and the close that follows it are brought together, and every tool says the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from livews.advice.suspects import Suspects
from livews.conversation import Conversation
from livews.core import protocol
from livews.trace.ending import SessionEnding
from livews.trace.session import follow
from tests.kit import traces
from tests.kit.command import livews
from tests.kit.names import DATA, GEMINI

ROWS: list[dict[str, Any]] = json.loads((DATA / "causes.json").read_text())


def trace_of(row: dict[str, Any], path: Path) -> Path:
    """A trace of these messages, one each tenth of a second, that ends with the close."""
    head = {
        "trace": "livews",
        "version": 1,
        "url": f"wss://generativelanguage.googleapis.com{GEMINI}",
        "side": "client",
    }
    lines = [
        (traces.sent if "client" in message else traces.got)(n / 10, *message.values())
        for n, message in enumerate(row["messages"], 1)
    ]
    code, reason, *by = row["close"]
    return traces.write(
        path, head, *lines, traces.control(9, "send" if by else "recv", "close", code=code, reason=reason)
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_the_cause_of_a_close(row: dict[str, Any], tmp_path: Path) -> None:
    """The finding, which message it is about and how sure that is; or that there is none."""
    ending = SessionEnding()
    closes = [
        close
        for session in follow(trace_of(row, tmp_path / "a.jsonl"))
        for record, step in session
        if (close := ending.take(record, step))
    ]
    assert [close.because for close in closes] == [row["because"]]
    assert (closes[0].cause is not None) == (" cause: " in row["because"])


@pytest.mark.parametrize("name", ["audio ahead of activityStart (3.1, June 2026)", "a misspelt key", "a fault of the service in mid-turn"])  # fmt: skip
def test_every_tool_names_it(name: str, tmp_path: Path) -> None:
    """In the words of its row, the particular before the general; as JSON with its message, line and rule."""
    row = next(row for row in ROWS if row["name"] == name)
    path, page = trace_of(row, tmp_path / "a.jsonl"), tmp_path / "a.html"
    words = row["because"].partition(" cause: ")[2] or row["because"]
    for command in (["check"], ["trace", "check"], ["trace", "stats"], ["explain"]):
        out = " ".join(livews(*command, path).stdout.split())
        assert words[1:] in out, command
    assert livews("trace", "html", path, "-o", page).returncode == 0
    end = page.read_text()
    assert json.dumps(words)[2:-1] in end
    for command in (["trace", "stats"], ["explain"]):
        (found,) = [json.loads(line) for line in livews(*command, path, "--json").stdout.splitlines()]
        close = found["closes"][0] if "closes" in found else found
        assert words in close["because"]
        cause = close.get("cause") if "closes" in found else close["found"]
        if row["because"].startswith("nothing"):
            assert not cause
        else:
            assert f"message {cause['message']}, line {cause['line']}" in words or f"line {cause['line']}" in words
            assert cause["rule"] in words


def test_of_many_findings_the_newest_are_kept() -> None:
    """A client that sends nothing but mistakes does not make a session grow."""
    conversation, suspects = Conversation(surface="gemini", version="v1beta"), Suspects()
    for n in range(300):
        suspects.take(conversation.step_message("client", {"realtimeInput": {f"x{n}": 1}}))
    assert len(suspects._found) == 100


def test_rows_of_closes_name_rules() -> None:
    """Each rule that a row names as its cause exists, and speaks about clients' messages."""
    levels = {rule: row["level"] for rule, row in protocol.rules().items()}
    for row in protocol.closes():
        assert all(levels[rule] != "server" for rule in row.get("causedBy", ())), row["id"]
