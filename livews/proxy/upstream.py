"""Connect the proxy to its upstream: directly, or through an HTTP proxy of the network (CONNECT).

- The network's proxy learns host and port of the upstream. With TLS it sees nothing else: the handshake is with the
  upstream, inside the tunnel.
- User and password of the network's proxy are sent to it only; no text here contains them.
- websockets speaks CONNECT; its exceptions become `Unreachable` here. What fails after the tunnel is the upstream's.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from livews.connect_errors import Words, unreachable
from livews.errors import BadRequest, Unreachable
from livews.redactor import query_credentials
from livews.terminal_text import one_line

if TYPE_CHECKING:
    from websockets.http11 import Response
    from websockets.proxy import Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_EYEBALLS_SECONDS = 0.25
"""Delay between the addresses of a host that are tried at once (RFC 8305)."""
_TLS_SHUTDOWN_SECONDS = 2.0
"""Time for the peer to answer the end of a TLS connection."""
_METHOD_PATH = re.compile(r"/+ws/google\..*$")
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

        def refusal(why: str, what: str = "invalid upstream URL", fix: str = "") -> BadRequest:
            fix = fix or "write it as in wss://example.com/prefix or ws://127.0.0.1:8765"
            return BadRequest(what, where="--upstream", why=why, fix=fix)

        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as problem:
            raise refusal(str(problem)) from None
        if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
            raise refusal("it must start with ws://, wss://, http:// or https:// and name a host")
        if parts.username or parts.password:
            raise refusal(
                "user and password of a URL are not sent on",
                "the upstream URL contains a password",
                "leave them out; the client sends its own Authorization header",
            )
        if not re.fullmatch(r"[!-~]*", parts.hostname + parts.path + parts.query):
            raise refusal("it contains non-ASCII characters (write such a host name in its xn-- form)")
        secure = parts.scheme in ("wss", "https")
        prefix = _METHOD_PATH.sub("", parts.path).rstrip("/")
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


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy of the network, as HTTPS_PROXY names it."""

    address: Proxy = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> HttpProxy:
        """From the value of HTTPS_PROXY: http:// or https://, or without a scheme, which means http://.

        Raises:
            BadRequest: not a URL that can be used, or that of a SOCKS proxy.
        """
        from websockets.exceptions import InvalidProxy
        from websockets.proxy import parse_proxy

        why = "it is not a valid proxy URL"  # the text of the exceptions may quote the password
        try:
            scheme, _, rest = url.rpartition("://")
            user, at, host = rest.rpartition("@")
            if at and ":" not in user:  # websockets wants a password
                user += ":"
            address = parse_proxy(f"{scheme or 'http'}://{user}{at}{host}")
            if address.scheme in ("http", "https"):
                return cls(address)
            why = f"{address.scheme}:// is not supported"
        except (InvalidProxy, ValueError):
            pass
        fix = f"write HTTPS_PROXY as in http://host:3128; {_DIRECT}"
        raise BadRequest(f"{_PROXY} cannot be used", where="HTTPS_PROXY", why=why, fix=fix)

    @property
    def shown(self) -> str:
        """Its URL without user and password."""
        return f"{self.address.scheme}://{_bracketed(self.address.host)}:{self.address.port}"


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
    tls_options: dict[str, Any] = {}
    if tls is not None:
        tls_options = {"server_hostname": upstream.host, "ssl_shutdown_timeout": _TLS_SHUTDOWN_SECONDS}
    if via is None:
        options = {"ssl": tls, **tls_options} if tls is not None else {}
        async with asyncio.timeout(timeout):
            return await asyncio.open_connection(
                upstream.host, upstream.port, happy_eyeballs_delay=_EYEBALLS_SECONDS, **options
            )
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    transport = await _tunnel(upstream, via, deadline, timeout)
    early = bytes(cast(Any, transport.get_protocol()).reader.buffer)  # of the HTTPProxyConnection of websockets
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    try:
        if tls is None:
            transport.set_protocol(protocol)
            reader.feed_data(early)
        else:
            if early:  # the upstream has not been asked anything yet
                why = "it sent data after its answer, before the TLS handshake"
                raise _failure(via, f"{_PROXY} speaks in the upstream's place", why, _ASK)
            async with asyncio.timeout_at(deadline):
                secured = await loop.start_tls(transport, protocol, tls, **tls_options)
            assert secured is not None
            transport = secured
    except ssl.SSLCertVerificationError as problem:
        why = problem.verify_message or "it is signed by an unknown authority"
        fix = "where a company's proxy inspects TLS, set SSL_CERT_FILE to a file with its CA certificate"
        raise _failure(via, f"the certificate that came through {_PROXY} is not trusted", why, fix) from None
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(transport)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _tunnel(upstream: UpstreamTarget, via: HttpProxy, deadline: float, timeout: float) -> asyncio.Transport:
    """A transport to the upstream; its protocol, still that of CONNECT, has to be replaced."""
    from websockets.asyncio.client import connect_http_proxy
    from websockets.exceptions import InvalidProxyMessage, InvalidProxyStatus
    from websockets.uri import WebSocketURI

    uri = WebSocketURI(upstream.secure, upstream.host, upstream.port, "", "")
    secure = via.address.scheme == "https"
    options: dict[str, Any] = {"ssl": True, "server_hostname": via.address.host} if secure else {}
    try:
        async with asyncio.timeout_at(deadline):
            return await connect_http_proxy(via.address, uri, happy_eyeballs_delay=_EYEBALLS_SECONDS, **options)
    except InvalidProxyStatus as problem:
        raise _refused(upstream, via, problem.response) from None
    except InvalidProxyMessage as problem:
        why = one_line(str(problem.__cause__ or problem), 200)
        raise _failure(via, "what answers is not a proxy for HTTPS_PROXY", why, _CHECK) from None
    except (OSError, ValueError) as problem:  # TimeoutError is an OSError
        raise unreachable(problem, _WORDS, where=via.shown, redact=str, seconds=timeout, secure=secure) from None


def _refused(upstream: UpstreamTarget, via: HttpProxy, response: Response) -> Unreachable:
    target = f"{upstream.host}:{upstream.port}"
    status = one_line(f"HTTP {response.status_code} {response.reason_phrase}", 120)
    if response.status_code == 407:
        what = "does not accept this user and password" if via.address.username else "requires a user and a password"
        fix = "write them into HTTPS_PROXY as in http://USER:PASSWORD@host:port, with %40 for @ and %3A for :"
        return _failure(via, f"{_PROXY} {what}", status, fix)
    if response.status_code in (502, 503, 504):
        what = f"{_PROXY} does not reach the upstream"
        return _failure(via, what, f"{status} for {target}", f"check --upstream; {_ASK}")
    return _failure(via, f"{_PROXY} refused the connection", f"{status} for {target}", _ASK)


def _failure(via: HttpProxy, what: str, why: str, fix: str) -> Unreachable:
    return Unreachable(what, where=via.shown, why=why, fix=fix)
