"""A camera as pictures, through a child process of ffmpeg.

- ffmpeg opens the camera, scales and encodes; we cut its output into pictures by JPEG's own structure.
- What is held is bounded: one picture being received (8 MB at most), one waiting, a page of ffmpeg's complaints.
- `start` and `close` block, for a bounded time. The child is ours alone and is stopped by its own process id.
- A lost camera is told once and is final. `close()` is no loss.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO

from livews.media.image_file import size_of
from livews.media.picture import MOST_PIXELS, QUALITY, ImageUnavailable, LatestPicture, Picture, escaped

SEND_A_FILE = "or send a file with --image FILE"
_WAIT = 10.0  # seconds until the first picture: a camera needs one to three
_WHAT = "no picture of the camera"
_MOST_HELD = 8_000_000
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
# In the entropy-coded data of a scan: a marker, but for stuffed bytes, filling and restarts.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Camera:
    """Pictures of a camera as JPEG, at most every `every` seconds (1 at least), scaled to `most_pixels`.

    `spec` is a device or its number, "" for the first: /dev/video0 on Linux, 0 on macOS; on Windows its name.
    `source` are ffmpeg arguments for another input, as in ["-re", "-f", "lavfi", "-i", "testsrc"].
    `on_lost(why)` is called once when the camera goes away, from another thread: use `loop.call_soon_threadsafe`.
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
        self.lost: ImageUnavailable | None = None
        self._spec = spec.strip()
        self._most_pixels = most_pixels
        self._quality = quality
        self._source = source
        self._on_lost = on_lost
        self._newest = LatestPicture(every)
        self._starting = threading.Lock()  # one start or close at a time
        self._first = threading.Event()  # the first picture is there, or will not come
        self._seen = 0
        self._closed = False
        self._said = b""  # the end of what ffmpeg wrote to stderr
        self._process: subprocess.Popen[bytes] | None = None
        self._threads: list[threading.Thread] = []

    @property
    def skipped(self) -> int:
        """Pictures that were made and that nobody took."""
        return self._newest.skipped

    @property
    def pid(self) -> int | None:
        """Of ffmpeg while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def start(self) -> None:
        """Open the camera and wait for its first picture. Blocks; raises `NoPicture`."""
        with self._starting:
            if self._process is not None or self._closed:
                return
            self._spawn()
        try:
            came = self._first.wait(_WAIT)
        except BaseException:
            self.close()
            raise
        if self._seen or self._closed:
            return
        why = self._why() if came else f"none came for {_WAIT:.0f} s"
        self.close()
        raise ImageUnavailable(_WHAT, why, self._cure(why))

    async def frames(self) -> AsyncIterator[Picture]:
        """The newest picture, at most every second, until `close()` or until the camera is lost. One reader."""
        async for picture in self._newest.frames():
            yield picture

    def close(self) -> None:
        """Stop ffmpeg. Blocks, mostly for milliseconds, six seconds at most; may be called again."""
        with self._starting:
            self._closed = True
            self._newest.drop()
            self._first.set()
            if self._process is None:
                return
            self._process.terminate()
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:  # a camera driver that hangs
                self._process.kill()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(2)
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
            f"fps=1/{self._newest.every:g},"
            f"scale=w='min({most},iw)':h='min({most},ih)':force_original_aspect_ratio=decrease,format=yuvj420p"
        )
        # Measured: the scale 2 to 31 of ffmpeg gives files as large as Pillow's 75 at 4, 60 at 6, 90 at 2.
        scale = min(31, max(2, round((100 - self._quality) * 0.16)))
        # Threads encode several pictures at once, so each would come a whole picture, a second, late (measured).
        command = [
            program, "-hide_banner", "-nostdin", "-loglevel", "error", *source, "-an", "-vf", shape,
            "-c:v", "mjpeg", "-threads", "1", "-q:v", str(scale), "-f", "image2pipe", "-flush_packets", "1", "pipe:1",
        ]  # fmt: skip
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "AV_LOG_FORCE_NOCOLOR": "1"},
                # Ctrl-C is ours to answer: in its own group ffmpeg does not get it.
                start_new_session=sys.platform != "win32",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except (OSError, ValueError) as problem:
            why = f"ffmpeg does not start: {escaped(str(problem))}"
            raise ImageUnavailable(_WHAT, why, f"Look at {program}, {SEND_A_FILE}") from None
        out, err = self._process.stdout, self._process.stderr
        assert out is not None
        assert err is not None
        listening = threading.Thread(target=self._listen, args=(err,), name="livews-camera-errors", daemon=True)
        reading = threading.Thread(target=self._read, args=(out, listening), name="livews-camera", daemon=True)
        self._threads = [reading, listening]
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
            why = f"there is no {escaped(device)}"
            raise ImageUnavailable(_WHAT, why, self._cure(why))
        return ["-f", "v4l2", "-i", device]

    def _read(self, out: IO[bytes], listening: threading.Thread) -> None:
        """Until ffmpeg ends. A thread of its own."""
        cutter = JpegSplitter()
        with out:
            # Not read(): that waits until the whole of it is there.
            while piece := out.read1(65536):  # type: ignore[attr-defined]
                for data in cutter.feed(piece):
                    self._newest.put(Picture(data, "image/jpeg", *size_of(data, "image/jpeg")))
                    self._seen += 1
                    self._first.set()
        listening.join(2)
        assert self._process is not None
        if not self._closed:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
        if self._seen and not self._closed:
            why = self._why()
            self.lost = ImageUnavailable("no more pictures of the camera", why, self._cure(why))
            self._newest.end()
            if self._on_lost is not None:
                self._on_lost(self.lost)
        self._first.set()

    def _listen(self, err: IO[bytes]) -> None:
        with err:
            while piece := err.read1(4096):  # type: ignore[attr-defined]
                self._said = (self._said + piece)[-4096:]

    def _why(self) -> str:
        """ffmpeg's last line, without the address of the part that wrote it."""
        lines = self._said.decode("utf-8", "replace").strip().splitlines()
        said = escaped(re.sub(r"^(\[[^]]* @ 0x[0-9a-f]+\] )+", "", lines[-1])) if lines else ""
        code = self._process.returncode if self._process is not None else None
        return said or (f"ffmpeg ended with {code}" if code else "ffmpeg came to the end of its input")

    def _cure(self, why: str) -> str:
        if self._source is not None:
            fix = "Try its arguments with ffmpeg alone"
        elif "busy" in why.lower():
            fix = "Close the program that uses the camera"
        elif "ermission" in why or "not permitted" in why:
            fix = "Get leave to use it: on Linux sudo usermod -aG video $USER and log in again, on macOS in Privacy"
        elif sys.platform == "linux":
            have = ", ".join(escaped(name) for name in sorted(glob.glob("/dev/video*"))[:10])
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


class JpegSplitter:
    """Cuts a stream of JPEG pictures, in pieces of any size, into whole ones.

    A picture ends with its own end marker, not with one inside of a thumbnail or a comment. What is no picture is
    passed over; a picture larger than `most` bytes is given up.
    """

    def __init__(self, most: int = _MOST_HELD) -> None:
        self._most = most
        self._held = bytearray()
        self._at = 0  # how far it is understood; 0: no picture has begun
        self._in_scan = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The pictures that are whole now."""
        self._held += piece
        while True:
            if not self._at and not self._begin():
                return
            end = self._walk()
            if end > 0:
                yield bytes(self._held[:end])
                self._again(end)
            elif end < 0:
                self._again(2)  # not JPEG after all: look for the next beginning
            elif len(self._held) > self._most:
                self._again(len(self._held))
            else:
                return

    def _begin(self) -> bool:
        """Drop all before the next start of a picture."""
        start = self._held.find(b"\xff\xd8\xff")
        if start < 0:
            del self._held[: max(0, len(self._held) - 2)]  # two bytes of a start may be there
            return False
        del self._held[:start]
        self._at = 2
        return True

    def _again(self, drop: int) -> None:
        del self._held[:drop]
        self._at, self._in_scan = 0, False

    def _walk(self) -> int:
        """Where the picture ends; 0: more is needed; -1: this is no picture."""
        held = self._held
        while True:
            if self._in_scan:
                marker = _MARKER.search(held, self._at)
                if marker is None:
                    self._at = max(self._at, len(held) - 1)  # its last byte may begin one
                    return 0
                self._at, self._in_scan = marker.start(), False
            if len(held) < self._at + 2:
                return 0
            if held[self._at] != 0xFF:
                return -1
            code = held[self._at + 1]
            if code == 0xFF:  # filling
                self._at += 1
            elif code == _EOI:
                return self._at + 2
            elif code == _SOI or code < 0xC0 or 0xD0 <= code <= 0xD7:
                return -1
            elif len(held) < self._at + 4:
                return 0
            else:
                length = int.from_bytes(held[self._at + 2 : self._at + 4], "big")
                if length < 2:
                    return -1
                if len(held) < self._at + 2 + length:
                    return 0
                self._at += 2 + length
                self._in_scan = code == _SOS
