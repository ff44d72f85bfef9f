"""Faults that the stand-in injects, as a real client sees them: each does what its help says and no more.

- A fault changes the form of frames, their order or their end. What was said in them stays the same.
- Every name of faults.KINDS has a test here or in tests/data/conversations/faults.txt; the last one counts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import socket as sockets
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.frames import Opcode

from livews.core import canonical
from livews.core.schema import snake
from livews.server import faults
from livews.server.script import Script
from livews.server.server import StandInServer
from livews.server.session import StandInSession
from tests.kit import talk
from tests.kit.command import livews
from tests.kit.names import GEMINI, TEST
from tests.kit.talk import Caller, FrameCounter, Message
from tests.kit.transcript import FOLDER
from tests.kit.waiting import until

TRANSCRIBED: Message = {"model": TEST, "outputAudioTranscription": {}}
IGNORED = "Connection aborted because the client failed to close the connection after receiving a GoAway signal once the sess"


@contextlib.asynccontextmanager
async def dialled(server: StandInServer, setup: Message | None = None, **options: Any) -> AsyncIterator[Any]:
    """A client's bare socket, for frames that no Caller takes. Setup is said, and not waited for."""
    given = {
        "compression": None,
        "max_size": None,
        "ping_interval": None,
        "create_connection": FrameCounter,
        **options,
    }
    async with connect(server.url + GEMINI, **given) as socket:
        await socket.send(json.dumps({"setup": setup or TRANSCRIBED}))
        yield socket


async def frames_of(socket: Any, *messages: Message, quiet: float = 0.0) -> list[bytes | str]:
    """What comes after these messages: up to turnComplete in any spelling, or until it is quiet for so many seconds."""
    for message in messages:
        await socket.send(json.dumps(message))
    got: list[bytes | str] = []
    while quiet or not got or not re.search(rb"turn_?[cC]omplete", as_bytes(got[-1])):
        try:
            async with asyncio.timeout(quiet or 10):
                got.append(await socket.recv())
        except TimeoutError:
            assert quiet, "turnComplete never came"
            return got
    return got


async def to_the_end(
    socket: Any, *messages: Message, quiet: float = 10.0, then: Message | None = None
) -> tuple[list[bytes | str], ConnectionClosed | None]:
    """The frames up to the close, and the close; None if it is quiet for so many seconds. `then` is said after each."""
    got: list[bytes | str] = []
    with contextlib.suppress(TimeoutError):
        try:
            for message in messages:
                await socket.send(json.dumps(message))
            while True:
                async with asyncio.timeout(quiet):
                    got.append(await socket.recv())
                if then:
                    await socket.send(json.dumps(then))
        except ConnectionClosed as end:
            return got, end
    return got, None


def as_bytes(frame: bytes | str) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


async def turn(
    *given: str, says: str = "hello", setup: Message | None = None, quiet: float = 0.0, **changes: Any
) -> list[bytes | str]:
    """The frames of setup and of one turn, with these faults."""
    async with talk.serving(faults=given, **{"pace": 0.01, **changes}) as server:
        async with dialled(server, setup) as socket:
            got = await frames_of(socket, talk.content(says), quiet=quiet)
    assert server.failures == 0
    return got


def parsed(frames: Iterable[bytes | str]) -> list[Message]:
    return [json.loads(frame) for frame in frames]


def meant(frames: Iterable[bytes | str]) -> tuple[str, bytes]:
    """Words and sound of frames in any spelling."""
    messages = [canonical.fold("server", message).message for message in parsed(frames)]
    return talk.words(messages), talk.sound_of(messages)


PLAIN = meant(asyncio.run(turn()))
SHAPES = ("text-frames", "fragments=1000", "compact", "utf8", "snake", "unknown-field", "empty-message", "bundled",
          "usage-apart", "no-generation-complete", "burst-audio", "slow-audio=4", "unknown-message@3", "big-message@2",
          "late-pong=1", "no-setup-complete")  # fmt: skip
"""Faults after which the whole turn is still there for a client that takes any form."""


@pytest.mark.parametrize("shape", ["compact", "snake", "utf8"])
async def test_silence_after_go_away_lasts_until_the_close(shape: str) -> None:
    wrong = ["go-away=0.5@4", "silent-after-goaway", shape]
    async with talk.serving(faults=wrong) as server, dialled(server) as socket:
        got, end = await to_the_end(socket, talk.content("hello"), then=talk.text("and now?"))
        assert len(got) == 4
        assert re.search(b"go_?[aA]way", as_bytes(got[3]))
        assert end and end.rcvd and end.rcvd.code == 1008


# Pongs


async def test_pongs_are_late_and_nothing_else_is() -> None:
    """CLOSE-4: the service sends no pings of its own and may answer one late."""
    async with talk.serving(faults=["late-pong=0.3"]) as server, dialled(server) as socket:
        loop = asyncio.get_running_loop()
        began = loop.time()
        pong = await socket.ping()
        await frames_of(socket, talk.content("hello"))
        async with asyncio.timeout(5):
            await pong
        assert loop.time() - began >= 0.29
        assert Opcode.PING not in {opcode for opcode, _, _ in socket.seen}


async def test_a_late_pong_for_a_client_that_is_gone_hurts_nobody() -> None:
    async with talk.serving(faults=["late-pong=0.1"]) as server:
        async with dialled(server) as socket:
            await socket.ping()
        await talk.ended(server)
        await asyncio.sleep(0.2)
        assert server.failures == 0


# The pace of sound


async def spread(*given: str, pace: float) -> tuple[float, float]:
    """Seconds from the first piece of sound to the last, and seconds of sound ahead of the last."""
    async with talk.connected({"model": TEST}, faults=given, pace=pace) as caller:
        await caller.turn(talk.content("hello"))
        at = [when for when, one in zip(caller.times, caller.messages, strict=True) if "audio" in talk.brief(one)]
        pieces = [len(talk.sound_of([one])) / 48000 for one in caller.messages if "audio" in talk.brief(one)]
        return at[-1] - at[0], sum(pieces[:-1])


async def test_slow_audio_is_slower_than_it_plays() -> None:
    took, seconds = await spread("slow-audio=0.5", pace=0.3)
    assert took >= 0.7 * seconds * 0.3 / 0.5, "without the fault it takes a ninth of that"


async def test_burst_audio_comes_at_once() -> None:
    took, seconds = await spread("burst-audio", pace=1.0)
    assert took < 0.3 * seconds / 4.5, "without the fault it takes all of that"


# The end of a connection


async def test_a_cut_in_the_middle_of_a_message_leaves_half_of_its_frame() -> None:
    plain = as_bytes((await turn())[3])
    async with talk.serving(faults=["drop-in-message@4"]) as server, dialled(server) as socket:
        came: list[bytes] = []
        data_received = socket.data_received
        socket.data_received = lambda data: (came.append(data), data_received(data))
        frames, end = await to_the_end(socket, talk.content("hello"))
        assert len(frames) == 3
        assert end and end.rcvd is None
        assert plain[:20] in b"".join(came)
        assert plain not in b"".join(came)


@pytest.mark.parametrize(("fault", "is_reset"), [("reset@3", True), ("drop@3", False)])
async def test_a_reset_is_one(fault: str, is_reset: bool) -> None:
    async with talk.serving(faults=[fault]) as server, dialled(server) as socket:
        lost: list[Exception | None] = []
        connection_lost = socket.connection_lost
        socket.connection_lost = lambda problem: (lost.append(problem), connection_lost(problem))
        frames, end = await to_the_end(socket, talk.content("hello"))
        assert len(frames) == 2
        assert end and end.rcvd is None
        assert isinstance(lost[0], ConnectionResetError) is is_reset


async def test_who_is_accepted_and_gets_nothing_gets_no_pongs_either() -> None:
    async with talk.serving(faults=["accept-and-silent"]) as server, dialled(server) as socket:
        assert "setupComplete" in json.loads(await socket.recv())
        pong = await socket.ping()
        await socket.send(json.dumps(talk.content("hello")))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await pong
        assert len(server.sessions) == 1


# The form of frames


async def test_text_frames() -> None:
    frames = await turn("text-frames")
    assert {type(frame) for frame in frames} == {str}
    assert meant(frames) == PLAIN
    assert {type(frame) for frame in await turn()} == {bytes}


@pytest.mark.parametrize("size", [7, 1000])
@pytest.mark.parametrize("kind", [(), ("text-frames", "utf8")])
async def test_fragments_are_counted(size: int, kind: tuple[str, ...]) -> None:
    wrong = [f"fragments={size}", *kind]
    async with talk.serving(faults=wrong, wire={"chunkMs": 40}) as server, dialled(server) as socket:
        got = [as_bytes(frame) for frame in await frames_of(socket, talk.content("Grüße aus 北京"))]
        data = [one for one in socket.seen if one[0] in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)]
        assert meant(got)[0].endswith('I heard "Grüße aus 北京".')
        for message in got:
            pieces = [data.pop(0)]
            while not pieces[-1][2]:
                pieces.append(data.pop(0))
            assert pieces[0][0] is (Opcode.TEXT if kind else Opcode.BINARY)
            assert all(opcode is Opcode.CONT for opcode, _, _ in pieces[1:])
            sizes = [count for _, count, _ in pieces if count]
            assert sum(sizes) == len(message)
            assert all(count == size for count in sizes[:-1])
            assert sizes[-1] <= size
        assert not data


async def test_compact_has_no_white_space() -> None:
    for frame in await turn("compact", says="a b"):
        assert frame == json.dumps(json.loads(frame), separators=(",", ":")).encode()


async def test_utf8_is_raw_and_escapes_are_the_rule() -> None:
    frames = await turn("utf8", says="Grüße aus 北京 🎉")
    assert any("北京".encode() in as_bytes(frame) for frame in frames)
    assert not any(b"\\u" in as_bytes(frame) for frame in frames)
    plain = await turn(says="Grüße aus 北京 🎉")
    assert all(as_bytes(frame).isascii() for frame in plain)
    assert meant(frames) == meant(plain)


async def test_snake_spells_members_and_leaves_the_applications_own_names() -> None:
    async with talk.serving(faults=["snake"], calls="always") as server:
        about = {"type": "OBJECT", "properties": {"cityName": {"type": "STRING"}}, "required": ["cityName"]}
        tools = talk.functions("getWeather", parameters=about)
        async with dialled(server, {**TRANSCRIBED, "tools": tools}) as socket:
            messages = []
            await socket.send(json.dumps(talk.content("what is the weather?")))
            while not messages or "tool_call" not in messages[-1]:
                messages.append(json.loads(await socket.recv()))
    assert messages[0] == {"setup_complete": {}}
    call = messages[-1]["tool_call"]["function_calls"][0]
    assert call["name"] == "getWeather"
    assert list(call["args"]) == ["cityName"]
    assert all(name == snake(name) for one in messages for name in names(one, leave="args"))


def names(value: Any, leave: str) -> Iterable[str]:
    if isinstance(value, list):
        for item in value:
            yield from names(item, leave)
    elif isinstance(value, dict):
        for name, child in value.items():
            yield name
            yield from () if name == leave else names(child, leave)


@pytest.mark.parametrize("number", [1, 3])
async def test_a_big_message_ends_a_client_that_takes_a_megabyte(number: int) -> None:
    """WIRE-13: python's websockets takes 1 MiB unless it is told otherwise, and closes 1009 by itself."""

    async def go(**limit: Any) -> list[bytes | str]:
        async with talk.serving(faults=[f"big-message@{number}"]) as server:
            async with dialled(server, **limit) as socket:
                return await frames_of(socket, talk.content("hello"))

    with pytest.raises(ConnectionClosedError) as caught:
        await go(max_size=2**20)
    assert caught.value.sent is not None
    assert caught.value.sent.code == 1009
    frames = await go(max_size=2**22)
    assert [len(frame) > faults.BIG for frame in frames[: number + 1]] == [i == number for i in range(1, number + 2)]
    assert meant([*frames[: number - 1], *frames[number:]]) == PLAIN


# What messages hold


NEW: Message = {"somethingNew": {"since": "tomorrow"}}
GENERATED: Message = {"serverContent": {"generationComplete": True}}
CHANGES: dict[str, Callable[[list[Message]], list[Message]]] = {
    "unknown-message@1": lambda plain: [NEW, *plain],
    "unknown-message@3": lambda plain: [*plain[:2], NEW, *plain[2:]],
    "unknown-field": lambda plain: [{**message, **NEW} for message in plain],
    "empty-message": lambda plain: [one for message in plain for one in ({}, message)],
    "usage-apart": lambda plain: [*plain[:-1], ENDED, {"usageMetadata": plain[-1]["usageMetadata"]}],
    "no-generation-complete": lambda plain: [message for message in plain if message != GENERATED],
    "no-turn-complete": lambda plain: [*plain[:-1], {**plain[-1], "serverContent": {}}],
    "no-setup-complete": lambda plain: plain[1:],
}
"""What a fault makes of the messages of a session."""
ENDED: Message = {"serverContent": {"turnComplete": True}}


@pytest.mark.parametrize("fault", CHANGES)
async def test_what_a_fault_does_to_messages(fault: str) -> None:
    plain = parsed(await turn())
    assert plain[0] == {"setupComplete": {}}
    assert GENERATED in plain
    assert plain[-1]["serverContent"] == ENDED["serverContent"]
    assert parsed(await turn(fault, quiet=0.5)) == CHANGES[fault](plain)


@pytest.mark.parametrize("number", [1, 2, 4])
async def test_truncated_breaks_off_in_the_middle(number: int) -> None:
    frames, plain = await turn(f"truncated@{number}"), await turn()
    assert frames[number - 1] == plain[number - 1][: len(plain[number - 1]) // 2]
    with pytest.raises(json.JSONDecodeError):
        json.loads(frames[number - 1])
    del frames[number - 1], plain[number - 1]
    assert frames == plain


async def test_bundled_is_a_whole_turn_in_one_message() -> None:
    ready, whole = parsed(await turn("bundled"))
    assert ready == {"setupComplete": {}}
    inside = whole["serverContent"]
    assert list(inside) == ["outputTranscription", "modelTurn", "generationComplete", "turnComplete"]
    assert len(inside["modelTurn"]["parts"]) > 5
    assert whole["usageMetadata"]["totalTokenCount"]
    assert meant([json.dumps(whole)]) == PLAIN


# Together


PAIRS = [pair for pair in itertools.combinations(SHAPES, 2) if set(pair) != {"slow-audio=4", "burst-audio"}]


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
async def test_two_at_once_and_the_turn_is_still_there(pair: tuple[str, str]) -> None:
    frames = await turn(*pair)
    if "big-message@2" in pair:
        big = [frame for frame in frames if len(frame) > faults.BIG]
        assert len(big) == 1
        frames = [frame for frame in frames if frame is not big[0]]
    assert meant(frames) == PLAIN


@pytest.mark.parametrize("once", ["drop", "truncated", "stall", "close=quota", "go-away=9"])
@pytest.mark.parametrize("other", ["empty-message", "unknown-message@2", "big-message@2"])
@pytest.mark.parametrize("number", [2, 3])
async def test_messages_that_come_between_do_not_hide_a_place(once: str, other: str, number: int) -> None:
    """@N finds its message also when a fault put others before it."""
    async with talk.serving(faults=[f"{once}@{number}", other]) as server, dialled(server) as socket:
        frames, end = await to_the_end(socket, talk.content("hello"), quiet=1.0)
    got = [as_bytes(frame) for frame in frames]
    assert any(b"setupComplete" in frame for frame in got)
    assert (len(got) < 5) is (once in ("drop", "stall", "close=quota"))
    if once == "drop":
        assert end and end.rcvd is None
    elif once == "close=quota":
        assert end and end.rcvd and end.rcvd.code == 1011
    else:
        assert end is None
        assert sum(b'"goAway"' in frame for frame in got) == (once == "go-away=9")
        assert sum(not is_json(frame) for frame in got) == (once == "truncated")


def is_json(frame: bytes) -> bool:
    try:
        json.loads(frame)
    except json.JSONDecodeError:
        return False
    return True


async def test_everything_without_a_turn_complete_in_one_message() -> None:
    got = parsed(await turn("bundled", "no-turn-complete", quiet=0.5))
    assert [list(one.get("serverContent", one)) for one in got] == [
        ["setupComplete"],
        ["outputTranscription", "modelTurn", "generationComplete"],
    ]


# A client that reads slowly


@contextlib.asynccontextmanager
async def narrow_reader() -> AsyncIterator[tuple[Caller, StandInSession]]:
    """A client that reads slowly, and its session in the middle of a message in fragments."""
    big = [f"big-message@{number}" for number in range(3, 9)]  # more than the buffers of the system
    async with talk.serving(faults=["fragments=5000", *big]) as server:
        narrow = sockets.socket()
        narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
        narrow.setblocking(False)
        async with dialled(server, TRANSCRIBED, sock=narrow, max_queue=1) as socket:
            caller = Caller(socket, server)
            await caller.hear()
            await caller.say(talk.content("hello"))
            session = next(iter(server.sessions.values()))
            await until(lambda: session.connection.paused and session._sending)
            yield caller, session
        await talk.ended(server)


async def test_an_interruption_while_a_fragmented_message_waits_for_a_slow_reader() -> None:
    """The reply is cut between two fragments of one message: that message is finished before anything else comes."""
    async with narrow_reader() as (caller, session):
        await caller.say(talk.text("stop"))
        await until(lambda: session.received >= 3)
        await asyncio.sleep(0.1)
        cut = await caller.until("turnComplete")
        assert any("interrupted" in one.get("serverContent", {}) for one in cut)
        assert talk.words(await caller.until("turnComplete")).endswith('I heard "stop".')


async def test_a_close_waits_for_the_message_in_fragments() -> None:
    """A close between two fragments would be another close: the library's own 1011."""
    async with narrow_reader() as (caller, _):
        await caller.say("not json")
        await asyncio.sleep(0.1)
        assert await caller.closed() == (1007, "Request contains an invalid argument.")


# In a scenario


SAYS: Message = {"serverContent": {"modelTurn": {"parts": [{"text": "Grüße"}]}}}
PLAIN_SAYS = json.dumps(SAYS, indent=2) + "\n"


@pytest.mark.parametrize(
    ("fault", "frame"),
    [
        ("text-frames", PLAIN_SAYS),
        ("compact", json.dumps(SAYS, separators=(",", ":")).encode()),
        ("utf8", json.dumps(SAYS, indent=2, ensure_ascii=False).encode() + b"\n"),
        ("fragments=3", PLAIN_SAYS.encode()),
        ("truncated", PLAIN_SAYS.encode()[: len(PLAIN_SAYS) // 2]),
        ("snake", PLAIN_SAYS.replace("serverContent", "server_content").replace("modelTurn", "model_turn").encode()),
        ("unknown-field", json.dumps({**SAYS, **NEW}, indent=2).encode() + b"\n"),
    ],
    ids=lambda value: value.split("=")[0] if isinstance(value, str) and "{" not in value else "",
)
async def test_a_scenario_changes_the_form_of_frames(fault: str, frame: bytes | str) -> None:
    steps = [{"client": {"setup": {}}}, {"server": {"setupComplete": {}}}, {"fault": fault}, {"server": SAYS}]
    script = Script("mine", steps=[*steps, {"close": {"code": 1000}}])
    async with talk.serving(scripts=[script], pace=0) as server, dialled(server) as socket:
        frames, end = await to_the_end(socket, quiet=2)
    assert frames == [b'{\n  "setupComplete": {}\n}\n', frame]
    assert end and end.rcvd and end.rcvd.code == 1000


# How they are written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", 'unknown fault "nonsense": expected one of drop, drop-in-message, reset, '),
        ("", 'unknown fault ""'),
        ("Drop", 'unknown fault "Drop"'),
        ("drop=3", "drop takes no value"),
        ("drop@0", "drop counts messages from 1"),
        ("drop@x", "invalid fault drop@x: expected drop[@N], N a number from 1"),
        ("stall@-1", "invalid fault stall@-1: expected stall[@N]"),
        ("close", "close needs a value: close=ID"),
        ("close=@3", "close needs a value: close=ID"),
        ("close=nope", "nope is not in protocol/closes.json: expected one of invalid-argument, "),
        ("late-pong=abc", "invalid value abc of late-pong: expected a number above 0 (seconds)"),
        ("late-pong=0", "invalid value 0 of late-pong: expected a number above 0 (seconds)"),
        ("late-pong=5@2", "late-pong lasts all session and takes no @N"),
        ("slow-audio=nan", "invalid value nan of slow-audio: expected a number above 0 (factor)"),
        ("fragments=-1", "invalid value -1 of fragments: expected a number above 0 (bytes)"),
        ("fragments=1e9", "invalid value 1e9 of fragments: expected a number above 0 (bytes)"),
        ("drop-every@0", "drop-every counts turns from 1"),
        ("drop-every=2", "drop-every takes no value"),
        ("close-every@2", "close-every needs a value: close-every=ID"),
        (
            "go-away-every=5@x",
            "invalid fault go-away-every=5@x: expected go-away-every=SECONDS[@N], N a number from 1",
        ),
        ("compact@3", "compact lasts all session and takes no @N"),
    ],
)
def test_what_is_wrong_with_a_fault_is_told(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(words)):
        faults.parse(text)


@pytest.mark.parametrize("text", ["nonsense", "close=nope@2", "drop@x"])
def test_a_bad_fault_is_exit_2_with_its_place_and_a_cure(text: str) -> None:
    done = livews("serve", "--port", "0", "--fault", text)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert text.split("@")[0].split("=")[-1] in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["where", "do"]
    assert "--fault help" in lines[2]


def test_how_faults_are_written() -> None:
    for name, kind in faults.KINDS.items():
        value = {"ID": "quota", "SECONDS": "2.5", "FACTOR": "0.25", "BYTES": "7", "": ""}[kind.value]
        for at in ("", "@7") if kind.once or kind.every else ("",):
            fault = faults.parse(name + (f"={value}" if value else "") + at)
            number = 7 if at else kind.at if kind.once else 1
            assert (fault.name, fault.value) == (name, value)
            assert (fault.at, fault.every) == (number if kind.once else 0, number if kind.every else 0)


def test_help_lists_every_fault() -> None:
    done = livews("serve", "--fault", "help")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [re.split(r"[=\[ ]", line)[0] for line in lines[: len(faults.KINDS)]] == list(faults.KINDS)
    assert [line.split(":")[0] for line in lines[len(faults.KINDS) :]] == ["@N", "-every", "ID"]
    for name, kind in faults.KINDS.items():
        assert any(line.startswith(name) and kind.help in line for line in lines)


def test_every_fault_is_tried() -> None:
    source = Path(__file__).read_text() + (FOLDER / "faults.txt").read_text()
    for name in faults.KINDS:
        tried = rf'(faults=\[|wrong = \[|turn\(|spread\(|faults": \[)[^)\]]*"{name}|"{name}[@0-9]*": lambda|\| {name}[@= ]'
        assert re.search(tried, source), name
