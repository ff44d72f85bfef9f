"""`livews check` and `livews trace check`: check messages and traces against the schemas and rules.

- The input is one message, JSON lines of messages, or a trace; a bare setup object, as --setup takes it, is a client
  message.
- A single message is judged by itself; a trace, and messages that begin with a setup, as a conversation, so the order is
  judged too.
- A finding on stdout is a line and its fix below it. One that is made again, or follows from another, is counted there; so
  what is found in a file is printed at its end. The totals and the places of broken JSON are on stderr.
- What a model or surface was seen to refuse is an error, unless the session that is checked shows that it was taken.
- A file that cannot be read is an error, and the others are checked.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any

from livews.advice.consequences import FindingDigest, FoldedFinding
from livews.cli import message_files, reader, repair
from livews.cli.console import Console
from livews.core import rules
from livews.core.codec import WireError, parse_any
from livews.core.schema import Sender
from livews.errors import BadRequest, LivewsError
from livews.exit_codes import Exit
from livews.terminal_text import escape_unsafe, paragraph, plural
from livews.trace.ending import Judged, read_to_end, settled
from livews.trace.session import follow

_BOM = b"\xef\xbb\xbf"


def run(options: argparse.Namespace, console: Console) -> int:
    """Print the findings in the files; the exit code. As `livews trace check` they must be traces, and each rule is
    summed up."""
    traces = "tool" in options
    if not traces and options.fix and console.as_json:
        options.parser.error("--fix prints the messages: leave out --json")
    checked = _Checked(options, console, fixing=not traces and options.fix)
    failed: LivewsError | None = None
    for name in options.files:
        try:
            checked.file(name, traces=traces)
        except LivewsError as problem:
            if len(options.files) == 1:
                raise
            console.error(problem)  # the other files are checked still
            failed = failed or problem
    if traces:
        checked.sum_up_rules()
    checked.sum_up()
    if failed is not None:
        return int(failed.exit_code)
    return Exit.CHECK_FAILED if checked.levels["error"] else Exit.OK


class _Checked:
    """Checks files, prints their findings, and counts."""

    def __init__(self, options: argparse.Namespace, console: Console, *, fixing: bool) -> None:
        self._options, self._console, self._fixing = options, console, fixing
        self._name = ""
        self._messages = self._more = 0
        self.levels = Counter[str]()
        self._rules: dict[tuple[str, bool], Counter[str]] = {}
        self._fixes: dict[tuple[str, bool], str] = {}
        self._damaged: set[int] = set()
        """Lines of the file that cannot be read: they have the rule of an unreadable frame, and another fix."""

    def file(self, name: str, *, traces: bool) -> None:
        """Check one file. BadRequest if it cannot be read, or has no message."""
        options, shown = self._options, reader.shown_name(name)
        self._name = shown
        self._damaged.clear()
        digest = FindingDigest(self._report)
        is_empty = True
        with ExitStack() as stack:
            if self._fixing:
                lines = iter(repair.run(options, self._console, name))
            else:
                lines = reader.lines(stack.enter_context(reader.open_file(name, self._console)), shown, headed=traces)
            try:
                as_of = options.as_of or ""
                found = (
                    _trace(lines, shown, as_of, digest) if traces else _any(lines, options.side, shown, as_of, digest)
                )
                for line, findings, is_message in found:
                    is_empty = False
                    self._messages += is_message
                    is_damaged = not is_message and any(finding.rule == "WIRE-2" for finding in findings)
                    if is_damaged:
                        self._damaged.add(line)
                    digest.take(findings, line, each=is_damaged)
            finally:
                digest.close()
        if is_empty:
            fix = "pipe messages into it" if name == "-" else "name a file that holds some"
            raise BadRequest(f"there is no message in {shown}", where=shown, fix=fix)

    def sum_up_rules(self) -> None:
        for kind, count in sorted(self._rules.items(), key=lambda row: (-row[1]["error"], -row[1]["note"], row[0])):
            sums = [plural(count[level], level) for level in ("error", "note") if count[level]]
            self._console.note(f"{kind[0]}: {' and '.join(sums)}. {self._fixes[kind]}")

    def sum_up(self) -> None:
        sums = [plural(self.levels[level], level) for level in ("error", "note")]
        more = f"; {self._more:,} more repeat or follow from them" if self._more else ""
        self._console.note(f"{plural(self._messages, 'message')}: {', '.join(sums)}{more}")

    def _report(self, folded: FoldedFinding) -> None:
        """Print a finding: on stdout, or on stderr if that has the repaired messages."""
        console, finding = self._console, folded.finding
        level = "note" if finding.level == "note" and not self._options.strict else "error"
        self.levels[level] += 1
        self._more += folded.more
        kind = (finding.rule, finding.rule == "WIRE-2" and folded.first in self._damaged)
        self._rules.setdefault(kind, Counter())[level] += 1
        self._fixes.setdefault(kind, finding.fix)
        words = finding.complaint.removesuffix(f" at {finding.path}")
        row: dict[str, Any] = {"file": self._name, "line": folded.first, "level": level, "path": finding.path}
        row |= {"complaint": words, "rule": finding.rule, "do": finding.fix, **folded.to_dict("lastLine")}
        if finding.close:
            row["close"] = {"code": finding.close[0], "reason": finding.close[1]}
        place = f"{self._name}:{folded.first} {level} {finding.path or '/'}"
        text = f"{place}: {words} ({finding.rule}){folded.words('line')}"
        fix = paragraph("do", finding.fix) if finding.fix else ""
        if self._fixing:
            text = f"{text}\n{fix}".rstrip()
            console.line(console.paint("warn", escape_unsafe(text)), "warn")  # --quiet is about progress
        else:
            console.row(row, text)
            if fix and not console.as_json:
                console.say(console.paint_result("dim", escape_unsafe(fix)))
        for text in getattr(finding, "excerpt", "").splitlines():
            console.note(f"  {text}")


def _any(
    file: Iterator[bytes], side: Sender | None, name: str, as_of: str, digest: FindingDigest
) -> Iterator[Judged]:
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
    if is_trace:
        yield from _trace(lines, name, as_of, digest)
    else:
        yield from message_files.findings(lines, name, side, as_of, digest.begin)


def _trace(lines: Iterable[bytes], name: str, as_of: str, digest: FindingDigest) -> Iterator[Judged]:
    for session in follow(lines, name, lenient=True, as_of=as_of):
        digest.begin()
        yield from settled(read_to_end(session), session)
