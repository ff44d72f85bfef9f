"""Command line options as data: one row per shared option, so that its help is the same in every command.

- A command picks shared options by name, and adds rows of its own: `{**pick("--json"), "--kind": value(...)}`.
- A row holds the arguments of argparse's `add_argument`.
- Only argparse is imported: `--help` has to start quickly.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

COMMANDS = {
    "talk": "talk to the model (the default: `livews Hello` is `livews talk Hello`)",
    "serve": "run the stand-in, a server to test with that needs no key",
    "proxy": "forward a client's connection to the service, log every message and explain the close",
    "inspect": "show sessions on a page while they run, and write messages into them",
    "check": "check messages and traces against the schemas and rules",
    "trace": "work with recorded sessions: show, check, stats, diff, cut, redact, export, html, import, replay",
    "explain": "explain why a connection closed, or any name of the protocol",
    "devices": "list the audio devices",
    "doctor": "check key, network, session and audio, and say what to do",
    "completion": "print the completion script of a shell",
    "help": "show a page of the documentation, or the options of a command",
}
"""Every command, and what it does."""

Row = dict[str, Any]
Rows = Mapping[str, Row]
"""Options by name."""


def flag(text: str, **more: Any) -> Row:
    """An option without a value."""
    return {"action": "store_true", "help": text, **more}


def argument(metavar: str, text: str, **more: Any) -> Row:
    """A positional argument."""
    return {"metavar": metavar, "help": text, **more}


def value(metavar: str, text: str, default: Any = "", **more: Any) -> Row:
    """An option with a value."""
    return {"metavar": metavar, "help": text, "default": default, **more}


def repeated(metavar: str, text: str, **more: Any) -> Row:
    """An option that may be given more than once."""
    return value(metavar, text, [], action="append", **more)


def choice(names: Sequence[str], text: str, default: str | None = None, **more: Any) -> Row:
    """An option with one of several values."""
    return {"choices": names, "help": text, "default": default, **more}


def number(what: str, low: float, high: float, unit: str = "a number", expected: str = "") -> Callable[[str], float]:
    """The type of an option that takes a number from `low` to `high`; `expected`: what the refusal says instead."""

    def parse(text: str) -> float:
        try:
            result = float(text)
        except ValueError:
            result = math.nan
        if not low <= result <= high:
            words = expected or f"{unit} from {low:g} to {high:g}"
            raise argparse.ArgumentTypeError(f"invalid {what} {text}: expected {words}")
        return result

    return parse


def whole(what: str, low: int, high: int, unit: str = "a whole number") -> Callable[[str], int]:
    """The type of an option that takes an integer from `low` to `high`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"invalid {what} {text}: expected {unit} from {low} to {high}")
        return int(text)

    return parse


seconds = number("duration", 1e-9, 3600, expected="seconds, 0 < s <= 3600")
_time = number("time", -1e9, 1e9, expected="seconds, such as 12.5")


def _origin(text: str) -> str:
    """An origin as a browser writes it: without path, final slash or the default port of its scheme."""
    import re

    match = re.fullmatch(r"\*|null|(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?/?", text.lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"invalid origin {text}: expected https://example.com, or * for any")
    scheme, host, port = match.groups()
    if scheme is None:
        return text
    return f"{scheme}://{host}{'' if port == {'http': ':80', 'https': ':443'}[scheme] else port or ''}"


_port = whole("port", 0, 65535)
_count = whole("number", 1, 10**9)

SHARED: dict[str, Row] = {
    # output
    "--json": flag("print JSON lines instead of text"),
    "--quiet": flag("suppress progress output"),
    "--color": choice(("auto", "always", "never"), "when to use colour; auto: on a terminal (default)", "auto"),
    "--once": flag("exit after the first session"),
    "--trace-media": choice(("keep", "elide"), "what trace files keep of media: base64, or length and hash", "keep"),
    # where to connect
    "--url": value("URL", "server to dial: ws://, wss://, http:// or https://, a path prefix is kept"),
    "--offline": flag("use the built-in stand-in, even if a key is set"),
    "--token": value("TOKEN", "an ephemeral token (auth_tokens/...), or an OAuth token with --vertex"),
    "--vertex": flag("use Vertex AI instead of the Gemini API", default=None),
    "--project": value("ID", "Google Cloud project, for --vertex"),
    "--location": value("NAME", "a region, us, eu or global, for --vertex"),
    "--api-version": value("V", "v1beta, v1alpha or v1; on Vertex v1beta1 or v1"),
    "--timeout": value("S", "seconds to wait for a connection and its first answer (default 10)", 10.0, type=seconds),
    "--model": value("ID", "the model (default: the current one in protocol/models.json)"),
    # where to listen
    "--port": value("PORT", "port to listen on; 0 picks a free one", type=_port),
    "--host": value("ADDRESS", "address to listen on (default 127.0.0.1)", "127.0.0.1"),
    "--tls": flag("serve wss://, with a temporary certificate authority"),
    "--ca": value("FILE", "with --tls: write the certificate of the authority to FILE"),
    # a proxy
    "--upstream": value(
        "URL", "server to forward to: ws://, wss://, http:// or https://, a path prefix is kept (default: the service)"
    ),
    "--inject-key": flag("replace the client's credential with the one in this environment"),
    "--allow-origin": repeated(
        "ORIGIN", "let web pages of this origin connect, e.g. https://example.com; * is any, pages of this machine always may", type=_origin
    ),
    # traces
    "file": {"metavar": "FILE", "help": "a trace; - is stdin"},
    "-o": value("OUT", "write to OUT; - is stdout", None, flags=("-o", "--out"), required=True),
    "--session": value("N", "the session to use, if the file holds several", None, type=_count),
    "--turn": value("N", "only this turn, from 1: what the user said and the whole answer", None, type=_count),
    "--from": value("S", "start at this second of the session", None, dest="start", type=_time),
    "--to": value("S", "stop at this second of the session", None, dest="end", type=_time),
    "--strict": flag("count notes as errors"),
}  # fmt: skip

# names of options that are picked together
OUTPUT = ("--json", "--quiet", "--color")
CONNECTION = ("--url", "--offline", "--token", "--vertex", "--project", "--location", "--api-version", "--timeout")
PART = ("--from", "--to", "--turn", "--session")


def pick(*names: str) -> dict[str, Row]:
    """Shared options by name."""
    return {name: SHARED[name] for name in names}


def shared(name: str, text: str = "", **changes: Any) -> dict[str, Row]:
    """The row of a shared option with changes, such as another default; `text` is appended to its help."""
    row = SHARED[name]
    return {name: {**row, "help": f"{row['help']}{text}", **changes}}


class _Help(argparse.HelpFormatter):
    """Wraps descriptions and epilogs, but leaves indented lines (the examples) as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        return "\n".join(line if line.startswith(" ") else super(_Help, self)._fill_text(line, width, indent)
                         for line in lines)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """An argument parser that takes options as rows."""

    def __init__(self, *, example: str = "", notes: str = "", **more: Any) -> None:
        gap = "\n" if notes.startswith(" ") else "\n\n"  # indented notes are more examples
        epilog = f"example:\n  {example}{gap}{notes}".rstrip()
        super().__init__(formatter_class=_Help, **{"epilog": epilog, **more})

    def add(self, groups: Mapping[str, Rows]) -> None:
        """Add options, by the titles of their groups ("" for none)."""
        for title, rows in groups.items():
            add = self.add_argument_group(title).add_argument if title else self.add_argument
            for name, row in rows.items():
                flags = row.get("flags", (name,))
                add(*flags, **{key: value for key, value in row.items() if key != "flags"})

    def refuse(self, condition: Any, message: str) -> None:
        """Fail with `message` if the options are contradictory."""
        if condition:
            self.error(message)


class Command(NamedTuple):
    """A command or a tool of `livews trace`.

    module: what runs it: `run(options, console) -> int`.
    groups: its options by title ("" for none).
    check: refuses contradictory options.
    """

    module: str
    description: str
    groups: dict[str, Rows]
    example: str = ""
    notes: str = ""
    check: Callable[[Parser, argparse.Namespace], None] | None = None

    def texts(self) -> dict[str, Any]:
        """What its parser says about it."""
        return {"description": self.description, "example": self.example, "notes": self.notes}


def check_connection(command: Parser, options: argparse.Namespace) -> None:
    """Refuse contradictory options of a connection."""
    named = options.offline and (options.url or options.vertex or options.token)
    command.refuse(named, "--offline uses the built-in stand-in: leave out --url, --vertex and --token")
