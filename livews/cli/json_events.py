"""Events as JSON lines, for `--json`: one object an event, its `event` the name, times in seconds."""

from __future__ import annotations

from typing import Any

import orjson

from livews.core import events as e
from livews.core.events import Event
from livews.errors import LivewsError


def as_json(event: Event, t: float) -> str:
    """One line. Sound is told by its length; the samples are in --wav and in the trace."""
    return line({"event": _name(event), "t": round(t, 6), **_members(event)})


def line(row: dict[str, Any]) -> str:
    return orjson.dumps(row).decode()


def failure(problem: LivewsError, t: float) -> str:
    """The last line of a session that failed."""
    row: dict[str, Any] = {"event": "error", "t": round(t, 6), "what": problem.what}
    row |= {name: text for name, text in problem.details() if text}
    if hasattr(problem, "code"):
        row |= {"code": problem.code, "reason": getattr(problem, "reason", "")}
    return line(row)


def _name(event: Event) -> str:
    name = type(event).__name__
    return name[0].lower() + name[1:]


def _members(event: Event) -> dict[str, Any]:
    match event:
        case e.Audio():
            return {"bytes": len(event.pcm), "rate": event.rate, "mimeType": event.mime_type}
        case e.Media():
            return {"bytes": len(event.data), "mimeType": event.mime_type}
        case e.Transcript():
            row: dict[str, Any] = {"text": event.text, "of": event.of}
            return row | ({"interim": True} if event.interim else {}) | ({"finished": True} if event.finished else {})
        case e.Usage():
            row = {"prompt": event.prompt, "response": event.response, "total": event.total}
            return row | {"promptBy": event.prompt_by, "responseBy": event.response_by, "thoughts": event.thoughts}
        case e.Ready():
            return {"sessionId": event.session_id}
        case _:
            names = [name for name in type(event).__dataclass_fields__ if name != "step"]
            return {name: getattr(event, name) for name in names}
