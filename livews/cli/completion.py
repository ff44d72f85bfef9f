"""`livews completion`: print a script that makes a shell complete commands, options and file names."""

import argparse
from typing import Any

import shtab

from livews.cli.console import Console
from livews.cli.options import COMMANDS, parser_of

_FILES = ("FILE", "OUT", "PATH", "FOLDER", "SCENARIO")
"""Placeholders that stand for a file, also as the beginning of one, such as FILE.wav."""


def run(options: argparse.Namespace, console: Console) -> int:
    console.write(shtab.complete(whole_parser(), options.shell).rstrip() + "\n")
    return 0


def whole_parser() -> argparse.ArgumentParser:
    """One parser of all commands; that of `talk` is also the one without a command."""
    parsers: dict[str, argparse.ArgumentParser] = {name: parser_of(name) for name in COMMANDS}
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
    for action in parser._actions:
        about: Any = action
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                _complete_files(command)
        elif isinstance(action.metavar, str) and action.metavar.startswith(_FILES):
            about.complete = shtab.FILE
