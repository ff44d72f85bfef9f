"""What the stand-in calls, and with what: by the rows of tests/data/function_calls.json, and by generated schemas.

- Arguments are judged by a JSON Schema validator that shares nothing with the code under test.
- Any JSON may stand in a declaration; it may make the arguments poor, never an exception or a megabyte.
"""

from __future__ import annotations

import copy
import json
from functools import cache
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livews.server.function_calls import DeclaredFunction, arguments, declared, wanted
from tests.kit.names import DATA as FOLDER

slow = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
many = settings(slow, max_examples=200)


def functions(*declarations: dict[str, Any] | str) -> list[DeclaredFunction]:
    made = [{"name": one} if isinstance(one, str) else one for one in declarations]
    return declared([{"functionDeclarations": made}], "BLOCKING")


def names(prompt: str, *declarations: dict[str, Any] | str) -> list[str]:
    return [function.name for function in wanted(functions(*declarations), prompt)]


def fill(schema: Any, prompt: str, name: str = "f", key: str = "parametersJsonSchema") -> dict[str, Any]:
    made = arguments(DeclaredFunction(name, {"name": name, key: schema}, "BLOCKING"), prompt)
    assert made == arguments(DeclaredFunction(name, {"name": name, key: schema}, "BLOCKING"), prompt), (
        "twice the same"
    )
    json.dumps(made, allow_nan=False)
    return made


def one(schema: Any, prompt: str) -> Any:
    """What is made for a required member of this schema."""
    return fill({"type": "object", "properties": {"it": schema}, "required": ["it"]}, prompt)["it"]


DATA: dict[str, Any] = json.loads((FOLDER / "function_calls.json").read_text(encoding="utf-8"))


def rows_of(kind: str) -> list[Any]:
    """The rows of all groups of a kind."""
    return [pytest.param(*row, id=f"{why}: {row[0]}"[:90]) for why, rows in DATA[kind].items() for row in rows]


# Declarations


def test_declared_in_setup_and_in_a_context_update() -> None:
    tools = [
        {"googleSearch": {}},
        {
            "functionDeclarations": [
                {"name": "a", "behavior": "NON_BLOCKING"},
                {"name": "b", "behavior": "UNSPECIFIED"},
            ]
        },
        {"functionDeclarations": [{"name": "c", "behavior": "BLOCKING"}, {"name": "a"}]},
    ]
    found = declared(tools, "NON_BLOCKING")
    assert [(f.name, f.behavior) for f in found] == [("a", "NON_BLOCKING"), ("b", "NON_BLOCKING"), ("c", "BLOCKING")]
    assert found[0].declaration is tools[1]["functionDeclarations"][0]  # type: ignore[index]
    assert declared({"tools": tools}, "NON_BLOCKING") == found
    assert [f.behavior for f in declared(tools, "BLOCKING")] == ["NON_BLOCKING", "BLOCKING", "BLOCKING"]
    assert [f.behavior for f in declared(tools, "")] == ["NON_BLOCKING", "BLOCKING", "BLOCKING"]


@pytest.mark.parametrize(
    "tools",
    [
        None,
        [],
        {},
        {"tools": []},
        {"tools": {"tools": []}},
        5,
        "x",
        [None, 5, [], {"functionDeclarations": {"name": "f"}}],
        [{"functionDeclarations": [None, {}, {"name": 5}, {"name": ""}, {"name": "x" * 129}, "f"]}],
    ],
)
def test_what_declares_nothing(tools: Any) -> None:
    assert declared(tools, "BLOCKING") == []


# Which are called, and with what


@pytest.mark.parametrize(("prompt", "declarations", "called"), rows_of("called"))
def test_called(prompt: str, declarations: list[Any] | str, called: list[str]) -> None:
    assert names(prompt, *(DATA[declarations] if isinstance(declarations, str) else declarations)) == called


def test_a_name_after_much_space_is_not_looked_for() -> None:
    assert names(" " * 10_000 + "light", "light") == []


@pytest.mark.parametrize(
    ("schema", "prompt", "value"),
    [*DATA["values"], ({"type": "integer"}, "9" * 5000, 1), ({"type": "integer"}, " " * 10_000 + "5", 1)],
    ids=lambda value: str(value)[:40],
)
def test_values(schema: Any, prompt: str, value: Any) -> None:
    made = one(schema, prompt)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(("declaration", "prompt", "made"), rows_of("objects"))
def test_objects(declaration: dict[str, Any], prompt: str, made: dict[str, Any]) -> None:
    ((key, schema),) = declaration.items()
    assert list(fill(schema, prompt, key=key).items()) == list(made.items())


def test_no_parameters_no_arguments() -> None:
    assert fill({}, "in Paris") == {}
    assert fill(None, "in Paris") == {}
    assert fill(True, "in Paris") == {}
    assert arguments(DeclaredFunction("f", {}, "BLOCKING"), "in Paris") == {}
    both = {"parameters": {}, "parametersJsonSchema": {"properties": {"city": {}}}}
    assert arguments(DeclaredFunction("f", both, "BLOCKING"), 'in "Paris"') == {"city": "Paris"}


# Arguments are valid

PROMPTS = [
    "",
    "Hello",
    "What's the weather in New York in Fahrenheit?",
    'Set the light to 40, 2.5 or -7 and say "good night" to Bob',
    "Turn it off, not on",
    "low b 3 4 5 6 7 true",
]
prompts = st.sampled_from(PROMPTS) | st.text(max_size=60)
words = st.sampled_from(["a", "b", "low", "high", "living_room", "Fahrenheit", "", "x y", "+"])
scalars = st.none() | st.booleans() | st.integers(-9, 9) | words
hints = st.fixed_dictionaries({}, optional={"default": scalars, "example": scalars, "description": words})
limits = st.integers(-20, 20)


@st.composite
def texts(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.integers(0, 3)) == 0:
        return {
            "type": "string",
            "format": draw(st.sampled_from(["date", "date-time", "time", "email", "uuid", "uri"])),
        }
    low = draw(st.integers(0, 130))
    size = {"minLength": low, "maxLength": draw(st.integers(low, 150))}
    return {"type": "string", **{key: size[key] for key in draw(st.sets(st.sampled_from(sorted(size))))}}


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, Any]:
    """A number or an integer with at least one value."""
    kind = draw(st.sampled_from(["integer", "number"]))
    low, room = draw(limits), draw(st.integers(0, 12))
    schema: dict[str, Any] = {"type": kind}
    if draw(st.booleans()):
        open_low, open_high = draw(st.booleans()), draw(st.booleans())
        high = low + room + 2 * (open_low or open_high)  # room for both ends left out
        schema["exclusiveMinimum" if open_low else "minimum"] = low
        schema["exclusiveMaximum" if open_high else "maximum"] = high
    else:
        shift = draw(st.sampled_from([0, 0.5]))
        some = {"minimum": low - shift, "maximum": low + room + shift}
        schema |= {key: some[key] for key in draw(st.sets(st.sampled_from(sorted(some))))}
    return schema


def enums() -> st.SearchStrategy[dict[str, Any]]:
    plain = st.lists(scalars, min_size=1, max_size=4, unique_by=lambda v: json.dumps(v)).map(lambda v: {"enum": v})
    typed = st.lists(words, min_size=1, max_size=4, unique=True).map(lambda v: {"type": "string", "enum": v})
    nested = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2)
    )
    return plain | typed | nested.map(lambda v: {"const": v})


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    plain = st.one_of(
        texts(),
        numbers(),
        enums(),
        st.sampled_from(
            [{"type": "boolean"}, {"type": "null"}, {}, {"$ref": "#/$defs/text"}, {"$ref": "#/$defs/tree"}]
        ),
        st.sampled_from(["string", "integer", "boolean", "array"]).map(lambda kind: {"type": [kind, "null"]}),
    )
    return st.builds(lambda schema, more: {**more, **schema}, plain, hints)


@st.composite
def objects(draw: st.DrawFn, depth: int, least: int = 0) -> dict[str, Any]:
    keys = st.sampled_from(["city", "n", "on", "unit", "äöü", "a/b", "", "type", "properties", "$ref"])
    properties = draw(st.dictionaries(keys, schemas(depth - 1), min_size=least, max_size=4))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required or draw(st.booleans()):
        schema["required"] = required
    if draw(st.booleans()):
        schema["additionalProperties"] = draw(st.booleans())
    if draw(st.integers(0, 4)) == 0 and schema.get("additionalProperties") is not False:
        schema["required"] = [*required, "extra"]
        if draw(st.booleans()):
            schema["additionalProperties"] = draw(schemas(0))
    return schema


@st.composite
def arrays(draw: st.DrawFn, depth: int) -> dict[str, Any]:
    low = draw(st.integers(0, 3))
    schema: dict[str, Any] = {"type": "array", "items": draw(schemas(depth - 1))}
    if draw(st.booleans()):
        schema["prefixItems"] = draw(st.lists(schemas(depth - 1), min_size=1, max_size=3))
        if draw(st.booleans()):
            schema["items"], low = False, min(low, len(schema["prefixItems"]))
    if draw(st.booleans()):
        schema["minItems"] = low
    if draw(st.booleans()):
        schema["maxItems"] = draw(st.integers(low, 4))
    return schema


@st.composite
def mixes(draw: st.DrawFn, depth: int) -> dict[str, Any]:
    """anyOf, oneOf with no two branches that take one value, allOf that some value fits."""
    match draw(st.integers(0, 4)):
        case 0:
            return {"anyOf": draw(st.lists(schemas(depth - 1), min_size=1, max_size=3))}
        case 1:
            branches = [
                {"type": "null"},
                draw(texts()),
                draw(numbers()),
                draw(objects(depth - 1)),
                {"type": "boolean"},
            ]
            return {"oneOf": draw(st.permutations(branches))[: draw(st.integers(1, 4))]}
        case 2:
            tags = [
                {
                    "type": "object",
                    "properties": {"kind": {"const": tag}, "x": draw(schemas(depth - 1))},
                    "required": ["kind", "x"],
                }
                for tag in ("a", "b")
            ]
            return {draw(st.sampled_from(["anyOf", "oneOf"])): tags}
        case 3:
            low = draw(limits)
            parts = [{"minimum": low}, {"type": "integer"}, {"title": "n"}]
            return {"allOf": draw(st.permutations(parts)), "maximum": low + draw(st.integers(0, 5))}
        case _:
            left, right = draw(schemas(depth - 1)), draw(schemas(depth - 1))
            parts = [
                {"type": "object", "properties": {"left": left}, "required": ["left"]},
                {"properties": {"right": right, "left": {"description": "again"}}, "required": ["right"]},
            ]
            return {"allOf": parts}


@cache
def schemas(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    if depth <= 0:
        return leaves()
    return st.one_of(leaves(), objects(depth), arrays(depth), mixes(depth))


DEFS = {
    "text": {"$ref": "#/$defs/short"},
    "short": {"type": "string", "maxLength": 12, "minLength": 2},
    "tree": {
        "type": "object",
        "properties": {
            "value": {"$ref": "#/$defs/short"},
            "left": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
            "more": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2},
        },
        "required": ["value"],
        "additionalProperties": False,
    },
}
# two levels of mixes and the tree below them stay within the five that are filled
roots = (objects(2) | mixes(2).filter(lambda schema: "allOf" in schema and "left" in str(schema["allOf"]))).map(
    lambda schema: {**schema, "$defs": DEFS}
)


def complaints(schema: dict[str, Any], value: Any) -> list[str]:
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return [error.message for error in validator.iter_errors(value)]


@given(schema=roots, prompt=prompts)
@many
def test_arguments_are_valid_json_schema(schema: dict[str, Any], prompt: str) -> None:
    before = copy.deepcopy(schema)
    assert complaints(schema, fill(schema, prompt)) == []
    assert schema == before


@given(schema=roots, prompt=prompts)
@many
def test_arguments_are_valid_in_the_dialect_of_parameters(schema: dict[str, Any], prompt: str) -> None:
    assert complaints(schema, fill(as_openapi(schema), prompt, key="parameters")) == []


def as_openapi(schema: Any) -> Any:
    """The same schema as `parameters` writes it: capitals, 64-bit limits as strings, nullable, ref and defs."""
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    kind = out.get("type")
    if isinstance(kind, list):
        out |= {"type": kind[0].upper(), "nullable": True}
    elif kind:
        out["type"] = kind.upper()
    for key in ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"):
        if key in out:
            out[key] = str(out[key])
    for key in ("minimum", "maximum"):
        if key in out:
            out[key] = str(out[key])
    if "$ref" in out:
        out["ref"] = out.pop("$ref").replace("$defs", "defs")
    if "$defs" in out:
        out["defs"] = out.pop("$defs")
    for key in ("properties", "defs"):
        if key in out:
            out[key] = {name: as_openapi(inner) for name, inner in out[key].items()}
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if key in out:
            out[key] = [as_openapi(inner) for inner in out[key]]
    for key in ("items", "additionalProperties"):
        if key in out:
            out[key] = as_openapi(out[key])
    return out


# Anything at all

LIKELY = {
    "type": ["OBJECT", "object", "array", "string", "integer", ["number", "null"], ["null"], []],
    "required": [["a"], ["a", "b", 5, None], []],
    "$ref": ["#", "#/$defs/a", "#/properties/b", "#/%24defs/a"],
    "ref": ["#", "#/$defs/a"],
    "enum": [["a", 5, None, {}], [], [True]],
    "minItems": [2, "3", 1e300, 0.5],
    "maxItems": [0, "1", -1],
    "minLength": [4, "9", 1e300, 0.5],
    "multipleOf": [0, 3, -2, 0.1, 5e-324, "7"],
    "format": ["date", "time"],
}
KEYS = [
    "type", "properties", "required", "items", "prefixItems", "enum", "const", "default", "example", "examples",
    "anyOf", "oneOf", "allOf", "$ref", "ref", "$defs", "format", "pattern", "nullable", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems",
    "minProperties", "maxProperties", "additionalProperties", "name", "description", "parameters",
    "parametersJsonSchema", "behavior", "functionDeclarations", "tools", "a",
]  # fmt: skip
ODD = [
    "object", "OBJECT", "array", "string", "integer", "number", "boolean", "null", "#", "#/$defs/a", "#/properties/a",
    "a", "", "\0", "\ud800", "%ff", "(a+)+$", "date", "5", "-5", "²", "1e999", "NaN", "9" * 5000, "x" * 500,
    0, 1, -1, 3, 0.5, 1e308, -1e308, 5e-324, 2**63, 2**70, 10**400, True, False, None,
]  # fmt: skip


def anything(random: Random, depth: int) -> Any:
    """Some JSON, made of a schema's keywords, half of them with a value that could be theirs."""
    chance = random.random()
    if depth == 0 or chance < 0.3:
        return random.choice(ODD)
    if chance < 0.45:
        return [anything(random, depth - 1) for _ in range(random.randint(0, 4))]
    keys = random.sample(KEYS, random.randint(0, 7))
    return {
        key: random.choice(LIKELY.get(key, ODD)) if random.random() < 0.5 else anything(random, depth - 1)
        for key in keys
    }


@pytest.mark.parametrize("start", range(0, 3_000, 500))
def test_any_json_is_answered(start: int) -> None:
    for seed in range(start, start + 500):
        random = Random(seed)
        within, more = anything(random, 4), anything(random, 3)
        prompt = random.choice([*PROMPTS, "\ud800 '\0' % a", "It is \x1b[2J 5e5 ٣.٥ ² ½ «»"])
        schema = {"properties": {"a": within, "b": {"allOf": [within, {"$ref": "#"}]}}, "$defs": {"a": within}}
        schema |= more if isinstance(more, dict) else {}
        made = fill(schema, prompt)
        assert isinstance(made, dict), seed
        assert len(json.dumps(made)) < 1_000_000, seed
        named = {"name": random.choice(["a", "b", "use"]), "parameters": within}
        tools = [{"functionDeclarations": [schema, within, named]}, within]
        for function in wanted(declared(tools, "BLOCKING"), f"{prompt} a, b or the tool"):
            assert isinstance(arguments(function, prompt), dict), seed
        declared(within, "NON_BLOCKING")


def nested(key: str, levels: int, wrap: Any = lambda schema: schema) -> dict[str, Any]:
    schema: Any = {"type": "string"}
    for _ in range(levels):
        schema = {key: wrap(schema)}
    return schema  # type: ignore[no-any-return]


FAR = {"$ref": "#" + "/a" * 1_000_000}
WIDE = {f"p{i}": {"$ref": "#"} for i in range(1_000)}


@pytest.mark.parametrize(
    "schema",
    [
        nested("items", 5_000),
        nested("allOf", 5_000, lambda schema: [schema] * 50),
        nested("anyOf", 5_000, lambda schema: [schema]),
        nested("properties", 5_000, lambda schema: {"a": schema}),
        {"const": nested("a", 5_000)},
        {"allOf": [{"enum": [nested("a", 5_000)]}, {"enum": [nested("a", 5_000)]}]},
        {"enum": [nested("a", 5_000)], "default": nested("a", 5_000)},
        {"format": nested("a", 5_000), "type": "string"},
        {"$ref": "#/properties/it"},
        {"allOf": [{"$ref": "#/properties/it"}] * 1_000},
        {"type": "object", "properties": WIDE, "required": list(WIDE)},
        {"type": "object", "required": [f"p{i}" for i in range(100_000)]},
        {"type": "object", "required": ["x" * 10_000_000]},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "minLength": 1e300, "maxLength": 1e305},
        {"type": "string", "default": "x" * 10_000_000},
        {"type": "string", "maxLength": -5},
        {"type": "array", "minItems": 10**18, "items": {"type": "array", "minItems": 10**18}},
        {"enum": ["x" * 10_000_000]},
        {"enum": [str(i) for i in range(100_000)]},
        {"const": ["x" * 100] * 100_000},
        {"type": "integer", "minimum": 1e307, "multipleOf": 5e-324},
        {"type": "integer", "multipleOf": 3, "default": 10**5_000},
        {"type": "integer", "exclusiveMinimum": 1e307, "exclusiveMaximum": 1e307},
        {"type": "string", "pattern": "(a+)+$", "default": "a" * 50 + "!"},
        {"type": "object", "properties": {name: FAR for name in WIDE}, "required": list(WIDE)},
    ],
)
def test_hostile_schemas_get_a_bounded_answer(schema: dict[str, Any]) -> None:
    made = fill({"type": "object", "properties": {"it": schema}, "required": ["it"]}, 'say "it" in Rome, 5')
    assert len(json.dumps(made)) < 200_000


def test_a_long_enum_leaves_room_for_the_rest() -> None:
    schema = {
        "properties": {"it": {"enum": [f"value {i}" for i in range(50_000)]}, "city": {}},
        "required": ["it", "city"],
    }
    assert fill(schema, 'in "Rome"') == {"it": "value 0", "city": "Rome"}


def test_a_thousand_functions_and_long_prompts() -> None:
    long = [{"name": f"function_number_{i}", "description": "weather light " * 10_000} for i in range(5_000)]
    found = functions(*long)
    assert len(found) == 1_024
    assert names("the light weather", *long) == ["function_number_0"]
    assert len(wanted(found, " ".join(f.name for f in found))) == 16
    for prompt in ("“" * 100_000, "'" * 100_000, "A " * 100_000, "1," * 100_000, "a" * 1_000_000):
        assert isinstance(wanted(found, prompt), list)
        assert isinstance(one({"type": "string"}, prompt), str)
