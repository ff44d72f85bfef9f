"""Talk to a server with many voices at once: PORT SESSIONS SECONDS MS. A line of JSON when all are set up, at half
time, and when all have spoken; they stay connected until a line comes on stdin: the last line tells how they closed.

- As cheap as a client can be: frames are made before, one clock drives all voices, and of what is received no more is
  looked at than its kind and the length of its sound. It must not be what the measurement measures.
- Real time: every voice sends MS milliseconds of sound every MS milliseconds, speech and silence in turn, each voice
  at a phase of its own. How late the client itself was is told, too.
- A chunk of a reply is due its position / 4.5 seconds after the reply's first, and is needed its position after it.
"""

import asyncio
import json
import math
import random
import sys
import time
from array import array
from typing import Any

RATE, REPLY_RATE = 16_000, 24_000
SPEECH = SILENCE = 1.5
FASTER = 4.5
"""How much faster than it plays the model's voice is sent (protocol/models.json)."""
VOICES = 16
PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
SETUP = {
    "setup": {
        "model": "models/gemini-3.8-live",
        "generationConfig": {"responseModalities": ["AUDIO"]},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        # the pauses are long enough for most of a reply, which the next speech then interrupts
        "realtimeInputConfig": {"automaticActivityDetection": {"silenceDurationMs": 500}},
    }
}
_TOGETHER = 32
"""Sockets that are opened at the same time."""


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A client's frame, masked."""
    mask = random.randbytes(4)
    length = len(payload)
    head = bytes([0x80 | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65_536:
        head += bytes([0x80 | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + length.to_bytes(8, "big")
    pad = (mask * (length // 4 + 1))[:length]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(length, "big")
    return head + mask + masked


def sound(seed: int, ms: int) -> list[bytes]:
    """One round of speech and silence, as frames ready to be written. No two voices are equally loud and high."""
    from livews.core import codec

    source = random.Random(seed)
    pitch, peak = source.uniform(90, 220), source.uniform(3_000, 12_000)
    samples = array("h")
    for n in range(round(SPEECH * RATE)):
        t = n / RATE
        syllable = 0.15 + 0.85 * abs(math.sin(math.pi * 4 * t))
        tone = sum(math.sin(2 * math.pi * pitch * k * t) / k for k in (1, 2, 3)) / 1.8
        samples.append(int(peak * syllable * (0.9 * tone + 0.1 * source.uniform(-1, 1))))
    samples.extend(source.randint(-8, 8) for _ in range(round(SILENCE * RATE)))
    pcm = samples.tobytes()
    size = RATE * ms // 1000 * 2
    return [frame(codec.audio_frame(pcm[at : at + size])) for at in range(0, len(pcm), size)]


class Voice(asyncio.Protocol):
    """One session: what it was sent, and when."""

    def __init__(self, port: int, late: array, needed: array) -> None:  # type: ignore[type-arg]
        loop = asyncio.get_running_loop()
        self.port = port
        self.late, self.needed = late, needed
        self.ready, self.gone = loop.create_future(), loop.create_future()
        self.chunks = self.turns = self.interrupted = self.heard = 0
        self.closed = ""
        self._upgraded = False
        self._buffer = bytearray()
        self._first = self._position = 0.0
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(
            f"GET {PATH}?key=none HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        transport.write(frame(json.dumps(SETUP).encode()))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = self.closed or f"lost{f': {exc}' if exc else ''}"
        for future in (self.ready, self.gone):
            if not future.done():
                future.set_result(None)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        buffer = self._buffer
        buffer += data
        if not self._upgraded:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                self.closed = buffer[:60].decode("latin-1")
                self.transport.close()
                return
            self._upgraded = True
            del buffer[: end + 4]
        at = 0
        while len(buffer) - at >= 2:
            length, head = buffer[at + 1], 2
            if length == 126:
                length, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
            if len(buffer) - at < head + length:
                break
            self._take(buffer[at] & 15, bytes(buffer[at + head : at + head + length]), now)
            at += head + length
        del buffer[:at]

    def _take(self, opcode: int, message: bytes, now: float) -> None:
        if opcode == 8:
            self.closed = f"{int.from_bytes(message[:2], 'big')} {message[2:].decode(errors='replace')}".strip()
        elif (start := message.find(b'"data": "')) > 0:
            text = message[start + 9 : message.index(b'"', start + 9)]
            seconds = (len(text) * 3 // 4 - text.endswith(b"=") - text.endswith(b"==")) / 2 / REPLY_RATE
            if not self._first:
                self._first, self._position = now, 0.0
            self.chunks += 1
            self.late.append(now - self._first - self._position / FASTER)
            self.needed.append(now - self._first - self._position)
            self._position += seconds
        elif b'"inputTranscription"' in message:
            self.heard += 1
        elif b'"interrupted"' in message:
            self.interrupted += 1
        elif b'"turnComplete"' in message:
            self.turns += 1
            self._first = 0.0
        elif b'"setupComplete"' in message:
            self.ready.set_result(None)


def spread(values: array) -> dict[str, float]:  # type: ignore[type-arg]
    """Milliseconds, none below 0: what comes early is not late."""
    found = sorted(max(0.0, value * 1000) for value in values) or [0.0]
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(found[min(len(found) - 1, int(share * len(found)))], 2) for name, share in places.items()}


async def speak(voices: list[Voice], sounds: list[list[bytes]], seconds: float, ms: int) -> array:  # type: ignore[type-arg]
    """Send all voices' sound in real time; how late each frame was written."""
    source = random.Random(1)
    length = len(sounds[0])
    order = sorted(
        (source.uniform(0, ms / 1000), i, source.randrange(length)) for i in range(len(voices))
    )  # when in a period, whose, where in its round
    lag = array("d")
    began = time.perf_counter() + 0.05
    periods = round(seconds * 1000 / ms)
    for period in range(periods):
        if period == periods // 2:
            print(json.dumps({"half": True}), flush=True)
        for offset, i, phase in order:
            due = began + period * ms / 1000 + offset
            while (left := due - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            voices[i].transport.write(sounds[i % len(sounds)][(period + phase) % length])
            lag.append(time.perf_counter() - due)
        await asyncio.sleep(0)
    return lag


async def main(port: int, sessions: int, seconds: float, ms: int) -> None:
    loop = asyncio.get_running_loop()
    sounds = [sound(i, ms) for i in range(min(VOICES, sessions))]
    late, needed = array("d"), array("d")
    voices: list[Voice] = []
    for start in range(0, sessions, _TOGETHER):
        some = range(start, min(sessions, start + _TOGETHER))
        opened = [loop.create_connection(lambda: Voice(port, late, needed), "127.0.0.1", port) for _ in some]
        new = [protocol for _, protocol in await asyncio.gather(*opened)]
        voices += new
        await asyncio.gather(*(voice.ready for voice in new))
    print(json.dumps({"ready": sum(not voice.closed for voice in voices)}), flush=True)
    cpu, wall = time.process_time(), time.perf_counter()
    lag = await speak(voices, sounds, seconds, ms)
    report = {
        "sent": len(lag),
        "clientLag": spread(lag),
        "clientCpu": round((time.process_time() - cpu) / (time.perf_counter() - wall), 3),
        "unsent": sum(voice.transport.get_write_buffer_size() for voice in voices),
        "chunks": sum(voice.chunks for voice in voices),
        "turns": sum(voice.turns for voice in voices),
        "heard": sum(voice.heard for voice in voices),
        "interrupted": sum(voice.interrupted for voice in voices),
        "silent": sum(not voice.chunks for voice in voices),
        "late": spread(late),
        "needed": spread(needed),
        "lost": [voice.closed for voice in voices if voice.closed][:5],
        "gone": sum(bool(voice.closed) for voice in voices),
    }
    print(json.dumps(report), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    for voice in voices:
        voice.transport.write(frame((1000).to_bytes(2, "big"), opcode=8))
    async with asyncio.timeout(20):
        await asyncio.gather(*(voice.gone for voice in voices))
    print(json.dumps({"closed": sum(voice.closed == "1000" for voice in voices)}), flush=True)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
