"""`livews trace stats` and `diff`: measure recorded sessions, and compare two of them by what they mean."""

import argparse
from itertools import zip_longest

from livews.cli import reader
from livews.cli.console import Console
from livews.exit_codes import Exit
from livews.terminal_text import paragraph


def stats(options: argparse.Namespace, console: Console) -> int:
    from livews.analysis.stats import SessionStats, words

    with reader.sessions(options.file, console, number=options.session) as sessions:
        for session in sessions:
            row = SessionStats(session).run()
            text = "\n".join(paragraph(f"{name:<15}", text)[2:] for name, text in words(row))
            console.row({"file": options.file, **row}, f"\n{text}" if session.number > 1 else text)
    return Exit.OK


def diff(options: argparse.Namespace, console: Console) -> int:
    from livews.trace.compare import differences
    from livews.trace.normalize import normalize

    if options.files == ["-", "-"]:
        options.parser.error("stdin can be read only once: name at least one file")
    count = 0
    names = [reader.shown_name(name) for name in options.files]
    with reader.sessions(options.files[0], console) as before, reader.sessions(options.files[1], console) as after:
        pairs = zip_longest((normalize(session) for session in before), (normalize(session) for session in after))
        for number, (left, right) in enumerate(pairs, 1):
            if left is None or right is None:
                count += 1
                words = f"only {names[0 if right is None else 1]} has it"
                console.row({"session": number, "words": words}, f"session {number}: {words}")
                continue
            for difference in differences(left, right, options.sound):
                count += 1
                side, path, words = difference.side, difference.path, difference.words
                row = {"session": number, "side": side, "path": path, "words": words, "lines": difference.lines}
                lines = zip(names, difference.lines, strict=True)
                where = " ".join(f"{name}:{line}" for name, line in lines if line is not None)
                console.row(row, f"{where} {side} {path}: {words}")
    console.note(reader.plural(count, "difference") if count else "alike")
    return Exit.CHECK_FAILED if count else Exit.OK
