"""The data of a report page: one session, from a trace or while it runs.

- A frame is looked at once and put away: messages and audio go to files. One line of the list and what the lanes draw
  stay in memory, and no string of the wire longer than the page shows.
- `data` is the whole session; `news` is what was added since a cursor, so that a page can grow. Columns only grow; what
  changes later is given again as a whole.
- Nothing here knows HTML. Texts are plain; the page shows them as text.
- All words are those of the trace view, the rules and the schemas.
"""

import base64
from array import array
from dataclasses import dataclass
from typing import Any, Protocol

from livews.analysis import audio_tracks
from livews.analysis.timeline import Timeline, TurnChange, user_texts
from livews.analysis.turn import Turn
from livews.core import closes, codec, events, machine, protocol, rules
from livews.core.conversation import Conversation, Step
from livews.core.schema import Sender
from livews.redactor import redact_url
from livews.report.message_excerpt import MAX_TEXT, MemberDocs, excerpt
from livews.terminal_text import one_line
from livews.trace.ending import SessionEnding
from livews.trace.reader import TraceRecord
from livews.trace.spool import Spool
from livews.trace.view import INSERTED, describe, heard_text

CHUNK = 250
"""Messages that are stored together, and read together when one of them is opened."""
_MAX_WORDS = 160
_MAX_UTTERANCE = 400
_MAX_LANE = 20_000
"""Things one lane draws; a longer trace is still listed in full."""
_MEASURED_TURNS = 64
"""The newest turns that a `heard` line may be about."""
_MAX_SECONDS = 1e7
"""Duration of a session; a later time is invalid."""
_MAX_SIZE = 1 << 40
_NOTE, _REFUSED, _ERROR = 1, 2, 3
_LEVELS = {"note": _NOTE, "refused": _REFUSED, "error": _ERROR}
_MARKS = {"setupComplete": "ready", "sessionResumptionUpdate": "resumption", "generationComplete": "generated"} | {
    name: name
    for name in (
        "setup", "goAway", "activityStart", "activityEnd", "audioStreamEnd", "interrupted", "turnComplete", "contextUpdate"
    )
}  # fmt: skip
"""Signals that the time line marks, and the names of the marks."""


class SessionInfo(Protocol):
    """What is known of a session besides its messages, such as a `RecordedSession`."""

    header: dict[str, Any]
    conversation: Conversation
    cut_at: int | None

    @property
    def url(self) -> str: ...

    @property
    def model(self) -> str: ...


class NewsCursor(dict[str, int]):
    """How much of a session a page has, by what is counted: items, or changes of them. Nothing when it is new."""

    def __missing__(self, name: str) -> int:
        return 0


@dataclass(slots=True)
class _TurnRow:
    """A turn as the page draws it."""

    turn: Turn
    row: int
    """The row of its first message."""
    heard_at: float | None = None
    """When its first sound could be heard, as far as the trace says."""
    run: audio_tracks.AudioRun | None = None
    """The run that holds this sound."""
    measured: bool = False
    """A `heard` line is about it: somebody listened."""

    def to_dict(self) -> dict[str, Any]:
        turn = self.turn
        return {
            "by": turn.requested_by,
            "asked": None if turn.requested_at is None else max(0.0, turn.requested_at),
            "firstByte": turn.first_byte_at,
            "firstSound": turn.first_sound_at,
            "firstHeard": self.heard_at,
            "measured": self.measured,
            "ended": turn.ended_at,
            "how": turn.outcome,
            "row": self.row,
        }


class ReportSession:
    """One session as the page draws it, filled record by record.

    Args:
        info: what is known of the session besides its messages.
        docs: collects what the schemas say; shared by the sessions of a page.
        max_audio: bytes of samples to keep of each side.
    """

    def __init__(self, info: SessionInfo, docs: MemberDocs, max_audio: int = audio_tracks.MAX_AUDIO) -> None:
        self.moves = 0
        """How many records came."""
        self.tracks = audio_tracks.AudioTracks(max_audio)
        self._tracks = (("user", self.tracks.user), ("model", self.tracks.model))
        self._info = info
        self._docs = docs
        self._timeline = Timeline(self.tracks)
        self._messages = Spool()
        self._chunks: list[tuple[int, int]] = []
        """Offset and size of each complete chunk in `_messages`."""
        self._chunk: list[bytes] = []
        """The messages of the last chunk."""
        self._times = array("d")
        self._sizes: list[int] = []
        self._flags = bytearray()
        self._kinds: dict[str, int] = {}
        self._kind_of: list[int] = []
        self._words: list[str] = []
        self._findings: dict[tuple[Any, ...], int] = {}
        """Each different finding, and its number."""
        self._found: dict[int, list[int]] = {}
        """Row to the numbers of its findings."""
        states = info.conversation.states
        self._states: dict[str, list[list[Any]]] = {region: [[0.0, state]] for region, state in states.items()}
        self._state = tuple(states.values())
        self._texts: dict[str, list[list[Any]]] = {"user": [], "model": []}
        self._tools: list[list[Any]] = []
        self._tool_changes: list[int] = []
        self._open_calls: dict[str, int] = {}
        self._marks: list[list[Any]] = []
        self._turns: list[_TurnRow] = []
        """All turns that ended, and the current one."""
        self._turn_changes: list[int] = []
        """Indexes of turns that ended earlier and changed."""
        self._closes: list[tuple[float, Sender, int, str]] = []
        self._ending = SessionEnding()
        self._unanswered: int | None = None
        """The row of the setup that had no answer at the end."""

    def close(self) -> None:
        self._messages.close()
        self.tracks.close()

    # Filled by

    def push(self, record: TraceRecord, step: Step | None) -> None:
        """Add a record of a trace, with what its frame or close was and did."""
        self.moves += 1
        # the page looks things up by time, so it never decreases
        t = max(self._times[-1] if self._times else 0.0, min(record.t, _MAX_SECONDS))
        if record.raw is None or step is None:
            self._control(t, record, step)
        else:
            self._frame(t, record, record.raw, step)

    def _frame(self, t: float, record: TraceRecord, raw: bytes, step: Step) -> None:
        row = self.rows
        self._ending.take_message(row, step)
        words = [*([INSERTED] if record.inserted else []), *describe(step)]
        if step.state and step.state != self._state:
            words += self._change_state(step, t)
        if step.kind == "unreadable":
            message: Any = one_line(raw[:MAX_TEXT].decode("latin-1"))
            left_out = {"": f"{len(raw):,} bytes that are not a message"}
        else:
            # of an elided frame, the step has silence in the place of the audio
            as_sent = step.as_sent if raw is step.raw else None
            as_sent = codec.parse(raw) if as_sent is None else as_sent
            message, left_out = excerpt(as_sent, step.sender)
            if step.template is None:  # else it has the members of an earlier frame
                self._docs.add(step.sender, as_sent)
        level = self._find(row, step.findings)
        self._add_row(t, record, step.kind, words, level, message, left_out)
        change = self._timeline.take(t, step, elided=record.elided)
        if step.sender == "client":
            self._from_client(step, t, row)
        else:
            self._from_server(step, t, row, change)
        for signal in step.signals:
            if signal in _MARKS:
                self._mark(t, row, _MARKS[signal], level)

    def _control(self, t: float, record: TraceRecord, step: Step | None) -> None:
        """Add a ping, a pong, a close, what was heard of a reply, or a line that cannot be read."""
        kind, about, sender, row, level = record.control, record.about, record.sender, self.rows, 0
        message, left_out = excerpt({kind: about}, sender)
        if kind == "close":
            self._ending.take_close(sender, about)
        if step is not None:
            given, reason = about.get("code"), str(about.get("reason") or "")
            code = given if type(given) is int and 0 <= given < 65536 else 1006
            self._closes.append((t, sender, code, reason))
            level = _ERROR if not closes.is_fine(code, sender) and len(self._closes) == 1 else 0
            words = [one_line(f"{code} {reason}".strip(), _MAX_WORDS), *self._change_state(step, t)]
            if self._timeline.take(t, step).ended:
                self._end_turn()
        elif kind == "heard":
            self._measure(self.tracks.model.heard(about))
            words = [heard_text(about)]
        elif kind == "broken":
            why = one_line(str(about.get("why", "")), _MAX_WORDS)
            words = [f"line {record.number} of the file cannot be read, and what follows is judged without it: {why}"]
            level, message, left_out = _ERROR, {}, {"": words[0]}
        else:
            values = (str(value) for value in about.values() if value not in ("", None))
            words = [one_line(" ".join(values), _MAX_WORDS)]
        self._add_row(t, record, kind, words, level, message, left_out)
        if kind != "broken":
            self._mark(t, row, kind, level)

    def finish(self) -> None:
        """Nothing more comes."""
        self.moves += 1
        self.tracks.finish()
        if self._ending.unanswered is not None and self._unanswered is None:
            self._unanswered = self._ending.unanswered
            self._find(self._unanswered, [rules.unanswered_setup()])

    # Messages

    @property
    def rows(self) -> int:
        return len(self._times)

    @property
    def chunks(self) -> int:
        """How many chunks there are, the last of which may not be complete."""
        return len(self._chunks) + bool(self._chunk)

    def chunk(self, n: int) -> bytes:
        """The messages of CHUNK rows, as the JSON of a list."""
        if n < len(self._chunks):
            return self._messages.read(*self._chunks[n])
        return b"[" + b",".join(self._chunk) + b"]"

    def _add_row(
        self, t: float, record: TraceRecord, kind: str, words: list[str], level: int, message: Any, left_out: dict[str, str]
    ) -> None:  # fmt: skip
        self._times.append(t)
        self._sizes.append(min(max(record.size, 0), _MAX_SIZE))
        is_control = record.raw is None
        self._flags.append((record.sender == "server") | is_control << 1 | level << 2 | record.inserted << 4)
        self._kind_of.append(self._kinds.setdefault(one_line(kind, 80), len(self._kinds)))
        text = " · ".join(words)
        self._words.append(text if len(text) <= 2 * _MAX_WORDS else text[: 2 * _MAX_WORDS] + "…")
        self._chunk.append(codec.dump([message, left_out] if left_out else [message]))
        if len(self._chunk) == CHUNK:
            chunk = self.chunk(len(self._chunks))
            self._chunks.append((self._messages.add(chunk), len(chunk)))
            self._chunk = []

    def _find(self, row: int, findings: list[rules.Finding]) -> int:
        """Note the findings of a row; the highest level."""
        for f in findings:
            title = protocol.rules().get(f.rule, {}).get("title", "")
            key = (f.level, f.rule, one_line(f.path, 300), one_line(f.complaint, 600), f.fix, f.close, title)
            self._found.setdefault(row, []).append(self._findings.setdefault(key, len(self._findings)))
        return max((_LEVELS[f.level] for f in findings), default=0)

    # Lanes

    def _from_client(self, step: Step, t: float, row: int) -> None:
        if not {"clientContent", "textIn", "toolResponse"}.isdisjoint(step.signals):
            for text in user_texts(step):
                self._add_text("user", t, text, row, is_whole=True)
            for answer in machine.values(step.body, ("toolResponse", "functionResponses", "*")):
                if isinstance(answer, dict):
                    self._end_call(str(answer.get("id") or answer.get("name", "")), t, row, "answered")

    def _from_server(self, step: Step, t: float, row: int, change: TurnChange) -> None:
        if change.began and change.turn is not None:
            self._turns.append(_TurnRow(change.turn, row))
        if change.sounded and change.turn is not None:
            position = self.tracks.model.position(change.turn.lead)
            if position is not None:
                self._turns[-1].heard_at, self._turns[-1].run = position
        for event in events.events(step):
            match event:
                case events.Transcript(text=text, of=of, interim=False):
                    self._add_text(of, t, text, row)
                case events.Text(text=text, thought=False):
                    self._add_text("model", t, text, row)
                case events.ToolCall(id=call, name=name) if len(self._tools) < _MAX_LANE:
                    self._open_calls[call or name] = len(self._tools)
                    self._tool_changes.append(len(self._tools))
                    self._tools.append([t, None, one_line(name, 60), row, None, "not answered"])
                case events.ToolCancelled(ids=ids):
                    for call in ids:
                        self._end_call(call, t, row, "cancelled")
        if change.ended:
            self._end_turn()

    def _end_turn(self) -> None:
        if len(self._turns) > _MAX_LANE:
            self._turns.pop()
        for lane in self._texts.values():
            if lane:
                lane[-1][4] = 1  # the next words are another utterance

    def _mark(self, t: float, row: int, name: str, level: int) -> None:
        if len(self._marks) < _MAX_LANE:
            self._marks.append([t, row, name, level])

    def _change_state(self, step: Step, t: float) -> list[str]:
        """Note the states that changed; the new ones, in words."""
        words = []
        for region, before, after in zip(machine.machine().regions, self._state, step.state, strict=True):
            if before != after:
                self._states[region].append([t, after])
                words += [after] if after != "none" else []
        self._state = step.state
        return words

    def _add_text(self, of: str, t: float, text: str, row: int, is_whole: bool = False) -> None:
        if not text.strip():
            return
        lane = self._texts[of]
        last = lane[-1] if lane else None
        if not is_whole and last and not last[4] and t - last[1] < 1.5 and len(last[2]) < _MAX_UTTERANCE:
            last[1] = t
            last[2] += one_line(text[:_MAX_UTTERANCE], _MAX_UTTERANCE)
        elif len(lane) < _MAX_LANE:
            lane.append([t, t, one_line(text[: 2 * _MAX_UTTERANCE].lstrip(), _MAX_UTTERANCE), row, int(is_whole)])

    def _end_call(self, call: str, t: float, row: int, how: str) -> None:
        number = self._open_calls.pop(call, None)
        if number is not None:
            self._tool_changes.append(number)
            self._tools[number][1] = t
            self._tools[number][4:] = [row, how]

    def _measure(self, runs: list[audio_tracks.AudioRun]) -> None:
        """A `heard` line is about these runs."""
        first = max(0, len(self._turns) - _MEASURED_TURNS)
        for i, turn in enumerate(self._turns[first:], first):
            if turn.run is not None and any(run is turn.run for run in runs):
                turn.measured = True
                if turn.run.heard is not None and turn.heard_at is not None and turn.heard_at >= turn.run.end:
                    turn.heard_at = None
                self._turn_changes.append(i)

    # The data

    def data(self) -> dict[str, Any]:
        """Everything but messages and audio, as JSON values."""
        return {
            **self.head(),
            **self._current(),
            "states": self._states,
            "kinds": list(self._kinds),
            "t": self._times.tolist(),
            "kind": self._kind_of,
            "flags": base64.b64encode(self._flags).decode(),
            "size": self._sizes,
            "words": self._words,
            "chunks": self.chunks,
            "findings": self._finding_rows(),
            "found": self._found,
            "sound": {
                name: {"runs": [run.row() for run in track.runs], **_audio_row(track, 0)}
                for name, track in self._tracks
            },
            "texts": self._texts,
            "tools": self._tools,
            "marks": self._marks,
            "turns": [turn.to_dict() for turn in self._turns],
        }

    def head(self) -> dict[str, Any]:
        """What does not change while the session goes on."""
        header = self._info.header
        try:
            url = redact_url(self._info.url)
        except ValueError:
            url = "(not a URL)"
        return {
            **{name: one_line(str(header.get(name, "")), 80) for name in ("started", "side", "livews", "protocol")},
            "url": one_line(url, 300),
            "stateWords": {name: region["states"] for name, region in protocol.machine()["regions"].items()},
            "chunk": CHUNK,
            "perSecond": audio_tracks.PEAKS,
        }

    def news(self, cursor: NewsCursor, max_rows: int) -> dict[str, Any] | None:
        """What was added since `cursor`, which moves on; None: nothing.

        Rows come in batches of `max_rows`; everything else follows with the last batch. Columns are what is to be
        appended. `states`, `texts` and `turns` are [index, items]: they replace everything from that index on. `tools`
        and `runs` are [index, item] each. A row of `found` has all its findings. `docs` are whole types.
        """
        if cursor["moves"] == self.moves:
            return None
        first, end = cursor["rows"], min(cursor["rows"] + max_rows, self.rows)
        cursor["rows"] = end
        rows = [*range(first, end)]
        if self._unanswered is not None and self._unanswered < first:
            rows.append(self._unanswered)
        news: dict[str, Any] = {
            "kinds": [*self._kinds][cursor["kinds"] :],
            "t": self._times[first:end].tolist(),
            "kind": self._kind_of[first:end],
            "flags": list(self._flags[first:end]),
            "size": self._sizes[first:end],
            "words": self._words[first:end],
            "findings": self._finding_rows(cursor["findings"]),
            "found": {str(row): self._found[row] for row in rows if row in self._found},
            "docs": self._docs.since(cursor["docs"]),
            **self._current(),
        }
        cursor |= {"kinds": len(self._kinds), "findings": len(self._findings), "docs": len(self._docs.changes)}
        if end < self.rows:
            return news
        news["states"] = {name: _grown(states, cursor, f"{name} states") for name, states in self._states.items()}
        # the last text may still grow
        news["texts"] = {name: _grown(texts, cursor, f"{name} texts", 1) for name, texts in self._texts.items()}
        turn = min([cursor["turns"], *self._turn_changes[cursor["turn changes"] :]])
        news["turns"] = [turn, [row.to_dict() for row in self._turns[turn:]]]
        changed_tools = dict.fromkeys(self._tool_changes[cursor["tool changes"] :])
        news["tools"] = [[i, self._tools[i]] for i in changed_tools]
        news["marks"] = self._marks[cursor["marks"] :]
        news["sound"] = {}
        for name, track in self._tracks:
            runs = [[i, run.row()] for i, run in track.moved_since(cursor[f"{name} runs"])]
            news["sound"][name] = {"runs": runs, **_audio_row(track, cursor[f"{name} peaks"])}
            cursor |= {f"{name} runs": track.moves, f"{name} peaks": len(track.peaks)}
        cursor["turns"] = len(self._turns) - (self._timeline.turn is not None)  # the current one still changes
        cursor |= {"turn changes": len(self._turn_changes), "tool changes": len(self._tool_changes)}
        cursor |= {"marks": len(self._marks), "moves": self.moves}
        return news

    def _current(self) -> dict[str, Any]:
        """The small things that change."""
        last = self._times[-1] if self._times else 0.0
        model = self._info.model
        return {
            "model": one_line(model, 120),
            "length": max(last, self.tracks.user.end, self.tracks.model.end),
            "last": last,
            "end": self._end(model),
            "cutOff": self._info.cut_at is not None,
        }

    def _finding_rows(self, first: int = 0) -> list[dict[str, Any]]:
        names = ("level", "rule", "path", "complaint", "cure", "close", "title")
        return [dict(zip(names, row, strict=True)) for row in [*self._findings][first:]]

    def _end(self, model: str) -> dict[str, Any] | None:
        if not self._closes:
            return None
        t, by, code, reason = self._closes[0]
        advice = closes.explain(code, reason, model=model, by=by)
        names = ("id", "kind", "meaning", "cause", "do", "retry", "confidence")
        about = {name: one_line(getattr(advice, name)) for name in names}
        return {"t": t, "by": by, "code": code, "reason": one_line(reason, 200), **about}


def _grown(items: list[list[Any]], cursor: NewsCursor, name: str, again: int = 0) -> list[Any]:
    """[index, items from there on] of a list; the last `again` of those that were given are given again."""
    first = max(0, cursor[name] - again)
    cursor[name] = len(items)
    return [first, items[first:]]


def _audio_row(track: audio_tracks.AudioTrack, first_peak: int) -> dict[str, Any]:
    peaks = base64.b64encode(track.peaks[first_peak:]).decode()
    return {"peaks": peaks, "seconds": track.seconds, "skipped": track.skipped}
