"""Why no connection came to be: what happened, why, and what to do, in the same words whoever dials.

- The causes are told apart here alone. What is said of one is a row of `SERVER`, `UPSTREAM` or a caller's own `Words`.
- A text of others passes `hide` before it is told. That of a wrong proxy URL, which may quote a password, is not told.
- No exception of websockets leaves `dial`, and it follows no redirect: the key would go along to the other host.
- Which proxy a host is dialled through is decided by `proxy_for`, for every command and for the library.
- websockets is imported where somebody dials: who only wants the words does without it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from livews.core import closes
from livews.errors import BadRequest, LivewsError, Refused, Unreachable

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

MAX_SIZE = 64 * 1024 * 1024
"""Bytes of one inbound message: well above the 1 MiB that websockets allows by default (WIRE-13)."""
PONG_WITHIN = 60.0
"""Seconds. Pongs of 8 to 30 s were measured under load, so a default of 20 kills living sessions (CLOSE-4)."""
NOT_THIS_API = "check host, port and path: something else than this API is listening"
_LOCALHOST = re.compile(r"([a-z0-9_-]+\.)*localhost")
_ADDRESS = re.compile(r"[0-9a-fx:.]+(%[a-z0-9_.-]+)?")

# At DEBUG websockets writes every header and frame, the key among them: its lines stop at INFO.
_LOGGER = logging.getLogger("livews.websockets")
_LOGGER.setLevel(logging.INFO)

Cause = Literal["slow", "untrusted", "plain", "nameless", "nobody", "other"]
"""No answer in time; a certificate nobody vouches for; no TLS where it was wanted; a host name that does not resolve;
a port that refuses; anything else."""


class ConnectAdvice(NamedTuple):
    """What is said of one cause; `{seconds:g}` is how long was waited. Without a `why` it is the failure's own text."""

    what: str
    fix: str
    why: str = ""


Words = Mapping[Cause, ConnectAdvice]

_PLAIN = "a plain server is dialled with ws://, not wss://"
_OWN_CA = "for a server of your own set SSL_CERT_FILE to its CA file; else check the clock"
_START = "start the server there (for the stand-in: livews serve), or correct"
_UNFINISHED, _REFUSED = "nobody finished the handshake", "connection refused"
SERVER: Words = {
    "slow": ConnectAdvice(
        "no answer within {seconds:g} s", "check the network, a firewall or a proxy (HTTPS_PROXY)", _UNFINISHED
    ),
    "untrusted": ConnectAdvice("the server's certificate is not trusted", f"{_OWN_CA} and the proxy"),
    "plain": ConnectAdvice("the server does not speak TLS", _PLAIN),
    "nameless": ConnectAdvice("the host name does not resolve", "check the name, the network and DNS"),
    "nobody": ConnectAdvice("nobody listens there", f"{_START} the port", _REFUSED),
    "other": ConnectAdvice("no connection", "check the network"),
}
"""A server that is dialled by who reads this."""
UPSTREAM: Words = {
    "slow": ConnectAdvice(
        "the upstream did not answer within {seconds:g} s",
        "check the network and the firewall; where only a proxy leads out, set HTTPS_PROXY",
        _UNFINISHED,
    ),
    "untrusted": ConnectAdvice("the upstream's certificate is not trusted", _OWN_CA),
    "plain": ConnectAdvice("the upstream does not speak TLS", _PLAIN),
    "nameless": ConnectAdvice(
        "the upstream's host name does not resolve", "check the name in --upstream, the network and DNS"
    ),
    "nobody": ConnectAdvice("nobody listens at the upstream", f"{_START} --upstream", _REFUSED),
    "other": ConnectAdvice("no connection to the upstream", "check the network"),
}
"""A server that a proxy of ours dials for others."""


@dataclass(frozen=True)
class DialTarget:
    """Where to dial: `url` and `headers` may hold secrets, `shown` and what passes `hide` never do."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    shown: str
    redact: Callable[[str], str] = field(repr=False)
    agent: str
    """What we call ourselves there."""
    flag: str = "--url"
    """What a wrong URL was given with."""
    model: str = ""
    """The model that will be asked for, for the advice on a refusal."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can be reached at a host: 127.0.0.0/8, ::1 in any spelling, localhost, *.localhost.

    `host` is a name or an address without a port; an IPv6 address may be in brackets.
    """
    from ipaddress import ip_address

    host = host.lower().removesuffix(".")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if _LOCALHOST.fullmatch(host):
        return True
    if not _ADDRESS.fullmatch(host):
        return False
    try:
        address = ip_address(host)
    except ValueError:  # 127.1, 2130706433 and 0x7f.1 are dialled as 127.0.0.1, too
        with contextlib.suppress(OSError):
            return socket.inet_aton(host)[0] == 127
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def proxy_for(host: str, port: int, secure: bool) -> str | None:
    """The URL of the proxy to dial a host through, as the environment names it; None to dial it directly.

    The environment (HTTPS_PROXY, NO_PROXY and their like, on Windows and macOS the system's settings) is read as
    websockets reads it. A loopback host is always dialled directly, and so is 0.0.0.0, which servers name as theirs: a
    proxy would look for it on its own machine.
    """
    if is_loopback(host) or host in ("0.0.0.0", "::"):
        return None
    from websockets.proxy import get_proxy
    from websockets.uri import WebSocketURI

    return get_proxy(WebSocketURI(secure, host, port, "", ""))


async def dial(place: DialTarget, timeout: float, **how: Any) -> ClientConnection:
    """A WebSocket to the place, in at most `timeout` seconds; `how` is what else websockets is to be told.

    Raises Refused when the upgrade is, BadRequest for what is no URL, Unreachable."""
    from websockets.asyncio.client import connect
    from websockets.uri import parse_uri

    proxy: str | None = None
    try:
        uri = parse_uri(place.url)
        proxy = proxy_for(uri.host, uri.port, uri.secure)
        dialling = connect(
            place.url,
            additional_headers=dict(place.headers),
            user_agent_header=place.agent,
            compression=None,  # base64 audio gains little and costs 3 to 10 times the CPU (WIRE-13)
            max_size=MAX_SIZE,
            open_timeout=timeout,
            logger=_LOGGER,
            proxy=proxy,
            **how,
        )
        dialling.process_redirect = lambda problem: problem  # type: ignore[method-assign, assignment]
        return await dialling
    except Exception as problem:
        raise (_of_websockets(problem, place, timeout, proxied=proxy is not None) or problem) from None


def _of_websockets(problem: Exception, place: DialTarget, timeout: float, *, proxied: bool) -> LivewsError | None:
    """A failure to dial in livews's own words; None when it is none."""
    from websockets.exceptions import InvalidProxy, InvalidStatus, InvalidURI, ProxyError, WebSocketException

    said, where = place.redact(str(problem)), place.shown
    secure = place.url.startswith("wss:")
    if isinstance(problem, InvalidStatus):
        status, host = problem.response.status_code, urlsplit(place.url).hostname or ""
        return Refused(closes.explain_http(status, model=place.model, host=host), where=where)
    if isinstance(problem, (InvalidURI, UnicodeError)):
        fix = "write it as in ws://127.0.0.1:8765"
        return BadRequest("not a URL to dial", where=place.flag, why=said, fix=fix)
    is_value = isinstance(problem, ValueError) and not isinstance(problem, OSError)  # of TLS both are
    if is_value or isinstance(problem, (ProxyError, InvalidProxy, ImportError)):
        # ImportError: SOCKS wants a package more. The text of the others may quote the proxy's password.
        why = said if isinstance(problem, (ProxyError, ImportError)) else "its URL is none"
        fix = "check HTTPS_PROXY, or unset it; for a SOCKS proxy pip install python-socks"
        return Unreachable("the proxy did not let the connection through", where=where, why=why, fix=fix)
    if old := re.search(r"\bHTTP/1\.0 [1-5]\d\d\b", str(problem.__cause__)):
        what, why = "a server that is no WebSocket server answered", f"{old[0]}; a WebSocket begins with HTTP/1.1"
        return Unreachable(what, where=where, why=why, fix=NOT_THIS_API)
    if isinstance(problem, (WebSocketException, EOFError)):
        return Unreachable("the server does not speak WebSocket", where=where, why=said, fix=NOT_THIS_API)
    if not isinstance(problem, OSError):
        return None
    words = SERVER
    if proxied:
        fix = "a proxy is set (HTTPS_PROXY or its like): check that it runs, or unset it"
        words = {**SERVER, "nobody": SERVER["nobody"]._replace(fix=fix)}
    return unreachable(problem, words, where=where, redact=place.redact, seconds=timeout, secure=secure)


def unreachable(
    problem: Exception, words: Words, *, where: str, redact: Callable[[str], str], seconds: float, secure: bool
) -> Unreachable:
    """A failure to connect in livews's own words. `secure`: TLS was asked for, and is not yet there."""
    said = words[_cause(problem, secure)]
    own = getattr(problem, "verify_message", None) or getattr(problem, "strerror", None) or str(problem)
    return Unreachable(said.what.format(seconds=seconds), where=where, why=said.why or redact(own), fix=said.fix)


def _cause(problem: Exception, secure: bool) -> Cause:
    if isinstance(problem, TimeoutError):
        return "slow"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return "untrusted"
    if isinstance(problem, (ssl.SSLError, ConnectionResetError)) and secure:
        return "plain"
    if isinstance(problem, socket.gaierror):
        return "nameless"
    # of a host with several addresses asyncio tells what each of them said
    if isinstance(problem, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(problem):
        return "nobody"
    return "other"
