"""A Python function as a tool: what is declared of it, and how it is called.

- The declaration comes from the signature, the hints and the docstring alone; the function is not called for it.
- Arguments go by keyword, converted to what the hints say; what does not fit never reaches the function.
- A plain function runs in a thread of its own, a daemon: one that hangs holds up neither the session, nor other
  functions, nor the end of the program.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, overload

from livews import process
from livews.errors import BadRequest
from livews.tools import docstrings, schema_from_hints
from livews.tools.schema_from_hints import Field, UnsupportedHint

Scheduling = Literal["SILENT", "WHEN_IDLE", "INTERRUPT"]
SECONDS = 30.0
"""A function has to answer in, unless told otherwise."""
_SCHEDULINGS = ("SILENT", "WHEN_IDLE", "INTERRUPT")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
"""What every source takes; some take 128 characters, or a digit first."""


class ToolFailure(Exception):
    """A run that failed in a known way: `text` for the model as it is, and members to stand beside it."""

    def __init__(self, text: str, **members: Any) -> None:
        self.text, self.members = text, members
        super().__init__(text)


@dataclass(frozen=True)
class Tool:
    """A function the model may call. `tool` and `command` make them.

    `declaration` is its functionDeclaration but for `behavior`, which depends on the model. `invoke` takes the
    arguments as they came over the wire. Calling a Tool calls the function it was made of. `timeout` is in seconds.
    """

    declaration: dict[str, Any]
    invoke: Callable[[dict[str, Any]], Awaitable[Any]] = field(repr=False)
    function: Callable[..., Any] = field(repr=False)
    blocking: bool = True
    scheduling: Scheduling | None = None
    timeout: float = SECONDS

    def __post_init__(self) -> None:
        name = str(self.declaration.get("name", ""))
        if not _NAME.fullmatch(name):
            raise BadRequest(
                f"a function cannot be called {name!r}",
                why="a letter or _ comes first, then letters, digits and _ . : - , 64 characters at most",
                fix="give it another name, as in livews.tool(fn, name='get_weather')",
            )
        if self.scheduling is not None and self.scheduling not in _SCHEDULINGS:
            fix = f"it is one of {', '.join(_SCHEDULINGS)}"
            raise BadRequest(f"{name}: there is no scheduling {self.scheduling!r}", fix=fix)
        if self.scheduling is not None and self.blocking:
            raise BadRequest(
                f"{name}: scheduling is for functions that do not block",
                why="the turn waits for a function that blocks, so its answer has no moment to choose",
                fix="add blocking=False, or leave scheduling out",
            )
        if not self.timeout > 0:
            raise BadRequest(f"{name}: a time limit of {self.timeout:g} s", fix="give seconds above 0")

    @property
    def name(self) -> str:
        return str(self.declaration["name"])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


@overload
def tool(
    fn: Callable[..., Any],
    *,
    name: str = "",
    description: str = "",
    blocking: bool = True,
    scheduling: Scheduling | None = None,
    timeout: float = SECONDS,
) -> Tool: ...


@overload
def tool(
    fn: None = None,
    *,
    name: str = "",
    description: str = "",
    blocking: bool = True,
    scheduling: Scheduling | None = None,
    timeout: float = SECONDS,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    fn: Callable[..., Any] | None = None,
    *,
    name: str = "",
    description: str = "",
    blocking: bool = True,
    scheduling: Scheduling | None = None,
    timeout: float = SECONDS,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """A function with options, as a decorator or around it: `@livews.tool(timeout=5)`, `livews.tool(fn, name="x")`.

    With `blocking=False` the model talks on while the function runs, and `scheduling` says when the result is
    spoken: SILENT (not at all), WHEN_IDLE or INTERRUPT. A model that does not take one of these gets the function
    without, and `session.remarks` says so. `timeout` is in seconds. Raises BadRequest for what cannot be declared.
    """
    if fn is None:
        return lambda given: tool(
            given, name=name, description=description, blocking=blocking, scheduling=scheduling, timeout=timeout
        )
    if isinstance(fn, Tool):
        raise BadRequest(f"{fn.name} is a tool already", fix="give the options where it is made")
    if not callable(fn) or isinstance(fn, type):
        raise BadRequest(
            f"a tool is a function, not a {type(fn).__name__ if not isinstance(fn, type) else 'class'}",
            fix='pass functions; declarations without one go into setup={"tools": [...]}',
        )
    inner = _inner(fn)
    called = name or str(getattr(inner, "__name__", type(inner).__name__))
    said, words = docstrings.described(inspect.getdoc(inner) if inspect.isroutine(inner) else inner.__call__.__doc__)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise BadRequest(f"{called} is a generator", fix="return a value, such as a list")
    read = schema_from_hints.members(_parameters(fn, inner, called, words), dict)
    declaration: dict[str, Any] = {"name": called, "description": description or said or called.replace("_", " ")}
    if read.schema["properties"]:
        declaration["parameters"] = read.schema
    waits = inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004

    async def invoke(args: dict[str, Any]) -> Any:
        given = read.read(args, "")
        try:
            result = fn(**given) if waits else await _in_thread(fn, given, called)
            return await result if inspect.isawaitable(result) else result
        except SystemExit as left:  # it would end the event loop
            raise ToolFailure(f"SystemExit: {left}") from None

    return Tool(declaration, invoke, fn, blocking, scheduling, timeout)


def _inner(fn: Any) -> Any:
    """The function inside partials."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def _parameters(fn: Callable[..., Any], inner: Any, called: str, words: dict[str, str]) -> dict[str, Field]:
    def refuse(parameter: str, what: str, fix: str) -> NoReturn:
        raise BadRequest(f"{called} cannot be a tool: {what}", where=f"parameter {parameter}", fix=fix) from None

    try:
        signature = inspect.signature(fn)
        known = schema_from_hints.of(inner if inspect.isroutine(inner) else inner.__call__)
    except UnsupportedHint as problem:
        raise BadRequest(f"{called} cannot be a tool: {problem.what}", fix=problem.fix) from None
    except (TypeError, ValueError):
        fix = "wrap it in a function of your own, with type hints"
        raise BadRequest(f"{called} cannot be a tool: its signature cannot be read", fix=fix) from None
    found: dict[str, Field] = {}
    for name, one in signature.parameters.items():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            stars = "*" if one.kind is one.VAR_POSITIONAL else "**"
            refuse(f"{stars}{name}", "a model passes named parameters alone", "name its parameters, or take a list")
        if one.kind is one.POSITIONAL_ONLY:
            refuse(name, "arguments are passed by name, and this one has none", "take away the / behind it")
        if name not in known and name in ("self", "cls"):
            refuse(name, "it is a method without its object", "pass the bound method, as in tools=[thing.method]")
        if name not in known:
            refuse(name, "it has no type hint", f"write its type, as in {name}: str")
        try:
            made = schema_from_hints.form(known[name])
        except UnsupportedHint as problem:
            refuse(name, problem.what, problem.fix)
        if one.default is None:
            made = schema_from_hints.nullable(made)
        if "description" not in made.schema or made.schema["description"].startswith("("):
            made = schema_from_hints.described(made, words.get(name, ""))
        found[name] = Field(made, one.default is one.empty)
    return found


async def _in_thread(function: Callable[..., Any], arguments: dict[str, Any], name: str) -> Any:
    """Call it in a thread of its own. When nobody waits any more, what it gives is dropped."""

    def call() -> tuple[Any, BaseException | None]:
        try:
            return function(**arguments), None
        except BaseException as problem:  # a future does not take every exception
            return None, problem

    result, problem = await asyncio.wrap_future(process.in_thread(call, f"livews-tool-{name}"))
    if isinstance(problem, Exception):
        raise problem
    if problem is not None:
        raise ToolFailure(f"{type(problem).__name__}: {problem}")
    return result
