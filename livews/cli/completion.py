"""`livews completion`: print a script that makes a shell complete commands, options and file names."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from livews.cli import COMMANDS, command_module
from livews.cli import options as opt
from livews.cli.console import Console

SHELLS = ("bash", "zsh", "fish", "powershell")
_FILES = ("FILE", "OUT", "PATH", "FOLDER", "SCENARIO")
"""Placeholders that stand for a file, also as the beginning of one, such as FILE.wav."""
_NOTES = """Load it in the current shell, or at each start of the shell (~/.bashrc, ~/.zshrc, $PROFILE):
  bash         eval "$(livews completion bash)"
  zsh          eval "$(livews completion zsh)"
  fish         livews completion fish | source
  powershell   livews completion powershell | Out-String | Invoke-Expression"""


def parser() -> opt.Parser:
    parser = opt.Parser(
        prog="livews completion",
        description="Print a script that makes a shell complete livews commands, options and file names.",
        notes=_NOTES,
    )
    parser.add("", {"shell": {"choices": SHELLS, "help": "the shell"}}, "--color")
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    return parser().parse_args(argv)


def run(options: argparse.Namespace, console: Console) -> int:
    import shtab

    console.write(shtab.complete(whole_parser(), options.shell).rstrip() + "\n")
    return 0


def whole_parser() -> argparse.ArgumentParser:
    """One parser of all commands; that of `talk` is also the one without a command."""
    parsers: dict[str, argparse.ArgumentParser] = {name: command_module(name).parser() for name in COMMANDS}
    parser = argparse.ArgumentParser(prog="livews")
    for action in parsers["talk"]._actions:
        if action.option_strings and action.dest != "help":
            parser._add_action(action)
    commands = parser.add_subparsers(dest="command")
    for name, about in COMMANDS.items():
        commands.add_parser(name, help=about, parents=[parsers[name]], add_help=False)
    _complete_files(parser)
    return parser


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Complete file names wherever a placeholder stands for a file."""
    import shtab

    for action in parser._actions:
        about: Any = action
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                _complete_files(command)
        elif isinstance(action.metavar, str) and action.metavar.startswith(_FILES):
            about.complete = shtab.FILE
