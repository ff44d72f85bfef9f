"""What a conversation may cost and how long it may last, and what is said of it at the end."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from livews.cli import main, talk
from livews.cli.console import Environment
from livews.cli.session_inputs import SessionInputs
from tests.bench.golden.parts import png
from tests.kit.command import LIVEWS, livews, serving
from tests.kit.screen import Terminal


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
        ("--fault close=invalid-argument@9", "cost unknown: the service counted no tokens"),
    ],
)
def test_what_is_not_counted_is_not_guessed(options: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with serving("--pace", "0", *shlex.split(options)) as (url, _):
        _, _, err = run("one", url, capsys)
    assert says in err


@pytest.mark.usefixtures("charged")
def test_a_model_without_a_price_is_unknown(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "livews: cost unknown: no price is known for this model, in " in run("--model test one", server, capsys)[2]


# When it ends


@pytest.mark.parametrize(
    ("options", "heard"),
    [
        # the first turn costs more than that, and is answered to its end; no other begins
        ("--max-usd 0.0001", 1),
        ("--max-usd 100", 3),
        ("--max-minutes 60", 3),
    ],
)
def test_a_limit_ends_the_session_after_a_turn(options: str, heard: int, server: str) -> None:
    done = livews("one", "two", "three", "--mute", "--url", server, *options.split())
    assert done.returncode == 0 and done.stdout.count("I heard") == heard
    assert (f"ended by {options} after " in done.stderr) == (heard < 3)
    assert ('2 of your 3 turns were not sent: "two", "three"' in done.stderr) == (heard < 3)


def test_when_the_time_is_up_a_reply_is_cut() -> None:
    with serving() as (url, _):
        done = livews("one", "two", "--mute", "--url", url, "--max-minutes", "0.002")
    assert done.returncode == 0 and '1 of your 2 turns was not sent: "two"' in done.stderr
    assert re.search(r"ended by --max-minutes 0.002 after \d.\d s, in mid-reply", done.stderr)


def test_a_limit_in_json(server: str) -> None:
    done = livews("one", "two", "--json", "--mute", "--url", server, "--max-usd", "0.0001")
    [limit], [summary] = rows(done.stdout, "limit"), rows(done.stdout, "summary")
    assert (done.returncode, limit["option"], limit["unsent"]["turns"]) == (0, "--max-usd", ["two"])
    assert summary["usage"]["response"] and len(rows(done.stdout, "turnEnd")) == 1


def test_an_idle_prompt_is_left_when_the_time_is_up(server: str) -> None:
    command = [*LIVEWS, "--mute", "--url", server, "--max-minutes", "0.01"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        err = process.stderr.read()  # stdin is open all the time
        assert (
            process.wait(20) == 0 and "livews: ended by --max-minutes 0.01 after 0." in err and "mid-reply" not in err
        )


def test_the_live_view_ends_with_the_time(server: str) -> None:
    with Terminal([*LIVEWS, "--mute", "--url", server, "--max-minutes", "0.03"], rows=24, columns=110) as terminal:
        terminal.wait_for("message >")
        terminal.wait_for("ended by --max-minutes 0.03 after 1.")
        assert terminal.wait() == 0 and terminal.restored()


def test_a_function_that_runs_is_stopped_when_the_time_is_up(tmp_path: Path) -> None:
    schema = tmp_path / "s.json"
    schema.write_text('{"name": "slow", "description": "Wait."}')
    with serving("--pace", "0", "--calls", "always") as (url, _):
        done = livews(
            "wait", "--tool", "slow=sleep 60", "--tool-schema", schema, "--mute", "--url", url, "--max-minutes", "0.02"
        )  # fmt: skip
    assert done.returncode == 0 and "in mid-reply" in done.stderr and "result of slow() was not sent" in done.stderr


@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        ("gemini-9-live", 2, "--max-usd cannot be kept: no price is known for gemini-9-live"),
        ("models/gemini-robotics-er-2-streaming-preview", 2, "no price is known for gemini-robotics"),
        (
            "gemini-3.1-flash-live-preview",
            0,
            "does not count its spoken answers: the cost may be higher than --max-usd",
        ),
        ("gemini-3.8-live", 0, "this server charges nothing; --max-usd counts what the service of Google would"),
    ],
)
def test_whether_a_cost_can_be_limited_is_said_before_it_starts(
    model: str, code: int, says: str, server: str
) -> None:
    done = livews("one", "--model", model, "--max-usd", "5", "--mute", "--url", server)
    assert (done.returncode, bool(done.stdout)) == (code, not code) and says in done.stderr, done.stderr


def test_an_answer_that_is_not_counted_makes_the_limit_uncertain() -> None:
    with serving("--pace", "0", "--wire", "usage=none") as (url, _):
        done = livews("one", "two", "--mute", "--url", url, "--max-usd", "1")
    assert done.returncode == 0
    assert done.stderr.count("the service did not count an answer: the cost may be higher than --max-usd") == 1


# The size of the context


@pytest.mark.parametrize(
    ("words", "setup", "texts"),
    [
        ("--compress Hello", {"slidingWindow": {}}, ["Hello"]),
        ("Hello --compress", {"slidingWindow": {}}, ["Hello"]),
        ("--compress 25600 Hello", {"triggerTokens": 25600, "slidingWindow": {}}, ["Hello"]),
        ("--compress=128000:5000", {"triggerTokens": 128000, "slidingWindow": {"targetTokens": 5000}}, []),
        ("Hello", None, ["Hello"]),
    ],
)
def test_compress_is_a_member_of_the_setup(words: str, setup: Any, texts: list[str]) -> None:
    options = talk.parse(shlex.split(words))
    assert options.words == texts
    assert (SessionInputs(options, Environment()).setup or {}).get("contextWindowCompression") == setup


@pytest.mark.parametrize("size", ["4999", "128001", "5000:5000", "25k", "25.600", "9000:x", "1_000", "9000:", "0:0"])
def test_a_size_that_the_service_refuses_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        talk.parse(["--compress", size, "Hello"])
    assert f"invalid size {size}: expected 5000 to 128000 tokens" in capsys.readouterr().err


def test_compress_wins_over_the_file_in_either_spelling(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text('{"context_window_compression": {"trigger_tokens": 9000}}')
    setup = SessionInputs(talk.parse(["--setup", str(path), "--compress"]), Environment()).setup
    assert setup == {"context_window_compression": {"slidingWindow": {}}}


def test_a_model_that_does_not_compress_is_named() -> None:
    with serving("--pace", "0") as (url, _):
        done = livews("one", "--compress", "--model", "gemini-2.5-flash-native-audio-latest", "--mute", "--url", url)
        assert livews("one", "--compress", "--mute", "--url", url).returncode == 0
    assert done.returncode == 0 and "does not take contextWindowCompression" in done.stderr, "one report says so"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", "ends a session with sound after 15 minutes; about 900 s are left. Start livews with --compress to talk longer"),
        ("--model gemini-2.5-flash-native-audio-latest", "ends a session with sound after 15 minutes; about 900 s are left\n"),
        ("--image IMAGE", "ends a session with pictures after 2 minutes; about 120 s are left"),
        ("--compress", ""),
    ],
)  # fmt: skip
def test_the_end_of_a_session_is_said_in_time(
    options: str, says: str, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A minute before; here at once."""
    monkeypatch.setattr("livews.session.lifetime.NOTICE", 1000.0)
    image = tmp_path / "a.png"
    image.write_bytes(png())
    code, _, err = run(f"one {options.replace('IMAGE', str(image))}", server, capsys)
    assert code == 0 and (says in err if says else "ends a session" not in err)
