"""The processes that are measured: the same interpreter, the same environment, nothing of the user's in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SCRIPTS = Path(__file__).with_name("scripts")
_ROOT = Path(__file__).resolve().parents[2]
_PREFIXES = ("GOOGLE_", "GEMINI_", "LIVEWS_", "CLOUDSDK_")
_NAMES = ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME", "PYTHONVERBOSE", "PYTHONWARNINGS", "PYTHONDEVMODE")


def environment(**more: str) -> dict[str, str]:
    """This process's environment without keys, proxies and what makes Python slow; livews is this checkout's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_PREFIXES) and name not in _NAMES and not name.lower().endswith("_proxy")
    }
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, **more}


def script(name: str, *words: str) -> list[str]:
    """The command of one of our scripts; -P keeps its folder out of where modules are looked for."""
    return [sys.executable, "-P", str(SCRIPTS / f"{name}.py"), *words]


def livews(*words: str) -> list[str]:
    """The command `python -m livews`."""
    return [sys.executable, "-P", "-m", "livews", *words]
