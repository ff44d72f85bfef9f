"""A service for tests of reconnecting, which shares no code with livews: it answers every prompt, keeps its sessions by
their handles, counts what it received and answered, and breaks the connection where a test says so.

Where something is said, `Moment` names it; a fault is a function that gets the connection at its moment.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

MOMENTS = (
    "setup", "ready", "idle", "asked", "speaking", "generated", "over", "called", "resulted", "spoken",
)  # fmt: skip
"""Setup received, setupComplete sent, waiting for a prompt, prompt received, first audio sent, generationComplete sent,
turnComplete sent, toolCall sent, its result received, and audio of the user received."""
Fault = Callable[["Link", str, str], Awaitable[None]]
"""Called at each moment, with what it is about; it may close or break the connection."""


@dataclass
class Kept:
    """A session of the service."""

    number: int
    answered: Counter[str] = field(default_factory=Counter)
    open_calls: dict[str, str] = field(default_factory=dict)
    """Call id to the prompt that it is about."""
    history: list[str] = field(default_factory=list)
    held: bool = False


class Link:
    """One connection."""

    def __init__(self, service: Service, socket: ServerConnection, number: int) -> None:
        self.service, self.socket, self.number = service, socket, number
        self.kept: Kept | None = None
        self.setup: dict[str, Any] = {}
        self.turns = 0
        self.opened = asyncio.get_running_loop().time()
        self.went_away = False

    async def send(self, message: dict[str, Any]) -> None:
        await self.socket.send(json.dumps(message).encode())

    async def half(self, message: dict[str, Any]) -> None:
        """Send the first half of a frame, and break the connection."""
        raw = json.dumps(message).encode()
        transport = self.socket.transport
        transport.write(struct.pack("!BBH", 0x82, 126, len(raw)) + raw[: len(raw) // 2])
        await asyncio.sleep(0.01)
        transport.abort()

    def reset(self) -> None:
        self.socket.transport.abort()

    def end(self) -> None:
        """FIN without a close frame."""
        self.socket.transport.close()

    async def close(self, code: int, reason: str = "") -> None:
        await self.socket.close(code, reason)

    async def away(self, left: float) -> None:
        await self.send({"goAway": {"timeLeft": f"{left:.3f}s"}})


class Service:
    """The service; `url` is where it listens.

    Args:
        fault: called at each moment.
        pause: seconds between two messages of a reply.
        updates: it gives handles.
        tool: prompts with this word are answered after a call of `look_up`.
    """

    def __init__(
        self, fault: Fault | None = None, *, pause: float = 0.005, updates: bool = True, tool: str = "weather"
    ) -> None:
        self.url = ""
        self.over = asyncio.Event()
        self.fault = fault
        self.pause = pause
        self.updates = updates
        self.tool = tool
        self.links: list[Link] = []
        self.sessions: dict[str, Kept] = {}
        self.most_open = 0
        self.answered: Counter[str] = Counter()
        """Prompt to how often all of its answer was sent."""
        self.asked: Counter[str] = Counter()
        self.heard: Counter[int] = Counter()
        """Numbered samples of the user's voice."""
        self.results: Counter[str] = Counter()
        self.tasks: list[asyncio.Task[None]] = []
        self.refused: Callable[[str], tuple[int, str] | None] = lambda handle: None
        self._made = 0
        self._handles = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        options: dict[str, Any] = {"compression": None, "ping_interval": None, "max_size": None, "close_timeout": 1}
        async with serve(self._serve, "127.0.0.1", 0, **options) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            try:
                yield self
            finally:
                self.over.set()
                for link in self.links:
                    link.socket.transport.abort()

    async def _serve(self, socket: ServerConnection) -> None:
        link = Link(self, socket, len(self.links) + 1)
        self.links.append(link)
        self.most_open = max(self.most_open, sum(not other.socket.transport.is_closing() for other in self.links))
        try:
            await self._talk(link)
        except (ConnectionClosed, ConnectionError):
            pass
        finally:
            if link.kept is not None:
                link.kept.held = False

    async def _at(self, link: Link, moment: str, about: str = "") -> None:
        if self.fault is not None:
            await self.fault(link, moment, about)

    async def _talk(self, link: Link) -> None:
        link.setup = json.loads(await link.socket.recv())["setup"]
        await self._at(link, "setup")
        handle = link.setup.get("sessionResumption", {}).get("handle", "")
        if handle:
            refusal = self.refused(handle)
            if refusal is None and handle not in self.sessions:
                refusal = 1008, "BidiGenerateContent session not found"
            if refusal is not None:
                await link.close(*refusal)
                return
            link.kept = self.sessions[handle]
        else:
            self._made += 1
            link.kept = Kept(self._made)
        link.kept.held = True
        await link.send({"setupComplete": {}})
        await self._at(link, "ready")
        await self._update(link)
        await self._at(link, "idle")
        async for raw in link.socket:
            await self._take(link, json.loads(raw))

    async def _update(self, link: Link) -> None:
        if self.updates:
            assert link.kept is not None
            self._handles += 1
            handle = f"handle-{self._handles:05d}"
            self.sessions[handle] = link.kept
            await link.send({"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}})

    async def _take(self, link: Link, message: dict[str, Any]) -> None:
        kept = link.kept
        assert kept is not None
        if "clientContent" in message:
            content = message["clientContent"]
            texts = [part["text"] for turn in content.get("turns", ()) for part in turn["parts"]]
            if content.get("turnComplete"):
                await self._reply(link, texts[-1])
            else:
                kept.history += texts
        elif "text" in message.get("realtimeInput", {}):
            await self._reply(link, message["realtimeInput"]["text"])
        elif "audio" in message.get("realtimeInput", {}):
            pcm = base64.b64decode(message["realtimeInput"]["audio"]["data"])
            (number,) = struct.unpack_from("<h", pcm)
            self.heard[number] += 1
            await self._at(link, "spoken", str(number))
        elif "toolResponse" in message:
            for answer in message["toolResponse"]["functionResponses"]:
                prompt = kept.open_calls.pop(answer["id"], "")
                self.results[answer["id"]] += 1
                if prompt:
                    await self._at(link, "resulted", prompt)
                    await self._speak(link, prompt)

    async def _reply(self, link: Link, prompt: str) -> None:
        assert link.kept is not None
        self.asked[prompt] += 1
        await self._at(link, "asked", prompt)
        if self.tool in prompt:
            call_id = f"call-{link.kept.number}-{sum(self.asked.values())}"
            link.kept.open_calls[call_id] = prompt
            await link.send(
                {"toolCall": {"functionCalls": [{"id": call_id, "name": "look_up", "args": {"of": prompt}}]}}
            )
            await self._at(link, "called", prompt)
        else:
            await self._speak(link, prompt)

    async def _speak(self, link: Link, prompt: str) -> None:
        kept = link.kept
        assert kept is not None
        for i in range(4):
            pcm = base64.b64encode(struct.pack("<h", i + 1) * 480).decode()
            blob = {"mimeType": "audio/pcm;rate=24000", "data": pcm}
            content: dict[str, Any] = {"modelTurn": {"parts": [{"inlineData": blob}]}}
            if i == 0:
                content["outputTranscription"] = {"text": f"answer to {prompt}"}
            await link.send({"serverContent": content})
            if i == 0:
                await self._at(link, "speaking", prompt)
            await asyncio.sleep(self.pause)
        await link.send({"serverContent": {"generationComplete": True}})
        self.answered[prompt] += 1
        kept.answered[prompt] += 1
        await self._at(link, "generated", prompt)
        await link.send({"serverContent": {"turnComplete": True}})
        link.turns += 1
        await self._update(link)
        await self._at(link, "over", prompt)
