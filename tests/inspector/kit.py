"""A proxy with the inspector's list of its sessions."""

import contextlib
import random
from collections.abc import AsyncIterator

from livews.inspector.sessions import LiveSession, SessionList
from livews.proxy.injector import MessageInjector
from livews.redactor import Redactor
from tests.proxy import kit

HELLO = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hello"}]}], "turnComplete": True}}
CASES = random.Random(11)


class House:
    """What an inspector knows of the sessions of a proxy, with their injectors."""

    def __init__(self) -> None:
        self.url = ""
        self.sessions = SessionList()
        self.injectors: list[MessageInjector] = []

    def record(self, number: int, url: str, redactor: Redactor, injector: MessageInjector) -> list[LiveSession]:
        self.injectors.append(injector)
        return [self.sessions.record(number, redactor.redact(url), redactor, injector)]

    def words(self, number: int = 1) -> list[str]:
        report = self.sessions.all[number].page.data()
        return [
            f"{report['kinds'][kind]} {words}" for kind, words in zip(report["kind"], report["words"], strict=True)
        ]


@contextlib.asynccontextmanager
async def proxied(upstream: str) -> AsyncIterator[House]:
    house = House()
    async with kit.proxied(upstream, record=house.record) as proxy:
        house.url = proxy.url
        with contextlib.closing(house.sessions):
            yield house
