"""Functions the stand-in calls: which turn a call holds, what a result does, and when it is spoken.

A comment or docstring names the rule, or the row of the collected facts (B, C and F numbers), the expectation comes from.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.kit.names import GEMINI, LIVE_31, LIVE_38, NATIVE, ON_VERTEX, RETIRED, TEST, THINKING, VERTEX
from tests.kit.sound import silence, speech
from tests.kit.talk import END, MANUAL, START, Message, answer, calls, content, functions, text, usages
from tests.kit.transcript import SILENCE, Result, Transcript, mentions, never, play, says

STORY = content("Tell me a long story, " + "and then another one, " * 8)
SLOW = {"pace": 0.25}
"""A pace at which a reply is still being generated when its first sound has come."""
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ASYNC = {"behavior": "NON_BLOCKING"}
TWO = functions("book_table", "order_wine")
BOTH = content("Please book_table and order_wine")
TABLE, WINE = content("Please book_table"), content("Please order_wine")
ENDS = ["generationComplete", "turnComplete+usage"]
CUT = ["interrupted", "turnComplete+usage"]
UNCUT = never("interrupted")
NATIVE_VERTEX = "publishers/google/models/gemini-live-2.5-flash-native-audio"
DIALOGUE_VERTEX = "publishers/google/models/gemini-2.0-flash-live-preview-04-09"


def about(model: str = LIVE_38, *more: Message, tools: list[Message] = TWO, **members: Any) -> Message:
    setup: Message = {"model": model, "outputAudioTranscription": {}, "tools": tools, **members}
    for part in more:
        setup |= part
    return setup


def results(*at: int) -> Result:
    """Results {"n": 0}, {"n": 1} ... of calls in one toolResponse."""
    return Result({"n": at[0]}, at[0], together=[Result({"n": n}, n) for n in at[1:]])


def scheduled(scheduling: str, where: str) -> Result:
    """A result that is to be spoken at a time, which is said beside its response or inside."""
    if where == "inside":
        return Result({"n": 1, "scheduling": scheduling})
    return Result({"n": 1}, members={"scheduling": scheduling})


SPOKEN = mentions("book_table answered")
WHERE = ("beside", "inside")
MORE = {"willContinue": True}
RETOLD = about(LIVE_38, tools=functions("hand_over"), historyConfig={"initialHistoryInClientContent": True})
CUT_ROWS = ("interrupted", "turnComplete", "turnComplete")


def called(*names: str) -> Any:
    """These functions are called."""

    def check(got: list[Message]) -> None:
        assert [call["name"] for call in calls(got)] == list(names)

    return check


def update(*names: str) -> Message:
    return {"contextUpdate": {"tools": {"tools": functions(*names) if names else []}}}


def turns(*texts: str) -> Message:
    return {
        "clientContent": {
            "turns": [{"role": "user", "parts": [{"text": words}]} for words in texts],
            "turnComplete": True,
        }
    }


def counts_the_whole_turn(got: list[Message]) -> None:
    counts = {row["modality"]: row["tokenCount"] for row in usages(got)[-1]["responseTokensDetails"]}
    assert counts["TEXT"] == 6 and counts["AUDIO"] > 25
    assert usages(got)[-1]["responseTokenCount"] == sum(counts.values())


TRANSCRIPTS: dict[str, Transcript] = {
    # C11, TOOL-3: no turnComplete until the call is answered and the answer spoken; then one, with the counts of all
    **{
        f"a blocking call holds the turn: {model}": Transcript(
            about(model),
            [TABLE, "toolCall", SILENCE, Result({"table": 7}, name="book_table"), "generationComplete",
             says('livews stand-in: book_table answered {"table":7}.'), ["turnComplete+usage"], counts_the_whole_turn],
        )
        for model in (NATIVE, LIVE_31, TEST, RETIRED)
    },
    # C11, TOOL-3: on 3.8 and on Vertex generationComplete and turnComplete follow the call at once; then silence, and
    # the result opens another turn
    **{
        f"the turn ends beside a call: {model}": Transcript(
            about(model),
            [TABLE, "toolCall", ["generationComplete", end], SILENCE, Result({"table": 7}, name="book_table"), "audio",
             UNCUT, "turnComplete", UNCUT],
            path=GEMINI if model in (LIVE_38, THINKING) else VERTEX,
        )
        for model, end in (
            (LIVE_38, "turnComplete+usage"),
            (THINKING, "turnComplete+IN_PROGRESS+usage"),
            (ON_VERTEX, "turnComplete+grounding+usage"),
            (NATIVE_VERTEX, "turnComplete+usage"),
            (DIALOGUE_VERTEX, "turnComplete+usage"),
        )
    },
    # C11, C13: behavior of the declaration, the model's own where it is unspecified
    **{
        f"{behavior} of the function beats the model's: {model}": Transcript(
            about(model, tools=functions("book_table", behavior=behavior)),
            [TABLE, "toolCall", SILENCE if holds else ENDS],
            changes={"wire": {"talksOn": False}},
        )
        for model, behavior, holds in (
            (NATIVE, "NON_BLOCKING", False),
            (NATIVE, "BLOCKING", True),
            (NATIVE, "UNSPECIFIED", True),
            (LIVE_38, "NON_BLOCKING", False),
            (LIVE_38, "BLOCKING", True),
            (LIVE_38, "UNSPECIFIED", False),
        )
    },
    # C11b: a model that talks on during its call: a result with INTERRUPT cuts the speech off, the turn ends, and another
    # one answers
    **{
        f"a model talks on during its call, {scheduling}: {model}": Transcript(
            about(model, tools=functions("book_table", **ASYNC)),
            [TABLE, "toolCall", ["audio", "generationComplete"], result,
             [*(["interrupted"] if scheduling == "INTERRUPT" else []), "turnComplete+usage"],
             *([SILENCE] if scheduling == "SILENT" else [["audio", *ENDS], SPOKEN])],
            changes={"wire": switch, "pace": 0.5},
        )
        for model, switch in ((NATIVE, {}), (LIVE_38, {"talksOn": True}))
        for scheduling, result in (
            *((s, Result({"n": 1}, members={"scheduling": s})) for s in ("INTERRUPT", "WHEN_IDLE", "SILENT")),
            (None, Result({"n": 1})),
        )
    },
    # C30b: IDLE says that nothing is left, so it comes once, after the last of two answers
    "a model is idle when it has spoken about every result": Transcript(
        about(THINKING),
        [BOTH, "toolCall", "IN_PROGRESS", (Result({"n": 1}), Result({"n": 2}, 1)), "IDLE",
         mentions("book_table answered", "order_wine answered")],
    ),
    # what google-adk needs of a 2.5 model is there by the `wire` member toolCallEndsTurn
    "the profile can be overridden": Transcript(
        about(NATIVE), [TABLE, "toolCall", ENDS], changes={"wire": {"toolCallEndsTurn": True}},
    ),
    # C11, TOOL-1: two functions in one toolCall; the turn goes on when both are answered, in any order, in one message
    # or in two, and is one turn
    **{
        f"parallel calls are one turn: {rows[0].at} first, {len(rows)} messages": Transcript(
            about(NATIVE),
            [BOTH, "toolCall", *rows[:1], *([SILENCE, *rows[1:]] if rows[1:] else []), "turnComplete", says(words_),
             SILENCE],
        )
        for rows, words_ in (
            ([results(0), results(1)], 'stand-in: book_table answered {"n":0}. order_wine answered {"n":1}.'),
            ([results(1), results(0)], 'stand-in: order_wine answered {"n":1}. book_table answered {"n":0}.'),
            ([results(0, 1)], 'stand-in: book_table answered {"n":0}. order_wine answered {"n":1}.'),
            ([results(1, 0)], 'stand-in: order_wine answered {"n":1}. book_table answered {"n":0}.'),
        )
    },
    # C11: on a model whose calls do not hold the turn, one toolResponse is one new turn
    "results that come together are spoken together": Transcript(
        about(LIVE_38),
        [BOTH, "toolCall", "turnComplete", results(0, 1), "turnComplete",
         says('book_table answered {"n":0}. order_wine answered {"n":1}.'), SILENCE],
    ),
    # clients send {result}, {output}, {text}, {result: {string_value}}: the application's own JSON, kept as it is
    **{
        f"a result of the form {response}": Transcript(
            about(NATIVE),
            [TABLE, "toolCall", Result(response, name="book_table"), "turnComplete",
             says(f"book_table answered {json.dumps(response, separators=(',', ':'))}.")],
        )
        for response in (
            {"result": "sunny"},
            {"output": "sunny"},
            {"text": "sunny"},
            {"result": {"string_value": "sunny"}},
            {"fooBar": {"snake_case": [1, None, {"x": 1.5}]}},
            {},
        )
    },
    # some clients leave the name out: the id names the call
    "a result without a name": Transcript(
        about(NATIVE), [WINE, "toolCall", Result({"ok": True}), "turnComplete", says('order_wine answered {"ok":true}.')],
    ),
    # TOOL-1: the name names the call where the id is missing
    "a result without an id": Transcript(
        about(NATIVE),
        [BOTH, "toolCall", answer({"ok": 2}, name="order_wine"), Result({"ok": 1}), "turnComplete",
         mentions('book_table answered {"ok":1}.', 'order_wine answered {"ok":2}.')],
    ),
    "a result without an id on Vertex": Transcript(
        about(ON_VERTEX),
        [BOTH, "toolCall", "turnComplete", answer({"ok": 2}, name="order_wine"), "turnComplete",
         says('order_wine answered {"ok":2}.'), Result({"ok": 1}), "turnComplete", says('book_table answered {"ok":1}.')],
        path=VERTEX,
    ),
    # C12b, TOOL-2: swallowed on the Gemini API; on Vertex it starts a turn, with an id or without
    **{
        f"a result of no call, {given}, {model}": Transcript(
            about(model),
            [answer({"mood": "happy"}, **given),
             *([SILENCE] if path == GEMINI else ["turnComplete", says('answered {"mood":"happy"}.')])],
            path=path,
        )
        for model, path in ((NATIVE, GEMINI), (ON_VERTEX, VERTEX))
        for given in ({"call_id": "nobody"}, {"name": "book_table"}, {})
    },
    # C12b, TOOL-2: the open call is still open
    "a result of no call leaves a held turn": Transcript(
        about(NATIVE),
        [TABLE, "toolCall", answer({"n": 1}, "nobody", "order_wine"), SILENCE, Result({"n": 2}), "turnComplete",
         says('livews stand-in: book_table answered {"n":2}.')],
    ),
    # TOOL-2: the second result is of no open call
    "a call is answered once": Transcript(
        about(NATIVE), [TABLE, "toolCall", Result({"n": 1}), "turnComplete", Result({"n": 1}), SILENCE],
    ),
    # C14: WHEN_IDLE waits for the reply that runs, and is spoken after it, without a cut
    **{
        f"WHEN_IDLE waits, {where}": Transcript(
            about(),
            [TABLE, "toolCall", "turnComplete", content("Hello"), "audio", scheduled("WHEN_IDLE", where), "turnComplete",
             UNCUT, "turnComplete", UNCUT, SPOKEN],
            changes={"pace": 0.12},
        )
        for where in WHERE
    },
    # C14: with nobody speaking there is nothing to wait for and nothing to cut
    **{
        f"an idle model speaks at once, {scheduling} {where}": Transcript(
            about(), [TABLE, "toolCall", "turnComplete", scheduled(scheduling, where), "turnComplete", UNCUT, SPOKEN],
        )
        for scheduling in ("WHEN_IDLE", "INTERRUPT")
        for where in WHERE
    },
    # C14: INTERRUPT cuts the reply that runs, and is spoken at once
    **{
        f"INTERRUPT cuts, {where}": Transcript(
            about(),
            [TABLE, "toolCall", "turnComplete", STORY, "audio", scheduled("INTERRUPT", where), "interrupted",
             ["turnComplete+usage"], "turnComplete", SPOKEN],
            changes=SLOW,
        )
        for where in WHERE
    },
    # C14: on 3.8 INTERRUPT waits for a talking user. Then the user is answered, and the function after that
    **{
        f"even {scheduling} lets a talking user finish{', with marks' if marks else ''}": Transcript(
            about(LIVE_38, MANUAL if marks else {}),
            [TABLE, "toolCall", "turnComplete", *([START] if marks else []), speech(1.0), "activityStart",
             scheduled(scheduling, "beside"), SILENCE, END if marks else silence(1.5),
             "turnComplete", mentions("I heard 1.0 seconds"), "turnComplete", SPOKEN],
        )
        for scheduling in ("WHEN_IDLE", "INTERRUPT")
        for marks in (True, False)
    },
    # C14, C24: the reply is cut by what asks for nothing: the model is idle then, and the result is spoken
    "a result that waits is not lost with the reply it waits for": Transcript(
        about(),
        [TABLE, "toolCall", "turnComplete", STORY, "audio", scheduled("WHEN_IDLE", "beside"),
         content("never mind", complete=False), "interrupted", "turnComplete", "turnComplete", SPOKEN],
        changes=SLOW,
    ),
    # C14: a prompt cuts the reply; its own reply comes first
    "a result that waits comes after the turn that cut": Transcript(
        about(),
        [TABLE, "toolCall", "turnComplete", STORY, "audio", scheduled("WHEN_IDLE", "beside"), text("stop"),
         "interrupted", "turnComplete", "turnComplete", says('"stop".'), "turnComplete", SPOKEN],
        changes={"pace": 0.12},
    ),
    # C14: scheduling works with NON_BLOCKING functions; models whose profile has none take every result as WHEN_IDLE
    "a blocking call schedules nothing": Transcript(
        about(NATIVE), [TABLE, "toolCall", scheduled("SILENT", "beside"), "audio"],
    ),
    "extended thinking schedules nothing": Transcript(
        about(THINKING), [TABLE, "toolCall", "turnComplete", scheduled("SILENT", "beside"), "audio"],
    ),
    # GD-REF willContinue: the call stays open, each result finds its moment; a turn that is held waits for the last
    "willContinue in a held turn": Transcript(
        about(NATIVE),
        [TABLE, "toolCall", Result({"n": 1}, members=MORE), SILENCE, Result({"n": 2}, members=MORE), SILENCE,
         Result({"n": 3}, members={"willContinue": False}), "turnComplete",
         says('book_table answered {"n":1}. book_table answered {"n":2}. book_table answered {"n":3}.'),
         Result({"n": 4}), SILENCE],
    ),
    "willContinue after a turn": Transcript(
        about(LIVE_38),
        [TABLE, "toolCall", "turnComplete", Result({"n": 1}, members=MORE), "turnComplete", says('stand-in: book_table answered {"n":1}.'),
         Result({"n": 2}, members=MORE), "turnComplete", says('stand-in: book_table answered {"n":2}.'),
         Result({"n": 3}, members={"willContinue": False}), "turnComplete", says('stand-in: book_table answered {"n":3}.'),
         Result({"n": 4}), SILENCE],
    ),
    # TOOL-4, GD-REF: toolCallCancellation with the ids of all of them, then interrupted and turnComplete; results that
    # come too late are swallowed
    **{
        f"a cut withdraws the calls that hold the turn: {by}": Transcript(
            about(NATIVE, MANUAL if cut is START else {}),
            [BOTH, "toolCall", cut, ["cancelled", *CUT], *(["turnComplete"] if by == "text" else []), results(0, 1),
             SILENCE],
        )
        for by, cut in (("text", text("stop")), ("voice", speech(0.5)), ("marks", START),
                        ("content", content("stop", complete=False)))
    },
    # TOOL-4: the turn it belonged to was over
    "a call that does not hold the turn survives a cut": Transcript(
        about(NATIVE, tools=functions("book_table", **ASYNC)),
        [TABLE, "toolCall", "turnComplete", STORY, "audio", text("stop"), *CUT_ROWS, never("cancelled"),
         Result({"n": 1}), "turnComplete", SPOKEN],
        changes={"pace": 0.12},
    ),
    # C13: 0 of 41 sessions on 3.8 brought a toolCallCancellation: the call stays open, its result is spoken
    **{
        f"a cut leaves the calls open: {model}": Transcript(
            about(model, tools=functions("book_table", **({"behavior": "BLOCKING"} if model == LIVE_38 else {}))),
            [TABLE, "toolCall", text("stop"), *CUT_ROWS, never("cancelled"), Result({"n": 1}),
             "turnComplete", says('book_table answered {"n":1}.')],
        )
        for model in (LIVE_31, LIVE_38)
    },
    # NO_INTERRUPTION: the turn that waits for a function goes on; the user is answered after it
    "no interruption holds for held turns too": Transcript(
        about(NATIVE, {"realtimeInputConfig": {"activityHandling": "NO_INTERRUPTION"}}),
        [TABLE, "toolCall", text("and then"), SILENCE, Result({"n": 1}), "turnComplete", SPOKEN, "turnComplete",
         says('"and then".')],
    ),
    # --calls: the first function with every prompt, or none ever
    "a function is always called": Transcript(
        about(NATIVE), [content("Hello"), "toolCall", called("book_table")], changes={"calls": "always"},
    ),
    "a function is never called": Transcript(
        about(NATIVE), [BOTH, "turnComplete", called()], changes={"calls": "never"},
    ),
    # the words of a result name a function, and call none: there is no loop, not even with --calls always
    "a result asks for no function": Transcript(
        about(NATIVE), [TABLE, "toolCall", Result({"next": "order_wine"}), "turnComplete", called()],
        changes={"calls": "always"},
    ),
    # contextUpdate: tools replace those of setup from the next turn on; an empty list clears them; no reply to it
    **{
        f"a context update changes the functions: {path}": Transcript(
            about(model, tools=functions("book_table")),
            [BOTH, "toolCall", called("book_table"), text("stop"), "turnComplete", "turnComplete",
             update("order_wine"), SILENCE, BOTH, "toolCall", called("order_wine"), text("stop"), "turnComplete",
             "turnComplete", update(), SILENCE, BOTH, "turnComplete", called()],
            path=path,
        )
        for model, path in ((TEST, GEMINI), ("publishers/google/models/test", VERTEX))
    },
    # a client that retells the calls of another agent as the user's words, and then asks with a dot, wants words
    "a history of several turns calls nothing again": Transcript(
        RETOLD, [turns("what do I owe", "For context: called tool hand_over"), text("."), "turnComplete", called()],
    ),
    "a single question that names a function is asked now": Transcript(
        RETOLD, [turns("For context: called tool hand_over"), text("."), "toolCall", called("hand_over")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_transcript(name: str) -> None:
    await play(TRANSCRIPTS[name])


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
    got = calls(await play(Transcript(about(model), [BOTH, "toolCall", BOTH, "toolCall"], path=path)))
    assert [call["name"] for call in got] == ["book_table", "order_wine"] * 2
    assert len({call["id"] for call in got}) == 4
    assert all(re.fullmatch(form, call["id"]) for call in got)
    assert all(list(call) == ["name", "args", "id"] for call in got)


async def test_code_announces_a_call_of_the_half_cascade() -> None:
    """C12b: 2.5-flash-live-preview shows print(default_api.fn(...)) ahead of the toolCall, and no other model does."""
    parameters = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
    tools = functions("get_weather", parameters=parameters)
    prompt = content('get_weather "Ulm"')
    got = await play(Transcript(about(RETIRED, tools=tools), [prompt, ["code", "toolCall"]]))
    code = got[1]["serverContent"]["modelTurn"]["parts"][0]["executableCode"]
    assert code == {"language": "PYTHON", "code": "print(default_api.get_weather(city='Ulm'))"}
    await play(Transcript(about(NATIVE, tools=tools), [prompt, ["toolCall"]]))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("model", [NATIVE, LIVE_38])
async def test_silent(model: str, where: str) -> None:
    """C14: SILENT produces no speech; the result is known to the next turn."""
    rows = [TABLE, "toolCall", "turnComplete", scheduled("SILENT", where), SILENCE, content("Hello"), "turnComplete"]
    before, after = usages(await play(Transcript(about(model, tools=functions("book_table", **ASYNC)), rows)))
    # "book_table", "answered", its JSON, and "Hello"
    assert after["promptTokenCount"] - before["totalTokenCount"] == 4


async def test_only_calls_that_hold_the_turn_and_are_open_are_withdrawn() -> None:
    """TOOL-4: a NON_BLOCKING call goes on, and its result is spoken; a call that was answered is over."""
    tools = [*functions("book_table"), *functions("order_wine", **ASYNC)]
    rows = [BOTH, "toolCall", text("stop"), "turnComplete", "turnComplete", Result({"n": 1}, 1), "turnComplete",
            says('order_wine answered {"n":1}.')]  # fmt: skip
    for setup, conversation, index in (
        (about(NATIVE, tools=tools), rows, 0),
        (about(NATIVE), [BOTH, "toolCall", Result({"n": 1}), text("stop"), "turnComplete"], 1),
    ):
        got = await play(Transcript(setup, conversation))
        (cancelled,) = [message for message in got if "toolCallCancellation" in message]
        assert cancelled == {"toolCallCancellation": {"ids": [calls(got)[index]["id"]]}}


async def test_a_cut_withdraws_by_id() -> None:
    """TOOL-4: toolCallCancellation has the ids of all calls that held the turn."""
    got = await play(Transcript(about(NATIVE), [BOTH, "toolCall", text("stop"), "turnComplete"]))
    (cancelled,) = [message for message in got if "toolCallCancellation" in message]
    assert cancelled == {"toolCallCancellation": {"ids": [call["id"] for call in calls(got)]}}
