"""The command as a user runs it: real processes, exit codes, stdout and stderr apart."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
import wave
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from livews.cli import COMMANDS, main
from livews.server import service_format
from tests.kit.command import LIVEWS, livews, serving
from tests.kit.names import DATA, GEMINI, KEY, ROOT

UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A stand-in without waits, run as a user runs it; gives its URL."""
    with serving("--pace", "0", "--as-of", "2026-11") as (url, _):
        yield url


# Talking


TWO_KEYS = {"GOOGLE_API_KEY": KEY, "GEMINI_API_KEY": "other-key-1"}
NO_SOUND = {"LIVEWS_PORTAUDIO": "/nonexistent/libportaudio.so.2"}


@pytest.mark.parametrize(
    ("words", "env", "code", "out", "err"),
    [
        ("'Hello? Gemini, are you there?' --mute", {}, 0, 'I heard "Hello? Gemini, are you there?".\n', ["no key is set"]),
        # through a proxy address where nothing listens: the attempt stays on this machine
        ("hi", {"GOOGLE_API_KEY": KEY, "HTTPS_PROXY": "http://127.0.0.1:1"}, 4, "", ["generativelanguage.googleapis.com"]),
        ("hi --offline --mute", {"GOOGLE_API_KEY": KEY}, 0, 'I heard "hi".\n', ["offline"]),
        ("hi --mute --url URL", TWO_KEYS, 0, 'I heard "hi".\n', ["both set"]),
        ("hi there --mute --url URL", {}, 0, 'I heard "hi".\nlivews stand-in: I heard "there".\n', []),
        ("hi --text --url URL", {}, 0, 'I heard "hi".\n', []),
        ("hi --url URL", NO_SOUND, 0, 'I heard "hi".\n', ["--wav"]),
        ("hi --model gemini-9-live --url URL", {}, 5, "", ["is not found", "gemini-3.8-live"]),
        ("hi --model gemini-2.0-flash-exp --url URL", {}, 5, "", ["Use gemini-3.8-live"]),
        ("hi --url ws://127.0.0.1:1", {}, 4, "", ["nothing is listening at the server", "livews serve"]),
        ("hi --device 'no such device' --url URL", {}, 6, "", ["--device no such device"]),
        ("serve --port PORT", {}, 4, "", ["--port 0"]),
    ],
)  # fmt: skip
def test_outcomes(words: str, env: dict[str, str], code: int, out: str, err: list[str], server: str) -> None:
    done = livews(*shlex.split(words.replace("URL", server).replace("PORT", server.rsplit(":", 1)[1])), env=env)
    assert done.returncode == code, done.stderr
    assert done.stdout.endswith(out) and bool(done.stdout) == bool(out)
    assert code or len(done.stderr.splitlines()) == len(err), "each is one line"
    for part in err:
        assert part in " ".join(done.stderr.split())
    assert KEY not in done.stdout + done.stderr


def test_wav_one_a_turn(server: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    done = livews("Hello", "What's your name?", "--mute", "--wav", f"{out}/", "--url", server)
    assert done.returncode == 0
    assert "audio/pcm;rate=24000" in done.stderr
    lengths = []
    for name in ("audio_0.wav", "audio_1.wav"):
        with wave.open(str(out / name)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24000, 1, 2)
            lengths.append(sound.getnframes())
    assert min(lengths) > 24000
    assert sorted(os.listdir(out)) == ["audio_0.wav", "audio_1.wav"]


def test_wav_holds_what_was_on_the_wire(server: str, tmp_path: Path) -> None:
    trace, sound = tmp_path / "t.jsonl", tmp_path / "voice.wav"
    livews("Hello", "--mute", "--wav", str(sound), "--trace", str(trace), "--url", server)
    from livews.core.codec import decode_base64

    pcm = b""
    for line in trace.read_text().splitlines()[1:]:
        message = json.loads(line).get("message", {})
        for part in message.get("serverContent", {}).get("modelTurn", {}).get("parts", []):
            pcm += decode_base64(part["inlineData"]["data"])
    with wave.open(str(sound)) as file:
        assert file.readframes(file.getnframes()) == pcm


def test_the_prompt_until_q(server: str) -> None:
    done = livews("--mute", "--url", server, stdin="Hello\n\nagain\nq\nnever said\n")
    assert done.returncode == 0
    assert done.stdout.count("stand-in") == 2
    assert "never" not in done.stdout
    assert done.stderr.count("message > ") == 4


def test_a_close_while_the_prompt_waits_is_told_at_once() -> None:
    with serving("--pace", "0", "--as-of", "2026-11") as (url, server):
        command = [sys.executable, "-m", "livews", "--mute", "--no-resume", "--url", url]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Hello\n")
        process.stdin.flush()
        assert "stand-in" in process.stdout.readline()
        time.sleep(0.5)  # the prompt waits again
        server.kill()
        assert process.wait(timeout=10) == 4, "the socket is lost, and nothing more was typed"
        _, stderr = process.communicate(timeout=10)
    assert "livews: lost: 1006" in stderr


def test_turns_from_stdin(server: str) -> None:
    done = livews("-", "--mute", "--url", server, stdin="one\ntwo\nq")
    assert [re.search('"(.*)"', line)[1] for line in done.stdout.splitlines()] == ["one", "two", "q"]  # type: ignore[index]


def test_json_lines(server: str) -> None:
    done = livews("hi", "--json", "--mute", "--url", server)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[0]["event"] == "ready"
    assert [row["event"] for row in rows[-3:]] == ["turnEnd", "latency", "summary"]
    assert 0 < rows[-2]["firstByte"] <= rows[-2]["firstSound"]
    assert rows[-2]["firstPlayed"] is None, "nothing was played"
    assert rows[-1]["firstByte"] == {"p50": rows[-2]["firstByte"], "p95": rows[-2]["firstByte"], "replies": 1}
    audio = [row for row in rows if row["event"] == "audio"]
    assert all(row["rate"] == 24000 and row["bytes"] > 0 for row in audio)
    assert "".join(row["text"] for row in rows if row["event"] == "transcript").endswith('"hi".')
    usage = next(row for row in rows if row["event"] == "usage")
    assert usage["total"] == usage["prompt"] + usage["response"]


def test_json_of_a_failure(server: str) -> None:
    done = livews("hi", "--json", "--model", "gemini-2.0-flash-exp", "--url", server)
    row = json.loads(done.stdout.splitlines()[-1])
    assert (row["event"], row["code"]) == ("error", 1008)
    assert done.returncode == 5


async def test_a_service_that_stalls_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from livews.cli import conversation, replies, talk
    from livews.cli.console import Console
    from tests.kit.servers import frames, scripted

    monkeypatch.setattr(replies, "STALL", 0.2)
    async with scripted(frames()) as url:
        session = asyncio.create_task(conversation.talk(talk.parse(["hi", "--mute", "--url", url]), Console()))
        await asyncio.sleep(1)
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)
    assert capsys.readouterr().err.count("nothing has come for 0.2 s") == 1


async def test_a_long_reply_is_no_stall(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """turnComplete comes when all has been heard: no frame for as long as the voice plays is as it should be."""

    from livews.cli import conversation, replies, talk
    from livews.cli.console import Console
    from livews.core import codec
    from tests.kit.servers import acts, scripted

    monkeypatch.setattr(replies, "STALL", 0.3)

    sound = service_format.audio_as_service(codec.encode_base64(bytes(48_000)), "audio/pcm;rate=24000")
    ends = [{"serverContent": {name: True}} for name in ("generationComplete", "turnComplete")]
    async with scripted(acts(None, sound, ends[0], 0.8, ends[1])) as url:
        assert await conversation.talk(talk.parse(["hi", "--mute", "--url", url]), Console()) == 0
    assert "nothing has come" not in capsys.readouterr().err


# The trace


def test_trace_at_a_glance(server: str) -> None:
    done = livews("--trace", "Hello", "--mute", "--url", server)
    assert '"Hello"' in done.stdout, "the word after --trace is said, not taken for a file"
    lines = done.stderr.splitlines()
    assert re.search(r"^ +\d\.\d{3}  →  setup +\d+ B +models/gemini-3.8-live · AUDIO · opening$", lines[0])
    assert "setupComplete" in lines[1]
    assert "←" in lines[1]
    assert any("audio 200 ms" in line for line in lines)
    assert any("turnComplete · idle" in line for line in lines)
    assert "close" in lines[-1]


@pytest.mark.parametrize("form", [["--trace", "FILE"], ["--trace=FILE"], ["--trace", "--trace=FILE"]])
def test_trace_to_a_file(form: list[str], server: str, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    done = livews(*[word.replace("FILE", str(path)) for word in form], "Hello", "--mute", "--url", server)
    assert done.returncode == 0
    head = json.loads(path.read_text().splitlines()[0])
    assert head["url"].startswith("ws://127.0.0.1")
    assert ("→" in done.stderr) == (len(form) == 2 and form[0] == "--trace" and form[1] != "FILE")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_session_does_not_destroy_the_first_trace(server: str, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    for _ in range(2):
        livews("--trace", str(path), "hi", "--mute", "--url", server)
    text = path.read_text()
    assert text.count('"trace":"livews"') == 2
    done = livews("check", str(path))
    assert done.returncode == 0, done.stdout


def test_trace_media_elided(server: str, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    livews("--trace", str(path), "--trace-media", "elide", "hi", "--mute", "--url", server)
    assert path.stat().st_size < 20_000
    assert re.search(r"elided:9600:[0-9a-f]{64}", path.read_text())
    assert main(["check", str(path)]) == 0


def test_no_secret_anywhere(server: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    query = f"{server}/?key={KEY}"
    runs = [
        livews("--trace", f"--trace={path}", f"say {KEY}", "--mute", "--url", query, env={"GOOGLE_API_KEY": KEY}),
        livews("hi", "--url", f"ws://127.0.0.1:1/?key={KEY}", env={"GEMINI_API_KEY": KEY}),
        livews("hi", "--url", f"nonsense?key={KEY}"),
        livews("hi", "--model", "nope", "--json", "--url", query, env={"GOOGLE_API_KEY": KEY}),
    ]
    for done in runs:
        assert KEY not in done.stdout + done.stderr
    assert KEY not in path.read_text()
    assert "[redacted]" in path.read_text()


async def test_a_key_that_the_service_echoes_is_shown_nowhere(tmp_path: Path) -> None:
    from tests.kit.servers import frames, scripted

    escaped = "".join(f"\\\\u{ord(c):04x}" for c in KEY)
    messages = [
        {f"new_{KEY}": 1, "goAway": {"timeLeft": KEY}},
        {"serverContent": {"outputTranscription": {"text": f"you sent {KEY[:9]}"}}},
        {"serverContent": {"outputTranscription": {"text": f"{KEY[9:]} I see"}, "inputTranscription": {"text": KEY}}},
        {"serverContent": {"modelTurn": {"parts": [{"text": f"thought {KEY}", "thought": True}, {KEY: {}}]}}},
        {"usageMetadata": {"totalTokenCount": 5, "promptTokensDetails": [{"modality": KEY, "tokenCount": 5}]}},
        {"toolCall": {"functionCalls": [{"id": KEY, "name": f"f_{KEY}", "args": {KEY: [escaped, quote(KEY)]}}]}},
        {"serverContent": {"turnComplete": True}},
    ]
    variables = {"GOOGLE_API_KEY": KEY}
    for options in ((), ("--json",), ("--trace", f"--trace={tmp_path / 't.jsonl'}")):
        async with scripted(frames(*messages, close=(1007, f"bad key {KEY}"), hold=False)) as url:
            words = ("hello", "--mute", "--url", url, "--tool", "other=cat", *options)
            done = await asyncio.to_thread(livews, *words, env=variables)
        shown = done.stdout + done.stderr
        assert "I see" in shown and "[redacted]" in shown, shown
        assert KEY not in shown and quote(KEY) not in shown, shown
        if "--json" in options:
            assert [json.loads(line) for line in done.stdout.splitlines()]
        assert KEY[9:] not in shown, "also one that comes in two pieces"
    assert KEY[9:] not in (tmp_path / "t.jsonl").read_text()
    for tool in ("show", "html", "export", "redact"):
        output = () if tool == "show" else ("-o", f"{tmp_path / 'out.md'}")
        assert KEY not in livews("trace", tool, tmp_path / "t.jsonl", *output).stdout
        assert tool == "show" or KEY not in (tmp_path / "out.md").read_text()


def test_resumption_handles_are_shown_as_pseudonyms(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    setup = tmp_path / "setup.json"
    with serving("--pace", "0.2") as (url, _):
        setup.write_text(json.dumps({"sessionResumption": {}}))
        first = livews("--setup", setup, "--json", "--mute", "--url", url, f"--trace={path}", "--trace", "hi")
        handle = re.findall(r'"newHandle": *"([^"]+)"', path.read_text())[-1]
        setup.write_text(json.dumps({"sessionResumption": {"handle": handle}}))
        second = livews("--setup", setup, "--json", "--mute", "--url", url, f"--trace={path}", "--trace", "hi")
    shown = f"handle:{hashlib.sha256(handle.encode()).hexdigest()[:12]}"
    assert f'"handle":"{shown}"' in first.stdout and shown in first.stderr
    assert f"resumes {shown}" in second.stderr
    assert handle in path.read_text(), "the trace has the bytes of the wire"
    outputs = [first.stdout + first.stderr + second.stdout + second.stderr]
    outputs += [livews("trace", "show", path, *words).stdout for words in ((), ("--json",))]
    for form in ("har", "md"):
        livews("trace", "export", "--session", "1", path, "-o", tmp_path / f"out.{form}")
        outputs.append((tmp_path / f"out.{form}").read_text())
    messages = json.loads(outputs[3])["log"]["entries"][0]["_webSocketMessages"]
    outputs[3] = "".join(b64decode(row["data"]).decode() if row["opcode"] == 2 else row["data"] for row in messages)
    livews("trace", "html", path, "-o", tmp_path / "out.html")
    outputs.append((tmp_path / "out.html").read_text())
    for output in outputs:
        assert output and handle not in output
    assert [shown in output for output in outputs] == [
        True,
        True,
        True,
        True,
        False,
        True,
    ]  # Markdown has no messages


def test_no_command_sends_a_key_to_another_host_without_tls() -> None:
    variables = {"GOOGLE_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": "http://there.invalid"}
    barge_in = DATA / "barge_in.jsonl"
    for words in (
        ("hi",),
        ("doctor", "--mute"),
        ("trace", "replay", barge_in),
        ("proxy", "--port", "0"),
        ("inspect",),
    ):
        done = livews(*words, env=variables)
        shown = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 2 and "without TLS" in shown and "--insecure" in shown, shown
        assert words[0] == "doctor" or "where GOOGLE_GEMINI_BASE_URL" in shown, shown
    done = livews("hi", "--insecure", env=variables)
    assert done.returncode == 4 and "the server that GOOGLE_GEMINI_BASE_URL names" in done.stderr
    done = livews("trace", "replay", barge_in, "--to", "ws://there.invalid", env=variables)
    assert "where --to" in " ".join(done.stderr.split())


# Refusals


def test_a_wrong_and_a_missing_key() -> None:
    with serving("--pace", "0", LIVEWS_REQUIRE_KEY="right-key") as (url, _):
        for key, code, text in (
            (KEY, 3, 'refused: 1007 "API key not valid.'),
            ("", 3, "refused: 1008"),
            ("right-key", 0, ""),
        ):
            done = livews("hi", "--mute", "--url", url, env={"GOOGLE_API_KEY": key})
            assert done.returncode == code and text in done.stderr
            assert not code or all(re.search(rf"^  {name} ", done.stderr, re.M) for name in ("where", "why", "do"))


def test_text_modality_on_a_voice_only_model(server: str, tmp_path: Path) -> None:
    setup = tmp_path / "setup.json"
    setup.write_text('{"setup": {"generationConfig": {"responseModalities": ["TEXT"]}}}')
    done = livews("hi", "--setup", str(setup), "--url", server)
    assert done.returncode == 5
    words = " ".join(done.stderr.split())
    assert "answers only in AUDIO" in words, "warned before dialling"
    assert 'refused: 1007 "The requested combination of response modalities (TEXT)' in words
    asked_well = livews("hi", "--text", "--setup", str(setup), "--url", server)
    assert asked_well.returncode == 0, "--text never earns a 1007"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('{"generationConfig": {"temprature": 1}}', 2, ["/setup/generationConfig/temprature", "did you mean temperature"]),
        ('{"generationConfig": {"temperature": "warm"}}', 2, ["expected a number", "/setup/generationConfig/temperature"]),
        ('{"generationConfig": {"temperature": 1,}}', 2, ["setup.json:1:39", "not JSON"]),
        ("[1]", 2, ["not an object"]),
        ("", 2, ["not JSON"]),
        ('{"generation_config": {"temperature": 1}}', 0, []),
    ],
)  # fmt: skip
def test_setup_files(text: str, code: int, words: list[str], server: str, tmp_path: Path) -> None:
    setup = tmp_path / "setup.json"
    setup.write_text(text)
    # a port where nobody listens: what is wrong is told before dialling
    done = livews("hi", "--mute", "--setup", str(setup), "--url", server if code == 0 else "ws://127.0.0.1:1")
    assert done.returncode == code, done.stderr
    for word in words:
        assert word in " ".join(done.stderr.split())


def test_a_wav_that_cannot_be_written(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = livews("hi", "--mute", "--wav", str(tmp_path / "file" / "x.wav"), "--url", server)
    assert done.returncode == 2
    assert "cannot write the WAV" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


# Ends


def test_ctrl_c_leaves_a_whole_wav_and_trace(tmp_path: Path) -> None:
    sound, trace = tmp_path / "v.wav", tmp_path / "t.jsonl"
    with serving() as (url, _):  # at the service's pace, so that there is a middle to interrupt
        command = [sys.executable, "-m", "livews", "a rather long sentence " * 4, "--mute"]
        process = subprocess.Popen(
            [*command, "--url", url, "--wav", str(sound), "--trace", str(trace)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # a shell that runs these tests in the background has SIGINT ignored, and children inherit that
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not (sound.exists() and sound.stat().st_size > 20_000):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert re.search(r"v\.wav: audio/pcm;rate=\d+, \d\.\d s$", stderr, re.M), "what was written until then"
    with wave.open(str(sound)) as file:
        assert file.getnframes() * 2 + 44 == sound.stat().st_size
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert "close" in lines[-1]


@pytest.mark.parametrize(
    ("words", "redirected", "lines"),
    [("one two three", "| head -n 1", 1), ("--trace hello", "2>&1 >/dev/null | head -n 3", 3)],
)
def test_a_reader_that_leaves(words: str, redirected: str, lines: int, server: str) -> None:
    command = f"{sys.executable} -m livews {words} --mute --url {server} {redirected}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30)
    assert (len(done.stdout.splitlines()), done.stderr) == (lines, "")


def test_serve_prints_its_url_first_and_ends_on_a_signal() -> None:
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        with serving() as (url, process):
            assert re.fullmatch(r"ws://127\.0\.0\.1:\d+", url)
            process.send_signal(name)
            assert process.wait(timeout=10) == 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_at_a_serve_that_is_ending_change_nothing(name: signal.Signals) -> None:
    with serving("--once", "--quiet", "--voice", "tones") as (url, process):
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=10) as client:
            client.sendall(f"GET {GEMINI} HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n\r\n".encode())
            assert b" 101 " in client.recv(4096)
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(name)
            time.sleep(0.0005)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


# On a terminal


def test_on_a_terminal(server: str, tmp_path: Path) -> None:
    """A terminal that can do no more than lines: prompt, colour, dots for --wav, no control character of the wire."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "livews", "--mute", "--wav", str(tmp_path / "v.wav"), "--url", server]
    process = subprocess.Popen(
        [*command, "--trace", "--color", "always"],
        stdin=end,
        stdout=end,
        stderr=end,
        env={**os.environ, "TERM": "dumb"},
    )
    os.close(end)
    seen = b""

    def read_until(mark: bytes) -> None:
        nonlocal seen
        deadline = time.monotonic() + 20
        while mark not in seen and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    seen += os.read(terminal, 65536)

    read_until(b"message > ")
    os.write(terminal, b"ring \x16\x07 and \x16\x1b[31mred\n")  # ^V makes the terminal pass the next character on
    read_until(b"v.wav: audio/pcm")
    os.write(terminal, b"q\n")
    assert process.wait(timeout=10) == 0
    os.close(terminal)
    text = seen.decode()
    assert "audio/pcm;rate=24000 ." in text
    assert "\x1b[36m→" in text, "arrows are coloured"
    reply = re.findall(r"livews stand-in:.*", text)[-1]
    assert "\\x07" in reply
    assert "\x07" not in reply
    assert "\x1b[31m" not in reply


def test_a_trace_spoils_no_other_file(server: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    done = livews("--trace", str(path), "hi", "--url", server)
    assert done.returncode == 2
    assert "is not a trace" in done.stderr
    assert path.read_text() == "mine"


def test_words_also_when_setup_names_the_modality(server: str, tmp_path: Path) -> None:
    setup = tmp_path / "setup.json"
    for text in (
        '{"generationConfig":{"responseModalities":["AUDIO"]}}',
        '{"generation_config":{"response_modalities":"AUDIO"}}',
    ):
        setup.write_text(text)
        assert '"hi"' in livews("hi", "--mute", "--setup", str(setup), "--url", server).stdout
    setup.write_text('{"outputAudioTranscription":null}')
    assert livews("hi", "--mute", "--setup", str(setup), "--url", server).stdout == ""


@pytest.mark.parametrize(
    "words", ["hi --mute --url URL", "hi --json --mute --url URL", "--help", "--version", "trace --help", "help talk",
              "help testing", "explain 1007", "completion bash", "serve --port 0", "proxy --port 0",
              "trace stats tests/data/tool.jsonl", "trace redact tests/data/tool.jsonl -o -"],
)  # fmt: skip
def test_a_stdout_that_takes_nothing(words: str, server: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "livews", *words.replace("URL", server).split()],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, cwd=ROOT,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "livews: the output cannot be written"


def test_a_stdout_that_is_closed_takes_everything(server: str) -> None:
    closed = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m livews hi --mute --url {server} >&-"], capture_output=True, timeout=30
    )
    assert b"Traceback" not in closed.stderr


def test_a_stderr_that_takes_nothing_changes_no_exit_code(server: str) -> None:
    for words, code in (("explain frobnicate", 2), ("hi --mute --trace --url " + server, 0), ("--nonsense", 2)):
        with open("/dev/full", "w") as full:
            done = subprocess.run([*LIVEWS, *words.split()], stdout=subprocess.PIPE, stderr=full, timeout=30)
        assert (done.returncode, bool(done.stdout)) == (code, code == 0)


# check

CHECKS = json.loads((DATA / "check_command.json").read_text())
"""Lines of a file, options, the exit code, how the lines of the result begin after the file's name, the last line of stderr."""


@pytest.mark.parametrize("case", CHECKS, ids=lambda case: case["name"])
def test_check(case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(case["file"]))
    code = main(["check", *case["options"].split(), str(path)])
    out, err = capsys.readouterr()
    found = [line.removeprefix(f"{path}:") for line in out.splitlines() if not line.startswith("  ")]
    begins = [line[: len(begin)] for line, begin in zip(found, case["lines"], strict=True)]
    assert (code, begins, err.splitlines()[-1]) == (case["exit"], case["lines"], case["total"])


def test_check_reads_stdin_once() -> None:
    odd = "\x7f\x85\u202e\U000e0067"
    done = livews("check", "--json", "-", stdin=json.dumps({"serverContent": {}, odd: 1}))
    row = json.loads(done.stdout)
    assert (row["file"], row["path"], row["rule"]) == ("stdin", f"/{odd}", "WIRE-6")
    assert odd[0] not in done.stdout, "JSON stays JSON, and shows nothing raw"
    assert livews("check", "-").returncode == 2
    assert livews("check", "-", "-", stdin="{}").returncode == 2


# Cost


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from livews.cli import main; main(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    for module in (
        "websockets",
        "sounddevice",
        "orjson",
        "asyncio",
        "jsonschema_rs",
        "pybase64",
        "typing",
        "shutil",
        "shtab",
    ):
        assert f"'{module}'" not in done.stdout


def test_a_second_server_keeps_the_traces_of_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        with serving("--pace", "0", "--trace", str(tmp_path)) as (url, _process):
            assert livews("hi", "--url", url, "--mute").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["session-1.jsonl", "session-2.jsonl"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_name_of_a_command_is_said_to_the_model_after_talk(command: str, server: str) -> None:
    done = livews("talk", command, "--mute", "--url", server)
    assert done.returncode == 0, done.stderr
    assert f'I heard "{command}"' in done.stdout


def test_words_near_no_command_are_said(server: str) -> None:
    for words in (["hello"], ["walk"], ["Inspec"], ["stats", "please"], ["explain it to me"], ["talk", "inspec"]):
        done = livews(*words, "--mute", "--url", server)
        assert done.returncode == 0, done.stderr
        assert f'I heard "{words[-1]}"' in done.stdout
