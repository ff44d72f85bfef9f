"""The stand-in, looked at frame by frame: what a client sees must be what the service would show it."""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from livews.core import wire
from livews.core.conversation import Conversation
from livews.kit import voice
from livews.kit.standin import Policy, stand_in

PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
SETUP = {"setup": {"model": "models/gemini-3.8-live", "outputAudioTranscription": {}}}
HELLO = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hello"}]}], "turnComplete": True}}


def run(
    use: Callable[[ClientConnection], Awaitable[Any]],
    *,
    path: str = PATH,
    headers: dict[str, str] | None = None,
    policy: Policy | None = None,
) -> Any:
    async def go() -> Any:
        async with stand_in(policy=policy or Policy(pace=0)) as url:
            async with connect(url + path, additional_headers=headers, compression=None, max_size=None) as socket:
                async with asyncio.timeout(15):
                    return await use(socket)

    return asyncio.run(go())


async def turn(socket: ClientConnection, *messages: Any) -> list[bytes]:
    """Send messages, each as it is or as JSON; the frames up to turnComplete."""
    for message in messages:
        await socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    frames = []
    while not frames or b"turnComplete" not in frames[-1]:
        frame = await socket.recv()
        assert isinstance(frame, bytes), "the service sends binary frames (WIRE-1)"
        frames.append(frame)
    return frames


def closed(*messages: Any, **options: Any) -> tuple[int, str]:
    """How the stand-in closes after these messages."""

    async def use(socket: ClientConnection) -> tuple[int, str]:
        with pytest.raises(ConnectionClosed) as caught:
            await turn(socket, *messages)
        received = caught.value.rcvd
        assert received is not None
        return received.code, received.reason

    return run(use, **options)  # type: ignore[no-any-return]


def test_the_framing_is_the_services() -> None:
    frames = run(lambda socket: turn(socket, SETUP, HELLO))
    assert frames[0] == b'{\n  "setupComplete": {}\n}\n'
    for frame in frames:
        assert frame.isascii()
        assert frame == wire.dump_as_service(json.loads(frame)), "two spaces, one trailing newline"


def test_every_frame_passes_the_schemas_and_the_machine() -> None:
    frames = run(lambda socket: turn(socket, SETUP, HELLO))
    talk = Conversation(inspect=True)
    talk.step_message("client", SETUP)
    for i, frame in enumerate(frames):
        step = talk.step("server", frame)
        assert not step.findings
        if i == 0:
            talk.step_message("client", HELLO)
    assert talk.states == {"session": "ready", "activity": "none", "turn": "idle"}


def test_order_of_a_turn() -> None:
    bodies = [json.loads(frame) for frame in run(lambda socket: turn(socket, SETUP, HELLO))]
    assert bodies[-2] == {"serverContent": {"generationComplete": True}}
    assert bodies[-1]["serverContent"] == {"turnComplete": True}
    usage = bodies[-1]["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["responseTokenCount"]
    assert sum(row["tokenCount"] for row in usage["responseTokensDetails"]) == usage["responseTokenCount"]
    words = "".join(b.get("serverContent", {}).get("outputTranscription", {}).get("text", "") for b in bodies[1:])
    assert words == 'This is the livews stand-in, not Gemini. I heard "Hello".'
    sounds = [p for b in bodies[1:] for p in b.get("serverContent", {}).get("modelTurn", {}).get("parts", [])]
    assert len(sounds) > 5
    assert all(len(wire.decode_base64(p["inlineData"]["data"])) <= 11520 for p in sounds)


def test_the_same_words_get_the_same_frames() -> None:
    assert run(lambda socket: turn(socket, SETUP, HELLO)) == run(lambda socket: turn(socket, SETUP, HELLO))


def test_transcripts_only_when_asked_for() -> None:
    frames = run(lambda socket: turn(socket, {"setup": {"model": "models/gemini-3.8-live"}}, HELLO))
    assert not any(b"outputTranscription" in frame for frame in frames)


@pytest.mark.parametrize(
    ("model", "mime_type", "role", "usage"),
    [
        ("models/gemini-3.8-live", "audio/pcm;rate=24000", None, "responseTokenCount"),
        ("models/gemini-2.5-flash-native-audio-latest", "audio/pcm;rate=24000", None, "responseTokenCount"),
        ("publishers/google/models/gemini-live-2.5-flash", "audio/pcm", "model", "candidatesTokenCount"),
    ],
)
def test_profiles_differ_by_data(model: str, mime_type: str, role: str | None, usage: str) -> None:
    setup = {"setup": {"model": model, "outputAudioTranscription": {}}}
    bodies = [json.loads(frame) for frame in run(lambda socket: turn(socket, setup, HELLO))]
    turns = [b["serverContent"]["modelTurn"] for b in bodies if "modelTurn" in b.get("serverContent", {})]
    assert {t["parts"][0]["inlineData"]["mimeType"] for t in turns} == {mime_type}
    assert {t.get("role") for t in turns} == {role}
    assert usage in bodies[-1]["usageMetadata"]
    assert ("sessionId" in bodies[0]["setupComplete"]) == (role == "model")


def test_realtime_text_and_both_spellings() -> None:
    async def use(socket: ClientConnection) -> list[bytes]:
        await turn(socket, {"setup": {"model": "models/test", "generation_config": {"response_modalities": "TEXT"}}},
                   {"client_content": {"turns": [{"parts": [{"text": "one"}]}], "turn_complete": True}})  # fmt: skip
        return await turn(socket, {"realtime_input": {"text": "two"}})

    frames = run(use)
    text = "".join(
        p["text"] for f in frames for p in json.loads(f).get("serverContent", {}).get("modelTurn", {}).get("parts", [])
    )
    assert '"two"' in text


def test_a_turn_in_pieces_is_one_turn() -> None:
    part = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "first"}]}]}}
    frames = run(lambda socket: turn(socket, SETUP, part, HELLO))
    words = "".join(
        json.loads(f).get("serverContent", {}).get("outputTranscription", {}).get("text", "") for f in frames
    )
    assert '"first Hello"' in words


def test_pipelined_clients_are_served() -> None:
    """Setup and the first turn in one go, without waiting for setupComplete (SETUP-2)."""
    assert len(run(lambda socket: turn(socket, SETUP, HELLO))) > 5


def test_manual_activity_is_answered() -> None:
    setup = {"setup": {"model": "models/test", "outputAudioTranscription": {},
                       "realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}}  # fmt: skip
    sound = wire.audio_frame(bytes(32000), 16000).decode()
    frames = run(
        lambda socket: turn(
            socket, setup, {"realtimeInput": {"activityStart": {}}}, sound, {"realtimeInput": {"activityEnd": {}}}
        )
    )
    words = "".join(
        json.loads(f).get("serverContent", {}).get("outputTranscription", {}).get("text", "") for f in frames
    )
    assert "1.0 seconds of silence" in words


def test_a_new_turn_interrupts_the_running_one() -> None:
    async def use(socket: ClientConnection) -> list[dict[str, Any]]:
        await socket.send(json.dumps(SETUP))
        await socket.recv()
        await socket.send(json.dumps(HELLO))
        await socket.recv()
        await socket.send(json.dumps({"realtimeInput": {"text": "stop"}}))
        bodies = [json.loads(f) for f in await turn(socket)]
        bodies += [json.loads(f) for f in await turn(socket)]
        return bodies

    bodies = run(use, policy=Policy(pace=0.3))
    flags = [key for body in bodies for key in body.get("serverContent", {}) if key in ("interrupted", "turnComplete")]
    assert flags == ["interrupted", "turnComplete", "turnComplete"]
    cut = next(i for i, body in enumerate(bodies) if "interrupted" in body["serverContent"])
    assert bodies[cut + 1]["serverContent"] == {"turnComplete": True}, "right behind it (TURN-4)"


def test_turn_complete_is_paced_to_playback() -> None:
    async def use(socket: ClientConnection) -> tuple[float, float, float]:
        await socket.send(json.dumps(SETUP))
        await socket.recv()
        await socket.send(json.dumps(HELLO))
        first = generated = 0.0
        seconds = 0.0
        while True:
            body = json.loads(await socket.recv()).get("serverContent", {})
            for part in body.get("modelTurn", {}).get("parts", []):
                first = first or time.monotonic()
                seconds += len(wire.decode_base64(part["inlineData"]["data"])) / 48000
            if "generationComplete" in body:
                generated = time.monotonic() - first
            if "turnComplete" in body:
                return seconds, generated, time.monotonic() - first

    seconds, generated, ended = run(use, policy=Policy(pace=0.5))
    assert generated < seconds * 0.5, "audio comes faster than it plays (AUDIO-5)"
    assert seconds * 0.5 - 0.1 <= ended, "turnComplete waits for the ear (TURN-3)"


REFUSALS = [
    ([HELLO], (1007, "setup must be the first message and only the first")),
    ([SETUP, SETUP], (1007, "setup must be the first message and only the first")),
    ([{"setup": {"model": "models/gemini-3.8-live", "bogusField": 1}}],
     (1007, "Invalid JSON payload received. Unknown name \"bogusField\" at 'setup': Cannot find field.")),
    ([{"setup": {"model": "models/gemini-3.8-live", "sessionResumption": {"transparent": True}}}],
     (1007, "Invalid JSON payload received. Unknown name \"transparent\" at 'setup.session_resumption': Cannot find field.")),
    ([{"setup": {"model": "models/gemini-3.8-live", "proactivity": {}}}],
     (1007, "Invalid JSON payload received. Unknown name \"proactivity\" at 'setup': Cannot find field.")),
    ([{"setup": {"model": "models/gemini-live-2.5-flash-preview"}}],
     (1008, "models/gemini-live-2.5-flash-preview is not found for API version v1beta, or is not supported for "
            "bidiGenerateContent. Call"[:123])),
    ([{"setup": {"model": "models/gemini-3.8-live", "generationConfig": {"presencePenalty": 1}}}],
     (1007, "presence_penalty not supported in generation config.")),
    ([SETUP, {"realtimeInput": {"activityStart": {}}}],
     (1007, "Explicit activity control is not supported when automatic activity detection is enabled.")),
    ([SETUP, wire.audio_frame(bytes(640), 24000).decode(), wire.audio_frame(bytes(640), 16000).decode()],
     (1007, "Sample rate changed from previously 24000 to 16000, which is not supported.")),
    ([SETUP, "not json"], (1007, "Request contains an invalid argument.")),
    ([SETUP, b"\xff"], (1007, "Request contains an invalid argument.")),
    ([{"setup": {"model": "models/gemini-3.8-live", "contextWindowCompression": {"triggerTokens": "10"}}}],
     (1007, "Context window trigger tokens must be within [5000, 128000]")),
    ([{"setup": {"model": "models/gemini-3.8-live", "sessionResumption": {"handle": "old"}}}],
     (1008, "BidiGenerateContent session not found")),
]  # fmt: skip


@pytest.mark.parametrize(("messages", "close"), REFUSALS, ids=lambda value: str(value)[:50])
def test_refusals_are_the_services(messages: list[Any], close: tuple[int, str]) -> None:
    code, reason = closed(*messages, policy=Policy(pace=0, as_of="2026-11"))
    assert code == close[0]
    assert reason.startswith(close[1])
    assert len(reason.encode()) <= 123


def test_a_reason_is_cut_at_123_bytes() -> None:
    setup = {"setup": {"model": "models/gemini-3.8-live", "generationConfig": {"responseModalities": ["TEXT"]}}}
    code, reason = closed(setup)
    assert code == 1007
    assert len(reason.encode()) == 123
    assert reason.startswith(
        "The requested combination of response modalities (TEXT) is not supported by the model. "
    )


@pytest.mark.parametrize(
    ("headers", "query", "close"),
    [
        ({}, "", (1008, "Method doesn't allow unregistered callers")),
        ({"x-goog-api-key": "wrong"}, "", (1007, "API key not valid. Please pass a valid API key.")),
        ({"x-goog-api-key": "right"}, "", None),
        ({"Authorization": "Bearer right"}, "", None),
        ({}, "?key=right", None),
        ({}, "?access_token=right", None),
    ],
)
def test_keys(headers: dict[str, str], query: str, close: tuple[int, str] | None) -> None:
    policy = Policy(pace=0, require_key="right")
    if close is None:
        assert run(lambda socket: turn(socket, SETUP, HELLO), headers=headers, path=PATH + query, policy=policy)
        return
    code, reason = closed(SETUP, HELLO, headers=headers, path=PATH + query, policy=policy)
    assert code == close[0]
    assert reason.startswith(close[1])


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        "/" + PATH,
        PATH.replace("v1beta", "v1alpha") + "Constrained",
        PATH.replace("v1beta", "v1"),
        "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent",
        "/some/gateway",
    ],
)
def test_paths(path: str) -> None:
    assert run(lambda socket: turn(socket, SETUP, HELLO), path=path)


def test_a_wrong_method_is_not_found() -> None:
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus) as caught:
        run(lambda socket: turn(socket), path=PATH.replace("BidiGenerateContent", "Generate"))
    assert caught.value.response.status_code == 404


def test_a_long_name_does_not_make_a_long_reply() -> None:
    asked = {"clientContent": {"turns": [{"parts": [{"text": "a " * 200_000}]}], "turnComplete": True}}
    assert len(run(lambda socket: turn(socket, SETUP, asked))) < 100


def test_the_prompt_is_counted() -> None:
    asked = {"clientContent": {"turns": [{"parts": [{"text": "one two three"}]}], "turnComplete": True}}
    assert json.loads(run(lambda socket: turn(socket, SETUP, asked))[-1])["usageMetadata"]["promptTokenCount"] == 11


@pytest.mark.parametrize("path", ["//[x", "/%zz?key=%zz", "//"])
def test_odd_paths_are_served(path: str) -> None:
    assert run(lambda socket: turn(socket, SETUP, HELLO), path=path)


def test_the_voice_is_soft_and_musical() -> None:
    samples = array("h", voice.render("Is this a voice, or noise? A voice."))
    assert len(samples) > voice.RATE
    assert max(map(abs, samples)) < 11_000
    assert max(abs(a - b) for a, b in pairwise(samples)) < 2_000, (
        "no clicks: a step of one of these notes is below that"
    )
    crossings = sum(a < 0 <= b for a, b in pairwise(samples)) / (len(samples) / voice.RATE)
    assert 100 < crossings < 600, "a pitch, not noise"
    assert voice.render("") == b""
