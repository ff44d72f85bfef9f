"""Read messages out of a file: one over several lines, several, JSON lines, or lines of a trace without its header.

- A file that begins with a setup is a session: its messages are judged in order, as those of a trace. One with setups
  here and there is a collection: each message is judged by itself.
- If it has only messages of the client, what the service would have answered is assumed: setupComplete, and the calls
  that are answered.
- What is no JSON in UTF-8 is one finding, at the place of the mistake.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, NamedTuple

from livews import document
from livews.advice import judge
from livews.audio.analysis.input_check import InputAudioCheck
from livews.cli import reader
from livews.conversation import Conversation
from livews.core import codec, machine, models, rules, schema
from livews.core.conversation import Step
from livews.core.reading import read
from livews.core.rules import Finding
from livews.core.schema import Sender
from livews.errors import BadRequest
from livews.terminal_text import plural
from livews.trace.ending import Judged, read_to_end, settled
from livews.trace.reader import CONTROLS, MAX_LINE, TraceRecord
from livews.trace.session import RecordedSession

_AUDIO = {"realtimeInput", "realtime_input"}
"""Members with audio."""
_BOM = b"\xef\xbb\xbf"
_AHEAD = 100
"""Messages of a session that are read ahead to see whether the service speaks in it."""
_COLLECTED = 3
"""Setups amid other messages from which a file is no session with a mistake, but a collection."""
_ASSUMED = 0
"""The line of a message that is not in the file."""


@dataclass(frozen=True, slots=True)
class Unreadable(Finding):
    """What is no message of the file."""

    excerpt: str = ""
    """The line with a caret below the place, where there is one."""


class Row(NamedTuple):
    """One message of a file."""

    line: int
    value: Any
    """The JSON value; None if it is broken."""
    problem: Unreadable | None = None
    remarks: tuple[Finding, ...] = ()
    """What is wrong with how the file has it."""
    is_message: bool = True
    """False for what stands between messages."""


def findings(
    lines: Iterator[bytes],
    name: str,
    side: Sender | None = None,
    as_of: str = "",
    begin: Callable[[], object] = lambda: None,
) -> Iterator[Judged]:
    """All findings about the messages of a file.

    Args:
        lines: of the file, with their ends.
        name: how errors call the file.
        side: who sent the messages, if it is known.
        as_of: the day or month whose rules count; "" is the revision of protocol/.
        begin: called before the findings of each session, or of each message that is judged by itself.
    """
    found = rows(lines, name)
    if (first := next(found, None)) is None:
        return
    ahead = [first, *islice(found, _AHEAD)]
    is_alone = len(ahead) == 1
    found = (_without_envelope(row, side, is_alone=is_alone) for row in chain(ahead, found))
    if _is_setup(first, side) and not _is_collection(ahead, side):
        yield from _Sessions(ahead, found, side, name, as_of).judge(begin)
        return
    audio = InputAudioCheck()
    # with messages of the service among them they were recorded, at a time that is not known
    is_recorded = any(_sent(row, side)[0] == "server" for row in ahead)
    for row in found:
        begin()
        results = [row.problem] if row.problem else _alone(row.value, side, audio, as_of)
        if is_recorded:
            results = [replace(result, level="note") if result.level == "refused" else result for result in results]
        yield row.line, [*row.remarks, *results], row.is_message


def rows(lines: Iterator[bytes], name: str) -> Iterator[Row]:
    """The messages of a file, each with its line."""
    begin: list[bytes] = []
    for line in lines:
        begin.append(line)
        if line.strip():
            break
    start = b"".join(begin)[: document.BEGIN]
    if other := document.other_format(start) or (document.BINARY if b"\x00" in start else None):
        yield _broken(1, f"the file is {other.name}, not JSON in UTF-8", other.fix)
        return
    blank, first = len(begin) - 1, begin[-1].removeprefix(_BOM) if begin else b""
    try:
        if first.strip():
            codec.parse_any(first)
    except codec.WireError:
        yield from _document(blank, first, lines, name)
        return
    for number, line in enumerate(chain([first], lines), blank + 1):
        if line.strip():
            yield from _line(number, line)


def _line(number: int, line: bytes) -> Iterator[Row]:
    """The message on one of the lines, and what is wrong there."""
    values, place = document.values(line)
    try:
        codec.parse_any(line)
    except codec.WireError as problem:
        if place is None:
            yield _broken(number, str(problem))
            return
    yield from _rows_of(number - 1, values)
    if place:
        words = f"expected JSON: {place.why} (column {place.column})"
        yield _broken(number, words, place.fix, place.excerpt, is_message=place.is_value)


def _document(blank: int, first: bytes, lines: Iterator[bytes], name: str) -> Iterator[Row]:
    """The messages of a file whose first line is no whole one: JSON over several lines, or JSON lines if most begin an
    object."""
    whole = bytearray(first)
    for line in lines:
        whole += line
        if len(whole) > MAX_LINE:
            fix = "give one message, messages one a line, or a trace"
            raise BadRequest(f"{name} holds more than {MAX_LINE >> 20} MiB and no message", where=name, fix=fix)
    values, place = document.values(bytes(whole))
    texts = bytes(whole).splitlines()
    objects = sum(line.startswith(b"{") for line in texts)
    is_whole = not values or bool(document.values(first)[0])
    if place and is_whole and objects > 1 and 2 * objects >= sum(bool(line.strip()) for line in texts):
        for number, line in enumerate(texts, blank + 1):
            yield from _line(number, line) if line.strip() else ()
        return
    yield from _rows_of(blank, values)
    if place:
        words = f"expected JSON: {place.why} (line {blank + place.line}, column {place.column})"
        yield _broken(blank + place.line, words, place.fix, place.excerpt, is_message=place.is_value)


def _rows_of(before: int, values: list[tuple[int, Any]]) -> Iterator[Row]:
    """The messages in some values, whose lines come after `before`."""
    for start, value in values:
        line = before + start
        try:
            codec.dump(value)  # half a surrogate, or a number of 70 digits
        except codec.WireError as problem:
            yield _broken(line, str(problem))
            continue
        remarks = [_twice(path, kept) for path, kept in islice(document.repeated(value), schema.MOST)]
        is_list = isinstance(value, list) and value and all(isinstance(element, dict) for element in value)
        if is_list and "message" not in value[0]:  # else it holds lines of a trace
            words = f"expected a JSON object, got a list of {plural(len(value), 'message')}"
            fix = "Send each in a frame of its own; in a file, write each on a line of its own."
            remarks.insert(0, rules.finding("WIRE-2", "", words, fix=fix))
        for element in value if is_list else [value]:
            if isinstance(element, dict) and isinstance(element.get("log"), dict) and "entries" in element["log"]:
                fix = "make a trace of it: livews trace import FILE.har"
                yield _broken(line, "this is a HAR, not a message", fix)
                continue
            yield Row(line, element, remarks=tuple(remarks))
            remarks = []


def _twice(path: str, kept: Any) -> Finding:
    words = f"{path.rpartition('/')[2]} is given twice; the last value counts: {schema.short(kept)} at {path}"
    return rules.finding("WIRE-17", path, words)


def _broken(line: int, words: str, fix: str = "", excerpt: str = "", *, is_message: bool = True) -> Row:
    row = rules.finding("WIRE-2", "", words, fix=fix[:1].upper() + fix[1:])
    problem = Unreadable(row.level, row.rule, "", words, row.fix, excerpt=excerpt)
    return Row(line, None, problem, is_message=is_message)


def _without_envelope(row: Row, side: Sender | None, *, is_alone: bool) -> Row:
    """A row that says so where its message is the inside of a setup: on the wire that is no message."""
    message = row.value
    if row.problem or not isinstance(message, dict) or reader.sender_and_message(message, side)[1] is message:
        return row
    if reader.sender_and_message(message, "client")[1] is not message:
        return row  # a line of a trace
    words = f"{next(iter(message))} is a member of setup: sent like this, the message is refused"
    fix = 'Send {"setup": {...}} with all of it inside' + (", or give the file to --setup." if is_alone else ".")
    finding = rules.finding("WIRE-5", "", words, level="note" if is_alone else "error", fix=fix)
    return row._replace(remarks=(*row.remarks, finding))


def _alone(value: Any, side: Sender | None, audio: InputAudioCheck, as_of: str) -> list[Finding]:
    """The findings about a message by itself."""
    if _is_control(value):
        return []
    sender, message = reader.sender_and_message(value, side)
    found = judge.check(sender, message, rules.ApiTarget("", as_of=as_of))
    if sender == "client" and isinstance(message, dict) and not _AUDIO.isdisjoint(message):
        found += audio.take_alone(read(sender, message).audio)
    return found


def _is_control(value: Any) -> bool:
    """Whether it is a line of a trace that is no message."""
    return isinstance(value, dict) and "dir" in value and any(key in value for key in CONTROLS)


def _sent(row: Row, side: Sender | None) -> tuple[Sender, Any]:
    return ("client", None) if row.problem or _is_control(row.value) else reader.sender_and_message(row.value, side)


def _is_setup(row: Row, side: Sender | None) -> bool:
    sender, message = _sent(row, side)
    return sender == "client" and isinstance(message, dict) and isinstance(message.get("setup"), dict)


def _is_collection(ahead: list[Row], side: Sender | None) -> bool:
    """Whether messages come from many sessions: several setups stand amid others, and the service answers none."""
    stray = 0
    for before, row, after in zip(ahead, ahead[1:], ahead[2:], strict=False):
        answer = _sent(after, side)[1]
        is_answered = isinstance(answer, dict) and "setupComplete" in answer
        stray += _is_setup(row, side) and not _is_setup(before, side) and not is_answered
    return stray >= _COLLECTED


class _Sessions:
    """Judges the messages of a file that begins with a setup as one session after the other."""

    def __init__(self, ahead: list[Row], found: Iterator[Row], side: Sender | None, name: str, as_of: str) -> None:
        self._rows = _Peekable(found)
        self._has_server = any(_sent(row, side)[0] == "server" for row in ahead)
        self._side, self._name, self._as_of = side, name, as_of
        self._remarks: dict[int, list[Finding]] = {}
        """By line: what is wrong with how the file has the message."""
        self._others: dict[int, bool] = {}
        """Lines of what cannot be judged, and whether each is a message."""
        self._is_busy = False
        """The client has sent something after its setup that the service takes."""
        self._conversation = Conversation()

    def judge(self, begin: Callable[[], object]) -> Iterator[Judged]:
        while self._rows.head is not None:
            begin()
            self._is_busy = False
            setup = _sent(self._rows.head, self._side)[1]["setup"]
            session = RecordedSession({}, self._records(), 1, self._name)
            session.is_one_sided, session.is_timed = not self._has_server, False
            surface = models.surface_of(str(setup.get("model", "")))
            session.conversation = self._conversation = Conversation(surface=surface, as_of=self._as_of)
            judged = self._of_file(read_to_end(session, self._see))
            yield from settled(judged, session) if self._has_server else judged

    def _of_file(self, judged: Iterator[Judged]) -> Iterator[Judged]:
        """What is said of the lines of the file, without what is assumed."""
        for line, found, is_message in judged:
            remarks = self._remarks.pop(line, [])
            if line in self._others:
                yield line, remarks, self._others.pop(line)
            # without the service's messages nothing is known of what it did not answer, but what was not asked is
            elif line != _ASSUMED and (self._has_server or all(one.rule != "SETUP-3" for one in found)):
                yield line, [*remarks, *found], is_message

    def _see(self, record: TraceRecord, step: Step | None) -> None:
        if step is not None and step.sender == "client" and record.number != _ASSUMED and "setup" not in step.body:
            self._is_busy |= not any(finding.level == "error" for finding in step.findings)

    def _records(self) -> Iterator[TraceRecord]:
        """The messages up to the next session. Time passes as long as the client's audio lasts."""
        t = 0.0
        for count, row in enumerate(self._rows):
            sender, message = _sent(row, self._side)
            if remarks := [*row.remarks, *([row.problem] if row.problem else [])]:
                self._remarks[row.line] = remarks
            if row.problem or _is_control(row.value):
                self._others[row.line] = row.is_message
                yield TraceRecord(row.line, t, sender, "text", None, "broken", {"why": ""})
                continue
            is_setup = _is_setup(row, self._side)
            if isinstance(message, dict) and not (is_setup or self._has_server):
                yield from self._assumed(t, "server", _calls(message))
            yield self._record(row.line, t, sender, message)
            t += _seconds(sender, message)
            if count == 0 and not self._conversation.setup:
                yield from self._assumed(t, "client", [{"setup": _accepted(message)}])
            if count == 0 and not self._has_server:
                yield from self._assumed(t, "server", [{"setupComplete": {}}])
            if self._rows.head is None or (_is_setup(self._rows.head, self._side) and self._begins_anew()):
                return

    def _assumed(self, t: float, sender: Sender, messages: Iterable[Any]) -> Iterator[TraceRecord]:
        return (self._record(_ASSUMED, t, sender, message) for message in messages)

    def _record(self, line: int, t: float, sender: Sender, message: Any) -> TraceRecord:
        raw = codec.dump(message)
        return TraceRecord(line, t, sender, "text", raw, size=len(raw))

    def _begins_anew(self) -> bool:
        """Whether the setup that is next begins a session: a second one in a session is a mistake, but a file may have
        several sessions, or only setups."""
        assert self._rows.head is not None
        setup = _sent(self._rows.head, self._side)[1]["setup"]
        after = self._rows.second
        answer = _sent(after, self._side)[1] if after is not None else None
        is_answered = isinstance(answer, dict) and "setupComplete" in answer
        return not self._is_busy or is_answered or bool(machine.values(setup, ("sessionResumption", "handle")))


class _Peekable:
    """Rows of which the next two can be seen."""

    def __init__(self, found: Iterator[Row]) -> None:
        self._found = found
        self.head, self.second = next(found, None), next(found, None)

    def __iter__(self) -> Iterator[Row]:
        while self.head is not None:
            row, self.head, self.second = self.head, self.second, next(self._found, None)
            yield row


def _accepted(message: Any) -> dict[str, Any]:
    """A setup without the members that are refused, so that what follows is judged by the others."""
    reading = read("client", {"setup": message["setup"]})
    refused = {violation.path.split("/")[2] for violation in reading.violations if violation.path.count("/") > 1}
    return {name: value for name, value in reading.message["setup"].items() if name not in refused}


def _calls(message: Any) -> list[Any]:
    """The calls that the answers of a client are for, as the service would have made them."""
    answers = machine.values(read("client", message).message, ("toolResponse", "functionResponses", "*"))
    calls = [{"id": answer["id"], "name": answer.get("name", "")} for answer in answers if _has_id(answer)]
    return [{"toolCall": {"functionCalls": calls}}] if calls else []


def _has_id(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("id"), str)


def _seconds(sender: Sender, message: Any) -> float:
    """How long the client's audio in a message lasts."""
    if sender == "server" or not isinstance(message, dict):
        return 0.0
    audio = read("client", message).audio
    return sum(len(pcm) / 2 / codec.rate_of(mime_type, codec.INPUT_RATE) for mime_type, pcm in audio)
