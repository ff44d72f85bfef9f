"""Compose the setup message: what the caller asked for, on top of what the model's profile needs.

- livews's own members first, then the caller's `setup`, then what was named one by one (a flag beats a file).
- The caller's members keep their meaning in either spelling; the result is canonical.
- Nothing is dropped silently: what the service would refuse is a finding, reported before connecting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livews.core import models, rules, schema
from livews.core.canonical import fold_setup
from livews.core.reading import read
from livews.core.rules import Finding


def compose(
    model: str,
    *,
    voice: str = "",
    system: str = "",
    text: bool = False,
    setup: dict[str, Any] | None = None,
    functions: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The setup message for a model.

    Args:
        model: its name, in the form that the endpoint needs.
        voice: name of a prebuilt voice.
        system: system instruction.
        text: ask for text only: the TEXT modality if the model has it, else the transcript of its voice.
        setup: the value of a setup message, or the message itself; null takes away what livews would add.
        functions: function declarations, added to the tools that `setup` has.
    """
    profile = models.profile(model)
    modality = "TEXT" if text and profile["known"] and "TEXT" in profile["output"] else profile["output"][0]
    own: dict[str, Any] = {"model": model, "generationConfig": {"responseModalities": [modality]}}
    if modality == "AUDIO":
        own["outputAudioTranscription"] = {}
    for row in profile.get("requires", ()):
        own[row["at"].rsplit("/", 1)[-1]] = {}
    callers = fold_setup(bare(setup)).message if setup else {}
    config = callers.get("generationConfig") if isinstance(callers, dict) else None
    modalities = config.get("responseModalities") if isinstance(config, dict) and not text else None
    if (isinstance(modalities, list) and modalities and "AUDIO" not in modalities) or _is_null(
        setup, "outputAudioTranscription"
    ):
        own.pop("outputAudioTranscription", None)
    if text and isinstance(config, dict):
        config.pop("responseModalities", None)  # `text` chooses them
    merged = _merge(own, callers)
    merged["model"] = model
    if voice:
        speech = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
        merged = _merge(merged, {"generationConfig": {"speechConfig": speech}})
    if system:
        merged["systemInstruction"] = {"parts": [{"text": system}]}
    if functions:
        tools = merged.get("tools")
        merged["tools"] = [*(tools if isinstance(tools, list) else ()), {"functionDeclarations": [*functions]}]
    return {"setup": merged}


def _is_null(setup: dict[str, Any] | None, name: str) -> bool:
    """Whether the caller wrote null for a member that livews would add."""
    members = bare(setup or {})
    return any(key in members and members[key] is None for key in (name, schema.snake(name)))


def bare(setup: dict[str, Any]) -> dict[str, Any]:
    """The value of setup, also if the whole message is passed."""
    inner = setup.get("setup")
    return inner if isinstance(inner, dict) and len(setup) == 1 else setup


def wire_findings(setup: dict[str, Any]) -> list[Finding]:
    """Findings of the WIRE rules about a setup as its caller wrote it; paths point into it and start at /setup."""
    return [finding for finding in rules.check("client", {"setup": bare(setup)}) if finding.rule.startswith("WIRE")]


def message_findings(message: dict[str, Any], surface: str, version: str, *, composed: bool = False) -> list[Finding]:
    """Findings about a setup message that is ready to send.

    Args:
        message: the message, from `compose`.
        surface: "gemini" or "vertex".
        version: API version, such as "v1beta".
        composed: whether nothing in it was written by the caller but plain strings, so that it fits the schemas.
    """
    reading = read("client", message)
    reading.is_composed = composed
    return rules.findings(reading, rules.NoSession(rules.ApiTarget(surface, version)))


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Two objects as one: objects are merged member by member, anything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
