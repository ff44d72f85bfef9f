"""The faults: what the server writes, and how the client must end. All of it is data.

- An expected exit code is that of all states but `closing`, where what comes after the client's own close changes
  nothing, unless `but` says otherwise of a state.
- Large payloads are made when they are needed.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.server import Act, message, server_frame
from tests.faults.states import COMPLETE, audio, call, content, inline
from tests.kit.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

MB = 1_000_000
ENDS = r"(closed|lost|refused|given up):"
"""What the line says that reports the end of a connection."""
_PCM = "audio/pcm;rate=24000"


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        acts: what the server does.
        exit: the exit code, 0 where the session goes on.
        but: other exit codes by state.
        says: pattern of the line that reports it, "" for none. It must come within a second after the last byte.
        limit: seconds from the fault to the exit.
        options: more options of `livews talk`.
        slow: it needs minutes.
    """

    name: str
    acts: tuple[Act, ...]
    exit: int = 0
    but: Mapping[str, int] = field(default_factory=dict)
    says: str = ""
    limit: float = 15.0
    options: tuple[str, ...] = ()
    slow: bool = False

    @property
    def waits(self) -> bool:
        """The client only waits, so that many may do it at once."""
        return self.slow and "flood" not in self.name

    def expected(self, way: str, state: str) -> int:
        """The exit code in a state, for "talk", "view" or "library"; `but` may name the way, too."""
        return self.but.get(f"{way} {state}", self.but.get(state, 0 if state == "closing" else self.exit))


def close(code: int, reason: str | bytes = b"") -> bytes:
    text = reason if isinstance(reason, bytes) else reason.encode()
    return server_frame(struct.pack("!H", code) + text, CLOSE)


def fragments(*payloads: bytes, opcode: int = BINARY) -> bytes:
    """One message, a frame for each payload."""
    last = len(payloads) - 1
    return b"".join(
        server_frame(payload, opcode if i == 0 else CONTINUATION, fin=i == last) for i, payload in enumerate(payloads)
    )


def text(words: str) -> bytes:
    return content(outputTranscription={"text": words})


def parts(part: str, count: int) -> bytes:
    """A turn of so many equal parts."""
    return server_frame(b'{"serverContent":{"modelTurn":{"parts":[%s]}}}' % b",".join([part.encode()] * count))


def calls(count: int, call: str = '{"id":"%d","name":"f","args":{}}') -> bytes:
    made = b",".join((call % i if "%" in call else call).encode() for i in range(count))
    return server_frame(b'{"toolCall":{"functionCalls":[%s]}}' % made)


def usage(**counts: Any) -> bytes:
    return message({"usageMetadata": counts})


def nested(depth: int) -> bytes:
    return server_frame(b'{"serverContent":{"a":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}}")


def goaways(*times: Any) -> bytes:
    return b"".join(message({"goAway": {"timeLeft": time}}) for time in times)


def _bits(value: str) -> bytes:
    """A frame of bytes in hexadecimal."""
    return bytes.fromhex(value)


def _members(count: int) -> bytes:
    return server_frame(b"{" + b",".join(b'"k%d":1' % i for i in range(count)) + b"}")


def _tool_oddities() -> bytes:
    odd: list[Any] = [None, 5, "f", [], {}, {"name": None}, {"name": ""}, {"id": 5, "name": "f"}, {"id": "x" * 9000, "name": "g"},
                      {"name": "slow", "args": "none"}, {"name": "\x1b[31m\u202e", "args": {"a": [1]}}]  # fmt: skip
    return b"".join(message({"toolCall": {"functionCalls": [one]}}) for one in odd)


def _one_by_one(raw: bytes) -> bytes:
    return fragments(*[raw[i : i + 1] for i in range(len(raw))])


_HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202eevil\x9b31m\r\n\x00"
_WORDS = b'{"serverContent":{"outputTranscription":{"text":"%s"}}}'

SKIPPED: dict[str, Act | tuple[Act, ...]] = {
    "goaway-odd-times": goaways("infs", "nans", "-5s", "1e-13s", "", "s", 5, None, "9" * 30 + "s", "1e999s", [], {}),
    "truncated-json": server_frame(b'{"serverContent":{"modelTurn":{"par'),
    "fragments-1byte": lambda: _one_by_one(_WORDS % b"in pieces"),
    "deep-100k": lambda: nested(100_000),
    "deep-150": nested(150),
    "nonutf8-binary": server_frame(_WORDS % b"\xff\xc3("),
    "garbage-binary": server_frame(bytes(range(256))),
    "empty-frame": server_frame(b"") + server_frame(b"", TEXT),
    "not-object": b"".join(server_frame(raw) for raw in (b"[1]", b'"x"', b"5", b"null", b"NaN", b" ")),
    "huge-20MB-text": lambda: text("a" * 20 * MB),
    "huge-20MB-audio": lambda: audio(seconds=300),
    "flood-unknown-members": lambda: b"".join(message({f"new{i}": {"a": i}}) for i in range(5_000)),
    "unknown-member-1MB-name": lambda: message({"N" * MB: 1}),
    "rate-0": audio("audio/pcm;rate=0"),
    "rate-1": audio("audio/pcm;rate=1"),
    "rate-7": audio("audio/pcm;rate=7"),
    "rate-19": audio("audio/pcm;rate=19"),
    "rate-20": audio("audio/pcm;rate=20"),
    "rate-9999999": audio("audio/pcm;rate=9999999"),
    "rate-1e9": audio("audio/pcm;rate=1e9"),
    "rate-neg": audio("audio/pcm;rate=-24000"),
    "rate-nan": audio("audio/pcm;rate=nan"),
    "rate-huge": audio("audio/pcm;rate=" + "9" * 400),
    "rate-float": audio("audio/pcm;rate=24000.5"),
    "rate-empty": audio("audio/pcm;rate="),
    "rate-change-mid-turn": audio() + audio("audio/pcm;rate=16000") + audio("audio/pcm;rate=48000"),
    "mime-lies": b"".join(audio(kind) for kind in ("image/png", "text/plain", "audio/opus", "", "audio/pcm;rate=\0", "é/\u202e")),
    "audio-odd-bytes": content(modelTurn={"parts": [inline(base64.b64encode(bytes(7)).decode(), _PCM)]}),
    "audio-bad-base64": content(modelTurn={"parts": [inline(data, _PCM) for data in ("A*==", "AAA", "=", "\u2603" * 9)]}),
    "ping-flood-20k": lambda: server_frame(b"x" * 9, PING) * 20_000,
    "pong-unsolicited": server_frame(b"", PONG) * 3 + server_frame(b"x" * 125, PONG),
    "setupcomplete-again": message({"setupComplete": {}}) + message({"setupComplete": {"sessionId": 5}}),
    "cancel-unknown": message({"toolCallCancellation": {"ids": ["nobody", "", None, 5]}}) * 2,
    "usage-odd": b"".join(usage(promptTokenCount=n) for n in (-1, 1.5, "x", None, True, [], 2**70, "-0", 1e308)),
    "usage-long-int": usage(promptTokenCount=10**400) + usage(responseTokenCount="9" * 5000),
    "usage-20-digits": usage(promptTokenCount="9" * 20, totalTokenCount=2**63),
    "ansi-text": text(_HOSTILE) + message({_HOSTILE: 1}),
    "handle-1MB": lambda: message({"sessionResumptionUpdate": {"newHandle": "h" * MB, "resumable": True}}),
    "dup-keys": server_frame(b'{"serverContent":{},"serverContent":{"turnComplete":false},"serverContent":5}'),
    "tool-odd": _tool_oddities(),
    "tool-5000-calls": lambda: calls(5_000),
    "calls-279k": lambda: calls(279_000, "{}"),
    "members-700k": lambda: _members(700_000),
    "parts-audio-20k": lambda: parts(json.dumps(inline("AAAA", _PCM)), 20_000),
    "parts-200k": lambda: parts('{"text":""}', 200_000),
    "tiny-objects-30MB": lambda: parts("{}", 10_000_000),
    "flood-audio-60MB": lambda: audio(seconds=2) * 470,
    "interrupted-flood": lambda: content(interrupted=True) * 20_000 + COMPLETE,
    "goaway-flood": lambda: goaways(*["60s"] * 20_000),
    "tool-no-calls": server_frame(b'{"toolCall":{}}') + b"".join(message({"toolCall": {"functionCalls": x}}) for x in (None, [], {}, "f", [None, 5])),
    "turncomplete-flood": lambda: COMPLETE * 20_000,
    "drip-message": tuple(act for byte in server_frame(_WORDS % b"drop") for act in (bytes([byte]), 0.002)),
    "key-echo": lambda key: message({f"new_{key}": {key: key}}) + call(f"f_{key}", key=key) + usage(promptTokensDetails=[{"modality": key, "tokenCount": 1}]),
}  # fmt: skip
"""What the session survives: skipped or noted."""

_GIVEN_UP: dict[str, Act | tuple[Act, ...]] = {
    "close-1007-Request_cont": close(1007, "Request contains an invalid argument."),
    "close-1008-Requested_en": close(1008, "Requested entity was not found."),
    "close-1008-The_operatio": close(1008, "The operation was aborted."),
    "close-1011-Internal_err": close(1011, "Internal error encountered."),
    "close-1012-": close(1012),
    "close-1013-try": close(1013, "try again later"),
    "close-3000-x": close(3000, "x"),
    "close-4999-y": close(4999, "y"),
    "close-empty-1005": server_frame(b"", CLOSE),
    "close-1006-on-wire": close(1006, "never on the wire"),
    "close-999": close(999),
    "close-5000": close(5000),
    "close-1byte": server_frame(b"\x03", CLOSE),
    "close-nonutf8-reason": close(1011, b"\xff\xfe\xc3("),
    "close-ansi-reason": close(1011, _HOSTILE),
    "close-no-fin-after": (close(1011, "Internal error encountered."), "hold"),
    "fragments-empty-100k": lambda: fragments(*[b""] * 100_000, b"{}") + close(1011, "Internal error encountered."),
    "nonutf8-text": server_frame(_WORDS % b"\xff", TEXT),
    "garbage-tcp": bytes(range(255, 0, -1)) * 4,
    "http-in-socket": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\n" + b"x" * 100,
    "huge-65MB": lambda: text("a" * 65 * 1024 * 1024),
    "huge-declared-2^62": (server_frame(b"", length=2**62), "hold"),
    "huge-declared-2^63": (server_frame(b"", length=2**63), "hold"),
    "opcode-3": server_frame(b"", 3),
    "opcode-11": server_frame(b"", 11),
    "rsv1": server_frame(b"{}", TEXT | 0x40),
    "rsv2-held": (server_frame(b"{}", TEXT | 0x20), "hold"),
    "masked-from-server": _bits("8185 01020304 69676f6c6e"),
    "ping-126": server_frame(bytes(126), PING),
    "ping-fragmented": server_frame(b"there?", PING, fin=False),
    "cont-without-start": server_frame(b"{}", CONTINUATION),
    "interleaved-data": server_frame(b"{", TEXT, fin=False) + server_frame(b"{}", TEXT),
    "compressed-frame": server_frame(_bits("aa56 4a2d 4a52 b252 aa05 00"), BINARY | 0x40),
}
"""Exit code 5: a close of the service that is an error, or bytes for which the client gives up."""

_GOAWAY = message({"goAway": {"timeLeft": "2s"}})

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in [
        *(Fault(name, acts if isinstance(acts, tuple) else (acts,), limit=40) for name, acts in SKIPPED.items()),
        *(Fault(name, acts if isinstance(acts, tuple) else (acts,), 5, says=ENDS) for name, acts in _GIVEN_UP.items()),
        *(
            Fault(name, acts, 4, says=ENDS)
            for name, acts in {
                "rst": ("rst",),
                "fin": ("fin",),
                "close-1001-": (close(1001),),
                "close-1001-going_away": (close(1001, "going away"),),
                "truncated-frame-fin": (server_frame(b"{", length=5_000), "fin"),
                "truncated-frame-rst": (server_frame(b"{", length=5_000), "rst"),
                "goaway2-close1001": (_GOAWAY, 2.0, close(1001)),
                "goaway2-fin": (_GOAWAY, 2.0, "fin"),
            }.items()
        ),
        *(
            Fault(name, acts, 5, {"library idle": 0}, says=ENDS)  # the events of a session end there, as those of a socket do
            for name, acts in {
                "close-1000-": (close(1000),),
                "close-1000-done": (close(1000, "done"),),
                "data-after-close": (close(1000) + text("too late"),),
            }.items()
        ),
        Fault("close-1007-API_key_not_", (close(1007, "API key not valid. Please pass a valid API key."),), 3, says=ENDS),
        Fault("close-1011-You_exceeded", (close(1011, "You exceeded your current quota, please check your plan and billing details."),), 3, says=ENDS),
        Fault("goaway2-close1008", (_GOAWAY, 2.0, close(1008, "Connection aborted because the client failed to close the connection after receiving GoAway signal")), 5, says=ENDS),
        *(
            Fault(name, acts, 4, {"setup sent": 5, "idle": 0}, limit=100, options=("--turn-timeout", "120"), slow=True)
            for name, acts in {
                "silent": ("hold",),
                "noread": ("deaf",),
                "drip-forever": ("drip",),
                "ping-flood-noread": ("ping flood, deaf",),
            }.items()
        ),
    ]
}  # fmt: skip
"""Every fault by its name."""


HEAVY = {
    *(name for name in FAULTS if name.startswith(("huge-", "flood-", "goaway2-", "parts-")) or FAULTS[name].slow),
    "deep-100k", "fragments-empty-100k", "unknown-member-1MB-name", "handle-1MB", "ping-flood-20k", "interrupted-flood", "turncomplete-flood", "goaway-flood",
    "tool-5000-calls", "calls-279k", "members-700k", "tiny-objects-30MB", "drip-message",
}  # fmt: skip
"""Faults that take more than a moment, which the short form leaves out."""
VIEWED = {
    "goaway-odd-times", "rate-1", "rate-20", "rate-huge", "usage-odd", "usage-20-digits", "ansi-text", "unknown-member-1MB-name", "mime-lies", "deep-100k",
    "tool-odd", "handle-1MB", "close-1011-Internal_err", "close-no-fin-after", "close-ansi-reason", "close-1000-", "rst", "fin", "nonutf8-text",
    "huge-declared-2^63", "silent",
}  # fmt: skip
"""Faults that the live view shows in a way of its own."""

QUICK = (
    "goaway-odd-times", "truncated-json", "rate-1", "deep-150", "rate-20", "rate-change-mid-turn", "usage-20-digits", "rst",
    "fin", "close-no-fin-after", "close-1007-Request_cont", "key-echo", "ansi-text", "close-1000-", "mime-lies", "close-1011-You_exceeded",
    "close-ansi-reason", "truncated-frame-fin", "close-1001-going_away", "nonutf8-text", "cancel-unknown", "audio-bad-base64", "garbage-tcp", "masked-from-server",
    "rate-7", "rsv2-held", "close-1011-Internal_err", "close-nonutf8-reason", "usage-odd", "not-object", "data-after-close", "close-empty-1005",
)  # fmt: skip
"""Faults that the short form tries with `livews talk`, each in the next state."""
