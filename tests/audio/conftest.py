"""Fixture `pulse`: a running sound server, or a skip that says why; LIVEWS_REQUIRE_SOUND=1 makes that a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.audio.pulse import NoPulse, PulseServer


def no_sound(why: object) -> None:
    if os.environ.get("LIVEWS_REQUIRE_SOUND") == "1":
        pytest.fail(f"LIVEWS_REQUIRE_SOUND=1, but {why}")
    pytest.skip(str(why))


@pytest.fixture
def pulse() -> Iterator[PulseServer]:
    try:
        server = PulseServer()
        with server:
            server.check_portaudio()
            yield server
    except NoPulse as error:
        no_sound(error)
