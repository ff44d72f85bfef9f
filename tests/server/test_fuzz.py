"""A short run of tests.fuzz.server, and what long runs found: each of these once hung, failed or closed the wrong way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode

import tests.fuzz.server as fuzz
from livews.conversation import Conversation
from livews.core import close_rows, validation
from livews.server.audio_input import resampled
from livews.server.server import serve_stand_in
from tests.kit import talk
from tests.kit.names import GEMINI, VERTEX
from tests.kit.sound import silence, speech

DIALOGUE = {"model": "models/gemini-3.8-live", "outputAudioTranscription": {}}
BLOCKED = 6.0
"""Seconds after which a close was held up: the library gives one up after 10."""


def test_a_short_run_finds_nothing() -> None:
    report = fuzz.run(2_000, seed=7, connections=24)
    assert report.findings == []
    assert report.frames >= 2_000
    assert report.judged > 600, "most sessions are read for a while"
    assert report.ends["1007"] > 30
    assert len(report.memory) == len(fuzz.SERVERS)


def test_the_same_seed_makes_the_same_sessions() -> None:
    some = [fuzz.plan(3, number) for number in range(60)]
    assert some == [fuzz.plan(3, number) for number in range(60)]
    assert some != [fuzz.plan(4, number) for number in range(60)]
    assert {made.ending for made in some} >= {"poison", "close"}


def test_it_finds_a_server_that_cuts_the_connection() -> None:
    report = fuzz.run(100, seed=1, servers=[(1.0, ["--pace", "0", "--fault", "drop@1"])])
    assert any("cut the connection without a close frame" in words for words in report.findings)
    assert any("answers no clean turn" in words for words in report.findings)


def test_it_finds_a_server_that_complains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "_FINE", fuzz.re.compile("nothing is"))
    report = fuzz.run(20, seed=1, servers=[(1.0, ["--pace", "0"])])
    assert any(" lines: the livews stand-in is listening" in words for words in report.findings)


@pytest.mark.parametrize(
    ("code", "reason", "fits"),
    [
        (1007, "Request contains an invalid argument.", True),
        (1007, "Request contains a valid argument.", False),
        (1008, "models/x is not found for API version v1beta, or is not supported for bidiGenerateContent.", True),
        (1002, "anything the library says", True),
        (1007, "invalid start byte at position 3", True),
        (1011, "unknown", False),
        (3000, "", False),
        (0, "", False),
    ],
)
async def test_a_close_is_one_of_the_services(code: int, reason: str, fits: bool) -> None:
    client = fuzz.Client(fuzz.Plan(1))
    client.done.set_result(None)
    client.code, client.reason, client.status = code, reason, "HTTP/1.1 101 Switching Protocols"
    assert (client.wrong() == "") is fits


# What was found


@asynccontextmanager
async def closing(setup: dict[str, Any] | None = None) -> AsyncIterator[Any]:
    """A client with a stand-in of its own, whose socket has to be gone soon after the last it says."""
    async with serve_stand_in(config=talk.config(pace=0)) as server:
        async with talk.calling(server, setup) as caller, asyncio.timeout(BLOCKED):
            yield caller
            await caller.socket.wait_closed()
            await talk.ended(server)
        assert server.failures == 0


async def test_what_comes_after_a_bad_frame_does_not_hold_up_the_close() -> None:
    async with closing(DIALOGUE) as caller:
        await caller.say("no JSON", *[talk.text(f"{i}") for i in range(100)])
        assert await caller.closed() == close_rows.frame_for("invalid-argument")


async def test_what_waits_at_the_clients_own_close_does_not_hold_it_up() -> None:
    async with closing(DIALOGUE) as caller:
        await caller.say(*[talk.content(f"{i}") for i in range(100)])
        await caller.socket.close()


async def test_a_broken_frame_after_many_does_not_hold_up_its_close() -> None:
    async with closing(DIALOGUE) as caller:
        await caller.say(*[talk.content(f"{i}") for i in range(100)])
        caller.socket.protocol.send_frame(Frame(Opcode.CONT, b"continues nothing"))
        caller.socket.send_data()
        assert (await caller.closed())[0] == 1002


async def test_text_that_is_no_utf_8_is_no_json() -> None:
    async with closing(DIALOGUE) as caller:
        caller.socket.protocol.send_text(b'{"realtimeInput":{"text":"\xff"}}')
        caller.socket.send_data()
        await caller.say(*[talk.text(f"{i}") for i in range(50)])
        assert await caller.closed() == close_rows.frame_for("invalid-argument")


MANY = 50_000


@pytest.mark.parametrize(
    "message",
    [
        {"clientContent": {"turns": [1] * MANY}},
        {"clientContent": {"turns": [{"parts": [{"x": 1}] * MANY}]}},
        {"clientContent": {"turns": [{"parts": [{"text": None}] * MANY}]}},
        {"setup": {f"k{i}": 1 for i in range(MANY)}},
        {"toolResponse": {"functionResponses": [{"id": "a", "response": {}}] * MANY}},
        {"toolResponse": {"functionResponses": [{"response": {}}] * MANY}},
        {"realtimeInput": {"mediaChunks": [{"mimeType": "audio/pcm", "data": "A*"}] * MANY}},
        {"setup": {"model": "models/a", "generationConfig": {"responseModalities": ["X"] * MANY}}},
    ],
    ids=lambda message: json.dumps(message)[:50],
)
def test_a_message_with_a_million_faults_has_a_hundred(message: dict[str, Any]) -> None:
    talk = Conversation(surface="gemini", version="v1beta")
    if "setup" not in message:
        talk.step_message("client", {"setup": DIALOGUE})
        talk.step_message("server", {"setupComplete": {}})
    step = talk.step_message("client", message)
    assert 1 <= len(step.findings) <= 300
    assert not validation.violations("client", step.body) or step.faults


def test_of_a_large_message_one_fault_is_looked_for() -> None:
    """All of them would be made before the first is given: two minutes for a megabyte."""
    body = {"clientContent": {"turns": [{"role": 5}] * MANY}}
    assert [one.path for one in validation.violations("client", body)] == ["/clientContent/turns/0/role"]


def test_a_few_faults_are_all_told() -> None:
    message = {"clientContent": {"turns": [{"role": 5}, {"parts": [{"x": 1}, {"text": 2}]}]}}
    said = validation.violations("client", message)
    assert [one.path for one in said] == [
        "/clientContent/turns/0/role", "/clientContent/turns/1/parts/0/x", "/clientContent/turns/1/parts/1/text"
    ]  # fmt: skip


async def test_longer_sound_is_played_back_for_thirty_seconds() -> None:
    async with talk.connected({**DIALOGUE, **talk.MANUAL}, pace=0, reply="echo") as caller:
        plain = talk.sound_of(await caller.turn(talk.START, talk.audio(speech(0.1)[:2], 4_000), talk.END))
        echoed = talk.sound_of(await caller.turn(talk.START, talk.audio(speech(10), 4_000), talk.END))
        plain, echoed = len(plain) / 48_000, len(echoed) / 48_000
    assert 25 < echoed - plain < 35


@pytest.mark.parametrize("rate", [1, 8_000, 16_000, 44_100, 48_000, 9_999_999])
def test_a_tone_is_the_same_at_24_kHz(rate: int) -> None:
    pcm = speech(0.1, rate) if rate > 100 else speech(30, rate)
    count = len(pcm) // 2 - 1
    sound = memoryview(resampled(pcm, rate)).cast("h")
    assert len(sound) == count * 24_000 // rate
    given = memoryview(pcm).cast("h")
    for i in range(0, len(sound), 97):
        at = i * rate / 24_000
        left = int(at)
        assert abs(sound[i] - (given[left] + (given[left + 1] - given[left]) * (at - left))) <= 1.01


async def test_an_answer_waits_where_one_sound_ends_a_speech_and_begins_the_next() -> None:
    async with talk.connected({**DIALOGUE, "tools": talk.functions("wait")}) as caller:
        await caller.say(talk.text("wait"))
        call = talk.calls(await caller.until("toolCall"))[0]
        await caller.speak(speech(0.5))
        await caller.until("activityStart")
        await caller.say(talk.answer({"done": "twelve"}, call["id"]))
        await caller.say(talk.audio(silence(1.4) + speech(0.5)))  # one frame
        await caller.speak(silence(1.4))
        said = ""
        while "twelve" not in said:
            said += talk.words(await caller.until("turnComplete"))
        assert [said]


async def test_calls_that_nobody_answers_do_not_pile_up() -> None:
    async with talk.connected({**DIALOGUE, "tools": talk.functions("wait")}, pace=0, calls="always") as caller:
        for i in range(130):
            await caller.turn(talk.text(f"{i}"))
        assert int(caller.server.status()["open"][0]["openCalls"]) == 100


async def test_answers_by_the_thousand_are_spoken_in_one_breath() -> None:
    setup = {"model": "publishers/google/models/gemini-live-2.5-flash", "outputAudioTranscription": {}}
    async with talk.connected(setup, path=VERTEX, pace=0) as caller:
        given = [{"id": f"{i}", "name": "f", "response": {"n": i}} for i in range(5_000)]
        said = talk.words(await caller.turn({"toolResponse": {"functionResponses": given}}))
    assert 'f answered {"n":0}. f answered {"n":1}.' in said
    assert len(said) < 2_000


async def test_an_upgrade_with_two_connection_headers() -> None:
    async with serve_stand_in(config=talk.config(pace=0)) as server:
        async with connect(server.url + GEMINI, additional_headers={"Connection": "keep-alive"}) as socket:
            await socket.send(json.dumps({"setup": DIALOGUE}))
            assert b"setupComplete" in await socket.recv(decode=False)
