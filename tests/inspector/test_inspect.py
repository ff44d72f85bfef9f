"""The live page: what passes is told while it passes, messages can be put between messages, and nobody else gets in.

Those that need a browser are skipped without one (tests/kit/browser.py). The command itself runs in them, with the stand-in
behind its door and real clients before it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.sync.client import connect as dial
from websockets.sync.server import ServerConnection as Socket
from websockets.sync.server import serve as serve_here
from websockets.typing import Origin

from livews.errors import BadRequest
from livews.inspector import server as inspector_server
from livews.inspector import sessions as inspector_sessions
from livews.inspector.sessions import SessionList
from livews.proxy import server as proxy_server
from livews.proxy.injector import MessageInjector
from livews.proxy.observer import ConnectionObserver
from livews.proxy.upstream import UpstreamTarget
from livews.redactor import Redactor
from livews.report import data as report_data
from livews.trace.session import follow
from livews.trace.tail import Tail
from tests.kit import servers
from tests.kit.browser import Browser
from tests.kit.command import livews, serving
from tests.kit.names import GEMINI
from tests.kit.servers import scripted
from tests.kit.waiting import until
from tests.report.test_report import (  # noqa: F401
    PAYLOADS,
    SETUP,
    Trace,
    conversation,
    hostile,
    outside,
    row_of,
    started,
    text_of,
    tone,
)

HELLO = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hello"}]}], "turnComplete": True}}
KEY = "AIza" + "k" * 35
CASES = random.Random(11)


# Between two messages


def framed(opcode: Opcode, data: bytes, *, mask: bool = True, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


class House:
    """A proxy, with the observers and injectors of its sessions."""

    def __init__(self) -> None:
        self.url = ""
        self.sessions = SessionList()
        self.injectors: list[MessageInjector] = []
        self.observers: list[ConnectionObserver] = []
        self.opened = asyncio.Event()

    def on_session(self, number: int, observer: ConnectionObserver, injector: MessageInjector) -> None:
        self.sessions.passes(number, observer, injector)
        self.injectors.append(injector)
        self.observers.append(observer)
        self.opened.set()

    def words(self, number: int = 1) -> list[str]:
        told = self.sessions.all[number].page.data()
        return [f"{told['kinds'][kind]} {words}" for kind, words in zip(told["kind"], told["words"], strict=True)]


@contextlib.asynccontextmanager
async def proxied(upstream: str) -> AsyncIterator[House]:
    house = House()
    policy = proxy_server.ProxyConfig(
        upstream=UpstreamTarget.parse(upstream),
        record=lambda number, url, redactor: [house.sessions.record(number, redactor.redact(url), redactor)],
        on_session=house.on_session,
    )
    async with proxy_server.serve_proxy(policy) as door:
        house.url = door.url
        try:
            yield house
        finally:
            house.sessions.close()


@contextlib.asynccontextmanager
async def echo(**more: Any) -> AsyncIterator[tuple[str, list[Any]]]:
    """A server that sends back what it gets; its URL, and what it got."""
    got: list[Any] = []

    async def script(socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                got.append(message)
                await socket.send(message)

    async with scripted(script, **{"compression": "deflate", **more}) as url:
        yield url, got


async def test_a_message_is_put_between_compressed_ones_both_ways() -> None:
    async with echo(compression="deflate") as (url, got), proxied(url) as house:
        async with servers.dial(house.url, compression="deflate") as client:
            await client.send('{"a":"a long text, a long text"}')
            assert await client.recv() == '{"a":"a long text, a long text"}'
            assert await house.injectors[0].inject("client", '{"realtimeInput":{"text":"by hand"}}') == ""
            assert await client.recv() == '{"realtimeInput":{"text":"by hand"}}', "the echo of it"
            assert await house.injectors[0].inject("server", '{"serverContent":{}}') == ""
            assert await client.recv() == b'{"serverContent":{}}', "binary towards the client"
            await client.send('{"b":"a long text, a long text"}')  # refers to the first message
            assert await client.recv() == '{"b":"a long text, a long text"}'
        assert [message for message in got if "hand" in message] == ['{"realtimeInput":{"text":"by hand"}}']
        await asyncio.sleep(0)
        ours = [words for words in house.words() if "written by hand" in words]
        assert ours == ['realtimeInput written by hand · "by hand"', "serverContent written by hand"]
        assert await house.injectors[0].inject("client", "{}") != ""


async def test_it_waits_for_the_end_of_a_message_that_is_on_its_way() -> None:
    """In the middle of a frame, and of a fragmented message: what the client sent stays as it is, in its order."""
    one = framed(Opcode.TEXT, b'{"a":"' + b"x" * 500, fin=False)
    rest = framed(Opcode.PING, b"p") + framed(Opcode.CONT, b'"}')
    two = framed(Opcode.TEXT, b'{"b":1}')
    heard = bytearray()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while data := await reader.read(65536):
            heard.extend(data)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server, proxied(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}") as house:
        port = int(house.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = (f"GET {GEMINI} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", "", "")
        writer.write("\r\n".join(lines).encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(one[:200])
        await until(lambda: len(heard) >= 200)
        put = asyncio.create_task(house.injectors[0].inject("client", '{"here":1}'))
        await asyncio.sleep(0)
        writer.write(one[200:])
        await until(lambda: len(heard) >= len(one))
        assert not put.done(), "between two fragments is no place"
        writer.write(rest + two[:3])
        await until(lambda: len(heard) >= len(one + rest) + 3)
        assert not put.done(), "the read did not end at the end of a message"
        writer.write(two[3:])
        assert await put == ""
        await until(lambda: len(heard) >= len(one + rest + two) + 8 + 10 - 2)
        at = len(one + rest + two)
        assert heard[:at] == one + rest + two
        frame = heard[at:]
        assert frame[0] == 0x81 and frame[1] == 0x80 | 10, "one whole masked text frame"
        writer.write(framed(Opcode.CLOSE, b"\x03\xe8"))
        await until(lambda: "client" in house.observers[0].closed_sides)
        assert "close frame" in await house.injectors[0].inject("client", "{}")
        assert [words.split()[0] for words in house.words()[:4]] == ["ping", "a", "b", "here"]
        writer.close()


# What is new


def grown(told: dict[str, Any], news: dict[str, Any]) -> None:
    """What the page does with news."""
    for name in ("kinds", "t", "kind", "flags", "size", "words", "findings", "marks"):
        told.setdefault(name, []).extend(news.get(name, ()))
    for name in ("found", "docs"):
        told.setdefault(name, {}).update(news[name])
    for name in ("states", "texts"):
        for key, (at, items) in news.get(name, {}).items():
            told.setdefault(name, {}).setdefault(key, [])[at:] = items
    if "turns" in news:
        told.setdefault("turns", [])[news["turns"][0] :] = news["turns"][1]
    tools = told.setdefault("tools", [])
    for i, tool in news.get("tools", ()):
        tools[i : i + 1] = [list(tool)]
    for name, side in news.get("sound", {}).items():
        mine = told.setdefault("sound", {}).setdefault(name, {"runs": [], "peaks": b""})
        for i, run in side["runs"]:
            mine["runs"][i : i + 1] = [run]
        mine["peaks"] += base64.b64decode(side["peaks"])
    for name in ("model", "length", "last", "end", "cutOff"):
        told[name] = news[name]


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_the_news_together_are_the_report(most: int) -> None:
    told: dict[str, Any] = {}
    session = next(follow(conversation().lines(), "t"))
    docs = report_data.MemberDocs()
    made, mark = report_data.ReportSession(session, docs), report_data.NewsCursor()
    for line, step in session:
        made.push(line, step)
        if (most == 3 or CASES.random() < 0.4) and (news := made.news(mark, most)) is not None:
            grown(told, json.loads(json.dumps(news)))
    made.finish()
    for _ in range(100):
        if (news := made.news(mark, most)) is None:
            break
        assert len(news["t"]) <= most
        grown(told, json.loads(json.dumps(news)))
    whole = json.loads(json.dumps(made.data()))
    assert len(whole["t"]) == 34
    late = report_data.NewsCursor()
    late_news: dict[str, Any] = {}
    while (news := made.news(late, 1000)) is not None:
        grown(late_news, json.loads(json.dumps(news)))
    made.close()
    assert late_news["t"] == told["t"] and late_news["sound"] == told["sound"], "who comes late learns the same"
    for name in (
        "kinds",
        "t",
        "kind",
        "size",
        "words",
        "findings",
        "found",
        "marks",
        "states",
        "texts",
        "turns",
        "tools",
        "end",
    ):
        assert told[name] == whole[name], name
    assert bytes(told["flags"]) == base64.b64decode(whole["flags"])
    assert told["docs"] == docs.types
    for name, side in told["sound"].items():
        assert side["runs"] == whole["sound"][name]["runs"]
        assert side["peaks"] == base64.b64decode(whole["sound"][name]["peaks"])


@pytest.mark.parametrize("secret", [KEY, "auth_tokens/" + "t" * 20])
async def test_no_credential_of_a_session_is_in_the_page(secret: str) -> None:
    escaped = (f"\\u{ord(secret[0]):04x}{secret[1:]}", secret.replace("/", "\\/"))
    async with echo() as (url, _), proxied(url) as house:
        async with servers.dial(
            house.url, compression="deflate", additional_headers={"x-goog-api-key": secret}
        ) as client:
            for said in (secret, *escaped):
                for message in (f'{{"setup":{{"model":"{said}","{said}":1}}}}', f'{{"{said}":1}}'):
                    await client.send(message)
                    await client.recv()
        shown = house.sessions.all[1]
        told = json.dumps([shown.page.data(), shown.page.head(), house.sessions.list()]) + str(shown.page.chunk(0))
        assert secret not in told and "[redacted]" in told
        assert not any(one in str(shown.page.chunk(0)) for one in escaped)


def test_a_growing_trace_is_followed_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    tail, sessions = Tail(path), SessionList()
    assert not sessions.take(tail), "it is not there yet"
    lines = started().lines()
    with path.open("wb") as file:
        file.write(b"".join(lines)[:-10])
        file.flush()
        assert sessions.take(tail)
        assert sessions.all[1].page.rows == 1, "half a line is none"
        file.write(b"".join(lines)[-10:])
        file.write(b'{"t": 1, "dir": "send"\n')  # broken
        file.write(b'{"t": 2, "di' + b"".join(lines))  # a crash, and the next session in the same line
        file.flush()
        assert sessions.take(tail)
        assert not sessions.take(tail)
    first, second = sessions.all.values()
    told = first.page.data()
    assert [told["kinds"][kind] for kind in told["kind"]] == ["setup", "setupComplete", "broken"]
    assert told["cutOff"] and not first.running
    assert second.page.rows == 2 and second.running
    path.write_bytes(b"".join(lines))  # begun anew
    sessions.take(tail)
    assert sessions.all[3].page.rows == 2
    sessions.close()
    path.write_bytes(b"no trace\n")
    with pytest.raises(BadRequest, match="no trace"):
        SessionList().take(Tail(path))


def test_what_is_kept_of_a_running_session_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended sessions are let go for it first; then no more is taken of it, which is said once, and the others go on."""
    monkeypatch.setattr(inspector_sessions, "MOST_ROWS", 10)
    sessions, hides = SessionList(), Redactor()

    def passing(number: int, messages: int) -> inspector_sessions.LiveSession:
        made = sessions.record(number, "ws://x" + GEMINI, hides)
        more(made, messages)
        return made

    def more(to: inspector_sessions.LiveSession, messages: int) -> None:
        for i in range(messages):
            to.frame(i, "send", "text", to.talk.step("client", json.dumps(HELLO)))

    passing(1, 4).close()
    passing(2, 3).close()
    third = passing(3, 6)
    assert [*sessions.all] == [2, 3], "the oldest that ended made room"
    more(third, 4)
    assert ([*sessions.all], third.page.rows, sessions.let_go) == ([3], 10, 2)
    assert not sessions.notes
    more(third, 20)
    third.control(30.0, "send", "ping", {"size": 0})
    assert third.page.rows == 10 and third.running
    [(_, said)] = sessions.notes
    assert said.startswith("session 3: no more of its messages are listed, as livews keeps 10 at most")
    assert "--trace" in said
    third.close()
    assert len(third.page.data()["kind"]) == 10, "what was kept is still there"
    fourth = passing(4, 5)
    assert [*sessions.all] == [4] and fourth.page.rows == 5, "the next one has the room of the one that ended"
    fourth.close()

    trace = tmp_path / "t.jsonl"
    trace.write_bytes(b"".join(started().lines()) + b'{"t":1,"dir":"send","ping":{}}\n' * 20)
    assert sessions.take(Tail(trace))
    [recorded] = sessions.all.values()
    assert recorded.page.rows == 10
    assert len(sessions.notes) == 2 and "the trace that is followed has every message" in sessions.notes[-1][1]
    sessions.close()


# Who gets in


@contextlib.asynccontextmanager
async def served(sessions: SessionList | None = None) -> AsyncIterator[inspector_server.InspectorServer]:
    async with inspector_server.serve_inspector(
        sessions or SessionList(), inspector_server.PageActions({"name": "t"})
    ) as there:
        yield there


async def get(port: int, target: str, **headers: str) -> tuple[int, dict[str, str], str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    given = {"Host": f"127.0.0.1:{port}", **headers}
    lines = [
        f"GET {target} HTTP/1.1",
        *(f"{name.replace('_', '-')}: {value}" for name, value in given.items()),
        "",
        "",
    ]
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
        for origin in (
            None,
            "null",
            "https://evil.example",
            f"http://localhost:{port}",
            f"http://127.0.0.1:{port}0",
        ):
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


# The command, in a browser


class Command:
    """`livews inspect` as it runs, with what it printed."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "livews", "inspect", "--port", "0", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None and self.process.stderr is not None
        self.url = self.process.stdout.readline().strip()
        self.said = ""
        while "Ctrl-C ends it" not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line
        self.door = found[1] if (found := re.search(r"passes (ws://\S+?),", self.said)) else ""
        self._reading = threading.Thread(target=self._drain)
        self._reading.start()

    def _drain(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    def end(self) -> int:
        self.process.terminate()
        try:
            code = self.process.wait(timeout=15)
        finally:
            self.process.kill()
        assert self.process.stdout is not None and self.process.stderr is not None
        self._reading.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    with serving("--pace", "0", "--voice", "tones", "--quiet") as (url, _):
        yield url


@pytest.fixture
def command(stand_in: str, tmp_path: Path) -> Iterator[Command]:
    made = Command("--proxy-port", "0", "--upstream", stand_in, "--trace", str(tmp_path / "passed.jsonl"))
    yield made
    assert made.end() == 0, made.said


def show(browser: Browser, command: Command, width: int = 1280, wait_for: str = "body.live") -> Any:
    base = command.url.partition("?")[0]
    own = (base, base.replace("http", "ws", 1) + "live")
    return browser.open(command.url, width, wait_for=wait_for, own=lambda asked: asked.startswith(own))


def client(command: Command) -> Any:
    return dial(command.door + GEMINI, proxy=None, max_size=None, max_queue=None, compression=None)


def say(socket: Any, message: Any) -> None:
    socket.send(json.dumps(message))


def counted(opened: Any, n: int) -> None:
    opened.wait_for_function(f"() => parseInt(document.getElementById('count').textContent) >= {n}")


def send_by_hand(opened: Any, message: Any) -> None:
    opened.fill("#composer textarea", json.dumps(message))
    opened.click("#composer .composer-send")


def test_messages_appear_while_the_session_runs(browser: Browser, command: Command) -> None:
    opened = show(browser, command)
    wrong = browser.wrong
    assert "no session yet" in text_of(opened, "#wait").lower()
    assert opened.url == command.url.partition("?")[0], "the token has left the address"
    with client(command) as one:
        say(one, SETUP)
        row_of(opened, "setupComplete").wait_for()
        assert text_of(opened, "#model") == "models/gemini-3.8-live"
        assert "Open." in text_of(opened, "#end")
        say(one, HELLO)
        row_of(opened, "turnComplete").wait_for()
        row_of(opened, "setup").click()
        opened.wait_for_selector("#detail .doc")
        described = json.loads(
            (
                Path(__file__).resolve().parents[2] / "protocol/schemas/client/BidiGenerateContentSetup.json"
            ).read_text()
        )
        assert described["properties"]["model"]["description"] in text_of(opened, "#detail")
        opened.fill("#search", "turncomplete")  # in messages, and in the words of few lines
        opened.wait_for_function("() => / of /.test(document.getElementById('count').textContent)")
        before = int(text_of(opened, "#count").split()[0])
        say(one, HELLO)
        counted(opened, before + 2)  # a search goes on with what comes
        opened.fill("#search", "")
        row_of(opened, "turnComplete").wait_for()
        late = show(browser, command, wait_for="#rows .row")
        counted(late, int(text_of(opened, "#count").split()[0]))
        assert text_of(late, "#count") == text_of(opened, "#count"), "who comes late gets all"
        assert not browser.wrong
        late.reload()
        late.wait_for_selector("#rows .row")
        (refused,) = browser.wrong  # and the page went on with the token it has kept
        assert "403" in refused
        late.close()
    opened.wait_for_selector("#end.fine")
    assert "1000" in text_of(opened, "#end")
    assert not wrong
    opened.close()


def test_the_list_follows_its_end_until_somebody_scrolls_up(browser: Browser, command: Command) -> None:
    opened = show(browser, command)
    end = "() => { const l = document.getElementById('list'); return l.scrollTop + l.clientHeight >= l.scrollHeight - 30; }"
    with client(command) as one:
        say(one, SETUP)
        for _ in range(40):
            say(one, {"realtimeInput": {"audioStreamEnd": True}})
        counted(opened, 40)
        opened.wait_for_function(end)
        opened.hover("#list")
        opened.mouse.wheel(0, -600)
        opened.wait_for_selector("#follow:visible")
        top = opened.evaluate("document.getElementById('list').scrollTop")
        seen = int(text_of(opened, "#count").split()[0])
        say(one, HELLO)
        counted(opened, seen + 5)
        assert opened.evaluate("document.getElementById('list').scrollTop") == top, (
            "it stays where it was scrolled to"
        )
        opened.click("#follow")
        opened.wait_for_function(end)
        for _ in range(30):
            say(one, {"realtimeInput": {"audioStreamEnd": True}})
        counted(opened, seen + 35)
        opened.wait_for_function(end)
        assert not opened.is_visible("#follow")
    assert not browser.wrong
    opened.close()


def test_a_message_by_hand_is_sent_and_answered_and_a_fault_explained(
    browser: Browser, command: Command, tmp_path: Path
) -> None:
    opened = show(browser, command)
    with client(command) as one:
        say(one, SETUP)
        row_of(opened, "setupComplete").wait_for()
        send_by_hand(opened, HELLO)
        row_of(opened, "turnComplete").wait_for()
        ours = row_of(opened, "written by hand")
        assert "clientContent" in ours.inner_text() and "ours" in (ours.get_attribute("class") or "")
        got = [json.loads(one.recv(timeout=10)) for _ in range(3)]
        assert any("serverContent" in message for message in got), "the client is answered what it did not ask"
        opened.click("#composer .composer-sides label:has-text('to the client')")
        send_by_hand(opened, {"goAway": {"timeLeft": "7s"}})
        for _ in range(200):
            if (raw := one.recv(timeout=10)) == b'{"goAway": {"timeLeft": "7s"}}':
                break
        assert isinstance(raw, bytes) and b"7s" in raw
        by_hand: list[tuple[str, ...]] = []
        deadline = time.monotonic() + 10  # what was passed on is written down afterwards
        while len(by_hand) < 2 and time.monotonic() < deadline:
            written = (tmp_path / "passed.jsonl").read_bytes().splitlines(keepends=True)
            lines = [json.loads(line) for line in written if line.endswith(b"\n")]
            by_hand = [(line["dir"], *line["message"]) for line in lines if line.get("inserted")]
        assert by_hand == [("send", "clientContent"), ("recv", "goAway")], "the trace tells what neither side sent"
        opened.click("#composer .composer-sides label:has-text('to the service')")
        wrong = {"realtimeInput": {"text": "a", "colour": "red"}}
        opened.fill("#composer textarea", json.dumps(wrong))
        opened.wait_for_selector("#composer :text('WIRE-5')")
        assert opened.is_visible("#end.open"), "a check changes nothing"
        opened.click("#composer .composer-send")
        opened.wait_for_selector("#end.bad")
        assert "1007" in text_of(opened, "#end") and "do" in text_of(opened, "#end")
        assert "WIRE-5" in text_of(opened, "#findings")
        opened.wait_for_selector("#composer .composer-why:has-text('This session has ended.')")
    assert not browser.wrong
    opened.close()


def test_a_session_of_its_own_is_opened_and_closed(browser: Browser, command: Command) -> None:
    opened = show(browser, command)
    opened.wait_for_function("() => document.querySelector('#composer textarea').value.includes('\"setup\"')")
    opened.click("#composer .composer-send")
    row_of(opened, "setupComplete").wait_for()
    send_by_hand(opened, HELLO)
    row_of(opened, "turnComplete").wait_for()
    opened.click("#close-button")
    opened.wait_for_selector("#end.fine")
    assert "Closed by the client" in text_of(opened, "#end") and "1000" in text_of(opened, "#end")
    opened.click("#open-button")
    opened.wait_for_function("() => document.querySelector('#composer textarea').value.includes('\"setup\"')")
    opened.click("#composer .composer-send")
    opened.wait_for_selector("#end.open")
    assert opened.locator("#session option").count() == 2
    opened.select_option("#session", "1")
    opened.wait_for_selector("#end.fine")
    with client(command) as other:
        say(other, SETUP)
        opened.wait_for_function("() => document.getElementById('session').options.length === 3")
        assert "Closed by the client" in text_of(opened, "#end"), "the chosen one stays chosen"
        opened.select_option("#session", "3")
        row_of(opened, "setup").wait_for()
        assert not opened.is_visible("#close-button"), "of others' sessions it closes none"
    assert not browser.wrong
    opened.close()


def test_an_ended_session_says_so_and_blames_nobody(browser: Browser, command: Command) -> None:
    with client(command) as one:
        say(one, SETUP)
        one.recv(timeout=10)
        say(one, {"realtimeInput": {"text": "a", "colour": "red"}})
        with pytest.raises(ConnectionClosed):
            while True:
                one.recv(timeout=10)
    opened = show(browser, command, wait_for="#end.bad")
    opened.wait_for_selector("#composer .composer-why:has-text('This session has ended.')")
    opened.wait_for_function("() => document.querySelector('#composer textarea').value.includes('Hello')")
    opened.fill("#composer textarea", json.dumps({"realtimeInput": {"colour": 1}}))
    opened.wait_for_selector("#composer .composer-findings :text('WIRE-5')")
    opened.fill("#composer textarea", "")
    opened.wait_for_selector("#composer .composer-findings li", state="detached")
    opened.fill("#composer textarea", json.dumps({"realtimeInput": {"text": "Hello"}}, indent=2))
    opened.evaluate("new Promise((done) => setTimeout(done, 600))")  # a check comes 250 ms after the last key
    assert not opened.locator("#composer .composer-findings li").count(), "nobody wrote it"
    send, anew = (opened.locator(one).bounding_box() for one in (".composer-send", "#open-button"))
    assert abs(send["y"] - anew["y"]) < 5, "New session stands beside Send"
    assert not opened.is_visible("#follow")
    opened.hover("#list")
    opened.mouse.wheel(0, -600)
    assert not opened.is_visible("#follow"), "nothing more comes"
    box = text_of(opened, "#end")
    assert "the client sent this: no member colour" in box and "WIRE-5" in box
    opened.click("#end button")
    opened.wait_for_selector("#detail .finding.l3")
    assert "realtimeInput" in text_of(opened, "#detail h3")
    opened.click("#help-button")
    assert "Ctrl-Space" in text_of(opened, "#help")
    assert not browser.wrong
    opened.close()


def test_a_session_that_does_not_come_to_be_is_told_once(browser: Browser) -> None:
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        command = Command("--proxy-port", "0", "--upstream", f"ws://127.0.0.1:{nobody.getsockname()[1]}")
        try:
            opened = show(browser, command)
            opened.click("#composer .composer-send:text-is('Open session')")
            opened.wait_for_selector("#notes .banner:has-text('connection refused')")
            opened.wait_for_selector("#composer .composer-told.bad")
            told = text_of(opened, "#composer .composer-told")
            assert told == "No session was opened: the box at the top of the page says why."
            assert not browser.wrong
            opened.close()
        finally:
            assert command.end() == 0


def test_a_message_goes_to_the_session_it_was_written_for(browser: Browser, command: Command) -> None:
    opened = show(browser, command)
    with client(command) as one:
        say(one, SETUP)
        row_of(opened, "setupComplete").wait_for()
        opened.fill("#composer textarea", json.dumps(HELLO))
        with client(command) as other:
            say(other, SETUP)
            opened.wait_for_function("() => document.getElementById('session').options.length === 2")
            opened.click("#composer .composer-send")
            row_of(opened, "written by hand").wait_for()
            assert opened.input_value("#session") == "1", "another began meanwhile"
            opened.click("#open-button")
            for part in ("setup", "realtimeInput"):  # the second for the one that the first opens, at once
                opened.wait_for_function(
                    f"() => document.querySelector('#composer textarea').value.includes('{part}')"
                )
                opened.click("#composer .composer-send")
            row_of(opened, "realtimeInput").wait_for()
            assert opened.input_value("#session") == "3"
    assert not browser.wrong
    opened.close()


def test_both_sides_are_played(browser: Browser, command: Command) -> None:
    opened = show(browser, command)
    with client(command) as one:
        say(one, SETUP)
        row_of(opened, "setupComplete").wait_for()
        pcm = tone(1.0, 16_000)
        for at in range(0, len(pcm), 3200):
            blob = {"mimeType": "audio/pcm;rate=16000", "data": base64.b64encode(pcm[at : at + 3200]).decode()}
            say(one, {"realtimeInput": {"audio": blob}})
        say(one, HELLO)
        row_of(opened, "turnComplete").wait_for()
        opened.click("#play")
        opened.wait_for_function("() => new Set(window.started.map((one) => one[1])).size === 2")
        loudest = opened.evaluate(
            "Math.max(...window.started.filter((one) => one[1] === 16000).map((one) => one[2]))"
        )
        assert loudest == pytest.approx(0.4, abs=0.01), "the samples are those that were sent"
        opened.click("#play")
        opened.evaluate("window.started = []")
        opened.check("#listen")
        say(one, HELLO)
        opened.wait_for_function("() => window.started.some((one) => one[1] === 24000)")
        opened.uncheck("#listen")
    assert not browser.wrong
    opened.close()


def inert(opened: Any) -> bool:
    """Is all of the wire text, and none of it raw, and the page as wide as its window?"""
    shown = opened.inner_text("body") + opened.title()
    raw = re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    every = "(all) => all.map((one) => one.tagName)"
    tags = opened.locator("#lanes *, #rows *, #detail *, #end *, #session *, #notes *").evaluate_all(every)
    opened.set_viewport_size({"width": 400, "height": 900})
    wide = opened.evaluate("document.documentElement.scrollWidth")
    return raw is None and wide <= 400 and {"SCRIPT", "IMG", "IFRAME", "A", "STYLE", "SVG", "LINK"}.isdisjoint(tags)


def test_nothing_that_passes_runs(browser: Browser, command: Command) -> None:
    opened = show(browser, command)
    with client(command) as one:
        every = " ".join(PAYLOADS)
        say(one, {"setup": {"model": "models/gemini-3.8-live", "systemInstruction": {"parts": [{"text": every}]}}})
        row_of(opened, "setupComplete").wait_for()
        for attack in PAYLOADS:
            say(
                one,
                {"clientContent": {"turns": [{"role": "user", "parts": [{"text": attack}]}], "turnComplete": True}},
            )
        opened.click("#composer .composer-sides label:has-text('to the client')")
        for attack in [every, *PAYLOADS[:4]]:
            send_by_hand(
                opened, {"toolCall": {"functionCalls": [{"id": attack, "name": attack, "args": {attack: attack}}]}}
            )
            send_by_hand(
                opened, {attack: {attack: attack}, "serverContent": {"outputTranscription": {"text": attack}}}
            )
        row_of(opened, "toolCall").wait_for()
        opened.click("#list")
        for _ in range(40):
            opened.keyboard.press("k")
        opened.keyboard.press("Enter")
        opened.keyboard.press("/")
        opened.keyboard.type("<script>")
        opened.wait_for_function("() => / of /.test(document.getElementById('count').textContent)")
        say(one, {every: every})
        opened.wait_for_selector("#end.bad")
    assert opened.evaluate("[window.pwned, ({}).pwned]") == [None, None]
    assert inert(opened)
    assert not browser.wrong
    opened.close()


def test_a_trace_is_followed_as_it_grows(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    command = Command(str(path))
    try:
        assert not command.door and "waits for sessions in" in command.said
        assert "which does not exist yet" in command.said
        opened = show(browser, command)
        assert not opened.locator("#composer").count() and not opened.locator("#listen").count()
        waits = text_of(opened, "#wait")
        assert "s.jsonl does not exist yet" in waits and f"livews --trace {path}" in waits
        lines = conversation().lines()
        with path.open("wb") as file:
            file.write(b"".join(lines[:3]))
            file.flush()
            row_of(opened, "setupComplete").wait_for()
            file.write(b"".join(lines[3:]))
            file.flush()
            opened.wait_for_selector("#end.bad")
            assert "colour" in text_of(opened, "#end") and "WIRE-5" in text_of(opened, "#findings")
            file.write(b"".join(started().lines()))
            file.flush()
            opened.wait_for_function("() => document.getElementById('session').options.length === 2")
            opened.wait_for_function("() => document.getElementById('count').textContent === '2 lines'")
            file.write(b"".join([*Trace().send(0.1, SETUP).lines(), *Trace().lines()]))  # the next one ends it
            file.flush()
            opened.wait_for_function("() => document.getElementById('session').options.length === 4")
            opened.select_option("#session", "3")
            opened.wait_for_selector("#findings:has-text('setup has no answer')")
        assert not browser.wrong
        assert command.end() == 0
        opened.wait_for_selector("#lost:visible")
        assert "connection to livews is lost" in text_of(opened, "#lost")
        opened.close()
    finally:
        command.process.kill()


def test_nothing_of_a_hostile_trace_runs_live(
    browser: Browser,
    outside: tuple[str, list[str]],  # noqa: F811
    tmp_path: Path,
) -> None:
    place, asked = outside
    lines = hostile(place).lines()
    path = tmp_path / f"{PAYLOADS[2]}.jsonl".replace("/", "")
    command = Command(str(path))
    try:
        opened = show(browser, command)
        with path.open("wb") as file:
            for part in (lines[:40], lines[40:]):
                file.write(b"".join(part))
                file.flush()
                counted(opened, 39)
        opened.wait_for_selector("#end.bad")
        opened.keyboard.press("G")
        opened.keyboard.press("Enter")
        for _ in range(40):
            opened.keyboard.press("k")
        opened.fill("#search", "<script>")
        opened.wait_for_function("() => / of /.test(document.getElementById('count').textContent)")
        assert opened.evaluate("[window.pwned, ({}).pwned]") == [None, None]
        assert inert(opened)
        assert not browser.wrong
        assert not asked
        opened.close()
        assert command.end() == 0
    finally:
        command.process.kill()


WATCHED = """
const Real = WebSocket;
window.sockets = [];
window.WebSocket = class extends Real { constructor(...given) { super(...given); window.sockets.push(this); } };
"""


def test_a_page_that_lost_its_connection_says_so_and_comes_back(browser: Browser, command: Command) -> None:
    browser.context.add_init_script(WATCHED)
    opened = show(browser, command)
    with client(command) as one:
        say(one, SETUP)
        row_of(opened, "setupComplete").wait_for()
        opened.evaluate(
            """() => { window.said = []; new MutationObserver(() => window.said.push(document.getElementById('lost').hidden))
            .observe(document.getElementById('lost'), { attributes: true }); window.sockets.at(-1).close(); }"""
        )
        opened.wait_for_function(
            "() => window.sockets.length === 2 && window.said.includes(false) && window.said.at(-1)"
        )
        say(one, HELLO)
        row_of(opened, "turnComplete").wait_for()
        assert opened.locator("#rows .row", has_text="setupComplete").count() == 1, "nothing is there twice"
    assert not browser.wrong
    opened.close()


# The command's own words


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    for words, says in (
        (["a.jsonl", "--upstream", "ws://127.0.0.1:1"], "--upstream is about the proxy"),
        (["--offline", "--vertex"], "leave out --upstream and --vertex"),
        ([str(tmp_path)], "name a file"),
        (["--trace", "-"], "name a file after --trace"),
    ):
        done = livews("inspect", *words)
        assert done.returncode == 2 and says in done.stderr, done.stderr
    (tmp_path / "x.jsonl").write_text("no trace\n")
    done = livews("inspect", str(tmp_path / "x.jsonl"))
    assert done.returncode == 2 and "this is no trace" in done.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = livews("inspect", "--offline", "--port", "0", "--proxy-port", port)
        assert done.returncode == 4 and "--proxy-port 0 picks a free port" in done.stderr
        done = livews("inspect", "--offline", "--port", port, "--proxy-port", "0")
        assert done.returncode == 4 and " --port 0 picks a free port" in done.stderr


def test_a_session_that_does_not_come_to_be_is_told_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)

    def quotes(socket: Socket, request: Request) -> Response:
        return socket.respond(HTTPStatus.BAD_REQUEST, str(request.headers))

    with serve_here(lambda socket: None, "127.0.0.1", 0, process_request=quotes) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", f"http://127.0.0.1:{server.socket.getsockname()[1]}")
        command = Command("--proxy-port", "0")
        try:
            base, _, token = command.url.partition("/?")
            with dial(
                f"{base.replace('http', 'ws', 1)}/live?{token}", origin=Origin(base), proxy=None
            ) as page_of_ours:
                page_of_ours.send('{"id":1,"ask":"open","text":"{}"}')
                while "re" not in (told := json.loads(page_of_ours.recv(timeout=10))):
                    pass
        finally:
            assert command.end() == 0
    assert not told["ok"] and "x-goog-api-key: [redacted]" in told["told"] and "do: look at" in told["told"]
    assert KEY not in told["told"] + command.said
    assert "that upstream is from GOOGLE_GEMINI_BASE_URL" in command.said


def test_without_a_key_the_stand_in_is_behind_the_door_and_a_trace_is_kept(tmp_path: Path) -> None:
    command = Command("--proxy-port", "0", "--trace", f"{tmp_path}/")
    try:
        assert "no key is set, so the proxy forwards to the built-in stand-in" in command.said
        with client(command) as one:
            say(one, SETUP)
            assert b"setupComplete" in one.recv(timeout=10)
        assert command.end() == 0
    finally:
        command.process.kill()
    assert '"setupComplete"' in (tmp_path / "session-1.jsonl").read_text()
