"""How long a session lives: what tests/data/conversations/sessions.txt cannot say, and that nothing of one is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

from livews.conversation import Conversation
from livews.core import models, protocol
from livews.server.connection import StandInConnection
from livews.server.server import StandInServer
from livews.server.service_format import format_duration as duration
from livews.server.session import StandInSession
from livews.server.turn_taking import TurnTaking
from tests.kit import talk
from tests.kit.names import GEMINI, LIVE_31, LIVE_38, NATIVE, TEST, TRANSLATE
from tests.kit.sound import silence, speech
from tests.kit.talk import Caller, FrameCounter, Message
from tests.kit.waiting import until

ASKED: Message = {"sessionResumption": {}}
HELLO = talk.content("hello")


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.12345, 1.0, 50.0, 59.9995, 600.25, 1e6])
def test_time_left_is_a_duration(seconds: float) -> None:
    assert re.fullmatch(r"[0-9]+(\.[0-9]{3})?s", duration(seconds))
    assert abs(float(duration(seconds)[:-1]) - seconds) <= 0.0006


@pytest.mark.parametrize("says", [talk.audio(silence(0.02)), talk.text("x"), "{}"], ids=["sound", "text", "nothing"])
async def test_whatever_a_client_sends_it_is_there(says: str | Message) -> None:
    # lives longer than it may be idle
    setup = {"model": LIVE_38, "contextWindowCompression": {"slidingWindow": {}}}
    async with talk.serving(time_scale=1600, pace=0) as server, talk.calling(server, setup) as caller:
        for _ in range(10):
            await caller.say(says)
            await asyncio.sleep(0.05)
        assert caller.socket.close_code is None
        assert await caller.closed() == (1011, "Internal error encountered.")


async def test_the_stand_in_sends_no_pings_and_nothing_unasked() -> None:
    """CLOSE-4, WIRE-13: also no permessage-deflate, whatever the client offers."""
    async with talk.serving() as server:
        async with connect(server.url + GEMINI, create_connection=FrameCounter, ping_interval=None) as socket:
            await socket.send('{"setup": {"model": "models/test"}}')
            await socket.recv()
            await asyncio.sleep(0.5)
            assert [opcode for opcode, _, _ in socket.seen] == [Opcode.BINARY]  # type: ignore[attr-defined]
            assert socket.protocol.extensions == []
            session = next(iter(server.sessions.values()))
            assert session.connection.ping_interval is None, "half a second proves little"
            async with asyncio.timeout(5):
                await (await socket.ping(b"mine"))


async def test_a_handle_comes_a_tenth_of_a_second_after_setup_and_at_once_when_resumed() -> None:
    async with talk.serving(pace=1.0) as server:
        async with talk.calling(server, LIVE_38) as caller:
            handle = await talk.handle_of(caller)
            assert caller.times[-1] - caller.times[0] >= 0.095
            assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", handle)
        async with talk.calling(server, talk.resuming(handle, LIVE_38)) as caller:
            again = await talk.handle_of(caller)
            assert caller.times[-1] - caller.times[0] < 0.095
            assert again != handle


async def test_only_the_newest_handles_are_kept() -> None:
    async with talk.serving() as server:
        async with talk.calling(server, {"model": NATIVE, **ASKED}) as caller:
            handles = []
            for _ in range(12):
                await caller.turn(talk.content("x"))
                handles.append(await talk.handle_of(caller))
        end = await talk.refusal(server, {"setup": talk.resuming(handles[0], NATIVE)})
        assert end == (1008, "BidiGenerateContent session not found")
        async with talk.calling(server, talk.resuming(handles[-8], NATIVE)) as caller:
            assert await caller.turn(talk.content("x"))
        assert len(server.store._handles) <= 8


async def test_the_same_seed_gives_the_same_handles() -> None:
    handles = []
    for seed in ("a", "a", "b"):
        async with talk.connected({"model": TEST, **ASKED}, seed=seed) as caller:
            handles.append(await talk.handle_of(caller))
    first, second, third = handles
    assert first == second != third


# Nothing is left


def tasks() -> set[str]:
    return {str(task.get_coro()) for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def nothing_is_left(server: StandInServer, before: set[str]) -> None:
    """Of sessions that are over: no task, no connection, no object."""
    await talk.ended(server)
    await until(lambda: not server.connections and tasks() == before)
    gc.collect()
    assert [
        one
        for one in gc.get_objects()
        if isinstance(one, (StandInSession, TurnTaking, StandInConnection, Conversation))
    ] == []


ENDS: dict[str, tuple[list[Any], str]] = {
    "a client's close": ([], ""),
    "a client's death": ([HELLO], "anything"),
    "a close in a reply": ([HELLO, talk.content("again")], "anything"),
    "a refusal": (["not json"], "close"),
    "a call that waits": ([talk.content("getWeather")], "toolCall"),
    "speech that never ended": ([talk.audio(speech()), talk.STREAM_END, talk.text("and")], ""),
    "an activity that never ended": ([talk.START, talk.audio(speech(0.3))], ""),
}
"""What a client says, and what it waits for until it leaves."""


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("model", [LIVE_38, LIVE_31, TRANSLATE, NATIVE])
async def test_a_session_leaves_nothing(name: str, model: str) -> None:
    if name == "a call that waits" and model in (TRANSLATE, LIVE_31):
        return  # it has no functions, or is asked by realtimeInput; TURN-6
    messages, wanted = ENDS[name]
    setup: Message = {"model": model, **ASKED, **(talk.MANUAL if name.startswith("an activity") else {})}
    if model != TRANSLATE:
        setup["tools"] = talk.functions("getWeather")
    async with talk.serving() as server:
        before = tasks()
        for _ in range(3):
            async with talk.calling(server, setup, judged=False) as caller:
                with contextlib.suppress(ConnectionClosed, TimeoutError):
                    async with asyncio.timeout(0.5):
                        await caller.say(*messages)
                        if wanted == "close":
                            assert (await caller.closed())[0] == 1007
                        elif wanted:
                            await caller.until("" if wanted == "anything" else wanted)
                        if name == "a client's death":
                            caller.socket.transport.abort()
        del caller
        await nothing_is_left(server, before)


@pytest.mark.parametrize("fault", ["drop@4", "close=quota@4", "go-away=0.05@4", "stall@4", "fragments=10", "late-pong=0.05",
                                   "silent-after-goaway", "bundled"])  # fmt: skip
async def test_a_session_with_a_fault_leaves_nothing(fault: str) -> None:
    async with talk.serving(faults=[fault]) as server:
        before = tasks()
        # a client that leaves fragments unread does not see its close answered: max_queue
        async with connect(server.url + GEMINI, max_size=None, max_queue=None, ping_interval=None) as socket:
            caller = Caller(socket, server, judged=False)
            await caller.say({"setup": {"model": LIVE_38}}, HELLO)
            async with talk.pinging(caller):
                with contextlib.suppress(ConnectionClosed, TimeoutError):
                    async with asyncio.timeout(0.2):
                        while True:
                            await caller.hear()
        del caller, socket
        await asyncio.sleep(0.1)
        await nothing_is_left(server, before)


async def test_a_stand_in_that_stops_ends_its_sessions() -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with talk.serving() as server:
            callers = [await stack.enter_async_context(talk.calling(server, LIVE_38)) for _ in range(5)]
            for caller in callers:
                await caller.say(HELLO)
                await caller.until("audio")
        assert server.sessions == {}
        assert server.connections == set()
        assert dict(server.endings) == {"closed 1001": 5}, "its own close, not the client's"
        for caller in callers:
            assert await caller.closed() == (1001, "")
    assert tasks() == set()


async def test_endings_do_not_pile_up() -> None:
    """A reason quotes what a client said: how sessions ended is counted, and the count stays small."""
    async with talk.serving() as server:
        server.endings.update({f"end {i}": 1 for i in range(999)})
        for i in range(3):
            async with talk.calling(server) as caller:
                await caller.say({"setup": {"model": TEST, f"key{i}": 1}})
                assert (await caller.closed())[0] == 1007
        await talk.ended(server)
        assert len(server.endings) == 1001
        assert server.endings["otherwise"] == 2


def test_every_profile_has_its_life_and_its_handles() -> None:
    for row in protocol.models()["profiles"]:
        about = models.profile(row["ids"][0].removesuffix("*"))
        assert about["resumption"]["updates"] in ("once", "turn", "2s", "never")
        assert about["life"]["goAwaySeconds"] or about["life"]["closeSeconds"]
        assert protocol.close_row(about["life"]["close"])
        assert protocol.close_row(about["life"]["idleClose"])
