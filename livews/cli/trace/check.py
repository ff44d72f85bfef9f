"""`livews trace check`: judge recorded sessions by the schemas and rules."""

from __future__ import annotations

import argparse

from livews.cli.check import check_files
from livews.cli.console import Console


def run(options: argparse.Namespace, console: Console) -> int:
    return check_files(options, console, traces=True)
