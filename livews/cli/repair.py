"""`livews check --fix`: repair what is certainly meant, and print the messages.

- What is certain is in `message_repair` for messages and in `loose_json` for texts that are almost JSON.
- What is not repaired keeps its spelling and, on a line without a repair, its bytes.
- The messages are on stdout, what was repaired and what is left on stderr. No file is changed.
"""

import argparse
import difflib
import json
import re
from typing import Any

from livews import document
from livews.cli import loose_json, message_repair, reader
from livews.cli.console import Console
from livews.core import codec
from livews.core.schema import Sender
from livews.errors import BadRequest
from livews.terminal_text import escape_unsafe, json_line


def run(options: argparse.Namespace, console: Console, name: str) -> list[bytes]:
    """Repair the messages of one file and print them; its lines after that."""
    shown = reader.shown_name(name)
    with reader.open_file(name, console) as file:
        whole = b"".join(reader.lines(file, shown, headed=False))
    if other := document.other_format(whole[: document.BEGIN]):
        raise BadRequest(f"{shown} is {other.name}", where=shown, fix=other.fix)
    whole = whole.removeprefix(b"\xef\xbb\xbf")
    try:
        whole.decode()
    except UnicodeDecodeError as bad:  # printed with a replacement it would be another text
        why, at = f"byte 0x{whole[bad.start]:02x} is not UTF-8", whole.count(b"\n", 0, bad.start) + 1
        raise BadRequest(f"{shown}: {why}", where=f"{shown}:{at}", fix="save the file as UTF-8") from None
    text = whole.decode()
    repair = _Fixing(options.side, console, shown)
    out = repair.lines(text) if _is_lines(whole) else repair.document(text)
    for line in out:
        console.write(json_line(line) + "\n")
    return [line.encode() + b"\n" for line in out]


def _is_lines(whole: bytes) -> bool:
    """Whether each line is to be a message, and not all lines one."""
    first = next((line for line in whole.splitlines() if line.strip()), b"")
    try:
        codec.parse_any(first)
    except codec.WireError:
        objects = sum(line.startswith(b"{") for line in whole.splitlines())
        return objects > 1 and document.values(whole)[1] is not None
    return True


def _lines_of(text: str) -> list[str]:
    """The lines of a text; other breaks than its line feeds belong to the messages."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]


class _Fixing:
    """Repairs the messages of one file, and notes what it does."""

    def __init__(self, side: Sender | None, console: Console, name: str) -> None:
        self._side, self._console, self._name = side, console, name
        self._is_trace = False
        self._is_alone = True
        """There is one message."""

    def lines(self, text: str) -> list[str]:
        """The lines of a text, each with its message repaired."""
        lines = _lines_of(text)
        self._is_alone = sum(bool(line.strip()) for line in lines) == 1
        return [new for number, line in enumerate(lines, 1) for new in self._line(line, number)]

    def _line(self, line: str, number: int) -> list[str]:
        try:
            value, words = loose_json.read(line) if line.strip() else (None, [])
        except loose_json.NotSure:
            return [line]
        afters, count = self._values(value, number, words)
        if not count:
            return [line]
        separators = None if re.search(r"""["'\w]: |, ["']""", line) else (",", ":")
        return [json.dumps(after, ensure_ascii=False, separators=separators) for after in afters]

    def document(self, text: str) -> list[str]:
        """The lines of one message over several lines, or several such."""
        values, place = document.values(text.encode())
        words: list[str] = []
        if place or len(values) == 1:
            try:
                value, words = loose_json.read(text)
            except loose_json.NotSure:
                return _lines_of(text)
            values = [(place.line if place else values[0][0], value)]
        self._is_alone = len(values) == 1
        results = [self._values(value, line, words) for line, value in values]
        if not any(count for _, count in results):
            return _lines_of(text)
        indent = re.search(r"\n([ \t]+)", text)
        width = indent[1] if indent else 2 if "\n" in text.strip() else None
        texts = (json.dumps(after, ensure_ascii=False, indent=width) for afters, _ in results for after in afters)
        return "\n".join(texts).split("\n")

    def _values(self, value: Any, line: int, words: list[str]) -> tuple[list[Any], int]:
        """The messages in a value after their repairs, and how many there are. `words`: repairs of its text."""
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            self._is_alone = self._is_alone and len(value) == 1
            if "message" not in value[0]:  # lines of a trace may be in a list
                words = [*words, "each message of the list is written by itself"]
                results = [self._message(item, line) for item in value]
            else:
                results = [self._message(item, line) for item in value]
                results = [([after for after, _ in results], sum(count for _, count in results))]
        elif isinstance(value, dict):
            self._is_trace = self._is_trace or value.get("trace") == "livews"
            results = [self._message(value, line)]
        else:
            return [value], 0
        for one in words:
            self._note(line, "/", one)
        return [after for after, _ in results], len(words) + sum(count for _, count in results)

    def _message(self, value: dict[str, Any], line: int) -> tuple[Any, int]:
        count = 0
        if self._is_trace and "message" not in value:
            inner = _readable(value)
            if inner is None:
                return value, 0
            self._note(line, "/", "what could not be read is written as JSON")
            value, count = {**{key: item for key, item in value.items() if key != "raw"}, "message": inner}, 1
        sender, message = reader.sender_and_message(value, self._side)
        if self._is_trace and sender == "server":  # what the service sent is as it is
            return value, count
        after, repairs = message_repair.repaired(sender, message)
        is_bare = message is not value and "message" not in value
        if is_bare and not self._is_alone:
            repairs.insert(0, message_repair.Repair("/", "the members of setup are written in setup"))
        for repair in repairs:
            self._note(line, repair.path, repair.words)
        if not repairs:
            return value, count
        if "message" in value and message is value["message"]:
            after = {**value, "message": after}
        elif is_bare and self._is_alone and after.keys() == {"setup"}:  # a file for --setup stays one
            after = after["setup"]
        if self._console.environment.stderr_is_terminal or self._console.paints_stdout:
            _show_diff(self._console, value, after)
        return after, count + len(repairs)

    def _note(self, line: int, path: str, words: str) -> None:
        self._console.note(f"{self._name}:{line} fixed {path}: {words}")


def _readable(record: dict[str, Any]) -> dict[str, Any] | None:
    """The message in a line of a trace whose frame could not be read, where it is certain."""
    raw = record.get("raw")
    try:
        text = codec.decode_base64(raw).decode() if isinstance(raw, str) and record.get("dir") == "send" else ""
        value = loose_json.read(text)[0] if text else None
    except (codec.WireError, UnicodeDecodeError, loose_json.NotSure):
        return None
    return value if isinstance(value, dict) else None


def _show_diff(console: Console, before: Any, after: Any) -> None:
    old, new = (json.dumps(value, ensure_ascii=False, indent=2).splitlines() for value in (before, after))
    styles = {"-": "error", "+": "recv", "@": "dim"}
    for line in list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]:
        console.line(
            console.paint(styles[line[0]], escape_unsafe(line)) if line[0] in styles else escape_unsafe(line)
        )
