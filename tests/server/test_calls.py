"""Functions the stand-in calls: which turn a call holds, what an answer does, and when it is spoken.

A docstring names the rule, or the row of the collected facts (B, C and F numbers), the expectation comes from.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.kit.names import GEMINI, LIVE_31, LIVE_38, NATIVE, ON_VERTEX, RETIRED, TEST, THINKING, VERTEX
from tests.kit.sound import silence, speech
from tests.kit.talk import (
    END,
    MANUAL,
    START,
    Caller,
    Message,
    answer,
    brief,
    brief_all,
    calls,
    connected,
    content,
    functions,
    text,
    usages,
    words,
)

STORY = "Tell me a long story, " + "and then another one, " * 8
SLOW = 0.25
"""A pace at which a reply is still being generated when its first sound has come."""
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def about(model: str = LIVE_38, *more: Message, **members: Any) -> Message:
    setup: Message = {"model": model, "outputAudioTranscription": {}, **members}
    for one in more:
        setup |= one
    return setup


TWO = functions("book_table", "order_wine")
ASYNC = {"behavior": "NON_BLOCKING"}
BOTH = content("Please book_table and order_wine")


async def called(caller: Caller, what: Message = BOTH) -> list[Message]:
    """Ask for functions; the calls."""
    await caller.say(what)
    return calls(await caller.until("toolCall"))


def say_so(*names: str) -> Message:
    return content("Please " + " and ".join(names))


HOLDS = [NATIVE, LIVE_31, TEST, RETIRED]


@pytest.mark.parametrize("model", HOLDS)
async def test_a_blocking_call_holds_the_turn(model: str) -> None:
    """C11, TOOL-3: no turnComplete until the call is answered and the answer spoken; then one, with the counts of all."""
    async with connected(about(model, tools=TWO)) as caller:
        (call,) = await called(caller, say_so("book_table"))
        assert await caller.rest() == []
        await caller.say(answer({"table": 7}, call["id"], "book_table"))
        got = await caller.until("turnComplete")
    assert words(got).endswith('Gemini. book_table answered {"table":7}.')
    assert brief(got[-2]) == ["generationComplete"]
    counts = {row["modality"]: row["tokenCount"] for row in usages(got)[-1]["responseTokensDetails"]}
    assert counts["TEXT"] == 6 and counts["AUDIO"] > 25
    assert usages(got)[-1]["responseTokenCount"] == sum(counts.values())


@pytest.mark.parametrize(
    ("model", "path", "status"),
    [
        (LIVE_38, GEMINI, "turnComplete+usage"),
        (THINKING, GEMINI, "turnComplete+IN_PROGRESS+usage"),
        (ON_VERTEX, VERTEX, "turnComplete+grounding+usage"),
        ("publishers/google/models/gemini-live-2.5-flash-native-audio", VERTEX, "turnComplete+usage"),
        ("publishers/google/models/gemini-2.0-flash-live-preview-04-09", VERTEX, "turnComplete+usage"),
    ],
)
async def test_the_turn_ends_beside_a_call(model: str, path: str, status: str) -> None:
    """C11, TOOL-3: on 3.8 and on Vertex generationComplete and turnComplete follow the call at once; then silence, and
    the answer opens another turn."""
    async with connected(about(model, tools=TWO), path=path) as caller:
        await caller.settle()
        (call,) = await called(caller, say_so("book_table"))
        assert brief_all(await caller.until("turnComplete")) == ["generationComplete", status]
        assert await caller.rest() == []
        await caller.say(answer({"table": 7}, call["id"], "book_table"))
        await caller.until("audio")
        got = caller.messages + await caller.until("turnComplete")
    assert not any("interrupted" in brief(one) for one in got)


@pytest.mark.parametrize(
    ("model", "behavior", "holds"),
    [
        (NATIVE, "NON_BLOCKING", False),
        (NATIVE, "BLOCKING", True),
        (NATIVE, "UNSPECIFIED", True),
        (LIVE_38, "NON_BLOCKING", False),
        (LIVE_38, "BLOCKING", True),
        (LIVE_38, "UNSPECIFIED", False),
    ],
)
async def test_behavior_of_the_function_beats_that_of_the_model(model: str, behavior: str, holds: bool) -> None:
    """C11, C13: behavior of the declaration, the model's own where it is unspecified."""
    async with connected(
        about(model, tools=functions("book_table", behavior=behavior)), wire={"talksOn": False}
    ) as caller:
        await caller.settle()
        await called(caller, say_so("book_table"))
        got = await (caller.rest() if holds else caller.until("turnComplete"))
    assert brief_all(got) == ([] if holds else ["generationComplete", "turnComplete+usage"])


@pytest.mark.parametrize(("model", "switch"), [(NATIVE, {}), (LIVE_38, {"talksOn": True})])
@pytest.mark.parametrize("wish", ["INTERRUPT", "WHEN_IDLE", "SILENT", None])
async def test_a_model_that_talks_on_during_its_call(wish: str | None, model: str, switch: dict[str, bool]) -> None:
    """C11b: a result with INTERRUPT cuts the speech off, the turn ends, and another one answers."""
    tools = functions("book_table", behavior="NON_BLOCKING")
    async with connected(about(model, tools=tools, outputAudioTranscription={}), wire=switch, pace=0.5) as caller:
        await caller.settle()
        (call,) = await called(caller, say_so("book_table"))
        got: list[Message] = await caller.until("generationComplete")  # it comes before the audio has been played
        more = scheduled(wish, "beside") if wish else {"response": {"n": 1}}
        await caller.say(answer(call_id=call["id"], name="book_table", **more))
        got += await caller.until("turnComplete")
        got += await (caller.until("turnComplete") if wish != "SILENT" else caller.rest())
    cut = ["interrupted"] if wish == "INTERRUPT" else []
    first = ["audio", "generationComplete", *cut, "turnComplete+usage"]
    second = [] if wish == "SILENT" else ["audio", "generationComplete", "turnComplete+usage"]
    assert brief_all(got, leave=["said"]) == first + second
    assert ("book_table answered" in words(got)) is (wish != "SILENT")


async def test_the_profile_can_be_told_otherwise() -> None:
    """What google-adk needs of a 2.5 model is there by the `wire` member toolCallEndsTurn."""
    async with connected(about(NATIVE, tools=TWO), wire={"toolCallEndsTurn": True}) as caller:
        await called(caller, say_so("book_table"))
        got = await caller.until("turnComplete")
    assert brief_all(got) == ["generationComplete", "turnComplete+usage"]


@pytest.mark.parametrize(
    ("model", "path", "form"),
    [
        (NATIVE, GEMINI, r"function-call-\d{19,20}"),
        (RETIRED, GEMINI, r"function-call-\d{19,20}"),
        (LIVE_31, GEMINI, r"fc_\d{19}"),
        (LIVE_38, GEMINI, r"call_\d{6,7}"),
        (THINKING, GEMINI, r"call_\d{6,7}"),
        (ON_VERTEX, VERTEX, UUID),
    ],
)
async def test_ids_of_calls(model: str, path: str, form: str) -> None:
    """C12: each model has its form, no id comes twice; name, args, id is the order of Google's recordings."""
    async with connected(about(model, tools=TWO), path=path) as caller:
        got = [*await called(caller), *await called(caller)]
    assert [call["name"] for call in got] == ["book_table", "order_wine"] * 2
    assert len({call["id"] for call in got}) == 4
    assert all(re.fullmatch(form, call["id"]) for call in got)
    assert all(list(call) == ["name", "args", "id"] for call in got)


async def test_code_announces_a_call_of_the_half_cascade() -> None:
    """C12b: 2.5-flash-live-preview shows print(default_api.fn(...)) ahead of the toolCall, and no other model does."""
    parameters = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
    tools = functions("get_weather", parameters=parameters)
    asked = content('get_weather "Ulm"')

    async with connected(about(RETIRED, tools=tools)) as caller:
        await caller.say(asked)
        got = await caller.until("toolCall")
    assert [brief(one) for one in got] == [["code"], ["toolCall"]]
    code = got[0]["serverContent"]["modelTurn"]["parts"][0]["executableCode"]
    assert code == {"language": "PYTHON", "code": "print(default_api.get_weather(city='Ulm'))"}
    async with connected(about(NATIVE, tools=tools)) as caller:
        await caller.say(asked)
        assert [brief(one) for one in await caller.until("toolCall")] == [["toolCall"]]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("together", [True, False])
async def test_parallel_calls_are_answered_once(order: tuple[int, int], together: bool) -> None:
    """C11, TOOL-1: two functions in one toolCall; the turn goes on when both are answered, in any order, in one message
    or in two, and is one turn."""
    async with connected(about(NATIVE, tools=TWO)) as caller:
        both = await called(caller)
        assert len(both) == 2
        one, other = (answer({"n": at}, both[at]["id"], both[at]["name"]) for at in order)
        if together:
            one["toolResponse"]["functionResponses"] += other["toolResponse"]["functionResponses"]
            await caller.say(one)
        else:
            await caller.say(one)
            assert await caller.rest() == []
            await caller.say(other)
        got = await caller.until("turnComplete")
        got = got + await caller.rest()
    answers = ['book_table answered {"n":0}.', 'order_wine answered {"n":1}.']
    assert words(got).endswith("Gemini. " + " ".join(answers[at] for at in order))
    assert brief(got[-1]) == ["turnComplete", "usage"]


async def test_answers_that_come_together_are_spoken_together() -> None:
    """C11: on a model whose calls do not hold the turn, one toolResponse is one new turn."""
    async with connected(about(LIVE_38, tools=TWO)) as caller:
        both = await called(caller)
        await caller.until("turnComplete")
        one, other = (answer({"n": at}, both[at]["id"]) for at in (0, 1))
        one["toolResponse"]["functionResponses"] += other["toolResponse"]["functionResponses"]
        got = await caller.turn(one)
        got = got + await caller.rest()
    assert words(got).endswith('book_table answered {"n":0}. order_wine answered {"n":1}.')
    assert brief(got[-1]) == ["turnComplete", "usage"]


@pytest.mark.parametrize(
    "response",
    [
        {"result": "sunny"},
        {"output": "sunny"},
        {"text": "sunny"},
        {"result": {"string_value": "sunny"}},
        {"fooBar": {"snake_case": [1, None, {"x": 1.5}]}},
        {},
    ],
)
async def test_shapes_of_answers(response: Message) -> None:
    """Clients send {result}, {output}, {text}, {result: {string_value}}: the application's own JSON, kept as it is."""
    shown = json.dumps(response, separators=(",", ":"))
    async with connected(about(NATIVE, tools=TWO)) as caller:
        (call,) = await called(caller, say_so("book_table"))
        got = await caller.turn(answer(response, call["id"], "book_table"))
    assert words(got).endswith(f"book_table answered {shown}.")


async def test_an_answer_without_a_name() -> None:
    """Some clients leave the name out: the id tells it."""
    async with connected(about(NATIVE, tools=TWO)) as caller:
        (call,) = await called(caller, say_so("order_wine"))
        assert "order_wine answered" in words(await caller.turn(answer({"ok": True}, call["id"])))


@pytest.mark.parametrize(("model", "path"), [(NATIVE, GEMINI), (ON_VERTEX, VERTEX)])
async def test_an_answer_without_an_id(model: str, path: str) -> None:
    """TOOL-1: the name tells the call where the id is missing."""
    async with connected(about(model, tools=TWO), path=path) as caller:
        both = await called(caller)
        if path == VERTEX:
            await caller.until("turnComplete")
        await caller.say(answer({"ok": 2}, name="order_wine"), answer({"ok": 1}, both[0]["id"]))
        got = await caller.until("turnComplete")
        said = words(got + (await caller.until("turnComplete") if path == VERTEX else []))
    assert 'order_wine answered {"ok":2}.' in said and 'book_table answered {"ok":1}.' in said


@pytest.mark.parametrize("given", [{"call_id": "nobody"}, {"name": "book_table"}, {}])
async def test_an_answer_nobody_asked_for(given: dict[str, str]) -> None:
    """C12b, TOOL-2: swallowed on the Gemini API; on Vertex it starts a turn, with an id or without."""

    async def use(caller: Caller) -> list[Message]:
        await caller.settle()
        await caller.say(answer({"mood": "happy"}, **given))
        return await (caller.until("turnComplete") if caller.messages[0]["setupComplete"] else caller.rest())

    async with connected(about(NATIVE, tools=TWO)) as caller:
        assert await use(caller) == []
    async with connected(about(ON_VERTEX, tools=TWO), path=VERTEX) as caller:
        got = await use(caller)
    assert words(got).endswith('answered {"mood":"happy"}.')


async def test_an_answer_nobody_asked_for_leaves_a_held_turn_alone() -> None:
    """C12b, TOOL-2: the open call is still open."""
    async with connected(about(NATIVE, tools=TWO)) as caller:
        (call,) = await called(caller, say_so("book_table"))
        await caller.say(answer({"n": 1}, "nobody", "order_wine"))
        assert await caller.rest() == []
        got = await caller.turn(answer({"n": 2}, call["id"]))
    assert words(got).endswith('Gemini. book_table answered {"n":2}.')


async def test_a_call_is_answered_once() -> None:
    """TOOL-2: the second answer is to no open call."""
    async with connected(about(NATIVE, tools=TWO)) as caller:
        (call,) = await called(caller, say_so("book_table"))
        one = answer({"n": 1}, call["id"])
        await caller.say(one)
        await caller.until("turnComplete")
        await caller.say(one)
        assert await caller.rest() == []


# When an answer is spoken


def scheduled(wish: str, where: str) -> dict[str, Any]:
    """The members of an answer that ask for a moment, beside its response or inside."""
    if where == "inside":
        return {"response": {"n": 1, "scheduling": wish}}
    return {"response": {"n": 1}, "scheduling": wish}


WHERE = ["beside", "inside"]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("model", [NATIVE, LIVE_38])
async def test_silent(model: str, where: str) -> None:
    """C14: SILENT produces no speech; the answer is known to the next turn."""
    # "book_table", "answered", its JSON, and "Hello"
    async with connected(about(model, tools=functions("book_table", **ASYNC))) as caller:
        await caller.settle()
        (call,) = await called(caller, say_so("book_table"))
        before: int = usages(await caller.until("turnComplete"))[0]["totalTokenCount"]
        await caller.say(answer(call_id=call["id"], name="book_table", **scheduled("SILENT", where)))
        assert await caller.rest() == []
        after: int = usages(await caller.turn(content("Hello")))[0]["promptTokenCount"]
        assert (after - before) == 4


@pytest.mark.parametrize("where", WHERE)
async def test_when_idle(where: str) -> None:
    """C14: WHEN_IDLE waits for the reply that runs, and is spoken after it, without a cut."""
    async with connected(about(tools=TWO), pace=0.12) as caller:
        (call,) = await called(caller, say_so("book_table"))
        await caller.until("turnComplete")
        await caller.say(content("Hello"))
        await caller.until("audio")
        await caller.say(answer(call_id=call["id"], **scheduled("WHEN_IDLE", where)))
        running = await caller.until("turnComplete")
        running, spoken = [running, await caller.until("turnComplete")]
    assert not any("interrupted" in brief(one) for one in running + spoken)
    assert "book_table answered" in words(spoken)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("wish", ["WHEN_IDLE", "INTERRUPT"])
async def test_an_idle_model_speaks_at_once(wish: str, where: str) -> None:
    """C14: with nobody speaking there is nothing to wait for and nothing to cut."""
    async with connected(about(tools=TWO)) as caller:
        (call,) = await called(caller, say_so("book_table"))
        await caller.until("turnComplete")
        got = await caller.turn(answer(call_id=call["id"], **scheduled(wish, where)))
    assert not any("interrupted" in brief(one) for one in got)
    assert "book_table answered" in words(got)


@pytest.mark.parametrize("where", WHERE)
async def test_interrupt(where: str) -> None:
    """C14: INTERRUPT cuts the reply that runs, and is spoken at once."""
    async with connected(about(tools=TWO), pace=SLOW) as caller:
        (call,) = await called(caller, say_so("book_table"))
        await caller.until("turnComplete")
        await caller.say(content(STORY))
        await caller.until("audio")
        await caller.say(answer(call_id=call["id"], **scheduled("INTERRUPT", where)))
        await caller.until("interrupted")
        assert len(await caller.until("turnComplete")) == 1
        got = await caller.until("turnComplete")
    assert "book_table answered" in words(got)


@pytest.mark.parametrize("wish", ["WHEN_IDLE", "INTERRUPT"])
@pytest.mark.parametrize("marks", [True, False])
async def test_even_interrupt_lets_a_talking_user_finish(wish: str, marks: bool) -> None:
    """C14: on 3.8 INTERRUPT waits for a talking user. Then the user is answered, and the function after that."""
    async with connected(about(LIVE_38, *([MANUAL] if marks else []), tools=TWO)) as caller:
        await caller.settle()
        (call,) = await called(caller, say_so("book_table"))
        await caller.until("turnComplete")
        if marks:
            await caller.say(START)
        await caller.speak(speech(1.0))
        await caller.until("activityStart")
        await caller.say(answer(call_id=call["id"], **scheduled(wish, "beside")))
        assert await caller.rest() == []
        if marks:
            await caller.say(END)
        else:
            await caller.speak(silence(1.5))
        user, function = [await caller.until("turnComplete"), await caller.until("turnComplete")]
    assert "I heard 1.0 seconds" in words(user)
    assert "book_table answered" in words(function)


async def test_an_answer_that_waits_is_not_lost_with_the_reply_it_waits_for() -> None:
    """C14, C24: the reply is cut by what asks for nothing: the model is idle then, and the answer is spoken."""
    async with connected(about(tools=TWO), pace=SLOW) as caller:
        (call,) = await called(caller, say_so("book_table"))
        await caller.until("turnComplete")
        await caller.say(content(STORY))
        await caller.until("audio")
        await caller.say(answer(call_id=call["id"], **scheduled("WHEN_IDLE", "beside")))
        await caller.say(content("never mind", complete=False))
        await caller.until("interrupted")
        await caller.until("turnComplete")
        assert "book_table answered" in words(await caller.until("turnComplete"))


async def test_an_answer_that_waits_comes_after_the_turn_that_cut() -> None:
    """C14: a prompt cuts the reply; its own reply comes first."""
    async with connected(about(tools=TWO), pace=0.12) as caller:
        (call,) = await called(caller, say_so("book_table"))
        await caller.until("turnComplete")
        await caller.say(content(STORY))
        await caller.until("audio")
        await caller.say(answer(call_id=call["id"], **scheduled("WHEN_IDLE", "beside")), text("stop"))
        await caller.until("interrupted")
        await caller.until("turnComplete")
        first, second = [await caller.until("turnComplete"), await caller.until("turnComplete")]
    assert words(first).endswith('"stop".')
    assert "book_table answered" in words(second)


async def test_blocking_calls_and_extended_thinking_schedule_nothing() -> None:
    """C14: scheduling works with NON_BLOCKING functions; models whose profile has none take every answer as WHEN_IDLE."""
    for model in (NATIVE, THINKING):
        async with connected(about(model, tools=TWO)) as caller:
            await caller.settle()
            (call,) = await called(caller, say_so("book_table"))
            if model == THINKING:
                await caller.until("turnComplete")
            await caller.say(answer(call_id=call["id"], **scheduled("SILENT", "beside")))
            assert await caller.until("audio")


async def test_a_model_is_idle_when_it_has_spoken_about_every_result() -> None:
    """C30b: IDLE says that nothing is left, so it comes once, after the last of two answers."""
    async with connected(about(THINKING, tools=TWO, outputAudioTranscription={})) as caller:
        await caller.settle()
        first, second = await called(caller)
        await caller.until("IN_PROGRESS")
        await caller.say(answer({"n": 1}, first["id"], "book_table"), answer({"n": 2}, second["id"], "order_wine"))
        said = words(await caller.until("IDLE"))
    assert "book_table answered" in said and "order_wine answered" in said


@pytest.mark.parametrize("model", [NATIVE, LIVE_38])
async def test_will_continue(model: str) -> None:
    """GD-REF willContinue: the call stays open, each answer finds its moment; a turn that is held waits for the last."""
    holds = model == NATIVE
    async with connected(about(model, tools=TWO)) as caller:
        await caller.settle()
        (call,) = await called(caller, say_so("book_table"))
        if not holds:
            await caller.until("turnComplete")
        said = []
        for n, more in ((1, True), (2, True), (3, False)):
            await caller.say(answer({"n": n}, call["id"], "book_table", willContinue=more))
            if holds and more:
                assert await caller.rest(0.1) == []
            else:
                said.append(words(await caller.until("turnComplete")))
        await caller.say(answer({"n": 4}, call["id"], "book_table"))
        assert await caller.rest() == [], "it is closed now"
    if holds:
        assert [re.findall(r"\d", words_) for words_ in said] == [["1", "2", "3"]]
    else:
        assert [re.findall(r"\d", words_) for words_ in said] == [["1"], ["2"], ["3"]]


# Cuts while a function runs


@pytest.mark.parametrize("by", ["text", "voice", "marks", "content"])
async def test_a_cut_withdraws_the_calls_that_hold_the_turn(by: str) -> None:
    """TOOL-4, GD-REF: toolCallCancellation with the ids of all of them, then interrupted and turnComplete; answers that
    come too late are swallowed."""
    setup = about(NATIVE, *([MANUAL] if by == "marks" else []), tools=TWO)
    async with connected(setup) as caller:
        both = await called(caller)
        if by == "voice":
            await caller.speak(speech(0.5))
        else:
            await caller.say({"text": text("stop"), "marks": START, "content": content("stop", complete=False)}[by])
        got = await caller.until("turnComplete")
        assert got[0] == {"toolCallCancellation": {"ids": [call["id"] for call in both]}}
        if by == "text":
            await caller.until("turnComplete")
        await caller.say(answer({"n": 1}, both[0]["id"]), answer({"n": 2}, both[1]["id"]))
        assert await caller.rest() == []
        assert brief_all(got) == ["cancelled", "interrupted", "turnComplete+usage"]


async def test_only_calls_that_hold_the_turn_are_withdrawn() -> None:
    """TOOL-4: a NON_BLOCKING one called beside them goes on, and its answer is spoken."""
    tools = [*functions("book_table"), *functions("order_wine", **ASYNC)]
    async with connected(about(NATIVE, tools=tools)) as caller:
        table, wine = await called(caller)
        await caller.say(text("stop"))
        got = await caller.until("turnComplete")
        assert got[0] == {"toolCallCancellation": {"ids": [table["id"]]}}
        await caller.until("turnComplete")
        found = await caller.turn(answer({"n": 1}, wine["id"]))
    assert words(found).endswith('order_wine answered {"n":1}.')


async def test_only_calls_that_are_open_are_withdrawn() -> None:
    """TOOL-4: one of two was answered before."""
    async with connected(about(NATIVE, tools=TWO)) as caller:
        both = await called(caller)
        await caller.say(answer({"n": 1}, both[0]["id"]), text("stop"))
        got = await caller.until("turnComplete")
        assert got[0] == {"toolCallCancellation": {"ids": [both[1]["id"]]}}


@pytest.mark.parametrize(("model", "behavior"), [(LIVE_31, "BLOCKING"), (LIVE_38, "BLOCKING")])
async def test_a_cut_leaves_the_calls_open(model: str, behavior: str) -> None:
    """C13: 0 of 41 sessions on 3.8 brought a toolCallCancellation: the call stays open, its answer is spoken."""
    tools = functions("book_table", **({"behavior": behavior} if model == LIVE_38 else {}))
    async with connected(about(model, tools=tools)) as caller:
        await caller.settle()
        (call,) = await called(caller, say_so("book_table"))
        await caller.say(text("stop"))
        await caller.until("interrupted")
        await caller.until("turnComplete")
        await caller.until("turnComplete")
        await caller.say(answer({"n": 1}, call["id"]))
        await caller.until("turnComplete")
        got = caller.messages
    assert not any("cancelled" in brief(one) for one in got)
    assert words(got).endswith('book_table answered {"n":1}.')


async def test_a_call_that_does_not_hold_the_turn_survives_a_cut() -> None:
    """TOOL-4: the turn it belonged to was over."""
    async with connected(about(NATIVE, tools=functions("book_table", **ASYNC)), pace=0.12) as caller:
        (call,) = await called(caller, say_so("book_table"))
        await caller.until("turnComplete")
        await caller.say(content(STORY))
        await caller.until("audio")
        await caller.say(text("stop"))
        await caller.until("interrupted")
        await caller.until("turnComplete")
        await caller.until("turnComplete")
        await caller.say(answer({"n": 1}, call["id"]))
        await caller.until("turnComplete")
        got = caller.messages
    assert not any("cancelled" in brief(one) for one in got)
    assert "book_table answered" in words(got)


async def test_no_interruption_holds_for_held_turns_too() -> None:
    """NO_INTERRUPTION: the turn that waits for a function goes on; the user is answered after it."""
    config = {"realtimeInputConfig": {"activityHandling": "NO_INTERRUPTION"}}
    async with connected(about(NATIVE, config, tools=TWO)) as caller:
        (call,) = await called(caller, say_so("book_table"))
        await caller.say(text("and then"))
        assert await caller.rest() == []
        await caller.say(answer({"n": 1}, call["id"]))
        first, second = [await caller.until("turnComplete"), await caller.until("turnComplete")]
    assert "book_table answered" in words(first)
    assert words(second).endswith('"and then".')


# Which functions there are


async def test_context_update_changes_the_functions() -> None:
    """contextUpdate: tools replace those of setup from the next turn on; an empty list clears them; no reply to it."""

    def update(*names: str) -> Message:
        return {"contextUpdate": {"tools": {"tools": functions(*names) if names else []}}}

    for model, path in ((TEST, GEMINI), ("publishers/google/models/test", VERTEX)):
        async with connected(about(model, tools=functions("book_table")), path=path) as caller:
            got = []
            for message in (None, update("order_wine"), update()):
                if message is not None:
                    await caller.say(message)
                    assert await caller.rest(0.1) == []
                await caller.say(BOTH)
                turn = await caller.until(lambda one: "toolCall" in one or "turnComplete" in brief(one))
                got.append("+".join(call["name"] for call in calls(turn)))
                if "toolCall" in turn[-1]:
                    await caller.say(text("stop"))
                    await caller.until("turnComplete")
                    await caller.until("turnComplete")
            assert got == ["book_table", "order_wine", ""]


@pytest.mark.parametrize(("how", "expected"), [("always", ["book_table"]), ("never", [])])
async def test_when_functions_are_called(how: str, expected: list[str]) -> None:
    """--calls: the first function with every prompt, or none ever."""
    async with connected(about(NATIVE, tools=TWO), calls=how) as caller:
        await caller.say(content("Hello") if how == "always" else BOTH)
        got = await caller.until(lambda one: "toolCall" in one or "turnComplete" in brief(one))
        assert [call["name"] for call in calls(got)] == expected


async def test_an_answer_asks_for_no_function() -> None:
    """The words of an answer name a function, and call none: there is no loop, not even with --calls always."""
    async with connected(about(NATIVE, tools=TWO), calls="always") as caller:
        (call,) = await called(caller, say_so("book_table"))
        assert calls(await caller.turn(answer({"next": "order_wine"}, call["id"]))) == []


async def test_a_history_of_several_turns_calls_nothing_again() -> None:
    """A client that retells the calls of another agent as the user's words, and then asks with a dot, wants words."""
    setup = about(LIVE_38, tools=functions("hand_over"), historyConfig={"initialHistoryInClientContent": True})
    question = {"role": "user", "parts": [{"text": "what do I owe"}]}
    retold = {"role": "user", "parts": [{"text": "For context: called tool hand_over"}]}

    async def asked(*turns: Message) -> list[Message]:
        async with connected(setup) as caller:
            await caller.say({"clientContent": {"turns": list(turns), "turnComplete": True}})
            return await caller.turn(text("."))

    assert calls(await asked(question, retold)) == []
    assert calls(await asked(retold)) != [], "a lone question that names a function is asked now"
