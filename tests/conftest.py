"""Tests see no key, proxy or endpoint of the machine they run on; each asks for what it needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import browser as browsers

ROOT = Path(__file__).resolve().parent.parent
_HIDDEN = ("GOOGLE_", "GEMINI_", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy",
           "CLOUDSDK_", "NO_COLOR", "SSL_CERT_FILE", "COLUMNS", "LIVEWS_PORTAUDIO")  # fmt: skip


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
