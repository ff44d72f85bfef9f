"""A sound card for tests: a PulseAudio of our own, with a silent sink whose sound can be recorded.

    with PulseServer() as server:
        with server.record() as recording:
            subprocess.run([..., "play something"], env={**os.environ, **server.env})
        samples = array("h", recording.pcm)

- Its own folder, socket and process: a server of the user is neither used nor disturbed. No real-time priority.
- What is played at 24 kHz, mono, s16le is recorded exactly, sample for sample; other rates are resampled by Pulse.
- `env` has to be set before PortAudio starts, so play in a child process.
- Every wait is bounded, and what was started is stopped by its own process id.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from livews import process as processes
from tests.kit.names import ROOT

RATE = 24000
NEEDED = ("pulseaudio", "pactl", "parec")

# norewinds: without it the first 20 ms of a new stream are missing from the monitor.
SCRIPT = """
load-module module-native-protocol-unix socket={folder}/native auth-anonymous=1 auth-cookie-enabled=0
load-module module-null-sink norewinds=1 sink_name=spk rate=24000 channels=1 format=s16le
load-module module-null-sink norewinds=1 sink_name=micin rate=16000 channels=1 format=s16le
load-module module-remap-source master=micin.monitor source_name=mic rate=16000 channels=1
set-default-sink spk
set-default-source mic
"""


class NoPulse(Exception):
    """This machine cannot run the sound tests, and why."""


class Recording:
    """The monitor of a sink while the `with` block of `PulseServer.record` runs; then `pcm` holds the bytes."""

    def __init__(self, file: Path) -> None:
        self.pcm = b""
        self._file = file

    @property
    def size(self) -> int:
        """Bytes recorded so far."""
        return self._file.stat().st_size if self._file.exists() else 0


class PulseServer:
    """`spk` is the default sink, `mic` the default source: what is played into `micin` is heard there."""

    def __init__(self) -> None:
        missing = [name for name in NEEDED if shutil.which(name) is None]
        if missing:
            raise NoPulse(f"{', '.join(missing)} not installed (apt-get install pulseaudio pulseaudio-utils)")
        self.folder = Path(tempfile.mkdtemp(prefix="livews-pulse-"))  # short: a socket path has 108 bytes
        self.env = {
            "PULSE_SERVER": f"unix:{self.folder}/native",
            "PULSE_RUNTIME_PATH": str(self.folder),
            "PULSE_COOKIE": str(self.folder / "cookie"),
        }
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        script = self.folder / "server.pa"
        script.write_text(SCRIPT.format(folder=self.folder))
        command = [
            "pulseaudio", "-n", "-F", str(script), "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1",
            "--disallow-exit=yes", "--realtime=no", "--high-priority=no", f"--log-target=file:{self.folder}/log",
        ]  # fmt: skip
        home = {**self.environ, "HOME": str(self.folder)}
        self._process = subprocess.Popen(command, env=home, stdin=subprocess.DEVNULL)
        try:
            wait_until(self._ready, 10, "pulseaudio does not start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *about: object) -> None:
        stop(self._process)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a process that plays and records here."""
        return {**os.environ, **self.env}

    @contextlib.contextmanager
    def record(self, sink: str = "spk") -> Iterator[Recording]:
        file = self.folder / f"{sink}-{time.monotonic_ns()}.pcm"
        command = [
            "parec", f"--device={sink}.monitor", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1",
            "--latency-msec=20", str(file),
        ]  # fmt: skip
        recording = Recording(file)
        process = subprocess.Popen(command, env=self.environ, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: recording.size > 0, 5, "parec records nothing")
            yield recording
            time.sleep(0.3)  # the monitor is behind the sink
        finally:
            stop(process)
        recording.pcm = file.read_bytes()

    def check_portaudio(self) -> None:
        """Raise `NoPulse` when PortAudio does not find this server."""
        probe = "from livews.audio.portaudio import OUTPUT; OUTPUT.device('pulse')"
        done = subprocess.run(
            [sys.executable, "-c", probe],
            cwd=ROOT, env=self.environ, capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NoPulse(f"PortAudio cannot use PulseAudio: {done.stderr.strip().splitlines()[-1]}")

    def kill(self) -> None:
        """What an unplugged device looks like."""
        self._process.kill()
        self._process.wait(5)

    def loop_back(self) -> None:
        """From here on the microphone hears the loudspeaker, as it does on a laptop."""
        subprocess.run(
            ["pactl", "load-module", "module-loopback", "source=spk.monitor", "sink=micin", "latency_msec=60"],
            env=self.environ, check=True, capture_output=True, timeout=10,
        )  # fmt: skip

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """What a device that stalls looks like: the server is there, and does nothing."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _ready(self) -> bool:
        if self._process.poll() is not None:
            log = self.folder / "log"
            raise NoPulse(f"pulseaudio ended at once: {log.read_text() if log.exists() else 'no log'}")
        asked = subprocess.run(
            ["pactl", "get-default-source"],
            env=self.environ, capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
        return asked.stdout.strip() == "mic"


def wait_until(ready: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise NoPulse(otherwise)
        time.sleep(0.01)


def stop(process: subprocess.Popen[bytes]) -> None:
    processes.stop(process, patience=5)
