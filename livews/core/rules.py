"""Judge a message by the rules of protocol/: `findings()` goes through one table of (rule id, function).

- The table is in the order of rules.json, and so are the findings. Each function reads the message and what its session
  is so far, and changes neither.
- What is about the model of a session is in `model_rules`.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

from livews.core import close_rows, codec, machine, model_rules, protocol, schema
from livews.core.findings import ApiTarget, Check, Context, Finding, Level, finding
from livews.core.reading import Reading, is_audio
from livews.core.schema import MOST, Sender

__all__ = ["TABLE", "ApiTarget", "Context", "Finding", "finding", "findings", "plain_path", "roles", "unreadable"]


def findings(reading: Reading, context: Context) -> list[Finding]:
    """All findings about one message, in the order of rules.json, `MOST` of a rule at most.

    Args:
        reading: the message, with its signals and what the machine's rows say of them.
        context: its session before the message.
    """
    present = _PARTS[reading.sender].intersection(_parts(reading))
    results: list[Finding] = []
    for rule, check in _checks(reading.sender, present):
        results += islice(check(rule, reading, context), MOST)
    return results


@lru_cache(maxsize=256)
def _checks(sender: Sender, present: frozenset[str]) -> list[tuple[str, Check]]:
    """The rows of the table for messages of a sender that have these parts."""
    return [(rule, check) for rule, senders, part, check in TABLE if senders in (sender, "both") and part in present]


def _parts(reading: Reading) -> list[str]:
    """What a rule may need of a message, as far as it is there: a member at its top, or one of these."""
    parts = ["*any", *reading.message]
    if reading.canonical.has_remarks:
        parts += ("*notation", "*unknown", "*elsewhere")
    if reading.media:
        parts.append("*media")
    if "setup" in reading.message or "contextUpdate" in reading.message:
        parts.append("*tools")
    if reading.violations:
        parts.append("*violations")
    if reading.broken or reading.noted:
        parts.append("*transition")
    return parts


# Every message


def unreadable(problem: codec.WireError, raw: bytes, sender: Sender) -> Finding:
    """The finding for a frame that is no message. `problem`: what reading it raised."""
    return finding(problem.rule, "", str(problem), sender)


def _undecodable(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for path, problem in reading.undecodable.items():
        yield finding(rule, path, f"{problem} at {path}", reading.sender)
    if reading.is_composed:
        return
    for path, blob in reading.media:
        data = blob.get("data")
        if isinstance(data, str) and not is_audio(blob):  # audio was decoded when the message was read
            try:
                codec.decode_base64(data)
            except codec.WireError as problem:
                yield finding(rule, f"{path}/data", f"{problem} at {path}/data", reading.sender)


def _remarks(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for remark, path, words in reading.canonical.remarks:
        if remark == rule:
            yield finding(rule, path, f"{words} at {path}", reading.sender, level="note")


def _unknown_members(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for violation in reading.violations:
        if violation.kind == "unknown":
            close = close_rows.frame_for("unknown-name", name=violation.key, path=violation.snake_path)
            yield finding(rule, violation.path, violation.complaint, close=close)


def _news(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for path, _, _ in reading.canonical.unknown:
        yield Finding("note", rule, path, f"{plain_path(path)} is not in the schema", sender="server")
    for path, value, enum in reading.canonical.unknown_values:
        words = f"{schema.short(value)} is not among the values of {enum} at {path}"
        yield Finding("note", rule, path, words, sender="server")


def plain_path(path: str) -> str:
    """A JSON pointer with dots and without indices: `/serverContent/modelTurn/parts/0/x` is
    `serverContent.modelTurn.parts.x`."""
    return ".".join(step for step in path.split("/") if step and not step.isdigit())


def _wrong_values(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for violation in reading.violations:
        if violation.kind in ("type", "enum"):
            value = violation.value
            quoted = (value if isinstance(value, str) else codec.dump(value).decode())[: close_rows.REASON_LIMIT]
            name = f"type.googleapis.com/google.ai.generativelanguage.v1beta.{violation.type}"
            close = close_rows.frame_for("invalid-value", path=violation.snake_path, type=name, value=quoted)
            yield finding(rule, violation.path, violation.complaint, reading.sender, close=close)


def _rivals(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for violation in reading.violations:
        if violation.kind == "oneof":
            close = close_rows.frame_for("invalid-value", path=violation.snake_path, type="oneof", value="")
            yield finding(rule, violation.path, violation.complaint, reading.sender, close=close)


def _transition(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    """What the rows of machine.json say of its signals."""
    if rule in reading.broken:
        yield finding(rule, sender=reading.sender)
    if rule in reading.noted:
        yield finding(rule, sender=reading.sender, level="note")


def roles(surface: str) -> tuple[str, ...]:
    """The roles that turns can have."""
    return ("user", "model", "system") if surface == "vertex" else ("user", "model")


def _roles(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    valid = roles(context.target.surface)
    for i, turn in enumerate(machine.values(reading.message, ("clientContent", "turns", "*"))):
        role = turn.get("role") if isinstance(turn, dict) else None
        if isinstance(role, str) and role and role not in valid:
            path = f"/clientContent/turns/{i}/role"
            words = f"expected {' or '.join(valid[:2])}, got {schema.short(role)} at {path}"
            yield finding(rule, path, words, level="refused" if role == "system" else "note")


# setup


def _no_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    if isinstance(reading.message["setup"], dict) and not model_rules.setup_of(reading).get("model"):
        yield finding(rule, "/setup/model")


def _other_surface(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for path, key, parent in reading.canonical.elsewhere:
        close = close_rows.frame_for("unknown-name", name=key, path=parent)
        words = f"{key} is not taken on {schema.SURFACES[reading.surface or 'gemini']} at {path}"
        yield finding(rule, path, words, close=close)


# Audio


def _media(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    """What is wrong with a Blob itself; `refusedOn` has the surfaces that close for it."""
    close_id = protocol.rules()[rule].get("refusedOn", {}).get(context.target.surface)
    for remark in reading.remarks:
        if remark.rule == rule:
            words, close = f"{remark.words} at {remark.path}", close_rows.frame_for(close_id) if close_id else None
            level: Level = "refused" if close_id else "note"
            yield finding(rule, remark.path, words, reading.sender, level=level, close=close, fix=remark.fix)


# Client messages, by their session so far


def _changed_rate(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    path = "/realtimeInput/audio/mimeType"
    for mime_type, _ in reading.audio:
        before, rate = context.input_rate, codec.rate_of(mime_type, codec.INPUT_RATE)
        if before and rate != before and mime_type.startswith("audio/pcm"):
            words = f"the rate was {before} and is now {rate} at {path}"
            close = close_rows.frame_for("sample-rate-changed", **{"from": str(before), "to": str(rate)})
            yield finding(rule, path, words, close=close)


def _content_in_mid_session(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    accepted = context.traits.get("clientContent", "always")
    is_prompt = "clientContent" in reading.signals and (accepted == "none" or "prompt" in reading.signals)
    if is_prompt and not (accepted == "always" or (accepted == "seed" and context.traits["historySeed"])):
        yield finding(rule, "/clientContent")


def _answers(reading: Reading) -> Iterator[tuple[str, dict[str, Any]]]:
    """The answers of a toolResponse, each with its path."""
    for path, answer in machine.located(reading.message, "/toolResponse/functionResponses/*"):
        if isinstance(answer, dict):
            yield path, answer


def _answer_without_id(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for path, answer in _answers(reading):
        if "id" not in answer and context.traits:
            yield finding(rule, path, f"no id at {path}")


def _answer_without_call(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    open_calls, answered = dict(context.pending), set(context.answered)
    for path, answer in _answers(reading) if context.setup else ():
        call_id = str(answer.get("id", ""))
        if "id" in answer and call_id not in open_calls:
            call = schema.short(call_id)
            words = f"call {call} is answered already" if call_id in answered else f"no call {call} is open"
            yield finding(rule, f"{path}/id", f"{words} at {path}/id")
        elif answer.get("willContinue") is not True and open_calls.pop(call_id, None) is not None:
            answered.add(call_id)


def _answer_of_another(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for path, answer in _answers(reading):
        call_id, name = str(answer.get("id", "")), answer.get("name")
        called = context.pending.get(call_id)
        if called and isinstance(name, str) and name and name != called:
            words = f"call {schema.short(call_id)} is of {called}, not of {schema.short(name)} at {path}/name"
            yield finding(rule, f"{path}/name", words)


def _answer_in_content(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for path, _ in machine.located(reading.message, "/clientContent/turns/*/parts/*/functionResponse"):
        calls = f"; {', '.join(islice(context.pending.values(), 3))} waits for its answer" if context.pending else ""
        yield finding(rule, path, f"a functionResponse here answers no call{calls} at {path}")


def _declared_twice(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for tools in ("/setup/tools", "/contextUpdate/tools/tools"):
        names = set()
        for path, name in machine.located(reading.message, f"{tools}/*/functionDeclarations/*/name"):
            if isinstance(name, str) and name in names:
                yield finding(rule, path, f"{schema.short(name)} is declared already at {path}")
            names.add(name if isinstance(name, str) else "")


TABLE: tuple[tuple[str, Literal["client", "server", "both"], str, Check], ...] = (
    ("WIRE-3", "both", "*media", _undecodable),
    ("WIRE-4", "both", "*notation", _remarks),
    ("WIRE-5", "client", "*violations", _unknown_members),
    ("WIRE-6", "server", "*unknown", _news),
    ("WIRE-7", "both", "*violations", _wrong_values),
    ("WIRE-8", "both", "*violations", _rivals),
    ("WIRE-11", "both", "*notation", _remarks),
    ("WIRE-12", "both", "*notation", _remarks),
    ("WIRE-16", "client", "clientContent", _roles),
    ("SETUP-1", "both", "*transition", _transition),
    ("SETUP-2", "both", "*transition", _transition),
    ("SETUP-3", "both", "*transition", _transition),
    ("SETUP-4", "client", "setup", _no_model),
    ("SETUP-5", "client", "setup", model_rules.limit),
    ("MODEL-1", "client", "setup", model_rules.unknown_model),
    ("MODEL-2", "client", "setup", model_rules.retired_model),
    ("MODEL-11", "client", "setup", model_rules.misnamed_model),
    ("MODEL-12", "client", "setup", model_rules.foreign_model),
    ("MODEL-10", "client", "setup", model_rules.leaving_model),
    ("MODEL-3", "client", "setup", model_rules.modalities),
    ("MODEL-4", "client", "*any", model_rules.limit),
    ("MODEL-5", "client", "*any", model_rules.limit),
    ("MODEL-6", "client", "*any", model_rules.limit),
    ("MODEL-7", "client", "*elsewhere", _other_surface),
    ("MODEL-8", "client", "setup", model_rules.limit),
    ("MODEL-9", "client", "realtimeInput", model_rules.limit),
    ("MODEL-13", "client", "setup", model_rules.unserved_version),
    ("MODEL-14", "client", "setup", model_rules.other_model),
    ("AUDIO-1", "client", "*media", _media),
    ("AUDIO-2", "client", "realtimeInput", _changed_rate),
    ("AUDIO-3", "server", "*media", _media),
    ("AUDIO-4", "client", "realtimeInput", model_rules.limit),
    ("AUDIO-7", "client", "*media", _media),
    ("AUDIO-8", "client", "*media", _media),
    ("AUDIO-9", "client", "*media", _media),
    ("TURN-6", "client", "clientContent", _content_in_mid_session),
    ("ACTIVITY-1", "client", "*transition", _transition),
    ("ACTIVITY-2", "client", "*transition", _transition),
    ("ACTIVITY-3", "client", "*transition", _transition),
    ("ACTIVITY-4", "client", "*transition", _transition),
    ("ACTIVITY-5", "client", "*transition", _transition),
    ("TOOL-1", "client", "toolResponse", _answer_without_id),
    ("TOOL-2", "client", "toolResponse", _answer_without_call),
    ("TOOL-6", "client", "toolResponse", _answer_of_another),
    ("TOOL-7", "client", "clientContent", _answer_in_content),
    ("TOOL-8", "client", "toolResponse", model_rules.limit),
    ("TOOL-9", "client", "*tools", model_rules.limit),
    ("TOOL-10", "client", "*tools", _declared_twice),
    ("TOOL-11", "client", "*tools", model_rules.limit),
    ("CLOSE-1", "both", "*transition", _transition),
)
"""Every rule that is judged here: id, whose messages, what they need of the message, function.
"setup" is a member at the top, "*media" a part as in `_parts`. In the order of rules.json. WIRE-2 and WIRE-15 are not among them: what cannot be read is judged by nothing else."""
_PARTS = {
    sender: frozenset(part for _, senders, part, _ in TABLE if senders in (sender, "both"))
    for sender in ("client", "server")
}
