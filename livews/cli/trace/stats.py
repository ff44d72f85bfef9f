"""`livews trace stats`: measure recorded sessions."""

from __future__ import annotations

import argparse
import json

from livews.cli import options as opt
from livews.cli import reader
from livews.cli.console import Console

ABOUT = "measure a session: turns, latencies, audio, tokens"
EXAMPLE = "livews trace stats session.jsonl"


def add(tool: opt.Parser) -> None:
    tool.add("", "FILE", "--session", "--json")


def run(options: argparse.Namespace, console: Console) -> int:
    from livews.analysis.stats import SessionStats, words
    from livews.terminal_text import paragraph

    with reader.sessions(options.file, console, number=options.session) as sessions:
        for session in sessions:
            row = SessionStats(session, reader.speech_detector).run()
            if options.json:
                console.data(json.dumps({"file": options.file, **row}, ensure_ascii=False))
                continue
            if session.number > 1:
                console.say("")
            for name, text in words(row):
                console.say(paragraph(f"{name:<15}", text)[2:])
    return 0
