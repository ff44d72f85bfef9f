"""Automatic activity detection: what a setup asks for, of a model with a profile."""

from __future__ import annotations

from typing import Any

import pytest

from livews.audio.analysis.levels import THRESHOLD_DB
from livews.audio.analysis.vad import turn_detector
from tests.kit.sound import silence, tone

PROFILE = {"startMs": 160, "silenceMs": 800, "thresholdDb": -40}


def config(**members: Any) -> dict[str, Any]:
    return {"model": "models/m", "realtimeInputConfig": {"automaticActivityDetection": members}}


@pytest.mark.parametrize(
    ("setup", "start", "silent", "threshold"),
    [
        ({}, 160, 800, -40),
        ({"realtimeInputConfig": None}, 160, 800, -40),
        ({"realtimeInputConfig": {}}, 160, 800, -40),
        ({"realtimeInputConfig": {"automaticActivityDetection": {}}}, 160, 800, -40),
        (config(startOfSpeechSensitivity="START_SENSITIVITY_HIGH"), 160, 800, -40),
        (config(startOfSpeechSensitivity="START_SENSITIVITY_UNSPECIFIED"), 160, 800, -40),
        (config(startOfSpeechSensitivity="START_SENSITIVITY_LOW"), 160, 800, -28),
        (config(endOfSpeechSensitivity="END_SENSITIVITY_HIGH"), 160, 800, -40),
        (config(endOfSpeechSensitivity="END_SENSITIVITY_UNSPECIFIED"), 160, 800, -40),
        (config(endOfSpeechSensitivity="END_SENSITIVITY_LOW"), 160, 1600, -40),
        (config(endOfSpeechSensitivity="END_SENSITIVITY_LOW", silenceDurationMs=500), 160, 500, -40),
        (config(prefixPaddingMs=40), 40, 800, -40),
        (config(prefixPaddingMs=40.0, silenceDurationMs="100"), 40, 100, -40),
        (config(prefixPaddingMs="40.0", silenceDurationMs=0), 40, 0, -40),
        (config(prefixPaddingMs=0, startOfSpeechSensitivity="START_SENSITIVITY_LOW"), 0, 800, -28),
        (config(prefixPaddingMs=-5, silenceDurationMs=-(2**31)), 0, 0, -40),
        (config(prefixPaddingMs=1_000_000, silenceDurationMs=2**31 - 1), 10_000, 60_000, -40),
        (config(prefixPaddingMs=None, silenceDurationMs="soon"), 160, 800, -40),
    ],
)
def test_settings(setup: dict[str, Any], start: int, silent: int, threshold: float) -> None:
    detector = turn_detector(setup, PROFILE)
    assert (detector.start_ms, detector.silence_ms, detector.threshold_db) == (start, silent, threshold)


def test_the_threshold_of_a_profile() -> None:
    detector = turn_detector({}, {"startMs": 160, "silenceMs": 800})
    assert (detector.start_ms, detector.silence_ms, detector.threshold_db) == (160, 800, THRESHOLD_DB)
    detector = turn_detector({}, {"startMs": 60, "silenceMs": 300, "thresholdDb": 40})
    assert (detector.start_ms, detector.silence_ms, detector.threshold_db) == (60, 300, -6.0)


def test_settings_are_obeyed() -> None:
    audio = b"".join([silence(0.5), tone(0.3, level=1470), silence(0.46), tone(0.3, level=1470), silence(2.0)])
    assert [m.offset for m in turn_detector({}, PROFILE).push(audio, 16000)] == [0.66, 2.36]
    low = turn_detector(config(startOfSpeechSensitivity="START_SENSITIVITY_LOW"), PROFILE)
    assert low.push(audio, 16000) == []
    late = turn_detector(config(endOfSpeechSensitivity="END_SENSITIVITY_LOW"), PROFILE)
    assert [m.offset for m in late.push(audio, 16000)] == [0.66, 3.16]
    quick = turn_detector(config(prefixPaddingMs=40, silenceDurationMs=400), PROFILE)
    assert [m.offset for m in quick.push(audio, 16000)] == [0.54, 1.2, 1.3, 1.96]
