"""Automatic activity detection as a session's setup configures it, on the voice activity detector of livews.audio.

- Numbers no client can mean are brought within limits, never refused: refusing is for the schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livews.audio.analysis.levels import THRESHOLD_DB
from livews.audio.analysis.vad import VoiceActivityDetector
from livews.core import codec

START_MS = 160
SILENCE_MS = 800

_LOW_START_DB = 12.0
"""How much louder speech must be for START_SENSITIVITY_LOW."""
_LOW_END_FACTOR = 2
"""How many times the silence of the profile END_SENSITIVITY_LOW waits for."""
_LONGEST_START_MS = 10_000
_LONGEST_SILENCE_MS = 60_000


def turn_detector(setup: Mapping[str, Any], profile_vad: Mapping[str, Any]) -> VoiceActivityDetector:
    """The detector a canonical `setup` asks for, of a model whose profile has this `vad`.

    A number the client gives takes precedence over the profile, and over the sensitivity that would have changed it.
    """
    config = _member(_member(setup, "realtimeInputConfig"), "automaticActivityDetection")
    threshold_db = float(profile_vad.get("thresholdDb", THRESHOLD_DB))
    if config.get("startOfSpeechSensitivity") == "START_SENSITIVITY_LOW":
        threshold_db += _LOW_START_DB
    start_ms = codec.whole(config.get("prefixPaddingMs"))
    if start_ms is None:
        start_ms = int(profile_vad.get("startMs", START_MS))
    silence_ms = codec.whole(config.get("silenceDurationMs"))
    if silence_ms is None:
        silence_ms = int(profile_vad.get("silenceMs", SILENCE_MS))
        if config.get("endOfSpeechSensitivity") == "END_SENSITIVITY_LOW":
            silence_ms *= _LOW_END_FACTOR
    return VoiceActivityDetector(
        start_ms=min(max(start_ms, 0), _LONGEST_START_MS),
        silence_ms=min(max(silence_ms, 0), _LONGEST_SILENCE_MS),
        threshold_db=min(max(threshold_db, -90.0), -6.0),
    )


def _member(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    member = value.get(name)
    return member if isinstance(member, Mapping) else {}
