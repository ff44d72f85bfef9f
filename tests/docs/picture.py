"""Make the picture of README.md: `python -m tests.docs.picture` (needs Chromium and Playwright).

`livews inspect --offline` runs with a client that misspells a member of its second message. The page shows the session,
with the close explained and the message at fault open.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import sys
import tempfile
from pathlib import Path
from threading import Thread

from websockets.exceptions import ConnectionClosedError

from tests.docs.pages import DOCS
from tests.kit.browser import started
from tests.kit.command import running
from tests.kit.servers import dial

PICTURE = DOCS / "inspector.png"
SIZE = (1280, 980)
LARGEST = 200_000
"""Bytes."""
_FAULT = "clientContnet"
_FUNCTION = {
    "name": "get_weather",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
}


async def talk(url: str) -> None:
    """One turn that goes well, then a message with a misspelt member, for which the stand-in closes."""
    setup = {
        "model": "models/gemini-3.8-live",
        "generationConfig": {"responseModalities": ["AUDIO"]},
        "outputAudioTranscription": {},
        "tools": [{"functionDeclarations": [_FUNCTION]}],
    }
    with contextlib.suppress(ConnectionClosedError):
        async with dial(url) as socket:
            await socket.send(json.dumps({"setup": setup}))
            await socket.send(json.dumps({"clientContent": _turn('What is the weather in "Paris"?')}))
            done = False
            async for raw in socket:
                message = json.loads(raw)
                for call in message.get("toolCall", {}).get("functionCalls", ()):
                    answer = {"id": call["id"], "name": call["name"], "response": {"sky": "clear", "celsius": 21}}
                    await socket.send(json.dumps({"toolResponse": {"functionResponses": [answer]}}))
                content = message.get("serverContent", {})
                done = done or "modelTurn" in content
                if done and content.get("turnComplete"):
                    await socket.send(json.dumps({_FAULT: _turn("And tomorrow?")}))


def _turn(text: str) -> dict[str, object]:
    return {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": True}


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as profile,
        running("inspect", "--offline", "--port", "0", "--proxy-port", "0") as (page_url, process),
    ):
        assert process.stderr is not None
        proxy = ""
        while not proxy:
            found = re.search(r"ws://127\.0\.0\.1:\d+", process.stderr.readline())
            proxy = found[0] if found else ""
        browsers = started(Path(profile))
        page = next(browsers).open(page_url, SIZE[0], own=lambda url: True)
        page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
        client = Thread(target=lambda: asyncio.run(talk(proxy)))  # Playwright has a loop in this thread
        client.start()
        client.join(60)
        page.get_by_text(_FAULT).first.wait_for()
        page.get_by_role("button", name="Show it").click()
        page.wait_for_timeout(1000)
        page.evaluate("window.scrollTo(0, 0)")
        _save(page.screenshot())
        browsers.close()
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} B")
    return int(PICTURE.stat().st_size > LARGEST)


def _save(png: bytes) -> None:
    """Write the picture with a palette: a page of text needs no more, and a third of the bytes."""
    from PIL import Image

    Image.open(io.BytesIO(png)).convert("RGB").quantize(128).save(PICTURE, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
