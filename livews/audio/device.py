"""The sound card, and the one module that imports sounddevice.

- It is imported late, inside `load()`: without PortAudio the import fails, and half of livews needs no sound.
- No exception of sounddevice or PortAudio leaves this module: all become `NoSound`, which says what to do.
- Every call may block and may run in any thread; none belongs on an event loop.
- PortAudio lists the devices once, when it is loaded: a sound server has to run before.
"""

from __future__ import annotations

import ctypes.util
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

LIBRARY_VARIABLE = "LIVEWS_PORTAUDIO"
KEEP_IT = "or keep the voice in a file with --wav PATH"

# (values of ID and ID_LIKE in /etc/os-release, name for people, command)
PACKAGES = (
    (("debian", "ubuntu"), "Debian/Ubuntu", "apt-get install libportaudio2"),
    (("fedora", "rhel", "centos"), "Fedora", "dnf install portaudio"),
    (("arch",), "Arch", "pacman -S portaudio"),
    (("alpine",), "Alpine", "apk add portaudio"),
    (("opensuse", "suse"), "openSUSE", "zypper install libportaudio2"),
)


class NoSound(Exception):
    """There is no sound: `what` is not possible, `why`, and the `cure`."""

    def __init__(self, what: str, why: str, cure: str) -> None:
        super().__init__(f"{what}: {why}. {cure}")
        self.what = what
        self.why = why
        self.cure = cure


@dataclass(frozen=True, slots=True)
class Device:
    index: int
    name: str
    host: str  # ALSA, Core Audio, Windows WASAPI ...
    channels: int
    rate: int  # its own; others are converted by most hosts


class OutputStream(Protocol):
    """An open stream that is already asking for sound."""

    @property
    def latency(self) -> float:
        """Seconds the device holds: granted, not asked for."""

    def close(self) -> None:
        """Cuts what the device still holds. Blocks for some milliseconds, raises nothing."""


def load() -> Any:
    """The sounddevice module, or `NoSound`. A failure is not remembered: it may be tried again."""
    what = "no sound"
    with _loading:
        try:
            with _library_from_environment():
                import sounddevice
        except ImportError as error:
            why = f"the Python package sounddevice cannot be imported ({error})"
            raise NoSound(what, why, f"pip install sounddevice, {KEEP_IT}") from error
        except Exception as error:
            # OSError: there is no library. PortAudioError, unknown before the import: it does not start.
            raise NoSound(what, str(error), library_cure()) from error
    return sounddevice


def output_devices() -> list[Device]:
    """What sound can be played on; empty when there is nothing."""
    sd = load()
    try:
        hosts = [host["name"] for host in sd.query_hostapis()]
        return [_device(entry, hosts) for entry in sd.query_devices() if entry["max_output_channels"] > 0]
    except sd.PortAudioError as error:
        raise NoSound("no list of sound devices", str(error), _no_device_cure()) from error


def output_device(spec: int | str | None = None) -> Device:
    """The device named by an index, its name or a part of it (any case); None is the default one."""
    devices = output_devices()
    if not devices:
        raise NoSound("no sound", "there is no output device", _no_device_cure())
    if spec is None:
        return _default_output(devices)
    wanted = str(spec).strip()
    exact = [d for d in devices if wanted in (str(d.index), d.name)]
    matches = exact or [d for d in devices if wanted.lower() in d.name.lower()]
    if len(matches) == 1:
        return matches[0]
    why = f"{len(matches)} output devices match" if matches else "there is no such output device"
    listed = ", ".join(f"{d.index}: {d.name}" for d in matches or devices)
    raise NoSound(f"no sound on {wanted!r}", why, f"Choose one of {listed}")


def open_output(
    device: Device,
    *,
    rate: int,
    latency: float,
    blocksize: int,
    fill: Callable[[memoryview, float], None],
    finished: Callable[[], None],
) -> OutputStream:
    """Open `device` for s16le mono at `rate` and start it.

    `fill(block, delay)` is called in PortAudio's thread for every block, with the seconds until it is heard.
    `finished()` is called there once, when the stream ends for whatever reason.
    """
    sd = load()
    granted = latency

    def callback(out: Any, frames: int, times: Any, status: Any) -> None:
        # Only the difference of these times means something: PortAudio's clock need not be ours.
        # Hosts that do not know leave it at 0.
        delay = times.outputBufferDacTime - times.currentTime
        fill(memoryview(out), delay if delay > 0 else granted)

    stream = None
    try:
        stream = sd.RawOutputStream(
            samplerate=rate,
            device=device.index,
            channels=1,
            dtype="int16",
            latency=latency,
            blocksize=blocksize,
            callback=callback,
            finished_callback=finished,
            # WASAPI alone of all hosts does not convert rates unless asked to (documented; not tried here).
            extra_settings=sd.WasapiSettings(auto_convert=True) if "WASAPI" in device.host else None,
        )
        granted = stream.latency
        stream.start()
    except sd.PortAudioError as error:
        if stream is not None:
            stream.close()
        if "sample rate" in str(error):
            cause = f"It plays {device.rate} Hz and does not convert"
        else:
            cause = "Another program may hold it"
        what = f"no sound on {device.name!r} at {rate} Hz"
        raise NoSound(what, str(error), f"{cause}: choose another device, {KEEP_IT}") from error
    return stream  # type: ignore[no-any-return]


def library_cure() -> str:
    """How to get PortAudio here: this system's own command, or all of them where the system is not known."""
    path = os.environ.get(LIBRARY_VARIABLE)
    if path:
        return f"Correct or unset {LIBRARY_VARIABLE}={path}, {KEEP_IT}"
    if sys.platform in ("darwin", "win32"):
        return f"pip install --force-reinstall sounddevice: its wheel carries PortAudio, {KEEP_IT}"
    ours = _this_distribution()
    mine = next((command for ids, _, command in PACKAGES if ours.intersection(ids)), None)
    if mine:
        return f"{mine}, {KEEP_IT}"
    commands = ", ".join(f"{command} ({name})" for _, name, command in PACKAGES)
    return f"Install PortAudio: {commands}; {KEEP_IT}"


_loading = threading.Lock()


@contextmanager
def _library_from_environment() -> Iterator[None]:
    """Let sounddevice find the PortAudio that LIVEWS_PORTAUDIO names: it asks ctypes, once, when imported."""
    path = os.environ.get(LIBRARY_VARIABLE)
    if not path or "sounddevice" in sys.modules:
        yield
        return
    if not os.path.isfile(path):
        raise OSError(f"{LIBRARY_VARIABLE} names {path}, which is not a file")
    find = ctypes.util.find_library
    ctypes.util.find_library = lambda name: path if name == "portaudio" else find(name)
    try:
        yield
    finally:
        ctypes.util.find_library = find


def _this_distribution() -> set[str]:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return set()
    return {release.get("ID", ""), *release.get("ID_LIKE", "").split()} - {""}


def _device(entry: Any, hosts: list[str]) -> Device:
    return Device(
        index=entry["index"],
        name=entry["name"],
        host=hosts[entry["hostapi"]],
        channels=entry["max_output_channels"],
        rate=int(entry["default_samplerate"]),
    )


def _default_output(devices: list[Device]) -> Device:
    sd = load()
    try:
        index = sd.query_devices(kind="output")["index"]
    except sd.PortAudioError:  # devices, but none is the default one: the first is as good as any
        return devices[0]
    return next((d for d in devices if d.index == index), devices[0])


def _no_device_cure() -> str:
    if sys.platform == "linux":
        return (
            "Start the sound server (PipeWire, PulseAudio) or, where it runs, install its ALSA plugin "
            f"(Debian/Ubuntu: libasound2-plugins or pipewire-alsa), {KEEP_IT}"
        )
    return f"Connect loudspeakers or headphones, {KEEP_IT}"
