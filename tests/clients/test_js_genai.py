"""@google/genai, Google's own JavaScript SDK, on Node, over plain WebSockets and over TLS."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conversations import CONVERSATIONS, Seen
from tests.clients.running import need, talk


def _folders() -> Iterator[Path]:
    """Where the package may be: LIVEWS_JS_GENAI holds node_modules, NODE_PATH names such folders themselves."""
    if named := os.environ.get("LIVEWS_JS_GENAI"):
        yield Path(named) / "node_modules"
    for folder in os.environ.get("NODE_PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder)


_NODE = shutil.which("node")
_PACKAGE = next((p for f in _folders() if (p := f / "@google" / "genai").is_dir()), None)
need(
    _NODE is not None and _PACKAGE is not None,
    "to run @google/genai against the stand-in: Node 20, npm install --prefix DIR @google/genai@2.32.0, "
    "LIVEWS_JS_GENAI=DIR",
)
_PROGRAM = Path(__file__).with_name("genai.mjs")


@pytest.fixture(scope="module", params=["ws", "tls"])
def seen(request: pytest.FixtureRequest, media: dict[str, Path]) -> dict[str, Any]:
    servers = request.getfixturevalue(f"{request.param}_servers")
    trust = {"NODE_EXTRA_CA_CERTS": str(servers.trust)} if servers.trust else {}
    # an import in a module does not look at NODE_PATH: it is told the folder
    return talk([str(_NODE), str(_PROGRAM), str(_PACKAGE)], servers, media, trust)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_conversation(seen: dict[str, Seen], conversation: str) -> None:
    assert "error" not in seen[conversation], seen[conversation]["error"]
    CONVERSATIONS[conversation](seen[conversation])
