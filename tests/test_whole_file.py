"""Files that are read whole: a device without end is refused soon, and by its name."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from livews.cli import main
from livews.errors import BadRequest
from livews.whole_file import read_whole

ZERO = "/dev/zero"
posix = pytest.mark.skipif(not Path(ZERO).exists(), reason="no /dev/zero")


@pytest.mark.parametrize(
    ("content", "json_object", "why"),
    [
        (b"x" * 101, False, "more than 100 bytes"),
        (b" \n x", True, "not a JSON object"),
        (b"\0" * 50, True, "not a JSON object"),
    ],
)
def test_what_is_refused(content: bytes, json_object: bool, why: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    for name, stdin in ((str(path), None), ("stdin", io.BytesIO(content))):
        with pytest.raises(BadRequest, match="cannot read the script") as refused:
            read_whole(name, "the script", fix="name another", stdin=stdin, most=100, json_object=json_object)
        error = refused.value
        assert (error.where, error.fix) == (name, "name another")
        assert why in error.why


def test_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in (b"", b"x" * 100, b'\xef\xbb\xbf\n{"a": 1}'):
        path.write_bytes(content)
        assert read_whole(path, "the script", fix="", most=100, json_object=not content.startswith(b"x")) == content


@posix
@pytest.mark.parametrize(
    "words",
    [
        "hi --mute --offline --setup /dev/zero",
        "hi --mute --offline --tool f=true --tool-schema /dev/zero",
        "serve --port 0 /dev/zero",
        "trace import /dev/zero -o -",
        "hi --mute --offline --setup FOLDER",
        "hi --mute --offline --tool f=true --tool-schema FOLDER",
        "hi --mute --offline --image FOLDER",
        "serve --port 0 FOLDER",
        "trace import FOLDER -o -",
        "trace show FOLDER",
        "check FOLDER",
    ],
)
def test_devices_and_folders(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.replace("FOLDER", str(tmp_path)).split()) == 2
    err = capsys.readouterr().err
    assert "cannot read" in err and (ZERO in err or tmp_path.name in err) and "  do " in err


@posix
@pytest.mark.parametrize(
    "words", ["- --mute --offline", "--mute --offline", "--mute --offline --setup -", "trace import - -o -"]
)
def test_a_stdin_without_end(words: str) -> None:
    with open(ZERO, "rb") as zero:
        command = [sys.executable, "-m", "livews", *words.split()]
        done = subprocess.run(command, stdin=zero, capture_output=True, timeout=40)
    assert done.returncode == 2 and b"stdin" in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["--mute --offline", "check -", "hi --mute --url ws://127.0.0.1:1 --timeout 2"])
def test_closed_streams(words: str, closed: str) -> None:
    command = f'exec "{sys.executable}" -m livews {words} {closed}'
    done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=40)
    assert done.returncode in (0, 2, 4) and b"Traceback" not in done.stderr
