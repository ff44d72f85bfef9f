"""Inject messages between those that a proxy relays.

- An injected message is one whole frame, not compressed (RFC 7692 allows that between compressed ones), masked towards
  the service; text towards the service and binary towards the client, as the wire has it.
- It is written only where the direction is at a message boundary after a read; otherwise it waits for the next one.
  Never after a close frame.
- Relayed bytes are not changed and not held back.
"""

import asyncio

from websockets.frames import Frame, Opcode

from livews.proxy.framing import FramedMessage
from livews.proxy.observer import ConnectionObserver
from livews.proxy.relay import Peer, Side

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of one injected message at most."""
_MAX_UNREAD = 1024 * 1024
"""Bytes that may be buffered for a side that does not read; above, nothing is injected."""
_BOUNDARY_SECONDS = 10.0
"""Seconds to wait for the end of a message that is being relayed."""


class MessageInjector:
    """Injects messages into one session.

    Args:
        client: the client's connection.
        server: the connection to the service.
        observer: follows both directions, and records what is injected.
    """

    def __init__(self, client: Peer, server: Peer, observer: ConnectionObserver) -> None:
        name = client.writer.get_extra_info("peername")
        self.client_port = int(name[1]) if name else 0
        """The port the client dials from."""
        self._sinks: dict[Side, Peer] = {"client": server, "server": client}
        self.observer = observer
        self._waiting: dict[Side, list[tuple[bytes, asyncio.Future[bool]]]] = {"client": [], "server": []}
        self._ended = False

    async def inject(self, side: Side, text: str) -> str:
        """Send a message as if one side had sent it.

        Args:
            side: the side that seems to send it.
            text: the message.

        Returns:
            "" when it was written, else why not.
        """
        raw = text.encode()
        if refusal := self._refusal(side, len(raw)):
            return refusal
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        entry = (raw, written)
        self._waiting[side].append(entry)
        self.flush(side)
        try:
            await asyncio.wait({written}, timeout=_BOUNDARY_SECONDS)
        finally:
            if entry in self._waiting[side]:
                self._waiting[side].remove(entry)
        if not written.done():
            return f"the message being relayed did not end within {_BOUNDARY_SECONDS:g} s, so this one was not sent"
        return "" if written.result() else "the session ended before this could be sent"

    def flush(self, side: Side) -> None:
        """Write what waits, if the direction is at a message boundary. Called after every read."""
        waiting = self._waiting[side]
        while waiting and self.observer.frames[side].at_boundary and not self._refusal(side, 0):
            raw, written = waiting.pop(0)
            client = side == "client"
            frame = Frame(Opcode.TEXT if client else Opcode.BINARY, raw)
            self._sinks[side].writer.write(frame.serialize(mask=client))
            self.observer.on_injected(side, FramedMessage("text" if client else "binary", raw, len(raw)))
            written.set_result(True)

    def end(self) -> None:
        """The session has ended: what still waits is not sent."""
        self._ended = True
        for waiting in self._waiting.values():
            for _, written in waiting:
                written.set_result(False)

    def _refusal(self, side: Side, size: int) -> str:
        """Why a message of `size` bytes cannot be injected now, "" when it can."""
        sink, observer = self._sinks[side], self.observer
        if self._ended or sink.ended or sink.writer.is_closing():
            return "the session has ended"
        if side in observer.closed_sides:
            return (
                f"the {'client' if side == 'client' else 'service'} has sent a close frame: no message may follow it"
            )
        if lost := observer.frames[side].lost:
            return f"livews cannot tell where a message ends in this direction: {lost}"
        if size > MAX_MESSAGE:
            return f"the message is longer than {MAX_MESSAGE:,} bytes"
        if sink.writer.transport.get_write_buffer_size() > _MAX_UNREAD:
            return f"the {'service' if side == 'client' else 'client'} does not read what it is sent"
        return ""
