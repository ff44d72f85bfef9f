"""One session of a trace as the data of a report.

- A frame is looked at once and put away: messages and sound go to files, a line of the list and what the lanes draw
  stay. No string of the wire is kept longer than a reader reads.
- `data` is all of it once nothing more comes; `news` what is new since somebody last asked, so that a page can grow.
  Columns are only added to; what is changed later is told again, whole.
- Nothing here knows HTML. Texts are plain; whoever shows them sees that they stay text.
- The words are those of the trace view, the rules and the schemas; none are made up here.
"""

from __future__ import annotations

import base64
from array import array
from dataclasses import dataclass, field
from typing import Any, Protocol

from livews.analysis import audio_tracks
from livews.analysis.turn_times import SPEAKS, UserSpeech, ends_reply
from livews.audio.analysis import levels
from livews.audio.analysis.pcm import rate_of
from livews.core import closes, codec, events, machine, protocol, rules, schema
from livews.core.conversation import Conversation, Step
from livews.explainer.index import says_of
from livews.redactor import redact_url
from livews.terminal_text import one_line
from livews.trace import session as trace_session
from livews.trace.ending import SessionEnding
from livews.trace.reader import TraceRecord
from livews.trace.spool import Spool
from livews.trace.view import BY_HAND, describe
from livews.trace.view import heard_text as heard_in_words

MOST_TEXT = 4_000
"""Characters of one string of a message that are kept; its length is told."""
MOST_VALUES = 2_000
"""Values of one message that are kept."""
MOST_DATA = 48
"""Characters of base64 that are kept: the sound stands once, beside the messages."""
CHUNK = 250
"""Messages that are put away together, and taken out together when one of them is opened."""
_WORDS = 160
_LEVELS = {"note": 1, "refused": 2, "error": 3}
_UTTERANCE = 400
_TOLD_AT_ONCE = 64
"""The newest answers, of which a `heard` line may tell."""
_LANE = 20_000
"""Things a lane draws; a trace of more is still listed in full."""


class MemberDocs:
    """What the schemas say of the members that occur, by type: {type: {"is", "members": {name: [words, type]}, "values"}}."""

    def __init__(self) -> None:
        self.types: dict[str, dict[str, Any]] = {}
        self._moved: list[str] = []
        """The types in the order in which something was added to them."""

    def news(self, mark: NewsCursor) -> dict[str, Any]:
        """The types that something was added to."""
        moved, mark.docs = dict.fromkeys(self._moved[mark.docs :]), len(self._moved)
        return {name: self.types[name] for name in moved}

    def member(self, of: str, key: str) -> schema.Member | None:
        member = schema.table(of).members.get(key)
        if member is None:
            return None
        told = self._type(of)["members"]
        if key not in told:
            told[key] = [says_of(of, member), _short(member.target) if member.target else "", member.shape]
            self._moved.append(_short(of))
        return member

    def value(self, of: str, value: str) -> None:
        about = protocol.schemas()[of].get("x-livews", {}).get("values", {}).get(value)
        if about and about.get("description") and value not in self._type(of)["values"]:
            self._type(of)["values"][value] = about["description"]
            self._moved.append(_short(of))

    def _type(self, of: str) -> dict[str, Any]:
        known = self.types.get(_short(of))
        if known is None:
            known = self.types[_short(of)] = {
                "is": protocol.schemas()[of].get("title", ""),
                "members": {},
                "values": {},
            }
        return known


def _short(schema_id: str) -> str:
    return schema_id.removeprefix(protocol.SCHEMAS).removesuffix(".json")


class _Cut:
    """A message as short as a reader needs it; `told` says what was left out, by JSON pointer."""

    def __init__(self, docs: MemberDocs, rate: int = codec.OUTPUT_RATE) -> None:
        self._docs = docs
        self._rate = rate
        """Of sound whose mime type names none."""
        self._left = MOST_VALUES
        self.told: dict[str, str] = {}

    def message(self, value: Any, sender: schema.Sender) -> Any:
        return self._value(value, "", schema.ENVELOPE[sender], "one")

    def plain(self, value: Any) -> Any:
        return self._value(value, "", None, "one")

    def _value(self, value: Any, path: str, of: str | None, shape: str) -> Any:
        self._left -= 1
        if isinstance(value, str):
            if of is not None and shape == "one" and schema.table(of).values is not None:
                self._docs.value(of, value)
            return self._text(value, path)
        if isinstance(value, list):
            inner = "one" if shape == "list" else shape
            return self._items(value, path, of, inner)
        if isinstance(value, dict):
            return self._members(value, path, of, shape)
        return value

    def _items(self, value: list[Any], path: str, of: str | None, shape: str) -> list[Any]:
        out = []
        for i, item in enumerate(value):
            if self._left <= 0:
                self.told[path] = f"{len(value):,} items, the first {i:,} shown"
                break
            out.append(self._value(item, f"{path}/{i}", of, shape))
        return out

    def _members(self, value: dict[str, Any], path: str, of: str | None, shape: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for i, (key, item) in enumerate(value.items()):
            if self._left <= 0:
                self.told[path] = f"{len(value):,} members, the first {i:,} shown"
                break
            name = key if len(key) <= MOST_TEXT else key[:MOST_TEXT] + "…"
            here = f"{path}/{schema.pointer(name)}"
            if shape == "map":
                out[name] = self._value(item, here, of, "one")
                continue
            member = self._docs.member(of, key) if of is not None and shape == "one" else None
            if key == "data" and isinstance(item, str) and len(item) > MOST_DATA:
                out[name] = self._data(item, here, value.get("mimeType", value.get("mime_type")))
            elif member is None:
                out[name] = self._value(item, here, None, "one")
            else:
                out[name] = self._value(item, here, member.target, member.shape)
        return out

    def _text(self, value: str, path: str) -> str:
        if len(value) <= MOST_TEXT:
            return value
        self.told[path] = f"{len(value):,} characters, the first {MOST_TEXT:,} shown"
        return value[:MOST_TEXT]

    def _data(self, value: str, path: str, mime_type: Any) -> str:
        self._left -= 1
        if value.startswith("elided:"):
            return self._text(value, path)
        words = f"{len(value):,} characters of base64, {len(value) * 3 // 4:,} bytes"
        if isinstance(mime_type, str) and mime_type.startswith("audio/pcm"):
            words += f", {len(value) * 3000 // 8 // codec.rate_of(mime_type, self._rate):,} ms of sound"
        self.told[path] = words
        return value[:MOST_DATA]


@dataclass(slots=True)
class _Turn:
    """One answer: from when the user was done to its end. Seconds of the trace."""

    by: str
    asked: float | None
    first_byte: float
    row: int
    first_sound: float | None = None
    first_heard: float | None = None
    """When it could be heard, as far as a trace tells: as soon as it came, behind what was queued."""
    run: audio_tracks.AudioRun | None = None
    """The sound it begins in."""
    measured: bool = False
    """A `heard` line tells of it: somebody listened."""
    ended: float | None = None
    how: str = ""

    def told(self) -> dict[str, Any]:
        return {
            "by": self.by,
            "asked": self.asked,
            "firstByte": self.first_byte,
            "firstSound": self.first_sound,
            "firstHeard": self.first_heard,
            "measured": self.measured,
            "ended": self.ended,
            "how": self.how,
            "row": self.row,
        }


_LONGEST = 1e7
"""Seconds a session may last; a time beyond is no time."""
_LARGEST = 1 << 40
_MARKS = {
    "setup": "setup",
    "setupComplete": "ready",
    "goAway": "goAway",
    "sessionResumptionUpdate": "resumption",
    "activityStart": "activityStart",
    "activityEnd": "activityEnd",
    "audioStreamEnd": "audioStreamEnd",
    "interrupted": "interrupted",
    "generationComplete": "generated",
    "turnComplete": "turnComplete",
    "contextUpdate": "contextUpdate",
}


class SessionInfo(Protocol):
    """What a session is, beside its lines: `follow.Session` of a recorded one."""

    header: dict[str, Any]
    talk: Conversation
    cut_at: int | None

    @property
    def url(self) -> str: ...

    @property
    def model(self) -> str: ...


@dataclass(slots=True)
class NewsCursor:
    """How much of a session somebody has been told by `news`: nothing yet when it is new."""

    moves: int = 0
    rows: int = 0
    kinds: int = 0
    findings: int = 0
    marks: int = 0
    turns: int = 0
    turns_moved: int = 0
    tools: int = 0
    docs: int = 0
    states: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)


class ReportSession:
    """Follows one session line by line; `data()` is what the page draws, `chunk(n)` a part of its messages."""

    def __init__(
        self,
        session: SessionInfo,
        docs: MemberDocs,
        most_sound: int = audio_tracks.MOST_SOUND,
    ) -> None:
        self.moves = 0
        """Counts what came."""
        self.user = audio_tracks.UserTrack(most_sound)
        self.model = audio_tracks.ModelTrack(most_sound)
        self._session = session
        self._docs = docs
        self._messages = Spool()
        self._chunks: list[tuple[int, int]] = []
        """Offset and bytes of each chunk in `_messages`; the last one, which is not full, is in `_chunk`."""
        self._chunk: list[bytes] = []
        self._times = array("d")
        self._last = 0.0
        self._sizes: list[int] = []
        self._flags = bytearray()
        self._kinds: dict[str, int] = {}
        self._kind_of: list[int] = []
        self._words: list[str] = []
        self._told: dict[tuple[Any, ...], int] = {}
        self._found: dict[int, list[int]] = {}
        states = session.talk.states
        self._states: dict[str, list[list[Any]]] = {region: [[0.0, state]] for region, state in states.items()}
        self._state = tuple(states.values())
        self._texts: dict[str, list[list[Any]]] = {"user": [], "model": []}
        self._tools: list[list[Any]] = []
        self._tools_moved: list[int] = []
        self._open: dict[str, int] = {}
        self._marks: list[list[Any]] = []
        self._turns: list[_Turn] = []
        self._turns_moved: list[int] = []
        """Places of turns that were over, and changed."""
        self._turn: _Turn | None = None
        self._asks = UserSpeech()
        self._prompted: float | None = None
        self._asked: float | None = None
        """When the user was done before the last answer."""
        self._closes: list[tuple[float, schema.Sender, int, str]] = []
        self._ending = SessionEnding()
        self._setup = 0
        """The row of the setup that waits for its answer."""
        self._unanswered = False

    def close(self) -> None:
        self._messages.close()
        self.user.close()
        self.model.close()

    def take(self, session: trace_session.RecordedSession) -> None:
        """Read a recorded session to its end."""
        for line, step in session:
            self.push(line, step)
        self.finish()

    def push(self, line: TraceRecord, step: Step | None) -> None:
        """The next line, with what it was and did."""
        # the page looks things up by time, so time does not run back in it
        t = self._last = max(self._last, min(line.t, _LONGEST))
        self.moves += 1
        self._ending.take(line, step)
        if self._ending.unanswered is line:
            self._setup = len(self._times)
        if step is None or line.raw is None:
            self._control(line, step, t)
        else:
            self._frame(line, step, t)

    def finish(self) -> None:
        """Nothing more comes."""
        self.moves += 1
        self.user.finish()
        self.model.finish()
        if self._ending.unanswered is not None and not self._unanswered:
            self._unanswered = True
            self._find(self._setup, [rules.unanswered_setup()])

    @property
    def rows(self) -> int:
        return len(self._times)

    @property
    def chunks(self) -> int:
        """How many chunks there are, the last of which may not be full."""
        return len(self._chunks) + bool(self._chunk)

    def chunk(self, n: int) -> bytes:
        """The messages of CHUNK rows, as the JSON of a list."""
        if n < len(self._chunks):
            return self._messages.read(*self._chunks[n])
        return b"[" + b",".join(self._chunk) + b"]"

    # A frame

    def _frame(self, line: TraceRecord, step: Step, t: float) -> None:
        row = len(self._times)
        words = [*([BY_HAND] if line.inserted else []), *describe(step)]
        if step.state and step.state != self._state:
            words += self._move(step, t)
        cut = _Cut(self._docs, codec.INPUT_RATE if line.sender == "client" else codec.OUTPUT_RATE)
        raw = line.raw or b""
        if step.kind == "unreadable":
            message: Any = one_line(raw[:MOST_TEXT].decode("latin-1"))
            cut.told[""] = f"{len(raw):,} bytes that are no message"
        else:
            # what is followed of an elided trace has silence in the place of its sound: another frame than the line's
            written = step.as_sent if step.raw is raw else None
            message = cut.message(codec.parse(raw) if written is None else written, line.sender)
        level = self._find(row, step.findings)
        self._row(line, t, step.kind, line.size, " · ".join(words), level, message, cut.told)
        if line.sender == "client":
            self._from_client(line, step, t, row)
        else:
            self._from_server(line, step, t, row)
        for signal in step.signals:
            if signal in _MARKS and len(self._marks) < _LANE:
                self._marks.append([t, row, _MARKS[signal], level])

    def _from_client(self, line: TraceRecord, step: Step, t: float, row: int) -> None:
        sounds = []
        for mime_type, pcm in step.audio:
            rate = rate_of(mime_type, "client")
            if pcm and self.user.fits(mime_type, rate):
                sounds.append((rate, pcm))
                self.user.say(None if line.elided else pcm[: len(pcm) & ~1], len(pcm) // 2, rate, t)
        if sounds or "prompt" in step.signals:
            self._asks.see(line, step, sounds)
        if "prompt" in step.signals and "activityEnd" not in step.signals:
            self._prompted = line.t
        if not {"clientContent", "textIn", "toolResponse"}.isdisjoint(step.signals):
            body = step.body
            said = machine.values(body, ("clientContent", "turns", "*", "parts", "*", "text"))
            for text in [*said, *machine.values(body, ("realtimeInput", "text"))]:
                self._text("user", t, text, row, whole=True)
            for call in machine.values(body, ("toolResponse", "functionResponses", "*")):
                if isinstance(call, dict):
                    self._end_call(str(call.get("id") or call.get("name", "")), t, row, "answered")

    def _from_server(self, line: TraceRecord, step: Step, t: float, row: int) -> None:
        if self._turn is None and not step.interrupted and any(signal in SPEAKS for signal in step.signals):
            self._begin_turn(t, row)
        if "flushPlayback" in step.effects:
            self.model.flush(t)
            if self._turn is not None:
                self._turn.how = "interrupted"
        for event in events.events(step):
            match event:
                case events.Audio(pcm=pcm, rate=rate, mime_type=mime_type):
                    if pcm and self.model.fits(mime_type, rate):
                        self._sound(None if line.elided else pcm, len(pcm) // 2, rate, t)
                case events.Transcript(text=text, of=of, interim=False):
                    self._text(of, t, text, row)
                case events.Text(text=text, thought=False):
                    self._text("model", t, text, row)
                case events.ToolCall(id=call, name=name):
                    if len(self._tools) < _LANE:
                        self._open[call or name] = len(self._tools)
                        self._tools_moved.append(len(self._tools))
                        self._tools.append([t, None, one_line(name, 60), row, None, "not answered"])
                case events.ToolCancelled(ids=ids):
                    for call in ids:
                        self._end_call(call, t, row, "cancelled")
        if ends_reply(step):
            self._end_turn(t, "interrupted" if step.interrupted else "complete")

    def _sound(self, pcm: bytes | None, samples: int, rate: int, t: float) -> None:
        start = self.model.play(pcm and pcm[: len(pcm) & ~1], samples, rate, t)
        if pcm is not None and self._turn is not None and self._turn.first_sound is None:
            first = levels.first_sound(pcm)
            if first is not None:
                self._turn.first_sound = t
                self._turn.first_heard = start + first / rate
                self._turn.run = self.model.runs[-1]

    # A ping, a pong, a close, what was heard

    def _control(self, line: TraceRecord, step: Step | None, t: float) -> None:
        row, about = len(self._times), line.about
        level = 0
        if step is not None:
            given, reason = about.get("code"), str(about.get("reason") or "")
            code = given if type(given) is int and 0 <= given < 65536 else 1006
            self._closes.append((t, line.sender, code, reason))
            level = 3 if not closes.is_fine(code, line.sender) and len(self._closes) == 1 else 0
            words = " · ".join([one_line(f"{code} {reason}".strip(), _WORDS), *self._move(step, t)])
            if step.interrupted:
                self._end_turn(t, "closed")
        elif line.control == "heard":
            before = self.model.moves
            self.model.heard(about)
            self._measure([run for _, run in self.model.moved_since(before)])
            words = heard_in_words(about)
        elif line.control == "broken":  # nobody's doing: the file is damaged
            why = one_line(str(about.get("why", "")), _WORDS)
            words = f"line {line.number} of the file cannot be read, and what follows is judged without it: {why}"
            self._row(line, t, line.control, 0, words, 3, {}, {"": words})
            return
        else:
            said = " ".join(str(value) for value in about.values() if value not in ("", None))
            words = one_line(said, _WORDS)
        cut = _Cut(self._docs)
        self._row(line, t, line.control, 0, words, level, cut.plain({line.control: about}), cut.told)
        if len(self._marks) < _LANE:
            self._marks.append([t, row, line.control, level])

    # What is kept of it

    def _row(
        self,
        line: TraceRecord,
        t: float,
        kind: str,
        size: int,
        words: str,
        level: int,
        message: Any,
        told: dict[str, str],
    ) -> None:
        kind = one_line(kind, 80)
        self._times.append(t)
        self._sizes.append(min(max(size, 0), _LARGEST))
        self._flags.append((line.sender == "server") | (line.raw is None) << 1 | level << 2 | line.inserted << 4)
        self._kind_of.append(self._kinds.setdefault(kind, len(self._kinds)))
        self._words.append(words if len(words) <= 2 * _WORDS else words[: 2 * _WORDS] + "…")
        self._chunk.append(codec.dump([message, told] if told else [message]))
        if len(self._chunk) == CHUNK:
            self._put_away()

    def _put_away(self) -> None:
        whole = self.chunk(len(self._chunks))
        self._chunks.append((self._messages.add(whole), len(whole)))
        self._chunk = []

    def _find(self, row: int, findings: list[rules.Finding]) -> int:
        level = 0
        for one in findings:
            key = (one.level, one.rule, one_line(one.path, 300), one_line(one.complaint, 600), one.fix, one.close)
            number = self._told.setdefault(key, len(self._told))
            self._found.setdefault(row, []).append(number)
            level = max(level, _LEVELS[one.level])
        return level

    def _move(self, step: Step, t: float) -> list[str]:
        regions = machine.machine().regions
        words = []
        for region, before, after in zip(regions, self._state, step.state, strict=True):
            if before != after:
                self._states[region].append([t, after])
                words += [after] if after != "none" else []
        self._state = step.state
        return words

    def _text(self, of: str, t: float, text: Any, row: int, whole: bool = False) -> None:
        if not isinstance(text, str) or not text.strip():
            return
        lane = self._texts[of]
        last = lane[-1] if lane else None
        if not whole and last and not last[4] and t - last[1] < 1.5 and len(last[2]) < _UTTERANCE:
            last[1] = t
            last[2] += one_line(text[:_UTTERANCE], _UTTERANCE)
        elif len(lane) < _LANE:
            lane.append([t, t, one_line(text[: 2 * _UTTERANCE].lstrip(), _UTTERANCE), row, int(whole)])

    def _end_call(self, call: str, t: float, row: int, how: str) -> None:
        number = self._open.pop(call, None)
        if number is not None:
            self._tools_moved.append(number)
            self._tools[number][1] = t
            self._tools[number][4:] = [row, how]

    # Turns

    def _begin_turn(self, t: float, row: int) -> None:
        asked, by = self._asks.asked_at(self._asked), ""
        if asked is not None:
            by = "text" if asked == self._prompted else "voice"
            asked = self._asked = max(0.0, min(asked, t))
        self._turn = _Turn(by, asked, t, row)

    def _end_turn(self, t: float, how: str) -> None:
        if self._turn is not None:
            self._turn.ended = t
            self._turn.how = how
            if len(self._turns) < _LANE:
                self._turns.append(self._turn)
            self._turn = None
        for lane in self._texts.values():
            if lane:
                lane[-1][4] = 1  # what is said next is another utterance
        self.model.end_reply()

    def _measure(self, runs: list[audio_tracks.AudioRun]) -> None:
        """A `heard` line told of these runs."""
        turns = [*enumerate(self._turns), *([(len(self._turns), self._turn)] if self._turn else [])]
        for place, turn in turns[-_TOLD_AT_ONCE:]:
            run = turn.run
            if run is None or not any(one is run for one in runs):
                continue
            turn.measured = True
            if run.heard is not None and turn.first_heard is not None and turn.first_heard >= run.end:
                turn.first_heard = None
            self._turns_moved.append(place)

    # The data

    def data(self) -> dict[str, Any]:
        """All but messages and sound, as JSON values."""
        sides = self._sides
        return {
            **self.head(),
            **self._state_now(),
            "states": self._states,
            "kinds": list(self._kinds),
            "t": self._times.tolist(),
            "kind": self._kind_of,
            "flags": base64.b64encode(self._flags).decode(),
            "size": self._sizes,
            "words": self._words,
            "chunks": self.chunks,
            "findings": self._findings(),
            "found": self._found,
            "sound": {
                name: {"runs": [run.row() for run in side.runs], **_sound_data(side, 0)}
                for name, side in sides.items()
            },
            "texts": self._texts,
            "tools": self._tools,
            "marks": self._marks,
            "turns": self._turns_told(0),
        }

    def head(self) -> dict[str, Any]:
        """What does not change as a session goes on."""
        about = self._session.header
        return {
            **{name: one_line(str(about.get(name, "")), 80) for name in ("started", "side", "livews", "protocol")},
            "url": one_line(_redacted(self._session.url), 300),
            "stateWords": {name: region["states"] for name, region in protocol.machine()["regions"].items()},
            "chunk": CHUNK,
            "perSecond": audio_tracks.PEAKS,
        }

    def news(self, mark: NewsCursor, most: int) -> dict[str, Any] | None:
        """What came since `mark`, which moves on: `most` rows at once, all else when those are told. None: nothing.

        Columns are what is to be added to them. `states`, `texts` and `turns` are [place, items]: from that place on
        it is so now; a row of `found` that was told before has now all that is given. `tools` and `runs` are [place, item] each: at that place it is so now. `docs` are whole types.
        """
        if mark.moves == self.moves:
            return None
        first, end = mark.rows, min(mark.rows + most, self.rows)
        mark.rows = end
        found = [*range(first, end), *([self._setup] if self._unanswered and self._setup < first else [])]
        told: dict[str, Any] = {
            "kinds": [*self._kinds][mark.kinds :],
            "t": self._times[first:end].tolist(),
            "kind": self._kind_of[first:end],
            "flags": list(self._flags[first:end]),
            "size": self._sizes[first:end],
            "words": self._words[first:end],
            "findings": self._findings(mark.findings),
            "found": {str(row): self._found[row] for row in found if row in self._found},
            "docs": self._docs.news(mark),
            **self._state_now(),
        }
        mark.kinds, mark.findings = len(self._kinds), len(self._told)
        if end < self.rows:
            return told
        told["states"] = {name: _grown(moves, mark.states, name, 0) for name, moves in self._states.items()}
        # the last piece of a text may still grow
        told["texts"] = {name: _grown(lane, mark.texts, name, 1) for name, lane in self._texts.items()}
        turn = min([mark.turns, *self._turns_moved[mark.turns_moved :]])
        told["turns"] = [turn, self._turns_told(turn)]
        mark.turns_moved = len(self._turns_moved)
        told["tools"] = [[i, self._tools[i]] for i in dict.fromkeys(self._tools_moved[mark.tools :])]
        told["marks"] = self._marks[mark.marks :]
        told["sound"] = {}
        for name, side in self._sides.items():
            runs = [[i, run.row()] for i, run in side.moved_since(mark.runs.get(name, 0))]
            told["sound"][name] = {"runs": runs, **_sound_data(side, mark.peaks.get(name, 0))}
            mark.runs[name], mark.peaks[name] = side.moves, side.drawn
        mark.turns, mark.tools, mark.marks = len(self._turns), len(self._tools_moved), len(self._marks)
        mark.moves = self.moves
        return told

    @property
    def _sides(self) -> dict[str, audio_tracks.AudioTrack]:
        return {"user": self.user, "model": self.model}

    def _state_now(self) -> dict[str, Any]:
        """The small things that change."""
        last = self._times[-1] if self._times else 0.0
        model = self._session.model
        return {
            "model": one_line(model, 120),
            "length": max(last, self.user.end, self.model.end),
            "last": last,
            "end": self._end(model),
            "cutOff": self._session.cut_at is not None,
        }

    def _findings(self, first: int = 0) -> list[dict[str, Any]]:
        return [
            {
                "level": level,
                "rule": rule,
                "path": path,
                "complaint": complaint,
                "cure": fix,
                "close": list(close) if close else None,
                "title": protocol.rules()[rule]["title"] if rule in protocol.rules() else "",
            }
            for level, rule, path, complaint, fix, close in [*self._told][first:]
        ]

    def _turns_told(self, first: int) -> list[dict[str, Any]]:
        """The turns from the `first` on, with the one that is not over yet."""
        return [turn.told() for turn in [*self._turns[first:], *([self._turn] if self._turn else [])]]

    def _end(self, model: str) -> dict[str, Any] | None:
        if not self._closes:
            return None
        t, by, code, reason = self._closes[0]
        advice = closes.explain(code, reason, model=model, by=by)
        return {
            "t": t,
            "by": by,
            "code": code,
            "reason": one_line(reason, 200),
            "id": advice.id,
            "kind": advice.kind,
            "meaning": one_line(advice.meaning),
            "cause": one_line(advice.cause),
            "do": one_line(advice.do),
            "retry": advice.retry,
            "confidence": advice.confidence,
        }


def _grown(items: list[list[Any]], told: dict[str, int], name: str, again: int) -> list[Any]:
    """[place, items from there on] of a list; the last `again` of those that were told are told again."""
    first = max(0, told.get(name, 0) - again)
    told[name] = len(items)
    return [first, items[first:]]


def _sound_data(side: audio_tracks.AudioTrack, first_peak: int) -> dict[str, Any]:
    return {
        "peaks": base64.b64encode(side.peaks(first_peak)).decode(),
        "seconds": side.seconds,
        "skipped": side.skipped,
    }


def _redacted(url: str) -> str:
    try:
        return redact_url(url)
    except ValueError:
        return "(not a URL)"
