"""`livews trace cut`: keep a part of a recorded session."""

from __future__ import annotations

import argparse

from livews.cli import reader
from livews.cli.console import Console
from livews.errors import BadRequest
from livews.trace.atomic_output import atomic_output
from livews.trace.slice import cut


def run(options: argparse.Namespace, console: Console) -> int:
    has_span = options.start is not None or options.end is not None
    if has_span == (options.turn is not None):
        options.parser.error("name what to keep: --from S, --to S or both, or --turn N")
    part = {"from": options.start, "to": options.end, "turn": options.turn}
    with (
        reader.one_session(options.file, options.session, console, texts=True) as session,
        atomic_output(options.out, source=options.file) as out,
    ):
        about = {name: value for name, value in part.items() if value is not None}
        kept = cut(session, reader.selection(options), about, out)
        if not kept:
            why = f"the session has {session.conversation.turns} turns" if options.turn else "no line has such a time"
            raise BadRequest("there is nothing to keep", where=options.file, why=why, fix="select another part")
    console.note(f"{kept:,} lines kept, and the setup before them: {options.out}")
    return 0
