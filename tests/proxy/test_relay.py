"""The proxy relays every byte unchanged in both directions, ends included, and records what it relays."""

import asyncio
import errno
import hashlib
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidStatus
from websockets.frames import Close, Opcode

from livews.errors import TraceFailed
from livews.proxy.injector import MessageInjector
from livews.redactor import Redactor
from livews.server import faults
from livews.trace.session import follow
from livews.trace.writer import TraceFile
from tests.kit.names import GEMINI
from tests.kit.recorder import MemoryRecorder
from tests.kit.servers import dial, echo, scripted, tcp
from tests.proxy.kit import HELLO, SETUP, SWITCH, UPGRADE, dialled, framed, in_chunks, proxied, stand_in


async def test_every_byte_goes_through_as_it_is() -> None:
    """Fragments, pings between them, a long message, garbage: in pieces of any size, both ways, and the heads."""
    up = b"".join(
        [
            framed(Opcode.TEXT, SETUP.encode(), mask=True),
            framed(Opcode.TEXT, HELLO[:20].encode(), mask=True, fin=False),
            framed(Opcode.PING, b"p", mask=True),
            framed(Opcode.CONT, HELLO[20:].encode(), mask=True),
            framed(Opcode.BINARY, b"\x00\xff" * 40_000, mask=True),
            b"\xff\xff what is this?",
        ]
    )
    down = b"".join(
        [
            framed(Opcode.BINARY, b'{"setup', mask=False, fin=False),
            framed(Opcode.CONT, b"", mask=False, fin=False),
            framed(Opcode.PONG, b"odd" * 40, mask=False),
            framed(Opcode.CONT, b'Complete":{}}', mask=False),
            framed(Opcode.TEXT, b'{"serverContent":{"turnComplete":true}}' + b" " * 70_000, mask=False),
            framed(Opcode.CLOSE, struct.pack("!H", 1000) + "Zeit\u00fcber".encode(), mask=False),
        ]
    )
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        await in_chunks(writer, SWITCH + down)
        heard.append(await reader.readexactly(len(up)))
        writer.write_eof()
        heard.append(await reader.read())

    async with tcp(handle) as url, proxied(url + "/a/prefix") as proxy:
        reader, writer = await dialled(proxy.port)
        answer = await reader.readexactly(len(SWITCH))
        await in_chunks(writer, up)
        got = await reader.read()
        writer.close()
        await proxy.ended()
        assert answer == SWITCH
        assert got == down
        assert heard[1] == up and heard[2] == b""
        authority = url.removeprefix("http://")
        sent = [line.replace("127.0.0.1", authority) if line.startswith("hOsT") else line for line in UPGRADE]
        sent[0] = f"GET /a/prefix{GEMINI}?alt=x HTTP/1.1"
        assert heard[0] == "\r\n".join([*sent, "", ""]).encode()
        seen = proxy.recorders[0]
        assert [frame for frame in seen.frames if frame[0] == "send"][:2] == [
            ("send", "text", SETUP.encode()),
            ("send", "text", HELLO.encode()),
        ]
        assert ("recv", "binary", b'{"setupComplete":{}}') in seen.frames
        assert ("send", "ping", {"size": 1}) in seen.controls
        assert ("recv", "pong", {"size": 120}) in seen.controls
        assert ("recv", "close", {"code": 1000, "reason": "Zeit\u00fcber"}) in seen.controls
        blind = [line for line in proxy.log if "observer stopped" in line]
        assert len(blind) == 1 and "the client" in blind[0] and "the session continues unrecorded" in blind[0]


async def test_compressed_messages_go_through_and_are_seen_inflated() -> None:
    said = [SETUP, HELLO, HELLO]
    async with scripted(echo, compression="deflate") as url, proxied(url) as proxy:
        async with dial(proxy.url, compression="deflate") as client:
            assert client.protocol.extensions
            for message in said:
                await client.send(message)
                assert await client.recv() == message
        await proxy.ended()
        for direction in ("send", "recv"):
            seen = [raw.decode() for way, _, raw in proxy.recorders[0].frames if way == direction]
            assert seen == said
        assert any("permessage-deflate" in line for line in proxy.log)


async def test_a_reader_that_is_slow_holds_up_its_sender_and_not_the_memory() -> None:
    piece = framed(Opcode.BINARY, b"\x00" * 65_000, mask=False)
    whole = 800
    sent = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCH)
        for _ in range(whole):
            writer.write(piece)
            await writer.drain()
            sent += 1
        writer.write_eof()
        await reader.read()

    async with tcp(handle) as url, proxied(url) as proxy:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", proxy.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
        writer.write("\r\n".join([*UPGRADE, "", ""]).encode())
        before = -1
        while before != sent or not sent:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.2)
        assert sent < whole // 2
        await reader.readexactly(len(SWITCH))
        found = hashlib.sha256()
        while data := await reader.read(1 << 20):
            found.update(data)
        assert found.digest() == hashlib.sha256(piece * whole).digest()
        writer.close()
        await proxy.ended()


@pytest.mark.parametrize("by", ["client", "server"])
@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1011, "You exceeded your current quota"), (4001, "b\u00e4")]
)
async def test_closes_arrive_as_they_were(by: str, code: int, reason: str) -> None:
    closed: list[Close | None] = []

    async def script(socket: ServerConnection) -> None:
        if by == "server":
            await socket.close(code, reason)
        await socket.wait_closed()
        closed.append(socket.protocol.close_rcvd)

    async with scripted(script) as url, proxied(url) as proxy:
        async with dial(proxy.url) as client:
            if by == "client":
                await client.close(code, reason)
            await client.wait_closed()
            closed.append(client.protocol.close_rcvd)
        await proxy.ended()
        seen, direction = proxy.recorders[0], "send" if by == "client" else "recv"
        assert (seen.controls[0], seen.closed) == ((direction, "close", {"code": code, "reason": reason}), 1)
        assert f"closed by {'the client' if by == 'client' else 'the service'}, {code}" in proxy.log[-1]
    assert closed == [Close(code, reason)] * 2


@pytest.mark.parametrize("by", ["client", "server"])
async def test_a_socket_that_dies_dies_on_the_other_side(by: str) -> None:
    died: list[int | None] = []

    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        if by == "server":
            socket.transport.abort()
        else:
            await socket.send("{}")
        await socket.wait_closed()
        died.append(socket.close_code)

    async with scripted(script) as url, proxied(url) as proxy:
        async with dial(proxy.url) as client:
            await client.send("{}")
            if by == "client":
                await client.recv()
                client.transport.abort()
            await client.wait_closed()
            died.append(client.close_code)
        await proxy.ended()
        direction = "recv" if by == "server" else "send"
        assert proxy.recorders[0].controls == [(direction, "close", {"code": 1006, "reason": ""})]
        assert "without a close frame" in proxy.log[-1]
    assert died == [1006, 1006]


async def test_a_reset_is_a_reset() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCH)
        await reader.readexactly(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with tcp(handle) as url, proxied(url) as proxy:
        reader, writer = await dialled(proxy.port)
        await reader.readexactly(len(SWITCH))
        writer.write(b"\x81")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.transport.abort()
        await proxy.ended()
        assert "reset by the service" in proxy.log[-1]


async def test_a_conversation_with_the_stand_in_is_the_same_on_both_sides(tmp_path: Path) -> None:
    """What the stand-in wrote down, what the proxy wrote down and what the client heard."""
    heard: list[bytes] = []

    def theirs(number: int, url: str, credential: str) -> TraceFile:
        return TraceFile(tmp_path / "stand-in", url=url, side="stand-in", secrets=Redactor())

    def ours(number: int, url: str, redactor: Redactor, injector: MessageInjector) -> list[TraceFile]:
        return [TraceFile(tmp_path / "proxy", url=url, side="proxy", secrets=redactor)]

    async with stand_in("fragments=700", "big-message@3", record=theirs) as there:
        async with proxied(there.url, record=ours) as proxy:
            async with dial(proxy.url) as client:
                await client.send(SETUP)
                heard.append(await client.recv(decode=False))
                await client.send(HELLO)
                while b"turnComplete" not in heard[-1]:
                    heard.append(await client.recv(decode=False))
            await proxy.ended()
    written = []
    for side in ("stand-in", "proxy"):
        with (tmp_path / side).open("rb") as file:
            ((header, lines),) = ((session.header, list(session.lines())) for session in follow(file, side))
        assert header["side"] == side
        lines = [line for line in lines if line.raw is not None]
        written.append(
            {way: [(line.opcode, line.raw) for line in lines if line.sender == way] for way in ("client", "server")}
        )
    assert written[0] == written[1] and len(written[0]["client"]) == 2
    assert [line.size for line in lines if line.sender == "server"] == [len(message) for message in heard]
    assert max(map(len, heard)) > faults.BIG


async def test_a_trace_that_cannot_be_written_runs_no_session() -> None:
    def record(number: int, url: str, redactor: Redactor, injector: MessageInjector) -> list[Any]:
        raise TraceFailed("cannot write the trace")

    async with scripted(lambda socket: socket.wait_closed()) as url, proxied(url, record=record) as proxy:
        with pytest.raises(InvalidStatus, match="500"):
            await dial(proxy.url)
        await proxy.ended()
        assert [problem.what for problem in proxy.fatal] == ["cannot write the trace"]


async def test_a_watcher_that_fails_holds_up_nothing() -> None:
    class Broken(MemoryRecorder):
        def frame(self, *_: Any) -> None:
            raise RuntimeError("a mistake of ours")

    class Full(MemoryRecorder):
        def frame(self, *_: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = MemoryRecorder()
    async with scripted(echo) as url, proxied(url, record=lambda *_: [Broken(), Full(), kept]) as proxy:
        async with dial(proxy.url) as client:
            for i in range(3):
                await client.send(f'{{"n":{i}}}')
                assert await client.recv() == f'{{"n":{i}}}'
        await proxy.ended()
        assert sum("RuntimeError in livews itself" in line for line in proxy.log) == 1
        assert sum("No space left on device; is the disk of temporary files" in line for line in proxy.log) == 1
        assert len(kept.frames) == 6, "who looks on beside them sees all"
