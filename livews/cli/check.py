"""`livews check` and `livews trace check`: check messages and traces against the schemas and rules.

- The input is one message, JSON lines of messages, or a trace; a bare setup object, as --setup takes it, is a client
  message.
- A single message is judged by itself; a trace, and messages that begin with a setup, as a conversation, so the order is
  judged too.
- A finding on stdout is a line and its fix below it. The totals and the places of broken JSON are on stderr.
- What a model or surface was seen to refuse is an error, unless the session that is checked shows that it was taken.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any

from livews.cli import message_files, reader, repair
from livews.cli.console import Console
from livews.core import rules
from livews.core.codec import WireError, parse_any
from livews.core.rules import Finding
from livews.core.schema import Sender
from livews.errors import BadRequest
from livews.exit_codes import Exit
from livews.terminal_text import escape_unsafe, paragraph, plural
from livews.trace.ending import Judged, read_to_end, settled
from livews.trace.session import follow

_BOM = b"\xef\xbb\xbf"


def run(options: argparse.Namespace, console: Console) -> int:
    """Print the findings in the files; the exit code. As `livews trace check` they must be traces, and each rule is
    summed up."""
    traces = "tool" in options
    messages, levels = 0, Counter[str]()
    # a damaged line of the file and an unreadable frame have the same rule, and different fixes
    counts: dict[tuple[str, bool], Counter[str]] = {}
    fixes: dict[tuple[str, bool], str] = {}
    fixing, as_of = not traces and options.fix, options.as_of or ""
    if fixing and console.as_json:
        options.parser.error("--fix prints the messages: leave out --json")
    for name in options.files:
        shown = reader.shown_name(name)
        with ExitStack() as stack:
            if fixing:
                lines = iter(repair.run(options, console, name))
            else:
                lines = reader.lines(stack.enter_context(reader.open_file(name, console)), shown, headed=traces)
            is_empty = True
            judged = _trace(lines, shown, as_of) if traces else _any(lines, options.side, shown, as_of)
            for line, findings, is_message in judged:
                is_empty = False
                messages += is_message
                for finding in findings:
                    level = "note" if finding.level == "note" and not options.strict else "error"
                    levels[level] += 1
                    kind = (finding.rule, finding.rule == "WIRE-2" and not is_message)
                    counts.setdefault(kind, Counter())[level] += 1
                    fixes.setdefault(kind, finding.fix)
                    _report(console, shown, line, finding, level, fixing)
            if is_empty:
                raise BadRequest(f"there is no message in {shown}", where=shown, fix="name a file that holds some")
    if traces:
        for kind, count in sorted(counts.items(), key=lambda row: (-row[1]["error"], -row[1]["note"], row[0])):
            sums = [plural(count[level], level) for level in ("error", "note") if count[level]]
            console.note(f"{kind[0]}: {' and '.join(sums)}. {fixes[kind]}")
    sums = [plural(levels[level], level) for level in ("error", "note")]
    console.note(f"{plural(messages, 'message')}: {', '.join(sums)}")
    return Exit.CHECK_FAILED if levels["error"] else Exit.OK


def _report(console: Console, name: str, line: int, finding: Finding, level: str, fixing: bool) -> None:
    """Print a finding: on stdout, or on stderr if that has the repaired messages."""
    words = finding.complaint.removesuffix(f" at {finding.path}")
    row: dict[str, Any] = {"file": name, "line": line, "level": level, "path": finding.path}
    row |= {"complaint": words, "rule": finding.rule, "do": finding.fix}
    if finding.close:
        row["close"] = {"code": finding.close[0], "reason": finding.close[1]}
    text = f"{name}:{line} {level} {finding.path or '/'}: {words} ({finding.rule})"
    fix = paragraph("do", finding.fix) if finding.fix else ""
    if fixing:
        console.line(console.paint("warn", escape_unsafe(f"{text}\n{fix}")), "warn")  # --quiet is about progress
    else:
        console.row(row, text)
        if fix and not console.as_json:
            console.say(console.paint_result("dim", escape_unsafe(fix)))
    for text in getattr(finding, "excerpt", "").splitlines():
        console.note(f"  {text}")


def _any(file: Iterator[bytes], side: Sender | None, name: str, as_of: str) -> Iterator[Judged]:
    """The findings of a file that holds a message, messages or a trace."""
    begin: list[bytes] = []
    for line in file:
        begin.append(line)
        if line.strip():
            break
    lines = chain(begin, file)
    try:
        head = parse_any(begin[-1].removeprefix(_BOM)) if begin else None
    except WireError:
        head = None
    is_trace = isinstance(head, dict) and head.get("trace") == "livews"
    if not is_trace and begin and begin[0].startswith(_BOM):
        words, fix = (
            "the file begins with a UTF-8 byte order mark",
            "Leave it out of what is sent: a frame is plain UTF-8.",
        )
        yield 1, [rules.finding("WIRE-2", "", words, level="note", fix=fix)], False
    yield from _trace(lines, name, as_of) if is_trace else message_files.findings(lines, name, side, as_of)


def _trace(lines: Iterable[bytes], name: str, as_of: str) -> Iterator[Judged]:
    for session in follow(lines, name, lenient=True, as_of=as_of):
        yield from settled(read_to_end(session), session)
