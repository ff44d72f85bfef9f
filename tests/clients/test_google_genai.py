"""google-genai, Google's own Python SDK, unpatched and over TLS: the installed version, and others that are named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conversations import CONVERSATIONS, Seen
from tests.clients.running import ROOT, Servers, google_genai, other_google_genai, talk

_COMMAND = google_genai()


@pytest.fixture(
    scope="module", params=["", *other_google_genai()], ids=lambda folder: Path(folder).name or "installed"
)
def seen(request: pytest.FixtureRequest, tls_servers: Servers, media: dict[str, Path]) -> dict[str, Any]:
    path = {"PYTHONPATH": os.pathsep.join((request.param, str(ROOT)))} if request.param else {}
    return talk(_COMMAND, tls_servers, media, {"SSL_CERT_FILE": str(tls_servers.trust), **path})


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_conversation(seen: dict[str, Seen], conversation: str) -> None:
    assert "error" not in seen[conversation], seen[conversation]["error"]
    CONVERSATIONS[conversation](seen[conversation])
