"""`livews explain` of a symptom in somebody's own words, and of a code without its reason."""

import json
import shlex
from typing import Any

import pytest

from livews.advice import closes
from livews.cli import main, parse
from livews.core import protocol
from livews.explainer import code_table, symptoms
from tests.kit.names import DATA

ROWS: dict[str, Any] = json.loads((DATA / "symptoms.json").read_text())
ASKED = [(text, wanted) for wanted, texts in ROWS["asked"].items() for text in texts]


@pytest.mark.parametrize(("text", "wanted"), ASKED, ids=[text for text, _ in ASKED])
def test_a_symptom_is_found_by_the_words_of_a_user(
    text: str, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "--json", *text.split()]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == wanted


@pytest.mark.parametrize("text", ROWS["none"])
def test_what_is_no_symptom_stays_a_reason(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert symptoms.find(text) is None
    assert main(["explain", text]) == 0
    assert "a symptom" not in capsys.readouterr().out


@pytest.mark.parametrize(("text", "words"), ROWS["nearest"].items())
def test_what_fits_nothing_says_so_with_the_nearest(
    text: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", text]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "No reason and no symptom that livews knows" in shown
    near = shown.partition("the nearest symptoms: ")[2].partition(" else ")[0]
    assert 1 <= near.count("`livews explain ") <= 3 and all(word in near for word in words)
    assert main(["explain", "--json", text]) == 0
    assert json.loads(capsys.readouterr().out)["nearest"] == [symptom.title for symptom in symptoms.nearest(text)]


def test_each_symptom_has_many_wordings_and_languages() -> None:
    assert min(map(len, ROWS["asked"].values())) >= 13
    rows = symptoms._data()
    seen = [word for row in rows["words"] for word in row]
    assert len(set(seen)) == len(seen), "a word stands for two"
    assert set(rows["ignored"]) & set(seen) == set()


def test_every_symptom_is_asked_for_and_its_commands_exist() -> None:
    assert {symptom.id for symptom in symptoms.every()} == set(ROWS["asked"])
    for symptom in symptoms.every():
        found = symptoms.find(symptom.title)
        assert found is not None and found.id == symptom.id
        for proof in symptom.proves:
            program, *words = shlex.split(proof.run)
            command = words[0] if words[0][0] != "-" else "talk"
            assert program == "livews"
            parse(command, words[1:] if words[0] == command else words)  # exits where it is no command


def test_the_likely_cause_is_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "it", "never", "answers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("the model never answers") and lines[1].startswith(
        "  likely Nothing asks for an answer"
    )
    assert main(["explain", "symptoms"]) == 0
    assert "livews explain the sound is choppy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "first", "also"),
    [
        (1007, "invalid-argument", ["key-not-valid", "unknown-name"]),
        (1008, "model-not-found", ["not-implemented", "session-not-found"]),
        (1011, "internal-error", ["quota", "deadline-expired"]),
        (1000, "", []),
        (1001, "", []),
        (1006, "", []),
        (4001, "", []),
        (1009, "", []),
        (1013, "", []),
    ],
)
def test_a_code_gets_the_table_of_its_reasons(
    code: int, first: str, also: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = code_table.reasons(code)
    assert [row.id for row in rows][:1] == ([first] if first else [])
    assert set(also) <= {row.id for row in rows[:5]}
    with_code = [row for row in protocol.closes() if row["code"] == code]
    assert {row.id for row in rows} == ({row["id"] for row in with_code} if first else set())
    assert [row.id for row in rows if not row.reason] == [
        row["id"] for row in with_code if first and not row["match"]
    ]
    assert main(["explain", str(code)]) == 0
    shown = capsys.readouterr().out
    assert ("reason begins with" in shown) == bool(first)
    assert "the last frame" not in shown and ("reasons are known" in shown.splitlines()[0]) == bool(first)
    assert (f'livews explain {code} "REASON"' in " ".join(shown.split())) == (code != 1006)
    assert main(["explain", str(code), "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out).get("reasons", [])] == [row.id for row in rows]


def test_what_is_frequent_is_in_the_file() -> None:
    for name in protocol.load("closes.json")["frequent"]:
        assert protocol.close_row(name)["match"]


@pytest.mark.parametrize(("asked", "shows"), ROWS["codes"].items())
def test_a_code_without_a_row_is_explained_by_the_standard(
    asked: str, shows: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", asked]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert [part for part in shows if part not in shown] == []
    assert "last frame" not in shown and "livews explain symptoms" in shown and "livews doctor" in shown


def test_every_code_has_a_meaning() -> None:
    for code in range(1000, 5000):
        texts = closes.of_code(code)
        assert texts.cause and texts.do and f"Closed with {code}: " in texts.meaning
        assert "no close code" not in texts.meaning
    assert "no close code" in closes.of_code(999).meaning and "no close code" in closes.of_code(70_000).meaning
