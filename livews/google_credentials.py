"""OAuth bearer tokens for Vertex from Google's Application Default Credentials.

- google-auth does the work; it is imported here only, when a token is needed (extra `vertex`).
- The text of its errors is never shown: it may quote the key file.
"""

from dataclasses import replace
from typing import Any

from livews.endpoint import Settings
from livews.errors import NoCredentials


async def with_bearer(settings: Settings) -> Settings:
    """The settings with a bearer token from google-auth, where Vertex needs one and none is set.

    Raises:
        NoCredentials: as `bearer`.
    """
    if settings.needs_bearer:
        return replace(settings, token=await bearer())
    return settings


async def bearer() -> str:
    """Fetch an OAuth token for Vertex from Application Default Credentials.

    Raises:
        NoCredentials: google-auth is not installed, or finds no credentials that work.
    """
    import asyncio

    try:
        return await asyncio.to_thread(_fetch)
    except ImportError:
        raise NoCredentials(
            "no token for Vertex",
            where="--token",
            why="no token was given, and google-auth, which fetches one, is not installed",
            fix="pip install google-auth requests, or set GOOGLE_OAUTH_ACCESS_TOKEN to $(gcloud auth print-access-token)",
        ) from None


def _fetch() -> str:
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
            why=f"google-auth found none that work ({type(problem).__name__})",
            fix="run `gcloud auth application-default login`, correct GOOGLE_APPLICATION_CREDENTIALS, or set "
            "GOOGLE_OAUTH_ACCESS_TOKEN to $(gcloud auth print-access-token)",
        ) from None
    return str(credentials.token)
