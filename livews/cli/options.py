"""The commands and their options, read from `options.json` as parsers of argparse.

- A row of the file holds the arguments of argparse's `add_argument`; `option` or `argument` is its name. An option without
  metavar, choices or action is a flag; one with a metavar is "" when it is left out, or [] if it may be repeated.
- A string in place of a row is the name of a row in `shared`, or of a list in `lists`. A row with `like` is such a shared
  row with changes; `more` is added to its help.
- A contradiction is a list of terms and what is said when all are true. `A|B` is true if one of the two was given, `not A`
  if A was not, `A=value` if A has that value; {option} is the one of the first term that was given. The rows at the top
  are about every command that has these options.
- `--help` has to start quickly: neither typing nor shutil is imported, which cost more than the rest of this.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module

from livews.version import __version__

TYPE_CHECKING = False  # typing would be a tenth of the start-up
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from livews.cli.console import Console

with open(os.path.join(os.path.dirname(__file__), "options.json"), encoding="utf-8") as _file:
    DATA: dict[str, Any] = json.load(_file)

COMMANDS: dict[str, str] = {name: command["about"] for name, command in DATA["commands"].items()}
"""Every command, and what it does."""
TOOLS: dict[str, dict[str, Any]] = DATA["commands"]["trace"]["tools"]
"""The tools of `livews trace`."""


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of a command. The options that it gives have itself as `parser`, and what runs the command as `run`: MODULE:FUNCTION."""
    command = DATA["commands"][name]
    parser = _Parser(prog=command.get("prog", f"livews {name}"), **_texts(command))
    _add_options(parser, command)
    parser.set_defaults(run=command["run"])
    if "tools" in command:
        tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")
        for tool, about in TOOLS.items():
            first = about["description"].partition(". ")[0].rstrip(".")
            _add_options(tools.add_parser(tool, help=first[0].lower() + first[1:], **_texts(about)), about)
    return parser


def function(path: str) -> Callable[[argparse.Namespace, Console], int]:
    """What MODULE:FUNCTION names, imported now."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)  # type: ignore[no-any-return]


def refuse_contradictions(options: argparse.Namespace) -> None:
    """Fail as argparse does if options contradict each other."""

    def matching(term: str) -> str:
        """The option that makes a term true; "" if it is not."""
        if term.startswith("not "):
            return "" if matching(term[4:]) else term
        return next((name for name in term.split("|") if is_given(*name.partition("="))), "")

    def is_given(name: str, equals: str, wanted: str) -> bool:
        dest = name.lstrip("-").replace("-", "_")
        value = getattr(options, dest, None)
        if equals:
            return wanted in value if isinstance(value, list) else bool(value == wanted)
        return value not in (None, [], options.parser.get_default(dest))

    for *terms, message in (*DATA["contradictions"], *options.contradictions):
        if all(given := [matching(term) for term in terms]):
            options.parser.error(message.format(option=given[0]))


class _Parser(argparse.ArgumentParser):
    """Prints as every command does, so that no credential of a mistyped option is shown, and a full disk is reported."""

    def error(self, message: str) -> NoReturn:
        from livews.redactor import HIDDEN, is_secret_name

        between = r"=|\s+" if message.startswith("unrecognized arguments:") else "="
        super().error(
            re.sub(
                rf"(?<!\S)(--?([\w-]+)(?:{between}))[^\s-]\S*",
                lambda match: f"{match[1]}{HIDDEN}" if is_secret_name(match[2]) else match[0],
                message,
            )
        )

    def _print_message(self, message: str, file: Any = None) -> None:
        from livews.cli.console import Console, Environment

        console = Console(environment=Environment())
        if file is sys.stdout:
            console.write_own(message)
        else:
            console.line(message.rstrip("\n"))


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps descriptions and epilogs, but leaves indented lines (the examples) as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_terminal_width() - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        return "\n".join(line if line.startswith(" ") else super(_HelpFormatter, self)._fill_text(line, width, indent)
                         for line in lines)  # fmt: skip


@cache
def _terminal_width() -> int:
    """Columns of the terminal as argparse measures them, which imports shutil for it and asks at each option."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def _texts(command: dict[str, Any]) -> dict[str, Any]:
    """What the parser of a command says about it."""
    commands = "\n".join(f"  {name:<10} {about}" for name, about in COMMANDS.items())
    return {
        "usage": command.get("usage"),
        "description": command["description"],
        "epilog": "\n".join(command["epilog"]).replace("{commands}", commands),
        "formatter_class": _HelpFormatter,
    }


def _add_options(parser: argparse.ArgumentParser, command: dict[str, Any]) -> None:
    for title, rows in command["groups"].items():
        group = parser.add_argument_group(title) if title else parser
        for row in rows:
            for name in DATA["lists"].get(row, [row]) if isinstance(row, str) else [row]:
                flags, arguments = _arguments({"like": name} if isinstance(name, str) else name)
                group.add_argument(*flags, **arguments)
    parser.set_defaults(parser=parser, contradictions=command.get("contradictions", []))


def _arguments(row: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The arguments of `add_argument` for a row: the names of an option, and the others."""
    shared = DATA["shared"][row["like"]] if "like" in row else {}
    row = {"option": row.get("like"), **shared, **row}
    names = row.get("argument", row["option"]).split(", ")
    more = {key: value for key, value in row.items() if key not in ("option", "argument", "like", "more")}
    more["help"] += row.get("more", "")
    if "type" in row:
        more["type"] = _TYPES.get(row["type"]) or _number(**DATA["types"][row["type"]])
    action = row.get("action")
    if action == "version":
        more["version"] = f"livews {__version__}"
    elif names[0].startswith("-"):
        if "metavar" in row:
            more.setdefault("default", [] if action == "append" else "")
        elif "choices" not in row:
            more.setdefault("action", "store_true")
    return names, more


# Types


def _number(what: str, low: float, high: float, expected: str, whole: bool = False) -> Callable[[str], float]:
    """The type of an option that takes a number from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            result = int(text) if whole else float(text)
        except ValueError:
            result = float("nan")
        if not low <= result <= high:
            raise argparse.ArgumentTypeError(f"invalid {what} {text}: expected {expected}")
        return result

    return parse


def _origin(text: str) -> str:
    """An origin as a browser writes it: without path, final slash or the default port of its scheme."""
    match = re.fullmatch(r"\*|null|(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?/?", text.lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"invalid origin {text}: expected https://example.com, or * for any")
    scheme, host, port = match.groups()
    if scheme is None:
        return text
    return f"{scheme}://{host}{'' if port == {'http': ':80', 'https': ':443'}[scheme] else port or ''}"


def _month(text: str) -> str:
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])(-\d\d)?", text):
        raise argparse.ArgumentTypeError(f"invalid month {text}: expected YYYY-MM or YYYY-MM-DD, such as 2026-03")
    return text


def _trait(text: str) -> tuple[str, Any]:
    """NAME=VALUE of a profile's `wire`: JSON or a bare word, of the type that the profile has."""
    from livews.core import codec, models, protocol

    name, equals, text_value = text.partition("=")
    wire = models.profile("")["wire"]
    if not equals or name not in wire:
        raise argparse.ArgumentTypeError(f"invalid value {text}: expected NAME=VALUE, NAME one of {', '.join(wire)}")
    usual = wire[name]
    try:
        result = codec.parse_any(text_value.encode())
    except codec.WireError:
        result = text_value
    allowed = protocol.models()["wireValues"].get(name)
    if allowed and result not in allowed:
        raise argparse.ArgumentTypeError(f"{name} is one of {', '.join(allowed)}, not {text_value}")
    kind = (int, float) if isinstance(usual, (int, float)) else type(usual)
    if not isinstance(result, kind) or isinstance(result, bool) is not isinstance(usual, bool):
        raise argparse.ArgumentTypeError(f"{name} is written like {codec.dump(usual).decode()}, not {text_value}")
    if name == "chunkMs" and not 1 <= result <= 10_000:
        raise argparse.ArgumentTypeError("chunkMs is a number of milliseconds from 1 to 10000")
    return name, result


def _compression(text: str) -> dict[str, Any]:
    """TRIGGER[:TARGET] as contextWindowCompression; `-` leaves both to the service."""
    from livews.core import protocol

    if text == "-":
        return {"slidingWindow": {}}
    at = "/setup/contextWindowCompression/triggerTokens"
    low, high = next(row["within"] for row in protocol.load("rules.json")["checks"] if row["at"] == at)
    match = re.fullmatch(r"(\d{1,9})(?::(\d{1,9}))?", text)
    trigger, target = (int(match[1]), int(match[2] or 0)) if match else (0, 0)
    if not low <= trigger <= high or target >= trigger:
        expected = f"{low} to {high} tokens, then : and fewer tokens, or nothing"
        raise argparse.ArgumentTypeError(f"invalid size {text}: expected {expected}")
    return {"triggerTokens": trigger, "slidingWindow": {"targetTokens": target} if target else {}}


_TYPES: dict[str, Callable[[str], Any]] = {
    "origin": _origin,
    "month": _month,
    "trait": _trait,
    "compression": _compression,
}
"""The types that are not numbers; those are in the file."""
