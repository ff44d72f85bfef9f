"""A WAV file in place of a microphone: the same interface, in real time.

- A chunk comes when its last sample would have been captured, counted from the first chunk, so delays do not add up; a
  slow reader gets what is overdue at once, and nothing is dropped.
- Time begins with the first use of `chunks`, not at `start`: no speech is lost before there is a session.
- Time goes on while muted: that part of the file is not delivered.
- After the file come `silence` seconds of zeros, so that the other side detects the end of speech.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from itertools import chain

from livews.audio.analysis.levels import last_sound
from livews.audio.analysis.pcm import SAMPLE_BYTES, seconds_of
from livews.audio.microphone import CHUNK_MS, AudioChunk, AudioChunker
from livews.audio.portaudio import AudioUnavailable
from livews.audio.resample import resampler
from livews.audio.wav import WavReader
from livews.core.codec import INPUT_RATE


class FileSource:
    """Delivers a WAV file in chunks, then silence.

    path: the file; see `WavReader` for the kinds it reads.
    silence: seconds of silence after the file.
    """

    def __init__(self, path: str | os.PathLike[str], *, silence: float = 2.0) -> None:
        self.rate = INPUT_RATE
        """Hz of the chunks; final when `start` has returned. Other rates are converted (extra `resample`) or, without
        soxr, delivered as they are."""
        self.muted = False
        self.heard = False
        """Whether any sample was not 0."""
        self.dropped_ms = 0.0
        self.lost: AudioUnavailable | None = None
        self.speech_ends_at: float | None = None
        """The time.monotonic() at which the last delivered sample that is not silence (`last_sound`) was captured; None
        before the first."""
        self._path = path
        self._silence = silence
        self._reader: WavReader | None = None
        self._chunks: Iterator[AudioChunk] = iter(())
        self._began: float | None = None
        self._closed = False

    def start(self) -> None:
        """Open the file. Raises `BadRequest` when it cannot be read or is not a WAV of a supported kind."""
        if self._reader is not None or self._closed:
            return
        self._reader = WavReader(self._path)
        if resampler(self._reader.rate, self.rate) is None:
            self.rate = self._reader.rate
        self._chunks = self._cut(self._reader)

    async def chunks(self) -> AsyncIterator[AudioChunk]:
        """The chunks of the file and of the silence. Raises `BadRequest` when the file can no longer be read."""
        if self._began is None:
            self._began = time.monotonic()
        while not self._closed and (cut := next(self._chunks, None)) is not None:
            chunk = AudioChunk(cut.pcm, self._began + cut.at)
            await asyncio.sleep(max(0.0, chunk.at - time.monotonic()))
            if self._closed:
                return
            if self.muted:
                continue
            last = last_sound(chunk.pcm)
            if last is not None:
                self.speech_ends_at = chunk.at - seconds_of(len(chunk.pcm) - SAMPLE_BYTES * (last + 1), self.rate)
            self.heard = self.heard or any(chunk.pcm)
            yield chunk

    def close(self) -> None:
        """`chunks` ends with the next one."""
        self._closed = True
        if self._reader is not None:
            self._reader.close()

    def _cut(self, reader: WavReader) -> Iterator[AudioChunk]:
        """All chunks, with times from 0."""
        chunker = AudioChunker(self.rate, resampler(reader.rate, self.rate))
        frames = reader.rate * CHUNK_MS // 1000
        silence = bytes(SAMPLE_BYTES * round(self._silence * reader.rate))
        size = 0
        for pcm in chain(iter(lambda: reader.read(frames), b""), [silence]):
            size += len(pcm)
            yield from chunker.push(pcm, seconds_of(size, reader.rate))
        yield from chunker.end(seconds_of(size, reader.rate))
