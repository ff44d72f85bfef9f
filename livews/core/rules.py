"""What is to be said about one message, without knowing what came before it.

- Findings have a level: "error" (the wire does not take it), "refused" (this model or surface refused it when last
  seen), "note". The level, the cure and the close come from the rule's row in protocol/rules.json.
- Nothing here knows a session; what needs one (the rate that changed, the call that is not open) is in conversation.
- Which model takes what is read from protocol/models.json. No model is named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from livews.core import closes, codec, machine, models, protocol, schema
from livews.core.schema import Sender

Level = Literal["error", "refused", "note"]
_LEVELS: dict[str, Level] = {"must": "error", "model": "refused", "should": "note", "server": "note"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about a frame. `close` is the code and reason the service answers with, where known."""

    level: Level
    rule: str
    path: str
    complaint: str
    fix: str = ""
    sender: Sender = "client"
    close: tuple[int, str] | None = None

    def __str__(self) -> str:
        return f"{self.complaint} ({self.rule})"

    @property
    def cure(self) -> str:
        """Deprecated name of `fix`."""
        return self.fix


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
    """A finding by its rule: what is not given is taken from the rule's row."""
    row = protocol.rules()[rule]
    level = level or _LEVELS[row["level"]]
    if close is None and "close" in row and sender == "client" and level != "note":
        close = closes.frame_for(row["close"])
    return Finding(level, rule, path, complaint or row.get("broken", row["title"]), fix or row["do"], sender, close)


def unanswered_setup() -> Finding:
    """What to say of a setup for which setupComplete did not come."""
    words = "setup has no answer: setupComplete did not come"
    fix = "Dial again. If it stays so, send setup.model alone and add the other members one by one."
    return finding("SETUP-3", "/setup", words, level="note", fix=fix)


def check(sender: Sender, message: Any) -> list[Finding]:
    """Everything there is to say about one loose message, the errors first."""
    if not isinstance(message, dict):
        return [finding("WIRE-2", "", f"expected a JSON object, got {schema.kind_of(message)}", sender)]
    try:
        codec.dump(message)
    except codec.WireError as problem:  # bytes, or a key that is no string: nothing that could go over the wire
        return [finding("WIRE-2", "", str(problem), sender)]
    found = schema.canonical(sender, message)
    said = [*name_findings(sender, found), *schema_findings(sender, found.message)]
    for path, blob in blobs(sender, found.message):
        said += base64_findings(sender, path, blob)
    if sender == "client":
        said += content_findings(found.message, models.profile(""), ApiTarget())
    return sorted(said, key=lambda one: ("error", "refused", "note").index(one.level))


def name_findings(sender: Sender, found: schema.Canonical, where: str | None = None) -> Iterator[Finding]:
    """What the fold into canonical form met: a server's news, odd spellings, members of another surface."""
    if sender == "server":
        for path, _, _ in found.unknown:
            yield Finding("note", "WIRE-6", path, f"{plain_path(path)} is not in the schema", sender=sender)
        for path, value, kind in found.unknown_values:
            words = f"{schema.short(value)} is not among the values of {kind} at {path}"
            yield Finding("note", "WIRE-6", path, words, sender=sender)
    for rule, path, words in found.remarks:
        yield finding(rule, path, f"{words} at {path}", sender, level="note")
    for path, key, parent in found.elsewhere:
        if sender == "client":
            close = closes.frame_for("unknown-name", name=key, path=parent)
            yield finding("MODEL-7", path, f"{key} is not taken on {where} at {path}", close=close)


def plain_path(path: str) -> str:
    """A pointer without its indices, with dots: `/serverContent/modelTurn/parts/0/x` -> `serverContent...parts.x`."""
    return ".".join(step for step in path.split("/") if step and not step.isdigit())


def unknown_findings(found: schema.Canonical) -> Iterator[Finding]:
    """The unknown members of a client message, for those who do not run the schemas over it."""
    for path, key, parent in found.unknown:
        close = closes.frame_for("unknown-name", name=key, path=parent)
        yield finding("WIRE-5", path, f"no member {key} at {path}", close=close, fix=_of_server(key, parent))


def _of_server(key: str, parent: str) -> str:
    """The cure when a client sends what the service sends; "" when it is something else."""
    if parent or key not in schema.top("server"):
        return ""
    taken = (member for member in schema.top("client").values() if all(member.on.values()))
    mine = dict.fromkeys(member.name for member in taken)
    return f"Do not send {key}: it is the service's, and a client only receives it. Clients send {', '.join(mine)}."


def schema_findings(sender: Sender, body: dict[str, Any]) -> Iterator[Finding]:
    """What the schemas have against a canonical message."""
    for violation in schema.violations(sender, body):
        path, words, parent = violation.path, violation.complaint, violation.parent
        fix = ""
        if violation.kind == "unknown":
            close = closes.frame_for("unknown-name", name=violation.key, path=parent)
            fix = _of_server(violation.key, parent) if sender == "client" else ""
            homes = schema.homes(violation.key)[:3]
            if not fix and homes and "did you mean" not in words:
                fix = f"{violation.key} is a member of {' and of '.join(homes)}: put it there"
            yield finding("WIRE-5", path, words, sender, close=close, fix=fix)
        elif violation.kind == "oneof":
            close = closes.frame_for("invalid-value", path=parent, type="oneof", value="")
            yield finding("WIRE-8", path, words, sender, close=close)
        else:
            value = violation.value
            said = (value if isinstance(value, str) else codec.dump(value).decode())[: closes.REASON_LIMIT]
            kind = f"type.googleapis.com/google.ai.generativelanguage.v1beta.{violation.type}"
            close = closes.frame_for("invalid-value", path=parent, type=kind, value=said)
            yield finding("WIRE-7", path, words, sender, close=close)


def blobs(sender: Sender, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The streamed media of a message, as (path, Blob)."""
    if sender == "server":
        for i, part in enumerate(machine.values(body, ("serverContent", "modelTurn", "parts", "*"))):
            if isinstance(part, dict) and isinstance(part.get("inlineData"), dict):
                yield f"/serverContent/modelTurn/parts/{i}/inlineData", part["inlineData"]
        return
    given = body.get("realtimeInput")
    if not isinstance(given, dict):
        return
    for name in ("audio", "video"):
        if isinstance(given.get(name), dict):
            yield f"/realtimeInput/{name}", given[name]
    for i, blob in enumerate(machine.values(given, ("mediaChunks", "*"))):
        if isinstance(blob, dict):
            yield f"/realtimeInput/mediaChunks/{i}", blob


def base64_findings(sender: Sender, path: str, blob: dict[str, Any]) -> Iterator[Finding]:
    data = blob.get("data", "")
    if isinstance(data, str):
        try:
            codec.decode_base64(data)
        except codec.WireError as problem:
            yield finding("WIRE-3", f"{path}/data", f"{problem} at {path}/data", sender)


@dataclass(frozen=True, slots=True)
class ApiTarget:
    """Where and when a message is judged. `as_of` is a month such as "2026-03"; empty is today."""

    surface: str = "gemini"
    version: str = "v1beta"
    as_of: str = ""


def content_findings(
    body: dict[str, Any], profile: models.Profile, place: ApiTarget, session: dict[str, Any] | None = None
) -> Iterator[Finding]:
    """What models have against a client message; `profile` and `session` (its setup) are the session's, a setup
    brings its own."""
    setup = body.get("setup")
    if isinstance(setup, dict):
        yield from _setup(setup, place)
    else:
        yield from _refusals(body, profile, place, session or {})


def _setup(setup: dict[str, Any], place: ApiTarget) -> Iterator[Finding]:
    model = setup.get("model")
    for row in protocol.load("rules.json")["checks"]:
        yield from _unfit(row, {"setup": setup})
    if not model:
        yield finding("SETUP-4", "/setup/model")
        return
    if not isinstance(model, str):
        return
    about = models.profile(model, place.surface)
    if about["retired"]:
        close = not_found(model, place)
        words = f"{about['id']} is retired at /setup/model"
        yield finding("MODEL-2", "/setup/model", words, close=close, fix=f"use {about['replacedBy']}")
    elif not about["known"]:
        yield finding("MODEL-1", "/setup/model", f"{about['id']} is not in models.json at /setup/model", level="note")
    else:
        yield from _modalities(setup, about, model, place)
        yield from _refusals({"setup": setup}, about, place, setup)
        for row in about.get("requires", ()):
            if not machine.values({"setup": setup}, _path(row["at"])):
                parent, _, name = row["at"].rpartition("/")
                yield finding(row["rule"], row["at"], f"{about['name']} wants {name} at {parent}")


def not_found(model: str, place: ApiTarget) -> tuple[int, str]:
    """How a model that is not there is refused."""
    row = next(row for row in models.profile("")["notFound"] if models.holds(row, place.surface, place.as_of))
    return closes.frame_for(row["close"], model=model, version=place.version)


def _modalities(setup: dict[str, Any], about: models.Profile, model: str, place: ApiTarget) -> Iterator[Finding]:
    path = "/setup/generationConfig/responseModalities"
    asked = machine.values({"setup": setup}, (*_path(path), "*"))
    wanted = [m for m in asked if isinstance(m, str) and m != "MODALITY_UNSPECIFIED"]
    if not wanted or (len(wanted) == 1 and wanted[0] in about["output"]):
        return
    words = f"{about['name']} answers in {' or '.join(about['output'])} alone, not {' and '.join(wanted)} at {path}"
    fix = f"ask for {about['output'][0]}"
    if "TEXT" in wanted and "TEXT" not in about["output"]:
        fix += "; for text add outputAudioTranscription, the transcript of the voice (--text does it)"
    accepted = "\n* ".join(about["output"])
    row = next(row for row in about["textRefused"] if models.holds(row, place.surface, place.as_of))
    close = closes.frame_for(row["close"], modalities=", ".join(wanted), model=model, accepted=accepted)
    yield finding("MODEL-3", path, words, close=close, fix=fix)


def _refusals(
    body: dict[str, Any], about: models.Profile, place: ApiTarget, setup: dict[str, Any]
) -> Iterator[Finding]:
    for row in about["refuses"]:
        if not models.holds(row, place.surface, place.as_of):
            continue
        if "unless" in row and True in machine.values({"setup": setup}, _path(row["unless"])):
            continue
        if machine.values(body, _path(row["at"])):
            words = f"{about['name']} does not take {row['at'].rsplit('/', 1)[-1]} at {row['at']}"
            yield finding(row["rule"], row["at"], words, close=closes.frame_for(row["close"]))


def _unfit(row: dict[str, Any], body: dict[str, Any]) -> Iterator[Finding]:
    """A value that is not `within` two numbers, or not `among` the names of a list, upper or lower case."""
    values = machine.values(body, _path(row["at"]))
    if "among" in row:
        names = {name.lower() for name in protocol.models()[row["among"]]}
        for value in values:
            if isinstance(value, str) and value and value.lower() not in names:
                words = f"{schema.short(value)} is none of the {row['among']} known at {row['at']}"
                yield finding(row["rule"], row["at"], words, close=closes.frame_for(row["close"], voice=value))
        return
    low, high = row["within"]
    for value in values:
        number = codec.whole(value)
        if number is not None and not low <= number <= high:
            words = f"expected {low} to {high}, got {value} at {row['at']}"
            yield finding(row["rule"], row["at"], words, close=closes.frame_for(row["close"]))


def _path(pointer: str) -> tuple[str, ...]:
    return tuple(pointer.split("/")[1:])
