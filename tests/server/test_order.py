"""The order of things: what a turn looks like on the wire, model by model, frame by frame.

A docstring names the rule, or the row of the collected facts (B and C numbers), the expectation comes from.
"""

from __future__ import annotations

import asyncio
import json
import re
from array import array
from dataclasses import dataclass, field
from itertools import chain, groupby, pairwise
from typing import Any

import pytest

from livews.core import codec
from livews.core.conversation import Conversation
from livews.server import synth
from tests.kit import talk
from tests.kit.names import GEMINI, TEST, VERTEX
from tests.kit.sound import utterance
from tests.kit.talk import Message

WORDS = "one two three four five six"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HELLO = talk.content("Hello")
REPLY = 'livews stand-in: I heard "{}".'


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
    end: str = "turnComplete"
    """What ends its turn, a word of `brief`."""

    def about(self, **members: Any) -> Message:
        return {"model": self.model, "inputAudioTranscription": {}, "outputAudioTranscription": {}, **self.setup,
                **members}  # fmt: skip


_SPEAKS = ["...", "generationComplete", "turnComplete+usage"]
_FIRST = ["said:open", "said", "said:finished", "audio", "generationComplete", "turnComplete+grounding+usage"]
_OPEN = ["said:open", "said", "audio", "generationComplete", "turnComplete+usage"]
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
        whole=True, end="handle",
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
        whole=True, end="IDLE",
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
        whole=True, end="activityEnd",
    ),
    "Vertex half cascade": Kind(
        "publishers/google/models/gemini-live-2.5-flash", _FIRST, ["heard", *_FIRST],
        ["interrupted", "turnComplete+grounding+usage"],
        path=VERTEX, mime_type="audio/pcm", role="model", chunk_ms=200, response="candidates",
    ),
    "Vertex 2.0": Kind(
        "projects/p/locations/l/publishers/google/models/gemini-2.0-flash-live-preview-04-09", _OPEN,
        ["heard", *_OPEN], _CUT,
        path=VERTEX, mime_type="audio/pcm", role="model", response="candidates",
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
    """`brief_all`, but "..." where `said` and `audio` take turns, and without counts that stream."""
    found: list[str] = []
    for spoken, run_of in groupby(talk.brief_all(messages, leave=("usage",)), lambda word: word in ("said", "audio")):
        alike = list(run_of)
        found += ["..."] if spoken and len(alike) > 2 else alike
    return found


async def ask(kind: Kind, *what: Any, **changes: Any) -> list[list[Message]]:
    """What comes after each of these, in one session: a message, or sound."""
    async with talk.connected(kind.about(), path=kind.path, heard=[WORDS], **changes) as caller:
        await caller.settle()
        got = []
        for one in what:
            if isinstance(one, bytes):
                await caller.speak(one)
            else:
                await caller.say(one)
            answered = kind.spoken if isinstance(one, bytes) else kind.asked
            got.append([*(await caller.until(kind.end) if answered else []), *await caller.rest(0.05)])
        return got


@pytest.mark.parametrize("name", KINDS)
async def test_the_first_message_is_setup_complete(name: str) -> None:
    """C1, SETUP-3: {} on the Gemini API, a sessionId that is a UUID on Vertex; B2: 26 and 85 bytes."""
    kind = KINDS[name]
    async with talk.connected(kind.about(), path=kind.path) as caller:
        frame = caller.frames[0]
    if kind.path == GEMINI:
        assert frame == b'{\n  "setupComplete": {}\n}\n'
    else:
        (session_id,) = json.loads(frame)["setupComplete"].values()
        assert UUID.fullmatch(session_id)
        assert frame == b'{\n  "setupComplete": {\n    "sessionId": "%s"\n  }\n}\n' % session_id.encode()


@pytest.mark.parametrize("name", KINDS)
async def test_a_turn_asked_for_by_text(name: str) -> None:
    """C3, C4, C6, TURN-2: the order of a reply. TURN-6: the speech models say nothing to text."""
    kind = KINDS[name]
    (got,) = await ask(kind, HELLO)
    assert seen(got) == kind.asked
    if kind.asked:
        assert talk.words(got).endswith(REPLY.format("Hello"))


@pytest.mark.parametrize("name", KINDS)
async def test_a_turn_asked_for_by_voice(name: str) -> None:
    """C3, C4b, C5, C6: the user's transcript and what the detector noticed come before the reply."""
    kind = KINDS[name]
    (got,) = await ask(kind, utterance())
    assert seen(got) == kind.spoken
    assert talk.heard(got) == WORDS
    pieces = [one for one in got if "heard" in talk.brief(one)]
    assert (len(pieces) == 1) == kind.whole


async def test_the_final_transcript_comes_before_the_end_of_the_activity() -> None:
    """T0 of C5: inputTranscription, generationComplete, ACTIVITY_END, each a message, on the transcribe model."""
    (got,) = await ask(KINDS["3.5 transcribe"], utterance())
    assert [talk.brief(one) for one in got[-3:]] == [["heard"], ["generationComplete"], ["empty", "activityEnd"]]


@pytest.mark.parametrize("name", SPEAK)
async def test_a_voice_cuts_the_reply(name: str) -> None:
    """C8, C4b, TURN-4: interrupted, and turnComplete right after it, each a message of its own."""
    kind = KINDS[name]
    async with talk.connected(kind.about(), path=kind.path, pace=0.15) as caller:
        await caller.speak(utterance(0.4))
        await caller.until("audio")
        await caller.speak(utterance(0.6, 0))
        got = await caller.until("turnComplete")
        got = got + (await caller.until("handle") if name == "3.1" else [])
    # it begins where the voice is noticed or, where nothing announces it, with the cut
    begins = [one.get("serverContent") in ({}, {"interrupted": True}) for one in got].index(True)
    assert seen(got[begins:]) == kind.cut


# Frames


@pytest.mark.parametrize("name", KINDS)
async def test_frames_are_in_the_services_form(name: str) -> None:
    """B1, B2, WIRE-1: two spaces, one newline at the end, nothing but ASCII; WIRE-13: below 1 MiB. (`hear` holds that
    they are binary.)"""
    kind = KINDS[name]
    async with talk.connected(kind.about(), path=kind.path, heard=["Äh, 世界"]) as caller:
        if kind.asked:
            await caller.say(talk.content("Grüße, 世界 \U0001f600 \u2028"))
            await caller.until(kind.end)
        await caller.speak(utterance(0.5))
        await caller.until(kind.end)
        frames = caller.frames
    for frame in frames:
        assert frame.isascii()
        assert frame == json.dumps(json.loads(frame), indent=2).encode() + b"\n"
        assert len(frame) < 1 << 20
    said = [json.loads(frame) for frame in frames]
    assert talk.heard(said) == "Äh, 世界"
    assert not kind.asked or "Grüße, 世界 \U0001f600" in talk.words(said)


async def test_the_recorded_frames_byte_for_byte() -> None:
    """B2, B6, C12b: what Google recorded is as long, byte for byte: a generationComplete 60, the empty transcript 59,
    240 ms of Vertex's sound 15,580, a call in code 260 and the call itself 223."""
    got = await run_frames(KINDS["Vertex 2.0"], HELLO)
    lengths = [len(frame) for frame in got]
    assert lengths[0] == 59
    assert lengths[-2] == 60
    assert lengths.count(15_580) > 5
    parameters = {"type": "OBJECT", "properties": {"location": {"type": "STRING"}}, "required": ["location"]}
    tools = talk.functions("get_current_weather", parameters=parameters)
    asked = talk.content('get_current_weather "Redmond, WA"')
    code, call = await run_frames(KINDS["retired half cascade"], asked, end="toolCall", tools=tools)
    assert b"default_api.get_current_weather(location='Redmond, WA')" in code
    assert [len(code), len(call)] == [260, 223]


async def run_frames(kind: Kind, message: Message, *, end: str = "turnComplete", **members: Any) -> list[bytes]:
    async with talk.connected(kind.about(**members), path=kind.path) as caller:
        await caller.say(message)
        await caller.until(end)
        return caller.frames[1:]


@pytest.mark.parametrize("name", KINDS)
async def test_members_stand_in_messages_as_they_do_on_the_service(name: str) -> None:
    """C3, WIRE-10: one inlineData part a message; generationComplete and interrupted on their own; turnComplete with the usage,
    without modelTurn."""
    kind = KINDS[name]
    for one in chain.from_iterable(await ask(kind, HELLO, utterance())):
        inside = one.get("serverContent", {})
        assert len(talk.parts([one])) <= 1
        if "generationComplete" in inside:
            assert one == {"serverContent": {"generationComplete": True}}
        if "turnComplete" in inside:
            assert set(one) <= {"serverContent", "usageMetadata"}
            assert set(inside) <= {"turnComplete", "groundingMetadata", "interactionStatus"}
            assert ("usageMetadata" in one) == ("translate" not in name)
            assert inside.get("groundingMetadata") == ({} if name == "Vertex half cascade" else None)


# Sound and words


@pytest.mark.parametrize("name", SPEAK)
async def test_the_sound_of_a_reply(name: str) -> None:
    """B5, B6, AUDIO-3, AUDIO-5: mime type, role and length of a chunk; put together it is the voice, every sample."""
    kind = KINDS[name]
    (got,) = await ask(kind, utterance(0.5))
    chunks = talk.blobs(got)
    assert {blob["mimeType"] for blob in chunks} == {kind.mime_type}
    assert {one["serverContent"]["modelTurn"].get("role") for one in got if talk.blobs([one])} == {kind.role}
    full = synth.RATE * kind.chunk_ms // 1000 * 2
    lengths = [len(codec.decode_base64(blob["data"])) for blob in chunks]
    first = len(lengths)
    if "extended" in name:
        first = len(talk.blobs(got[: next(i for i, one in enumerate(got) if "turnComplete" in talk.brief(one))]))
        assert talk.words(got).startswith("One moment, I am thinking.")
    whole = {*lengths[: first - 1], *lengths[first:-1]}
    assert whole == {full}
    assert 0 < lengths[-1] <= full
    said = talk.words(got).removeprefix("One moment, I am thinking.")
    assert said == REPLY.format(WORDS)
    assert talk.sound_of(got).endswith(synth.render(said))
    assert len(talk.sound_of(got)) == len(synth.render(said)) or "extended" in name


@pytest.mark.parametrize("name", KINDS)
async def test_transcripts_come_only_when_asked_for(name: str) -> None:
    """C3: outputTranscription and inputTranscription each want their own member of setup."""
    kind = KINDS[name]

    for asked in ("inputAudioTranscription", "outputAudioTranscription"):
        if "transcribe" in name and asked != "inputAudioTranscription":
            continue  # it is refused without the one, and never speaks for the other
        async with talk.connected({"model": kind.model, **kind.setup, asked: {}}, path=kind.path) as caller:
            await caller.speak(utterance(0.5))
            got = await caller.until(kind.end)
        assert bool(talk.heard(got)) == (asked == "inputAudioTranscription")
        assert bool(talk.words(got)) == (asked == "outputAudioTranscription")
        assert not any(word.startswith("said") for word in seen(got)) or asked == "outputAudioTranscription"
        assert bool(talk.blobs(got)) == (name in SPEAK)


@pytest.mark.parametrize("name", SPEAK)
async def test_transcripts_go_along_with_the_sound(name: str) -> None:
    """C3: interleaved, each in its own message; C4: in one message with the sound on 3.1; C6: all ahead, on Vertex."""
    (got,) = await ask(KINDS[name], utterance(0.5))
    bearers = [index for index, one in enumerate(got) if "said" in talk.brief(one)]
    sounds = [index for index, one in enumerate(got) if "audio" in talk.brief(one)]
    assert len(bearers) >= 3
    if name == "3.1":
        assert set(bearers) <= set(sounds)
    elif name in ("Vertex half cascade", "Vertex 2.0"):
        assert max(bearers) < min(sounds)
    else:
        assert not set(bearers) & set(sounds)
        assert min(bearers) < min(sounds) < max(bearers) < max(sounds)


async def test_interim_transcripts_grow() -> None:
    """C5: interimInputTranscription is cumulative, each replaces the one before; the final one is in pieces of none."""
    (got,) = await ask(KINDS["3.5 transcribe"], utterance(2.4))
    interims = [
        one["serverContent"]["interimInputTranscription"]["text"] for one in got if "interim" in talk.brief(one)
    ]
    assert len(interims) >= 3
    for before, after in pairwise(interims):
        assert after.startswith(before)
    assert WORDS.startswith(interims[-1])
    assert len(interims[0]) < len(interims[-1])
    order = [word for one in got for word in talk.brief(one)]
    assert order.index("activityStart") < order.index("interim")
    assert max(i for i, word in enumerate(order) if word == "interim") < order.index("heard")


async def test_words_nobody_knows_are_told_by_length_and_level() -> None:
    """The stand-in invents nothing: it says how long and how loud it was, of the whole sound and of a part of it."""
    async with talk.connected(KINDS["3.5 transcribe"].about()) as caller:
        await caller.speak(utterance(1.2))
        got = await caller.until("activityEnd")
    assert re.fullmatch(r"\[1\.2 s of sound, -\d\d dBFS\]", talk.heard(got))


# Pace


@pytest.mark.parametrize("name", SPEAK)
async def test_turn_complete_waits_for_playback(name: str) -> None:
    """C7, TURN-3, AUDIO-5: sound comes faster than it plays, generationComplete with the last of it, turnComplete not
    before the first sound plus the length of all."""
    pace = 0.15
    kind = KINDS[name]
    async with talk.connected(kind.about(), path=kind.path, pace=pace) as caller:
        asked = asyncio.get_running_loop().time()
        await caller.speak(utterance(0.5))
        got = await caller.until("generationComplete")
        generated = caller.times[-1]
        sound = talk.sound_of(got)
        await caller.until("turnComplete")
        assert talk.sound_of(caller.messages) == sound, "no sound after generationComplete"
        ended, waited, plays = (
            caller.times[-1] - asked,
            caller.times[-1] - generated,
            len(sound) / 2 / synth.RATE * pace,
        )
    assert ended >= plays
    assert waited > plays / 4


async def test_pace_zero_waits_for_nothing() -> None:
    """At pace 0 nothing waits: not for the setup, not between the parts, not for playback."""
    async with talk.connected(KINDS["3.8"].about(), pace=0) as caller:
        sound = talk.sound_of(await caller.turn(HELLO))
        assert ((caller.times[-1] - caller.times[0]) / (len(sound) / 2 / synth.RATE)) < 0.5


# Counts


def adds_up(usage: Message, response: str) -> None:
    given = f"{response}TokenCount"
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage.get(given, 0)
    assert sum(row["tokenCount"] for row in usage["promptTokensDetails"]) == usage["promptTokenCount"]
    assert sum(row["tokenCount"] for row in usage.get(f"{response}TokensDetails", [])) == usage.get(given, 0)
    known = {"promptTokenCount", "totalTokenCount", "promptTokensDetails", given, f"{response}TokensDetails"}
    assert set(usage) <= known


def counted(rows: list[Message]) -> dict[str, int]:
    return {row["modality"]: row["tokenCount"] for row in rows}


@pytest.mark.parametrize("name", [name for name in TAKE_TEXT if "extended" not in name])
async def test_usage_adds_up_and_the_context_grows(name: str) -> None:
    """C31, USAGE-1: counts of a turn, in the vocabulary of the surface; details sum up to them, and what was said in
    either direction is the prompt of the next turn."""
    kind = KINDS[name]
    got = await ask(kind, talk.content("one two three"), talk.content("four"), talk.text("five six"))
    before: Message | None = None
    for asked, turn in zip((3, 1, 2), got, strict=True):
        (usage,) = talk.usages(turn)
        adds_up(usage, kind.response)
        seconds = len(talk.sound_of(turn)) / 2 / synth.RATE
        assert counted(usage[f"{kind.response}TokensDetails"]) == {"AUDIO": round(25 * seconds)}
        if before is not None:
            assert usage["promptTokenCount"] == before["totalTokenCount"] + asked
        before = usage


async def test_what_is_counted_of_the_user() -> None:
    """25 tokens a second of sound in either direction, 258 a picture, one a word."""
    picture = {"inlineData": {"mimeType": "image/png", "data": codec.encode_base64(b"x" * 3000)}}
    turn = {"role": "user", "parts": [{"text": "two words"}, picture, picture]}
    got = await ask(KINDS["2.5 native"], {"clientContent": {"turns": [turn], "turnComplete": True}}, utterance(2.0))
    first, second = (talk.usages(turn)[0] for turn in got)
    assert counted(first["promptTokensDetails"]) == {"TEXT": 8 + 2, "IMAGE": 516}
    spoken = counted(first["responseTokensDetails"])["AUDIO"]
    assert counted(second["promptTokensDetails"]) == {"TEXT": 10, "IMAGE": 516, "AUDIO": spoken + 50}


async def test_usage_comes_early_in_a_spoken_turn_of_3_1() -> None:
    """C4b: {"serverContent":{},"usageMetadata":{the prompt's counts}} ahead of the sound, {} with turnComplete; a turn
    asked for by text has its counts at the end."""
    spoken, asked = await ask(KINDS["3.1"], utterance(), HELLO)
    early, late = talk.usages(spoken)
    adds_up(early, "response")
    assert "responseTokenCount" not in early
    assert late == {}
    (usage,) = talk.usages(asked)
    adds_up(usage, "response")
    assert usage["responseTokenCount"] > 0


async def test_usage_streams_on_the_translate_model() -> None:
    """C31: frames of their own with the counts of the sound before them, none at the end; B5 has no zero and no empty
    list in JSON made from protobuf."""
    (got,) = await ask(KINDS["3.5 translate"], utterance())
    total = 0
    for index, one in enumerate(got):
        if "usageMetadata" in one:
            assert set(one) == {"usageMetadata"}
            assert "audio" in talk.brief(got[index - 1])
            usage = one["usageMetadata"]
            total += usage["responseTokenCount"]
            assert usage["totalTokenCount"] == usage["responseTokenCount"]
            assert all(value for value in usage.values())
    assert abs(total - 25 * len(talk.sound_of(got)) / 2 / synth.RATE) < len(talk.blobs(got))
    assert "usageMetadata" not in got[-1]


async def test_the_transcribe_model_counts_nothing() -> None:
    """C31, C15: no usageMetadata, no turnComplete and no handle."""
    (got,) = await ask(KINDS["3.5 transcribe"], utterance())
    assert {word for one in got for word in talk.brief(one)} == {
        "empty", "activityStart", "interim", "heard", "generationComplete", "activityEnd",
    }  # fmt: skip


async def test_a_cut_turn_counts_what_was_said() -> None:
    """C8: turnComplete after interrupted has the counts of what had come till then."""
    async with talk.connected(KINDS["3.8"].about(), pace=0.25) as caller:
        await caller.say(talk.content("a long story " * 20))
        await caller.until("audio")
        await caller.until("audio")
        await caller.say(talk.text("stop"))
        got = caller.messages[: len(caller.messages)] + await caller.until("turnComplete")
    usage = talk.usages(got)[0]
    adds_up(usage, "response")
    assert usage["responseTokenCount"] == round(25 * len(talk.sound_of(got)) / 2 / synth.RATE)


# What else a turn can be


@pytest.mark.parametrize(("name", "role"), [("Vertex half cascade", "model"), ("retired half cascade", None)])
async def test_text_from_the_half_cascade(name: str, role: str | None) -> None:
    """MODEL-3: these models answer in TEXT, too; modelTurn has the role on Vertex only, and counts are TEXT."""
    kind = KINDS[name]

    setup = {
        "model": kind.model,
        "generationConfig": {"responseModalities": ["TEXT"]},
        "outputAudioTranscription": {},
    }
    async with talk.connected(setup, path=kind.path) as caller:
        got = await caller.turn(talk.content("Hi you"))
    end = "turnComplete+grounding+usage" if name.startswith("Vertex") else "turnComplete+usage"
    assert talk.brief_all(got) == ["text", "generationComplete", end]
    assert talk.words(got) == REPLY.format("Hi you")
    assert len(talk.parts(got)) > 1
    assert {one["serverContent"]["modelTurn"].get("role") for one in got if talk.parts([one])} == {role}
    adds_up(talk.usages(got)[0], kind.response)
    assert counted(talk.usages(got)[0][f"{kind.response}TokensDetails"]) == {"TEXT": len(talk.words(got).split())}


@pytest.mark.parametrize("wanted", [True, False])
async def test_thoughts(wanted: bool) -> None:
    """C3: a thought is a text part of its own ahead of the voice, when includeThoughts asks for it."""
    config = {"responseModalities": ["AUDIO"], "thinkingConfig": {"includeThoughts": wanted}}
    async with talk.connected(KINDS["2.5 native"].about(generationConfig=config)) as caller:
        got = await caller.turn(HELLO)
    order = talk.brief_all(got, leave=("audio", "said"))
    assert order == [*["thought"] * wanted, "generationComplete", "turnComplete+usage"]
    if wanted:
        assert set(talk.parts(got)[0]) == {"text", "thought"}
        assert talk.parts(got)[0]["thought"] is True


async def test_the_turn_of_extended_thinking_ends_at_idle() -> None:
    """TURN-2, C30: turnComplete ends an utterance, IN_PROGRESS says that more comes, IDLE ends the turn."""
    (got,) = await ask(KINDS["3.8 extended thinking"], HELLO)
    statuses = [one["serverContent"]["interactionStatus"] for one in got if "interactionStatus" in str(one)]
    assert statuses == ["IN_PROGRESS", "IDLE"]
    assert got[-1] == {"serverContent": {"interactionStatus": "IDLE"}}
    first, second = talk.usages(got)
    adds_up(first, "response")
    adds_up(second, "response")
    assert second["promptTokenCount"] == first["totalTokenCount"]


@pytest.mark.parametrize("name", KINDS)
async def test_every_message_passes_the_machine(name: str) -> None:
    """A reader finds nothing to say about a session, and is idle at its end."""
    kind = KINDS[name]

    log: list[tuple[str, bytes]] = [("client", json.dumps({"setup": kind.about()}).encode())]
    async with talk.connected(kind.about(), path=kind.path) as caller:

        async def exchange(*messages: Any, end: str) -> None:
            log.extend(("client", json.dumps(one).encode()) for one in messages)
            before = len(caller.frames)
            await caller.say(*messages)
            if end:
                await caller.until(end)
            log.extend(("server", frame) for frame in caller.frames[before:])

        await caller.settle()
        log.extend(("server", frame) for frame in caller.frames)
        await exchange(json.loads(talk.audio(utterance(0.6))), end=kind.end)
        if kind.asked:
            await exchange(HELLO, end="audio")
            await exchange(talk.text("stop"), end="interrupted")
            await exchange(end="turnComplete")
            await exchange(end=kind.end)
    reader = Conversation(surface="vertex" if kind.path == VERTEX else "gemini", version="v1beta")
    for sender, raw in log:
        step = reader.step(sender, raw)  # type: ignore[arg-type]
        assert not [one for one in step.findings if one.rule not in ("MODEL-2", "TURN-6")], raw
    assert reader.states["turn"] == "idle"


async def test_the_same_is_said_in_the_same_frames() -> None:
    """The same seed and the same words make the same frames, ids and all; another seed makes other ids."""

    async def frames(seed: str) -> list[Message]:
        async with talk.connected(KINDS["3.1"].about(tools=talk.functions("call_me")), seed=seed) as caller:
            await caller.say(talk.content("Try call_me"))
            called = await caller.until("toolCall")
            await caller.say(talk.answer({"ok": True}, talk.calls(called)[0]["id"]))
            await caller.until("handle")
            return caller.messages

    assert await frames("a") == await frames("a")
    assert talk.calls(await frames("a"))[0]["id"] != talk.calls(await frames("b"))[0]["id"]


# Where a session begins


@pytest.mark.parametrize(
    "path",
    [
        GEMINI,
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


async def test_pipelined_clients_are_served() -> None:
    """SETUP-2: setup, a turn and sound in one go, without waiting for setupComplete: queued, and answered in order."""
    async with talk.connected(heard=["Well"]) as caller:
        await caller.say({"setup": KINDS["3.8"].about()}, HELLO, talk.text("and then"))
        await caller.speak(utterance(0.5))
        await caller.until("setupComplete")
        await caller.until("heard")
        await caller.until("generationComplete")
        got = caller.messages
    assert talk.brief(got[0]) == ["setupComplete"]
    assert talk.words(got).endswith('"Well".')


async def test_a_long_prompt_makes_no_long_reply() -> None:
    """The stand-in repeats 120 characters at most, and counts all the words."""
    async with talk.connected(TEST) as caller:
        got = await caller.turn(talk.content("word " * 200_000))
    assert len(got) < 100
    assert talk.usages(got)[0]["promptTokenCount"] == 8 + 200_000


def test_the_voice_is_soft_and_musical() -> None:
    """It is listened to: no clicks, a pitch and not noise, below a third of full scale."""
    samples = array("h", synth.render("Is this a voice, or noise? A voice."))
    assert len(samples) > synth.RATE
    assert max(map(abs, samples)) < 11_000
    assert max(abs(a - b) for a, b in pairwise(samples)) < 2_000, "no note of its scale rises faster"
    crossings = sum(a < 0 <= b for a, b in pairwise(samples)) / (len(samples) / synth.RATE)
    assert 100 < crossings < 600
    assert synth.render("") == b""
