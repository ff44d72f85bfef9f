"""What the user of any SDK has to see in each conversation with the stand-in.

- One function a conversation. It is given what a client's program wrote down; no client is named here.
- A turn is {kinds, pcm, peak, mimes, said, heard, calls, activity, prompt, total}: `kinds` in the order they came,
  repeats left out; `pcm` in bytes; `peak` the loudest sample; `said` and `heard` the transcripts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Seen = dict[str, Any]
CONVERSATIONS: dict[str, Callable[[Seen], None]] = {}
HEARD = "Good morning, can you hear me?"
"""What the server that cannot know words is told it heard."""


def _conversation(check: Callable[[Seen], None]) -> Callable[[Seen], None]:
    CONVERSATIONS[check.__name__] = check
    return check


@_conversation
def text(seen: Seen) -> None:
    first, second = seen["turns"]
    _spoken(first, '"Hello? Gemini, are you there?"')
    _spoken(second, '"What\'s your name?"')
    assert second["prompt"] > first["prompt"] > 0, "the second prompt holds the first turn, too"


@_conversation
def realtime_text(seen: Seen) -> None:
    (turn,) = seen["turns"]
    _spoken(turn, '"And now in real time"')


@_conversation
def speech(seen: Seen) -> None:
    """Automatic activity detection, on the server that was told the words."""
    (turn,) = seen["turns"]
    _spoken(turn)
    assert turn["heard"].strip() == HEARD
    assert turn["activity"] == ["ACTIVITY_START", "ACTIVITY_END"]
    assert turn["kinds"].index("activity") < turn["kinds"].index("audio")


@_conversation
def manual_speech(seen: Seen) -> None:
    """Activity marked by the client, on a server that knows only how long and how loud it was."""
    (turn,) = seen["turns"]
    _spoken(turn)
    for words in turn["said"], turn["heard"]:
        found = re.search(r"(\d+\.\d) s(?:econds)? of sound\D+-\d+ dBFS", words)
        assert found, words
        assert abs(float(found[1]) - seen["sent"]) < 0.06, "rounded to tenths"


@_conversation
def picture(seen: Seen) -> None:
    (turn,) = seen["turns"]
    _spoken(turn, "1 picture", "image/jpeg", "12 kB", "What do you see?")


@_conversation
def tool_that_does_not_block(seen: Seen) -> None:
    """gemini-3.8-live: the turn of the call is over before the answer is there."""
    _call(seen)
    assert seen["asking"]["kinds"][-3:] == ["toolCall", "generationComplete", "turnComplete"]
    assert "answered" not in seen["asking"]["said"]


@_conversation
def tool_that_blocks(seen: Seen) -> None:
    """gemini-2.5: the model waits for the answer."""
    _call(seen)
    assert seen["asking"]["kinds"][-1] == "toolCall"
    assert "turnComplete" not in seen["asking"]["kinds"]


@_conversation
def interruption(seen: Seen) -> None:
    cut, reply = seen["turns"]
    assert cut["pcm"] > 0 and "audio" in cut["kinds"]
    assert cut["kinds"][-2:] == ["interrupted", "turnComplete"]
    assert "interrupted" not in reply["kinds"]
    _spoken(reply, '"Stop, something else"')


@_conversation
def resumption(seen: Seen) -> None:
    fresh, resumed = seen["turns"]
    assert isinstance(seen["handle"], str) and len(seen["handle"]) > 8
    assert seen["resumable"] is True
    _spoken(fresh, '"Remember the number 7"')
    _spoken(resumed, '"Remember the number 7"')
    assert resumed["prompt"] > fresh["prompt"] > 0, "the same words, and the conversation before them"


@_conversation
def go_away(seen: Seen) -> None:
    """The warning, a turn that still gets its answer, then the close when the time is up."""
    assert re.fullmatch(r"\d+(\.\d+)?s", seen["timeLeft"])
    left = float(seen["timeLeft"].removesuffix("s"))
    assert 0 < left < 15
    assert seen["stayed"] > left / 2, "closed long before the time it gave"
    _spoken(seen["turns"][0], '"Are you still there?"')
    assert seen["code"] == 1008
    assert "GoAway" in seen["reason"]


@_conversation
def ephemeral_token(seen: Seen) -> None:
    assert re.fullmatch(r"auth_tokens/\S+", seen["token"])
    (turn,) = seen["turns"]
    _spoken(turn, '"Hello with a token"')


@_conversation
def refused_setup(seen: Seen) -> None:
    assert seen["code"] == 1007
    assert seen["reason"].startswith(
        "The requested combination of response modalities (TEXT) is not supported by the model"
    )


def _spoken(turn: Seen, *words: str) -> None:
    """A whole reply: sound that is not silence, its words, its end, its count."""
    assert turn["kinds"][-1] == "turnComplete"
    assert "audio" in turn["kinds"] and "generationComplete" in turn["kinds"]
    assert turn["mimes"] == ["audio/pcm;rate=24000"]
    assert turn["pcm"] > 24_000 * 2 and turn["pcm"] % 2 == 0, "over a second of whole samples"
    assert turn["peak"] > 1000
    for wanted in ("livews stand-in:", *words):
        assert wanted in turn["said"]
    assert turn["total"] > turn["prompt"] > 0


def _call(seen: Seen) -> None:
    (call,) = seen["asking"]["calls"]
    assert call["name"] == "get_weather"
    assert call["id"]
    assert call["args"] == {"city": "Paris"}
    (reply,) = seen["turns"]
    _spoken(reply, "get_weather", "temperature", "21")
    assert not reply["calls"]
