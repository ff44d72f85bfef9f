"""The way to the upstream: straight, or through an HTTP proxy that a network wants in between (CONNECT).

- That proxy learns host and port of the upstream. With TLS it sees nothing else: the handshake is with the upstream.
- Its user and password are said to it, and to nobody else; no text here holds them.
- What fails on the way to it, or is refused by it, is told as its own (`Unreachable`); the rest is the upstream's.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from livews.connect_errors import ConnectAdvice, Words, unreachable
from livews.errors import BadRequest, Unreachable
from livews.proxy import http_head as heads
from livews.proxy.http_head import HttpHead, MalformedHead, UpstreamTarget
from livews.terminal_text import one_line

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_EYEBALLS = 0.25
_SHUTDOWN = 2.0
"""Seconds for the other side to answer the end of a TLS connection."""
_DIRECT = "NO_PROXY=HOST dials that host directly"
_ASK = f"ask whoever runs that proxy; {_DIRECT}"
_RUN = f"check that it runs and that HTTPS_PROXY names it, or unset that; {_DIRECT}"
_WORDS: Words = {
    "slow": ConnectAdvice(
        "the proxy of this network did not answer within {seconds:g} s", _RUN, "no connection, or no answer"
    ),
    "untrusted": ConnectAdvice("the certificate of the proxy of this network is not trusted", _RUN),
    "plain": ConnectAdvice(
        "the proxy of this network does not speak TLS", _RUN, "HTTPS_PROXY says https://, which is TLS to the proxy"
    ),
    "nameless": ConnectAdvice("the host name of the proxy of this network does not resolve", _RUN),
    "nobody": ConnectAdvice("no connection to the proxy of this network", _RUN, "connection refused"),
    "other": ConnectAdvice("no connection to the proxy of this network", _RUN),
}
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy of the network. `secure` is TLS to the proxy itself."""

    secure: bool
    host: str
    port: int
    credentials: bytes = field(default=b"", repr=False)
    """The value of Proxy-Authorization."""

    @classmethod
    def of(cls, url: str) -> HttpProxy:
        """From what HTTPS_PROXY holds: http:// or https://, or no scheme, which is http://. BadRequest."""
        what, fix = (
            "the proxy of this network cannot be used",
            f"write HTTPS_PROXY as in http://host:3128; {_DIRECT}",
        )
        try:
            parts = urlsplit(url if "//" in url else f"http://{url}")
            port = parts.port
        except ValueError:  # its text may quote the password
            raise BadRequest(what, where="HTTPS_PROXY", why="it is no URL", fix=fix) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            why = "it names no host" if not parts.hostname else f"{one_line(parts.scheme, 20)}:// is not spoken here"
            raise BadRequest(what, where="HTTPS_PROXY", why=why, fix=fix)
        user = parts.netloc.rpartition("@")[0]
        named = ":".join(unquote(part) for part in user.partition(":")[::2])  # a colon in the password stays one
        return cls(
            parts.scheme == "https",
            parts.hostname,
            port or (443 if parts.scheme == "https" else 80),
            b"Basic " + b64encode(named.encode()) if user else b"",
        )

    @property
    def shown(self) -> str:
        """Without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"


async def dial(up: UpstreamTarget, tls: ssl.SSLContext | None, via: HttpProxy | None, timeout: float) -> Streams:
    """A connection to the upstream, with `tls` around it when that is given, in at most `timeout` seconds.

    Unreachable when `via` is the trouble; OSError (TimeoutError and SSLError are) or ValueError when the upstream is.
    """
    named: dict[str, Any] = {}
    if tls is not None:
        named = {"server_hostname": up.host, "ssl_shutdown_timeout": _SHUTDOWN}
    if via is None:
        async with asyncio.timeout(timeout):
            given = {"ssl": tls, **named} if tls is not None else {}
            return await asyncio.open_connection(up.host, up.port, happy_eyeballs_delay=_EYEBALLS, **given)
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout
    transport, asked = await _tunnel(up, via, ends, timeout)
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    try:
        if tls is None:
            transport.set_protocol(protocol)
            reader.feed_data(asked.rest)
        else:
            if asked.rest:  # whoever said that is not the upstream, which has not been asked anything
                why = "more came than its answer, before anything was asked"
                raise _trouble(via, "the proxy of this network speaks where the upstream should", why, _ASK)
            async with asyncio.timeout_at(ends):
                made = await loop.start_tls(transport, protocol, tls, **named)
            assert made is not None
            transport = made
    except ssl.SSLCertVerificationError as problem:
        why = problem.verify_message or "nobody is known here who vouches for it"
        fix = "where a company's proxy looks into TLS, set SSL_CERT_FILE to a file that holds its CA"
        what = "the certificate is not trusted that came through the proxy of this network"
        raise _trouble(via, what, why, fix) from None
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(transport)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _tunnel(
    up: UpstreamTarget, via: HttpProxy, ends: float, timeout: float
) -> tuple[asyncio.WriteTransport, _Asked]:
    """A transport through which the upstream is spoken to, as soon as its protocol is another one."""
    loop = asyncio.get_running_loop()
    more: dict[str, Any] = {"ssl": True, "server_hostname": via.host} if via.secure else {}
    transport: asyncio.WriteTransport | None = None
    try:
        async with asyncio.timeout_at(ends):
            transport, asked = await loop.create_connection(
                lambda: _Asked(loop.create_future()), via.host, via.port, happy_eyeballs_delay=_EYEBALLS, **more
            )
            place = f"{f'[{up.host}]' if ':' in up.host else up.host}:{up.port}".encode()
            lines = [b"Host: " + place]
            if via.credentials:
                lines.append(b"Proxy-Authorization: " + via.credentials)
            transport.write(HttpHead(b"CONNECT " + place + b" HTTP/1.1", lines).raw)
            answer = heads.parse_answer(await asked.head)
        if not 200 <= answer.status < 300:
            raise _refused(up, via, answer)
    except BaseException as problem:
        if transport is not None:
            transport.abort()
        if isinstance(problem, MalformedHead):
            raise _trouble(via, "what answers is no proxy for HTTPS_PROXY", str(problem), _RUN) from None
        if isinstance(problem, (OSError, ValueError)):  # TimeoutError is
            secure = via.secure and transport is None
            raise unreachable(problem, _WORDS, where=via.shown, redact=str, seconds=timeout, secure=secure) from None
        raise
    return transport, asked


class _Asked(asyncio.Protocol):
    """Waits for the head of the proxy's answer."""

    def __init__(self, head: asyncio.Future[bytes]) -> None:
        self.head = head
        self._got = b""

    @property
    def rest(self) -> bytes:
        """What came behind the head."""
        return self._got.partition(_END)[2]

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self.head.done():
            return
        if _END in self._got:
            self.head.set_result(self._got.partition(_END)[0] + _END)
        elif len(self._got) > heads.LIMIT:
            self.head.set_exception(MalformedHead("its answer has no end"))

    def connection_lost(self, problem: Exception | None) -> None:
        if not self.head.done():
            self.head.set_exception(problem or MalformedHead("it closed the connection without an answer"))


def _refused(up: UpstreamTarget, via: HttpProxy, answer: HttpHead) -> Unreachable:
    place = f"{up.host}:{up.port}"
    said = one_line(answer.start.decode("latin-1"), 120)
    if answer.status == 407:
        what = "does not take this user and password" if via.credentials else "wants a user and a password"
        fix = "write them into HTTPS_PROXY as in http://USER:PASSWORD@host:port, with %40 for @ and %3A for :"
        return _trouble(via, f"the proxy of this network {what}", said, fix)
    if answer.status in (502, 503, 504):
        what = "the proxy of this network does not reach the upstream"
        return _trouble(via, what, f"{said} for {place}", f"check --upstream; {_ASK}")
    what = "the proxy of this network does not let the connection through"
    return _trouble(via, what, f"{said} for {place}", _ASK)


def _trouble(via: HttpProxy, what: str, why: str, fix: str) -> Unreachable:
    return Unreachable(what, where=via.shown, why=why, fix=fix)
