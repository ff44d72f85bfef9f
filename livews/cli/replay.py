"""`livews trace replay`: play the client of a recorded session to a server again, and tell what the server does otherwise.

- A line a difference on stdout, or with --json an object; how it goes, and the sum of it, on stderr.
- Where to dial is what `livews` itself would dial: --to, else the service, else the built-in stand-in.
- Sessions are played one after the other; what one of them ends with does not keep the next from being played.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livews.cli import connection_options
from livews.cli.console import Console
from livews.version import __version__

if TYPE_CHECKING:
    from livews.core.conversation import Step
    from livews.endpoint import Endpoint, Settings
    from livews.recorder import Direction, Opcode, Recorder
    from livews.replay.player import ReplayOptions, ReplayResult
    from livews.trace.session import RecordedSession


_OFFLINE = "the built-in stand-in is played to"
_NO_KEY = f"no key is set and no --to given, so {_OFFLINE}"


def add_flags(tool: argparse.ArgumentParser) -> None:
    """All but FILE and --session, which are those of the other trace tools."""
    tool.description = (
        "Play the client of a recorded session to a server again: its messages, sound and close, with its timing. What "
        "the server does otherwise is told, a line a difference, at the line of the recording it belongs to. What a model "
        "says differs each time: words, sound and token counts are compared by their presence alone, but with --exact."
    )
    tool.epilog = (
        "Ids of calls are those of this run. A message waits for what the server had said before it (setupComplete, the "
        "call it answers, the end of a turn). stdin (-) is read to its end before it begins. Exit 0: "
        "the same; 1: it differs; 3, 4, 5: refused, unreachable, closed with an error."
    )
    # the same as --url, by the name that says what it is here
    tool.add_argument("--to", default="", metavar="URL", help="the server (default: as livews dials)")
    how = tool.add_argument_group("how it is played").add_argument
    how("--speed", type=_speed, default=1.0, metavar="N", help="N times as fast (default 1: its own timing)")
    how("--fast", action="store_true", help="no waiting but for what the server says")
    how(
        "--patience", type=connection_options.seconds, default=10.0, metavar="S",
        help="how long to wait for what the server had said, beyond the time it took then (default 10)",
    )  # fmt: skip
    how("--model", default="", metavar="NAME", help="another model than the recorded one")
    how("--keep-handles", action="store_true", help="send recorded resumption handles as they are")
    look = tool.add_argument_group("what is compared and shown").add_argument
    look("--exact", action="store_true", help="words, sound and token counts count, too")
    look("--json", action="store_true", help="one JSON object a difference, then one a session")
    look("--show", action="store_true", help="every message on stderr, as it passes")
    look("--trace", default="", metavar="OUT", help="keep this run as a trace, for `livews trace diff FILE OUT`")
    connection_options.add_flags(tool, "to connect")


def check(options: argparse.Namespace) -> None:
    """Flags that cannot work together."""
    if options.to and options.url:
        options.refuse("--to and --url are the same: name one server, after --to")
    if options.offline and options.to:
        options.refuse("--offline is the built-in stand-in: leave out --to")
    options.url = options.to or options.url
    connection_options.check(options.parser, options)
    if options.fast and options.speed != 1:
        options.refuse("--fast has no speed: leave out --speed")
    if options.trace == "-":
        options.refuse("--show shows the messages: --trace wants a file")
    if options.trace and options.file != "-":
        with contextlib.suppress(OSError):
            if Path(options.trace).samefile(options.file):
                options.refuse("--trace would write into the trace that is played: name another file")


def _speed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0.001 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is no speed: 1 is the recording's own, 4 four times that")
    return value


def run(found: Iterator[RecordedSession], options: argparse.Namespace, console: Console) -> int:
    """Play these sessions; the exit code of the command."""
    import asyncio

    return asyncio.run(_Run(options, console).all(found))


class _Run:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._name = "stdin" if options.file == "-" else options.file
        self._handles: dict[str, str] = {}
        self._exit = 0

    async def all(self, found: Iterator[RecordedSession]) -> int:
        from itertools import chain

        from livews.exit_codes import Exit

        first = next(found)  # a file that cannot be played is told before anything else
        async with contextlib.AsyncExitStack() as stack:
            settings = await connection_options.settle(
                self._options, self._console, stack, offline=_OFFLINE, no_key=_NO_KEY
            )
            for session in chain([first], found):
                if await self._play(session, settings):
                    return Exit.INTERRUPTED
        return self._exit

    async def _play(self, session: RecordedSession, settings: Settings) -> bool:
        """Play one session and tell what came of it; was it cut short by the user?"""
        from livews.exit_codes import Exit
        from livews.replay.player import Replay

        place = _place(session, settings, self._options)
        manner = _manner(self._options, place)
        note = f"session {session.number}: " if session.number > 1 else ""
        self._console.note(f"{note}playing to {place.shown}")
        replay = Replay(
            session,
            place,
            manner,
            agent=f"livews/{__version__}",
            recorders=self._recorders(place),
            handles=self._handles,
            notify=lambda text: self._console.note(note + place.secrets.redact(text)),
        )
        outcome = await replay.run()
        self._tell(session, outcome)
        failure = outcome.failure
        if failure is not None and outcome.count:
            self._console.error(failure)
        if failure is not None and not outcome.was_closed:
            self._exit = self._exit if self._exit > Exit.CHECK_FAILED else int(failure.exit_code)
        elif outcome.count:
            self._exit = self._exit or int(Exit.CHECK_FAILED)
        return outcome.interrupted

    def _recorders(self, place: Endpoint) -> list[Recorder]:
        from livews.trace.view import TraceView
        from livews.trace.writer import TraceFile

        made: list[Recorder] = []
        if self._options.show:
            made.append(TraceView(self._console.line, self._console.paint, place.secrets.redact))
        elif self._console.live:
            made.append(_Ticker(self._console))
        if self._options.trace:
            made.append(TraceFile.of(self._options.trace, place))
        return made

    def _tell(self, session: RecordedSession, outcome: ReplayResult) -> None:
        for found in outcome.differences:
            line = found.lines[0] or found.lines[1]
            if self._options.json:
                row: dict[str, Any] = {
                    "session": session.number,
                    "line": line,
                    "side": found.side,
                    "path": found.path,
                }
                self._console.data(json.dumps({**row, "words": found.words}, ensure_ascii=False))
            else:
                self._console.say(f"{self._name}:{line} {found.side} {found.path}: {found.words}")
        names = ("replayed", "recorded")
        if self._options.json:
            row = {"session": session.number, "differences": outcome.count, "interrupted": outcome.interrupted}
            row["sent"] = dict(zip(names, outcome.sent, strict=True))
            row["received"] = dict(zip(names, outcome.received, strict=True))
            row["seconds"] = {name: round(t, 3) for name, t in zip(names, outcome.seconds, strict=True)}
            row["failure"] = str(outcome.failure) if outcome.failure is not None else ""
            self._console.data(json.dumps(row, ensure_ascii=False))
        count = (
            f"{outcome.count:,} difference{'' if outcome.count == 1 else 's'}" if outcome.count else "no difference"
        )
        head = f"session {session.number}: " if session.number > 1 else ""
        so_far = " so far, stopped" if outcome.interrupted else ""
        self._console.note(
            f"{head}{outcome.sent[0]:,} of {outcome.sent[1]:,} messages sent, {outcome.received[0]:,} received "
            f"({outcome.received[1]:,} when recorded), {outcome.seconds[0]:.1f} s ({outcome.seconds[1]:.1f} s): "
            f"{count}{so_far}"
        )


class _Ticker:
    """How far it is, on the live line of a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._counts = {"send": 0, "recv": 0}
        self._next = 0.0

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        self._counts[direction] += 1
        if t >= self._next:
            self._next = t + 0.2
            self._console.status(f"{t:.0f} s, {self._counts['send']:,} sent, {self._counts['recv']:,} received")

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        self._console.clear()


def _manner(options: argparse.Namespace, place: Endpoint) -> ReplayOptions:
    from livews.replay.player import ReplayOptions

    return ReplayOptions(
        speed=0.0 if options.fast else options.speed,
        patience=options.patience,
        timeout=options.timeout,
        model=place.model if options.model else "",
        keep_handles=options.keep_handles,
        exact=options.exact,
    )


def _place(session: RecordedSession, settings: Settings, options: argparse.Namespace) -> Endpoint:
    """Where this session is dialled: in the method and version it was recorded with, unless others are asked for."""
    from dataclasses import replace

    from livews import endpoint
    from livews.core import endpoint_paths

    surface, version = endpoint_paths.parse_endpoint_path(session.url)
    if version and not settings.version and not settings.token:
        if (surface == "vertex") == settings.vertex:
            settings = replace(settings, version=version)
        elif surface == "vertex" and settings.url and not endpoint_paths.parse_endpoint_path(settings.url)[0]:
            url = settings.url.rstrip("/") + endpoint_paths.VERTEX.format(version=version)
            settings = replace(settings, vertex=True, url=url)
    return endpoint.resolve(settings, options.model)
