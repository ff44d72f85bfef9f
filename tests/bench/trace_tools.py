"""`python -m tests.bench trace-tools`: what reading a long trace costs, and how much memory it takes.

- The trace is made here, of talk as it is recorded: a microphone in pieces of 40 ms, a voice in pieces of 80 ms, words, turns,
  tokens. Its messages are counted, its sound is none that anybody would want to hear.
- Each tool is a process of its own, its output thrown away. The time is CPU time and the memory what the system says it had
  at most. Both are shown beside those of a trace a tenth as long: memory that is bounded is the same for both.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson

from livews.core import codec
from livews.trace.writer import header
from tests.bench import children

TOOLS = {
    "show": ("trace", "show"),
    "show --json": ("trace", "show", "--json"),
    "check": ("trace", "check", "--quiet"),
    "stats": ("trace", "stats", "--json"),
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench trace-tools", description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000, metavar="N", help="how long the trace is")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args(argv)
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        long, short = Path(folder, "long.jsonl"), Path(folder, "short.jsonl")
        for path, count in ((long, options.messages), (short, max(1, options.messages // 10))):
            make(path, count)
        size = long.stat().st_size
        for name, words in TOOLS.items():
            seconds, memory = _run(*words, str(long))
            _, less = _run(*words, str(short))
            figures[name] = {"us": seconds / options.messages * 1e6, "MB": memory, "MB of a tenth": less}
    if options.json:
        print(json.dumps({"messages": options.messages, "bytes": size, "tools": figures}))
        return 0
    print(f"{options.messages:,} messages, {size / 1e6:,.0f} MB")
    print(f"{'tool':<12} {'a message':>12} {'memory':>10} {'of a tenth':>12}")
    for name, row in figures.items():
        print(f"{name:<12} {row['us']:>9.1f} us {row['MB']:>7.0f} MB {row['MB of a tenth']:>9.0f} MB")
    return 0


def _run(*words: str) -> tuple[float, float]:
    """CPU seconds and megabytes of one run of livews."""
    process = subprocess.Popen(children.livews(*words), stdout=subprocess.DEVNULL, env=children.environment())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return used.ru_utime + used.ru_stime, used.ru_maxrss / scale


def make(path: Path, messages: int) -> None:
    """A trace of so many messages."""
    chance = random.Random(1)
    microphone = [codec.encode_base64(chance.randbytes(1280)) for _ in range(50)]
    voice = [codec.encode_base64(chance.randbytes(3840)) for _ in range(50)]
    written, t = 0, 0.0
    with path.open("wb") as file:

        def write(direction: str, message: dict[str, object]) -> None:
            nonlocal written
            if written < messages:
                size = len(codec.dump(message))
                opcode = "text" if direction == "send" else "binary"
                row = {"t": round(t, 6), "dir": direction, "opcode": opcode, "size": size, "message": message}
                file.write(orjson.dumps(row) + b"\n")
                written += 1

        file.write(orjson.dumps(header("ws://127.0.0.1:1/BidiGenerateContent", "client")) + b"\n")
        write("send", {"setup": {"model": "models/gemini-3.8-live", "outputAudioTranscription": {}}})
        write("recv", {"setupComplete": {}})
        while written < messages:
            for _ in range(100):
                t += 0.04
                blob = {"mimeType": "audio/pcm;rate=16000", "data": chance.choice(microphone)}
                write("send", {"realtimeInput": {"audio": blob}})
            for i in range(25):
                t += 0.02
                blob = {"mimeType": "audio/pcm;rate=24000", "data": chance.choice(voice)}
                write("recv", {"serverContent": {"modelTurn": {"parts": [{"inlineData": blob}]}}})
                if i % 5 == 0:
                    write("recv", {"serverContent": {"outputTranscription": {"text": f"Words {written}. "}}})
            write("recv", {"serverContent": {"generationComplete": True}})
            usage = {"promptTokenCount": 100, "responseTokenCount": 50, "totalTokenCount": 150}
            write("recv", {"serverContent": {"turnComplete": True}, "usageMetadata": usage})
