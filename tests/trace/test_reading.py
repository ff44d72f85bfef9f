"""Reading traces: damaged, cut off, hostile and long ones."""

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import termios
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from livews.cli import main
from livews.core import codec
from livews.errors import BadRequest
from livews.hidden_values import HiddenHandles
from livews.redactor import redact_url
from livews.report.data import ReportSession as Page
from livews.report.message_excerpt import MemberDocs
from livews.server.script import load_all
from livews.trace import reader as trace_reader
from livews.trace.media import refilled
from livews.trace.session import follow
from livews.trace.tail import Tail
from livews.trace.writer import header
from tests.kit.names import DATA, KEY
from tests.kit.traces import Row, asked, control, got, sent
from tests.trace.kit import HEAD, READY, Run, microphone, talk, write


@pytest.mark.parametrize("tool", ["show", "stats", "check", "redact", "export"])
def test_a_trace_that_was_cut_off(tool: str, trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) - 30])
    out = ["-o", str(tmp_path / "out.md")] if tool in ("redact", "export") else []
    done = trace(tool, path, *out)
    assert done.code == 0
    assert f"{path}:{len(talk()) + 1}" in done.err + done.out
    assert "cut off" in done.err + done.out


def test_a_session_behind_half_a_line(trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    half = path.read_bytes()[:-20]
    path.write_bytes(half + write(tmp_path / "u.jsonl", *READY).read_bytes())
    found = [(session.number, len(list(session)), session.cut_at) for session in follow(path)]
    assert found == [(1, len(talk()) - 1, len(talk()) + 1), (2, 2, None)]
    assert "-- session 2" in trace("show", path).out
    assert len(trace("stats", path, "--json").out.splitlines()) == 2
    assert trace("check", path).code == 0


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("", "no session"),
        ('{"setup":{}}\n', "no header"),
        (json.dumps({**HEAD, "version": 2}) + "\n", "version 2"),
        (json.dumps(HEAD) + "\nnonsense\n" + json.dumps(READY[0]) + "\n", ":2"),
    ],
)
def test_what_is_no_trace_is_refused(text: str, output: str, trace: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    for words in (["show"], ["stats"], ["cut", "--turn", "1", "-o", str(tmp_path / "o")]):
        done = trace(words[0], path, *words[1:])
        assert done.code == 2 and output in done.err and "do " in done.err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("ws://[redacted]@127.0.0.1:8765/x", "ws://127.0.0.1:8765/x"),  # as livews wrote it up to 0.2.0
        ("wss://[redacted]@[::1]:8765?key=[redacted]", "wss://[::1]:8765?key=[redacted]"),
        ("wss://user:pass@word@example.com/a@b", "wss://example.com/a@b"),
        (f"wss://{KEY}/x", "wss://redacted/x"),
        ("ws://[redacted]:8765", "ws://redacted:8765"),
    ],
)
def test_a_url_whose_credential_was_hidden_can_be_read(url: str, read: str, trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk(), head={**HEAD, "url": url})
    har, again = tmp_path / "t.har", tmp_path / "u.jsonl"
    assert [trace(tool, path).code for tool in ("show", "stats", "check")] == [0, 0, 0]
    assert [trace(tool, path, "-o", str(har)).code for tool in ("html", "redact", "export")] == [0, 0, 0]
    assert har.read_text().count(f'"url":"{read}"') == 2
    assert trace("import", har, "--all", "-o", again).code == trace("show", again).code == 0
    har.write_text(har.read_text().replace(read, url))  # another tool's, or an older livews's
    assert trace("import", har, "--all", "-o", again).code == trace("show", again).code == 0
    assert load_all([str(again)])
    assert header(redact_url(url), "client")["url"] == read


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
            output = process.stderr.read()
            assert (b"not a JSON object" if tool == "import" else b"stdin:1") in output
        finally:
            process.kill()


@pytest.mark.parametrize(
    "opening", [lambda path: path, lambda path: trace_reader.lines_of(io.BytesIO(path.read_bytes()), "t")]
)
def test_a_line_has_a_bound(opening: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_reader, "MAX_LINE", 10_000)
    monkeypatch.setattr(trace_reader, "_PIECE", 1000)
    path = write(tmp_path / "t.jsonl", *READY, asked(1.0, "a" * 8000))
    assert len(list(next(follow(opening(path))))) == 3
    write(path, *READY, asked(1.0, "a" * 20_000))
    with pytest.raises(BadRequest, match=r"line 4 of .* is too long") as output:
        for session in follow(opening(path)):
            list(session)
    assert output.value.where.endswith(":4")
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


def test_a_damaged_line_is_the_file_s(trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:4], "oops\n", *lines[4:]]))
    done = trace("check", path)
    assert done.code == 1 and f"{path}:5 error /: this line of the file is damaged" in done.out
    assert "Restore the line or remove it" in done.err and "frame" not in done.err
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
    output = [text for text in page.data()["words"] if "cannot be read" in text]
    page.close()
    assert [text.split(" of ")[0] for text in output] == ["line 5", f"line {len(lines) + 2}"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"t":1e300,"dir":"recv","message":{}}', "its t is not a number of seconds"),
        ('{"t":true,"dir":"recv","message":{}}', "its t is not a number"),
        ('{"dir":"recv","message":{}}', "its t is not a number"),
        ('{"t":1,"dir":"up","message":{}}', "its dir is neither send nor recv"),
        ('{"t":1,"dir":"recv","raw":"*"}', "its raw is not base64"),
        ('{"t":1,"dir":"recv","message":5}', "its message is not a JSON object"),
        ('{"t":1,"dir":"recv","close":1000}', "its close is not a JSON object"),
        ('{"t":1,"dir":"recv"}', "it has none of message, raw, ping"),
        ("[]", "got a list"),
    ],
)
def test_a_damaged_line_names_its_member(line: str, why: str, trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    path.write_text(path.read_text() + line + "\n")
    for tool in (["show"], ["replay", "--offline"]):
        done = trace(tool[0], path, *tool[1:])
        assert done.code == 2 and why in done.err and f"{path}:{len(talk()) + 2}" in done.err
        assert "playing to" not in done.err, "before anything is dialled"


def _damaged(path: Path, line: str, count: int) -> Path:
    """A session with many damaged lines, and one after it with a few."""
    write(path, *READY, *([control(1.0, "recv", "ping")]))
    whole = path.read_text()
    path.write_text(whole + f"{line}\n" * count + whole + f"{line}\n" * 3)
    return path


@pytest.mark.parametrize(
    "line", ["x", "{}", "null", '{"tnt"}', "\ufeff", '{"t": 1, "dir": "recv", "raw": 1, "x": 12}']
)
def test_of_many_damaged_lines_a_hundred_are_listed(line: str, trace: Run, tmp_path: Path) -> None:
    path = _damaged(tmp_path / "t.jsonl", line, 5_000)
    done = trace("check", path)
    rows = [row for row in done.out.splitlines() if "is damaged" in row]
    assert done.code == 1 and len(rows) == 102
    assert [row.split()[0] for row in rows[98:]] == [f"{path}:{number}" for number in (103, 104, 5_004, 5_011)]
    assert "4,899 lines before it that are not listed are damaged, too" in rows[100]
    assert "2 lines before it that are not listed" in rows[101]
    assert "WIRE-2: 102 errors" in done.err and "4 messages" in done.err

    tail = Tail(path)
    followed = [record for _, record, _ in tail.take() if record is not None and record.control == "broken"]
    assert [record.number for record in followed][-3:] == [104, 5_004, 5_011]
    with path.open("a") as file:
        file.write("one more\n")
    assert [record.number for _, record, _ in tail.take() if record is not None] == [5_012]


def test_short_damaged_lines_are_counted_without_being_parsed(
    trace: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trace of 64 kB may have 30,000 of them."""
    parsed: list[bytes] = []
    object_of = trace_reader.object_of
    monkeypatch.setattr(trace_reader, "object_of", lambda text: (parsed.append(text), object_of(text))[1])
    assert trace("check", _damaged(tmp_path / "t.jsonl", '{"tnt"}', 8_000)).code == 1
    assert parsed.count(b'{"tnt"}\n') == 100


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


def test_no_file_makes_them_fall_over(trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *_hostile(), head={"trace": "livews", "version": 1, "started": 5, "url": None})
    commands = ["show", "show --json", "stats", "stats --json", "check", "cut --turn 1 -o -", "redact -o -"]
    commands += ["redact --audio --text -o -", f"export -o {tmp_path / 'o.wav'}"]
    commands += [f"export --{form} -o -" for form in ("har", "srt", "vtt", "md")]
    for command in commands:
        tool, *more = command.split()
        done = trace(tool, path, *more)
        assert done.code in (0, 1, 2), command
        assert "\x1b" not in done.out + done.err, command
    assert trace("diff", path, path).code == 0


def test_a_frame_as_deep_as_the_wire_takes_it(trace: Run, tmp_path: Path) -> None:
    for levels, wrong in ((codec.DEPTH, False), (codec.DEPTH + 1, True), (240, True)):
        inner: Any = "elided:4000:x"
        for _ in range(levels - 4):
            inner = [inner]
        deep = {"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": inner}]}}
        path = write(tmp_path / "t.jsonl", *READY, got(1.0, deep))
        assert ("nested deeper" in trace("check", path).out) is wrong
        assert trace("redact", path, "--text", "-o", "-").code == 0


def test_elided_media_is_filled_in_up_to_what_is_read_of_a_frame() -> None:
    blobs = [f"elided:{size}:x" for size in (3_000_000, 9_000_000, 10**11, 3_000, 0)] + ["elided:x", "AAAA"]
    raw = codec.dump({"x": [{"data": blob} for blob in blobs]})
    filled = [blob["data"] for blob in codec.parse_any(refilled(raw))["x"]]
    assert [len(data) for data in filled[:1] + filled[3:]] == [4_000_000, 4_000, 0, 0, 4]
    assert filled[1:3] == blobs[1:3] and len(refilled(raw)) < codec.LONGEST


def test_reading_keeps_the_lines_only_when_asked(tmp_path: Path) -> None:
    raw = write(tmp_path / "t.jsonl", *talk()).read_bytes()
    for texts in (False, True):
        for session in follow(io.BytesIO(raw), "t", texts=texts):
            assert all(bool(line.text) is texts for line in session.lines())


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="no wait4() on this system")
def test_a_long_trace_takes_no_more_memory() -> None:
    command = [sys.executable, "-m", "tests.bench", "trace-tools", "--messages", "6000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=DATA.parents[1])
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    assert output["bytes"] > 10_000_000
    for name, row in output["tools"].items():
        assert row["MB"] - row["MB of a tenth"] < 6, f"{name}: the file is 10 MB larger"


def test_a_message_that_is_called_close_is_no_close(trace: Run, tmp_path: Path) -> None:
    """Only a control line is one; a frame with a member of that name is news from the service."""
    close = control(0.3, "recv", "close", code=1011, reason="")
    rows = [got(0.1, {"setupComplete": {}}), got(0.2, {"close": {}}), close]
    row = json.loads(trace("stats", write(tmp_path / "t.jsonl", *rows), "--json").out)
    assert [close["code"] for close in row["closes"]] == [1011]


def test_of_many_sessions_without_anything_a_hundred_are_given(trace: Run, tmp_path: Path) -> None:
    """The others are counted; what comes after them keeps its number."""
    header = b'{"trace":"livews","version":1}\n'
    setup = b'{"t":0,"dir":"send","message":{"setup":{"model":"models/gemini-3.8-live"}}}\n'
    path = tmp_path / "t.jsonl"
    path.write_bytes(header * 500 + setup + header * 3)
    assert [session.number for session in follow(path)] == [*range(1, 101), 500, 503]
    done = trace("show", path)
    assert "-- session 500\n" in done.out and "setup" in done.out
    assert "livews: 401 sessions of " in done.err and " without any message are left out" in done.err
    path.write_bytes(header * 100)
    assert "left out" not in trace("show", path).err and len([*follow(path)]) == 100


@pytest.mark.parametrize(("words", "most"), [
    ("show T", 150), ("show T --json", 140), ("check T", 115), ("stats T", 105), ("redact T --audio --text -o O", 220),
    ("diff T T", 180), ("html T -o O", 290),
])  # fmt: skip
def test_what_a_short_message_costs(
    words: str, most: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in functions of Python that are called, for one message more: an answer to no call, or one that is refused."""
    monkeypatch.setattr("livews.redactor._handles", HiddenHandles())  # those of other tests are looked for, too
    monkeypatch.setattr("livews.redactor._redactors", ())
    path, out = tmp_path / "t.jsonl", tmp_path / "out.html"

    def calls(count: int) -> int:
        answer, refused = (
            {"toolResponse": {"functionResponses": [{"id": "1", "name": "f", "response": {"result": 1}}]}},
            {"toolResponse": {"functiononses": [{"id": "1", "name": "f"}]}},
        )
        rows = [sent(1.0, message) for _ in range(count // 2) for message in (answer, refused)]
        write(path, *READY, *rows)
        made, name = 0, {"T": str(path), "O": str(out)}

        def note(frame: object, event: str, argument: object) -> None:
            nonlocal made
            made += event == "call"

        sys.setprofile(note)
        try:
            main(["trace", *(name.get(word, word) for word in words.split())])
        finally:
            sys.setprofile(None)
        return made

    calls(20)  # what is read the first time
    per_message = (calls(220) - calls(20)) / 200
    capsys.readouterr()
    assert per_message < most, per_message
