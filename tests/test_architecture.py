"""The arrows between the parts hold, and heavy packages are imported where they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LIVEWS = Path(__file__).parent.parent / "livews"
FILES = sorted(LIVEWS.rglob("*.py"))
# who may import whom, by the first matching start
ALLOWED = {
    "livews.core": ("livews.core",),
    "livews.printable": (),
    "livews.reach": ("livews.core",),
    "livews.setup": ("livews.core",),
    "livews.endpoint": ("livews.core",),
    "livews.audio": ("livews.audio", "livews.core"),
    "livews.pictures": ("livews.pictures", "livews.core"),
    "livews.tools": ("livews.tools", "livews.core"),
    "livews.trace": ("livews", "livews.core", "livews.trace", "livews.printable", "livews.endpoint"),
    "livews.client": (
        "livews",
        "livews.core",
        "livews.trace",
        "livews.endpoint",
        "livews.reach",
        "livews.setup",
        "livews.tools",
    ),
    "livews.kit": ("livews.core", "livews.kit", "livews.trace", "livews.printable", "livews.reach"),
}
PURE = {"core": ("asyncio", "socket", "threading", "time", "subprocess", "os", "websockets", "sounddevice")}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(LIVEWS.parent).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in the file."""
    package = name_of(path).split(".") if path.name == "__init__.py" else name_of(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            for alias in node.names:
                if (LIVEWS.parent / Path(*module.split("."), alias.name)).with_suffix(".py").exists():
                    yield f"{module}.{alias.name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows(path: Path) -> None:
    name = name_of(path)
    allowed = next((rule for start, rule in ALLOWED.items() if name.startswith(start)), None)
    if allowed is None:
        return
    for module in imports(path):
        if module == "livews" or module.startswith("livews."):
            fits = any(module == start or (start != "livews" and module.startswith(f"{start}.")) for start in allowed)
            assert fits, f"{name} must not import {module}"


@pytest.mark.parametrize("path", [p for p in FILES if "core" in p.parts], ids=name_of)
def test_the_core_is_pure(path: Path) -> None:
    for module in imports(path):
        assert module.split(".")[0] not in PURE["core"], f"{name_of(path)} imports {module}"


def test_one_module_imports_sounddevice() -> None:
    users = [name_of(path) for path in FILES if "sounddevice" in set(imports(path))]
    assert users == ["livews.audio.device"]


def test_one_module_opens_protocol() -> None:
    users = [name_of(p) for p in FILES if '"_protocol"' in p.read_text()]
    assert users == ["livews.core.spec"]


def test_no_model_is_named_in_code() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                assert "gemini-" not in ast.unparse(node), f"{name_of(path)} decides on a model name"


def test_importing_livews_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import livews; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert "websockets" not in done.stdout
    assert "orjson" not in done.stdout


def test_every_public_name_resolves() -> None:
    import livews

    for name in livews.__all__:
        assert getattr(livews, name) is not None


def test_every_module_opens_with_its_rules() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), f"{name_of(path)} has no docstring"
