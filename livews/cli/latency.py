"""Latency of replies as the user hears it, and how much of each was heard.

- Times are seconds of `time.monotonic`; results count from the end of what the user said.
- The user's turn ends when a text is sent, an activity ends, or the voice falls silent, whichever was last.
- First sound and first played count from the first sample that is not silence: a service that begins with silence is
  not quick.
- What was heard is what the loudspeaker's clock says, not what was received or queued.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from livews.analysis.percentile import percentile
from livews.analysis.turn import Turn
from livews.audio.analysis.pcm import ms_of, seconds_of

if TYPE_CHECKING:
    from livews.audio.playback import PlaybackBuffer, PlayedTurn

LATENCIES = ("firstByte", "firstSound", "firstPlayed")


@dataclass(slots=True)
class ReplyLatency(Turn):
    """One reply of the model, from its first frame to the end of its last turn, and how it is played."""

    interrupted: bool = False
    heard_at_interruption: float | None = None
    """Seconds that had left the loudspeaker when `interrupted` came."""
    _turns: list[tuple[PlaybackBuffer, PlayedTurn]] = field(default_factory=list)

    def add_audio(
        self, pcm: bytes, rate: int, t: float, queued: tuple[PlaybackBuffer, PlayedTurn] | None = None
    ) -> None:
        """A chunk arrived at `t`; `queued` is where it waits to be played, None if nothing plays."""
        Turn.add_audio(self, pcm, rate, t)  # super() does not work in a dataclass with slots
        if queued is not None and not any(turn is queued[1] for _, turn in self._turns):
            self._turns.append(queued)

    @property
    def first_played_at(self) -> float | None:
        """When the first sample that is not silence left the loudspeaker; None if it has not."""
        if self.first_sound_at is None:
            return None
        lead = self.lead
        for buffer, turn in self._turns:
            length = seconds_of(turn.received, buffer.rate)
            if lead < length:
                return None if turn.heard_from is None else turn.heard_from + lead
            lead -= length
        return None

    @property
    def queued(self) -> bool:
        """Whether some of it still waits to be played."""
        return any(turn.queued and not turn.cut for _, turn in self._turns)

    def after(self, at: float | None) -> float | None:
        """Seconds from the end of the user's turn to `at`, rounded to milliseconds."""
        return None if at is None or self.requested_at is None else round(max(0.0, at - self.requested_at), 3)

    def latency(self) -> dict[str, float | None]:
        """Seconds from the end of the user's turn; None for what did not happen."""
        times = zip(LATENCIES, (self.first_byte_at, self.first_sound_at, self.first_played_at), strict=True)
        return {name: self.after(at) for name, at in times}

    def playback(self) -> dict[str, float | int | bool]:
        """What the loudspeaker played, times in milliseconds; {} if nothing was played."""
        if not self._turns:
            return {}
        result: dict[str, float | int | bool] = {
            "receivedMs": round(1000 * self.received, 1),
            "heardMs": round(sum(buffer.heard_ms(turn) for buffer, turn in self._turns), 1),
            "interrupted": self.interrupted,
            "underruns": sum(turn.underruns for _, turn in self._turns),
            "underrunMs": round(sum(ms_of(turn.underrun, buffer.rate) for buffer, turn in self._turns), 1),
            "late": sum(turn.late for _, turn in self._turns),
        }
        if self.heard_at_interruption is not None:
            result["heardAtInterruptionMs"] = round(1000 * self.heard_at_interruption, 1)
        if dropped := sum(ms_of(turn.dropped, buffer.rate) for buffer, turn in self._turns):
            result["droppedMs"] = round(dropped, 1)
        return result


class Stopwatch:
    """Measures the replies of a session."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.reply: ReplyLatency | None = None
        """The reply that is being received."""
        self._requested_at: float | None = None
        self._latencies: dict[str, list[float]] = {name: [] for name in LATENCIES}

    def requested(self, at: float | None = None) -> None:
        """The user's turn ended at `at` (default: now)."""
        at = self.clock() if at is None else at
        self._requested_at = at if self._requested_at is None else max(at, self._requested_at)

    def received(self) -> ReplyLatency:
        """Something of a reply arrived; the reply it belongs to."""
        if self.reply is None:
            requested, self._requested_at = self._requested_at, None
            self.reply = ReplyLatency(requested, self.clock())
        return self.reply

    def end_reply(self) -> ReplyLatency | None:
        """The reply is complete; None if there was none."""
        reply, self.reply = self.reply, None
        return reply

    def count(self, reply: ReplyLatency) -> None:
        """Add a reply that was played to the summary."""
        for name, seconds in reply.latency().items():
            if seconds is not None:
                self._latencies[name].append(seconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """p50 and p95 in seconds of each latency, and the number of replies; nothing for what never happened."""
        return {
            name: {"p50": percentile(values, 50), "p95": percentile(values, 95), "replies": len(values)}
            for name, values in self._latencies.items()
            if values
        }
