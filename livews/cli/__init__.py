"""The command line: which command, and what a failure looks like.

- `talk` is the default: what does not start with the name of a command is said to the model, unless it is a command
  misspelt: a typing error must not become a turn that somebody pays for.
- Each command is one module, imported when it is asked for; `--help` loads argparse and nothing else.
- Every LivewsError ends here, as what, where, why, do, and an exit code of `errors.Exit`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "talk": "talk to the model (the default: `livews Hello` is `livews talk Hello`)",
    "serve": "run the stand-in, a server to talk to without a key",
    "proxy": "pass a client on to the service, show every message, and say why a socket closed",
    "inspect": "a page that shows sessions while they run, and writes messages into them",
    "check": "judge messages and traces by the schemas and rules",
    "trace": "look at recorded sessions: show, check, stats, diff, cut, redact, export, html, import, replay",
    "explain": "say why a socket closed, or what any name of the protocol means",
    "devices": "list the sound devices",
    "doctor": "check key, network, session and sound, and say what to do",
    "help": "show a page of the documentation, or the options of a command",
}

MODULES = {"inspect": "inspect_command"}
"""Modules that do not have the name of their command: `inspect` is one of the standard library."""


def _meant(words: Sequence[str]) -> str:
    """The command that a first word, which is none, was meant for; "" for words to the model."""
    first = words[0]
    if not (first.isascii() and first.isalpha() and first.islower()):
        return ""
    if len(words) > 1 and f" {first}," in f" {COMMANDS['trace'].partition(': ')[2]}," and _is_file(words[1]):
        return f"trace {first}"
    if not any(first[0] == name[0] and abs(len(first) - len(name)) <= 2 for name in COMMANDS):
        return ""
    from difflib import get_close_matches

    return next(iter(get_close_matches(first, COMMANDS, 1, 0.83)), "")


def _is_file(word: str) -> bool:
    import os.path

    return os.path.isfile(word)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] not in COMMANDS and (meant := _meant(words)):
        print(f"livews: there is no command {words[0]}; did you mean `livews {meant}`?", file=sys.stderr)
        print(f"livews: to say it to the model: livews talk {words[0]} ...", file=sys.stderr)
        return 2
    command = words.pop(0) if words and words[0] in COMMANDS else "talk"
    from livews.cli.console import Console, ignore_interrupts

    try:
        options = import_module(f"livews.cli.{MODULES.get(command, command)}").parse(words)
    except SystemExit as leave:  # argparse has printed what there is to say
        return int(leave.code or 0) if not isinstance(leave.code, str) else 2
    console = Console(color=getattr(options, "color", "auto"), quiet=getattr(options, "quiet", False))
    try:
        return int(import_module(f"livews.cli.{MODULES.get(command, command)}").run(options, console))
    except KeyboardInterrupt:
        ignore_interrupts()
        console.progress("\n")  # the terminal has shown ^C
        return 130
    except BrokenPipeError:  # `livews ... | head`: whoever read us has enough
        console.abandon_stdout()
        return 0
    except Exception as problem:
        from livews.errors import LivewsError

        if not isinstance(problem, LivewsError):
            raise
        console.error(problem)
        return int(problem.exit_code)
