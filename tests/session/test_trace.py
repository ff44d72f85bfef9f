"""A trace has all connections of a session in one file."""

import json
from pathlib import Path

import livews
from livews.trace.session import follow
from tests.kit.command import livews as command
from tests.session.service import Link, Service


async def test_each_connection_has_a_header_and_its_own_times(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"

    async def fault(link: Link, moment: str, about: str) -> None:
        if moment == "speaking" and about == "two" and link.number == 1:
            link.reset()

    async with Service(fault).running() as service:
        policy = livews.ReconnectPolicy(time_scale=20)
        async with livews.connect(url=service.url, api_key="k", trace=path, reconnect=policy) as session:
            for prompt in ("one", "two", "three"):
                await session.say(prompt)
                async for _ in session.turn():
                    pass
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    headers = [row for row in rows if "trace" in row]
    assert [row.get("continues") for row in headers] == [None, 1]
    assert {row["version"] for row in headers} == {1}, "a reader that knows no connections reads two sessions"
    sessions = [(session.connection, [step for _, step in session if step is not None]) for session in follow(path)]
    assert [connection for connection, _ in sessions] == [1, 2]
    assert [steps[0].kind for _, steps in sessions] == ["setup", "setup"]
    second = rows.index(headers[1])
    assert 0 <= rows[second + 1]["t"] < 1, "times count from the header"
    assert not [finding for _, steps in sessions for step in steps for finding in step.faults]
    assert "-- session 2, connection 2 of the conversation" in command("trace", "show", path).stdout
    assert "on connection 2" in command("trace", "stats", path).stdout
    assert command("trace", "check", path).returncode == 0
