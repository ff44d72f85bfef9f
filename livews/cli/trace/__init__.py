"""`livews trace`: show, check, measure, compare, cut, redact, convert and replay recorded sessions.

- Each tool is a module with `run(options, console)`; its options are in `livews/cli/options.json`.
- The result is on stdout or in the file after -o; notes for people are on stderr.
- Files are read as streams, `-` is stdin; no tool overwrites what it reads.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from livews.cli.console import Console
from livews.cli.options import TOOLS
from livews.errors import BadRequest


def run(options: argparse.Namespace, console: Console) -> int:
    try:
        code: int = import_module(TOOLS[options.tool]["module"]).run(options, console)
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
