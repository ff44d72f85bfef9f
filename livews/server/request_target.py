"""What a client's upgrade request asks for: surface, API version, method and credential."""

from dataclasses import dataclass
from urllib.parse import parse_qs

from websockets.http11 import Request

from livews.core import endpoint_paths


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """The target of one upgrade request."""

    path: str
    surface: str
    """ "gemini" or "vertex"."""
    version: str
    constrained: bool
    """The method is BidiGenerateContentConstrained, which takes ephemeral tokens."""
    credential: str
    """The key or token that was sent, "" for none."""


def parse_request_target(request: Request) -> RequestTarget:
    """The target of an upgrade request. Paths that are not the service's count as the Gemini API's v1beta."""
    path, _, query = request.path.partition("?")
    path = path.replace("//", "/")  # the JavaScript SDK sends a double slash, which the service takes as one
    surface, version = endpoint_paths.parse_endpoint_path(path)
    key, authorization = (
        next(iter(request.headers.get_all(name)), "") for name in ("x-goog-api-key", "Authorization")
    )
    constrained = path.endswith("BidiGenerateContentConstrained")
    credential = credential_of(key, authorization, query)
    return RequestTarget(path, surface or "gemini", version or "v1beta", constrained, credential)


def credential_of(key: str, authorization: str, query: str) -> str:
    """The credential of a request: the x-goog-api-key header, the Authorization header, or the query's key or token."""
    parameters = parse_qs(query)
    bearer = authorization.removeprefix("Bearer ").removeprefix("Token ")
    return key or bearer or (parameters.get("key") or parameters.get("access_token") or [""])[0]
