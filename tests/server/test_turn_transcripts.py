"""Turns as transcripts: what a client sends, and what has to come. The comment names the rule or the collected fact."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from livews.core import codec
from livews.server import synth
from tests.kit import talk
from tests.kit.names import LIVE_31, LIVE_38, NATIVE, TEST, TRANSCRIBE, TRANSLATE
from tests.kit.sound import silence, speech, utterance
from tests.kit.talk import Message
from tests.kit.transcript import SILENCE, Transcript, hears, mentions, never, play, says

STORY = talk.content("Tell me a long story, " + "and then another one, " * 8)
SLOW = {"pace": 0.25}
"""A pace at which a reply is still being generated when its first sound has come."""
SEEDED: Message = {"historyConfig": {"initialHistoryInClientContent": True}}
ALL_INPUT: Message = {"realtimeInputConfig": {"turnCoverage": "TURN_INCLUDES_ALL_INPUT"}}
HISTORY: Message = {
    "clientContent": {
        "turns": [
            {"role": "user", "parts": [{"text": "My name is Alice"}]},
            {"role": "model", "parts": [{"text": "Hello Alice how are you"}]},
        ],
        "turnComplete": True,
    }
}


def about(model: str = LIVE_38, *more: Message, **members: Any) -> Message:
    setup = {"model": model, "inputAudioTranscription": {}, "outputAudioTranscription": {}, **members}
    if model == TRANSCRIBE:
        setup["generationConfig"] = {"responseModalities": ["TEXT"]}
    for part in more:
        setup |= part
    return setup


def picture(size: int = 3_000, mime_type: str = "image/jpeg") -> Message:
    return {"mimeType": mime_type, "data": codec.encode_base64(bytes(size))}


def video(**members: Any) -> Message:
    return {"realtimeInput": members or {"video": picture()}}


def turn(blob: Message, *, complete: bool) -> Message:
    return {"clientContent": {"turns": [{"role": "user", "parts": [{"inlineData": blob}]}], "turnComplete": complete}}


def chunk(pcm: bytes) -> Message:
    return json.loads(talk.audio(pcm))["realtimeInput"]["audio"]  # type: ignore[no-any-return]


def encoded(data: str) -> Message:
    return {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=16000", "data": data}}}


# Checks


def prompt_tokens(count: int) -> Any:
    """The prompt's count, of which 8 are there before the first word."""

    def check(got: list[Message]) -> None:
        assert talk.usages(got)[0]["promptTokenCount"] == count

    return check


def audio_tokens(count: int) -> Any:
    def check(got: list[Message]) -> None:
        assert talk.usages(got)[0]["promptTokensDetails"][-1] == {"modality": "AUDIO", "tokenCount": count}

    return check


def offsets(*expected: tuple[str, float]) -> Any:
    """The marks of voiceActivity, as ("START", seconds)."""

    def check(got: list[Message]) -> None:
        marks = [message["voiceActivity"] for message in got if "voiceActivity" in message]
        assert all(re.fullmatch(r"\d+(\.\d{3})?s", mark["audioOffset"]) for mark in marks), "a Duration (B14)"
        assert [(m["type"].removeprefix("ACTIVITY_"), float(m["audioOffset"][:-1])) for m in marks] == list(expected)

    return check


def hears_sound(got: list[Message]) -> None:
    assert re.fullmatch(r"\[1\.0 s of sound, -\d\d dBFS\]", talk.heard(got))
    assert re.search(r"I heard 1\.0 seconds of sound at -\d\d dBFS\.$", talk.words(got))


def transcribes(got: list[Message]) -> None:
    assert "1.0 s of sound" in talk.heard(got)


def speaks(got: list[Message]) -> None:
    assert talk.blobs(got)


def speaks_its_words_only(got: list[Message]) -> None:
    assert talk.sound_of(got) == synth.render(talk.words(got))


def calls_get_weather(got: list[Message]) -> None:
    assert got[-1]["toolCall"]["functionCalls"][0]["name"] == "get_weather"


def starts_only(got: list[Message]) -> None:
    assert {word for message in got for word in talk.brief(message)} <= {"empty", "activityStart"}


def interrupted_only(got: list[Message]) -> None:
    assert got[-1] == {"serverContent": {"interrupted": True}}


UNCUT = never("interrupted")
VOICE = speech(1.0)
ANSWERED = ["turnComplete", says('livews stand-in: I heard "stop".'), speaks_its_words_only]
_PLAIN = base64.b64encode(VOICE).decode()
_URL_SAFE = base64.urlsafe_b64encode(VOICE).decode()
assert "+" in _PLAIN and "/" in _PLAIN

TRANSCRIPTS: dict[str, Transcript] = {
    # C24, TURN-1: clientContent without turnComplete is answered by nothing, and read with what comes next
    "what is appended in silence belongs to the next turn": Transcript(
        about(),
        [talk.content("first", complete=False), talk.content("second", complete=None), SILENCE, talk.content("third"),
         "turnComplete", says('"first second third".'), prompt_tokens(8 + 3)],
    ),
    # TURN-4: after turnComplete there is nothing to interrupt
    "nothing is cut where nothing runs": Transcript(
        about(),
        [talk.content("one"), "turnComplete", UNCUT, talk.text("two"), "turnComplete", UNCUT,
         talk.content("three", complete=False), talk.content("four"), "turnComplete", UNCUT],
    ),
    # C8, C24, C26, TURN-4: interrupted, then turnComplete with the usage, each a message; then nothing of the old reply,
    # and the new one where one is asked for
    **{
        f"a running reply is cut by {name}": Transcript(
            about(),
            [STORY, "audio", message, "interrupted", interrupted_only, ["turnComplete+usage"], *rest],
            changes=SLOW,
        )
        for name, message, rest in (
            ("text", talk.text("stop"), ANSWERED),
            ("content", talk.content("stop"), ANSWERED),
            ("content that asks for nothing", talk.content("stop", complete=False), [SILENCE]),
        )
    },
    # ACTIVITY-6, C28: speech and enough silence, as sound, asks for a reply; speech without silence never does
    **{
        f"a voice and its silence are a turn: {model}": Transcript(
            about(model),
            [VOICE, *(["activityStart"] if model == LIVE_38 else ["empty"] if model == LIVE_31 else []), starts_only,
             SILENCE, silence(1.5), "turnComplete", hears_sound],
        )
        for model in (NATIVE, LIVE_31, LIVE_38, TEST)
    },
    # B11: a minute of digital silence brings no event and no close; nor does what nobody would call speech
    "silence and soft noise are no turn": Transcript(
        about(), [silence(60), speech(3.0, peak=40) + silence(2.0), SILENCE, SILENCE],
    ),
    # C29: a pause of 1.0 s mid sentence closes the turn on 3.1; C9: 3.8 waits for 1.2 s
    "a second of silence closes the turn of 3.1": Transcript(
        about(LIVE_31), [VOICE + silence(1.0) + VOICE, "heard"],
    ),
    "a second of silence does not close the turn of 3.8": Transcript(
        about(LIVE_38), [VOICE + silence(1.0) + VOICE, "activityStart", SILENCE, SILENCE],
    ),
    # GD-REF: on a model that speaks, audioStreamEnd closes the turn like silence does
    "audioStreamEnd asks for a reply": Transcript(
        about(LIVE_31), [speech(0.7), talk.STREAM_END, "turnComplete", mentions("I heard 0.7 seconds")],
    ),
    # C27, TURN-1: what was said between activityStart and activityEnd is answered, silence or not; the start is
    # acknowledged first
    "marks ask for a reply": Transcript(
        about(LIVE_38, talk.MANUAL),
        [talk.START, silence(1.0), talk.END, ["empty+activityStart", "empty+activityEnd", "heard"],
         offsets(("START", 0), ("END", 1)), "turnComplete", mentions("I heard 1.0 seconds of silence.")],
    ),
    # B14: voiceActivity was seen on 3.8 and on the transcribe model only
    **{
        f"a model without voiceActivity acknowledges nothing: {model}": Transcript(
            about(model, talk.MANUAL), [talk.START, speech(0.5), SILENCE, talk.END, "turnComplete", offsets()],
        )
        for model in (NATIVE, LIVE_31)
    },
    # C27, ACTIVITY-4: sound outside of an activity asks for nothing, belongs to no turn and has no transcript, but
    # audioOffset goes on
    **{
        f"sound outside of marks is only counted: {model}": Transcript(
            about(model, talk.MANUAL),
            [utterance(2.0), SILENCE, talk.START, VOICE, talk.END, *rest],
        )
        for model, rest in (
            (LIVE_38, ["turnComplete", offsets(("START", 3.5), ("END", 4.5)), transcribes, audio_tokens(25)]),
            (TRANSCRIBE, ["activityEnd", offsets(("START", 3.5), ("END", 4.5)), transcribes]),
        )
    },
    # C27, ACTIVITY-3: the activity goes on from its first start; an activityEnd too many asks for nothing
    "a second activityStart is ignored": Transcript(
        about(LIVE_38, talk.MANUAL),
        [talk.START, VOICE, talk.START, VOICE, talk.END, "turnComplete", offsets(("START", 0), ("END", 2)),
         mentions("I heard 2.0 seconds"), talk.END, SILENCE],
    ),
    # C27: a loud activity leaves nothing for a silent one
    "each activity is measured by itself": Transcript(
        about(LIVE_38, talk.MANUAL),
        [talk.START, VOICE, talk.END, "turnComplete", transcribes, talk.START, silence(1.0), talk.END, "turnComplete",
         hears("[1.0 s of silence]")],
    ),
    # C8, C27: the user takes the turn with the mark, before any sound
    **{
        f"activityStart cuts a reply: {model}": Transcript(
            about(model, talk.MANUAL),
            [STORY, "audio", talk.START, "interrupted", ["turnComplete+usage"], *rest, SILENCE],
            changes=SLOW,
        )
        for model, rest in ((LIVE_38, [["empty+activityStart"]]), (NATIVE, []))
    },
    # C27, ACTIVITY-5: activityEnd does its work
    "audioStreamEnd is not used with marks": Transcript(
        about(LIVE_38, talk.MANUAL),
        [talk.START, speech(0.5), talk.STREAM_END, "activityStart", SILENCE, talk.END, "turnComplete",
         offsets(("END", 0.5))],
    ),
    # C26: text and pictures in an activity are answered with it, at its end
    "text inside marks belongs to the activity": Transcript(
        about(LIVE_38, talk.MANUAL),
        [(talk.START, talk.text("look"), video()), "activityStart", SILENCE, talk.END, "turnComplete",
         says('I heard "look". I saw 1 picture (image/jpeg, 3 kB).')],
    ),
    # GD-REF: TURN_INCLUDES_ONLY_ACTIVITY is what models before 3.1 do by themselves
    "the coverage of 2.5 is the activity": Transcript(
        about(NATIVE), [video(), utterance(1.0), "turnComplete", hears_sound],
    ),
    "the coverage of 3.1 has all pictures": Transcript(
        about(LIVE_31), [video(), utterance(1.0), "turnComplete", mentions("I saw 1 picture")],
    ),
    # C26: realtimeInput.video never starts a turn, nor does a picture in mediaChunks, a list or a bare object (WIRE-4);
    # the next turn knows of it
    **{
        f"a picture starts no turn: {name}": Transcript(
            about(NATIVE),
            [(video(**members), video(**members)), SILENCE, talk.text("What is it?"), "turnComplete",
             says('I heard "What is it?". I saw 2 pictures (the last image/jpeg, 3 kB).')],
        )
        for name, members in (("video", {"video": picture()}), ("mediaChunks", {"mediaChunks": [picture()]}),
                              ("bare mediaChunks", {"mediaChunks": picture()}))
    },
    # C26
    "a picture cuts nothing": Transcript(
        about(), [talk.content("Hello"), "audio", video(), "turnComplete", UNCUT], changes={"pace": 0.12},
    ),
    # C24: inlineData in a turn is seen with the turn; without turnComplete it asks for nothing
    "a picture in clientContent": Transcript(
        about(),
        [turn(picture(52_000, "image/png"), complete=True), "turnComplete",
         says("livews stand-in: I saw 1 picture (image/png, 52 kB).")],
    ),
    "a picture in clientContent without turnComplete": Transcript(
        about(),
        [turn(picture(52_000, "image/png"), complete=False), SILENCE, talk.content("So?"), "turnComplete",
         says('livews stand-in: I heard "So?". I saw 1 picture (image/png, 52 kB).')],
    ),
    # AUDIO-4, F12: what ADK sends to 2.5: sound and JPEG, both in mediaChunks, the sound heard as any
    "pictures and sound in mediaChunks": Transcript(
        about(NATIVE, ALL_INPUT),
        [{"realtimeInput": {"media_chunks": [picture(), chunk(utterance(1.0))]}}, "turnComplete",
         mentions("I heard 2.5 seconds of sound", "I saw 1 picture")],
    ),
    # C25, C25b: with initialHistoryInClientContent the first clientContent gets no reply, whatever turnComplete says;
    # what follows by realtimeInput is a turn whose context knows it
    "history is taken in silence": Transcript(
        about(LIVE_31, SEEDED),
        [HISTORY, SILENCE, talk.text("Who am I?"), "turnComplete", says('"Who am I?".'), prompt_tokens(8 + 4 + 5 + 3)],
    ),
    # C25: the second one is a turn
    "only the first clientContent is history": Transcript(
        about(LIVE_31, SEEDED), [(HISTORY, talk.content("Now you")), "turnComplete", says('"Now you".')],
    ),
    # C25: recordings of August 2026 have 3.1 take clientContent as a turn, without the flag
    "without the flag 3.1 answers": Transcript(about(LIVE_31), [HISTORY, "turnComplete", says('"My name is Alice".')]),
    # WIRE-12: a turn of the user may say so in either case, or not at all; one of the model is no prompt
    **{
        f"the role {role}": Transcript(
            about(),
            [(talk.content("I said that", role="model", complete=False), talk.content("Mine", role=role)), "turnComplete",
             says('I heard "Mine".'), prompt_tokens(8 + 3 + 1)],
        )
        for role in ("user", "USER", None)
    },
    # TURN-6, T0: clientContent is accepted without effect; their input is sound only, so text asks for nothing
    **{
        f"speech models do not read: {model}": Transcript(
            about(model),
            [({"clientContent": {"turnComplete": True}}, HISTORY, talk.text("Hello?")), SILENCE, SILENCE, utterance(0.5),
             "heard"],
            changes={"heard": ["Hello"]},
        )
        for model in (TRANSCRIBE, TRANSLATE)
    },
    # F12: pipecat and ADK send " " or "." in realtimeInput.text to have the model speak
    **{
        f"the text {prompt!r} is a trigger": Transcript(about(), [talk.text(prompt), "turnComplete", speaks, says(reply)])
        for prompt, reply in ((" ", "I heard nothing."), (".", 'I heard ".".'), ("Hello", 'I heard "Hello".'))
    },
    # WIRE-3: the Python SDK sends the URL-safe alphabet; padded or not. The same sound is heard
    "both alphabets of base64": Transcript(
        about(),
        [(encoded(_PLAIN), encoded(_URL_SAFE), encoded(_URL_SAFE.rstrip("="))), silence(1.5), "turnComplete",
         mentions("I heard 3.0 seconds of sound")],
    ),
    # --heard: a spoken turn calls a function as a written one does
    "configured words ask for functions": Transcript(
        about(NATIVE, tools=talk.functions("get_weather")), [utterance(0.5), "toolCall", calls_get_weather],
        changes={"heard": ["How is the weather?"]},
    ),
    # --reply echo: nothing was said aloud
    "echo does not change written turns": Transcript(
        about(), [talk.content("Hello"), "turnComplete", speaks_its_words_only], changes={"reply": "echo"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_transcript(name: str) -> None:
    await play(TRANSCRIPTS[name])
