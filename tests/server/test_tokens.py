"""Keys and ephemeral tokens: who is let in, when that is told, and what else the port answers over HTTP.

- Tokens are made as the SDKs make them: POST, over a plain HTTP connection.
- Whatever is sent to the port, it answers or hangs up within seconds, and writes no traceback.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import socket as sockets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livews.cli import parse
from livews.cli.console import Console
from livews.cli.serve import recording
from livews.server.server import StandInServer
from tests.kit import talk
from tests.kit.command import serving
from tests.kit.names import DATA, GEMINI, TEST, VERTEX
from tests.kit.talk import Message
from tests.kit.waiting import until

CONSTRAINED = GEMINI.replace("v1beta", "v1alpha") + "Constrained"
PLAIN = GEMINI.replace("v1beta", "v1alpha")
EXPIRED = (1007, "API key expired. Please renew the API key.")
USED_UP = (1011, "Internal error encountered.")
NOBODY = (
    1008,
    "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form "
    "of API c",
)
WRONG = (1007, "API key not valid. Please pass a valid API key.")
MAKE = "/v1alpha/auth_tokens"
REQUESTS = json.loads((DATA / "token_requests.json").read_text())


def port_of(server: StandInServer) -> int:
    return int(server.url.rsplit(":", 1)[1])


async def post(
    server: StandInServer,
    body: Any = None,
    path: str = MAKE,
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> tuple[int, Message]:
    """What the stand-in answers to a body: bytes as they are, anything else as JSON."""

    def go() -> tuple[int, Message]:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=8)
        try:
            raw = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
            connection.request(method, path, raw, {"Content-Type": "application/json", **(headers or {})})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    return await asyncio.to_thread(go)


async def token_of(server: StandInServer, **members: Any) -> str:
    status, answer = await post(server, members)
    assert status == 200, answer
    return str(answer["name"])


def ahead(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


async def end_of(server: StandInServer, path: str, setup: Message | None = None, **options: Any) -> tuple[int, str]:
    """How a session ends that says setup: its close, or (0, "") when it is answered."""
    async with talk.calling(server, path=path, **options) as caller:
        await caller.say({"setup": setup or {"model": TEST}})
        with contextlib.suppress(ConnectionClosed):
            assert "setupComplete" in await caller.hear()
            return 0, ""
        return await caller.closed()


def with_token(name: str, method: str = CONSTRAINED) -> str:
    return f"{method}?access_token={name}"


# Keys

SHOWN: dict[str, tuple[dict[str, str], str]] = {
    "header": ({"x-goog-api-key": "KEY"}, ""),
    "header in capitals": ({"X-GOOG-API-KEY": "KEY"}, ""),
    "bearer": ({"Authorization": "Bearer KEY"}, ""),
    "token": ({"authorization": "Token KEY"}, ""),
    "query": ({}, "?key=KEY"),
    "query beside others": ({}, "?alt=ws&key=KEY&x=y"),
    "access token": ({}, "?access_token=KEY"),
    "none": ({}, ""),
    "none in the query": ({}, "?key="),
}


@pytest.mark.parametrize("path", [GEMINI, f"/{GEMINI}", f"/gate/way{GEMINI}", CONSTRAINED, VERTEX])
@pytest.mark.parametrize("form", SHOWN)
async def test_every_way_to_show_a_key(form: str, path: str) -> None:
    headers, query = SHOWN[form]
    model = "publishers/google/models/test" if path == VERTEX else TEST
    shown = not form.startswith("none")
    for required, key, end in (
        ("", "anything", (0, "")),
        ("right", "right", (0, "") if shown else NOBODY),
        ("right", "wrong", WRONG if shown else NOBODY),
        ("right", "Right", WRONG if shown else NOBODY),
    ):
        if path == VERTEX and required and not shown:
            continue  # Vertex refuses at the upgrade: HTTP 401
        async with talk.serving(require_key=required) as server:
            given = {name: value.replace("KEY", key) for name, value in headers.items()}
            assert await end_of(server, path + query.replace("KEY", key), {"model": model}, headers=given) == end, (
                required,
                key,
            )


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_the_verdict_waits_for_setup(key: str) -> None:
    """AUTH-1, CLOSE-3: the upgrade succeeds, and nothing is said about a key before setup is there."""
    async with (
        talk.serving(require_key="right") as server,
        talk.calling(server, path=f"{GEMINI}?key={key}") as caller,
    ):
        assert await caller.rest(0.3) == []
        await caller.say({"setup": {"model": TEST, "bogus": 1}})
        assert await caller.closed() == (WRONG if key else NOBODY), "the key comes ahead of what else is wrong"
        assert caller.messages == []


async def test_a_key_is_counted_by_whom_it_belongs_to() -> None:
    """sessions_per_key: by the credential, however it is shown, and only while a session runs."""
    async with talk.serving(sessions_per_key=2) as server:
        async with (
            talk.calling(server, TEST, path=f"{GEMINI}?key=a"),
            talk.calling(server, TEST, headers={"x-goog-api-key": "a"}),
        ):
            assert (await end_of(server, f"{GEMINI}?key=a"))[0] == 1011
            # one of another key, and one that says no setup: that is none yet
            async with (
                talk.calling(server, path=f"{GEMINI}?key=b"),
                talk.calling(server, TEST, path=f"{GEMINI}?key=b"),
            ):
                assert await end_of(server, f"{GEMINI}?key=b") == (0, "")
        await talk.ended(server)
        assert await end_of(server, f"{GEMINI}?key=a") == (0, "")


# Tokens: uses and times


@pytest.mark.parametrize(("given", "sessions"), [({}, 1), ({"uses": 3}, 3), ({"uses": "2"}, 2), ({"uses": 2.0}, 2)])
async def test_a_token_opens_one_session(given: Message, sessions: int) -> None:
    """AUTH-2: one session unless it says otherwise; another one closes 1011. Each token counts by itself."""
    async with talk.serving() as server:
        name = await token_of(server, **given)
        assert name.startswith("auth_tokens/")
        for _ in range(sessions):
            assert await end_of(server, with_token(name)) == (0, "")
        assert await end_of(server, with_token(name)) == USED_UP
        assert await end_of(server, with_token(await token_of(server))) == (0, "")


@pytest.mark.parametrize(
    "shown",
    [
        {"headers": {"Authorization": "Token NAME"}},
        {"headers": {"Authorization": "Bearer NAME"}},
        {"headers": {"x-goog-api-key": "NAME", "Authorization": "Token NAME"}},
        {"query": "?access_token=NAME"},
        {"query": "?access_token=auth_tokens%2FREST"},
        {"query": "?key=NAME"},
    ],
    ids=str,
)
async def test_every_way_to_show_a_token(shown: dict[str, Any]) -> None:
    async with talk.serving(require_key="right") as server:
        status, answer = await post(server, {}, headers={"x-goog-api-key": "right"})
        assert status == 200
        name = answer["name"]
        headers = {key: value.replace("NAME", name) for key, value in shown.get("headers", {}).items()}
        query = shown.get("query", "").replace("NAME", name).replace("REST", name.removeprefix("auth_tokens/"))
        assert await end_of(server, CONSTRAINED + query, headers=headers) == (0, "")
        assert await end_of(server, CONSTRAINED + query, headers=headers) == USED_UP


async def test_no_uses_are_any_number() -> None:
    async with talk.serving() as server:
        name = await token_of(server, uses=0)
        for _ in range(5):
            assert await end_of(server, with_token(name)) == (0, "")


async def test_a_token_on_the_plain_method_is_refused_and_not_spent() -> None:
    async with talk.serving() as server:
        name = await token_of(server)
        for method in (PLAIN, GEMINI):
            assert await end_of(server, with_token(name, method)) == NOBODY
        assert await end_of(server, with_token(name)) == (0, "")


async def test_a_token_nobody_made_is_a_key_like_any_other() -> None:
    async with talk.serving() as server:
        assert await end_of(server, with_token("auth_tokens/unknown")) == (0, "")
    async with talk.serving(require_key="right") as server:
        assert await end_of(server, with_token("auth_tokens/unknown")) == WRONG


async def test_a_token_that_is_too_old_opens_nothing() -> None:
    async with talk.serving() as server:
        for members in ({"expireTime": ahead(-1)}, {"newSessionExpireTime": ahead(-1)}):
            assert await end_of(server, with_token(await token_of(server, **members))) == EXPIRED
        name = await token_of(server, expireTime=ahead(0.5), newSessionExpireTime=ahead(0.5), uses=2)
        assert await end_of(server, with_token(name)) == (0, "")
        await asyncio.sleep(0.6)
        assert await end_of(server, with_token(name)) == EXPIRED


async def test_times_are_told_and_have_defaults() -> None:
    async with talk.serving() as server:
        _, answer = await post(server, {"expireTime": "2026-01-01T02:00:00+01:00", "uses": 4})
        assert answer["expireTime"] == "2026-01-01T01:00:00Z"
        assert answer["uses"] == 4
        _, answer = await post(server)
        left = [
            (datetime.fromisoformat(answer[name]) - datetime.now(UTC)).total_seconds()
            for name in ("expireTime", "newSessionExpireTime")
        ]
        assert 1740 < left[0] <= 1800
        assert 30 < left[1] <= 60


async def test_resuming_does_not_count() -> None:
    """AUTH-2: also when its time for new sessions is over; not when its own time is."""
    async with talk.serving() as server:
        name = await token_of(server, newSessionExpireTime=ahead(5))
        where = with_token(name)
        async with talk.calling(server, {"model": TEST, "sessionResumption": {}}, path=where) as caller:
            handle = await talk.handle_of(caller)
        server.store.clock = lambda: server.clock() + 100
        again: Message = {"model": TEST, "sessionResumption": {"handle": handle}}
        for _ in range(3):
            assert await end_of(server, where, again) == (0, "")
        assert await end_of(server, where) == EXPIRED
        server.store.clock = lambda: server.clock() + 2000
        assert await end_of(server, where, again) == EXPIRED


# Tokens: the setup they fix


async def spoken(server: StandInServer, name: str, setup: Message, says: Message | None = None) -> list[Message]:
    """A turn in a session with this token."""
    async with talk.calling(server, setup, path=with_token(name)) as caller:
        return [*caller.messages, *await caller.turn(says or talk.content("hello"))]


async def test_a_locked_setup_is_all_that_counts() -> None:
    async with talk.serving() as server:
        locked = {"model": TEST, "generationConfig": {"responseModalities": ["TEXT"]}}
        name = await token_of(server, bidiGenerateContentSetup=locked, uses=0)
        given = {"model": "models/nothing", "outputAudioTranscription": {}}
        for setup in (given, {}, {"model": "models/gemini-3.8-live", "tools": [{"codeExecution": {}}]}):
            got = await spoken(server, name, setup)
            assert all("inlineData" not in json.dumps(one) for one in got)
            assert not any("outputTranscription" in one.get("serverContent", {}) for one in got)
            assert talk.words(got).endswith('I heard "hello".')
        assert next(iter(server.store._tokens.values())).setup == locked


@pytest.mark.parametrize(
    "mask",
    ["generationConfig.responseModalities", "generation_config.response_modalities", "generationConfig",
     " model , generation_config.response_modalities ", "generationConfig.responseModalities,generationConfig.temperature"],
)  # fmt: skip
async def test_a_mask_fixes_its_members_and_leaves_the_rest(mask: str) -> None:
    async with talk.serving() as server:
        locked = {"model": TEST, "generation_config": {"response_modalities": ["TEXT"]}, "systemInstruction": {}}
        name = await token_of(server, bidiGenerateContentSetup=locked, fieldMask=mask)
        given: Message = {"model": TEST, "generationConfig": {"responseModalities": ["AUDIO"], "temperature": 1.5},
                          "systemInstruction": {"parts": [{"text": "mine"}]}}  # fmt: skip
        async with talk.calling(server, given, path=with_token(name)):
            setup = next(iter(server.sessions.values())).conversation.setup
        assert setup["generationConfig"]["responseModalities"] == ["TEXT"]
        assert setup["systemInstruction"] == {"parts": [{"text": "mine"}]}, "not in the mask"
        temperature = setup["generationConfig"].get("temperature")
        assert temperature == (None if mask.endswith(("temperature", "generationConfig")) else 1.5)


async def test_the_handle_is_always_the_clients_own() -> None:
    async with talk.serving() as server:
        locked = {"model": TEST, "sessionResumption": {}, "generationConfig": {"responseModalities": ["TEXT"]}}
        name = await token_of(server, bidiGenerateContentSetup=locked)
        async with talk.calling(server, {"model": TEST}, path=with_token(name)) as caller:
            handle = await talk.handle_of(caller)
            before = (await caller.turn(talk.content("one two three")))[-1]["usageMetadata"]["promptTokenCount"]
        got = await spoken(server, name, {"model": TEST, "sessionResumption": {"handle": handle}})
        assert got[-1]["usageMetadata"]["promptTokenCount"] > before


async def test_a_locked_setup_is_judged_like_any_other() -> None:
    async with talk.serving() as server:
        for locked, end in (
            ({"model": "models/nothing"}, 1008),
            ({"model": TEST, "bogus": 1}, 1007),
            ({"model": TEST, "systemInstruction": "text"}, 1007),
            ({"tools": 5}, 1007),
        ):
            name = await token_of(server, bidiGenerateContentSetup=locked)
            assert (await end_of(server, with_token(name)))[0] == end


async def test_what_is_no_setup_is_judged_with_a_locked_one_too() -> None:
    async with talk.serving() as server:
        name = await token_of(server, bidiGenerateContentSetup={"model": TEST}, uses=0)
        for first, reason in (
            ("not json", "Request contains an invalid argument."),
            ("[1]", "Request contains an invalid argument."),
            (json.dumps(talk.text("early")), "Request contains an invalid argument."),
            (json.dumps(talk.content("early")), "setup must be the first message and only the first"),
            ('{"setup": 5}', "Invalid value at 'setup'"),
        ):
            async with talk.calling(server, path=with_token(name)) as caller:
                await caller.say(first)
                code, got = await caller.closed()
                assert (code, got[: len(reason)]) == (1007, reason)
        async with talk.calling(server, {}, path=with_token(name)) as caller:
            await caller.say({"setup": {}})
            assert (await caller.closed())[1] == "setup must be the first message and only the first"


# Over HTTP


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS["places"])
async def test_where_a_token_is_made(method: str, path: str, status: int) -> None:
    async with talk.serving(require_key="k") as server:
        got, answer = await post(server, {"uses": 1}, path, method, headers={"x-goog-api-key": "k"})
        assert got == status
        if status == 200:
            assert await end_of(server, with_token(answer["name"])) == (0, "")
        else:
            assert answer["error"]["code"] == status
            assert answer["error"]["status"] == {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}[status]


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"x-goog-api-key": "right"}, "", 200),
        ({"Authorization": "Bearer right"}, "", 200),
        ({}, "?key=right", 200),
        ({"x-goog-api-key": "wrong"}, "", 400),
        ({}, "?key=wrong", 400),
        ({}, "", 400),
    ],
)
async def test_making_a_token_wants_the_key(headers: dict[str, str], query: str, status: int) -> None:
    async with talk.serving(require_key="right") as server:
        got, answer = await post(server, {}, MAKE + query, headers=headers)
        assert got == status
        if status == 400:
            assert answer["error"]["message"] == (WRONG if headers or query else NOBODY)[1]
            assert answer["error"]["status"] == "INVALID_ARGUMENT"


NO_JSON = [(body, "Invalid JSON payload received.") for body in (b"{", b"[]", b"\xff", b"[" * 5000)]


@pytest.mark.parametrize(("body", "words"), [*REQUESTS["bodies"], *NO_JSON], ids=lambda value: str(value)[:60])
async def test_a_body_that_is_refused(body: Any, words: str) -> None:
    async with talk.serving() as server:
        status, answer = await post(server, body)
        assert status == 400
        assert words in answer["error"]["message"]
        assert not server.store._tokens


async def test_members_in_snake_case_nulls_and_no_body_at_all() -> None:
    async with talk.serving() as server:
        assert (await post(server, {"expire_time": ahead(60), "new_session_expire_time": None, "uses": None}))[
            0
        ] == 200
        assert (await post(server, b""))[0] == 200


@pytest.mark.parametrize("size", [250_000, 300_000, 30_000_000])
async def test_a_large_body_is_answered_before_the_connection_ends(size: int) -> None:
    async with talk.serving() as server:
        status, answer = await post(server, b"{" + b" " * size + b"}")
        assert status == (200 if size < 256 * 1024 else 413)
        assert ("error" in answer) is (status == 413)


async def raw(server: StandInServer, *pieces: bytes, eof: bool = False, seconds: float = 3.0) -> bytes:
    """Everything that comes back until the stand-in ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    try:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.02)
            if eof:
                writer.write_eof()
        async with asyncio.timeout(seconds):
            try:
                return await reader.read()
            except ConnectionResetError:
                return b""
    finally:
        writer.close()


HEAD = b"POST /v1alpha/auth_tokens HTTP/1.1\r\nHost: localhost\r\n"


LONG = [
    ([chr(byte) for byte in HEAD + b"Content-Length: 2\r\n\r\n{}"], 200),
    ([HEAD.decode() + f"Content-Length: {'9' * 5000}\r\n\r\n"], 413),
    ([HEAD.decode() + f"X: {'a' * 300_000}\r\n\r\n"], 413),
    (["\0" * 100_000], 0),
]


@pytest.mark.parametrize(("pieces", "status"), [*REQUESTS["bytes"], *LONG], ids=lambda value: str(value)[:50])
async def test_bytes_on_the_port(pieces: list[str], status: int, caplog: pytest.LogCaptureFixture) -> None:
    async with talk.serving() as server:
        got = await raw(server, *(piece.encode("latin-1") for piece in pieces))
        assert got.startswith(f"HTTP/1.1 {status} ".encode() if status else b""), got[:100]
        assert bool(got) is bool(status)
        assert await end_of(server, GEMINI) == (0, ""), "it still serves"
    assert not caplog.records, "nothing is logged, and no traceback"


@pytest.mark.parametrize(
    "head",
    [b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n"],
    ids=["line", "headers"],
)
async def test_a_head_without_end(head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Some versions of websockets answer 414 and 431, others hang up."""
    async with talk.serving() as server:
        assert not (await raw(server, head)).startswith((b"HTTP/1.1 1", b"HTTP/1.1 2"))
        assert await end_of(server, GEMINI) == (0, "")
    assert not caplog.records


@pytest.mark.parametrize(
    "start", [b"", b"G", b"POS", b"GET / HT", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{}"], ids=repr
)
async def test_a_connection_that_breaks_off(start: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with talk.serving() as server:
        assert await raw(server, start, eof=True) == b""
        await until(lambda: not server.connections)
    assert not caplog.records


@pytest.mark.parametrize("start", [b"", b"G", HEAD, b"GET / HTTP/1.1\r\n"], ids=repr)
async def test_a_connection_that_asks_for_nothing_does_not_keep_the_stand_in_from_stopping(start: bytes) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with asyncio.timeout(5):  # websockets would wait ten for the request
            async with talk.serving() as server:
                idle = stack.enter_context(sockets.create_connection(("127.0.0.1", port_of(server))))
                idle.sendall(start)
                await asyncio.sleep(0.05)


async def test_the_root_says_what_this_is() -> None:
    async with talk.serving() as server:
        got = (await raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")).decode()
        assert "\r\nUpgrade: websocket\r\n" in got
        assert "livews stand-in" in got
        assert server.url in got
        assert "/livews/status" in got


async def test_the_status_is_json() -> None:
    async with talk.serving(require_key="k") as server:
        async with talk.calling(server, TEST, path=f"{GEMINI}?key=k") as caller:
            await caller.turn(talk.content("hello"))
            await end_of(server, GEMINI)
            head, _, body = (
                await raw(server, b"GET /livews/status?x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            ).partition(b"\r\n\r\n")
            assert head.lower().count(b"content-type:") == 1
            assert b"\r\nContent-Type: application/json" in head
            assert f"\r\nContent-Length: {len(body)}".encode() in head
            said = json.loads(body)
        assert said["livews"] == "stand-in"
        assert said["sessions"] == {"total": 2, "open": 1, "failures": 0, "differences": 0}
        assert said["voice"] == "tones"
        assert list(said["ended"]) == ["closed 1008 " + NOBODY[1]]
        about = said["open"][0]
        assert (about["model"], about["turns"], about["surface"]) == (TEST, 1, "gemini")
        assert about["states"] == {"session": "ready", "activity": "none", "turn": "idle", "answer": "none"}


async def test_nothing_of_it_is_a_traceback_on_the_command_line() -> None:
    """The whole command, its stderr and its way out: nothing waits for clients that never asked for anything."""
    with serving("--voice", "tones", "--pace", "0") as (url, server):
        port = int(url.rsplit(":", 1)[1])
        address = ("127.0.0.1", port)
        for data in (
            b"\x16\x03\x01garbage",
            b"GET\r\n\r\n",
            b"POST /x HTTP/1.1\r\n\r\n",
            HEAD + b"Content-Length: 2\r\n\r\n{}",
        ):
            with sockets.create_connection(address, timeout=5) as one:
                one.sendall(data)
                with contextlib.suppress(ConnectionResetError):
                    while one.recv(4096):
                        pass
        for data in (b"", b"G", b"GET / HTTP/1.1\r\n", b"POST"):
            with sockets.create_connection(address, timeout=5) as one:
                one.sendall(data)
        async with connect(f"ws://127.0.0.1:{port}{GEMINI}", compression=None) as socket:
            await socket.send(json.dumps({"setup": {"model": TEST}}))
            assert json.loads(await socket.recv()) == {"setupComplete": {}}
        with sockets.create_connection(address, timeout=5):
            time.sleep(0.1)
            server.send_signal(signal.SIGTERM)
            _, report = server.communicate(timeout=8)
        assert server.returncode == 0
        assert "Traceback" not in report
        assert "Error" not in report
        assert [line for line in report.splitlines() if line.startswith("session 1: test, ")]


async def test_a_post_in_pieces_from_many_at_once() -> None:
    async with talk.serving() as server:
        answers = await asyncio.gather(
            *(raw(server, HEAD + b"Content-Length: 11\r\n\r\n", b'{"uses"', b": 7}") for _ in range(30))
        )
        names = {json.loads(one.partition(b"\r\n\r\n")[2])["name"] for one in answers}
        assert len(names) == 30


async def traced(tmp_path: Path, setup: Message, says: str, **members: Any) -> tuple[str, str]:
    """The trace of a session with a token of these members, and the token; NAME in what is said stands for it."""
    record = recording(parse("serve", ["--trace", str(tmp_path), "--quiet"]), Console(color="never"))
    async with talk.serving(record=record) as server:
        name = await token_of(server, **members)
        async with talk.calling(server, setup, path=with_token(name)) as caller:
            await caller.turn(talk.content(says.replace("NAME", name)))
    return (tmp_path / "session-1.jsonl").read_text(), name


async def test_a_token_is_not_in_the_trace_of_its_session(tmp_path: Path) -> None:
    written, name = await traced(tmp_path, {"model": TEST}, "my token is NAME")
    assert "turnComplete" in written
    assert name.removeprefix("auth_tokens/") not in written


async def test_the_trace_of_a_locked_session_has_what_the_client_sent(tmp_path: Path) -> None:
    sent = {"model": TEST, "systemInstruction": {"parts": [{"text": "of the client"}]}}
    written, _ = await traced(tmp_path, sent, "hello", bidiGenerateContentSetup={"model": TEST}, uses=1)
    assert json.loads(written.splitlines()[1])["message"] == {"setup": sent}


@pytest.mark.parametrize(
    ("origin", "allowed", "status"),
    [
        ("http://evil.example", (), 403),
        ("http://mine.example", ("http://mine.example",), 0),
        ("http://evil.example", ("*",), 0),
        ("http://localhost:3000", (), 0),
        ("", (), 0),
    ],
)
async def test_web_pages_of_other_sites_are_kept_out(origin: str, allowed: tuple[str, ...], status: int) -> None:
    """Of the WebSocket, the status and the tokens alike."""
    logged: list[str] = []
    async with talk.serving(origins=allowed, log=logged.append) as server:
        headers = {"Origin": origin} if origin else {}
        with pytest.raises(InvalidStatus, match="403") if status else contextlib.nullcontext():
            assert await end_of(server, GEMINI, headers=headers) == (0, "")
        line = f"Origin: {origin}\r\n".encode() if origin else b""
        page = await raw(server, b"GET /livews/status HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n")
        token = await raw(server, HEAD + line + b"Content-Length: 2\r\n\r\n{}")
        for answer in (page, token):
            assert answer.startswith(b"HTTP/1.1 403 " if status else b"HTTP/1.1 200 ")
            assert (b"--allow-origin http://evil.example" in answer) is bool(status)
        assert sum("HTTP 403: a web page of http://evil.example" in line for line in logged) == (3 if status else 0)


async def test_names_that_lead_here_are_refused() -> None:
    """DNS rebinding: the page's own name in Host, and no Origin with a GET."""
    async with talk.serving() as server:
        for start in (
            b"GET /livews/status HTTP/1.1\r\n",
            b"POST /v1alpha/auth_tokens HTTP/1.1\r\nContent-Length: 0\r\n",
        ):
            assert (await raw(server, start + b"Host: rebound.example\r\n\r\n")).startswith(b"HTTP/1.1 403 ")
