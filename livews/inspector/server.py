"""Serve the inspector's page on loopback, and keep it up to date over one WebSocket.

- Without the token in its URL a request gets one sentence: neither the page nor the WebSocket. Host has to be loopback, so
  that no name made to point here works (DNS rebinding); the Origin of the WebSocket has to be the page's own.
- The page connects only to its WebSocket and runs only its own scripts; a header and the page itself say so.
- A page gets what is new since its last update, once it has taken that: a page that does not read costs the others and the
  sessions nothing.
- Messages and audio are sent on request.
"""

import asyncio
import contextlib
import hmac
import logging
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers, MultipleValuesError
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from livews.core import codec
from livews.errors import LivewsError
from livews.inspector.sessions import SessionList, SessionView, findings
from livews.listening import ACCEPTED_AT_ONCE, deepen_backlog
from livews.loopback import is_loopback
from livews.proxy.injector import MAX_MESSAGE
from livews.report import render
from livews.report.data import NewsCursor

TICK = 0.15
"""Seconds between two updates of a page."""
_LOOK_SECONDS = 1.0
"""How often to look whether a session waits for something."""
_MAX_ROWS = 2_000
"""Rows of the list in one update."""
_MAX_AUDIO = 256 * 1024
"""Bytes of audio in one answer."""
_MAX_REQUESTS = 32
"""Requests of one page that are answered at a time."""
_CLOSE_SECONDS = 2.0
"""Seconds for the pages to close."""
_LOGGER = logging.getLogger("livews.inspector")
_LOGGER.setLevel(logging.WARNING)  # below that it writes every header, and with them the token
_LOGGER.addFilter(lambda record: record.msg != "opening handshake failed")
_OPEN_URL = "Open the URL that livews inspect printed, with its token: it is the first line of its output."


@dataclass
class PageActions:
    """What a page can do besides showing sessions. Without arguments it only shows them.

    Attributes:
        about: JSON for the page: `name`; for a proxy `door` (its URL), `upstream`, `offline` and `draft` (a setup); for a
            file `missing` (it does not exist yet) and `command` (what writes it).
        surface, version: where a session of livews's own goes, as `Conversation` has them.
        table: what the composer completes from; None: no composer.
        open: opens a session of livews's own with this first message; the port it dials from. Raises LivewsError.
        close: closes, with 1000, the session of livews's own that dials from this port.
    """

    about: Mapping[str, Any] = field(default_factory=dict)
    surface: str = ""
    version: str = ""
    table: Mapping[str, Any] | None = None
    open: Callable[[str], Awaitable[int]] | None = None
    close: Callable[[int], Awaitable[None]] | None = None


class InspectorServer:
    """Serves the page at `url`, which contains the token."""

    def __init__(self, sessions: SessionList, actions: PageActions) -> None:
        self.sessions = sessions
        self.token = secrets.token_urlsafe(24)
        self.port = 0
        self._actions = actions
        self._again, self._again_hash = render.again(_OPEN_URL)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    # HTTP

    def process_request(self, socket: ServerConnection, request: Request) -> Response | None:
        """The response to a GET; None accepts the WebSocket of a page."""
        try:
            host = request.headers.get("Host", "")
            origin = request.headers.get("Origin")
        except MultipleValuesError:
            return _text(HTTPStatus.BAD_REQUEST, "There are two Hosts or Origins in this request.")
        name, _, port = host.rpartition(":") if ":" in host else (host, "", "80")
        if not is_loopback(name) or port != str(self.port):
            return _text(HTTPStatus.FORBIDDEN, f"This page is at 127.0.0.1:{self.port} and nowhere else. {_OPEN_URL}")
        path, _, query = request.path.partition("?")
        if path not in ("/", "/live"):
            return _text(HTTPStatus.NOT_FOUND, f"There is nothing here. {_OPEN_URL}")
        token = parse_qs(query).get("token", [""])[0]
        if not hmac.compare_digest(token.encode(errors="replace"), self.token.encode()):
            # a page that is loaded again has no token in its address; the script finds it in the storage of the tab
            return _page(HTTPStatus.FORBIDDEN, self._again, f"default-src 'none'; script-src {self._again_hash}")
        if path == "/":
            surface = surface_of(self._actions.surface, self._actions.version)
            about = {**self._actions.about, "surface": surface, "live": True}
            document, policy = render.live(about, self._actions.table, host)
            return _page(HTTPStatus.OK, document, policy)
        if origin != f"http://{host}":
            return _text(HTTPStatus.FORBIDDEN, f"A page of another origin may not listen here. {_OPEN_URL}")
        return None

    async def serve_page(self, socket: ServerConnection) -> None:
        """Send updates to one page and answer its requests."""
        with contextlib.suppress(ConnectionClosed):
            await _Page(self.sessions, socket, self._actions).run()


class _Page:
    """One open page: which session it shows, and how much of it the page has."""

    def __init__(self, sessions: SessionList, socket: ServerConnection, actions: PageActions) -> None:
        self._sessions = sessions
        self._socket = socket
        self._actions = actions
        self._changed = asyncio.Event()
        self._watched: SessionView | None = None
        self._cursor = NewsCursor()
        self._state: Any = None
        """What was sent last of the session's state."""
        self._list: Any = None
        self._noted = sessions.noted
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        self._sessions.watchers.add(self._changed.set)
        self._changed.set()
        updates = asyncio.create_task(self._send_updates())
        try:
            while True:
                try:
                    request = codec.parse(bytes(await self._socket.recv(decode=False)))
                except codec.WireError:
                    continue
                if "watch" in request:
                    number = request["watch"]
                    self._watched = self._sessions.all.get(number) if type(number) is int else None
                    self._cursor, self._state = NewsCursor(), None
                    self._changed.set()
                    continue
                while len(self._tasks) >= _MAX_REQUESTS:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self._reply(request))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            self._sessions.watchers.discard(self._changed.set)
            for task in (updates, *self._tasks):
                task.cancel()
            await asyncio.gather(updates, *self._tasks, return_exceptions=True)

    async def _send(self, value: Any) -> None:
        await self._socket.send(codec.dump(value), text=True)

    # Updates

    async def _send_updates(self) -> None:
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                sessions = self._sessions.list()
                if (sessions, self._sessions.let_go) != self._list:
                    self._list = (sessions, self._sessions.let_go)
                    await self._send({"sessions": sessions, "letGo": self._sessions.let_go})
                for number, text in [*self._sessions.notes]:
                    if number > self._noted:
                        self._noted = number
                        await self._send({"note": text})
                while (update := self._update()) is not None:
                    await self._send(update)
                await asyncio.sleep(TICK)
        except ConnectionClosed:
            pass
        except Exception:  # a page that gets no more updates has to show it
            _LOGGER.exception("livews inspect cannot update a page")
            await self._socket.close(1011)

    def _update(self) -> dict[str, Any] | None:
        """What is new in the session that the page shows."""
        session = self._watched
        if session is None or self._sessions.all.get(session.number) is not session:
            return None
        is_first = self._state is None
        news = session.page.news(self._cursor, _MAX_ROWS)
        conversation = session.info.conversation
        state = (session.running, conversation.states)
        if news is None and state == self._state:
            return None
        self._state = state
        update = {
            **(news or {}),
            "running": session.running,
            "clock": session.clock,
            "surface": surface_of(conversation.target.surface, conversation.target.version),
            "now": conversation.states,
        }
        return {"n": session.number, "news": update, **({"head": session.page.head()} if is_first else {})}

    # Requests

    async def _reply(self, request: dict[str, Any]) -> None:
        noted = self._sessions.noted
        try:
            answer = await self._answer(request)
        except (KeyError, TypeError, ValueError):
            answer = {"message": "livews does not understand the request of this page"}
        except LivewsError as problem:
            # `noted`: the page gets the reason in a note as well
            answer = {"ok": False, "message": str(problem), "noted": self._sessions.noted > noted}
        except Exception:  # the page waits for an answer
            _LOGGER.exception("livews inspect cannot answer a page")
            answer = {"ok": False, "message": "livews itself failed; the reason is on its stderr"}
        with contextlib.suppress(ConnectionClosed):
            await self._send({"re": request.get("id"), **answer})

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        actions, sessions = self._actions, self._sessions.all
        match request["ask"]:
            case "chunk":
                return {"chunk": orjson.Fragment(sessions[request["n"]].page.chunk(_index(request["chunk"])))}
            case "sound":
                tracks = sessions[request["n"]].page.tracks
                track = {"user": tracks.user, "model": tracks.model}[request["side"]]
                offset, size = _index(request["at"]), min(_index(request["size"]), _MAX_AUDIO)
                return {"sound": b64encode(track.store.read(offset, size)).decode()}
            case "check" if actions.table is not None:
                side, text = _side(request["side"]), str(request["text"])
                found = findings(self._sessions, request["n"], side, text, actions.surface, actions.version)
                names = {"cure": "fix", "level": "level", "rule": "rule", "path": "path", "complaint": "complaint"}
                return {"found": [{key: getattr(f, name) for key, name in names.items()} for f in found]}
            case "send" if actions.table is not None:
                session, side = sessions.get(request["n"]), _side(request["side"])
                if session is None or session.injector is None:
                    return {"ok": False, "message": "there is no session to send it to"}
                problem = await session.injector.inject(side, str(request["text"]))
                return {"ok": not problem, "message": problem or f"sent to the {_OTHER[side]}"}
            case "open" if actions.open is not None:
                port = await actions.open(str(request["text"]))
                number = next((s.number for s in sessions.values() if s.running and s.client_port == port), None)
                return {"ok": True, "message": "a session was opened", "n": number}
            case "close" if actions.close is not None:
                session = sessions.get(request["n"])
                if session is None or not session.running or session.client_port not in self._sessions.own:
                    return {"ok": False, "message": "livews closes only the sessions it opened itself"}
                await actions.close(session.client_port)
                return {"ok": True, "message": "closed with 1000"}
        raise ValueError


def surface_of(surface: str, version: str) -> str:
    """Surface and version in one word, as the composer has it: vertex, v1alpha or v1beta."""
    return surface if surface == "vertex" else version


_OTHER = {"client": "service", "server": "client"}


def _side(value: Any) -> Any:
    if value not in _OTHER:
        raise ValueError
    return value


def _index(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise ValueError
    return value


def _text(status: HTTPStatus, text: str) -> Response:
    return _page(status, f"{text}\n".encode(), "default-src 'none'", "text/plain")


def _page(status: HTTPStatus, body: bytes, policy: str, kind: str = "text/html") -> Response:
    headers = Headers(
        {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Connection": "close",
            "Cache-Control": "no-store",
            "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
    )
    return Response(status, status.phrase, headers, body)


async def _look(sessions: SessionList) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        sessions.look()


@contextlib.asynccontextmanager
async def serve_inspector(
    sessions: SessionList, actions: PageActions, port: int = 0
) -> AsyncIterator[InspectorServer]:
    """Serve the page on 127.0.0.1 at `port`, 0: any. OSError if it cannot listen there."""
    inspector = InspectorServer(sessions, actions)
    connected: set[ServerConnection] = set()

    class Connection(ServerConnection):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            connected.add(self)

        def connection_lost(self, exc: Exception | None) -> None:
            connected.discard(self)
            super().connection_lost(exc)

    server = await serve(
        inspector.serve_page, "127.0.0.1", port, process_request=inspector.process_request, server_header=None,
        compression=None, max_size=2 * MAX_MESSAGE, create_connection=Connection, logger=_LOGGER,
        backlog=ACCEPTED_AT_ONCE,
    )  # fmt: skip
    deepen_backlog(server.sockets)
    inspector.port = next(iter(server.sockets)).getsockname()[1]
    looking = asyncio.create_task(_look(sessions))
    try:
        yield inspector
    finally:
        looking.cancel()
        server.close()
        for connection in connected:
            if connection.protocol.state is State.CONNECTING:  # a browser opens some that it sends nothing on
                connection.transport.abort()
        ended = asyncio.create_task(server.wait_closed())
        await asyncio.wait({ended}, timeout=_CLOSE_SECONDS)
        for connection in connected:  # a page that does not read does not answer a close either
            connection.transport.abort()
        await ended
