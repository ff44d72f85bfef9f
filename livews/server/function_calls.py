"""Which declared functions a prompt asks for, and with which arguments. The stand-in understands nothing: it matches.

Functions, by the first of these rules that fits:

1. A function whose exact name is in the prompt, in either case; two names give two calls.
2. The function with the most words of its name in the prompt, at least half of them ("weather" of get_weather); or the
   one whose description shares most words with it, at least two. Common words do not count, and "off" rules out a
   name with "on".
3. The only function, if the prompt says tool or function.

Arguments: quoted texts, numbers and enum values of the prompt, in order and each used once; required members get a
default, an example or a sample that fits the schema instead.

- Pure, deterministic and total: declarations come from the network, and no JSON in them raises or blocks.
- Bounded: by the constants below; regular expressions of the client are never run. A schema that asks for more gets {}.
- Arguments are valid for their schema to five levels of depth, in the keywords of the service's Schema but those that
  count properties; of several schemas for one value (allOf) the last one's limits count.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor
from typing import Any
from urllib.parse import unquote

from livews.core import machine

_PROMPT = 10_000
"""Characters of a prompt that count."""
_NAME = 128
"""Longest function name, as on the service."""
_DESCRIPTION = 500
_FUNCTIONS = 1_024
_CALLS = 16
_DEPTH = 5
_REFERENCES = 16
"""Most $ref, allOf, anyOf and oneOf followed for one value."""
_TOP_MEMBERS = 8
"""Members that are filled when none is required."""
_ITEMS = 3
_OPTIONS = 1_000
_LONGEST = 1_000
"""Longest text that a minLength gets."""
_BUDGET = 100_000
"""Limit for the work on one call, about one unit per character read or written."""

_STOP_WORDS = """
    a an the this that these those of for from to at by with as about into and or but if then than so there here
    on off up down in out over under i me my mine we us our you your yours he him his she her it its they them their
    is are am was were be been being do does did done has have had will would shall should can could may might must
    what which who whom whose when where why how please thanks thank hello hi hey ok okay yes no not now today just
    some any all every each new name given gemini google
    get set fetch call run use using make give show tell let put go want need like turn tool tools function functions
    """
# if a prompt has both of a pair, the second counts: the first is often only a preposition
_OPPOSITES = (("on", "off"), ("in", "out"), ("up", "down"), ("open", "close"), ("start", "stop"), ("lock", "unlock"),
              ("enable", "disable"), ("add", "remove"), ("create", "delete"), ("increase", "decrease"))  # fmt: skip

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SHORT_FORM = re.compile(r"['’](?:s|re|m|ll|ve|d)$")
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])-?\d{1,15}(?:,\d{3})*(?:\.\d{1,15})?(?!\d)")
_QUOTED = re.compile(r""""([^"]{1,500})"|“([^”]{1,500})”|«([^»]{1,500})»|(?<!\w)'([^']{1,500})'(?!\w)""")
# what may not touch a name: letters and digits of scripts with spaces between words, or a longer name's "_"
_EDGES = ("(?<![0-9A-Za-z_\u00c0-\u058f])", "(?![0-9A-Za-z_\u00c0-\u058f])")

_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1M",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_LIMITS = ("minimum", "exclusiveMinimum", "exclusiveMaximum", "maximum")
_NOTHING: Any = object()
"""In place of a value that the prompt does not have."""


@dataclass(frozen=True, slots=True)
class DeclaredFunction:
    """One declared function. `behavior` is BLOCKING or NON_BLOCKING, the model's default applied."""

    name: str
    declaration: dict[str, Any]
    behavior: str


def declared(tools: Any, default_behavior: str) -> list[DeclaredFunction]:
    """The functions of setup's `tools`, or of contextUpdate's `{"tools": [...]}`, in canonical form.

    Functions without a usable name, and second ones of the same name, are left out.
    """
    functions: dict[str, DeclaredFunction] = {}
    tools = tools.get("tools") if isinstance(tools, dict) else tools
    for declaration in machine.values(tools, ("*", "functionDeclarations", "*")):
        name = declaration.get("name") if isinstance(declaration, dict) else None
        if isinstance(name, str) and 0 < len(name) <= _NAME and len(functions) < _FUNCTIONS:
            behavior = declaration.get("behavior")
            behavior = behavior if behavior in ("BLOCKING", "NON_BLOCKING") else default_behavior or "BLOCKING"
            functions.setdefault(name, DeclaredFunction(name, declaration, behavior))
    return list(functions.values())


def wanted(functions: list[DeclaredFunction], prompt: str) -> list[DeclaredFunction]:
    """The functions the prompt asks for, in the order of their declaration; none for most prompts."""
    prompt = prompt[:_PROMPT]
    if named := _named(functions, prompt):
        return named[:_CALLS]
    words = _words_of(prompt)
    if scores := [_score(function, words) for function in functions]:
        best = scores.index(max(scores))
        if any(scores[best]) or (len(functions) == 1 and words & {"tool", "function"}):
            return [functions[best]]
    return []


def _score(function: DeclaredFunction, prompt: set[str]) -> tuple[float, float, int]:
    """How well a function fits the words of a prompt, zeros if it does not."""
    name = _stems(function.name)
    if any(a in name - prompt and b in prompt - name for pair in _PAIRS for a, b in (pair, pair[::-1])):
        return 0, 0, 0
    words = name - _STOP_STEMS
    description = function.declaration.get("description")
    about = _stems(description[:_DESCRIPTION]) - _STOP_STEMS if isinstance(description, str) else set()
    in_name, in_description = len(words & prompt), len(about & prompt)
    if 0 < len(words) <= 2 * in_name:
        return in_name, in_name / len(words), in_description
    return 0, 0, in_description if in_description >= 2 else 0


def arguments(function: DeclaredFunction, prompt: str) -> dict[str, Any]:
    """Arguments that `parameters` or `parametersJsonSchema` allows.

    Required members always; others if the prompt has a value for them; the first eight if none is required.
    """
    schemas = [function.declaration.get(key) for key in ("parameters", "parametersJsonSchema")]
    schema = next((schema for schema in schemas if schema and isinstance(schema, dict)), {})
    sampler = _Sampler(schema, _without(function.name, prompt[:_PROMPT]))  # its own name is not a value
    try:
        return sampler.members(sampler.resolved(schema), 0)
    except (ValueError, RecursionError):  # too large, too deep, or no schema
        return {}


# Words


@lru_cache(maxsize=4096)
def _stem(word: str) -> str:
    """A word without the endings that come and go: lights, lighting and light are one."""
    word = _SHORT_FORM.sub("", word.casefold())
    word = re.sub(r"(?<=..[^s])(?<!new)s$", "", word)
    word = re.sub(r"(?<=...)(?:ing|ed|e)$", "", word)
    return re.sub(r"(?<=..)y$", "i", word)


_STOP_STEMS = frozenset(map(_stem, _STOP_WORDS.split()))
_PAIRS = tuple((_stem(weak), _stem(strong)) for weak, strong in _OPPOSITES)


def _stems(text: str) -> set[str]:
    """The stems of a text's words, split at anything but letters and at camelCase humps."""
    return {_stem(word[:_NAME]) for word in _WORD.findall(_CAMEL_HUMP.sub(" ", text))}


def _words_of(prompt: str) -> set[str]:
    """The stems of a prompt, also of words with humps as a whole, and only one of each pair of opposites."""
    stems = _stems(prompt) | _stems(prompt.casefold())
    return stems - {weak for weak, strong in _PAIRS if strong in stems}


def _named(functions: list[DeclaredFunction], prompt: str) -> list[DeclaredFunction]:
    """The functions whose exact name is in the prompt, but not if it is only part of a longer function's name."""
    rest, names = prompt.casefold(), set()
    for name in sorted((function.name.casefold() for function in functions), key=len, reverse=True):
        if name in rest and (without := _without(name, rest)) != rest:
            rest = without
            names.add(name)
    return [function for function in functions if function.name.casefold() in names]


def _without(name: str, text: str) -> str:
    return re.sub(re.escape(name).join(_EDGES), "\0", text, flags=re.IGNORECASE)


# Values


class _Sampler:
    """Makes the arguments of one call. `root` is the schema that a $ref points into.

    ValueError: a schema asks for more work than a call is worth, or is none.
    """

    def __init__(self, root: dict[str, Any], prompt: str) -> None:
        self.root = root
        self.budget = _BUDGET
        self.words = _words_of(prompt)
        self.texts = ["".join(groups).strip() for groups in _QUOTED.findall(prompt)]
        digits = [number.replace(",", "") for number in _NUMBER.findall(_QUOTED.sub("\0", prompt))]
        self.numbers: list[int | float] = [float(number) if "." in number else int(number) for number in digits]

    def spend(self, cost: int) -> None:
        """Pay for work."""
        self.budget -= cost
        if self.budget < 0:
            raise ValueError("too large")

    def resolved(self, schema: Any, hops: int = _REFERENCES) -> dict[str, Any]:
        """A schema with its $ref, its allOf, and one branch of its anyOf and oneOf merged in."""
        if not isinstance(schema, dict) or not hops:
            return {}
        branches = [self.target(schema.get("$ref", schema.get("ref"))), *_list(schema.get("allOf"))]
        branches += [_one_of(_list(schema.get(key))) for key in ("anyOf", "oneOf")]
        out: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        required: list[Any] = []
        for part in (*(self.resolved(branch, hops - 1) for branch in branches), schema):
            for name, member in _dict(part.get("properties")).items():
                properties[name] = {"allOf": [properties[name], member]} if name in properties else member
            required += _list(part.get("required"))
            self.spend(16 + len(properties) + len(required))
            out |= part
        return out | {"properties": properties, "required": [name for name in required if isinstance(name, str)]}

    def target(self, ref: Any) -> Any:
        """What a local pointer such as #/$defs/City points at; None for any other."""
        start, *steps = ref.split("/") if isinstance(ref, str) else [""]
        self.spend(len(steps))
        target: Any = self.root
        for step in steps:
            target = _dict(target).get(unquote(step).replace("~1", "/").replace("~0", "~"))
        return target if start == "#" else None

    def value(self, schema: Any, depth: int, required: bool) -> Any:
        """A value for a schema; _NOTHING if it is not required and the prompt has none for it."""
        schema = self.resolved(schema)
        kind = _kind(schema)
        options = [schema["const"]] if "const" in schema else _list(schema.get("enum"))[:_OPTIONS]
        if kind == "array" and not options:
            return self.items(schema, depth, required)
        if kind == "object" and not options:
            return self.members(schema, depth) if required else _NOTHING
        value = _NOTHING
        if options:
            value = self.option(options, schema)
        elif kind == "string" and "pattern" not in schema and str(schema.get("format")) not in _FORMATS:
            value = self.texts.pop(0) if self.texts else _NOTHING
        elif kind in ("integer", "number"):
            value = next((number for number in self.numbers if _fits(number, schema)), _NOTHING)
            self.numbers = [number for number in self.numbers if number != value]
        if value is _NOTHING and required:
            value = next((sample for sample in _samples(options, kind, schema) if _fits(sample, schema)), None)
        if isinstance(value, str) and not options:
            least, most = _limit(schema, "minLength", 0), _limit(schema, "maxLength", _LONGEST)
            value = value.ljust(ceil(min(least, _LONGEST)), ".")[: int(max(0, min(most, _LONGEST)))]
        self.spend(len(repr(value)))
        return value

    def members(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """An object. Required members come first: they have the first pick of what the prompt says."""
        properties, required = schema["properties"], dict.fromkeys(schema["required"])
        allowed = [name for name in properties if properties[name] is not False]
        needed = [name for name in (*properties, *required) if name in required]
        if depth == 0 and not required:
            needed = allowed = allowed[:_TOP_MEMBERS]
        out: dict[str, Any] = {}
        for name in dict.fromkeys([*needed, *allowed]) if depth < _DEPTH else ():
            self.spend(len(name))
            out[name] = self.value(
                properties.get(name, schema.get("additionalProperties")), depth + 1, name in needed
            )
        return {name: out[name] for name in (*properties, *required) if out.get(name, _NOTHING) is not _NOTHING}

    def items(self, schema: dict[str, Any], depth: int, required: bool) -> Any:
        """An array: one item, or as many as it must have, three at most."""
        rest = schema.get("items")
        members = _list(schema.get("prefixItems")) + ([] if rest is False else [rest] * _ITEMS)
        count = min(max(1, _limit(schema, "minItems", 1)), _limit(schema, "maxItems", _ITEMS), _ITEMS)
        out: list[Any] = []
        for member in members[: int(max(0, count))] if depth < _DEPTH else ():
            value = self.value(member, depth + 1, required or bool(out))
            if value is _NOTHING:
                break
            out.append(value)
        return out if required or out else _NOTHING

    def option(self, options: list[Any], schema: dict[str, Any]) -> Any:
        """The value of an enum that the prompt names with the most words, _NOTHING if it names none."""
        self.spend(8 * len(options))
        best = max((option for option in options if _fits(option, schema)), key=self.mentions, default=None)
        if not self.mentions(best):
            return _NOTHING
        self.texts = [text for text in self.texts if text != best]
        self.numbers = [number for number in self.numbers if number != best]
        return best

    def mentions(self, option: Any) -> int:
        """How many words of the prompt name this value of an enum."""
        if isinstance(option, str):
            words = _stems(option[:_NAME])
            return len(words) if words <= self.words else 0
        return int(type(option) is not bool and option in self.numbers)


# Schemas


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _types(schema: dict[str, Any]) -> list[str]:
    value = schema.get("type")
    names = [name.lower() for name in (value if isinstance(value, list) else [value]) if isinstance(name, str)]
    return [name for name in dict.fromkeys(names) if name in _TYPES]


def _limit(schema: dict[str, Any], key: str, default: Any) -> Any:
    """A number of a schema, which may be written as a string. ValueError for a string that is none."""
    value = schema.get(key)
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"-?\d{1,20}", value) else float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return default
    return value if abs(value) <= 1e308 else default


def _one_of(branches: list[Any]) -> Any:
    """The first of several schemas that is more than null; constants together are an enum."""
    schemas = [branch for branch in branches if isinstance(branch, dict)]
    if schemas and all("const" in schema for schema in schemas):
        return {"enum": [schema["const"] for schema in schemas]}
    return next((schema for schema in schemas if _types(schema) != ["null"]), (*schemas, None)[0])


def _kind(schema: dict[str, Any]) -> str:
    """The type to make a value of: the first that is not null; what other keywords suggest if none is named."""
    if types := _types(schema):
        return next((name for name in types if name != "null"), "null")
    if schema.get("properties") or schema.get("required"):
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "number" if schema.keys() & _LIMITS else "string"


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value fits the type of a schema, and a number its limits."""
    import jsonschema_rs

    limits = {key: limit for key in _LIMITS if (limit := _limit(schema, key, None)) is not None}
    return jsonschema_rs.is_valid({"type": _types(schema) or list(_TYPES), **limits}, value)


def _samples(options: list[Any], kind: str, schema: dict[str, Any]) -> Iterator[Any]:
    """Values for a schema, the best first: those of its enum, its default, an example, and what may fit its limits."""
    form = _FORMATS.get(str(schema.get("format")))
    given = [schema[key] for key in ("default", "example") if key in schema] + _list(schema.get("examples"))[:1]
    yield from sorted(options, key=lambda option: (option not in given, option is None)) or (
        [form] if form else given
    )
    yield {"null": None, "boolean": True, "string": form or "text"}.get(kind, 1)
    limits = [limit for key in _LIMITS if (limit := _limit(schema, key, None)) is not None]
    for limit in limits:
        yield from (limit, floor(limit) + 1, ceil(limit) - 1)
    yield sum(limits) / (len(limits) or 1)
