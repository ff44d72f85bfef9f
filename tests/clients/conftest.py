"""The servers, over TLS and without, and what is shown and said to them."""

from __future__ import annotations

import base64
import importlib.util
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from livews.server import synth

pytest.register_assert_rewrite("tests.clients.conversations", "tests.clients.running")

from tests.clients.conversations import HEARD  # noqa: E402
from tests.clients.running import Servers, need, servers  # noqa: E402

# 8 by 8 grey points, a whole JPEG
_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP////////////////////////////////////////////////////////////////////////"
    "//////////////wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)
_COMMENT = 11_839


@pytest.fixture(scope="session")
def tls_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    need(importlib.util.find_spec("trustme") is not None, "to run clients over TLS: pip install 'livews[tls]'")
    with servers(tmp_path_factory.mktemp("tls"), tls=True, heard=HEARD) as running:
        yield running


@pytest.fixture(scope="session")
def ws_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("ws"), tls=False, heard=HEARD) as running:
        yield running


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`speech`: s16le mono at 16 kHz, without silence after it. `picture`: a JPEG of 12,000 bytes."""
    folder = tmp_path_factory.mktemp("media")
    speech, picture = folder / "speech.pcm", folder / "picture.jpg"
    speech.write_bytes(_at_16k(synth.render(HEARD)))
    picture.write_bytes(_jpeg())
    return {"speech": speech, "picture": picture}


def _at_16k(pcm: bytes) -> bytes:
    """Three samples become two: plain, and without a filter, which tones below 2 kHz do not need."""
    samples = memoryview(pcm).cast("h")
    out = array("h")
    for i in range(0, len(samples) - 2, 3):
        out.append(samples[i])
        out.append((samples[i + 1] + samples[i + 2]) // 2)
    return out.tobytes()


def _jpeg() -> bytes:
    """A comment makes it as large as a small photograph."""
    comment = b"\xff\xfe" + _COMMENT.to_bytes(2, "big") + bytes(_COMMENT - 2)
    picture = _JPEG[:2] + comment + _JPEG[2:]
    assert len(picture) == 12_000
    return picture
