"""Python functions as tools: the declaration made from one, and how it is called.

- The declaration comes from the signature, the type hints and the docstring; the function is not called for it.
- Arguments are passed by keyword, converted to what the hints say; what does not fit never reaches the function.
- A function that is not async runs in a daemon thread of its own: one that hangs holds up neither the session, nor
  other functions, nor the end of the program.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, TypedDict, Unpack, get_args, overload

from livews import process
from livews.errors import BadRequest
from livews.tools import docstrings, schema_from_hints
from livews.tools.schema_from_hints import HintSchema, UnsupportedHint

Scheduling = Literal["SILENT", "WHEN_IDLE", "INTERRUPT"]
SECONDS = 30.0
"""The default time limit of a function."""
_SCHEDULINGS = get_args(Scheduling)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
"""What every source takes; some take 128 characters, or a digit first."""


class ToolFailure(Exception):
    """A run that failed in a known way: `text` for the model, unchanged, and further members of the response."""

    def __init__(self, text: str, **members: Any) -> None:
        self.text, self.members = text, members
        super().__init__(text)


@dataclass(frozen=True)
class Tool:
    """A function the model may call, made by `tool` or `command`. Calling it calls the function it was made of.

    declaration: its functionDeclaration without `behavior`, which depends on the model.
    invoke: takes the arguments as they came over the wire.
    function: the function it was made of.
    blocking: whether the model waits for the result.
    scheduling: when the result of a function that does not block is spoken.
    timeout: seconds the function may take.
    """

    declaration: dict[str, Any]
    invoke: Callable[[dict[str, Any]], Coroutine[Any, Any, Any]] = field(repr=False)
    function: Callable[..., Any] = field(repr=False)
    blocking: bool = True
    scheduling: Scheduling | None = None
    timeout: float = SECONDS

    def __post_init__(self) -> None:
        name = str(self.declaration.get("name", ""))
        if not _NAME.fullmatch(name):
            raise BadRequest(
                f"invalid function name {name!r}",
                why="a name is a letter or _, then letters, digits and _ . : - , 64 characters at most",
                fix="give it another name, as in livews.tool(fn, name='get_weather')",
            )
        if self.scheduling is not None and self.scheduling not in _SCHEDULINGS:
            fix = f"it is one of {', '.join(_SCHEDULINGS)}"
            raise BadRequest(f"{name}: invalid scheduling {self.scheduling!r}", fix=fix)
        if self.scheduling is not None and self.blocking:
            raise BadRequest(
                f"{name}: scheduling is for functions that do not block",
                why="the turn waits for a function that blocks, so there is no choice of when its result is spoken",
                fix="add blocking=False, or leave scheduling out",
            )
        if not self.timeout > 0:
            raise BadRequest(f"{name}: invalid time limit {self.timeout:g} s", fix="use seconds greater than 0")

    @property
    def name(self) -> str:
        return str(self.declaration["name"])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


class ToolOptions(TypedDict, total=False):
    """The options of `tool`."""

    name: str
    description: str
    blocking: bool
    scheduling: Scheduling | None
    timeout: float


@overload
def tool(fn: Callable[..., Any], **options: Unpack[ToolOptions]) -> Tool: ...
@overload
def tool(fn: None = None, **options: Unpack[ToolOptions]) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    fn: Callable[..., Any] | None = None,
    *,
    name: str = "",
    description: str = "",
    blocking: bool = True,
    scheduling: Scheduling | None = None,
    timeout: float = SECONDS,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a function, as a decorator or around it: `@livews.tool(timeout=5)`, `livews.tool(fn, name="x")`.

    fn: a function with type hints, async or not.
    name: the function's name unless given.
    description: what the model reads; the docstring unless given.
    blocking: False lets the model continue to speak while the function runs. A model that does not take this, or
        `scheduling`, gets the function without, and `session.remarks` says so.
    scheduling: when the result is spoken, of a function that does not block: SILENT (never), WHEN_IDLE or INTERRUPT.
    timeout: seconds the function may take.

    Raises BadRequest for what cannot be declared.
    """
    if fn is None:
        timing = {"blocking": blocking, "scheduling": scheduling, "timeout": timeout}
        return functools.partial(tool, name=name, description=description, **timing)
    if isinstance(fn, Tool):
        raise BadRequest(f"{fn.name} is already a tool", fix="set the options where it is made")
    if not callable(fn) or isinstance(fn, type):
        raise BadRequest(
            f"a tool is a function, not a {type(fn).__name__ if not isinstance(fn, type) else 'class'}",
            fix='pass functions; declarations without one go into setup={"tools": [...]}',
        )
    inner: Any = fn
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = name or str(getattr(inner, "__name__", type(inner).__name__))
    if not inspect.isroutine(inner):
        inner = inner.__call__
    text, descriptions = docstrings.described(inspect.getdoc(inner))
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise BadRequest(f"{name} is a generator", fix="return a value, such as a list")
    arguments = _arguments(fn, inner, name, descriptions)
    declaration: dict[str, Any] = {"name": name, "description": description or text or name.replace("_", " ")}
    if arguments.schema["properties"]:
        declaration["parameters"] = arguments.schema

    async def invoke(args: dict[str, Any]) -> Any:
        values = arguments.read(args, "")
        try:
            result = fn(**values) if inspect.iscoroutinefunction(inner) else await _in_thread(fn, values, name)
            return await result if inspect.isawaitable(result) else result
        except SystemExit as problem:  # it would end the event loop
            raise ToolFailure(f"SystemExit: {problem}") from None

    return Tool(declaration, invoke, fn, blocking, scheduling, timeout)


def _arguments(fn: Callable[..., Any], inner: Any, name: str, descriptions: dict[str, str]) -> HintSchema:
    """The parameters of a function as an object. `inner`: what has the hints. Raises BadRequest."""

    def refuse(what: str, fix: str, where: str = "") -> NoReturn:
        where = where and f"parameter {where}"
        raise BadRequest(f"{name} cannot be a tool: {what}", where=where, fix=fix) from None

    try:
        parameters = inspect.signature(fn).parameters
        hints = schema_from_hints.hints_of(inner)
    except UnsupportedHint as problem:
        refuse(problem.what, problem.fix)
    except (TypeError, ValueError):
        refuse("its signature cannot be read", "wrap it in a function of your own, with type hints")
    members: dict[str, HintSchema] = {}
    for key, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            refuse("a model passes only named parameters", "name its parameters, or take a list", stars + key)
        if parameter.kind is parameter.POSITIONAL_ONLY:
            refuse("arguments are passed by name, and this one has none", "remove the / after it", key)
        if key not in hints and key in ("self", "cls"):
            refuse("it is a method without its object", "pass the bound method, as in tools=[thing.method]", key)
        if key not in hints:
            refuse("it has no type hint", f"add one, as in {key}: str", key)
        try:
            hint = schema_from_hints.hint_schema(hints[key])
        except UnsupportedHint as problem:
            refuse(problem.what, problem.fix, key)
        if parameter.default is None:
            hint = hint.nullable()
        is_described = not hint.schema.get("description", "(").startswith("(")
        members[key] = hint if is_described else hint.described(descriptions.get(key, ""))
    required = [key for key, parameter in parameters.items() if parameter.default is parameter.empty]
    return schema_from_hints.object_schema(members, required, dict)


async def _in_thread(function: Callable[..., Any], arguments: dict[str, Any], name: str) -> Any:
    """Call it in a thread of its own. When nobody waits any more, what it gives is dropped."""

    def call() -> tuple[Any, BaseException | None]:
        try:
            return function(**arguments), None
        except BaseException as problem:  # a future does not take every exception
            return None, problem

    result, problem = await asyncio.wrap_future(process.in_thread(call, f"livews-tool-{name}"))
    if problem is not None:
        raise problem if isinstance(problem, Exception) else ToolFailure(f"{type(problem).__name__}: {problem}")
    return result
