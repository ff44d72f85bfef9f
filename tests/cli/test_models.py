"""`livews models`: every id of protocol/models.json, with what the rules read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from livews.core import models, protocol
from tests.kit.command import livews


def _rows(*words: str) -> dict[str, dict[str, Any]]:
    done = livews("models", "--json", "--quiet", *words)
    assert (done.returncode, done.stderr) == (0, "")
    return {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}


def test_every_known_id_is_listed_once_and_the_default_first() -> None:
    rows = _rows()
    data = protocol.models()
    ids = {one for row in data["profiles"] for one in row["ids"] if not one.endswith("*")}
    assert set(rows) == ids | {row["id"] for row in data["retired"]}
    assert next(iter(rows)) == data["default"] and [row["default"] for row in rows.values()].count(True) == 1
    assert all(models.profile(one)["known"] for one in ids)


@pytest.mark.parametrize(
    ("words", "model", "facts"),
    [
        ((), "gemini-3.1-flash-live-preview", {"status": "legacy", "shutdown": "2026-11-17", "text": "realtimeInput"}),
        ((), "gemini-3.1-flash-live-preview", {"successor": "gemini-3.8-live", "thinking": ["MINIMAL", "LOW", "MEDIUM", "HIGH"]}),
        ((), "gemini-live-2.5-flash-preview", {"status": "retired", "shutdown": "2025-12"}),
        (("--as-of", "2025-11-30"), "gemini-live-2.5-flash-preview", {"status": "current"}),
        (("--as-of", "2025-06"), "gemini-2.0-flash-live-001", {"status": "current", "shutdown": "2025-12"}),
        (("--as-of", "2026-01"), "gemini-2.0-flash-live-001", {"status": "retired"}),
        (("--as-of", "2025-11"), "gemini-2.5-flash-native-audio-preview-12-2025", {"status": "not out yet"}),
        (("--as-of", "2026-05"), "gemini-3.8-live", {"status": "not out yet"}),
        (("--as-of", "2026-05"), "gemini-3.1-flash-live-preview", {"status": "current"}),
        (("--as-of", "2025-01"), "gemini-2.5-flash-preview-native-audio-dialog", {"status": "not out yet"}),
        (("--surface", "vertex"), "gemini-live-2.5-flash-native-audio", {"shutdown": "2026-12-13", "surface": ["vertex"]}),
        ((), "gemini-robotics-er-2-streaming-preview", {"output": ["TEXT"], "surface": ["gemini"]}),
        ((), "gemini-3.5-transcribe-live", {"input": ["audio"], "text": None, "tools": []}),
    ],
)  # fmt: skip
def test_a_row_says_what_the_profile_says(words: tuple[str, ...], model: str, facts: dict[str, Any]) -> None:
    assert facts.items() <= _rows(*words)[model].items()


def test_the_list_for_people_has_a_line_for_each_id_of_a_surface() -> None:
    done = livews("models", "--surface", "vertex")
    head, *lines = done.stdout.splitlines()
    assert head.split()[:4] == ["id", "surface", "status", "shutdown"]
    assert [line.split()[0] for line in lines] == list(_rows("--surface", "vertex"))
    assert "as of" in done.stderr and "gemini-3.1-flash-live-preview" not in done.stdout


def test_a_date_that_is_none_is_an_error() -> None:
    assert livews("models", "--as-of", "soon").returncode == 2
