"""Calls of functions in a session, compared by what went over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import livews
from livews import tools
from livews.core.rules import Finding
from tests.kit.names import KEY
from tests.kit.waiting import until
from tests.tools.sessions import (
    NATIVE,
    PATIENCE,
    Message,
    Place,
    Unit,
    all_over,
    answer_to,
    at_server,
    at_standin,
    calls,
    is_alive,
    reply,
    served,
    shell_script,
)  # fmt: skip


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
    said, response = await answer_to(both, 'Please get_weather of "Paris" for 3 days', model)
    assert response == {"sky": "clear over Paris", "days": 3}
    assert '"sky":"clear over Paris"' in said
    said, response = await answer_to(both, "Please count_sheep up to 41", model)
    assert response == {"result": 42}
    assert "42" in said


async def test_the_caller_still_reads_the_call_and_is_told_of_the_run() -> None:
    runs: list[livews.ToolRun] = []
    async with at_standin([get_weather], on_tool=runs.append) as (session, wire):
        await session.say('Please get_weather of "Paris"')
        seen = [event async for event in session.turn() if isinstance(event, livews.ToolCall)]
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
    one = livews.tool(get_weather, blocking=blocking)
    async with at_server([calls(("1", "get_weather", {"city": "Ulm"}))], [one], after) as (session, _):
        ends = [event.waiting async for event in session.turn() if isinstance(event, livews.TurnEnd)]
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
        await session.say('Please get_weather of "Paris"')
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
        assert "clear over Paris" in await reply(session, 'Please get_weather of "Paris"')
    assert wire.answers[0]["scheduling"] == "INTERRUPT"


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
    said, _ = await answer_to([one], 'Please get_weather of "Paris"', "gemini-3.1-flash-live-preview")
    assert "clear over Paris" in said


async def test_several_calls_run_at_once() -> None:
    meeting, meeting_on_loop = threading.Barrier(2), asyncio.Barrier(2)

    def in_thread() -> int:
        return meeting.wait(PATIENCE)

    async def on_loop() -> int:
        return await meeting_on_loop.wait()

    for fn in (in_thread, on_loop):
        functions = [livews.tool(fn, name=name) for name in ("book_table", "order_wine")]
        async with at_standin(functions) as (session, wire):
            await reply(session, "Please book_table and order_wine")
        assert sorted(answer["name"] for answer in wire.answers) == ["book_table", "order_wine"]
        assert {response["result"] for response in wire.responses} == {0, 1}, "their places at the meeting"


class Hanging:
    """Functions that hang until they are stopped or released, and what became of them."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.did: list[str] = []

    async def on_loop(self) -> None:
        self.did.append("started")
        try:
            await asyncio.sleep(60)
        finally:
            self.did.append("stopped")

    def in_thread(self) -> str:
        self.did.append("started")
        self.release.wait(PATIENCE)
        self.did.append("stopped")
        return "too late"

    async def deaf(self) -> None:
        while not self.release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.release.set()


@pytest.mark.parametrize("kind", ["on_loop", "in_thread", "command"])
async def test_a_call_that_is_withdrawn_is_stopped_and_not_answered(
    kind: str, hanging: Hanging, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    script = shell_script(tmp_path, f"sleep 60 & echo $! > {pid}.new; mv {pid}.new {pid}; wait")
    one = (
        tools.command(f"wait_here={script}")
        if kind == "command"
        else livews.tool(getattr(hanging, kind), name="wait_here")
    )
    runs: list[livews.ToolRun] = []
    async with at_standin([one], NATIVE, on_tool=runs.append) as (session, wire):
        await session.say("Please wait_here")
        await until(lambda: hanging.did or pid.exists())
        await session.send_text("Never mind. How are you?")  # this model withdraws what an interruption cuts
        await until(lambda: runs[-1].done)
        hanging.release.set()
        if kind == "command":
            await until(lambda: not is_alive(int(pid.read_text())))
        else:
            await until(lambda: hanging.did == ["started", "stopped"])
        await asyncio.sleep(0.05)
    assert wire.answers == []
    assert [(run.done, run.cancelled) for run in runs] == [(False, False), (True, True)]


async def test_a_command_that_is_stopped_while_it_starts_leaves_no_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = shell_script(tmp_path, f"sleep 60 & echo $! > {pid}.new; mv {pid}.new {pid}; wait")
    running = asyncio.create_task(tools.command(f"wait_here={script}").invoke({}))
    for _ in range(2):
        await asyncio.sleep(0)  # it is forked then, and the loop has not seen that it runs
    deadline = time.monotonic() + PATIENCE
    while not pid.exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # the loop is not to see it
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with asyncio.timeout(PATIENCE):
        await until(lambda: not is_alive(int(pid.read_text())))


def raises(problem: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise problem

    return fail


def raises_async(problem: BaseException) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        raise problem

    return fail


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
CANNOT = "the result of run_it cannot be sent: "


@pytest.mark.parametrize(
    ("fn", "error"),
    [
        (raises(LookupError(f"no such city; tried with key {KEY}")), "LookupError: no such city; tried with key [redacted]"),
        (raises(ValueError("the key is swordfish-42")), "ValueError: the key is [redacted]"),
        (raises(SystemExit(3)), "SystemExit: 3"),
        (raises(StopIteration()), "RuntimeError: coroutine raised StopIteration"),
        (raises_async(SystemExit(3)), "SystemExit: 3"),
        (raises_async(asyncio.CancelledError()), "run_it was cancelled from within"),
        (lambda: "x" * 10_000_000, "the result of run_it has 10,000,013 bytes of JSON, and 1,048,576 are sent at most"),
        (lambda: b"x", f"{CANNOT}Type is not JSON serializable: bytes"),
        (lambda: CIRCLE, f"{CANNOT}Recursion limit reached"),
        (lambda: functools.reduce(lambda inner, _: [inner], range(95), 0), f"{CANNOT}the JSON is nested deeper than 90 levels"),
    ],
)  # fmt: skip
async def test_a_function_that_fails_is_answered_with_an_error(fn: Callable[..., Any], error: str) -> None:
    said, response = await answer_to([livews.tool(fn, name="run_it")], "Please run_it", api_key="swordfish-42")
    assert response == {"error": error}
    assert "answered" in said


@pytest.mark.parametrize("kind", ["on_loop", "in_thread", "deaf"])
async def test_a_function_that_hangs_is_given_up(kind: str, hanging: Hanging) -> None:
    async with at_standin([livews.tool(getattr(hanging, kind), name="hang_about", timeout=0.1)]) as (session, wire):
        assert "did not finish" in await reply(session, "Please hang_about")
        hanging.release.set()
    assert wire.responses == [{"error": "hang_about did not finish within 0.1 s and was stopped"}]


async def test_wrong_arguments_are_answered_with_what_is_wrong() -> None:
    got, runs = await served(calls(("1", "get_weather", {"days": "two"})), [get_weather])
    complaint = 'wrong arguments: city is missing; expected an integer, got "two" at days'
    assert [one["response"] for one in got] == [{"error": complaint}]
    assert runs[-1].error == complaint


async def test_an_unknown_function_is_refused_where_the_session_answers() -> None:
    message = calls(("1", "launch", {}))
    got, _ = await served(message, [get_weather])
    complaint = "there is no function launch here; known: get_weather"
    assert got == [{"id": "1", "name": "launch", "response": {"error": complaint}}]

    declared = {"tools": [{"functionDeclarations": [{"name": "launch", "description": "mine"}]}]}
    for functions, setup in (([], None), ([get_weather], declared)):
        async with at_server([message], functions, setup=setup) as (session, got):
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


@pytest.mark.parametrize("kind", ["on_loop", "in_thread"])
async def test_what_runs_can_be_stopped_and_the_model_is_told_why(kind: str, hanging: Hanging) -> None:
    async with at_standin([livews.tool(getattr(hanging, kind), name="hangs")]) as (session, wire):
        assert not session.stop_tools("nobody runs")
        await session.say("Please hangs")
        async for event in session.turn():
            if isinstance(event, livews.ToolCall):
                await asyncio.sleep(0.05)
                assert session.stop_tools("stopped by the user")
    assert wire.responses == [{"error": "stopped by the user"}]


async def test_calls_without_an_id_and_calls_told_twice() -> None:
    nameless: Message = {"toolCall": {"functionCalls": [{"name": "count_sheep", "args": {"count": 1}}]}}
    got, _ = await served(nameless, [count_sheep])
    assert got == [{"name": "count_sheep", "response": {"result": 2}}]

    got, _ = await served(calls(*[("1", "count_sheep", {"count": 1})] * 2), [count_sheep])
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
        await all_over(session, runs, 70)
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
    got, _ = await served(calls(("1", "give", {})), [livews.tool(lambda: value, name="give")])
    assert [one["response"] for one in got] == [response]


async def test_a_callback_that_fails_is_told_and_the_session_lives() -> None:
    complaints: list[str] = []

    def fail(run: livews.ToolRun) -> None:
        raise RuntimeError("cannot show it")

    async with at_standin([get_weather], on_tool=fail) as (session, _):
        asyncio.get_running_loop().set_exception_handler(lambda loop, about: complaints.append(about["message"]))
        assert "clear over Paris" in await reply(session, 'Please get_weather of "Paris"')
    assert complaints == ["livews: on_tool failed for get_weather"] * 2


@pytest.mark.parametrize("how", ["client", "server"])
async def test_the_end_of_a_session_stops_what_runs(how: str, hanging: Hanging) -> None:
    runs: list[livews.ToolRun] = []
    async with at_server([calls(("1", "on_loop", {}))], [hanging.on_loop], on_tool=runs.append) as (session, _):
        await until(lambda: hanging.did)
        if how == "server":
            await session.send_text("Close it.")
            with pytest.raises(livews.Closed):
                await session.wait_closed()
            await until(lambda: runs[-1].done)
    assert hanging.did == ["started", "stopped"]
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
