"""The calls of one session: run beside each other, and answered.

- Every call is answered once: with what came of it, or with an error that says why nothing did. A call that was
  withdrawn, or whose session is over, is stopped and not answered (TOOL-4).
- An error is class and message, never a traceback, with the session's secrets hidden.
- An answer is JSON of a bounded size and depth, whatever a function returns.
- A callback that fails is told to the event loop's exception handler; the call is answered all the same.
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
from livews.tools.function import Scheduling, Tool, ToolFailure, tool
from livews.tools.schema_from_hints import ArgumentError

SIZE = 1024 * 1024
"""Bytes of JSON of one answer."""
_DEPTH = codec.DEPTH - 10
"""Levels of a result: those of the frame around it come on top."""
_ERROR = 2_000
"""Characters of an error."""
_AT_ONCE = 64
"""Calls that may run beside each other."""
_PARTING = 2.0
"""Seconds that functions have to end in when the session closes; a child process is killed in milliseconds."""

Respond = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One call, told as it starts (`done` is False) and once more when it is over.

    Then there is a `result`, the response that is sent; or an `error`, the text of the one that is; or it was
    `cancelled`, and nothing is. All texts come from a model or a function: show them by `livews.terminal_text`.
    """

    call_id: str
    name: str
    args: dict[str, Any]
    result: dict[str, Any] | None = None
    error: str = ""
    seconds: float = 0.0
    cancelled: bool = False
    done: bool = False


def gathered(tools: Sequence[Callable[..., Any] | Tool]) -> list[Tool]:
    """`tools` of a caller as tools. Raises BadRequest."""
    if callable(tools) or isinstance(tools, (str, dict)):
        raise BadRequest("tools is not a list", fix="write tools=[get_weather]")
    found = [one if isinstance(one, Tool) else tool(one) for one in tools]
    for name, count in Counter(one.name for one in found).items():
        if count > 1:
            raise BadRequest(
                f"{count} tools are called {name}", fix="give them names, as in livews.tool(fn, name='x')"
            )
    return found


class Toolbox:
    """The tools of one session: `declarations` for its setup, `remarks` on what its model does not take."""

    def __init__(
        self, tools: Sequence[Tool], profile: Profile, told: Callable[[ToolRun], None] | None = None
    ) -> None:
        self.declarations: list[dict[str, Any]] = []
        self._tools = {one.name: one for one in tools}
        self._told = told
        self._theirs: set[str] = set()
        self._respond: Respond | None = None
        self._hide: Callable[[str], str] = str
        self._runs: set[_Run] = set()
        self._leaving: set[asyncio.Future[Any]] = set()
        self._open: Callable[[], Mapping[str, str]] = dict
        self._stopped = False
        about = profile["tools"]
        self._scheduling: dict[str, Scheduling | None] = {}
        """Of the answers of each function, as far as the model takes it."""
        odd: dict[str, list[str]] = {}
        for one in tools:
            wish = "BLOCKING" if one.blocking else "NON_BLOCKING"
            default = about.get("default", "BLOCKING")
            takes = about["behavior"] if profile["known"] else ["BLOCKING", "NON_BLOCKING"]
            behavior = wish if wish in takes else default
            if behavior != wish:
                odd.setdefault(behavior, []).append(one.name)
            schedules = behavior == "NON_BLOCKING" and (about["scheduling"] or not profile["known"])
            if one.scheduling and not schedules and behavior == wish:
                odd.setdefault("scheduling", []).append(one.name)
            self._scheduling[one.name] = one.scheduling if schedules else None
            mark = {} if behavior == default else {"behavior": behavior}
            self.declarations.append({**one.declaration, **mark})
        self.remarks = list(_remarks(profile, odd))

    def left_to_caller(self, tools: Any) -> None:
        """Calls of functions declared here, by `tools` of a message, are answered by the caller."""
        self._theirs |= set(_names(tools)) - set(self._tools)

    def answers(self, name: str) -> bool:
        """Is a call of this function answered here, be it with an error?"""
        return name in self._tools or name not in self._theirs

    def declared(self, setup: dict[str, Any]) -> None:
        """The setup as it will be sent. Raises BadRequest when the caller's own `setup` has one of these names."""
        twice = [name for name, count in Counter(_names(setup.get("tools"))).items() if count > 1]
        if ours := [name for name in twice if name in self._tools]:
            fix = "declare it in one of the two places: tools= does it by itself"
            raise BadRequest(f"{ours[0]} is declared in setup and in tools=", fix=fix)
        self.left_to_caller(setup.get("tools"))

    def open(self, respond: Respond, redact: Callable[[str], str], calls: Callable[[], Mapping[str, str]]) -> None:
        """`respond(call_id, name, response, scheduling=...)` sends an answer; `hide` hides secrets in an error; `calls`
        gives the open calls of the session, id to name."""
        self._respond, self._hide, self._open = respond, redact, calls

    def take(self, event: Event) -> None:
        """An event of the session, in the order they come. A turn after which only silent answers are sent is not
        `waiting`."""
        if isinstance(event, ToolCall):
            event.handled = self.answers(event.name)
            self._call(event)
        elif isinstance(event, ToolCancelled):
            for run in [run for run in self._runs if run.key in event.ids]:
                run.task.cancel()
        elif isinstance(event, TurnEnd) and event.waiting and event.step.states["answer"] not in ANSWER_OWED:
            event.waiting = any(self._scheduling.get(name) != "SILENT" for name in self._open().values())

    def stop(self) -> None:
        """Cancel what runs. Nothing is answered any more."""
        self._stopped = True
        current = asyncio.current_task()
        for run in list(self._runs):
            run.closes = run.closes or current in (run.task, run.work)
            if not run.closes:
                run.task.cancel()

    def interrupt(self, why: str) -> bool:
        """End what runs now; the model is told `why`. False when nothing runs."""
        for run in self._runs:
            run.why = why
            if run.work is not None:
                run.work.cancel()
        return bool(self._runs)

    async def close(self) -> None:
        """Cancel what runs, and wait for it, not for long."""
        self.stop()
        now = asyncio.get_running_loop().time
        deadline = now() + _PARTING
        tasks: set[asyncio.Future[Any]] = {run.task for run in self._runs if not run.closes}
        tasks |= self._leaving
        while tasks and (left := deadline - now()) > 0:
            await asyncio.wait(tasks, timeout=left)
            tasks = {task for task in self._leaving if not task.done()}  # a run that ends leaves its work here

    def _call(self, event: ToolCall) -> None:
        one = self._tools.get(event.name)
        if one is None and event.name in self._theirs:
            return
        key = event.id or event.name
        if self._stopped or (event.id and any(run.key == key for run in self._runs)):
            return  # a call that is told twice is one call
        run = _Run(key)
        self._runs.add(run)
        about = ToolRun(event.id, event.name, event.args)
        run.task = asyncio.create_task(
            self._serve(run, one, about, self._scheduling.get(event.name)), name=f"livews-tool-{key[:60]}"
        )
        run.task.add_done_callback(lambda task: self._runs.discard(run))

    async def _serve(self, run: _Run, one: Tool | None, about: ToolRun, scheduling: Scheduling | None) -> None:
        assert self._respond is not None
        clock = asyncio.get_running_loop().time
        started = clock()
        self._tell(about)
        try:
            response, error = await self._outcome(run, one, about)
        except asyncio.CancelledError:
            self._tell(replace(about, seconds=clock() - started, cancelled=True, done=True))
            raise
        self._runs.discard(run)  # withdrawn from here on, it is answered already
        self._leave(run.task)
        over = replace(about, result=None if error else response, error=error, seconds=clock() - started, done=True)
        self._tell(over)
        try:
            await self._respond(about.call_id, about.name, response, scheduling=scheduling)
        except Closed:
            pass  # who reads the session is told
        except Exception as problem:
            if not self._stopped:
                self._report(problem, f"the answer of {about.name} was not sent")

    async def _outcome(self, run: _Run, one: Tool | None, about: ToolRun) -> tuple[dict[str, Any], str]:
        """The response, and the error in it."""
        if one is None:
            return self._error(f"there is no function {about.name[:200]} here; known: {', '.join(self._tools)}")
        if len(self._runs) > _AT_ONCE:
            return self._error(f"{_AT_ONCE} functions run already; call {about.name} again when some have finished")
        work = run.work = asyncio.ensure_future(one.invoke(about.args))
        work.add_done_callback(_looked_at)
        try:
            await asyncio.wait({work}, timeout=one.timeout)
        finally:
            in_time = work.done()
            if not in_time:
                work.cancel()  # and not waited for: it may not listen
                self._leave(work)
        if not in_time:
            return self._error(f"{about.name} did not finish within {one.timeout:g} s and was stopped")
        if work.cancelled():
            return self._error(run.why or f"{about.name} was cancelled from within")
        problem = work.exception()
        if isinstance(problem, ArgumentError):
            return self._error(f"wrong arguments: {problem}")
        if isinstance(problem, ToolFailure):
            return self._error(problem.text, **problem.members)
        if problem is not None:
            return self._error(_said(problem))
        try:
            response = _response(work.result())
            size = len(codec.dump(response))
        except Exception as unfit:  # whatever a value's own methods raise
            return self._error(f"the result of {about.name} cannot be sent: {unfit}")
        if size > SIZE:
            return self._error(
                f"the result of {about.name} has {size:,} bytes of JSON, and {SIZE:,} are sent at most"
            )
        return response, ""

    def _leave(self, task: asyncio.Future[Any]) -> None:
        """Nobody waits for it any more but the end of the session."""
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _error(self, text: str, **members: Any) -> tuple[dict[str, Any], str]:
        text = self._hide(text.encode(errors="replace").decode())
        text = text if len(text) <= _ERROR else f"{text[:_ERROR]}…"
        return {"error": text, **members}, text

    def _tell(self, run: ToolRun) -> None:
        if self._told is not None:
            try:
                self._told(run)
            except Exception as problem:
                self._report(problem, f"on_tool failed for {run.name}")

    def _report(self, problem: Exception, message: str) -> None:
        asyncio.get_running_loop().call_exception_handler({"message": f"livews: {message}", "exception": problem})


class _Run:
    """A call under way. `work` is the function itself, once it has begun; one that `closes` its session goes on."""

    task: asyncio.Task[None]
    closes = False

    def __init__(self, key: str) -> None:
        self.key = key
        self.work: asyncio.Future[Any] | None = None
        self.why = ""
        """Who stopped it, in words for the model."""


def _looked_at(work: asyncio.Future[Any]) -> None:
    """What a function raises after its call was cancelled is nobody's."""
    if not work.cancelled():
        work.exception()


def _said(problem: BaseException) -> str:
    kind = type(problem).__name__
    try:
        return f"{kind}: {problem}" if str(problem) else kind
    except Exception:
        return kind


def _names(tools: Any) -> Iterator[str]:
    """The functions that `tools` of a message declares, in either spelling."""
    for one in tools if isinstance(tools, list) else ():
        given = one.get("functionDeclarations", one.get("function_declarations")) if isinstance(one, dict) else None
        for declaration in given if isinstance(given, list) else ():
            if isinstance(declaration, dict):
                yield str(declaration.get("name", ""))


def _response(value: Any) -> dict[str, Any]:
    """A result as an answer: a dict as it is, anything else as {"result": ...}."""
    made = plain(value)
    return made if isinstance(value, dict) else {"result": made}


def plain(value: Any, depth: int = _DEPTH) -> Any:
    """A value in JSON's own types. TypeError for what has no such form."""
    if depth == 0:
        raise TypeError(f"it is nested deeper than {_DEPTH} levels")
    match value:
        case Enum():
            return plain(value.value, depth)
        case None | bool() | str():
            return value
        case int() | float():
            return value
        case dict():
            return {_key(key): plain(one, depth - 1) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(one, depth - 1) for one in value]
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case PurePath() | UUID():
            return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name), depth - 1) for one in dataclasses.fields(value)}
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _key(key: Any) -> str:
    return str(key.value if isinstance(key, Enum) else key)


def _remarks(profile: Profile, odd: dict[str, list[str]]) -> Iterator[Finding]:
    """What becomes of wishes that a model does not take."""
    about, name, path = profile["tools"], profile["name"], "/setup/tools"
    for what, whose in odd.items():
        listed = ", ".join(whose)
        if not about["behavior"] and profile["known"]:
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
    if profile["known"] and not about["behavior"]:
        fix = "leave the tools out, or choose a model that takes some"
        yield rules.finding("MODEL-5", path, f"{name} calls no functions at {path}", fix=fix)
