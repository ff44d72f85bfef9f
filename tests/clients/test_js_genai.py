"""@google/genai, Google's own JavaScript SDK, on Node, over plain WebSockets and over TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.conversations import CONVERSATIONS, Seen
from tests.clients.running import js_genai, talk

_COMMAND = js_genai()


@pytest.fixture(scope="module", params=["ws", "tls"])
def seen(request: pytest.FixtureRequest, media: dict[str, Path]) -> dict[str, Any]:
    servers = request.getfixturevalue(f"{request.param}_servers")
    trust = {"NODE_EXTRA_CA_CERTS": str(servers.trust)} if servers.trust else {}
    return talk(_COMMAND, servers, media, trust)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_conversation(seen: dict[str, Seen], conversation: str) -> None:
    assert "error" not in seen[conversation], seen[conversation]["error"]
    CONVERSATIONS[conversation](seen[conversation])
