"""The events that an application has not read yet: bounded, the newest speech counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from livews.core.events import Audio, Event
from livews.session.events import Dropped

_BYTES = 32 * 1024 * 1024
"""Bytes of messages whose events wait; of audio this is about eight minutes."""
_OVERHEAD = 400
"""Bytes that an event takes beside its message."""


class EventQueue:
    """First in, first out. Where too much waits, the oldest audio is dropped, then the oldest of the rest; a `Dropped`
    in its place says how much."""

    def __init__(self, most: int = _BYTES) -> None:
        self._most = most
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._dropped: Dropped | None = None
        """The one that waits at the front."""

    def __len__(self) -> int:
        return len(self._events) + (self._dropped is not None)

    def put(self, event: Event) -> None:
        """Add an event."""
        self._events.append(event)
        self._bytes += _size(event)
        if self._bytes > self._most:
            self._shrink()

    def take(self) -> Event:
        """The oldest. Raises IndexError."""
        if self._dropped is not None:
            dropped, self._dropped = self._dropped, None
            return dropped
        event = self._events.popleft()
        self._bytes -= _size(event)
        return event

    def _shrink(self) -> None:
        """Drop a tenth at once, so that a full queue costs little for each event."""
        goal = self._most * 9 // 10
        kept = self._without(self._events, goal, audio=True)
        self._events = deque(self._without(kept, goal, audio=False))

    def _without(self, events: Iterable[Event], goal: int, *, audio: bool) -> list[Event]:
        kept: list[Event] = []
        for event in events:
            if self._bytes <= goal or (audio and not isinstance(event, Audio)):
                kept.append(event)
                continue
            self._bytes -= _size(event)
            if self._dropped is None:
                self._dropped = Dropped(0.0, 0, step=event.step)
            self._dropped.events += 1
            if isinstance(event, Audio):
                self._dropped.seconds += len(event.pcm) / 2 / event.rate if event.rate else 0.0
        return kept


def _size(event: Event) -> int:
    return len(event.step.raw) + _OVERHEAD
