"""Receive turns of sound with google-genai: PORT TURNS. Prints CPU seconds, messages and bytes as JSON."""

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from google import genai
from google.genai import live

port, turns = sys.argv[1], int(sys.argv[2])
dial = live.ws_connect


def dial_here(uri: str, ssl: Any = None, **options: Any) -> Any:
    """It dials wss:// whatever it is told; the server here is a plain one."""
    return dial(urlunsplit(urlsplit(uri)._replace(scheme="ws", netloc=f"127.0.0.1:{port}")), **options)


live.ws_connect = dial_here


async def main() -> None:
    client = genai.Client(api_key="no-key")
    async with client.aio.live.connect(model="gemini-3.8-live", config={"response_modalities": ["AUDIO"]}) as session:
        cpu, messages, size = 0.0, 0, 0
        for turn in range(turns + 1):
            started = time.process_time()
            taken = heard = 0
            await session.send_client_content(turns={"role": "user", "parts": [{"text": "hi"}]}, turn_complete=True)
            async for message in session.receive():
                taken += 1
                data = message.data
                if data:
                    heard += len(data)
            if turn:  # the first one warms up
                cpu += time.process_time() - started
                messages += taken
                size += heard
    print(json.dumps({"cpu": cpu, "messages": messages, "bytes": size}))


asyncio.run(main())
