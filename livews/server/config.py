"""Settings of the stand-in.

- The defaults are the service's own values, except where the service would leave a client without an answer: see
  protocol/README.md, "What the stand-in leaves out".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livews.errors import LivewsError
from livews.recorder import Recorder
from livews.server.faults import Fault
from livews.server.script import Script


@dataclass
class StandInConfig:
    """How a stand-in behaves."""

    pace: float = 1.0
    """Factor for short waits, such as the time between two audio chunks: 1 as the service, 0 no waiting."""
    time_scale: float = 1.0
    """Divisor for long times (lifetime of a connection or a handle, idle timeout): 60 makes ten minutes ten seconds."""
    require_key: str = ""
    """The only key accepted; others are refused as the service does it, after setup. Empty: any key, or none."""
    origins: Sequence[str] = ()
    """Origins of web pages that may connect, besides those of this machine; `*` for any."""
    as_of: str = ""
    """A day or month such as "2026-03": refuse what the service refused then. Empty: the revision of protocol/."""
    lenient: bool = False
    """Refuse only what no model takes (findings of level error): a retired model, and what one model or surface refuses, is
    served. audioStreamEnd ends speech on every model."""
    wire: Mapping[str, Any] = field(default_factory=dict)
    """Members of the model profile's `wire` to override."""
    faults: Sequence[Fault] = ()
    """Faults to inject into every session."""
    voice: str = "tones"
    """What speaks: "tones" or "espeak-ng"."""
    heard: Sequence[str] = ()
    """Transcripts of a client's spoken turns, in order: the stand-in does not recognise speech."""
    reply: str = "words"
    """"words" repeats the user's words, "echo" also plays a spoken turn back."""
    calls: str = "auto"
    """When to call a declared function: "auto" when a prompt names it, "always" (the first one), "never"."""
    sessions_per_key: int = 0
    """Open sessions allowed per credential; one more closes with 1011. 0: no limit."""
    go_away: float = 0.0
    """Seconds from setupComplete to goAway; 0: as the model's profile says."""
    seed: str = ""
    """Seed of all ids: the same seed gives the same ids."""
    scripts: Sequence[Script] = ()
    """Scenarios and recorded sessions to play, one per connection, repeated in turn; () to answer freely."""
    fast: bool = False
    """Replay recorded sessions without their timing."""
    patience: float = 30.0
    """Seconds a script waits for a message of the client."""
    record: Callable[[int, str, str], Recorder] | None = None
    """Makes a session's recorder from its number, its URL and the credential to redact."""
    session_ended: Callable[[], None] = field(default=lambda: None)
    """Called after each session."""
    fail: Callable[[LivewsError], None] = field(default=lambda problem: None)
    """Called with an error after which going on is pointless, such as a recorder that cannot write."""
    log: Callable[[str], None] = field(default=lambda line: None)
    """Called with each line of the log."""
