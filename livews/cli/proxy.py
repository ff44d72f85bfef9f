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

from livews.cli import connection_options, listen_options, tls_options
from livews.cli.console import COLOR_HELP, Console, paragraph
from livews.cli.signals import stopped_by_signals
from livews.terminal_text import escape_unsafe

if TYPE_CHECKING:
    from asyncio import TimerHandle

    from livews.core.conversation import Step
    from livews.core.rules import Finding
    from livews.core.schema import Sender
    from livews.endpoint import Settings
    from livews.errors import LivewsError
    from livews.proxy.upstream import HttpProxy, UpstreamTarget
    from livews.recorder import Direction, Opcode, Recorder
    from livews.redactor import Redactor

_BEARER_SECONDS = 1800.0
_SETUP_SECONDS = 10.0
"""The service answers a setup in well under a second."""
_STALL_SECONDS = 20.0
"""As `livews talk` has it: nothing comes for so long within a turn."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews proxy",
        description="Pass every byte between a client and the service on as it is, show each message, keep a trace, and "
        "say why a socket closed. Dial it in the service's place.",
        epilog="Point a client at it: livews --url URL, GOOGLE_GEMINI_BASE_URL=URL, or baseUrl in an SDK's options. "
        "The client's key goes through and is shown nowhere. HTTPS_PROXY and NO_PROXY are about the way to the upstream.",
    )
    place = parser.add_argument_group("where").add_argument
    place("--port", type=listen_options.port, default=8766, help="port; 0 picks a free one (default 8766)")
    place(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default 127.0.0.1); another lets others use the proxy",
    )
    tls_options.add_flags(place)
    add_upstream(place)
    add_clients(parser.add_argument_group("who may use it, and with what").add_argument)
    look = parser.add_argument_group("what is shown").add_argument
    add_trace(look)
    look("--once", action="store_true", help="end after the first session")
    look("--quiet", action="store_true", help="sessions, faults and closes alone, not every message")
    look("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
    options = parser.parse_args(argv)
    check(parser, options)
    if options.inject_key and not _near(options.host):
        parser.error("--inject-key would lend your credential to the network: leave it out, or leave out --host")
    return options


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """What a proxy's flags may not be together."""
    tls_options.check(parser, options)
    if options.location and options.upstream:
        parser.error("--location chooses a host of Vertex, --upstream names one: leave one out")
    if options.trace == "-":
        parser.error("every message is shown already: name a file after --trace, or leave it out")


def add_upstream(add: Callable[..., Any]) -> None:
    """Where it goes; `add` is the add_argument of a parser or of a group of it."""
    add(
        "--upstream", default="", metavar="URL",
        help="where it goes: ws://, wss://, http:// or https://, a path prefix is kept (default: the service)",
    )  # fmt: skip
    add("--vertex", action="store_true", default=None, help="the service is Vertex AI, not the Gemini API")
    add("--location", default="", metavar="NAME", help="region, us, eu or global, for --vertex")
    add(
        "--timeout", type=connection_options.seconds, default=10.0, metavar="S",
        help="to reach the upstream, and as long for its answer to the upgrade; then clients get a 504 (default 10)",
    )  # fmt: skip


def add_clients(add: Callable[..., Any]) -> None:
    """Who may use it, and with what."""
    add(
        "--inject-key", action="store_true",
        help="put the credential of this environment in place of the client's",
    )  # fmt: skip
    add(
        "--allow-origin", action="append", type=_origin, default=[], metavar="ORIGIN",
        help="a web page that may connect, as in https://example.com; pages of this machine may, * is any",
    )  # fmt: skip


def add_trace(add: Callable[..., Any]) -> None:
    """What is kept."""
    add(
        "--trace", default="", metavar="FILE",
        help="keep every message in FILE.jsonl; in a folder (FOLDER/): a file a session",
    )  # fmt: skip
    add(
        "--trace-media",
        choices=("keep", "elide"),
        default="keep",
        help="in a trace file: the base64, or length and hash",
    )


def _origin(text: str) -> str:
    """As a browser writes it: no path, no slash behind it, and no port that its scheme has anyway."""
    found = re.fullmatch(r"\*|null|(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?/?", text.lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no origin: write it as in https://example.com, or * for any")
    scheme, host, port = found.groups()
    if scheme is None:
        return text
    return f"{scheme}://{host}{'' if port == {'http': ':80', 'https': ':443'}[scheme] else port or ''}"


def run(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    return asyncio.run(_proxy(options, console))


async def _proxy(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    from livews.exit_codes import Exit
    from livews.proxy.server import ProxyConfig, serve_proxy

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
            _log(console, f"session {number}: connection failed")
        console.error(problem)

    via = through(upstream)
    policy = ProxyConfig(
        upstream=upstream,
        via=via,
        credentials=credentials(settings, upstream) if options.inject_key else None,
        origins=options.allow_origin,
        timeout=options.timeout,
        record=recording(options, console),
        log=lambda text: _log(console, text),
        on_failure=trouble,
        on_fatal=fail,
        on_session_end=stop.set if options.once else lambda: None,
    )
    if policy.credentials:
        await policy.credentials()  # a credential that is missing is told now, not at the first session
    with contextlib.ExitStack() as stack:
        stack.enter_context(stopped_by_signals(stop))
        context = None
        if options.tls:
            ca = stack.enter_context(tls_options.ca_file(options))
            context = tls_options.context(ca, options.host, "proxy")
        try:
            async with serve_proxy(policy, options.host, options.port, context) as door:
                console.say(door.url)
                way = f" through {via.shown}" if via else ""
                console.note(f"livews proxy passes everything on to {upstream.shown}{way}; Ctrl-C ends it")
                warn(options, console, upstream, settings)
                if options.tls:
                    tls_options.tell(console, door.url, ca)
                await stop.wait()
        except OSError as problem:
            raise listen_options.cannot(options, problem) from None
    if failed:
        raise failed[0]
    return troubles[0].exit_code if options.once and troubles else Exit.OK


def _log(console: Console, text: str) -> None:
    """A line that --quiet leaves."""
    console.line(console.paint("dim", escape_unsafe(text)))


def warn(options: argparse.Namespace, console: Console, upstream: UpstreamTarget, settings: Settings) -> None:
    """What somebody should know who starts it like this."""
    if not _near(options.host):
        console.warn(f"everyone who reaches {options.host} can use this proxy, and reads what you send through it")
    if not upstream.secure and not _near(upstream.host):
        console.warn("the upstream is dialled without TLS: keys go over the network in the clear")
    if settings.url and not options.upstream:
        name = "GOOGLE_VERTEX_BASE_URL" if settings.vertex else "GOOGLE_GEMINI_BASE_URL"
        console.note(f"that upstream is from {name}; --upstream names another")
    if options.inject_key and settings.both_keys:
        console.warn("both GOOGLE_API_KEY and GEMINI_API_KEY are set; GOOGLE_API_KEY is used")


def _near(host: str) -> bool:
    from livews.loopback import is_loopback

    return is_loopback(host)


# Where to, and with what


def where_to(options: argparse.Namespace) -> Settings:
    """What the flags and the environment say."""
    from livews import endpoint

    return endpoint.from_environment(
        os.environ, url=options.upstream, vertex=options.vertex, location=options.location
    )


def upstream_of(settings: Settings) -> UpstreamTarget:
    """The base URL that is meant; a credential is not needed for it, since the client brings one."""
    from dataclasses import replace

    from livews import endpoint
    from livews.proxy.upstream import UpstreamTarget

    if settings.url:
        return UpstreamTarget.parse(settings.url)
    if not settings.vertex:
        return UpstreamTarget.parse(f"wss://{endpoint.GEMINI_HOST}")
    if not settings.api_key:  # the project is the client's to name
        settings = replace(settings, project=settings.project or "any", token="")
    return UpstreamTarget.parse(endpoint.resolve(settings, "").url)


def through(upstream: UpstreamTarget) -> HttpProxy | None:
    """The HTTP proxy that the environment names for this upstream, as for `livews talk`. BadRequest."""
    from livews.loopback import proxy_for
    from livews.proxy.upstream import HttpProxy

    url = proxy_for(upstream.host, upstream.port, upstream.secure)
    return HttpProxy.parse(url) if url else None


def credentials(settings: Settings, upstream: UpstreamTarget) -> Callable[[], Awaitable[Mapping[str, str]]]:
    """The headers that replace a client's credentials. NoCredentials when the environment has none."""
    import time
    from dataclasses import replace

    from livews import endpoint, google_credentials
    from livews.errors import NoCredentials

    bearer, until = "", 0.0

    async def headers() -> Mapping[str, str]:
        nonlocal bearer, until
        asked = replace(settings, url=upstream.shown)
        if settings.vertex and not settings.token and not settings.api_key:
            if time.monotonic() >= until:
                bearer, until = await google_credentials.bearer(), time.monotonic() + _BEARER_SECONDS
            asked = replace(asked, token=bearer)
        found = endpoint.resolve(asked, "").headers
        if not found:
            raise NoCredentials(
                "--inject-key has no key to put in",
                where="environment",
                why="neither GOOGLE_API_KEY nor GEMINI_API_KEY is set",
                fix="set GOOGLE_API_KEY to a key from https://aistudio.google.com/apikey, or leave out --inject-key",
            )
        return found

    return headers


# What is shown and kept


def recording(options: argparse.Namespace, console: Console) -> Callable[[int, str, Redactor], Sequence[Recorder]]:
    """What makes the recorders of a session. TraceFailed when --trace names what is no trace, or cannot be written."""
    from livews.redactor import redact_url
    from livews.trace.writer import TraceFile

    names = _Names(options.trace) if options.trace else None
    if names is not None:
        TraceFile.check(names.first)

    def record(number: int, url: str, redactor: Redactor) -> Sequence[Recorder]:
        shown = TerminalReporter(number, console, redactor.redact, quiet=options.quiet)
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

        url = redactor.redact(redact_url(url))
        return [File(path, url=url, side="proxy", redact=redactor.redact_known, media=options.trace_media), shown]

    return record


class _Names:
    """The files of --trace. One file holds sessions one after the other; two at once are kept apart."""

    def __init__(self, given: str) -> None:
        self._path = Path(given)
        self._is_folder = self._path.is_dir() or given.endswith(("/", os.sep))
        self._open: set[Path] = set()
        kept = [re.fullmatch(r"session-(\d+)\.jsonl", file.name) for file in self._path.glob("session-*.jsonl")]
        self._before = max((int(found[1]) for found in kept if found), default=0)  # what is there is not added to

    @property
    def first(self) -> Path:
        """The file of the first session."""
        return self._in_folder(1) if self._is_folder else self._path

    def _in_folder(self, number: int) -> Path:
        return self._path / f"session-{self._before + number}.jsonl"

    def take(self, number: int) -> Path:
        if self._is_folder:
            return self._in_folder(number)
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


class _Wait:
    """Calls `tell` once when it was started, and nothing was heard for `seconds`."""

    def __init__(self, seconds: float, tell: Callable[[], None]) -> None:
        self._seconds = seconds
        self._tell = tell
        self._timer: TimerHandle | None = None
        self._at = 0.0

    def start(self) -> None:
        import asyncio

        self.stop()
        self._at = asyncio.get_running_loop().time()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def heard(self) -> bool:
        """It goes on from here; False when it does not run. A frame costs no timer."""
        import asyncio

        if self._timer is not None:
            self._at = asyncio.get_running_loop().time()
        return self._timer is not None

    def stop(self) -> bool:
        """It is over. Did it run?"""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return timer is not None

    def _look(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        if loop.time() < self._at + self._seconds:
            self._timer = loop.call_at(self._at + self._seconds, self._look)
            return
        self._timer = None
        self._tell()


class TerminalReporter:
    """A session on stderr: the view of its messages, what to do about what is found, and why it closed."""

    def __init__(
        self,
        number: int,
        console: Console,
        redact: Callable[[str], str],
        *,
        quiet: bool,
        patience: float = _SETUP_SECONDS,
        stall: float = _STALL_SECONDS,
    ) -> None:
        from livews.trace.view import TraceView

        self._number = number
        self._console = console
        self._hide = redact
        self._quiet = quiet
        self._view = TraceView(self._say, console.paint, redact)
        self._cured: set[str] = set()
        self._model = ""
        self._fault: Finding | None = None
        """The first fault of the client's last message that had one."""
        self._last: Finding | None = None
        """The first fault of the client's last message."""
        self._closed = False
        self._setup = _Wait(patience, self._tell_unanswered)
        """Runs while a setup waits for setupComplete."""
        self._stall = _Wait(stall, lambda: self._tell_stalled(stall))
        """Runs while the service owes something: after a prompt or an answer, and as long as its reply is on the way."""

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        if not self._quiet or step.faults:
            self._view.frame(t, direction, opcode, step)
        else:
            self._view.passed(step)
        if "setup" in step.signals:
            setup = step.body.get("setup")
            self._model = str(setup.get("model", "")) if isinstance(setup, dict) else ""
            self._setup.start()
        if "setupComplete" in step.signals:
            self._setup.stop()
        self._owed(direction, step)
        if direction == "send":
            self._last = step.faults[0] if step.faults else None
            self._fault = self._last or self._fault
        if not step.faults and not step.notes:
            return
        for one in step.faults if self._quiet else step.findings:
            if one.rule not in self._cured:
                self._cured.add(one.rule)
                self._tell("do", self._cure(one))

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        from livews.core import closes

        by: Sender = "client" if direction == "send" else "server"
        loud = kind == "close" and not closes.is_fine(about["code"], by) and not self._closed
        if not self._quiet or loud:
            self._view.control(t, direction, kind, about)
        if kind == "close":
            self._stall.stop()
            if self._setup.stop() and (by == "client" or not loud or about["code"] == 1006):  # else it says why
                self._tell_unanswered()
            if loud:
                self._explain(direction, about["code"], about["reason"])
            self._closed = True

    def _explain(self, direction: Direction, code: int, reason: str) -> None:
        from livews.core import closes, protocol

        by: Sender = "client" if direction == "send" else "server"
        reason = self._hide(reason)
        advice = closes.explain(code, reason, model=self._hide(self._model), by=by)
        # one reason for many causes, or nobody has written it down: what was found says more than all that is known
        vague = advice.kind == "arguments" and (bool(advice.also) or not advice.known)
        if vague and self._last is not None and direction == "recv":
            said = f"the client's last message is the likely cause: {self._hide(str(self._last))}"
            self._tell("before", said)
            self._tell("do", self._cure(self._last))
            if advice.known:
                self._tell("more", f'livews explain {code} "{protocol.close_row(advice.id)["reason"]}"')
            return
        self._tell("what", advice.meaning)
        self._tell("why", advice.cause)
        if self._fault is not None and direction == "recv":
            self._tell("before", f"the client sent this: {self._hide(str(self._fault))}")
        self._tell("do", advice.do)

    def _cure(self, one: Finding) -> str:
        from livews.core import protocol

        return self._hide(one.fix) or str(protocol.rules()[one.rule]["do"])

    def close(self) -> None:
        self._setup.stop()
        self._stall.stop()
        self._view.close()

    def _owed(self, direction: Direction, step: Step) -> None:
        """Behind generationComplete the service waits until all has been played, and behind a call for the client."""
        if direction == "send":
            if not step.faults and ("prompt" in step.signals or "toolResponse" in step.signals):
                self._stall.start()
        elif any(effect in step.effects for effect in ("endAudio", "endTurn", "callTools")):
            self._stall.stop()
        elif not self._stall.heard() and "modelTurn" in step.signals:
            self._stall.start()

    def _tell_unanswered(self) -> None:
        from livews.core import rules

        finding = rules.unanswered_setup()
        self._view.find(finding)
        self._tell("why", "The service answers within a second, or closes; another server may not know the message.")
        self._tell("do", finding.fix)

    def _tell_stalled(self, seconds: float) -> None:
        said = f"nothing has come for {seconds:g} s; the service may have stalled"
        self._say(f"{'':8}  !  {self._console.paint('warn', said)}")
        self._tell("why", "The socket is open and the service says nothing, not even why.")
        self._tell("do", "Look at what was sent last; if nothing comes, dial again, with the newest handle.")

    def _tell(self, name: str, text: str) -> None:
        """`text` holds no credential: what is of the wire in it has been hidden. (Advice on keys names ?key= itself.)"""
        if text:
            for line in paragraph(name, escape_unsafe(text)).splitlines():
                self._say(f"{'':11}{line}")

    def _say(self, line: str) -> None:
        self._console.line(f"{self._number:>3} {line}".rstrip())
