"""Ephemeral tokens over HTTP: `POST /v1alpha/auth_tokens`, as the SDKs make them.

- A request is read whole and answered once, then the connection closes. Errors have the form of Google's JSON errors.
- Bytes in, bytes out; the store of the context keeps the tokens.
"""

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from livews.core import canonical, close_rows, codec
from livews.server import service_format
from livews.server.context import ServerContext, credential_of
from livews.server.store import UNLIMITED, EphemeralToken, SessionStore

_PATH = re.compile(r"/v1(alpha|beta)?/auth_tokens$")
_LARGEST = 256 * 1024
"""Bytes of the head of a request, and of its body."""
_MEMBERS = ("name", "expireTime", "newSessionExpireTime", "fieldMask", "bidiGenerateContentSetup", "uses")
_SECONDS = {"expireTime": 30 * 60, "newSessionExpireTime": 60}
"""How long a token is valid when its maker names no time."""
_MOST_SECONDS = 20 * 3600
_LENGTH_DIGITS = 9


def answer_request(raw: bytes, context: ServerContext) -> bytes | None:
    """The answer to a request other than GET, None while it is incomplete."""
    head, complete, body = raw.partition(b"\r\n\r\n")
    if len(head) > _LARGEST:
        return response(*refused(413, "the request is too large"))
    if not complete:
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    headers: defaultdict[str, list[str]] = defaultdict(list)
    for name, _, value in (line.partition(":") for line in lines[1:]):
        headers[name.strip().lower()].append(value.strip())
    length = ",".join(headers["content-length"] or ["0"])
    if not (length.isascii() and length.isdigit()) or headers["transfer-encoding"]:
        return response(*refused(411, "a Content-Length is needed"))
    if len(length) > _LENGTH_DIGITS or int(length) > _LARGEST:
        return response(*refused(413, "the request is too large"))
    if len(body) < int(length):
        return None
    path, _, query = rest.partition(" ")[0].partition("?")
    if not _PATH.search(re.sub("/+", "/", path)):
        return response(*refused(404, "livews answers POST only at /v1alpha/auth_tokens"))
    if method != "POST":
        return response(*refused(405, f"{method[:10]} is not allowed here, only POST"))
    if refusal := context.access.refusal(lambda name: headers[name], is_upgrade=False):
        context.config.log(f"refused, HTTP 403: {refusal[0]}")
        return response(*refused(403, ". ".join(filter(None, refusal))))
    key, authorization = ("".join(headers[name][:1]) for name in ("x-goog-api-key", "authorization"))
    key = credential_of(key, authorization, query)
    if (require_key := context.config.require_key) and key != require_key:
        return response(*refused(400, close_rows.frame_for("key-not-valid" if key else "no-credentials")[1]))
    return response(*create(context.store, body[: int(length)]))


def response(status: int, body: dict[str, Any]) -> bytes:
    """An HTTP response with a JSON body, after which the connection closes."""
    content = service_format.dump_as_service(body)
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json; charset=UTF-8\r\n"
    head += "Allow: POST\r\n" * (status == HTTPStatus.METHOD_NOT_ALLOWED)
    return f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content


def refused(status: int, message: str) -> tuple[int, dict[str, Any]]:
    """An error: the HTTP status and the body of the answer."""
    kind = {403: "PERMISSION_DENIED", 404: "NOT_FOUND", 405: "UNIMPLEMENTED"}.get(status, "INVALID_ARGUMENT")
    return status, {"error": {"code": status, "message": message, "status": kind}}


def create(store: SessionStore, body: bytes) -> tuple[int, dict[str, Any]]:
    """Make a token from an AuthToken in JSON: the HTTP status and the body of the answer."""
    try:
        request = codec.parse(body or b"{}")
    except codec.WireError as problem:
        return refused(400, f"Invalid JSON payload received. {problem}")
    request = {_camel(name): value for name, value in request.items() if value is not None}
    for name in request:
        if name not in _MEMBERS:
            return refused(400, f'Invalid JSON payload received. Unknown name "{name[:60]}": Cannot find field.')
    uses, mask = codec.whole(request.get("uses", 1)), request.get("fieldMask", "")
    setup = request.get("bidiGenerateContentSetup")
    if uses is None or uses < 0 or not (setup is None or isinstance(setup, dict)) or not isinstance(mask, str):
        return refused(
            400, "Invalid value: uses is a number from 0, bidiGenerateContentSetup an object, fieldMask a string"
        )
    now = datetime.now(UTC)
    times: dict[str, str] = {}
    seconds: list[float] = []
    for name, default in _SECONDS.items():
        try:
            until = datetime.fromisoformat(request[name]) if name in request else now + timedelta(seconds=default)
            seconds.append((until - now).total_seconds())
            times[name] = until.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except (TypeError, ValueError, OverflowError):
            return refused(400, f"Invalid value at '{name}': an RFC 3339 time is wanted")
        if seconds[-1] > _MOST_SECONDS:
            return refused(400, f"{name} must be less than 20 hours ahead")
    if setup is not None:
        setup = canonical.fold("client", {"setup": setup}).message["setup"]
    lives_until, starts_until = (store.clock() + left for left in seconds)
    members = [_camel(path.strip()) for path in mask.split(",") if path.strip()]
    name = store.add_token(EphemeralToken(uses or UNLIMITED, lives_until, starts_until, setup, members))
    return 200, {"name": name, **times, "uses": uses}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
