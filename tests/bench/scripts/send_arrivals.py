"""Send turns of noise to one client as a network would: the plan is a line of JSON on stdin, see tests.bench.arrivals.

The port is the first line on stdout; when all is sent and the client is gone, a line of JSON tells when it was.
"""

import asyncio
import json
import sys
import time
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from livews.core import codec
from livews.server import service_format
from tests.bench import frames
from tests.bench.arrivals import Turn

INTERRUPTED = service_format.dump_as_service({"serverContent": {"interrupted": True}})


def chunks(turn: Turn) -> list[bytes]:
    """Its frames, made before the clock is started."""
    sound, size = turn.sound, turn.chunk_bytes
    pieces = (sound[at : at + size] for at in range(0, len(sound), size))
    return [service_format.audio_as_service(codec.encode_base64(piece), frames.MIME_TYPE) for piece in pieces]


async def until(moment: float) -> None:
    while (left := moment - time.monotonic()) > 0:
        await asyncio.sleep(left)


async def send(socket: ServerConnection, turn: Turn, pieces: list[bytes]) -> dict[str, Any]:
    began = time.monotonic() + 0.02
    report: dict[str, Any] = {"first": None, "sent": None, "interrupted": None, "chunks": 0}
    cut = float("inf") if turn.interrupt is None else began + turn.interrupt
    for at, piece in zip(turn.at, pieces, strict=True):
        if began + at >= cut:
            break
        await until(began + at)
        report["first"] = report["first"] or time.monotonic()
        await socket.send(piece, text=True)
        report["chunks"] += 1
    else:
        report["sent"] = time.monotonic()
        await socket.send(frames.GENERATION_COMPLETE, text=True)
    await until(began + turn.over)
    if turn.interrupt is not None:
        report["interrupted"] = time.monotonic()
        await socket.send(INTERRUPTED, text=True)
    await socket.send(frames.TURN_COMPLETE, text=True)
    await asyncio.sleep(turn.pause)
    return {**report, "ended": time.monotonic()}


async def main() -> None:
    plan = [Turn(**turn) for turn in json.loads(sys.stdin.readline())]
    unlike: list[tuple[Turn, list[bytes]]] = []  # a turn that is sent again is not made again
    made = []
    for turn in plan:
        pieces = next((pieces for other, pieces in unlike if other == turn), None)
        if pieces is None:
            pieces = chunks(turn)
            unlike.append((turn, pieces))
        made.append(pieces)
    log: list[dict[str, Any]] = []
    done = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        try:
            await socket.recv()
            await socket.send(frames.SETUP_COMPLETE, text=True)
            await socket.recv()
            for turn, pieces in zip(plan, made, strict=True):
                log.append(await send(socket, turn, pieces))
            await socket.close()
        finally:
            done.set()

    async with serve(talk, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=5) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await done.wait()
    print(json.dumps(log), flush=True)


asyncio.run(main())
