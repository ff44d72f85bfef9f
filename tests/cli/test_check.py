"""`livews check`: what is one document, what is a session, and what is no JSON."""

import base64
import gzip
import json
import math
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from livews import document
from livews.advice import judge
from livews.cli import main, message_repair
from livews.core import protocol

DATA = Path(__file__).parent.parent / "data"
BROKEN = json.loads((DATA / "broken_documents.json").read_text())
PCM = b"".join(round(8000 * math.sin(i / 3)).to_bytes(2, "little", signed=True) for i in range(1600))
SESSIONS = json.loads((DATA / "sessions_in_lines.json").read_text().replace("PCM", base64.b64encode(PCM).decode()))
MESSAGE = '{"setup": {"model": "models/test"}}\n'


class Out(NamedTuple):
    code: int
    out: list[str]
    """Without the fixes."""
    err: list[str]
    stdout: str


Run = Callable[..., Out]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `livews check OPTIONS FILE` on a file of these bytes."""

    def run(content: bytes | str, *options: str, command: tuple[str, ...] = ("check",)) -> Out:
        path = tmp_path / "m"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        code = main([*command, *options, str(path)])
        out, err = capsys.readouterr()
        lines = out.replace(f"{path}:", "").splitlines()
        return Out(
            code, [line for line in lines if not line.startswith("  ") or "--fix" in options], err.splitlines(), out
        )

    return run


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case["name"])
def test_a_broken_document_is_one_error_at_its_place(check: Run, case: dict[str, Any]) -> None:
    done = check(case["text"])
    assert done.code == 1 and done.err[-1].endswith(": 1 error, 0 notes"), done
    (line,) = [line for line in done.out if " error " in line]
    assert line.startswith(f"{case['line']} error /: expected JSON: {case['why']}")
    assert line.endswith(f"(line {case['line']}, column {case['column']}) (WIRE-2)")
    source, caret = done.err[:2]
    assert caret.strip() == "^" and source[2:].rstrip() in case["text"]
    row = json.loads(check(case["text"], "--json").out[-1])
    assert (row["line"], row["do"][-1]) == (case["line"], ".")


def test_a_broken_line_among_json_lines(check: Run) -> None:
    done = check(f"{MESSAGE}{{'setup': {{}}}}\n{{\"clientContent\": {{}}}}\n")
    assert [line[:40] for line in done.out if "error" in line] == ["2 error /: expected JSON: this is what P"]


def test_documents_one_after_the_other(check: Run) -> None:
    text = '{\n "clientContent": {"turns": []}\n}\n{\n "clientContent": {"tuns": []}\n}\n'
    done = check(text)
    assert [line.split(":")[0] for line in done.out] == ["4 error /clientContent/tuns"]
    assert check(f"{text}{{").err[-1] == "3 messages: 2 errors, 0 notes"


def test_a_long_line_is_cut_around_the_place() -> None:
    _, place = document.values(b'{"a": "' + b"x" * 500 + b'", b}')
    assert place and place.column == 511
    source, caret = place.excerpt.splitlines()
    assert len(source) < 80 and source[caret.index("^")] == "b"


OTHERS = {
    "UTF-16": MESSAGE.encode("utf-16"),
    "UTF-16 (LE": MESSAGE.encode("utf-16-le"),
    "UTF-16 (BE": MESSAGE.encode("utf-16-be"),
    "UTF-32": MESSAGE.encode("utf-32"),
    "gzip": gzip.compress(MESSAGE.encode()),
    "a ZIP archive": b"PK\x03\x04\x14\x00\x00\x00",
    "xz": b"\xfd7zXZ\x00\x00",
    "zstd": b"\x28\xb5\x2f\xfd\x04",
    "a WAV": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "a PNG": b"\x89PNG\r\n\x1a\n\x00",
    "a JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "a packet capture": b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00",
    "an HTML page": b"<!DOCTYPE html>\n<html>\n",
    "binary data": b"\x93\x00\x01\x02",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_json_in_utf8_is_named(check: Run, name: str) -> None:
    done = check(OTHERS[name], "--json")
    (row,) = [json.loads(line) for line in done.out]
    assert done.code == 1 and row["complaint"].startswith(f"the file is {name}") and row["do"]
    traced = check(OTHERS[name], command=("trace", "check"))
    assert traced.code == 2 and (name.split(" (")[0] in "\n".join(traced.err) or name == "binary data")


@pytest.mark.parametrize("text", [MESSAGE, '{\n"setup": {"model": "models/test"}}'])
def test_a_byte_order_mark_is_noted(check: Run, text: str) -> None:
    done = check(b"\xef\xbb\xbf" + text.encode())
    assert (done.code, done.err[-1]) == (0, "1 message: 0 errors, 1 note")
    assert done.out == ["1 note /: the file begins with a UTF-8 byte order mark (WIRE-2)"]


def test_the_fix_is_below_each_finding(check: Run) -> None:
    text = '{"setup": {"model": "models/test", "responseModalities": ["AUDIO"]}}'
    line = "1 error /setup/responseModalities: responseModalities belongs in setup.generationConfig (WIRE-5)"
    assert check(text).stdout.endswith(f"{line}\n  do     Move responseModalities to setup.generationConfig.\n")
    assert len(check(text, "--json").stdout.splitlines()) == 1


def test_bytes_of_another_encoding_have_a_place(check: Run) -> None:
    done = check('{"clientContent":\n {"turns": [{"parts": [{"text": "ä"}]}]}}'.encode("latin-1"))
    assert done.out[0].startswith("2 error /: expected JSON: byte 0xe4 is not UTF-8 (line 2, column 34)")


@pytest.mark.parametrize("text", ['{"log": {"version": "1.2", "entries": []}}', '{\n"log": {\n"entries": []}}'])
def test_a_har_is_named(check: Run, text: str) -> None:
    done = check(text, "--json")
    assert "HAR" in done.out[0] and "livews trace import" in json.loads(done.out[0])["do"]


@pytest.mark.parametrize("encode", [gzip.compress, lambda raw: raw.decode().encode("utf-16")], ids=["gzip", "UTF-16"])
def test_a_har_that_is_no_utf8(
    encode: Callable[[bytes], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str], request: Any
) -> None:
    path = tmp_path / "x.har"
    path.write_bytes(encode(b'{"log": {"entries": []}}'))
    assert main(["trace", "import", str(path), "-o", str(tmp_path / "x.jsonl")]) == 2
    err = capsys.readouterr().err
    assert f"it is {request.node.callspec.id}" in err and "do" in err


# Sessions


def found(done: Out) -> list[list[Any]]:
    return [[row["line"], row["rule"], row["path"], row["level"]] for row in map(json.loads, done.out)]


def trace_of(messages: list[Any]) -> str:
    """The same messages as a trace, the answer to the setup after it."""
    lines: list[Any] = [{"trace": "livews", "version": 1, "side": "proxy"}]
    for t, message in enumerate(messages):
        sender = "recv" if message.keys() & {"setupComplete", "serverContent", "toolCall"} else "send"
        lines.append({"t": t / 10, "dir": sender, "opcode": "text", "message": message})
    return "".join(f"{json.dumps(line)}\n" for line in lines)


@pytest.mark.parametrize("case", SESSIONS, ids=lambda case: case["name"])
def test_messages_that_begin_with_a_setup_are_a_session(check: Run, case: dict[str, Any]) -> None:
    lines = "".join(f"{json.dumps(message)}\n" for message in case["messages"])
    rows = [
        row for row in found(check(lines, "--json")) if row[1] not in ("MODEL-10", "TURN-8")
    ]  # dates, and the end
    assert [row[:3] for row in rows] == case["found"]
    assert found(check(json.dumps(case["messages"], indent=1), "--json")) != [] or not rows, (
        "a list is a session, too"
    )


@pytest.mark.parametrize("case", [case for case in SESSIONS if case.get("whole")], ids=lambda case: case["name"])
def test_a_session_in_lines_is_judged_as_its_trace(check: Run, case: dict[str, Any]) -> None:
    lines = "".join(f"{json.dumps(message)}\n" for message in case["messages"])
    traced = found(check(trace_of(case["messages"]), "--json"))
    assert found(check(lines, "--json")) == [
        [line - 1, *rest] for line, *rest in traced if rest[0] not in case.get("but", ())
    ]


# --fix

REPAIRS = json.loads((DATA / "repairs.json").read_text())


@pytest.mark.parametrize("case", REPAIRS, ids=lambda case: case["name"])
def test_fix(check: Run, case: dict[str, Any]) -> None:
    before = json.dumps(case["from"])
    done = check(before, "--fix")
    after = "\n".join(done.out)
    assert json.loads(after) == case["to"]
    assert json.dumps(json.loads(after)) == json.dumps(case["to"]), "in this order"
    assert (after == before) is (case["from"] == case["to"])
    assert done.code == case.get("exit", 0) and ("1 error" in done.err[-1]) is bool(done.code)
    assert bool([line for line in done.err if " fixed /" in line]) is (case["from"] != case["to"])


@pytest.mark.parametrize("case", REPAIRS, ids=lambda case: case["name"])
def test_a_repair_of_the_repaired_is_nothing(check: Run, case: dict[str, Any]) -> None:
    text = json.dumps(case["to"])
    done = check(text, "--fix")
    assert done.out == [text] and "fixed" not in "\n".join(done.err)


TEXTS = json.loads((DATA / "almost_json.json").read_text())


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case["name"])
def test_fix_of_what_is_almost_json(check: Run, case: dict[str, Any]) -> None:
    done = check(case["text"], "--fix")
    if "to" in case:
        assert json.loads("\n".join(done.out)) == case["to"] and done.code == 0, done
        assert any(" fixed /: " in line for line in done.err)
    else:
        assert "\n".join(done.out) == case["text"] and done.code == 1 and case["says"] in "\n".join(done.err)
    again = check("\n".join(done.out), "--fix")
    assert again.out == done.out and " fixed " not in "\n".join(again.err)


def valid_messages() -> list[tuple[str, Any]]:
    found = []
    for name in ("client", "server"):
        for group in protocol.load(f"vectors/messages/{name}.json"):
            found += [
                (group["sender"], row["message"]) for row in group["tests"] if row["valid"] and "message" in row
            ]
    return found


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_fix_of_the_valid_is_the_same(check: Run, separators: tuple[str, str]) -> None:
    rows = [(sender, message) for sender, message in valid_messages() if not judge.check(sender, message)]
    assert len(rows) > 50
    for sender in ("client", "server"):
        lines = [
            json.dumps(message, separators=separators, ensure_ascii=False) for of, message in rows if of == sender
        ]
        assert check("\n".join(lines), "--fix", "--from", sender).out == lines


def test_a_repair_never_adds_findings_and_is_the_last() -> None:
    for sender, message in valid_messages():
        for broken in (message, {"Setup": message}, {key.upper(): value for key, value in message.items()}):
            after, _ = message_repair.repaired(sender, broken)
            assert len(judge.check(sender, after)) <= len(judge.check(sender, broken))
            assert message_repair.repaired(sender, after) == (after, [])


def mutated(message: Any, random: Random) -> Any:
    """A message with some values of another type, and members under other names."""
    value = json.loads(json.dumps(message))
    for _ in range(random.randint(1, 3)):
        holder, inner = None, value
        while isinstance(inner, dict) and inner and (holder is None or random.random() < 0.7):
            holder, key = inner, random.choice([*inner])
            inner = holder[key]
        if holder is not None:
            name = random.choice([key, "config", "Setup", "content", "tools", "text", "mime_type", "a/b", "é" * 120])
            holder[name] = random.choice([holder.pop(key), None, True, "true", "x", '{"a": 1}', [], [1], {}, 1.5])
    return value


def test_any_message_can_be_repaired_and_only_once() -> None:
    random = Random(12)
    messages = [message for sender, message in valid_messages() if sender == "client" and len(str(message)) < 2_000]
    for _ in range(60):
        message = mutated(random.choice(messages), random)
        after, _ = message_repair.repaired("client", message)
        assert len(judge.check("client", after)) <= len(judge.check("client", message)), message
        assert message_repair.repaired("client", after) == (after, []), message


def test_the_other_files_are_checked_after_one_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_text('{"realtimeInput": {"txt": "a"}}')
    (tmp_path / "empty").write_text("")
    (tmp_path / "b").write_text(MESSAGE)
    assert main(["check", *(str(tmp_path / name) for name in ("a", "no", "empty", "b")), str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert "/a:1 error /realtimeInput/txt" in out and err.splitlines()[-1] == "2 messages: 1 error, 0 notes"
    assert "No such file" in err and "there is no message in" in err and f"{tmp_path}/*.jsonl" in err


def test_fix_of_a_trace_repairs_each_line_of_the_client(check: Run) -> None:
    twice = base64.b64encode(json.dumps('{"clientContent": {"turnComplete": true}}').encode()).decode()
    lines: list[Any] = [
        {"trace": "livews", "version": 1, "side": "proxy"},
        {
            "t": 0.1,
            "dir": "send",
            "opcode": "text",
            "size": 3,
            "message": {"setup": {"model": "models/test", "topK": 1}},
        },
        {
            "t": 0.2,
            "dir": "recv",
            "opcode": "text",
            "size": 3,
            "message": {"setupComplete": {}, "usageMetadata": None},
        },
        {"t": 0.3, "dir": "send", "opcode": "text", "size": 3, "raw": twice},
        {"t": 0.4, "dir": "send", "opcode": "text", "size": 3, "raw": "AAAA"},
        {"t": 0.5, "dir": "recv", "close": {"code": 1000, "reason": ""}},
    ]
    done = check("".join(json.dumps(line) + "\n" for line in lines), "--fix")
    after = [json.loads(line) for line in done.out]
    assert [line.get("t") for line in after] == [line.get("t") for line in lines]
    assert after[1]["message"] == {"setup": {"model": "models/test", "generationConfig": {"topK": 1}}}
    assert after[3] == {
        "t": 0.3,
        "dir": "send",
        "opcode": "text",
        "size": 3,
        "message": {"clientContent": {"turnComplete": True}},
    }
    assert [after[i] for i in (0, 2, 4, 5)] == [lines[i] for i in (0, 2, 4, 5)]


def test_fix_keeps_line_separators_in_texts(check: Run) -> None:
    lines = ['{"realtimeInput":{"text":"a\u2028b\x85c"}}', '{"clientContent":{"turn_completed":true}}']
    assert check("\r\n".join(lines), "--fix").out[:2] != [] and check("\n".join(lines), "--fix").code == 0


@pytest.mark.parametrize(("text", "out"), [
    ('[{"setup":{"model":"models/test","tols":[]}},{"clientContent":{"turnComplete":true}}]',
     ['{"setup":{"model":"models/test","tools":[]}}', '{"clientContent":{"turnComplete":true}}']),
    ('{"model":"models/test"}\n{"clientContent":{"turnComplete":true}}',
     ['{"setup":{"model":"models/test"}}', '{"clientContent":{"turnComplete":true}}']),
    ('[]', ['[]']), ('[1]', ['[1]']),
])  # fmt: skip
def test_fix_gives_each_message_a_frame(check: Run, text: str, out: list[str]) -> None:
    assert check(text, "--fix").out == out
    assert check("\n".join(out), "--fix").out == out


def test_fix_keeps_what_it_does_not_repair(check: Run, tmp_path: Path) -> None:
    text = '{"setup":  {"model": "models/test"}}\n\n{"clientContent":{"turn_completed":true}}\nnot JSON\n'
    done = check(text, "--fix")
    assert done.out == [
        '{"setup":  {"model": "models/test"}}',
        "",
        '{"clientContent":{"turn_complete":true}}',
        "not JSON",
    ]
    assert done.code == 1 and any(line.startswith(f"{tmp_path}/m:4 error /") for line in done.err)
    assert (tmp_path / "m").read_text() == text, "the file stays as it is"


def test_fix_keeps_the_form_of_a_document(check: Run) -> None:
    done = check('{\n    "setup": {\n        "model": "models/test",\n        "tols": []\n    }\n}\n', "--fix")
    assert done.out == ["{", '    "setup": {', '        "model": "models/test",', '        "tools": []', "    }", "}"]


def test_fix_shows_a_diff(check: Run) -> None:
    done = check('{"setup": {"model": "models/test", "tols": []}}', "--fix", "--color", "always")
    assert '\x1b[31;1m-    "tols": []\x1b[0m' in done.err and '\x1b[32m+    "tools": []\x1b[0m' in done.err


def test_fix_of_stdin() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "livews", "check", "--fix", "-"], input='{"setup": {"model": "models/test", "topK": 1}}',
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout) == {"setup": {"model": "models/test", "generationConfig": {"topK": 1}}}
    assert done.returncode == 0 and "stdin:1 fixed /setup/topK: moved to setup.generationConfig" in done.stderr


@pytest.mark.parametrize(("content", "options", "words"), [
    (MESSAGE, ["--fix", "--json"], "leave out --json"),
    (b"\x1f\x8b\x08\x00", ["--fix"], "is gzip"),
    (b'{"setup": {"model": "caf\xe9"}}', ["--fix"], "byte 0xe9 is not UTF-8"),
])  # fmt: skip
def test_fix_refuses(check: Run, content: bytes | str, options: list[str], words: str) -> None:
    done = check(content, *options)
    assert done.code == 2 and words in "\n".join(done.err)


def test_fix_says_what_is_left_even_if_quiet(check: Run) -> None:
    done = check('{"setup": {"model": 5}}', "--fix", "--quiet")
    assert done.code == 1 and "expected string, got number 5" in "\n".join(done.err)


def test_made_up_times_say_nothing_of_the_pace(check: Run) -> None:
    """Messages have no times: sound of a true 48 kHz is not of another rate."""
    rate = 48000
    tone = array("h", (int(9000 * math.sin(2 * math.pi * 440 * i / rate)) for i in range(rate // 2))).tobytes()
    sound = tone + bytes(2 * rate)
    blobs = (base64.b64encode(sound[at : at + 9600]).decode() for at in range(0, len(sound), 9600))
    audio = [{"realtimeInput": {"audio": {"mimeType": f"audio/pcm;rate={rate}", "data": blob}}} for blob in blobs]
    messages = [{"setup": {"model": "models/gemini-3.8-live"}}, {"setupComplete": {}}, *audio]
    done = check("".join(json.dumps(message) + "\n" for message in messages))
    assert "AUDIO-12" not in "\n".join(done.out)


def test_a_message_full_of_mistakes_ends(check: Run) -> None:
    members = {f"x{i}": 1 for i in range(60)} | {f"tols{i}": [] for i in range(60)}
    assert check(json.dumps({"setup": {"model": "models/test", **members}}), "--fix").code == 1


def test_the_rest_of_a_file_is_not_copied_for_each_of_its_values() -> None:
    def spent(count: int) -> float:
        began = time.process_time()
        assert len(document.values(b"{}" * count)[0]) == count
        return time.process_time() - began

    few, many = (min(spent(count) for _ in range(3)) for count in (16_000, 128_000))
    assert many < 24 * few, "64 times as long, if it were squared"
    assert document.values(b"{}" * 200 + b"{", 100) == ([(1, {})] * 100, None)


def test_what_was_recorded_at_a_time_that_is_not_known_is_no_error(check: Run) -> None:
    """The models of a collection were there when its messages were recorded."""
    old = {"setup": {"model": "models/gemini-live-2.5-flash-preview"}}
    rows = [{"realtimeInput": {"text": "Hello"}}, old] * 4
    recorded = check("\n".join(json.dumps(one) for one in [*rows, {"serverContent": {}}]))
    assert (recorded.code, "is retired (MODEL-2)" in recorded.stdout) == (0, True), recorded.stdout
    own = check("\n".join(map(json.dumps, rows)))
    assert own.code == 1, "of a client's messages nothing says that they were taken"
