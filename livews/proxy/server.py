"""A proxy on this machine: clients dial it as if it was the service, and what they say can be seen.

- It goes to one upstream and nowhere else: no CONNECT, no absolute URL, nothing a web page of somebody else asks for.
- The upgrade is passed on with another target and Host; from the 101 on, bytes are carried as they are (`relay`) and
  looked at afterwards (`watch`). A client notices nothing but some fraction of a millisecond. Only who hands in
  `Policy.seam` can put messages of its own between those that pass.
- What a client shows as a credential, and one that is put in its place, are hidden in all that is said and recorded.
- Other HTTP requests (tokens, the list of models) are passed on too, one a connection.
- The upstream is dialled directly, or through the HTTP proxy that a network wants in between (`tunnel`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from livews.connect_errors import NOT_THIS_API, UPSTREAM, is_loopback, unreachable
from livews.core import closes
from livews.errors import BadRequest, LivewsError, Refused, TraceFailed, Unreachable
from livews.proxy import http_head as heads
from livews.proxy.http_head import HttpHead, MalformedHead, UpstreamTarget
from livews.proxy.injector import MessageInjector
from livews.proxy.observer import ConnectionObserver, warm
from livews.proxy.relay import PIECE, Peer, as_it_came, relay
from livews.proxy.upstream import HttpProxy, dial
from livews.recorder import Recorder
from livews.terminal_text import one_line

_HEAD_SECONDS = 10.0
"""What a client is given for the head of its request, and its TLS."""
_LAST_SECONDS = 2.0
"""What the upstream is given when the client has left or said all: for its answer to an upgrade, and for more of one
whose length it does not tell."""
_AHEAD = 64 * 1024
"""Bytes a client may say before its upgrade is answered; the rest stays in its socket."""
_BACKLOG = 256


T = TypeVar("T")


class HeaderRedaction(Protocol):
    """Takes credentials out: of text that is shown, and (the cheap form) of frames."""

    def redact(self, text: str) -> str: ...

    def redact_known(self, raw: bytes) -> bytes: ...


def _nobody(*_: Any) -> Any:
    return None


@dataclass
class ProxyConfig:
    """What a proxy is to do. Everything it says goes through the callables here."""

    upstream: UpstreamTarget
    hides: Callable[[Sequence[str]], HeaderRedaction]
    """Made once a session, of its credentials."""
    inject: Callable[[], Awaitable[Mapping[str, str]]] | None = None
    """The headers that replace a client's credentials; LivewsError when there are none to be had."""
    origins: Sequence[str] = ()
    """Origins of web pages that may connect, beside those of this machine; `*` for any."""
    timeout: float = 10.0
    """Seconds to connect to the upstream, and as many for its answer to an upgrade."""
    via: HttpProxy | None = None
    """The HTTP proxy of the network, where the upstream is reached through one."""
    record: Callable[[int, str, HeaderRedaction], Sequence[Recorder]] = field(default=lambda number, url, hides: ())
    log: Callable[[str], None] = _nobody
    """A line about a session; nothing in it is raw or secret."""
    trouble: Callable[[int, LivewsError], None] = _nobody
    """A session that did not come to be, and why; 0 for what was no session."""
    fail: Callable[[LivewsError], None] = _nobody
    """The proxy cannot go on: its trace cannot be written."""
    session_ended: Callable[[], None] = _nobody
    seam: Callable[[int, ConnectionObserver, MessageInjector], None] | None = None
    """Told of each session whose messages begin to pass: its watch, and where messages of one's own can be put between
    them. None: nothing is ever put there."""


class ProxyRefusal(Exception):
    """A request that is answered here. `text` is for the one who sent it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class _Left(Exception):
    """The client went away before its upgrade was answered."""


class ProxyServer:
    """The listening side; a session or an HTTP exchange is a task of it."""

    def __init__(self, policy: ProxyConfig, host: str) -> None:
        self.policy = policy
        self.url = ""
        self.sessions = 0
        """Upgrades that were let in."""
        self.tasks: set[asyncio.Task[Any]] = set()
        self._host = host
        self._tls: ssl.SSLContext | None = None
        if policy.upstream.secure:
            self._tls = ssl.create_default_context()  # SSL_CERT_FILE is read by it
            self._tls.set_alpn_protocols(["http/1.1"])

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        client = Peer(reader, writer)
        try:
            await self._serve(client)
        except TraceFailed as problem:
            self.policy.fail(problem)
        except OSError:
            pass  # the client is gone: there is nobody to tell
        except asyncio.CancelledError:
            pass  # the proxy ends
        finally:
            writer.transport.abort()
            self.tasks.discard(task)

    async def _serve(self, client: Peer) -> None:
        hides = self.policy.hides(self.policy.upstream.credentials)
        try:
            head, rest = await self._request(client)
            if head is None:
                return
            hides = self.policy.hides([*self.policy.upstream.credentials, *head.credentials])
            self._let_in(head)
        except ProxyRefusal as no:
            self.policy.log(f"refused, HTTP {no.status}: {one_line(hides.redact(no.text.splitlines()[0]), 200)}")
            await client.answer(_answer(no.status, no.text))
            return
        if not head.upgrades:
            await self._pass(0, client, head, rest, hides)
            return
        self.sessions += 1
        try:
            await self._pass(self.sessions, client, head, rest, hides)
        finally:
            self.policy.session_ended()

    async def _pass(self, number: int, client: Peer, head: HttpHead, rest: bytes, hides: HeaderRedaction) -> None:
        """Let in: session `number`, or with 0 an HTTP exchange."""
        try:
            inject = await self.policy.inject() if self.policy.inject else None
            if inject:
                known = [*inject.values(), *(value.rpartition(" ")[2] for value in inject.values())]
                hides = self.policy.hides([*self.policy.upstream.credentials, *head.credentials, *known])
            if number:
                server, more = await _while_there(client, self._dial(hides))
                rest += more
            else:
                server = await self._dial(hides)
        except LivewsError as problem:
            late = isinstance(problem.__context__, TimeoutError)  # the upstream, or the proxy of the network
            await self._tell(number, client, problem, 504 if late else 502)
            return
        except _Left:
            self._tell_left(number, "no connection to it yet")
            return
        try:
            asked = heads.request(head, self.policy.upstream, inject)
            server.writer.write(asked.raw)
            if number:
                await self._session(number, client, server, asked, rest, hides)
            else:
                await self._exchange(client, server, head, rest, hides)
            await asyncio.gather(server.let_go(), client.let_go())
        finally:
            server.writer.transport.abort()

    async def _tell(self, number: int, client: Peer, problem: LivewsError, status: int) -> None:
        """No upstream for this client. Who waited in vain hears one sentence: programs show it as it is."""
        self.policy.trouble(number, problem)
        said = f"{problem.what}: {problem.where}" if status == 504 else str(problem)
        await client.answer(_answer(status, f"livews proxy: {said}\n"))

    def _tell_left(self, number: int, why: str) -> None:
        place = self.policy.upstream.shown
        what = "the client left before the upstream answered"
        fix = (
            "find out why the upstream is silent; with a --timeout below the client's patience the client hears of it"
        )
        self.policy.trouble(number, Unreachable(what, where=place, why=why, fix=fix))

    # Who may come in

    async def _request(self, client: Peer) -> tuple[HttpHead | None, bytes]:
        """The head of the request and what was read behind it; None when nothing was asked. Refusal when it is none."""
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                raw, rest = await _read_head(client.reader)
            return (heads.parse_request(raw) if raw else None), rest
        except TimeoutError:
            raise ProxyRefusal(408, f"no whole request within {_HEAD_SECONDS:g} s\n") from None
        except MalformedHead as problem:
            if not problem.status:
                self.policy.log(f"refused: {problem}")
                return None, b""
            raise ProxyRefusal(problem.status, f"{problem}\n{self._how()}") from None

    def _let_in(self, head: HttpHead) -> None:
        """Refusal for what a web page of somebody else asks for."""
        anyone = "*" in self.policy.origins
        for origin in head.values(b"origin"):
            if not (_is_ours(origin) or origin in self.policy.origins or anyone):
                shown = one_line(origin, 120)
                fix = f"If that page is yours: livews proxy --allow-origin {shown}"
                raise ProxyRefusal(403, f"a web page of {shown} may not use this proxy\n{fix}\n")
        if not head.values(b"origin") and head.value(b"sec-fetch-site") == "cross-site" and not anyone:
            raise ProxyRefusal(403, "a web page of another site may not use this proxy\n")
        # A page whose name was made to point here (DNS rebinding) sends no Origin with a GET: its name is in Host. With
        # an upgrade browsers always send one.
        host = _without_port(head.value(b"host"))
        if not head.upgrades and is_loopback(self._host) and not is_loopback(host):
            raise ProxyRefusal(403, f"this proxy is not {one_line(host, 120)}\nDial it as 127.0.0.1 or localhost.\n")

    def _how(self) -> str:
        return (
            f"This is livews proxy. It passes what it is sent on to {self.policy.upstream.shown} and nowhere else.\n"
            f"Dial it in the service's place: GOOGLE_GEMINI_BASE_URL={self.url.replace('ws', 'http', 1)}, "
            f"baseUrl in an SDK's options, or livews --url {self.url}\n"
        )

    # Where it goes

    async def _dial(self, hides: HeaderRedaction) -> Peer:
        up = self.policy.upstream
        try:
            return Peer(*await dial(up, self._tls, self.policy.via, self.policy.timeout))
        except (OSError, ValueError) as problem:
            raise unreachable(
                problem, UPSTREAM, where=up.shown, redact=hides.redact, seconds=self.policy.timeout, secure=up.secure
            ) from None

    async def _session(
        self, number: int, client: Peer, server: Peer, asked: HttpHead, rest: bytes, hides: HeaderRedaction
    ) -> None:
        policy = self.policy
        place = policy.upstream.shown
        try:
            async with asyncio.timeout(policy.timeout):
                (raw, after), more = await _while_there(client, _read_head(server.reader))
            if not raw:
                raise MalformedHead("the connection ended without an answer")
            answer = heads.parse_answer(raw)
        except TimeoutError:
            what = f"the upstream did not answer the upgrade within {policy.timeout:g} s"
            fix = f"{NOT_THIS_API}, or it hangs; --timeout S waits longer"
            found = Unreachable(what, where=place, why="it took the connection, and said nothing", fix=fix)
            await self._tell(number, client, found, 504)
            return
        except (MalformedHead, OSError) as problem:
            what = "the upstream does not answer as a WebSocket server"
            found = Unreachable(what, where=place, why=hides.redact(str(problem)), fix=NOT_THIS_API)
            await self._tell(number, client, found, 502)
            return
        except _Left:
            self._tell_left(number, "it took the connection, and did not answer the upgrade")
            return
        rest += more
        if answer.status != 101:
            client.writer.write(raw)
            points = one_line(hides.redact(answer.value(b"location").partition("?")[0]), 160)
            where = f"{place}, which points to {points}" if points else place
            policy.trouble(number, Refused(closes.explain_http(answer.status), where=where))
            await _pass_body(server, client, answer, after)
            return
        agent = one_line(hides.redact(asked.value(b"user-agent")), 60)
        path = one_line(hides.redact(asked.path), 160)
        policy.log(f"session {number}: {agent + ', ' if agent else ''}{path}")
        scheme = "wss" if policy.upstream.secure else "ws"
        try:  # before the client hears that it is in: what was to be recorded is not run unrecorded
            recorders = policy.record(number, f"{scheme}://{policy.upstream.authority}{asked.target}", hides)
        except TraceFailed as problem:
            await client.answer(_answer(500, "livews proxy: the trace cannot be written, so there is no session\n"))
            raise problem
        client.writer.write(raw)

        def say(words: str) -> None:
            policy.log(f"session {number}: {one_line(hides.redact(words), 300)}")

        watch = ConnectionObserver(asked.path, answer.value(b"sec-websocket-extensions"), recorders, say, policy.fail)
        if watch.packed:
            say("the messages are compressed (permessage-deflate); they are shown as they inflate (WIRE-13)")
        seam = MessageInjector(client, server, watch)
        pieces = as_it_came
        if policy.seam is not None:
            policy.seam(number, watch, seam)
            pieces = seam.pieces
        try:
            await relay(client, server, (rest, after), watch.saw, watch.ended, pieces)
        finally:
            seam.over()
            watch.done()
            say(watch.summary())

    async def _exchange(
        self, client: Peer, server: Peer, head: HttpHead, rest: bytes, hides: HeaderRedaction
    ) -> None:
        """One HTTP request and its answer."""
        start = b""
        said = f"HTTP {head.method} {one_line(hides.redact(head.path), 160)}"

        def saw(side: str, data: bytes) -> None:
            nonlocal start
            if side == "server" and len(start) < 12:
                start += data[:12]
                if len(start) >= 12:  # HTTP/1.1 200
                    self.policy.log(f"{said}: {one_line(start[9:12].decode('latin-1'))}")

        await relay(client, server, (rest, b""), saw)
        if len(start) < 12:
            self.policy.log(f"{said}: no answer")


async def _read_head(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """A head with its empty line, and what was read behind it; two empty ones when the other side said nothing."""
    got = b""
    while (end := got.find(b"\r\n\r\n")) < 0 and len(got) <= heads.LIMIT:
        if b"\n\n" in got:
            raise MalformedHead("a line of the head ends in LF alone")
        piece = await reader.read(PIECE)
        if not piece:
            if got:
                raise MalformedHead("the connection ended in the middle of the head")
            return b"", b""
        got += piece
        if not got[:1].isalpha():
            tls = " (it speaks TLS: dial ws:// or http://, or start with --tls)" if got[:1] == b"\x16" else ""
            raise MalformedHead(f"what came is no HTTP{tls}", 0)
    if not 0 <= end <= heads.LIMIT:
        raise MalformedHead(f"the head is longer than {heads.LIMIT:,} bytes", 431)
    return got[: end + 4], got[end + 4 :]


async def _while_there(client: Peer, work: Coroutine[Any, Any, T]) -> tuple[T, bytes]:
    """What `work` gives, and what the client said meanwhile. _Left when the client has left before it is done."""
    working = asyncio.create_task(work)
    said = b""
    try:
        while not working.done() and len(said) < _AHEAD:
            reading = asyncio.create_task(client.reader.read(_AHEAD - len(said)))
            try:
                await asyncio.wait({working, reading}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    break
                lost = reading.exception()
                piece = b"" if lost else reading.result()
                said += piece
                if not piece:  # it may only have said all
                    await asyncio.wait({working}, timeout=0 if lost else _LAST_SECONDS)
                    if not working.done():
                        raise _Left
                    break
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        return await working, said
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _pass_body(server: Peer, client: Peer, answer: HttpHead, after: bytes) -> None:
    """What follows a head that is no 101. The connection is not used again: what else the client says stays here."""
    length = answer.value(b"content-length")
    left = int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None
    if answer.status in (204, 304):
        left = 0
    data = after
    leaving = asyncio.create_task(_until_end(client.reader))
    try:
        while True:
            if left is not None:
                data, left = data[:left], max(0, left - len(data))
            if data:
                client.writer.write(data)
                await client.writer.drain()
            if left == 0:
                break
            reading = asyncio.create_task(server.reader.read(PIECE))
            await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({reading}, timeout=_LAST_SECONDS)  # a client that only said all still wants the rest
            if not reading.done():
                reading.cancel()
                break
            if not (data := reading.result()):
                break
    finally:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    await client.answer(b"")


async def _until_end(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(PIECE):
            pass


def _is_ours(origin: str) -> bool:
    """Is it a page of this machine?"""
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return False
    return bool(host and re.match(r"https?://", origin) and is_loopback(host))


def _without_port(host: str) -> str:
    return re.sub(r":\d+$", "", host)


def _answer(status: int, text: str) -> bytes:
    body = text.encode(errors="replace")
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body


def _telling(log: Callable[[str], None]) -> type[ssl.SSLObject]:
    """TLS that says why a handshake failed; asyncio keeps it to itself. (A client that leaves without saying why, as
    asyncio's own do, is told of by nobody here: its own error says it.)"""

    class Telling(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as problem:
                log(_tls_words(problem))
                raise

        def read(self, *given: Any) -> Any:
            # with TLS 1.3 a client looks at the certificate when this side is through already
            try:
                return super().read(*given)
            except ssl.SSLError as problem:
                if "CERTIFICATE" in (problem.reason or "") or "UNKNOWN_CA" in (problem.reason or ""):
                    log(_tls_words(problem))
                raise

    return Telling


def _tls_words(problem: ssl.SSLError) -> str:
    reason = problem.reason or "no reason given"
    if reason == "HTTP_REQUEST":
        return "refused: a client speaks no TLS here: dial wss:// or https://, or start without --tls"
    if "UNKNOWN_CA" in reason or "CERTIFICATE" in reason:
        return f"refused by a client, which does not trust the certificate authority: give it the file of --ca ({reason})"
    return f"refused: a client's TLS handshake failed ({reason})"


@contextlib.asynccontextmanager
async def serve_proxy(
    policy: ProxyConfig, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ProxyServer]:
    """A running proxy. OSError when it cannot listen; BadRequest when it would dial itself."""
    warm()
    door = ProxyServer(policy, host)
    more: dict[str, Any] = {}
    if tls is not None:
        tls.sslobject_class = _telling(policy.log)
        more = {"ssl": tls, "ssl_handshake_timeout": _HEAD_SECONDS, "ssl_shutdown_timeout": 2.0}
    server = await asyncio.start_server(door.accept, host, port, backlog=_BACKLOG, **more)
    try:
        mine: int = server.sockets[0].getsockname()[1]
        up = policy.upstream
        if up.port == mine and (is_loopback(up.host) or up.host == host):
            raise BadRequest(
                "the proxy would dial itself",
                where=up.shown,
                why="its upstream is the address it listens on; GOOGLE_GEMINI_BASE_URL may be set here, too",
                fix="set that variable for the client alone, or name --upstream",
            )
        door.url = f"{'wss' if tls else 'ws'}://{f'[{host}]' if ':' in host else host}:{mine}"
        yield door
    finally:
        server.close()
        for task in list(door.tasks):
            task.cancel()
        if door.tasks:
            await asyncio.wait(list(door.tasks), timeout=5)
        await server.wait_closed()
