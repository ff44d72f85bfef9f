"""A received frame to PCM, without a socket.

- livews: the step of a conversation and its events, as its client has them. google-genai: its own `_receive()` and
  then `.data`, as its documentation has it. The limit: the validating SIMD decoder on the base64 alone.
- No two frames in a row are the same; all ways must give the PCM that was put in.
"""

from __future__ import annotations

import pybase64

from livews.conversation import Conversation
from livews.core.events import Audio, events
from tests.bench import frames, peer
from tests.bench.rounds import Effort, Way, cpu_costs
from tests.bench.rows import Row, Target

CHEAPER = Target("at least", 10, "times cheaper")
NEAR_LIMIT = Target("at most", 4, "times the decode")


def measure(effort: Effort) -> list[Row]:
    return [row for size in frames.SIZES for row in _of_size(size, effort)]


def _of_size(size: int, effort: Effort) -> list[Row]:
    received = frames.audio_frames(size)
    spans = [frames.span(frame, size) for frame in received]
    conversation = speaking()

    def with_livews(times: int) -> None:
        step = conversation.step
        for _ in range(times):
            for frame in received:
                for event in events(step("server", frame)):
                    event.pcm  # type: ignore[attr-defined]  # noqa: B018

    def with_nothing(times: int) -> None:
        decode = pybase64.b64decode
        for _ in range(times):
            for span in spans:
                decode(span, validate=True)

    ways: dict[str, Way] = {"livews": with_livews, "limit": with_nothing}
    wanted = frames.chunks(size)
    heard = [event for frame in received for event in events(conversation.step("server", frame))]
    found = [event.pcm for event in heard if isinstance(event, Audio)]
    _same(wanted, found, "livews")
    _same(wanted, [pybase64.b64decode(span, validate=True) for span in spans], "the bare decode")

    if peer.installed():
        session = peer.session(peer.Socket(received))

        async def receive(count: int) -> list[bytes]:
            return [(await session._receive()).data for _ in range(count)]

        async def receive_and_drop(count: int) -> None:
            for _ in range(count):
                (await session._receive()).data  # noqa: B018

        _same(wanted, peer.run(receive(len(wanted))), peer.NAME)
        ways["peer"] = lambda times: peer.run(receive_and_drop(times * len(received)))

    costs = {name: [cost / len(received) for cost in found] for name, found in cpu_costs(ways, effort).items()}
    title, alone = f"frame to PCM, {size:,} B", f"the same, and base64 alone, {size:,} B"
    near = NEAR_LIMIT if size == max(frames.SIZES) else None  # in a small frame Python itself is the cost
    return [
        Row(title, "peer", "us", costs["livews"], peer.NAME, costs.get("peer"), CHEAPER),
        Row(alone, "limit", "us", costs["livews"], "pybase64", costs["limit"], near),
    ]


def speaking() -> Conversation:
    """A conversation in which the model was asked something."""
    conversation = Conversation(surface="gemini", version="v1beta")
    conversation.step_message("client", {"setup": {"model": "models/gemini-3.8-live"}})
    conversation.step("server", frames.SETUP_COMPLETE)
    conversation.step_message("client", frames.PROMPT)
    return conversation


def _same(wanted: list[bytes], found: list[bytes], who: str) -> None:
    if wanted != found:
        raise RuntimeError(f"{who} did not give the sound that was sent")
