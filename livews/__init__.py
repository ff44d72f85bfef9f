"""livews: the Gemini Live API (BidiGenerateContent) over one WebSocket, without an SDK.

    async with livews.connect(voice="Puck") as session:
        await session.say("Hello? Gemini, are you there?")
        async for event in session.turn():
            ...

Importing this package loads nothing but this file; each name is loaded when it is first used.
"""

from __future__ import annotations

from livews.version import __version__ as __version__

TYPE_CHECKING = False  # typing would be a tenth of the start-up
if TYPE_CHECKING:
    from typing import Any

    from livews.advice.closes import Advice as Advice
    from livews.advice.closes import explain as explain
    from livews.advice.judge import check as check
    from livews.client import connect as connect
    from livews.conversation import Conversation as Conversation
    from livews.core.conversation import Step as Step
    from livews.core.events import Activity as Activity
    from livews.core.events import Audio as Audio
    from livews.core.events import Event as Event
    from livews.core.events import GenerationComplete as GenerationComplete
    from livews.core.events import GoAway as GoAway
    from livews.core.events import Grounding as Grounding
    from livews.core.events import Interrupted as Interrupted
    from livews.core.events import Media as Media
    from livews.core.events import Part as Part
    from livews.core.events import Ready as Ready
    from livews.core.events import Resumable as Resumable
    from livews.core.events import Status as Status
    from livews.core.events import Text as Text
    from livews.core.events import ToolCall as ToolCall
    from livews.core.events import ToolCancelled as ToolCancelled
    from livews.core.events import Transcript as Transcript
    from livews.core.events import TurnEnd as TurnEnd
    from livews.core.events import Usage as Usage
    from livews.core.findings import Finding as Finding
    from livews.errors import BadRequest as BadRequest
    from livews.errors import Closed as Closed
    from livews.errors import LivewsError as LivewsError
    from livews.errors import LocalProtocolError as LocalProtocolError
    from livews.errors import Lost as Lost
    from livews.errors import NoCredentials as NoCredentials
    from livews.errors import Refused as Refused
    from livews.errors import RemoteProtocolError as RemoteProtocolError
    from livews.errors import TraceFailed as TraceFailed
    from livews.errors import Unreachable as Unreachable
    from livews.session.events import Dropped as Dropped
    from livews.session.events import Reconnecting as Reconnecting
    from livews.session.events import Resumed as Resumed
    from livews.session.events import SessionLimit as SessionLimit
    from livews.session.events import SessionLost as SessionLost
    from livews.session.policy import ReconnectPolicy as ReconnectPolicy
    from livews.session.session import Session as Session
    from livews.tools.function import Tool as Tool
    from livews.tools.function import tool as tool
    from livews.tools.runner import ToolRun as ToolRun
    from livews.usage import SessionUsage as SessionUsage

_HOMES = {
    "livews.client": "connect",
    "livews.session.policy": "ReconnectPolicy",
    "livews.session.session": "Session",
    "livews.advice.closes": "Advice explain",
    "livews.advice.judge": "check",
    "livews.conversation": "Conversation",
    "livews.core.conversation": "Step",
    "livews.core.findings": "Finding",
    "livews.usage": "SessionUsage",
    "livews.errors": (
        "BadRequest Closed LivewsError LocalProtocolError Lost NoCredentials Refused RemoteProtocolError "
        "TraceFailed Unreachable"
    ),
    "livews.core.events": (
        "Activity Audio Event GenerationComplete GoAway Grounding Interrupted Media Part Ready Resumable "
        "Status Text ToolCall ToolCancelled Transcript TurnEnd Usage"
    ),
    "livews.session.events": "Dropped Reconnecting Resumed SessionLimit SessionLost",
    "livews.tools.function": "Tool tool",
    "livews.tools.runner": "ToolRun",
}
"""Module: the public names that it is the home of."""
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted([*_HOME, "__version__"])


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
