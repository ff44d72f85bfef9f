"""Every row of protocol/closes.json, provoked: by a fault, and by what a client does or the stand-in is started with.

- Reasons are compared byte for byte, cut at 123 bytes (CLOSE-2).
- WAYS are what a client can say; OTHER_WAYS need two clients, the end of one, or a bare socket; ELSEWHERE need time or
  a token.
- A row that no client can bring about is named in ONLY_BY_FAULT, and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livews.core import closes, protocol
from livews.server.server import StandInServer
from tests.kit import talk
from tests.kit.names import GEMINI, LIVE_31, LIVE_38, NATIVE, TEST, VERTEX
from tests.kit.sound import silence
from tests.kit.talk import Message

ROWS: list[dict[str, Any]] = protocol.closes()
ALPHA = GEMINI.replace("v1beta", "v1alpha")


def twins(row: dict[str, Any]) -> set[str]:
    """The rows with the same words and code: nobody can tell them apart."""
    return {one["id"] for one in ROWS if (one["match"], one["code"]) == (row["match"], row["code"])}


def row_of(close_id: str) -> dict[str, Any]:
    return next(row for row in ROWS if row["id"] == close_id)


# By a fault

NAMED = {
    "model-not-found": "models/test is not found for API version v1beta, or is not supported for bidiGenerateContent. "
    "Call ListModels to see the list of avail",
    "not-a-live-model": "models/test is not supported in the live api.",
    "invalid-value": "Invalid value at 'path' (type), \"value\"",
}
"""What a row says of this client, or where it was never seen. The others are said as they were seen."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
async def test_a_fault_closes_as_the_row_says(row: dict[str, Any]) -> None:
    async with talk.serving(faults=[f"close={row['id']}"]) as server:
        if row["code"] == 0:
            with pytest.raises(InvalidStatus) as caught:
                async with talk.calling(server):
                    pass
            assert caught.value.response.status_code == row["http"]
            assert closes.explain_http(row["http"]).id == row["id"]
            return
        async with talk.calling(server) as caller:
            await caller.say({"setup": {"model": TEST}})
            code, reason = await caller.closed()
    assert caller.messages == [], "instead of setupComplete"
    assert code == row["code"]
    assert reason == NAMED.get(row["id"], row["reason"])[:123]
    assert "{" not in reason, "a blank was left open"
    assert len(reason.encode()) <= 123
    assert closes.explain(code, reason).id in twins(row)


async def test_a_death_is_no_close_frame() -> None:
    """`closed` says 1006 for any socket without a close frame; here the client's library says it."""
    async with talk.connected(faults=["close=no-close-frame"]) as caller:
        await caller.say({"setup": {"model": TEST}})
        with pytest.raises(ConnectionClosed) as caught:
            await caller.hear()
        end = caught.value
    assert (end.rcvd, end.sent) == (None, None)


@pytest.mark.parametrize("number", [2, 3, 4])
async def test_a_close_at_a_message_comes_instead_of_it(number: int) -> None:
    async with talk.connected(TEST, faults=[f"close=unavailable@{number}"]) as caller:
        await caller.say(talk.content("hello"))
        assert await caller.closed() == (1011, "The service is currently unavailable.")
        assert len(caller.messages) == number - 1


# By what a client does


@dataclass
class Way:
    """Messages a client says, one after the other, and the close they earn. The first is said at once; each later one
    when the stand-in has answered setup."""

    id: str
    setup: Message | None
    then: tuple[Message | str | bytes, ...] = ()
    reason: str = ""
    """What the row says, by default."""
    path: str = GEMINI
    headers: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    before: list[Message] = field(default_factory=list)
    """Said ahead of the close, after setupComplete."""
    first: Message | None = None
    """Said ahead of setup."""


def unknown(name: str, at: str) -> str:
    return f"Invalid JSON payload received. Unknown name \"{name}\" at '{at}': Cannot find field."


def invalid(at: str, kind: str, value: str) -> str:
    return f"Invalid value at '{at}' (type.googleapis.com/google.ai.generativelanguage.v1beta.{kind}), \"{value}\""


def not_found(model: str, version: str = "v1beta") -> str:
    return (
        f"{model} is not found for API version {version}, or is not supported for bidiGenerateContent. "
        "Call ListModels to see the list of available models"
    )


def setup(model: str = TEST, **members: Any) -> Message:
    return {"model": model, **members}


def generation(model: str = TEST, **members: Any) -> Message:
    return {"model": model, "generationConfig": members}


def detection(**members: Any) -> Message:
    return {"model": TEST, "realtimeInputConfig": {"automaticActivityDetection": members}}


CHUNKS: Message = {"realtimeInput": {"mediaChunks": [{"mimeType": "audio/pcm;rate=16000", "data": "AAAA"}]}}
NO_TEXT = "The requested combination of response modalities (TEXT) is not supported by the model. "
NOT_FIRST = "setup must be the first message and only the first"
KEY = {"require_key": "right"}
ENDED: Message = {"serverContent": {"turnComplete": True}, "usageMetadata": {}}

WAYS = [
    Way("invalid-argument", setup(), ("not json",)),
    Way("invalid-argument", setup(), ("[]",)),
    Way("invalid-argument", setup(), (b"\xff\xfe",)),
    Way("invalid-argument", setup(), ("[" * 200 + "]" * 200,)),
    Way("invalid-argument", setup(), ({"realtimeInput": {"audio": {"mimeType": "audio/pcm", "data": "*"}}},)),
    Way("invalid-argument", None, first=talk.text("too early")),
    Way("invalid-argument", None, first={"realtime_input": {"text": "x"}}),
    Way("invalid-argument", setup("")),
    Way("invalid-argument", {}),
    Way("invalid-argument", generation(LIVE_38, thinkingConfig={})),
    Way("invalid-argument", generation(LIVE_38, enableAffectiveDialog=True)),
    Way("invalid-argument", setup(LIVE_31), (talk.content("hello"),), config={"as_of": "2026-03"}),
    Way("invalid-argument", generation(NATIVE, responseModalities=["TEXT"]), config={"as_of": "2025-10"}),
    Way("unknown-name", setup(bogusField=1)),
    Way("unknown-name", setup(responseModalities=["AUDIO"]), reason=unknown("responseModalities", "setup")),
    Way("unknown-name", generation(bogus_field=1), reason=unknown("bogus_field", "setup.generation_config")),
    Way("unknown-name", setup(tools=[{"googleSearch": {}}, {"functionDeclarations": [{"name": "f", "x": 1}]}]),
        reason=unknown("x", "setup.tools[1].function_declarations[0]")),
    Way("unknown-name", setup(), ({"clientContent": {"turns": [{"parts": [{"text": "a"}, {"x": 1}]}]}},),
        reason=unknown("x", "client_content.turns[0].parts[1]")),
    Way("unknown-name", setup(), ({"clientContent": {"turn_completed": 1}},),
        reason=unknown("turn_completed", "client_content")),
    Way("unknown-name-proactivity", setup(LIVE_38, proactivity={})),
    Way("unknown-name-media-resolution", setup(mediaResolution="X")),
    Way("unknown-name-thinking-config", setup(thinkingConfig={})),
    Way("unknown-name-speech-config", setup(speechConfig={})),
    Way("unknown-name-transparent", setup(sessionResumption={"transparent": True})),
    Way("unknown-name-language-codes", setup(inputAudioTranscription={"language": "de"}),
        reason=unknown("language", "setup.input_audio_transcription")),
    Way("system-instruction-not-content", setup(systemInstruction="Be kind"),
        reason=invalid("setup.system_instruction", "Content", "Be kind")),
    Way("invalid-thinking-level", generation(LIVE_31, thinkingConfig={"thinkingLevel": "SUPER_DEEP"}),
        reason=invalid("setup.generation_config.thinking_config.thinking_level", "ThinkingConfigThinkingLevel", "SUPER_DEEP")),
    Way("invalid-media-resolution", generation(mediaResolution="HIGH"),
        reason=invalid("setup.generation_config.media_resolution", "MediaResolution", "HIGH")),
    Way("invalid-turn-coverage",
        setup("publishers/google/models/gemini-3.8-live", realtimeInputConfig={"turnCoverage": "ALL"}),
        reason=invalid("setup.realtime_input_config.turn_coverage", "TurnCoverage", "ALL"), path=VERTEX),
    Way("invalid-start-sensitivity", detection(startOfSpeechSensitivity="HIGH"),
        reason=invalid("setup.realtime_input_config.automatic_activity_detection.start_of_speech_sensitivity", "StartSensitivity", "HIGH")),
    Way("input-transcription-oneof", setup(inputAudioTranscription={"languageAuto": {}, "languageHints": {}}),
        reason="Invalid value at 'setup.input_audio_transcription' (oneof), \"\""),
    Way("invalid-value", setup(realtimeInputConfig={"activityHandling": "OFF"}),
        reason=invalid("setup.realtime_input_config.activity_handling", "ActivityHandling", "OFF")),
    Way("invalid-value", setup(), ({"clientContent": {"turns": ["hello"]}},),
        reason=invalid("client_content.turns[0]", "Content", "hello")),
    Way("setup-not-first", None, first=talk.content("hello")),
    Way("setup-not-first", None, first={"toolResponse": {"functionResponses": []}}),
    Way("setup-not-first", setup(), ({"setup": {"model": TEST}},)),
    Way("key-not-valid", setup(), config=KEY, headers={"x-goog-api-key": "wrong"}),
    Way("no-credentials", setup(), config=KEY),
    Way("voices-from-non-audio", generation(NATIVE, responseModalities=["TEXT"]), config={"as_of": "2025-12"}),
    Way("voices-from-non-audio", generation(LIVE_31, responseModalities=["TEXT"]), config={"as_of": "2026-04"}),
    Way("text-not-supported", generation(LIVE_31, responseModalities=["TEXT"]), reason=f"{NO_TEXT}{LIVE_31} a"),
    Way("text-not-supported", generation(LIVE_38, responseModalities=["TEXT"]),
        reason=f"{NO_TEXT}{LIVE_38} accepts the f", config={"as_of": "2026-10"}),
    Way("text-not-supported",
        {**generation("models/gemini-3.5-transcribe-live", responseModalities=["AUDIO"]), "inputAudioTranscription": {}},
        reason=f"{NO_TEXT.replace('TEXT', 'AUDIO')}models/gemini-3.5-transcribe-live a"),
    Way("text-not-supported-vertex",
        generation("publishers/google/models/gemini-live-2.5-flash-native-audio", responseModalities=["TEXT"]),
        path=VERTEX),
    Way("activity-markers-with-vad", setup(), (talk.START,)),
    Way("activity-markers-with-vad", setup(), (talk.END,)),
    Way("media-chunks-deprecated", setup(LIVE_31), (CHUNKS,)),
    Way("media-chunks-deprecated", setup(LIVE_38), (CHUNKS,)),
    Way("sample-rate-changed", setup(), (talk.audio(silence(0.1, 24000), 24000), talk.audio(silence(0.1), 16000))),
    Way("sample-rate-changed", setup(), (talk.audio(silence(0.1, 8000), 8000), talk.audio(silence(0.1), 0)),
        reason="Sample rate changed from previously 8000 to 16000, which is not supported."),
    Way("empty-activity", setup(**talk.MANUAL), (talk.START, talk.END), before=[ENDED]),
    Way("language-code-not-supported", generation(NATIVE, speechConfig={"languageCode": "de-DE"})),
    Way("voice-not-found", generation(speechConfig={"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "alloy"}}})),
    Way("code-execution-not-supported", setup(NATIVE, tools=[{"codeExecution": {}}])),
    Way("presence-penalty", generation(presencePenalty=1.0)),
    Way("frequency-penalty", generation(frequencyPenalty=1)),
    Way("response-schema", generation(NATIVE, responseSchema={"type": "OBJECT"})),
    Way("trigger-tokens-range", setup(contextWindowCompression={"triggerTokens": 4999})),
    Way("trigger-tokens-range", setup(contextWindowCompression={"triggerTokens": "128001", "slidingWindow": {}})),
    Way("not-a-live-model", setup("publishers/google/models/nothing"),
        reason="publishers/google/models/nothing is not supported in the live api.", path=VERTEX),
    Way("invalid-resource", setup(LIVE_38), path=VERTEX),
    Way("invalid-resource", setup("models/publishers/google/models/gemini-3.8-live"), path=VERTEX),
    Way("invalid-resource", setup("publishers/google/models/models/gemini-3.8-live"), path=VERTEX),
    Way("invalid-resource", setup("gemini-3.8-live"), path=VERTEX),
    Way("invalid-resource", {}, path=VERTEX),
    Way("model-not-found", setup("models/nothing"), reason=not_found("models/nothing")),
    Way("model-not-found", setup("models/nothing"), reason=not_found("models/nothing", "v1alpha"), path=ALPHA),
    Way("model-not-found", setup("models/gemini-2.0-flash-live-001"),
        reason=not_found("models/gemini-2.0-flash-live-001"), config={"as_of": "2026-01"}),
    Way("session-not-found", setup(sessionResumption={"handle": "old"})),
    Way("internal-error", generation(LIVE_31, enableAffectiveDialog=True), path=ALPHA),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
async def test_a_client_is_refused_as_the_row_says(way: Way) -> None:
    async with talk.connected(path=way.path, headers=way.headers, **way.config) as caller:
        if way.first is not None:
            await caller.say(way.first)
        if way.setup is not None:
            await caller.say({"setup": way.setup})
        if way.then:
            assert "setupComplete" in await caller.hear()
            caller.messages.clear()
            for message in way.then:
                await caller.say(message)
        async with asyncio.timeout(10):
            code, reason = await caller.closed()
    before = [message for message in caller.messages if "sessionResumptionUpdate" not in message]
    assert (code, reason) == (row_of(way.id)["code"], (way.reason or row_of(way.id)["reason"])[:123])
    assert closes.explain(code, reason).id == way.id
    assert before == way.before


async def test_a_reason_is_not_cut_inside_a_character() -> None:
    async with talk.connected() as caller:
        await caller.say({"setup": {"model": TEST, "a" + "ü" * 100: 1}})
        _, reason = await caller.closed()
    assert len(reason.encode()) == 122, "the next ü has two bytes, and there is room for one"
    assert reason == unknown("a" + "ü" * 100, "setup")[: len(reason)]


@pytest.mark.parametrize("frames", [1, 200])
async def test_a_client_that_sends_on_is_told_at_once(frames: int) -> None:
    """What it still sends is not taken, and does not stand between its own close and the stand-in."""
    async with talk.connected(TEST) as caller:
        for message in ["not json", *[talk.audio(silence(0.1))] * frames]:
            await caller.say(message)
        async with asyncio.timeout(3):
            assert await caller.closed() == (1007, "Request contains an invalid argument.")


async def test_who_asks_for_a_month_gets_what_was_said_then() -> None:
    """The same setup, three wordings and one silence in the life of a model."""
    said = []
    for month in ("2025-11", "2025-12", "2026-04", "2026-05", ""):
        async with talk.connected(as_of=month) as caller:
            await caller.say({"setup": generation(NATIVE, responseModalities=["TEXT"])})
            said.append((await caller.closed())[1][:30])
    assert said == [
        "Request contains an invalid ar",
        "Cannot extract voices from a n",
        "Cannot extract voices from a n",
        "The requested combination of r",
        "The requested combination of r",
    ]


async def test_a_model_that_is_gone_is_served_to_who_asks_for_no_month() -> None:
    async with talk.connected("models/gemini-2.0-flash-live-001") as caller:
        assert await caller.turn(talk.content("hello"))


# By two clients, by the end of one, by a bare socket

Ending = Callable[[], Awaitable[tuple[int, str]]]
OTHER_WAYS: dict[str, Ending] = {}
"""Row to a coroutine that brings it about, and gives code and reason as the client's library has them."""


def way(close_id: str) -> Callable[[Ending], Ending]:
    def keep(ending: Ending) -> Ending:
        assert f"{close_id}/{ending.__name__}" not in OTHER_WAYS
        OTHER_WAYS[f"{close_id}/{ending.__name__}"] = ending
        return ending

    return keep


@way("quota")
async def the_fourth_session() -> tuple[int, str]:
    async with talk.serving(sessions_per_key=3) as server, contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(talk.calling(server, TEST, headers={"x-goog-api-key": "k"}))
        await stack.enter_async_context(talk.calling(server, TEST, headers={"x-goog-api-key": "another"}))
        return await talk.refusal(server, {"setup": setup()}, headers={"x-goog-api-key": "k"})


@way("normal")
async def a_client_that_says_goodbye() -> tuple[int, str]:
    async with talk.connected(TEST) as caller:
        await caller.socket.close()
        return await caller.closed()


@way("going-away")
async def the_server_stops() -> tuple[int, str]:
    async with contextlib.AsyncExitStack() as client:
        async with talk.serving() as server:
            caller = await client.enter_async_context(talk.calling(server, TEST))
        return await caller.closed()


@way("no-close-frame")
async def the_connection_dies() -> tuple[int, str]:
    async with talk.connected(LIVE_38, faults=["drop@2"]) as caller:
        return await caller.closed()


@way("message-too-big")
async def a_frame_of_two_megabytes() -> tuple[int, str]:
    """The client's own library closes: 1 MiB is its limit (WIRE-13)."""
    async with talk.serving(faults=["big-message@2"]) as server:
        async with connect(server.url + GEMINI, compression=None) as socket:
            await socket.send(json.dumps({"setup": setup(LIVE_38)}))
            return await _own_end(socket)


@way("message-too-big")
async def a_client_that_says_too_much() -> tuple[int, str]:
    async with talk.connected(TEST) as caller:
        # the head of a masked text frame of 17 MiB: that is refused before the rest has come
        caller.socket.transport.write(b"\x81\xff" + (17 << 20).to_bytes(8, "big") + b"mask")
        code, reason = await caller.closed()
        assert reason.startswith("frame with"), "the library says how big it was"
        return code, ""


@way("keepalive-timeout")
async def pongs_come_too_late() -> tuple[int, str]:
    async with talk.serving(faults=["late-pong=60"]) as server:
        async with connect(server.url + GEMINI, compression=None, ping_interval=0.05, ping_timeout=0.1) as socket:
            await socket.send(json.dumps({"setup": setup()}))
            return await _own_end(socket)


async def _own_end(socket: ClientConnection) -> tuple[int, str]:
    """What the client's library itself closed with."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            async with asyncio.timeout(10):
                await socket.recv()
    assert caught.value.sent is not None
    assert caught.value.rcvd_then_sent is not True
    code, reason = caught.value.sent.code, caught.value.sent.reason
    return code, "" if code == 1009 else reason  # the library says how big it was, in words that change


@way("http-400")
async def an_upgrade_that_is_broken() -> tuple[int, str]:
    return await _http(b"Connection: Upgrade\r\nUpgrade: websocket\r\n")


@way("http-401")
async def vertex_without_a_bearer() -> tuple[int, str]:
    async with talk.serving(require_key="right") as server:
        return await _status(server, VERTEX)


@way("http-404")
async def a_method_that_is_not_there() -> tuple[int, str]:
    async with talk.serving() as server:
        return await _status(server, GEMINI.replace("BidiGenerateContent", "StreamGenerateContent"))


@way("http-426")
async def a_request_without_an_upgrade() -> tuple[int, str]:
    return await _http(b"")


async def _status(server: StandInServer, path: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        async with talk.calling(server, path=path):
            pass
    return 0, f"HTTP {caught.value.response.status_code}"


async def _http(lines: bytes) -> tuple[int, str]:
    async with talk.serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        writer.write(b"GET " + GEMINI.encode() + b" HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
        head = await reader.readline()
        writer.close()
        return 0, f"HTTP {head.split()[1].decode()}"


@pytest.mark.parametrize("name", OTHER_WAYS)
async def test_another_way_ends_as_the_row_says(name: str) -> None:
    row = row_of(name.partition("/")[0])
    async with asyncio.timeout(20):
        code, reason = await OTHER_WAYS[name]()
    assert code == row["code"]
    if code:
        assert reason == row["reason"][:123]
        assert closes.explain(code, reason).id in twins(row)
    else:
        assert reason == f"HTTP {row['http']}"
        assert closes.explain_http(row["http"]).id == row["id"]


# All of them

ONLY_BY_FAULT = {
    "key-not-found": "no key is ever deleted here",
    "location-not-supported": "the stand-in has no country",
    "context-window-exceeded": "no context is too long here",
    "invalid-argument-context-full": "nor here",
    "voice-sample-not-wav": "nobody's voice is copied",
    "not-implemented": "comes at random",
    "entity-not-found": "another wording of session-not-found",
    "operation-aborted": "a backend that gave up",
    "api-not-enabled": "a project's settings",
    "api-not-enabled-vertex": "a project's settings",
    "project-denied": "a project's settings",
    "permission-denied": "a project's settings",
    "policy-no-reason": "a project's settings",
    "unavailable": "an outage",
    "inference-cancelled": "a backend that gave up",
    "resource-exhausted": "an outage, or a quota in other words",
    "credits-depleted": "somebody's bill",
    "spending-cap": "somebody's bill",
    "http-200": "a web server, which the stand-in is none of",
    "http-3xx": "nothing here has another address",
    "http-403": "nobody is kept out here",
    "http-407": "no proxy stands before it",
    "http-429": "nobody counts how often it is dialled",
    "http-5xx": "a gateway that fails",
    "http-502": "a gateway that fails",
    "http-503": "an outage",
    "http-504": "a gateway that fails",
}


ELSEWHERE = {
    "deadline-expired": "test_life",
    "goaway-ignored": "test_life",
    "internal-error-occurred": "test_life",
    "invalid-session-handle": "test_life",
    "key-expired": "test_tokens",
}
"""What these tests bring about, with the same code and words."""


def test_every_row_can_be_brought_about() -> None:
    natural = {way.id for way in WAYS} | set(ELSEWHERE) | {name.partition("/")[0] for name in OTHER_WAYS}
    assert len(ROWS) == 79
    assert natural.isdisjoint(ONLY_BY_FAULT)
    assert natural | set(ONLY_BY_FAULT) == {row["id"] for row in ROWS}
    assert len(natural) == 52
