"""The schemas beside the public protobuf descriptors, where those are installed.

- What the reference printer writes, every schema takes.
- One key renamed, in whatever message: a client is at fault there, a server has news there.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from livews.conversation import Conversation
from livews.core import canonical, schema, validation

json_format = pytest.importorskip("google.protobuf.json_format", reason="protobuf is not installed")
types = pytest.importorskip(
    "google.ai.generativelanguage_v1beta.types.generative_service",
    reason="google-ai-generativelanguage is not installed: pip install google-ai-generativelanguage==0.12.1",
)

HOW_MANY = 400
_WORDS = ["", "hello", "models/test", "Grüße", "audio/pcm;rate=16000", "a/b~c", "snake_case"]
_STRUCTS = {"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"}


def fill(message: Any, dice: random.Random, depth: int) -> None:
    """Set some members of a protobuf message, at most one of each oneof."""
    for field in dice.sample(list(message.DESCRIPTOR.fields), len(message.DESCRIPTOR.fields)):
        chance = 0.9 if depth == 0 else 0.5 if depth < 4 else 0.2
        if dice.random() > chance:
            continue
        if field.containing_oneof and message.WhichOneof(field.containing_oneof.name):
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            for _ in range(dice.randint(0, 2)):
                key = dice.choice(["first_name", "camelKey", "k"])
                if value.message_type:
                    if depth < 7:
                        fill(getattr(message, field.name)[key], dice, depth + 1)
                else:
                    getattr(message, field.name)[key] = scalar(value, dice)
        elif field.message_type:
            if depth < 7:
                for _ in range(dice.randint(1, 2) if field.is_repeated else 1):
                    inner = getattr(message, field.name)
                    submessage(inner.add() if field.is_repeated else inner, dice, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(scalar(field, dice) for _ in range(dice.randint(0, 2)))
        else:
            setattr(message, field.name, scalar(field, dice))


def submessage(message: Any, dice: random.Random, depth: int) -> None:
    name = message.DESCRIPTOR.full_name
    message.SetInParent()
    if name == "google.protobuf.Struct":
        message.update({"snake_key": 1.5, "camelKey": {"deep_er": [True, None, "x"]}})
    elif name == "google.protobuf.Value":
        message.string_value = "x"
    elif name == "google.protobuf.ListValue":
        message.extend([1, "x"])
    elif name == "google.protobuf.Duration":
        message.FromMilliseconds(dice.randint(0, 10**7))
    elif name == "google.protobuf.Timestamp":
        message.FromSeconds(dice.randint(0, 10**9))
    else:
        fill(message, dice, depth)


def scalar(field: Any, dice: random.Random) -> Any:
    match field.cpp_type:
        case field.CPPTYPE_STRING:
            if field.type == field.TYPE_BYTES:
                return dice.randbytes(dice.randint(0, 12))
            return dice.choice(_WORDS)
        case field.CPPTYPE_BOOL:
            return dice.random() < 0.5
        case field.CPPTYPE_ENUM:
            return dice.choice(field.enum_type.values).number
        case field.CPPTYPE_DOUBLE | field.CPPTYPE_FLOAT:
            return dice.choice([0.0, 0.5, -1.25, 1e10, float("inf"), float("nan")])
        case field.CPPTYPE_INT64:
            return dice.choice([0, 1, -1, 2**63 - 1, -(2**63), 25600])
        case _:
            return dice.choice([0, 1, -1, 2**31 - 1, -(2**31), 40])


def messages(sender: str) -> Iterator[tuple[random.Random, Any, dict[str, Any]]]:
    """(dice, protobuf message, its JSON)"""
    kinds = {"client": types.BidiGenerateContentClientMessage, "server": types.BidiGenerateContentServerMessage}
    for seed in range(HOW_MANY):
        dice = random.Random(f"{sender} {seed}")
        message = kinds[sender].pb(kinds[sender]())
        fill(message, dice, 0)
        snake = dice.random() < 0.5
        printed = json_format.MessageToJson(message, preserving_proto_field_name=snake)
        # type_ and its like are names of the Python wrappers; the wire has no such underscore
        yield dice, message, json.loads(re.sub(r'"(\w+)_":', r'"\1":', printed))


@pytest.mark.parametrize("sender", ["client", "server"])
def test_what_protobuf_prints_the_schemas_take(sender: Any) -> None:
    size = 0
    for _, _, message in messages(sender):
        found = canonical.fold(sender, message)
        assert validation.violations(sender, found.message) == []
        assert (found.unknown, found.unknown_values) == ([], [])
        size += len(json.dumps(message))
    assert size > HOW_MANY * 200, "the messages have something in them"


@pytest.mark.parametrize("sender", ["client", "server"])
def test_canonical_is_what_protobuf_prints_in_camel_case(sender: Any) -> None:
    for _, message, printed in messages(sender):
        assert canonical.fold(sender, printed).message == json.loads(json_format.MessageToJson(message))


def places(message: Any, value: Any, path: str = "") -> Iterator[tuple[dict[str, Any], str, str]]:
    """(object, key, its path) of every member of every message; no keys of a Struct or of a map."""
    descriptor = message if hasattr(message, "fields_by_name") else message.DESCRIPTOR
    by_name = {name: f for f in descriptor.fields for name in (f.name, f.json_name)}
    for key, child in value.items():
        field = by_name[key]
        yield value, key, f"{path}/{schema.pointer(key)}"
        inner = field.message_type
        if inner is None or inner.full_name in _STRUCTS | {"google.protobuf.Duration", "google.protobuf.Timestamp"}:
            continue
        if inner.GetOptions().map_entry:
            inside = inner.fields_by_name["value"].message_type
            for map_key, item in child.items():
                if inside is not None:
                    yield from places(inside, item, f"{path}/{schema.pointer(key)}/{schema.pointer(map_key)}")
        elif isinstance(child, list):
            for i, item in enumerate(child):
                yield from places(inner, item, f"{path}/{schema.pointer(key)}/{i}")
        else:
            yield from places(inner, child, f"{path}/{schema.pointer(key)}")


def renamed(sender: str) -> Iterator[tuple[dict[str, Any], str]]:
    """(message with one key renamed, its path with every member in camelCase)"""
    for dice, message, _ in messages(sender):
        body = json.loads(json_format.MessageToJson(message))
        where = list(places(message, body))
        if not where:
            continue
        holder, key, path = dice.choice(where)
        kept = copy.copy(holder)
        holder.clear()
        holder.update({(f"{k}Xq" if k == key else k): v for k, v in kept.items()})
        yield body, f"{path}Xq"


def test_a_renamed_member_of_a_client_message_is_an_error_at_its_place() -> None:
    tried = 0
    for body, path in renamed("client"):
        violations = validation.violations("client", canonical.fold("client", body).message)
        assert [(one.kind, one.path) for one in violations] == [("unknown", path)]
        found = [one for one in Conversation().step_message("client", body).faults if one.rule == "WIRE-5"]
        assert [one.path for one in found] == [path]
        tried += 1
    assert tried >= 300


def test_a_renamed_member_of_a_server_message_is_news_at_its_place() -> None:
    tried = 0
    for body, path in renamed("server"):
        step = Conversation().step_message("server", body)
        assert not [one for one in step.faults if one.rule != "WIRE-3"]
        assert [one.path for one in step.notes if one.rule == "WIRE-6"] == [path]
        tried += 1
    assert tried >= 300
