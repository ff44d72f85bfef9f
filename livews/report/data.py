"""The data of a report page: one session, from a trace or while it runs.

- A frame is looked at once and put away: messages and audio go to files. One line of the list and what the lanes draw
  stay in memory, and no string of the wire longer than the page shows.
- `news` is what was added since a cursor, so that a page can grow; from a new cursor it is the whole session.
- Nothing here knows HTML. Texts are plain; the page shows them as text.
- All words are those of the trace view, the rules and the schemas.
"""

import base64
import sys
from array import array
from collections import deque
from itertools import takewhile
from typing import Any, Protocol

from livews.advice import judge
from livews.advice.consequences import FindingDigest
from livews.analysis import audio_tracks
from livews.analysis.timeline import Timeline, TurnChange, user_texts
from livews.conversation import Conversation
from livews.core import codec, events, machine, protocol, rules
from livews.core.conversation import Step
from livews.redactor import Pieces, hidden_now, hide, hide_json, redact_url, remember_handles, with_pseudonyms
from livews.report.message_excerpt import LONGEST_KEY, MAX_TEXT, MemberDocs, excerpt
from livews.terminal_text import one_line
from livews.trace.empties import EmptyRun
from livews.trace.ending import SessionClose, SessionEnding
from livews.trace.outcome import TurnOutcomes
from livews.trace.reader import TraceRecord
from livews.trace.spool import Spool
from livews.trace.view import INSERTED, describe, heard_text
from livews.trace.waiting import Stall, Waiting

CHUNK = 250
"""Messages that are stored together, and read together when one of them is opened."""
_MAX_WORDS = 160
_MAX_UTTERANCE = 400
_MOST_SAME, _LONGEST_SAME = 16, 4_096
"""Messages that are remembered because the same may come again, and their bytes."""
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
    """How much of a session a page has, by what is counted. Nothing when it is new."""

    def __missing__(self, name: str) -> int:
        return 0


class _Lane(dict[int, Any]):
    """What one lane of the page draws, by index, or the findings by row. An item may change later."""

    def __init__(self) -> None:
        super().__init__()
        self._changes: dict[int, int] = {}
        """Index of each item to the record that changed it last, in the order of these records."""

    @property
    def is_full(self) -> bool:
        return len(self) >= _MAX_LANE

    def put(self, index: int, item: Any, record: int) -> None:
        """Add or change an item."""
        self[index] = item
        self._changes.pop(index, None)
        self._changes[index] = record

    def since(self, record: int) -> dict[str, Any]:
        """The items that changed after a record."""
        changes = takewhile(lambda change: change[1] > record, reversed(self._changes.items()))
        return {str(i): self[i] for i in sorted(i for i, _ in changes)}


class ReportSession:
    """One session as the page draws it, filled record by record.

    Args:
        info: what is known of the session besides its messages.
        docs: collects what the schemas say; shared by the sessions of a page.
        max_audio: bytes of samples to keep of each side.
    """

    def __init__(self, info: SessionInfo, docs: MemberDocs, max_audio: int = audio_tracks.MAX_AUDIO) -> None:
        self.moves = 1
        """How many records came, the header included."""
        self.tracks = audio_tracks.AudioTracks(max_audio)
        self._info = info
        self._docs = docs
        self._timeline = Timeline(self.tracks)
        self._pieces = Pieces()
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
        """Each different finding, with the number of the one that explains it, and its number."""
        self._digest = FindingDigest()
        self._rows_of: dict[rules.Finding, tuple[Any, ...]] = {}
        """Findings as the page has them, as long as the same is hidden."""
        self._hidden: tuple[Any, ...] = ()
        self._found = _Lane()
        """Row to the numbers of its findings."""
        self._state = tuple(info.conversation.states.values())
        self._states = {region: _Lane() for region in info.conversation.states}
        for lane, state in zip(self._states.values(), self._state, strict=True):
            lane.put(0, [0.0, state], self.moves)
        self._texts = {"user": _Lane(), "model": _Lane()}
        self._tools, self._marks, self._turns = _Lane(), _Lane(), _Lane()
        self._open_calls: dict[str, int] = {}
        """The calls without an answer: their index in `_tools`."""
        self._turn: dict[str, Any] = {}
        """The newest turn, as in `_turns`."""
        self._sounded: deque[tuple[int, audio_tracks.AudioRun]] = deque(maxlen=_MEASURED_TURNS)
        """Index of a turn, and the run that holds its first sound."""
        self._end: dict[str, Any] | None = None
        self._documented: set[tuple[str, bytes]] = set()
        """The last short messages whose members are among the docs."""
        self._empties = EmptyRun()
        """Empty messages, which the next row counts."""
        self._ending = SessionEnding()
        self._waiting = Waiting(info.conversation)
        self._outcomes = TurnOutcomes(info.conversation)

    def close(self) -> None:
        self._messages.close()
        self.tracks.close()

    # Filled by

    def push(self, record: TraceRecord, step: Step | None) -> None:
        """Add a record of a trace, with what its frame or close was and did."""
        self.moves += 1
        # the page looks things up by time, so it never decreases
        t = max(self._times[-1] if self._times else 0.0, min(record.t, _MAX_SECONDS))
        self._note_stall(self._waiting.follow(record, step, self.rows))
        if record.raw is None or step is None:
            self._control(t, record, step)
        else:
            remember_handles(step)
            self._frame(t, record, record.raw, self._pieces.step(step))

    def _frame(self, t: float, record: TraceRecord, raw: bytes, step: Step) -> None:
        if record.inserted or not self._empties.take(step, record, raw, t):
            self._list(step, record, raw, t)

    def _list(self, step: Step, record: TraceRecord, raw: bytes, t: float) -> None:
        row = self.rows
        self._ending.take(record, step, row)
        words = [*([INSERTED] if record.inserted else []), *describe(step, elided=record.elided)]
        if step.state and step.state != self._state:
            words += self._change_state(step, t)
        if step.kind == "unreadable":
            message: Any = hide(one_line(raw[: MAX_TEXT + LONGEST_KEY].decode("latin-1")))[:MAX_TEXT]
            left_out = {"": f"{len(raw):,} bytes that are not a message"}
        else:
            # of an elided frame, the step has silence in the place of the audio
            as_sent = None if record.elided else step.as_sent
            as_sent = codec.parse(raw if record.elided else step.raw) if as_sent is None else as_sent
            message, left_out = excerpt(with_pseudonyms(as_sent), step.sender)
            if (
                step.template is None and (step.sender, step.raw) not in self._documented
            ):  # else it has those of an earlier one
                self._docs.add(step.sender, as_sent)
                if len(step.raw) <= _LONGEST_SAME:
                    known = self._documented if len(self._documented) < _MOST_SAME else set()
                    self._documented = known | {(step.sender, step.raw)}
        level = self._find(row, [*step.findings, *self._outcomes.take(step, elided=record.elided)])
        self._add_row(t, record, step.kind, words, level, message, left_out)
        change = self._timeline.take(t, step, elided=record.elided)
        if step.sender == "client":
            self._from_client(step, t, row)
        else:
            self._follow_turn(change, row)
            self._from_server(step, t, row)
            if change.ended:
                self._end_texts()
        for signal in step.signals:
            if signal in _MARKS:
                self._mark(t, row, _MARKS[signal], level)

    def _control(self, t: float, record: TraceRecord, step: Step | None) -> None:
        """Add a ping, a pong, a close, what was heard of a reply, or a line that cannot be read."""
        kind, about, row, level = record.control, record.about, self.rows, 0
        message, left_out = excerpt({kind: about}, record.sender)
        values = (str(value) for value in about.values() if value not in ("", None))
        words = [one_line(" ".join(values), _MAX_WORDS)]
        if kind == "close":
            close = self._ending.take(record, step)
            if close is not None and self._end is None:
                self._end = _end(t, close)
                level = 0 if close.is_fine else _ERROR
            if step is not None:
                words += self._change_state(step, t)
                change = self._timeline.take(t, step)
                self._follow_turn(change, row)
                if change.ended:
                    self._end_texts()
        elif kind == "heard":
            self._measure(self.tracks.model.heard(about))
            words = [heard_text(about)]
        elif kind == "broken":
            words = [
                f"line {record.number} of the file cannot be read, and what follows is judged without it: {words[0]}"
            ]
            level, message, left_out = _ERROR, {}, {"": words[0]}
        self._add_row(t, record, kind, words, level, message, left_out)
        if kind != "broken":
            self._mark(t, row, kind, level)

    def finish(self) -> None:
        """Nothing more comes. To be called once."""
        self.moves += 1
        if last := self._empties.last():
            self._list(*last)
        self.tracks.finish()
        if self._ending.unanswered is not None:
            self._find(self._ending.unanswered, [judge.unanswered_setup()])
        self._note_stall(self._waiting.at_end())

    def look(self, now: float) -> bool:
        """Whether a session that goes on has a new finding: it says why nothing happens. `now`: seconds of its clock."""
        stall = self._waiting.stall(now)
        is_new = stall is not None and not stall.is_known
        self.moves += is_new
        self._note_stall(stall)
        return is_new

    def _note_stall(self, stall: Stall | None) -> None:
        if stall is not None and not stall.is_known:
            self._find(min(stall.number, self.rows), [stall.finding])

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
        self._kind_of.append(self._kinds.setdefault(_shown(kind, 80), len(self._kinds)))
        text = hide(" · ".join([*filter(None, words), *self._empties.words()]))
        self._words.append(text if len(text) <= 2 * _MAX_WORDS else text[: 2 * _MAX_WORDS] + "…")
        row = codec.dump([message, left_out] if left_out else [message])
        self._chunk.append(hide_json(row.decode(errors="surrogatepass")).encode(errors="surrogatepass"))
        if len(self._chunk) == CHUNK:
            chunk = self.chunk(len(self._chunks))
            self._chunks.append((self._messages.add(chunk), len(chunk)))
            self._chunk = []

    def _find(self, row: int, findings: list[rules.Finding]) -> int:
        """Note the findings of a row; the highest level."""
        self._digest.take(findings, row)
        causes = [self._digest.cause(f, row) for f in findings]
        for f, cause in zip(findings, causes, strict=True):
            if cause is None:  # a cause ahead of what it explains
                self._findings.setdefault((*self._row_of(f), None), len(self._findings))
        for f, cause in zip(findings, causes, strict=True):
            because = self._findings.get((*self._row_of(cause), None)) if cause else None
            number = self._findings.setdefault((*self._row_of(f), because), len(self._findings))
            self._found.put(row, [*self._found.get(row, ()), number], self.moves)
        return max((_LEVELS[f.level] for f in findings), default=0)

    def _row_of(self, finding: rules.Finding) -> tuple[Any, ...]:
        hidden = hidden_now()
        if hidden != self._hidden or len(self._rows_of) >= CHUNK:
            self._hidden, self._rows_of = hidden, {}
        row = self._rows_of.get(finding)
        if row is None:
            row = self._rows_of[finding] = _row_of(finding)
        return row

    # Lanes

    def _from_client(self, step: Step, t: float, row: int) -> None:
        if not {"clientContent", "textIn", "toolResponse"}.isdisjoint(step.signals):
            for text in user_texts(step):
                self._add_text("user", t, text, row, is_whole=True)
            for answer in machine.values(step.body, ("toolResponse", "functionResponses", "*")):
                if isinstance(answer, dict):
                    self._end_call(str(answer.get("id") or answer.get("name", "")), t, row, "answered")

    def _follow_turn(self, change: TurnChange, row: int) -> None:
        turn = change.turn
        if turn is None or not (change.began or change.sounded or change.interrupted or change.ended):
            return
        if change.began:
            asked = None if turn.requested_at is None else max(0.0, turn.requested_at)
            self._turn = {
                "by": turn.requested_by, "asked": asked, "firstByte": turn.first_byte_at, "firstSound": None,
                "firstHeard": None, "measured": False, "ended": None, "how": "", "row": row,
            }  # fmt: skip
            if not self._turns.is_full:
                self._turns.put(len(self._turns), self._turn, self.moves)
        self._turn |= {"firstSound": turn.first_sound_at, "ended": turn.ended_at, "how": turn.outcome}
        if change.ended and turn.outcome == "complete":
            self._turn["how"] = self._outcomes.last or turn.outcome
        index = len(self._turns) - 1
        if change.sounded and (position := self.tracks.model.position(turn.lead)) is not None:
            self._turn["firstHeard"], run = position
            self._sounded.append((index, run))
        self._turns.put(index, self._turns[index], self.moves)

    def _from_server(self, step: Step, t: float, row: int) -> None:
        for event in events.events(step):
            match event:
                case events.Transcript(text=text, of=of, interim=False):
                    self._add_text(of, t, text, row)
                case events.Text(text=text, thought=False):
                    self._add_text("model", t, text, row)
                case events.ToolCall(id=call, name=name) if not self._tools.is_full:
                    index = self._open_calls[call or name] = len(self._tools)
                    self._tools.put(index, [t, None, _shown(name, 60), row, None, "not answered"], self.moves)
                case events.ToolCancelled(ids=ids):
                    for call in ids:
                        self._end_call(call, t, row, "cancelled")

    def _end_texts(self) -> None:
        """The next words are another utterance."""
        for lane in self._texts.values():
            if lane:
                index = len(lane) - 1
                lane.put(index, [*lane[index][:4], 1], self.moves)

    def _mark(self, t: float, row: int, name: str, level: int) -> None:
        if not self._marks.is_full:
            self._marks.put(len(self._marks), [t, row, name, level], self.moves)

    def _change_state(self, step: Step, t: float) -> list[str]:
        """Note the states that changed; the new ones, in words."""
        words = []
        for lane, before, after in zip(self._states.values(), self._state, step.state, strict=True):
            if before != after:
                lane.put(len(lane), [t, after], self.moves)
                words += [after] if after != "none" else []
        self._state = step.state
        return words

    def _add_text(self, of: str, t: float, text: str, row: int, is_whole: bool = False) -> None:
        if not text.strip():
            return
        lane = self._texts[of]
        start, end, said, first_row, is_over = lane.get(len(lane) - 1, (0.0, 0.0, "", 0, 1))
        if not is_whole and not is_over and t - end < 1.5 and len(said) < _MAX_UTTERANCE:
            said = hide(said + one_line(text[:_MAX_UTTERANCE], _MAX_UTTERANCE))  # a credential may come in two pieces
            lane.put(len(lane) - 1, [start, t, said, first_row, 0], self.moves)
        elif not lane.is_full:
            words = _shown(text[: 2 * _MAX_UTTERANCE].lstrip(), _MAX_UTTERANCE)
            lane.put(len(lane), [t, t, words, row, int(is_whole)], self.moves)

    def _end_call(self, call: str, t: float, row: int, how: str) -> None:
        index = self._open_calls.pop(call, None)
        if index is not None:
            started, _, name, call_row, *_ = self._tools[index]
            self._tools.put(index, [started, t, name, call_row, row, how], self.moves)

    def _measure(self, runs: list[audio_tracks.AudioRun]) -> None:
        """A `heard` line is about these runs."""
        for index, run in self._sounded:
            if any(run is measured for measured in runs):
                turn = self._turns[index]
                turn["measured"] = True
                if run.heard is not None and turn["firstHeard"] is not None and turn["firstHeard"] >= run.end:
                    turn["firstHeard"] = None
                self._turns.put(index, turn, self.moves)

    # The data

    def head(self) -> dict[str, Any]:
        """What does not change while the session goes on."""
        header = self._info.header
        return {
            **{name: one_line(str(header.get(name, "")), 80) for name in ("started", "side", "livews", "protocol")},
            "url": one_line(redact_url(self._info.url), 300),
            "stateWords": {name: region["states"] for name, region in protocol.machine()["regions"].items()},
            "chunk": CHUNK,
            "perSecond": audio_tracks.PEAKS,
        }

    def data(self) -> dict[str, Any]:
        """The whole session, without what the schemas say."""
        whole = {**self.head(), **(self.news(NewsCursor()) or {})}
        del whole["docs"]
        return whole

    def news(self, cursor: NewsCursor, max_rows: int = sys.maxsize) -> dict[str, Any] | None:
        """What was added since `cursor`, which moves on; None: nothing. From a new cursor it is the whole session.

        Rows come in batches of `max_rows`; what may change later follows with the last batch. Columns are what is to be
        appended; what may change later is given by its index or name, to replace what was there.
        """
        if cursor["moves"] == self.moves:
            return None
        first, end = cursor["rows"], min(cursor["rows"] + max_rows, self.rows)
        last = self._times[-1] if self._times else 0.0
        names = (*_FINDING, "because")
        news: dict[str, Any] = {
            "kinds": [*self._kinds][cursor["kinds"] :],
            "t": self._times[first:end].tolist(),
            "kind": self._kind_of[first:end],
            "flags": base64.b64encode(self._flags[first:end]).decode(),
            "size": self._sizes[first:end],
            "words": self._words[first:end],
            "findings": [dict(zip(names, row, strict=True)) for row in [*self._findings][cursor["findings"] :]],
            "docs": self._docs.since(cursor["docs"]),
            "model": _shown(self._info.model, 120),
            "length": max(last, self.tracks.user.end, self.tracks.model.end),
            "last": last,
            "end": self._end,
            "cutOff": self._info.cut_at is not None,
        }
        cursor |= {"rows": end, "kinds": len(self._kinds), "findings": len(self._findings)}
        cursor["docs"] = len(self._docs.changes)
        if end == self.rows:
            news |= self._drawn(cursor)
            cursor["moves"] = self.moves
        return news

    def _drawn(self, cursor: NewsCursor) -> dict[str, Any]:
        """What is drawn and changed since `cursor`."""
        moves = cursor["moves"]
        drawn: dict[str, Any] = {
            "found": self._found.since(moves),
            "tools": self._tools.since(moves),
            "marks": self._marks.since(moves),
            "turns": self._turns.since(moves),
            "states": {name: lane.since(moves) for name, lane in self._states.items()},
            "texts": {name: lane.since(moves) for name, lane in self._texts.items()},
            "sound": {},
        }
        for name, track in self.tracks.by_side.items():
            drawn["sound"][name] = {
                "runs": {str(i): run.row() for i, run in track.moved_since(cursor[f"{name} runs"])},
                "peaks": base64.b64encode(track.peaks[cursor[f"{name} peaks"] :]).decode(),
                "seconds": track.seconds,
                "skipped": track.skipped,
            }
            cursor |= {f"{name} runs": track.moves, f"{name} peaks": len(track.peaks)}
        return drawn


def _end(t: float, close: SessionClose) -> dict[str, Any]:
    """How the session ended, with what is known about such a close."""
    names = ("id", "kind", "meaning", "cause", "do", "retry", "confidence")
    about = {name: getattr(close.advice, name) for name in names}
    if close.cause is not None:  # the particular comes first
        about |= {"meaning": f"{close.because}.", "cause": about["meaning"], "do": close.do}
    else:
        about["meaning"] = close.about
    about = {name: one_line(hide(text)) for name, text in about.items()}
    return {"t": t, "by": close.by, "code": close.code, "reason": _shown(close.reason, 200), **about}


def _shown(text: str, length: int) -> str:
    """A text of the wire on one line, without credentials and handles."""
    return one_line(hide(text), length)


_FINDING = ("level", "rule", "path", "complaint", "cure", "close", "title")


def _row_of(finding: rules.Finding) -> tuple[Any, ...]:
    """A finding as the page has it, by the names of `_FINDING`."""
    close = finding.close and (finding.close[0], hide(finding.close[1]))
    title = protocol.rules().get(finding.rule, {}).get("title", "")
    return (
        finding.level, finding.rule, _shown(finding.path, 300), _shown(finding.complaint, 600), hide(finding.fix), close, title,
    )  # fmt: skip
