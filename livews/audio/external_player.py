"""Audio output without PortAudio: the system's own player, a child process that is fed through a pipe.

- It keeps the promises of `portaudio.open_output`: `fill` and `finished` are called in one thread, `finished` once.
- A player counts as working when it has taken audio, not when it has started: without a sound server it starts too.
- Its reading is the clock: the pipe is topped up to 40 ms and no further, because what lies in it delays a barge-in.
  The monotonic clock is the limit: a player that reads faster than real time gets at most half a second more.
- Every wait is bounded, and the child is stopped by its own process id, by the thread that feeds it.
- When it ends, the last line of its stderr is the reason.
"""

from __future__ import annotations

import array
import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from livews import process
from livews.audio.analysis.pcm import SAMPLE_BYTES, seconds_of
from livews.audio.portaudio import KEEP_IT, AudioUnavailable

PIPE_SECONDS = 0.040  # kept in the pipe: two blocks
BLOCK_SECONDS = 0.020
STEP = 0.010  # how often the pipe is looked at
PROOF = 8192  # bytes; paplay takes 4096 before it has a server, so more than that is proof of one
PATIENCE = 2.0  # seconds a player may accept no audio, at the start or later
AHEAD = 0.5  # seconds a player may be ahead of the monotonic clock
FASTER = 1.02  # no clock of a sound card is off by more
_PIPE_SIZE = 16384  # not smaller: a page that was half read takes nothing until it is empty


@dataclass(frozen=True, slots=True)
class ExternalPlayer:
    """A program that plays s16le mono from its stdin. `{rate}` is in Hz, `{ms}` and `{us}` are the requested latency."""

    name: str
    arguments: tuple[str, ...]
    package: str  # of Debian and Ubuntu
    raw_flag: bool = False  # newer versions expect a file with a header unless given `--raw`


# paplay first: its server is the most common, PipeWire's included, and it says nothing while it plays.
PLAYERS = (
    ExternalPlayer(
        "paplay",
        (
            "--raw", "--format=s16le", "--rate={rate}", "--channels=1", "--latency-msec={ms}",
            "--process-time-msec=20", "--client-name=livews", "--stream-name=voice",
        ),
        "pulseaudio-utils",
    ),
    ExternalPlayer(
        "pw-play",
        ("--rate={rate}", "--channels=1", "--format=s16", "--latency={ms}ms", "-"),
        "pipewire-bin",
        raw_flag=True,
    ),
    ExternalPlayer(
        "aplay",
        (
            "-q", "-t", "raw", "-f", "S16_LE", "-r", "{rate}", "-c", "1", "--buffer-time={us}",
            "--period-time=20000", "-",
        ),
        "alsa-utils",
    ),
)  # fmt: skip


class NoPlayer(AudioUnavailable):
    """No external player can play. `tried` are the names of those that are installed, `why` has the error of each."""

    def __init__(self, why: str, fix: str, tried: Sequence[str] = ()) -> None:
        super().__init__("no sound", why, fix)
        self.tried = tuple(tried)


def installed_players() -> list[ExternalPlayer]:
    """The players that are installed here, in the order they are tried. Windows and macOS have none that streams."""
    if sys.platform in ("win32", "darwin"):
        return []
    return [player for player in PLAYERS if shutil.which(player.name)]


def open_player(
    *,
    rate: int,
    fill: Callable[[memoryview, float], None],
    finished: Callable[[], None],
    latency: float = 0.060,
    players: Sequence[ExternalPlayer] | None = None,
) -> PlayerStream:
    """Start the first player that accepts audio: s16le mono at `rate` Hz, with `latency` seconds requested.

    `fill(block, delay)` is called in a thread of ours for every 20 ms, with the seconds until it is heard, as near
    as can be known. `finished()` is called there once, when the stream ends for any reason. `players`: those to try,
    None for all that are installed. Blocks for some 100 ms, at most two seconds for each player that hangs. Raises
    NoPlayer.
    """
    tried: dict[str, str] = {}
    for player in installed_players() if players is None else players:
        stream = PlayerStream(player, rate, latency)
        if stream._prove():
            stream._feed(fill, finished)
            return stream
        tried[player.name] = stream.why
    if tried:
        why = "; ".join(f"{name}: {reason}" for name, reason in tried.items())
        raise NoPlayer(why, f"Start the sound server (PipeWire, PulseAudio), {KEEP_IT}", tuple(tried))
    names = ", ".join(player.name for player in PLAYERS)
    packages = ", ".join(player.package for player in PLAYERS)
    raise NoPlayer(f"none of {names} is installed", f"Install one (Debian/Ubuntu: {packages}), {KEEP_IT}")


class PlayerStream:
    """A player at work, with the interface of `portaudio.Stream`. Made by `open_player`."""

    def __init__(self, player: ExternalPlayer, rate: int, latency: float) -> None:
        self.name = player.name
        self.latency = latency + PIPE_SECONDS
        """Seconds that player and pipe hold: as requested, since no player reports what it was granted."""
        self.why = ""
        """Why it ended, "" while it plays."""
        self._rate = rate
        self._player_latency = latency
        self._block = round(BLOCK_SECONDS * rate) * SAMPLE_BYTES
        self._full = round(PIPE_SECONDS * rate) * SAMPLE_BYTES
        self._rest = memoryview(b"")  # of a block that did not fit into the pipe
        self._written = self._taken = 0
        self._taken_at = self._counted_at = time.monotonic()
        self._allowed = AHEAD * rate * SAMPLE_BYTES
        self._errors = b""
        self._closing = False
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        try:
            argv = _command(player, rate, latency)
            self._process = process.start(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
            self._set_up_pipes()
        except OSError as problem:
            self.why = problem.strerror or str(problem)
            self._stop()

    def close(self) -> None:
        """Cut what player and pipe still hold. Blocks for some milliseconds, two seconds at most."""
        self._closing = True
        if self._thread is not None:
            self._thread.join(2)

    def _set_up_pipes(self) -> None:
        import fcntl

        stdin, stderr = self._pipes()
        for pipe in (stdin, stderr):
            os.set_blocking(pipe.fileno(), False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            # Only a second limit: `_level` is the first.
            with contextlib.suppress(OSError):
                fcntl.fcntl(stdin.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_SIZE)

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        return self._process.stdin, self._process.stderr

    def _prove(self) -> bool:
        """Feed silence until enough of it was taken; False: see `why`."""
        while not self.why and self._taken < PROOF:
            self._step(lambda block, delay: None)
            time.sleep(STEP)
        if self.why:
            self._stop()
        return not self.why

    def _feed(self, fill: Callable[[memoryview, float], None], finished: Callable[[], None]) -> None:
        def run() -> None:
            try:
                while not self._closing and not self.why:
                    self._step(fill)
                    time.sleep(STEP)
            finally:
                self._stop()
                finished()

        self._thread = threading.Thread(target=run, name="livews-player", daemon=True)
        self._thread.start()

    def _step(self, fill: Callable[[memoryview, float], None]) -> None:
        """Top the pipe up, or find out `why` that is not possible."""
        assert self._process is not None
        self._read_errors()
        if self._process.poll() is not None:
            self.why = self._last_error() or f"it ended with exit code {self._process.returncode}"
            return
        now = time.monotonic()
        self._allowed += (now - self._counted_at) * self._rate * SAMPLE_BYTES * FASTER
        self._allowed = min(self._allowed, AHEAD * self._rate * SAMPLE_BYTES)
        self._counted_at = now
        level = self._level()
        if self._written - level > self._taken:
            self._taken, self._taken_at = self._written - level, now
        elif now - self._taken_at > PATIENCE:
            self.why = self._last_error() or f"it accepted no audio for {PATIENCE:g} s"
            return
        while level < self._full and self._allowed >= self._block:
            if not self._rest:
                block = memoryview(bytearray(self._block))
                fill(block, seconds_of(level, self._rate) + self._player_latency)
                self._rest = block
            try:
                size = self._pipes()[0].write(self._rest) or 0
            except BrokenPipeError:  # the next step finds it ended, and knows why
                size = 0
            if not size:
                return
            self._rest = self._rest[size:]
            self._written += size
            self._allowed -= size
            level += size

    def _level(self) -> int:
        """Bytes in the pipe."""
        import fcntl
        import termios

        count = array.array("i", [0])
        try:
            fcntl.ioctl(self._pipes()[0].fileno(), termios.FIONREAD, count)
        except OSError:
            return 0  # not known on this system: the clock's limit and the pipe's size apply
        return count[0]

    def _read_errors(self) -> None:
        """Read its stderr, so that it never waits for us."""
        with contextlib.suppress(OSError):
            while text := self._pipes()[1].read(4096):
                self._errors = (self._errors + text)[-4096:]

    def _last_error(self) -> str:
        self._read_errors()
        return process.last_line(self._errors)

    def _stop(self) -> None:
        if self._process is None:
            return
        stdin, stderr = self._pipes()
        with contextlib.suppress(OSError):
            stdin.close()
        process.stop(self._process, patience=0.3)
        stderr.close()


def _command(player: ExternalPlayer, rate: int, latency: float) -> list[str]:
    values = {"rate": rate, "ms": round(1000 * latency), "us": round(1_000_000 * latency)}
    raw = ["--raw"] if player.raw_flag and _knows_raw(player.name) else []
    return [player.name, *raw, *(argument.format(**values) for argument in player.arguments)]


def _knows_raw(name: str) -> bool:
    """Whether its help has an option `--raw`: pw-play has it since 1.0, and needs it since then."""
    try:
        result = subprocess.run([name, "--help"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"--raw" in result.stdout + result.stderr
