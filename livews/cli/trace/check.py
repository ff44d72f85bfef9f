"""`livews trace check`: judge recorded sessions by the schemas and rules."""

from __future__ import annotations

import argparse

from livews.cli import options as opt
from livews.cli.console import Console

ABOUT = "check a trace against the schemas and rules"
EXAMPLE = "livews trace check session.jsonl"


def add(tool: opt.Parser) -> None:
    files = {"files": {"nargs": "+", "metavar": "FILE", "help": opt.SHARED["FILE"]["help"]}}
    tool.add("", files, "--strict", "--json")


def run(options: argparse.Namespace, console: Console) -> int:
    from livews.cli.check import check_files

    return check_files(options, console, traces=True)
