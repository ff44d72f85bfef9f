"""`python -m tests.data.make`: the recorded sessions of this folder, made anew with the stand-in.

- Small, of format version 1, and kept as they are: what reads traces has to read these for ever. Make new ones beside them.
- No path and no name of a machine is in them.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import livews
from livews.server.config import StandInConfig
from livews.server.server import serve_stand_in
from livews.trace.media import elided
from tests.kit.sound import silence, speech

HERE = Path(__file__).parent
"""Where they stand."""


async def barge_in(url: str, path: Path) -> None:
    """A spoken turn in real time, and speech into its answer."""
    setup = {"inputAudioTranscription": {}}
    async with livews.connect(url=url, setup=setup, trace=path) as session:
        await _speak(session, speech(0.8) + silence(1.3))
        async for event in session.turn():
            if isinstance(event, livews.Audio):
                break
        await asyncio.sleep(0.1)
        await _speak(session, speech(0.5) + silence(0.2))
        async for _ in session.turn():
            pass


async def tool(url: str, path: Path) -> None:
    """A typed turn, a function it calls, and what is said about its answer; the sound left out."""
    declaration = {
        "name": "get_weather",
        "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
    }
    setup = {
        "tools": [{"functionDeclarations": [declaration]}],
        "systemInstruction": {"parts": [{"text": "Be short."}]},
    }
    async with livews.connect(url=url, setup=setup, trace=path) as session:
        await session.say('Use get_weather for "Berlin"')
        answered = spoke = False
        async for event in session.events():
            if isinstance(event, livews.ToolCall):
                await session.respond(event.id, event.name, {"sky": "clear", "degrees": 21})
                answered = True
            spoke = spoke or (answered and isinstance(event, livews.Audio))
            if spoke and isinstance(event, livews.TurnEnd):
                break


def leave_sound_out(path: Path) -> None:
    """As --trace-media elide does."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [elided(line) if "message" in line else line for line in lines]
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in kept))


async def _speak(session: livews.Session, pcm: bytes) -> None:
    for at in range(0, len(pcm), 3200):
        await session.send_audio(pcm[at : at + 3200])
        await asyncio.sleep(0.1)


async def main() -> None:
    policy = StandInConfig(voice="tones", heard=["What is that?"], seed="data", calls="always")
    async with serve_stand_in(config=policy) as house:
        for make in (barge_in, tool):
            path = HERE / f"{make.__name__}.jsonl"
            path.unlink(missing_ok=True)
            await asyncio.wait_for(make(house.url, path), 60)


if __name__ == "__main__":
    asyncio.run(main())
    leave_sound_out(HERE / "tool.jsonl")
