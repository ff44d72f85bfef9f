"""Loads scripts for the stand-in to play: scenarios of protocol/scenarios, and recorded sessions.

- A file is read whole and checked before anything is played; errors name the place.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livews.core import codec
from livews.errors import BadRequest
from livews.server import faults
from livews.trace.reader import TraceRecord
from livews.trace.session import follow
from livews.whole_file import read_whole

_MOST_BYTES = 1 << 30
_VERBS = ("client", "server", "close", "wait", "fault", "connect", "drive", "report")


@dataclass
class Script:
    """What is played to one connection: `steps` of a scenario, or `records` of a recorded session.

    `connection`: its number in the scenario; from 2 on it must not be opened before the one of the script before has ended.
    """

    name: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    records: list[TraceRecord] = field(default_factory=list)
    connection: int = 1


def load(path: str) -> list[Script]:
    """The scripts of a file, `-` for stdin: each connection of a scenario, or each session of a trace. BadRequest if it
    is neither, or invalid."""
    stdin, path = (sys.stdin.buffer, "stdin") if path == "-" else (None, path)
    fix = "name a scenario (.json) or a trace (.jsonl)"
    raw = read_whole(path, path, fix=fix, stdin=stdin, most=_MOST_BYTES, json_object=True)
    try:
        data = codec.parse(raw)
    except codec.WireError:
        data = {}
    if "steps" in data:
        return _scenario(path, data)
    if raw.lstrip()[:16].startswith(b'{"trace"'):
        scripts = []
        for session in follow(raw.splitlines(keepends=True), path):
            records = [*session.lines()]
            if any(record.raw for record in records):
                scripts.append(Script(f"{Path(path).name}#{session.number}", records=records))
        if scripts:
            return scripts
        why, fix = "no session of this trace has a message", "livews --trace FILE makes a trace with messages"
        raise BadRequest("there is nothing to play", where=path, why=why, fix=fix)
    raise BadRequest(
        "neither a scenario nor a trace",
        where=path,
        why="a scenario is a JSON object with steps, a trace begins with its header",
        fix="see protocol/scenarios for scenarios; livews --trace FILE makes a trace",
    )


def load_all(paths: Iterable[str]) -> list[Script]:
    """The scripts of several files, in order."""
    return [script for path in paths for script in load(path)]


def _scenario(path: str, data: dict[str, Any]) -> list[Script]:
    steps, name = data["steps"], str(data.get("id") or Path(path).stem)
    scripts = [Script(name)]
    for i, step in enumerate(steps if isinstance(steps, list) else [steps]):
        problem = _problem(step)
        if not problem and "connect" in step and step["connect"] != len(scripts) + 1:
            problem = f"connect counts the connections: {len(scripts) + 1} is expected"
        if problem:
            raise BadRequest(f"invalid step of a scenario: {problem}", where=f"{path}, /steps/{i}", fix="correct it")
        if "connect" in step:
            scripts.append(Script(f"{name}#{len(scripts) + 1}", connection=len(scripts) + 1))
        else:
            scripts[-1].steps.append(step)
    if not all(script.steps for script in scripts):
        raise BadRequest("a connection without steps", where=f"{path}, /steps", fix="add steps")
    return scripts


def _problem(step: Any) -> str:
    """What is wrong with a step, "" for nothing."""
    verbs = [verb for verb in _VERBS if isinstance(step, dict) and verb in step]
    if len(verbs) != 1:
        return f"one of {', '.join(_VERBS)} is expected"
    verb, value = verbs[0], step[verbs[0]]
    if verb in ("client", "server", "close") and not isinstance(value, dict):
        return f"{verb} holds an object"
    if verb == "close" and not isinstance(value.get("code", 1000), int):
        return "the code of a close is a number"
    if verb == "wait" and not (isinstance(value, (int, float)) and 0 <= value <= 3600):
        return "wait holds seconds"
    try:
        if verb == "fault":
            faults.parse(str(value), here=1)
    except ValueError as problem:
        return str(problem)
    return ""
