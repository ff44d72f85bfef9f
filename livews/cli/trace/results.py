"""The tools of `livews trace` that print: show, stats and diff."""

import argparse
from itertools import zip_longest
from typing import Any

import orjson

from livews.advice.judge import unanswered_setup
from livews.cli import reader
from livews.cli.console import Console
from livews.core import protocol, schema
from livews.core.conversation import Step
from livews.core.rules import Finding
from livews.errors import BadRequest
from livews.exit_codes import Exit
from livews.recorder import Direction
from livews.redactor import hide_json, hide_named, with_pseudonyms
from livews.terminal_text import json_line, paragraph, plural
from livews.trace.ending import SessionEnding
from livews.trace.media import elided
from livews.trace.outcome import TurnOutcomes
from livews.trace.reader import CONTROLS, TraceRecord
from livews.trace.session import RecordedSession
from livews.trace.view import TraceView, describe
from livews.trace.waiting import Waiting


def stats(options: argparse.Namespace, console: Console) -> int:
    """Measure recorded sessions."""
    from livews.analysis.stats import SessionStats, words

    with reader.sessions(options.file, console, number=options.session) as sessions:
        for session in sessions:
            row = SessionStats(session).run()
            text = "\n".join(paragraph(f"{name:<15}", text)[2:] for name, text in words(row))
            console.row({"file": options.file, **row}, f"\n{text}" if session.number > 1 else text)
    return Exit.OK


def diff(options: argparse.Namespace, console: Console) -> int:
    """Compare the sessions of two traces by what they mean."""
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
    console.note(plural(count, "difference") if count else "alike")
    return Exit.CHECK_FAILED if count else Exit.OK


def show(options: argparse.Namespace, console: Console) -> int:
    """Print sessions, one line per message."""
    kinds = {name for name in options.kind.split(",") if name}
    known = _known_kinds() if kinds else {}
    for kind in sorted(kinds - {*known.values()}):
        if name := known.get(_folded(kind)):  # a difference of case or underscores is no new name of the trace
            raise _no_kind(kind, name)
    wanted = reader.selection(options)
    env = console.environment
    at_once = env.stdout_is_terminal or options.file == "-"
    seen_kinds: set[str] = set()
    last_turn = shown = 0

    def say(text: str) -> None:
        env.stdout.write(text + "\n")
        if at_once:
            env.stdout.flush()

    with reader.sessions(options.file, console, number=options.session) as sessions:
        for session in sessions:
            if session.number > 1 and not options.json:
                goes_on = f", connection {session.connection} of the conversation" if session.connection > 1 else ""
                say(console.paint_result("dim", f"-- session {session.number}{goes_on}"))
            view = TraceView(say, console.paint_result, hide_named)
            ending, waiting = SessionEnding(), Waiting(session.conversation)
            outcomes = TurnOutcomes(session.conversation)
            for line, step in session:
                ending.take(line, step)
                if (stall := waiting.follow(line, step)) and not stall.is_known and not options.json:
                    view.find(stall.finding)
                ended = outcomes.take(step, elided=line.elided) if step is not None and line.raw is not None else []
                line_kinds = _kinds(line, step) if kinds else set()
                seen_kinds |= kinds & line_kinds
                last_turn = max(last_turn, session.turn)
                if (
                    (options.side and line.sender != options.side)
                    or (options.faults and not (step is not None and step.faults))
                    or (kinds and not kinds & line_kinds)
                    or not wanted(session, line)
                ):
                    if step is not None:
                        view.passed(step)
                    continue
                shown += 1
                if options.json:
                    say(_as_json(session, line, step, ended))
                elif line.raw is not None and step is not None:
                    view.frame(line.t, _direction(line), "text", step, line.size, line.inserted, elided=line.elided)
                    for finding in ended:
                        view.find(finding)
                else:
                    view.control(line.t, _direction(line), line.control, line.about)
            view.close()
            if ending.unanswered is not None and not options.json:
                view.find(unanswered_setup())
            if (stall := waiting.at_end()) and not stall.is_known and not options.json:
                view.find(stall.finding)
    if options.turn is not None and options.turn > last_turn:
        raise reader.no_such("turn", options.turn, last_turn, options.file)
    for kind in sorted(kinds - seen_kinds - {*known.values()}):
        from difflib import get_close_matches  # only for a typing error

        if close := get_close_matches(_folded(kind), known, 1, 0.75):
            raise _no_kind(kind, known[close[0]])
        why = "neither the protocol nor this trace has that name"
        raise BadRequest(
            f"there is no kind {kind}", where="--kind", why=why, fix="`livews trace show` prints the kinds"
        )
    if not shown:
        console.note("no message matches")
    return 0


def _known_kinds() -> dict[str, str]:
    """Names that --kind may have in any trace, by their form without case and underscores."""
    tables = [schema.table(envelope).members for envelope in schema.ENVELOPE.values()]
    members = [member.name for table in tables for member in table.values()]
    signals = [signal["name"] for signal in protocol.machine()["signals"]]
    return {_folded(name): name for name in (*members, *signals, *CONTROLS, "unreadable")}


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _no_kind(kind: str, name: str) -> BadRequest:
    return BadRequest(f"there is no kind {kind}", where="--kind", fix=f"did you mean {name}?")


def _direction(line: TraceRecord) -> Direction:
    return "send" if line.sender == "client" else "recv"


def _kinds(line: TraceRecord, step: Step | None) -> set[str]:
    if step is None or line.raw is None:
        return {line.control}
    return {*step.kind.split("+"), *step.signals}


def _as_json(session: RecordedSession, line: TraceRecord, step: Step | None, ended: list[Finding]) -> str:

    row: dict[str, Any] = {"session": session.number, "line": line.number, "t": line.t, "dir": _direction(line)}
    row["turn"] = session.turn
    if line.inserted:
        row["inserted"] = True
    if step is None or line.raw is None:
        row[line.control] = line.about
    else:
        row |= {"kind": step.kind, "size": line.size, "signals": step.signals, "effects": step.effects}
        row |= {"states": step.states if step.state else {}, "said": describe(step, elided=line.elided)}
        if step.kind != "unreadable":
            row["message"] = elided(with_pseudonyms(step.body))
        for name, findings in (("faults", step.faults), ("notes", (*step.notes, *ended))):
            if findings:
                row[name] = [
                    {"rule": f.rule, "path": f.path, "complaint": f.complaint, "do": f.fix} for f in findings
                ]
    return json_line(hide_json(orjson.dumps(row, option=orjson.OPT_NON_STR_KEYS).decode(), compact=True))
