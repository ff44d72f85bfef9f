"""Fixtures of the tests of the inspector."""

from tests.report.conftest import outside

__all__ = ["outside"]
