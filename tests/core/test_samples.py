"""Messages somebody really sent or received, taken by the schemas.

- The samples are not part of the project; without them these tests skip.
- Two of them were invented by others for their own tests, and only give notes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from livews.core import canonical, rules, validation
from tests.conftest import ROOT

PATH = ROOT.parent / "shared" / "facts" / "samples.jsonl"
INVENTED = {"error frame", "unknown field"}


def samples(path: Path) -> list[Any]:
    if not path.is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason="no recorded samples beside the repository"))]
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [pytest.param(row, id=f"{n}-{row['kind']}") for n, row in enumerate(rows)]


@pytest.mark.parametrize("sample", samples(PATH))
def test_what_was_sent_is_taken(sample: dict[str, Any]) -> None:
    sender, message = sample["direction"], sample["message"]
    found = canonical.fold(sender, message)
    assert validation.violations(sender, found.message) == []
    news = [path for path, _, _ in found.unknown]
    if sample["kind"] in INVENTED:
        assert news
        assert {one.level for one in rules.check(sender, message)} == {"note"}
    else:
        assert news == []
        assert found.unknown_values == []
