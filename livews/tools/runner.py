"""Runs the function calls of one session concurrently and answers them.

- Every call is answered once: with its result, or with an error that says why there is none. A call that was
  cancelled, or whose session is over, is stopped and not answered (TOOL-4).
- An error is class and message, never a traceback, with the session's secrets redacted.
- An answer is JSON of bounded size and depth, whatever a function returns.
- A callback that fails is reported to the event loop's exception handler; the call is answered nevertheless.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, time
from pathlib import PurePath
from typing import Any, TypeVar

import orjson

from livews.core import codec, machine, rules
from livews.core.events import Event, ToolCall, ToolCancelled, TurnEnd
from livews.core.models import Profile
from livews.errors import BadRequest, Closed
from livews.tools.function import Scheduling, Tool, ToolFailure
from livews.tools.function import tool as make_tool
from livews.tools.schema_from_hints import ArgumentError

SIZE = 1024 * 1024
"""Most bytes of JSON of one answer."""
_DEPTH = codec.DEPTH - 10
"""Most levels of a result: those of the frame around it are extra."""
_ERROR = 2_000
"""Most characters of an error."""
_AT_ONCE = 64
"""Most calls that run at once."""
_CLOSE_SECONDS = 2.0
"""Seconds for functions to end when the session closes; a child process is killed in milliseconds."""
_UNSUPPORTED = {
    "tools": ("{model} calls no functions", "leave the tools out, or choose a model that takes some"),
    "scheduling": (
        "{model} takes no scheduling: the answers of {functions} are spoken when it sees fit",
        "leave scheduling out, or choose a model that takes it",
    ),
    "BLOCKING": (
        "{model} waits for every function: {functions} will hold the turn until answered",
        "leave blocking=False out, or choose a model that takes NON_BLOCKING",
    ),
    "NON_BLOCKING": (
        "{model} waits for no function: it may talk on while {functions} runs",
        "add blocking=False, or choose a model that takes BLOCKING",
    ),
}
"""What a model does not support, or the behavior that it has instead: what is said of it, and what to do."""

Answer = tuple[str, str, dict[str, Any], Scheduling | None]
"""ID and name of a call, the response, and when it is spoken."""
Respond = Callable[[Sequence[Answer]], Awaitable[None]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One call, reported when it starts (`done` is False) and again when it is over.

    Then it has a `result`, the response that is sent; or an `error`, the text in the response; or it was `cancelled`,
    and nothing is sent. All texts come from a model or a function: show them by `livews.terminal_text`.
    """

    call_id: str
    name: str
    args: dict[str, Any]
    result: dict[str, Any] | None = None
    error: str = ""
    seconds: float = 0.0
    cancelled: bool = False
    done: bool = False

    @property
    def refused(self) -> bool:
        """Whether nothing was run: there is no such function, or too many run already."""
        return bool(self.error) and not self.seconds


def as_tools(functions: Sequence[Callable[..., Any] | Tool]) -> list[Tool]:
    """The functions of a caller as tools. Raises BadRequest."""
    if callable(functions) or isinstance(functions, (str, dict)):
        raise BadRequest("tools is not a list", fix="write tools=[get_weather]")
    tools = [function if isinstance(function, Tool) else make_tool(function) for function in functions]
    for name, count in Counter(tool.name for tool in tools).items():
        if count > 1:
            raise BadRequest(
                f"{count} tools are called {name}", fix="give them names, as in livews.tool(fn, name='x')"
            )
    return tools


class Toolbox:
    """The tools of one session: `declarations` for its setup, `remarks` on what its model does not support.

    `profile`: of the model. `on_run`: called with each `ToolRun`.
    """

    def __init__(
        self, tools: Sequence[Tool], profile: Profile, on_run: Callable[[ToolRun], None] | None = None
    ) -> None:
        self.declarations: list[dict[str, Any]] = []
        self._tools = {tool.name: tool for tool in tools}
        self._on_run = on_run
        self._callers: set[str] = set()
        self._respond: Respond | None = None
        self._redact: Callable[[str], str] = str
        self._open: Callable[[], Mapping[str, str]] = dict
        self._runs: set[_Run] = set()
        """Those that are not answered yet."""
        self._refused: dict[str, ToolRun] = {}
        """Calls to be answered with an error at once, by id or name."""
        self._tasks: set[asyncio.Future[Any]] = set()
        """All that the end of the session waits for."""
        self._stopped = False
        self._scheduling: dict[str, Scheduling | None] = {}
        """Of the answers of each function, as far as the model supports it."""
        supported, is_known = profile["tools"], profile["known"]
        default = supported.get("default", "BLOCKING")
        unsupported: dict[str, list[str]] = {}
        for tool in tools:
            wish = "BLOCKING" if tool.blocking else "NON_BLOCKING"
            behavior = wish if not is_known or wish in supported["behavior"] else default
            takes_scheduling = behavior == "NON_BLOCKING" and (supported["scheduling"] or not is_known)
            if behavior != wish:
                unsupported.setdefault(behavior, []).append(tool.name)
            elif tool.scheduling and not takes_scheduling:
                unsupported.setdefault("scheduling", []).append(tool.name)
            self._scheduling[tool.name] = tool.scheduling if takes_scheduling else None
            mark = {} if behavior == default else {"behavior": behavior}
            self.declarations.append({**tool.declaration, **mark})
        if is_known and not supported["behavior"]:
            unsupported = {"tools": []}
        self.remarks = []
        for what, functions in unsupported.items():
            words, fix = _UNSUPPORTED[what]
            complaint = f"{words.format(model=profile['name'], functions=', '.join(functions))} at /setup/tools"
            self.remarks.append(rules.finding("MODEL-5", "/setup/tools", complaint, level="note", fix=fix))

    def left_to_caller(self, tools: Any) -> None:
        """The functions that `tools` of a message declares are answered by the caller."""
        self._callers |= set(_names(tools)) - set(self._tools)

    def declared(self, setup: dict[str, Any]) -> None:
        """Check the setup that will be sent. Raises BadRequest when the caller's own `setup` declares one of these tools."""
        twice = [name for name, count in Counter(_names(setup.get("tools"))).items() if count > 1]
        if ours := [name for name in twice if name in self._tools]:
            fix = "declare it in one of the two: tools= does it by itself"
            raise BadRequest(f"{ours[0]} is declared in setup and in tools=", fix=fix)
        self.left_to_caller(setup.get("tools"))

    def open(self, respond: Respond, redact: Callable[[str], str], calls: Callable[[], Mapping[str, str]]) -> None:
        """The session is there.

        `respond(answers)` sends answers in one message, `redact` removes secrets from an error, `calls()` are the open
        calls of the session, id to name.
        """
        self._respond, self._redact, self._open = respond, redact, calls

    def take(self, event: Event) -> None:
        """Take an event of the session, in order. A turn after which only silent answers are sent is not `waiting`."""
        if isinstance(event, ToolCall):
            event.handled = event.name in self._tools or event.name not in self._callers
            if event.handled and not self._stopped:
                self._call(event)
        elif isinstance(event, ToolCancelled):
            ids = set(event.ids)
            for run in [run for run in self._runs if run.key in ids]:
                run.task.cancel()
        elif isinstance(event, TurnEnd) and event.waiting and "answer" not in event.step.waiting:
            event.waiting = any(self._scheduling.get(name) != "SILENT" for name in self._open().values())

    def stop(self) -> None:
        """Cancel all runs, but not one that closes the session itself. Nothing is answered any more."""
        if self._stopped:
            return
        self._stopped = True
        current = asyncio.current_task()
        for run in self._runs:
            if current in (run.task, run.work):
                self._tasks -= {run.task, run.work}
            else:
                run.task.cancel()

    def interrupt(self, why: str) -> bool:
        """Stop all runs, with `why` as the error for the model. False when there are none."""
        for run in self._runs:
            run.why = why
            if run.work is not None:
                run.work.cancel()
        return bool(self._runs)

    async def close(self) -> None:
        """Cancel all runs, and wait a little for them to end."""
        self.stop()
        if tasks := self._tasks - {asyncio.current_task()}:
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)

    def _call(self, event: ToolCall) -> None:
        key = event.id or event.name
        if event.id and any(run.key == key for run in self._runs):
            return  # a call that comes twice is one call
        about, tool = ToolRun(event.id, event.name, event.args), self._tools.get(event.name)
        if tool is None or len(self._runs) >= _AT_ONCE:
            if not self._refused:
                self._track(asyncio.create_task(self._refuse()))
            self._refused[key] = about
            return
        run = _Run(key, tool, about)
        run.task = self._track(asyncio.create_task(self._serve(run), name=f"livews-tool-{key[:60]}"))
        self._runs.add(run)
        run.task.add_done_callback(lambda task: self._runs.discard(run))

    def _track(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _refuse(self) -> None:
        """Answer the calls of a message that are not run, in one message, as far as they are still open."""
        refused, self._refused = self._refused, {}
        known, calls = ", ".join(self._tools), self._open()
        answers: list[Answer] = []
        for key, about in refused.items() if not self._stopped else ():
            name = about.name[:200]
            why = f"{_AT_ONCE} functions run already; call {name} again when some have finished"
            if about.name not in self._tools:
                why = f"there is no function {name} here; known: {known}"
            response, error = self._error(why)
            self._notify(about)
            self._notify(replace(about, error=error, done=True))
            if key in calls:
                answers.append((about.call_id, about.name, response, self._scheduling.get(about.name)))
        await self._answer(answers, f"the answers of {len(answers)} calls were not sent")

    async def _answer(self, answers: list[Answer], failure: str) -> None:
        assert self._respond is not None
        try:
            if answers:
                await self._respond(answers)
        except Closed:
            pass  # the reader of the session gets it
        except Exception as problem:
            if not self._stopped:
                self._report(problem, failure)

    async def _serve(self, run: _Run) -> None:
        about = run.about
        clock = asyncio.get_running_loop().time
        started = clock()
        self._notify(about)
        try:
            response, error = await self._outcome(run)
        except asyncio.CancelledError:
            self._notify(replace(about, seconds=clock() - started, cancelled=True, done=True))
            raise
        self._runs.discard(run)  # if it is cancelled from here on, it is already answered
        result = None if error else response
        self._notify(replace(about, result=result, error=error, seconds=clock() - started, done=True))
        answer = (about.call_id, about.name, response, self._scheduling.get(about.name))
        await self._answer([answer], f"the answer of {about.name} was not sent")

    async def _outcome(self, run: _Run) -> tuple[dict[str, Any], str]:
        """The response, and the error in it."""
        tool, about = run.tool, run.about
        work = run.work = self._track(asyncio.create_task(tool.invoke(about.args)))
        # an exception that a function raises after its call was cancelled is not reported
        work.add_done_callback(lambda work: work.cancelled() or work.exception())
        try:
            await asyncio.wait({work}, timeout=tool.timeout)
        finally:
            in_time = work.done()
            work.cancel()  # without waiting: it may ignore that
        if not in_time:
            return self._error(f"{about.name} did not finish within {tool.timeout:g} s and was stopped")
        if work.cancelled():
            return self._error(run.why or f"{about.name} was cancelled from within")
        problem = work.exception()
        if isinstance(problem, ArgumentError):
            return self._error(f"wrong arguments: {problem}")
        if isinstance(problem, ToolFailure):
            return self._error(problem.text, **problem.members)
        if problem is not None:
            return self._error(_described(problem))
        try:
            response = _encoded(work.result())
            if len(response) <= SIZE:
                return codec.parse_any(response, _DEPTH), ""
        except (TypeError, ValueError) as unfit:
            return self._error(f"the result of {about.name} cannot be sent: {unfit}")
        size = f"{len(response):,} bytes of JSON, and {SIZE:,} are sent at most"
        return self._error(f"the result of {about.name} has {size}")

    def _error(self, text: str, **members: Any) -> tuple[dict[str, Any], str]:
        text = self._redact(text.encode(errors="replace").decode())
        text = text if len(text) <= _ERROR else f"{text[:_ERROR]}…"
        return {"error": text, **members}, text

    def _notify(self, run: ToolRun) -> None:
        if self._on_run is not None:
            try:
                self._on_run(run)
            except Exception as problem:
                self._report(problem, f"on_tool failed for {run.name}")

    def _report(self, problem: Exception, message: str) -> None:
        asyncio.get_running_loop().call_exception_handler({"message": f"livews: {message}", "exception": problem})


@dataclass(eq=False)
class _Run:
    """A running call. `work` is the function itself, once it has started."""

    key: str
    tool: Tool
    about: ToolRun
    task: asyncio.Task[None] = field(init=False)
    work: asyncio.Task[Any] | None = None
    why: str = ""
    """Why it was stopped, for the model."""


def _described(problem: BaseException) -> str:
    kind = type(problem).__name__
    try:
        return f"{kind}: {problem}" if str(problem) else kind
    except Exception:
        return kind


def _names(tools: Any) -> list[str]:
    """The functions that `tools` of a message declares, in either spelling."""
    spellings = ("functionDeclarations", "function_declarations")
    rows = [row for spelling in spellings for row in machine.values(tools, ("*", spelling, "*"))]
    return [str(row.get("name", "")) for row in rows if isinstance(row, dict)]


def _encoded(value: Any) -> bytes:
    """A result as the JSON of an answer: a dict as it is, anything else as {"result": ...}. Raises ValueError or TypeError."""
    response = value if isinstance(value, dict) else {"result": value}
    return orjson.dumps(response, _json_form, orjson.OPT_NON_STR_KEYS)


def _json_form(value: Any) -> Any:
    """The JSON of a value that orjson has none for."""
    match value:
        case set() | frozenset() | tuple():
            return list(value)
        case date() | time():
            return value.isoformat()
        case PurePath():
            return str(value)
    raise TypeError
