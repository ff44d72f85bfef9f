"""Traces written by hand, whose figures are known, and the tools run on them."""

import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path

from livews.core import codec
from tests.kit import traces
from tests.kit.names import DATA
from tests.kit.traces import Row, asked, control, got, sent, transcript

BARGE_IN, TOOL = DATA / "barge_in.jsonl", DATA / "tool.jsonl"


class Done:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Run = Callable[..., Done]


def piped(*words: str, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "livews", "trace", *words]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=30)


# Traces made by hand, so that their figures are known


def voice(t: float, pcm: bytes, rate: int = 24000) -> Row:
    blob = {"mimeType": f"audio/pcm;rate={rate}", "data": codec.encode_base64(pcm)}
    return got(t, {"serverContent": {"modelTurn": {"parts": [{"inlineData": blob}]}}})


def microphone(t: float, pcm: bytes, rate: int = 16000) -> Row:
    blob = {"mimeType": f"audio/pcm;rate={rate}", "data": codec.encode_base64(pcm)}
    return sent(t, {"realtimeInput": {"audio": blob}})


def over(t: float) -> Row:
    usage = {
        "promptTokenCount": 10, "responseTokenCount": 25, "totalTokenCount": 35,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}],
    }  # fmt: skip
    return got(t, {"serverContent": {"turnComplete": True}, "usageMetadata": usage})


HEAD: Row = {
    "trace": "livews", "version": 1, "started": "2026-11-22T12:00:00.000000Z",
    "url": "wss://example.com/ws/x.GenerativeService.BidiGenerateContent", "side": "client", "livews": "0.1.0",
    "protocol": "2026-11-22",
}  # fmt: skip
READY = [
    sent(0.0, {"setup": {"model": "models/gemini-3.8-live", "outputAudioTranscription": {}}}),
    got(0.1, {"setupComplete": {}}),
]


def tone(seconds: float, rate: int = 24000, level: int = 5000) -> bytes:
    return array("h", [level] * int(seconds * rate)).tobytes()


def write(path: Path, *rows: Row, head: Row = HEAD) -> Path:
    return traces.write(path, head, *rows)


def talk() -> list[Row]:
    """Two turns: one answered in full, one that a text cuts off after 0.5 s were heard."""
    return [
        *READY,
        asked(1.0, "Hello"),
        transcript(1.2, "Good "),
        voice(1.25, bytes(4800)),  # 100 ms of silence
        voice(1.4, tone(0.9)),
        transcript(1.45, "day."),
        got(1.5, {"serverContent": {"generationComplete": True}}),
        over(2.3),
        asked(3.0, "And now?"),
        transcript(3.1, "A long story. "),
        voice(3.2, tone(1.0)),
        transcript(3.3, "It never ends."),
        voice(3.45, tone(1.0)),
        sent(3.7, {"realtimeInput": {"text": "stop"}}),
        got(3.72, {"serverContent": {"interrupted": True}}),
        voice(3.73, tone(0.2)),
        over(3.74),
        control(3.8, "recv", "heard", receivedMs=2000, heardMs=480.0, interrupted=True, underruns=2, underrunMs=30.0),
        control(4.0, "send", "close", code=1000),
        control(4.1, "recv", "close", code=1000, reason=""),
    ]
