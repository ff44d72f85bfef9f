"""A microphone's PCM to a frame ready to send, without a socket.

- google-genai: its own `send_realtime_input` with a Blob, as its documentation has it, to what it hands the socket.
- livews: `wire.audio_frame`; and, not judged, all of `Session.send_audio`, which checks the frame before sending.
"""

from __future__ import annotations

import json
from typing import Any

import pybase64

from livews import endpoint
from livews.client import Session
from livews.core import codec
from tests.bench import frames, peer
from tests.bench.decode import speaking
from tests.bench.rounds import Effort, Way, cpu_costs
from tests.bench.rows import Row, Target

CHEAPER = Target("at least", 20, "times cheaper")
MIME_TYPE = "audio/pcm;rate=16000"


def measure(effort: Effort) -> list[Row]:
    return [row for size in frames.MICROPHONE_SIZES for row in _of_size(size, effort)]


def _of_size(size: int, effort: Effort) -> list[Row]:
    spoken = frames.chunks(size)

    def frame_alone(times: int) -> None:
        audio_frame = codec.audio_frame
        for _ in range(times):
            for pcm in spoken:
                audio_frame(pcm)

    session, socket = _session()

    async def send(times: int) -> None:
        for _ in range(times):
            for pcm in spoken:
                await session.send_audio(pcm)

    ways: dict[str, Way] = {"frame": frame_alone, "send": lambda times: peer.run(send(times))}
    for pcm in spoken:
        _same(pcm, codec.audio_frame(pcm), "livews")
    ways["send"](1)
    _same(spoken[-1], socket.sent, "livews")

    if peer.installed():
        from google.genai import types

        their_socket = peer.Socket([])
        theirs = peer.session(their_socket)

        async def send_theirs(times: int) -> None:
            for _ in range(times):
                for pcm in spoken:
                    await theirs.send_realtime_input(audio=types.Blob(data=pcm, mime_type=MIME_TYPE))

        ways["peer"] = lambda times: peer.run(send_theirs(times))
        ways["peer"](1)
        _same(spoken[-1], their_socket.sent, peer.NAME)

    costs = {name: [cost / len(spoken) for cost in found] for name, found in cpu_costs(ways, effort).items()}
    against = costs.get("peer")
    return [
        Row(f"microphone to frame, {size:,} B", "peer", "us", costs["frame"], peer.NAME, against, CHEAPER),
        Row(f"the same, checked: send_audio, {size:,} B", "peer", "us", costs["send"], peer.NAME, against),
    ]


def _session() -> tuple[Session, peer.Socket]:
    """A session in the middle of a conversation, beside a socket that is none."""
    where = endpoint.resolve(endpoint.Settings(url="ws://127.0.0.1:1"), "gemini-3.8-live")
    session, socket = Session(where, [], unchecked=False, remarks=[]), peer.Socket([])
    session.connection.conversation = speaking()
    session.connection.transport.socket = socket  # type: ignore[assignment]
    return session, socket


def _same(pcm: bytes, sent: str | bytes, who: str) -> None:
    message: dict[str, Any] = json.loads(sent)
    blob: dict[str, str] = (message.get("realtimeInput") or message["realtime_input"])["audio"]
    data = pybase64.b64decode(blob["data"], altchars=b"-_" if set("-_") & set(blob["data"]) else None, validate=True)
    if data != pcm or (blob.get("mimeType") or blob.get("mime_type")) != MIME_TYPE:
        raise RuntimeError(f"{who} did not put the microphone's sound into its frame")
