"""Text to speech for the stand-in's replies: tones, or a speech command of this machine if one is asked for.

- The same words are the same samples on the same machine, and are rendered once for all sessions that want them.
- A command that fails costs its words their speech, not the reply: they become tones. After three failures in a row
  everything does.
- The event loop never waits for a command; at most two run; none outlives its callers, its timeout or the loop.
- What is cached is bounded in bytes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from livews.audio.analysis.pcm import seconds_of
from livews.core.codec import encode_base64
from livews.server import speech_command, synth
from livews.server.speech_command import SpeechCommandFailed

TONES = "tones"
_AT_ONCE = 2
_PATIENCE = 5.0
_FAILURES = 3
_CACHE_BYTES = 16 * 1024 * 1024
_CACHE_TEXTS = 500
"""Most cached texts: texts without sound have few bytes, but there is no end of them."""


@dataclass(eq=False, slots=True)
class SynthesizedSpeech:
    """Speech as s16le mono at 24 kHz. Shared by all who say the same, so never changed."""

    pcm: bytes
    size: int = field(init=False)
    """Bytes of memory, with the chunks made so far."""
    _chunks: dict[int, list[str]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.size = len(self.pcm)

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return seconds_of(len(self.pcm), synth.RATE)

    def chunks(self, ms: int) -> list[str]:
        """The base64 of each `ms` milliseconds, 1 at least; the last chunk may be shorter. Made once for each `ms`."""
        if ms not in self._chunks:
            size = synth.RATE * ms // 1000 * 2
            if size < 2:
                raise ValueError(f"chunks of {ms} ms: 1 ms is the least")
            chunks = [encode_base64(self.pcm[at : at + size]) for at in range(0, len(self.pcm), size)]
            self._chunks[ms] = chunks
            self.size += sum(map(len, chunks))
        return self._chunks[ms]


@dataclass(eq=False, slots=True)
class _Rendering:
    """A rendering under way, and how many wait for it."""

    task: asyncio.Task[SynthesizedSpeech]
    waiting: int = 0


class SpeechSynthesizer:
    """Speaks words. `name` is what speaks now: "tones", or the command.

    - `voice`: "tones", a command by name, or "auto" for the first command this machine has, else tones. ValueError if
      the name is unknown or not on the PATH.
    - `log`: called once when a command is given up.
    - `patience`: seconds a command may take for one text. `cache_bytes`: bytes of speech kept.

    One instance belongs to one event loop.
    """

    def __init__(
        self,
        voice: str = TONES,
        *,
        log: Callable[[str], None] = lambda line: None,
        patience: float = _PATIENCE,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        self.name, self._path = (TONES, "") if voice == TONES else speech_command.find(voice) or (TONES, "")
        self._log, self._patience, self._cache_bytes = log, patience, cache_bytes
        self._cache: OrderedDict[str, SynthesizedSpeech] = OrderedDict()
        """Speech by words, the last used at the end."""
        self._renderings: dict[str, _Rendering] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._failures = 0
        synth.prepare()

    async def synthesize(self, text: str) -> SynthesizedSpeech:
        """The first 200 characters of a text as speech; silent if there is nothing to pronounce."""
        words = speech_command.plain(text)
        speech = self._cache.get(words)
        if speech is None:
            by_command = self.name != TONES and any(map(str.isalnum, words))
            speech = await self._share(words) if by_command else SynthesizedSpeech(synth.render(words))
        self._cache[words] = speech  # also the tones of a failure: it is not tried again with every reply
        self._cache.move_to_end(words)
        # added up each time, since speech grows when its chunks are asked for
        size = sum(cached.size for cached in self._cache.values())
        while size > self._cache_bytes or len(self._cache) > _CACHE_TEXTS:
            size -= self._cache.popitem(last=False)[1].size
        return speech

    async def _share(self, words: str) -> SynthesizedSpeech:
        """The one rendering of these words that is under way. It is cancelled when nothing waits for it any more."""
        rendering = self._renderings.get(words)
        if rendering is None:
            rendering = self._renderings[words] = _Rendering(asyncio.create_task(self._render(words)))
        rendering.waiting += 1
        try:
            return await asyncio.shield(rendering.task)
        finally:
            rendering.waiting -= 1
            if not rendering.waiting:
                rendering.task.cancel()
                del self._renderings[words]

    async def _render(self, words: str) -> SynthesizedSpeech:
        async with self._slots:
            pcm = b"" if self.name == TONES else await self._run_command(words)  # given up meanwhile?
        return SynthesizedSpeech(pcm or synth.render(words))

    async def _run_command(self, words: str) -> bytes:
        """What the command says; nothing if it fails, or finds nothing to say."""
        try:
            pcm = await speech_command.run(self.name, self._path, words, self._patience)
        except (SpeechCommandFailed, OSError) as failure:
            self._failures += 1
            if self._failures >= _FAILURES and self.name != TONES:
                self._log(f"{self.name} failed {_FAILURES} times in a row, tones from now on: {failure}")
                self.name = TONES
            return b""
        self._failures = 0
        return pcm
