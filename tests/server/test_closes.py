"""Every row of protocol/closes.json, provoked: by a fault, and by what a client does or the stand-in is started with.

- Reasons are compared byte for byte, cut at 123 bytes (CLOSE-2).
- tests/data/conversations say what a client brings about by what it says; WAYS need two clients, the end of one, or a
  bare socket.
- A row that no client can bring about is named in ONLY_BY_FAULT, and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livews.advice import closes
from livews.core import protocol
from tests.kit import talk
from tests.kit.names import DATA, GEMINI, LIVE_38, TEST, VERTEX
from tests.kit.transcript import FOLDER, load

ROWS: list[dict[str, Any]] = protocol.closes()


def twins(row: dict[str, Any]) -> set[str]:
    """The rows with the same words and code: nobody can tell them apart."""
    return {one["id"] for one in ROWS if (one["match"], one["code"]) == (row["match"], row["code"])}


# By a fault

NAMED = {
    "model-not-found": "models/test is not found for API version v1beta, or is not supported for bidiGenerateContent. "
    "Call ListModels to see the list of avail",
    "not-a-live-model": "models/test is not supported in the live api.",
    "publisher-model-not-found": "Publisher model models/test was not found",
    "invalid-value": "Invalid value at 'path' (type), \"value\"",
}
"""What a row says of this client, or where it was never seen. The others are said as they were seen."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
async def test_a_fault_closes_as_the_row_says(row: dict[str, Any]) -> None:
    async with talk.serving(faults=[f"close={row['id']}"]) as server:
        if row["code"] == 0:
            with pytest.raises(InvalidStatus) as caught:
                async with talk.calling(server):
                    pass
            assert caught.value.response.status_code == row["http"]
            assert closes.explain_http(row["http"]).id == row["id"]
            return
        async with talk.calling(server) as caller:
            await caller.say({"setup": {"model": TEST}})
            code, reason = await caller.closed()
    assert caller.messages == [], "instead of setupComplete"
    assert code == row["code"]
    assert reason == NAMED.get(row["id"], row["reason"])[:123]
    assert "{" not in reason, "a blank was left open"
    assert len(reason.encode()) <= 123
    assert closes.explain(code, reason).id in twins(row)


async def test_a_death_is_no_close_frame() -> None:
    """`closed` says 1006 for any socket without a close frame; here the client's library says it."""
    async with talk.connected(faults=["close=no-close-frame"]) as caller:
        await caller.say({"setup": {"model": TEST}})
        with pytest.raises(ConnectionClosed) as caught:
            await caller.hear()
        end = caught.value
    assert (end.rcvd, end.sent) == (None, None)


@pytest.mark.parametrize("number", [2, 3, 4])
async def test_a_close_at_a_message_comes_instead_of_it(number: int) -> None:
    async with talk.connected(TEST, faults=[f"close=unavailable@{number}"]) as caller:
        await caller.say(talk.content("hello"))
        assert await caller.closed() == (1011, "The service is currently unavailable.")
        assert len(caller.messages) == number - 1


# By two clients, by the end of one, by a bare socket

End = tuple[int, str]


async def the_fourth_session_of_a_key() -> End:
    async with talk.serving(sessions_per_key=3) as server, contextlib.AsyncExitStack() as stack:
        for key in ("k", "k", "k", "another"):
            await stack.enter_async_context(talk.calling(server, TEST, headers={"x-goog-api-key": key}))
        return await talk.refusal(server, {"setup": {"model": TEST}}, headers={"x-goog-api-key": "k"})


async def a_client_that_says_goodbye() -> End:
    async with talk.connected(TEST) as caller:
        await caller.socket.close()
        return await caller.closed()


async def the_server_stops() -> End:
    async with contextlib.AsyncExitStack() as client:
        async with talk.serving() as server:
            caller = await client.enter_async_context(talk.calling(server, TEST))
        return await caller.closed()


async def the_connection_dies() -> End:
    async with talk.connected(LIVE_38, faults=["drop@2"]) as caller:
        return await caller.closed()


async def a_client_that_says_too_much() -> End:
    async with talk.connected(TEST) as caller:
        # the head of a masked text frame of 17 MiB: that is refused before the rest has come
        caller.socket.transport.write(b"\x81\xff" + (17 << 20).to_bytes(8, "big") + b"mask")
        code, reason = await caller.closed()
        assert reason.startswith("frame with"), "the library says how big it was"
        return code, ""


def the_clients_library_closes(fault: str, **options: Any) -> Callable[[], Awaitable[End]]:
    async def end() -> End:
        async with talk.serving(faults=[fault]) as server:
            async with connect(server.url + GEMINI, compression=None, **options) as socket:
                await socket.send(json.dumps({"setup": {"model": LIVE_38}}))
                with pytest.raises(ConnectionClosed) as caught:
                    while True:
                        async with asyncio.timeout(10):
                            await socket.recv()
        assert caught.value.sent is not None
        assert caught.value.rcvd_then_sent is not True
        code, reason = caught.value.sent.code, caught.value.sent.reason
        return code, "" if code == 1009 else reason  # the library says how big it was, in words that change

    return end


def the_upgrade_of(path: str, **changes: Any) -> Callable[[], Awaitable[End]]:
    async def end() -> End:
        async with talk.serving(**changes) as server:
            with pytest.raises(InvalidStatus) as caught:
                async with talk.calling(server, path=path):
                    pass
        return 0, f"HTTP {caught.value.response.status_code}"

    return end


def a_request_with(lines: bytes) -> Callable[[], Awaitable[End]]:
    async def end() -> End:
        async with talk.serving() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
            writer.write(b"GET " + GEMINI.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lines + b"\r\n")
            head = await reader.readline()
            writer.close()
            return 0, f"HTTP {head.split()[1].decode()}"

    return end


WAYS: list[tuple[str, Callable[[], Awaitable[End]]]] = [
    ("quota", the_fourth_session_of_a_key),
    ("normal", a_client_that_says_goodbye),
    ("going-away", the_server_stops),
    ("no-close-frame", the_connection_dies),
    ("message-too-big", a_client_that_says_too_much),
    ("message-too-big", the_clients_library_closes("big-message@2")),  # 1 MiB is its limit (WIRE-13)
    ("keepalive-timeout", the_clients_library_closes("late-pong=60", ping_interval=0.05, ping_timeout=0.1)),
    ("http-400", a_request_with(b"Connection: Upgrade\r\nUpgrade: websocket\r\n")),
    ("http-401", the_upgrade_of(VERTEX, require_key="right")),
    ("http-404", the_upgrade_of(GEMINI.replace("BidiGenerateContent", "StreamGenerateContent"))),
    ("http-426", a_request_with(b"")),
]
"""A row, and what brings it about: it gives code and reason as the client's library has them."""


@pytest.mark.parametrize(("close_id", "way"), WAYS, ids=[close_id for close_id, _ in WAYS])
async def test_another_way_ends_as_the_row_says(close_id: str, way: Callable[[], Awaitable[End]]) -> None:
    row = protocol.close_row(close_id)
    async with asyncio.timeout(20):
        code, reason = await way()
    assert (code, reason) == (row["code"], f"HTTP {row['http']}" if row["code"] == 0 else row["reason"][:123])
    if code:
        assert closes.explain(code, reason).id in twins(row)
    else:
        assert closes.explain_http(row["http"]).id == row["id"]


# All of them

ONLY_BY_FAULT = {
    "key-not-found": "no key is ever deleted here",
    "location-not-supported": "the stand-in has no country",
    "context-window-exceeded": "no context is too long here",
    "invalid-argument-context-full": "nor here",
    "voice-sample-not-wav": "nobody's voice is copied",
    "entity-not-found": "another wording of session-not-found",
    "operation-aborted": "a backend that gave up",
    "api-not-enabled": "a project's settings",
    "api-not-enabled-vertex": "a project's settings",
    "project-denied": "a project's settings",
    "permission-denied": "a project's settings",
    "policy-no-reason": "a project's settings",
    "unavailable": "an outage",
    "inference-cancelled": "a backend that gave up",
    "resource-exhausted": "an outage, or a quota in other words",
    "credits-depleted": "somebody's bill",
    "spending-cap": "somebody's bill",
    "generation-member-not-supported": "a limit of a model that its profile does not have",
    "compression-not-supported": "a limit of a model that its profile does not have",
    "unsupported-by-model": "stands for limits that were not met yet",
    "required-by-model": "stands for limits that were not met yet",
    "content-type-audio": "a fault of the service",
    "failed-inference": "a backend that gave up",
    "resource-exhausted-later": "an outage, or a quota in other words",
    "http-200": "a web server, which the stand-in is none of",
    "http-3xx": "nothing here has another address",
    "http-403": "nobody is kept out here",
    "http-407": "no proxy stands before it",
    "http-429": "nobody counts how often it is dialled",
    "http-5xx": "a gateway that fails",
    "http-502": "a gateway that fails",
    "http-503": "an outage",
    "http-504": "a gateway that fails",
}


def test_every_row_can_be_brought_about() -> None:
    free = [one for path in FOLDER.glob("*.txt") for one in load(path) if '"fault' not in one.steps[0]]
    steps = [step.split() for one in free for step in one.steps]
    said = {step[1] for step in steps if step[0] == "closes"}
    profiles = json.loads((DATA / "profiles.json").read_text())
    said |= {row["close"] for key in ("rows", "names") for row in profiles[key] if "close" in row}  # test_profiles
    natural = said | {"key-expired"} | {close_id for close_id, _ in WAYS}  # test_tokens has one that is expired
    assert natural.isdisjoint(ONLY_BY_FAULT)
    assert natural | set(ONLY_BY_FAULT) == {row["id"] for row in ROWS}
