"""`livews proxy`: forward a client's connection to the service, show every message and explain the close.

`livews inspect` runs the same proxy: what they share is here.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from livews import endpoint, google_credentials
from livews.cli.console import Console
from livews.cli.network import settings_of
from livews.cli.server_command import ServerRun, SessionFiles, server_run, who_can_connect
from livews.cli.terminal_reporter import TerminalReporter
from livews.endpoint import Settings
from livews.errors import LivewsError, NoCredentials
from livews.exit_codes import Exit
from livews.loopback import is_loopback, proxy_for
from livews.proxy.injector import MessageInjector
from livews.proxy.server import MakeRecorders, ProxyConfig, ProxyServer, serve_proxy
from livews.proxy.upstream import HttpProxy, UpstreamTarget
from livews.recorder import Recorder
from livews.redactor import Redactor, redact_url
from livews.terminal_text import escape_unsafe
from livews.trace.writer import TraceFile

_BEARER_SECONDS = 1800.0


def run(options: argparse.Namespace, console: Console) -> int:
    if options.inject_key and not is_loopback(options.host):
        text = "--inject-key would lend your credential to the network: leave it out, or leave out --host"
        options.parser.error(text)
    return asyncio.run(_proxy(options, console))


async def _proxy(options: argparse.Namespace, console: Console) -> int:
    settings = settings_of(options, console)
    config = config_of(options, console, settings)
    failures: list[LivewsError] = []

    def failed(number: int, problem: LivewsError) -> None:
        if number:
            failures.append(problem)
            _log(console, f"session {number}: connection failed")
        console.error(problem)

    config.on_failure = failed
    config.log = lambda text: _log(console, text)
    async with server_run(options, console, "proxy") as run:
        config.on_session_end = run.stop.set if options.once else lambda: None
        server = await listen(run, config, options.port, "--port")
        console.say(server.url)
        console.note(f"livews proxy forwards to {shown(config)}; Ctrl-C ends it")
        warn(options, console, config, settings)
        run.say_how_to_trust(server.url)
    return failures[0].exit_code if options.once and failures else Exit.OK


async def listen(run: ServerRun, config: ProxyConfig, port: int, flag: str) -> ProxyServer:
    """Start the proxy on `port`, which was given with `flag`. NoCredentials when --inject-key has none to use."""
    config.on_fatal = run.fail
    if config.credentials:
        await config.credentials()  # report a missing credential now, not at the first session
    return await run.listen(serve_proxy(config, run.options.host, port, run.tls()), port, flag)


def _log(console: Console, text: str) -> None:
    """A line that --quiet leaves."""
    console.line(console.paint("dim", escape_unsafe(text)))


def config_of(options: argparse.Namespace, console: Console, settings: Settings) -> ProxyConfig:
    """The proxy that these options describe. BadRequest; TraceFailed when --trace cannot be written."""
    upstream = upstream_of(settings)
    endpoint.refuse_plain(upstream.shown, settings)  # what passes has the clients' keys
    via = proxy_for(upstream.host, upstream.port, upstream.secure)  # as for `livews talk`
    return ProxyConfig(
        upstream=upstream,
        via=HttpProxy.parse(via) if via else None,
        credentials=credentials(settings, upstream) if options.inject_key else None,
        origins=options.allow_origin,
        timeout=options.timeout,
        record=recording(options, console),
    )


def shown(config: ProxyConfig) -> str:
    """Where the proxy forwards to, for people."""
    return config.upstream.shown + (f" through {config.via.shown}" if config.via else "")


def warn(options: argparse.Namespace, console: Console, config: ProxyConfig, settings: Settings) -> None:
    """Warn of what these options expose."""
    if others := who_can_connect(options.host):
        console.warn(f"{others} can use this proxy, and reads what you send through it")
    if not config.upstream.secure and not is_loopback(config.upstream.host):
        console.warn("the upstream is dialled without TLS: keys cross the network unencrypted")
    if settings.url_from.isupper():
        console.note(f"that upstream is from {settings.url_from}; --upstream names another")
    if options.inject_key and settings.both_keys:
        console.warn("both GOOGLE_API_KEY and GEMINI_API_KEY are set; GOOGLE_API_KEY is used")


# The upstream and its credentials


def upstream_of(settings: Settings) -> UpstreamTarget:
    """The base URL; it needs no credential, since the client brings one."""

    if settings.url:
        return UpstreamTarget.parse(settings.url)
    if not settings.vertex:
        return UpstreamTarget.parse(f"wss://{endpoint.GEMINI_HOST}")
    if not settings.api_key:  # the client names the project
        settings = replace(settings, project=settings.project or "any", token="")
    return UpstreamTarget.parse(endpoint.resolve(settings, "").url)


def credentials(settings: Settings, upstream: UpstreamTarget) -> Callable[[], Awaitable[Mapping[str, str]]]:
    """Makes the headers that replace a client's credentials. NoCredentials when the environment has none."""

    bearer, until = "", 0.0

    async def headers() -> Mapping[str, str]:
        nonlocal bearer, until
        target = replace(settings, url=upstream.shown)
        if settings.vertex and not settings.token and not settings.api_key:
            if time.monotonic() >= until:
                bearer, until = await google_credentials.bearer(), time.monotonic() + _BEARER_SECONDS
            target = replace(target, token=bearer)
        if not (headers := endpoint.resolve(target, "").headers):
            raise NoCredentials(
                "--inject-key has no key to use",
                where="environment",
                why="neither GOOGLE_API_KEY nor GEMINI_API_KEY is set",
                fix="set GOOGLE_API_KEY to a key from https://aistudio.google.com/apikey, or leave out --inject-key",
            )
        return headers

    return headers


# Recorders


def recording(options: argparse.Namespace, console: Console) -> MakeRecorders:
    """What makes the recorders of a session."""
    files = SessionFiles(options.trace) if options.trace else None
    if files is not None:
        TraceFile.check(files.first)

    def record(number: int, url: str, redactor: Redactor, injector: MessageInjector) -> Sequence[Recorder]:
        conversation = injector.observer.conversation
        reporter = TerminalReporter(number, console, redactor.redact, conversation, quiet=options.quiet)
        if files is None:
            return [reporter]
        path = files.take(number)
        if files.is_beside(path):
            _log(console, f"session {number}: its trace is {path}, since another session is being written")
        free = files.free

        class File(TraceFile):
            def close(self) -> None:
                super().close()
                free(path)

        url = redactor.redact(redact_url(url))
        trace = File(path, url=url, side="proxy", secrets=redactor, media=options.trace_media)
        trace.inserted = lambda: injector.observer.injected
        return [trace, reporter]

    return record
