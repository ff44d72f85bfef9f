"""Read the heads of HTTP/1.1 messages with h11, and rewrite what a proxy has to change in a request.

- h11 parses; the bytes of a head are kept as they came, and only what `rewrite` says is changed in them.
- A head that two parsers could read differently is refused: line breaks are CRLF, no line is folded, there are no
  control characters, a target is a path.
- The credentials in a head are found here, so that they can be redacted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

import h11

from livews.errors import RemoteProtocolError
from livews.proxy.relay import READ_SIZE
from livews.proxy.upstream import UpstreamTarget
from livews.redactor import query_credentials

LIMIT = 64 * 1024
"""Bytes of one head at most."""
_SECRET_HEADERS = (b"x-goog-api-key", b"authorization", b"proxy-authorization", b"cookie")
_AMBIGUOUS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n|\n[ \t]")


class MalformedHead(RemoteProtocolError):
    """A head that the proxy cannot forward.

    Args:
        what: what is wrong with it.
        status: the HTTP status to answer with; 0 for no answer, since it is not HTTP.
    """

    def __init__(self, what: str, status: int = 400) -> None:
        super().__init__(what)
        self.status = status


@dataclass(slots=True)
class HttpHead:
    """The head of a request or a response.

    Attributes:
        raw: its bytes, with the empty line at its end.
        headers: names in lower case, and values.
    """

    raw: bytes = field(repr=False)
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    method: str = ""
    target: str = ""
    status: int = 0

    def values(self, name: str) -> list[str]:
        """The values of all headers of a name (in lower case)."""
        return [value.decode("latin-1") for key, value in self.headers if key == name.encode()]

    def value(self, name: str) -> str:
        """The same as one text."""
        return ", ".join(self.values(name))

    @property
    def path(self) -> str:
        """The target without its query, which may contain a key."""
        return self.target.partition("?")[0]

    @property
    def is_upgrade(self) -> bool:
        """Whether the request asks for a WebSocket."""
        options = [option.strip().lower() for option in self.value("connection").split(",")]
        return self.method == "GET" and "upgrade" in options and "websocket" in self.value("upgrade").lower()

    @property
    def credentials(self) -> list[str]:
        """What may be secret in a request: whole values, and what follows `Bearer` or `Token`."""
        values = [value.decode("latin-1") for name, value in self.headers if name in _SECRET_HEADERS]
        values += [value.split(" ", 1)[1] for value in values if " " in value]
        return [*values, *query_credentials(self.target.partition("?")[2])]


def request_parser() -> h11.Connection:
    """A parser for one request."""
    return h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT)


def response_parser() -> h11.Connection:
    """A parser for the response to an upgrade, with its body if it is refused."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT)
    headers = [("Host", "upstream"), ("Connection", "Upgrade"), ("Upgrade", "websocket")]
    connection.send(h11.Request(method="GET", target="/", headers=headers))
    connection.send(h11.EndOfMessage())
    return connection


async def read_head(reader: asyncio.StreamReader, parser: h11.Connection) -> HttpHead | None:
    """Read one head; bytes after it stay in `parser.trailing_data`.

    Returns:
        None when the stream ended without a byte.

    Raises:
        MalformedHead: not a head that can be forwarded.
    """
    raw = parser.trailing_data[0]
    while True:
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError as problem:
            raise _malformed(raw, problem) from None
        if isinstance(event, (h11.Request, h11.InformationalResponse, h11.Response)):
            break
        data = await reader.read(READ_SIZE)
        if not data:
            if raw:
                raise MalformedHead("the connection ended in the middle of the head")
            return None
        raw += data
        if not raw[:1].isalpha():
            tls = " (it speaks TLS: dial ws:// or http://, or start the proxy with --tls)" if raw[0] == 0x16 else ""
            raise MalformedHead(f"not HTTP{tls}", 0)
        parser.receive_data(data)
    raw = raw[: len(raw) - len(parser.trailing_data[0])]
    if len(raw) > LIMIT:
        raise MalformedHead(f"the head is longer than {LIMIT:,} bytes", 431)
    if _AMBIGUOUS.search(raw):
        raise MalformedHead(
            "the head contains a control character, a folded line or a line that does not end in CRLF"
        )
    if event.http_version not in (b"1.0", b"1.1"):
        raise MalformedHead("not HTTP/1.1")
    headers = list(event.headers)
    if not isinstance(event, h11.Request):
        return HttpHead(raw, headers, status=event.status_code)
    head = HttpHead(raw, headers, event.method.decode(), event.target.decode())
    if head.method == "CONNECT":
        raise MalformedHead("CONNECT is not supported: this is not a proxy for HTTPS_PROXY", 403)
    if not head.target.startswith("/"):
        raise MalformedHead("the target is not a path: this is not a proxy for HTTP_PROXY", 403)
    return head


def is_complete(parser: h11.Connection) -> bool:
    """Whether the body of the message whose head was read has ended, as far as it was received."""
    try:
        while isinstance(event := parser.next_event(), h11.Data):
            pass
    except h11.RemoteProtocolError:  # then it ends with the connection
        return False
    return isinstance(event, h11.EndOfMessage)


def _malformed(raw: bytes, problem: h11.RemoteProtocolError) -> MalformedHead:
    if problem.error_status_hint == 431:
        return MalformedHead(f"the head is longer than {LIMIT:,} bytes", 431)
    return MalformedHead(f"malformed head: {problem}", problem.error_status_hint)


def rewrite(
    head: HttpHead, upstream: UpstreamTarget, credentials: Mapping[str, str] | None = None
) -> tuple[bytes, str]:
    """The head of a request as it is sent to the upstream, and its target.

    Target and Host change, and for a request that is not an upgrade `Connection: close` is set, since one connection
    carries one exchange. Everything else stays byte for byte.

    Args:
        credentials: headers that replace the client's credentials.
    """
    path, _, query = head.target.partition("?")
    drop = {b"host"}
    if credentials:
        drop |= {b"x-goog-api-key", b"authorization"}
        query = "&".join(
            pair
            for pair in query.split("&")
            if unquote(pair.partition("=")[0]).lower() not in ("key", "access_token")
        )
    if not head.is_upgrade:
        drop |= {b"connection", b"keep-alive", b"proxy-connection"}
    query = "&".join(filter(None, (query, upstream.query)))
    target = upstream.prefix + path + (f"?{query}" if query else "")
    start, *lines = head.raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    method, _, version = start.split(b" ")
    kept, has_host = [b" ".join((method, target.encode(), version))], False
    for line in lines:
        name = line.partition(b":")[0]
        if name.lower() == b"host" and not has_host:  # in its place, in its case
            kept.append(name + b": " + upstream.authority.encode())
            has_host = True
        elif name.lower() not in drop:
            kept.append(line)
    if not has_host:
        kept.insert(1, b"Host: " + upstream.authority.encode())
    kept += [f"{name}: {value}".encode("latin-1") for name, value in (credentials or {}).items()]
    if not head.is_upgrade:
        kept.append(b"Connection: close")
    return b"\r\n".join([*kept, b"", b""]), target
