"""A server to talk to: the service's framing, order, pace and closes, and a voice that says what it is.

- Judges clients with the same conversation everybody uses, and closes as the service does: code and reason of
  protocol/closes.json, cut at 123 bytes. It never answers with an error frame.
- What differs between models is read from the model's profile, never decided here.
- Deterministic: the same words get the same frames. It never claims to be Gemini.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from livews.core import closes, machine, wire
from livews.core.conversation import Conversation, Step
from livews.core.judge import Finding
from livews.kit import voice
from livews.printable import one_line

_FASTER = 4.5
"""Audio is sent this much faster than it plays (AUDIO-5)."""
_SETUP_SECONDS = 0.08
_THINK_SECONDS = 0.25
_TOKENS_A_SECOND = 25
"""What a second of the model's voice is counted as."""
_HEARD_LIMIT = 120
_BATCH = 4


@dataclass
class Policy:
    """How this stand-in behaves. `pace` scales every wait: 1 is the service's, 0 is none."""

    pace: float = 1.0
    require_key: str = ""
    """Refuse other keys, as the service does, after setup. Empty: any credential will do, also none."""
    log: Callable[[str], None] = field(default=lambda line: None)


@contextlib.asynccontextmanager
async def stand_in(host: str = "127.0.0.1", port: int = 0, policy: Policy | None = None) -> AsyncIterator[str]:
    """A running stand-in; gives the URL to connect to. OSError when the port is taken."""
    chosen = policy or Policy()
    sessions = 0

    async def handle(socket: ServerConnection) -> None:
        nonlocal sessions
        sessions += 1
        await _Session(socket, chosen, sessions).run()

    server = await serve(
        handle,
        host,
        port,
        compression=None,
        max_size=64 * 1024 * 1024,
        ping_interval=None,  # the service sends no pings (CLOSE-4)
        process_request=_check_path,
        server_header=None,
    )
    try:
        yield f"ws://{_shown(host)}:{_port(server)}"
    finally:
        server.close()
        await server.wait_closed()


def _port(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check_path(socket: ServerConnection, request: Request) -> Response | None:
    """404 for a path of the service with a method it does not have; a gateway's own paths are let through."""
    path = _path(request)
    if "/ws/google." in path and not re.search(r"[./]BidiGenerateContent(Constrained)?$", path):
        return socket.respond(HTTPStatus.NOT_FOUND, "no such method\n")
    return None


def _path(request: Request) -> str:
    """The path without its query; the leading double slash of the JavaScript SDK is one slash to the service."""
    return request.path.partition("?")[0].replace("//", "/")


class _Session:
    """One client's socket."""

    def __init__(self, socket: ServerConnection, policy: Policy, number: int) -> None:
        self._socket = socket
        self._policy = policy
        self._number = number
        assert socket.request is not None
        path = _path(socket.request)
        vertex = "google.cloud.aiplatform" in path or "firebase.vertexai" in path
        found = re.search(r"\.(v1(?:alpha|beta)?)\.GenerativeService", path)
        self._version = found[1] if found else "v1beta"
        self._talk = Conversation(inspect=True, surface="vertex" if vertex else "gemini", version=self._version)
        self._reply: asyncio.Task[None] | None = None
        self._said = ""
        self._said_words = 0
        self._heard_bytes = 0

    @property
    def _wire(self) -> dict[str, Any]:
        return self._talk.profile["wire"]  # type: ignore[no-any-return]

    async def run(self) -> None:
        try:
            async for frame in self._socket:
                raw = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
                step = self._talk.step("client", raw)
                if close := self._verdict(step):
                    await self._close(*close)
                    return
                await self._answer(step)
        except ConnectionClosed:
            pass
        finally:
            if self._reply is not None:
                self._reply.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                    await self._reply

    # What is refused

    def _verdict(self, step: Step) -> tuple[int, str] | None:
        """The close this frame earns: the key first, then the frame's faults, then the model."""
        if "setup" in step.signals and (close := self._judge_key()):
            return close
        if step.faults:
            return _worst(step.faults).close or closes.say("invalid-argument")
        if "rememberSetup" in step.effects:
            model = str(self._talk.setup.get("model", ""))
            if not self._talk.profile["known"]:
                return closes.say("model-not-found", model=model, version=self._version)
            if machine.values(self._talk.setup, ("sessionResumption", "handle")):
                return closes.say("session-not-found")  # this stand-in keeps no session beyond its socket
        return None

    def _judge_key(self) -> tuple[int, str] | None:
        wanted = self._policy.require_key
        if not wanted:
            return None
        given = self._credential()
        if not given:
            return closes.say("no-credentials")
        return None if given == wanted else closes.say("key-not-valid")

    def _credential(self) -> str:
        assert self._socket.request is not None
        headers, query = self._socket.request.headers, parse_qs(self._socket.request.path.partition("?")[2])
        key, authorization = (next(iter(headers.get_all(name)), "") for name in ("x-goog-api-key", "Authorization"))
        bearer = authorization.removeprefix("Bearer ").removeprefix("Token ")
        return key or bearer or (query.get("key") or query.get("access_token") or [""])[0]

    async def _close(self, code: int, reason: str) -> None:
        self._policy.log(f"session {self._number}: closed {code} {one_line(reason)}")
        self._talk.close("server", code, reason)
        await self._socket.close(code, reason)

    # What is answered

    async def _answer(self, step: Step) -> None:
        if "rememberSetup" in step.effects:
            await self._wait(_SETUP_SECONDS)
            session_id = f"00000000-0000-4000-8000-{self._number:012d}" if self._wire["sessionId"] else None
            await self._send({"setupComplete": {"sessionId": session_id} if session_id else {}})
            self._policy.log(f"session {self._number}: {one_line(str(self._talk.setup.get('model')))}")
            return
        if self._talk.state("session") != "ready":
            return
        for text in _texts(step):
            self._said_words += len(text.split())
            self._said = f"{self._said} {text}"[: 2 * _HEARD_LIMIT]  # what is not spoken is not kept
        self._heard_bytes += sum(len(pcm) for _, pcm in step.audio)
        if "prompt" in step.signals or "toolResponse" in step.signals:
            await self._interrupt()
            words, prompt = self._words(step), self._said_words
            self._said, self._said_words, self._heard_bytes = "", 0, 0
            self._reply = asyncio.create_task(self._speak(words, prompt))
        elif "clientContent" in step.signals:
            await self._interrupt()  # even a turn that asks for nothing cuts a running reply (TURN-1)

    def _words(self, step: Step) -> str:
        said = one_line(self._said.strip(), _HEARD_LIMIT)
        if "toolResponse" in step.signals:
            names = machine.values(step.body, ("toolResponse", "functionResponses", "*", "name"))
            said = f"your answer from {one_line(', '.join(map(str, names)), _HEARD_LIMIT) or 'a function'}"
        elif said:
            said = f'"{said}"'
        elif self._heard_bytes:
            said = f"{self._heard_bytes / (2 * (self._talk.input_rate or wire.INPUT_RATE)):.1f} seconds of sound"
        else:
            said = "nothing"
        return f"This is the livews stand-in, not Gemini. I heard {said}."

    async def _interrupt(self) -> None:
        if self._reply is None or self._reply.done():
            return
        self._reply.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reply
        await self._send({"serverContent": {"interrupted": True}})
        await self._send({"serverContent": {"turnComplete": True}, "usageMetadata": self._usage(0, "", 0)})

    async def _speak(self, words: str, prompt: int) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._wait(_THINK_SECONDS)
            if self._wire["opener"]:
                await self._send({"serverContent": {}})
            setup = self._talk.setup
            modalities = machine.values(setup, ("generationConfig", "responseModalities", "*"))
            seconds = 0.0
            if "TEXT" in modalities:
                for piece in _pieces(words):
                    await self._send(self._content({"modelTurn": {"parts": [{"text": piece}]}}))
                    await self._wait(0.04)
            else:
                started = asyncio.get_running_loop().time()
                seconds = await self._speak_aloud(words, "outputAudioTranscription" in setup)
            await self._send({"serverContent": {"generationComplete": True}})
            if seconds:  # turnComplete comes when the voice would have been heard (TURN-3)
                spent = asyncio.get_running_loop().time() - started
                await self._wait(seconds, already=spent)
            end: dict[str, Any] = {"serverContent": {"turnComplete": True}}
            if self._wire["usage"] != "none":
                end["usageMetadata"] = self._usage(prompt, words, seconds)
            if self._talk.profile["turnEndsAt"] == "interactionStatus":
                end["serverContent"]["interactionStatus"] = "IDLE"
            await self._send(end)

    async def _speak_aloud(self, words: str, transcribed: bool) -> float:
        """The voice in chunks, with the words as this model sends them; how many seconds it lasts."""
        about = self._wire
        pcm = await asyncio.to_thread(voice.render, words)
        size = about["chunkMs"] * voice.RATE // 1000 * 2
        chunks = [pcm[i : i + size] for i in range(0, len(pcm), size)]
        pieces = list(_pieces(words)) if transcribed else []
        if about["transcript"] == "first":
            await self._send({"serverContent": {"outputTranscription": {}}})
            for piece in pieces:
                await self._send({"serverContent": {"outputTranscription": {"text": piece}}})
            if about.get("finished"):
                await self._send({"serverContent": {"outputTranscription": {"finished": True}}})
            pieces = []
        for i, chunk in enumerate(chunks):
            due = pieces[: -(-len(pieces) // (len(chunks) - i))]
            del pieces[: len(due)]
            data = wire.encode_base64(chunk)
            if due and about["bundled"]:
                blob = {"mimeType": about["mimeType"], "data": data}
                turn = self._content({"modelTurn": {"parts": [{"inlineData": blob}]}})
                turn["serverContent"]["outputTranscription"] = {"text": "".join(due)}
                await self._send(turn)
            else:
                for piece in due:
                    await self._send({"serverContent": {"outputTranscription": {"text": piece}}})
                frame = wire.audio_as_service(data, about["mimeType"], "model" if about["role"] else None)
                await self._send_raw(frame)
            await self._wait(about["chunkMs"] / 1000 / _FASTER)
        return len(pcm) / 2 / voice.RATE

    def _content(self, content: dict[str, Any]) -> dict[str, Any]:
        if self._wire["role"] and "modelTurn" in content:
            content = {**content, "modelTurn": {"role": "model", **content["modelTurn"]}}
        return {"serverContent": content}

    def _usage(self, asked: int, words: str, seconds: float) -> dict[str, Any]:
        """Token counts that add up: a token a word in and a few besides, a token a word or 25 a second out."""
        prompt = asked + 8
        modality = "AUDIO" if seconds else "TEXT"
        response = round(seconds * _TOKENS_A_SECOND) or len(words.split())
        name = "candidates" if self._wire["usage"] == "candidates" else "response"
        usage: dict[str, Any] = {"promptTokenCount": prompt}
        if response:
            usage[f"{name}TokenCount"] = response
        usage["totalTokenCount"] = prompt + response
        usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt}]
        if response:
            usage[f"{name}TokensDetails"] = [{"modality": modality, "tokenCount": response}]
        return usage

    # The socket

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_raw(wire.dump_as_service(message))

    async def _send_raw(self, frame: bytes) -> None:
        self._talk.step("server", frame)
        await self._socket.send(frame)  # bytes: a binary frame (WIRE-1)

    async def _wait(self, seconds: float, already: float = 0.0) -> None:
        await asyncio.sleep(max(0.0, seconds * self._policy.pace - already))


def _worst(faults: list[Finding]) -> Finding:
    return next((fault for fault in faults if fault.level == "error"), faults[0])


def _texts(step: Step) -> Iterator[str]:
    """What the user said in words in this frame."""
    for turn in machine.values(step.body, ("clientContent", "turns", "*")):
        if isinstance(turn, dict) and str(turn.get("role", "user")).lower() == "user":
            yield from (t for t in machine.values(turn, ("parts", "*", "text")) if isinstance(t, str))
    yield from (t for t in machine.values(step.body, ("realtimeInput", "text")) if isinstance(t, str))


def _pieces(words: str) -> Iterator[str]:
    """Words in pieces as transcripts come: a few at a time, spaces kept, so that joining gives the text."""
    parts = re.findall(r"\s*\S+", words)
    for i in range(0, len(parts), _BATCH):
        yield "".join(parts[i : i + _BATCH])
