"""What the service keeps to in every session, whatever is said: the form of frames, where members stand, counts."""

import json
import re

from livews.conversation import Conversation
from tests.kit import talk
from tests.kit.names import VERTEX
from tests.kit.talk import Caller, Message

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def keeps_to_the_form(caller: Caller) -> None:
    """Assert of all that came to a client:

    - B1, B2, WIRE-1, WIRE-13: JSON with two spaces, one newline at the end, nothing but ASCII, below 1 MiB.
    - C1, SETUP-3: setupComplete is first, {} on the Gemini API, a sessionId that is a UUID on Vertex.
    - C3, WIRE-10: one part a message; generationComplete on its own; turnComplete with usageMetadata, without modelTurn.
    - C31, C3c, USAGE-1, USAGE-2: totals add up, in the words of the surface, and the details to what the profile says.
    - A reader finds no error in it.
    """
    vertex = caller.path == VERTEX
    wire = read_by(caller).profile["wire"]
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
            adds_up(message["usageMetadata"], "candidates" if vertex else "response", wire)
    for message in caller.messages[:1]:
        session = message["setupComplete"]
        assert re.fullmatch(UUID, session.pop("sessionId")) if vertex else True
        assert session == {}


def read_by(caller: Caller) -> Conversation:
    """A reader of all frames of a conversation, which finds no error in those of the stand-in."""
    vertex = caller.path == VERTEX
    reader = Conversation(surface="vertex" if vertex else "gemini", version="v1beta1" if vertex else "v1beta")
    for sender, raw in caller.exchanged:
        step = reader.step(sender, raw)
        assert sender == "client" or not step.faults, (raw, step.faults)
    return reader


def adds_up(usage: Message, response: str, wire: Message) -> None:
    """The counts of a message, which names those of the reply `response` or `candidates`; `wire` is the profile's."""
    counts = {name: usage.get(f"{name}TokenCount", 0) for name in ("prompt", response)}
    assert usage["totalTokenCount"] == sum(counts.values())
    for name, count in counts.items():
        unlisted = count - sum(row["tokenCount"] for row in usage.get(f"{name}TokensDetails", []))
        assert unlisted == 0 if not wire["promptUnlisted"] else unlisted >= 0
    thoughts = usage.get("thoughtsTokenCount", 0)
    assert thoughts >= wire["thoughtsTokens"] if counts[response] else not thoughts
    assert usage.keys() <= {
        "promptTokenCount", "totalTokenCount", "promptTokensDetails", f"{response}TokenCount",
        f"{response}TokensDetails", "thoughtsTokenCount",
    }  # fmt: skip
