"""Constants and servers of the tests of the inspector."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from livews.inspector.sessions import SessionList
from livews.proxy import server as proxy_server
from livews.proxy.injector import MessageInjector
from livews.proxy.observer import ConnectionObserver
from livews.proxy.upstream import UpstreamTarget
from tests.kit.servers import scripted

HELLO = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hello"}]}], "turnComplete": True}}
KEY = "AIza" + "k" * 35
CASES = random.Random(11)


def framed(opcode: Opcode, data: bytes, *, mask: bool = True, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


class House:
    """A proxy, with the observers and injectors of its sessions."""

    def __init__(self) -> None:
        self.url = ""
        self.sessions = SessionList()
        self.injectors: list[MessageInjector] = []
        self.observers: list[ConnectionObserver] = []
        self.opened = asyncio.Event()

    def on_session(self, number: int, observer: ConnectionObserver, injector: MessageInjector) -> None:
        self.sessions.passes(number, observer, injector)
        self.injectors.append(injector)
        self.observers.append(observer)
        self.opened.set()

    def words(self, number: int = 1) -> list[str]:
        told = self.sessions.all[number].page.data()
        return [f"{told['kinds'][kind]} {words}" for kind, words in zip(told["kind"], told["words"], strict=True)]


@contextlib.asynccontextmanager
async def proxied(upstream: str) -> AsyncIterator[House]:
    house = House()
    policy = proxy_server.ProxyConfig(
        upstream=UpstreamTarget.parse(upstream),
        record=lambda number, url, redactor: [house.sessions.record(number, redactor.redact(url), redactor)],
        on_session=house.on_session,
    )
    async with proxy_server.serve_proxy(policy) as door:
        house.url = door.url
        try:
            yield house
        finally:
            house.sessions.close()


@contextlib.asynccontextmanager
async def echo(**more: Any) -> AsyncIterator[tuple[str, list[Any]]]:
    """A server that sends back what it gets; its URL, and what it got."""
    got: list[Any] = []

    async def script(socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                got.append(message)
                await socket.send(message)

    async with scripted(script, **{"compression": "deflate", **more}) as url:
        yield url, got
