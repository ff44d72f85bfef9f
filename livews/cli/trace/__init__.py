"""`livews trace`: show, check, measure, compare, cut, redact, convert and replay recorded sessions.

- The function of each tool, and its options, are named in `livews/cli/options.json`.
- The result is on stdout or in the file after -o; notes for people are on stderr.
- Files are read as streams, `-` is stdin; no tool overwrites what it reads.
"""

import argparse

from livews.cli.console import Console
from livews.cli.options import TOOLS, function


def run(options: argparse.Namespace, console: Console) -> int:
    with console.stdout_errors():
        code = function(TOOLS[options.tool]["run"])(options, console)
        console.environment.stdout.flush()
        return code
