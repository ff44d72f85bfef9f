"""Hold a spoken conversation with livews, microphone and loudspeaker: PORT SECONDS. Prints what came of it as JSON.

Speech and silence in turn go out in real time, 40 ms of 16 kHz a message; what comes back is played. A line says when all is
set up; memory and CPU are for the one who started this process to read.
"""

import asyncio
import json
import math
import random
import sys
import time
from array import array

import livews
from livews.audio.speaker import Speaker

RATE, CHUNK_MS = 16_000, 40
SPEECH, SILENCES = 1.5, (4.0, 9.0)
"""Seconds. The long silence lets a reply be heard out, in the short one it is still speaking and is interrupted."""
SETUP = {
    "generationConfig": {"responseModalities": ["AUDIO"]},
    "inputAudioTranscription": {},
    "outputAudioTranscription": {},
    "realtimeInputConfig": {"automaticActivityDetection": {"silenceDurationMs": 500}},
}


def voice() -> list[bytes]:
    """One round of speech and silences, in chunks."""
    luck = random.Random(1)
    samples = array("h")
    for silence in SILENCES:
        for n in range(round(SPEECH * RATE)):
            t = n / RATE
            loud = 0.15 + 0.85 * abs(math.sin(math.pi * 4 * t))
            tone = sum(math.sin(2 * math.pi * 140 * k * t) / k for k in (1, 2, 3)) / 1.8
            samples.append(int(9_000 * loud * (0.9 * tone + 0.1 * luck.uniform(-1, 1))))
        samples.extend(luck.randint(-8, 8) for _ in range(round(silence * RATE)))
    pcm, size = samples.tobytes(), RATE * CHUNK_MS // 1000 * 2
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


async def speak(session: livews.Session, seconds: float) -> list[float]:
    """How late each chunk was sent, in milliseconds."""
    chunks, late = voice(), []
    began = time.monotonic()
    for i in range(round(seconds * 1000 / CHUNK_MS)):
        due = began + i * CHUNK_MS / 1000
        while (left := due - time.monotonic()) > 0:
            await asyncio.sleep(left)
        await session.send_audio(chunks[i % len(chunks)])
        late.append(1000 * (time.monotonic() - due))
    return late


async def main(port: str, seconds: float) -> None:
    sys.setswitchinterval(0.001)  # as the command line client does
    speaker = Speaker()
    await asyncio.to_thread(speaker.start)
    counts = {"turns": 0, "interrupted": 0, "chunks": 0, "underruns": 0, "late": 0}
    received = 0
    speaking = False

    def count_last() -> None:
        for turn in list(speaker.buffer.turns)[-1:]:
            counts["underruns"] += turn.underruns
            counts["late"] += turn.late

    async def listen(session: livews.Session) -> None:
        nonlocal received, speaking
        async for event in session.events():
            match event:
                case livews.Audio():
                    if not speaking:
                        count_last()  # of the turn before
                    speaking = True
                    counts["chunks"] += 1
                    received += len(event.pcm)
                    speaker.play(event.pcm, event.rate)
                case livews.Interrupted():
                    counts["interrupted"] += 1
                    speaker.flush()
                case livews.GenerationComplete():
                    speaker.turn_ended()
                case livews.TurnEnd():
                    counts["turns"] += 1
                    speaking = False
                    speaker.turn_ended()

    async with livews.connect(url=f"ws://127.0.0.1:{port}", reconnect=None, setup=SETUP) as session:
        listening = asyncio.create_task(listen(session))
        print(json.dumps({"ready": True}), flush=True)
        late = sorted(await speak(session, seconds))
    await listening
    count_last()
    await asyncio.to_thread(speaker.close)
    report = {"sent": len(late), "late_p99": late[int(0.99 * len(late))], "late_max": late[-1], "received": received}
    print(json.dumps({**report, **counts, "lost": str(speaker.lost) if speaker.lost else ""}), flush=True)


asyncio.run(main(sys.argv[1], float(sys.argv[2])))
