"""The documentation is true: its commands run and print what it shows, its links and paths exist, nothing is left out."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import livews
from livews.cli import COMMANDS
from livews.exit_codes import Exit
from tests import structure
from tests.docs import generate, transcripts
from tests.docs.pages import ARCHITECTURE, DOCS, PAGES, README, Block, blocks, files
from tests.kit.command import serving
from tests.kit.names import ROOT

ALL = {page: page.read_text() for page in PAGES}
SHELL = [block for page in PAGES for block in blocks(page, "sh") if transcripts.is_run(block)]
PYTHON = [block for page in PAGES for block in blocks(page, "python") if not block.setting("file")]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# What is run


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")], ids=name_of)
def test_transcripts(page: Path) -> None:
    assert transcripts.problems(page) == []


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.place)
def test_python(block: Block, tmp_path: Path) -> None:
    with serving("--pace", "0") as (url, _process):
        done = subprocess.run(
            [sys.executable, "-c", block.body], capture_output=True, text=True, timeout=30, cwd=tmp_path,
            env=transcripts.environment(GOOGLE_GEMINI_BASE_URL=url),
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert not block.needs_stand_in or "livews stand-in" in done.stdout


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.place)
def test_shell(block: Block, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-ec", block.body],
        capture_output=True,
        text=True,
        timeout=60,
        env=transcripts.environment(),
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_not_run_says_why() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language in ("powershell", "yaml") or (
                block.language in ("sh", "console") and not transcripts.is_run(block)
            ):
                assert block.setting("not run"), block.place


def test_ci_runs_the_set_up_commands_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    commands = [
        step.command for block in blocks(README, "console") if not transcripts.is_run(block) for step in block.steps()
    ]
    assert len(commands) == 2
    for command in commands:
        assert command in script, f".ci/run does not run: {command}"


# Comparing


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        (["a", "b"], ["a", "b"], True),
        (["a", "b"], ["b", "a"], False),
        (["a"], ["a", "b"], False),
        (["a", "b"], ["a"], False),
        (["a", "..."], ["a", "b", "c"], True),
        (["...", "c"], ["a", "b", "c"], True),
        (["a", "...", "c"], ["a", "c"], True),
        (["a", "...", "c"], ["a", "b", "d"], False),
        (["took 1.2 s"], ["took 3.4 s"], True),
        (["took 1.2 s"], ["lasted 1.2 s"], False),
        ([], ["a"], False),
    ],
)
def test_what_fits(shown: list[str], printed: list[str], fits: bool) -> None:
    assert transcripts.fits(shown, printed) == fits


@pytest.mark.parametrize(
    ("shown", "printed", "updated"),
    [
        ([], ["a", "b"], ["a", "b"]),
        (["took 1.2 s"], ["took 3.4 s"], ["took 1.2 s"]),
        (["...", "the end"], ["first", "the end"], ["...", "the end"]),
        (["took 1.2 s", "..."], ["new", "took 3.4 s"], ["new", "took 1.2 s"]),
    ],
)
def test_what_is_updated(shown: list[str], printed: list[str], updated: list[str]) -> None:
    assert transcripts.updated(shown, printed) == updated


# What is left out or stale


def test_generated_parts_are_what_the_data_says() -> None:
    assert generate.stale() == [], "run python -m tests.docs.generate"


def test_every_option_of_every_command_is_explained() -> None:
    """In a sentence or table that somebody wrote, not only in the generated list."""
    written = "\n".join(
        re.sub(r"<!-- generated: .*?<!-- end of ", "", text, flags=re.DOTALL) for text in ALL.values()
    )
    for command, parser in generate.parsers().items():
        options = {name for action in parser._actions for name in action.option_strings} - {"-h", "--help"}
        missing = {name for name in options if not re.search(rf"(?<![\w-]){name}(?![\w-])", written)}
        assert not missing, f"{command}: {missing}"


def commands_of(page: Path) -> Iterator[str]:
    """The `livews` commands that a page names in its prose, tables and blocks, without what it shows of their output."""
    text = ALL[page]
    for block in blocks(page, "console") + blocks(page, "text"):
        text = text.replace(block.body, "".join(f"$ {step.command}\n" for step in block.steps() if step.command))
    for block in blocks(page, "sh"):
        text = text.replace(block.body, re.sub("^", "$ ", block.body, flags=re.MULTILINE))
    for command in re.findall(r"(?:`|\$ |\$\(|&& |\| |run: )(livews [^`\n]*)", text):
        yield re.split(r" (?:#|&|\||<|>|2>)(?= |$)", command)[0]


@pytest.mark.parametrize("page", [page for page in PAGES if any(commands_of(page))], ids=name_of)
def test_commands_that_a_page_names_are_accepted(page: Path) -> None:
    """By the parser of the command, whatever the files and servers are. Names without arguments are only names."""
    placeholders = {"TOOL", "COMMAND", "MODEL", "SHELL"}
    for command in commands_of(page):
        try:
            words = shlex.split(command)[1:]
        except ValueError:  # the beginning of a command of several lines
            continue
        if " ".join(words) in generate.parsers() or placeholders & set(words) or "[" in command:
            continue
        name = words.pop(0) if words and words[0] in COMMANDS else "talk"
        words = [f"{word}=x" if word in ("--mic", "--trace") and name == "talk" else word for word in words]
        assert refusal(name, words) == "", command


def refusal(name: str, words: list[str]) -> str:
    """What the parser of a command prints when it refuses the words; "" when it does not."""
    with contextlib.redirect_stderr(io.StringIO()) as stderr, contextlib.redirect_stdout(io.StringIO()):
        try:
            generate.parsers()[name].parse_args(words)
        except SystemExit as leave:
            return stderr.getvalue() if leave.code else ""
    return ""


def test_every_command_is_documented() -> None:
    written = "\n".join(ALL.values())
    for command in generate.parsers():
        assert re.search(rf"livews {command}\b|`trace {command.split()[-1]}\b", written), command


def test_every_argument_of_connect_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", generate.connect(), re.MULTILINE)
    assert set(rows) == set(inspect.signature(livews.connect).parameters)


def test_every_environment_variable_is_documented() -> None:
    """The names that livews takes from the environment of its users."""
    configuration = ALL[DOCS / "configuration.md"]
    pattern = re.compile(r'"((?:GOOGLE|GEMINI|LIVEWS)_[A-Z_]+|NO_COLOR|SSL_CERT_FILE|HTTPS_PROXY|NO_PROXY)"')
    names = {name for path in structure.modules().values() for name in pattern.findall(path.read_text())}
    assert "GOOGLE_API_KEY" in names
    assert {name for name in names if name not in configuration} == set()


def test_every_exit_code_is_documented() -> None:
    rows = re.findall(r"^\| (\d+) \|", ALL[DOCS / "configuration.md"], re.MULTILINE)
    assert [int(row) for row in rows] == [code.value for code in Exit]


# What is named


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", ALL[page]):
        path, _, anchor = target.partition("#")
        if "://" in path or not path:
            continue
        assert (page.parent / path).exists(), target
        if anchor and path.endswith(".md"):
            titles = re.findall(r"^#+ (.*)", (page.parent / path).read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_of_the_repository_exist(page: Path) -> None:
    for path in re.findall(r"`((?:livews|protocol|tests|\.ci)/[\w./*-]*)`", ALL[page]):
        assert list(ROOT.glob(path)), path
    for module in re.findall(r"python -m (tests\.[\w.]+)", ALL[page]):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_classes_of_the_architecture_page_exist() -> None:
    trees = [ast.parse(path.read_text()) for path in structure.modules().values()]
    classes = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for name in re.findall(r"`([A-Z][a-z]+\w*)`", re.sub(r"<!-- generated: .*?<!-- end of ", "", ALL[ARCHITECTURE])):
        assert name in classes, name


def test_every_part_of_the_code_is_on_the_architecture_page() -> None:
    for folder in sorted((ROOT / "livews").iterdir()):
        if (folder / "__init__.py").exists():
            assert f"livews/{folder.name}/" in ALL[ARCHITECTURE], folder.name


def test_pages_and_options_are_in_the_wheel_and_pictures_are_not() -> None:
    paths = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {"livews/cli/options.json", *(name_of(page) for page in PAGES if page != README)} <= paths
    assert not [path for path in paths if path.endswith(".png")]


# Size and form


def test_the_readme_is_short() -> None:
    assert len(ALL[README].splitlines()) <= 130
    pictures = re.findall(r"!\[.*?\]\(([^)]*\.png)\)", ALL[README])
    assert len(pictures) == 1
    assert (ROOT / pictures[0]).stat().st_size < 200_000


def test_pages_begin_with_their_title() -> None:
    for page in PAGES:
        assert re.match(r"# \S", ALL[page]), name_of(page)
        assert ALL[page].count("```") % 2 == 0, name_of(page)


def test_files_of_pages_are_used() -> None:
    for page in PAGES:
        for name in files(page):
            assert ALL[page].count(name) > 1, name
