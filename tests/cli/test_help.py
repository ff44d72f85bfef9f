"""`livews help`: the pages, and the options of commands, offline."""

from __future__ import annotations

import pytest

from livews.cli import COMMANDS
from livews.cli.help import plain_text, topics
from tests.kit.command import livews


def test_it_lists_topics_and_commands() -> None:
    done = livews("help")
    assert (done.returncode, done.stderr) == (0, "")
    for name in [*topics(), *COMMANDS]:
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("words", [["serve"], ["trace"], ["trace", "html"], ["talk"], ["help"]])
def test_a_command_shows_its_options(words: list[str]) -> None:
    done = livews("help", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == livews(*words, "--help").stdout
    assert done.stdout.startswith("usage: livews")


def test_a_topic_shows_its_page() -> None:
    for words in (["testing-your-app"], ["testing"], ["Testing", "your", "app"]):
        done = livews("help", *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("TEST YOUR APP WITHOUT A KEY\n")
    assert "PlaybackBuffer" in livews("help", "architecture").stdout


@pytest.mark.parametrize(
    ("words", "text"), [(["nothing"], "topics: changes"), (["c"], "closes"), (["1008"], "livews explain 1008")]
)
def test_an_unknown_topic_is_refused(words: list[str], text: str) -> None:
    done = livews("help", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr


@pytest.mark.parametrize("name", topics())
def test_pages_are_plain_text(name: str) -> None:
    text = topics()[name].read_text()
    lines = list(plain_text(text, 100))
    assert lines
    for line in lines:
        assert not line.startswith(("```", "<!--", "|", "#", "![")) or line.startswith("    "), line


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("# A title", ["A TITLE"]),
        ("## Part", ["Part", "----"]),
        ("one\ntwo `three` **four** *five*", ["one two three four five"]),
        ("see [the page](x.md) or `--wav *.wav`", ["see the page or --wav *.wav"]),
        ("- one\n  goes on\n- two", ["- one goes on", "- two"]),
        ("```sh\nls | wc  # no title\n```", ["    ls | wc  # no title"]),
        ("| option | use |\n|---|---|\n| `-a\\|b` | both |", ["  option                  use", "  -a|b                    both"]),
        ("<!-- a note -->\n![a picture](x.png)\ntext", ["text"]),
        ("a * b and 2*3", ["a * b and 2*3"]),
    ],
)  # fmt: skip
def test_markdown(markdown: str, plain: list[str]) -> None:
    assert [line for line in plain_text(markdown, 80) if line] == plain
