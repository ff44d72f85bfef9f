"""The states of a session in which a fault comes: what the client does, and what the server says around the fault."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from tests.faults.server import Step, message
from tests.kit.sound import noise

FAULT = ("fault",)


def content(**members: Any) -> bytes:
    return message({"serverContent": members})


def inline(data: str, mime_type: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


def audio(mime_type: str = "audio/pcm;rate=24000", seconds: float = 0.1) -> bytes:
    data = base64.b64encode(noise(0.1, rate=24_000) * round(seconds / 0.1)).decode()
    return content(modelTurn={"parts": [inline(data, mime_type)]})


def call(name: str, **args: Any) -> bytes:
    return message({"toolCall": {"functionCalls": [{"id": "call_1", "name": name, "args": args}]}})


READY = message({"setupComplete": {}})
INPUT = ("text", "clientContent")
COMPLETE = content(turnComplete=True)
END = content(generationComplete=True) + COMPLETE
TURN = audio() + content(outputTranscription={"text": "All is well."}) + END
BEGIN: tuple[Step, ...] = (("setup",), READY)


@dataclass(frozen=True)
class State:
    """One column of the table.

    Attributes:
        script: of the server; `FAULT` is where the fault comes.
        says: the client says a turn of text.
        tool: the client has a function, `slow`.
        speaks: the client streams a spoken turn.
    """

    script: tuple[Step, ...]
    says: bool = True
    tool: bool = False
    speaks: bool = False


STATES: dict[str, State] = {
    "setup sent": State((("setup",), FAULT, READY)),
    "idle": State((*BEGIN, 0.2, FAULT), says=False),
    "generating": State((*BEGIN, INPUT, content(outputTranscription={"text": "Well, "}), FAULT, TURN)),
    "speaking": State((*BEGIN, INPUT, audio(), FAULT, TURN)),
    "interrupted": State((*BEGIN, INPUT, audio(), content(interrupted=True), FAULT, COMPLETE)),
    "tool open": State((*BEGIN, INPUT, call("slow"), FAULT, ("toolResponse",), TURN), tool=True),
    "speaking in": State((*BEGIN, ("audio",), FAULT, ("quiet", "0.5"), TURN), says=False, speaks=True),
    "closing": State((*BEGIN, INPUT, TURN, ("close",), FAULT)),
}
