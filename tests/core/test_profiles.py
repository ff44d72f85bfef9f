"""What protocol/models.json says of a model is found by a rule, and the stand-in closes with what the rule says.

tests/data/profiles.json has the rows: `rows` about members of a setup, or of a message after it, and `names` of models.
"""

from __future__ import annotations

import ast
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

import livews
from livews.advice import closes, judge
from livews.conversation import Conversation
from livews.core import models, protocol
from livews.core.rules import ApiTarget, Finding
from livews.proxy.observer import ConnectionObserver
from tests.kit import names, sound, talk

DATA: dict[str, list[dict[str, Any]]] = json.loads((names.DATA / "profiles.json").read_text())
_FAMILIES = ("MODEL-", "TOOL-", "AUDIO-4")
_WORDS = {"name", "ids", "like", "title", "since", "notes", "evidence", "closes", "refuses", "requires", "onVertex"}
"""Members that say what a profile is, or that `models` merges into the others."""


def _model(row: dict[str, Any]) -> str:
    return row["model"] if "/" in row["model"] else f"models/{row['model']}"


def _label(row: dict[str, Any]) -> str:
    return row.get("name") or f"{row['model'].rpartition('/')[2]} {json.dumps(row.get('then') or row['setup'])}"[:90]


def _shown(findings: list[Finding], *, path: bool = True) -> list[str]:
    return [
        f"{one.rule} {one.level}" + (f" {one.path}" if path else "")
        for one in findings
        if one.rule.startswith(_FAMILIES) and not one.rule.startswith(("MODEL-10", "TOOL-2") if path else "none")
    ]


def _conversation(row: dict[str, Any], surface: str = "") -> Conversation:
    surface = surface or models.surface_of(_model(row))
    version = {"gemini": "v1beta", "vertex": "v1beta1"}[surface]
    return Conversation(surface=surface, version=row.get("version", version))


@pytest.mark.parametrize("row", DATA["rows"], ids=_label)
def test_what_a_profile_says_is_found(row: dict[str, Any]) -> None:
    conversation = _conversation(row)
    step = conversation.step_message("client", {"setup": {"model": _model(row), **row["setup"]}})
    if "then" in row:
        assert step.faults == ()
        conversation.step_message("server", {"setupComplete": {}})
        step = conversation.step_message("client", row["then"])
    assert _shown(step.findings) == row["found"]
    if "close" in row:
        code, reason = step.faults[0].close or (0, "")
        assert closes.explain(code, reason).id == row["close"]


@pytest.mark.parametrize("row", DATA["names"], ids=_label)
def test_a_name_of_a_model_is_judged(row: dict[str, Any]) -> None:
    target = ApiTarget(
        row.get("surface") or models.surface_of(row["name"]) or "gemini", "v1beta", row.get("asOf", "")
    )
    needed = {"generationConfig": {"translationConfig": {"targetLanguageCode": "de"}, "thinkingConfig": {}}}
    setup = {"model": row["name"], **(needed if "extended" in row["name"] else {})}
    findings = [
        one for one in judge.check("client", {"setup": setup}, target) if one.rule not in ("MODEL-6", "MODEL-5")
    ]
    assert _shown(findings, path=False) == row["found"]
    if row.get("meant"):
        assert row["meant"] in findings[0].complaint + findings[0].fix


@pytest.mark.parametrize("row", DATA["rows"], ids=_label)
async def test_the_stand_in_closes_where_a_profile_refuses(row: dict[str, Any]) -> None:
    path = names.VERTEX if models.surface_of(_model(row)) == "vertex" else names.GEMINI
    path = path.replace("v1beta.", f"{row.get('version', 'v1beta')}.")
    setup = {"model": _model(row), **row["setup"]}
    async with talk.serving() as server:
        async with talk.calling(server, path=path, **({"setup": setup} if "then" in row else {})) as caller:
            await caller.say(row.get("then") or {"setup": setup})
            if "close" in row:
                code, reason = await caller.closed()
                assert closes.explain(code, reason).id == row["close"]
            elif "then" not in row:
                assert "setupComplete" in await caller.hear()


@pytest.mark.parametrize("row", [row for row in DATA["names"] if "asOf" not in row], ids=_label)
async def test_the_stand_in_closes_where_a_name_is_refused(row: dict[str, Any]) -> None:
    surface = row.get("surface") or models.surface_of(row["name"]) or "gemini"
    path = {"gemini": names.GEMINI, "vertex": names.VERTEX}[surface]
    async with talk.serving(as_of=protocol.models()["asOf"]) as server, talk.calling(server, path=path) as caller:
        await caller.say({"setup": {"model": row["name"]}})
        if "close" in row:
            code, reason = await caller.closed()
            assert closes.explain(code, reason).id == row["close"]
            assert reason.startswith(row["name"][:90]) or row["close"] != "model-not-found", (
                "the service quotes all of it"
            )


CALLS = {
    "toolCall": {"functionCalls": [{"id": "c1", "name": "f", "args": {}}, {"id": "c2", "name": "g", "args": {}}]}
}


@pytest.mark.parametrize("row", DATA["answers"], ids=lambda row: row["does"])
def test_an_answer_is_judged(row: dict[str, Any]) -> None:
    conversation = Conversation(surface="gemini", version="v1beta")
    conversation.step_message("client", {"setup": {"model": "models/gemini-3.8-live"}})
    for message in ({"setupComplete": {}}, CALLS):
        conversation.step_message("server", message)
    if "before" in row:
        assert not conversation.step_message("client", row["before"]).findings
    findings = [
        one
        for one in conversation.step_message("client", row["then"]).findings
        if one.rule not in ("WIRE-11", "TURN-6")
    ]
    assert [f"{one.rule} {one.level} {one.path}" for one in findings] == row["found"]
    assert all(row.get("says", "") in f"{one}{one.fix}" for one in findings)
    if "close" in row:
        code, reason = findings[0].close or (0, "")
        assert closes.explain(code, reason).id == row["close"]


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_a_version_without_live_is_noted_once(version: str) -> None:
    conversation = Conversation(surface="gemini", version=version)
    steps = [conversation.step_message("client", {"setup": {"model": "models/gemini-3.8-live"}})]
    conversation.step_message("server", {"setupComplete": {}})
    steps.append(conversation.step_message("client", {"realtimeInput": {"text": "hello"}}))
    assert [str(one.rule) for step in steps for one in step.findings] == ["MODEL-13"] * (version == "v1")


def test_every_version_of_vertex_is_taken() -> None:
    setup = {"setup": {"model": "publishers/google/models/gemini-3.8-live"}}
    for version in ("v1", "v1beta1", ""):
        assert not Conversation(surface="vertex", version=version).step_message("client", setup).findings


# What the stand-in does where the service closes nothing


@pytest.mark.parametrize(
    ("translation", "silent"),
    [({}, True), ({"translationConfig": {}}, True), ({"translationConfig": {"targetLanguageCode": "de"}}, False)],
)
async def test_without_a_target_language_the_stand_in_streams_zeros(
    translation: dict[str, Any], *, silent: bool
) -> None:
    log: list[str] = []
    async with (
        talk.serving(log=log.append) as server,
        talk.calling(
            server, {"model": names.TRANSLATE, "generationConfig": translation, "outputAudioTranscription": {}}
        ) as caller,
    ):
        await caller.speak(sound.utterance(1.0))
        sounds = talk.blobs(await caller.until("turnComplete"))
    pcm = b"".join(base64.b64decode(blob["data"]) for blob in sounds)
    assert len(pcm) > 24_000 and (not any(pcm)) is silent
    assert any("streams silence" in line for line in log) is silent


async def test_extended_thinking_does_not_speak_the_answer_after_an_interim_one() -> None:
    log: list[str] = []
    setup = {
        "model": names.THINKING,
        "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}},
        "outputAudioTranscription": {},
        "tools": [{"functionDeclarations": [{"name": "consult"}]}],
    }
    async with talk.serving(log=log.append) as server, talk.calling(server, setup) as caller:
        await caller.say(talk.content("Please consult"))
        call = talk.calls(await caller.until("toolCall"))[0]
        await caller.until("turnComplete")
        for state in ("working", "final"):
            answer = {"id": call["id"], "name": "consult", "response": {"state": state}}
            more = {"willContinue": True} if state == "working" else {}
            await caller.say({"toolResponse": {"functionResponses": [{**answer, **more}]}})
        said = talk.words(await caller.rest(0.5))
    assert "working" in said and "final" not in said
    assert any("willContinue" in line for line in log)


async def test_the_words_of_the_robotics_model_come_as_a_transcript() -> None:
    model = "models/gemini-robotics-er-2-streaming-preview"
    setup = {"model": model, "generationConfig": {"responseModalities": ["TEXT"]}}
    async with talk.connected(setup) as caller:
        got = await caller.turn(talk.content("Where is the cup?"))
    assert "cup" in talk.words(got) and not talk.parts(got)


async def test_the_library_remarks_on_an_answer_that_the_model_does_not_take() -> None:
    remarks: list[Finding] = []
    async with talk.serving() as server:
        async with livews.connect("gemini-3.8-live", url=server.url, remark=remarks.append) as session:
            for call_id in ("no-call", "no-call", "none"):
                await session.send_raw(
                    {"toolResponse": {"functionResponses": [{"id": call_id, "name": "f", "response": {}}]}}
                )
            assert [one.rule for one in session.remarks] == ["TOOL-2", "TOOL-2"], "each once"
    assert remarks == session.remarks


def test_the_proxy_names_another_protocol() -> None:
    log: list[str] = []
    ConnectionObserver("/v1beta/interactions/live?key=x", "", log.append, print)
    ConnectionObserver(names.GEMINI, "", log.append, print)
    assert len(log) == 1 and "Live Interactions" in log[0] and "key=x" not in log[0]


async def test_another_protocol_of_the_same_host_is_named() -> None:
    log: list[str] = []
    async with talk.serving(log=log.append) as server:
        for version in ("v1", "v1beta", "v1alpha"):
            with pytest.raises(InvalidStatus) as caught:
                async with talk.calling(server, path=f"//{version}/interactions/live?key=x"):
                    pass
            assert caught.value.response.status_code == 404
            assert b"Live Interactions" in caught.value.response.body
    assert sum("Live Interactions" in line for line in log) == 3


# Every field is read


def _fields() -> Iterator[str]:
    """Every member of a profile by its name, `wire.heard` for one inside another."""
    data = protocol.models()
    for profile in (data["defaults"], data["unknown"], data["defaults"]["onVertex"], *data["profiles"]):
        for name, value in profile.items():
            yield name
            if isinstance(value, dict) and name not in ("closes", "onVertex"):
                yield from (f"{name}.{inner}" for inner in value)


def _names_in_code() -> set[str]:
    """Every string of livews."""
    trees = (ast.parse(path.read_text()) for path in (names.ROOT / "livews").rglob("*.py"))
    strings = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {string for string in strings if isinstance(string, str)}


def test_every_field_of_a_profile_is_read() -> None:
    read_by_rows = {row["field"] for row in protocol.models()["limits"] if "field" in row}
    traits = {row["profile"] for row in protocol.machine()["traits"].values() if "profile" in row}
    in_code = _names_in_code()
    unread = [
        name for name in dict.fromkeys(_fields())
        if name not in read_by_rows | traits and name.rpartition(".")[2] not in in_code
    ]  # fmt: skip
    assert unread == []


@pytest.mark.parametrize(
    "name", ["thinking", "thinkingLevels", "input", "tools.behavior", "tools.scheduling", "tools.googleSearch",
             "tools.codeExecution", "wire.finalUnspoken"]
)  # fmt: skip
def test_what_a_model_takes_is_read_by_a_row(name: str) -> None:
    assert [row for row in protocol.models()["limits"] if row.get("field") == name]
