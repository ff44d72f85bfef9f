"""Speech commands of the operating system: espeak-ng, espeak, and say on macOS.

- Words come from the network. A command reads them on stdin, never as an argument, and no shell is involved. They are
  cut, and nothing in them controls the voice.
- The result is s16le mono at 24 kHz, at most 30 seconds, never louder than half of full scale.
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
from dataclasses import dataclass
from pathlib import Path

from livews import process
from livews.audio.wav import WavReader
from livews.errors import BadRequest
from livews.server import synth

_CHARACTERS = 200
"""Characters of a text that are spoken."""
_SECONDS = 30
"""Longest speech: 200 characters can be 200 words of a script that a command spells out."""
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class _Command:
    """`options` come before the name of the WAV file; `rate` is the sample rate that file must have."""

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


class SpeechCommandFailed(Exception):
    """The command did not speak; the message says why."""


def find(voice: str) -> tuple[str, str] | None:
    """Name and path of a command, or of the first one there is for "auto", None if there is none for it.

    ValueError for an unknown name, and for a command that is not on the PATH.
    """
    if voice in _COMMANDS:
        if path := shutil.which(voice):
            return voice, path
        raise ValueError(f'"{voice}" is not on the PATH: install it, or choose "tones"')
    if voice != "auto":
        raise ValueError(f'unknown voice "{voice}": choose one of tones, auto, {", ".join(_COMMANDS)}')
    for name in _COMMANDS:
        # on other systems a command named say is another program
        if (name != "say" or sys.platform == "darwin") and (path := shutil.which(name)):
            return name, path
    return None


# Controls steer espeak (\x01 and a letter set its speed, volume or a pause of minutes), double square brackets hold
# its phonemes and the commands of say, and a lone surrogate has no UTF-8.
_STEERING = re.compile(r"[\s\x00-\x1f\x7f-\x9f\[\]\ud800-\udfff]+")


def plain(text: str) -> str:
    """The words of a text that are spoken, without anything that would control a command."""
    return _STEERING.sub(" ", text[:_CHARACTERS]).strip()


async def run(name: str, path: str, words: str, patience: float) -> bytes:
    """The speech of a command, s16le mono at 24 kHz; it may take `patience` seconds.

    SpeechCommandFailed, or OSError if it cannot be started or its file not be read.

    Not asyncio's own subprocesses: a loop that ends while one starts leaks its pipes, and waits forever in Python
    3.11. Without pipes to wait on there is nothing to leak, so the command writes to a file.
    """
    with tempfile.TemporaryDirectory(prefix="livews-", ignore_cleanup_errors=True) as folder:
        wav = Path(folder, "speech.wav")
        child = _start([path, *_COMMANDS[name].options, str(wav)], words)
        try:
            async with asyncio.timeout(patience):
                while child.poll() is None:  # noqa: ASYNC110 there is no event to wait for
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise SpeechCommandFailed(f"no answer in {patience:g} s") from None
        finally:
            process.stop(child)
        if child.returncode:
            raise SpeechCommandFailed(f"exit code {child.returncode}")
        return _softened(_trimmed(_samples(wav, _COMMANDS[name].rate)))


def _start(argv: list[str], words: str) -> subprocess.Popen[bytes]:
    # espeak-ng asks the sound server even when it writes a file, and waits forever for one that hangs
    child = process.start(argv, stdin=subprocess.PIPE, env={"PULSE_SERVER": f"unix:{os.devnull}"})
    assert child.stdin is not None
    with contextlib.suppress(OSError), child.stdin as stdin:  # it may end without reading
        stdin.write(words.encode())  # at most 800 bytes, which any pipe takes at once
    return child


def _samples(path: Path, rate: int) -> bytes:
    """The samples of a WAV file, at most 30 seconds. SpeechCommandFailed unless it is 16-bit mono PCM at `rate`."""
    if not path.exists():
        raise SpeechCommandFailed("no sound came")
    try:
        reader = WavReader(path, may_be_empty=True)
    except BadRequest as problem:
        raise SpeechCommandFailed(problem.why) from None
    try:
        if (reader.channels, reader.rate) != (1, rate):
            raise SpeechCommandFailed(f"its WAV is not mono at {rate} Hz")
        return reader.read(_SECONDS * synth.RATE)
    finally:
        reader.close()


_QUIET = b"\x00\xff"
"""High bytes of samples from -256 to 255, -42 dBFS: speech has begun when one is louder, 4 ms late at most."""
_BEFORE, _AFTER, _FADE = (synth.RATE * ms // 1000 for ms in (10, 40, 10))


def _trimmed(pcm: bytes) -> bytes:
    """Speech with 10 ms of the silence before it and 40 ms of that after it, and an end that does not click.

    With bytes and slices, which cost microseconds; a look at every sample would cost the loop milliseconds.
    """
    high = pcm[1::2]
    start, end = len(high) - len(high.lstrip(_QUIET)), len(high.rstrip(_QUIET))
    if start >= end:
        return b""
    pcm = pcm[max(0, start - _BEFORE) * 2 : (end + _AFTER) * 2]
    fade = min(_FADE, len(pcm) // 2)
    last = struct.unpack(f"<{fade}h", pcm[len(pcm) - 2 * fade :])
    faded = struct.pack(f"<{fade}h", *(int(s * (fade - 1 - n) / fade) for n, s in enumerate(last)))
    return pcm[: len(pcm) - 2 * fade] + faded


_WITHIN_HALF = bytes(range(0x40)) + bytes(range(0xC0, 0x100))
"""High bytes of samples within half of full scale."""


def _softened(pcm: bytes) -> bytes:
    """Audio that is louder than half of full scale somewhere, halved."""
    if not pcm[1::2].translate(None, _WITHIN_HALF):
        return pcm
    # every sample shifted right by one, sign kept, all of them as one number: ten times faster than one by one
    count = len(pcm) // 2
    number = int.from_bytes(pcm, "little")
    halves = number >> 1 & int.from_bytes(b"\xff\x7f" * count, "little")
    signs = number & int.from_bytes(b"\x00\x80" * count, "little")
    return (halves | signs).to_bytes(2 * count, "little")
