"""Talking: voice, pictures, tools and keys, as a user does it. Sound cards are in tests/audio/test_conversation.py."""

import asyncio
import contextlib
import io
import itertools
import json
import re
import shlex
import signal
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from livews.cli import main, replies, talk
from livews.cli.console import Console, Environment
from livews.cli.output import Output, Unsent
from livews.cli.session_inputs import SessionInputs
from livews.core.codec import decode_base64, encode_base64
from livews.errors import RemoteProtocolError
from livews.session.session import Session
from tests.bench.golden.parts import png
from tests.kit.command import LIVEWS, Done, livews, serving
from tests.kit.screen import Terminal
from tests.kit.servers import SETUP_COMPLETE, acts, scripted
from tests.kit.sound import tone, write_wav


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Quick, and its turns still take some time."""
    with serving("--pace", "0.05", "--voice", "tones", "--as-of", "2026-11") as (url, _):
        yield url


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    with serving("--voice", "tones", "--as-of", "2026-11") as (url, _):
        yield url


def said_to(url: str, *words: str | Path) -> Done:
    """`livews WORDS` against this server, which succeeds."""
    done = livews(*words, "--mute", "--url", url)
    assert done.returncode == 0, done.stderr
    return done


def sent(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return [row["message"] for row in rows if row["dir"] == "send" and "message" in row]


# The user's voice, from a file


def test_a_file_is_spoken_and_answered(server: str, tmp_path: Path) -> None:
    """All of it is sent, and behind it the silence without which the service waits for ever."""
    trace, pcm = tmp_path / "t.jsonl", tone(0.7)
    done = said_to(server, "--mic", write_wav(tmp_path / "a.wav", pcm), f"--trace={trace}")
    assert re.search(r"I heard 0\.\d seconds of sound", done.stdout)
    assert "you: [0." in done.stderr and "1 reply, from the end of your words" in done.stderr
    setup, *pieces, end = sent(trace)
    assert setup["setup"]["inputAudioTranscription"] == {}
    assert end == {"realtimeInput": {"audioStreamEnd": True}}
    audio = [piece["realtimeInput"]["audio"] for piece in pieces]
    assert {blob["mimeType"] for blob in audio} == {"audio/pcm;rate=16000"}
    heard = b"".join(decode_base64(blob["data"]) for blob in audio)
    assert heard == pcm + bytes(len(heard) - len(pcm))
    assert len(heard) - len(pcm) >= 2 * 16000 * 1.5


def test_two_files_are_two_turns_and_the_words_come_first(server: str, tmp_path: Path) -> None:
    first, second = write_wav(tmp_path / "a.wav", tone(0.4)), write_wav(tmp_path / "b.wav", tone(0.6))
    lines = said_to(server, "--mic", first, "--mic", second, "Hello").stdout.splitlines()
    assert ["seconds of sound" in line for line in lines] == [False, True, True]
    assert '"Hello"' in lines[0]


def test_push_to_talk_marks_what_is_said(server: str, tmp_path: Path) -> None:
    trace, sound = tmp_path / "t.jsonl", write_wav(tmp_path / "a.wav", tone(0.5))
    done = said_to(server, "--mic", sound, "--push-to-talk", f"--trace={trace}")
    assert "seconds of sound" in done.stdout
    setup, *inputs = sent(trace)
    assert setup["setup"]["realtimeInputConfig"] == {"automaticActivityDetection": {"disabled": True}}
    kinds = [next(iter(message["realtimeInput"])) for message in inputs]
    assert kinds == ["activityStart", *["audio"] * (len(kinds) - 2), "activityEnd"]


def test_a_file_without_speech_is_told_and_not_waited_for(server: str, tmp_path: Path) -> None:
    started = time.monotonic()
    done = said_to(server, "--mic", write_wav(tmp_path / "a.wav", bytes(16000)))
    assert "no sound in it that could be speech" in done.stderr
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("option", "content", "report"),
    [
        ("--mic={}.wav", None, "No such file"),
        ("--mic={}.wav", b"", "empty"),
        ("--mic={}.wav", b"no wav at all, just words of some length", "WAV"),
        ("--image={}.png", b"%PDF-1.7 and so on", "{}.png"),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused_before_dialling(
    option: str, content: bytes | None, report: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{option[-4:]}"
    if content is not None:
        path.write_bytes(content)
    done = livews(option.format(tmp_path / "a"), "What?", "--url", "ws://127.0.0.1:1")
    assert done.returncode == 2
    assert report.format(tmp_path / "a") in done.stderr and str(path) in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_microphone_it_is_told_before_dialling() -> None:
    done = livews("--mic", "--url", "ws://127.0.0.1:1", env={"PULSE_SERVER": "unix:/nowhere/at/all"})
    assert done.returncode == 6
    assert "--mic" in done.stderr
    assert "nothing is listening" not in done.stderr


# Flags that cannot work


@pytest.mark.parametrize(
    ("words", "mic", "said"),
    [
        (["--mic", "Hello"], ["-"], ["Hello"]),
        (["--mic", "voice.WAV", "Hello"], ["voice.WAV"], ["Hello"]),
        (["--mic=odd-name", "Hello"], ["odd-name"], ["Hello"]),
        (["--", "--mic"], [], ["--mic"]),
    ],
)
def test_the_word_after_mic_is_a_file_when_it_looks_like_one(
    words: list[str], mic: list[str], said: list[str]
) -> None:
    options = talk.parse(words)
    assert (options.mic, options.words) == (mic, said)


# What the flags make of the setup


def setup_of(*words: str) -> Any:
    with contextlib.closing(SessionInputs(talk.parse([*words, "hi"]), Environment())) as wishes:
        return wishes.setup


def test_flags_add_to_the_setup_of_the_user(tmp_path: Path) -> None:
    own = tmp_path / "s.json"
    members = {"tools": [{"codeExecution": {}}], "input_audio_transcription": None}
    own.write_text(json.dumps({**members, "realtime_input_config": {"turn_coverage": "TURN_INCLUDES_ALL_INPUT"}}))
    sound = write_wav(tmp_path / "a.wav", tone(0.1))
    made = setup_of("--setup", str(own), "--search", "--mic", str(sound), "--push-to-talk")
    assert made["tools"] == [{"codeExecution": {}}, {"googleSearch": {}}]
    assert made["input_audio_transcription"] is None
    assert "inputAudioTranscription" not in made, "what the user said counts"
    assert made["realtime_input_config"] == {
        "turn_coverage": "TURN_INCLUDES_ALL_INPUT",
        "automaticActivityDetection": {"disabled": True},
    }
    assert setup_of() is None


# Pictures


def picture(folder: Path) -> str:
    path = folder / "a.png"
    path.write_bytes(png())
    return str(path)


def test_a_picture_is_shown_before_the_question(server: str, tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    done = said_to(server, "--image", picture(tmp_path), "What is this?", f"--trace={trace}")
    assert "I saw 1 picture (image/png" in done.stdout
    assert [next(iter(one)) for one in sent(trace)] == ["setup", "realtimeInput", "clientContent"]


# Tools


@pytest.fixture
def weather(tmp_path: Path) -> list[str]:
    schema = tmp_path / "weather.json"
    parameters = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
    schema.write_text(json.dumps({"name": "get_weather", "description": "The weather", "parameters": parameters}))
    program = "import json, sys; a = json.load(sys.stdin); print(json.dumps({'sky': 'clear over ' + a['city']}))"
    script = tmp_path / "weather.py"
    script.write_text(program)
    return ["--tool", f"get_weather={sys.executable} {script}", "--tool-schema", str(schema)]


@pytest.mark.parametrize("behavior", ["BLOCKING", "NON_BLOCKING"])
@pytest.mark.parametrize("model", ["gemini-3.8-live", "gemini-2.5-flash-native-audio-latest"])
def test_a_command_is_called_and_its_answer_spoken(
    model: str, behavior: str, weather: list[str], server: str
) -> None:
    """Also where the turn ends beside the call: the next TEXT waits for the answer's own turn."""
    schema = Path(weather[-1])
    schema.write_text(json.dumps({**json.loads(schema.read_text()), "behavior": behavior}))
    done = said_to(server, *weather, "--model", model, 'What is the weather in "Paris"?', "And now?")
    *beside, first, second = done.stdout.splitlines()
    assert 'get_weather answered {"sky":"clear over Paris"}' in first
    assert '"And now?"' in second
    talks_on = model.startswith("gemini-2.5") and behavior == "NON_BLOCKING"
    assert beside == (["One moment, please."] if talks_on else [])
    assert re.search(r'get_weather\(city="Paris"\) → \{"sky":"clear over Paris"\}  \(\d\.\d s\)', done.stderr)


def test_a_tool_in_json(weather: list[str], server: str) -> None:
    done = said_to(server, *weather, 'What is the weather in "Paris"?', "--json")
    events = {row["event"]: row for row in map(json.loads, done.stdout.splitlines())}
    ran = events["tool"]
    assert (ran["name"], ran["error"], ran["cancelled"]) == ("get_weather", "", False)
    assert [*events].index("tool") > [*events].index("toolCall")


SETUP = '{"tools": [{"functionDeclarations": [{"name": "other_thing"}]}]}'


@pytest.mark.parametrize(
    ("words", "report"),
    [
        ("--tool-timeout 0.5 --tool get_weather=sleep\\ 60 get_weather", "did not finish within 0.5 s"),
        # also beside a tool that is there: nothing leaves the model waiting (TOOL-3)
        ("--setup {} --tool get_weather=cat other_thing", "the model called other_thing(), which is not here"),
    ],
)
def test_a_call_without_a_result_is_answered_and_the_session_goes_on(
    words: str, report: str, server: str, tmp_path: Path
) -> None:
    (tmp_path / "s.json").write_text(SETUP)
    done = said_to(server, *shlex.split(words.format(tmp_path / "s.json")), "Hello")
    assert '"Hello"' in done.stdout.splitlines()[-1]
    assert done.stderr.count(report) == 1


@pytest.mark.parametrize("tools", ["", "--tool one=cat"])
def test_what_a_service_makes_up_is_reported_in_bounded_number_and_length(tools: str, tmp_path: Path) -> None:
    """And its calls are answered, in one message."""
    answers: list[dict[str, Any]] = []
    names = {f"{i}{'n' * 5_000}": 1 for i in range(90)}

    async def script(socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await socket.recv()
            await socket.send(SETUP_COMPLETE)
            await socket.recv()
            for message in (names, made_call(*(f"f{i}" for i in range(500))), END):
                await socket.send(json.dumps(message))
            answers.append(json.loads(await socket.recv()))
            for message in (SPOKEN, GENERATED, END):
                await socket.send(json.dumps(message))
            while True:
                await socket.recv()
                for message in ({"goAway": {"timeLeft": "60s"}}, END):
                    await socket.send(json.dumps(message))

    async def go() -> Done:
        words = [*tools.split(), "--wav", str(tmp_path / "a.wav"), "--mute", "--no-resume", "--turn-timeout", "5"]
        async with scripted(script) as url:
            return await asyncio.to_thread(livews, *words, "--url", url, *["Hello"] * 30)

    done = asyncio.run(go())
    ids = [row["id"] for row in answers[0]["toolResponse"]["functionResponses"]]
    assert ids == [f"f{i}" for i in range(500)]
    for rest in ("70 more names", "480 more calls", "9 more times", "in 10 more turns"):
        assert done.stderr.count(rest) == 1, done.stderr
    assert len(done.stderr) < 12_000 and len(done.stderr.splitlines()) < 90


def test_a_turn_that_ends_badly_is_said(tmp_path: Path) -> None:
    rejected = {"serverContent": {"turnComplete": True, "turnCompleteReason": "RESPONSE_REJECTED"}}
    zeros = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": encode_base64(bytes(48_000))}}
    silent = {"serverContent": {"modelTurn": {"parts": [zeros]}}}

    async def go() -> Done:
        async with scripted(acts(PROMPT, rejected, PROMPT, silent, END)) as url:
            return await asyncio.to_thread(livews, "--mute", "--turn-timeout", "5", "--url", url, "Hello", "Hello")

    said = asyncio.run(go()).stderr
    assert said.count("turn 1 ended without audio with RESPONSE_REJECTED: The model discarded its own answer") == 1
    assert said.count("turn 2 is silent: of 1.0 s of audio every sample is zero (TURN-13)") == 1


def test_tiny_turns_without_end_are_counted(tmp_path: Path) -> None:
    """Each turn with a little audio, half of them interrupted."""
    words = ["--wav", f"{tmp_path}/", "--mute", "--turn-timeout", "5"]
    part = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": encode_base64(bytes(480))}}
    sound = {"serverContent": {"modelTurn": {"parts": [part]}}}

    async def go() -> Done:
        async with scripted(acts(*30 * [PROMPT, sound, END, PROMPT, sound, CUT, END])) as url:
            return await asyncio.to_thread(livews, *words, "--url", url, *["Hello"] * 60)

    done = asyncio.run(go())
    assert len([*tmp_path.iterdir()]) == 60
    for rest in ("audio of 40 more turns was written", "10 more replies were interrupted"):
        assert done.stderr.count(rest) == 1, done.stderr
    assert len(done.stderr.splitlines()) < 50


# What a result is still owed

ANSWER = PROMPT = None
Wire = list[Any]
"""What a server does, as `acts` takes it. PROMPT and ANSWER, a toolResponse, are waited for."""


def said(text: str) -> dict[str, Any]:
    return {"serverContent": {"outputTranscription": {"text": text}}}


def made_call(*names: str) -> dict[str, Any]:
    return {"toolCall": {"functionCalls": [{"id": name, "name": name, "args": {}} for name in names]}}


END: dict[str, Any] = {"serverContent": {"turnComplete": True}}
GENERATED: dict[str, Any] = {"serverContent": {"generationComplete": True}}
CUT: dict[str, Any] = {"serverContent": {"interrupted": True}}
USED: dict[str, Any] = {
    **END,
    "usageMetadata": {"promptTokenCount": 3, "responseTokenCount": 4, "totalTokenCount": 7},
}
CALL, BOTH = made_call("one"), made_call("one", "two")
TALK_ON, SPOKEN, AGAIN = said("Let me look."), said("It is one."), said("It is two.")
LIVE_38, NATIVE, LIVE_31 = "gemini-3.8-live", "gemini-2.5-flash-native-audio-latest", "gemini-3.1-flash-live-preview"


def against(
    wire: Wire,
    tmp_path: Path,
    *words: str,
    behavior: str = "NON_BLOCKING",
    delay: float = 0.0,
    run: Callable[..., Any] = livews,
) -> tuple[Any, float]:
    """`livews WORDS` with two tools, against a server that does this; and how long the run took after its last step."""
    schema = tmp_path / "tools.json"
    schema.write_text(json.dumps([{"name": name, "behavior": behavior} for name in ("one", "two")]))
    tools = [word for name in ("one", "two") for word in ("--tool", f"{name}=sh -c 'sleep {delay}; echo {name}'")]
    ended: list[float] = []

    async def go() -> Any:
        async with scripted(acts(*wire, lambda socket: ended.append(time.monotonic()))) as url:
            given = [*tools, "--tool-schema", str(schema), "--mute", "--url", url, *words, "Hello"]
            return await asyncio.to_thread(run, *given)

    done = asyncio.run(go())
    return done, time.monotonic() - ended[0]


@pytest.mark.parametrize(
    ("model", "behavior", "wire", "words"),
    [
        # recorded: the result ends the speech beside the call, and the answer is a turn of its own
        (NATIVE, "NON_BLOCKING", [CALL, TALK_ON, GENERATED, ANSWER, CUT, USED, 0.5, SPOKEN, GENERATED, END], [TALK_ON, SPOKEN]),
        # the result waits until the model has spoken, and is quicker than the speech
        (NATIVE, "NON_BLOCKING", [CALL, ANSWER, TALK_ON, GENERATED, END, 0.5, SPOKEN, GENERATED, END], [TALK_ON, SPOKEN]),
        (LIVE_38, "NON_BLOCKING", [CALL, TALK_ON, GENERATED, ANSWER, CUT, USED, 0.5, SPOKEN, GENERATED, END], [TALK_ON, SPOKEN]),
        # the turn ends beside the call, before and after the result
        (LIVE_38, "NON_BLOCKING", [CALL, GENERATED, END, ANSWER, 0.5, SPOKEN, GENERATED, END], [SPOKEN]),
        (LIVE_38, "NON_BLOCKING", [CALL, ANSWER, GENERATED, END, 0.5, SPOKEN, GENERATED, END], [SPOKEN]),
        # the model speaks on beside a call whose function takes longer than the turn
        (LIVE_38, "NON_BLOCKING", [CALL, TALK_ON, GENERATED, END, ANSWER, 0.5, SPOKEN, GENERATED, END], [TALK_ON, SPOKEN]),
        # an answer that calls again
        (LIVE_38, "NON_BLOCKING", [CALL, END, ANSWER, made_call("two"), END, ANSWER, 0.5, SPOKEN, END], [SPOKEN]),
        # two results, and a turn for each; or one for both
        (LIVE_38, "NON_BLOCKING", [BOTH, END, ANSWER, ANSWER, 0.5, SPOKEN, END, 1.0, AGAIN, END], [SPOKEN, AGAIN]),
        (LIVE_38, "NON_BLOCKING", [BOTH, ANSWER, ANSWER, END, 0.5, SPOKEN, END], [SPOKEN]),
        (LIVE_38, "NON_BLOCKING", [BOTH, END, ANSWER, ANSWER, 0.5, SPOKEN, END, 0.5, (1000, "")], [SPOKEN]),
        # calls that hold the turn: it ends with the answer, or without one
        (NATIVE, "BLOCKING", [CALL, ANSWER, SPOKEN, GENERATED, END], [SPOKEN]),
        (NATIVE, "BLOCKING", [BOTH, ANSWER, ANSWER, SPOKEN, GENERATED, END], [SPOKEN]),
        (LIVE_31, "NON_BLOCKING", [CALL, ANSWER, SPOKEN, GENERATED, END], [SPOKEN]),
        (NATIVE, "BLOCKING", [CALL, ANSWER, GENERATED, END], []),
        # the answer is a turn without a word
        (LIVE_38, "NON_BLOCKING", [CALL, END, ANSWER, 0.5, GENERATED, END], []),
        (LIVE_38, "NON_BLOCKING", [CALL, END, ANSWER, 0.5, said(""), GENERATED, END], []),
    ],
)  # fmt: skip
def test_one_text_waits_for_the_spoken_answer(
    model: str, behavior: str, wire: Wire, words: list[dict[str, Any]], tmp_path: Path
) -> None:
    """TOOL-5. A run ends when the answer was spoken, and soon after, also where the service closes then."""
    done, seconds = against([PROMPT, *wire], tmp_path, "--model", model, behavior=behavior)
    expected = [one["serverContent"]["outputTranscription"]["text"] for one in words]
    assert (done.returncode, done.stdout.split("\n")) == (0, [*expected, ""]), done.stderr
    assert seconds < 8


def test_json_tells_that_more_comes(tmp_path: Path) -> None:
    wire = [PROMPT, CALL, TALK_ON, GENERATED, ANSWER, CUT, USED, 0.5, SPOKEN, GENERATED, END]
    done, _ = against(wire, tmp_path, "--model", NATIVE, "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["interrupted"], row["waiting"]) for row in rows if row["event"] == "turnEnd"] == [
        (True, True),
        (False, False),
    ]
    assert [row["event"] for row in rows].count("latency") == 2, "the speech that was cut, and the answer"


OVERDUE = "Connection aborted because the client failed to close the connection after receiving a GoAway signal once"
KEY_INVALID = "API key not valid. Please pass a valid API key."


@pytest.mark.parametrize(
    ("wire", "words", "code", "report"),
    [
        ([CALL, END, ANSWER], ["--turn-timeout", "2"], 5, "no spoken answer to the result of one() within 2 s"),
        ([BOTH, END, ANSWER, ANSWER], ["--turn-timeout", "2"], 5, "the result of one(), two() within 2 s"),
        ([CALL, TALK_ON, ANSWER, CUT, END], ["--turn-timeout", "2"], 5, "no spoken answer to the result of one()"),
        ([CALL, END, ANSWER, 0.3, (1000, "")], [], 5, "1000"),
        ([CALL, END, ANSWER, 0.3, (1011, "Internal error encountered.")], [], 5, "1011"),
        ([CALL, END, ANSWER, {"goAway": {"timeLeft": "1s"}}, 0.3, (1000, "")], [], 5, "goAway"),
        ([CALL, END, ANSWER, {"goAway": {"timeLeft": "1s"}}, 0.3, (1008, OVERDUE)], [], 5, "leave out --no-resume"),
        ([CALL, END, ANSWER, {"goAway": {"timeLeft": "1s"}}, 0.3, (1007, KEY_INVALID)], [], 3, "x-goog-api-key"),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(
    wire: Wire, words: list[str], code: int, report: str, tmp_path: Path
) -> None:
    done, seconds = against([PROMPT, *wire], tmp_path, "--model", LIVE_38, "--no-resume", *words)
    assert done.returncode == code, done.stderr
    assert report in done.stderr
    assert seconds < 8


@pytest.mark.parametrize(("wire", "patience"), [([CALL, END, ANSWER], 1.0), ([SPOKEN, END], None)])
def test_a_server_that_stalled_is_not_waited_for_at_the_end(
    wire: Wire, patience: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float | None] = []
    close = Session.close

    async def noted(session: Session, *, patience: float | None = None) -> None:
        given.append(patience)
        await close(session, patience=patience)

    monkeypatch.setattr(Session, "close", noted)
    words = ["--model", LIVE_38, "--turn-timeout", "1"]
    against([PROMPT, *wire], tmp_path, *words, run=lambda *words: main(list(words)))
    assert given == [patience]


def test_a_call_that_is_withdrawn_after_its_turn_ends_the_run(tmp_path: Path) -> None:
    wire = [PROMPT, CALL, TALK_ON, GENERATED, END, 0.5, {"toolCallCancellation": {"ids": ["one"]}}]
    done, seconds = against(wire, tmp_path, "--model", LIVE_38, delay=30)
    assert (done.returncode, done.stdout) == (0, "Let me look.\n")
    assert "one() → cancelled" in done.stderr
    assert seconds < 8


@pytest.mark.parametrize(
    ("delay", "report"),
    [
        (0, "no spoken answer to the result of one() has come for 0.5 s"),
        (2, "nothing has come for 0.5 s; one() has not answered yet"),
    ],
)
def test_an_answer_that_is_late_is_told_of(
    delay: float, report: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replies, "STALL", 0.5)
    wire = [PROMPT, CALL, END, ANSWER, 2, SPOKEN, END]
    assert against(wire, tmp_path, delay=delay, run=lambda *words: main(list(words)))[0] == 0
    out, err = capsys.readouterr()
    assert out == "It is one.\n"
    assert report in err


# What is told


def test_the_view_of_a_trace_has_a_line_a_second_for_the_microphone(server: str, tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "a.wav", tone(0.5))
    done = said_to(server, "--mic", sound, "--image", picture(tmp_path), "--trace")
    lines = done.stderr.splitlines()
    held = [re.search(r"realtimeInput x(\d+) .* audio ([\d,]+) ms", line) for line in lines]
    merged = [(int(found[1]), int(found[2].replace(",", ""))) for found in held if found]
    alone = sum("realtimeInput " in line and "audio 40 ms" in line for line in lines)
    assert sum(ms for _, ms in merged) + 40 * alone >= 2000, "all of it is counted"
    assert all(0 <= 40 * frames - ms < 40 for frames, ms in merged), "the last piece is a shorter one"
    assert len(merged) + alone < 20
    assert any("picture image/png" in line for line in lines)


def test_a_warning_is_a_line_of_its_own_also_in_a_file_for_both(tmp_path: Path) -> None:
    """stdout and stderr in one file, as 2>&1 has it."""
    with serving("--pace", "0.2", "--voice", "tones", "--fault", "go-away=60@9") as (url, _):
        command = [*LIVEWS, "--mute", "--no-resume", "--url", url, "Hello there, my friend"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert "\nlivews: the service closes this connection in 60 s (goAway)\n" in done.stdout


def test_a_wav_of_several_turns_tells_how_long_it_is(server: str, tmp_path: Path) -> None:
    path = tmp_path / "v.wav"
    done = said_to(server, "one", "two", f"--wav={path}")
    first, second = [re.findall(r"(\d+\.\d) s", line) for line in done.stderr.splitlines() if "v.wav" in line]
    with wave.open(str(path)) as file:
        assert float(second[1]) == pytest.approx(file.getnframes() / 24000, abs=0.06)
    assert len(first) == 1
    assert float(first[0]) + float(second[0]) == pytest.approx(float(second[1]), abs=0.11)


# Stalls


def test_a_turn_that_stalls_is_given_up() -> None:
    with serving("--pace", "0", "--fault", "stall@2") as (url, _):
        done = livews("Hello", "--mute", "--turn-timeout", "1", "--url", url)
    assert done.returncode == 5
    assert "no reply: nothing has come for 1 s" in done.stderr
    assert "--turn-timeout" in done.stderr


def test_a_stall_in_the_live_view_is_told_and_given_up() -> None:
    program = "from livews.cli import main, replies; replies.STALL = 0.3; import sys; sys.exit(main())"
    with serving("--pace", "0", "--fault", "stall@2") as (url, _):
        command = [sys.executable, "-c", program, "--mute", "--turn-timeout", "3", "--url", url]
        with Terminal(command, rows=24, columns=110) as terminal:
            terminal.wait_for("message >")
            terminal.type("hello\r")
            terminal.wait_for("nothing has come for 0.3 s; the service may have stalled")
            terminal.wait_for("no reply: nothing has come for 3 s")
            assert terminal.wait() == 5
            assert terminal.restored()


class _Quiet:
    """A session in which nothing comes."""

    def __init__(self, pending: dict[str, str]) -> None:
        self.conversation = SimpleNamespace(pending=pending)

    async def events(self) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield


@pytest.mark.parametrize(
    ("asked", "pending", "warning", "given_up"),
    [
        ("typed", {}, "nothing has come for 0.1 s", True),
        ("typed", {"1": "slow"}, "a tool has not answered yet", False),
        ("spoken", {}, "no answer to your speech has come for 0.1 s", False),
        ("", {}, "", False),
    ],
)
async def test_who_waits_does_not_decide_whether_a_stall_is_reported(
    asked: str, pending: dict[str, str], warning: str, given_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live microphone waits for nothing; speech without an answer may have been noise."""
    monkeypatch.setattr(replies, "STALL", 0.1)
    environment = Environment(stderr=io.StringIO(), stdout=io.StringIO())
    options, console = talk.parse(["--turn-timeout", "0.4"]), Console(environment=environment)
    reader = replies.Replies(options, console, Output(options, console))
    reader.session = cast(Any, _Quiet(pending))
    if asked == "typed":
        reader.requested()
    elif asked == "spoken":
        reader.spoken(reader.watch.clock())
    with (
        contextlib.suppress(TimeoutError),
        pytest.raises(RemoteProtocolError) if given_up else contextlib.nullcontext(),
    ):
        async with asyncio.timeout(1.5):
            await reader.run()
        assert given_up
    err = cast(io.StringIO, environment.stderr).getvalue()
    assert err.count(warning) == 1 if warning else err == ""


# What was never sent


@pytest.mark.parametrize("output", ["text", "json"])
def test_what_was_never_sent_is_named(output: str, tmp_path: Path) -> None:
    with serving("--pace", "0", "--fault", "close=unavailable@3") as (url, _):
        done = livews("one", "two", "three", "--mute", "--no-resume", "--url", url, *["--json"] * (output == "json"))
        lines = livews(
            "-",
            "--mute",
            "--no-resume",
            "--url",
            url,
            *["--json"] * (output == "json"),
            stdin="one\n\ntwo\nthree\nfour\nfive",
        )
    assert (done.returncode, lines.returncode) == (5, 5)
    assert done.stderr.rstrip().endswith('livews: 2 of your 3 turns were not sent: "two", "three"')
    assert '4 of your 5 turns were not sent: "two", "three", "four" and 1 more' in lines.stderr
    if output == "json":
        row = json.loads(done.stdout.splitlines()[-1])
        assert (row["event"], row["unsent"]["turns"]) == ("error", ["two", "three"])


def test_a_result_and_speech_in_vain_are_named() -> None:
    unsent = Unsent([], 1, 2.34, ["get_weather"])
    assert unsent.sentences() == [
        "your last speech (2.3 s) was not answered", "the result of get_weather() was not sent",
    ]  # fmt: skip
    assert Unsent(["a\x1b"], 1).sentences() == ['your turn was not sent: "a\\x1b"']
    assert Unsent().sentences() == []


def test_speech_that_a_close_cuts_is_named(tmp_path: Path) -> None:
    with serving("--pace", "0.05", "--voice", "tones", "--fault", "close=unavailable@3") as (url, _):
        done = livews("--mic", write_wav(tmp_path / "a.wav", tone(0.7)), "--mute", "--no-resume", "--url", url)
    assert done.returncode == 5
    assert re.search(r"your last speech \(0\.\d s\) was not answered", done.stderr)


# Ctrl-C, and the live view


@contextlib.contextmanager
def talking(*words: str) -> Iterator[subprocess.Popen[str]]:
    """`livews WORDS`, which is left with 130 and without a traceback."""
    command = [*LIVEWS, *words, "--mute"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_ctrl_c_leaves_a_list_of_turns_at_once(slow: str, tmp_path: Path) -> None:
    path = tmp_path / "v.wav"
    with talking("Hello", "again", f"--wav={path}", "--url", slow) as process:
        deadline = time.monotonic() + 20
        while not (path.exists() and path.stat().st_size > 10000) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
    with wave.open(str(path)) as file:
        assert file.getnframes() > 2400, "the WAV is whole"


def test_more_than_enough_ctrl_c(slow: str) -> None:
    """Whoever hammers on the key gets out, also while livews puts things in order."""
    with talking("Hello", "--url", slow) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)


@contextlib.contextmanager
def live(*words: str, line: str, shown: str) -> Iterator[Terminal]:
    """The live view of `livews WORDS`, where `line` was typed and `shown` has appeared."""
    with Terminal([*LIVEWS, "--mute", *words], rows=24, columns=110) as terminal:
        terminal.wait_for("message >")
        terminal.type(f"{line}\r")
        terminal.wait_for(shown)
        yield terminal


def test_one_types_while_the_model_speaks(slow: str) -> None:
    """The second line interrupts the first reply, as the service has it; both are on the screen, whose is told."""
    with live("--url", slow, line="tell me everything you know", shown="model  livews") as terminal:
        terminal.type("stop\r")
        terminal.wait_for('I heard "stop"')
        terminal.wait_for("interrupted")
        assert "you    tell me everything" in terminal.text
        assert "you    stop" in terminal.text
        terminal.type("q\r")
        assert terminal.wait() == 0
        terminal.settle()
        assert terminal.restored()
        assert "from the end of your words" in terminal.text


def test_ctrl_c_once_ends_the_turn_and_twice_leaves(slow: str) -> None:
    with live(
        "--url", slow, line="tell me everything you know, and then some more", shown="model  livews"
    ) as terminal:
        terminal.type("\x03")
        terminal.wait_for("Ctrl-C again leaves")
        assert "stopped" in terminal.text
        deadline = time.monotonic() + 2.2  # the second one would leave until then
        while time.monotonic() < deadline:
            terminal.read(0.1)
        said = [line for line in terminal.lines if line.startswith("model")]
        assert len(said) == 1, "nothing more of the reply"
        terminal.type("still there?\r")
        terminal.wait_for('I heard "still there?"')
        terminal.type("\x03")
        terminal.wait_for("Ctrl-C again leaves")
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert terminal.restored()


def test_a_second_ctrl_c_leaves_however_late(slow: str) -> None:
    with live("--url", slow, line="tell me everything you know", shown="model  livews") as terminal:
        terminal.type("\x03")
        terminal.wait_for("stopped")
        time.sleep(2.5)  # the reply that was stopped would still be playing
        terminal.type("\x03")
        assert terminal.wait() == 130


def test_ctrl_c_ends_a_command_that_runs_for_the_model(slow: str) -> None:
    with live(
        "--url", slow, "--tool", "get_weather=sleep 60", line="please get_weather", shown="● tool get_weather"
    ) as terminal:
        terminal.type("\x03")
        terminal.wait_for("get_weather() → failed: stopped by the user")
        terminal.type("q\r")
        assert terminal.wait() == 0


def test_a_close_ends_the_view_and_is_explained(tmp_path: Path) -> None:
    with (
        serving("--pace", "0", "--fault", "close=quota@4") as (url, _),
        live("--no-resume", "--url", url, line="hello", shown="livews: closed: 1011") as terminal,
    ):
        assert terminal.wait() in (3, 5)
        terminal.settle()
        assert terminal.restored()
        assert "  do  " in terminal.text


def test_a_normal_close_of_the_service_while_idle_is_explained(tmp_path: Path) -> None:
    """It ends what one talks with: the view ended without a word, and with 0."""
    said = {"serverContent": {"modelTurn": {"parts": [{"text": "Hello."}]}}}
    ended = {"serverContent": {"generationComplete": True, "turnComplete": True}}
    steps = [{"client": {}}, {"server": {"setupComplete": {}}}, {"client": {}}, {"server": said}, {"server": ended}]
    script = tmp_path / "idle.json"
    script.write_text(
        json.dumps({"name": "idle", "title": "closed", "steps": [*steps, {"wait": 0.2}, {"close": {"code": 1000}}]})
    )
    with (
        serving(str(script)) as (url, _),
        live("--no-resume", "--url", url, line="hello", shown="livews: closed: 1000") as terminal,
    ):
        assert terminal.wait() == 5
        terminal.settle()
        assert "The service ended the session and reports no error" in " ".join(terminal.text.split())


def test_the_reply_is_alone_on_a_stdout_that_is_no_terminal(server: str, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    shell = f'exec "{sys.executable}" -m livews --mute --url {server} > "{out}"'
    with Terminal(["/bin/sh", "-c", shell], rows=24, columns=90) as terminal:
        terminal.wait_for("message >")
        terminal.type("hello\r")
        terminal.wait_for(lambda: out.exists() and "hello" in out.read_text())
        terminal.type("q\r")
        assert terminal.wait() == 0
    assert out.read_text() == 'livews stand-in: I heard "hello".\n'


# Signals


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        *itertools.product(
            ["text", "voice", "live view"], [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT]
        ),
        ("closed terminal", signal.SIGHUP),
        ("Ctrl-\\ after Ctrl-Z", signal.SIGQUIT),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_signal_ends_everything(mode: str, number: signal.Signals, slow: str, tmp_path: Path) -> None:
    """The command of a tool and its children are gone, the close frame is sent, and the trace is whole."""
    pid, trace = tmp_path / "pid", tmp_path / "t.jsonl"
    tool = shlex.join(["sh", "-c", f"sleep 600 & echo $! > {pid}; sleep 600"])
    words = ["--url", slow, "--mute", "--tool", f"get_weather={tool}", f"--trace={trace}"]
    words += {
        "text": ["please get_weather"],
        "Ctrl-\\ after Ctrl-Z": ["please get_weather"],
        "voice": ["please get_weather", "--mic", str(tmp_path / "a.wav")],
    }.get(mode, [])
    write_wav(tmp_path / "a.wav", tone(60.0))
    with Terminal([*LIVEWS, *words], rows=24, columns=110) as terminal:
        if "view" in mode or "closed" in mode:
            terminal.wait_for("message >")
            terminal.type("please get_weather\r")
        terminal.wait_for(lambda: pid.exists() and pid.read_text().strip())
        if mode == "closed terminal":
            terminal.hang_up()
        elif "Ctrl" in mode:
            terminal.send(signal.SIGTSTP)
            terminal.send(signal.SIGCONT)
            terminal.type("\x1c")
        else:
            terminal.send(number)
            if number == signal.SIGINT and mode == "live view":
                terminal.wait_for("leaves")
                terminal.send(number)
        code = terminal.process.wait(20) if mode == "closed terminal" else terminal.wait(20)
        assert code == 128 + number
        assert mode == "closed terminal" or terminal.restored()
        assert b"Traceback" not in terminal.raw
    stat = Path(f"/proc/{pid.read_text().strip()}/stat")
    assert not stat.exists() or ") Z " in stat.read_text(), "the child of the command is gone"
    closes = [row["close"] for row in map(json.loads, trace.read_text().splitlines()[1:]) if "close" in row]
    assert closes[0] == {"code": 1000, "reason": ""}


@pytest.mark.parametrize("words", [[], ["--json"], ["--quiet"]])
def test_a_terminal_that_is_closed_at_the_prompt(words: list[str], server: str) -> None:
    with Terminal([*LIVEWS, "--url", server, "--mute", *words], rows=24, columns=110) as terminal:
        terminal.wait_for("message >")
        terminal.settle()
        terminal.hang_up()
        assert terminal.process.wait(20) == 128 + signal.SIGHUP, "not 120, Python's own for a flush that fails"


def test_a_signal_that_is_ignored_stays_ignored(server: str) -> None:
    command = f"trap '' HUP; exec {shlex.join([*LIVEWS, '--mute', '--url', server])} -"
    with subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("one\n")
        process.stdin.flush()
        assert "one" in process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate("two\n", timeout=20)
    assert process.returncode == 0 and "two" in out
