"""The proxy server: clients connect to it as if it were the service, and their sessions can be observed.

- It connects to one upstream only: no CONNECT, no absolute URL, nothing that a web page of another site requests.
- The upgrade is forwarded with another target and Host; after the 101, bytes are relayed unchanged (`relay`) and then
  observed (`observer`). A client notices only a fraction of a millisecond. Messages are injected only where
  `ProxyConfig.on_session` hands out the injector.
- Credentials of the client, and those that replace them, are redacted in everything that is logged and recorded.
- Other HTTP requests (tokens, the list of models) are forwarded too, one per connection.
- The upstream is dialled directly, or through an HTTP proxy of the network (`upstream`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

import h11

from livews.connect_errors import NOT_THIS_API, UPSTREAM, unreachable
from livews.core import closes
from livews.errors import BadRequest, LivewsError, Refused, TraceFailed, Unreachable
from livews.loopback import is_loopback
from livews.proxy import http_head
from livews.proxy.http_head import HttpHead, MalformedHead
from livews.proxy.injector import MessageInjector
from livews.proxy.observer import ConnectionObserver, warm_up
from livews.proxy.relay import READ_SIZE, Peer, Side, relay
from livews.proxy.upstream import HttpProxy, UpstreamTarget, dial
from livews.recorder import Recorder
from livews.redactor import Redactor
from livews.terminal_text import one_line

_HEAD_SECONDS = 10.0
"""Seconds for a client to send its TLS handshake and its head."""
_LAST_SECONDS = 2.0
"""Seconds the upstream may still take for its answer after the client has left or ended its stream."""
_READ_AHEAD = 64 * 1024
"""Bytes read from a client before its upgrade is answered; the rest stays in its socket."""
_BACKLOG = 256

T = TypeVar("T")


def _ignore(*_: Any) -> None:
    pass


@dataclass
class ProxyConfig:
    """What a proxy does. Everything it reports goes through the callables here.

    Attributes:
        upstream: the server that everything is relayed to.
        via: the HTTP proxy of the network, where the upstream is reached through one.
        credentials: gives the headers that replace a client's credentials; raises LivewsError if there are none.
        origins: origins of web pages that may connect, besides those of this machine; `*` for any.
        timeout: seconds to connect to the upstream, and again for its answer to an upgrade.
        record: makes the recorders of a session, from its number, its URL and its redactor.
        log: receives a line of text about a session, redacted and escaped.
        on_failure: receives the number of a session whose connection failed, and why; 0 for another HTTP request.
        on_fatal: receives the error after which the proxy cannot go on: its trace cannot be written.
        on_session: receives the number, the observer and the injector of each session that begins.
        on_session_end: called after each session.
    """

    upstream: UpstreamTarget
    via: HttpProxy | None = None
    credentials: Callable[[], Awaitable[Mapping[str, str]]] | None = None
    origins: Sequence[str] = ()
    timeout: float = 10.0
    record: Callable[[int, str, Redactor], Sequence[Recorder]] = field(default=lambda number, url, redactor: ())
    log: Callable[[str], None] = _ignore
    on_failure: Callable[[int, LivewsError], None] = _ignore
    on_fatal: Callable[[LivewsError], None] = _ignore
    on_session: Callable[[int, ConnectionObserver, MessageInjector], None] = _ignore
    on_session_end: Callable[[], None] = _ignore


class _Refusal(Exception):
    """A request that the proxy answers itself. `text` is for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class _ClientLeft(Exception):
    """The client went away before its upgrade was answered."""


class ProxyServer:
    """The listening side; a session or an HTTP exchange is one of its tasks.

    Args:
        config: what it does.
        host: the address it listens on.
    """

    def __init__(self, config: ProxyConfig, host: str) -> None:
        self.config = config
        self.url = ""
        self.sessions = 0
        """Number of upgrades that were accepted."""
        self.tasks: set[asyncio.Task[Any]] = set()
        self._host = host
        self._tls: ssl.SSLContext | None = None
        if config.upstream.secure:
            self._tls = ssl.create_default_context()  # reads SSL_CERT_FILE
            self._tls.set_alpn_protocols(["http/1.1"])

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self._serve(Peer(reader, writer))
        except TraceFailed as problem:
            self.config.on_fatal(problem)
        except (OSError, asyncio.CancelledError):
            pass  # the client is gone, or the proxy ends
        finally:
            writer.transport.abort()
            self.tasks.discard(task)

    async def _serve(self, client: Peer) -> None:
        redactor = Redactor(*self.config.upstream.credentials)
        try:
            head, early = await self._request(client)
            if head is None:
                return
            redactor = Redactor(*self.config.upstream.credentials, *head.credentials)
            self._authorize(head)
        except _Refusal as refusal:
            first_line = redactor.redact(refusal.text.splitlines()[0])
            self.config.log(f"refused, HTTP {refusal.status}: {one_line(first_line, 200)}")
            await client.answer(_response(refusal.status, refusal.text))
            return
        if not head.is_upgrade:
            await self._forward(0, client, head, early, redactor)
            return
        self.sessions += 1
        try:
            await self._forward(self.sessions, client, head, early, redactor)
        finally:
            self.config.on_session_end()

    async def _forward(self, number: int, client: Peer, head: HttpHead, early: bytes, redactor: Redactor) -> None:
        """Forward an accepted request: session `number`, or with 0 another HTTP exchange."""
        config = self.config
        try:
            credentials = await config.credentials() if config.credentials else None
            if credentials:
                values = [*credentials.values(), *(value.rpartition(" ")[2] for value in credentials.values())]
                redactor = Redactor(*config.upstream.credentials, *head.credentials, *values)
            if number:
                server, more = await _while_client_stays(client, self._dial(redactor))
                early += more
            else:
                server = await self._dial(redactor)
        except LivewsError as problem:
            late = isinstance(problem.__context__, TimeoutError)  # the upstream, or the network's proxy
            await self._fail(number, client, problem, 504 if late else 502)
            return
        except _ClientLeft:
            self._client_left(number, "there was no connection to it yet")
            return
        try:
            raw, target = http_head.rewrite(head, config.upstream, credentials)
            server.writer.write(raw)
            if number:
                await self._session(number, client, server, head, target, early, redactor)
            else:
                await self._exchange(client, server, head, early, redactor)
            await asyncio.gather(server.close(), client.close())
        finally:
            server.writer.transport.abort()

    async def _fail(self, number: int, client: Peer, problem: LivewsError, status: int) -> None:
        """No upstream for this client. After a timeout it gets one sentence, since programs show it as it is."""
        self.config.on_failure(number, problem)
        text = f"{problem.what}: {problem.where}" if status == 504 else str(problem)
        await client.answer(_response(status, f"livews proxy: {text}\n"))

    def _client_left(self, number: int, why: str) -> None:
        what = "the client left before the upstream answered"
        fix = "find out why the upstream does not answer; a --timeout shorter than the client's tells the client why"
        self.config.on_failure(number, Unreachable(what, where=self.config.upstream.shown, why=why, fix=fix))

    # Access

    async def _request(self, client: Peer) -> tuple[HttpHead | None, bytes]:
        """The head of the request and the bytes read after it; None if there is no HTTP request."""
        parser = http_head.request_parser()
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await http_head.read_head(client.reader, parser)
            return head, parser.trailing_data[0]
        except TimeoutError:
            raise _Refusal(408, f"no complete request within {_HEAD_SECONDS:g} s\n") from None
        except MalformedHead as problem:
            if not problem.status:
                self.config.log(f"refused: {problem}")
                return None, b""
            raise _Refusal(problem.status, f"{problem}\n{self._usage()}") from None

    def _authorize(self, head: HttpHead) -> None:
        """Refuse what a web page of another site requests."""
        any_origin = "*" in self.config.origins
        origins = head.values("origin")
        for origin in origins:
            if not (_is_local_page(origin) or origin in self.config.origins or any_origin):
                shown = one_line(origin, 120)
                fix = f"If that page is yours: livews proxy --allow-origin {shown}"
                raise _Refusal(403, f"a web page of {shown} may not use this proxy\n{fix}\n")
        if not origins and head.value("sec-fetch-site") == "cross-site" and not any_origin:
            raise _Refusal(403, "a web page of another site may not use this proxy\n")
        # DNS rebinding: a page whose name resolves to this machine sends no Origin with a GET, but its name in Host.
        # With an upgrade browsers always send an Origin.
        host = re.sub(r":\d+$", "", head.value("host"))
        if not head.is_upgrade and is_loopback(self._host) and not is_loopback(host):
            raise _Refusal(403, f"this proxy is not {one_line(host, 120)}\nDial it as 127.0.0.1 or localhost.\n")

    def _usage(self) -> str:
        return (
            f"This is livews proxy. It relays to {self.config.upstream.shown} and nowhere else.\n"
            f"Use its URL in the service's place: GOOGLE_GEMINI_BASE_URL={self.url.replace('ws', 'http', 1)}, "
            f"baseUrl in an SDK's options, or livews --url {self.url}\n"
        )

    # The upstream

    async def _dial(self, redactor: Redactor) -> Peer:
        upstream, timeout = self.config.upstream, self.config.timeout
        try:
            return Peer(*await dial(upstream, self._tls, self.config.via, timeout))
        except (OSError, ValueError) as problem:
            raise unreachable(
                problem, UPSTREAM, where=upstream.shown, redact=redactor.redact, seconds=timeout,
                secure=upstream.secure,
            ) from None  # fmt: skip

    async def _session(
        self, number: int, client: Peer, server: Peer, request: HttpHead, target: str, early: bytes,
        redactor: Redactor,
    ) -> None:  # fmt: skip
        config, where = self.config, self.config.upstream.shown
        parser = http_head.response_parser()
        try:
            async with asyncio.timeout(config.timeout):
                response, more = await _while_client_stays(client, _final_response(client, server, parser))
        except TimeoutError:
            what = f"the upstream did not answer the upgrade within {config.timeout:g} s"
            fix = f"{NOT_THIS_API}, or it hangs; --timeout S waits longer"
            problem = Unreachable(what, where=where, why="it accepted the connection, but sent nothing", fix=fix)
            await self._fail(number, client, problem, 504)
            return
        except (MalformedHead, OSError) as error:
            what = "the upstream does not answer as a WebSocket server"
            problem = Unreachable(what, where=where, why=redactor.redact(str(error)), fix=NOT_THIS_API)
            await self._fail(number, client, problem, 502)
            return
        except _ClientLeft:
            self._client_left(number, "it accepted the connection, but did not answer the upgrade")
            return
        early += more
        if response.status != 101:
            client.writer.write(response.raw)
            location = one_line(redactor.redact(response.value("location").partition("?")[0]), 160)
            where = f"{where}, which redirects to {location}" if location else where
            config.on_failure(number, Refused(closes.explain_http(response.status), where=where))
            with contextlib.suppress(_ClientLeft, OSError):
                await _while_client_stays(client, _copy_body(server, client, parser))
            await client.answer(b"")
            return
        path = target.partition("?")[0]
        agent = one_line(redactor.redact(request.value("user-agent").strip()), 60)
        config.log(f"session {number}: {agent + ', ' if agent else ''}{one_line(redactor.redact(path), 160)}")
        url = f"{'wss' if config.upstream.secure else 'ws'}://{config.upstream.authority}{target}"
        try:  # before the client gets its 101: a session that has to be recorded does not run unrecorded
            recorders = config.record(number, url, redactor)
        except TraceFailed:
            await client.answer(_response(500, "livews proxy: the trace cannot be written, so there is no session\n"))
            raise
        client.writer.write(response.raw)

        def log(text: str) -> None:
            config.log(f"session {number}: {one_line(redactor.redact(text), 300)}")

        extensions = response.value("sec-websocket-extensions")
        observer = ConnectionObserver(path, extensions, recorders, log, config.on_fatal)
        if observer.compressed:
            log("the messages are compressed (permessage-deflate); they are shown inflated (WIRE-13)")
        injector = MessageInjector(client, server, observer)
        config.on_session(number, observer, injector)

        def on_bytes(side: Side, data: bytes) -> None:
            observer.on_bytes(side, data)
            injector.flush(side)

        try:
            await relay(client, server, (early, parser.trailing_data[0]), on_bytes, observer.on_end)
        finally:
            injector.end()
            observer.close()
            log(observer.summary())

    async def _exchange(self, client: Peer, server: Peer, head: HttpHead, early: bytes, redactor: Redactor) -> None:
        """One HTTP request and its response."""
        start = b""
        request = f"HTTP {head.method} {one_line(redactor.redact(head.path), 160)}"

        def on_bytes(side: Side, data: bytes) -> None:
            nonlocal start
            if side == "server" and len(start) < 12:
                start += data[:12]
                if len(start) >= 12:  # HTTP/1.1 200
                    self.config.log(f"{request}: {one_line(start[9:12].decode('latin-1'))}")

        await relay(client, server, (early, b""), on_bytes)
        if len(start) < 12:
            self.config.log(f"{request}: no response")


async def _final_response(client: Peer, server: Peer, parser: h11.Connection) -> HttpHead:
    """The response to the upgrade; informational ones before it (100, 103) are forwarded."""
    while True:
        head = await http_head.read_head(server.reader, parser)
        if head is None:
            raise MalformedHead("the connection ended without a response")
        if head.status == 101 or head.status >= 200:
            return head
        client.writer.write(head.raw)


async def _while_client_stays(client: Peer, work: Coroutine[Any, Any, T]) -> tuple[T, bytes]:
    """The result of `work`, and what the client sent meanwhile. Raises _ClientLeft if it leaves before that."""
    working = asyncio.create_task(work)
    early = bytearray()

    async def read_ahead() -> None:
        while data := await client.reader.read(_READ_AHEAD - len(early)):
            early.extend(data)
            if len(early) >= _READ_AHEAD:
                await asyncio.wait({working})
                return

    reading = asyncio.create_task(read_ahead())
    try:
        await asyncio.wait({working, reading}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():  # the client is gone, or has only ended its stream
            await asyncio.wait({working}, timeout=0 if reading.exception() else _LAST_SECONDS)
            if not working.done():
                raise _ClientLeft
        return await working, bytes(early)
    finally:
        for task in (working, reading):
            task.cancel()
        await asyncio.gather(working, reading, return_exceptions=True)


async def _copy_body(server: Peer, client: Peer, parser: h11.Connection) -> None:
    """Copy the body of a response whose head was read, as it came, to its end."""
    data = parser.trailing_data[0]
    while True:
        complete = http_head.is_complete(parser)
        if complete:
            data = data[: len(data) - len(parser.trailing_data[0])]
        client.writer.write(data)
        await client.writer.drain()
        if complete or not (data := await server.reader.read(READ_SIZE)):
            return
        parser.receive_data(data)


def _is_local_page(origin: str) -> bool:
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return False
    return bool(host and re.match(r"https?://", origin) and is_loopback(host))


def _response(status: int, text: str) -> bytes:
    body = text.encode(errors="replace")
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body


def _logging_tls(log: Callable[[str], None]) -> type[ssl.SSLObject]:
    """A class of TLS connections that log why a handshake failed; asyncio does not.

    A client that leaves without an alert, as asyncio's own do, is not logged: its own error says why.
    """

    class LoggingTls(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as problem:
                log(_tls_failure(problem))
                raise

        def read(self, *args: Any) -> Any:
            # with TLS 1.3 a client checks the certificate after this side has finished its handshake
            try:
                return super().read(*args)
            except ssl.SSLError as problem:
                if "CERTIFICATE" in (problem.reason or "") or "UNKNOWN_CA" in (problem.reason or ""):
                    log(_tls_failure(problem))
                raise

    return LoggingTls


def _tls_failure(problem: ssl.SSLError) -> str:
    reason = problem.reason or "no reason given"
    if reason == "HTTP_REQUEST":
        return "refused: a client does not use TLS: dial wss:// or https://, or start the proxy without --tls"
    if "UNKNOWN_CA" in reason or "CERTIFICATE" in reason:
        return f"refused by a client, which does not trust the certificate authority: give it the file of --ca ({reason})"
    return f"refused: a client's TLS handshake failed ({reason})"


@contextlib.asynccontextmanager
async def serve_proxy(
    config: ProxyConfig, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ProxyServer]:
    """A running proxy.

    Args:
        config: what it does.
        host: the address to listen on.
        port: the port to listen on; 0 picks a free one.
        tls: TLS towards the clients.

    Raises:
        OSError: it cannot listen there.
        BadRequest: its upstream is its own address.
    """
    warm_up()
    proxy = ProxyServer(config, host)
    options: dict[str, Any] = {}
    if tls is not None:
        tls.sslobject_class = _logging_tls(config.log)
        options = {"ssl": tls, "ssl_handshake_timeout": _HEAD_SECONDS, "ssl_shutdown_timeout": 2.0}
    server = await asyncio.start_server(proxy.accept, host, port, backlog=_BACKLOG, **options)
    try:
        own_port: int = server.sockets[0].getsockname()[1]
        upstream = config.upstream
        if upstream.port == own_port and (is_loopback(upstream.host) or upstream.host == host):
            raise BadRequest(
                "the proxy would dial itself",
                where=upstream.shown,
                why="its upstream is the address it listens on; GOOGLE_GEMINI_BASE_URL may be set here, too",
                fix="set that variable for the client only, or pass --upstream",
            )
        proxy.url = f"{'wss' if tls else 'ws'}://{f'[{host}]' if ':' in host else host}:{own_port}"
        yield proxy
    finally:
        server.close()
        for task in list(proxy.tasks):
            task.cancel()
        if proxy.tasks:
            await asyncio.wait(list(proxy.tasks), timeout=5)
        await server.wait_closed()
