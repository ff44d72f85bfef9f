"""Compose the setup message from the caller's arguments and what the model's profile requires.

- Precedence: single arguments, then the caller's `setup`, then what livews adds.
- The caller's members may be in camelCase or snake_case; the result is canonical.
- Nothing is dropped silently: what the wire does not accept is a finding, reported before dialling.
"""

from collections.abc import Sequence
from typing import Any

from livews.advice import judge
from livews.core import models, rules, schema
from livews.core.canonical import fold
from livews.core.rules import Finding


def compose(
    model: str,
    *,
    voice: str = "",
    system: str = "",
    text: bool = False,
    setup: dict[str, Any] | None = None,
    functions: Sequence[dict[str, Any]] = (),
    resumption: bool = False,
    handle: str = "",
    literal: bool = False,
) -> dict[str, Any]:
    """The setup message of a session.

    Args:
        model: the model's name in the form its endpoint expects.
        voice: name of a prebuilt voice; "" for the model's own.
        system: text of the system instruction; "" for none.
        text: ask for text only: the TEXT modality where the model has it, else the transcript of its speech.
        setup: the value of a setup message, or the whole message; null removes what livews would add.
        functions: function declarations that are added to the tools of `setup`.
        resumption: ask for handles to resume the session with, where the model takes that.
        handle: the handle of a session to resume; "" begins a new one.
        literal: add nothing that the model requires, and to a `setup` only what the other arguments say; without these it is
            as it was written, but for a model's name.
    """
    if literal and setup and not (voice or system or text or functions or resumption or handle):
        written = bare(setup)
        is_same = models.bare_id(str(written.get("model", ""))) == models.bare_id(model)
        return {
            "setup": {"model": model, **written} if is_same or "model" not in written else {**written, "model": model}
        }
    profile = models.profile(model)
    modality = "TEXT" if text and profile["known"] and "TEXT" in profile["output"] else profile["output"][0]
    own: dict[str, Any] = {"model": model, "generationConfig": {"responseModalities": [modality]}}
    if modality == "AUDIO":
        own["outputAudioTranscription"] = {}
    if literal and setup:
        own = {"model": model}
    for row in profile.get("requires", ()):
        if "default" in row and not literal:
            own = _merge(own, _at(row["at"].split("/")[2:], row["default"]))
    if resumption and not any(row["at"].startswith("/setup/sessionResumption") for row in profile["refuses"]):
        own["sessionResumption"] = {}
    written = bare(setup or {})
    callers = fold("client", {"setup": written}).message["setup"]
    generation = callers.get("generationConfig") if isinstance(callers, dict) else None
    modalities = generation.get("responseModalities") if isinstance(generation, dict) and not text else None
    transcription = ("outputAudioTranscription", "output_audio_transcription")
    is_removed = any(written.get(name, {}) is None for name in transcription)
    if is_removed or (isinstance(modalities, list) and modalities and "AUDIO" not in modalities):
        own.pop("outputAudioTranscription", None)
    if text and isinstance(generation, dict):
        generation.pop("responseModalities", None)  # `text` decides them
    merged = _merge(own, callers)
    merged["model"] = model
    if voice:
        speech = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
        merged = _merge(merged, {"generationConfig": {"speechConfig": speech}})
    if system:
        merged["systemInstruction"] = {"parts": [{"text": system}]}
    if handle:
        merged["sessionResumption"] = {**(merged.get("sessionResumption") or {}), "handle": handle}
    if functions:
        others = merged.get("tools")
        merged["tools"] = [*(others if isinstance(others, list) else ()), {"functionDeclarations": [*functions]}]
    return {"setup": merged}


def bare(setup: dict[str, Any]) -> dict[str, Any]:
    """The value of a setup message, whether `setup` is that value or the whole message."""
    inner = setup.get("setup")
    return inner if isinstance(inner, dict) and len(setup) == 1 else setup


def wire_findings(setup: dict[str, Any]) -> list[Finding]:
    """Findings of the WIRE rules about the caller's setup as it was written; paths start at /setup."""
    findings = judge.check("client", {"setup": bare(setup)})
    return [finding for finding in findings if finding.rule.startswith("WIRE")]


def message_findings(message: dict[str, Any], surface: str, version: str, *, composed: bool = False) -> list[Finding]:
    """Findings about a setup message that is ready to send.

    Args:
        message: the message, from `compose`.
        surface: "gemini" or "vertex".
        version: the API version, such as "v1beta".
        composed: the caller wrote nothing of it but plain strings, so that it fits the schemas and they are not loaded.
    """
    reading = judge.read_with_remarks("client", message, schema.column(surface, version))
    reading.is_composed = composed
    return judge.findings(reading, rules.Context(rules.ApiTarget(surface, version)))


def _at(steps: Sequence[str], value: Any) -> Any:
    """A value inside objects, one for each step of its path."""
    return {steps[0]: _at(steps[1:], value)} if steps else value


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge two objects member by member; `over` replaces everything that is not an object."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
