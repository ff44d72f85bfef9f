"""A loudspeaker: one stream, opened once and kept running, fed from a playback buffer.

- The sound thread calls `PlaybackBuffer.fill` and nothing else.
- `start` and `close` block for milliseconds: from asyncio, `await asyncio.to_thread(speaker.start)`. All else
  returns at once and belongs to the event loop's thread.
- Audio may be pushed before the stream is open; it plays when it is.
- A stream has one rate. Audio at another rate waits until what was queued has been heard, then gets its own stream.
- A lost device is reported once and is final: later audio is dropped, nothing raises, `drain` returns at once.
- Without PortAudio, or without a device, the system's own player is used (external_player.py); not when a device was
  named, since the player would use another one.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from livews.audio import external_player
from livews.audio import portaudio as sound
from livews.audio.external_player import PlayerStream
from livews.audio.playback import PlaybackBuffer, PlayedTurn, new_tap
from livews.audio.portaudio import AudioEndpoint, AudioUnavailable, OpenStream
from livews.core.codec import OUTPUT_RATE

BLOCK_SECONDS = 0.020
DRAIN_GRACE = 2.0  # seconds a drain may last beyond what is queued


class NothingPlays(AudioUnavailable):
    """Neither PortAudio nor an external player can play.

    The exception itself is short, for people who want to talk; `full` has the reasons of PortAudio and of every
    player, and how to get PortAudio to work.
    """

    def __init__(self, portaudio: AudioUnavailable, players: external_player.NoPlayer) -> None:
        either = f"{', '.join(players.tried)} cannot play either" if players.tried else players.why
        fix = players.fix if players.tried else portaudio.fix
        super().__init__(portaudio.what, f"{portaudio.why}, and {either}", f"{fix}; `livews doctor` tells more")
        self.full = AudioUnavailable(portaudio.what, f"{portaudio.why}; {players.why}", portaudio.fix)


class Speaker(AudioEndpoint):
    """Plays s16le mono.

    device: None, an index or a part of a name (see `portaudio.OUTPUT.device`).
    latency: requested from the device, in seconds.
    prebuffer: see `PlaybackBuffer`.
    on_lost: called once with the reason when the device is lost, in PortAudio's thread: use
        `loop.call_soon_threadsafe` in it.
    listened: whether `played()` returns what the device was given.
    """

    side = sound.OUTPUT

    def __init__(
        self,
        device: int | str | None = None,
        *,
        latency: float = 0.060,
        prebuffer: float | None = None,
        on_lost: Callable[[AudioUnavailable], None] = lambda why: None,
        listened: bool = False,
    ) -> None:
        super().__init__(device, latency, on_lost)
        self.through = ""
        """What plays: "PortAudio: NAME" or the name of an external player; "" before the start."""
        self.fallback = ""
        """With an external player: a line that says so and why, for people."""
        self._prebuffer = prebuffer
        self._tap = new_tap() if listened else None
        # The first is played, the last is filled; there are two only at a change of rate.
        self._buffers = deque([self._buffer(OUTPUT_RATE)])
        self._change: asyncio.Task[None] | None = None
        self._started = False

    def _start(self) -> None:
        """Raises `NothingPlays` when all was tried."""
        self._started = True
        self._reopen()

    def play(self, pcm: bytes, rate: int = OUTPUT_RATE) -> PlayedTurn | None:
        """Queue audio of the present turn, in pieces of any size. Returns the turn, None when nothing can be played."""
        if self.lost or self._closed:
            return None
        if rate != self._buffers[-1].rate:
            self._buffers[-1].end()
            self._buffers.append(self._buffer(rate))
            if self._change is None or self._change.done():
                self._change = asyncio.get_running_loop().create_task(self._change_rate())
        return self._buffers[-1].push(pcm)

    def turn_ended(self) -> None:
        """No more audio of this turn will come."""
        self._buffers[-1].end()

    def flush(self) -> float:
        """Drop all that is queued; returns how many ms of the newest turn were heard. The device plays what it holds."""
        return [buffer.flush() for buffer in self._buffers][-1]

    @property
    def idle(self) -> bool:
        """Whether all has been heard."""
        return all(buffer.idle and not buffer.remaining for buffer in self._buffers)

    @property
    def buffer(self) -> PlaybackBuffer:
        """The buffer that is filled at present: for counts and positions."""
        return self._buffers[-1]

    def played(self) -> list[tuple[bytes, int, float]]:
        """The blocks given to the device since the last call, silence too: (s16le mono, Hz, when its first sample is
        heard, on `time.monotonic`). Two seconds are kept; nothing without `listened`."""
        tap = self._tap
        return [tap.popleft() for _ in range(len(tap))] if tap else []

    async def drain(self) -> bool:
        """Wait until all has been heard, at most its duration and two seconds. False: not all was, or the device hangs."""
        return await self._heard_out(*self._buffers)

    def _close(self) -> None:
        """Drop what is queued, let the device play what it holds, close."""
        if self._closed:
            return
        self._closed = True
        playing = self._buffers[0]
        if not self.idle:
            self.flush()
        if self._stream is not None and self.lost is None and playing.turns:
            # Closing cuts off what the device holds: feed it silence until the last sample is out.
            time.sleep(playing.remaining + 2 * BLOCK_SECONDS)
        self._close_stream()

    def _buffer(self, rate: int) -> PlaybackBuffer:
        return PlaybackBuffer(rate, prebuffer=self._prebuffer, latency=self._latency, tap=self._tap)

    async def _heard_out(self, *buffers: PlaybackBuffer) -> bool:
        def left() -> float:
            return sum(buffer.remaining for buffer in buffers)

        deadline = time.monotonic() + left() + DRAIN_GRACE
        while self.lost is None and time.monotonic() < deadline and self._buffers[0].overdue < DRAIN_GRACE:
            wait = left()
            if not wait and all(buffer.idle for buffer in buffers):
                return True
            # Not longer than 0.1 s: a flush may make it shorter.
            await asyncio.sleep(min(max(wait, BLOCK_SECONDS), 0.1))
        return False

    async def _change_rate(self) -> None:
        while len(self._buffers) > 1 and not self._closed and self.lost is None:
            await self._heard_out(self._buffers[0])
            await asyncio.sleep(2 * BLOCK_SECONDS)
            self._buffers.popleft()
            try:
                await asyncio.to_thread(self._locked, self._reopen)
            except AudioUnavailable as error:
                self._lose(error)

    def _reopen(self) -> None:
        if self._started and not self._closed:
            self._close_stream()
            buffer = self._buffers[0]
            self._stream = self._open(buffer)
            buffer.latency = self._stream.latency

    def _open(self, buffer: PlaybackBuffer) -> OpenStream:
        try:
            device = self.side.device(self._device)
        except AudioUnavailable as problem:
            if self._device is not None:
                raise
            try:
                stream = external_player.open_player(
                    rate=buffer.rate, fill=buffer.fill, finished=self._finished(), latency=self._latency
                )
            except external_player.NoPlayer as silent:
                raise NothingPlays(problem, silent) from None
            self.through = stream.name
            self.fallback = f"{stream.name} plays the voice, without PortAudio: {problem.why}. {problem.fix}"
            return stream
        opened = self._open_device(device, buffer.rate, BLOCK_SECONDS, buffer.fill)
        self.through, self.fallback = f"PortAudio: {device.name}", ""
        return opened

    def _end(self) -> AudioUnavailable:
        if isinstance(self._stream, PlayerStream):
            why = f"{self._stream.name} ended: {self._stream.why}"
            return AudioUnavailable("no more sound", why, "Start again")
        return super()._end()
