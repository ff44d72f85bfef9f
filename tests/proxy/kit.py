"""A running proxy for tests, the peers it talks to, and requests as they are on the wire."""

import asyncio
import contextlib
import random
import re
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from websockets.frames import Frame, Opcode

from livews.cli.console import Console
from livews.cli.terminal_reporter import TerminalReporter
from livews.errors import LivewsError
from livews.proxy import server as proxy_server
from livews.proxy.injector import MessageInjector
from livews.proxy.upstream import Streams, UpstreamTarget
from livews.redactor import Redactor
from livews.server.server import StandInServer
from tests.kit.names import GEMINI
from tests.kit.recorder import MemoryRecorder
from tests.kit.servers import tcp
from tests.kit.talk import serving

SETUP = '{"setup":{"model":"models/gemini-3.8-live","generationConfig":{"responseModalities":["AUDIO"]}}}'
HELLO = '{"clientContent":{"turns":[{"role":"user","parts":[{"text":"Hello"}]}],"turnComplete":true}}'
OTHER = "another-secret-of-the-client"
CASES = random.Random(7)


def stand_in(*wrong: str, **changes: Any) -> contextlib.AbstractAsyncContextManager[StandInServer]:
    """A stand-in at full speed, with these faults."""
    return serving(pace=0, faults=wrong, **changes)


class RunningProxy:
    """A proxy, and what it logged and recorded."""

    def __init__(self) -> None:
        self.url = ""
        self.log: list[str] = []
        self.failed: list[LivewsError] = []
        self.fatal: list[LivewsError] = []
        self.recorders: list[MemoryRecorder] = []
        self.urls: list[str] = []
        self.heads: list[bytes] = []
        """The heads that the upstream of `answering` got."""
        self.over = asyncio.Event()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def record(self, number: int, url: str, redactor: Redactor, injector: MessageInjector) -> Sequence[Any]:
        self.urls.append(url)
        self.recorders.append(MemoryRecorder())
        return [self.recorders[-1]]

    async def ended(self) -> None:
        async with asyncio.timeout(10):
            await self.over.wait()
        self.over.clear()


@contextlib.asynccontextmanager
async def proxied(upstream: str, **more: Any) -> AsyncIterator[RunningProxy]:
    proxy = RunningProxy()
    given: dict[str, Any] = {
        "record": proxy.record,
        "log": proxy.log.append,
        "on_failure": lambda number, problem: proxy.failed.append(problem),
        "on_fatal": proxy.fatal.append,
        "on_session_end": proxy.over.set,
        **more,
    }
    async with proxy_server.serve_proxy(
        proxy_server.ProxyConfig(upstream=UpstreamTarget.parse(upstream), **given)
    ) as door:
        proxy.url = door.url
        yield proxy


async def ask(port: int, *lines: str, body: bytes = b"", end: bytes = b"\r\n\r\n", eof: bool = False) -> bytes:
    """The whole answer to a request of these lines; with `eof` the client then ends its stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join(lines).encode() + end + body)
    if eof:
        writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


UPGRADE = (
    f"GET {GEMINI}?alt=x HTTP/1.1",
    "X-First: kept",
    "hOsT: 127.0.0.1",
    "Upgrade: WebSocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: odd,  spacing",
    "user-agent:  two  spaces ",
)


SWITCH = b"HTTP/1.1 101 wHaTeVeR\r\nupgrade: websocket\r\nX-Odd:  1 \r\nConnection: Upgrade\r\n\r\n"


def framed(opcode: Opcode, data: bytes, *, mask: bool, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


async def dialled(port: int, early: bytes = b"") -> Streams:
    """A connection on which the head of an upgrade was sent, and these bytes after it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([*UPGRADE, "", ""]).encode() + early)
    return reader, writer


@contextlib.asynccontextmanager
async def answering(answer: bytes, *, end: bool = False, **options: Any) -> AsyncIterator[RunningProxy]:
    """A proxy before an upstream that reads a head, answers with these bytes, ends its stream or not, and reads on."""
    heads: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if end:
            writer.write_eof()
        assert await reader.read() == b""  # what the client sends after its head is not passed on

    async with tcp(handle) as url, proxied(url, **options) as proxy:
        proxy.heads = heads
        yield proxy


async def in_chunks(writer: asyncio.StreamWriter, data: bytes) -> None:
    at = 0
    while at < len(data):
        size = CASES.choice((1, 2, 3, 7, 100, 4096, 30_000))
        writer.write(data[at : at + size])
        await writer.drain()
        await asyncio.sleep(0)
        at += size


def shown(quiet: bool = False, **options: Any) -> Callable[..., list[Any]]:
    """What `record` of a proxy makes: reporters with these options."""
    console = Console(color="never")
    return lambda number, url, redactor, injector: [
        TerminalReporter(number, console, redactor.redact, injector.observer.conversation, quiet=quiet, **options)
    ]


def flat(said: str) -> str:
    """What stderr says, without its line breaks and the numbers of sessions in front."""
    return " ".join(" ".join(re.sub(r"^ *\d+ (?=[ \d!])", "", line) for line in said.splitlines()).split())


@contextlib.asynccontextmanager
async def gate(
    to: str, answer: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[str]]]:
    """The proxy of a network: whatever host it is asked for is that of the URL `to`, or it gives `answer` and leaves.

    Gives its URL and the heads of what it was asked.
    """
    heads: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if answer:
            writer.write(answer)
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 gate\r\n\r\n")
        there = await asyncio.open_connection("127.0.0.1", int(to.rpartition(":")[2]))
        try:
            await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))
        finally:
            there[1].transport.abort()

    async with tcp(handle, tls) as url:
        yield url.replace("http://127.0.0.1", f"{'https' if tls else 'http'}://localhost"), heads


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    sink.close()
