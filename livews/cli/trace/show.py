"""`livews trace show`: print a session, one line per message."""

import argparse
from difflib import get_close_matches
from typing import Any

import orjson

from livews.cli import reader
from livews.cli.console import Console
from livews.core import protocol, schema
from livews.core.conversation import Step
from livews.core.rules import unanswered_setup
from livews.errors import BadRequest
from livews.recorder import Direction
from livews.redactor import Redactor
from livews.terminal_text import json_line
from livews.trace.ending import SessionEnding
from livews.trace.media import elided
from livews.trace.reader import CONTROLS, TraceRecord
from livews.trace.session import RecordedSession
from livews.trace.view import TraceView, describe


def run(options: argparse.Namespace, console: Console) -> int:
    kinds = {name for name in options.kind.split(",") if name}
    known = _known_kinds() if kinds else {}
    for kind in sorted(kinds - {*known.values()}):
        if name := known.get(_folded(kind)):  # a difference of case or underscores is no new name of the trace
            raise _no_kind(kind, name)
    wanted = reader.selection(options)
    env = console.environment
    paints = env.stdout_is_terminal or options.color == "always"
    paint = console.paint if paints else lambda style, text: text
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
                say(paint("dim", f"-- session {session.number}"))
            view = TraceView(say, paint, Redactor().redact)
            ending = SessionEnding()
            for line, step in session:
                ending.take(line, step)
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
                    say(_as_json(session, line, step))
                elif line.raw is not None and step is not None:
                    view.frame(line.t, _direction(line), "text", step, line.size, line.inserted)
                else:
                    view.control(line.t, _direction(line), line.control, line.about)
            view.close()
            if ending.unanswered is not None and not options.json:
                view.find(unanswered_setup())
    if options.turn is not None and options.turn > last_turn:
        raise reader.no_such("turn", options.turn, last_turn, options.file)
    for kind in sorted(kinds - seen_kinds - {*known.values()}):
        if close := get_close_matches(_folded(kind), known, 1, 0.75):
            raise _no_kind(kind, known[close[0]])
        console.warn(f"no message is a {kind}: neither the protocol nor the trace has that name")
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


def _as_json(session: RecordedSession, line: TraceRecord, step: Step | None) -> str:

    row: dict[str, Any] = {"session": session.number, "line": line.number, "t": line.t, "dir": _direction(line)}
    row["turn"] = session.turn
    if line.inserted:
        row["inserted"] = True
    if step is None or line.raw is None:
        row[line.control] = line.about
    else:
        row |= {"kind": step.kind, "size": line.size, "signals": step.signals, "effects": step.effects}
        row |= {"states": step.states if step.state else {}, "said": describe(step)}
        if step.kind != "unreadable":
            row["message"] = elided(step.body)
        for name, findings in (("faults", step.faults), ("notes", step.notes)):
            if findings:
                row[name] = [
                    {"rule": f.rule, "path": f.path, "complaint": f.complaint, "do": f.fix} for f in findings
                ]
    return json_line(orjson.dumps(row, option=orjson.OPT_NON_STR_KEYS).decode())
