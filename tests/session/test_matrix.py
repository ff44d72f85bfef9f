"""The matrix of `python -m tests.session.matrix`: a part of it here, all of it on demand."""

import asyncio

import pytest

from tests.session.matrix import STATES, Cell, cells, converse

_FAULTS = ("reset", "half a frame", "1011 deadline", "goAway", "silence")


async def _all(chosen: list[tuple[str, str, str]]) -> list[Cell]:
    return list(await asyncio.gather(*(converse(*cell) for cell in chosen)))


@pytest.mark.parametrize("fault", _FAULTS)
async def test_no_turn_is_lost_or_answered_twice(fault: str) -> None:
    found = await _all(cells(STATES, (fault,)))
    assert len(found) == len(STATES)
    for cell in found:
        assert (cell.lost, cell.doubled, cell.error) == (0, 0, ""), str(cell)
        assert cell.tools <= 1, str(cell)
        assert cell.most_open == 1 or fault == "silence", str(cell)


@pytest.mark.parametrize("handles", ["invalid", "not found", "held for ever"])
async def test_a_handle_that_is_refused_costs_the_session_of_the_service_and_no_turn(handles: str) -> None:
    found = await _all(cells(("asked", "speaking", "called", "resulted"), ("reset",), (handles,)))
    for cell in found:
        assert (cell.lost, cell.doubled, cell.error, cell.fresh) == (0, 0, "", 1), str(cell)
        assert cell.tools <= 1, str(cell)


async def test_what_the_service_refused_is_not_sent_again() -> None:
    cell = await converse("asked", "1007")
    assert (cell.lost, cell.error) == (1, ""), str(cell)
