"""Tokens and cost of a session: what each form of usageMetadata adds, and when the cost is not known."""

import json
from typing import Any

import pytest

from livews.conversation import Conversation
from livews.core import models, protocol
from livews.core.events import events
from livews.usage import SessionUsage, UsageMeter

PCM = "AAAB" * 8
VOICE = {
    "serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": PCM}}]}}
}
OVER: dict[str, Any] = {"serverContent": {"turnComplete": True}}


def details(**tokens: int) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": count} for name, count in tokens.items()]


def counts(prompt: dict[str, int], response: dict[str, int], name: str = "response", **more: Any) -> dict[str, Any]:
    """usageMetadata in one of the two vocabularies."""
    return {
        "promptTokenCount": sum(prompt.values()), f"{name}TokenCount": sum(response.values()),
        "totalTokenCount": sum(prompt.values()) + sum(response.values()),
        "promptTokensDetails": details(**prompt), f"{name}TokensDetails": details(**response), **more,
    }  # fmt: skip


def ended(usage: dict[str, Any]) -> dict[str, Any]:
    return {**OVER, "usageMetadata": usage}


def feed(meter: UsageMeter, *messages: dict[str, Any], model: str = "models/gemini-3.8-live") -> UsageMeter:
    """A conversation of which the meter sees all: a message of the client has a key that only a client sends."""
    conversation = Conversation(surface="gemini")
    for message in ({"setup": {"model": model}}, {"setupComplete": {}}, *messages):
        sender = "client" if {"setup", "realtimeInput", "clientContent"} & message.keys() else "server"
        step = conversation.step(sender, json.dumps(message).encode())  # type: ignore[arg-type]
        meter.sent(step) if sender == "client" else [meter.take(event) for event in events(step)]
    return meter


def used(
    *messages: dict[str, Any], model: str = "gemini-3.8-live", surface: str = "gemini", **more: Any
) -> SessionUsage:
    profile = models.profile(model, surface) | more
    return feed(UsageMeter(profile), *messages, model=f"models/{model}").usage()


FIRST = counts({"TEXT": 300, "AUDIO": 100}, {"AUDIO": 50}, thoughtsTokenCount=40)
SECOND = counts({"TEXT": 320, "AUDIO": 200}, {"AUDIO": 60})


@pytest.mark.parametrize("name", ["response", "candidates"])
def test_turns_are_added_up_in_both_vocabularies(name: str) -> None:
    first = counts({"TEXT": 300, "AUDIO": 100}, {"AUDIO": 50}, name, thoughtsTokenCount=40)
    second = counts({"TEXT": 320, "AUDIO": 200}, {"AUDIO": 60}, name)
    usage = used(VOICE, ended(first), VOICE, ended(second))
    assert (usage.prompt, usage.response, usage.thoughts) == ({"TEXT": 620, "AUDIO": 300}, {"AUDIO": 110}, 40)
    assert usage.usd == pytest.approx((620 * 0.75 + 300 * 3 + 110 * 12 + 40 * 4.5) / 1e6)
    assert (usage.uncounted, usage.at_least, usage.estimated, usage.tokens) == (0, False, False, 1070)
    assert str(usage).startswith(
        "cost 0.0029 USD by the list of 2026-11-20, in 620 text + 300 audio, out 110 audio + 40"
    )


def test_a_count_of_the_session_so_far_is_not_added_again() -> None:
    """Also on another connection of the same session; one that begins again counts from 0."""
    resumed = {"setup": {"model": "models/gemini-3.8-live", "sessionResumption": {"handle": "h"}}}
    meter = feed(UsageMeter(models.profile("gemini-3.8-live") | {"usageCounts": "session"}), VOICE, ended(FIRST))
    conversation = Conversation()
    meter.sent(conversation.step("client", json.dumps(resumed).encode()))
    for message in ({"setupComplete": {}}, VOICE, ended(SECOND)):
        for event in events(conversation.step("server", json.dumps(message).encode())):
            meter.take(event)
    assert meter.usage().prompt == {"TEXT": 320, "AUDIO": 200} and meter.usage().response == {"AUDIO": 60}
    feed(meter, VOICE, ended(SECOND))  # a setup without a handle
    assert meter.usage().prompt == {"TEXT": 640, "AUDIO": 400}
    later = counts({"TEXT": 10}, {"AUDIO": 5})
    assert used(VOICE, ended(SECOND), VOICE, ended(later), usageCounts="session").prompt["TEXT"] == 330, (
        "it began anew"
    )


@pytest.mark.parametrize(
    ("usage", "prompt", "response"),
    [
        # the totals count more than the details list
        ({"promptTokenCount": 626, "responseTokenCount": 75, "promptTokensDetails": details(TEXT=312, AUDIO=287), "responseTokensDetails": details(AUDIO=63)},
         {"TEXT": 312, "AUDIO": 287, "UNLISTED": 27}, {"AUDIO": 63, "UNLISTED": 12}),
        # or less: the translation model lists the text of its context with each 40 ms
        ({"promptTokenCount": 25, "responseTokenCount": 25, "promptTokensDetails": details(TEXT=581, AUDIO=25), "responseTokensDetails": details(AUDIO=25)},
         {"AUDIO": 25}, {"AUDIO": 25}),
        ({"promptTokenCount": 16, "candidatesTokenCount": 28, "promptTokensDetails": details(TEXT=16)}, {"TEXT": 16}, {"AUDIO": 28}),
        ({"promptTokenCount": 12, "candidatesTokenCount": 3, "candidatesTokensDetails": [*details(TEXT=3), {"modality": "AUDIO"}]},
         {"UNLISTED": 12}, {"TEXT": 3}),
        ({"promptTokensDetails": details(TEXT=5, SMELL=2), "responseTokensDetails": details(AUDIO=4)}, {"TEXT": 5, "UNLISTED": 2}, {"AUDIO": 4}),
        ({"promptTokenCount": 9, "toolUsePromptTokenCount": 3}, {"UNLISTED": 9, "TEXT": 3}, {}),
        ({"promptTokenCount": "30", "responseTokenCount": -4, "thoughtsTokenCount": "x"}, {"UNLISTED": 30}, {}),
        ({"promptTokensDetails": 5, "responseTokensDetails": [3, {"modality": 8, "tokenCount": {}}]}, {}, {}),
    ],
)  # fmt: skip
def test_tokens_by_modality_add_up_to_the_totals(
    usage: dict[str, Any], prompt: dict[str, int], response: dict[str, int]
) -> None:
    result = used(VOICE, ended(usage))
    assert (result.prompt, result.response) == (prompt, response)


def test_the_answer_of_a_text_session_is_text() -> None:
    asked = {"setup": {"model": "models/gemini-3.8-live", "generationConfig": {"responseModalities": ["TEXT"]}}}
    meter = UsageMeter(models.profile("gemini-3.8-live"))
    meter.sent(Conversation().step("client", json.dumps(asked).encode()))
    step = Conversation().step("server", json.dumps(ended({"responseTokenCount": 7})).encode())
    for event in events(step):
        meter.take(event)
    assert meter.usage().response == {"TEXT": 7}


@pytest.mark.parametrize(
    ("messages", "uncounted"),
    [
        ([VOICE, OVER], 1),
        ([VOICE, ended({})], 1),
        ([VOICE, OVER, {"usageMetadata": FIRST}], 0),
        ([VOICE, OVER, VOICE, ended(FIRST)], 1),
        ([VOICE, OVER, VOICE, OVER, VOICE, OVER], 3),
        ([VOICE, ended(FIRST), VOICE], 1),
        # 3.1: the prompt is counted before a spoken answer, and the answer is not
        ([{"serverContent": {}, "usageMetadata": {"promptTokenCount": 90}}, VOICE, ended({})], 1),
        ([VOICE, {"serverContent": {"interrupted": True}}, ended(FIRST)], 0),
        ([OVER], 0),
        ([VOICE, ended({"totalTokenCount": 40, "thoughtsTokenCount": 40})], 1),
        # a connection that was cut, and the next one
        ([VOICE, ended(FIRST), VOICE, {"setup": {"model": "models/gemini-3.8-live"}}, VOICE, ended(FIRST)], 1),
    ],
)  # fmt: skip
def test_an_answer_without_a_count_makes_the_cost_a_lower_bound(messages: list[Any], uncounted: int) -> None:
    usage = used(*messages)
    assert (usage.uncounted, usage.at_least) == (uncounted, uncounted > 0)
    assert (usage.usd is None) == (uncounted > 0 and not usage.tokens)
    if usage.at_least:
        assert ("at least" if usage.tokens else "cost unknown: the service counted no tokens") in str(usage)


def test_the_stream_of_the_translation_model_is_added_up() -> None:
    usage = used(
        *[VOICE, {"usageMetadata": counts({"AUDIO": 25}, {"AUDIO": 25})}] * 4,
        model="gemini-3.5-live-translate-preview",
    )
    assert usage.usd == pytest.approx((100 * 3.5 + 100 * 21) / 1e6) and not usage.uncounted


def test_transcription_is_estimated_from_seconds() -> None:
    """No usageMetadata comes. A minute of audio is 1,500 tokens in, and 175 out."""
    second = {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=16000", "data": "AAAA" * (32_000 // 3 + 1)}}}
    usage = used(*[second] * 60, model="gemini-3.5-transcribe-live")
    assert usage.estimated and usage.prompt["AUDIO"] == 1500 and usage.response == {"TEXT": 175}
    assert usage.usd == pytest.approx((1500 * 3.5 + 175 * 21) / 1e6) and "cost about 0.0089 USD" in str(usage)
    assert not used(*[second] * 60).tokens, "of other models only what they count"


def test_searches_cost_too() -> None:
    """Each query of a turn counts once, however often the metadata come."""

    def asked(*queries: str, **more: Any) -> dict[str, Any]:
        return {"serverContent": {"groundingMetadata": {"webSearchQueries": [*queries], **more}}}

    turns = [asked("a"), asked("a", "b"), VOICE, ended(FIRST), asked("a"), VOICE, ended(FIRST)]
    plain = used(VOICE, ended(FIRST), VOICE, ended(FIRST))
    usage = used(*turns)
    assert usage.searches == 3 and usage.usd == pytest.approx((plain.usd or 0) + 3 * 0.014)
    assert used(asked(searchEntryPoint={"renderedContent": "x"}), VOICE, ended(FIRST)).searches == 1
    assert used(*turns, model="gemini-2.5-flash-native-audio-latest").at_least, "the price of a search is not known"


@pytest.mark.parametrize(
    "model", ["gemini-4-live-preview", "gemini-robotics-er-2-streaming-preview", "test", "gemini-3.1-flash-live-2099"]
)
def test_without_a_price_the_cost_is_unknown(model: str) -> None:
    usage = used(VOICE, ended(FIRST), model=model)
    assert usage.usd is usage.list_usd is None and usage.tokens == 490
    assert str(usage).startswith("cost unknown: no price is known for this model, in 300 text + 100 audio")


def test_a_modality_without_a_price_makes_the_cost_unknown() -> None:
    assert used(VOICE, ended(counts({"DOCUMENT": 5}, {"AUDIO": 5}))).usd is None


def test_a_server_on_this_machine_charges_nothing() -> None:
    usage = feed(UsageMeter(models.profile("gemini-3.8-live"), free=True), VOICE, ended(FIRST)).usage()
    assert (
        usage.usd is None and usage.list_usd and str(usage) == "in 300 text + 100 audio, out 50 audio + 40 thoughts"
    )
    assert usage.to_dict()["usd"] is None


def test_every_price_is_read_and_every_model_has_one_or_says_that_it_is_unknown() -> None:
    prices, rows = protocol.prices(), {row["id"]: row for row in protocol.prices()["rows"]}
    named = {row["name"]: row["price"] for row in protocol.models()["profiles"]}
    ids = {row["name"]: row["ids"][0] for row in protocol.models()["profiles"]}
    assert {price for price in named.values() if price} == set(rows), (
        "a row that no model has, or a price without a row"
    )
    assert protocol.models()["unknown"]["price"] is None
    assert {models.profile(one)["usageCounts"] for one in ids.values()} <= {"turn", "session"}
    for name, price in named.items():
        if price is None:
            continue
        profile, row = models.profile(ids[name]), rows[price]
        assert {*(kind.upper() for kind in profile["input"]), prices["toolPrompt"], prices["unlisted"]} <= set(
            row["in"]
        ), name
        assert {*profile["output"], prices["thoughts"], prices["unlisted"]} <= set(row["out"]), name
        assert (profile["wire"]["usage"] == "none") == ("estimate" in row), name
        for side in ("in", "out"):
            for modality in row[side]:
                message = counts({modality: 1_000_000}, {}) if side == "in" else counts({}, {modality: 1_000_000})
                if "estimate" not in row:
                    meter = feed(UsageMeter(profile), ended(message))
                    assert meter.usage().usd == pytest.approx(row[side][modality]), (name, side, modality)
