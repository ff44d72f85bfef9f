"""Talking: voice, pictures, tools and keys, as a user does it. Sound cards are in tests/audio/test_conversation.py."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from livews.cli import talk
from livews.cli.environment import Environment
from livews.cli.session_inputs import SessionInputs
from livews.core.codec import decode_base64
from tests.kit.command import Done, livews, serving
from tests.kit.screen import Terminal
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


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def sent(path: Path) -> list[dict[str, Any]]:
    return [row["message"] for row in rows(path) if row["dir"] == "send" and "message" in row]


def words_of(done: Done) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


# The user's voice, from a file


def test_a_file_is_spoken_and_answered(server: str, tmp_path: Path) -> None:
    """All of it is sent, and behind it the silence without which the service waits for ever."""
    trace, pcm = tmp_path / "t.jsonl", tone(0.7)
    done = livews("--mic", write_wav(tmp_path / "a.wav", pcm), "--mute", f"--trace={trace}", "--url", server)
    assert re.search(r"I heard 0\.\d seconds of sound", words_of(done))
    assert "you: [0." in done.stderr
    audio = [one["realtimeInput"]["audio"] for one in sent(trace) if "audio" in one.get("realtimeInput", {})]
    assert {blob["mimeType"] for blob in audio} == {"audio/pcm;rate=16000"}
    heard = b"".join(decode_base64(blob["data"]) for blob in audio)
    assert heard.startswith(pcm)
    assert len(heard) - len(pcm) >= 2 * 16000 * 1.5
    assert not any(heard[len(pcm) :])
    assert sent(trace)[-1] == {"realtimeInput": {"audioStreamEnd": True}}
    assert sent(trace)[0]["setup"]["inputAudioTranscription"] == {}
    assert "1 reply, from the end of your words" in done.stderr


def test_two_files_are_two_turns_and_the_words_come_first(server: str, tmp_path: Path) -> None:
    first, second = write_wav(tmp_path / "a.wav", tone(0.4)), write_wav(tmp_path / "b.wav", tone(0.6))
    done = livews("--mic", first, "--mic", second, "Hello", "--mute", "--url", server)
    said = words_of(done).splitlines()
    assert len(said) == 3
    assert '"Hello"' in said[0]
    assert "seconds of sound" in said[1] and "seconds of sound" in said[2]


def test_push_to_talk_marks_what_is_said(server: str, tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    done = livews(
        "--mic", write_wav(tmp_path / "a.wav", tone(0.5)), "--push-to-talk", "--mute", f"--trace={trace}", "--url", server
    )  # fmt: skip
    assert "seconds of sound" in words_of(done)
    inputs = [one["realtimeInput"] for one in sent(trace) if "realtimeInput" in one]
    assert inputs[0] == {"activityStart": {}}
    assert inputs[-1] == {"activityEnd": {}}
    assert {"audioStreamEnd": True} not in inputs
    config = sent(trace)[0]["setup"]["realtimeInputConfig"]
    assert config == {"automaticActivityDetection": {"disabled": True}}


def test_a_file_without_speech_is_told_and_not_waited_for(server: str, tmp_path: Path) -> None:
    started = time.monotonic()
    done = livews("--mic", write_wav(tmp_path / "a.wav", bytes(16000)), "--mute", "--url", server)
    assert done.returncode == 0
    assert "no sound in it that could be speech" in done.stderr
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"", "empty"), (b"no wav at all, just words of some length", "WAV")],
)
def test_a_file_that_cannot_speak_is_refused_before_dialling(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    done = livews("--mic", str(path), "--url", "ws://127.0.0.1:1")
    assert done.returncode == 2
    assert words in done.stderr
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_microphone_it_is_told_before_dialling() -> None:
    done = livews("--mic", "--url", "ws://127.0.0.1:1", env={"PULSE_SERVER": "unix:/nowhere/at/all"})
    assert done.returncode == 6
    assert "--mic" in done.stderr
    assert "nobody listens" not in done.stderr


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
    own.write_text(
        json.dumps(
            {
                "tools": [{"codeExecution": {}}],
                "input_audio_transcription": None,
                "realtime_input_config": {"turn_coverage": "TURN_INCLUDES_ALL_INPUT"},
            }
        )
    )
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


def png(path: Path) -> str:
    """One red pixel."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\x00\xc8\x1e\x1e")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return str(path)


def test_a_picture_is_shown_before_the_question(server: str, tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    done = livews("--image", png(tmp_path / "a.png"), "What is this?", "--mute", f"--trace={trace}", "--url", server)
    assert "I saw 1 picture (image/png" in words_of(done)
    kinds = [next(iter(one)) for one in sent(trace)]
    assert kinds == ["setup", "realtimeInput", "clientContent"]


def test_a_picture_that_is_none_is_refused_before_dialling(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("%PDF-1.7 and so on")
    done = livews("--image", str(path), "What is this?", "--url", "ws://127.0.0.1:1")
    assert done.returncode == 2
    assert str(path) in done.stderr


# Tools


@pytest.fixture
def weather(tmp_path: Path) -> list[str]:
    schema = tmp_path / "weather.json"
    schema.write_text(
        json.dumps(
            {
                "name": "get_weather",
                "description": "The weather in a city",
                "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
            }
        )
    )
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
    done = livews(*weather, "--model", model, "What is the weather in Paris?", "And now?", "--mute", "--url", server)
    first, second = words_of(done).splitlines()
    assert 'get_weather answered {"sky":"clear over Paris"}' in first
    assert '"And now?"' in second
    assert re.search(r'get_weather\(city="Paris"\) → \{"sky":"clear over Paris"\}  \(\d\.\d s\)', done.stderr)


def test_a_tool_in_json(weather: list[str], server: str) -> None:
    done = livews(*weather, "What is the weather in Paris?", "--json", "--mute", "--url", server)
    events = [json.loads(line) for line in words_of(done).splitlines()]
    (ran,) = [row for row in events if row["event"] == "tool"]
    assert (ran["name"], ran["error"], ran["cancelled"]) == ("get_weather", "", False)
    assert [row["event"] for row in events].index("tool") > [row["event"] for row in events].index("toolCall")


def test_a_tool_that_hangs_ends_in_a_line_and_the_session_goes_on(server: str) -> None:
    done = livews(
        "--tool", "get_weather=sleep 60", "--tool-timeout", "0.5", "Please get_weather", "Hello", "--mute", "--url", server
    )  # fmt: skip
    assert '"Hello"' in words_of(done).splitlines()[-1]
    assert "did not finish within 0.5 s" in done.stderr


def test_a_function_of_the_setup_without_a_command_is_refused_to_the_model(server: str, tmp_path: Path) -> None:
    """Also beside a tool that is there: nothing leaves the model waiting (TOOL-3)."""
    own = tmp_path / "s.json"
    own.write_text(json.dumps({"tools": [{"functionDeclarations": [{"name": "other_thing"}]}]}))
    words = [
        "--setup",
        str(own),
        "--tool",
        "get_weather=cat",
        "Please other_thing",
        "Hello",
        "--mute",
        "--url",
        server,
    ]
    done = livews(*words)
    assert '"Hello"' in words_of(done).splitlines()[-1]
    assert done.stderr.count("the model called other_thing(), which is not here") == 1


# What is told


def test_the_view_of_a_trace_has_a_line_a_second_for_the_microphone(server: str, tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "a.wav", tone(0.5))
    done = livews("--mic", sound, "--image", png(tmp_path / "a.png"), "--trace", "--mute", "--url", server)
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
    with serving("--pace", "0.2", "--voice", "tones", "--fault", "go-away=60@6") as (url, _):
        command = [sys.executable, "-m", "livews", "--mute", "--url", url, "Hello there, my friend"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert "\nlivews: the service closes this connection in 60 s (goAway)\n" in done.stdout


def test_a_wav_of_several_turns_tells_how_long_it_is(server: str, tmp_path: Path) -> None:
    path = tmp_path / "v.wav"
    done = livews("one", "two", "--mute", f"--wav={path}", "--url", server)
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


# Ctrl-C, and the live view


def test_ctrl_c_leaves_a_list_of_turns_at_once(slow: str, tmp_path: Path) -> None:
    path = tmp_path / "v.wav"
    command = [sys.executable, "-m", "livews", "Hello", "again", "--mute", f"--wav={path}", "--url", slow]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size > 10000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
    with wave.open(str(path)) as file:
        assert file.getnframes() > 2400, "the WAV is whole"


def live(*words: str, rows: int = 24, columns: int = 90) -> Terminal:
    return Terminal([sys.executable, "-m", "livews", "--mute", *words], rows=rows, columns=columns)


def test_one_types_while_the_model_speaks(slow: str) -> None:
    """The second line interrupts the first reply, as the service has it; both are on the screen, whose is told."""
    with live("--url", slow) as terminal:
        terminal.wait_for("message >")
        terminal.type("tell me everything you know\r")
        terminal.wait_for("model  This is")
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
    with live("--url", slow) as terminal:
        terminal.wait_for("message >")
        terminal.type("tell me everything you know, and then some more\r")
        terminal.wait_for("model  This is")
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
    with live("--url", slow) as terminal:
        terminal.wait_for("message >")
        terminal.type("tell me everything you know\r")
        terminal.wait_for("model  This is")
        terminal.type("\x03")
        terminal.wait_for("stopped")
        time.sleep(2.5)  # the reply that was stopped would still be playing
        terminal.type("\x03")
        assert terminal.wait() == 130


def test_ctrl_c_ends_a_command_that_runs_for_the_model(slow: str) -> None:
    with live("--url", slow, "--tool", "get_weather=sleep 60") as terminal:
        terminal.wait_for("message >")
        terminal.type("please get_weather\r")
        terminal.wait_for("● tool get_weather")
        terminal.type("\x03")
        terminal.wait_for("get_weather() → failed: stopped by the user")
        terminal.type("q\r")
        assert terminal.wait() == 0


def test_a_close_ends_the_view_and_is_explained(tmp_path: Path) -> None:
    with serving("--pace", "0", "--fault", "close=quota@4") as (url, _), live("--url", url, columns=110) as terminal:
        terminal.wait_for("message >")
        terminal.type("hello\r")
        assert terminal.wait() in (3, 5)
        terminal.settle()
        assert terminal.restored()
        assert "livews: closed: 1011" in terminal.text
        assert "  do  " in terminal.text


def test_the_reply_is_alone_on_a_stdout_that_is_no_terminal(server: str, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    shell = f'exec "{sys.executable}" -m livews --mute --url {server} > "{out}"'
    with Terminal(["/bin/sh", "-c", shell], rows=24, columns=90) as terminal:
        terminal.wait_for("message >")
        terminal.type("hello\r")
        terminal.wait_for(lambda: out.exists() and "hello" in out.read_text())
        terminal.type("q\r")
        assert terminal.wait() == 0
    assert out.read_text() == 'This is the livews stand-in, not Gemini. I heard "hello".\n'


def test_the_screen_gets_nothing_of_the_wire_unescaped(server: str) -> None:
    with live("--url", server) as terminal:
        terminal.wait_for("message >")
        terminal.type("hello\r")
        terminal.wait_for("I heard")
        terminal.paste("\u202eevil\u202c")
        terminal.type("\r")
        terminal.wait_for("\\u202e")
        terminal.type("q\r")
        assert terminal.wait() == 0
        assert "\u202e".encode() not in bytes(terminal.raw)


def test_more_than_enough_ctrl_c(slow: str) -> None:
    """Whoever hammers on the key gets out with 130 and no traceback, also while livews puts things in order."""
    command = [sys.executable, "-m", "livews", "Hello", "--mute", "--url", slow]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.read(10)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
