"""Follow one conversation: `step(sender, raw)` turns each frame into a Step.

- `CoreConversation` needs nothing but the core. livews uses `livews.conversation.Conversation`, which adds advice to findings
  and does not parse audio frames that are like one before.
- It does not know which side it runs on: frames come labelled "client" or "server".
- `read` reads a frame, `rules.findings` judges it, and only `_apply` and `close` change the state.
- A faulty client frame changes no state; a surprising server frame changes what it can.
- Nothing here waits, logs, opens or prints, and nothing raises for a bad frame: its findings are in the Step.
- Server frames are judged when somebody looks at their findings, since these change no state.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from livews.core import codec, machine, models, protocol, rules, schema
from livews.core.canonical import fold
from livews.core.reading import Reading, Remark, read
from livews.core.rules import ApiTarget, Finding
from livews.core.schema import Sender

OTHER_NAMES = "other names"
_LOST = 1006
"""The code of a connection that ended without a close frame."""
_REMARKS = 30
"""Remarks about media that are made in a session, each once."""
_CALLS = 1_000
"""Open calls that are remembered; of more the oldest are forgotten."""
_CALL_MEMBERS = {"toolCall", "toolCallCancellation", "toolResponse"}


@dataclass(slots=True)
class Step:
    """What one frame was and did."""

    sender: Sender
    kind: str
    """Its members at the top joined by "+", "empty", "unreadable" or "close"."""
    raw: bytes
    signals: tuple[str, ...] = ()
    """Its signals, as in machine.json."""
    effects: tuple[str, ...] = ()
    """What it asks the application to do, as in machine.json."""
    state: tuple[str, ...] = ()
    """The states after it, one a region."""
    audio: tuple[tuple[str, bytes], ...] = ()
    """Its audio, as (mime type, bytes) of each part."""
    interrupted: bool = False
    """Whether the turn was interrupted, by this frame or one before."""
    judgement: tuple[Finding, ...] | Callable[[], list[Finding]] = ()
    """Its findings, or the function that works them out."""
    parsed: dict[str, Any] | None = None
    template: Any = None
    """For an audio frame like one before: the `livews.fastpath.Template` they share. Then only the base64 is new in `raw`."""
    as_sent: dict[str, Any] | None = None
    """The message as it was written, before it was folded into canonical form; None if it was not parsed."""
    undecodable: tuple[str, ...] = ()
    """Paths of audio that is no base64 and therefore not in `audio`."""
    _by_level: tuple[tuple[Finding, ...], ...] = field(default=(), init=False, repr=False, compare=False)
    """Its judgement, and the faults and the notes of that, once somebody has asked."""

    @property
    def body(self) -> dict[str, Any]:
        """The message in canonical form; {} for a frame that is no message."""
        if self.parsed is None:
            try:
                self.parsed = fold(self.sender, codec.parse(self.raw)).message
            except codec.WireError:  # a Step that somebody else made
                self.parsed = {}
        assert self.parsed is not None
        return self.parsed

    @property
    def states(self) -> dict[str, str]:
        """Region to state, as in {"session": "ready", "activity": "none", "turn": "idle", "answer": "none"}."""
        return dict(zip(machine.machine().regions, self.state, strict=True))

    @property
    def waiting(self) -> list[str]:
        """The regions in whose state more comes without another prompt."""
        states = self.states
        return [region for region, waiting in machine.machine().waiting.items() if states[region] in waiting]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Findings of level "error" and "refused"."""
        return self._judged()[1]

    @property
    def notes(self) -> tuple[Finding, ...]:
        """Findings of level "note"."""
        return self._judged()[2]

    @property
    def findings(self) -> list[Finding]:
        """All findings, faults first, each in the order of rules.json."""
        _, faults, notes = self._judged()
        return [*faults, *notes]

    def _judged(self) -> tuple[tuple[Finding, ...], ...]:
        if not self._by_level or self._by_level[0] is not self.judgement:
            if not isinstance(self.judgement, tuple):
                self.judgement = tuple(self.judgement())
            faults = tuple(finding for finding in self.judgement if finding.level != "note")
            notes = tuple(finding for finding in self.judgement if finding.level == "note")
            self._by_level = self.judgement, faults, notes
        return self._by_level


class CoreConversation(rules.Context):
    """Both directions of one connection.

    Args:
        surface: "gemini" or "vertex"; "" for the one that the model's name is for. Members that a known surface does not
            take are findings.
        version: the API version, such as "v1beta"; "" if it is not known.
        as_of: a day or month such as "2026-03", to judge by what the models refused then; "" is the revision of protocol/.
    """

    _read = staticmethod(read)
    _judge = staticmethod(rules.findings)
    _unreadable = staticmethod(rules.unreadable)
    """What reads a message, what judges it, and what judges bytes that are none; a subclass may have functions that look further."""

    def __init__(self, *, surface: str = "", version: str = "", as_of: str = "") -> None:
        self._machine = machine.machine()
        self._column = schema.column(surface, version)
        self._state = self._machine.initial
        self._interrupted = False
        self._holding: set[str] = set()
        """The open calls that hold the turn that runs: it goes on until they are answered (TOOL-3)."""
        self._remarks: set[Remark] = set()
        self._behaviors: dict[str, str] = {}
        """Function to `behavior`, for those that are declared with one."""
        self._surface = surface
        super().__init__(ApiTarget(surface or "gemini", version or "v1beta", as_of))
        self._read_traits()
        self.handle = ""
        """The newest handle to resume with."""
        self.turns = 0
        """Turns that are over."""
        self.news: Counter[str] = Counter()
        """Members and enum values of the server that the schemas do not have, by path without indices, which is cut at 100
        characters; those after the first 100 are `OTHER_NAMES`."""
        self.server_faults: Counter[str] = Counter()
        """Rules that server frames broke in a way that reading them shows: unreadable, no base64, out of order."""

    @property
    def states(self) -> dict[str, str]:
        """Region to state."""
        return dict(zip(self._machine.regions, self._state, strict=True))

    def state(self, region: str) -> str:
        """The state of one region."""
        return self._state[self._machine.regions.index(region)]

    def step(self, sender: Sender, raw: bytes | str, *, composed: bool = False) -> Step:
        """Take one frame.

        Args:
            sender: who sent it, "client" or "server".
            raw: the payload of the frame: bytes, or the str of a text frame.
            composed: whether livews made it from plain strings and bytes, so that it fits the schemas.
        """
        return self._take(sender, raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw, composed)

    def _take(self, sender: Sender, raw: bytes, composed: bool) -> Step:
        try:
            message = codec.parse(raw)
        except codec.WireError as problem:
            if sender == "server":
                self.server_faults[problem.rule] += 1
            found = (self._unreadable(problem, raw, sender),)
            return Step(sender, "unreadable", raw, state=self._state, judgement=found, parsed={})
        return self._step(sender, raw, message, composed)

    def step_message(self, sender: Sender, message: dict[str, Any], *, composed: bool = False) -> Step:
        """The same for a message that is not serialised yet; `raw` of its Step is compact JSON.

        Raises:
            WireError: a value in it has no JSON form.
        """
        raw = codec.dump(message)
        return self._step(sender, raw, message, composed) if isinstance(message, dict) else self.step(sender, raw)

    def close(self, sender: Sender, code: int, reason: str = "") -> Step:
        """Take the end of the connection.

        Args:
            sender: who closed it.
            code: the close code, 1006 for a connection that ended without a close frame.
            reason: the reason in the close frame.
        """
        if not self.traits["closedBy"]:
            self.traits = {**self.traits, "closedBy": "client" if sender == "client" and code != _LOST else "server"}
        transition = self._machine.run(self._state, ("close",), self.traits)
        self._state = transition.states
        is_cut = "cutTurn" in transition.effects
        message = {"close": {"code": code, "reason": reason}}
        return Step(
            sender, "close", b"", ("close",), transition.effects, self._state, interrupted=is_cut, parsed=message
        )

    def _step(self, sender: Sender, raw: bytes, message: dict[str, Any], composed: bool) -> Step:
        reading = self._read(sender, message, self._column)
        reading.is_composed = composed
        if reading.remarks:  # each is made once, and not for ever
            new = [remark for remark in reading.remarks if remark not in self._remarks]
            reading.remarks = new[: _REMARKS - len(self._remarks)]
        body: dict[str, Any] = reading.message
        pending = self._calls_after(sender, body)
        is_first_setup = sender == "client" and isinstance(body.get("setup"), dict) and not self.setup
        if is_first_setup and not self._surface:
            surface = models.surface_of(str(body["setup"].get("model", ""))) or "gemini"
            self.target = self.target._replace(surface=surface)
        traits = self._traits_of(body["setup"]) if is_first_setup else self.traits
        if pending or "toolResponse" in body:
            traits = {**traits, "callsOpen": bool(pending), "answerOwed": self._answer_owed(sender, body)}
        reading.signals = self._machine.signals(sender, body, traits)
        transition = self._machine.run(self._state, reading.signals, traits)
        reading.broken, reading.noted = transition.faults, transition.notes
        step = Step(
            sender, "+".join(body) or "empty", raw, reading.signals, state=self._state, audio=reading.audio,
            parsed=body, as_sent=message, undecodable=tuple(reading.undecodable),
        )  # fmt: skip
        if sender == "server":
            step.judgement = partial(self._judge, reading, self)
        else:
            step.judgement = tuple(self._judge(reading, self))
            if any(finding.level == "error" for finding in step.judgement):
                return step
        self._apply(step, reading, transition, pending)
        return step

    def _apply(self, step: Step, reading: Reading, transition: machine.Transition, pending: dict[str, str]) -> None:
        """Move on by a frame that was accepted, and remember what later frames are judged by."""
        sender, body = step.sender, step.body
        self._state = step.state = transition.states
        step.effects = transition.effects
        if sender == "client" and pending is not self.pending:
            self.answered = {*islice(self.answered, _CALLS), *(self.pending.keys() - pending.keys())}
        self.pending = pending
        self._remarks.update(reading.remarks)
        if sender == "client":
            self._remember_client(step, body)
        else:
            self._remember_server(step, body, reading)
        if "interrupted" in step.signals:
            self._interrupted = True
            self._holding.clear()
        if "toolCall" in step.signals:
            self._holding |= {call_id for call_id, name in _called(body) if self._holds(name)}
        if self._holding:
            self._holding &= pending.keys()
        step.interrupted = self._interrupted
        if "endTurn" in step.effects or "cutTurn" in step.effects:
            self.turns += 1
            self._interrupted = False
            self._holding.clear()

    def _remember_client(self, step: Step, body: dict[str, Any]) -> None:
        if "rememberSetup" in step.effects and isinstance(body.get("setup"), dict):
            self.setup = body["setup"]
            self.profile = models.profile(str(self.setup.get("model", "")), self.target.surface)
            self._behaviors = _behaviors(self.setup, ("tools", "*"))
            self._read_traits()
        if machine.values(body, ("contextUpdate", "tools")):
            self._behaviors = _behaviors(body, ("contextUpdate", "tools", "tools", "*"))
        for mime_type, _ in step.audio:
            if mime_type.startswith("audio/pcm"):
                self.input_rate = codec.rate_of(mime_type, codec.INPUT_RATE)

    def _remember_server(self, step: Step, body: dict[str, Any], reading: Reading) -> None:
        if "rememberHandle" in step.effects:
            update = body["sessionResumptionUpdate"]
            handle = update.get("newHandle") if isinstance(update, dict) and update.get("resumable") is True else ""
            if isinstance(handle, str) and handle:
                self.handle = handle
        names = [rules.plain_path(path) for path, _, _ in reading.canonical.unknown]
        names += [f"{enum}.{value}" for _, value, enum in reading.canonical.unknown_values]
        for name in map(schema.cut, names):
            self.news[name if name in self.news or len(self.news) < schema.MOST else OTHER_NAMES] += 1
        for rule in reading.broken:
            self.server_faults[rule] += 1
        if reading.undecodable:
            self.server_faults["WIRE-3"] += len(reading.undecodable)

    # Calls

    def _calls_after(self, sender: Sender, body: dict[str, Any]) -> dict[str, str]:
        """The open calls, id to name, after this message. Calls of Vertex may come without an id: then their name is the id."""
        if _CALL_MEMBERS.isdisjoint(body):
            return self.pending
        open_calls = dict(self.pending)
        if sender == "server":
            open_calls.update(_called(body))
            for call_id in [*islice(open_calls, max(len(open_calls) - _CALLS, 0))]:
                del open_calls[call_id]
            for call_id in cancelled(body):
                open_calls.pop(call_id, None)
        else:
            for call_id, _ in self._closed_by(body):
                open_calls.pop(call_id, None)
        return open_calls

    def _closed_by(self, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The calls that a toolResponse closes, each with its answer: by id, without one the oldest open call of its name."""
        open_calls = dict(self.pending)
        by_name: dict[str, list[str]] = {name: [] for name in open_calls.values()}
        for call_id, name in reversed(self.pending.items()):
            by_name[name].append(call_id)
        for answer in machine.values(body, ("toolResponse", "functionResponses", "*")):
            if isinstance(answer, dict) and answer.get("willContinue") is not True:
                oldest = by_name.get(str(answer.get("name")), [])
                while oldest and oldest[-1] not in open_calls:
                    oldest.pop()
                call_id = str(answer.get("id") or (oldest[-1] if oldest else ""))
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

    # Traits

    def _read_traits(self) -> None:
        self.traits = self._traits_of(self.setup)

    def _traits_of(self, setup: Mapping[str, Any]) -> dict[str, Any]:
        profile = models.profile(str(setup.get("model", "")), self.target.surface)
        traits: dict[str, Any] = {}
        for name, source in protocol.machine()["traits"].items():
            value = source["default"]
            if "profile" in source:
                value = profile.get(source["profile"], value)
            elif "endpoint" in source:
                value = getattr(self.target, source["endpoint"])
            elif "setup" in source:
                values = machine.values(setup, tuple(source["setup"].split("/")[1:]))
                value = values[0] if values else value
            traits[name] = value
        return traits


class FunctionCall(NamedTuple):
    """A call as the client takes it: a member that is missing or of another type is empty."""

    id: str
    name: str
    args: dict[str, Any]


def function_calls(body: dict[str, Any]) -> Iterator[FunctionCall]:
    """The calls of a message."""
    for call in machine.values(body, ("toolCall", "functionCalls", "*")):
        if isinstance(call, dict):
            call_id, name, args = call.get("id"), call.get("name"), call.get("args")
            yield FunctionCall(
                call_id if isinstance(call_id, str) else "",
                name if isinstance(name, str) else "",
                args if isinstance(args, dict) else {},
            )


def cancelled(body: dict[str, Any]) -> list[str]:
    """The ids of the calls that a message cancels."""
    return [call for call in machine.values(body, ("toolCallCancellation", "ids", "*")) if isinstance(call, str)]


def _called(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What each call of a message is known by, its id or else its name; and its name."""
    for call in function_calls(body):
        yield call.id or call.name, call.name


def _behaviors(body: dict[str, Any], path: tuple[str, ...]) -> dict[str, str]:
    """Function to `behavior`, for the declarations in the tools at a path that have one."""
    declared = machine.values(body, (*path, "functionDeclarations", "*"))
    return {
        str(function.get("name", "")): str(function["behavior"])
        for function in declared
        if isinstance(function, dict) and function.get("behavior") not in (None, "UNSPECIFIED")
    }
