"""google-genai, Google's own Python SDK, unpatched and over TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.conversations import CONVERSATIONS, Seen
from tests.clients.running import Servers, google_genai, talk

_COMMAND = google_genai()


@pytest.fixture(scope="module")
def seen(tls_servers: Servers, media: dict[str, Path]) -> dict[str, Any]:
    return talk(_COMMAND, tls_servers, media, {"SSL_CERT_FILE": str(tls_servers.trust)})


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_conversation(seen: dict[str, Seen], conversation: str) -> None:
    assert "error" not in seen[conversation], seen[conversation]["error"]
    CONVERSATIONS[conversation](seen[conversation])
