"""Compose the setup message: what was asked for, on top of what the model's profile needs.

- livews's own members first, then the caller's `setup`, then what was named one by one (a flag beats a file).
- The caller's members keep their meaning in either spelling; the result is canonical.
- Nothing is dropped in silence: what the wire would not take is a finding, told before dialling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livews.core import models, rules, schema
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
    """The setup message for `model` (in the form its endpoint wants).

    `text` asks for text alone: the TEXT modality where the model has it, else the transcript of its voice.
    `setup` is the value of a setup message, or the message itself; null takes away what livews would add.
    `functions` are declarations that go beside whatever tools `setup` has.
    """
    about = models.profile(model)
    modality = "TEXT" if text and about["known"] and "TEXT" in about["output"] else about["output"][0]
    own: dict[str, Any] = {"model": model, "generationConfig": {"responseModalities": [modality]}}
    if modality == "AUDIO":
        own["outputAudioTranscription"] = {}
    for row in about.get("requires", ()):
        own[row["at"].rsplit("/", 1)[-1]] = {}
    given = schema.canonical_setup(bare(setup)).message if setup else {}
    asked = given.get("generationConfig") if isinstance(given, dict) else None
    wanted = asked.get("responseModalities") if isinstance(asked, dict) and not text else None
    if (isinstance(wanted, list) and wanted and "AUDIO" not in wanted) or _switched_off(
        setup, "outputAudioTranscription"
    ):
        own.pop("outputAudioTranscription", None)
    if text and isinstance(asked, dict):
        asked.pop("responseModalities", None)  # --text chooses them
    merged = _merge(own, given)
    merged["model"] = model
    if voice:
        speech = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
        merged = _merge(merged, {"generationConfig": {"speechConfig": speech}})
    if system:
        merged["systemInstruction"] = {"parts": [{"text": system}]}
    if functions:
        others = merged.get("tools")
        merged["tools"] = [*(others if isinstance(others, list) else ()), {"functionDeclarations": [*functions]}]
    return {"setup": merged}


def _switched_off(setup: dict[str, Any] | None, name: str) -> bool:
    """Did the caller write `null` for a member that livews would add?"""
    given = bare(setup or {})
    return any(key in given and given[key] is None for key in (name, schema.snake(name)))


def bare(setup: dict[str, Any]) -> dict[str, Any]:
    """The value of setup, also when the whole message was given."""
    inner = setup.get("setup")
    return inner if isinstance(inner, dict) and len(setup) == 1 else setup


def wire_findings(setup: dict[str, Any]) -> list[Finding]:
    """What the wire has against a caller's setup as it was written: paths point into it, and start at /setup."""
    found = rules.check("client", {"setup": bare(setup)})
    return [finding for finding in found if finding.rule.startswith("WIRE")]


def model_findings(message: dict[str, Any], surface: str, version: str) -> list[Finding]:
    """What its model has against a composed setup message, by models.json: warnings, since that may be out of date."""
    return list(rules.content_findings(message, models.profile(""), rules.ApiTarget(surface, version)))


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Two objects as one: objects are merged member by member, anything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
