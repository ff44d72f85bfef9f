"""The setup message that is composed, and the one that is sent as it is written."""

from typing import Any

import pytest

from livews.setup_message import compose

EXTENDED = "models/gemini-3.8-live-extended-thinking"


@pytest.mark.parametrize(("setup", "sent"), [
    ({"generation_config": {"top_k": None}}, {"model": EXTENDED, "generation_config": {"top_k": None}}),
    ({"setup": {"tols": 1, "tools": "x"}}, {"model": EXTENDED, "tols": 1, "tools": "x"}),
    ({"tols": 1, "model": "gemini-3.8-live-extended-thinking"}, {"model": "gemini-3.8-live-extended-thinking", "tols": 1}),
    ({"tols": 1, "model": "another"}, {"tols": 1, "model": EXTENDED}),
])  # fmt: skip
def test_a_literal_setup_is_sent_as_it_is_written(setup: dict[str, Any], sent: dict[str, Any]) -> None:
    assert compose(EXTENDED, setup=setup, literal=True) == {"setup": sent}


def test_what_is_literal_gets_nothing_that_the_model_requires() -> None:
    assert "thinkingConfig" in compose(EXTENDED)["setup"]["generationConfig"]
    assert compose(EXTENDED, literal=True)["setup"]["generationConfig"] == {"responseModalities": ["AUDIO"]}
    setup = compose(EXTENDED, literal=True, setup={"topK": 1}, system="be kind")["setup"]
    assert setup == {"model": EXTENDED, "topK": 1, "systemInstruction": {"parts": [{"text": "be kind"}]}}
