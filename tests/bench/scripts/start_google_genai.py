"""Set up a session with google-genai: URL. A wss:// URL is dialled by google-genai as it is."""

import asyncio
import sys
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from google import genai
from google.genai import live, types

url = urlsplit(sys.argv[1])
dial = live.ws_connect


def dial_here(uri: str, ssl: Any = None, **options: Any) -> Any:
    """It dials wss:// whatever it is told; the server here is a plain one."""
    return dial(urlunsplit(urlsplit(uri)._replace(scheme="ws", netloc=url.netloc)), **options)


if url.scheme == "ws":
    live.ws_connect = dial_here


async def main() -> None:
    client = genai.Client(api_key="no-key", http_options=types.HttpOptions(base_url=f"https://{url.netloc}"))
    async with client.aio.live.connect(model="gemini-3.8-live", config={"response_modalities": ["AUDIO"]}) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "hi"}]}, turn_complete=True)


asyncio.run(main())
