"""A WebSocket connection whose peer cannot fill this process's memory with pongs, by pinging without reading."""

from typing import Any

from websockets.asyncio.connection import Connection
from websockets.frames import Frame, Opcode

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

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._pongs > _UNSENT_PONGS and self.may_read():
            self.transport.resume_reading()
        self._pongs = 0
