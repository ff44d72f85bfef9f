"""Programs of the command line as tools.

- No shell: words are split as a shell splits them, and nothing is expanded. Arguments are one JSON object on stdin,
  so nothing a model sends is ever part of a command line.
- The child gets the environment without the credentials for the service.
- Its output is bounded while it is read. A child that prints too much, takes too long or is cancelled is killed with
  its whole process group; what has left that group, and what it leaves in the background after a normal end, lives on.
- A command that cannot be run is refused before connecting.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from livews import process
from livews.advice import judge
from livews.core import canonical, codec, models
from livews.errors import BadRequest
from livews.redactor import CREDENTIALS, Redactor, is_known, url_credentials
from livews.tools.function import SECONDS, Scheduling, Tool, ToolFailure
from livews.whole_file import read_whole

SIZE = 1024 * 1024
"""Bytes of stdout."""
_NOT_INHERITED = (*CREDENTIALS, "GOOGLE_APPLICATION_CREDENTIALS")
"""Variables that a child does not get, nor any other variable whose value contains one of theirs."""
_STDERR = 8 * 1024
"""Bytes of the end of stderr that are kept."""
_LINE = 1_000
_GRACE = 0.5
"""Seconds for the rest of the output after the child has ended: a background program may hold the pipe open."""
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
    """Make a tool from "name=command", which is run without a shell.

    The arguments are one JSON object on stdin. A JSON object on stdout is the response, other JSON or text is
    `{"result": ...}`, and an exit code other than 0 is `{"error": last line of stderr, "exitCode": n}`.

    spec: the function's name and the command.
    schema: a functionDeclaration, a list of them, `{"functionDeclarations": [...]}`, or a JSON file of one of these;
        the one with this name is used, and without one the function has no parameters.
    timeout: seconds the command may take.
    blocking: as `behavior` of the declaration says unless given, else True.
    scheduling: as in `tool`.

    Raises BadRequest.
    """
    name, argv = _split(spec)
    by_name = {str(row["name"]): row for row in declarations(schema)}
    declaration = {**by_name.get(name, {"name": name, "description": name})}
    behavior = declaration.pop("behavior", None)
    if blocking is None:
        blocking = behavior != "NON_BLOCKING" and scheduling is None

    async def invoke(args: dict[str, Any]) -> Any:
        if "parameters" not in declaration and "parametersJsonSchema" not in declaration and args:
            raise ToolFailure(f"wrong arguments: {name} takes none, and got {', '.join(args)[:200]}")
        return await run(name, argv, args)

    return Tool(declaration, invoke, lambda **args: invoke(args), blocking, scheduling, timeout)


def commands(specs: Sequence[str], schemas: Sequence[Declared] = (), *, timeout: float = SECONDS) -> list[Tool]:
    """One tool for each "name=command", with the declarations of all `schemas`.

    Raises BadRequest, also for a declaration without a command and for a name that is used twice.
    """
    rows = [row for schema in schemas for row in declarations(schema)]
    tools = [command(spec, rows, timeout=timeout) for spec in specs]
    names = Counter(tool.name for tool in tools)
    declared = Counter(str(row["name"]) for row in rows)
    for name, count in (names | declared).items():  # the larger count of each
        if count > 1:
            raise BadRequest(f"there are {count} tools called {name}", where="--tool", fix="give each its own name")
    for name in declared - names:
        fix = f"add --tool '{name}=...', or remove it from the schema"
        raise BadRequest(f"{name} is declared and has no command", where="--tool-schema", fix=fix)
    return tools


def declarations(source: Declared) -> list[dict[str, Any]]:
    """The function declarations of a schema, canonical. Raises BadRequest."""
    where = "--tool-schema"
    value: Any = source
    if isinstance(source, (str, Path)):
        where = str(source)
        raw = read_whole(source, "the schema", fix="name a JSON file of function declarations")
        try:
            value = codec.parse_any(raw)
        except codec.WireError as problem:
            fix = "JSON needs double quotes, no comments and no comma before a closing bracket"
            raise BadRequest("the schema is not JSON", where=where, why=str(problem), fix=fix) from None
    if value is None:
        return []
    if isinstance(value, dict):
        inner = value.get("functionDeclarations", value.get("function_declarations"))
        value = [value] if inner is None else inner
    if not isinstance(value, list) or not all(isinstance(row, dict) and row.get("name") for row in value):
        fix = 'write a functionDeclaration such as {"name": ..., "description": ..., "parameters": {...}}, or a list'
        raise BadRequest("the schema has no function declarations", where=where, fix=fix)
    message = {"setup": {"model": models.default_model(), "tools": [{"functionDeclarations": value}]}}
    for finding in judge.check("client", message):
        if finding.level == "error":
            at = finding.path.removeprefix("/setup/tools/0/functionDeclarations")
            raise BadRequest(finding.complaint, where=f"{where} {at}".strip(), fix=finding.fix)
    tools = canonical.fold("client", message).message["setup"]["tools"]
    return [{"description": str(row["name"]), **row} for row in tools[0]["functionDeclarations"]]


def _split(spec: str) -> tuple[str, list[str]]:
    name, _, line = spec.partition("=")
    name = name.strip()
    try:
        words = shlex.split(line)
    except ValueError as problem:
        what = f"the command of {name} cannot be split"
        raise BadRequest(what, where="--tool", why=str(problem), fix=_FORM) from None
    if not name or not words:
        raise BadRequest(f"invalid tool {spec[:100]!r}: expected name=command", where="--tool", fix=_FORM)
    path = shutil.which(words[0])
    if path is None:
        program = words[0][:200]
        state, fix = "was not found", "check the path; for a shell's own words use 'name=sh -c \"...\"'"
        if Path(words[0]).is_file():
            state, fix = "is not executable", f"chmod +x {program}"
        why = "it is run without a shell: no ~, $VARIABLE, * or | is expanded"
        raise BadRequest(f"the command of {name} {state}: {program}", where="--tool", why=why, fix=fix)
    return name, [os.path.abspath(path), *words[1:]]


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables for a child: all but those that hold a credential for the service or for a proxy, whatever they are
    called. This keeps keys out of logs; it is no isolation, since a child can read the environment of its parent."""
    secrets = Redactor(*(value for name in _NOT_INHERITED if len(value := inherited.get(name, "")) >= 8))
    return {
        name: value
        for name, value in inherited.items()
        if name not in _NOT_INHERITED
        and secrets.redact_known(raw := os.fsencode(value)) == raw
        and not is_known(value)
        and not (name.upper().endswith(("_PROXY", "_BASE_URL")) and url_credentials(value))
    }


async def run(name: str, argv: Sequence[str], args: dict[str, Any]) -> Any:
    """Run a command once and return its output, as JSON or text. Raises ToolFailure. When cancelled, it is killed."""
    try:
        transport, child = await _spawn(argv)
    except (OSError, ValueError) as problem:
        raise ToolFailure(f"{name} could not be started: {getattr(problem, 'strerror', None) or problem}") from None
    with contextlib.closing(transport):
        try:
            stdin: Any = transport.get_pipe_transport(0)
            stdin.write(codec.dump(args))
            stdin.close()  # once it has read all
            await child.gone.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.closed.wait(), _GRACE)
        finally:
            if transport.get_returncode() is None:
                process.kill_group(transport.get_pid())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(child.gone.wait(), 1)
    if child.too_much:
        raise ToolFailure(f"{name} printed more than {SIZE:,} bytes and was stopped: let it print less")
    return _result(name, transport.get_returncode() or 0, bytes(child.out), bytes(child.err))


async def _spawn(argv: Sequence[str]) -> tuple[asyncio.SubprocessTransport, _Child]:
    """Start it. On cancellation asyncio would kill only the program, and not the children it has by then."""
    exec_ = asyncio.get_running_loop().subprocess_exec
    spawning = asyncio.ensure_future(exec_(_Child, *argv, start_new_session=True, env=environment(os.environ)))
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
    """The output of a child. `gone` is set when the process has ended, `closed` when nothing more can come."""

    def __init__(self) -> None:
        self.out, self.err = bytearray(), bytearray()
        self.too_much = False
        self.gone, self.closed = asyncio.Event(), asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.err = (self.err + data)[-_STDERR:]
        elif len(self.out) + len(data) <= SIZE:
            self.out += data
        else:
            self.too_much = True
            if self._transport.get_returncode() is None:
                process.kill_group(self._transport.get_pid())

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def process_exited(self) -> None:
        self.gone.set()
