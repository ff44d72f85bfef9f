"""Type hints as the service's Schema, and values of the wire as what the hints say.

- One walk over a hint gives both, so what is declared is what is read.
- A hint the model could make nothing of is Unfit, at once; a value that does not fit is Wrong, with its path.
- Nothing is guessed: 5.0 is an int and 1 a float, but "5" is neither and true is no number.
- Members that older versions of the API lack (default, minimum, $ref ...) are not written.
"""

from __future__ import annotations

import dataclasses
import types
from collections import abc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from livews.core import codec
from livews.tools import docstrings

Schema = dict[str, Any]
_SHOWN = 60
"""Characters of a wrong value that are told."""


class UnsupportedHint(Exception):
    """A hint that has no Schema: what it is, and the cure."""

    def __init__(self, what: str, fix: str) -> None:
        self.what, self.fix = what, fix
        super().__init__(what)


class ArgumentError(ValueError):
    """A value that does not fit its hint; the text is for the model."""


@dataclass(frozen=True, slots=True)
class HintSchema:
    """A hint: its schema, and `read(value, path)`, which gives the value the hint promises or raises Wrong."""

    schema: Schema
    read: Callable[[Any, str], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a field."""

    form: HintSchema
    required: bool


def form(hint: Any, inside: tuple[Any, ...] = ()) -> HintSchema:
    """The form of a hint. `inside` are the classes it is a part of. Raises Unfit."""
    if isinstance(hint, NewType):
        return form(hint.__supertype__, inside)
    if hasattr(hint, "__value__"):  # type X = ... of Python 3.12
        return form(hint.__value__, inside)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        made = form(parts[0], inside)
        return described(made, next((note for note in parts[1:] if isinstance(note, str)), ""))
    if origin in (Required, NotRequired):
        return form(parts[0], inside)
    if origin in (Union, types.UnionType):
        return _union(parts, inside)
    if origin is Literal:
        return _literal(parts)
    if origin in _SERIES or (isinstance(hint, type) and hint in _SERIES):
        return _series(origin or hint, parts, inside)
    if hint is dict or origin in (dict, abc.Mapping, abc.MutableMapping):
        return _mapping(parts, inside)
    if isinstance(hint, type):
        if hint in _PLAIN:
            return _PLAIN[hint]
        if issubclass(hint, Enum):
            return _enum(hint)
        if is_typeddict(hint) or dataclasses.is_dataclass(hint):
            return _class(hint, inside)
    raise UnsupportedHint(
        f"the type {_name(hint)} has no form in a function declaration",
        "use str, int, float, bool, date, datetime, Literal, Enum, list[T], dict, a dataclass or a TypedDict",
    )


def described(made: HintSchema, words: str) -> HintSchema:
    """The same with a description, behind one that says how the value is written."""
    own = made.schema.get("description", "")
    return (
        dataclasses.replace(made, schema={**made.schema, "description": f"{words} {own}".strip()}) if words else made
    )


def nullable(made: HintSchema) -> HintSchema:
    """The same, or null."""
    return HintSchema(
        {**made.schema, "nullable": True}, lambda value, at: None if value is None else made.read(value, at)
    )


def members(fields: dict[str, Field], make: Callable[..., Any], title: str = "parameter") -> HintSchema:
    """An object with these members; `make` is called with those that were given, by name."""
    schema: Schema = {"type": "OBJECT", "properties": {name: one.form.schema for name, one in fields.items()}}
    if needed := [name for name, one in fields.items() if one.required]:
        schema["required"] = needed

    def read(value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong("an object", value, at)
        given, said = {}, []
        for name, one in fields.items():
            path = f"{at}.{name}" if at else name
            left_out = name not in value or (value[name] is None and not one.required and not _takes_null(one))
            if left_out and one.required:
                said.append(f"{path} is missing")
            elif not left_out:
                try:
                    given[name] = one.form.read(value[name], path)
                except ArgumentError as problem:
                    said.append(str(problem))
        if strange := [str(name) for name in value if name not in fields]:
            there = ", ".join(fields) or "none"
            said.append(f"there is no {title} {', '.join(strange)[:200]}{at and f' in {at}'}; there are: {there}")
        if said:
            raise ArgumentError("; ".join(said))
        try:
            return make(**given)
        except Exception as problem:  # a dataclass that checks its fields itself
            raise ArgumentError(f"{problem}{at and f' at {at}'}") from problem

    return HintSchema(schema, read)


def _takes_null(one: Field) -> bool:
    return one.form.schema.get("nullable") is True


def _wrong(expected: str, value: Any, at: str) -> ArgumentError:
    said = codec.dump(value).decode()
    said = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
    return ArgumentError(f"expected {expected}, got {said}{at and f' at {at}'}")


# What has no parts


def _string(value: Any, at: str) -> str:
    if not isinstance(value, str):
        raise _wrong("a string", value, at)
    return value


def _integer(value: Any, at: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise _wrong("an integer", value, at)
    return int(value)


def _number(value: Any, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong("a number", value, at)
    return float(value)


def _boolean(value: Any, at: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong("true or false", value, at)
    return value


def _datetime(value: Any, at: str) -> datetime:
    try:
        return datetime.fromisoformat(_string(value, at))
    except ValueError:
        raise _wrong("a date and time such as 2026-01-31T12:00:00Z", value, at) from None


def _date(value: Any, at: str) -> date:
    try:
        return date.fromisoformat(_string(value, at))
    except ValueError:
        raise _wrong("a date such as 2026-01-31", value, at) from None


_PLAIN: dict[Any, HintSchema] = {
    str: HintSchema({"type": "STRING"}, _string),
    int: HintSchema({"type": "INTEGER"}, _integer),
    float: HintSchema({"type": "NUMBER"}, _number),
    bool: HintSchema({"type": "BOOLEAN"}, _boolean),
    datetime: HintSchema({"type": "STRING", "format": "date-time"}, _datetime),
    date: HintSchema({"type": "STRING", "description": "(YYYY-MM-DD)"}, _date),
}
_SERIES: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Iterable: list,
    abc.Collection: list,
    abc.Set: set,
}


# What has some


def _union(parts: tuple[Any, ...], inside: tuple[Any, ...]) -> HintSchema:
    forms = [form(part, inside) for part in parts if part is not type(None)]
    optional = len(forms) < len(parts)
    if len(forms) == 1:
        return nullable(forms[0])
    schemas = [one.schema for one in forms]
    schema: Schema = {"anyOf": schemas}
    if all(set(one) == {"type"} and one["type"] in ("INTEGER", "NUMBER") for one in schemas):
        schema = {"type": "NUMBER"}

    def read(value: Any, at: str) -> Any:
        said = []
        for one in forms:
            try:
                return one.read(value, at)
            except ArgumentError as problem:
                said.append(str(problem))
        raise ArgumentError(", or ".join(said))

    made = HintSchema(schema, read)
    return nullable(made) if optional else made


def _literal(values: tuple[Any, ...]) -> HintSchema:
    real = [value for value in values if value is not None]
    if all(isinstance(value, str) and value for value in real) and real:
        made = _choice({value: value for value in real})
    elif all(type(value) is int for value in real) and real:
        listed = ", ".join(map(str, real))

        def read(value: Any, at: str) -> Any:
            if (number := _integer(value, at)) not in real:
                raise _wrong(f"one of {listed}", value, at)
            return number

        made = HintSchema({"type": "INTEGER", "description": f"(one of {listed})"}, read)
    else:
        raise UnsupportedHint(
            "a Literal of mixed or empty values has no form in a function declaration", "use texts alone"
        )
    return nullable(made) if len(real) < len(values) else made


def _enum(kind: type[Enum]) -> HintSchema:
    """By value when all values are texts, else by name."""
    by_value = all(isinstance(one.value, str) and one.value for one in kind)
    if not len(kind):
        raise UnsupportedHint(f"the Enum {kind.__name__} has no members", "give it some")
    return _choice({one.value if by_value else one.name: one for one in kind})


def _choice(options: dict[str, Any]) -> HintSchema:
    def read(value: Any, at: str) -> Any:
        if not isinstance(value, str) or value not in options:
            raise _wrong(f"one of {', '.join(options)}", value, at)
        return options[value]

    return HintSchema({"type": "STRING", "enum": list(options)}, read)


def _series(kind: Any, parts: tuple[Any, ...], inside: tuple[Any, ...]) -> HintSchema:
    name = getattr(kind, "__name__", "list")
    if kind is tuple and parts and (len(parts) != 2 or parts[1] is not ...):
        raise UnsupportedHint(
            "a tuple of fixed parts has no form in a function declaration", "use a dataclass, or tuple[T, ...]"
        )
    if not parts:
        raise UnsupportedHint(
            f"a {name} of nothing in particular has no form", f"say what is in it, as in {name}[str]"
        )
    make, item = _SERIES[kind], form(parts[0], inside)

    def read(value: Any, at: str) -> Any:
        if not isinstance(value, list):
            raise _wrong("an array", value, at)
        items = [item.read(one, f"{at}[{i}]") for i, one in enumerate(value)]
        try:
            return make(items)
        except TypeError:
            raise _wrong("plain values", value, at) from None

    return HintSchema({"type": "ARRAY", "items": item.schema}, read)


def _mapping(parts: tuple[Any, ...], inside: tuple[Any, ...]) -> HintSchema:
    if parts and parts[0] is not str:
        raise UnsupportedHint(f"a dict by {_name(parts[0])} has no form in JSON", "use dict[str, ...]")
    value_form = form(parts[1], inside) if parts and parts[1] not in (Any, object) else None

    def read(value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong("an object", value, at)
        if value_form is None:
            return value
        return {key: value_form.read(one, f"{at}.{key}") for key, one in value.items()}

    return HintSchema({"type": "OBJECT"}, read)


def _class(kind: Any, inside: tuple[Any, ...]) -> HintSchema:
    """A dataclass or a TypedDict."""
    if kind in inside:
        raise UnsupportedHint(
            f"{kind.__name__} holds itself, which a function declaration cannot say", "use a dict or a text there"
        )
    inside = (*inside, kind)
    hints = of(kind)
    doc = kind.__doc__ if not (kind.__doc__ or "").startswith(f"{kind.__name__}(") else ""
    text, words = docstrings.described("" if is_typeddict(kind) and doc == dict.__doc__ else doc)
    fields: dict[str, Field] = {}
    if is_typeddict(kind):
        for name, hint in hints.items():
            # __required_keys__ knows the class's total=, and not what is spelled out in annotations that are texts
            needed = {Required: True, NotRequired: False}.get(get_origin(hint), name in kind.__required_keys__)
            fields[name] = Field(described(form(hint, inside), words.get(name, "")), needed)
    else:
        for one in dataclasses.fields(kind):
            if one.init:
                made = described(form(hints[one.name], inside), words.get(one.name, ""))
                default = one.default_factory is not dataclasses.MISSING or one.default is not dataclasses.MISSING
                fields[one.name] = Field(made, not default)
    return described(members(fields, kind, "field"), text)


def of(thing: Any) -> dict[str, Any]:
    """The hints of a function or a class, resolved. Raises Unfit."""
    try:
        return get_type_hints(thing, include_extras=True)
    except Exception as problem:  # whatever evaluating somebody's annotations raises
        raise UnsupportedHint(
            f"its type hints cannot be read ({type(problem).__name__}: {problem})",
            "name types that exist at the top level of its module",
        ) from None


def _name(hint: Any) -> str:
    return getattr(hint, "__name__", "") if isinstance(hint, type) else str(hint).replace("typing.", "")
