"""Read the heads of HTTP/1.1 messages with h11.

- h11 parses; the bytes of a head are kept as they came.
- A head that two parsers could read differently is refused: line breaks are CRLF, no line is folded, there are no
  control characters, a target is a path, and the length of a request's body is given at most once.
- Only one request is taken from a connection. One that comes together with the first is refused; what a client sends
  later is relayed as a body or, after an upgrade, as frames, to a connection that no other client shares.
- The credentials in a head are found here, so that they can be redacted.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import h11

from livews.errors import RemoteProtocolError
from livews.proxy.relay import READ_SIZE
from livews.redactor import is_secret_name, query_credentials

LIMIT = 64 * 1024
"""Bytes of one head at most."""
_TOO_LONG = f"the head is longer than {LIMIT:,} bytes"
_LENGTH_HEADERS = "Content-Length, Transfer-Encoding"
_BODY_LENGTH = re.compile(rb"\r\n(content-length|transfer-encoding):([^\r]*)", re.IGNORECASE)
_REQUEST_LINE = re.compile(rb"[A-Z]+ [!-~]+ HTTP/")
_AMBIGUOUS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n|\n[ \t]")


class HeadRefused(RemoteProtocolError):
    """A head that the proxy does not forward.

    Args:
        what: what is wrong with it.
        status: the HTTP status to answer with; 0 for no answer, since it is not HTTP.
        fix: how to fix it.
    """

    def __init__(self, what: str, status: int = 400, fix: str = "") -> None:
        super().__init__(what, fix=fix)
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
    def is_upgrade(self) -> bool:
        """Whether the request asks for a WebSocket."""
        options = [option.strip().lower() for option in self.value("connection").split(",")]
        return self.method == "GET" and "upgrade" in options and "websocket" in self.value("upgrade").lower()

    @property
    def credentials(self) -> list[str]:
        """What may be secret in a request: whole values, and what follows `Bearer` or `Token`."""
        values = [value.decode("latin-1") for name, value in self.headers if is_secret_name(name.decode())]
        values += [value.split(" ", 1)[1] for value in values if " " in value]
        return [*values, *query_credentials(self.target.partition("?")[2])]


def response_parser(method: str = "GET") -> h11.Connection:
    """A parser for the response to an upgrade or to CONNECT, with its body if it is refused."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT)
    headers = [("Host", "upstream"), ("Connection", "Upgrade"), ("Upgrade", "websocket")]
    connection.send(h11.Request(method=method, target="/", headers=headers))
    connection.send(h11.EndOfMessage())
    return connection


async def read_head(reader: asyncio.StreamReader, parser: h11.Connection) -> HttpHead:
    """Read one head; bytes after it stay in `parser.trailing_data`.

    Raises:
        HeadRefused: not a head that can be forwarded.
        OSError: the connection ended without a byte.
    """
    raw = parser.trailing_data[0]
    while True:
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError as problem:
            status = problem.error_status_hint
            raise HeadRefused(_TOO_LONG if status == 431 else f"malformed head: {problem}", status) from None
        if isinstance(event, (h11.Request, h11.InformationalResponse, h11.Response)):
            break
        data = await reader.read(READ_SIZE)
        if not data:
            if raw:
                raise HeadRefused("the connection ended in the middle of the head")
            raise ConnectionError("the connection ended without a head")
        raw += data
        if not raw[:1].isalpha():
            tls = " (it speaks TLS: dial ws:// or http://, or start the proxy with --tls)" if raw[0] == 0x16 else ""
            raise HeadRefused(f"not HTTP{tls}", 0)
        parser.receive_data(data)
    raw = raw[: len(raw) - len(parser.trailing_data[0])]
    if len(raw) > LIMIT:
        raise HeadRefused(_TOO_LONG, 431)
    if _AMBIGUOUS.search(raw):
        raise HeadRefused("the head contains a control character, a folded line or a line that does not end in CRLF")
    if event.http_version not in (b"1.0", b"1.1"):
        raise HeadRefused("not HTTP/1.1")
    headers = list(event.headers)
    if not isinstance(event, h11.Request):
        return HttpHead(raw, headers, status=event.status_code)
    head = HttpHead(raw, headers, event.method.decode(), event.target.decode())
    if head.method == "CONNECT":
        raise HeadRefused("CONNECT is not supported: this is not a proxy for HTTPS_PROXY", 403)
    if not head.target.startswith("/"):
        raise HeadRefused("the target is not a path: this is not a proxy for HTTP_PROXY", 403)
    lengths = _BODY_LENGTH.findall(raw)  # h11 merges repeated ones
    if len(lengths) > 1 or any(b"," in value for _, value in lengths):
        raise HeadRefused(f"the length of the body is given more than once ({_LENGTH_HEADERS})")
    if lengths and (head.is_upgrade or event.http_version == b"1.0") and lengths[0][1].strip() != b"0":
        if head.is_upgrade:
            raise HeadRefused(f"an upgrade with a body ({_LENGTH_HEADERS})")
        if lengths[0][0].lower() == b"transfer-encoding":
            raise HeadRefused("Transfer-Encoding in a request of HTTP/1.0")
    return head


async def read_response(
    reader: asyncio.StreamReader, parser: h11.Connection, informational: Callable[[HttpHead], Awaitable[None]]
) -> HttpHead:
    """Read the head of a response. Those before it with another status 1xx than 101 are passed to `informational`.

    Raises HeadRefused and OSError as `read_head` does.
    """
    while True:
        head = await read_head(reader, parser)
        if head.status == 101 or head.status >= 200:
            return head
        await informational(head)


def final_status(parser: h11.Connection, data: bytes) -> str:
    """The status of a response after these bytes of it, "" if they have none yet. Those of 1xx are skipped."""
    parser.receive_data(data)
    try:
        while isinstance(event := parser.next_event(), h11.InformationalResponse):
            pass
    except h11.RemoteProtocolError:
        return "an invalid response"
    return str(event.status_code) if isinstance(event, h11.Response) else ""


def is_pipelined(head: HttpHead, parser: h11.Connection) -> bool:
    """Whether another request came with this one, whose head was just read."""
    if head.is_upgrade:
        return _REQUEST_LINE.match(parser.trailing_data[0]) is not None
    return is_complete(parser) and parser.trailing_data[0] != b""


def is_complete(parser: h11.Connection) -> bool:
    """Whether the body of the message whose head was read has ended, as far as it was received."""
    try:
        while isinstance(event := parser.next_event(), h11.Data):
            pass
    except h11.RemoteProtocolError:  # then it ends with the connection
        return False
    return isinstance(event, h11.EndOfMessage)
