"""`livews check`: judge messages and traces.

- One message, JSON lines of messages, or a trace; a bare setup object, as --setup takes it, is a client message.
- A loose message is judged by itself; a trace is followed as a conversation, so order is judged too.
- One line a finding on stdout, the sum on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livews.cli.console import COLOR_HELP, Console

if TYPE_CHECKING:
    from livews.core.rules import Finding
    from livews.core.schema import Sender
    from livews.trace.ending import Judged

_SIDES: dict[str, Sender] = {"client": "client", "server": "server", "send": "client", "recv": "server"}
_CONTROLS = ("close", "ping", "pong", "heard")
_SIDE_KEYS = ("dir", "direction", "from", "sender")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews check",
        description="Judge messages and traces by the schemas and rules of protocol/.",
        epilog="One line a finding: FILE:LINE error|note PATH: complaint (RULE). Exit 0 when there is no error, "
        "1 when there is one. `livews explain RULE` tells more.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a message, JSON lines of messages, a trace, or - for stdin"
    )
    parser.add_argument("--from", dest="side", choices=("client", "server"), help="who sent the messages")
    parser.add_argument("--strict", action="store_true", help="notes count as errors")
    parser.add_argument("--json", action="store_true", help="one JSON object a finding")
    parser.add_argument("--quiet", action="store_true", help="findings only, no sum")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
    return parser.parse_args(argv)


def run(options: argparse.Namespace, console: Console) -> int:
    return judge(options, console)


def judge(options: argparse.Namespace, console: Console, *, traces: bool = False) -> int:
    """Print what there is to say about the files. With `traces` they have to be some, and each rule is summed up."""
    from livews.errors import BadRequest
    from livews.exit_codes import Exit
    from livews.trace.reader import lines_of
    from livews.trace.session import unreadable

    messages = errors = notes = 0
    # a damaged line of the file is told by the rule of a frame that cannot be read, and has a cure of its own
    rules: dict[tuple[str, bool], list[int]] = {}
    cures: dict[tuple[str, bool], str] = {}
    for name in options.files:
        shown = "stdin" if name == "-" else name
        try:
            with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
                lines = lines_of(file, shown, headed=traces)
                judged = _judge_trace(lines, shown) if traces else _judge(lines, options.side, shown)
                nothing = True
                for line, findings, is_message in judged:
                    nothing = False
                    messages += is_message
                    for finding in findings:
                        wrong = finding.level == "error" or options.strict
                        errors, notes = errors + wrong, notes + (not wrong)
                        kind = (finding.rule, finding.rule == "WIRE-2" and not is_message)
                        counts = rules.setdefault(kind, [0, 0])
                        counts[not wrong] += 1
                        cures.setdefault(kind, finding.fix)
                        print_line = console.data if options.json else console.say
                        print_line(_shown(shown, line, finding, "error" if wrong else "note", options.json))
                if nothing:
                    raise BadRequest(
                        f"there is no message in {shown}", where=shown, fix="name a file that holds some"
                    )
        except BrokenPipeError:
            raise  # it is stdout that broke, not the file
        except OSError as problem:
            raise unreadable(shown, problem) from None
    if traces:
        for kind, counts in sorted(rules.items(), key=lambda row: (-row[1][0], -row[1][1], row[0])):
            said = " and ".join(many(n, level) for n, level in zip(counts, ("error", "note"), strict=True) if n)
            console.note(f"{kind[0]}: {said}. {cures[kind]}")
    console.note(f"{many(messages, 'message')}: {many(errors, 'error')}, {many(notes, 'note')}")
    return Exit.CHECK_FAILED if errors else Exit.OK


def many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _shown(name: str, line: int, finding: Finding, level: str, as_json: bool) -> str:
    words = finding.complaint.removesuffix(f" at {finding.path}")
    if as_json:
        row: dict[str, Any] = {"file": name, "line": line, "level": level, "path": finding.path}
        row |= {"complaint": words, "rule": finding.rule, "do": finding.fix}
        if finding.close:
            row["close"] = {"code": finding.close[0], "reason": finding.close[1]}
        return json.dumps(row, ensure_ascii=False)
    return f"{name}:{line} {level} {finding.path or '/'}: {words} ({finding.rule})"


def _judge(file: Iterator[bytes], side: Sender | None, name: str) -> Iterator[Judged]:
    from livews.core.codec import WireError, parse_any
    from livews.core.rules import finding

    blank, first = _first_line(file)
    try:
        head = parse_any(first)
    except WireError:
        head = None
    if isinstance(head, dict) and head.get("trace") == "livews":
        yield from _judge_trace(chain([b"\n"] * blank, [first], file), name)
        return
    if head is None and first.strip():  # not one message a line: one message over several lines, or nothing readable
        whole = first + _rest(file, name)
        try:
            message = parse_any(whole)
        except WireError:
            pass
        else:
            for one in message if isinstance(message, list) else [message]:
                yield blank + 1, _loose(one, side), True
            return
        lines: Iterable[bytes] = whole.splitlines()
    else:
        lines = chain([first], file)
    for number, line in enumerate(lines, blank + 1):
        if not line.strip():
            continue
        try:
            message = parse_any(line)
        except WireError as problem:
            yield number, [finding("WIRE-2", "", str(problem))], True
            continue
        yield number, _loose(message, side), True


def _rest(file: Iterable[bytes], name: str) -> bytes:
    from livews.errors import BadRequest
    from livews.trace.reader import MAX_LINE

    rest = bytearray()
    for line in file:
        rest += line
        if len(rest) > MAX_LINE:
            fix = "give one message, messages one a line, or a trace"
            raise BadRequest(f"{name} holds more than {MAX_LINE >> 20} MiB and no message", where=name, fix=fix)
    return bytes(rest)


def _first_line(file: Iterable[bytes]) -> tuple[int, bytes]:
    """How many blank lines come first, and the line behind them."""
    for blank, line in enumerate(file):
        if line.strip():
            return blank, line.removeprefix(b"\xef\xbb\xbf")
    return 0, b""


def _loose(message: Any, side: Sender | None) -> list[Finding]:
    from livews.core.rules import check

    if isinstance(message, dict) and "dir" in message and any(key in message for key in _CONTROLS):
        return []  # a line of a trace whose head is missing
    return check(*whose(message, side))


def whose(message: Any, side: Sender | None = None) -> tuple[Sender, Any]:
    """Who sent a loose message, and the message itself: out of the line of a trace, a bare setup in its envelope."""
    if isinstance(message, dict) and "message" in message:
        wrapped = next((message[key] for key in _SIDE_KEYS if key in message), None)
        if isinstance(wrapped, str) and wrapped in _SIDES:
            return side or _SIDES[wrapped], message["message"]
    if not isinstance(message, dict):
        return side or "client", message
    told = side or _side(message)
    return ("client", {"setup": message}) if told is None else (told, message)


def _side(message: dict[str, Any]) -> Sender | None:
    """Whose message this is by its members; None for the inside of a setup; a message of no known member is judged
    as a client's, the side on which an unknown member matters."""
    from livews.core import schema

    client, server = schema.top("client"), schema.top("server")
    if not message or any(key in server for key in message):
        return "server"
    if any(key in client for key in message):
        return "client"
    setup = client["setup"].target
    assert setup is not None
    return None if any(key in schema.table(setup).members for key in message) else "client"


def _judge_trace(lines: Iterable[bytes], name: str) -> Iterator[Judged]:
    from livews.trace.ending import read_to_end
    from livews.trace.session import follow

    for session in follow(lines, name, lenient=True):
        yield from read_to_end(session)
