"""The client side of one WebSocket: dial, read, send, ping, close, and one error that explains the end.

- Every frame of both directions goes through `Conversation.step` and to the recorders, in the order of the wire.
- The socket is read all the time, to its end, whatever the caller does.
- No exception of websockets leaves this module. Redirects are not followed: the key would go to another host.
- A recorder that fails ends the connection; `failure` is what it raised.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.uri import parse_uri

from livews.connect_errors import dial_failure
from livews.core import closes
from livews.core.conversation import Conversation, Step
from livews.endpoint import Endpoint
from livews.errors import Closed, LivewsError, Lost, Refused, RemoteProtocolError
from livews.loopback import proxy_for
from livews.recorder import Clock, Direction, Opcode, Recorder
from livews.version import __version__

MAX_SIZE = 64 * 1024 * 1024
"""Bytes of one inbound message: well above the 1 MiB that websockets allows by default (WIRE-13)."""
PONG_TIMEOUT = 60.0
"""Seconds. Pongs of 8 to 30 s were measured under load, so a default of 20 kills living sessions (CLOSE-4)."""

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
        by_websockets: websockets closed by itself, since a frame was invalid or too large.
    """

    step: Step
    code: int
    reason: str
    by_websockets: bool = False

    @property
    def during(self) -> str:
        """When it happened, for an error."""
        return "in the middle of a turn" if "cutTurn" in self.step.effects else ""


class Transport:
    """One connection, its conversation and its recorders.

    Args:
        endpoint: where to connect.
        agent: the User-Agent.
        flag: the option to name where the URL is invalid.
        conversation: follows both directions; None where frames are read and dropped.
        recorders: receive every frame and every control in the order of the wire; closed by `close`.
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
        agent: str = f"livews/{__version__}",
        flag: str = "--url",
        on_message: Callable[[Step, float, Opcode], None] = lambda step, t, opcode: None,
        on_end: Callable[[], None] = lambda: None,
        close_timeout: float = 5.0,
    ) -> None:
        self.clock = Clock()
        self.socket: ClientConnection | None = None
        self.closing = False
        """A close frame of ours was sent, or is being sent."""
        self.closed: ConnectionClose | None = None
        """How the connection ended, unless a recorder ended it."""
        self.failure: Exception | None = None
        """What a recorder raised."""
        self._endpoint = endpoint
        self._agent = agent
        self._flag = flag
        self._conversation = conversation
        self._recorders = recorders
        self._on_message = on_message
        self._on_end = on_end
        self._close_timeout = close_timeout
        self._reading: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def local_port(self) -> int:
        """The port it dials from."""
        return int(self.socket.local_address[1]) if self.socket is not None else 0

    async def open(self, timeout: float, **options: Any) -> None:
        """Dial, and begin to read.

        Args:
            timeout: seconds for the connection and the upgrade.
            options: passed to `websockets.connect`.

        Raises:
            BadRequest: the URL is invalid.
            Unreachable: the connection failed.
            Refused: the server refused the upgrade.
        """
        endpoint = self._endpoint
        proxy: str | None = None
        try:
            uri = parse_uri(endpoint.url)
            proxy = proxy_for(uri.host, uri.port, uri.secure)
            given: dict[str, Any] = {
                "additional_headers": dict(endpoint.headers),
                "user_agent_header": self._agent,
                "compression": None,  # base64 audio gains little and costs 3 to 10 times the CPU (WIRE-13)
                "open_timeout": timeout,
                "close_timeout": self._close_timeout,
                "max_size": MAX_SIZE,
                "max_queue": None,  # reading never pauses
                "logger": _LOGGER,
                "proxy": proxy,
            }
            dialling = connect(endpoint.url, **given | options)
            dialling.process_redirect = lambda problem: problem  # type: ignore[method-assign, assignment]
            self.socket = await dialling
        except Exception as problem:
            error = dial_failure(problem, endpoint, flag=self._flag, seconds=timeout, proxied=proxy is not None)
            raise (error or problem) from None
        self._reading = asyncio.create_task(self._read(self.socket), name="livews-read")

    async def send(self, step: Step, opcode: Opcode = "text") -> bool:
        """Record and send a message; False when the connection has ended (`closed` and `failure` say how)."""
        socket = self.socket
        if socket is None:
            return False
        if socket.state is State.OPEN:
            # Before it is sent: the socket takes the whole frame at once, also when waiting for room is cancelled.
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
        seconds = self.clock() - sent
        self._control(self.clock(), "recv", "pong", {"seconds": round(seconds, 6)})
        return seconds

    def note(self, kind: str, about: dict[str, Any]) -> None:
        """Give the recorders a control of the caller's own."""
        self._control(self.clock(), "recv", kind, about)

    def give_up(self, code: int, reason: str) -> ConnectionClose:
        """Record a close frame that `leave` sends next; what the server does after it is not recorded."""
        close = self._record_close("send", code, reason)
        self.closing = self._ended = True
        return close

    def abort(self) -> None:
        """Drop the connection without a close frame."""
        if self.socket is not None:
            self.socket.transport.abort()

    async def leave(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection and wait for the server's close frame; with 1006 drop it without a close frame."""
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
        try:
            async with asyncio.timeout(2 * self._close_timeout):
                await socket.close(code, closes.cut(reason))
        except TimeoutError:  # the server does not read
            self.abort()

    async def close(self) -> None:
        """Leave, read what is still arriving, and close the recorders."""
        try:
            await self.leave()
            if self._reading is not None:
                await asyncio.wait({self._reading}, timeout=self._close_timeout)
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)
        finally:
            if self._reading is not None:
                self._reading.cancel()
            self._end()
            recorders, self._recorders = self._recorders, ()
            for recorder in recorders:
                recorder.close()

    async def wait_read(self) -> None:
        """Wait until all that the server sent has been read."""
        if self._reading is not None:
            await asyncio.wait({self._reading})

    def error(self, close: ConnectionClose, *, ready: bool) -> LivewsError:
        """The error that explains a close of the server or of websockets.

        Args:
            ready: setupComplete came before.
        """
        reason, where = self._endpoint.secrets.redact(close.reason), self._endpoint.shown
        model = str(self._conversation.setup.get("model", "")) if self._conversation is not None else ""
        advice = closes.explain(close.code, reason, model=model)
        if close.by_websockets:
            what = f"given up: {close.code} {reason}".strip()
            return RemoteProtocolError(what, where=where, why=advice.meaning, fix=advice.do)
        if close.code == 1006:
            return Lost(advice, where=where, during=close.during)
        if not ready:
            return Refused(advice, where=where)
        return Closed(advice, where=where, during=close.during)

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
                t = self.clock()
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

    def _was_closed(self, closed: ConnectionClosed) -> None:
        if self._ended:
            return
        # websockets closes first where a frame is invalid or too large
        by_websockets = closed.sent is not None and not closed.rcvd_then_sent and not self.closing
        frame = closed.sent if by_websockets else closed.rcvd
        code, reason = (frame.code, frame.reason) if frame is not None else (1006, "")
        self.closed = self._record_close("send" if by_websockets else "recv", code, reason, by_websockets)

    def _record_close(
        self, direction: Direction, code: int, reason: str, by_websockets: bool = False
    ) -> ConnectionClose:
        if self._conversation is None:
            step = Step("client", "", b"")
        else:
            step = self._conversation.close("client" if direction == "send" else "server", code, reason)
        self._control(self.clock(), direction, "close", {"code": code, "reason": reason})
        return ConnectionClose(step, code, reason, by_websockets)

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
