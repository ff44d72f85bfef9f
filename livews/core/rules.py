"""Judge a message by the rules of protocol/: `findings()` goes through one table of (rule id, function).

- A finding has a level: "error" (the service does not accept it), "refused" (a model or surface refused it when last
  seen), "note". Level, fix and close come from the rule's row in rules.json.
- The table is in the order of rules.json, and so are the findings. Each function reads the message and what its session
  is so far, and changes neither.
- What a model accepts is read from models.json. No model is named here.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import islice
from typing import Any, Literal, NamedTuple

from livews.core import closes, codec, machine, models, names, protocol, schema
from livews.core.reading import Reading, is_audio, read
from livews.core.schema import MOST, Sender

Level = Literal["error", "refused", "note"]
_LEVELS: dict[str, Level] = {"must": "error", "model": "refused", "should": "note", "server": "note"}
_GUESSES = 5
"""Unknown members of a message for which names that look alike are looked for."""
_SURFACES = {"gemini": "the Gemini API", "vertex": "Vertex AI"}
_MODALITIES = "/setup/generationConfig/responseModalities"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule has to say about one frame."""

    level: Level
    rule: str
    """Its id in rules.json."""
    path: str
    """JSON pointer in the message, "" for all of it."""
    complaint: str
    fix: str = ""
    sender: Sender = "client"
    close: tuple[int, str] | None = None
    """Code and reason of the close that the service answers with, where that is known."""

    def __str__(self) -> str:
        return f"{self.complaint} ({self.rule})"

    @property
    def cure(self) -> str:
        """Deprecated name of `fix`."""
        return self.fix


class ApiTarget(NamedTuple):
    """Where and when a message is judged."""

    surface: str = "gemini"
    """"gemini" or "vertex"."""
    version: str = "v1beta"
    """API version."""
    as_of: str = ""
    """A day or month such as "2026-03"; "" is the revision of protocol/."""


@dataclass(eq=False, repr=False)
class Context:
    """The session that a message belongs to, as it was before the message: a `Conversation`. By default that of a
    message on its own, in which rules that need a session find nothing."""

    target: ApiTarget = field(default_factory=ApiTarget)
    setup: dict[str, Any] = field(default_factory=dict)
    """The setup that was accepted, canonical."""
    profile: models.Profile = field(default_factory=lambda: models.profile(""))
    """Of its model."""
    traits: dict[str, Any] = field(default_factory=dict)
    """Traits of the session, as in machine.json."""
    pending: dict[str, str] = field(default_factory=dict)
    """The open calls, id to name."""
    answered: set[str] = field(default_factory=set)
    """Ids of calls that are answered."""
    input_rate: int = 0
    """Samples per second of the client's audio, 0 before any came."""


Check = Callable[[str, Reading, Context], Iterable[Finding]]


def finding(
    rule: str,
    path: str = "",
    complaint: str = "",
    sender: Sender = "client",
    *,
    level: Level | None = None,
    close: tuple[int, str] | None = None,
    fix: str = "",
) -> Finding:
    """A finding of a rule. What is left out comes from the rule's row in rules.json.

    Args:
        rule: id of the rule.
        path: JSON pointer of the place in the message.
        complaint: what is wrong.
        sender: who sent the message.
        level: "error", "refused" or "note".
        close: code and reason that the service closes with.
        fix: what to do.
    """
    row = protocol.rules()[rule]
    level = level or _LEVELS[row["level"]]
    if close is None and "close" in row and sender == "client" and level != "note":
        close = closes.frame_for(row["close"])
    return Finding(level, rule, path, complaint or row.get("broken", row["title"]), fix or row["do"], sender, close)


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
    if reading.violations:
        parts.append("*violations")
    if reading.broken or reading.noted:
        parts.append("*transition")
    return parts


def check(sender: Sender, message: Any, target: ApiTarget | None = None) -> list[Finding]:
    """All findings about one message on its own, the errors first.

    Args:
        sender: who sends such messages, "client" or "server".
        message: the parsed message.
        target: the surface, API version and day to judge it for; by default the surface that the model's name is for.
    """
    if not isinstance(message, dict):
        return [finding("WIRE-2", "", f"expected a JSON object, got {schema.kind_of(message)}", sender)]
    try:
        codec.dump(message)
    except codec.WireError as problem:  # bytes, or a key that is no string: it has no JSON form
        return [finding("WIRE-2", "", str(problem), sender)]
    if target is None:
        model = machine.values(message, ("setup", "model"))
        surface = models.surface_of(str(*model))
        target = ApiTarget(surface or "gemini", "v1beta1" if surface == "vertex" else "v1beta")
        column = schema.column(surface, "")  # of the Gemini API the version is not known
    else:
        column = schema.column(target.surface, target.version)
    results = findings(read(sender, message, column), Context(target))
    return sorted(results, key=lambda result: ("error", "refused", "note").index(result.level))


# Every message


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
    unknown = [violation for violation in reading.violations if violation.kind == "unknown"]
    other = names.other_protocol(reading.message) if unknown else None
    for i, violation in enumerate(unknown):
        if other and violation.key != other.names[0]:
            continue  # one word about a message of another protocol is enough
        close = closes.frame_for("unknown-name", name=violation.key, path=violation.snake_path)
        right = other or names.correct(violation.key, violation.steps, reading.surface, guess=i < _GUESSES)
        yield finding(rule, violation.path, f"{right.complaint} at {violation.path}", close=close, fix=right.fix)


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
            quoted = (value if isinstance(value, str) else codec.dump(value).decode())[: closes.REASON_LIMIT]
            name = f"type.googleapis.com/google.ai.generativelanguage.v1beta.{violation.type}"
            close = closes.frame_for("invalid-value", path=violation.snake_path, type=name, value=quoted)
            fix = (
                f"Write {violation.near}."
                if violation.near
                else names.json_schema(schema.steps(violation.path)[:-1])[1]
            )
            yield finding(rule, violation.path, violation.complaint, reading.sender, close=close, fix=fix)


def _rivals(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for violation in reading.violations:
        if violation.kind == "oneof":
            close = closes.frame_for("invalid-value", path=violation.snake_path, type="oneof", value="")
            yield finding(rule, violation.path, violation.complaint, reading.sender, close=close)


def _transition(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    """What the rows of machine.json say of its signals."""
    if rule in reading.broken:
        yield finding(rule, sender=reading.sender)
    if rule in reading.noted:
        yield finding(rule, sender=reading.sender, level="note")


def _roles(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    valid = ("user", "model", "system") if context.target.surface == "vertex" else ("user", "model")
    for i, turn in enumerate(machine.values(reading.message, ("clientContent", "turns", "*"))):
        role = turn.get("role") if isinstance(turn, dict) else None
        if isinstance(role, str) and role and role not in valid:
            path, near = f"/clientContent/turns/{i}/role", names.value_like(role, "role", valid)
            hint = f"; did you mean {near}?" if near else ""
            words = f"expected {' or '.join(valid[:2])}, got {schema.short(role)}{hint} at {path}"
            yield finding(rule, path, words, level="refused" if role == "system" else "note")


# setup


def _no_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    if isinstance(reading.message["setup"], dict) and not _setup(reading).get("model"):
        yield finding(rule, "/setup/model")


def _limit(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    """A member that the session's model does not take so, by the rows of models.json and the checks of rules.json.

    Of the rows about one field of a profile the first that applies counts."""
    message, target = reading.message, context.target
    is_setup = isinstance(message.get("setup"), dict)
    profile = (_requested(reading, context) or models.profile("")) if is_setup else context.profile
    setup = {"setup": message["setup"] if is_setup else context.setup}
    seen = set()
    for row in [row for name in message for row in profile["limits"].get((rule, name), ())]:
        switches = [True in machine.values(setup, _steps(row[name])) for name in ("with", "unless") if name in row]
        if (
            row.get("field") in seen
            or ("with" in row and switches == [False])
            or ("unless" in row and switches == [True])
        ):
            continue
        if not models.holds(row, target.surface, target.as_of):
            continue
        for path, words, value in _broken(row, message, profile["name"]):
            seen |= {row["field"]} if "field" in row else set()
            close = closes.frame_for(row["close"], voice=str(value)) if row.get("close") else None
            yield finding(rule, path, words, close=close, level=None if close else "note", fix=row.get("do", ""))


def _broken(row: dict[str, Any], message: dict[str, Any], model: str) -> Iterator[tuple[str, str, Any]]:
    """Where a message breaks a row: path, complaint and value."""
    member = row["at"].rpartition("/")[2]
    if "missing" in row:
        list_path, _, rest = row["at"].rpartition("/*/")
        for path, item in _located(message, (*_steps(list_path), "*")) if list_path else [("", message)]:
            place = f"{path}/{rest.removeprefix('/')}"
            if all(_is_unset(value) for _, value in _located(item, _steps(f"/{rest.removeprefix('/')}"))):
                yield place, f"{model} needs {member} at {place.rpartition('/')[0]}", None
        return
    given = [(path, value) for path, value in _located(message, _steps(row["at"])) if not _is_unset(value)]
    for path, value in given:
        if "among" in row:
            if isinstance(value, str) and value.lower() not in {name.lower() for name in row["among"]}:
                listed = " or ".join(row["among"]) if "field" in row else "a name of the list in models.json"
                yield path, f"expected {listed}, got {schema.short(value)} at {path}", value
        elif "within" in row:
            (low, high), number = row["within"], codec.whole(value)
            if number is not None and not low <= number <= high:
                yield path, f"expected {low} to {high}, got {value} at {path}", value
        elif "matching" in row:
            if isinstance(value, str) and re.search(row["matching"], value):
                yield path, f"{model} does not take {schema.short(value)} at {path}", value
        elif "is" not in row or value is row["is"]:
            shown = f" {str(value).lower()}" if "is" in row else ""
            yield path, f"{model} does not take {member}{shown} at {path}", value


def is_silent(profile: models.Profile, setup: dict[str, Any]) -> bool:
    """Whether the model answers this setup with zeros, since a member that it needs is missing (MODEL-6)."""
    rows = (row for row in profile["limits"].get(("MODEL-6", "setup"), ()) if "silent" in row)
    return any(True for row in rows for _ in _broken(row, {"setup": setup}, ""))


def _is_unset(value: Any) -> bool:
    return value is None or (isinstance(value, str) and (not value or value.endswith("UNSPECIFIED")))


def _located(value: Any, steps: tuple[str, ...], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value at a path of member names, each with its own path; `*` stands for each item of a list."""
    if not steps:
        yield path, value
    elif steps[0] == "*":
        for i, item in enumerate(value if isinstance(value, list) else ()):
            yield from _located(item, steps[1:], f"{path}/{i}")
    elif isinstance(value, dict) and steps[0] in value:
        yield from _located(value[steps[0]], steps[1:], f"{path}/{steps[0]}")


def _unknown_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    profile = _requested(reading, context)
    if profile and not profile["known"] and not profile["retired"]:
        near = " or ".join(models.like(profile["id"], context.target.surface))
        seen = ", and apps that name it are the only trace of it" if models.is_unconfirmed(profile["id"]) else ""
        words = f"{profile['id']} is not in models.json{seen}{near and f'; did you mean {near}?'} at /setup/model"
        yield finding(rule, "/setup/model", words, level="note")


def _retired_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    profile = _requested(reading, context)
    if profile and models.is_gone(profile, context.target.as_of):
        close = not_found(_setup(reading)["model"], context.target)
        words = f"{profile['id']} is retired at /setup/model"
        yield finding(rule, "/setup/model", words, close=close, fix=f"use {profile['replacedBy']}")


def _leaving_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    profile = _requested(reading, context)
    if profile and (row := models.announced(profile["id"])):
        seen = ", and was not seen to happen yet" if models.has_come(row["on"], context.target.as_of) else ""
        words = f"the shutdown of {profile['id']} is announced for {row['on']}{seen} at /setup/model"
        yield finding(rule, "/setup/model", words, fix=f"move to {row['replacedBy']}")


def _misnamed_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    name = _setup(reading).get("model")
    if not isinstance(name, str) or not name:
        return
    row, close = misnamed(name, context.target)
    if row:
        fix = f"write {row['form'].replace('{model}', models.bare_id(name))}"
        shown = schema.short(
            re.sub("projects/[^/]*", "projects/...", name), 100
        )  # the name of a project is not shown
        wrong = "one models/ too many" if name.count("models/") > row["form"].count("models/") else "another form"
        words = f"{shown} has {wrong}: expected {row['form']} at /setup/model"
        yield finding(rule, "/setup/model", words, close=close, level=None if close else "note", fix=fix)


def misnamed(model: str, target: ApiTarget) -> tuple[dict[str, Any] | None, tuple[int, str] | None]:
    """For a model's name whose form is wrong on `target`: the row of its form, and code and reason of the close, None if the
    name is taken all the same."""
    rows = (row for row in models.profile("")["misnamed"] if models.holds(row, target.surface, target.as_of))
    row = next((row for row in rows if not re.search(row["unlike"], model)), None)
    return row, closes.frame_for(
        row["close"], model=model, version=target.version
    ) if row and "close" in row else None


def _foreign_model(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    profile, surface = _served(reading, context), context.target.surface
    if profile is None:
        return
    name, model_id, locations = str(_setup(reading)["model"]), profile["id"], profile.get("locations", {})
    location = re.search("/locations/([^/]+)/", name)
    if surface not in profile["surfaces"]:
        others = " and ".join(_SURFACES[one] for one in profile["surfaces"])
        words, close = (
            f"{model_id} is a model of {others}, not of {_SURFACES[surface]}",
            not_found(name, context.target),
        )
        fix = f"use {next(iter(models.like(model_id, surface)), models.default_model())}, or connect to {others}"
    elif location and location[1] in locations.get("notIn", ()):
        words, fix = f"{location[1]} does not serve {model_id}", f"use {' or '.join(locations['servedIn'])}"
        close = closes.frame_for("publisher-model-not-found", model=name)
    else:
        return
    yield finding(rule, "/setup/model", f"{words} at /setup/model", close=close, fix=fix)


def not_found(model: str, target: ApiTarget) -> tuple[int, str]:
    """Code and reason of the close for a model that does not exist on `target`."""
    return _close_at(target, models.profile("")["notFound"], model=model, version=target.version)


def _close_at(target: ApiTarget, rows: list[dict[str, Any]], **values: str) -> tuple[int, str]:
    """Code and reason of the first of some rows of a profile that applies at `target`."""
    row = next(row for row in rows if models.holds(row, target.surface, target.as_of))
    return closes.frame_for(row["close"], **values)


def _modalities(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    profile = _served(reading, context)
    listed = machine.values({"setup": _setup(reading)}, (*_steps(_MODALITIES), "*"))
    requested = [value for value in listed if isinstance(value, str) and value != "MODALITY_UNSPECIFIED"]
    if not profile or not requested or (len(requested) == 1 and requested[0] in profile["output"]):
        return
    output, name = profile["output"], profile["name"]
    words = f"{name} answers only in {' or '.join(output)}, not in {' and '.join(requested)} at {_MODALITIES}"
    fix = f"ask for {output[0]}"
    if "TEXT" in requested and "TEXT" not in output:
        fix += "; for text add outputAudioTranscription, the transcript of the voice (--text does it)"
    values = {"modalities": ", ".join(requested), "model": _setup(reading)["model"], "accepted": "\n* ".join(output)}
    close = _close_at(context.target, profile["textRefused"], **values)
    yield finding(rule, _MODALITIES, words, close=close, fix=fix)


def _setup(reading: Reading) -> dict[str, Any]:
    setup = reading.message.get("setup")
    return setup if isinstance(setup, dict) else {}


def _requested(reading: Reading, context: Context) -> models.Profile | None:
    """The profile of the model that a setup names."""
    model = _setup(reading).get("model")
    return models.profile(model, context.target.surface) if model and isinstance(model, str) else None


def _served(reading: Reading, context: Context) -> models.Profile | None:
    """The same, if the model is known and not retired: else nothing is known to be refused."""
    profile = _requested(reading, context)
    return profile if profile and profile["known"] and not models.is_gone(profile, context.target.as_of) else None


def _other_surface(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for path, key, parent in reading.canonical.elsewhere:
        close = closes.frame_for("unknown-name", name=key, path=parent)
        hint, fix = names.json_schema(schema.steps(path)[:-1])
        surface = names.SURFACES[reading.surface or "gemini"]
        words = f"{key} is not taken on {surface}{hint} at {path}"
        yield finding(rule, path, words, close=close, fix=fix)


# Audio


def _media(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    """What is wrong with a Blob itself; `refusedOn` has the surfaces that close for it."""
    close_id = protocol.rules()[rule].get("refusedOn", {}).get(context.target.surface)
    for remark in reading.remarks:
        if remark.rule == rule:
            words, close = f"{remark.words} at {remark.path}", closes.frame_for(close_id) if close_id else None
            level: Level = "refused" if close_id else "note"
            yield finding(rule, remark.path, words, reading.sender, level=level, close=close, fix=remark.fix)


# Client messages, by their session so far


def _changed_rate(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    path = "/realtimeInput/audio/mimeType"
    for mime_type, _ in reading.audio:
        before, rate = context.input_rate, codec.rate_of(mime_type, codec.INPUT_RATE)
        if before and rate != before and mime_type.startswith("audio/pcm"):
            words = f"the rate was {before} and is now {rate} at {path}"
            close = closes.frame_for("sample-rate-changed", **{"from": str(before), "to": str(rate)})
            yield finding(rule, path, words, close=close)


def _content_in_mid_session(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    accepted = context.traits.get("clientContent", "always")
    is_prompt = "clientContent" in reading.signals and (accepted == "none" or "prompt" in reading.signals)
    if is_prompt and not (accepted == "always" or (accepted == "seed" and context.traits["historySeed"])):
        yield finding(rule, "/clientContent")


def _answers(reading: Reading) -> Iterator[tuple[str, dict[str, Any]]]:
    """The answers of a toolResponse, each with its path."""
    for path, answer in _located(reading.message, ("toolResponse", "functionResponses", "*")):
        if isinstance(answer, dict):
            yield path, answer


def _answer_without_id(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for path, answer in _answers(reading):
        if "id" not in answer and context.traits:
            yield finding(rule, path, f"no id at {path}")


def _answer_without_call(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    open_calls, answered = dict(context.pending), set(context.answered)
    for path, answer in _answers(reading) if context.setup else ():
        call_id, name = str(answer.get("id", "")), answer.get("name")
        if "id" in answer and call_id not in open_calls:
            words = f"call {schema.short(call_id)} is answered already" if call_id in answered else ""
            near = next((one for one, function in open_calls.items() if function == name), "")
            fix = f"the open call of {name} has the id {schema.short(near)}" if near else ""
            yield finding(
                rule, f"{path}/id", f"{words or f'no call {schema.short(call_id)} is open'} at {path}/id", fix=fix
            )
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
    for path, _ in _located(reading.message, _steps("/clientContent/turns/*/parts/*/functionResponse")):
        calls = f"; {', '.join(islice(context.pending.values(), 3))} waits for its answer" if context.pending else ""
        yield finding(rule, path, f"a functionResponse here answers no call{calls} at {path}")


def _answer_without_response(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    for path, answer in _answers(reading):
        if "response" not in answer and "parts" not in answer:
            yield finding(rule, path, f"no response at {path}")


def _unserved_version(rule: str, reading: Reading, context: Context) -> Iterator[Finding]:
    surface, version, _ = context.target
    served = models.profile("")["versions"].get(surface, [version])
    if version not in served:
        words = f"{version} is not known to serve Live sessions on {_SURFACES[surface]}, {' and '.join(served)} are at /setup"
        yield finding(rule, "/setup", words)


@cache
def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[1:])


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
    ("SETUP-5", "client", "setup", _limit),
    ("MODEL-1", "client", "setup", _unknown_model),
    ("MODEL-2", "client", "setup", _retired_model),
    ("MODEL-11", "client", "setup", _misnamed_model),
    ("MODEL-12", "client", "setup", _foreign_model),
    ("MODEL-10", "client", "setup", _leaving_model),
    ("MODEL-3", "client", "setup", _modalities),
    ("MODEL-4", "client", "*any", _limit),
    ("MODEL-5", "client", "*any", _limit),
    ("MODEL-6", "client", "*any", _limit),
    ("MODEL-7", "client", "*elsewhere", _other_surface),
    ("MODEL-8", "client", "setup", _limit),
    ("MODEL-9", "client", "realtimeInput", _limit),
    ("MODEL-13", "client", "setup", _unserved_version),
    ("AUDIO-1", "client", "*media", _media),
    ("AUDIO-2", "client", "realtimeInput", _changed_rate),
    ("AUDIO-3", "server", "*media", _media),
    ("AUDIO-4", "client", "realtimeInput", _limit),
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
    ("TOOL-8", "client", "toolResponse", _answer_without_response),
    ("CLOSE-1", "both", "*transition", _transition),
)
"""Every rule that is judged here: id, whose messages, what they need of the message, function.
"setup" is a member at the top, "*media" a part as in `_parts`. In the order of rules.json. WIRE-2 and WIRE-15 are not among them: what cannot be read is judged by nothing else."""
_PARTS = {
    sender: frozenset(part for _, senders, part, _ in TABLE if senders in (sender, "both"))
    for sender in ("client", "server")
}


# Findings about what is no message


def unanswered_setup() -> Finding:
    """The finding for a setup that setupComplete did not follow (SETUP-3)."""
    words = "setup has no answer: setupComplete did not come"
    fix = "Connect again. If it stays so, send only setup.model and add the other members one by one."
    return finding("SETUP-3", "/setup", words, level="note", fix=fix)


def not_inspected(size: int, sender: Sender) -> Finding:
    """The finding for a message that was too large to be read (WIRE-13). `size` is in bytes."""
    words = f"a message of {size:,} bytes was relayed, but not inspected"
    return finding("WIRE-13", "", words, sender, level="note")
