"""WAV files: read whatever is in them, and write them so that they are valid at any moment.

- Reading gives s16le mono at the file's own rate; 16 bits of mono pass unchanged. PCM of 8, 16, 24 and 32 bits, float
  of 32 and 64, and WAVE_FORMAT_EXTENSIBLE are read; any other kind is refused before any audio is read.
- A file is judged by its bytes, never by its name. A size that says more than the file has means: to its end. So end
  files whose recorder was killed, or wrote to a pipe.
- After every write a file is a valid WAV of all that was written, even if the process is killed right then.
- No file is created or overwritten before the first audio arrives; a path that cannot work is refused earlier.
- Every error names the file, the place in it where there is one, and the fix.
"""

import contextlib
import os
import struct
import wave
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, NoReturn

from livews.audio.analysis.pcm import SAMPLE_BYTES, Aligner, bytes_of, mono, native, seconds_of
from livews.core.codec import OUTPUT_RATE
from livews.errors import BadRequest
from livews.output_file import can_rewrite, check_link, descriptor_of, is_stream, open_output

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FORMAT = struct.Struct("<HHIIHH")  # format, channels, rate, bytes a second, bytes a frame, bits a sample
_SUBFORMAT = 24  # where WAVE_FORMAT_EXTENSIBLE has the format
_MOST_CHANNELS = 64
_MOST_CHUNKS = 1000  # a disk full of zeros is a file of empty chunks
_RATES = range(4000, 384_001)
_NAMES = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "ADPCM", 0x50: "MPEG", 0x55: "MP3", 0xFF: "AAC"}
_NAME_A_FILE = "Name a WAV file that can be read"


class WavReader:
    """Reads one WAV file piece by piece. Raises `BadRequest` when it is not a WAV, or of a kind that is not read here."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.channels = self.rate = 0
        self._left = self._frame_bytes = 0
        if self.path.exists() and not self.path.is_file():
            self._refuse("it is not a regular file", fix="Name a WAV file")
        try:
            self._file: BinaryIO = self.path.open("rb")
        except (OSError, ValueError) as error:  # ValueError: no system has such a name
            self._refuse(getattr(error, "strerror", None) or str(error), fix=_NAME_A_FILE)
        try:
            self._read_header()
        except BaseException:
            self._file.close()
            raise

    def read(self, frames: int) -> bytes:
        """The next `frames` samples as s16le mono, fewer at the end and none after it."""
        frames = min(frames, self._left)
        try:
            data = self._file.read(frames * self._frame_bytes)
        except ValueError:  # closed by another thread
            data = b""
        except OSError as error:
            self._refuse(error.strerror or str(error), fix=_NAME_A_FILE)
        whole = len(data) // self._frame_bytes
        self._left = self._left - frames if whole == frames else 0
        return mono(self._to_16_bits(data[: whole * self._frame_bytes]), self.channels)

    def close(self) -> None:
        """Close the file; a `read` after that gives nothing."""
        self._file.close()

    def _read_header(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if size == 0:
            self._refuse("it is empty")
        head = self._file.read(12)
        if head[:4] != b"RIFF"[: len(head)] or head[8:12] != b"WAVE"[: max(0, len(head) - 8)]:
            self._refuse("it is not a WAV file: it does not begin with RIFF and WAVE", at=0)
        fmt = b""
        for _ in range(_MOST_CHUNKS):
            at = self._file.tell()
            chunk = self._file.read(8)
            if len(chunk) < 8:
                self._refuse("its header is cut off: there is no data chunk", at=min(at, size))
            name, length = chunk[:4], int.from_bytes(chunk[4:], "little")
            if name == b"data":
                break
            if name == b"fmt ":
                fmt = self._file.read(min(length, 40))
            self._file.seek(at + 8 + length + length % 2)  # chunks are padded to even sizes
        else:
            self._refuse(f"there is no data chunk among the first {_MOST_CHUNKS}", at=at)
        if not fmt:
            self._refuse("it does not say what its sound is: there is no fmt chunk before data", at=at)
        self._read_format(fmt)
        self._left = min(length, size - self._file.tell()) // self._frame_bytes
        if not self._left:
            self._refuse("there is no sound in it", at=at)

    def _read_format(self, fmt: bytes) -> None:
        if len(fmt) < _FORMAT.size:
            self._refuse(f"its fmt chunk has {len(fmt)} bytes, {_FORMAT.size} at least are needed")
        kind, self.channels, self.rate, _, self._frame_bytes, bits = _FORMAT.unpack_from(fmt)
        if kind == _EXTENSIBLE and len(fmt) >= _SUBFORMAT + 2:
            (kind,) = struct.unpack_from("<H", fmt, _SUBFORMAT)
        convert = _TO_16_BITS.get((kind, bits))
        if convert is None:
            name = _NAMES.get(kind, "PCM" if kind == _PCM else "float" if kind == _FLOAT else f"format {kind}")
            self._refuse(f"its sound is {name} of {bits} bits; read are PCM of 8, 16, 24, 32 and float of 32, 64")
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


def _from_8_bits(data: bytes) -> bytes:
    """8 bits are unsigned, unlike all others."""
    return bytes_of(array("h", ((value - 128) << 8 for value in data)))


def _upper_two(width: int, data: bytes) -> bytes:
    """The two most significant of `width` bytes."""
    out = bytearray(len(data) // width * 2)
    out[0::2], out[1::2] = data[width - 2 :: width], data[width - 1 :: width]
    return bytes(out)


def _from_float(code: str, data: bytes) -> bytes:
    """Louder than full scale is clipped, and what is not a number is silence."""
    values = native(array(code, data))
    return bytes_of(array("h", (round(max(-32768.0, min(32767.0, 32768.0 * v))) if v == v else 0 for v in values)))


_TO_16_BITS: dict[tuple[int, int], Callable[[bytes], bytes]] = {
    (_PCM, 8): _from_8_bits,
    **{(_PCM, bits): partial(_upper_two, bits // 8) for bits in (16, 24, 32)},
    (_FLOAT, 32): partial(_from_float, "f"),
    (_FLOAT, 64): partial(_from_float, "d"),
}


class WavWriteError(BadRequest):
    """A WAV file cannot be written; `where` is its path."""

    def __init__(self, path: Path, why: str, fix: str = "Choose another place for --wav") -> None:
        super().__init__("cannot write the WAV", where=str(path), why=why, fix=fix)


def wave_file(out: BinaryIO, rate: int, channels: int = 1, frames: int = 0) -> wave.Wave_write:
    """A WAV of 16 bits on `out`, to write frames to. `frames`: how many will come, where `out` cannot seek."""
    file = wave.Wave_write(out)
    file.setnchannels(channels)
    file.setsampwidth(SAMPLE_BYTES)
    file.setframerate(rate)
    file.setnframes(frames)
    return file


_MOST_PARTS = 100
"""Files for the rates of one voice: a peer may change the rate with every chunk."""


class WavTurns:
    """What `--wav PATH` means: the turns of a voice as s16le mono. What was there before goes at the first audio.

    A PATH that ends in `/` or is a folder gets `audio_0.wav`, `audio_1.wav` ... one a turn (a turn without
    audio makes no file but counts); any other PATH is one file for all turns.

    A file has one rate, that of its first audio. Audio at another rate goes on in a further file, `PATH-2.wav`.
    `notify` gets one line about that, and one if such audio has to be left out.
    """

    def __init__(self, path: str | os.PathLike[str], notify: Callable[[str], None] = lambda text: None) -> None:
        text = os.fspath(path)
        separators = tuple(filter(None, (os.sep, os.altsep)))
        self._path = Path(text)
        self._in_folder = text.endswith(separators) or self._path.is_dir()
        self._turn, self._part = 0, 1
        self._notify = notify
        self._notified: set[bool] = set()
        self.turn_seconds = self.file_seconds = 0.0
        """How much was written to the present file: of the present turn, and in all."""
        self._aligner = Aligner()
        self._out: tuple[BinaryIO, wave.Wave_write] | None = None  # the present file
        self._closed = False
        _check_place(self._path, self._in_folder)

    @property
    def path(self) -> Path:
        """Where the audio of the present turn goes."""
        return self._path_of(self._part)

    def write(self, pcm: bytes, rate: int = OUTPUT_RATE) -> None:
        """Append audio of the present turn, in pieces of any size; half a sample waits for its other half.

        Raises WavWriteError.
        """
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        if self._out is not None and self._out[1].getframerate() != rate and not self._begin_part(rate):
            return
        pcm = self._aligner.whole(pcm)
        if not pcm:
            return
        try:
            if self._out is None:
                created = os.fdopen(open_output(self.path, os.O_WRONLY | os.O_TRUNC), "wb")
                self._out = created, wave_file(created, rate)
            file, wav = self._out
            try:
                # It writes the data first: a header that says too little is valid, one that says too much is not.
                wav.writeframes(pcm)
            except struct.error:  # a day of audio, which the 32-bit sizes of the header cannot say
                file.seek(0, os.SEEK_END)
            file.flush()
            self.turn_seconds += seconds_of(len(pcm), rate)
            self.file_seconds += seconds_of(len(pcm), rate)
        except OSError as error:
            self.close()
            raise WavWriteError(self.path, error.strerror or str(error)) from error

    def end_turn(self) -> None:
        """What follows is another turn: an odd byte does not belong to it."""
        self._aligner.forget()
        if self._in_folder:
            self._close_file()
            self._part = 1
        self._turn += 1
        self.turn_seconds = 0.0

    def close(self) -> None:
        """Close the present file. May be called again."""
        self._closed = True
        self._close_file()

    def _path_of(self, part: int) -> Path:
        path = self._path / f"audio_{self._turn}.wav" if self._in_folder else self._path
        return path if part == 1 else path.with_name(f"{path.stem}-{part}{path.suffix}")

    def _begin_part(self, rate: int) -> bool:
        """Let what follows go to a further file; False if there can be none, for a pipe or too many changes."""
        full, part = self.path, self._part + 1
        while (
            not self._in_folder and self._path_of(part).exists()
        ):  # the user did not name it, so nothing is overwritten
            part += 1
        further = self._path_of(part)
        can_be = part <= _MOST_PARTS and not is_stream(full) and os.access(full.parent, os.W_OK)
        if can_be not in self._notified:
            self._notified.add(can_be)
            rest = f"it goes on in {further}" if can_be else "that part of it is not written"
            self._notify(f"{full} has one sample rate, and the voice now has {rate} Hz: {rest}")
        if can_be:
            self._aligner.forget()
            self._close_file()
            self._part, self.turn_seconds = part, 0.0
        return can_be

    def _close_file(self) -> None:
        if self._out is not None:
            for out in reversed(self._out):
                with contextlib.suppress(OSError, struct.error):  # reported by the write that failed
                    out.close()
            self._out = None
        self.file_seconds = 0.0


def _check_place(path: Path, is_folder: bool) -> None:
    """Make the folder, and refuse early what would fail at the first audio, when the reply is already being spoken."""
    other = "Choose another folder for --wav" if is_folder else "Choose another place for --wav"
    if is_folder:
        try:
            path.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise WavWriteError(path, error.strerror or str(error), other) from error
    elif (number := descriptor_of(path)) is not None:
        try:
            os.close(open_output(path, os.O_WRONLY))
        except OSError as error:
            raise WavWriteError(path, error.strerror or str(error), other) from None
        if not can_rewrite(number):
            why = (
                "the header of a WAV is written last, and a pipe, a terminal or a file after >> cannot go back to it"
            )
            raise WavWriteError(path, why, other)
        return
    elif path.is_symlink():
        try:
            check_link(path)
        except OSError as error:
            raise WavWriteError(path, error.strerror or str(error), other) from None
    elif not path.parent.is_dir():
        raise WavWriteError(path, f"there is no folder {path.parent}", f"Create it: mkdir -p {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise WavWriteError(path, "no permission to write there", other)
