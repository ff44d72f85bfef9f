"""Ephemeral tokens over HTTP: `POST /v1alpha/auth_tokens`, as the SDKs make them.

- A request is read whole, answered once, and the connection closed. Errors have the shape of Google's JSON errors.
- Pure: bytes in, bytes out; the memory keeps the tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from livews.core import canonical, codec
from livews.server import service_format
from livews.server.store import UNLIMITED, SessionStore

Make = Callable[[str, dict[str, str], bytes], tuple[int, dict[str, Any]]]

_PATH = re.compile(r"/v1(alpha|beta)?/auth_tokens$")
_LARGEST = 256 * 1024
"""Bytes of the head of a request, and of its body."""
_MEMBERS = ("name", "expireTime", "newSessionExpireTime", "fieldMask", "bidiGenerateContentSetup", "uses")
_LIVES_SECONDS = 30 * 60
_STARTS_SECONDS = 60
_AT_MOST_SECONDS = 20 * 3600
_LENGTH_DIGITS = 9


def http(raw: bytes, make: Make) -> bytes | None:
    """The answer to a request that is no GET, None while it is not complete."""
    head, found, body = raw.partition(b"\r\n\r\n")
    if len(head) > _LARGEST:
        return response(*refused(413, "the request is too large"))
    if not found:
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or "transfer-encoding" in headers:
        return response(*refused(411, "a Content-Length is needed"))
    if len(length) > _LENGTH_DIGITS or int(length) > _LARGEST:
        return response(*refused(413, "the request is too large"))
    if len(body) < int(length):
        return None
    path = rest.partition(" ")[0]
    if not _PATH.search(re.sub("/+", "/", path.partition("?")[0])):
        return response(*refused(404, "livews answers POST at /v1alpha/auth_tokens and nowhere else"))
    if method != "POST":
        return response(*refused(405, f"{method[:10]} is not answered here; POST is"))
    return response(*make(path, headers, body[: int(length)]))


def response(status: int, body: dict[str, Any]) -> bytes:
    content = service_format.dump_as_service(body)
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json; charset=UTF-8\r\n"
    return f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content


def refused(status: int, message: str) -> tuple[int, dict[str, Any]]:
    kind = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND"}.get(status, "FAILED_PRECONDITION")
    return status, {"error": {"code": status, "message": message, "status": kind}}


def create(memory: SessionStore, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """A new token from an AuthToken in JSON."""
    try:
        asked = codec.parse(body or b"{}")
    except codec.WireError as problem:
        return refused(400, f"Invalid JSON payload received. {problem}")
    asked = {_camel(name): value for name, value in asked.items() if value is not None}
    for name in asked:
        if name not in _MEMBERS:
            return refused(400, f'Invalid JSON payload received. Unknown name "{name[:60]}": Cannot find field.')
    uses, mask = codec.whole(asked.get("uses", 1)), asked.get("fieldMask", "")
    setup = asked.get("bidiGenerateContentSetup")
    if uses is None or uses < 0 or not (setup is None or isinstance(setup, dict)) or not isinstance(mask, str):
        return refused(
            400, "Invalid value: uses is a number from 0, bidiGenerateContentSetup an object, fieldMask a string"
        )
    now = datetime.now(UTC)
    answer: dict[str, Any] = {}
    seconds = []
    for name, default in (("expireTime", _LIVES_SECONDS), ("newSessionExpireTime", _STARTS_SECONDS)):
        try:
            until = datetime.fromisoformat(asked[name]) if name in asked else now + timedelta(seconds=default)
            left = (until - now).total_seconds()
            answer[name] = until.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except (TypeError, ValueError, OverflowError):
            return refused(400, f"Invalid value at '{name}': an RFC 3339 time is wanted")
        if left > _AT_MOST_SECONDS:
            return refused(400, f"{name} must be less than 20 hours ahead")
        seconds.append(left)
    lock = None
    if isinstance(setup, dict):
        body_of = canonical.fold("client", {"setup": setup}).message["setup"]
        lock = LockedSetup(body_of, [_camel(one.strip()) for one in mask.split(",") if one.strip()])
    name = memory.new_token(uses or UNLIMITED, seconds[0], seconds[1], lock)
    return 200, {"name": name, **answer, "uses": uses}


class LockedSetup:
    """What a token fixes of a setup: all of it, or the members its mask names."""

    def __init__(self, setup: dict[str, Any], mask: list[str]) -> None:
        self.setup = setup
        self.mask = mask

    def applied(self, given: dict[str, Any]) -> dict[str, Any]:
        """The setup that counts when a client sends `given`. The handle of a session is always the client's own."""
        if self.mask:
            merged = dict(given)
            for path in self.mask:
                _copy(self.setup, merged, path.split("."))
        else:
            merged = dict(self.setup)
        if "sessionResumption" in given:
            merged["sessionResumption"] = given["sessionResumption"]
        return merged


def _copy(source: Any, target: dict[str, Any], path: list[str]) -> None:
    """One locked member, from the token's setup into the client's; absent there, it is absent here."""
    name, *rest = path
    if not rest or not isinstance(source, dict) or not isinstance(source.get(name), dict):
        target.pop(name, None)
        if isinstance(source, dict) and name in source:
            target[name] = source[name]
        return
    inner = target.get(name)
    target[name] = dict(inner) if isinstance(inner, dict) else {}
    _copy(source[name], target[name], rest)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
