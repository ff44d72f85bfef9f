"""The README is true: its commands run, and print what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.command import serving
from tests.kit.names import ROOT

README = (ROOT / "README.md").read_text()
_VARIES = (
    (r"\b\d+\.\d{3}  ", "0.000  "),  # times of the trace
    (r"127\.0\.0\.1:\d+", "127.0.0.1:0"),
    (r"its voice is [\w-]+", "its voice is tones"),  # a machine with a speech command speaks, at another length
    (r", \d+\.\d s", ", 0.0 s"),
    (r"\d+ out,", "0 out,"),
    (r"\d+ tokens", "0 tokens"),
    (r"\[\d+\.\d s of sound, -\d+ dBFS\]", "[0.0 s of sound, -0 dBFS]"),
    (r"\d+\.\d seconds of sound at -\d+ dBFS", "0.0 seconds of sound at -0 dBFS"),
    (r"\d+\.\d\d / \d+\.\d\d s", "0.00 / 0.00 s"),
    (r"\(\d+\.\d s\)", "(0.0 s)"),
    (r"\b\d+ ms  ", "0 ms  "),
    (r"p\d\d \d\.\d{3} s", "p00 0.000 s"),
    (r"\d+ to \d+ ms \(p50 \d+\)", "0 to 0 ms (p50 0)"),
    (r"gap \d\.\d{3} s", "gap 0.000 s"),
    (r"\d+\.\d times real time, at the slowest \d+\.\d", "0.0 times real time, at the slowest 0.0"),
    (r"\b\d+\.\d s in \d+ chunks", "0.0 s in 0 chunks"),
    (r"\b\d+ lines", "0 lines"),
    (r"\b\d+ messages, 0 findings, [\d,]+ B", "0 messages, 0 findings, 0 B"),
    (r"jsonl:\d+ ", "jsonl:0 "),
    (r"\d+ received \(\d+ when recorded\), \d+\.\d s \(", "0 received (0 when recorded), 0.0 s ("),
)


def transcripts() -> list[list[tuple[str, list[str]]]]:
    """Each console block as (command, lines shown)."""
    blocks = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        steps: list[tuple[str, list[str]]] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif line.startswith("> "):  # the shell asks for more of a command
                steps[-1] = (f"{steps[-1][0]}\n{line[2:]}", steps[-1][1])
            else:
                steps[-1][1].append(line)
        blocks.append(steps)
    return blocks


BLOCKS = transcripts()


def normal(text: str) -> str:
    for pattern, plain in _VARIES:
        text = re.sub(pattern, plain, text)
    return text


@pytest.mark.parametrize("steps", BLOCKS, ids=lambda steps: steps[-1][0][:40])
def test_transcript(steps: list[tuple[str, list[str]]], tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "livews").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m livews "$@"\n')
    (bin_folder / "livews").chmod(0o755)
    env = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "COLUMNS": "100"}
    for command, shown in steps:
        if "pytest" in command:
            continue  # this is it
        command = command.rsplit("&& ", 1)[-1].replace(".venv/bin/python", f'"{sys.executable}"')
        if " serve" in command and "--once" in command:
            text = (
                "("
                + command.replace("8765", "0")
                + """) 2>&1 | while IFS= read -r line; do echo "$line"
                case $line in ws:*) livews --quiet --mute --url "$line" "Good day" >/dev/null & esac; done; wait"""
            )
            command = text
        elif " serve" in command and "help" not in command:
            command = f"timeout 3 {command.replace('8765', '0')}"
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=60, env=env, cwd=tmp_path
        )
        said = [line for line in (done.stderr + done.stdout).splitlines() if "--wav PATH" not in line]
        for line in shown:
            if line != "...":
                assert normal(line) in [normal(one) for one in said], f"{command}\nprinted:\n" + "\n".join(said)


def test_the_library_example_runs(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code
    with serving("--pace", "0") as (url, _):
        done = subprocess.run(
            [sys.executable, "-c", code[1]], capture_output=True, text=True, timeout=30,
            env={**os.environ, "GOOGLE_GEMINI_BASE_URL": url},
        )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.endswith('I heard "Hello? Gemini, are you there?".')


def test_ci_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for steps in BLOCKS:
        for command, _ in steps:
            if command.startswith((".venv", "python3 -m venv")):
                assert command in script, f".ci/run does not run: {command}"


def test_every_exit_code_is_in_the_readme() -> None:
    from livews.exit_codes import Exit

    told = re.search(r"Exit codes: (.*?)\.", README, re.DOTALL)
    assert told
    assert [int(n) for n in re.findall(r"(\d+) [a-zA-Z]", told[1])] == [code.value for code in Exit]
