"""A proxy with the inspector's list of its sessions."""

import contextlib
import random
from collections.abc import AsyncIterator

from livews.inspector.sessions import SessionList
from livews.proxy.injector import MessageInjector
from livews.proxy.observer import ConnectionObserver
from tests.proxy import kit

HELLO = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hello"}]}], "turnComplete": True}}
CASES = random.Random(11)


class House:
    """What an inspector knows of the sessions of a proxy, with their observers and injectors."""

    def __init__(self) -> None:
        self.url = ""
        self.sessions = SessionList()
        self.injectors: list[MessageInjector] = []
        self.observers: list[ConnectionObserver] = []

    def on_session(self, number: int, observer: ConnectionObserver, injector: MessageInjector) -> None:
        self.sessions.passes(number, observer, injector)
        self.injectors.append(injector)
        self.observers.append(observer)

    def words(self, number: int = 1) -> list[str]:
        told = self.sessions.all[number].page.data()
        return [f"{told['kinds'][kind]} {words}" for kind, words in zip(told["kind"], told["words"], strict=True)]


@contextlib.asynccontextmanager
async def proxied(upstream: str) -> AsyncIterator[House]:
    house = House()
    async with kit.proxied(
        upstream,
        record=lambda number, url, redactor: [house.sessions.record(number, redactor.redact(url), redactor)],
        on_session=house.on_session,
    ) as proxy:
        house.url = proxy.url
        with contextlib.closing(house.sessions):
            yield house
