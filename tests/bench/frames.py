"""The frames of all measurements, as the service writes them."""

from __future__ import annotations

import random

import pybase64

from livews.core import codec
from livews.server import service_format

SIZES = (1_920, 11_520)
"""PCM bytes of a reply's chunk: 40 and 240 ms at 24 kHz."""
MICROPHONE_SIZES = (640, 3_200)
"""PCM bytes of a microphone's chunk: 20 and 100 ms at 16 kHz."""
MIME_TYPE = "audio/pcm;rate=24000"
DIFFERENT = 32
"""How many different chunks are used in turn: no way may remember the one before."""

SETUP_COMPLETE = service_format.dump_as_service({"setupComplete": {}})
GENERATION_COMPLETE = service_format.dump_as_service({"serverContent": {"generationComplete": True}})
TURN_COMPLETE = service_format.dump_as_service({"serverContent": {"turnComplete": True}})
PROMPT = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "hi"}]}], "turnComplete": True}}


def chunks(size: int) -> list[bytes]:
    """Different chunks of noise, the same ones in every process."""
    source = random.Random(size)
    return [source.randbytes(size) for _ in range(DIFFERENT)]


def audio_frames(size: int) -> list[bytes]:
    """serverContent frames with those chunks, pretty-printed and ASCII as the service's are."""
    return [service_format.audio_as_service(codec.encode_base64(pcm), MIME_TYPE) for pcm in chunks(size)]


def span(frame: bytes, size: int) -> memoryview:
    """The base64 of a frame that holds `size` PCM bytes."""
    head = frame.index(b'"data": "') + len(b'"data": "')
    return memoryview(frame)[head : head + len(pybase64.b64encode(bytes(size)))]
