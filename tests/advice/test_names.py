"""advice.names: where a name belongs that its object does not have, and what it is in another protocol."""

import json
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest

from livews.advice import closes, judge
from livews.core import close_rows, protocol
from livews.core.rules import ApiTarget

DATA = Path(__file__).parent.parent / "data"
SETS = json.loads((DATA / "misplaced.json").read_text())
"""Objects of a message with "?" for the one that gets a member, and what is said of each member."""


def put(place: Any, member: dict[str, Any]) -> Any:
    """The message with an object in place of "?"."""
    if place == "?":
        return member
    if isinstance(place, list):
        return [put(item, member) for item in place]
    return {key: put(value, member) for key, value in place.items()} if isinstance(place, dict) else place


@pytest.mark.parametrize(("place", "name", "words"), [
    pytest.param(row["in"], name, words, id=f"{row['set']}: {name}") for row in SETS for name, words in row["rows"].items()
])  # fmt: skip
def test_a_name_in_the_wrong_object(place: Any, name: str, words: str) -> None:
    found = [one for one in judge.check("client", put(place, {name: {}})) if one.path.endswith(f"/{name}")]
    first = next(one for one in found if one.rule in ("WIRE-5", "MODEL-7"))
    complaint = first.complaint.removesuffix(f" at {first.path}")
    assert complaint == words or (words.startswith(("; ", "did")) and complaint.endswith(words)), complaint
    if "belongs" in words or "takes" in words or "mean" in words:
        assert first.fix != protocol.rules()[first.rule]["do"], "the fix is a particular one"


@pytest.mark.parametrize("message", [
    {"setup": {"model": "models/gemini-3.8-live", "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {
        "$schema": "x", "type": ["object", "null"], "$defs": {}, "additionalProperties": False}}]}]}},
    {"setup": {"model": "models/gemini-3.8-live", "tools": [{"functionDeclarations": [{"name": "f", "parameters": {
        "type": "object", "title": "F", "properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}},
        "required": ["a"]}}]}]}},
    {"setup": {"model": "projects/p/locations/l/publishers/google/models/gemini-3.8-live", "explicitVadSignal": True, "tools": [
        {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "additionalProperties": False}}]}]}},
])  # fmt: skip
def test_tools_that_are_taken(message: dict[str, Any]) -> None:
    assert [one for one in judge.check("client", message) if one.level != "note"] == []


def test_parameters_as_json_schema_are_noted_where_they_give_no_arguments() -> None:
    tools = [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}]
    for model, levels in (("gemini-2.5-flash-native-audio-latest", ["note"]), ("gemini-3.8-live", [])):
        found = judge.check("client", {"setup": {"model": f"models/{model}", "tools": tools}})
        assert [one.level for one in found if "parametersJsonSchema" in one.path] == levels


def test_json_schema_in_a_type_has_a_fix() -> None:
    schema = {"type": ["string", "null"]}
    message = {
        "setup": {"model": "models/m", "tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}
    }
    first = judge.check("client", message)[0]
    assert (first.rule, first.fix) == (
        "WIRE-7",
        "Give the JSON Schema as parametersJsonSchema in place of parameters.",
    )


@pytest.mark.parametrize(("message", "words"), [
    ({"type": "session.update", "session": {"modalities": ["text"]}}, "an event of OpenAI's Realtime protocol"),
    ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "an event of OpenAI's Realtime protocol"),
    ({"type": "conversation.item.create", "item": {}, "event_id": "e"}, "an event of OpenAI's Realtime protocol"),
    ({"type": "response.create"}, "an event of OpenAI's Realtime protocol"),
    ({"type": "session.created"}, "an event of OpenAI's Realtime protocol"),
    ({"event_type": "interaction.connect", "id": "x"}, "an event of Google's Live Interactions"),
    ({"event": "media", "media": {"payload": "AAAA"}}, "an event of Twilio Media Streams"),
    ({"jsonrpc": "2.0", "method": "initialize"}, "a message of JSON-RPC"),
    ({"type": "audio", "data": "AAAA"}, "the type of an event, which messages of the Live API do not have"),
])  # fmt: skip
def test_a_message_of_another_protocol_gets_one_finding(message: dict[str, Any], words: str) -> None:
    (one,) = judge.check("client", message)
    assert (
        words in one.complaint
        and one.level == "error"
        and one.close == close_rows.frame_for("unknown-name", name=next(iter(message)), path="")
    )


def test_a_type_beside_a_message_is_only_unknown() -> None:
    (one,) = judge.check("client", {"setup": {"model": "models/test"}, "type": "session.update"})
    assert "OpenAI" not in one.complaint


@pytest.mark.parametrize(("member", "value", "near"), [
    ("scheduling", "IMMEDIATELY", "INTERRUPT"), ("scheduling", "WHEN-IDLE", "WHEN_IDLE"), ("scheduling", "INTERUPT", "INTERRUPT"),
    ("scheduling", "LATER", ""),
])  # fmt: skip
def test_the_nearest_value(member: str, value: str, near: str) -> None:
    (one,) = judge.check(
        "client", {"toolResponse": {"functionResponses": [{"id": "1", "response": {}, member: value}]}}
    )
    assert ("did you mean" in one.complaint) is bool(
        near
    ) and f"did you mean {near}?" in f"{one.complaint}did you mean ?"
    assert not near or one.fix == f"Write {near}."


@pytest.mark.parametrize(("role", "target", "level", "near"), [
    ("user", None, "", ""), ("model", None, "", ""), ("", None, "", ""),
    ("assistant", None, "note", "model"), ("Assistant", None, "note", "model"), ("human", None, "note", "user"),
    ("USER", None, "note", "user"), ("modle", None, "note", "model"), ("tool", None, "note", ""),
    ("system", None, "refused", ""), ("system", ApiTarget("vertex", "v1"), "", ""),
])  # fmt: skip
def test_a_role_is_user_or_model(role: str, target: ApiTarget | None, level: str, near: str) -> None:
    turns = [{"role": "user", "parts": [{"text": "a"}]}, {"role": role, "parts": [{"text": "b"}]}]
    found = judge.check("client", {"clientContent": {"turns": turns}}, target)
    assert [(one.rule, one.level, one.path) for one in found] == [("WIRE-16", level, "/clientContent/turns/1/role")][
        : bool(level)
    ]
    assert not near or f"did you mean {near}?" in found[0].complaint


@pytest.mark.parametrize(("name", "path", "words"), [
    ("additionalProperties", "setup.tools[0].function_declarations[0].parameters", "Give the JSON Schema as parametersJsonSchema"),
    ("$ref", "setup.tools[0].function_declarations[0].parameters.properties[0].value", "Give the JSON Schema as parametersJsonSchema"),
    ("inputAudioTranscription", "setup.generation_config", "Move inputAudioTranscription to setup."),
    ("tols", "setup", "Write tools in place of tols."),
    ("proactivity", "setup.generation_config", "Move proactivity to setup"),
    ("functionResponses", "", "Move functionResponses to toolResponse."),
])  # fmt: skip
def test_a_close_says_where_the_name_belongs(name: str, path: str, words: str) -> None:
    for code, reason in (close_rows.frame_for("unknown-name", name=name, path=path),):
        advice = closes.explain(code, reason)
        assert advice.id == "unknown-name" and words in advice.do
        assert "is a member of" not in advice.do


def test_most_names_are_not_compared_letter_by_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The letters that two names share are counted at once."""
    compared: list[str] = []
    for how in ("ratio", "quick_ratio"):
        monkeypatch.setattr(SequenceMatcher, how, lambda self: compared.append(self.a) or 0.9)
    assert [one.complaint for one in judge.check("client", {"setuup": {}})] == [
        "no member setuup in BidiGenerateContentClientMessage; did you mean setup? at /setuup"
    ]
    assert compared == ["setup"]
    for i in range(20):
        judge.check("client", {f"tetupComplete{i}": {}})
    assert len(compared) < 20, "there are 150 names"
