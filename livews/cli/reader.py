"""Reads the files that commands take: traces and messages, `-` for stdin, always as a stream."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from livews.advice.names import other_protocol
from livews.cli.console import Console
from livews.core import schema
from livews.core.schema import Sender
from livews.errors import BadRequest
from livews.output_file import is_stream
from livews.terminal_text import plural
from livews.trace.reader import lines_of
from livews.trace.session import RecordedSession, follow, unreadable
from livews.trace.slice import Wanted, between, in_turn
from livews.trace.spool import temporary_errors

_SIDES: dict[str, Sender] = {"client": "client", "server": "server", "send": "client", "recv": "server"}
_SIDE_KEYS = ("dir", "direction", "from", "sender")


def shown_name(name: str) -> str:
    """How messages call a file that was given as `name`."""
    return "stdin" if name == "-" else name


@contextmanager
def open_file(name: str, console: Console) -> Iterator[BinaryIO]:
    """The bytes of a file. BadRequest when it cannot be opened."""
    if name == "-":
        yield console.environment.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115  an error of whoever reads it is not one of opening it
    except OSError as problem:
        raise unreadable(name, problem) from None
    with file:
        yield file


def lines(file: BinaryIO, name: str, *, headed: bool = True) -> Iterator[bytes]:
    """The lines of a file, a trace if `headed`. BadRequest when it cannot be read."""
    try:
        yield from lines_of(file, name, headed=headed)
    except OSError as problem:  # a folder, a disk that fails
        raise unreadable(name, problem) from None


@contextmanager
def sessions(
    name: str, console: Console, *, number: int | None = None, texts: bool = False, shown: str = ""
) -> Iterator[Iterator[RecordedSession]]:
    """The sessions of a trace, at least one; BadRequest when there is no session `number`.

    texts: keep the text of each line.
    shown: how messages call the file.
    """
    shown = shown or shown_name(name)

    def select(file: BinaryIO) -> Iterator[RecordedSession]:
        last = passed_over = 0
        for session in follow(lines(file, shown), shown, texts=texts):
            last, passed_over = session.number, passed_over + session.passed_over
            if number in (None, last):
                yield session
            for _ in session:
                pass
            if session.cut_at is not None:
                console.warn(f"{shown}:{session.cut_at} is incomplete and left out: the trace was cut off there")
            if number == last:
                return
        if number is not None:
            raise no_such("session", number, last, shown)
        if passed_over:
            console.warn(
                f"{plural(passed_over, 'session')} of {shown} without any message {'is' if passed_over == 1 else 'are'} left out"
            )

    with open_file(name, console) as file:
        yield select(file)


@contextmanager
def one_session(
    name: str, number: int | None, console: Console, *, texts: bool = False, shown: str = ""
) -> Iterator[RecordedSession]:
    """Session `number` of a trace, or the first, with a warning if there are more."""
    with sessions(name, console, number=number, texts=texts, shown=shown) as matches:
        yield next(matches)
        if next(matches, None) is not None:
            console.warn("the file holds several sessions: this is the first; --session N selects another")


@contextmanager
def rereadable(name: str, console: Console) -> Iterator[tuple[str, str]]:
    """The path of a file that can be read twice, and how to call it: for stdin and for a pipe a copy."""
    shown = shown_name(name)
    if name != "-" and not is_stream(name):
        yield name, shown
        return
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as copy:
        with open_file(name, console) as file:
            for line in lines(file, shown):
                with temporary_errors():
                    copy.write(line)
        with temporary_errors():
            copy.flush()
        yield copy.name, shown


def no_such(what: str, number: int, last: int, name: str) -> BadRequest:
    """The failure when a file has no session or turn of this number."""
    fix = f"there are {last}: --{what} 1 to {last}" if last > 1 else f"there is one: leave out --{what}"
    return BadRequest(f"there is no {what} {number} in {name}", where=name, fix=fix)


def selection(options: argparse.Namespace) -> Wanted:
    """Whether a line of a session is in the part that --from, --to and --turn select."""
    if None not in (options.start, options.end) and options.end < options.start:
        options.parser.error(f"--to {options.end:g} is before --from {options.start:g}")
    in_span = between(options.start, options.end)
    if options.turn is None:
        return in_span
    is_in_turn = in_turn(options.turn)
    return lambda session, line: is_in_turn(session, line) and in_span(session, line)


def sender_and_message(message: Any, side: Sender | None = None) -> tuple[Sender, Any]:
    """Who sent a single message, and the message: unwrapped from a line of a trace, a bare setup in its envelope.

    side: the sender, if it is known.
    """
    if isinstance(message, dict) and "message" in message:
        named = next((message[key] for key in _SIDE_KEYS if key in message), None)
        if isinstance(named, str) and named in _SIDES:
            return side or _SIDES[named], message["message"]
    if not isinstance(message, dict):
        return side or "client", message
    sender = side or _sender_by_members(message)
    return ("client", {"setup": message}) if sender is None else (sender, message)


def is_message(value: Any) -> bool:
    """Whether a JSON value has a member that only a message has, or the inside of a setup."""
    _, message = sender_and_message(value)
    top = {**schema.top("client"), **schema.top("server")}
    return isinstance(message, dict) and any(key in top for key in message)


def _sender_by_members(message: dict[str, Any]) -> Sender | None:
    """None for the inside of a setup. A message without any known member counts as a client's, the side on which
    unknown members matter."""
    client, server = schema.top("client"), schema.top("server")
    if other_protocol(message):
        return "client"
    if not message or any(key in server for key in message):
        return "server"
    if any(key in client for key in message):
        return "client"
    setup = client["setup"].target
    assert setup is not None
    return None if any(key in schema.table(setup).members for key in message) else "client"
