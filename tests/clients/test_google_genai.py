"""google-genai, Google's own Python SDK, unpatched and over TLS."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conversations import CONVERSATIONS, Seen
from tests.clients.running import Servers, need, talk

_INSTALLED = importlib.util.find_spec("google") is not None and importlib.util.find_spec("google.genai") is not None
need(_INSTALLED, "to run google-genai against the stand-in: pip install google-genai==3.4.0")
_PROGRAM = Path(__file__).with_name("google_genai_talks.py")


@pytest.fixture(scope="module")
def seen(tls_servers: Servers, media: dict[str, Path]) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", str(_PROGRAM)]  # its warnings are its own
    return talk(command, tls_servers, media, {"SSL_CERT_FILE": str(tls_servers.trust)})


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_conversation(seen: dict[str, Seen], conversation: str) -> None:
    assert "error" not in seen[conversation], seen[conversation]["error"]
    CONVERSATIONS[conversation](seen[conversation])
