"""Play what a server says as the cookbook's Live API example does: PORT. Prints what it played with as JSON.

One task receives and puts chunks in an unbounded queue; another writes each to a blocking stream, in a thread, one at a
time, without waiting for more first. `interrupted` empties the queue; the chunk that is being written is written.

- The receiving is this file's own, with json and base64: an SDK would only make it slower.
- PyAudio plays; where it is not installed the same blocking writes go through sounddevice.
"""

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

RATE = 24_000
FRAMES = 1024
"""PyAudio's frames_per_buffer when nobody says."""


def opened() -> tuple[str, Callable[[bytes], Any], Callable[[], Any]]:
    """Its name, how it writes and how it ends."""
    try:
        import pyaudio
    except ImportError:
        import sounddevice

        stream = sounddevice.RawOutputStream(
            samplerate=RATE, channels=1, dtype="int16", blocksize=FRAMES, latency="low"
        )
        stream.start()
        return f"sounddevice {sounddevice.__version__}, blocking", stream.write, stream.close
    audio = pyaudio.PyAudio()
    out = audio.open(format=pyaudio.paInt16, channels=1, rate=RATE, output=True)
    return f"PyAudio {pyaudio.__version__}", out.write, out.close


async def receive(socket: ClientConnection, chunks: asyncio.Queue[bytes]) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            content = json.loads(await socket.recv()).get("serverContent", {})
            for part in content.get("modelTurn", {}).get("parts", []):
                if "inlineData" in part:
                    chunks.put_nowait(base64.b64decode(part["inlineData"]["data"]))
            if content.get("interrupted"):
                while not chunks.empty():
                    chunks.get_nowait()


async def play(write: Callable[[bytes], Any], chunks: asyncio.Queue[bytes]) -> None:
    while True:
        chunk = await chunks.get()
        await asyncio.to_thread(write, chunk)


async def main(port: str) -> None:
    name, write, close = await asyncio.to_thread(opened)
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    async with connect(f"ws://127.0.0.1:{port}", compression=None, max_size=None) as socket:
        await socket.send(json.dumps({"setup": {"model": "models/none"}}))
        await socket.recv()
        await socket.send(json.dumps({"clientContent": {"turns": [], "turnComplete": True}}))
        player = asyncio.create_task(play(write, chunks))
        await receive(socket, chunks)
    while not chunks.empty() and not player.done():
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # what is being written, and what the device holds
    player.cancel()
    await asyncio.gather(player, return_exceptions=True)
    await asyncio.to_thread(close)
    print(json.dumps({"player": "cookbook", "version": name}))


asyncio.run(main(sys.argv[1]))
