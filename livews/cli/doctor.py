"""`livews doctor`: what works here, one line a check, in the order a conversation needs it.

- A check is a row: what was found, how long it took, what to do. It raises nothing and waits for a bounded time.
- A step of the network that fails makes the ones that need it "skip": one cause, one failure.
- What is optional is never a failure. The exit code is that of the first failure, 0 when there is none.
- No credential is in any row: each is built here, and all text of it passes `Secrets`.
- Nothing is paid for: no turn is taken unless --turn asks for it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

from livews.audio.analysis.pcm import seconds_of
from livews.cli import connection_options
from livews.cli.console import COLOR_HELP, Console, paragraph
from livews.errors import BadRequest, LivewsError, NoCredentials
from livews.exit_codes import Exit
from livews.terminal_text import escape_unsafe, one_line

if TYPE_CHECKING:
    import ssl

    from livews.client import Session
    from livews.endpoint import Endpoint, Settings

Verdict = Literal["ok", "warn", "fail", "skip"]
T = TypeVar("T")

PACKAGES = ("websockets", "sounddevice", "orjson", "pybase64", "jsonschema-rs")
SOUND_WITHIN = 8.0
"""Seconds for opening a device: some hosts ask a sound server that does not answer."""
SILENCE, LISTEN = 0.2, 0.5
SLOW = 1.0
"""Seconds spent on addresses that do not answer, from which on it is worth a warning."""
EXPIRES_SOON = 7 * 86_400
TURN = "Answer with the one word: ready."
_KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
_TOKENS = ("GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN")
_PROXIES = ("WSS_PROXY", "WS_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "SOCKS_PROXY")
_URLS = ("GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL")
_FILES = ("SSL_CERT_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "LIVEWS_PORTAUDIO")
_PLAIN = (
    "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_API_VERSION", "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_LOCATION", "NO_PROXY", "SSL_CERT_DIR", "PULSE_SERVER",
)  # fmt: skip
_TOOLS = (
    ("ffmpeg", "pictures of a camera", "Debian/Ubuntu: apt-get install ffmpeg, macOS: brew install ffmpeg"),
    (
        "espeak-ng", "a voice for the stand-in",
        "Debian/Ubuntu: apt-get install espeak-ng, macOS: brew install espeak-ng",
    ),
)  # fmt: skip
_EXPIRED, _NOT_YET = 10, 9  # OpenSSL's X509_V_ERR_CERT_...


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews doctor",
        description="Check Python, key, environment, network, session and sound, in the order a conversation needs "
        "them, and say what to do. Without a key the built-in stand-in is checked instead of the service.",
        epilog="exit: 0 nothing failed, else that of the first failure: 1 Python, 2 usage, 3 credentials, "
        "4 unreachable, 5 closed by the service, 6 no sound",
    )
    parser.add_argument("--model", default="", metavar="ID", help="the model to set up")
    parser.add_argument("--turn", action="store_true", help="take one short turn as well, which costs some tokens")
    parser.add_argument("--mute", action="store_true", help="leave the sound devices alone")
    connection_options.add_flags(parser, "seconds a step may take")
    look = parser.add_argument_group("what is shown").add_argument
    look("--json", action="store_true", help="one JSON object a check")
    look("--quiet", action="store_true", help="nothing on stderr but failures")
    look("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
    options = parser.parse_args(argv)
    connection_options.check(parser, options)
    return options


def run(options: argparse.Namespace, console: Console) -> int:
    return asyncio.run(_Doctor(options, console).run())


@dataclass(frozen=True, slots=True)
class CheckResult:
    name: str
    verdict: Verdict
    text: str
    fix: str = ""
    ms: float | None = None
    exit: Exit = Exit.CHECK_FAILED
    """What the command ends with when this is the first failure."""


def failed(name: str, problem: LivewsError, ms: float | None = None) -> CheckResult:
    """The row of a failure that is told elsewhere in livews too, in the same words."""
    text = f"{problem.what}: {problem.why}" if problem.why else problem.what
    return CheckResult(name, "fail", text, problem.fix, ms, Exit(problem.exit_code))


class _Doctor:
    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        from livews.redactor import Redactor

        self._options = options
        self._console = console
        env = os.environ
        known = [env.get(name, "").strip() for name in (*_KEYS, *_TOKENS)] + [options.token]
        proxies = [value for name in _PROXIES for value in (env.get(name, ""), env.get(name.lower(), ""))]
        urls = [options.url, *(env.get(name, "") for name in _URLS)]
        self._known = [*known, *(part for url in (*proxies, *urls) for part in _user_info(url))]
        self._secrets = Redactor(*self._known)
        self._rows: list[CheckResult] = []

    async def run(self) -> int:
        self._tell(python_and_packages())
        async with contextlib.AsyncExitStack() as stack:
            settings = await self._credentials(stack)
            self._tell(environment(os.environ))
            await self._network(settings)
        if not self._options.mute:
            self._console.status("sound out …")
            self._tell(await _bounded(sound_out, SOUND_WITHIN, "sound out"))
            self._console.status("sound in …")
            self._tell(await _bounded(sound_in, SOUND_WITHIN, "sound in"))
        for row in (tools(), extras()):
            self._tell(row)
        failures = [row for row in self._rows if row.verdict == "fail"]
        if failures:
            self._console.warn(f"failed: {', '.join(row.name for row in failures)}")
            return failures[0].exit
        self._console.note("livews: nothing failed")
        return Exit.OK

    def _tell(self, row: CheckResult) -> None:
        self._rows.append(row)
        text, fix = (one_line(self._secrets.redact(words)) for words in (row.text, row.fix))
        if self._options.json:
            line: dict[str, Any] = {"check": row.name, "verdict": row.verdict, "text": text}
            line |= {"do": fix} if fix else {}
            line |= {"ms": round(row.ms, 1)} if row.ms is not None else {}
            self._console.data(json.dumps(line, ensure_ascii=False))
            return
        style = {"ok": "recv", "warn": "warn", "fail": "error", "skip": "dim"}[row.verdict]
        took = f"{row.ms:.0f} ms" if row.ms is not None else ""
        painted = sys.stdout.isatty() or self._options.color == "always"
        verdict = self._console.paint(style, f"{row.verdict:<4}") if painted else f"{row.verdict:<4}"
        # not say(): it would show the colours of the verdict as escapes
        self._console.write(f"{verdict}  {row.name:<9} {took:>8}  {escape_unsafe(text)}\n")
        if fix:
            self._console.say(paragraph("do", fix))

    # Credentials

    async def _credentials(self, stack: contextlib.AsyncExitStack) -> Settings | None:
        """Where to dial; tells the row "key". None: it cannot be dialled."""
        from livews import google_credentials, redactor

        options = self._options
        settings = connection_options.settings(options)
        if options.offline or not settings.has_credentials:
            if options.offline:
                row = CheckResult("key", "ok", "not looked at (--offline): the built-in stand-in is checked")
            else:
                fix = "set GOOGLE_API_KEY to a key from https://aistudio.google.com/apikey"
                row = CheckResult("key", "warn", "no key is set, so the built-in stand-in is checked instead", fix)
            self._tell(row)
            return await connection_options.built_in(stack)
        row = key(os.environ, settings, given=bool(options.token))
        self._tell(row)
        if row.verdict == "fail":
            return None
        if settings.vertex and settings.project and not settings.token:
            self._console.status("Google credentials …")
            began = time.monotonic()

            def fetch() -> CheckResult | str:
                try:
                    return asyncio.run(google_credentials.bearer())
                except LivewsError as problem:
                    return failed("bearer", problem)

            found = await _bounded(fetch, options.timeout, "bearer", exit=Exit.CREDENTIALS)
            if isinstance(found, CheckResult):
                self._tell(found)
                return None
            from dataclasses import replace

            settings = replace(settings, token=found)
            self._secrets = redactor.Redactor(*self._known, found)
            self._tell(CheckResult("bearer", "ok", "google-auth gave a token", ms=_ms(began)))
        return settings

    # The network

    async def _network(self, settings: Settings | None) -> None:
        """DNS, TCP, TLS, upgrade, setup, ping, turn: each tells its row, and what follows a failure is skipped."""
        from livews import endpoint
        from livews.core import models

        left = ["dns", "tcp", "tls", "upgrade", "setup", "ping", *(["turn"] if self._options.turn else [])]

        def tell(row: CheckResult) -> bool:
            self._tell(row)
            if row.name in left:
                left.remove(row.name)
            return row.verdict != "fail"

        try:
            where: Endpoint | None = None
            if settings is not None:
                where = endpoint.resolve(settings, self._options.model or models.default_model())
        except LivewsError as problem:
            self._tell(failed("where", problem))
        if where is not None and settings is not None:
            tell(CheckResult("where", "ok", f"{where.shown}, {where.model}"))
            async for row in self._steps(where, settings):
                if not tell(row):
                    break
        for name in left:
            self._tell(CheckResult(name, "skip", "not reached"))

    async def _steps(self, where: Endpoint, settings: Settings) -> AsyncIterator[CheckResult]:
        from livews.loopback import proxy_for

        timeout = self._options.timeout
        parts = urlsplit(where.url)
        secure = parts.scheme == "wss"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        proxy = proxy_for(host, port, secure)
        through = ""
        if proxy:
            parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
            host, port = parts.hostname or "", _port_of(proxy)
            through = " (the proxy)"
        self._console.status("dns …")
        addresses = await _bounded(lambda: look_up(host, port, through), timeout, "dns", exit=Exit.UNREACHABLE)
        if isinstance(addresses, CheckResult):
            yield addresses
            return
        yield addresses[0]
        self._console.status("tcp …")
        yield await _bounded(
            lambda: reach(addresses[1], port, timeout, through), timeout + 1, "tcp", exit=Exit.UNREACHABLE
        )
        if not secure:
            yield CheckResult("tls", "skip", "ws:// has none")
        elif proxy:
            yield CheckResult("tls", "skip", "inside the proxy's tunnel: see upgrade")
        else:
            self._console.status("tls …")
            yield await _bounded(
                lambda: shake_hands(host, port, timeout), 2 * timeout + 1, "tls", exit=Exit.UNREACHABLE
            )
        async for row in self._session(settings):
            yield row

    async def _session(self, settings: Settings) -> AsyncIterator[CheckResult]:
        from livews import client

        timeout = self._options.timeout
        times = _Times()
        self._console.status("upgrade …")
        began = time.monotonic()
        try:
            session = await client.connect(
                self._options.model,
                settings=settings,
                recorders=(lambda where: times,),
                open_timeout=timeout,
                setup_timeout=timeout,
            )
        except LivewsError as problem:
            if times.sent is not None:
                yield CheckResult("upgrade", "ok", "101 Switching Protocols", ms=1000 * times.sent)
                yield failed("setup", problem, 1000 * ((times.got or 0.0) - times.sent) if times.got else None)
            else:
                yield failed("upgrade", problem, _ms(began))
            return
        try:
            assert times.sent is not None
            assert times.got is not None
            yield CheckResult("upgrade", "ok", "101 Switching Protocols, TCP and TLS included", ms=1000 * times.sent)
            yield CheckResult("setup", "ok", "setupComplete", ms=1000 * (times.got - times.sent))
            self._console.status("ping …")
            yield await _ping(session, timeout)
            if self._options.turn:
                self._console.status("turn …")
                yield await _turn(session, max(timeout, 30.0))
        finally:
            await session.close()


class _Times:
    """A recorder that keeps when the first frame went and the first came, in seconds since the start of dialling."""

    sent: float | None = None
    got: float | None = None

    def frame(self, t: float, direction: str, opcode: str, step: Any) -> None:
        if direction == "send" and self.sent is None:
            self.sent = t
        elif direction == "recv" and self.got is None:
            self.got = t

    def control(self, t: float, direction: str, kind: str, about: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


async def _ping(session: Session, timeout: float) -> CheckResult:
    try:
        async with asyncio.timeout(timeout):
            seconds = await session.ping()
    except TimeoutError:
        fix = "the network or a proxy holds WebSocket control frames back"
        return CheckResult("ping", "fail", f"no pong within {timeout:g} s", fix, exit=Exit.UNREACHABLE)
    except LivewsError as problem:
        return failed("ping", problem)
    return CheckResult("ping", "ok", "pong", ms=1000 * seconds)


async def _turn(session: Session, timeout: float) -> CheckResult:
    from livews.core import events as e

    began = time.monotonic()
    first: float | None = None
    words, sound = "", 0.0
    try:
        async with asyncio.timeout(timeout):
            await session.say(TURN)
            async for event in session.turn():
                if isinstance(event, (e.Audio, e.Text, e.Transcript)) and first is None:
                    first = _ms(began)
                if isinstance(event, e.Audio):
                    sound += seconds_of(len(event.pcm), event.rate)
                elif isinstance(event, e.Transcript | e.Text) and not _thought_or_user(event):
                    words += event.text
    except TimeoutError:
        return CheckResult(
            "turn", "fail", f"not over within {timeout:g} s", "try again, or another --model", exit=Exit.CLOSED
        )
    except LivewsError as problem:
        return failed("turn", problem)
    said = f'"{one_line(words.strip(), 40)}"' if words.strip() else "no words"
    return CheckResult("turn", "ok" if first is not None else "warn", f"{said}, {sound:.1f} s of sound", ms=first)


def _thought_or_user(event: Any) -> bool:
    return bool(getattr(event, "thought", False)) or getattr(event, "of", "model") != "model"


# Checks that need nothing of the above


def python_and_packages() -> CheckResult:
    """Python and what livews is made of, with versions."""
    import platform
    from importlib import metadata

    from livews.version import __version__

    shown = [f"{platform.python_implementation()} {platform.python_version()} on {platform.platform(terse=True)}"]
    shown.append(f"livews {__version__}")
    missing = []
    for name in PACKAGES:
        try:
            shown.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        fix = f"pip install {' '.join(missing)}"
        return CheckResult("python", "fail", f"not installed: {', '.join(missing)}; {', '.join(shown)}", fix)
    return CheckResult("python", "ok", ", ".join(shown))


def key(env: Any, settings: Settings, *, given: bool = False) -> CheckResult:
    """Which credential is used, and what is odd about it; never the credential."""
    from livews import endpoint
    from livews.core import models

    google, gemini = (env.get(name, "").strip() for name in _KEYS)
    source = next((name for name, value in zip(_KEYS, (google, gemini), strict=True) if value), "")
    notes, fix = [], ""
    if settings.token:
        source = "--token" if given else next((n for n in _TOKENS if env.get(n)), source)
        kind = "an ephemeral token" if settings.token.startswith("auth_tokens/") else "an OAuth token"
        notes.append(f"{source} holds {kind}")
    elif settings.api_key:
        notes.append(f"{source} is set, {len(settings.api_key)} characters")
    elif settings.vertex and settings.project:
        return CheckResult("key", "ok", "none is needed: Vertex takes a token of google-auth")
    else:
        fix = "set GOOGLE_API_KEY if that server wants a key"
        return CheckResult("key", "warn", "no key is set, and none is shown to that server", fix)
    with contextlib.suppress(BadRequest):  # what else does not fit together is told where it is dialled
        try:
            endpoint.resolve(settings, models.default_model())
        except NoCredentials as problem:
            return failed("key", problem)
    verdict: Verdict = "ok"
    if settings.both_keys and settings.api_key:
        notes.append("GOOGLE_API_KEY and GEMINI_API_KEY are both set and differ; GOOGLE_API_KEY is used")
        verdict, fix = "warn", "unset the one that is not meant"
    value = settings.api_key or settings.token
    if value[:1] in "'\"" or value[-1:] in "'\"":
        notes.append("it has quotation marks around it")
        verdict, fix = "warn", "set it without quotation marks"
    elif settings.api_key.startswith(("ya29.", "Bearer ")):
        notes.append("it looks like an OAuth token, which is no API key")
        verdict, fix = "warn", "pass it with --vertex --token, or set a key"
    return CheckResult("key", verdict, "; ".join(notes), fix)


def environment(env: Any) -> CheckResult:
    """Variables that change where is dialled, what is trusted and what plays."""
    shown, missing = [], []
    for name in (*_URLS, *_PROXIES):
        for spelling in (name, name.lower()) if name in _PROXIES else (name,):
            if env.get(spelling):
                shown.append(f"{spelling}={_shown_url(env[spelling])}")
    for name in _FILES:
        if env.get(name):
            shown.append(f"{name}={env[name]}")
            if not os.path.isfile(env[name]):
                missing.append(name)
    for name in _PLAIN:
        for spelling in (name, name.lower()) if name == "NO_PROXY" else (name,):
            if env.get(spelling):
                shown.append(f"{spelling}={env[spelling]}")
    if missing:
        fix = f"correct or unset {', '.join(missing)}"
        text = f"{', '.join(missing)} names no file; {', '.join(shown)}"
        return CheckResult("env", "fail", text, fix, exit=Exit.USAGE)
    return CheckResult("env", "ok", ", ".join(shown) or "no variable is set that changes anything")


def look_up(host: str, port: int, through: str) -> CheckResult | tuple[CheckResult, list[str]]:
    """The addresses of a host, or the row that says why there are none."""
    import ipaddress
    import socket

    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return CheckResult("dns", "skip", f"{host} is an address{through}"), [host]
    began = time.monotonic()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        fix = "check the name, the network and DNS" + (", or unset the proxy" if through else "")
        return CheckResult(
            "dns", "fail", f"{host}{through} does not resolve: {why}", fix, _ms(began), Exit.UNREACHABLE
        )
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return CheckResult("dns", "ok", f"{host}{through} is {addresses[0]}{more}", ms=_ms(began)), addresses


def reach(addresses: list[str], port: int, timeout: float, through: str) -> CheckResult:
    """A TCP connection to the first address that takes one."""
    import socket

    began = time.monotonic()
    refused, tried = "", 0
    for address in addresses:
        left = timeout - (time.monotonic() - began)
        if left <= 0:
            break
        tried += 1
        at = time.monotonic()
        try:
            # so that one address that swallows everything leaves time for the next
            socket.create_connection((address, port), left / min(2, len(addresses) - tried + 1)).close()
        except OSError as problem:
            words = "no answer" if isinstance(problem, TimeoutError) else problem.strerror or str(problem)
            refused = refused or f"{address} port {port}{through}: {words}"
            continue
        if refused:
            text = f"{address} port {port} answers; {refused}"
            if at - began < SLOW:
                return CheckResult("tcp", "ok", text, ms=_ms(at))
            return CheckResult(
                "tcp", "warn", text, "every connection waits for that: is IPv6 half set up here?", _ms(began)
            )
        return CheckResult("tcp", "ok", f"{address} port {port}{through}", ms=_ms(at))
    if "refused" in refused.lower():
        fix = "nobody listens there: start the server (for the stand-in: livews serve), or correct the port"
    else:
        fix = "check the network and firewalls; where only a proxy leads out, set HTTPS_PROXY"
    if through:
        fix = "check that the proxy runs, or unset its variable"
    return CheckResult("tcp", "fail", refused, fix, _ms(began), Exit.UNREACHABLE)


def shake_hands(host: str, port: int, timeout: float) -> CheckResult:
    """TLS as livews does it: whose certificate, until when, or why it is not trusted."""
    import socket
    import ssl

    began = time.monotonic()
    context = ssl.create_default_context()
    try:
        with socket.create_connection((host, port), timeout) as plain:
            began = time.monotonic()
            with context.wrap_socket(plain, server_hostname=host) as secured:
                took = _ms(began)
                certificate: dict[str, Any] = dict(secured.getpeercert() or {})
                version = secured.version() or "TLS"
    except ssl.SSLCertVerificationError as problem:
        return CheckResult("tls", "fail", *_untrusted(problem, host), _ms(began), Exit.UNREACHABLE)
    except TimeoutError:
        fix = "something between here and the server takes the connection and says nothing: a firewall, a proxy"
        return CheckResult("tls", "fail", f"no handshake within {timeout:g} s", fix, _ms(began), Exit.UNREACHABLE)
    except (ssl.SSLError, OSError) as problem:
        why = getattr(problem, "reason", None) or problem.strerror or str(problem)
        text = f"the server does not speak TLS ({str(why).lower().replace('_', ' ')})"
        return CheckResult("tls", "fail", text, "a plain server is dialled with ws://", _ms(began), Exit.UNREACHABLE)
    ends = ssl.cert_time_to_seconds(certificate["notAfter"])
    issuer = {name: value for part in certificate["issuer"] for name, value in part}
    who = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
    text = f"{version}, issued by {who}, good until {_day(ends)}"
    if ends - time.time() < EXPIRES_SOON:
        return CheckResult("tls", "warn", text, "the certificate expires soon: renew it", took)
    return CheckResult("tls", "ok", text, ms=took)


def _untrusted(problem: ssl.SSLCertVerificationError, host: str) -> tuple[str, str]:
    """What is wrong with a certificate, and the cure."""
    text = f"the certificate of {host} is not trusted: {problem.verify_message}"
    if problem.verify_code in (_EXPIRED, _NOT_YET):
        now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        return text, f"is it {now}? If not, set the clock; if so, the server's certificate has to be renewed"
    fix = (
        "for a server of your own set SSL_CERT_FILE to its CA file; where a company's proxy looks into TLS, to its CA"
    )
    if sys.platform == "darwin":
        fix += "; a Python of python.org wants its Install Certificates.command run once"
    if os.environ.get("SSL_CERT_FILE"):
        fix = f"SSL_CERT_FILE is set and trusts what is in that file alone: correct it or unset it; {fix}"
    return text, fix


def sound_out() -> CheckResult:
    """A stream really opened, and 0.2 s of silence that was asked for."""
    from livews.audio.portaudio import AudioUnavailable, library_fix
    from livews.audio.speaker import NothingPlays, Speaker

    lost: list[AudioUnavailable] = []
    speaker = Speaker(prebuffer=0.0, on_lost=lost.append)
    began = time.monotonic()
    try:
        try:
            speaker.start()
        except AudioUnavailable as problem:
            why = problem.full if isinstance(problem, NothingPlays) else problem
            return CheckResult("sound out", "fail", why.why, why.fix, exit=Exit.NO_SOUND)
        took = _ms(began)
        speaker.play(bytes(2 * int(SILENCE * 24000)))
        speaker.turn_ended()
        deadline = time.monotonic() + 10 * SILENCE
        while not speaker.buffer.idle and not lost and time.monotonic() < deadline:
            time.sleep(0.01)
        report = speaker.report()
        if lost:
            return CheckResult("sound out", "fail", lost[0].why, lost[0].fix, exit=Exit.NO_SOUND)
        if not speaker.buffer.idle:
            fix = "another program may hold the device: choose one with --device, livews devices lists them"
            return CheckResult(
                "sound out", "fail", f"{speaker.through} opens and takes no sound", fix, exit=Exit.NO_SOUND
            )
    finally:
        speaker.close()
    text = f"{speaker.through}, {report.rate} Hz, it holds {report.latency_ms:.0f} ms"
    if speaker.through.startswith("PortAudio"):
        return CheckResult("sound out", "ok", text, ms=took)
    fix = f"for a choice of devices and less delay get PortAudio to work: {_portaudio_fix(library_fix())}"
    return CheckResult("sound out", "warn", text, fix, took)


def _portaudio_fix(otherwise: str) -> str:
    from livews.audio.portaudio import AudioUnavailable, output_device

    try:
        output_device()
    except AudioUnavailable as why:
        return why.fix
    return otherwise


def sound_in() -> CheckResult:
    """The microphone opened, and how loud half a second of it is."""
    import threading

    from livews.audio import portaudio as sound
    from livews.audio.analysis.levels import loudness

    blocks: list[bytes] = []
    gone = threading.Event()
    began = time.monotonic()

    def opened(rate: int) -> sound.InputStream:
        return sound.open_input(
            device,
            rate=rate,
            latency=0.05,
            blocksize=rate // 50,
            take=lambda block, age: blocks.append(block),
            finished=gone.set,
        )

    try:
        device = sound.input_device()
        rate = 16000
        try:
            stream = opened(rate)
        except sound.RateRefused:
            stream = opened(rate := device.rate)
    except sound.AudioUnavailable as why:
        return CheckResult("sound in", "fail", f"{why.what}: {why.why}", why.fix, exit=Exit.NO_SOUND)
    took = _ms(began)
    went = gone.wait(LISTEN)
    latency, channels = stream.latency, stream.channels
    stream.close()
    heard = b"".join(blocks)
    text = f"PortAudio: {device.name}, {rate} Hz, {channels} ch, {1000 * latency:.0f} ms"
    if went or not heard:
        return CheckResult("sound in", "fail", f"{text}: it gives nothing", sound.unmute_fix(), took, Exit.NO_SOUND)
    if not any(heard):
        return CheckResult(
            "sound in", "warn", f"{text}: nothing but zeros, muted or not allowed", sound.unmute_fix(), took
        )
    return CheckResult("sound in", "ok", f"{text}, {loudness(heard):.0f} dBFS", ms=took)


def tools() -> CheckResult:
    """Programs that livews uses where they are."""
    import shutil

    here = [name for name, _, _ in _TOOLS if shutil.which(name)]
    absent = [(name, use, fix) for name, use, fix in _TOOLS if name not in here]
    shown = [*here, *(f"no {name} ({use})" for name, use, _ in absent)]
    return CheckResult("tools", "ok", ", ".join(shown), "; ".join(fix for _, _, fix in absent))


def extras() -> CheckResult:
    """Which of livews's own extras are installed."""
    import re
    from importlib import metadata

    try:
        wanted = metadata.requires("livews") or []
    except metadata.PackageNotFoundError:
        return CheckResult("extras", "skip", "livews is not installed as a package, so its extras are not known")
    absent: dict[str, list[str]] = {}
    for entry in wanted:
        named = re.fullmatch(r"([A-Za-z0-9._-]+).*;.*\bextra\s*==\s*['\"]([\w-]+)['\"].*", entry)
        if named is None or named[2] in ("test", "dev"):
            continue
        absent.setdefault(named[2], [])
        try:
            metadata.version(named[1])
        except metadata.PackageNotFoundError:
            absent[named[2]].append(named[1])
    shown = [f"no {name} ({', '.join(lacks)})" if lacks else name for name, lacks in absent.items()]
    lacking = dict.fromkeys(name for lacks in absent.values() for name in lacks)
    fix = f"for these: pip install {' '.join(lacking)}" if lacking else ""
    return CheckResult("extras", "ok", ", ".join(shown) or "there are none", fix)


# Small things


async def _bounded(call: Callable[[], T], seconds: float, name: str, exit: Exit = Exit.NO_SOUND) -> T | CheckResult:
    """`call` in a thread that nobody waits for: what hangs in a library must not hang the command."""
    import threading

    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(value: Any, problem: BaseException | None) -> None:
        if done.done():
            return
        if problem is None:
            done.set_result(value)
        else:
            done.set_exception(problem)

    def work() -> None:
        value, problem = None, None
        try:
            value = call()
        except Exception as raised:
            problem = raised
        with contextlib.suppress(RuntimeError):  # the loop is gone: it took too long
            loop.call_soon_threadsafe(settle, value, problem)

    threading.Thread(target=work, name=f"livews-doctor-{name}", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            return await done
    except TimeoutError:
        return CheckResult(name, "fail", f"no answer within {seconds:g} s", "try again; it may be stuck", exit=exit)


def _ms(since: float) -> float:
    return 1000 * (time.monotonic() - since)


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _user_info(url: str) -> list[str]:
    """What of a URL is a secret: user and password, and the values of a query; also where there is no scheme."""
    from urllib.parse import parse_qsl, unquote

    before, at, _ = url.rpartition("@")
    user = before.rpartition("/")[2]
    found = [user, user.partition(":")[2]] if at else []
    found += [value for name, value in parse_qsl(url.partition("?")[2]) if "key" in name or "token" in name]
    return [form for value in found for form in {value, unquote(value)}]


def _shown_url(url: str) -> str:
    from livews.redactor import redact_url

    try:
        shown = redact_url(url)
    except ValueError:
        return "(no URL)"
    before, at, after = shown.rpartition("@")
    return shown if not at or before.endswith("[redacted]") else f"[redacted]@{after}"


def _port_of(proxy: str) -> int:
    parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    with contextlib.suppress(ValueError):
        if parts.port:
            return parts.port
    return {"https": 443, "http": 80}.get(parts.scheme, 1080 if parts.scheme.startswith("socks") else 80)
