"""`livews explain`: everything that protocol/ knows by a name can be asked for, and what it says holds."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livews import connect_errors, walk
from livews.advice import closes, judge
from livews.cli import main
from livews.core import protocol, schema
from livews.core.schema import Sender
from livews.explainer import annotate, close_parser, index, library_errors, sample_message
from livews.terminal_text import escape_unsafe
from tests.kit.names import DATA

Out = Callable[..., str]
ROWS = json.loads((DATA / "explain.json").read_text())


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Out:
    """Runs the command at 80 columns and gives what it prints."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*asked: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["explain", *asked]) == code, capsys.readouterr().err
        shown = capsys.readouterr()
        return shown.out if code == 0 else shown.err

    return run


def members() -> list[tuple[Sender, str]]:
    """Every member of every schema that stands in a message, by a full path, found without `words`."""
    found: list[tuple[Sender, str]] = []
    sides: tuple[Sender, ...] = ("client", "server")
    for sender in sides:
        waiting, seen = [(schema.ENVELOPE[sender], "")], {schema.ENVELOPE[sender]}
        while waiting:
            type_id, path = waiting.pop()
            for name, prop in walk.schemas()[type_id].get("properties", {}).items():
                here = f"{path}/{name}"
                found.append((sender, here))
                inner = prop.get("items") or prop.get("additionalProperties") or prop
                target = inner.get("$ref", "").rsplit("/", 1)[-1]
                target = f"{protocol.SCHEMAS}{sender}/{target}"
                if target in walk.schemas() and target not in seen:
                    seen.add(target)
                    waiting.append((target, here if inner is prop else f"{here}/0"))
    return found


def entry(name: str) -> index.Entry:
    found = index.look_up(name)
    assert found.entries, name
    return found.entries[0]


# Members


def test_every_member_of_every_schema_is_explained_by_its_path() -> None:
    paths = members()
    assert len(paths) > 600
    for sender, path in paths:
        output = entry(path)
        name = path.rsplit("/", 1)[-1]
        assert output.kind in ("member", "message")
        assert output.name == re.sub(r"/0(?=/)", "/*", path)
        assert output.says
        assert sender in output.facts["sender"]
        assert output.facts["spelling"] == [name, schema.snake(name)]
        assert output.facts["sure"] in ("seen", "reported", "written")


def test_every_example_has_the_member_and_is_judged_without_error() -> None:
    refused = set()
    for sender, path in members():
        output = entry(path)
        message = output.facts["example"]
        inner: Any = message
        for step in path.split("/")[1:]:
            inner = inner[int(step) if isinstance(inner, list) else step if step in inner else "key"]
        found = [one for one in judge.check(sender, message) if one.level != "note"]
        assert [str(one) for one in found] == output.facts["against"], path
        assert not [one for one in found if one.level == "error"], path
        refused |= {path} if found else set()
    told_refused = {row["at"] for row in protocol.models()["limits"] if "field" not in row and "with" not in row}
    assert {path for path in refused if not any(path.startswith(at) for at in told_refused)} == set()


@pytest.mark.parametrize("row", ROWS["explained"], ids=lambda row: " ".join(row["asked"])[:60])
def test_what_is_printed(row: dict[str, Any], explain: Out) -> None:
    shown = explain(*row["asked"], code=row.get("exit", 0))
    assert max(map(len, shown.splitlines())) <= row.get("columns", len(shown))
    text = " ".join(shown.split())
    assert text.startswith(row.get("starts", ""))
    assert [part for part in row.get("shows", ()) if part.strip() not in text] == []
    assert [part for part in row.get("lacks", ()) if part in text] == []


def test_a_name_of_several_types_lists_them_and_how_to_ask() -> None:
    places = index.look_up("mimeType").places
    assert len(places) == 9
    for place in places:
        (output,) = index.look_up(place.ask).entries
        assert output.facts["in"] == schema.table(place.type_id).name


# Messages, types, values


def test_every_message_is_explained(explain: Out) -> None:
    for sender, envelope in schema.ENVELOPE.items():
        for name in walk.schemas()[envelope]["properties"]:
            output = entry(f"/{name}")
            assert output.kind == "message"
            assert output.facts["title"], "from asyncapi.json"
            assert explain(f"/{name}").startswith(f"{name}  (a message of the {sender})\n")


def test_every_type_and_value_is_explained() -> None:
    for of in walk.schemas().values():
        title = of["title"]
        assert {one.kind for one in index.look_up(title).entries} & {"type", "message"}, title
        for value, about in of.get("x-livews", {}).get("values", {}).items():
            output = {one.facts["type"]: one for one in index.look_up(value).entries if one.kind == "value"}
            assert output[title].says == about.get("description", "")
            assert output[title].facts.get("number") == about.get("number")
            assert value in json.dumps(output[title].facts.get("example", value))


# All else by a name


def test_every_other_name_is_explained(explain: Out) -> None:
    machine = protocol.machine()
    named = {
        "signal": [signal["name"] for signal in machine["signals"]],
        "state": [state for region in machine["regions"].values() for state in region["states"]],
        "region": machine["regions"],
        "effect": machine["effects"],
        "trait": machine["traits"],
        "model": [i.rstrip("*") for row in protocol.models()["profiles"] for i in row["ids"]],
        "voice": protocol.models()["voices"],
        "evidence": protocol.load("evidence.json")["evidence"],
        "scenario": [path.stem for path in (protocol.root() / "scenarios").glob("*.json")],
        "close": [row["id"] for row in protocol.closes()],
    }
    for kind, names in named.items():
        for name in names:
            entries = index.look_up(name).entries
            inside = {
                signal["kind"] for one in entries for signal in one.facts.get("signals", ()) if signal["name"] == name
            }
            assert kind in inside | {one.kind for one in entries}, name
            assert explain(name)
    for rule in protocol.rules():
        assert explain(rule).startswith(rule)
        assert explain(rule.lower()).startswith(rule)


def test_models(explain: Out) -> None:
    for row in protocol.models()["retired"]:
        text = explain(row["id"])
        assert "(a model that is retired)" in text
        assert f"old    retired, gone by {row['by']}: " in text if "by" in row else "old    retired: " in text
        assert f"Use {row['replacedBy']}." in re.sub(r"\s+", " ", text)
    legacy = next(row for row in protocol.models()["profiles"] if row.get("status") == "legacy")
    assert f"superseded by {legacy['replacedBy']}" in explain(legacy["ids"][0])


# Closes


@pytest.mark.parametrize("row", ROWS["log lines"], ids=lambda row: row["line"][:60])
def test_a_line_as_a_log_has_it(row: dict[str, Any], explain: Out) -> None:
    line, code = row["line"], row["code"]
    assert close_parser.parse_close(line) == close_parser.LoggedClose(code, row["reason"], row["by"])
    for asked in ([line], ["--", *line.split()]):
        output = json.loads(explain("--json", *asked))
        assert (output["id"], output["code"]) == (row["row"], code if code >= 1000 else 0)


LOG_LINES = json.loads((DATA / "log_lines.json").read_text())
"""Lines as client libraries write them, each with the close or the cause that it has."""


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=f"{by}: {row['line'][:40]}") for by, rows in LOG_LINES.items() for row in rows],
)
def test_a_line_of_any_client(row: dict[str, Any], explain: Out) -> None:
    logged = close_parser.parse_close(row["line"])
    assert (logged.code, logged.reason if "reason" in row else None) == (row["code"], row.get("reason"))
    for asked in ([row["line"]], ["--", *row["line"].split(" ")]):
        output = json.loads(explain("--json", *asked))
        assert (output["id"], output.get("code", 0)) == (row["row"], row["code"] if row["code"] >= 1000 else 0)
        assert output["do"]


def test_lines_of_eight_libraries_and_of_every_cause_are_kept() -> None:
    assert len(LOG_LINES) >= 8 and sum(len(rows) for rows in LOG_LINES.values()) >= 40
    causes = set(close_parser._causes()) - {"lost"} - protocol.rules().keys()
    assert causes < set(get_args(connect_errors.Cause))
    shown = {row["row"] for rows in LOG_LINES.values() for row in rows}
    missing = {cause for cause in causes if connect_errors.explain(cause, "").id not in shown}
    assert missing == set(), "a cause without a line"


LOGS = json.loads((DATA / "logs.json").read_text())
"""Logs of many lines, each with its first cause, that line's number, and what came later."""


@pytest.mark.parametrize("row", LOGS, ids=[row["id"] for row in LOGS])
def test_of_a_whole_log_the_first_cause_counts(
    row: dict[str, Any], explain: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    for lines in (row["lines"], ["", *row["lines"], ""]):
        text, line = "\n".join(lines), row["line"] + (not lines[0])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        output = json.loads(explain("--json", "-"))
        assert (output["id"], output["line"]) == (row["row"], line)
        assert output["code"] == (row["code"] if row["code"] >= 1000 else 0)
        assert [other["id"] for other in output["later"]] == row["later"]
        shown = " ".join(explain("\n".join(lines)).split())
        assert f", line {line})" in shown and ("later line " in shown) == bool(row["later"])


def test_of_a_long_log_the_beginning_and_the_end_are_read() -> None:
    filler = ["INFO sent 640 bytes of audio" + " and of zeros" * 200] * 160
    for lines in (
        [*filler, "close 1008 The operation was aborted."],
        ["close 1008 The operation was aborted.", *filler],
    ):
        (logged,) = close_parser.parse_log("\n".join(lines))
        assert (logged.code, lines[logged.number - 1]) == (1008, "close 1008 The operation was aborted.")
    assert not close_parser.is_read_whole("\n".join(filler)) and close_parser.is_read_whole("\n".join(filler[:9]))


OPTIONS = [
    ("io.ktor.websocket.FrameTooBigException: Frame is too big: 99", "maxFrameSize"),
    ("websocket: read limit exceeded", "SetReadLimit"),
    ("RangeError: Max payload size exceeded", "maxPayload"),
    ("PayloadTooBig: over size limit", "max_size=None"),
    ("sent 1009 (message too big) over size limit (9 > 8 bytes); no close frame received", "max_size=None"),
    ("Message size 9 exceeds limit 8", "max_msg_size"),
    ("Space limit exceeded: Message too long: 9 > 8", "max_message_size"),
    ("System.Net.WebSockets: message too large", "EndOfMessage"),
    ("message too big", "Raise the limit of your library"),
    ("websocket: bad handshake", "resp.StatusCode"),
    ("NSURLErrorDomain Code=-1011", "HTTPURLResponse"),
    ("Error: unexpected server response", "unexpected-response"),
    ("java.net.http.WebSocketHandshakeException", "getResponse().statusCode()"),
    ("Connection to 'http://h#' was not upgraded to websocket", "HTTP status code"),
    ("WebSocketException: Unable to connect to the remote server", "CollectHttpResponseDetails"),
    ("WebSocket connection to 'wss://h/' failed", "developer tools"),
    ("RangeError: Invalid WebSocket frame: RSV1 must be clear", "perMessageDeflate: false"),
    ("WebSocket is already in CLOSING or CLOSED state.", "e.code, e.reason"),
    ("Still in CONNECTING state.", "onopen"),
]


@pytest.mark.parametrize(("line", "option"), OPTIONS, ids=[line for line, _ in OPTIONS])
def test_the_fix_is_that_of_the_library(line: str, option: str, explain: Out) -> None:
    shown = " ".join(explain(line).split())
    assert f" do {option}" in shown or option in shown.partition(" do ")[2]
    assert "last frame sent" not in shown
    is_handshake = option in ("resp.StatusCode", "HTTPURLResponse", "unexpected-response", "HTTP status code")
    assert not is_handshake or (" do First find the HTTP status" in shown and "status meaning HTTP 200 " in shown)


def test_every_error_of_a_library_has_a_line() -> None:
    shown = {row["row"] for rows in LOG_LINES.values() for row in rows}
    assert library_errors.errors().keys() <= shown
    words = [part for row in library_errors._data().values() for part in library_errors._parts(row, False)]
    assert words == [word.lower() for word in words]


def test_no_two_codes_have_a_name_in_common() -> None:
    names = [
        (int(code), name)
        for code, _, rest in (row.partition(": ") for row in close_parser._rows("close_codes.txt"))
        for name in rest.split(", ")
    ]
    for code, name in names:
        assert close_parser._names()[close_parser._fold(name)] == (code, " " not in name)
    for spelling in ("StatusPolicyViolation", "POLICY_VIOLATION", "policyViolation", "CloseCodePolicyViolation"):
        assert close_parser.parse_close(f"code: {spelling}").code == 1008


REASONS = [row["reason"].strip() for row in protocol.closes() if row["reason"] and "http" not in row]


@pytest.mark.parametrize("line", [*ROWS["reasons"], *REASONS])
def test_what_is_no_such_line_stays_a_reason(line: str) -> None:
    assert close_parser.parse_close(line) == close_parser.LoggedClose(0, line)


@settings(max_examples=300, deadline=None)
@given(st.text() | st.from_regex(r"(sent|received|code[=:]|HTTP/1.1|closed) ?\d{3,5}( \(.{0,5}\))?.{0,20}"))
def test_any_line_is_read(line: str) -> None:
    ended = close_parser.parse_close(line)
    assert ended.code >= 0 and len(ended.reason) <= len(line)


def test_a_long_reason_or_line_is_read_in_a_moment() -> None:
    """Every template has places where a long reason fits in as many ways as it has characters, squared."""
    rate = "Sample rate changed from previously " + " to x" * 400_000
    assert (
        closes.explain(1007, rate).id == "sample-rate-changed" and closes.explain(1007, rate).reason == rate.strip()
    )
    for row in protocol.closes():
        start, _, rest = row["match"].partition("{")
        closes.explain(row["code"], start + rest.partition("}")[2][:4] * 100_000 + " ")
    pieces = ("code=1011 ", "sent 1011 (", "closed: '", "HTTP/1.1 ", "code: Invalid ", "status: x, ", "reason=", "a.", "[{",
              "not supported ", " is not found for API version ", ")]", "\\\"", "closed ", "\x1b[3", "{remote, ", "API key not valid '")  # fmt: skip
    for piece in pieces:
        line = piece * 100_000
        assert len(close_parser.parse_close(line).reason) <= 4096


@pytest.mark.parametrize("piece", ["code=1011 ", '{"code": 1006, ', "reason='", "WSMsgType.CLOSE ", "reason=x, "])
def test_what_may_be_far_apart_is_looked_for_once(piece: str) -> None:
    """Not from every place where it may begin: 4 kB of them took 30 to 60 ms, not 2."""

    def spent(line: str) -> float:
        began = time.process_time()
        close_parser.parse_close(line)
        return time.process_time() - began

    assert min(spent(piece * 500) for _ in range(5)) < 0.012


def test_eight_times_as_much_takes_eight_times_as_long() -> None:
    def spent(blanks: int) -> float:
        began = time.process_time()
        close_parser.parse_close(
            "Error: Explicit activity control is not supported when automatic" + " " * blanks + "x"
        )
        return time.process_time() - began

    few, many = (min(spent(blanks) for _ in range(5)) for blanks in (480, 3_840))
    assert many < 24 * few, "64 times as long, if it were squared"


def test_json_is_one_object_each(explain: Out, capsys: pytest.CaptureFixture[str]) -> None:
    output = json.loads(explain("--json", "responseModalities"))
    assert output["found"][0]["on"] == {"v1beta": True, "v1alpha": True, "vertex": True}
    assert output["found"][0]["example"]["setup"]["model"]
    assert len(json.loads(explain("--json", "mimeType"))["places"]) == 9
    assert json.loads(explain("--json", "1011", "Internal error"))["retry"] == "backoff"
    assert json.loads(explain("--json", "SETUP-1"))["id"] == "SETUP-1"
    assert json.loads(explain("--json", '{"serverContent":{"x":1}}'))["members"][1]["findings"][0]["rule"] == "WIRE-6"
    for name in ("interrupted", "gemini-2.0-flash-exp", "quota", "traffic", "Puck"):
        assert json.loads(explain("--json", name))["found"]
    assert main(["explain", "--json", "responseModalites"]) == 2
    assert "responseModalities" in json.loads(capsys.readouterr().out)["nearest"]


# A whole message


def test_a_message_is_read_member_by_member_with_its_findings(explain: Out) -> None:
    setup = {"model": "models/gemini-3.8-live", "generation_config": {"responseModalities": ["TEXT"], "foo": 1}}
    lines = explain(json.dumps({"setup": setup})).splitlines()
    assert lines[0] == "a message of the client"
    assert lines[1].startswith("  setup  Session configuration.")
    place = next(i for i, line in enumerate(lines) if line.startswith('      responseModalities ["TEXT"]  Output'))
    assert lines[place + 1].startswith("        ! refused: gemini-3.8-live answers only in AUDIO")
    unknown = next(i for i, line in enumerate(lines) if line.startswith("      foo 1  not in the schema"))
    assert lines[unknown + 1].startswith("        ! error: no member foo in GenerationConfig")
    assert max(map(len, lines)) <= 80


def test_stdin_takes_a_message_or_a_name() -> None:
    def run(text: bytes) -> subprocess.CompletedProcess[bytes]:
        done = [sys.executable, "-m", "livews", "explain", "-"]
        return subprocess.run(done, input=text, capture_output=True, timeout=30)

    sound = b"A" * 4_000_000
    blob = b'{"inlineData":{"mimeType":"audio/pcm","data":"%s"}}' % sound
    done = run(b'\n{"serverContent":{"modelTurn":{"parts":[%s]}}}\n' % blob)
    assert done.returncode == 0
    assert b"data 3,000,000 bytes in base64" in done.stdout
    assert len(done.stdout) < 2_000
    assert run(b"goAway\n").stdout.startswith(b"goAway  (a message of the server)")
    assert run(b"1006").returncode == 0
    assert run(b"").returncode == 2
    assert run(b"\xff\xfe").returncode == 2


def test_a_large_message_is_read_in_part() -> None:
    many: dict[str, Any] = {"clientContent": {"turns": [{"parts": [{"text": "x" * 9000}] * 900}] * 50}}
    lines, _, whole = annotate.annotate("client", many)
    assert whole
    assert [line.value for line in lines if line.name == "turns"] == ["50 of them, the first 3 read"]
    assert all(len(line.value) < 100 for line in lines)
    lines, _, whole = annotate.annotate("server", {f"x{i}": i for i in range(9_999)})
    assert (len(lines), whole) == (annotate.MOST, False)


# Hostile, and offline

ODD = "\x1b]0;owned\x07\x1b[2J\u202e\u2028"


def test_nothing_that_was_asked_is_shown_raw(capsys: pytest.CaptureFixture[str]) -> None:
    odd = json.dumps({"setup": {ODD: ODD, "model": ODD, "labels": {ODD: ODD}}}, ensure_ascii=False)
    long = ("a" * 100_000, "/" * 5000, "setup" + "[0]" * 5000, "{" * 5000, "9" * 5000)
    for asked in (odd, f"/setup/{ODD}", ODD, f"setup.{ODD}", *long):
        for options in ((), ("--json",)):
            assert main(["explain", *options, asked]) in (0, 2)
            shown = "".join(capsys.readouterr())
            assert escape_unsafe(shown) == shown
            assert len(shown) < 10_000


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["setup", "tools", "model", "serverContent", "modelTurn", "parts", "generationConfig", "text",
                             "labels", "inlineData", "data", "turns", "functionDeclarations"]) | st.text(max_size=5),
            inner, max_size=4),
        max_leaves=12,
    )
)  # fmt: skip
def test_any_message_is_read(capsys: pytest.CaptureFixture[str], message: Any) -> None:
    assert main(["explain", json.dumps({"setup": message})]) == 0
    shown = capsys.readouterr().out
    assert escape_unsafe(shown) == shown


def test_nothing_is_asked_of_the_network(explain: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", no)
    monkeypatch.setattr(socket, "getaddrinfo", no)
    for asked in ("setup", "1006", "Puck", "{}", "gemini-3.8-live"):
        assert explain(asked)


def test_colour_where_it_is_asked_for(explain: Out) -> None:
    assert explain("--color", "always", "goAway").startswith("\x1b[1mgoAway\x1b[0m")
    assert "\x1b" not in explain("goAway")


def test_examples_alone() -> None:
    assert sample_message.alone(f"{protocol.SCHEMAS}client/AuthToken.json", "uses") == {"uses": 1}
    assert entry("AuthToken.uses").facts["paths"] == []
