"""The proxy server: clients connect to it as if it were the service, and their sessions can be observed.

- It connects to one upstream only: no CONNECT, no absolute URL, nothing that a web page of another site requests.
- The upgrade is forwarded with another target and Host; after the 101, bytes are relayed unchanged (`relay`) and then
  observed (`observer`). A client notices only a fraction of a millisecond. Messages are injected only where
  `ProxyConfig.record` uses the injector.
- Credentials of the client, and those that replace them, are redacted in everything that is logged and recorded.
- Other HTTP requests (tokens, the list of models) are forwarded too, one per connection.
- The upstream is dialled directly, or through an HTTP proxy of the network (`upstream`).
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import h11

from livews import listening
from livews.advice import closes
from livews.connect_errors import NOT_THIS_API, UPSTREAM, unreachable
from livews.errors import BadRequest, LivewsError, Refused, TraceFailed, Unreachable
from livews.loopback import is_loopback
from livews.proxy import http_head
from livews.proxy.http_head import HeadRefused, HttpHead
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

T = TypeVar("T")
MakeRecorders = Callable[[int, str, Redactor, MessageInjector], Sequence[Recorder]]


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
        record: makes the recorders of a session, from its number, its URL, its redactor and its injector.
        log: receives a line of text about a session, redacted and escaped.
        on_failure: receives the number of a session whose connection failed, and why; 0 for another HTTP request.
        on_fatal: receives the error after which the proxy cannot go on: its trace cannot be written.
        on_session_end: called after each session.
    """

    upstream: UpstreamTarget
    via: HttpProxy | None = None
    credentials: Callable[[], Awaitable[Mapping[str, str]]] | None = None
    origins: Sequence[str] = ()
    timeout: float = 10.0
    record: MakeRecorders = field(default=lambda number, url, redactor, injector: ())
    log: Callable[[str], None] = _ignore
    on_failure: Callable[[int, LivewsError], None] = _ignore
    on_fatal: Callable[[LivewsError], None] = _ignore
    on_session_end: Callable[[], None] = _ignore


class ProxyServer:
    """The listening side; each connection of a client is one of its tasks.

    Args:
        config: what it does.
        host: the address it listens on.
        tls: TLS towards the clients.
    """

    def __init__(self, config: ProxyConfig, host: str, tls: ssl.SSLContext | None) -> None:
        self.config = config
        self.host = host
        self.url = ""
        self.access = listening.PageAccess("proxy", host, config.origins)
        self.sessions = 0
        """Number of upgrades that were accepted."""
        self.tasks: set[asyncio.Task[Any]] = set()
        self.upstream_tls: ssl.SSLContext | None = None
        self._tls = tls
        if config.upstream.secure:
            self.upstream_tls = ssl.create_default_context()  # reads SSL_CERT_FILE
            self.upstream_tls.set_alpn_protocols(["http/1.1"])

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            if self._tls is not None:
                await writer.start_tls(self._tls, ssl_handshake_timeout=_HEAD_SECONDS)
            await _Connection(self, Peer(reader, writer)).serve()
        except TraceFailed as problem:
            self.config.on_fatal(problem)
        except ssl.SSLError as problem:
            # with TLS 1.3 a client checks the certificate after this side has finished its handshake
            self.config.log(_tls_failure(problem))
        except (OSError, asyncio.CancelledError):
            pass  # the client is gone, or the proxy ends
        finally:
            writer.transport.abort()
            self.tasks.discard(task)


class _Connection:
    """One connection of a client: a session, or another HTTP exchange."""

    def __init__(self, proxy: ProxyServer, client: Peer) -> None:
        self._proxy = proxy
        self._config = proxy.config
        self._client = client
        self._number = 0
        """Of the session; 0 for another exchange."""
        self._early = b""
        """What the client sent after its head, before anything is relayed."""
        self._redactor = Redactor(*self._config.upstream.credentials)

    async def serve(self) -> None:
        """Read the request, and forward or refuse it."""
        try:
            head = await self._request()
            self._redactor = Redactor(*self._config.upstream.credentials, *head.credentials)
            if refusal := self._proxy.access.refusal(head.values, is_upgrade=head.is_upgrade):
                raise HeadRefused(refusal[0], 403, refusal[1])
        except HeadRefused as problem:
            status = f", HTTP {problem.status}" if problem.status else ""
            self._config.log(f"refused{status}: {self._shown(problem.what, 200)}")
            if problem.status:
                await self._client.answer(_response(problem.status, f"{problem}\n"))
            return
        if not head.is_upgrade:
            await self._forward(head)
            return
        self._proxy.sessions += 1
        self._number = self._proxy.sessions
        try:
            await self._forward(head)
        finally:
            self._config.on_session_end()

    def _shown(self, text: str, length: int) -> str:
        """A text of others, as it is logged."""
        return one_line(self._redactor.redact(text), length)

    def _log(self, text: str) -> None:
        self._config.log(f"session {self._number}: {self._shown(text, 300)}")

    # Access

    async def _request(self) -> HttpHead:
        """The head of the request."""
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=http_head.LIMIT)
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await http_head.read_head(self._client.reader, parser)
        except TimeoutError:
            raise HeadRefused(f"no complete request within {_HEAD_SECONDS:g} s", 408) from None
        except HeadRefused as refusal:
            url = self._proxy.url
            refusal.fix = (
                f"use the proxy in the service's place: GOOGLE_GEMINI_BASE_URL={url.replace('ws', 'http', 1)}, "
                f"baseUrl in an SDK's options, or livews --url {url}; "
                f"it relays to {self._config.upstream.shown} and nowhere else"
            )
            raise
        self._early = parser.trailing_data[0]
        if http_head.is_pipelined(head, parser):
            raise HeadRefused("another request follows at once", 400, "send one request per connection")
        return head

    # The upstream

    async def _forward(self, head: HttpHead) -> None:
        """Forward an accepted request."""
        config, upstream, client = self._config, self._config.upstream, self._client
        parser = http_head.response_parser()
        with contextlib.ExitStack() as stack:
            try:
                credentials = await config.credentials() if config.credentials else {}
                values = [*credentials.values(), *(value.rpartition(" ")[2] for value in credentials.values())]
                self._redactor = Redactor(*upstream.credentials, *head.credentials, *values)
                server = await self._while_client_stays(self._dial(), "there was no connection to it yet")
                stack.callback(server.writer.transport.abort)
                raw, target = upstream.rewrite(head, credentials)
                server.writer.write(raw)
                if self._number:
                    why = "it accepted the connection, but did not answer the upgrade"
                    response = await self._while_client_stays(self._response(server, parser), why)
            except LivewsError as problem:
                config.on_failure(self._number, problem)
                status, text = 502, str(problem)
                if isinstance(problem.__context__, TimeoutError):  # one sentence: programs show it as it is
                    status, text = 504, f"{problem.what}: {problem.where}"
                await client.answer(_response(status, f"livews proxy: {text}\n"))
                return
            if not self._number:
                await self._exchange(server, head)
            elif response.status == 101:
                await self._session(server, head, target, response, parser.trailing_data[0])
            else:
                await self._pass_refusal(server, response, parser)
            await asyncio.gather(server.close(), client.close())

    async def _while_client_stays(self, work: Coroutine[Any, Any, T], why: str) -> T:
        """The result of `work`; what the client sends meanwhile is kept.

        Raises:
            Unreachable: the client left before that; `why` says how far the upstream had come.
        """
        working = asyncio.create_task(work)

        async def read_ahead() -> None:
            while len(self._early) < _READ_AHEAD:
                data = await self._client.reader.read(_READ_AHEAD)
                if not data:
                    return
                self._early += data
            await asyncio.wait({working})

        reading = asyncio.create_task(read_ahead())
        try:
            await asyncio.wait({working, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():  # the client is gone, or has only ended its stream
                await asyncio.wait({working}, timeout=0 if reading.exception() else _LAST_SECONDS)
            if working.done():
                return await working
        finally:
            for task in (working, reading):
                task.cancel()
            await asyncio.gather(working, reading, return_exceptions=True)
        what = "the client left before the upstream answered"
        fix = "find out why the upstream does not answer; a --timeout shorter than the client's tells the client why"
        raise Unreachable(what, where=self._config.upstream.shown, why=why, fix=fix)

    async def _dial(self) -> Peer:
        upstream, timeout = self._config.upstream, self._config.timeout
        try:
            return Peer(*await dial(upstream, self._proxy.upstream_tls, self._config.via, timeout))
        except (OSError, ValueError) as problem:
            if listening.is_out_of_descriptors(problem):
                what, why, fix = "the upstream was not dialled", listening.NO_DESCRIPTORS, listening.MORE_DESCRIPTORS
                raise Unreachable(what, where=upstream.shown, why=why, fix=fix) from None
            raise unreachable(
                problem, UPSTREAM, where=upstream.shown, redact=self._redactor.redact, seconds=timeout,
                secure=upstream.secure,
            ) from None  # fmt: skip

    async def _response(self, server: Peer, parser: h11.Connection) -> HttpHead:
        """The response to the upgrade; informational ones before it (100, 103) are forwarded."""
        timeout, where = self._config.timeout, self._config.upstream.shown

        async def forward(head: HttpHead) -> None:
            self._client.writer.write(head.raw)
            await self._client.writer.drain()

        try:
            async with asyncio.timeout(timeout):
                return await http_head.read_response(server.reader, parser, forward)
        except TimeoutError:
            what = f"the upstream did not answer the upgrade within {timeout:g} s"
            fix = f"{NOT_THIS_API}, or it hangs; --timeout S waits longer"
            why = "it accepted the connection, but sent nothing"
            raise Unreachable(what, where=where, why=why, fix=fix) from None
        except (HeadRefused, OSError) as problem:
            what, why = "the upstream does not answer as a WebSocket server", self._redactor.redact(str(problem))
            raise Unreachable(what, where=where, why=why, fix=NOT_THIS_API) from None

    async def _pass_refusal(self, server: Peer, response: HttpHead, parser: h11.Connection) -> None:
        """The upstream refused the upgrade: copy its response as it came, to its end."""
        location = self._shown(response.value("location").partition("?")[0], 160)
        where = self._config.upstream.shown + (f", which redirects to {location}" if location else "")
        self._config.on_failure(self._number, Refused(closes.explain_http(response.status), where=where))

        async def copy_body(data: bytes) -> None:
            while True:
                complete = http_head.is_complete(parser)
                if complete:
                    data = data[: len(data) - len(parser.trailing_data[0])]
                self._client.writer.write(data)
                await self._client.writer.drain()
                if complete or not (data := await server.reader.read(READ_SIZE)):
                    return
                parser.receive_data(data)

        self._client.writer.write(response.raw)
        with contextlib.suppress(Unreachable, OSError):
            await self._while_client_stays(copy_body(parser.trailing_data[0]), "")
        await self._client.answer(b"")

    async def _session(
        self, server: Peer, request: HttpHead, target: str, response: HttpHead, server_early: bytes
    ) -> None:
        """Relay a session, and observe and record it."""
        config, client, path = self._config, self._client, target.partition("?")[0]
        agent = self._shown(request.value("user-agent").strip(), 60)
        config.log(f"session {self._number}: {agent + ', ' if agent else ''}{self._shown(path, 160)}")
        url = f"{'wss' if config.upstream.secure else 'ws'}://{config.upstream.authority}{target}"
        observer = ConnectionObserver(path, response.value("sec-websocket-extensions"), self._log, config.on_fatal)
        injector = MessageInjector(client, server, observer)
        try:  # before the client gets its 101: a session that has to be recorded does not run unrecorded
            observer.recorders += config.record(self._number, url, self._redactor, injector)
        except TraceFailed as problem:
            await client.answer(
                _response(
                    500, "livews proxy: the trace cannot be written, so there is no session; its stderr says why\n"
                )
            )
            if not listening.is_out_of_descriptors(problem):  # which passes
                raise
            self._log(f"not recorded, and so refused with HTTP 500: {listening.NO_DESCRIPTORS}")
            return
        client.writer.write(response.raw)
        if observer.compressed:
            self._log("the messages are compressed (permessage-deflate); they are shown inflated (WIRE-13)")

        def on_bytes(side: Side, data: bytes) -> asyncio.Task[None] | None:
            working = observer.on_bytes(side, data)
            if working is None:
                injector.flush(side)
            else:
                working.add_done_callback(lambda _: injector.flush(side))
            return working

        try:
            await relay(client, server, (self._early, server_early), on_bytes, observer.on_end)
        finally:
            injector.end()
            await observer.close()
            self._log(observer.summary())

    async def _exchange(self, server: Peer, head: HttpHead) -> None:
        """One HTTP request and its response."""
        status, parser = "", http_head.response_parser(head.method)
        request = f"HTTP {head.method} {self._shown(head.target.partition('?')[0], 160)}"

        def on_bytes(side: Side, data: bytes) -> None:
            nonlocal status
            if side == "server" and not status and (status := http_head.final_status(parser, data)):
                self._config.log(f"{request}: {status}")

        await relay(self._client, server, (self._early, b""), on_bytes)
        if not status:
            self._config.log(f"{request}: no response")


def _response(status: int, text: str) -> bytes:
    body = text.encode(errors="replace")
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body


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
    proxy = ProxyServer(config, host, tls)
    server = await asyncio.start_server(proxy.accept, host, port, backlog=listening.ACCEPTED_AT_ONCE)
    listening.deepen_backlog(server.sockets)
    try:
        own_port: int = server.sockets[0].getsockname()[1]
        upstream = config.upstream
        if upstream.port == own_port and (is_loopback(upstream.host) or upstream.host == host):
            why = "its upstream is the address it listens on; GOOGLE_GEMINI_BASE_URL may be set here, too"
            fix = "set that variable for the client only, or pass --upstream"
            raise BadRequest("the proxy would dial itself", where=upstream.shown, why=why, fix=fix)
        proxy.url = listening.url_to_dial(host, own_port, tls=tls is not None)
        yield proxy
    finally:
        server.close()
        for task in list(proxy.tasks):
            task.cancel()
        if proxy.tasks:
            await asyncio.wait(list(proxy.tasks), timeout=5)
        await server.wait_closed()
