"""One turn of audio output in numbers: what arrived, what was played, what went wrong.

- Every field has one writer, the event loop or the sound thread, as its comment says. No other lock is needed.
- Data first, count second: a chunk is in `chunks` before `received` counts it.
- A turn outlives its audio: chunks are removed, counts stay.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class PlayedTurn:
    """A turn in the playback queue."""

    # Written by the event loop only.
    first_at: float  # when the first chunk came
    start_after: float  # seconds of start delay, see PlaybackBuffer
    received: int = 0  # bytes accepted
    dropped: int = 0  # bytes refused at the cap
    need: float = 0.0  # the start delay that would just have been enough, seconds
    ended: bool = False  # no more audio will come
    cut: bool = False  # flushed before it was over

    # The event loop appends, the sound thread takes from the left.
    chunks: deque[memoryview] = field(default_factory=deque)

    # Written by the sound thread only.
    played: int = 0  # bytes given to the device
    playing: bool = False  # False before the start and while dry
    started_at: float | None = None
    heard_from: float | None = None  # when its first sample leaves the loudspeaker
    waiting_since: float | None = None  # it ran dry, and audio is there again since
    dry_at: int = 0  # byte position of the output where it ran dry
    risen: int = 0  # samples of the fade in that are done
    underruns: int = 0
    underrun: int = 0  # bytes of silence inside the turn
    late: int = 0  # callbacks that came after the device had run out

    @property
    def queued(self) -> int:
        """Bytes waiting. Counts are published after the data, so it may lag, but is never negative."""
        return max(0, self.received - self.played)


@dataclass(frozen=True, slots=True)
class TurnReport:
    """A turn in numbers, in milliseconds unless they are counts."""

    received_ms: float
    played_ms: float
    """Given to the device; after a cut: what will have been heard in the end."""
    heard_ms: float
    """What had left the loudspeaker when the report was made."""
    start_delay_ms: float | None
    """From the first chunk to the first sample given to the device; None: not started."""
    need_ms: float
    """The start delay that would just have been enough."""
    underruns: int
    underrun_ms: float
    late: int
    dropped_ms: float
    ended: bool
    cut: bool
