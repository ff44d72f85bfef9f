"""Sessions of the stand-in against recorded ones: the same messages with the same members, in the same order.

- `wire_shapes.json` holds what was recorded as shapes of messages, so that no recording is needed here.
- With LIVEWS_SAMPLES the recorded messages themselves have to be among the stand-in's, in their order.
"""

import json
import os
import re
from typing import Any

import pytest

from tests.core.test_samples import samples
from tests.kit import sound, talk
from tests.kit.names import DATA, GEMINI, VERTEX
from tests.kit.service_form import keeps_to_the_form
from tests.kit.talk import Caller, Message

_FILE = json.loads((DATA / "wire_shapes.json").read_text())
_NAMES: dict[str, str] = {shape: name for name, shape in _FILE["shapes"].items()}
_SPELT = ("type", "mimeType")
"""Members whose value belongs to the shape."""
_STORY = " and then another one" * 12


def shape(value: Any, name: str = "") -> str:
    """The members of a message in their order, as wire_shapes.json has them."""
    if name in ("args", "response"):  # the application's
        return name
    if name == "usageMetadata":
        sides = [side for side in ("prompt", "response", "candidates", "thoughts") if f"{side}TokenCount" in value]
        return f"{name}({' '.join(sides)})"
    if isinstance(value, list):
        return shape(value[0], name) if value else f"{name}()"
    if isinstance(value, dict):
        inside = " ".join(shape(child, key) for key, child in value.items())
        return f"{name}({inside})" if name else inside
    return f"{name}={value}" if name in _SPELT else name


@pytest.mark.parametrize("session", [pytest.param(one, id=one["id"]) for one in _FILE["sessions"]])
async def test_the_stand_in_sends_what_was_recorded(session: dict[str, Any]) -> None:
    """B5, B13b, B14, C3b, C3c, C4, C4b, C5, C6, C8."""
    setup: Message = {"inputAudioTranscription": {}, "outputAudioTranscription": {}} | session.get("setup", {})
    setup = {name: value for name, value in setup.items() if value is not None} | {"model": session["model"]}
    if "call" in session["say"]:
        setup["tools"] = talk.functions("look_up")
    path = GEMINI if session["model"].startswith("models/") else VERTEX
    pace = 0.25 if "cut" in session["say"] else talk.PACE
    settings: dict[str, Any] = {"pace": pace, "heard": ["one two three four five six"], "lenient": True}
    async with talk.connected(setup, path=path, **settings) as caller:
        await caller.settle()
        for said in session["say"]:
            await _say(caller, said)
        await caller.until(lambda message: session["until"] in json.dumps(message))
    names = [_NAMES[shape(message)] for message in caller.messages]
    assert re.fullmatch(session["order"], " ".join(names)), names
    if "TEXT" not in json.dumps(setup):
        keeps_to_the_form(caller)
    _has_the_samples(names, session)


async def _say(caller: Caller, what: str) -> None:
    if what == "voice":
        await caller.speak(sound.utterance(1.0))
    elif what == "text":
        await caller.say(talk.content("Say a short greeting"))
    elif what == "call":
        await caller.say(talk.content("Please look_up"))
    elif what == "answer":
        (call,) = talk.calls(await caller.until("toolCall"))
        await caller.say(talk.answer({"ok": True}, call["id"], "look_up"))
    else:
        await caller.say(talk.content(f"Tell me a story{_STORY}"))
        await caller.until("audio")
        await caller.speak(sound.speech(0.6))


def _has_the_samples(came: list[str], session: dict[str, Any]) -> None:
    """The recorded messages of this session are among those that came, in their order."""
    if not os.environ.get("LIVEWS_SAMPLES") or "samples" not in session:
        return
    rows = [one.values[0] for one in samples(os.environ)]
    recorded = [
        _NAMES.get(shape(row["message"]), row["kind"])
        for row in rows
        if row["direction"] == "server" and session["samples"] in row["source"]
    ]
    recorded = [name for name in recorded if name.partition("(")[0] not in session.get("without", [])]
    assert recorded
    coming = iter(came)
    assert all(name in coming for name in recorded), recorded
