"""How two recorded sessions differ, by what they mean.

- Not told: spelling, white space, ids and handles (those that belong together must do so in both), times, how sound and
  transcripts were cut into pieces and bundled into frames, how base64 was written, empty frames, token counts as long as
  they are alike.
- Told: what one has and the other has not, what comes in another order, each member that differs, by its path.
- Each side is compared with the same side: how the two interleave is a matter of time.
- Sound is the same when its samples are, or when only its length is known on one side and that is the same.
- What is kept of a trace is its messages without media; sound is a length and a hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal

from livews.audio.analysis.pcm import rate_of, seconds_of
from livews.core import codec, machine
from livews.core.conversation import Step
from livews.trace.json_diff import NOTHING, places
from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession

Heed = Literal["bytes", "length", "nothing"]
"""What of sound counts: its samples, its length, or whether there is any."""
Names = tuple[str, str]
"""What the two are called where a difference is told."""
_LENGTH = 0.25
"""Seconds two sounds may differ in length when their samples are not compared."""
_EXACT = 0.0005
"""... and when they are: sums of pieces differ in the last digits."""
_TOKENS, _PART = 64, 0.25
"""Token counts are alike when they differ by less than this, or by this part of the larger."""
_SHOWN = 100
_ALIGN = 4_000_000
"""The product of two lengths up to which what was moved is looked for; beyond it items are compared in their order."""


@dataclass(slots=True)
class MeaningItem:
    """One thing that was said: a message, or all the pieces of one sound or transcript."""

    kind: str
    line: int
    value: Any
    seconds: float = 0.0
    hashed: Any = None

    def key(self, heed: Heed) -> bytes:
        """Alike in all but what is allowed to differ a little."""
        return codec.dump([self.kind, _without_counts(self.value)]) + (
            self.hashed.digest() if self.hashed is not None and heed == "bytes" else b""
        )


@dataclass(slots=True)
class Meaning:
    """A session, as what each side said in its order. "beside" is what comes whenever it likes."""

    sides: dict[str, list[MeaningItem]] = field(default_factory=lambda: {"client": [], "server": [], "beside": []})


class _Ids:
    """Numbers in the place of ids, in the order in which they come up."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], str] = {}

    def __call__(self, kind: str, value: Any) -> str:
        return self._numbers.setdefault((kind, str(value)), f"{kind} {len(self._numbers) + 1}")


class MeaningReader:
    """Makes the meaning of a session from its lines and what they did, given one by one."""

    def __init__(self) -> None:
        self.meaning = Meaning()
        self._ids = {kind: _Ids() for kind in ("call", "handle", "session")}
        self._open: dict[str, MeaningItem] = {}
        """Pieces of the server's turn that may go on, by kind."""
        self._closed = False

    def take(self, line: TraceRecord, step: Step) -> None:
        if line.control == "close":
            if not self._closed:  # the other close is its echo
                code = line.about.get("code")
                value = {"code": code, "reason": str(line.about.get("reason", ""))}
                self._flush()
                self.meaning.sides[line.sender].append(MeaningItem("close", line.number, value))
            self._closed = True
            return
        if step.kind == "unreadable":
            hashed = hashlib.sha256(step.raw).hexdigest()
            self.meaning.sides[line.sender].append(MeaningItem("unreadable", line.number, hashed))
            return
        if line.sender == "client":
            self._client(line, step)
        else:
            self._server(line, step)

    def _client(self, line: TraceRecord, step: Step) -> None:
        side = self.meaning.sides["client"]
        if step.audio and _is_sound_alone(step.body):
            if not side or side[-1].kind != "sound":
                side.append(MeaningItem("sound", line.number, _rate(step), hashed=hashlib.sha256()))
            _add(side[-1], step, line)
            return
        body = _hashed(self._named(step.body))
        if body:
            side.append(MeaningItem("+".join(body), line.number, body))

    def _server(self, line: TraceRecord, step: Step) -> None:
        body = dict(step.body)
        content = body.pop("serverContent", None)
        rest = dict(content) if isinstance(content, dict) else {}
        turn = rest.pop("modelTurn", None)
        # the pieces first: what ends them is in the same frame at times
        for name in ("inputTranscription", "outputTranscription"):
            said = rest.pop(name, None) or body.pop(name, None)
            if isinstance(said, dict) and isinstance(said.get("text"), str):
                self._piece(name, line).value += said["text"]
        rest.pop("interimInputTranscription", None)  # the final one counts
        if step.audio:
            item = self._piece("sound", line)
            item.hashed = item.hashed or hashlib.sha256()
            item.value = _rate(step)
            _add(item, step, line)
        for part in machine.values(turn, ("parts", "*")):
            if isinstance(part, dict):
                self._part(part, line)
        beside: dict[str, Any] = {
            name: body.pop(name)
            for name in ("sessionResumptionUpdate", "voiceActivity", "voiceActivityDetectionSignal")
            if name in body
        }
        if beside:
            named = self._named(beside)
            before = self.meaning.sides["beside"]
            # how often the same is said again is a matter of time
            if not before or before[-1].value != named:
                before.append(MeaningItem("+".join(named), line.number, named))
        if "setupComplete" in body:
            self._put(
                {"setupComplete": self._named({"setupComplete": body.pop("setupComplete")})["setupComplete"]}, line
            )
        usage = body.pop("usageMetadata", None)
        for name, value in rest.items():
            if value not in ({}, [], None, False):
                self._put({"serverContent": {name: _hashed(value)}}, line)
        for name, value in body.items():
            if value not in ({}, [], None):
                self._put(_hashed(self._named({name: value})), line)
        if usage:
            self._put({"usageMetadata": _by_modality(usage)}, line)

    def _part(self, part: dict[str, Any], line: TraceRecord) -> None:
        blob = part.get("inlineData")
        if isinstance(blob, dict) and str(blob.get("mimeType", "")).startswith("audio/"):
            part = {name: value for name, value in part.items() if name != "inlineData"}
        if isinstance(part.get("text"), str) and set(part) <= {"text", "thought"}:
            self._piece("thought" if part.get("thought") is True else "text", line).value += part["text"]
        elif part:
            self._put({"serverContent": {"modelTurn": _hashed(part)}}, line)

    def _piece(self, kind: str, line: TraceRecord) -> MeaningItem:
        item = self._open.get(kind)
        if item is None:
            item = self._open[kind] = MeaningItem(kind, line.number, "")
        return item

    def _put(self, body: dict[str, Any], line: TraceRecord) -> None:
        self._flush()
        name = next(iter(body))
        inner = body[name]
        kind = next(iter(inner), name) if name == "serverContent" else name
        self.meaning.sides["server"].append(MeaningItem(str(kind), line.number, body))

    def _flush(self) -> None:
        for kind in ("inputTranscription", "thought", "text", "sound", "outputTranscription"):
            if kind in self._open:
                self.meaning.sides["server"].append(self._open.pop(kind))

    def mark(self, line: int) -> None:
        """Something to line two sessions up by: what was said before it is not what is said behind it."""
        self._flush()
        self.meaning.sides["server"].append(MeaningItem("mark", line, ""))

    def done(self) -> Meaning:
        self._flush()
        return self.meaning

    def _named(self, body: dict[str, Any]) -> dict[str, Any]:
        """A message with numbers for its ids, and without times."""
        call, handle, session = (self._ids[kind] for kind in ("call", "handle", "session"))

        def walk(value: Any, name: str, owner: str) -> Any:
            if isinstance(value, dict):
                if name in ("args", "response"):
                    return value
                return {key: walk(child, key, name) for key, child in value.items()}
            if isinstance(value, list):
                return [walk(item, name, owner) for item in value]
            if name == "ids" or (name == "id" and owner in ("functionCalls", "functionResponses")):
                return call("call", value)
            if name in ("handle", "newHandle") and value:
                return handle("handle", value)
            if name == "sessionId" and value:
                return session("session", value)
            return "time" if name in ("timeLeft", "audioOffset") else value

        made: dict[str, Any] = walk(body, "", "")
        return made


def _is_sound_alone(body: dict[str, Any]) -> bool:
    given = body.get("realtimeInput")
    return len(body) == 1 and isinstance(given, dict) and set(given) <= {"audio", "mediaChunks"}


def _rate(step: Step) -> dict[str, int]:
    return {"rate": rate_of(step.audio[0][0], step.sender)}


def _add(item: MeaningItem, step: Step, line: TraceRecord) -> None:
    for mime_type, pcm in step.audio:
        item.seconds += seconds_of(len(pcm), rate_of(mime_type, step.sender))
        if line.elided:
            item.hashed = None
        elif item.hashed is not None:
            item.hashed.update(pcm)


def _hashed(value: Any) -> Any:
    """A message with a length and a hash in the place of media, however its base64 was written."""
    if isinstance(value, list):
        return [_hashed(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: _hashed(child) for key, child in value.items()}
    data = value.get("data")
    if isinstance(data, str) and "mimeType" in value:
        try:
            raw = codec.decode_base64(data)
            out["data"] = f"{len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()[:16]}"
        except codec.WireError:
            pass
    return out


def _by_modality(usage: Any) -> Any:
    """usageMetadata with its lists as objects, so that their order does not matter."""
    if not isinstance(usage, dict):
        return usage
    out: dict[str, Any] = {}
    for name, value in usage.items():
        name = name.replace("candidates", "response")  # Vertex has other words for it
        if isinstance(value, list):
            value = {
                str(row.get("modality", "")): codec.whole(row.get("tokenCount", 0)) or 0
                for row in value
                if isinstance(row, dict)
            }
        out[name] = value
    return out


def _without_counts(value: Any) -> Any:
    if isinstance(value, dict) and "usageMetadata" in value:
        return {"usageMetadata": 0}
    return value


def meaning(session: RecordedSession) -> Meaning:
    """What a session means; it is read to its end."""
    reader = MeaningReader()
    for line, step in session:
        if step is not None:
            reader.take(line, step)
    return reader.done()


_WORDS = ("inputTranscription", "thought", "text", "sound", "outputTranscription", "modelTurn")
"""Kinds that are what a model says, in the order in which an outline has them."""
_FIGURES = ("usageMetadata", "groundingMetadata", "urlContextMetadata")
_ENDS = ("turnComplete", "toolCall")


def outline(meaning: Meaning) -> Meaning:
    """What the server of a session did, without what differs whenever a model is asked again.

    That something was said, heard, thought or counted, and by which event it was ended, stays; not its words, length,
    order and number of pieces. What trickles in behind `interrupted` is left out, and how often handles were renewed.
    """
    made = Meaning()
    side = made.sides["server"]
    said: dict[str, MeaningItem] = {}
    cut = False

    def end() -> None:
        side.extend(said[kind] for kind in (*_WORDS, *_FIGURES) if kind in said)
        said.clear()

    for item in meaning.sides["server"]:
        if item.kind in _FIGURES or (item.kind in _WORDS and not cut):
            said.setdefault(item.kind, _without_words(item))
        elif item.kind not in _WORDS:
            end()
            side.append(item)
            cut = item.kind == "interrupted" or (cut and item.kind not in _ENDS)
    end()
    for item in meaning.sides["beside"]:
        kinds = [other.kind for other in made.sides["beside"]]
        if "sessionResumptionUpdate" not in item.value:
            made.sides["beside"].append(item)
        elif item.kind not in kinds:
            made.sides["beside"].append(MeaningItem(item.kind, item.line, {name: {} for name in item.value}))
    made.sides["beside"].sort(key=lambda item: item.kind)  # what comes beside comes when it likes
    return made


def _without_words(item: MeaningItem) -> MeaningItem:
    return MeaningItem(item.kind, item.line, item.value if item.kind == "sound" else "", item.seconds)


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `lines` are those of the first trace and of the second, None where there is none."""

    side: str
    path: str
    words: str
    lines: tuple[int | None, int | None]


def differences(
    one: Meaning, other: Meaning, heed: Heed = "bytes", names: Names = ("the first", "the second")
) -> Iterator[Difference]:
    """Where two sessions differ, the client's side first."""
    for side in ("client", "server", "beside"):
        yield from _compare("server" if side == "beside" else side, one.sides[side], other.sides[side], heed, names)


def _compare(
    side: str, ours: list[MeaningItem], theirs: list[MeaningItem], heed: Heed, names: Names
) -> Iterator[Difference]:
    here, there = [item.key(heed) for item in ours], [item.key(heed) for item in theirs]
    start = 0
    while start < min(len(here), len(there)) and here[start] == there[start]:
        yield from _between(side, ours[start], theirs[start], heed, names)
        start += 1
    gone: list[MeaningItem] = []
    come: list[MeaningItem] = []
    for tag, a, b, c, d in _blocks(here[start:], there[start:]):
        a, b, c, d = a + start, b + start, c + start, d + start
        if tag == "equal":
            for mine, its in zip(ours[a:b], theirs[c:d], strict=True):
                yield from _between(side, mine, its, heed, names)
            continue
        mine_left, its_left = ours[a:b], theirs[c:d]
        while mine_left and its_left and mine_left[0].kind == its_left[0].kind:
            yield from _between(side, mine_left.pop(0), its_left.pop(0), heed, names)
        for mine in mine_left:
            pair = next((its for its in its_left if its.kind == mine.kind), None)
            if pair is None:
                gone.append(mine)
            else:
                its_left.remove(pair)
                yield from _between(side, mine, pair, heed, names)
        come += its_left
    by_key: dict[bytes, list[MeaningItem]] = {}
    for its in come:
        by_key.setdefault(its.key(heed), []).append(its)
    for mine in gone:
        moved = by_key.get(mine.key(heed))
        if moved:
            its = moved.pop(0)
            come.remove(its)
            yield Difference(side, f"/{mine.kind}", "comes at another place", (mine.line, its.line))
        else:
            yield Difference(side, f"/{mine.kind}", f"is only in {names[0]}{_shown(mine)}", (mine.line, None))
    for its in come:
        yield Difference(side, f"/{its.kind}", f"is only in {names[1]}{_shown(its)}", (None, its.line))


def _blocks(here: list[bytes], there: list[bytes]) -> Iterable[tuple[str, int, int, int, int]]:
    if len(here) * len(there) <= _ALIGN:
        return SequenceMatcher(None, here, there, autojunk=False).get_opcodes()
    both = min(len(here), len(there))
    return [("replace", 0, both, 0, both), ("replace", both, len(here), both, len(there))]


def _between(side: str, mine: MeaningItem, its: MeaningItem, heed: Heed, names: Names) -> Iterator[Difference]:
    lines = (mine.line, its.line)
    if mine.kind == "sound":
        if mine.value != its.value:
            rates = f"{mine.value['rate']} in {names[0]}, {its.value['rate']} in {names[1]}"
            yield Difference(side, "/sound/rate", rates, lines)
        known = mine.hashed is not None and its.hashed is not None
        if heed != "nothing" and abs(mine.seconds - its.seconds) > (_EXACT if heed == "bytes" else _LENGTH):
            lengths = f"{mine.seconds:.2f} s in {names[0]}, {its.seconds:.2f} s in {names[1]}"
            yield Difference(side, "/sound", lengths, lines)
        elif heed == "bytes" and known and mine.hashed.digest() != its.hashed.digest():
            yield Difference(side, "/sound", f"other samples, {mine.seconds:.2f} s of them", lines)
        return
    if isinstance(mine.value, str):
        if mine.value != its.value:
            words = f"{_json(mine.value)} in {names[0]}, {_json(its.value)} in {names[1]}"
            yield Difference(side, f"/{mine.kind}", words, lines)
        return
    prefix = "/close" if mine.kind == "close" else ""
    for path, words in _places(mine.value, its.value, prefix, names):
        yield Difference(side, path, words, lines)


def _places(one: Any, other: Any, path: str, names: Names) -> Iterator[tuple[str, str]]:
    for where, mine, its in places(one, other, path):
        if its is NOTHING:
            yield where, f"is only in {names[0]}: {_json(mine)}"
        elif mine is NOTHING:
            yield where, f"is only in {names[1]}: {_json(its)}"
        elif not (where.startswith("/usageMetadata/") and _are_alike(mine, its)):
            yield where, f"{_json(mine)} in {names[0]}, {_json(its)} in {names[1]}"


def _are_alike(one: Any, other: Any) -> bool:
    """Two token counts that are close."""
    counts = codec.whole(one), codec.whole(other)
    if None in counts:
        return False
    a, b = float(counts[0] or 0), float(counts[1] or 0)
    return abs(a - b) <= max(_TOKENS, _PART * max(abs(a), abs(b)))


def _shown(item: MeaningItem) -> str:
    if item.kind == "sound":
        return f": {item.seconds:.2f} s"
    return f": {_json(item.value)}" if item.value != "" else ""


def _json(value: Any) -> str:
    text = codec.dump(value).decode(errors="replace")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
