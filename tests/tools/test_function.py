"""Functions as tools: what is declared from their signatures, and how arguments are read."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

import livews
from livews.tools.schema_from_hints import ArgumentError
from tests.kit.names import DATA, LIVE_38
from tests.tools.sessions import Message, Place, Unit

ROWS = json.loads((DATA / "functions.json").read_text())


class Level(Enum):
    LOW = 1
    HIGH = 2


class Order(TypedDict):
    dish: str
    count: NotRequired[int]


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


@pytest.mark.parametrize("row", ROWS["declared"], ids=lambda row: row["function"])
def test_a_signature_is_declared(row: Message) -> None:
    declaration = livews.tool(globals()[row["function"]]).declaration
    parameters = {"type": "OBJECT", "properties": row["properties"], "required": row["required"]}
    assert declaration["parameters"] == parameters
    message = {"setup": {"model": LIVE_38, "tools": [{"functionDeclarations": [declaration]}]}}
    assert livews.check("client", message) == []


def test_partials_and_functions_without_parameters() -> None:
    declared = livews.tool(defaults).declaration["parameters"]
    assert livews.tool(functools.partial(defaults, b=4)).declaration["parameters"] == declared
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
    texts = {name: schema["description"] for name, schema in declaration["parameters"]["properties"].items()}
    assert declaration["description"] == "Find it.\n\nIt is somewhere."
    assert texts == {"x": "What to find, in words.", "y": "How often."}


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
        (series, {"a": [1.0], "b": ["x"], "c": [True, True], "d": [[1]]}, {"a": [1], "b": ("x",), "c": {True}, "d": [[1.0]]}),
        (mapping, {"a": {"x": [1]}, "b": {}, "c": {"n": 2.0}}, {"a": {"x": [1]}, "b": {}, "c": {"n": 2}}),
        (classes, {"a": {"name": "hall", "floor": 1.0}, "b": [{"dish": "soup"}]}, {"a": Place("hall", 1), "b": [{"dish": "soup"}]}),
        (unions, {"a": 1.5, "b": 3.0}, {"a": 1.5, "b": 3}),
        (times, {"a": "2026-01-31T12:00:00Z", "b": "2026-01-31"}, {"a": datetime(2026, 1, 31, 12, tzinfo=UTC), "b": date(2026, 1, 31)}),
    ],
)  # fmt: skip
async def test_arguments_become_what_the_hints_say(fn: Callable[..., Any], args: Message, given: Message) -> None:
    seen: list[Message] = []

    @functools.wraps(fn)
    def spy(**got: Any) -> None:
        seen.append(got)

    await livews.tool(spy).invoke(args)
    assert seen == [given]
    assert {name: type(value) for name, value in seen[0].items()} == {n: type(v) for n, v in given.items()}


@pytest.mark.parametrize("row", ROWS["wrong arguments"], ids=lambda row: row["complaint"])
async def test_wrong_arguments_are_told_and_never_reach_the_function(row: Message) -> None:
    @functools.wraps(globals()[row["function"]])
    def spy(**got: Any) -> None:
        raise AssertionError(got)

    with pytest.raises(ArgumentError) as wrong:
        await livews.tool(spy).invoke(row["args"])
    assert row["complaint"] in str(wrong.value)
