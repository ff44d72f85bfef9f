"""The server of the measurements that need a socket: it answers setup, then every message with a turn of sound.

- It runs in the process of the benchmark, the clients it serves in processes of their own.
- It offers no compression, to nobody: the clients would spend their time inflating.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.bench import frames


class Service:
    """`turn` is what answers a prompt; `setup_at` becomes the moment a setup arrives, and is then held unanswered."""

    def __init__(self) -> None:
        self.turn: list[bytes] = []
        self.setup_at: asyncio.Future[float] | None = None

    async def talk(self, socket: ServerConnection) -> None:
        try:
            await socket.recv()
            if self.setup_at is not None:
                self.setup_at.set_result(time.perf_counter())
                await socket.wait_closed()
                return
            await socket.send(frames.SETUP_COMPLETE)
            async for _ in socket:
                for frame in self.turn:
                    await socket.send(frame)
        except ConnectionClosed:
            return


@asynccontextmanager
async def serving(service: Service, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port it listens on."""
    server: Server
    async with serve(
        service.talk, "127.0.0.1", 0, ssl=tls, compression=None, ping_interval=None, close_timeout=1
    ) as server:
        yield server.sockets[0].getsockname()[1]
