"""Run the console blocks of the documentation and compare, or rewrite, the output they show.

`python -m tests.docs.transcripts [--update] [PAGE ...]` prints what differs; with `--update` it writes the output of
this run into the pages where it differs. Lines that differ only in what varies between runs (`_VARIES`) stay as they are.
`...` stands for any number of lines.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TextIO

from tests.docs.pages import PAGES, Block, Step, blocks, files
from tests.kit.command import serving
from tests.kit.names import ROOT

AT_ONCE = 4
"""Blocks that run at the same time: most of their time is spent waiting."""
PATIENCE = 60.0
"""Seconds a command may take."""
_QUIET = 5.0
"""Seconds without output after which a server has printed what there was to print."""
_NO_SOUND = "livews: no sound: "
"""Begins a note of a machine without a loudspeaker."""
_PORTS = {"serve": 8765, "proxy": 8766, "inspect": 8766}
_VARIES = (
    (r"^ +\d+\.\d{3}  ", "   0.000  "),  # times of the trace
    (r"^(  \d) +\d+\.\d{3}  ", r"\1    0.000  "),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:0"),
    (r"token=\S+", "token=T"),
    (r"handle:[0-9a-f]{12}", "handle:H"),
    (r"\b\d+\.\d s\b", "0.0 s"),
    (r"\b\d+\.\d+ seconds", "0.0 seconds"),
    (r"\b\d+\.\d{2,3} ?s\b", "0.00 s"),
    (r"\d+\.\d\d / \d+\.\d\d", "0.00 / 0.00"),
    (r"\b\d+ out\b", "0 out"),
    (r"\b\d+ down\b", "0 down"),
    (r"\b\d+ tokens", "0 tokens"),
    (r"-\d+ dBFS", "-0 dBFS"),
    (r"\b\d+ ms\b", "0 ms"),
    (r"\d+ to \d+ ms \(p50 \d+\)", "0 to 0 ms (p50 0)"),
    (r"\d+\.\d times real time, at the slowest \d+\.\d", "0.0 times real time, at the slowest 0.0"),
    (r"\bin \d+ chunks", "in 0 chunks"),
    (r"\b\d+ lines", "0 lines"),
    (r"\b\d+ messages, (\d+ findings, )[\d,]+ B", r"0 messages, \1 0 B"),
    (r"jsonl:\d+ ", "jsonl:0 "),
    (r"\d+ received \(\d+ when recorded\)", "0 received (0 when recorded)"),
    (r"\blivews/\d+\.\d+\.\d+", "livews/0.0.0"),
    (r"^\. +\[100%\]", ". [100%]"),
    (r" +", " "),
)


def normal(line: str) -> str:
    """A line of output without what varies between runs."""
    for pattern, plain in _VARIES:
        line = re.sub(pattern, plain, line)
    return line.strip()


# Running


@cache
def _bin() -> Path:
    """A folder with the commands `livews` and `python` of this interpreter."""
    folder = Path(tempfile.mkdtemp(prefix="livews-docs-"))
    for name, words in (("livews", " -m livews"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: no key, this `livews`, 100 columns."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "GEMINI_", "PYTEST_"))
    }
    path = f"{_bin()}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "PYTHONUNBUFFERED": "1", **more}


def is_server(command: str) -> bool:
    """Does the command listen until it is stopped?"""
    return bool(re.match(r"livews (serve|proxy|inspect)\b", command)) and not re.search(
        r"--help|--fault help", command
    )


def run_block(block: Block, stand_in: str = "") -> list[tuple[Step, list[str]]]:
    """Each command of a console block with the lines it printed, in a folder of its own.

    `stand_in`: the ws:// URL that takes the place of ws://127.0.0.1:8765 in a block with that note.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, body in files(block.page).items():
            (folder / path).write_text(body)
        return [(step, _run(step, block, folder, stand_in)) for step in block.steps()]


def _run(step: Step, block: Block, folder: Path, stand_in: str) -> list[str]:
    command = step.command
    if is_server(command):
        return _serve(step, block.setting("client"), folder, stand_in if block.needs_stand_in else "")
    ports = {}
    if block.needs_stand_in:
        port = stand_in.rpartition(":")[2]
        command, ports = command.replace("127.0.0.1:8765", f"127.0.0.1:{port}"), {port: "8765"}
    done = subprocess.run(
        ["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=PATIENCE, env=environment(), cwd=folder,
    )  # fmt: skip
    lines = _as_documented(done.stdout, ports).splitlines()
    return [line for line in lines if _NO_SOUND not in line]


def _serve(step: Step, client: str, folder: Path, stand_in: str) -> list[str]:
    """What a server prints: on free ports, with `client` run once it listens.

    It is stopped when it has printed what the page shows, or has printed nothing for a while.
    """
    kind = step.command.split()[1]
    words = re.sub(r" --port \d+", "", step.command).replace("livews", "exec livews", 1)
    words += " --port 0" + (" --proxy-port 0" if kind == "inspect" else "")
    if stand_in:
        words = words.replace("ws://127.0.0.1:8765", stand_in)
    lines: list[str] = []
    arrived = threading.Event()

    def read(stream: TextIO) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))
            arrived.set()

    def wait(enough: Callable[[], object]) -> None:
        arrived.set()
        while reader.is_alive() and arrived.wait(_QUIET):
            arrived.clear()
            if enough():
                return

    def port() -> str:
        found = re.search(r"\bwss?://127\.0\.0\.1:(\d+)", "\n".join(lines))
        return found[1] if found else ""

    with subprocess.Popen(
        ["bash", "-c", words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment(), cwd=folder,
    ) as process:  # fmt: skip
        reader = threading.Thread(target=read, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            wait(port)
            if client:
                subprocess.run(
                    ["bash", "-c", client.replace(f"127.0.0.1:{_PORTS[kind]}", f"127.0.0.1:{port()}")],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE, env=environment(), cwd=folder,
                )  # fmt: skip
            wait(lambda: step.shown and fits(step.shown, lines))
            if "--once" in step.command:
                reader.join(PATIENCE)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            reader.join(10)
            process.kill()
    ports = {port(): str(_PORTS[kind])}
    if stand_in:
        ports[stand_in.rpartition(":")[2]] = "8765"
    if kind == "inspect":
        ports |= {page: "8767" for line in lines for page in re.findall(r"^http://127\.0\.0\.1:(\d+)/\?token=", line)}
    return _as_documented("\n".join(lines), ports).splitlines()


def _as_documented(text: str, ports: dict[str, str]) -> str:
    for port, documented in ports.items():
        text = re.sub(rf":{port}\b", f":{documented}", text)
    return text


# Comparing


def fits(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Are the shown lines those that were printed, in order, apart from what `...` leaves out?"""
    pattern = "".join("(?:.*\n)*" if line == "..." else re.escape(normal(line)) + "\n" for line in shown)
    return bool(re.fullmatch(pattern, "".join(f"{normal(line)}\n" for line in printed)))


def updated(shown: Sequence[str], printed: Sequence[str]) -> list[str]:
    """The shown lines if they fit; else this run's, with the old spelling of those that fit. `...` is for people to put."""
    if fits(shown, printed):
        return list(shown)
    spellings = {normal(line): line for line in shown}
    return [spellings.get(normal(line), line) for line in printed]


# All of them


def is_run(block: Block) -> bool:
    """The set-up commands of README.md are run by .ci/run, the rest here."""
    return not block.setting("not run")


def run_page(page: Path) -> list[tuple[Block, list[tuple[Step, list[str]]]]]:
    """Every console block of a page that is run, with what its commands printed."""
    chosen = [block for block in blocks(page, "console") if is_run(block)]
    with contextlib.ExitStack() as stack:
        url = ""
        if any(block.needs_stand_in for block in chosen):
            url, _process = stack.enter_context(serving("--pace", "0"))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(zip(chosen, pool.map(lambda block: run_block(block, url), chosen), strict=True))


def problems(page: Path) -> list[str]:
    """What the transcripts of a page show and the commands do not print, with the place."""
    return [
        f"{block.place}: $ {step.command}\nshown:\n" + "\n".join(step.shown) + "\nprinted:\n" + "\n".join(printed)
        for block, steps in run_page(page)
        for step, printed in steps
        if not fits(step.shown, printed)
    ]


def update(page: Path) -> bool:
    """Rewrite the output in a page; whether anything changed."""
    text = page.read_text()
    new = text
    for block, steps in reversed(run_page(page)):
        body = ""
        for step, printed in steps:
            body += "$ " + step.command.replace("\n", "\n> ") + "\n"
            body += "".join(f"{line}\n" for line in updated(step.shown, printed))
        new = new[: block.start] + body + new[block.start + len(block.body) :]
    if new != text:
        page.write_text(new)
    return new != text


def main(words: list[str]) -> int:
    chosen = [Path(word).resolve() for word in words if word != "--update"] or PAGES
    if "--update" in words:
        for page in chosen:
            print(f"{page.relative_to(ROOT)}: {'rewritten' if update(page) else 'unchanged'}")
        return 0
    wrong = [problem for page in chosen for problem in problems(page)]
    print("\n\n".join(wrong) or "every transcript is as shown")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
