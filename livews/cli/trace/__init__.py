"""`livews trace`: show, check, measure, compare, cut, redact, convert and replay recorded sessions.

- Each tool is a module with `ABOUT`, `add(parser)` and `run(options, console)`; `check(parser, options)` refuses
  contradictory options.
- The result is on stdout or in the file after -o; notes for people are on stderr.
- Files are read as streams, `-` is stdin; no tool overwrites what it reads.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from livews.cli.console import Console
from livews.cli.options import Parser

TOOLS = {
    "show": "livews.cli.trace.show",
    "check": "livews.cli.trace.check",
    "stats": "livews.cli.trace.stats",
    "diff": "livews.cli.trace.diff",
    "replay": "livews.cli.replay",
    "cut": "livews.cli.trace.cut",
    "redact": "livews.cli.trace.redact",
    "export": "livews.cli.trace.export",
    "html": "livews.cli.trace.html",
    "import": "livews.cli.trace.import_har",
}
"""Tools and their modules."""


def parser() -> Parser:
    parser = Parser(
        prog="livews trace",
        description="Work with recorded sessions: what `livews --trace FILE` wrote.",
        example="livews trace show session.jsonl",
        notes="A FILE is a trace (JSON lines, format livews-trace 1); - is stdin. See `livews trace TOOL --help`.\n"
        "To replay its server to a client: livews serve FILE. To replay its client: livews trace replay FILE --to URL.",
    )
    tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")
    for name, path in TOOLS.items():
        module: Any = import_module(path)
        about = module.ABOUT
        tool = tools.add_parser(
            name, help=about, description=f"{about[0].upper()}{about[1:]}.", example=module.EXAMPLE
        )
        module.add(tool)
        tool.add("", "--quiet", "--color")
        tool.set_defaults(parser=tool)
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    options = parser().parse_args(argv)
    if check := getattr(import_module(TOOLS[options.tool]), "check", None):
        check(options.parser, options)
    return options


def run(options: argparse.Namespace, console: Console) -> int:
    from livews.errors import BadRequest

    try:
        code: int = import_module(TOOLS[options.tool]).run(options, console)
        console.environment.stdout.flush()
        return code
    except BrokenPipeError:
        raise
    except OSError as problem:
        console.environment.abandon_stdout()
        what, fix = (
            f"the output cannot be written: {problem.strerror or problem}",
            "free disk space, or redirect stdout",
        )
        raise BadRequest(what, where="stdout", fix=fix) from None
