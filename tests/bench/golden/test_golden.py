"""The recorded behaviour against this checkout: one test a case.

Without LIVEWS_GOLDEN=all, families of cases that other tests cover as well are left to one of their members.
"""

from __future__ import annotations

import asyncio
import os
from fnmatch import fnmatch

import pytest

from tests.bench.golden.__main__ import DATA, differences, kept, recorded
from tests.bench.golden.cases import CASES
from tests.bench.golden.runner import Tool, run_case

FAMILIES = ("close-setup-*", "close-turn-*", "http-*", "dial-*", "tool-*", "fault-*", "refuses-*", "stand-in-*", "event-*",
            "*-usage-errors", "*-refusals", "*-words", "proxy-*", "talk-trace-*", "talk-setup-*", "replay-*", "doctor-*")  # fmt: skip
WITH = ("close-turn-quota", "close-setup-quota", "http-403", "dial-token", "tool-object", "fault-snake", "refuses-no-setup",
        "refuses-as-of-2026-03", "stand-in-gemini-3.8-live", "stand-in-gemini-live-2.5-flash", "stand-in-call-test",
        "event-transcripts", "event-bundled", "event-interrupted", "proxy-session", "talk-trace-faults", "talk-setup-file", "replay-alike", "doctor-turn")  # fmt: skip
"""The member of each family that is always run."""


def _selected() -> list[str]:
    if os.environ.get("LIVEWS_GOLDEN") == "all":
        return list(CASES)
    return [name for name in CASES if name in WITH or not any(fnmatch(name, pattern) for pattern in FAMILIES)]


@pytest.mark.parametrize("name", _selected())
def test_nothing_has_changed(name: str) -> None:
    found = asyncio.run(run_case(Tool.of(), CASES[name]))
    assert list(differences(recorded(name), found, name)) == []


def test_every_case_is_recorded_and_every_record_has_a_case() -> None:
    assert sorted(name for path in DATA.glob("*.json") for name in kept(path)) == sorted(CASES)


def test_a_difference_is_told_with_its_place() -> None:
    was = {"exit": 0, "lines": [{"a": 1, "b": 2}, 2, 3], "names": {"atLeast": ["x"]}, "text": "one"}
    assert list(differences(was, was)) == []
    assert list(differences(was, {**was, "names": {"atLeast": ["w", "x"]}})) == []
    now = {"exit": 0.0, "lines": [{"b": 2, "a": 1}, 2, 3], "names": {"atLeast": ["w"]}, "new": 1}
    assert list(differences(was, now)) == [
        '/text: is missing, was "one"',
        "/new: is new, 1",
        "/exit: was 0, now 0.0",
        "/lines/0: the order of members was a, b, now b, a",
        "/names: x is missing",
    ]
    assert list(differences([1, 2, 3], [1, 3])) == ["/1: is missing, was 2"]
    assert list(differences([1, 3], [1, 2, 3])) == ["/1: is new, 2"]
