"""`livews trace stats`: measure recorded sessions."""

from __future__ import annotations

import argparse
import json

from livews.analysis.stats import SessionStats, words
from livews.cli import reader
from livews.cli.console import Console
from livews.terminal_text import paragraph


def run(options: argparse.Namespace, console: Console) -> int:
    with reader.sessions(options.file, console, number=options.session) as sessions:
        for session in sessions:
            row = SessionStats(session).run()
            if options.json:
                console.data(json.dumps({"file": options.file, **row}, ensure_ascii=False))
                continue
            if session.number > 1:
                console.say("")
            for name, text in words(row):
                console.say(paragraph(f"{name:<15}", text)[2:])
    return 0
