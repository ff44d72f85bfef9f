"""Read WAV files, whatever is in them, piece by piece.

- s16le mono comes out, at the file's own rate; 16 bits of mono pass unchanged.
- A file is judged by its bytes, never by its name, and what cannot be read is refused before any sound is read.
- A size that says more than there is means: to the end. So end files whose recorder was killed, or wrote to a pipe.
- Every refusal names the file, the place in it where there is one, and the cure, as `BadRequest`.
- Nothing is held but the piece that is asked for.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NoReturn, Self

from livews.audio.analysis.pcm import mono
from livews.errors import BadRequest

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FORMAT = struct.Struct("<HHIIHH")  # format, channels, rate, bytes a second, bytes a frame, bits a sample
_SUBFORMAT = 24  # where WAVE_FORMAT_EXTENSIBLE says what it really is
_MOST_CHANNELS = 64
_MOST_CHUNKS = 1000  # a disk full of zeros is a file of empty chunks
_RATES = range(4000, 384_001)
_NAMES = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "ADPCM", 0x50: "MPEG", 0x55: "MP3", 0xFF: "AAC"}


class WavReader:
    """One WAV file. Raises `BadRequest` when it is none, or one of a kind that is not read here."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.channels = self.rate = 0
        self._frames = self._left = self._frame_bytes = 0
        if self.path.exists() and not self.path.is_file():
            self._refuse("it is not a regular file", fix="Name a WAV file")
        try:
            self._file: BinaryIO = self.path.open("rb")
        except (OSError, ValueError) as error:  # ValueError: no system has such a name
            self._refuse(getattr(error, "strerror", None) or str(error), fix="Name a WAV file that can be read")
        try:
            self._read_header()
        except BaseException:
            self._file.close()
            raise

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self._frames / self.rate

    def read(self, frames: int) -> bytes:
        """The next `frames` samples of s16le mono, fewer at the end and none after it."""
        frames = min(frames, self._left)
        try:
            data = self._file.read(frames * self._frame_bytes)
        except ValueError:  # closed by another thread
            data = b""
        except OSError as error:
            self._refuse(error.strerror or str(error), fix="Name a WAV file that can be read")
        self._left = self._left - frames if len(data) == frames * self._frame_bytes else 0
        return mono(self._to_16_bits(data), self.channels)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_header(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if size == 0:
            self._refuse("it is empty")
        head = self._file.read(12)
        if head[:4] != b"RIFF"[: len(head)] or head[8:12] != b"WAVE"[: max(0, len(head) - 8)]:
            self._refuse("it is not a WAV file: it does not begin with RIFF and WAVE", at=0)
        frame = b""
        for _ in range(_MOST_CHUNKS):
            at = self._file.tell()
            name, length = self._next_chunk(at, size)
            if name == b"data":
                break
            if name == b"fmt ":
                frame = self._file.read(min(length, 40))
            self._file.seek(at + 8 + length + length % 2)  # chunks are padded to even sizes
        else:
            self._refuse(f"there is no data chunk among the first {_MOST_CHUNKS}", at=at)
        if not frame:
            self._refuse("it does not say what its sound is: there is no fmt chunk before data", at=at)
        self._read_format(frame)
        self._frames = self._left = min(length, size - self._file.tell()) // self._frame_bytes
        if not self._frames:
            self._refuse("there is no sound in it", at=at)

    def _next_chunk(self, at: int, size: int) -> tuple[bytes, int]:
        head = self._file.read(8)
        if len(head) < 8:
            self._refuse("its header is cut off: there is no data chunk", at=min(at, size))
        return head[:4], int.from_bytes(head[4:], "little")

    def _read_format(self, fmt: bytes) -> None:
        if len(fmt) < _FORMAT.size:
            self._refuse(f"its fmt chunk has {len(fmt)} bytes, {_FORMAT.size} at least are needed")
        kind, self.channels, self.rate, _, self._frame_bytes, bits = _FORMAT.unpack_from(fmt)
        if kind == _EXTENSIBLE and len(fmt) >= _SUBFORMAT + 2:
            (kind,) = struct.unpack_from("<H", fmt, _SUBFORMAT)
        convert = _CONVERT.get((kind, bits))
        if convert is None:
            named = _NAMES.get(kind, "PCM" if kind == _PCM else "float" if kind == _FLOAT else f"format {kind}")
            self._refuse(f"its sound is {named} of {bits} bits; read are PCM of 8, 16, 24, 32 and float of 32, 64")
        self._to_16_bits = convert
        if not 1 <= self.channels <= _MOST_CHANNELS or self._frame_bytes != self.channels * bits // 8:
            self._refuse(
                f"its header contradicts itself: {self.channels} channels of {bits} bits in {self._frame_bytes} bytes"
            )
        if self.rate not in _RATES:
            self._refuse(f"its header says {self.rate} Hz")

    def _refuse(self, why: str, *, at: int | None = None, fix: str = "") -> NoReturn:
        where = f"byte {at}" if at is not None else ""
        fix = fix or f"Convert it: ffmpeg -i {self.path} -ar 16000 -ac 1 -c:a pcm_s16le speech.wav"
        raise BadRequest(f"cannot read {self.path}", where=where, why=why, fix=fix)


def _of_8_bits(data: bytes) -> bytes:
    """They alone are unsigned."""
    out = bytearray(2 * len(data))
    out[1::2] = data.translate(_SIGNED)
    return bytes(out)


def _upper_two(width: int) -> Callable[[bytes], bytes]:
    def cut(data: bytes) -> bytes:
        data = data[: len(data) // width * width]
        out = bytearray(len(data) // width * 2)
        out[0::2], out[1::2] = data[width - 2 :: width], data[width - 1 :: width]
        return bytes(out)

    return cut


def _of_float(code: str) -> Callable[[bytes], bytes]:
    def convert(data: bytes) -> bytes:
        values = array(code, data[: len(data) // array(code).itemsize * array(code).itemsize])
        if sys.byteorder == "big":
            values.byteswap()
        # louder than full scale is cut, and what is no number is silence
        out = array("h", (round(max(-32768.0, min(32767.0, 32768.0 * v))) if v == v else 0 for v in values))
        if sys.byteorder == "big":
            out.byteswap()
        return out.tobytes()

    return convert


_SIGNED = bytes((value - 128) % 256 for value in range(256))
_CONVERT: dict[tuple[int, int], Callable[[bytes], bytes]] = {
    (_PCM, 8): _of_8_bits,
    (_PCM, 16): _upper_two(2),
    (_PCM, 24): _upper_two(3),
    (_PCM, 32): _upper_two(4),
    (_FLOAT, 32): _of_float("f"),
    (_FLOAT, 64): _of_float("d"),
}
