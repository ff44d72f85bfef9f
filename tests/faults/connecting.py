"""Faults before there is a session: TCP, HTTP, TLS, names and URLs. What a server does, and how `livews talk` must end."""

from __future__ import annotations

import asyncio
import re
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import children
from tests.faults.outcome import LATE, Outcome
from tests.faults.server import Act, Gone, Peer, Session, listening
from tests.kit.names import KEY

TIMEOUT = 3
"""Seconds of --timeout."""


@dataclass(frozen=True)
class Case:
    """How a connection fails.

    Attributes:
        acts: what the server does once it has read the head.
        exit: the exit code.
        says: pattern of what stderr must contain, in any case of letters.
        url: dialled in the place of the server.
        tls: the server's certificate: "good", "untrusted", "wrong host", "expired"; "" for a server without TLS.
        scheme: of the URL.
        reads: the server waits for the head first.
        waits: the client gives up only after --timeout, since nothing tells it more.
    """

    acts: tuple[Act, ...] = ()
    exit: int = 4
    says: str = ""
    url: str = ""
    tls: str = ""
    scheme: str = "ws"
    reads: bool = True
    waits: bool = False


def _head(status: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def _status(code: int, reason: str = "Reason", *headers: str) -> bytes:
    return _head(f"{code} {reason}", *headers, "Content-Length: 2", body=b"{}")


_UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")
_STATUSES = {
    4: (200, 204, 301, 302, 307, 408, 426, 500, 502, 503, 504),
    5: (400, 404),
    3: (401, 403, 407, 429),
}

CONNECTING: dict[str, Case] = {
    "refused-port": Case(url="ws://127.0.0.1:1", says="refused"),
    "rst-at-accept": Case(("rst",), reads=False, says="reset|no connection"),
    "fin-at-accept": Case(("fin",), reads=False),
    "rst-after-head": Case(("rst",)),
    "fin-after-head": Case(("fin",)),
    "no-answer": Case(("hold",), says="did not answer within", waits=True),
    "garbage-held": Case((b"\x00\xffgarbage\r\n\r\n", "hold")),
    "head-drips": Case((b"HTTP/1.1 101 Switching", *(0.4, b"\r\nA: b") * 100), waits=True),
    "head-5MB": Case((b"HTTP/1.1 101 x\r\nA: " + b"a" * 5_000_000, "hold")),
    "head-100k-lines": Case((b"HTTP/1.1 101 x\r\n" + b"A: a\r\n" * 100_000, "hold")),
    "http2": Case((b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18), "hold"), waits=True),
    "http-1.0": Case((b"HTTP/1.0 200 OK\r\n\r\n", "fin")),
    "body-without-end": Case((_head("500 Error", "Transfer-Encoding: chunked", body=b"5\r\nabcde\r\n"), "hold"), says="500"),
    "length-lies": Case((_head("500 Error", "Content-Length: 500", body=b"{}"), "hold"), says="500"),
    "accept-wrong": Case((_head("101 Switching Protocols", *_UPGRADE, "Sec-WebSocket-Accept: AAAA"), "hold")),
    "accept-missing": Case((_head("101 Switching Protocols", *_UPGRADE), "hold")),
    "upgrade-missing": Case((_head("101 Switching Protocols", "Connection: Upgrade"), "hold")),
    "headers-odd": Case((_head("101 Switching Protocols", *_UPGRADE, "\x1b[31m: \x1b]0;owned\x07", "no colon"), "hold")),
    **{f"http-{code}": Case((_status(code), "fin"), exit, says=str(code)) for exit, codes in _STATUSES.items() for code in codes},
    "http-302-with-place": Case((_status(302, "Found", "Location: ws://127.0.0.1:1/"), "fin"), says="302"),
    "http-500-key-echo": Case((_status(500, KEY), "fin"), says="500"),
    "http-500-escapes": Case((_head("500 \x1b]0;owned\x07", body=b"\x1b[2J"), "fin")),
    "tls-untrusted": Case(tls="untrusted", scheme="wss", says="certificate"),
    "tls-wrong-host": Case(tls="wrong host", scheme="wss", says="certificate"),
    "tls-expired": Case(tls="expired", scheme="wss", says="certificate"),
    "tls-trusted-then-503": Case((_status(503), "fin"), tls="good", scheme="wss", says="503"),
    "wss-to-a-plain-server": Case((_status(400), "fin"), scheme="wss", reads=False),
    "wss-to-silence": Case(("hold",), scheme="wss", reads=False, waits=True),
    "ws-to-a-tls-server": Case(("hold",), tls="good", says="wss://"),
    "no-such-name": Case(url="wss://nobody.invalid:443", says="name"),
    "url-without-host": Case(exit=2, url="ws://", says="--url"),
    "url-of-another-scheme": Case(exit=2, url="ftp://127.0.0.1", says="--url"),
    "url-port-too-large": Case(exit=2, url="ws://127.0.0.1:99999", says="--url"),
    "url-with-half-an-address": Case(exit=2, url="ws://[::1", says="--url"),
    "url-with-a-space": Case(exit=2, url="ws://127.0.0.1:1/a b", says="--url"),
    "url-with-a-label-too-long": Case(url=f"ws://{'a' * 64}.invalid", exit=2),
}  # fmt: skip


async def connecting(name: str) -> Outcome:
    """One case, in a process of its own."""
    case, clock = CONNECTING[name], asyncio.get_running_loop().time
    outcome = Outcome("connect", name, "connect", case.exit)
    session = Session(case.acts, ())

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, session)
        try:
            if case.reads:
                await reader.readuntil(b"\r\n\r\n")
            session.written = clock()
            await peer.fault()
        except (Gone, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass

    with tempfile.TemporaryDirectory(prefix="livews-") as folder:
        async with _server(case, handle, Path(folder)) as url:
            began = clock()
            process = await asyncio.create_subprocess_exec(
                *children.livews("--url", case.url or url, "--mute", "--no-resume", "--timeout", str(TIMEOUT), "Hello"),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                env=children.environment(GOOGLE_API_KEY=KEY, SSL_CERT_FILE=_authority(case, folder)), cwd=folder,
            )  # fmt: skip
            assert process.stdout is not None
            limit = 3 * TIMEOUT + 15
            output, code = b"", None
            try:
                async with asyncio.timeout(limit):
                    output = await process.stdout.read()
                    code = await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
            now = clock()
    outcome.ended(code, session.written or began, now, limit)
    outcome.look_at(output)
    if not re.search(case.says, output.decode(errors="replace"), re.IGNORECASE):
        outcome.wrong(f"does not say {case.says!r}: {output[:200]!r}", "N")
    if session.written is not None and not case.waits:
        outcome.reported_after = now - session.written
        if outcome.reported_after > LATE + 0.5:  # here the exit is measured, not the line
            outcome.wrong(f"ended {outcome.reported_after:.1f} s after the last byte", "L")
    return outcome


@asynccontextmanager
async def _server(case: Case, handle: Any, folder: Path) -> AsyncIterator[str]:
    if case.url:
        async with nullcontext():
            yield case.url
        return
    tls = None
    if case.tls:
        tls = _certificate(case, folder)
    async with listening(handle, ssl=tls) as url:
        yield url.replace("ws", case.scheme, 1)


def _authority(case: Case, folder: str) -> str:
    return str(Path(folder, "ca.pem")) if case.tls and case.tls != "untrusted" else ""


def _certificate(case: Case, folder: Path) -> ssl.SSLContext:
    import datetime

    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) if case.tls == "expired" else None
    name = "elsewhere.invalid" if case.tls == "wrong host" else "127.0.0.1"
    made = authority.issue_cert(name, not_after=past)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.configure_cert(context)
    return context
