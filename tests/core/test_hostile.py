"""Hostile input to the command, made by hypothesis: it may be refused, it may not break anything."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livews.cli import main
from livews.core import schema
from livews.terminal_text import escape_unsafe, one_line

NAMES = sorted({name for side in ("client", "server") for name in schema.table(schema.ENVELOPE[side]).members})
INNER = ["parts", "text", "data", "mimeType", "inlineData", "turns", "model", "id", "functionCalls", "x\x1b[2J", "‮"]
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text() | st.sampled_from(INNER)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*NAMES, *INNER]) | st.text(), inner),
    max_leaves=12,
)
messages = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)
lines = st.one_of(
    st.binary(max_size=60),
    messages.map(lambda m: json.dumps(m).encode()),
    st.builds(
        lambda d, m, t: json.dumps({"t": t, "dir": d, "message": m}).encode(),
        st.sampled_from(["send", "recv", 5]),
        values,
        values,
    ),
    st.builds(lambda c: json.dumps({"dir": "recv", "close": c}).encode(), values),
    st.builds(lambda r: json.dumps({"dir": "send", "raw": r}).encode(), values),
    st.just(b'{"trace":"livews","version":1}'),
    st.just(b"[" * 5000),
)


@pytest.mark.parametrize("head", [b"", b'{"trace":"livews","version":1}\n'])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(lines, max_size=6))
def test_check_survives_anything(
    head: bytes, content: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(head + b"\n".join(content))
    assert main(["check", str(path)]) in (0, 1, 2)
    shown = capsys.readouterr()
    for line in shown.out.splitlines():
        assert escape_unsafe(line) == line, "nothing of the file moves a cursor"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=80) | values.map(lambda v: json.dumps(v).encode()))
def test_setup_files_are_refused_or_used(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "setup.json"
    path.write_bytes(content)
    code = main(["hi", "--mute", "--setup", str(path), "--url", "ws://127.0.0.1:1"])
    assert code in (2, 4), "a usage error, or the refused connection behind a good file"
    assert capsys.readouterr().err.startswith("livews: ")


@given(code=st.text(max_size=12) | st.integers().map(str), reason=st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_explain_has_an_answer_for_everything(code: str, reason: str) -> None:
    if code.startswith("-") or reason.startswith("-") or not code.strip():
        return
    assert main(["explain", code, reason]) in (0, 2)


@given(st.text())
def test_printable_lets_nothing_through(text: str) -> None:
    shown = escape_unsafe(text)
    for char in shown:
        assert char in "\n\t" or (ord(char) >= 0x20 and not 0x7F <= ord(char) < 0xA0)
        assert char not in "​‎‏‪‫‬‭‮⁦⁧⁨⁩"
    assert "\n" not in one_line(text)
    assert escape_unsafe(shown) == shown


def test_main_hides_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("livews.cli.explain.run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["explain", "1006"])


def test_no_file_descriptors_are_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*given: Any) -> int:
        raise RuntimeError("livews is not completely installed") from OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("livews.cli.explain.run", broken)
    assert main(["explain", "1006"]) == 2
    err = capsys.readouterr().err
    assert "no file descriptors are left" in err and "ulimit -n" in err
