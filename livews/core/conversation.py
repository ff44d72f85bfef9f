"""Follow one conversation: `step(sender, raw)` turns each frame into a Step.

- Never learns which side we are: frames come labelled "client" or "server".
- A faulty client frame changes no state; a surprising server frame changes what it can.
- Nothing here waits, logs, opens or prints, and nothing raises for a bad frame: faults are in the Step.
- An unknown member is judged by who sent it: from a client an error, from the server news.
- The hot path is a frame like the one before: its sound is decoded, its meaning was worked out the first time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from livews.core import closes, machine, models, schema, spec, wire
from livews.core.schema import Sender

Level = Literal["error", "refused", "note"]

_TEMPLATES = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about a frame.

    `level` is "error" (the wire does not take it), "refused" (this model or surface refused it when last seen)
    or "note" (worth knowing). `close` is the code and reason the service answers with, where that is known.
    """

    level: Level
    rule: str
    path: str
    complaint: str
    cure: str = ""
    sender: Sender = "client"
    close: tuple[int, str] | None = None

    def __str__(self) -> str:
        return f"{self.complaint} ({self.rule})"


@dataclass(slots=True)
class Step:
    """What one frame was and did.

    `kind` is its top-level members joined by "+"; `signals` and `effects` are words of protocol/machine.json;
    `states` the regions' states after it; `audio` the sound in it, as (mime type, PCM bytes) a part.
    """

    sender: Sender
    kind: str
    raw: bytes
    signals: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    audio: tuple[tuple[str, bytes], ...] = ()
    interrupted: bool = False
    faults: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    parsed: dict[str, Any] | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The message in canonical form; {} for a frame that is none."""
        if self.parsed is None:
            try:
                self.parsed = schema.canonical(self.sender, wire.parse(self.raw)).message
            except wire.WireError:
                self.parsed = {}
        assert self.parsed is not None
        return self.parsed

    @property
    def states(self) -> dict[str, str]:
        """Region to state, as in {"session": "ready", "activity": "none", "turn": "idle"}."""
        return dict(zip(machine.machine().regions, self.state, strict=True))

    @property
    def findings(self) -> list[Finding]:
        return [*self.faults, *self.notes]


_NO_FINDINGS: list[Finding] = []


class Conversation:
    """Both directions of one socket.

    `inspect` runs every schema and rule over every frame that is not a repetition; without it only the machine and
    the member names are looked at, which is what a plain client needs. `surface` is "gemini" or "vertex" and
    `version` the API version: with them given, members that surface does not take are told ("refused").
    """

    def __init__(self, *, inspect: bool = False, surface: str = "", version: str = "") -> None:
        self.inspect = inspect
        self._machine = machine.machine()
        self._where = "vertex" if surface == "vertex" else (version if version in ("v1alpha", "v1beta") else None)
        self._endpoint = {"surface": surface or "gemini", "version": version or "v1beta"}
        self._state = self._machine.initial
        self._templates: dict[str, list[wire.Template]] = {"client": [], "server": []}
        self._cut = False
        self.setup: dict[str, Any] = {}
        self.profile: models.Profile = models.profile("")
        self.traits: dict[str, Any] = {}
        self._read_traits()
        self.handle = ""
        self.pending: dict[str, str] = {}
        self.input_rate = 0
        self.turns = 0
        self.news: Counter[str] = Counter()
        """Members and enum values of the server that the schemas do not have, by path without indices."""

    @property
    def states(self) -> dict[str, str]:
        return dict(zip(self._machine.regions, self._state, strict=True))

    def state(self, region: str) -> str:
        return self._state[self._machine.regions.index(region)]

    def step(self, sender: Sender, raw: bytes | str) -> Step:
        """What this frame was and did. `raw` is a frame's payload: bytes, or the str of a text frame."""
        if isinstance(raw, str):
            raw = raw.encode(errors="surrogatepass")
        for template in self._templates[sender]:
            pcm = template.pcm(raw)
            if pcm is not None:
                return self._repeat(sender, raw, template, pcm)
        try:
            message = wire.parse(raw)
        except wire.WireError as problem:
            fault = self._finding("WIRE-2", "", str(problem), sender)
            return Step(sender, "unreadable", raw, state=self._state, faults=[fault])
        return self._step(sender, raw, message)

    def step_message(self, sender: Sender, message: dict[str, Any]) -> Step:
        """The same for a message that is not serialised yet; its `raw` is compact JSON."""
        return self._step(sender, wire.dump(message), message)

    def close(self, sender: Sender, code: int, reason: str = "") -> Step:
        """The socket closed, by this side's close frame or (code 1006) by nobody's."""
        outcome = self._machine.run(self._state, ("close",), self.traits)
        cut = "cutTurn" in outcome.effects
        self._state = outcome.states
        return Step(
            sender,
            "close",
            b"",
            ("close",),
            outcome.effects,
            self._state,
            interrupted=cut,
            parsed={"close": {"code": code, "reason": reason}},
        )

    # The repeated frame

    def _repeat(self, sender: Sender, raw: bytes, template: wire.Template, pcm: bytes) -> Step:
        known = template.meaning.get(self._state)
        if known is None:
            return self._step(sender, raw, wire.parse(raw), learn=False)
        kind, signals, outcome = known
        self._state = outcome.states
        return Step(
            sender, kind, raw, signals, outcome.effects, outcome.states, ((template.mime_type, pcm),), self._cut,
            _NO_FINDINGS, _NO_FINDINGS,
        )  # fmt: skip

    def _learn(self, step: Step, before: tuple[str, ...], outcome: machine.Outcome) -> None:
        """Keep the frame as a template when it is one blob of sound and nothing else, and nothing was found in it."""
        if step.findings or outcome.notes or len(step.audio) != 1:
            return
        blob = _only_blob(step.sender, step.body)
        if blob is None:
            return
        known = (step.kind, step.signals, outcome)
        templates = self._templates[step.sender]
        for template in templates:
            if template.pcm(step.raw) is not None:
                template.meaning[before] = known
                return
        template_or_none = wire.Template.learn(step.raw, blob["data"], blob["mimeType"])
        if template_or_none is not None:
            template_or_none.meaning[before] = known
            templates.insert(0, template_or_none)
            del templates[_TEMPLATES:]

    # Any other frame

    def _step(self, sender: Sender, raw: bytes, message: dict[str, Any], learn: bool = True) -> Step:
        found = schema.canonical(sender, message, self._where)
        body: dict[str, Any] = found.message
        step = Step(sender, "+".join(body) or "empty", raw, parsed=body)
        step.faults, step.notes = [], []
        self._judge_names(sender, found, step)
        if self.inspect:
            for violation in schema.violations(sender, body):
                if not (violation.kind == "unknown" and sender == "server"):
                    step.faults.append(self._from_violation(sender, violation))
        step.audio = self._decode(sender, body, step)

        before = self._state
        traits = self.traits
        if sender == "client" and "setup" in body and isinstance(body["setup"], dict) and not self.setup:
            traits = self._traits_of(body["setup"])
        step.signals = self._machine.signals(sender, body, traits)
        outcome = self._machine.run(before, step.signals, traits)
        step.faults += [self._rule(rule, sender) for rule in outcome.faults]
        step.notes += [self._rule(rule, sender) for rule in outcome.notes]
        if sender == "client":
            self._judge_content(body, step)
        if sender == "client" and any(fault.level == "error" for fault in step.faults):
            step.state = before
            return step
        self._state = step.state = outcome.states
        step.effects = outcome.effects
        self._remember(sender, body, step)
        step.interrupted = self._cut
        if "endTurn" in step.effects or "cutTurn" in step.effects:
            self.turns += 1
            self._cut = False
        if step.audio:
            self._learn(step, before, outcome)
        return step

    def _judge_names(self, sender: Sender, found: schema.Canonical, step: Step) -> None:
        for path, key, parent in found.unknown:
            if sender == "server":
                plain = "/".join("*" if part.isdigit() else part for part in path.split("/"))
                self.news[plain] += 1
                words = f"{plain.strip('/').replace('/', '.')} is not in the schema"
                step.notes.append(Finding("note", "WIRE-6", path, words, sender=sender))
            elif not self.inspect:
                close = closes.say("unknown-name", name=key, path=parent)
                step.faults.append(
                    self._finding("WIRE-5", path, f"no member {key} at {path}", sender, close=close)
                )
        if sender == "server":
            for path, value, kind in found.unknown_values:
                self.news[f"{kind}.{value}"] += 1
                words = f"{value} is not among the values of {kind} at {path}"
                step.notes.append(Finding("note", "WIRE-6", path, words, sender=sender))
        for rule, path, words in found.remarks:
            step.notes.append(Finding("note", rule, path, f"{words} at {path}", sender=sender))
        for path, key, parent in found.elsewhere:
            if sender == "client":
                words = f"{key} is not taken on {self._where} at {path}"
                close = closes.say("unknown-name", name=key, path=parent)
                step.faults.append(self._finding("MODEL-7", path, words, sender, close=close))

    def _from_violation(self, sender: Sender, violation: schema.Violation) -> Finding:
        match violation.kind:
            case "unknown":
                close = closes.say("unknown-name", name=violation.key, path=violation.parent)
                cure = ""
                homes = [home for home in schema.homes(violation.key)][:3]
                if homes and "did you mean" not in violation.complaint:
                    cure = f"{violation.key} is a member of {' and of '.join(homes)}: put it there"
                return self._finding("WIRE-5", violation.path, violation.complaint, sender, close=close, cure=cure)
            case "oneof":
                close = closes.say("invalid-value", path=violation.parent, type="oneof", value="")
                return self._finding("WIRE-8", violation.path, violation.complaint, sender, close=close)
            case _:
                value = violation.value if isinstance(violation.value, str) else wire.dump(violation.value).decode()
                kind = f"type.googleapis.com/google.ai.generativelanguage.v1beta.{violation.type}"
                close = closes.say("invalid-value", path=violation.parent, type=kind, value=value)
                return self._finding("WIRE-7", violation.path, violation.complaint, sender, close=close)

    def _decode(self, sender: Sender, body: dict[str, Any], step: Step) -> tuple[tuple[str, bytes], ...]:
        sounds = []
        for path, blob in _blobs(sender, body):
            mime_type, data = blob.get("mimeType", ""), blob.get("data", "")
            if not isinstance(mime_type, str) or not isinstance(data, str):
                continue
            sound = mime_type.startswith("audio/")
            if not sound and not self.inspect:
                continue
            try:
                decoded = wire.decode_base64(data)
            except wire.WireError as problem:
                step.faults.append(self._finding("WIRE-3", f"{path}/data", f"{problem} at {path}/data", sender))
                continue
            if sound:
                sounds.append((mime_type, decoded))
        return tuple(sounds)

    def _judge_content(self, body: dict[str, Any], step: Step) -> None:
        """What the model's profile and the session so far have against a client message."""
        if "setup" in body and isinstance(body["setup"], dict):
            self._judge_setup(body, step)
        else:
            self._judge_refusals(body, self.profile, step)
        for mime_type, _ in step.audio:
            if not mime_type.startswith("audio/pcm"):
                continue
            rate = wire.rate_of(mime_type, wire.INPUT_RATE)
            if self.input_rate and rate != self.input_rate:
                words = f"the rate was {self.input_rate} and is now {rate} at /realtimeInput/audio/mimeType"
                close = closes.say("sample-rate-changed", **{"from": str(self.input_rate), "to": str(rate)})
                step.faults.append(
                    self._finding("AUDIO-2", "/realtimeInput/audio/mimeType", words, "client", close=close)
                )
            elif not step.faults:
                self.input_rate = rate
        if "toolResponse" in body:
            for i, answer in enumerate(machine.values(body, ("toolResponse", "functionResponses", "*"))):
                path = f"/toolResponse/functionResponses/{i}"
                call = answer.get("id") if isinstance(answer, dict) else None
                if call is None:
                    step.notes.append(self._finding("TOOL-1", path, f"no id at {path}", "client", level="note"))
                elif call not in self.pending and self._state[0] != self._machine.initial[0]:
                    words = f"no call {schema.short(str(call))} is open at {path}/id"
                    step.notes.append(self._finding("TOOL-2", f"{path}/id", words, "client", level="note"))
        if "clientContent" in body and self.traits.get("clientContent") == "none":
            step.notes.append(self._rule("TURN-6", "client"))
        elif "prompt" in step.signals and "clientContent" in body and self.traits.get("clientContent") == "seed":
            step.notes.append(self._rule("TURN-6", "client"))

    def _judge_setup(self, body: dict[str, Any], step: Step) -> None:
        setup: dict[str, Any] = body["setup"]
        model = setup.get("model")
        if not isinstance(model, str) or not model:
            step.notes.append(self._rule("SETUP-4", "client"))
            return
        about = models.profile(model)
        if about["retired"]:
            words = f"{about['id']} is retired at /setup/model"
            cure = f"use {about['replacedBy']}"
            close = closes.say("model-not-found", model=model, version=self._endpoint["version"])
            step.faults.append(self._finding("MODEL-2", "/setup/model", words, "client", close=close, cure=cure))
            return
        if not about["known"]:
            words = f"{about['id']} is not in models.json at /setup/model"
            step.notes.append(self._finding("MODEL-1", "/setup/model", words, "client", level="note"))
            return
        self._judge_modalities(setup, about, model, step)
        self._judge_refusals(body, about, step)
        for row in about.get("requires", ()):
            if not machine.values(body, tuple(row["at"].split("/")[1:])):
                words = f"{about['name']} wants {row['at'].rsplit('/', 1)[-1]} at {row['at'].rsplit('/', 1)[0]}"
                step.faults.append(self._finding(row["rule"], row["at"], words, "client"))
        for check in spec.load("rules.json")["checks"]:
            for value in machine.values(body, tuple(check["at"].split("/")[1:])):
                low, high = check["within"]
                if isinstance(value, (int, str)) and str(value).lstrip("-").isdigit() and not low <= int(value) <= high:
                    words = f"expected {low} to {high}, got {value} at {check['at']}"
                    close = closes.say(check["close"])
                    step.faults.append(self._finding(check["rule"], check["at"], words, "client", close=close))

    def _judge_modalities(self, setup: dict[str, Any], about: models.Profile, model: str, step: Step) -> None:
        path = "/setup/generationConfig/responseModalities"
        asked = [m for m in machine.values({"setup": setup}, tuple(path.split("/")[1:] + ["*"])) if isinstance(m, str)]
        wanted = [m for m in asked if m != "MODALITY_UNSPECIFIED"]
        if not wanted or (len(wanted) == 1 and wanted[0] in about["output"]):
            return
        takes = " or ".join(about["output"])
        words = f"{about['name']} answers in {takes} alone, not {' and '.join(wanted)} at {path}"
        cure = f"ask for {about['output'][0]}"
        if "TEXT" in wanted and "TEXT" not in about["output"]:
            cure += "; for text add outputAudioTranscription, the transcript of the voice (--text does it)"
        close = closes.say(
            "text-not-supported", modalities=", ".join(wanted), model=model, accepted="\n* ".join(about["output"])
        )
        step.faults.append(self._finding("MODEL-3", path, words, "client", close=close, cure=cure))

    def _judge_refusals(self, body: dict[str, Any], about: models.Profile, step: Step) -> None:
        for row in about["refuses"]:
            if machine.values(body, tuple(row["at"].split("/")[1:])):
                name = row["at"].rsplit("/", 1)[-1]
                words = f"{about['name']} does not take {name} at {row['at']}"
                step.faults.append(
                    self._finding(row["rule"], row["at"], words, "client", close=closes.say(row["close"]))
                )

    def _remember(self, sender: Sender, body: dict[str, Any], step: Step) -> None:
        if "rememberSetup" in step.effects and isinstance(body.get("setup"), dict):
            self.setup = body["setup"]
            self.profile = models.profile(str(self.setup.get("model", "")))
            self._read_traits()
        if "rememberHandle" in step.effects:
            update = body["sessionResumptionUpdate"]
            if update.get("resumable") and update.get("newHandle"):
                self.handle = update["newHandle"]
        if "toolCall" in step.signals:
            for call in machine.values(body, ("toolCall", "functionCalls", "*")):
                if isinstance(call, dict):
                    self.pending[str(call.get("id", ""))] = str(call.get("name", ""))
        for call_id in machine.values(body, ("toolCallCancellation", "ids", "*")):
            self.pending.pop(str(call_id), None)
        if sender == "client":
            for call_id in machine.values(body, ("toolResponse", "functionResponses", "*", "id")):
                self.pending.pop(str(call_id), None)
        if "interrupted" in step.signals:
            self._cut = True

    # Traits

    def _read_traits(self) -> None:
        self.traits = self._traits_of(self.setup)
        for templates in self._templates.values():
            templates.clear()

    def _traits_of(self, setup: Mapping[str, Any]) -> dict[str, Any]:
        about = models.profile(str(setup.get("model", "")))
        traits: dict[str, Any] = {}
        for name, source in spec.machine()["traits"].items():
            value = source["default"]
            if "profile" in source:
                value = about.get(source["profile"], value)
            elif "endpoint" in source:
                value = self._endpoint.get(source["endpoint"], value)
            else:
                given = machine.values(setup, tuple(source["setup"].split("/")[1:]))
                value = given[0] if given else value
            traits[name] = value
        return traits

    # Findings

    def _rule(self, rule: str, sender: Sender) -> Finding:
        row = spec.rules()[rule]
        return self._finding(rule, "", row["title"], sender, level="note" if row["level"] == "should" else None)

    def _finding(
        self,
        rule: str,
        path: str,
        complaint: str,
        sender: Sender,
        *,
        level: Level | None = None,
        close: tuple[int, str] | None = None,
        cure: str = "",
    ) -> Finding:
        row = spec.rules()[rule]
        if level is None:
            level = {"must": "error", "model": "refused"}.get(row["level"], "note")  # type: ignore[assignment]
        if close is None and "close" in row and sender == "client" and level != "note":
            close = closes.say(row["close"])
        return Finding(level, rule, path, complaint, cure or row["do"], sender, close)  # type: ignore[arg-type]


def _blobs(sender: Sender, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The media of a message, as (path, Blob)."""
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


def _only_blob(sender: Sender, body: dict[str, Any]) -> dict[str, Any] | None:
    """The one Blob of a message that holds nothing else that could change, None for any other message."""
    if sender == "client":
        given = body.get("realtimeInput", {})
        blob = given.get("audio") if len(body) == 1 and len(given) == 1 else None
    else:
        content = body.get("serverContent", {})
        turn = content.get("modelTurn", {}) if len(body) == 1 and len(content) == 1 else {}
        parts = turn.get("parts", [])
        blob = parts[0].get("inlineData") if len(parts) == 1 and len(parts[0]) == 1 else None
    if isinstance(blob, dict) and set(blob) == {"mimeType", "data"}:
        return blob
    return None
