"""What a conversation may cost and how long it may last, and what is said of it at the end."""

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from livews.cli import main
from tests.kit.command import livews, serving


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving("--pace", "0.02", "--voice", "tones", "--as-of", "2026-11") as (url, _):
        yield url


@pytest.fixture
def charged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in counts as a service that is somewhere else."""
    monkeypatch.setattr("livews.session.session.is_local_url", lambda url: False)


def run(words: str, url: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """`livews WORDS` in this process: exit code, stdout, stderr."""
    code = main([*shlex.split(words), "--mute", "--url", url])
    out = capsys.readouterr()
    return code, out.out, out.err


def rows(out: str, event: str) -> list[dict[str, Any]]:
    return [row for row in map(json.loads, out.splitlines()) if row["event"] == event]


# What it cost


@pytest.mark.usefixtures("charged")
def test_the_cost_is_the_last_line(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("one two", server, capsys)
    assert code == 0 and err.splitlines()[-1].startswith("livews: cost 0.00"), err
    assert " USD by the list of 20" in err and "audio" in err.splitlines()[-1]


@pytest.mark.usefixtures("charged")
def test_the_cost_in_json_is_that_of_all_turns(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("--json one two", server, capsys)
    [summary], usages = rows(out, "summary"), rows(out, "usage")
    assert code == 0 and len(usages) == 2
    usage = summary["usage"]
    assert sum(usage["prompt"].values()) == sum(row["prompt"] for row in usages)
    assert sum(usage["response"].values()) == sum(row["response"] for row in usages)
    assert usage["usd"] > 0 and not usage["atLeast"] and usage["pricedOn"]


def test_the_stand_in_costs_nothing(server: str) -> None:
    done = livews("--mute", "--url", server, "one")
    assert "cost" not in done.stderr and "USD" not in done.stderr
    [summary] = rows(livews("--mute", "--json", "--url", server, "one").stdout, "summary")
    assert summary["usage"]["usd"] is None and summary["usage"]["response"]["AUDIO"]


@pytest.mark.usefixtures("charged")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--wire usage=none", "cost unknown: the service counted no tokens"),
        ("--fault usage-apart", "cost 0.00"),
        ("--fault close=unavailable@9", "cost unknown: the service counted no tokens"),
    ],
)
def test_what_is_not_counted_is_not_guessed(options: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with serving("--pace", "0", *shlex.split(options)) as (url, _):
        _, _, err = run("one", url, capsys)
    assert says in err


@pytest.mark.usefixtures("charged")
def test_a_model_without_a_price_is_unknown(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "livews: cost unknown: no price is known for this model, in " in run("--model test one", server, capsys)[2]
