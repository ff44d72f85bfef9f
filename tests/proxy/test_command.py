"""The command `livews proxy`."""

import asyncio
import json
import signal
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from livews.cli import main, parse
from livews.errors import TraceFailed
from livews.redactor import Redactor
from livews.trace.writer import TraceFile
from tests.kit.command import running
from tests.kit.names import GEMINI, KEY
from tests.kit.servers import dial
from tests.proxy.kit import HELLO, OTHER, SETUP, gate, stand_in


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://Mine.example/", "https://mine.example"),
        ("http://mine.example:80", "http://mine.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("*", "*"),
        ("null", "null"),
    ],
)
def test_origins_are_meant_as_browsers_write_them(given: str, meant: str) -> None:
    assert parse("proxy", ["--allow-origin", given]).allow_origin == [meant]


async def test_the_command_shows_traces_and_hides(tmp_path: Path) -> None:
    trace = tmp_path / "kept.jsonl"

    with running("serve", "--port", "0", "--pace", "0", "--voice", "tones", "--quiet") as (there, serving):
        flags = ("--port", "0", "--upstream", there, "--trace", str(trace), "--inject-key")
        with running("proxy", *flags, GOOGLE_API_KEY=KEY, HTTPS_PROXY="http://127.0.0.1:9") as (url, process):
            assert url.startswith("ws://127.0.0.1:")
            headers = {"x-goog-api-key": OTHER, "Authorization": f"Bearer {OTHER}2"}
            async with connect(f"{url}{GEMINI}?key={OTHER}3", additional_headers=headers, proxy=None) as first:
                async with dial(url) as second:  # at the same time: a file of its own
                    for client in (first, second):
                        await client.send(SETUP)
                        await client.recv()
                    await first.send(HELLO.replace("Hello", f"{OTHER} and {OTHER}3 \\u001b[2J"))
                    while b"turnComplete" not in await first.recv(decode=False):
                        pass
            process.send_signal(signal.SIGTERM)
            out, said = process.communicate(timeout=10)
        assert process.returncode == 0, said
        serving.terminate()
        serving.communicate(timeout=10)
    assert out == ""
    assert "setupComplete" in said and "session 2: closed by the client, 1000" in said
    beside = trace.with_name("kept-2.jsonl")
    assert beside.exists() and str(beside) in said
    for text in (said, trace.read_text(), beside.read_text()):
        assert OTHER not in text and KEY not in text and "\x1b[2J" not in text
    assert "[redacted]" in trace.read_text()
    header = json.loads(trace.read_text().splitlines()[0])
    assert header["side"] == "proxy" and header["url"] == there + GEMINI


async def _first(url: str) -> bytes:
    """The answer to setup, or of one who does not let it in."""
    try:
        async with dial(url) as client:
            await client.send(SETUP)
            return bytes(await client.recv(decode=False))
    except InvalidStatus as problem:
        return problem.response.body or b""


async def test_the_command_goes_through_the_proxy_of_a_network(tmp_path: Path) -> None:
    """Python's own client on one side, the stand-in on the other; a host of NO_PROXY is dialled directly."""
    heads: list[str] = []
    async with stand_in() as there:
        async with gate(there.url) as (url, asked):
            env = {"HTTPS_PROXY": url.replace("://", "://me:hunter2@"), "no_proxy": "direct.invalid"}
            for host, ends in (("api.example", b"setupComplete"), ("direct.invalid", b"does not resolve")):
                words = ("proxy", "--port", "0", "--once", "--insecure", "--upstream", f"ws://{host}/p")
                with running(*words, **env) as (mine, process):
                    assert ends in await _first(mine)
                    _, said = await asyncio.to_thread(process.communicate, timeout=10)
                assert "hunter2" not in said
                assert (f"ws://{host}/p through {url};" in said) is (host == "api.example")
        heads.extend(asked)
    (head,) = heads
    assert head.startswith("CONNECT api.example:80 HTTP/1.1")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--inject-key", "--upstream", "ws://127.0.0.1:9"], 3, "--inject-key has no key"),
        (["--upstream", "wss://socks.example"], 2, "socks5:// is not supported"),
    ],
)
def test_what_the_environment_lacks(
    words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    assert main(["proxy", *words]) == code
    assert says in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", [["proxy"], ["inspect", "--offline", "--proxy-port", "0"]])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("notes.txt", "the file is not a trace and would be damaged by one"),
        ("notes.txt/x.jsonl", "cannot write the trace: Not a directory"),
        ("notes.txt/", "cannot write the trace: Not a directory"),
    ],
)
def test_a_file_that_can_be_no_trace_is_told_at_the_start(
    command: list[str], name: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine\n")
    assert main([*command, "--port", "0", "--trace", f"{tmp_path}/{name}"]) == 2
    report = capsys.readouterr()
    assert says in report.err and report.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "mine\n"


def test_looking_whether_a_trace_can_be_written_leaves_all_as_it_is(tmp_path: Path) -> None:
    TraceFile.check(tmp_path / "new" / "sub" / "x.jsonl")
    assert list(tmp_path.iterdir()) == []
    kept = tmp_path / "kept.jsonl"
    TraceFile(kept, url="ws://x", side="proxy", secrets=Redactor()).close()
    before = kept.read_bytes()
    TraceFile.check(kept)
    assert kept.read_bytes() == before
    TraceFile.check("/dev/null")
    with pytest.raises(TraceFailed, match="Is a directory"):
        TraceFile.check(tmp_path)
