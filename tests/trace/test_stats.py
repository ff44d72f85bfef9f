"""`livews trace stats`: the figures of a session."""

import json
import re
from pathlib import Path

import pytest

from tests.kit.sound import silence, speech
from tests.kit.traces import control, got
from tests.trace.kit import BARGE_IN, HEAD, READY, TOOL, Run, microphone, over, talk, tone, voice, write


def test_the_figures_of_a_session(trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *talk())
    row = json.loads(trace("stats", path, "--json").out)
    assert row["turns"] == {"user": 3, "model": 2, "interrupted": 1}, "the text that stopped it was never answered"
    assert row["latency"]["firstByte"] == {"p50": 0.1, "p95": 0.2, "count": 2}
    assert row["latency"]["firstSound"] == {"p50": 0.2, "p95": 0.4, "count": 2}, "100 ms of silence are no sound"
    assert row["bargeIn"] == {"p50": 0.02, "p95": 0.02, "count": 1}
    assert row["audio"]["server"]["seconds"] == 3.2 and row["audio"]["server"]["chunkMs"]["max"] == 1000
    assert row["audio"]["server"]["largestGap"] == 0.25
    assert row["speed"]["count"] == 2 and row["speed"]["min"] == 4.0
    assert row["ranDry"] == {"times": 1, "seconds": 0.05}
    assert row["heard"]["underruns"] == 2 and row["heard"]["heardMs"] == 480
    assert row["tokens"] == {"prompt": {"total": 20, "TEXT": 20}, "response": {"total": 50, "AUDIO": 50}, "total": 70}
    assert row["usage"]["prompt"] == {"TEXT": 20} and row["usage"]["usd"] == pytest.approx(615e-6) and row["cost"]
    assert row["seconds"] == 4.1 and row["setup"] == 0.1
    assert row["messages"]["client"]["kinds"]["clientContent"]["count"] == 2
    assert [close["code"] for close in row["closes"]] == [1000], "the other is its answer"
    assert not row["unanswered"]
    shown = trace("stats", path).out
    assert "p50 0.100 s, p95 0.200 s (2) after the user was done" in shown
    assert re.search(r"^cost +0.000615 USD by the list of 20", shown, re.M)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8765", "ws://localhost", ""])
def test_a_trace_of_the_stand_in_has_no_cost(trace: Run, tmp_path: Path, url: str) -> None:
    path = write(
        tmp_path / "t.jsonl", *talk(), head={**HEAD, "url": url + "/ws/x.GenerativeService.BidiGenerateContent"}
    )
    row = json.loads(trace("stats", path, "--json").out)
    is_local = len(url) > 5
    assert (row["usage"]["usd"] is None) == is_local and row["usage"]["response"] == {"AUDIO": 50}
    assert ("cost" in trace("stats", path).out) != is_local


def test_latency_counts_from_the_end_of_speech(trace: Run, tmp_path: Path) -> None:
    pcm = speech(1.0) + silence(1.0)
    mic = [microphone(round(1.1 + i * 0.1, 3), pcm[3200 * i : 3200 * (i + 1)]) for i in range(len(pcm) // 3200)]
    into = [microphone(round(3.3 + i * 0.1, 3), speech(0.1)) for i in range(3)]
    answer = [voice(2.95, tone(1.0)), *into, got(3.55, {"serverContent": {"interrupted": True}}), over(3.56)]
    path = write(tmp_path / "t.jsonl", *READY, *mic, *answer)
    row = json.loads(trace("stats", path, "--json").out)
    assert row["latency"]["firstByte"]["p50"] == pytest.approx(0.95, abs=0.06)
    assert row["bargeIn"]["p50"] == pytest.approx(0.35, abs=0.03)
    assert row["audio"]["client"]["chunkMs"]["p50"] == 100
    real = json.loads(trace("stats", BARGE_IN, "--json").out)
    assert real["turns"]["interrupted"] == 1 and 0.1 < real["bargeIn"]["p50"] < 0.3


def test_a_close_is_explained_and_elided_sound_counts(trace: Run, tmp_path: Path) -> None:
    close = control(2.0, "recv", "close", code=1011, reason="Internal error encountered.")
    row = json.loads(trace("stats", write(tmp_path / "t.jsonl", *READY, close), "--json").out)
    assert row["closes"][0]["id"] == "internal-error" and row["closes"][0]["do"]
    elided = json.loads(trace("stats", TOOL, "--json").out)
    assert elided["elided"] and elided["audio"]["server"]["seconds"] == pytest.approx(4.65, abs=0.1)
    assert "firstSound" not in elided["latency"]
