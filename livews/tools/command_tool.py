"""A program of the command line as a tool.

- No shell: the words are split as a shell splits them, and nothing is expanded. Arguments are one JSON object on
  stdin, so nothing a model says is ever part of a command line.
- The child gets the environment without the credentials for this service.
- What it prints is bounded while it is read. One that prints too much, takes too long or is withdrawn is killed with
  its whole process group; what it leaves in the background after a good end lives on.
- A command that cannot be run is refused before dialling.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from livews import process
from livews.core import codec, models, rules, schema
from livews.errors import BadRequest
from livews.tools.function import SECONDS, Scheduling, Tool, ToolFailure

SIZE = 1024 * 1024
"""Bytes of stdout."""
CREDENTIALS = (
    "GOOGLE_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "CLOUDSDK_AUTH_ACCESS_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS",
)
"""Variables a child does not get, nor any other that holds the same value."""
_STDERR = 8 * 1024
"""Bytes of the end of stderr that are kept."""
_LINE = 1_000
_GRACE = 0.5
"""Seconds for the rest of the output after the child has ended: a program it left behind may hold the pipe."""
_FORM = "write it as in --tool 'get_weather=./weather.sh --metric'"

Declared = dict[str, Any] | list[Any] | Path | str | None
"""Declarations, or the name of a JSON file of them."""


def command(
    spec: str,
    schema: Declared = None,
    *,
    timeout: float = SECONDS,
    blocking: bool | None = None,
    scheduling: Scheduling | None = None,
) -> Tool:
    """A tool from "name=command", run without a shell.

    The arguments are one JSON object on stdin. A JSON object on stdout is the response, other JSON or text is
    `{"result": ...}`, and an exit code but 0 is `{"error": last line of stderr, "exitCode": n}`. `schema` is a
    functionDeclaration, a list of them, `{"functionDeclarations": [...]}`, or a JSON file of one of these; the one
    with this name counts, and without one the function has no parameters. `blocking` is what the declaration's
    `behavior` says, else True. `timeout` is in seconds. Raises BadRequest.
    """
    name, argv = _split(spec)
    declared = {str(one["name"]): one for one in declarations(schema)}.get(name, {"name": name, "description": name})
    behavior = declared.get("behavior")
    declaration = {key: value for key, value in declared.items() if key != "behavior"}
    if blocking is None:
        blocking = behavior != "NON_BLOCKING" and scheduling is None

    async def invoke(args: dict[str, Any]) -> Any:
        if "parameters" not in declaration and "parametersJsonSchema" not in declaration and args:
            raise ToolFailure(f"wrong arguments: {name} takes none, and got {', '.join(args)[:200]}")
        return await run(name, argv, args)

    async def function(**args: Any) -> Any:
        return await invoke(args)

    return Tool(declaration, invoke, function, blocking, scheduling, timeout)


def commands(specs: Sequence[str], schemas: Sequence[Declared] = (), *, timeout: float = SECONDS) -> list[Tool]:
    """One tool for each of several "name=command", with the declarations of all `schemas`.

    Raises BadRequest, also for a declaration without a command and for a name that is there twice.
    """
    declared = [one for given in schemas for one in declarations(given)]
    tools = [command(spec, declared, timeout=timeout) for spec in specs]
    names = Counter(one.name for one in tools)
    for name, count in [*names.items(), *Counter(str(one["name"]) for one in declared).items()]:
        if count > 1:
            raise BadRequest(f"there are {count} tools called {name}", where="--tool", fix="give each its own name")
    for one in declared:
        if one["name"] not in names:
            fix = f"add --tool '{one['name']}=...', or take it out of the schema"
            raise BadRequest(f"{one['name']} is declared and has no command", where="--tool-schema", fix=fix)
    return tools


def declarations(given: Declared) -> list[dict[str, Any]]:
    """The function declarations of a schema, canonical. Raises BadRequest."""
    where = "--tool-schema"
    value: Any = given
    if isinstance(given, (str, Path)):
        where = str(given)
        try:
            value = codec.parse_any(Path(given).read_bytes())
        except OSError as problem:
            raise BadRequest("the schema cannot be read", where=where, why=problem.strerror or "") from None
        except codec.WireError as problem:
            raise BadRequest("the schema is no JSON", where=where, why=str(problem)) from None
    if value is None:
        return []
    if isinstance(value, dict):
        inner = value.get("functionDeclarations", value.get("function_declarations"))
        value = [value] if inner is None else inner
    if not isinstance(value, list) or not all(isinstance(one, dict) and one.get("name") for one in value):
        fix = 'write a functionDeclaration such as {"name": ..., "description": ..., "parameters": {...}}, or a list'
        raise BadRequest("the schema holds no function declarations", where=where, fix=fix)
    message = {"setup": {"model": models.default_model(), "tools": [{"functionDeclarations": value}]}}
    for finding in rules.check("client", message):
        if finding.level == "error":
            at = finding.path.removeprefix("/setup/tools/0/functionDeclarations")
            raise BadRequest(finding.complaint, where=f"{where} {at}".strip(), fix=finding.fix)
    folded = schema.canonical_setup(message["setup"]).message
    return [{"description": str(one["name"]), **one} for one in folded["tools"][0]["functionDeclarations"]]


def _split(spec: str) -> tuple[str, list[str]]:
    name, equals, line = spec.partition("=")
    name = name.strip()
    if not equals or not name or not line.strip():
        raise BadRequest(f"no name and command: {spec[:100]!r}", where="--tool", fix=_FORM)
    try:
        words = shlex.split(line)
    except ValueError as problem:
        raise BadRequest(
            f"the command of {name} cannot be split", where="--tool", why=str(problem), fix=_FORM
        ) from None
    if not words:
        raise BadRequest(f"no command for {name}", where="--tool", fix=_FORM)
    found = shutil.which(words[0])
    if found is None:
        there = Path(words[0]).is_file()
        raise BadRequest(
            f"the command of {name} {'is not executable' if there else 'is not there'}: {words[0][:200]}",
            where="--tool",
            why="it is run without a shell: no ~, $VARIABLE, * or | is expanded",
            fix=f"chmod +x {words[0][:200]}"
            if there
            else "check the path; for a shell's own words use 'name=sh -c \"...\"'",
        )
    return name, [os.path.abspath(found), *words[1:]]


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """What a child may see: everything but the credentials for this service, under whatever name."""
    secret = {inherited[name] for name in CREDENTIALS if len(inherited.get(name, "")) >= 8}
    return {name: value for name, value in inherited.items() if name not in CREDENTIALS and value not in secret}


async def run(name: str, argv: Sequence[str], args: dict[str, Any]) -> Any:
    """Run it once: what it printed, as JSON or text. Raises Failure. Cancelled, it is killed."""
    loop = asyncio.get_running_loop()
    try:
        transport, child = await _spawn(loop, argv)
    except (OSError, ValueError) as problem:
        raise ToolFailure(f"{name} could not be started: {getattr(problem, 'strerror', None) or problem}") from None
    try:
        stdin: Any = transport.get_pipe_transport(0)
        stdin.write(codec.dump(args))
        stdin.close()  # when it has taken all
        await child.ended
    finally:
        try:
            if transport.get_returncode() is None:
                process.kill_group(transport.get_pid())
                await asyncio.wait({child.gone}, timeout=1)
        finally:
            transport.close()
    if child.too_much:
        raise ToolFailure(f"{name} printed more than {SIZE:,} bytes and was stopped: let it print less")
    return _result(name, transport.get_returncode() or 0, bytes(child.out), bytes(child.err))


async def _spawn(loop: asyncio.AbstractEventLoop, argv: Sequence[str]) -> tuple[asyncio.SubprocessTransport, _Child]:
    """Start it. Cancelled meanwhile, asyncio would end the program alone, and not the children it has by then."""
    spawning = asyncio.ensure_future(
        loop.subprocess_exec(lambda: _Child(loop), *argv, start_new_session=True, env=environment(os.environ))
    )
    try:
        return await asyncio.shield(spawning)
    except asyncio.CancelledError:
        spawning.add_done_callback(_unwanted)
        raise


def _unwanted(spawned: asyncio.Future[tuple[asyncio.SubprocessTransport, _Child]]) -> None:
    if not spawned.cancelled() and spawned.exception() is None:
        transport, _ = spawned.result()
        process.kill_group(transport.get_pid())
        transport.close()


def _result(name: str, code: int, out: bytes, err: bytes) -> Any:
    if code:
        lines = [line.strip() for line in err.decode(errors="replace").splitlines() if line.strip()]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise ToolFailure(lines[-1][:_LINE] if lines else f"{name} {how}, and said nothing", exitCode=code)
    try:
        return codec.parse_any(out)
    except codec.WireError:
        return out.decode(errors="replace").strip()


class _Child(asyncio.SubprocessProtocol):
    """What a child prints. `ended` is set when there is no more to wait for, `gone` when the process is."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.out, self.err = bytearray(), bytearray()
        self.too_much = False
        self.ended: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._open = {1, 2}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.err += data
            del self.err[:-_STDERR]
        elif len(self.out) + len(data) > SIZE:
            self.too_much = True
            self._end()
        else:
            self.out += data

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open and self.gone.done():
            self._end()

    def process_exited(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
        if self._open:
            self._loop.call_later(_GRACE, self._end)
        else:
            self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
