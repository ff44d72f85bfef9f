"""`livews doctor`: check what a conversation needs, in that order, one line a check.

- A failed step of the network makes those that need it "skip": one cause, one failure.
- What is optional never fails. The exit code is that of the first failure, 0 if there is none.
- No credential is shown: every text is redacted.
- No check hangs: what waits for others waits for a bounded time.
- Nothing is paid for: a turn is taken only with --turn.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import re
import shutil
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

from livews import client, endpoint, google_credentials, process
from livews.audio import portaudio
from livews.audio.analysis.levels import loudness
from livews.audio.analysis.pcm import seconds_of
from livews.audio.microphone import Microphone
from livews.audio.portaudio import AudioUnavailable
from livews.audio.speaker import NothingPlays, Speaker
from livews.cli import network, signals
from livews.cli.console import Console
from livews.connect_errors import SERVER, TlsTimeout, unreachable
from livews.core import events as e
from livews.core import models
from livews.core.codec import OUTPUT_RATE
from livews.core.conversation import Step
from livews.endpoint import Settings
from livews.errors import BadRequest, LivewsError, NoCredentials, Unreachable
from livews.exit_codes import Exit
from livews.loopback import proxy_for
from livews.recorder import Direction, Opcode, Recorder
from livews.redactor import Redactor, redact_url, url_credentials
from livews.session.session import Session
from livews.terminal_text import escape_unsafe, one_line, paragraph
from livews.version import __version__

TURN = "Answer with the one word: ready."

PACKAGES = ("websockets", "sounddevice", "orjson", "pybase64", "jsonschema-rs")
SILENCE, LISTEN = 0.2, 0.5
"""Seconds that are played and recorded."""
SLOW = 1.0
"""Seconds lost on addresses that do not answer from which on there is a warning."""
EXPIRES_SOON = 7 * 86_400
KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
TOKENS = ("GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN")
PROXIES = ("WSS_PROXY", "WS_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "SOCKS_PROXY")
URLS = ("GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL")
FILES = ("SSL_CERT_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "LIVEWS_PORTAUDIO")
PLAIN = (
    "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_API_VERSION", "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_LOCATION", "NO_PROXY", "no_proxy", "SSL_CERT_DIR", "PULSE_SERVER",
)  # fmt: skip
MAY_HOLD_SECRETS = (*URLS, *PROXIES)
PROGRAMS = {"ffmpeg": "pictures of a camera", "espeak-ng": "a voice for the stand-in"}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report.

    Attributes:
        verdict: "ok", "warn", "fail" or "skip".
        exit: the exit code if this is the first failure.
    """

    name: str
    verdict: str
    text: str
    fix: str = ""
    ms: float | None = None
    exit: Exit = Exit.CHECK_FAILED


def failed(name: str, problem: LivewsError, ms: float | None = None) -> CheckResult:
    """The row of a failure, in the words it has everywhere in livews."""
    text = f"{problem.what}: {problem.why}" if problem.why else problem.what
    return CheckResult(name, "fail", text, problem.fix, ms, Exit(problem.exit_code))


def since(start: float) -> float:
    """Milliseconds since a time of `time.monotonic`."""
    return 1000 * (time.monotonic() - start)


def run(options: argparse.Namespace, console: Console) -> int:
    return signals.run(_Doctor(options, console).run())


class _Doctor:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._env = env = console.environment.variables
        self._secrets = [env.get(name, "").strip() for name in (*KEYS, *TOKENS)] + [options.token]
        for url in (options.url, *(value for name, value in env.items() if name.upper() in MAY_HOLD_SECRETS)):
            self._secrets += url_credentials(url)
        self._redactor = Redactor(*self._secrets)
        self._rows: list[CheckResult] = []

    async def run(self) -> int:
        self._report(python_and_packages())
        async with contextlib.AsyncExitStack() as stack:
            settings = await self._credentials(stack)
            self._report(environment(self._env))
            await self._network(settings)
        if not self._options.mute:
            await self._check("sound out", sound_out())
            await self._check("sound in", sound_in())
        self._report(programs())
        self._report(extras())
        failures = [row for row in self._rows if row.verdict == "fail"]
        if failures:
            self._console.warn(f"failed: {', '.join(row.name for row in failures)}")
            return failures[0].exit
        self._console.note("livews: nothing failed")
        return Exit.OK

    def _report(self, row: CheckResult) -> None:
        console = self._console
        self._rows.append(row)
        text, fix = (one_line(self._redactor.redact(words)) for words in (row.text, row.fix))
        if console.as_json:
            line: dict[str, Any] = {"check": row.name, "verdict": row.verdict, "text": text, "do": fix}
            line["ms"] = None if row.ms is None else round(row.ms, 1)
            console.row({name: value for name, value in line.items() if value not in ("", None)}, "")
            return
        style = {"ok": "recv", "warn": "warn", "fail": "error", "skip": "dim"}[row.verdict]
        took = f"{row.ms:.0f} ms" if row.ms is not None else ""
        verdict = console.paint_result(style, f"{row.verdict:<4}")
        console.write(f"{verdict}  {row.name:<9} {took:>8}  {escape_unsafe(text)}\n")
        if fix:
            console.say(paragraph("do", fix))

    async def _check(self, name: str, check: Awaitable[CheckResult]) -> None:
        """Report the row of a check, or its failure."""
        self._console.status(f"{name} …")
        try:
            self._report(await check)
        except LivewsError as problem:
            self._report(failed(name, problem))

    async def _credentials(self, stack: contextlib.AsyncExitStack) -> Settings | None:
        """Report the row "key"; where to connect, None if that is impossible."""
        options = self._options
        settings = network.settings_of(options, self._console)
        if options.offline or not settings.has_credentials:
            row = CheckResult("key", "ok", "not checked (--offline): the built-in stand-in is checked")
            if not options.offline:
                fix = "set GOOGLE_API_KEY to a key from https://aistudio.google.com/apikey"
                row = CheckResult("key", "warn", "no key is set, so the built-in stand-in is checked instead", fix)
            self._report(row)
            return await network.built_in(stack, lenient=options.lenient)
        row = key(self._env, settings, is_option=bool(options.token))
        self._report(row)
        return settings if row.verdict != "fail" else None

    async def _network(self, settings: Settings | None) -> None:
        """Bearer, where, DNS, TCP, TLS, upgrade, setup, ping, turn: what follows a failure is skipped."""
        left = ["dns", "tcp", "tls", "upgrade", "setup", "ping", *(["turn"] if self._options.turn else [])]
        if settings is not None:
            left = [*(["bearer"] if settings.needs_bearer else []), "where", *left]
            start = time.monotonic()
            try:
                async for row in self._steps(settings):
                    self._report(row)
                    left.remove(row.name)
                    self._console.status(f"{left[0]} …" if left else "")
                    start = time.monotonic()
            except LivewsError as problem:
                name = left.pop(0)
                took = None if name == "setup" else since(start)  # it has failed before the row "upgrade" is made
                self._report(failed(name, problem, took))
        for name in left:
            self._report(CheckResult(name, "skip", "not reached"))

    async def _steps(self, settings: Settings) -> AsyncIterator[CheckResult]:
        """The rows of the steps that succeed; raises the LivewsError of the first that fails."""
        timeout = self._options.timeout
        if settings.needs_bearer:
            start = time.monotonic()
            failure = NoCredentials(f"no answer within {timeout:g} s", fix="try again; it may hang")
            async with _within(timeout, failure):
                settings = await google_credentials.with_bearer(settings)
            self._redactor = Redactor(*self._secrets, settings.token)
            yield CheckResult("bearer", "ok", "google-auth gave a token", ms=since(start))
        place = endpoint.resolve(settings, self._options.model or models.default_model())
        yield CheckResult("where", "ok", f"{place.shown}, {place.model}")
        async for row in reach(place.url, timeout):
            yield row
        first = _FirstFrames()
        times = first.times
        recorders = (lambda where: first,)
        connecting = client.connect(
            self._options.model, settings=settings, reconnect=None, recorders=recorders, open_timeout=timeout
        )
        try:
            session = await connecting
        except LivewsError:
            if "send" in times:
                yield CheckResult("upgrade", "ok", "101 Switching Protocols", ms=times["send"])
            raise
        try:
            yield CheckResult("upgrade", "ok", "101 Switching Protocols, TCP and TLS included", ms=times["send"])
            yield CheckResult("setup", "ok", "setupComplete", ms=times["recv"] - times["send"])
            fix = "the network or a proxy holds back WebSocket control frames"
            async with _within(timeout, Unreachable(f"no pong within {timeout:g} s", fix=fix)):
                took = await session.ping()
            yield CheckResult("ping", "ok", "pong", ms=1000 * took)
            if self._options.turn:
                yield await _turn(session, max(timeout, 30.0))
        finally:
            await session.close()


class _FirstFrames(Recorder):
    """A recorder of when the first frame was sent and received, in milliseconds since the start of dialling."""

    def __init__(self) -> None:
        self.times: dict[Direction, float] = {}

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        self.times.setdefault(direction, 1000 * t)


@contextlib.asynccontextmanager
async def _within(seconds: float, failure: LivewsError) -> AsyncIterator[None]:
    """Raise `failure` if what is inside takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise failure from None


async def _turn(session: Session, timeout: float) -> CheckResult:
    start = time.monotonic()
    first: float | None = None
    words, seconds = "", 0.0
    fix = "try again, or another --model"
    async with _within(timeout, LivewsError(f"not complete within {timeout:g} s", fix=fix)):
        await session.say(TURN)
        async for event in session.turn():
            if isinstance(event, e.Audio | e.Text | e.Transcript) and first is None:
                first = since(start)
            match event:
                case e.Audio():
                    seconds += seconds_of(len(event.pcm), event.rate)
                case e.Transcript(of="model") | e.Text(thought=False):
                    words += event.text
    answer = f'"{one_line(words.strip(), 40)}"' if words.strip() else "no words"
    return CheckResult("turn", "ok" if first is not None else "warn", f"{answer}, {seconds:.1f} s of audio", ms=first)


# What is installed and set


def python_and_packages() -> CheckResult:
    """Versions of Python and of the packages livews needs."""

    python = f"{platform.python_implementation()} {platform.python_version()} on {platform.platform(terse=True)}"
    missing = [name for name in PACKAGES if not _version(name)]
    versions = [f"{name} {_version(name)}" for name in PACKAGES if name not in missing]
    text = ", ".join((python, f"livews {__version__}", *versions))
    if missing:
        text = f"not installed: {', '.join(missing)}; {text}"
        return CheckResult("python", "fail", text, f"pip install {' '.join(missing)}")
    return CheckResult("python", "ok", text)


def _version(package: str) -> str:
    """The installed version, "" if there is none."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return ""


def key(variables: Mapping[str, str], settings: Settings, *, is_option: bool = False) -> CheckResult:
    """Which credential is used, and what is odd about it; never the credential. `is_option`: --token was given."""
    source = next((name for name in KEYS if variables.get(name, "").strip()), "")
    if settings.token:
        source = "--token" if is_option else next((name for name in TOKENS if variables.get(name)), source)
        kind = "an ephemeral token" if settings.token.startswith("auth_tokens/") else "an OAuth token"
        notes = [f"{source} holds {kind}"]
    elif settings.api_key:
        notes = [f"{source} is set, {len(settings.api_key)} characters"]
    elif settings.vertex and settings.project:
        return CheckResult("key", "ok", "none is needed: Vertex takes a token of google-auth")
    else:
        fix = "set GOOGLE_API_KEY if that server needs a key"
        return CheckResult("key", "warn", "no key is set, so none is sent to that server", fix)
    with contextlib.suppress(BadRequest):  # other contradictions are reported where it is dialled
        try:
            endpoint.resolve(settings, models.default_model())
        except NoCredentials as problem:
            return failed("key", problem)
    fix = ""
    if settings.both_keys and settings.api_key:
        notes.append("GOOGLE_API_KEY and GEMINI_API_KEY are both set and differ; GOOGLE_API_KEY is used")
        fix = "unset the other one"
    value = settings.api_key or settings.token
    if value[:1] in "'\"" or value[-1:] in "'\"":
        notes.append("it has quotation marks around it")
        fix = "set it without quotation marks"
    elif settings.api_key.startswith(("ya29.", "Bearer ")):
        notes.append("it looks like an OAuth token, which is not an API key")
        fix = "pass it with --vertex --token, or set a key"
    return CheckResult("key", "warn" if fix else "ok", "; ".join(notes), fix)


def environment(variables: Mapping[str, str]) -> CheckResult:
    """Variables that change what is dialled, trusted and played."""
    proxies = [spelling for name in PROXIES for spelling in (name, name.lower())]
    given = {name: variables[name] for name in (*URLS, *proxies, *FILES, *PLAIN) if variables.get(name)}
    shown = ", ".join(
        f"{name}={redact_url(value) if name.upper() in MAY_HOLD_SECRETS else value}" for name, value in given.items()
    )
    missing = ", ".join(name for name, path in given.items() if name in FILES and not os.path.isfile(path))
    if missing:
        text = f"{missing} names no file; {shown}"
        return CheckResult("env", "fail", text, f"correct or unset {missing}", exit=Exit.USAGE)
    return CheckResult("env", "ok", shown or "no variable is set that changes anything")


def programs() -> CheckResult:
    """Programs that livews uses if they are installed."""
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    shown = [name for name in PROGRAMS if name not in absent] + [f"no {name} ({PROGRAMS[name]})" for name in absent]
    fix = "; ".join(f"Debian/Ubuntu: apt-get install {name}, macOS: brew install {name}" for name in absent)
    return CheckResult("tools", "ok", ", ".join(shown), fix)


def extras() -> CheckResult:
    """Which extras of livews are installed."""
    try:
        requirements = metadata.requires("livews") or []
    except metadata.PackageNotFoundError:
        return CheckResult("extras", "skip", "livews is not installed as a package, so its extras are not known")
    lacking: dict[str, list[str]] = {}
    for requirement in requirements:
        match = re.fullmatch(r"([A-Za-z0-9._-]+).*;.*\bextra\s*==\s*['\"]([\w-]+)['\"].*", requirement)
        if match is None or match[2] in ("test", "dev"):
            continue
        lacking.setdefault(match[2], []).extend([] if _version(match[1]) else [match[1]])
    shown = [f"no {extra} ({', '.join(packages)})" if packages else extra for extra, packages in lacking.items()]
    absent = " ".join(dict.fromkeys(package for packages in lacking.values() for package in packages))
    fix = f"for these: pip install {absent}" if absent else ""
    return CheckResult("extras", "ok", ", ".join(shown) or "there are none", fix)


# The network


async def reach(url: str, timeout: float) -> AsyncIterator[CheckResult]:
    """DNS, TCP and TLS on the way to a server, or to the network's proxy for it. Raises Unreachable when one fails."""
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    proxy = proxy_for(host, port, secure)
    if proxy:
        host, port = _host_and_port(proxy)
    through = " (the proxy)" if proxy else ""
    fix = "check that the proxy runs, or unset its variable" if proxy else ""
    start = time.monotonic()
    if re.fullmatch(r"[0-9.]+|.*:.*", host):
        yield CheckResult("dns", "skip", f"{host} is an address{through}")
    else:
        look_up = process.in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), "livews-dns")
        async with _dialling(f"{host}{through}", timeout, fix):
            entries = await asyncio.wrap_future(look_up)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
        yield CheckResult("dns", "ok", f"{host}{through} is {addresses[0]}{more}", ms=since(start))
    start = time.monotonic()
    async with _dialling(f"{host} port {port}{through}", timeout, fix):
        _, writer = await asyncio.open_connection(host, port)
    try:
        address, took = writer.get_extra_info("peername")[0], since(start)
        slow = "every connection waits for that: is IPv6 half set up here?" if took > 1000 * SLOW else ""
        yield CheckResult("tcp", "warn" if slow else "ok", f"{address} port {port}{through}", slow, took)
        if secure and not proxy:
            yield await _shake_hands(writer, host, timeout)
        else:
            text = "inside the proxy's tunnel: see upgrade" if secure else "ws:// has none"
            yield CheckResult("tls", "skip", text)
    finally:
        writer.close()


async def _shake_hands(writer: asyncio.StreamWriter, host: str, timeout: float) -> CheckResult:
    """A TLS handshake as livews does it: who issued the certificate and until when it is valid."""
    start = time.monotonic()
    async with _dialling(host, timeout, secure=True):
        tls = ssl.create_default_context()
        await writer.start_tls(tls, server_hostname=host, ssl_handshake_timeout=timeout + 1)
    took = since(start)
    certificate: dict[str, Any] = writer.get_extra_info("peercert")
    ends = ssl.cert_time_to_seconds(certificate["notAfter"])
    issuer = {name: value for part in certificate["issuer"] for name, value in part}
    who = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
    day = time.strftime("%Y-%m-%d", time.gmtime(ends))
    version = writer.get_extra_info("ssl_object").version() or "TLS"
    fix = "the certificate expires soon: renew it" if ends - time.time() < EXPIRES_SOON else ""
    return CheckResult("tls", "warn" if fix else "ok", f"{version}, issued by {who}, good until {day}", fix, took)


@contextlib.asynccontextmanager
async def _dialling(target: str, timeout: float, fix: str = "", *, secure: bool = False) -> AsyncIterator[None]:
    """Raise what fails inside, or takes longer than `timeout`, as `livews` says it when it dials; `fix` replaces its advice."""
    try:
        async with asyncio.timeout(timeout):
            yield
    except (OSError, UnicodeError) as problem:
        failure = TlsTimeout() if secure and isinstance(problem, TimeoutError) else problem
        error = unreachable(failure, SERVER, where=target, redact=str, seconds=timeout, secure=secure)
        error.what = f"{target}: {error.what}"
        error.fix = fix or error.fix
        if isinstance(problem, ssl.SSLCertVerificationError):
            error.fix = _certificate_fix(problem.verify_code, error.fix)
        raise error from None


def _host_and_port(proxy: str) -> tuple[str, int]:
    parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    default = {"https": 443, "http": 80, "": 80}.get(parts.scheme, 1080)
    with contextlib.suppress(ValueError):
        default = parts.port or default
    return parts.hostname or "", default


def _certificate_fix(verify_code: int, fix: str) -> str:
    if verify_code in (9, 10):  # OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED
        now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        return f"is it {now}? If not, set the clock; if so, the server's certificate has to be renewed"
    if sys.platform == "darwin":
        fix += "; for a Python from python.org run its Install Certificates.command once"
    if os.environ.get("SSL_CERT_FILE"):
        fix = f"SSL_CERT_FILE is set, so only what is in that file is trusted: correct it or unset it; {fix}"
    return fix


# Audio


async def sound_out() -> CheckResult:
    """Open the output and play 0.2 s of silence. Raises AudioUnavailable."""
    start = time.monotonic()
    speaker = Speaker(prebuffer=0.0)
    try:
        await asyncio.to_thread(speaker.start)
        took = since(start)
        speaker.play(bytes(2 * int(SILENCE * OUTPUT_RATE)))
        speaker.turn_ended()
        if not await speaker.drain():
            fix = "another program may hold the device: choose one with --device, livews devices lists them"
            raise speaker.lost or AudioUnavailable("no sound", f"{speaker.through} opens but accepts no audio", fix)
    except NothingPlays as problem:
        raise problem.full from None
    finally:
        await asyncio.to_thread(speaker.close)
    text = f"{speaker.through}, {speaker.buffer.rate} Hz, it holds {1000 * speaker.buffer.latency:.0f} ms"
    fix = f"PortAudio gives a choice of devices and less delay. {speaker.fallback}" if speaker.fallback else ""
    return CheckResult("sound out", "warn" if fix else "ok", text, fix, took)


async def sound_in() -> CheckResult:
    """Open the microphone and measure half a second of it. Raises AudioUnavailable."""
    start, recorded = time.monotonic(), bytearray()
    microphone = Microphone()
    try:
        await asyncio.to_thread(microphone.start)
        took = since(start)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LISTEN):
                async for chunk in microphone.chunks():
                    recorded += chunk.pcm
    finally:
        await asyncio.to_thread(microphone.close)
    text = f"PortAudio: {portaudio.INPUT.device().name}, {microphone.rate} Hz"
    fix = portaudio.unmute_fix()
    if not recorded:
        return CheckResult("sound in", "fail", f"{text}: it gives nothing", fix, took, Exit.NO_SOUND)
    if not microphone.heard:
        return CheckResult("sound in", "warn", f"{text}: nothing but zeros, muted or not allowed", fix, took)
    return CheckResult("sound in", "ok", f"{text}, {loudness(bytes(recorded)):.0f} dBFS", ms=took)
