"""Explain connection failures: what happened, why, and how to fix it, in the same words wherever livews dials.

- Causes are distinguished here only. The words about one are a row of `SERVER`, `UPSTREAM` or a caller's own `Words`.
- Text of others is redacted before it is shown. That of an invalid proxy URL, which may quote a password, never is.
- The proxy of the network for a host is decided by `proxy_for`, for every command and for the library.
- websockets is imported only where it is needed: the words do not need it.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from livews.core import closes
from livews.endpoint import Endpoint
from livews.errors import BadRequest, LivewsError, Refused, Unreachable
from livews.loopback import is_loopback

NOT_THIS_API = "check host, port and path: something other than this API is listening"

Cause = Literal["slow", "untrusted", "plain", "nameless", "nobody", "other"]
"""No answer in time; a certificate of an unknown authority; no TLS where it was wanted; a host name that does not resolve;
a port that refuses; anything else."""


class ConnectAdvice(NamedTuple):
    """The words about one cause; `{seconds:g}` is the timeout. Without a `why` it is the text of the exception."""

    what: str
    fix: str
    why: str = ""


Words = Mapping[Cause, ConnectAdvice]

_PLAIN = "a plain server is dialled with ws://, not wss://"
_OWN_CA = "for a server of your own set SSL_CERT_FILE to its CA file; else check the clock"
_START = "start the server there (for the stand-in: livews serve), or correct"
_UNFINISHED, _REFUSED = "the handshake was not finished", "connection refused"
SERVER: Words = {
    "slow": ConnectAdvice(
        "no answer within {seconds:g} s", "check the network, a firewall or a proxy (HTTPS_PROXY)", _UNFINISHED
    ),
    "untrusted": ConnectAdvice("the server's certificate is not trusted", f"{_OWN_CA} and the proxy"),
    "plain": ConnectAdvice("the server does not speak TLS", _PLAIN),
    "nameless": ConnectAdvice("the host name does not resolve", "check the name, the network and DNS"),
    "nobody": ConnectAdvice("nothing is listening there", f"{_START} the port", _REFUSED),
    "other": ConnectAdvice("no connection", "check the network"),
}
"""For a server that the user dials."""
UPSTREAM: Words = {
    "slow": ConnectAdvice(
        "the upstream did not answer within {seconds:g} s",
        "check the network and the firewall; where the network needs a proxy, set HTTPS_PROXY",
        _UNFINISHED,
    ),
    "untrusted": ConnectAdvice("the upstream's certificate is not trusted", _OWN_CA),
    "plain": ConnectAdvice("the upstream does not speak TLS", _PLAIN),
    "nameless": ConnectAdvice(
        "the upstream's host name does not resolve", "check the name in --upstream, the network and DNS"
    ),
    "nobody": ConnectAdvice("nothing is listening at the upstream", f"{_START} --upstream", _REFUSED),
    "other": ConnectAdvice("no connection to the upstream", "check the network"),
}
"""For a server that `livews proxy` dials for its clients."""


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


def dial_failure(
    problem: Exception, endpoint: Endpoint, *, flag: str, seconds: float, proxied: bool
) -> LivewsError | None:
    """Explain an exception of `websockets.connect`.

    Args:
        problem: the exception.
        endpoint: what was dialled.
        flag: the option that a wrong URL came from.
        seconds: the timeout.
        proxied: whether a proxy of the network was used.

    Returns:
        None where the exception is not about the connection.
    """
    from websockets.exceptions import InvalidProxy, InvalidStatus, InvalidURI, ProxyError, WebSocketException

    redact, where = endpoint.secrets.redact, endpoint.shown
    text = redact(str(problem))
    if isinstance(problem, InvalidStatus):
        status, host = problem.response.status_code, urlsplit(endpoint.url).hostname or ""
        refused = Refused(closes.explain_http(status, model=endpoint.model, host=host), where=where)
        refused.body = redact(bytes(problem.response.body or b"").decode(errors="replace")).strip()
        return refused
    if isinstance(problem, (InvalidURI, UnicodeError)):
        fix = "write it as in ws://127.0.0.1:8765"
        return BadRequest("not a valid URL", where=flag, why=text, fix=fix)
    is_value_error = isinstance(problem, ValueError) and not isinstance(problem, OSError)  # of TLS both are
    if is_value_error or isinstance(problem, (ProxyError, InvalidProxy, ImportError)):
        # ImportError: SOCKS needs another package. The text of the others may quote the proxy's password.
        why = text if isinstance(problem, (ProxyError, ImportError)) else "its URL is invalid"
        fix = "check HTTPS_PROXY, or unset it; for a SOCKS proxy pip install python-socks"
        return Unreachable("the network's proxy refused the connection", where=where, why=why, fix=fix)
    if old := re.search(r"\bHTTP/1\.0 [1-5]\d\d\b", str(problem.__cause__)):
        what, why = "a server that is not a WebSocket server answered", f"{old[0]}; WebSocket needs HTTP/1.1"
        return Unreachable(what, where=where, why=why, fix=NOT_THIS_API)
    if isinstance(problem, (WebSocketException, EOFError)):
        return Unreachable("the server does not speak WebSocket", where=where, why=text, fix=NOT_THIS_API)
    if not isinstance(problem, OSError):
        return None
    words = SERVER
    if proxied:
        fix = "a proxy is set (HTTPS_PROXY or its like): check that it runs, or unset it"
        words = {**SERVER, "nobody": SERVER["nobody"]._replace(fix=fix)}
    secure = endpoint.url.startswith("wss:")
    return unreachable(problem, words, where=where, redact=redact, seconds=seconds, secure=secure)


def unreachable(
    problem: Exception, words: Words, *, where: str, redact: Callable[[str], str], seconds: float, secure: bool
) -> Unreachable:
    """Explain an exception of connecting, TLS included.

    Args:
        problem: the exception.
        words: the words for each cause.
        where: what was dialled, without credentials.
        redact: removes credentials from the text of the exception.
        seconds: the timeout.
        secure: TLS was wanted, and the handshake is not finished.
    """
    advice = words[_cause(problem, secure)]
    text = getattr(problem, "verify_message", None) or getattr(problem, "strerror", None) or str(problem)
    return Unreachable(
        advice.what.format(seconds=seconds), where=where, why=advice.why or redact(text), fix=advice.fix
    )


def _cause(problem: Exception, secure: bool) -> Cause:
    if isinstance(problem, TimeoutError):
        return "slow"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return "untrusted"
    if isinstance(problem, (ssl.SSLError, ConnectionResetError)) and secure:
        return "plain"
    if isinstance(problem, socket.gaierror):
        return "nameless"
    # for a host with several addresses asyncio joins the texts of their errors
    if isinstance(problem, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(problem):
        return "nobody"
    return "other"
