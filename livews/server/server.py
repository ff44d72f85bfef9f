"""A server to talk to: the service's framing, order, pace and closes, and a voice that says what it is.

- One socket, one `Session`; what they share is in the `House`: conversations by handle, tokens, the voice, counts.
- A credential is judged as the service does it: never at the upgrade, but after setup, by a close (CLOSE-3, AUTH-1).
- Besides WebSockets the port answers `POST .../auth_tokens` and `GET /livews/status`, and nothing else.
- It never claims to be Gemini.
"""

from __future__ import annotations

import contextlib
import logging
import re
import ssl
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event, State

from livews.core import closes, codec, endpoint_paths, machine
from livews.errors import TraceFailed
from livews.recorder import Clock, Recorder
from livews.server import faults, token_endpoint
from livews.server.config import StandInConfig
from livews.server.script_player import ScriptPlayer
from livews.server.session import StandInSession
from livews.server.speech import SpeechSynthesizer
from livews.server.store import SessionStore

__all__ = ["StandInConfig", "StandInServer", "serve_stand_in", "stand_in"]

STATUS_PATH = "/livews/status"
_MAX_SIZE = 16 * 1024 * 1024
"""Bytes of one client message. What the service takes was never measured; pictures of 10 MB pass."""
_BACKLOG = 1024
_PONGS = 1024 * 1024
"""Bytes a client may leave unread before it is read no more: pongs wait for nothing and would fill the memory."""
_ENDINGS = 1000
"""Last words that are told apart: a reason may quote anything a client says."""
_LATE_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """Where a client dialled. `credential` is whatever it showed, "" for none."""

    path: str
    surface: str
    version: str
    constrained: bool
    credential: str


class StandInConnection(ServerConnection):
    """A socket that knows when it last heard from its client, and answers HTTP requests that are no upgrade."""

    house: StandInServer

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.opened_at = self.heard_at = self.loop.time()
        self._start = b""
        self._is_get: bool | None = None
        self._answered = False
        self._texts: deque[bool] = deque()
        """Of the messages that wait to be taken: did they come as text?"""
        self._deaf = False
        self.house.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.house.connections.discard(self)
        super().connection_lost(exc)

    async def message(self) -> tuple[bytes, bool]:
        """The next message, and whether it came as text; ConnectionClosed when there is none any more.

        Text is not decoded: what is no UTF-8 is no JSON either, and is judged as such.
        """
        raw = await self.recv(decode=False)
        return raw, self._texts.popleft()

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        # Messages that are not taken any more would keep the reading paused, and the client's own close lies behind them.
        self._deaf = True
        self.transport.resume_reading()
        await super().close(code, reason)

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            if self._deaf:
                return
            if event.opcode is not Opcode.CONT:
                self._texts.append(event.opcode is Opcode.TEXT)
        super().process_event(event)

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.recv_messages.paused:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        if self._is_get is None:
            self._start += data
            if not self._start[:1].isalpha():  # no HTTP: most likely a client that wants to speak TLS
                self.transport.close()
                return
            if len(self._start) < 4:
                return
            # websockets reads GET alone; the SDKs make their tokens by POST at the same address
            self._is_get = self._start.startswith(b"GET ")
            data, self._start = self._start, b""
        if self._is_get:
            super().data_received(data)
            if self.protocol.close_expected():
                self.transport.resume_reading()  # what is left to read is the end of the connection
            elif self.paused and self.transport.get_write_buffer_size() > _PONGS:
                self.transport.pause_reading()
            return
        if self._answered:
            return
        self._start += data
        answer = token_endpoint.http(self._start, self.house.make_token)
        if answer is not None:
            self._start, self._answered = b"", True
            self.transport.write(answer)
            # The client closes it: with something unread it would be reset here, and the answer lost on its way. One
            # that does not is cut off as one that asks for nothing is.
            if self.transport.can_write_eof():  # not over TLS
                self.transport.write_eof()


class StandInServer:
    """What the sessions of one stand-in share."""

    def __init__(self, policy: StandInConfig) -> None:
        self.policy = policy
        self.url = ""
        self.clock = Clock()
        self.memory = SessionStore(self.clock, scale=policy.time_scale, seed=policy.seed)
        self.speech = SpeechSynthesizer(policy.voice, log=policy.log)
        self.sessions: dict[int, StandInSession | ScriptPlayer] = {}
        self.connections: set[StandInConnection] = set()
        """Everything that is connected, also what never asked for anything."""
        self.total = 0
        self.failures = 0
        self.differences = 0
        """What clients did otherwise than the scripts they were played."""
        self.ended: Counter[str] = Counter()
        """How sessions ended, counted by their last words."""
        self._late: Counter[int] = Counter()
        self._latest = 0.0

    async def handle(self, socket: StandInConnection) -> None:
        self.total += 1
        number = self.total
        began = self.clock()
        scripts = self.policy.scripts
        session: StandInSession | ScriptPlayer
        try:
            if scripts:
                session = ScriptPlayer(socket, self, number, scripts[(number - 1) % len(scripts)])
            else:
                session = StandInSession(socket, self, number)
        except TraceFailed as problem:
            self.policy.fail(problem)
            return
        self.sessions[number] = session
        try:
            await session.run()
        except TraceFailed as problem:  # what was to be recorded is not run unrecorded
            self.policy.fail(problem)
        except Exception:
            self.failures += 1  # websockets writes it to its log, with the traceback, and closes 1011
            raise
        finally:
            del self.sessions[number]
            known = session.ended in self.ended or len(self.ended) < _ENDINGS
            self.ended[session.ended if known else "otherwise"] += 1
            self.differences += len(session.found) if isinstance(session, ScriptPlayer) else 0
            self.policy.log(f"session {number}: {session.summary(self.clock() - began)}")
            self.policy.session_ended()

    # Who may come in

    def place_of(self, socket: ServerConnection) -> RequestTarget:
        assert socket.request is not None
        return parse_request_target(socket.request)

    def judge_credential(self, session: StandInSession) -> tuple[int, str] | None:
        """The close a credential earns. A token made here is counted whether keys are required or not (AUTH-2)."""
        given = session.place.credential
        if given.startswith("auth_tokens/"):
            if self.memory.token(given) is not None and not session.place.constrained:
                return closes.frame_for("no-credentials")
            resumes = bool(machine.values(session.talk.setup, ("sessionResumption", "handle")))
            token, refusal = self.memory.spend(given, counts=not resumes)
            if refusal:
                return closes.frame_for(refusal)
            if token is not None:
                return None
        wanted = self.policy.require_key
        if not wanted or given == wanted:
            return None
        return closes.frame_for("key-not-valid" if given else "no-credentials")

    def full(self, session: StandInSession) -> bool:
        """Is this one session more than its credential may have?"""
        limit = self.policy.sessions_per_key
        mine = session.place.credential
        others = (s for s in self.sessions.values() if s is not session and s.set_up and s.place.credential == mine)
        return bool(limit) and sum(1 for _ in others) >= limit

    def make_token(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """POST auth_tokens: the HTTP status and the body of the answer."""
        path, _, query = path.partition("?")
        given = credential(headers.get("x-goog-api-key", ""), headers.get("authorization", ""), query)
        if self.policy.require_key and given != self.policy.require_key:
            return token_endpoint.refused(400, closes.frame_for("key-not-valid" if given else "no-credentials")[1])
        return token_endpoint.create(self.memory, path, body)

    def recorder(self, number: int, place: RequestTarget) -> Recorder | None:
        return self.policy.record(number, self.url + place.path, place.credential) if self.policy.record else None

    # What can be asked of it

    def late(self, seconds: float) -> None:
        """A chunk of voice went out this many seconds after it was due."""
        ms = seconds * 1000
        self._late[next((limit for limit in _LATE_MS if ms <= limit), 10_000)] += 1
        self._latest = max(self._latest, seconds)

    def lateness(self) -> dict[str, Any]:
        """How late chunks of voice went out, in ms: upper bounds that hold for 50, 99 and 100 % of them."""
        total = sum(self._late.values())
        found: dict[str, Any] = {"chunks": total}
        for share in (0.5, 0.99):
            seen = 0
            for limit in (*_LATE_MS, 10_000):
                seen += self._late[limit]
                if total and seen >= share * total:
                    found[f"p{share * 100:.0f}"] = limit
                    break
        found["max"] = round(self._latest * 1000, 1)
        return found

    def status(self) -> dict[str, Any]:
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
            "ended": dict(self.ended),
            "lateMs": self.lateness(),
            "open": [session.status() for session in self.sessions.values()],
        }

    def answer_http(self, socket: ServerConnection, request: Request) -> Response | None:
        """An answer to what is no upgrade to a session, None to go on with one."""
        path = request.path.partition("?")[0]
        if path == STATUS_PATH:
            response = socket.respond(HTTPStatus.OK, codec.dump(self.status()).decode() + "\n")
            del response.headers["Content-Type"]  # setting one adds it
            response.headers["Content-Type"] = "application/json"
            return response
        for fault in self.policy.faults:
            if status := faults.http_status(fault):
                return socket.respond(HTTPStatus(status), "refused on purpose (--fault)\n")
        place = parse_request_target(request)
        if place.surface == "vertex" and self.policy.require_key and not place.credential:
            return socket.respond(HTTPStatus.UNAUTHORIZED, "no bearer token\n")
        if "/ws/google." in place.path and not _METHOD.search(place.path):
            return socket.respond(HTTPStatus.NOT_FOUND, "no such method\n")
        wished = ",".join(request.headers.get_all("Connection")).lower()
        if "upgrade" not in map(str.strip, wished.split(",")):
            response = socket.respond(HTTPStatus.UPGRADE_REQUIRED, _HELLO.format(url=self.url))
            response.headers["Upgrade"] = "websocket"
            return response
        return None


_METHOD = re.compile(r"[./]BidiGenerateContent(Constrained|/locations/[^/]+)?$")
"""How a session's path ends; Firebase names a region behind it."""
_LOGGER = logging.getLogger("livews.standin")
_LOGGER.setLevel(logging.WARNING)  # below, it writes every header, the key among them
# older versions of websockets write a traceback for every request that becomes no session, a POST among them
_LOGGER.addFilter(lambda record: record.msg != "opening handshake failed")
_HELLO = """This is the livews stand-in, a server that speaks the Gemini Live API over WebSockets.
Dial {url} with a client, or see {path} here for its state.
""".replace("{path}", STATUS_PATH)


def parse_request_target(request: Request) -> RequestTarget:
    path, _, query = request.path.partition("?")
    path = path.replace("//", "/")  # the JavaScript SDK's double slash is one to the service
    surface, version = endpoint_paths.parse_endpoint_path(path)
    headers = request.headers
    key, authorization = (next(iter(headers.get_all(name)), "") for name in ("x-goog-api-key", "Authorization"))
    return RequestTarget(
        path,
        surface or "gemini",
        version or "v1beta",
        path.endswith("BidiGenerateContentConstrained"),
        credential(key, authorization, query),
    )


def credential(key: str, authorization: str, query: str) -> str:
    """The one credential of a request: header, bearer, token or query, as each client shows it."""
    asked = parse_qs(query)
    bearer = authorization.removeprefix("Bearer ").removeprefix("Token ")
    return key or bearer or (asked.get("key") or asked.get("access_token") or [""])[0]


@contextlib.asynccontextmanager
async def serve_stand_in(
    host: str = "127.0.0.1", port: int = 0, policy: StandInConfig | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[StandInServer]:
    """A running stand-in. OSError when the port is taken; ValueError when the policy's voice is not there."""
    house = StandInServer(policy or StandInConfig())

    class Ours(StandInConnection):
        pass

    Ours.house = house
    server = await serve(
        house.handle,  # type: ignore[arg-type]  # it is handed what create_connection makes
        host,
        port,
        compression=None,
        max_size=_MAX_SIZE,
        ping_interval=None,  # the service sends no pings (CLOSE-4)
        process_request=house.answer_http,
        server_header=None,
        create_connection=Ours,
        ssl=tls,
        logger=_LOGGER,
        backlog=_BACKLOG,
    )
    house.url = f"{'wss' if tls else 'ws'}://{_shown(host)}:{_port(server)}"
    try:
        yield house
    finally:
        server.close()
        for connection in house.connections:
            if connection.protocol.state is State.CONNECTING:  # nobody has to wait for what it might have asked
                connection.transport.abort()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def stand_in(
    host: str = "127.0.0.1", port: int = 0, policy: StandInConfig | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A running stand-in; gives the URL to connect to. Errors as `opened`."""
    async with serve_stand_in(host, port, policy, tls) as house:
        yield house.url


def _port(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
