"""`livews trace check`, and what every tool says about closes and an unanswered setup."""

import json
from pathlib import Path

import pytest

from livews.cli import main
from tests.kit.traces import control, got, sent
from tests.trace.kit import BARGE_IN, HEAD, READY, TOOL, Run, write


def test_check_is_livews_check_with_a_sum_by_rule(
    trace: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = [sent(1.0, {"clientContent": {"turnComplete": "maybe"}}), sent(1.1, {"realtimeInput": {"txt": "x"}})]
    close = control(1.2, "recv", "close", code=1007, reason="Request contains an invalid argument.")
    path = write(tmp_path / "t.jsonl", *READY, *bad, close)
    done = trace("check", path)
    assert done.code == 1
    assert main(["check", str(path)]) == 1
    assert capfd.readouterr().out == done.out
    assert f"{path}:4 error /clientContent/turnComplete: " in done.out and "(WIRE-7)" in done.out
    assert f"{path}:6 note" in done.out and "closed 1007" in done.out
    assert "by the server" in done.out
    summary = [line.split(":")[0] for line in done.err.splitlines()]
    assert summary == ["WIRE-5", "WIRE-7", "CLOSE-3", "4 messages"], "the close is none"
    assert "WIRE-7: 1 error. " in done.err
    assert trace("check", BARGE_IN, TOOL).code == 0
    assert json.loads(trace("check", path, "--json").out.splitlines()[0])["do"]
    loose = tmp_path / "one.json"
    loose.write_text('{"setup": {}}')
    assert trace("check", loose).code == 2, "a message is no trace"


@pytest.mark.parametrize(
    ("way", "refused"),
    [
        ("ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent", "explicitVadSignal"),
        ("ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained", "explicitVadSignal"),
        ("firebase.vertexai.v1alpha.GenerativeService/BidiGenerateContent?key=x", "explicitVadSignal"),
        ("ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", "explicitVadSignal proactivity"),
        ("cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent", ""),
        ("gateway?like=.v1alpha.GenerativeService", ""),
    ],
)
def test_a_recording_is_judged_by_the_version_of_its_path(way: str, refused: str, trace: Run, tmp_path: Path) -> None:
    """proactivity is not on v1beta, explicitVadSignal on neither version of the Gemini API."""
    setup = {"model": "models/nobody-knows", "proactivity": {}, "explicitVadSignal": True}
    head = {**HEAD, "url": f"wss://example.com/ws/google.{way}"}
    path = write(tmp_path / "t.jsonl", sent(0.0, {"setup": setup}), head=head)
    report = trace("check", path).out.splitlines()
    found = sorted(line.split()[2].rstrip(":").rpartition("/")[2] for line in report if "(MODEL-7)" in line)
    assert " ".join(found) == refused


def told_by_all(trace: Run, path: Path) -> dict[str, str]:
    """What each tool says of a trace, on one line."""
    asked = {"check": [], "stats": [], "show": [], "export": ["--md", "-o", "-"]}
    return {tool: " ".join(trace(tool, path, *more).out.replace("\\", "").split()) for tool, more in asked.items()}


@pytest.mark.parametrize(
    ("closes", "report", "times"),
    [
        ([("recv", 1011, "Internal error encountered."), ("send", 1011, "")], "failed inside the service", 1),
        ([("recv", 1007, "API key not valid."), ("send", 1000, "")], "The API key was rejected", 1),
        ([("recv", 1011, "Internal error encountered."), ("recv", 1006, "")], "failed inside the service", 1),
        ([("send", 1000, ""), ("recv", 1011, "Internal error encountered.")], "failed inside the service", 1),
        ([("send", 1011, ""), ("recv", 1011, "")], "The client closed with 1011; the service did not.", 1),
        ([("send", 4001, "Internal error encountered.")], "The client closed with 4001; the service did not.", 1),
        ([("send", 1011, "keepalive ping timeout")], "Your own client library gave up", 1),
        ([("send", 1006, "")], "The client went away without a close frame.", 1),
        ([("recv", 1001, "")], "One side closed because it was going away", 1),
        ([("send", 1001, ""), ("recv", 1001, "")], "going away", 0),
        ([("send", 1000, ""), ("recv", 1000, "")], "closed the connection", 0),
        ([("recv", 1000, "")], "The service ended the session and reports no error.", 1),
        ([("recv", 1000, "done"), ("send", 1000, "")], "The service ended the session and reports no error.", 1),
        ([("recv", 1005, ""), ("send", 1005, "")], "a close frame without a code", 1),
        ([("send", 1005, ""), ("recv", 1005, "")], "a close frame without a code", 0),
    ],
)
def test_a_close_is_told_once_and_laid_on_whoever_sent_it(
    closes: list[tuple[str, int, str]], report: str, times: int, trace: Run, tmp_path: Path
) -> None:
    rows = [control(1 + i, side, "close", code=code, reason=why) for i, (side, code, why) in enumerate(closes)]
    said = told_by_all(trace, write(tmp_path / "t.jsonl", *READY, *rows))
    for tool in ("check", "stats", "export"):
        assert said[tool].count(report) == times, said[tool]
    assert said["check"].count("CLOSE-3") == times
    assert "quota" not in "".join(said.values()), "what the code alone may mean is the service's"


@pytest.mark.parametrize(
    ("message", "close", "is_announced"),
    [
        ({"goAway": {"timeLeft": "50s"}}, ("recv", 1001, ""), True),
        ({"go_away": {}}, ("recv", 1006, ""), True),
        ({"goAway": {"timeLeft": "nan"}, "usageMetadata": {}}, ("recv", 1008, "It has lasted too long."), True),
        ({"goAway": {}}, ("recv", 1007, "Something else."), True),
        ({"goAway": {}}, ("recv", 1007, "API key not valid."), False),  # a row says more
        ({"goAway": {}}, ("send", 1006, ""), False),
        ({"goAway": {}}, ("recv", 1000, ""), True),
        ({"usageMetadata": {}}, ("recv", 1001, ""), False),
    ],
)
def test_a_close_after_go_away_is_reported_as_announced(
    message: dict[str, object], close: tuple[str, int, str], is_announced: bool, trace: Run, tmp_path: Path
) -> None:
    side, code, why = close
    row = control(2.0, side, "close", code=code, reason=why)
    path = write(tmp_path / "t.jsonl", *READY, got(1.0, message), row)
    reports = told_by_all(trace, path)
    for tool in ("check", "stats", "export"):
        assert reports[tool].count("announced that with goAway") == is_announced, (tool, reports[tool])


@pytest.mark.parametrize(
    ("closes", "is_told"),
    [
        ([], True),
        ([("send", 1000, "")], True),
        ([("recv", 1000, "")], True),
        ([("recv", 1006, "")], True),
        ([("send", 1011, ""), ("recv", 1011, "")], True),
        ([("recv", 1007, "API key not valid.")], False),  # the service has said why
    ],
)
def test_a_setup_that_nobody_answered_is_told(
    closes: list[tuple[str, int, str]], is_told: bool, trace: Run, tmp_path: Path
) -> None:
    rows = [control(1 + i, side, "close", code=code, reason=why) for i, (side, code, why) in enumerate(closes)]
    words = "setup has no answer: setupComplete did not come (SETUP-3)"
    path = write(tmp_path / "t.jsonl", READY[0], *rows)
    for tool, said in told_by_all(trace, path).items():
        assert said.count(words) == is_told, (tool, said)
    done = trace("check", path)
    assert done.code == 0, "a note"
    assert (f"{path}:2 note /setup: setup has no answer" in done.out) == is_told
    assert ("SETUP-3: 1 note. Connect again." in done.err) == is_told
    answered = told_by_all(trace, write(path, *READY, *rows))
    assert not any("SETUP-3" in said for said in answered.values())
