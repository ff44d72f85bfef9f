"""Tests see no key, proxy or endpoint of the machine they run on; each asks for what it needs."""

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.kit import browser as browsers
from tests.kit.names import ROOT

_HIDDEN = ("GOOGLE_", "GEMINI_", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy",
           "CLOUDSDK_", "NO_COLOR", "SSL_CERT_FILE", "COLUMNS", "LIVEWS_PORTAUDIO")  # fmt: skip

if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, which the commands under test would inherit

PATIENCE = 60.0
"""Seconds an async test may last, unless a mark `patience(seconds)` says otherwise."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test in an event loop of its own; one that hangs fails."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    mark = pyfuncitem.get_closest_marker("patience")
    given = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}

    async def bounded() -> None:
        async with asyncio.timeout(mark.args[0] if mark else PATIENCE):
            await pyfuncitem.obj(**given)

    asyncio.run(bounded())
    return True


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_HIDDEN):
            monkeypatch.delenv(name)
    # children find the same livews, also when the tests run from an installed wheel
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path[1:2]]))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browsers.Browser]:
    yield from browsers.started(tmp_path_factory.mktemp("profile"))
