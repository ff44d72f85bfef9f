"""Receive turns of sound with livews: PORT TURNS. Prints CPU seconds, messages and bytes as JSON."""

import asyncio
import json
import sys
import time

import livews


async def main(port: str, turns: int) -> None:
    async with livews.connect(url=f"ws://127.0.0.1:{port}", reconnect=None) as session:
        cpu, messages, size = 0.0, 0, 0
        for turn in range(turns + 1):
            started = time.process_time()
            taken = heard = 0
            await session.say("hi")
            async for event in session.turn():
                taken += 1
                if isinstance(event, livews.Audio):
                    heard += len(event.pcm)
            if turn:  # the first one warms up
                cpu += time.process_time() - started
                messages += taken
                size += heard
    print(json.dumps({"cpu": cpu, "messages": messages, "bytes": size}))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
