"""`livews trace html`: write a report page."""

from __future__ import annotations

import argparse
from pathlib import Path

from livews.cli import reader
from livews.cli.console import Console
from livews.report import render
from livews.trace.atomic_output import atomic_output


def run(options: argparse.Namespace, console: Console) -> int:
    title = reader.shown_name("-" if options.file == "-" else Path(options.file).name)
    with reader.sessions(options.file, console) as sessions, atomic_output(options.out, source=options.file) as out:
        page = render.page(sessions, title, out)
    counts = {"session": page.sessions, "message": page.messages, "finding": page.findings}
    summary = ", ".join(reader.plural(count, noun) for noun, count in counts.items())
    console.note(f"{options.out}: {summary}, {page.size:,} B")
    return 0
