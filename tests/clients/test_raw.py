"""Clients without an SDK, as people write them, against the stand-in: what each of them needs, one need after another.

- The clients are written here and know nothing of livews: a socket, JSON, base64. Numbers in names are the needs'.
- `Raw` reads as narrowly as any client seen: frames decoded as ASCII, the first part of a turn and no other, turnComplete
  only where no modelTurn is. What it loses, somebody loses.
- Its socket is as the library makes it: compression offered, messages of 1 MiB at most, pings.
- The voice is known, so a reply that arrives is compared sample by sample.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from livews.core import protocol
from livews.server import certificate, faults, synth
from livews.server.config import StandInConfig
from livews.server.server import StandInServer, serve_stand_in
from tests.clients.running import need
from tests.kit.sound import silence, speech

Message = dict[str, Any]
Result = TypeVar("Result")

SERVICE = "/ws/google.ai.generativelanguage.{}.GenerativeService.BidiGenerateContent"
PATH = SERVICE.format("v1beta")
OLD = "models/gemini-2.5-flash-native-audio-latest"
NEW = "models/gemini-3.8-live"
SEEDING = "models/gemini-3.1-flash-live-preview"
PACE = 0.02
_PATIENCE = 10.0


def says(words: str) -> bytes:
    """The sound of a reply."""
    return synth.render(f"livews stand-in: {words}")


HELLO: Message = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hello"}]}], "turnComplete": True}}
HEARD_HELLO = says('I heard "Hello".')
HEARD_SPEECH = says("I heard 1.0 seconds of sound at -21 dBFS.")
SPEECH = "[1.0 s of sound, -21 dBFS]"
"""The transcript of a second of `speech`: the words of it are nobody's to know."""


class Raw:
    """A client as it stands in a notebook. `turn` has the last turn's sound in `pcm`, and what else came in `seen`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.first: Message = {}
        self.pcm = b""
        self.seen: list[Message] = []
        self.frames: list[Any] = []

    async def send(self, *messages: Message) -> None:
        for message in messages:
            await self.socket.send(json.dumps(message))

    async def hear(self) -> Message:
        async with asyncio.timeout(_PATIENCE):
            raw = await self.socket.recv()
        self.frames.append(raw)
        message: Message = json.loads(raw.decode("ascii"))  # text has no decode: so it is
        return message

    async def setup(self, **setup: Any) -> Message:
        await self.send({"setup": setup})
        self.first = await self.hear()
        return self.first

    async def turn(self, *messages: Message, answer: Callable[[Message], Message] | None = None) -> bytes:
        """Say something and hear the reply to its end. `answer` makes a toolResponse of a call."""
        self.pcm, self.seen = b"", []
        await self.send(*messages)
        while True:
            response = await self.hear()
            content = response.get("serverContent", {})
            if "modelTurn" in content:
                self.pcm += base64.b64decode(content["modelTurn"]["parts"][0]["inlineData"]["data"])
                continue
            self.seen.append(response)
            if "toolCall" in response and answer is not None:
                await self.send(answer(response["toolCall"]["functionCalls"][0]))
            if content.get("turnComplete"):
                return self.pcm

    async def speak(self, pcm: bytes, name: str = "audio", mime_type: str = "audio/pcm", size: int = 1024) -> None:
        for at in range(0, len(pcm), size):
            blob = {"mimeType": mime_type, "data": base64.b64encode(pcm[at : at + size]).decode()}
            await self.send({"realtimeInput": {name: [blob] if name == "mediaChunks" else blob}})

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close; what comes before it is kept."""
        try:
            while True:
                self.seen.append(await self.hear())
        except ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "no close frame")

    def all_of(self, name: str) -> list[Any]:
        return [one["serverContent"][name] for one in self.seen if name in one.get("serverContent", {})]

    @property
    def said(self) -> str:
        return "".join(one.get("text", "") for one in self.all_of("outputTranscription"))

    @property
    def heard(self) -> str:
        return "".join(one.get("text", "") for one in self.all_of("inputTranscription"))


@contextlib.asynccontextmanager
async def dialled(
    house: StandInServer, path: str = PATH, headers: dict[str, str] | None = None
) -> AsyncIterator[Raw]:
    async with connect(house.url + path, additional_headers=headers) as socket:
        yield Raw(socket)


@contextlib.asynccontextmanager
async def at_standin(**policy: Any) -> AsyncIterator[StandInServer]:
    """A stand-in of its own, which may not fail."""
    async with (
        asyncio.timeout(30),
        serve_stand_in(config=StandInConfig(**{"pace": PACE, "voice": "tones", **policy})) as house,
    ):
        yield house
        assert house.failures == 0


@contextlib.asynccontextmanager
async def connected(path: str = PATH, **policy: Any) -> AsyncIterator[Raw]:
    """A client on a stand-in of its own."""
    async with at_standin(**policy) as house, dialled(house, path) as raw:
        yield raw


# Handshake


@pytest.mark.parametrize("slashes", ["", "/"])
@pytest.mark.parametrize("method", ["", "Constrained"])
@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
async def test_01_paths(version: str, method: str, slashes: str) -> None:
    """Every version, both methods, and the JavaScript SDK's double slash."""
    async with connected(slashes + SERVICE.format(version) + method) as raw:
        assert await raw.setup(model=NEW) == {"setupComplete": {}}
        assert await raw.turn(HELLO) == HEARD_HELLO


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (
            "/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent",
            "projects/p/locations/us-central1/publishers/google/models/gemini-live-2.5-flash-native-audio",
        ),
        (
            "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent",
            "publishers/google/models/gemini-live-2.5-flash-native-audio",
        ),
        (
            "/ws/google.firebase.vertexai.v1beta.LlmBidiService/BidiGenerateContent/locations/us-central1",
            "projects/p/locations/us-central1/publishers/google/models/gemini-live-2.5-flash-native-audio",
        ),
        (
            "/ws/google.firebase.vertexai.v1beta.GenerativeService/BidiGenerateContent",
            "projects/p/models/gemini-2.5-flash-native-audio-preview-12-2025",
        ),
        ("/behind/a/gateway", NEW),
    ],
)
async def test_01_paths_of_the_other_doors(path: str, model: str) -> None:
    """Vertex, Firebase in front of either API, a gateway. What a door is behind tells: setupComplete has an id or not."""
    async with connected(path) as raw:
        first = await raw.setup(model=model)
        assert ("sessionId" in first["setupComplete"]) is ("LlmBidiService" in path)
        assert await raw.turn(HELLO) == HEARD_HELLO


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?key=right", {}),
        ("", {"x-goog-api-key": "right"}),
        ("", {"Authorization": "Bearer right"}),
        ("", {"Authorization": "Token right"}),
        ("?alt=ws&key=right", {"Content-Type": "application/json"}),
    ],
)
@pytest.mark.parametrize("required", ["right", "other", ""])
async def test_02_credentials(query: str, headers: dict[str, str], required: str) -> None:
    """One of four places. A wrong one gets its close after setup, and never a status at the upgrade."""
    async with at_standin(require_key=required) as house:
        async with dialled(house, PATH + query, headers) as raw:
            await raw.send({"setup": {"model": NEW}})
            if required == "other":
                code, reason = await raw.closed()
                assert (code, reason[:26]) == (1007, "API key not valid. Please ")
            else:
                assert await raw.hear() == {"setupComplete": {}}


async def test_02_no_credential() -> None:
    """Raw clients show none; where a key is asked for, that is a close of its own."""
    async with connected() as raw:
        assert await raw.setup(model=NEW) == {"setupComplete": {}}
    async with connected(require_key="right") as raw:
        await raw.send({"setup": {"model": NEW}})
        assert (await raw.closed())[0] == 1008


@pytest.mark.parametrize("where", ["query", "escaped", "header"])
async def test_02_an_ephemeral_token(where: str) -> None:
    """auth_tokens/... in the query with its slash as it is, or escaped, or behind `Token`."""
    async with at_standin(require_key="right") as house:
        token = await new_token(house, "key=right")
        assert token.startswith("auth_tokens/")
        path, headers = SERVICE.format("v1alpha") + "Constrained", {}
        if where == "header":
            headers = {"Authorization": f"Token {token}"}
        else:
            path += "?access_token=" + (token.replace("/", "%2F") if where == "escaped" else token)
        async with dialled(house, path, headers) as raw:
            assert await raw.setup(model=NEW) == {"setupComplete": {}}
        async with dialled(house, path, headers) as raw:  # it was good for one session
            await raw.send({"setup": {"model": NEW}})
            assert (await raw.closed())[0] == 1011


async def new_token(house: StandInServer, query: str) -> str:
    reader, writer = await plain(house)
    writer.write(
        f"POST /v1alpha/auth_tokens?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    )
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 200 ")
    return str(json.loads(body)["name"])


async def plain(house: StandInServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = house.url.removeprefix("ws://").partition(":")
    return await asyncio.open_connection(host, int(port))


async def test_03_a_handshake_by_hand() -> None:
    """Names of headers in any case, another Host, a Content-Type on a GET, headers of the SDKs, compression on offer,
    no Origin and no subprotocol: none of it matters, and nothing that was not asked for comes back."""
    async with at_standin() as house:
        reader, writer = await plain(house)
        lines = [
            f"GET {PATH} HTTP/1.1",
            "host: generativelanguage.googleapis.com",
            "UPGRADE: WebSocket",
            "connection: keep-alive, Upgrade",
            "SEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-version: 13",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            "content-type: application/json",
            "X-Goog-Api-Client: raw/1 gl-none/0",
            "x-goog-user-project: somebody",
            "User-Agent: curl",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        status, *answer = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        assert status.startswith("HTTP/1.1 101 ")
        given = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in answer)}
        assert given["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert "sec-websocket-protocol" not in given
        assert given.get("sec-websocket-extensions", "permessage-deflate").startswith("permessage-deflate")
        writer.write(frame(0x81, json.dumps({"setup": {"model": NEW}}).encode()))
        assert await unframed(reader) == (0x82, b'{\n  "setupComplete": {}\n}\n')
        writer.close()
        await writer.wait_closed()


def frame(head: int, payload: bytes) -> bytes:
    """A client's frame, masked with nothing."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([head]) + size + bytes(4) + payload


async def unframed(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The first byte of a server's frame and what it carries."""
    head, size = await reader.readexactly(2)
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await reader.readexactly(8), "big")
    return head, await reader.readexactly(size)


async def test_04_pings_are_answered() -> None:
    """In the middle of a reply, too."""
    async with connected(pace=0.1) as raw:
        await raw.setup(model=NEW)
        await raw.send(HELLO)
        async with asyncio.timeout(_PATIENCE):
            await (await raw.socket.ping(b"are you there"))
        assert await raw.turn() == HEARD_HELLO


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1011, 3000])
@pytest.mark.parametrize("when", ["at once", "in a reply"])
async def test_04_closes(code: int, when: str) -> None:
    """Any code, or none at all; whatever was under way ends with it, and others are served."""
    async with at_standin(pace=0.1) as house:
        async with dialled(house) as raw:
            await raw.setup(model=NEW)
            if when == "in a reply":
                await raw.send(HELLO)
                await raw.hear()
            if code == 1005:
                raw.socket.protocol.send_close()
                raw.socket.send_data()
            else:
                await raw.socket.close(code)
            await raw.socket.wait_closed()
        async with dialled(house) as raw:
            await raw.setup(model=NEW)
            assert await raw.turn(HELLO) == HEARD_HELLO
        assert await ended(house) == f"closed by the client, {code}"


async def test_04_a_line_that_is_cut() -> None:
    async with at_standin() as house:
        async with dialled(house) as raw:
            await raw.setup(model=NEW)
            await raw.send(HELLO)
            await raw.hear()
            raw.socket.transport.abort()
        assert await ended(house) == "lost"


async def ended(house: StandInServer) -> str:
    """How the first session ended, in the stand-in's words."""
    while not house.endings:
        await asyncio.sleep(0.01)
    return next(iter(house.endings))


@pytest.mark.parametrize("politely", [True, False])
async def test_05_a_socket_that_says_nothing(politely: bool) -> None:
    """Opened, and gone without a setup."""
    async with at_standin() as house:
        async with dialled(house) as raw:
            if not politely:
                raw.socket.transport.abort()
        await ended(house)
        async with dialled(house) as raw:
            await raw.setup(model=NEW)
            assert await raw.turn(HELLO) == HEARD_HELLO


async def test_05_two_sockets_of_one_client() -> None:
    """Both with one key, both in a turn at the same time."""
    async with at_standin() as house:
        async with dialled(house, PATH + "?key=k") as one, dialled(house, PATH + "?key=k") as other:
            await one.setup(model=OLD)
            await other.setup(model=OLD)
            assert await asyncio.gather(one.turn(HELLO), other.turn(HELLO)) == [HEARD_HELLO, HEARD_HELLO]


# Sequence


@pytest.mark.parametrize("model", [OLD, NEW, SEEDING])
async def test_06_what_comes_before_setup_complete_waits(model: str) -> None:
    """setup and a turn in one go: setupComplete comes first all the same, and then the answer."""
    async with connected(pace=0.1) as raw:
        await raw.send({"setup": {"model": model, "inputAudioTranscription": {}}}, HELLO)
        assert await raw.hear() == {"setupComplete": {}}
        assert await raw.turn() == HEARD_HELLO


async def test_06_sound_before_setup_complete() -> None:
    async with connected() as raw:
        await raw.send({"setup": {"model": OLD, "inputAudioTranscription": {}}})
        await raw.speak(speech() + silence())
        assert await raw.hear() == {"setupComplete": {}}
        assert await raw.turn() == HEARD_SPEECH


@pytest.mark.parametrize(
    "setup",
    [
        {"model": OLD},
        {"model": OLD, "systemInstruction": {"parts": [{"text": "Be brief."}]}},
        {"model": OLD, "generationConfig": {}},
        {"model": OLD, "generation_config": {"response_modalities": []}},
        {"model": OLD, "inputAudioTranscription": {}},
    ],
)
async def test_07_a_bare_setup(setup: Message) -> None:
    """A model and little else: it answers by voice, and transcribes only what it was asked to."""
    async with connected() as raw:
        await raw.setup(**setup)
        assert await raw.turn(HELLO) == HEARD_HELLO
        assert raw.said == ""


async def test_07_transcription_alone() -> None:
    """A model that only transcribes: no modality, no generationConfig."""
    async with connected() as raw:
        await raw.setup(model="models/gemini-3.5-transcribe-live", inputAudioTranscription={})
        await raw.speak(speech())
        await raw.send({"realtimeInput": {"audioStreamEnd": True}})
        while not raw.all_of("generationComplete"):
            raw.seen.append(await raw.hear())
        assert raw.heard == SPEECH


def content(*turns: tuple[str | None, str], complete: bool | None = True) -> Message:
    made = [{**({} if role is None else {"role": role}), "parts": [{"text": text}]} for role, text in turns]
    return {"clientContent": {"turns": made, **({} if complete is None else {"turnComplete": complete})}}


@pytest.mark.parametrize("role", ["user", "USER", "", None])
@pytest.mark.parametrize("model", [OLD, NEW, SEEDING])
async def test_08_turns_in_pieces(model: str, role: str | None) -> None:
    """turnComplete false, or not there, asks for nothing yet; several turns are one prompt; a role may be missing,
    which some models refuse."""
    async with connected(lenient=not role) as raw:
        await raw.setup(model=model)
        await raw.send(content((role, "One"), complete=False), content((role, "two"), complete=None))
        assert await raw.turn(content((role, "three"), (role, "four"))) == says('I heard "One two three four".')


@pytest.mark.parametrize("model", [OLD, NEW, SEEDING])
@pytest.mark.parametrize("apart", [True, False])
async def test_08_history_is_not_asked_again(model: str, apart: bool) -> None:
    """What the user said before an answer of the model is over: neither repeated, nor does it call a function."""
    history = (("user", "the weather in Rome, please"), ("model", "It rains."))
    async with connected() as raw:
        await raw.setup(model=model, tools=[WEATHER])
        now = ("user", "Thank you")
        said = [content(*history, complete=False), content(now)] if apart else [content(*history, now)]
        assert await raw.turn(*said) == says('I heard "Thank you".')
        assert not [one for one in raw.seen if "toolCall" in one]


async def test_08_history_then_a_voice() -> None:
    async with connected() as raw:
        await raw.setup(model=OLD)
        await raw.send(content(("user", "I am Bob"), ("model", "Hello Bob"), complete=False))
        await raw.speak(speech() + silence())
        assert await raw.turn() == HEARD_SPEECH


SEEDED: Message = {"historyConfig": {"initialHistoryInClientContent": True}}


@pytest.mark.parametrize("trigger", [" ", "."])
@pytest.mark.parametrize("model", [NEW, SEEDING])
async def test_08_a_trigger_without_words(model: str, trigger: str) -> None:
    """A history that ends with the user, sent as one, gets no reply; a blank of real-time text asks for it."""
    async with connected() as raw:
        await raw.setup(model=model, **SEEDED)
        await raw.send(content(("user", "Hi"), ("model", "Hello"), complete=False))
        await raw.send(content(("user", "Who am I?")))
        assert await raw.turn({"realtimeInput": {"text": trigger}}) == says('I heard "Who am I?".')
        assert len(raw.all_of("turnComplete")) == 1, "the history had a reply of its own"


async def test_08_a_history_is_answered_by_older_models() -> None:
    """2.5 answers one that ends with the user, flag or not; one that ends with the model waits."""
    async with connected() as raw:
        await raw.setup(model=OLD, **SEEDED)
        assert await raw.turn(content(("user", "Hi"), ("model", "Hello"), ("user", "Who am I?"))) == says(
            'I heard "Who am I?".'
        )
    async with connected() as raw:
        await raw.setup(model=OLD, **SEEDED)
        await raw.send(content(("user", "Hi"), ("model", "Hello")))
        assert await raw.turn(HELLO) == HEARD_HELLO
        assert not raw.all_of("interrupted"), "it was answering the history"


@pytest.mark.parametrize("turns", [[], [{"role": "user", "parts": [{"text": "."}]}]])
async def test_08_a_turn_without_words_asks_again(turns: list[Message]) -> None:
    """activityEnd, and an empty turn right behind it: what was said is answered, once to the end."""
    async with connected(pace=0.1) as raw:
        await raw.setup(model=OLD, realtimeInputConfig={"automaticActivityDetection": {"disabled": True}})
        await raw.send({"realtimeInput": {"activityStart": {}}})
        await raw.speak(speech())
        await raw.send({"realtimeInput": {"activityEnd": {}}})
        await raw.send({"clientContent": {"turns": turns, "turnComplete": True}})
        await raw.turn()
        assert raw.all_of("interrupted") == [True]
        assert await raw.turn() == HEARD_SPEECH


@pytest.mark.parametrize("blank", [" ", "."])
@pytest.mark.parametrize("model", [OLD, NEW, SEEDING])
async def test_08_a_blank_is_a_prompt(model: str, blank: str) -> None:
    """Out of the blue, too."""
    async with connected() as raw:
        await raw.setup(model=model)
        assert await raw.turn({"realtimeInput": {"text": blank}})


WEATHER: Message = {
    "functionDeclarations": [
        {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
        }
    ]
}
ASK = content(("user", 'What is the weather in "Paris"?'))


@pytest.mark.parametrize(
    "response",
    [{"result": "sunny"}, {"output": "sunny"}, {"text": "sunny"}, {"result": {"string_value": "sunny"}}, {}],
)
@pytest.mark.parametrize("named", [True, False])
async def test_09_answers_of_functions(response: Message, named: bool) -> None:
    """By id alone or with the name; the response in any shape."""

    def answer(call: Message) -> Message:
        assert call["args"] == {"city": "Paris"}
        return {
            "toolResponse": {
                "functionResponses": [
                    {"id": call["id"], **({"name": call["name"]} if named else {}), "response": response}
                ]
            }
        }

    async with connected() as raw:
        await raw.setup(model=OLD, tools=[WEATHER], outputAudioTranscription={})
        assert await raw.turn(ASK, answer=answer)
        shown = json.dumps(response, separators=(",", ":"))
        assert raw.said.endswith(f" get_weather answered {shown}.")


# Spelling


def snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def spelt(value: Any, odd: bool, mixed: bool) -> Any:
    """Members in snake_case where `odd`, which changes from level to level where they are `mixed`."""
    if isinstance(value, list):
        return [spelt(one, odd, mixed) for one in value]
    if not isinstance(value, dict):
        return value
    own = ("properties", "response")  # what is in there is the application's
    return {
        (snake(name) if odd else name): inner if name in own else spelt(inner, odd ^ mixed, mixed)
        for name, inner in value.items()
    }


FULL: Message = {
    "model": OLD,
    "generationConfig": {
        "responseModalities": ["AUDIO"],
        "maxOutputTokens": 500,
        "candidateCount": 1,
        "topP": 0.9,
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
        "thinkingConfig": {"thinkingBudget": 0, "includeThoughts": False},
        "enableAffectiveDialog": True,
    },
    "systemInstruction": {"role": "system", "parts": [{"text": "Be brief."}]},
    "tools": [{"googleSearch": {}}, WEATHER],
    "realtimeInputConfig": {
        "automaticActivityDetection": {
            "silenceDurationMs": 500,
            "prefixPaddingMs": 100,
            "startOfSpeechSensitivity": "START_SENSITIVITY_HIGH",
            "endOfSpeechSensitivity": "END_SENSITIVITY_HIGH",
        },
        "activityHandling": "START_OF_ACTIVITY_INTERRUPTS",
        "turnCoverage": "TURN_INCLUDES_ONLY_ACTIVITY",
    },
    "inputAudioTranscription": {},
    "outputAudioTranscription": {},
    "sessionResumption": {},
    "contextWindowCompression": {"triggerTokens": "25600", "slidingWindow": {"targetTokens": 12800}},
    "historyConfig": {"initialHistoryInClientContent": False},
    "proactivity": {"proactiveAudio": True},
}


@pytest.mark.parametrize(
    ("odd", "mixed"),
    [
        pytest.param(False, False, id="camel"),
        pytest.param(True, False, id="snake"),
        pytest.param(False, True, id="mixed"),
        pytest.param(True, True, id="mixed the other way"),
    ],
)
async def test_10_spellings(odd: bool, mixed: bool) -> None:
    """camelCase, snake_case, and both in one message, at every level, in a setup with about everything."""

    def said(message: Message) -> Message:
        made: Message = spelt(message, odd, mixed)
        return made

    def answer(call: Message) -> Message:
        return said({"toolResponse": {"functionResponses": [{"id": call["id"], "response": {"dryOut": 1}}]}})

    async with connected(SERVICE.format("v1alpha")) as raw:
        await raw.send(said({"setup": FULL}))
        assert await raw.hear() == {"setupComplete": {}}
        await raw.turn(said(HELLO))
        assert raw.said.endswith('I heard "Hello".')
        blob = {"mimeType": "audio/pcm", "data": base64.b64encode(speech() + silence()).decode()}
        for sound in ({"audio": blob}, {"mediaChunks": [blob]}):
            await raw.turn(said({"realtimeInput": sound}))
            assert raw.heard == SPEECH
        await raw.turn(said(ASK), answer=answer)
        assert raw.said.endswith('get_weather answered {"dryOut":1}.')


async def test_10_realtime_media() -> None:
    """Every member of realtimeInput in one conversation: a picture, sound to its end, text."""
    picture = {"mimeType": "image/jpeg", "data": base64.b64encode(b"\xff\xd8\xff" + bytes(2997)).decode()}
    async with connected() as raw:
        await raw.setup(model=OLD, inputAudioTranscription={})
        await raw.send({"realtimeInput": {"video": picture}})
        assert await raw.turn({"realtimeInput": {"text": "And?"}}) == says(
            'I heard "And?". I saw 1 picture (image/jpeg, 3 kB).'
        )
        await raw.speak(speech())
        assert await raw.turn({"realtimeInput": {"audioStreamEnd": True}}) == HEARD_SPEECH
    async with connected() as raw:
        await raw.setup(model=NEW, realtimeInputConfig={"automaticActivityDetection": {"disabled": True}})
        await raw.send({"realtimeInput": {"activityStart": {}}})
        await raw.speak(speech())
        assert await raw.turn({"realtimeInput": {"activityEnd": {}}}) == HEARD_SPEECH


@pytest.mark.parametrize("form", ["list", "object"])
@pytest.mark.parametrize("name", ["mediaChunks", "media_chunks"])
async def test_10_media_chunks(name: str, form: str) -> None:
    """The member of before: a list, or a bare object as a screen is sent, sound and pictures alike."""
    picture = {"mime_type": "image/jpeg", "data": base64.b64encode(b"\xff\xd8\xff" + bytes(2997)).decode()}
    async with connected(lenient=True) as raw:
        await raw.setup(model="models/gemini-2.0-flash-exp", generation_config={"response_modalities": ["AUDIO"]},
                        inputAudioTranscription={})  # fmt: skip
        pcm = speech() + silence()
        for at in range(0, len(pcm), 3200):
            blob = {"mime_type": "audio/pcm", "data": base64.b64encode(pcm[at : at + 3200]).decode()}
            given: Any = blob if form == "object" else [blob]
            await raw.send({"realtime_input": {name: given}})
            if at == 16_000:
                await raw.send({"realtime_input": {name: picture if form == "object" else [picture]}})
        await raw.turn()
        assert raw.heard == SPEECH
        assert raw.pcm == says("I heard 1.0 seconds of sound at -21 dBFS. I saw 1 picture (image/jpeg, 3 kB).")


@pytest.mark.parametrize("urlsafe", [True, False])
@pytest.mark.parametrize("padded", [True, False])
async def test_11_base64(urlsafe: bool, padded: bool) -> None:
    """Both alphabets, with padding and without: the same sound."""
    pcm = speech()
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    async with connected() as raw:
        await raw.setup(model=OLD, realtimeInputConfig={"automaticActivityDetection": {"disabled": True}})
        await raw.send({"realtimeInput": {"activityStart": {}}})
        sent = ""
        for at in range(0, len(pcm), 1000):
            data = encode(pcm[at : at + 1000]).decode()
            sent += data
            await raw.send(
                {"realtimeInput": {"audio": {"mimeType": "audio/pcm", "data": data if padded else data.rstrip("=")}}}
            )
        assert any(sign in sent for sign in ("-_" if urlsafe else "+/")) and "=" in sent
        assert await raw.turn({"realtimeInput": {"activityEnd": {}}}) == HEARD_SPEECH


@pytest.mark.parametrize("size", [1024, 3200, 4800])
@pytest.mark.parametrize(
    ("mime_type", "rate"), [("audio/pcm", 16_000), ("audio/pcm;rate=16000", 16_000), ("audio/pcm;rate=24000", 24_000)]
)
async def test_12_sound_of_any_rate(mime_type: str, rate: int, size: int) -> None:
    """The rate it says, 16 kHz where it says none, in frames of any size."""
    async with connected() as raw:
        await raw.setup(model=NEW)
        await raw.speak(speech(1.0, rate) + silence(1.5, rate), mime_type=mime_type, size=size)
        assert await raw.turn() == HEARD_SPEECH


@pytest.mark.parametrize("mime_type", ["image/jpeg", "image/png"])
async def test_12_pictures(mime_type: str) -> None:
    async with connected() as raw:
        await raw.setup(model=NEW)
        data = base64.b64encode(bytes(9000)).decode()
        await raw.send({"realtimeInput": {"video": {"mimeType": mime_type, "data": data}}})
        assert await raw.turn(HELLO) == says(f'I heard "Hello". I saw 1 picture ({mime_type}, 9 kB).')


def declared(**members: Any) -> Message:
    return {"tools": [{"functionDeclarations": [{"name": "f", **members}]}]}


SEARCH: Message = {"googleSearch": {}}
FUNCTION: Message = {"functionDeclarations": [{"name": "f"}]}
ARGUMENTS: Message = {
    "title": "Args",
    "additionalProperties": False,
    "properties": {"first_name": {"type": "string", "nullable": True, "title": "Name"}, "n": {"type": "INTEGER"}},
    "property_ordering": ["n", "first_name"],
}
JSON_SCHEMA: Message = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"a": {"type": ["string", "null"]}},
    "additionalProperties": False,
}
OPEN: Message = {
    "activityHandling": "ACTIVITY_HANDLING_UNSPECIFIED",
    "turnCoverage": "TURN_COVERAGE_UNSPECIFIED",
    "automaticActivityDetection": {
        "disabled": False,
        "startOfSpeechSensitivity": "START_SENSITIVITY_UNSPECIFIED",
        "endOfSpeechSensitivity": "END_SENSITIVITY_UNSPECIFIED",
    },
}


@pytest.mark.parametrize(
    "part",
    [
        {"contextWindowCompression": {"triggerTokens": "25600", "slidingWindow": {"targetTokens": "12800"}}},
        {"contextWindowCompression": {"triggerTokens": 25600, "slidingWindow": {"targetTokens": 12800}}},
        {"generationConfig": {"response_modalities": "AUDIO", "temperature": 0.7}},
        {"generationConfig": {"responseModalities": "audio"}},
        {"generationConfig": {"responseModalities": ["MODALITY_UNSPECIFIED"]}},
        {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_UNSPECIFIED"}},
        {"realtimeInputConfig": OPEN},
        *(
            {"systemInstruction": {"role": role, "parts": [{"text": "x"}]}}
            for role in ("user", "model", "system", "")
        ),
        {"systemInstruction": {"parts": [{"text": "x"}]}},
        {"systemInstruction": {"parts": [{"text": ""}]}},
        {"sessionResumption": {"handle": None}},
        {"tools": []},
        {"tools": [{"functionDeclarations": []}]},
        {"tools": [SEARCH, FUNCTION]},
        {"tools": [FUNCTION, SEARCH]},
        declared(description="without parameters"),
        *(declared(parameters={"type": kind, **ARGUMENTS}) for kind in ("OBJECT", "object")),
        declared(parameters_json_schema=JSON_SCHEMA),
        declared(parametersJsonSchema=JSON_SCHEMA, responseJsonSchema=JSON_SCHEMA, behavior="NON_BLOCKING"),
    ],
    ids=lambda part: json.dumps(part)[:80],
)
async def test_13_values(part: Message) -> None:
    """Numbers as strings, bare values for lists, names in either case or left open, schemas of any make, no tools; some only
    where the stand-in is lenient."""
    async with connected(lenient=True) as raw:
        assert await raw.setup(model=OLD, **part) == {"setupComplete": {}}
        assert await raw.turn(HELLO) == HEARD_HELLO


NAMES = [
    "gemini-2.0-flash-exp",
    "gemini-2.0-flash-live-001",
    "gemini-live-2.5-flash-preview",
    "gemini-2.5-flash-preview-native-audio-dialog",
    "gemini-2.5-flash-exp-native-audio-thinking-dialog",
    "gemini-2.5-flash-native-audio-latest",
    "gemini-2.5-flash-native-audio-preview-09-2025",
    "gemini-2.5-flash-native-audio-preview-12-2025",
    "gemini-3.1-flash-live-preview",
    "gemini-3.5-live-translate-preview",
    "gemini-3.5-transcribe-live",
    "gemini-3.8-live",
    "gemini-3.8-live-extended-thinking",
]


@pytest.mark.parametrize(
    "form", ["models/{}", "projects/p/models/{}", "publishers/google/models/{}",
             "projects/p/locations/us-central1/publishers/google/models/{}"],
)  # fmt: skip
@pytest.mark.parametrize("name", NAMES)
async def test_14_names_of_models(name: str, form: str) -> None:
    """Every name that was seen in a client, retired ones too, in every form: what --lenient serves."""
    async with connected(lenient=True) as raw:
        setup = {"inputAudioTranscription": {}} if "transcribe" in name else {}
        assert "setupComplete" in await raw.setup(model=form.format(name), **setup)


@pytest.mark.parametrize("kind", ["text", "binary", "fragments"])
async def test_15_frames_of_any_kind(kind: str) -> None:
    """Clients send text; whoever sends binary frames, or cuts them up, is understood as well."""
    async with connected() as raw:
        await raw.setup(model=NEW)
        said = json.dumps(HELLO)
        if kind == "fragments":
            await raw.socket.send(said[at : at + 7] for at in range(0, len(said), 7))
        else:
            await raw.socket.send(said.encode() if kind == "binary" else said)
        assert await raw.turn() == HEARD_HELLO


# What it sends


SPEAKERS = [
    OLD,
    NEW,
    SEEDING,
    "models/gemini-3.8-live-extended-thinking",
    "models/gemini-2.0-flash-exp",
    "models/test",
]
WRITERS = ["models/gemini-2.0-flash-exp", "models/test"]
_KNOWN = set(protocol.load("schemas/server/BidiGenerateContentServerMessage.json")["properties"])


@pytest.mark.parametrize(
    ("model", "modality"), [*((model, "AUDIO") for model in SPEAKERS), *((model, "TEXT") for model in WRITERS)]
)
async def test_16_what_frames_look_like(model: str, modality: str) -> None:
    """Binary, ASCII whatever was said, camelCase, below 1 MiB, no message of unknown members only; also of much."""
    setup = {"model": model, "generationConfig": {"responseModalities": [modality]}, "outputAudioTranscription": {},
             "inputAudioTranscription": {}, "sessionResumption": {}}  # fmt: skip
    async with connected(lenient=True) as raw:
        await raw.setup(**setup)
        for words in ("Grüße, 你好, 👋 and \u2028", "x" * 200_000):
            await raw.send(content(("user", words)))
            while True:
                got = (await raw.hear()).get("serverContent", {})
                if got.get("turnComplete") and got.get("interactionStatus") != "IN_PROGRESS":
                    break
        frames = raw.frames
    for one in frames:
        assert isinstance(one, bytes) and one.isascii() and len(one) < 2**20
        message = json.loads(one)
        assert message.keys() & _KNOWN or message == {}, "3.8 sends bare ones, which every client takes"
        assert not [name for name in keys(message) if "_" in name]
    assert b"\\u4f60\\u597d" in b"".join(frames), "the words came back"


def keys(value: Any) -> list[str]:
    """Names of members, but for what functions call theirs."""
    if isinstance(value, list):
        return [name for one in value for name in keys(one)]
    if not isinstance(value, dict):
        return []
    return [name for key, inner in value.items() for name in (key, *(keys(inner) if key != "args" else []))]


async def test_16_readers_of_text_frames_hear_nothing() -> None:
    """As at the service: who listens for text alone, or asks for text, is told nothing. A fault helps to try that."""

    async def heard(house: StandInServer) -> str:
        async with connect(house.url + PATH) as socket:
            await socket.send(json.dumps({"setup": {"model": NEW}}))
            async with asyncio.timeout(_PATIENCE):
                got = await socket.recv()
            return got if isinstance(got, str) else ""

    async with at_standin() as house:
        assert await heard(house) == ""
    async with at_standin(faults=[faults.parse("text-frames")]) as house:
        assert await heard(house) == '{\n  "setupComplete": {}\n}\n'
    async with connected(faults=[faults.parse("text-frames")]) as raw:
        with pytest.raises(AttributeError):  # the other way round: text has no decode
            await raw.setup(model=NEW)


@pytest.mark.parametrize("name", [*NAMES, "gemini-live-2.5-flash", "test"])
async def test_17_setup_complete_comes_first(name: str) -> None:
    """Ahead of handles, whatever the model."""
    async with connected(lenient=True) as raw:
        first = await raw.setup(model=f"models/{name}", inputAudioTranscription={}, sessionResumption={})
    assert list(first) == ["setupComplete"] and not first["setupComplete"].keys() - {"sessionId"}


@pytest.mark.parametrize("model", SPEAKERS)
async def test_18_one_thing_a_message(model: str) -> None:
    """One part a message, of 240 ms at most; generationComplete; then turnComplete where no modelTurn is, with
    usageMetadata. Transcripts have messages of their own, but for 3.x, which puts them beside the sound."""
    async with connected(lenient=True) as raw:
        await raw.setup(model=model, outputAudioTranscription={}, inputAudioTranscription={})
        await raw.speak(speech() + silence())
        got = [await raw.hear()]
        while not got[-1].get("serverContent", {}).get("turnComplete"):
            got.append(await raw.hear())
    contents = [one.get("serverContent", {}) for one in got]
    for one in contents:
        if "modelTurn" in one:
            (part,) = one["modelTurn"]["parts"]
            assert len(base64.b64decode(part["inlineData"]["data"])) <= 0.240 * 24_000 * 2
            assert one.keys() <= {"modelTurn", "outputTranscription"}
            assert ("outputTranscription" not in one) or model in (SEEDING, NEW, f"{NEW}-extended-thinking")
    assert [list(one) for one in contents if "generationComplete" in one] == [["generationComplete"]]
    assert "generationComplete" in contents[-2]
    assert "modelTurn" not in contents[-1] and "usageMetadata" in got[-1]
    assert sum("modelTurn" in one for one in contents) > 3


async def test_19_turn_complete_waits_for_the_sound() -> None:
    """It comes when the voice would have been heard to its end: speakers are flushed by it. generationComplete is
    earlier."""
    pace = 0.2
    clock = asyncio.get_running_loop().time
    async with connected(pace=pace) as raw:
        await raw.setup(model=NEW)
        await raw.send(HELLO)
        first = generated = 0.0
        content: Message = {}
        while "turnComplete" not in content:
            content = (await raw.hear()).get("serverContent", {})
            if "modelTurn" in content:
                first = first or clock()
            if "generationComplete" in content:
                generated = clock()
        complete = clock()
    seconds = len(HEARD_HELLO) / 2 / 24_000
    assert complete - first > 0.9 * pace * seconds
    assert generated < complete


def reply_to(call: Message) -> Message:
    return {"toolResponse": {"functionResponses": [{"id": call["id"], "name": call["name"], "response": {"r": 1}}]}}


@pytest.mark.parametrize(("model", "switch", "ends"), [(OLD, {}, False), (OLD, {"toolCallEndsTurn": True}, True),
                                                       (NEW, {}, True), (SEEDING, {}, False)])  # fmt: skip
async def test_20_a_turn_ends_beside_its_call_or_not(model: str, switch: Message, ends: bool) -> None:
    """A client that answers a call only after turnComplete: served by the models that end the turn there, and by any
    with the switch. From the others it would wait for ever."""
    answered = says('get_weather answered {"r":1}.')
    async with connected(wire=switch) as raw:
        await raw.setup(model=model, tools=[WEATHER])
        if not ends:
            assert await raw.turn(ASK, answer=reply_to) == answered, "one turn, and the answer is in it"
            return
        assert await raw.turn(ASK) == b""
        (call,) = [one["toolCall"]["functionCalls"][0] for one in raw.seen if "toolCall" in one]
        assert await raw.turn(reply_to(call)) == answered


async def test_20_who_waits_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the log: neither side sees it otherwise."""
    log: list[str] = []
    monkeypatch.setattr("livews.server.turn_taking._PATIENCE_SECONDS", 0.05)
    async with connected(log=log.append) as raw:
        await raw.setup(model=OLD, tools=[WEATHER])
        await raw.send(ASK)
        while not any("toolCallEndsTurn=true" in line for line in log):
            await asyncio.sleep(0.01)
    assert any("no response to get_weather" in line for line in log)


@pytest.mark.parametrize(
    ("messages", "policy", "code", "reason"),
    [
        ([{"setup": {"model": NEW}}], {"require_key": "k"}, 1008, "Method doesn't allow unregistered callers"),
        ([{"setup": {"model": "models/nobody-knows"}}], {}, 1008, "models/nobody-knows is not found for API version"),
        ([{"setup": {"model": NEW, "bogus": 1}}], {}, 1007, 'Invalid JSON payload received. Unknown name "bogus" at'),
        ([HELLO], {}, 1007, "setup must be the first message"),
        ([{"setup": {"model": NEW}}, {"setup": {"model": NEW}}], {}, 1007, "setup must be the first message"),
        (
            [{"setup": {"model": NEW, "generationConfig": {"responseModalities": ["TEXT"]}}}],
            {}, 1007, "The requested combination of response modalities (TEXT) is not supported by the model.",
        ),
        (
            [{"setup": {"model": NEW}}, {"realtimeInput": {"mediaChunks": [{"mimeType": "audio/pcm", "data": ""}]}}],
            {}, 1007, "realtime_input.media_chunks is deprecated.",
        ),
        ([{"setup": {"model": NEW}}], {"faults": [faults.parse("close=internal-error@1")]}, 1011, "Internal error"),
    ],
)  # fmt: skip
async def test_21_errors_are_closes(messages: list[Message], policy: Any, code: int, reason: str) -> None:
    """A code and a reason, at most 123 bytes of it; before that setupComplete at most, never a frame that tells."""
    async with connected(**policy) as raw:
        await raw.send(*messages)
        got = await raw.closed()
        assert all(one.keys() <= {"setupComplete", "sessionResumptionUpdate"} for one in raw.seen)
    assert got[0] == code and got[1].startswith(reason) and len(got[1].encode()) <= 123


async def test_21_too_many_sessions() -> None:
    async with at_standin(sessions_per_key=1) as house:
        async with dialled(house, PATH + "?key=k") as one, dialled(house, PATH + "?key=k") as other:
            await one.setup(model=NEW)
            await other.send({"setup": {"model": NEW}})
            code, reason = await other.closed()
    assert code == 1011 and reason.startswith("You exceeded your current quota")


async def test_21_go_away_on_request_and_once() -> None:
    """Reconnecting clients take every one as a reason to dial again."""

    async def count(raw: Raw) -> list[Message]:
        await raw.setup(model=OLD)
        await raw.turn(HELLO)
        with contextlib.suppress(ConnectionClosed):
            while True:
                async with asyncio.timeout(1.0):
                    raw.seen.append(await raw.hear())
        return [one["goAway"] for one in raw.seen if "goAway" in one]

    async with connected() as raw:
        await raw.setup(model=OLD)
        await raw.turn(HELLO)
        assert [one for one in raw.seen if "goAway" in one] == []
    async with connected(go_away=0.01, time_scale=100) as raw:
        (one,) = await count(raw)
    assert one["timeLeft"] == "0.500s"
    async with connected(faults=[faults.parse(f"go-away=0.2@{at}") for at in (2, 4)]) as raw:
        (one,) = await count(raw)
    assert one["timeLeft"] == "0.200s"


async def test_22_over_tls(tmp_path: Path) -> None:
    """The Python SDK and all that stand on it rewrite any address to wss://: the certificate is one they can trust."""
    need(importlib.util.find_spec("trustme") is not None, "to talk over TLS: pip install 'livews[tls]'")
    ca = tmp_path / "ca.pem"
    made = StandInConfig(pace=PACE, voice="tones")
    async with asyncio.timeout(30), serve_stand_in(config=made, tls=certificate.context(ca)) as house:
        trusting = ssl.create_default_context(cafile=ca)
        for host in ("localhost", "127.0.0.1"):
            url = house.url.replace("127.0.0.1", host)
            assert url.startswith("wss://")
            async with connect(url + PATH, ssl=trusting) as socket:
                raw = Raw(socket)
                await raw.setup(model=OLD)
                assert await raw.turn(HELLO) == HEARD_HELLO
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(house.url + PATH, ssl=ssl.create_default_context())
        assert house.failures == 0
    assert os.stat(ca).st_size > 0
