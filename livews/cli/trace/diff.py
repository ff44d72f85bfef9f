"""`livews trace diff`: compare two recorded sessions by what they mean."""

from __future__ import annotations

import argparse
import json
from itertools import zip_longest

from livews.cli import reader
from livews.cli.console import Console
from livews.exit_codes import Exit
from livews.trace.compare import differences
from livews.trace.normalize import normalize


def run(options: argparse.Namespace, console: Console) -> int:
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
                if options.json:
                    console.data(json.dumps({"session": number, "words": words}))
                else:
                    console.say(f"session {number}: {words}")
                continue
            for difference in differences(left, right, options.sound):
                count += 1
                side, path, words = difference.side, difference.path, difference.words
                if options.json:
                    row = {"session": number, "side": side, "path": path, "words": words, "lines": difference.lines}
                    console.data(json.dumps(row, ensure_ascii=False))
                else:
                    lines = zip(names, difference.lines, strict=True)
                    where = " ".join(f"{name}:{line}" for name, line in lines if line is not None)
                    console.say(f"{where} {side} {path}: {words}")
    console.note(reader.plural(count, "difference") if count else "alike")
    return Exit.CHECK_FAILED if count else Exit.OK
