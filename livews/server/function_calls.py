"""Which declared functions a prompt asks for, and with which arguments: what a stand-in does that understands nothing.

Three rules, in this order; each can be told in advance by reading the declarations and the prompt:

1. A function whose exact name stands in the prompt is called, in either case; two names give two calls.
2. Otherwise one function is: the one with the most words of its name in the prompt, at least half of them ("weather"
   of get_weather); or, where no name is near, the one whose description shares most words with it, at least two.
   Stop words and verbs that say little (get, set, turn ...) count for nothing, and "off" rules out a name with "on".
3. Otherwise a lone function is called when the prompt says tool or function.

Promises:

- Pure, deterministic and total: declarations come from the network, and no JSON in them raises or calls out.
- Bounded: the first 10,000 characters of a prompt, 1,024 functions and 16 calls count, and an answer's arguments are
  about 100 kB at most. The client's regular expressions are never run.
- The arguments are valid for their schema, to five levels of depth, in the keywords `_merge` knows. What it does not
  know is not looked at (not, if, uniqueItems, contains, patternProperties ...), nor is whether a text matches its
  pattern (a default or an example does, so it goes first) or another branch of oneOf fits as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, inf
from typing import Any
from urllib.parse import unquote

_PROMPT = 10_000
_NAME = 128
"""Characters of a function's name; the service takes no longer one."""
_DESCRIPTION = 500
_FUNCTIONS = 1_024
_CALLS = 16
_TEXT = 100
_DEPTH = 5
_HOPS = 16
_AT_THE_TOP = 8
"""Properties that are filled when nothing is required."""
_ITEMS = 3
_BRANCHES = 100
_OPTIONS = 1_000
_LARGEST = 1e308
_SEARCH = 50
"""What the search for a number costs."""
_BUDGET = 100_000
"""What looking and answering may cost together, about a unit a character."""

_STOP_WORDS = """
    a an the this that these those of for from to at by with as about into and or but if then than so there here
    on off up down in out over under i me my mine we us our you your yours he him his she her it its they them their
    is are am was were be been being do does did done has have had will would shall should can could may might must
    what which who whom whose when where why how please thanks thank hello hi hey ok okay yes no not now today just
    some any all every each new name given gemini google
    get set fetch call run use using make give show tell let put go want need like turn tool tools function functions
    """
_STOP = frozenset(_STOP_WORDS.split())
# the second of a pair wins when a prompt has both, since the first is often a mere preposition
_OPPOSITES = (("on", "off"), ("in", "out"), ("up", "down"), ("open", "close"), ("start", "stop"), ("lock", "unlock"),
              ("enable", "disable"), ("add", "remove"), ("create", "delete"), ("increase", "decrease"))  # fmt: skip

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_VALUE = re.compile(r"\w+(?:['’.@-]\w+)*")
_SHORT_FORM = re.compile(r"['’](?:s|re|m|ll|ve|d)$")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])-?\d+(?:,\d{3})*(?:\.\d+)?")
_QUOTED = re.compile(
    r""""([^"]{1,500})"|“([^”]{1,500})”|«([^»]{1,500})»|(?<!\w)'([^']{1,500})'(?!\w)|(?<!\w)‘([^’]{1,500})’(?!\w)"""
)
# what a name may not touch: letters and digits of scripts that put spaces between words, or a longer name's "_"
_EDGES = ("(?<![0-9A-Za-z_\u00c0-\u058f])", "(?![0-9A-Za-z_\u00c0-\u058f])")

_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_NUMERIC = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_FIRST = ("const", "prefixItems", "additionalProperties", "format", "pattern", "nullable",
          "default", "example", "examples")  # fmt: skip
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1M",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_NOTHING: Any = object()
"""In place of a value the prompt says nothing about."""


@dataclass(frozen=True, slots=True)
class DeclaredFunction:
    """One declared function. `behavior` is BLOCKING or NON_BLOCKING, the model's default applied."""

    name: str
    declaration: dict[str, Any]
    behavior: str


def declared(tools: Any, default_behavior: str) -> list[DeclaredFunction]:
    """The functions of setup's `tools`, or of contextUpdate's `{"tools": [...]}`, in canonical form.

    What has no usable name is left out, and so is a second function of the same name.
    """
    found: dict[str, DeclaredFunction] = {}
    for tool in _list(tools.get("tools") if isinstance(tools, dict) else tools):
        for declaration in _list(tool.get("functionDeclarations") if isinstance(tool, dict) else None):
            name = declaration.get("name") if isinstance(declaration, dict) else None
            if not isinstance(name, str) or not 0 < len(name) <= _NAME or name in found:
                continue
            given = declaration.get("behavior")
            behavior = given if given in ("BLOCKING", "NON_BLOCKING") else default_behavior
            found[name] = DeclaredFunction(
                name, declaration, "NON_BLOCKING" if behavior == "NON_BLOCKING" else "BLOCKING"
            )
            if len(found) == _FUNCTIONS:
                return list(found.values())
    return list(found.values())


def wanted(functions: list[DeclaredFunction], prompt: str) -> list[DeclaredFunction]:
    """The functions the prompt asks for, in the order they are declared; none for most prompts."""
    prompt = prompt[:_PROMPT]
    if named := _named(functions, prompt):
        return named[:_CALLS]
    said = _said(prompt)
    best: tuple[float, ...] = (0, 0, 0)
    chosen: list[DeclaredFunction] = []
    for function in functions:
        name = _stems(function.name[:_NAME])
        if any(one in name - said and other in said - name for one, other in _EITHER_WAY):
            continue
        words = name - _STOP_STEMS
        score: tuple[float, ...] = (0, 0, _shared(function, said))
        if 0 < len(words) <= 2 * len(words & said):
            score = (len(words & said), len(words & said) / len(words), score[2])
        elif score[2] < 2:
            continue
        if score > best:
            best, chosen = score, [function]
    if not chosen and len(functions) == 1 and said & {"tool", "function"}:
        return list(functions)
    return chosen


def arguments(function: DeclaredFunction, prompt: str) -> dict[str, Any]:
    """Arguments that `parameters` or `parametersJsonSchema` allows, with what the prompt has for them.

    Required members always; others when the prompt has a value of theirs; the first eight when none is required.
    Texts are quoted ones, then capitalised ones, in order, each used once; so are numbers within their limits.
    """
    given = [function.declaration.get(key) for key in ("parameters", "parametersJsonSchema")]
    schema = next((one for one in given if one and isinstance(one, dict)), {})
    answer = _Answer(schema, _Prompt(prompt[:_PROMPT], function.name[:_NAME]))
    return answer.members(answer.plain(schema), 0)


# What a prompt says


@lru_cache(maxsize=4096)
def _stem(word: str) -> str:
    """A word without the endings that come and go: lights, lighting and light are one."""
    word = _SHORT_FORM.sub("", word.casefold())
    word = re.sub(r"(?<=..[^s])(?<!new)s$", "", word)
    word = re.sub(r"(?<=...)(?:ing|ed|e)$", "", word)
    return re.sub(r"(?<=..)y$", "i", word)


def _stems(text: str, whole: bool = False) -> set[str]:
    """The words of a name, split at anything but letters and at camelCase humps; `whole` keeps the unsplit ones too."""
    words = _WORD.findall(_HUMP.sub(" ", text)) + (_WORD.findall(text) if whole else [])
    found = {_stem(word[:_TEXT]) for word in words}
    return found | {"not"} if any(_denies(word) for word in words) else found


def _said(prompt: str) -> set[str]:
    """The words of a prompt, one of each pair of opposites."""
    found = _stems(prompt, whole=True)
    return found - {weak for weak, strong in _PAIRS if strong in found}


def _denies(word: str) -> bool:
    return word.casefold().replace("’", "'").endswith("n't")


def _is_stop(word: str) -> bool:
    return _SHORT_FORM.sub("", word.casefold()) in _STOP or _denies(word)


def _named(functions: list[DeclaredFunction], prompt: str) -> list[DeclaredFunction]:
    """The functions whose exact name stands in the prompt; a name inside a longer one that does is not there."""
    left = prompt.casefold()
    found: set[str] = set()
    for function in sorted(functions, key=lambda function: -len(function.name)):
        name = function.name[:_NAME].casefold()
        if name and name in left and (rest := _without(name, left)) != left:
            left = rest
            found.add(function.name)
    return [function for function in functions if function.name in found]


def _without(name: str, text: str) -> str:
    return re.sub(re.escape(name).join(_EDGES), "\0", text, flags=re.IGNORECASE)


def _shared(function: DeclaredFunction, said: set[str]) -> int:
    """How many words that mean something a description shares with a prompt."""
    text = function.declaration.get("description")
    return len((_stems(text[:_DESCRIPTION]) & said) - _STOP_STEMS) if isinstance(text, str) else 0


_STOP_STEMS = frozenset(_stem(word) for word in _STOP)
_PAIRS = tuple((_stem(weak), _stem(strong)) for weak, strong in _OPPOSITES)
_EITHER_WAY = (*_PAIRS, *((strong, weak) for weak, strong in _PAIRS))
_YES = frozenset(_stem(word) for word in ("on", "yes", "true"))
_NO = frozenset(_stem(word) for word in ("off", "no", "not", "false"))


class _Prompt:
    """What a prompt has to fill arguments with; numbers and texts are taken out as they are used."""

    def __init__(self, prompt: str, name: str) -> None:
        text = _without(name, prompt) if name else prompt  # the function's own name is no value
        self.text = prompt
        self.words = _said(prompt)
        self.switch = False if self.words & _NO else True if self.words & _YES else None
        found = [number.replace(",", "") for number in _NUMBER.findall(text) if len(number) <= 16]
        self.numbers: list[int | float] = [float(number) if "." in number else int(number) for number in found]
        self.texts = ["".join(groups).strip() for groups in _QUOTED.findall(text)]
        self.texts += _capitalised(_QUOTED.sub("\0", text))
        content = [word for word in _VALUE.findall(text) if not _is_stop(word)]
        self.last = _SHORT_FORM.sub("", content[-1]) if content else prompt.strip()

    def use(self, value: Any) -> None:
        """Take a value out of what there is to use."""
        if isinstance(value, str):
            self.texts = [text for text in self.texts if text.casefold() != value.casefold()]
        elif not isinstance(value, bool) and value in self.numbers:
            self.numbers.remove(value)


def _capitalised(text: str) -> list[str]:
    """Capitalised words, neighbours as one ("New York"), but not the word a sentence starts with."""
    if text.isupper():
        return []
    found: list[str] = []
    end, joins = 0, False
    for match in _VALUE.finditer(text):
        word, gap = _SHORT_FORM.sub("", match[0]), text[end : match.start()]
        starts = end == 0 or re.search(r"[.!?…。！？\n]", gap)
        end = match.end()
        if starts or not word[0].isupper():
            joins = False
            continue
        if joins and gap == " ":
            found[-1] += f" {word}"
        else:
            found.append(word)
        joins = word == match[0]
    return [words for words in found if not _is_stop(words)]


# What a schema asks for


class _Answer:
    """One function's arguments in the making. `root` is what a $ref points into."""

    def __init__(self, root: dict[str, Any], prompt: _Prompt) -> None:
        self.root = root
        self.prompt = prompt
        self.left = _BUDGET

    def spend(self, cost: int) -> bool:
        """Pay for a look or a value. False, and nothing is paid, when it costs more than what is left."""
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def plain(self, schema: Any, into: dict[str, Any] | None = None, hops: int = _HOPS) -> dict[str, Any]:
        """A schema with what $ref and allOf name and the first of anyOf and oneOf merged in (see `_merge`)."""
        out = {} if into is None else into
        if not isinstance(schema, dict) or hops == 0 or not self.spend(_weight(schema)):
            return out
        _merge(out, schema)
        for key in ("$ref", "ref"):
            if isinstance(schema.get(key), str):
                self.plain(self.resolve(schema[key]), out, hops - 1)
        for part in _list(schema.get("allOf"))[:_BRANCHES]:
            self.plain(part, out, hops - 1)
        for key in ("anyOf", "oneOf"):
            self.plain(_branch(_list(schema.get(key))[:_BRANCHES]), out, hops - 1)
        return out

    def resolve(self, ref: str) -> Any:
        """What a local pointer such as #/$defs/City points at; None for any other."""
        if not self.spend(len(ref)):
            return None
        at: Any = self.root
        start, *steps = ref.split("/")
        for step in steps:
            at = at.get(unquote(step).replace("~1", "/").replace("~0", "~")) if isinstance(at, dict) else None
        return at if start == "#" else None

    def value(self, schema: Any, depth: int, must: bool) -> Any:
        """A value for a schema; _NOTHING when the prompt has none for it, unless there `must` be one."""
        about = self.plain(schema)
        if options := [about["const"]] if "const" in about else about.get("enum"):
            return self.option(options, about, must)
        match _kind(about):
            case "object":
                return self.members(about, depth) if must else _NOTHING
            case "array":
                return self.items(about, depth, must)
            case "null":
                return None if must else _NOTHING
            case "boolean":
                switch = self.prompt.switch
                return _pick(about, must, _NOTHING if switch is None else switch, True)
            case "string":
                return self.string(about, must)
            case _:
                return self.number(about, must)

    def members(self, about: dict[str, Any], depth: int) -> dict[str, Any]:
        """An object. Required members come first: they have the first pick of what the prompt says."""
        if depth == _DEPTH:
            return {}
        properties, required = about.get("properties", {}), about.get("required", {})
        least, most = about.get("minProperties", 0), about.get("maxProperties", len(properties))
        needed = [name for name in properties if name in required] + [n for n in required if n not in properties]
        others = [name for name in properties if name not in required and properties[name] is not False]
        hinted = others
        if depth == 0 and not required:
            needed, hinted = others[: max(0, floor(min(most, _AT_THE_TOP)))], []
        out: dict[str, Any] = {}
        for names, must, enough in ((needed, True, inf), (hinted, False, most), (others, True, least)):
            for name in names:
                if name in out or len(out) >= enough or not self.spend(8 + len(name)):
                    continue
                made = self.value(properties.get(name, about.get("additionalProperties")), depth + 1, must)
                if made is not _NOTHING:
                    out[name] = made
        return {name: out[name] for name in (*properties, *required) if name in out}

    def items(self, about: dict[str, Any], depth: int, must: bool) -> Any:
        """An array: one item, or as many as it must have, three at most."""
        rest = about.get("items")
        first = _list(about.get("prefixItems")) or _list(rest)  # prefixItems was a list of items before 2020-12
        count = min(max(1, about.get("minItems", 1)), about.get("maxItems", _ITEMS), _ITEMS)
        if rest is False:
            count = min(count, len(first))
        out: list[Any] = []
        for i in range(max(0, floor(count)) if depth < _DEPTH else 0):
            made = self.value(first[i] if i < len(first) else rest, depth + 1, must or i > 0)
            if made is _NOTHING or not self.spend(8):
                break
            out.append(made)
        return out if must or out else _NOTHING

    def option(self, options: list[Any], about: dict[str, Any], must: bool) -> Any:
        """A value of an enum: the one the prompt names with the most words, else the default, else the first."""
        types = about.get("type", ())
        allowed = [one for one in options[:_OPTIONS] if self.spend(8) and _is_of(one, types)]
        if not allowed and {"integer", "number"} & set(types):  # OpenAPI writes the numbers of an enum as strings
            allowed = [number for one in options[:_OPTIONS] if (number := _limit(one)) is not None]
        scores = [self.mentions(one) for one in allowed]
        if any(scores):
            named = allowed[scores.index(max(scores))]
            self.prompt.use(named)
            return self.copy(named)
        if not must:
            return _NOTHING
        real = [one for one in allowed if one is not None]
        default = [one for one in real if _is_plain(one) and one == about.get("default")]
        return self.copy((default + real + allowed + options)[0])

    def mentions(self, option: Any) -> int:
        """How many words of the prompt name this value of an enum."""
        if isinstance(option, str):
            words = _stems(option[:_TEXT])
            if words:
                return len(words) if words <= self.prompt.words else 0
            return int(bool(option.strip()) and f" {option[:_TEXT]} " in self.prompt.text)  # such as "+"
        if isinstance(option, bool):
            return int(option is self.prompt.switch)
        return int(isinstance(option, (int, float)) and option in self.prompt.numbers)

    def string(self, about: dict[str, Any], must: bool) -> Any:
        form, texts = about.get("format"), self.prompt.texts
        if isinstance(form, str) and form in _FORMATS:
            return self.sized(_FORMATS[form], about) if must else _NOTHING
        # a text of the prompt hardly has the pattern asked for; what the declaration gives may
        said = texts.pop(0) if texts and ("pattern" not in about or _given(about) is _NOTHING) else _NOTHING
        made = _pick(about, must, said, self.prompt.last[:_TEXT])
        return self.sized(made, about) if isinstance(made, str) else made

    def sized(self, text: str, about: dict[str, Any]) -> str:
        """A text cut or repeated to fit its limits, as far as the budget goes."""
        most = min(about.get("maxLength", inf), self.left)
        least = min(about.get("minLength", 0), most)
        if len(text) < least:
            piece = f"{text} " if text else "x"
            text = (piece * (ceil(least) // len(piece) + 1))[: ceil(least)]
        text = text[: max(0, floor(most))]
        self.spend(len(text))
        return text

    def number(self, about: dict[str, Any], must: bool) -> Any:
        said = next((number for number in self.prompt.numbers if _fits(number, about)), _NOTHING)
        if said is not _NOTHING:
            self.prompt.use(said)
        return _pick(about, must, said, _invented(about) if must and self.spend(_SEARCH) else 1)

    def copy(self, value: Any, depth: int = _HOPS) -> Any:
        """A value of the declaration, as far as depth and budget go."""
        if isinstance(value, dict):
            return {k: self.copy(v, depth - 1) for k, v in value.items() if depth and self.spend(8 + len(k))}
        if isinstance(value, list):
            return [self.copy(one, depth - 1) for one in value if depth and self.spend(8)]
        return "" if isinstance(value, str) and not self.spend(len(value)) else value


def _pick(about: dict[str, Any], must: bool, said: Any, invented: Any) -> Any:
    """What the prompt says, else what the declaration gives, else something that fits."""
    if said is not _NOTHING or not must:
        return said
    given = _given(about)
    return invented if given is _NOTHING else given


def _given(about: dict[str, Any]) -> Any:
    """The default or the example of a declaration, when it is a plain value that fits."""
    examples = [*_list(about.get("examples"))[:1], *([about["example"]] if "example" in about else [])]
    given = [*([about["default"]] if "default" in about else []), *examples]
    return next((one for one in given if _fits(one, about)), _NOTHING)


def _weight(schema: dict[str, Any]) -> int:
    """What it costs to read a schema: its size without what is inside."""
    parts = (schema.get(key) for key in ("properties", "required", "enum"))
    return 16 + sum(len(part) for part in parts if isinstance(part, (dict, list)))


def _merge(out: dict[str, Any], schema: dict[str, Any]) -> None:
    """Add a schema's keywords to those in `out`, so that both hold; what has the wrong type is left out.

    In `out`, type is a list of lower-case names, required a dict without values, and limits are numbers.
    """
    if types := _types(schema.get("type")):
        old = out.get("type", types)
        if "number" in old and "integer" in types:
            old = ["integer" if name == "number" else name for name in old]
        shared = [name for name in old if name in types or (name == "integer" and "number" in types)]
        out["type"] = shared or old
    if options := _list(schema.get("enum")):
        old = out.get("enum", ())[:_BRANCHES]
        both = [one for one in old if _is_plain(one) and one in options[:_BRANCHES]]
        out["enum"] = both or old or options
    if isinstance(schema.get("properties"), dict):
        mine = out.setdefault("properties", {})
        for name, about in schema["properties"].items():
            mine[name] = {"allOf": [mine[name], about]} if name in mine else about
    if isinstance(schema.get("required"), list):
        names = (name for name in schema["required"] if isinstance(name, str))
        out.setdefault("required", {}).update(dict.fromkeys(names))
    for keys, narrower in ((_LOWER, max), (_UPPER, min)):
        for key in keys:
            if (limit := _limit(schema.get(key))) is not None:
                out[key] = narrower(out.get(key, limit), limit)
    if (step := _limit(schema.get("multipleOf"))) is not None and step > 0:
        out.setdefault("multipleOf", step)
    if "items" in schema:
        out["items"] = {"allOf": [out["items"], schema["items"]]} if "items" in out else schema["items"]
    for key in _FIRST:
        if key in schema:
            out.setdefault(key, schema[key])


def _branch(branches: list[Any]) -> Any:
    """The first of several schemas that is more than null; constants together are an enum."""
    parts = [part for part in branches if isinstance(part, dict)]
    if parts and all("const" in part for part in parts):
        return {"enum": [part["const"] for part in parts]}
    return next((part for part in parts if _types(part.get("type")) != ["null"]), parts[0] if parts else None)


def _types(value: Any) -> list[str]:
    names = value[:_BRANCHES] if isinstance(value, list) else [value]
    return [name.lower() for name in names if isinstance(name, str) and name.lower() in _TYPES]


def _kind(about: dict[str, Any]) -> str:
    """The type to make a value of: the first that is not null; what the keywords tell when none is named."""
    types = about.get("type", ())
    if types:
        return next((name for name in types if name != "null"), "null")
    if "properties" in about or "required" in about:
        return "object"
    if "items" in about or "prefixItems" in about:
        return "array"
    return "number" if any(key in about for key in (*_NUMERIC, "multipleOf")) else "string"


def _is_plain(value: Any) -> bool:
    return not isinstance(value, (dict, list))


def _is_of(value: Any, types: Iterable[str]) -> bool:
    """Is this a JSON value of one of these types? Of no types, every value is."""
    match value:
        case None:
            names = {"null"}
        case bool():
            names = {"boolean"}
        case int() | float():
            names = {"number", "integer"} if value == value // 1 else {"number"}
        case str():
            names = {"string"}
        case _:
            names = {"array" if isinstance(value, list) else "object"}
    return not types or bool(names & set(types))


def _fits(value: Any, about: dict[str, Any]) -> bool:
    """Is this plain value within the type and the limits of a schema?"""
    if value is None and about.get("nullable") is True:
        return True
    if not _is_plain(value) or not _is_of(value, about.get("type", (_kind(about),))):
        return False
    if isinstance(value, str):
        return bool(about.get("minLength", 0) <= len(value) <= about.get("maxLength", inf))
    if value is None or isinstance(value, bool):
        return True
    return bool(
        _limit(value) is not None
        and about.get("minimum", -inf) <= value <= about.get("maximum", inf)
        and about.get("exclusiveMinimum", -inf) < value < about.get("exclusiveMaximum", inf)
        and ("multipleOf" not in about or _decimal(value) % _decimal(about["multipleOf"]) == 0)
    )


def _limit(value: Any) -> int | float | None:
    """A number of a declaration, which may come in a string; None for anything else, too large ones included."""
    if isinstance(value, str):
        try:
            value = int(value) if value.lstrip("+-").isdigit() and len(value) <= 20 else float(value[:40])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
        return None
    return value


def _decimal(number: int | float) -> Fraction:
    """A number as it is written: 0.1 is a tenth."""
    return Fraction(str(number))


def _invented(about: dict[str, Any]) -> int | float:
    """A number that fits: the least there may be, else 1, else what is near a limit; 1 when nothing fits."""
    lows = [_decimal(about[key]) for key in ("minimum", "exclusiveMinimum") if key in about]
    highs = [_decimal(about[key]) for key in ("maximum", "exclusiveMaximum") if key in about]
    low, high = max(lows, default=Fraction(1)), min(highs, default=Fraction(1))
    steps = (Fraction(1), _decimal(about.get("multipleOf", 1)))
    for at in (low, high, Fraction(1), Fraction(0), (low + high) / 2):
        near = ((nearest(at / step) + by) * step for step in steps for nearest in (ceil, floor) for by in (0, 1, -1))
        for number in (at, *near, at + abs(at), at - abs(at)):
            made = _written(number)
            if made is not None and _fits(made, about):
                return made
    return 1


def _written(number: Fraction) -> int | float | None:
    if number.denominator == 1 and abs(number) < 2**63:
        return int(number)
    return float(number) if abs(number) <= _LARGEST else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
