"""What a client has sent and may have to send again on another connection.

- The service does not acknowledge what it received. A prompt counts as answered with generationComplete, the user's
  audio as received with its transcript, a result of a function with what the model says next.
- Kept is the payload of each frame, bounded: audio by its seconds, the rest by number.
- Pictures and messages of the caller's own (`send_raw`) are not kept.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass

from livews.core import codec
from livews.core.conversation import Step

_MOST = 200
"""Messages of each kind that are kept; of more the newest."""
_QUIET = 300
"""Peak of samples that are no speech."""
_LEAD = 0.3
"""Seconds of audio before the first sound that are sent with it."""
_IN_FLIGHT = 2.0
"""Seconds in which audio may still have been on its way when the model began to answer."""
_OUTPUT = {"modelTurn", "outputTranscription", "toolCall"}
_VOICE = {"audioIn", "activityStart", "activityEnd", "audioStreamEnd"}


@dataclass(slots=True)
class Sent:
    """A message that was sent: its payload, its number since the setup, its time, and the seconds of audio in it."""

    raw: bytes
    number: int
    at: float
    seconds: float = 0.0
    is_loud: bool = False
    is_begun: bool = False
    """The model has begun to answer since."""
    is_heard: bool = False
    """A transcript of it, or of what came after it, has arrived."""


class Delivery:
    """Follows what is sent and received on the connections of a session.

    Args:
        audio_seconds: seconds of audio that are kept.
    """

    def __init__(self, audio_seconds: float) -> None:
        self._most_seconds = audio_seconds
        self._prompts: deque[Sent] = deque(maxlen=_MOST)
        self._results: deque[Sent] = deque(maxlen=_MOST)
        self._voice: deque[Sent] = deque()
        self._voice_seconds = 0.0
        self._number = 0
        self._consumed: int | None = None
        """Number of the last message that the service has taken, where it says so."""

    @property
    def is_awaiting(self) -> bool:
        """A prompt was sent and is not answered."""
        return bool(self._prompts)

    def opened(self) -> None:
        """A connection was set up: messages are counted from here."""
        self._number, self._consumed = 0, None

    def sent(self, step: Step, now: float) -> None:
        """Take a message that is being sent."""
        self._number += 1
        signals = set(step.signals)
        item = Sent(step.raw, self._number, now)
        if signals & _VOICE:
            item.seconds = sum(
                len(pcm) / 2 / max(1, codec.rate_of(mime, codec.INPUT_RATE)) for mime, pcm in step.audio
            )
            item.is_loud = not step.audio or any(_is_loud(pcm) for _, pcm in step.audio)
            self._voice.append(item)
            self._voice_seconds += item.seconds
            while self._voice_seconds > self._most_seconds or len(self._voice) > 100 * _MOST:
                self._voice_seconds -= self._voice.popleft().seconds
        elif "prompt" in signals:
            self._prompts.append(item)
        elif "toolResponse" in signals:
            self._results.append(item)

    def received(self, step: Step, now: float) -> None:
        """Take a message of the service."""
        signals = step.signals
        if "sessionResumptionUpdate" in signals:
            update = step.body.get("sessionResumptionUpdate")
            index = codec.whole(update.get("lastConsumedClientMessageIndex")) if isinstance(update, dict) else None
            self._consumed = self._consumed if index is None else index
        if "inputTranscription" in signals:
            for item in self._voice:
                item.is_heard = True
        if not _OUTPUT.isdisjoint(signals):
            self._results.clear()
            for item in (*self._prompts, *self._voice):
                item.is_begun = item.is_begun or item.seconds == 0 or now - item.at > _IN_FLIGHT
        if not {"generationComplete", "interrupted", "turnEnd"}.isdisjoint(signals):
            self._answered()

    def _answered(self) -> None:
        self._prompts = deque((item for item in self._prompts if not item.is_begun), _MOST)
        self._voice = deque(item for item in self._voice if not item.is_begun)
        self._voice_seconds = sum(item.seconds for item in self._voice)

    def forget_last(self) -> None:
        """Do not send again what was sent last: the service refused it."""
        for kept in (self._prompts, self._results, self._voice):
            if kept and kept[-1].number == self._number:
                kept.pop()

    def forget(self) -> None:
        """Send nothing again."""
        for kept in (self._prompts, self._results, self._voice):
            kept.clear()
        self._voice_seconds = 0.0

    def keeps(self, raw: bytes) -> bool:
        """Whether this message is kept."""
        return any(item.raw is raw for kept in (self._prompts, self._results, self._voice) for item in reversed(kept))

    def sent_again(self, item: Sent, now: float) -> None:
        """A message that is kept was sent once more."""
        self._number += 1
        item.number, item.at, item.is_begun, item.is_heard = self._number, now, False, False

    def at_once(self, *, resumed: bool) -> list[Sent]:
        """What to send first on a new connection: what the service has not received, or may not have."""
        if self._consumed is not None and resumed:
            later = [item for item in (*self._results, *self._prompts, *self._voice) if item.number > self._consumed]
            return sorted(later, key=lambda item: item.number)
        voice = [item for item in self._voice if not (resumed and item.is_heard)]
        results = list(self._results) if resumed else []
        prompts = [] if resumed else list(self._prompts)
        return [*results, *prompts, *_from_first_sound(voice)]

    def if_silent(self) -> list[Sent]:
        """What to send on a resumed connection on which the service does not go on by itself."""
        consumed = self._consumed
        prompts = [item for item in self._prompts if consumed is None or item.number <= consumed]
        heard = list(self._voice) if any(item.is_heard for item in self._voice) else []
        return [*prompts, *_from_first_sound(heard)]


class Backlog:
    """The user's audio that cannot be sent now: bounded, the newest counts.

    Args:
        seconds: how much is kept.
    """

    def __init__(self, seconds: float) -> None:
        self._most = seconds
        self._frames: deque[tuple[bytes, float]] = deque()
        self._seconds = 0.0
        self.dropped = 0.0
        """Seconds that were dropped."""

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, raw: bytes, seconds: float) -> None:
        """Keep a frame of so many seconds; the oldest are dropped where there are too many."""
        self._frames.append((raw, seconds))
        self._seconds += seconds
        while self._frames and self._seconds > self._most:
            _, oldest = self._frames.popleft()
            self._seconds -= oldest
            self.dropped += oldest

    def take(self) -> bytes:
        """The oldest frame. Raises IndexError."""
        raw, seconds = self._frames.popleft()
        self._seconds -= seconds
        return raw


def _is_loud(pcm: bytes) -> bool:
    samples = array("h", pcm[: len(pcm) // 2 * 2])
    return bool(samples) and (max(samples) > _QUIET or min(samples) < -_QUIET)


def _from_first_sound(voice: list[Sent]) -> list[Sent]:
    """Audio from a little before its first sound; nothing where there is none. Activity markers count as sound."""
    first = next((i for i, item in enumerate(voice) if item.is_loud), len(voice))
    lead = 0.0
    while 0 < first < len(voice) and lead < _LEAD:
        first -= 1
        lead += voice[first].seconds
    return voice[first:]
