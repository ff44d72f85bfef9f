"""Resolve the endpoint of the Live API: URL, headers and model name, from arguments and environment variables.

- One function, `resolve()`, knows every form: API key, ephemeral token, Vertex (regional, global, multi-region,
  express) and any base URL with a path prefix.
- Credentials travel in headers, never in a URL that livews makes. A `key=` in a user's own URL is sent, but never shown.
- Arguments take precedence over the environment; the environment is read as Google's SDKs read it.
- A credential goes to another host only with TLS, unless the user allows it: `refuse_plain`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from livews import endpoint_paths
from livews.errors import BadRequest, NoCredentials
from livews.loopback import bad_characters, is_local
from livews.redactor import Redactor, redact_url, url_credentials

GEMINI_HOST = "generativelanguage.googleapis.com"
VERTEX_HOST = "aiplatform.googleapis.com"
_MULTI_REGIONS = ("us", "eu")
VERSIONS = ("v1beta", "v1alpha", "v1", "v1beta1")
"""API versions that the service has had."""
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Endpoint:
    """Where a session is dialled.

    Attributes:
        url: the URL that is dialled; it may hold a credential of the user.
        headers: request headers with the credentials.
        model: the model's name in the form this endpoint expects.
        surface: "gemini" or "vertex".
        version: the API version, as in "v1beta".
        secrets: removes the credentials of `url` and `headers` from text.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    model: str
    surface: Literal["gemini", "vertex"]
    version: str
    secrets: Redactor = field(repr=False)

    @property
    def shown(self) -> str:
        """The URL without credentials."""
        return self.secrets.redact(redact_url(self.url))


@dataclass(frozen=True)
class Settings:
    """Arguments and environment variables that decide the endpoint; "" means: not set.

    Attributes:
        url: base URL; ws, wss, http or https, a path prefix is kept.
        api_key: API key.
        token: ephemeral token (auth_tokens/...), or with `vertex` an OAuth bearer token.
        vertex: use Vertex AI instead of the Gemini API; None, for `from_environment`, means: not set.
        project: Google Cloud project, for Vertex.
        location: region, "us", "eu" or "global", for Vertex.
        version: API version; "" chooses the default of the surface.
        both_keys: GOOGLE_API_KEY and GEMINI_API_KEY are set and differ: worth a warning.
        insecure: credentials may go to another host without TLS.
        url_from: the option, argument or variable that `url` comes from.
    """

    url: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    vertex: bool | None = False
    project: str = ""
    location: str = ""
    version: str = ""
    both_keys: bool = False
    insecure: bool = False
    url_from: str = "--url"

    @property
    def has_credentials(self) -> bool:
        return bool(self.api_key or self.token or self.vertex or self.url)

    @property
    def needs_bearer(self) -> bool:
        """Whether google-auth has to fetch the token."""
        return bool(self.vertex and self.project and not self.token)


def from_environment(env: Mapping[str, str], given: Settings) -> Settings:
    """Settings from arguments, and for those not given from the variables that Google's SDKs read.

    Args:
        env: the environment, as in `os.environ`.
        given: the arguments; `vertex=None` takes GOOGLE_GENAI_USE_VERTEXAI or GOOGLE_GENAI_USE_ENTERPRISE.

    Raises:
        BadRequest: LIVEWS_INSECURE is neither true nor false.
    """
    api_key, token, vertex, project = given.api_key, given.token, given.vertex, given.project
    if vertex is None:
        flags = ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE")
        vertex = any(env.get(flag, "").lower() in ("1", "true") for flag in flags)
    google, gemini = env.get("GOOGLE_API_KEY", "").strip(), env.get("GEMINI_API_KEY", "").strip()
    if not project and not api_key:  # an API key as an argument means express mode, which has no project
        project = env.get("GOOGLE_CLOUD_PROJECT", "")
    if not api_key and not token and not (vertex and project):
        api_key = google or gemini
    if not token and not api_key and vertex:
        token = env.get("GOOGLE_OAUTH_ACCESS_TOKEN", "") or env.get("CLOUDSDK_AUTH_ACCESS_TOKEN", "")
    if api_key.startswith("auth_tokens/") and not token:  # the Python SDK takes a token as a key, too
        api_key, token = "", api_key
    base = "GOOGLE_VERTEX_BASE_URL" if vertex else "GOOGLE_GEMINI_BASE_URL"
    version = given.version or env.get("GOOGLE_GENAI_API_VERSION", "").strip()
    insecure = env.get("LIVEWS_INSECURE", "").strip().lower()
    if insecure not in (*_TRUE, *_FALSE):
        what = f"LIVEWS_INSECURE={insecure} says neither yes nor no"
        raise BadRequest(what, where="environment", fix="set it to 1 to allow credentials without TLS, or unset it")
    url = given.url or env.get(base, "").strip()
    return Settings(
        url=url,
        api_key=api_key,
        token=token,
        vertex=vertex,
        project=project,
        location=given.location or env.get("GOOGLE_CLOUD_LOCATION", ""),
        version={"beta": "v1beta", "alpha": "v1alpha"}.get(version, version),
        both_keys=bool(google and gemini and google != gemini),
        insecure=given.insecure or insecure in _TRUE,
        url_from=given.url_from if given.url or not url else base,
    )


def resolve(settings: Settings, model: str) -> Endpoint:
    """The endpoint of a model.

    Without `settings.version` the API version is v1beta for a key, v1alpha for an ephemeral token, v1beta1 on Vertex.

    Args:
        settings: where, and with which credentials.
        model: an ID, or a name with a prefix (models/ID, publishers/P/models/ID, projects/...).

    Raises:
        BadRequest: the settings do not fit together, or a credential would go to another host without TLS.
        NoCredentials: no credentials, or some that no header can carry.
    """
    secrets = Redactor(settings.api_key, settings.token, *url_credentials(settings.url))
    given = _websocket_url(settings) if settings.url else ""
    for name, value in (("key", settings.api_key), ("token", settings.token)):
        if value and not re.fullmatch(r"[!-~]+", value):
            fix = "copy it again: ASCII only, without spaces and without quotation marks around it"
            why = "it contains a space, a line break or another character that is not allowed in a header"
            raise NoCredentials(f"invalid {name}", where="credentials", why=why, fix=fix)
    if not re.fullmatch(r"[\w.-]*", settings.version, re.ASCII):
        what, fix = f"invalid API version: {settings.version}", f"use one of {', '.join(VERSIONS)}"
        raise BadRequest(what, where="--api-version or GOOGLE_GENAI_API_VERSION", fix=fix)
    place = _vertex if settings.vertex else _gemini
    where = place(settings, given, model, secrets)
    if where.headers or url_credentials(where.url):
        refuse_plain(where.url, settings)
    return where


def refuse_plain(url: str, settings: Settings) -> None:
    """Raise BadRequest if `url` is another host without TLS, where a credential must not go unless `settings` allow it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme in ("wss", "https") or is_local(host) or settings.insecure:
        return
    raise BadRequest(
        f"refused to send a credential to {host} without TLS",
        where=settings.url_from,
        why=f"{urlsplit(settings.url).scheme or parts.scheme}:// is not encrypted: everybody on the way can read the key and the conversation",
        fix="use wss:// or https://; in a network you trust, allow it with --insecure, LIVEWS_INSECURE=1 or, in a "
        "program, insecure=True",
    )


def _gemini(settings: Settings, given: str, model: str, secrets: Redactor) -> Endpoint:
    ephemeral = settings.token.startswith("auth_tokens/")
    if settings.token and not ephemeral:
        raise BadRequest(
            "not an ephemeral token",
            where="--token",
            why="tokens of the Gemini API start with auth_tokens/; any other is an OAuth bearer token, for Vertex only",
            fix="add --vertex, or pass an API key in GOOGLE_API_KEY",
        )
    version = settings.version or ("v1alpha" if ephemeral else "v1beta")
    method = "BidiGenerateContentConstrained" if ephemeral else "BidiGenerateContent"
    url = _join(given or f"wss://{GEMINI_HOST}", endpoint_paths.GEMINI.format(version=version, method=method))
    headers: dict[str, str] = {}
    if ephemeral:
        headers = {"Authorization": f"Token {settings.token}", "x-goog-api-key": settings.token}
    elif settings.api_key:
        headers = {"x-goog-api-key": settings.api_key}
    elif not given:
        raise NoCredentials(
            "no credentials",
            where="environment",
            why="neither GOOGLE_API_KEY nor GEMINI_API_KEY is set, and no URL was given",
            fix="set GOOGLE_API_KEY to a key from https://aistudio.google.com/apikey, or run `livews serve` and "
            "pass the URL it prints",
        )
    name = model if "/" in model else f"models/{model}"
    return Endpoint(url, headers, name, "gemini", endpoint_paths.parse_endpoint_path(url)[1] or version, secrets)


def _vertex(settings: Settings, given: str, model: str, secrets: Redactor) -> Endpoint:
    version = settings.version or "v1beta1"
    path = endpoint_paths.VERTEX.format(version=version)
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    url, name = given, _publisher(model)  # without a project the user's own gateway: its URL is dialled unchanged
    if settings.project:
        location = settings.location or "us-central1"
        url = _join(given or f"wss://{_host(location)}", path)
        if not name.startswith("projects/"):
            name = f"projects/{settings.project}/locations/{location}/{name}"
    elif settings.api_key:  # express mode
        url, headers = _join(given or f"wss://{VERTEX_HOST}", path), {"x-goog-api-key": settings.api_key}
    elif not given:
        raise BadRequest(
            "no project for Vertex",
            where="--project",
            why="no project was given and GOOGLE_CLOUD_PROJECT is not set",
            fix="set GOOGLE_CLOUD_PROJECT (and GOOGLE_CLOUD_LOCATION), or an API key for express mode",
        )
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
    publisher, slash, name = model.removeprefix("models/").partition("/")
    return f"publishers/{publisher}/models/{name}" if slash else f"publishers/google/models/{publisher}"


def _websocket_url(settings: Settings) -> str:
    """The URL of the settings with the scheme ws or wss."""
    url = settings.url.strip()
    what, where = f"not a valid URL: {redact_url(url)}", settings.url_from
    fix = "write it as in ws://127.0.0.1:8765 or wss://example.com/prefix"
    if why := bad_characters(url):
        raise BadRequest(what, where=where, why=why, fix=fix)
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may quote a password
        raise BadRequest(what, where=where, why="its host is malformed", fix=fix) from None
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        why = "it must start with ws://, wss://, http:// or https:// and name a host"
        raise BadRequest(what, where=where, why=why, fix=fix)
    if parts.username is not None and parts.password is None:
        why, fix = "it has a user without a password", "write USER:PASSWORD@HOST; a key belongs in GOOGLE_API_KEY"
        raise BadRequest(what, where=where, why=why, fix=fix)
    try:
        _ = parts.port
    except ValueError:
        what, fix = f"invalid port: {redact_url(url)}", "a port is a number from 1 to 65535"
        raise BadRequest(what, where=where, fix=fix) from None
    return urlunsplit(parts._replace(scheme=scheme))


def _join(url: str, path: str) -> str:
    """A base URL with the method's path after its prefix; a URL that has the method already stays as it is."""
    parts = urlsplit(url)
    if "BidiGenerateContent" in parts.path:
        return url
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, fragment=""))
