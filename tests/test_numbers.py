"""Numbers of the peer and of files: no value of a numeric member breaks a reader, whatever it is.

The members are those of the schemas: a new one is tested without being listed here.
"""

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from livews.cli import main
from livews.cli.view_rows import ViewRows, ViewState
from livews.conversation import Conversation
from livews.core import codec, events, schema
from tests.kit.command import LIVEWS, livews
from tests.kit.servers import acts, scripted
from tests.kit.traces import asked, control, got, sent, write

SETUP = {"setup": {"model": "models/test", "outputAudioTranscription": {}}}
NUMERIC = ("int32", "int64", "double", "Duration", "Timestamp")
DIGITS = "9" * 20
VALUES: list[Any] = [
    0, 1, -1, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, 10**20, 1e308, -1e308, 5e-324, 0.5, True, None, "", "0", "-1", "1.0",
    DIGITS, f"-{DIGITS}", "1e308", "NaN", "Infinity", "-Infinity", "inf", "nan", "infs", "nans", "-5s", "1e400s", "0s",
    "0.000000001s", "999999999999s", f"{DIGITS}s", "s", "9999-12-31T23:59:59Z", "0000-00-00T00:00:00Z", [], {},
]  # fmt: skip
RATES = [
    "0",
    "1",
    "7",
    "20",
    "3999",
    "192001",
    "9999999",
    DIGITS,
    "-24000",
    "1e9",
    "inf",
    "nan",
    "",
    "24000.5",
    "high",
]
AUDIO = "AAABAAIAAwA="


def numeric(of: schema.Table, depth: int = 7) -> Iterator[tuple[schema.Member, ...]]:
    """The members with numbers in a type, each with those it stands in."""
    for member in {member.name: member for member in of.members.values()}.values() if depth else ():
        target = schema.table(member.target) if member.target else None
        if target is not None and target.name in NUMERIC:
            yield (member,)
        elif target is not None and target.is_message:
            for inner in numeric(target, depth - 1):
                yield (member, *inner)


def placed(members: tuple[schema.Member, ...], value: Any) -> Any:
    """A message with a value in a member."""
    for member in reversed(members):
        value = {member.name: [value] if member.shape == "list" else {"k": value} if member.shape == "map" else value}
    return value


def of_rate(rate: str) -> dict[str, Any]:
    blob = {"mimeType": f"audio/pcm;rate={rate}", "data": AUDIO}
    return {"serverContent": {"modelTurn": {"parts": [{"inlineData": blob}]}}}


MEMBERS = [*numeric(schema.table(schema.ENVELOPE["server"]))]
ODD = [placed(members, value) for value in VALUES for members in MEMBERS] + [of_rate(rate) for rate in RATES]
END: list[dict[str, Any]] = [
    {"toolCallCancellation": {"ids": [""]}},
    {"serverContent": {"outputTranscription": {"text": "Hello."}}},
    {"serverContent": {"turnComplete": True}},
]


def test_the_numbers_of_the_schemas_are_found() -> None:
    paths = {".".join(member.name for member in members) for members in MEMBERS}
    assert {"usageMetadata.promptTokensDetails.tokenCount", "goAway.timeLeft", "voiceActivity.audioOffset"} <= paths


def test_events_and_the_view_have_only_numbers_that_everything_can_print() -> None:
    conversation, rows = Conversation(), ViewRows("utf-8")
    conversation.step_message("client", SETUP)
    for message in ({"setupComplete": {}}, *ODD):
        step = conversation.step("server", json.dumps(message))
        assert step.kind != "unreadable" and isinstance(step.findings, list)
        for event in events.events(step):
            orjson.dumps(
                {
                    field.name: getattr(event, field.name)
                    for field in dataclasses.fields(event)
                    if field.name not in ("step", "pcm", "data")
                }
            )
            match event:
                case events.Audio(rate=rate):
                    assert rate in codec.RATES
                case events.GoAway(seconds=seconds):
                    rows.status(ViewState(closes_in=seconds, age=seconds or 0.0), 80)
                case events.Usage(prompt_by=prompt_by, response_by=response_by):
                    rows.status(ViewState(tokens_in=prompt_by, tokens_out=response_by), 80)


@pytest.mark.parametrize("time", ["infs", "nans", "-5s", "1e400s", "1_0s", "s", f"{DIGITS}s", 5, None, {}])
def test_what_is_no_duration_gives_no_time(time: Any) -> None:
    assert events.seconds(time) is None


def test_a_rate_that_is_not_taken_is_noted_once() -> None:
    conversation = Conversation()
    conversation.step_message("client", SETUP)
    conversation.step_message("server", {"setupComplete": {}})
    odd = [of_rate("1"), of_rate("1"), of_rate("24000"), of_rate("1"), of_rate("192001")]
    steps = [conversation.step("server", codec.dump(message)) for message in odd]
    notes = [[str(note) for note in step.notes] for step in steps]
    assert [len(note) for note in notes] == [1, 0, 0, 0, 1]
    assert (
        "4,000 to 192,000 Hz: 24000 is assumed at /serverContent/modelTurn/parts/0/inlineData/mimeType" in notes[0][0]
    )
    assert [event.rate for step in steps for event in events.events(step) if isinstance(event, events.Audio)] == [
        24_000
    ] * 5


@pytest.mark.parametrize(
    "words", [(), ("--json",), ("--text",), ("--wav", "v")], ids=lambda words: " ".join(words) or "plain"
)
def test_talk_survives_the_numbers_of_a_server(words: tuple[str, ...], tmp_path: Path) -> None:
    frames = [json.dumps(message) for message in [*ODD, *END]]

    async def talk() -> tuple[int | None, str, str]:
        async with scripted(acts(None, *frames, (1000, ""))) as url:
            process = await asyncio.create_subprocess_exec(
                *LIVEWS, "hi", "--mute", "--url", url, *words, cwd=Path(__file__).parents[1], stdin=-3, stdout=-1, stderr=-1
            )  # fmt: skip
            try:
                out, err = await asyncio.wait_for(process.communicate(), 60)
            finally:
                if process.returncode is None:
                    process.kill()
            return process.returncode, out.decode(), err.decode()

    words = tuple(str(tmp_path / word) if word == "v" else word for word in words)
    code, out, err = asyncio.run(talk())
    assert "Traceback" not in err and code == 0, err[-2000:]
    assert "inf" not in err.split() and "nan" not in err.split()
    if "--json" in words:
        assert [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def odd_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every number of a server, and every number of a trace's own lines."""
    rows = [sent(0.0, SETUP), got(0.1, {"setupComplete": {}}), asked(0.2, "hi")]
    rows += [{"t": 0.3, "dir": "recv", "message": message} for message in [*ODD, *END]]
    for value in VALUES:
        kinds = ("heardMs", "receivedMs", "underruns", "underrunMs", "late")
        rows.append(control(0.4, "send", "heard", **dict.fromkeys(kinds, value)))
        rows += [control(0.4, "recv", "ping", size=value), {**got(0.5, of_rate("1")), "size": value}]
    for t in (0, -1e9, 1e9, 0.5, -0.0):
        rows += [{**got(0.0, message), "t": t} for message in (of_rate("24000"), *END)]
    rows += [control(0.6, "recv", "close", code=value, reason="") for value in VALUES]
    head = {"trace": "livews", "version": 1, "started": "2026-01-01T00:00:00Z", "url": "wss://x/", "side": "client"}
    return write(tmp_path_factory.mktemp("numbers") / "odd.jsonl", head, *rows)


@pytest.mark.parametrize(
    "command",
    [
        ("trace", "show"), ("trace", "show", "--json"), ("trace", "check"), ("trace", "check", "--json"), ("check",),
        ("trace", "stats"), ("trace", "stats", "--json"), ("trace", "diff", "odd.jsonl"), ("trace", "html", "-o", "x.html"),
        ("trace", "export", "-o", "x.har"), ("trace", "export", "-o", "x.md"), ("trace", "export", "-o", "x.wav"),
        ("trace", "export", "-o", "x.srt"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_trace_tools_survive_the_numbers_of_a_trace(
    command: tuple[str, ...], odd_trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        str(odd_trace) if word == "odd.jsonl" else str(tmp_path / word) if word.startswith("x.") else word
        for word in command
    ]
    place = 2 if command[0] == "trace" else 1
    assert main([*words[:place], str(odd_trace), *words[place:]]) in ((2,) if "x.wav" in command else (0, 1))
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    if "--json" in command:
        assert [json.loads(line) for line in shown.out.splitlines()]


def test_a_har_of_odd_times_is_read(odd_trace: Path, tmp_path: Path) -> None:
    har = tmp_path / "x.har"
    assert main(["trace", "export", str(odd_trace), "-o", str(har)]) == 0
    log = json.loads(har.read_text())
    (entry,) = log["log"]["entries"]
    for message, value in zip(entry["_webSocketMessages"], VALUES, strict=False):
        message["time"] = value
    har.write_text(json.dumps(log))
    done = livews("trace", "import", har, "-o", tmp_path / "back.jsonl")
    assert "Traceback" not in done.stderr
    assert main(["trace", "stats", str(tmp_path / "back.jsonl")]) == 0
