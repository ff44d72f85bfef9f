"""Files that livews creates: who can read them, and which links are followed."""

import json
import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from livews.audio.wav import WavTurns, WavWriteError
from livews.errors import LivewsError, TraceFailed
from livews.output_file import descriptor_of, is_stream, open_output
from livews.redactor import Redactor
from livews.trace.atomic_output import atomic_output
from livews.trace.writer import TraceFile
from tests.kit.command import LIVEWS
from tests.kit.names import DATA, ROOT


def wav(path: Path) -> None:
    turns = WavTurns(path)
    turns.write(bytes(480))
    turns.close()


def trace(path: Path) -> None:
    TraceFile(path, url="ws://h", side="client", secrets=Redactor()).close()


def export(path: Path) -> None:
    with atomic_output(str(path)) as file:
        file.write(b"{}")


WRITERS = [wav, trace, export]


@pytest.fixture(autouse=True)
def _open_umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("write", WRITERS)
def test_a_new_file_is_its_owners_and_an_old_one_keeps_its_mode(write: object, tmp_path: Path) -> None:
    assert callable(write)
    for path, mode in ((tmp_path / "new", None), (tmp_path / "old", 0o640)):
        if mode:
            path.touch()
            path.chmod(mode)
        write(path)
        assert stat.S_IMODE(path.stat().st_mode) == (mode or 0o600)
        assert path.stat().st_size


@pytest.mark.parametrize("write", [wav, trace])
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_not_followed(write: object, exists: bool, tmp_path: Path) -> None:
    assert callable(write)
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    if exists:
        target.touch()
    with pytest.raises((WavWriteError, TraceFailed), match="does not write through"):
        write(link)
    with pytest.raises(TraceFailed, match="does not write through"):
        TraceFile.check(link)
    assert target.exists() == exists and not (exists and target.stat().st_size)


def test_an_export_replaces_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("as before")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    export(link)
    assert (tmp_path / "target").read_text() == "as before" and not link.is_symlink()


def test_a_link_in_a_folder_of_turns_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "voice"
    turns = WavTurns(f"{folder}/")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "audio_0.wav").symlink_to(tmp_path / "target")
    with pytest.raises(WavWriteError, match="does not write through"):
        turns.write(bytes(480))


def test_devices_pipes_and_descriptors_are_written_to(tmp_path: Path) -> None:
    link, pipe = tmp_path / "device", tmp_path / "pipe"
    link.symlink_to("/dev/null")
    os.mkfifo(pipe)
    assert is_stream(link) and is_stream(pipe) and is_stream("/dev/fd/7") and not is_stream(tmp_path)
    os.close(open_output(link, os.O_RDWR | os.O_APPEND))
    os.close(open_output(pipe, os.O_RDWR | os.O_APPEND))
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "/proc/thread-self/fd/{}", "{link}"])
def test_a_descriptor_is_written_to_where_it_is(write: object, name: str, tmp_path: Path) -> None:
    """Not from the start of its file, as by opening it anew; and it stays open."""
    assert callable(write)
    path = tmp_path / "out"
    with path.open("wb", buffering=0) as out:
        (tmp_path / "link").symlink_to(f"/dev/fd/{out.fileno()}")
        named = Path(name.format(out.fileno(), link=tmp_path / "link"))
        assert descriptor_of(named) == out.fileno()
        out.write(b"before ")
        TraceFile.check(named)
        write(named)
        out.write(b" after")
    written = path.read_bytes()
    assert written.startswith(b"before ") and written.endswith(b" after")
    assert any(mark in written[7:13] for mark in (b"RIFF", b'{"tra', b"{}"))


@pytest.mark.parametrize("path", ["/dev/stdout2", "/dev/fd/x", "/dev/null", "/proc/1/fd/1", "/dev/fd", "loop"])
def test_other_paths_are_no_descriptors(path: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert descriptor_of(tmp_path / path) is None


@pytest.mark.parametrize("write", WRITERS)
def test_a_descriptor_that_cannot_be_written_to(write: object, tmp_path: Path) -> None:
    assert callable(write)
    (tmp_path / "in").write_text("as before")
    with (tmp_path / "in").open("rb") as file, pytest.raises(LivewsError, match="open for reading only"):
        write(Path(f"/dev/fd/{file.fileno()}"))
    with pytest.raises(LivewsError, match="Bad file descriptor"):
        write(Path("/dev/fd/9999"))
    assert (tmp_path / "in").read_text() == "as before"


def test_a_wav_needs_to_go_back_to_its_header(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with (tmp_path / "out").open("ab") as file:
        for number in (writer, file.fileno()):
            with pytest.raises(WavWriteError, match="header of a WAV is written last"):
                wav(Path(f"/dev/fd/{number}"))
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("redirect", [">", ">>", "2>&1 >"])
def test_a_trace_on_stdout_keeps_what_is_there(redirect: str, tmp_path: Path) -> None:
    """Every line of the trace, of the events, and of the command before is whole."""
    out = tmp_path / "out"
    words = shlex.join([*LIVEWS, "--offline", "--mute", "--json", "--trace=/dev/stdout", "hello"])
    command = f"{{ echo before; {words}; }} {redirect} {shlex.quote(str(out))}"
    subprocess.run(["sh", "-c", command], cwd=ROOT, check=True, capture_output=True, timeout=40)
    before, *lines = out.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert before == "before" and sum("close" in row for row in rows) == 2 and "trace" in rows[0]
    assert "turnEnd" in [row.get("event") for row in rows]


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize(
    "words",
    [("--offline", "--mute", "--quiet", "--trace={}", "hi"), ("trace", "export", "--har", "TRACE", "-o", "{}")],
)
def test_stdout_by_its_name(path: str, words: tuple[str, ...], tmp_path: Path) -> None:
    given = [word.replace("TRACE", str(DATA / "barge_in.jsonl")).format(path) for word in words]
    if words[0] == "trace":
        _to_a_file(given, tmp_path / "out")
    piped = subprocess.run([*LIVEWS, *given], cwd=ROOT, capture_output=True, timeout=40)
    assert piped.stdout.startswith((b'{"trace":"livews"', b'{"log":')), piped.stderr


def _to_a_file(given: list[str], path: Path) -> None:
    with path.open("wb") as out:
        done = subprocess.run([*LIVEWS, *given], cwd=ROOT, stdout=out, stderr=subprocess.PIPE, timeout=40)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(b'{"log":')
    assert Path("/dev/stdout").is_symlink(), "it is written to, not replaced"
