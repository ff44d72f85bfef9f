"""`livews serve`: the stand-in on a port, until Ctrl-C or SIGTERM. Its URL is the first line of stdout."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livews.cli import listen_options, tls_options
from livews.cli.console import COLOR_HELP, Console
from livews.cli.signals import stopped_by_signals

if TYPE_CHECKING:
    from livews.recorder import Recorder
    from livews.server.config import StandInConfig
    from livews.server.server import StandInServer


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews serve",
        description="Run the stand-in: a server that speaks the Live API's wire, needs no key and no network, "
        "and says what it is. With a SCENARIO (.json) or a trace (.jsonl) it plays that instead, one a connection.",
        epilog="Point a client at it: livews --url URL, GOOGLE_GEMINI_BASE_URL=URL, or baseUrl in an SDK's options. "
        "URL/livews/status, with http in front, tells its state as JSON.",
    )
    parser.add_argument("scripts", nargs="*", metavar="SCENARIO", help="a scenario, or a trace to replay")
    where = parser.add_argument_group("where").add_argument
    where("--port", type=listen_options.port, default=8765, help="port; 0 picks a free one (default 8765)")
    where("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    tls_options.add_flags(where)

    time = parser.add_argument_group("time").add_argument
    time("--pace", type=_pace, default=1.0, help="scales the short waits: 1 as the service, 0 at once")
    time(
        "--time-scale", type=_scale, default=1.0, metavar="N", help="long times (a connection's life) N times shorter"
    )
    time("--go-away", type=_seconds, default=0.0, metavar="S", help="goAway S seconds after setupComplete")
    time("--fast", action="store_true", help="replay a trace without its timing")
    time(
        "--patience",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="how long a script waits for a client (default 30)",
    )

    what = parser.add_argument_group("what it says and takes").add_argument
    what(
        "--voice",
        default="tones",
        metavar="NAME",
        help="what speaks: tones, espeak-ng, espeak, say, or auto for a speech command if there is one (default tones)",
    )
    what("--reply", choices=("words", "echo"), default="words", help="echo also plays a spoken turn back")
    what("--heard", action="append", default=[], metavar="TEXT", help="the words of a client's next spoken turn")
    what(
        "--calls",
        choices=("auto", "always", "never"),
        default="auto",
        help="call a declared function when a prompt names it, the first one always, or never",
    )
    what("--require-key", default="", metavar="KEY", help="refuse other keys, as the service does")
    what("--sessions-per-key", type=_count, default=0, metavar="N", help="refuse session N+1 of a key (1011 quota)")
    what("--as-of", type=_month, default=None, metavar="MONTH", help="refuse what was refused then, as in 2026-03")
    what(
        "--wire", action="append", type=_trait, default=[], metavar="NAME=VALUE",
        help="a member of the model profile's `wire`, as in toolCallEndsTurn=true",
    )  # fmt: skip
    what(
        "--fault", action="append", default=[], metavar="NAME[=VALUE][@N]",
        help="do this wrong, @N at the N-th message; `--fault help` lists them",
    )  # fmt: skip

    look = parser.add_argument_group("what is shown").add_argument
    look(
        "--trace", default="", metavar="FOLDER", help="keep every session as FOLDER/session-1.jsonl, ...; - shows it"
    )
    look("--once", action="store_true", help="end after the first session (with scripts: after one of each)")
    look("--quiet", action="store_true", help="no line a session on stderr")
    look("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
    options = parser.parse_args(argv)
    tls_options.check(parser, options)
    if options.fast and not options.scripts:
        parser.error("--fast goes with a trace to replay")
    unused = [flag for flag in _FREE if getattr(options, flag) != parser.get_default(flag)]
    if options.scripts and unused:
        flag = unused[0].replace("_", "-")
        parser.error(f"--{flag} does not go with a script, which says itself what the server does")
    if options.trace.endswith(".jsonl") or (options.trace not in ("", "-") and Path(options.trace).is_file()):
        parser.error("--trace names a folder here: each session has a file of its own in it")
    if "help" in options.fault:
        _list_faults()
        parser.exit(0)
    return options


_FREE = ("go_away", "time_scale", "reply", "heard", "calls", "require_key", "sessions_per_key", "as_of", "wire")
"""Flags about a stand-in that answers by itself."""


def _list_faults() -> None:
    from livews.server.faults import KINDS

    for name, kind in KINDS.items():
        value = f"={kind.value}" if kind.value else ""
        about = f" (default {kind.default})" if kind.default else ""
        print(f"{name + value + ('[@N]' if kind.once else ''):28} {kind.help}{about}")
    print("@N: at the server's N-th message; without it the second, for close the first (setupComplete)")
    print("ID: an id of protocol/closes.json, as `livews explain CODE REASON` tells it in brackets")


def _number(text: str, low: float, high: float, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text} is no {what}: a number from {low:g} to {high:g}")
    return number


def _pace(text: str) -> float:
    return _number(text, 0, 100, "pace")


def _scale(text: str) -> float:
    return _number(text, 0.01, 100_000, "scale")


def _seconds(text: str) -> float:
    return _number(text, 0.001, 86_400, "time in seconds")


def _count(text: str) -> int:
    return int(_number(text, 1, 1_000_000, "count"))


def _month(text: str) -> str:
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])(-\d\d)?", text):
        raise argparse.ArgumentTypeError(f"{text} is no month: write it as in 2026-03")
    return text[:7]


def _trait(text: str) -> tuple[str, Any]:
    """NAME=VALUE of a profile's `wire`, the value in JSON or as a bare word, of the kind the profile has."""
    from livews.core import codec, models, protocol

    name, equals, value = text.partition("=")
    known = models.profile("")["wire"]
    if not equals or name not in known:
        raise argparse.ArgumentTypeError(f"{text}: NAME=VALUE is wanted, NAME one of {', '.join(known)}")
    try:
        made = codec.parse_any(value.encode())
    except codec.WireError:
        made = value
    if isinstance(made, str) and made not in (allowed := protocol.models()["wireValues"].get(name, [made])):
        raise argparse.ArgumentTypeError(f"{name} is one of {', '.join(allowed)}, not {made}")
    kind = (int, float) if isinstance(known[name], (int, float)) else type(known[name])
    if not isinstance(made, kind) or isinstance(made, bool) is not isinstance(known[name], bool):
        raise argparse.ArgumentTypeError(f"{name} is written like {codec.dump(known[name]).decode()}, not {value}")
    if name == "chunkMs" and not 1 <= made <= 10_000:
        raise argparse.ArgumentTypeError("chunkMs is a number of milliseconds from 1 to 10000")
    return name, made


def run(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    return asyncio.run(_serve(options, console))


def _policy(options: argparse.Namespace, console: Console) -> StandInConfig:
    import os

    from livews.errors import BadRequest
    from livews.server import faults
    from livews.server.config import StandInConfig
    from livews.server.script import load_all

    try:
        wrong = [faults.parse(text) for text in options.fault]
    except ValueError as problem:
        raise BadRequest(str(problem), where="--fault", fix="livews serve --fault help lists them") from None
    return StandInConfig(
        pace=options.pace,
        time_scale=options.time_scale,
        require_key=options.require_key,
        as_of=options.as_of or "",
        wire=dict(options.wire),
        faults=wrong,
        voice=options.voice,
        heard=options.heard,
        reply=options.reply,
        calls=options.calls,
        sessions_per_key=options.sessions_per_key,
        go_away=options.go_away,
        seed=os.urandom(8).hex(),
        scripts=load_all(options.scripts),
        fast=options.fast,
        patience=options.patience,
        log=console.note,
    )


async def _serve(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    from livews.errors import BadRequest, LivewsError
    from livews.exit_codes import Exit
    from livews.server.server import serve_stand_in

    policy = _policy(options, console)
    stop = asyncio.Event()
    failed: list[LivewsError] = []

    def fail(problem: LivewsError) -> None:
        failed.append(problem)
        stop.set()

    policy.record, policy.fail = _recording(options, console), fail
    with contextlib.ExitStack() as stack:
        stack.enter_context(stopped_by_signals(stop))
        context = None
        if options.tls:
            ca = stack.enter_context(tls_options.ca_file(options))
            context = tls_options.context(ca, options.host, "stand-in")
        try:
            async with serve_stand_in(options.host, options.port, policy, context) as house:
                policy.session_ended = lambda: _maybe_stop(options, house, stop)
                console.say(house.url)
                console.note(f"the livews stand-in is listening, {_plays(house, options)}; Ctrl-C ends it")
                if options.tls:
                    tls_options.tell(console, house.url, ca)
                await stop.wait()
        except ValueError as problem:
            raise BadRequest(str(problem), where="--voice", fix="--voice tones needs nothing") from None
        except OSError as problem:
            raise listen_options.cannot(options, problem) from None
    if failed:
        raise failed[0]
    return Exit.CHECK_FAILED if house.differences else Exit.OK


def _plays(house: StandInServer, options: argparse.Namespace) -> str:
    if options.scripts:
        names = ", ".join(script.name for script in house.config.scripts)
        return f"playing {names}"
    return "its voice is tones" if house.speech.name == "tones" else f"its voice is {house.speech.name}"


def _maybe_stop(options: argparse.Namespace, house: StandInServer, stop: Any) -> None:
    if options.once and house.total - len(house.sessions) >= max(1, len(house.config.scripts)):
        stop.set()


def _recording(options: argparse.Namespace, console: Console) -> Any:
    """What makes the recorder of a session, None without --trace."""
    if not options.trace:
        return None

    folder = Path(options.trace)
    kept = [re.fullmatch(r"session-(\d+)\.jsonl", file.name) for file in folder.glob("session-*.jsonl")]
    before = max((int(found[1]) for found in kept if found), default=0)  # what is there is not added to

    def record(number: int, url: str, credential: str) -> Recorder:
        from livews.redactor import Redactor
        from livews.trace.view import TraceView
        from livews.trace.writer import TraceFile

        secrets = Redactor(credential)
        if options.trace == "-":
            return TraceView(lambda line: console.line(f"{number:>3} {line}"), console.paint, secrets.redact)
        file = folder / f"session-{before + number}.jsonl"
        return TraceFile(file, url=url, side="stand-in", redact=secrets.redact_known)

    return record
