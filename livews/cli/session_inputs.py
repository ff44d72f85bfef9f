"""What the flags ask for, made into what is sent and run; all of it before anything is dialled.

- Every error names the flag or the file, and the cure.
- The caller's own setup wins over what a flag only implies; a list such as `tools` is added to, never replaced.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from livews import setup_message
from livews.core import models, schema
from livews.errors import BadRequest

if TYPE_CHECKING:
    from livews.audio.file_source import FileSource
    from livews.media import Picture
    from livews.tools import Tool


_MARGIN = 0.8
"""Seconds of silence more than the service asks for: audio and audioStreamEnd with 0.8 s got no answer, 1.5 s did."""


class SessionInputs:
    """Files read and checked, tools and pictures made ready."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.setup = _setup(options)
        self.tools = _tools(options)
        self.stills = _stills(options)
        self.files = _files(options, self.setup)

    def close(self) -> None:
        for file in self.files:
            file.close()


def read_json(name: str, what: str, fix: str) -> Any:
    """The JSON of a file, `-` for stdin; BadRequest with file, line and cure."""
    try:
        raw = (sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()).removeprefix(b"\xef\xbb\xbf")
    except OSError as problem:
        raise BadRequest(f"cannot read the {what}: {problem.strerror}", where=name, fix=fix) from None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        where = f"{name}:{problem.lineno}:{problem.colno}"
        wants = "JSON wants double quotes, no comments and no comma before a closing bracket"
        raise BadRequest(f"the {what} is not JSON", where=where, why=str(problem).split(": ")[0], fix=wants) from None


def _setup(options: argparse.Namespace) -> dict[str, Any] | None:
    """The caller's setup and what his flags add to it, for `connect(setup=)`."""
    given: dict[str, Any] = {}
    if options.setup:
        message = read_json(options.setup, "setup", "name a JSON file with members of the setup message")
        if not isinstance(message, dict):
            fix = 'write an object, as in {"generationConfig": {"temperature": 0.5}}'
            raise BadRequest("the setup is not an object", where=options.setup, fix=fix)
        given = setup_message.bare(message)
    if options.mic and not _says(given, "inputAudioTranscription"):
        given = {**given, "inputAudioTranscription": {}}
    if options.push_to_talk:
        name = "realtime_input_config" if "realtime_input_config" in given else "realtimeInputConfig"
        config = given.get(name)
        off = {"automaticActivityDetection": {"disabled": True}}
        given = {**given, name: {**config, **off} if isinstance(config, dict) else off}
    if options.search:
        tools = given.get("tools")
        given = {**given, "tools": [*(tools if isinstance(tools, list) else []), {"googleSearch": {}}]}
    return given or None


def _says(given: dict[str, Any], name: str) -> bool:
    return name in given or schema.snake(name) in given


def _tools(options: argparse.Namespace) -> list[Tool]:
    """The commands of --tool with their declarations."""
    if not (options.tool or options.tool_schema):
        return []
    from livews import tools

    return tools.commands(options.tool, options.tool_schema, timeout=options.tool_timeout)


def _stills(options: argparse.Namespace) -> list[Picture]:
    """The pictures of --image, read and made small."""
    if not options.image:
        return []
    from livews import media

    return [media.load_image(path, most_pixels=options.picture_size) for path in options.image]


def _files(options: argparse.Namespace, given: dict[str, Any] | None) -> list[FileSource]:
    """The files of --mic, with the silence behind each that the service needs to hear that it is over."""
    if not options.mic_files:
        return []
    from livews.audio.file_source import FileSource

    silence = 0.0 if options.push_to_talk else _silence(options.model, given or {}) + _MARGIN
    files = [FileSource(path, silence=silence) for path in options.mic_files]
    try:
        for file in files:
            file.start()
    except BaseException:
        for file in files:
            file.close()
        raise
    return files


def _silence(model: str, given: dict[str, Any]) -> float:
    """Seconds of silence after which the service takes a turn for over."""
    message = setup_message.compose(model or str(given.get("model") or models.default_model()), setup=given)["setup"]
    config = message.get("realtimeInputConfig", {}).get("automaticActivityDetection", {})
    told = config.get("silenceDurationMs") if isinstance(config, dict) else None
    usual = models.profile(message["model"])["vad"]["silenceMs"]
    return (told if isinstance(told, (int, float)) else usual) / 1000


def device_of(spec: str) -> int | str | None:
    """A device as it was typed: its number, its name, or None for the default."""
    return int(spec) if spec.isdecimal() else spec or None
