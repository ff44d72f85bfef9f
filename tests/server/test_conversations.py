"""The conversations of tests/data/conversations, each played to a stand-in; tests.kit.transcript has their notation."""

from __future__ import annotations

import pytest

from tests.kit.transcript import FOLDER, Transcript, load, play

CONVERSATIONS = [(path.stem, one) for path in sorted(FOLDER.glob("*.txt")) for one in load(path)]


@pytest.mark.parametrize("transcript", [pytest.param(one, id=f"{of}: {one.title}") for of, one in CONVERSATIONS])
async def test_conversation(transcript: Transcript) -> None:
    await play(transcript)
