"""How a turn of the model ended: `trace.outcome`, and every tool of traces that says it."""

import json
from pathlib import Path
from typing import Any

import pytest

from livews.report import render
from tests.kit.sound import speech
from tests.kit.traces import Row, asked, got, sent
from tests.trace.kit import HEAD, Run, voice, write

SETUP = {"model": "models/gemini-3.8-live", "outputAudioTranscription": {}}
GENERATED = {"serverContent": {"generationComplete": True}}
HUM = speech(1.0, 24_000)
FAINT = bytes((3, 0, 253, 255)) * 24_000
"""Two seconds of samples of 3 and -3."""


def _end(reason: str = "", **more: Any) -> dict[str, Any]:
    return {"serverContent": {"turnComplete": True, **({"turnCompleteReason": reason} if reason else {}), **more}}


def _text(text: str) -> dict[str, Any]:
    return {"serverContent": {"modelTurn": {"parts": [{"text": text, "thought": True}]}}}


def _said(text: str) -> dict[str, Any]:
    return {"serverContent": {"outputTranscription": {"text": text}}}


CALL = {"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": {}}]}}
INTERRUPTED = {"serverContent": {"interrupted": True}}
TURNS: list[tuple[str, dict[str, Any], list[Any], str, str, str]] = [
    # what, more of setup, the service's messages (bytes: audio), rule, words, name in stats
    ("rejected", {}, [_end("RESPONSE_REJECTED")], "TURN-12", "ended without audio with RESPONSE_REJECTED: The model discarded its own answer", "RESPONSE_REJECTED"),
    ("more input is wanted", {}, [_end("NEED_MORE_INPUT")], "TURN-12", "NEED_MORE_INPUT: The model expects", "NEED_MORE_INPUT"),
    ("a call that is not valid", {}, [_end("MALFORMED_FUNCTION_CALL")], "TURN-12", "MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
    ("a reason after sound", {}, [HUM, _end("GENERATED_AUDIO_SAFETY")], "TURN-12", "turn 1 ended with GENERATED_AUDIO_SAFETY: Generated audio failed", "GENERATED_AUDIO_SAFETY"),
    ("a reason of the future", {}, [_end("SOMETHING_NEW")], "TURN-12", "SOMETHING_NEW: livews does not know this reason", "SOMETHING_NEW"),
    ("retries are used up", {}, [_said("Well"), _end("MAX_REGENERATION_REACHED")], "TURN-12", "The maximum number of retries", "MAX_REGENERATION_REACHED"),
    ("near-silent", {}, [FAINT, _said("Noon."), GENERATED, _end()], "TURN-13", "turn 1 is silent: of 2.0 s of audio no sample is louder than -81 dBFS", "silent"),
    ("zeros", {}, [bytes(48_000), _said("Noon."), _end()], "TURN-13", "turn 1 is silent: of 1.0 s of audio every sample is zero", "silent"),
    ("a transcript, and no audio", {}, [_said("Noon."), GENERATED, _end()], "TURN-5", "turn 1 has no audio, although it has a transcript", "withoutAudio"),
    ("an empty transcript, and no audio", {}, [_said(""), GENERATED, _end()], "TURN-5", "turn 1 has no audio, and its transcript is empty", "withoutAudio"),
    ("thoughts only", {}, [_text("Hm"), GENERATED, _end()], "TURN-5", "turn 1 has no audio: the model only thought", "withoutAudio"),
    ("thoughts that are only counted", {}, [GENERATED, {**_end(), "usageMetadata": {"thoughtsTokenCount": 40, "totalTokenCount": 40}}], "TURN-5", "the model only thought", "withoutAudio"),
    ("nothing at all", {}, [_end()], "TURN-5", "turn 1 has no audio", "withoutAudio"),
    ("AUDIO is asked for", {"generationConfig": {"responseModalities": ["AUDIO"]}}, [_end("TURN_COMPLETE_REASON_UNSPECIFIED")], "TURN-5", "turn 1 has no audio", "withoutAudio"),
    ("interrupted before any sound", {}, [_said("We"), INTERRUPTED, _end()], "TURN-5", "turn 1 was interrupted before any sound", "cutBeforeSound"),
    ("an empty transcript", {}, [HUM, _said(""), _said(" "), _end()], "TURN-5", "turn 1 has audio, and an empty transcript", "emptyTranscript"),

    ("a good turn", {}, [HUM, _said("Noon."), GENERATED, _end()], "", "", ""),
    ("silence before speech", {}, [bytes(48_000), HUM, _said("Noon."), _end()], "", "", ""),
    ("a soft voice", {}, [speech(1.0, 24_000, 120), _said("Noon."), _end()], "", "", ""),
    ("no transcript was asked for", {}, [HUM, _end()], "", "", ""),
    ("interrupted while it speaks", {}, [HUM, INTERRUPTED, _end()], "", "", ""),
    ("the turn of a call", {}, [CALL, GENERATED, _end()], "", "", ""),
    ("a model that answers in text", {"generationConfig": {"responseModalities": ["TEXT"]}, "model": "models/test"}, [{"serverContent": {"modelTurn": {"parts": [{"text": "Noon."}]}}}, _end()], "", "", ""),
    ("a reason that is none", {}, [HUM, _end("TURN_COMPLETE_REASON_UNSPECIFIED")], "", "", ""),
    ("a model that only transcribes", {"model": "models/gemini-3.5-transcribe-live"}, [{"serverContent": {"inputTranscription": {"text": "Hello"}}}, GENERATED], "", "", ""),
]  # fmt: skip


def rows_of(setup: dict[str, Any], messages: list[Any]) -> list[Row]:
    rows = [sent(0.0, {"setup": {**SETUP, **setup}}), got(0.1, {"setupComplete": {}}), asked(0.2, "Time?")]
    for i, message in enumerate(messages):
        t = 1.0 + i / 10
        rows.append(voice(t, message) if isinstance(message, bytes) else got(t, message))
    return rows


@pytest.mark.parametrize("case", TURNS, ids=[case[0] for case in TURNS])
def test_how_a_turn_ended(
    case: tuple[str, dict[str, Any], list[Any], str, str, str], trace: Run, tmp_path: Path
) -> None:
    _, setup, messages, rule, words, name = case
    path = write(tmp_path / "t.jsonl", *rows_of(setup, messages))
    lines = [json.loads(line) for line in trace("check", "--json", path).out.splitlines()]
    found = [(row["rule"], row["level"]) for row in lines if row["rule"] in ("TURN-5", "TURN-12", "TURN-13")]
    outcomes = json.loads(trace("stats", "--json", path).out)["outcomes"]
    counted = {
        **outcomes["reasons"],
        **{key: n for key, n in outcomes.items() if isinstance(n, int) and key != "ended"},
    }
    shown = " ".join(trace("show", path).out.split())
    if not rule:
        assert found == [] and not any(counted.values())
        assert "ended badly" not in trace("stats", path).out
        return
    assert found == [(rule, "note")]
    assert words in next(row["complaint"] for row in lines if row["rule"] == rule)
    assert counted[name] == 1
    assert words in shown and f"({rule})" in shown
    assert "ended badly" in trace("stats", path).out


def test_turns_are_counted_by_how_they_ended(trace: Run, tmp_path: Path) -> None:
    """Two that were rejected and a silent one, as a client of Vertex met them."""
    silent = [FAINT, _said("Noon."), GENERATED, _end()]
    rejected = _end("RESPONSE_REJECTED")
    rows = rows_of({}, [*silent, rejected, rejected])
    rows[-1:-1] = [asked(1.45, "Time?")]
    rows[-3:-3] = [asked(1.35, "Time?")]
    path = write(tmp_path / "t.jsonl", *rows)
    stats = " ".join(trace("stats", path).out.split())
    assert "ended badly of 3 turns 2 RESPONSE_REJECTED, 1 silent (2.0 s), 2 without audio" in stats
    shown = trace("show", path).out
    assert shown.count("turnComplete RESPONSE_REJECTED") == 2
    assert "audio 2000 ms -81 dBFS" in shown
    assert "TURN-12: 2 notes." in trace("check", path).err
    render.write(path, tmp_path / "t.html")
    page = (tmp_path / "t.html").read_text()
    assert "turn 1 is silent" in page and '"how":"silent"' in page and "RESPONSE_REJECTED" in page
    last = json.loads(trace("show", "--json", path).out.splitlines()[-1])
    assert [note["rule"] for note in last["notes"]] == ["TURN-12"]


def test_of_audio_that_was_left_out_nothing_is_known(trace: Run, tmp_path: Path) -> None:
    rows = rows_of({}, [HUM, _said("Noon."), _end()])
    rows[3]["message"]["serverContent"]["modelTurn"]["parts"][0]["inlineData"]["data"] = "elided:48000:x"
    path = write(tmp_path / "t.jsonl", *rows, head=HEAD)
    assert "silent" not in trace("check", path).out
    assert "audio 1000 ms ·" in trace("show", path).out.replace("audio 1000 ms\n", "audio 1000 ms ·")
