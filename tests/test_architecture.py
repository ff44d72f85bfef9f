"""The arrows between the parts hold, and heavy packages are imported where they are used."""

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import structure

LIVEWS = Path(__file__).resolve().parents[1] / "livews"
FILES = sorted(LIVEWS.rglob("*.py"))
PURE = {"core": ("asyncio", "socket", "threading", "time", "subprocess", "os", "websockets", "sounddevice")}


@pytest.mark.parametrize("rule", structure.RULES, ids=lambda rule: rule.__name__)
def test_structure(rule: Callable[[], Iterator[str]]) -> None:
    assert list(rule()) == []


@pytest.mark.parametrize("name", [name for name in structure.modules() if structure.part_of(name) == "livews.core"])
def test_the_core_is_pure(name: str) -> None:
    for module in structure.imports(name):
        assert module.split(".")[0] not in PURE["core"], f"{name} imports {module}"


def test_the_core_works_without_the_rest() -> None:
    """It judges by rule and place, and explains which row of closes.json fits; only advice and speed come from elsewhere."""
    code = """
        import sys
        from livews.core import close_rows, events
        from livews.core.conversation import CoreConversation
        conversation = CoreConversation(surface="gemini", version="v1beta")
        (fault,) = conversation.step("client", b'{"setup": {"model": "models/test", "tols": []}}').faults
        assert (fault.rule, fault.path, fault.close[0]) == ("WIRE-5", "/setup/tols", 1007), fault
        assert fault.complaint == "no member tols in BidiGenerateContentSetup at /setup/tols", fault
        conversation.step("client", b'{"setup": {"model": "models/test"}}')
        step = conversation.step("server", b'{"setupComplete": {}}')
        assert [type(event) for event in events.events(step)] == [events.Ready] and not step.findings
        assert close_rows.match(*fault.close)[0]["id"] == "unknown-name"
        loaded = {name.split(".")[1] for name in sys.modules if name.startswith("livews.")}
        assert loaded == {"core", "version"}, loaded
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr


def test_one_module_imports_sounddevice() -> None:
    users = [name for name in structure.modules() if "sounddevice" in set(structure.imports(name))]
    assert users == ["livews.audio.portaudio"]


def test_one_module_opens_protocol() -> None:
    users = [name for name, path in structure.modules().items() if '"_protocol"' in path.read_text()]
    assert users == ["livews.core.protocol"]


def test_no_model_is_named_in_code() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                assert "gemini-" not in ast.unparse(node), f"{path.relative_to(LIVEWS)} decides on a model name"


def private_names(path: Path) -> Iterator[str]:
    """What a file defines for itself at its top level."""
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names = [name]
            case ast.Assign(targets=targets):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names = [name]
            case _:
                continue
        yield from (name for name in names if name.startswith("_") and not name.startswith("__"))


def test_what_a_file_defines_for_itself_is_used() -> None:
    unused = []
    for path in FILES:
        words = re.findall(r"\w+", path.read_text())
        unused += [f"{path.relative_to(LIVEWS)}.{name}" for name in private_names(path) if words.count(name) == 1]
    assert unused == []


def test_importing_livews_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import livews; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert "websockets" not in done.stdout
    assert "orjson" not in done.stdout


def test_every_public_name_resolves() -> None:
    import livews

    for name in livews.__all__:
        assert getattr(livews, name) is not None


def test_public_names_are_not_hidden_by_modules_of_their_name() -> None:
    """A submodule `livews/explain.py` would replace the function `livews.explain` as soon as it is imported."""
    code = """
        import importlib, inspect, pkgutil
        import livews
        for module in pkgutil.walk_packages(livews.__path__, "livews."):
            if module.name != "livews.__main__":
                importlib.import_module(module.name)
        hidden = [name for name in livews.__all__ if inspect.ismodule(getattr(livews, name))]
        assert not hidden, hidden
        def add(a: int, b: int) -> int:
            return a + b
        assert livews.explain(1008, "Requested entity was not found.").do
        assert livews.check("client", {"setup": {"tols": []}})[0].rule
        assert livews.tool(add).name == "add"
        assert livews.Conversation().step("client", b"{}").kind == "empty"
        assert livews.connect(api_key="k", tools=[add])
        assert livews.__version__
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr


def test_every_module_opens_with_its_rules() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(LIVEWS)} has no docstring"
