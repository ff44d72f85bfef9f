"""google-genai, a client nobody here wrote, holds a conversation with the stand-in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from livews.kit.standin import Policy, stand_in

genai = pytest.importorskip("google.genai", reason="pip install google-genai==3.4.0 to run it against the stand-in")
pytestmark = pytest.mark.filterwarnings("ignore")  # its warnings are its own


@contextlib.asynccontextmanager
async def session(monkeypatch: pytest.MonkeyPatch, model: str, policy: Policy, **config: Any) -> AsyncIterator[Any]:
    """A session of google-genai with a stand-in. It dials wss:// only, so its dialling is turned to our address."""
    from google.genai import live

    async with stand_in(policy=policy) as url:
        real = live.ws_connect

        def to_us(uri: str, **options: Any) -> Any:
            options.pop("ssl", None)
            mine = urlsplit(url)
            return real(urlunsplit(urlsplit(uri)._replace(scheme="ws", netloc=mine.netloc)), **options)

        monkeypatch.setattr(live, "ws_connect", to_us)
        client = genai.Client(api_key="any-key")
        async with client.aio.live.connect(model=model, config=config) as opened:
            yield opened


async def one_turn(opened: Any) -> tuple[bytes, str, int]:
    """PCM, words and total tokens of one turn."""
    pcm, words, tokens = b"", "", 0
    async with asyncio.timeout(20):
        async for message in opened.receive():
            pcm += message.data or b""
            content = message.server_content
            if content and content.output_transcription and content.output_transcription.text:
                words += content.output_transcription.text
            if message.usage_metadata:
                tokens = message.usage_metadata.total_token_count
    return pcm, words, tokens


def test_text_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    from google.genai import types

    async def run() -> None:
        config = {"response_modalities": ["AUDIO"], "output_audio_transcription": {}}
        async with session(monkeypatch, "gemini-3.8-live", Policy(pace=0.1), **config) as opened:
            for text in ("Hello? Gemini, are you there?", "What's your name?"):
                turns = types.Content(role="user", parts=[types.Part(text=text)])
                await opened.send_client_content(turns=turns, turn_complete=True)
                pcm, words, tokens = await one_turn(opened)
                assert len(pcm) > 24_000
                assert words == f'This is the livews stand-in, not Gemini. I heard "{text}".'
                assert tokens > 0
            await opened.send_realtime_input(text="and now realtime")
            assert "and now realtime" in (await one_turn(opened))[1]

    asyncio.run(run())


def test_a_refused_setup_reaches_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    from google.genai import errors

    async def run() -> None:
        async with session(monkeypatch, "gemini-3.8-live", Policy(pace=0), response_modalities=["TEXT"]) as opened:
            await one_turn(opened)

    with pytest.raises(errors.APIError, match=r"1007 None\. The requested combination of response modalities"):
        asyncio.run(run())
