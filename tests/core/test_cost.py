"""What a message may cost to read (WIRE-15): counted on its bytes, before it is parsed."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from livews.conversation import Conversation
from livews.core import close_rows, codec
from livews.core.conversation import OTHER_NAMES, function_calls
from livews.core.events import events
from livews.core.schema import Sender

SETUP = b'{"setup":{"model":"models/test"}}'


def turns(count: int, turn: str = "{}") -> bytes:
    return b'{"clientContent":{"turns":[%s]}}' % ",".join([turn] * count).encode()


OVER: dict[str, tuple[Sender, bytes]] = {
    "empty turns": ("client", turns(100_000)),
    "numbers": ("client", turns(60_000, "1")),
    "texts": ("client", turns(30_000, '{"parts":[{"text":"a"}]}')),
    "deep lists": ("client", turns(1_000, "[" * 60 + "]" * 60)),
    "one long text": ("client", b'{"realtimeInput":{"text":"%s"}}' % (b"a" * codec.LONGEST)),
    "a long and full one": ("client", turns(15_000) + b" " * (codec.LONGEST // 2)),
    "calls": ("server", b'{"toolCall":{"functionCalls":[%s{}]}}' % (b"{}," * 279_000)),
    "members": ("server", b"{%s}" % b",".join(b'"a%d":1' % i for i in range(700_000))),
    "not even JSON": ("server", b"[" * 60_000),
    "commas in a text": ("server", b'{"x":"%s"}' % (b"," * 60_000)),
}
READ: dict[str, tuple[Sender, bytes]] = {
    "a history of 2,000 turns": (
        "client",
        turns(
            2_000, '{"role":"user","parts":[{"text":"%s"}]}' % ("Well, to tell you the truth, I do not know. " * 5)
        ),
    ),
    "128 functions of 50 parameters": (
        "client",
        orjson.dumps(
            {
                "setup": {
                    "model": "models/test",
                    "tools": [
                        {
                            "functionDeclarations": [
                                {
                                    "name": f"function_{i}",
                                    "description": "Does a thing, then another.",
                                    "parameters": {
                                        "type": "OBJECT",
                                        "properties": {
                                            f"parameter_{k}": {"type": "STRING", "description": "What, and how much."}
                                            for k in range(50)
                                        },
                                    },
                                }
                                for i in range(128)
                            ]
                        }
                    ],
                }
            },
            option=orjson.OPT_INDENT_2,
        ),
    ),
    "a picture of 5 MB": (
        "client",
        b'{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"%s"}}}' % (b"AAAA" * (5_000_000 // 3)),
    ),
    "a minute of audio": (
        "server",
        b'{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"%s"}}]}}}'
        % (b"AAAA" * 960_000),
    ),
}


@pytest.mark.parametrize("name", OVER)
def test_a_message_over_the_budget_is_not_parsed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sender, raw = OVER[name]
    conversation = Conversation()
    conversation.step("client", SETUP)
    before, refused = conversation.states, close_rows.frame_for("invalid-argument")

    def parsed(raw: bytes) -> Any:
        raise AssertionError("it was parsed")

    monkeypatch.setattr("livews.core.codec.parse_any", parsed)
    assert codec.is_too_complex(raw)
    step = conversation.step(sender, raw)
    assert (step.kind, step.body, list(events(step))) == ("unreadable", {}, [])
    (found,) = step.findings
    assert (found.level, found.rule) == ("error", "WIRE-15")
    assert f"{len(raw):,} bytes" in found.complaint and found.fix
    assert found.close == (refused if sender == "client" else None)
    assert (step.states, conversation.server_faults["WIRE-15"]) == (before, int(sender == "server"))


@pytest.mark.parametrize("name", READ)
def test_large_messages_of_real_sessions_are_read(name: str) -> None:
    sender, raw = READ[name]
    conversation = Conversation()
    if b"setup" not in raw:
        conversation.step("client", SETUP)
        conversation.step("server", b'{"setupComplete":{}}')
    step = conversation.step(sender, raw)
    assert step.kind != "unreadable" and not step.faults


def test_a_long_frame_like_one_before_is_not_decoded() -> None:
    conversation = Conversation()
    conversation.step("client", SETUP)
    conversation.step("server", b'{"setupComplete":{}}')
    frame = b'{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"%s"}}]}}}'
    steps = [conversation.step("server", frame % (b"AAAA" * count)) for count in (16, 16, 16, codec.LONGEST // 4)]
    assert [step.kind for step in steps] == ["serverContent"] * 3 + ["unreadable"]
    assert steps[2].template


# What stays after a message


def test_names_of_a_server_are_remembered_up_to_a_number_and_a_length() -> None:
    conversation = Conversation()
    conversation.step("client", SETUP)
    conversation.step_message("server", {"x" * 1_000_000: 1})
    for i in range(300):
        conversation.step_message("server", {f"news{i}": 1, "serverContent": {"turnCompleteReason": f"NEWS_{i}"}})
    assert len(conversation.news) == 101 and max(map(len, conversation.news)) == 100
    assert conversation.news[OTHER_NAMES] == 1 + 2 * 300 - 100


def test_findings_about_a_long_key_are_short() -> None:
    properties = {"p" * 100_000: {"properties": {f"a{i}": {"type": "string", "x": 1} for i in range(300)}}}
    declarations = [{"name": "f", "parameters": {"properties": properties}}]
    message = {"setup": {"model": "models/test", "tools": [{"functionDeclarations": declarations}], "y" * 100_000: 1}}
    step = Conversation().step_message("client", message)
    assert {finding.rule for finding in step.findings} >= {"WIRE-5", "WIRE-12"}
    assert max(len(finding.path) + len(finding.complaint) for finding in step.findings) < 1_000


def test_open_calls_are_remembered_up_to_a_number() -> None:
    conversation = Conversation()
    conversation.step("client", SETUP)
    conversation.step_message("server", {"setupComplete": {}})
    calls = [{"id": f"call{i}", "name": f"f{i % 7}"} for i in range(3_000)]
    for start in range(0, len(calls), 500):
        conversation.step_message("server", {"toolCall": {"functionCalls": calls[start : start + 500]}})
    assert [*conversation.pending] == [call["id"] for call in calls[-1_000:]]


def test_answers_without_an_id_close_the_oldest_calls_of_their_names() -> None:
    conversation = Conversation()
    conversation.step("client", SETUP)
    conversation.step_message("server", {"setupComplete": {}})
    calls = [{"id": f"call{i}", "name": "f"} for i in range(4)]
    conversation.step_message("server", {"toolCall": {"functionCalls": calls}})
    answers = [{"id": "call0", "name": "f"}, {"name": "f"}, {"name": "g"}]
    conversation.step_message("client", {"toolResponse": {"functionResponses": answers}})
    assert [*conversation.pending] == ["call2", "call3"]


def _function_calls(read: Callable[[], object]) -> int:
    """How many functions of Python are called, generators resumed: the same on every machine."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    read()  # what is compiled or kept the first time
    sys.setprofile(note)
    try:
        read()
    finally:
        sys.setprofile(None)
    return count


def test_many_small_frames_cost_what_they_hold() -> None:
    """A name that no type has is compared with those that it may have been meant as once, and a call is read at once."""
    talk = Conversation()
    talk.step("client", SETUP)
    unknown = b'{"clientContelete":{}}'
    assert "did you mean clientContent?" in str(talk.step("client", unknown).faults[0])
    assert _function_calls(lambda: talk.step("client", unknown)) < 140
    calls = {"toolCall": {"functionCalls": [{}] * 100}}
    assert _function_calls(lambda: list(function_calls(calls))) < 250


@pytest.mark.parametrize("message", [
    b'{"setupComplete":{}}', b'{"toolResponse":{"functionResponses":[{"id":"1","name":"f"}]}}', b'{"realtimeInput":{"audio":1}}', b"{}",
])  # fmt: skip
def test_the_same_message_is_judged_once(message: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as nothing changes, also where another comes between."""
    talk = Conversation()
    talk.step("client", SETUP)
    talk.step("server", b'{"setupComplete":{}}')
    first = talk.step("client", message)
    judged: list[object] = []
    judge = Conversation._judge
    counted = staticmethod(lambda reading, context: judged.append(reading) or judge(reading, context))
    monkeypatch.setattr(Conversation, "_judge", counted)
    for _ in range(10):
        assert talk.step("client", message) == first
        talk.step("client", b'{"clientContentt":{}}')
    assert len(judged) == 1, "that of the other"
    talk.step("server", b'{"toolCall":{"functionCalls":[{"id":"1","name":"f"}]}}')
    talk.step("client", message)
    assert len(judged) == 2, "what came before is another now"


def test_audio_of_the_service_loads_no_schemas() -> None:
    """The first sound of a session would wait for them."""
    frame = '{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "%s"}}]}}}'
    code = f"""
import sys
from livews.conversation import Conversation
conversation = Conversation()
conversation.step("client", '{{"setup": {{"model": "models/test"}}}}', composed=True)
conversation.step("server", '{{"setupComplete": {{}}}}')
for data in ("AAAA" * 200, "AAEA" * 200, "AAIA" * 200):
    step = conversation.step("server", {frame!r} % data)
assert step.template is not None, "the last is recognised by those before"
assert "jsonschema_rs" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
