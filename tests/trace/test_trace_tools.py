"""`livews trace`: recorded sessions shown, judged, measured, compared, cut, redacted and converted."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
import wave
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from livews.cli import main
from livews.core import codec
from livews.errors import BadRequest
from livews.report.data import MemberDocs
from livews.report.data import ReportSession as Page
from livews.server.server import serve_stand_in
from livews.trace import reader as trace_reader
from livews.trace.session import follow
from livews.trace.tail import Tail
from tests.kit import traces
from tests.kit.command import livews, serving
from tests.kit.names import DATA, GEMINI, KEY
from tests.kit.sound import silence, speech
from tests.kit.talk import config
from tests.kit.traces import Row, asked, control, got, sent, transcript

BARGE_IN, TOOL = DATA / "barge_in.jsonl", DATA / "tool.jsonl"


class Done:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def trace(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs `livews trace WORDS` in this process."""

    def run(*words: object) -> Done:
        capfd.readouterr()
        code = main(["trace", *map(str, words)])
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


def piped(*words: str, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "livews", "trace", *words]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=30)


# Traces made by hand, so that their figures are known


def voice(t: float, pcm: bytes, rate: int = 24000) -> Row:
    blob = {"mimeType": f"audio/pcm;rate={rate}", "data": codec.encode_base64(pcm)}
    return got(t, {"serverContent": {"modelTurn": {"parts": [{"inlineData": blob}]}}})


def microphone(t: float, pcm: bytes, rate: int = 16000) -> Row:
    blob = {"mimeType": f"audio/pcm;rate={rate}", "data": codec.encode_base64(pcm)}
    return sent(t, {"realtimeInput": {"audio": blob}})


def over(t: float) -> Row:
    usage = {
        "promptTokenCount": 10, "responseTokenCount": 25, "totalTokenCount": 35,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}],
    }  # fmt: skip
    return got(t, {"serverContent": {"turnComplete": True}, "usageMetadata": usage})


HEAD: Row = {
    "trace": "livews", "version": 1, "started": "2026-11-22T12:00:00.000000Z",
    "url": "wss://example.com/ws/x.GenerativeService.BidiGenerateContent", "side": "client", "livews": "0.1.0",
    "protocol": "2026-11-22",
}  # fmt: skip
READY = [
    sent(0.0, {"setup": {"model": "models/gemini-3.8-live", "outputAudioTranscription": {}}}),
    got(0.1, {"setupComplete": {}}),
]


def tone(seconds: float, rate: int = 24000, level: int = 5000) -> bytes:
    return array("h", [level] * int(seconds * rate)).tobytes()


def write(path: Path, *rows: Row, head: Row = HEAD) -> Path:
    return traces.write(path, head, *rows)


def talk() -> list[Row]:
    """Two turns: one answered in full, one that a text cuts off after 0.5 s were heard."""
    return [
        *READY,
        asked(1.0, "Hello"),
        transcript(1.2, "Good "),
        voice(1.25, bytes(4800)),  # 100 ms of silence
        voice(1.4, tone(0.9)),
        transcript(1.45, "day."),
        got(1.5, {"serverContent": {"generationComplete": True}}),
        over(2.3),
        asked(3.0, "And now?"),
        transcript(3.1, "A long story. "),
        voice(3.2, tone(1.0)),
        transcript(3.3, "It never ends."),
        voice(3.45, tone(1.0)),
        sent(3.7, {"realtimeInput": {"text": "stop"}}),
        got(3.72, {"serverContent": {"interrupted": True}}),
        voice(3.73, tone(0.2)),
        over(3.74),
        control(3.8, "recv", "heard", receivedMs=2000, heardMs=480.0, interrupted=True, underruns=2, underrunMs=30.0),
        control(4.0, "send", "close", code=1000),
        control(4.1, "recv", "close", code=1000, reason=""),
    ]


# show


def test_show_prints_what_the_live_view_printed(trace: Callable[..., Done], tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with serving("--pace", "0", "--quiet") as (url, _):
        live = livews("--url", url, "--mute", "--trace", f"--trace={path}", "Hi")
    shown = trace("show", path).out.splitlines()
    assert len(shown) > 10
    # each of the two has the time at which it was told
    printed = [line[8:] for line in live.stderr.splitlines() if "→" in line or "←" in line]
    assert [line[8:] for line in shown] == printed


def test_show_what_is_asked_for(trace: Callable[..., Done], tmp_path: Path) -> None:
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
    assert rows[2]["message"]["serverContent"]["modelTurn"]["parts"][0]["inlineData"]["data"].startswith(
        "elided:48000:"
    )


def test_show_faults_sizes_and_hostile_text(trace: Callable[..., Done], tmp_path: Path) -> None:
    bad = sent(1.0, {"clientContent": {"turnComplete": "maybe"}})
    said = got(1.1, {"serverContent": {"outputTranscription": {"text": f"\x1b[2J{KEY}"}}}) | {"size": 99_999}
    path = write(tmp_path / "t.jsonl", *READY, bad, said)
    assert "99,999 B" in trace("show", path).out
    assert "\x1b" not in trace("show", path).out and KEY not in trace("show", path).out
    faults = trace("show", path, "--faults").out.splitlines()
    assert len(faults) == 2 and "clientContent" in faults[0] and "WIRE-7" in faults[1]
    assert "\x1b" not in trace("show", path, "--json").out
    assert "\x1b[" in trace("show", path, "--color", "always").out


def test_stdin_and_elided_media(trace: Callable[..., Done]) -> None:
    shown = piped("show", "-", stdin=TOOL.read_bytes())
    assert shown.returncode == 0 and shown.stderr == b""
    assert "15,568 B   audio 240 ms" in shown.stdout.decode()
    assert shown.stdout.decode() == trace("show", TOOL).out


# Files that are not whole


@pytest.mark.parametrize("tool", ["show", "stats", "check", "redact", "export"])
def test_a_trace_that_was_cut_off(tool: str, trace: Callable[..., Done], tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) - 30])
    out = ["-o", str(tmp_path / "out.md")] if tool in ("redact", "export") else []
    done = trace(tool, path, *out)
    assert done.code == 0
    assert f"{path}:{len(talk()) + 1}" in done.err + done.out
    assert "cut off" in done.err + done.out


def test_a_session_behind_half_a_line(trace: Callable[..., Done], tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    half = path.read_bytes()[:-20]
    path.write_bytes(half + write(tmp_path / "u.jsonl", *READY).read_bytes())
    found = [(session.number, len(list(session)), session.cut_at) for session in follow(path)]
    assert found == [(1, len(talk()) - 1, len(talk()) + 1), (2, 2, None)]
    assert "-- session 2" in trace("show", path).out
    assert len(trace("stats", path, "--json").out.splitlines()) == 2
    assert trace("check", path).code == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no session"),
        ('{"setup":{}}\n', "no header"),
        (json.dumps({**HEAD, "version": 2}) + "\n", "version 2"),
        (json.dumps(HEAD) + "\nnonsense\n" + json.dumps(READY[0]) + "\n", ":2"),
    ],
)
def test_what_is_no_trace_is_refused(text: str, told: str, trace: Callable[..., Done], tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    for words in (["show"], ["stats"], ["cut", "--turn", "1", "-o", str(tmp_path / "o")]):
        done = trace(words[0], path, *words[1:])
        assert done.code == 2 and told in done.err and "do " in done.err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("tool", ["show", "check", "stats", "redact", "html", "replay", "import"])
def test_what_has_no_lines_is_refused_by_its_first_bytes(tool: str) -> None:
    """Nobody ends this stdin: a reader that waits for a line, or for the end, would wait for ever."""
    words = {"redact": ["-o", "-"], "html": ["-o", "-"], "import": ["-o", "-"], "replay": ["--offline"]}
    command = [sys.executable, "-m", "livews", "trace", tool, "-", *words.get(tool, ())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(bytes(100))
            process.stdin.flush()
            assert process.wait(20) == 2
            assert process.stderr is not None
            told = process.stderr.read()
            assert (b"not a JSON object" if tool == "import" else b"stdin:1") in told
        finally:
            process.kill()


@pytest.mark.parametrize(
    "opening", [lambda path: path, lambda path: trace_reader.lines_of(io.BytesIO(path.read_bytes()), "t")]
)
def test_a_line_has_a_bound(opening: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_reader, "MOST_LINE", 10_000)
    monkeypatch.setattr(trace_reader, "_PIECE", 1000)
    path = write(tmp_path / "t.jsonl", *READY, asked(1.0, "a" * 8000))
    assert len(list(next(follow(opening(path))))) == 3
    write(path, *READY, asked(1.0, "a" * 20_000))
    with pytest.raises(BadRequest, match=r"line 4 of .* is too long") as told:
        for session in follow(opening(path)):
            list(session)
    assert told.value.where.endswith(":4")
    path.write_text(json.dumps(HEAD) + "\n" + "a" * 20_000)
    with pytest.raises(BadRequest, match="too long"):
        tail = Tail(path)
        while [*tail.take()] or tail.behind:
            pass


def test_lines_are_those_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"\xef\xbb\xbf{}\n\n\r\none\rtwo\r\nthree"
    for size in (1, 2, 3, 7, 100):
        monkeypatch.setattr(trace_reader, "_PIECE", size)
        assert list(trace_reader.lines_of(io.BytesIO(raw), "t")) == list(io.BytesIO(raw)), size


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("tool", ["show", "replay"])
def test_ctrl_c_ends_a_wait_for_stdin(tool: str) -> None:
    command = [sys.executable, "-m", "livews", "trace", tool, "-", *(["--offline"] if tool == "replay" else [])]
    reader, writer = os.pipe()
    with subprocess.Popen(command, stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.close(reader)
        try:
            os.write(writer, json.dumps(HEAD).encode() + b"\n")
            rest, there = b"", array("i", [1])
            while there[0]:  # until it has taken what is in the pipe
                fcntl.ioctl(writer, termios.FIONREAD, there)
                time.sleep(0.02)
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
            assert process.stderr is not None
            rest = process.stderr.read()
        finally:
            process.kill()
            os.close(writer)
    assert b"Traceback" not in rest


def test_a_damaged_line_is_the_file_s(trace: Callable[..., Done], tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:4], "oops\n", *lines[4:]]))
    done = trace("check", path)
    assert done.code == 1 and f"{path}:5 error /: this line of the file is damaged" in done.out
    assert "Restore the line or take it out" in done.err and "frame" not in done.err
    assert f"{path}:5" in trace("show", path).err

    tail = Tail(path)
    with path.open("a") as file:
        page = None
        for part in ("", "more\n"):  # a number is that of the file, however it is read
            file.write(part)
            file.flush()
            for session, line, step in tail.take():
                page = page or Page(session, MemberDocs())
                if line is not None:
                    page.push(line, step)
    assert page is not None
    told = [text for text in page.data()["words"] if "cannot be read" in text]
    page.close()
    assert [text.split(" of ")[0] for text in told] == ["line 5", f"line {len(lines) + 2}"]


# What is not there


@pytest.mark.parametrize("tool", ["show", "stats", "cut", "replay", "md", "har", "wav"])
def test_a_session_that_is_not_there(tool: str, trace: Callable[..., Done], tmp_path: Path) -> None:
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


def test_a_turn_or_kind_that_is_not_there(trace: Callable[..., Done], tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk(), got(9.0, {"brandNew": {}}))
    done = trace("show", path, "--turn", "9")
    assert done.code == 2 and "there is no turn 9" in done.err and "--turn 1 to" in done.err
    for kind, meant in (("servercontent", "serverContent"), ("server_content", "serverContent"), ("Close", "close")):
        done = trace("show", path, "--kind", f"setup,{kind}")
        assert done.code == 2 and f"did you mean {meant}?" in done.err and done.out == ""
    done = trace("show", path, "--kind", "serverContnt")
    assert done.code == 2 and "did you mean serverContent?" in done.err
    done = trace("show", path, "--kind", "setup,nope")
    assert done.code == 0 and "no message is a nope" in done.err and len(done.out.splitlines()) == 1
    done = trace("show", path, "--kind", "brandNew")
    assert done.code == 0 and done.err == "" and "brandNew" in done.out
    done = trace("show", path, "--kind", "toolCallCancellation")
    assert done.code == 0 and "livews:" not in done.err, "the protocol has it, this trace has none"


def test_what_was_put_in_is_marked(trace: Callable[..., Done], tmp_path: Path) -> None:
    rows = talk()
    rows[3]["inserted"] = True
    path = write(tmp_path / "t.jsonl", *rows)
    marked = [line for line in trace("show", path).out.splitlines() if "written by hand" in line]
    assert len(marked) == 1 and marked[0].lstrip().startswith(f"{rows[3]['t']:.3f}")
    told = [json.loads(line) for line in trace("show", path, "--json").out.splitlines()]
    assert [row["line"] for row in told if row.get("inserted")] == [5]


def test_all_tools_count_alike(trace: Callable[..., Done], tmp_path: Path) -> None:
    rows = [*READY, got(0.2, {"toolCall": 5}), got(0.3, {"brandNew": {}})]
    path = write(tmp_path / "t.jsonl", *rows, control(1.0, "recv", "close", code=1011, reason="Internal error."))
    checked = trace("check", path).err.splitlines()[-1]
    made = trace("html", path, "-o", tmp_path / "o.html").err
    count, errors, notes = (int(word) for word in checked.split() if word.isdecimal())
    assert count == len(rows) and errors + notes > 1
    assert f"1 session, {count} messages, {errors + notes} findings, " in made
    write(path, *READY, got(0.3, {"brandNew": {}}))
    assert "3 messages, 1 finding, " in trace("html", path, "-o", tmp_path / "o.html").err


# check


def test_check_is_livews_check_with_a_sum_by_rule(
    trace: Callable[..., Done], tmp_path: Path, capfd: pytest.CaptureFixture[str]
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
def test_a_recording_is_judged_by_the_version_of_its_path(
    way: str, refused: str, trace: Callable[..., Done], tmp_path: Path
) -> None:
    """proactivity is not on v1beta, explicitVadSignal on neither version of the Gemini API."""
    setup = {"model": "models/nobody-knows", "proactivity": {}, "explicitVadSignal": True}
    head = {**HEAD, "url": f"wss://example.com/ws/google.{way}"}
    path = write(tmp_path / "t.jsonl", sent(0.0, {"setup": setup}), head=head)
    told = trace("check", path).out.splitlines()
    found = sorted(line.split()[2].rstrip(":").rpartition("/")[2] for line in told if "(MODEL-7)" in line)
    assert " ".join(found) == refused


def told_by_all(trace: Callable[..., Done], path: Path) -> dict[str, str]:
    """What each tool says of a trace, on one line."""
    asked = {"check": [], "stats": [], "show": [], "export": ["--md", "-o", "-"]}
    return {tool: " ".join(trace(tool, path, *more).out.replace("\\", "").split()) for tool, more in asked.items()}


@pytest.mark.parametrize(
    ("closes", "told", "times"),
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
        ([("send", 1000, ""), ("recv", 1000, "")], "closed normally", 0),
    ],
)
def test_a_close_is_told_once_and_laid_on_whoever_sent_it(
    closes: list[tuple[str, int, str]], told: str, times: int, trace: Callable[..., Done], tmp_path: Path
) -> None:
    rows = [control(1 + i, side, "close", code=code, reason=why) for i, (side, code, why) in enumerate(closes)]
    said = told_by_all(trace, write(tmp_path / "t.jsonl", *READY, *rows))
    for tool in ("check", "stats", "export"):
        assert said[tool].count(told) == times, said[tool]
    assert said["check"].count("CLOSE-3") == times
    assert "quota" not in "".join(said.values()), "what the code alone may mean is the service's"


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
    closes: list[tuple[str, int, str]], is_told: bool, trace: Callable[..., Done], tmp_path: Path
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


# stats


def test_the_figures_of_a_session(trace: Callable[..., Done], tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    row = json.loads(trace("stats", path, "--json").out)
    assert row["turns"] == {"user": 3, "model": 2, "interrupted": 1}, "the text that stopped it was never answered"
    assert row["latency"]["firstByte"] == {"p50": 0.1, "p95": 0.2, "count": 2}
    assert row["latency"]["firstSound"] == {"p50": 0.2, "p95": 0.4, "count": 2}, "100 ms of silence are no sound"
    assert row["bargeIn"] == {"p50": 0.02, "p95": 0.02, "count": 1}
    assert row["audio"]["server"]["seconds"] == 3.2 and row["audio"]["server"]["chunkMs"]["max"] == 1000
    assert row["audio"]["server"]["largestGap"] == 0.25
    assert row["speed"]["count"] == 2 and row["speed"]["min"] == 4.0
    assert row["ranDry"] == {"times": 1, "seconds": 0.05}
    assert row["heard"]["underruns"] == 2 and row["heard"]["heardMs"] == 480
    assert row["tokens"] == {"prompt": {"total": 20, "TEXT": 20}, "response": {"total": 50, "AUDIO": 50}, "total": 70}
    assert row["seconds"] == 4.1 and row["setup"] == 0.1
    assert row["messages"]["client"]["kinds"]["clientContent"]["count"] == 2
    assert [close["code"] for close in row["closes"]] == [1000], "the other is its answer"
    assert not row["unanswered"]
    shown = trace("stats", path).out
    assert "p50 0.100 s, p95 0.200 s (2) after the user was done" in shown


def test_latency_counts_from_the_end_of_speech(trace: Callable[..., Done], tmp_path: Path) -> None:
    pcm = speech(1.0) + silence(1.0)
    piece = 3200
    mic = [
        microphone(round(1.1 + i * 0.1, 3), pcm[at : at + piece]) for i, at in enumerate(range(0, len(pcm), piece))
    ]
    into = [microphone(round(3.3 + i * 0.1, 3), speech(0.1)) for i in range(3)]
    answer = [voice(2.95, tone(1.0)), *into, got(3.55, {"serverContent": {"interrupted": True}}), over(3.56)]
    path = write(tmp_path / "t.jsonl", *READY, *mic, *answer)
    row = json.loads(trace("stats", path, "--json").out)
    assert row["latency"]["firstByte"]["p50"] == pytest.approx(0.95, abs=0.06)
    assert row["bargeIn"]["p50"] == pytest.approx(0.35, abs=0.03)
    assert row["audio"]["client"]["chunkMs"]["p50"] == 100
    real = json.loads(trace("stats", BARGE_IN, "--json").out)
    assert real["turns"]["interrupted"] == 1 and 0.1 < real["bargeIn"]["p50"] < 0.3


def test_a_close_is_explained_and_elided_sound_counts(trace: Callable[..., Done], tmp_path: Path) -> None:
    close = control(2.0, "recv", "close", code=1011, reason="Internal error encountered.")
    row = json.loads(trace("stats", write(tmp_path / "t.jsonl", *READY, close), "--json").out)
    assert row["closes"][0]["id"] == "internal-error" and row["closes"][0]["do"]
    elided = json.loads(trace("stats", TOOL, "--json").out)
    assert elided["elided"] and elided["audio"]["server"]["seconds"] == pytest.approx(4.65, abs=0.1)
    assert "firstSound" not in elided["latency"]


# diff


def respelt(rows: list[Row]) -> list[Row]:
    """The same session: other spelling, other times, other ids, other pieces, other base64."""
    out: list[Row] = []
    for row in json.loads(json.dumps(rows)):
        row["t"] += 7
        message = row.get("message", {})
        if "clientContent" in message:
            content = message.pop("clientContent")
            message["client_content"] = {"turn_complete": content["turnComplete"], "turns": content["turns"]}
        if "usageMetadata" in message:
            message["usageMetadata"]["totalTokenCount"] += 3
        parts = message.get("serverContent", {}).get("modelTurn", {}).get("parts", [])
        if parts:
            pcm = codec.decode_base64(parts[0]["inlineData"]["data"])
            for half in (pcm[:1001], pcm[1001:]):
                again = voice(row["t"], half)
                blob = again["message"]["serverContent"]["modelTurn"]["parts"][0]["inlineData"]
                blob["data"] = blob["data"].replace("+", "-").replace("/", "_").rstrip("=")
                out += [again, got(row["t"], {"serverContent": {}})]
            continue
        out.append(row)
    text = json.dumps(out).replace("call-1", "fc_998").replace("handle-1", "another")
    made: list[Row] = json.loads(text)
    return made


def session() -> list[Row]:
    pcm = os.urandom(6000)
    call = {"functionCalls": [{"id": "call-1", "name": "f", "args": {"n": 1}}]}
    answer = {"functionResponses": [{"id": "call-1", "name": "f", "response": {"ok": True}}]}
    return [
        *READY,
        got(0.2, {"sessionResumptionUpdate": {"newHandle": "handle-1", "resumable": True}}),
        asked(1.0, "Hello"),
        transcript(1.1, "Good "),
        voice(1.2, pcm[:2000]),
        transcript(1.3, "day."),
        voice(1.3, pcm[2000:]),
        over(2.0),
        asked(3.0, "More"),
        got(3.1, {"toolCall": call}),
        sent(3.2, {"toolResponse": answer}),
        transcript(3.3, "Done."),
        over(4.0),
        control(5.0, "recv", "close", code=1000, reason=""),
    ]


def test_the_same_said_otherwise_is_alike(trace: Callable[..., Done], tmp_path: Path) -> None:
    rows = session()
    one, other = write(tmp_path / "a.jsonl", *rows), write(tmp_path / "b.jsonl", *respelt(rows))
    done = trace("diff", one, other)
    assert (done.code, done.out) == (0, "")
    assert "alike" in done.err


def _text(rows: list[Row]) -> None:
    rows[4]["message"]["serverContent"]["outputTranscription"]["text"] = "Bad "


def _sample(rows: list[Row]) -> None:
    pcm = codec.decode_base64(rows[5]["message"]["serverContent"]["modelTurn"]["parts"][0]["inlineData"]["data"])
    rows[5] = voice(1.2, pcm[:-2] + bytes([pcm[-2] ^ 1, pcm[-1]]))


def _argument(rows: list[Row]) -> None:
    rows[10]["message"]["toolCall"]["functionCalls"][0]["args"]["n"] = 2


def _other_call(rows: list[Row]) -> None:
    rows[11]["message"]["toolResponse"]["functionResponses"][0]["id"] = "call-2"


def _order(rows: list[Row]) -> None:
    rows[3], rows[9] = rows[9], rows[3]


def _left_out(rows: list[Row]) -> None:
    del rows[10]


def _close(rows: list[Row]) -> None:
    rows[-1]["close"]["code"] = 1011


def _tokens(rows: list[Row]) -> None:
    rows[8]["message"]["usageMetadata"]["totalTokenCount"] = 500


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (_text, "/outputTranscription"),
        (_sample, "/sound"),
        (_argument, "/toolCall/functionCalls/0/args/n"),
        (_other_call, "/toolResponse/functionResponses/0/id"),
        (_order, "/clientContent"),
        (_left_out, "/toolCall"),
        (_close, "/close/code"),
        (_tokens, "/usageMetadata/totalTokenCount"),
    ],
)
def test_one_difference_is_told_by_its_path(
    change: Callable[[list[Row]], None], path: str, trace: Callable[..., Done], tmp_path: Path
) -> None:
    rows = session()
    one = write(tmp_path / "a.jsonl", *rows)
    changed = respelt(rows) if change in (_close,) else json.loads(json.dumps(rows))
    change(changed)
    other = write(tmp_path / "b.jsonl", *changed)
    done = trace("diff", one, other, "--json")
    assert done.code == 1
    found = [json.loads(line) for line in done.out.splitlines()]
    assert any(row["path"].startswith(path) for row in found), found
    assert len(found) <= 3, "one change is told once, or by what moved because of it"
    assert trace("diff", other, one).code == 1


def test_sound_may_be_compared_by_length(trace: Callable[..., Done], tmp_path: Path) -> None:
    rows = session()
    one = write(tmp_path / "a.jsonl", *rows)
    _sample(rows)
    other = write(tmp_path / "b.jsonl", *rows)
    assert trace("diff", one, other).code == 1
    assert trace("diff", one, other, "--sound", "length").code == 0
    assert trace("redact", one, "--audio", "-o", tmp_path / "e.jsonl").code == 0
    assert trace("diff", one, tmp_path / "e.jsonl").code == 0, "elided sound has a length alone"


# cut and redact


def test_a_part_is_a_trace(trace: Callable[..., Done], tmp_path: Path) -> None:
    path, out = write(tmp_path / "t.jsonl", *talk()), tmp_path / "out.jsonl"
    assert trace("cut", path, "--turn", "2", "-o", out).code == 0
    lines = out.read_bytes().splitlines()
    whole = path.read_bytes().splitlines()
    assert lines[1:] == whole[1:3] + whole[10:], "setup, and the second turn, byte for byte"
    assert json.loads(lines[0])["cut"] == {"turn": 2}
    assert trace("check", out).code == 0
    assert trace("cut", path, "--from", "3.2", "--to", "3.45", "-o", "-").out.count('"t": 3.') == 3
    nothing = trace("cut", path, "--turn", "9", "-o", tmp_path / "none.jsonl")
    assert nothing.code == 2 and "2 turns" in nothing.err
    assert not (tmp_path / "none.jsonl").exists()
    for words in ([], ["--turn", "1", "--from", "1"], ["--from", "2", "--to", "1"], ["--turn", "0"]):
        assert trace("cut", path, *words, "-o", out).code == 2


def secret_session() -> list[Row]:
    setup = {"setup": {"model": "projects/my-project/locations/us/publishers/google/models/gemini-3.8-live",
                       "sessionResumption": {"handle": "old-handle-77"}}}  # fmt: skip
    call = {
        "functionCalls": [{"id": "c1", "name": "login", "args": {"apiKey": "hunter2", "note": "Zebra", "pin": 4711}}]
    }
    return [
        sent(0.0, setup),
        got(0.1, {"setupComplete": {"sessionId": "session-id-55"}}),
        got(0.2, {"session_resumption_update": {"new_handle": "new-handle-88", "resumable": True}}),
        asked(1.0, f"My key is {KEY}, Elephant"),
        voice(1.2, tone(0.1)),
        transcript(1.3, "Giraffe says"),
        got(1.4, {"toolCall": call}),
        got(1.5, {"serverContent": {"modelTurn": {"parts": [{"thing": "NEWCOMER"}]}}}),
        {"t": 1.6, "dir": "recv", "opcode": "binary", "raw": codec.encode_base64(f"{KEY} Walrus".encode())},
        control(2.0, "recv", "close", code=1007, reason="Unknown name \"Ostrich\" at 'setup': Cannot find field."),
    ]


SECRETS = (KEY, "old-handle-77", "new-handle-88", "session-id-55", "hunter2", "my-project", "tokentoken")
SAID = ("Elephant", "Giraffe", "Zebra", "4711", "NEWCOMER", "Ostrich", "Walrus")


def _readable(path: Path) -> str:
    text = path.read_text()
    raws = [json.loads(line).get("raw", "") for line in text.splitlines()]
    return text + "".join(codec.decode_base64(raw).decode() for raw in raws)


def test_redacted_traces_hold_no_secret(trace: Callable[..., Done], tmp_path: Path) -> None:
    head = {**HEAD, "url": "wss://example.com/x.BidiGenerateContent?key=tokentoken&a=b"}
    path = write(tmp_path / "t.jsonl", *secret_session(), head=head)
    some, all_ = tmp_path / "some.jsonl", tmp_path / "all.jsonl"
    done = trace("redact", path, "-o", some)
    assert done.code == 0 and "still in it" in done.err
    assert trace("redact", path, "--audio", "--text", "-o", all_).code == 0
    before, kept, gone = _readable(path), _readable(some), _readable(all_)
    for secret in SECRETS:
        assert secret in before and secret not in kept and secret not in gone
    for word in SAID:
        assert word in before and word not in gone
        assert word in kept
    assert "xxxxxxx xxxx" in gone and "elided:" in gone and "elided:" not in kept
    assert "a=b" in kept and '"login"' in gone and "models/gemini-3.8-live" in gone
    assert "[handle 1]" in gone and "[handle 2]" in gone and "[session 1]" in gone

    def shape(path: Path) -> list[str]:
        return [" ".join(line.split()[:4]) for line in trace("show", path).out.splitlines() if line[8] == " "]

    assert shape(path)[:7] == shape(all_)[:7]
    assert "1007" in trace("show", all_).out
    assert all(mode & 0o077 == 0 for mode in (some.stat().st_mode, all_.stat().st_mode))


def test_nothing_is_written_over_the_input_or_left_half(trace: Callable[..., Done], tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    link = tmp_path / "same.jsonl"
    link.symlink_to(path)
    before = path.read_bytes()
    for out in (path, link, tmp_path):
        for words in (
            ["redact"],
            ["cut", "--turn", "1"],
            ["export", "--md"],
            ["export", "--har"],
            ["export", "--wav"],
        ):
            assert trace(words[0], path, *words[1:], "-o", out).code == 2
    assert path.read_bytes() == before
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(before + b"nonsense\n{}\n")
    there = tmp_path / "there.jsonl"
    there.write_text("as it was")
    assert trace("redact", broken, "-o", there).code == 2
    assert there.read_text() == "as it was"
    assert trace("redact", path, "-o", tmp_path / "no" / "folder").code == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["broken.jsonl", "same.jsonl", "t.jsonl", "there.jsonl"]


# export


def test_sound_stands_where_it_was_heard(trace: Callable[..., Done], tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    mic = [microphone(round(0.3 + i * 0.1, 3), tone(0.1, 16000, 3000)) for i in range(5)]
    path, out = write(tmp_path / "t.jsonl", *READY, *mic, *talk()[2:]), tmp_path / "out.wav"
    done = trace("export", path, "-o", out)
    assert done.code == 0, done.err
    with wave.open(str(out)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 24000, 2)
        both = array("h", file.readframes(file.getnframes()))
    user, model = both[0::2], both[1::2]

    def loud(channel: array[int], start: float, end: float) -> bool:
        return all(abs(sample) > 1000 for sample in channel[int(start * 24000) : int(end * 24000)])

    def still(channel: array[int], start: float, end: float) -> bool:
        return all(abs(sample) < 200 for sample in channel[int(start * 24000) : int(end * 24000)])

    assert still(user, 0, 0.19) and loud(user, 0.21, 0.69) and still(user, 0.71, 3.5)
    assert still(model, 0, 1.39) and loud(model, 1.41, 2.29) and still(model, 2.31, 3.19)
    assert loud(model, 3.21, 3.67) and still(model, 3.69, 4.0), "480 ms were heard, though it was stopped after 520"
    assert len(model) < 3.8 * 24000
    if shutil.which("soxi"):
        assert subprocess.run(["soxi", "-c", out], capture_output=True, text=True).stdout.strip() == "2"
    if shutil.which("ffprobe"):
        asked = ["ffprobe", "-v", "error", "-show_entries", "stream=channels,sample_rate", "-of", "csv=p=0", out]
        assert subprocess.run(asked, capture_output=True, text=True).stdout.strip() == "24000,2"


def test_without_a_heard_line_sound_ends_at_the_interruption(trace: Callable[..., Done], tmp_path: Path) -> None:
    rows = [row for row in talk() if "heard" not in row]
    path, out = write(tmp_path / "t.jsonl", *rows), tmp_path / "out.wav"
    assert trace("export", path, "-o", out).code == 0
    with wave.open(str(out)) as file:
        assert file.getnchannels() == 2, "nobody spoke: one rate"
        assert file.getnframes() == pytest.approx(3.72 * 24000, abs=2)


def test_without_a_resampler_there_are_two_files(
    trace: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livews.cli.trace.export.resampler", lambda rate, wanted: None)
    done = trace("export", BARGE_IN, "-o", tmp_path / "out.wav")
    assert done.code == 0 and "pip install soxr" in done.err and "livews[" not in done.err
    assert not (tmp_path / "out.wav").exists()
    for name, rate in (("user", 16000), ("model", 24000)):
        with wave.open(str(tmp_path / f"out-{name}.wav")) as file:
            assert (file.getnchannels(), file.getframerate()) == (1, rate)
            assert any(file.readframes(file.getnframes()))


def test_sound_that_is_not_there_is_refused(trace: Callable[..., Done], tmp_path: Path) -> None:
    done = trace("export", TOOL, "-o", tmp_path / "out.wav")
    assert done.code == 2 and "elide" in done.err
    far = write(tmp_path / "far.jsonl", *READY, voice(1e8, tone(0.1)))
    assert trace("export", far, "-o", tmp_path / "out.wav").code == 2
    assert not (tmp_path / "out.wav").exists()


def test_captions(trace: Callable[..., Done], tmp_path: Path) -> None:
    rows = talk()
    rows[3] = transcript(1.2, "<b>Good</b> --> &")
    path = write(tmp_path / "t.jsonl", *rows)
    srt, vtt = tmp_path / "t.srt", tmp_path / "t.vtt"
    assert trace("export", path, "-o", srt).code == trace("export", path, "-o", vtt).code == 0
    text = srt.read_text()
    assert text.startswith(
        "1\n00:00:01,000 --> 00:00:02,500\nYou: Hello\n\n2\n00:00:01,200 --> 00:00:02,300\nModel: "
    )
    assert "‹b›Good" in text and "A long story." in text
    assert "It never ends." not in text, "it was cut off before it was heard"
    assert "<v Model>&lt;b&gt;Good&lt;/b&gt; --&gt; &amp;day." in vtt.read_text()
    if shutil.which("ffprobe"):
        for file, name in ((srt, "subrip"), (vtt, "webvtt")):
            told = ["ffprobe", "-v", "error", "-count_packets", "-of", "csv=p=0"]
            told += ["-show_entries", "stream=codec_name,nb_read_packets", str(file)]
            assert subprocess.run(told, capture_output=True, text=True).stdout.strip() == f"{name},5"


def test_spoken_words_stand_where_they_were_spoken(trace: Callable[..., Done]) -> None:
    lines = trace("export", BARGE_IN, "--srt", "-o", "-").out.splitlines()
    at = lines.index("You: What is that?")
    start, end = lines[at - 1].split(" --> ")
    assert "00:00:00,000" <= start <= "00:00:00,200" and "00:00:00,700" <= end <= "00:00:01,000"


def test_a_page(trace: Callable[..., Done], tmp_path: Path) -> None:
    page = trace("export", TOOL, "--md", "-o", "-").out
    assert '**You** 0:00.1 Use get\\_weather for "Berlin"' in page
    assert "> 0:00.3 call: `get_weather(" in page and "answer: `get_weather answered {" in page
    assert "latency: first byte after 0.25 s" in page or "latency: first byte after 0.26 s" in page
    page = trace("export", write(tmp_path / "t.jsonl", *talk()), "--md", "-o", "-").out
    assert "interrupted after 0.5 s were heard" in page and "~~It never ends.~~ (not heard)" in page
    assert "## Turn 2" in page and "closed 1000 by the client" in page


def _in_chrome_form(har: Row) -> None:
    """What HAR 1.2 requires of an entry, and Chrome of its messages."""
    assert set(har) == {"log"} and har["log"]["version"] == "1.2" and har["log"]["creator"]["version"]
    for entry in har["log"]["entries"]:
        assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= set(entry)
        request, response = entry["request"], entry["response"]
        assert {
            "method",
            "url",
            "httpVersion",
            "cookies",
            "headers",
            "queryString",
            "headersSize",
            "bodySize",
        } <= set(request)
        assert {"status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL"} <= set(
            response
        )
        assert response["status"] == 101 and {"send", "wait", "receive"} <= set(entry["timings"])
        assert entry["_resourceType"] == "websocket"
        for message in entry["_webSocketMessages"]:
            assert set(message) == {"type", "time", "opcode", "data"}
            assert message["type"] in ("send", "receive") and message["opcode"] in (1, 2)
            raw = codec.decode_base64(message["data"]) if message["opcode"] == 2 else message["data"].encode()
            assert isinstance(json.loads(raw), dict)


def test_a_har_and_back(trace: Callable[..., Done], tmp_path: Path) -> None:
    head = {**HEAD, "url": "wss://example.com/ws/x.BidiGenerateContent?key=tokentoken"}
    path, har, back = tmp_path / "t.jsonl", tmp_path / "t.har", tmp_path / "back.jsonl"
    write(path, *talk(), head=head)
    path.write_bytes(path.read_bytes() + BARGE_IN.read_bytes())
    assert trace("export", path, "-o", har).code == 0
    made = json.loads(har.read_text())
    _in_chrome_form(made)
    first = made["log"]["entries"][0]
    assert first["startedDateTime"] == "2026-11-22T12:00:00.000000Z" and first["time"] == 4100
    assert first["_webSocketMessages"][2]["time"] == pytest.approx(1795348801.0, abs=1e-5)
    assert "tokentoken" not in har.read_text()
    assert trace("import", har, "-o", back).code == 0
    assert trace("diff", path, back).code == 0
    assert [len(list(one)) for one in follow(back)] == [len(list(one)) for one in follow(path)]
    haralyzer = pytest.importorskip("haralyzer")
    pages = haralyzer.HarParser(made)
    assert pages.har_data["entries"][0]["response"]["status"] == 101


def test_a_foreign_har(trace: Callable[..., Done], tmp_path: Path) -> None:
    """As mitmproxy writes them; with sockets of others, one known by its setup alone, and messages nobody can read."""
    setup = {"type": "send", "time": 1795348800.0, "opcode": 1, "data": '{"setup":{"model":"models/x"}}'}
    ready = {
        "type": "receive",
        "time": 1795348800.25,
        "opcode": 2,
        "data": codec.encode_base64(b'{"setupComplete": {}}'),
    }
    plain = {"type": "receive", "time": 1795348800.5, "opcode": 2, "data": '{"serverContent": {}}'}
    odd = {"type": "receive", "time": 1795348800.75, "opcode": 2, "data": codec.encode_base64(b"\xff\xfe")}
    bad = {"type": "receive", "time": 1795348800.8, "opcode": 1}
    url = (
        f"https://example.com/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key={KEY}"
    )

    def entry(url: str, *messages: Row) -> Row:
        request = {"url": url, "headers": [{"name": "Authorization", "value": f"Bearer {KEY}"}]}
        return {"startedDateTime": "2026-11-22T12:00:00Z", "request": request, "_webSocketMessages": list(messages)}

    chat = entry("wss://chat.example.com/", {**setup, "data": '{"hello":1}'})
    entries = [
        entry(url, setup, ready, plain, odd, bad),
        chat,
        entry("wss://mine.example.com/", setup),
        {"request": {}},
    ]
    har, out = tmp_path / "t.har", tmp_path / "out.jsonl"
    har.write_text("\ufeff" + json.dumps({"log": {"version": "1.2", "entries": entries}}))
    done = trace("import", har, "-o", out)
    assert done.code == 0 and "1 messages" in done.err and KEY not in done.err
    assert KEY not in out.read_text()
    found = [(one.url, [(round(line.t, 2), line.sender, line.opcode) for line, _ in one]) for one in follow(out)]
    assert found == [
        (
            url.replace("https", "wss").replace(KEY, "[redacted]"),
            [
                (0.0, "client", "text"),
                (0.25, "server", "binary"),
                (0.5, "server", "binary"),
                (0.75, "server", "binary"),
            ],
        ),
        ("wss://mine.example.com/", [(0.0, "client", "text")]),
    ]
    assert trace("import", har, "--all", "-o", out).code == 0
    assert len(list(follow(out))) == 3
    for text, told in (
        ("{}", "entries"),
        ("no", "not a JSON object"),
        ('{"log":{"entries":[]}}', "no WebSocket messages"),
    ):
        har.write_text(text)
        assert (done := trace("import", har, "-o", tmp_path / "none")).code == 2 and told in done.err


_IN_THE_BROWSER = """async url => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    await new Promise(done => socket.onopen = done);
    socket.send(JSON.stringify({setup: {model: "models/gemini-3.8-live"}}));
    return await new Promise(done => socket.onmessage = event => {
        const message = JSON.parse(new TextDecoder().decode(event.data));
        const turn = {turns: [{role: "user", parts: [{text: "Hi"}]}], turnComplete: true};
        if (message.setupComplete) socket.send(JSON.stringify({clientContent: turn}));
        if (message.serverContent && message.serverContent.turnComplete) done(socket.close());
    });
}"""


async def test_a_har_of_a_real_browser(trace: Callable[..., Done], tmp_path: Path) -> None:
    browsers = pytest.importorskip("playwright.async_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium was found")
    har, out = tmp_path / "t.har", tmp_path / "out.jsonl"
    async with serve_stand_in(config=config(pace=0)) as house, browsers.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = await browser.new_context(record_har_path=har)
        page = await context.new_page()
        await page.evaluate(_IN_THE_BROWSER, f"{house.url}{GEMINI}?key={KEY}")
        await context.close()
        await browser.close()
    assert KEY in har.read_text()
    assert trace("import", har, "-o", out).code == 0
    assert KEY not in out.read_text()
    assert trace("check", out).code == 0
    row = json.loads(trace("stats", out, "--json").out)
    assert row["turns"] == {"user": 1, "model": 1, "interrupted": 0} and row["audio"]["server"]["seconds"] > 1
    assert 0 < row["seconds"] < 60, "this browser writes milliseconds where others write seconds"


# All of them


def _hostile() -> list[Row]:
    long = 10**18
    return [
        *READY,
        got(-5.0, {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=1",
            "data": f"elided:{long}:x"}}]}}}),
        got(1.0, {"serverContent": {"modelTurn": {"parts": [7, None, {"inlineData": 3}, {"text": 4}]}, "interrupted": "x"}}),
        got(1.0, {"serverContent": [1], "usageMetadata": 5, "toolCall": {"functionCalls": [{"args": 3}, 8]}, "goAway": 1}),
        got(1.1, {"serverContent": {"outputTranscription": {"text": "\x1b]0;x\x07<script>\u202e"}, "turnComplete": True}}),
        sent(1.2, {"clientContent": {"turns": [3, {"parts": "x"}]}, "toolResponse": {"functionResponses": "x"}}),
        microphone(1.3, b"\x01\x02\x03", 1),
        got(1.35, {"usageMetadata": {"promptTokensDetails": [{"modality": 3, "tokenCount": "x"}], "totalTokenCount": "1e9"}}),
        control(1.4, "recv", "heard", heardMs="x", interrupted=True),
        control(1.5, "recv", "heard", heardMs=-1e300, interrupted=True),
        control(1.6, "recv", "close", code=True, reason=["x"]),
        control(1.7, "send", "ping", data="x"),
        {"t": 1.8, "dir": "recv", "opcode": 5, "size": "big", "raw": ""},
    ]  # fmt: skip


def test_no_file_makes_them_fall_over(trace: Callable[..., Done], tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *_hostile(), head={"trace": "livews", "version": 1, "started": 5, "url": None})
    asked = [
        ["show"],
        ["show", "--json"],
        ["stats"],
        ["stats", "--json"],
        ["check"],
        ["cut", "--turn", "1", "-o", "-"],
    ]
    asked += [["redact", "--audio", "--text", "-o", "-"], ["redact", "-o", "-"]]
    asked += [["export", f"--{form}", "-o", "-"] for form in ("har", "srt", "vtt", "md")]
    asked += [["export", "-o", str(tmp_path / "o.wav")]]
    for words in asked:
        done = trace(words[0], path, *words[1:])
        assert done.code in (0, 1, 2), words
        assert "\x1b" not in done.out + done.err, words
    assert trace("diff", path, path).code == 0


def test_a_frame_as_deep_as_the_wire_takes_it(trace: Callable[..., Done], tmp_path: Path) -> None:
    for levels, wrong in ((codec.DEPTH, False), (codec.DEPTH + 1, True), (240, True)):
        inner: Any = "elided:4000:x"
        for _ in range(levels - 4):
            inner = [inner]
        deep = {"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": inner}]}}
        path = write(tmp_path / "t.jsonl", *READY, got(1.0, deep))
        assert ("nested deeper" in trace("check", path).out) is wrong
        assert trace("redact", path, "--text", "-o", "-").code == 0


def test_reading_keeps_the_lines_only_when_asked(tmp_path: Path) -> None:
    raw = write(tmp_path / "t.jsonl", *talk()).read_bytes()
    for texts in (False, True):
        for _, lines in trace_reader.sessions(io.BytesIO(raw), "t", texts=texts):
            assert all(bool(line.text) is texts for line in lines)


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="no wait4() on this system")
def test_a_long_trace_takes_no_more_memory() -> None:
    command = [sys.executable, "-m", "tests.bench", "trace-tools", "--messages", "6000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=DATA.parents[1])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bytes"] > 10_000_000
    for name, row in told["tools"].items():
        assert row["MB"] - row["MB of a tenth"] < 6, f"{name}: the file is 10 MB larger"


def test_a_message_that_is_called_close_is_no_close(trace: Callable[..., Done], tmp_path: Path) -> None:
    """Only a control line is one; a frame with a member of that name is news from the service."""
    rows = [
        got(0.1, {"setupComplete": {}}),
        got(0.2, {"close": {}}),
        control(0.3, "recv", "close", code=1011, reason=""),
    ]
    row = json.loads(trace("stats", write(tmp_path / "t.jsonl", *rows), "--json").out)
    assert [close["code"] for close in row["closes"]] == [1011]
