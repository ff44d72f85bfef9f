"""The order of things: what a turn looks like on the wire, model by model, frame by frame.

A docstring names the rule, or the row of the collected facts (B and C numbers), the expectation comes from.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from livews.core import wire
from livews.core.conversation import Conversation
from livews.kit import voice
from tests.standin.talk import (
    GEMINI,
    PACE,
    VERTEX,
    Caller,
    Message,
    answer,
    blobs,
    brief,
    brief_all,
    calls,
    content,
    functions,
    heard,
    parts,
    run,
    sound_of,
    text,
    usages,
    utterance,
    words,
)

WORDS = "one two three four five six"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HELLO = content("Hello")
REPLY = 'This is the livews stand-in, not Gemini. I heard "{}".'


@dataclass
class Kind:
    """One profile: how its turns look, as `brief_all` has it. "..." stands for `said` and `audio` by turns."""

    model: str
    asked: list[str]
    """After text."""
    spoken: list[str]
    """After a voice."""
    cut: list[str]
    """From where the user's voice is heard in a running reply to the turn's end."""
    path: str = GEMINI
    setup: Message = field(default_factory=dict)
    mime_type: str = "audio/pcm;rate=24000"
    role: str | None = None
    chunk_ms: int = 240
    whole: bool = False
    """The user's transcript is one message."""
    response: str = "response"
    handles: bool = False
    """A handle follows each turn."""

    def about(self, **members: Any) -> Message:
        return {"model": self.model, "inputAudioTranscription": {}, "outputAudioTranscription": {}, **self.setup,
                **members}  # fmt: skip


_SPEAKS = ["...", "generationComplete", "turnComplete+usage"]
_FIRST = ["said:open", "said", "said:finished", "audio", "generationComplete", "turnComplete+grounding+usage"]
_BUNDLE = ["audio+said", "audio", "generationComplete"]
_THINKS = ["...", "generationComplete", "turnComplete+IN_PROGRESS+usage", "...", "generationComplete",
           "turnComplete+usage", "IDLE"]  # fmt: skip
_CUT = ["interrupted", "turnComplete+usage"]
KINDS = {
    "2.5 native": Kind(
        "models/gemini-2.5-flash-native-audio-latest", _SPEAKS, ["heard", *_SPEAKS], _CUT,
    ),
    "3.1": Kind(
        "models/gemini-3.1-flash-live-preview",
        ["empty", *_BUNDLE, "turnComplete+usage", "handle"],
        ["empty", "heard", "empty", "empty+usage", *_BUNDLE, "turnComplete+usage:open", "handle"],
        ["empty", "interrupted", "turnComplete+usage:open", "handle"],
        whole=True, handles=True,
    ),
    "3.8": Kind(
        "models/gemini-3.8-live",
        _SPEAKS,
        ["empty+activityStart", "empty+activityEnd", "heard", *_SPEAKS],
        ["empty+activityStart", *_CUT],
        whole=True,
    ),
    "3.8 extended thinking": Kind(
        "models/gemini-3.8-live-extended-thinking",
        _THINKS,
        ["empty+activityStart", "empty+activityEnd", "heard", *_THINKS],
        ["empty+activityStart", "interrupted", "turnComplete+IDLE+usage"],
        whole=True,
    ),
    "3.5 translate": Kind(
        "models/gemini-3.5-live-translate-preview",
        [],
        ["heard", "...", "generationComplete", "turnComplete"],
        ["interrupted", "turnComplete"],
        chunk_ms=250,
    ),
    "3.5 transcribe": Kind(
        "models/gemini-3.5-transcribe-live",
        [],
        ["empty+activityStart", "interim", "heard", "generationComplete", "empty+activityEnd"],
        [],
        setup={"generationConfig": {"responseModalities": ["TEXT"]}},
        whole=True,
    ),
    "Vertex half cascade": Kind(
        "publishers/google/models/gemini-live-2.5-flash", _FIRST, ["heard", *_FIRST],
        ["interrupted", "turnComplete+grounding+usage"],
        path=VERTEX, mime_type="audio/pcm", role="model", chunk_ms=200, response="candidates",
    ),
    "Vertex native": Kind(
        "projects/p/locations/l/publishers/google/models/gemini-live-2.5-flash-native-audio", _SPEAKS,
        ["heard", *_SPEAKS], _CUT,
        path=VERTEX, role="model", response="candidates",
    ),
    "retired half cascade": Kind(
        "models/gemini-live-2.5-flash-preview", _SPEAKS, ["heard", *_SPEAKS], _CUT,
    ),
}  # fmt: skip
SPEAK = [name for name, kind in KINDS.items() if kind.cut]
TAKE_TEXT = [name for name, kind in KINDS.items() if kind.asked]


def seen(messages: list[Message]) -> list[str]:
    """`brief_all` with a run of `said` and `audio` as "...", and without the handle that comes by the clock."""
    found: list[str] = []
    for word in brief_all(messages, leave=("usage",)):
        spoken = word in ("said", "audio")
        if spoken and found and found[-1] == "...":
            continue
        interleaved = spoken and (found[-1:] != ["said:open"]) and found[-1:] != ["said:finished"]
        found.append("..." if interleaved and found[-1:] != ["audio+said"] else word)
    return found


def ask(kind: Kind, *what: Any, pause: float = 0.3, **changes: Any) -> list[list[Message]]:
    """What comes after each of these, in one session: a message, or sound."""

    async def use(caller: Caller) -> list[list[Message]]:
        await caller.rest(0.05)
        got = []
        for one in what:
            if isinstance(one, bytes):
                await caller.speak(one)
            else:
                await caller.say(one)
            got.append(await caller.rest(pause))
        return got

    return run(use, kind.about(), path=kind.path, heard=[WORDS], **changes)


@pytest.mark.parametrize("name", KINDS)
def test_the_first_message_is_setup_complete(name: str) -> None:
    """C1, SETUP-3: {} on the Gemini API, a sessionId that is a UUID on Vertex; B2: 26 and 85 bytes."""

    async def use(caller: Caller) -> bytes:
        return caller.frames[0]

    kind = KINDS[name]
    frame = run(use, kind.about(), path=kind.path)
    if kind.path == GEMINI:
        assert frame == b'{\n  "setupComplete": {}\n}\n'
    else:
        (session_id,) = json.loads(frame)["setupComplete"].values()
        assert UUID.fullmatch(session_id)
        assert frame == b'{\n  "setupComplete": {\n    "sessionId": "%s"\n  }\n}\n' % session_id.encode()


@pytest.mark.parametrize("name", KINDS)
def test_a_turn_asked_for_by_text(name: str) -> None:
    """C3, C4, C6, TURN-2: the order of a reply. TURN-6: the speech models say nothing to text."""
    kind = KINDS[name]
    (got,) = ask(kind, HELLO)
    assert seen(got) == kind.asked
    if kind.asked:
        assert words(got).endswith(REPLY.format("Hello"))


@pytest.mark.parametrize("name", KINDS)
def test_a_turn_asked_for_by_voice(name: str) -> None:
    """C3, C4b, C5, C6: the user's transcript and what the ear noticed come ahead of the reply."""
    kind = KINDS[name]
    (got,) = ask(kind, utterance())
    assert seen(got) == kind.spoken
    assert heard(got) == WORDS
    pieces = [one for one in got if "heard" in brief(one)]
    assert (len(pieces) == 1) == kind.whole


def test_the_final_transcript_comes_before_the_end_of_the_activity() -> None:
    """T0 of C5: inputTranscription, generationComplete, ACTIVITY_END, each a message, on the transcribe model."""
    (got,) = ask(KINDS["3.5 transcribe"], utterance())
    assert [brief(one) for one in got[-3:]] == [["heard"], ["generationComplete"], ["empty", "activityEnd"]]


@pytest.mark.parametrize("name", SPEAK)
def test_a_voice_cuts_the_reply(name: str) -> None:
    """C8, C4b, TURN-4: interrupted, and turnComplete right behind it, each a message of its own."""
    kind = KINDS[name]

    async def use(caller: Caller) -> list[Message]:
        await caller.speak(utterance(0.4))
        await caller.until("audio")
        await caller.speak(utterance(0.6, 0))
        got = await caller.until("turnComplete")
        return got + await caller.rest(0.1)

    got = run(use, kind.about(), path=kind.path, pace=0.3)
    # it begins where the voice is noticed or, where nothing announces it, with the cut
    begins = [one.get("serverContent") in ({}, {"interrupted": True}) for one in got].index(True)
    assert seen(got[begins:]) == kind.cut
