"""What is said when there is no sound. Real imports run in a child: sounddevice is imported once a process."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from livews.audio import portaudio
from livews.audio.portaudio import AudioUnavailable
from tests.kit.names import ROOT


def child(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": "", **env}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_one_module_imports_sounddevice_and_only_when_asked() -> None:
    importers = [
        path.name for path in (ROOT / "livews").rglob("*.py") if "import sounddevice" in path.read_text("utf-8")
    ]
    assert importers == ["portaudio.py"]
    child(
        "import sys, livews.audio.playback, livews.audio.speaker, livews.audio.wav, livews.audio.portaudio\n"
        "assert not {'sounddevice', 'numpy'} & set(sys.modules)"
    )


WITHOUT_PORTAUDIO = """
import ctypes.util
ctypes.util.find_library = lambda name: None
from livews.audio.portaudio import AudioUnavailable, load
for _ in range(2):
    try:
        load()
    except AudioUnavailable as error:
        print(error.sentence())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the wheel carries PortAudio")
def test_a_missing_library_is_explained_each_time() -> None:
    first, second = child(WITHOUT_PORTAUDIO).splitlines()
    assert first == second
    assert first.startswith("no sound: PortAudio library not found. ")
    assert "--wav PATH" in first


def test_the_variable_must_name_a_library(tmp_path: Path) -> None:
    told = child(WITHOUT_PORTAUDIO, LIVEWS_PORTAUDIO="/no/such.so").splitlines()[0]
    assert "LIVEWS_PORTAUDIO names /no/such.so, which is not a file" in told
    assert "Correct or unset LIVEWS_PORTAUDIO=/no/such.so" in told
    (tmp_path / "text.so").write_text("not a library")
    told = child(WITHOUT_PORTAUDIO, LIVEWS_PORTAUDIO=str(tmp_path / "text.so")).splitlines()[0]
    assert "no sound: " in told
    assert "Correct or unset" in told


def test_the_variable_is_used_and_only_around_the_import(tmp_path: Path) -> None:
    import ctypes.util

    name = ctypes.util.find_library("portaudio")
    found = [path for place in ("lib/*", "lib", "lib64") for path in Path("/usr").glob(f"{place}/{name}")]
    if not found:
        pytest.skip("no libportaudio to copy")
    copy = tmp_path / "elsewhere.so"
    copy.write_bytes(found[0].read_bytes())
    out = child(
        "import ctypes.util\n"
        "ctypes.util.find_library = nothing = lambda name: None\n"
        "from livews.audio.portaudio import load\n"
        "print(load().__name__, ctypes.util.find_library is nothing)\n"
        "print(open('/proc/self/maps').read())",
        LIVEWS_PORTAUDIO=str(copy),
    )
    assert out.startswith("sounddevice True\n")
    assert str(copy) in out


def test_a_missing_package_is_explained() -> None:
    told = child(
        "import sys; sys.modules['sounddevice'] = None\n"
        "from livews.audio.portaudio import AudioUnavailable, load\n"
        "try: load()\n"
        "except AudioUnavailable as error: print(error.fix)"
    )
    assert told.startswith("pip install sounddevice, ")


@pytest.mark.parametrize(
    ("release", "first"),
    [
        ({"ID": "debian"}, "apt-get install libportaudio2"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt-get install libportaudio2"),
        ({"ID": "fedora"}, "dnf install portaudio"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf install portaudio"),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "pacman -S portaudio"),
        ({"ID": "alpine"}, "apk add portaudio"),
        ({"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, "zypper install libportaudio2"),
        ({"ID": "nixos"}, "Install PortAudio"),
        (None, "Install PortAudio"),
    ],
)
def test_the_package_of_this_distribution_is_named(
    release: dict[str, str] | None, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def os_release() -> dict[str, str]:
        if release is None:
            raise OSError("no /etc/os-release")
        return release

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "freedesktop_os_release", os_release)
    monkeypatch.delenv(portaudio.LIBRARY_VARIABLE, raising=False)
    fix = portaudio.library_fix()
    assert fix.startswith(first)
    assert "--wav" in fix
    named = [command for _, _, command in portaudio.PACKAGES if command in fix]
    assert named == ([first] if first != "Install PortAudio" else [command for _, _, command in portaudio.PACKAGES])


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_where_the_wheel_carries_portaudio_no_package_is_named(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert "its wheel carries PortAudio" in portaudio.library_fix()
    assert "apt-get" not in portaudio.library_fix()


class PortAudioError(Exception):
    pass


class FakeStream:
    latency = 0.07
    failure: Exception | None = None
    no_mono = False
    closed = False
    last: FakeStream

    def __init__(self, **options: Any) -> None:
        if self.no_mono and options["channels"] == 1:
            raise PortAudioError("Error opening RawInputStream: Invalid number of channels [PaErrorCode -9998]")
        self.options = options
        type(self).last = self

    def start(self) -> None:
        if self.failure:
            raise self.failure

    def close(self) -> None:
        type(self).closed = True


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A sounddevice with the devices that are put into this list; the first is the default."""
    present: list[dict[str, Any]] = []

    def query_devices(kind: str | None = None) -> Any:
        if kind is None:
            return present
        if not present:
            raise PortAudioError("Error querying device -1")
        return present[0]

    fake = SimpleNamespace(
        PortAudioError=PortAudioError,
        RawOutputStream=FakeStream,
        RawInputStream=FakeStream,
        WasapiSettings=SimpleNamespace,
        query_devices=query_devices,
        query_hostapis=lambda: [{"name": "ALSA"}],
    )
    monkeypatch.setattr(portaudio, "load", lambda *texts: fake)
    monkeypatch.setattr(FakeStream, "failure", None)
    monkeypatch.setattr(FakeStream, "no_mono", False)
    monkeypatch.setattr(FakeStream, "closed", False)
    return present


def entry(index: int, name: str, outputs: int = 2, inputs: int = 0) -> dict[str, Any]:
    return {
        "index": index, "name": name, "hostapi": 0, "max_output_channels": outputs, "max_input_channels": inputs,
        "default_samplerate": 48000.0,
    }  # fmt: skip


def refusal(call: Callable[[], object]) -> AudioUnavailable:
    with pytest.raises(AudioUnavailable) as caught:
        call()
    error = caught.value
    assert error.what
    assert error.why
    assert error.fix
    assert error.sentence() == f"{error.what}: {error.why}. {error.fix}."
    return error


def test_no_device_is_explained(devices: list[dict[str, Any]]) -> None:
    devices.append(entry(0, "microphone", outputs=0))
    error = refusal(lambda: portaudio.OUTPUT.device())
    assert error.why == "there is no output device"
    assert "--wav PATH" in error.fix


def test_a_device_is_found_by_index_name_or_part(devices: list[dict[str, Any]]) -> None:
    devices += [entry(0, "HDMI 1"), entry(1, "mic", outputs=0), entry(2, "HDMI 10"), entry(3, "USB Headset")]
    assert portaudio.OUTPUT.device(None).index == 0
    assert portaudio.OUTPUT.device(3).name == "USB Headset"
    assert portaudio.OUTPUT.device("2").name == "HDMI 10"
    assert portaudio.OUTPUT.device("headset").index == 3
    assert portaudio.OUTPUT.device("HDMI 1").index == 0, "the whole name wins over a part of another"


@pytest.mark.parametrize("spec", ["mic", "Bluetooth", 1, 9, -1])
def test_an_unknown_device_lists_those_there_are(devices: list[dict[str, Any]], spec: int | str) -> None:
    devices += [entry(0, "HDMI"), entry(1, "mic", outputs=0), entry(2, "USB")]
    error = refusal(lambda: portaudio.OUTPUT.device(spec))
    assert error.why == "there is no such output device"
    assert error.fix == "Choose one of 0: HDMI, 2: USB"


def test_an_unclear_name_lists_what_it_matches(devices: list[dict[str, Any]]) -> None:
    devices += [entry(0, "HDMI 1"), entry(1, "HDMI 2"), entry(2, "USB")]
    error = refusal(lambda: portaudio.OUTPUT.device("hdmi"))
    assert error.why == "2 output devices match"
    assert error.fix == "Choose one of 0: HDMI 1, 1: HDMI 2"


def open_output() -> portaudio.Stream:
    return portaudio.open_output(
        portaudio.OUTPUT.device(),
        rate=24000,
        latency=0.06,
        blocksize=480,
        fill=lambda block, delay: None,
        finished=lambda: None,
    )


def test_a_rate_that_is_refused_and_a_device_that_is_busy_are_told_apart(devices: list[dict[str, Any]]) -> None:
    devices.append(entry(0, "HDMI"))
    FakeStream.failure = PortAudioError("Error opening RawOutputStream: Invalid sample rate [PaErrorCode -9997]")
    error = refusal(open_output)
    assert error.what == "no sound on 'HDMI' at 24000 Hz"
    assert error.fix.startswith("It plays 48000 Hz and does not convert: ")
    assert FakeStream.closed
    FakeStream.failure = PortAudioError("Device unavailable [PaErrorCode -9985]")
    assert refusal(open_output).fix.startswith("Another program may hold it: ")


def test_the_delay_of_a_block_is_a_difference_or_else_the_latency(devices: list[dict[str, Any]]) -> None:
    devices.append(entry(0, "HDMI"))
    delays: list[float] = []
    stream = portaudio.open_output(
        portaudio.OUTPUT.device(), rate=24000, latency=0.06, blocksize=480,
        fill=lambda block, delay: delays.append(delay), finished=lambda: None,
    )  # fmt: skip
    callback = FakeStream.last.options["callback"]
    callback(bytearray(960), 480, SimpleNamespace(outputBufferDacTime=1e9 + 0.5, currentTime=1e9), None)
    callback(bytearray(960), 480, SimpleNamespace(outputBufferDacTime=0.0, currentTime=1e9), None)
    assert delays == [0.5, 0.07]
    assert (stream.latency, FakeStream.closed) == (0.07, False)
    stream.close()
    assert FakeStream.closed


# microphones


def open_input(take: Callable[[bytes, float], None] = lambda block, age: None) -> portaudio.Stream:
    return portaudio.open_input(
        portaudio.INPUT.device(), rate=16000, latency=0.06, blocksize=640, take=take, finished=lambda: None
    )


def test_a_headset_is_one_of_each(devices: list[dict[str, Any]]) -> None:
    devices += [entry(0, "HDMI", outputs=8), entry(1, "USB headset", inputs=1), entry(2, "mic", outputs=0, inputs=4)]
    assert [(d.name, d.channels) for d in portaudio.OUTPUT.devices()] == [("HDMI", 8), ("USB headset", 2)]
    assert [(d.name, d.channels) for d in portaudio.INPUT.devices()] == [("USB headset", 1), ("mic", 4)]
    assert portaudio.INPUT.device("headset") == portaudio.INPUT.device(1)
    assert portaudio.INPUT.device().name == "USB headset", "none is the default one: the first"


@pytest.mark.parametrize(
    ("system", "fix"),
    [
        ("linux", "Start the sound server (PipeWire, PulseAudio)"),
        ("darwin", "System Settings > Privacy & Security > Microphone"),
        ("win32", "Settings > Privacy & security > Microphone"),
    ],
)
def test_no_microphone_is_explained(
    devices: list[dict[str, Any]], system: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    devices.append(entry(0, "HDMI"))
    error = refusal(lambda: portaudio.INPUT.device())
    assert (error.what, error.why) == ("no microphone", "there is no input device")
    assert fix in error.fix
    assert portaudio.SPEAK_A_FILE in error.fix
    assert "--wav" not in error.fix
    assert "loudspeakers" not in error.fix


def test_an_unknown_microphone_lists_those_there_are(devices: list[dict[str, Any]]) -> None:
    devices += [entry(0, "HDMI"), entry(1, "mic", outputs=0, inputs=1)]
    error = refusal(lambda: portaudio.INPUT.device("HDMI"))
    assert (error.what, error.why) == ("no microphone on 'HDMI'", "there is no such input device")
    assert error.fix == "Choose one of 1: mic"


def test_a_missing_library_is_no_microphone() -> None:
    first = child(WITHOUT_PORTAUDIO.replace("load()", "INPUT.device()").replace("load", "INPUT")).splitlines()[0]
    assert first.startswith("no microphone: PortAudio library not found. ")
    assert portaudio.SPEAK_A_FILE in first


@pytest.mark.parametrize(
    ("system", "fix"),
    [
        ("linux", "See that the source is not muted"),
        ("darwin", "System Settings > Privacy & Security > Microphone"),
        ("win32", "Settings > Privacy & security > Microphone"),
    ],
)
def test_a_microphone_that_does_not_open_is_explained(
    devices: list[dict[str, Any]], system: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    devices.append(entry(0, "mic", inputs=1))
    FakeStream.failure = PortAudioError("Error opening RawInputStream: Invalid sample rate [PaErrorCode -9997]")
    error = refusal(open_input)
    assert isinstance(error, portaudio.RateRefused)
    assert error.what == "no microphone on 'mic' at 16000 Hz"
    assert error.fix.startswith("It records 48000 Hz and does not convert: ")
    assert FakeStream.closed
    FakeStream.failure = PortAudioError("Device unavailable [PaErrorCode -9985]")
    error = refusal(open_input)
    assert not isinstance(error, portaudio.RateRefused)
    assert error.fix.startswith("Another program may hold it: ")
    assert fix in error.fix


def test_mono_is_asked_for_and_what_has_none_gives_all_its_channels(devices: list[dict[str, Any]]) -> None:
    devices.append(entry(0, "mic", inputs=2))
    assert open_input().channels == 1
    FakeStream.no_mono = True
    assert open_input().channels == FakeStream.last.options["channels"] == 2
    devices[0] = entry(0, "mic", inputs=1)
    assert refusal(open_input).why.endswith("Invalid number of channels [PaErrorCode -9998]")


def test_a_block_is_copied_and_as_old_as_its_last_sample(devices: list[dict[str, Any]]) -> None:
    devices.append(entry(0, "mic", inputs=1))
    taken: list[tuple[bytes, float]] = []
    open_input(lambda block, age: taken.append((block, age)))
    callback = FakeStream.last.options["callback"]
    data = bytearray(b"\1" * 1280)
    callback(data, 640, SimpleNamespace(inputBufferAdcTime=1e9, currentTime=1e9 + 0.5), None)
    data[:] = bytes(1280)
    callback(data, 640, SimpleNamespace(inputBufferAdcTime=0.0, currentTime=1e9), None)
    callback(data, 640, SimpleNamespace(inputBufferAdcTime=1e9, currentTime=1e9 + 0.01), None)
    (first, unknown, odd) = taken
    assert first == (b"\1" * 1280, pytest.approx(0.46))
    assert unknown == (bytes(1280), pytest.approx(0.03)), "the latency that was granted"
    assert odd[1] == 0.0, "no sound comes before it is made"
