"""The client side of one WebSocket: dial, read, send, ping, close, and one error that explains the end.

- Every frame of both directions goes through `Conversation.step` and to the recorders, in the order of the wire.
- The socket is read all the time, to its end, whatever the caller does. The end is the close frame, not the end of TCP.
- No exception of websockets leaves this module. Redirects are not followed: the key would go to another host.
- A recorder that fails ends the connection; `failure` is what it raised.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.uri import parse_uri

from livews.advice import closes
from livews.backpressure import BoundedPongs
from livews.connect_errors import dial_failure
from livews.conversation import Conversation
from livews.core import close_rows
from livews.core.conversation import Step
from livews.endpoint import Endpoint
from livews.errors import Closed, LivewsError, Lost, Refused, RemoteProtocolError
from livews.loopback import proxy_for
from livews.recorder import Clock, Direction, Opcode, Recorder
from livews.redactor import remember_handles
from livews.version import __version__

T = TypeVar("T")

MAX_SIZE = 64 * 1024 * 1024
"""Bytes of one inbound message: well above the 1 MiB that websockets allows by default (WIRE-13)."""
PING_EVERY = 20.0
"""Seconds between two pings."""
PONG_TIMEOUT = 60.0
"""Seconds. Pongs of 8 to 30 s were measured under load, so a default of 20 kills living sessions (CLOSE-4)."""
LINGER = 0.5
"""Seconds until a TCP connection on which nothing more can come is dropped, and those a failed session leaves in."""
_HEAD = 16 * 1024
"""Bytes of the answer to the handshake that are kept to explain it."""

# At DEBUG websockets logs every header and frame, the key among them.
_LOGGER = logging.getLogger("livews.websockets")
_LOGGER.setLevel(logging.INFO)


@dataclass(frozen=True)
class ConnectionClose:
    """How a connection ended.

    Attributes:
        step: what the end did to the conversation.
        code: close code; 1006 where there was no close frame.
        reason: reason of the close frame, "" if there is none.
        cause: who ended it: the server; livews, since a frame was "invalid" or too large, or a "pong" did not come.
        announced: seconds since the first goAway, None without one.
    """

    step: Step
    code: int
    reason: str
    cause: Literal["server", "invalid", "pong"] = "server"
    announced: float | None = None

    @property
    def during(self) -> str:
        """When it happened, for an error."""
        return "in the middle of a turn" if "cutTurn" in self.step.effects else ""

    @property
    def is_quiet(self) -> bool:
        """Whether the server closed with 1000 while nothing was running."""
        return self.cause == "server" and self.code == 1000 and not self.during


class _Connection(BoundedPongs, ClientConnection):
    """A connection that ends with the close frame, or with an answer that refuses the handshake.

    websockets waits until the peer closes TCP, which it may never do.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.head = bytearray()
        """The beginning of what came in answer to the handshake."""
        self.is_made = False
        """It can be used: the TLS handshake, if there is one, is finished."""
        self.lost: Exception | None = None
        """How the connection broke, if it did; websockets has no public name for it."""
        self._waits_for_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.is_made = True
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        protocol = self.protocol
        if connecting := protocol.state is State.CONNECTING:
            self.head += data[: _HEAD - len(self.head)]
        super().data_received(data)
        if connecting:
            self._check_answer()
        elif protocol.close_rcvd is not None or protocol.parser_exc is not None:
            self._drop(LINGER)

    def _check_answer(self) -> None:
        if self.protocol.handshake_exc is not None or self.head[:5] != b"HTTP/"[: len(self.head)]:
            self._drop(0)
        elif self.response is None and not self._waits_for_body and re.search(rb"\n\r?\n", self.head):
            self._waits_for_body = True  # of a refusal; it may have no end
            self.loop.call_later(LINGER, self.transport.abort)

    def _drop(self, seconds: float) -> None:
        """Close TCP after what was sent, in so many seconds at most."""
        if not self.transport.is_closing():
            self.transport.close()
            self.loop.call_later(seconds, self.transport.abort)


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`.

    Only seconds in which this process runs count: while it is stopped, or the machine sleeps, nothing is read from the
    socket, and what is there afterwards came in time.

    Raises:
        TimeoutError: it takes longer; it is cancelled then.
    """
    task, clock = asyncio.ensure_future(work), asyncio.get_running_loop().time
    slices, length = 12, seconds / 12
    try:
        while slices and not task.done():
            start = clock()
            await asyncio.wait({task}, timeout=length)
            slices -= clock() - start < length + 1
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


class Transport:
    """One connection, its conversation and its recorders.

    Args:
        endpoint: where to connect.
        agent: the User-Agent.
        flag: the option to name where the URL is invalid.
        conversation: follows both directions; None where frames are read and dropped.
        recorders: receive every frame and every control in the order of the wire; closed by `close`.
        clock: of the session, where it had connections before.
        on_message: called with each message of the server, its time in seconds and its opcode.
        on_end: called once, when the server can send nothing more; `closed` and `failure` are set before.
        close_timeout: seconds for the server to answer a close frame.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        conversation: Conversation | None = None,
        recorders: Sequence[Recorder] = (),
        *,
        clock: Clock | None = None,
        agent: str = f"livews/{__version__}",
        flag: str = "--url",
        on_message: Callable[[Step, float, Opcode], None] = lambda step, t, opcode: None,
        on_end: Callable[[], None] = lambda: None,
        close_timeout: float = 5.0,
    ) -> None:
        self.clock = clock or Clock()
        self.socket: ClientConnection | None = None
        self.closing = False
        """A close frame of ours was sent, or is being sent."""
        self.closed: ConnectionClose | None = None
        """How the connection ended, unless a recorder ended it."""
        self.failure: Exception | None = None
        """What a recorder raised."""
        self.last_sent = self.clock()
        """When a message was last sent."""
        self.round_trip: float | None = None
        """Seconds from the last ping to its pong."""
        self._endpoint = endpoint
        self._agent = agent
        self._flag = flag
        self._conversation = conversation
        self._recorders = recorders
        self._on_message = on_message
        self._on_end = on_end
        self._close_timeout = close_timeout
        self._reading: asyncio.Task[None] | None = None
        self._pinging: asyncio.Task[None] | None = None
        self._announced_at: float | None = None
        """When the first goAway came."""
        self._ended = False

    @property
    def local_port(self) -> int:
        """The port it dials from."""
        return int(self.socket.local_address[1]) if self.socket is not None else 0

    async def open(self, timeout: float, *, keep_alive: bool = True, **options: Any) -> None:
        """Dial, and begin to read.

        Args:
            timeout: seconds for the connection and the upgrade.
            keep_alive: ping regularly, and end the connection when a pong does not come.
            options: passed to `websockets.connect`.

        Raises:
            BadRequest: the URL is invalid.
            Unreachable: the connection failed.
            Refused: the server refused the upgrade.
        """
        endpoint = self._endpoint
        proxy: str | None = None
        dialled: list[_Connection] = []

        def create(*args: Any, **settings: Any) -> _Connection:
            dialled.append(_Connection(*args, **settings))
            return dialled[-1]

        try:
            uri = parse_uri(endpoint.url)
            proxy = proxy_for(uri.host, uri.port, uri.secure)
            given: dict[str, Any] = {
                "additional_headers": dict(endpoint.headers),
                "user_agent_header": self._agent,
                "compression": None,  # base64 audio gains little and costs 3 to 10 times the CPU (WIRE-13)
                "open_timeout": timeout,
                "close_timeout": LINGER,  # where the server or websockets ends it; `leave` has its own
                "create_connection": create,
                "max_size": MAX_SIZE,
                "max_queue": None,  # reading pauses only for a peer that pings and does not read
                "ping_interval": None,  # those of websockets are neither recorded nor explained
                "logger": _LOGGER,
                "proxy": proxy,
            }
            if uri.secure:  # else asyncio gives up after 60 s, in words of its own
                given["ssl_handshake_timeout"] = timeout + 1
            dialling = connect(endpoint.url, **given | options)
            dialling.process_redirect = lambda problem: problem  # type: ignore[method-assign, assignment]
            self.socket = await dialling
        except Exception as problem:
            error = dial_failure(
                problem, endpoint, flag=self._flag, seconds=timeout, proxy=proxy or "", connected=bool(dialled),
                answer=bytes(dialled[-1].head) if dialled and dialled[-1].is_made else None,
                lost=dialled[-1].lost if dialled else None,
            )  # fmt: skip
            raise (error or problem) from None
        self._reading = asyncio.create_task(self._read(self.socket), name="livews-read")
        if keep_alive:
            self._pinging = asyncio.create_task(self._keep_alive(), name="livews-ping")

    async def send(self, step: Step, opcode: Opcode = "text") -> bool:
        """Record and send a message; False when the connection has ended (`closed` and `failure` say how)."""
        socket = self.socket
        if socket is None:
            return False
        self.last_sent = self.clock()
        if socket.state is State.OPEN:
            # Before it is sent: the socket takes the whole frame at once, also when waiting for room is cancelled.
            remember_handles(step)
            try:
                for recorder in self._recorders:
                    recorder.frame(self.clock(), "send", opcode, step)
            except Exception as failure:
                self._fail(failure)
                raise
        try:
            await socket.send(step.raw, text=opcode == "text")
        except ConnectionClosed:
            await self.wait_read()  # what came before the close is read first
            return False
        return True

    async def ping(self) -> float | None:
        """Send a ping and wait for its pong; both are recorded.

        Returns:
            seconds of the round trip; None when the connection has ended.
        """
        if self.socket is None:
            return None
        sent = self.clock()
        try:
            pong = await self.socket.ping()
            self._control(sent, "send", "ping", {})
            await pong
        except ConnectionClosed:
            await self.wait_read()
            return None
        self.round_trip = seconds = self.clock() - sent
        self._control(self.clock(), "recv", "pong", {"seconds": round(seconds, 6)})
        return seconds

    def note(self, kind: str, about: dict[str, Any]) -> None:
        """Give the recorders a control of the caller's own."""
        self._control(self.clock(), "recv", kind, about)

    def abort(self) -> None:
        """Drop the connection without a close frame."""
        if self.socket is not None:
            self.socket.transport.abort()

    async def leave(self, code: int = 1000, reason: str = "", *, patience: float | None = None) -> None:
        """Close the connection and wait for the server's close frame.

        Args:
            code: the close code; 1006 drops the connection without a close frame.
            reason: the reason.
            patience: seconds for the server to answer. Default: `close_timeout`.
        """
        socket = self.socket
        if socket is None:
            return
        if not self.closing and not self._ended and socket.state is State.OPEN:
            self.closing = True
            self._record_close("send", code, reason)
        self.closing = True
        if code == 1006:
            self.abort()
            return
        socket.close_timeout = None
        try:
            async with asyncio.timeout(self._close_timeout if patience is None else patience):
                await socket.close(code, close_rows.cut(reason))
        except TimeoutError:  # the server does not answer, or does not read
            self.abort()

    async def close(self, *, patience: float | None = None, recorders: bool = True) -> None:
        """Leave, and read what is still arriving.

        Args:
            patience: as in `leave`.
            recorders: close the recorders, too.
        """
        try:
            await self.leave(patience=patience)
            if self._reading is not None:
                await asyncio.wait({self._reading}, timeout=self._close_timeout)
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)
        finally:
            for task in (self._reading, self._pinging):
                if task is not None:
                    task.cancel()
            self._end()
            kept, self._recorders = self._recorders, ()
            for recorder in kept if recorders else ():
                recorder.close()

    async def wait_read(self) -> None:
        """Wait until all that the server sent has been read."""
        if self._reading is not None:
            await asyncio.wait({self._reading})

    def error(self, close: ConnectionClose, *, ready: bool) -> LivewsError:
        """The error that explains a close of the server, or one for which livews gave up.

        Args:
            ready: setupComplete came before.
        """
        reason, where = self._endpoint.secrets.redact(close.reason), self._endpoint.shown
        model = str(self._conversation.setup.get("model", "")) if self._conversation is not None else ""
        if close.cause == "invalid":
            advice = closes.explain(close.code, reason, by="client")
            what = f"given up: {close.code} {reason}".strip()
            return RemoteProtocolError(what, where=where, why=f"{advice.meaning} {advice.cause}", fix=advice.do)
        advice = closes.explain(close.code, reason, model=model, announced=close.announced is not None)
        if close.cause == "pong":
            cause = f"livews gave up: no pong came for {PONG_TIMEOUT:g} s."
            do = "The network or the service has stalled: connect again, with the newest handle."
            advice = replace(advice, cause=cause, do=do)
        kind = Lost if close.code == 1006 or close.cause == "pong" else Closed if ready else Refused
        return kind(advice, where=where, during=close.during, announced=close.announced)

    async def _read(self, socket: ClientConnection) -> None:
        receive, conversation, on_message = socket.recv, self._conversation, self._on_message
        try:
            if conversation is None:
                while True:
                    await receive()
            step_of = conversation.step
            while True:
                frame = await receive()
                opcode: Opcode = "binary"
                if isinstance(frame, str):
                    opcode, frame = "text", frame.encode(errors="surrogatepass")
                step = step_of("server", frame)
                remember_handles(step)
                t = self.clock()
                if "goAway" in step.signals and self._announced_at is None:
                    self._announced_at = t
                for recorder in self._recorders:
                    recorder.frame(t, "recv", opcode, step)
                on_message(step, t, opcode)
        except ConnectionClosed as closed:
            self._was_closed(closed)
        except Exception as failure:
            self._fail(failure)
            await socket.close()
        finally:
            self._end()

    async def _keep_alive(self) -> None:
        """Ping until the connection ends, and end it when a pong does not come."""
        while True:
            await asyncio.sleep(PING_EVERY)
            try:
                if await within(PONG_TIMEOUT, self.ping()) is None:
                    return
            except TimeoutError:
                break
        if not self._ended:
            self.closed = self._record_close("send", 1011, "keepalive ping timeout", "pong")
            self._end()
            await self.leave(1011, self.closed.reason, patience=LINGER)

    def _was_closed(self, closed: ConnectionClosed) -> None:
        if self._ended:
            return
        # websockets closes first where a frame is invalid or too large
        invalid = closed.sent is not None and not closed.rcvd_then_sent and not self.closing
        frame = closed.sent if invalid else closed.rcvd
        code, reason = (frame.code, frame.reason) if frame is not None else (1006, "")
        self.closed = (
            self._record_close("send", code, reason, "invalid")
            if invalid
            else self._record_close("recv", code, reason)
        )

    def _record_close(
        self, direction: Direction, code: int, reason: str, cause: Literal["server", "invalid", "pong"] = "server"
    ) -> ConnectionClose:
        if self._conversation is None:
            step = Step("client", "", b"")
        else:
            step = self._conversation.close("client" if direction == "send" else "server", code, reason)
        t = self.clock()
        self._control(t, direction, "close", {"code": code, "reason": reason})
        announced = None if self._announced_at is None else t - self._announced_at
        return ConnectionClose(step, code, reason, cause, announced)

    def _control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        try:
            for recorder in self._recorders:
                recorder.control(t, direction, kind, about)
        except Exception as failure:
            self._fail(failure)

    def _fail(self, failure: Exception) -> None:
        self.failure = self.failure or failure
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_end()
