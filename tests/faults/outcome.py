"""What came of a fault in a state, and what was wrong about it."""

from __future__ import annotations

import json
import re
import wave
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.kit.names import KEY

LATE = 1.0
"""Seconds after its last byte within which a fault must be reported."""
STARTING = 40.0
"""Seconds for all that comes before the fault, on a machine that is busy."""
MOST_OUTPUT = 65_536
"""Bytes that one fault may make livews print."""
_NOISE = ("Traceback (most recent call last)", "exception was never retrieved", "socket.send() raised exception")
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What steers a terminal."""


@dataclass
class Outcome:
    """One cell of the table.

    Attributes:
        by: what was tried: "talk", "library", "view" or "connect".
        code: the exit code, or that of the error; None after a hang.
        expected: what it had to be.
        seconds: from the last byte of the fault to the exit.
        reported_after: from there to the line that reports it; None where none had to come.
        problems: what is wrong, a sentence each.
        marks: one letter a kind of problem, for the table.
    """

    by: str
    fault: str
    state: str
    expected: int
    code: int | None = None
    seconds: float = 0.0
    reported_after: float | None = None
    problems: list[str] = field(default_factory=list)
    marks: str = ""

    @property
    def cell(self) -> str:
        code = "hang" if self.code is None else str(self.code)
        seconds = f" {self.seconds:.0f}s" if self.seconds >= 2.5 else ""
        return code + self.marks + seconds + ("!" if self.problems else "")

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def wrong(self, problem: str, mark: str = "") -> None:
        self.problems.append(problem)
        self.marks += mark

    def ended(self, code: int | None, written: float | None, now: float, limit: float) -> None:
        """Note the end of the client, on the event loop's clock."""
        self.code = code
        self.seconds = now - written if written is not None else 0.0
        if code is None:
            self.wrong(f"still runs {limit:g} s after the fault")
        elif code != self.expected:
            self.wrong(f"exit {code}, not {self.expected}")

    def reported(self, at: float | None, written: float | None) -> None:
        """Note when the line came that reports the fault."""
        if at is None or written is None:
            self.wrong("it was never reported", "N")
            return
        self.reported_after = max(0.0, at - written)
        if self.reported_after > LATE:
            self.wrong(f"reported {self.reported_after:.1f} s after its last byte", "L")

    def look_at(self, output: bytes) -> None:
        """Judge what was printed on both streams."""
        text = output.decode(errors="replace")
        if any(words in text for words in _NOISE):
            self.wrong("traceback: " + text.strip().rpartition("\n")[2][:200], "T")
        if KEY in text:
            self.wrong("the key is printed", "K")
        if len(output) > MOST_OUTPUT:
            self.wrong(f"{len(output):,} bytes were printed", "O")
        if found := _UNSAFE.search(text):
            self.wrong(f"U+{ord(found[0]):04X} is printed", "E")

    def look_at_files(self, wav: Path, trace: Path) -> None:
        """Judge the files that were written."""
        if wav.exists() and (why := _broken_wav(wav)):
            self.wrong(f"the WAV: {why}", "W")
        if why := _broken_trace(trace) if trace.exists() else "there is none":
            self.wrong(f"the trace: {why}", "R")


def _broken_wav(path: Path) -> str:
    try:
        with wave.open(str(path)) as file:
            declared = file.getnframes() * file.getsampwidth() * file.getnchannels()
            if len(file.readframes(file.getnframes())) != declared:
                return "it is shorter than its head says"
    except (wave.Error, EOFError) as problem:
        return str(problem) or "its head is not whole"
    return ""


def _broken_trace(path: Path) -> str:
    lines = path.read_bytes().split(b"\n")
    if lines.pop() != b"":
        return "its last line is not whole"
    try:
        rows = [json.loads(line) for line in (lines[0], lines[-1])]
        for line in lines[1:-1]:
            if len(line) < 1_000_000:
                json.loads(line)
    except (ValueError, RecursionError) as problem:
        return f"{problem}"
    if KEY.encode() in b"\n".join(lines[:1]):
        return "the key is in its head"
    return "" if "close" in rows[-1] else f"its last line is no close: {lines[-1][:100]!r}"
