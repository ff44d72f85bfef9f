"""The short form of tests.fuzz, and that it finds what it looks for."""

import tracemalloc
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from livews.errors import BadRequest
from tests.fuzz import readers
from tests.fuzz.mutation import mutation
from tests.fuzz.worker import Run, work


@pytest.mark.parametrize("kind", readers.READERS)
def test_a_short_run_finds_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.worker._limit_memory", lambda: None)  # of this process
    run = Run(kind, tmp_path)
    for number in range(6 if kind == "traces" else 40):
        run.feed(mutation(11, number, run.seeds, run.reader.tokens))
    readers.clean()
    assert [finding.why for finding in run.result.findings] == []


def test_it_prints_no_warnings_of_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of livews are findings as ever."""

    def read(data: bytes) -> None:
        warnings.warn_explicit("Corrupt EXIF data", UserWarning, "TiffImagePlugin.py", 1, "PIL.TiffImagePlugin")
        with pytest.raises(UserWarning):
            warnings.warn_explicit("x", UserWarning, "image_file.py", 1, "livews.media.image_file")
        seen.append(data)

    seen: list[bytes] = []
    monkeypatch.setattr("tests.fuzz.worker._limit_memory", lambda: None)
    monkeypatch.setattr("logging.disable", lambda: None)
    monkeypatch.setitem(readers.READERS, "bad", lambda: readers.Reader(lambda: [b"x"], {"read": read}))
    work("bad", 1, 0.0, tmp_path, False, SimpleNamespace(send=lambda result: None))
    assert seen


def _loop(data: bytes) -> None:
    for _ in range(len(data) * 3_000_000):
        pass


def _refuse(data: bytes) -> None:
    raise BadRequest("no")


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (_refuse, ""),
        (lambda data: data.decode("ascii"), "UnicodeDecodeError in ?"),
        (_loop, "slow: "),
        (lambda data: b"x" * len(data) * (300 << 20), "memory: "),
    ],
    ids=["refused", "exception", "slow", "memory"],
)
def test_it_finds(read: readers.Read, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.worker._limit_memory", lambda: None)
    tracemalloc.start()  # the process of the tests has had a peak of its own, above which nothing shows
    monkeypatch.setattr("tests.fuzz.worker._peak", lambda: tracemalloc.get_traced_memory()[1])
    monkeypatch.setitem(readers.READERS, "bad", lambda: readers.Reader(lambda: [b""], {"read": read}))
    run = Run("bad", tmp_path)
    run._usual["read"] = 0.0
    run.feed(b"\xff")
    readers.clean()
    tracemalloc.stop()
    found = [finding for finding in run.result.findings if why and why in finding.why]
    assert bool(found) == bool(why)
    assert all(Path(finding.path).read_bytes() == b"\xff" for finding in run.result.findings)
