"""Messages somebody really sent or received, taken by the schemas.

- The samples are not part of the project: LIVEWS_SAMPLES names their file, or the folder of samples.jsonl. Without it
  these tests skip; a variable that names nothing is a failure.
- Two of them were invented by others for their own tests, and only give notes.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from livews.advice import judge
from livews.core import canonical, validation

INVENTED = {"error frame", "unknown field"}


def samples(env: Mapping[str, str]) -> list[Any]:
    """The samples that the environment names, as parameters of a test. FileNotFoundError where there are none."""
    if not env.get("LIVEWS_SAMPLES"):
        return [pytest.param({}, marks=pytest.mark.skip(reason="LIVEWS_SAMPLES names no recorded samples"))]
    path = Path(env["LIVEWS_SAMPLES"])
    text = (path / "samples.jsonl" if path.is_dir() else path).read_text()
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [pytest.param(row, id=f"{n}-{row['kind']}") for n, row in enumerate(rows)]


@pytest.mark.parametrize("sample", samples(os.environ))
def test_what_was_sent_is_taken(sample: dict[str, Any]) -> None:
    sender, message = sample["direction"], sample["message"]
    found = canonical.fold(sender, message)
    assert validation.violations(sender, found.message) == []
    news = [path for path, _, _ in found.unknown]
    if sample["kind"] in INVENTED:
        assert news
        assert {one.level for one in judge.check(sender, message)} == {"note"}
    else:
        assert news == []
        assert found.unknown_values == []


def test_samples_are_where_the_variable_says(tmp_path: Path) -> None:
    rows = [{"direction": "server", "kind": kind, "message": {"setupComplete": {}}} for kind in ("one", "two")]
    file = tmp_path / "samples.jsonl"
    file.write_text("\n\n".join(map(json.dumps, rows)))
    for place in (file, tmp_path):
        assert [one.values[0] for one in samples({"LIVEWS_SAMPLES": str(place)})] == rows
    (alone,) = samples({})
    assert [mark.name for mark in alone.marks] == ["skip"]
    with pytest.raises(FileNotFoundError):
        samples({"LIVEWS_SAMPLES": str(tmp_path / "none.jsonl")})
