"""The checks of `livews doctor` that need no session: Python, key, environment, network, audio, programs, extras.

- A check returns a row, and raises nothing but LivewsError, which `failed` makes a row of.
- None hangs: what waits for others waits for a bounded time.
- No row holds a credential; texts from outside are redacted by the command once more.
"""

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
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, Literal
from urllib.parse import urlsplit

from livews import endpoint, process
from livews.audio import portaudio
from livews.audio.analysis.levels import loudness
from livews.audio.microphone import Microphone
from livews.audio.portaudio import AudioUnavailable
from livews.audio.speaker import NothingPlays, Speaker
from livews.connect_errors import SERVER, unreachable
from livews.core import models
from livews.core.codec import OUTPUT_RATE
from livews.endpoint import Settings
from livews.errors import BadRequest, LivewsError, NoCredentials
from livews.exit_codes import Exit
from livews.loopback import proxy_for
from livews.redactor import redact_url
from livews.version import __version__

Verdict = Literal["ok", "warn", "fail", "skip"]

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
    "GOOGLE_CLOUD_LOCATION", "NO_PROXY", "SSL_CERT_DIR", "PULSE_SERVER",
)  # fmt: skip
EITHER_CASE = (*PROXIES, "NO_PROXY")
MAY_HOLD_SECRETS = (*URLS, *PROXIES)
PROGRAMS = {"ffmpeg": "pictures of a camera", "espeak-ng": "a voice for the stand-in"}
_EXPIRED, _NOT_YET = 10, 9  # OpenSSL's X509_V_ERR_CERT_...


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report. `exit` is the exit code if this is the first failure."""

    name: str
    verdict: Verdict
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


# What is installed and set


def python_and_packages() -> CheckResult:
    """Versions of Python and of the packages livews needs."""

    python = f"{platform.python_implementation()} {platform.python_version()} on {platform.platform(terse=True)}"
    versions = [python, f"livews {__version__}"]
    missing = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        text = f"not installed: {', '.join(missing)}; {', '.join(versions)}"
        return CheckResult("python", "fail", text, f"pip install {' '.join(missing)}")
    return CheckResult("python", "ok", ", ".join(versions))


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
    spellings = [
        (name, name.lower()) if name in EITHER_CASE else (name,) for name in (*URLS, *PROXIES, *FILES, *PLAIN)
    ]
    given = {name: variables[name] for names in spellings for name in names if variables.get(name)}
    shown = ", ".join(
        f"{name}={_without_password(value) if name.upper() in MAY_HOLD_SECRETS else value}"
        for name, value in given.items()
    )
    missing = ", ".join(name for name, path in given.items() if name in FILES and not os.path.isfile(path))
    if missing:
        text = f"{missing} names no file; {shown}"
        return CheckResult("env", "fail", text, f"correct or unset {missing}", exit=Exit.USAGE)
    return CheckResult("env", "ok", shown or "no variable is set that changes anything")


def _without_password(url: str) -> str:
    try:
        shown = redact_url(url)
    except ValueError:
        return "(not a URL)"
    before, at, after = shown.rpartition("@")
    return shown if not at or before.endswith("[redacted]") else f"[redacted]@{after}"


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
        packages = lacking.setdefault(match[2], [])
        try:
            metadata.version(match[1])
        except metadata.PackageNotFoundError:
            packages.append(match[1])
    shown = [f"no {extra} ({', '.join(packages)})" if packages else extra for extra, packages in lacking.items()]
    absent = " ".join(dict.fromkeys(package for packages in lacking.values() for package in packages))
    return CheckResult(
        "extras", "ok", ", ".join(shown) or "there are none", f"for these: pip install {absent}" if absent else ""
    )


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
        row = CheckResult("tcp", "ok", f"{address} port {port}{through}", ms=took)
        if took > 1000 * SLOW:
            row = replace(row, verdict="warn", fix="every connection waits for that: is IPv6 half set up here?")
        yield row
        if not secure:
            yield CheckResult("tls", "skip", "ws:// has none")
        elif proxy:
            yield CheckResult("tls", "skip", "inside the proxy's tunnel: see upgrade")
        else:
            yield await _shake_hands(writer, host, timeout)
    finally:
        writer.close()


async def _shake_hands(writer: asyncio.StreamWriter, host: str, timeout: float) -> CheckResult:
    """A TLS handshake as livews does it: who issued the certificate and until when it is valid."""
    start = time.monotonic()
    async with _dialling(host, timeout, secure=True):
        await writer.start_tls(ssl.create_default_context(), server_hostname=host)
    took = since(start)
    certificate: dict[str, Any] = writer.get_extra_info("peercert")
    ends = ssl.cert_time_to_seconds(certificate["notAfter"])
    issuer = {name: value for part in certificate["issuer"] for name, value in part}
    who = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
    day = time.strftime("%Y-%m-%d", time.gmtime(ends))
    version = writer.get_extra_info("ssl_object").version() or "TLS"
    row = CheckResult("tls", "ok", f"{version}, issued by {who}, good until {day}", ms=took)
    if ends - time.time() < EXPIRES_SOON:
        return replace(row, verdict="warn", fix="the certificate expires soon: renew it")
    return row


@asynccontextmanager
async def _dialling(target: str, timeout: float, fix: str = "", *, secure: bool = False) -> AsyncIterator[None]:
    """Raise what fails inside, or takes longer than `timeout`, as `livews` says it when it dials; `fix` replaces its advice."""
    try:
        async with asyncio.timeout(timeout):
            yield
    except (OSError, UnicodeError) as problem:
        error = unreachable(problem, SERVER, where=target, redact=str, seconds=timeout, secure=secure)
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
    if verify_code in (_EXPIRED, _NOT_YET):
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
            why = f"{speaker.through} opens but accepts no audio"
            raise speaker.lost or AudioUnavailable("no sound", why, fix)
    except NothingPlays as problem:
        raise problem.full from None
    finally:
        await asyncio.to_thread(speaker.close)
    text = f"{speaker.through}, {speaker.buffer.rate} Hz, it holds {1000 * speaker.buffer.latency:.0f} ms"
    if speaker.through.startswith("PortAudio"):
        return CheckResult("sound out", "ok", text, ms=took)
    fix = f"PortAudio gives a choice of devices and less delay. {speaker.fallback}"
    return CheckResult("sound out", "warn", text, fix, took)


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
