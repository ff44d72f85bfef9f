"""Many voice sessions at once: how late a stand-in on one core sends its voice, and what a session costs.

- The server is `livews serve`, a process pinned to one core; the clients are another process on another core. Where a
  system pins nothing, or has one core, that is told: the figures then are of the machine, not of a core.
- Lateness is told twice: as the server sees it (/livews/status; upper bounds) and as the clients do. A client that was
  late itself is told, too: the figures are no better than it.
- CPU and memory are the server process's own, from /proc, so this measurement wants Linux. Memory at half time and at
  the end holds what all sessions share, such as 16 MB of voices that were said before.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.children import Server, child, livews, script, serving
from tests.bench.rounds import FULL, QUICK, Effort
from tests.bench.rows import Row, Target

IN_TIME = Target("at most", 50, "ms late")
A_CORE_HOLDS = Target("at most", 5, "ms, 200 to a core")
SMALL = Target("at most", 150, "kB")
_PATIENCE = 60.0


@dataclass(frozen=True)
class Load:
    sessions: int
    seconds: float
    ms: int = 40


def measure(effort: Effort) -> list[Row]:
    load = Load(200, 30) if effort is FULL else Load(50, 5) if effort is QUICK else Load(3, 2)
    report = run(load)
    if wrong := troubles(load, report):
        raise RuntimeError("; ".join(wrong))
    what = f"{load.sessions} voice sessions"
    client, rss = report["client"], report["rss"]
    return [
        Row(f"{what}, p99 late as the clients see it", "cost", "ms", [client["late"]["p99"]], target=IN_TIME),
        Row(f"{what}, p99 late as the server does", "cost", "ms", [float(report["lateMs"]["p99"])], target=IN_TIME),
        Row(f"{what}, CPU a session a second", "cost", "ms", [report["cpuMs"]], target=A_CORE_HOLDS),
        Row(f"{what}, memory a session", "cost", "kB", [rss["session"]], target=SMALL),
        Row(f"{what}, growth a session from half time on", "cost", "kB", [rss["growth"]]),
    ]


def main(argv: list[str]) -> int:
    """`python -m tests.bench load`: one table, a line for each number of sessions."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench load", description="Voice sessions in real time against livews serve on one core."
    )
    parser.add_argument("--sessions", type=int, nargs="+", default=[200], help="how many at once (default 200)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they talk (default 30)")
    parser.add_argument("--ms", type=int, choices=(20, 40, 100), default=40, help="of sound a frame (default 40)")
    parser.add_argument("--json", action="store_true", help="everything that was measured, a line a number")
    options = parser.parse_args(argv)
    if not options.json:
        print(pinned()[1])
        print(HEADING)
    bad = False
    for sessions in options.sessions:
        load = Load(sessions, options.seconds, options.ms)
        report = run(load)
        wrong = troubles(load, report)
        bad = bad or bool(wrong)
        print(
            json.dumps({**vars(load), **report, "troubles": wrong}) if options.json else line(load, report),
            flush=True,
        )
        for words in wrong:
            print(f"    {words}", file=sys.stderr)
    return 1 if bad else 0


HEADING = (
    "sessions  CPU %  chunks   server ms late     client ms late       play ms late    kB a session     client's own\n"
    "                          p50  p99   max     p50   p99    max     p99    max      start  half   end    p99 ms  CPU %"
)


def line(load: Load, report: dict[str, Any]) -> str:
    """One number of sessions as a line under `HEADING`."""
    server, client, rss = report["lateMs"], report["client"], report["rss"]
    late, needed = client["late"], client["needed"]
    base = rss["idle"]
    start, half, end = (max(0, rss[name] - base) / load.sessions for name in ("start", "half", "end"))
    return (
        f"{load.sessions:8}  {report['cpu'] * 100:5.1f}  {server['chunks']:6}   "
        f"{server.get('p50', 0):3}  {server.get('p99', 0):3}  {server['max']:4.0f}   "
        f"{late['p50']:5.1f} {late['p99']:5.1f}  {late['max']:5.0f}   {needed['p99']:5.1f}  {needed['max']:5.0f}      "
        f"{start:5.0f} {half:5.0f} {end:5.0f}    {client['clientLag']['p99']:6.1f}  {client['clientCpu'] * 100:5.1f}"
    )


def troubles(load: Load, report: dict[str, Any]) -> list[str]:
    """What must not be, whatever the figures."""
    client, sessions = report["client"], report["sessions"]
    wanted = {
        f"{load.sessions - report['ready']} sessions were not set up": report["ready"] == load.sessions,
        f"{client['gone']} sessions were lost: {client['lost']}": client["gone"] == 0,
        f"{sessions['failures']} sessions failed in the server": sessions["failures"] == 0,
        f"{client['silent']} sessions were never answered": load.seconds < 6 or client["silent"] == 0,
        f"{report['closed']} sockets were closed with 1000": report["closed"] == load.sessions,
        f"the server wrote: {report['stderr'][:500]}": not report["stderr"],
    }
    return [words for words, is_so in wanted.items() if not is_so]


def run(load: Load) -> dict[str, Any]:
    """Everything about one number of sessions. RuntimeError when it cannot be measured here."""
    if not Path("/proc/self/stat").exists():
        raise RuntimeError("no /proc on this system, so the server's CPU and memory cannot be told")
    cores, _ = pinned()
    with standin(cores[0]) as server:
        with talking(server.port, Load(1, 0.1), cores[1]) as first:  # what is loaded once belongs to no session
            for _ in range(3):
                _line(first)
            _spoken(first)
        rss = {"idle": server.rss}
        return _talk(server, load, rss, cores[1])


def _talk(server: Server, load: Load, rss: dict[str, float], core: int | None) -> dict[str, Any]:
    with talking(server.port, load, core) as client:
        ready = _line(client)
        rss["start"] = server.rss
        before, began = server.cpu, time.monotonic()
        _line(client)
        rss["half"] = server.rss
        spoken = _line(client)
        cpu, wall = server.cpu - before, time.monotonic() - began
        rss["end"] = server.rss
        status = _status(server)
        closed = _spoken(client)
    after = _status(server)
    rss["session"] = max(0.0, rss["start"] - rss["idle"]) / load.sessions
    rss["growth"] = max(0.0, rss["end"] - rss["half"]) / load.sessions
    return {
        **ready,
        "client": spoken,
        **closed,
        "cpu": cpu / wall,
        "cpuMs": cpu / wall / load.sessions * 1000,
        "rss": rss,
        "lateMs": status["lateMs"],
        "sessions": after["sessions"],
        "ended": after["ended"],
        "stderr": server.said,
    }


def pinned() -> tuple[tuple[int | None, int | None], str]:
    """The core of the server and the one of the clients, and that in words."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        return (None, None), "server and clients share what cores there are: no figure of one core"
    return (cores[0], cores[1]), f"the server on core {cores[0]}, the clients on core {cores[1]}"


def _status(server: Server) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/livews/status")
        report: dict[str, Any] = json.loads(connection.getresponse().read())
        return report
    finally:
        connection.close()


def standin(core: int | None) -> AbstractContextManager[Server]:
    """`livews serve` in a process, on that core."""
    return serving(livews("serve", "--port", "0", "--voice", "tones", "--quiet"), core)


def talking(port: int, load: Load, core: int | None) -> AbstractContextManager[subprocess.Popen[str]]:
    """All clients in a process, on that core."""
    words = (str(port), str(load.sessions), str(load.seconds), str(load.ms))
    return child(script("voices", *words), core, stdin=subprocess.PIPE)


def _line(client: subprocess.Popen[str]) -> dict[str, Any]:
    assert client.stdout is not None
    said = client.stdout.readline()
    if not said:
        raise RuntimeError(f"the clients ended with {client.wait()}")
    report: dict[str, Any] = json.loads(said)
    return report


def _spoken(client: subprocess.Popen[str]) -> dict[str, Any]:
    """Have the clients say goodbye; what they say of it."""
    assert client.stdin is not None
    client.stdin.write("\n")
    client.stdin.flush()
    return _line(client)
