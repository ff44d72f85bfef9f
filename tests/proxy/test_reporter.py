"""What `livews proxy` says about a session while it runs: faults, closes, silence."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livews.cli import parse
from livews.cli import proxy as cli
from livews.cli.console import Console
from livews.cli.terminal_reporter import TerminalReporter
from livews.core import closes, protocol
from livews.redactor import Redactor
from livews.server import faults, server
from tests.kit.servers import dial, scripted
from tests.proxy.kit import HELLO, MODEL, SETUP, flat, proxied, shown_by


@pytest.mark.parametrize("quiet", [False, True])
async def test_faults_and_closes_are_explained_as_they_happen(
    capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    bad = SETUP.replace('"generationConfig"', '"proactivty":{},"generationConfig"')
    console = Console(color="never", quiet=quiet)
    policy = server.StandInConfig(pace=0, voice="tones", faults=[faults.parse("unknown-field")])
    async with server.serve_stand_in(config=policy) as there:
        async with proxied(there.url, record=shown_by(console, quiet)) as proxy:
            async with dial(proxy.url) as client:
                await client.send(SETUP)
                await client.recv()
                await client.close()
            await proxy.ended()
            async with dial(proxy.url) as client:
                await client.send(bad)
                with pytest.raises(ConnectionClosed) as caught:
                    await client.recv()
                assert caught.value.rcvd is not None and caught.value.rcvd.code == 1007
            await proxy.ended()
    said = capsys.readouterr().err
    first, second = ([line for line in said.splitlines() if line.startswith(f"  {n} ")] for n in (1, 2))
    if quiet:
        assert first == []
    else:
        assert any("somethingNew is not in the schema (WIRE-6)" in line for line in first)
        assert any("do     Nothing." in line for line in first)
        assert any("setupComplete" in line for line in first)
    text = " ".join(" ".join(second).split())
    assert "(WIRE-5)" in text and "do Remove the member" in text.replace(" 2 ", " ")
    assert "1007" in text and " what " in text and " why " in text
    assert "before the client sent this" in text and "proactivty" in text


@pytest.mark.parametrize("sent", [["{nope"], [SETUP, '{"realtimeInput":{"txt":"x"}}', HELLO]])
async def test_a_catch_all_reason_gives_way_to_what_the_last_message_had(
    sent: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With a message behind it that has no fault, what is known of the reason is told as ever."""

    async def refuse(socket: ServerConnection) -> None:
        for _ in sent:
            await socket.recv()
        await socket.close(1007, "Request contains an invalid argument.")

    async with scripted(refuse) as url, proxied(url, record=shown_by(Console(color="never"))) as proxy:
        async with dial(proxy.url) as client:
            for message in sent:
                await client.send(message)
            with pytest.raises(ConnectionClosed):
                await client.recv()
        await proxy.ended()
    said = flat(capsys.readouterr().err).partition("close ")[2]
    if sent[-1] == HELLO:
        assert "why This is the catch-all text" in said and "before the client sent this: no member txt" in said
        return
    assert "1007 Request contains an invalid argument. before the client's last message is the likely cause:" in said
    assert "(WIRE-2) do Send one JSON object per frame" in said
    assert 'more livews explain 1007 "Request contains an invalid argument."' in said
    assert "catch-all" not in said


async def converse(url: str, wanted: bytes = b"turnComplete") -> None:
    """A turn as far as it comes: until what is `wanted`, a close, or long enough without anything."""
    with contextlib.suppress(ConnectionClosed, InvalidStatus):
        async with dial(url) as client:
            await client.send(SETUP)
            message = b""
            with contextlib.suppress(TimeoutError):
                while wanted not in message:
                    async with asyncio.timeout(0.5):
                        message = await client.recv(decode=False)
                    if b"setupComplete" in message:
                        await client.send(HELLO)


async def meet(console: Console, folder: Path, *wrong: str, wanted: bytes = b"turnComplete") -> None:
    """A session with a stand-in for each of these faults through the proxy, shown and kept as the command does it."""
    record = cli.recording(parse("proxy", ["--trace", f"{folder}{os.sep}"]), console)
    for fault in wrong:
        policy = server.StandInConfig(pace=0, voice="tones", time_scale=10, faults=[faults.parse(fault)])
        async with server.serve_stand_in(config=policy) as there:
            given = {"record": record, "on_failure": lambda number, problem: console.error(problem)}
            async with proxied(there.url, **given) as proxy:
                await converse(proxy.url, wanted)
                await proxy.ended()


@pytest.mark.parametrize(
    ("fault", "says", "judged"),
    [
        ("drop", ["1006", "The connection ended without a close frame", "do Wait at least 1 s"], "1006"),
        ("close=quota", ["1011", "Your quota is used up", "do Wait minutes"], "1011"),
        ("close=key-not-valid", ["1007", "API key", "do"], "1007"),
        ("close=goaway-ignored@3", ["1008", "announced the end of the connection", "do Reconnect now"], "1008"),
        ("truncated@3", ["unreadable", "(WIRE-2)", "do Send one JSON object per frame"], "error /: expected JSON"),
        ("unknown-message", ["somethingNew is not in the schema (WIRE-6)", "do Nothing."], "(WIRE-6)"),
        ("unknown-field", ["somethingNew is not in the schema (WIRE-6)", "do Nothing."], "(WIRE-6)"),
        ("no-setup-complete", ["setupComplete did not come (SETUP-3)", "do Connect again."], ""),
        ("go-away=0.2", ["goAway", "leaving", "1008", "announced the end", "do Reconnect now"], "1008"),
        ("stall", ["generating", "close 1000"], ""),
    ],
)
async def test_what_a_server_does_wrong_is_named_with_its_cure(
    fault: str, says: list[str], judged: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from livews.cli import main

    await meet(
        Console(color="never"), tmp_path, fault, wanted=b"never" if fault.startswith("go-away") else b"turnComplete"
    )
    said = flat(capsys.readouterr().err)
    at = 0
    for words in says:
        assert words in said[at:], said
        at = said.index(words, at)
    (trace,) = tmp_path.glob("*.jsonl")
    assert main(["trace", "check", str(trace)]) == (1 if "error" in judged else 0)
    assert judged in capsys.readouterr().out


async def test_every_close_there_is_a_row_of_is_told_as_that_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it means and what to do, in words of protocol/closes.json; also of an upgrade that is refused."""
    for row in protocol.closes():
        if row["surface"] == "client" or row["code"] in (1000, 1001):
            continue  # no server sends it, or it wants no explanation
        await meet(Console(color="never"), tmp_path / row["id"], f"close={row['id']}")
        said = flat(capsys.readouterr().err)
        advice = closes.explain_http(row.get("http", 0))
        if row["code"]:
            lines = (tmp_path / row["id"] / "session-1.jsonl").read_text().splitlines()
            close = next(json.loads(line)["close"] for line in lines if '"close"' in line)
            advice = closes.explain(close["code"], close["reason"], model=MODEL)
            assert f"close {row['code']}" in said
        alike = [other["meaning"] for other in protocol.closes() if other["match"] == row["match"]]
        assert any(advice.meaning.startswith(meaning[:20]) for meaning in alike), row["id"]
        assert " ".join(advice.meaning.split()) in said, row["id"]
        assert " ".join(advice.do.split()) in said, row["id"]


async def test_a_setup_that_is_not_answered_is_told_while_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    def record(number: int, url: str, redactor: Redactor) -> list[Any]:
        return [TerminalReporter(number, Console(color="never"), redactor.redact, quiet=True, setup_seconds=0.05)]

    async with scripted(lambda socket: socket.wait_closed()) as url, proxied(url, record=record) as proxy:
        async with dial(proxy.url) as client:
            await client.send(SETUP)
            async with asyncio.timeout(10):
                while "(SETUP-3)" not in (said := capsys.readouterr().err):
                    await asyncio.sleep(0.01)
        await proxy.ended()
        assert "do Connect again." in flat(said)
        assert "SETUP-3" not in capsys.readouterr().err, "once"


async def test_a_service_that_says_nothing_within_a_turn_is_told_while_it_lasts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Behind a prompt and in mid-reply; not behind generationComplete, which comes long before all has been played."""
    says = '{"serverContent": {"modelTurn": {"parts": [{"text": "x"}]}}}'

    async def told(*answers: str) -> str:
        async def script(socket: ServerConnection) -> None:
            await socket.recv()
            await socket.send('{"setupComplete": {}}')
            await socket.recv()
            for answer in answers:
                await socket.send(answer)
            await socket.wait_closed()

        def record(number: int, url: str, redactor: Redactor) -> list[Any]:
            return [TerminalReporter(number, Console(color="never"), redactor.redact, quiet=True, stall_seconds=0.1)]

        async with scripted(script) as url, proxied(url, record=record) as proxy:
            async with dial(proxy.url) as client:
                for message in (SETUP, HELLO):
                    await client.send(message)
                for _ in ("setupComplete", *answers):
                    await client.recv()
                await asyncio.sleep(0.4)
            await proxy.ended()
        return flat(capsys.readouterr().err)

    words = "! nothing has come for 0.1 s; the service may have stalled"
    assert (await told()).count(words) == 1
    said = await told(says)
    assert said.count(words) == 1 and "do Look at what was sent last" in said
    done = '{"serverContent": {"generationComplete": true}}'
    call = '{"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": {}}]}}'
    for last in (done, call):
        assert "stalled" not in await told(says, last), last


async def test_a_close_of_the_clients_own_is_not_laid_on_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    async with scripted(lambda socket: socket.wait_closed()) as url:
        async with proxied(url, record=shown_by(Console(color="never"))) as proxy:
            for code, reason in ((1011, ""), (1011, "keepalive ping timeout"), (4001, "mine")):
                async with dial(proxy.url) as client:
                    await client.close(code, reason)
                await proxy.ended()
    first, second, third = (flat("\n".join(lines)) for lines in _by_session(capsys.readouterr().err))
    assert "what The client closed with 1011; the service did not." in first and "quota" not in first
    assert "gave up waiting for a pong" in second and "do Connect with ping_interval=None" in second
    assert "what The client closed with 4001" in third


def _by_session(said: str) -> list[list[str]]:
    lines = said.splitlines()
    return [[line for line in lines if line.startswith(f"  {n} ")] for n in (1, 2, 3)]
