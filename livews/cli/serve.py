"""`livews serve`: run the stand-in on a port until Ctrl-C, SIGTERM, SIGHUP or SIGQUIT."""

import argparse
import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from livews.cli.console import Console
from livews.cli.server_command import SessionFiles, server_run, who_can_connect
from livews.errors import BadRequest
from livews.exit_codes import Exit
from livews.recorder import Recorder
from livews.redactor import Redactor
from livews.server import faults
from livews.server.config import StandInConfig
from livews.server.script import load_all
from livews.server.server import serve_stand_in
from livews.trace.view import TraceView
from livews.trace.writer import TraceFile


def run(options: argparse.Namespace, console: Console) -> int:
    is_file = options.trace.endswith(".jsonl") or (options.trace not in ("", "-") and Path(options.trace).is_file())
    if is_file:
        options.parser.error("--trace names a folder here: it holds a file per session")
    if "help" in options.fault:
        _list_faults(console)
        return Exit.OK
    return asyncio.run(_serve(options, console))


def _list_faults(console: Console) -> None:
    for name, kind in faults.KINDS.items():
        console.say(f"{name + kind.usage:28} {kind.help}{f' (default {kind.default})' if kind.default else ''}")
    console.say("@N: at the server's N-th message; without it at the second, for close at the first (setupComplete)")
    console.say("-every: in each N-th turn of each connection; without @N in each turn")
    console.say("ID: an id in protocol/closes.json; `livews explain CODE REASON` shows it in brackets")


async def _serve(options: argparse.Namespace, console: Console) -> int:
    config = _config(options, console)
    async with server_run(options, console, "stand-in") as run:
        config.fail = run.fail
        try:
            server = await run.listen(serve_stand_in(options.host, options.port, config, run.tls()), options.port)
        except ValueError as problem:
            raise BadRequest(str(problem), where="--voice", fix="use --voice tones, which needs nothing") from None

        def session_ended() -> None:
            if options.once and server.played >= max(1, len(config.scripts)):
                run.stop.set()

        config.session_ended = session_ended
        console.say(server.url)
        names = ", ".join(script.name for script in config.scripts)
        about = f"playing {names}" if names else f"its voice is {server.speech.name}"
        console.note(f"the livews stand-in is listening, {about}; Ctrl-C ends it")
        if others := who_can_connect(options.host):
            console.warn(f"{others} can use this stand-in, too; --host 127.0.0.1 is for this machine only")
        run.say_how_to_trust(server.url)
    return Exit.CHECK_FAILED if server.differences else Exit.OK


def recording(options: argparse.Namespace, console: Console) -> Callable[[int, str, str], Recorder] | None:
    """What makes the recorder of a session from its number, URL and credential; None without --trace."""
    if not options.trace:
        return None
    files = SessionFiles(options.trace, folder=True)
    if options.trace != "-":
        TraceFile.check(files.first)

    def record(number: int, url: str, credential: str) -> Recorder:
        secrets = Redactor(credential)
        if options.trace == "-":
            return TraceView(lambda line: console.line(f"{number:>3} {line}"), console.paint, secrets.redact)
        return TraceFile(files.take(number), url=url, side="stand-in", secrets=secrets)

    return record


def _config(options: argparse.Namespace, console: Console) -> StandInConfig:

    try:
        wrong = [faults.parse(text) for text in options.fault]
    except ValueError as problem:
        raise BadRequest(str(problem), where="--fault", fix="livews serve --fault help lists them") from None
    alike = ("lenient", "pace", "time_scale", "voice", "heard", "reply", "calls", "sessions_per_key", "go_away",
             "fast", "patience")  # fmt: skip
    return StandInConfig(
        as_of=options.as_of or "",
        wire=dict(options.wire),
        faults=wrong,
        seed=os.urandom(8).hex(),
        require_key=options.require_key or console.environment.variables.get("LIVEWS_REQUIRE_KEY", ""),
        origins=options.allow_origin,
        scripts=load_all(options.scripts),
        log=console.note,
        record=recording(options, console),
        **{name: getattr(options, name) for name in alike},
    )
