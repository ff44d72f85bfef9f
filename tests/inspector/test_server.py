"""The server of the page: access, and pages that do not read."""

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
from tests.inspector.kit import proxied
from tests.kit.servers import dial, echo, scripted
from tests.proxy.kit import UPGRADE, ask, framed
from tests.report.kit import SETUP


@contextlib.asynccontextmanager
async def served(sessions: SessionList | None = None) -> AsyncIterator[inspector_server.InspectorServer]:
    actions = inspector_server.PageActions({"name": "t"})
    async with inspector_server.serve_inspector(sessions or SessionList(), actions) as there:
        yield there


async def get(port: int, target: str, host: str = "127.0.0.1") -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the answer to a GET."""
    raw = (await ask(port, f"GET {target} HTTP/1.1", f"Host: {host}")).decode()
    head, _, body = raw.partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    return int(first.split()[1]), {line.split(":")[0].lower(): line.partition(": ")[2] for line in rest}, body


async def test_nobody_gets_in_without_the_token_or_by_another_name() -> None:
    async with served() as there:
        port, token = there.port, there.token
        mine = f"127.0.0.1:{port}"
        status, headers, body = await get(port, f"/?token={token}", mine)
        assert status == 200 and "livews" in body
        assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert f"connect-src ws://{mine};" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "default-src 'none'" in policy
        for target in ("/", "/?token=", "/?token=x", f"/?token={token}x", f"/?token={token[:-1]}", "/live"):
            status, _, body = await get(port, target, mine)
            assert status == 403 and "the first line of its output" in body
            assert token not in body and "report" not in body
        for host in (f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "127.0.0.1:1", "", "127.0.0.1"):
            status, _, body = await get(port, f"/?token={token}", host)
            assert status == 403 and "nowhere else" in body
        assert (await get(port, f"/?token={token}", f"localhost:{port}"))[0] == 200
        assert (await get(port, f"/x?token={token}", mine))[0] == 404
        live, own = f"ws://{mine}/live?token=", f"http://{mine}"
        others = [None, "null", "https://evil.example", f"http://localhost:{port}", f"{own}0"]
        for url, origin in [*((live + token, other) for other in others), (live + "x", own)]:
            with pytest.raises(InvalidStatus, match="403"):
                await connect(url, origin=origin, proxy=None)  # type: ignore[arg-type]
        async with connect(live + token, origin=own, proxy=None) as page:  # type: ignore[arg-type]
            assert "sessions" in json.loads(await page.recv())
            for wrong in ("no JSON", "[]", '{"id":1,"ask":"nothing"}', '{"id":1,"ask":"chunk","n":7}', '{"id":1,"ask":"send"}',
                          '{"id":1,"ask":"open","text":"{}"}', '{"watch":{}}', '{"id":2,"ask":"close","n":1}'):  # fmt: skip
                await page.send(wrong)
            output = [json.loads(await page.recv()) for _ in range(5)]
            assert all("does not understand" in one["message"] for one in output), output


async def test_a_page_that_does_not_read_costs_the_sessions_nothing() -> None:
    big = json.dumps({"serverContent": {"modelTurn": {"parts": [{"text": "." * 3_000}]}}})
    async with scripted(echo) as url, proxied(url) as house, served(house.sessions) as there:
        reader, writer = await asyncio.open_connection("127.0.0.1", there.port)
        place = f"127.0.0.1:{there.port}"
        lines = (
            f"GET /live?token={there.token} HTTP/1.1",
            f"Host: {place}",
            f"Origin: http://{place}",
            *UPGRADE[3:7],
        )
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await reader.readuntil(b"\r\n\r\n")
        async with dial(house.url) as client:
            await client.send(json.dumps(SETUP))
            await client.recv()
            writer.write(framed(Opcode.TEXT, b'{"watch":1}', mask=True))
            asks = b"".join(
                framed(Opcode.TEXT, b'{"id":1,"ask":"chunk","n":1,"chunk":0}', mask=True) for _ in range(200)
            )
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
