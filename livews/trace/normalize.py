"""Normalize a session to what it means, so that two sessions can be compared.

- Left out or unified: spelling, white space, times, how audio and transcripts were cut into chunks and bundled into
  frames, how base64 was written, empty frames. IDs and handles become numbers: those that belong together still do.
- Each side is a list of items of its own: how the two interleave is a matter of time.
- Messages are kept without media; audio is a length and a hash.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from livews.audio.analysis.pcm import audio_seconds, rate_of
from livews.core import codec, machine
from livews.core.conversation import Step
from livews.trace.media import replace_data
from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession

_CHUNKED = ("inputTranscription", "thought", "text", "sound", "outputTranscription")
"""Kinds of the server that come in chunks, in the order in which they are listed."""
_UNTIMED = ("sessionResumptionUpdate", "voiceActivity", "voiceActivityDetectionSignal")
"""Messages that the server sends at any time."""
_EMPTY: tuple[Any, ...] = ({}, [], None)


@dataclass(slots=True)
class NormalizedItem:
    """One message, or all chunks of one piece of audio or transcript.

    Attributes:
        line: the number of its first line.
        value: the message or text; of audio its rate, as {"rate": Hz}.
        seconds: of audio.
        hashed: the hash of its samples; None if they are unknown.
    """

    kind: str
    line: int
    value: Any
    seconds: float = 0.0
    hashed: Any = None

    def add_audio(self, step: Step, *, elided: bool) -> None:
        self.value = {"rate": rate_of(step.audio[0][0], step.sender)}
        self.seconds += audio_seconds(step)
        if elided:
            self.hashed = None
        elif self.hashed is not None:
            for _, pcm in step.audio:
                self.hashed.update(pcm)


NormalizedSession = dict[str, list[NormalizedItem]]
"""The items of each side, in order: "client", "server", and "beside", which the server sends at any time."""


class Normalizer:
    """Builds a NormalizedSession from the records of a session and what they did."""

    def __init__(self) -> None:
        self.session: NormalizedSession = {"client": [], "server": [], "beside": []}
        self._numbers: dict[str, dict[str, str]] = {"call": {}, "handle": {}, "session": {}}
        self._open: dict[str, NormalizedItem] = {}
        """Chunked items of the server that may continue, by kind."""
        self._closed = False

    def take(self, record: TraceRecord, step: Step) -> None:
        """Take the next frame or close."""
        side, line = self.session[record.sender], record.number
        if record.control == "close":
            if not self._closed:  # the second close is the answer
                self._flush()
                value = {"code": record.about.get("code"), "reason": str(record.about.get("reason", ""))}
                side.append(NormalizedItem("close", line, value))
            self._closed = True
        elif step.kind == "unreadable":
            side.append(NormalizedItem("unreadable", line, hashlib.sha256(step.raw).hexdigest()))
        elif record.sender == "server":
            self._server(record, step)
        elif step.audio and _is_only_audio(step.body):
            if not side or side[-1].kind != "sound":
                side.append(NormalizedItem("sound", line, "", hashed=hashlib.sha256()))
            side[-1].add_audio(step, elided=record.elided)
        elif body := _without_media(self._without_ids(step.body)):
            side.append(NormalizedItem("+".join(body), line, body))

    def mark(self, line: int) -> None:
        """Add an item that aligns two sessions: what came before it is not what comes after it."""
        self._flush()
        self.session["server"].append(NormalizedItem("mark", line, ""))

    def done(self) -> NormalizedSession:
        """No more records follow: the session."""
        self._flush()
        return self.session

    def _server(self, record: TraceRecord, step: Step) -> None:
        line = record.number
        body = dict(step.body)
        content = body.pop("serverContent", None)
        content = dict(content) if isinstance(content, dict) else {}
        turn = content.pop("modelTurn", None)
        # chunks first: what ends them may be in the same frame
        for name in ("inputTranscription", "outputTranscription"):
            transcription = content.pop(name, None) or body.pop(name, None)
            if isinstance(transcription, dict) and isinstance(transcription.get("text"), str):
                self._chunked(name, line).value += transcription["text"]
        content.pop("interimInputTranscription", None)  # the final one counts
        if step.audio:
            self._chunked("sound", line).add_audio(step, elided=record.elided)
        for part in machine.values(turn, ("parts", "*")):
            if isinstance(part, dict):
                self._part(part, line)
        self._beside({name: body.pop(name) for name in _UNTIMED if name in body}, line)
        if "setupComplete" in body:
            self._add(self._without_ids({"setupComplete": body.pop("setupComplete")}), line)
        usage = body.pop("usageMetadata", None)
        for name, value in content.items():
            if value not in _EMPTY and value is not False:
                self._add({"serverContent": {name: _without_media(value)}}, line)
        for name, value in body.items():
            if value not in _EMPTY:
                self._add(_without_media(self._without_ids({name: value})), line)
        if usage:
            self._add({"usageMetadata": _by_modality(usage)}, line)

    def _part(self, part: dict[str, Any], line: int) -> None:
        blob = part.get("inlineData")
        if isinstance(blob, dict) and str(blob.get("mimeType", "")).startswith("audio/"):
            part = {name: value for name, value in part.items() if name != "inlineData"}
        if isinstance(part.get("text"), str) and set(part) <= {"text", "thought"}:
            self._chunked("thought" if part.get("thought") is True else "text", line).value += part["text"]
        elif part:
            self._add({"serverContent": {"modelTurn": _without_media(part)}}, line)

    def _beside(self, messages: dict[str, Any], line: int) -> None:
        if messages:
            value, side = self._without_ids(messages), self.session["beside"]
            if not side or side[-1].value != value:  # how often the same is repeated is a matter of time
                side.append(NormalizedItem("+".join(value), line, value))

    def _chunked(self, kind: str, line: int) -> NormalizedItem:
        if kind not in self._open:
            hashed = hashlib.sha256() if kind == "sound" else None
            self._open[kind] = NormalizedItem(kind, line, "", hashed=hashed)
        return self._open[kind]

    def _add(self, body: dict[str, Any], line: int) -> None:
        self._flush()
        name = next(iter(body))
        kind = next(iter(body[name]), name) if name == "serverContent" else name
        self.session["server"].append(NormalizedItem(str(kind), line, body))

    def _flush(self) -> None:
        self.session["server"] += [self._open.pop(kind) for kind in _CHUNKED if kind in self._open]

    def _without_ids(self, body: dict[str, Any]) -> dict[str, Any]:
        """A message with numbers in the place of ids and handles, and without times."""
        return {key: self._value(child, key, "") for key, child in body.items()}

    def _value(self, value: Any, name: str, owner: str) -> Any:
        if isinstance(value, dict):
            if name in ("args", "response"):
                return value
            return {key: self._value(child, key, name) for key, child in value.items()}
        if isinstance(value, list):
            return [self._value(item, name, owner) for item in value]
        if name == "ids" or (name == "id" and owner in ("functionCalls", "functionResponses")):
            return self._number("call", value)
        if name in ("handle", "newHandle", "sessionId") and value:
            return self._number("session" if name == "sessionId" else "handle", value)
        return "time" if name in ("timeLeft", "audioOffset") else value

    def _number(self, kind: str, value: Any) -> str:
        numbers = self._numbers[kind]
        return numbers.setdefault(str(value), f"{kind} {len(numbers) + 1}")


def normalize(session: RecordedSession) -> NormalizedSession:
    """Normalize a session, which is read to its end."""
    normalizer = Normalizer()
    for record, step in session:
        if step is not None:
            normalizer.take(record, step)
    return normalizer.done()


def _is_only_audio(body: dict[str, Any]) -> bool:
    realtime = body.get("realtimeInput")
    return len(body) == 1 and isinstance(realtime, dict) and set(realtime) <= {"audio", "mediaChunks"}


def _without_media(value: Any) -> Any:
    """A message with length and hash in the place of media, however its base64 was written."""

    def replace(data: str, owner: dict[str, Any]) -> str:
        try:
            raw = codec.decode_base64(data) if "mimeType" in owner else None
        except codec.WireError:
            raw = None
        return data if raw is None else f"{len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()[:16]}"

    return replace_data(value, replace)


def _by_modality(usage: Any) -> Any:
    """usageMetadata with its lists as objects, so that their order does not matter."""
    if not isinstance(usage, dict):
        return usage
    out: dict[str, Any] = {}
    for name, value in usage.items():
        if isinstance(value, list):
            rows = [row for row in value if isinstance(row, dict)]
            value = {str(row.get("modality", "")): codec.whole(row.get("tokenCount", 0)) or 0 for row in rows}
        out[name.replace("candidates", "response")] = value  # Vertex has other names for it
    return out


# Outlines

_SPOKEN = (*_CHUNKED, "modelTurn")
_FIGURES = ("usageMetadata", "groundingMetadata", "urlContextMetadata")
_ENDS = ("turnComplete", "toolCall")


def outline(session: NormalizedSession) -> NormalizedSession:
    """What the server of a session did, without what differs whenever a model is asked again.

    It keeps that something was said, thought or counted, and which event ended it, but not the words, the length, and
    the order and number of chunks. What follows `interrupted` is left out, and how often handles were renewed.
    """
    side: list[NormalizedItem] = []
    beside: list[NormalizedItem] = []
    spoken: dict[str, NormalizedItem] = {}
    cut = False

    def end() -> None:
        side.extend(spoken[kind] for kind in (*_SPOKEN, *_FIGURES) if kind in spoken)
        spoken.clear()

    for item in session["server"]:
        if item.kind in _FIGURES or (item.kind in _SPOKEN and not cut):
            value = item.value if item.kind == "sound" else ""
            spoken.setdefault(item.kind, NormalizedItem(item.kind, item.line, value, item.seconds))
        elif item.kind not in _SPOKEN:
            end()
            side.append(item)
            cut = item.kind == "interrupted" or (cut and item.kind not in _ENDS)
    end()
    for item in session["beside"]:
        if "sessionResumptionUpdate" not in item.value:
            beside.append(item)
        elif all(other.kind != item.kind for other in beside):
            beside.append(NormalizedItem(item.kind, item.line, {name: {} for name in item.value}))
    beside.sort(key=lambda item: item.kind)
    return {"client": [], "server": side, "beside": beside}
