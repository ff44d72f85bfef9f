"""`livews trace redact`: remove what others must not see from a trace."""

from __future__ import annotations

import argparse

from livews.cli import reader
from livews.cli.console import Console
from livews.trace.atomic_output import atomic_output
from livews.trace.redact import Redaction


def run(options: argparse.Namespace, console: Console) -> int:
    redaction = Redaction(audio=options.audio, text=options.text)
    lines = 0
    with (
        reader.sessions(options.file, console, texts=True) as sessions,
        atomic_output(options.out, source=options.file) as out,
    ):
        for session in sessions:
            out.write(redaction.header(session.header))
            for line in session.lines():
                lines += 1
                out.write(redaction.line(line.text))
    left = [
        name
        for name, is_removed in (("sound and pictures", options.audio), ("words", options.text))
        if not is_removed
    ]
    console.note(f"{lines:,} lines: {options.out}" + (f"; {' and '.join(left)} are still in it" if left else ""))
    return 0
