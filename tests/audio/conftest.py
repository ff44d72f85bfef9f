"""Fixture `pulse`: a running sound server, or a skip that says why; LIVEWS_REQUIRE_SOUND=1 makes that a failure."""

import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from livews.audio import portaudio
from tests.audio.devices import FakeDevices
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


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDevices]:
    """A sounddevice without devices, see `FakeDevices.put`."""
    with closing(FakeDevices()) as fake:
        monkeypatch.setattr(portaudio, "load", lambda *texts: fake)
        yield fake
