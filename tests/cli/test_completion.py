"""Completion scripts, loaded and asked by the shells that are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit.command import livews
from tests.kit.names import ROOT

# what a shell offers for the last word of a line, one candidate per line
BASH = """
eval "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
$(complete -p livews | sed 's/.*-F \\([^ ]*\\).*/\\1/') livews "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words: str) -> set[str]:
    script = livews("completion", "bash").stdout
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", script, "livews", *words], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return {line.strip() for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ser"], {"serve"}),
        (["exp"], {"explain"}),
        (["trace", "re"], {"redact", "replay"}),
        (["serve", "--fau"], {"--fault"}),
        (["trace", "show", "--fa"], {"--faults"}),
        (["--push"], {"--push-to-talk"}),
        (["talk", "--push"], {"--push-to-talk"}),
        (["serve", "--calls", "al"], {"always"}),
        (["completion", "f"], {"fish"}),
        (["check", "pyproj"], {"pyproject.toml"}),
        (["trace", "html", "READ"], {"README.md"}),
    ],
)
def test_bash_completes(words: list[str], offered: set[str]) -> None:
    assert complete(*words) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_each_script_knows_every_command_and_is_valid(shell: str, tmp_path: Path) -> None:
    done = livews("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("livews", "serve", "inspect", "completion", "import", "go-away", "push-to-talk"):
        assert word in done.stdout
    checks = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}
    if shell in checks and shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(done.stdout)
        assert subprocess.run([*checks[shell], str(script)], capture_output=True, timeout=30).stderr == b""
