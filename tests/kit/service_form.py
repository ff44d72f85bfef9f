"""What the service keeps to in every session, whatever is said: the form of frames, where members stand, counts."""

import json
import re

from livews.core.conversation import Conversation
from tests.kit import talk
from tests.kit.names import VERTEX
from tests.kit.talk import Caller, Message

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def keeps_to_the_form(caller: Caller) -> None:
    """Assert of all that came to a client:

    - B1, B2, WIRE-1, WIRE-13: JSON with two spaces, one newline at the end, nothing but ASCII, below 1 MiB.
    - C1, SETUP-3: setupComplete is first, {} on the Gemini API, a sessionId that is a UUID on Vertex.
    - C3, WIRE-10: one part a message; generationComplete on its own; turnComplete with usageMetadata, without modelTurn.
    - C31, USAGE-1: counts add up, in the words of the surface.
    - A reader finds no error in it.
    """
    vertex = caller.path == VERTEX
    for frame, message in zip(caller.frames, caller.messages, strict=True):
        assert frame.isascii() and len(frame) < 1 << 20
        assert frame == json.dumps(message, indent=2).encode() + b"\n"
        assert len(talk.parts([message])) <= 1
        inside = message.get("serverContent", {})
        if "generationComplete" in inside:
            assert message == {"serverContent": {"generationComplete": True}}
        if "turnComplete" in inside:
            assert message.keys() <= {"serverContent", "usageMetadata"}
            assert inside.keys() <= {"turnComplete", "groundingMetadata", "interactionStatus"}
        if message.get("usageMetadata"):
            adds_up(message["usageMetadata"], "candidates" if vertex else "response")
    for message in caller.messages[:1]:
        session = message["setupComplete"]
        assert re.fullmatch(UUID, session.pop("sessionId")) if vertex else True
        assert session == {}
    read_by(caller)


def read_by(caller: Caller) -> Conversation:
    """A reader of all frames of a conversation, which finds no error in those of the stand-in."""
    vertex = caller.path == VERTEX
    reader = Conversation(surface="vertex" if vertex else "gemini", version="v1beta1" if vertex else "v1beta")
    for sender, raw in caller.exchanged:
        step = reader.step(sender, raw)
        assert sender == "client" or not step.faults, (raw, step.faults)
    return reader


def adds_up(usage: Message, response: str) -> None:
    """The counts of a message, which names those of the reply `response` or `candidates`."""
    given = f"{response}TokenCount"
    assert usage["totalTokenCount"] == usage.get("promptTokenCount", 0) + usage.get(given, 0)
    for name in ("prompt", response):
        details = usage.get(f"{name}TokensDetails", [])
        assert sum(row["tokenCount"] for row in details) == usage.get(f"{name}TokenCount", 0)
    assert usage.keys() <= {
        "promptTokenCount",
        "totalTokenCount",
        "promptTokensDetails",
        given,
        f"{response}TokensDetails",
    }
