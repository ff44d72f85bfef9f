"""A WAV file that speaks as if into a microphone: the same interface, the same pace.

- Chunks come in real time, each when its last sample would have been captured. Each is due from the first one's time,
  so nothing adds up; a reader who was slow gets what is overdue at once, and nothing is ever dropped.
- Time begins when `chunks` is first asked, not at `start`: no speech is lost on a session that is not there yet.
- While muted time goes on: what the file says then is not heard.
- After the file come `silence` seconds of zeros, for the other side to hear that it is over; then `chunks` ends.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator

from livews.audio.analysis.levels import last_sound
from livews.audio.analysis.pcm import SAMPLE_BYTES, seconds_of
from livews.audio.microphone import CHUNK_MS, AudioChunk, AudioChunker, checked_chunk_ms
from livews.audio.portaudio import AudioUnavailable
from livews.audio.resample import resampler
from livews.audio.wav import WavReader
from livews.core.codec import INPUT_RATE


class FileSource:
    """Speaks the WAV file at `path` (see `WavReader` for its kinds), then `silence` seconds of nothing.

    Sound at another rate than `rate` is converted (extra `resample`) or, without soxr, delivered at its own: read
    `rate` after `start`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: int = INPUT_RATE,
        chunk_ms: int = CHUNK_MS,
        silence: float = 2.0,
    ) -> None:
        self.rate = rate
        """Of what is delivered, in Hz; final when `start` has returned."""
        self.muted = False
        self.heard = False
        """A sample was not 0."""
        self.dropped_ms = 0.0
        self.lost: AudioUnavailable | None = None
        self.speech_ends_at: float | None = None
        """The time.monotonic() at which the last sample that is no silence (`last_sound`) was captured, of those that
        were delivered up to now; None before the first."""
        self._path = path
        self._chunk_ms = checked_chunk_ms(chunk_ms)
        self._silence = silence
        self._reader: WavReader | None = None
        self._chunks: Iterator[AudioChunk] = iter(())
        self._began: float | None = None
        self._closed = False

    def start(self) -> None:
        """Open the file. Raises `BadRequest` when it cannot be read or is not a WAV of a known kind."""
        if self._reader is not None or self._closed:
            return
        self._reader = WavReader(self._path)
        if resampler(self._reader.rate, self.rate) is None:
            self.rate = self._reader.rate
        self._chunks = self._cut(self._reader)

    @property
    def seconds(self) -> float:
        """How long the file is, without the silence behind it; 0 before `start`."""
        return self._reader.seconds if self._reader else 0.0

    async def chunks(self) -> AsyncIterator[AudioChunk]:
        """The file and the silence, once. Raises `BadRequest` when the file cannot be read any more."""
        if self._began is None:
            self._began = time.monotonic()
        while not self._closed and (piece := next(self._chunks, None)) is not None:
            chunk = AudioChunk(piece.pcm, self._began + piece.at)
            await asyncio.sleep(max(0.0, chunk.at - time.monotonic()))
            if self._closed:
                return
            if self.muted:
                continue
            last = last_sound(chunk.pcm)
            if last is not None:
                behind = seconds_of(len(chunk.pcm) - SAMPLE_BYTES * (last + 1), self.rate)
                self.speech_ends_at = chunk.at - behind
            self.heard = self.heard or any(chunk.pcm)
            yield chunk

    def close(self) -> None:
        """`chunks` ends with the next one."""
        self._closed = True
        if self._reader is not None:
            self._reader.close()

    def _cut(self, reader: WavReader) -> Iterator[AudioChunk]:
        """All there is, with times from 0."""
        cutter = AudioChunker(self.rate, self._chunk_ms, resampler(reader.rate, self.rate))
        frames = reader.rate * self._chunk_ms // 1000
        size = 0
        for pcm in _followed_by_silence(reader, frames, round(self._silence * reader.rate)):
            size += len(pcm)
            yield from cutter.push(pcm, seconds_of(size, reader.rate))
        yield from cutter.end(seconds_of(size, reader.rate))


def _followed_by_silence(reader: WavReader, frames: int, silent: int) -> Iterator[bytes]:
    while pcm := reader.read(frames):
        yield pcm
    while silent > 0:
        yield bytes(SAMPLE_BYTES * min(frames, silent))
        silent -= frames
