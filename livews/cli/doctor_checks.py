"""The checks of `livews doctor` that need no session: Python, key, environment, network, audio, programs, extras.

- A check returns a row, and raises nothing but LivewsError, which `failed` makes a row of.
- A check may block: the command runs those that could hang in a thread, for a bounded time.
- No row holds a credential; texts from outside are redacted by the command once more.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import platform
import re
import shutil
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, Literal

from livews import endpoint
from livews.audio import portaudio
from livews.audio.analysis.levels import loudness
from livews.audio.speaker import NothingPlays, Speaker
from livews.connect_errors import SERVER, unreachable
from livews.core import models
from livews.endpoint import Settings
from livews.errors import BadRequest, LivewsError, NoCredentials
from livews.exit_codes import Exit
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

    def present(names: tuple[str, ...], either_case: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
        for name in names:
            for spelling in (name, name.lower()) if name in either_case else (name,):
                if variables.get(spelling):
                    yield spelling, variables[spelling]

    shown = [f"{name}={_without_password(url)}" for name, url in present((*URLS, *PROXIES), PROXIES)]
    shown += [f"{name}={value}" for name, value in (*present(FILES), *present(PLAIN, ("NO_PROXY",)))]
    if missing := [name for name, path in present(FILES) if not os.path.isfile(path)]:
        names = ", ".join(missing)
        text = f"{names} names no file; {', '.join(shown)}"
        return CheckResult("env", "fail", text, f"correct or unset {names}", exit=Exit.USAGE)
    return CheckResult("env", "ok", ", ".join(shown) or "no variable is set that changes anything")


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


def look_up(host: str, port: int, through: str) -> tuple[CheckResult, list[str]]:
    """The addresses of a host, none if it does not resolve. `through` is added to the name of a proxy."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return CheckResult("dns", "skip", f"{host} is an address{through}"), [host]
    start = time.monotonic()
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        row = _unreachable("dns", problem, f"{host}{through}", start)
        return (replace(row, fix=f"{row.fix}, or unset the proxy") if through else row), []
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return CheckResult("dns", "ok", f"{host}{through} is {addresses[0]}{more}", ms=since(start)), addresses


def reach(addresses: list[str], port: int, timeout: float, through: str) -> CheckResult:
    """A TCP connection to the first address that accepts one."""
    start = time.monotonic()
    refusal, first = "", CheckResult("tcp", "fail", "")
    for tried, address in enumerate(addresses, 1):
        left = timeout - (time.monotonic() - start)
        if left <= 0:
            break
        at = time.monotonic()
        try:
            # an address that swallows everything must leave time for the next
            socket.create_connection((address, port), left / min(2, len(addresses) - tried + 1)).close()
        except OSError as problem:
            if not refusal:
                words = "no answer" if isinstance(problem, TimeoutError) else problem.strerror or str(problem)
                refusal = f"{address} port {port}{through}: {words}"
                first = _unreachable("tcp", problem, f"{address} port {port}{through}", start, timeout)
            continue
        if not refusal:
            return CheckResult("tcp", "ok", f"{address} port {port}{through}", ms=since(at))
        text = f"{address} port {port} answers; {refusal}"
        if at - start < SLOW:
            return CheckResult("tcp", "ok", text, ms=since(at))
        fix = "every connection waits for that: is IPv6 half set up here?"
        return CheckResult("tcp", "warn", text, fix, since(start))
    fix = "check that the proxy runs, or unset its variable" if through else first.fix
    return replace(first, fix=fix, ms=since(start))


def shake_hands(host: str, port: int, timeout: float) -> CheckResult:
    """A TLS handshake as livews does it: who issued the certificate and until when it is valid."""
    start = time.monotonic()
    context = ssl.create_default_context()
    try:
        with socket.create_connection((host, port), timeout) as plain:
            start = time.monotonic()
            with context.wrap_socket(plain, server_hostname=host) as secured:
                took = since(start)
                certificate: dict[str, Any] = dict(secured.getpeercert() or {})
                version = secured.version() or "TLS"
    except OSError as problem:
        row = _unreachable("tls", problem, host, start, timeout, secure=True)
        if isinstance(problem, ssl.SSLCertVerificationError):
            return replace(row, fix=_certificate_fix(problem.verify_code, row.fix))
        return row
    ends = ssl.cert_time_to_seconds(certificate["notAfter"])
    issuer = {name: value for part in certificate["issuer"] for name, value in part}
    who = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
    day = time.strftime("%Y-%m-%d", time.gmtime(ends))
    row = CheckResult("tls", "ok", f"{version}, issued by {who}, good until {day}", ms=took)
    if ends - time.time() < EXPIRES_SOON:
        return replace(row, verdict="warn", fix="the certificate expires soon: renew it")
    return row


def _unreachable(
    name: str, problem: Exception, target: str, start: float, timeout: float = 0, *, secure: bool = False
) -> CheckResult:
    """The row of a failed connection, with the advice that `livews` gives when it dials."""
    error = unreachable(problem, SERVER, where=target, redact=str, seconds=timeout, secure=secure)
    row = failed(name, error, since(start))
    return replace(row, text=f"{target}: {row.text}")


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


def sound_out() -> CheckResult:
    """Open the output and play 0.2 s of silence."""

    def fail(why: str, fix: str) -> CheckResult:
        return CheckResult("sound out", "fail", why, fix, exit=Exit.NO_SOUND)

    lost: list[portaudio.AudioUnavailable] = []
    speaker = Speaker(prebuffer=0.0, on_lost=lost.append)
    start = time.monotonic()
    try:
        try:
            speaker.start()
        except portaudio.AudioUnavailable as problem:
            why = problem.full if isinstance(problem, NothingPlays) else problem
            return fail(why.why, why.fix)
        took = since(start)
        speaker.play(bytes(2 * int(SILENCE * 24000)))
        speaker.turn_ended()
        deadline = time.monotonic() + 10 * SILENCE
        while not speaker.buffer.idle and not lost and time.monotonic() < deadline:
            time.sleep(0.01)
        report = speaker.report()
        if lost:
            return fail(lost[0].why, lost[0].fix)
        if not speaker.buffer.idle:
            fix = "another program may hold the device: choose one with --device, livews devices lists them"
            return fail(f"{speaker.through} opens but accepts no audio", fix)
    finally:
        speaker.close()
    text = f"{speaker.through}, {report.rate} Hz, it holds {report.latency_ms:.0f} ms"
    if speaker.through.startswith("PortAudio"):
        return CheckResult("sound out", "ok", text, ms=took)
    portaudio_fix = portaudio.library_fix()
    try:
        portaudio.OUTPUT.device()
    except portaudio.AudioUnavailable as problem:
        portaudio_fix = problem.fix
    fix = f"for a choice of devices and less delay get PortAudio to work: {portaudio_fix}"
    return CheckResult("sound out", "warn", text, fix, took)


def sound_in() -> CheckResult:
    """Open the microphone and measure half a second of it."""

    blocks: list[bytes] = []
    gone = threading.Event()
    start = time.monotonic()

    def open_at(rate: int) -> portaudio.Stream:
        return portaudio.Stream(
            portaudio.INPUT,
            device,
            rate=rate,
            latency=0.05,
            blocksize=rate // 50,
            handle=lambda block, age: blocks.append(block),
            finished=gone.set,
        )

    try:
        device = portaudio.INPUT.device()
        rate = 16000
        try:
            stream = open_at(rate)
        except portaudio.RateRefused:
            stream = open_at(rate := device.rate)
    except portaudio.AudioUnavailable as why:
        return CheckResult("sound in", "fail", f"{why.what}: {why.why}", why.fix, exit=Exit.NO_SOUND)
    took = since(start)
    has_gone = gone.wait(LISTEN)
    latency, channels = stream.latency, stream.channels
    stream.close()
    recorded = b"".join(blocks)
    text = f"PortAudio: {device.name}, {rate} Hz, {channels} ch, {1000 * latency:.0f} ms"
    fix = portaudio.unmute_fix()
    if has_gone or not recorded:
        return CheckResult("sound in", "fail", f"{text}: it gives nothing", fix, took, Exit.NO_SOUND)
    if not any(recorded):
        return CheckResult("sound in", "warn", f"{text}: nothing but zeros, muted or not allowed", fix, took)
    return CheckResult("sound in", "ok", f"{text}, {loudness(recorded):.0f} dBFS", ms=took)
