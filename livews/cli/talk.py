"""`livews talk`, the default command: its options. The conversation itself is in `conversation`."""

import argparse
import re
from collections.abc import Callable
from itertools import pairwise

from livews.cli.console import Console
from livews.cli.options import parser_of, refuse_contradictions

_FILES = (".jsonl", ".ndjson", ".json", ".log", ".txt", ".trace")
_AUDIO = (".wav", ".wave", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".aif", ".aiff")  # an error names others
_PATHS = ("/", "./", "../", "~/")


def parse(argv: list[str]) -> argparse.Namespace:
    command = parser_of("talk")
    _refuse_empty(command, argv)
    at = argv.index("--") if "--" in argv else len(argv)  # argparse would look for options after it, too
    options = command.parse_intermixed_args(_join_optional_values(argv[:at]))
    options.words += argv[at + 1 :]
    for text in options.words:
        try:
            text.encode()
        except UnicodeEncodeError:
            shown = text.encode(errors="backslashreplace").decode()
            command.error(f"a TEXT is not UTF-8: {shown}; check the locale")
    refuse_contradictions(options)
    if "-" in options.words and len(options.words) > 1:
        command.error("- reads the turns from stdin: leave out every other TEXT")
    if "-" in options.mic and len(options.mic) > 1:
        command.error("--mic with a file speaks the file, --mic alone listens to you: choose one")
    options.mic_open = "-" in options.mic
    options.mic_files = [name for name in options.mic if name != "-"]
    options.trace_files = [name for name in options.trace if name != "-"]
    options.trace_view = "-" in options.trace
    return options


def run(options: argparse.Namespace, console: Console) -> int:
    from livews.cli import signals
    from livews.cli.conversation import talk

    return signals.run(talk(options, console))


def _refuse_empty(command: argparse.ArgumentParser, argv: list[str]) -> None:
    """An empty value is a shell variable that is not set."""
    for name, text in pairwise([*argv, "-"]):
        if name == "--":
            return
        is_empty = name.endswith("=") or not text.strip()
        if name.startswith("--") and is_empty and not name.startswith(("--trace=", "--mic=")):
            command.error(f"{name.rstrip('=')} is empty: leave it out, or set the variable of your shell")


def _join_optional_values(argv: list[str]) -> list[str]:
    """`--trace`, `--resume`, `--mic` and `--compress` take the next word only if that is their value: `--trace "Hello"` says Hello."""
    words, result = list(argv), []
    while words:
        word = words.pop(0)
        if word in _OWN:
            is_value = words and not words[0].startswith("-") and _OWN[word](words[0])
            word = f"{word}={words.pop(0) if is_value else '-'}"
        result.append(word)
    return result


_OWN: dict[str, Callable[[str], bool]] = {
    "--trace": lambda word: " " not in word and (word.endswith(_FILES) or word.startswith(_PATHS)),
    "--resume": lambda word: " " not in word and word.endswith(".json"),
    "--mic": lambda word: word.lower().endswith(_AUDIO),
    "--compress": lambda word: re.fullmatch(r"[0-9][0-9._,k]*(:\S*)?", word) is not None,
}
