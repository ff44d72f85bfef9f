"""Convert traces to and from HAR 1.2, the archive format of browsers and proxies.

- WebSocket messages are in `_webSocketMessages`, as Chrome and mitmproxy write them: type send or receive, time in seconds
  since 1970, opcode 1 with the text or 2 with base64 in `data`.
- What HAR has no place for (pings, closes, what was heard) is in `_livews`, which other tools skip and `load` reads back.
- A HAR is written one message at a time, and read whole, since it is one JSON value.
- Resumption handles are written as pseudonyms, also where a text repeats one.
- No credential is written, in either direction. From a HAR of another tool headers are not taken.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

import orjson

from livews.conversation import Conversation
from livews.core import codec
from livews.core.schema import Sender
from livews.endpoint_paths import parse_endpoint_path
from livews.errors import BadRequest
from livews.redactor import (
    HIDDEN,
    Redactor,
    has_handle,
    hide_in,
    redact_url,
    valid_url,
    with_handles_hidden,
    with_pseudonyms,
)
from livews.trace.empties import EmptyRun
from livews.trace.media import without_credentials
from livews.trace.reader import MAX_LEVELS, MAX_TIME, header_of, record_of
from livews.trace.session import RecordedSession
from livews.trace.writer import header as trace_header
from livews.trace.writer import iso_time
from livews.version import __version__

_DIRECTIONS = {
    "send": "send", "request": "send", "outgoing": "send", "sent": "send",
    "receive": "recv", "response": "recv", "incoming": "recv", "received": "recv", "recv": "recv",
}  # fmt: skip
"""How tools call the direction of a message."""
_MEMBERS = ("_webSocketMessages", "_websocketMessages", "webSocketMessages", "_webSocketFrames")
_UPGRADE = [{"name": "Connection", "value": "Upgrade"}, {"name": "Upgrade", "value": "websocket"}]
_RESPONSE = {
    "status": 101, "statusText": "Switching Protocols", "httpVersion": "HTTP/1.1", "cookies": [], "headers": _UPGRADE,
    "content": {"size": 0, "mimeType": "x-unknown"}, "redirectURL": "", "headersSize": -1, "bodySize": 0,
}  # fmt: skip
_MAX_REDACTED = 100_000
"""Bytes of a message that is searched for credentials; a longer one is media."""


# To HAR


def write_har(sessions: Iterable[RecordedSession], out: BinaryIO) -> int:
    """Write sessions as a HAR; the number of their messages."""
    creator = orjson.dumps({"name": "livews", "version": __version__})
    out.write(b'{"log":{"version":"1.2","creator":' + creator + b',"pages":[],"entries":[')
    count = 0
    for i, session in enumerate(sessions):
        out.write(b"," if i else b"")
        count += _write_entry(session, out)
    out.write(b"]}}\n")
    return count


def _write_entry(session: RecordedSession, out: BinaryIO) -> int:
    """Write one session; the number of its messages."""
    start = _epoch(session.header.get("started")) or 0.0
    count, first, last = 0, 0.0, 0.0
    controls: list[dict[str, Any]] = []
    out.write(b'{"_webSocketMessages":[')
    for record, step in session:
        first, last = min(first, record.t), max(last, record.t)
        if record.raw is None:
            controls.append({"t": record.t, "dir": record.direction, record.control: hide_in(record.about)})
            continue
        raw = record.raw if step is None or record.elided else step.raw
        if step is not None and has_handle(step):
            with suppress(codec.WireError):
                raw = codec.dump(with_pseudonyms(codec.parse(raw)))
        if step is None or step.template is None:  # else only the audio is new
            raw = with_handles_hidden(without_credentials(raw))
        message = {"type": "send" if record.sender == "client" else "receive", "time": start + record.t}
        try:
            if record.opcode != "text":
                raise ValueError
            message |= {"opcode": 1, "data": raw.decode()}
        except ValueError:  # bytes that are not UTF-8, too
            message |= {"opcode": 2, "data": codec.encode_base64(raw)}
        out.write((b"," if count else b"") + orjson.dumps(message))
        count += 1
    out.write(b"]," + orjson.dumps(_entry(session, start, round(1000 * (last - first), 3), controls))[1:])
    return count


def _entry(session: RecordedSession, start: float, ms: float, controls: list[dict[str, Any]]) -> dict[str, Any]:
    url = valid_url(shown(session.url)) if session.url else "ws://unknown/"
    parts = urlsplit(url)
    credential = "Authorization" if parse_endpoint_path(url)[0] == "vertex" else "x-goog-api-key"
    headers = {"Host": parts.netloc, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               credential: HIDDEN}  # fmt: skip
    return {
        "_resourceType": "websocket", "startedDateTime": _iso(start), "time": ms,
        "request": {
            "method": "GET", "url": url, "httpVersion": "HTTP/1.1", "cookies": [], "headers": _pairs(headers.items()),
            "queryString": _pairs(parse_qsl(parts.query, keep_blank_values=True)), "headersSize": -1, "bodySize": 0,
        },
        "response": _RESPONSE, "cache": {},
        "timings": {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 0, "receive": ms},
        "_livews": {"header": hide_in({**session.header, "url": url}), "controls": controls},
    }  # fmt: skip


def _pairs(pairs: Any) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _epoch(value: Any) -> float | None:
    """A time in any form that a HAR has it: seconds or milliseconds since 1970, or ISO 8601."""
    if isinstance(value, str):
        with suppress(ValueError):
            when = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    with suppress(TypeError, ValueError, OverflowError):
        seconds = float(value)
        seconds = seconds / 1000 if seconds > 1e11 else seconds
        return seconds if abs(seconds) < 1e11 else None  # not a number, or no year with four digits
    return None


def _iso(epoch: float) -> str:
    try:
        return iso_time(datetime.fromtimestamp(epoch, UTC))
    except (OverflowError, ValueError, OSError):
        return _iso(0)


# From HAR


@dataclass(frozen=True, slots=True)
class HarWebSocket:
    """One WebSocket of a HAR, and what livews wrote into it: the header of its trace and the controls, if any."""

    url: str
    started: float
    messages: list[dict[str, Any]]
    header: dict[str, Any] | None
    controls: list[dict[str, Any]]

    @property
    def is_live(self) -> bool:
        """Whether it speaks BidiGenerateContent."""
        if any(parse_endpoint_path(self.url)):
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
    """The WebSockets of a HAR, in its order; BadRequest if it is not a HAR."""
    try:
        har = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as problem:
        raise _not_har(name, f"it is not JSON (line {problem.lineno}, column {problem.colno})") from None
    log = har.get("log") if isinstance(har, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise _not_har(name, "it has no /log/entries")
    sockets: list[HarWebSocket] = []
    for i, entry in enumerate(entries):
        try:
            sockets += _sockets(entry) if isinstance(entry, dict) else ()
        except ValueError:
            where, fix = f"{name}, /log/entries/{i}/request/url", "correct it, or remove the entry"
            raise BadRequest(f"an entry of {name} has an invalid URL", where=where, fix=fix) from None
    return sockets


def _sockets(entry: dict[str, Any]) -> Iterator[HarWebSocket]:
    """The WebSocket of an entry, if it is one. ValueError if its URL is invalid."""
    messages = next((entry[member] for member in _MEMBERS if isinstance(entry.get(member), list)), None)
    if messages is None:
        return
    messages = [message for message in messages if isinstance(message, dict)]
    request = entry.get("request")
    url = request.get("url") if isinstance(request, dict) else None
    url = re.sub(r"^http", "ws", url) if isinstance(url, str) else ""
    urlsplit(valid_url(url))  # what is written later has to read it
    first = next((t for message in messages if (t := _epoch(message.get("time"))) is not None), 0.0)
    start = _epoch(entry.get("startedDateTime"))
    yield HarWebSocket(url, first if start is None else start, messages, *_own(entry.get("_livews")))


def _own(own: Any) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The header and the controls that livews wrote; other tools may have a `_livews` of any form, which is ignored."""
    if not isinstance(own, dict) or codec.levels(own) > MAX_LEVELS:
        return None, []
    header, controls = own.get("header"), own.get("controls")
    try:
        header = header_of(header) if isinstance(header, dict) else None
    except codec.WireError:
        header = None
    rows = [row for row in controls if isinstance(row, dict)] if isinstance(controls, list) else []
    return header, [row for row in rows if (record := record_of(0, row, b"")) and record.control]


def _payload(message: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes of a message, and its opcode as a trace has it. ValueError if there are none."""
    data = message.get("data", message.get("content", message.get("payload")))
    if isinstance(data, dict):
        data = data.get("data", data.get("text"))
    if not isinstance(data, str):
        raise ValueError("it has no data")
    is_text = message.get("opcode", 1) != 2
    if not is_text and not data.lstrip().startswith("{"):  # some tools write the text of a binary message as it is
        with suppress(codec.WireError):
            return codec.decode_base64(data), "binary"
    return data.encode(errors="surrogatepass"), "text" if is_text else "binary"


def write(socket: HarWebSocket, out: BinaryIO) -> tuple[int, int]:
    """Write a WebSocket as a session of a trace; the number of its messages, and of those that could not be read."""
    redactor = Redactor()
    header = socket.header or (
        trace_header(shown(socket.url), "client") | {"started": _iso(socket.started), "from": "HAR"}
    )
    rows: list[dict[str, Any]] = []
    unreadable = 0
    t = 0.0
    for message in socket.messages:
        if message.get("opcode", 1) not in (1, 2):
            continue  # pings and pongs, which some tools record
        time = _epoch(message.get("time"))
        t = t if time is None else max(-MAX_TIME, min(time - socket.started, MAX_TIME))
        direction = _DIRECTIONS.get(str(message.get("type", message.get("direction", ""))).lower())
        try:
            raw, opcode = _payload(message)
        except ValueError:
            direction = None
        if direction is None:
            unreadable += 1
            continue
        row: dict[str, Any] = {"t": round(t, 6), "dir": direction, "opcode": opcode, "size": len(raw)}
        raw = without_credentials(raw)
        raw = redactor.redact(raw) if direction == "send" and len(raw) < _MAX_REDACTED else raw
        try:
            row["message"] = codec.parse(raw)
        except codec.WireError:
            row["raw"] = codec.encode_base64(raw)
        rows.append(row)
    out.write(without_credentials(orjson.dumps(header)) + b"\n")
    for row in _without_empties(sorted([*rows, *socket.controls], key=lambda row: float(row["t"]))):
        out.write(without_credentials(orjson.dumps(row)) + b"\n")
    return len(socket.messages) - unreadable, unreadable


def _without_empties(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of a session, its empty messages counted on the next one, as in a recorded trace."""
    conversation, run = Conversation(), EmptyRun()
    for row in rows:
        if "message" in row:
            sender: Sender = "client" if row["dir"] == "send" else "server"
            if run.take(conversation.step_message(sender, row["message"]), row):
                continue
        yield {"t": row["t"], **run.release(), **row}
    if last := run.last():
        yield {"t": last[1]["t"], **run.release(), **last[1]}


def shown(url: str) -> str:
    """A URL of a HAR, without credentials."""
    return Redactor().redact(redact_url(url)) if url else "a socket without a URL"


def _not_har(name: str, why: str) -> BadRequest:
    fix = "export one in the browser's network panel (Save all as HAR with content), or with mitmproxy"
    return BadRequest(f"{name} is not a HAR", where=name, why=why, fix=fix)
