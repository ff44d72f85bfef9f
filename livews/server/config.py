"""How a stand-in behaves: what may be set from outside.

- Everything has the service's own value when left alone, but for the few places where the service would leave a client
  in the dark: those are told in protocol/README.md, "What the stand-in does not do".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livews.errors import LivewsError
from livews.recorder import Recorder
from livews.server.faults import Fault
from livews.server.script import Script


@dataclass
class StandInConfig:
    """How this stand-in behaves."""

    pace: float = 1.0
    """Scales the short waits: 1 is the service's, 0 is none."""
    time_scale: float = 1.0
    """Divides the long times (a connection's life, a handle's, idleness): 60 makes ten minutes ten seconds."""
    require_key: str = ""
    """Refuse other keys, as the service does, after setup. Empty: any credential will do, also none."""
    as_of: str = ""
    """A month such as "2026-03": refuse what the service refused then, dead models too. Empty: today, and every
    model livews knows is served."""
    wire: Mapping[str, Any] = field(default_factory=dict)
    """Members of the model profile's `wire` to have otherwise."""
    faults: Sequence[Fault] = ()
    voice: str = "auto"
    """What speaks: "auto", "tones", or the name of a speech command."""
    heard: Sequence[str] = ()
    """The words of a client's spoken turns, one after the other: the stand-in cannot know them otherwise."""
    reply: str = "words"
    """"words" says what was heard, "echo" plays a spoken turn back after that."""
    calls: str = "auto"
    """When a declared function is called: "auto" when a prompt names it, "always" (the first one), "never"."""
    sessions_per_key: int = 0
    """How many sessions one credential may have open; one more closes 1011. 0: any number."""
    go_away: float = 0.0
    """Seconds after setupComplete at which goAway comes; 0: when the profile says."""
    seed: str = ""
    """Ids are made from it: the same seed gives the same ids."""
    scripts: Sequence[Script] = ()
    """Scenarios and recorded sessions to play, one a connection, over and over; () to answer freely."""
    fast: bool = False
    """Recorded sessions are replayed without their timing."""
    patience: float = 30.0
    """Seconds a script waits for what the client has to say."""
    record: Callable[[int, str, str], Recorder] | None = None
    """Makes the recorder of a session from its number, the URL that was dialled and the credential to hide."""
    session_ended: Callable[[], None] = field(default=lambda: None)
    fail: Callable[[LivewsError], None] = field(default=lambda problem: None)
    """Told what makes going on pointless: a recorder that cannot write."""
    log: Callable[[str], None] = field(default=lambda line: None)
