"""How long a session lives, what outlives it, and that nothing else does.

- Long times are shortened by time_scale, as in trials of a client; for hours the store's
  clock is set on.
- Times are bounded only from below, or by what comes first: a slow machine is no failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
from itertools import pairwise
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from livews.core import models, protocol
from livews.server.replies import format_duration as duration
from livews.server.server import StandInServer
from livews.server.session import StandInSession
from livews.server.turn_taking import TurnTaking
from tests.kit import talk
from tests.kit.names import GEMINI, LIVE_31, LIVE_38, NATIVE, TEST, TRANSCRIBE, TRANSLATE, VERTEX
from tests.kit.sound import silence, speech
from tests.kit.talk import Caller, Message
from tests.kit.waiting import until

INTERNAL = (1011, "Internal error encountered.")
IGNORED = protocol.close_row("goaway-ignored")["reason"][:123]
RESUMABLE: Message = {"model": TEST, "sessionResumption": {}}
COMPRESSED: Message = {"contextWindowCompression": {"slidingWindow": {}}}
HELLO = talk.content("hello")
PICTURE: Message = {"realtimeInput": {"video": {"mimeType": "image/jpeg", "data": "/9j/4AAQ"}}}


def now() -> float:
    return asyncio.get_running_loop().time()


def new_handles(messages: list[Message]) -> list[str]:
    return [one["sessionResumptionUpdate"]["newHandle"] for one in messages if "sessionResumptionUpdate" in one]


async def last_of(caller: Caller) -> tuple[list[Message], tuple[int, str]]:
    """What comes until the close, and the close."""
    before = len(caller.messages)
    end = await caller.closed()
    return caller.messages[before:], end


# goAway


@pytest.mark.parametrize(
    ("model", "path", "left"),
    [
        (TEST, GEMINI, "0.100s"),
        (LIVE_31, GEMINI, "0.100s"),
        (NATIVE, GEMINI, "0.100s"),
        (TRANSLATE, GEMINI, "0.100s"),
        ("publishers/google/models/gemini-live-2.5-flash", VERTEX, "0.120s"),
    ],
)
async def test_go_away_comes_by_the_profile_and_the_close_after_it(model: str, path: str, left: str) -> None:
    """GOAWAY-1: 540 seconds after the start with 50 left, 60 on Vertex; here 500 times as fast."""
    began = now()
    async with talk.serving(time_scale=500) as server, talk.calling(server, model, path=path) as caller:
        async with talk.pinging(caller):
            got, end = await last_of(caller)
        assert got[-1] == {"goAway": {"timeLeft": left}}
        assert sum("goAway" in one for one in got) == 1
        assert end == (1008, IGNORED)
        assert caller.times[-1] - began >= 540 / 500
        assert now() - began >= 540 / 500 + float(left[:-1])


async def test_go_away_on_demand() -> None:
    began = now()
    async with talk.serving(go_away=0.2, time_scale=200) as server, talk.calling(server, LIVE_38) as caller:
        await caller.say(HELLO)
        got, end = await last_of(caller)
        assert {"goAway": {"timeLeft": "0.250s"}} in got
        assert end == (1008, IGNORED)
        assert now() - began >= 0.45


async def test_a_client_that_leaves_in_time_is_not_told_again() -> None:
    async with talk.serving(go_away=0.05) as server, talk.calling(server, TEST) as caller:
        assert "goAway" in await caller.hear()
        got = await caller.turn(HELLO)
        assert talk.words(await caller.turn(HELLO)) == talk.words(got)
        assert talk.brief(got[-1]) == ["turnComplete", "usage"], "the session goes on until the time is over"
        await caller.socket.close()
        assert await caller.closed() == (1000, "")
        await talk.ended(server)
        assert dict(server.endings) == {"closed by the client, 1000": 1}


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.12345, 1.0, 50.0, 59.9995, 600.25, 1e6])
def test_time_left_is_a_duration(seconds: float) -> None:
    assert re.fullmatch(r"[0-9]+(\.[0-9]{3})?s", duration(seconds))
    assert abs(float(duration(seconds)[:-1]) - seconds) <= 0.0006


# How long


@pytest.mark.parametrize(
    ("setup", "says", "seconds"),
    [
        ({"model": TEST}, None, 540),
        ({"model": TEST}, PICTURE, 70),
        ({"model": TEST, **COMPRESSED}, PICTURE, 540),
        ({"model": LIVE_38}, PICTURE, 70),
        ({"model": LIVE_38}, None, 850),
    ],
    ids=["sound", "video", "video, compressed", "video, without a limit of its own", "sound, the same"],
)
async def test_video_shortens_and_compression_lifts_the_limit(
    setup: Message, says: Message | None, seconds: float
) -> None:
    """A session of sound lasts 15 minutes, one with video two, and any length with compression; goAway comes ahead."""
    began = now()
    async with talk.serving(time_scale=600) as server, talk.calling(server, setup) as caller:
        if says is not None:
            await caller.say(says)
        async with talk.pinging(caller):
            await caller.until("goAway")
        took = (caller.times[-1] - began) * 600
    assert took >= seconds
    assert took < 540 or seconds >= 540, "the shorter limit counts"


async def test_the_first_picture_shortens_a_session_that_runs() -> None:
    began = now()
    async with talk.serving(time_scale=300) as server, talk.calling(server, TEST) as caller:
        async with talk.pinging(caller):
            await asyncio.sleep(0.1)
            await caller.say(PICTURE)
            await caller.until("goAway")
        assert 70 <= (caller.times[-1] - began) * 300 < 500


async def test_a_conversation_grows_old_over_its_connections() -> None:
    """The limits are the session's, and a session is longer than a socket."""
    async with talk.serving(time_scale=600) as server:
        handle, spent = "", []
        for resumes in (False, True):
            setup = {"model": TEST, "sessionResumption": {"handle": handle} if resumes else {}}
            began = now()
            async with talk.calling(server, setup) as caller:
                handle = await talk.handle_of(caller)
                async with talk.pinging(caller):
                    await caller.until("goAway")
                spent.append((caller.times[-1] - began) * 600)
        first, second = spent
    assert first >= 540
    assert second < 500, "of the 850 seconds ahead of goAway 540 were spent"


async def test_fifty_eight_minutes_are_all_and_nothing_is_left_to_resume() -> None:
    began = now()
    async with talk.serving(time_scale=1500) as server:
        async with talk.calling(server, {"model": LIVE_38, **COMPRESSED}) as caller, talk.pinging(caller):
            got, end = await last_of(caller)
        assert end == (1011, "Deadline expired before operation could complete.")
        assert talk.brief_all(got) == ["handle"], "no goAway"
        assert now() - began >= 3480 / 1500
        again = {"model": LIVE_38, "sessionResumption": {"handle": got[0]["sessionResumptionUpdate"]["newHandle"]}}
        assert await talk.refusal(server, {"setup": again}) == (1007, "Invalid session handle")


# Idleness


async def test_a_client_that_is_silent_is_closed_and_one_that_pings_is_not() -> None:
    """480 s after anything came from it, a ping included: then 1011, and nothing before."""
    async with talk.serving(time_scale=1600) as server:
        async with talk.calling(server, {"model": TEST, **COMPRESSED}) as there, talk.calling(server) as silent:
            async with talk.pinging(there, 0.05):
                began = now()
                await silent.say({"setup": {"model": TEST}})
                got, end = await last_of(silent)
                assert (talk.brief_all(got), end) == (["setupComplete"], INTERNAL)
                assert now() - began >= 480 / 1600
            assert there.socket.close_code is None
        await talk.ended(server)
        assert set(server.endings) == {"closed 1011 Internal error encountered.", "closed by the client, 1000"}


@pytest.mark.parametrize("says", [talk.audio(silence(0.02)), talk.text("x"), "{}"], ids=["sound", "text", "nothing"])
async def test_whatever_a_client_sends_it_is_there(says: str | Message) -> None:
    setup = {"model": LIVE_38, **COMPRESSED}  # lives longer than it may be idle
    async with talk.serving(time_scale=1600, pace=0) as server, talk.calling(server, setup) as caller:
        for _ in range(10):
            await caller.say(says)
            await asyncio.sleep(0.05)
        assert caller.socket.close_code is None
        assert (await last_of(caller))[1] == INTERNAL


async def test_who_never_says_setup_is_closed_too() -> None:
    began = now()
    async with talk.serving(time_scale=2400) as server, talk.calling(server) as caller:
        assert await last_of(caller) == ([], INTERNAL)
        assert now() - began >= 480 / 2400
        await talk.ended(server)
        assert list(server.endings) == ["closed 1011 Internal error encountered."]


class Watching(ClientConnection):
    """Keeps the kinds of all frames that came."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.kinds: list[Opcode] = []

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame):
            self.kinds.append(event.opcode)
        super().process_event(event)


async def test_the_stand_in_sends_no_pings_and_nothing_unasked() -> None:
    """CLOSE-4, WIRE-13: also no permessage-deflate, whatever the client offers."""
    async with talk.serving() as server:
        async with connect(server.url + GEMINI, create_connection=Watching, ping_interval=None) as socket:
            await socket.send('{"setup": {"model": "models/test"}}')
            await socket.recv()
            await asyncio.sleep(0.5)
            assert socket.kinds == [Opcode.BINARY]  # type: ignore[attr-defined]
            assert socket.protocol.extensions == []
            session = next(iter(server.sessions.values()))
            assert session.connection.ping_interval is None, "half a second proves little"
            async with asyncio.timeout(5):
                await (await socket.ping(b"mine"))


# Speech that does not end


async def test_speech_without_silence_is_never_answered() -> None:
    """ACTIVITY-6: silence is heard in the sound that is sent, not in the time that passes."""
    lines: list[str] = []
    async with talk.connected(LIVE_38, log=lines.append, pace=0.01) as caller:
        await caller.speak(speech(1.0))
        assert talk.brief_all(await caller.rest(0.8), leave=["handle"]) == ["empty+activityStart"]
        await caller.speak(speech(1.0) + silence(0.5))
        assert await caller.rest(0.8) == [], "too short a silence is a pause"
        await caller.speak(silence(1.5))
        assert talk.brief_all(await caller.until("turnComplete"))[-1] == "turnComplete+usage"
        await caller.speak(speech(1.0))
        await caller.until("activityStart")
    assert [line for line in lines if "(ACTIVITY-6)" in line], "the log says so"


# Handles

UNASKED: Message = {}
ASKED: Message = {"sessionResumption": {}}


@pytest.mark.parametrize(
    ("model", "asked", "handles"),
    [
        (LIVE_38, UNASKED, 1),
        (LIVE_38, ASKED, 1),
        ("models/gemini-3.8-live-extended-thinking", UNASKED, 1),
        (TEST, UNASKED, 0),
        (TEST, ASKED, 1),
        (LIVE_31, UNASKED, 3),
        (NATIVE, UNASKED, 0),
        (NATIVE, ASKED, 3),
    ],
)
async def test_handles_come_as_the_model_has_it(model: str, asked: Message, handles: int) -> None:
    """`once` a connection, or with every turn; unasked on some."""
    async with talk.connected({"model": model, **asked}) as caller:
        for _ in range(3):
            await caller.say(talk.text("hello") if model == LIVE_31 else HELLO)
            await caller.until("IDLE" if "thinking" in model else "turnComplete")
        await caller.rest()
        updates = [one["sessionResumptionUpdate"] for one in caller.messages if "sessionResumptionUpdate" in one]
        assert all(update["resumable"] is True for update in updates)
        order = talk.brief_all(caller.messages)
        if handles == 3:
            assert all(one.startswith("turnComplete") for one, after in pairwise(order) if after == "handle")
        found = [update["newHandle"] for update in updates]
    assert len(found) == len(set(found)) == handles


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


@pytest.mark.parametrize("asked", [True, False])
async def test_a_handle_every_two_seconds(asked: bool) -> None:
    setup: Message = {"model": TRANSLATE, **(ASKED if asked else {})}
    async with talk.connected(setup, time_scale=20) as caller, talk.pinging(caller):
        if not asked:
            assert await caller.rest(0.5) == []
            return
        await caller.until("handle")
        for _ in range(4):
            assert talk.brief(await caller.hear()) == ["handle"]
        gaps = [after - before for before, after in zip(caller.times[1:-1], caller.times[2:], strict=True)]
        assert sum(gaps) >= 0.9 * 4 * 2 / 20


async def test_a_model_that_never_gives_one() -> None:
    async with talk.connected({"model": TRANSCRIBE, "inputAudioTranscription": {}, **talk.MANUAL, **ASKED}) as caller:
        await caller.say(talk.START)
        await caller.speak(speech())
        await caller.say({"realtimeInput": {"activityEnd": {}}})
        await caller.until("generationComplete")
        assert "handle" not in talk.brief_all([*caller.messages, *await caller.rest()])


# Resuming


def asked_tokens(messages: list[Message]) -> int:
    return int(messages[-1]["usageMetadata"]["promptTokenCount"])


async def test_a_resumed_conversation_knows_what_was_said() -> None:
    async with talk.serving() as server:
        async with talk.calling(server, RESUMABLE) as caller:
            handle = await talk.handle_of(caller)
            first = asked_tokens(await caller.turn(talk.content("one two three")))
            second = asked_tokens(await caller.turn(talk.content("four")))
            assert second > first
        async with talk.calling(server, talk.resuming(handle)) as caller:
            newer = await talk.handle_of(caller)
            third = asked_tokens(await caller.turn(talk.content("five")))
            assert third > second
        for one in (handle, newer):  # C17: a handle is the session, not a copy of it
            async with talk.calling(server, talk.resuming(one)) as caller:
                fourth = asked_tokens(await caller.turn(talk.content("six")))
                assert fourth > third
                third = fourth
        async with talk.calling(server, TEST) as caller:
            assert asked_tokens(await caller.turn(talk.content("one two three"))) == first, "another one is new"


@pytest.mark.parametrize(("model", "says"), [(LIVE_38, talk.content), (NATIVE, talk.content), (LIVE_31, talk.text)])
async def test_calls_that_wait_are_answered_after_resuming(model: str, says: Any) -> None:
    async with talk.serving() as server:
        setup: Message = {
            "model": model,
            "outputAudioTranscription": {},
            "tools": talk.functions("getWeather"),
            **ASKED,
        }
        async with talk.calling(server, setup) as caller:
            got = await caller.turn(says("hello"))
            got += await caller.rest()
            await caller.say(says("what does getWeather say?"))
            got += await caller.until("toolCall")
            call = talk.calls(got)[0]
            got += await caller.rest()
            handle = new_handles(got)[-1]
        again = {**setup, "sessionResumption": {"handle": handle}}
        async with talk.calling(server, again) as caller:
            assert "toolCall" not in talk.brief_all(await caller.rest()), "nothing is asked twice"
            session = next(iter(server.sessions.values()))
            assert session.status()["openCalls"] == 1
            await caller.say(talk.answer({"sky": "blue"}, call["id"], "getWeather"))
            assert talk.words(await caller.until("turnComplete")).endswith('getWeather answered {"sky":"blue"}.')
            assert session.status()["openCalls"] == 0
            await caller.say(talk.answer({"sky": "blue"}, call["id"], "getWeather"))
            assert "audio" not in talk.brief_all(await caller.rest()), "and answered once"


async def test_an_open_socket_keeps_its_session() -> None:
    """RESUME-2: the old socket is open: 1011. Once it is closed, by a close frame, at once."""
    async with talk.serving() as server:
        async with talk.calling(server, RESUMABLE) as caller:
            handle = await talk.handle_of(caller)
            for _ in range(3):
                assert await talk.refusal(server, {"setup": talk.resuming(handle)}) == INTERNAL
            assert (await caller.turn(talk.content("still here")))[-1]["usageMetadata"]
        await talk.ended(server)
        async with talk.calling(server, talk.resuming(handle)) as caller:
            assert await talk.refusal(server, {"setup": talk.resuming(handle)}) == INTERNAL, "the new one, too"
            assert await caller.turn(HELLO)


async def test_a_socket_that_was_lost_keeps_its_session_for_a_while() -> None:
    """RESUME-2: within 1.5 s of a drop without a close frame 1011, later fine."""
    async with talk.serving() as server:
        async with talk.calling(server, RESUMABLE) as caller:
            handle = await talk.handle_of(caller)
            began = now()
            caller.socket.transport.abort()
        await talk.ended(server)
        assert dict(server.endings) == {"lost": 1}
        assert await talk.refusal(server, {"setup": talk.resuming(handle)}) == INTERNAL
        end = INTERNAL
        while end == INTERNAL:
            await asyncio.sleep(0.1)
            end = await tried(server, handle)
        assert end == (0, "")
        assert now() - began >= 1.5


async def tried(server: StandInServer, handle: str) -> tuple[int, str]:
    """The close, or (0, "") for a session that is resumed."""
    async with talk.calling(server) as caller:
        await caller.say({"setup": talk.resuming(handle)})
        with contextlib.suppress(ConnectionClosed):
            assert "setupComplete" in await caller.hear()
            return 0, ""
        return await caller.closed()


async def test_a_drop_of_the_stand_ins_own_is_one() -> None:
    async with talk.serving(faults=["drop@3"]) as server:
        async with talk.calling(server, RESUMABLE) as caller:
            handle = await talk.handle_of(caller)
            await caller.say(HELLO)
            assert await caller.closed() == (1006, "")
        await talk.ended(server)
        assert await talk.refusal(server, {"setup": talk.resuming(handle)}) == INTERNAL


async def test_a_handle_belongs_to_its_model() -> None:
    """RESUME-3: setupComplete comes, and then 1011, every time; the model it belongs to takes it still."""
    async with talk.serving() as server:
        async with talk.calling(server, RESUMABLE) as caller:
            handle = await talk.handle_of(caller)
        for _ in range(2):
            async with talk.calling(server, talk.resuming(handle, LIVE_38)) as caller:
                assert await caller.closed() == (1011, "Internal error occurred.")
                assert talk.brief_all(caller.messages) == ["setupComplete"]
        async with talk.calling(server, talk.resuming(handle, "tunedModels/test")) as caller:
            assert await caller.turn(HELLO)


async def test_everything_but_the_model_may_change() -> None:
    async with talk.serving() as server:
        async with talk.calling(server, {**RESUMABLE, "outputAudioTranscription": {}}) as caller:
            handle = await talk.handle_of(caller)
            assert "audio" in talk.brief_all(await caller.turn(HELLO))
        setup = {**talk.resuming(handle), "generationConfig": {"responseModalities": ["TEXT"]}}
        async with talk.calling(server, setup) as caller:
            got = await caller.turn(HELLO)
            assert talk.brief_all(got, leave=["handle"]) == ["text", "generationComplete", "turnComplete+usage"]


@pytest.mark.parametrize(("path", "hours"), [(GEMINI, 2), (VERTEX, 24)])
async def test_handles_that_are_unknown_or_too_old(path: str, hours: int) -> None:
    async with talk.serving() as server:
        model = TEST if path == GEMINI else "publishers/google/models/test"
        assert await talk.refusal(server, {"setup": talk.resuming("no such handle")}) == (
            1008,
            "BidiGenerateContent session not found",
        )
        async with talk.calling(server, {"model": model, **ASKED}, path=path) as caller:
            handle = await talk.handle_of(caller)
        for seconds, good in ((-60, True), (60, False)):
            server.store.clock = lambda seconds=seconds: server.clock() + 3600 * hours + seconds
            async with talk.calling(server, path=path) as caller:
                await caller.say({"setup": talk.resuming(handle, model)})
                if good:
                    assert "setupComplete" in await caller.hear()
                else:
                    assert await caller.closed() == (1007, "Invalid session handle")


async def test_an_empty_handle_is_none() -> None:
    async with talk.serving() as server, talk.calling(server, talk.resuming("")) as caller:
        assert await talk.handle_of(caller)


async def test_only_the_newest_handles_are_kept() -> None:
    async with talk.serving() as server:
        async with talk.calling(server, {"model": NATIVE, **ASKED}) as caller:
            handles = []
            for _ in range(12):
                await caller.turn(talk.content("x"))
                handles.append(await talk.handle_of(caller))
        assert await talk.refusal(server, {"setup": talk.resuming(handles[0], NATIVE)}) == (
            1008,
            "BidiGenerateContent session not found",
        )
        async with talk.calling(server, talk.resuming(handles[-8], NATIVE)) as caller:
            assert await caller.turn(talk.content("x"))
        assert len(server.store._handles) <= 8
        assert [len(one.handles) for one in server.store._newest.values()] == [8]


async def test_the_same_seed_gives_the_same_handles() -> None:
    handles = []
    for seed in ("a", "a", "b"):
        async with talk.connected(RESUMABLE, seed=seed) as caller:
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
    assert [one for one in gc.get_objects() if isinstance(one, (StandInSession, TurnTaking))] == []


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
