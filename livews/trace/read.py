"""Read the trace file, format `livews-trace` version 1.

- A line at a time: a trace of any length takes the memory of its longest line.
- What a crash cut off in mid-line is left out, and counted; other lines that cannot be read are an error with their number.
- Unknown keys are ignored; a file with several headers holds several sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from livews.core import wire
from livews.core.errors import BadRequest

CONTROLS = ("ping", "pong", "close", "heard")


@dataclass(frozen=True, slots=True)
class Line:
    """One line behind the header. `raw` is the frame's bytes (JSON on one line), None for a control: a ping, a pong, a close,
    or what was `heard` of a reply."""

    number: int
    t: float
    sender: Literal["client", "server"]
    opcode: str
    raw: bytes | None
    control: str = ""
    about: dict[str, Any] = field(default_factory=dict)


def sessions(lines: Iterable[bytes], name: str) -> Iterator[tuple[dict[str, Any], Iterator[Line]]]:
    """Each session of a trace as (header, its lines); the lines have to be taken before the next session is."""
    source = _Lines(lines, name)
    while (header := source.header()) is not None:
        session = source.rest()
        yield header, session
        for _ in session:
            pass


class _Lines:
    def __init__(self, lines: Iterable[bytes], name: str) -> None:
        self._lines = enumerate(lines, 1)
        self._name = name
        self._ahead: dict[str, Any] | None = None

    def header(self) -> dict[str, Any] | None:
        if self._ahead is not None:
            header, self._ahead = self._ahead, None
            return header
        for number, text in self._lines:
            if text.strip():
                row = self._row(number, text)
                if row is None or row.get("trace") != "livews":
                    raise self._wrong(number, "this is no trace: its first line is no header")
                if row.get("version") != 1:
                    raise self._wrong(number, f"version {row.get('version')} of the trace format is not known here")
                return row
        return None

    def rest(self) -> Iterator[Line]:
        for number, text in self._lines:
            if not text.strip():
                continue
            row = self._row(number, text)
            if row is None:
                return
            if row.get("trace") == "livews":
                self._ahead = row
                return
            line = _line(number, row)
            if line is None:
                raise self._wrong(number, f"this line is neither a frame nor one of {', '.join(CONTROLS)}")
            yield line

    def _row(self, number: int, text: bytes) -> dict[str, Any] | None:
        """A line as an object; None for the half line a crash left at the end."""
        try:
            return wire.parse(text)
        except wire.WireError as problem:
            if not text.endswith(b"\n"):
                return None
            raise self._wrong(number, str(problem)) from None

    def _wrong(self, number: int, why: str) -> BadRequest:
        cure = "name a file that was written with --trace"
        return BadRequest(f"cannot read the trace: {why}", where=f"{self._name}:{number}", cure=cure)


def _line(number: int, row: dict[str, Any]) -> Line | None:
    sender = {"send": "client", "recv": "server"}.get(str(row.get("dir")))
    t = row.get("t")
    if sender is None or not isinstance(t, (int, float)):
        return None
    side: Literal["client", "server"] = "client" if sender == "client" else "server"
    opcode = "text" if row.get("opcode") == "text" else "binary"
    if isinstance(row.get("message"), dict):
        return Line(number, float(t), side, opcode, wire.dump(row["message"]))
    if isinstance(row.get("raw"), str):
        try:
            return Line(number, float(t), side, opcode, wire.decode_base64(row["raw"]))
        except wire.WireError:
            return None
    for control in CONTROLS:
        if isinstance(row.get(control), dict):
            return Line(number, float(t), side, opcode, None, control, row[control])
    return None
