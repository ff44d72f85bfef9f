"""A microphone: one stream, opened once and kept running, read as chunks of equal length.

- The sound thread copies a block, adds its time and wakes the reader: it does not convert, wait or log.
- `start` and `close` block for milliseconds: from asyncio, `await asyncio.to_thread(microphone.start)`. All else
  returns at once and belongs to the event loop's thread. `chunks` has one reader at a time.
- A slow reader delays nothing: the newest audio is kept, what is older than `HOLD` is dropped and counted.
- Audio captured while muted is never delivered, and nothing from before comes after it.
- A lost device is reported once and is final: what was captured is delivered, then `chunks` ends; nothing raises.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from livews.audio import portaudio as sound
from livews.audio.analysis.pcm import SAMPLE_BYTES, mono, seconds_of
from livews.audio.portaudio import AudioEndpoint, AudioUnavailable, RateRefused
from livews.audio.resample import Resampler, resampler
from livews.core.codec import INPUT_RATE

CHUNK_MS = 40
HOLD = 5.0  # seconds of audio that are kept for a slow reader
LATENCY = 0.060  # seconds, requested from the device
STALLED = 5.0  # seconds without a block: a running device gives at least silence; the slowest first block took 2


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of captured audio."""

    pcm: bytes  # s16le mono
    at: float  # time.monotonic() when its last sample was captured


class AudioChunker:
    """Turns audio in pieces of any size into chunks of `CHUNK_MS` at `rate` Hz, by `resampler` where there is one."""

    def __init__(self, rate: int, resampler: Resampler | None) -> None:
        self._rate = rate
        self._size = rate * CHUNK_MS // 1000 * SAMPLE_BYTES
        self._resampler = resampler
        self._rest = bytearray()

    def push(self, pcm: bytes, at: float) -> list[AudioChunk]:
        """The chunks that are complete now. `at`: when the last sample of `pcm` was captured."""
        if self._resampler is not None:
            pcm = self._resampler.push(pcm)
            at -= self._resampler.delay
        return self._full(pcm, at)

    def end(self, at: float) -> list[AudioChunk]:
        """The remaining chunks, the last of which may be shorter. Nothing can be pushed afterwards."""
        chunks = self._full(self._resampler.end() if self._resampler is not None else b"", at)
        return [*chunks, AudioChunk(bytes(self._rest), at)] if self._rest else chunks

    def _full(self, pcm: bytes, at: float) -> list[AudioChunk]:
        rest, size = self._rest, self._size
        rest += pcm
        chunks = []
        while len(rest) >= size:
            chunk = bytes(rest[:size])
            del rest[:size]
            chunks.append(AudioChunk(chunk, at - seconds_of(len(rest), self._rate)))
        return chunks


class _BlockQueue:
    """Blocks on their way from the sound thread, which puts them, to the reader, which takes chunks."""

    def __init__(self, channels: int, chunker: AudioChunker) -> None:
        self._blocks: deque[tuple[bytes, float]] = deque()
        self._most = int(1000 * HOLD / CHUNK_MS)
        self._channels = channels
        self._chunker = chunker

    def put(self, pcm: bytes, at: float) -> int:
        """Add a block; how many were dropped for it. Each block is taken here or by the reader, so the count is exact."""
        self._blocks.append((pcm, at))
        if len(self._blocks) <= self._most:
            return 0
        try:
            self._blocks.popleft()
        except IndexError:  # the reader has just taken all
            return 0
        return 1

    def take(self) -> list[AudioChunk] | None:
        """The chunks that the oldest block completes, perhaps none; None when there is no block."""
        try:
            pcm, at = self._blocks.popleft()
        except IndexError:
            return None
        return self._chunker.push(mono(pcm, self._channels), at)


class Microphone(AudioEndpoint):
    """Records s16le mono.

    device: None, an index or a part of a name (see `portaudio.INPUT.device`). One that refuses 16 kHz is opened at its
    own rate, and converted (extra `resample`) or, without soxr, delivered as it is.
    """

    side = sound.INPUT

    def __init__(self, device: int | str | None = None) -> None:
        super().__init__(device, LATENCY)
        self.rate = INPUT_RATE
        """Hz of the chunks; final when `start` has returned. Send it to the service."""
        self.heard = False
        """Whether any sample was not 0. A microphone that the system refuses, or that is switched off, gives only zeros:
        see `portaudio.unmute_fix`."""
        self._renewing = threading.Lock()  # held for microseconds, and never by the sound thread
        self._own_rate = self.rate  # of the device
        self._channels = 1
        self._queue: _BlockQueue | None = None  # None: what is captured is not wanted. Replaced as a whole
        self._muted = False
        self.dropped_ms = 0.0
        """Milliseconds of audio that a slow reader has missed; written by the sound thread."""
        self._called = 0.0  # when the last block came
        self._wake: Callable[[], object] = lambda: None

    def _start(self) -> None:
        if self._closed or self._stream is not None:
            return
        self._called = time.monotonic()
        device = self.side.device(self._device)
        try:
            stream = self._open_device(device, self.rate, CHUNK_MS / 1000, self._take)
        except RateRefused:
            if device.rate == self.rate:
                raise
            stream = self._open_device(device, device.rate, CHUNK_MS / 1000, self._take)
            self._own_rate = device.rate
            if resampler(device.rate, self.rate) is None:
                self.rate = device.rate
        self._stream, self._channels = stream, stream.channels
        self._renew_queue()

    @property
    def muted(self) -> bool:
        return self._muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        if muted != self._muted:
            self._muted = muted
            self._renew_queue()

    async def chunks(self) -> AsyncIterator[AudioChunk]:
        """The captured chunks, from `start` on, until the device is lost or closed."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(woken.set)
            except RuntimeError:  # the loop is closed, and its reader gone
                self._wake = lambda: None

        self._wake = wake
        while True:
            woken.clear()
            # read before the queue: once it is so, no block can follow unseen
            over = self._closed or self.lost is not None
            queue = self._queue
            while queue is not None and queue is self._queue and (chunks := queue.take()) is not None:
                for chunk in chunks:
                    if queue is not self._queue:  # muted while the last one was sent
                        break
                    self.heard = self.heard or any(chunk.pcm)
                    yield chunk
            if over:
                return
            try:
                async with asyncio.timeout(STALLED):
                    await woken.wait()
            except TimeoutError:
                if self._stream is not None and time.monotonic() - self._called > STALLED:
                    why = f"the device has given nothing for {STALLED:g} seconds"
                    self._lose(AudioUnavailable("no more microphone", why, "Reconnect it and start again"))

    def _close(self) -> None:
        """What was captured and not yet read is dropped."""
        self._closed = True
        self._renew_queue()
        self._wake()
        self._close_stream()

    def _lose(self, why: AudioUnavailable) -> None:
        super()._lose(why)
        self._wake()

    def _take(self, pcm: bytes, age: float) -> None:
        """In the sound thread."""
        self._called = now = time.monotonic()
        queue = self._queue
        if queue is not None:
            self.dropped_ms += CHUNK_MS * queue.put(pcm, now - age)
            self._wake()

    def _renew_queue(self) -> None:
        """A block that is being put into the old queue right now is lost with it."""
        with self._renewing:
            self._queue = None
            if self._stream is not None and not self._muted and not self._closed:
                chunker = AudioChunker(self.rate, resampler(self._own_rate, self.rate))
                self._queue = _BlockQueue(self._channels, chunker)
