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
from dataclasses import dataclass
from itertools import islice
from typing import Any

from livews.core import closes, codec, machine, models, protocol, rules, schema
from livews.core.rules import Finding, finding
from livews.core.schema import Sender

_TEMPLATES = 4


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
    faults: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    parsed: dict[str, Any] | None = None
    template: codec.Template | None = None
    """For a frame like one before: the shape they share. Then only the base64 is new in `raw`."""
    as_sent: dict[str, Any] | None = None
    """The message as it was written, before it was folded into canonical form. None where it was not parsed."""

    @property
    def body(self) -> dict[str, Any]:
        """The message in canonical form; {} for a frame that is none."""
        if self.parsed is None:
            try:
                self.parsed = schema.canonical(self.sender, codec.parse(self.raw)).message
            except codec.WireError:
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


class Conversation:
    """Both directions of one socket.

    `inspect` runs every schema and rule over every frame that is not a repetition; without it only the machine and
    the member names are looked at, which is what a plain client needs. `surface` is "gemini" or "vertex" and
    `version` the API version: with them given, members that surface does not take are told ("refused"). `as_of`, a
    month such as "2026-03", asks for what models refused then.
    """

    def __init__(self, *, inspect: bool = False, surface: str = "", version: str = "", as_of: str = "") -> None:
        self.inspect = inspect
        self._machine = machine.machine()
        self._where = "vertex" if surface == "vertex" else (version if version in ("v1alpha", "v1beta") else None)
        self.place = rules.ApiTarget(surface or "gemini", version or "v1beta", as_of)
        self._state = self._machine.initial
        self._templates: dict[str, list[codec.Template]] = {"client": [], "server": []}
        self._cut = False
        self.setup: dict[str, Any] = {}
        self.profile: models.Profile = models.profile("")
        self.traits: dict[str, Any] = {}
        self._read_traits()
        self.handle = ""
        self.pending: dict[str, str] = {}
        """The open calls, id to name."""
        self._holding: set[str] = set()
        """Those of them that hold the turn that runs: it goes on until they are answered (TOOL-3)."""
        self._behaviors: dict[str, str] = {}
        """Function to `behavior`, for those that are declared with one."""
        self.input_rate = 0
        self.turns = 0
        self.news: Counter[str] = Counter()
        """Members and enum values of the server that the schemas do not have, by path without indices."""
        self.server_faults: Counter[str] = Counter()
        """Rules that frames of the server broke."""

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
            message = codec.parse(raw)
        except codec.WireError as problem:
            if sender == "server":
                self.server_faults["WIRE-2"] += 1
            fault = finding("WIRE-2", "", str(problem), sender)
            return Step(sender, "unreadable", raw, state=self._state, faults=(fault,))
        return self._step(sender, raw, message)

    def step_message(self, sender: Sender, message: dict[str, Any]) -> Step:
        """The same for a message that is not serialised yet; its `raw` is compact JSON."""
        return self._step(sender, codec.dump(message), message)

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

    def _repeat(self, sender: Sender, raw: bytes, template: codec.Template, pcm: bytes) -> Step:
        known = template.meaning.get(self._state)
        if known is None:
            return self._step(sender, raw, codec.parse(raw))
        kind, signals, outcome = known
        self._state = outcome.states
        return Step(
            sender, kind, raw, signals, outcome.effects, outcome.states, ((template.mime_type, pcm),), self._cut,
            (), (), None, template,
        )  # fmt: skip

    def _learn(self, step: Step, before: tuple[str, ...], outcome: machine.Transition) -> None:
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
        template_or_none = codec.Template.learn(step.raw, blob["data"], blob["mimeType"])
        if template_or_none is not None:
            template_or_none.meaning[before] = known
            templates.insert(0, template_or_none)
            del templates[_TEMPLATES:]

    # Any other frame

    def _step(self, sender: Sender, raw: bytes, message: dict[str, Any]) -> Step:
        found = schema.canonical(sender, message, self._where)
        body: dict[str, Any] = found.message
        step = Step(sender, "+".join(body) or "empty", raw, parsed=body, as_sent=message)
        said = list(islice(rules.name_findings(sender, found, self._where), schema.MOST))
        if self.inspect:
            said += rules.schema_findings(sender, body)
        elif sender == "client":
            said += islice(rules.unknown_findings(found), schema.MOST)
        if sender == "server" and (found.unknown or found.unknown_values):
            self.news.update(rules.plain_path(path) for path, _, _ in found.unknown)
            self.news.update(f"{kind}.{value}" for _, value, kind in found.unknown_values)
        step.audio, undecodable = self._decode(sender, body)
        said += undecodable

        before = self._state
        traits = self.traits
        if sender == "client" and "setup" in body and isinstance(body["setup"], dict) and not self.setup:
            traits = self._traits_of(body["setup"])
        pending = self._calls_after(sender, body)
        traits = {**traits, "callsOpen": bool(pending), "answerOwed": self._answer_owed(sender, body)}
        step.signals = self._machine.signals(sender, body, traits)
        outcome = self._machine.run(before, step.signals, traits)
        said += [finding(rule, sender=sender) for rule in outcome.faults]
        said += [finding(rule, sender=sender, level="note") for rule in outcome.notes]
        if sender == "client":
            said += rules.content_findings(body, self.profile, self.place, self.setup)
            said += self._against_session(body, step)
        step.faults = tuple(one for one in said if one.level != "note")
        step.notes = tuple(one for one in said if one.level == "note")
        if sender == "server":
            self.server_faults.update(fault.rule for fault in step.faults)
        if sender == "client" and any(fault.level == "error" for fault in step.faults):
            step.state = before
            return step
        self._state = step.state = outcome.states
        step.effects = outcome.effects
        self.pending = pending
        self._remember(sender, body, step)
        step.interrupted = self._cut
        if "endTurn" in step.effects or "cutTurn" in step.effects:
            self.turns += 1
            self._cut = False
            self._holding.clear()
        if step.audio:
            self._learn(step, before, outcome)
        return step

    def _decode(self, sender: Sender, body: dict[str, Any]) -> tuple[tuple[tuple[str, bytes], ...], list[Finding]]:
        """The sound of a message, and what is no base64. Other media is decoded by whoever wants it, and checked when
        we inspect."""
        sounds = []
        said: list[Finding] = []
        for path, blob in rules.blobs(sender, body):
            mime_type, data = blob.get("mimeType"), blob.get("data")
            if isinstance(mime_type, str) and mime_type.startswith("audio/") and isinstance(data, str):
                try:
                    sounds.append((mime_type, codec.decode_base64(data)))
                except codec.WireError as problem:
                    said.append(finding("WIRE-3", f"{path}/data", f"{problem} at {path}/data", sender))
            elif self.inspect:
                said += rules.base64_findings(sender, path, blob)
            if len(said) == schema.MOST:
                break
        return tuple(sounds), said

    def _against_session(self, body: dict[str, Any], step: Step) -> list[Finding]:
        """What the session so far has against a client message that is fine by itself."""
        said = []
        path = "/realtimeInput/audio/mimeType"
        for mime_type, _ in step.audio:
            if mime_type.startswith("audio/pcm"):
                rate = codec.rate_of(mime_type, codec.INPUT_RATE)
                if self.input_rate and rate != self.input_rate:
                    words = f"the rate was {self.input_rate} and is now {rate} at {path}"
                    close = closes.frame_for("sample-rate-changed", **{"from": str(self.input_rate), "to": str(rate)})
                    said.append(finding("AUDIO-2", path, words, close=close))
        for i, answer in enumerate(machine.values(body, ("toolResponse", "functionResponses", "*"))):
            path = f"/toolResponse/functionResponses/{i}"
            call = answer.get("id") if isinstance(answer, dict) else None
            if call is None:
                said.append(finding("TOOL-1", path, f"no id at {path}"))
            elif str(call) not in self.pending and self.setup:
                words = f"no call {schema.short(str(call))} is open at {path}/id"
                said.append(finding("TOOL-2", f"{path}/id", words))
            if len(said) == schema.MOST:
                break
        takes = self.traits["clientContent"]
        asked = "clientContent" in step.signals and (takes == "none" or "prompt" in step.signals)
        if asked and not (takes == "always" or (takes == "seed" and self.traits["historySeed"])):
            said.append(finding("TURN-6", "/clientContent"))
        return said

    def _calls_after(self, sender: Sender, body: dict[str, Any]) -> dict[str, str]:
        """The open calls, id to name, once this message is taken. Vertex calls may come without an id: their name is it."""
        if not any(name in body for name in ("toolCall", "toolCallCancellation", "toolResponse")):
            return self.pending
        open_calls = dict(self.pending)
        if sender == "server":
            for call_id, name in _called(body):
                open_calls[call_id] = name
            for call_id in machine.values(body, ("toolCallCancellation", "ids", "*")):
                open_calls.pop(str(call_id), None)
        else:
            for call_id, _ in self._closed_by(body):
                open_calls.pop(call_id, None)
        return open_calls

    def _closed_by(self, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The calls that a toolResponse closes, each with its answer: by id, without one the oldest open call of its name."""
        open_calls = dict(self.pending)
        for answer in machine.values(body, ("toolResponse", "functionResponses", "*")):
            if isinstance(answer, dict) and answer.get("willContinue") is not True:
                known = (call_id for call_id, name in open_calls.items() if name == answer.get("name"))
                call_id = str(answer.get("id") or next(known, ""))
                if open_calls.pop(call_id, None) is not None:
                    yield call_id, answer

    def _answer_owed(self, sender: Sender, body: dict[str, Any]) -> bool:
        """Whether the model is to speak about an answer in this message in a turn of its own: the call it closes holds
        no turn, and its scheduling is not SILENT."""
        if sender != "client" or "toolResponse" not in body:
            return False
        return any(
            call_id not in self._holding
            and "SILENT" not in machine.values(answer, ("scheduling",))
            and "SILENT" not in machine.values(answer, ("response", "scheduling"))
            for call_id, answer in self._closed_by(body)
        )

    def _holds(self, function: str) -> bool:
        """Whether the turn in which this function is called goes on until the call is answered (TOOL-3)."""
        if self.profile["turnEndsAt"] != "turnComplete":
            return True
        tools = self.profile["tools"]
        default = tools.get("default", "BLOCKING")
        behavior = self._behaviors.get(function, default)
        if self.profile["known"] and behavior not in tools["behavior"]:
            behavior = default
        return not self.profile["wire"]["toolCallEndsTurn"] if behavior == default else behavior == "BLOCKING"

    def _remember(self, sender: Sender, body: dict[str, Any], step: Step) -> None:
        if "rememberSetup" in step.effects and isinstance(body.get("setup"), dict):
            self.setup = body["setup"]
            self.profile = models.profile(str(self.setup.get("model", "")), self.place.surface)
            self._behaviors = _behaviors(self.setup, ("tools", "*"))
            self._read_traits()
        if "rememberHandle" in step.effects:
            update = body["sessionResumptionUpdate"]
            handle = update.get("newHandle") if isinstance(update, dict) and update.get("resumable") is True else ""
            if isinstance(handle, str) and handle:
                self.handle = handle
        if sender == "client":
            for mime_type, _ in step.audio:
                if mime_type.startswith("audio/pcm"):
                    self.input_rate = codec.rate_of(mime_type, codec.INPUT_RATE)
            if machine.values(body, ("contextUpdate", "tools")):
                self._behaviors = _behaviors(body, ("contextUpdate", "tools", "tools", "*"))
        if "interrupted" in step.signals:
            self._cut = True
            self._holding.clear()
        if "toolCall" in step.signals:
            self._holding |= {call_id for call_id, name in _called(body) if self._holds(name)}
        self._holding &= self.pending.keys()

    # Traits

    def _read_traits(self) -> None:
        self.traits = self._traits_of(self.setup)
        for templates in self._templates.values():
            templates.clear()

    def _traits_of(self, setup: Mapping[str, Any]) -> dict[str, Any]:
        about = models.profile(str(setup.get("model", "")), self.place.surface)
        traits: dict[str, Any] = {}
        for name, source in protocol.machine()["traits"].items():
            value = source["default"]
            if "profile" in source:
                value = about.get(source["profile"], value)
            elif "endpoint" in source:
                value = getattr(self.place, source["endpoint"])
            elif "setup" in source:
                given = machine.values(setup, tuple(source["setup"].split("/")[1:]))
                value = given[0] if given else value
            traits[name] = value
        return traits


def _called(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Id and name of each call of a message."""
    for call in machine.values(body, ("toolCall", "functionCalls", "*")):
        if isinstance(call, dict):
            name = str(call.get("name", ""))
            yield str(call.get("id") or name), name


def _behaviors(body: dict[str, Any], tools: tuple[str, ...]) -> dict[str, str]:
    """Function to `behavior`, of the functions that are declared with one."""
    declared = machine.values(body, (*tools, "functionDeclarations", "*"))
    return {
        str(one.get("name", "")): str(one["behavior"])
        for one in declared
        if isinstance(one, dict) and one.get("behavior") not in (None, "UNSPECIFIED")
    }


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
