"""Read the trace file, format `livews-trace` version 1.

- A line at a time: a trace of any length takes the memory of its longest line, which has a bound; what cannot be a
  header is refused by its first bytes.
- What a crash cut off in mid-line is left out, also where another session was written behind it; other lines that cannot
  be read are an error with their number, or are told in their place to those who ask for that.
- Unknown keys are ignored; a file with several headers holds several sessions.
- Media that was left out when the trace was written (`--trace-media elide`) can be filled with as much silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

import orjson

from livews.core import codec
from livews.errors import BadRequest

CONTROLS = ("ping", "pong", "close", "heard")
_NO_HEADER = "this is no trace: its first line is no header"
_HEAD = re.compile(rb'\{\s*"trace"\s*:\s*"livews"')
_MOST_SILENCE = 1 << 24
"""Bytes one elided blob is filled with at most: no frame of the wire holds more."""
MOST_LINE = 256 << 20
"""Bytes of a line: those of the largest frame a client of livews takes, as base64, several times."""
_MOST_HEADER = 1 << 20
_PIECE = 256 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One line behind the header. `raw` is the frame's bytes (JSON on one line), None for a control: a ping, a pong, a close,
    or what was `heard` of a reply. `size` is the frame's bytes on the wire, `text` the line as it stands in the file,
    for those who asked for it."""

    number: int
    t: float
    sender: Literal["client", "server"]
    opcode: str
    raw: bytes | None
    control: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    text: bytes = b""
    inserted: bool = False
    """It was written in livews and put in between, and sent by neither side."""

    @property
    def elided(self) -> bool:
        """Was media left out of it?"""
        return self.raw is not None and b'"elided:' in self.raw


def lines_of(file: BinaryIO, name: str, *, headed: bool = True) -> Iterator[bytes]:
    """The lines of a file with their ends, as they come; `headed`: of a trace. BadRequest for what `check_half` refuses.

    Raises OSError as the file does. It is read in pieces, between which a Ctrl-C is heard.
    """
    read = getattr(file, "read1", file.read)  # read would wait for the whole piece
    half, number = bytearray(), 1
    while piece := read(_PIECE):
        *ends, rest = piece.split(b"\n")
        for end in ends:
            half += end
            if headed:
                check_half(half, name, number, headed=True)
                headed = not half.strip()
            line = bytes(half)
            half.clear()
            yield line + b"\n"
            number += 1
        half += rest
        check_half(half, name, number, headed=headed)
    if half:
        yield bytes(half)


def check_half(half: bytes | bytearray, name: str, number: int, *, headed: bool) -> None:
    """BadRequest when no line may begin so: it is too long, or with `headed` cannot become a header."""
    if headed and len(half) > len(_BOM):
        start = bytes(half[:64]).removeprefix(_BOM).lstrip()
        if len(half) > _MOST_HEADER or (start and not start.startswith(b"{")):
            raise _wrong(name, number, _NO_HEADER)
    if len(half) > MOST_LINE:
        raise BadRequest(
            f"line {number} of {name} is too long",
            where=f"{name}:{number}",
            why=f"it has no end within {MOST_LINE >> 20} MiB",
            fix="name a file of lines, such as one that was written with --trace",
        )


def sessions(
    lines: Iterable[bytes],
    name: str,
    *,
    broken: Literal["refuse", "tell"] = "refuse",
    texts: bool = False,
    start: int = 1,
) -> Iterator[tuple[dict[str, Any], Iterator[TraceRecord]]]:
    """Each session of a trace as (header, its lines); the lines have to be taken before the next session is.

    What cannot be read is a BadRequest, or with "tell" a Line whose control is "cut" (by a crash) or
    "broken" (nobody can read it), which no trace has, with its `why`. `start` is the
    number of the first line.
    """
    source = _Lines(enumerate(lines, start), name, broken == "tell", texts)
    while (header := source.header()) is not None:
        session = source.rest()
        yield header, session
        for _ in session:
            pass


class _Lines:
    def __init__(self, lines: Iterator[tuple[int, bytes]], name: str, tell: bool, texts: bool) -> None:
        self._lines = lines
        self._name = name
        self._tell = tell
        self._texts = texts
        self._ahead: dict[str, Any] | None = None
        self._t = 0.0

    def header(self) -> dict[str, Any] | None:
        if self._ahead is not None:
            header, self._ahead = self._ahead, None
            return header
        for number, text in self._lines:
            if text.strip():
                return self._header(number, text.removeprefix(_BOM))
        return None

    def _header(self, number: int, text: bytes) -> dict[str, Any]:
        try:
            row = object_of(text)
        except codec.WireError:
            row = {}
        if row.get("trace") != "livews":
            raise _wrong(self._name, number, _NO_HEADER)
        if row.get("version") != 1:
            raise _wrong(self._name, number, f"version {row.get('version')} of the trace format is not known here")
        self._t = 0.0
        return row

    def rest(self) -> Iterator[TraceRecord]:
        for number, text in self._lines:
            if not text.strip():
                continue
            try:
                row = object_of(text)
            except codec.WireError as problem:
                # A session that begins behind the half line of one that crashed begins in mid-line, too.
                again = _HEAD.search(text, 1)
                if again:
                    self._ahead = self._header(number, text[again.start() :])
                if again or not text.endswith(b"\n"):
                    if self._tell:
                        yield self._no_line(number, "cut", "it ends in mid-line")
                    return
                if not self._tell:
                    raise _wrong(self._name, number, str(problem)) from None
                yield self._no_line(number, "broken", str(problem))
                continue
            if row.get("trace") == "livews":
                self._ahead = self._header(number, text)
                return
            line = _line(number, row, text.rstrip(b"\r\n") if self._texts else b"")
            if line is None:
                why = f"this line is neither a frame nor one of {', '.join(CONTROLS)}"
                if not self._tell:
                    raise _wrong(self._name, number, why)
                line = self._no_line(number, "broken", why)
            self._t = line.t
            yield line

    def _no_line(self, number: int, control: str, why: str) -> TraceRecord:
        return TraceRecord(number, self._t, "server", "text", None, control, {"why": why})


def _wrong(name: str, number: int, why: str) -> BadRequest:
    fix = "name a file that was written with --trace"
    if why == _NO_HEADER:
        fix += "; bare messages, one a line, are taken by `livews check`"
    return BadRequest(f"cannot read the trace: {why}", where=f"{name}:{number}", fix=fix)


def object_of(text: bytes) -> dict[str, Any]:
    """A line of a trace as JSON has it; WireError when it is no object. A frame may be as deep as the wire takes it, which
    makes its line one level deeper."""
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError:
        row = None
    return row if isinstance(row, dict) else codec.parse(text)


def _line(number: int, row: dict[str, Any], text: bytes) -> TraceRecord | None:
    sender = {"send": "client", "recv": "server"}.get(str(row.get("dir")))
    t = row.get("t")
    if sender is None or not isinstance(t, (int, float)) or isinstance(t, bool):
        return None
    side: Literal["client", "server"] = "client" if sender == "client" else "server"
    opcode = "text" if row.get("opcode") == "text" else "binary"
    raw: bytes | None = None
    try:
        if isinstance(row.get("message"), dict):
            raw = codec.dump(row["message"])
        elif isinstance(row.get("raw"), str):
            raw = codec.decode_base64(row["raw"])
    except codec.WireError:
        return None
    if raw is not None:
        size = codec.whole(row.get("size")) or len(raw)
        inserted = row.get("inserted") is True
        return TraceRecord(number, float(t), side, opcode, raw, size=size, text=text, inserted=inserted)
    for control in CONTROLS:
        if isinstance(row.get(control), dict):
            return TraceRecord(number, float(t), side, opcode, None, control, row[control], text=text)
    return None


def refilled(raw: bytes, dump: Callable[[Any], bytes] = codec.dump) -> bytes:
    """A recorded frame with silence of the same length where its media was elided, written by `dump` then."""
    if b'"elided:' not in raw:
        return raw
    try:
        return dump(_with_silence(codec.parse(raw)))
    except codec.WireError:  # whoever follows it says what is wrong
        return raw


def _with_silence(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_silence(item) for item in value]
    if isinstance(value, dict):
        return {key: _silence(child) if key == "data" else _with_silence(child) for key, child in value.items()}
    return value


def _silence(data: Any) -> Any:
    if not isinstance(data, str) or not data.startswith("elided:"):
        return _with_silence(data)
    length = data.split(":")[1]
    if not length.isascii() or not length.isdecimal() or len(length) > 12 or data.endswith(":not-base64"):
        return ""
    size = min(int(length), _MOST_SILENCE)
    return "A" * -(-size * 4 // 3) + "=" * (-size % 3)
