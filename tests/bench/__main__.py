"""`python -m tests.bench`: measure everything, print one table. `python -m tests.bench load`: many sessions, at length;
`playing`: how a reply sounds; `long`: ten minutes at once, and ten minutes of talk; `proxy`: what the proxy adds;
`trace-tools`: reading long traces; `neighbours`: what a hostile session of the proxy costs the others.

Exit 0 when everything ran, whatever the figures; 1 when a measurement could not run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version

import livews
from tests.bench import (
    decode,
    load,
    long,
    microphone,
    neighbours,
    peer,
    playing,
    proxy,
    receive,
    startup,
    trace_tools,
    tracing,
)
from tests.bench.rounds import FULL, QUICK, TINY
from tests.bench.rows import SHORT, UNJUDGED, Row, table

MEASUREMENTS = {
    "decode": decode.measure,
    "microphone": microphone.measure,
    "receive": receive.measure,
    "startup": startup.measure,
    "tracing": tracing.measure,
    "load": load.measure,
}
ALONE = {
    "load": load.main,
    "playing": playing.main,
    "long": long.main,
    "proxy": proxy.main,
    "trace-tools": trace_tools.main,
    "neighbours": neighbours.main,
}
"""Measurements at length, with options of their own."""
_PACKAGES = ("websockets", "orjson", "pybase64", "jsonschema-rs", peer.NAME)
_EFFORTS = {"full": FULL, "quick": QUICK, "tiny": TINY}

HOW_TO_READ = f"""\
livews, peer: the median cost of one unit of work (a frame, a message, a start), in CPU time unless it says wall.
ratio: peer / livews beside {peer.NAME}; livews / peer beside a limit, which is a part of the work that nobody can
       leave out. It is taken round by round, the two in turn; shown is the median.
min..max: the smallest and the largest ratio of a round, or cost where there is no ratio. Far apart: a noisy machine.
Only ratios of one run compare: microseconds of two machines, or of two runs, do not."""
QUICK_NOTE = "This was not a full run: look at min..max before you believe a verdict."


def main() -> int:
    if sys.argv[1:2] and (alone := ALONE.get(sys.argv[1])):
        return alone(sys.argv[2:])
    options = _parser().parse_args()
    effort = _EFFORTS[options.effort]
    warnings.filterwarnings("ignore", module="google")
    rows: list[Row] = []
    failures: list[str] = []
    for name in options.only or MEASUREMENTS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            rows += MEASUREMENTS[name](effort)
        except Exception as problem:  # the others still say what they found
            failures.append(f"{name}: {type(problem).__name__}: {problem}")
    short = [row.measurement for row in rows if row.verdict == SHORT]
    if options.json:
        report = {"environment": environment(), "rows": [row.as_json() for row in rows]}
        print(json.dumps({**report, "short": short, "missing": missing(), "failures": failures}, indent=2))
    else:
        print("\n".join(f"{name}: {value}" for name, value in environment().items()))
        print(f"\n{HOW_TO_READ}\n\n{table(rows)}\n")
        notes = [*missing(), *(f"could not run: {failure}" for failure in failures)]
        if effort is not FULL:
            notes.append(QUICK_NOTE)
        print("\n".join([*notes, _verdict(rows, short)]))
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure livews against google-genai, in one run, on this machine.",
        epilog="With options of their own: load (many voice sessions against livews serve on one core), playing (how a "
        "reply sounds, beside the cookbook's player), long (ten minutes at once, and ten minutes of talk), proxy "
        "(what `livews proxy` adds to a round trip), trace-tools (reading long traces), neighbours (what a hostile session of the proxy "
        "costs the others); see load --help.",
    )
    efforts = parser.add_mutually_exclusive_group()
    for name, about in (("quick", "few and short rounds"), ("tiny", "one round of next to nothing: does it run?")):
        efforts.add_argument(f"--{name}", action="store_const", const=name, dest="effort", default="full", help=about)
    parser.add_argument("--json", action="store_true", help="every round of every row, as JSON")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="this measurement; may be repeated")
    return parser


def environment() -> dict[str, str]:
    """What the figures depend on."""
    packages = [f"{name} {_version(name)}" for name in _PACKAGES]
    return {
        "livews": livews.__version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "packages": ", ".join(packages),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def missing() -> list[str]:
    """What was left out, and what brings it in."""
    out = []
    if not peer.installed():
        out.append(f"{peer.NAME} is not installed, so livews was measured alone: {peer.INSTALL}")
    if not startup.can_do_tls():
        out.append(f"trustme is not installed, so nothing was started over wss: {startup.TLS_INSTALL}")
    return out


def _verdict(rows: list[Row], short: list[str]) -> str:
    judged = sum(row.verdict != UNJUDGED for row in rows)
    if short:
        return f"{len(short)} of {judged} targets fall short: {'; '.join(short)}"
    return f"all {judged} targets are met" if judged else "no target was judged"


if __name__ == "__main__":
    sys.exit(main())
