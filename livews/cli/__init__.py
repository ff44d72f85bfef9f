"""The command line: selects the command and reports its failure.

- `talk` is the default: arguments that do not start with a command's name are said to the model, unless the first word
  is a misspelt command: a typing error must not become a turn that somebody pays for.
- What runs a command is imported when it is used; `--help` loads argparse and json, and nothing else.
- Every LivewsError ends here: as what, where, why and what to do, and an exit code of `Exit`.
"""

from __future__ import annotations

import argparse
import os.path
import sys
from collections.abc import Sequence

from livews.cli.console import Console, Environment
from livews.cli.options import COMMANDS as COMMANDS
from livews.cli.options import TOOLS, function, parser_of, refuse_contradictions


def main(argv: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run one command; the exit code.

    argv: the arguments; those of the process if None.
    environment: streams and variables; those of the process if None.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    environment = environment or Environment()
    try:
        return _run(words, environment)
    except SystemExit as leave:  # argparse has printed the reason
        return int(leave.code or 0) if not isinstance(leave.code, str) else 2
    finally:
        environment.finish()


def parse(name: str, argv: list[str]) -> argparse.Namespace:
    """The options of a command; `run` is what runs it. SystemExit after --help and for wrong ones."""
    if name == "talk":
        from livews.cli import talk

        return talk.parse(argv)
    options, unknown = parser_of(name).parse_known_args(argv)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")  # with the usage of the tool
    refuse_contradictions(options)
    return options


def _run(words: list[str], environment: Environment) -> int:
    console = Console(environment=environment)
    try:
        if words and words[0] not in COMMANDS and (command := _misspelt_command(words)):
            console.line(f"livews: there is no command {words[0]}; did you mean `livews {command}`?")
            console.line(f"livews: to say it to the model: livews talk {words[0]} ...")
            return 2
        name = words.pop(0) if words and words[0] in COMMANDS else "talk"
        options = parse(name, words)
        console = Console(getattr(options, "color", "auto"), getattr(options, "quiet", False), environment)
        console.as_json = getattr(options, "json", False)
        environment.hide_credentials()
        return int(function(options.run)(options, console))
    except KeyboardInterrupt:
        from livews.cli.signals import ignore_interrupts

        ignore_interrupts()
        console.progress("\n")  # the terminal has shown ^C
        return 130
    except BrokenPipeError:  # the reader has enough, as in `livews ... | head`
        return 0
    except Exception as problem:
        from livews.errors import BadRequest, LivewsError
        from livews.listening import is_out_of_descriptors

        if is_out_of_descriptors(problem):
            fix = "raise the limit of open files before the start: ulimit -n 1024"
            problem = BadRequest("no file descriptors are left", where="this process", fix=fix)
        if not isinstance(problem, LivewsError):
            raise
        console.error(problem)
        return int(problem.exit_code)


def _misspelt_command(words: Sequence[str]) -> str:
    """The command that the first word was probably meant to be; "" if it is a word to the model."""
    first = words[0]
    if not (first.isascii() and first.isalpha() and first.islower()):
        return ""
    if first in TOOLS and len(words) > 1 and os.path.isfile(words[1]):
        return f"trace {first}"
    if not any(first[0] == name[0] and abs(len(first) - len(name)) <= 2 for name in COMMANDS):
        return ""
    from difflib import get_close_matches

    return next(iter(get_close_matches(first, COMMANDS, 1, 0.83)), "")
