"""Why no connection came to be: every cause in its own words, and nothing in them that is secret."""

import asyncio
import contextlib
import json
import re
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import livews
from livews import connect_errors
from livews.advice import closes
from livews.cli import main
from livews.endpoint import Endpoint
from livews.errors import LivewsError, Refused, Unreachable
from livews.exit_codes import Exit
from livews.loopback import is_loopback
from livews.proxy import upstream
from livews.redactor import HIDDEN, Redactor
from livews.server.server import StandInConfig, serve_stand_in
from livews.transport import Transport
from tests.kit.command import livews as run
from tests.kit.command import running
from tests.kit.names import DATA, KEY
from tests.kit.servers import Recorder, tcp

SECRET = "hunter2-hunter2"
PLACES = {"server": connect_errors.SERVER, "upstream": connect_errors.UPSTREAM}
REDACTOR = Redactor(SECRET)


def at(url: str) -> Endpoint:
    return Endpoint(url, {}, "", "gemini", "v1beta", REDACTOR)


async def failure(url: str, **options: str) -> LivewsError:
    """What dialling raises."""
    with pytest.raises(LivewsError) as caught:
        await Transport(at(url), **options).open(5)
    return caught.value


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
        (ConnectionResetError(104, "Connection reset"), False, "reset the connection", "Connection reset"),
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
        ("ws://no-such-host.invalid", "", "does not resolve", "DNS"),
        ("wss://there.invalid", f"http://me:{SECRET}@127.0.0.1:9", "listening at the network's proxy", "a proxy is set (HTTPS_PROXY"),
        ("wss://there.invalid", f"foo://{SECRET}@there", "proxy cannot be used", "HTTPS_PROXY"),
        ("wss://there.invalid", "foo", "proxy cannot be used", "HTTPS_PROXY"),
        ("wss://there.invalid", "socks5://127.0.0.1:1", "proxy cannot be used", "python-socks"),
        ("ws://" + "a" * 70, "", "not a valid URL", "write it as"),
        ("ws://é..com", "", "not a valid URL", "write it as"),
    ],
)  # fmt: skip
async def test_what_cannot_be_dialled(
    url: str, proxy: str, what: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    problem = await failure(url, flag="--there")
    assert what in problem.what and fix in problem.fix
    if "proxy" in what:  # what failed is the proxy
        place = proxy.replace(f"me:{SECRET}", HIDDEN).replace(SECRET, HIDDEN)
        assert problem.where == f"{place}, the network's proxy, on the way to {url}"
    else:
        assert problem.where == (url if isinstance(problem, Unreachable) else "--there")
    assert problem.exit_code == (Exit.UNREACHABLE if isinstance(problem, Unreachable) else Exit.USAGE)
    assert SECRET not in str(problem)


HERE = "host, port and path"


@pytest.mark.parametrize(
    ("answer", "what", "why", "fix"),
    [
        ("HTTP/1.1 404 Not Found\r\n", "HTTP 404", "another web server answered", HERE),
        ("HTTP/1.1 400 Bad Request\r\n", "HTTP 400", "another web server answered", HERE),
        ("HTTP/1.1 401 Unauthorized\r\n", "HTTP 401", "", ""),
        ("HTTP/1.1 418 Teapot\r\n", "HTTP 418", "", ""),
        ("HTTP/1.1 200 OK\r\n", "HTTP 200", "A web server answered with a page", ""),
        ("HTTP/1.1 302 Found\r\n", "HTTP 302", "captive portal", ""),
        ("HTTP/1.1 503 No\r\n", "HTTP 503", "The server is up", ""),
        ("HTTP/1.0 404 File not found\r\n", "a server that is not a WebSocket server answered", "HTTP/1.0 404", HERE),
        ("HTTP/1.0 200 OK\r\n", "a server that is not a WebSocket server answered", "HTTP/1.0 200", HERE),
        ("SSH-2.0-OpenSSH_9", "does not speak WebSocket", "", HERE),
        ("SSH-2.0-\x1b[31mEvil\r\n", "does not speak WebSocket", 'it answered "SSH-2.0-\\x1b[31mEvil\\x0d\\n', HERE),
        ("", "does not speak WebSocket", "", HERE),
    ],
)
async def test_what_is_no_such_server(answer: str, what: str, why: str, fix: str) -> None:
    async with Recorder(f"{answer}Content-Length: 0\r\n\r\n".encode()).listening() as port:
        problem = await failure(f"ws://127.0.0.1:{port}")
    assert isinstance(problem, Refused if what.startswith("HTTP") else Unreachable)
    assert what in problem.what and why in problem.why and fix in problem.fix and problem.fix
    assert not fix or "google" not in problem.fix.lower(), "it is not of Google"


async def test_tls_against_a_plain_server() -> None:
    async with serve_stand_in(config=StandInConfig(pace=0)) as there:
        problem = await failure(there.url.replace("ws:", "wss:"))
    assert "does not speak TLS" in problem.what and "ws://" in problem.fix


@pytest.mark.parametrize("host", ["us-central1-aiplatform.googleapis.com", "GENERATIVELANGUAGE.googleapis.com", ""])
def test_of_google_the_region_is_told(host: str) -> None:
    assert "aiplatform.us.rep" in closes.explain_http(404, host=host).cause
    assert "aiplatform.us.rep" not in closes.explain_http(404, host="googleapis.com.example").cause


def test_the_words_want_no_websockets() -> None:
    code = "import sys, livews.connect_errors, livews.proxy.upstream; sys.exit('websockets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=20).returncode == 0


# Proxies of the network


LOOPBACK = (
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "127.1", "2130706433", "0x7f.0.0.1", "[::1]", "::1", "0:0:0:0:0:0:0:1",
    "[0000::0001]", "::ffff:127.0.0.1", "::1%lo", "localhost", "LocalHost", "localhost.", "app.localhost", "a-1.b_2.LOCALHOST",
)  # fmt: skip
OTHERS = (
    "", "128.0.0.1", "126.255.255.255", "1.127.0.0", "0.0.0.0", "::", "::2", "[::1", "fe80::1%lo", "::1%<b>", "::ffff:10.0.0.1",
    "localhost.example", "notlocalhost", "me@localhost", ".localhost", "a..localhost", "127.0.0.1.example", "127.0.0.1 x",
    "127.0.0.1:80", "example.com",
)  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK + OTHERS)
def test_what_is_loopback(host: str) -> None:
    assert is_loopback(host) == (host in LOOPBACK)


def use_proxy(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that lets nobody out but through its proxy."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY", "SOCKS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{port}")
    for name in ("NO_PROXY", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def unused_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A proxy of the network to which nobody may connect."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        use_proxy(there.getsockname()[1], monkeypatch)
        yield
        there.setblocking(False)
        with pytest.raises(BlockingIOError):
            there.accept()


@pytest.mark.usefixtures("unused_proxy")
def test_the_stand_in_is_never_dialled_through_a_proxy() -> None:
    done = run("--offline", "--mute", "Hello")
    assert done.returncode == 0, done.stderr
    assert 'I heard "Hello"' in done.stdout


@pytest.mark.usefixtures("unused_proxy")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "app.localhost"])
@pytest.mark.parametrize("command", ["talk", "doctor", "replay", "library"])
async def test_loopback_is_never_dialled_through_a_proxy(
    command: str, host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the hosts that are loopback by name only localhost resolves everywhere."""
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda name, *more, **by: look_up(str(name).removeprefix("app."), *more, **by)
    )

    async with serve_stand_in(config=StandInConfig(pace=0, voice="tones")) as there:
        url = there.url.replace("127.0.0.1", host)
        if command == "library":
            async with livews.connect(url=url) as session:
                await session.ping()
            return
        words = {
            "talk": ["talk", "--url", url, "--mute", "Hello"],
            "doctor": ["doctor", "--url", url, "--json"],
            "replay": ["trace", "replay", str(DATA / "barge_in.jsonl"), "--url", url, "--fast"],
        }
        code = await asyncio.to_thread(main, words[command])
    report = capsys.readouterr()
    if command == "doctor":
        rows = {row.get("check"): row.get("verdict") for row in map(json.loads, report.out.splitlines())}
        assert {rows[name] for name in ("dns", "tcp", "upgrade", "setup", "ping")} <= {"ok", "skip"}, report.out
    elif command == "replay":
        assert "connection" not in report.err
    else:
        assert code == 0, report.err


@pytest.mark.usefixtures("unused_proxy")
@pytest.mark.parametrize("command", ["proxy", "inspect"])
async def test_a_loopback_upstream_is_never_dialled_through_a_proxy(command: str) -> None:
    """The proxy prints its URL on stdout, and inspect on stderr."""
    ports = ["--port", "0"] if command == "proxy" else ["--port", "0", "--proxy-port", "0"]
    async with serve_stand_in(config=StandInConfig(pace=0, voice="tones")) as there:
        with running(command, *ports, "--upstream", there.url) as (first, process):
            lines = [first] if command == "proxy" else process.stderr or []
            url = next(found[0] for line in lines if (found := re.search(r"ws://[^\s,]+", line)))
            async with livews.connect(url=url) as session:
                await session.ping()


async def test_other_hosts_go_through_the_proxy_but_for_those_of_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Recorder(b"")
    async with proxy.listening() as port:
        use_proxy(port, monkeypatch)
        monkeypatch.setenv("NO_PROXY", "direct.invalid")
        assert "does not resolve" in (await failure("ws://direct.invalid")).what
        assert proxy.requests == []
        for count, url in enumerate(("ws://there.invalid", "wss://there.invalid"), 1):
            assert "proxy" in (await failure(url)).what
            assert len(proxy.requests) == count


async def test_a_redirect_says_where_to() -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: https://login.example/?key={KEY}\r\nContent-Length: 0\r\n\r\n"
    async with Recorder(answer.encode()).listening() as port:
        problem = await failure(f"ws://127.0.0.1:{port}")
    assert problem.where.endswith(", which redirects to https://login.example/?key=[redacted]")


ENDLESS = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1000000\r\n\r\nthe database is gone"


@pytest.mark.parametrize(
    ("answer", "what", "why"),
    [
        (None, "reset the connection", "reset by peer"),
        (b"", "closed the connection without an answer", ""),
        (b"SSH-2.0-OpenSSH_9", "does not speak WebSocket", "SSH-2.0"),
        (b"\x00\x01garbage" * 500, "does not speak WebSocket", "garbage"),
        (b"HTTP/1.1 101 Switching Protocols\r\n" + b"A: b\r\n" * 100_000, "does not speak WebSocket", "headers"),
        (b"HTTP/1.1 101 Switching Protocols\r\nA: " + b"b" * 5_000_000, "does not speak WebSocket", ""),  # the reason is in words of websockets
        (b"HTTP/1.1 503 No\r\n" + b"A: b\r\n" * 100_000, "refused: HTTP 503", "The server is up"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 22\r\n\r\nblocked by \x1b[31mAcme 7\n", "refused: HTTP 403",
         'It answered: "blocked by \\x1b[31mAcme 7"'),
        (ENDLESS, "refused: HTTP 500", "failed before there was a session"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "the server speaks TLS", "without"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 48\r\n\r\n"
         b"Client sent an HTTP request to an HTTPS server.\n", "the server speaks TLS", "without"),
        (b"HTTP/1.1 101 Swit", "not complete within", "had begun"),
    ],
)  # fmt: skip
async def test_what_came_at_once_is_told_at_once(answer: bytes | None, what: str, why: str) -> None:
    over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        await reader.readuntil(b"\r\n\r\n")
        if answer:
            writer.write(answer)
            await over.wait()

    seconds = 0.5 if "within" in what else 60.0
    async with tcp(handle) as url, asyncio.timeout(10):
        with pytest.raises(LivewsError) as caught:
            await Transport(at(url.replace("http", "ws"))).open(seconds)
        over.set()
    assert what in caught.value.what and why in caught.value.why
    if answer == ENDLESS:
        assert isinstance(caught.value, Refused) and caught.value.body == "the database is gone"


async def test_a_port_with_tls_that_is_dialled_without(tmp_path: Path) -> None:
    from livews.server.certificate import context

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with tcp(handle, context(tmp_path / "ca.pem", "127.0.0.1", "test")) as url:
        problem = await failure(url.replace("http", "ws"))
    assert "wss://" in problem.fix


SILENT = {
    "TLS": "did not answer the TLS handshake within 0.3 s",
    "TLS through a proxy": "did not answer the TLS handshake within 0.3 s",
    "TCP": "did not answer within 0.3 s",
}
"""How far a connection with TLS came, and what is reported."""


@pytest.mark.parametrize("by", ["the client", "the proxy"])
@pytest.mark.parametrize("stage", SILENT)
async def test_how_far_a_silent_port_let_us(by: str, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """wss:// at a port that takes connections and says nothing may be one without TLS."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "through" in stage:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read()

    async with tcp(handle) as there, asyncio.timeout(20):
        port = urlsplit(there).port or 0
        via = None
        with contextlib.ExitStack() as stack:
            if "through" in stage:
                use_proxy(port, monkeypatch)
                via = upstream.HttpProxy.parse(there)
            elif stage == "TCP":
                port = stack.enter_context(full_port())
            url = f"wss://{'there.invalid' if via else '127.0.0.1'}:{port}"
            if by == "the client":
                with pytest.raises(Unreachable) as caught:
                    await Transport(at(url)).open(0.3)
                found = caught.value
            else:
                with pytest.raises(TimeoutError) as late:
                    await upstream.dial(upstream.UpstreamTarget.parse(url), ssl.create_default_context(), via, 0.3)
                found = connect_errors.unreachable(
                    late.value, connect_errors.UPSTREAM, where=url, redact=str, seconds=0.3, secure=True
                )
    assert SILENT[stage] in found.what and found.where.startswith(url)
    assert ("ws://, not wss://" in found.fix and "without TLS" in found.why) == ("TLS" in stage)


@contextlib.contextmanager
def full_port() -> Iterator[int]:
    """A port that takes no more connections: a further one waits for ever."""
    with contextlib.ExitStack() as stack:
        there = stack.enter_context(socket.socket())
        there.bind(("127.0.0.1", 0))
        there.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(there.getsockname())
        yield there.getsockname()[1]
