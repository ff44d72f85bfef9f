"""`livews doctor`: real servers, sockets and certificates, one thing wrong at a time.

- Each test reads the JSON rows: which check failed, with what cure, what was not reached, and the exit code.
- Where sound is not the matter --mute leaves the machine's devices alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from livews.cli import doctor
from livews.endpoint import Settings, from_environment
from livews.errors import Unreachable
from livews.server import certificate
from livews.server.config import StandInConfig
from livews.server.server import StandInServer, serve_stand_in
from tests.audio.conftest import no_sound, pulse
from tests.audio.pulse import PulseServer
from tests.kit.command import livews
from tests.kit.names import ROOT
from tests.kit.servers import Recorder, frames, scripted

__all__ = ["pulse"]
KEY = "AIza" + "Sy" + "f4ke" * 8 + "Z"
NETWORK = ["dns", "tcp", "tls", "upgrade", "setup", "ping"]


def clean(**env: str) -> dict[str, str]:
    """The environment without anything that is about livews."""
    names = doctor
    about = {*names.KEYS, *names.TOKENS, *names.URLS, *names.FILES, *names.PLAIN, *names.PROXIES, "NO_PROXY"}
    return {name: value for name, value in os.environ.items() if name.upper() not in about} | env


Outcome = tuple[int, dict[str, dict[str, Any]], str]


async def examine(*options: str, env: dict[str, str] | None = None, mute: bool = True) -> Outcome:
    """The exit code, the rows by check, and all that was printed."""
    command = [sys.executable, "-W", "error", "-m", "livews", "doctor", "--json", *(["--mute"] * mute), *options]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=env or clean(), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(40):
            out, report = (text.decode() for text in await process.communicate())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert "Traceback" not in report, report
    rows = [json.loads(line) for line in out.splitlines()]
    return process.returncode or 0, {row["check"]: row for row in rows}, out + report


def verdicts(rows: dict[str, dict[str, Any]], *names: str) -> str:
    """The first letters of the verdicts, of the network's checks if none are named: ok, warn, fail, skip."""
    return "".join(rows[name]["verdict"][0] for name in names or NETWORK)


@contextlib.asynccontextmanager
async def house_of(
    policy: StandInConfig | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[StandInServer]:
    async with serve_stand_in(config=policy or StandInConfig(voice="tones", pace=0), tls=context) as house:
        yield house


async def test_without_a_key_the_stand_in_is_checked() -> None:
    code, rows, said = await examine()
    assert (code, verdicts(rows, "key"), verdicts(rows)) == (0, "w", "sosooo")
    assert "GOOGLE_API_KEY" in rows["key"]["do"]
    assert all(rows[name]["ms"] >= 0 for name in ("tcp", "upgrade", "setup", "ping"))
    assert list(rows) == ["python", "key", "env", "where", *NETWORK, "tools", "extras"]
    assert said.endswith("livews: nothing failed\n")


def test_the_lines_for_people_are_the_rows() -> None:
    coloured = livews("doctor", "--offline", "--mute", "--color", "always")
    assert coloured.returncode == 0
    assert coloured.stdout.startswith("\x1b[32mok  \x1b[0m  python")
    plain = livews("doctor", "--offline", "--mute")
    assert "\x1b" not in plain.stdout + plain.stderr
    lines = [line.split() for line in plain.stdout.splitlines() if not line.startswith("  ")]
    assert [line[1] for line in lines] == ["python", "key", "env", "where", *NETWORK, "tools", "extras"]
    assert {line[0] for line in lines} <= {"ok", "warn", "skip"}


async def test_a_turn_is_taken_only_when_asked_for() -> None:
    async with house_of() as house:
        _, rows, _ = await examine("--url", house.url)
        assert "turn" not in rows
        code, rows, _ = await examine("--url", house.url, "--turn")
    assert (code, verdicts(rows, "turn")) == (0, "o")
    assert "stand-in" in rows["turn"]["text"]


# The network


@contextlib.asynccontextmanager
async def bound(scheme: str, *, listening: bool) -> AsyncIterator[str]:
    """A port without a server: it refuses or, `listening`, the kernel takes connections and nobody answers them."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if listening:
            taken.listen()
        yield f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    async with Recorder(answer).listening() as port:
        yield f"ws://127.0.0.1:{port}"


async def silent(connection: Any) -> None:
    await connection.wait_closed()


async def refuses(connection: Any) -> None:
    await connection.recv()
    await connection.close(1008, "models/x is not found")


NO_HOST = contextlib.nullcontext("wss://no-such-host.invalid")
FAILURES = {
    "nobody listens": (bound("ws", listening=False), "", 4, "sfssss", "connection refused", "livews serve"),
    "no such host": (NO_HOST, "", 4, "fsssss", "no-such-host.invalid", "check the name"),
    "an HTTP server": (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), "", 4, "sosfss", "200", " "),
    "an SSH server": (answering(b"SSH-2.0-OpenSSH_9.2\r\n"), "", 4, "sosfss", "does not speak WebSocket", " "),
    "no TLS answer": (bound("wss", listening=True), "", 4, "sofsss", "TLS handshake within 0.5 s", "ws://, not wss://"),
    "no HTTP answer": (bound("ws", listening=True), "", 4, "sosfss", "within 0.5 s", " "),
    "no setupComplete": (scripted(silent), "", 5, "sosofs", "no setupComplete within 0.5 s", ""),
    "setup refused": (scripted(refuses), "", 5, "sosofs", "models/x is not found", " "),
    "turn refused": (scripted(frames(close=(1011, "Internal error encountered."))), "--turn", 5, "sosooof", "1011", " "),
}  # fmt: skip
"""A server, more options, the exit code, the verdicts from DNS on, and a part of the text and the cure of the failure."""


@pytest.mark.parametrize("name", FAILURES)
async def test_one_failure_of_the_network(name: str) -> None:
    server, options, exit_code, expected, text, cure = FAILURES[name]
    began = time.monotonic()
    async with server as url:
        code, rows, _ = await examine("--url", url, "--timeout", "0.5", *options.split())
    assert time.monotonic() - began < 8
    steps = [*NETWORK, "turn"][: len(expected)]
    assert (code, verdicts(rows, *steps)) == (exit_code, expected)
    failure = rows[steps[expected.index("f")]]
    assert text in failure["text"]
    assert cure in failure.get("do", "")
    assert all(rows[step]["text"] == "not reached" for step in steps[expected.index("f") + 1 :])
    assert verdicts(rows, "tools") == "o", "what does not need the network is checked all the same"


async def test_an_authority_nobody_trusts(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    async with house_of(context=certificate.context(ca)) as house:
        url = house.url.replace("127.0.0.1", "localhost")
        code, rows, _ = await examine("--url", url)
        assert code == 4
        assert verdicts(rows) == "oofsss"
        assert "not trusted" in rows["tls"]["text"]
        assert rows["tls"]["do"].startswith("for a server of your own set SSL_CERT_FILE")
        code, rows, _ = await examine("--url", url, env=clean(SSL_CERT_FILE=str(ca)))
        assert code == 0, rows
        assert verdicts(rows) == "oooooo"
        assert "issued by livews stand-in, good until 3000-01-01" in rows["tls"]["text"]
        assert f"SSL_CERT_FILE={ca}" in rows["env"]["text"]
        other = tmp_path / "other.pem"
        certificate.context(other)
        _, rows, _ = await examine("--url", url, env=clean(SSL_CERT_FILE=str(other)))
        assert rows["tls"]["do"].startswith("SSL_CERT_FILE is set, so only what is in that file is trusted")


@contextlib.contextmanager
def certificate_server(starts: float, ends: float, ca_file: Path) -> Iterator[int]:
    """TLS with a certificate that holds between these days from now."""
    from datetime import UTC, datetime, timedelta

    import trustme

    now = datetime.now(UTC)
    authority = trustme.CA()
    times = {"not_before": now + timedelta(days=starts), "not_after": now + timedelta(days=ends)}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", **times).configure_cert(context)
    authority.cert_pem.write_to_path(str(ca_file))

    def serve_one(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            plain, _ = listener.accept()
            plain.settimeout(5)
            with plain, context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_one, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(6)


@pytest.mark.parametrize(
    ("starts", "ends", "verdict", "fix"),
    [(-20, -10, "", "set the clock"), (10, 20, "", "set the clock"), (-20, 2, "warn", "expires soon"), (-20, 20, "ok", "")],
)  # fmt: skip
async def test_dates_of_a_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starts: float, ends: float, verdict: str, fix: str
) -> None:
    ca = tmp_path / "ca.pem"
    with certificate_server(starts, ends, ca) as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        reached = doctor.reach(f"wss://localhost:{port}", 5)
        if verdict:
            row = [row async for row in reached][-1]
            assert (row.name, row.verdict) == ("tls", verdict) and fix in row.fix
        else:
            with pytest.raises(Unreachable) as failure:
                _ = [row async for row in reached]
            assert fix in failure.value.fix and time.strftime("%Y-%m-%d", time.gmtime()) in failure.value.fix


# Credentials and the environment


async def test_a_wrong_key_is_told_where_the_service_tells_it() -> None:
    async with house_of(StandInConfig(voice="tones", require_key="the-right-one")) as house:
        code, rows, said = await examine("--url", house.url, env=clean(GOOGLE_API_KEY=KEY))
        assert (code, verdicts(rows)) == (3, "sosofs")
        assert "key" in rows["setup"]["text"].lower()
        assert rows["key"]["text"] == f"GOOGLE_API_KEY is set, {len(KEY)} characters"
        assert KEY not in said
        code, rows, said = await examine("--url", house.url, env=clean(GEMINI_API_KEY="the-right-one"))
        assert code == 0
        assert rows["key"]["text"].startswith("GEMINI_API_KEY is set")
        assert "the-right-one" not in said


async def test_no_secret_is_shown_wherever_it_stands(tmp_path: Path) -> None:
    password, other, in_url = "hunter2-of-the-proxy", "AQ.another-key-that-is-set", "key-in-the-url-1234"
    nobody = "127.0.0.1:9"
    env = clean(
        GOOGLE_API_KEY=KEY,
        GEMINI_API_KEY=other,
        GOOGLE_OAUTH_ACCESS_TOKEN="ya29.oauth-token-of-somebody",
        HTTPS_PROXY=f"http://me:{password}@{nobody}",
        https_proxy=f"me:{password}@{nobody}",
        GOOGLE_GEMINI_BASE_URL=f"wss://user:{password}@example.invalid/p?key={in_url}",
    )
    for options in ((), ("--url", f"wss://example.invalid/?key={in_url}"), ("--token", "auth_tokens/0123456789abc")):
        code, rows, said = await examine(*options, "--timeout", "3", env=env)
        assert code == 4
        for secret in (KEY, other, "ya29.oauth", password, in_url, "0123456789abc"):
            assert secret not in said, (options, secret)
        assert rows["key"]["verdict"] == ("warn" if "--token" not in options else "ok")
        assert "(the proxy)" in rows["tcp"]["text"]
        assert "proxy" in rows["tcp"]["do"]
    assert rows["key"]["text"] == "--token holds an ephemeral token"


@pytest.mark.parametrize(
    ("env", "verdict", "text"),
    [
        ({"GOOGLE_API_KEY": KEY, "GEMINI_API_KEY": "AQ.other"}, "warn", "GOOGLE_API_KEY is used"),
        ({"GOOGLE_API_KEY": KEY, "GEMINI_API_KEY": KEY}, "ok", "GOOGLE_API_KEY is set"),
        ({"GOOGLE_API_KEY": f"'{KEY}'"}, "warn", "quotation marks"),
        ({"GEMINI_API_KEY": "ya29.token-of-somebody"}, "warn", "OAuth"),
        ({"GEMINI_API_KEY": "auth_tokens/0123456789"}, "ok", "GEMINI_API_KEY holds an ephemeral token"),
    ],
)
def test_odd_keys_are_told(env: dict[str, str], verdict: str, text: str) -> None:
    row = doctor.key(env, from_environment(env, Settings(vertex=None)))
    assert row.verdict == verdict and text in row.text


async def test_a_key_that_no_header_can_carry_is_a_matter_of_credentials() -> None:
    code, rows, said = await examine(env=clean(GOOGLE_API_KEY="two words of a key"))
    assert (code, verdicts(rows, "key", *NETWORK)) == (3, "fssssss")
    assert rows["key"]["text"].startswith("invalid key: ")
    assert "copy it again" in rows["key"]["do"]
    assert "where" not in rows and "two words" not in said


async def test_a_file_that_is_not_there_is_told_before_it_breaks_tls() -> None:
    env = clean(SSL_CERT_FILE="/no/such.pem", GOOGLE_GENAI_API_VERSION="v1alpha")
    code, rows, _ = await examine("--offline", env=env)
    assert (code, verdicts(rows, "env")) == (2, "f")
    assert rows["env"]["do"] == "correct or unset SSL_CERT_FILE"
    assert "GOOGLE_GENAI_API_VERSION=v1alpha" in rows["env"]["text"]


def test_what_extras_lack_is_told_by_package(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["orjson", "no-such-package>=1; extra == 'screen'", "nor-this; extra == 'aec'", "ruff; extra == 'dev'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: wanted)
    row = doctor.extras()
    assert row.text == "no screen (no-such-package), no aec (nor-this)"
    assert row.fix == "for these: pip install no-such-package nor-this"


# Sound


async def test_without_portaudio_and_players_sound_fails_and_the_rest_goes_on() -> None:
    env = clean(LIVEWS_PORTAUDIO="/no/such.so", PATH="")
    code, rows, _ = await examine("--offline", env=env, mute=False)
    assert code == 2, "the variable that names no file is the first failure"
    assert verdicts(rows, "setup", "sound out", "sound in", "tools") == "offo"
    assert "none of paplay, pw-play, aplay is installed" in rows["sound out"]["text"]
    assert "LIVEWS_PORTAUDIO" in rows["sound in"]["do"]
    assert "no ffmpeg" in rows["tools"]["text"]
    assert "apt-get install ffmpeg" in rows["tools"]["do"]


async def test_sound_through_a_sound_server(pulse: PulseServer) -> None:
    code, rows, _ = await examine("--offline", env=clean(**pulse.env), mute=False)
    assert code == 0
    assert rows["sound out"]["verdict"] == "ok"
    assert rows["sound out"]["text"].startswith("PortAudio: ")
    assert rows["sound out"]["ms"] > 0
    assert rows["sound in"]["verdict"] == "warn", "nobody plays into this microphone"
    assert "nothing but zeros" in rows["sound in"]["text"]
    assert rows["sound in"]["do"]

    hiss = subprocess.Popen(
        ["pacat", "--device=micin", "--raw", "--format=s16le", "--rate=16000", "--channels=1", "/dev/urandom"],
        env={**os.environ, **pulse.env}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _, rows, _ = await examine("--offline", env=clean(**pulse.env), mute=False)
    finally:
        hiss.kill()
        hiss.wait(5)
    assert rows["sound in"]["verdict"] == "ok"
    assert int(rows["sound in"]["text"].split()[-2]) in range(-12, 0), rows["sound in"]["text"]


async def test_sound_that_steps_down_says_so(pulse: PulseServer) -> None:
    if shutil.which("paplay") is None:
        no_sound("paplay is not installed (pulseaudio-utils)")
    code, rows, _ = await examine("--offline", env=clean(**pulse.env, LIVEWS_PORTAUDIO="/no/such.so"), mute=False)
    assert rows["sound out"]["verdict"] == "warn"
    assert rows["sound out"]["text"] == "paplay, 24000 Hz, it holds 100 ms"
    assert "LIVEWS_PORTAUDIO" in rows["sound out"]["do"]
    assert code == 2
