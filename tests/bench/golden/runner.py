"""Run one case against one livews and give its result as plain data.

A case is a dict: `kind` names a function below, the rest are its arguments, and those of `Runner`. Each runs in a folder
of its own, with an environment in which no key, proxy, program or setting of the machine is visible.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.golden import forms, normalize
from tests.bench.golden.sockets import PATIENCE, ByteServer, ScriptedServer, Step, call, http, quiet, relay

ROOT = Path(__file__).resolve().parents[3]
GEMINI = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
Result = dict[str, Any]


@dataclass
class Tool:
    """The livews under test: how its command is run, and with which Python."""

    command: list[str]
    python: str
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, executable: str = "") -> Tool:
        """The livews at this path; without one, that of this checkout."""
        if executable:
            path = Path(executable).absolute()
            return cls([str(path)], str(path.parent / "python"))
        return cls([sys.executable, "-m", "livews"], sys.executable, {"PYTHONPATH": str(ROOT)})


async def run_case(tool: Tool, case: dict[str, Any]) -> Result:
    with tempfile.TemporaryDirectory(prefix="livews-golden-") as name:
        folder = Path(name)
        own = {key: case[key] for key in ("files", "env", "stdin", "out", "times") if key in case}
        given = {key: value for key, value in case.items() if key not in own and key != "kind"}
        runner = Runner(tool, folder, **own)
        result: Result = await asyncio.wait_for(_KINDS[case["kind"]](runner, **given), 4 * PATIENCE)
        if files := runner.made():
            result["files"] = files
        cleaned: Result = json.loads(json.dumps(result).replace(str(folder), "FOLDER"))
        return cleaned


@dataclass
class Runner:
    """A folder with `files`, and commands that run in it with `env` and `stdin`.

    `out` is the form in which stdout is compared, see forms.py. `times` is False where times are computed from a file.
    """

    tool: Tool
    folder: Path
    files: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    stdin: str | bytes = ""
    out: str = "json"
    times: bool = True

    def __post_init__(self) -> None:
        # no player, voice or camera that a machine may have
        programs = self.folder / ".programs"
        programs.mkdir()
        for name in ("sh", "cat", "echo", "sleep"):
            (programs / name).symlink_to(shutil.which(name) or name)
        for name, content in self.files.items():
            raw = content if isinstance(content, (str, bytes)) else json.dumps(content)
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(raw.encode() if isinstance(raw, str) else raw)

    def made(self) -> Result:
        """The files that were written since."""
        names = {
            str(path.relative_to(self.folder)): path for path in sorted(self.folder.rglob("*")) if path.is_file()
        }
        new = {
            name: path for name, path in names.items() if name not in self.files and not name.startswith(".programs")
        }
        return {name: forms.file(path, self.times) for name, path in new.items()}

    async def start(self, command: Sequence[str]) -> Process:
        env = {"PATH": str(self.folder / ".programs"), "HOME": str(self.folder), "LANG": "C.UTF-8", "COLUMNS": "100"}
        env |= {**self.tool.env, **self.env}
        return await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, env=env, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=2**24
        )

    async def run(self, argv: Sequence[str]) -> Result:
        """One livews command to its end: exit code, stdout, and whether it said anything on stderr."""
        process = await self.start([*self.tool.command, *argv])
        stdin = self.stdin.encode() if isinstance(self.stdin, str) else self.stdin
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(stdin), 2 * PATIENCE)
        except TimeoutError:
            process.kill()
            raise
        shown = forms.output(stdout, self.out, self.times)
        return {"exit": process.returncode, "stdout": shown, "stderr": forms.presence(stderr)}

    @contextlib.asynccontextmanager
    async def running(self, argv: Sequence[str], result: Result, once: bool) -> AsyncIterator[str]:
        """A server command; gives the URL it prints first. With `once` it ends by itself, else SIGTERM ends it."""
        process = await self.start([*self.tool.command, *argv])
        assert process.stdout is not None
        try:
            url = (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode().strip()
            if not url:
                _, stderr = await process.communicate()
                raise RuntimeError(f"{argv[0]} ended with {process.returncode}: {stderr.decode()[:300]}")
            yield url
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        finally:
            if not once and process.returncode is None:
                process.terminate()
            rest, stderr = await asyncio.wait_for(process.communicate(), PATIENCE)
        first = re.sub(r"token=[\w-]+", "token=TOKEN", normalize.text(url))  # of the page: made anew by each run
        result |= {"exit": process.returncode, "stdout": [first, *rest.decode().splitlines()]}
        result["stderr"] = forms.presence(stderr)


# The kinds of cases


async def command(runner: Runner, runs: Sequence[Sequence[str]]) -> Result:
    """Commands without a network, one after the other in one folder."""
    return {"runs": [await runner.run(argv) for argv in runs]}


async def talk(
    runner: Runner, argv: Sequence[str], steps: Sequence[Step], *, status: int = 0, then: Sequence[str] = ()
) -> Result:
    """livews as a client of a scripted server, then other commands.

    In arguments and environment {url} and {http} stand for the server's URL, {silent} for one that never says a word.
    """
    async with ScriptedServer(steps, status).listening() as server, quiet() as silent:
        places = {"{url}": server.url, "{http}": server.url.replace("ws:", "http:"), "{silent}": silent}
        for name, url in places.items():
            argv = [word.replace(name, url) for word in argv]
            runner.env = {key: value.replace(name, url) for key, value in runner.env.items()}
        result = await runner.run(argv)
    result |= server.seen()
    if then:
        runner.out = "json"
        result["then"] = [await runner.run(words.split()) for words in then]
    return result


async def serving(
    runner: Runner,
    argv: Sequence[str],
    calls: Sequence[Sequence[Step]] = (),
    *,
    path: str = GEMINI,
    exact: bool = True,
    requests: Sequence[tuple[str, ...]] = (),
    once: bool = False,
    headers: dict[str, str] | None = None,
) -> Result:
    """`livews serve`, called by a scripted client, once for each list of steps; then HTTP requests to it."""
    result: Result = {}
    async with runner.running(["serve", "--port", "0", *argv], result, once) as url:
        got: list[list[Any]] = []
        for steps in calls:
            got.append(await call(url + path, steps, headers, before=[frame for one in got for frame in one]))
        answers = [await http(url, *request) for request in requests]
    result["server"] = [forms.frames(one, exact) for one in got]
    return result | ({"http": answers} if answers else {})


async def proxied(
    runner: Runner,
    argv: Sequence[str],
    steps: Sequence[Step],
    calls: Sequence[Step],
    *,
    status: int = 0,
    headers: dict[str, str] | None = None,
    upstream: str = "{url}",
    once: bool = True,
) -> Result:
    """`livews proxy` between a scripted client and a scripted server."""
    result: Result = {}
    async with ScriptedServer(steps, status).listening() as server, quiet() as silent:
        upstream = upstream.replace("{url}", server.url).replace("{silent}", silent)
        argv = ["proxy", "--port", "0", "--upstream", upstream, *(["--once"] if once else []), *argv]
        async with runner.running(argv, result, once) as url:
            result["server"] = forms.frames(await call(url + GEMINI, calls, headers), exact=True)
    return result | server.seen()


async def relayed(runner: Runner, up: bytes, down: bytes) -> Result:
    """Bytes through `livews proxy`, compared one by one."""
    result: Result = {}
    async with ByteServer(up, down).listening() as server:
        argv = ["proxy", "--port", "0", "--once", "--upstream", f"ws://127.0.0.1:{server.port}", "--trace", "t.jsonl"]
        async with runner.running(argv, result, once=True) as url:
            result |= await relay(url + GEMINI, server, up, down)
    return result


async def inspected(runner: Runner) -> Result:
    """Who gets the page of `livews inspect`."""
    result: Result = {}
    async with runner.running(
        ["inspect", "--offline", "--port", "0", "--proxy-port", "0"], result, once=False
    ) as url:
        place, _, query = url.partition("/?")
        answers = [await http(place, "GET", target) for target in (f"/?{query}", "/", "/?token=wrong")]
    return result | {"http": answers}


async def library(runner: Runner, part: str, steps: Sequence[Step] = (), *, given: Any = None) -> Result:
    """tests/bench/golden/library.py, run by the Python of the version under test."""
    script = Path(__file__).with_name("library.py")
    async with ScriptedServer(steps).listening() as server:
        process = await runner.start([runner.tool.python, str(script), part, server.url, json.dumps(given)])
        stdout, stderr = await asyncio.wait_for(process.communicate(), 2 * PATIENCE)
    if process.returncode:
        return {"exit": process.returncode, "stderr": stderr.decode().splitlines()[-1:]}
    return {"prints": normalize.normal(json.loads(stdout)), "client": server.seen()["client"]}


_KINDS: dict[str, Any] = {
    "command": command,
    "talk": talk,
    "serve": serving,
    "proxy": proxied,
    "relay": relayed,
    "inspect": inspected,
    "library": library,
}
