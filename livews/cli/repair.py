"""`livews check --fix`: repair what is certainly meant, and print the messages.

- A repair renames or moves a member, corrects a value, or leaves out a null. It is made only if fewer findings are left.
- What is not repaired keeps its spelling and, on a line without a repair, its bytes.
- The messages are on stdout, what was repaired and what is left on stderr. No file is changed.
"""

import argparse
import copy
import difflib
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from livews import document
from livews.advice import names
from livews.cli import reader
from livews.cli.console import Console
from livews.core import codec, models, rules, schema
from livews.core.reading import Reading, read
from livews.core.schema import Sender
from livews.core.validation import Violation
from livews.core.walk import locate
from livews.errors import BadRequest
from livews.terminal_text import escape_unsafe, json_line

_MOST = 200
"""Repairs of one message."""
_TRIES = 400
"""Changes of one message that are tried."""
_PARTS = {"Content": {"parts": [{"text": None}]}, "Part": {"text": None}}
"""Objects that are meant by a string: None is its place."""


_Cost = tuple[int, int]
"""Errors, and other findings."""


class Repair(NamedTuple):
    """A change of a message."""

    path: str
    """JSON pointer of what was wrong."""
    words: str


def run(options: argparse.Namespace, console: Console, name: str) -> list[bytes]:
    """Repair the messages of one file and print them; its lines after that."""
    shown = reader.shown_name(name)
    with reader.open_file(name, console) as file:
        whole = b"".join(reader.lines(file, shown, headed=False))
    if other := document.other_format(whole[: document.BEGIN]):
        raise BadRequest(f"{shown} is {other.name}", where=shown, fix=other.fix)
    whole = whole.removeprefix(b"\xef\xbb\xbf")
    try:
        whole.decode()
    except UnicodeDecodeError as bad:  # printed with a replacement it would be another text
        why, at = f"byte 0x{whole[bad.start]:02x} is not UTF-8", whole.count(b"\n", 0, bad.start) + 1
        raise BadRequest(f"{shown}: {why}", where=f"{shown}:{at}", fix="save the file as UTF-8") from None
    out: list[str] = []
    if _is_lines(whole):
        for number, line in enumerate(whole.decode().splitlines(), 1):
            try:
                value = codec.parse_any(line.encode()) if line.strip() else None
            except codec.WireError:
                value = None
            after = value if value is None else _fixed(value, options.side, console, f"{shown}:{number}")
            separators = None if re.search(r'": |, "', line) else (",", ":")
            out.append(line if after == value else json.dumps(after, ensure_ascii=False, separators=separators))
    else:
        values, place = document.values(whole)
        afters = [_fixed(value, options.side, console, f"{shown}:{line}") for line, value in values]
        if place or afters == [value for _, value in values]:
            out = whole.decode().splitlines()
        else:
            indent = re.search(rb"\n([ \t]+)", whole)
            out = "\n".join(
                json.dumps(after, ensure_ascii=False, indent=indent[1].decode() if indent else 2) for after in afters
            ).splitlines()
    for line in out:
        console.write(json_line(line) + "\n")
    return [line.encode() + b"\n" for line in out]


def _is_lines(whole: bytes) -> bool:
    """Whether each line is to be a message, and not all lines one."""
    first = next((line for line in whole.splitlines() if line.strip()), b"")
    try:
        value = codec.parse_any(first)
    except codec.WireError:
        objects = sum(line.startswith(b"{") for line in whole.splitlines())
        return objects > 1 and document.values(whole)[1] is not None
    if isinstance(value, dict) and value.get("trace") == "livews":
        fix = "name a file of messages; `livews trace show --json` prints those of a trace"
        raise BadRequest("--fix does not change a trace: it says what was sent", where="--fix", fix=fix)
    return True


def _fixed(value: Any, side: Sender | None, console: Console, where: str) -> Any:
    """One message or list of messages after its repairs, which are noted."""
    if isinstance(value, list):
        return [_fixed(one, side, console, where) for one in value]
    sender, message = reader.sender_and_message(value, side)
    after, repairs = repaired(sender, message)
    for repair in repairs:
        console.note(f"{where} fixed {repair.path}: {repair.words}")
    if not repairs:
        return value
    if "message" in value and message is value["message"]:
        after = {**value, "message": after}
    elif message is not value and after.keys() == {"setup"}:  # it was given without its envelope
        after = after["setup"]
    if console.environment.stderr_is_terminal or console.paints_stdout:
        _show_diff(console, value, after)
    return after


def _show_diff(console: Console, before: Any, after: Any) -> None:
    old, new = (json.dumps(value, ensure_ascii=False, indent=2).splitlines() for value in (before, after))
    styles = {"-": "error", "+": "recv", "@": "dim"}
    for line in list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]:
        console.line(
            console.paint(styles[line[0]], escape_unsafe(line)) if line[0] in styles else escape_unsafe(line)
        )


def repaired(sender: Sender, message: Any) -> tuple[Any, list[Repair]]:
    """A message with the repairs that are certain, and what they are. The message itself is not changed.

    Args:
        sender: who sends it, "client" or "server".
        message: the parsed message.
    """
    repairs: list[Repair] = []
    try:
        codec.dump(message)
    except codec.WireError:  # half a surrogate: nothing can judge it
        return message, []
    tries = iter(range(_TRIES))
    while len(repairs) < _MOST:
        # first what repairs something at once, then what needs up to three more, such as a list around it
        steps = (_better(sender, message, _cost(sender, message), ahead, tries) for ahead in range(4))
        better = next((step for step in steps if step), None)
        if better is None:
            break
        message, made = better
        repairs += made
    return message, repairs


def _better(
    sender: Sender, message: Any, cost: _Cost, ahead: int, tries: Iterator[int]
) -> tuple[Any, list[Repair]] | None:
    """The message after the first repairs, up to `ahead` and one, that leave fewer findings; None if none do."""
    for repair, after in _attempts(sender, message):
        if next(tries, None) is None:
            return None
        less = _cost(sender, after)
        if less < cost:
            return after, [repair]
        if ahead and less[0] == cost[0] and (further := _better(sender, after, cost, ahead - 1, tries)):
            return further[0], [repair, *further[1]]
    return None


def _cost(sender: Sender, message: Any) -> _Cost:
    """How many errors, and how many other findings a message has by itself."""
    found = rules.check(sender, message)
    errors = sum(finding.level == "error" for finding in found)
    return errors, len(found) - errors


def _attempts(sender: Sender, message: Any) -> Iterator[tuple[Repair, Any]]:
    """What may be tried: a repair, and the message after it."""
    if not isinstance(message, dict):
        return
    model = message["setup"].get("model") if isinstance(message.get("setup"), dict) else None
    surface = schema.column(models.surface_of(model if isinstance(model, str) else ""), "")
    reading = read(sender, message, surface)
    for violation in reading.violations:
        if violation.kind == "unknown" and not names.other_protocol(message):
            yield from _placed(sender, message, violation, surface)
        elif violation.kind in ("enum", "type"):
            for value in _values(sender, violation):
                yield _set(sender, message, schema.steps(violation.path), value)
    yield from _remarked(sender, message, reading)
    for finding in rules.check(sender, message):
        match = re.search(r"did you mean (\w+)\? at ", finding.complaint)
        if finding.rule == "WIRE-16" and match:
            yield _set(sender, message, schema.steps(finding.path), match[1])
        if (
            finding.rule == "MODEL-11"
            and (match := re.search(r"models/[\w.-]+$", finding.fix))
            and "publishers" not in finding.fix
        ):
            yield _set(sender, message, ["setup", "model"], match[0])


def _remarked(sender: Sender, message: Any, reading: Reading) -> Iterator[tuple[Repair, Any]]:
    for rule, path, words in reading.canonical.remarks:
        steps = schema.steps(path)
        if rule == "WIRE-12":
            yield _set(sender, message, steps, words.rsplit(" ", 1)[-1])
        elif rule == "WIRE-4" and words.startswith("a list"):
            yield _set(sender, message, steps, [_at(message, steps)])
        elif rule == "WIRE-11":
            after = copy.deepcopy(message)
            del _at(after, steps[:-1])[str(steps[-1])]
            yield Repair(path, "null is left out"), after


def _values(sender: Sender, violation: Violation) -> Iterator[Any]:
    """What may be meant by a value of another type."""
    value = violation.value
    if violation.near:
        yield violation.near
    steps = schema.steps(violation.path)
    place = locate(sender, steps)
    of = place.type.name if place.type else ""
    if place.shape == "list" and not isinstance(value, list):
        yield [value]
        yield from ([one] for one in _wrapped(of, value, in_list=True))
    elif isinstance(value, str):
        yield from _wrapped(of, value, in_list=isinstance(steps[-1], int))
        if place.member and place.member.plain == "boolean" and value.lower() in ("true", "false"):
            yield value.lower() == "true"
    elif of == "Duration" and isinstance(value, (int, float)) and not isinstance(value, bool):
        yield f"{value}s"
    elif isinstance(value, list) and len(value) == 1:
        yield value[0]


def _wrapped(type_name: str, value: Any, *, in_list: bool) -> Iterator[Any]:
    """A Content or a Part for a plain string."""
    if not isinstance(value, str) or type_name not in _PARTS:
        return
    whole = json.loads(json.dumps(_PARTS[type_name]).replace("null", json.dumps(value)))
    yield {"role": "user", **whole} if in_list and type_name == "Content" else whole


def _placed(sender: Sender, message: Any, violation: Violation, surface: str | None) -> Iterator[tuple[Repair, Any]]:
    """An unknown member under its right name, in its right object."""
    right = _correct(violation.key, violation.steps, surface)
    if len(right.names) != 1 or len(right.homes) > 1:
        return
    key, spellings = violation.key, (right.names[0], schema.snake(right.names[0]))
    name = key if key in spellings else spellings["_" in key.strip("_")]
    at = _as_sent(sender, message, list(violation.steps))
    if not right.homes:
        after = copy.deepcopy(message)
        place = _at(after, at)
        if not any(one in place for one in spellings):
            items = {name if one == key else one: value for one, value in place.items()}
            place.clear()
            place.update(items)
            yield Repair(violation.path, f"renamed to {name}"), after
        return
    where = names.path_of(right.homes[0]) or "the top of the message"
    for is_appended in (False, True)[: 1 + ("*" in right.homes[0])]:
        after = copy.deepcopy(message)
        value = _at(after, at).pop(key)
        home = _made(sender, after, right.homes[0], at, is_appended)
        if home is None:
            continue
        own = next((one for one in spellings if one in home), name)
        if own in home:  # two objects may be merged
            if not (isinstance(value, dict) and isinstance(home[own], dict) and not home[own].keys() & value.keys()):
                continue
            value = {**home[own], **value}
        home[own] = value
        yield Repair(violation.path, f"moved to {where}{'' if own == key else f' as {own}'}"), after


_correct = lru_cache(maxsize=512)(names.correct)
"""The same members are tried again after each repair."""


def _made(sender: Sender, message: Any, home: names.Steps, at: list[Any], is_appended: bool) -> dict[str, Any] | None:
    """The object at a place, made where it is missing; None if something else is there.

    Args:
        sender: of the message.
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


def _set(sender: Sender, message: Any, steps: list[Any], value: Any) -> tuple[Repair, Any]:
    """A repair that sets one value."""
    after = copy.deepcopy(message)
    at = _as_sent(sender, after, steps)
    before = _at(after, at)
    _at(after, at[:-1])[at[-1]] = value
    path = "".join(f"/{schema.pointer(str(step))}" for step in at)
    return Repair(path, f"{_shown(before)} is written {_shown(value)}"), after


def _as_sent(sender: Sender, message: Any, steps: list[Any]) -> list[Any]:
    """The steps with the names as they were sent, without the index of a value that stands for a list."""
    at: list[Any] = []
    for step in steps:
        value = _at(message, at)
        if isinstance(value, dict):
            step = str(step)
            at.append(next((one for one in (step, schema.snake(step)) if one in value), step))
        elif isinstance(value, list):
            at.append(step)
    return at


def _at(message: Any, steps: list[Any]) -> Any:
    for step in steps:
        message = message[step if isinstance(message, list) else str(step)]
    return message


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
