"""Why no connection came to be: every cause in its own words, and nothing in them that is secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import livews
from livews import connect_errors
from livews.cli import main
from livews.core import closes
from livews.endpoint import Endpoint
from livews.errors import LivewsError, Unreachable
from livews.loopback import is_loopback
from livews.redactor import Redactor
from livews.server.server import StandInConfig, serve_stand_in
from livews.transport import Transport

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
SECRET = "hunter2-hunter2"
PLACES = {"server": connect_errors.SERVER, "upstream": connect_errors.UPSTREAM}


REDACTOR = Redactor(SECRET)


def at(url: str) -> Endpoint:
    return Endpoint(url, {}, "", "gemini", "v1beta", REDACTOR)


def certificate() -> ssl.SSLCertVerificationError:
    problem = ssl.SSLCertVerificationError(1, "certificate verify failed")
    problem.verify_message = "self-signed certificate"
    return problem


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("problem", "secure", "what", "why"),
    [
        (TimeoutError("timed out"), True, "within 2.5 s", "the handshake was not finished"),
        (certificate(), True, "is not trusted", "self-signed certificate"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), True, "does not speak TLS", "WRONG_VERSION_NUMBER"),
        (ConnectionResetError(104, "Connection reset"), True, "does not speak TLS", "Connection reset"),
        (ConnectionResetError(104, "Connection reset"), False, "no connection", "Connection reset"),
        (socket.gaierror(-2, "Name or service not known"), False, "does not resolve", "Name or service not known"),
        (ConnectionRefusedError(111, "Connect call failed"), False, "nothing is listening", "connection refused"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 101] unreachable"),
            False, "nothing is listening", "connection refused",
        ),
        (OSError(101, f"Network is unreachable {SECRET}"), False, "no connection", "unreachable [redacted]"),
    ],
)  # fmt: skip
def test_each_cause_has_its_words(problem: Exception, secure: bool, what: str, why: str, place: str) -> None:
    found = connect_errors.unreachable(
        problem, PLACES[place], where="ws://there", redact=REDACTOR.redact, seconds=2.5, secure=secure
    )
    assert what in found.what and why in found.why
    assert found.where == "ws://there" and found.fix
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    ("url", "proxy", "what", "fix"),
    [
        ("ws://localhost:1", "", "nothing is listening at the server", "livews serve"),
        ("wss://127.0.0.1:1", "http://127.0.0.1:9", "nothing is listening at the server", "livews serve"),
        (
            "wss://there.invalid",
            "http://127.0.0.1:9",
            "nothing is listening at the server",
            "a proxy is set (HTTPS_PROXY",
        ),
        ("wss://there.invalid", f"foo://{SECRET}@there", "proxy refused the connection", "HTTPS_PROXY"),
        ("ws://" + "a" * 70, "", "not a valid URL", "write it as"),
    ],
)
async def test_what_cannot_be_dialled(
    url: str, proxy: str, what: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    if proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)

    with pytest.raises(LivewsError) as caught:
        await Transport(at(url), flag="--there").open(5)
    problem = caught.value
    assert what in problem.what and fix in problem.fix
    assert problem.where == (url if isinstance(problem, Unreachable) else "--there")
    assert SECRET not in str(problem)


@pytest.mark.parametrize(
    ("answer", "what", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404", "another web server answered"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "HTTP 400", "another web server answered"),
        (b"HTTP/1.0 404 File not found\r\n\r\n", "a server that is not a WebSocket server answered", "HTTP/1.0 404"),
        (b"HTTP/1.0 200 OK\r\n\r\nhi", "a server that is not a WebSocket server answered", "HTTP/1.0 200"),
    ],
)
async def test_a_web_server_of_ones_own_is_told_as_one(answer: bytes, what: str, why: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(LivewsError) as caught:
            await Transport(at(url)).open(5)
        problem = caught.value
    assert what in problem.what and why in problem.why
    assert "host, port and path" in problem.fix and "google" not in problem.fix.lower()


@pytest.mark.parametrize("host", ["us-central1-aiplatform.googleapis.com", "GENERATIVELANGUAGE.googleapis.com", ""])
def test_of_google_the_region_is_told(host: str) -> None:
    assert "aiplatform.us.rep" in closes.explain_http(404, host=host).cause
    assert "aiplatform.us.rep" not in closes.explain_http(404, host="googleapis.com.example").cause


def test_the_words_want_no_websockets() -> None:
    code = "import sys, livews.connect_errors, livews.proxy.upstream; sys.exit('websockets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=20).returncode == 0


# Proxies of the network


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.2", "127.255.255.254", "127.1", "2130706433", "0x7f.0.0.1", "[::1]", "::1", "0:0:0:0:0:0:0:1",
        "[0000::0001]", "::ffff:127.0.0.1", "::1%lo", "localhost", "LocalHost", "localhost.", "app.localhost", "a-1.b_2.LOCALHOST",
    ],
)  # fmt: skip
def test_what_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "", "128.0.0.1", "126.255.255.255", "1.127.0.0", "0.0.0.0", "::", "::2", "[::1", "fe80::1%lo", "::1%<b>", "::ffff:10.0.0.1",
        "localhost.example", "notlocalhost", "me@localhost", ".localhost", "a..localhost", "127.0.0.1.example", "127.0.0.1 x",
        "127.0.0.1:80", "example.com",
    ],
)  # fmt: skip
def test_what_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


class ProxyOfTheNetwork:
    """Listens where the proxy of a network would, and counts who comes; nobody gets an answer."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self.connections += 1
                client.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProxyOfTheNetwork]:
    """A network that lets nobody out but through its proxy."""
    there = ProxyOfTheNetwork()
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY", "SOCKS_PROXY"):
        monkeypatch.setenv(name, there.url)
        monkeypatch.setenv(name.lower(), there.url)
    for name in ("NO_PROXY", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    yield there
    there.close()


def test_the_stand_in_is_never_dialled_through_a_proxy(network: ProxyOfTheNetwork) -> None:
    command = [sys.executable, "-m", "livews", "--offline", "--mute", "Hello"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, network.connections) == (0, 0), done.stderr
    assert 'I heard "Hello"' in done.stdout


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "app.localhost"])
@pytest.mark.parametrize("command", ["talk", "doctor", "replay", "library"])
def test_loopback_is_never_dialled_through_a_proxy(
    command: str,
    host: str,
    network: ProxyOfTheNetwork,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the hosts that are loopback by name only localhost resolves everywhere."""
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda name, *more, **by: look_up(str(name).removeprefix("app."), *more, **by)
    )

    async def library(url: str) -> int:
        async with livews.connect(url=url) as session:
            await session.ping()
        return 0

    async def go() -> int:
        async with serve_stand_in(config=StandInConfig(pace=0, voice="tones")) as there:
            url = there.url.replace("127.0.0.1", host)
            words = {
                "talk": ["talk", "--url", url, "--mute", "Hello"],
                "doctor": ["doctor", "--url", url, "--json"],
                "replay": ["trace", "replay", str(DATA / "barge_in.jsonl"), "--url", url, "--fast"],
            }
            return await library(url) if command == "library" else await asyncio.to_thread(main, words[command])

    code = asyncio.run(go())
    told = capsys.readouterr()
    assert network.connections == 0
    if command == "doctor":
        rows = {row.get("check"): row.get("verdict") for row in map(json.loads, told.out.splitlines())}
        assert {rows[name] for name in ("dns", "tcp", "upgrade", "setup", "ping")} <= {"ok", "skip"}, told.out
    elif command == "replay":
        assert "connection" not in told.err
    else:
        assert code == 0, told.err


@pytest.mark.parametrize("command", ["proxy", "inspect"])
def test_a_loopback_upstream_is_never_dialled_through_a_proxy(command: str, network: ProxyOfTheNetwork) -> None:
    def url_of(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None and process.stderr is not None
        lines = process.stdout if command == "proxy" else process.stderr
        return next(found[0] for line in lines if (found := re.search(r"ws://[^\s,]+", line)))

    async def ask(url: str) -> None:
        async with livews.connect(url=url) as session:
            await session.ping()

    async def go() -> None:
        async with serve_stand_in(config=StandInConfig(pace=0, voice="tones")) as there:
            ports = ["--port", "0"] if command == "proxy" else ["--port", "0", "--proxy-port", "0"]
            words = [sys.executable, "-m", "livews", command, *ports, "--upstream", there.url]
            with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                try:
                    await ask(await asyncio.to_thread(url_of, process))
                finally:
                    process.kill()

    asyncio.run(go())
    assert network.connections == 0


def test_other_hosts_go_through_the_proxy_but_for_those_of_no_proxy(
    network: ProxyOfTheNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "direct.invalid")

    async def failure(url: str) -> LivewsError:
        with pytest.raises(LivewsError) as caught:
            await Transport(at(url)).open(5)
        return caught.value

    assert "does not resolve" in asyncio.run(failure("ws://direct.invalid")).what
    assert network.connections == 0
    for count, url in enumerate(("ws://there.invalid", "wss://there.invalid"), 1):
        assert "proxy" in asyncio.run(failure(url)).what
        assert network.connections == count
