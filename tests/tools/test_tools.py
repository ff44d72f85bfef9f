"""Functions the model calls: declared from their hints, run and answered by the session, for Python and for commands.

The other side is the stand-in, or a scripted server for what the stand-in never sends. What is compared is what went
over the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from websockets.asyncio.server import ServerConnection

import livews
from livews import tools
from livews.core import rules
from livews.core.rules import Finding
from livews.server.config import StandInConfig
from livews.server.server import serve_stand_in
from livews.tools.schema_from_hints import ArgumentError
from tests.kit.recorder import MemoryRecorder
from tests.kit.servers import SETUP_COMPLETE, scripted
from tests.kit.waiting import until

NATIVE = "gemini-2.5-flash-native-audio-latest"
PACE = 0.02
PATIENCE = 10.0
"""Seconds any one conversation may last."""

Message = dict[str, Any]


class Wire(MemoryRecorder):
    """What the client sent of answers to calls."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Message] = []

    def frame(self, t: float, direction: str, opcode: str, step: livews.Step) -> None:
        if direction == "send" and "toolResponse" in step.body:
            assert [one for one in rules.check("client", step.body) if one.level == "error"] == []
            self.answers += step.body["toolResponse"]["functionResponses"]

    @property
    def responses(self) -> list[Message]:
        return [one["response"] for one in self.answers]


@contextlib.asynccontextmanager
async def at_standin(
    functions: Sequence[Any], model: str = "", **options: Any
) -> AsyncIterator[tuple[livews.Session, Wire]]:
    """A session with a stand-in of its own, and what was sent of answers."""
    wire = Wire()
    async with asyncio.timeout(PATIENCE), serve_stand_in(policy=StandInConfig(pace=PACE, voice="tones")) as house:
        recorders = (lambda where: wire,)
        async with livews.connect(model, url=house.url, tools=functions, recorders=recorders, **options) as session:
            yield session, wire
    assert house.failures == 0


async def reply(session: livews.Session, prompt: str = "") -> str:
    """What the model says, in as many turns as its calls make of it."""
    if prompt:
        await session.say(prompt)
    words = ""
    while True:
        async for event in session.turn():
            if isinstance(event, livews.Transcript):
                words += event.text
        assert isinstance(event, livews.TurnEnd)
        if not event.waiting:
            return words


async def told(functions: Sequence[Any], prompt: str, model: str = "", **options: Any) -> tuple[str, Message]:
    """One prompt that calls one function: what is said in the end, and the response that was sent."""
    said = ""
    async with at_standin(functions, model, **options) as (session, wire):
        said = await reply(session, prompt)
    assert len(wire.answers) == 1
    return said, wire.responses[0]


def calls(*functions: tuple[str, str, Message]) -> Message:
    return {"toolCall": {"functionCalls": [{"id": i, "name": name, "args": args} for i, name, args in functions]}}


@contextlib.asynccontextmanager
async def at_server(
    messages: Sequence[Message],
    functions: Sequence[Any],
    **options: Any,
) -> AsyncIterator[tuple[livews.Session, list[Message]]]:
    """A session with a server that says these messages after setup, and every answer that came."""
    got: list[Message] = []

    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        for message in messages:
            await socket.send(json.dumps(message))
        async for frame in socket:
            got.extend(json.loads(frame).get("toolResponse", {}).get("functionResponses", []))

    async with asyncio.timeout(PATIENCE), scripted(script) as url:
        async with livews.connect(url=url, tools=functions, **options) as session:
            yield session, got


# Declarations


class Unit(Enum):
    CELSIUS = "celsius"
    KELVIN = "kelvin"


class Level(Enum):
    LOW = 1
    HIGH = 2


@dataclass
class Place:
    """Where something is."""

    name: str
    floor: Annotated[int, "0 is the ground"] = 0
    tags: list[str] = field(default_factory=list)


class Order(TypedDict):
    dish: str
    count: NotRequired[int]


TEXT, WHOLE, NUMBER, BOOL = ({"type": name} for name in ("STRING", "INTEGER", "NUMBER", "BOOLEAN"))
PLACE = {
    "type": "OBJECT",
    "description": "Where something is.",
    "properties": {
        "name": TEXT,
        "floor": {**WHOLE, "description": "0 is the ground"},
        "tags": {"type": "ARRAY", "items": TEXT},
    },
    "required": ["name"],
}


def plain(a: str, b: int, c: float, d: bool) -> None: ...
def defaults(a: str, b: int = 3) -> None: ...
def optional(a: int | None, b: str = None) -> None: ...  # type: ignore[assignment] # noqa: RUF013
def choice(a: Literal["on", "off"], b: Literal[1, 2], c: Literal["x", None] = None) -> None: ...
def enums(a: Unit, b: Level) -> None: ...
def series(a: list[int], b: tuple[str, ...], c: set[bool], d: Sequence[list[float]]) -> None: ...
def mapping(a: dict, b: dict[str, Any], c: dict[str, int]) -> None: ...  # type: ignore[type-arg]
def classes(a: Place, b: list[Order]) -> None: ...
def annotated(a: Annotated[str, "what to say"], b: Annotated[int | None, "or not"] = None) -> None: ...
def unions(a: int | float, b: str | int) -> None: ...
def times(a: datetime, b: date) -> None: ...
async def later(*, only: str) -> None: ...
def nothing() -> None: ...


SIGNATURES: list[tuple[Callable[..., Any], Message, list[str]]] = [
    (plain, {"a": TEXT, "b": WHOLE, "c": NUMBER, "d": BOOL}, ["a", "b", "c", "d"]),
    (defaults, {"a": TEXT, "b": WHOLE}, ["a"]),
    (optional, {"a": {**WHOLE, "nullable": True}, "b": {**TEXT, "nullable": True}}, ["a"]),
    (
        choice,
        {
            "a": {**TEXT, "enum": ["on", "off"]},
            "b": {**WHOLE, "description": "(one of 1, 2)"},
            "c": {**TEXT, "enum": ["x"], "nullable": True},
        },
        ["a", "b"],
    ),
    (enums, {"a": {**TEXT, "enum": ["celsius", "kelvin"]}, "b": {**TEXT, "enum": ["LOW", "HIGH"]}}, ["a", "b"]),
    (
        series,
        {
            "a": {"type": "ARRAY", "items": WHOLE},
            "b": {"type": "ARRAY", "items": TEXT},
            "c": {"type": "ARRAY", "items": BOOL},
            "d": {"type": "ARRAY", "items": {"type": "ARRAY", "items": NUMBER}},
        },
        ["a", "b", "c", "d"],
    ),
    (mapping, {"a": {"type": "OBJECT"}, "b": {"type": "OBJECT"}, "c": {"type": "OBJECT"}}, ["a", "b", "c"]),
    (
        classes,
        {
            "a": PLACE,
            "b": {
                "type": "ARRAY",
                "items": {"type": "OBJECT", "properties": {"dish": TEXT, "count": WHOLE}, "required": ["dish"]},
            },
        },
        ["a", "b"],
    ),
    (
        annotated,
        {"a": {**TEXT, "description": "what to say"}, "b": {**WHOLE, "nullable": True, "description": "or not"}},
        ["a"],
    ),
    (unions, {"a": NUMBER, "b": {"anyOf": [TEXT, WHOLE]}}, ["a", "b"]),
    (times, {"a": {**TEXT, "format": "date-time"}, "b": {**TEXT, "description": "(YYYY-MM-DD)"}}, ["a", "b"]),
    (later, {"only": TEXT}, ["only"]),
    (functools.partial(defaults, b=4), {"a": TEXT, "b": WHOLE}, ["a"]),
]


@pytest.mark.parametrize(("fn", "properties", "required"), SIGNATURES)
def test_a_signature_is_declared(fn: Callable[..., Any], properties: Message, required: list[str]) -> None:
    declaration = livews.tool(fn).declaration
    parameters = {"type": "OBJECT", "properties": properties, "required": required}
    assert declaration["parameters"] == parameters
    message = {"setup": {"model": "models/gemini-3.8-live", "tools": [{"functionDeclarations": [declaration]}]}}
    assert livews.check("client", message) == []


def test_a_function_without_parameters_declares_none() -> None:
    assert livews.tool(nothing).declaration == {"name": "nothing", "description": "nothing"}


def google(x: str, y: int = 1) -> None:
    """Find it.

    It is somewhere.

    Args:
        x (str, optional): What to find,
            in words.
        y: How often.

    Returns:
        nothing: at all
    """


def sphinx(x: str, y: int = 1) -> None:
    """Find it.

    It is somewhere.

    :param str x: What to find,
        in words.
    :param y: How often.
    :returns: nothing
    """


def numpy_style(x: str, y: int = 1) -> None:
    """Find it.

    It is somewhere.

    Parameters
    ----------
    x : str
        What to find,
        in words.
    y : int, optional
        How often.

    Returns
    -------
    nothing : at all
    """


@pytest.mark.parametrize("fn", [google, sphinx, numpy_style])
def test_docstrings_describe_the_function_and_its_parameters(fn: Callable[..., Any]) -> None:
    declaration = livews.tool(fn).declaration
    assert declaration["description"] == "Find it.\n\nIt is somewhere."
    properties = declaration["parameters"]["properties"]
    assert properties["x"]["description"] == "What to find, in words."
    assert properties["y"]["description"] == "How often."


class Thing:
    def method(self, a: str) -> str:
        return a

    def __call__(self, word: str) -> str:
        return word


def test_methods_and_callable_objects_are_functions() -> None:
    thing = Thing()
    assert list(livews.tool(thing.method).declaration["parameters"]["properties"]) == ["a"]
    assert livews.tool(thing).declaration["name"] == "Thing"
    assert livews.tool(name="other", description="Say it.")(thing).declaration["description"] == "Say it."
    assert livews.tool(thing.method)("as before") == "as before"


@dataclass
class Tree:
    children: list[Tree]


class Odd:
    pass


def stars(*a: str) -> None: ...
def double_stars(**a: str) -> None: ...
def positional(a: str, /) -> None: ...
def unhinted(a, b: int) -> None: ...  # type: ignore[no-untyped-def]
def anything(a: Any) -> None: ...
def odd(a: Odd) -> None: ...
def bare(a: list) -> None: ...  # type: ignore[type-arg]
def fixed(a: tuple[int, str]) -> None: ...
def numbered(a: dict[int, str]) -> None: ...
def mixed(a: Literal["x", 1]) -> None: ...
def tree(a: Tree) -> None: ...


@pytest.mark.parametrize(
    ("fn", "where", "fix"),
    [
        (stars, "parameter *a", "take a list"),
        (double_stars, "parameter **a", "take a list"),
        (positional, "parameter a", "remove the /"),
        (unhinted, "parameter a", "a: str"),
        (anything, "parameter a", "use str"),
        (odd, "parameter a", "a dataclass"),
        (bare, "parameter a", "list[str]"),
        (fixed, "parameter a", "tuple[T, ...]"),
        (numbered, "parameter a", "dict[str, ...]"),
        (mixed, "parameter a", "only strings"),
        (tree, "parameter a", "a dict or a str"),
        (Thing.method, "parameter self", "thing.method"),
    ],
)
def test_what_cannot_be_declared_is_told_before_dialling(fn: Any, where: str, fix: str) -> None:
    with pytest.raises(livews.BadRequest) as refused:
        livews.connect(url="ws://127.0.0.1:1", tools=[fn])
    assert refused.value.where == where
    assert fix in refused.value.fix


def unresolved(a: Nowhere) -> None: ...  # type: ignore[name-defined] # noqa: F821


@pytest.mark.parametrize(
    ("functions", "what"),
    [
        ([{"name": "x"}], "a tool is a function, not a dict"),
        ([Thing], "a tool is a function, not a class"),
        ([plain, plain], "2 tools are called plain"),
        ([lambda: None], "invalid function name '<lambda>'"),
        ([unresolved], "type hints cannot be read (NameError"),
        (plain, "tools is not a list"),
    ],
)
def test_tools_that_are_none(functions: Any, what: str) -> None:
    with pytest.raises(livews.BadRequest) as refused:
        livews.connect(url="ws://127.0.0.1:1", tools=functions)
    assert what in refused.value.what
    assert refused.value.fix


@pytest.mark.parametrize(
    "options", [{"scheduling": "SILENT"}, {"blocking": False, "scheduling": "SOON"}, {"timeout": 0}, {"name": "1x"}]
)
def test_options_that_cannot_be(options: Message) -> None:
    with pytest.raises(livews.BadRequest):
        livews.tool(nothing, **options)


# Arguments


@pytest.mark.parametrize(
    ("fn", "args", "given"),
    [
        (plain, {"a": "x", "b": 5.0, "c": 1, "d": True}, {"a": "x", "b": 5, "c": 1.0, "d": True}),
        (defaults, {"a": "x", "b": None}, {"a": "x"}),
        (optional, {"a": None, "b": None}, {"a": None, "b": None}),
        (choice, {"a": "on", "b": 2.0}, {"a": "on", "b": 2}),
        (enums, {"a": "kelvin", "b": "LOW"}, {"a": Unit.KELVIN, "b": Level.LOW}),
        (
            series,
            {"a": [1.0], "b": ["x"], "c": [True, True], "d": [[1]]},
            {"a": [1], "b": ("x",), "c": {True}, "d": [[1.0]]},
        ),
        (mapping, {"a": {"x": [1]}, "b": {}, "c": {"n": 2.0}}, {"a": {"x": [1]}, "b": {}, "c": {"n": 2}}),
        (
            classes,
            {"a": {"name": "hall", "floor": 1.0}, "b": [{"dish": "soup"}]},
            {"a": Place("hall", 1), "b": [{"dish": "soup"}]},
        ),
        (unions, {"a": 1.5, "b": 3.0}, {"a": 1.5, "b": 3}),
        (
            times,
            {"a": "2026-01-31T12:00:00Z", "b": "2026-01-31"},
            {"a": datetime(2026, 1, 31, 12, tzinfo=UTC), "b": date(2026, 1, 31)},
        ),
    ],
)
async def test_arguments_become_what_the_hints_say(fn: Callable[..., Any], args: Message, given: Message) -> None:
    seen: list[Message] = []

    @functools.wraps(fn)
    def spy(**got: Any) -> None:
        seen.append(got)

    await _invoke(livews.tool(spy), args)
    assert seen == [given]
    assert {name: type(value) for name, value in seen[0].items()} == {n: type(v) for n, v in given.items()}


async def _invoke(one: livews.Tool, args: Message) -> Any:
    return await one.invoke(args)


@pytest.mark.parametrize(
    ("fn", "args", "complaint"),
    [
        (plain, {"a": 1, "b": "5", "c": True, "d": 0}, "expected a string, got 1 at a; expected an integer, got"),
        (plain, {"a": "x", "b": 5.5, "c": 1, "d": True}, "expected an integer, got 5.5 at b"),
        (defaults, {}, "a is missing"),
        (defaults, {"a": "x", "town": "Y"}, "there is no parameter town; there are: a, b"),
        (choice, {"a": "up", "b": 3}, 'expected one of on, off, got "up" at a; expected one of 1, 2, got 3 at b'),
        (enums, {"a": "CELSIUS", "b": 1}, "expected one of celsius, kelvin"),
        (series, {"a": [1, "2"], "b": "x", "c": [], "d": []}, 'got "2" at a[1]; expected an array, got "x" at b'),
        (classes, {"a": {"floor": 1}, "b": []}, "a.name is missing"),
        (
            classes,
            {"a": {"name": "x", "hue": 1}, "b": []},
            "there is no field hue in a; there are: name, floor, tags",
        ),
        (unions, {"a": "x", "b": []}, "expected a string, got [] at b, or expected an integer"),
        (times, {"a": "noon", "b": "2026-02-30"}, "a date such as 2026-01-31, got"),
        (nothing, {"a": 1}, "there is no parameter a; there are: none"),
    ],
)
async def test_wrong_arguments_are_told_and_never_reach_the_function(
    fn: Callable[..., Any], args: Message, complaint: str
) -> None:
    @functools.wraps(fn)
    def spy(**got: Any) -> None:
        raise AssertionError(got)

    with pytest.raises(ArgumentError) as wrong:
        await _invoke(livews.tool(spy), args)
    assert complaint in str(wrong.value)


# A session that calls


def get_weather(city: str, days: int = 1) -> Message:
    """Tell the weather of a city.

    Args:
        city: Its name.
    """
    return {"sky": f"clear over {city}", "days": days}


async def count_sheep(count: int) -> int:
    """Count sheep."""
    await asyncio.sleep(0)
    return count + 1


@pytest.mark.parametrize("model", ["", NATIVE, "gemini-3.8-live-extended-thinking"])
@pytest.mark.parametrize("blocking", [True, False])
async def test_a_function_is_called_and_its_answer_spoken(model: str, blocking: bool) -> None:
    both = [livews.tool(fn, blocking=blocking) for fn in (get_weather, count_sheep)]
    said, response = await told(both, "Please get_weather of Paris for 3 days", model)
    assert response == {"sky": "clear over Paris", "days": 3}
    assert '"sky":"clear over Paris"' in said
    said, response = await told(both, "Please count_sheep up to 41", model)
    assert response == {"result": 42}
    assert "42" in said


async def test_the_caller_still_reads_the_call_and_is_told_of_the_run() -> None:
    seen: list[Any] = []

    runs: list[livews.ToolRun] = []
    async with at_standin([get_weather], on_tool=runs.append) as (session, wire):
        await session.say("Please get_weather of Paris")
        seen.extend([event async for event in session.turn() if isinstance(event, livews.ToolCall)])
    assert [(call.name, call.handled) for call in seen] == [("get_weather", True)]
    first, last = runs
    assert (first.done, last.done) == (False, True)
    assert first.call_id == last.call_id == seen[0].id == wire.answers[0]["id"]
    assert first.args == {"city": "Paris"}
    assert (last.result, last.error, last.cancelled) == (wire.responses[0], "", False)


END = {"serverContent": {"turnComplete": True}}
SPEECH = {"serverContent": {"outputTranscription": {"text": "Clear."}}}


@pytest.mark.parametrize(
    ("blocking", "after", "waiting"),
    [
        (False, [END], True),
        (False, [SPEECH, END], True),  # what is said in the turn of the call is not about the result (TOOL-5)
        (True, [SPEECH, END], False),
        (True, [END], False),
    ],
)
async def test_a_turn_that_ends_behind_its_answer(blocking: bool, after: list[Message], waiting: bool) -> None:
    """The answer may be quicker than the turn's end: whether more comes is told all the same."""
    ends: list[bool] = []

    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        await socket.send(json.dumps(calls(("1", "get_weather", {"city": "Ulm"}))))
        await socket.recv()
        for message in after:
            await socket.send(json.dumps(message))
        await socket.wait_closed()

    one = livews.tool(get_weather, blocking=blocking)
    async with asyncio.timeout(PATIENCE), scripted(script) as url:
        async with livews.connect(url=url, tools=[one]) as session:
            ends.extend([event.waiting async for event in session.turn() if isinstance(event, livews.TurnEnd)])
    assert ends == [waiting]


async def test_functions_stand_beside_the_tools_of_setup() -> None:
    async with at_standin([get_weather], setup={"tools": [{"google_search": {}}]}) as (session, _):
        search, ours = session.conversation.setup["tools"]
        assert search == {"googleSearch": {}}
        assert [one["name"] for one in ours["functionDeclarations"]] == ["get_weather"]
    given = {"tools": [{"function_declarations": [{"name": "get_weather", "description": "mine"}]}]}
    with pytest.raises(livews.BadRequest, match="declared in setup and in tools="):
        async with at_standin([get_weather], setup=given):
            pass


@pytest.mark.parametrize("model", ["", NATIVE])
async def test_an_answer_that_is_to_be_silent_is(model: str) -> None:
    quiet = livews.tool(get_weather, blocking=False, scheduling="SILENT")
    async with at_standin([quiet], model) as (session, wire):
        await session.say("Please get_weather of Paris")
        end = [event async for event in session.turn()][-1]
        assert isinstance(end, livews.TurnEnd)
        assert not end.waiting, "nothing more comes"
        await until(lambda: wire.answers)
        said = await reply(session, "How are you?")
        assert "clear over" not in said
    assert wire.answers[0]["scheduling"] == "SILENT"


async def test_an_answer_that_may_interrupt_says_so() -> None:
    one = livews.tool(get_weather, blocking=False, scheduling="INTERRUPT")
    async with at_standin([one], NATIVE) as (session, wire):
        await _said(session, "Please get_weather of Paris", "clear over Paris")
    assert wire.answers[0]["scheduling"] == "INTERRUPT"


async def _said(session: livews.Session, prompt: str, words: str) -> None:
    assert words in await reply(session, prompt)


@pytest.mark.parametrize(
    ("model", "blocking", "scheduling", "behavior", "remark"),
    [
        ("gemini-3.8-live", True, None, "BLOCKING", ""),
        ("gemini-3.8-live", False, "SILENT", None, ""),
        (NATIVE, True, None, None, ""),
        (NATIVE, False, "WHEN_IDLE", "NON_BLOCKING", ""),
        ("gemini-3.1-flash-live-preview", True, None, None, ""),
        ("gemini-3.1-flash-live-preview", False, "SILENT", None, "waits for every function"),
        ("gemini-3.8-live-extended-thinking", False, "SILENT", None, "takes no scheduling"),
        ("gemini-3.8-live-extended-thinking", True, None, None, "waits for no function"),
        ("gemini-3.5-live-translate-preview", True, None, None, "calls no functions"),
        ("gemini-of-tomorrow", False, "SILENT", "NON_BLOCKING", ""),
    ],
)
async def test_a_model_gets_what_it_takes_and_the_rest_is_remarked(
    model: str, blocking: bool, scheduling: Any, behavior: str | None, remark: str
) -> None:
    remarks: list[Finding] = []

    one = livews.tool(get_weather, blocking=blocking, scheduling=scheduling)
    async with at_server([], [one], model=model, remark=remarks.append) as (session, _):
        declared = session.conversation.setup["tools"][0]["functionDeclarations"][0]
        assert declared.get("behavior") == behavior
    ours = [finding.complaint for finding in remarks if finding.path == "/setup/tools"]
    assert len(ours) == bool(remark)
    assert all(remark in words for words in ours)


async def test_an_answer_without_scheduling_where_the_model_takes_none() -> None:
    one = livews.tool(get_weather, blocking=False, scheduling="SILENT")
    said, _ = await told([one], "Please get_weather of Paris", "gemini-3.1-flash-live-preview")
    assert "clear over Paris" in said


async def test_several_calls_run_at_once() -> None:
    meeting = threading.Barrier(2)
    met = asyncio.Event()
    waiting: list[str] = []

    def book_table() -> int:
        return meeting.wait(PATIENCE)

    def order_wine() -> int:
        return meeting.wait(PATIENCE)

    async def call_taxi() -> str:
        waiting.append("taxi")
        await met.wait()
        return "here"

    async def send_mail() -> str:
        met.set()
        return "sent"

    for functions in ([book_table, order_wine], [call_taxi, send_mail]):
        names = " and ".join(fn.__name__ for fn in functions)

        async with at_standin(functions) as (session, wire):
            await reply(session, f"Please {names}")
        assert sorted(one["name"] for one in wire.answers) == sorted(names.split(" and "))
        assert not any("error" in one for one in wire.responses)


@pytest.mark.parametrize("kind", ["async", "thread", "command"])
async def test_a_call_that_is_withdrawn_is_stopped_and_not_answered(kind: str, tmp_path: Path) -> None:
    started, stopped, release = threading.Event(), threading.Event(), threading.Event()
    pid = tmp_path / "pid"

    async def wait_async() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    def wait_in_thread() -> str:
        started.set()
        release.wait(PATIENCE)
        stopped.set()
        return "too late"

    script = _script(tmp_path, f"sleep 60 & echo $! > {pid}.new; mv {pid}.new {pid}; wait")
    functions: dict[str, Any] = {
        "async": livews.tool(wait_async, name="wait_here"),
        "thread": livews.tool(wait_in_thread, name="wait_here"),
        "command": tools.command(f"wait_here={script}"),
    }
    runs: list[livews.ToolRun] = []
    async with at_standin([functions[kind]], NATIVE, on_tool=runs.append) as (session, wire):
        await session.say("Please wait_here")
        await until(lambda: started.is_set() or pid.exists())
        await session.send_text("Never mind. How are you?")  # this model withdraws what an interruption cuts
        await until(lambda: runs[-1].done)
        release.set()
        if kind == "command":
            await until(lambda: not _lives(int(pid.read_text())))
        else:
            await until(stopped.is_set)
        await asyncio.sleep(0.05)
    assert wire.answers == []
    assert [(run.done, run.cancelled) for run in runs] == [(False, False), (True, True)]


async def test_a_command_that_is_stopped_while_it_starts_leaves_no_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = _script(tmp_path, f"sleep 60 & echo $! > {pid}.new; mv {pid}.new {pid}; wait")
    running = asyncio.create_task(tools.command(f"wait_here={script}").invoke({}))
    for _ in range(2):
        await asyncio.sleep(0)  # it is forked then, and the loop has not seen that it runs
    deadline = time.monotonic() + PATIENCE
    while not pid.exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # the loop is not to see it
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with asyncio.timeout(PATIENCE):
        await until(lambda: not _lives(int(pid.read_text())))


def crash() -> None:
    raise LookupError("no such city; tried with key AIzaSyA-1234567890123456789012345678901")


def leave() -> None:
    raise SystemExit(3)


async def leave_async() -> None:
    raise SystemExit(3)


async def give_up() -> None:
    raise asyncio.CancelledError


def print_much() -> str:
    return "x" * 10_000_000


def give_bytes() -> bytes:
    return b"x"


def give_circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def take_town(town: Literal["Ulm"]) -> str:
    return town


@pytest.mark.parametrize(
    ("fn", "error"),
    [
        (crash, "LookupError: no such city; tried with key [redacted]"),
        (leave, "SystemExit: 3"),
        (leave_async, "SystemExit: 3"),
        (give_up, "give_up was cancelled from within"),
        (print_much, "the result of print_much has 10,000,013 bytes of JSON, and 1,048,576 are sent at most"),
        (give_bytes, "the result of give_bytes cannot be sent: a bytes has no JSON form"),
        (give_circle, "the result of give_circle cannot be sent: it is nested deeper than 90 levels"),
    ],
)
async def test_a_function_that_fails_is_answered_with_an_error(fn: Callable[..., Any], error: str) -> None:
    said, response = await told([fn], f"Please {fn.__name__}")
    assert response == {"error": error}
    assert "answered" in said


async def test_the_sessions_own_key_is_in_no_error() -> None:
    def blab() -> None:
        raise ValueError("the key is swordfish-42")

    _, response = await told([blab], "Please blab", api_key="swordfish-42")
    assert response == {"error": "ValueError: the key is [redacted]"}


@pytest.mark.parametrize("kind", ["async", "thread", "deaf"])
async def test_a_function_that_hangs_is_given_up(kind: str) -> None:
    release = threading.Event()

    async def hang_async() -> None:
        await asyncio.sleep(60)

    def hang_in_thread() -> None:
        release.wait(60)

    async def hang_deaf() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)

    fn: Any = {"async": hang_async, "thread": hang_in_thread, "deaf": hang_deaf}[kind]
    async with at_standin([livews.tool(fn, name="hang_about", timeout=0.1)]) as (session, wire):
        said = await reply(session, "Please hang_about")
        assert "did not finish" in said
        release.set()
    assert wire.responses == [{"error": "hang_about did not finish within 0.1 s and was stopped"}]


async def test_wrong_arguments_are_answered_with_what_is_wrong() -> None:
    runs: list[livews.ToolRun] = []
    messages = [calls(("1", "get_weather", {"days": "two"}))]
    async with at_server(messages, [get_weather], on_tool=runs.append) as (session, got):
        await _over(session, runs, 1)
    complaint = 'wrong arguments: city is missing; expected an integer, got "two" at days'
    assert [one["response"] for one in got] == [{"error": complaint}]
    assert runs[-1].error == complaint


async def _over(session: livews.Session, runs: list[livews.ToolRun], count: int) -> None:
    """Wait until so many runs are over, and their answers have gone out."""
    await until(lambda: sum(run.done for run in runs) == count)
    await until(lambda: not session.conversation.pending)


async def test_an_unknown_function_is_refused_where_the_session_answers() -> None:
    runs: list[livews.ToolRun] = []
    messages = [calls(("1", "launch", {}))]
    async with at_server(messages, [get_weather], on_tool=runs.append) as (session, got):
        await _over(session, runs, 1)
    complaint = "there is no function launch here; known: get_weather"
    assert got == [{"id": "1", "name": "launch", "response": {"error": complaint}}]

    declared = {"tools": [{"functionDeclarations": [{"name": "launch", "description": "mine"}]}]}
    for functions, setup in (([], None), ([get_weather], declared)):
        async with at_server(messages, functions, setup=setup) as (session, got):
            await until(lambda session=session: session.conversation.pending)
            await asyncio.sleep(0.05)
            assert session.conversation.pending == {"1": "launch"}
        assert got == []


async def test_functions_of_a_later_context_are_the_callers() -> None:
    async with at_standin([get_weather]) as (session, wire):
        await session.update_context(tools=[{"functionDeclarations": [{"name": "order_wine", "description": "x"}]}])
        await session.say("Please order_wine")
        async for event in session.turn():
            if isinstance(event, livews.ToolCall) and not event.handled:
                await session.respond(event.id, event.name, {"result": "red"})

    assert wire.responses == [{"result": "red"}]


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_what_runs_can_be_stopped_and_the_model_is_told_why(kind: str) -> None:
    release = threading.Event()

    async def hangs() -> str:
        await asyncio.Event().wait()
        return ""

    def hangs_too() -> str:
        release.wait(10)
        return ""

    try:
        async with at_standin([hangs if kind == "async" else hangs_too]) as (session, wire):
            assert not session.stop_tools("nobody runs")
            await session.say("Please hangs" if kind == "async" else "Please hangs_too")
            async for event in session.turn():
                if isinstance(event, livews.ToolCall):
                    await asyncio.sleep(0.05)
                    assert session.stop_tools("stopped by the user")
        assert wire.responses == [{"error": "stopped by the user"}]
    finally:
        release.set()


async def test_calls_without_an_id_and_calls_told_twice() -> None:
    runs: list[livews.ToolRun] = []
    nameless: Message = {"toolCall": {"functionCalls": [{"name": "count_sheep", "args": {"count": 1}}]}}
    async with at_server([nameless], [count_sheep], on_tool=runs.append) as (session, got):
        await _over(session, runs, 1)
    assert got == [{"name": "count_sheep", "response": {"result": 2}}]

    runs.clear()
    twice = calls(("1", "count_sheep", {"count": 1}), ("1", "count_sheep", {"count": 1}))
    async with at_server([twice], [count_sheep], on_tool=runs.append) as (session, got):
        await _over(session, runs, 1)
    assert [one["id"] for one in got] == ["1"]


async def test_a_flood_of_calls_is_bounded() -> None:
    release = asyncio.Event()
    runs: list[livews.ToolRun] = []

    async def wait() -> str:
        await release.wait()
        return "done"

    flood = calls(*((str(i), "wait", {}) for i in range(70)))
    async with at_server([flood], [wait], on_tool=runs.append) as (session, got):
        await until(lambda: any(run.done for run in runs))
        release.set()
        await _over(session, runs, 70)
    assert len(got) == 70
    assert 64 <= sum(one["response"] == {"result": "done"} for one in got) < 70
    assert any("64 functions run already" in one["response"].get("error", "") for one in got)


@pytest.mark.parametrize(
    ("value", "response"),
    [
        ({"a": 1}, {"a": 1}),
        (None, {"result": None}),
        ([1, "x"], {"result": [1, "x"]}),
        (Place("hall"), {"result": {"name": "hall", "floor": 0, "tags": []}}),
        ({"unit": Unit.KELVIN, Unit.CELSIUS: (1, 2)}, {"unit": "kelvin", "celsius": [1, 2]}),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), {"result": "2026-01-31T12:00:00+00:00"}),
        ({1: {3}}, {"1": [3]}),
    ],
)
async def test_results_become_json(value: Any, response: Message) -> None:
    def give() -> Any:
        return value

    runs: list[livews.ToolRun] = []
    async with at_server([calls(("1", "give", {}))], [give], on_tool=runs.append) as (session, got):
        await _over(session, runs, 1)
    assert [one["response"] for one in got] == [response]


async def test_a_callback_that_fails_is_told_and_the_session_lives() -> None:
    complaints: list[str] = []

    def fail(run: livews.ToolRun) -> None:
        raise RuntimeError("cannot show it")

    async with at_standin([get_weather], on_tool=fail) as (session, _):
        asyncio.get_running_loop().set_exception_handler(lambda loop, about: complaints.append(about["message"]))
        assert "clear over Paris" in await reply(session, "Please get_weather of Paris")
    assert complaints == ["livews: on_tool failed for get_weather"] * 2


@pytest.mark.parametrize("how", ["client", "server"])
async def test_the_end_of_a_session_stops_what_runs(how: str) -> None:
    stopped: list[str] = []
    runs: list[livews.ToolRun] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append("stopped")

    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        await socket.send(json.dumps(calls(("1", "wait", {}))))
        if how == "server":
            await until(lambda: runs)
            await socket.close(1011, "bye")
        await socket.wait_closed()

    async with asyncio.timeout(PATIENCE), scripted(script) as url:
        async with livews.connect(url=url, tools=[wait], on_tool=runs.append) as session:
            await until(lambda: runs)
            if how == "server":
                with pytest.raises(livews.Closed):
                    await session.wait_closed()
                await until(lambda: stopped)
        assert stopped == ["stopped"]
        assert [(run.done, run.cancelled) for run in runs] == [(False, False), (True, True)]


async def test_a_function_may_close_its_own_session() -> None:
    ended: list[str] = []
    there: list[livews.Session] = []

    async def hang_up() -> str:
        await there[0].close()
        ended.append("closed")
        return "bye"

    async with at_standin([hang_up]) as (session, wire):
        there.append(session)
        await session.say("Please hang_up")
        await session.wait_closed()
        await until(lambda: ended)
    assert wire.answers == []


# Commands


def _script(path: Path, lines: str, name: str = "tool.sh") -> Path:
    made = path / name
    made.write_text(f"#!/bin/sh\n{lines}\n")
    made.chmod(0o755)
    return made


def _lives(pid: int) -> bool:
    """A zombie that waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


WEATHER: Message = {
    "name": "get_weather",
    "description": "Tell the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def test_a_command_is_called_and_its_answer_spoken(tmp_path: Path) -> None:
    file = tmp_path / "weather.json"
    file.write_text(json.dumps({"function_declarations": [WEATHER, {**WEATHER, "name": "other"}]}))
    one = tools.command("get_weather=cat", file)
    assert one.declaration["parameters"] == {"type": "OBJECT", "properties": {"city": TEXT}, "required": ["city"]}
    for model in ("", NATIVE):
        said, response = await told([one], "Please get_weather of Paris", model)
        assert response == {"city": "Paris"}
        assert "Paris" in said


TOO_MUCH = "run_it printed more than 1,048,576 bytes and was stopped: let it print less"


async def outcome(lines: str, tmp_path: Path, args: Message | None = None, **options: Any) -> Message:
    """What a script as a tool is answered with."""
    runs: list[livews.ToolRun] = []
    one = tools.command(f"run_it={_script(tmp_path, lines)} 'two words' $HOME", **options)
    messages = [calls(("1", "run_it", args or {}))]
    async with at_server(messages, [one], on_tool=runs.append) as (session, got):
        await _over(session, runs, 1)
    response: Message = got[0]["response"]
    return response


@pytest.mark.parametrize(
    ("lines", "response"),
    [
        ('echo \'{"sky": "clear"}\'', {"sky": "clear"}),
        ("echo '[1, 2]'", {"result": [1, 2]}),
        ("echo 21", {"result": 21}),
        ("echo it rains", {"result": "it rains"}),
        ("true", {"result": ""}),
        ('printf "%s|%s" "$1" "$2"', {"result": "two words|$HOME"}),
        ("cat", {"result": {}}),
        ("echo 1 >&2; echo 'no such city' >&2; echo >&2; exit 3", {"error": "no such city", "exitCode": 3}),
        ("echo out; exit 4", {"error": "run_it ended with exit code 4, and said nothing", "exitCode": 4}),
        ("kill -9 $$", {"error": "run_it was killed by signal 9, and said nothing", "exitCode": -9}),
        ("yes", {"error": TOO_MUCH}),
        ("head -c 10000000 /dev/zero", {"error": TOO_MUCH}),
        ("head -c 3000000 /dev/zero >&2; exec 1>&- 2>&-; exit 1", None),
    ],
)
async def test_what_a_command_prints_is_its_answer(lines: str, response: Message | None, tmp_path: Path) -> None:
    got = await outcome(lines, tmp_path)
    if response == {"result": {}}:
        response = {}  # the arguments, an object, as they are
    if response is None:
        assert got["exitCode"] == 1
        assert len(json.dumps(got)) < 20_000
    else:
        assert got == response


async def test_a_command_that_hangs_is_killed_with_all_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    got = await outcome(f"sleep 60 & echo $! > {pid}; echo $$ >> {pid}; wait", tmp_path, timeout=0.3)
    assert got == {"error": "run_it did not finish within 0.3 s and was stopped"}
    async with asyncio.timeout(PATIENCE):
        await until(lambda: not any(_lives(int(one)) for one in pid.read_text().split()))


async def test_what_a_command_leaves_in_the_background_holds_nothing_up(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    try:
        assert await outcome(f"sleep 60 & echo $! > {pid}; echo playing", tmp_path, timeout=5) == {
            "result": "playing"
        }
        assert _lives(int(pid.read_text()))
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


async def test_a_command_that_does_not_read_its_arguments(tmp_path: Path) -> None:
    schema = {"name": "run_it", "parameters": {"type": "OBJECT", "properties": {"text": {"type": "STRING"}}}}
    assert await outcome("echo done", tmp_path, {"text": "x" * 500_000}, schema=schema) == {"result": "done"}
    assert await outcome("wc -c", tmp_path, {"text": "x" * 500_000}, schema=schema) == {"result": 500_011}
    assert await outcome("echo done", tmp_path, {"text": "x"}) == {
        "error": "wrong arguments: run_it takes none, and got text"
    }


async def test_a_command_gets_the_environment_without_the_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, name in enumerate(tools.command_tool.CREDENTIALS):
        monkeypatch.setenv(name, f"swordfish-{i}")
    monkeypatch.setenv("MY_COPY", "swordfish-1")
    monkeypatch.setenv("CITY", "Ulm")
    seen = str((await outcome("env", tmp_path))["result"])
    assert "CITY=Ulm" in seen
    assert "PATH=" in seen
    assert "swordfish" not in seen


def test_a_command_that_cannot_be_run_is_refused_before_dialling(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no program")
    for spec, what, fix in (
        (f"x={tmp_path}/nothing --here", "was not found", "check the path"),
        (f"x={text}", "is not executable", "chmod +x"),
        ("x=no-such-program-anywhere", "was not found", "check the path"),
        ("x='unbalanced", "cannot be split", "--tool"),
        ("./weather.sh", "expected name=command", "--tool"),
        ("x=", "expected name=command", "--tool"),
        ("a b=cat", "invalid function name 'a b'", "another name"),
    ):
        with pytest.raises(livews.BadRequest) as refused:
            tools.command(spec)
        assert what in refused.value.what
        assert fix in refused.value.fix


async def test_a_script_without_a_first_line_is_answered_with_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("\x7fnot a program")
    broken.chmod(0o755)
    runs: list[livews.ToolRun] = []
    messages = [calls(("1", "run_it", {}))]
    async with at_server(messages, [tools.command(f"run_it={broken}")], on_tool=runs.append) as (session, got):
        await _over(session, runs, 1)
    assert got[0]["response"] == {"error": "run_it could not be started: Exec format error"}


def test_commands_and_declarations_are_matched_by_name(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text(json.dumps(WEATHER))
    weather, clock = tools.commands(["get_weather=cat", "clock=date +%H"], [file])
    assert weather.declaration["description"] == "Tell the weather."
    assert clock.declaration == {"name": "clock", "description": "clock"}
    slow = tools.command("get_weather=cat", [{**WEATHER, "behavior": "NON_BLOCKING"}])
    assert not slow.blocking
    assert "behavior" not in slow.declaration

    for specs, schemas, what in (
        (["clock=date"], [WEATHER], "get_weather is declared and has no command"),
        (["clock=date", "clock=cat"], [], "2 tools called clock"),
        (["get_weather=cat"], [WEATHER, file], "2 tools called get_weather"),
    ):
        with pytest.raises(livews.BadRequest, match=what):
            tools.commands(specs, schemas)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "not JSON"),
        ("[1]", "has no function declarations"),
        ('{"tools": []}', "has no function declarations"),
        ('{"name": "x", "description": "y", "colour": 1}', "colour"),
        ('{"name": "x", "parameters": {"type": "OBJET"}}', "OBJET"),
    ],
)
def test_a_schema_that_is_none_is_told(content: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(content)
    with pytest.raises(livews.BadRequest) as refused:
        tools.command("x=cat", file)
    assert what in refused.value.what
    assert str(file) in refused.value.where
    with pytest.raises(livews.BadRequest, match="cannot be read"):
        tools.command("x=cat", tmp_path / "nowhere.json")
