"""The stand-in: a server with the service's framing, order, pace and closes, and a voice of its own.

- One connection, one session; what sessions share is in the `ServerContext`.
- Besides WebSockets the port answers `POST .../auth_tokens` and `GET /livews/status`, and nothing else.
- It never claims to be Gemini.
"""

import asyncio
import contextlib
import functools
import logging
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.protocol import State

from livews.advice.names import protocol_at
from livews.core import codec, protocol
from livews.errors import TraceFailed
from livews.listening import ACCEPTED_AT_ONCE, deepen_backlog, is_out_of_descriptors, url_to_dial
from livews.server.config import StandInConfig
from livews.server.connection import MAX_SIZE, StandInConnection
from livews.server.context import ServerContext, parse_request_target
from livews.server.script import Script
from livews.server.script_player import ScriptPlayer
from livews.server.server_session import ServerSession
from livews.server.session import StandInSession
from livews.terminal_text import one_line

__all__ = ["StandInConfig", "StandInServer", "serve_stand_in"]

STATUS_PATH = "/livews/status"
_ENDINGS = 1000
"""Endings counted one by one; the rest is "otherwise", since a close reason may quote anything a client sends."""
_METHOD = re.compile(r"[./]BidiGenerateContent(Constrained|/locations/[^/]+)?$")
"""How a session's path ends; Firebase appends a region."""
_LOGGER = logging.getLogger("livews.standin")
_LOGGER.setLevel(logging.WARNING)  # at a lower level it writes every header, the key included
# older versions of websockets log a traceback for every request that becomes no session, such as a POST
_LOGGER.addFilter(lambda record: record.msg != "opening handshake failed")
_ROOT_PAGE = """This is the livews stand-in, a server that speaks the Gemini Live API over WebSockets.
Connect a client to {url}, or see {path} here for its state.
""".replace("{path}", STATUS_PATH)


class StandInServer(ServerContext):
    """A running stand-in: it accepts connections and answers plain HTTP requests."""

    def __init__(self, config: StandInConfig, host: str) -> None:
        super().__init__(config, host)
        self.sessions: dict[int, ServerSession] = {}
        """Open sessions by number."""
        self.total = 0
        self.failures = 0
        """Sessions that ended with an exception, which is a bug of the stand-in."""
        self.differences = 0
        """Deviations of clients from the scripts played to them."""
        self.missing = 0
        """Scripts whose connection did not come: further ones of a scenario."""
        self._player: ScriptPlayer | None = None
        """The last one that was made."""
        self.endings: Counter[str] = Counter()
        """How sessions ended, counted by description."""

    async def handle(self, connection: StandInConnection) -> None:
        """Run the session of a client whose upgrade succeeded."""
        self.total += 1
        number, started = self.total, self.clock()
        session: ServerSession
        if script := self._script(number):
            session = self._player = ScriptPlayer(connection, self, number, script, self._player)
        else:
            session = StandInSession(connection, self, number)
        self.sessions[number] = session
        try:
            await session.run()
        except TraceFailed as problem:  # a session that is to be recorded does not go on unrecorded
            if not is_out_of_descriptors(problem):  # which passes
                await connection.close(1011, "the trace of the stand-in cannot be written")
                self.config.fail(problem)
        except Exception:
            self.failures += 1  # websockets logs it with the traceback, and closes 1011
            raise
        finally:
            del self.sessions[number]
            known = session.ended in self.endings or len(self.endings) < _ENDINGS
            self.endings[session.ended if known else "otherwise"] += 1
            self.differences += len(session.differences)
            self.config.log(f"session {number}: {session.summary(self.clock() - started)}")
            self._expect_next(number)
            self.config.session_ended()

    def _script(self, number: int) -> Script | None:
        """What is played to the connection of this number."""
        scripts = self.config.scripts
        return scripts[(number + self.missing - 1) % len(scripts)] if scripts else None

    def _expect_next(self, number: int) -> None:
        """After the end of a connection: wait for the next one of the same scenario, as long as a script is patient."""

        def give_up() -> None:
            while self.total == number and (script := self._script(number + 1)) and script.connection > 1:
                self.missing += 1
                self.differences += 1
                self.config.log(
                    f"{one_line(script.name)}: this connection was not opened within {self.config.patience:g} s"
                )
            self.config.session_ended()

        following = self._script(number + 1)
        if following is not None and following.connection > 1:
            asyncio.get_running_loop().call_later(self.config.patience, give_up)

    @property
    def played(self) -> int:
        """Sessions that are over, and those that did not come."""
        return self.total - len(self.sessions) + self.missing

    def status(self) -> dict[str, Any]:
        """The answer to GET /livews/status."""
        return {
            "livews": "stand-in",
            "seconds": round(self.clock(), 3),
            "voice": self.speech.name,
            "sessions": {
                "total": self.total,
                "open": len(self.sessions),
                "failures": self.failures,
                "differences": self.differences,
            },
            "ended": dict(self.endings),
            "lateMs": self.lateness.to_dict(),
            "open": [session.status() for session in self.sessions.values()],
        }

    def answer_http(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a GET request that opens no session, None to go on with the upgrade."""
        wanted = ",".join(request.headers.get_all("Connection")).lower().split(",")
        is_upgrade = "upgrade" in map(str.strip, wanted)
        if refusal := self.access.refusal(request.headers.get_all, is_upgrade=is_upgrade):
            self.config.log(f"refused, HTTP 403: {refusal[0]}")
            return connection.respond(HTTPStatus.FORBIDDEN, "\n".join([*filter(None, refusal), ""]))
        if request.path.partition("?")[0] == STATUS_PATH:
            response = connection.respond(HTTPStatus.OK, codec.dump(self.status()).decode() + "\n")
            del response.headers["Content-Type"]  # assigning would add a second one
            response.headers["Content-Type"] = "application/json"
            return response
        for fault in self.config.faults:
            if fault.name == "close" and (status := protocol.close_row(fault.value).get("http")):
                return connection.respond(HTTPStatus(status), "refused on purpose (--fault)\n")
        target = parse_request_target(request)
        if target.surface == "vertex" and self.config.require_key and not target.credential:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no bearer token\n")
        if other := protocol_at(target.path):
            self.config.log(f"refused, HTTP 404: {other}")
            return connection.respond(HTTPStatus.NOT_FOUND, f"{other}\n")
        if "/ws/google." in target.path and not _METHOD.search(target.path):
            return connection.respond(HTTPStatus.NOT_FOUND, "no such method\n")
        if not is_upgrade:
            response = connection.respond(HTTPStatus.UPGRADE_REQUIRED, _ROOT_PAGE.format(url=self.url))
            response.headers["Upgrade"] = "websocket"
            return response
        return None


@contextlib.asynccontextmanager
async def serve_stand_in(
    host: str = "127.0.0.1", port: int = 0, config: StandInConfig | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[StandInServer]:
    """Run a stand-in while the context is open.

    - `host`, `port`: the address to listen on; port 0 picks a free one.
    - `config`: how it behaves; as the service by default.
    - `tls`: serve wss:// with this context.

    Raises OSError when it cannot listen there, ValueError when the voice of `config` is not there.
    """
    stand_in_server = StandInServer(config or StandInConfig(), host)
    server = await serve(
        stand_in_server.handle,  # type: ignore[arg-type]  # it gets what create_connection makes
        host,
        port,
        compression=None,
        max_size=MAX_SIZE,
        ping_interval=None,  # the service sends no pings (CLOSE-4)
        process_request=stand_in_server.answer_http,
        server_header=None,
        create_connection=functools.partial(  # type: ignore[arg-type]  # not a class, which nothing needs
            StandInConnection, context=stand_in_server
        ),
        ssl=tls,
        logger=_LOGGER,
        backlog=ACCEPTED_AT_ONCE,
    )
    deepen_backlog(server.sockets)
    port = next(iter(server.sockets)).getsockname()[1]
    stand_in_server.url = url_to_dial(host, port, tls=tls is not None)
    try:
        yield stand_in_server
    finally:
        server.close()
        for connection in stand_in_server.connections:
            if connection.protocol.state is State.CONNECTING:  # websockets would wait ten seconds for its request
                connection.transport.abort()
        await server.wait_closed()
