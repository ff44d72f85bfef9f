"""What the stand-in's words sound like: spoken by a command of this machine where there is one, else as tones.

- The same words are the same samples on the same machine, and are rendered once for all who want them at the time.
- Words come from the network. A command reads them on stdin, never as an argument; a shell is never asked. They are
  cut, and nothing in them steers the voice.
- A command that fails costs its words their speech, never the reply: they are tones then. After three failures in a
  row everything is.
- The event loop never waits for a command; two run at most; none outlives its caller, its patience or the loop.
- What is remembered is bounded in bytes.
- s16le mono at 24 kHz, never louder than half of full scale.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from livews import process
from livews.audio.analysis.pcm import seconds_of
from livews.audio.wav import WavReader
from livews.core.codec import encode_base64
from livews.errors import BadRequest
from livews.server import synth

TONES = "tones"
WORDS = 200
"""Characters of a text that are spoken; the rest is not."""
SECONDS = 30
"""How long a voice may last: 200 characters can be 200 words of a script the command only spells."""
_AT_ONCE = 2
_PATIENCE = 5.0
_FAILURES = 3
_KEPT = 16 * 1024 * 1024
_TEXTS = 500
"""Texts remembered: their bytes are few, but there is no end of texts without sound."""
_POLL = 0.005


@dataclass(frozen=True, slots=True)
class _Command:
    """`options` come before the file the WAV goes to; `rate` is what that WAV has to say."""

    options: tuple[str, ...]
    rate: int


# espeak speaks at 22,050 Hz. Its samples are played as they are at 24,000 Hz, 8.8 % faster and higher, and the speed
# and pitch asked for here are that much slower and lower: the pace and pitch it has by itself (175 words a minute,
# pitch 50), from a slightly smaller head, and no resampling, which costs pure Python 80 ms a second. At amplitude 45
# its peaks stay below half of full scale.
_ESPEAK = _Command(("--stdin", "-v", "en", "-s", "160", "-p", "41", "-a", "45", "-w"), 22_050)
_COMMANDS = {
    "espeak-ng": _ESPEAK,
    "espeak": _ESPEAK,
    "say": _Command(("-f", "-", f"--data-format=LEI16@{synth.RATE}", "-o"), synth.RATE),  # macOS
}
_HOW = ("auto", TONES, *_COMMANDS)


@dataclass(eq=False, slots=True)
class SynthesizedSpeech:
    """Sound: s16le mono at 24 kHz. Shared by all who say the same, so nobody changes it."""

    pcm: bytes
    held: int = field(init=False)
    """The bytes of memory it takes, in every form it was asked for."""
    _chunks: dict[int, list[str]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.held = len(self.pcm)

    @property
    def seconds(self) -> float:
        return seconds_of(len(self.pcm), synth.RATE)

    def chunks(self, ms: int) -> list[str]:
        """The base64 of every `ms` milliseconds, the last piece as long as it is; made once for each `ms`."""
        if ms not in self._chunks:
            size = synth.RATE * ms // 1000 * 2
            if size < 2:
                raise ValueError(f"pieces of {ms} ms: 1 ms is the least")
            pieces = [encode_base64(self.pcm[at : at + size]) for at in range(0, len(self.pcm), size)]
            self._chunks[ms] = pieces
            self.held += sum(map(len, pieces))
        return self._chunks[ms]


@dataclass(eq=False, slots=True)
class _Work:
    """A voice in the making, and how many wait for it."""

    task: asyncio.Task[SynthesizedSpeech]
    waiting: int = 0


class SpeechSynthesizer:
    """Says words aloud. `name` is what speaks: "tones", or the command.

    `how`: "auto" for the first command this machine has, else tones; "tones"; or a command by name, ValueError where
    there is none of that name. `log` is told, once, that a command was given up. `patience`: seconds a command may
    take for one text. `keep`: bytes of sound remembered. All of it belongs to one event loop.
    """

    def __init__(
        self,
        how: str = "auto",
        *,
        log: Callable[[str], None] = lambda line: None,
        patience: float = _PATIENCE,
        keep: int = _KEPT,
    ) -> None:
        self.name, self._path = _choose(how)
        self._log, self._patience, self._keep = log, patience, keep
        self._voices: OrderedDict[str, SynthesizedSpeech] = OrderedDict()  # the one said last is the last
        self._works: dict[str, _Work] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._failures = 0
        synth.prepare()

    async def say(self, text: str) -> SynthesizedSpeech:
        """The voice saying the first 200 characters of `text`; without sound when there is nothing to pronounce."""
        words = _plain(text)
        made = self._voices.get(words)
        if made is None:
            aloud = self.name != TONES and any(map(str.isalnum, words))
            made = await self._share(words) if aloud else SynthesizedSpeech(synth.render(words))
        self._remember(words, made)  # also the tones of a failure: it is not tried again with every reply
        return made

    async def _share(self, words: str) -> SynthesizedSpeech:
        """The one rendering of these words that is under way. It ends early when nobody waits for it any more."""
        work = self._works.get(words)
        if work is None:
            work = self._works[words] = _Work(asyncio.create_task(self._render(words)))
        work.waiting += 1
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiting -= 1
            if not work.waiting:
                work.task.cancel()
                del self._works[words]

    async def _render(self, words: str) -> SynthesizedSpeech:
        async with self._turn:
            pcm = await self._speak(words)
        return SynthesizedSpeech(pcm or synth.render(words))

    async def _speak(self, words: str) -> bytes:
        """What the command says; nothing when it fails or finds nothing to say."""
        if self.name == TONES:  # given up while these words waited for their turn
            return b""
        try:
            pcm = await _run(self._path, _COMMANDS[self.name], words, self._patience)
        except (_Failed, OSError) as failure:
            self._failures += 1
            if self._failures >= _FAILURES and self.name != TONES:
                self._log(f"{self.name} failed {_FAILURES} times in a row, tones from now on: {failure}")
                self.name = TONES
            return b""
        self._failures = 0
        return pcm

    def _remember(self, words: str, made: SynthesizedSpeech) -> None:
        self._voices[words] = made
        self._voices.move_to_end(words)
        # counted anew each time, since a voice grows when its chunks are asked for
        held = sum(one.held for one in self._voices.values())
        while held > self._keep or len(self._voices) > _TEXTS:
            held -= self._voices.popitem(last=False)[1].held


def _choose(how: str) -> tuple[str, str]:
    """What speaks, and the path of that command."""
    if how not in _HOW:
        raise ValueError(f'no speech named "{how}": choose one of {", ".join(_HOW)}')
    if how == TONES:
        return TONES, ""
    if how != "auto":
        if path := shutil.which(how):
            return how, path
        raise ValueError(f'"{how}" is not on the PATH: install it, or choose "auto" or "tones"')
    for name in _COMMANDS:
        # elsewhere a command named say is another program
        if (name != "say" or sys.platform == "darwin") and (path := shutil.which(name)):
            return name, path
    return TONES, ""


# Controls steer espeak (\x01 and a letter set its speed, volume or a pause of minutes), double square brackets hold
# its phonemes and the commands of say, and a lone surrogate has no UTF-8.
_STEERING = re.compile(r"[\s\x00-\x1f\x7f-\x9f\[\]\ud800-\udfff]+")


def _plain(text: str) -> str:
    return _STEERING.sub(" ", text[:WORDS]).strip()


class _Failed(Exception):
    """The command did not speak; the message says how."""


async def _run(path: str, command: _Command, words: str, patience: float) -> bytes:
    """What the command says. _Failed, or OSError where it cannot be started or its file not be read.

    Not asyncio's own subprocesses: a loop that ends while one starts leaks its pipes, and waits for ever in Python
    3.11. Without pipes to wait on there is nothing to leak, so the command writes to a file.
    """
    with tempfile.TemporaryDirectory(prefix="livews-", ignore_cleanup_errors=True) as folder:
        wav = Path(folder, "said.wav")
        child = _start([path, *command.options, str(wav)], words)
        try:
            async with asyncio.timeout(patience):
                while child.poll() is None:  # noqa: ASYNC110 nothing tells an event
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            raise _Failed(f"no answer in {patience:g} s") from None
        finally:
            process.stop(child)
        if child.returncode:
            raise _Failed(f"exit code {child.returncode}")
        return _gentle(_trimmed(_samples(wav, command.rate)))


def _start(argv: list[str], words: str) -> subprocess.Popen[bytes]:
    # espeak-ng asks the sound server even when it writes a file, and waits for ever for one that hangs.
    child = process.start(argv, stdin=subprocess.PIPE, env={"PULSE_SERVER": f"unix:{os.devnull}"})
    assert child.stdin is not None
    with contextlib.suppress(OSError), child.stdin as stdin:  # it may end without reading
        stdin.write(words.encode())  # at most 800 bytes, which any pipe takes at once
    return child


def _samples(path: Path, rate: int) -> bytes:
    """The samples in a WAV file, 30 seconds of them at most; _Failed when it holds no s16le mono at `rate`."""
    if not path.exists():
        raise _Failed("no sound came")
    try:
        reader = WavReader(path, may_be_empty=True)
    except BadRequest as problem:
        raise _Failed(problem.why) from None
    try:
        if (reader.channels, reader.rate) != (1, rate):
            raise _Failed(f"its WAV is not mono at {rate} Hz")
        return reader.read(SECONDS * synth.RATE)
    finally:
        reader.close()


_SOFT = b"\x00\xff"
"""High bytes of samples from -256 to 255, -42 dBFS: speech has begun when one is louder, 4 ms late at most."""
_BEFORE, _AFTER, _FADE = (synth.RATE * ms // 1000 for ms in (10, 40, 10))


def _trimmed(pcm: bytes) -> bytes:
    """Without the silence around the speech but 10 ms before and 40 ms after, and with an end that does not click.

    In bytes and slices, which cost microseconds; a look at every sample would cost the loop milliseconds.
    """
    high = pcm[1::2]
    start, end = len(high) - len(high.lstrip(_SOFT)), len(high.rstrip(_SOFT))
    if start >= end:
        return b""
    pcm = pcm[max(0, start - _BEFORE) * 2 : (end + _AFTER) * 2]
    fade = min(_FADE, len(pcm) // 2)
    last = struct.unpack(f"<{fade}h", pcm[len(pcm) - 2 * fade :])
    faded = struct.pack(f"<{fade}h", *(int(s * (fade - 1 - n) / fade) for n, s in enumerate(last)))
    return pcm[: len(pcm) - 2 * fade] + faded


_HALF = bytes(range(0x40)) + bytes(range(0xC0, 0x100))
"""High bytes of samples within half of full scale."""


def _gentle(pcm: bytes) -> bytes:
    """Sound that is louder than half of full scale somewhere, halved."""
    if not pcm[1::2].translate(None, _HALF):
        return pcm
    # Every sample shifted right by one, sign kept, all of them as one number: ten times faster than one by one.
    count = len(pcm) // 2
    number = int.from_bytes(pcm, "little")
    halves = number >> 1 & int.from_bytes(b"\xff\x7f" * count, "little")
    signs = number & int.from_bytes(b"\x00\x80" * count, "little")
    return (halves | signs).to_bytes(2 * count, "little")
