"""Programs of the command line as tools."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import livews
from livews import tools
from livews.redactor import Redactor
from tests.kit.waiting import until
from tests.tools.sessions import NATIVE, PATIENCE, Message, answer_to, calls, is_alive, served, shell_script

WEATHER: Message = {
    "name": "get_weather",
    "description": "Tell the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def test_a_command_is_called_and_its_answer_spoken(tmp_path: Path) -> None:
    file = tmp_path / "weather.json"
    file.write_text(json.dumps({"function_declarations": [WEATHER, {**WEATHER, "name": "other"}]}))
    one = tools.command("get_weather=cat", file)
    parameters = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
    assert one.declaration["parameters"] == parameters
    for model in ("", NATIVE):
        said, response = await answer_to([one], 'Please get_weather of "Paris"', model)
        assert response == {"city": "Paris"}
        assert "Paris" in said


TOO_MUCH = "run_it printed more than 1,048,576 bytes and was stopped: let it print less"


async def outcome(lines: str, tmp_path: Path, args: Message | None = None, **options: Any) -> Message:
    """What a script as a tool is answered with."""
    one = tools.command(f"run_it={shell_script(tmp_path, lines)} 'two words' $HOME", **options)
    (answer,), _ = await served(calls(("1", "run_it", args or {})), [one])
    response: Message = answer["response"]
    return response


@pytest.mark.parametrize(
    ("lines", "response"),
    [
        ('echo \'{"sky": "clear"}\'', {"sky": "clear"}),
        ("echo '[1, 2]'", {"result": [1, 2]}),
        ("echo 21", {"result": 21}),
        ("echo it rains", {"result": "it rains"}),
        ("true", {"result": ""}),
        ("(sleep 0.2; echo late) &", {"result": "late"}),
        ('printf "%s|%s" "$1" "$2"', {"result": "two words|$HOME"}),
        ("cat", {}),
        ("echo 1 >&2; echo 'no such city' >&2; echo >&2; exit 3", {"error": "no such city", "exitCode": 3}),
        ("echo out; exit 4", {"error": "run_it ended with exit code 4, and said nothing", "exitCode": 4}),
        ("kill -9 $$", {"error": "run_it was killed by signal 9, and said nothing", "exitCode": -9}),
        ("yes", {"error": TOO_MUCH}),
        ("head -c 10000000 /dev/zero", {"error": TOO_MUCH}),
        ("head -c 3000000 /dev/zero >&2; exec 1>&- 2>&-; exit 1", {"error": "\0" * 1000, "exitCode": 1}),
    ],
)
async def test_what_a_command_prints_is_its_answer(lines: str, response: Message, tmp_path: Path) -> None:
    assert await outcome(lines, tmp_path) == response


async def test_a_command_that_hangs_is_killed_with_all_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    got = await outcome(f"sleep 60 & echo $! > {pid}; echo $$ >> {pid}; wait", tmp_path, timeout=0.3)
    assert got == {"error": "run_it did not finish within 0.3 s and was stopped"}
    async with asyncio.timeout(PATIENCE):
        await until(lambda: not any(is_alive(int(one)) for one in pid.read_text().split()))


async def test_what_a_command_leaves_in_the_background_holds_nothing_up(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    try:
        response = await outcome(f"sleep 60 & echo $! > {pid}; echo playing", tmp_path, timeout=5)
        assert response == {"result": "playing"}
        assert is_alive(int(pid.read_text()))
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


async def test_a_command_that_does_not_read_its_arguments(tmp_path: Path) -> None:
    schema = {"name": "run_it", "parameters": {"type": "OBJECT", "properties": {"text": {"type": "STRING"}}}}
    assert await outcome("echo done", tmp_path, {"text": "x" * 500_000}, schema=schema) == {"result": "done"}
    assert await outcome("wc -c", tmp_path, {"text": "x" * 500_000}, schema=schema) == {"result": 500_011}
    error = "wrong arguments: run_it takes none, and got text"
    assert await outcome("echo done", tmp_path, {"text": "x"}) == {"error": error}


async def test_a_command_gets_the_environment_without_the_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, name in enumerate(tools.command_tool.CREDENTIALS):
        monkeypatch.setenv(name, f"swordfish-{i}")
    monkeypatch.setenv("MY_COPY", "swordfish-1")
    monkeypatch.setenv("CITY", "Ulm")
    of_the_session = Redactor("swordfish-given-as-an-option")
    monkeypatch.setenv("OF_THE_SESSION", f"Bearer {of_the_session.known[0].plain.decode()}")
    monkeypatch.setenv("AUTH", "Bearer swordfish-1")
    monkeypatch.setenv("IN_A_URL", "https://h/?k=swordfish%2D1")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:swordfish@proxy:3128")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "https://h/?key=swordfish")
    seen = str((await outcome("env", tmp_path))["result"])
    assert "CITY=Ulm" in seen
    assert "PATH=" in seen
    assert "swordfish" not in seen


def test_a_command_that_cannot_be_run_is_refused_before_dialling(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no program")
    for spec, what, fix in (
        (f"x={tmp_path}/nothing --here", "was not found", "check the path"),
        (f"x={text}", "is not executable", "chmod +x"),
        ("x=no-such-program-anywhere", "was not found", "check the path"),
        ("x='unbalanced", "cannot be split", "--tool"),
        ("./weather.sh", "expected name=command", "--tool"),
        ("x=", "expected name=command", "--tool"),
        ("a b=cat", "invalid function name 'a b'", "another name"),
    ):
        with pytest.raises(livews.BadRequest) as refused:
            tools.command(spec)
        assert what in refused.value.what
        assert fix in refused.value.fix


async def test_a_script_without_a_first_line_is_answered_with_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("\x7fnot a program")
    broken.chmod(0o755)
    (answer,), _ = await served(calls(("1", "run_it", {})), [tools.command(f"run_it={broken}")])
    assert answer["response"] == {"error": "run_it could not be started: Exec format error"}


def test_commands_and_declarations_are_matched_by_name(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text(json.dumps(WEATHER))
    weather, clock = tools.commands(["get_weather=cat", "clock=date +%H"], [file])
    assert weather.declaration["description"] == "Tell the weather."
    assert clock.declaration == {"name": "clock", "description": "clock"}
    slow = tools.command("get_weather=cat", [{**WEATHER, "behavior": "NON_BLOCKING"}])
    assert not slow.blocking
    assert "behavior" not in slow.declaration

    for specs, schemas, what in (
        (["clock=date"], [WEATHER], "get_weather is declared and has no command"),
        (["clock=date", "clock=cat"], [], "2 tools called clock"),
        (["get_weather=cat"], [WEATHER, file], "2 tools called get_weather"),
    ):
        with pytest.raises(livews.BadRequest, match=what):
            tools.commands(specs, schemas)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "not JSON"),
        ("[1]", "has no function declarations"),
        ('{"tools": []}', "has no function declarations"),
        ('{"name": "x", "description": "y", "colour": 1}', "colour"),
        ('{"name": "x", "parameters": {"type": "OBJET"}}', "OBJET"),
    ],
)
def test_a_schema_that_is_none_is_told(content: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(content)
    with pytest.raises(livews.BadRequest) as refused:
        tools.command("x=cat", file)
    assert what in refused.value.what
    assert str(file) in refused.value.where
    with pytest.raises(livews.BadRequest, match="cannot read the schema"):
        tools.command("x=cat", tmp_path / "nowhere.json")
