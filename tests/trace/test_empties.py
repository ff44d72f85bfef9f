"""Empty messages of the server in a trace: a count on the next line, and every message again when it is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from livews.conversation import Conversation
from livews.redactor import Redactor
from livews.report import data as report_data
from livews.report.message_excerpt import MemberDocs
from livews.trace.session import follow
from livews.trace.view import TraceView
from livews.trace.writer import TraceFile
from tests.kit.traces import Row, asked, got, load
from tests.report.kit import fill
from tests.trace.kit import READY, Run, over, tone, voice, write

_BARE, _CONTENT = b"{}\n", b'{\n  "serverContent": {}\n}\n'
_GENERATED = b'{"serverContent":{"generationComplete":true}}'

# what comes after setupComplete (an empty message by its letter, e or c; G for one that is not; U for one of the user),
# and the counts of the lines for it: of bare ones and of empty contents, None for a line of an empty message itself
_RUNS: dict[str, tuple[str, list[tuple[int, int]]]] = {
    "none": ("GG", [(0, 0), (0, 0)]),
    "one before each": ("eGeG", [(1, 0), (1, 0)]),
    "the opener of 3.8": ("eceG", [(2, 1)]),
    "the opener of 3.1": ("cG", [(0, 1)]),
    "a run of contents": ("cccG", [(0, 3)]),
    "ahead of the user": ("eeUeG", [(2, 0), (1, 0)]),
    "a content first": ("ceG", [(0, 1), (0, 0)]),
    "a content late": ("eecG", [(2, 0), (0, 0)]),
    "a content after the opener": ("ecececG", [(2, 1), (1, 1)]),
    "at the end": ("Gee", [(0, 0), (1, 0)]),
    "at the end, of contents": ("Gcc", [(0, 0), (0, 1)]),
    "nothing else": ("eee", [(2, 0)]),
    "more than one count holds": ("e" * 2003 + "G", [(1000, 0), (1000, 0), (1, 0)]),
}
_FRAMES = {"e": _BARE, "c": _CONTENT, "G": _GENERATED}


def _record(recorder: Any, pattern: str, closes: bool = False) -> list[str]:
    """Let a recorder see a session; the kinds of what it saw."""
    conversation, kinds = Conversation(), []
    frames = [("client", json.dumps(READY[0]["message"]).encode()), ("server", b'{"setupComplete":{}}')]
    hello = json.dumps(asked(0, "Hello")["message"]).encode()
    frames += [("client", hello) if letter == "U" else ("server", _FRAMES[letter]) for letter in pattern]
    for i, (sender, raw) in enumerate(frames):
        step = conversation.step("client" if sender == "client" else "server", raw)
        kinds.append(step.kind)
        recorder.frame(i / 100, "send" if sender == "client" else "recv", "binary", step)
    if closes:
        recorder.control(99.0, "recv", "close", {"code": 1000, "reason": ""})
    recorder.close()
    return kinds


def _kinds(path: Path) -> list[str]:
    return [step.kind for session in follow(path) for _, step in session if step is not None]


@pytest.mark.parametrize("name", _RUNS)
def test_a_run_is_a_count_on_the_next_line(name: str, tmp_path: Path) -> None:
    pattern, wanted = _RUNS[name]
    path = tmp_path / "t.jsonl"
    kinds = _record(TraceFile(path, url="ws://127.0.0.1", side="client", secrets=Redactor()), pattern)
    lines = load(path)[3:]
    assert [(line.get("empty", 0), line.get("emptyContent", 0)) for line in lines] == wanted
    assert _kinds(path) == kinds, "every message is there for a reader, in its place"
    assert all(isinstance(line["message"], dict) for line in lines), "a reader that knows no counts reads each line"


def test_a_run_before_the_close_is_on_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    _record(TraceFile(path, url="ws://127.0.0.1", side="client", secrets=Redactor()), "Gee", closes=True)
    assert load(path)[-1] == {"t": 99.0, "dir": "recv", "empty": 2, "close": {"code": 1000, "reason": ""}}


def test_what_has_content_or_comes_from_elsewhere_is_a_line(tmp_path: Path) -> None:
    """An empty message of the client is a fault, an inserted one is somebody's, and an unknown member is news."""
    path = tmp_path / "t.jsonl"
    file = TraceFile(path, url="ws://127.0.0.1", side="client", secrets=Redactor())
    conversation = Conversation()
    for sender, raw in (("client", b"{}"), ("server", b'{"news":{}}'), ("server", b'{"serverContent":{"a":1}}')):
        step = conversation.step("client" if sender == "client" else "server", raw)
        file.frame(0.1, "send" if sender == "client" else "recv", "binary", step)
    file.inserted = lambda: True
    file.frame(0.2, "recv", "binary", conversation.step("server", b"{}"))
    file.close()
    assert [line["message"] for line in load(path)[1:]] == [{}, {"news": {}}, {"serverContent": {"a": 1}}, {}]
    assert not any("empty" in line for line in load(path))


@pytest.mark.parametrize("name", _RUNS)
def test_a_terminal_shows_no_line_for_it(name: str) -> None:
    pattern, wanted = _RUNS[name]
    lines: list[str] = []
    _record(TraceView(lines.append, lambda style, text: text, str), pattern)
    shown = lines[2:]
    assert len(shown) == len(wanted)
    for line, (bare, contents) in zip(shown, wanted, strict=True):
        assert (f"after {bare + contents} empty" in line) is bool(bare + contents)


@pytest.mark.parametrize("name", _RUNS)
def test_a_page_has_no_row_for_it(name: str, tmp_path: Path) -> None:
    pattern, wanted = _RUNS[name]
    path = tmp_path / "t.jsonl"
    _record(TraceFile(path, url="ws://127.0.0.1", side="client", secrets=Redactor()), pattern)
    sessions = follow(path)
    session = next(sessions)
    page = report_data.ReportSession(session, MemberDocs())
    fill(page, session)
    news = page.news(report_data.NewsCursor())
    page.close()
    assert news is not None and page.rows == 2 + len(wanted)
    said = json.dumps(news)
    for bare, contents in wanted:
        assert not bare + contents or f"after {bare + contents} empty" in said


def _talk() -> list[Row]:
    """A reply of 3.8 as one trace lists it, and as another counts it."""
    return [
        *READY,
        asked(1.0, "Hello"),
        voice(1.5, tone(0.2)) | {"empty": 2, "emptyContent": 1},
        voice(1.6, tone(0.2)) | {"empty": 1},
        got(1.7, {"serverContent": {"generationComplete": True}}),
        over(3.0) | {"empty": 2},
    ]


def _listed(rows: list[Row]) -> list[Row]:
    out = []
    for row in rows:
        bare, contents = row.get("empty", 0), row.get("emptyContent", 0)
        messages = [{}] * min(bare, 1) + [{"serverContent": {}}] * contents + [{}] * (bare - 1)
        out += [got(row["t"], message) | {"size": 26 if message else 3} for message in messages]
        out.append({name: value for name, value in row.items() if not name.startswith("empty")})
    return out


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "a.jsonl", *_talk()), write(tmp_path / "b.jsonl", *_listed(_talk()))


@pytest.mark.parametrize("words", [["stats"], ["stats", "--json"], ["check"], ["show"]], ids=" ".join)
def test_tools_say_the_same_of_both(words: list[str], both: tuple[Path, Path], trace: Run) -> None:
    counted, listed = (trace(*words, path) for path in both)
    assert (counted.code, counted.out.replace("a.jsonl", "b.jsonl")) == (listed.code, listed.out)
    assert counted.err.replace("a.jsonl", "b.jsonl") == listed.err


def test_messages_are_counted(both: tuple[Path, Path], trace: Run) -> None:
    stats = json.loads(trace("stats", "--json", both[0]).out.splitlines()[0])
    assert stats["messages"]["server"]["kinds"]["empty"]["count"] == 5
    assert "13 messages" in trace("check", both[0]).out + trace("check", both[0]).err


def test_a_copy_keeps_the_counts(both: tuple[Path, Path], trace: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    for words in (["cut", "--from", "1.55"], ["redact"]):
        assert trace(words[0], both[0], *words[1:], "-o", out).code == 0
        counts = [row.get("empty", 0) for row in load(out)]
        assert counts[-3:] == [1, 0, 2], words
    assert trace("diff", *both).code == 0


def test_har_has_every_message(both: tuple[Path, Path], trace: Run, tmp_path: Path) -> None:
    for path in both:
        assert trace("export", path, "--har", "-o", path.with_suffix(".har")).code == 0
    counted, listed = (json.loads(path.with_suffix(".har").read_text()) for path in both)
    of_both = [[one["data"] for one in har["log"]["entries"][0]["_webSocketMessages"]] for har in (counted, listed)]
    assert len(of_both[0]) == len(of_both[1]) == 13


def test_har_comes_back_with_the_counts(both: tuple[Path, Path], trace: Run, tmp_path: Path) -> None:
    har, out = tmp_path / "t.har", tmp_path / "back.jsonl"
    assert trace("export", both[1], "--har", "-o", har).code == 0
    assert trace("import", har, "-o", out).code == 0
    counts = [[row.get(name, 0) for name in ("empty", "emptyContent")] for row in load(out)]
    assert counts == [[row.get(name, 0) for name in ("empty", "emptyContent")] for row in load(both[0])]


@pytest.mark.parametrize("wrong", [-1, "many", None, 1.5, True, [2], 10**30], ids=str)
def test_a_count_that_is_none_is_not_counted(wrong: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *READY, voice(1.0, tone(0.1)) | {"empty": wrong, "emptyContent": wrong})
    assert len(_kinds(path)) == 3
