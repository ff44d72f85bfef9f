"""A server that pings and does not read, or that pings and leaves."""

import asyncio
import contextlib
import socket
import struct

import pytest
from websockets.utils import accept_key

from livews.conversation import Conversation
from livews.endpoint import Endpoint
from livews.redactor import Redactor
from livews.transport import Transport
from tests.bench.neighbours import frame

ENOUGH = 60_000_000
"""Bytes that a client takes which answers every ping."""


def upgrade(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    request = client.recv(65536).decode()
    key = next(line for line in request.splitlines() if line.lower().startswith("sec-websocket-key"))
    client.sendall(f"Sec-WebSocket-Accept: {accept_key(key.partition(': ')[2])}\r\n\r\n".encode())


def ping_and_reset(listening: socket.socket) -> None:
    with listening.accept()[0] as client:
        upgrade(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(frame("server", b"", 0x89) * 20_000)


def flood(listening: socket.socket, answered: list[bytes]) -> int:
    """Upgrade one client, then ping it without reading; the bytes that it took until it read no more."""
    with listening.accept()[0] as client:
        upgrade(client)
        client.settimeout(0.7)
        pings, sent = frame("server", b"x" * 125, 0x89) * 500, 0
        with contextlib.suppress(TimeoutError):
            while sent < ENOUGH:
                sent += client.send(pings[sent % 127 :])
        answered.append(client.recv(1 << 20))
        return sent


def to(listening: socket.socket) -> Transport:
    url = f"ws://127.0.0.1:{listening.getsockname()[1]}/"
    return Transport(Endpoint(url, {}, "", "gemini", "v1beta", Redactor()), Conversation(), close_timeout=0.1)


async def test_a_peer_that_pings_and_leaves_floods_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        transport = to(listening)
        leaving = asyncio.create_task(asyncio.to_thread(ping_and_reset, listening))
        await transport.open(10)
        async with asyncio.timeout(20):
            await transport.wait_read()
        await leaving
        await transport.close()
    assert not caplog.records


async def test_a_peer_that_pings_and_does_not_read_is_not_read_any_more() -> None:
    answered: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        transport = to(listening)
        flooding = asyncio.create_task(asyncio.to_thread(flood, listening, answered))
        await transport.open(10)
        async with asyncio.timeout(40):
            sent = await flooding
        assert sent < ENOUGH // 2, "it is held up"
        assert answered[0].startswith(b"\x8a"), "until then every ping was answered"
        await transport.close()
