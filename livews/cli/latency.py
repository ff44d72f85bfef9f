"""How long a reply takes, as the ear has it, and how much of it was heard.

- All times are seconds on `time.monotonic`; what is told is seconds since the user was done.
- The user is done when a text is sent, an activity is ended, or the voice falls silent: whichever was last.
- `first_sound` and `first_played` count from the first sample that is not silence: a service that begins with
  silence is not quick.
- What was heard is what the loudspeaker's own clock says, not what was received or queued.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from livews.analysis.percentile import percentile
from livews.analysis.turn import Turn
from livews.audio.analysis.pcm import seconds_of

if TYPE_CHECKING:
    from livews.audio.playback import PlaybackBuffer
    from livews.audio.turn_meter import PlayedTurn


@dataclass(slots=True)
class ReplyLatency(Turn):
    """One answer of the model, from its first frame to the end of its last turn, and how it is played."""

    interrupted: bool = False
    heard_at_interruption: float | None = None
    """Seconds that had left the loudspeaker when `interrupted` came."""
    _played: list[tuple[PlaybackBuffer, PlayedTurn]] = field(default_factory=list)

    def sound(self, pcm: bytes, rate: int, at: float, played: tuple[PlaybackBuffer, PlayedTurn] | None) -> None:
        """A chunk of it arrived; `played`: where it was queued, None if it is not played."""
        self.add_audio(pcm, rate, at)
        if played is not None and not any(turn is played[1] for _, turn in self._played):
            self._played.append(played)

    @property
    def first_played_at(self) -> float | None:
        """When the first sample that is not silence left the loudspeaker; None: it has not."""
        if self.first_sound_at is None:
            return None
        lead = self.lead
        for buffer, turn in self._played:
            mine = seconds_of(turn.received, buffer.rate)
            if lead < mine:
                return None if turn.heard_from is None else turn.heard_from + lead
            lead -= mine
        return None

    @property
    def queued(self) -> bool:
        """Some of it still waits to be played."""
        return any(turn.queued and not turn.cut for _, turn in self._played)

    def after(self, at: float | None) -> float | None:
        return None if at is None or self.asked_at is None else max(0.0, at - self.asked_at)

    def latency(self) -> dict[str, float | None]:
        """Seconds from the end of what the user said, rounded to milliseconds; None for what did not happen."""
        times = {
            "firstByte": self.first_byte_at,
            "firstSound": self.first_sound_at,
            "firstPlayed": self.first_played_at,
        }
        after = {name: self.after(at) for name, at in times.items()}
        return {name: None if seconds is None else round(seconds, 3) for name, seconds in after.items()}

    def heard(self) -> dict[str, float | int | bool]:
        """What the loudspeaker made of it, in milliseconds unless it counts; {} where nothing was played."""
        if not self._played:
            return {}
        reports = [buffer.report(turn) for buffer, turn in self._played]
        told: dict[str, float | int | bool] = {
            "receivedMs": round(1000 * self.received, 1),
            "heardMs": round(sum(report.heard_ms for report in reports), 1),
            "interrupted": self.interrupted,
            "underruns": sum(report.underruns for report in reports),
            "underrunMs": round(sum(report.underrun_ms for report in reports), 1),
            "late": sum(report.late for report in reports),
        }
        if self.heard_at_interruption is not None:
            told["heardAtInterruptionMs"] = round(1000 * self.heard_at_interruption, 1)
        if dropped := sum(report.dropped_ms for report in reports):
            told["droppedMs"] = round(dropped, 1)
        return told


class Stopwatch:
    """Follows who is done when, and keeps the latencies of a session."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.reply: ReplyLatency | None = None
        """The one that is being received."""
        self._asked_at: float | None = None
        self._told: dict[str, list[float]] = {"firstByte": [], "firstSound": [], "firstPlayed": []}

    def asked(self, at: float | None = None) -> None:
        """The user was done at `at`."""
        at = self.clock() if at is None else at
        self._asked_at = at if self._asked_at is None else max(at, self._asked_at)

    def arrived(self) -> ReplyLatency:
        """Something of a reply came: the reply it belongs to."""
        if self.reply is None:
            asked, self._asked_at = self._asked_at, None
            self.reply = ReplyLatency(asked, self.clock())
        return self.reply

    def ended(self) -> ReplyLatency | None:
        """The reply is complete; None when there was none."""
        reply, self.reply = self.reply, None
        return reply

    def count(self, reply: ReplyLatency) -> None:
        """Take a reply, when all of it was played, into the summary."""
        for name, seconds in reply.latency().items():
            if seconds is not None:
                self._told[name].append(seconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """p50 and p95 of each latency, in seconds, and of how many replies; nothing for what never happened."""
        return {
            name: {"p50": percentile(told, 50), "p95": percentile(told, 95), "replies": len(told)}
            for name, told in self._told.items()
            if told
        }
