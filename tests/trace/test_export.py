"""`livews trace export`: WAV, captions and Markdown."""

from __future__ import annotations

import errno
import shutil
import subprocess
import tempfile
import wave
from array import array
from pathlib import Path

import pytest

from livews.cli.console import Console
from livews.errors import BadRequest
from livews.report import render
from tests.kit.traces import transcript
from tests.trace.kit import BARGE_IN, READY, TOOL, Run, microphone, talk, tone, voice, write


def test_sound_stands_where_it_was_heard(trace: Run, tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    mic = [microphone(round(0.3 + i * 0.1, 3), tone(0.1, 16000, 3000)) for i in range(5)]
    path, out = write(tmp_path / "t.jsonl", *READY, *mic, *talk()[2:]), tmp_path / "out.wav"
    done = trace("export", path, "-o", out)
    assert done.code == 0, done.err
    with wave.open(str(out)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 24000, 2)
        both = array("h", file.readframes(file.getnframes()))
    user, model = both[0::2], both[1::2]

    def loud(channel: array[int], start: float, end: float) -> bool:
        return all(abs(sample) > 1000 for sample in channel[int(start * 24000) : int(end * 24000)])

    def still(channel: array[int], start: float, end: float) -> bool:
        return all(abs(sample) < 200 for sample in channel[int(start * 24000) : int(end * 24000)])

    assert still(user, 0, 0.19) and loud(user, 0.21, 0.69) and still(user, 0.71, 3.5)
    assert still(model, 0, 1.39) and loud(model, 1.41, 2.29) and still(model, 2.31, 3.19)
    assert loud(model, 3.21, 3.67) and still(model, 3.69, 4.0), "480 ms were heard, though it was stopped after 520"
    assert len(model) < 3.8 * 24000
    if shutil.which("soxi"):
        assert subprocess.run(["soxi", "-c", out], capture_output=True, text=True).stdout.strip() == "2"
    if shutil.which("ffprobe"):
        asked = ["ffprobe", "-v", "error", "-show_entries", "stream=channels,sample_rate", "-of", "csv=p=0", out]
        assert subprocess.run(asked, capture_output=True, text=True).stdout.strip() == "24000,2"


def test_without_a_heard_line_sound_ends_at_the_interruption(trace: Run, tmp_path: Path) -> None:
    rows = [row for row in talk() if "heard" not in row]
    path, out = write(tmp_path / "t.jsonl", *rows), tmp_path / "out.wav"
    assert trace("export", path, "-o", out).code == 0
    with wave.open(str(out)) as file:
        assert file.getnchannels() == 2, "nobody spoke: one rate"
        assert file.getnframes() == pytest.approx(3.72 * 24000, abs=2)


def test_without_a_resampler_there_are_two_files(trace: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livews.audio.resample.resampler", lambda rate, wanted: None)
    done = trace("export", BARGE_IN, "-o", tmp_path / "out.wav")
    assert done.code == 0 and "pip install soxr" in done.err and "livews[" not in done.err
    assert not (tmp_path / "out.wav").exists()
    for name, rate in (("user", 16000), ("model", 24000)):
        with wave.open(str(tmp_path / f"out-{name}.wav")) as file:
            assert (file.getnchannels(), file.getframerate()) == (1, rate)
            assert any(file.readframes(file.getnframes()))


def test_sound_that_is_not_there_is_refused(trace: Run, tmp_path: Path) -> None:
    done = trace("export", TOOL, "-o", tmp_path / "out.wav")
    assert done.code == 2 and "elide" in done.err
    far = write(tmp_path / "far.jsonl", *READY, voice(1e8, tone(0.1)))
    assert trace("export", far, "-o", tmp_path / "out.wav").code == 2
    assert not (tmp_path / "out.wav").exists()


def test_captions(trace: Run, tmp_path: Path) -> None:
    rows = talk()
    rows[3] = transcript(1.2, "<b>Good</b> --> &")
    path = write(tmp_path / "t.jsonl", *rows)
    srt, vtt = tmp_path / "t.srt", tmp_path / "t.vtt"
    assert trace("export", path, "-o", srt).code == trace("export", path, "-o", vtt).code == 0
    text = srt.read_text()
    assert text.startswith(
        "1\n00:00:01,000 --> 00:00:02,500\nYou: Hello\n\n2\n00:00:01,200 --> 00:00:02,300\nModel: "
    )
    assert "‹b›Good" in text and "A long story." in text
    assert "It never ends." not in text, "it was cut off before it was heard"
    assert "<v Model>&lt;b&gt;Good&lt;/b&gt; --&gt; &amp;day." in vtt.read_text()
    if shutil.which("ffprobe"):
        for file, name in ((srt, "subrip"), (vtt, "webvtt")):
            report = ["ffprobe", "-v", "error", "-count_packets", "-of", "csv=p=0"]
            report += ["-show_entries", "stream=codec_name,nb_read_packets", str(file)]
            assert subprocess.run(report, capture_output=True, text=True).stdout.strip() == f"{name},5"


def test_spoken_words_stand_where_they_were_spoken(trace: Run) -> None:
    lines = trace("export", BARGE_IN, "--srt", "-o", "-").out.splitlines()
    at = lines.index("You: What is that?")
    start, end = lines[at - 1].split(" --> ")
    assert "00:00:00,000" <= start <= "00:00:00,200" and "00:00:00,700" <= end <= "00:00:01,000"


def test_a_page(trace: Run, tmp_path: Path) -> None:
    page = trace("export", TOOL, "--md", "-o", "-").out
    assert '**You** 0:00.1 Use get\\_weather for "Berlin"' in page
    assert "> 0:00.3 call: `get_weather(" in page and "answer: `get_weather answered {" in page
    assert "latency: first byte after 0.25 s" in page or "latency: first byte after 0.26 s" in page
    page = trace("export", write(tmp_path / "t.jsonl", *talk()), "--md", "-o", "-").out
    assert "interrupted after 0.5 s were heard" in page and "~~It never ends.~~ (not heard)" in page
    assert "## Turn 2" in page and "closed 1000 by the client" in page


def test_a_full_disk_is_reported_of_the_file_that_is_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of the output nor of stdout, which are elsewhere."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(BadRequest, match="a temporary file cannot be written") as caught:
        render.write(write(tmp_path / "t.jsonl", *talk()), tmp_path / "out.html")
    assert caught.value.where == tempfile.gettempdir() and "TMPDIR" in caught.value.fix
    with pytest.raises(BadRequest, match="cannot use") as caught, Console("never", False).stdout_errors():
        (tmp_path / "missing").read_bytes()
    assert caught.value.where == str(tmp_path / "missing") and caught.value.why == "No such file or directory"
