"""What replay tests share: traces that are written here or recorded with a stand-in, and scripted servers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import livews
from livews.server.server import serve_stand_in
from tests.kit import traces
from tests.kit.names import DATA
from tests.kit.talk import config
from tests.kit.traces import Row, asked, got, sent

BARGE_IN, TOOL = DATA / "barge_in.jsonl", DATA / "tool.jsonl"
DECLARED = {"tools": [{"functionDeclarations": [{"name": "get_weather"}, {"name": "get_time"}]}]}


@dataclass
class Done:
    """What became of a replay; `trace` is what it wrote, `house` the stand-in."""

    code: int
    out: str
    err: str
    trace: Path
    house: Any

    @property
    def result(self) -> tuple[int, str]:
        return self.code, self.out

    @property
    def sent(self) -> list[Row]:
        """The messages of the client in it."""
        return messages(self.trace)


Run = Callable[..., Awaitable[Done]]


# Traces


async def record(
    path: Path, use: Callable[[livews.Session], Any], *, setup: Row | None = None, **changes: Any
) -> Path:
    """A session of livews with a stand-in, recorded."""
    async with serve_stand_in(config=config(**changes)) as house:
        async with livews.connect(url=house.url, trace=path, setup=setup or {}) as session:
            await asyncio.wait_for(use(session), 20)
    return path


async def turn(session: livews.Session) -> None:
    async for _ in session.turn():
        pass


async def two_turns(session: livews.Session) -> None:
    for words in ("Hello", "And goodbye"):
        await session.say(words)
        await turn(session)


async def call(session: livews.Session) -> None:
    await session.say("Use get_weather and get_time")
    names = []
    async for event in session.events():
        if isinstance(event, livews.ToolCall):
            await session.respond(event.id, event.name, {"is": event.name})
            names.append(event.name)
        elif isinstance(event, livews.Audio) and names:
            break
    await turn(session)


def close(t: float, side: str, code: int, reason: str = "") -> Row:
    return {"t": t, "dir": side, "close": {"code": code, "reason": reason}}


HEAD: Row = {"trace": "livews", "version": 1, "url": "ws://x/ws", "side": "client"}
SETUP = {"setup": {"model": "models/gemini-3.8-live"}}
READY = [sent(0.0, SETUP), got(0.01, {"setupComplete": {}})]
OVER = {"serverContent": {"turnComplete": True}}
TURN = [asked(0.02, "Hello"), got(0.03, {"serverContent": {"outputTranscription": {"text": "Hi"}}}), got(0.04, OVER)]
BYE = [close(0.05, "send", 1000), close(0.06, "recv", 1000)]
WHOLE = [*READY, *TURN, *BYE]
ANSWERS = [row["message"] for row in TURN[1:]]
"""What the server says in TURN."""


def write(path: Path, *rows: Row, head: Row = HEAD) -> Path:
    return traces.write(path, head, *rows)


def messages(path: Path, side: str = "send") -> list[Row]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["message"] for row in rows if row.get("dir") == side and "message" in row]
