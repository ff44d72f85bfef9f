"""Fixtures of the tests of traces."""

import pytest

from livews.cli import main
from tests.trace.kit import Done, Run


@pytest.fixture
def trace(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs `livews trace WORDS` in this process."""

    def run(*words: object) -> Done:
        capfd.readouterr()
        code = main(["trace", *map(str, words)])
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run
