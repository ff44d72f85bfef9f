"""What `livews proxy` says about a session while it runs: faults, closes, silence."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livews.advice import closes
from livews.cli import main, parse, terminal_reporter
from livews.cli import proxy as cli
from livews.cli.console import Console
from livews.core import protocol
from livews.inspector.sessions import SessionList
from livews.proxy.injector import MessageInjector
from livews.redactor import Redactor
from livews.server import session as server_session
from livews.trace import waiting
from tests.kit.names import LIVE_38
from tests.kit.servers import SETUP_COMPLETE, acts, dial, frames, scripted
from tests.kit.traces import load
from tests.proxy.kit import HELLO, SETUP, flat, proxied, shown, stand_in


@pytest.mark.parametrize("quiet", [False, True])
async def test_faults_and_closes_are_explained_as_they_happen(
    capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    bad = SETUP.replace('"generationConfig"', '"proactivty":{},"generationConfig"')
    async with stand_in("unknown-field") as there, proxied(there.url, record=shown(quiet=quiet)) as proxy:
        for setup in (SETUP, bad):
            async with dial(proxy.url) as client:
                await client.send(setup)
                with contextlib.suppress(ConnectionClosed):
                    await client.recv()
            await proxy.ended()
    first, second = by_session(capsys.readouterr().err, 2)
    words = ("setupComplete", "somethingNew is not in the schema (WIRE-6)", "do Nothing.")
    assert first == "" if quiet else all(part in first for part in words)
    in_order(
        second,
        "(WIRE-5)",
        "do Write proactivity",
        "1007",
        "cause you sent setup.proactivty; did you mean proactivity?",
    )
    in_order(second, "cause ", "(message 1, ", "WIRE-5) do ", "what ", "more livews explain 1007")
    assert " why " not in second, "the general text is a command away"


def by_session(said: str, count: int) -> list[str]:
    """What stderr says of each session."""
    lines = said.splitlines()
    return [flat("\n".join(line for line in lines if line.startswith(f"  {n} "))) for n in range(1, count + 1)]


def in_order(said: str, *words: str) -> None:
    at = 0
    for part in words:
        assert part in said[at:], said
        at = said.index(part, at)


@pytest.mark.parametrize("sent", [["{nope"], [SETUP, '{"realtimeInput":{"txt":"x"}}', HELLO]])
async def test_a_catch_all_reason_gives_way_to_what_the_last_message_had(
    sent: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A message after it that has no fault changes nothing."""

    refuse = acts(*[None] * (len(sent) - 1), (1007, "Request contains an invalid argument."), setup=False)
    async with scripted(refuse) as url, proxied(url, record=shown()) as proxy:
        async with dial(proxy.url) as client:
            for message in sent:
                await client.send(message)
            await client.wait_closed()
        await proxy.ended()
    said = flat(capsys.readouterr().err).partition("close ")[2]
    if sent[-1] == HELLO:
        in_order(
            said,
            "1007 Request",
            "likely you sent realtimeInput.txt; did you mean text? (message 2, ",
            "WIRE-5) do Write text",
        )
    else:
        in_order(said, "1007 Request contains an invalid argument. cause unreadable: ", "(message 1, ", "WIRE-2) do Send one JSON",
                 'more livews explain 1007 "Request contains an invalid argument"')  # fmt: skip
    assert "catch-all" not in said


@pytest.mark.parametrize(
    "end", [(1001, ""), (1008, ""), (1007, "Something else."), lambda socket: socket.transport.abort()]
)
async def test_an_announced_close_is_not_blamed_on_the_client(end: Any, capsys: pytest.CaptureFixture[str]) -> None:
    act = acts(None, {"goAway": {"timeLeft": "50s"}}, 0.05, end)
    async with scripted(act) as url, proxied(url, record=shown(quiet=True)) as proxy:
        async with dial(proxy.url) as client:
            for message in (SETUP, '{"realtimeInput":{"txt":"x"}}'):
                await client.send(message)
            await client.wait_closed()
        await proxy.ended()
    said = flat(capsys.readouterr().err)
    in_order(said, "close 1", "what The connection ended after the service had announced that with goAway.", "do Connect again with the newest")  # fmt: skip
    assert "the client sent this" not in said and "client's last message" not in said


async def meet(fault: str, folder: Path, wanted: bytes = b"turnComplete") -> Path:
    """A turn with a stand-in of this fault through the proxy, as far as it comes; its trace."""
    console = Console(color="never")
    record = cli.recording(parse("proxy", ["--trace", f"{folder}{os.sep}"]), console)
    async with stand_in(fault, time_scale=10) as there:
        async with proxied(
            there.url, record=record, on_failure=lambda number, problem: console.error(problem)
        ) as proxy:
            with contextlib.suppress(ConnectionClosed, InvalidStatus):
                async with dial(proxy.url) as client:
                    with contextlib.suppress(TimeoutError):
                        await client.send(SETUP)
                        message = b""
                        while wanted not in message:
                            async with asyncio.timeout(0.5):
                                message = await client.recv(decode=False)
                            if b"setupComplete" in message:
                                await client.send(HELLO)
            await proxy.ended()
    return folder / "session-1.jsonl"


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
    trace = await meet(fault, tmp_path, b"never" if fault.startswith("go-away") else b"turnComplete")
    in_order(flat(capsys.readouterr().err), *says)
    assert main(["trace", "check", str(trace)]) == (1 if "error" in judged else 0)
    assert judged in capsys.readouterr().out


async def test_every_close_there_is_a_row_of_is_told_as_that_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it means and what to do, in words of protocol/closes.json; also of an upgrade that is refused."""
    for row in protocol.closes():
        if row["surface"] == "client":
            continue  # no server sends it
        trace = await meet(f"close={row['id']}", tmp_path / row["id"])
        said = flat(capsys.readouterr().err)
        advice = closes.explain_http(row.get("http", 0))
        if row["code"]:
            close = next(line["close"] for line in load(trace) if "close" in line)
            advice = closes.explain(close["code"], close["reason"], model=LIVE_38)
            assert f"close {row['code']}" in said
        alike = [other["meaning"] for other in protocol.closes() if other["match"] == row["match"]]
        assert any(advice.meaning.startswith(meaning[:20]) for meaning in alike), row["id"]
        for words in (advice.meaning, advice.do):
            assert " ".join(words.split()) in said, row["id"]


async def test_a_setup_that_is_not_answered_is_told_while_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    async with scripted(lambda socket: socket.wait_closed()) as url:
        async with proxied(url, record=shown(quiet=True, setup_seconds=0.05)) as proxy:
            async with dial(proxy.url) as client:
                await client.send(SETUP)
                async with asyncio.timeout(10):
                    while "(SETUP-3)" not in (said := capsys.readouterr().err):
                        await asyncio.sleep(0.01)
            await proxy.ended()
    assert "do Connect again." in flat(said)
    assert "SETUP-3" not in capsys.readouterr().err, "once"


SAYS = '{"serverContent": {"modelTurn": {"parts": [{"text": "x"}]}}}'


@pytest.mark.parametrize(
    ("answers", "stalled"),
    [
        ([], True),
        ([SAYS], True),
        ([SAYS, '{"serverContent": {"generationComplete": true}}'], False),  # long before all has been played
        ([SAYS, '{"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": {}}]}}'], False),
    ],
)
async def test_a_service_that_says_nothing_within_a_turn_is_told_while_it_lasts(
    answers: list[str], stalled: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    async with scripted(frames(*answers)) as url:
        async with proxied(url, record=shown(quiet=True, stall_seconds=0.1)) as proxy:
            async with dial(proxy.url) as client:
                for message in (SETUP, HELLO):
                    await client.send(message)
                for _ in (SETUP_COMPLETE, *answers):
                    await client.recv()
                await asyncio.sleep(0.4)
            await proxy.ended()
    said = flat(capsys.readouterr().err)
    assert said.count("! nothing has come for 0.1 s; the service may have stalled") == stalled
    assert ("do Look at what was sent last" in said) is stalled


async def test_a_close_of_the_clients_own_is_not_laid_on_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    async with scripted(lambda socket: socket.wait_closed()) as url, proxied(url, record=shown()) as proxy:
        for code, reason in ((1011, ""), (1011, "keepalive ping timeout"), (4001, "mine")):
            async with dial(proxy.url) as client:
                await client.close(code, reason)
            await proxy.ended()
    first, second, third = by_session(capsys.readouterr().err, 3)
    assert "what The client closed with 1011; the service did not." in first and "quota" not in first
    assert "gave up waiting for a pong" in second and "do Connect with ping_interval=None" in second
    assert "what The client closed with 4001" in third


async def test_what_is_waited_for_is_told_by_proxy_page_and_stand_in(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SECONDS", 0.1)
    monkeypatch.setattr(terminal_reporter, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(server_session, "_LOOK_SECONDS", 0.02)
    words = "3 messages were sent, none asks for an answer: clientContent.turnComplete is missing (TURN-7)"
    said, log = "", list[str]()
    sessions, reporters = SessionList(), shown(quiet=True)

    def record(number: int, url: str, redactor: Redactor, injector: MessageInjector) -> list[Any]:
        return [*reporters(number, url, redactor, injector), sessions.record(number, url, redactor, injector)]

    async with stand_in(log=log.append) as there, proxied(there.url, record=record) as proxy:
        async with dial(proxy.url) as client:
            await client.send(SETUP)
            await client.recv()
            for _ in range(3):
                await client.send(HELLO.replace("true", "false"))
            async with asyncio.timeout(20):
                while "TURN-7" not in said or not any("TURN-7" in line for line in log):
                    await asyncio.sleep(0.02)
                    said += capsys.readouterr().err
            sessions.look()
            page = sessions.all[1].page.data()
            await asyncio.sleep(0.3)
        await proxy.ended()
    sessions.close()
    said = flat(said + capsys.readouterr().err)
    assert said.count(words) == 1 and "do Send turnComplete true with the last clientContent" in said
    assert sum(words in line for line in log) == 1
    assert [(row["rule"], row["level"]) for row in page["findings"]] == [("TURN-7", "note")]
    assert [*page["found"].values()] == [[0]]
