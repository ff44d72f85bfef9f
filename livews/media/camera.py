"""A camera as pictures, by a child process of ffmpeg.

- ffmpeg opens the camera, scales and encodes; its output is a multipart stream in which each picture has its length.
- Memory is bounded: one picture being received (8 MB at most), one waiting. ffmpeg's errors go to a file.
- `start` and `close` block, for a bounded time: close six seconds at most. The child is stopped by its own process id.
- A lost camera is reported once and is final. `close()` is no loss.
"""

import glob
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO

from livews import process
from livews.media.image_file import size_of
from livews.media.picture import LEAST_SECONDS, MOST_PIXELS, Picture, PictureSource
from livews.terminal_text import one_line

_MOST_BYTES = 8_000_000


class Camera(PictureSource):
    """Pictures of a camera as JPEG.

    `spec`: a device or its number, "" for the first: /dev/video0 on Linux, 0 on macOS; on Windows its name.
    `most_pixels`: of the longer side; larger pictures are scaled. `source`: ffmpeg arguments for another input, as in
    ["-re", "-f", "lavfi", "-i", "testsrc"].
    """

    subject = "camera"
    instead = "or send a file with --image FILE"
    late = "none came"

    def __init__(
        self, spec: str = "", *, most_pixels: int = MOST_PIXELS, source: Sequence[str] | None = None
    ) -> None:
        super().__init__(most_pixels=most_pixels)
        self._spec = spec.strip()
        self._source = source
        self._process: subprocess.Popen[bytes] | None = None

    def _open(self) -> None:
        program = shutil.which("ffmpeg")
        if program is None:
            raise self._refused("ffmpeg, which reads the camera, is not installed", _install())
        source = list(self._source) if self._source is not None else self._camera()
        most = self._most_pixels
        shape = (
            f"fps=1/{LEAST_SECONDS:g},"
            f"scale=w='min({most},iw)':h='min({most},ih)':force_original_aspect_ratio=decrease,format=yuvj420p"
        )
        # -q:v 4 gives files as large as Pillow's quality 75 (measured).
        # Threads encode several pictures at once, so each would come a whole picture, a second, late (measured).
        command = [
            program, "-hide_banner", "-nostdin", "-loglevel", "error", *source, "-an", "-vf", shape,
            "-c:v", "mjpeg", "-threads", "1", "-q:v", "4", "-f", "mpjpeg", "-flush_packets", "1", "pipe:1",
        ]  # fmt: skip
        try:
            self._process, self._log = process.start_logged(
                command, stdout=subprocess.PIPE, env={"AV_LOG_FORCE_NOCOLOR": "1"}
            )
        except (OSError, ValueError) as problem:
            why = f"ffmpeg does not start: {one_line(str(problem), 200)}"
            raise self._refused(why, f"Look at {program}") from None

    def _camera(self) -> list[str]:
        """ffmpeg's arguments for the camera of this system. (Only Linux was tried.)"""
        if sys.platform == "darwin":
            return ["-f", "avfoundation", "-framerate", "30", "-i", self._spec or "0"]
        if sys.platform == "win32":
            if not self._spec:
                fix = "List them with: ffmpeg -hide_banner -list_devices true -f dshow -i dummy, and give the name"
                raise self._refused("a camera has no number here, only a name", fix)
            return ["-f", "dshow", "-i", f"video={self._spec.removeprefix('video=')}"]
        device = self._spec or "/dev/video0"
        if device.isascii() and device.isdecimal():
            device = f"/dev/video{device}"
        if not os.path.exists(device):
            raise self._refused(f"there is no {one_line(device)}")
        return ["-f", "v4l2", "-i", device]

    def _capture(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._log, io.BufferedReader(self._process.stdout) as stream:  # type: ignore[type-var]
            for data in _pictures(stream):
                self.put(Picture(data, "image/jpeg", *size_of(data, "image/jpeg")))
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
            # without the address of the part of ffmpeg that wrote it
            line = re.sub(r"^(\[[^]]* @ 0x[0-9a-f]+\] )+", "", process.last_line(self._log))
        code = self._process.returncode
        raise self._refused(line or (f"ffmpeg ended with {code}" if code else "ffmpeg came to the end of its input"))

    def _interrupt(self) -> None:
        if self._process is not None:
            process.stop(self._process, patience=2)  # it is killed where a camera driver hangs

    def _fix(self, why: str) -> str:
        if self._source is not None:
            return "Try its arguments with ffmpeg itself"
        if "busy" in why.lower():
            return "Close the program that uses the camera"
        if "ermission" in why or "not permitted" in why:
            return "Get permission to use it: on Linux sudo usermod -aG video $USER and log in again, on macOS in Privacy"
        if sys.platform == "linux":
            have = ", ".join(one_line(name) for name in sorted(glob.glob("/dev/video*"))[:10])
            return f"Choose one of {have}" if have else "Connect a camera: there is no /dev/video*"
        return "Connect the camera, or choose another"


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
