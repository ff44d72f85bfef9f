"""The core against what nobody sends on purpose.

- `step()` takes any bytes and any JSON, from either side, and never raises.
- A frame read by its learned template means what it means to a reader that has learned nothing.
- A faulty client frame changes nothing a later frame could feel.
"""

import base64
import copy
import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from livews import walk
from livews.advice import closes, judge
from livews.conversation import Conversation
from livews.core import close_rows, codec, events, models, protocol, schema
from livews.core.conversation import Step
from livews.core.findings import Finding
from livews.server import service_format

quick = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

SETUP = {"setup": {"model": "models/test"}}
MANUAL = {
    "setup": {
        "model": "models/test",
        "realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}},
        "contextWindowCompression": {"triggerTokens": "10000"},
    }
}
READY = {"setupComplete": {}}


def opened(setup: dict[str, Any] = SETUP) -> Conversation:
    conversation = Conversation()
    conversation.step_message("client", setup)
    conversation.step_message("server", READY)
    return conversation


def read(conversation: Conversation, sender: Any, raw: bytes | str) -> Step:
    """One frame through everything that looks at it."""
    step = conversation.step(sender, raw)
    assert list(events.events(step)) is not None
    assert step.states.keys() == protocol.machine()["regions"].keys()
    assert isinstance(step.body, dict)
    assert len(step.findings) < 1000, "server frames are judged here"
    return step


# Anything at all

_members = [member for schema in walk.schemas().values() for member in schema.get("properties", {}).items()]
_names = sorted({spelling for name, prop in _members for spelling in (name, prop["x-livews"]["snake"])})
_odd = ["", "²", "--5", "9" * 5000, "AAAA", "AA==", "audio/pcm", "audio/pcm;rate=16000", "audio/pcm;rate=" + "9" * 5000,
        "models/test", "nans", "1e999s", "\x1b[2J", "é", "IDLE", "idle", "5s", "0"]  # fmt: skip
_numbers = st.booleans() | st.integers() | st.floats(allow_nan=False)
_leaf = st.none() | _numbers | st.sampled_from(_odd) | st.text(max_size=5)
_json = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_names), inner, max_size=4)
)


def _shaped(schema_id: str, depth: int = 0) -> st.SearchStrategy[Any]:
    """Messages of the right shape most of the time, and of a wrong one now and then."""
    of = schema.table(schema_id)
    if of.values is not None:
        return st.sampled_from(list(of.values)) | st.integers(0, 9) | _leaf
    if not of.members or depth > 4:
        return _leaf | st.just({})
    members = {}
    for member in {member.name: member for member in of.members.values()}.values():
        inner = _lazily(member.target, depth) if member.target else _leaf
        if member.shape == "list":
            inner = st.lists(inner, max_size=2) | inner
        elif member.shape == "map":
            inner = st.dictionaries(st.text(max_size=3), inner, max_size=2)
        members[member.name] = st.one_of(inner, inner, inner, _json)
    return st.sets(st.sampled_from(sorted(members)), max_size=4).flatmap(
        lambda chosen: st.fixed_dictionaries({name: members[name] for name in chosen})
    )


def _lazily(target: str, depth: int) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: _shaped(target, depth + 1))


_senders = st.sampled_from(["client", "server"])
_client = _shaped(schema.ENVELOPE["client"])
_server = _shaped(schema.ENVELOPE["server"])


@quick
@given(st.lists(st.tuples(_senders, st.binary(max_size=60) | st.text(max_size=40)), max_size=4))
def test_any_bytes_and_text_are_read_without_raising(frames: list[tuple[str, Any]]) -> None:
    conversation = opened()
    for sender, raw in frames:
        read(conversation, sender, raw)


@quick
@given(st.lists(st.tuples(_senders, _json), max_size=4))
def test_any_json_is_read_without_raising(frames: list[tuple[str, Any]]) -> None:
    conversation = opened()
    for sender, message in frames:
        read(conversation, sender, json.dumps(message))


@settings(quick, max_examples=100)
@given(
    st.lists(st.tuples(st.just("client"), _client) | st.tuples(st.just("server"), _server), max_size=5),
    st.sampled_from(["", "vertex"]),
    st.sampled_from([None, SETUP, MANUAL]),
)
def test_wrong_messages_of_the_right_shape_are_read_without_raising(
    frames: list[tuple[str, Any]], surface: str, setup: dict[str, Any] | None
) -> None:
    conversation = Conversation(surface=surface)
    if setup:
        conversation.step_message("client", setup)
    for sender, message in frames:
        read(conversation, sender, json.dumps(message))
    conversation.close("server", 1011, "Internal error encountered.")


def deep(head: str, step: str, levels: int, tail: str) -> str:
    return head + step * levels + "{}" + "}" * levels + tail


NINES = "9" * 5000
NASTY = [
    ("server", '{"sessionResumptionUpdate":"x"}'),
    ("server", '{"sessionResumptionUpdate":[]}'),
    ("client", '{"toolResponse":{"functionResponses":[{"id":[1]}]}}'),
    ("client", '{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=' + NINES + '","data":"AAAA"}}}'),
    ("server", '{"usageMetadata":{"totalTokenCount":"²"}}'),
    ("server", '{"usageMetadata":{"totalTokenCount":"' + NINES + '"}}'),
    ("client", deep('{"setup":{"tools":[{"functionDeclarations":[{"parameters":', '{"items":', 700, "}]}]}}")),
    ("client", deep('{"setup":{"model":', '{"a":', 700, "}}")),
    ("server", deep('{"x":', '{"a":', 5000, "}")),
    ("server", "\ud800"),
]


@pytest.mark.parametrize(("sender", "raw"), NASTY, ids=lambda value: value[:40].encode("ascii", "replace").decode())
def test_nasty_frames_are_read_without_raising(sender: str, raw: str) -> None:
    read(opened(), sender, raw)
    read(Conversation(), sender, raw)


@pytest.mark.parametrize("tokens", ["²", "--5", "9" * 5000, [1], {}, True, None, 1e400, 5.5])
def test_odd_values_where_a_rule_looks_for_a_number(tokens: Any) -> None:
    message = {"setup": {"model": "models/test", "contextWindowCompression": {"triggerTokens": tokens}}}
    read(Conversation(), "client", json.dumps(message).replace("Infinity", "1e400"))


@pytest.mark.parametrize(
    ("value", "number"),
    [(5, 5), ("5", 5), ("-5", -5), ("+5", 5), ("5.0", 5), (5.0, 5), (2**63 - 1, 2**63 - 1), (-(2**63), -(2**63))]
    + [
        (odd, None)
        for odd in (
            2**63,
            "9223372036854775808",
            "-" + "9" * 20,
            1e308,
            5.5,
            "5.5",
            "²",
            "--5",
            "",
            " 5",
            "9" * 40,
            True,
            None,
            [5],
            {},
            float("inf"),
        )
    ],
)
def test_whole_numbers_in_either_form(value: Any, number: int | None) -> None:
    assert codec.whole(value) == number


def test_nesting_is_taken_up_to_the_limit_and_no_deeper() -> None:
    def nested(levels: int) -> bytes:
        return b'{"x":' * levels + b"1" + b"}" * levels

    assert codec.parse(nested(codec.DEPTH))
    with pytest.raises(codec.WireError, match="nested deeper than 100"):
        codec.parse(nested(codec.DEPTH + 1))
    assert codec.parse(b'{"x":' + json.dumps([[]] * 500).encode() + b"}"), "many brackets are not deep ones"


# Learned frames


def compact(sender: str, data: str, mime_type: str) -> bytes:
    blob = {"mimeType": mime_type, "data": data}
    content = {"serverContent": {"modelTurn": {"parts": [{"inlineData": blob}]}}}
    return codec.dump({"realtimeInput": {"audio": blob}} if sender == "client" else content)


def pretty(sender: str, data: str, mime_type: str) -> bytes:
    return service_format.dump_as_service(json.loads(compact(sender, data, mime_type)))


def data_first(sender: str, data: str, mime_type: str) -> bytes:
    raw = compact(sender, data, mime_type)
    one, other = codec.dump({"mimeType": mime_type, "data": data}), codec.dump({"data": data, "mimeType": mime_type})
    return raw.replace(one, other)


_encode = [lambda b: base64.b64encode(b).decode(), lambda b: base64.urlsafe_b64encode(b).decode()]
_pieces = [b'"', b"\\", b"\n", b" ", b"=", b"==", b"-", b"_", b"\\/", b"\\u0041", b"}", b"{}", b",", b"A", b"\x00", b"\xff",
           b'","data":"', b'"}}}', b'","newThing":"', b"\xc3\xa9"]  # fmt: skip


def neighbours(dice: random.Random) -> tuple[Any, list[bytes], bytes]:
    """A few good frames of one shape to learn from, and a frame that is nearly one of them."""
    sender = dice.choice(["client", "server"])
    form = dice.choice([compact, pretty, data_first])
    rate = dice.choice(["audio/pcm;rate=24000", "audio/pcm", "audio/pcm;rate=16000"])
    encode = dice.choice(_encode)

    def frame() -> bytes:
        return form(sender, encode(dice.randbytes(dice.randint(12, 48))), rate)

    good = [frame() for _ in range(dice.randint(1, 3))]
    raw, other = bytearray(frame()), frame()
    for _ in range(dice.randint(0, 3)):
        at = dice.randint(0, len(raw))
        end = min(len(raw), at + dice.randint(0, 6))
        match dice.choice(["insert", "replace", "delete", "splice", "empty", "overlap"]):
            case "insert":
                raw[at:at] = dice.choice(_pieces)
            case "replace":
                raw[at:end] = dice.choice(_pieces)
            case "delete":
                del raw[at:end]
            case "splice":
                raw = bytearray(raw[:at] + other[dice.randint(0, len(other)) :])
            case "empty" | "overlap" as how:  # all of the base64 gone, and with it the quote the tail begins with
                start = raw.find(b'"data":') + 8 + (raw.find(b'"data": ') > 0)
                stop = raw.find(b'"', start)
                if 8 < start < stop:
                    del raw[start : stop + (how == "overlap")]
    return sender, good, bytes(raw)


def meaning(step: Step) -> list[Any]:
    names = ("kind", "signals", "effects", "states", "audio", "interrupted", "findings", "body")
    return [getattr(step, name) for name in names]


def memory(conversation: Conversation) -> dict[str, Any]:
    return copy.deepcopy(
        {k: v for k, v in vars(conversation).items() if k not in ("_machine", "_templates", "_kept", "news")}
    )


class Unlearned(Conversation):
    """A conversation that keeps no template and no step: every frame is parsed."""

    def step(self, *frame: Any, **more: Any) -> Step:
        self._templates = {"client": [], "server": []}
        self._kept = {}
        return super().step(*frame, **more)


@pytest.mark.parametrize("cut", [True, False])
def test_a_learned_frame_means_what_it_means_to_a_full_parse(cut: bool) -> None:
    for seed in range(1200):
        sender, good, raw = neighbours(random.Random(seed * 2 + cut))
        learned, fresh = Conversation(), Unlearned()
        frames: list[tuple[Any, bytes]] = [("client", codec.dump(SETUP)), ("server", codec.dump(READY))]
        frames += [(sender, frame) for frame in good]
        frames += [("server", b'{"serverContent":{"interrupted":true}}')] if cut else []
        frames += [(sender, raw), (sender, good[0])]
        for who, frame in frames:
            assert meaning(learned.step(who, frame)) == meaning(fresh.step(who, frame)), (seed, frame)
        assert memory(learned) == memory(fresh), seed


def test_templates_are_used_at_all() -> None:
    conversation = opened()
    parsed: list[bytes] = []
    for n in range(3):
        step = conversation.step("server", pretty("server", base64.b64encode(bytes([n]) * 480).decode(), "audio/pcm"))
        parsed += [step.raw] if step.parsed is not None else []
    assert len(parsed) < 3, "the second frame of a kind in a state is read by its template"


def test_a_template_is_not_learned_from_a_place_that_is_overwritten() -> None:
    twice = (
        '{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"%s","data":"%s"}}]}}}'
    )
    conversation = opened()
    conversation.step("server", twice % ("AAAA/AAAAAAAAAAAAAAA", "AAAA\\/AAAAAAAAAAAAAAA"))
    conversation.step("server", twice % ("AAAA/AAAAAAAAAAAAAAA", "AAAA\\/AAAAAAAAAAAAAAA"))
    step = conversation.step("server", twice % ("BBBBBBBBBBBBBBBBBBBB", "AAAA\\/AAAAAAAAAAAAAAA"))
    assert step.audio == (("audio/pcm", base64.b64decode("AAAA/AAAAAAAAAAAAAAA")),)


# Faulty client frames

HISTORY: dict[str, tuple[Any, Any]] = {
    "setup": ("client", MANUAL),
    "ready": ("server", READY),
    "ask": ("client", {"clientContent": {"turns": [{"parts": [{"text": "hello"}]}], "turnComplete": True}}),
    "audio": ("server", json.loads(compact("server", "AAAAAAAAAAAAAAAAAAAAAAAA", "audio/pcm"))),
    "call": ("server", {"toolCall": {"functionCalls": [{"id": "1", "name": "f"}]}}),
    "activity": ("client", {"realtimeInput": {"activityStart": {}}}),
    "goAway": ("server", {"goAway": {"timeLeft": "50s"}}),
    "cut": ("server", {"serverContent": {"interrupted": True}}),
}


@settings(quick, max_examples=120)
@given(
    st.lists(st.sampled_from([*HISTORY, "close"]), max_size=6),
    st.binary(max_size=12) | (_client | _json).map(lambda message: json.dumps(message).encode()),
)
def test_a_faulty_client_frame_changes_nothing(history: list[str], raw: bytes) -> None:
    conversation = Conversation()
    for name in history:
        if name == "close":
            conversation.close("server", 1000)
        else:
            conversation.step_message(*HISTORY[name])
    before = memory(conversation)
    step = conversation.step("client", raw)
    assume(any(fault.level == "error" for fault in step.faults))
    assert memory(conversation) == before
    assert step.effects == ()


def test_two_rates_in_one_session_are_told_and_the_first_one_stays() -> None:
    conversation = opened()
    for rate in (16000, 24000, 16000):
        step = conversation.step("client", compact("client", "AAAAAAAA", f"audio/pcm;rate={rate}"))
        assert [f.rule for f in step.faults] == (["AUDIO-2"] if rate == 24000 else [])
    assert conversation.input_rate == 16000


# Closes


@quick
@given(st.integers(0, 5000), st.text(max_size=130), st.sampled_from(["", "models/gemini-2.0-flash-exp"]))
def test_every_close_gets_advice(code: int, reason: str, model: str) -> None:
    advice = closes.explain(code, reason, model=model)
    assert advice.meaning and advice.do


@pytest.mark.parametrize("row", protocol.closes(), ids=lambda row: row["id"])
def test_a_reason_cut_anywhere_past_its_match_still_finds_its_row(row: dict[str, Any]) -> None:
    if row["code"] and row["match"] and "{" not in row["match"]:
        first = next(one["id"] for one in protocol.closes() if one["match"] == row["match"])
        for end in range(len(row["match"]), len(row["reason"]) + 1):
            assert closes.explain(row["code"], row["reason"][:end]).id == first


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("model-not-found", {"model": "models/" + "m" * 200}),
        ("model-not-found", {"model": "models/" + "é" * 200}),
        ("not-a-live-model", {"model": "models/" + "m" * 200}),
        ("unknown-name", {"name": "n" * 200}),
        ("invalid-value", {"path": "setup." * 40}),
    ],
)
def test_a_reason_cut_within_a_name_finds_its_row(row: str, values: dict[str, str]) -> None:
    code, reason = close_rows.frame_for(row, **values)
    advice = closes.explain(code, reason)
    assert advice.id == row
    ((name, whole),) = values.items()
    assert len(advice.values[name]) > 20
    assert whole.startswith(advice.values[name])


def test_a_long_reason_nobody_has_seen_is_not_taken_for_a_long_name() -> None:
    assert not closes.explain(1008, "This is news. " * 20).known
    assert not closes.explain(1008, "models/short").known


@quick
@given(st.text(max_size=200))
def test_a_reason_is_cut_to_what_a_close_frame_holds(reason: str) -> None:
    short = close_rows.cut(reason.encode(errors="ignore").decode())
    assert len(short.encode()) <= close_rows.REASON_LIMIT


@quick
@given(st.text(max_size=30))
def test_any_model_has_a_profile(model: str) -> None:
    assert models.profile(model)["output"]


def test_a_voice_that_does_not_exist_is_told() -> None:
    def said(voice: str) -> list[str]:
        speech = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
        message = {"setup": {"model": "models/test", "generationConfig": {"speechConfig": speech}}}
        return [str(one.close) for one in judge.check("client", message) if one.rule == "MODEL-8"]

    assert said("Puck") == said("kore") == said("") == []
    assert said("Pucky") == ["(1007, 'No matching speaker voice found for name: Pucky')"]


@pytest.mark.parametrize(
    ("sent", "fix"),
    [
        ({"serverContent": {}}, "Do not send serverContent: only the service sends it"),
        ({"setup_complete": {}}, "Clients send setup, clientContent, realtimeInput, toolResponse."),
        ({"serverContend": {}}, "Remove the member"),
        ({"realtimeInput": {"serverContent": {}}}, "Remove the member"),
    ],
)
def test_a_message_of_the_other_side_is_told_as_that(sent: dict[str, Any], fix: str) -> None:
    (fault,) = opened().step_message("client", sent).faults
    assert fault.rule == "WIRE-5" and fix in fault.fix


def test_history_counts_only_for_who_asks_for_it() -> None:
    def reasons(as_of: str, surface: str = "gemini") -> list[str]:
        talk = Conversation(surface=surface, as_of=as_of)
        model = "models/gemini-2.5-flash-native-audio-preview-09-2025"
        model = "publishers/google/models/gemini-3.8-live" if surface == "vertex" else model
        setup = {"setup": {"model": model, "generationConfig": {"responseModalities": ["TEXT"]}}}
        return [one.close[1][:24] for one in talk.step_message("client", setup).faults if one.close]

    assert reasons("") == ["The requested combinatio"]
    assert reasons("2025-10") == ["Request contains an inva"]
    assert reasons("2026-02") == ["Cannot extract voices fr"]
    assert reasons("", "vertex") == ["Text output is not suppo"]


def test_clientContent_on_31_was_refused_for_two_months() -> None:
    def refused(as_of: str, **more: Any) -> bool:
        talk = Conversation(as_of=as_of)
        talk.step_message("client", {"setup": {"model": "models/gemini-3.1-flash-live-preview", **more}})
        talk.step_message("server", {"setupComplete": {}})
        return any(one.close for one in talk.step_message("client", {"clientContent": {"turnComplete": True}}).faults)

    assert refused("2026-04")
    assert not refused("2026-04", historyConfig={"initialHistoryInClientContent": True})
    assert not refused("2026-08")
    assert not refused("")


def test_sound_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def part(data: str, mime_type: str = "audio/pcm") -> dict[str, Any]:
        return {"inlineData": {"mimeType": mime_type, "data": data}}

    decoded: list[str] = []
    decode = codec.decode_base64
    monkeypatch.setattr(codec, "decode_base64", lambda data: decoded.append(data) or decode(data))
    talk = opened()
    parts = [part("AAAA"), part("?!"), {"text": "so"}, part("AAEC"), part("")]
    parts += [{"inlineData": {"mimeType": "audio/pcm"}}, part("/9j/", "image/jpeg")]
    step = talk.step_message("server", {"serverContent": {"modelTurn": {"parts": parts}}})
    came = list(events.events(step))
    assert [one.pcm for one in came if isinstance(one, events.Audio)] == [b"\0\0\0", b"\0\1\2", b"", b""]
    assert [one.data for one in came if isinstance(one, events.Media)] == [b"\xff\xd8\xff"]
    assert sorted(decoded) == ["", "/9j/", "?!", "AAAA", "AAEC"], "nor does an event judge the frame"


def test_what_a_step_found_cannot_be_added_to() -> None:
    """Steps of repeated frames share it."""
    talk = opened()
    for _ in range(2):
        step = talk.step("server", pretty("server", base64.b64encode(bytes(480)).decode(), "audio/pcm"))
        assert step.faults == step.notes == ()


def test_a_call_stays_open_while_its_answers_continue() -> None:
    talk = opened()
    talk.step_message("server", {"toolCall": {"functionCalls": [{"name": "f", "args": {}, "id": "1"}]}})
    answer: dict[str, Any] = {"id": "1", "name": "f", "response": {}}
    talk.step_message("client", {"toolResponse": {"functionResponses": [{**answer, "willContinue": True}]}})
    assert talk.pending == {"1": "f"}
    assert talk.state("turn") == "waitingForTool"
    talk.step_message("client", {"toolResponse": {"functionResponses": [answer]}})
    assert talk.pending == {}
    assert talk.state("turn") == "generating"


def test_a_property_whose_name_is_a_number() -> None:
    schema = {"type": "OBJECT", "properties": {"0": 5, "1": {"typ": 1}}}
    declared = {"tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}
    found = judge.check("client", {"setup": {"model": "models/test", **declared}})
    at = "/setup/tools/0/functionDeclarations/0/parameters/properties"
    assert [(one.rule, one.path) for one in found] == [("WIRE-5", f"{at}/1/typ"), ("WIRE-7", f"{at}/0")]


CLIENT = [
    SETUP, MANUAL, {"setup": {}}, {"setup": {"model": "models/test", "x": 1}}, {"setupComplete": {}}, {}, {"clientContentt": {}},
    {"realtimeInput": {"text": "hi"}}, {"realtimeInput": {"activityStart": {}}}, {"realtimeInput": {"activityEnd": {}}},
    {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=16000", "data": "AAAAAAAA"}}},
    {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=8000", "data": "AAA"}}},
    {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "hi"}]}], "turnComplete": True}},
    {"toolResponse": {"functionResponses": [{"id": "1", "name": "f", "response": {}}]}}, {"toolResponse": {"functionResponses": [{}]}},
]  # fmt: skip
SERVER = [
    READY, {"serverContent": {"turnComplete": True}}, {"serverContent": {"interrupted": True}}, {"sessionResumptionUpdate": {}},
    {"toolCall": {"functionCalls": [{"id": "1", "name": "f"}]}}, {"toolCallCancellation": {"ids": ["1"]}}, {"goAway": {}},
    {"serverContent": {"modelTurn": {"parts": [{"text": "a"}]}}},
]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_a_step_that_is_kept_is_what_it_would_be(seed: int) -> None:
    """A message that changed nothing is judged once; a conversation that keeps no steps says the same of every message."""
    source, kept, plain = random.Random(seed), Conversation(), Conversation()
    recent = [SETUP, READY]
    for _ in range(150):
        if source.random() < 0.5:
            recent = [*recent, source.choice(CLIENT + SERVER)][-4:]
        message = source.choice(recent)
        raw, plain._kept = codec.dump(message), {}
        sender: schema.Sender = "server" if message in SERVER and message is not CLIENT[4] else "client"
        one, other = kept.step(sender, raw), plain.step(sender, raw)
        assert (one, one.findings, one.body) == (other, other.findings, other.body) or sender == "server"
        assert (one.state, one.effects, one.findings) == (other.state, other.effects, other.findings)
        assert (kept.states, kept.pending, kept.turns) == (plain.states, plain.pending, plain.turns)


def test_findings_that_are_added_to_a_step_are_among_its_findings() -> None:
    """As the check of the audio of a stream adds them, after somebody has looked."""
    step = opened().step("client", b'{"clientContentt":{}}')
    faults = step.faults
    step.judgement = (*step.findings, Finding("note", "AUDIO-7", "", "more"))
    assert [note.complaint for note in step.notes] == ["more"] and step.faults == faults
