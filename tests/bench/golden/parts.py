"""What the cases are made of: frames, steps of the scripted peers, sound, pictures, traces."""

from __future__ import annotations

import json
import struct
import wave
import zlib
from base64 import b64encode
from io import BytesIO
from typing import Any

from tests.bench.golden.sockets import Step

Message = dict[str, Any]


def tone(seconds: float, rate: int = 16_000) -> bytes:
    """A triangle wave of 440 Hz, s16le mono; in whole numbers, to be the same on every machine."""
    out = b""
    for i in range(int(seconds * rate)):
        at = 4 * 440 * i % (4 * rate)
        height = at if at < rate else 2 * rate - at if at < 3 * rate else at - 4 * rate
        out += struct.pack("<h", 12_000 * height // rate)
    return out


def silence(seconds: float, rate: int = 16_000) -> bytes:
    return bytes(2 * int(seconds * rate))


def wav(pcm: bytes, rate: int = 16_000) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    return file.getvalue()


def png() -> bytes:
    """A picture of one red pixel."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(b"\0\xff\0\0", 0),  # stored: the same bytes with every zlib
        b"IEND": b"",
    }
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks.items():
        out += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return out


# Messages of the service


def content(**members: Any) -> Message:
    return {"serverContent": members}


def said(text: str) -> Message:
    return content(outputTranscription={"text": text})


def parts(*members: Message) -> Message:
    return content(modelTurn={"parts": list(members)})


def blob(pcm: bytes, mime_type: str) -> Message:
    return {"mimeType": mime_type, "data": b64encode(pcm).decode()}


def audio(pcm: bytes, mime_type: str = "audio/pcm;rate=24000") -> Message:
    return parts({"inlineData": blob(pcm, mime_type)})


def call(call_id: str, name: str, **args: Any) -> Message:
    return {"toolCall": {"functionCalls": [{"name": name, "args": args, "id": call_id}]}}


USAGE = {
    "promptTokenCount": 8,
    "responseTokenCount": 12,
    "totalTokenCount": 25,
    "thoughtsTokenCount": 5,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}],
    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 12}],
}
READY: Message = {"setupComplete": {}}
GENERATED = content(generationComplete=True)
END = content(turnComplete=True)
END_WITH_USAGE = {**END, "usageMetadata": USAGE}
VOICE = tone(0.02, 24_000)
REPLY = [said("Hello "), audio(VOICE), said("there."), audio(VOICE[:96]), GENERATED, END]


# Messages of a client

VERTEX = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"


def setup(model: str, *, vertex: bool = False, **members: Any) -> Message:
    prefix = "projects/p/locations/us-central1/publishers/google/models/" if vertex else "models/"
    least = {
        "model": prefix + model,
        "generationConfig": {"responseModalities": ["AUDIO"]},
        "outputAudioTranscription": {},
    }
    return {"setup": {**least, **members}}


def ask(words: str) -> Message:
    return {"clientContent": {"turns": [{"role": "user", "parts": [{"text": words}]}], "turnComplete": True}}


def speak(pcm: bytes, rate: int = 16_000) -> list[Message]:
    """Sound in frames of 100 ms."""
    size = rate // 10 * 2
    pieces = [pcm[at : at + size] for at in range(0, len(pcm), size)]
    return [{"realtimeInput": {"audio": blob(piece, f"audio/pcm;rate={rate}")}} for piece in pieces]


def answer(call_id: str, name: str, **response: Any) -> Message:
    return {"toolResponse": {"functionResponses": [{"id": call_id, "name": name, "response": response}]}}


# Steps. A message stands for sending it; see sockets.py for the others


def steps(*items: Message | Step | list[Message]) -> list[Step]:
    out: list[Step] = []
    for item in items:
        rows = item if isinstance(item, list) else [item]
        out += [("send", row) if isinstance(row, dict) else row for row in rows]
    return out


SETUP: Step = ("expect", "setup")
ASKED: Step = ("expect", "clientContent")
ANSWERED: Step = ("expect", "toolResponse")
TURN = steps(SETUP, READY, ASKED, REPLY)
SET_UP: Step = ("until", "setupComplete")
DONE: Step = ("until", "turnComplete")
CLOSED: Step = ("closed",)
BYE: Step = ("close", 1000)


def scenario_client(scenario: Message) -> list[Step]:
    """What a client does that keeps to a scenario."""
    out: list[Step] = []
    for step in scenario["steps"]:
        if "client" in step:
            out.append(("send", step["client"]))
        elif "server" in step:
            out.append(("read",))
        elif "close" in step:
            out.append(CLOSED)
    return [*out, BYE]


# Traces, with times that are always the same


def line(t: float, sender: str, message: Any, **more: Any) -> Message:
    head = {
        "t": t,
        "dir": "send" if sender == "client" else "recv",
        "opcode": "text",
        "size": len(json.dumps(message)),
    }
    return {**head, **more, "message": message}


def trace(*lines: Message) -> str:
    head = {"trace": "livews", "version": 1, "started": "2026-01-02T03:04:05.000000Z", "url": "ws://host/ws"}
    head |= {"side": "client", "livews": "0.1.0", "protocol": "2026-11-22"}
    return "".join(json.dumps(row) + "\n" for row in [head, *lines])


def faulty_trace() -> str:
    """Two sessions: one with a fault, an interruption, signals and a close; one that was refused."""
    refused = "models/gemini-2.0-flash-exp is not found for API version v1beta, or is not supported for bidiGenerateContent."
    heard = {"receivedMs": 20.0, "heardMs": 10.0, "interrupted": True, "underruns": 0, "underrunMs": 0.0, "late": 0}
    return trace(
        line(0.1, "client", setup("test", sessionResumption={"handle": "secret-handle"})),
        line(0.2, "server", READY),
        line(0.3, "client", ask("my secret")),
        line(0.5, "server", REPLY[0]),
        line(0.6, "server", REPLY[1]),
        {"t": 0.7, "dir": "send", "ping": {}},
        {"t": 0.8, "dir": "recv", "pong": {"seconds": 0.1}},
        line(0.85, "client", {"realtimeInput": {"txt": "no"}}),
        line(0.9, "server", content(interrupted=True)),
        line(0.95, "server", REPLY[1]),
        line(1.0, "server", {"later": {}}),
        line(1.1, "server", END),
        line(1.2, "client", ask("again"), inserted=True),
        {"t": 1.3, "dir": "recv", "opcode": "binary", "size": 2, "raw": "/wA="},
        line(1.4, "server", {"sessionResumptionUpdate": {"newHandle": "secret-handle", "resumable": True}}),
        line(1.45, "server", REPLY[0]),
        {"t": 1.5, "dir": "recv", "heard": heard},
        {"t": 2.0, "dir": "recv", "close": {"code": 1011, "reason": "Internal error encountered."}},
    ) + trace(
        line(0.1, "client", setup("gemini-2.0-flash-exp", tols=[])),
        {"t": 0.2, "dir": "recv", "close": {"code": 1008, "reason": refused}},
    )


def spoken_trace() -> str:
    """A spoken turn, its answer, and a second turn that interrupts it."""
    rows: list[Message] = [line(0.1, "client", setup("gemini-3.8-live")), line(0.2, "server", READY)]

    def talk(start: float) -> None:
        pcm = tone(0.5, 24_000) + silence(0.8, 24_000)  # the model's rate: a mix needs no optional package
        rows.extend(line(round(start + i / 10, 3), "client", one) for i, one in enumerate(speak(pcm, 24_000)))

    def reply(start: float, count: int) -> None:
        pcm = silence(0.04, 24_000) + tone(0.2, 24_000)
        rows.append(line(start, "server", said("An answer ")))
        rows.extend(line(round(start + i / 20, 3), "server", audio(pcm)) for i in range(1, count))

    talk(0.3)
    rows.append(line(1.65, "server", content(inputTranscription={"text": "a question"})))
    reply(1.7, 6)
    talk(2.0)
    rows += [line(2.3, "server", content(interrupted=True)), line(2.35, "server", END_WITH_USAGE)]
    reply(3.4, 3)
    rows += [line(3.7, "server", GENERATED), line(4.0, "server", END_WITH_USAGE)]
    rows.append({"t": 4.1, "dir": "send", "close": {"code": 1000, "reason": ""}})
    return trace(*sorted(rows, key=lambda row: row["t"]))
