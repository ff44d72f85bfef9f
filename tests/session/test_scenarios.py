"""Scenarios of protocol/ with `livews.connect` as the client, and the stand-in as the service.

- What is driven is done by methods of the session; what is reported is compared with its events, as --json has them.
- The client's times are divided by `FAST`, the service plays at once.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from typing import Any

import pytest

import livews
from livews.cli.output import as_json
from livews.errors import Closed, LivewsError
from livews.server.config import StandInConfig
from livews.server.script import load
from livews.server.script_player import misfit
from livews.server.server import serve_stand_in
from livews.session.policy import ReconnectPolicy
from livews.session.session import Session
from tests.core.test_vectors import COUNTED, OF_SESSIONS, SCENARIOS, STORIES
from tests.kit.waiting import until

FAST = 20
SEVERAL = [story for story in STORIES if any("connect" in step for step in story["steps"])]
OTHERS = [story for story in STORIES if story not in SEVERAL and not story["id"].startswith("refused-")]


class Program:
    """livews as a program under test: it does what it is driven to, and reports its events."""

    def __init__(self, url: str, policy: ReconnectPolicy | None) -> None:
        self._url = url
        self._policy = policy
        self._reports: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._session: Session | None = None
        self._reader: asyncio.Task[None] | None = None
        self.seen: list[dict[str, Any]] = []

    async def drive(self, command: dict[str, Any]) -> None:
        ((name, value),) = command.items()
        if name == "setup":
            given = {key: member for key, member in value.items() if key != "model"}
            handle = (given.get("sessionResumption") or {}).get("handle", "")
            self._session = await livews.connect(
                value["model"], setup=given, url=self._url, reconnect=self._policy, handle=handle, api_key="key"
            )
            self._reports.put_nowait({"event": "ready"})
            self._reader = asyncio.create_task(self._read(self._session))
            return
        session = self._session
        assert session is not None
        if name == "audio":
            await session.send_audio(base64.b64decode(value["data"]), value["rate"])
        elif name == "respond":
            scheduling = {"scheduling": value["scheduling"]} if "scheduling" in value else {}
            await session.respond(value["id"], value["name"], value["response"], **scheduling)
        elif name == "contextUpdate":
            await session.send_raw({"contextUpdate": value})
        else:
            methods = {
                "text": session.say, "activityStart": session.activity_start, "activityEnd": session.activity_end,
                "audioStreamEnd": session.audio_end,
            }  # fmt: skip
            await (methods[name](value) if name == "text" else methods[name]())

    async def report(self, pattern: dict[str, Any]) -> None:
        """Wait for an event that fits; those before it are none that are counted."""
        while misfit(pattern, row := await asyncio.wait_for(self._reports.get(), 5)):
            assert row["event"] not in COUNTED | OF_SESSIONS, f"{row} instead of {pattern}"

    async def end(self) -> None:
        assert self._session is not None
        assert self._reader is not None
        await self._session.close()
        with contextlib.suppress(LivewsError):
            await self._reader
        left = [self._reports.get_nowait() for _ in range(self._reports.qsize())]
        assert not [row for row in left if row["event"] in COUNTED | OF_SESSIONS]

    async def _read(self, session: Session) -> None:
        try:
            async for event in session.events():
                row = json.loads(as_json(event, 0.0))
                if isinstance(event, livews.Resumable):
                    row["handle"] = event.handle  # --json has a pseudonym
                self._reports.put_nowait(row)
        except Closed as problem:
            self._reports.put_nowait({"event": "closed", "code": problem.code})
        else:
            if not session._closing:
                self._reports.put_nowait({"event": "closed", "code": 1000})


async def play(story: dict[str, Any], policy: ReconnectPolicy | None) -> None:
    log: list[str] = []
    scripts = load(str(SCENARIOS / f"{story['id']}.json"))
    config = StandInConfig(pace=0, scripts=scripts, patience=5, log=log.append)
    try:
        async with asyncio.timeout(20), serve_stand_in(config=config) as server:
            program = Program(server.url, policy)
            for step in story["steps"]:
                if "drive" in step:
                    await program.drive(step["drive"])
                elif "report" in step:
                    await program.report(step["report"])
            await until(lambda: server.total == len(scripts))
            await program.end()
            await until(lambda: not server.sessions)
        assert server.differences == 0
    except BaseException as problem:
        problem.add_note("\n".join(log))
        raise


@pytest.mark.parametrize("story", SEVERAL, ids=lambda story: story["id"])
async def test_livews_goes_on_as_the_scenario_says(story: dict[str, Any]) -> None:
    await play(story, ReconnectPolicy(time_scale=FAST))


@pytest.mark.parametrize("story", OTHERS, ids=lambda story: story["id"])
async def test_livews_is_the_client_of_a_scenario(story: dict[str, Any]) -> None:
    await play(story, None)
