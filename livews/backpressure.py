"""A WebSocket connection whose peer can fill neither this process's memory with pongs, by pinging without reading, nor
its log, by pinging and leaving."""

from typing import Any

from websockets.asyncio.connection import Connection
from websockets.frames import Frame, Opcode
from websockets.protocol import SEND_EOF

_UNSENT_PONGS = 1000
"""Pongs that may wait to be sent, of at most 139 bytes each. Then nothing is read until the peer has read."""


class BoundedPongs(Connection):
    """To be mixed into the connection of a client or a server of websockets, which answers every ping at once."""

    _pongs = 0
    """Pongs since the peer stopped reading."""

    def may_read(self) -> bool:
        """Whether nothing else keeps the peer's frames from being read."""
        return not self.recv_messages.paused

    def process_event(self, event: Any) -> None:
        super().process_event(event)
        if self.paused and isinstance(event, Frame) and event.opcode is Opcode.PING:
            self._pongs += 1
            if self._pongs > _UNSENT_PONGS:
                self.transport.pause_reading()

    def send_data(self) -> None:
        # One write for all pongs, and none to a connection that is lost: asyncio logs every such write.
        writes = self.protocol.data_to_send()
        if not self.transport.is_closing():
            self.protocol.writes = [b"".join(writes)] * any(writes) + [SEND_EOF] * (SEND_EOF in writes)
            super().send_data()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._pongs > _UNSENT_PONGS and self.may_read():
            self.transport.resume_reading()
        self._pongs = 0
