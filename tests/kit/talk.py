"""Talk to a stand-in as a client does: real sockets on loopback, every wait bounded, every frame kept.

- A frame that comes is judged by the schemas, unless a test says `judged=False`; the stand-in itself may not fail.
- `brief` puts a message into a few words and `brief_all` a conversation: what order is compared by.
- Sound is s16le mono; its mime type names the rate, or none for rate 0.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from livews.core import codec, models, validation
from livews.core.schema import Sender
from livews.server.config import StandInConfig
from livews.server.faults import Fault, parse
from livews.server.server import StandInServer, serve_stand_in
from tests.kit.names import GEMINI, TEST
from tests.kit.sound import RATE
from tests.kit.waiting import until

PACE = 0.02
"""Of the stand-in's waits: a reply of four seconds takes 0.08."""
PATIENCE = 10.0
"""Seconds any one wait may last. Nothing should come near."""

Message = dict[str, Any]


class FrameCounter(ClientConnection):
    """A client's socket that keeps each frame's opcode, size and end-of-message bit as it comes off the wire."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.seen: list[tuple[Opcode, int, bool]] = []

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame):
            self.seen.append((event.opcode, len(event.data), event.fin))
        super().process_event(event)


class Caller:
    """One client's socket. What came is in `frames` and `messages`, with its time on the loop's clock in `times`."""

    def __init__(
        self,
        socket: ClientConnection,
        server: StandInServer,
        *,
        model: str = "",
        path: str = GEMINI,
        judged: bool = True,
    ) -> None:
        self.socket = socket
        self.server = server
        self.model = model
        self.frames: list[bytes] = []
        self.messages: list[Message] = []
        self.times: list[float] = []
        self.path = path
        self.exchanged: list[tuple[Sender, bytes]] = []
        """Frames of both sides, as they were sent and heard here."""
        self._judged = judged

    async def say(self, *messages: Message | str | bytes) -> None:
        """Send messages: JSON in a text frame, or a frame as it is given."""
        for message in messages:
            frame = json.dumps(message) if isinstance(message, dict) else message
            self.exchanged.append(("client", frame.encode() if isinstance(frame, str) else frame))
            await self.socket.send(frame)

    async def speak(self, pcm: bytes, rate: int = RATE, *, seconds: float = 0.1, samples: int = 0) -> None:
        """Send sound as realtimeInput.audio, in frames of so many seconds, or of so many samples."""
        size = 2 * (samples or max(1, int(seconds * (rate or RATE))))
        for at in range(0, len(pcm), size):
            await self.say(audio(pcm[at : at + size], rate))

    async def hear(self) -> Message:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            frame = await self.socket.recv()
        assert isinstance(frame, bytes), "the service sends binary frames (WIRE-1)"
        message: Message = json.loads(frame)
        if self._judged:
            assert validation.violations("server", message) == [], message
        self.frames.append(frame)
        self.exchanged.append(("server", frame))
        self.messages.append(message)
        self.times.append(asyncio.get_running_loop().time())
        return message

    async def until(self, wanted: str | Callable[[Message], bool]) -> list[Message]:
        """The messages up to and with the first that fits: one with a word of `brief` that starts so, or by a test."""
        fits = wanted if callable(wanted) else lambda message: _has(message, wanted)
        got = [await self.hear()]
        while not fits(got[-1]):
            got.append(await self.hear())
        return got

    async def turn(self, *messages: Message | str | bytes) -> list[Message]:
        """Say something; the messages up to turnComplete."""
        await self.say(*messages)
        return await self.until("turnComplete")

    async def settle(self) -> None:
        """Take the handle that some models send unasked, a moment after setupComplete."""
        about = models.profile(self.model)["resumption"]
        if about["unasked"] and about["updates"] == "once":
            await self.until("handle")

    async def rest(self, seconds: float = 0.1) -> list[Message]:
        """What comes until nothing has come for so many seconds: [] when all stays silent."""
        got: list[Message] = []
        while True:
            try:
                async with asyncio.timeout(seconds):
                    got.append(await self.hear())
            except TimeoutError:
                return got

    async def closed(self) -> tuple[int, str]:
        """Code and reason the stand-in closes with; messages before that are kept."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")


@contextlib.asynccontextmanager
async def calling(
    server: StandInServer,
    setup: Message | str | None = None,
    *,
    path: str = GEMINI,
    headers: dict[str, str] | None = None,
    judged: bool = True,
) -> AsyncIterator[Caller]:
    """A client on this stand-in. With a setup (or a model's name) it is set up, and setupComplete was heard."""
    async with connect(
        # max_queue: a client whose queue is full reads no more, not even the answer to its own close
        server.url + path,
        additional_headers=headers,
        compression=None,
        max_size=None,
        max_queue=None,
        ping_interval=None,
    ) as socket:
        setup = {"model": setup} if isinstance(setup, str) else setup
        caller = Caller(socket, server, model=setup.get("model", "") if setup else "", path=path, judged=judged)
        if setup is not None:
            await caller.say({"setup": setup})
            assert "setupComplete" in await caller.hear()
        yield caller


def config(faults: Iterable[str | Fault] = (), **changes: Any) -> StandInConfig:
    """Quick, and the same on every machine; faults as the command line has them."""
    return StandInConfig(
        **{"pace": PACE, "faults": [parse(one) if isinstance(one, str) else one for one in faults], **changes}
    )


@contextlib.asynccontextmanager
async def serving(*, seconds: float = 30.0, **changes: Any) -> AsyncIterator[StandInServer]:
    """A stand-in, which may not fail. `changes` are settings of its config."""
    async with asyncio.timeout(seconds), serve_stand_in(config=config(**changes)) as server:
        yield server
    assert server.failures == 0


@contextlib.asynccontextmanager
async def connected(
    setup: Message | str | None = None,
    *,
    path: str = GEMINI,
    headers: dict[str, str] | None = None,
    judged: bool = True,
    seconds: float = 30.0,
    **changes: Any,
) -> AsyncIterator[Caller]:
    """A client on a stand-in of its own. `changes` are settings of its config."""
    async with serving(seconds=seconds, **changes) as server:
        async with calling(server, setup, path=path, headers=headers, judged=judged) as caller:
            yield caller


async def ended(server: StandInServer) -> None:
    """No session is left."""
    await until(lambda: not server.sessions)


async def handle_of(caller: Caller) -> str:
    update = (await caller.until("handle"))[-1]["sessionResumptionUpdate"]
    return str(update["newHandle"])


async def refusal(server: StandInServer, *messages: Message, **options: Any) -> tuple[int, str]:
    """The close that comes after these messages of a client, which is the answer to its setup."""
    async with calling(server, **options) as caller, asyncio.timeout(PATIENCE):
        await caller.say(*messages)
        end = await caller.closed()
        assert caller.messages == []
        return end


@contextlib.asynccontextmanager
async def pinging(caller: Caller, seconds: float = 0.02) -> AsyncIterator[None]:
    """A client that is there, and sends nothing but pings."""

    async def ping() -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await caller.socket.ping()
                await asyncio.sleep(seconds)

    task = asyncio.create_task(ping())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def resuming(handle: str, model: str = TEST) -> Message:
    """A setup that resumes a session."""
    return {"model": model, "sessionResumption": {"handle": handle}}


# What a client says


def content(*texts: str, role: str | None = "user", complete: bool | None = True) -> Message:
    """clientContent, one turn a text."""
    about = {} if role is None else {"role": role}
    given: Message = {"turns": [{**about, "parts": [{"text": text}]} for text in texts]}
    return {"clientContent": given if complete is None else {**given, "turnComplete": complete}}


def text(words: str) -> Message:
    return {"realtimeInput": {"text": words}}


def audio(pcm: bytes, rate: int = RATE) -> str:
    mime_type = f"audio/pcm;rate={rate}" if rate else "audio/pcm"
    return json.dumps({"realtimeInput": {"audio": {"mimeType": mime_type, "data": codec.encode_base64(pcm)}}})


def answer(response: Any, call_id: str = "", name: str = "", **members: Any) -> Message:
    """toolResponse with one answer."""
    about = {key: value for key, value in (("id", call_id), ("name", name)) if value}
    return {"toolResponse": {"functionResponses": [{**about, "response": response, **members}]}}


def functions(*names: str, **members: Any) -> list[Message]:
    """`tools` with these functions, none with parameters. `members` go into each, as in behavior="NON_BLOCKING"."""
    return [{"functionDeclarations": [{"name": name, **members} for name in names]}]


START: Message = {"realtimeInput": {"activityStart": {}}}
END: Message = {"realtimeInput": {"activityEnd": {}}}
STREAM_END: Message = {"realtimeInput": {"audioStreamEnd": True}}
MANUAL: Message = {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}


# What came


def sound_of(messages: Iterable[Message]) -> bytes:
    """The PCM of all audio parts."""
    return b"".join(codec.decode_base64(blob["data"]) for blob in blobs(messages))


def blobs(messages: Iterable[Message]) -> list[Message]:
    return [part["inlineData"] for part in parts(messages) if "inlineData" in part]


def parts(messages: Iterable[Message]) -> list[Message]:
    return [part for one in messages for part in one.get("serverContent", {}).get("modelTurn", {}).get("parts", [])]


def words(messages: Iterable[Message]) -> str:
    """What the model said: its transcript, and its text parts that are no thoughts."""
    said = ""
    for one in messages:
        said += one.get("serverContent", {}).get("outputTranscription", {}).get("text", "")
        said += "".join(part.get("text", "") for part in parts([one]) if not part.get("thought"))
    return said


def heard(messages: Iterable[Message]) -> str:
    """The transcript of the user."""
    return "".join(one.get("serverContent", {}).get("inputTranscription", {}).get("text", "") for one in messages)


def calls(messages: Iterable[Message]) -> list[Message]:
    return [call for one in messages for call in one.get("toolCall", {}).get("functionCalls", [])]


def usages(messages: Iterable[Message]) -> list[Message]:
    return [one["usageMetadata"] for one in messages if "usageMetadata" in one]


def brief(message: Message) -> list[str]:
    """The words of a message, in the order of its members.

    "setupComplete", "audio", "video", "text", "thought", "code" for parts; "said" and "heard" for transcripts, "interim";
    "said:open" for an empty one and "said:finished"; "activityStart", "activityEnd"; "IDLE"; "toolCall", "cancelled",
    "handle", "usage" ("usage:open" when {}); "empty" for a serverContent without members, "nothing" for {}.
    """
    found: list[str] = []
    for name, value in message.items():
        if name == "serverContent":
            found += [word for key, inner in value.items() for word in _content(key, inner)] or ["empty"]
        elif name == "voiceActivity":
            found.append({"ACTIVITY_START": "activityStart", "ACTIVITY_END": "activityEnd"}[value["type"]])
        elif name == "usageMetadata":
            found.append("usage" if value else "usage:open")
        else:
            found.append({"toolCallCancellation": "cancelled", "sessionResumptionUpdate": "handle"}.get(name, name))
    return found or ["nothing"]


def _content(name: str, value: Any) -> list[str]:
    if name == "modelTurn":
        return [_part(part) for part in value["parts"]]
    if name in ("outputTranscription", "inputTranscription", "interimInputTranscription"):
        word = {"outputTranscription": "said", "inputTranscription": "heard"}.get(name, "interim")
        return [word if "text" in value else f"{word}:finished" if "finished" in value else f"{word}:open"]
    if name == "interactionStatus":
        return [str(value)]
    return [{"groundingMetadata": "grounding"}.get(name, name)]


def _part(part: Message) -> str:
    if "inlineData" in part:
        return str(part["inlineData"]["mimeType"]).split("/")[0]
    if "executableCode" in part:
        return "code"
    return "thought" if part.get("thought") else "text"


def _has(message: Message, word: str) -> bool:
    return any(one.startswith(word) for one in brief(message))


def brief_all(messages: Iterable[Message], leave: Iterable[str] = ()) -> list[str]:
    """A conversation, a word (or several with +) a message; neighbours that are alike are one, those in `leave` none."""
    found: list[str] = []
    for message in messages:
        word = "+".join(brief(message))
        if word not in leave and (not found or found[-1] != word):
            found.append(word)
    return found
