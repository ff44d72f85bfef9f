"""Explain connection failures: what happened, why, and how to fix it, in the same words wherever livews dials.

- Causes are distinguished here only. The words about one are a row of `_CAUSES` or of a caller's own `Words`.
- Text of others is redacted before it is shown. That of an invalid proxy URL, which may quote a password, never is.
- websockets is imported only where it is needed: the words do not need it.
"""

import errno
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from livews.advice import closes
from livews.endpoint import Endpoint
from livews.errors import BadRequest, LivewsError, Refused, Unreachable
from livews.redactor import redact_url
from livews.terminal_text import one_line

NOT_THIS_API = "check host, port and path: something other than this API is listening"

Cause = Literal[
    "timeout", "silent TLS", "unfinished", "certificate", "no TLS", "TLS", "DNS", "refused", "reset", "closed",
    "not WebSocket", "proxy", "other",
]  # fmt: skip
"""No answer in time; none to the TLS handshake; one that had begun; a certificate of an unknown authority; no TLS where it
was wanted; TLS where it was not; a host name that does not resolve; a port that refuses; a connection that was reset, or
closed, without an answer; an answer that is no upgrade; a proxy of the network that refuses; anything else."""
_SAYS_TLS = re.compile(rb"plain HTTP|HTTP request to an HTTPS|^[\x15\x16]\x03", re.IGNORECASE)
"""What a server with TLS answers to a request without: in words of web servers, or a record of TLS."""
_BODY = 200
"""Characters that are shown of the body of a refusal."""
_CERTIFICATE = "for a server of your own set SSL_CERT_FILE to its CA file; else check the clock"
_START = "start the server there (for the stand-in: livews serve), or correct"
_CAUSES: dict[Cause, tuple[str, str, str]] = {
    "timeout": (
        "{server} did not answer{within}", "the handshake was not finished",
        "check the network, a firewall or a proxy (HTTPS_PROXY)",
    ),
    "silent TLS": (
        "{server} did not answer the TLS handshake{within}",
        "the TCP connection was made, so the port may be one without TLS (ws://)",
        "if it has no TLS, dial it with ws://, not wss://; else check its program and the network",
    ),
    "unfinished": (
        "the answer of {server} was not complete{within}", "it had begun, and it has no end", NOT_THIS_API,
    ),
    "certificate": ("the certificate of {server} is not trusted", "", f"{_CERTIFICATE} and the proxy"),
    "no TLS": ("{server} does not speak TLS", "", "a server without TLS is dialled with ws://, not wss://"),
    "TLS": ("{server} speaks TLS", "it was dialled without", "write wss:// and not ws://"),
    "DNS": ("the host name of {server} does not resolve", "", "check the name, the network and DNS"),
    "refused": ("nothing is listening at {server}", "connection refused", f"{_START} the port"),
    "reset": (
        "{server} reset the connection", "",
        "check that its program is well, and a firewall between; a server with TLS is dialled with wss://",
    ),
    "closed": (
        "{server} closed the connection without an answer", "",
        f"{NOT_THIS_API}; a server with TLS is dialled with wss://",
    ),
    "not WebSocket": ("{server} does not speak WebSocket", "", NOT_THIS_API),
    "proxy": (
        "the network's proxy refused the connection", "",
        "check HTTPS_PROXY, or unset it; for a SOCKS proxy pip install python-socks",
    ),
    "other": ("no connection to {server}", "", "check the network"),
}  # fmt: skip
"""What happened, the reason where it is not the text of the exception, and what to do."""


class TlsTimeout(TimeoutError):
    """The TCP connection was made, and the TLS handshake was not finished in time."""


class Words(NamedTuple):
    """How to speak of one kind of server.

    Attributes:
        server: its name in a sentence.
        fixes, reasons: what to do, and why, where it is known better than in `_CAUSES`.
    """

    server: str
    fixes: Mapping[Cause, str] = {}
    reasons: Mapping[Cause, str] = {}


SERVER = Words("the server")
"""A server that the user dials."""
UPSTREAM = Words(
    "the upstream",
    {
        "timeout": "check the network and the firewall; where the network needs a proxy, set HTTPS_PROXY",
        "certificate": _CERTIFICATE,
        "DNS": "check the name in --upstream, the network and DNS",
        "refused": f"{_START} --upstream",
    },
)
"""A server that `livews proxy` dials for its clients."""


def dial_failure(
    problem: Exception,
    endpoint: Endpoint,
    *,
    flag: str,
    seconds: float,
    proxy: str,
    connected: bool = False,
    answer: bytes | None = None,
    lost: BaseException | None = None,
) -> LivewsError | None:
    """Explain an exception of `websockets.connect`.

    Args:
        problem: the exception.
        endpoint: what was dialled.
        flag: the option that a wrong URL came from.
        seconds: the timeout.
        proxy: the URL of the proxy of the network that was used; "" for none.
        connected: whether there was a TCP connection, through the proxy if there is one.
        answer: the beginning of what came in answer to the request; None where none was sent.
        lost: how the connection broke, if it did.

    Returns:
        None where the exception is not about the connection.
    """
    from websockets.exceptions import InvalidProxy, InvalidStatus, InvalidURI, ProxyError, WebSocketException

    redact, where = endpoint.secrets.redact, endpoint.shown
    text = redact(str(problem))
    words = SERVER
    if proxy and not connected:
        where = f"{redact_url(proxy)}, the network's proxy, on the way to {where}"
        words = SERVER._replace(server="the network's proxy")
    if proxy:
        fix = "a proxy is set (HTTPS_PROXY or its like): check that it runs, or unset it"
        words = words._replace(fixes={"refused": fix, "DNS": fix})

    def failed(cause: Cause, why: str = "") -> Unreachable:
        return _failure(cause, words, where=where, why=why, seconds=seconds)

    if answer and _SAYS_TLS.search(answer):
        return failed("TLS")
    if isinstance(problem, InvalidStatus):
        return _refused(
            problem.response.status_code,
            bytes(problem.response.body or b""),
            endpoint,
            problem.response.headers.get("Location", ""),
        )
    if isinstance(problem, (InvalidURI, UnicodeError)):
        why = (
            "its host name is not allowed in DNS" if isinstance(problem, UnicodeError) else ""
        )  # theirs quotes the URL
        return BadRequest(f"not a valid URL: {where}", where=flag, why=why, fix="write it as in ws://127.0.0.1:8765")
    is_value_error = isinstance(problem, ValueError) and not isinstance(problem, OSError)  # of TLS both are
    if is_value_error or isinstance(problem, (ProxyError, InvalidProxy, ImportError)):
        # ImportError: SOCKS needs another package. The text of the others may quote the proxy's password.
        why = text if isinstance(problem, (ProxyError, ImportError)) else "its URL is invalid"
        if not isinstance(problem, ProxyError):  # nothing was contacted
            what, fix = "the network's proxy cannot be used", _CAUSES["proxy"][2]
            return Unreachable(what, where=where, why=why, fix=fix)
        return failed("proxy", why)
    if answer and (status := re.match(rb"HTTP/1\.([01]) +([1-5]\d\d)", answer)):
        if status[1] == b"0":
            what, why = (
                "a server that is not a WebSocket server answered",
                f"{status[0].decode()}; WebSocket needs HTTP/1.1",
            )
            return Unreachable(what, where=where, why=why, fix=NOT_THIS_API)
        if status[2] != b"101":  # a head or a body that is not valid, or has no end
            return _refused(int(status[2]), answer.replace(b"\r\n", b"\n").partition(b"\n\n")[2], endpoint)
    if answer and isinstance(problem, TimeoutError):
        return failed("unfinished")
    if isinstance(problem, (WebSocketException, EOFError)):
        if answer == b"":
            return failed("reset" if isinstance(lost, OSError) else "closed", redact(str(lost or "")))
        why = redact(str(problem.__cause__ or problem))
        if answer and not answer.startswith(b"HTTP/"):
            why = f'it answered "{one_line(redact(answer.decode(errors="replace")).rstrip(), 60)}"'
        return failed("not WebSocket", why)
    if not isinstance(problem, OSError):
        return None
    secure = endpoint.url.startswith("wss:") and answer is None
    if isinstance(problem, TimeoutError) and secure and connected:
        return failed("silent TLS")
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
    text = getattr(problem, "verify_message", None) or getattr(problem, "strerror", None) or str(problem)
    return _failure(_cause(problem, secure), words, where=where, why=redact(text), seconds=seconds)


def _failure(cause: Cause, words: Words, *, where: str, why: str, seconds: float) -> Unreachable:
    """The error about a cause. `why`: the reason where its row has none."""
    what, reason, fix = _CAUSES[cause]
    return Unreachable(
        what.format(server=words.server, within=f" within {seconds:g} s"), where=where,
        why=words.reasons.get(cause) or reason or why, fix=words.fixes.get(cause, fix),
    )  # fmt: skip


def explain(cause: Cause, line: str) -> closes.Advice:
    """The advice about a connection that failed for this cause, as a line of a log has it."""
    what, reason, fix = _CAUSES[cause]
    what = what.format(server=SERVER.server, within=" in time")
    meaning, why, do = (f"{text[0].upper()}{text[1:]}." if text else "" for text in (what, reason, fix))
    retry = "yes" if cause in ("timeout", "unfinished", "reset", "closed", "other") else "no"
    name = f"network-{cause.lower().replace(' ', '-')}"
    broke = f"If a session was running, this is a close without a frame (1006). {closes.explain(1006).do}"
    also = (broke,) if cause in ("reset", "closed", "other") else ()
    return closes.Advice(0, line, name, meaning, why, do, retry, "network", "reported", also=also)


def _refused(status: int, body: bytes, endpoint: Endpoint, location: str = "") -> Refused:
    """The error about an HTTP status in answer to the upgrade; `location` is that of a redirect."""
    advice = closes.explain_http(status, model=endpoint.model, host=urlsplit(endpoint.url).hostname or "")
    where = endpoint.shown
    if location:
        where += f", which redirects to {one_line(endpoint.secrets.redact(redact_url(location)), 160)}"
    refused = Refused(advice, where=where)
    refused.body = endpoint.secrets.redact(body.decode(errors="replace")).strip()
    if refused.body:
        refused.why += f' It answered: "{one_line(refused.body, _BODY)}"'
    return refused


def _cause(problem: Exception, secure: bool) -> Cause:
    if isinstance(problem, TimeoutError):
        return "silent TLS" if isinstance(problem, TlsTimeout) else "timeout"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return "certificate"
    if isinstance(problem, (ssl.SSLError, ConnectionResetError)) and secure:
        return "no TLS"
    if isinstance(problem, socket.gaierror):
        return "DNS"
    # for a host with several addresses asyncio joins the texts of their errors
    if isinstance(problem, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(problem):
        return "refused"
    return "reset" if isinstance(problem, ConnectionResetError) else "other"
