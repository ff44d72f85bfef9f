"""Follow a recorded session: each line of a trace with what its frame was and did.

- One core for all that read traces: the frames of both sides go through one `Conversation` a session, as they came.
- A line at a time; nothing is kept of those before but what a conversation remembers.
- A line that a crash cut off is left out, and told in `cut_at`; one that cannot be read is refused, or counted in
  `broken` for those who ask.
- Elided media counts as silence of its length. Whether a frame was elided is in its Line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from livews.core.conversation import Conversation, Step
from livews.core.endpoint_paths import parse_endpoint_path
from livews.errors import BadRequest
from livews.trace.reader import TraceRecord, lines_of, refilled, sessions


class RecordedSession:
    """One session of a trace; iterate it once, before the next is asked for.

    Gives (Line, Step) for each frame and each close, (Line, None) for pings, pongs and what was heard.
    """

    def __init__(
        self, header: dict[str, Any], lines: Iterator[TraceRecord], number: int, name: str, inspect: bool
    ) -> None:
        self.header = header
        self.number = number
        """Its place in the file, from 1."""
        self.name = name
        surface, version = parse_endpoint_path(self.url)
        self.talk = Conversation(surface=surface, version=version)
        self.turn = 1
        """The turn the last line belongs to: from what the user said to the end of the answer."""
        self.cut_at: int | None = None
        """The number of the line a crash cut off."""
        self.elided = False
        """Media was left out of what was read so far."""
        self._lines = lines

    @property
    def url(self) -> str:
        return str(self.header.get("url", ""))

    @property
    def model(self) -> str:
        return str(self.talk.setup.get("model", ""))

    def lines(self) -> Iterator[TraceRecord]:
        """The lines alone, not followed; either these or the session itself are iterated."""
        for line in self._lines:
            if line.control == "cut":
                self.cut_at = line.number
            else:
                yield line

    def __iter__(self) -> Iterator[tuple[TraceRecord, Step | None]]:
        for line in self.lines():
            yield line, self.step(line)

    def step(self, line: TraceRecord) -> Step | None:
        """What the next line was and did; for those who are given the lines one by one."""
        talk = self.talk
        # a close or a ping between turns belongs to the one before
        self.turn = talk.turns + 1
        if line.control and talk.turns and talk.state("turn") == "idle":
            self.turn -= 1
        if line.raw is not None:
            self.elided = self.elided or line.elided
            return talk.step(line.sender, refilled(line.raw))
        if line.control == "close":
            code = line.about.get("code")
            reason = str(line.about.get("reason", ""))
            return talk.close(line.sender, code if type(code) is int else 1006, reason)
        return None


def follow(
    source: str | Path | Iterable[bytes],
    name: str = "",
    *,
    inspect: bool = True,
    texts: bool = False,
    lenient: bool = False,
) -> Iterator[RecordedSession]:
    """Each session of a trace file, or of its lines as bytes; BadRequest names the line that cannot be read.

    `lenient` gives such a line as (Line, None) whose control is "broken". `texts` keeps each line as it stands in the file.
    """
    if isinstance(source, (str, Path)):
        try:
            with Path(source).open("rb") as file:
                name = name or str(source)
                yield from follow(lines_of(file, name), name, inspect=inspect, texts=texts, lenient=lenient)
        except OSError as problem:
            raise unreadable(str(source), problem) from None
        return
    number = 0
    for number, (header, lines) in enumerate(sessions(source, name, broken="tell", texts=texts), 1):
        yield RecordedSession(header, lines if lenient else _refusing(lines, name), number, name, inspect)
    if not number:
        raise BadRequest(
            f"there is no session in {name}", where=name, fix="name a file that was written with --trace"
        )


def unreadable(name: str, problem: OSError) -> BadRequest:
    """What to say of a file that cannot be read."""
    why = problem.strerror or str(problem)
    return BadRequest(f"cannot read {name}: {why}", where=name, fix="name a file that can be read, or -")


def _refusing(lines: Iterator[TraceRecord], name: str) -> Iterator[TraceRecord]:
    for line in lines:
        if line.control == "broken":
            fix = "name a file that was written with --trace, or take that line out"
            why = line.about["why"]
            raise BadRequest(f"cannot read the trace: {why}", where=f"{name}:{line.number}", fix=fix)
        yield line
