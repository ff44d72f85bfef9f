"""Keep the voice in WAV files.

- After every write the file is a valid WAV of all that was written, even if the process is killed right then.
- No file is made or overwritten before the first audio arrives; a place that cannot work is refused earlier.
- Writes go straight to the file: no buffer of ours, no temporary name.
- Every error names the path and the cure, as `WavRefused`, an OSError.
"""

from __future__ import annotations

import os
import struct
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from livews.audio.analysis.pcm import SAMPLE_BYTES, Aligner
from livews.core.codec import OUTPUT_RATE
from livews.errors import BadRequest

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MOST_DATA = 0xFFFFFFFF - _HEADER.size  # what 32-bit sizes can say: a day at 24 kHz


class WavWriteError(BadRequest):
    """A WAV file cannot be written; `where` is its path."""

    def __init__(self, path: Path, why: str, fix: str) -> None:
        super().__init__("cannot write the WAV", where=str(path), why=why, fix=fix)


class WavWriter:
    """One WAV file, s16le mono at `rate` Hz. What was there before is replaced at the first audio."""

    def __init__(self, path: str | os.PathLike[str], rate: int = OUTPUT_RATE) -> None:
        self.path = Path(path)
        self.rate = rate
        self._aligner = Aligner()
        self._file: FileIO | None = None
        self._size = 0
        self._closed = False
        _check_place(self.path)

    def write(self, pcm: bytes) -> None:
        """Append audio in pieces of any size; half a sample waits for its other half."""
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        pcm = self._aligner.whole(pcm)
        if not pcm:
            return
        try:
            if self._file is None:
                self._file = FileIO(os.fspath(self.path), "w")
                _write_all(self._file, self._header(len(pcm)) + pcm)
            else:
                # Data first: a header that says too little is valid, one that says too much is not.
                _write_all(self._file, pcm)
                self._file.seek(0)
                _write_all(self._file, self._header(self._size + len(pcm)))
                self._file.seek(0, os.SEEK_END)
        except OSError as error:
            self.close()
            why = error.strerror or str(error)
            raise WavWriteError(self.path, why, "Choose another place for --wav") from error
        self._size += len(pcm)

    def end_turn(self) -> None:
        """What follows is another turn: an odd byte does not belong to it."""
        self._aligner.forget()

    def close(self) -> None:
        self._closed = True
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _header(self, data: int) -> bytes:
        data = min(data, _MOST_DATA)
        return _HEADER.pack(
            b"RIFF", _HEADER.size - 8 + data, b"WAVE",
            b"fmt ", 16, 1, 1, self.rate, self.rate * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES,
            b"data", data,
        )  # fmt: skip


class WavTurns:
    """What `--wav PATH` means.

    A PATH that ends in `/` or is a folder gets `audio_0.wav`, `audio_1.wav` ... one a turn (a turn without
    audio makes no file but counts); any other PATH is one file for all turns.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        text = os.fspath(path)
        separators = tuple(filter(None, (os.sep, os.altsep)))
        self._folder = Path(text) if text.endswith(separators) or os.path.isdir(text) else None
        self._path = Path(text)
        self._turn = 0
        self._writer: WavWriter | None = None
        if self._folder is None:
            _check_place(self._path)
        else:
            _make_folder(self._folder)

    @property
    def path(self) -> Path:
        """Where the audio of the present turn goes."""
        return self._path if self._folder is None else self._folder / f"audio_{self._turn}.wav"

    def write(self, pcm: bytes, rate: int = OUTPUT_RATE) -> None:
        """Append audio of the present turn. The first audio of a file decides its rate."""
        if self._writer is None:
            self._writer = WavWriter(self.path, rate)
        elif self._writer.rate != rate:
            why = f"it holds sound at {self._writer.rate} Hz and {rate} Hz arrived"
            raise WavWriteError(self._writer.path, why, "Use --wav FOLDER/ for a file a turn")
        self._writer.write(pcm)

    def end_turn(self) -> None:
        self._turn += 1
        if self._writer is None:
            return
        self._writer.end_turn()
        if self._folder is not None:
            self.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            if self._folder is not None:
                self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_place(path: Path) -> None:
    """Refuse early what would fail at the first audio, when the reply is already being spoken."""
    parent = path.parent
    if path.is_dir():
        raise WavWriteError(path, "it is a folder", f"Name a file in it, or {path}{os.sep} for a file a turn")
    if not parent.is_dir():
        raise WavWriteError(path, f"there is no folder {parent}", f"Create it: mkdir -p {parent}")
    if not os.access(path if path.exists() else parent, os.W_OK):
        raise WavWriteError(path, "no permission to write there", "Choose another place for --wav")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WavWriteError(folder, error.strerror or str(error), "Choose another folder for --wav") from error
    if not os.access(folder, os.W_OK):
        raise WavWriteError(folder, "no permission to write there", "Choose another folder for --wav")


def _write_all(file: FileIO, data: bytes) -> None:
    """A raw write may take only a part, when the disk is nearly full or a signal comes."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
