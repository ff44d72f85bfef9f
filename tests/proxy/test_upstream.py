"""Upstream URLs, and the way to an upstream through an HTTP proxy of the network."""

import asyncio
import socket
import ssl
from base64 import b64encode
from pathlib import Path

import pytest

from livews.errors import BadRequest, Unreachable
from livews.proxy.upstream import HttpProxy, UpstreamTarget
from livews.proxy.upstream import dial as dial_through
from tests.kit.names import GEMINI, KEY
from tests.kit.servers import tcp
from tests.proxy.kit import CASES, gate


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://127.0.0.1:8765", "ws://127.0.0.1:8765"),
        ("https://gw.example/a/b/", "wss://gw.example/a/b"),
        (f"wss://gw.example:8443/p{GEMINI}", "wss://gw.example:8443/p"),
        (f"http://[::1]:80/?key={KEY}", "ws://[::1]"),
        (f"ws://gw.example/p/{GEMINI}", "ws://gw.example/p"),
        ("ws://gw.example" + "/" * 60_000, "ws://gw.example"),  # in no time
    ],
)
def test_upstreams(url: str, shown: str) -> None:
    assert UpstreamTarget.parse(url).shown == shown
    assert KEY not in repr(UpstreamTarget.parse(url))


@pytest.mark.parametrize(
    "url",
    [
        "gw.example",
        "ftp://x",
        "ws://",
        "ws://x:99999",
        "wss://a:secret@b",
        "ws://b\u00fccher.de",
        "ws://user:secret/x@h:1",
        "ws://user:8x[secret@h",
        "ws://[secret]",
        "ws://secret\u2100@h",
    ],
)
def test_what_is_no_upstream(url: str) -> None:
    with pytest.raises(BadRequest, match="upstream") as caught:
        UpstreamTarget.parse(url)
    assert caught.value.fix and "secret" not in str(caught.value)


@pytest.mark.parametrize("around", ["nothing", "the upstream", "both"])
async def test_a_tunnel(around: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upstream's name is known to the other proxy alone; TLS is with the upstream, inside."""
    there = here = trusting = None
    if around != "nothing":
        pytest.importorskip("trustme")
        from livews.server.certificate import context

        there, here = context(tmp_path / "there.pem", "api.example"), context(tmp_path / "here.pem")
        trusting = ssl.create_default_context(cafile=str(tmp_path / "there.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "here.pem"))
    said = CASES.randbytes(300_000)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(len(said)))[::-1])
        await writer.drain()
        await reader.read()

    async with (
        asyncio.timeout(20),
        tcp(handle, there) as to,
        gate(to, tls=here if around == "both" else None) as (url, heads),
    ):
        via = HttpProxy.parse(url.replace("://", "://me%40corp:a%3Ab:c@"))
        assert via.shown == url and "corp" not in repr(via) and b64encode(b"me@corp").decode()[:9] not in repr(via)
        up = UpstreamTarget.parse("wss://api.example/p" if there else "ws://api.example/p")
        reader, writer = await dial_through(up, trusting, via, 5)
        writer.write(said)
        assert await reader.readexactly(len(said)) == said[::-1]
        writer.close()
        await writer.wait_closed()
        place = f"api.example:{443 if there else 80}"
        word = b64encode(b"me@corp:a:b:c").decode()
        lines = [f"CONNECT {place} HTTP/1.1", "Host: api.example", f"Proxy-Authorization: Basic {word}", "", ""]
        assert heads == ["\r\n".join(lines)]


@pytest.mark.parametrize(
    ("answer", "what", "says"),
    [
        (b"HTTP/1.1 407 Who?\r\n\r\n", "does not accept this user and password", "http://USER:PASSWORD@"),
        (b"HTTP/1.1 403 \x9b2J\r\nContent-Length: 2\r\n\r\nno", "refused the connection", "\\x9b2J for"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "does not reach the upstream", "check --upstream"),
        (b"220 mail.example ESMTP\r\n\r\n", "what answers is not a proxy", "not HTTP"),
        (b"HTTP/1.1 200 " + b"x" * 70_000, "what answers is not a proxy", "longer than 65,536 bytes"),
        (b"", "nothing is listening at the network's proxy", "NO_PROXY=HOST"),
        (b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03", "speaks in the upstream's place", "ask the administrator"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "", ""),
    ],
)
async def test_a_proxy_of_a_network_that_does_not_let_through(answer: bytes, what: str, says: str) -> None:
    """What, where, why and what to do, and the password nowhere; a failure behind it is left to be the upstream's."""
    async with gate("", answer or b"x") as (url, _):
        if not answer:
            with socket.create_server(("127.0.0.1", 0)) as free:
                url = f"http://127.0.0.1:{free.getsockname()[1]}"
        via = HttpProxy.parse(url.replace("://", "://me:hunter2@"))
        with pytest.raises((Unreachable, OSError)) as caught:
            await dial_through(UpstreamTarget.parse("wss://api.example"), ssl.create_default_context(), via, 5)
        if not what:
            assert isinstance(caught.value, OSError)
            return
        assert isinstance(caught.value, Unreachable)
        report = str(caught.value)
        assert what in caught.value.what and says in report and f"where: {url}" in report
        assert all(text for _, text in caught.value.details())
        assert "hunter2" not in report and "\x9b" not in report


async def test_what_comes_right_behind_the_answer_of_a_proxy_is_the_upstreams() -> None:
    async with gate("", b"HTTP/1.1 103 Wait\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\x81\x02{}") as (url, _):
        reader, writer = await dial_through(UpstreamTarget.parse("ws://api.example"), None, HttpProxy.parse(url), 5)
        assert await reader.read() == b"\x81\x02{}"
        writer.close()
        await writer.wait_closed()


async def test_a_proxy_of_a_network_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        via = HttpProxy.parse(f"127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(Unreachable, match=r"did not answer within 0\.2 s"):
            await dial_through(UpstreamTarget.parse("ws://api.example"), None, via, 0.2)


@pytest.mark.parametrize("url", ["socks5://h:1080", "http://", "http://a:pass-word@h:99999", "http://[::1"])
def test_what_is_no_proxy_of_a_network(url: str) -> None:
    with pytest.raises(BadRequest, match="the network's proxy") as caught:
        HttpProxy.parse(url)
    assert "HTTPS_PROXY" in caught.value.fix and "pass-word" not in str(caught.value)
