"""`livews explain`: why a socket closed, or what a rule wants. Offline, from protocol/."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import asdict

from livews.cli.terminal import COLOR_HELP, Console, paragraph

_RETRY = {
    "no": "no: the same input fails again",
    "yes": "yes: connect again",
    "backoff": "after a pause, longer each time",
    "resume": "connect again with the newest resumption handle, after the old socket is closed",
    "fresh": "connect again without the resumption handle",
}
_CONFIDENCE = {
    "seen": "seen in a real log",
    "quoted": "quoted from a live run",
    "reported": "reported, the wording may be partial",
    "inferred": "inferred",
    "none": "not found in any log",
}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livews explain",
        description="Say why a socket closed, or what a rule wants.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples:\n  livews explain 1007 "Request contains an invalid argument."\n  livews explain 1006\n'
        "  livews explain 404          an HTTP status instead of the upgrade\n  livews explain SETUP-1      a rule",
    )
    parser.add_argument(
        "what", metavar="CODE|RULE|REASON", help="a close code, an HTTP status, a rule id or a reason"
    )
    parser.add_argument("reason", nargs="*", metavar="REASON", help="the reason text, as it came")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help=COLOR_HELP)
    return parser.parse_args(argv)


def run(options: argparse.Namespace, console: Console) -> int:
    from livews.core import closes, spec
    from livews.core.errors import BadRequest

    what, reason = options.what.strip(), " ".join(options.reason)
    if what.upper() in spec.rules():
        return _rule(what.upper(), options, console)
    if re.fullmatch(r"[A-Z]+-\d+", what):
        raise BadRequest(f"there is no rule {what}", cure="rules are listed in protocol/rules.json")
    pasted = re.match(
        r"(\d+$|\d{3,4}\b)[\s:,.]*(.*)", what, re.DOTALL | re.ASCII
    )  # a whole line of a log, in one word
    code = int(pasted[1]) if pasted else 0
    reason = f"{pasted[2] if pasted else what} {reason}".strip()
    if pasted and code < 1000 and not 300 <= code < 600:
        raise BadRequest(
            f"{code} is neither a close code nor an HTTP error",
            cure="close codes run from 1000 to 4999; HTTP errors from 400 to 599",
        )
    if not code and not reason:
        raise BadRequest("there is nothing to explain", cure="give a close code, a reason, an HTTP status or a rule")
    advice = closes.explain_http(code) if 0 < code < 1000 else closes.explain(code, reason)
    if options.json:
        console.data(json.dumps(asdict(advice), ensure_ascii=False))
        return 0
    head = " ".join(
        part
        for part in (str(advice.code or ""), json.dumps(advice.reason, ensure_ascii=False) if advice.reason else "")
        if part
    )
    console.say(f"{head}  ({advice.id}, {_CONFIDENCE[advice.confidence]})")
    console.say(paragraph("what", advice.meaning))
    console.say(paragraph("why", advice.cause))
    for other in advice.also:
        console.say(paragraph("or", other))
    console.say(paragraph("do", advice.do))
    console.say(
        paragraph("again", _RETRY[advice.retry] if advice.known else "nobody has written down whether it helps")
    )
    return 0


def _rule(rule: str, options: argparse.Namespace, console: Console) -> int:
    from livews.core import spec

    row = spec.rules()[rule]
    if options.json:
        console.data(json.dumps(row, ensure_ascii=False))
        return 0
    console.say(f"{rule}  {row['title']}  ({row['level']}, {_CONFIDENCE.get(row['confidence'], 'documented')})")
    console.say(paragraph("says", row["says"]))
    console.say(paragraph("do", row["do"]))
    if "close" in row:
        close = spec.close_row(row["close"])
        console.say(paragraph("else", f'the service closes with {close["code"]} "{close["reason"]}"'))
    return 0
