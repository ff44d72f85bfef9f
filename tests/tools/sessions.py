"""Sessions for tests of tools: with a stand-in, or with a scripted server for what the stand-in never sends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from websockets.asyncio.server import ServerConnection

import livews
from livews.advice import judge
from livews.server.config import StandInConfig
from livews.server.server import serve_stand_in
from tests.kit.recorder import MemoryRecorder
from tests.kit.servers import SETUP_COMPLETE, scripted
from tests.kit.waiting import until

NATIVE = "gemini-2.5-flash-native-audio-latest"
PACE = 0.02
PATIENCE = 10.0
"""Seconds any one conversation may last."""

Message = dict[str, Any]


class Wire(MemoryRecorder):
    """What the client sent of answers to calls."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Message] = []

    def frame(self, t: float, direction: str, opcode: str, step: livews.Step) -> None:
        if direction == "send" and "toolResponse" in step.body:
            assert [one for one in judge.check("client", step.body) if one.level == "error"] == []
            self.answers += step.body["toolResponse"]["functionResponses"]

    @property
    def responses(self) -> list[Message]:
        return [one["response"] for one in self.answers]


@contextlib.asynccontextmanager
async def at_standin(
    functions: Sequence[Any], model: str = "", **options: Any
) -> AsyncIterator[tuple[livews.Session, Wire]]:
    """A session with a stand-in of its own, and what was sent of answers."""
    wire = Wire()
    async with asyncio.timeout(PATIENCE), serve_stand_in(config=StandInConfig(pace=PACE, voice="tones")) as house:
        recorders = (lambda where: wire,)
        async with livews.connect(model, url=house.url, tools=functions, recorders=recorders, **options) as session:
            yield session, wire
    assert house.failures == 0


async def reply(session: livews.Session, prompt: str = "") -> str:
    """What the model says, in as many turns as its calls make of it."""
    if prompt:
        await session.say(prompt)
    words = ""
    while True:
        async for event in session.turn():
            if isinstance(event, livews.Transcript):
                words += event.text
        assert isinstance(event, livews.TurnEnd)
        if not event.waiting:
            return words


async def answer_to(functions: Sequence[Any], prompt: str, model: str = "", **options: Any) -> tuple[str, Message]:
    """One prompt that calls one function: what is said in the end, and the response that was sent."""
    said = ""
    async with at_standin(functions, model, **options) as (session, wire):
        said = await reply(session, prompt)
    assert len(wire.answers) == 1
    return said, wire.responses[0]


def calls(*functions: tuple[str, str, Message]) -> Message:
    return {"toolCall": {"functionCalls": [{"id": i, "name": name, "args": args} for i, name, args in functions]}}


@contextlib.asynccontextmanager
async def at_server(
    messages: Sequence[Message], functions: Sequence[Any], after: Sequence[Message] = (), **options: Any
) -> AsyncIterator[tuple[livews.Session, list[Message]]]:
    """A session with a server that says these messages after setup, and every answer that came.

    It says `after` when the first answer has come, and closes with 1011 when the client sends anything else.
    """
    got: list[Message] = []

    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(SETUP_COMPLETE)
        for message in messages:
            await socket.send(json.dumps(message))
        async for frame in socket:
            if (message := json.loads(frame)).keys() != {"toolResponse"}:
                await socket.close(1011, "bye")
                return
            for later in () if got else after:
                await socket.send(json.dumps(later))
            got.extend(message["toolResponse"]["functionResponses"])

    async with asyncio.timeout(PATIENCE), scripted(script) as url:
        async with livews.connect(url=url, tools=functions, **options) as session:
            yield session, got


async def served(
    message: Message, functions: Sequence[Any], count: int = 1
) -> tuple[list[Message], list[livews.ToolRun]]:
    """The answers to a message with so many calls, and their runs."""
    runs: list[livews.ToolRun] = []
    async with at_server([message], functions, on_tool=runs.append) as (session, got):
        await all_over(session, runs, count)
    return got, runs


class Unit(Enum):
    CELSIUS = "celsius"
    KELVIN = "kelvin"


@dataclass
class Place:
    """Where something is."""

    name: str
    floor: Annotated[int, "0 is the ground"] = 0
    tags: list[str] = field(default_factory=list)


async def all_over(session: livews.Session, runs: list[livews.ToolRun], count: int) -> None:
    """Wait until so many runs are over, and their answers have gone out."""
    await until(lambda: sum(run.done for run in runs) == count)
    await until(lambda: not session.conversation.pending)


def shell_script(path: Path, lines: str, name: str = "tool.sh") -> Path:
    made = path / name
    made.write_text(f"#!/bin/sh\n{lines}\n")
    made.chmod(0o755)
    return made


def is_alive(pid: int) -> bool:
    """A zombie that waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
