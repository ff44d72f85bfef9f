"""Findings with advice: what the core finds, in better words, with what to write instead; and `check()` of one message.

- The core says where a message breaks which rule; here a row of `_ADVICE` adds what was meant, by the names in the schemas.
- Level, path and close of a finding stay as the core has them.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from livews import walk
from livews.advice import input_format, model_advice, names
from livews.core import codec, machine, models, rules, schema
from livews.core.findings import ApiTarget, Context, Finding, finding
from livews.core.reading import Reading, read
from livews.core.schema import Sender

_BEGIN = 100
"""Bytes of a frame that is no message by which it is recognised what made it."""
_GUESSES = 5
"""Unknown members of a message for which names that look alike are looked for."""

read_with_remarks = partial(read, inspect=input_format.remarks)
"""Read a message as `core.reading.read` does, and look at what its media is."""


def check(sender: Sender, message: Any, target: ApiTarget | None = None) -> list[Finding]:
    """All findings about one message on its own, the errors first.

    Args:
        sender: who sends such messages, "client" or "server".
        message: the parsed message.
        target: the surface, API version and day to judge it for; by default, or with the surface "", that of the model's
            name.
    """
    if not isinstance(message, dict):
        why, fix = names.made_by_mistake(message)
        words = f"expected a JSON object, got {schema.kind_of(message)}{why and f': {why}'}"
        return [finding("WIRE-2", "", words, sender, fix=fix)]
    try:
        codec.dump(message)
    except codec.WireError as problem:  # bytes, or a key that is no string: it has no JSON form
        return [finding("WIRE-2", "", str(problem), sender)]
    if target is None or not target.surface:
        model = machine.values(message, ("setup", "model"))
        surface = models.surface_of(str(*model))
        version, as_of = "v1beta1" if surface == "vertex" else "v1beta", target.as_of if target else ""
        target = ApiTarget(surface or "gemini", version, as_of)
        column = schema.column(surface, "")  # of the Gemini API the version is not known
    else:
        column = schema.column(target.surface, target.version)
    results = findings(read_with_remarks(sender, message, column), Context(target))
    return sorted(results, key=lambda result: ("error", "refused", "note").index(result.level))


def findings(reading: Reading, context: Context) -> list[Finding]:
    """All findings about one message with advice, in the order of rules.json.

    Args:
        reading: the message, with its signals and what the machine's rows say of them.
        context: its session before the message.
    """
    results = []
    for result in rules.findings(reading, context):
        if result.rule == "WIRE-5":
            if advised := _unknown_member(result, reading):
                results.append(advised)
        elif advise := _ADVICE.get(result.rule):
            hint, fix = advise(result, reading, context)
            at = f" at {result.path or '/'}" if hint else ""
            words = f"{result.complaint.removesuffix(at)}{hint}{at}"
            results.append(replace(result, complaint=words, fix=fix or result.fix))
        else:
            results.append(result)
    return results


def _unknown_member(result: Finding, reading: Reading) -> Finding | None:
    """WIRE-5: where the member belongs or which was meant; None to leave the finding out."""
    unknown = {violation.path: violation for violation in reading.violations if violation.kind == "unknown"}
    violation, other = unknown[result.path], names.other_protocol(reading.message)
    if other and violation.key != other.names[0]:
        return None  # one word about a message of another protocol is enough
    guess = list(unknown).index(result.path) < _GUESSES
    right = other or names.correct(violation.key, violation.steps, reading.surface, guess=guess)
    return replace(result, complaint=f"{right.complaint} at {result.path}", fix=right.fix or result.fix)


Hint = tuple[str, str]
"""What is added to the complaint of a finding, and what to do in place of what its rule says; "" for nothing."""


def _value(result: Finding, reading: Reading, context: Context) -> Hint:
    """WIRE-7: the value of an enum that was meant, what gives such a value, or where a JSON Schema is taken."""
    violation = next(violation for violation in reading.violations if violation.path == result.path)
    if near := names.value_near(reading.sender, violation):
        return f"; did you mean {near}?", f"Write {near}."
    why, fix = names.made_by_mistake(violation.value) if violation.kind == "type" else ("", "")
    return why and f": {why}", fix or names.json_schema(violation.steps[:-1])[1]


def _base64(result: Finding, reading: Reading, context: Context) -> Hint:
    """WIRE-3: what gives such data."""
    value = reading.message
    for step in walk.steps(result.path):
        value = value[step]
    why, fix = names.made_by_mistake(value)
    return why and f": {why}", fix


def _role(result: Finding, reading: Reading, context: Context) -> Hint:
    role = reading.message["clientContent"]["turns"][int(result.path.split("/")[3])]["role"]
    near = names.value_like(role, "role", rules.roles(context.target.surface))
    return (f"; did you mean {near}?" if near else ""), ""


def _elsewhere(result: Finding, reading: Reading, context: Context) -> Hint:
    return names.json_schema(walk.steps(result.path)[:-1])


def _open_call(result: Finding, reading: Reading, context: Context) -> Hint:
    """TOOL-2: the id of an open call of the same function."""
    answers = [answer for _, answer in machine.located(reading.message, "/toolResponse/functionResponses/*")]
    ids = {str(answer.get("id")) for answer in answers if isinstance(answer, dict)}
    name = answers[int(result.path.split("/")[3])].get("name")
    near = next((one for one, function in context.pending.items() if function == name and one not in ids), "")
    return "", near and f"the open call of {name} has the id {schema.short(near)}"


_ADVICE: dict[str, Callable[[Finding, Reading, Context], Hint]] = {
    "WIRE-3": _base64,
    "WIRE-7": _value,
    "WIRE-16": _role,
    "MODEL-1": model_advice.unknown,
    "MODEL-2": model_advice.retired,
    "MODEL-7": _elsewhere,
    "MODEL-11": model_advice.misnamed,
    "MODEL-12": model_advice.foreign,
    "MODEL-14": model_advice.other,
    "TOOL-2": _open_call,
}
"""Rule to the function that makes its advice."""


# Findings about what is no message


def unreadable(problem: codec.WireError, raw: bytes, sender: Sender) -> Finding:
    """The finding for a frame that is no message. `problem`: what reading it raised."""
    text = raw[:_BEGIN].decode(errors="replace")
    why, fix = names.made_by_mistake(text[1:].rstrip('"').replace('\\"', '"') if text.startswith('"') else text)
    return finding(problem.rule, "", f"{problem}{why and f': {why}'}", sender, fix=fix)


def unanswered_setup() -> Finding:
    """The finding for a setup that setupComplete did not follow (SETUP-3)."""
    words = "setup has no answer: setupComplete did not come"
    fix = "Connect again. If it stays so, send only setup.model and add the other members one by one."
    return finding("SETUP-3", "/setup", words, level="note", fix=fix)


def not_inspected(size: int, sender: Sender) -> Finding:
    """The finding for a message that was too large to be read (WIRE-13). `size` is in bytes."""
    words = f"a message of {size:,} bytes was relayed, but not inspected"
    return finding("WIRE-13", "", words, sender, level="note")
