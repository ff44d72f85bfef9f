"""Broken inputs for everything that reads what others wrote: `python -m tests.fuzz --minutes 10`.

    python -m tests.fuzz --only wavs --minutes 1     one kind of input
    python -m tests.fuzz --again FILE                an input that was saved, once more, with its traceback
    python -m tests.fuzz --atheris --only wavs       guided by coverage (pip install atheris)
    python -m tests.fuzz.server                      broken sessions, at a real `livews serve`

An input is a finding where a reader

- raises anything but a LivewsError or what its row says,
- needs more CPU time than 20 ms, 1 ms a kB and what it takes for a valid input, three times out of three,
- raises the peak of the process's memory (ru_maxrss) by more than 64 MB and 200 bytes a byte, or needs more than 1 GiB
  of address space beyond what the process has (RLIMIT_AS, on Linux),
- crashes the interpreter, or runs for 20 s.

Pictures are allowed more time and memory: theirs grow with their pixels.

Each kind runs in a process of its own. A finding's input is saved, and its file is named.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import readers
from tests.fuzz.worker import Finding, Result, Run, work


def fuzz(kinds: Sequence[str], seconds: float, seed: int, guided: bool = False) -> tuple[list[Result], Path]:
    """Run these kinds one after the other, each for its share of the seconds; the results, and the folder of what was saved."""
    folder = Path(tempfile.mkdtemp(prefix="livews-fuzz-"))
    context, results = multiprocessing.get_context("spawn"), []
    shares = {kind: readers.READERS[kind]().share for kind in kinds}
    for kind in kinds:
        ours, theirs = context.Pipe()
        process = context.Process(
            target=work, args=(kind, seed, seconds * shares[kind] / sum(shares.values()), folder, guided, theirs)
        )
        process.start()
        theirs.close()
        try:
            result: Result = ours.recv()
        except EOFError:
            process.join()
            current = folder / f"{kind}-current"
            result = Result(
                kind, findings=[Finding(f"{kind}: the process ended with {process.exitcode}", str(current))]
            )
        process.join()
        results.append(result)
    return results, folder


def again(path: Path) -> int:
    """Read a saved input once more; the kind is the start of its name."""
    run = Run(path.name.partition("-")[0], Path(tempfile.mkdtemp(prefix="livews-fuzz-")))
    for name, read in run.reader.reads.items():
        print(name, end=": ", flush=True)
        try:
            print(f"{run.timed(read, path.read_bytes()) * 1000:.1f} ms")
        except Exception:
            traceback.print_exc()
    run.feed(path.read_bytes())
    for finding in run.result.findings:
        print(finding.why)
    readers.clean()
    return bool(run.result.findings)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Broken inputs for every reader of livews."
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long, for all kinds together (default 10)")
    parser.add_argument("--seed", type=int, help="what the inputs are made from (default: another each time)")
    parser.add_argument("--only", action="append", choices=[*readers.READERS], help="this kind of input; repeatable")
    parser.add_argument("--atheris", action="store_true", help="guided by coverage: pip install atheris")
    parser.add_argument("--again", type=Path, metavar="FILE", help="read a saved input once more")
    options = parser.parse_args(arguments)
    if options.again:
        return again(options.again)
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    print(f"seed {seed}", flush=True)
    results, folder = fuzz(options.only or [*readers.READERS], options.minutes * 60, seed, options.atheris)
    for result in results:
        print(f"{result.kind:10}{result.inputs:10,} inputs, slowest {result.slowest:.0%} of its time")
        for finding in result.findings:
            print(f"- {finding.why}\n  python -m tests.fuzz --again {finding.path}")
    failed = any(result.findings for result in results)
    if not failed:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
    return failed


if __name__ == "__main__":
    sys.exit(main())
