"""What replay tests share: traces that are written here or recorded with a stand-in, and scripted servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

import livews
from livews.core import codec
from livews.server.server import serve_stand_in
from tests.kit import traces
from tests.kit.names import DATA
from tests.kit.servers import SETUP_COMPLETE, Script
from tests.kit.talk import config
from tests.kit.traces import Row, asked, got, sent

BARGE_IN, TOOL = DATA / "barge_in.jsonl", DATA / "tool.jsonl"
DECLARED = {"tools": [{"functionDeclarations": [{"name": "get_weather"}, {"name": "get_time"}]}]}


class Done:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.differences = out.splitlines()


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


def write(path: Path, *rows: Row, head: Row = HEAD) -> Path:
    return traces.write(path, head, *rows)


def messages(path: Path, side: str = "send") -> list[Row]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["message"] for row in rows if row.get("dir") == side and "message" in row]


def answering(*answers: Row | bytes | str, close: tuple[int, str] | None = None) -> Script:
    """setupComplete, then to the first message these, then a close or silence."""

    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        with contextlib.suppress(ConnectionClosed):
            await socket.recv()
            for answer in answers:
                await socket.send(codec.dump(answer) if isinstance(answer, dict) else answer)
            if close is not None:
                await socket.close(*close)
            await socket.wait_closed()

    return script
