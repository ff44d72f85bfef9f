"""Who has the turn: cuts, the user's voice, marks, pictures, history. Each against what the service does.

A docstring names the rule, or the row of the collected facts (B, C and F numbers), the expectation comes from.
"""

from __future__ import annotations

import asyncio
import re
from array import array
from math import pi, sin
from typing import Any

import pytest

from livews.core import codec
from livews.server import synth
from tests.kit import talk
from tests.kit.names import LIVE_31, LIVE_38, NATIVE, TEST, TRANSCRIBE
from tests.kit.sound import silence, speech, utterance
from tests.kit.talk import Message

STORY = "Tell me a long story, " + "and then another one, " * 8
SLOW = 0.25
"""A pace at which a reply is still being generated when its first sound has come."""
JPEG = b"\xff\xd8\xff\xe0" + bytes(2996)
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def about(model: str = LIVE_38, *more: Message, **members: Any) -> Message:
    setup = {"model": model, "inputAudioTranscription": {}, "outputAudioTranscription": {}, **members}
    if model == TRANSCRIBE:
        setup["generationConfig"] = {"responseModalities": ["TEXT"]}
    for one in more:
        setup |= one
    return setup


def detection(**members: Any) -> Message:
    return {"realtimeInputConfig": {"automaticActivityDetection": members}}


def picture(data: bytes = JPEG, mime_type: str = "image/jpeg") -> Message:
    return {"mimeType": mime_type, "data": codec.encode_base64(data)}


def offsets(messages: list[Message]) -> list[tuple[str, float]]:
    """What the detector noticed, as ("START", seconds)."""
    found = []
    for one in messages:
        if "voiceActivity" in one:
            given = one["voiceActivity"]
            assert re.fullmatch(r"\d+(\.\d{3})?s", given["audioOffset"]), "a Duration (B14)"
            found.append((given["type"].removeprefix("ACTIVITY_"), float(given["audioOffset"][:-1])))
    return found


# Cuts


@pytest.mark.parametrize("generated", [True, False])
async def test_generation_complete_before_a_cut(generated: bool) -> None:
    """C8: it may precede interrupted, when all was generated and is still being heard; else it never comes."""
    async with talk.connected(about(LIVE_31), pace=SLOW) as caller:
        await caller.say(talk.content(STORY))
        await caller.until("generationComplete" if generated else "audio")
        await caller.say(talk.text("stop"))
        await caller.until("turnComplete")
        got = caller.messages
    order = [word for one in got for word in talk.brief(one)]
    assert order.count("generationComplete") == generated
    # C4b: 3.1 sends {"serverContent":{}} ahead of it
    assert order[-4:] == ["empty", "interrupted", "turnComplete", "usage"]
    assert not generated or order.index("generationComplete") < order.index("interrupted")


async def test_prompts_in_a_burst() -> None:
    """TURN-4: the last one is answered, those before are cut, each with its own interrupted and turnComplete."""
    async with talk.connected(about(), pace=SLOW) as caller:
        await caller.say(talk.text("one"), talk.text("two"), talk.text("three"))
        for _ in range(3):
            await caller.until("turnComplete")
        got = caller.messages + await caller.rest()
    marks = [
        word
        for one in got
        for word in talk.brief(one)
        if word in ("interrupted", "turnComplete", "generationComplete")
    ]
    assert marks == ["interrupted", "turnComplete"] * 2 + ["generationComplete", "turnComplete"]
    assert talk.words(got).endswith('"three".')


@pytest.mark.parametrize("by", ["text", "voice", "marks"])
async def test_no_interruption(by: str) -> None:
    """GD-REF activityHandling NO_INTERRUPTION: the reply goes on, and the next one comes after it."""
    config: Message = {"activityHandling": "NO_INTERRUPTION"}
    if by == "marks":
        config["automaticActivityDetection"] = {"disabled": True}
    async with talk.connected(
        about(LIVE_38, realtimeInputConfig=config), pace=0.12, heard=["and now this"]
    ) as caller:
        await caller.say(talk.content("Hello"))
        await caller.until("audio")
        if by == "text":
            await caller.say(talk.text("and now this"))
        elif by == "voice":
            await caller.speak(utterance())
        else:
            await caller.say(talk.START)
            await caller.speak(speech())
            await caller.say(talk.END)
        await caller.until("turnComplete")
        first = list(caller.messages)
        assert talk.heard(first) == ("" if by == "text" else "and now this"), "it waits for nothing (C5)"
        got = await caller.until("turnComplete")
        assert await caller.rest() == []
        assert not any("interrupted" in talk.brief(one) for one in caller.messages)
        assert talk.sound_of(first) == synth.render('livews stand-in: I heard "Hello".')
    assert talk.words(got).endswith('"and now this".')


# The voice, heard by the stand-in


async def test_offsets_count_the_sound_received() -> None:
    """B14, C9: audioOffset is a Duration counted on the sound that came; ACTIVITY_END 1.2 s of silence after the voice
    on 3.8."""
    async with talk.connected(about()) as caller:
        await caller.speak(silence(2.0) + utterance(1.0))
        (start, at), (end, until) = offsets(await caller.until("turnComplete"))
    assert (start, end) == ("START", "END")
    assert 2.1 <= at <= 2.4
    assert 4.15 <= until <= 4.25


async def test_audio_stream_end_ends_an_open_activity() -> None:
    """C28, T0 P4: the final comes without more silence, and sound may go on afterwards."""
    async with talk.connected(about(TRANSCRIBE)) as caller:
        for _ in range(2):
            await caller.speak(speech(1.0))
            await caller.say(talk.STREAM_END)
            await caller.until("activityEnd")
        await caller.say(talk.STREAM_END)
        assert await caller.rest() == [], "nothing is open"
        got = caller.messages
    assert [kind for kind, _ in offsets(got)] == ["START", "END"] * 2
    assert [at for kind, at in offsets(got) if kind == "END"] == [1.0, 2.0]
    assert talk.heard(got).count("1.0 s of sound") == 2


async def test_audio_stream_end_may_be_deaf() -> None:
    """C28: what was measured on 3.8, to be had by the `wire` member audioStreamEnd: silence, told in the log."""
    log: list[str] = []
    async with talk.connected(about(), wire={"audioStreamEnd": "stall"}, log=log.append) as caller:
        await caller.settle()
        await caller.speak(speech(1.0))
        await caller.say(talk.STREAM_END)
        got = await caller.until("activityStart") + await caller.rest()
    assert [talk.brief(one) for one in got] == [["empty", "activityStart"]]
    assert any("audioStreamEnd came before enough silence" in line for line in log)


@pytest.mark.parametrize(
    ("given", "sound", "noticed"),
    [
        ({}, speech(1.0, peak=400), ["START", "END"]),
        ({"startOfSpeechSensitivity": "START_SENSITIVITY_HIGH"}, speech(1.0, peak=400), ["START", "END"]),
        ({"startOfSpeechSensitivity": "START_SENSITIVITY_LOW"}, speech(1.0, peak=400), []),
        ({"startOfSpeechSensitivity": "START_SENSITIVITY_LOW"}, speech(1.0), ["START", "END"]),
        ({"prefixPaddingMs": 500}, speech(0.4), []),
        ({"prefixPaddingMs": 500}, speech(0.8), ["START", "END"]),
        ({"prefixPaddingMs": 20}, speech(0.1), ["START", "END"]),
        ({}, speech(0.1), []),
        ({"silenceDurationMs": 2000}, speech(1.0), ["START"]),
        ({"endOfSpeechSensitivity": "END_SENSITIVITY_LOW"}, speech(1.0), ["START"]),
        ({"endOfSpeechSensitivity": "END_SENSITIVITY_HIGH"}, speech(1.0), ["START", "END"]),
        ({"disabled": False}, speech(1.0), ["START", "END"]),
    ],
)
async def test_the_settings_of_the_detector(given: Message, sound: bytes, noticed: list[str]) -> None:
    """GD-REF automaticActivityDetection: how loud, how long, and how much silence; here with 1.5 s of silence."""
    async with talk.connected(about(TRANSCRIBE, detection(**given))) as caller:
        await caller.speak(sound + silence(1.5))
        got = await caller.until(f"activity{noticed[-1].title()}") if noticed else []
        assert [kind for kind, _ in offsets(got + await caller.rest())] == noticed


@pytest.mark.parametrize("ms", [100, 500, "700"])
async def test_silence_is_as_long_as_asked_for(ms: int | str) -> None:
    """GD-REF silenceDurationMs: the end stands so long after the voice; WIRE-14: also as a string."""
    async with talk.connected(about(LIVE_38, detection(silenceDurationMs=ms))) as caller:
        await caller.speak(utterance(1.0))
        (_, end) = offsets(await caller.until("activityEnd"))
    assert abs(end[1] - 1.0 - int(ms) / 1000) <= 0.06


@pytest.mark.parametrize("rate", [8_000, 0, 22_050, 24_000, 44_100, 48_000])
async def test_any_rate(rate: int) -> None:
    """D6, AUDIO-1: what rate= names is heard as long and as loud as at 16 kHz; without one 16 kHz is meant."""
    async with talk.connected(about()) as caller:
        await caller.speak(utterance(1.0, rate=rate or 16_000), rate)
        got = await caller.until("turnComplete")
    assert re.fullmatch(r"\[1\.0 s of sound, -2\d dBFS\]", talk.heard(got))
    assert abs(offsets(got)[1][1] - 2.2) < 0.05
    assert talk.usages(got)[0]["promptTokensDetails"][-1] == {"modality": "AUDIO", "tokenCount": 25}


@pytest.mark.parametrize("samples", [7, 42, 333, 24_000, 160_000])
async def test_frames_of_any_length(samples: int) -> None:
    """B11, B11b: 42 samples a frame, 375 of them a second; and all in one message. The same sound is the same speech."""
    sound = utterance(1.0 if samples < 42 else 8.0, 2.0)
    async with talk.connected(about()) as caller:
        await caller.speak(sound, samples=samples)
        (_, at), (_, until) = offsets(await caller.until("turnComplete"))
    length = len(sound) / 2 / 16_000 - 2.0
    assert 0.15 <= at <= 0.3
    assert abs(until - length - 1.2) <= 0.05


async def test_sound_of_half_samples() -> None:
    """AUDIO-1: chunks of an odd number of bytes are one stream: nothing shifts by a byte and becomes noise."""
    sound = utterance(1.0)
    async with talk.connected(about()) as caller:
        for at in range(0, len(sound), 3_201):
            await caller.say(talk.audio(sound[at : at + 3_201]))
        assert re.search(r"1\.0 seconds of sound at -2\d dBFS", talk.words(await caller.until("turnComplete")))


async def test_two_utterances_in_one_burst() -> None:
    """C5, B14: also when sound comes faster than it was spoken, what is told of an activity is told before the next."""
    async with talk.connected(about(TRANSCRIBE), heard=["one two", "three four five"]) as caller:
        await caller.say(talk.audio(utterance(1.0) + utterance(2.0)))
        await caller.until("activityEnd")
        await caller.until("activityEnd")
        got = caller.messages[1:]
    assert talk.brief_all(got, leave=("interim",)) == [
        "empty+activityStart", "heard", "generationComplete", "empty+activityEnd",
        "empty+activityStart", "heard", "generationComplete", "empty+activityEnd",
    ]  # fmt: skip
    assert talk.heard(got) == "one twothree four five"
    assert [at for _, at in offsets(got)] == sorted(at for _, at in offsets(got))


async def test_every_utterance_has_interim_transcripts() -> None:
    """C5: a short one after a long one, too."""
    async with talk.connected(about(TRANSCRIBE)) as caller:
        got = []
        for seconds in (3.0, 1.2):
            await caller.speak(utterance(seconds))
            got.append(await caller.until("activityEnd"))
        long, short = got
    assert sum("interim" in talk.brief(one) for one in long) > sum("interim" in talk.brief(one) for one in short) >= 2


async def test_a_voice_cuts_the_reply_to_the_voice_before() -> None:
    """C8, C9: two utterances in one burst on a model that speaks: the first is cut by the start of the second."""
    async with talk.connected(about(), heard=["one", "two"], pace=SLOW) as caller:
        await caller.say(talk.audio(utterance(1.0) + utterance(1.0)))
        for _ in range(2):
            await caller.until("turnComplete")
        got = caller.messages[1:]
    assert talk.brief_all(got, leave=("handle",))[:6] == [
        "empty+activityStart", "empty+activityEnd", "heard", "empty+activityStart", "interrupted", "turnComplete+usage",
    ]  # fmt: skip
    assert talk.words(got).endswith('"two".')


# The voice, marked by the client


async def test_activity_start_is_acknowledged_a_moment_later() -> None:
    """C27: about 40 ms after activityStart, before anything was said."""
    async with talk.connected(about(LIVE_38, talk.MANUAL), pace=1.0) as caller:
        await caller.settle()
        before = asyncio.get_running_loop().time()
        await caller.say(talk.START)
        (one,) = await caller.until("activityStart")
        assert one == {"serverContent": {}, "voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "0s"}}
        assert (caller.times[-1] - before) >= 0.035


@pytest.mark.parametrize("model", [LIVE_38, TRANSCRIBE])
async def test_marks_in_a_burst_keep_their_order(model: str) -> None:
    """C27: an activity that comes faster than its acknowledgement is told in order all the same."""
    async with talk.connected(about(model, talk.MANUAL), pace=SLOW, heard=["one two", "three four"]) as caller:
        for _ in range(2):
            await caller.say(talk.START)
            await caller.speak(speech(1.0))
            await caller.say(talk.END)
        last = "activityEnd" if model == TRANSCRIBE else "heard"
        await caller.until(last)
        await caller.until(last)
        got = caller.messages[1:]
    assert offsets(got) == [("START", 0.0), ("END", 1.0), ("START", 1.0), ("END", 2.0)]
    told = talk.brief_all(got, leave=("interim", "handle"))
    if model == TRANSCRIBE:
        one = ["empty+activityStart", "heard", "generationComplete", "empty+activityEnd"]
        assert told == one * 2
        first = [word for one in got for word in talk.brief(one)]
        assert first.index("activityStart") < first.index("interim") < first.index("heard")
    else:
        cut = ["interrupted", "turnComplete+usage"]
        one = ["empty+activityStart", "empty+activityEnd", "heard"]
        assert told[:8] == [*one, *cut, *one]


@pytest.mark.parametrize("model", [LIVE_38, TRANSCRIBE, NATIVE])
async def test_an_empty_activity_closes(model: str) -> None:
    """C27, ACTIVITY-2: an empty turnComplete, then 1007 Precondition check failed."""
    async with talk.connected(about(model, talk.MANUAL)) as caller:
        await caller.settle()
        await caller.say(talk.START, talk.END)
        close = await caller.closed()
        assert caller.messages[-1] == {"serverContent": {"turnComplete": True}, "usageMetadata": {}}
        assert close == (1007, "Precondition check failed.")


# What counts for a turn


@pytest.mark.parametrize(
    ("coverage", "seconds", "pictures"),
    [
        ("TURN_INCLUDES_ONLY_ACTIVITY", 1.0, 1),
        ("TURN_INCLUDES_ALL_INPUT", 3.9, 3),
        ("TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO", 1.0, 3),
        ("TURN_COVERAGE_UNSPECIFIED", 1.0, 3),
        (None, 1.0, 3),
    ],
)
async def test_turn_coverage(coverage: str | None, seconds: float, pictures: int) -> None:
    """GD-REF turnCoverage: sound and pictures of the activity, of all the time, or its sound and all pictures, which
    is what 3.8 does by itself."""
    seen = {"realtimeInput": {"video": picture()}}

    config = {"realtimeInputConfig": {"turnCoverage": coverage}} if coverage else {}
    async with talk.connected(about(LIVE_38, config)) as caller:
        await caller.settle()
        await caller.say(seen)
        await caller.speak(silence(1.7))
        await caller.say(seen)
        await caller.speak(speech(1.0))
        await caller.say(seen)
        await caller.speak(silence(1.5))
        got = await caller.until("turnComplete")
    assert f"I heard {seconds} seconds of sound" in talk.words(got)
    assert f"I saw {pictures} picture" in talk.words(got)
    counted = {row["modality"]: row["tokenCount"] for row in talk.usages(got)[0]["promptTokensDetails"]}
    assert counted == {"TEXT": 8, "AUDIO": round(25 * seconds), "IMAGE": 258 * pictures}


async def test_all_input_is_that_since_the_turn_before() -> None:
    """GD-REF TURN_INCLUDES_ALL_INPUT: each turn has its own, pauses and all; a written turn ends one, too."""
    config = {"realtimeInputConfig": {"turnCoverage": "TURN_INCLUDES_ALL_INPUT"}}
    async with talk.connected(about(LIVE_38, config)) as caller:
        got = []
        for quiet in (1.0, 2.0):
            await caller.speak(silence(quiet) + speech(1.0) + silence(1.2))
            got.append(talk.words(await caller.until("turnComplete")))
        await caller.speak(silence(3.0))
        await caller.turn(talk.text("Hm"))
        await caller.speak(speech(1.0) + silence(1.2))
        said = [*got, talk.words(await caller.until("turnComplete"))]
    assert [float(re.findall(r"([0-9.]+) seconds", one)[0]) for one in said] == [3.2, 4.2, 2.2]


# Both spellings


async def test_both_spellings_mixed() -> None:
    """WIRE-4: camelCase and snake_case, at every level, in one object; a bare string where a list is meant."""
    setup = {
        "model": TEST,
        "generation_config": {"response_modalities": "AUDIO", "speechConfig": {"voice_config": {"prebuiltVoiceConfig": {"voice_name": "Puck"}}}},
        "realtime_input_config": {"automaticActivityDetection": {"silence_duration_ms": 300, "prefixPaddingMs": 100}},
        "output_audio_transcription": {},
        "inputAudioTranscription": {},
        "tools": [{"function_declarations": [{"name": "go_there", "parameters": {"type": "object", "properties": {"how_far": {"type": "INTEGER"}}, "required": ["how_far"]}}]}],
    }  # fmt: skip
    async with talk.connected(setup) as caller:
        await caller.say(
            {"client_content": {"turns": [{"parts": [{"text": "Please go_there, 7 miles"}]}], "turnComplete": True}}
        )
        (call,) = talk.calls(await caller.until("toolCall"))
        assert call["args"] == {"how_far": 7}
        await caller.say(
            {
                "tool_response": {
                    "functionResponses": [{"id": call["id"], "name": "go_there", "response": {"all_done": True}}]
                }
            }
        )
        got = await caller.until("turnComplete")
        assert '"all_done":true' in talk.words(got)
        blob = {"mime_type": "audio/pcm;rate=16000", "data": codec.encode_base64(utterance(0.5, 0.5))}
        await caller.say({"realtime_input": {"audio": blob}})
        assert "I heard 0.5 seconds" in talk.words(await caller.until("turnComplete"))


# What the stand-in was told, and what it plays back


async def test_the_words_that_were_told() -> None:
    """--heard: the words of each spoken turn in turn, in the transcript and in the reply; afterwards none."""
    async with talk.connected(about(), heard=["Good morning", "Good night"]) as caller:
        got = []
        for _ in range(3):
            await caller.speak(utterance(0.5))
            turn = await caller.until("turnComplete")
            got += [talk.heard(turn), talk.words(turn)]
    assert [got[0], got[2]] == ["Good morning", "Good night"]
    assert got[1].endswith('I heard "Good morning".') and got[3].endswith('I heard "Good night".')
    assert "0.5 s of sound" in got[4] and "I heard 0.5 seconds" in got[5]


@pytest.mark.parametrize("rate", [16_000, 24_000])
async def test_echo_plays_the_sound_back(rate: int) -> None:
    """--reply echo: after the words comes what the client said, at 24 kHz."""
    # a hum that rises: nowhere is it like itself
    spoken = array("h", [int(6000 * sin(2 * pi * (150 + 150 * n / rate) * n / rate)) for n in range(rate)]).tobytes()
    async with talk.connected(about(), reply="echo") as caller:
        await caller.speak(spoken + silence(1.5, rate), rate)
        got = await caller.until("turnComplete")
    played = talk.sound_of(got).removeprefix(synth.render(talk.words(got)))
    assert len(played) < len(talk.sound_of(got))
    returned = memoryview(played).cast("h")
    assert 2.0 <= len(returned) / synth.RATE <= 2.6, "with the silence that ended it, without what came before it"
    original = memoryview(spoken).cast("h")
    # it begins with the frame of 100 ms in which speech was noticed
    best = max((_alike(returned, original[at:], rate / synth.RATE), at) for at in range(0, rate // 2, rate // 10))
    assert best[0] > 0.999
    assert best[1] == rate // 10


def _alike(returned: Any, original: Any, step: float) -> float:
    """The correlation of what came back with what was said; `step` samples of this are one of that."""
    pairs = [(returned[i], original[int(i * step)]) for i in range(0, int(len(original) / step), 3)]
    both = sum(a * b for a, b in pairs)
    return both / (1 + sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs)) ** 0.5
