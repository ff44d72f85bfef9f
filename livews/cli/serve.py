"""`livews serve`: the stand-in on a port, until Ctrl-C or SIGTERM. Its URL is the first line of stdout."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from livews.cli.terminal import COLOR_HELP, Console


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews serve",
        description="Run the stand-in: a server that speaks the Live API's wire, needs no key and no network, "
        "and says what it is.",
        epilog="Point a client at it: livews --url URL, GOOGLE_GEMINI_BASE_URL=URL, or baseUrl in an SDK's options.",
    )
    parser.add_argument("--port", type=_port, default=8765, help="port; 0 picks a free one (default 8765)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--pace", type=_pace, default=1.0, help="scales every wait: 1 as the service, 0 at once")
    parser.add_argument("--require-key", default="", metavar="KEY", help="refuse other keys, as the service does")
    parser.add_argument("--quiet", action="store_true", help="no line a session on stderr")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
    return parser.parse_args(argv)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: a number from 0 to 65535")
    return int(text)


def _pace(text: str) -> float:
    try:
        pace = float(text)
    except ValueError:
        pace = -1
    if not 0 <= pace <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no pace: a number from 0 to 100")
    return pace


def run(options: argparse.Namespace, console: Console) -> int:
    import asyncio

    return asyncio.run(_serve(options, console))


async def _serve(options: argparse.Namespace, console: Console) -> int:
    import asyncio
    import signal
    import sys

    from livews.core.errors import Exit, Unreachable
    from livews.kit.standin import Policy, stand_in

    policy = Policy(pace=options.pace, require_key=options.require_key, log=console.note)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        if sys.platform != "win32":
            loop.add_signal_handler(name, stop.set)
    try:
        async with stand_in(options.host, options.port, policy) as url:
            console.say(url)
            console.note("the livews stand-in is listening; Ctrl-C ends it")
            await stop.wait()
    except OSError as problem:
        raise Unreachable(
            f"cannot listen on {options.host}:{options.port}",
            why=problem.strerror or str(problem),
            cure="--host names an address of this machine" if options.port == 0 else "--port 0 picks a free port",
        ) from None
    return Exit.OK
