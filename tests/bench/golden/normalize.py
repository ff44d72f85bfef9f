"""What a golden does not compare, in one place, each with the reason.

Everything else is compared exactly: member names and their order, the order of lines, numbers, ids of rules and closes,
exit codes and the bytes of frames. Numbers and texts that vary are replaced, never removed, so a member that
disappears or becomes null is still a difference.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

LONGEST = 500
"""Characters of a payload that are kept as they are; a longer one becomes its length and hash."""

TIMES = {
    "t": "<time>",  # seconds since the start of the session
    "replayed": "<time>",  # how long a replay took, beside how long it had taken
    "ms": "<time>",  # how long a step of doctor took
    "started": "<time>",  # the date of a trace
    # latencies: how long a reply took on this machine
    "firstByte": "<time>",
    "firstSound": "<time>",
    "firstPlayed": "<time>",
    "p50": "<time>",
    "p95": "<time>",
    # an ephemeral token's life, counted from now
    "expireTime": "<time>",
    "newSessionExpireTime": "<time>",
}
TEXTS = {
    # the wording of findings, failures, advice and descriptions is free to improve
    "complaint": "<text>",
    "what": "<text>",
    "why": "<text>",
    "do": "<text>",
    "words": "<text>",
    "said": "<text>",
    "cure": "<text>",
    "meaning": "<text>",
    "cause": "<text>",
    "also": "<text>",
    "failure": "<text>",
    "where": "<text>",  # of a failure: a URL or a place, with words around it
}
DOCTOR = {"text": "<text>"}
# what else the answers of the stand-in to HTTP hold: /livews/status counts time, an error has words
HTTP = {"seconds": "<time>", "max": "<time>", "message": "<text>"}
VERSIONS = {"livews": "<version>", "protocol": "<version>"}  # the header of a trace; a release changes them

_EVERYWHERE = (
    # the port is picked by the system
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\blivews/\d[\w.]*"), "livews/VERSION"),  # the User-Agent
    # ids that the stand-in makes up: of sessions and handles, of calls, and of tokens
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b(function-call-|call_|fc_)\d{5,}\b"), r"\g<1>N"),
    (re.compile(r"\bauth_tokens/\w{8,}"), "auth_tokens/TOKEN"),
)


def text(value: str) -> str:
    for pattern, put in _EVERYWHERE:
        value = pattern.sub(put, value)
    return value


def normal(value: Any, *, times: bool = True, also: dict[str, str] | None = None) -> Any:
    """The JSON value with what varies replaced. `times` is False for output that was computed from a fixed file, where
    times have to be exact; `also` are more members to replace, for one kind of line."""
    replaced = {**(TIMES | VERSIONS if times else {}), **TEXTS, **(also or {})}

    def put(child: Any) -> Any:
        if isinstance(child, list):
            return [put(item) for item in child]
        if isinstance(child, dict):
            return {key: replaced[key] if _varies(replaced.get(key), one) else put(one) for key, one in child.items()}
        return short(text(child)) if isinstance(child, str) else child

    return put(value)


def _varies(mark: str | None, value: Any) -> bool:
    """null, "" and [] are never replaced: they say that there is no such time or text."""
    if mark == "<time>":
        return isinstance(value, (int, float, str)) and not isinstance(value, bool)
    return mark is not None and isinstance(value, (str, list)) and bool(value)


def short(value: str) -> str:
    """A long text as its length and hash, so that the data stays small and still proves every byte."""
    if len(value) <= LONGEST:
        return value
    return f"{value[:60]}... {digest(value.encode())}"


def digest(raw: bytes) -> str:
    return f"<{len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()[:16]}>"


# How livews words what went wrong with a call. What the function or program itself said is compared.
_OWN_ERROR = re.compile(r'("error":)"(?!broken|ValueError: as it should)(?:[^"\\]|\\.)*"')


def frame(raw: bytes | str) -> dict[str, Any]:
    """A WebSocket message: its opcode and its exact payload."""
    opcode = "text" if isinstance(raw, str) else "binary"
    data = raw.encode() if isinstance(raw, str) else raw
    try:
        return {opcode: short(_OWN_ERROR.sub(r'\1"<text>"', text(data.decode())))}
    except UnicodeDecodeError:
        return {opcode: f"base64 {short(base64.b64encode(data).decode())}"}


IN_A_REPLY = {
    # what a stand-in says and hears in words, and what follows from how long that is
    "data": "<data>",
    "code": "<text>",
    "tokenCount": "<number>",
    "promptTokenCount": "<number>",
    "responseTokenCount": "<number>",
    "candidatesTokenCount": "<number>",
    "totalTokenCount": "<number>",
    "thoughtsTokenCount": "<number>",
}


def without_words(message: Any) -> Any:
    """A message of a stand-in that answers by itself: every member and value but those that its words decide."""
    if isinstance(message, list):
        return [without_words(item) for item in message]
    if isinstance(message, dict):
        out = {key: IN_A_REPLY.get(key) or without_words(child) for key, child in message.items()}
        said = [key for key in ("outputTranscription", "modelTurn") if key in out]
        return out | {key: _no_text(out[key]) for key in said}
    return text(message) if isinstance(message, str) else message


def _no_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_no_text(item) for item in value]
    if isinstance(value, dict):
        return {key: "<text>" if key == "text" else _no_text(child) for key, child in value.items()}
    return value


def shape(value: Any) -> Any:
    """Member names and types only, for output whose values depend on the machine or on wording."""
    if isinstance(value, dict):
        return {key: shape(child) for key, child in value.items()}
    if isinstance(value, list):
        shapes: list[Any] = []
        for item in map(shape, value):
            if item not in shapes:
                shapes.append(item)
        return shapes
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def lines(raw: bytes, *, times: bool = True, also: dict[str, str] | None = None) -> list[Any]:
    """JSON lines, each normal; a line that is no JSON stays a text."""
    out: list[Any] = []
    for line in raw.decode(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            out.append(short(text(line)))
            continue
        # how long a tool ran, and how its failure is worded
        tool = isinstance(row, dict) and row.get("event") == "tool"
        out.append(normal(row, times=times, also={"seconds": "<time>", "error": "<text>"} if tool else also))
    return out
