"""The proxy carries every byte as it is, in both directions, sees what passes, and lets in nobody it should not.

Real sockets everywhere: websockets clients, the stand-in, and plain TCP where the bytes themselves are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from livews.cli import proxy as cli
from livews.cli.commands import parse
from livews.cli.console import Console
from livews.cli.terminal_reporter import TerminalReporter
from livews.core import closes, protocol
from livews.errors import BadRequest, LivewsError, TraceFailed, Unreachable
from livews.proxy import server as proxy_server
from livews.proxy.framing import ControlFrame, FramedMessage, FrameParser, Inflate
from livews.proxy.http_head import MalformedHead, UpstreamTarget, parse_request, request
from livews.proxy.upstream import HttpProxy
from livews.proxy.upstream import dial as dial_through
from livews.redactor import Redactor
from livews.server import faults, server
from livews.trace.reader import sessions
from livews.trace.writer import TraceFile
from tests.kit.command import running
from tests.kit.names import GEMINI, ROOT
from tests.kit.recorder import MemoryRecorder
from tests.kit.servers import dial, scripted, tcp
from tests.kit.waiting import until

SETUP = '{"setup":{"model":"models/gemini-3.8-live","generationConfig":{"responseModalities":["AUDIO"]}}}'
MODEL = "models/gemini-3.8-live"
HELLO = '{"clientContent":{"turns":[{"role":"user","parts":[{"text":"Hello"}]}],"turnComplete":true}}'
KEY = "AIza" + "k" * 35
OTHER = "another-secret-of-the-client"
CASES = random.Random(7)


class House:
    """A proxy, and what it said and saw."""

    def __init__(self) -> None:
        self.url = ""
        self.said: list[str] = []
        self.troubles: list[LivewsError] = []
        self.failures: list[LivewsError] = []
        self.seen: list[MemoryRecorder] = []
        self.urls: list[str] = []
        self.over = asyncio.Event()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def record(self, number: int, url: str, hides: proxy_server.HeaderRedaction) -> Sequence[Any]:
        self.urls.append(url)
        self.seen.append(MemoryRecorder())
        return [self.seen[-1]]

    async def ended(self) -> None:
        async with asyncio.timeout(10):
            await self.over.wait()
        self.over.clear()


@contextlib.asynccontextmanager
async def proxied(upstream: str, **more: Any) -> AsyncIterator[House]:
    house = House()
    given: dict[str, Any] = {
        "hides": lambda values: Redactor(*values),
        "record": house.record,
        "log": house.said.append,
        "trouble": lambda number, problem: house.troubles.append(problem),
        "fail": house.failures.append,
        "session_ended": house.over.set,
        **more,
    }
    async with proxy_server.serve_proxy(
        proxy_server.ProxyConfig(upstream=UpstreamTarget.of(upstream), **given)
    ) as door:
        house.url = door.url
        yield house


async def ask(port: int, *lines: str, body: bytes = b"") -> bytes:
    """The whole answer to a request of these lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
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


# The bytes


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
        await _in_pieces(writer, SWITCH + down)
        heard.append(await reader.readexactly(len(up)))
        writer.write_eof()
        heard.append(await reader.read())

    async with tcp(handle) as url, proxied(url + "/a/prefix") as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write("\r\n".join([*UPGRADE, "", ""]).encode())
        answer = await reader.readexactly(len(SWITCH))
        await _in_pieces(writer, up)
        got = await reader.read()
        writer.close()
        await house.ended()
        assert answer == SWITCH
        assert got == down
        assert heard[1] == up and heard[2] == b""
        authority = url.removeprefix("http://")
        sent = [line.replace("127.0.0.1", authority) if line.startswith("hOsT") else line for line in UPGRADE]
        sent[0] = f"GET /a/prefix{GEMINI}?alt=x HTTP/1.1"
        assert heard[0] == "\r\n".join([*sent, "", ""]).encode()
        seen = house.seen[0]
        assert [frame for frame in seen.frames if frame[0] == "send"][:2] == [
            ("send", "text", SETUP.encode()),
            ("send", "text", HELLO.encode()),
        ]
        assert ("recv", "binary", b'{"setupComplete":{}}') in seen.frames
        assert ("send", "ping", {"size": 1}) in seen.controls
        assert ("recv", "pong", {"size": 120}) in seen.controls
        assert ("recv", "close", {"code": 1000, "reason": "Zeit\u00fcber"}) in seen.controls
        blind = [line for line in house.said if "can see no more" in line]
        assert len(blind) == 1 and "the client" in blind[0] and "pass it on all the same" in blind[0]


async def _in_pieces(writer: asyncio.StreamWriter, data: bytes) -> None:
    at = 0
    while at < len(data):
        size = CASES.choice((1, 2, 3, 7, 100, 4096, 30_000))
        writer.write(data[at : at + size])
        await writer.drain()
        await asyncio.sleep(0)
        at += size


def test_frames_are_read_in_pieces_of_any_size() -> None:
    messages = [CASES.randbytes(size) for size in (0, 1, 125, 126, 127, 65_535, 65_536, 200_000)]
    for masked in (True, False):
        wire = b"".join(
            framed(Opcode.BINARY, message[:5], mask=masked, fin=False)
            + framed(Opcode.PING, b"between", mask=masked)
            + framed(Opcode.CONT, message[5:], mask=masked)
            for message in messages
        )
        for size in (1, 3, 1000, len(wire)):
            frames = FrameParser(masked=masked)
            found = [one for at in range(0, len(wire), size) for one in frames.feed(wire[at : at + size])]
            assert [one.payload for one in found if isinstance(one, FramedMessage)] == messages
            assert [one.payload for one in found if isinstance(one, ControlFrame)] == [b"between"] * len(messages)
            assert frames.between and not frames.lost and not frames.odd


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"\x83\x00", "unknown kind 3"),
        (b"\xc1\x00", "reserved bits"),
        (b"\x80\x00", "a fragment of no message"),
        (b"\x01\x00\x01\x00", "a message inside another"),
        (b"\x09\x00", "in fragments"),
        (b"\x89\x7e\x00\x80", "longer than 125"),
        (b"\x82\x7f" + b"\xff" * 8, "more than 2"),
    ],
)
def test_what_is_no_frame_is_told(wire: bytes, why: str) -> None:
    frames = FrameParser(masked=False)
    assert [one for i in range(len(wire)) for one in frames.feed(wire[i : i + 1])] in (
        [],
        [FramedMessage("text", b"", 0)],
    )
    assert why in frames.lost
    assert frames.feed(framed(Opcode.PING, b"", mask=False)) == []


def test_a_message_that_is_too_long_is_told_and_not_kept() -> None:
    frames = FrameParser(masked=False, limit=1000)
    parts = [framed(Opcode.TEXT, b"x" * 600, mask=False, fin=False), framed(Opcode.CONT, b"x" * 600, mask=False)]
    assert frames.feed(b"".join(parts)) == [FramedMessage("text", None, 1200)]
    assert frames.feed(framed(Opcode.TEXT, b"{}", mask=False)) == [FramedMessage("text", b"{}", 2)]
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(bytes(100_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    bomb = FrameParser(masked=False, inflate=Inflate(True), limit=1000)
    wire = framed(Opcode.BINARY, packed[:-4], mask=False)
    assert bomb.feed(bytes([wire[0] | 0x40]) + wire[1:]) == [FramedMessage("binary", None, len(packed) - 4)]
    assert "more than 1,000 bytes" in bomb.lost


async def test_compressed_messages_go_through_and_are_seen_inflated() -> None:
    said = [SETUP, HELLO, HELLO]

    async def script(socket: ServerConnection) -> None:
        assert socket.protocol.extensions
        async for message in socket:
            await socket.send(message)

    async with scripted(script, compression="deflate") as url, proxied(url) as house:
        async with dial(house.url, compression="deflate") as client:
            for message in said:
                await client.send(message)
                assert await client.recv() == message
        await house.ended()
        raw = [message.encode() for message in said]
        for direction in ("send", "recv"):
            assert [frame[2] for frame in house.seen[0].frames if frame[0] == direction] == raw
        assert any("permessage-deflate" in line for line in house.said)


async def test_a_large_message_and_pings_both_ways() -> None:
    big = json.dumps({"serverContent": {"modelTurn": {"parts": [{"text": "." * 2 * 1024 * 1024}]}}})

    async def script(socket: ServerConnection) -> None:
        await socket.ping(b"from the server \x00")  # until the pong with the same payload
        message = await socket.recv()
        await socket.send(message)
        with contextlib.suppress(ConnectionClosed):
            await socket.recv()

    async with scripted(script) as url, proxied(url) as house:
        async with dial(house.url) as client:
            await client.ping(b"from the client")
            await client.send(big)
            assert await client.recv() == big
        await house.ended()
        seen = house.seen[0]
        assert [raw for _, _, raw in seen.frames] == [big.encode(), big.encode()]
        kinds = [(direction, kind, about["size"]) for direction, kind, about in seen.controls if kind != "close"]
        assert sorted(kinds) == [
            ("recv", "ping", 17),
            ("recv", "pong", 15),
            ("send", "ping", 15),
            ("send", "pong", 17),
        ]


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

    async with tcp(handle) as url, proxied(url) as house:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", house.port))
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
        await house.ended()


# The ends


@pytest.mark.parametrize("by", ["client", "server"])
@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1011, "You exceeded your current quota"), (4001, "b\u00e4")]
)
async def test_closes_arrive_as_they_were(by: str, code: int, reason: str) -> None:
    closed: list[tuple[int, str]] = []

    async def script(socket: ServerConnection) -> None:
        if by == "server":
            await socket.close(code, reason)
        await socket.wait_closed()
        assert socket.protocol.close_rcvd is not None
        closed.append((socket.protocol.close_rcvd.code, socket.protocol.close_rcvd.reason))

    async with scripted(script) as url, proxied(url) as house:
        async with dial(house.url) as client:
            if by == "client":
                await client.close(code, reason)
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (code, reason)
        await house.ended()
        direction = "send" if by == "client" else "recv"
        assert house.seen[0].controls[0] == (direction, "close", {"code": code, "reason": reason})
        assert house.seen[0].closed == 1
        assert f"closed by {'the client' if by == 'client' else 'the service'}, {code}" in house.said[-1]
    assert closed == [(code, reason)]


@pytest.mark.parametrize("by", ["client", "server"])
async def test_a_socket_that_dies_dies_on_the_other_side(by: str) -> None:
    died: list[int] = []

    async def script(socket: ServerConnection) -> None:
        await socket.send("{}")
        if by == "server":
            await socket.recv()
            socket.transport.abort()
        await socket.wait_closed()
        died.append(socket.close_code or 0)

    async with scripted(script) as url, proxied(url) as house:
        async with dial(house.url) as client:
            await client.recv()
            if by == "server":
                await client.send("{}")
                with pytest.raises(ConnectionClosed) as caught:
                    await client.recv()
                assert caught.value.rcvd is None  # 1006
            else:
                client.transport.abort()
        await house.ended()
        direction = "recv" if by == "server" else "send"
        assert house.seen[0].controls == [(direction, "close", {"code": 1006, "reason": ""})]
        assert "without a close frame" in house.said[-1]
    assert died == [1006]


async def test_a_reset_is_a_reset() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCH)
        await reader.readexactly(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with tcp(handle) as url, proxied(url) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write("\r\n".join([*UPGRADE, "", ""]).encode())
        await reader.readexactly(len(SWITCH))
        writer.write(b"\x81")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.transport.abort()
        await house.ended()
        assert "reset by the service" in house.said[-1]


# The conversation


async def test_a_conversation_with_the_stand_in_is_the_same_on_both_sides(tmp_path: Path) -> None:
    """What the stand-in wrote down, what the proxy wrote down and what the client heard."""
    heard: list[bytes] = []

    def theirs(number: int, url: str, credential: str) -> TraceFile:
        return TraceFile(tmp_path / "standin.jsonl", url=url, side="stand-in", redact=bytes)

    def ours(number: int, url: str, hides: proxy_server.HeaderRedaction) -> list[TraceFile]:
        return [TraceFile(tmp_path / "proxy.jsonl", url=url, side="proxy", redact=hides.redact_known)]

    policy = server.StandInConfig(
        pace=0, voice="tones", faults=[faults.parse("fragments=700"), faults.parse("big-message@3")]
    )
    policy.record = theirs
    async with server.serve_stand_in(policy=policy) as there, proxied(there.url, record=ours) as house:
        async with dial(house.url) as client:
            await client.send(SETUP)
            heard.append(await client.recv(decode=False))
            await client.send(HELLO)
            while b"turnComplete" not in heard[-1]:
                heard.append(await client.recv(decode=False))
        await house.ended()
    lines = {}
    for name in ("standin", "proxy"):
        with (tmp_path / f"{name}.jsonl").open("rb") as file:
            (header, found), *_ = ((header, list(found)) for header, found in sessions(file, name))
            lines[name] = [(line.sender, line.opcode, line.raw) for line in found if line.raw is not None]
            assert header["side"] == ("proxy" if name == "proxy" else "stand-in")
    for sender in ("client", "server"):
        sides = [[line for line in lines[name] if line[0] == sender] for name in ("standin", "proxy")]
        assert sides[0] == sides[1]
        assert len(sides[0]) > (1 if sender == "client" else 5)
    assert max(map(len, heard)) > faults.BIG
    raw = [
        json.loads(line)["size"]
        for line in (tmp_path / "proxy.jsonl").read_bytes().splitlines()[1:]
        if b'"size"' in line
    ]
    assert [len(one) for one in heard] == [size for size in raw if size not in (len(SETUP), len(HELLO))]


def shown_by(console: Console, quiet: bool = False) -> Callable[..., list[Any]]:
    return lambda number, url, hides: [TerminalReporter(number, console, hides.redact, quiet=quiet)]


@pytest.mark.parametrize("quiet", [False, True])
async def test_faults_and_closes_are_explained_as_they_happen(
    capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    bad = SETUP.replace('"generationConfig"', '"proactivty":{},"generationConfig"')
    console = Console(color="never", quiet=quiet)
    policy = server.StandInConfig(pace=0, voice="tones", faults=[faults.parse("unknown-field")])
    async with server.serve_stand_in(policy=policy) as there:
        async with proxied(there.url, record=shown_by(console, quiet)) as house:
            async with dial(house.url) as client:
                await client.send(SETUP)
                await client.recv()
                await client.close()
            await house.ended()
            async with dial(house.url) as client:
                await client.send(bad)
                with pytest.raises(ConnectionClosed) as caught:
                    await client.recv()
                assert caught.value.rcvd is not None and caught.value.rcvd.code == 1007
            await house.ended()
    said = capsys.readouterr().err
    first, second = ([line for line in said.splitlines() if line.startswith(f"  {n} ")] for n in (1, 2))
    if quiet:
        assert first == []
    else:
        assert any("somethingNew is not in the schema (WIRE-6)" in line for line in first)
        assert any("do     Nothing." in line for line in first)
        assert any("setupComplete" in line for line in first)
    text = " ".join(" ".join(second).split())
    assert "(WIRE-5)" in text and "do Remove the member" in text.replace(" 2 ", " ")
    assert "1007" in text and " what " in text and " why " in text
    assert "before the client sent this" in text and "proactivty" in text


@pytest.mark.parametrize("sent", [["{nope"], [SETUP, '{"realtimeInput":{"txt":"x"}}', HELLO]])
async def test_a_catch_all_reason_gives_way_to_what_the_last_message_had(
    sent: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With a message behind it that has no fault, what is known of the reason is told as ever."""

    async def refuse(socket: ServerConnection) -> None:
        for _ in sent:
            await socket.recv()
        await socket.close(1007, "Request contains an invalid argument.")

    async with scripted(refuse) as url, proxied(url, record=shown_by(Console(color="never"))) as house:
        async with dial(house.url) as client:
            for message in sent:
                await client.send(message)
            with pytest.raises(ConnectionClosed):
                await client.recv()
        await house.ended()
    said = flat(capsys.readouterr().err).partition("close ")[2]
    if sent[-1] == HELLO:
        assert "why This is the catch-all text" in said and "before the client sent this: no member txt" in said
        return
    assert "1007 Request contains an invalid argument. before the client's last message is the likely cause:" in said
    assert "(WIRE-2) do Send one JSON object per frame" in said
    assert 'more livews explain 1007 "Request contains an invalid argument."' in said
    assert "catch-all" not in said


async def converse(url: str, wanted: bytes = b"turnComplete") -> None:
    """A turn as far as it comes: until what is `wanted`, a close, or long enough without anything."""
    with contextlib.suppress(ConnectionClosed, InvalidStatus):
        async with dial(url) as client:
            await client.send(SETUP)
            message = b""
            with contextlib.suppress(TimeoutError):
                while wanted not in message:
                    async with asyncio.timeout(0.5):
                        message = await client.recv(decode=False)
                    if b"setupComplete" in message:
                        await client.send(HELLO)


async def meet(console: Console, folder: Path, *wrong: str, wanted: bytes = b"turnComplete") -> None:
    """A session with a stand-in for each of these faults through the proxy, shown and kept as the command does it."""
    record = cli.recording(parse("proxy", ["--trace", f"{folder}{os.sep}"]), console)
    for fault in wrong:
        policy = server.StandInConfig(pace=0, voice="tones", time_scale=10, faults=[faults.parse(fault)])
        async with server.serve_stand_in(policy=policy) as there:
            given = {"record": record, "trouble": lambda number, problem: console.error(problem)}
            async with proxied(there.url, **given) as house:
                await converse(house.url, wanted)
                await house.ended()


def flat(said: str) -> str:
    """What stderr says, without its line breaks and the numbers of sessions in front."""
    return " ".join(" ".join(re.sub(r"^ *\d+ (?=[ \d!])", "", line) for line in said.splitlines()).split())


@pytest.mark.parametrize(
    ("fault", "says", "judged"),
    [
        ("drop", ["1006", "The connection ended without a close frame", "do Wait at least 1 s"], "1006"),
        ("close=quota", ["1011", "Your quota is used up", "do Wait minutes"], "1011"),
        ("close=key-not-valid", ["1007", "API key", "do"], "1007"),
        ("close=goaway-ignored@3", ["1008", "announced the end of the connection", "do Reconnect now"], "1008"),
        ("truncated@3", ["unreadable", "(WIRE-2)", "do Send one JSON object per frame"], "error /: expected JSON"),
        ("unknown-message", ["somethingNew is not in the schema (WIRE-6)", "do Nothing."], "(WIRE-6)"),
        ("unknown-field", ["somethingNew is not in the schema (WIRE-6)", "do Nothing."], "(WIRE-6)"),
        ("no-setup-complete", ["setupComplete did not come (SETUP-3)", "do Dial again."], ""),
        ("go-away=0.2", ["goAway", "leaving", "1008", "announced the end", "do Reconnect now"], "1008"),
        ("stall", ["generating", "close 1000"], ""),
    ],
)
async def test_what_a_server_does_wrong_is_named_with_its_cure(
    fault: str, says: list[str], judged: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from livews.cli import main

    await meet(
        Console(color="never"), tmp_path, fault, wanted=b"never" if fault.startswith("go-away") else b"turnComplete"
    )
    said = flat(capsys.readouterr().err)
    at = 0
    for words in says:
        assert words in said[at:], said
        at = said.index(words, at)
    (trace,) = tmp_path.glob("*.jsonl")
    assert main(["trace", "check", str(trace)]) == (1 if "error" in judged else 0)
    assert judged in capsys.readouterr().out


async def test_every_close_there_is_a_row_of_is_told_as_that_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it means and what to do, in words of protocol/closes.json; also of an upgrade that is refused."""
    for row in protocol.closes():
        if row["surface"] == "client" or row["code"] in (1000, 1001):
            continue  # no server sends it, or it wants no explanation
        await meet(Console(color="never"), tmp_path / row["id"], f"close={row['id']}")
        said = flat(capsys.readouterr().err)
        advice = closes.explain_http(row.get("http", 0))
        if row["code"]:
            lines = (tmp_path / row["id"] / "session-1.jsonl").read_text().splitlines()
            close = next(json.loads(line)["close"] for line in lines if '"close"' in line)
            advice = closes.explain(close["code"], close["reason"], model=MODEL)
            assert f"close {row['code']}" in said
        alike = [other["meaning"] for other in protocol.closes() if other["match"] == row["match"]]
        assert any(advice.meaning.startswith(meaning[:20]) for meaning in alike), row["id"]
        assert " ".join(advice.meaning.split()) in said, row["id"]
        assert " ".join(advice.do.split()) in said, row["id"]


async def test_a_setup_that_is_not_answered_is_told_while_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    def record(number: int, url: str, hides: proxy_server.HeaderRedaction) -> list[Any]:
        return [TerminalReporter(number, Console(color="never"), hides.redact, quiet=True, setup_seconds=0.05)]

    async with scripted(lambda socket: socket.wait_closed()) as url, proxied(url, record=record) as house:
        async with dial(house.url) as client:
            await client.send(SETUP)
            async with asyncio.timeout(10):
                while "(SETUP-3)" not in (said := capsys.readouterr().err):
                    await asyncio.sleep(0.01)
        await house.ended()
        assert "do Dial again." in flat(said)
        assert "SETUP-3" not in capsys.readouterr().err, "once"


async def test_a_service_that_says_nothing_within_a_turn_is_told_while_it_lasts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Behind a prompt and in mid-reply; not behind generationComplete, which comes long before all has been played."""
    says = '{"serverContent": {"modelTurn": {"parts": [{"text": "x"}]}}}'

    async def told(*answers: str) -> str:
        async def script(socket: ServerConnection) -> None:
            await socket.recv()
            await socket.send('{"setupComplete": {}}')
            await socket.recv()
            for answer in answers:
                await socket.send(answer)
            await socket.wait_closed()

        def record(number: int, url: str, hides: proxy_server.HeaderRedaction) -> list[Any]:
            return [TerminalReporter(number, Console(color="never"), hides.redact, quiet=True, stall_seconds=0.1)]

        async with scripted(script) as url, proxied(url, record=record) as house:
            async with dial(house.url) as client:
                for message in (SETUP, HELLO):
                    await client.send(message)
                for _ in ("setupComplete", *answers):
                    await client.recv()
                await asyncio.sleep(0.4)
            await house.ended()
        return flat(capsys.readouterr().err)

    words = "! nothing has come for 0.1 s; the service may have stalled"
    assert (await told()).count(words) == 1
    said = await told(says)
    assert said.count(words) == 1 and "do Look at what was sent last" in said
    done = '{"serverContent": {"generationComplete": true}}'
    call = '{"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": {}}]}}'
    for last in (done, call):
        assert "stalled" not in await told(says, last), last


async def test_a_close_of_the_clients_own_is_not_laid_on_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    async with scripted(lambda socket: socket.wait_closed()) as url:
        async with proxied(url, record=shown_by(Console(color="never"))) as house:
            for code, reason in ((1011, ""), (1011, "keepalive ping timeout"), (4001, "mine")):
                async with dial(house.url) as client:
                    await client.close(code, reason)
                await house.ended()
    first, second, third = (flat("\n".join(lines)) for lines in _by_session(capsys.readouterr().err))
    assert "what The client closed with 1011; the service did not." in first and "quota" not in first
    assert "gave up waiting for a pong" in second and "do Connect with ping_interval=None" in second
    assert "what The client closed with 4001" in third


def _by_session(said: str) -> list[list[str]]:
    lines = said.splitlines()
    return [[line for line in lines if line.startswith(f"  {n} ")] for n in (1, 2, 3)]


async def test_a_trace_that_cannot_be_written_runs_no_session() -> None:
    def record(number: int, url: str, hides: proxy_server.HeaderRedaction) -> list[Any]:
        raise TraceFailed("cannot write the trace")

    async with scripted(lambda socket: socket.wait_closed()) as url, proxied(url, record=record) as house:
        with pytest.raises(InvalidStatus, match="500"):
            await dial(house.url)
        await house.ended()
        assert [problem.what for problem in house.failures] == ["cannot write the trace"]


async def test_a_watcher_that_fails_holds_up_nothing() -> None:
    class Broken(MemoryRecorder):
        def frame(self, *_: Any) -> None:
            raise RuntimeError("a mistake of ours")

    class Full(MemoryRecorder):
        def frame(self, *_: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = MemoryRecorder()

    async def script(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    async with scripted(script) as url, proxied(url, record=lambda *_: [Broken(), Full(), kept]) as house:
        async with dial(house.url) as client:
            for i in range(3):
                await client.send(f'{{"n":{i}}}')
                assert await client.recv() == f'{{"n":{i}}}'
        await house.ended()
        assert sum("RuntimeError in livews itself" in line for line in house.said) == 1
        assert sum("No space left on device; is the disk full" in line for line in house.said) == 1
        assert len(kept.frames) == 6, "who looks on beside them sees all"


# Credentials


async def test_the_injected_key_takes_the_place_of_the_clients() -> None:
    heads: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async def inject() -> dict[str, str]:
        return {"x-goog-api-key": KEY}

    async with server.serve_stand_in(policy=server.StandInConfig(pace=0, voice="tones", require_key=KEY)) as there:
        async with proxied(there.url, inject=inject) as house:
            headers = {"x-goog-api-key": "wrong", "Authorization": f"Token {OTHER}"}
            async with connect(
                f"{house.url}{GEMINI}?key={OTHER}&alt=json", additional_headers=headers, proxy=None
            ) as client:
                await client.send(SETUP)
                assert b"setupComplete" in await client.recv(decode=False)
            await house.ended()
            assert not any(OTHER in line or KEY in line for line in house.said)
            # a token, made by POST at the same address
            body = json.dumps({"uses": 1}).encode()
            answer = await ask(
                house.port, "POST /v1alpha/auth_tokens HTTP/1.1", f"Host: localhost:{house.port}",
                f"Content-Length: {len(body)}", "Connection: keep-alive", body=body,
            )  # fmt: skip
            assert answer.startswith(b"HTTP/1.1 200") and b"auth_tokens/" in answer
            assert any(line == "HTTP POST /v1alpha/auth_tokens: 200" for line in house.said)
    async with tcp(handle) as url, proxied(url, inject=inject) as house:
        target = f"/v1beta/models?pageSize=1&access_token={OTHER}&key={OTHER}"
        lines = (
            f"GET {target} HTTP/1.1",
            "Host: 127.0.0.1",
            f"authorization: Bearer {OTHER}",
            "X-GOOG-API-KEY: a",
        )
        assert (await ask(house.port, *lines)).endswith(b"{}")
    expected = ("GET /v1beta/models?pageSize=1 HTTP/1.1", f"Host: {url[7:]}", f"x-goog-api-key: {KEY}")
    assert heads == ["\r\n".join([*expected, "Connection: close", "", ""]).encode()]


async def test_without_it_the_clients_key_goes_through() -> None:
    async with server.serve_stand_in(policy=server.StandInConfig(pace=0, voice="tones", require_key=KEY)) as there:
        async with proxied(there.url) as house:
            for key, ready in ((KEY, True), ("wrong-key", False)):
                async with dial(house.url, additional_headers={"x-goog-api-key": key}) as client:
                    await client.send(SETUP)
                    if ready:
                        assert b"setupComplete" in await client.recv(decode=False)
                    else:
                        with pytest.raises(ConnectionClosed, match="API key not valid"):
                            await client.recv()
                await house.ended()


# Who may come in, and who is there


@pytest.mark.parametrize(
    ("lines", "status", "says"),
    [
        ([*UPGRADE, "Origin: https://evil.example"], 403, "--allow-origin https://evil.example"),
        ([*UPGRADE, "Origin: null"], 403, "a web page of null"),
        ([*UPGRADE, "Origin: http://localhost.evil.example"], 403, "may not use this proxy"),
        (["CONNECT example.com:443 HTTP/1.1", "Host: example.com:443"], 403, "GOOGLE_GEMINI_BASE_URL=http://"),
        (["GET http://example.com/ HTTP/1.1", "Host: example.com"], 403, "nowhere else"),
        (["GET / HTTP/1.1", "Host: rebound.example:80"], 403, "not rebound.example"),
        (["GET / HTTP/1.1", "Host: 127.0.0.1", "Sec-Fetch-Site: cross-site"], 403, "another site"),
        (["OPTIONS * HTTP/1.1", "Host: 127.0.0.1"], 403, "no path"),
        (["GET / HTTP/2.0", "Host: 127.0.0.1"], 400, "first line"),
        (["GET / HTTP/1.1", "Host: 127.0.0.1", " folded: 1"], 400, "header line"),
        (["GET / HTTP/1.1", "X: " + "x" * 70_000], 431, "longer than"),
        (["GET / HTTP/1.1", "Host: 127.0.0.1", "Host: rebound.example"], 403, "not 127.0.0.1, rebound.example"),
        (["GET / HTTP/1.1"], 403, "Dial it as 127.0.0.1"),
        ([*UPGRADE, "Origin: http://localhost:1@evil.example"], 403, "may not use this proxy"),
        ([*UPGRADE, "Origin: http://localhost", "Origin: https://evil.example"], 403, "may not use this proxy"),
        (["POST / HTTP/1.1", "Host: localhost", "Origin: http://rebound.example"], 403, "may not use this proxy"),
        (["POST / HTTP/1.1", "Host: localhost", "Content-Length : 5"], 400, "header line"),
        (["POST / HTTP/1.1", "Host: localhost", "X: a\nTransfer-Encoding: chunked"], 400, "header line"),
        (["POST / HTTP/1.1", "Host: localhost", "X: a\rTransfer-Encoding: chunked"], 400, "header line"),
        (["GET / HTTP/1.1", "Host: localhost", "X: \0"], 400, "header line"),
        (["PRI * HTTP/2.0"], 400, "first line"),
    ],
)
async def test_what_is_refused(lines: list[str], status: int, says: str) -> None:
    dialled: list[int] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.append(1)

    async with tcp(handle) as url, proxied(url) as house:
        answer = await ask(house.port, *lines)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert says in answer.decode()
        assert "refused" in house.said[0]
    assert dialled == []


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("http://localhost:3000", ()), ("https://[::1]", ()), ("https://mine.example", ("https://mine.example",)), ("null", ("*",))],
)  # fmt: skip
async def test_which_pages_may(origin: str, allowed: tuple[str, ...]) -> None:
    async def script(socket: ServerConnection) -> None:
        assert socket.request is not None
        await socket.send(socket.request.headers["Origin"])

    async with scripted(script) as url, proxied(url, origins=allowed) as house:
        async with dial(house.url, origin=origin) as client:
            assert await client.recv() == origin
        await house.ended()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://Mine.example/", "https://mine.example"),
        ("http://mine.example:80", "http://mine.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("*", "*"),
        ("null", "null"),
    ],
)
def test_origins_are_meant_as_browsers_write_them(given: str, meant: str) -> None:
    assert parse("proxy", ["--allow-origin", given]).allow_origin == [meant]


async def test_an_upstream_that_is_not_there_or_speaks_no_tls() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        nobody = f"wss://127.0.0.1:{taken.getsockname()[1]}/x?key={KEY}"
        async with tcp(handle) as plain:
            for url, what in (
                (nobody, "nobody listens at the upstream"),
                (plain.replace("http", "wss"), "the upstream does not speak TLS"),
            ):
                async with proxied(url) as house:
                    with pytest.raises(InvalidStatus) as caught:
                        await dial(house.url)
                    response = caught.value.response
                    text = (response.body or b"").decode()
                    assert response.status_code == 502
                    for word in (what, "where: wss://127.0.0.1:", "why: ", "do: "):
                        assert word in text
                    assert KEY not in text
                    assert house.troubles[0].what == what and house.troubles[0].exit_code == 4


async def test_an_upstream_that_never_answers_is_waited_for_no_longer_than_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        async with proxied(place, timeout=0.2) as house:
            async with asyncio.timeout(10):
                answer = (await ask(house.port, *UPGRADE)).decode()
            await house.ended()
        head, _, body = answer.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 504 Gateway Timeout")
        assert body == f"livews proxy: the upstream did not answer the upgrade within 0.2 s: {place}\n"
        (problem,) = house.troubles
        assert (problem.where, problem.exit_code) == (place, 4)
        assert "took the connection" in problem.why and "--timeout" in problem.fix

        via = HttpProxy.of(f"127.0.0.1:{silent.getsockname()[1]}")
        async with proxied("ws://api.example", timeout=0.2, via=via) as house:
            async with asyncio.timeout(10):
                assert (await ask(house.port, *UPGRADE)).startswith(b"HTTP/1.1 504 ")


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_client_that_leaves_before_the_upstream_answers_is_told_of(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livews.proxy.server._LAST_SECONDS", 0.1)
    asked = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    async with tcp(handle) as url, proxied(url, timeout=60) as house:
        _, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write("\r\n".join([*UPGRADE, "", ""]).encode())
        await asked.wait()
        if how == "reset":
            given = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, given)
        writer.transport.abort()
        await house.ended()
        (problem,) = house.troubles
        assert problem.what == "the client left before the upstream answered"
        assert "did not answer the upgrade" in problem.why


async def test_what_a_client_says_before_its_upgrade_is_answered_arrives() -> None:
    """More than is read ahead."""
    early = b"early" * 40_000
    got: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.05)  # the proxy reads ahead meanwhile
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        got.append(await reader.readexactly(len(early)))
        writer.write(b"bye")
        await writer.drain()
        writer.close()

    async with tcp(handle) as url, proxied(url) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write("\r\n".join([*UPGRADE, "", ""]).encode() + early)
        async with asyncio.timeout(10):
            assert (await reader.read()).endswith(b"bye")
        writer.close()
    assert got == [early]


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("302 Found", "Check the URL"),
        ("401 Unauthorized", "access token"),
        ("403 No", ""),
        ("404 Not Found", "Correct the URL"),
        ("500 \xe9", "wait and try again"),
    ],
)
async def test_an_upgrade_that_is_refused_is_passed_back_and_explained(line: str, fix: str) -> None:
    refusal = (
        f"HTTP/1.1 {line}\r\nLocation: https://login.example\r\nX-Odd:  1\r\nContent-Length: 9\r\n"
        "Connection: keep-alive\r\n\r\nforbidden"
    ).encode("latin-1")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        assert await reader.read() == b""  # what the client says behind it is not passed on

    async with tcp(handle) as url, proxied(url) as house:
        assert await ask(house.port, *UPGRADE, body=b"GET / HTTP/1.1\r\n\r\n") == refusal
        await house.ended()
        assert f"HTTP {line[:3]}" in house.troubles[0].what
        assert house.troubles[0].why and fix in house.troubles[0].fix
        assert house.troubles[0].where.endswith(", which points to https://login.example")


async def test_a_refusal_without_a_length_ends_when_the_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chunks end, its connection stays: nobody else says when it is over."""
    monkeypatch.setattr("livews.proxy.server._LAST_SECONDS", 0.2)
    refusal = b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        await reader.read()

    async with tcp(handle) as url, proxied(url) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write("\r\n".join([*UPGRADE, "", ""]).encode())
        assert await reader.readexactly(len(refusal)) == refusal
        writer.close()
        await house.ended()


async def test_a_request_that_does_not_end_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.proxy.server._HEAD_SECONDS", 0.2)
    async with proxied("ws://127.0.0.1:9") as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(UPGRADE[0].encode())
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()
        assert "no whole request" in house.said[0]


async def test_a_client_that_has_said_all_still_hears_the_answer() -> None:
    """Half a connection is closed on the one side as on the other, and the other half goes on."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.read()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + said[-2:])
        await writer.drain()

    async with tcp(handle) as url, proxied(url) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\nab")
        writer.write_eof()
        async with asyncio.timeout(10):
            assert (await reader.read()).endswith(b"ab")
        writer.close()


async def test_a_client_that_does_not_trust_it_or_speaks_no_tls_is_told_of(tmp_path: Path) -> None:
    pytest.importorskip("trustme")
    from livews.server.certificate import context

    def distrust(port: int) -> None:  # asyncio's own clients leave without a word
        with socket.create_connection(("127.0.0.1", port)) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")

    said: list[str] = []
    policy = proxy_server.ProxyConfig(
        upstream=UpstreamTarget.of("ws://127.0.0.1:9"), hides=lambda values: Redactor(*values), log=said.append
    )
    async with proxy_server.serve_proxy(policy, tls=context(tmp_path / "ca.pem")) as door:
        port = int(door.url.rpartition(":")[2])
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(distrust, port)
        await ask(port, *UPGRADE)
        await until(lambda: len(said) >= 2)
    assert "does not trust the certificate authority" in said[0]
    assert "speaks no TLS here" in said[1]


async def test_tls_where_none_is_spoken_is_told_of() -> None:
    async with proxied("ws://127.0.0.1:9") as house:
        with pytest.raises((OSError, EOFError)):
            await dial(house.url.replace("ws:", "wss:"))
        assert "start with --tls" in house.said[0]


async def test_it_does_not_dial_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    policy = proxy_server.ProxyConfig(
        upstream=UpstreamTarget.of(f"http://localhost:{port}"), hides=lambda values: Redactor(*values)
    )
    with pytest.raises(BadRequest, match="dial itself"):
        async with proxy_server.serve_proxy(policy, port=port):
            pass


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://127.0.0.1:8765", "ws://127.0.0.1:8765"),
        ("https://gw.example/a/b/", "wss://gw.example/a/b"),
        (f"wss://gw.example:8443/p{GEMINI}", "wss://gw.example:8443/p"),
        (f"http://[::1]:80/?key={KEY}", "ws://[::1]"),
    ],
)
def test_upstreams(url: str, shown: str) -> None:
    assert UpstreamTarget.of(url).shown == shown
    assert KEY not in repr(UpstreamTarget.of(url))


@pytest.mark.parametrize(
    "url", ["gw.example", "ftp://x", "ws://", "ws://x:99999", "wss://a:secret@b", "ws://b\u00fccher.de"]
)
def test_what_is_no_upstream(url: str) -> None:
    with pytest.raises(BadRequest, match="upstream") as caught:
        UpstreamTarget.of(url)
    assert caught.value.fix and "secret" not in str(caught.value)


def test_a_double_slash_and_an_escaped_key_in_the_target() -> None:
    head = parse_request(f"GET //ws/x?%6bey=one%2Dsecret&b=%2F HTTP/1.1\r\nHost: a\r\n\r\n".encode())  # noqa: F541
    assert {"one-secret", "one%2Dsecret"} <= set(head.credentials)
    changed = request(head, UpstreamTarget.of("http://up/p?u=1"), {"Authorization": "Bearer t"})
    assert changed.target == "/p//ws/x?b=%2F&u=1"
    with pytest.raises(MalformedHead):
        parse_request(b"GET /a b HTTP/1.1\r\n\r\n")


# Through the HTTP proxy of a network


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
            await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        finally:
            there[1].transport.abort()

    async with tcp(handle, tls) as url:
        yield url.replace("http://127.0.0.1", f"{'https' if tls else 'http'}://localhost"), heads


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    sink.close()


@pytest.mark.parametrize("around", ["nothing", "the upstream", "both"])
async def test_a_tunnel(around: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upstream's name is known to the other proxy alone; TLS is with the upstream, inside."""
    if around != "nothing":
        pytest.importorskip("trustme")
    from livews.server.certificate import context

    there, here = None, None
    trusting = None
    if around != "nothing":
        there = context(tmp_path / "there.pem", "api.example")
        trusting = ssl.create_default_context(cafile=str(tmp_path / "there.pem"))
    if around == "both":
        here = context(tmp_path / "here.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "here.pem"))
    said = CASES.randbytes(300_000)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(len(said)))[::-1])
        await writer.drain()
        await reader.read()

    async with asyncio.timeout(20), tcp(handle, there) as to, gate(to, tls=here) as (url, heads):
        via = HttpProxy.of(url.replace("://", "://me%40corp:a%3Ab:c@"))
        assert via.shown == url and "corp" not in repr(via) and b64encode(b"me@corp").decode()[:9] not in repr(via)
        up = UpstreamTarget.of("wss://api.example/p" if there else "ws://api.example/p")
        reader, writer = await dial_through(up, trusting, via, 5)
        writer.write(said)
        assert await reader.readexactly(len(said)) == said[::-1]
        writer.close()
        await writer.wait_closed()
        place = f"api.example:{443 if there else 80}"
        word = b64encode(b"me@corp:a:b:c").decode()
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", f"Proxy-Authorization: Basic {word}", "", ""]
        assert heads == ["\r\n".join(lines)]


@pytest.mark.parametrize(
    ("answer", "what", "says"),
    [
        (b"HTTP/1.1 407 Who?\r\n\r\n", "does not take this user and password", "http://USER:PASSWORD@"),
        (b"HTTP/1.1 403 \x9b2J\r\nContent-Length: 2\r\n\r\nno", "does not let the connection through", "\\x9b2J for"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "does not reach the upstream", "check --upstream"),
        (b"220 mail.example ESMTP\r\n\r\n", "what answers is no proxy", "the first line"),
        (b"HTTP/1.1 200 " + b"x" * 70_000, "what answers is no proxy", "no end"),
        (b"", "no connection to the proxy", "NO_PROXY=HOST"),
        (b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03", "speaks where the upstream should", "ask whoever runs"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "", ""),
    ],
)
async def test_a_proxy_of_a_network_that_does_not_let_through(answer: bytes, what: str, says: str) -> None:
    """What, where, why and what to do, and the password nowhere; a failure behind it is left to be the upstream's."""
    async with gate("", answer or b"x") as (url, _):
        if not answer:
            with socket.create_server(("127.0.0.1", 0)) as free:
                url = f"http://127.0.0.1:{free.getsockname()[1]}"
        via = HttpProxy.of(url.replace("://", "://me:hunter2@"))
        with pytest.raises((Unreachable, OSError)) as caught:
            await dial_through(UpstreamTarget.of("wss://api.example"), ssl.create_default_context(), via, 5)
        if not what:
            assert isinstance(caught.value, OSError)
            return
        assert isinstance(caught.value, Unreachable)
        told = str(caught.value)
        assert what in caught.value.what and says in told and f"where: {url}" in told
        assert all(text for _, text in caught.value.details())
        assert "hunter2" not in told and "\x9b" not in told


async def test_what_comes_right_behind_the_answer_of_a_proxy_is_the_upstreams() -> None:
    async with gate("", b"HTTP/1.1 200 OK\r\n\r\n\x81\x02{}") as (url, _):
        reader, writer = await dial_through(UpstreamTarget.of("ws://api.example"), None, HttpProxy.of(url), 5)
        assert await reader.read() == b"\x81\x02{}"
        writer.close()
        await writer.wait_closed()


async def test_a_proxy_of_a_network_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        via = HttpProxy.of(f"127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(Unreachable, match=r"did not answer within 0\.2 s"):
            await dial_through(UpstreamTarget.of("ws://api.example"), None, via, 0.2)


@pytest.mark.parametrize("url", ["socks5://h:1080", "http://", "http://a:pass-word@h:99999", "http://[::1"])
def test_what_is_no_proxy_of_a_network(url: str) -> None:
    with pytest.raises(BadRequest, match="proxy of this network") as caught:
        HttpProxy.of(url)
    assert "HTTPS_PROXY" in caught.value.fix and "pass-word" not in str(caught.value)


# The command


async def test_the_command_shows_traces_and_hides(tmp_path: Path) -> None:
    trace = tmp_path / "kept.jsonl"

    with running("serve", "--port", "0", "--pace", "0", "--voice", "tones", "--quiet") as (there, serving):
        flags = ("--port", "0", "--upstream", there, "--trace", str(trace), "--inject-key")
        with running("proxy", *flags, GOOGLE_API_KEY=KEY, HTTPS_PROXY="http://127.0.0.1:9") as (url, process):
            assert url.startswith("ws://127.0.0.1:")
            headers = {"x-goog-api-key": OTHER, "Authorization": f"Bearer {OTHER}2"}
            async with connect(f"{url}{GEMINI}?key={OTHER}3", additional_headers=headers, proxy=None) as first:
                async with dial(url) as second:  # at the same time: a file of its own
                    for client in (first, second):
                        await client.send(SETUP)
                        await client.recv()
                    await first.send(HELLO.replace("Hello", f"{OTHER} and {OTHER}3 \\u001b[2J"))
                    while b"turnComplete" not in await first.recv(decode=False):
                        pass
            process.send_signal(signal.SIGTERM)
            out, said = process.communicate(timeout=10)
        assert process.returncode == 0, said
        serving.terminate()
        serving.communicate(timeout=10)
    assert out == ""
    assert "setupComplete" in said and "session 2: closed by the client, 1000" in said
    beside = trace.with_name("kept-2.jsonl")
    assert beside.exists() and str(beside) in said
    for text in (said, trace.read_text(), beside.read_text()):
        assert OTHER not in text and KEY not in text and "\x1b[2J" not in text
    assert "[redacted]" in trace.read_text()
    header = json.loads(trace.read_text().splitlines()[0])
    assert header["side"] == "proxy" and header["url"] == there + GEMINI


async def _first(url: str) -> bytes:
    """The answer to setup, or of one who does not let it in."""
    try:
        async with dial(url) as client:
            await client.send(SETUP)
            return bytes(await client.recv(decode=False))
    except InvalidStatus as problem:
        return problem.response.body or b""


async def test_the_command_goes_through_the_proxy_of_a_network(tmp_path: Path) -> None:
    """Python's own client on one side, the stand-in on the other; a host of NO_PROXY is dialled directly."""
    heads: list[str] = []
    async with server.serve_stand_in(policy=server.StandInConfig(pace=0, voice="tones")) as there:
        async with gate(there.url) as (url, asked):
            env = {"HTTPS_PROXY": url.replace("://", "://me:hunter2@"), "no_proxy": "direct.invalid"}
            for host, ends in (("api.example", b"setupComplete"), ("direct.invalid", b"does not resolve")):
                words = ("proxy", "--port", "0", "--once", "--upstream", f"ws://{host}/p")
                with running(*words, **env) as (mine, process):
                    assert ends in await _first(mine)
                    _, said = await asyncio.to_thread(process.communicate, timeout=10)
                assert "hunter2" not in said
                assert (f"ws://{host}/p through {url};" in said) is (host == "api.example")
        heads.extend(asked)
    (head,) = heads
    assert head.startswith("CONNECT api.example:80 HTTP/1.1")


async def test_once_to_nobody_is_exit_4() -> None:
    with running("proxy", "--port", "0", "--once", "--upstream", "ws://127.0.0.1:9") as (url, process):
        with pytest.raises(InvalidStatus):
            await _try(url)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 4
    assert "nobody listens at the upstream" in said


async def _try(url: str) -> None:
    async with dial(url):
        pass


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--inject-key", "--upstream", "ws://127.0.0.1:9"], 3, "--inject-key has no key"),
        (["--inject-key", "--host", "0.0.0.0"], 2, "to the network"),
        (["--ca", "x.pem"], 2, "--ca needs --tls"),
        (["--upstream", "nonsense"], 2, "no URL to dial"),
        (["--allow-origin", "mine.example"], 2, "invalid origin mine.example"),
        (["--allow-origin", "https://mine.example/page"], 2, "invalid origin"),
        (["--trace", "-"], 2, "every message is shown already"),
        (["--upstream", "ws://127.0.0.1:18799", "--port", "18799"], 2, "would dial itself"),
        (["--upstream", "wss://socks.example"], 2, "socks5:// is not spoken here"),
    ],
)
def test_flags_that_cannot_work(
    words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from livews.cli import main

    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    assert main(["proxy", *words]) == code
    told = capsys.readouterr()
    assert says in " ".join(told.err.split())
    assert "Traceback" not in told.err


@pytest.mark.parametrize("command", [["proxy"], ["inspect", "--offline", "--proxy-port", "0"]])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("notes.txt", "the file is no trace, and would be spoilt by one"),
        ("notes.txt/x.jsonl", "cannot write the trace: Not a directory"),
        ("notes.txt/", "cannot write the trace: Not a directory"),
    ],
)
def test_a_file_that_can_be_no_trace_is_told_at_the_start(
    command: list[str], name: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from livews.cli import main

    (tmp_path / "notes.txt").write_text("mine\n")
    assert main([*command, "--port", "0", "--trace", f"{tmp_path}/{name}"]) == 2
    told = capsys.readouterr()
    assert says in told.err and told.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "mine\n"


def test_looking_whether_a_trace_can_be_written_leaves_all_as_it_is(tmp_path: Path) -> None:
    TraceFile.check(tmp_path / "new" / "sub" / "x.jsonl")
    assert list(tmp_path.iterdir()) == []
    kept = tmp_path / "kept.jsonl"
    TraceFile(kept, url="ws://x", side="proxy", redact=bytes).close()
    before = kept.read_bytes()
    TraceFile.check(kept)
    assert kept.read_bytes() == before
    TraceFile.check("/dev/null")
    with pytest.raises(TraceFailed, match="Is a directory"):
        TraceFile.check(tmp_path)


def test_the_benchmark_runs() -> None:
    words = ("proxy", "--sessions", "2", "--ms", "40", "--seconds", "0.2", "--rounds", "1", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", *words], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["frames"] == 10 and told["proxied"]["p50"] > 0
