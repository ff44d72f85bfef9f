"""Sound without PortAudio: the system's own player, a child process that is fed through a pipe.

- It keeps the promises of `device.open_output`: `fill` and `finished` are called in one thread, `finished` once.
- A player is believed when it has taken sound, not when it has started: without a server it starts just as well.
- Its reading is the clock: the pipe is topped up to 40 ms and no further, because what lies in it delays a barge-in.
  The monotonic clock is the bound: who swallows sound faster than time gets what time allows, and half a second.
- Every wait is bounded, and the child is ended by its own process id, by the thread that feeds it.
- The last line of its stderr is told, and nothing in it can move a cursor.
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

from livews.audio.analysis.pcm import SAMPLE_BYTES, seconds_of
from livews.audio.portaudio import KEEP_IT, AudioUnavailable

PIPE_SECONDS = 0.040  # kept in the pipe: two blocks
BLOCK_SECONDS = 0.020
STEP = 0.010  # how often the pipe is looked at
PROOF = 8192  # bytes; paplay takes 4096 before it has a server, so more than that is proof of one
PATIENCE = 2.0  # how long a player may take no sound, at the start or later
AHEAD = 0.5  # seconds a player may be ahead of the monotonic clock
FASTER = 1.02  # no clock of a sound card is off by more
_PIPE_SIZE = 16384  # not smaller: a page that was half read takes nothing until it is empty
_LAST_WORDS = 200


@dataclass(frozen=True, slots=True)
class ExternalPlayer:
    """A program that plays s16le mono from its stdin. `{rate}` is in Hz, `{ms}` and `{us}` are the latency asked for."""

    name: str
    arguments: tuple[str, ...]
    package: str  # of Debian and Ubuntu
    raw_flag: bool = False  # newer versions expect a file with a header unless told `--raw`


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
    """None of the players plays. `tried` are the names of those that are installed, `why` has what each said."""

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
    """Start the first player that takes sound: s16le mono at `rate` Hz, asked to hold `latency` seconds.

    `fill(block, delay)` is called in a thread of ours for every 20 ms, with the seconds until it is heard, as near
    as can be known. `finished()` is called there once, when the stream ends for whatever reason. Blocks for some
    100 ms, at most two seconds for each player that hangs. NoPlayer says what every player said.
    """
    tried: dict[str, str] = {}
    for player in installed_players() if players is None else players:
        stream = PlayerStream(player, rate, latency)
        if stream._prove():
            stream._feed(fill, finished)
            return stream
        tried[player.name] = stream.why
    if tried:
        why = "; ".join(f"{name}: {words}" for name, words in tried.items())
        raise NoPlayer(why, f"Start the sound server (PipeWire, PulseAudio), {KEEP_IT}", tuple(tried))
    names = ", ".join(player.name for player in PLAYERS)
    packages = ", ".join(player.package for player in PLAYERS)
    raise NoPlayer(f"none of {names} is installed", f"Install one (Debian/Ubuntu: {packages}), {KEEP_IT}")


class PlayerStream:
    """A player at work: an `OutputStream`. Made by `open_player`."""

    def __init__(self, player: ExternalPlayer, rate: int, latency: float) -> None:
        self.name = player.name
        self.latency = latency + PIPE_SECONDS
        """Seconds that player and pipe hold: asked for, since no player tells what it was granted."""
        self.why = ""
        """Why it ended, "" while it plays."""
        self._rate = rate
        self._held = latency
        self._block = round(BLOCK_SECONDS * rate) * SAMPLE_BYTES
        self._full = round(PIPE_SECONDS * rate) * SAMPLE_BYTES
        self._rest = memoryview(b"")  # of a block that did not fit
        self._written = self._taken = 0
        self._taken_at = self._counted_at = time.monotonic()
        self._allowed = AHEAD * rate * SAMPLE_BYTES
        self._said = b""
        self._closing = False
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(
                _command(player, rate, latency),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us: the end of a voice is ours to decide
            )
            self._prepare(self._process)
        except OSError as problem:
            self.why = problem.strerror or str(problem)
            self._stop()

    def close(self) -> None:
        """Cut what player and pipe still hold. Blocks for some milliseconds, two seconds at the worst."""
        self._closing = True
        if self._thread is not None:
            self._thread.join(2)

    def _prepare(self, process: subprocess.Popen[bytes]) -> None:
        import fcntl

        assert process.stdin is not None
        assert process.stderr is not None
        for pipe in (process.stdin, process.stderr):
            os.set_blocking(pipe.fileno(), False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            # Only a second bound: `_level` is the first.
            with contextlib.suppress(OSError):
                fcntl.fcntl(process.stdin.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_SIZE)

    def _prove(self) -> bool:
        """Feed silence until enough of it was taken; False: `why`."""
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
        """Top the pipe up, or find out `why` that cannot be done."""
        process = self._process
        assert process is not None
        self._listen()
        if process.poll() is not None:
            self.why = self._last_words() or f"it ended with exit code {process.returncode}"
            return
        now = time.monotonic()
        self._allowed += (now - self._counted_at) * self._rate * SAMPLE_BYTES * FASTER
        self._allowed = min(self._allowed, AHEAD * self._rate * SAMPLE_BYTES)
        self._counted_at = now
        level = self._level()
        if self._written - level > self._taken:
            self._taken, self._taken_at = self._written - level, now
        elif now - self._taken_at > PATIENCE:
            self.why = self._last_words() or f"it takes no sound for {PATIENCE:g} s"
            return
        while level < self._full and self._allowed >= self._block:
            if not self._rest:
                block = memoryview(bytearray(self._block))
                fill(block, seconds_of(level, self._rate) + self._held)
                self._rest = block
            sent = self._write(self._rest)
            if not sent:
                return
            self._rest = self._rest[sent:]
            self._written += sent
            self._allowed -= sent
            level += sent

    def _write(self, block: memoryview) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            return self._process.stdin.write(block) or 0
        except BrokenPipeError:  # the next step finds it ended, and knows why
            return 0

    def _level(self) -> int:
        """Bytes in the pipe."""
        import fcntl
        import termios

        assert self._process is not None
        assert self._process.stdin is not None
        count = array.array("i", [0])
        try:
            fcntl.ioctl(self._process.stdin.fileno(), termios.FIONREAD, count)
        except OSError:
            return 0  # not known here: the clock's bound and the pipe's size hold
        return count[0]

    def _listen(self) -> None:
        """Read its stderr, so that it never waits for us."""
        assert self._process is not None
        assert self._process.stderr is not None
        with contextlib.suppress(OSError):
            while said := self._process.stderr.read(4096):
                self._said = (self._said + said)[-4096:]

    def _last_words(self) -> str:
        self._listen()
        lines = [line for line in self._said.decode(errors="replace").splitlines() if line.strip()]
        return _shown(lines[-1].strip()) if lines else ""

    def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(0.3)
            except subprocess.TimeoutExpired:
                process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)
        with contextlib.suppress(OSError):
            if process.stderr is not None:
                process.stderr.close()


def _command(player: ExternalPlayer, rate: int, latency: float) -> list[str]:
    values = {"rate": rate, "ms": round(1000 * latency), "us": round(1_000_000 * latency)}
    raw = ["--raw"] if player.raw_flag and _knows_raw(player.name) else []
    return [player.name, *raw, *(argument.format(**values) for argument in player.arguments)]


def _knows_raw(name: str) -> bool:
    """Is there a flag `--raw` in its help? pw-play has it since 1.0 and needs it since then."""
    try:
        done = subprocess.run([name, "--help"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"--raw" in done.stdout + done.stderr


def _shown(text: str) -> str:
    """On one line, without anything that moves a cursor or turns text around."""
    safe = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
    return safe if len(safe) <= _LAST_WORDS else safe[: _LAST_WORDS - 1] + "…"
