"""`livews inspect`: a page that shows sessions while they run, and writes messages into them.

- The page and the proxy listen on loopback only; the page needs the token in its URL.
- The proxy does what `livews proxy` does, with the same options.
- Sessions that livews opened itself end when the command ends.
"""

import argparse
import asyncio
import contextlib
import json
import shlex
import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from livews import endpoint, google_credentials, setup_message
from livews.cli import network, proxy
from livews.cli.console import Console
from livews.cli.server_command import ServerRun, server_run
from livews.core import models
from livews.core.conversation import Step
from livews.endpoint import Endpoint, Settings
from livews.errors import LivewsError, Unreachable
from livews.exit_codes import Exit
from livews.inspector import completion
from livews.inspector.server import PageActions, serve_inspector
from livews.inspector.sessions import SessionList, followed
from livews.proxy.injector import MessageInjector
from livews.recorder import Recorder
from livews.redactor import Redactor, redact_url
from livews.terminal_text import escape_unsafe
from livews.trace.tail import Tail
from livews.transport import Transport
from livews.version import __version__

_OFFLINE = "offline, the built-in stand-in answers"
_NO_KEY = (
    "no key is set, so the proxy forwards to the built-in stand-in; to reach Gemini set GOOGLE_API_KEY, or "
    f"if clients bring their own: --upstream wss://{endpoint.GEMINI_HOST}"
)
_SAID_WITHIN = 10.0
"""Seconds to send the first message of a session of our own."""


def run(options: argparse.Namespace, console: Console) -> int:
    if options.file == "-" or Path(options.file or "none").is_dir():
        options.parser.error("FILE is a trace that is being written: name a file, such as session.jsonl")
    return asyncio.run(_inspect(options, console))


async def _inspect(options: argparse.Namespace, console: Console) -> int:
    options.host = "127.0.0.1"
    sessions = SessionList()
    async with server_run(options, console, "inspect") as run:
        run.stack.callback(sessions.close)
        await (_follow if options.file else _forward)(run, sessions)
    return Exit.OK


async def _serve_page(run: ServerRun, sessions: SessionList, actions: PageActions) -> None:
    page = await run.listen(serve_inspector(sessions, actions, run.options.port), run.options.port)
    run.console.say(page.url)


async def _follow(run: ServerRun, sessions: SessionList) -> None:
    """Show the sessions of a trace that is being written."""

    options = run.options
    missing = not Path(options.file).exists()  # noqa: ASYNC240

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (problem := task.exception()) is not None:
            run.fail(problem)  # a page that stands still must not look like a quiet session

    tail = Tail(options.file)
    sessions.take(tail)  # a file that cannot be read is reported before there is a page
    command = escape_unsafe(f"livews --trace {shlex.quote(options.file)}")
    about = {"name": escape_unsafe(Path(options.file).name), "missing": missing, "command": command}
    await _serve_page(run, sessions, PageActions(about))
    does = "follows" if tail.session else "waits for sessions in"
    yet = ", which does not exist yet" if missing else ""
    run.console.note(f"livews inspect {does} {options.file}{yet}; Ctrl-C ends it")
    task = asyncio.create_task(followed(sessions, tail))
    task.add_done_callback(ended)
    run.stack.callback(task.cancel)


async def _forward(run: ServerRun, sessions: SessionList) -> None:
    """Show the sessions that pass a proxy."""
    options, console = run.options, run.console

    def record(number: int, url: str, redactor: Redactor, injector: MessageInjector) -> Sequence[Recorder]:
        recorders = record_files(number, url, redactor, injector)
        return [*recorders, sessions.record(number, redactor.redact(redact_url(url)), redactor, injector)]

    def failed(number: int, problem: LivewsError) -> None:
        sessions.note(f"session {number}: connection failed: {problem}" if number else str(problem))
        console.error(problem)

    settings = network.settings_of(options, console)
    stand_in = await network.offline_settings(settings, options, console, run.stack, (_OFFLINE, _NO_KEY))
    settings = stand_in or settings
    options.quiet = True  # each message is on the page; the terminal shows sessions, faults and closes only
    config = proxy.config_of(options, console, settings)
    record_files, config.record = config.record, record
    config.log, config.on_failure = console.note, failed
    server = await proxy.listen(run, config, options.proxy_port, "--proxy-port")
    own = _OwnSessions(settings, server.url, run.ca, sessions)
    run.stack.push_async_callback(own.end)
    about = {"name": server.url, "door": server.url, "upstream": config.upstream.shown, "offline": bool(stand_in),
             "draft": own.draft}  # fmt: skip
    actions = PageActions(about, own.place.surface, own.place.version, completion.table(), own.open, own.close)
    await _serve_page(run, sessions, actions)
    console.note(
        f"livews inspect shows what passes {server.url}, which goes on to {proxy.shown(config)}; Ctrl-C ends it"
    )
    if not stand_in:
        proxy.warn(options, console, config, settings)
    if run.ca is not None:
        run.say_how_to_trust(server.url)
    else:
        http = server.url.replace("ws", "http", 1)
        console.note(f"  livews                         livews --url {server.url}")
        console.note(f"  google-genai, @google/genai    GOOGLE_GEMINI_BASE_URL={http}")


class _OwnSessions:
    """Sessions that the page opens: clients of the proxy like any other."""

    def __init__(self, settings: Settings, door: str, ca: Path | None, sessions: SessionList) -> None:
        self._settings = settings
        self._door = door
        self._ca = ca
        self._sessions = sessions
        self._open: dict[int, Transport] = {}
        self.place = self._at_door(settings)
        self.draft = json.dumps(setup_message.compose(self.place.model), indent=2)
        """A setup to begin with, as JSON to be read."""

    def _at_door(self, settings: Settings) -> Endpoint:
        return endpoint.resolve(replace(settings, url=self._door), models.default_model())

    async def open(self, text: str) -> int:
        """Connect to the proxy and send `text`; the port it dials from. Raises LivewsError."""
        settings = await google_credentials.with_bearer(self._settings)
        endpoint.resolve(settings, models.default_model())  # missing credentials are reported before dialling
        there = self._at_door(settings)
        agent = f"livews/{__version__} inspect"
        port = 0

        def ended() -> None:
            self._open.pop(port, None)
            self._sessions.own.discard(port)
            self._sessions.wake()

        transport = Transport(there, agent=agent, on_end=ended)
        options: dict[str, Any] = {"ssl": ssl.create_default_context(cafile=self._ca)} if self._ca else {}
        try:
            await transport.open(_SAID_WITHIN, max_size=None, keep_alive=False, **options)
            port = transport.local_port
            self._open[port] = transport
            self._sessions.own.add(port)
            self._sessions.wake()
            async with asyncio.timeout(_SAID_WITHIN):
                if not await transport.send(Step("client", "", text.encode())):
                    raise Unreachable("the session ended", why="it ended before the first message was sent")
        except (LivewsError, TimeoutError) as problem:
            why = f"the first message could not be written within {_SAID_WITHIN:g} s"
            if isinstance(problem, LivewsError):
                why = getattr(problem, "body", "") or problem.why
            why = there.secrets.redact(why[:1_000])
            fix = "look at what livews inspect says about it on stderr"
            raise Unreachable("the session could not be opened", where=self._door, why=why, fix=fix) from None
        return port

    async def close(self, port: int) -> None:
        """Close the session that dials from `port`, with 1000."""
        if port in self._open:
            await self._open[port].leave()

    async def end(self) -> None:
        """Close all of them."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                await asyncio.gather(*(transport.close() for transport in self._open.values()))
