"""A part of a recorded session, as a trace of its own.

- Its header, its setup and all that came before the session was ready are kept, whatever part is asked for.
- What is kept stands as it stood, byte for byte and with its time; the header tells that it was cut, and how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import orjson

from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession

Wanted = Callable[[RecordedSession, TraceRecord], bool]


def between(start: float | None, end: float | None) -> Wanted:
    """Lines from `start` to `end` seconds, both included; None is the session's own."""
    return lambda session, line: (start is None or line.t >= start) and (end is None or line.t <= end)


def in_turn(number: int) -> Wanted:
    """Lines of one turn, from 1: what the user said and all of the answer."""
    return lambda session, line: session.turn == number


def cut(session: RecordedSession, wanted: Wanted, said: dict[str, float | int], out: BinaryIO) -> int:
    """Write what is wanted of a session that was followed with `texts`; how many of those lines there were."""
    out.write(orjson.dumps({**session.header, "cut": said}) + b"\n")
    found = 0
    opening = True
    for line, _ in session:
        fits = wanted(session, line)
        found += fits
        if opening or fits:
            out.write(line.text + b"\n")
        opening = opening and session.talk.state("session") in ("new", "opening")
    return found
