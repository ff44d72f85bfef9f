"""`livews trace replay`: play the client of a recorded session to a server again, and report what differs.

- One line per difference on stdout, or with --json an object; progress and totals on stderr.
- It connects as `livews` does: to --to, else to the service, else to the built-in stand-in.
- Sessions are played one after the other; one that fails does not keep the next from being played.
"""

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from livews import endpoint, endpoint_paths
from livews.cli import reader, signals
from livews.cli.console import Console
from livews.cli.network import connection_settings
from livews.core.conversation import Step
from livews.endpoint import Endpoint, Settings
from livews.errors import BadRequest
from livews.exit_codes import Exit
from livews.recorder import Direction, Opcode, Recorder
from livews.replay.player import Replay, ReplayOptions, ReplayResult
from livews.terminal_text import plural
from livews.trace.session import RecordedSession, follow
from livews.trace.view import TraceView
from livews.trace.writer import TraceFile

_OFFLINE = "playing to the built-in stand-in"
_NO_KEY = f"no key is set and no --to given, so {_OFFLINE}"


def run(options: argparse.Namespace, console: Console) -> int:
    options.url = options.to or options.url
    files = [Path(name) for name in (options.trace, options.file) if name not in ("", "-")]
    if len(files) == 2 and all(file.exists() for file in files) and files[0].samefile(files[1]):
        options.parser.error("--trace would write into the trace that is played: name another file")
    # a copy of stdin: waiting for it would hold up the connection, and Ctrl-C
    with (
        reader.rereadable(options.file, console) as (name, shown),
        reader.sessions(name, console, number=options.session, texts=True, shown=shown) as sessions,
    ):
        _check_playable(name, shown, options.session)
        return signals.run(_Run(options, console).play_all(sessions))


def _check_playable(name: str, shown: str, number: int | None) -> None:
    """Before anything is dialled, raise BadRequest if a line cannot be read, or there is no message to play."""
    count = None
    for session in follow(name, shown):
        if number in (None, session.number):
            played = sum(record.raw is not None and record.sender == "client" for record in session.lines())
            count = played + (count or 0)
        if session.number == number:
            break
    if count == 0:
        why, fix = "no message of a client is recorded", "name a trace that has one; --session N selects a session"
        raise BadRequest(f"there is nothing to play in {shown}", where=shown, why=why, fix=fix)


class _Run:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._name = reader.shown_name(options.file)
        self._handles: dict[str, str] = {}
        self._exit = 0

    async def play_all(self, sessions: Iterator[RecordedSession]) -> int:

        first = next(sessions)  # a file that cannot be played is reported before anything else
        async with contextlib.AsyncExitStack() as stack:
            settings = await connection_settings(self._options, self._console, stack, (_OFFLINE, _NO_KEY))
            for session in chain([first], sessions):
                if await self._play(session, settings):
                    return Exit.INTERRUPTED
        return self._exit

    async def _play(self, session: RecordedSession, settings: Settings) -> bool:
        """Play one session and report the result; whether the user stopped it."""
        options = self._options
        place = _endpoint(session, settings, options)
        prefix = f"session {session.number}: " if session.number > 1 else ""
        self._console.note(f"{prefix}playing to {place.shown}")
        replay = Replay(
            session,
            place,
            ReplayOptions(
                speed=0.0 if options.fast else options.speed,
                patience=options.patience,
                timeout=options.timeout,
                model=place.model if options.model else "",
                keep_handles=options.keep_handles,
                exact=options.exact,
            ),
            recorders=self._recorders(place),
            handles=self._handles,
            notify=lambda text: self._console.note(prefix + place.secrets.redact(text)),
        )
        result = await replay.run()
        self._report(session.number, prefix, result)
        failure = result.failure
        if failure is not None and result.count:
            self._console.error(failure)
        if failure is not None and not result.was_closed:
            self._exit = self._exit if self._exit > Exit.CHECK_FAILED else int(failure.exit_code)
        elif result.count:
            self._exit = self._exit or int(Exit.CHECK_FAILED)
        return result.interrupted

    def _recorders(self, place: Endpoint) -> list[Recorder]:
        recorders: list[Recorder] = []
        if self._options.show:
            recorders.append(TraceView(self._console.line, self._console.paint, place.secrets.redact))
        elif self._console.live:
            recorders.append(_Ticker(self._console))
        if self._options.trace:
            recorders.append(TraceFile.of(self._options.trace, place))
        return recorders

    def _report(self, session: int, prefix: str, result: ReplayResult) -> None:
        console = self._console
        for difference in result.differences:
            line = difference.lines[0] or difference.lines[1]
            side, path, words = difference.side, difference.path, difference.words
            row = {"session": session, "line": line, "side": side, "path": path, "words": words}
            console.row(row, f"{self._name}:{line} {side} {path}: {words}")
        (sent, to_send), (received, to_receive), (seconds, recorded) = result.sent, result.received, result.seconds
        if console.as_json:
            total: dict[str, Any] = {
                "session": session,
                "differences": result.count,
                "interrupted": result.interrupted,
            }
            for name, pair in (("sent", result.sent), ("received", result.received), ("seconds", result.seconds)):
                total[name] = dict(zip(("replayed", "recorded"), (round(value, 3) for value in pair), strict=True))
            console.row(total | {"failure": str(result.failure or "")}, "")
        count = plural(result.count, "difference") if result.count else "no difference"
        console.note(
            f"{prefix}{sent:,} of {plural(to_send, 'message')} sent, {received:,} received ({to_receive:,} when recorded), "
            f"{seconds:.1f} s ({recorded:.1f} s): {count}{' so far, stopped' if result.interrupted else ''}"
        )


class _Ticker(Recorder):
    """Shows the progress on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._counts = {"send": 0, "recv": 0}
        self._next = 0.0

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        self._counts[direction] += 1
        if t >= self._next:
            self._next = t + 0.2
            self._console.status(f"{t:.0f} s, {self._counts['send']:,} sent, {self._counts['recv']:,} received")

    def close(self) -> None:
        self._console.clear()


def _endpoint(session: RecordedSession, settings: Settings, options: argparse.Namespace) -> Endpoint:
    """Where to play a session: with the method and version of the recording, unless others are requested."""

    surface, version = endpoint_paths.parse_endpoint_path(session.url)
    if version and not settings.version and not settings.token:
        if (surface == "vertex") == settings.vertex:
            settings = replace(settings, version=version)
        elif surface == "vertex" and settings.url and not endpoint_paths.parse_endpoint_path(settings.url)[0]:
            url = settings.url.rstrip("/") + endpoint_paths.VERTEX.format(version=version)
            settings = replace(settings, vertex=True, url=url)
    return endpoint.resolve(settings, options.model)
