"""Read a trace file, format `livews-trace` version 1.

- One line at a time: a trace of any length takes the memory of its longest line, which is limited. A file that is not a
  trace is refused by its first bytes.
- A line that a crash cut off is left out, also where another session follows it on the same line. Any other line that
  cannot be read is an error with its number, or is reported in its place.
- Of damaged lines the first 100 of a file are reported, the others counted: a file may be nothing else.
- Empty messages that a line counts are records of their own again, ahead of the line's.
- Unknown keys are ignored; a file with several headers holds several sessions.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from livews.core import codec
from livews.core.schema import Sender
from livews.document import BEGIN, other_format
from livews.errors import BadRequest
from livews.recorder import Direction, Opcode
from livews.redactor import valid_url
from livews.trace import empties

CONTROLS = ("ping", "pong", "close", "heard")
MAX_LINE = 256 << 20
"""Bytes of a line: several times those of the largest frame that a client of livews accepts, as base64."""
_MAX_HEADER = 1 << 20
_MAX_NUMBER = 1e9
"""The largest number of a control: in milliseconds it is eleven days, and no sum of many overflows."""
_MOST_BROKEN = 100
"""Lines of a file that are reported as damaged, each in its place."""
_SHORTEST = len('{"t":1,"dir":"recv","raw":""}')
"""Bytes of a record; the shortest of lines are the most a file can have, and need not be parsed to be counted."""
_PIECE = 256 * 1024
_BOM = b"\xef\xbb\xbf"
_HEADER = re.compile(rb'\{\s*"trace"\s*:\s*"livews"')
_NO_HEADER = "it is not a trace: its first line is no header"
_HEADER_TEXTS = ("started", "url", "side", "livews", "protocol")
MAX_LEVELS = 245
"""Levels of a line: what JSON is written with takes 254, and exports put a line inside of others."""
MAX_TIME = 1e9
"""Seconds: 30 years, in microseconds still exact."""
SENDERS: dict[str, Sender] = {"send": "client", "recv": "server"}
"""Who sends a frame, by its `dir` in the trace."""


@dataclass(slots=True)
class TraceRecord:
    """One line after the header: a frame, or a control.

    Attributes:
        number: of the line in the file, from 1.
        t: seconds since the start of the session.
        raw: the payload of the frame; None for a control.
        control: "ping", "pong", "close", or "heard" (how much of a reply was played); a reader adds "cut" and "broken".
        about: the content of the control.
        size: bytes of the frame on the wire.
        text: the line as it is in the file, if the reader was asked to keep it; b"" for a message that a line only counts.
        inserted: livews sent it, neither the client nor the server.
        elided: media were left out of it.
    """

    number: int
    t: float
    sender: Sender
    opcode: Opcode
    raw: bytes | None
    control: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    text: bytes = b""
    inserted: bool = False
    elided: bool = False

    @property
    def direction(self) -> Direction:
        return "send" if self.sender == "client" else "recv"

    @property
    def close(self) -> tuple[int, str]:
        """Code and reason of a close; 1006 where there is no valid code."""
        code = self.about.get("code")
        return code if type(code) is int else 1006, str(self.about.get("reason", ""))


def lines_of(file: BinaryIO, name: str, *, headed: bool = True) -> Iterator[bytes]:
    """The lines of a file with their ends, as they arrive. It is read in pieces, so that Ctrl-C is not delayed.

    Args:
        name: the file's name in errors.
        headed: the file has to begin with the header of a trace.

    Raises:
        BadRequest: see `check_partial_line`.
        OSError: the file cannot be read.
    """
    read = getattr(file, "read1", file.read)  # read would wait for the whole piece
    partial, number = bytearray(), 1
    while piece := read(_PIECE):
        *ends, rest = piece.split(b"\n")
        for end in ends:
            if headed or partial:
                partial += end
                if headed:
                    check_partial_line(partial, name, number, headed=True)
                    headed = not partial.strip()
                end = bytes(partial)
                partial.clear()
            yield end + b"\n"
            number += 1
        partial += rest
        check_partial_line(partial, name, number, headed=headed)
    if partial:
        yield bytes(partial)


def check_partial_line(partial: bytes | bytearray, name: str, number: int, *, headed: bool) -> None:
    """Raise BadRequest if no line may begin like this: it is too long or, with `headed`, cannot become a header."""
    if headed and len(partial) > len(_BOM):
        start = bytes(partial[:64]).removeprefix(_BOM).lstrip()
        if other := other_format(bytes(partial[:BEGIN])):
            raise BadRequest(f"cannot read the trace: it is {other.name}", where=f"{name}:{number}", fix=other.fix)
        if len(partial) > _MAX_HEADER or (start and not start.startswith(b"{")):
            raise _not_a_trace(name, number, _NO_HEADER)
    if len(partial) > MAX_LINE:
        raise BadRequest(
            f"line {number} of {name} is too long",
            where=f"{name}:{number}",
            why=f"it has no end within {MAX_LINE >> 20} MiB",
            fix="name a file of lines, such as one that was written with --trace",
        )


class TraceParser:
    """Reads the lines of a trace, one by one.

    Args:
        name: the file's name in errors.
        lenient: give a line that cannot be read as control "broken" with `why` instead of raising; of more than 100 only
            the number, in the place of the last one.
        texts: keep the text of each line.

    Attributes:
        number: how many lines were read.
        in_session: there was a header.
    """

    def __init__(self, name: str, *, lenient: bool = False, texts: bool = False) -> None:
        self.number = 0
        self.in_session = False
        self._name = name
        self._lenient = lenient
        self._texts = texts
        self._t = 0.0
        self._broken = 0
        self._more, self._last = 0, (0, "")
        """Damaged lines that were only counted; number and reason of the last one."""

    def take(self, text: bytes) -> list[dict[str, Any] | TraceRecord]:
        """The header or the record of the next line; both, if a session follows one that a crash cut off in its middle.

        What was cut off is a record of control "cut" with `why`. A blank line has none, nor has one that is only counted.

        Raises:
            BadRequest: it is not a trace, or the line cannot be read.
        """
        self.number += 1
        if not text.strip():
            return []
        if not self.in_session:
            return [self._header(text.removeprefix(_BOM))]
        if self._broken >= _MOST_BROKEN and len(text) <= _SHORTEST and text.endswith(b"\n"):
            return self._count("it is too short")
        record, why = None, ""
        try:
            row = object_of(text)
            if row.get("trace") == "livews":
                return [*self._rest(), self._header(text)]
            record = record_of(self.number, row, text.rstrip(b"\r\n") if self._texts else b"")
            why = _damage(row) if record is None else ""
        except codec.WireError as problem:
            why = str(problem)
            # A session that follows one that crashed may begin in the middle of its last line.
            header = _HEADER.search(text, 1)
            if header or not text.endswith(b"\n"):
                cut = self._unread(self.number, "cut", "it ends in the middle of a line")
                return [*self._rest(), cut, *([self._header(text[header.start() :])] if header else [])]
        if record is None:
            if not self._lenient:
                fix = "name a file that was written with --trace, or remove that line"
                raise BadRequest(f"cannot read the trace: {why}", where=f"{self._name}:{self.number}", fix=fix)
            if self._broken >= _MOST_BROKEN:
                return self._count(why)
            self._broken += 1
            return [self._unread(self.number, "broken", why)]
        self._t = record.t
        return [*self._empties(row, record), record]

    def _empties(self, row: dict[str, Any], record: TraceRecord) -> Iterator[TraceRecord]:
        """The empty messages that a line counts; they have its time and number, and no text of their own."""
        for raw in empties.told_again(row) if empties.FORMS.keys() & row.keys() else ():
            yield TraceRecord(record.number, record.t, "server", record.opcode, raw, size=len(raw))

    def take_all(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any] | TraceRecord]:
        """The same for all the lines there are so far, and the damaged ones that were only counted."""
        for line in lines:
            yield from self.take(line)
        yield from self._rest()

    def _rest(self) -> list[TraceRecord]:
        """The damaged lines that were only counted since the last call, as one record "broken" in the place of the last."""
        count, (number, why), self._more = self._more, self._last, 0
        if count > 1:
            why += f"; {count - 1:,} lines before it that are not listed are damaged, too"
        return [self._unread(number, "broken", why)] if count else []

    def _count(self, why: str) -> list[Any]:
        self._more += 1
        self._last = self.number, why
        return []

    def _header(self, text: bytes) -> dict[str, Any]:
        try:
            header = header_of(object_of(text))
        except codec.WireError as problem:
            is_header = _HEADER.match(text.lstrip()) is not None
            raise _not_a_trace(self._name, self.number, str(problem) if is_header else _NO_HEADER) from None
        self._t, self.in_session = 0.0, True
        return header

    def _unread(self, number: int, control: str, why: str) -> TraceRecord:
        return TraceRecord(number, self._t, "server", "text", None, control, {"why": why})


def _not_a_trace(name: str, number: int, why: str) -> BadRequest:
    fix = "name a file that was written with --trace"
    if why == _NO_HEADER:
        fix += "; for bare messages, one per line, use `livews check`"
    return BadRequest(f"cannot read the trace: {why}", where=f"{name}:{number}", fix=fix)


def object_of(text: bytes) -> dict[str, Any]:
    """A line of a trace as a JSON object; WireError if it is none, or nested so deep that it could not be written again."""
    row = codec.parse_any(text, MAX_LEVELS)
    return row if isinstance(row, dict) else codec.parse(text)


def header_of(row: dict[str, Any]) -> dict[str, Any]:
    """A header without known members that are no text; WireError with the reason if it is none that can be used."""
    if row.get("trace") != "livews":
        raise codec.WireError(_NO_HEADER)
    if row.get("version") != 1:
        raise codec.WireError(f"version {str(row.get('version'))[:20]} of the format is not supported")
    header = {name: value for name, value in row.items() if name not in _HEADER_TEXTS or isinstance(value, str)}
    try:
        if "url" in header:
            header["url"] = valid_url(header["url"])  # livews wrote [redacted]@, which is no user of a URL
            urlsplit(header["url"])
    except ValueError:
        raise codec.WireError("the url in its header is invalid") from None
    return header


def record_of(number: int, row: dict[str, Any], text: bytes) -> TraceRecord | None:
    """The record of a row, None if it is neither a frame nor a control."""
    sender, t = SENDERS.get(str(row.get("dir"))), row.get("t")
    if sender is None or not isinstance(t, (int, float)) or isinstance(t, bool) or not abs(t) <= MAX_TIME:
        return None
    opcode: Opcode = "text" if row.get("opcode") == "text" else "binary"
    raw: bytes | None = None
    try:
        if isinstance(row.get("message"), dict):
            raw = codec.dump(row["message"])
        elif isinstance(row.get("raw"), str):
            raw = codec.decode_base64(row["raw"])
    except codec.WireError:
        return None
    if raw is not None:
        size, inserted = codec.whole(row.get("size")), row.get("inserted") is True
        size = size if size is not None and 0 < size <= MAX_LINE else len(raw)
        return TraceRecord(number, float(t), sender, opcode, raw, "", {}, size, text, inserted, b'"elided:' in raw)
    for control in CONTROLS:
        if isinstance(row.get(control), dict):
            about = {name: _bounded(value) for name, value in row[control].items()}
            return TraceRecord(number, float(t), sender, opcode, None, control, about, text=text)
    return None


def _damage(row: dict[str, Any]) -> str:
    """Why a row is no record."""
    if str(row.get("dir")) not in SENDERS:
        return "its dir is neither send nor recv"
    t = row.get("t")
    if type(t) not in (int, float) or not abs(t) <= MAX_TIME:  # type: ignore[arg-type]
        return f"its t is not a number of seconds up to {MAX_TIME:,.0f}"
    member = next((name for name in ("message", "raw", *CONTROLS) if name in row), "")
    if not member:
        return f"it has none of message, raw, {', '.join(CONTROLS)}"
    return "its raw is not base64" if member == "raw" else f"its {member} is not a JSON object"


def _bounded(value: Any) -> Any:
    """The number that is nearest to `value` within the limits of a trace; what is no number as it is."""
    return min(max(value, -_MAX_NUMBER), _MAX_NUMBER) if type(value) in (int, float) else value
