"""The fixture `replay`: replays a trace and gives exit code, stdout and stderr."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from livews.cli import main
from livews.server.server import serve_stand_in
from tests.kit.servers import Script, scripted
from tests.kit.talk import config
from tests.kit.traces import Row
from tests.kit.waiting import until
from tests.replay.kit import Done, Run, write


@pytest.fixture
def replay(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Replays a trace, or one of these rows, to a stand-in of these `changes`, or to a script of tests/kit/servers; as fast
    as the order allows unless it is `timed`."""

    async def run(
        trace: Path | list[Row], *words: object, timed: bool = False, server: Script | None = None, **changes: Any
    ) -> Done:
        path = trace if isinstance(trace, Path) else write(tmp_path / "rows.jsonl", *trace)
        out = tmp_path / "replayed.jsonl"
        out.unlink(missing_ok=True)
        capfd.readouterr()
        async with contextlib.AsyncExitStack() as stack:
            house = None
            if server is not None:
                url = await stack.enter_async_context(scripted(server))
            else:
                house = await stack.enter_async_context(serve_stand_in(config=config(**changes)))
                url = house.url
            given = ["trace", "replay", str(path), "--to", url, "--trace", str(out), *map(str, words)]
            code = await asyncio.wait_for(asyncio.to_thread(main, [*given, *["--fast"] * (not timed)]), 40)
            await until(lambda: not house or not house.sessions)
        return Done(code, *capfd.readouterr(), out, house)

    return run
