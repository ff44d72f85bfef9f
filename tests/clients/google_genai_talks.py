"""google-genai holds every conversation with the stand-in, all at once; a JSON line each on stdout.

- The SDK's public calls only, as its documentation writes them; nothing of it is patched or reached into.
- The server is the one GOOGLE_GEMINI_BASE_URL names; the other two are given to a client as its base URL.
- It judges nothing: it writes down what the user sees.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import traceback
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from google import genai
from google.genai import errors, types

MODEL = "gemini-3.8-live"
OLDER = "gemini-2.5-flash-native-audio-latest"
SETTINGS = json.load(sys.stdin)
SPEECH = Path(SETTINGS["speech"]).read_bytes()
PICTURE = Path(SETTINGS["picture"]).read_bytes()
RATE = 16_000
CHUNK = RATE // 10 * 2
SPOKEN = {"response_modalities": ["AUDIO"], "output_audio_transcription": {}}
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
}


class Turn:
    """What came between two turnComplete."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.pcm = b""
        self.mimes: set[str] = set()
        self.said = self.heard = ""
        self.calls: list[dict[str, Any]] = []
        self.activity: list[str] = []
        self.prompt = self.total = 0

    def note(self, message: types.LiveServerMessage) -> None:
        self.pcm += message.data or b""
        if content := message.server_content:
            if content.input_transcription and content.input_transcription.text:
                self.heard += content.input_transcription.text
                self._kind("heard")
            if content.output_transcription and content.output_transcription.text:
                self.said += content.output_transcription.text
                self._kind("words")
            for part in (content.model_turn and content.model_turn.parts) or ():
                if part.inline_data:
                    self.mimes.add(str(part.inline_data.mime_type))
                    self._kind("audio")
            for name in ("interrupted", "generation_complete", "turn_complete"):
                if getattr(content, name):
                    first, *rest = name.split("_")
                    self._kind(first + "".join(word.title() for word in rest))
        if message.tool_call:
            self.calls += [
                {"name": c.name, "args": c.args, "id": c.id} for c in message.tool_call.function_calls or ()
            ]
            self._kind("toolCall")
        if message.voice_activity and message.voice_activity.voice_activity_type:
            self.activity.append(message.voice_activity.voice_activity_type.value)
            self._kind("activity")
        if message.usage_metadata:
            self.prompt = message.usage_metadata.prompt_token_count or 0
            self.total = message.usage_metadata.total_token_count or 0
        if message.session_resumption_update:
            self._kind("handle")
        if message.go_away:
            self._kind("goAway")

    def _kind(self, kind: str) -> None:
        if kind not in self.kinds[-1:]:
            self.kinds.append(kind)

    def seen(self) -> dict[str, Any]:
        samples = array("h", self.pcm[: len(self.pcm) // 2 * 2])
        return {
            **vars(self),
            "pcm": len(self.pcm),
            "peak": max(map(abs, samples), default=0),
            "mimes": sorted(self.mimes),
        }


class Talk:
    """One session and the news of it."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.update: types.LiveServerSessionResumptionUpdate | None = None
        self.time_left = ""

    async def hear(self, until: str = "turnComplete", turn: Turn | None = None) -> Turn:
        """Add to `turn` (or a new one) what comes, until a message of the kind `until` has come."""
        turn = turn or Turn()
        while until not in turn.kinds:
            async for message in self.session.receive():
                turn.note(message)
                self.update = message.session_resumption_update or self.update
                if message.go_away:
                    self.time_left = message.go_away.time_left
                if until in turn.kinds:
                    break
        return turn

    async def prompt(self, text: str) -> None:
        content = types.Content(role="user", parts=[types.Part(text=text)])
        await self.session.send_client_content(turns=content, turn_complete=True)

    async def ask(self, text: str) -> Turn:
        await self.prompt(text)
        return await self.hear()

    async def sound(self, pcm: bytes) -> None:
        """Five times as fast as spoken."""
        for i in range(0, len(pcm), CHUNK):
            blob = types.Blob(data=pcm[i : i + CHUNK], mime_type=f"audio/pcm;rate={RATE}")
            await self.session.send_realtime_input(audio=blob)
            await asyncio.sleep(0.02)

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close, as the SDK tells them."""
        try:
            while True:
                await self.hear()
        except errors.APIError as problem:
            return problem.code, problem.details


@contextlib.asynccontextmanager
async def talk(model: str = MODEL, base_url: str = "", key: str = "any-key", **config: Any) -> AsyncIterator[Talk]:
    client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base_url or None))
    async with client.aio.live.connect(model=model, config={**SPOKEN, **config}) as session:
        yield Talk(session)


async def text() -> dict[str, Any]:
    async with talk() as one:
        return {"turns": [await one.ask("Hello? Gemini, are you there?"), await one.ask("What's your name?")]}


async def realtime_text() -> dict[str, Any]:
    async with talk() as one:
        await one.session.send_realtime_input(text="And now in real time")
        return {"turns": [await one.hear()]}


async def speech() -> dict[str, Any]:
    async with talk(base_url=SETTINGS["knowing"], input_audio_transcription={}) as one:
        await one.sound(SPEECH + bytes(int(1.6 * RATE) * 2))
        return {"turns": [await one.hear()]}


async def manual_speech() -> dict[str, Any]:
    manual = {"automatic_activity_detection": {"disabled": True}}
    async with talk(realtime_input_config=manual, input_audio_transcription={}) as one:
        await one.session.send_realtime_input(activity_start=types.ActivityStart())
        await one.sound(SPEECH)
        await one.session.send_realtime_input(activity_end=types.ActivityEnd())
        return {"turns": [await one.hear()], "sent": len(SPEECH) / 2 / RATE}


async def picture() -> dict[str, Any]:
    async with talk() as one:
        await one.session.send_realtime_input(video=types.Blob(data=PICTURE, mime_type="image/jpeg"))
        await one.session.send_realtime_input(text="What do you see?")
        return {"turns": [await one.hear()]}


async def tool_that_does_not_block() -> dict[str, Any]:
    async with talk(tools=[{"function_declarations": [WEATHER]}]) as one:
        asking = await one.ask('What is the weather in "Paris"?')
        return await answer(one, asking)


async def tool_that_blocks() -> dict[str, Any]:
    async with talk(OLDER, tools=[{"function_declarations": [WEATHER]}]) as one:
        await one.prompt('What is the weather in "Paris"?')
        asking = await one.hear(until="toolCall")
        with contextlib.suppress(TimeoutError):  # nothing may come while the answer is being found
            async with asyncio.timeout(0.5):
                await one.hear(turn=asking)
        return await answer(one, asking)


async def answer(one: Talk, asking: Turn) -> dict[str, Any]:
    (call,) = asking.calls
    response = types.FunctionResponse(id=call["id"], name=call["name"], response={"temperature": 21})
    await one.session.send_tool_response(function_responses=[response])
    return {"asking": asking, "turns": [await one.hear()]}


async def interruption() -> dict[str, Any]:
    async with talk() as one:
        await one.prompt("Tell me a long, long story of a long, long road. " * 2)
        cut = await one.hear(until="audio")
        await one.session.send_realtime_input(text="Stop, something else")
        return {"turns": [await one.hear(turn=cut), await one.hear()]}


async def resumption() -> dict[str, Any]:
    async with talk(session_resumption={}) as one:
        fresh = await one.ask("Remember the number 7")
        if one.update is None:
            await one.hear(until="handle")
        update = one.update
    assert update is not None
    async with talk(session_resumption={"handle": update.new_handle}) as one:
        resumed = await one.ask("Remember the number 7")
    return {"handle": update.new_handle, "resumable": update.resumable, "turns": [fresh, resumed]}


async def go_away() -> dict[str, Any]:
    async with talk(OLDER, base_url=SETTINGS["leaving"]) as one:
        await one.hear(until="goAway")
        warned = time.monotonic()
        turn = await one.ask("Are you still there?")
        code, reason = await one.closed()
        stayed = time.monotonic() - warned
    return {"timeLeft": one.time_left, "turns": [turn], "code": code, "reason": reason, "stayed": stayed}


async def ephemeral_token() -> dict[str, Any]:
    alpha = types.HttpOptions(api_version="v1alpha")
    maker = genai.Client(api_key="any-key", http_options=alpha)
    token = await maker.aio.auth_tokens.create(
        config={"uses": 1, "live_connect_constraints": {"model": MODEL, "config": SPOKEN}}
    )
    client = genai.Client(api_key=token.name, http_options=alpha)
    async with client.aio.live.connect(model=MODEL, config=SPOKEN) as session:
        return {"token": token.name, "turns": [await Talk(session).ask("Hello with a token")]}


async def refused_setup() -> dict[str, Any]:
    try:
        async with talk(response_modalities=["TEXT"]):
            return {"code": 0, "reason": "not refused"}
    except errors.APIError as problem:
        return {"code": problem.code, "reason": problem.details}


async def report(conversation: Callable[[], Awaitable[dict[str, Any]]]) -> None:
    try:
        async with asyncio.timeout(SETTINGS["seconds"]):
            result = await conversation()
    except Exception:
        result = {"error": traceback.format_exc()}
    line = {"conversation": conversation.__name__, **result}
    print(json.dumps(line, default=Turn.seen), flush=True)


async def main() -> None:
    await asyncio.gather(
        *map(
            report,
            (
                text,
                realtime_text,
                speech,
                manual_speech,
                picture,
                tool_that_does_not_block,
                tool_that_blocks,
                interruption,
                resumption,
                go_away,
                ephemeral_token,
                refused_setup,
            ),
        )
    )


asyncio.run(main())
