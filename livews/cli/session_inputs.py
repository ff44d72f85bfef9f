"""What the options request, made into what is sent and run, before anything is dialled.

- Every error names the option or the file, and the fix.
- The caller's own setup wins over what an option only implies; a list such as `tools` is extended, never replaced.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import orjson

from livews import document, setup_message
from livews.cli.console import Environment
from livews.core import codec, machine, models
from livews.errors import BadRequest
from livews.whole_file import read_whole

if TYPE_CHECKING:
    from livews.audio.file_source import FileSource
    from livews.media import Picture
    from livews.tools import Tool

_MARGIN = 0.8
"""Seconds of silence beyond what the service requires: audio and audioStreamEnd with 0.8 s got no answer, 1.5 s did."""
_MOST_SILENCE = 3_600_000
"""Milliseconds of silence that a setup may require; more is taken as a mistake."""


class SessionInputs:
    """The setup, the tools, the pictures and the audio files of a session, read and checked."""

    def __init__(self, options: argparse.Namespace, environment: Environment) -> None:
        self.setup = _setup(options, environment)
        self.tools = _tools(options)
        self.pictures = _pictures(options)
        self.files = _files(options, self.setup)

    def close(self) -> None:
        for file in self.files:
            file.close()


def _setup(options: argparse.Namespace, environment: Environment) -> dict[str, Any] | None:
    """The caller's setup and what the options add to it, for `connect(setup=)`."""
    setup = setup_message.bare(_read_setup(options.setup, environment)) if options.setup else {}
    if options.mic and not any(name in setup for name in ("inputAudioTranscription", "input_audio_transcription")):
        setup = {**setup, "inputAudioTranscription": {}}
    if options.push_to_talk:
        name = "realtime_input_config" if "realtime_input_config" in setup else "realtimeInputConfig"
        config = setup.get(name)
        off = {"automaticActivityDetection": {"disabled": True}}
        setup = {**setup, name: {**config, **off} if isinstance(config, dict) else off}
    if options.compress:
        name = "context_window_compression" if "context_window_compression" in setup else "contextWindowCompression"
        setup = {**setup, name: options.compress}
    if options.search:
        tools = setup.get("tools")
        setup = {**setup, "tools": [*(tools if isinstance(tools, list) else []), {"googleSearch": {}}]}
    return setup or None


def _read_setup(name: str, environment: Environment) -> dict[str, Any]:
    """The JSON object of a file, `-` for stdin. BadRequest with file, line and fix."""
    fix = "name a JSON file with members of the setup message"
    name, stdin = ("stdin", environment.stdin.buffer) if name == "-" else (name, None)
    raw = read_whole(name, "the setup", fix=fix, stdin=stdin)
    try:
        message = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as problem:
        if other := document.other_format(raw[: document.BEGIN]):
            raise BadRequest("the setup is not JSON", where=name, why=f"it is {other.name}", fix=other.fix) from None
        _, place = document.values(raw, 100)
        line, column, why, fix = (
            place[:4] if place else (problem.lineno, problem.colno, problem.msg, "write one JSON object")
        )
        raise BadRequest("the setup is not JSON", where=f"{name}:{line}:{column}", why=why, fix=fix) from None
    if not isinstance(message, dict):
        fix = 'write an object, as in {"generationConfig": {"temperature": 0.5}}'
        raise BadRequest("the setup is not an object", where=name, fix=fix)
    return message


def _tools(options: argparse.Namespace) -> list[Tool]:
    """The commands of --tool with their declarations."""
    if not (options.tool or options.tool_schema):
        return []
    from livews import tools

    return tools.commands(options.tool, options.tool_schema, timeout=options.tool_timeout)


def _pictures(options: argparse.Namespace) -> list[Picture]:
    """The pictures of --image, made smaller."""
    if not options.image:
        return []
    from livews import media

    return [media.load_image(path, most_pixels=options.picture_size) for path in options.image]


def _files(options: argparse.Namespace, setup: dict[str, Any] | None) -> list[FileSource]:
    """The files of --mic, each with the silence that tells the service that the turn has ended."""
    if not options.mic_files:
        return []
    from livews.audio.file_source import FileSource

    silence = 0.0 if options.push_to_talk else _silence(options.model, setup or {}) + _MARGIN
    files = [FileSource(path, silence=silence) for path in options.mic_files]
    try:
        for file in files:
            file.start()
    except BaseException:
        for file in files:
            file.close()
        raise
    return files


def _silence(model: str, setup: dict[str, Any]) -> float:
    """Seconds of silence after which the service ends a turn."""
    model = model or str(setup.get("model") or models.default_model())
    message = setup_message.compose(model, setup=setup)["setup"]
    path = ("realtimeInputConfig", "automaticActivityDetection", "silenceDurationMs")
    silence = next((codec.whole(value) for value in machine.values(message, path)), None)
    usual = models.profile(message["model"])["vad"]["silenceMs"]
    return (silence if silence is not None and 0 <= silence < _MOST_SILENCE else usual) / 1000


def device_of(spec: str) -> int | str | None:
    """A device as it was typed: its number, its name, or None for the default."""
    return int(spec) if spec.isdecimal() else spec or None
