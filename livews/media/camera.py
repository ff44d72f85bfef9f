"""A camera as pictures, by a child process of ffmpeg.

- ffmpeg opens the camera, scales and encodes; its output is a multipart stream in which each picture has its length.
- Memory is bounded: one picture being received (8 MB at most), one waiting, a page of ffmpeg's errors.
- `start` and `close` block, for a bounded time. The child is stopped by its own process id.
- A lost camera is reported once and is final. `close()` is no loss.
"""

from __future__ import annotations

import glob
import io
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO

from livews import process
from livews.media.image_file import size_of
from livews.media.picture import MOST_PIXELS, QUALITY, WAIT, ImageUnavailable, Picture, PictureSource
from livews.terminal_text import one_line

SEND_A_FILE = "or send a file with --image FILE"
_WHAT = "no picture of the camera"
_MOST_BYTES = 8_000_000


class Camera(PictureSource):
    """Pictures of a camera as JPEG.

    `spec`: a device or its number, "" for the first: /dev/video0 on Linux, 0 on macOS; on Windows its name.
    `every`: least seconds between two pictures, 1 at least. `most_pixels`: of the longer side; larger pictures are
    scaled. `quality`: of JPEG, as Pillow counts. `source`: ffmpeg arguments for another input, as in ["-re", "-f",
    "lavfi", "-i", "testsrc"]. `on_lost`: see `PictureSource`.
    """

    def __init__(
        self,
        spec: str = "",
        *,
        every: float = 1.0,
        most_pixels: int = MOST_PIXELS,
        quality: int = QUALITY,
        source: Sequence[str] | None = None,
        on_lost: Callable[[ImageUnavailable], None] | None = None,
    ) -> None:
        super().__init__(every, on_lost)
        self._spec = spec.strip()
        self._most_pixels = most_pixels
        self._quality = quality
        self._source = source
        self._starting = threading.Lock()  # one start or close at a time
        self._received = 0
        self._closed = False
        self._errors = b""  # the end of what ffmpeg wrote to stderr
        self._process: subprocess.Popen[bytes] | None = None
        self._threads: list[threading.Thread] = []

    @property
    def pid(self) -> int | None:
        """The process id of ffmpeg while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def start(self) -> None:
        """Open the camera and wait for its first picture. Blocks; raises `ImageUnavailable`."""
        with self._starting:
            if self._process is not None or self._closed:
                return
            self._spawn()
        try:
            in_time = self._ready.wait(WAIT)
        except BaseException:
            self.close()
            raise
        if self._received or self._closed:
            return
        why = self._why() if in_time else f"none came for {WAIT:.0f} s"
        self.close()
        raise ImageUnavailable(_WHAT, why, self._fix(why))

    def close(self) -> None:
        """Stop ffmpeg. Blocks, mostly for milliseconds, six seconds at most; may be called again."""
        with self._starting:
            self._closed = True
            self.drop()
            self._ready.set()
            if self._process is None:
                return
            process.stop(self._process, patience=2)  # it is killed where a camera driver hangs
            for thread in self._threads:
                if thread is not threading.current_thread():
                    thread.join(1)

    def _spawn(self) -> None:
        program = shutil.which("ffmpeg")
        if program is None:
            raise ImageUnavailable(
                _WHAT, "ffmpeg, which reads the camera, is not installed", f"{_install()}, {SEND_A_FILE}"
            )
        source = list(self._source) if self._source is not None else self._camera()
        most = self._most_pixels
        shape = (
            f"fps=1/{self.every:g},"
            f"scale=w='min({most},iw)':h='min({most},ih)':force_original_aspect_ratio=decrease,format=yuvj420p"
        )
        # Measured: the scale 2 to 31 of ffmpeg gives files as large as Pillow's 75 at 4, 60 at 6, 90 at 2.
        scale = min(31, max(2, round((100 - self._quality) * 0.16)))
        # Threads encode several pictures at once, so each would come a whole picture, a second, late (measured).
        command = [
            program, "-hide_banner", "-nostdin", "-loglevel", "error", *source, "-an", "-vf", shape,
            "-c:v", "mjpeg", "-threads", "1", "-q:v", str(scale), "-f", "mpjpeg", "-flush_packets", "1", "pipe:1",
        ]  # fmt: skip
        pipe = subprocess.PIPE
        try:
            self._process = process.start(command, stdout=pipe, stderr=pipe, env={"AV_LOG_FORCE_NOCOLOR": "1"})
        except (OSError, ValueError) as problem:
            why = f"ffmpeg does not start: {one_line(str(problem), 200)}"
            raise ImageUnavailable(_WHAT, why, f"Look at {program}, {SEND_A_FILE}") from None
        out, err = self._process.stdout, self._process.stderr
        assert out is not None
        assert err is not None
        errors = threading.Thread(target=self._read_errors, args=(err,), name="livews-camera-errors", daemon=True)
        reading = threading.Thread(target=self._read, args=(out, errors), name="livews-camera", daemon=True)
        self._threads = [reading, errors]
        for thread in self._threads:
            thread.start()

    def _camera(self) -> list[str]:
        """ffmpeg's arguments for the camera of this system. (Only Linux was tried.)"""
        if sys.platform == "darwin":
            return ["-f", "avfoundation", "-framerate", "30", "-i", self._spec or "0"]
        if sys.platform == "win32":
            if not self._spec:
                fix = "List them with: ffmpeg -hide_banner -list_devices true -f dshow -i dummy, and give the name"
                raise ImageUnavailable(_WHAT, "a camera has no number here, only a name", f"{fix}, {SEND_A_FILE}")
            return ["-f", "dshow", "-i", f"video={self._spec.removeprefix('video=')}"]
        device = self._spec or "/dev/video0"
        if device.isascii() and device.isdecimal():
            device = f"/dev/video{device}"
        if not os.path.exists(device):
            why = f"there is no {one_line(device)}"
            raise ImageUnavailable(_WHAT, why, self._fix(why))
        return ["-f", "v4l2", "-i", device]

    def _read(self, out: IO[bytes], errors: threading.Thread) -> None:
        """Until ffmpeg ends. A thread of its own."""
        with io.BufferedReader(out) as stream:  # type: ignore[type-var]
            for data in _pictures(stream):
                self.put(Picture(data, "image/jpeg", *size_of(data, "image/jpeg")))
                self._received += 1
                self._ready.set()
        errors.join(2)
        assert self._process is not None
        if not self._closed:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
        if self._received and not self._closed:
            why = self._why()
            self._lose(ImageUnavailable("no more pictures of the camera", why, self._fix(why)))
        self._ready.set()

    def _read_errors(self, err: IO[bytes]) -> None:
        with err:
            while piece := err.read(4096):
                self._errors = (self._errors + piece)[-4096:]

    def _why(self) -> str:
        """ffmpeg's last line, without the address of the part that wrote it."""
        line = re.sub(r"^(\[[^]]* @ 0x[0-9a-f]+\] )+", "", process.last_line(self._errors))
        code = self._process.returncode if self._process is not None else None
        return line or (f"ffmpeg ended with {code}" if code else "ffmpeg came to the end of its input")

    def _fix(self, why: str) -> str:
        if self._source is not None:
            fix = "Try its arguments with ffmpeg itself"
        elif "busy" in why.lower():
            fix = "Close the program that uses the camera"
        elif "ermission" in why or "not permitted" in why:
            fix = "Get permission to use it: on Linux sudo usermod -aG video $USER and log in again, on macOS in Privacy"
        elif sys.platform == "linux":
            have = ", ".join(one_line(name) for name in sorted(glob.glob("/dev/video*"))[:10])
            fix = f"Choose one of {have}" if have else "Connect a camera: there is no /dev/video*"
        else:
            fix = "Connect the camera, or choose another"
        return f"{fix}, {SEND_A_FILE}"


def _install() -> str:
    if sys.platform == "darwin":
        return "brew install ffmpeg"
    if sys.platform == "win32":
        return "winget install ffmpeg"
    return "apt-get install ffmpeg (Debian/Ubuntu), dnf install ffmpeg-free (Fedora), pacman -S ffmpeg (Arch)"


def _pictures(stream: IO[bytes], most: int = _MOST_BYTES) -> Iterator[bytes]:
    """The pictures of ffmpeg's multipart stream, in which each has its length; those larger than `most` are skipped."""
    size = 0
    while line := stream.readline(1024):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
        elif not line.strip() and size:
            if size <= most and len(data := stream.read(size)) == size:
                yield data
            elif size > most:
                while skipped := len(stream.read(min(size, most))):
                    size -= skipped
            size = 0
