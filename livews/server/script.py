"""What a stand-in can be given to play: a scenario of protocol/scenarios, or a recorded session, from a file.

- A file is read whole and checked before anything is played; what is wrong is told with its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livews.core import codec
from livews.errors import BadRequest
from livews.server import faults
from livews.trace.reader import TraceRecord as Recorded
from livews.trace.reader import sessions

_VERBS = ("client", "server", "close", "wait", "fault", "drive", "report")


@dataclass
class Script:
    """What one connection is played. `steps` for a scenario, `lines` for a recorded session."""

    name: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    lines: list[Recorded] = field(default_factory=list)


def load(path: str) -> list[Script]:
    """The scripts of a file: a scenario, or each session of a trace. BadRequest says what is wrong with it."""
    try:
        raw = Path(path).read_bytes()
    except OSError as problem:
        raise BadRequest(
            f"cannot read {path}: {problem.strerror}", where=path, fix="name a scenario (.json) or a trace (.jsonl)"
        ) from None
    try:
        data = codec.parse(raw)
    except codec.WireError:
        data = {}
    if "steps" in data:
        return [_scenario(path, data)]
    if raw.lstrip()[:16].startswith(b'{"trace"'):
        found = [
            Script(f"{Path(path).name}#{i}", lines=[line for line in lines if line.control != "cut"])
            for i, (_, lines) in enumerate(sessions(raw.splitlines(keepends=True), path), 1)
        ]
        if found := [script for script in found if any(line.raw for line in script.lines)]:
            return found
    raise BadRequest(
        "neither a scenario nor a trace",
        where=path,
        why="a scenario is a JSON object with steps, a trace begins with its header",
        fix="see protocol/scenarios for the one; livews --trace FILE makes the other",
    )


def _scenario(path: str, data: dict[str, Any]) -> Script:
    steps = data["steps"]
    for i, step in enumerate(steps if isinstance(steps, list) else [steps]):
        verbs = [verb for verb in _VERBS if isinstance(step, dict) and verb in step]
        wrong = ""
        if len(verbs) != 1:
            wrong = f"one of {', '.join(_VERBS)} is expected"
        elif verbs[0] in ("client", "server", "close") and not isinstance(step[verbs[0]], dict):
            wrong = f"{verbs[0]} holds an object"
        elif verbs[0] == "close" and not isinstance(step["close"].get("code", 1000), int):
            wrong = "the code of a close is a number"
        elif verbs[0] == "wait" and not (isinstance(step["wait"], (int, float)) and 0 <= step["wait"] <= 3600):
            wrong = "wait holds seconds"
        elif verbs[0] == "fault":
            try:
                faults.parse(str(step["fault"]), here=1)
            except ValueError as problem:
                wrong = str(problem)
        if wrong:
            raise BadRequest(
                f"not a step of a scenario: {wrong}", where=f"{path}, /steps/{i}", fix="correct the step"
            )
    if not steps:
        raise BadRequest("a scenario with no step", where=f"{path}, /steps", fix="write some")
    return Script(str(data.get("id") or Path(path).stem), steps=steps)


def scripts(paths: Iterable[str]) -> list[Script]:
    return [script for path in paths for script in load(path)]
