"""No two paths differ only in case: on macOS and Windows one of the two would be lost."""

from collections.abc import Callable

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.kit.names import ROOT
from tests.structure import collisions, repository


def wheel() -> list[str]:
    """The files that the build backend puts into the wheel."""
    return [file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()]


@pytest.mark.parametrize("listed", [repository, wheel])
def test_no_two_paths_differ_only_in_case(listed: Callable[[], list[str]]) -> None:
    paths = listed()
    assert len(paths) > 300
    assert collisions(paths) == []


def test_files_and_folders_that_collide_are_found() -> None:
    assert collisions(["a/toolCall.json", "a/ToolCall.json", "a/b.json"]) == [{"a/toolCall.json", "a/ToolCall.json"}]
    assert collisions(["a/one.json", "A/two.json"]) == [{"a", "A"}]
