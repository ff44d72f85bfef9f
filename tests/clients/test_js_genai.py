"""@google/genai, Google's own JavaScript SDK, on Node: over plain WebSockets and over TLS, other versions over the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.conversations import CONVERSATIONS, Seen
from tests.clients.running import js_genai, talk

_COMMAND, *_OTHERS = js_genai()


@pytest.fixture(scope="module", params=["ws", "tls", *range(len(_OTHERS))])
def seen(request: pytest.FixtureRequest, media: dict[str, Path]) -> dict[str, Any]:
    other = isinstance(request.param, int)
    servers = request.getfixturevalue("ws_servers" if other else f"{request.param}_servers")
    trust = {"NODE_EXTRA_CA_CERTS": str(servers.trust)} if servers.trust else {}
    return talk(_OTHERS[request.param] if other else _COMMAND, servers, media, trust)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_conversation(seen: dict[str, Seen], conversation: str) -> None:
    assert "error" not in seen[conversation], seen[conversation]["error"]
    CONVERSATIONS[conversation](seen[conversation])
