"""Follow a recorded session: each line of a trace with what its frame was and did.

- The frames of both sides pass one `Conversation` per session, in the order of the trace.
- One line at a time; nothing is kept of earlier lines besides the state of the conversation.
- A record has the bytes of the line. A step is without what is hidden of a credential that came in pieces, so `raw` may differ.
- Of the sessions of a file that have nothing after their header the first 100 are given, the others passed over and counted.
- Elided media count as silence of their length; `TraceRecord.elided` says so.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from livews.audio.analysis.input_check import InputAudioCheck
from livews.conversation import Conversation
from livews.core import codec
from livews.core.conversation import Step
from livews.endpoint_paths import parse_endpoint_path
from livews.errors import BadRequest
from livews.redactor import Pieces, remember_handles
from livews.trace.media import refilled
from livews.trace.reader import TraceParser, TraceRecord, lines_of

_MOST_EMPTY = 100
"""Sessions of a file without anything after their header that are given."""


class RecordedSession:
    """One session of a trace. Iterate it once, before the next one is taken.

    It gives (record, Step) for each frame and close, and (record, None) for pings, pongs and what was heard.

    Attributes:
        number: its place in the file, from 1.
        name: the file's name.
        turn: the turn of the last record, from 1: what the user said up to the end of the answer.
        cut_at: the number of the line that a crash cut off.
        elided: media were left out of what was read so far.
        is_empty: there was nothing after its header so far.
        is_one_sided: only the client's messages are known, and not what was answered.
        next: the header that ended it.
        passed_over: how many sessions before it, and after the one that was given before, have nothing after their header.
        is_timed: the records have the times of the session; set it to False for times that are made up.
        answers: messages of the server so far.
    """

    def __init__(
        self,
        header: dict[str, Any],
        items: Iterator[dict[str, Any] | TraceRecord],
        number: int,
        name: str,
        as_of: str = "",
    ) -> None:
        self.header = header
        self.number = number
        self.name = name
        surface, version = parse_endpoint_path(self.url)
        self.conversation = Conversation(surface=surface, version=version, as_of=as_of)
        self.turn = 1
        self.cut_at: int | None = None
        self.elided = False
        self.is_one_sided = False
        self.next: dict[str, Any] | None = None
        self.passed_over = 0
        self.is_empty = True
        self._items = items
        self._pieces = Pieces()
        self._input = InputAudioCheck()
        self.is_timed = True
        self.answers = 0

    @property
    def url(self) -> str:
        return str(self.header.get("url", ""))

    @property
    def connection(self) -> int:
        """1, or the number of the connection by which a client went on with the session that the file has before it."""
        before = codec.whole(self.header.get("continues"))
        return before + 1 if before is not None and 0 < before < 1_000_000 else 1

    @property
    def model(self) -> str:
        return str(self.conversation.setup.get("model", ""))

    def lines(self) -> Iterator[TraceRecord]:
        """The records only, without steps. Iterate either these or the session."""
        for item in self._items if self.next is None else ():
            if isinstance(item, dict):
                self.next = item
                return
            self.is_empty = False
            if item.control == "cut":
                self.cut_at = item.number
            else:
                yield item

    def __iter__(self) -> Iterator[tuple[TraceRecord, Step | None]]:
        for record in self.lines():
            yield record, self.step(record)

    def step(self, record: TraceRecord) -> Step | None:
        """What the next record was and did; for callers that have the records one by one."""
        conversation = self.conversation
        self.turn = conversation.turns + 1
        if record.control and conversation.turns and conversation.state("turn") == "idle":
            self.turn -= 1  # a close or a ping between turns belongs to the earlier one
        if record.raw is not None:
            self.elided = self.elided or record.elided
            step = conversation.step(record.sender, refilled(record.raw) if record.elided else record.raw)
            self._input.take(step, record.t if self.is_timed else None, elided=record.elided)
            self.answers += record.sender == "server"
            remember_handles(step)
            shown: Step = self._pieces.step(step)
            return shown
        if record.control == "close":
            step = conversation.close(record.sender, *record.close)
            self._input.take(step)
            return step
        return None


def follow(
    source: str | Path | Iterable[bytes],
    name: str = "",
    *,
    texts: bool = False,
    lenient: bool = False,
    as_of: str = "",
) -> Iterator[RecordedSession]:
    """Each session of a trace.

    Args:
        source: a path, or the lines of a file.
        name: the file's name in errors; by default the path.
        texts: keep the text of each line.
        lenient: give a line that cannot be read as (record, None) with control "broken" instead of raising.
        as_of: the day or month whose rules count, as in `Conversation`.

    Raises:
        BadRequest: the file or a line cannot be read, or there is no session.
    """
    if isinstance(source, (str, Path)):
        name = name or str(source)
        try:
            with Path(source).open("rb") as file:
                yield from follow(lines_of(file, name), name, texts=texts, lenient=lenient, as_of=as_of)
        except OSError as problem:
            raise unreadable(str(source), problem) from None
        return
    parser = TraceParser(name, lenient=lenient, texts=texts)
    items = parser.take_all(source)
    header: Any = next(items, None)
    if header is None:
        fix = "name a file that was written with --trace"
        raise BadRequest(f"there is no session in {name}", where=name, fix=fix)
    number, empty = 1, 0
    while header is not None:
        first, passed_over = [], 0
        if empty >= _MOST_EMPTY:
            while isinstance(item := next(items, None), dict):
                header, passed_over = item, passed_over + 1
            first = [item] if item is not None else []
        number += passed_over
        session = RecordedSession(header, chain(first, items), number, name, as_of)
        session.passed_over = passed_over
        yield session
        for _ in session.lines():
            pass
        empty += session.is_empty
        header, number = session.next, number + 1


def unreadable(name: str, problem: OSError) -> BadRequest:
    """The error for a file that cannot be read."""
    why, fix = problem.strerror or str(problem), "name a file that can be read, or -"
    if isinstance(problem, IsADirectoryError):
        fix = f"name the files in it, as in {name.rstrip('/')}/*.jsonl"
    return BadRequest(f"cannot read {name}: {why}", where=name, fix=fix)
