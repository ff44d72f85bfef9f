"""Conversations as data: rows that say what a client sends and what has to come, and one function that plays them.

Rows, in order:

- a message (a dict, or JSON as a str that starts with "{") is sent; bytes are sent as audio; a tuple of messages is
  sent at once;
- a `Result` is sent as a toolResponse to a call that came;
- a word of `brief` waits for a message that has it;
- a list of words is the whole exchange up to the last of them, as `brief_all` has it, without `said` if it has none;
- SILENCE waits, and nothing may come;
- a function checks what the last waiting row received.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.kit.names import GEMINI
from tests.kit.talk import Caller, Message, answer, brief, brief_all, calls, connected, heard, words

SILENCE = object()


@dataclass
class Result:
    """A toolResponse to the call number `at` of those that came so far, counted from 0."""

    response: Any
    at: int = 0
    name: str = ""
    members: dict[str, Any] = field(default_factory=dict)
    together: list[Result] = field(default_factory=list)
    """Results in the same message."""

    def message(self, open_calls: list[Message]) -> Message:
        message = answer(self.response, open_calls[self.at]["id"], self.name, **self.members)
        for other in self.together:
            message["toolResponse"]["functionResponses"] += other.message(open_calls)["toolResponse"][
                "functionResponses"
            ]
        return message


@dataclass
class Transcript:
    """A conversation. `changes` are settings of the stand-in's config."""

    setup: Message
    rows: list[Any]
    path: str = GEMINI
    changes: dict[str, Any] = field(default_factory=dict)


async def play(transcript: Transcript) -> list[Message]:
    """Play a transcript on a stand-in of its own; all messages that came."""
    async with connected(transcript.setup, path=transcript.path, **transcript.changes) as caller:
        await caller.settle()
        await play_rows(caller, transcript.rows)
        return caller.messages


async def play_rows(caller: Caller, rows: list[Any]) -> None:
    """Play rows on a connection that is set up."""
    got: list[Message] = []
    for row in rows:
        if isinstance(row, (dict, tuple, Result)) or (isinstance(row, str) and row.startswith("{")):
            messages = row if isinstance(row, tuple) else (row,)
            open_calls = calls(caller.messages)
            await caller.say(*(one.message(open_calls) if isinstance(one, Result) else one for one in messages))
        elif isinstance(row, bytes):
            await caller.speak(row)
        elif isinstance(row, str):
            got = await caller.until(row)
        elif isinstance(row, list):
            got = await caller.until(row[-1].split("+")[0])
            assert brief_all(got, leave={"said"} - set(row)) == row
        elif row is SILENCE:
            assert await caller.rest() == []
        else:
            row(got)


# Checks


def says(ending: str) -> Callable[[list[Message]], None]:
    """The words end so."""

    def check(got: list[Message]) -> None:
        assert words(got).endswith(ending)

    return check


def mentions(*parts: str) -> Callable[[list[Message]], None]:
    """The words have these parts."""

    def check(got: list[Message]) -> None:
        assert all(part in words(got) for part in parts), words(got)

    return check


def hears(transcript: str) -> Callable[[list[Message]], None]:
    """The user's transcript."""

    def check(got: list[Message]) -> None:
        assert heard(got) == transcript

    return check


def never(*names: str) -> Callable[[list[Message]], None]:
    """No message has one of these words of `brief`."""

    def check(got: list[Message]) -> None:
        assert not {word for message in got for word in brief(message)} & set(names)

    return check
