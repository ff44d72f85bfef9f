"""A part of `python -m tests.session.hour`."""

import pytest

from tests.session.hour import hour


@pytest.mark.parametrize("seed", [1, 4])
async def test_a_conversation_over_many_connections(seed: int) -> None:
    one = await hour(seed, minutes=10, every=60)
    assert one.is_fine, str(one)
    assert one.connections >= 4, "nothing went wrong, so nothing was seen"
