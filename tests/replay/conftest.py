"""The fixture `replay`: replays a trace and gives exit code, stdout and stderr."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from livews.cli import main
from livews.server.server import serve_stand_in
from tests.kit.servers import Script, scripted
from tests.kit.talk import config
from tests.kit.waiting import until
from tests.replay.kit import Done, Run


@pytest.fixture
def replay(capfd: pytest.CaptureFixture[str]) -> Run:
    """Replays a trace to a server: a stand-in of these `changes`, or a script of tests/kit/servers."""

    async def run(path: Path, *words: object, server: Script | None = None, **changes: Any) -> Done:
        capfd.readouterr()
        async with contextlib.AsyncExitStack() as stack:
            house = None
            if server is not None:
                url = await stack.enter_async_context(scripted(server))
            else:
                house = await stack.enter_async_context(serve_stand_in(config=config(**changes)))
                url = house.url
            given = ["trace", "replay", str(path), "--to", url, *map(str, words)]
            code = await asyncio.wait_for(asyncio.to_thread(main, given), 40)
            await until(lambda: not house or not house.sessions)
        done = Done(code, *capfd.readouterr())
        done.house = house  # type: ignore[attr-defined]
        return done

    return run
