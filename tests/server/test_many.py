"""Many clients, and clients that take more than their share: nobody hears another's words, nobody fills the server.

- Memory is that of a server in a process of its own, or counted by tracemalloc; the bounds are wide, and each was seen
  to break when what it guards was taken out.
- "For ever" is until the kernel takes no more, or as much as would be found in the memory of a server that keeps it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import select
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import tests.fuzz.server as fuzz
from livews.core import codec
from livews.server.server import StandInServer, serve_stand_in
from tests.bench import load
from tests.kit.names import GEMINI, VERTEX
from tests.kit.sound import silence, speech
from tests.kit.talk import END, MANUAL, START, Message, audio, calling, config, content, text, words
from tests.kit.waiting import until

MB = 1024
"""In kB, as /proc tells memory."""
PROMPT = b'{"clientContent":{"turns":[{"role":"user","parts":[{"text":"%d"}]}],"turnComplete":true}}'

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc tells the memory of a process")


async def test_twenty_at_once_each_with_its_own_words() -> None:
    names = ["Ada", "Bob", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jim", "Kay", "Leo", "Mia", "Ned", "Oda",
             "Pam", "Quin", "Ray", "Sue", "Tim"]  # fmt: skip

    async def one(server: StandInServer, i: int) -> list[str]:
        setup = {"model": "models/gemini-3.8-live", "outputAudioTranscription": {}}
        async with calling(server, setup) as caller:
            said = [words(await caller.turn(content(f"I am {names[i]} and {i}.")))]
            await caller.speak(speech(0.5 + 0.3 * i) + silence(1.4))
            said.append(words(await caller.until("turnComplete")))
            return [*said, words(await caller.turn(text(f"Still {names[i]}?")))]

    async with serve_stand_in(config=config(pace=0.02)) as server:
        said = await asyncio.gather(*(one(server, i) for i in range(len(names))))
        assert server.failures == 0
    for i, (first, spoken, last) in enumerate(said):
        assert f'I heard "I am {names[i]} and {i}."' in first
        assert float(spoken.partition("I heard ")[2].split()[0]) == pytest.approx(0.5 + 0.3 * i, abs=0.14)
        assert f'I heard "Still {names[i]}?"' in last
        others = {name for name in names if name != names[i]}
        assert not others & set("".join((first, last)).replace(".", " ").replace("?", " ").split())


# A client that does not read


class Mute:
    """A client that says a lot, and reads only until it is set up. Its socket takes next to nothing in."""

    def __init__(self, port: int, setup: dict[str, Any]) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(
            f"GET {GEMINI}?key=none HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        heard = b""
        while b"\r\n\r\n" not in heard:
            heard += self.socket.recv(100)
        self.socket.sendall(fuzz.frame(fuzz.TEXT, json.dumps({"setup": setup}).encode()))
        self.socket.settimeout(0)
        self.sent = 0

    async def push(self, frames: Iterator[bytes], limit: int, still: Callable[[], Awaitable[None]]) -> bool:
        """Say up to `limit` bytes; True when the kernel takes no more, however long one waits.

        `still` is what is done while one waits: something that shows that the server lives.
        """
        rest = b""
        while self.sent < limit:
            rest = rest or b"".join(next(frames) for _ in range(50))
            try:
                done = self.socket.send(rest)
            except BlockingIOError:
                for _ in range(5):
                    await still()
                    if select.select([], [self.socket], [], 0.2)[1]:
                        break
                else:
                    return True
                continue
            self.sent += done
            rest = rest[done:]
        return False


def prompts() -> Iterator[bytes]:
    return (fuzz.frame(fuzz.TEXT, PROMPT % i) for i in count())


def texts() -> Iterator[bytes]:
    return (fuzz.frame(fuzz.TEXT, b'{"realtimeInput":{"text":"%d"}}' % i) for i in count())


def sounds() -> Iterator[bytes]:
    pcm = speech(0.4) + silence(1.4)
    spoken = [fuzz.frame(fuzz.TEXT, codec.audio_frame(pcm[at : at + 3200])) for at in range(0, len(pcm), 3200)]
    return (spoken[i % len(spoken)] for i in count())


def pings() -> Iterator[bytes]:
    ping = fuzz.frame(fuzz.PING, b"x" * 125)
    return (ping for _ in count())


def marks() -> Iterator[bytes]:
    said = [json.dumps(START), audio(bytes(320)), json.dumps(END)]
    made = [fuzz.frame(fuzz.TEXT, one.encode()) for one in said]
    return (made[i % 3] for i in count())


DIALOGUE = {"model": "models/gemini-3.8-live", "outputAudioTranscription": {}}
PATIENT = {"model": "models/gemini-2.5-flash-native-audio-latest",
           "realtimeInputConfig": {"activityHandling": "NO_INTERRUPTION"}}  # fmt: skip


@needs_proc
@pytest.mark.parametrize(
    ("frames", "setup", "limit", "stops"),
    [
        pytest.param(prompts, DIALOGUE, 40, True, id="prompts"),
        pytest.param(sounds, DIALOGUE, 80, True, id="sound"),
        pytest.param(marks, {**DIALOGUE, **MANUAL}, 40, True, id="marks"),
        pytest.param(pings, DIALOGUE, 80, True, id="pings"),
        pytest.param(texts, PATIENT, 2, False, id="prompts that wait"),
    ],
)
async def test_a_client_that_does_not_read(
    frames: Callable[[], Iterator[bytes]], setup: dict[str, Any], limit: int, stops: bool
) -> None:
    with fuzz.served(["--pace", "0"]) as server:
        await fuzz.clean_turn(server.port)
        before = fuzz.memory(server.process.pid)
        mute = Mute(server.port, setup)
        try:
            stopped = await mute.push(frames(), limit * MB * 1024, lambda: fuzz.clean_turn(server.port))
            await fuzz.clean_turn(server.port)
            assert stopped == stops, f"{mute.sent:,} bytes were taken"
            assert fuzz.memory(server.process.pid) - before < 8 * MB
        finally:
            mute.socket.close()
        await fuzz.clean_turn(server.port)
        assert fuzz.status(server.port)["sessions"]["failures"] == 0
    assert "Traceback" not in server.said


@needs_proc
async def test_a_client_that_is_faster_than_its_session_waits() -> None:
    with fuzz.served(["--pace", "30"]) as server:  # which answers setup after 2.4 seconds
        before = fuzz.memory(server.process.pid)
        eager = Mute(server.port, DIALOGUE)
        try:
            assert await eager.push(sounds(), 80 * MB * 1024, lambda: asyncio.sleep(0)), (
                "what nobody takes yet is left to TCP"
            )
            assert fuzz.memory(server.process.pid) - before < 24 * MB, "loading the schemas is 16 of them"
        finally:
            eager.socket.close()


# Messages that are not complete


async def test_before_its_setup_a_client_can_send_little_and_then_more() -> None:
    large = content("a" * 2 * 1024 * MB, complete=False)
    async with serve_stand_in(config=config()) as server:
        async with calling(server) as caller:
            await caller.say(large)
            assert (await caller.closed())[0] == 1009
        async with calling(server) as caller:
            await caller.say({"setup": DIALOGUE}, large, content("Hello"))  # without waiting for the answer
            await caller.until("turnComplete")
        assert server.failures == 0


async def test_clients_that_do_not_finish_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they hold together is bounded, what others say passes, and at last each is heard."""
    monkeypatch.setattr("livews.server.connection._TOTAL", 2_000_000)
    monkeypatch.setattr("livews.server.connection._FREE", 50_000)
    wire = fuzz.frame(fuzz.TEXT, json.dumps(content("a" * 500_000, complete=False)).encode())
    finish = asyncio.Event()

    async def send(mute: Mute) -> None:
        for part in (wire[:-5], wire[-5:]):
            await asyncio.get_running_loop().sock_sendall(mute.socket, part)
            await finish.wait()

    async with asyncio.timeout(30), serve_stand_in(config=config(pace=0)) as server:
        port = int(server.url.rpartition(":")[2])
        mutes = [await asyncio.to_thread(Mute, port, DIALOGUE) for _ in range(10)]
        tasks = [asyncio.create_task(send(mute)) for mute in mutes]
        held = -1
        while held != (held := sum(connection.held for connection in server.connections)) or held < 2_000_000:
            await asyncio.sleep(0.1)
        assert held < 2_700_000
        async with calling(server, DIALOGUE) as caller:
            await caller.turn(content("Hello"))
        finish.set()
        await asyncio.gather(*tasks)
        while any(session.received < 2 for session in server.sessions.values()):
            await asyncio.sleep(0.05)
        assert sum(connection.held for connection in server.connections) == 0 and len(server.sessions) >= 10
        for mute in mutes:
            mute.socket.close()


# Many sessions, one after the other


@needs_proc
@pytest.mark.patience(300)
async def test_a_thousand_sessions_leave_nothing_behind() -> None:
    async def session(port: int, i: int) -> None:
        url = f"ws://127.0.0.1:{port}{GEMINI}?key=none"
        async with connect(url, compression=None) as client:
            await client.send(json.dumps({"setup": {"model": "models/gemini-3.8-live"}}))
            await client.recv()
            await client.send(json.dumps(text(f"This is {i % 10}.")))
            while b"turnComplete" not in await client.recv(decode=False):
                pass

    async def sessions(port: int, first: int, last: int) -> None:
        numbers = iter(range(first, last))

        async def some() -> None:
            for i in numbers:
                await session(port, i)

        async with asyncio.timeout(120):
            await asyncio.gather(*(some() for _ in range(20)))

    with fuzz.served(["--pace", "0", "--quiet"]) as server:
        await sessions(server.port, 0, 200)
        before = fuzz.memory(server.process.pid)
        await sessions(server.port, 200, 1200)
        grown = fuzz.memory(server.process.pid) - before
        state = fuzz.status(server.port)
    assert state["sessions"] == {"total": 1200, "open": 0, "failures": 0, "differences": 0}
    assert grown < 8 * MB, "a conversation that may be resumed takes 2 kB"


@pytest.mark.parametrize("what", ["prompts", "models", "mime types", "reasons", "handles"])
async def test_what_clients_say_is_not_kept(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session says something nobody said before."""
    monkeypatch.setattr("livews.server.store._ALL_HANDLES", 20)  # what is kept on purpose, sooner full
    monkeypatch.setattr("livews.server.server._ENDINGS", 20)
    monkeypatch.setattr("livews.redactor._MOST_HANDLES", 20)
    monkeypatch.setattr("asyncio.base_events._MIN_SCHEDULED_TIMER_HANDLES", 0)  # timers that were cancelled
    named = {"model": "publishers/google/models/gemini-live-2.5-flash",
             "generationConfig": {"responseModalities": ["TEXT"]}}  # fmt: skip

    async def say(server: StandInServer, i: int) -> None:
        long = f"{i} " + "x" * (150 if what == "models" else 600)  # profiles are cached for short names only
        messages: dict[str, tuple[Message, ...]] = {
            "prompts": ({"setup": named}, content(" ".join(("yes", "no")[i >> bit & 1] for bit in range(30)))),
            "models": ({"setup": {"model": f"publishers/google/models/{long}"}},),
            "mime types": ({"setup": named}, json.loads(audio(bytes(40)).replace("pcm", f"pcm;x={long}"))),
            "reasons": ({"setup": {long: 1}},),
            "handles": ({"setup": {**named, "sessionResumption": {"handle": long}}},),
        }
        async with calling(server, path=VERTEX) as caller:
            with contextlib.suppress(ConnectionClosed):
                await caller.say(*messages[what])
                if what == "prompts":
                    await caller.until("turnComplete")
                elif what == "mime types":
                    await caller.turn(text("heard?"))
                else:
                    await caller.closed()

    numbers = iter(range(1_000_000))
    async with serve_stand_in(config=config(pace=0)) as server:

        async def some(times: int) -> int:
            for i, _ in zip(numbers, range(times), strict=False):
                await say(server, i)
            await until(lambda: not server.connections)
            await asyncio.sleep(0.02)
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            before = await some(280 if what == "models" else 80)  # as many as are kept
            grown = (await some(200) - before) / 200
        finally:
            tracemalloc.stop()
    assert grown < 400, "timers of the event loop and caches of bounded size take up to 160 bytes of it"


@needs_proc
def test_the_load_bench_runs() -> None:
    command = [sys.executable, "-m", "tests.bench", "load", "--sessions", "3", "--seconds", "4", "--json"]
    ran = subprocess.run(command, cwd=fuzz.ROOT, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads(ran.stdout)
    assert report["troubles"] == []
    assert report["ready"] == report["closed"] == 3
    assert report["client"]["sent"] == 300, "3 sessions, 4 seconds, 25 frames a second"
    assert report["client"]["unsent"] == 0
    assert 0 < report["client"]["chunks"] <= report["lateMs"]["chunks"]
    assert report["client"]["late"]["p50"] <= report["client"]["late"]["p99"] <= report["client"]["late"]["max"]
    assert report["cpu"] > 0
    assert report["rss"]["idle"] > 10_000


def test_the_load_bench_tells_what_went_wrong() -> None:
    client = {"gone": 1, "lost": ["1011 x"], "silent": 0}
    report = {"ready": 2, "client": client, "sessions": {"failures": 3}, "closed": 2, "stderr": "Traceback"}
    assert load.troubles(load.Load(3, 2.0), report) == [
        "1 sessions were not set up",
        "1 sessions were lost: ['1011 x']",
        "3 sessions failed in the server",
        "2 sockets were closed with 1000",
        "the server wrote: Traceback",
    ]
