"""Frames that no client should send, by the million, at a real `livews serve`: `python -m tests.fuzz.server`.

- Everything is made from what clients do send (vectors, scenarios, and the messages of LIVEWS_SAMPLES where that is
  set), and broken: in its JSON, in its bytes, in its frames, in its order, in its HTTP.
- The same seed and number make the same session: `--seed S --session N` plays one again, and shows it.
- Sessions do not wait: all frames of one go out at once, then mostly a frame that is no JSON, which a server that has
  read so far closes for. A session without an answer is a finding; so is a close that protocol/closes.json does not know.
- After all that the server must be up, must answer a turn, must have failed in nothing and said nothing on stderr.
- Nothing here is random but by the seed, but for the handles of sessions, which the servers make; and nothing is
  asserted about time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from livews import walk
from livews.advice import closes, judge
from livews.core import canonical, machine, protocol, schema, validation
from tests.bench.children import Server, livews, rss, serving
from tests.kit.wire import BINARY, CLOSE, PING, PONG, TEXT, frame

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = Path(os.environ.get("LIVEWS_SAMPLES", ""))
"""Recorded messages, {"direction": ..., "message": ...} a line: more to break, and other sessions for the same seed."""
GEMINI = "/ws/google.ai.generativelanguage.{}.GenerativeService.BidiGenerateContent"
VERTEX = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
PATIENCE = 15.0
"""Seconds a session may take before it counts as hanging."""
BY_THE_LIBRARY = {1002, 1009}
"""Closes of RFC 6455 itself, which the WebSocket library sends: a frame that is none, a message too large."""
BAD_UTF8 = re.compile(r"(invalid (start|continuation) byte|unexpected end of data) at position \d+")
"""The reason of the library's 1007, for a text frame that is not UTF-8."""
NOWHERE = re.compile(r'Invalid JSON payload received\. Unknown name "".*|Invalid value \(.*', re.DOTALL)
"""Reasons of rows that name a place or a name, for the message itself and for the name ""."""

Message = dict[str, Any]
Raw = tuple[int, bytes]
"""Opcode and payload."""

SERVERS: list[tuple[float, list[str]]] = [
    (0.55, ["--pace", "0.02"]),
    (0.15, ["--pace", "0", "--calls", "always", "--reply", "echo"]),
    (0.1, ["--pace", "0.01", "--require-key", "good", "--as-of", "2026-10", "--sessions-per-key", "20"]),
    (0.1, ["--pace", "0", "--time-scale", "1000", "--heard", "Hello there.", "--heard", "Bye. é"]),
    (0.05, ["--pace", "0", "--fault", "bundled", "--fault", "snake", "--fault", "utf8", "--fault", "fragments=100"]),
    (0.05, ["--pace", "0.01", "--trace", "FOLDER"]),
]
"""A share of the frames, and the options of the server that gets them."""


# What clients send


@cache
def corpus() -> list[Message]:
    """Messages that clients sent, or could have."""
    found: list[Message] = []
    for group in protocol.load("vectors/messages/client.json"):
        found += [test["message"] for test in group["tests"]]
    for name in ("bytes", "rows"):
        for group in protocol.load(f"vectors/frames/{name}.json"):
            for test in group["tests"]:
                found += [step["client"] for step in test["before"] if "client" in step]
    for path in sorted((protocol.root() / "scenarios").glob("*.json")):
        steps = protocol.load(f"scenarios/{path.name}")["steps"]
        found += [step["client"] for step in steps if "client" in step]
    if SAMPLES.is_file():
        rows = [json.loads(line) for line in SAMPLES.read_text().splitlines() if line.strip()]
        found += [row["message"] for row in rows if row["direction"] == "client"]
    return [message for message in found if isinstance(message, dict)]


@cache
def odd_frames() -> list[bytes]:
    """The payloads of the frame vectors, of both senders."""
    groups = [group for name in ("bytes", "rows") for group in protocol.load(f"vectors/frames/{name}.json")]
    return [base64.b64decode(test["raw"]) for group in groups for test in group["tests"]]


@cache
def setups() -> list[Message]:
    return [message for message in corpus() if "setup" in message]


@cache
def traffic() -> list[Message]:
    return [message for message in corpus() if message and "setup" not in message]


@cache
def good_traffic() -> list[Message]:
    """Messages that have nothing wrong in themselves, without sound and marks: those depend on the session."""
    good = [one for one in traffic() if not any(fault.level == "error" for fault in judge.check("client", one))]
    return [
        one
        for one in good
        if not {"audio", "mediaChunks", "activityStart", "activityEnd"} & set(one.get("realtimeInput", {}))
    ]


@cache
def models_served() -> list[str]:
    return [name for row in protocol.models()["profiles"] for name in row["ids"] if not name.endswith("*")]


@cache
def values_seen() -> dict[str, list[Any]]:
    """Every value of the corpus by the name of its member."""
    found: dict[str, list[Any]] = {}
    stack: list[Any] = list(corpus())
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            for name, inner in value.items():
                found.setdefault(name, []).append(inner)
        stack += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return found


@cache
def all_values() -> list[Any]:
    return [value for values in values_seen().values() for value in values]


@cache
def names() -> list[str]:
    tables = [schema.table(name) for name in walk.schemas() if "/client/" in name or "/server/" in name]
    return sorted({name for table in tables for name in table.members})


# One session


@dataclass
class Plan:
    """What one client does. `head` is the start of its connection; `ending` what it does once all is sent."""

    number: int
    head: bytes = b""
    upgrades: bool = True
    reacts: bool = False
    """It answers calls, and ends a while after its last frame."""
    resumes: bool = False
    """Its handle is one that a server gave before: the one thing that no seed knows."""
    eager: bool = False
    """Its frames do not wait for the answer to the upgrade, which no client may do."""
    frames: list[bytes] = field(default_factory=list)
    """On the wire, masked."""
    count: int = 0
    """Messages and control frames among them."""
    ending: str = "poison"
    cut: int = 0
    """Bytes of the first write, the rest follows; 0 for all in one."""


POISON = b"] no JSON"


def plan(seed: int, number: int, key: str = "") -> Plan:
    """Session `number` of this seed."""
    source = Random(f"{seed}/{number}")
    made = Plan(number)
    if source.random() < 0.03:
        _http(source, made, key)
        return made
    path = VERTEX if source.random() < 0.2 else GEMINI.format(source.choice(["v1beta", "v1beta", "v1alpha", "v1"]))
    made.head = _upgrade(source, path, key)
    for opcode, payload in _frames(source, vertex=path == VERTEX):
        made.frames += _on_the_wire(source, opcode, payload)
        made.count += 1
    made.ending = source.choices(["poison", "close", "abort", "half", "nothing"], [78, 8, 6, 5, 3])[0]
    made.reacts = source.random() < 0.03
    made.resumes = source.random() < 0.5
    if made.ending == "poison" and not made.reacts:
        made.frames.append(frame(TEXT, POISON))
        made.count += 1
    made.eager = source.random() < 0.02
    if source.random() < 0.1:
        made.cut = source.randrange(1, 400)
    return made


def _frames(source: Random, *, vertex: bool) -> Iterator[Raw]:
    """The frames of a session, most of them such as a server goes on after."""
    temper = source.choices(["good", "one bad", "wild"], [35, 50, 15])[0]
    count = source.choice((1, 2, 3, 5, 8, 12, 20, 30))
    bad = {"good": 0.0, "one bad": 0.0, "wild": 0.4}[temper]
    setup = _setup(source, vertex)
    marked = machine.values(setup, _DISABLED) == [True]
    if source.random() < 0.06:
        setup = mutated(source, setup)
    if source.random() < 0.97:
        yield TEXT, written(source, setup)
    rate = source.choice([16_000, 16_000, 24_000, 8_000, 1, 44_100, 9_999_999])
    sent = 0
    while sent < count:
        other = source.random() < 0.02
        message = _said(source, marked != other, 16_000 if other else rate)
        for one in message:
            sent += 1
            if source.random() < bad:
                yield _bad(source, one)
            else:
                yield (TEXT if source.random() < 0.9 else BINARY), written(source, one)
    if temper == "one bad":
        yield _bad(source, source.choice(traffic()))
        yield TEXT, written(source, source.choice(traffic()))


def _setup(source: Random, vertex: bool) -> Message:
    """A setup that is mostly taken, of all kinds of models."""
    given: Message = dict(source.choice(setups())["setup"]) if source.random() < 0.25 else {}
    model = source.choice(models_served()) if source.random() < 0.6 else "gemini-3.8-live"
    given["model"] = f"publishers/google/models/{model}" if vertex else f"models/{model}"
    if source.random() < 0.5:
        given["outputAudioTranscription"] = {}
    if source.random() < 0.5 or "transcribe" in model:
        given["inputAudioTranscription"] = {}
    if source.random() < 0.3:
        given["tools"] = source.choice(TOOLS)
    if source.random() < 0.3:
        given["realtimeInputConfig"] = source.choice(_REALTIME)
    if source.random() < 0.15:
        given["sessionResumption"] = source.choice(
            [{}, {}, {}, {}, {"handle": _HANDLE}, {"handle": _HANDLE}, {"handle": _HANDLE}, {"transparent": True}]
        )
    if source.random() < 0.1 and "transcribe" not in model:
        given["historyConfig"] = {"initialHistoryInClientContent": True}
    return {"setup": given}


_HANDLE = "00000000-0000-4000-8000-000000000000"
_LIGHT = {"name": "set_light", "description": "Switches the light of a room", "parameters": {
    "type": "OBJECT", "properties": {"on": {"type": "BOOLEAN"}, "room": {"type": "STRING"}}, "required": ["on"]}}  # fmt: skip
TOOLS: list[list[Message]] = [
    [{"functionDeclarations": [_LIGHT]}],
    [{"functionDeclarations": [_LIGHT, {"name": "wait", "behavior": "NON_BLOCKING"}]}, {"googleSearch": {}}],
    [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": ["object"], "$ref": "#/$defs/a",
      "$defs": {"a": {"$ref": "#/$defs/a"}}}}]}],
    [{"functionDeclarations": [{"name": "g", "parameters": {"type": "ARRAY", "minItems": "99", "items": {}}}]}],
    [],
]  # fmt: skip
_DISABLED = ("setup", "realtimeInputConfig", "automaticActivityDetection", "disabled")
_REALTIME: list[Message] = [
    {"automaticActivityDetection": {"disabled": True}},
    {"automaticActivityDetection": {"silenceDurationMs": 100, "prefixPaddingMs": 20}},
    {"activityHandling": "NO_INTERRUPTION"},
    {"turnCoverage": "TURN_INCLUDES_ALL_INPUT", "automaticActivityDetection": {"disabled": True}},
]


def _said(source: Random, marked: bool, rate: int) -> list[Message]:
    """A few messages that belong together, in a session with manual marks or without, with sound at this rate."""
    kind = source.randrange(10)
    if kind < 2:
        return [source.choice(traffic() if source.random() < 0.02 else good_traffic())]
    if kind < 5:
        words = source.choice(["Hello", "switch the light on", "set_light wait f g", "tool", " ", "é" * 300, ""])
        turn = {"turns": [{"role": "user", "parts": [{"text": words}]}], "turnComplete": source.random() < 0.8}
        return [{"realtimeInput": {"text": words}} if kind == 2 else {"clientContent": turn}]
    if kind < 8:
        if not marked:
            return list(_spoken(source, rate))
        marks: list[Message] = [{"realtimeInput": {"activityStart": {}}}, *_spoken(source, rate)]
        return [*marks, {"realtimeInput": {"activityEnd": {}}}]
    answer = {"id": source.choice(["call_1", "", "function-call-1"]), "name": "wait", "response": {"a": 1}}
    picture = {"mimeType": "image/jpeg", "data": base64.b64encode(source.randbytes(60)).decode()}
    return source.choice([
        [{"toolResponse": {"functionResponses": [answer]}}],
        [{"realtimeInput": {"video": picture}}],
        [{"realtimeInput": {"audioStreamEnd": True}}],
        [{"contextUpdate": {"tools": {"tools": source.choice(TOOLS)}}}],
    ])  # fmt: skip


def _spoken(source: Random, rate: int) -> Iterator[Message]:
    """Sound: loud or silent, in frames of one size, at one rate."""
    samples = source.choice([1, 160, 160, 320, 320, 1600, 8000 if rate > 1 else 99])
    for _ in range(source.randrange(1, 6)):
        pcm = bytes(2 * samples) if source.random() < 0.4 else source.randbytes(2 * samples - source.randrange(2))
        data = base64.b64encode(pcm).decode()
        yield {"realtimeInput": {"audio": {"mimeType": f"audio/pcm;rate={rate}", "data": data}}}


# How it is broken


def _bad(source: Random, message: Message) -> Raw:
    kind = source.randrange(20)
    if kind < 12:
        return TEXT, written(source, mutated(source, message))
    if kind < 17:
        return source.choice([TEXT, TEXT, BINARY]), broken_bytes(source, written(source, message))
    if kind == 17:
        return source.choice([TEXT, BINARY]), source.choice(odd_frames())
    if kind == 18:
        return source.choice([TEXT, BINARY, PING, PONG]), source.choice(
            [b"", b" ", b"{}", b"null", b"[]", b"0", b'""']
        )
    return source.choice(_ODD)


_ODD: list[Raw] = [
    (3, b""),  # a reserved opcode
    (0, b"continues nothing"),
    (PING, b"x" * 126),  # longer than a control frame may be
    (CLOSE, b"\x03"),
    (CLOSE, b"\x00\x05"),
    (CLOSE, b"\x03\xe8\xff\xff"),  # a reason that is not UTF-8
    (CLOSE, b""),
    (0x41, b"{}"),  # a reserved bit
    (TEXT, b"\xff\xfe{}"),
    (TEXT, b"\xef\xbb\xbf{}"),
]


def written(source: Random, message: Any) -> bytes:
    """JSON, in one of the ways clients write it."""
    kind = source.randrange(8)
    if kind < 5:
        return json.dumps(message, separators=(",", ":")).encode()
    if kind == 5:
        return json.dumps(message, indent=2).encode()
    text = json.dumps(message, ensure_ascii=False).encode(errors="surrogatepass")
    return text if kind == 6 else text.replace(b": ", b" :\t\r\n")


def mutated(source: Random, message: Any) -> Any:
    """The message with one to three of its values or names changed."""
    made = _copy(message)
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        made = _mutated_once(source, made)
    return made


def _copy(value: Any) -> Any:
    """The same JSON, none of it shared."""
    return json.loads(json.dumps(value))


def _mutated_once(source: Random, message: Any) -> Any:
    places = list(_places(message))
    if not places:
        return source.choice(_junk(source))
    holder, name = source.choice(places)
    value = holder[name]
    kind = source.randrange(9)
    if kind == 0:
        del holder[name]
    elif kind == 1 and isinstance(name, str):
        holder[_respelt(source, name)] = holder.pop(name)
    elif kind == 2 and isinstance(name, str):
        holder[_respelt(source, name)] = source.choice([value, source.choice(_junk(source))])
    elif kind == 3 and isinstance(name, str):
        holder[name] = _copy(source.choice(values_seen().get(name) or [None]))
    elif kind == 4:
        holder[name] = _copy(source.choice(all_values()))
    elif kind == 5 and isinstance(value, list):
        holder[name] = source.choice(
            [_copy(value * 50), [], [None, *value], value[::-1], [value], dict(enumerate(value))]
        )
    elif kind == 6 and isinstance(value, str):
        holder[name] = _broken_text(source, value)
    elif kind == 7:
        message.update(_copy(source.choice(corpus()))) if isinstance(message, dict) else message.append(value)
    else:
        holder[name] = source.choice([source.choice(_junk(source)), [value], {"a": value}, str(value)])
    return message


def _places(message: Any) -> Iterator[tuple[Any, Any]]:
    stack = [message]
    while stack:
        value = stack.pop()
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            yield value, key
            stack.append(value[key])


def _respelt(source: Random, name: str) -> str:
    other = re.sub(r"_(\w)", lambda found: found[1].upper(), name) if "_" in name else schema.snake(name)
    return source.choice(
        [other, other, name.upper(), name + " ", name[:-1], source.choice(names()), "\ud800", "", "~/"]
    )


def _broken_text(source: Random, text: str) -> str:
    at = source.randrange(len(text) + 1)
    put = source.choice(["\0", "\ud800", "‮", "=", "-_", "\n", "🎈", "%s{}", "é", '"', "\\", "\x7f"])
    return source.choice([text[:at], text[:at] + put + text[at:], text * 3, text.upper(), text.lower(), f" {text} "])


def _junk(source: Random) -> list[Any]:
    deep = source.choice([5, 50, 95, 99, 101, 300])
    nested: Any = 1
    for _ in range(deep):
        nested = [nested] if deep % 2 else {"a": nested}
    return [
        None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, 2**64, -(2**63) - 1,
        10**400, "", "x", "0", "-1", "1e999", "NaN", "true", "9" * 5000, "x" * 30_000, "\ud800", "\0", "é", [], {}, [[]], [{}],
        {"": {}}, {"a": None}, [None], nested, "AAAA", "AAA", "audio/pcm;rate=0", "image/png", "AUDIO", "1.5s", "-3.000000001s",
        "2026-01-01T00:00:00Z", float("inf"), float("nan"),
    ]  # fmt: skip


def broken_bytes(source: Random, raw: bytes) -> bytes:
    at, to = sorted((source.randrange(len(raw) + 1), source.randrange(len(raw) + 1)))
    kind = source.randrange(9)
    if kind == 0:
        return raw[:at]
    if kind == 1 and raw:
        at = min(at, len(raw) - 1)
        return raw[:at] + bytes([raw[at] ^ 1 << source.randrange(8)]) + raw[at + 1 :]
    if kind == 2:
        return raw[:at] + source.randbytes(source.randrange(1, 9)) + raw[at:]
    if kind == 3:
        return raw[:at] + raw[to:]
    if kind == 4:
        return raw[:to] + raw[at:]
    if kind == 5:
        return raw + raw
    if kind == 6:
        return b"[" * source.choice([50, 101, 5000, 100_000]) + raw
    if kind == 7:
        return re.sub(rb"\d+", source.choice([b"1" * 400, b"-0", b"01", b"1e400", b"NaN", b"0x1"]), raw, count=1)
    put = source.choice([b"{", b"}", b"\xff", b"\\u0000", b"\\ud800", b"\xed\xa0\x80", b",", b"//", b"\0", b'"'])
    return raw[:at] + put + raw[at:]


# On the wire


def _on_the_wire(source: Random, opcode: int, payload: bytes) -> list[bytes]:
    """The message as frames: one mostly, or several, with a ping between them."""
    dice = source.random()
    if opcode not in (TEXT, BINARY) or dice > 0.03 or len(payload) < 2:
        return [frame(opcode, payload)]
    if dice < 0.001:
        return [frame(opcode, payload, masked=False)]
    cuts = sorted(source.randrange(len(payload)) for _ in range(source.randrange(1, 5)))
    pieces = [payload[at:to] for at, to in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    made = [frame(opcode if i == 0 else 0, piece, fin=i == len(cuts)) for i, piece in enumerate(pieces)]
    made.insert(source.randrange(1, len(made) + 1), frame(PING, b"there?"))
    return made


def _upgrade(source: Random, path: str, key: str) -> bytes:
    shown = source.choice(
        ["", f"?key={key}", f"?key={key}", "?key=bad", "?access_token=auth_tokens/none", "?key=%ff&key="]
    )
    header = source.choice(["", "", "", f"x-goog-api-key: {key}\r\n", f"Authorization: Bearer {key}\r\n"])
    slash = "/" if source.random() < 0.05 else ""
    constrained = "Constrained" if source.random() < 0.05 else ""
    return (
        f"GET {slash}{path}{constrained}{shown} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Sec-WebSocket-Version: 13\r\n{header}\r\n"
    ).encode()


def _http(source: Random, made: Plan, key: str) -> None:
    """Something else than an upgrade: broken ones, requests for tokens, other protocols."""
    made.upgrades = False
    made.ending = source.choice(["half", "abort", "nothing"])
    made.count = 1
    good = _upgrade(source, GEMINI.format("v1beta"), key)
    kind = source.randrange(8)
    if kind == 0:
        made.head = broken_bytes(source, good)
    elif kind == 1:
        line = source.choice(good.split(b"\r\n")[1:-2])
        made.head = good.replace(
            line, source.choice([b"X: y", line[: len(line) // 2], line + b"\0", line + line, b": ", b"a b"])
        )
    elif kind == 2:
        made.head = good.replace(b"Host", b"X-Long: " + b"x" * source.choice([100, 9000, 200_000]) + b"\r\nHost")
    elif kind == 3:
        methods = [b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PRI", b"get", b"POSTAL", b"GE"]
        made.head = good.replace(b"GET", source.choice(methods))
    elif kind == 4:
        made.head = source.choice([
            b"GET /livews/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0",
            source.randbytes(200), b"\r\n" * 10, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /%ff%00?%zz=\xff HTTP/1.1\r\n\r\n", b"P",
        ])  # fmt: skip
    else:
        made.head = _token_request(source, key)
        if source.random() < 0.3:
            made.head = broken_bytes(source, made.head)
    if source.random() < 0.2:
        made.cut = source.randrange(1, 200)


def _token_request(source: Random, key: str) -> bytes:
    asked: Message = {
        "uses": source.choice([1, 0, -1, "5", 2**70, 1.5, "x", None]),
        "expireTime": source.choice(["2026-11-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "x", 5]),
        "newSessionExpireTime": source.choice([None, "2020-01-01T00:00:00Z", "2026-11-30T00:00:00", "2026-11-22T25:00:00Z"]),
        "fieldMask": source.choice([None, "", "a.b.c", "generation_config.temperature,model", "." * 5000, ",", 5]),
        "bidiGenerateContentSetup": source.choice([None, source.choice(setups())["setup"], {}, [], "x"]),
    }  # fmt: skip
    asked = {name: value for name, value in asked.items() if value is not None and source.random() < 0.5}
    if source.random() < 0.3:
        asked = mutated(source, asked) if asked else asked
    body = written(source, asked)
    length = source.choice([str(len(body))] * 6 + ["-1", "0", "9" * 5000, "1e3", "²", str(len(body) + 5)])
    path = source.choice(["/v1alpha/auth_tokens", "/v1beta/auth_tokens", "//v1alpha/auth_tokens", "/elsewhere"])
    head = f"POST {path}?key={key} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n"
    return head.encode() + source.choice([b"", b"", b"", b"Transfer-Encoding: chunked\r\n"]) + b"\r\n" + body


# A client


handles: deque[str] = deque(maxlen=50)
"""The newest handles that servers gave."""
_ANSWERS: list[Message] = [
    {}, {}, {"willContinue": True}, {"scheduling": "INTERRUPT"}, {"scheduling": "SILENT"}, {"response": {"scheduling": "WHEN_IDLE"}},
]  # fmt: skip


class Client(asyncio.Protocol):
    """Plays one plan. What became of it is in `closed`: a code and a reason, an HTTP status, or "lost"."""

    def __init__(self, planned: Plan, keep: bool = False) -> None:
        self.plan = planned
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.code = 0
        self.reason = ""
        self.status = ""
        self.received = 0
        self.messages: list[bytes] = []
        self.left = False
        """This side went first."""
        self._said_all = False
        self._handle = _HANDLE
        self._keep = keep
        self._buffer = bytearray()
        self._message = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.plan.resumes and handles:
            self._handle = handles[self.plan.number % len(handles)]
        if self.plan.eager:
            self._write(self.plan.head + b"".join(self.plan.frames))
        elif self.plan.upgrades:
            transport.write(self.plan.head)
        else:
            self._write(self.plan.head)

    def _write(self, whole: bytes) -> None:
        """All there is to say, in one piece or two; then the end."""
        if self._handle != _HANDLE:
            whole = whole.replace(_HANDLE.encode(), self._handle.encode())
        if self.plan.cut:
            self.transport.write(whole[: self.plan.cut])
            asyncio.get_running_loop().call_later(0.002, self._rest, whole[self.plan.cut :])
        else:
            self.transport.write(whole)
            self._end()

    def _rest(self, rest: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(rest)
            self._end()

    def _end(self) -> None:
        ending = self.plan.ending
        loop = asyncio.get_running_loop()
        if ending == "abort":
            loop.call_later(0.003, self.leave)
        elif ending == "half":
            loop.call_later(0.003, self._half)
        elif ending == "poison" and self.plan.reacts:
            loop.call_later(0.2, self._say, POISON)
        elif ending == "close":
            self.left = True
            self.transport.write(frame(CLOSE, (1000).to_bytes(2, "big")))
        elif ending == "nothing":
            loop.call_later(0.1, self.leave)

    def _say(self, message: bytes) -> None:
        if not self.transport.is_closing() and not self._said_all:
            self.transport.write(frame(TEXT, message))

    def _react(self, message: bytes) -> None:
        """Answer the calls in a message, one in three of them badly; keep the handle in it."""
        source = Random(f"{self.plan.number}/{self.received}")
        if b'"newHandle"' in message:
            handles.append(json.loads(message)["sessionResumptionUpdate"]["newHandle"])
        elif b'"toolCall"' in message and self.plan.reacts:
            made = [{"id": call.get("id"), "name": call["name"], "response": {"ok": True}, **source.choice(_ANSWERS)}
                    for call in json.loads(message)["toolCall"]["functionCalls"]]  # fmt: skip
            answer = {"toolResponse": {"functionResponses": made}}
            self._say(written(source, mutated(source, answer) if source.random() < 0.3 else answer))

    def _half(self) -> None:
        self.left = True
        if not self.transport.is_closing():
            self._said_all = True
            self.transport.write_eof()
            asyncio.get_running_loop().call_later(0.5, self.leave)

    def leave(self) -> None:
        self.left = True
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self.status:
            start, end = buffer.find(b"HTTP/1.1 "), buffer.find(b"\r\n\r\n")
            if end < 0 or start < 0:
                return
            # the library answers pings that came with the upgrade ahead of it
            self.status = buffer[start : buffer.find(b"\r\n", start)].decode("latin-1")
            del buffer[: end + 4]
            if self.upgraded and self.plan.upgrades and not self.plan.eager:
                self._write(b"".join(self.plan.frames))
        if not self.upgraded:
            return
        at = 0
        while len(buffer) - at >= 2:
            first, length, head = buffer[at], buffer[at + 1], 2
            if length == 126:
                length, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
            if len(buffer) - at < head + length:
                break
            payload = bytes(buffer[at + head : at + head + length])
            at += head + length
            if first & 15 == CLOSE:
                self.code = int.from_bytes(payload[:2], "big") if payload else 1005
                self.reason = payload[2:].decode(errors="replace")
                if not self._said_all:
                    self.transport.write(frame(CLOSE, payload[:2]))
            elif first & 15 in (0, TEXT, BINARY):
                self.received += 1
                self._message += payload
                if first & 0x80:
                    if self._keep:
                        self.messages.append(self._message)
                    if b'"newHandle"' in self._message or b'"toolCall"' in self._message:
                        self._react(self._message)
                    self._message = b""
        del buffer[:at]

    @property
    def upgraded(self) -> bool:
        return self.status.startswith("HTTP/1.1 101")

    @property
    def ended(self) -> str:
        if not self.plan.upgrades or (self.status and not self.upgraded):
            return self.status or "no answer"
        if self.code:
            return str(self.code)
        return "left" if self.left else "lost"

    def wrong(self) -> str:
        """What must not be about this end, "" for nothing."""
        if not self.done.done():
            return "hangs"
        if self.ended == "lost" and not self.plan.eager:
            return "the server cut the connection without a close frame"
        if self.code in BY_THE_LIBRARY or not self.code:
            return ""
        if self.code == 1005 or (self.code == 1000 and self.left) or BAD_UTF8.fullmatch(self.reason):
            return ""
        if self.code == 1007 and NOWHERE.fullmatch(self.reason):
            return ""
        if self.code not in _CODES:
            return f"closed with {self.code}, which is in no row of closes.json"
        if not closes.explain(self.code, self.reason).known:
            return f"closed {self.code} with an unknown reason: {self.reason!r}"
        return ""


_CODES = {row["code"] for row in protocol.closes()}


# All of them


@dataclass
class Report:
    sessions: int = 0
    frames: int = 0
    """Sent."""
    judged: int = 0
    """Messages that servers read, by their own count."""
    received: int = 0
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    memory: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rate = self.frames / self.seconds if self.seconds else 0
        ends = ", ".join(f"{name} {count:,}" for name, count in self.ends.most_common(20))
        return (
            f"{self.frames:,} frames in {self.sessions:,} sessions, {self.seconds:.0f} s, {rate:,.0f} frames/s; servers "
            f"read {self.judged:,} messages and sent {self.received:,}\nended: {ends}\nmemory: {'; '.join(self.memory)}\n"
            f"{len(self.findings)} findings"
        )


_SESSION_LINE = re.compile(r"session \d+: .*, (\d+) in, \d+ out, ")
_FINE = re.compile(
    r"the livews stand-in is listening|session \d+: (the user's speech never ended|audioStreamEnd came before)"
    r"|session \d+: .* is retired: the service refuses it|session \d+: .*\((MODEL|TOOL|AUDIO|ACTIVITY|TURN|SETUP)-\d+\)[:.] "
    r"|session \d+: [A-Z]+-\d+, (\d|and )"  # what was counted with it, at the end
)


@contextlib.contextmanager
def served(options: Sequence[str]) -> Iterator[Server]:
    """`livews serve` with these options."""
    with tempfile.TemporaryDirectory() as folder:
        given = [folder if option == "FOLDER" else option for option in options]
        with serving(livews("serve", "--port", "0", "--voice", "tones", *given), patience=30) as server:
            yield server


def run(
    frames: int, seed: int, connections: int = 64, servers: Sequence[tuple[float, list[str]]] = SERVERS
) -> Report:
    """Send about so many frames; what came of it."""
    report = Report()
    for i, (share, options) in enumerate(servers):
        began = time.monotonic()
        who = f"server {i} ({' '.join(options)})"
        with served(options) as server:
            key = "good" if "--require-key" in options else "none"
            before = memory(server.process.pid)
            asyncio.run(_attack(report, server.port, round(frames * share), seed, i * 10_000_000, key, connections))
            after = memory(server.process.pid)
            report.seconds += time.monotonic() - began
            _look(report, server, key, "snake" in options, who)
            report.memory.append(f"{before // 1024} to {after // 1024} MB")
        _read(report, server, who)
    return report


async def _attack(report: Report, port: int, frames: int, seed: int, first: int, key: str, connections: int) -> None:
    numbers = iter(range(first, first + 10_000_000))
    stop = report.frames + frames

    async def attacker() -> None:
        for number in numbers:
            if report.frames >= stop:
                return
            planned = plan(seed, number, key)
            report.frames += planned.count
            report.sessions += 1
            client = await play(port, planned, keep=number % 50 == 0)
            report.received += client.received
            report.ends[client.ended[:60]] += 1
            if (wrong := client.wrong() or _unfit(client)) and len(report.findings) < 100:
                report.findings.append(f"session {number}: {wrong}")

    await asyncio.gather(*(attacker() for _ in range(connections)))


async def play(port: int, planned: Plan, *, keep: bool = False) -> Client:
    """One session, to its end or to the end of patience."""
    loop = asyncio.get_running_loop()
    # each from an address of its own: a single one has too few ports for so many connections
    here = f"127.{planned.number // 65_536 % 120 + 1}.{planned.number // 256 % 256}.{planned.number % 255 + 1}"
    local = (here, 0) if sys.platform == "linux" else None
    _, client = await loop.create_connection(lambda: Client(planned, keep), "127.0.0.1", port, local_addr=local)
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(client.done)
    except TimeoutError:
        client.transport.abort()
    return client


def _unfit(client: Client) -> str:
    """What the schemas have against the messages of a server that is configured to write them in the usual way."""
    for raw in client.messages:
        try:
            message = json.loads(raw)
        except ValueError:
            return f"sent what is no JSON: {raw[:100]!r}"
        if said := validation.violations("server", canonical.fold("server", message).message):
            return f"sent {raw[:200]!r}: {said[0].complaint}"
    return ""


def _look(report: Report, server: Server, key: str, snake: bool, who: str) -> None:
    """Is it up, does it answer, has it failed?"""
    port = server.port
    if server.process.poll() is not None:
        report.findings.append(f"{who} is gone")
        return
    try:
        asyncio.run(clean_turn(port, key, snake))
    except Exception as problem:
        report.findings.append(f"{who} answers no clean turn: {type(problem).__name__} {problem}")
    deadline = time.monotonic() + PATIENCE
    while (state := status(port))["sessions"]["open"] and time.monotonic() < deadline:
        time.sleep(0.1)
    if state["sessions"]["open"]:
        report.findings.append(f"{who}: {state['sessions']['open']} sessions are still open: {state['open'][:3]}")
    if state["sessions"]["failures"]:
        report.findings.append(f"{who} failed {state['sessions']['failures']} times")


async def clean_turn(port: int, key: str = "none", snake: bool = False) -> None:
    """One turn as a good client has it."""
    from websockets.asyncio.client import connect

    url = f"ws://127.0.0.1:{port}{GEMINI.format('v1beta')}?key={key}"
    async with asyncio.timeout(PATIENCE), connect(url, max_size=None) as socket:
        await socket.send(json.dumps({"setup": {"model": "models/gemini-3.8-live"}}))
        await socket.send(json.dumps({"realtimeInput": {"text": "Are you there?"}}))
        wanted = b"turn_complete" if snake else b"turnComplete"
        while wanted not in (await socket.recv(decode=False)):
            pass


def _read(report: Report, server: Server, who: str) -> None:
    """What the server wrote, now that it has ended."""
    if server.process.returncode != 0:
        report.findings.append(f"{who} ended with {server.process.returncode}")
    odd = []
    for line in server.said.splitlines():
        if found := _SESSION_LINE.match(line):
            report.judged += int(found[1])
        elif not _FINE.match(line):
            odd.append(line)
    if odd:
        report.findings.append(f"{who} wrote {len(odd)} lines: " + "\n    ".join(odd[:60]))


def status(port: int) -> Message:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/livews/status")
        output: Message = json.loads(connection.getresponse().read())
        return output
    finally:
        connection.close()


def memory(pid: int) -> int:
    """kB a process holds; 0 where that is not known."""
    try:
        return rss(pid)
    except OSError:
        return 0


def again(seed: int, number: int) -> Client:
    """Play one session of a run once more, on a server of its own, and show it."""
    options = SERVERS[number // 10_000_000][1]
    key = "good" if "--require-key" in options else "none"
    planned = plan(seed, number, key)
    with served(options) as server:
        client = asyncio.run(play(server.port, planned, keep=True))
        time.sleep(0.3)
        print(planned.head[:2000])
        for one in planned.frames:
            print("  >", one[:300])
        for one in client.messages:
            print("  <", one[:200])
        print(planned.ending, "->", client.ended, client.reason, client.wrong())
    print(server.said)
    return client


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.server", description="Bad frames by the million.")
    parser.add_argument("--frames", type=int, default=1_000_000, help="how many (default 1000000)")
    parser.add_argument("--seed", type=int, default=1, help="what they are made from (default 1)")
    parser.add_argument("--connections", type=int, default=64, help="how many at once (default 64)")
    parser.add_argument("--session", type=int, help="play this session of the seed again, and show it")
    options = parser.parse_args(argv)
    if options.session is not None:
        return 1 if again(options.seed, options.session).wrong() else 0
    report = run(options.frames, options.seed, options.connections)
    print(report)
    for words in report.findings:
        print(f"- {words}")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
