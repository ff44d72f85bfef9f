"""What is said when there is no sound. Real imports run in a child: sounddevice is imported once a process."""

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from livews.audio import portaudio
from livews.audio.portaudio import INPUT, OUTPUT, AudioUnavailable, Stream
from tests.audio.devices import LATENCY, FakeDevices
from tests.kit.names import ROOT


def child(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": "", **env}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_optional_is_imported_when_it_is_needed() -> None:
    child(
        "import sys, livews.media, livews.audio.speaker, livews.audio.wav, livews.audio.echo_canceller\n"
        "assert not {'sounddevice', 'numpy', 'soxr', 'pywebrtc_audio', 'PIL', 'mss'} & set(sys.modules)"
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
    first = child(WITHOUT_PORTAUDIO.replace("load()", "INPUT.device()").replace("load", "INPUT")).splitlines()[0]
    assert first.startswith("no microphone: PortAudio library not found. ")
    assert portaudio.SPEAK_A_FILE in first


def test_the_variable_must_name_a_library(tmp_path: Path) -> None:
    losses = child(WITHOUT_PORTAUDIO, LIVEWS_PORTAUDIO="/no/such.so").splitlines()[0]
    assert "LIVEWS_PORTAUDIO names /no/such.so, which is not a file" in losses
    assert "Correct or unset LIVEWS_PORTAUDIO=/no/such.so" in losses
    (tmp_path / "text.so").write_text("not a library")
    losses = child(WITHOUT_PORTAUDIO, LIVEWS_PORTAUDIO=str(tmp_path / "text.so")).splitlines()[0]
    assert "no sound: " in losses
    assert "Correct or unset" in losses


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
    losses = child(
        "import sys; sys.modules['sounddevice'] = None\n"
        "from livews.audio.portaudio import AudioUnavailable, load\n"
        "try: load()\n"
        "except AudioUnavailable as error: print(error.fix)"
    )
    assert losses.startswith("pip install sounddevice, ")


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


def refusal(call: Callable[[], object]) -> AudioUnavailable:
    with pytest.raises(AudioUnavailable) as caught:
        call()
    error = caught.value
    assert error.sentence() == f"{error.what}: {error.why}. {error.fix}."
    return error


def open_stream(
    side: portaudio.AudioSide, handle: Callable[[Any, float], None] = lambda block, seconds: None
) -> Stream:
    rate, blocksize = (24000, 480) if side is OUTPUT else (16000, 640)
    return Stream(
        side, side.device(), rate=rate, latency=0.06, blocksize=blocksize, handle=handle, finished=lambda: None
    )


SYSTEMS = pytest.mark.parametrize(
    ("system", "start", "unmute"),
    [
        ("linux", "Start the sound server (PipeWire, PulseAudio)", "See that the source is not muted"),
        ("darwin", "Connect a microphone", "System Settings > Privacy & Security > Microphone"),
        ("win32", "Connect a microphone", "Settings > Privacy & security > Microphone"),
    ],
)


def test_no_loudspeaker_is_explained(devices: FakeDevices) -> None:
    devices.put("mic", inputs=1)
    error = refusal(OUTPUT.device)
    assert (error.what, error.why) == ("no sound", "there is no output device")
    assert "--wav PATH" in error.fix


@SYSTEMS
def test_no_microphone_is_explained(
    devices: FakeDevices, system: str, start: str, unmute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    devices.put("HDMI", outputs=2)
    error = refusal(INPUT.device)
    assert (error.what, error.why) == ("no microphone", "there is no input device")
    assert error.fix.startswith(start)
    assert (unmute in error.fix) == (system != "linux")
    assert portaudio.SPEAK_A_FILE in error.fix
    assert "--wav" not in error.fix


def test_a_headset_is_one_of_each(devices: FakeDevices) -> None:
    devices.put("HDMI", outputs=8)
    devices.put("USB headset", outputs=2, inputs=1)
    devices.put("mic", inputs=4)
    assert [(d.name, d.channels) for d in OUTPUT.devices()] == [("HDMI", 8), ("USB headset", 2)]
    assert [(d.name, d.channels) for d in INPUT.devices()] == [("USB headset", 1), ("mic", 4)]
    assert INPUT.device().name == "USB headset", "none is the default one: the first"


CHOOSE = "Choose one of 0: HDMI a, 2: HDMI ab, 3: HDMI b, 4: USB Headset"


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (None, 0),
        (4, 4),
        ("2", 2),
        ("headset", 4),
        ("HDMI a", 0),  # the whole name wins over a part of another
        ("mic", f"there is no such output device: {CHOOSE}"),
        (1, f"there is no such output device: {CHOOSE}"),
        (-1, f"there is no such output device: {CHOOSE}"),
        ("hdmi", "3 output devices match: Choose one of 0: HDMI a, 2: HDMI ab, 3: HDMI b"),
    ],
)
def test_a_device_is_found_by_index_name_or_part(
    devices: FakeDevices, spec: int | str | None, found: int | str
) -> None:
    for name in ("HDMI a", "mic", "HDMI ab", "HDMI b", "USB Headset"):
        devices.put(name, outputs=2 * (name != "mic"), inputs=name == "mic")
    if isinstance(found, int):
        assert OUTPUT.device(spec).index == found
    else:
        error = refusal(lambda: OUTPUT.device(spec))
        assert error.what == f"no sound on {str(spec)!r}"
        assert f"{error.why}: {error.fix}" == found


def test_an_unknown_microphone_lists_those_there_are(devices: FakeDevices) -> None:
    devices.put("HDMI", outputs=2)
    devices.put("mic", inputs=1)
    error = refusal(lambda: INPUT.device("HDMI"))
    assert (error.what, error.fix) == ("no microphone on 'HDMI'", "Choose one of 1: mic")


@pytest.mark.parametrize("side", [OUTPUT, INPUT], ids=lambda side: side.noun)
@SYSTEMS
def test_a_rate_that_is_refused_and_a_device_that_is_busy_are_told_apart(
    devices: FakeDevices,
    side: portaudio.AudioSide,
    system: str,
    start: str,
    unmute: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    devices.put("headset", outputs=2, inputs=1)
    devices.refused = (16000, 24000)
    error = refusal(lambda: open_stream(side))
    assert isinstance(error, portaudio.RateRefused)
    works = "plays" if side is OUTPUT else "records"
    assert error.what == f"no {side.noun} on 'headset' at {24000 if side is OUTPUT else 16000} Hz"
    assert error.fix.startswith(f"It {works} 48000 Hz and does not convert: ")
    devices.failure = "Device unavailable [PaErrorCode -9985]"
    error = refusal(lambda: open_stream(side))
    assert not isinstance(error, portaudio.RateRefused)
    assert error.fix.startswith("Another program may hold it: ")
    assert (unmute in error.fix) == (side is INPUT)


def test_the_delay_of_a_block_is_a_difference_or_else_the_latency(devices: FakeDevices) -> None:
    devices.put("HDMI", outputs=2)
    devices.stuck = True
    delays: list[float] = []
    stream = open_stream(OUTPUT, lambda block, delay: delays.append(delay))
    (fake,) = devices.streams
    for dac in (1e9 + 0.5, 0.0):
        fake.call(bytearray(960), SimpleNamespace(outputBufferDacTime=dac, currentTime=1e9))
    assert delays == [0.5, LATENCY]
    assert (stream.latency, fake.running) == (LATENCY, True)
    stream.close()
    assert not fake.running


def test_mono_is_asked_for_and_what_has_none_gives_all_its_channels(devices: FakeDevices) -> None:
    devices.put("mic", inputs=2)
    assert open_stream(INPUT).channels == 1
    devices.no_mono = True
    assert open_stream(INPUT).channels == devices.streams[-1].options["channels"] == 2
    devices[0]["max_input_channels"] = 1
    assert refusal(lambda: open_stream(INPUT)).why.endswith("Invalid number of channels [PaErrorCode -9998]")


def test_a_block_is_copied_and_as_old_as_its_last_sample(devices: FakeDevices) -> None:
    devices.put("mic", inputs=1)
    taken: list[tuple[bytes, float]] = []
    open_stream(INPUT, lambda block, age: taken.append((block, age)))
    (fake,) = devices.streams
    fake.give(b"\1" * 1280, age=0.46)
    for captured, now in ((0.0, 1e9), (1e9, 1e9 + 0.01)):
        fake.call(bytearray(1280), SimpleNamespace(inputBufferAdcTime=captured, currentTime=now))
    assert taken == [
        (b"\1" * 1280, pytest.approx(0.46)),
        (bytes(1280), pytest.approx(LATENCY - 0.04)),  # the latency that was granted
        (bytes(1280), 0.0),  # no sound comes before it is made
    ]
