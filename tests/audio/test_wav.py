"""WAV files as others read them: with the standard library, at any moment, after a kill."""

import os
import signal
import subprocess
import sys
import wave
from contextlib import closing
from pathlib import Path

import pytest

from livews.audio.wav import WavTurns, WavWriteError
from tests.kit.names import ROOT


def read(path: Path) -> tuple[int, bytes]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), file.readframes(file.getnframes())


def test_the_file_is_valid_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    with closing(WavTurns(path)) as writer:
        said = b""
        for i in range(1, 30):
            piece = bytes([i]) * (2 * i)
            writer.write(piece)
            said += piece
            assert read(path) == (24000, said)
            assert path.stat().st_size == 44 + len(said)
            assert int.from_bytes(path.read_bytes()[4:8], "little") == 36 + len(said)


def test_odd_pieces_make_whole_samples(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    with closing(WavTurns(path)) as writer:
        for piece in (b"\1", b"", b"\2\3", b"\4\5\6", b"\7"):
            writer.write(piece, 16000)
            if path.exists():
                assert len(read(path)[1]) % 2 == 0
    assert read(path) == (16000, b"\1\2\3\4\5\6")


def test_a_file_is_kept_until_there_is_audio(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    path.write_text("precious")
    with closing(WavTurns(path)) as writer:
        writer.write(b"")
        writer.write(b"\1")
        assert path.read_text() == "precious"
    assert path.read_text() == "precious"
    with closing(WavTurns(path)) as writer:
        writer.write(b"\1\0")
    assert read(path) == (24000, b"\1\0")


def test_closing_twice_is_fine_and_writing_then_is_not(tmp_path: Path) -> None:
    writer = WavTurns(tmp_path / "voice.wav")
    writer.write(b"\1\0")
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(b"\1\0")


def test_audio_beyond_32_bit_sizes_is_kept_and_does_not_break_the_header(tmp_path: Path) -> None:
    with closing(WavTurns(tmp_path / "voice.wav")) as writer:
        writer.write(b"\1\0")
        assert writer._out is not None
        writer._out[1]._datawritten = 0xFFFFFFFF  # type: ignore[attr-defined]
        writer.write(b"\2\0")
        writer.write(b"\3\0")
    assert (tmp_path / "voice.wav").read_bytes()[44:] == b"\1\0\2\0\3\0"
    assert read(tmp_path / "voice.wav")[1][:2] == b"\1\0"


KILLED = """
import itertools, sys
from livews.audio.wav import WavTurns
writer = WavTurns(sys.argv[1])
for i in itertools.count():
    writer.write(bytes([i % 251]) * 999)
    if i == 20:
        print("writing", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_process_leaves_a_valid_file(tmp_path: Path) -> None:
    for attempt in range(5):
        path = tmp_path / f"{attempt}.wav"
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"writing\n"
            writer.kill()
        rate, pcm = read(path)
        assert rate == 24000
        assert len(pcm) >= 20 * 999
        expected = b"".join(bytes([i % 251]) * 999 for i in range(len(pcm) // 999 + 1))
        assert pcm == expected[: len(pcm)]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_full_disk_is_told() -> None:
    writer = WavTurns("/dev/full")
    with pytest.raises(WavWriteError, match="No space left"):
        writer.write(b"\1\0")


@pytest.mark.parametrize(
    ("name", "why", "fix"),
    [
        ("no/voice.wav", "there is no folder {0}/no", "Create it: mkdir -p {0}/no"),
        ("file/folder/", "Not a directory", "Choose another folder for --wav"),
        ("locked/", "no permission to write there", "Choose another folder for --wav"),
        ("locked/voice.wav", "no permission to write there", "Choose another place for --wav"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_audio(
    name: str, why: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "locked").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: "locked" not in str(path))  # root may write anywhere
    with pytest.raises(WavWriteError) as refused:
        WavTurns(f"{tmp_path}/{name}")
    error = refused.value
    assert (error.where, error.why, error.fix) == (str(tmp_path / name), why.format(tmp_path), fix.format(tmp_path))


def test_one_file_holds_all_turns(tmp_path: Path) -> None:
    path = tmp_path / "all.wav"
    with closing(WavTurns(path)) as turns:
        turns.write(b"\1\0\7")
        turns.end_turn()
        turns.end_turn()
        turns.write(b"\2\0")
    assert read(path) == (24000, b"\1\0\2\0")


@pytest.mark.parametrize("name", ["deep/er/", "there"])
def test_a_folder_gets_a_file_a_turn(tmp_path: Path, name: str) -> None:
    (tmp_path / "there").mkdir()
    with closing(WavTurns(f"{tmp_path}/{name}")) as turns:
        turns.write(b"\1\0")
        turns.write(b"\2\0")
        turns.end_turn()
        turns.end_turn()  # a turn without audio: no file, but it counts
        turns.write(b"\3\0", rate=16000)
        assert read(tmp_path / name / "audio_2.wav") == (16000, b"\3\0")
    folder = tmp_path / name
    assert sorted(path.name for path in folder.iterdir()) == ["audio_0.wav", "audio_2.wav"]
    assert read(folder / "audio_0.wav") == (24000, b"\1\0\2\0")


@pytest.mark.parametrize("name", ["all.wav", "folder/"])
def test_another_rate_goes_on_in_a_further_file(name: str, tmp_path: Path) -> None:
    """Also in the middle of a turn, and with half a sample on the way; a file that the user did not name is not overwritten."""
    notices: list[str] = []
    path = str(tmp_path / name) + "/" * name.endswith("/")
    first = tmp_path / "folder/audio_0.wav" if name.endswith("/") else tmp_path / name
    (tmp_path / "all-2.wav").write_text("of the user")
    numbers = (2, 3) if name.endswith("/") else (3, 4)
    with closing(WavTurns(path, notices.append)) as turns:
        for value, rate in ((b"\1\0\7", 24000), (b"\2\0", 16000), (b"\3\0", 16000), (b"\4\0", 24000)):
            turns.write(value, rate=rate)
        assert turns.path == first.with_name(f"{first.stem}-{numbers[1]}.wav")
        turns.end_turn()
    further = [read(first.with_name(f"{first.stem}-{number}.wav")) for number in numbers]
    assert [read(first), *further] == [(24000, b"\1\0"), (16000, b"\2\0\3\0"), (24000, b"\4\0")]
    assert len(notices) == 1 and "16000 Hz" in notices[0] and f"{first.stem}-{numbers[0]}.wav" in notices[0]
    assert (tmp_path / "all-2.wav").read_text() == "of the user"


def test_a_peer_that_changes_the_rate_all_the_time(tmp_path: Path) -> None:
    notices: list[str] = []
    with closing(WavTurns(tmp_path / "all.wav", notices.append)) as turns:
        for i in range(1000):
            turns.write(b"\1\0", rate=8000 + i)
    assert len(list(tmp_path.iterdir())) == 100 and len(notices) == 2
    assert "not written" in notices[1]
