"""Events for an application, made from a Step: `events(step)`.

- One frame may give several events, in the order of the signals in protocol/machine.json; TurnEnd is always last.
- Late audio of an interrupted turn, which machine.json says to ignore, gives no event.
- Every event keeps its Step: `event.message` is the whole message in canonical form.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from livews.core import codec, machine
from livews.core.conversation import Step, cancelled, function_calls


@dataclass(slots=True)
class Event:
    """The base of all events, with the Step it comes from."""

    step: Step = field(repr=False, compare=False, kw_only=True)

    @property
    def message(self) -> dict[str, Any]:
        """The whole message in canonical form, with the members that have no event of their own."""
        return self.step.body


@dataclass(slots=True)
class Ready(Event):
    """setupComplete: the session may send. `session_id` is "" on the Gemini API."""

    session_id: str


@dataclass(slots=True)
class Audio(Event):
    """Audio of the model: `pcm` has signed 16-bit little-endian mono samples at `rate` Hz; of any size."""

    pcm: bytes = field(repr=False)
    rate: int
    mime_type: str


@dataclass(slots=True)
class Media(Event):
    """inlineData that is not audio, such as an avatar's video/mp4."""

    data: bytes = field(repr=False)
    mime_type: str


@dataclass(slots=True)
class Text(Event):
    """A text part of modelTurn; a `thought` is not part of the answer."""

    text: str
    thought: bool


@dataclass(slots=True)
class Transcript(Event):
    """A transcript of the model or the user. Append the pieces; an `interim` one replaces the one before."""

    text: str
    of: Literal["model", "user"]
    interim: bool
    finished: bool


@dataclass(slots=True)
class Part(Event):
    """A part of modelTurn without an event of its own, such as executableCode or codeExecutionResult."""

    part: dict[str, Any]


@dataclass(slots=True)
class ToolCall(Event):
    """A function to run; answer it with `respond(id, name, ...)`, unless it is `handled` by the session's `tools`."""

    id: str
    name: str
    args: dict[str, Any]
    handled: bool = False


@dataclass(slots=True)
class ToolCancelled(Event):
    """Calls that need no answer any more."""

    ids: list[str]


@dataclass(slots=True)
class Interrupted(Event):
    """The user interrupted: drop the queued audio. Late audio of this turn gives no event."""


@dataclass(slots=True)
class GenerationComplete(Event):
    """All of the turn was generated; TurnEnd follows when it would have been played."""


@dataclass(slots=True)
class Activity(Event):
    """The service detected the start or end of speech, `offset` seconds into the audio it received."""

    kind: Literal["start", "end"]
    offset: float


@dataclass(slots=True)
class Grounding(Event):
    """groundingMetadata or urlContextMetadata with something in it."""

    metadata: dict[str, Any]


@dataclass(slots=True)
class Usage(Event):
    """Tokens of the turn, from response* (Gemini API) or candidates* (Vertex)."""

    prompt: int
    response: int
    total: int
    thoughts: int
    prompt_by: dict[str, int]
    response_by: dict[str, int]
    tool_prompt: int = 0


@dataclass(slots=True)
class Status(Event):
    """interactionStatus: IN_PROGRESS while the model works, IDLE when it has finished."""

    status: str


@dataclass(slots=True)
class Resumable(Event):
    """A handle to resume this session with, or resumable=False while there is none."""

    handle: str
    resumable: bool


@dataclass(slots=True)
class GoAway(Event):
    """The service will close the connection in `seconds`; None if it did not say when."""

    seconds: float | None


@dataclass(slots=True)
class TurnEnd(Event):
    """The turn is over.

    `waiting` says that more comes without another prompt: a tool call is still open, or a result was sent that the
    model speaks about in a turn of its own (TOOL-5). Read on then, with a limit of time where the service may fail to
    answer. It is False where that is not known, which `step.states["answer"]` calls "perhaps": of several results
    that were sent before the model spoke, one turn may speak about all, or another turn may come.
    """

    interrupted: bool
    reason: str
    waiting: bool


def events(step: Step) -> Iterator[Event]:
    """The events of a step, in a fixed order."""
    if step.sender != "server":
        return
    if step.template is not None and step.effects == _PLAY:  # one Blob of audio and nothing else: nine frames of ten
        for mime_type, pcm in step.audio:
            yield Audio(pcm, codec.rate_of(mime_type, codec.OUTPUT_RATE), mime_type, step=step)
        return
    body = step.body
    for signal in step.signals:
        make = _MAKERS.get(signal)
        if make is not None:
            yield from make(step, body)


_PLAY = ("playAudio",)


_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,9})?)s")  # up to 31 years: no timer takes much more


def seconds(duration: Any) -> float | None:
    """A protobuf Duration string such as "0.440s" in seconds, 0 to 1e9; None for anything else."""
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    return float(match[1]) if match else None


def _content(body: dict[str, Any]) -> dict[str, Any]:
    return _dict(body.get("serverContent"))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _resumable(step: Step, body: dict[str, Any]) -> Iterator[Event]:
    update = _dict(body["sessionResumptionUpdate"])
    yield Resumable(_text(update.get("newHandle")), update.get("resumable") is True, step=step)


def _activity(step: Step, body: dict[str, Any]) -> Iterator[Event]:
    activity = _dict(body.get("voiceActivity"))
    word = _text(activity.get("type")) or _text(_dict(body.get("voiceActivityDetectionSignal")).get("vadSignalType"))
    if word.endswith(("_START", "_SOS")):
        yield Activity("start", seconds(activity.get("audioOffset")) or 0.0, step=step)
    elif word.endswith(("_END", "_EOS")):
        yield Activity("end", seconds(activity.get("audioOffset")) or 0.0, step=step)


def _transcript(name: str, of: Literal["model", "user"], interim: bool) -> Callable[..., Iterator[Event]]:
    def make(step: Step, body: dict[str, Any]) -> Iterator[Event]:
        words = _dict(_content(body).get(name, body.get(name)))
        text, finished = _text(words.get("text")), words.get("finished") is True
        if text or finished:
            yield Transcript(text, of, interim, finished, step=step)

    return make


def _model_turn(step: Step, body: dict[str, Any]) -> Iterator[Event]:
    stale = "ignoreAudio" in step.effects
    decoded = iter(step.audio)
    for i, part in enumerate(machine.values(body, ("serverContent", "modelTurn", "parts", "*"))):
        if not isinstance(part, dict) or not part:
            continue
        blob = _dict(part.get("inlineData"))
        if isinstance(part.get("text"), str):
            if part["text"]:
                yield Text(part["text"], part.get("thought") is True, step=step)
        elif not blob:
            yield Part(part, step=step)
        mime_type, data = _text(blob.get("mimeType")), blob.get("data")
        if not mime_type.startswith("audio/"):
            if blob:
                yield from _media(step, mime_type, _text(data))
        elif f"/serverContent/modelTurn/parts/{i}/inlineData/data" not in step.undecodable:
            audio = next(decoded, None) if isinstance(data, str) else (mime_type, b"")
            if audio is not None and not stale:
                yield Audio(audio[1], codec.rate_of(mime_type, codec.OUTPUT_RATE), mime_type, step=step)


def _media(step: Step, mime_type: str, data: str) -> Iterator[Event]:
    try:
        yield Media(codec.decode_base64(data), mime_type, step=step)
    except codec.WireError:
        return  # the Step carries the fault


def _tool_call(step: Step, body: dict[str, Any]) -> Iterator[Event]:
    for call in function_calls(body):
        yield ToolCall(*call, step=step)


def _grounding(step: Step, body: dict[str, Any]) -> Iterator[Event]:
    for name in ("groundingMetadata", "urlContextMetadata"):
        if metadata := _dict(_content(body).get(name)):
            yield Grounding(metadata, step=step)


def _tokens(count: Any) -> int:
    """A number of tokens; 0 for what is no int32, or negative."""
    number = codec.whole(count) or 0
    return number if 0 <= number < 2**31 else 0


def _usage(step: Step, body: dict[str, Any]) -> Iterator[Event]:
    usage = _dict(body["usageMetadata"])
    if not usage:
        return

    def count(*names: str) -> int:
        return _tokens(next((usage[name] for name in names if name in usage), 0))

    def by(*names: str) -> dict[str, int]:
        rows: list[Any] = next((usage[name] for name in names if isinstance(usage.get(name), list)), [])
        return {
            _text(row.get("modality")): _tokens(row.get("tokenCount", 0)) for row in rows if isinstance(row, dict)
        }

    response = ("responseTokensDetails", "candidatesTokensDetails")
    yield Usage(
        count("promptTokenCount"), count("responseTokenCount", "candidatesTokenCount"), count("totalTokenCount"),
        count("thoughtsTokenCount"), by("promptTokensDetails"), by(*response), count("toolUsePromptTokenCount"),
        step=step,
    )  # fmt: skip


def _turn_end(step: Step, body: dict[str, Any]) -> Iterator[Event]:
    reason = _text(_content(body).get("turnCompleteReason"))
    yield TurnEnd(step.interrupted, reason, bool(step.waiting), step=step)


_MAKERS: dict[str, Callable[[Step, dict[str, Any]], Iterable[Event]]] = {
    "setupComplete": lambda step, body: [Ready(_text(_dict(body["setupComplete"]).get("sessionId")), step=step)],
    "sessionResumptionUpdate": _resumable,
    "goAway": lambda step, body: [GoAway(seconds(_dict(body["goAway"]).get("timeLeft")), step=step)],
    "voiceActivity": _activity,
    "interimInputTranscription": _transcript("interimInputTranscription", "user", True),
    "inputTranscription": _transcript("inputTranscription", "user", False),
    "interrupted": lambda step, body: [Interrupted(step=step)],
    "modelTurn": _model_turn,
    "outputTranscription": _transcript("outputTranscription", "model", False),
    "toolCall": _tool_call,
    "toolCallCancellation": lambda step, body: [ToolCancelled(cancelled(body), step=step)],
    "generationComplete": lambda step, body: [GenerationComplete(step=step)],
    "grounding": _grounding,
    "usageMetadata": _usage,
    "interactionStatus": lambda step, body: [
        Status(_text(_content(body).get("interactionStatus", body.get("interactionStatus"))), step=step)
    ],
    "turnEnd": _turn_end,
}
