"""`python -m tests.bench.golden record|compare`: see the package's docstring."""

from __future__ import annotations

import argparse
import asyncio
import fnmatch
import json
import sys
import time
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any

from tests.bench.golden.cases import CASES
from tests.bench.golden.runner import Result, Tool, run_case

DATA = Path(__file__).with_name("data")


def file_of(name: str) -> Path:
    """A file holds the cases whose names begin with the same word."""
    return DATA / f"{name.split('-')[0]}.json"


@cache
def kept(path: Path) -> dict[str, Result]:
    """The recorded results of a file by the names of their cases."""
    found: dict[str, Result] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def recorded(name: str) -> Result | None:
    return kept(file_of(name)).get(name)


async def results(tool: Tool, names: Iterable[str], at_once: int, slow: float = 10.0) -> dict[str, Result]:
    """The results of the cases by name, so many at a time; a case that could not be run gives its error."""
    gate = asyncio.Semaphore(at_once)
    done: dict[str, Result] = {}

    async def one(name: str) -> None:
        async with gate:
            began = time.monotonic()
            try:
                done[name] = await run_case(tool, CASES[name])
            except Exception as problem:
                done[name] = {"error": f"{type(problem).__name__}: {problem}"}
            if (seconds := time.monotonic() - began) > slow:
                print(f"{name} took {seconds:.1f} s", file=sys.stderr)

    await asyncio.gather(*map(one, names))
    return done


def differences(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """Where two results differ, a line each. The order of members counts as well."""
    if isinstance(was, dict) and {*was} == {"atLeast"} and isinstance(now, dict) and {*now} == {"atLeast"}:
        missing = [name for name in was["atLeast"] if name not in now["atLeast"]]
        if missing:
            yield f"{path}: {', '.join(missing)} is missing"
    elif isinstance(was, dict) and isinstance(now, dict):
        for key in was:
            if key not in now:
                yield f"{path}/{key}: is missing, was {_brief(was[key])}"
        for key in now:
            if key not in was:
                yield f"{path}/{key}: is new, {_brief(now[key])}"
        both = [key for key in was if key in now]
        for key in both:
            yield from differences(was[key], now[key], f"{path}/{key}")
        if both != [key for key in now if key in was]:
            yield f"{path}: the order of members was {', '.join(both)}, now {', '.join(key for key in now if key in was)}"
    elif isinstance(was, list) and isinstance(now, list):
        if len(was) == len(now):
            pairs = [(i, i) for i in range(len(was))]
        else:  # an item that is missing does not make all items after it differ
            one, other = ([json.dumps(item) for item in items] for items in (was, now))
            same = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
            pairs = [(block.a + i, block.b + i) for block in same for i in range(block.size)]
        for i, j in pairs:
            yield from differences(was[i], now[j], f"{path}/{i}")
        for i in sorted({*range(len(was))} - {i for i, _ in pairs}):
            yield f"{path}/{i}: is missing, was {_brief(was[i])}"
        for j in sorted({*range(len(now))} - {j for _, j in pairs}):
            yield f"{path}/{j}: is new, {_brief(now[j])}"
    elif was != now or type(was) is not type(now):
        yield f"{path}: was {_brief(was)}, now {_brief(now)}"


def _brief(value: Any) -> str:
    words = json.dumps(value, ensure_ascii=False)
    return words if len(words) <= 200 else f"{words[:200]}..."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.golden", description=__doc__)
    parser.add_argument("what", choices=("record", "compare"))
    parser.add_argument("names", nargs="*", default=["*"], help="cases, also as in 'close-*' (default: all)")
    parser.add_argument("--livews", default="", help="the livews executable to run (default: this checkout's)")
    parser.add_argument("-j", type=int, default=3, metavar="N", help="cases at a time (default 3)")
    parser.add_argument(
        "--slow", type=float, default=10.0, metavar="S", help="name cases that take longer (default 10)"
    )
    options = parser.parse_args()
    names = [name for name in CASES if any(fnmatch.fnmatch(name, pattern) for pattern in options.names)]
    done = asyncio.run(results(Tool.of(options.livews), names, options.j, options.slow))
    failed = [name for name in names if "error" in done[name]]
    for name in failed:
        print(f"{name}: could not be run: {done[name]['error']}")
    if options.what == "record":
        for path in {file_of(name) for name in names}:
            found = {
                **kept(path),
                **{name: done[name] for name in names if file_of(name) == path and name not in failed},
            }
            rows = [
                f"{json.dumps(name)}: {json.dumps(found[name], ensure_ascii=False)}"
                for name in CASES
                if name in found
            ]
            path.write_text("{\n" + ",\n".join(rows) + "\n}\n")
        print(f"{len(names) - len(failed)} cases recorded")
        return 1 if failed else 0
    count = len(failed)
    for name in names:
        if name not in failed:
            for words in differences(recorded(name), done[name], name):
                count += 1
                print(words)
    print(f"{len(names)} cases, {count} differences")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
