"""The server of the page: access, and pages that do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.frames import Opcode

from livews.inspector import server as inspector_server
from livews.inspector.sessions import SessionList
from tests.inspector.kit import echo, framed, proxied
from tests.kit import servers
from tests.report.kit import SETUP


@contextlib.asynccontextmanager
async def served(sessions: SessionList | None = None) -> AsyncIterator[inspector_server.InspectorServer]:
    actions = inspector_server.PageActions({"name": "t"})
    async with inspector_server.serve_inspector(sessions or SessionList(), actions) as there:
        yield there


async def get(port: int, target: str, **headers: str) -> tuple[int, dict[str, str], str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    given = {"Host": f"127.0.0.1:{port}", **headers}
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(10):
        raw = (await reader.read()).decode()
    writer.close()
    head, _, body = raw.partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    return int(first.split()[1]), {line.split(":")[0].lower(): line.partition(": ")[2] for line in rest}, body


async def test_nobody_gets_in_without_the_token_or_by_another_name() -> None:
    async with served() as there:
        port, token = there.port, there.token
        status, headers, body = await get(port, f"/?token={token}")
        assert status == 200 and "livews" in body
        assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert f"connect-src ws://127.0.0.1:{port};" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "default-src 'none'" in policy
        for target in ("/", "/?token=", "/?token=x", f"/?token={token}x", f"/?token={token[:-1]}", "/live"):
            status, _, body = await get(port, target)
            assert status == 403 and "the first line of its output" in body
            assert token not in body and "report" not in body
        for host in (f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "127.0.0.1:1", "", "127.0.0.1"):
            status, _, body = await get(port, f"/?token={token}", Host=host)
            assert status == 403 and "nowhere else" in body
        assert (await get(port, f"/?token={token}", Host=f"localhost:{port}"))[0] == 200
        assert (await get(port, f"/x?token={token}"))[0] == 404
        live = f"ws://127.0.0.1:{port}/live?token="
        for origin in (None, "null", "https://evil.example", f"http://localhost:{port}", f"http://127.0.0.1:{port}0"):
            with pytest.raises(InvalidStatus, match="403"):
                await connect(live + token, origin=origin, proxy=None)  # type: ignore[arg-type]
        mine = f"http://127.0.0.1:{port}"
        with pytest.raises(InvalidStatus, match="403"):
            await connect(live + "x", origin=mine, proxy=None)  # type: ignore[arg-type]
        async with connect(live + token, origin=mine, proxy=None) as page_of_ours:  # type: ignore[arg-type]
            assert "sessions" in json.loads(await page_of_ours.recv())
            for wrong in ("no JSON", "[]", '{"id":1,"ask":"nothing"}', '{"id":1,"ask":"chunk","n":7}', '{"id":1,"ask":"send"}',
                          '{"id":1,"ask":"open","text":"{}"}', '{"watch":{}}'):  # fmt: skip
                await page_of_ours.send(wrong)
            await page_of_ours.send('{"id":2,"ask":"close","n":1}')
            told = [json.loads(await page_of_ours.recv()) for _ in range(5)]
            assert all("does not understand" in one["told"] for one in told), told


async def test_a_page_that_does_not_read_costs_the_sessions_nothing() -> None:
    big = json.dumps({"serverContent": {"modelTurn": {"parts": [{"text": "." * 3_000}]}}})
    async with echo(compression=None) as (url, _), proxied(url) as house, served(house.sessions) as there:
        reader, writer = await asyncio.open_connection("127.0.0.1", there.port)
        lines = (
            f"GET /live?token={there.token} HTTP/1.1", f"Host: 127.0.0.1:{there.port}", "Upgrade: websocket",
            f"Origin: http://127.0.0.1:{there.port}", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "",
        )  # fmt: skip
        writer.write("\r\n".join(lines).encode())
        await reader.readuntil(b"\r\n\r\n")
        async with servers.dial(house.url, compression=None) as client:
            await client.send(json.dumps(SETUP))
            await client.recv()
            writer.write(framed(Opcode.TEXT, b'{"watch":1}'))
            asks = b"".join(framed(Opcode.TEXT, b'{"id":1,"ask":"chunk","n":1,"chunk":0}') for _ in range(200))
            for _ in range(300):
                await client.send(big)
                assert await client.recv() == big
            writer.write(asks)  # 200 times 800 kB, were it read or not
            async with asyncio.timeout(20):
                for _ in range(300):
                    await client.send(big)
                    assert await client.recv() == big
            sockets = [task for task in asyncio.all_tasks() if "_reply" in repr(task)]
            assert len(sockets) <= 32, "questions wait, answers do not pile up"
    writer.transport.abort()  # only now: all has ended while it did not read
