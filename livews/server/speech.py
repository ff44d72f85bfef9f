"""Text to speech for the stand-in's replies: tones, or espeak-ng if it is asked for.

- The same words are the same samples on the same machine, and are rendered once for all sessions that want them.
- Words come from the network. espeak-ng reads them on stdin, never as an argument, and no shell is involved. They are
  cut, and nothing in them controls the voice.
- When espeak-ng fails, its words become tones. After three failures in a row everything does.
- The event loop never waits for espeak-ng; one runs at a time, and none outlives its timeout.
"""

import asyncio
import io
import os
import re
import shutil
import subprocess
import wave
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from livews import process
from livews.audio.analysis.pcm import seconds_of
from livews.core.codec import encode_base64
from livews.server import synth

TONES = "tones"
ESPEAK = "espeak-ng"
# It speaks at 22,050 Hz. Its samples are played as they are at 24,000 Hz, 8.8 % faster and higher, and the speed and
# pitch asked for here are that much slower and lower: the pace and pitch it has by itself (175 words a minute, pitch
# 50), from a slightly smaller head, and no resampling, which costs pure Python 80 ms a second. At amplitude 45 its
# peaks stay below half of full scale.
_OPTIONS = ("--stdin", "--stdout", "-v", "en", "-s", "160", "-p", "41", "-a", "45")
_CHARACTERS = 200
"""Characters of a text that are spoken."""
_SECONDS = 30
"""Longest speech: 200 characters can be 200 words of a script that is spelled out."""
# Controls steer espeak (\x01 and a letter set its speed, volume or a pause of minutes), double square brackets hold
# its phonemes, and a lone surrogate has no UTF-8.
_STEERING = re.compile(r"[\s\x00-\x1f\x7f-\x9f\[\]\ud800-\udfff]+")
_QUIET = b"\x00\xff"
"""High bytes of samples from -256 to 255, -42 dBFS: speech has begun when one is louder, 4 ms late at most."""
_BEFORE, _AFTER = (synth.RATE * ms // 1000 for ms in (10, 40))
"""Samples of silence that are left around speech."""
_PATIENCE = 5.0
_FAILURES = 3
_CACHED = 32
"""Texts whose speech is kept."""


@dataclass(eq=False, slots=True)
class SynthesizedSpeech:
    """Speech as s16le mono at 24 kHz. Shared by all who say the same, so never changed."""

    pcm: bytes
    _chunks: dict[int, list[str]] = field(default_factory=dict, init=False, repr=False)

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return seconds_of(len(self.pcm), synth.RATE)

    def chunks(self, ms: int) -> list[str]:
        """The base64 of each `ms` milliseconds, 1 at least; the last chunk may be shorter. Made once for each `ms`."""
        if ms not in self._chunks:
            size = synth.RATE * ms // 1000 * 2
            self._chunks[ms] = [encode_base64(self.pcm[at : at + size]) for at in range(0, len(self.pcm), size)]
        return self._chunks[ms]


class SpeechSynthesizer:
    """Speaks words.

    - `voice`: "tones" or "espeak-ng". ValueError for another, and if espeak-ng is not on the PATH.
    - `log`: called once when espeak-ng is given up.
    - `patience`: seconds espeak-ng may take for one text.
    """

    def __init__(
        self, voice: str = TONES, *, log: Callable[[str], None] = lambda line: None, patience: float = _PATIENCE
    ) -> None:
        if voice not in (TONES, ESPEAK):
            raise ValueError(f'unknown voice "{voice}": choose {TONES} or {ESPEAK}')
        path = shutil.which(ESPEAK) or ""
        if voice == ESPEAK and not path:
            raise ValueError(f'"{ESPEAK}" is not on the PATH: install it, or choose "{TONES}"')
        self.name = voice
        """What speaks now."""
        self._espeak = partial(_run_espeak, path, patience=patience)
        self._log = log
        self._cache: OrderedDict[str, SynthesizedSpeech] = OrderedDict()
        """Speech by words, the last used at the end."""
        self._one_at_a_time = asyncio.Lock()
        self._failures = 0
        synth.prepare()

    async def synthesize(self, text: str) -> SynthesizedSpeech:
        """The first 200 characters of a text as speech; silent if there is nothing to pronounce."""
        words = _STEERING.sub(" ", text[:_CHARACTERS]).strip()
        if words not in self._cache and self.name != TONES and any(map(str.isalnum, words)):
            async with self._one_at_a_time:
                if words not in self._cache and self.name != TONES:  # somebody else said them, or gave up, meanwhile
                    self._keep(words, await self._spoken(words))
        if words not in self._cache:
            self._keep(words, synth.render(words))
        self._cache.move_to_end(words)
        return self._cache[words]

    def _keep(self, words: str, pcm: bytes) -> None:
        self._cache[words] = SynthesizedSpeech(pcm)
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)

    async def _spoken(self, words: str) -> bytes:
        """What espeak-ng says; tones if it fails, or finds nothing to say."""
        try:
            pcm = await asyncio.wrap_future(process.in_thread(partial(self._espeak, words), ESPEAK))
            self._failures = 0
        except (OSError, EOFError, ValueError, wave.Error, subprocess.SubprocessError) as failure:
            pcm = b""
            self._failures += 1
            if self._failures == _FAILURES:
                self._log(f"{ESPEAK} failed {_FAILURES} times in a row, tones from now on: {failure}")
                self.name = TONES
        return pcm or synth.render(words)


def _run_espeak(path: str, words: str, *, patience: float) -> bytes:
    """The speech of espeak-ng, s16le mono at 24 kHz, with little of the silence around it. Blocks.

    OSError, SubprocessError, EOFError, wave.Error, ValueError: it failed, or gave something else than its WAV.
    """
    # it asks the sound server even when it writes to stdout, and waits forever for one that hangs
    environment = {**os.environ, "PULSE_SERVER": f"unix:{os.devnull}"}
    done = subprocess.run(
        [path, *_OPTIONS], input=words.encode(), capture_output=True, timeout=patience, check=True, env=environment
    )
    with wave.open(io.BytesIO(done.stdout)) as sound:
        if (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) != (1, 2, 22_050):
            raise ValueError("its WAV is not 16-bit mono at 22050 Hz")
        pcm = sound.readframes(_SECONDS * synth.RATE)
    # with bytes and slices, which cost microseconds
    high = pcm[1::2]
    start, end = len(high) - len(high.lstrip(_QUIET)), len(high.rstrip(_QUIET))
    return pcm[max(0, start - _BEFORE) * 2 : (end + _AFTER) * 2] if start < end else b""
