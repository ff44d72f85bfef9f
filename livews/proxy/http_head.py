"""The head of an HTTP/1.1 message, and the few lines of it that a proxy has to change.

- Every line is kept as it came, in its order and its case; only what `request` says it changes is changed.
- Nothing that could be read in two ways is passed on: line breaks are CRLF, no line is folded, a target is a path.
- What a client showed as a credential is found here, so that it can be hidden; it is told to nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from livews.errors import BadRequest

LIMIT = 64 * 1024
"""Bytes of one head."""
_SECRET_HEADERS = (b"x-goog-api-key", b"authorization", b"proxy-authorization", b"cookie")
_SECRET_QUERY = ("key", "access_token", "token", "api_key")
_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*")
_START = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.([01])")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?")
_METHOD_PATH = re.compile(r"/+ws/google\..*$")


class MalformedHead(ValueError):
    """No head that can be passed on. `status` is what to answer with, 0 for nothing: it is no HTTP at all."""

    def __init__(self, what: str, status: int = 400) -> None:
        super().__init__(what)
        self.status = status


@dataclass(slots=True)
class HttpHead:
    """The first line, and the lines behind it without their line breaks."""

    start: bytes
    lines: list[bytes] = field(repr=False)

    def values(self, name: bytes) -> list[str]:
        name = name.lower()
        return [
            line.partition(b":")[2].strip().decode("latin-1")
            for line in self.lines
            if line.partition(b":")[0].lower() == name
        ]

    def value(self, name: bytes) -> str:
        return ", ".join(self.values(name))

    @property
    def raw(self) -> bytes:
        return b"\r\n".join([self.start, *self.lines, b"", b""])

    # Of a request

    @property
    def method(self) -> str:
        return self.start.split(b" ")[0].decode()

    @property
    def target(self) -> str:
        return self.start.split(b" ")[1].decode()

    @property
    def path(self) -> str:
        """The target without its query, which may hold a key."""
        return self.target.partition("?")[0]

    @property
    def upgrades(self) -> bool:
        """Does it ask for a WebSocket?"""
        wished = [word.strip().lower() for word in self.value(b"connection").split(",")]
        return self.method == "GET" and "upgrade" in wished and "websocket" in self.value(b"upgrade").lower()

    @property
    def credentials(self) -> list[str]:
        """Whatever in it may be a secret: whole values, and what follows `Bearer` or `Token`."""
        found = [value for name in _SECRET_HEADERS for value in self.values(name)]
        found += [value.split(" ", 1)[1] for value in found if " " in value]
        return [*found, *_secrets(self.target.partition("?")[2])]

    # Of an answer

    @property
    def status(self) -> int:
        return int(self.start.split(b" ")[1])


def _secrets(query: str) -> list[str]:
    """Credentials in a query, as they read and as they stand there: two clients may differ in what they escape."""
    read = [value for name, value in parse_qsl(query) if name.lower() in _SECRET_QUERY]
    pairs = (pair.partition("=") for pair in query.split("&"))
    return [*read, *(value for name, _, value in pairs if unquote(name).lower() in _SECRET_QUERY)]


def parse_request(raw: bytes) -> HttpHead:
    """The head of a request that ends in an empty line. BadHead when it cannot be passed on as it is."""
    head = _parse(raw, _START, "request")
    if head.method == "CONNECT":
        raise MalformedHead("CONNECT is not taken: this is no proxy for HTTPS_PROXY", 403)
    if not head.target.startswith("/"):
        raise MalformedHead("the target is no path: this is no proxy for HTTP_PROXY", 403)
    return head


def parse_answer(raw: bytes) -> HttpHead:
    return _parse(raw, _STATUS, "answer")


def _parse(raw: bytes, start: re.Pattern[bytes], what: str) -> HttpHead:
    first, *lines = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if not start.fullmatch(first):
        raise MalformedHead(f"the first line is none of an HTTP/1.1 {what}")
    for line in lines:
        if not _LINE.fullmatch(line):
            raise MalformedHead("a header line is none")
    return HttpHead(first, lines)


@dataclass(frozen=True, slots=True)
class UpstreamTarget:
    """Where everything goes. `prefix` stands before every path; `query` behind every query, and may hold a key."""

    secure: bool
    host: str
    port: int
    prefix: str
    query: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> UpstreamTarget:
        """From a base URL: ws, wss, http or https. A method's own path in it is left out: clients bring theirs."""
        fix = "write it as in wss://example.com/prefix or ws://127.0.0.1:8765"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as problem:
            raise BadRequest(
                "the upstream is no URL to dial", where="--upstream", why=str(problem), fix=fix
            ) from None
        if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
            why = "it starts with ws://, wss://, http:// or https:// and names a host"
            raise BadRequest("the upstream is no URL to dial", where="--upstream", why=why, fix=fix)
        if parts.username or parts.password:
            why = "a user and a password in a URL are not passed on"
            fix = "leave them out; the client sends its own Authorization header"
            raise BadRequest("the upstream holds a password", where="--upstream", why=why, fix=fix)
        if not re.fullmatch(r"[!-~]*", parts.hostname + parts.path + parts.query):
            why = "something in it is not ASCII (a name of other letters starts with xn--)"
            raise BadRequest("the upstream is no URL to dial", where="--upstream", why=why, fix=fix)
        secure = parts.scheme in ("wss", "https")
        prefix = _METHOD_PATH.sub("", parts.path).rstrip("/")
        return cls(secure, parts.hostname, port or (443 if secure else 80), prefix, parts.query)

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """Without the query."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.prefix}"

    @property
    def credentials(self) -> list[str]:
        return _secrets(self.query)


def request(head: HttpHead, upstream: UpstreamTarget, inject: Mapping[str, str] | None = None) -> HttpHead:
    """The request as it goes on: another target and Host; `inject`ed credentials in place of the client's; and where
    it is no upgrade, `Connection: close`, since one connection carries one exchange."""
    path, _, query = head.target.partition("?")
    drop = {b"host"}
    if inject:
        drop |= {b"x-goog-api-key", b"authorization"}
        query = "&".join(
            pair
            for pair in query.split("&")
            if unquote(pair.partition("=")[0]).lower() not in ("key", "access_token")
        )
    if not head.upgrades:
        drop |= {b"connection", b"keep-alive", b"proxy-connection"}
    query = "&".join(filter(None, (query, upstream.query)))
    method, _, version = head.start.split(b" ")
    target = upstream.prefix + path + (f"?{query}" if query else "")
    lines, hosted = [], False
    for line in head.lines:
        name = line.partition(b":")[0]
        if name.lower() == b"host" and not hosted:  # in its place, in its case
            lines.append(name + b": " + upstream.authority.encode())
            hosted = True
        elif name.lower() not in drop:
            lines.append(line)
    if not hosted:
        lines.insert(0, b"Host: " + upstream.authority.encode())
    lines += [f"{name}: {value}".encode("latin-1") for name, value in (inject or {}).items()]
    if not head.upgrades:
        lines.append(b"Connection: close")
    return HttpHead(b" ".join((method, target.encode(), version)), lines)
