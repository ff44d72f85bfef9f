"""What a hostile session sends passes unchanged, and costs the sessions beside it little."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from livews.core import codec
from tests.bench import neighbours
from tests.bench.neighbours import SETUP, frame, longest_stretch, longest_stretch_of_the_stand_in
from tests.kit.servers import dial, echo, scripted
from tests.proxy.kit import HELLO, proxied

MANY = 15_000
CLIENT = {
    "turns": frame("client", b'{"clientContent":{"turns":[' + b"{}," * 2_000_000 + b"{}]}}"),
    "messages": frame("client", b"{}") * MANY,
    "pings": frame("client", b"", 0x89) * MANY,
    "fragments": frame("client", b"{", 0x01) + frame("client", b"", 0x00) * 5 * MANY,
}
SERVER = {
    "messages": frame("server", b'{"a":1}') * MANY,
    "deflated": frame("server", neighbours.deflated(30_000_000), 0xC1) * 5,
}
SECONDS = 0.4
"""CPU time: on a free machine it is below 0.05, without pauses above 0.5."""


@pytest.fixture(autouse=True)
def no_collection_of_what_other_tests_left() -> Iterator[None]:
    """It would take hundreds of milliseconds in a process that has run thousands of tests."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("kind", CLIENT)
async def test_a_client_that_floods_leaves_the_others_their_turn(kind: str, tmp_path: Path) -> None:
    longest, _ = await longest_stretch("client", CLIENT[kind], tmp_path)
    assert longest < SECONDS


@pytest.mark.parametrize("kind", SERVER)
async def test_so_does_a_server(kind: str, tmp_path: Path) -> None:
    longest, _ = await longest_stretch("server", SERVER[kind], tmp_path)
    assert longest < SECONDS
    lines = (tmp_path / "1.jsonl").read_bytes().splitlines()
    assert sum(b'"dir":"recv","opcode"' in line for line in lines) == (MANY if kind == "messages" else 5), (
        "all recorded"
    )


@pytest.mark.parametrize("kind", CLIENT)
async def test_so_do_the_clients_of_a_stand_in(kind: str) -> None:
    longest, _ = await longest_stretch_of_the_stand_in(CLIENT[kind])
    assert longest < SECONDS


@pytest.mark.parametrize("size", [1_000_000, codec.LONGEST + 1])
async def test_what_takes_too_long_to_read_is_relayed_and_noted(size: int) -> None:
    """Its bytes are recorded as far as they were kept."""
    message = (b'{"clientContent":{"turns":[' + b"{}," * (size // 3 + 1))[:size].decode()
    async with scripted(echo) as url, proxied(url) as proxy:
        async with dial(proxy.url, max_size=None) as client:
            for sent in (SETUP.decode(), message, HELLO):
                await client.send(sent)
                assert await client.recv() == sent
        await proxy.ended()
        steps = [step for step in proxy.recorders[0].steps if step.sender == "client"]
        assert [step.kind for step in steps] == ["setup", "unreadable", "clientContent"]
        assert [finding.rule for finding in steps[1].findings] == ["WIRE-13"] and not steps[1].faults
        assert f"{size:,} bytes was relayed, but not inspected" in steps[1].findings[0].complaint
        assert steps[1].raw == (message.encode() if size <= codec.LONGEST else b"")
