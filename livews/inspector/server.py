"""The page of an inspector: served on loopback, kept up to date over one WebSocket.

- Nobody without the token gets anything but one sentence: not the page, not the socket. Host has to be loopback, so that
  no name that was made to point here works; Origin of the socket has to be the page's own.
- The page asks for nothing but its socket, and runs nothing but its own scripts; its policy says so twice.
- A page is told what is new since it was last told, and only when it has taken that: one that does not read costs the
  others, and the sessions, nothing.
- Messages and sound are given out when they are asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
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
from livews.loopback import is_loopback
from livews.proxy.injector import MAX_MESSAGE
from livews.report import render
from livews.report.data import NewsCursor

TICK = 0.15
"""Seconds between two pieces of news to a page."""
_ROWS = 2_000
"""Rows of the list in one piece of news."""
_SOUND = 256 * 1024
"""Bytes of sound that are given out at once."""
_ASKED = 32
"""Questions of one page that are answered at a time."""
_CLOSING = 2.0
"""Seconds for the pages to take a close."""
_LOGGER = logging.getLogger("livews.inspector")
_LOGGER.setLevel(logging.WARNING)  # below, it writes every header and the token among them
_LOGGER.addFilter(lambda record: record.msg != "opening handshake failed")
_ASK = "Open the URL that livews inspect printed, with its token: it is the first line of its output."


@dataclass
class PageActions:
    """What a page is given to do, beside looking. Empty: it only looks."""

    about: Mapping[str, Any] = field(default_factory=dict)
    """JSON for the page: `name`, and for a proxy `door` (its URL), `upstream`, `offline`, `draft` (a setup);
    for a file `missing` (it is not there yet) and `command` (what writes it)."""
    surface: str = ""
    version: str = ""
    """Where a session of livews's own goes, as `Conversation` has them."""
    table: Mapping[str, Any] | None = None
    """What the composer completes from; None: no composer."""
    open: Callable[[str], Awaitable[int]] | None = None
    """Open a session of livews's own whose first message this is; the port it dials from. LivewsError."""
    close: Callable[[int], Awaitable[None]] | None = None
    """Close, with 1000, the one of livews's own that dials from this port."""


class InspectorServer:
    """A page for whoever has its `url`."""

    def __init__(self, sessions: SessionList, desk: PageActions) -> None:
        self.sessions = sessions
        self.token = secrets.token_urlsafe(24)
        self.port = 0
        self._desk = desk
        self._again, self._again_hash = render.again(_ASK)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    # HTTP

    def answer(self, socket: ServerConnection, request: Request) -> Response | None:
        """The answer to a GET; None lets a page have its socket."""
        try:
            host = request.headers.get("Host", "")
            origin = request.headers.get("Origin")
        except MultipleValuesError:
            return _text(HTTPStatus.BAD_REQUEST, "There are two Hosts or Origins in this request.")
        name, port = _split(host)
        if not is_loopback(name) or port != self.port:
            return _text(HTTPStatus.FORBIDDEN, f"This page is at 127.0.0.1:{self.port} and nowhere else. {_ASK}")
        path, _, query = request.path.partition("?")
        if path not in ("/", "/live"):
            return _text(HTTPStatus.NOT_FOUND, f"There is nothing here. {_ASK}")
        given = parse_qs(query).get("token", [""])[0]
        if not hmac.compare_digest(given.encode(errors="replace"), self.token.encode()):
            # a page that is loaded again has lost its token from the address, and finds it in its own storage
            return _page(HTTPStatus.FORBIDDEN, self._again, f"default-src 'none'; script-src {self._again_hash}")
        if path == "/":
            about = {**self._desk.about, "surface": surface_of(self._desk.surface, self._desk.version), "live": True}
            document, policy = render.live(about, self._desk.table, host)
            return _page(HTTPStatus.OK, document, policy)
        if origin != f"http://{host}":
            return _text(HTTPStatus.FORBIDDEN, f"A page of another origin may not listen here. {_ASK}")
        return None

    # The socket of a page

    async def talk(self, socket: ServerConnection) -> None:
        """All that is said to one page, and asked by it."""
        with contextlib.suppress(ConnectionClosed):
            await _Page(self, socket, self._desk).run()


class _Page:
    """One page that looks: which session it looks at, and how much it knows."""

    def __init__(self, inspector: InspectorServer, socket: ServerConnection, desk: PageActions) -> None:
        self._sessions = inspector.sessions
        self._socket = socket
        self._desk = desk
        self._new = asyncio.Event()
        self._watched: SessionView | None = None
        self._mark = NewsCursor()
        self._state: Any = None
        self._list: Any = None
        self._noted = inspector.sessions.noted
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        self._sessions.watchers.add(self._new.set)
        self._new.set()
        telling = asyncio.create_task(self._tell())
        try:
            async for raw in self._socket:
                asked = _asked(raw)
                if asked is None:
                    continue
                if "watch" in asked:
                    self._watch(asked["watch"])
                    continue
                while len(self._tasks) >= _ASKED:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self._reply(asked))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            self._sessions.watchers.discard(self._new.set)
            for task in (telling, *self._tasks):
                task.cancel()
            await asyncio.gather(telling, *self._tasks, return_exceptions=True)

    def _watch(self, number: Any) -> None:
        self._watched = self._sessions.all.get(number) if type(number) is int else None
        self._mark, self._state = NewsCursor(), None
        self._new.set()

    async def _send(self, value: Any) -> None:
        await self._socket.send(codec.dump(value), text=True)

    # What is told

    async def _tell(self) -> None:
        try:
            while True:
                await self._new.wait()
                self._new.clear()
                listed = self._sessions.list()
                if (listed, self._sessions.let_go) != self._list:
                    self._list = (listed, self._sessions.let_go)
                    await self._send({"sessions": listed, "letGo": self._sessions.let_go})
                for number, text in [*self._sessions.notes]:
                    if number > self._noted:
                        self._noted = number
                        await self._send({"note": text})
                while (news := self._news()) is not None:
                    await self._send(news)
                await asyncio.sleep(TICK)
        except ConnectionClosed:
            pass
        except Exception:  # a page that is told no more has to see it
            _LOGGER.exception("livews inspect cannot tell a page what is new")
            await self._socket.close(1011)

    def _news(self) -> dict[str, Any] | None:
        """What is new of the session that is looked at."""
        shown = self._watched
        if shown is None or self._sessions.all.get(shown.number) is not shown:
            return None
        first = self._state is None
        news = shown.page.news(self._mark, _ROWS)
        state = (shown.running, shown.about.talk.states)
        if news is None and state == self._state:
            return None
        self._state = state
        talk = shown.about.talk
        told = {
            **(news or {}),
            "running": shown.running,
            "clock": shown.clock,
            "surface": surface_of(talk.target.surface, talk.target.version),
            "now": talk.states,
        }
        return {"n": shown.number, "news": told, **({"head": shown.page.head()} if first else {})}

    # What is asked

    async def _reply(self, asked: dict[str, Any]) -> None:
        noted = self._sessions.noted
        try:
            answer = await self._answer(asked)
        except (KeyError, TypeError, ValueError):
            answer = {"told": "livews does not understand what this page asks"}
        except LivewsError as problem:
            # `noted`: the page is told why in a note as well
            answer = {"ok": False, "told": str(problem), "noted": self._sessions.noted > noted}
        except Exception:  # whoever asked waits for an answer
            _LOGGER.exception("livews inspect cannot answer a page")
            answer = {"ok": False, "told": "livews itself failed at this; why is on its stderr"}
        with contextlib.suppress(ConnectionClosed):
            await self._send({"re": asked.get("id"), **answer})

    async def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        match asked["ask"]:
            case "chunk":
                page = self._sessions.all[asked["n"]].page
                return {"chunk": orjson.Fragment(page.chunk(_index(asked["chunk"])))}
            case "sound":
                page = self._sessions.all[asked["n"]].page
                side = {"user": page.user, "model": page.model}[asked["side"]]
                at, size = _index(asked["at"]), min(_index(asked["size"]), _SOUND)
                return {"sound": b64encode(side.store.read(at, size)).decode()}
            case "check" if self._desk.table is not None:
                place = self._desk.surface, self._desk.version
                found = findings(self._sessions, asked["n"], _side(asked["side"]), str(asked["text"]), *place)
                return {
                    "found": [
                        {
                            "cure": one.fix,
                            **{name: getattr(one, name) for name in ("level", "rule", "path", "complaint")},
                        }
                        for one in found
                    ]
                }
            case "send" if self._desk.table is not None:
                shown = self._sessions.all.get(asked["n"])
                if shown is None or shown.injector is None:
                    return {"ok": False, "told": "there is no session to send it to"}
                why = await shown.injector.inject(_side(asked["side"]), str(asked["text"]))
                return {"ok": not why, "told": why or f"sent to the {_OTHER[asked['side']]}"}
            case "open" if self._desk.open is not None:
                port = await self._desk.open(str(asked["text"]))
                number = next(
                    (one.number for one in self._sessions.all.values() if one.running and one.peer == port), None
                )
                return {"ok": True, "told": "a session was opened", "n": number}
            case "close" if self._desk.close is not None:
                shown = self._sessions.all.get(asked["n"])
                if shown is None or not shown.running or shown.peer not in self._sessions.own:
                    return {"ok": False, "told": "livews closes the sessions it opened itself, and no others"}
                await self._desk.close(shown.peer)
                return {"ok": True, "told": "closed with 1000"}
        raise ValueError


def surface_of(surface: str, version: str) -> str:
    """One word for both, as the composer has it: vertex, v1alpha or v1beta."""
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


def _asked(raw: str | bytes) -> dict[str, Any] | None:
    try:
        return codec.parse(raw.encode(errors="replace") if isinstance(raw, str) else raw)
    except codec.WireError:
        return None


def _split(host: str) -> tuple[str, int]:
    """Name and port of a Host; 80 where it has none."""
    found = re.fullmatch(r"(.*?)(?::(\d{1,5}))?", host)
    return (found[1], int(found[2] or 80)) if found else ("", 0)


def _text(status: HTTPStatus, text: str) -> Response:
    return _response(status, f"{text}\n".encode(), "text/plain", "default-src 'none'")


def _page(status: HTTPStatus, document: bytes, policy: str) -> Response:
    return _response(status, document, "text/html", policy)


def _response(status: HTTPStatus, body: bytes, kind: str, policy: str) -> Response:
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


@contextlib.asynccontextmanager
async def serve_inspector(sessions: SessionList, desk: PageActions, port: int = 0) -> AsyncIterator[InspectorServer]:
    """The page, served on 127.0.0.1. OSError when it cannot listen there."""
    inspector = InspectorServer(sessions, desk)
    connected: set[ServerConnection] = set()

    class Connection(ServerConnection):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            connected.add(self)

        def connection_lost(self, exc: Exception | None) -> None:
            connected.discard(self)
            super().connection_lost(exc)

    server = await serve(
        inspector.talk,
        "127.0.0.1",
        port,
        process_request=inspector.answer,
        server_header=None,
        compression=None,
        max_size=2 * MAX_MESSAGE,
        create_connection=Connection,
        logger=_LOGGER,
    )
    inspector.port = next(iter(server.sockets)).getsockname()[1]
    try:
        yield inspector
    finally:
        server.close()
        for connection in connected:
            if connection.protocol.state is State.CONNECTING:  # a browser opens some that it asks nothing on
                connection.transport.abort()
        ended = asyncio.create_task(server.wait_closed())
        await asyncio.wait({ended}, timeout=_CLOSING)
        for connection in connected:  # a page that does not read takes no close either
            connection.transport.abort()
        await ended
