"""Where to dial, with which headers, and how the model is called there.

- One function, `resolve()`, knows every form: API key, ephemeral token, Vertex (regional, global, multi-region,
  express) and any base URL with a path prefix.
- Credentials travel in headers, never in a URL of ours. A `key=` in a user's own URL is sent and shown nowhere.
- A flag beats the environment; the environment is read as Google's SDKs read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from livews.core import endpoint_paths
from livews.errors import BadRequest, NoCredentials
from livews.redactor import _HIDDEN, Redactor

GEMINI_HOST = "generativelanguage.googleapis.com"
VERTEX_HOST = "aiplatform.googleapis.com"
_MULTI_REGIONS = ("us", "eu")
_SECRET_QUERY = ("key", "access_token", "token", "api_key")


@dataclass(frozen=True)
class Endpoint:
    """One place to dial. `url` is what is dialled and may hold a user's own secret; `shown` never does."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    model: str
    surface: Literal["gemini", "vertex"]
    version: str
    secrets: Redactor = field(repr=False)

    @property
    def shown(self) -> str:
        return self.secrets.redact(redact_url(self.url))


def redact_url(url: str) -> str:
    """A URL with the values of `key=`, `access_token=` and a password replaced."""
    parts = urlsplit(url)
    query = "&".join(
        f"{name}={_HIDDEN}" if name.lower() in _SECRET_QUERY else pair
        for pair in parts.query.split("&")
        for name in [pair.split("=", 1)[0]]
    )
    place = parts.netloc
    if "@" in place:
        place = f"{_HIDDEN}@{place.rsplit('@', 1)[1]}"
    return urlunsplit(parts._replace(netloc=place, query=query))


@dataclass(frozen=True)
class Settings:
    """What a caller or the environment asks for; None and "" mean: not given."""

    url: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    vertex: bool = False
    project: str = ""
    location: str = ""
    version: str = ""
    both_keys: bool = False
    """GOOGLE_API_KEY and GEMINI_API_KEY are both set: worth one warning."""

    @property
    def has_credentials(self) -> bool:
        return bool(self.api_key or self.token or self.vertex or self.url)


def from_environment(
    env: Mapping[str, str],
    *,
    url: str = "",
    api_key: str = "",
    token: str = "",
    vertex: bool | None = None,
    project: str = "",
    location: str = "",
    version: str = "",
) -> Settings:
    """The given values, and for what is not given the variables Google's SDKs read."""
    if vertex is None:
        flags = ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE")
        vertex = any(env.get(flag, "").lower() in ("1", "true") for flag in flags)
    google, gemini = env.get("GOOGLE_API_KEY", "").strip(), env.get("GEMINI_API_KEY", "").strip()
    project = project or (
        "" if api_key else env.get("GOOGLE_CLOUD_PROJECT", "")
    )  # a key that was given: express mode
    if not api_key and not token and not (vertex and project):
        api_key = google or gemini
    if not token and not api_key and vertex:
        token = env.get("GOOGLE_OAUTH_ACCESS_TOKEN", "") or env.get("CLOUDSDK_AUTH_ACCESS_TOKEN", "")
    if api_key.startswith("auth_tokens/") and not token:  # as the Python SDK has it: a token in the key's place
        api_key, token = "", api_key
    base = env.get("GOOGLE_VERTEX_BASE_URL" if vertex else "GOOGLE_GEMINI_BASE_URL", "")
    wanted = version or env.get("GOOGLE_GENAI_API_VERSION", "")
    return Settings(
        url=url or base,
        api_key=api_key,
        token=token,
        vertex=vertex,
        project=project,
        location=location or env.get("GOOGLE_CLOUD_LOCATION", ""),
        version={"beta": "v1beta", "alpha": "v1alpha"}.get(wanted, wanted),
        both_keys=bool(google and gemini and google != gemini),
    )


def resolve(settings: Settings, model: str) -> Endpoint:
    """The endpoint of these settings for a model; BadRequest when they do not fit together.

    The version is v1beta for a key, v1alpha for an ephemeral token and v1beta1 on Vertex unless one is given.
    """
    try:
        urlsplit(settings.url)
    except ValueError as problem:
        fix = "write it as in ws://127.0.0.1:8765 or wss://example.com/prefix"
        raise BadRequest("not a URL to dial", where="--url", why=str(problem), fix=fix) from None
    for what, value in (("key", settings.api_key), ("token", settings.token)):
        if value and not re.fullmatch(r"[!-~]+", value):
            fix = "copy it again: no space, no quotation marks around it, nothing but ASCII"
            why = "there is a space, a line break or something else in it that no header can carry"
            raise NoCredentials(f"the {what} cannot be one", where="credentials", why=why, fix=fix)
    secrets = Redactor(settings.api_key, settings.token, *_secrets_of(settings.url))
    if settings.vertex:
        return _vertex(settings, model, secrets)
    ephemeral = settings.token.startswith("auth_tokens/")
    if settings.token and not ephemeral:
        raise BadRequest(
            "the token is no ephemeral token",
            where="--token",
            why="tokens of the Gemini API start with auth_tokens/; any other is an OAuth bearer, which is for Vertex",
            fix="add --vertex, or pass an API key in GOOGLE_API_KEY",
        )
    version = settings.version or ("v1alpha" if ephemeral else "v1beta")
    method = "BidiGenerateContentConstrained" if ephemeral else "BidiGenerateContent"
    url = _join(settings.url or f"wss://{GEMINI_HOST}", endpoint_paths.GEMINI.format(version=version, method=method))
    headers: dict[str, str] = {}
    if ephemeral:
        headers = {"Authorization": f"Token {settings.token}", "x-goog-api-key": settings.token}
    elif settings.api_key:
        headers = {"x-goog-api-key": settings.api_key}
    elif not settings.url:
        raise NoCredentials(
            "no credentials",
            where="environment",
            why="neither GOOGLE_API_KEY nor GEMINI_API_KEY is set, and no url was given",
            fix="set GOOGLE_API_KEY to a key from https://aistudio.google.com/apikey, or run `livews serve` and "
            "pass the URL it prints",
        )
    name = model if "/" in model else f"models/{model}"
    return Endpoint(url, headers, name, "gemini", endpoint_paths.parse_endpoint_path(url)[1] or version, secrets)


def _vertex(settings: Settings, model: str, secrets: Redactor) -> Endpoint:
    version = settings.version or "v1beta1"
    path = endpoint_paths.VERTEX.format(version=version)
    if settings.api_key and not settings.project:  # express mode
        url = _join(settings.url or f"wss://{VERTEX_HOST}", path)
        name = _publisher(model)
        return Endpoint(url, {"x-goog-api-key": settings.api_key}, name, "vertex", version, secrets)
    location = settings.location or ("us-central1" if settings.project else "")
    if not settings.project and not settings.url:
        raise BadRequest(
            "Vertex needs a project",
            where="--project",
            why="no project was given and GOOGLE_CLOUD_PROJECT is not set",
            fix="set GOOGLE_CLOUD_PROJECT (and GOOGLE_CLOUD_LOCATION), or an API key for express mode",
        )
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    if not settings.project:  # a gateway of the user's own: its URL is dialled as it is
        return Endpoint(_scheme(settings.url), headers, _publisher(model), "vertex", version, secrets)
    url = _join(settings.url or f"wss://{_host(location)}", path)
    name = model
    if not model.startswith("projects/"):
        name = f"projects/{settings.project}/locations/{location}/{_publisher(model)}"
    return Endpoint(url, headers, name, "vertex", version, secrets)


def _host(location: str) -> str:
    if location == "global":
        return VERTEX_HOST
    if location in _MULTI_REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-{VERTEX_HOST}"


def _publisher(model: str) -> str:
    """`publishers/google/models/ID` of a bare ID, `publishers/P/models/ID` of `P/ID`; full names stay."""
    if model.startswith(("publishers/", "projects/")):
        return model
    model = model.removeprefix("models/")
    if "/" in model:
        publisher, _, name = model.partition("/")
        return f"publishers/{publisher}/models/{name}"
    return f"publishers/google/models/{model}"


def _scheme(url: str) -> str:
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise BadRequest(
            f"not a URL to dial: {redact_url(url)}",
            where="--url",
            why="a WebSocket URL starts with ws:// or wss:// and names a host",
            fix="write it as in ws://127.0.0.1:8765 or wss://example.com/prefix",
        )
    try:
        _ = parts.port
    except ValueError:
        raise BadRequest(
            f"not a port: {redact_url(url)}", where="--url", fix="a port is a number from 1 to 65535"
        ) from None
    return urlunsplit(parts._replace(scheme=scheme))


def _join(base: str, path: str) -> str:
    """A base URL with the method's path behind its prefix; a URL that names the method already is left alone."""
    url = _scheme(base)
    parts = urlsplit(url)
    if "BidiGenerateContent" in parts.path:
        return url
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, fragment=""))


def _secrets_of(url: str) -> list[str]:
    parts = urlsplit(url)
    found = [value for name, value in parse_qsl(parts.query) if name.lower() in _SECRET_QUERY]
    return [*found, parts.password] if parts.password else found


async def with_bearer(settings: Settings) -> Settings:
    """The same settings, with a bearer of google-auth where Vertex wants one and none was given."""
    if settings.vertex and settings.project and not settings.token:
        return replace(settings, token=await bearer())
    return settings


async def bearer() -> str:
    """An OAuth token for Vertex from Application Default Credentials; BadRequest says what is missing."""
    import asyncio

    def fetch() -> str:
        import google.auth
        import google.auth.exceptions
        import google.auth.transport.requests

        try:
            credentials: Any = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0]
            credentials.refresh(google.auth.transport.requests.Request())
        except (google.auth.exceptions.GoogleAuthError, OSError, ValueError) as problem:
            raise NoCredentials(
                "no Google credentials for Vertex",
                where="Application Default Credentials",
                # never the text of the problem: it may quote the key file
                why=f"google-auth found none that work ({type(problem).__name__})",
                fix="run `gcloud auth application-default login`, correct GOOGLE_APPLICATION_CREDENTIALS, or pass a "
                "token: --token $(gcloud auth print-access-token)",
            ) from None
        return str(credentials.token)

    try:
        return await asyncio.to_thread(fetch)
    except ImportError:
        raise NoCredentials(
            "Vertex wants a token",
            where="--token",
            why="no token was given, and google-auth, which fetches one, is not installed",
            fix="pip install google-auth requests, or pass --token $(gcloud auth print-access-token)",
        ) from None
