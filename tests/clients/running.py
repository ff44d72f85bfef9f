"""Run the server and the clients as processes of their own.

- A process that was started is ended, whatever happens, and nothing is waited for without a limit.
- The children see none of the machine's keys, proxies and endpoints, only what is named here.
- A client that is not installed is a reason to skip; with LIVEWS_REQUIRE_CLIENTS=1 it is a failure.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
_HERE = Path(__file__).parent
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH")
_START_SECONDS = 20
_STOP_SECONDS = 10
_TALK_SECONDS = 20
"""How long a client's program may spend on one conversation; it is told, and they all run at once."""
_CLIENT_SECONDS = 40


def need(found: bool, how: str) -> None:
    """Skip who asks (a module, a fixture), or fail where every client is required, when it is not `found`."""
    if found:
        return
    if os.environ.get("LIVEWS_REQUIRE_CLIENTS"):
        raise ModuleNotFoundError(how)
    pytest.skip(how, allow_module_level=True)


def google_genai() -> list[str]:
    """The command of google-genai's program; needs the package."""
    found = importlib.util.find_spec("google") is not None and importlib.util.find_spec("google.genai") is not None
    need(found, "to run google-genai against the stand-in: pip install google-genai==3.6.1")
    return [sys.executable, "-W", "ignore", str(_HERE / "google_genai_talks.py")]  # its warnings are its own


def other_google_genai() -> list[str]:
    """Folders of other versions of google-genai, as `pip install --target` made them: what LIVEWS_PYTHON_GENAI names."""
    return _folders("LIVEWS_PYTHON_GENAI")


def js_genai() -> list[list[str]]:
    """The commands of @google/genai's program, one a version, the first that of most tests; needs Node and the package."""
    node = shutil.which("node")
    # LIVEWS_JS_GENAI names folders that hold node_modules, NODE_PATH names such folders themselves
    folders = [
        *(Path(named) / "node_modules" for named in _folders("LIVEWS_JS_GENAI")),
        *map(Path, _folders("NODE_PATH")),
    ]
    packages = [package for folder in folders if (package := folder / "@google" / "genai").is_dir()]
    need(
        node is not None and bool(packages),
        "to run @google/genai against the stand-in: Node 20, npm install --prefix DIR @google/genai@3.3.0, "
        "LIVEWS_JS_GENAI=DIR",
    )
    # an import in a module does not look at NODE_PATH: it is told the folder
    return [[str(node), str(_HERE / "genai.mjs"), str(package)] for package in packages]


def _folders(name: str) -> list[str]:
    """The folders that a variable names."""
    return [folder for folder in os.environ.get(name, "").split(os.pathsep) if folder]


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


NAMES = ("plain", "knowing", "leaving")


@dataclass(frozen=True)
class Servers:
    """Three stand-ins, or what leads to them, by base URL as an SDK takes it, and the file of the certificates that
    vouch for them."""

    plain: str
    knowing: str
    """Knows the words it hears."""
    leaving: str
    """Says goAway soon."""
    trust: Path | None


@contextlib.contextmanager
def servers(folder: Path, *, tls: bool, heard: str) -> Iterator[Servers]:
    """`livews serve` three times, side by side, on free ports."""
    flags = {
        "plain": [],
        "knowing": ["--heard", heard],
        "leaving": ["--go-away", "1", "--time-scale", "20"],
    }
    with _three(
        {name: ["serve", "--pace", "0.3", "--voice", "tones", *more] for name, more in flags.items()}, folder, tls, {}
    ) as running:
        yield running


@contextlib.contextmanager
def proxies(folder: Path, to: Servers, *, tls: bool) -> Iterator[Servers]:
    """`livews proxy` in front of each of three servers; the traces of one are in the folder of its name."""
    commands = {}
    for name in NAMES:
        commands[name] = ["proxy", "--upstream", getattr(to, name), "--trace", f"{folder / name}{os.sep}"]
        (folder / name).mkdir(parents=True)
    with _three(commands, folder, tls, {"SSL_CERT_FILE": str(to.trust)} if to.trust else {}) as running:
        yield running


@contextlib.contextmanager
def _three(commands: Mapping[str, list[str]], folder: Path, tls: bool, extra: Mapping[str, str]) -> Iterator[Servers]:
    """These commands of livews on free ports."""
    with contextlib.ExitStack() as stack:
        started = {}
        for name, words in commands.items():
            if tls:
                words = [*words, "--tls", "--ca", str(folder / f"{name}.pem")]
            started[name] = stack.enter_context(_running([*words, "--port", "0"], extra))
        urls = {name: _url(process) for name, process in started.items()}
        trust = None
        if tls:
            trust = folder / "trust.pem"
            trust.write_bytes(b"".join((folder / f"{name}.pem").read_bytes() for name in commands))
        yield Servers(**urls, trust=trust)


@contextlib.contextmanager
def _running(words: list[str], extra: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "livews", *words],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(**extra),
            text=True,
        )
        try:
            yield process
        except BaseException as problem:
            problem.add_note(f"livews {' '.join(words)} {_end(process, errors)[1]}")
            raise
        code, said = _end(process, errors)
        assert code == 0 and "Traceback" not in said, f"livews {' '.join(words)} {said}"


def _end(process: subprocess.Popen[str], errors: IO[str]) -> tuple[int, str]:
    """Ask the process to end, or make it; gives its exit code and that with its stderr in words."""
    process.terminate()
    try:
        code = process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    assert process.stdout is not None
    process.stdout.close()
    errors.seek(0)
    return code, f"ended with {code} and said on stderr:\n{errors.read()}"


def _url(process: subprocess.Popen[str]) -> str:
    """The base URL for SDKs, from the server's first line; a server that says nothing is ended."""
    assert process.stdout is not None
    limit = threading.Timer(_START_SECONDS, process.kill)
    limit.start()
    try:
        line = process.stdout.readline().strip()
    finally:
        limit.cancel()
    scheme, _, place = line.partition("://")
    assert scheme in ("ws", "wss"), f"the first line of livews is {line!r}"
    if scheme == "wss":
        return f"https://localhost:{place.rpartition(':')[2]}"
    return f"http://{place}"


def talk(command: list[str], to: Servers, media: Mapping[str, Path], extra: Mapping[str, str]) -> dict[str, Any]:
    """Run a client's program; gives {conversation: what its user saw, or {"error": text}}.

    The program reads one JSON object from stdin and writes a JSON line a conversation.
    """
    settings = {
        "plain": to.plain,
        "knowing": to.knowing,
        "leaving": to.leaving,
        "seconds": _TALK_SECONDS,
        **{name: str(path) for name, path in media.items()},
    }
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(GOOGLE_GEMINI_BASE_URL=to.plain, **extra),
        text=True,
    ) as process:
        try:
            out, errors = process.communicate(json.dumps(settings), timeout=_CLIENT_SECONDS)
        finally:
            process.kill()
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert process.returncode == 0, f"the client's program ended with {process.returncode}:\n{errors}"
    return {line["conversation"]: line for line in lines}
