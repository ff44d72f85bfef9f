"""Everything of livews that reads what others wrote, each as a function of bytes, with inputs to start from.

A reader may refuse: a LivewsError, or what its table says. Anything else that it raises is a finding.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import io
import json
import os
import shutil
import struct
import tempfile
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from livews.advice import closes
from livews.cli import function, parse
from livews.cli.console import Console, Environment
from livews.conversation import Conversation
from livews.core import codec, protocol
from livews.core.events import events
from livews.errors import LivewsError
from livews.explainer.close_parser import parse_close
from livews.proxy import http_head
from livews.report.message_excerpt import excerpt
from livews.server import script
from livews.tools import command_tool
from livews.trace.view import TraceView, describe
from tests.fuzz import server
from tests.kit.names import DATA
from tests.kit.traces import control, got, sent

Read = Callable[[bytes], object]
FOLDER = Path(tempfile.gettempdir(), f"livews-fuzz-{os.getpid()}")
"""The files that are read and written, one at a time. `clean` removes it."""
SEPARATOR = b"\x1e"
"""Between the frames of one input; the first byte of each says who sent it."""


@dataclass(frozen=True)
class Reader:
    """One kind of input.

    Attributes:
        seeds: valid inputs, to be mutated.
        reads: what is done with each input, by the name of the tool.
        refuses: what else than a LivewsError it may raise.
        tokens: pieces that are worth inserting.
        share: of the time, compared with the others.
        seconds, memory: what an input may take in any case, CPU time and bytes.
    """

    seeds: Callable[[], list[bytes]]
    reads: dict[str, Read]
    refuses: tuple[type[BaseException], ...] = ()
    tokens: Sequence[bytes] = ()
    share: int = 1
    seconds: float = 0.020
    memory: int = 64 << 20


def clean() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)


def file(name: str, content: bytes | None = None) -> str:
    """A path in the folder, with this content, or where nothing is."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / name
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    return str(path)


@cache
def _nowhere() -> Environment:
    null = open(os.devnull, "r+")  # noqa: SIM115 (it is there until the end)
    atexit.register(null.close)
    return Environment(null, null, null, {})


def command(name: str, *words: str, suffix: str = ".jsonl", out: str = "") -> Read:
    """A command of livews on one file, in this process; `out`: the name of the file it writes."""
    path = str(FOLDER / f"input{suffix}")
    options = parse(
        name, [*(path if word == "FILE" else word for word in words), *(["-o", str(FOLDER / out)] if out else [])]
    )

    def read(data: bytes) -> object:
        file(f"input{suffix}", data)
        if out:
            file(out)
        console = Console("never", getattr(options, "quiet", False), _nowhere())
        console.as_json = getattr(options, "json", False)
        return function(options.run)(options, console)

    return read


def _frames(data: bytes) -> None:
    """A session: what each side sends, its events, its lines in the view of the trace, its excerpt in the inspector."""
    talk = Conversation(surface="gemini", version="v1beta")
    view = TraceView(lambda line: None, lambda style, text: text, lambda text: text)
    for i, piece in enumerate(data.split(SEPARATOR)[:200]):
        sender = "client" if piece[:1] == b">" else "server"
        step = talk.step(sender, piece[1:])
        if sender == "server":
            list(events(step))
        describe(step)
        view.frame(i / 10, "send" if sender == "client" else "recv", "text", step)
        excerpt(step.body, sender)


def _wav(data: bytes) -> None:
    from livews.audio.wav import WavReader

    reader = WavReader(file("input.wav", data))
    try:
        while reader.read(4_800):
            pass
    finally:
        reader.close()


def _heads(data: bytes) -> None:
    import h11

    async def read(parser: h11.Connection) -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        head = await http_head.read_head(reader, parser)
        assert head.credentials is not None and head.is_upgrade in (True, False)

    for parser in (
        h11.Connection(h11.SERVER, max_incomplete_event_size=http_head.LIMIT),
        http_head.response_parser(),
    ):
        try:
            asyncio.run(read(parser))
        except (LivewsError, ConnectionError):
            continue


def _line(data: bytes) -> None:
    logged = parse_close(data.decode(errors="replace"))
    closes.explain(logged.code, logged.reason)


def _picture(data: bytes) -> None:
    from livews.media import image_file

    image_file.load_image(file("input.jpg", data))


def _setup(data: bytes) -> None:
    from livews import setup_message
    from livews.cli.session_inputs import _read_setup

    given = setup_message.bare(_read_setup(file("input.json", data), _nowhere()))
    if not any(finding.level == "error" for finding in setup_message.wire_findings(given)):
        message = setup_message.compose("gemini-3.8-live", setup=given)
        setup_message.message_findings(message, "gemini", "v1beta")


def _inert(data: bytes) -> bytes:
    """An input that starts with a dash or is - would be an option."""
    return data.replace(b"\0", b" ").lstrip(b"-") or b"x"


def _explain(data: bytes) -> None:
    options = parse("explain", [_inert(data).decode(errors="replace")])
    function(options.run)(options, Console("never", False, _nowhere()))


# Inputs to start from


@cache
def _server_messages() -> list[dict[str, Any]]:
    groups = protocol.load("vectors/messages/server.json")
    return [test["message"] for group in groups for test in group["tests"] if isinstance(test["message"], dict)]


def _frame_seeds() -> list[bytes]:
    setup = b">" + codec.dump({"setup": {"model": "models/gemini-3.8-live"}})
    ready = b"<" + codec.dump({"setupComplete": {}})
    made = [(b">", message) for message in server.traffic()] + [(b"<", message) for message in _server_messages()]
    whole = [SEPARATOR.join([setup, ready, sender + json.dumps(message).encode()]) for sender, message in made]
    some = [sender + json.dumps(message).encode() for sender, message in made[::7]]
    odd = [SEPARATOR.join([setup, ready, b"<" + raw]) for raw in server.odd_frames()]
    return [*whole, *odd, *(SEPARATOR.join([setup, ready, *some[i : i + 5]]) for i in range(0, len(some), 5))]


def _trace_seeds() -> list[bytes]:
    head: dict[str, Any] = {"trace": "livews", "version": 1, "started": "2026-11-22T10:00:00.000000Z", "side": "client",
                            "url": "ws://127.0.0.1:8765/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"}  # fmt: skip
    setup, ready = sent(0.1, {"setup": {"model": "models/gemini-3.8-live"}}), got(0.2, {"setupComplete": {}})
    messages = [(sent, message) for message in server.traffic()] + [(got, message) for message in _server_messages()]
    made = [path.read_bytes() for path in sorted(DATA.glob("*.jsonl"))]
    for i in range(0, len(messages), 9):
        rows = [make(1 + n / 10, message) for n, (make, message) in enumerate(messages[i : i + 9])]
        rows += [
            control(9.0, "recv", "heard", ms=100, of=200),
            control(9.5, "recv", "close", code=1000, reason="done"),
        ]
        made.append(b"".join(json.dumps(row).encode() + b"\n" for row in (head, setup, ready, *rows)))
    return [raw for raw in made if len(raw) < 60_000]


def _har_seeds() -> list[bytes]:
    export, made = command("trace", "export", "FILE", out="out.har"), []
    for raw in _trace_seeds()[:12]:
        export(raw)
        made.append((FOLDER / "out.har").read_bytes())
    return made


def _wav_seeds() -> list[bytes]:
    made = []
    for width, channels, rate in ((1, 1, 8_000), (2, 1, 16_000), (2, 2, 44_100), (3, 1, 48_000), (4, 2, 24_000)):
        out = io.BytesIO()
        with wave.open(out, "wb") as writer:
            writer.setparams((width, channels, rate, 0, "NONE", ""))
            writer.writeframes(bytes(range(240)) * 5)
        made.append(out.getvalue())
    for code, bits in ((3, 32), (3, 64), (0xFFFE, 16), (7, 8)):
        form = struct.pack("<HHIIHH", code, 1, 16_000, 16_000 * bits // 8, bits // 8, bits)
        if code == 0xFFFE:
            form += struct.pack("<HHI", 22, bits, 4) + b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
        chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"LIST\x04\0\0\0INFO" + b"data\x40\0\0\0" + bytes(64)
        made.append(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return made


def _head_seeds() -> list[bytes]:
    from random import Random

    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nno."
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer
    plans = [server.plan(seed, number).head for seed in (1, 2) for number in range(60)]
    return [
        answer,
        refusal,
        early,
        *(head for head in plans if head and len(head) < 20_000),
        Random(1).randbytes(100),
    ]


def _line_seeds() -> list[bytes]:
    forms = (
        "{code} {reason}", "received {code} (internal error) {reason}; then sent {code} (internal error) {reason}",
        "sent {code} (internal error) {reason}; no close frame received", "CloseEvent {{ code: {code}, reason: '{reason}', wasClean: true }}",
        "code={code} reason={reason}", "[ws] closed: {{\"code\": {code}, \"reason\": \"{reason}\"}}", "websocket: close {code} (x): {reason}", "Error: {reason}",
    )  # fmt: skip
    rows = protocol.closes()
    return [
        forms[i % len(forms)].format(code=row["code"], reason=row["reason"]).encode()
        for i, row in enumerate(rows * 3)
    ]


def _picture_seeds() -> list[bytes]:
    png = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    made = [png]
    try:
        from PIL import Image
    except ImportError:
        return made
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"):
        out = io.BytesIO()
        Image.radial_gradient("L").resize((40, 30)).convert("RGB").save(out, kind)
        made.append(out.getvalue())
    return made


def _setup_seeds() -> list[bytes]:
    return [json.dumps(message).encode() for message in server.setups()]


def _schema_seeds() -> list[bytes]:
    declared = [json.dumps(tool).encode() for tools in server.TOOLS for tool in tools]
    return [*declared, json.dumps([tool for tools in server.TOOLS for tool in tools]).encode()]


def _script_seeds() -> list[bytes]:
    scenarios = [path.read_bytes() for path in sorted((protocol.root() / "scenarios").glob("*.json"))]
    return [raw for raw in scenarios if len(raw) < 60_000]


def _tools() -> dict[str, Read]:
    return {
        "show": command("trace", "show", "FILE"),
        "show --json": command("trace", "show", "FILE", "--json"),
        "check": command("trace", "check", "FILE"),
        "stats": command("trace", "stats", "FILE"),
        "html": command("trace", "html", "FILE", out="out.html"),
        "cut": command("trace", "cut", "FILE", "--turn", "1", out="out.jsonl"),
        "redact": command("trace", "redact", "FILE", "--audio", "--text", out="out.jsonl"),
        "diff": command("trace", "diff", "FILE", "FILE"),
        **{
            kind: command("trace", "export", "FILE", out=f"out.{kind}") for kind in ("har", "wav", "srt", "vtt", "md")
        },
        "serve": lambda data: script.load(file("input.jsonl", data)),
    }


JSON = (
    b"null",
    b"9" * 20,
    b"1e999",
    b'"\\ud800"',
    b"{}",
    b"[]",
    b'"elided:16777216:x"',
    b'"data"',
    b"-1",
    b"0.0",
    b'"infs"',
    b'"audio/pcm;rate=1"',
)
READERS: dict[str, Callable[[], Reader]] = {
    "frames": lambda: Reader(_frame_seeds, {"step": _frames}, tokens=JSON, share=3),
    "traces": lambda: Reader(_trace_seeds, _tools(), tokens=JSON, share=6),
    "hars": lambda: Reader(_har_seeds, {"import": command("trace", "import", "FILE", "--all", suffix=".har", out="out.jsonl")}, tokens=JSON),
    "wavs": lambda: Reader(_wav_seeds, {"read": _wav}, tokens=(b"fmt ", b"data", b"RIFF", b"\xff\xff\xff\xff", b"\0\0\0\0")),
    "heads": lambda: Reader(_head_seeds, {"read": _heads}, (ConnectionError,), tokens=(b"\r\n", b": ", b"\0", b"Content-Length: 1\r\n", b"\r\n ")),
    "lines": lambda: Reader(_line_seeds, {"parse": _line, "explain": _explain}, tokens=(b"code=1011 ", b"reason=", b"1006", b"'", b'"', b"/")),
    # the cost of a picture is that of its pixels, of which Pillow allows 179 million
    "pictures": lambda: Reader(_picture_seeds, {"load": _picture}, tokens=(b"\xff\xd8", b"\xff\xc0", b"IHDR", b"\x89PNG", b"\xff\xff\xff\xff"), seconds=3.0, memory=800 << 20),
    "scripts": lambda: Reader(_script_seeds, {"load": lambda data: script.load(file("input.json", data))}, tokens=JSON),
    "setups": lambda: Reader(_setup_seeds, {"read": _setup}, tokens=JSON),
    "schemas": lambda: Reader(_schema_seeds, {"declare": lambda data: command_tool.declarations(Path(file("input.json", data)))}, tokens=JSON),
    "messages": lambda: Reader(_setup_seeds, {"check": command("check", "FILE", suffix=".json")}, tokens=JSON),
}  # fmt: skip
"""Every kind of input."""
