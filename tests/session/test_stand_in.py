"""A conversation with the stand-in over connections that it ends: which rows decide, and what becomes of the turns.

- Times of both sides are divided by `FAST`; only counts are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

import livews
from livews.errors import Closed, LivewsError
from livews.session.events import Reconnecting, SessionLost
from livews.session.policy import ReconnectPolicy
from livews.session.session import Session
from tests.kit import talk

FAST = 20
TURNS = 6


@dataclass
class Outcome:
    answered: int = 0
    doubled: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    error: str = ""
    sockets: int = 0


async def conversation(*faults: str) -> Outcome:
    outcome = Outcome()
    policy = ReconnectPolicy(time_scale=FAST)
    async with talk.serving(faults=faults, time_scale=FAST) as server:
        try:
            async with livews.connect("test-model", url=server.url, api_key="key", reconnect=policy) as session:
                for number in range(TURNS):
                    with contextlib.suppress(Closed):  # its events are still to be read
                        await session.say(f"number {number}")
                    said = [text async for text in words(session, outcome)]
                    outcome.answered += f"number {number}" in "".join(said)
                    outcome.doubled += "".join(said).count(f"number {number}") > 1
        except LivewsError as problem:
            outcome.error = type(problem).__name__
        outcome.sockets = server.total
    return outcome


async def words(session: Session, outcome: Outcome) -> AsyncIterator[str]:
    """What the model says in a turn."""
    async for event in session.turn():
        match event:
            case livews.Transcript(text=text, of="model"):
                yield text
            case Reconnecting(row=row):
                outcome.rows[row] += 1
            case SessionLost():
                outcome.lost += 1


@pytest.mark.parametrize(
    ("faults", "rows"),
    [
        ("go-away-every=1@2", {"planned"}),
        ("drop-every@3", {"dropped"}),
        ("close-every=internal-error@3", {"dropped"}),
        ("close-every=normal@3", {"dropped"}),
        ("close-every=quota@4", {"out-of-quota"}),
        ("drop-every@4 slow-resume=1", {"dropped"}),
        ("drop-every@3 no-handles", {"dropped"}),
        ("drop-every@4 held-handle=1.5", {"dropped", "not-released"}),
        ("go-away-every=1@4 held-handle=3", {"planned", "not-released-planned"}),
        ("drop-every@5 refuse-handles", {"dropped", "dead-handle"}),
        ("drop-every@5 dead-handle", {"dropped", "handle-of-another-session"}),
    ],
)
async def test_every_turn_is_answered_once(faults: str, rows: set[str]) -> None:
    outcome = await conversation(*faults.split())
    assert (outcome.answered, outcome.doubled, outcome.lost, outcome.error) == (TURNS, 0, 0, "")
    assert set(outcome.rows) == rows


async def test_a_prompt_that_is_not_sent_again_ends_its_turn() -> None:
    """1007 in the middle of a turn: what was sent last is not sent again, also not in a fresh session."""
    async with asyncio.timeout(20):
        outcome = await conversation("close-every=invalid-argument@2")
    assert outcome.rows["what-was-sent"] >= 1
    assert outcome.answered < TURNS, "and the turn that was cut is over"


@pytest.mark.parametrize(
    ("faults", "row", "error"),
    [
        ("accept-and-close", "nothing-awaited", "Closed"),
        ("accept-and-close=normal", "nothing-awaited", "Closed"),
        ("accept-and-silent", "dropped", "Lost"),
        ("drop-every@1", "dropped", "Lost"),
        ("drop-in-message@5", "dropped", "Lost"),
        ("reset@5", "dropped", "Lost"),
        ("drop-every@1 refuse-handles", "dead-handle", "Refused"),
    ],
)
async def test_a_service_that_never_answers_is_given_up(faults: str, row: str, error: str) -> None:
    outcome = await conversation(*faults.split())
    assert outcome.error == error
    assert outcome.lost == ("normal" not in faults), "a session that was closed in order is none that was lost"
    assert row in outcome.rows
    assert outcome.sockets <= 12
