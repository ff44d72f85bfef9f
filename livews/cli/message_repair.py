"""What `livews check --fix` does to one message: `repaired()` makes the changes that are certain.

- A change renames, moves, merges or leaves out a member, or writes a value in another way. It is made only if fewer
  findings are left, by itself or with further ones.
- What is not understood stays where it is.
- The repair of a repaired message is the same message.
"""

import copy
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from livews import walk
from livews.advice import judge, model_advice, names
from livews.cli import loose_json
from livews.core import codec, models, protocol, rules, schema
from livews.core.reading import Reading, read
from livews.core.schema import Location, Sender, locate
from livews.core.validation import Violation

_MOST = 200
"""Repairs of one message."""
_TRIES = 400
"""Changes that are tried to find the next repair which needs further ones."""
_AHEAD = 3
"""Further repairs that a repair may need, each of which shows others."""
_TEMPLATES: dict[str, Any] = {
    "BidiGenerateContentSetup": {"model": None},
    "Content": {"parts": [{"text": None}]},
    "Part": {"text": None},
    "PrebuiltVoiceConfig": {"voiceName": None},
    "SpeechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": None}}},
    "VoiceConfig": {"prebuiltVoiceConfig": {"voiceName": None}},
}
"""Objects that are meant by a string: None is its place."""
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+(?:;[\w-]+=[\w.+-]+)*)?;base64,(.*)", re.DOTALL)
_BYTES = re.compile(r"""b(['"])([\w+/=-]*)\1""")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?")
_SCHEMA_VALUES = ("enum", "const", "default", "example", "examples")
"""Keywords of a JSON Schema in whose values no schema stands."""

_Cost = tuple[int, int]
"""Errors, and other findings."""


class Repair(NamedTuple):
    """A change of a message."""

    path: str
    """JSON pointer of what was wrong."""
    words: str


_Attempt = tuple[Repair, Any]
"""What may be tried: a repair, and the message after it."""
_Result = tuple[Any, list[Repair], _Cost]


def repaired(sender: Sender, message: Any) -> tuple[Any, list[Repair]]:
    """A message with the repairs that are certain, and what they are. The message itself is not changed.

    Args:
        sender: who sends it, "client" or "server".
        message: the parsed message.
    """
    try:
        codec.dump(message)
    except codec.WireError:  # half a surrogate: nothing can judge it
        return message, []
    repairs: list[Repair] = []
    cost = _cost(sender, message)
    while cost > (0, 0) and len(repairs) < _MOST:
        message, made, cost = _simply(sender, message, cost)
        repairs += made
        tries = iter(range(_TRIES))
        # the fewest further repairs first: what needs many may do without some
        results = (_with_others(sender, message, cost, ahead, tries) for ahead in range(_AHEAD))
        better = next((result for result in results if result), None)
        if better is None:
            break
        message, cost = better[0], better[2]
        repairs += better[1]
    return message, repairs


def _simply(sender: Sender, message: Any, cost: _Cost) -> _Result:
    """The message after all repairs that leave fewer findings by themselves."""
    repairs: list[Repair] = []
    useless: set[Repair] = set()
    is_fresh = True
    while cost > (0, 0) and len(repairs) < _MOST:
        for repair, after in _attempts(sender, message):
            if repair not in useless:
                if (less := _cost(sender, after)) < cost:
                    message, cost, is_fresh = after, less, False
                    repairs.append(repair)
                    break
                useless.add(repair)
        else:
            if is_fresh:
                break
            useless.clear()  # what did not help may help by now
            is_fresh = True
    return message, repairs, cost


def _with_others(sender: Sender, message: Any, cost: _Cost, ahead: int, tries: Iterator[int]) -> _Result | None:
    """The message after the first repair that leaves fewer findings together with further ones; None if none does.

    Args:
        cost: of the message.
        ahead: how many repairs may follow that do not help by themselves.
        tries: what is left of them.
    """
    for repair, after in _attempts(sender, message):
        if next(tries, None) is None:
            return None
        less = _cost(sender, after)
        result: _Result | None = _simply(sender, after, less)
        if ahead and result and result[2] >= cost:
            result = _with_others(sender, after, cost, ahead - 1, tries)
        if result and result[2] < cost:
            return result[0], [repair, *result[1]], result[2]
    return None


def _cost(sender: Sender, message: Any) -> _Cost:
    """How many errors, and how many other findings a message has by itself."""
    found = judge.check(sender, message)
    errors = sum(finding.level == "error" for finding in found)
    return errors, len(found) - errors


def _attempts(sender: Sender, message: Any) -> Iterator[_Attempt]:
    if not isinstance(message, dict):
        return
    model = message["setup"].get("model") if isinstance(message.get("setup"), dict) else None
    surface = schema.column(models.surface_of(model if isinstance(model, str) else ""), "")
    reading = read(sender, message, surface)
    is_other = any(violation.kind == "unknown" for violation in reading.violations) and names.other_protocol(message)
    for violation in reading.violations:
        if violation.kind == "unknown" and not is_other:
            yield from _as_json_schema(sender, message, [*violation.steps, violation.key])
            yield from _placed(sender, message, violation, surface)
        elif violation.kind in ("enum", "type"):
            yield from _rewritten(sender, message, violation)
    for path, _, _ in reading.canonical.elsewhere:
        yield from _as_json_schema(sender, message, walk.steps(path))
    yield from _remarked(sender, message, reading)
    for finding in judge.check(sender, message):
        steps = walk.steps(finding.path)
        match = re.search(r"did you mean (\w+)\? at ", finding.complaint)
        if finding.rule == "WIRE-16" and match:
            yield from _set(message, steps, match[1])
        elif finding.rule == "WIRE-3" or (finding.rule == "AUDIO-1" and steps[-1:] != ["mimeType"]):
            yield from _data(message, steps if finding.rule == "WIRE-3" else [*steps, "data"])
        elif finding.rule == "TOOL-8":
            yield from _response(message, steps)
        elif finding.rule == "MODEL-11" and isinstance(model, str):
            target = rules.ApiTarget(models.surface_of(models.as_meant(model)[0]) or "gemini")
            yield from _set(message, ["setup", "model"], model_advice.right_name(model, target))


def _remarked(sender: Sender, message: Any, reading: Reading) -> Iterator[_Attempt]:
    for rule, path, words in reading.canonical.remarks:
        steps = walk.steps(path)
        if rule == "WIRE-12":
            yield from _set(message, steps, words.rsplit(" ", 1)[-1])
        elif rule == "WIRE-4" and words.startswith("a list"):
            yield from _set(message, steps, [_at(message, steps)])
        elif rule == "WIRE-4":
            yield from _once(sender, message, steps)
        elif rule == "WIRE-11":
            yield from _without(message, steps, "null is left out")


def _once(sender: Sender, message: Any, steps: list[Any]) -> Iterator[_Attempt]:
    """A member that is given in both spellings, once."""
    place = locate(sender, steps)
    owner = _at(message, steps[:-1])
    spellings = [key for key in owner if place.member and key in (place.member.name, place.member.snake)]
    if len(spellings) != 2:
        return
    is_content = place.type is not None and place.type.name == "Content"
    first, second = spellings
    values = [owner[first], owner[second]]
    if is_content:  # a text stands for one
        values = [{"parts": [{"text": value}]} if isinstance(value, str) else value for value in values]
    try:
        both = loose_json.merged(*values)
    except loose_json.NotSure:
        return
    after = copy.deepcopy(message)
    _at(after, steps[:-1])[first] = both
    del _at(after, steps[:-1])[second]
    yield Repair(_pointer([*steps[:-1], second]), f"put together with {first}"), after


# Values


def _rewritten(sender: Sender, message: Any, violation: Violation) -> Iterator[_Attempt]:
    """What may be meant by a value of another type."""
    steps = walk.steps(violation.path)
    for value in _values(sender, violation):
        yield from _set(message, steps, value)
    place = locate(sender, steps)
    if (
        place.shape == "one"
        and place.type
        and (switch := protocol.load("names.json")["switches"].get(place.type.name))
    ):
        state = violation.value
        if isinstance(state, str) and state.lower() in ("true", "false"):
            state = state.lower() == "true"
        if isinstance(state, bool):
            meant = switch[0] if state else switch[1]
            yield from _without(message, steps, "false is left out") if meant is None else _set(message, steps, meant)


def _values(sender: Sender, violation: Violation) -> Iterator[Any]:
    value = violation.value
    if near := names.value_near(sender, violation):
        yield near
    steps = walk.steps(violation.path)
    place = locate(sender, steps)
    of = place.type.name if place.type else ""
    if isinstance(value, str) and (inner := _parsed(value)) is not None:
        yield inner
    if of == "bytes":
        yield from _base64(value)
    elif place.shape == "list" and not isinstance(value, list):
        yield [value]
        yield from ([one] for one in _wrapped(place, value, in_list=True))
    elif isinstance(value, str):
        yield from _wrapped(place, value, in_list=isinstance(steps[-1], int))
        if place.member and place.member.plain == "boolean" and value.lower() in ("true", "false"):
            yield value.lower() == "true"
        if _NUMBER.fullmatch(value.strip()):
            yield json.loads(value)
    elif of == "Struct" and place.member and place.member.name == "response":
        yield {"result": value}
    elif value in (0, 1) and place.member and place.member.plain == "boolean":
        yield bool(value)
    elif of == "Duration" and isinstance(value, (int, float)) and not isinstance(value, bool):
        yield f"{value}s"
    elif isinstance(value, int) and not isinstance(value, bool) and steps[-1] == "id":
        yield str(value)
    elif isinstance(value, list) and of == "Content" and place.shape == "one":
        yield from _content(value)
    elif isinstance(value, list) and len(value) == 1:
        yield value[0]


def _parsed(text: str) -> Any:
    """The object or list that a string holds as JSON, or as Python prints it; None if it is another text."""
    if text.strip()[:1] not in ("{", "["):
        return None
    try:
        return loose_json.read(text)[0]
    except loose_json.NotSure:
        return None


def _wrapped(place: Location, value: Any, *, in_list: bool) -> Iterator[Any]:
    """An object that is meant by a string."""
    of = place.type
    if of is None or not isinstance(value, str) or names.made_by_mistake(value)[0]:
        return
    if of.name in _TEMPLATES:
        whole = _filled(_TEMPLATES[of.name], value)
        yield {"role": "user", **whole} if in_list and of.name == "Content" else whole
    if of.name == "Blob" and (match := _DATA_URL.fullmatch(value.strip())) and match[1]:
        yield {"mimeType": match[1], "data": match[2]}
    if of.name == "Struct" and place.member and place.member.name == "response":
        yield {"result": value}
    if of.name == "Tool" and value in of.members:
        yield {value: {}}


def _filled(template: Any, value: str) -> Any:
    if isinstance(template, list):
        return [_filled(item, value) for item in template]
    return {key: _filled(item, value) for key, item in template.items()} if isinstance(template, dict) else value


def _content(items: list[Any]) -> Iterator[Any]:
    """One Content for a list of texts, of parts, or of contents of the same role."""
    parts: list[Any] = []
    roles: set[str] = set()
    for item in items:
        if isinstance(item, str):
            parts.append({"text": item})
        elif isinstance(item, dict) and isinstance(item.get("parts"), list):
            if item.keys() - {"parts", "role"}:
                return
            parts += item["parts"]
            roles.add(str(item.get("role", "")))
        elif isinstance(item, dict):
            parts.append(item)
        else:
            return
    if len(roles) < 2 and parts:
        yield {**({"role": role} if (role := next(iter(roles), "")) else {}), "parts": parts}


def _base64(value: Any) -> Iterator[str]:
    """The base64 of bytes as JavaScript serialises them: a Buffer, a typed array, a list of numbers."""
    if isinstance(value, dict) and value.get("type") == "Buffer" and value.keys() == {"type", "data"}:
        value = value["data"]
    elif isinstance(value, dict) and [*value] == [str(i) for i in range(len(value))]:
        value = [*value.values()]
    if isinstance(value, list) and value and all(type(one) is int and 0 <= one <= 255 for one in value):
        yield codec.encode_base64(bytes(value))


def _data(message: Any, steps: list[Any]) -> Iterator[_Attempt]:
    """The base64 in the text of a Blob, and its type, if only the text has it."""
    at = _as_sent(message, steps)
    owner = _at(message, at[:-1])
    text = owner.get(at[-1]) if isinstance(owner, dict) else None
    if not isinstance(text, str):
        return
    plain = "".join(text.split())
    if match := _DATA_URL.fullmatch(plain):
        has_type = bool({"mimeType", "mime_type"} & owner.keys()) or not match[1]
        blob = None if has_type else {"mimeType": match[1]}
        yield from _set(message, at, match[2], "a data: URL is written as base64", blob)
    elif match := _BYTES.fullmatch(plain):
        yield from _set(message, at, match[2])
    elif plain != text:
        yield from _set(message, at, plain, "line breaks and spaces are left out")


def _response(message: Any, steps: list[Any]) -> Iterator[_Attempt]:
    """A result of a function that is no object."""
    value = _at(message, _as_sent(message, steps))
    inner = _parsed(value) if isinstance(value, str) else None
    if isinstance(inner, dict):
        yield from _set(message, steps, inner)
    if not isinstance(value, dict):
        yield from _set(message, steps, {} if value is None else {"result": value})


# Names and places


def _as_json_schema(sender: Sender, message: Any, steps: list[Any]) -> Iterator[_Attempt]:
    """A Schema that has what only a JSON Schema has, in the member for these."""
    for depth, name in enumerate(steps):
        owner, place = locate(sender, steps[:depth]), locate(sender, steps[: depth + 1])
        if isinstance(name, int) or owner.type is None or place.type is None or place.type.name != "Schema":
            continue
        at = _as_sent(message, steps[: depth + 1])
        beside = f"{name.removesuffix('Schema')}JsonSchema"
        if beside not in owner.type.members or len(at) != depth + 1:
            return
        spelling = schema.snake(beside) if "_" in str(at[-1]) else beside
        after = copy.deepcopy(message)
        of = _at(after, at[:-1])
        if not {beside, schema.snake(beside)} & of.keys():
            items = {
                spelling if key == at[-1] else key: _plain_types(value) if key == at[-1] else value
                for key, value in of.items()
            }
            of.clear()
            of.update(items)
            yield Repair(_pointer(at), f"renamed to {spelling}, which takes any JSON Schema"), after
        return


def _plain_types(value: Any) -> Any:
    """A schema with its types in lower case, as a JSON Schema has them."""
    if isinstance(value, list):
        return [_plain_types(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: item.lower()
        if key == "type" and isinstance(item, str)
        else item
        if key in _SCHEMA_VALUES
        else _plain_types(item)
        for key, item in value.items()
    }


def _placed(sender: Sender, message: Any, violation: Violation, surface: str | None) -> Iterator[_Attempt]:
    """An unknown member under its right name, in its right object, or left out."""
    key, at = violation.key, _as_sent(message, list(violation.steps))
    if len(at) != len(violation.steps):
        return
    owner = _at(message, at)
    if not isinstance(owner, dict) or key not in owner:
        return
    of = locate(sender, list(violation.steps)).type
    redundant = protocol.load("names.json")["redundant"].get(f"{of.name if of else ''}.{key}", ())
    if any(type(one) is type(owner[key]) and one == owner[key] for one in redundant):
        yield from _without(
            message, [*at, key], f"{schema.short(str(owner[key]))} is left out, since its place says it"
        )
        return
    right = _correct(key, violation.steps, surface)
    if right.is_wrapper:
        yield from _opened(message, at, key)
    wanted = right.names
    if wanted == ("audio", "video") and isinstance(owner[key], dict):
        kind = str(owner[key].get("mimeType", owner[key].get("mime_type", "")))
        wanted = ("audio",) if kind.startswith("audio/") else ("video",) if kind.startswith("image/") else wanted
    if len(wanted) != 1 or len(right.homes) > 1:
        return
    spellings = (wanted[0], schema.snake(wanted[0]))
    name = key if key in spellings else spellings["_" in key.strip("_")]
    if not right.homes:
        yield from _renamed(message, violation.path, at, key, name, spellings)
        return
    where = names.path_of(right.homes[0]) or "the top of the message"
    for is_appended in (False, True)[: 1 + ("*" in right.homes[0])]:
        after = copy.deepcopy(message)
        value = _at(after, at).pop(key)
        home = _made(after, right.homes[0], at, is_appended)
        if home is None:
            continue
        own = next((one for one in spellings if one in home), name)
        if own in home:
            both = _disjoint(home[own], value)
            if both is None:
                continue
            value = both
        home[own] = value
        yield Repair(violation.path, f"moved to {where}{'' if own == key else f' as {own}'}"), after


def _renamed(
    message: Any, path: str, at: list[Any], key: str, name: str, spellings: tuple[str, str]
) -> Iterator[_Attempt]:
    after = copy.deepcopy(message)
    place = _at(after, at)
    own = next((one for one in spellings if one in place), "")
    if not own:
        items = {name if one == key else one: value for one, value in place.items()}
        place.clear()
        place.update(items)
        yield Repair(path, f"renamed to {name}"), after
    elif (both := _disjoint(place[own], place[key])) is not None:
        place[own] = both
        del place[key]
        yield Repair(path, f"put together with {own}"), after


def _opened(message: Any, at: list[Any], key: str) -> Iterator[_Attempt]:
    """The members of an object in the place of the object."""
    after = copy.deepcopy(message)
    place = _at(after, at)
    value = place.pop(key)
    if isinstance(value, dict) and (both := _disjoint(place, value)) is not None:
        place.update(both)
        yield Repair(_pointer([*at, key]), "its members are moved up"), after


def _disjoint(first: Any, second: Any) -> dict[str, Any] | None:
    """Two objects without a common member as one; None for others."""
    if isinstance(first, dict) and isinstance(second, dict) and not _spelt(first) & _spelt(second):
        return {**first, **second}
    return None


def _spelt(value: dict[str, Any]) -> set[str]:
    return {schema.snake(key) for key in value}


_correct = lru_cache(maxsize=512)(names.correct)
"""The same members are tried again after each repair."""


def _made(message: Any, home: names.Steps, at: list[Any], is_appended: bool) -> dict[str, Any] | None:
    """The object at a place, made where it is missing; None if something else is there.

    Args:
        message: which is changed.
        home: the place; `*` is the item that `at` goes through, or else the last one.
        at: where the member was found.
        is_appended: `*` is a new item, where `at` does not go through one.
    """
    value, shared = message, True
    for depth, step in enumerate(home):
        is_last_item = step == "*"
        if is_last_item:
            if not isinstance(value, list):
                return None
            shared = shared and depth < len(at)
            index = at[depth] if shared else len(value) - 1
            if not shared and (is_appended or not value):
                value.append({})
                index = len(value) - 1
            value = value[index]
        else:
            if not isinstance(value, dict):
                return None
            own = next((one for one in (step, schema.snake(step)) if one in value), step)
            shared = shared and depth < len(at) and at[depth] == own
            if own not in value:
                value[own] = [] if home[depth + 1 : depth + 2] == ("*",) else {}
            value = value[own]
    return value if isinstance(value, dict) else None


# Changes


def _set(
    message: Any, steps: list[Any], value: Any, words: str = "", blob: dict[str, Any] | None = None
) -> Iterator[_Attempt]:
    """A repair that sets one value. `words`: what is said of it; `blob`: members that its object gets ahead of its own."""
    after = copy.deepcopy(message)
    at = _as_sent(after, steps)
    owner = _at(after, at[:-1])
    if at and (at[-1] in owner if isinstance(owner, dict) else isinstance(owner, list)):
        words = words or f"{_shown(owner[at[-1]])} is written {_shown(value)}"
        owner[at[-1]] = value
        if blob:
            items = {**blob, **owner}
            owner.clear()
            owner.update(items)
        yield Repair(_pointer(at), words), after


def _without(message: Any, steps: list[Any], words: str) -> Iterator[_Attempt]:
    """A repair that leaves a member out."""
    after = copy.deepcopy(message)
    at = _as_sent(after, steps)
    owner = _at(after, at[:-1])
    if at and isinstance(owner, dict) and at[-1] in owner:
        del owner[at[-1]]
        yield Repair(_pointer(at), words), after


def _as_sent(message: Any, steps: list[Any]) -> list[Any]:
    """The steps with the names as they were sent, without the index of a value that stands for a list."""
    at: list[Any] = []
    for step in steps:
        value = _at(message, at)
        if isinstance(value, dict):
            step = str(step)
            at.append(next((one for one in (step, schema.snake(step)) if one in value), step))
        elif isinstance(value, list):
            at.append(step)
        else:
            break
    return at


def _at(message: Any, steps: list[Any]) -> Any:
    """The value at a place; None where there is none, as for a path with a name that was cut."""
    for step in steps:
        if isinstance(message, list) and isinstance(step, int) and step < len(message):
            message = message[step]
        elif isinstance(message, dict) and str(step) in message:
            message = message[str(step)]
        else:
            return None
    return message


def _pointer(steps: list[Any]) -> str:
    return "".join(f"/{schema.pointer(str(step))}" for step in steps)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
