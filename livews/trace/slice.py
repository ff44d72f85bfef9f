"""Cut a part out of a recorded session, as a trace of its own.

- The header, the setup and everything before the session was ready are always kept.
- Lines are kept with their times, byte for byte but for credentials; the header says how the trace was cut.
"""

from collections.abc import Callable
from typing import BinaryIO

import orjson

from livews.core import codec
from livews.redactor import redact_url, valid_url
from livews.trace.media import without_credentials
from livews.trace.reader import TraceRecord, object_of
from livews.trace.session import RecordedSession

Wanted = Callable[[RecordedSession, TraceRecord], bool]


def between(start: float | None, end: float | None) -> Wanted:
    """Select lines from `start` to `end` seconds, both included; None: from or to the end of the session."""
    return lambda session, record: (start is None or record.t >= start) and (end is None or record.t <= end)


def in_turn(number: int) -> Wanted:
    """Select the lines of one turn, from 1: what the user said and the whole answer."""
    return lambda session, record: session.turn == number


def cut(session: RecordedSession, wanted: Wanted, part: dict[str, float | int], out: BinaryIO) -> int:
    """Write the selected lines of a session that was read with `texts`; their number.

    `part` says in the header what was selected.
    """
    header = {**session.header, "url": valid_url(redact_url(session.url)), "cut": part}
    out.write(without_credentials(orjson.dumps(header)) + b"\n")
    count = 0
    opening = True
    for record, _ in session:
        fits = wanted(session, record)
        count += fits
        if record.text and (opening or fits):  # a message that a line only counts goes with that line
            out.write(_kept(record) + b"\n")
        opening = opening and session.conversation.state("session") in ("new", "opening")
    return count


def _kept(record: TraceRecord) -> bytes:
    text = without_credentials(record.text)
    if record.raw is not None and (raw := without_credentials(record.raw)) != record.raw:
        row = object_of(text)
        if "raw" in row:
            return orjson.dumps({**row, "raw": codec.encode_base64(raw)})
    return text
