"""Redaction of credentials in text, frames and URLs.

- What must never be shown, written or raised is removed in one place, here.
- Values known to the session are removed in every spelling that JSON and URLs allow; well-known shapes always.
- The query parameters that hold a credential are listed here and nowhere else.
"""

import re
from typing import overload
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

HIDDEN = "[redacted]"
"""What stands in the place of a credential."""
SECRET_QUERY_NAMES = ("key", "access_token", "token", "api_key")
"""Query parameters, in lower case, whose value is a credential."""

# Shapes of credentials that are removed even when they are not among the known values.
_SHAPES = re.compile(
    rb"AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z._-]{10,}|auth_tokens/[0-9A-Za-z._-]{8,}"
    rb"|(?<=[?&]key=)[^&\s\"']+|(?<=[?&]access_token=)[^&\s\"']+|(?<=Bearer )[0-9A-Za-z._~+/=-]{8,}"
)


class Redactor:
    """Removes the credentials of one session.

    Args:
        values: credentials that are known. Values of fewer than 4 characters are ignored, "" too.
    """

    def __init__(self, *values: str) -> None:
        self._values = tuple(value for value in values if len(value) >= 4)
        spellings = {spelling for value in self._values for spelling in (value, quote(value, safe=""))}
        self._spellings = sorted((spelling.encode() for spelling in spellings), key=len, reverse=True)
        self._escaped: list[re.Pattern[bytes]] | None = None

    @overload
    def redact(self, text: str) -> str: ...
    @overload
    def redact(self, text: bytes) -> bytes: ...
    def redact(self, text: str | bytes) -> str | bytes:
        """The text without known credentials and without anything in the shape of one."""
        if isinstance(text, str):
            return self.redact(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")
        return _SHAPES.sub(HIDDEN.encode(), self.redact_known(text))

    def redact_known(self, raw: bytes) -> bytes:
        """The cheap form for frames: removes the known credentials only."""
        for spelling in self._spellings:
            if spelling in raw:
                raw = raw.replace(spelling, HIDDEN.encode())
        if b"\\u" in raw or b"\\/" in raw:
            if self._escaped is None:
                self._escaped = [_json_spellings(value) for value in self._values]
            for pattern in self._escaped:
                raw = pattern.sub(HIDDEN.encode(), raw)
        return raw


def _json_spellings(value: str) -> re.Pattern[bytes]:
    """A value in which any letter may be written as a JSON escape."""

    def spellings(letter: str) -> bytes:
        units = letter.encode("utf-16-be").hex()
        escape = "".join(rf"\\u(?i:{units[i : i + 4]})" for i in range(0, len(units), 4)).encode()
        return b"(?:" + re.escape(letter.encode()) + b"|" + escape + (rb"|\\/" if letter == "/" else b"") + b")"

    return re.compile(b"".join(map(spellings, value)))


def query_credentials(query: str) -> list[str]:
    """The credentials in the query of a URL, decoded and as they are written: clients differ in what they escape."""
    decoded = [value for name, value in parse_qsl(query) if name.lower() in SECRET_QUERY_NAMES]
    pairs = (pair.partition("=") for pair in query.split("&"))
    return [*decoded, *(value for name, _, value in pairs if unquote(name).lower() in SECRET_QUERY_NAMES)]


def redact_url(url: str) -> str:
    """A URL with the user, the password and the values of `SECRET_QUERY_NAMES` replaced.

    Raises:
        ValueError: the text is not a URL.
    """
    parts = urlsplit(url)
    query = "&".join(
        f"{name}={HIDDEN}" if name.lower() in SECRET_QUERY_NAMES else pair
        for pair in parts.query.split("&")
        for name in [pair.split("=", 1)[0]]
    )
    host = parts.netloc
    if "@" in host:
        host = f"{HIDDEN}@{host.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=host, query=query))
