"""Type hints as a schema of the API, and JSON values as what the hints promise.

- One walk over a hint gives both, so what is declared is what is read.
- A hint without a schema is refused at once (UnsupportedHint); a value that does not fit is an ArgumentError with its
  path, and the members of an object report all their errors at once.
- Nothing is guessed: 5.0 is an int and 1 a float, but "5" is neither and true is not a number.
- Schema members that older versions of the API lack (default, minimum, $ref ...) are not used.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections import abc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal, NewType, NotRequired, Required, Union, get_origin

from livews.core import codec
from livews.errors import BadRequest
from livews.terminal_text import one_line
from livews.tools import docstrings

Schema = dict[str, Any]
_SHOWN = 60
"""Characters of a wrong value that an error shows."""


class UnsupportedHint(BadRequest):
    """A type hint without a schema."""


class ArgumentError(ValueError):
    """A value that does not fit its hint; the text is for the model."""


@dataclass(frozen=True, slots=True)
class HintSchema:
    """A hint's schema, and `read(value, path)`, which returns the value the hint promises or raises ArgumentError."""

    schema: Schema
    read: Callable[[Any, str], Any]

    def described(self, text: str) -> HintSchema:
        """The same with a description, in front of one that says how the value is written."""
        own = self.schema.get("description", "")
        return HintSchema({**self.schema, "description": f"{text} {own}".strip()}, self.read) if text else self

    def nullable(self) -> HintSchema:
        """The same, or null."""
        schema = {**self.schema, "nullable": True}
        return HintSchema(schema, lambda value, at: None if value is None else self.read(value, at))


def hint_schema(hint: Any, inside: tuple[Any, ...] = ()) -> HintSchema:
    """The schema of a hint. `inside`: the classes it is a part of. Raises UnsupportedHint."""
    if isinstance(hint, NewType):
        return hint_schema(hint.__supertype__, inside)
    if hasattr(hint, "__value__"):  # type X = ... of Python 3.12
        return hint_schema(hint.__value__, inside)
    origin, parts = get_origin(hint), typing.get_args(hint)
    kind = origin or (hint if isinstance(hint, type) else None)
    if origin is Annotated:
        text = next((note for note in parts[1:] if isinstance(note, str)), "")
        return hint_schema(parts[0], inside).described(text)
    if origin in (Required, NotRequired):
        return hint_schema(parts[0], inside)
    if origin in (Union, types.UnionType, Literal):
        others = [part for part in parts if part not in (None, type(None))]
        choice = _literal(others) if origin is Literal else _union([hint_schema(part, inside) for part in others])
        return choice if len(others) == len(parts) else choice.nullable()
    if kind in _SERIES:
        return _series(kind, parts, inside)
    if kind in (dict, abc.Mapping, abc.MutableMapping):
        return _mapping(parts, inside)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if isinstance(hint, type) and (typing.is_typeddict(hint) or dataclasses.is_dataclass(hint)):
        return _class(hint, inside)
    fix = "use str, int, float, bool, date, datetime, Literal, Enum, list[T], dict, a dataclass or a TypedDict"
    raise UnsupportedHint(f"the type {_name(hint)} cannot be declared to a model", fix=fix)


def object_schema(
    members: dict[str, HintSchema], required: abc.Collection[str], make: Callable[..., Any], title: str = "parameter"
) -> HintSchema:
    """An object with these members; `make` is called with those that are there, by name. `title`: what they are."""
    schema: Schema = {"type": "OBJECT", "properties": {name: member.schema for name, member in members.items()}}
    if required:
        schema["required"] = [name for name in members if name in required]

    def read(value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong("an object", value, at)
        values, errors = {}, []
        for name, member in members.items():
            path = f"{at}.{name}" if at else name
            takes_null = name in required or member.schema.get("nullable")
            if name in value and (value[name] is not None or takes_null):
                try:
                    values[name] = member.read(value[name], path)
                except ArgumentError as problem:
                    errors.append(str(problem))
            elif name in required:
                errors.append(f"{path} is missing")
        if unknown := [str(name) for name in value if name not in members]:
            known = ", ".join(members) or "none"
            errors.append(f"there is no {title} {', '.join(unknown)[:200]}{at and f' in {at}'}; there are: {known}")
        if errors:
            raise ArgumentError("; ".join(errors))
        try:
            return make(**values)
        except Exception as problem:  # a dataclass that checks its fields itself
            raise ArgumentError(f"{problem}{at and f' at {at}'}") from problem

    return HintSchema(schema, read)


def hints_of(thing: Any) -> dict[str, Any]:
    """The hints of a function or a class, resolved. Raises UnsupportedHint."""
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except Exception as problem:  # evaluating annotations can raise anything
        what = f"its type hints cannot be read ({type(problem).__name__}: {problem})"
        raise UnsupportedHint(what, fix="use types that exist at the top level of its module") from None


def _wrong(expected: str, value: Any, at: str) -> ArgumentError:
    shown = one_line(codec.dump(value).decode(), _SHOWN)
    return ArgumentError(f"expected {expected}, got {shown}{at and f' at {at}'}")


def _value(schema: Schema, expected: str, convert: Callable[[Any], Any]) -> HintSchema:
    """A value without parts. `convert` raises ValueError or KeyError for one that does not fit."""

    def read(value: Any, at: str) -> Any:
        try:
            return convert(value)
        except (ValueError, KeyError):
            raise _wrong(expected, value, at) from None

    return HintSchema(schema, read)


def _is(value: Any, *kinds: type) -> Any:
    if type(value) not in kinds:
        raise ValueError
    return value


def _integer(value: Any) -> int:
    if _is(value, int, float) != value // 1:
        raise ValueError
    return int(value)


def _date(kind: type[date]) -> Callable[[Any], date]:
    return lambda value: kind.fromisoformat(_is(value, str))


_DATE_TIME = "a date and time such as 2026-01-31T12:00:00Z"
_PLAIN: dict[Any, HintSchema] = {
    str: _value({"type": "STRING"}, "a string", lambda value: _is(value, str)),
    int: _value({"type": "INTEGER"}, "an integer", _integer),
    float: _value({"type": "NUMBER"}, "a number", lambda value: float(_is(value, int, float))),
    bool: _value({"type": "BOOLEAN"}, "true or false", lambda value: _is(value, bool)),
    datetime: _value({"type": "STRING", "format": "date-time"}, _DATE_TIME, _date(datetime)),
    date: _value({"type": "STRING", "description": "(YYYY-MM-DD)"}, "a date such as 2026-01-31", _date(date)),
}
_SERIES: dict[Any, Callable[[list[Any]], Any]] = {
    **{kind: kind for kind in (list, tuple, set, frozenset)},
    **dict.fromkeys((abc.Sequence, abc.MutableSequence, abc.Iterable, abc.Collection), list),
    abc.Set: set,
}


def _union(hints: list[HintSchema]) -> HintSchema:
    if len(hints) == 1:
        return hints[0]
    schemas = [hint.schema for hint in hints]
    is_number = all(schema in ({"type": "INTEGER"}, {"type": "NUMBER"}) for schema in schemas)

    def read(value: Any, at: str) -> Any:
        errors = []
        for hint in hints:
            try:
                return hint.read(value, at)
            except ArgumentError as problem:
                errors.append(str(problem))
        raise ArgumentError(", or ".join(errors))

    return HintSchema({"type": "NUMBER"} if is_number else {"anyOf": schemas}, read)


def _literal(values: list[Any]) -> HintSchema:
    if values and all(isinstance(value, str) and value for value in values):
        return _choice({value: value for value in values})
    if not values or not all(type(value) is int for value in values):
        what = "a Literal of mixed or empty values cannot be declared to a model"
        raise UnsupportedHint(what, fix="use only strings")
    expected = f"one of {', '.join(map(str, values))}"
    schema = {"type": "INTEGER", "description": f"({expected})"}
    return _value(schema, expected, lambda value: values[values.index(_integer(value))])


def _enum(kind: type[Enum]) -> HintSchema:
    """By value when all values are strings, else by name."""
    if not len(kind):
        raise UnsupportedHint(f"the Enum {kind.__name__} has no members", fix="add some")
    by_value = all(isinstance(member.value, str) and member.value for member in kind)
    return _choice({member.value if by_value else member.name: member for member in kind})


def _choice(options: dict[str, Any]) -> HintSchema:
    schema = {"type": "STRING", "enum": list(options)}
    return _value(schema, f"one of {', '.join(options)}", lambda value: options[_is(value, str)])


def _series(kind: Any, parts: tuple[Any, ...], inside: tuple[Any, ...]) -> HintSchema:
    if kind is tuple and parts and (len(parts) != 2 or parts[1] is not ...):
        fix = "use a dataclass, or tuple[T, ...]"
        raise UnsupportedHint("a tuple of fixed parts cannot be declared to a model", fix=fix)
    if not parts:
        name = getattr(kind, "__name__", "list")
        raise UnsupportedHint(f"a {name} needs the type of its items", fix=f"write it, as in {name}[str]")
    item = hint_schema(parts[0], inside)

    def read(value: Any, at: str) -> Any:
        if not isinstance(value, list):
            raise _wrong("an array", value, at)
        items = [item.read(one, f"{at}[{i}]") for i, one in enumerate(value)]
        try:
            return _SERIES[kind](items)
        except TypeError:
            raise _wrong("plain values", value, at) from None

    return HintSchema({"type": "ARRAY", "items": item.schema}, read)


def _mapping(parts: tuple[Any, ...], inside: tuple[Any, ...]) -> HintSchema:
    if parts and parts[0] is not str:
        raise UnsupportedHint(f"a dict with keys of type {_name(parts[0])} is no JSON", fix="use dict[str, ...]")
    item = hint_schema(parts[1], inside) if parts and parts[1] not in (Any, object) else None

    def read(value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong("an object", value, at)
        return value if item is None else {key: item.read(one, f"{at}.{key}") for key, one in value.items()}

    return HintSchema({"type": "OBJECT"}, read)


def _class(kind: Any, inside: tuple[Any, ...]) -> HintSchema:
    """A dataclass or a TypedDict."""
    if kind in inside:
        what = f"{kind.__name__} contains itself, which cannot be declared to a model"
        raise UnsupportedHint(what, fix="use a dict or a str there")
    hints = hints_of(kind)
    doc = "" if kind.__doc__ == dict.__doc__ or (kind.__doc__ or "").startswith(f"{kind.__name__}(") else kind.__doc__
    text, descriptions = docstrings.described(doc)
    if typing.is_typeddict(kind):
        # __required_keys__ knows the class's total=, and not what is written in annotations that are strings
        written = {Required: True, NotRequired: False}
        needed = {name: written.get(get_origin(hints[name]), name in kind.__required_keys__) for name in hints}
    else:
        parameters = inspect.signature(kind).parameters.values()
        needed = {parameter.name: parameter.default is parameter.empty for parameter in parameters}
    members = {
        name: hint_schema(hints.get(name), (*inside, kind)).described(descriptions.get(name, "")) for name in needed
    }
    return object_schema(members, {name for name in needed if needed[name]}, kind, "field").described(text)


def _name(hint: Any) -> str:
    return getattr(hint, "__name__", "") if isinstance(hint, type) else str(hint).replace("typing.", "")
