"""`livews trace cut`: keep a part of a recorded session."""

from __future__ import annotations

import argparse

from livews.cli import options as opt
from livews.cli import reader
from livews.cli.console import Console

ABOUT = "keep a part of a session"
EXAMPLE = "livews trace cut session.jsonl --turn 2 -o turn.jsonl"


def add(tool: opt.Parser) -> None:
    tool.add("", "FILE", *opt.PART, "-o")


def check(command: opt.Parser, options: argparse.Namespace) -> None:
    spans = options.start is not None or options.end is not None
    command.refuse(spans == (options.turn is not None), "name what to keep: --from S, --to S or both, or --turn N")
    reader.check_span(command, options)


def run(options: argparse.Namespace, console: Console) -> int:
    from livews.errors import BadRequest
    from livews.trace.atomic_output import atomic_output
    from livews.trace.slice import cut

    part = {"from": options.start, "to": options.end, "turn": options.turn}
    with (
        reader.one_session(options.file, options.session, console, texts=True) as session,
        atomic_output(options.out, source=options.file) as out,
    ):
        about = {name: value for name, value in part.items() if value is not None}
        kept = cut(session, reader.selection(options), about, out)
        if not kept:
            why = f"the session has {session.talk.turns} turns" if options.turn else "no line has such a time"
            raise BadRequest("there is nothing to keep", where=options.file, why=why, fix="select another part")
    console.note(f"{kept:,} lines kept, and the setup before them: {options.out}")
    return 0
