"""Audio output without PortAudio: the system's own player, a child process that is fed through a pipe.

- It keeps the promises of `portaudio.Stream`: `fill` and `finished` are called in one thread, `finished` once.
- A player counts as working when it has taken audio, not when it has started: without a sound server it starts too.
- Its reading is the clock. The pipe has one page, which takes a block only when it is empty: what waits there is at
  most one block, because it delays a barge-in, and at each `fill` nothing waits but what the player itself holds.
  The monotonic clock is the limit: a player that reads faster than real time gets at most half a second more.
- Every wait is bounded, and the child is stopped by its own process id.
- When it ends, the last line of its stderr is the reason. That goes to a file, so the player never waits for us.
"""

import contextlib
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from livews import process
from livews.audio.analysis.pcm import SAMPLE_BYTES
from livews.audio.portaudio import KEEP_IT, AudioUnavailable

BLOCK_SECONDS = 0.040
PROOF = 8192  # bytes; paplay takes 4096 before it has a server, so more than that is proof of one
PATIENCE = 2.0  # seconds a player may accept no audio, at the start or later
AHEAD = 0.5  # seconds a player may be ahead of the monotonic clock
FASTER = 1.02  # no clock of a sound card is off by more


@dataclass(frozen=True, slots=True)
class ExternalPlayer:
    """A program that plays s16le mono from its stdin. `{rate}` is in Hz, `{ms}` and `{us}` are the requested latency."""

    name: str
    arguments: str  # separated by spaces
    package: str  # of Debian and Ubuntu
    raw_flag: bool = False  # newer versions expect a file with a header unless given `--raw`


# paplay first: its server is the most common, PipeWire's included, and it says nothing while it plays.
PLAYERS = (
    ExternalPlayer(
        "paplay",
        "--raw --format=s16le --rate={rate} --channels=1 --latency-msec={ms} --process-time-msec=20 "
        "--client-name=livews --stream-name=voice",
        "pulseaudio-utils",
    ),
    ExternalPlayer(
        "pw-play", "--rate={rate} --channels=1 --format=s16 --latency={ms}ms -", "pipewire-bin", raw_flag=True
    ),
    ExternalPlayer(
        "aplay", "-q -t raw -f S16_LE -r {rate} -c 1 --buffer-time={us} --period-time=20000 -", "alsa-utils"
    ),
)


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


class PlayerStream:
    """A player at work, with the interface of `portaudio.Stream`: s16le mono at `rate` Hz, `latency` seconds requested.

    Raises OSError where it does not start.
    """

    def __init__(self, player: ExternalPlayer, rate: int, latency: float) -> None:
        self.name = player.name
        self.latency = latency + BLOCK_SECONDS
        """Seconds that player and pipe hold: as requested, since no player reports what it was granted."""
        self.why = ""
        """Why it ended, "" while it plays."""
        self._delay = latency
        self._block_bytes = round(BLOCK_SECONDS * rate) * SAMPLE_BYTES
        self._due = 0.0  # when the next block may be written
        self._closing = False
        self._thread: threading.Thread | None = None
        self._process, self._errors = process.start_logged(_command(player, rate, latency), stdin=subprocess.PIPE)
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        import fcntl

        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, 1)  # rounded up to a page

    def prove(self) -> bool:
        """Feed silence until enough of it was taken; False: it was stopped, see `why`."""
        for _ in range(0, PROOF, self._block_bytes):
            self._write(lambda block, delay: None)
            if self.why:
                self._stop()
                return False
        return True

    def feed(self, fill: Callable[[memoryview, float], None], finished: Callable[[], None]) -> None:
        """Play what `fill` gives, in a thread of its own, until the end; then call `finished`."""

        def run() -> None:
            try:
                while not self._closing and not self.why:
                    self._write(fill)
            finally:
                self._stop()
                finished()

        self._thread = threading.Thread(target=run, name="livews-player", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Cut what player and pipe still hold. Blocks for some milliseconds, two seconds at most."""
        self._closing = True
        process.stop(self._process, patience=0.3)
        if self._thread is not None:
            self._thread.join(2)

    def _write(self, fill: Callable[[memoryview, float], None]) -> None:
        """Give it the next block when it has taken the one before, or find out `why` that is not possible."""
        time.sleep(max(0.0, self._due - time.monotonic()))
        if not select.select([], [self._pipe], [], PATIENCE)[1]:
            self.why = process.last_line(self._errors) or f"it accepted no audio for {PATIENCE:g} s"
            return
        self._due = max(self._due, time.monotonic() - AHEAD) + BLOCK_SECONDS / FASTER
        block = memoryview(bytearray(self._block_bytes))
        fill(block, self._delay)
        try:
            self._pipe.write(block)
        except BrokenPipeError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
            if not self._closing:
                code = self._process.returncode
                self.why = process.last_line(self._errors) or f"it ended with exit code {code}"

    def _stop(self) -> None:
        self._pipe.close()
        process.stop(self._process, patience=0.3)
        self._errors.close()


def open_player(
    *,
    rate: int,
    fill: Callable[[memoryview, float], None],
    finished: Callable[[], None],
    latency: float = 0.060,
    players: Sequence[ExternalPlayer] | None = None,
) -> PlayerStream:
    """Start the first player that accepts audio: s16le mono at `rate` Hz, with `latency` seconds requested.

    `fill(block, delay)` is called in a thread of ours for every 40 ms, with the seconds until it is heard, as near
    as can be known. `finished()` is called there once, when the stream ends for any reason. `players`: those to try,
    None for all that are installed. Blocks for some 100 ms, at most two seconds for each player that hangs. Raises
    NoPlayer.
    """
    tried: dict[str, str] = {}
    for player in installed_players() if players is None else players:
        try:
            stream = PlayerStream(player, rate, latency)
        except OSError as problem:
            tried[player.name] = problem.strerror or str(problem)
            continue
        if stream.prove():
            stream.feed(fill, finished)
            return stream
        tried[player.name] = stream.why
    if tried:
        why = "; ".join(f"{name}: {reason}" for name, reason in tried.items())
        raise NoPlayer(why, f"Start the sound server (PipeWire, PulseAudio), {KEEP_IT}", tuple(tried))
    names = ", ".join(player.name for player in PLAYERS)
    packages = ", ".join(player.package for player in PLAYERS)
    raise NoPlayer(f"none of {names} is installed", f"Install one (Debian/Ubuntu: {packages}), {KEEP_IT}")


def _command(player: ExternalPlayer, rate: int, latency: float) -> list[str]:
    values = {"rate": rate, "ms": round(1000 * latency), "us": round(1_000_000 * latency)}
    raw = ["--raw"] if player.raw_flag and _knows_raw(player.name) else []
    return [player.name, *raw, *player.arguments.format(**values).split()]


def _knows_raw(name: str) -> bool:
    """Whether its help has an option `--raw`: pw-play has it since 1.0, and needs it since then."""
    try:
        result = subprocess.run([name, "--help"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"--raw" in result.stdout + result.stderr
