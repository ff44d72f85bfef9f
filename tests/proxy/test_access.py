"""Requests: who may connect, credentials, heads, and upstreams that fail or refuse."""

import asyncio
import contextlib
import socket
import ssl
import struct
from pathlib import Path

import h11
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

from livews.proxy import server as proxy_server
from livews.proxy.http_head import read_head
from livews.proxy.upstream import HttpProxy, UpstreamTarget
from tests.kit.names import GEMINI, KEY
from tests.kit.servers import dial, tcp
from tests.kit.waiting import until
from tests.proxy.kit import OTHER, SETUP, SWITCH, UPGRADE, answering, ask, dialled, framed, proxied, stand_in


async def test_the_injected_key_takes_the_place_of_the_clients() -> None:
    async def inject() -> dict[str, str]:
        return {"x-goog-api-key": KEY}

    async with stand_in(require_key=KEY) as there:
        async with proxied(there.url, credentials=inject) as proxy:
            headers = {"x-goog-api-key": "wrong", "Authorization": f"Token {OTHER}"}
            url = f"{proxy.url}{GEMINI}?key={OTHER}&alt=json"
            async with connect(url, additional_headers=headers, proxy=None) as client:
                await client.send(SETUP)
                assert b"setupComplete" in await client.recv(decode=False)
            await proxy.ended()
            assert not any(OTHER in line or KEY in line for line in proxy.log)
            # a token, made by POST at the same address
            lines = ("POST /v1alpha/auth_tokens HTTP/1.1", f"Host: localhost:{proxy.port}", "Content-Length: 10")
            answer = await ask(proxy.port, *lines, "Connection: keep-alive", body=b'{"uses":1}')
            assert answer.startswith(b"HTTP/1.1 200") and b"auth_tokens/" in answer
            assert "HTTP POST /v1alpha/auth_tokens: 200" in proxy.log
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", end=True, credentials=inject) as proxy:
        target = f"/v1beta/models?pageSize=1&access_token={OTHER}&key={OTHER}"
        lines = (f"GET {target} HTTP/1.1", "Host: 127.0.0.1", f"authorization: Bearer {OTHER}", "X-GOOG-API-KEY: a")
        assert (await ask(proxy.port, *lines)).endswith(b"{}")
        first, host, *rest = proxy.heads[0].decode().split("\r\n")
        assert (first, host[:16]) == ("GET /v1beta/models?pageSize=1 HTTP/1.1", "Host: 127.0.0.1:")
        assert rest == [f"x-goog-api-key: {KEY}", "Connection: close", "", ""]


async def test_without_it_the_clients_key_goes_through() -> None:
    async with stand_in(require_key=KEY) as there, proxied(there.url) as proxy:
        for key in (KEY, "wrong-key"):
            async with dial(proxy.url, additional_headers={"x-goog-api-key": key}) as client:
                await client.send(SETUP)
                with contextlib.suppress(ConnectionClosed):
                    assert b"setupComplete" in await client.recv(decode=False)
            await proxy.ended()
        first, second = proxy.recorders
        assert b"setupComplete" in first.frames[1][2] and "API key not valid" in second.controls[0][2]["reason"]


POST = ("POST / HTTP/1.1", "Host: localhost")


@pytest.mark.parametrize(
    ("lines", "status", "says"),
    [
        ([*UPGRADE, "Origin: https://evil.example"], 403, "--allow-origin https://evil.example"),
        ([*UPGRADE, "Origin: null"], 403, "a web page of null"),
        ([*UPGRADE, "Origin: http://localhost.evil.example"], 403, "may not use this proxy"),
        (["CONNECT example.com:443 HTTP/1.1", "Host: example.com:443"], 403, "GOOGLE_GEMINI_BASE_URL=http://"),
        (["GET http://example.com/ HTTP/1.1", "Host: example.com"], 403, "nowhere else"),
        (["GET / HTTP/1.1", "Host: rebound.example:80"], 403, "not rebound.example"),
        (["GET / HTTP/1.1", "Host: 127.0.0.1", "Sec-Fetch-Site: cross-site"], 403, "another site"),
        (["OPTIONS * HTTP/1.1", "Host: 127.0.0.1"], 403, "not a path"),
        (["GET / HTTP/2.0", "Host: 127.0.0.1"], 400, "not HTTP/1.1"),
        (["GET / HTTP/1.1", "Host: 127.0.0.1", " folded: 1"], 400, "a folded line"),
        (["GET / HTTP/1.1", "Host: localhost", "X: " + "x" * 70_000], 431, "longer than"),
        (["GET / HTTP/1.1", "Host: 127.0.0.1", "Host: rebound.example"], 400, "multiple Host"),
        (["GET / HTTP/1.1"], 400, "Missing mandatory Host"),
        (["GET / HTTP/1.0"], 403, "dial it as 127.0.0.1"),
        ([*UPGRADE, "Origin: http://localhost:1@evil.example"], 403, "may not use this proxy"),
        ([*UPGRADE, "Origin: http://localhost", "Origin: https://evil.example"], 403, "may not use this proxy"),
        (["POST / HTTP/1.1", "Host: localhost", "Origin: http://rebound.example"], 403, "may not use this proxy"),
        (["POST / HTTP/1.1", "Host: localhost", "Content-Length : 5"], 400, "illegal header line"),
        (["POST / HTTP/1.1", "Host: localhost", "X: a\nTransfer-Encoding: chunked"], 400, "does not end in CRLF"),
        (["POST / HTTP/1.1", "Host: localhost", "X: a\rTransfer-Encoding: chunked"], 400, "illegal header line"),
        (["GET / HTTP/1.1", "Host: localhost", "X: \0"], 400, "illegal header line"),
        (["GET / HTTP/1.1", "Host: localhost", "X: \x01"], 400, "a control character"),
        (["GET /a b HTTP/1.1", "Host: localhost"], 400, "illegal request line"),
        (["PRI * HTTP/2.0"], 400, "not HTTP/1.1"),
        ([*POST, "Content-Length: 5", "Transfer-Encoding: chunked"], 400, "given more than once"),
        ([*POST, "Content-Length: 5", "Content-Length: 5"], 400, "given more than once"),
        ([*POST, "Content-Length: 5, 5"], 400, "given more than once"),
        ([*POST, "Content-Length: 5", "content-LENGTH: 6"], 400, "Content-Length"),
        ([*POST, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 501, ""),
        ([*POST, "Transfer-Encoding: identity, chunked"], 501, ""),
        (["POST / HTTP/1.0", "Host: localhost", "Transfer-Encoding: chunked"], 400, "of HTTP/1.0"),
        ([*UPGRADE, "Content-Length: 5"], 400, "an upgrade with a body"),
        ([*UPGRADE, "Transfer-Encoding: chunked"], 400, "an upgrade with a body"),
        ([*UPGRADE, "", "GET /v1beta/models HTTP/1.1", "Host: localhost"], 400, "another request follows"),
        ([*POST, "Content-Length: 2", "", "{}POST / HTTP/1.1"], 400, "another request follows"),
        (["GET / HTTP/1.1", "Host: localhost", "", "GET / HTTP/1.1", "Host: localhost"], 400, "one request per conn"),
    ],
)
async def test_what_is_refused(lines: list[str], status: int, says: str) -> None:
    async with answering(b"") as proxy:
        answer = await ask(proxy.port, *lines)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert says in answer.decode()
        assert "refused" in proxy.log[0] and proxy.heads == []


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("http://localhost:3000", ()), ("https://[::1]", ()), ("https://mine.example", ("https://mine.example",)), ("null", ("*",))],
)  # fmt: skip
async def test_which_pages_may(origin: str, allowed: tuple[str, ...]) -> None:
    async with answering(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", origins=allowed) as proxy:
        assert (await ask(proxy.port, *UPGRADE, f"Origin: {origin}")).startswith(b"HTTP/1.1 404 ")
        assert f"Origin: {origin}".encode() in proxy.heads[0]


@pytest.mark.parametrize("tls", [False, True], ids=["not there", "no TLS"])
async def test_an_upstream_that_is_not_there_or_speaks_no_tls(tls: bool) -> None:
    what = "the upstream does not speak TLS" if tls else "nothing is listening at the upstream"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        nobody = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        async with tcp(handle) as plain:
            url = (plain if tls else nobody).replace("http", "ws").replace("ws:", "wss:")
            async with proxied(f"{url}/x?key={KEY}") as proxy:
                answer = (await ask(proxy.port, *UPGRADE)).decode()
    lines = [line.partition(": ")[0] for line in answer.partition("\r\n\r\n")[2].splitlines()]
    assert answer.startswith("HTTP/1.1 502 ") and lines == ["livews proxy", "where", "why", "do"]
    assert what in answer and KEY not in answer
    assert (proxy.failed[0].what, proxy.failed[0].exit_code) == (what, 4)


async def test_an_upstream_that_never_answers_is_waited_for_no_longer_than_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        async with proxied(f"ws://{place}", timeout=0.2) as proxy:
            head, _, body = (await ask(proxy.port, *UPGRADE)).decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 504 Gateway Timeout")
        assert body == f"livews proxy: the upstream did not answer the upgrade within 0.2 s: ws://{place}\n"
        (problem,) = proxy.failed
        assert (problem.where, problem.exit_code) == (f"ws://{place}", 4)
        assert "accepted the connection" in problem.why and "--timeout" in problem.fix
        async with proxied("ws://api.example", timeout=0.2, via=HttpProxy.parse(place)) as proxy:
            assert (await ask(proxy.port, *UPGRADE)).startswith(b"HTTP/1.1 504 ")


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_client_that_leaves_before_the_upstream_answers_is_told_of(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livews.proxy.server._LAST_SECONDS", 0.1)
    async with answering(b"", timeout=60) as proxy:
        _, writer = await dialled(proxy.port)
        await until(lambda: proxy.heads)
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        await proxy.ended()
        (problem,) = proxy.failed
        assert problem.what == "the client left before the upstream answered"
        assert "did not answer the upgrade" in problem.why


async def test_what_a_client_says_before_its_upgrade_is_answered_arrives() -> None:
    """More than is read ahead."""
    early = b"early" * 40_000
    got: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.05)  # the proxy reads ahead meanwhile
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        got.append(await reader.readexactly(len(early)))
        writer.write(b"bye")
        await writer.drain()
        writer.close()

    async with tcp(handle) as url, proxied(url) as proxy:
        reader, writer = await dialled(proxy.port, early)
        async with asyncio.timeout(10):
            assert (await reader.read()).endswith(b"bye")
        writer.close()
    assert got == [early]


async def test_informational_responses_before_the_101_are_forwarded() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    whole = early + SWITCH + framed(Opcode.TEXT, b"{}", mask=False)
    async with answering(whole) as proxy:
        reader, writer = await dialled(proxy.port)
        assert await reader.readexactly(len(whole)) == whole
        writer.close()
        await proxy.ended()
        assert [raw for _, _, raw in proxy.recorders[0].frames] == [b"{}"]
    whole = early + b"HTTP/1.1 204 Done\r\n\r\n"
    async with answering(whole, end=True) as proxy:
        assert await ask(proxy.port, *POST, "Expect: 100-continue", "Content-Length: 0") == whole
        assert proxy.log == ["HTTP POST /: 204"]


@pytest.mark.parametrize(
    ("line", "fix"),
    [("302 Found", "Check the URL"), ("401 Unauthorized", "access token"), ("403 No", ""), ("404 Not Found", "Correct the URL"),
     ("500 \xe9", "wait and try again")],
)  # fmt: skip
async def test_an_upgrade_that_is_refused_is_passed_back_and_explained(line: str, fix: str) -> None:
    head = f"HTTP/1.1 {line}\r\nLocation: https://login.example\r\nX-Odd:  1\r\nContent-Length: 9\r\n"
    refusal = f"{head}Connection: keep-alive\r\n\r\nforbidden".encode("latin-1")
    async with answering(refusal) as proxy:
        assert await ask(proxy.port, *UPGRADE, body=b"\x81\x80mask") == refusal
        await proxy.ended()
        (problem,) = proxy.failed
        assert f"HTTP {line[:3]}" in problem.what and problem.why and fix in problem.fix
        assert problem.where.endswith(", which redirects to https://login.example")


async def test_a_refusal_without_a_length_ends_when_the_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chunks end, its connection stays: nobody else says when it is over."""
    monkeypatch.setattr("livews.proxy.server._LAST_SECONDS", 0.2)
    refusal = b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
    async with answering(refusal) as proxy:
        reader, writer = await dialled(proxy.port)
        assert await reader.readexactly(len(refusal)) == refusal
        writer.close()
        await proxy.ended()


async def test_a_request_that_does_not_end_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.proxy.server._HEAD_SECONDS", 0.2)
    async with proxied("ws://127.0.0.1:9") as proxy:
        assert (await ask(proxy.port, UPGRADE[0], end=b"")).startswith(b"HTTP/1.1 408 ")
        assert "no complete request" in proxy.log[0]


async def test_a_client_that_has_said_all_still_hears_the_answer() -> None:
    """Half a connection is closed on the one side as on the other, and the other half goes on."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.read()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + said[-2:])
        await writer.drain()

    async with tcp(handle) as url, proxied(url) as proxy:
        lines = ("POST /x HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 2")
        assert (await ask(proxy.port, *lines, body=b"ab", eof=True)).endswith(b"ab")


async def test_a_client_that_does_not_trust_it_or_speaks_no_tls_is_told_of(tmp_path: Path) -> None:
    pytest.importorskip("trustme")
    from livews.server.certificate import context

    def distrust(port: int) -> None:  # asyncio's own clients leave without a word
        with socket.create_connection(("127.0.0.1", port)) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")

    said: list[str] = []
    policy = proxy_server.ProxyConfig(upstream=UpstreamTarget.parse("ws://127.0.0.1:9"), log=said.append)
    async with proxy_server.serve_proxy(policy, tls=context(tmp_path / "ca.pem")) as door:
        port = int(door.url.rpartition(":")[2])
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(distrust, port)
        await ask(port, *UPGRADE)
        await until(lambda: len(said) >= 2)
    assert "does not trust the certificate authority" in said[0]
    assert "does not use TLS" in said[1]


async def test_tls_where_none_is_spoken_is_told_of() -> None:
    async with proxied("ws://127.0.0.1:9") as proxy:
        with pytest.raises((OSError, EOFError)):
            await dial(proxy.url.replace("ws:", "wss:"))
        assert "start the proxy with --tls" in proxy.log[0]


async def test_a_double_slash_and_an_escaped_key_in_the_target() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"GET //ws/x?%6bey=one%2Dsecret&b=%2F HTTP/1.1\r\nHost: a\r\n\r\n")
    head = await read_head(reader, h11.Connection(h11.SERVER))
    assert {"one-secret", "one%2Dsecret"} <= set(head.credentials)
    raw, target = UpstreamTarget.parse("http://up/p?u=1").rewrite(head, {"Authorization": "Bearer t"})
    assert target == "/p//ws/x?b=%2F&u=1"
    lines = [f"GET {target} HTTP/1.1", "Host: up", "Authorization: Bearer t", "Connection: close", "", ""]
    assert raw == "\r\n".join(lines).encode()
