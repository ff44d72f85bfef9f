"""`livews explain`: whatever protocol/ knows by a name, a number or a text. Offline.

- What is asked is read in this order: a JSON message; the id of a rule; a number, a close code or an HTTP status;
  one word that is a name or a path; anything else is a line of a log (core.logline) or the reason of a close.
- One word that is none of these is told with the names that come nearest, and exit 2.
- What was asked came from a wire: it is never shown raw.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from livews.cli.console import COLOR_HELP, Console, columns, paragraph
from livews.explainer import render
from livews.terminal_text import one_line

if TYPE_CHECKING:
    from livews.core.schema import Sender
    from livews.explainer.close_parser import LoggedClose

_LARGEST = 64 * 2**20
"""Bytes of stdin that are taken for one message."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews explain",
        description="Say why a socket closed, what a rule wants, or what a member, a message, a type, a value, a state, "
        "a model is; or explain a whole message, member by member. Nothing is sent anywhere.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples:\n  livews explain 1007 "Request contains an invalid argument."\n  livews explain 1006\n'
        '  livews explain "sent 1011 (internal error) keepalive ping timeout; no close frame received"\n'
        "  livews explain 404          an HTTP status instead of the upgrade\n  livews explain SETUP-1      a rule\n"
        "  livews explain clientContent\n  livews explain /setup/generationConfig/responseModalities\n"
        "  livews explain generation_config.temperature\n  livews explain START_SENSITIVITY_HIGH\n"
        """  livews explain '{"setup": {"model": "models/gemini-3.8-live"}}'\n"""
        "  livews explain -            a message, a name or a reason from stdin",
    )
    parser.add_argument(
        "what",
        metavar="WHAT",
        help="a close code, an HTTP status, a line of a log, a rule id, a reason, a name or path of the protocol, a JSON message, or -",
    )
    parser.add_argument("reason", nargs="*", metavar="REASON", help="the reason text, as it came")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
    return parser.parse_args(argv)


def run(options: argparse.Namespace, console: Console) -> int:
    from livews.core import protocol
    from livews.errors import BadRequest
    from livews.explainer import index

    what, reason = (_readable(text).strip() for text in (options.what, " ".join(options.reason)))
    if what == "-":
        what = _stdin()
    if what.startswith(("{", "[")):
        return _message(f"{what} {reason}", options, console)
    if what.upper() in protocol.rules():
        return _rule(what.upper(), options, console)
    if re.fullmatch(r"[A-Z]+-\d+", what):
        raise BadRequest(f"there is no rule {what}", fix="rules are listed in protocol/rules.json")
    whole = f"{what} {reason}".strip()
    if not what[:1].isdigit() and not re.search(r"\s", whole) and (found := index.look_up(whole)):
        return _name(whole, found, options, console)
    return _close(whole, options, console)


def _stdin() -> str:
    from livews.errors import BadRequest

    raw = sys.stdin.buffer.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        fix = "give one message; `livews trace show` reads traces of any size"
        raise BadRequest(f"stdin holds more than {_LARGEST >> 20} MiB", where="stdin", fix=fix)
    return raw.decode(errors="backslashreplace").removeprefix("\ufeff").strip()


def _readable(text: str) -> str:
    """An argument without the half characters that stand for bytes which are no UTF-8."""
    return text.encode(errors="surrogatepass").decode(errors="backslashreplace")


# Closes and rules


def _close(what: str, options: argparse.Namespace, console: Console) -> int:
    """Why a socket closed, by its code, its reason, or a line of a log that has them."""
    from livews.explainer import close_parser

    ended = close_parser.parse_close(what)
    return _ended(ended, options, console, or_name=not ended.code and not re.search(r"\s", what))


def _ended(ended: LoggedClose, options: argparse.Namespace, console: Console, or_name: bool = False) -> int:
    """`or_name`: where nobody wrote the reason down, it was a name."""
    from livews.core import closes
    from livews.errors import BadRequest

    code, reason, by = ended.code, ended.reason, ended.by
    if code and not (200 <= code < 600 or 1000 <= code < 5000):
        raise BadRequest(
            f"{code} is neither a close code nor an HTTP status",
            fix="close codes run from 1000 to 4999; HTTP statuses from 200 to 599",
        )
    if not code and not reason:
        fix = "give a close code, a reason, an HTTP status, a rule, a name or a message"
        raise BadRequest("there is nothing to explain", fix=fix)
    advice = closes.explain_http(code) if 0 < code < 1000 else closes.explain(code, reason, by=by)
    if or_name and not advice.known:
        return _unknown(reason, options, console)
    if options.json:
        console.data(json.dumps(asdict(advice), ensure_ascii=False))
        return 0
    head = " ".join(
        part
        for part in (str(advice.code or ""), json.dumps(advice.reason, ensure_ascii=False) if advice.reason else "")
        if part
    )
    own = by == "client" and not advice.known
    _head(console, head, "the client's own" if own else f"{advice.id}, {render.CONFIDENCE[advice.confidence]}")
    console.say(paragraph("what", advice.meaning))
    console.say(paragraph("why", advice.cause))
    for other in advice.also:
        console.say(paragraph("or", other))
    console.say(paragraph("do", advice.do))
    again = render.RETRY[advice.retry] if advice.known or own else "nobody has written down whether it helps"
    console.say(paragraph("again", again))
    return 0


def _rule(rule: str, options: argparse.Namespace, console: Console) -> int:
    from livews.core import protocol

    row = protocol.rules()[rule]
    if options.json:
        console.data(json.dumps(row, ensure_ascii=False))
        return 0
    told = f"{row['level']}, {render.CONFIDENCE.get(row['confidence'], 'documented')}"
    _head(console, f"{rule}  {row['title']}", told)
    console.say(paragraph("says", row["says"]))
    console.say(paragraph("do", row["do"]))
    if "close" in row:
        close = protocol.close_row(row["close"])
        console.say(paragraph("else", f'the service closes with {close["code"]} "{close["reason"]}"'))
    return 0


# Names


def _name(what: str, found: Any, options: argparse.Namespace, console: Console) -> int:
    if options.json:
        told = {"asked": what, "found": [entry.to_dict() for entry in found.entries]}
        console.data(json.dumps({**told, "places": [place.to_dict() for place in found.places]}, ensure_ascii=False))
        return 0
    for i, entry in enumerate(found.entries):
        if i:
            console.say("")
        _head(console, *render.head(entry))
        for text in render.body(entry):
            console.say(text)
    if found.entries and found.places:
        console.say("")
    for text in render.places(one_line(what), found.places, bool(found.entries)):
        console.say(text)
    return 0


def _unknown(what: str, options: argparse.Namespace, console: Console) -> int:
    from livews.errors import BadRequest
    from livews.explainer import index

    near, ids = index.nearest(what), index.models_like(what)
    if options.json:
        told = {"asked": what[: index.LONGEST], "found": [], "nearest": near or ids}
        console.data(json.dumps(told, ensure_ascii=False))
    cures = [f"did you mean {' or '.join(near)}?"] if near else []
    cures += [f"models known here: {', '.join(ids)}"] if ids else []
    fix = " ".join(cures) or "give a name as it stands in protocol/, or a whole reason"
    why = "it is no name in protocol/, and no reason of a close that was written down begins so"
    raise BadRequest(f"nothing is known of {one_line(what, 80)}", why=why, fix=fix)


# Messages


def _message(text: str, options: argparse.Namespace, console: Console) -> int:
    from livews.cli.check import whose
    from livews.core.codec import WireError, parse_any
    from livews.core.schema import kind_of
    from livews.errors import BadRequest
    from livews.explainer import annotate, close_parser
    from livews.explainer.close_parser import LoggedClose

    try:
        given = parse_any(text.encode())
    except WireError as problem:
        if (
            ended := close_parser.parse_close(text)
        ).code:  # of a program that prints an object of its own, or a date in brackets
            return _ended(ended, options, console)
        fix = "give one whole message; `livews check` takes many of them, `livews trace show` a trace"
        raise BadRequest("this is no JSON message", why=one_line(str(problem)), fix=fix) from None
    if isinstance(given, dict) and "dir" in given and isinstance(given.get("close"), dict):  # a line of a trace
        code, reason = given["close"].get("code"), given["close"].get("reason", "")
        by: Sender = "client" if given["dir"] == "send" else "server"
        return _ended(LoggedClose(code if type(code) is int else 1006, str(reason or ""), by), options, console)
    if isinstance(given, dict) and "reason" in given and type(given.get("code")) is int:  # a CloseEvent as JSON
        return _ended(LoggedClose(given["code"], str(given["reason"] or "")), options, console)
    sender, message = whose(given)
    if not isinstance(message, dict):
        fix = 'give one object such as {"setup": {...}}; `livews check` takes lists of them'
        raise BadRequest(f"a message is a JSON object, not {kind_of(message)[:40]}", fix=fix)
    lines, rest, whole = annotate.annotate(sender, message)
    if options.json:
        told: dict[str, Any] = {"sender": sender, "members": [line.to_dict() for line in lines]}
        told |= {"findings": [annotate.finding(one) for one in rest], "whole": whole}
        console.data(json.dumps(told, ensure_ascii=False))
        return 0
    _head(console, f"a message of the {sender}", "empty, which is normal" if not message else "")
    for finding in rest:
        _finding(finding, 0, console)
    for line in lines:
        _line(line, console)
    if not whole:
        console.say(f"  ... and more: the first {len(lines)} members were read")
    return 0


def _line(line: Any, console: Console) -> None:
    """A member in one line: its name, its value, the first of what is said of it."""
    name, value = one_line(line.name), one_line(line.value)
    start = f"  {'  ' * min(line.depth, 12)}{name}"
    says = one_line(line.says if line.known else "not in the schema")
    room = columns() - len(start) - len(value) - 4
    says = one_line(says, room) if room > 12 else ""
    style = "dim" if line.known else "warn"
    _show(console, [("bold", start), ("", f" {value}" if value else ""), (style, f"  {says}" if says else "")])
    for finding in line.findings:
        _finding(finding, line.depth + 1, console)


def _finding(finding: Any, depth: int, console: Console) -> None:
    import textwrap

    style = {"error": "error", "refused": "warn"}.get(finding.level, "dim")
    indent = f"  {'  ' * min(depth, 12)}"
    text = one_line(f"{finding.level}: {finding}") + (f"; {one_line(finding.fix)}" if finding.fix else "")
    for i, part in enumerate(textwrap.wrap(text, max(columns() - len(indent) - 2, 30), break_on_hyphens=False)):
        _show(console, [(style, f"{indent}{'! ' if i == 0 else '  '}{part}")])


def _head(console: Console, name: str, about: str) -> None:
    name, about = one_line(name), f"({one_line(about)})" if about else ""
    apart = "\n  " if name.startswith("/") and len(name) + len(about) + 2 > columns() else "  "
    _show(console, [("bold", name), ("dim", f"{apart}{about}" if about else "")])


def _show(console: Console, parts: list[tuple[str, str]]) -> None:
    """One line of painted parts, all of them safe to show."""
    painted = console.paints_stdout
    console.write("".join(console.paint(style, text) if painted and style else text for style, text in parts) + "\n")
