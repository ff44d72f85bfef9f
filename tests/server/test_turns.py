"""Turns: what tests/data/conversations cannot say, since it measures time, compares sound or counts bytes.

A docstring names the rule, or the row of the collected facts (B and C numbers), the expectation comes from.
"""

from __future__ import annotations

import asyncio
from array import array
from itertools import pairwise
from math import pi, sin
from typing import Any

import pytest

from livews.server import synth
from tests.kit import talk
from tests.kit.names import GEMINI, LIVE_31, LIVE_38, NATIVE, ON_VERTEX, RETIRED, TEST, THINKING, TRANSLATE, VERTEX
from tests.kit.sound import silence, utterance
from tests.kit.talk import Message

DIALOGUE = "projects/p/locations/l/publishers/google/models/gemini-2.0-flash-live-preview-04-09"
NATIVE_VERTEX = "projects/p/locations/l/publishers/google/models/gemini-live-2.5-flash-native-audio"
HELLO = talk.content("Hello")


def about(model: str, **members: Any) -> Message:
    thinking = {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}} if model == THINKING else {}
    return {"model": model, "outputAudioTranscription": {}, **thinking, **members}


async def frames_of(
    model: str, path: str, message: Message, *, end: str = "turnComplete", **members: Any
) -> list[bytes]:
    async with talk.connected(about(model, **members), path=path, lenient=True) as caller:
        await caller.say(message)
        await caller.until(end)
        return caller.frames[1:]


async def test_the_recorded_frames_byte_for_byte() -> None:
    """B2, B6, C12b: what Google recorded is as long, byte for byte: a generationComplete 60, the empty transcript 59,
    240 ms of Vertex's sound 15,580, a call in code 260 and the call itself 223."""
    lengths = [len(frame) for frame in await frames_of(DIALOGUE, VERTEX, HELLO)]
    assert (lengths[0], lengths[-2]) == (59, 60)
    assert lengths.count(15_580) > 5
    parameters = {"type": "OBJECT", "properties": {"location": {"type": "STRING"}}, "required": ["location"]}
    tools = talk.functions("get_current_weather", parameters=parameters)
    asked = talk.content('get_current_weather "Redmond, WA"')
    code, call = await frames_of(RETIRED, GEMINI, asked, end="toolCall", tools=tools)
    assert b"default_api.get_current_weather(location='Redmond, WA')" in code
    assert [len(code), len(call)] == [260, 223]


# Time


@pytest.mark.parametrize(
    "model", [NATIVE, LIVE_31, LIVE_38, THINKING, TRANSLATE, RETIRED, ON_VERTEX, DIALOGUE, NATIVE_VERTEX]
)
async def test_turn_complete_waits_for_playback(model: str) -> None:
    """C7, TURN-3, AUDIO-5: sound comes faster than it plays, generationComplete with the last of it, turnComplete not
    before the first sound plus the length of all."""
    pace = 0.15
    async with talk.connected(
        about(model), path=VERTEX if "publishers/" in model else GEMINI, pace=pace, lenient=True
    ) as caller:
        asked = asyncio.get_running_loop().time()
        await caller.speak(utterance(0.5))
        sound = talk.sound_of(await caller.until("generationComplete"))
        generated = caller.times[-1]
        await caller.until("turnComplete")
        assert talk.sound_of(caller.messages) == sound, "no sound after generationComplete"
        plays = len(sound) / 2 / synth.RATE * pace
        assert caller.times[-1] - asked >= plays
        assert caller.times[-1] - generated > plays / 4


async def test_pace_zero_waits_for_nothing() -> None:
    """At pace 0 nothing waits: not for the setup, not between the parts, not for playback."""
    async with talk.connected(LIVE_38, pace=0) as caller:
        sound = talk.sound_of(await caller.turn(HELLO))
        assert (caller.times[-1] - caller.times[0]) / (len(sound) / 2 / synth.RATE) < 0.5


async def test_activity_start_is_acknowledged_a_moment_later() -> None:
    """C27: about 40 ms after activityStart, before anything was said."""
    async with talk.connected({"model": LIVE_38, **talk.MANUAL}, pace=1.0) as caller:
        await caller.settle()
        before = asyncio.get_running_loop().time()
        await caller.say(talk.START)
        (message,) = await caller.until("activityStart")
        assert message == {"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "0s"}}
        assert caller.times[-1] - before >= 0.035


# Two sessions


async def test_the_same_is_said_in_the_same_frames() -> None:
    """The same seed and the same words make the same frames, ids and all; another seed makes other ids."""

    async def messages(seed: str) -> list[Message]:
        async with talk.connected(about(LIVE_31, tools=talk.functions("call_me")), seed=seed) as caller:
            await caller.say(talk.content("Try call_me"))
            called = await caller.until("toolCall")
            await caller.say(talk.answer({"ok": True}, talk.calls(called)[0]["id"]))
            await caller.until("handle")
            return caller.messages

    assert await messages("a") == await messages("a")
    assert talk.calls(await messages("a"))[0]["id"] != talk.calls(await messages("b"))[0]["id"]


@pytest.mark.parametrize(
    "path",
    [
        "/" + GEMINI,
        GEMINI.replace("v1beta", "v1alpha") + "Constrained",
        GEMINI.replace("v1beta", "v1"),
        "/ws/google.firebase.vertexai.v1beta.GenerativeService/BidiGenerateContent",
        "/some/gateway",
        "//[x",
        "/%zz?key=%zz",
        "//",
    ],
)
async def test_paths(path: str) -> None:
    """B3, F14: the JavaScript SDK's double slash, every version, a gateway's own path, and what nobody would dial."""
    model = f"publishers/google/{TEST}" if "firebase" in path else TEST
    async with talk.connected(model, path=path) as caller:
        assert talk.blobs(await caller.turn(HELLO))


async def test_a_long_prompt_makes_no_long_reply() -> None:
    """The stand-in repeats 120 characters at most, and counts all the words."""
    async with talk.connected(TEST) as caller:
        got = await caller.turn(talk.content("word " * 200_000))
    assert len(got) < 100
    assert talk.usages(got)[0]["promptTokenCount"] == 8 + 200_000


# Sound


def test_the_voice_is_soft_and_musical() -> None:
    """It is listened to: no clicks, a pitch and not noise, below a third of full scale."""
    samples = array("h", synth.render("Is this a voice, or noise? A voice."))
    assert len(samples) > synth.RATE
    assert max(map(abs, samples)) < 11_000
    assert max(abs(a - b) for a, b in pairwise(samples)) < 2_000, "no note of its scale rises faster"
    crossings = sum(a < 0 <= b for a, b in pairwise(samples)) / (len(samples) / synth.RATE)
    assert 100 < crossings < 600
    assert synth.render("") == b""


@pytest.mark.parametrize("rate", [16_000, 24_000])
async def test_echo_plays_the_sound_back(rate: int) -> None:
    """--reply echo: after the words comes what the client said, at 24 kHz."""
    # a hum that rises: nowhere is it like itself
    spoken = array("h", [int(6000 * sin(2 * pi * (150 + 150 * n / rate) * n / rate)) for n in range(rate)]).tobytes()
    async with talk.connected(about(LIVE_38), reply="echo") as caller:
        await caller.speak(spoken + silence(1.5, rate), rate)
        got = await caller.until("turnComplete")
    played = talk.sound_of(got).removeprefix(synth.render(talk.words(got)))
    assert len(played) < len(talk.sound_of(got))
    returned, original = memoryview(played).cast("h"), memoryview(spoken).cast("h")
    assert 2.0 <= len(returned) / synth.RATE <= 2.6, "with the silence that ended it, without what came before it"
    # it begins with the frame of 100 ms in which speech was noticed
    best = max((alike(returned, original[at:], rate / synth.RATE), at) for at in range(0, rate // 2, rate // 10))
    assert best[0] > 0.999
    assert best[1] == rate // 10


def alike(returned: Any, original: Any, step: float) -> float:
    """The correlation of what came back with what was said; `step` samples of this are one of that."""
    pairs = [(returned[i], original[int(i * step)]) for i in range(0, int(len(original) / step), 3)]
    both = sum(a * b for a, b in pairs)
    return both / (1 + sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs)) ** 0.5
