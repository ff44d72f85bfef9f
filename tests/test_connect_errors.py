"""Why no connection came to be: every cause in its own words, and nothing in them that is secret."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys

import pytest

from livews import connect_errors
from livews.core import closes
from livews.endpoint import Endpoint
from livews.errors import LivewsError, Unreachable
from livews.redactor import Redactor
from livews.transport import dial

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
        (certificate(), True, "certificate is not trusted", "self-signed certificate"),
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
        ("ws://localhost:1", "", "nothing is listening there", "livews serve"),
        ("wss://127.0.0.1:1", "http://127.0.0.1:9", "nothing is listening there", "livews serve"),
        ("wss://there.invalid", "http://127.0.0.1:9", "nothing is listening there", "a proxy is set (HTTPS_PROXY"),
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
        await dial(at(url), 5, agent="tests", flag="--there")
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
            await dial(at(url), 5, agent="tests")
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
