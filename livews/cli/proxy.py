"""`livews proxy`: a socket on this machine that passes everything on to the service, and shows it. Its URL is the first
line of stdout; all else is on stderr."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livews.cli import serve, where
from livews.cli.terminal import COLOR_HELP, Console, paragraph
from livews.printable import printable

if TYPE_CHECKING:
    from livews.core.conversation import Step
    from livews.core.errors import LivewsError
    from livews.core.judge import Finding
    from livews.endpoint import Settings
    from livews.kit.head import Upstream
    from livews.kit.proxy import Hides
    from livews.trace.writer import Direction, Opcode, Recorder

_FINE = (1000, 1001, 1005)
"""Closes that want no explanation."""
_BEARER_SECONDS = 1800.0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews proxy",
        description="Pass every byte between a client and the service on as it is, show each message, keep a trace, and "
        "say why a socket closed. Dial it in the service's place.",
        epilog="Point a client at it: livews --url URL, GOOGLE_GEMINI_BASE_URL=URL, or baseUrl in an SDK's options. "
        "The client's key goes through and is shown nowhere. HTTPS_PROXY is not used: the upstream is dialled directly.",
    )
    place = parser.add_argument_group("where").add_argument
    place("--port", type=serve._port, default=8766, help="port; 0 picks a free one (default 8766)")
    place(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default 127.0.0.1); another lets others use the proxy",
    )
    place("--tls", action="store_true", help="wss://, with a throw-away certificate authority made on the spot")
    place("--ca", default="", metavar="FILE", help="with --tls: write the authority's certificate here")
    place(
        "--upstream", default="", metavar="URL",
        help="where it goes: ws://, wss://, http:// or https://, a path prefix is kept (default: the service)",
    )  # fmt: skip
    place("--vertex", action="store_true", default=None, help="the service is Vertex AI, not the Gemini API")
    place("--location", default="", metavar="NAME", help="region, us, eu or global, for --vertex")
    place("--timeout", type=where.seconds, default=10.0, metavar="S", help="to reach the upstream (default 10)")

    what = parser.add_argument_group("who may use it, and with what").add_argument
    what(
        "--inject-key", action="store_true",
        help="put the credential of this environment in place of the client's",
    )  # fmt: skip
    what(
        "--allow-origin", action="append", default=[], metavar="ORIGIN",
        help="a web page that may connect, as in https://example.com; pages of this machine may, * is any",
    )  # fmt: skip

    look = parser.add_argument_group("what is shown").add_argument
    look(
        "--trace", default="", metavar="FILE",
        help="keep every message in FILE.jsonl; in a folder (FOLDER/): a file a session",
    )  # fmt: skip
    look(
        "--trace-media",
        choices=("keep", "elide"),
        default="keep",
        help="in a trace file: the base64, or length and hash",
    )
    look("--once", action="store_true", help="end after the first session")
    look("--quiet", action="store_true", help="sessions, faults and closes alone, not every message")
    look("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
    options = parser.parse_args(argv)
    if options.ca and not options.tls:
        parser.error("--ca goes with --tls")
    if options.location and options.upstream:
        parser.error("--location chooses a host of Vertex, --upstream names one: leave one out")
    if options.trace == "-":
        parser.error("every message is shown already: name a file after --trace, or leave it out")
    if options.inject_key and not _is_loopback(options.host):
        parser.error("--inject-key would lend your credential to the network: leave it out, or leave out --host")
    return options


def _is_loopback(host: str) -> bool:
    return bool(re.fullmatch(r"localhost|127(\.\d{1,3}){3}|::1", host))


def run(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    return asyncio.run(_proxy(options, console))


async def _proxy(options: argparse.Namespace, console: Console) -> int:
    import asyncio
    import errno
    import signal
    import sys

    from livews.core.errors import Exit, Unreachable
    from livews.kit.proxy import Policy, opened

    settings = where_to(options)
    upstream = upstream_of(settings)
    stop = asyncio.Event()
    failed: list[LivewsError] = []
    troubles: list[LivewsError] = []

    def fail(problem: LivewsError) -> None:
        failed.append(problem)
        stop.set()

    def trouble(number: int, problem: LivewsError) -> None:
        if number:
            troubles.append(problem)
            _log(console, f"session {number}: did not come to be")
        console.error(problem)

    policy = Policy(
        upstream=upstream,
        hides=_hides,
        inject=_credentials(settings, upstream) if options.inject_key else None,
        origins=options.allow_origin,
        timeout=options.timeout,
        record=_recording(options, console),
        log=lambda text: _log(console, text),
        trouble=trouble,
        fail=fail,
        session_ended=stop.set if options.once else lambda: None,
    )
    if policy.inject:
        await policy.inject()  # a credential that is missing is told now, not at the first session
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        if sys.platform != "win32":
            loop.add_signal_handler(name, stop.set)
    with contextlib.ExitStack() as stack:
        context = None
        if options.tls:
            ca = stack.enter_context(serve._ca_file(options))
            context = serve._context(ca, options.host)
        try:
            async with opened(policy, options.host, options.port, context) as door:
                console.say(door.url)
                console.note(f"livews proxy passes everything on to {upstream.shown}; Ctrl-C ends it")
                _warn(options, console, upstream, settings)
                if options.tls:
                    serve._tell_tls(console, door.url, ca)
                await stop.wait()
        except OSError as problem:
            taken = problem.errno in (errno.EADDRINUSE, errno.EACCES)
            raise Unreachable(
                f"cannot listen on {options.host}:{options.port}",
                why=problem.strerror or str(problem),
                cure="--port 0 picks a free port" if taken else "--host names an address of this machine",
            ) from None
    if failed:
        raise failed[0]
    return troubles[0].exit_code if options.once and troubles else Exit.OK


def _log(console: Console, text: str) -> None:
    """A line that --quiet leaves."""
    console.line(console.paint("dim", printable(text)))


def _warn(options: argparse.Namespace, console: Console, upstream: Upstream, settings: Settings) -> None:
    if not _is_loopback(options.host):
        console.warn(f"everyone who reaches {options.host} can use this proxy, and reads what you send through it")
    near = _is_loopback(upstream.host)
    proxies = [name for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy") if os.environ.get(name)]
    if proxies and not near:
        console.warn(f"{proxies[0]} is set and not used: the upstream is dialled directly")
    if not upstream.secure and not near:
        console.warn("the upstream is dialled without TLS: keys go over the network in the clear")
    if settings.url and not options.upstream:
        name = "GOOGLE_VERTEX_BASE_URL" if settings.vertex else "GOOGLE_GEMINI_BASE_URL"
        console.note(f"that upstream is from {name}; --upstream names another")
    if options.inject_key and settings.both_keys:
        console.warn("both GOOGLE_API_KEY and GEMINI_API_KEY are set; GOOGLE_API_KEY is used")


# Where to, and with what


def where_to(options: argparse.Namespace) -> Settings:
    """What the flags and the environment say."""
    from livews import endpoint

    return endpoint.from_environment(
        os.environ, url=options.upstream, vertex=options.vertex, location=options.location
    )


def upstream_of(settings: Settings) -> Upstream:
    """The base URL that is meant; a credential is not needed for it, since the client brings one."""
    from dataclasses import replace

    from livews import endpoint
    from livews.kit.head import Upstream

    if settings.url:
        return Upstream.of(settings.url)
    if not settings.vertex:
        return Upstream.of(f"wss://{endpoint.GEMINI_HOST}")
    if not settings.api_key:  # the project is the client's to name
        settings = replace(settings, project=settings.project or "any", token="")
    return Upstream.of(endpoint.resolve(settings, "").url)


def _hides(values: Sequence[str]) -> Hides:
    from livews.endpoint import Secrets

    return Secrets(*values)


def _credentials(settings: Settings, upstream: Upstream) -> Callable[[], Awaitable[Mapping[str, str]]]:
    """The headers that replace a client's credentials. NoCredentials when the environment has none."""
    import time
    from dataclasses import replace

    from livews import endpoint
    from livews.core.errors import NoCredentials

    bearer, until = "", 0.0

    async def headers() -> Mapping[str, str]:
        nonlocal bearer, until
        asked = replace(settings, url=upstream.shown)
        if settings.vertex and not settings.token and not settings.api_key:
            if time.monotonic() >= until:
                bearer, until = await endpoint.bearer(), time.monotonic() + _BEARER_SECONDS
            asked = replace(asked, token=bearer)
        found = endpoint.resolve(asked, "").headers
        if not found:
            raise NoCredentials(
                "--inject-key has no key to put in",
                where="environment",
                why="neither GOOGLE_API_KEY nor GEMINI_API_KEY is set",
                cure="set GOOGLE_API_KEY to a key from https://aistudio.google.com/apikey, or leave out --inject-key",
            )
        return found

    return headers


# What is shown and kept


def _recording(options: argparse.Namespace, console: Console) -> Callable[[int, str, Hides], Sequence[Recorder]]:
    from livews.endpoint import redact_url
    from livews.trace.writer import TraceFile

    names = _Names(options.trace) if options.trace else None

    def record(number: int, url: str, hides: Hides) -> Sequence[Recorder]:
        shown = Shown(number, console, hides.hide, quiet=options.quiet)
        if names is None:
            return [shown]
        path = names.take(number)
        if names.is_beside(path):
            _log(console, f"session {number}: its trace is {path}, since another session is being written")
        free = names.free

        class File(TraceFile):
            def close(self) -> None:
                super().close()
                free(path)

        url = hides.hide(redact_url(url))
        return [File(path, url=url, side="proxy", hide=hides.hide_known, media=options.trace_media), shown]

    return record


class _Names:
    """The files of --trace. One file holds sessions one after the other; two at once are kept apart."""

    def __init__(self, given: str) -> None:
        self._path = Path(given)
        self._is_folder = self._path.is_dir() or given.endswith(("/", os.sep))
        self._open: set[Path] = set()
        kept = [re.fullmatch(r"session-(\d+)\.jsonl", file.name) for file in self._path.glob("session-*.jsonl")]
        self._before = max((int(found[1]) for found in kept if found), default=0)  # what is there is not added to

    def take(self, number: int) -> Path:
        if self._is_folder:
            return self._path / f"session-{self._before + number}.jsonl"
        path, n = self._path, 1
        while path in self._open:
            n += 1
            path = self._path.with_name(f"{self._path.stem}-{n}{self._path.suffix}")
        self._open.add(path)
        return path

    def is_beside(self, path: Path) -> bool:
        return not self._is_folder and path != self._path

    def free(self, path: Path) -> None:
        self._open.discard(path)


class Shown:
    """A session on stderr: the view of its messages, what to do about what is found, and why it closed."""

    def __init__(self, number: int, console: Console, hide: Callable[[str], str], *, quiet: bool) -> None:
        from livews.trace.show import View

        self._number = number
        self._console = console
        self._hide = hide
        self._quiet = quiet
        self._view = View(self._say, console.paint, hide)
        self._cured: set[str] = set()
        self._model = ""
        self._fault: Finding | None = None
        self._closed = False

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        if not self._quiet or step.faults:
            self._view.frame(t, direction, opcode, step)
        if "setup" in step.signals:
            setup = step.body.get("setup")
            self._model = str(setup.get("model", "")) if isinstance(setup, dict) else ""
        if not step.faults and not step.notes:
            return
        from livews.core import spec

        for one in step.faults if self._quiet else step.findings:
            if one.rule not in self._cured:
                self._cured.add(one.rule)
                self._tell("do", one.cure or spec.rules()[one.rule]["do"])
        if direction == "send" and step.faults:
            self._fault = step.faults[0]

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        from livews.core import closes

        loud = kind == "close" and about["code"] not in _FINE and not self._closed
        if not self._quiet or loud:
            self._view.control(t, direction, kind, about)
        if loud and about["code"] == 1006 and direction == "send":
            self._tell("what", "The client went away without a close frame.")
            self._tell("why", "It was ended, it crashed, or it gives up a socket without closing it.")
            self._tell("do", "Nothing, if you ended it; else let it close with 1000 before it leaves.")
        elif loud:
            advice = closes.explain(about["code"], about["reason"], model=self._model)
            self._tell("what", advice.meaning)
            self._tell("why", advice.cause)
            if self._fault is not None and direction == "recv":
                self._tell("before", f"the client sent this: {self._fault}")
            self._tell("do", advice.do)
        self._closed = self._closed or kind == "close"

    def close(self) -> None:
        pass

    def _tell(self, name: str, text: str) -> None:
        if text:
            for line in paragraph(name, printable(self._hide(text))).splitlines():
                self._say(f"{'':11}{line}")

    def _say(self, line: str) -> None:
        self._console.line(f"{self._number:>3} {line}".rstrip())
