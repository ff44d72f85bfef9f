"""`livews explain`: everything that protocol/ knows by a name can be asked for, and what it says holds."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livews.cli import main
from livews.core import models, protocol, rules, schema
from livews.core.schema import Sender
from livews.explainer import annotate, close_parser, index, sample_message
from livews.terminal_text import escape_unsafe

Out = Callable[..., str]


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
            for name, prop in protocol.schemas()[type_id].get("properties", {}).items():
                here = f"{path}/{name}"
                found.append((sender, here))
                inner = prop.get("items") or prop.get("additionalProperties") or prop
                target = inner.get("$ref", "").rsplit("/", 1)[-1]
                target = f"{protocol.SCHEMAS}{sender}/{target}"
                if target in protocol.schemas() and target not in seen:
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
        told = entry(path)
        name = path.rsplit("/", 1)[-1]
        assert told.kind in ("member", "message")
        assert told.name == re.sub(r"/0(?=/)", "/*", path)
        assert told.says
        assert sender in told.facts["sender"]
        assert told.facts["spelling"] == [name, schema.snake(name)]
        assert told.facts["sure"] in ("seen", "reported", "written")


def test_every_example_has_the_member_and_is_judged_without_error() -> None:
    refused = set()
    for sender, path in members():
        told = entry(path)
        message = told.facts["example"]
        inner: Any = message
        for step in path.split("/")[1:]:
            inner = inner[int(step) if isinstance(inner, list) else step if step in inner else "key"]
        found = [one for one in rules.check(sender, message) if one.level != "note"]
        assert [str(one) for one in found] == told.facts["against"], path
        assert not [one for one in found if one.level == "error"], path
        refused |= {path} if found else set()
    told_refused = {row["at"] for row in protocol.models()["defaults"]["refuses"]}
    assert {path for path in refused if not any(path.startswith(at) for at in told_refused)} == set()


@pytest.mark.parametrize(
    "asked",
    [
        "setup.generationConfig.responseModalities",
        "/setup/generationConfig/responseModalities",
        "/setup/generationConfig/responseModalities/0",
        "setup.generation_config.response_modalities",
        "generation_config.response_modalities",
        "GenerationConfig.responseModalities",
        "responseModalities",
        "response_modalities",
        "ResponseModalities",
    ],
)
def test_a_member_is_found_however_it_is_asked_for(asked: str, explain: Out) -> None:
    text = explain(asked)
    first = "/setup/generationConfig/responseModalities\n  (a member of GenerationConfig, from the client)"
    assert text.startswith(first)
    assert max(map(len, text.splitlines())) <= 80
    for part in ("what   Output modality", "type   list of Modality", "wire   responseModalities; response_modalities",
                 "on     Gemini API v1beta, Gemini API v1alpha, Vertex AI", "unset  If unset, current Gemini API models",
                 "known  seen on the wire (recorded", "AUDIO  ", "MODEL-3  the model answers in this modality"):  # fmt: skip
        assert part in text
    shown = text.split("  e.g.   ", 1)[1]
    assert json.loads(shown)["setup"]["generationConfig"] == {"responseModalities": ["AUDIO"]}


def test_what_the_schemas_and_models_say_of_where_a_member_goes(explain: Out) -> None:
    assert "refused by every model known here" in explain("presencePenalty")
    assert "but    gemini-3.8-live does not take presencePenalty" in explain("presencePenalty")
    assert "taken by gemini-3.8-live" in explain("contextUpdate")
    assert "old    Deprecated; use audio, video or text." in explain("mediaChunks")
    assert "takes  5000 to 128000" in explain("triggerTokens")
    assert "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO\n         on gemini-3.8-live," in explain("turnCoverage")
    assert "unset  false" in explain("automaticActivityDetection.disabled")
    assert "not    beside clientContent, realtimeInput" in explain("setup")
    assert "not    beside" not in explain("serverContent"), "WIRE-10: members of a server message go together"
    assert "thinkingLevel" in str(entry("thinkingLevel").facts["example"])
    assert "on     Gemini API v1alpha, Vertex AI; not on Gemini API v1beta" in explain("proactivity")
    model = entry("proactivity").facts["example"]["setup"]["model"]
    assert "gemini-2.5-flash-native-audio" in model, "which takes it"


def test_a_name_of_several_types_lists_them_and_how_to_ask(explain: Out) -> None:
    text = explain("mimeType")
    assert text.startswith("mimeType stands in 9 types; ask for one: `livews explain Blob.mimeType`")
    assert "\n      /realtimeInput/audio/mimeType and 6 more\n" in text
    for place in index.look_up("mimeType").places:
        (told,) = index.look_up(place.ask).entries
        assert told.facts["in"] == schema.table(place.type_id).name
    assert "MIME type of data" in explain("inlineData.mimeType"), "all of them are Blobs"
    assert "a member of Transcription" in explain("/serverContent/outputTranscription/text")
    assert "a message of the server" in explain("toolCall")
    assert "toolCall also stands elsewhere; ask for one: `livews explain Part.toolCall`" in explain("toolCall")
    assert explain("inputTranscription").startswith("/serverContent/"), "where the service was seen to have it"


# Messages, types, values


def test_every_message_is_explained(explain: Out) -> None:
    for sender, envelope in schema.ENVELOPE.items():
        for name in protocol.schemas()[envelope]["properties"]:
            told = entry(f"/{name}")
            assert told.kind == "message"
            assert told.facts["title"], "from asyncapi.json"
            assert explain(f"/{name}").startswith(f"{name}  (a message of the {sender})\n")
    text = explain("clientContent")
    assert "when   the session is ready or leaving; SETUP-2 is noted while opening;" in text
    assert "SETUP-1 is broken while new; CLOSE-1 is broken while closed" in text
    assert "signal prompt: turn idle → generating; turn waitingForTool → generating" in text
    assert re.search(r"\n  has    turns +\(list of Content\) Turns to append, .*…\n", text)
    assert '{"text": "Hello"}' in text
    assert "when   the session is opening; SETUP-3" in explain("setupComplete")


def test_every_type_and_value_is_explained(explain: Out) -> None:
    for of in protocol.schemas().values():
        title = of["title"]
        assert {one.kind for one in index.look_up(title).entries} & {"type", "message"}, title
        for value, about in of.get("x-livews", {}).get("values", {}).items():
            told = {one.facts["type"]: one for one in index.look_up(value).entries if one.kind == "value"}
            assert told[title].says == about.get("description", "")
            assert told[title].facts.get("number") == about.get("number")
            assert value in json.dumps(told[title].facts.get("example", value))
    assert "disabled" in explain("AutomaticActivityDetection")
    assert "Detects the start of speech more readily." in explain("START_SENSITIVITY_HIGH")
    assert "a value of StartSensitivity" in explain("start_sensitivity_high")
    assert "(a value of Modality)" in explain("responseModalities.AUDIO")
    assert "setup  (a message of the client)" in explain("LiveClientSetup"), "as the official library calls it"


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
            kinds = {one.kind for one in entries}
            inside = {signal["name"] for one in entries for signal in one.facts.get("signals", ())}
            assert kind in kinds or (kind == "signal" and name in inside), f"{kind} {name}"
            assert explain(name)
    for rule in protocol.rules():
        assert explain(rule).startswith(rule)
        assert explain(rule.lower()).startswith(rule)


def test_a_state_tells_its_ways_out_and_in(explain: Out) -> None:
    text = explain("waitingForTool")
    assert "(a state the turn can be in)" in text
    assert explain("idle").startswith("idle  (a state the turn can be in, and begins in)\n")
    assert "audio → speaking, playAudio" in text
    assert "toolResponse → generating if callsOpen is false" in text
    assert "in     toolCall while idle, generating, speaking or interrupted" in text
    assert "turn generating, speaking or waitingForTool → interrupted on" in explain("flushPlayback")


def test_models(explain: Out) -> None:
    for row in protocol.models()["retired"]:
        text = explain(row["id"])
        assert "(a model that is retired)" in text
        assert f"old    retired, gone by {row['by']}: " in text if "by" in row else "old    retired: " in text
        assert f"Use {row['replacedBy']}." in re.sub(r"\s+", " ", text)
    assert "/setup/generationConfig/thinkingConfig (MODEL-4)" in explain("models/gemini-3.8-live")
    legacy = next(row for row in protocol.models()["profiles"] if row.get("status") == "legacy")
    assert f"superseded by {legacy['replacedBy']}" in explain(legacy["ids"][0])


# What is read as what


@pytest.mark.parametrize(
    "asked",
    [
        ["1007", "Request contains an invalid argument."],
        ["1007 Request contains an invalid argument."],
        ["1007: Request contains an invalid argument."],
        ["1007", "None. Request contains an invalid argument."],
        ["Request contains an invalid argument."],
        ["1007", "Request", "contains", "an", "invalid", "argument."],
    ],
)
def test_a_close_as_people_paste_it(asked: list[str], explain: Out) -> None:
    text = explain(*asked)
    assert "(invalid-argument, " in text.splitlines()[0]
    for word in ("what", "why", "do", "again"):
        assert re.search(rf"^  {word} ", text, re.M)
    assert "sessionResumption.handle" in text


INTERNAL = "1011 (internal error) Internal error encountered."
MODEL = "models/x is not found for API version v1beta"
NAMED = """Invalid JSON payload received. Unknown name "proactivity" at 'setup': Cannot find field."""


@pytest.mark.parametrize(
    ("line", "code", "reason", "by", "row"),
    [
        # websockets
        (f"received {INTERNAL}; then sent {INTERNAL}", 1011, "Internal error encountered.", "server", "internal-error"),
        (f"x.ConnectionClosedError: received {INTERNAL}; no close frame sent", 1011, "Internal error encountered.", "server", "internal-error"),
        (f"2026-11-22 10:00:01,123 ERROR received {INTERNAL}; then sent {INTERNAL}", 1011, "Internal error encountered.", "server", "internal-error"),
        (f"[10:00:01] received {INTERNAL}; then sent {INTERNAL}", 1011, "Internal error encountered.", "server", "internal-error"),
        ("sent 1000 (OK); then received 1000 (OK)", 1000, "", "client", "normal"),
        ("received 1000 (OK); then sent 1000 (OK)", 1000, "", "server", "normal"),
        (f"received 1008 (policy violation) {MODEL}, or; then sent 1008 (policy violation) {MODEL}, or", 1008, f"{MODEL}, or", "server", "model-not-found"),
        ("sent 1011 (internal error) keepalive ping timeout; no close frame received", 1011, "keepalive ping timeout", "client", "keepalive-timeout"),
        ("sent 1002 (protocol error); no close frame received", 1002, "", "client", "unknown"),
        ("no close frame received or sent", 1006, "", "server", "no-close-frame"),
        ("code = 1006 (connection closed abnormally [internal]), no reason", 1006, "", "server", "no-close-frame"),
        ("code = 1011 (unexpected error), reason = keepalive ping timeout", 1011, "keepalive ping timeout", "server", "keepalive-timeout"),
        ("< CLOSE 1007 (invalid frame payload data) API key not valid. Please [22 bytes]", 1007, "API key not valid. Please", "server", "key-not-valid"),
        ("> CLOSE 1000 (OK) [2 bytes]", 1000, "", "client", "normal"),
        # upgrades that were refused
        ("server rejected WebSocket connection: HTTP 403", 403, "", "server", "http-403"),
        ("HTTP/1.1 502 Bad Gateway", 502, "", "server", "http-502"),
        ("HTTP/2 503", 503, "", "server", "http-503"),
        ('"GET /ws HTTP/1.1" 404 -', 404, "", "server", "http-404"),
        ("Error: Unexpected server response: 403", 403, "", "server", "http-403"),
        ("failed: Error during WebSocket handshake: Unexpected response code: 404", 404, "", "server", "http-404"),
        ("Handshake status 401 Unauthorized -+-+- {'date': 'x'} -+-+- None", 401, "", "server", "http-401"),
        ("aiohttp.WSServerHandshakeError: 403, message='Invalid response status', url='wss://x'", 403, "", "server", "http-403"),
        # google-genai
        (f"google.genai.errors.APIError: 1008 None. {MODEL}", 1008, MODEL, "server", "model-not-found"),
        ("google.genai.errors.APIError: 1000 None. ", 1000, "", "server", "normal"),
        # aiohttp
        ("WSMessage(type=<WSMsgType.CLOSE: 8>, data=1011, extra='Internal error encountered.')", 1011, "Internal error encountered.", "server", "internal-error"),
        # CloseEvent of Chrome, of Firefox, of Node; as JSON; what people print
        (f'CloseEvent {{code: 1008, reason: "{MODEL}"}}', 1008, MODEL, "server", "model-not-found"),
        ("CloseEvent { isTrusted: true, wasClean: false, code: 1006, reason: '', type: 'close' }", 1006, "", "server", "no-close-frame"),
        (f"CloseEvent {{code: 1007, reason: '{NAMED.replace(chr(39), chr(92) + chr(39))}', wasClean: true}}", 1007, NAMED, "server", "unknown-name-proactivity"),
        (f'{{ reason: "{NAMED}", code: 1007, wasClean: true }}', 1007, NAMED, "server", "unknown-name-proactivity"),
        ('{"code": 1007, "reason": "API key not valid. Please"}', 1007, "API key not valid. Please", "server", "key-not-valid"),
        ("CloseEvent(code=1000, wasClean=False)", 1000, "", "server", "normal"),
        ("CloseEvent(code=1000, reason=None)", 1000, "", "server", "normal"),
        ("WebSocket closed: code=1011 reason=Deadline expired", 1011, "Deadline expired", "server", "deadline-expired"),
        ("closed with code 1011: Deadline expired before operation", 1011, "Deadline expired before operation", "server", "deadline-expired"),
        ("Connection closed by the server: 1007 API key not valid.", 1007, "API key not valid.", "server", "key-not-valid"),
        ("websocket: close 1006 (abnormal closure): unexpected EOF", 1006, "", "server", "no-close-frame"),
        (INTERNAL, 1011, "Internal error encountered.", "server", "internal-error"),
        ("1007 None. API key not valid.", 1007, "API key not valid.", "server", "key-not-valid"),
    ],
)  # fmt: skip
def test_a_line_as_a_log_has_it(line: str, code: int, reason: str, by: Sender, row: str, explain: Out) -> None:
    assert close_parser.parse_close(line) == close_parser.LoggedClose(code, reason, by)
    for asked in ([line], ["--", *line.split()]):
        told = json.loads(explain("--json", *asked))
        assert (told["id"], told["code"]) == (row, code if code >= 1000 else 0)


@pytest.mark.parametrize(
    "line",
    [
        "closed after 3000 ms",
        "closed on 2026-11-22",
        "2026-11-22 something",
        "10:00:01 something",
        "the tool received 1500 bytes and sent 1000 back",
        "received 1000 bytes (all)",
        "process exited with code 1",
        "the code 1011 is a number",
        "error.code: 1008x",
        *(row["reason"].strip() for row in protocol.closes() if row["reason"] and "http" not in row),
    ],
)
def test_what_is_no_such_line_stays_a_reason(line: str) -> None:
    assert close_parser.parse_close(line) == close_parser.LoggedClose(0, line)


@settings(max_examples=300, deadline=None)
@given(st.text() | st.from_regex(r"(sent|received|code[=:]|HTTP/1.1|closed) ?\d{3,5}( \(.{0,5}\))?.{0,20}"))
def test_any_line_is_read(line: str) -> None:
    ended = close_parser.parse_close(line)
    assert ended.code >= 0 and len(ended.reason) <= len(line)


def test_a_line_of_a_trace_is_explained_by_who_closed(explain: Out) -> None:
    line = '{"t":1,"dir":"%s","close":{"code":1011,"reason":"%s"}}'
    assert "(internal-error, " in explain(line % ("recv", "Internal error encountered."))
    own = explain(line % ("send", ""))
    assert "(the client's own)" in own and "The client closed with 1011; the service did not." in own
    assert "(keepalive-timeout, " in explain(line % ("send", "keepalive ping timeout"))


def test_a_close_that_nobody_wrote_down(explain: Out) -> None:
    assert "not known whether that helps" in explain("a new reason")
    assert "Request contains an" in explain("1007"), "the reasons known with the code"
    assert "proxy" in explain("418")
    assert "neither a close code" in explain("12", code=2)


@pytest.mark.parametrize(
    ("status", "row", "words"),
    [
        ("200", "http-200", "web server"),
        ("301", "http-3xx", "another address"),
        ("302", "http-3xx", "captive portal"),
        ("307", "http-3xx", "another address"),
        ("401", "http-401", "Gemini API does not do this"),
        ("403", "http-403", "firewall"),
        ("404", "http-404", "path is wrong"),
        ("407", "http-407", "HTTPS_PROXY"),
        ("426", "http-426", "gateway"),
        ("429", "http-429", "longer each time"),
        ("500", "http-5xx", "longer each time"),
        ("502", "http-502", "gateway"),
        ("503", "http-503", "longer each time"),
        ("504", "http-504", "gateway"),
        ("521", "http-5xx", "longer each time"),
    ],
)
def test_an_http_status_instead_of_the_upgrade(status: str, row: str, words: str, explain: Out) -> None:
    for asked in ([status], ["HTTP", f"{status} Some words"]):
        said = explain(*asked)
        assert f"({row}, " in said.splitlines()[0] and words in " ".join(said.split())


def test_numbers_and_reasons_stay_what_they_were(explain: Out) -> None:
    assert "HTTP 404" in explain("404")
    text = explain("Precondition")
    assert text.startswith('"Precondition"  (empty-activity, '), "one word that is no name is a reason"
    assert explain("presence_penalty").startswith("/setup/"), "... and one that is a name is that"
    assert "not known whether that helps" in explain("turn complete"), "two words are no name"
    assert "neither a close code" in explain("9" * 5000, code=2)


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("setup.responseModalities", "/setup/generationConfig/responseModalities"),
        ("responseModalites", "responseModalities"),
        ("/setup/realtimeInputConfig/automaticActivityDetection/disable", "disabled"),
        ("gemini-3.8-liv", "gemini-3.8-live"),
        ("START_SENSITIVTY_HIGH", "START_SENSITIVITY_HIGH"),
        ("goaway-ignore", "goaway-ignored"),
        ("generationconfig.Temprature", "/setup/generationConfig/temperature?"),
        ("realtimeinput.audio.mimtype", "/realtimeInput/audio/mimeType?"),
    ],
)
def test_what_is_not_there_is_told_with_what_is_near(asked: str, near: str, explain: Out) -> None:
    told = " ".join(explain(asked, code=2).split())
    assert f"{asked} is not defined" in told
    assert near in told.split("did you mean ")[1]


def test_a_model_that_is_not_there_is_told_with_those_that_are(explain: Out) -> None:
    for asked in ("gemini-9", "models/gemini-9", "gemini-9-live"):
        told = " ".join(explain(asked, code=2).split())
        assert f"models known here: {', '.join(models.live_ids('gemini'))}" in told
    assert "models known" not in explain("nothing-9", code=2)


def test_json_is_one_object_each(explain: Out, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(explain("--json", "responseModalities"))
    assert told["found"][0]["on"] == {"v1beta": True, "v1alpha": True, "vertex": True}
    assert told["found"][0]["example"]["setup"]["model"]
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


def test_a_message_comes_in_other_wrappings(explain: Out) -> None:
    assert "a message of the client" in explain('{"model": "models/gemini-3.8-live"}'), "a setup as --setup takes it"
    line = '{"t":1,"dir":"recv","opcode":"binary","size":2,"message":{"goAway":{"timeLeft":"5s"}}}'
    assert "goAway  Warns that" in explain(line)
    assert "(key-not-valid" in explain('{"t":1,"dir":"recv","close":{"code":1007,"reason":"API key not valid."}}')
    assert "a message of the server  (empty, which is normal)" in explain("{}")
    assert "this is not a JSON message" in explain('{"setup":', code=2)
    assert "a message is a JSON object" in explain("[1]", code=2)


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


def test_nothing_that_was_asked_is_shown_raw(explain: Out, capsys: pytest.CaptureFixture[str]) -> None:
    odd = json.dumps({"setup": {ODD: ODD, "model": ODD, "labels": {ODD: ODD}}}, ensure_ascii=False)
    long = ("a" * 100_000, "/" * 5000, "setup" + "[0]" * 5000, "{" * 5000)
    for asked in (odd, f"/setup/{ODD}", ODD, f"setup.{ODD}", *long):
        for color in ((), ("--json",)):
            assert main(["explain", *color, asked]) in (0, 2)
            shown = capsys.readouterr()
            assert escape_unsafe(shown.out) == shown.out
            assert escape_unsafe(shown.err) == shown.err
            assert len(shown.out + shown.err) < 10_000


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
