"""livews: the Gemini Live API (BidiGenerateContent) over one WebSocket, without an SDK.

    async with livews.connect(voice="Puck") as session:
        await session.say("Hello? Gemini, are you there?")
        async for event in session.turn():
            ...

Importing this package loads nothing but this file; each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from livews.version import __version__

if TYPE_CHECKING:
    from livews.client import Session, connect
    from livews.core.closes import Advice, explain
    from livews.core.conversation import Conversation, Step
    from livews.core.events import (
        Activity,
        Audio,
        Event,
        GenerationComplete,
        GoAway,
        Grounding,
        Interrupted,
        Media,
        Part,
        Ready,
        Resumable,
        Status,
        Text,
        ToolCall,
        ToolCancelled,
        Transcript,
        TurnEnd,
        Usage,
    )
    from livews.core.rules import Finding, check
    from livews.errors import (
        BadRequest,
        Closed,
        LivewsError,
        LocalProtocolError,
        Lost,
        NoCredentials,
        Refused,
        RemoteProtocolError,
        TraceFailed,
        Unreachable,
    )
    from livews.tools.function import Tool, tool
    from livews.tools.runner import ToolRun

_HOMES = {
    "livews.client": "Session connect",
    "livews.core.closes": "Advice explain",
    "livews.core.conversation": "Conversation Step",
    "livews.core.rules": "Finding check",
    "livews.errors": (
        "BadRequest Closed LivewsError LocalProtocolError Lost NoCredentials Refused RemoteProtocolError "
        "TraceFailed Unreachable"
    ),
    "livews.core.events": (
        "Activity Audio Event GenerationComplete GoAway Grounding Interrupted Media Part Ready Resumable "
        "Status Text ToolCall ToolCancelled Transcript TurnEnd Usage"
    ),
    "livews.tools.function": "Tool tool",
    "livews.tools.runner": "ToolRun",
}
"""Module: the public names that it is the home of."""
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Activity",
    "Advice",
    "Audio",
    "BadRequest",
    "Closed",
    "Conversation",
    "Event",
    "Finding",
    "GenerationComplete",
    "GoAway",
    "Grounding",
    "Interrupted",
    "LivewsError",
    "LocalProtocolError",
    "Lost",
    "Media",
    "NoCredentials",
    "Part",
    "Ready",
    "Refused",
    "RemoteProtocolError",
    "Resumable",
    "Session",
    "Status",
    "Step",
    "Text",
    "Tool",
    "ToolCall",
    "ToolCancelled",
    "ToolRun",
    "TraceFailed",
    "Transcript",
    "TurnEnd",
    "Unreachable",
    "Usage",
    "__version__",
    "check",
    "connect",
    "explain",
    "tool",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'livews' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
