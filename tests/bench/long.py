"""What lasts: a reply of ten minutes that arrives at once, ten minutes of talk, and the sound thread beside both.

- `python -m tests.bench long`. Wants PulseAudio and Linux's /proc; server, player and recorder are processes of their own.
- The long reply is compared with the recording, sample for sample.
- Memory and CPU of the talk are read from outside, so that reading them is not in them.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.audio.pulse import PulseServer
from tests.bench.arrivals import NETWORKS, RATE, SAMPLE, Turn, sending
from tests.bench.children import child, cpu, rss, script
from tests.bench.load import standin
from tests.bench.monitor import Monitor, find, silent_from
from tests.bench.playing import machine, played, sound_card
from tests.bench.rows import figure

REPLY_MS = 600_000
CHUNK_MS = 240
FLOODS = 6
"""Long replies a second that are sent in a flood; some machines are faster."""
EVERY = 10.0
"""Seconds from one reading of memory to the next."""
SETTLED = 0.2
"""Of the talk: what was loaded and first used by then does not count as growth."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench long", description="Ten minutes at once, ten minutes of talk, the sound thread."
    )
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be repeated")
    parser.add_argument("--listen", type=float, default=30.0, help="to the long reply, then it is cut (default 30 s)")
    parser.add_argument("--whole", action="store_true", help="hear all ten minutes of it, then cut a second one")
    parser.add_argument("--minutes", type=float, default=10.0, help="of talk (default 10)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of callbacks, a load (default 20)")
    parser.add_argument("--json", action="store_true", help="everything that was measured")
    options = parser.parse_args(argv)
    report: dict[str, Any] = {"machine": machine()}
    failures: list[str] = []
    if not options.json:
        print(report["machine"])
    for name in options.only or PARTS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        measure, lines = PARTS[name]
        try:
            with sound_card() as pulse:
                report[name] = measure(pulse, options)
        except Exception as problem:  # the others still say what they found
            failures.append(f"{name}: {type(problem).__name__}: {problem}")
            continue
        if not options.json:
            print("\n".join(["", *lines(report[name])]), flush=True)
    if options.json:
        print(json.dumps({**report, "failures": failures}, indent=2))
    for failure in failures:
        print(f"could not run: {failure}", file=sys.stderr)
    return 1 if failures else 0


# The long reply


def long_reply(pulse: PulseServer, options: argparse.Namespace) -> dict[str, Any]:
    at = [0.0] * (REPLY_MS // CHUNK_MS)
    whole = [Turn(1, CHUNK_MS, at)] if options.whole else []
    cut = Turn(2, CHUNK_MS, at, 5.0 if options.whole else options.listen)
    after = Turn(3, CHUNK_MS, [0.0] * 8)  # what was flushed is let go of when more comes
    plan = [*whole, cut, after]
    with Monitor(pulse) as monitor, sending(plan) as sender:
        player = played(pulse, "livews", sender.port, sum(turn.over + turn.pause for turn in plan) + 60, "--memory")
        log = sender.log()
    heard = find(monitor.pcm, {i: turn.sound for i, turn in enumerate(plan)})
    if len(heard) < len(plan):
        raise RuntimeError(f"{len(plan) - len(heard)} of {len(plan)} turns are not in the recording")
    first, last = heard[0], len(plan) - 2
    quiet = silent_from(monitor.pcm, heard[last].ends, heard[last + 1].begins)
    flush, memory = player["flushes"][0], player["memory"]
    traced = _traced(pulse, [Turn(2, CHUNK_MS, at, 2.0), after])
    return {
        "reply_bytes": REPLY_MS * RATE // 1000 * SAMPLE,
        "messages": len(at),
        "received_s": player["received"][0],
        "listened_s": first.until / RATE,
        "gaps_ms": first.gaps,
        "lost_ms": first.lost + 1000 * first.missing / RATE,
        "own_underruns": player["turns"][0]["underruns"],
        "own_late": player["turns"][0]["late"],
        "dropped_ms": player["turns"][0]["dropped_ms"],
        "latency_ms": 1000 * (monitor.time_of(first.begins) - log[0]["first"]),
        "rss_before": memory[0],
        "rss_received": memory[1],
        "rss_after": memory[-1],
        "rss_peak": player["peak"],
        "traced_before": traced[0],
        "traced_received": traced[1],
        "traced_after": traced[-1],
        "queued_s": player["turns"][last]["received_ms"] / 1000 - heard[last].until / RATE,
        "interrupted_to_flushed_ms": 1000 * (flush["at"] + flush["took"] - log[last]["interrupted"]),
        "flush_us": 1e6 * flush["took"],
        "silent_ms": 1000 * (monitor.time_of(quiet) - log[last]["interrupted"]),
        "heard_ms": flush["heard_ms"],
        "recorded_ms": 1000 * heard[last].position(monitor.frame_at(flush["at"])) / RATE,
    }


def _traced(pulse: PulseServer, plan: list[Turn]) -> list[int]:
    """The same, briefly, as tracemalloc sees it: memory that Python has freed may stay with the process."""
    with sending(plan) as sender:
        memory: list[int] = played(pulse, "livews", sender.port, 60, "--memory=traced")["memory"]
        sender.log()
    return memory


def long_reply_lines(report: dict[str, Any]) -> list[str]:
    size, grown = report["reply_bytes"], report["rss_received"] - report["rss_before"]
    gaps = report["gaps_ms"]
    return [
        f"A reply of {REPLY_MS // 1000} s, {report['messages']} messages, {_mb(size)} of sound",
        f"  received in             {report['received_s']:.2f} s",
        f"  first sample recorded   {report['latency_ms']:.0f} ms after the first chunk was sent",
        f"  heard                   {report['listened_s']:.1f} s: {len(gaps)} gaps ({sum(gaps):.0f} ms), {report['lost_ms']:.0f} ms lost;"
        f" livews counted {report['own_underruns']} dry, {report['own_late']} called late",
        f"  memory                  {_mb(report['rss_before'])} before, {_mb(grown)} more when received ({grown / size:.2f} of the sound), "
        f"{_mb(report['rss_peak'] - report['rss_before'])} more at most, {_mb(report['rss_after'] - report['rss_before'])} more after",
        f"  of that in use          {_mb(report['traced_received'] - report['traced_before'])} more when received, "
        f"{_mb(report['traced_after'] - report['traced_before'])} more after (tracemalloc)",
        f"  interrupted             with {report['queued_s']:.0f} s queued: flushed {report['interrupted_to_flushed_ms']:.2f} ms after it was sent"
        f" (flush() {report['flush_us']:.0f} us), silent {report['silent_ms']:.0f} ms after",
        f"  heard by then           {report['heard_ms']:.0f} ms says livews, {report['recorded_ms']:.0f} ms shows the recording",
    ]


# Ten minutes of talk


def long_talk(pulse: PulseServer, options: argparse.Namespace) -> dict[str, Any]:
    seconds = options.minutes * 60
    with (
        standin(None) as server,
        child(script("talk_long", str(server.port), str(seconds)), env=pulse.env, stderr=-1) as client,
    ):
        assert client.stdout is not None
        if not client.stdout.readline():
            raise RuntimeError(f"the talker did not start: {client.communicate()[1].strip()[-300:]}")
        began, spent = time.monotonic(), cpu(client.pid)
        readings: list[tuple[float, float]] = []
        while (now := time.monotonic() - began) < seconds:
            readings.append((now, rss(client.pid) * 1.024))
            time.sleep(min(EVERY, max(0.0, seconds - now)))
        spent, lasted = cpu(client.pid) - spent, time.monotonic() - began
        readings.append((lasted, rss(client.pid) * 1.024))
        out, errors = client.communicate(timeout=30)
        if client.returncode:
            raise RuntimeError(f"the talker ended with {client.returncode}: {errors.strip()[-300:]}")
    settled = [reading for reading in readings if reading[0] >= SETTLED * seconds]
    return {
        **json.loads(out),
        "seconds": lasted,
        "cpu": spent / lasted,
        "rss": readings,
        "slope_kb_a_minute": _slope(settled) * 60 if len(settled) > 2 else None,
    }


def long_talk_lines(report: dict[str, Any]) -> list[str]:
    kilobytes = [size for _, size in report["rss"]]
    slope = report["slope_kb_a_minute"]
    return [
        f"A spoken conversation of {report['seconds']:.0f} s: {report['sent']} chunks out (p99 {figure(report['late_p99'])} ms late), "
        f"{report['chunks']} in, {report['received'] / RATE / SAMPLE:.0f} s of voice, {report['turns']} turns, {report['interrupted']} interrupted",
        f"  CPU                     {100 * report['cpu']:.1f} % of a core",
        f"  memory                  {kilobytes[0] / 1000:.1f} MB at first, {max(kilobytes) / 1000:.1f} at most, {kilobytes[-1] / 1000:.1f} at the end; "
        + (f"from {SETTLED:.0%} of it on {slope:+.0f} kB a minute" if slope is not None else "too short for a slope"),
        f"  the voice               {report['underruns']} dry, {report['late']} called late{', ' + report['lost'] if report['lost'] else ''}",
    ]


# The sound thread


def callbacks(pulse: PulseServer, options: argparse.Namespace) -> dict[str, Any]:
    steady = NETWORKS["steady-4x-240"].arrivals(4 * options.seconds, random.Random(1))
    flood = [0.0] * (REPLY_MS // CHUNK_MS)
    plans = {
        "idle": [Turn(1, 40, [0.0], pause=options.seconds)],
        # interrupted as soon as all of it is sent: at no time is nothing received
        "receiving at 4x": [Turn(1, CHUNK_MS, steady, options.seconds, 0.0)],
        "flood": [Turn(1, CHUNK_MS, flood, 0.01, 0.0)] * max(1, round(FLOODS * options.seconds)),
    }
    report = {}
    for name, plan in plans.items():
        with sending(plan) as sender:
            limit = sum(turn.over + turn.pause for turn in plan) + 120
            player = played(pulse, "livews", sender.port, limit, "--callbacks")
            log = sender.log()
        lasted = log[-1]["ended"] - log[0]["first"]
        report[name] = {**player["callbacks"], "messages_a_second": sum(turn["chunks"] for turn in log) / lasted}
    return report


def callback_lines(report: dict[str, Any]) -> list[str]:
    names = {"wall": "fill(), by the clock", "cpu": "fill(), by the processor", "felt": "as PortAudio felt it"}
    lines = [
        "The sound thread, a block of 20 ms, in milliseconds",
        f"  {'':16}  {'':24}  {'p50':>7}  {'p99':>7}  {'max':>7}",
    ]
    for load, found in report.items():
        for what, words in names.items():
            times = found[what]
            about = f"{found['messages_a_second']:.0f} a second" if what == "cpu" else load if what == "wall" else ""
            lines.append(f"  {about:16}  {words:24}  {times['p50']:7.3f}  {times['p99']:7.3f}  {times['max']:7.3f}")
    return lines


Part = tuple[Callable[[PulseServer, argparse.Namespace], dict[str, Any]], Callable[[dict[str, Any]], list[str]]]
PARTS: dict[str, Part] = {
    "reply": (long_reply, long_reply_lines),
    "talk": (long_talk, long_talk_lines),
    "callbacks": (callbacks, callback_lines),
}


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


def _slope(points: list[tuple[float, float]]) -> float:
    """Of the straight line nearest to them."""
    x = sum(point[0] for point in points) / len(points)
    y = sum(point[1] for point in points) / len(points)
    across = sum((point[0] - x) ** 2 for point in points)
    return sum((point[0] - x) * (point[1] - y) for point in points) / across if across else 0.0
