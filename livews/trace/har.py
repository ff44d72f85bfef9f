"""HAR 1.2, the archive that browsers and proxies exchange, to and from traces.

- WebSocket messages stand in `_webSocketMessages`, as Chrome writes them: type send or receive, time in seconds since 1970,
  opcode 1 with the text or 2 with base64 in `data`. mitmproxy writes and Chrome reads the same.
- What a HAR has no place for (pings, closes, what was heard) stands in `_livews`, which others skip and `load` reads back.
- Written a message at a time. Read whole: a HAR is one JSON value, and has to fit into memory.
- No credential is written: those of a URL and of headers are hidden, the others were never in the trace. From a foreign HAR
  URLs are hidden likewise, and of headers nothing is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

import orjson

from livews.core import codec
from livews.core.endpoint_paths import parse_endpoint_path
from livews.errors import BadRequest
from livews.redactor import Redactor, redact_url
from livews.trace.reader import CONTROLS
from livews.trace.session import RecordedSession
from livews.trace.writer import header as new_header
from livews.version import __version__

_DIRECTIONS = {
    "send": "send", "request": "send", "outgoing": "send", "sent": "send",
    "receive": "recv", "response": "recv", "incoming": "recv", "received": "recv", "recv": "recv",
}  # fmt: skip
_MEMBERS = ("_webSocketMessages", "_websocketMessages", "webSocketMessages", "_webSocketFrames")


# To a HAR


class HarWriter:
    """A HAR that is written session by session; `end` makes it whole."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._entries = 0
        creator = orjson.dumps({"name": "livews", "version": __version__})
        out.write(b'{"log":{"version":"1.2","creator":' + creator + b',"pages":[],"entries":[')

    def session(self, session: RecordedSession) -> int:
        """Write one session; how many messages it had."""
        out = self._out
        start = started(session.header)
        out.write(b"," if self._entries else b"")
        self._entries += 1
        out.write(b'{"_webSocketMessages":[')
        count = 0
        first, last = 0.0, 0.0
        beside: list[dict[str, Any]] = []
        for line, _ in session:
            last = max(last, line.t)
            first = min(first, line.t)
            if line.raw is None:
                beside.append({"t": line.t, "dir": _dir(line.sender), line.control: line.about})
                continue
            text = line.opcode == "text" and _is_utf8(line.raw)
            out.write(b"," if count else b"")
            count += 1
            out.write(
                orjson.dumps(
                    {
                        "type": "send" if line.sender == "client" else "receive",
                        "time": start + line.t,
                        "opcode": 1 if text else 2,
                        "data": line.raw.decode() if text else codec.encode_base64(line.raw),
                    }
                )
            )
        out.write(b"]," + orjson.dumps(_entry(session, start, last - first, beside))[1:])
        return count

    def end(self) -> None:
        self._out.write(b"]}}\n")


def _dir(sender: str) -> str:
    return "send" if sender == "client" else "recv"


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _entry(session: RecordedSession, start: float, seconds: float, beside: list[dict[str, Any]]) -> dict[str, Any]:
    url = shown(session.url) if session.url else "ws://unknown/"
    parts = urlsplit(url)
    hidden = "Authorization" if parse_endpoint_path(url)[0] == "vertex" else "x-goog-api-key"
    ms = round(1000 * seconds, 3)
    return {
        "_resourceType": "websocket",
        "startedDateTime": _iso(start),
        "time": ms,
        "request": {
            "method": "GET",
            "url": url,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [
                {"name": "Host", "value": parts.netloc},
                {"name": "Connection", "value": "Upgrade"},
                {"name": "Upgrade", "value": "websocket"},
                {"name": "Sec-WebSocket-Version", "value": "13"},
                {"name": hidden, "value": "[redacted]"},
            ],
            "queryString": [
                {"name": name, "value": value} for name, value in parse_qsl(parts.query, keep_blank_values=True)
            ],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": 101,
            "statusText": "Switching Protocols",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [
                {"name": "Connection", "value": "Upgrade"},
                {"name": "Upgrade", "value": "websocket"},
            ],
            "content": {"size": 0, "mimeType": "x-unknown"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": 0,
        },
        "cache": {},
        "timings": {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 0, "receive": ms},
        "_livews": {"header": {**session.header, "url": url}, "controls": beside},
    }


def started(header: dict[str, Any]) -> float:
    """Seconds since 1970 of a session's start; 0 when its header has no such time."""
    return _epoch(header.get("started")) or 0.0


def _epoch(value: Any) -> float | None:
    """A time as a HAR may have it: seconds or milliseconds since 1970, or ISO 8601."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value / 1000 if value > 1e11 else float(value)
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
        except ValueError:
            try:
                return _epoch(float(value))
            except ValueError:
                return None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return None


def _iso(epoch: float) -> str:
    try:
        when = datetime.fromtimestamp(epoch, UTC)
    except (OverflowError, ValueError, OSError):
        when = datetime.fromtimestamp(0, UTC)
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


# From a HAR


@dataclass(frozen=True, slots=True)
class HarWebSocket:
    """One WebSocket of a HAR."""

    url: str
    started: float
    messages: list[dict[str, Any]]
    own: dict[str, Any]
    """What livews wrote into it; {} in a foreign one."""

    @property
    def is_live(self) -> bool:
        """Does it speak BidiGenerateContent?"""
        if parse_endpoint_path(self.url)[0]:
            return True
        for message in self.messages[:5]:
            try:
                body = codec.parse(_payload(message)[0])
            except (codec.WireError, ValueError):
                continue
            if _DIRECTIONS.get(str(message.get("type"))) == "send" and "setup" in body:
                return True
        return False


def load(raw: bytes, name: str) -> list[HarWebSocket]:
    """The WebSockets of a HAR, in its order; BadRequest when it is none."""
    try:
        whole = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as problem:
        raise _wrong(name, f"it is no JSON (line {problem.lineno}, column {problem.colno})") from None
    log = whole.get("log") if isinstance(whole, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise _wrong(name, "there is no /log/entries in it")
    return [socket for entry in entries if isinstance(entry, dict) for socket in _socket(entry)]


def _socket(entry: dict[str, Any]) -> Iterator[HarWebSocket]:
    messages = next((entry[member] for member in _MEMBERS if isinstance(entry.get(member), list)), None)
    if messages is None:
        return
    request = entry.get("request")
    url = str(request.get("url", "")) if isinstance(request, dict) else ""
    url = re.sub(r"^http", "ws", url)
    own = entry.get("_livews")
    found = [message for message in messages if isinstance(message, dict)]
    first = next((at for message in found if (at := _epoch(message.get("time"))) is not None), 0.0)
    at = _epoch(entry.get("startedDateTime"))
    yield HarWebSocket(url, first if at is None else at, found, own if isinstance(own, dict) else {})


def _payload(message: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes of a message, and its opcode as a trace has it. ValueError when there are none."""
    data = message.get("data", message.get("content", message.get("payload")))
    if isinstance(data, dict):
        data = data.get("data", data.get("text"))
    if not isinstance(data, str):
        raise ValueError("there is no data in it")
    if message.get("opcode", 1) == 2:
        if not data.lstrip().startswith("{"):  # some write the text of a binary message as it is
            try:
                return codec.decode_base64(data), "binary"
            except codec.WireError:
                pass
        return data.encode(errors="surrogatepass"), "binary"
    return data.encode(errors="surrogatepass"), "text"


def write(socket: HarWebSocket, out: BinaryIO) -> tuple[int, int]:
    """A socket as a session of a trace; how many messages it had, and how many could not be read."""
    secrets = Redactor()
    header = socket.own.get("header")
    if not isinstance(header, dict) or header.get("trace") != "livews" or header.get("version") != 1:
        header = new_header(shown(socket.url), "client")
        header |= {"started": _iso(socket.started), "from": "HAR"}
    rows: list[tuple[float, int, dict[str, Any]]] = []
    bad = 0
    last = 0.0
    for i, message in enumerate(socket.messages):
        direction = _DIRECTIONS.get(str(message.get("type", message.get("direction", ""))).lower())
        if message.get("opcode", 1) not in (1, 2):
            continue  # pings and pongs, where somebody recorded them
        at = _epoch(message.get("time"))
        last = at - socket.started if at is not None else last
        try:
            raw, opcode = _payload(message)
            if direction is None:
                raise ValueError
        except ValueError:
            bad += 1
            continue
        row: dict[str, Any] = {"t": round(last, 6), "dir": direction, "opcode": opcode, "size": len(raw)}
        raw = secrets.redact(raw) if direction == "send" and len(raw) < 100_000 else raw
        try:
            row["message"] = codec.parse(raw)
        except codec.WireError:
            row["raw"] = codec.encode_base64(raw)
        rows.append((last, i, row))
    for control in socket.own.get("controls", ()):
        if isinstance(control, dict) and any(isinstance(control.get(kind), dict) for kind in CONTROLS):
            at = control.get("t")
            if control.get("dir") in ("send", "recv") and isinstance(at, (int, float)):
                rows.append((float(at), len(socket.messages), control))
    out.write(orjson.dumps(header) + b"\n")
    for _, _, row in sorted(rows, key=lambda row: row[:2]):
        out.write(orjson.dumps(row) + b"\n")
    return len(socket.messages) - bad, bad


def shown(url: str) -> str:
    """A URL of a HAR, without credentials."""
    return Redactor().redact(redact_url(url)) if url else "a socket without a URL"


def _wrong(name: str, why: str) -> BadRequest:
    fix = "export one in the browser's network panel (Save all as HAR with content), or with mitmproxy"
    return BadRequest(f"{name} is no HAR", where=name, why=why, fix=fix)
