"""The peers of livews in these cases: a scripted server, a scripted client, and the two ends of a byte relay.

They use the websockets package and asyncio streams, and nothing of livews, so they serve any version of it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from tests.bench.golden import normalize

PATIENCE = 30.0
"""Seconds that any one wait may last; nothing comes near it, also on a busy machine."""
_NOT_COMPARED = ("host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version",
                 "sec-websocket-extensions")  # fmt: skip
"""Headers that the websockets library writes by itself."""

Step = tuple[Any, ...]


class ScriptedServer:
    """Plays one list of steps to each client and keeps what the client sent.

    Steps: ("expect", MEMBER) waits for a client message with that member (others are kept and passed over);
    ("send", OBJECT) sends JSON in a binary frame as the service does, ("text", TEXT) and ("bytes", BYTES) send a frame
    as it is; ("close", CODE, REASON); ("drop",) cuts the connection; ("wait", SECONDS);
    ("as the path says",) plays /CODE/READY/xREASON-IN-HEX of the URL: a setupComplete or none, then that close.
    """

    def __init__(self, steps: Sequence[Step], status: int = 0) -> None:
        self._steps, self._status = steps, status
        self.url = ""
        self.handshakes: list[dict[str, Any]] = []
        self.received: list[list[Any]] = []
        """For each client, every message and its close."""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[ScriptedServer]:
        async with serve(
            self._play,
            "127.0.0.1",
            0,
            process_request=self._greet,
            compression=None,
            ping_interval=None,
            max_size=None,
        ) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    def _greet(self, socket: ServerConnection, request: Request) -> Response | None:
        headers = {name.lower(): normalize.text(value) for name, value in request.headers.raw_items()}
        compared = {name: value for name, value in sorted(headers.items()) if name not in _NOT_COMPARED}
        self.handshakes.append({"path": request.path, "headers": compared})
        if self._status:
            response = socket.respond(self._status, "")
            if self._status in (301, 302):
                response.headers["Location"] = "http://127.0.0.1:9/elsewhere"
            return response
        return None

    def seen(self) -> dict[str, Any]:
        """Handshakes, and what the only client sent, or what each did."""
        hashed = [
            [{**row, "sha256": row["sha256"].hexdigest()[:16]} if "audio" in row else row for row in one]
            for one in self.received
        ]
        return {"handshakes": self.handshakes, "client": hashed[0] if len(hashed) == 1 else hashed}

    async def _play(self, socket: ServerConnection) -> None:
        inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.received.append([])
        reader = asyncio.create_task(self._read(socket, inbox, self.received[-1]))
        try:
            for step in self._steps:
                await self._do(socket, inbox, *step)
            await asyncio.wait_for(reader, PATIENCE)
        except ConnectionClosed:
            pass
        finally:
            await asyncio.wait([reader], timeout=PATIENCE)

    async def _do(self, socket: ServerConnection, inbox: asyncio.Queue[Any], verb: str, *what: Any) -> None:
        if verb == "expect":
            while (raw := await asyncio.wait_for(inbox.get(), PATIENCE)) is not None:
                if f'"{what[0]}"' in (raw if isinstance(raw, str) else raw.decode(errors="replace")):
                    return
        elif verb == "send":
            await socket.send(json.dumps(what[0], indent=2).encode() + b"\n")
        elif verb in ("text", "bytes"):
            await socket.send(what[0])
        elif verb == "close":
            await socket.close(what[0], what[1])
        elif verb == "drop":
            socket.transport.abort()
        elif verb == "wait":
            await asyncio.sleep(what[0])
        elif verb == "as the path says":
            assert socket.request is not None
            code, ready, reason = socket.request.path.split("/")[1:4]
            if ready == "True":
                await socket.send(b'{"setupComplete": {}}')
            if code == "1006":
                socket.transport.abort()
            else:
                await socket.close(int(code), bytes.fromhex(reason[1:]).decode())
        else:
            raise AssertionError(verb)

    async def _read(self, socket: ServerConnection, inbox: asyncio.Queue[Any], kept: list[Any]) -> None:
        try:
            while True:
                raw = await socket.recv()
                _keep(kept, raw)
                inbox.put_nowait(raw)
        except ConnectionClosed as closed:
            if closed.rcvd is not None and not closed.rcvd_then_sent:  # the echo of the server's close tells nothing
                return
            kept.append({"close": [closed.rcvd.code, closed.rcvd.reason] if closed.rcvd else "lost"})
        finally:
            inbox.put_nowait(None)


def _keep(kept: list[Any], raw: str | bytes) -> None:
    """Add a frame. A stretch of microphone sound becomes one row: its bytes, the lengths of its frames, their form."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        message = json.loads(raw)
        audio = message["realtimeInput"]["audio"]
        pcm = base64.b64decode(audio["data"])
        last = kept[-1] if kept and "audio" in kept[-1] else {}
        if last.get("audio") != audio["mimeType"]:
            last = {"audio": audio["mimeType"], "bytes": 0, "frameBytes": [], "sha256": hashlib.sha256(), "like": ""}
            last["like"] = str(raw).replace(audio["data"], "")
            kept.append(last)
        last["bytes"] += len(pcm)
        last["sha256"].update(pcm)
        if len(pcm) not in last["frameBytes"]:
            last["frameBytes"].append(len(pcm))
        return
    kept.append(normalize.frame(raw))


async def call(
    url: str, steps: Iterable[Step], headers: dict[str, str] | None = None, before: Iterable[Any] = ()
) -> list[Any]:
    """Play a client to `url` and return each frame that came, and the close.

    Steps: ("send", OBJECT), ("text", TEXT) and ("bytes", BYTES) send a frame; ("until", TEXT) reads up to the frame that
    holds that text, ("read",) one frame, ("closed",) until the server closes; ("close", CODE); ("meanwhile", STEPS) is
    another client, while this one stays. LAST-id in an OBJECT stands for the newest "id" that came, also in the frames of
    `before`.
    """
    got: list[Any] = []

    def last(found: re.Match[str]) -> str:
        return re.findall(
            rf'"{found[1]}": ?"([^"]+)"',
            " ".join(str(one, "utf-8", "replace") for one in [*before, *got] if isinstance(one, bytes)),
        )[-1]

    try:
        async with connect(
            url,
            additional_headers=headers,
            compression=None,
            ping_interval=None,
            max_size=None,
            proxy=None,
            user_agent_header="golden",
        ) as socket:
            try:
                for verb, *what in steps:
                    if verb == "send":
                        await socket.send(re.sub(r"LAST-(\w+)", last, json.dumps(what[0])))
                    elif verb in ("text", "bytes"):
                        await socket.send(what[0])
                    elif verb == "close":
                        await socket.close(what[0])
                    elif verb == "meanwhile":
                        got += await call(url, what[0], headers)
                    else:
                        async with asyncio.timeout(PATIENCE):
                            while True:
                                pieces = [piece async for piece in socket.recv_streaming()]
                                raw = pieces[0][:0].join(pieces)  # type: ignore[arg-type]
                                got.append(raw)
                                if len(pieces) > 1:
                                    got.append({"fragments": [len(piece) for piece in pieces]})
                                if verb == "read" or (verb == "until" and what[0] in str(raw)):
                                    break
            except ConnectionClosed as end:
                got.append({"close": [end.rcvd.code, end.rcvd.reason] if end.rcvd else "lost"})
    except InvalidStatus as refused:
        got.append({"status": refused.response.status_code})
    return got


async def http(url: str, method: str, path: str, body: str = "") -> list[Any]:
    """One HTTP request: status, Content-Type, and the body where it is JSON."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = f"{method} {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write((head + body).encode())
    top, _, content = (await asyncio.wait_for(reader.read(), PATIENCE)).partition(b"\r\n\r\n")
    writer.close()
    kind = re.findall(r"(?im)^content-type: *(.*?)\r?$", top.decode())
    seen = [normalize.normal(json.loads(content), also=normalize.HTTP)] if "json" in str(kind) else []
    return [int(top.split()[1]), *kind, *seen]


@contextlib.asynccontextmanager
async def quiet() -> AsyncIterator[str]:
    """The URL of a server that takes connections and never says a word."""
    held: list[asyncio.StreamWriter] = []
    listener = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        for writer in held:
            writer.close()
        listener.close()


class ByteServer:
    """One end of a relay: takes one upgrade, then sends `down` once it has read as many bytes as `up` has."""

    def __init__(self, up: bytes, down: bytes) -> None:
        self._up, self._down = up, down
        self.head = b""
        self.got = b""
        self.port = 0
        self._done = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[ByteServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
            await asyncio.wait_for(self._done.wait(), PATIENCE)
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        writer.write(UPGRADED)
        while len(self.got) < len(self._up) and (more := await reader.read(65536)):
            self.got += more
        writer.write(self._down)
        await writer.drain()
        self.got += await reader.read()
        writer.close()
        self._done.set()


KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
_ACCEPT = base64.b64encode(hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
UPGRADED = (
    f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {_ACCEPT}\r\nX-Served-By: golden\r\n\r\n"
).encode()


def masked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A client's frame, with a fixed mask so that its bytes are the same in every run."""
    mask = b"\x01\x02\x03\x04"
    return _header(opcode, len(payload), fin, 0x80) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def unmasked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A server's frame."""
    return _header(opcode, len(payload), fin, 0) + payload


def _header(opcode: int, size: int, fin: bool, mask: int) -> bytes:
    first = bytes([opcode | (0x80 if fin else 0)])
    if size < 126:
        return first + bytes([mask | size])
    return first + bytes([mask | 126]) + size.to_bytes(2, "big")


async def relay(url: str, server: ByteServer, up: bytes, down: bytes) -> dict[str, Any]:
    """Dial the proxy at `url`, pass bytes both ways, and say whether they came through as they were."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = (
        f"GET {place.path}?key=SECRET HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nX-ODD-Case: kept\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: one, two\r\n\r\n"
    )
    writer.write(head.encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    for at in range(0, len(up), 7):  # in pieces that end in the middle of frames
        writer.write(up[at : at + 7])
        await writer.drain()
    got = await asyncio.wait_for(reader.readexactly(len(down)), PATIENCE)
    writer.close()
    await asyncio.wait_for(server._done.wait(), PATIENCE)
    return {
        "requestHead": normalize.text(server.head.decode()).split("\r\n"),
        "responseHead": answer.decode().split("\r\n"),
        "up": {"same": server.got == up, "got": normalize.digest(server.got)},
        "down": {"same": got == down, "got": normalize.digest(got)},
    }
