"""One turn of the voice: what arrived, what was played, what went wrong.

- Every field has one writer, the event loop or the sound thread, and the writer is named. That is the
  whole locking scheme.
- Data first, count second: a chunk is in `chunks` before `received` says so.
- A turn outlives its sound: chunks go, counts stay.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


class PlayedTurn:
    __slots__ = (
        "chunks",
        "cut",
        "dropped",
        "dry_at",
        "ended",
        "first_at",
        "heard_from",
        "late",
        "need",
        "played",
        "playing",
        "received",
        "risen",
        "start_after",
        "started_at",
        "underrun",
        "underruns",
        "waiting_since",
    )

    def __init__(self, first_at: float, start_after: float) -> None:
        self.chunks: deque[memoryview] = deque()  # the loop appends, the sound thread takes from the left

        # Written by the event loop only.
        self.first_at = first_at  # when the first chunk came
        self.start_after = start_after  # seconds of start delay, see PlaybackBuffer
        self.received = 0  # bytes accepted
        self.dropped = 0  # bytes refused at the cap
        self.need = 0.0  # the start delay that would just have been enough, seconds
        self.ended = False  # no more audio will come
        self.cut = False  # flushed before it was over

        # Written by the sound thread only.
        self.played = 0  # bytes handed to the device
        self.playing = False  # False before the start and while dry
        self.started_at: float | None = None
        self.heard_from: float | None = None  # when its first sample leaves the loudspeaker
        self.waiting_since: float | None = None  # dry, and audio is there again since
        self.dry_at = 0  # byte position of the output where it ran dry
        self.risen = 0  # samples of the fade in that are done
        self.underruns = 0
        self.underrun = 0  # bytes of silence inside the turn
        self.late = 0  # callbacks that came after the device had run out

    @property
    def queued(self) -> int:
        """Bytes waiting. Counts are published after the data, so it may lag, but is never negative."""
        return max(0, self.received - self.played)


@dataclass(frozen=True, slots=True)
class TurnReport:
    """A turn in numbers, all in milliseconds unless they count.

    `played_ms` is what the device was given, and after a cut what will have been heard in the end;
    `heard_ms` is what had left the loudspeaker when the report was made.
    """

    received_ms: float
    played_ms: float
    heard_ms: float
    start_delay_ms: float | None  # first chunk to first sample given to the device; None: not started
    need_ms: float  # the start delay that would just have been enough
    underruns: int
    underrun_ms: float
    late: int
    dropped_ms: float
    ended: bool
    cut: bool
