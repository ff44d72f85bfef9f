"""The structure of the code as numbers and rules: `python -m tests.structure` prints both and fails for what is broken.

- Lines of code are counted without blank lines, comments and docstrings, so documentation costs nothing.
- `ARROWS` says which part may import which; everything in the tree belongs to a part. TYPE_CHECKING imports count.
- No import circles, no two public classes of one name, no file above 600 lines, no two paths that differ in case only.
"""

from __future__ import annotations

import ast
import io
import shutil
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIVEWS = ROOT / "livews"

BASE = (
    "livews.version",
    "livews.core",
    "livews.advice",
    "livews.conversation",
    "livews.endpoint_paths",
    "livews.walk",
    "livews.errors",
    "livews.exit_codes",
    "livews.loopback",
    "livews.output_file",
    "livews.listening",
    "livews.terminal_text",
    "livews.redactor",
    "livews.whole_file",
    "livews.document",
)
"""What every part that is not in it may import."""
ARROWS: dict[str, tuple[str, ...]] = {
    "livews.core": (),
    "livews.advice": ("livews.core", "livews.walk"),
    "livews.fastpath": ("livews.core",),
    "livews.conversation": ("livews.advice", "livews.core", "livews.fastpath"),
    "livews.endpoint_paths": (),
    "livews.walk": ("livews.core",),
    "livews.version": (),
    "livews.exit_codes": (),
    "livews.loopback": (),
    "livews.output_file": (),
    "livews.listening": ("livews.loopback", "livews.terminal_text"),
    "livews.terminal_text": (),
    "livews.hidden_values": (),
    "livews.redactor": ("livews.hidden_values",),
    "livews.whole_file": ("livews.document", "livews.errors"),
    "livews.document": (),
    "livews.errors": ("livews.advice", "livews.core", "livews.exit_codes", "livews.redactor", "livews.terminal_text"),
    "livews.backpressure": (),
    "livews.process": BASE,
    "livews.recorder": BASE,
    "livews.endpoint": BASE,
    "livews.google_credentials": (*BASE, "livews.endpoint"),
    "livews.setup_message": BASE,
    "livews.connect_errors": (*BASE, "livews.endpoint"),
    "livews.transport": (*BASE, "livews.backpressure", "livews.connect_errors", "livews.endpoint", "livews.recorder"),
    "livews.explainer": BASE,
    "livews.audio.analysis": BASE,
    "livews.audio": (*BASE, "livews.audio.analysis", "livews.audio.wav", "livews.process"),
    "livews.audio.wav": (*BASE, "livews.audio.analysis"),
    "livews.media": (*BASE, "livews.process"),
    "livews.tools": (*BASE, "livews.process"),
    "livews.trace": (*BASE, "livews.audio.analysis", "livews.endpoint", "livews.fastpath", "livews.recorder"),
    "livews.analysis": (*BASE, "livews.audio.analysis", "livews.trace", "livews.usage"),
    "livews.report": (
        *BASE, "livews.analysis", "livews.audio.analysis", "livews.audio.wav", "livews.explainer", "livews.recorder", "livews.trace",
    ),
    "livews.session.events": ("livews.core",),
    "livews.usage": ("livews.core", "livews.session.events"),
    "livews.session": (
        *BASE, "livews.audio.analysis", "livews.endpoint", "livews.recorder", "livews.session.events", "livews.tools",
        "livews.transport", "livews.usage",
    ),
    "livews.client": (
        *BASE, "livews.endpoint", "livews.google_credentials", "livews.recorder", "livews.session", "livews.setup_message",
        "livews.tools", "livews.trace", "livews.transport",
    ),
    "livews.server": (*BASE, "livews.audio.analysis", "livews.backpressure", "livews.process", "livews.recorder", "livews.trace"),
    "livews.proxy": (*BASE, "livews.audio.analysis", "livews.connect_errors", "livews.recorder"),
    "livews.inspector": (
        *BASE, "livews.analysis", "livews.proxy", "livews.recorder", "livews.report", "livews.setup_message", "livews.trace",
    ),
    "livews.replay": (
        *BASE, "livews.audio.analysis", "livews.endpoint", "livews.recorder", "livews.trace", "livews.transport",
    ),
    "livews.cli": ("livews",),
    "livews.__main__": ("livews.cli",),
    "livews": ("livews",),
}  # fmt: skip
"""Part: the parts it may import besides itself. The longest name that fits a module is its part."""
ANYTHING = ("livews.cli", "livews")
"""Parts that may import all others: the command line, and the package's list of public names."""
LONG_FILE = 600
BUDGETS = {"livews": 17_000, "livews/core": 1_750, "tests": 18_000}
"""Lines of code at most; `tests` without benchmarks, fuzzers, the fault matrix and the clients of others."""
NOT_UNIT_TESTS = ("tests/bench", "tests/fuzz", "tests/clients", "tests/faults")


def lines_of_code(source: str) -> int:
    """Lines that hold code: no blank line, comment or docstring."""
    prose: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            prose.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    code: set[int] = set()
    blank = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in blank:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - prose)


def counted(folder: str) -> dict[Path, int]:
    """The files of a folder of the repository with their lines of code."""
    return {
        path: lines_of_code(path.read_text())
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.relative_to(ROOT).as_posix().startswith(NOT_UNIT_TESTS)
    }


@cache
def modules() -> dict[str, Path]:
    """Every module of livews by its dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(LIVEWS.rglob("*.py"))
    }


def imports(name: str) -> Iterator[str]:
    """Every module that a module imports, wherever in the file; of livews always the module, never a name in it."""
    path = modules()[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{module}.{alias.name}" if f"{module}.{alias.name}" in modules() else module


def part_of(name: str) -> str:
    fitting = [part for part in ARROWS if name == part or (part != "livews" and name.startswith(f"{part}."))]
    return max(fitting, key=len, default="")


def wrong_arrows() -> Iterator[str]:
    for name in modules():
        part = part_of(name)
        if not part:
            yield f"{name} belongs to no part: add it to ARROWS in tests/structure.py"
        elif part not in ANYTHING:
            for module in imports(name):
                if module.split(".")[0] == "livews" and part_of(module) not in (part, *ARROWS[part]):
                    yield f"{name} must not import {module}"


def circles() -> Iterator[str]:
    """Import circles between modules, each once, by depth-first search."""
    graph = {name: sorted({m for m in imports(name) if m in modules() and m != name}) for name in modules()}
    done: set[str] = set()
    for start in graph:
        path: list[str] = []

        def walk(name: str, path: list[str] = path) -> Iterator[str]:
            if name in path:
                yield " -> ".join([*path[path.index(name) :], name])
            elif name not in done:
                path.append(name)
                for other in graph[name]:
                    yield from walk(other)
                path.pop()
                done.add(name)

        yield from walk(start)


def class_names_used_twice() -> Iterator[str]:
    homes: dict[str, list[str]] = defaultdict(list)
    for name, path in modules().items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(name)
    yield from (f"class {name} is in {', '.join(where)}" for name, where in homes.items() if len(where) > 1)


def long_files() -> Iterator[str]:
    for path in modules().values():
        lines = len(path.read_text().splitlines())
        if lines > LONG_FILE:
            yield f"{path.relative_to(ROOT)} has {lines} lines: split it by subject"


def repository() -> list[str]:
    """The files that git tracks; without git or a repository, as in an unpacked archive, all files there are."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        paths = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        return [path.as_posix() for path in paths if not {".git", ".venv", "node_modules"} & set(path.parts)]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


def collisions(paths: Iterable[str]) -> list[set[str]]:
    """Files, and folders above them, whose paths are equal when case is ignored."""
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for name in paths:
        for path in (Path(name), *Path(name).parents):
            spellings[path.as_posix().casefold()].add(path.as_posix())
    return [group for group in spellings.values() if len(group) > 1]


def paths_alike() -> Iterator[str]:
    """Paths of the repository that a file system which ignores case takes for one."""
    yield from (f"{' and '.join(sorted(group))} differ in case only" for group in collisions(repository()))


def over_budget() -> Iterator[str]:
    for folder, limit in BUDGETS.items():
        lines = sum(counted(folder).values())
        if lines > limit:
            yield f"{folder} has {lines} lines of code, {limit} at most"


RULES = (wrong_arrows, circles, class_names_used_twice, long_files, paths_alike)


def main() -> int:
    for folder, limit in BUDGETS.items():
        files = counted(folder)
        print(f"{sum(files.values()):7,} of {limit:,} lines of code in {folder}")
        by_folder: dict[str, int] = defaultdict(int)
        for path, lines in files.items():
            by_folder[path.parent.relative_to(ROOT).as_posix()] += lines
        for name, lines in by_folder.items():
            print(f"{lines:15,} {name}")
    problems = [problem for rule in (*RULES, over_budget) for problem in rule()]
    print("\n".join(problems) or "no problems")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
