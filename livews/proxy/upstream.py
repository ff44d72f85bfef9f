"""Connect the proxy to its upstream: directly, or through an HTTP proxy of the network (CONNECT).

- The network's proxy learns host and port of the upstream. With TLS it sees nothing else: the handshake is with the
  upstream, inside the tunnel.
- User and password of the network's proxy are sent to it only; no text here contains them.
- What fails before the tunnel is an `Unreachable` about the network's proxy; what fails after it is the upstream's.
- Of a request only what `UpstreamTarget.rewrite` says is changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from livews.connect_errors import TlsTimeout, Words, unreachable
from livews.errors import BadRequest, Unreachable
from livews.loopback import bad_characters
from livews.proxy.http_head import HeadRefused, HttpHead, read_response, response_parser
from livews.redactor import query_credentials
from livews.terminal_text import one_line

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_EYEBALLS_SECONDS = 0.25
"""Delay between the addresses of a host that are tried at once (RFC 8305)."""
_TLS_SHUTDOWN_SECONDS = 2.0
"""Time for the peer to answer the end of a TLS connection."""
_DIRECT = "NO_PROXY=HOST dials that host directly"
_ASK = f"ask the administrator of that proxy; {_DIRECT}"
_CHECK = f"check that it runs and that HTTPS_PROXY names it, or unset that; {_DIRECT}"
_PROXY = "the network's proxy"
_WORDS = Words(
    _PROXY,
    dict.fromkeys(("timeout", "certificate", "no TLS", "DNS", "refused", "other"), _CHECK),
    {"no TLS": "HTTPS_PROXY starts with https://, which is TLS to the proxy itself"},
)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, slots=True)
class UpstreamTarget:
    """The server that everything is relayed to.

    Attributes:
        secure: TLS to it.
        prefix: stands before every path.
        query: is added to every query; it may contain a key.
    """

    secure: bool
    host: str
    port: int
    prefix: str
    query: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> UpstreamTarget:
        """From a base URL (ws, wss, http or https). The path of an API method is dropped: clients send theirs.

        Raises:
            BadRequest: not a URL that can be used.
        """

        what, why = "invalid upstream URL", ""
        fix = "write it as in wss://example.com/prefix or ws://127.0.0.1:8765"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as problem:
            # what does not fit may be quoted, and be a part of a password
            words = (
                "its port is no number from 0 to 65535" if str(problem).startswith("Port") else "its host is invalid"
            )
            raise BadRequest(what, where="--upstream", why=words, fix=fix) from None
        if why := bad_characters(url):
            pass
        elif parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
            why = "it must start with ws://, wss://, http:// or https:// and name a host"
        elif parts.username or parts.password:
            what, why = "the upstream URL contains a password", "user and password of a URL are not sent on"
            fix = "leave them out; the client sends its own Authorization header"
        elif not re.fullmatch(r"[!-~]*", parts.hostname + parts.path + parts.query):
            why = "it contains non-ASCII characters (write such a host name in its xn-- form)"
        if why or not parts.hostname:
            raise BadRequest(what, where="--upstream", why=why, fix=fix)
        secure = parts.scheme in ("wss", "https")
        prefix = parts.path.partition("/ws/google.")[0].rstrip("/")
        return cls(secure, parts.hostname, port or (443 if secure else 80), prefix, parts.query)

    @property
    def authority(self) -> str:
        """Host and port in the form of a Host header."""
        default = 443 if self.secure else 80
        return _bracketed(self.host) + ("" if self.port == default else f":{self.port}")

    @property
    def shown(self) -> str:
        """The URL without its query."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.prefix}"

    @property
    def credentials(self) -> list[str]:
        return query_credentials(self.query)

    def rewrite(self, head: HttpHead, credentials: Mapping[str, str] | None = None) -> tuple[bytes, str]:
        """The head of a request as it is sent to the upstream, and its target.

        Target and Host change, and for a request that is not an upgrade `Connection: close` is set, since one
        connection carries one exchange. Everything else stays byte for byte.

        Args:
            head: the request.
            credentials: headers that replace the client's credentials.
        """
        path, _, query = head.target.partition("?")
        pairs, dropped = query.split("&"), [b""]
        added = [f"{name}: {value}" for name, value in (credentials or {}).items()]
        if credentials:
            dropped += [b"x-goog-api-key", b"authorization"]
            pairs = [pair for pair in pairs if unquote(pair.partition("=")[0]).lower() not in ("key", "access_token")]
        if not head.is_upgrade:
            dropped += [b"connection", b"keep-alive", b"proxy-connection"]
            added.append("Connection: close")
        query = "&".join(filter(None, [*pairs, self.query]))
        target = self.prefix + path + (f"?{query}" if query else "")
        start, *lines = head.raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
        method, _, version = start.split(b" ")
        kept = [b" ".join((method, target.encode(), version))]
        if not head.values("host"):  # HTTP/1.0
            lines.insert(0, b"Host:")
        for line in lines:
            name = line.partition(b":")[0]
            if name.lower() == b"host":  # in its place, in its case
                kept.append(name + b": " + self.authority.encode())
            elif name.lower() not in dropped:
                kept.append(line)
        return b"\r\n".join([*kept, *(line.encode("latin-1") for line in added), b"", b""]), target


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy of the network, as HTTPS_PROXY names it.

    Attributes:
        secure: TLS to the proxy itself.
        authorization: the value of Proxy-Authorization, "" without a user.
    """

    secure: bool
    host: str
    port: int
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> HttpProxy:
        """From the value of HTTPS_PROXY: http:// or https://, or without a scheme, which means http://.

        Raises:
            BadRequest: not a URL that can be used, or that of a SOCKS proxy.
        """
        why = "it is not a valid proxy URL"  # the text of an exception may quote the password
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            secure, port = parts.scheme == "https", parts.port
            if parts.scheme not in ("http", "https"):
                why = f"{parts.scheme}:// is not supported"
            elif parts.hostname:
                user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
                authorization = f"Basic {b64encode(user.encode()).decode()}" if len(user) > 1 else ""
                return cls(secure, parts.hostname, port or (443 if secure else 80), authorization)
        except ValueError:
            pass
        fix = f"write HTTPS_PROXY as in http://host:3128; {_DIRECT}"
        raise BadRequest(f"{_PROXY} cannot be used", where="HTTPS_PROXY", why=why, fix=fix)

    @property
    def shown(self) -> str:
        """Its URL without user and password."""
        return f"{'https' if self.secure else 'http'}://{_bracketed(self.host)}:{self.port}"


async def dial(
    upstream: UpstreamTarget, tls: ssl.SSLContext | None, via: HttpProxy | None, timeout: float
) -> Streams:
    """Connect to the upstream.

    Args:
        upstream: the server.
        tls: the TLS context; None without TLS.
        via: the network's proxy; None to dial directly.
        timeout: seconds for all of it.

    Raises:
        Unreachable: the network's proxy failed.
        OSError: the upstream failed; TimeoutError and SSLError are OSErrors.
        ValueError: the upstream's host name cannot be encoded.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    if via is None:
        return await _connect(upstream.host, upstream.port, tls, deadline)
    parser = response_parser("CONNECT")
    lines = [f"CONNECT {_bracketed(upstream.host)}:{upstream.port} HTTP/1.1", f"Host: {upstream.authority}"]
    lines += [f"Proxy-Authorization: {via.authorization}"] if via.authorization else []
    with contextlib.ExitStack() as on_failure:
        try:
            to_proxy = ssl.create_default_context() if via.secure else None
            reader, writer = await _connect(via.host, via.port, to_proxy, deadline)
            on_failure.callback(writer.transport.abort)
            async with asyncio.timeout_at(deadline):
                writer.write("\r\n".join([*lines, "", ""]).encode())
                head = await read_response(reader, parser, _skip)
        except HeadRefused as problem:
            raise _failure(via, "what answers is not a proxy for HTTPS_PROXY", problem.what, _CHECK) from None
        except (OSError, ValueError) as problem:  # TimeoutError is an OSError
            raise unreachable(
                problem, _WORDS, where=via.shown, redact=str, seconds=timeout, secure=via.secure
            ) from None
        if not 200 <= head.status < 300:
            raise _refused(upstream, via, head)
        early = parser.trailing_data[0]
        if tls is None:
            reader.feed_data(early)
        elif early:  # the upstream has not been asked anything yet
            why = "it sent data after its answer, before the TLS handshake"
            raise _failure(via, f"{_PROXY} speaks in the upstream's place", why, _ASK)
        else:
            try:
                async with asyncio.timeout_at(deadline):
                    await writer.start_tls(tls, server_hostname=upstream.host, ssl_handshake_timeout=timeout + 1)
            except TimeoutError:
                raise TlsTimeout from None
            except ssl.SSLCertVerificationError as problem:
                why = problem.verify_message or "it is signed by an unknown authority"
                fix = "where a company's proxy inspects TLS, set SSL_CERT_FILE to a file with its CA certificate"
                raise _failure(via, f"the certificate that came through {_PROXY} is not trusted", why, fix) from None
        on_failure.pop_all()
        return reader, writer


async def _skip(informational: HttpHead) -> None:
    """Drop a response 1xx of the network's proxy."""


async def _connect(host: str, port: int, tls: ssl.SSLContext | None, deadline: float) -> Streams:
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {}
    if tls is not None:
        within = max(deadline - loop.time(), 0.0) + 1  # else asyncio gives up after 60 s, in words of its own
        options = {"ssl": tls, "ssl_shutdown_timeout": _TLS_SHUTDOWN_SECONDS, "ssl_handshake_timeout": within}
    reader = asyncio.StreamReader(loop=loop)
    connected: list[asyncio.StreamReaderProtocol] = []

    def create() -> asyncio.StreamReaderProtocol:  # called when there is a TCP connection
        connected.append(asyncio.StreamReaderProtocol(reader, loop=loop))
        return connected[-1]

    try:
        async with asyncio.timeout_at(deadline):
            transport, protocol = await loop.create_connection(
                create, host, port, happy_eyeballs_delay=_EYEBALLS_SECONDS, **options
            )
    except TimeoutError as problem:
        raise (TlsTimeout() if tls is not None and connected else problem) from None
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _refused(upstream: UpstreamTarget, via: HttpProxy, head: HttpHead) -> Unreachable:
    status_line = head.raw.partition(b"\r\n")[0].decode("latin-1")
    status = one_line(f"HTTP {status_line.partition(' ')[2]}", 120)
    if head.status == 407:
        what = "does not accept this user and password" if via.authorization else "requires a user and a password"
        fix = "write them into HTTPS_PROXY as in http://USER:PASSWORD@host:port, with %40 for @ and %3A for :"
        return _failure(via, f"{_PROXY} {what}", status, fix)
    what, fix = f"{_PROXY} refused the connection", _ASK
    if head.status in (502, 503, 504):
        what, fix = f"{_PROXY} does not reach the upstream", f"check --upstream; {_ASK}"
    return _failure(via, what, f"{status} for {upstream.host}:{upstream.port}", fix)


def _failure(via: HttpProxy, what: str, why: str, fix: str) -> Unreachable:
    return Unreachable(what, where=via.shown, why=why, fix=fix)
