"""The modules of the pages: their tests pass, their types agree, and what is committed is what they are built into.

Those that need Node.js and the packages of livews/report/web (`npm ci --prefix livews/report/web --ignore-scripts`) are
skipped without them, with LIVEWS_REQUIRE_WEB=1 they fail.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from livews.inspector import completion
from livews.terminal_text import _UNSAFE, escape_unsafe
from tests.kit.names import ROOT

WEB = ROOT / "livews/report/web"
TESTS = ROOT / "tests/web"


@pytest.fixture
def packages() -> Path:
    """The folder of the packages' commands."""
    found = WEB / "node_modules/.bin"
    if not shutil.which("node") or not found.is_dir():
        why = f"no Node.js, or no packages in {WEB}"
        if os.environ.get("LIVEWS_REQUIRE_WEB") == "1":
            pytest.fail(f"{why}, and LIVEWS_REQUIRE_WEB=1 asks for them")
        pytest.skip(why)
    return found


def run(*command: str | Path, **more: str) -> str:
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=120, env={**os.environ, **more})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_modules_do_what_they_say(packages: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    table.write_text(json.dumps(completion.table()))
    report = run("node", "--test", TESTS, LIVEWS_TABLE=str(table))
    assert re.search(r"^# pass [1-9]", report, re.M) and "# fail 0" in report and "# skipped 0" in report, report


def test_their_types_agree(packages: Path) -> None:
    run(packages / "tsc", "-p", ".")


def test_a_build_gives_the_committed_bytes(packages: Path, tmp_path: Path) -> None:
    run("npm", "run", "--silent", "build", "--", f"--outdir={tmp_path}")
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in (WEB / "built").iterdir()}
    assert built == committed, "npm run build --prefix livews/report/web"


def test_versions_are_exact_and_the_lock_names_no_host() -> None:
    package, lock = (json.loads((WEB / name).read_text()) for name in ("package.json", "package-lock.json"))
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["devDependencies"].values())
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
    assert not any("resolved" in entry for entry in lock["packages"].values())


def test_pages_and_terminal_escape_the_same_characters_alike() -> None:
    """tests/web/text.test.js checks the same vector."""
    vector = json.loads((TESTS / "escapes.json").read_text())
    unsafe = {code for first, last in vector["unsafe"] for code in range(first, last + 1)}
    assert {code for code in range(0x110000) if _UNSAFE.match(chr(code))} == unsafe
    for text, shown in vector["escaped"]:
        assert escape_unsafe(text) == shown


def test_lines_of_the_sources_are_at_most_120_characters() -> None:
    sources = [path for path in (*WEB.glob("*.*"), *WEB.glob("src/**/*.*"), *TESTS.glob("*.js"))
               if path.name != "package-lock.json"]  # fmt: skip
    assert len(sources) > 20
    for path in sources:
        for n, line in enumerate(path.read_text().splitlines(), 1):
            assert len(line) <= 120, f"{path}:{n}"
