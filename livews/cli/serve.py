"""`livews serve`: run the stand-in on a port until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livews.cli import options as opt
from livews.cli.console import Console

if TYPE_CHECKING:
    from livews.recorder import Recorder
    from livews.server.config import StandInConfig

_NOT_FOR_SCRIPTS = (
    "go_away",
    "time_scale",
    "reply",
    "heard",
    "calls",
    "require_key",
    "sessions_per_key",
    "as_of",
    "wire",
)
"""Options about a stand-in that answers by itself."""


def parser() -> opt.Parser:
    parser = opt.Parser(
        prog="livews serve",
        description="Run the stand-in: a local server that speaks the Live API, needs neither a key nor a network, and "
        "says that it is not Gemini. With a SCENARIO (.json) or a trace (.jsonl) it plays that instead, one a connection.",
        example="livews serve --fault stall@3",
        notes="Point a client at it: livews --url URL, GOOGLE_GEMINI_BASE_URL=URL, or baseUrl in an SDK's options.\n"
        "URL/livews/status, with http://, returns its state as JSON.",
    )
    parser.add("", {"scripts": {"nargs": "*", "metavar": "SCENARIO", "help": "a scenario, or a trace to replay"}})
    parser.add("where to listen", opt.shared("--port", " (default 8765)", default=8765), "--host", "--tls", "--ca")
    duration = opt.number("duration", 0.001, 86_400, "seconds")
    parser.add(
        "time",
        {
            "--pace": opt.value("N", "scale short waits: 1 as the service (default), 0 none", 1.0, type=_pace),
            "--time-scale": opt.value("N", "make long times (a connection's life) N times shorter", 1.0, type=_scale),
            "--go-away": opt.value("S", "send goAway S seconds after setupComplete", 0.0, type=duration),
            "--fast": opt.flag("replay a trace without its timing"),
            "--patience": opt.value("S", "seconds a script waits for a client (default 30)", 30.0, type=duration),
        },
    )
    parser.add(
        "what it says and accepts",
        {
            "--voice": opt.value("NAME", "what speaks: auto (default), tones, espeak-ng or say", "auto"),
            "--reply": opt.choice(("words", "echo"), "echo: play a spoken turn back, too", "words"),
            "--heard": opt.repeated("TEXT", "the transcript of a client's next spoken turn"),
            "--calls": opt.choice(
                ("auto", "always", "never"),
                "when to call a declared function; auto: if a prompt names it, always: the first one",
                "auto",
            ),
            "--require-key": opt.value("KEY", "refuse other keys, as the service does"),
            "--sessions-per-key": opt.value("N", "refuse session N+1 of a key (1011 quota)", 0, type=_sessions),
            "--as-of": opt.value("MONTH", "emulate the service as of YYYY-MM", None, type=_month),
            "--wire": opt.repeated(
                "NAME=VALUE", "change a member of the model profile's `wire`, e.g. toolCallEndsTurn=true", type=_trait
            ),
            "--fault": opt.repeated(
                "NAME[=VALUE][@N]",
                "inject a fault, e.g. `stall@3` at the third server message; `--fault help` lists them",
            ),
        },
    )
    trace = opt.value("FOLDER", "write each session to FOLDER/session-1.jsonl, ...; - shows its messages on stderr")
    once = opt.shared("--once", " (with scripts: after one of each)")
    parser.add("output", {"--trace": trace}, once, "--quiet", "--color")
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    command = parser()
    options = command.parse_args(argv)
    command.refuse(options.ca and not options.tls, "--ca needs --tls")
    command.refuse(options.fast and not options.scripts, "--fast needs a trace to replay")
    for name in _NOT_FOR_SCRIPTS:
        refused = options.scripts and command.is_given(options, name)
        command.refuse(
            refused, f"--{name.replace('_', '-')} cannot be combined with a script, which decides that itself"
        )
    is_file = options.trace.endswith(".jsonl") or (options.trace not in ("", "-") and Path(options.trace).is_file())
    command.refuse(is_file, "--trace names a folder here: it holds a file per session")
    if "help" in options.fault:
        _list_faults()
        command.exit(0)
    return options


def run(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    return asyncio.run(_serve(options, console))


async def _serve(options: argparse.Namespace, console: Console) -> int:
    from livews.cli.server_command import server_run
    from livews.errors import BadRequest
    from livews.exit_codes import Exit
    from livews.server.server import serve_stand_in

    config = _config(options, console)
    config.record = recording(options, console)
    async with server_run(options, console, "stand-in") as run:
        config.fail = run.fail
        try:
            server = await run.listen(serve_stand_in(options.host, options.port, config, run.tls()), options.port)
        except ValueError as problem:
            raise BadRequest(str(problem), where="--voice", fix="use --voice tones, which needs nothing") from None

        def session_ended() -> None:
            if options.once and server.total - len(server.sessions) >= max(1, len(config.scripts)):
                run.stop.set()

        config.session_ended = session_ended
        console.say(server.url)
        scripts = ", ".join(script.name for script in config.scripts)
        about = f"playing {scripts}" if scripts else f"its voice is {server.speech.name}"
        console.note(f"the livews stand-in is listening, {about}; Ctrl-C ends it")
        run.say_how_to_trust(server.url)
    return Exit.CHECK_FAILED if server.differences else Exit.OK


def recording(options: argparse.Namespace, console: Console) -> Callable[[int, str, str], Recorder] | None:
    """What makes the recorder of a session from its number, URL and credential; None without --trace."""
    if not options.trace:
        return None
    from livews.cli.session_files import SessionFiles
    from livews.redactor import Redactor
    from livews.trace.view import TraceView
    from livews.trace.writer import TraceFile

    files = SessionFiles(options.trace, folder=True)

    def record(number: int, url: str, credential: str) -> Recorder:
        secrets = Redactor(credential)
        if options.trace == "-":
            return TraceView(lambda line: console.line(f"{number:>3} {line}"), console.paint, secrets.redact)
        return TraceFile(files.take(number), url=url, side="stand-in", redact=secrets.redact_known)

    return record


def _config(options: argparse.Namespace, console: Console) -> StandInConfig:
    import os

    from livews.errors import BadRequest
    from livews.server import faults
    from livews.server.config import StandInConfig
    from livews.server.script import scripts

    try:
        wrong = [faults.parse(text) for text in options.fault]
    except ValueError as problem:
        raise BadRequest(str(problem), where="--fault", fix="livews serve --fault help lists them") from None
    alike = ("pace", "time_scale", "require_key", "voice", "heard", "reply", "calls", "sessions_per_key", "go_away",
             "fast", "patience")  # fmt: skip
    return StandInConfig(
        as_of=options.as_of or "",
        wire=dict(options.wire),
        faults=wrong,
        seed=os.urandom(8).hex(),
        scripts=scripts(options.scripts),
        log=console.note,
        **{name: getattr(options, name) for name in alike},
    )


def _list_faults() -> None:
    from livews.server.faults import KINDS

    for name, kind in KINDS.items():
        value = f"={kind.value}" if kind.value else ""
        default = f" (default {kind.default})" if kind.default else ""
        print(f"{name + value + ('[@N]' if kind.once else ''):28} {kind.help}{default}")
    print("@N: at the server's N-th message; without it at the second, for close at the first (setupComplete)")
    print("ID: an id in protocol/closes.json; `livews explain CODE REASON` shows it in brackets")


_pace = opt.number("pace", 0, 100)
_scale = opt.number("scale", 0.01, 100_000)
_sessions = opt.whole("number", 1, 1_000_000)


def _month(text: str) -> str:
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])(-\d\d)?", text):
        raise argparse.ArgumentTypeError(f"invalid month {text}: expected YYYY-MM, such as 2026-03")
    return text[:7]


def _trait(text: str) -> tuple[str, Any]:
    """NAME=VALUE of a profile's `wire`: JSON or a bare word, of the type that the profile has."""
    from livews.core import codec, models, protocol

    name, equals, value = text.partition("=")
    wire = models.profile("")["wire"]
    if not equals or name not in wire:
        raise argparse.ArgumentTypeError(f"invalid value {text}: expected NAME=VALUE, NAME one of {', '.join(wire)}")
    usual = wire[name]
    try:
        result = codec.parse_any(value.encode())
    except codec.WireError:
        result = value
    allowed = protocol.models()["wireValues"].get(name, [result])
    if isinstance(result, str) and result not in allowed:
        raise argparse.ArgumentTypeError(f"{name} is one of {', '.join(allowed)}, not {result}")
    kind = (int, float) if isinstance(usual, (int, float)) else type(usual)
    if not isinstance(result, kind) or isinstance(result, bool) is not isinstance(usual, bool):
        raise argparse.ArgumentTypeError(f"{name} is written like {codec.dump(usual).decode()}, not {value}")
    if name == "chunkMs" and not 1 <= result <= 10_000:
        raise argparse.ArgumentTypeError("chunkMs is a number of milliseconds from 1 to 10000")
    return name, result
