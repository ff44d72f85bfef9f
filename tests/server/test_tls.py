"""wss://: a certificate authority made on the spot, for as long as the stand-in runs.

- A client that has the authority's certificate connects; one that has not does not.
- What cannot be done is told in one line with a cure, never with a traceback.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket as sockets
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

import livews
from livews.core import codec
from livews.server import certificate
from livews.server.server import StandInServer, serve_stand_in
from tests.kit import command
from tests.kit.names import GEMINI
from tests.kit.talk import config, content

SETUP = {"setup": {"model": "models/test", "outputAudioTranscription": {}}}


def has_ipv6() -> bool:
    try:
        with sockets.socket(sockets.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@contextlib.asynccontextmanager
async def serving_stand_in(ca: Path, host: str = "127.0.0.1") -> AsyncIterator[StandInServer]:
    async with (
        asyncio.timeout(20),
        serve_stand_in(host, config=config(), tls=certificate.context(ca, host)) as server,
    ):
        yield server
        assert server.failures == 0


async def talk(url: str, context: ssl.SSLContext) -> list[dict[str, Any]]:
    """One turn over wss://."""
    async with connect(url + GEMINI, ssl=context, compression=None) as socket:
        await socket.send(json.dumps(SETUP))
        await socket.send(json.dumps(content("hello")))
        got: list[dict[str, Any]] = []
        while not got or "turnComplete" not in got[-1].get("serverContent", {}):
            got.append(codec.parse(await socket.recv(decode=False)))
        return got


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_client_with_the_authority_connects(tmp_path: Path, name: str) -> None:
    async with serving_stand_in(tmp_path / "ca.pem") as server:
        assert re.fullmatch(r"wss://127\.0\.0\.1:[0-9]+", server.url)
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        got = await talk(server.url.replace("127.0.0.1", name), trusting)
        assert got[0] == {"setupComplete": {}}


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
async def test_the_address_of_ipv6(tmp_path: Path) -> None:
    async with serving_stand_in(tmp_path / "ca.pem", "::1") as server:
        assert server.url.startswith("wss://[::1]:")
        assert await talk(server.url, ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))


async def test_a_client_without_it_does_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving_stand_in(tmp_path / "ca.pem") as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await talk(server.url, ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError):
            other = tmp_path / "other.pem"
            certificate.context(other)
            await talk(server.url, ssl.create_default_context(cafile=str(other)))
        with pytest.raises(Exception, match=r"did not receive a valid HTTP response|connection closed"):
            async with connect(server.url.replace("wss", "ws") + GEMINI):
                pass
        assert await talk(server.url, ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))), "it still serves"
    assert not [one for one in caplog.records if one.exc_info], "no traceback"


async def test_a_client_that_wants_tls_on_a_plain_port_is_told_at_once() -> None:
    async with asyncio.timeout(5), serve_stand_in(config=config()) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await talk(server.url.replace("ws://", "wss://"), ssl.create_default_context())


async def test_tokens_and_status_come_over_tls_too(tmp_path: Path) -> None:
    async with serving_stand_in(tmp_path / "ca.pem") as server:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        port = int(server.url.rsplit(":", 1)[1])

        def ask(method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
            line = http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=5)
            try:
                line.request(method, path, body)
                response = line.getresponse()
                return response.status, json.loads(response.read())
            finally:
                line.close()

        status, made = await asyncio.to_thread(ask, "POST", "/v1alpha/auth_tokens", b"{}")
        assert (status, made["name"][:12]) == (200, "auth_tokens/")
        status, said = await asyncio.to_thread(ask, "GET", "/livews/status")
        assert (status, said["livews"]) == (200, "stand-in")
        assert (await asyncio.to_thread(ask, "POST", "/v1alpha/auth_tokens", b" " * 300_000))[0] == 413


def test_every_start_makes_another_authority(tmp_path: Path) -> None:
    first, second = tmp_path / "first.pem", tmp_path / "second.pem"
    certificate.context(first)
    certificate.context(second)
    assert first.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    assert b"PRIVATE KEY" not in first.read_bytes()
    assert first.read_bytes() != second.read_bytes()


async def test_the_certificate_says_whose_it_is(tmp_path: Path) -> None:
    async def issuer(name: str) -> str:
        context = certificate.context(tmp_path / "ca.pem", name=name)
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context) as server:
            trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("localhost", port, ssl=trusting)
            found = dict(pair for (pair,) in writer.get_extra_info("peercert")["issuer"])
            writer.transport.abort()
            return str(found["organizationName"])

    assert [await issuer(name) for name in ("stand-in", "proxy")] == ["livews stand-in", "livews proxy"]


# The command


@contextlib.contextmanager
def serving(*options: str) -> Iterator[tuple[str, list[str], subprocess.Popen[str]]]:
    """The command at work: its URL, the five lines about it, and its process."""
    with command.serving("--pace", "0", *options) as (url, server):
        assert server.stderr is not None
        yield url, [server.stderr.readline().rstrip("\n") for _ in range(5)], server


def ca_of(report: list[str]) -> Path:
    return Path(report[1].rpartition(": ")[2])


async def test_the_command_tells_how_to_trust_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving("--tls") as (url, report, server):
        ca = ca_of(report)
        assert ca.is_file()
        https = url.replace("wss://127.0.0.1", "https://localhost")
        assert [line.split() for line in report[2:]] == [
            ["google-genai", "(Python)", f"GOOGLE_GEMINI_BASE_URL={https}", f"SSL_CERT_FILE={ca}"],
            ["@google/genai", "(Node)", f"GOOGLE_GEMINI_BASE_URL={https}", f"NODE_EXTRA_CA_CERTS={ca}"],
            ["livews", f"SSL_CERT_FILE={ca}", "livews", "--url", url],
        ]
        assert await talk(url, ssl.create_default_context(cafile=str(ca)))
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=10)
        assert server.returncode == 0
        assert not ca.exists()
        assert not ca.parent.exists()


async def test_the_line_for_livews_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = tmp_path / "mine.pem"
    with serving("--tls", "--ca", str(ca)) as (url, report, server):
        assert ca_of(report) == ca
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))

        async def say() -> list[livews.Event]:
            async with asyncio.timeout(20):
                async with livews.connect(url=url, api_key="any", model="models/test") as session:
                    await session.say("hello")
                    return [event async for event in session.turn()]

        assert await say()
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(livews.LivewsError):
            await say()
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=10)
    assert ca.exists(), "a file that was asked for stays"


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
async def test_the_command_on_ipv6(tmp_path: Path) -> None:
    with serving("--tls", "--ca", str(tmp_path / "ca.pem"), "--host", "::1") as (url, report, _):
        assert url.startswith("wss://[::1]:")
        assert "https://localhost:" in report[2]
        assert await talk(url, ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))


def refused(*options: str, **environment: str) -> list[str]:
    """The lines on stderr of a start that fails."""
    done = command.livews("serve", "--port", "0", *options, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


def test_without_trustme_the_extra_is_named(tmp_path: Path) -> None:
    """As on a machine that has not installed it: importing it fails."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'trustme':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    report = refused("--tls", PYTHONPATH=path)
    assert report == [
        "livews: --tls needs the package trustme, which is not installed",
        "  where  --tls",
        "  do     pip install trustme",
    ]
    with command.serving(PYTHONPATH=path) as (url, _):
        assert url.startswith("ws://"), "nothing else needs it"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    for place, why in ((tmp_path / "no" / "ca.pem", "No such file or directory"), (tmp_path, "Is a directory")):
        report = refused("--tls", "--ca", str(place))
        assert report[0] == f"livews: cannot write {place}: {why}"
        assert report[1].split() == ["where", "--ca"]
        assert report[2].split(maxsplit=1) == ["do", "name a file in a folder that exists"]


def test_ca_goes_with_tls() -> None:
    report = refused("--ca", "ca.pem")
    assert report[-1] == "livews serve: error: --ca needs --tls"


async def test_livews_without_the_authority_says_so(tmp_path: Path) -> None:
    async with serving_stand_in(tmp_path / "ca.pem") as server:
        with pytest.raises(livews.Unreachable) as caught:
            await livews.connect(url=server.url)
        said = str(caught.value)
    assert "the certificate of the server is not trusted" in said
    assert "SSL_CERT_FILE" in said
