"""Sound devices by PortAudio, and the one module that imports sounddevice.

- It is imported late, inside `load()`: without PortAudio the import fails, and half of livews needs no sound.
- No exception of sounddevice or PortAudio leaves this module: all become `AudioUnavailable`, which says what to do.
- Every call may block and may run in any thread; none belongs on an event loop. Streams are opened and closed one
  after another: PortAudio does not support two threads at once.
- PortAudio lists the devices once, when it is loaded: a sound server has to run before.
- The sound system may hang, and every call of it: `within` gives up waiting, and the process can still end.
- `AudioEndpoint` is what Speaker and Microphone have in common: one stream at a time, lost at most once.
"""

import atexit
import contextlib
import ctypes.util
import os
import platform
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from livews import process
from livews.errors import DeviceUnavailable

T = TypeVar("T")

OPEN_WITHIN = 10.0
CLOSE_WITHIN = 2.0
"""Seconds. A Bluetooth headset may take some to open; closing takes what the device holds."""

LIBRARY_VARIABLE = "LIVEWS_PORTAUDIO"
KEEP_IT = "or keep the voice in a file with --wav PATH"
SPEAK_A_FILE = "or let a WAV file speak with --mic=FILE.wav"

# (values of ID and ID_LIKE in /etc/os-release, name for people, command)
PACKAGES = (
    (("debian", "ubuntu"), "Debian/Ubuntu", "apt-get install libportaudio2"),
    (("fedora", "rhel", "centos"), "Fedora", "dnf install portaudio"),
    (("arch",), "Arch", "pacman -S portaudio"),
    (("alpine",), "Alpine", "apk add portaudio"),
    (("opensuse", "suse"), "openSUSE", "zypper install libportaudio2"),
)


_loading = threading.Lock()
_ports = threading.Lock()


class AudioUnavailable(DeviceUnavailable):
    """A loudspeaker or a microphone cannot be used, or was lost."""


class RateRefused(AudioUnavailable):
    """The device works, but not at this rate: its own, `Device.rate`, may do."""


@dataclass(frozen=True, slots=True)
class Device:
    """An input or an output; a headset is one of each."""

    index: int
    name: str
    host: str  # ALSA, Core Audio, Windows WASAPI ...
    channels: int
    rate: int  # its own; others are converted by most hosts


@dataclass(frozen=True, slots=True)
class AudioSide:
    """One of the two directions: its devices, and its words in PortAudio and in messages."""

    kind: Literal["output", "input"]
    stream: str  # sounddevice's class
    noun: str  # what there is none of, in errors
    works_at: str  # what the device does at its own rate
    connect: str
    instead: str  # what to do without

    @property
    def what(self) -> str:
        """The first line of an error."""
        return f"no {self.noun}"

    def devices(self) -> list[Device]:
        """The devices of this direction; may be empty. Raises `AudioUnavailable` without PortAudio."""
        sd = load(self.what, self.instead)
        try:
            hosts = [host["name"] for host in sd.query_hostapis()]
            entries = [entry for entry in sd.query_devices() if entry[f"max_{self.kind}_channels"] > 0]
        except sd.PortAudioError as error:
            raise AudioUnavailable("no list of sound devices", str(error), self._no_device_fix()) from error
        return [
            Device(
                index=entry["index"],
                name=entry["name"],
                host=hosts[entry["hostapi"]],
                channels=entry[f"max_{self.kind}_channels"],
                rate=int(entry["default_samplerate"]),
            )
            for entry in entries
        ]

    def device(self, spec: int | str | None = None) -> Device:
        """The device with an index, a name or a part of a name (any case); None is the default. Raises `AudioUnavailable`."""
        devices = self.devices()
        if not devices:
            raise AudioUnavailable(self.what, f"there is no {self.kind} device", self._no_device_fix())
        if spec is None:
            return self._default(devices)
        name = str(spec).strip()
        exact = [d for d in devices if name in (str(d.index), d.name)]
        matches = exact or [d for d in devices if name.lower() in d.name.lower()]
        if len(matches) == 1:
            return matches[0]
        why = f"{len(matches)} {self.kind} devices match" if matches else f"there is no such {self.kind} device"
        listed = ", ".join(f"{d.index}: {d.name}" for d in matches or devices)
        raise AudioUnavailable(f"{self.what} on {name!r}", why, f"Choose one of {listed}")

    def _default(self, devices: list[Device]) -> Device:
        sd = load(self.what, self.instead)
        try:
            index = sd.query_devices(kind=self.kind)["index"]
        except sd.PortAudioError:  # there are devices, but no default: the first is as good as any
            return devices[0]
        return next((d for d in devices if d.index == index), devices[0])

    def _no_device_fix(self) -> str:
        if sys.platform == "linux":
            return (
                "Start the sound server (PipeWire, PulseAudio) or, where it runs, install its ALSA plugin "
                f"(Debian/Ubuntu: libasound2-plugins or pipewire-alsa), {self.instead}"
            )
        fix = f"Connect {self.connect}, {self.instead}"
        return f"{fix}. {unmute_fix()}" if self.kind == "input" else fix


OUTPUT = AudioSide("output", "RawOutputStream", "sound", "plays", "loudspeakers or headphones", KEEP_IT)
INPUT = AudioSide("input", "RawInputStream", "microphone", "records", "a microphone", SPEAK_A_FILE)


class Stream:
    """An open stream of sounddevice that is running: s16le at `rate` Hz, with `latency` seconds requested.

    An output is mono: `handle(block, delay)` fills a block that is heard in `delay` seconds. An input is mono, or has
    as many channels as its device where that refuses mono: `handle(block, age)` takes a block whose last sample was
    captured `age` seconds ago. It is called in PortAudio's thread for every block of `blocksize` frames. `finished()`
    is called there once, when the stream ends for any reason. Raises `AudioUnavailable`, `RateRefused` where the rate
    is the problem.
    """

    def __init__(
        self,
        side: AudioSide,
        device: Device,
        *,
        rate: int,
        latency: float,
        blocksize: int,
        handle: Callable[[Any, float], None],
        finished: Callable[[], None],
    ) -> None:
        self.latency = latency
        """Seconds the device holds, or from a sound to its block, as granted."""
        self.channels = 1
        """1, except for an input that has no mono: its blocks have so many samples of each instant."""
        self._stream: Any = None

        # Only the difference of these times is meaningful: PortAudio's clock need not be ours. Hosts that do not know
        # one leave it at 0.
        def play(out: Any, frames: int, times: Any, status: Any) -> None:
            delay = times.outputBufferDacTime - times.currentTime
            handle(memoryview(out), delay if delay > 0 else self.latency)

        def record(data: Any, frames: int, times: Any, status: Any) -> None:
            # The time is that of the first sample. The bytes are PortAudio's again when this returns.
            first = times.currentTime - times.inputBufferAdcTime if times.inputBufferAdcTime > 0 else 0.0
            handle(bytes(data), max(0.0, (first if first > 0 else self.latency) - frames / rate))

        callback = play if side is OUTPUT else record
        options = {"blocksize": blocksize, "callback": callback, "finished_callback": finished}
        try:
            self._open(side, device, rate, 1, options)
        except AudioUnavailable as refused:
            if side is OUTPUT or device.channels < 2 or "number of channels" not in refused.why:
                raise
            self._open(side, device, rate, device.channels, options)

    def _open(self, side: AudioSide, device: Device, rate: int, channels: int, options: dict[str, Any]) -> None:
        sd = load(side.what, side.instead)
        try:
            with _ports:
                self._stream = getattr(sd, side.stream)(
                    samplerate=rate,
                    device=device.index,
                    channels=channels,
                    dtype="int16",
                    latency=self.latency,
                    # WASAPI is the only host that does not convert rates by default (documented; not tried here).
                    extra_settings=sd.WasapiSettings(auto_convert=True) if "WASAPI" in device.host else None,
                    **options,
                )
                self.latency, self.channels = self._stream.latency, channels
                self._stream.start()
        except sd.PortAudioError as error:
            self.close()
            raise _refusal(side, device, rate, str(error)) from error

    def close(self) -> None:
        """Cut what the device still holds. Blocks for some milliseconds, raises nothing."""
        with _ports:
            if self._stream is not None:
                self._stream.close()
                self._stream = None


class OpenStream(Protocol):
    """What plays or records: `Stream`, or a player of the system."""

    latency: float

    def close(self) -> None: ...


class AudioEndpoint:
    """A loudspeaker or a microphone: at most one stream at a time, of `side`, and lost at most once.

    A subclass opens its stream in `_start`, by `_open_device` or with `_finished()` for its end, and closes it in
    `_close`.
    """

    side: AudioSide

    def __init__(
        self,
        device: int | str | None,
        latency: float,
        on_lost: Callable[[AudioUnavailable], None] = lambda why: None,
    ) -> None:
        self.lost: AudioUnavailable | None = None
        self._device = device
        self._latency = latency
        self._on_lost = on_lost
        self._opening = threading.Lock()  # one open or close at a time; never taken by the sound thread
        self._losing = threading.Lock()
        self._stream: OpenStream | None = None
        self._stream_name: object = None  # None before we close: a stream that ends while it is set was lost
        self._closed = False

    def start(self) -> None:
        """Open the device and start it. Blocks; raises `AudioUnavailable`."""
        within(OPEN_WITHIN, self.side.what, lambda: self._locked(self._start))

    def close(self) -> None:
        """Stop and close. Blocks for about the latency of the device; raises nothing. May be called again.

        A device that hangs is abandoned after two seconds.
        """
        with contextlib.suppress(AudioUnavailable):
            within(CLOSE_WITHIN + self._latency, self.side.what, lambda: self._locked(self._close))

    def _locked(self, work: Callable[[], None]) -> None:
        with self._opening:
            work()

    def _start(self) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def _open_device(self, device: Device, rate: int, seconds: float, handle: Callable[[Any, float], None]) -> Stream:
        """A stream at `rate` Hz whose blocks last so many seconds. See `Stream`."""
        return Stream(
            self.side,
            device,
            rate=rate,
            latency=self._latency,
            blocksize=round(seconds * rate),
            handle=handle,
            finished=self._finished(),
        )

    def _close_stream(self) -> None:
        self._stream_name = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _finished(self) -> Callable[[], None]:
        """What the stream that is opened now has to call at its end."""
        name = self._stream_name = object()

        def finished() -> None:
            if self._stream_name is name:
                self._lose(self._end())

        return finished

    def _end(self) -> AudioUnavailable:
        """Why the stream has ended."""
        return AudioUnavailable(f"no more {self.side.noun}", "the device went away", "Connect it and start again")

    def _lose(self, why: AudioUnavailable) -> None:
        with self._losing:
            if self.lost is not None or self._closed:
                return
            self.lost = why
        self._on_lost(why)


def load(what: str = "no sound", instead: str = KEEP_IT) -> Any:
    """The sounddevice module. Raises `AudioUnavailable`; it may be tried again."""
    path, find = os.environ.get(LIBRARY_VARIABLE), ctypes.util.find_library
    with _loading:
        try:
            if path and "sounddevice" not in sys.modules:
                if not os.path.isfile(path):
                    raise OSError(f"{LIBRARY_VARIABLE} names {path}, which is not a file")
                # it asks ctypes for PortAudio, once, when imported
                ctypes.util.find_library = lambda name: path if name == "portaudio" else find(name)
            import sounddevice
        except ImportError as error:
            why = f"the Python package sounddevice cannot be imported ({error})"
            raise AudioUnavailable(what, why, f"pip install sounddevice, {instead}") from error
        except Exception as error:
            # OSError: there is no library. PortAudioError, unknown before the import: it does not start.
            raise AudioUnavailable(what, str(error), library_fix(instead)) from error
        finally:
            ctypes.util.find_library = find
    return sounddevice


def unmute_fix() -> str:
    """What to do about a microphone that gives nothing or only zeros: it is muted, or not allowed."""
    if sys.platform == "darwin":
        return "Allow this terminal to hear: System Settings > Privacy & Security > Microphone"
    if sys.platform == "win32":
        return "Allow desktop apps to hear: Settings > Privacy & security > Microphone"
    return "See that the source is not muted: pactl set-source-mute @DEFAULT_SOURCE@ 0, wpctl or alsamixer"


def library_fix(instead: str = KEEP_IT) -> str:
    """How to install PortAudio: this system's command, or those of all where the system is not known."""
    path = os.environ.get(LIBRARY_VARIABLE)
    if path:
        return f"Correct or unset {LIBRARY_VARIABLE}={path}, {instead}"
    if sys.platform in ("darwin", "win32"):
        return f"pip install --force-reinstall sounddevice: its wheel carries PortAudio, {instead}"
    with contextlib.suppress(OSError):
        release = platform.freedesktop_os_release()
        ids = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
        for names, _, command in PACKAGES:
            if any(name in ids for name in names):
                return f"{command}, {instead}"
    commands = ", ".join(f"{command} ({name})" for _, name, command in PACKAGES)
    return f"Install PortAudio: {commands}; {instead}"


def within(seconds: float, what: str, work: Callable[[], T]) -> T:
    """What `work` returns or raises; `AudioUnavailable(what)` when it takes longer: it is abandoned then.

    The sound system is not asked to clean up at exit in that case, since that would hang as well.
    """
    future = process.in_thread(work, "livews-sound")
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():  # raised by `work` itself
            raise
    if (sd := sys.modules.get("sounddevice")) is not None:
        atexit.unregister(sd._exit_handler)
    fix = f"Restart the sound server, or {KEEP_IT.removeprefix('or ')}"
    raise AudioUnavailable(what, f"the sound system did not answer within {seconds:g} s", fix)


def _refusal(side: AudioSide, device: Device, rate: int, why: str) -> AudioUnavailable:
    what = f"{side.what} on {device.name!r} at {rate} Hz"
    if "sample rate" in why:
        cause = f"It {side.works_at} {device.rate} Hz and does not convert"
        return RateRefused(what, why, f"{cause}: choose another device, {side.instead}")
    fix = f"Another program may hold it: choose another device, {side.instead}"
    if side is INPUT:
        fix += f". {unmute_fix()}"
    return AudioUnavailable(what, why, fix)
