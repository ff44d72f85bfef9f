"""Services that misbehave: `python -m tests.session.storms` as a test."""

import asyncio

from livews.core import protocol
from tests.session.storms import STORMS, storm

_GO_ON = [name for name in STORMS if name.startswith("goAway")]


async def test_no_storm_of_connections() -> None:
    found = {one.name: one for one in await asyncio.gather(*(storm(name, 3) for name in STORMS))}
    most = protocol.load("reconnect.json")["limits"]["sockets"]
    for one in found.values():
        assert 0 < one.busiest <= most, str(one)
        assert len(one.opened) <= most, str(one)
        assert "TimeoutError" not in one.error, str(one)
    for name in _GO_ON:
        assert (found[name].answered, found[name].error) == (3, ""), str(found[name])
    assert {name for name in found if not found[name].error} == set(_GO_ON), "the others end, and say why"
    assert all("\n" not in one.error for one in found.values())
