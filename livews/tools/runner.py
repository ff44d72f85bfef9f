"""Runs the function calls of one session concurrently and answers them.

- Every call is answered once: with its result, or with an error that says why there is none. A call that was
  cancelled, or whose session is over, is stopped and not answered (TOOL-4).
- An error is class and message, never a traceback, with the session's secrets redacted.
- An answer is JSON of bounded size and depth, whatever a function returns.
- A callback that fails is reported to the event loop's exception handler; the call is answered nevertheless.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from livews.core import codec, rules
from livews.core.events import ANSWER_OWED, Event, ToolCall, ToolCancelled, TurnEnd
from livews.core.models import Profile
from livews.core.rules import Finding
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

Respond = Callable[..., Awaitable[None]]


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
        self._runs: set[_Run] = set()
        self._abandoned: set[asyncio.Future[Any]] = set()
        self._open: Callable[[], Mapping[str, str]] = dict
        self._stopped = False
        supported = profile["tools"]
        self._scheduling: dict[str, Scheduling | None] = {}
        """Of the answers of each function, as far as the model supports it."""
        unsupported: dict[str, list[str]] = {}
        for tool in tools:
            wish = "BLOCKING" if tool.blocking else "NON_BLOCKING"
            default = supported.get("default", "BLOCKING")
            takes = supported["behavior"] if profile["known"] else ["BLOCKING", "NON_BLOCKING"]
            behavior = wish if wish in takes else default
            if behavior != wish:
                unsupported.setdefault(behavior, []).append(tool.name)
            schedules = behavior == "NON_BLOCKING" and (supported["scheduling"] or not profile["known"])
            if tool.scheduling and not schedules and behavior == wish:
                unsupported.setdefault("scheduling", []).append(tool.name)
            self._scheduling[tool.name] = tool.scheduling if schedules else None
            mark = {} if behavior == default else {"behavior": behavior}
            self.declarations.append({**tool.declaration, **mark})
        self.remarks = list(_remarks(profile, unsupported))

    def left_to_caller(self, tools: Any) -> None:
        """The functions that `tools` of a message declares are answered by the caller."""
        self._callers |= set(_names(tools)) - set(self._tools)

    def answers(self, name: str) -> bool:
        """Whether a call of this function is answered here, perhaps with an error."""
        return name in self._tools or name not in self._callers

    def declared(self, setup: dict[str, Any]) -> None:
        """Check the setup that will be sent. Raises BadRequest when the caller's own `setup` declares one of these tools."""
        twice = [name for name, count in Counter(_names(setup.get("tools"))).items() if count > 1]
        if ours := [name for name in twice if name in self._tools]:
            fix = "declare it in one of the two: tools= does it by itself"
            raise BadRequest(f"{ours[0]} is declared in setup and in tools=", fix=fix)
        self.left_to_caller(setup.get("tools"))

    def open(self, respond: Respond, redact: Callable[[str], str], calls: Callable[[], Mapping[str, str]]) -> None:
        """The session is there.

        `respond(call_id, name, response, scheduling=...)` sends an answer, `redact` removes secrets from an error,
        `calls()` are the open calls of the session, id to name.
        """
        self._respond, self._redact, self._open = respond, redact, calls

    def take(self, event: Event) -> None:
        """Take an event of the session, in order. A turn after which only silent answers are sent is not `waiting`."""
        if isinstance(event, ToolCall):
            event.handled = self.answers(event.name)
            self._call(event)
        elif isinstance(event, ToolCancelled):
            for run in [run for run in self._runs if run.key in event.ids]:
                run.task.cancel()
        elif isinstance(event, TurnEnd) and event.waiting and event.step.states["answer"] not in ANSWER_OWED:
            event.waiting = any(self._scheduling.get(name) != "SILENT" for name in self._open().values())

    def stop(self) -> None:
        """Cancel all runs. Nothing is answered any more."""
        self._stopped = True
        current = asyncio.current_task()
        for run in list(self._runs):
            run.closes = run.closes or current in (run.task, run.work)
            if not run.closes:
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
        now = asyncio.get_running_loop().time
        deadline = now() + _CLOSE_SECONDS
        tasks: set[asyncio.Future[Any]] = {run.task for run in self._runs if not run.closes}
        tasks |= self._abandoned
        while tasks and (left := deadline - now()) > 0:
            await asyncio.wait(tasks, timeout=left)
            tasks = {task for task in self._abandoned if not task.done()}  # a run that ends puts its work here

    def _call(self, event: ToolCall) -> None:
        tool = self._tools.get(event.name)
        if tool is None and event.name in self._callers:
            return
        key = event.id or event.name
        if self._stopped or (event.id and any(run.key == key for run in self._runs)):
            return  # a call that comes twice is one call
        run = _Run(key)
        self._runs.add(run)
        about = ToolRun(event.id, event.name, event.args)
        run.task = asyncio.create_task(
            self._serve(run, tool, about, self._scheduling.get(event.name)), name=f"livews-tool-{key[:60]}"
        )
        run.task.add_done_callback(lambda task: self._runs.discard(run))

    async def _serve(self, run: _Run, tool: Tool | None, about: ToolRun, scheduling: Scheduling | None) -> None:
        assert self._respond is not None
        clock = asyncio.get_running_loop().time
        started = clock()
        self._notify(about)
        try:
            response, error = await self._outcome(run, tool, about)
        except asyncio.CancelledError:
            self._notify(replace(about, seconds=clock() - started, cancelled=True, done=True))
            raise
        self._runs.discard(run)  # if it is cancelled from here on, it is already answered
        self._abandon(run.task)
        over = replace(about, result=None if error else response, error=error, seconds=clock() - started, done=True)
        self._notify(over)
        try:
            await self._respond(about.call_id, about.name, response, scheduling=scheduling)
        except Closed:
            pass  # the reader of the session gets it
        except Exception as problem:
            if not self._stopped:
                self._report(problem, f"the answer of {about.name} was not sent")

    async def _outcome(self, run: _Run, tool: Tool | None, about: ToolRun) -> tuple[dict[str, Any], str]:
        """The response, and the error in it."""
        if tool is None:
            return self._error(f"there is no function {about.name[:200]} here; known: {', '.join(self._tools)}")
        if len(self._runs) > _AT_ONCE:
            return self._error(f"{_AT_ONCE} functions run already; call {about.name} again when some have finished")
        work = run.work = asyncio.ensure_future(tool.invoke(about.args))
        work.add_done_callback(_ignore_exception)
        try:
            await asyncio.wait({work}, timeout=tool.timeout)
        finally:
            in_time = work.done()
            if not in_time:
                work.cancel()  # without waiting: it may ignore that
                self._abandon(work)
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
            response = _response(work.result())
            size = len(codec.dump(response))
        except Exception as unfit:  # the methods of a value can raise anything
            return self._error(f"the result of {about.name} cannot be sent: {unfit}")
        if size > SIZE:
            return self._error(
                f"the result of {about.name} has {size:,} bytes of JSON, and {SIZE:,} are sent at most"
            )
        return response, ""

    def _abandon(self, task: asyncio.Future[Any]) -> None:
        """Only the end of the session waits for it now."""
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)

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


class _Run:
    """A running call. `work` is the function itself, once it has started; one that `closes` its session goes on."""

    task: asyncio.Task[None]
    closes = False

    def __init__(self, key: str) -> None:
        self.key = key
        self.work: asyncio.Future[Any] | None = None
        self.why = ""
        """Why it was stopped, for the model."""


def _ignore_exception(work: asyncio.Future[Any]) -> None:
    """An exception that a function raises after its call was cancelled is not reported."""
    if not work.cancelled():
        work.exception()


def _described(problem: BaseException) -> str:
    kind = type(problem).__name__
    try:
        return f"{kind}: {problem}" if str(problem) else kind
    except Exception:
        return kind


def _names(tools: Any) -> Iterator[str]:
    """The functions that `tools` of a message declares, in either spelling."""
    for row in tools if isinstance(tools, list) else ():
        rows = row.get("functionDeclarations", row.get("function_declarations")) if isinstance(row, dict) else None
        for declaration in rows if isinstance(rows, list) else ():
            if isinstance(declaration, dict):
                yield str(declaration.get("name", ""))


def _response(value: Any) -> dict[str, Any]:
    """A result as an answer: a dict as it is, anything else as {"result": ...}."""
    result = plain(value)
    return result if isinstance(value, dict) else {"result": result}


def plain(value: Any, depth: int = _DEPTH) -> Any:
    """A value in JSON's own types. TypeError for a value without a JSON form."""
    if depth == 0:
        raise TypeError(f"it is nested deeper than {_DEPTH} levels")
    match value:
        case Enum():
            return plain(value.value, depth)
        case None | bool() | str() | int() | float():
            return value
        case dict():
            return {_key(key): plain(item, depth - 1) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item, depth - 1) for item in value]
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case PurePath() | UUID():
            return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), depth - 1) for field in dataclasses.fields(value)}
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _key(key: Any) -> str:
    return str(key.value if isinstance(key, Enum) else key)


def _remarks(profile: Profile, unsupported: dict[str, list[str]]) -> Iterator[Finding]:
    """Notes about options of tools that a model does not support."""
    supported, name, path = profile["tools"], profile["name"], "/setup/tools"
    for what, functions in unsupported.items():
        listed = ", ".join(functions)
        if not supported["behavior"] and profile["known"]:
            continue
        if what == "scheduling":
            words = f"{name} takes no scheduling: the answers of {listed} are spoken when it sees fit at {path}"
            fix = "leave scheduling out, or choose a model that takes it"
        elif what == "BLOCKING":
            words = f"{name} waits for every function: {listed} will hold the turn until answered at {path}"
            fix = "leave blocking=False out, or choose a model that takes NON_BLOCKING"
        else:
            words = f"{name} waits for no function: it may talk on while {listed} runs at {path}"
            fix = "add blocking=False, or choose a model that takes BLOCKING"
        yield rules.finding("MODEL-5", path, words, level="note", fix=fix)
    if profile["known"] and not supported["behavior"]:
        fix = "leave the tools out, or choose a model that takes some"
        yield rules.finding("MODEL-5", path, f"{name} calls no functions at {path}", fix=fix)
