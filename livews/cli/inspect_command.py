"""`livews inspect`: a page that shows sessions while they run, and writes into them. Its URL is the first line of stdout.

- The page and the proxy's door listen on loopback alone; whoever has no token has no page.
- What the door does is what `livews proxy` does, with the same flags.
- Sessions that livews opened itself end when it ends.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livews.cli import connection_options, listen_options, proxy, tls_options
from livews.cli.console import COLOR_HELP, Console
from livews.cli.signals import stopped_by_signals
from livews.terminal_text import escape_unsafe
from livews.version import __version__

if TYPE_CHECKING:
    from livews.endpoint import Endpoint, Settings
    from livews.errors import LivewsError
    from livews.inspector.server import InspectorServer, PageActions
    from livews.inspector.sessions import SessionList
    from livews.proxy.injector import MessageInjector
    from livews.proxy.observer import ConnectionObserver
    from livews.recorder import Recorder
    from livews.redactor import Redactor
    from livews.transport import Transport

_HOST = "127.0.0.1"
_DOOR = ("proxy_port", "upstream", "vertex", "location", "timeout", "offline", "inject_key", "allow_origin", "trace",
         "trace_media", "tls", "ca")  # fmt: skip
"""What is about the door, which there is not with a FILE."""
_SAID_WITHIN = 10.0
"""Seconds for the first message of a session of our own to be written."""
_WORDS = 1_000
"""Characters of an answer that are told."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews inspect",
        description="A page on this machine that shows sessions while they run: every message as it comes, with what "
        "the schemas say of it, faults and closes explained, both sides' sound, and a composer to write messages "
        "of your own. Sessions are those that pass its proxy; with FILE, those that are being written there.",
        epilog="Open the URL of the first line. Point a client at the proxy, or press Open session on the page.",
    )
    parser.add_argument("file", nargs="?", default="", metavar="FILE", help="follow this trace while it is written")
    place = parser.add_argument_group("where").add_argument
    place("--port", type=listen_options.port, default=8767, help="of the page; 0 picks a free one (default 8767)")
    place(
        "--proxy-port", type=listen_options.port, default=8766, help="of the proxy; 0 picks a free one (default 8766)"
    )
    tls_options.add_flags(place)
    proxy.add_upstream(place)
    place("--offline", action="store_true", help="it goes to the built-in stand-in, also when a key is set")
    proxy.add_clients(parser.add_argument_group("who may use the proxy, and with what").add_argument)
    look = parser.add_argument_group("what is kept and told").add_argument
    proxy.add_trace(look)
    look("--quiet", action="store_true", help="faults and closes alone on stderr")
    look("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
    options = parser.parse_args(argv)
    proxy.check(parser, options)
    if options.offline and (options.upstream or options.vertex):
        parser.error("--offline is the built-in stand-in: leave out --upstream and --vertex")
    given = [flag for flag in _DOOR if getattr(options, flag) != parser.get_default(flag)]
    if options.file and given:
        parser.error(f"--{given[0].replace('_', '-')} is about the proxy, and with FILE there is none: leave one out")
    if options.file == "-" or (options.file and Path(options.file).is_dir()):
        parser.error("FILE is a trace that is being written: name a file, as in session.jsonl")
    options.missing = bool(options.file) and not Path(options.file).exists()
    options.host = _HOST
    return options


def run(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    return asyncio.run(_inspect(options, console))


async def _inspect(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    from livews.exit_codes import Exit
    from livews.inspector.sessions import SessionList

    stop = asyncio.Event()
    failed: list[Exception] = []

    def fail(problem: Exception) -> None:
        failed.append(problem)
        stop.set()

    sessions = SessionList()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(stopped_by_signals(stop))
        stack.callback(sessions.close)
        work = _follow(options, console, sessions, fail) if options.file else _pass(options, console, sessions, fail)
        await stack.enter_async_context(work)
        await stop.wait()
    if failed:
        raise failed[0]
    return Exit.OK


@contextlib.asynccontextmanager
async def _page(
    options: argparse.Namespace, console: Console, sessions: SessionList, desk: PageActions
) -> AsyncIterator[InspectorServer]:
    from livews.inspector.server import serve_inspector

    async with contextlib.AsyncExitStack() as stack:
        try:
            page = await stack.enter_async_context(serve_inspector(sessions, desk, options.port))
        except OSError as problem:
            raise listen_options.cannot(options, problem) from None
        console.say(page.url)
        yield page


# A trace that is being written


@contextlib.asynccontextmanager
async def _follow(
    options: argparse.Namespace, console: Console, sessions: SessionList, fail: Callable[[Exception], None]
) -> AsyncIterator[None]:
    import asyncio
    import shlex

    from livews.inspector.server import PageActions
    from livews.inspector.sessions import followed
    from livews.trace.tail import Tail

    async def keep_up() -> None:
        try:
            await followed(sessions, tail)
        except Exception as problem:  # whatever it is, a page that stands still must not look like a quiet session
            fail(problem)

    tail = Tail(options.file)
    sessions.take(tail)  # what cannot be read is told before a page is
    command = f"livews --trace {shlex.quote(options.file)}"
    about = {
        "name": escape_unsafe(Path(options.file).name),
        "missing": options.missing,
        "command": escape_unsafe(command),
    }
    async with _page(options, console, sessions, PageActions(about)):
        there = "follows" if tail.session else "waits for sessions in"
        yet = ", which does not exist yet" if options.missing else ""
        console.note(f"livews inspect {there} {options.file}{yet}; Ctrl-C ends it")
        task = asyncio.create_task(keep_up())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


# What passes the proxy


@contextlib.asynccontextmanager
async def _pass(
    options: argparse.Namespace, console: Console, sessions: SessionList, fail: Callable[[Exception], None]
) -> AsyncIterator[None]:
    from livews.inspector import completion
    from livews.inspector.server import PageActions
    from livews.proxy.server import ProxyConfig, serve_proxy
    from livews.redactor import redact_url
    from livews.trace.writer import TraceFile

    def log(text: str) -> None:
        if not options.quiet:
            console.note(text)

    def trouble(number: int, problem: LivewsError) -> None:
        sessions.note(f"session {number}: connection failed: {problem}" if number else str(problem))
        console.error(problem)

    files: dict[int, TraceFile] = {}

    def record(number: int, url: str, redactor: Redactor) -> Sequence[Recorder]:
        recorders = kept(number, url, redactor)
        files.update((number, one) for one in recorders if isinstance(one, TraceFile))
        return [*recorders, sessions.record(number, redactor.redact(redact_url(url)), redactor)]

    def on_session(number: int, observer: ConnectionObserver, injector: MessageInjector) -> None:
        sessions.passes(number, observer, injector)
        if number in files:
            files.pop(number).inserted = lambda: observer.injected

    async with contextlib.AsyncExitStack() as stack:
        settings, offline = await _settle(options, console, stack)
        upstream = proxy.upstream_of(settings)
        # each message is on the page; a terminal is told of sessions, faults and closes
        kept = proxy.recording(argparse.Namespace(**{**vars(options), "quiet": True}), console)
        policy = ProxyConfig(
            upstream=upstream,
            via=proxy.through(upstream),
            credentials=proxy.credentials(settings, upstream) if options.inject_key else None,
            origins=options.allow_origin,
            timeout=options.timeout,
            record=record,
            log=log,
            on_failure=trouble,
            on_fatal=fail,
            on_session=on_session,
        )
        if policy.credentials:
            await policy.credentials()  # a credential that is missing is told now, not at the first session
        context = ca = None
        if options.tls:
            ca = stack.enter_context(tls_options.ca_file(options))
            context = tls_options.context(ca, _HOST, "inspect")
        try:
            door = await stack.enter_async_context(serve_proxy(policy, _HOST, options.proxy_port, context))
        except OSError as problem:
            wanted = argparse.Namespace(host=_HOST, port=options.proxy_port)
            cannot = listen_options.cannot(wanted, problem)
            cannot.fix = cannot.fix.replace("--port", "--proxy-port")
            raise cannot from None
        own = _Own(settings, door.url, ca, sessions)
        stack.push_async_callback(own.end)
        about = {
            "name": door.url,
            "door": door.url,
            "upstream": upstream.shown,
            "offline": offline,
            "draft": own.draft,
        }
        await stack.enter_async_context(
            _page(
                options,
                console,
                sessions,
                PageActions(about, own.place.surface, own.place.version, completion.table(), own.open, own.close),
            )
        )
        way = f" through {policy.via.shown}" if policy.via else ""
        console.note(
            f"livews inspect shows what passes {door.url}, which goes on to {upstream.shown}{way}; Ctrl-C ends it"
        )
        if not offline:
            proxy.warn(options, console, upstream, settings)
        if ca is not None:
            tls_options.tell(console, door.url, ca)
        else:
            console.note(f"  livews                         livews --url {door.url}")
            console.note(
                f"  google-genai, @google/genai    GOOGLE_GEMINI_BASE_URL={door.url.replace('ws', 'http', 1)}"
            )
        yield


async def _settle(
    options: argparse.Namespace, console: Console, stack: contextlib.AsyncExitStack
) -> tuple[Settings, bool]:
    """Where the door leads, and whether that is the built-in stand-in."""
    from livews import endpoint

    settings = proxy.where_to(options)
    if not options.offline and settings.has_credentials:
        return settings, False
    if options.offline:
        console.note("livews: offline, the built-in stand-in answers")
    else:
        console.note(
            "livews: no key is set, so the proxy leads to the built-in stand-in; to reach Gemini set GOOGLE_API_KEY, or "
            f"where clients bring their own: --upstream wss://{endpoint.GEMINI_HOST}"
        )
    return await connection_options.built_in(stack), True


class _Own:
    """Sessions that the page opens: clients of the proxy like any other."""

    def __init__(self, settings: Settings, door: str, ca: Path | None, sessions: SessionList) -> None:
        self._settings = settings
        self._door = door
        self._ca = ca
        self._sessions = sessions
        self._open: dict[int, Transport] = {}
        self.place = self._at_door(settings)

    def _at_door(self, settings: Settings) -> Endpoint:
        from livews import endpoint
        from livews.core import models

        return endpoint.resolve(replace(settings, url=self._door), models.default_model())

    @property
    def draft(self) -> str:
        """A setup to begin with, as JSON to be read."""
        import json

        from livews import setup_message

        return json.dumps(setup_message.compose(self.place.model), indent=2)

    async def open(self, text: str) -> int:
        """Connect to the proxy and send `text`; the port it dials from. Raises LivewsError."""
        import asyncio
        import ssl

        from livews import endpoint, google_credentials
        from livews.core import models
        from livews.core.conversation import Step
        from livews.errors import LivewsError, Refused, Unreachable
        from livews.transport import Transport

        settings = await google_credentials.with_bearer(self._settings)
        endpoint.resolve(settings, models.default_model())  # missing credentials are reported before dialling
        there = self._at_door(settings)
        agent = f"livews/{__version__} inspect"
        transport = Transport(there, agent=agent, on_end=lambda: self._ended(transport))
        options: dict[str, Any] = {"ssl": ssl.create_default_context(cafile=self._ca)} if self._ca else {}
        try:
            await transport.open(_SAID_WITHIN, max_size=None, ping_interval=None, **options)
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
                why = (problem.body if isinstance(problem, Refused) else "") or problem.why
            raise Unreachable(
                "the session could not be opened",
                where=self._door,
                why=there.secrets.redact(why[:_WORDS]),
                fix="look at what livews inspect says about it on stderr",
            ) from None
        return port

    async def close(self, port: int) -> None:
        """Close the session that dials from `port`, with 1000."""
        if port in self._open:
            await self._open[port].leave()

    async def end(self) -> None:
        """Close all of them."""
        import asyncio

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                await asyncio.gather(*(transport.close() for transport in [*self._open.values()]))

    def _ended(self, transport: Transport) -> None:
        for port in [port for port, other in self._open.items() if other is transport]:
            del self._open[port]
            self._sessions.own.discard(port)
        self._sessions.wake()
